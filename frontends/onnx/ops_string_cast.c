/* ops_string_cast.c - Cast of integers to strings, in decimal digits. */
#include "frontends/onnx/strings.h"

enum { MOST_DIGITS = 20 }; /* of u64 */

static Value *number(Import *im, Value *like, int64_t value) {
    return like ? lt_build_int(&im->b, like->type->dtype, value) : NULL;
}

static Value *with(Import *im, ScalarFn fn, Value *x, int64_t value) {
    return onnx_map2(im, fn, x, number(im, x, value));
}

static Value *at(Import *im, Value *data, Value *index) {
    return lt_build_gather(&im->b, data, index, 0);
}

/* u64[MOST_DIGITS]: 1, 10, ... */
static Value *powers_of_ten(Import *im) {
    const int64_t count = MOST_DIGITS;
    uint64_t *powers = LT_ARRAY(im->arena, uint64_t, count);
    for (int64_t i = 0; i < count; i++)
        powers[i] = i ? powers[i - 1] * 10 : 1;
    const Type *type = lt_type_static(im->module, DT_U64, 1, &count);
    return lt_build_const(&im->b, lt_const(im->module, type, powers));
}

/* A digit more for each power of ten that the size reaches. */
static Value *count_digits(Import *im, Value *size, Value *powers) {
    static const int64_t last[] = {1};
    const Dim *one = lt_dim_const(im->dims, 1), *rest = lt_dim_const(im->dims, MOST_DIGITS - 1);
    Value *column = lt_build_unsqueeze(&im->b, size, last, 1);
    Value *reached = onnx_map2(im, FN_GE, column, lt_onnx_slice_axis(im, powers, 0, one, rest));
    Value *count =
        lt_build_reduce(&im->b, FN_ADD, lt_build_convert(&im->b, reached, DT_I64), last, 1, false);
    return count ? with(im, FN_ADD, count, 1) : NULL;
}

bool lt_strings_from_numbers(Import *im) {
    Value *x = im->inputs[0];
    const Type *type = x->type;
    const bool is_signed = lt_dtype_is_signed(type->dtype);
    const Dim *elements = lt_type_elements(im->module, type);
    Spread spread = {0};
    if (lt_dtype_is_float(type->dtype) || type->dtype == DT_BOOL)
        return lt_onnx_unsupported(im, "a cast of %s to strings is not supported",
                                   lt_dtype_name(type->dtype));
    x = lt_build_reshape(&im->b, x, 1, &elements);
    Value *wide = is_signed ? lt_build_convert(&im->b, x, DT_I64) : NULL;
    Value *size = is_signed ? lt_build_map1(&im->b, FN_ABS, wide) : x; /* the least: 2^63 as u64 */
    size = lt_build_convert(&im->b, size, DT_U64);
    Value *powers = powers_of_ten(im), *digits = count_digits(im, size, powers);
    Value *sign = is_signed ? lt_build_convert(&im->b, with(im, FN_LT, wide, 0), DT_I64)
                            : with(im, FN_MUL, digits, 0);
    Value *lengths = onnx_map2(im, FN_ADD, digits, sign);
    if (!lengths || !lt_onnx_spread(im, lengths, &spread))
        return false;
    Value *behind = onnx_map2(im, FN_SUB, at(im, lengths, spread.owner), spread.offset);
    Value *power = with(im, FN_MIN, with(im, FN_SUB, behind, 1), MOST_DIGITS - 1);
    Value *digit = onnx_map2(im, FN_DIV, at(im, size, spread.owner), at(im, powers, power));
    digit = with(im, FN_ADD, with(im, FN_MOD, digit, 10), '0');
    Value *is_sign = onnx_map2(im, FN_LT, spread.offset, at(im, sign, spread.owner));
    Value *byte = lt_build_map3(&im->b, FN_SELECT, is_sign, number(im, digit, '-'), digit);
    const Strings s = {.bytes = lt_build_convert(&im->b, byte, DT_U8), .lengths = lengths};
    if (!s.bytes)
        return false;
    return strings_set(im, 0, lt_strings_reshape(im, &s, type->rank, type->dims));
}
