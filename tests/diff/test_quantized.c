/* test_quantized.c - what `narrow` makes of quantized products on a GPU, against the evaluator's
 * result of the graph before it: evaluated again, interpreted, and as CUDA-C. */
#include "passes/pass.h"
#include "tests/diff/cuda_fixture.h"

/* The passes of the pipeline that a quantized product meets. */
static const char *const passes[] = {"infer", "fold", "simplify", "narrow", "pack",
                                     "fold",  "cse",  "dce",      "fuse"};
enum { PASSES = sizeof passes / sizeof *passes, MOST_OUTPUTS = 4 };

static const Tensor *before[MOST_OUTPUTS];

/* Of the narrowed graph: the evaluator's results are those before it. */
static void check_before(const Program *p, const Tensor *const *inputs,
                         const Tensor *const *expected, const char *text) {
    for (uint32_t i = 0; i < lt_graph_yield(p->module->main)->input_count; i++)
        check_equal(expected[i], before[i], text);
    cuda_collect(p, inputs, expected, text);
}

static void evaluate_before(Arena *arena, const char *text, const int64_t *values) {
    Module *m = parse(arena, text);
    const Tensor *inputs[16], *outputs[MOST_OUTPUTS];
    int64_t symbols[64] = {0};
    Evaluation ev;
    for (size_t i = 0; i < m->dims.symbols.len; i++)
        symbols[i] = values[m->dims.symbols.data[i].dim->name[0] == 'h'];
    random_state = 3;
    for (size_t i = 0; i < m->main->inputs.len; i++)
        inputs[i] = random_tensor(arena, m->main->inputs.data[i]->type, symbols);
    ck_assert_msg(lt_eval_module(&ev, arena, m, inputs, outputs), "%s", text);
    memcpy(before, outputs, sizeof before);
}

/* How many products of bytes there are. */
static int narrowed(const Module *m) {
    Str text;
    lt_str_init(&text, m->arena);
    lt_module_print(&text, m);
    int count = 0;
    for (const char *at = text.text; (at = strstr(at, "dtype = i32}")); at++) {
        const char *line = at;
        while (line > text.text && line[-1] != '\n')
            line--;
        const char *op = strstr(line, "contract "), *conv = strstr(line, "conv ");
        count += (op && op < at) || (conv && conv < at);
    }
    return count;
}

typedef struct Quantized {
    const char *inputs, *body;
    int products; /* of bytes, in the end */
} Quantized;

static void check_quantized(const Quantized *c, const int64_t *values) {
    Arena arena, scratch;
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    const char *text = lt_arena_printf(&arena,
                                       "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                       "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                                       c->inputs, c->body);
    evaluate_before(&arena, text, values);
    Module *m = parse(&arena, text);
    PassContext ctx = {
        .module = m, .target = lt_target_find("cuda"), .level = 2, .scratch = &scratch};
    const PassOptions options = {.limit = -1, .verify = true};
    ck_assert_msg(lt_passes_run(&ctx, passes, PASSES, &options), "%s", first_diag(m));
    ck_assert_msg(narrowed(m) == c->products, "%d products of bytes, not %d, in\n%s", narrowed(m),
                  c->products, text);
    random_state = 3;
    ck_assert(check_module(m, values, 2, text));
    lt_arena_free(&scratch);
    lt_arena_free(&arena);
}

#define MATRIX "const i8[4,3] [0, 1, -2, 3, 4, -5, 6, 127, -8, 9, 10, -128]\n"
#define WIDE(name, of) "%" name " = convert %" of " {dtype = i32}\n"
#define FLOAT(name, of) "%" name " = convert %" of " {dtype = f32}\n"
#define HALF "%half = const f32[] splat(0.5)\n"
/* x - z and x - number in i32 */
#define MINUS(name, x, z) WIDE(x "w", x) WIDE(z "w", z) "%" name " = sub %" x "w, %" z "w\n"
#define CENTERED(name, x, z) \
    WIDE(x "w", x) "%z = const i32[] splat(" z ")\n%" name " = sub %" x "w, %z\n"
#define PRODUCT(spec) "%p = contract %a, %b {spec = \"" spec "\"}\nyield %p"
#define FILTER \
    "const i32[2,3,2,3] [0, 1, -2, 3, 4, -5, 6, 7, -8, 9, 10, -11, 12, 13, -14, 15, 16, " \
    "-17, 18, 19, -20, 21, 22, -23, 24, 25, -26, 27, 28, -29, 30, 31, 100, 33, 34, -128]\n"
#define SWEEP(lo, hi) \
    "%p = conv %a, %f {strides = [2, 1], dilations = [1, 1], pad_lo = " lo ", pad_hi = " hi \
    ", groups = 1}\nyield %p"

