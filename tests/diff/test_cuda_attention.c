/* test_cuda_attention.c - attention in one kernel on a GPU against the evaluator: by the
 * interpreter of kernels, and as CUDA-C with every access checked. */
#include "tests/diff/cuda_fixture.h"

static const char *kernel_text; /* of the last attention; NULL: there was none */

static void collect(const Program *p, const Tensor *const *inputs, const Tensor *const *expected,
                    const char *listing) {
    kernel_text = NULL;
    for (size_t i = 0; i < p->kernels.len; i++) {
        Str text;
        if (p->kernels.data[i]->class != KERNEL_ATTENTION)
            continue;
        lt_str_init(&text, &cuda_runs.arena);
        lt_kernel_print(&text, p->kernels.data[i], false);
        kernel_text = text.text;
    }
    cuda_collect(p, inputs, expected, listing);
}

static void begin(void) {
    tolerance_f32 = 1e-4;
    cuda_begin_cases(0, collect);
}

typedef struct AttentionCase {
    Case c;
    const char *wanted; /* in the text of the kernel; NULL: there is no attention */
} AttentionCase;

/* n columns and h rows. */
static void check_at(const AttentionCase *at, int64_t n, int64_t h) {
    Arena arena, scratch;
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    const char *text = lt_arena_printf(&arena,
                                       "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                       "graph main(%s, %%unused: u8[n,h]) {\n%s\n}\n",
                                       at->c.inputs, at->c.body);
    Module *m = parse(&arena, text);
    Target target = *lt_target_find("cuda");
    target.cpu = lower_cpu ? lower_cpu : target.cpu;
    PassContext ctx = {.module = m, .target = &target, .level = 2, .scratch = &scratch};
    random_state = (uint64_t)(n * 1000 + h);
    lt_pass_fuse(&ctx);
    ck_assert_msg(check_module(m, (const int64_t[]){n, h}, 2, text), "not evaluated: %s", text);
    ck_assert_msg(at->wanted ? kernel_text && strstr(kernel_text, at->wanted) : !kernel_text,
                  "%.3000s, where '%s' was wanted, in %s",
                  kernel_text ? kernel_text : "no attention", at->wanted, text);
    lt_arena_free(&scratch);
    lt_arena_free(&arena);
}

/* n columns, h rows: none, one, primes, around the tiles. */
static const int64_t sizes[][2] = {{0, 3},   {1, 1},   {5, 7},   {64, 64}, {31, 2},
                                   {65, 17}, {63, 65}, {33, 13}, {37, 63}, {16, 129}};
enum { SIZE_COUNT = sizeof sizes / sizeof *sizes, SIZES_EACH = 3 };

static void check_cases_at_sizes(const AttentionCase *cases, size_t count) {
    begin();
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < SIZES_EACH; j++) {
            const int64_t *size = sizes[(j * 3 + i) % SIZE_COUNT];
            check_at(&cases[i], size[0], size[1]);
        }
    ck_assert_uint_ge(cuda_finish(), count);
}
#define CHECK_ATTENTIONS(cases) check_cases_at_sizes(cases, sizeof(cases) / sizeof *(cases))

#define SUMS "%o = contract %p, %v {spec = \"amn,anc->amc\"}\n"
#define SOFTMAX(of) "%p = softmax " of " {axis = 2}\n" SUMS
#define SCORES "%s = contract %q, %k {spec = \"amd,and->amn\"}\n"
#define Q_K_V "%q: f32[2,h,20], %k: f32[2,n,20], %v: f32[2,n,24]"

