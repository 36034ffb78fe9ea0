/* lookup.c - which of many keys, known while compiling, an element is.
 *
 * Numbers are searched by halves. Strings are hashed: a sum of products of their bytes with a
 * random number for each place, chosen so that no two keys have the same; the hash is searched, and
 * the key found there compared. */
#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/strings.h"
#include "runtime/base/map.h"

Value *lt_onnx_search(Import *im, Value *x, Value *sorted) {
    if (!x || !sorted)
        return NULL;
    const int64_t count = sorted->type->dims[0]->value;
    int64_t step = 1;
    while (step * 2 < count)
        step *= 2;
    Value *at = lt_build_int(&im->b, DT_I64, 0);
    for (; step > 0; step /= 2) { /* at: the last that is known not to be behind x */
        Value *next = lt_onnx_map_scalar(im, FN_ADD, at, (double)step);
        Value *fits = onnx_map2(im, FN_LE, lt_onnx_gather_open(im, sorted, next), x);
        fits = onnx_map2(im, FN_AND, fits, lt_onnx_map_scalar(im, FN_LT, next, (double)count));
        at = lt_build_map3(&im->b, FN_SELECT, fits, next, at);
    }
    Value *found = onnx_map2(im, FN_EQ, lt_build_gather(&im->b, sorted, at, 0), x);
    return lt_build_map3(&im->b, FN_SELECT, found, at, lt_build_int(&im->b, DT_I64, count));
}

/* --- strings ---------------------------------------------------------------------------------- */

typedef struct Key {
    int64_t hash, index;
} Key;

static int compare_keys(const void *a, const void *b) {
    const Key *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int64_t hash_text(const OnnxText *text, const int64_t *weights) {
    uint64_t hash = 0;
    for (size_t i = 0; i < text->length; i++)
        hash += ((uint64_t)(uint8_t)text->text[i] + 1) * (uint64_t)weights[i];
    return (int64_t)hash;
}

static bool is_same(const OnnxText *a, const OnnxText *b) {
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

typedef struct Keys {
    const OnnxText *texts;
    int64_t count, longest;
    int64_t *weights; /* [longest] */
    Key *sorted;      /* by hash, each text once */
    int64_t distinct;
} Keys;

/* False: two different texts have the same hash. Of equal ones the last stays. */
static bool hash_keys(Keys *k, uint64_t seed) {
    for (int64_t i = 0; i < k->longest; i++)
        k->weights[i] = (int64_t)(lt_hash_u64(seed << 32 | (uint64_t)i) | 1);
    for (int64_t i = 0; i < k->count; i++)
        k->sorted[i] = (Key){hash_text(&k->texts[i], k->weights), i};
    qsort(k->sorted, (size_t)k->count, sizeof *k->sorted, compare_keys);
    k->distinct = 0;
    for (int64_t i = 0; i < k->count; i++) {
        Key *before = k->distinct ? &k->sorted[k->distinct - 1] : NULL;
        if (!before || before->hash != k->sorted[i].hash)
            k->sorted[k->distinct++] = k->sorted[i];
        else if (is_same(&k->texts[before->index], &k->texts[k->sorted[i].index]))
            *before = k->sorted[i];
        else
            return false;
    }
    return true;
}

static bool find_hash(Import *im, Keys *k) {
    for (int64_t i = 0; i < k->count; i++)
        if ((int64_t)k->texts[i].length > k->longest)
            k->longest = (int64_t)k->texts[i].length;
    k->weights = lt_onnx_int_array(im, k->longest, 0);
    k->sorted = LT_ARRAY(im->arena, Key, k->count + 1);
    for (uint64_t seed = 1; seed <= 64; seed++)
        if (hash_keys(k, seed))
            return true;
    return lt_onnx_unsupported(im, "no hash was found that tells all keys apart");
}

/* i64[n] */
static Value *hash_strings(Import *im, const Strings *s, const Keys *k) {
    static const int64_t last[] = {1};
    const Dim *longest = lt_dim_const(im->dims, k->longest);
    Value *bytes = lt_build_convert(&im->b, lt_strings_rows(im, s, longest), DT_I64);
    Value *terms = onnx_map2(im, FN_MUL, lt_onnx_map_scalar(im, FN_ADD, bytes, 1),
                             lt_build_ints(&im->b, k->longest, k->weights));
    terms = lt_build_map3(&im->b, FN_SELECT, lt_strings_inside(im, s->lengths, longest), terms,
                          lt_build_int(&im->b, DT_I64, 0));
    return lt_build_reduce(&im->b, FN_ADD, terms, last, 1, false);
}

Value *lt_strings_search(Import *im, const Strings *s, const OnnxText *texts, int64_t count) {
    Keys k = {.texts = texts, .count = count};
    Value *none = lt_build_int(&im->b, DT_I64, count);
    if (!s->bytes || !s->lengths)
        return NULL;
    if (count == 0)
        return lt_onnx_full(im, DT_I64, 1, s->lengths->type->dims, none);
    if (!find_hash(im, &k))
        return NULL;
    int64_t *hashes = lt_onnx_int_array(im, k.distinct, 0);
    int64_t *indices = lt_onnx_int_array(im, k.distinct + 1, 0);
    for (int64_t i = 0; i < k.distinct; i++) {
        hashes[i] = k.sorted[i].hash;
        indices[i] = k.sorted[i].index;
    }
    Value *at =
        lt_onnx_search(im, hash_strings(im, s, &k), lt_build_ints(&im->b, k.distinct, hashes));
    Value *index = lt_build_gather(&im->b, lt_build_ints(&im->b, k.distinct + 1, indices), at, 0);
    const Strings all = lt_strings_const(im, texts, 1, &count);
    const Strings found = lt_strings_gather(im, &all, index);
    Value *same = lt_strings_same(im, s, &found, lt_dim_const(im->dims, k.longest));
    return lt_build_map3(&im->b, FN_SELECT, same, index, none);
}
