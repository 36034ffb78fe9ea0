/* kernel_expr.c - hash-consed expressions: making, folding and replacing them.
 *
 * What is folded is exact: x * 1 is x for floats too, but x + 0 is not, since -0 + 0 is 0. Index
 * arithmetic becomes one Dim, which has a canonical form of its own. */
#include "ir/kernel_expr.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* --- interning -------------------------------------------------------------------------------- */

typedef struct ExprChain {
    Expr expr;
    struct ExprChain *next; /* others of the same hash */
} ExprChain;

static uint64_t mix(uint64_t hash, uint64_t value) { return lt_hash_u64(hash ^ value); }

static uint64_t hash_load(const Expr *e, uint64_t hash) {
    hash = mix(hash, e->u.load.buffer->index);
    for (int32_t i = 0; i < e->u.load.buffer->rank; i++)
        hash = mix(hash, e->u.load.index[i]->id);
    return e->u.load.predicate ? mix(hash, e->u.load.predicate->id + 1) : hash;
}

static uint64_t hash_expr(const Expr *e) {
    const uint64_t hash = lt_hash_u64((uint64_t)e->kind * 64 + (uint64_t)e->dtype);
    switch (e->kind) {
    case EXPR_CONST: return mix(hash, (uint64_t)e->u.i);
    case EXPR_INDEX: return mix(hash, e->u.dim->id);
    case EXPR_LOAD: return hash_load(e, hash);
    case EXPR_CALL:
    case EXPR_CONVERT:
    case EXPR_BITCAST: break;
    }
    uint64_t result = mix(hash, (uint64_t)e->u.call.fn);
    for (int i = 0; i < 3; i++)
        result = mix(result, e->u.call.args[i] ? (uint64_t)e->u.call.args[i]->id + 1 : 0);
    return result;
}

static bool same_expr(const Expr *a, const Expr *b) {
    if (a->kind != b->kind || a->dtype != b->dtype)
        return false;
    switch (a->kind) {
    case EXPR_CONST: return a->u.i == b->u.i; /* floats by their bits */
    case EXPR_INDEX: return a->u.dim == b->u.dim;
    case EXPR_LOAD:
        return a->u.load.buffer == b->u.load.buffer && a->u.load.predicate == b->u.load.predicate &&
               (a->u.load.buffer->rank == 0 ||
                memcmp(a->u.load.index, b->u.load.index,
                       (size_t)a->u.load.buffer->rank * sizeof *a->u.load.index) == 0);
    case EXPR_CALL:
    case EXPR_CONVERT:
    case EXPR_BITCAST: break;
    }
    return a->u.call.fn == b->u.call.fn && a->u.call.args[0] == b->u.call.args[0] &&
           a->u.call.args[1] == b->u.call.args[1] && a->u.call.args[2] == b->u.call.args[2];
}

static const Expr *intern(Kernel *k, const Expr *wanted) {
    const uint64_t key = hash_expr(wanted);
    ExprChain *head = lt_map_get(&k->exprs, key);
    for (const ExprChain *chain = head; chain; chain = chain->next) {
        if (same_expr(&chain->expr, wanted))
            return &chain->expr;
    }
    ExprChain *made = LT_NEW(k->arena, ExprChain);
    made->expr = *wanted;
    made->expr.id = k->next_expr++;
    if (wanted->kind == EXPR_LOAD)
        made->expr.u.load.index =
            lt_arena_copy(k->arena, wanted->u.load.index,
                          (size_t)wanted->u.load.buffer->rank * sizeof *wanted->u.load.index);
    made->next = head;
    lt_map_set(&k->exprs, key, made);
    return &made->expr;
}

/* --- leaves ----------------------------------------------------------------------------------- */

const Expr *lt_expr_float(Kernel *k, DType dtype, double value) {
    assert(lt_dtype_is_float(dtype));
    Expr e = {.kind = EXPR_CONST, .dtype = dtype};
    e.u.f = isnan(value) ? NAN : lt_dtype_round(dtype, value);
    return intern(k, &e);
}

const Expr *lt_expr_int(Kernel *k, DType dtype, int64_t value) {
    assert(!lt_dtype_is_float(dtype));
    Expr e = {.kind = EXPR_CONST, .dtype = dtype};
    e.u.i = lt_dtype_wrap(dtype, value);
    return intern(k, &e);
}

