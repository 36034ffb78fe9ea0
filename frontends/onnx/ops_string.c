/* ops_string.c - ops of whole strings: Equal, StringConcat, RegexFullMatch. */
#include "frontends/onnx/extents.h"
#include "frontends/onnx/loop.h"
#include "frontends/onnx/regex.h"
#include "frontends/onnx/strings.h"

/* --- two operands ----------------------------------------------------------------------------- */

/* Both of rank 1, broadcast to one shape, which `type` has. */
static bool broadcast_pair(Import *im, Strings *pair, const Type **type) {
    for (uint32_t i = 0; i < 2; i++)
        if (!lt_strings_in(im, i, &pair[i]))
            return false;
    Value *both = onnx_map2(im, FN_ADD, pair[0].lengths, pair[1].lengths);
    if (!both)
        return false;
    *type = both->type;
    for (uint32_t i = 0; i < 2; i++) {
        pair[i].starts = lt_onnx_broadcast_to(im, lt_strings_starts(im, &pair[i]), *type);
        pair[i].lengths = lt_onnx_broadcast_to(im, pair[i].lengths, *type);
        pair[i] = lt_strings_flat(im, &pair[i]);
        if (!pair[i].starts || !pair[i].lengths)
            return false;
    }
    return true;
}

/* Only strings of the same length are read. */
bool lt_onnx_equal(Import *im) {
    Strings pair[2];
    const Type *type;
    if (compound_kind(im->inputs[0]) != COMPOUND_STRINGS)
        return lt_onnx_binary(im);
    if (!broadcast_pair(im, pair, &type))
        return false;
    Value *alike = onnx_map2(im, FN_EQ, pair[0].lengths, pair[1].lengths);
    Value *read = onnx_pick(im, alike, pair[0].lengths, lt_build_int(&im->b, DT_I64, 0));
    const Dim *longest = read ? lt_strings_longest(im, read) : NULL;
    Value *same = longest ? lt_strings_same(im, &pair[0], &pair[1], longest) : NULL;
    return onnx_set(im, 0, lt_build_reshape(&im->b, same, type->rank, type->dims));
}

/* Each byte of the result is one of the left's or one of the right's: their bytes lie in one
 * tensor. */
bool lt_onnx_string_concat(Import *im) {
    Strings pair[2];
    const Type *type;
    Spread spread = {0};
    if (!broadcast_pair(im, pair, &type))
        return false;
    Value *parts[] = {pair[0].bytes, pair[1].bytes};
    Value *bytes = lt_build_concat(&im->b, parts, 2, 0);
    Value *middle = lt_onnx_dim_value(im, pair[0].bytes->type->dims[0], DT_I64);
    Value *lengths = onnx_map2(im, FN_ADD, pair[0].lengths, pair[1].lengths);
    if (!lengths || !lt_onnx_spread(im, lengths, &spread))
        return false;
    /* where the right's first byte would be if the left's were in front of it */
    Value *right =
        onnx_map2(im, FN_SUB, onnx_map2(im, FN_ADD, pair[1].starts, middle), pair[0].lengths);
    Value *is_left = onnx_map2(im, FN_LT, spread.offset,
                               lt_build_gather(&im->b, pair[0].lengths, spread.owner, 0));
    Value *from = onnx_pick(im, is_left, lt_build_gather(&im->b, pair[0].starts, spread.owner, 0),
                            lt_build_gather(&im->b, right, spread.owner, 0));
    bytes = lt_build_gather(&im->b, bytes, onnx_map2(im, FN_ADD, from, spread.offset), 0);
    const Strings all = {.bytes = bytes, .lengths = lengths};
    return strings_set(im, 0, lt_strings_reshape(im, &all, type->rank, type->dims));
}

/* --- RegexFullMatch --------------------------------------------------------------------------- */

/* i32[n]: the state that each string's bytes lead to; all strings take a step at a time. */
static Value *run_automaton(Import *im, const Strings *s, const RegexAutomaton *a) {
    const int64_t cells = (int64_t)a->states * a->classes, bytes = 256;
    int32_t *classes = LT_ARRAY(im->arena, int32_t, 256);
    for (int i = 0; i < 256; i++)
        classes[i] = a->class_of[i];
    const Type *row = lt_type_static(im->module, DT_I32, 1, &bytes);
    const Type *table = lt_type_static(im->module, DT_I32, 1, &cells);
    Value *class_of = lt_build_const(&im->b, lt_const(im->module, row, classes));
    Value *next = lt_build_const(&im->b, lt_const(im->module, table, a->next));
    Value *start =
        lt_onnx_full(im, DT_I32, 1, s->lengths->type->dims, lt_build_int(&im->b, DT_I32, 1));
    const Dim *longest = lt_strings_longest(im, s->lengths);
    OnnxLoop l = {.trips = longest, .starts = {start}, .carried = 1};
    if (!longest || !lt_onnx_loop_begin(im, &l))
        return NULL;
    Value *lengths = lt_onnx_loop_capture(im, &l, s->lengths);
    Value *at =
        onnx_map2(im, FN_ADD, lt_onnx_loop_capture(im, &l, lt_strings_starts(im, s)), l.position);
    Value *byte = lt_onnx_gather_open(im, lt_onnx_loop_capture(im, &l, s->bytes), at);
    Value *class = lt_build_gather(&im->b, lt_onnx_loop_capture(im, &l, class_of),
                                   lt_build_convert(&im->b, byte, DT_I32), 0);
    Value *cell =
        onnx_map2(im, FN_ADD, lt_onnx_map_scalar(im, FN_MUL, l.state[0], a->classes), class);
    Value *to = lt_build_gather(&im->b, lt_onnx_loop_capture(im, &l, next), cell, 0);
    Value *values[] = {onnx_pick(im, onnx_map2(im, FN_LT, l.position, lengths), to, l.state[0])};
    return lt_onnx_loop_end(im, &l, values) ? l.state[0] : NULL;
}

bool lt_onnx_regex_full_match(Import *im) {
    const char *pattern = lt_onnx_string(im, "pattern", ""), *error;
    RegexAutomaton automaton;
    Strings s;
    if (!lt_strings_in(im, 0, &s))
        return false;
    if (!lt_regex_compile(im->arena, pattern, &automaton, &error))
        return lt_onnx_unsupported(im, "the pattern '%s' cannot be compiled: %s", pattern, error);
    const Type *type = s.lengths->type;
    const int64_t states = automaton.states;
    s = lt_strings_flat(im, &s);
    s.starts = lt_strings_starts(im, &s);
    Value *last = s.starts ? run_automaton(im, &s, &automaton) : NULL;
    const Type *row = lt_type_static(im->module, DT_BOOL, 1, &states);
    Value *accepts = lt_build_const(&im->b, lt_const(im->module, row, automaton.accepts));
    Value *matches = lt_build_gather(&im->b, accepts, last, 0);
    return onnx_set(im, 0, lt_build_reshape(&im->b, matches, type->rank, type->dims));
}
