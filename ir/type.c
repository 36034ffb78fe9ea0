/* type.c - element types, and tensor types interned per module. */
#include "ir/type.h"

#include <assert.h>
#include <string.h>

#include "ir/graph.h"
#include "runtime/base/checked.h"

typedef struct DTypeInfo {
    const char *name;
    uint8_t bits;
    char kind; /* f, i, u, b */
} DTypeInfo;

static const DTypeInfo dtype_info[LT_DTYPE_LIMIT] = {
#define DTYPE(e, dtype_name, width, letter, dl) [DT_##e] = {dtype_name, width, letter},
#include "lathe/dtypes.def"
#undef DTYPE
};

const char *lt_dtype_name(DType dtype) { return dtype_info[dtype].name; }

bool lt_dtype_parse(const char *name, DType *out) {
    for (int i = 0; i < LT_DTYPE_LIMIT; i++) {
        if (strcmp(dtype_info[i].name, name) == 0) {
            *out = (DType)i;
            return true;
        }
    }
    return false;
}

size_t lt_dtype_size(DType dtype) { return (dtype_info[dtype].bits + 7u) / 8; }
int lt_dtype_bits(DType dtype) { return dtype_info[dtype].bits; }
bool lt_dtype_is_minifloat(DType dtype) {
    return lt_dtype_is_float(dtype) && dtype_info[dtype].bits <= 8;
}
bool lt_dtype_is_float(DType dtype) { return dtype_info[dtype].kind == 'f'; }
bool lt_dtype_is_signed(DType dtype) { return dtype_info[dtype].kind == 'i'; }
bool lt_dtype_is_unsigned(DType dtype) { return dtype_info[dtype].kind == 'u'; }
bool lt_dtype_is_int(DType dtype) {
    return lt_dtype_is_signed(dtype) || lt_dtype_is_unsigned(dtype);
}

/* --- interning ------------------------------------------------------------------------------- */

typedef struct TypeChain {
    Type type;
    struct TypeChain *next; /* others of the same hash */
} TypeChain;

static uint64_t hash_type(DType dtype, int rank, const Dim *const *dims) {
    uint64_t hash = lt_hash_u64((uint64_t)dtype * 64 + (uint64_t)rank);
    for (int i = 0; i < rank; i++)
        hash = lt_hash_u64(hash ^ dims[i]->id);
    return hash;
}

static bool type_equal(const Type *type, DType dtype, int rank, const Dim *const *dims) {
    if (type->dtype != dtype || type->rank != rank)
        return false;
    for (int i = 0; i < rank; i++) {
        if (type->dims[i] != dims[i])
            return false;
    }
    return true;
}

const Type *lt_type(Module *m, DType dtype, int rank, const Dim *const *dims) {
    assert(rank >= 0 && rank <= LT_MAX_RANK);
    const uint64_t key = hash_type(dtype, rank, dims);
    TypeChain *head = lt_map_get(&m->types, key);
    for (TypeChain *chain = head; chain; chain = chain->next) {
        if (type_equal(&chain->type, dtype, rank, dims))
            return &chain->type;
    }
    TypeChain *made = LT_NEW(m->arena, TypeChain);
    const Dim **copy = LT_ARRAY(m->arena, const Dim *, rank);
    for (int i = 0; i < rank; i++)
        copy[i] = dims[i];
    made->type = (Type){.dtype = dtype, .rank = rank, .dims = copy};
    made->next = head;
    lt_map_set(&m->types, key, made);
    return &made->type;
}

const Type *lt_type_static(Module *m, DType dtype, int rank, const int64_t *dims) {
    assert(rank >= 0 && rank <= LT_MAX_RANK);
    const Dim *list[LT_MAX_RANK];
    for (int i = 0; i < rank; i++)
        list[i] = lt_dim_const(&m->dims, dims[i]);
    return lt_type(m, dtype, rank, list);
}

const Type *lt_type_with_dtype(Module *m, const Type *type, DType dtype) {
    return type->dtype == dtype ? type : lt_type(m, dtype, type->rank, type->dims);
}

const Dim *lt_type_elements(Module *m, const Type *type) {
    return lt_dim_product(&m->dims, type->dims, type->rank);
}

bool lt_type_is_data(const Module *m, const Type *type) {
    for (int i = 0; i < type->rank; i++)
        if (lt_dim_is_data(&m->dims, type->dims[i]))
            return true;
    return false;
}

bool lt_type_same_dims(const Type *a, const Type *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

bool lt_type_is_static(const Type *type, int64_t *elements) {
    int64_t product = 1;
    bool empty = false;
    for (int i = 0; i < type->rank; i++) {
        if (!lt_dim_is_const(type->dims[i]))
            return false;
        empty = empty || type->dims[i]->value == 0;
    }
    for (int i = 0; i < type->rank && !empty; i++) {
        if (!lt_mul_i64(product, type->dims[i]->value, &product))
            return false;
    }
    if (elements)
        *elements = empty ? 0 : product;
    return true;
}

void lt_type_print(Str *out, const Type *type) {
    lt_str_append(out, lt_dtype_name(type->dtype));
    lt_str_char(out, '[');
    for (int i = 0; i < type->rank; i++) {
        if (i > 0)
            lt_str_char(out, ',');
        lt_dim_print(out, type->dims[i]);
    }
    lt_str_char(out, ']');
}