const Expr *lt_expr_index(Kernel *k, const Dim *dim) {
    if (lt_dim_is_const(dim))
        return lt_expr_int(k, DT_I64, dim->value);
    Expr e = {.kind = EXPR_INDEX, .dtype = DT_I64};
    e.u.dim = dim;
    return intern(k, &e);
}

bool lt_expr_is_const_bool(const Expr *e, bool value) {
    return e->kind == EXPR_CONST && e->dtype == DT_BOOL && e->u.i == value;
}

bool lt_expr_loads(const Expr *e, const Buffer *buffer) {
    if (e->kind == EXPR_LOAD)
        return e->u.load.buffer == buffer ||
               (e->u.load.predicate && lt_expr_loads(e->u.load.predicate, buffer));
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        if (e->u.call.args[i] && lt_expr_loads(e->u.call.args[i], buffer))
            return true;
    return false;
}

static const Expr *zero(Kernel *k, DType dtype) {
    return lt_dtype_is_float(dtype) ? lt_expr_float(k, dtype, 0) : lt_expr_int(k, dtype, 0);
}

const Expr *lt_expr_load(Kernel *k, const Buffer *buffer, const Dim *const *index,
                         const Expr *predicate) {
    if (predicate && lt_expr_is_const_bool(predicate, false))
        return zero(k, buffer->dtype);
    Expr e = {.kind = EXPR_LOAD, .dtype = buffer->dtype};
    e.u.load.buffer = buffer;
    e.u.load.index = index;
    e.u.load.predicate = predicate && lt_expr_is_const_bool(predicate, true) ? NULL : predicate;
    return intern(k, &e);
}

/* --- comparing indices ------------------------------------------------------------------------ */

/* 0 <= atom < the result, or NULL. */
static const Dim *atom_extent(Kernel *k, const Dim *atom) {
    if (atom->kind == DIM_SYMBOL)
        return atom->symbol < k->extents.len ? k->extents.data[atom->symbol] : NULL;
    if (atom->kind == DIM_MOD)
        return atom->args[1];
    const Dim *whole = atom->kind == DIM_FLOORDIV ? atom_extent(k, atom->args[0]) : NULL;
    return whole ? lt_dim_exact_div(&k->dims, whole, atom->args[1]) : NULL;
}

static bool is_nonnegative(const Kernel *k, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(&k->dims, d, &lo, &hi);
    return lo >= 0;
}

/* `term` with one atom at the end of its extent, if its coefficient has the wanted sign; else NULL.
 */
static const Dim *term_at_end(Kernel *k, const Dim *term, bool negative) {
    const bool is_product = term->kind == DIM_MUL;
    const int64_t coefficient = is_product ? term->value : 1;
    if ((coefficient < 0) != negative)
        return NULL;
    const uint32_t count = is_product ? term->count : 1;
    for (uint32_t i = 0; i < count; i++) {
        const Dim *extent = atom_extent(k, is_product ? term->args[i] : term);
        if (!extent)
            continue;
        const Dim *rest = lt_dim_const(&k->dims, 1);
        for (uint32_t j = 0; j < count; j++) {
            if (j != i)
                rest = lt_dim_mul(&k->dims, rest, term->args[j]);
        }
        if (!is_nonnegative(k, rest))
            continue;
        const Dim *end = lt_dim_mul(&k->dims, rest, lt_dim_add_const(&k->dims, extent, -1));
        return lt_dim_mul_const(&k->dims, end, coefficient);
    }
    return NULL;
}

/* One term of d moved to the end of its loop, which makes d smaller (or, `greater`, greater); NULL:
 * none. */
static const Dim *relax_once(Kernel *k, const Dim *d, bool greater) {
    const Dim *const *terms = d->kind == DIM_ADD ? d->args : &d;
    const uint32_t count = d->kind == DIM_ADD ? d->count : 1;
    for (uint32_t i = 0; i < count; i++) {
        const Dim *end = term_at_end(k, terms[i], !greater);
        if (end)
            return lt_dim_add(&k->dims, lt_dim_sub(&k->dims, d, terms[i]), end);
    }
    return NULL;
}

/* d > 0 (or, `at_most`, d <= 0) wherever the loops' bounds hold. Ranges alone fail for `n - i` with
 * an unbounded n: then i goes to its greatest value n - 1, one term after the other. */
