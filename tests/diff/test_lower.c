/* test_lower.c - lowering against the evaluator: every op that becomes a kernel, groups with
 * producers and epilogues, and random graphs; plain and scheduled, under several values of the
 * symbols. */
#include <math.h>

#include "ir/build.h"
#include "passes/lower.h"
#include "runtime/kernels/library.h"
#include "tests/test.h"

enum { TRIALS = 4, RANDOM_GRAPHS = 150 };

/* Values of the symbols n and h; bodies may count on h >= 1. */
static const int64_t symbol_values[TRIALS][2] = {{1, 1}, {2, 3}, {7, 5}, {0, 17}};

typedef struct Case {
    const char *inputs, *body;
} Case;

/* --- random numbers
 * ---------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t next_random(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

static int64_t random_below(int64_t limit) { return (int64_t)(next_random() % (uint64_t)limit); }

/* Floats in -2..2, integers in -3..2, so that they serve as positions on axes of at least 3. */
static Tensor *random_tensor(Arena *arena, const Type *type, const int64_t *symbols) {
    int64_t dims[LT_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        dims[i] = lt_dim_eval(type->dims[i], symbols);
    Tensor *t = lt_tensor_new(arena, type->dtype, type->rank, dims);
    for (int64_t i = 0; i < lt_tensor_elements(t); i++) {
        if (lt_dtype_is_float(type->dtype))
            lt_tensor_set_float(t, i, (double)random_below(4001) / 1000 - 2);
        else
            lt_tensor_set_int(t, i, type->dtype == DT_BOOL ? random_below(2) : random_below(6) - 3);
    }
    return t;
}

/* --- one module, both ways
 * ------------------------------------------------------------------------------ */

static int32_t call_library(void *context, uint32_t function, void *const *buffers,
                            const int64_t *ints) {
    (void)context;
    LtLibraryFn *fn = lt_library_function(function);
    ck_assert_ptr_nonnull(fn);
    return fn(buffers, ints);
}

static const char *first_diag(const Module *m) {
    return m->diags.items.len ? m->diags.items.data[m->diags.items.len - 1].text
                              : "(no diagnostic)";
}

static void check_equal(const Tensor *got, const Tensor *expected, const char *text) {
    const double tolerance = expected->dtype == DT_F16 || expected->dtype == DT_BF16 ? 2e-2 : 1e-5;
    ck_assert_int_eq(got->dtype, expected->dtype);
    ck_assert_int_eq(lt_tensor_elements(got), lt_tensor_elements(expected));
    for (int64_t i = 0; i < lt_tensor_elements(expected); i++) {
        if (!lt_dtype_is_float(expected->dtype)) {
            ck_assert_msg(lt_tensor_get_int(got, i) == lt_tensor_get_int(expected, i),
                          "element %lld is %lld, not %lld, in\n%s", (long long)i,
                          (long long)lt_tensor_get_int(got, i),
                          (long long)lt_tensor_get_int(expected, i), text);
            continue;
        }
        const double a = lt_tensor_get_float(got, i), b = lt_tensor_get_float(expected, i);
        const bool near =
            a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * (1 + fabs(b));
        ck_assert_msg(near, "element %lld is %.9g, not %.9g, in\n%s", (long long)i, a, b, text);
    }
}

static Program *lower(Module *m, int level, const char *text) {
    Arena scratch;
    lt_arena_init(&scratch);
    PassContext ctx = {
        .module = m, .target = lt_target_find("x86-64-avx2"), .level = level, .scratch = &scratch};
    lt_pass_lower(&ctx);
    ck_assert_msg(ctx.program && m->diags.errors == 0, "%s, in\n%s", first_diag(m), text);
    lt_pass_plan_memory(&ctx);
    lt_arena_free(&scratch);
    for (size_t i = 0; i < ctx.program->kernels.len; i++) {
        Str kernel;
        lt_str_init(&kernel, m->arena);
        lt_kernel_print(&kernel, ctx.program->kernels.data[i], true);
        ck_assert_msg(lt_kernel_verify(ctx.program->kernels.data[i], &m->diags), "%s, in\n%s\n%s",
                      first_diag(m), kernel.text, text);
    }
    return ctx.program;
}

/* Evaluates and lowers m, whose text is for messages; false when the evaluator refuses these
 * symbols. */
static bool check_module(Module *m, const int64_t *values, int level, const char *text) {
    const Tensor *inputs[16], *expected[16], *got[16];
    int64_t symbols[64] = {0};
    Evaluation ev;
    for (size_t i = 0; i < m->dims.symbols.len; i++)
        symbols[i] = values[m->dims.symbols.data[i].dim->name[0] == 'h'];
    ck_assert_uint_le(m->main->inputs.len, 16);
    for (size_t i = 0; i < m->main->inputs.len; i++)
        inputs[i] = random_tensor(m->arena, m->main->inputs.data[i]->type, symbols);
    if (!lt_eval_module(&ev, m->arena, m, inputs, expected))
        return false;
    const Program *p = lower(m, level, text);
    const ProgramLibrary library = {.call = call_library};
    const char *error = lt_program_eval_with(p, m->arena, inputs, got, &library);
    Str listing;
    lt_str_init(&listing, m->arena);
    lt_program_print(&listing, p);
    lt_str_append(&listing, text);
    ck_assert_msg(!error, "%s, in\n%s", error, listing.text);
    for (uint32_t i = 0; i < lt_graph_yield(m->main)->input_count; i++)
        check_equal(got[i], expected[i], listing.text);
    return true;
}

static Module *parse(Arena *arena, const char *text) {
    Module *m = lt_module_new(arena, "case.lir");
    const bool ok = lt_module_read(m, text, strlen(text));
    ck_assert_msg(ok, "%s, in\n%s", first_diag(m), text);
    return m;
}

/* The case at each level under all values; at least one must have been compared. */
static void check_case(const Case *c) {
    int compared = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        for (int level = 0; level <= 2; level += 2) {
            Arena arena;
            lt_arena_init(&arena);
            const char *text = lt_arena_printf(&arena,
                                               "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                               "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                                               c->inputs, c->body);
            random_state = (uint64_t)trial + 1;
            compared += check_module(parse(&arena, text), symbol_values[trial], level, text);
            lt_arena_free(&arena);
        }
    }
    ck_assert_msg(compared > 0, "never evaluated: %s", c->body);
}

