/* quant.h - what the converters of quantized ops share (ops_quant.c). */
#ifndef LATHE_FRONTENDS_ONNX_QUANT_H
#define LATHE_FRONTENDS_ONNX_QUANT_H

#include "frontends/onnx/ops.h"

/* One number as a scalar; a vector along `axis` of a tensor of this rank; others as they are. */
Value *lt_onnx_laid_along(Import *im, Value *v, int axis, int rank);
/* x - zero in i32; zero (may be NULL) lies along the axis where it is a vector. */
Value *lt_onnx_centered(Import *im, Value *x, Value *zero, int axis);
/* Runs the converter of the plain product on these operands (bias may be NULL). */
Value *lt_onnx_product(Import *im, OnnxConverter convert, Value *x, Value *y, Value *bias);
/* Clamped to the range of an integer dtype and converted; NULL after an error. */
Value *lt_onnx_saturate(Import *im, Value *x, DType dtype);
/* round(y * scale / output scale) + zero point, saturated: output 0. `output` holds the result's
 * scale and zero point. */
bool lt_onnx_set_requantized(Import *im, Value *y, Value *scale, Value *const *output);
/* Each block's parameter for all elements of a tensor of type x; the last block may be cut. */
Value *lt_onnx_spread_blocks(Import *im, Value *v, const Type *x, int axis, int64_t block);

/* A tensor in u8 with the range of its data, 0 included. */
typedef struct DynamicQuantization {
    Value *values, *scale, *zero;
} DynamicQuantization;
DynamicQuantization lt_onnx_quantize_dynamically(Import *im, Value *x);

#endif
