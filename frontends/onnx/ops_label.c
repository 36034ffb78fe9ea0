/* ops_label.c - keys to values: LabelEncoder, CategoryMapper, OneHotEncoder. */
#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/strings.h"

/* Keys, or values: texts, or numbers of rank 1. */
typedef struct LabelList {
    int64_t count;
    const OnnxText *texts;
    const Const *numbers; /* NULL: texts */
} LabelList;

/* --- attributes ------------------------------------------------------------------------------- */

static const Const *vector_const(Import *im, DType dtype, int64_t count, const void *data) {
    const size_t size = (size_t)count * lt_dtype_size(dtype);
    return lt_const(im->module, lt_type_static(im->module, dtype, 1, &count),
                    lt_arena_copy(im->arena, data, size));
}

static bool list_of_tensor(Import *im, const char *name, LabelList *out) {
    const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_TENSOR);
    if (!a)
        return false;
    if (a->t->data_type == ONNX_STRING) {
        out->texts = a->t->strings.data ? a->t->strings.data : LT_NEW(im->arena, OnnxText);
        out->count = (int64_t)a->t->strings.len;
        return true;
    }
    const Const *c = out->numbers = lt_onnx_tensor(im, a->t, im->node->loc);
    if (c && c->type->rank > 1)
        return lt_onnx_malformed(im, "%s has rank %d; expected 1", name, c->type->rank);
    return c && lt_type_is_static(c->type, &out->count);
}

/* "keys", "values" or "cats" by their attributes: WHAT_strings, WHAT_int64s, WHAT_floats or
 * WHAT_tensor, one of them. */
static bool read_list(Import *im, const char *what, LabelList *out) {
    static const char *const kinds[] = {"tensor", "strings", "int64s", "floats"};
    const char *name = NULL;
    int found = 0, kind = 0;
    *out = (LabelList){0};
    for (int i = 0; i < 4; i++) {
        const char *other = lt_arena_printf(im->arena, "%s_%s", what, kinds[i]);
        if (lt_onnx_has(im, other))
            name = other, kind = i, found++;
    }
    if (found != 1)
        return lt_onnx_malformed(im, "it has %s lists of %s", found ? "two or more" : "no", what);
    if (kind == 0)
        return list_of_tensor(im, name, out);
    if (kind == 1)
        return (out->texts = lt_strings_attribute(im, name, &out->count)) != NULL;
    if (kind == 2) {
        const int64_t *numbers = lt_onnx_ints(im, name, &out->count);
        out->numbers = numbers ? vector_const(im, DT_I64, out->count, numbers) : NULL;
    } else {
        const OnnxAttribute *a = lt_onnx_attribute(im, name, ONNX_ATTR_FLOATS);
        out->count = a ? (int64_t)a->floats.len : 0;
        const void *bits = a && a->floats.len ? (const void *)a->floats.data : "";
        out->numbers = a ? vector_const(im, DT_F32, out->count, bits) : NULL;
    }
    return out->numbers != NULL;
}

/* --- keys ------------------------------------------------------------------------------------- */

typedef struct NumberKey {
    double real;
    int64_t whole, index;
} NumberKey;

/* One of the numbers is 0 in all keys of a list. Of equal keys, later ones go first. */
static int compare_numbers(const void *a, const void *b) {
    const NumberKey *x = a, *y = b;
    if (x->real != y->real)
        return x->real < y->real ? -1 : 1;
    if (x->whole != y->whole)
        return x->whole < y->whole ? -1 : 1;
    return x->index > y->index ? -1 : x->index < y->index;
}

/* Sorted, each number once; NaN is left out, its index is *nan (-1: none). The number of keys. */
static int64_t sort_keys(const Const *c, int64_t count, NumberKey *keys, int64_t *nan) {
    const bool is_float = lt_dtype_is_float(c->type->dtype);
    int64_t sorted = 0, distinct = 0;
    *nan = -1;
    for (int64_t i = 0; i < count; i++) {
        const NumberKey key = {is_float ? lt_const_get_float(c, i) : 0,
                               is_float ? 0 : lt_const_get_int(c, i), i};
        if (key.real != key.real)
            *nan = i;
        else
            keys[sorted++] = key;
    }
    qsort(keys, (size_t)sorted, sizeof *keys, compare_numbers);
    for (int64_t i = 0; i < sorted; i++)
        if (i == 0 || keys[i].real != keys[distinct - 1].real ||
            keys[i].whole != keys[distinct - 1].whole)
            keys[distinct++] = keys[i];
    return distinct;
}

