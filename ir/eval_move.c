/* eval_move.c - evaluates the ops that make or move elements: bytes are copied, never interpreted.
 */
#include <string.h>

#include "ir/eval_ops.h"
#include "runtime/base/checked.h"

/* --- strided copies ------------------------------------------------------------------------------
 */

enum {
    COPY_TILE = 32
}; /* two dims are walked in squares of this side, so that lines are used while cached */

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

static void drop_axis(StridedCopy *c, int axis) {
    const size_t behind = (size_t)(c->rank - axis - 1) * sizeof(int64_t);
    memmove(c->extent + axis, c->extent + axis + 1, behind);
    memmove(c->to_stride + axis, c->to_stride + axis + 1, behind);
    memmove(c->from_stride + axis, c->from_stride + axis + 1, behind);
    c->rank--;
}

static void swap_axes(StridedCopy *c, int a, int b) {
    const int64_t extent = c->extent[a], to = c->to_stride[a], from = c->from_stride[a];
    c->extent[a] = c->extent[b];
    c->to_stride[a] = c->to_stride[b];
    c->from_stride[a] = c->from_stride[b];
    c->extent[b] = extent;
    c->to_stride[b] = to;
    c->from_stride[b] = from;
}

/* Drops axes of extent 1 and merges neighbours that are one axis for both sides; at least 2 axes
 * remain, the first of the last two being the one along which the source is densest. */
static void simplify_copy(StridedCopy *c) {
    for (int i = c->rank - 1; i >= 0; i--) {
        if (c->extent[i] == 1) {
            drop_axis(c, i);
        } else if (i + 1 < c->rank && c->to_stride[i] == c->to_stride[i + 1] * c->extent[i + 1] &&
                   c->from_stride[i] == c->from_stride[i + 1] * c->extent[i + 1]) {
            c->extent[i + 1] *= c->extent[i];
            drop_axis(c, i);
        }
    }
    while (c->rank < 2) {
        memmove(c->extent + 1, c->extent, (size_t)c->rank * sizeof(int64_t));
        memmove(c->to_stride + 1, c->to_stride, (size_t)c->rank * sizeof(int64_t));
        memmove(c->from_stride + 1, c->from_stride, (size_t)c->rank * sizeof(int64_t));
        c->extent[0] = 1;
        c->to_stride[0] = c->from_stride[0] = (int64_t)c->size;
        c->rank++;
    }
    int densest = c->rank - 2;
    for (int i = 0; i < c->rank - 2; i++) {
        if (magnitude(c->from_stride[i]) < magnitude(c->from_stride[densest]))
            densest = i;
    }
    swap_axes(c, densest, c->rank - 2);
}

typedef struct Tile {
    int64_t rows, columns;
    char *to;
    const char *from;
} Tile;

#define COPY_TILE_AS(T) \
    for (int64_t i = 0; i < tile.rows; i++) { \
        char *to = tile.to + i * to_row; \
        const char *from = tile.from + i * from_row; \
        for (int64_t j = 0; j < tile.columns; j++) \
            memcpy(to + j * to_column, from + j * from_column, sizeof(T)); \
    } \
    break

static void copy_tile(const StridedCopy *c, Tile tile) {
    const int64_t to_row = c->to_stride[c->rank - 2], to_column = c->to_stride[c->rank - 1];
    const int64_t from_row = c->from_stride[c->rank - 2], from_column = c->from_stride[c->rank - 1];
    switch (c->size) {
    case 1: COPY_TILE_AS(uint8_t);
    case 2: COPY_TILE_AS(uint16_t);
    case 4: COPY_TILE_AS(uint32_t);
    default: COPY_TILE_AS(uint64_t);
    }
}

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

static void copy_plane(const StridedCopy *c, char *to, const char *from) {
    const int row = c->rank - 2, column = c->rank - 1;
    const int64_t rows = c->extent[row], columns = c->extent[column], size = (int64_t)c->size;
    if (c->to_stride[column] == size && c->from_stride[column] == size) {
        for (int64_t i = 0; i < rows; i++)
            memcpy(to + i * c->to_stride[row], from + i * c->from_stride[row],
                   (size_t)(columns * size));
        return;
    }
    for (int64_t i = 0; i < rows; i += COPY_TILE) {
        for (int64_t j = 0; j < columns; j += COPY_TILE) {
            copy_tile(c,
                      (Tile){.rows = at_most(COPY_TILE, rows - i),
                             .columns = at_most(COPY_TILE, columns - j),
                             .to = to + i * c->to_stride[row] + j * c->to_stride[column],
                             .from = from + i * c->from_stride[row] + j * c->from_stride[column]});
        }
    }
}