static const Quantized cases[] = {
    /* no zero points; of the operand, known and not; of both, along rows and columns */
    {"%x: u8[n,4]", "%w = " MATRIX WIDE("a", "x") WIDE("b", "w") PRODUCT("mk,kn->mn"), 1},
    {"%x: u8[n,4]", "%w = " MATRIX CENTERED("a", "x", "5") WIDE("b", "w") PRODUCT("mk,kn->mn"), 1},
    {"%x: u8[n,4], %z: u8[]",
     "%w = " MATRIX MINUS("a", "x", "z") WIDE("b", "w") PRODUCT("mk,kn->nm"), 1},
    {"%x: u8[n,h], %z: u8[n,1], %y: i8[h,40], %v: i8[40]",
     MINUS("a", "x", "z") MINUS("b", "y", "v") PRODUCT("mk,kn->mn"), 1},
    {"%x: i8[3,n,h], %z: i8[3,1,1], %y: u8[3,20,h], %v: u8[20,1]",
     MINUS("a", "x", "z") MINUS("b", "y", "v") PRODUCT("bmk,bnk->nbm"), 1},
    /* weights around no zero point of theirs, and too far from each other */
    {"%x: u8[n,2]",
     "%b = const i32[2,3] [-100, 100, 155, 0, 1, 2]\n" WIDE("a", "x") PRODUCT("mk,kn->mn"), 1},
    {"%x: u8[n,2]",
     "%b = const i32[2,3] [-101, 100, 155, 0, 1, 2]\n" WIDE("a", "x") PRODUCT("mk,kn->mn"), 0},
    /* along the fold; on its own; transposed behind the zero point */
    {"%x: u8[n,4], %z: u8[4]",
     "%w = " MATRIX MINUS("a", "x", "z") WIDE("b", "w") PRODUCT("mk,kn->mn"), 0},
    {"%x: u8[n,h,4]", "%w = " MATRIX WIDE("a", "x") WIDE("b", "w") PRODUCT("mjk,kn->mn"), 0},
    {"%x: u8[4,n]",
     "%w = " MATRIX CENTERED("x2", "x", "5") "%a = transpose %x2 {perm = [1, 0]}\n"
     WIDE("b", "w") PRODUCT("mk,kn->mn"), 1},
    /* convolutions: padded with a zero point, or not, or with one that is not known */
    {"%x: u8[2,h,7,2]", "%f = " FILTER WIDE("a", "x") SWEEP("[1, 1]", "[0, 1]"), 1},
    {"%x: u8[2,h,7,2]", "%f = " FILTER CENTERED("a", "x", "250") SWEEP("[1, 1]", "[0, 1]"), 1},
    {"%x: i8[2,h,7,2], %z: i8[1]",
     "%f = " FILTER MINUS("a", "x", "z") SWEEP("[1, 0]", "[0, 0]"), 0},
    /* in f32 with scales: one, of rows, of columns; along the fold; a sum that i32 may not hold */
    {"%x: u8[n,40], %y: i8[40,h]",
     HALF CENTERED("x2", "x", "5") FLOAT("x3", "x2") "%a = mul %x3, %half\n"
     FLOAT("b", "y") PRODUCT("mk,kn->mn"), 1},
    {"%x: i8[n,40], %s: f32[n,1], %y: u8[40,h], %t: f32[h], %v: u8[h]",
     FLOAT("x1", "x") "%a = mul %x1, %s\n" MINUS("y2", "y", "v") FLOAT("y3", "y2")
     "%b = mul %y3, %t\n" PRODUCT("mk,kn->nm"), 1},
    {"%x: i8[n,40], %s: f32[40], %y: u8[40,h]",
     FLOAT("x1", "x") "%a = mul %x1, %s\n" FLOAT("b", "y") PRODUCT("mk,kn->mn"), 0},
    {"%x: i8[n,40000], %y: u8[40000,1]", FLOAT("a", "x") FLOAT("b", "y") PRODUCT("mk,kn->mn"), 0},
    /* of the outputs of a convolution, transposed */
    {"%x: u8[2,h,7,2], %w: i8[3,2,2,3], %t: f32[3,1,1,1]",
     HALF CENTERED("x2", "x", "250") FLOAT("x3", "x2") "%a = mul %x3, %half\n" FLOAT("w1", "w")
     "%w2 = mul %w1, %t\n%f = transpose %w2 {perm = [2, 3, 1, 0]}\n" SWEEP("[1, 1]", "[0, 1]"), 1},
};

START_TEST(quantized_products) {
    static const int64_t values[][2] = {{1, 3}, {33, 70}};
    const size_t count = sizeof cases / sizeof *cases;
    tolerance_f32 = 2e-4; /* before, terms are rounded and much larger than their sum */
    cuda_begin_cases(0, check_before);
    for (size_t i = 0; i < count; i++)
        for (int trial = 0; trial < 2; trial++)
            check_quantized(&cases[i], values[trial]);
    ck_assert_ptr_nonnull(strstr(cuda_runs.source.text, "mmau8s8(&"));
    ck_assert_uint_eq(cuda_finish(), 2 * count);
}
END_TEST

LT_TEST_MAIN("test_quantized", quantized_products)
