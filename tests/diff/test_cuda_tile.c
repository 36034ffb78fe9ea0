/* test_cuda_tile.c - tiles of contractions and convolutions on a GPU against the evaluator: by the
 * interpreter of kernels, and as CUDA-C with every access checked. */
#include "tests/diff/cuda_schedule_fixture.h"

/* Extents around the edges of tiles; n is the first. */
static const int64_t extents[][2] = {{1, 1},   {17, 16},  {31, 5},   {64, 33},
                                     {65, 40}, {127, 13}, {128, 32}, {131, 129}};
enum { EXTENTS = sizeof extents / sizeof *extents };

typedef struct Shape {
    int rows, columns, fold, own_rows, own_columns;
} Shape;

static const Shape shapes[] = {
    {128, 128, 16, 8, 8}, {64, 64, 16, 4, 4},  {64, 128, 8, 4, 8}, {32, 32, 16, 2, 2},
    {16, 16, 16, 1, 1},   {256, 16, 16, 4, 4}, {64, 32, 5, 4, 2},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The loops m and n in tiles, b around them. */
static const char *tiled(const Shape *s, const char *m, const char *n, const char *k) {
    return lt_arena_printf(&texts,
                           "split %s %d; split %s %d; reorder %s.0 %s.0 %s.1 %s.1; "
                           "share %s %d %s.1 %d %s.1 %d",
                           m, s->rows, n, s->columns, m, n, m, n, k, s->fold, m, s->own_rows, n,
                           s->own_columns);
}

/* --- tiles of all shapes ---------------------------------------------------------------------- */

#define CONTRACT(spec) "%a = contract %x, %y {spec = \"" spec "\"} yield %a"

static const Case contractions[] = {
    {"%x: f32[n,h], %y: f32[h,19]", CONTRACT("mk,kn->mn")},
    {"%x: f32[n,24], %y: f32[24,h]", CONTRACT("mk,kn->mn")},
    {"%x: f32[h,n], %y: f32[132,h]", CONTRACT("km,nk->mn")},
    {"%x: f32[20,n], %y: f32[h,20]", CONTRACT("km,nk->mn")},
    {"%x: f16[n,40], %y: f16[40,64]", CONTRACT("mk,kn->mn")},
    {"%x: bf16[n,h], %y: bf16[h,48]", CONTRACT("mk,kn->mn")},
    {"%x: f64[n,h], %y: f64[h,20]", CONTRACT("mk,kn->mn")},
    {"%x: i8[n,h], %y: i8[h,33]", CONTRACT("mk,kn->mn")},
};

static void check_tiles(const Case *cases, size_t count, const char *names[3], const char *before,
                        const char *behind) {
    begin();
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i % 3; j < SHAPES; j += 3) {
            const char *tile = tiled(&shapes[j], names[0], names[1], names[2]);
            lower_schedule = lt_arena_printf(&texts, "%s%s%s%s", before, tile,
                                             (i + j / 3) % 2 ? " double" : "", behind);
            check_at(cases[i].inputs, cases[i].body, extents[(3 * i + 5 * j + 2) % EXTENTS]);
        }
    }
    finish(count * (SHAPES / 3));
}
#define CHECK_TILES(cases, names, before, behind) \
    check_tiles(cases, sizeof(cases) / sizeof *(cases), names, before, behind)

START_TEST(contractions_in_tiles) {
    static const char *names[] = {"m0", "n0", "k0"};
    CHECK_TILES(contractions, names, "", "; fuse m0.0 n0.0; grid m0.0_n0.0");
}
END_TEST

/* --- tensor cores ----------------------------------------------------------------------------- */

static const Shape warps[] = {{128, 128, 32, 8, 8}, {64, 32, 16, 4, 4}, {32, 64, 48, 2, 4}};

static const Case halves[] = {
    {"%x: f16[n,h], %y: f16[h,19]", CONTRACT("mk,kn->mn")},
    {"%x: f16[n,40], %y: f16[40,64]", CONTRACT("mk,kn->mn")},
    {"%x: bf16[h,n], %y: bf16[132,h]", CONTRACT("km,nk->mn")},
    {"%x: bf16[32,n], %y: bf16[h,32]", CONTRACT("km,nk->mn")},
};

#define OPERANDS(spec, more) "%a = contract %x, %y {spec = \"" spec "\", " more "} yield %a"

static const Case rounded[] = {
    {"%x: f32[n,h], %y: f32[h,19]", OPERANDS("mk,kn->mn", "fn = tf32")},
    {"%x: f32[n,40], %y: f32[40,64]", OPERANDS("mk,kn->mn", "fn = tf32")},
    {"%x: f32[h,n], %y: f32[132,h]", OPERANDS("km,nk->mn", "fn = tf32")},
    {"%x: f32[32,n], %y: f32[h,32]", OPERANDS("km,nk->mn", "fn = tf32")},
};

