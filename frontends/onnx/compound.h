/* compound.h - ONNX values that are no tensors: sequences, optionals, tensors of strings.
 *
 * The graph IR knows tensors alone, so each such value is several of them, its members. What a name
 * is bound to is then a handle: a Value that is in no graph and has no type, by which compound_of
 * tells it from a tensor. Converters whose row in ops.def does not take compounds never see one.
 *
 * A sequence is a list where its length is known while compiling: its members are its elements, and
 * nothing is ever copied. Or it is the parts of one tensor, which is its member. Else it is packed:
 *
 *     values   T[total]    the elements' data, one behind the other, each in row-major order
 *     shapes   i64[n, r]   a row of extents for each element; where elements have several ranks,
 *                          rows of those with fewer axes end with -1
 *
 * An optional is `has`, a bool[], and the element, which stands for nothing where that is false.
 * Tensors of strings are
 *
 *     bytes    u8[total]   all strings one behind the other, in row-major order, UTF-8, no NUL
 *     lengths  i64[shape]  how many bytes each has
 *
 * or, unless packed, have another member that says where each begins (strings.h).
 *
 * Inputs and outputs of the graph have one tensor for each member, named after the value and the
 * member: `x.values`, `x.shapes`; an optional `x` has `x.has` and either `x.value` or the members
 * of the sequence in it. include/lathe/runtime.h has this for embedders. */
#ifndef LATHE_FRONTENDS_ONNX_COMPOUND_H
#define LATHE_FRONTENDS_ONNX_COMPOUND_H

#include "frontends/onnx/scope.h"

/* Bits, because rows of ops.def take some of them. */
typedef enum CompoundKind {
    COMPOUND_NONE = 0, /* a tensor */
    COMPOUND_SEQUENCE = 1,
    COMPOUND_OPTIONAL = 2,
    COMPOUND_STRINGS = 4,
    COMPOUND_ANY = 7
} CompoundKind;

/* How a converter that knows no strings takes them (strings_move.c). */
enum {
    STRINGS_MOVED = 8 | COMPOUND_STRINGS,  /* it gives its operands' elements on, in other places */
    STRINGS_COUNTED = 16 | COMPOUND_STRINGS /* it asks for shapes alone */
};

/* Instead of a rank. */
enum {
    RANK_OPEN = -1, /* nothing told it so far: a sequence without elements, an absent optional */
    RANK_MIXED = -2 /* it may differ from element to element, or only a run tells */
};

/* What members a value has, and of which types. */
typedef struct CompoundForm {
    CompoundKind kind;
    DType dtype;                        /* of a tensor */
    int rank;                           /* of a tensor, of strings */
    const struct CompoundForm *element; /* of a sequence, an optional */
} CompoundForm;

/* How a tensor is cut into the elements of a sequence. */
typedef struct CompoundCut {
    int axis;
    const Dim *size; /* of each part along the axis; the last one has what is left */
    bool keep;       /* else the elements lack the axis; size is 1 */
} CompoundCut;

typedef struct Compound {
    Value handle; /* first: a pointer to it is one to the compound */
    const CompoundForm *form;
    bool is_list;           /* a sequence: members are its elements, which may be handles */
    const CompoundCut *cut; /* a sequence: NULL, or the one member is a tensor that is cut */
    uint32_t count;
    Value **members; /* optional: `has`, then the element, NULL where it is known to be absent */
} Compound;

static inline bool compound_is_packed(const Compound *c) { return !c->is_list && !c->cut; }

enum { COMPOUND_MEMBERS = 4 }; /* the most that a form has */

/* NULL: it is a tensor. */
static inline Compound *compound_of(Value *v) { return v && !v->type ? (Compound *)v : NULL; }
static inline CompoundKind compound_kind(const Value *v) {
    return v && !v->type ? ((const Compound *)v)->form->kind : COMPOUND_NONE;
}
/* "a sequence", "a tensor". */
const char *lt_onnx_kind_name(CompoundKind kind);

/* A new compound of these members, which are copied. */
Value *lt_onnx_compound(Import *im, const CompoundForm *form, Value *const *members,
                        uint32_t count);
/* A sequence of known length; what its elements are follows from them, or is `element` where there
 * are none. NULL after an error: elements of different kinds. */
Value *lt_onnx_list(Import *im, const CompoundForm *element, Value *const *elements,
                    uint32_t count);
/* The parts of x. */
Value *lt_onnx_cut(Import *im, Value *x, CompoundCut cut);

/* --- forms --- */
CompoundForm *lt_onnx_form(Import *im, CompoundKind kind, const CompoundForm *element);
const CompoundForm *lt_onnx_tensor_form(Import *im, DType dtype, int rank);
const CompoundForm *lt_onnx_form_of(Import *im, Value *v);
/* As a file declares it; NULL with a reason when lathe does not have such a type. */
const CompoundForm *lt_onnx_form_of_type(Import *im, const OnnxType *type, const char **reason);
/* The form that both can be brought to; NULL: there is none. */
const CompoundForm *lt_onnx_form_join(Import *im, const CompoundForm *a, const CompoundForm *b);
/* `form` with what `declared` adds: an optional around it, the rank of what is empty so far. */
const CompoundForm *lt_onnx_form_declared(Import *im, const CompoundForm *form,
                                          const CompoundForm *declared);
bool lt_onnx_form_is(const CompoundForm *a, const CompoundForm *b);
const char *lt_onnx_form_text(Import *im, const CompoundForm *form); /* "a sequence of f32[,]" */
/* The number of members in packed form: 1 for a tensor. */
uint32_t lt_onnx_form_width(const CompoundForm *form);
/* What member i of a graph's input or output is called: that of a tensor as itself. */
const char *lt_onnx_member_name(Import *im, const char *name, const CompoundForm *form, uint32_t i);

/* --- the packed form (compound_pack.c) --- */
/* The members of `v` in a form that lt_onnx_form_join made of its own. False after an error. */
bool lt_onnx_pack(Import *im, Value *v, const CompoundForm *form, Value **members);
/* Ends a region with a yield of these values in these forms; `first`, unless NULL, goes before. */
bool lt_onnx_yield_packed(Import *im, Graph *region, Value *first, Value *const *values,
                          const CompoundForm *const *forms, uint32_t count);
/* The members of `count` values, one behind the other. */
uint32_t lt_onnx_forms_width(const CompoundForm *const *forms, uint32_t count);
bool lt_onnx_pack_all(Import *im, Value *const *values, const CompoundForm *const *forms,
                      uint32_t count, Value **members);
void lt_onnx_unpack_all(Import *im, const CompoundForm *const *forms, Value *const *members,
                        uint32_t count, Value **values);
/* The value of these members. */
Value *lt_onnx_unpack(Import *im, const CompoundForm *form, Value *const *members);
/* Every tensor in it replaced by what `map` gives for it. */
Value *lt_onnx_map_members(Import *im, Value *v, Value *(*map)(void *state, Value *tensor),
                           void *state);

/* --- operands of the node at hand; NULL after an error --- */
Compound *lt_onnx_sequence_in(Import *im, uint32_t i);
Value *lt_onnx_tensor_in(Import *im, uint32_t i);

#endif
