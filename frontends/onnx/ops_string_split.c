/* ops_string_split.c - StringSplit: the parts of strings, which stay where they are.
 *
 * What separates parts are places between bytes. Each part begins at one and ends at another; where
 * parts begin and end is found in the bytes of all strings at once, and then laid out in rows. */
#include <string.h>

#include "frontends/onnx/extents.h"
#include "frontends/onnx/loop.h"
#include "frontends/onnx/strings.h"
#include "frontends/onnx/strings_utf8.h"

static Value *scalar(Import *im, ScalarFn fn, Value *x, int64_t value) {
    return onnx_map2(im, fn, x, lt_build_int(&im->b, DT_I64, value));
}

static Value *at(Import *im, Value *data, Value *index) {
    return lt_build_gather(&im->b, data, index, 0);
}

typedef struct Splitting {
    Strings s; /* rank 1, dense */
    Value *starts, *ends;
    Spread bytes; /* of the strings */
    int64_t most; /* parts of a string; INT64_MAX: no bound */
    /* the parts, in order */
    Value *from, *to; /* i64[parts]: their first byte, and the one behind their last */
    Value *owner;     /* i64[parts]: whose they are */
    Value *rank;      /* i64[parts]: the how manieth of its string */
    Value *count;     /* i64[n]: how many each string has */
} Splitting;

/* How many of these, whose owners are told, each string has. */
static Value *count_owned(Import *im, const Splitting *p, Value *owner) {
    Value *ones =
        owner ? lt_onnx_full(im, DT_I64, 1, owner->type->dims, lt_build_int(&im->b, DT_I64, 1))
              : NULL;
    Value *none =
        lt_onnx_full(im, DT_I64, 1, p->s.lengths->type->dims, lt_build_int(&im->b, DT_I64, 0));
    return lt_onnx_scatter_add(im, none, owner, ones);
}

/* The how manieth of its string each of these is. */
static Value *rank_owned(Import *im, Value *owner, Value *count) {
    Value *all = owner ? lt_build_iota(&im->b, DT_I64, 1, owner->type->dims, 0) : NULL;
    return onnx_map2(im, FN_SUB, all, at(im, lt_onnx_sums_before(im, count), owner));
}

/* --- white space ------------------------------------------------------------------------------ */

/* A part is a run of bytes that are no white space; the last that is allowed goes on to its
 * string's end. */
static bool split_words(Import *im, Splitting *p) {
    Value *space = lt_strings_is_space(im, &p->s, &p->bytes);
    Value *ink = lt_build_map1(&im->b, FN_NOT, space);
    if (!ink)
        return false;
    Value *place = lt_build_iota(&im->b, DT_I64, 1, ink->type->dims, 0);
    Value *last = onnx_map2(im, FN_SUB, at(im, p->s.lengths, p->bytes.owner), p->bytes.offset);
    Value *begins = onnx_map2(im, FN_OR, scalar(im, FN_EQ, p->bytes.offset, 0),
                              at(im, space, scalar(im, FN_MAX, scalar(im, FN_SUB, place, 1), 0)));
    Value *ends = onnx_map2(im, FN_OR, scalar(im, FN_EQ, last, 1),
                            lt_onnx_gather_open(im, space, scalar(im, FN_ADD, place, 1)));
    p->from = lt_onnx_find(im, onnx_map2(im, FN_AND, ink, begins));
    if (!p->from)
        return false;
    p->to = lt_onnx_find_some(im, onnx_map2(im, FN_AND, ink, ends), p->from->type->dims[0]);
    p->to = scalar(im, FN_ADD, p->to, 1);
    p->owner = at(im, p->bytes.owner, p->from);
    p->count = count_owned(im, p, p->owner);
    p->rank = rank_owned(im, p->owner, p->count);
    if (p->most == INT64_MAX || !p->rank)
        return p->rank != NULL;
    Value *kept = lt_onnx_find(im, scalar(im, FN_LT, p->rank, p->most));
    p->from = at(im, p->from, kept);
    p->owner = at(im, p->owner, kept);
    p->rank = at(im, p->rank, kept);
    p->to = lt_build_map3(&im->b, FN_SELECT, scalar(im, FN_EQ, p->rank, p->most - 1),
                          at(im, p->ends, p->owner), at(im, p->to, kept));
    p->count = scalar(im, FN_MIN, p->count, p->most);
    return p->to && p->count;
}

/* --- a delimiter ------------------------------------------------------------------------------ */

/* i64[k]: where the delimiter begins, inside of a string, also where it overlaps itself. */
static Value *find_delimiter(Import *im, const Splitting *p, const char *delimiter) {
    const int64_t length = (int64_t)strlen(delimiter);
    Value *left = onnx_map2(im, FN_SUB, at(im, p->s.lengths, p->bytes.owner), p->bytes.offset);
    Value *here = scalar(im, FN_GE, left, length);
    Value *place = lt_build_iota(&im->b, DT_I64, 1, &p->bytes.total, 0);
    for (int64_t i = 0; i < length; i++) {
        Value *byte = lt_onnx_gather_open(im, p->s.bytes, scalar(im, FN_ADD, place, i));
        Value *same =
            onnx_map2(im, FN_EQ, byte, lt_build_int(&im->b, DT_U8, (uint8_t)delimiter[i]));
        here = onnx_map2(im, FN_AND, here, same);
    }
    return here ? lt_onnx_find(im, here) : NULL;
}

/* Whether the text may begin inside of itself, as "aa" and "abab". */
static bool overlaps_itself(const char *text) {
    const size_t length = strlen(text);
    for (size_t shift = 1; shift < length; shift++)
        if (memcmp(text, text + shift, length - shift) == 0)
            return true;
    return false;
}

