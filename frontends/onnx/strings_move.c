/* strings_move.c - ops that only move elements, on strings.
 *
 * Their converters know tensors of numbers. So each string becomes its number in a table of all
 * strings of all operands; the converter moves the numbers, and what comes out is read in the
 * table. */
#include "frontends/onnx/strings.h"

#include <string.h>

/* i64[shape of lengths]: first, first + 1, ... */
static Value *numbers(Import *im, const Value *lengths, const Dim *first) {
    const Type *type = lengths->type;
    const Dim *count = lt_type_elements(im->module, type);
    Value *all = lt_build_iota(&im->b, DT_I64, 1, &count, 0);
    if (!lt_dim_is(first, 0))
        all = lt_build_map2(&im->b, FN_ADD, all, lt_onnx_dim_value(im, first, DT_I64));
    return type->rank == 1 ? all : lt_build_reshape(&im->b, all, type->rank, type->dims);
}

typedef struct Table {
    const Dim *strings, *bytes; /* how many there are so far */
    Value **parts[3];           /* [operands]: bytes, starts, lengths */
    uint32_t count;
} Table;

/* Adds the operand's strings behind those that are there, and gives their numbers. */
static Value *add_operand(Import *im, Table *t, const Strings *s) {
    const Strings flat = lt_strings_flat(im, s);
    Value *starts = lt_strings_starts(im, &flat);
    if (!starts || !flat.lengths)
        return NULL;
    if (t->count > 0)
        starts = lt_build_map2(&im->b, FN_ADD, starts, lt_onnx_dim_value(im, t->bytes, DT_I64));
    Value *own = numbers(im, s->lengths, t->strings);
    t->parts[0][t->count] = s->bytes;
    t->parts[1][t->count] = starts;
    t->parts[2][t->count++] = flat.lengths;
    t->bytes = lt_dim_add(im->dims, t->bytes, s->bytes->type->dims[0]);
    t->strings = lt_dim_add(im->dims, t->strings, flat.lengths->type->dims[0]);
    return own;
}

static Value *join(Import *im, Value *const *parts, uint32_t count) {
    return count == 1 ? parts[0] : lt_build_concat(&im->b, parts, count, 0);
}

/* Which operands hold what is moved, as bits, where that is more than the first. */
static const struct {
    const char *op;
    uint32_t operands;
} moved_operands[] = {
    {"Concat", ~0u}, {"Scatter", 5}, {"ScatterElements", 5}, {"ScatterND", 5}, {"Where", 6}};

static bool check_operands(Import *im) {
    uint32_t wanted = 1;
    for (size_t i = 0; i < sizeof moved_operands / sizeof *moved_operands; i++)
        if (strcmp(moved_operands[i].op, im->node->op) == 0)
            wanted = moved_operands[i].operands;
    for (uint32_t i = 0; i < im->input_count; i++) {
        const CompoundKind kind = compound_kind(im->inputs[i]);
        const bool is_moved = wanted >> (i < 31 ? i : 31) & 1;
        if (im->inputs[i] && is_moved != (kind == COMPOUND_STRINGS))
            return lt_onnx_malformed(im, "input %u must be %s, not %s", i,
                                     is_moved ? "strings as the others" : "a tensor of numbers",
                                     lt_onnx_kind_name(kind));
    }
    const char *reduction = lt_onnx_string(im, "reduction", "none");
    return strcmp(reduction, "none") == 0 ||
           lt_onnx_malformed(im, "strings cannot be combined by %s", reduction);
}

static bool convert_moved(Import *im, OnnxConverter convert) {
    Table t = {.strings = lt_dim_const(im->dims, 0), .bytes = lt_dim_const(im->dims, 0)};
    if (!check_operands(im))
        return false;
    for (int i = 0; i < 3; i++)
        t.parts[i] = LT_ARRAY(im->arena, Value *, im->input_count);
    for (uint32_t i = 0; i < im->input_count; i++) {
        Strings s;
        if (compound_kind(im->inputs[i]) != COMPOUND_STRINGS)
            continue;
        if (!lt_strings_in(im, i, &s) || !(im->inputs[i] = add_operand(im, &t, &s)))
            return false;
    }
    if (!convert(im))
        return false;
    const Strings all = {join(im, t.parts[0], t.count), join(im, t.parts[1], t.count),
                         join(im, t.parts[2], t.count)};
    for (uint32_t i = 0; i < im->output_count; i++)
        if (im->outputs[i] && !strings_set(im, i, lt_strings_gather(im, &all, im->outputs[i])))
            return false;
    return true;
}

bool lt_strings_convert(Import *im, const OnnxOp *op) {
    uint32_t strings = 0;
    for (uint32_t i = 0; i < im->input_count; i++)
        strings += compound_kind(im->inputs[i]) == COMPOUND_STRINGS;
    if (strings > 0 && (op->takes & STRINGS_MOVED) == STRINGS_MOVED)
        return convert_moved(im, op->convert);
    for (uint32_t i = 0; (op->takes & STRINGS_COUNTED) == STRINGS_COUNTED && i < im->input_count;
         i++)
        if (compound_kind(im->inputs[i]) == COMPOUND_STRINGS) {
            Strings s;
            lt_strings_in(im, i, &s);
            im->inputs[i] = s.lengths;
        }
    return op->convert(im);
}
