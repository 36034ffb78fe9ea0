/* kernel_substitute.c - replacing symbols and buffers in expressions, and values of a dtype. */
#include <assert.h>
#include <math.h>

#include "ir/kernel_expr.h"
#include "runtime/base/half.h"
#include "runtime/base/narrow.h"

/* --- substitution ----------------------------------------------------------------------------- */

void lt_substitution_init(Substitution *s, Kernel *k, const Dim *const *by,
                          const Buffer *const *buffer_by) {
    *s = (Substitution){.kernel = k, .by = by, .buffer_by = buffer_by, .done_count = k->next_expr};
    s->done = LT_ARRAY(k->arena, const Expr *, k->next_expr);
}

const Dim *lt_substitute_dim(Substitution *s, const Dim *d) {
    return s->by ? lt_dim_substitute(&s->kernel->dims, d, s->by) : d;
}

const Buffer *lt_substitute_buffer(Substitution *s, const Buffer *b) {
    const Buffer *by = s->buffer_by ? s->buffer_by[b->index] : NULL;
    return by ? by : b;
}

void lt_substitute_index(Substitution *s, const Dim *const *index, int rank, const Dim **out) {
    for (int i = 0; i < rank; i++)
        out[i] = lt_substitute_dim(s, index[i]);
}

static const Expr *rebuild(Substitution *s, const Expr *e) {
    Kernel *k = s->kernel;
    switch (e->kind) {
    case EXPR_CONST: /* of another kernel, where one is copied */
        return lt_dtype_is_float(e->dtype) ? lt_expr_float(k, e->dtype, e->u.f)
                                           : lt_expr_int(k, e->dtype, e->u.i);
    case EXPR_INDEX: return lt_expr_index(k, lt_substitute_dim(s, e->u.dim));
    case EXPR_CONVERT:
    case EXPR_BITCAST:
        return lt_expr_cast_like(k, e, lt_substitute_expr(s, e->u.call.args[0]));
    case EXPR_CALL: {
        const Expr *args[3] = {NULL, NULL, NULL};
        for (int i = 0; i < lt_scalar_info[e->u.call.fn].arity; i++)
            args[i] = lt_substitute_expr(s, e->u.call.args[i]);
        return lt_expr_call(k, e->u.call.fn, args[0], args[1], args[2]);
    }
    case EXPR_LOAD: {
        const Dim *index[LT_MAX_RANK];
        lt_substitute_index(s, e->u.load.index, e->u.load.buffer->rank, index);
        const Expr *predicate =
            e->u.load.predicate ? lt_substitute_expr(s, e->u.load.predicate) : NULL;
        return lt_expr_load(k, lt_substitute_buffer(s, e->u.load.buffer), index, predicate);
    }
    }
    assert(!"an expression");
    return NULL;
}

const Expr *lt_substitute_expr(Substitution *s, const Expr *e) {
    /* Only what is older than the substitution is asked for: what it makes, it does not visit. */
    assert(e->id < s->done_count);
    if (!s->done[e->id])
        s->done[e->id] = rebuild(s, e);
    return s->done[e->id];
}

const Expr *lt_expr_substitute(Kernel *k, const Expr *e, const Dim *const *by,
                               const Buffer *const *buffer_by) {
    Substitution s;
    lt_substitution_init(&s, k, by, buffer_by);
    return lt_substitute_expr(&s, e);
}

/* --- values of a dtype ------------------------------------------------------------------------ */

static const char *operand_error(ScalarRule rule, const ScalarInfo *info, const Expr *const args[3],
                                 int i) {
    const DType dtype = args[i]->dtype;
    const bool is_float = lt_dtype_is_float(dtype);
    if (rule == RULE_LOGIC || (rule == RULE_SELECT && i == 0))
        return dtype == DT_BOOL ? NULL : "bool";
    if ((rule == RULE_TEST || rule == RULE_FLOAT) && !is_float)
        return "a float";
    if (rule == RULE_INT && !lt_dtype_is_int(dtype))
        return "an integer";
    const int first = rule == RULE_SELECT;
    if (i > first && dtype != args[first]->dtype)
        return lt_dtype_name(args[first]->dtype);
    return (is_float ? info->for_floats : info->for_ints) ? NULL : "another dtype";
}

const char *lt_scalar_check(Arena *arena, ScalarFn fn, const Expr *const args[3]) {
    const ScalarInfo *info = &lt_scalar_info[fn];
    for (int i = 0; i < info->arity; i++) {
        const char *wanted = operand_error(info->rule, info, args, i);
        if (wanted)
            return lt_arena_printf(arena, "operand %d of %s: expected %s, found %s", i, info->name,
                                   wanted, lt_dtype_name(args[i]->dtype));
    }
    return NULL;
}

double lt_dtype_round(DType dtype, double value) {
    switch (dtype) {
    case DT_F32: return (double)(float)value;
    case DT_F16: return (double)lt_f16_to_f32(lt_f32_to_f16((float)value));
    case DT_BF16: return (double)lt_bf16_to_f32(lt_f32_to_bf16((float)value));
    default: break;
    }
    if (!lt_dtype_is_minifloat(dtype))
        return value;
    return (double)lt_minifloat_to_f32(dtype, lt_f32_to_minifloat(dtype, (float)value));
}

int64_t lt_dtype_wrap(DType dtype, int64_t value) {
    switch (dtype) {
    case DT_I8: return (int8_t)value;
    case DT_I16: return (int16_t)value;
    case DT_I32: return (int32_t)value;
    case DT_U8: return (uint8_t)value;
    case DT_U16: return (uint16_t)value;
    case DT_U32: return (uint32_t)value;
    case DT_BOOL: return value != 0;
    case DT_I4:
    case DT_I2: {
        const int64_t sign = INT64_C(1) << (lt_dtype_bits(dtype) - 1);
        return (value & (2 * sign - 1) & ~sign) - (value & sign);
    }
    case DT_U4: return value & 15;
    case DT_U2: return value & 3;
    default: return value;
    }
}

int64_t lt_convert_to_int(DType dtype, double value) {
    if (dtype == DT_BOOL)
        return value != 0; /* NaN is not zero */
    if (isnan(value))
        return 0;
    const int bits = lt_dtype_bits(dtype);
    const bool is_signed = lt_dtype_is_signed(dtype);
    const uint64_t most = UINT64_MAX >> (64 - bits + is_signed);
    const int64_t least = is_signed ? -(int64_t)most - 1 : 0;
    if (value >= ldexp(1, bits - is_signed))
        return (int64_t)most;
    if (value <= (double)least)
        return least;
    return dtype == DT_U64 ? (int64_t)(uint64_t)value : (int64_t)value;
}

double lt_convert_to_float(DType from, int64_t value, DType to) {
    /* To f32 in one rounding: by way of double there would be two. */
    if (to != DT_F64 && from == DT_U64)
        return lt_dtype_round(to, (double)(float)(uint64_t)value);
    if (to != DT_F64)
        return lt_dtype_round(to, (double)(float)value);
    return from == DT_U64 ? (double)(uint64_t)value : (double)value;
}
