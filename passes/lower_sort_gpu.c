/* lower_sort_gpu.c - top-k on a GPU.
 *
 * A row is sorted in pieces that fit shared memory, a block each (or several short rows a block:
 * each is a stretch of its arrays that no comparison leaves), as pairs of a key and the place
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
 * known. Places are 32 bits: a row of 2^31 elements would not fit a GPU with its sorted copy. */
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
    lt_gpu_most(g, "length_most", sort->length, -1);
    lt_gpu_dim(g, "inner", sort->inner);
}

static void add_results(GpuKernel *g, const GpuSort *sort) {
    lt_gpu_dim(g, "k", sort->k);
    lt_gpu_input(g, "x", sort->x, "{outer}, {length}, {inner}");
    lt_gpu_output(g, "values", sort->values, "{outer}, {k}, {inner}");
    lt_gpu_output(g, "indices", sort->indices, "{outer}, {k}, {inner}");
}

static const char sort_piece[] =
    "grid {block} in {blocks} {\n"
    "  alloc key: {K}[{elements}] shared\n"
    "  alloc order: i32[{elements}] shared\n"
    "  thread e.1 in {threads} { for e.0 in 2 {\n"
    "    if ({is_element}) {\n"
    "      {bits}"
    "      key[{e}] = {key}\n"
    "      order[{e}] = i32({e_place})\n"
    "    }\n"
    "  } }\n"
    "  barrier\n"
    "  for stage in {stages} { for step in stage + 1 {\n"
    "    let apart in 1..{half} = i64(shl(1:i32, i32(stage - step)))\n"
    "    thread pair in {threads} {\n"
    "      let low in 0..{last} = i64(bitor(bitand(i32(2 * pair), i32(0 - 2 * apart)), "
    "bitand(i32(pair), i32(apart - 1))))\n"
    "      let high in 0..{last} = "
    "i64(bitxor(i32(low), select(step == 0, i32(2 * apart - 1), i32(apart))))\n"
    "      if ({is_pair}) {\n"
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

static const char store_results[] = "let from in 0..{length_most} = i64(order[{r}])\n"
                                    "      values[{o}, {rank}, {i}] = x[{o}, from, {i}]\n"
                                    "      indices[{o}, {rank}, {i}] = from";
static const char store_runs[] =
    "keys[{run} floordiv {count}, {run} mod {count}, {rank}] = key[{r}]\n"
    "      places[{run} floordiv {count}, {run} mod {count}, {rank}] = "
    "order[{r}]";

/* A block's pieces, each in so many elements of the arrays. */
typedef struct Pieces {
    int64_t size, per_block; /* powers of two; several a block only where a row is one */
} Pieces;

/* The smallest power of two that holds a row, or a piece of it. */
static Pieces choose_pieces(const Assembly *a, const GpuSort *sort) {
    enum { LEAST = 256 }; /* elements of a block */
    int64_t lo, hi;
    Pieces p = {.size = 2, .per_block = 1};
    lt_dim_range(&a->module->dims, sort->length, &lo, &hi);
    while (p.size < PIECE && p.size < hi)
        p.size *= 2;
    lt_dim_range(&a->module->dims, lt_dim_mul(&a->module->dims, sort->outer, sort->inner), &lo,
                 &hi);
    while (p.size * p.per_block < LEAST && p.per_block < hi)
        p.per_block *= 2;
    return p;
}

/* What is known of the element at {at} of the arrays: its run {run}, where it is in it {rank}, and
 * in the row {place}; whether there is one {is_there}. */
static void set_element(GpuKernel *g, const Pieces *p, const char *at) {
    Arena *arena = g->a->ctx->scratch;
    const bool is_one = p->per_block == 1;
    const long long size = (long long)p->size;
    lt_gpu_word(g, "run", "%s",
                is_one ? "piece"
                       : lt_arena_printf(arena, "(block * %lld + (%s) floordiv %lld)",
                                         (long long)p->per_block, at, size));
    lt_gpu_word(g, "rank", "%s", is_one ? at : lt_arena_printf(arena, "(%s) mod %lld", at, size));
    lt_gpu_word(g, "o", "%s", lt_gpu_fill(g, "{run} floordiv ({count} * {inner})"));
    lt_gpu_word(g, "i", "%s", lt_gpu_fill(g, "{run} floordiv {count} mod {inner}"));
    lt_gpu_word(g, "place", "%s",
                lt_gpu_fill(g, lt_arena_printf(arena, "{run} mod {count} * %lld + {rank}", size)));
    lt_gpu_word(g, "is_there", "%s",
                lt_gpu_fill(g, is_one ? "{place} < {length}"
                                      : "{place} < {length} and {run} < {outer} * {inner}"));
}

