/* ops_text.c - TfIdfVectorizer: how often each n-gram of a pool occurs in a row. Strings become
 * numbers first: their places in the pool. */
#include <string.h>

#include "frontends/onnx/strings.h"
#include "runtime/base/map.h"

typedef struct Grams {
    Value *x;                 /* i64[b, c] */
    int64_t shortest, longest, skips;
    const int64_t *pool, *indexes, *starts; /* starts: of each length in the pool */
    int64_t pool_size, index_count, lengths, outputs;
} Grams;

static bool read_grams(Import *im, Grams *g) {
    g->shortest = lt_onnx_int(im, "min_gram_length", 0);
    g->longest = lt_onnx_int(im, "max_gram_length", 0);
    g->skips = lt_onnx_int(im, "max_skip_count", 0);
    if (!g->pool)
        g->pool = lt_onnx_ints(im, "pool_int64s", &g->pool_size);
    g->indexes = lt_onnx_ints(im, "ngram_indexes", &g->index_count);
    g->starts = lt_onnx_ints(im, "ngram_counts", &g->lengths);
    if (!g->pool || !g->indexes || !g->starts || g->shortest < 1 || g->longest < g->shortest ||
        g->skips < 0)
        return lt_onnx_malformed(im, "the pool or the lengths of n-grams are missing");
    for (int64_t i = 0; i < g->index_count; i++) {
        if (g->indexes[i] < 0 || g->indexes[i] > INT32_MAX)
            return lt_onnx_malformed(im, "ngram_indexes holds %lld", (long long)g->indexes[i]);
        if (g->indexes[i] >= g->outputs)
            g->outputs = g->indexes[i] + 1;
    }
    int64_t total = 0;
    for (int64_t i = 0; i < g->lengths; i++) {
        int64_t end = i + 1 < g->lengths ? g->starts[i + 1] : g->pool_size;
        if (g->starts[i] < 0 || end < g->starts[i] || end > g->pool_size)
            return lt_onnx_malformed(im, "ngram_counts does not fit a pool of %lld",
                                     (long long)g->pool_size);
        total += (end - g->starts[i]) / (i + 1);
    }
    return total == g->index_count ||
           lt_onnx_malformed(im, "the pool has %lld n-grams, ngram_indexes %lld",
                             (long long)total, (long long)g->index_count);
}

/* f32[b, n]: how often each of n n-grams of `length` elements, `step` apart, occurs. */
static Value *count_grams(Import *im, const Grams *g, const int64_t *pool, int64_t n,
                          int64_t length, int64_t step) {
    static const int64_t last[] = {2}, places[] = {1};
    Value *match = NULL;
    const Dim *room = lt_dim_max(
        im->dims, lt_dim_const(im->dims, 0),
        lt_dim_add_const(im->dims, g->x->type->dims[1], -step * (length - 1)));
    if (lt_dim_is(room, 0))
        return NULL;
    for (int64_t k = 0; k < length; k++) {
        int64_t *wanted = lt_onnx_int_array(im, n, 0);
        for (int64_t i = 0; i < n; i++)
            wanted[i] = pool[i * length + k];
        Value *here = lt_onnx_slice_axis(im, g->x, 1, lt_dim_const(im->dims, k * step), room);
        Value *same = lt_build_map2(&im->b, FN_EQ, lt_build_unsqueeze(&im->b, here, last, 1),
                                    lt_build_ints(&im->b, n, wanted));
        match = match ? lt_build_map2(&im->b, FN_AND, match, same) : same;
    }
    return lt_build_reduce(&im->b, FN_ADD, lt_build_convert(&im->b, match, DT_F32), places, 1,
                           false);
}

/* Adds up the counts of a length over all distances; single elements have one. */
static Value *count_length(Import *im, const Grams *g, const int64_t *pool, int64_t n,
                           int64_t length) {
    Value *total = NULL;
    for (int64_t step = 1; step <= (length == 1 ? 1 : g->skips + 1); step++) {
        Value *part = count_grams(im, g, pool, n, length, step);
        total = total && part ? lt_build_map2(&im->b, FN_ADD, total, part) : part ? part : total;
    }
    return total;
}

/* f32[n, outputs]: a one where an n-gram's index is. */
static Value *places_of(Import *im, const Grams *g, const int64_t *indexes, int64_t n) {
    const Dim *line[] = {lt_dim_const(im->dims, 1), lt_dim_const(im->dims, g->outputs)};
    static const int64_t last[] = {1};
    Value *index = lt_build_unsqueeze(&im->b, lt_build_ints(&im->b, n, indexes), last, 1);
    Value *is_here = lt_build_map2(&im->b, FN_EQ, index,
                                   lt_build_iota(&im->b, DT_I64, 2, line, 1));
    return lt_build_convert(&im->b, is_here, DT_F32);
}