static void check_cases(const Case *cases, size_t count) {
    for (size_t i = 0; i < count; i++)
        check_case(&cases[i]);
}
#define CHECK_CASES(cases) check_cases(cases, sizeof(cases) / sizeof *(cases))

/* --- ops by themselves
 * ------------------------------------------------------------------------------------ */

START_TEST(maps) {
    static const Case cases[] = {
        {"%x: f32[n,h,5]", "%a = sigmoid %x yield %a"},
        {"%x: f32[n,h,5], %y: f32[h,1]", "%a = add %x, %y yield %a"},
        {"%x: f32[n,h,5], %y: f32[5]", "%a = mul %x, %y yield %a"},
        {"%x: f32[n,1,5], %y: f32[h,1], %z: f32[]", "%a = fma %x, %y, %z yield %a"},
        {"%x: f32[]", "%a = neg %x yield %a"},
        {"%x: f32[n,4]", "%c = const f32[4] [1,2,3,4] %a = mul %x, %c yield %a"},
        {"%x: f32[n,4]", "%c = const f32[] [2.5] %a = mul %x, %c yield %a"},
        {"%x: f32[n,4]", "%a = convert %x {dtype = i32} yield %a"},
        {"%x: i32[n,4]", "%a = convert %x {dtype = f16} yield %a"},
        {"%x: f32[n,4], %y: f32[n,4]", "%a = gt %x, %y %b = select %a, %x, %y yield %a, %b"},
        {"%x: i64[n,4], %y: i64[4]", "%a = floordiv %x, %y %b = mod %x, %y yield %a, %b"},
        {"%x: f32[n,h]",
         "%i = iota {axis = 1, shape = [n, h], dtype = f32} %a = add %x, %i yield %a"},
        {"%x: f32[n,h]", "%d = dims {dims = [n, h, n + 2*h]} yield %d"},
    };
    CHECK_CASES(cases);
}
END_TEST

START_TEST(moves) {
    static const Case cases[] = {
        {"%x: f32[n,h,6]", "%a = transpose %x {perm = [2, 0, 1]} yield %a"},
        {"%x: f32[n,h,6]", "%a = transpose %x {perm = [0, 2, 1]} yield %a"},
        {"%x: f32[n,h,6]", "%a = reshape %x {shape = [n * h, 6]} yield %a"},
        {"%x: f32[h,5,1]", "%a = broadcast %x {shape = [n, h, 5, 4]} yield %a"},
        {"%x: f32[n,7,5]",
         "%a = slice %x {start = [0, 1, 4], size = [n, 3, 3], step = [1, 2, -2]} yield %a"},
        {"%x: f32[n,4,5]", "%a = pad %x {pad_lo = [0, 1, 2], pad_hi = [0, 2, 0]} yield %a"},
        {"%x: f32[n,4,5]",
         "%a = pad %x {pad_lo = [0, -1, 2], pad_hi = [0, 2, -1], value = f32[] [7]} yield %a"},
        {"%x: f32[n,4,5]",
         "%a = pad %x {pad_lo = [0, 3, 1], pad_hi = [0, 2, 4], mode = \"reflect\"} yield %a"},
        {"%x: f32[n,4,5]",
         "%a = pad %x {pad_lo = [0, 3, 1], pad_hi = [0, 2, 6], mode = \"edge\"} yield %a"},
        {"%x: f32[n,4,5]",
         "%a = pad %x {pad_lo = [0, 3, 1], pad_hi = [0, 2, 5], mode = \"wrap\"} yield %a"},
        {"%x: f32[h]", "%a = pad %x {pad_lo = [h], pad_hi = [2], mode = \"edge\"} yield %a"},
        {"%x: f32[n,2], %y: f32[n,h], %z: f32[n,3]", "%a = concat %x, %y, %z {axis = 1} yield %a"},
        {"%x: f32[n,2], %y: f32[h,2]", "%a = concat %x, %y {axis = 0} yield %a"},
        {"%x: f32[n,0], %y: f32[n,2]", "%a = concat %x, %y, %x {axis = 1} yield %a"},
        {"%x: f32[3,13]", "%a = pack %x {axis = 1, packed = 4, count = 0} yield %a"},
        {"%x: f32[13,3,2]", "%a = pack %x {axis = 0, packed = 8, count = 1} yield %a"},
        {"%x: f32[n,3]", "yield %x, %x"},
        {"%x: f32[n,3]", "%a = neg %x %b = reshape %a {shape = [3 * n]} yield %a, %b, %x"},
    };
    CHECK_CASES(cases);
}
END_TEST