/* Everything but {store} and {is_kept}; {run} and so on are of the element {r} behind it. */
static void add_pieces(GpuKernel *g, const GpuSort *sort, const Pieces *p) {
    int stages = 0;
    while (INT64_C(1) << stages < p->size)
        stages++;
    const long long elements = (long long)(p->size * p->per_block);
    lt_gpu_word(g, "block", p->per_block == 1 ? "piece" : "block");
    lt_gpu_word(g, "blocks", "%s ceildiv %lld", lt_gpu_fill(g, "{outer} * {inner} * {count}"),
                (long long)p->per_block);
    lt_gpu_word(g, "elements", "%lld", elements);
    lt_gpu_word(g, "last", "%lld", elements - 1);
    lt_gpu_word(g, "threads", "%lld", elements / 2);
    lt_gpu_word(g, "half", "%lld", (long long)p->size / 2);
    lt_gpu_word(g, "stages", "%d", stages);
    lt_gpu_word(g, "e", "%s", lt_gpu_fill(g, "e.0 * {threads} + e.1"));
    lt_gpu_word(g, "r", "%s", lt_gpu_fill(g, "r.0 * {threads} + r.1"));
    GpuKernel element = *g, pair = *g;
    set_element(&pair, p, "high");
    lt_gpu_word(g, "is_pair", "%s", lt_gpu_fill(&pair, "{is_there}"));
    set_element(&element, p, lt_gpu_fill(g, "{e}"));
    lt_gpu_word(g, "is_element", "%s", lt_gpu_fill(&element, "{is_there}"));
    lt_gpu_word(&element, "x", "%s", lt_gpu_fill(&element, "x[{o}, {place}, {i}]"));
    set_key(&element, sort);
    lt_gpu_word(g, "K", "%s", lt_gpu_fill(&element, "{K}"));
    lt_gpu_word(g, "bits", "%s", lt_gpu_fill(&element, "{bits}"));
    lt_gpu_word(g, "key", "%s", lt_gpu_fill(&element, "{key}"));
    lt_gpu_word(g, "e_place", "%s", lt_gpu_fill(&element, "{place}"));
    set_element(g, p, lt_gpu_fill(g, "{r}"));
}

/* All of a row in one piece: the results are there. */
static void sort_whole(Assembly *a, const Node *node, const GpuSort *sort, const Pieces *p) {
    GpuKernel g = lt_gpu_kernel(a, node, "sort");
    add_row(&g, sort);
    lt_gpu_word(&g, "count", "1");
    add_pieces(&g, sort, p);
    add_results(&g, sort);
    lt_gpu_word(&g, "is_kept", "%s",
                lt_gpu_fill(&g, p->per_block == 1 ? "{rank} < {k}"
                                                  : "{rank} < {k} and {run} < {outer} * {inner}"));
    lt_gpu_word(&g, "store", "%s", lt_gpu_fill(&g, store_results));
    lt_gpu_launch(&g, sort_piece);
}

static Runs sort_pieces(Assembly *a, const Node *node, const GpuSort *sort) {
    const Runs runs = make_runs(a, sort, PIECE);
    GpuKernel g = lt_gpu_kernel(a, node, "pieces");
    add_row(&g, sort);
    lt_gpu_dim(&g, "count", runs.count);
    lt_gpu_dim(&g, "kept", runs.kept);
    add_pieces(&g, sort, &(Pieces){.size = PIECE, .per_block = 1});
    lt_gpu_word(&g, "is_kept", "%s", lt_gpu_fill(&g, "{rank} < {kept} and {is_there}"));
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
    "  if ({c} < {rows} * {count} * {kept} and {q} * {stride} + {p} < {length}) {\n"
    "    alloc own: {K}[] register own[] = keys[{row}, {q}, {p}]\n"
    "    alloc rank: i32[] register rank[] = i32({p})\n"
    "    for g in {group} {\n"
    "      if ({other} < {count} and {other} != {q}) {\n"
    "        alloc before: i32[] register before[] = 0\n"
    "        for s in {steps} {\n"
    "          let end in 1..{kept_most} = i64(before[] + shl(1:i32, i32({steps} - 1 - s)))\n"
    "          if (end <= {kept} and {other} * {stride} + end <= {length}) {\n"
    "            alloc one: {K}[] register one[] = keys[{row}, {other}, end - 1]\n"
    "            if (one[] < own[] or one[] == own[] and {other} < {q}) { before[] = i32(end) }\n"
    "          }\n"
    "        }\n"
    "        rank[] = rank[] + before[]\n"
    "      }\n"
    "    }\n"
    "    let to in 0..{length_most} = i64(rank[])\n"
    "    if (to < {limit}) {\n"
    "      {store}\n"
    "    }\n"
    "  }\n"
    "} }";

static const char store_merged[] =
    "let from in 0..{length_most} = i64(order[{row}, {q}, {p}])\n"
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
    lt_gpu_most(&g, "kept_most", runs->kept, runs->stride * 2);
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
    const Pieces pieces = choose_pieces(a, sort);
    lt_dim_range(&a->module->dims, sort->length, &lo, &hi);
    if (hi <= pieces.size) {
        sort_whole(a, node, sort, &pieces);
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