static bool proves(Kernel *k, const Dim *d, bool at_most) {
    enum { STEPS = 12 };
    for (int step = 0; d && step < STEPS; step++) {
        int64_t lo, hi;
        lt_dim_range(&k->dims, d, &lo, &hi);
        if (at_most ? hi <= 0 : lo > 0)
            return true;
        d = relax_once(k, d, at_most);
    }
    return false;
}

static const Expr *make_call(Kernel *k, ScalarFn fn, DType dtype, const Expr *const args[3]) {
    Expr e = {.kind = EXPR_CALL, .dtype = dtype};
    e.u.call.fn = fn;
    for (int i = 0; i < lt_scalar_info[fn].arity; i++)
        e.u.call.args[i] = args[i];
    return intern(k, &e);
}

const Expr *lt_expr_less(Kernel *k, const Dim *a, const Dim *b) {
    const Dim *difference = lt_dim_sub(&k->dims, b, a);
    if (proves(k, difference, false))
        return lt_expr_int(k, DT_BOOL, true);
    if (proves(k, difference, true))
        return lt_expr_int(k, DT_BOOL, false);
    const Expr *args[3] = {lt_expr_index(k, a), lt_expr_index(k, b), NULL};
    return make_call(k, FN_LT, DT_BOOL, args);
}

const Expr *lt_expr_in_range(Kernel *k, const Dim *a, const Dim *extent) {
    return lt_expr_and(k, lt_expr_less(k, lt_dim_const(&k->dims, -1), a),
                       lt_expr_less(k, a, extent));
}

const Expr *lt_expr_and(Kernel *k, const Expr *a, const Expr *b) {
    if (!a || !b)
        return a ? a : b;
    return lt_expr_call(k, FN_AND, a, b, NULL);
}

/* --- folding calls ---------------------------------------------------------------------------- */

static DType result_dtype(ScalarFn fn, const Expr *const args[3]) {
    switch (lt_scalar_info[fn].rule) {
    case RULE_COMPARE:
    case RULE_LOGIC:
    case RULE_TEST: return DT_BOOL;
    case RULE_SELECT: return args[1]->dtype;
    case RULE_SAME:
    case RULE_FLOAT:
    case RULE_INT: break;
    }
    return args[0]->dtype;
}

static const Expr *fold_constants(Kernel *k, ScalarFn fn, DType dtype, const Expr *const args[3]) {
    const int arity = lt_scalar_info[fn].arity;
    for (int i = 0; i < arity; i++) {
        if (args[i]->kind != EXPR_CONST)
            return NULL;
    }
    const DType computed = args[0]->dtype;
    if (!lt_dtype_is_float(computed)) {
        int64_t v[3] = {0, 0, 0};
        for (int i = 0; i < arity; i++)
            v[i] = args[i]->u.i;
        const int64_t result = lt_scalar_eval_int(fn, v[0], v[1], v[2], computed == DT_U64);
        return lt_expr_int(k, dtype, result);
    }
    double v[3] = {0, 0, 0};
    for (int i = 0; i < arity; i++)
        v[i] = args[i]->u.f;
    const double result = lt_scalar_eval_float(fn, v[0], v[1], v[2]);
    return dtype == DT_BOOL ? lt_expr_int(k, DT_BOOL, result != 0)
                            : lt_expr_float(k, dtype, result);
}

enum { INTS = 1, FLOATS = 2, BOTH = 3 };

/* fn(a, value) is a (or, `gives_value`, value). */
static const struct Identity {
    ScalarFn fn;
    int dtypes;
    double value;
    bool gives_value;
} identities[] = {
    {FN_ADD, INTS, 0, false},      {FN_ADD, FLOATS, -0.0, false}, {FN_SUB, BOTH, 0, false},
    {FN_MUL, BOTH, 1, false},      {FN_MUL, INTS, 0, true},       {FN_DIV, BOTH, 1, false},
    {FN_FLOORDIV, INTS, 1, false}, {FN_POW, BOTH, 1, false},      {FN_AND, INTS, 1, false},
    {FN_AND, INTS, 0, true},       {FN_OR, INTS, 0, false},       {FN_OR, INTS, 1, true},
    {FN_XOR, INTS, 0, false},      {FN_SHL, INTS, 0, false},      {FN_SHR, INTS, 0, false},
    {FN_BITOR, INTS, 0, false},    {FN_BITXOR, INTS, 0, false},   {FN_BITAND, INTS, 0, true},
};

