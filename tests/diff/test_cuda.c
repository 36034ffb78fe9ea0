/* test_cuda.c - programs as CUDA-C against the evaluator: what is emitted runs on the CPU, with
 * every access checked for races and bounds. */
#include "tests/diff/control_cases.h"
#include "tests/diff/cuda_fixture.h"
#include "tests/diff/group_cases.h"
#include "tests/diff/lower_cases.h"
#include "tests/diff/random_graph.h"

enum { RANDOM_GRAPHS = 200, RANDOM_HALVES = 50 };

static void begin(void) {
    cuda_begin_cases(2, cuda_collect);
}

#define CHECK_CUDA(cases) \
    do { \
        begin(); \
        CHECK_CASES(cases); \
        ck_assert_uint_gt(cuda_finish(), sizeof(cases) / sizeof *(cases)); \
    } while (0)

START_TEST(maps) { CHECK_CUDA(map_cases); }
END_TEST
START_TEST(moves) { CHECK_CUDA(move_cases); }
END_TEST
START_TEST(resizes) { CHECK_CUDA(resize_cases); }
END_TEST
START_TEST(gathers) { CHECK_CUDA(gather_cases); }
END_TEST
START_TEST(folds) { CHECK_CUDA(fold_cases); }
END_TEST
START_TEST(contractions) { CHECK_CUDA(contraction_cases); }
END_TEST
START_TEST(convolutions) { CHECK_CUDA(convolution_cases); }
END_TEST
START_TEST(recurrent_layers) { CHECK_CUDA(recurrent_cases); }
END_TEST
START_TEST(groups) { CHECK_CUDA(group_cases); }
END_TEST
START_TEST(extents_of_data) { CHECK_CUDA(extent_cases); }
END_TEST
START_TEST(branches) { CHECK_CUDA(branch_cases); }
END_TEST
START_TEST(loops) { CHECK_CUDA(loop_cases); }
END_TEST

static void check_random_graphs(int first, int count, DType dtype) {
    begin();
    for (int i = first; i < first + count; i++) {
        Arena arena, scratch;
        lt_arena_init(&arena);
        lt_arena_init(&scratch);
        random_state = (uint64_t)i * 15485863 + 7;
        Module *m = random_graph_of(&arena, dtype);
        PassContext ctx = {
            .module = m, .target = lt_target_find("cuda"), .level = 2, .scratch = &scratch};
        if (i % 2)
            lt_pass_fuse(&ctx);
        check_module(m, symbol_values[i % TRIALS], 2, "random graph");
        lt_arena_free(&scratch);
        lt_arena_free(&arena);
    }
    ck_assert_uint_gt(cuda_finish(), count / 2);
}

/* All codes, and floats of all magnitudes. */
#define NARROW(format, unsigned) \
    {"%x: f32[n]", \
     "%i = iota {axis = 0, shape = [256], dtype = u8} %j = convert %i {dtype = " unsigned "} " \
     "%a = bitcast %j {dtype = " format "} %b = convert %a {dtype = f32} " \
     "%k = iota {axis = 0, shape = [4096], dtype = i32} %f = const i32[] [1048573] " \
     "%l = mul %k, %f %m = bitcast %l {dtype = f32} %c = convert %m {dtype = " format "} " \
     "%d = convert %c {dtype = f32} %w = convert %x {dtype = f64} %h = exp %w " \
     "%g = convert %h {dtype = " format "} %e = add %a, %a yield %b, %c, %d, %g, %e"}

START_TEST(narrow_floats) {
    static const Case cases[] = {
        NARROW("f8e4m3fn", "u8"),   NARROW("f8e4m3fnuz", "u8"), NARROW("f8e5m2", "u8"),
        NARROW("f8e5m2fnuz", "u8"), NARROW("f8e8m0", "u8"),     NARROW("f4e2m1", "u4"),
    };
    CHECK_CUDA(cases);
}
END_TEST

START_TEST(random_graphs) { check_random_graphs(0, RANDOM_GRAPHS, DT_F32); }
END_TEST
START_TEST(random_half_graphs) { check_random_graphs(RANDOM_GRAPHS, RANDOM_HALVES, DT_F16); }
END_TEST

