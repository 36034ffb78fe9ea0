/* test_attention.c - attention in one kernel, all columns at once and in blocks: interpreted, and
 * compiled on one thread and on several. */
#include "tests/diff/artifact_fixture.h"

static int attention_count; /* kernels of the last program that are attentions */

static void check_threads(const Program *p, const Tensor *const *inputs,
                          const Tensor *const *expected, const char *text) {
    attention_count = 0;
    for (size_t i = 0; i < p->kernels.len; i++)
        attention_count += p->kernels.data[i]->class == KERNEL_ATTENTION;
    for (int threads = 1; threads <= 3; threads += 2)
        check_run(p, &(ArtifactRun){inputs, expected, 2, threads, .repeat = 2}, text);
}

/* n columns, h rows: none, one, primes, around the tiles and the blocks of an AVX2 target. */
static const int64_t sizes[][2] = {{0, 3},  {1, 1},   {5, 7},   {16, 12},  {17, 13},
                                   {31, 2}, {256, 6}, {257, 5}, {521, 11}, {530, 25}};
enum { SIZE_COUNT = sizeof sizes / sizeof *sizes, SIZES_EACH = 4 };

typedef struct AttentionCase {
    Case c;
    int kernels; /* attentions that are expected */
} AttentionCase;

static void check_sizes(const AttentionCase *at, const int64_t *values, int level) {
    Arena arena, scratch;
    lt_arena_init(&arena);
    lt_arena_init(&scratch);
    const char *text = lt_arena_printf(&arena,
                                       "module \"case\"\nsymbol n in 0..\nsymbol h in 1..\n"
                                       "graph main(%s) {\n%s\n}\n",
                                       at->c.inputs, at->c.body);
    Module *m = parse(&arena, text);
    PassContext ctx = {
        .module = m, .target = lt_target_find("x86-64-avx2"), .level = 2, .scratch = &scratch};
    random_state = (uint64_t)values[0] + 1;
    lt_pass_pack(&ctx);
    lt_pass_fuse(&ctx);
    ck_assert_msg(check_module(m, values, level, text), "not evaluated: %s", text);
    ck_assert_msg(attention_count == at->kernels, "%d kernels are attentions, not %d, in %s",
                  attention_count, at->kernels, text);
    lt_arena_free(&scratch);
    lt_arena_free(&arena);
}

static void check_attentions(const AttentionCase *cases, size_t count) {
    tolerance_f32 = 1e-4;
    check_more = check_threads;
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < SIZES_EACH; j++)
            check_sizes(&cases[i], sizes[(j * 3 + (int)i) % SIZE_COUNT], j == 1 ? 0 : 2);
}
#define CHECK_ATTENTIONS(cases) check_attentions(cases, sizeof(cases) / sizeof *(cases))

#define Q_K_V "%q: f32[2,1,h,20], %k: f32[2,1,n,20], %v: f32[2,1,n,24]"
#define SCORES "%s = contract %q, %k {spec = \"abmd,abnd->abmn\"}\n"
#define SUMS(of) \
    "%p = softmax " of " {axis = 3}\n%o = contract %p, %v {spec = \"abmn,abnc->abmc\"}\n"