static bool is_const(const Expr *e, double value) {
    if (e->kind != EXPR_CONST)
        return false;
    if (!lt_dtype_is_float(e->dtype))
        return e->u.i == (int64_t)value;
    return e->u.f == value && signbit(e->u.f) == signbit(value);
}

static const Expr *fold_identity(ScalarFn fn, const Expr *a, const Expr *b) {
    const int dtypes = lt_dtype_is_float(a->dtype) ? FLOATS : INTS;
    for (size_t i = 0; i < sizeof identities / sizeof *identities; i++) {
        const struct Identity *row = &identities[i];
        if (row->fn == fn && (row->dtypes & dtypes) && is_const(b, row->value))
            return row->gives_value ? b : a;
    }
    const bool is_idempotent = fn == FN_MIN || fn == FN_MAX || fn == FN_AND || fn == FN_OR;
    return a == b && is_idempotent ? a : NULL;
}

static const Expr *fold_unary(ScalarFn fn, const Expr *a) {
    const bool undoes_itself = fn == FN_NEG || fn == FN_NOT || fn == FN_BITNOT;
    return undoes_itself && a->kind == EXPR_CALL && a->u.call.fn == fn ? a->u.call.args[0] : NULL;
}

static const Expr *fold_ternary(Kernel *k, ScalarFn fn, const Expr *const args[3]) {
    if (fn == FN_FMA && is_const(args[1], 1))
        return lt_expr_call(k, FN_ADD, args[0], args[2], NULL);
    if (fn != FN_SELECT)
        return NULL;
    if (args[0]->kind == EXPR_CONST)
        return args[0]->u.i ? args[1] : args[2];
    if (args[1] == args[2])
        return args[1];
    if (args[1]->dtype == DT_BOOL && is_const(args[1], 1) && is_const(args[2], 0))
        return args[0];
    return NULL;
}

/* --- folding index arithmetic into Dims ------------------------------------------------------- */

static const Dim *dim_of(Kernel *k, const Expr *e) {
    if (e->kind == EXPR_INDEX)
        return e->u.dim;
    return e->kind == EXPR_CONST && e->dtype == DT_I64 ? lt_dim_const(&k->dims, e->u.i) : NULL;
}

static bool is_positive(const Kernel *k, const Dim *d) {
    int64_t lo, hi;
    lt_dim_range(&k->dims, d, &lo, &hi);
    return lo > 0;
}

static const Dim *fold_dims(Kernel *k, ScalarFn fn, const Dim *a, const Dim *b) {
    DimTable *t = &k->dims;
    switch (fn) {
    case FN_ADD: return lt_dim_add(t, a, b);
    case FN_SUB: return lt_dim_sub(t, a, b);
    case FN_MUL: return lt_dim_mul(t, a, b);
    case FN_MIN: return lt_dim_min(t, a, b);
    case FN_MAX: return lt_dim_max(t, a, b);
    case FN_FLOORDIV: return is_positive(k, b) ? lt_dim_floordiv(t, a, b) : NULL;
    case FN_MOD: return is_positive(k, b) ? lt_dim_mod(t, a, b) : NULL;
    case FN_DIV: return is_positive(k, b) && is_nonnegative(k, a) ? lt_dim_floordiv(t, a, b) : NULL;
    default: return NULL;
    }
}

static const Expr *fold_equal(Kernel *k, ScalarFn fn, const Dim *a, const Dim *b) {
    const Dim *difference = lt_dim_sub(&k->dims, b, a);
    if (lt_dim_is(difference, 0))
        return lt_expr_int(k, DT_BOOL, fn == FN_EQ);
    const bool differ =
        proves(k, difference, false) || proves(k, lt_dim_sub(&k->dims, a, b), false);
    return differ ? lt_expr_int(k, DT_BOOL, fn == FN_NE) : NULL;
}

