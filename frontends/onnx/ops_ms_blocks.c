/* ops_ms_blocks.c - weights of com.microsoft that are stored in blocks of a few bits an element. */
#include <string.h>

#include "frontends/onnx/quant.h"

/* [.., n] bytes as [.., n * 8 / bits] numbers, the low bits first. */
static Value *unpack_bits(Import *im, Value *x, int64_t bits) {
    const int rank = x ? x->type->rank : 0, count = (int)(8 / bits);
    const int64_t axis = rank;
    const Dim *dims[LT_MAX_RANK];
    Value *parts[8];
    if (!x || bits == 8)
        return x;
    if (rank == LT_MAX_RANK) {
        lt_onnx_unsupported(im, "rank %d is not supported", rank);
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        Value *part = x;
        if (i > 0)
            part = lt_onnx_map_scalar(im, FN_SHR, part, (double)(i * bits));
        if (i + 1 < count)
            part = lt_onnx_map_scalar(im, FN_BITAND, part, (double)((1 << bits) - 1));
        if (!(parts[i] = lt_build_unsqueeze(&im->b, part, &axis, 1)))
            return NULL;
    }
    for (int i = 0; i < rank; i++)
        dims[i] = x->type->dims[i];
    dims[rank - 1] = lt_dim_mul_const(im->dims, dims[rank - 1], count);
    return lt_build_reshape(&im->b, lt_build_concat(&im->b, parts, (uint32_t)count, rank), rank,
                            dims);
}

static bool check_bits(Import *im, int64_t bits) {
    return bits == 2 || bits == 4 || bits == 8 ||
           lt_onnx_unsupported(im, "%lld bits are not supported", (long long)bits);
}

/* --- MatMulNBits --------------------------------------------------------------------------- */

typedef struct Blocks {
    int64_t bits, rows, columns, size, count; /* N, K; of a block; blocks in a row */
} Blocks;

static bool read_blocks(Import *im, Blocks *b) {
    b->bits = lt_onnx_int(im, "bits", 4);
    b->rows = lt_onnx_int(im, "N", 0);
    b->columns = lt_onnx_int(im, "K", 0);
    b->size = lt_onnx_int(im, "block_size", 0);
    if (!check_bits(im, b->bits))
        return false;
    if (b->rows < 1 || b->columns < 1 || b->rows > INT32_MAX || b->columns > INT32_MAX)
        return lt_onnx_malformed(im, "N is %lld and K is %lld", (long long)b->rows,
                                 (long long)b->columns);
    if (b->size < 16 || b->size > 1 << 20 || (b->size & (b->size - 1)) != 0)
        return lt_onnx_malformed(im, "block_size is %lld; expected a power of 2, at least 16",
                                 (long long)b->size);
    b->count = (b->columns + b->size - 1) / b->size;
    return lt_onnx_int(im, "weight_prepacked", 0) == 0 ||
           lt_onnx_unsupported(im, "weights that are packed for a device are not supported");
}

/* One number for each block, as [N, blocks, 1]. */
static Value *per_block(Import *im, const Blocks *b, Value *v, const char *what) {
    const Dim *dims[] = {lt_dim_const(im->dims, b->rows), lt_dim_const(im->dims, b->count),
                         lt_dim_const(im->dims, 1)};
    int64_t elements;
    if (!v)
        return NULL;
    if (lt_type_is_static(v->type, &elements) && elements != b->rows * b->count) {
        lt_onnx_malformed(im, "%s has %lld elements; expected %lld for each of %lld rows", what,
                          (long long)elements, (long long)b->count, (long long)b->rows);
        return NULL;
    }
    return lt_build_reshape(&im->b, v, 3, dims);
}

/* Bytes hold them packed, each row on its own; floats are what they are. */
static Value *zero_points(Import *im, const Blocks *b, DType dtype) {
    Value *v = onnx_in(im, 3);
    if (!v)
        return lt_build_float(&im->b, dtype, (double)(1 << (b->bits - 1)));
    if (v->type->dtype == DT_U8) {
        const int64_t bytes = (b->count * b->bits + 7) / 8;
        const Dim *dims[] = {lt_dim_const(im->dims, b->rows), lt_dim_const(im->dims, bytes)};
        v = unpack_bits(im, lt_build_reshape(&im->b, v, 2, dims), b->bits);
        v = lt_onnx_slice_axis(im, v, 1, lt_dim_const(im->dims, 0),
                               lt_dim_const(im->dims, b->count));
    }
    v = per_block(im, b, v, "zero_points");
    return v ? lt_build_convert(&im->b, v, dtype) : NULL;
}