#define RESIZE(shape, mode, direction) \
    "%a = resize %x {shape = " shape ", mode = \"" mode "\", direction = \"" direction \
    "\"} yield %a"

START_TEST(resizes) {
    static const Case cases[] = {
        {"%x: f32[n,h,3,2]", RESIZE("[n, 2*h, 6, 2]", "nearest_floor", "asymmetric")},
        {"%x: u8[n,h,3,2]", RESIZE("[n, 2*h, 6, 2]", "nearest_round", "half_pixel")},
        {"%x: f32[n,h,6,2]", RESIZE("[n, 3*h, 4, 2]", "nearest_ceil", "half_pixel")},
        {"%x: f32[n,h,6,2]", RESIZE("[n, 4*h, 5, 2]", "nearest_floor", "half_pixel")},
        {"%x: f32[n,h + 5,6]", RESIZE("[n, h, 11]", "nearest_round", "align_corners")},
        {"%x: f32[n,h,6,2]", RESIZE("[n, 2*h, 11, 2]", "linear", "half_pixel")},
        {"%x: f32[n,h + 4,6,2]", RESIZE("[n, h, 4, 2]", "linear", "pytorch_half_pixel")},
        {"%x: f32[n,h,6,2]", RESIZE("[n, h, 1, 2]", "linear", "pytorch_half_pixel")},
        {"%x: f16[n,h,6]", RESIZE("[n, 2*h, 9]", "linear", "asymmetric")},
        {"%x: f32[n,h,6]", RESIZE("[n, 3*h, 8]", "linear", "align_corners")},
        {"%x: f32[n,h,6]", RESIZE("[n, h + 3, 8]", "cubic", "half_pixel")},
        {"%x: f32[n,h,6]", RESIZE("[n, h, 3]", "cubic", "align_corners")},
    };
    CHECK_CASES(cases);
}
END_TEST

START_TEST(gathers) {
    static const Case cases[] = {
        {"%x: f32[5,h], %i: i64[n,2]", "%a = gather %x, %i {axis = 0} yield %a"},
        {"%x: f32[n,5,h], %i: i32[4]", "%a = gather %x, %i {axis = 1} yield %a"},
        {"%x: f32[n,5], %i: i64[]", "%a = gather %x, %i {axis = 1} yield %a"},
        {"%x: f32[n,5], %i: i64[n,3]", "%a = gather_elements %x, %i {axis = 1} yield %a"},
        {"%x: f32[5,4,h], %i: i64[n,2]", "%a = gather_nd %x, %i {count = 0} yield %a"},
        {"%x: f32[n,4,h], %i: i64[n,1]", "%a = gather_nd %x, %i {count = 1} yield %a"},
        {"%x: f32[5,4], %i: i64[3,4], %u: f32[3,4]",
         "%a = scatter_elements %x, %i, %u {axis = 0} yield %a"},
        {"%x: f32[5,4], %i: i64[3,4], %u: f32[3,4]",
         "%a = scatter_elements %x, %i, %u {axis = 0, fn = add} yield %a"},
        {"%x: f32[5,h], %i: i64[n,1], %u: f32[n,h]", "%a = scatter_nd %x, %i, %u yield %a"},
        {"%x: f32[5,3,h], %i: i64[n,2], %u: f32[n,h]",
         "%a = scatter_nd %x, %i, %u {fn = max} yield %a"},
        {"%x: f32[n,7]",
         "%v, %i = topk %x {axis = 1, size = [3], largest = true, sorted = true} yield %v, %i"},
    };
    CHECK_CASES(cases);
}
END_TEST