START_TEST(plain) {
    static const AttentionCase cases[] = {
        {{Q_K_V, SCORES SUMS("%s") "yield %o"}, 1},
        /* A group of rows shares k and v; v is narrower than a vector. */
        {{"%q: f32[2,3,h,5], %k: f32[2,n,5], %v: f32[2,n,5]",
          "%s = contract %q, %k {spec = \"gxmd,gnd->gxmn\"}\n%p = softmax %s {axis = 3}\n"
          "%o = contract %p, %v {spec = \"gxmn,gnc->gxmc\"} yield %o"},
         1},
        /* The letters come in another order, and two of them are summed. */
        {{"%q: f32[h,2,3,4], %k: f32[n,3,2,4], %v: f32[n,2,40]",
          "%s = contract %q, %k {spec = \"mbde,ndbe->bmn\"}\n%p = softmax %s {axis = 2}\n"
          "%o = contract %p, %v {spec = \"xyz,zxc->yxc\"} yield %o"},
         1},
        {{"%q: f16[2,h,20], %k: f16[2,n,20], %v: f16[2,n,24]",
          "%s = contract %q, %k {spec = \"amd,and->amn\"}\n%p = softmax %s {axis = 2}\n"
          "%o = contract %p, %v {spec = \"amn,anc->amc\"} yield %o"},
         1},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

START_TEST(maps_between) {
    static const AttentionCase cases[] = {
        {{Q_K_V ", %b: f32[h,n]", SCORES
          "%f = const f32[] [0.25]\n%t = mul %s, %f\n%u = add %t, %b\n" SUMS("%u") "yield %o"},
         1},
        /* Rows that nothing is left of are NaN; blocks of columns that nothing is left of are not
         * to be seen. */
        {{Q_K_V ", %b: f32[2,1,h,n]",
          SCORES "%z = const f32[] [0]\n%i = const f32[] [-inf]\n%c = lt %b, %z\n"
                 "%t = select %c, %s, %i\n" SUMS("%t") "yield %o"},
         1},
        {{Q_K_V ", %b: f32[n], %r: f32[2,1,h,24]",
          SCORES "%z = const f32[] [1]\n%i = const f32[] [-inf]\n%c = lt %b, %z\n"
                 "%t = select %c, %s, %i\n" SUMS("%t") "%y = add %o, %r\n%a = relu %y yield %a"},
         1},
        /* The scores are read twice. */
        {{Q_K_V, SCORES "%g = sigmoid %s\n%t = mul %s, %g\n" SUMS("%t") "yield %o"}, 1},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

START_TEST(behind_the_softmax) {
    static const AttentionCase cases[] = {
        /* Rows that nothing is left of are 0: as the weights say, or as the mask does. */
        {{Q_K_V ", %b: f32[2,1,h,n]",
          SCORES "%z = const f32[] [0]\n%i = const f32[] [-inf]\n%c = lt %b, %z\n"
                 "%t = select %c, %s, %i\n%w = softmax %t {axis = 3}\n%x = isnan %w\n"
                 "%p = select %x, %z, %w\n"
                 "%o = contract %p, %v {spec = \"abmn,abnc->abmc\"} yield %o"},
         1},
        {{Q_K_V ", %b: f32[h,1]",
          SCORES "%z = const f32[] [0]\n%x = lt %b, %z\n%w = softmax %s {axis = 3}\n"
                 "%p = select %x, %z, %w\n"
                 "%o = contract %p, %v {spec = \"abmn,abnc->abmc\"} yield %o"},
         1},
        /* The softmax is computed in f32, and heads come together again. */
        {{"%q: f16[2,3,h,16], %k: f16[2,3,n,16], %v: f16[2,3,n,7]",
          "%s = contract %q, %k {spec = \"abmd,abnd->abmn\"}\n%t = convert %s {dtype = f32}\n"
          "%w = softmax %t {axis = 3}\n%p = convert %w {dtype = f16}\n"
          "%o = contract %p, %v {spec = \"abmn,abnc->abmc\"}\n"
          "%x = transpose %o {perm = [0, 2, 1, 3]} yield %x"},
         1},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

/* All columns at once: their number is known. */
START_TEST(known_columns) {
    static const AttentionCase cases[] = {
        {{"%q: f32[3,h,64], %k: f32[3,37,64], %v: f32[3,37,64], %b: f32[37]",
          "%s = contract %q, %k {spec = \"amd,and->amn\"}\n%t = add %s, %b\n"
          "%p = softmax %t {axis = 2}\n"
          "%o = contract %p, %v {spec = \"amn,anc->amc\"} yield %o"},
         1},
        {{"%q: f32[40,16], %k: f32[128,16], %v: f32[128,33], %u: f32[n,h]",
          "%s = contract %q, %k {spec = \"md,nd->mn\"}\n%p = softmax %s {axis = 1}\n"
          "%o = contract %p, %v {spec = \"mn,nc->mc\"} yield %o"},
         1},
        /* Too many for the cache: in blocks. */
        {{"%q: f32[h,8], %k: f32[3001,8], %v: f32[3001,9]",
          "%s = contract %q, %k {spec = \"md,nd->mn\"}\n%p = softmax %s {axis = 1}\n"
          "%o = contract %p, %v {spec = \"mn,nc->mc\"} yield %o"},
         1},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

/* Somebody else wants what is between. */
START_TEST(not_closed) {
    static const AttentionCase cases[] = {
        {{Q_K_V, SCORES SUMS("%s") "yield %o, %p"}, 0},
        {{Q_K_V, SCORES "%t = neg %s\n" SUMS("%t") "yield %o, %s"}, 0},
        {{"%q: f32[h,h], %k: f32[n,h]",
          "%s = contract %q, %k {spec = \"md,nd->mn\"}\n%p = softmax %s {axis = 1}\n"
          "%o = contract %p, %k {spec = \"mn,nc->mc\"} yield %o"},
         0},
    };
    CHECK_ATTENTIONS(cases);
}
END_TEST

LT_TEST_MAIN("test_attention", plain, maps_between, behind_the_softmax, known_columns, not_closed)