/* i64[shape of x]: which key each element is; the number of keys: none. */
static Value *index_of_numbers(Import *im, Value *x, const LabelList *list) {
    const bool is_float = lt_dtype_is_float(x->type->dtype);
    Value *none = lt_build_int(&im->b, DT_I64, list->count);
    NumberKey *keys = LT_ARRAY(im->arena, NumberKey, list->count + 1);
    int64_t nan;
    const int64_t count = sort_keys(list->numbers, list->count, keys, &nan);
    double *reals = LT_ARRAY(im->arena, double, count + 1);
    int64_t *wholes = lt_onnx_int_array(im, count, 0);
    int64_t *indices = lt_onnx_int_array(im, count + 1, list->count);
    for (int64_t i = 0; i < count; i++) {
        reals[i] = keys[i].real;
        wholes[i] = keys[i].whole;
        indices[i] = keys[i].index;
    }
    Value *index = lt_onnx_full(im, DT_I64, x->type->rank, x->type->dims, none);
    if (count > 0) {
        const DType wide = is_float ? DT_F64 : DT_I64;
        const void *data = is_float ? (const void *)reals : wholes;
        Value *sorted = lt_build_const(&im->b, vector_const(im, wide, count, data));
        Value *at = lt_onnx_search(im, lt_build_convert(&im->b, x, wide), sorted);
        index = lt_build_gather(&im->b, lt_build_ints(&im->b, count + 1, indices), at, 0);
    }
    if (nan < 0 || !is_float)
        return index;
    return lt_build_map3(&im->b, FN_SELECT, lt_build_map1(&im->b, FN_ISNAN, x),
                         lt_build_int(&im->b, DT_I64, nan), index);
}

/* The same for any operand; NULL after an error. */
static Value *index_of(Import *im, const LabelList *keys) {
    Value *x = im->inputs[0];
    Strings s;
    if (keys->texts) {
        if (!lt_strings_in(im, 0, &s))
            return NULL;
        const Type *type = s.lengths->type;
        s = lt_strings_flat(im, &s);
        Value *index = lt_strings_search(im, &s, keys->texts, keys->count);
        return lt_build_reshape(&im->b, index, type->rank, type->dims);
    }
    const DType wanted = keys->numbers->type->dtype;
    if (!compound_of(x) && x->type->dtype == wanted)
        return index_of_numbers(im, x, keys);
    lt_onnx_malformed(im, "the input is %s, the keys are %s",
                      compound_of(x) ? "strings" : lt_dtype_name(x->type->dtype),
                      lt_dtype_name(wanted));
    return NULL;
}

/* --- values ----------------------------------------------------------------------------------- */

/* What is given for elements that are no key. */
static bool read_default(Import *im, DType dtype, bool is_text, OnnxText *text, void *number) {
    const char *word = lt_onnx_string(im, "default_string", "_Unused");
    LabelList given = {0};
    *text = (OnnxText){word, strlen(word)};
    if (lt_onnx_has(im, "default_tensor")) {
        if (!list_of_tensor(im, "default_tensor", &given))
            return false;
        if (given.count != 1 || is_text != !given.numbers ||
            (!is_text && given.numbers->type->dtype != dtype))
            return lt_onnx_malformed(im, "default_tensor is not one element like the values");
        if (is_text)
            *text = given.texts[0];
        else
            memcpy(number, given.numbers->data, lt_dtype_size(dtype));
        return true;
    }
    if (is_text)
        return true;
    const Const *c;
    if (lt_dtype_is_float(dtype))
        c = lt_const_float(im->module, dtype, lt_onnx_float(im, "default_float", -0.0));
    else
        c = lt_const_int(im->module, dtype, lt_onnx_int(im, "default_int64", -1));
    memcpy(number, c->data, lt_dtype_size(dtype));
    return true;
}