/* The weight, [N, K]. */
static Value *unpacked_weight(Import *im, const Blocks *b, DType dtype) {
    const int64_t bytes = b->size * b->bits / 8;
    const Dim *packed[] = {lt_dim_const(im->dims, b->rows), lt_dim_const(im->dims, b->count),
                           lt_dim_const(im->dims, bytes)},
              *wide[] = {packed[0], lt_dim_const(im->dims, b->count * b->size)};
    if (im->inputs[1]->type->dtype != DT_U8) {
        lt_onnx_malformed(im, "the weight has dtype %s; expected u8",
                          lt_dtype_name(im->inputs[1]->type->dtype));
        return NULL;
    }
    Value *w = unpack_bits(im, lt_build_reshape(&im->b, im->inputs[1], 3, packed), b->bits);
    w = w ? lt_build_convert(&im->b, w, dtype) : NULL;
    w = lt_build_map2(&im->b, FN_SUB, w, zero_points(im, b, dtype));
    w = lt_build_map2(&im->b, FN_MUL, w, per_block(im, b, im->inputs[2], "scales"));
    w = w ? lt_build_reshape(&im->b, w, 2, wide) : NULL;
    return lt_onnx_slice_axis(im, w, 1, lt_dim_const(im->dims, 0),
                              lt_dim_const(im->dims, b->columns));
}

bool lt_onnx_ms_mat_mul_n_bits(Import *im) {
    Blocks b;
    Value *x = im->inputs[0], *bias = onnx_in(im, 5);
    if (!read_blocks(im, &b))
        return false;
    if (onnx_in(im, 4))
        return lt_onnx_unsupported(im, "g_idx is not supported");
    Value *w = unpacked_weight(im, &b, x->type->dtype);
    if (!w)
        return false;
    static const int64_t swap[] = {1, 0};
    Value *y = lt_onnx_product(im, lt_onnx_mat_mul, x, lt_build_transpose(&im->b, w, swap), NULL);
    return onnx_set(im, 0, bias ? lt_build_map2(&im->b, FN_ADD, y, bias) : y);
}

/* --- GatherBlockQuantized ------------------------------------------------------------------ */

/* Gathers first, so that only the rows that are wanted are made floats. */
bool lt_onnx_ms_gather_block_quantized(Import *im) {
    Value *data = im->inputs[0], *zero = onnx_in(im, 3);
    const int64_t bits = lt_onnx_int(im, "bits", 4), block = lt_onnx_int(im, "block_size", 128);
    const bool is_packed = data->type->dtype == DT_U8;
    int64_t from, along;
    if (!lt_onnx_axis(im, lt_onnx_int(im, "gather_axis", 0), data->type->rank, &from) ||
        !lt_onnx_axis(im, lt_onnx_int(im, "quantize_axis", 1), data->type->rank, &along) ||
        !check_bits(im, bits))
        return false;
    if (from == along)
        return lt_onnx_unsupported(im, "gather_axis and quantize_axis are the same");
    if (block < 16 || block > 1 << 20)
        return lt_onnx_malformed(im, "block_size is %lld", (long long)block);
    Value *scale = lt_build_gather(&im->b, im->inputs[2], im->inputs[1], (int)from);
    data = lt_build_gather(&im->b, data, im->inputs[1], (int)from);
    zero = zero ? lt_build_gather(&im->b, zero, im->inputs[1], (int)from) : NULL;
    if (!data || !scale || (onnx_in(im, 3) && !zero))
        return false;
    const int axis = (int)(along > from ? along + im->inputs[1]->type->rank - 1 : along),
              last = scale->type->rank - 1;
    if (is_packed) {
        data = unpack_bits(im, data, bits);
        zero = zero ? lt_onnx_slice_axis(im, unpack_bits(im, zero, bits), last,
                                         lt_dim_const(im->dims, 0), scale->type->dims[last])
                    : NULL;
    }
    const DType dtype = scale->type->dtype;
    if (!data)
        return false;
    const Type *type = data->type;
    data = lt_build_convert(&im->b, data, dtype);
    if (zero)
        zero = lt_onnx_spread_blocks(im, lt_build_convert(&im->b, zero, dtype), type, axis, block);
    else if (is_packed)
        zero = lt_build_float(&im->b, dtype, (double)(1 << (bits - 1)));
    if (zero)
        data = lt_build_map2(&im->b, FN_SUB, data, zero);
    return onnx_set(
        im, 0,
        lt_build_map2(&im->b, FN_MUL, data, lt_onnx_spread_blocks(im, scale, type, axis, block)));
}

