/* lower_fixture.h - what the tests of lowering share: one module evaluated and lowered, on random
 * tensors, under several values of its symbols. */
#ifndef LATHE_TESTS_LOWER_FIXTURE_H
#define LATHE_TESTS_LOWER_FIXTURE_H

#include <math.h>

#include "ir/build.h"
#include "passes/lower.h"
#include "runtime/kernels/library.h"
#include "tests/test.h"

enum { TRIALS = 4 };

/* Values of the symbols n and h; bodies may count on h >= 1. */
static const int64_t symbol_values[TRIALS][2] = {{1, 1}, {2, 3}, {7, 5}, {0, 17}};

typedef struct Case {
    const char *inputs, *body;
} Case;

/* --- random numbers ------------------------------------------------------------------------ */

static uint64_t random_state;

static inline uint64_t next_random(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 33;
}

static inline int64_t random_below(int64_t limit) {
    return (int64_t)(next_random() % (uint64_t)limit);
}

/* Floats in -2..2, integers in -3..2, so that they serve as positions on axes of at least 3. */
static inline Tensor *random_tensor(Arena *arena, const Type *type, const int64_t *symbols) {
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

/* --- one module, both ways ----------------------------------------------------------------- */

static inline int32_t call_library(void *context, uint32_t function, void *const *buffers,
                                   const int64_t *ints) {
    (void)context;
    LtLibraryFn *fn = lt_library_function(function);
    ck_assert_ptr_nonnull(fn);
    return fn(buffers, ints);
}

static inline const char *first_diag(const Module *m) {
    return m->diags.items.len ? m->diags.items.data[m->diags.items.len - 1].text
                              : "(no diagnostic)";
}

/* Of one plus the expected value. */
static double tolerance_f32 = 1e-5;

static inline void check_equal(const Tensor *got, const Tensor *expected, const char *text) {
    const bool is_half = expected->dtype == DT_F16 || expected->dtype == DT_BF16;
    const double tolerance = is_half ? 2e-2 : tolerance_f32;
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
        ck_assert_msg(near, "element %lld is %.9g, not %.9g, in\n%.4000s", (long long)i, a, b,
                      text);
    }
}

static const char *lower_target = "x86-64-avx2";
static int64_t lower_l2_bytes; /* of the target; 0: its own */
static const char *lower_cpu;  /* of the target; NULL: its own */
static int lower_first_level; /* of the two that a case is checked at, 0 and 2 */
static const char *lower_schedule; /* NULL: the target's */

static inline Program *lower(Module *m, int level, const char *text) {
    Arena scratch;
    lt_arena_init(&scratch);
    Target target = *lt_target_find(lower_target);
    target.l2_bytes = lower_l2_bytes ? lower_l2_bytes : target.l2_bytes;
    target.cpu = lower_cpu ? lower_cpu : target.cpu;
    PassContext ctx = {.module = m,
                       .target = &target,
                       .level = level,
                       .scratch = &scratch,
                       .schedule_override = lower_schedule};
    lt_pass_lower(&ctx);
    ck_assert_msg(ctx.program && m->diags.errors == 0, "%s, in\n%s", first_diag(m), text);
    if (level >= 2)
        lt_pass_bands(&ctx);
    lt_pass_plan_memory(&ctx);
    lt_arena_free(&scratch);
    for (size_t i = 0; i < ctx.program->kernels.len; i++) {
        Str kernel;
        lt_str_init(&kernel, m->arena);
        lt_kernel_print(&kernel, ctx.program->kernels.data[i], true);
        ck_assert_msg(lt_kernel_verify(ctx.program->kernels.data[i], &m->diags),
                      "%s, in\n%.4000s\n%s", first_diag(m), kernel.text, text);
    }
    return ctx.program;
}

/* What more is done with a program, whose interpretation was right; NULL: nothing. */
typedef void CheckMore(const Program *p, const Tensor *const *inputs, const Tensor *const *expected,
                       const char *text);
static CheckMore *check_more;

/* Programs for a GPU also run compiled, with every access checked: in between, every second one is
 * interpreted, and all of them where FULL is set. */
static inline bool interprets(void) {
    static unsigned programs;
    return strncmp(lower_target, "cuda", 4) != 0 || !check_more || getenv("FULL") ||
           programs++ % 2 == 0;
}

/* Evaluates and lowers m, whose text is for messages; false when the evaluator refuses these
 * symbols. */
static inline bool check_module(Module *m, const int64_t *values, int level, const char *text) {
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
    const bool is_interpreted = interprets();
    const char *error =
        is_interpreted ? lt_program_eval_with(p, m->arena, inputs, got, &library) : NULL;
    Str listing;
    lt_str_init(&listing, m->arena);
    lt_program_print(&listing, p);
    lt_str_append(&listing, text);
    ck_assert_msg(!error, "%s, in\n%.4000s", error, listing.text);
    for (uint32_t i = 0; is_interpreted && i < lt_graph_yield(m->main)->input_count; i++)
        check_equal(got[i], expected[i], listing.text);
    if (check_more)
        check_more(p, inputs, expected, listing.text);
    return true;
}

static inline Module *parse(Arena *arena, const char *text) {
    Module *m = lt_module_new(arena, "case.lir");
    const bool ok = lt_module_read(m, text, strlen(text));
    ck_assert_msg(ok, "%s, in\n%s", first_diag(m), text);
    return m;
}

/* The case at each level under all values; at least one must have been compared. */
static inline void check_case(const Case *c) {
    int compared = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        for (int level = lower_first_level; level <= 2; level += 2) {
            Arena arena;
            lt_arena_init(&arena);
            const char *text = lt_arena_printf(&arena,
                                               "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                               "symbol d0 in 0.. data\nsymbol d1 in 0.. data\n"
                                               "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                                               c->inputs, c->body);
            random_state = (uint64_t)trial + 1;
            compared += check_module(parse(&arena, text), symbol_values[trial], level, text);
            lt_arena_free(&arena);
        }
    }
    ck_assert_msg(compared > 0, "never evaluated: %s", c->body);
}

static inline void check_cases(const Case *cases, size_t count) {
    for (size_t i = 0; i < count; i++)
        check_case(&cases[i]);
}
#define CHECK_CASES(cases) check_cases(cases, sizeof(cases) / sizeof *(cases))

/* A convolution of %x and %w, as the body of a case. */
#define CONV(strides, dilations, lo, hi, rest) \
    "%a = conv %x, %w {strides = " strides ", dilations = " dilations ", pad_lo = " lo \
    ", pad_hi = " hi ", " rest "} yield %a"

#endif
