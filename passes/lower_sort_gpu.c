/* lower_sort_gpu.c - top-k on a GPU.
 *
 * A row is sorted in pieces that fit shared memory, a block each, as pairs of a key and the place
 * in the row. Keys are integers whose order is the order wanted, and places make them unique, so
 * that the network of comparisons, which is not stable, gives what a stable sort does. It is the
 * bitonic one whose first step of each stage compares from both ends, so that all of its
 * comparisons put the lower one first, and elements behind the end, which would never move, need
 * not be there.
 *
 * Where a row is several pieces, each keeps its first k. What is left is merged by rank: an
 * element's place among several sorted runs is the sum of how many come before it in each, which a
 * binary search tells; all threads work alone. Runs are merged 64 at a time, the last time however
 * many are left: that makes two or three kernels, whatever the length, and so no length needs to be
 * known. */
#include "passes/lower_gpu.h"

enum { PIECE = 1024, MERGED = 64 };

/* --- keys ---------------------------------------------------------------------------------------
 */

static DType key_dtype(DType dtype) {
    const bool is_wide = lt_dtype_size(dtype) == 8;
    if (dtype == DT_U64 || dtype == DT_U32)
        return dtype;
    return is_wide ? DT_I64 : DT_I32;
}

/* Bits of a float, those of negative ones turned: integers in the order of the numbers. Zeros are
 * equal, and NaN is above all. */
static const char float_key[] = "select(isnan(v[]), {most}, select(v[] == 0, 0, "
                                "select(bits[] < 0, bitxor(bits[], {most}), bits[])))";
static const char float_bits[] = "alloc v: {F}[] register v[] = {F}({x})\n"
                                 "      alloc bits: {K}[] register bits[] = bitcast.{K}(v[])\n";

/* {key}: of the element {x}, behind {bits}. */
static void set_key(GpuKernel *g, const GpuSort *sort) {
    const bool is_float = lt_dtype_is_float(sort->dtype), is_wide = sort->dtype == DT_F64;
    lt_gpu_word(g, "K", "%s", lt_dtype_name(key_dtype(sort->dtype)));
    lt_gpu_word(g, "F", "%s", is_wide ? "f64" : "f32");
    lt_gpu_word(g, "most", "%s", is_wide ? "9223372036854775807" : "2147483647");
    lt_gpu_word(g, "bits", "%s", is_float ? lt_gpu_fill(g, float_bits) : "");
    const char *key = lt_gpu_fill(g, is_float ? float_key : "{K}({x})");
    lt_gpu_word(g, "key", sort->is_largest ? "bitnot(%s)" : "%s", key);
}

/* --- pieces ------------------------------------------------------------------------------------
 */

/* What lies where: runs of `stride` elements of a row, of which `kept` are. */
typedef struct Runs {
    int64_t stride;
    const Dim *count, *kept;
    uint32_t keys, order; /* buffers [rows, count, kept] */
} Runs;

static const Dim *min_const(Assembly *a, const Dim *d, int64_t most) {
    return lt_dim_min(&a->module->dims, d, lt_dim_const(&a->module->dims, most));
}

static Runs make_runs(Assembly *a, const GpuSort *sort, int64_t stride) {
    DimTable *t = &a->module->dims;
    Runs runs = {.stride = stride, .kept = min_const(a, sort->k, stride)};
    runs.count = lt_dim_ceildiv(t, sort->length, lt_dim_const(t, stride));
    const Dim *dims[] = {lt_dim_mul(t, sort->outer, sort->inner), runs.count, runs.kept};
    runs.keys = lt_gpu_buffer(a, key_dtype(sort->dtype), 3, dims, "keys");
    runs.order = lt_gpu_buffer(a, DT_I32, 3, dims, "order");
    return runs;
}

static void add_row(GpuKernel *g, const GpuSort *sort) {
    lt_gpu_dim(g, "outer", sort->outer);
    lt_gpu_dim(g, "length", sort->length);
    lt_gpu_dim(g, "inner", sort->inner);
}

static void add_results(GpuKernel *g, const GpuSort *sort) {
    lt_gpu_dim(g, "k", sort->k);
    lt_gpu_input(g, "x", sort->x, "{outer}, {length}, {inner}");
    lt_gpu_output(g, "values", sort->values, "{outer}, {k}, {inner}");
    lt_gpu_output(g, "indices", sort->indices, "{outer}, {k}, {inner}");
}