void lt_strided_copy(StridedCopy copy) {
    int64_t index[LT_MAX_RANK + 1] = {0};
    if (lt_count(copy.rank, copy.extent) == 0)
        return;
    simplify_copy(&copy);
    do {
        int64_t to = 0, from = 0;
        for (int i = 0; i < copy.rank - 2; i++) {
            to += index[i] * copy.to_stride[i];
            from += index[i] * copy.from_stride[i];
        }
        copy_plane(&copy, copy.to + to, copy.from + from);
    } while (lt_next_index(copy.rank - 2, copy.extent, index));
}

/* A copy of all of `in`, whose axis i goes along to_strides[i] (elements) of `out`, from element
 * `start` on. */
static StridedCopy copy_into(Tensor *out, int64_t start, const int64_t *to_strides,
                             const Tensor *in) {
    const int64_t size = (int64_t)lt_dtype_size(in->dtype);
    StridedCopy copy = {.rank = in->rank, .size = (size_t)size};
    lt_dense_strides(in->rank, in->dims, copy.from_stride);
    for (int i = 0; i < in->rank; i++) {
        copy.extent[i] = in->dims[i];
        copy.to_stride[i] = to_strides[i] * size;
        copy.from_stride[i] *= size;
    }
    copy.to = (char *)out->data + start * size;
    copy.from = in->data;
    return copy;
}

/* A copy to all of `out`, whose axis i comes along from_strides[i] (elements) of `in`, from `start`
 * on. */
static StridedCopy copy_out(Tensor *out, const Tensor *in, int64_t start,
                            const int64_t *from_strides) {
    const int64_t size = (int64_t)lt_dtype_size(in->dtype);
    StridedCopy copy = {.rank = out->rank, .size = (size_t)size};
    lt_dense_strides(out->rank, out->dims, copy.to_stride);
    for (int i = 0; i < out->rank; i++) {
        copy.extent[i] = out->dims[i];
        copy.to_stride[i] *= size;
        copy.from_stride[i] = from_strides[i] * size;
    }
    copy.to = out->data;
    copy.from = (const char *)in->data + start * size;
    return copy;
}

void lt_mapped_copy(Tensor *out, const Tensor *in, int64_t *const *map) {
    const size_t size = lt_dtype_size(in->dtype);
    int64_t strides[LT_MAX_RANK], index[LT_MAX_RANK] = {0};
    char *to = out->data;
    lt_dense_strides(in->rank, in->dims, strides);
    if (lt_tensor_elements(out) == 0)
        return;
    do {
        int64_t from = 0;
        for (int i = 0; i < out->rank; i++)
            from += map[i][index[i]] * strides[i];
        memcpy(to, (const char *)in->data + (size_t)from * size, size);
        to += size;
    } while (lt_next_index(out->rank, out->dims, index));
}

/* --- values --------------------------------------------------------------------------------------
 */

bool lt_eval_CONST(Evaluation *ev, const Node *node) {
    const Const *c = lt_attr(node, ATTR_VALUE)->u.c;
    ev->values[lt_output(node)->id] = lt_tensor_from_const(ev->arena, c);
    return true;
}

bool lt_eval_DIMS(Evaluation *ev, const Node *node) {
    lt_eval_dims(ev, node, ATTR_DIMS, lt_eval_output(ev, node, 0)->data);
    return true;
}