/* The values at an index; behind them lies the default. */
static bool set_values(Import *im, const LabelList *values, Value *index) {
    const int64_t count = values->count + 1;
    const DType dtype = values->numbers ? values->numbers->type->dtype : DT_U8;
    const size_t size = lt_dtype_size(dtype);
    OnnxText other;
    char number[16];
    if (!index || !read_default(im, dtype, values->texts != NULL, &other, number))
        return false;
    if (values->texts) {
        OnnxText *all = LT_ARRAY(im->arena, OnnxText, count);
        memcpy(all, values->texts, (size_t)values->count * sizeof *all);
        all[values->count] = other;
        const Strings s = lt_strings_const(im, all, 1, &count);
        return strings_set(im, 0, lt_strings_gather(im, &s, index));
    }
    char *all = lt_arena_alloc_aligned(im->arena, (size_t)count * size, 64);
    for (int64_t i = 0; i < values->count; i++)
        memcpy(all + (size_t)i * size,
               (const char *)values->numbers->data +
                   (values->numbers->is_splat ? 0 : (size_t)i * size),
               size);
    memcpy(all + (size_t)values->count * size, number, size);
    Value *table = lt_build_const(&im->b, vector_const(im, dtype, count, all));
    return onnx_set(im, 0, lt_build_gather(&im->b, table, index, 0));
}

/* --- ops -------------------------------------------------------------------------------------- */

static bool map_labels(Import *im, const LabelList *keys, const LabelList *values) {
    if (keys->count != values->count)
        return lt_onnx_malformed(im, "%lld keys and %lld values", (long long)keys->count,
                                 (long long)values->count);
    return set_values(im, values, index_of(im, keys));
}

bool lt_onnx_label_encoder(Import *im) {
    LabelList keys, values;
    return read_list(im, "keys", &keys) && read_list(im, "values", &values) &&
           map_labels(im, &keys, &values);
}

static LabelList numbered(Import *im, int64_t count) {
    int64_t *numbers = lt_onnx_int_array(im, count, 0);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = i;
    return (LabelList){.count = count, .numbers = vector_const(im, DT_I64, count, numbers)};
}

/* Strings to their places in a list, and back. */
bool lt_onnx_label_encoder_1(Import *im) {
    LabelList texts = {0};
    texts.texts = lt_strings_attribute(im, "classes_strings", &texts.count);
    if (!texts.texts)
        return lt_onnx_malformed(im, "it has no classes_strings");
    const LabelList places = numbered(im, texts.count);
    return compound_of(im->inputs[0]) ? map_labels(im, &texts, &places)
                                      : map_labels(im, &places, &texts);
}

bool lt_onnx_category_mapper(Import *im) {
    LabelList texts = {0}, numbers = {0};
    texts.texts = lt_strings_attribute(im, "cats_strings", &texts.count);
    const int64_t *cats = lt_onnx_ints(im, "cats_int64s", &numbers.count);
    if (!texts.texts || !cats)
        return lt_onnx_malformed(im, "it needs cats_strings and cats_int64s");
    numbers.numbers = vector_const(im, DT_I64, numbers.count, cats);
    return compound_of(im->inputs[0]) ? map_labels(im, &texts, &numbers)
                                      : map_labels(im, &numbers, &texts);
}

/* f32[shape, categories]: a one at the category. */
bool lt_onnx_one_hot_encoder(Import *im) {
    LabelList cats;
    Value *x = im->inputs[0];
    if (!lt_onnx_int(im, "zeros", 1))
        return lt_onnx_unsupported(im, "zeros is 0: a run cannot fail at an unknown category");
    if (!read_list(im, "cats", &cats))
        return false;
    if (cats.numbers && !compound_of(x))
        im->inputs[0] = lt_build_convert(&im->b, x, DT_I64);
    Value *index = index_of(im, &cats);
    if (!index)
        return false;
    const int rank = index->type->rank;
    const Dim *shape[LT_MAX_RANK];
    if (rank == LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %d is more than %d", rank + 1, LT_MAX_RANK);
    for (int i = 0; i <= rank; i++)
        shape[i] = lt_dim_const(im->dims, i < rank ? 1 : cats.count);
    const int64_t axis = rank;
    Value *places = lt_build_iota(&im->b, DT_I64, rank + 1, shape, rank);
    Value *is_here =
        lt_build_map2(&im->b, FN_EQ, lt_build_unsqueeze(&im->b, index, &axis, 1), places);
    return onnx_set(im, 0, lt_build_convert(&im->b, is_here, DT_F32));
}