static Value *frequencies(Import *im, const Grams *g) {
    const Dim *shape[] = {g->x->type->dims[0], lt_dim_const(im->dims, g->outputs)};
    Value *total = lt_onnx_full(im, DT_F32, 2, shape, lt_build_float(&im->b, DT_F32, 0));
    const int64_t *indexes = g->indexes;
    for (int64_t i = 0; i < g->lengths; i++) {
        const int64_t end = i + 1 < g->lengths ? g->starts[i + 1] : g->pool_size;
        const int64_t n = (end - g->starts[i]) / (i + 1);
        Value *counts = NULL;
        if (n > 0 && i + 1 >= g->shortest && i + 1 <= g->longest)
            counts = count_length(im, g, g->pool + g->starts[i], n, i + 1);
        if (counts)
            total = lt_build_map2(
                &im->b, FN_ADD, total,
                lt_build_contract(&im->b, counts, places_of(im, g, indexes, n), "bn,no->bo"));
        indexes += n;
    }
    return total;
}

/* f32[outputs], or NULL. */
static Value *weights_of(Import *im, const Grams *g, bool *ok) {
    const OnnxAttribute *a = lt_onnx_attribute(im, "weights", ONNX_ATTR_FLOATS);
    *ok = true;
    if (!a)
        return NULL;
    const int64_t count = (int64_t)a->floats.len;
    *ok = count == g->outputs || lt_onnx_malformed(im, "%lld weights for %lld outputs",
                                                   (long long)count, (long long)g->outputs);
    if (!*ok)
        return NULL;
    float *weights = LT_ARRAY(im->arena, float, count + 1);
    for (int64_t i = 0; i < count; i++)
        memcpy(&weights[i], &a->floats.data[i], sizeof *weights);
    return lt_build_const(
        &im->b, lt_const(im->module, lt_type_static(im->module, DT_F32, 1, &count), weights));
}

/* The last place that each text of the pool has in it. */
static int64_t *last_places(Import *im, const OnnxText *texts, int64_t count) {
    int64_t *places = lt_onnx_int_array(im, count, 0);
    Map seen;
    lt_map_init(&seen, im->arena);
    for (int64_t i = count - 1; i >= 0; i--) {
        int64_t *known = lt_strmap_get(&seen, texts[i].text);
        places[i] = known ? *known : i;
        if (!known)
            lt_strmap_set(&seen, texts[i].text, &places[i]);
    }
    return places;
}

/* The operand as numbers: i64 in its shape. NULL after an error. */
static Value *read_operand(Import *im, Grams *g) {
    Strings s;
    if (!compound_of(im->inputs[0]))
        return lt_build_convert(&im->b, im->inputs[0], DT_I64);
    const OnnxText *texts = lt_strings_attribute(im, "pool_strings", &g->pool_size);
    if (!texts)
        lt_onnx_malformed(im, "it has no pool_strings");
    if (!texts || !lt_strings_in(im, 0, &s))
        return NULL;
    const Type *type = s.lengths->type;
    s = lt_strings_flat(im, &s);
    g->pool = last_places(im, texts, g->pool_size);
    Value *places = lt_strings_search(im, &s, texts, g->pool_size);
    return lt_build_reshape(&im->b, places, type->rank, type->dims);
}

bool lt_onnx_tf_idf_vectorizer(Import *im) {
    const char *mode = lt_onnx_string(im, "mode", "");
    const bool is_idf = strcmp(mode, "IDF") == 0, is_tf = strcmp(mode, "TF") == 0;
    const int64_t first = 0;
    Grams g = {0};
    bool ok;
    g.x = read_operand(im, &g);
    if (!g.x)
        return false;
    const int rank = g.x->type->rank;
    if (!is_idf && !is_tf && strcmp(mode, "TFIDF") != 0)
        return lt_onnx_malformed(im, "mode is '%s'; expected TF, IDF or TFIDF", mode);
    if (rank < 1 || rank > 2)
        return lt_onnx_malformed(im, "the input has rank %d; expected 1 or 2", rank);
    if (rank == 1)
        g.x = lt_build_unsqueeze(&im->b, g.x, &first, 1);
    if (!g.x || !read_grams(im, &g))
        return false;
    Value *weights = weights_of(im, &g, &ok), *y = frequencies(im, &g);
    if (is_idf)
        y = lt_build_convert(&im->b, lt_onnx_map_scalar(im, FN_GT, y, 0), DT_F32);
    if (weights && !is_tf)
        y = lt_build_map2(&im->b, FN_MUL, y, weights);
    return ok && onnx_set(im, 0, rank == 1 ? lt_build_squeeze(&im->b, y, &first, 1) : y);
}
