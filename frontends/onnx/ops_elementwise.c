/* ops_elementwise.c - the ops that are one scalar function, by table, and those that are a few in a
 * row. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/strings.h"
#include "runtime/base/narrow.h"

typedef struct FnName {
    const char *op;
    ScalarFn fn;
} FnName;

static const FnName unary_functions[] = {
    {"Abs", FN_ABS},          {"Acos", FN_ACOS},         {"Acosh", FN_ACOSH},
    {"Asin", FN_ASIN},        {"Asinh", FN_ASINH},       {"Atan", FN_ATAN},
    {"Atanh", FN_ATANH},      {"BitwiseNot", FN_BITNOT}, {"Ceil", FN_CEIL},
    {"Cos", FN_COS},          {"Cosh", FN_COSH},         {"Erf", FN_ERF},
    {"Exp", FN_EXP},          {"Floor", FN_FLOOR},       {"IsNaN", FN_ISNAN},
    {"Log", FN_LOG},          {"Neg", FN_NEG},           {"Not", FN_NOT},
    {"Reciprocal", FN_RECIP}, {"Relu", FN_RELU},         {"Round", FN_ROUND},
    {"Sigmoid", FN_SIGMOID},  {"Sign", FN_SIGN},         {"Sin", FN_SIN},
    {"Sinh", FN_SINH},        {"Softplus", FN_SOFTPLUS}, {"Sqrt", FN_SQRT},
    {"Tan", FN_TAN},          {"Tanh", FN_TANH},
};

static const FnName binary_functions[] = {
    {"Add", FN_ADD},           {"Sub", FN_SUB},           {"Mul", FN_MUL},
    {"Div", FN_DIV},           {"And", FN_AND},           {"Or", FN_OR},
    {"Xor", FN_XOR},           {"BitwiseAnd", FN_BITAND}, {"BitwiseOr", FN_BITOR},
    {"BitwiseXor", FN_BITXOR}, {"Equal", FN_EQ},          {"Less", FN_LT},
    {"LessOrEqual", FN_LE},    {"Greater", FN_GT},        {"GreaterOrEqual", FN_GE},
};

static const FnName variadic_functions[] = {
    {"Max", FN_MAX}, {"Min", FN_MIN}, {"Sum", FN_ADD}, {"Mean", FN_ADD}};

/* The driver calls only what ops.def names, so a row is always there. */
static ScalarFn function_of(const FnName *table, size_t count, const char *op) {
    size_t i = 0;
    while (i + 1 < count && strcmp(table[i].op, op) != 0)
        i++;
    return table[i].fn;
}
#define FUNCTION_OF(table, op) function_of(table, sizeof(table) / sizeof *(table), op)

bool lt_onnx_unary(Import *im) {
    ScalarFn fn = FUNCTION_OF(unary_functions, im->node->op);
    return onnx_set(im, 0, lt_build_map1(&im->b, fn, im->inputs[0]));
}

/* Before opset 7 the second operand was laid along the first from an axis on, when "broadcast" said
 * so. */
static Value *legacy_operand(Import *im) {
    Value *x = im->inputs[0], *y = im->inputs[1];
    int64_t axis = lt_onnx_int(im, "axis", x->type->rank - y->type->rank);
    if (im->version >= 7 || !lt_onnx_int(im, "broadcast", 0))
        return y;
    if (axis < 0)
        axis += x->type->rank;
    int tail = x->type->rank - (int)axis - y->type->rank;
    if (axis < 0 || tail < 0) {
        lt_onnx_malformed(im, "axis %lld leaves no room for input 1", (long long)axis);
        return NULL;
    }
    const Dim **dims = lt_onnx_dim_array(im, y->type->rank + tail);
    for (int i = 0; i < y->type->rank + tail; i++)
        dims[i] = i < y->type->rank ? y->type->dims[i] : lt_dim_const(im->dims, 1);
    return lt_build_reshape(&im->b, y, y->type->rank + tail, dims);
}

bool lt_onnx_binary(Import *im) {
    ScalarFn fn = FUNCTION_OF(binary_functions, im->node->op);
    return onnx_set(im, 0, lt_build_map2(&im->b, fn, im->inputs[0], legacy_operand(im)));
}

bool lt_onnx_variadic(Import *im) {
    ScalarFn fn = FUNCTION_OF(variadic_functions, im->node->op);
    Value *total = im->inputs[0];
    for (uint32_t i = 1; i < im->input_count; i++) {
        if (!im->inputs[i])
            return lt_onnx_malformed(im, "input %u is missing", i);
        total = lt_build_map2(&im->b, fn, total, im->inputs[i]);
    }
    if (strcmp(im->node->op, "Mean") == 0)
        total = lt_onnx_map_scalar(im, FN_DIV, total, im->input_count);
    return onnx_set(im, 0, total);
}

