/* test_bands.c - kernels that take turns: random chains of convolutions and maps on a target with a
 * small cache, interpreted, and compiled on one thread and on several. */
#include "tests/diff/artifact_fixture.h"

enum { CHAINS = 32, MOST_LAYERS = 4 };

static int banded_programs, ringed_buffers;

/* Counts what the pass did, and runs the compiled program. */
static void check_threads(const Program *p, const Tensor *const *inputs,
                          const Tensor *const *expected, const char *text) {
    bool is_banded = false;
    for (size_t i = 0; i < p->kernels.len; i++)
        is_banded |= strstr(p->kernels.data[i]->name, "_band") != NULL;
    for (size_t i = 0; i < p->buffers.len; i++)
        ringed_buffers += is_banded && p->buffers.data[i].place == PLACE_ARENA &&
                          p->buffers.data[i].type->rank == 1;
    banded_programs += is_banded;
    for (int threads = 1; threads <= 3; threads += 2)
        check_run(p, &(ArtifactRun){inputs, expected, 2, threads, .repeat = 2}, text);
}

typedef struct Net {
    Str inputs, body;
    int64_t height, width, channels; /* of the last value */
    int values;
} Net;

/* Behind the sum of that many products, whose values come back to about 1. */
static void finish_layer(Net *net, int64_t products) {
    static const char *const maps[] = {"relu", "tanh", "neg"};
    lt_str_printf(&net->body, "%%c%d = const f32[] [%.4f]\n%%v%d = mul %%v%d, %%c%d\n", net->values,
                  1 / sqrt((double)products), net->values + 1, net->values, net->values);
    net->values += 2;
    if (random_below(2)) {
        lt_str_printf(&net->body, "%%v%d = %s %%v%d\n", net->values, maps[random_below(3)],
                      net->values - 1);
        net->values++;
    }
}

static bool add_conv(Net *net) {
    const int64_t kernel = 1 + 2 * random_below(3), stride = 1 + random_below(2);
    const int64_t pad = random_below(kernel / 2 + 1);
    const int64_t height = (net->height + 2 * pad - kernel) / stride + 1;
    const int64_t width = (net->width + 2 * pad - kernel) / stride + 1;
    if (net->height + 2 * pad < kernel || net->width + 2 * pad < kernel || height < 4 || width < 1)
        return false;
    const bool is_depthwise = random_below(2) && net->channels > 1;
    const int64_t inputs = net->channels;
    const int64_t outputs = is_depthwise ? net->channels : 1 + random_below(18);
    lt_str_printf(&net->inputs, ", %%w%d: f32[%lld,%lld,%lld,%lld]", net->values, (long long)kernel,
                  (long long)kernel, (long long)(is_depthwise ? 1 : net->channels),
                  (long long)outputs);
    lt_str_printf(&net->body,
                  "%%v%d = conv %%v%d, %%w%d {strides = [%lld, %lld], dilations = [1, 1], "
                  "pad_lo = [%lld, %lld], pad_hi = [%lld, %lld], groups = %lld}\n",
                  net->values, net->values - 1, net->values, (long long)stride, (long long)stride,
                  (long long)pad, (long long)pad, (long long)pad, (long long)pad,
                  (long long)(is_depthwise ? net->channels : 1));
    net->height = height;
    net->width = width;
    net->channels = outputs;
    finish_layer(net, kernel * kernel * (is_depthwise ? 1 : inputs));
    return true;
}

/* What there was in front of the layer is added, where it has the shape. */
static void add_residual(Net *net, int back, int64_t height, int64_t width, int64_t channels) {
    if (net->height != height || net->width != width || net->channels != channels)
        return;
    lt_str_printf(&net->body, "%%v%d = add %%v%d, %%v%d\n", net->values, net->values - 1, back);
    net->values++;
}

static void build(Net *net, Arena *arena) {
    *net = (Net){.height = 40 + random_below(60),
                 .width = 1 + random_below(10),
                 .channels = 1 + random_below(10),
                 .values = 1};
    lt_str_init(&net->inputs, arena);
    lt_str_init(&net->body, arena);
    lt_str_printf(&net->inputs, "%%v0: f32[%d,%lld,%lld,%lld]", random_below(6) ? 1 : 2,
                  (long long)net->height, (long long)net->width, (long long)net->channels);
    const int64_t layers = 2 + random_below(MOST_LAYERS - 1);
    for (int64_t i = 0; i < layers; i++) {
        const int back = net->values - 1;
        const int64_t height = net->height, width = net->width, channels = net->channels;
        if (add_conv(net) && random_below(3) == 0)
            add_residual(net, back, height, width, channels);
    }
    lt_str_printf(&net->body, "yield %%v%d\n", net->values - 1);
}

static void check_chain(uint64_t seed) {
    static const int64_t caches[] = {1024, 2048, 8192};
    Arena arena, scratch;
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    random_state = seed;
    Net net;
    build(&net, &arena);
    lower_l2_bytes = caches[seed % 3];
    const char *text = lt_arena_printf(&arena, "module \"case\"\ngraph main(%s) {\n%s}\n",
                                       net.inputs.text, net.body.text);
    Module *m = parse(&arena, text);
    PassContext ctx = {
        .module = m, .target = lt_target_find("x86-64-avx2"), .level = 2, .scratch = &scratch};
    lt_pass_fuse(&ctx);
    ck_assert_msg(check_module(m, (int64_t[]){1, 1}, 2, text), "not evaluated: %s", text);
    lt_arena_free(&scratch);
    lt_arena_free(&arena);
}

START_TEST(random_chains) {
    tolerance_f32 = 1e-4;
    check_more = check_threads;
    for (uint64_t seed = 1; seed <= CHAINS; seed++)
        check_chain(seed);
    /* Most have something to hand on, or this tests nothing. */
    ck_assert_int_gt(banded_programs, CHAINS / 5);
    ck_assert_int_gt(ringed_buffers, CHAINS / 5);
}
END_TEST

LT_TEST_MAIN("test_bands", random_chains)
