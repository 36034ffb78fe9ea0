/* const.c - tensors known at compile time: one Const for each content, never copied, one element
 * when all are equal. A constant is hashed once when it arrives; a hit is confirmed by comparing
 * the bytes. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "ir/graph.h"
#include "runtime/base/checked.h"
#include "runtime/base/half.h"
#include "runtime/base/narrow.h"

typedef struct ConstChain {
    Const constant;
    struct ConstChain *next; /* others of the same hash */
} ConstChain;

static uint64_t hash_const(const Type *type, const void *data, size_t bytes, bool is_splat) {
    uint64_t hash = lt_hash_u64((uint64_t)type->dtype * 2 + is_splat);
    for (int i = 0; i < type->rank; i++)
        hash = lt_hash_u64(hash ^ (uint64_t)type->dims[i]->value);
    return lt_hash_bytes(data, bytes, hash);
}

static size_t static_bytes(const Type *type) {
    int64_t elements;
    size_t bytes = 0;
    const bool fits = lt_type_is_static(type, &elements) && elements >= 0 &&
                      lt_mul_size((size_t)elements, lt_dtype_size(type->dtype), &bytes);
    assert(fits && "a constant's dims are known and its size fits the address space");
    (void)fits;
    return bytes;
}

static const Const *intern_const(Module *m, const Const *wanted) {
    ConstChain *head = lt_map_get(&m->consts, wanted->hash);
    for (ConstChain *chain = head; chain; chain = chain->next) {
        const Const *c = &chain->constant;
        if (c->type == wanted->type && c->is_splat == wanted->is_splat &&
            c->bytes == wanted->bytes && memcmp(c->data, wanted->data, c->bytes) == 0)
            return c;
    }
    ConstChain *made = LT_NEW(m->arena, ConstChain);
    made->constant = *wanted;
    made->constant.id = (uint32_t)m->const_list.len;
    /* A splat's element may lie on the caller's stack. */
    if (wanted->is_splat)
        made->constant.data = lt_arena_copy(m->arena, wanted->data, wanted->bytes);
    made->next = head;
    lt_map_set(&m->consts, wanted->hash, made);
    lt_vec_push(m->arena, &m->const_list, &made->constant);
    return &made->constant;
}

const Const *lt_const(Module *m, const Type *type, const void *data) {
    const size_t bytes = static_bytes(type), element = lt_dtype_size(type->dtype);
    /* Equal to itself one element further on: all elements are equal. Stops at the first
     * difference. */
    if (bytes > 0 && memcmp(data, (const char *)data + element, bytes - element) == 0)
        return lt_const_splat(m, type, data);
    return intern_const(m, &(Const){.type = type,
                                    .data = data,
                                    .bytes = bytes,
                                    .hash = hash_const(type, data, bytes, false)});
}

const Const *lt_const_splat(Module *m, const Type *type, const void *element) {
    if (static_bytes(type) == 0)
        return lt_const(m, type, "");
    const size_t bytes = lt_dtype_size(type->dtype);
    return intern_const(m, &(Const){.type = type,
                                    .data = element,
                                    .bytes = bytes,
                                    .hash = hash_const(type, element, bytes, true),
                                    .is_splat = true});
}

/* --- the end of constants ------------------------------------------------------------------------
 */

static void mark_used(const Graph *g, bool *used) {
    LT_EACH_NODE(n, g) {
        for (uint32_t i = 0; i < n->attr_count; i++)
            if (lt_attr_info[n->attrs[i].name].kind == ATTR_KIND_CONST)
                used[n->attrs[i].u.c->id] = true;
        for (uint32_t i = 0; i < n->region_count; i++)
            mark_used(n->regions[i], used);
    }
}

/* A constant that arrives with this content is a new one. */
static void forget_content(Module *m, const Const *c) {
    ConstChain *chain = lt_map_get(&m->consts, c->hash), *kept = NULL;
    for (ConstChain *next; chain; chain = next) {
        next = chain->next;
        if (&chain->constant == c)
            continue;
        chain->next = kept;
        kept = chain;
    }
    lt_map_set(&m->consts, c->hash, kept);
}

static void release_data(Module *m, const Const *c) {
    if (lt_arena_release(m->arena, c->data))
        return;
    for (size_t i = 0; i < m->files.len; i++)
        lt_file_forget(&m->files.data[i], c->data, c->bytes);
}