/* --- what the emulation finds ----------------------------------------------------------------- */

typedef struct Fault {
    const char *kernel, *expected; /* expected NULL: nothing is wrong */
    int blocks, threads;
} Fault;

static const Fault faults[] = {
    {"__shared__ float s[64]; s[threadIdx.x] = out[threadIdx.x]; __syncthreads(); "
     "out[threadIdx.x] = s[63 - threadIdx.x];",
     NULL, 1, 64},
    {"__shared__ float s[64]; s[threadIdx.x] = 1; if (blockIdx.x > 0) out[threadIdx.x] = "
     "s[threadIdx.x];",
     NULL, 2, 64},
    {"float x = out[threadIdx.x]; for (int m = 16; m > 0; m /= 2) x += __shfl_xor_sync(~0u, x, m); "
     "out[threadIdx.x] = x;",
     NULL, 1, 64},
    {"__shared__ float s[64]; s[threadIdx.x] = 1; out[threadIdx.x] = s[63 - threadIdx.x];",
     "with no barrier between (shared memory)", 1, 64},
    {"__shared__ float s[64]; out[threadIdx.x] = s[(threadIdx.x + 1) % 64]; s[threadIdx.x] = 1;",
     "with no barrier between (shared memory)", 1, 64},
    {"__shared__ float s[8][8]; const int t = threadIdx.x; s[t / 8][t % 8 + 1] = 1; "
     "out[t] = s[t / 8][t % 8 + 1];",
     "index 8 is outside of the array", 1, 64},
    {"if (threadIdx.x < 32) __syncthreads(); out[threadIdx.x] = 0;",
     "32 of 64 threads left before a barrier", 1, 64},
    {"if (threadIdx.x > 3) __syncthreads(); out[threadIdx.x] = 0;",
     "thread 4 comes to a barrier or shuffle that thread 0 does not", 1, 64},
    {"out[threadIdx.x] = blockIdx.x;", "with no barrier between (global memory)", 2, 64},
    {"out[threadIdx.x + 1] = 0;", "writes memory that no buffer has", 1, 64},
};

START_TEST(faults_are_found) {
    const size_t count = sizeof faults / sizeof *faults;
    cuda_begin();
    for (size_t i = 0; i < count; i++)
        lt_str_printf(&cuda_runs.source,
                      "__global__ void kernel_%zu([[maybe_unused]] float *out) { %s }\n"
                      "extern \"C\" int fault_%zu_run(const void *const *, void *const *outputs, "
                      "const int64_t *, const void *, void *, cudaStream_t stream) {\n"
                      "    launch(kernel_%zu, %d, %d, stream, (float *)outputs[0]);\n"
                      "    return cudaGetLastError();\n}\n",
                      i, faults[i].kernel, i, i, faults[i].blocks, faults[i].threads);
    void *code = cuda_load(true);
    for (size_t i = 0; i < count; i++) {
        static float out[64]; /* not on the stack, whose accesses nobody checks */
        void *outputs[] = {out};
        char name[32];
        snprintf(name, sizeof name, "fault_%zu", i);
        FIND(MemoryFn, code, "emulate_memory", "")(NULL, 0);
        FIND(MemoryFn, code, "emulate_memory", "")(out, sizeof out);
        const int status = FIND(RunFn, code, name, "_run")(NULL, outputs, NULL, NULL, NULL, NULL);
        const char *error = FIND(ErrorFn, code, "emulate_error", "")();
        const bool is_right =
            faults[i].expected ? error && strstr(error, faults[i].expected) : !error;
        ck_assert_msg(is_right && (status != 0) == (error != NULL), "%s: status %d, %s",
                      faults[i].kernel, status, error ? error : "no error");
    }
    dlclose(code);
    lt_arena_free(&cuda_runs.arena);
}
END_TEST

LT_TEST_MAIN("test_cuda", faults_are_found, maps, moves, resizes, gathers, folds, contractions,
             convolutions, recurrent_layers, groups, extents_of_data, branches, loops,
             narrow_floats, random_graphs, random_half_graphs)
