/* test_cuda_steps.c - recurrent layers on a GPU: kernels of steps that the threads of a block take
 * together, interpreted and as CUDA-C, against the evaluator. */
#include "tests/diff/cuda_fixture.h"

static int step_count; /* kernels whose steps threads share out */

static void collect(const Program *p, const Tensor *const *inputs, const Tensor *const *expected,
                    const char *listing) {
    int found = 0;
    for (size_t i = 0; i < p->kernels.len; i++)
        found += strstr(p->kernels.data[i]->schedule, "own ") != NULL;
    ck_assert_msg(found > 0, "no thread has a state of its own in\n%.4000s", listing);
    step_count += found;
    cuda_collect(p, inputs, expected, listing);
}

static void begin(void) {
    tolerance_f32 = 1e-4;
    step_count = 0;
    cuda_begin_cases(2, collect);
}

/* Small weights keep the gates away from where they are all 0 or 1. */
#define SCALED(dtype) "%s = const " dtype "[] [0.03125]\n%r = mul %w, %s\n"
#define LINEAR "mode = \"linear_before_reset\""

START_TEST(few_hidden_values) {
    static const Case cases[] = {
        {"%x: f32[h,1,28], %w: f32[7,28], %h: f32[1,7], %c: f32[1,7]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %c {reverse = true} yield %y, %b"},
        {"%x: f32[3,n,128], %w: f32[32,128], %h: f32[n,32], %c: f32[n,32]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %c yield %a"},
        {"%x: f32[h,n,9], %w: f32[3,9], %b: f32[9], %h: f32[n,3]",
         SCALED("f32") "%y, %a = gru %x, %r, %b, %h yield %y, %a"},
        {"%x: f32[h,n,99], %w: f32[33,99], %b: f32[99], %h: f32[n,33]",
         SCALED("f32") "%y, %a = gru %x, %r, %b, %h {" LINEAR ", reverse = true} yield %a, %y"},
        {"%x: f64[h,n,93], %w: f64[31,93], %b: f64[93], %h: f64[n,31]",
         SCALED("f64") "%y, %a = gru %x, %r, %b, %h yield %y"},
        {"%x: f16[h,n,160], %w: f16[40,160], %h: f16[n,40], %c: f16[n,40]",
         SCALED("f16") "%y, %a, %b = lstm %x, %r, %h, %c yield %b, %y"},
        {"%x: bf16[h,2,120], %w: bf16[40,120], %b: bf16[120], %h: bf16[2,40]",
         SCALED("bf16") "%y, %a = gru %x, %r, %b, %h yield %y, %a"},
        {"%x: f32[0,n,32], %w: f32[8,32], %h: f32[n,8], %c: f32[n,8]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %c yield %y, %a, %b"},
        {"%x: f32[h,0,32], %w: f32[8,32], %h: f32[0,8], %c: f32[0,8]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %c yield %y, %a, %b"},
    };
    begin();
    CHECK_CASES(cases);
    ck_assert_uint_gt(cuda_finish(), 30);
    ck_assert_int_gt(step_count, 30);
}
END_TEST

/* As where a block has no thread for each hidden value. */
START_TEST(several_for_a_thread) {
    static const Case cases[] = {
        {"%x: f32[h,n,80], %r: f32[20,80], %h: f32[n,20], %c: f32[n,20]",
         "%y, %a, %b = lstm %x, %r, %h, %c yield %y, %a, %b"},
        {"%x: f32[h,n,96], %r: f32[24,96], %h: f32[n,24], %c: f32[n,24]",
         "%y, %a, %b = lstm %x, %r, %h, %c {reverse = true} yield %y, %a, %b"},
    };
    static const char *const hidden[] = {"20", "24"};
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        size_t len = 0;
        for (int v = 0; v < 7; v++)
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "split v%d 8; unroll v%d.0; thread v%d.1; ", v, v, v);
        snprintf(text + len, sizeof text - len,
                 "unroll g0; unroll g1; own gates %s; own c %s; grid n_2", hidden[i], hidden[i]);
        lower_schedule = text;
        check_case(&cases[i]);
    }
    lower_schedule = NULL;
    cuda_finish();
}
END_TEST

START_TEST(both_directions) {
    static const Case cases[] = {
        {"%x: f32[h,3,384], %w: f32[96,384], %h: f32[3,96]",
         SCALED("f32") "%y, %a, %b = lstm %x, %r, %h, %h\n"
                       "%z, %d, %e = lstm %x, %r, %h, %h {reverse = true}\n"
                       "%o = concat %y, %z {axis = 2} yield %o, %a, %e"},
        {"%x: f32[h,2,192], %w: f32[64,192], %b: f32[192], %h: f32[2,64]",
         SCALED("f32") "%y, %a = gru %x, %r, %b, %h {" LINEAR "}\n"
                       "%z, %c = gru %x, %r, %b, %h {" LINEAR ", reverse = true}\n"
                       "%o = add %y, %z yield %o, %c, %a"},
    };
    begin();
    CHECK_CASES(cases);
    cuda_finish();
    ck_assert_int_gt(step_count, 8);
}
END_TEST

LT_TEST_MAIN("test_cuda_steps", few_hidden_values, several_for_a_thread, both_directions)