void lt_module_release_consts(Module *m) {
    if (m->keep_consts)
        return;
    Arena scratch;
    lt_arena_init(&scratch);
    scratch.out_of_memory = m->arena->out_of_memory;
    bool *used = LT_ARRAY(&scratch, bool, m->const_list.len + 1);
    Map used_data; /* constants may share bytes: a matrix and its reshape */
    lt_map_init(&used_data, &scratch);
    mark_used(m->main, used);
    for (size_t i = 0; i < m->const_list.len; i++)
        if (used[i])
            lt_map_set(&used_data, lt_ptr_key(m->const_list.data[i]->data), m);
    for (size_t i = 0; i < m->const_list.len; i++) {
        Const *c = m->const_list.data[i];
        if (used[i] || !c->data)
            continue;
        forget_content(m, c);
        if (!lt_map_get(&used_data, lt_ptr_key(c->data)))
            release_data(m, c);
        c->data = NULL; /* who still reads it has missed that it ended */
    }
    lt_arena_free(&scratch);
}

/* --- elements -------------------------------------------------------------------------------- */

typedef union Element {
    float f32;
    double f64;
    uint16_t half;
    int64_t i; /* low bytes hold the narrower integers: the machine is little endian */
    unsigned char bytes[8];
} Element;

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are little endian");

static Element load_element(const Const *c, int64_t index) {
    const size_t size = lt_dtype_size(c->type->dtype);
    const size_t offset = c->is_splat ? 0 : (size_t)index * size;
    assert(index >= 0 && offset + size <= c->bytes);
    Element element = {.i = 0};
    memcpy(element.bytes, (const char *)c->data + offset, size);
    return element;
}

static double float_of(DType dtype, Element element) {
    switch (dtype) {
    case DT_F64: return element.f64;
    case DT_F16: return lt_f16_to_f32(element.half);
    case DT_BF16: return lt_bf16_to_f32(element.half);
    case DT_F32: return element.f32;
    default: return lt_minifloat_to_f32(dtype, element.bytes[0]);
    }
}

static int64_t int_of(DType dtype, Element element) {
    const int shift = 64 - lt_dtype_bits(dtype);
    if (!lt_dtype_is_signed(dtype))
        return (int64_t)((uint64_t)element.i << shift >> shift);
    return (int64_t)((uint64_t)element.i << shift) >> shift;
}

double lt_const_get_float(const Const *c, int64_t index) {
    const DType dtype = c->type->dtype;
    const Element element = load_element(c, index);
    if (lt_dtype_is_float(dtype))
        return float_of(dtype, element);
    return dtype == DT_U64 ? (double)(uint64_t)element.i : (double)int_of(dtype, element);
}

static int64_t truncate_float(double value) {
    if (isnan(value))
        return 0;
    if (value >= 0x1p63)
        return INT64_MAX;
    return value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

int64_t lt_const_get_int(const Const *c, int64_t index) {
    const DType dtype = c->type->dtype;
    const Element element = load_element(c, index);
    return lt_dtype_is_float(dtype) ? truncate_float(float_of(dtype, element))
                                    : int_of(dtype, element);
}

static Element element_of_float(DType dtype, double value) {
    Element element = {.i = 0};
    switch (dtype) {
    case DT_F32: element.f32 = (float)value; break;
    case DT_F64: element.f64 = value; break;
    case DT_F16: element.half = lt_f32_to_f16((float)value); break;
    case DT_BF16: element.half = lt_f32_to_bf16((float)value); break;
    case DT_BOOL: element.i = value != 0; break;
    default:
        if (lt_dtype_is_float(dtype))
            element.bytes[0] = lt_f32_to_minifloat(dtype, (float)value);
        else
            element.i = truncate_float(value);
    }
    return element;
}

const Const *lt_const_float(Module *m, DType dtype, double value) {
    const Element element = element_of_float(dtype, value);
    return lt_const_splat(m, lt_type(m, dtype, 0, NULL), element.bytes);
}

const Const *lt_const_int(Module *m, DType dtype, int64_t value) {
    if (lt_dtype_is_float(dtype))
        return lt_const_float(m, dtype, (double)value);
    const Element element = {.i = dtype == DT_BOOL ? value != 0 : value};
    return lt_const_splat(m, lt_type(m, dtype, 0, NULL), element.bytes);
}

const Const *lt_const_ints(Module *m, int64_t count, const int64_t *values) {
    const Type *type = lt_type_static(m, DT_I64, 1, &count);
    const void *copy = lt_arena_copy(m->arena, values, (size_t)count * sizeof *values);
    return lt_const(m, type, copy);
}