bool lt_eval_BIND(Evaluation *ev, const Node *node) {
    const Attr *dims = lt_attr(node, ATTR_DIMS);
    const Tensor *x = eval_input(ev, node, 0);
    for (uint32_t i = 0; i < dims->count; i++) {
        const DimSymbol *symbol = &ev->module->dims.symbols.data[dims->u.dims[i]->symbol];
        const int64_t value = lt_tensor_get_int(x, i);
        if (value < symbol->lo || value > symbol->hi)
            return lt_eval_fail(ev, node, "%s is %lld, it must lie in %lld..%lld",
                                symbol->dim->name, (long long)value, (long long)symbol->lo,
                                (long long)symbol->hi);
        ev->symbols[dims->u.dims[i]->symbol] = value;
    }
    ev->values[lt_output(node)->id] = x;
    return lt_eval_guards(ev, node->graph);
}

bool lt_eval_IOTA(Evaluation *ev, const Node *node) {
    Tensor *out = lt_eval_output(ev, node, 0);
    const AxisSplit split = lt_split_axis(out, lt_attr_int(node, ATTR_AXIS, 0));
    const bool is_float = lt_dtype_is_float(out->dtype);
    for (int64_t i = 0; i < split.outer * split.extent; i++) {
        const int64_t at = i % split.extent;
        const Wide value = is_float ? (Wide){.f = (double)at} : (Wide){.i = at};
        for (int64_t j = 0; j < split.inner; j++)
            lt_tensor_store_row(out, (Row){i * split.inner + j, 1, 1}, &value);
    }
    return true;
}

/* --- moves ---------------------------------------------------------------------------------------
 */

bool lt_eval_RESHAPE(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    const Type *type = lt_output(node)->type;
    Tensor *out = LT_NEW(ev->arena, Tensor);
    *out = (Tensor){.dtype = in->dtype, .rank = type->rank, .data = in->data};
    for (int i = 0; i < type->rank; i++)
        out->dims[i] = eval_dim(ev, type->dims[i]);
    ev->values[lt_output(node)->id] = out;
    return lt_tensor_elements(out) == lt_tensor_elements(in) ||
           lt_eval_fail(ev, node, "a tensor of %lld elements cannot be reshaped to %lld elements",
                        (long long)lt_tensor_elements(in), (long long)lt_tensor_elements(out));
}

bool lt_eval_BROADCAST(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    int64_t dense[LT_MAX_RANK], strides[LT_MAX_RANK] = {0};
    const int shift = out->rank - in->rank;
    lt_dense_strides(in->rank, in->dims, dense);
    for (int i = 0; i < in->rank; i++)
        strides[i + shift] = in->dims[i] == 1 ? 0 : dense[i];
    lt_strided_copy(copy_out(out, in, 0, strides));
    return true;
}

bool lt_eval_TRANSPOSE(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    const int64_t *perm = eval_ints(node, ATTR_PERM);
    int64_t dense[LT_MAX_RANK], strides[LT_MAX_RANK];
    lt_dense_strides(in->rank, in->dims, dense);
    for (int i = 0; i < in->rank; i++)
        strides[i] = dense[perm[i]];
    lt_strided_copy(copy_out(lt_eval_output(ev, node, 0), in, 0, strides));
    return true;
}

bool lt_eval_SLICE(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const int64_t *step = eval_ints(node, ATTR_STEP);
    int64_t start[LT_MAX_RANK], strides[LT_MAX_RANK], first = 0;
    const bool is_empty = lt_tensor_elements(out) == 0;
    lt_eval_dims(ev, node, ATTR_START, start);
    lt_dense_strides(in->rank, in->dims, strides);
    for (int i = 0; i < in->rank && !is_empty; i++) {
        const int64_t last = start[i] + (out->dims[i] - 1) * step[i];
        if (start[i] < 0 || start[i] >= in->dims[i] || last < 0 || last >= in->dims[i])
            return lt_eval_fail(ev, node,
                                "the slice takes elements %lld to %lld of axis %d, which has %lld",
                                (long long)start[i], (long long)last, i, (long long)in->dims[i]);
        first += start[i] * strides[i];
        strides[i] *= step[i];
    }
    lt_strided_copy(copy_out(out, in, first, strides));
    return true;
}

bool lt_eval_CONCAT(Evaluation *ev, const Node *node) {
    Tensor *out = lt_eval_output(ev, node, 0);
    const int64_t axis = lt_attr_int(node, ATTR_AXIS, 0);
    int64_t strides[LT_MAX_RANK], at = 0;
    lt_dense_strides(out->rank, out->dims, strides);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const Tensor *in = eval_input(ev, node, i);
        lt_strided_copy(copy_into(out, at * strides[axis], strides, in));
        at += in->dims[axis];
    }
    return true;
}

