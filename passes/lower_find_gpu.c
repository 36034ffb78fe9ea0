/* lower_find_gpu.c - where a mask is true, on a GPU.
 *
 * A block has a tile of the mask, a thread neighbours in it. How many are true in the tiles before
 * is summed up by all threads of a block; in the block, running sums double their reach in each
 * step. Where there is more than one tile, a kernel counts first. */
#include "passes/lower_gpu.h"

enum { OWN = 4, TILE = OWN * GPU_THREADS };

static const char count_tiles[] =
    "grid tile in {tiles} {\n"
    "  alloc own: i32[] register\n"
    "  thread t in {threads} {\n"
    "    own[] = 0\n"
    "    for e in {own} { own[] = own[] + i32(mask[{at}] where ({at} < {n})) }\n"
    "  }\n"
    "  combine own by add of {threads}\n"
    "  thread u in 1 { counts[tile] = own[] }\n"
    "}";

static const char find_before[] =
    "  alloc before: i32[] register\n"
    "  thread b in {threads} {\n"
    "    before[] = 0\n"
    "    for c in tile ceildiv {threads} {\n"
    "      before[] = before[] + counts[c * {threads} + b] where (c * {threads} + b < tile)\n"
    "    }\n"
    "  }\n"
    "  combine before by add of {threads}\n";

static const char find_true[] =
    "grid tile in {tiles} {\n"
    "{before}"
    "  alloc own: i32[] register\n"
    "  alloc sums: i32[2, {threads}] shared\n"
    "  thread t in {threads} {\n"
    "    own[] = 0\n"
    "    for e in {own} { own[] = own[] + i32(mask[{at}] where ({at} < {n})) }\n"
    "    sums[0, t] = own[]\n"
    "  }\n"
    "  barrier\n"
    "  for step in {steps} {\n"
    "    let reach in 1..{threads} = shl(1, step)\n"
    "    thread u in {threads} {\n"
    "      sums[(step + 1) mod 2, u] = sums[step mod 2, u] + "
    "sums[step mod 2, u - reach] where (u >= reach)\n"
    "    }\n"
    "    barrier\n"
    "  }\n"
    "  thread t in {threads} {\n"
    "    alloc place: i64[] register\n"
    "    place[] = i64({first}sums[0, t] - own[])\n"
    "    for e in {own} {\n"
    "      if (mask[{at}] where ({at} < {n})) {\n"
    "        let to in 0..{n_most} = place[]\n"
    "        if (to < {count}) { positions[to] = {at} }\n"
    "        place[] = place[] + 1\n"
    "      }\n"
    "    }\n"
    "  }\n"
    "}";

static void add_words(GpuKernel *g, const Dim *n, const Dim *tiles) {
    lt_gpu_dim(g, "n", n);
    lt_gpu_dim(g, "tiles", tiles);
    lt_gpu_word(g, "threads", "%d", GPU_THREADS);
    lt_gpu_word(g, "own", "%d", OWN);
    lt_gpu_word(g, "at", "tile * %d + t * %d + e", TILE, OWN);
}

void lt_lower_find_gpu(Assembly *a, const Node *node) {
    enum { STEPS = 8 }; /* until a sum reaches over all threads */
    _Static_assert(1 << STEPS == GPU_THREADS && STEPS % 2 == 0, "the last sums are in the first");
    const Dim *n = lt_input(node, 0)->type->dims[0];
    const Dim *tiles = lt_dim_ceildiv(&a->module->dims, n, lt_dim_const(&a->module->dims, TILE));
    const uint32_t mask = lt_buffer_of(a, lt_input(node, 0));
    const uint32_t positions = lt_buffer_of(a, lt_output(node));
    const bool is_one = lt_dim_is(tiles, 1) || lt_dim_is(tiles, 0);
    const uint32_t counts = is_one ? 0 : lt_gpu_buffer(a, DT_I32, 1, &tiles, "counts");
    if (!is_one) {
        GpuKernel counting = lt_gpu_kernel(a, node, "count");
        add_words(&counting, n, tiles);
        lt_gpu_input(&counting, "mask", mask, "{n}");
        lt_gpu_output(&counting, "counts", counts, "{tiles}");
        lt_gpu_launch(&counting, count_tiles);
    }
    GpuKernel g = lt_gpu_kernel(a, node, "find");
    add_words(&g, n, tiles);
    lt_gpu_dim(&g, "count", lt_output(node)->type->dims[0]);
    lt_gpu_most(&g, "n_most", n, -1);
    lt_gpu_word(&g, "steps", "%d", STEPS);
    lt_gpu_word(&g, "before", "%s", is_one ? "" : lt_gpu_fill(&g, find_before));
    lt_gpu_word(&g, "first", "%s", is_one ? "" : "before[] + ");
    lt_gpu_input(&g, "mask", mask, "{n}");
    if (!is_one)
        lt_gpu_input(&g, "counts", counts, "{tiles}");
    lt_gpu_output(&g, "positions", positions, "{count}");
    lt_gpu_launch(&g, find_true);
}