static const Expr *fold_comparison(Kernel *k, ScalarFn fn, const Dim *a, const Dim *b) {
    switch (fn) {
    case FN_LT: return lt_expr_less(k, a, b);
    case FN_LE: return lt_expr_less(k, a, lt_dim_add_const(&k->dims, b, 1));
    case FN_GT: return lt_expr_less(k, b, a);
    case FN_GE: return lt_expr_less(k, b, lt_dim_add_const(&k->dims, a, 1));
    case FN_EQ:
    case FN_NE: return fold_equal(k, fn, a, b);
    default: return NULL;
    }
}

static const Expr *fold_index(Kernel *k, ScalarFn fn, const Expr *const args[3]) {
    const Dim *dims[3] = {NULL, NULL, NULL};
    const int arity = lt_scalar_info[fn].arity;
    for (int i = 0; i < arity; i++) {
        dims[i] = dim_of(k, args[i]);
        if (!dims[i])
            return NULL;
    }
    if (fn == FN_NEG)
        return lt_expr_index(k, lt_dim_mul_const(&k->dims, dims[0], -1));
    if (fn == FN_FMA)
        return lt_expr_index(k,
                             lt_dim_add(&k->dims, lt_dim_mul(&k->dims, dims[0], dims[1]), dims[2]));
    if (arity != 2)
        return NULL;
    const Dim *folded = fold_dims(k, fn, dims[0], dims[1]);
    return folded ? lt_expr_index(k, folded) : fold_comparison(k, fn, dims[0], dims[1]);
}

const Expr *lt_expr_call(Kernel *k, ScalarFn fn, const Expr *a, const Expr *b, const Expr *c) {
    const ScalarInfo *info = &lt_scalar_info[fn];
    if (info->commutative && info->arity == 2 && a->kind == EXPR_CONST && b->kind != EXPR_CONST)
        return lt_expr_call(k, fn, b, a, NULL);
    if (fn == FN_FMA && a->kind == EXPR_CONST && b->kind != EXPR_CONST)
        return lt_expr_call(k, fn, b, a, c);
    const Expr *args[3] = {a, info->arity > 1 ? b : NULL, info->arity > 2 ? c : NULL};
    assert(a && (info->arity < 2 || b) && (info->arity < 3 || c));
    const DType dtype = result_dtype(fn, args);
    const Expr *folded = fn == FN_SELECT ? NULL : fold_constants(k, fn, dtype, args);
    if (!folded)
        folded = fold_index(k, fn, args);
    if (!folded)
        folded = info->arity == 1   ? fold_unary(fn, a)
                 : info->arity == 2 ? fold_identity(fn, a, b)
                                    : fold_ternary(k, fn, args);
    return folded ? folded : make_call(k, fn, dtype, args);
}

const Expr *lt_expr_convert(Kernel *k, const Expr *a, DType dtype) {
    if (a->dtype == dtype)
        return a;
    const bool from_float = lt_dtype_is_float(a->dtype), to_float = lt_dtype_is_float(dtype);
    if (a->kind == EXPR_CONST && to_float)
        return lt_expr_float(k, dtype,
                             from_float ? a->u.f : lt_convert_to_float(a->dtype, a->u.i, dtype));
    if (a->kind == EXPR_CONST)
        return lt_expr_int(k, dtype,
                           from_float         ? lt_convert_to_int(dtype, a->u.f)
                           : dtype == DT_BOOL ? a->u.i != 0
                                              : a->u.i);
    Expr e = {.kind = EXPR_CONVERT, .dtype = dtype};
    e.u.call.args[0] = a;
    return intern(k, &e);
}

const Expr *lt_expr_bitcast(Kernel *k, const Expr *a, DType dtype) {
    assert(lt_dtype_bits(a->dtype) == lt_dtype_bits(dtype));
    if (a->dtype == dtype)
        return a;
    if (a->kind == EXPR_BITCAST && a->dtype != DT_BOOL) /* a bool has one bit of all */
        return lt_expr_bitcast(k, a->u.call.args[0], dtype);
    Expr e = {.kind = EXPR_BITCAST, .dtype = dtype};
    e.u.call.args[0] = a;
    return intern(k, &e);
}

const Expr *lt_expr_cast_like(Kernel *k, const Expr *cast, const Expr *a) {
    if (cast->kind == EXPR_CALL)
        return lt_expr_call(k, cast->u.call.fn, a, NULL, NULL);
    return cast->kind == EXPR_BITCAST ? lt_expr_bitcast(k, a, cast->dtype)
                                      : lt_expr_convert(k, a, cast->dtype);
}