static const Case bytes[] = {
    {"%x: i8[n,h], %y: i8[h,19]", OPERANDS("mk,kn->mn", "dtype = i32")},
    {"%x: u8[n,96], %y: i8[96,64]", OPERANDS("mk,kn->mn", "dtype = i32")},
    {"%x: u8[h,n], %y: u8[132,h]", OPERANDS("km,nk->mn", "dtype = i32")},
    {"%x: i8[64,n], %y: u8[h,64]", OPERANDS("km,nk->mn", "dtype = i32")},
};

/* All layouts of operands, tiles of several warps, with one and two copies of the operands. */
static void check_warps(const Case *cases, size_t count, const Shape *shape, const char *name,
                        const char *const *wanted) {
    enum { WARPS = 3 };
    begin();
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < WARPS; j++) {
            lower_schedule =
                lt_arena_printf(&texts, "%s mma%s; fuse m0.0 n0.0; grid m0.0_n0.0",
                                tiled(&shape[j], "m0", "n0", "k0"), j ? " double" : "");
            check_at(cases[i].inputs, cases[i].body, extents[(3 * i + 5 * j + 2) % EXTENTS]);
        }
    }
    const char *text = cuda_runs.source.text;
    for (int i = 0; i < 4; i++) {
        const char *call = lt_arena_printf(&texts, "%s%s<%s>", i / 2 ? "column" : "row", name,
                                           i % 2 ? "true" : "false");
        ck_assert_msg(strstr(text, call) != NULL, "no call of %s", call);
    }
    for (; *wanted; wanted++)
        ck_assert_msg(strstr(text, *wanted) != NULL, "no call of %s", *wanted);
    finish(count * WARPS / 2);
}
#define CHECK_WARPS(cases, shapes, name, ...) \
    check_warps(cases, sizeof(cases) / sizeof *(cases), shapes, name, \
                (const char *const[]){__VA_ARGS__, NULL})

START_TEST(halves_on_tensor_cores) {
    CHECK_WARPS(halves, warps, "tiles", "mmahalf(&", "mmabf16(&", "store_pack(&out");
}
END_TEST

START_TEST(tf32_on_tensor_cores) {
    static const Shape shape[] = {{128, 128, 16, 8, 8}, {64, 32, 8, 4, 4}, {32, 64, 24, 2, 4}};
    CHECK_WARPS(rounded, shape, "words", "mmatf32(&", "tf32words(columns");
}
END_TEST

START_TEST(bytes_on_tensor_cores) {
    static const Shape shape[] = {{128, 128, 64, 8, 8}, {64, 32, 32, 4, 4}, {32, 64, 96, 2, 4}};
    CHECK_WARPS(bytes, shape, "words", "mmas8s8(&", "mmas8u8(&", "mmau8s8(&", "mmau8u8(&");
}
END_TEST

static const Case batched[] = {
    {"%x: f32[3,n,h], %y: f32[3,h,19]", CONTRACT("bmk,bkn->bmn")},
    {"%x: f32[n,2,h], %y: f32[36,2,h]", CONTRACT("mbk,nbk->bmn")},
};

START_TEST(batches_in_tiles) {
    static const char *names[] = {"m0", "n0", "k0"};
    CHECK_TILES(batched, names, "", "; fuse b0 m0.0; fuse b0_m0.0 n0.0; grid b0_m0.0_n0.0");
}
END_TEST

/* The folds over taps and channels apart, and as one. */
static const Case convolutions[] = {
    {"%x: f32[2,h,9,16], %w: f32[3,3,16,20]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 1")},
    {"%x: f32[2,h,9,5], %w: f32[3,2,5,36]",
     CONV("[2, 1]", "[1, 2]", "[1, 0]", "[1, 2]", "groups = 1")},
    {"%x: f16[2,h,7,8], %w: f16[1,3,8,24]",
     CONV("[1, 2]", "[1, 1]", "[0, 1]", "[0, 1]", "groups = 1")},
};

#define CONVOLUTION_GRID "; fuse b y0_y1.0; fuse b_y0_y1.0 o.0; grid b_y0_y1.0_o.0"

START_TEST(convolutions_in_tiles) {
    static const char *names[] = {"y0_y1", "o", "c"};
    CHECK_TILES(convolutions, names, "fuse y0 y1; ", CONVOLUTION_GRID);
}
END_TEST