/* Those places that do not overlap one that was taken before: one after the other. */
static Value *drop_overlaps(Import *im, Value *places, int64_t length) {
    OnnxLoop l = {.trips = places->type->dims[0],
                  .starts = {lt_build_int(&im->b, DT_I64, 0)},
                  .carried = 1,
                  .stacked = 1};
    if (!lt_onnx_loop_begin(im, &l))
        return NULL;
    Value *here = lt_onnx_loop_step(im, &l, places);
    Value *taken = onnx_map2(im, FN_GE, here, l.state[0]);
    Value *values[] = {
        lt_build_map3(&im->b, FN_SELECT, taken, scalar(im, FN_ADD, here, length), l.state[0]),
        taken};
    if (!lt_onnx_loop_end(im, &l, values))
        return NULL;
    return at(im, places, lt_onnx_find(im, values[1]));
}

/* n + k values: one for each string, then one for each delimiter. */
static Value *join(Import *im, Value *strings, Value *delimiters) {
    Value *parts[] = {strings, delimiters};
    return strings && delimiters ? lt_build_concat(&im->b, parts, 2, 0) : NULL;
}

/* A string's first part begins where it does; each delimiter ends a part and begins another, and
 * the last ends with the string. Parts are not in order: what is laid out need not be. */
static bool split_at(Import *im, Splitting *p, const char *delimiter) {
    const int64_t length = (int64_t)strlen(delimiter);
    Value *cuts = find_delimiter(im, p, delimiter);
    if (cuts && overlaps_itself(delimiter))
        cuts = drop_overlaps(im, cuts, length);
    if (!cuts)
        return false;
    Value *owner = at(im, p->bytes.owner, cuts), *count = count_owned(im, p, owner);
    Value *rank = rank_owned(im, owner, count);
    if (p->most != INT64_MAX && rank) {
        Value *kept = lt_onnx_find(im, scalar(im, FN_LT, rank, p->most - 1));
        cuts = at(im, cuts, kept);
        owner = at(im, owner, kept);
        rank = at(im, rank, kept);
        count = scalar(im, FN_MIN, count, p->most - 1);
    }
    p->count = scalar(im, FN_ADD, count, 1);
    if (!p->count || !cuts)
        return false;
    Value *none =
        lt_onnx_full(im, DT_I64, 1, p->count->type->dims, lt_build_int(&im->b, DT_I64, 0));
    Value *own = lt_build_iota(&im->b, DT_I64, 1, p->count->type->dims, 0);
    p->from = join(im, p->starts, scalar(im, FN_ADD, cuts, length));
    p->owner = join(im, own, owner);
    p->rank = join(im, none, scalar(im, FN_ADD, rank, 1));
    /* a part ends at the cut behind the one that begins it, where that is of the same string */
    Value *behind = at(im, lt_onnx_sums_before(im, count), p->owner);
    behind = onnx_map2(im, FN_ADD, behind, p->rank);
    Value *is_last = onnx_map2(im, FN_EQ, p->rank, at(im, count, p->owner));
    p->to = lt_build_map3(&im->b, FN_SELECT, is_last, at(im, p->ends, p->owner),
                          lt_onnx_gather_open(im, cuts, behind));
    return p->to != NULL;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* i64[cells] of zeros with these at the parts' places. */
static Value *lay_out(Import *im, const Splitting *p, const Dim *most, Value *values) {
    const Dim *cells = lt_dim_mul(im->dims, p->count->type->dims[0], most);
    Value *none = lt_onnx_full(im, DT_I64, 1, &cells, lt_build_int(&im->b, DT_I64, 0));
    Value *cell = onnx_map2(im, FN_MUL, p->owner, lt_onnx_dim_value(im, most, DT_I64));
    return lt_onnx_scatter_add(im, none, onnx_map2(im, FN_ADD, cell, p->rank), values);
}

static bool set_parts(Import *im, const Splitting *p, const Type *type) {
    const Dim *most = lt_strings_longest(im, p->count), *shape[LT_MAX_RANK];
    if (!most)
        return false;
    for (int i = 0; i <= type->rank; i++)
        shape[i] = i < type->rank ? type->dims[i] : most;
    const Strings parts = {p->s.bytes, lay_out(im, p, most, p->from),
                           lay_out(im, p, most, onnx_map2(im, FN_SUB, p->to, p->from))};
    if (!parts.starts || !parts.lengths)
        return false;
    onnx_set(im, 1, lt_build_reshape(&im->b, p->count, type->rank, type->dims));
    return strings_set(im, 0, lt_strings_reshape(im, &parts, type->rank + 1, shape));
}

bool lt_onnx_string_split(Import *im) {
    const char *delimiter = lt_onnx_string(im, "delimiter", "");
    const int64_t most = lt_onnx_int(im, "maxsplit", -1);
    Splitting p = {.most = most < 0 || most == INT64_MAX ? INT64_MAX : most + 1};
    Strings s;
    if (!lt_strings_in(im, 0, &s))
        return false;
    const Type *type = s.lengths->type;
    if (type->rank == LT_MAX_RANK)
        return lt_onnx_unsupported(im, "rank %d is more than %d", type->rank + 1, LT_MAX_RANK);
    s = lt_strings_flat(im, &s);
    p.s = lt_strings_dense(im, &s);
    p.bytes.total = p.s.bytes ? p.s.bytes->type->dims[0] : NULL;
    if (!p.s.bytes || !lt_onnx_spread(im, p.s.lengths, &p.bytes))
        return false;
    p.starts = p.bytes.starts;
    p.ends = onnx_map2(im, FN_ADD, p.starts, p.s.lengths);
    return (*delimiter ? split_at(im, &p, delimiter) : split_words(im, &p)) &&
           set_parts(im, &p, type);
}