/* --- MatMulBnb4 ---------------------------------------------------------------------------- */

/* The numbers that 4 bits stand for: floats of 4 bits, and quantiles of a normal distribution
 * (Dettmers et al., QLoRA, 2023). */
static const float numbers_of[2][16] = {
    {0, 5.208333333e-03f, 0.66666667f, 1, 0.33333333f, 0.5f, 0.16666667f, 0.25f, 0,
     -5.208333333e-03f, -0.66666667f, -1, -0.33333333f, -0.5f, -0.16666667f, -0.25f},
    {-1, -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f, -0.091050036f, 0,
     0.0795803f, 0.1609302f, 0.2461123f, 0.33791524f, 0.44070983f, 0.562617f, 0.72295684f, 1}};

/* [n, k]; the flat weight is cut in blocks, with the high bits of a byte first. */
static Value *bnb4_weight(Import *im, int64_t kind, int64_t rows, int64_t columns, int64_t block) {
    static const int64_t table_dims[] = {16}, flat_axis = 1;
    const int64_t all = rows * columns, blocks = (all + block - 1) / block;
    const Dim *padded[] = {lt_dim_const(im->dims, (all + 1) / 2 * 2)},
              *scales[] = {lt_dim_const(im->dims, blocks)},
              *sheet[] = {lt_dim_const(im->dims, rows), lt_dim_const(im->dims, columns)};
    Value *bytes = lt_build_reshape(&im->b, im->inputs[1], 1,
                                    (const Dim *[]){lt_dim_const(im->dims, (all + 1) / 2)});
    Value *halves[] = {lt_onnx_map_scalar(im, FN_SHR, bytes, 4),
                       lt_onnx_map_scalar(im, FN_BITAND, bytes, 15)};
    for (int i = 0; i < 2; i++)
        if (!(halves[i] = lt_build_unsqueeze(&im->b, halves[i], &flat_axis, 1)))
            return NULL;
    Value *codes = lt_build_reshape(&im->b, lt_build_concat(&im->b, halves, 2, 1), 1, padded);
    codes =
        lt_onnx_slice_axis(im, codes, 0, lt_dim_const(im->dims, 0), lt_dim_const(im->dims, all));
    codes = codes ? lt_build_convert(&im->b, codes, DT_I64) : NULL;
    Value *table = lt_build_const(
        &im->b,
        lt_const(im->module, lt_type_static(im->module, DT_F32, 1, table_dims), numbers_of[kind]));
    Value *w = lt_build_gather(&im->b, table, codes, 0),
          *scale = lt_build_reshape(&im->b, im->inputs[2], 1, scales);
    if (!w || !scale)
        return NULL;
    w = lt_build_map2(&im->b, FN_MUL, lt_build_convert(&im->b, w, scale->type->dtype),
                      lt_onnx_spread_blocks(im, scale, w->type, 0, block));
    return w ? lt_build_reshape(&im->b, w, 2, sheet) : NULL;
}

bool lt_onnx_ms_mat_mul_bnb4(Import *im) {
    static const int64_t swap[] = {1, 0};
    const int64_t rows = lt_onnx_int(im, "N", 0), columns = lt_onnx_int(im, "K", 0),
                  block = lt_onnx_int(im, "block_size", 0), kind = lt_onnx_int(im, "quant_type", 0);
    if (rows < 1 || columns < 1 || rows > INT32_MAX || columns > INT32_MAX)
        return lt_onnx_malformed(im, "N is %lld and K is %lld", (long long)rows,
                                 (long long)columns);
    if (block < 16 || block > 1 << 20)
        return lt_onnx_malformed(im, "block_size is %lld", (long long)block);
    if (kind != 0 && kind != 1)
        return lt_onnx_malformed(im, "quant_type is %lld; expected 0 or 1", (long long)kind);
    Value *x = im->inputs[0], *w = bnb4_weight(im, kind, rows, columns, block);
    if (w && lt_onnx_int(im, "transB", 1))
        w = lt_build_transpose(&im->b, w, swap);
    return w && lt_onnx_product(im, lt_onnx_mat_mul, x, w, NULL) != NULL;
}