bool lt_onnx_mod(Import *im) {
    bool truncates = lt_onnx_int(im, "fmod", 0) != 0;
    if (!truncates && im->version < 28 && lt_dtype_is_float(im->inputs[0]->type->dtype))
        return lt_onnx_malformed(im, "Mod of floats needs fmod = 1");
    return onnx_set(
        im, 0, lt_build_map2(&im->b, truncates ? FN_FMOD : FN_MOD, im->inputs[0], im->inputs[1]));
}

/* The operands may differ in dtype; the result has the base's. */
bool lt_onnx_pow(Import *im) {
    Value *x = im->inputs[0], *y = legacy_operand(im);
    if (!y)
        return false;
    DType base = x->type->dtype, exponent = y->type->dtype;
    bool in_floats = !lt_dtype_is_float(base) && lt_dtype_is_float(exponent);
    DType common = in_floats ? exponent : base;
    Value *power =
        lt_build_map2(&im->b, FN_POW, base == common ? x : lt_build_convert(&im->b, x, common),
                      exponent == common ? y : lt_build_convert(&im->b, y, common));
    return onnx_set(im, 0, in_floats ? lt_build_convert(&im->b, power, base) : power);
}

bool lt_onnx_bit_shift(Import *im) {
    const char *direction = lt_onnx_string(im, "direction", "");
    bool left = strcmp(direction, "LEFT") == 0;
    if (!left && strcmp(direction, "RIGHT") != 0)
        return lt_onnx_malformed(im, "direction is '%s'; expected LEFT or RIGHT", direction);
    return onnx_set(im, 0,
                    lt_build_map2(&im->b, left ? FN_SHL : FN_SHR, im->inputs[0], im->inputs[1]));
}

bool lt_onnx_is_inf(Import *im) {
    Value *x = im->inputs[0], *inf = lt_build_map1(&im->b, FN_ISINF, x);
    bool negative = lt_onnx_int(im, "detect_negative", 1) != 0;
    bool positive = lt_onnx_int(im, "detect_positive", 1) != 0;
    if (negative && positive)
        return onnx_set(im, 0, inf);
    Value *sign = lt_onnx_map_scalar(im, positive ? FN_GT : FN_LT, x, 0);
    if (!negative && !positive)
        sign = lt_onnx_map_scalar(im, FN_NE, lt_onnx_scalar_like(im, x, 0), 0);
    return onnx_set(im, 0, lt_build_map2(&im->b, FN_AND, inf, sign));
}

bool lt_onnx_where(Import *im) {
    return onnx_set(im, 0,
                    lt_build_map3(&im->b, FN_SELECT, im->inputs[0], im->inputs[1], im->inputs[2]));
}

/* A bound is one number, in some files of rank 1: as a scalar it does not change the rank. */
static Value *clip_bound(Import *im, Value *bound) {
    return bound && bound->type->rank > 0 ? lt_build_reshape(&im->b, bound, 0, NULL) : bound;
}

/* max wins where min > max, as the specification says; clamp's own order differs, so it needs min
 * <= max. */
static bool set_clip(Import *im, Value *low, Value *high) {
    Value *x = im->inputs[0];
    const Const *a = low ? lt_onnx_const(im, low) : NULL,
                *b = high ? lt_onnx_const(im, high) : NULL;
    if (a && b && lt_const_get_float(a, 0) <= lt_const_get_float(b, 0))
        return onnx_set(im, 0, lt_build_map3(&im->b, FN_CLAMP, x, low, high));
    if (low)
        x = lt_build_map2(&im->b, FN_MAX, x, low);
    if (high)
        x = lt_build_map2(&im->b, FN_MIN, x, high);
    if (!low && !high)
        x = lt_build_reshape(&im->b, x, x->type->rank, x->type->dims);
    return onnx_set(im, 0, x);
}

bool lt_onnx_clip(Import *im) {
    return set_clip(im, clip_bound(im, onnx_in(im, 1)), clip_bound(im, onnx_in(im, 2)));
}