/* Letters in any order, neighbours in memory along each of the axes. */
START_TEST(layouts) {
    static const AttentionCase cases[] = {
        {{Q_K_V, SCORES SOFTMAX("%s") "yield %o"}, "combine most by max of 16"},
        {{"%q: f32[2,3,h,5], %k: f32[2,n,5], %v: f32[2,n,5]",
          "%s = contract %q, %k {spec = \"gxmd,gnd->gxmn\"}\n%p = softmax %s {axis = 3}\n"
          "%o = contract %p, %v {spec = \"gxmn,gnc->gxmc\"} yield %o"},
         "thread"},
        {{"%q: f32[h,2,3,4], %k: f32[n,3,2,4], %v: f32[n,2,40]",
          "%s = contract %q, %k {spec = \"mbde,ndbe->bmn\"}\n%p = softmax %s {axis = 2}\n"
          "%o = contract %p, %v {spec = \"xyz,zxc->yxc\"} yield %o"},
         "fetch"},
        {{"%q: f32[2,20,h], %k: f32[2,20,n], %v: f32[2,24,n]",
          "%s = contract %q, %k {spec = \"adm,adn->amn\"}\n%p = softmax %s {axis = 2}\n"
          "%o = contract %p, %v {spec = \"amn,acn->amc\"} yield %o"},
         "thread"},
        {{"%q: f16[2,16,3,h], %k: f16[2,16,3,n], %v: f16[2,40,n]",
          "%s = contract %q, %k {spec = \"adem,aden->amn\"}\n%p = softmax %s {axis = 2}\n"
          "%o = contract %p, %v {spec = \"amn,acn->amc\"} yield %o"},
         "mma"},
        {{"%q: f16[40,2,64], %k: f16[72,2,64], %v: f16[2,64,72], %x: f32[h,n]",
          "%s = contract %q, %k {spec = \"mad,nad->amn\"}\n%p = softmax %s {axis = 2}\n"
          "%o = contract %p, %v {spec = \"amn,acn->mac\"} yield %o"},
         "fetch lane in 8"},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

START_TEST(maps_between_and_behind) {
    static const AttentionCase cases[] = {
        {{Q_K_V ", %b: f32[h,n]", SCORES
          "%f = const f32[] [0.25]\n%t = mul %s, %f\n%u = add %t, %b\n" SOFTMAX("%u") "yield %o"},
         "combine"},
        /* Rows that nothing is left of are NaN; tiles that nothing is left of are not seen. */
        {{Q_K_V ", %b: f32[2,h,n]",
          SCORES "%z = const f32[] [0]\n%i = const f32[] [-inf]\n%c = lt %b, %z\n"
                 "%t = select %c, %s, %i\n" SOFTMAX("%t") "yield %o"},
         "combine"},
        {{Q_K_V ", %b: f32[n], %r: f32[2,h,24]",
          SCORES "%z = const f32[] [1]\n%i = const f32[] [-inf]\n%c = lt %b, %z\n"
                 "%t = select %c, %s, %i\n" SOFTMAX("%t") "%y = add %o, %r\n%a = relu %y yield %a"},
         "combine"},
        /* Rows that nothing is left of are 0: as the weights say, or as the mask does. */
        {{Q_K_V ", %b: f32[2,h,n]",
          SCORES "%z = const f32[] [0]\n%i = const f32[] [-inf]\n%c = lt %b, %z\n"
                 "%t = select %c, %s, %i\n%w = softmax %t {axis = 2}\n%x = isnan %w\n"
                 "%p = select %x, %z, %w\n" SUMS "yield %o"},
         "combine"},
        {{"%q: f16[2,h,20], %k: f16[2,n,20], %v: f16[2,n,24], %b: f32[h,1]",
          SCORES "%z = const f16[] [0]\n%y = const f32[] [0]\n%x = lt %b, %y\n"
                 "%w = softmax %s {axis = 2}\n%p = select %x, %z, %w\n" SUMS "yield %o"},
         "mma"},
        /* The scores are read twice. */
        {{Q_K_V, SCORES "%g = sigmoid %s\n%t = mul %s, %g\n" SOFTMAX("%t") "yield %o"}, "combine"},
        {{"%q: f16[2,h,16], %k: f16[2,n,16], %v: f16[2,n,7], %b: f32[h,n]",
          SCORES "%t = convert %s {dtype = f32}\n%u = add %t, %b\n%w = softmax %u {axis = 2}\n"
                 "%p = convert %w {dtype = f16}\n" SUMS "%t2 = transpose %o {perm = [1, 0, 2]}\n"
                 "yield %t2"},
         "mma mma in 16"},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

/* Where there is no tile for it, scores go through memory. */
START_TEST(through_memory) {
    static const AttentionCase cases[] = {
        {{Q_K_V, SCORES SOFTMAX("%s") "yield %o, %p"}, NULL},
        {{"%q: f32[2,h,h], %k: f32[2,n,h], %v: f32[2,n,5]", SCORES SOFTMAX("%s") "yield %o"}, NULL},
        {{"%q: f32[2,h,6], %k: f32[2,n,6], %v: f32[2,n,h]", SCORES SOFTMAX("%s") "yield %o"}, NULL},
        {{"%q: f32[2,1,6], %k: f32[2,n,6], %v: f32[2,n,6], %x: u8[h]",
          SCORES SOFTMAX("%s") "yield %o"},
         NULL},
        {{"%q: f32[h,600], %k: f32[n,600], %v: f32[n,5]",
          "%s = contract %q, %k {spec = \"md,nd->mn\"}\n%p = softmax %s {axis = 1}\n"
          "%o = contract %p, %v {spec = \"mn,nc->mc\"} yield %o"},
         NULL},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

/* --- at random ------------------------------------------------------------------------------- */

/* T is the dtype, H and N the extents. */
static const char *const forms[] = {
    SCORES SOFTMAX("%s") "yield %o",
    SCORES "%f = const T[] [0.25]\n%t = mul %s, %f\n" SOFTMAX("%t") "yield %o",
    SCORES "%f = const T[] [0.25]\n%t = mul %s, %f\n%u = add %t, %b\n" SOFTMAX(
        "%u") "%y = add %o, %r\nyield %y",
    /* Causal. */
    SCORES
    "%m = iota {shape = [H, N], axis = 0, dtype = i64}\n"
    "%n = iota {shape = [H, N], axis = 1, dtype = i64}\n"
    "%c = le %n, %m\n%i = const T[] [-inf]\n%t = select %c, %s, %i\n" SOFTMAX("%t") "yield %o",
};

static const char *random_form(Arena *arena, const char *dtype, const char *h, const char *n) {
    Str text;
    lt_str_init(&text, arena);
    for (const char *p = forms[random_below(sizeof forms / sizeof *forms)]; *p; p++)
        if (*p == 'T' || *p == 'H' || *p == 'N')
            lt_str_append(&text, *p == 'T' ? dtype : *p == 'H' ? h : n);
        else
            lt_str_char(&text, *p);
    return text.text;
}

static void check_random(const char *dtype, int64_t head, bool is_mma) {
    static const int64_t extents[] = {1, 2, 13, 15, 17, 31, 33, 37, 61, 63, 64, 65};
    enum { EXTENTS = sizeof extents / sizeof *extents };
    Arena arena;
    lt_arena_init(&arena);
    const int64_t values = random_below(2) ? head : 1 + random_below(80);
    const bool knows_rows = random_below(3) == 0, knows_columns = random_below(3) == 0;
    const int64_t most = head < 64 ? EXTENTS : EXTENTS - 4; /* what it takes, in time */
    const int64_t rows = extents[random_below(most)], columns = extents[random_below(most)];
    const char *h = knows_rows ? lt_arena_printf(&arena, "%lld", (long long)rows) : "h";
    const char *n = knows_columns ? lt_arena_printf(&arena, "%lld", (long long)columns) : "n";
    const char *inputs = lt_arena_printf(
        &arena,
        "%%q: %s[2,%s,%lld], %%k: %s[2,%s,%lld], %%v: %s[2,%s,%lld], %%b: %s[%s,%s], "
        "%%r: %s[2,%s,%lld]",
        dtype, h, (long long)head, dtype, n, (long long)head, dtype, n, (long long)values, dtype, h,
        n, dtype, h, (long long)values);
    const AttentionCase at = {{inputs, random_form(&arena, dtype, h, n)},
                              knows_rows && rows < 4 ? NULL
                              : is_mma               ? "mma mma in 16"
                                                     : "unroll l in 8"};
    const uint64_t state = random_state;
    check_at(&at, columns, rows);
    random_state = state;
    lt_arena_free(&arena);
}

static void check_heads(const char *dtype, bool is_mma) {
    static const int64_t heads[] = {1, 7, 16, 32, 64, 80, 128, 200};
    enum { HEADS = sizeof heads / sizeof *heads };
    begin();
    random_state = 11;
    for (int i = 0; i < HEADS; i++)
        check_random(dtype, heads[i], is_mma);
    ck_assert_uint_eq(cuda_finish(), HEADS);
}

START_TEST(random_f32) { check_heads("f32", false); }
END_TEST
START_TEST(random_f16) { check_heads("f16", true); }
END_TEST
START_TEST(random_bf16) { check_heads("bf16", true); }
END_TEST

/* Halves that tensor cores do not take. */
START_TEST(halves_in_registers) {
    begin();
    lower_cpu = "sm_75";
    random_state = 5;
    check_random("bf16", 40, false);
    check_random("bf16", 128, false);
    check_random("f16", 24, true);
    lower_cpu = NULL;
    cuda_finish();
}
END_TEST

/* The choice is said, and why there is none. */
START_TEST(remarks_name_the_choice) {
    static const struct {
        const char *dtype, *rows, *head, *values, *cpu, *remarks[2];
    } cases[] = {
        {"f16", "512", "32", "32", "sm_80", {"attention in one kernel, tiles of 64 x 64", NULL}},
        {"f16", "h", "128", "128", "sm_80", {"attention in one kernel, tiles of 64 x 64", NULL}},
        {"f32", "8", "64", "64", "sm_80", {"tiles of 16 x 16", "they would round f32 to tf32"}},
        {"bf16", "h", "64", "64", "sm_75", {"tiles of 64 x", "bf16 begins with sm_80"}},
        {"f16", "h", "64", "64", "sm_70", {"tiles of 64 x", "those of sm_70 leave rows to other"}},
        {"f32", "h", "n", "64", "sm_80", {"memory: the size of its heads is not known", NULL}},
        {"f32", "h", "64", "n", "sm_80", {"memory: the size of its values is not known", NULL}},
        {"f32", "1", "64", "64", "sm_80", {"memory: it has too few rows for a tile", NULL}},
        {"f32", "h", "999", "64", "sm_80", {"its heads are too large for shared memory", NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena arena, scratch;
        lt_arena_init(&arena);
        lt_arena_init(&scratch);
        const char *t = cases[i].dtype, *rows = cases[i].rows, *head = cases[i].head;
        Module *m = parse(&arena, lt_arena_printf(&arena,
                                                  "module \"case\"\nsymbol n in 1..\n"
                                                  "symbol h in 1..\ngraph main(%%q: %s[3,%s,%s], "
                                                  "%%k: %s[3,n,%s], %%v: %s[3,n,%s]) {\n"
                                                  "%%s = contract %%q, %%k "
                                                  "{spec = \"amd,and->amn\"}\n"
                                                  "%%p = softmax %%s {axis = 2}\n"
                                                  "%%o = contract %%p, %%v "
                                                  "{spec = \"amn,anc->amc\"}\n"
                                                  "yield %%o\n}\n",
                                                  t, rows, head, t, head, t, cases[i].values));
        Target target = *lt_target_find("cuda");
        target.cpu = cases[i].cpu;
        PassContext ctx = {.module = m, .target = &target, .level = 2, .scratch = &scratch};
        m->diags.want_remarks = true;
        lt_pass_fuse(&ctx);
        for (size_t j = 0; j < 2; j++) {
            const bool is_there = j < m->diags.items.len;
            const char *wanted = cases[i].remarks[j];
            const char *found = is_there ? m->diags.items.data[j].text : "nothing";
            ck_assert_msg(wanted ? strstr(found, wanted) != NULL : !is_there,
                          "case %zu: %s, not %s", i, found, wanted ? wanted : "nothing");
        }
        lt_arena_free(&scratch);
        lt_arena_free(&arena);
    }
}
END_TEST

LT_TEST_MAIN("test_cuda_attention", layouts, maps_between_and_behind, through_memory, random_f32,
             random_f16, random_bf16, halves_in_registers, remarks_name_the_choice)