static const char sort_piece[] =
    "grid piece in {outer} * {inner} * {count} {\n"
    "  alloc key: {K}[{piece}] shared\n"
    "  alloc order: i32[{piece}] shared\n"
    "  thread e.1 in {threads} { for e.0 in 2 {\n"
    "    if ({element} < {length}) {\n"
    "      {bits}"
    "      key[e.0 * {threads} + e.1] = {key}\n"
    "      order[e.0 * {threads} + e.1] = i32({element})\n"
    "    }\n"
    "  } }\n"
    "  barrier\n"
    "  for stage in {stages} { for step in stage + 1 {\n"
    "    let apart in 1..{threads} = shl(1, stage - step)\n"
    "    thread pair in {threads} {\n"
    "      let low in 0..{last} = bitor(bitand(2 * pair, 0 - 2 * apart), "
    "bitand(pair, apart - 1))\n"
    "      let high in 0..{last} = bitxor(low, select(step == 0, 2 * apart - 1, apart))\n"
    "      if ({begin} + high < {length}) {\n"
    "        alloc a: {K}[] register a[] = key[low]\n"
    "        alloc b: {K}[] register b[] = key[high]\n"
    "        alloc at_a: i32[] register at_a[] = order[low]\n"
    "        alloc at_b: i32[] register at_b[] = order[high]\n"
    "        if (b[] < a[] or b[] == a[] and at_b[] < at_a[]) {\n"
    "          key[low] = b[] key[high] = a[]\n"
    "          order[low] = at_b[] order[high] = at_a[]\n"
    "        }\n"
    "      }\n"
    "    }\n"
    "    barrier\n"
    "  } }\n"
    "  thread r.1 in {threads} { for r.0 in 2 {\n"
    "    if ({is_kept}) {\n"
    "      {store}\n"
    "    }\n"
    "  } }\n"
    "}";

static const char store_results[] = "let from in 0..inf = i64(order[{rank}])\n"
                                    "      values[{o}, {rank}, {i}] = x[{o}, from, {i}]\n"
                                    "      indices[{o}, {rank}, {i}] = from";
static const char store_runs[] =
    "keys[piece floordiv {count}, piece mod {count}, {rank}] = key[{rank}]\n"
    "      places[piece floordiv {count}, piece mod {count}, {rank}] = order[{rank}]";

/* The smallest power of two that holds a row, or a piece of it. */
static int64_t piece_of(const Assembly *a, const GpuSort *sort) {
    int64_t lo, hi, piece = 2;
    lt_dim_range(&a->module->dims, sort->length, &lo, &hi);
    while (piece < PIECE && piece < hi)
        piece *= 2;
    return piece;
}

static void add_piece(GpuKernel *g, int64_t piece) {
    int stages = 0;
    while (INT64_C(1) << stages < piece)
        stages++;
    lt_gpu_word(g, "piece", "%lld", (long long)piece);
    lt_gpu_word(g, "last", "%lld", (long long)piece - 1);
    lt_gpu_word(g, "threads", "%lld", (long long)piece / 2);
    lt_gpu_word(g, "stages", "%d", stages);
    lt_gpu_word(g, "o", "%s", lt_gpu_fill(g, "piece floordiv ({count} * {inner})"));
    lt_gpu_word(g, "i", "%s", lt_gpu_fill(g, "piece floordiv {count} mod {inner}"));
    lt_gpu_word(g, "begin", "%s", lt_gpu_fill(g, "piece mod {count} * {piece}"));
    lt_gpu_word(g, "element", "%s", lt_gpu_fill(g, "{begin} + e.0 * {threads} + e.1"));
    lt_gpu_word(g, "rank", "%s", lt_gpu_fill(g, "r.0 * {threads} + r.1"));
    lt_gpu_word(g, "x", "%s", lt_gpu_fill(g, "x[{o}, {element}, {i}]"));
}

/* All of a row in one piece: the results are there. */
static void sort_whole(Assembly *a, const Node *node, const GpuSort *sort, int64_t piece) {
    GpuKernel g = lt_gpu_kernel(a, node, "sort");
    add_row(&g, sort);
    lt_gpu_word(&g, "count", "1");
    add_piece(&g, piece);
    add_results(&g, sort);
    lt_gpu_word(&g, "is_kept", "%s", lt_gpu_fill(&g, "{rank} < {k}"));
    set_key(&g, sort);
    lt_gpu_word(&g, "store", "%s", lt_gpu_fill(&g, store_results));
    lt_gpu_launch(&g, sort_piece);
}