bool lt_onnx_clip_6(Import *im) {
    Value *x = im->inputs[0], *low = NULL, *high = NULL;
    if (lt_onnx_has(im, "min"))
        low = lt_onnx_scalar_like(im, x, lt_onnx_float(im, "min", 0));
    if (lt_onnx_has(im, "max"))
        high = lt_onnx_scalar_like(im, x, lt_onnx_float(im, "max", 0));
    return set_clip(im, low, high);
}

/* To a power of two that is not below |x| ("up"), not above, or the nearest, which convert
 * gives. */
static Value *round_to_exponent(Import *im, Value *x, bool saturates) {
    const char *mode = lt_onnx_string(im, "round_mode", "up");
    const bool is_up = strcmp(mode, "up") == 0;
    x = lt_build_map1(&im->b, FN_ABS, lt_build_convert(&im->b, x, DT_F32));
    if (saturates) { /* infinity stays, and becomes NaN */
        Value *finite = lt_onnx_map_scalar(im, FN_LT, x, INFINITY);
        x = lt_build_map3(&im->b, FN_SELECT, finite, lt_onnx_map_scalar(im, FN_MIN, x, 0x1p127), x);
    }
    if (strcmp(mode, "nearest") == 0)
        return lt_build_convert(&im->b, x, DT_F8E8M0);
    Value *near = lt_build_convert(&im->b, lt_build_convert(&im->b, x, DT_F8E8M0), DT_F32);
    Value *misses = lt_build_map2(&im->b, is_up ? FN_LT : FN_GT, near, x);
    Value *other = lt_onnx_map_scalar(im, FN_MUL, near, is_up ? 2 : 0.5);
    /* What is nearest to 1.5 * 2^127 and above is no number: rounded down it is 2^127. */
    if (!is_up)
        x = lt_build_map3(&im->b, FN_SELECT, lt_onnx_map_scalar(im, FN_LT, x, 0x1.8p127),
                          lt_build_map3(&im->b, FN_SELECT, misses, other, near),
                          lt_onnx_map_scalar(im, FN_MIN, x, 0x1p127));
    else
        x = lt_build_map3(&im->b, FN_SELECT, misses, other, near);
    return lt_build_convert(&im->b, x, DT_F8E8M0);
}

Value *lt_onnx_cast_to(Import *im, Value *x, DType dtype) {
    const bool saturates = lt_onnx_int(im, "saturate", 1) != 0;
    if (!x || x->type->dtype == dtype)
        return x;
    const bool from_float = lt_dtype_is_float(x->type->dtype);
    if (lt_dtype_is_int(dtype) && lt_dtype_bits(dtype) < 8 && from_float)
        x = lt_build_convert(&im->b, x, DT_I32); /* the low bits of what is truncated */
    if (dtype == DT_F8E8M0)
        return round_to_exponent(im, x, saturates);
    if (!saturates || !lt_dtype_is_minifloat(dtype))
        return lt_build_convert(&im->b, x, dtype);
    x = from_float ? x : lt_build_convert(&im->b, x, DT_F32);
    const Minifloat *format = lt_minifloat((int)dtype);
    const double most = (double)lt_minifloat_to_f32((int)dtype, format->max);
    x = lt_build_map3(&im->b, FN_CLAMP, x, lt_onnx_scalar_like(im, x, -most),
                      lt_onnx_scalar_like(im, x, most));
    return lt_build_convert(&im->b, x, dtype);
}

bool lt_onnx_cast(Import *im) {
    DType dtype;
    int64_t to = lt_onnx_int(im, "to", 0);
    if (compound_of(im->inputs[0]))
        return to == ONNX_STRING
                   ? onnx_set(im, 0, im->inputs[0])
                   : lt_onnx_unsupported(im, "a cast of strings to numbers is not supported");
    if (to == ONNX_STRING)
        return lt_strings_from_numbers(im);
    if (!lt_onnx_dtype(to, &dtype))
        return lt_onnx_unsupported(im, "a cast to %s is not supported", lt_onnx_data_type_name(to));
    return onnx_set(im, 0, lt_onnx_cast_to(im, im->inputs[0], dtype));
}

bool lt_onnx_bit_cast(Import *im) {
    DType dtype;
    int64_t to = lt_onnx_int(im, "to", 0);
    if (!lt_onnx_dtype(to, &dtype))
        return lt_onnx_unsupported(im, "a cast to %s is not supported", lt_onnx_data_type_name(to));
    return onnx_set(im, 0, lt_build_bitcast(&im->b, im->inputs[0], dtype));
}

bool lt_onnx_cast_like(Import *im) {
    return onnx_set(im, 0, lt_onnx_cast_to(im, im->inputs[0], im->inputs[1]->type->dtype));
}