START_TEST(merged_folds_in_tiles) {
    static const char *names[] = {"y0_y1", "o", "k0_k1_c"};
    CHECK_TILES(convolutions, names, "fuse y0 y1; fuse k0 k1; fuse k0_k1 c; ", CONVOLUTION_GRID);
}
END_TEST

/* --- tiles that the target chooses ------------------------------------------------------------ */

static int64_t extent_near_a_tile(void) {
    static const int64_t primes[] = {1, 2, 3, 7, 13, 31, 61, 97, 127};
    if (random_below(3) == 0)
        return primes[random_below(sizeof primes / sizeof *primes)];
    const int64_t around = (16 << random_below(4)) + random_below(3) - 1;
    return around > 0 ? around : 1;
}

START_TEST(random_contractions) {
    static const char *const specs[] = {"mk,kn->mn",    "km,kn->mn",       "mk,nk->nm",
                                        "bmk,bkn->bmn", "bqhd,bkhd->bhqk", "mkl,kln->mn"};
    static const char *const dtypes[] = {"f32", "f32", "f16", "i8"};
    begin();
    tolerance_f32 = 1e-4; /* sums of up to 129 * 129 products */
    random_state = 7;
    for (int i = 0; i < 18; i++) {
        const char *spec = specs[i % 6], *dtype = dtypes[random_below(4)];
        int64_t extent[128];
        Str text;
        lt_str_init(&text, &texts);
        for (const char *p = spec; *p; p++)
            extent[(unsigned char)*p] =
                strchr("bhl", *p) ? 1 + random_below(3) : extent_near_a_tile();
        for (const char *p = spec; *p != '-'; p++) {
            const bool begins = p == spec || p[-1] == ',';
            if (*p == ',')
                lt_str_append(&text, "], ");
            else if (begins)
                lt_str_printf(&text, "%%%c: %s[", p == spec ? 'x' : 'y', dtype);
            else
                lt_str_char(&text, ',');
            /* One extent is not known when the kernel is made. */
            if (*p != ',' && *p == "mknd"[i % 4])
                lt_str_char(&text, 'n');
            else if (*p != ',')
                lt_str_printf(&text, "%lld", (long long)extent[(unsigned char)*p]);
        }
        lt_str_char(&text, ']');
        const int64_t values[2] = {extent[(unsigned char)"mknd"[i % 4]], 1};
        const uint64_t state = random_state;
        check_at(text.text,
                 lt_arena_printf(&texts,
                                 "%%a = contract %%x, %%y {spec = \"%s\"} "
                                 "%%b = neg %%a yield %%b",
                                 spec),
                 values);
        random_state = state;
    }
    ck_assert_ptr_nonnull(strstr(cuda_runs.source.text, "mmahalf(&"));
    ck_assert_ptr_nonnull(strstr(cuda_runs.source.text, "fetch<int"));
    finish(18);
}
END_TEST

/* Where tensor cores are not used, a remark says why. */
START_TEST(remarks_say_why) {
    static const struct {
        const char *dtype, *more, *remark;
    } cases[] = {
        {"f16", "", NULL},
        {"bf16", "", NULL},
        {"f32", "", "no tensor cores: they would round f32 to tf32"},
        {"f32", ", fn = tf32", NULL},
        {"f64", "", "no tensor cores: they do not add up this dtype"},
        {"i8", "", NULL},
        {"u8", ", dtype = i32", NULL},
        {"i16", "", "no tensor cores: of integers they multiply bytes alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena arena;
        lt_arena_init(&arena);
        lower_target = "cuda";
        const char *dtype = cases[i].dtype;
        Module *m = parse(&arena, lt_arena_printf(&arena,
                                                  "module \"case\"\n"
                                                  "graph main(%%x: %s[64,64], %%y: %s[64,64]) {\n"
                                                  "%%a = contract %%x, %%y "
                                                  "{spec = \"mk,kn->mn\"%s} yield %%a\n}\n",
                                                  dtype, dtype, cases[i].more));
        m->diags.want_remarks = true;
        lower(m, 2, dtype);
        const char *found = NULL;
        for (size_t at = 0; at < m->diags.items.len; at++)
            if (strstr(m->diags.items.data[at].text, "tensor cores"))
                found = m->diags.items.data[at].text;
        ck_assert_msg(cases[i].remark ? found && strstr(found, cases[i].remark) : !found, "%s: %s",
                      dtype, found ? found : "no remark");
        lt_arena_free(&arena);
    }
}
END_TEST

LT_TEST_MAIN("test_cuda_tile", halves_on_tensor_cores, tf32_on_tensor_cores, bytes_on_tensor_cores,
             contractions_in_tiles, batches_in_tiles, convolutions_in_tiles, merged_folds_in_tiles,
             random_contractions, remarks_say_why)