static Runs sort_pieces(Assembly *a, const Node *node, const GpuSort *sort) {
    const Runs runs = make_runs(a, sort, PIECE);
    GpuKernel g = lt_gpu_kernel(a, node, "pieces");
    add_row(&g, sort);
    lt_gpu_dim(&g, "count", runs.count);
    lt_gpu_dim(&g, "kept", runs.kept);
    add_piece(&g, PIECE);
    lt_gpu_word(&g, "is_kept", "%s",
                lt_gpu_fill(&g, "{rank} < {kept} and {begin} + {rank} < {length}"));
    set_key(&g, sort);
    lt_gpu_word(&g, "store", "%s", lt_gpu_fill(&g, store_runs));
    lt_gpu_input(&g, "x", sort->x, "{outer}, {length}, {inner}");
    lt_gpu_output(&g, "keys", runs.keys, "{outer} * {inner}, {count}, {kept}");
    lt_gpu_output(&g, "places", runs.order, "{outer} * {inner}, {count}, {kept}");
    lt_gpu_launch(&g, sort_piece);
    return runs;
}

/* --- merging ------------------------------------------------------------------------------------
 */

/* {group} runs become one, which keeps {limit}; the thread's element is number {p} of run {q}. */
static const char merge_runs[] =
    "grid c.0 in {rows} * {count} * {kept} ceildiv {threads} { thread c.1 in {threads} {\n"
    "  if ({c} < {rows} * {count} * {kept}) {\n"
    "  if ({q} * {stride} + {p} < {length}) {\n"
    "    alloc own: {K}[] register own[] = keys[{row}, {q}, {p}]\n"
    "    alloc rank: i32[] register rank[] = i32({p})\n"
    "    for g in {group} {\n"
    "      if ({other} < {count} and {other} != {q}) {\n"
    "        alloc before: i32[] register before[] = 0\n"
    "        for s in {steps} {\n"
    "          let end in 1..inf = i64(before[]) + shl(1, {steps} - 1 - s)\n"
    "          if (end <= {kept} and {other} * {stride} + end <= {length}) {\n"
    "            alloc one: {K}[] register one[] = keys[{row}, {other}, end - 1]\n"
    "            if (one[] < own[] or one[] == own[] and {other} < {q}) { before[] = i32(end) }\n"
    "          }\n"
    "        }\n"
    "        rank[] = rank[] + before[]\n"
    "      }\n"
    "    }\n"
    "    let to in 0..inf = i64(rank[])\n"
    "    if (to < {limit}) {\n"
    "      {store}\n"
    "    }\n"
    "  } }\n"
    "} }";

static const char store_merged[] =
    "let from in 0..inf = i64(order[{row}, {q}, {p}])\n"
    "      values[{row} floordiv {inner}, to, {row} mod {inner}] = "
    "x[{row} floordiv {inner}, from, {row} mod {inner}]\n"
    "      indices[{row} floordiv {inner}, to, {row} mod {inner}] = from";
static const char store_longer[] =
    "longer[{row}, {q} floordiv {group}, to] = own[]\n"
    "      places[{row}, {q} floordiv {group}, to] = order[{row}, {q}, {p}]";

/* Comparisons of a binary search in a run. */
static int search_steps(const Assembly *a, const Dim *kept) {
    int64_t lo, hi;
    int steps = 0;
    lt_dim_range(&a->module->dims, kept, &lo, &hi);
    while (steps < 40 && INT64_C(1) << steps <= hi)
        steps++;
    return steps;
}

