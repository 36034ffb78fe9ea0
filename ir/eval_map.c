/* eval_map.c - evaluates element-by-element ops in rows of wide elements. */
#include <string.h>

#include "ir/eval_ops.h"

enum { MAP_OPERANDS = 3, MAP_BLOCK = 512 };

/* The loops of a map: each operand's stride along each axis, 0 where it broadcasts. */
typedef struct MapLoops {
    int rank, operands;
    int64_t extent[LT_MAX_RANK], stride[MAP_OPERANDS][LT_MAX_RANK];
} MapLoops;

static bool axes_merge(const MapLoops *loops, int axis) {
    for (int k = 0; k < loops->operands; k++) {
        if (loops->stride[k][axis] != loops->stride[k][axis + 1] * loops->extent[axis + 1])
            return false;
    }
    return true;
}

static void drop_axis(MapLoops *loops, int axis) {
    const size_t behind = (size_t)(loops->rank - axis - 1) * sizeof(int64_t);
    memmove(loops->extent + axis, loops->extent + axis + 1, behind);
    for (int k = 0; k < loops->operands; k++)
        memmove(loops->stride[k] + axis, loops->stride[k] + axis + 1, behind);
    loops->rank--;
}

/* Few long rows are faster than many short ones: axes that are one axis for every operand merge. */
static void merge_axes(MapLoops *loops) {
    for (int i = loops->rank - 1; i >= 0; i--) {
        if (loops->extent[i] == 1 && loops->rank > 1) {
            drop_axis(loops, i);
        } else if (i + 1 < loops->rank && axes_merge(loops, i)) {
            loops->extent[i + 1] *= loops->extent[i];
            drop_axis(loops, i);
        }
    }
}

static void add_operand(MapLoops *loops, const Tensor *in) {
    int64_t dense[LT_MAX_RANK];
    lt_dense_strides(in->rank, in->dims, dense);
    for (int i = 0; i < in->rank; i++)
        loops->stride[loops->operands][i + loops->rank - in->rank] =
            in->dims[i] == 1 ? 0 : dense[i];
    loops->operands++;
}

typedef struct MapCall {
    ScalarFn fn;
    const Tensor *in[MAP_OPERANDS];
    Tensor *out;
    int operands;
    bool in_floats; /* computed in double */
} MapCall;

/* Shift counts of a dtype's width or more act as the widest count, which gives 0. */
static void widen_shift_counts(const MapCall *call, int64_t n, Wide *counts) {
    const int64_t bits = lt_dtype_bits(call->in[0]->dtype);
    for (int64_t i = 0; i < n; i++) {
        if (counts[i].i >= bits)
            counts[i].i = 64;
    }
}

/* Elements at..at+n of the output; rows[k] is where operand k's elements are. n <= MAP_BLOCK. */
static void map_block(const MapCall *call, int64_t at, int64_t n, const Row *rows) {
    Wide buffers[MAP_OPERANDS][MAP_BLOCK], out[MAP_BLOCK];
    const double *floats[MAP_OPERANDS];
    const int64_t *ints[MAP_OPERANDS];
    for (int k = 0; k < MAP_OPERANDS; k++) {
        const int source = k < call->operands ? k : 0;
        if (k == source)
            lt_tensor_load_row(call->in[k], rows[k], buffers[k]);
        /* A bool among floats is select's condition. */
        for (int64_t i = 0;
             k == source && call->in_floats && call->in[k]->dtype == DT_BOOL && i < n; i++)
            buffers[k][i].f = (double)buffers[k][i].i;
        floats[k] = &buffers[source]->f;
        ints[k] = &buffers[source]->i;
    }
    if (call->fn == FN_SHL || call->fn == FN_SHR)
        widen_shift_counts(call, n, buffers[1]);
    if (call->in_floats)
        lt_scalar_row_float(call->fn, n, floats, &out->f);
    else
        lt_scalar_row_int(call->fn, n, ints, &out->i,
                          call->in[call->operands - 1]->dtype == DT_U64);
    for (int64_t i = 0; call->in_floats && call->out->dtype == DT_BOOL && i < n; i++)
        out[i].i = out[i].f != 0;
    lt_tensor_store_row(call->out, (Row){at, 1, n}, out);
}

static void map_row(const MapCall *call, int64_t at, const MapLoops *loops, const int64_t *starts) {
    const int last = loops->rank - 1;
    for (int64_t i = 0; i < loops->extent[last]; i += MAP_BLOCK) {
        const int64_t left = loops->extent[last] - i, n = left < MAP_BLOCK ? left : MAP_BLOCK;
        Row rows[MAP_OPERANDS];
        for (int k = 0; k < loops->operands; k++)
            rows[k] = (Row){starts[k] + i * loops->stride[k][last], loops->stride[k][last], n};
        map_block(call, at + i, n, rows);
    }
}

bool lt_eval_MAP(Evaluation *ev, const Node *node) {
    MapCall call = {.fn = lt_node_fn(node), .out = lt_eval_output(ev, node, 0)};
    MapLoops loops = {.rank = call.out->rank ? call.out->rank : 1, .extent = {1}};
    memcpy(loops.extent, call.out->dims, sizeof(int64_t) * (size_t)call.out->rank);
    for (uint32_t i = 0; i < node->input_count; i++) {
        call.in[i] = eval_input(ev, node, i);
        add_operand(&loops, call.in[i]);
    }
    call.operands = loops.operands;
    call.in_floats = lt_dtype_is_float(call.in[call.operands - 1]->dtype);
    if (lt_tensor_elements(call.out) == 0)
        return true;
    merge_axes(&loops);
    int64_t index[LT_MAX_RANK] = {0}, at = 0;
    do {
        int64_t starts[MAP_OPERANDS] = {0};
        for (int k = 0; k < loops.operands; k++) {
            for (int i = 0; i + 1 < loops.rank; i++)
                starts[k] += index[i] * loops.stride[k][i];
        }
        map_row(&call, at, &loops, starts);
        at += loops.extent[loops.rank - 1];
    } while (lt_next_index(loops.rank - 1, loops.extent, index));
    return true;
}

bool lt_eval_CONVERT(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    const bool from_float = lt_dtype_is_float(in->dtype), to_float = lt_dtype_is_float(out->dtype);
    const int64_t n = lt_tensor_elements(in);
    Wide block[MAP_BLOCK];
    if (from_float != to_float) {
        for (int64_t i = 0; i < n; i++)
            lt_tensor_set_float(out, i, lt_tensor_get_float(in, i));
        return true;
    }
    for (int64_t i = 0; i < n; i += MAP_BLOCK) {
        const Row row = {i, 1, n - i < MAP_BLOCK ? n - i : MAP_BLOCK};
        lt_tensor_load_row(in, row, block);
        lt_tensor_store_row(out, row, block);
    }
    return true;
}

bool lt_eval_BITCAST(Evaluation *ev, const Node *node) {
    const Tensor *in = eval_input(ev, node, 0);
    Tensor *out = lt_eval_output(ev, node, 0);
    if (lt_tensor_elements(in) > 0)
        memcpy(out->data, in->data, (size_t)lt_tensor_elements(in) * lt_dtype_size(in->dtype));
    return true;
}