/* Full blocks are one copy, the last, narrower block another. */
bool lt_eval_PACK(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0),
              place = (int)lt_attr_int(node, ATTR_COUNT, 0);
    const int64_t width = lt_attr_int(node, ATTR_PACKED, 1), full = in->dims[axis] / width;
    const int64_t size = (int64_t)lt_dtype_size(in->dtype);
    int64_t strides[LT_MAX_RANK];
    lt_dense_strides(out->rank, out->dims, strides);
    int64_t to_strides[LT_MAX_RANK] = {0};
    for (int i = 0, at = 0; i < in->rank; i++) {
        if (i == axis)
            continue;
        at += at == place;
        to_strides[i] = strides[at++];
    }
    to_strides[axis] = 1;
    StridedCopy blocks = copy_into(out, 0, to_strides, in);
    StridedCopy rest = blocks;
    blocks.extent[axis] = width;
    blocks.extent[in->rank] = full;
    blocks.to_stride[in->rank] = strides[place] * size;
    blocks.from_stride[in->rank] = blocks.from_stride[axis] * width;
    blocks.rank++;
    lt_strided_copy(blocks);
    rest.extent[axis] = in->dims[axis] - full * width;
    rest.to += full * strides[place] * size;
    rest.from += full * width * rest.from_stride[axis];
    lt_strided_copy(rest);
    return true;
}

/* --- pad -----------------------------------------------------------------------------------------
 */

static void pad_constant(const Node *node, Tensor *out, const Tensor *in, const int64_t *low) {
    const size_t size = lt_dtype_size(in->dtype), bytes = lt_tensor_bytes(out);
    const Attr *fill = lt_attr(node, ATTR_VALUE);
    int64_t strides[LT_MAX_RANK], first = 0;
    for (size_t at = 0; fill && at < bytes; at += size)
        memcpy((char *)out->data + at, fill->u.c->data, size);
    lt_dense_strides(out->rank, out->dims, strides);
    StridedCopy copy = copy_into(out, 0, strides, in);
    for (int i = 0; i < in->rank; i++) {
        const int64_t begin = low[i] < 0 ? -low[i] : 0; /* a negative pad crops */
        const int64_t end = at_most(in->dims[i], out->dims[i] - low[i]);
        copy.extent[i] = end > begin ? end - begin : 0;
        copy.from += begin * copy.from_stride[i];
        first += (low[i] + begin) * copy.to_stride[i];
    }
    if (lt_count(copy.rank, copy.extent) == 0)
        return;
    copy.to += first;
    lt_strided_copy(copy);
}

/* Which element of an axis of extent n stands at position `at`, possibly outside. */
static int64_t padded_index(char mode, int64_t at, int64_t n) {
    if (mode == 'e')
        return at < 0 ? 0 : at >= n ? n - 1 : at;
    if (mode == 'w')
        return lt_floormod(at, n);
    const int64_t period = n > 1 ? 2 * (n - 1) : 1;
    const int64_t folded = lt_floormod(at, period);
    return folded < n ? folded : period - folded;
}

bool lt_eval_PAD(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const char mode = *lt_attr_string(node, ATTR_MODE, "constant");
    int64_t low[LT_MAX_RANK], *map[LT_MAX_RANK];
    lt_eval_dims(ev, node, ATTR_PAD_LO, low);
    if (mode == 'c') {
        pad_constant(node, out, in, low);
        return true;
    }
    if (lt_tensor_elements(out) > 0 && lt_tensor_elements(in) == 0)
        return lt_eval_fail(ev, node, "there is no element to pad with");
    for (int i = 0; i < in->rank; i++) {
        map[i] = LT_ARRAY(ev->scratch, int64_t, out->dims[i]);
        for (int64_t j = 0; j < out->dims[i]; j++)
            map[i][j] = padded_index(mode, j - low[i], in->dims[i]);
    }
    lt_mapped_copy(out, in, map);
    return true;
}