START_TEST(folds) {
    static const Case cases[] = {
        {"%x: f32[n,h,6]", "%a = reduce.add %x {axes = [1], keep = true} yield %a"},
        {"%x: f32[n,h,6]", "%a = reduce.max %x {axes = [2], keep = false} yield %a"},
        {"%x: f32[n,h,6]", "%a = reduce.add %x {axes = [0, 1], keep = false} yield %a"},
        {"%x: f32[n,h,6]", "%a = reduce.mul %x {axes = [0, 2], keep = true} yield %a"},
        {"%x: f32[n,h,6]", "%a = reduce.add %x {axes = [0, 1, 2], keep = false} yield %a"},
        {"%x: f32[n,1,6]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
        {"%x: f32[n,1,6]", "%a = reduce.add %x {axes = [], keep = false} yield %a"},
        {"%x: i8[n,70]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
        {"%x: f16[n,70]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
        {"%x: bool[n,3]", "%a = reduce.and %x {axes = [1], keep = false} yield %a"},
        {"%x: bool[n,3]", "%a = reduce.max %x {axes = [0], keep = false} yield %a"},
        {"%x: i64[n,h,3]", "%a = reduce.min %x {axes = [0], keep = false} yield %a"},
        {"%x: f32[n,h,6]", "%a = argreduce.max %x {axis = 2, keep = false} yield %a"},
        {"%x: i32[n,h,6]", "%a = argreduce.min %x {axis = 1, keep = true} yield %a"},
        {"%x: f32[n,h,6]", "%a = cumulate.add %x {axis = 1} yield %a"},
        {"%x: i32[n,h,6]",
         "%a = cumulate.add %x {axis = 0, exclusive = true, reverse = true} yield %a"},
        {"%x: f32[n,h + 3,9,5]",
         "%a = window.max %x {axes = [1, 2], kernel = [3, 2], strides = [2, 1], "
         "dilations = [1, 2], pad_lo = [1, 0], pad_hi = [1, 1]} yield %a"},
        {"%x: f32[n,8,8,3]",
         "%a = window.add %x {axes = [1, 2], kernel = [2, 2], strides = [2, 2], "
         "dilations = [1, 1], pad_lo = [0, 0], pad_hi = [0, 0]} "
         "%c = const f32[] [0.25] %b = mul %a, %c yield %b"},
        {"%x: f32[n,h,37]", "%a = softmax %x {axis = 2} yield %a"},
        {"%x: f32[n,h,5]", "%a = softmax %x {axis = 1} yield %a"},
        {"%x: f32[5,h]", "%a = log_softmax %x {axis = 1} yield %a"},
        {"%x: f16[n,7]", "%a = softmax %x {axis = 1} yield %a"},
        {"%x: f32[n,h,33], %s: f32[33], %b: f32[33]",
         "%a = layer_norm %x, %s, %b {axis = 2, epsilon = 1e-5} yield %a"},
        {"%x: f32[n,h,9], %s: f32[h,9]",
         "%a = layer_norm %x, %s {axis = 1, epsilon = 0.1} yield %a"},
        {"%x: f32[n,h,9]", "%a = layer_norm %x {axis = 2, epsilon = 0.1} yield %a"},
    };
    CHECK_CASES(cases);
}
END_TEST

START_TEST(contractions) {
    static const Case cases[] = {
        {"%x: f32[n,h], %y: f32[h,19]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
        {"%x: f32[n,4,h], %y: f32[n,h,6]",
         "%a = contract %x, %y {spec = \"bmk,bkn->bmn\"} yield %a"},
        {"%x: f32[n,4,7], %y: f32[7,16]", "%a = contract %x, %y {spec = \"bmk,kn->bmn\"} yield %a"},
        {"%x: f32[n,5,2,8], %y: f32[n,h,2,8]",
         "%a = contract %x, %y {spec = \"bqhd,bkhd->bhqk\"} yield %a"},
        {"%x: f32[9], %y: f32[9]", "%a = contract %x, %y {spec = \"k,k->\"} yield %a"},
        {"%x: f32[n], %y: f32[h]", "%a = contract %x, %y {spec = \"m,n->mn\"} yield %a"},
        {"%x: f32[n,6], %y: f32[6]", "%a = contract %x, %y {spec = \"mk,k->m\"} yield %a"},
        {"%x: i8[n,60], %y: i8[60,3]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
        {"%x: f16[n,6], %y: f16[6,3]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
        {"%x: f32[n,6], %y: f32[2,6,8]",
         "%a = contract %x, %y {spec = \"mk,kn->mn\", packed = 8, size = [13]} yield %a"},
        {"%x: f32[n,6], %y: f32[2,6,8]",
         "%a = contract %x, %y {spec = \"mk,kn->mn\", packed = 8} yield %a"},
        {"%x: f32[n,4,6], %y: f32[n,2,6,8]",
         "%a = contract %x, %y {spec = \"bmk,bkn->bmn\", packed = 8, size = [16]} yield %a"},
    };
    CHECK_CASES(cases);
}
END_TEST

#define CONV(strides, dilations, lo, hi, rest) \
    "%a = conv %x, %w {strides = " strides ", dilations = " dilations ", pad_lo = " lo \
    ", pad_hi = " hi ", " rest "} yield %a"

START_TEST(convolutions) {
    static const Case cases[] = {
        {"%x: f32[n,h + 2,7,3], %w: f32[3,3,3,10]",
         CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
        {"%x: f32[n,h + 2,7,3], %w: f32[3,3,3,10]",
         CONV("[2, 1]", "[1, 2]", "[1, 1]", "[1, 2]", "groups = 1")},
        {"%x: f32[n,h,7,3], %w: f32[1,1,3,17]",
         CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
        {"%x: f32[n,h,7,3], %w: f32[1,1,3,17]",
         CONV("[2, 2]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
        {"%x: f32[n,h + 2,7,6], %w: f32[3,3,1,6]",
         CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 6")},
        {"%x: f32[n,h + 2,7,6], %w: f32[3,3,1,12]",
         CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 6")},
        {"%x: f32[n,h + 2,7,6], %w: f32[3,3,3,8]",
         CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 2")},
        {"%x: f32[n,9,4], %w: f32[3,4,5]", CONV("[1]", "[1]", "[1]", "[1]", "groups = 1")},
        {"%x: f32[n,4,5,3], %w: f32[3,3,3,4]",
         CONV("[1, 1]", "[1, 1]", "[1, 2]", "[1, 2]", "groups = 1, input_dilation = [2, 3]")},
        {"%x: f32[n,h + 2,7,3], %w: f32[2,3,3,3,8]",
         CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 1, packed = 8, size = [11]")},
        {"%x: f32[n,h,7,3], %w: f32[2,1,1,3,8]",
         CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1, packed = 8, size = [16]")},
        {"%x: i32[n,9,4], %w: i32[3,4,5]", CONV("[1]", "[1]", "[1]", "[1]", "groups = 1")},
    };
    CHECK_CASES(cases);
}
END_TEST

START_TEST(recurrent_layers) {
    static const Case cases[] = {
        {"%x: f32[h,n,12], %r: f32[3,12], %h: f32[n,3], %c: f32[n,3]",
         "%y, %a, %b = lstm %x, %r, %h, %c yield %y, %a, %b"},
        {"%x: f32[h,n,36], %r: f32[9,36], %h: f32[n,9], %c: f32[n,9]",
         "%y, %a, %b = lstm %x, %r, %h, %c {reverse = true} yield %y"},
        {"%x: f32[n,h,9], %r: f32[3,9], %b: f32[9], %h: f32[h,3]",
         "%y, %a = gru %x, %r, %b, %h yield %y, %a"},
        {"%x: f32[n,h,27], %r: f32[9,27], %b: f32[27], %h: f32[h,9]",
         "%y, %a = gru %x, %r, %b, %h {reverse = true, mode = \"linear_before_reset\"} yield %a, %y"},
    };
    CHECK_CASES(cases);
}
END_TEST

/* --- groups
 * ----------------------------------------------------------------------------------------------------
 */

START_TEST(groups) {
    static const Case cases[] = {
        {"%x: f32[n,h,6], %y: f32[n,h,6]",
         "%a, %b = fused %x, %y region(%p: f32[n,h,6], %q: f32[n,h,6]) { %s = add %p, %q %t = sigmoid %s "
         "%u = mul %s, %t yield %u, %s } yield %a, %b"},
        /* the same operand at its own and at another place: not in place */
        {"%x: f32[6,6]",
         "%k = neg %x %a = fused %k region(%p: f32[6,6]) { %t = transpose %p {perm = [1, 0]} "
         "%u = add %p, %t yield %u } yield %a"},
        {"%x: f32[n,h,6]",
         "%k = neg %x %r = reshape %k {shape = [n, 6, h]} "
         "%a = fused %k, %r region(%p: f32[n,h,6], %q: f32[n,6,h]) { "
         "%t = transpose %q {perm = [0, 2, 1]} %u = add %p, %t yield %u } yield %a"},
        {"%x: f32[n,4,6], %w: f32[6,7], %b: f32[7], %r: f32[n,4,7]",
         "%a = fused %x, %w, %b, %r region(%p: f32[n,4,6], %q: f32[6,7], %c: f32[7], %d: f32[n,4,7]) { "
         "%m = contract %p, %q {spec = \"bmk,kn->bmn\"} %s = add %m, %c %t = relu %s %u = add %t, %d yield %u } "
         "yield %a"},
        /* heads: reshape and transpose behind a contraction, and a map at the new place */
        {"%x: f32[n,h,6], %w: f32[6,8], %s: f32[n,2,h,4]",
         "%a = fused %x, %w, %s region(%p: f32[n,h,6], %q: f32[6,8], %c: f32[n,2,h,4]) { "
         "%m = contract %p, %q {spec = \"bmk,kn->bmn\"} %v = reshape %m {shape = [n, h, 2, 4]} "
         "%t = transpose %v {perm = [0, 2, 1, 3]} %u = add %t, %c yield %u } yield %a"},
        {"%x: f32[n,h,2,4], %w: f32[8,5]",
         "%a = fused %x, %w region(%p: f32[n,h,2,4], %q: f32[8,5]) { "
         "%r = reshape %p {shape = [n, h, 8]} %m = contract %r, %q {spec = \"bmk,kn->bmn\"} yield %m } yield %a"},
        {"%x: f32[n,2,h,4], %w: f32[8,5]",
         "%a = fused %x, %w region(%p: f32[n,2,h,4], %q: f32[8,5]) { %t = transpose %p {perm = [0, 2, 1, 3]} "
         "%r = reshape %t {shape = [n, h, 8]} %m = contract %r, %q {spec = \"bmk,kn->bmn\"} yield %m } yield %a"},
        {"%x: f32[n,h + 2,5,3], %w: f32[3,3,3,8], %b: f32[8], %r: f32[n,h + 2,5,8]",
         "%a = fused %x, %w, %b, %r region(%p: f32[n,h + 2,5,3], %q: f32[3,3,3,8], %c: f32[8], "
         "%d: f32[n,h + 2,5,8]) { %i = pad %p {pad_lo = [0, 1, 1, 0], pad_hi = [0, 1, 1, 0]} "
         "%m = conv %i, %q {strides = [1, 1], dilations = [1, 1], pad_lo = [0, 0], pad_hi = [0, 0], groups = 1} "
         "%s = add %m, %c %u = add %s, %d %v = relu %u yield %v } yield %a"},
        {"%x: f32[n,h,9]",
         "%a = fused %x region(%p: f32[n,h,9]) { %m = reduce.add %p {axes = [2], keep = true} "
         "%c = const f32[] [0.111] %u = mul %m, %c %s = sqrt %u %v = abs %s yield %v } "
         "yield %a"},
        {"%x: f32[n,h,9]",
         "%a, %b = fused %x region(%p: f32[n,h,9]) { %e = exp %p "
         "%m = reduce.add %e {axes = [1], keep = false} %v = neg %m yield %v, %m } yield %a, %b"},
        /* scale and mask in front of a softmax */
        {"%x: f32[n,2,h,h], %k: f32[n,1,1,h]",
         "%a = fused %x, %k region(%p: f32[n,2,h,h], %q: f32[n,1,1,h]) { %c = const f32[] [0.5] "
         "%s = mul %p, %c %t = add %s, %q %u = softmax %t {axis = 3} yield %u } yield %a"},
        {"%x: f32[n,37], %k: f32[n,37]",
         "%a = fused %x, %k region(%p: f32[n,37], %q: f32[n,37]) { %t = add %p, %q "
         "%u = softmax %t {axis = 1} %v = convert %u {dtype = f16} yield %v } yield %a"},
        {"%x: f32[n,h], %k: f32[n,h]",
         "%a = fused %x, %k region(%p: f32[n,h], %q: f32[n,h]) { %t = add %p, %q "
         "%u = log_softmax %t {axis = 1} %v = convert %u {dtype = f64} yield %v } yield %a"},
        {"%x: f32[n,h,16], %y: f32[n,h,16], %s: f32[16], %b: f32[16]",
         "%a, %e = fused %x, %y, %s, %b region(%p: f32[n,h,16], %q: f32[n,h,16], %c: f32[16], %d: f32[16]) { "
         "%t = add %p, %q %u = layer_norm %t, %c, %d {axis = 2, epsilon = 1e-5} %v = relu %u yield %v, %u } "
         "yield %a, %e"},
        {"%x: f32[9,h], %i: i64[n,3], %p: f32[3,h], %s: f32[h]",
         "%a = fused %x, %i, %p, %s region(%e: f32[9,h], %j: i64[n,3], %q: f32[3,h], %c: f32[h]) { "
         "%g = gather %e, %j {axis = 0} %t = add %g, %q %u = layer_norm %t, %c {axis = 2, epsilon = 1e-5} "
         "yield %u } yield %a"},
        {"%x: f32[n,4,3], %y: f32[n,4,h]",
         "%a = fused %x, %y region(%p: f32[n,4,3], %q: f32[n,4,h]) { %r = relu %p "
         "%c = concat %r, %q {axis = 2} %s = neg %c yield %s } yield %a"},
        {"%x: f32[n,6]", "%a = fused %x region(%p: f32[n,6]) { %c = const f32[6] [1,2,3,4,5,6] "
                         "%s = mul %p, %c yield %s } yield %a"},
        {"%x: f32[n,4], %i: i64[n,2]",
         "%a = fused %x, %i region(%p: f32[n,4], %j: i64[n,2]) { %g = gather_elements %p, %j {axis = 1} "
         "%q = pad %g {pad_lo = [0, 1], pad_hi = [0, 1]} %s = neg %q yield %s } yield %a"},
        {"%x: f32[n,h,5,4]",
         "%a = fused %x region(%p: f32[n,h,5,4]) { %t = transpose %p {perm = [0, 3, 1, 2]} %r = relu %t "
         "%m = window.max %p {axes = [2], kernel = [2], strides = [2], dilations = [1], pad_lo = [0], pad_hi = [0]}"
         " %v = transpose %m {perm = [0, 3, 1, 2]} %w = neg %v yield %w } yield %a"},
    };
    CHECK_CASES(cases);
}
END_TEST

/* Two equal layers are one kernel; distinct ones have distinct names. */
START_TEST(shares_kernels) {
    static const char text[] =
        "module \"case\"\nsymbol n in 1..\ngraph main(%x: f32[n,8]) {\n"
        "%a = exp %x loc(\"A\" \"Exp\")\n%b = exp %a loc(\"B\" \"Exp\")\n%c = neg %b loc(\"A\" \"Neg\")\nyield %c\n}\n";
    Arena arena;
    lt_arena_init(&arena);
    const Program *p = lower(parse(&arena, text), 0, text);
    ck_assert_uint_eq(p->steps.len, 3);
    ck_assert_uint_eq(p->kernels.len, 2);
    ck_assert_uint_eq(p->steps.data[0].kernel, p->steps.data[1].kernel);
    ck_assert_str_ne(p->kernels.data[0]->name, p->kernels.data[1]->name);
    ck_assert_str_eq(p->steps.data[1].name, "B");
    ck_assert_uint_eq(p->kernels.data[0]->in_place, 1);
    lt_arena_free(&arena);
}
END_TEST

/* How many loops of each letter the kernel of a case has. */
static void expect_loops(const Case *c, KernelClass class, const char *names) {
    Arena arena;
    lt_arena_init(&arena);
    const char *text = lt_arena_printf(&arena,
                                       "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                       "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                                       c->inputs, c->body);
    const Program *p = lower(parse(&arena, text), 0, text);
    Str found;
    lt_str_init(&found, &arena);
    ck_assert_uint_eq(p->kernels.len, 1);
    ck_assert_int_eq(p->kernels.data[0]->class, class);
    for (const Stmt *s = p->kernels.data[0]->body; s;) {
        if (s->kind == STMT_FOR)
            lt_str_printf(&found, "%s ", s->u.loop.var->name);
        s = s->kind == STMT_FOR ? s->u.loop.body : s->kind == STMT_IF ? s->u.branch.body : s->next;
    }
    ck_assert_msg(strcmp(found.text, names) == 0, "loops %s, expected %s in\n%s", found.text, names,
                  text);
    lt_arena_free(&arena);
}

START_TEST(merges_loops) {
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[n,h,5]", "%a = add %x, %y yield %a"}, KERNEL_MAP,
                 "i0 ");
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[5]", "%a = add %x, %y yield %a"}, KERNEL_MAP,
                 "i0 i1 ");
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[1,h,5]", "%a = add %x, %y yield %a"}, KERNEL_MAP,
                 "i0 i1 ");
    expect_loops(&(Case){"%x: f32[n,h,5,1], %y: f32[n,1,1,1]", "%a = add %x, %y yield %a"},
                 KERNEL_MAP, "i0 i1 ");
    expect_loops(
        &(Case){"%x: f32[n,h,5]", "%a = reduce.add %x {axes = [1, 2], keep = false} yield %a"},
        KERNEL_REDUCE, "i0 k0 ");
    expect_loops(&(Case){"%x: f32[n,h,5], %y: f32[5,6]",
                         "%a = contract %x, %y {spec = \"bmk,kn->bmn\"} yield %a"},
                 KERNEL_CONTRACT, "m0 n0 k0 ");
    expect_loops(&(Case){"%x: f32[n,h,7,3], %w: f32[1,1,3,8]",
                         CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
                 KERNEL_CONTRACT, "m0 n0 k0 ");
    expect_loops(&(Case){"%x: f32[n,9,7,3], %w: f32[3,3,3,8]",
                         CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
                 KERNEL_CONV, "b y0 y1 o k0 k1 c ");
    expect_loops(&(Case){"%x: f32[n,4,h], %s: f32[4,h]",
                         "%a = layer_norm %x, %s {axis = 1, epsilon = 0.1} yield %a"},
                 KERNEL_ROWS, "i0 r0 ");
    expect_loops(
        &(Case){"%x: f32[n,h,6], %y: f32[n,h,2,3]",
                "%a = fused %x, %y region(%p: f32[n,h,6], %q: f32[n,h,2,3]) { "
                "%r = reshape %p {shape = [n, h, 2, 3]} %s = add %r, %q yield %s } yield %a"},
        KERNEL_MAP, "i0 ");
}
END_TEST

/* --- random graphs
 * ------------------------------------------------------------------------------------------------
 */

static Value *random_move(Builder *b, Value *x) {
    DimTable *t = &b->graph->module->dims;
    const int rank = x->type->rank;
    int64_t perm[LT_MAX_RANK], steps[LT_MAX_RANK];
    const Dim *dims[LT_MAX_RANK], *zeros[LT_MAX_RANK], *pads[LT_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        perm[i] = rank - 1 - i;
        steps[i] = 1;
        zeros[i] = lt_dim_const(t, 0);
        pads[i] = lt_dim_const(t, random_below(3));
        dims[i] = x->type->dims[i];
    }
    switch (random_below(5)) {
    case 0: return lt_build_transpose(b, x, perm);
    case 1:
        dims[0] = lt_type_elements(b->graph->module, x->type);
        return lt_build_reshape(b, x, 1, dims);
    case 2:
        steps[0] = lt_dim_is_const(dims[0]) && dims[0]->value > 2 ? 2 : 1;
        dims[0] = lt_dim_ceildiv(t, dims[0], lt_dim_const(t, steps[0]));
        return lt_build_slice(b, x, zeros, dims, steps);
    case 3: return rank < 4 ? lt_build_pad(b, x, pads, zeros, "constant", NULL) : x;
    default: return lt_build_concat(b, (Value *const[]){x, x}, 2, (int)random_below(rank));
    }
}

static Value *random_fold(Builder *b, Value *x) {
    const int64_t axis = random_below(x->type->rank);
    const Attr attrs[] = {lt_int(ATTR_AXIS, axis)};
    const NodeSpec softmax = {
        .op = OP_SOFTMAX, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = 1};
    switch (random_below(3)) {
    case 0: return lt_build_reduce(b, FN_MAX, x, &axis, 1, true);
    case 1: return lt_build_reduce(b, FN_ADD, x, &axis, 1, x->type->rank == 1);
    default: return lt_build(b, &softmax);
    }
}

/* A few ops over inputs, each reading what came before. */
static Module *random_graph(Arena *arena) {
    static const ScalarFn unary[] = {FN_SIGMOID, FN_ABS, FN_TANH, FN_RELU},
                          binary[] = {FN_ADD, FN_MUL, FN_MAX};
    Module *m = lt_module_new(arena, "random");
    m->main = lt_graph_new(m, NULL, "main");
    Builder b = {.graph = m->main};
    const Dim *n = lt_dim_symbol(&m->dims, "n"), *h = lt_dim_symbol(&m->dims, "h");
    const Dim *shapes[3][3] = {{n, h, lt_dim_const(&m->dims, 6)},
                               {n, lt_dim_const(&m->dims, 5), lt_dim_const(&m->dims, 1)},
                               {h, lt_dim_const(&m->dims, 3), lt_dim_const(&m->dims, 4)}};
    Value *pool[24];
    int count = 0;
    lt_dim_set_range(&m->dims, n, 0, LT_DIM_UNBOUNDED);
    for (; count < 3; count++)
        pool[count] = lt_graph_add_input(m->main, lt_type(m, DT_F32, 3, shapes[count]), NULL);
    while (count < 12) {
        Value *x = pool[random_below(count)], *y = pool[random_below(count)];
        Value *made;
        switch (random_below(5)) {
        case 0: made = random_move(&b, x); break;
        case 1: made = random_fold(&b, x); break;
        case 2: made = lt_build_map1(&b, unary[random_below(4)], x); break;
        default:
            made = lt_build_map2(&b, binary[random_below(3)], x, x->type == y->type ? y : x);
            break;
        }
        ck_assert_msg(made != NULL, "%s", first_diag(m));
        pool[count++] = made;
    }
    lt_graph_set_outputs(m->main, (Value *const[]){pool[11], pool[10], pool[7]}, 3);
    return m;
}

START_TEST(random_graphs) {
    int compared = 0;
    for (int i = 0; i < RANDOM_GRAPHS; i++) {
        for (int fuse = 0; fuse <= 1; fuse++) {
            Arena arena, scratch;
            lt_arena_init(&arena);
            lt_arena_init(&scratch);
            random_state = (uint64_t)i * 7919 + 3;
            Module *m = random_graph(&arena);
            PassContext ctx = {.module = m,
                               .target = lt_target_find("x86-64-avx2"),
                               .level = 2,
                               .scratch = &scratch};
            if (fuse)
                lt_pass_fuse(&ctx);
            Str text;
            lt_str_init(&text, &arena);
            lt_module_print(&text, m);
            compared += check_module(m, symbol_values[i % TRIALS], i % 2 * 2, text.text);
            lt_arena_free(&scratch);
            lt_arena_free(&arena);
        }
    }
    ck_assert_int_gt(compared, RANDOM_GRAPHS);
}
END_TEST

/* What has no kernel is said, not guessed. */
START_TEST(refuses) {
    static const char text[] =
        "module \"case\"\ngraph main(%x: f32[4,4]) {\n%a = fused %x region(%p: f32[4,4]) {\n"
        "%s = softmax %p {axis = 1}\n%m = reduce.add %s {axes = [1], keep = true}\nyield %m\n}\nyield %a\n}\n";
    Arena arena, scratch;
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    PassContext ctx = {.module = parse(&arena, text),
                       .target = lt_target_find("x86-64-avx2"),
                       .scratch = &scratch};
    lt_pass_lower(&ctx);
    ck_assert_ptr_null(ctx.program);
    ck_assert_uint_eq(ctx.module->diags.errors, 1);
    ck_assert_int_eq(lt_diag_status(&ctx.module->diags), 3);
    ck_assert_str_eq(first_diag(ctx.module),
                     "there is no kernel for softmax: softmax and reduce are in one group");
    lt_arena_free(&scratch);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_lower", maps, moves, resizes, gathers, folds, contractions, convolutions,
             recurrent_layers, groups, shares_kernels, merges_loops, refuses, random_graphs)