static GpuKernel begin_merge(Assembly *a, const Node *node, const GpuSort *sort, const Runs *runs) {
    GpuKernel g = lt_gpu_kernel(a, node, "merge");
    add_row(&g, sort);
    lt_gpu_word(&g, "rows", "%s", lt_gpu_fill(&g, "{outer} * {inner}"));
    lt_gpu_dim(&g, "count", runs->count);
    lt_gpu_dim(&g, "kept", runs->kept);
    lt_gpu_word(&g, "stride", "%lld", (long long)runs->stride);
    lt_gpu_word(&g, "steps", "%d", search_steps(a, runs->kept));
    lt_gpu_word(&g, "threads", "%d", GPU_THREADS);
    lt_gpu_word(&g, "K", "%s", lt_dtype_name(key_dtype(sort->dtype)));
    lt_gpu_word(&g, "c", "%s", lt_gpu_fill(&g, "(c.0 * {threads} + c.1)"));
    lt_gpu_word(&g, "row", "%s", lt_gpu_fill(&g, "{c} floordiv ({count} * {kept})"));
    lt_gpu_word(&g, "q", "%s", lt_gpu_fill(&g, "({c} floordiv {kept} mod {count})"));
    lt_gpu_word(&g, "p", "%s", lt_gpu_fill(&g, "{c} mod {kept}"));
    lt_gpu_input(&g, "keys", runs->keys, "{rows}, {count}, {kept}");
    lt_gpu_input(&g, "order", runs->order, "{rows}, {count}, {kept}");
    return g;
}

static Runs merge_some(Assembly *a, const Node *node, const GpuSort *sort, const Runs *runs) {
    const Runs longer = make_runs(a, sort, runs->stride * MERGED);
    GpuKernel g = begin_merge(a, node, sort, runs);
    lt_gpu_word(&g, "group", "%d", MERGED);
    lt_gpu_word(&g, "other", "%s", lt_gpu_fill(&g, "({q} floordiv {group} * {group} + g)"));
    lt_gpu_dim(&g, "merged", longer.count);
    lt_gpu_dim(&g, "limit", longer.kept);
    lt_gpu_word(&g, "store", "%s", lt_gpu_fill(&g, store_longer));
    lt_gpu_output(&g, "longer", longer.keys, "{rows}, {merged}, {limit}");
    lt_gpu_output(&g, "places", longer.order, "{rows}, {merged}, {limit}");
    lt_gpu_launch(&g, merge_runs);
    return longer;
}

static void merge_all(Assembly *a, const Node *node, const GpuSort *sort, const Runs *runs) {
    GpuKernel g = begin_merge(a, node, sort, runs);
    lt_gpu_word(&g, "group", "%s", lt_gpu_fill(&g, "{count}"));
    lt_gpu_word(&g, "other", "g");
    add_results(&g, sort);
    lt_gpu_word(&g, "limit", "%s", lt_gpu_fill(&g, "{k}"));
    lt_gpu_word(&g, "store", "%s", lt_gpu_fill(&g, store_merged));
    lt_gpu_launch(&g, merge_runs);
}

/* Whether so many runs are left that merging all of them at once takes long; k few of each do not.
 */
static bool is_long(const Assembly *a, const GpuSort *sort, const Runs *runs) {
    enum { FEW = 64 };
    int64_t lo, length, kept;
    lt_dim_range(&a->module->dims, sort->length, &lo, &length);
    lt_dim_range(&a->module->dims, runs->kept, &lo, &kept);
    return length / MERGED > runs->stride && kept > FEW && runs->stride == PIECE;
}

void lt_gpu_sort(Assembly *a, const Node *node, const GpuSort *sort) {
    int64_t lo, hi;
    const int64_t piece = piece_of(a, sort);
    lt_dim_range(&a->module->dims, sort->length, &lo, &hi);
    if (hi <= piece) {
        sort_whole(a, node, sort, piece);
        return;
    }
    Runs runs = sort_pieces(a, node, sort);
    if (is_long(a, sort, &runs))
        runs = merge_some(a, node, sort, &runs);
    merge_all(a, node, sort, &runs);
}

void lt_lower_topk_gpu(Assembly *a, const Node *node) {
    const Type *type = lt_input(node, 0)->type;
    const int axis = (int)lt_attr_int(node, ATTR_AXIS, 0);
    DimTable *t = &a->module->dims;
    const GpuSort sort = {
        .x = lt_buffer_of(a, lt_input(node, 0)),
        .values = lt_buffer_of(a, node->outputs[0]),
        .indices = lt_buffer_of(a, node->outputs[1]),
        .outer = lt_dim_product(t, type->dims, axis),
        .length = type->dims[axis],
        .inner = lt_dim_product(t, type->dims + axis + 1, type->rank - axis - 1),
        .k = lt_attr(node, ATTR_SIZE)->u.dims[0],
        .dtype = type->dtype,
        .is_largest = lt_attr_int(node, ATTR_LARGEST, 1) != 0,
    };
    lt_gpu_sort(a, node, &sort);
}
