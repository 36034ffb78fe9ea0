/* lower_internal.h - what the parts of lowering share. Inside passes/lower*.c only.
 *
 * A kernel is built in three moves. lower.c finds the operands and the anchor, the one op of the
 * region that decides the nest (none: a map). The anchor's file builds draft loops and asks
 * lt_lower_at for elements of its operands, which inlines their producers, and lt_lower_store for
 * the stores of what the region yields, which inlines the epilogue. lower_finish.c then drops axes
 * of extent 1, merges loops and gives them their names. */
#ifndef LATHE_PASSES_LOWER_INTERNAL_H
#define LATHE_PASSES_LOWER_INTERNAL_H

#include "passes/attention.h"
#include "passes/lower.h"

/* Where an element of a value is asked for. Where the predicate (NULL: always true) is false, any
 * value will do, but memory must not be touched. */
typedef struct At {
    const Dim *index[LT_MAX_RANK];
    const Expr *predicate;
} At;

/* A loop under construction. Its name ends with '#' when loops of that name are numbered at the
 * end. */
typedef struct DraftLoop {
    const Dim *var;
    const char *name;
} DraftLoop;

typedef struct Lowering {
    PassContext *ctx;
    Module *module;
    Kernel *k;
    Node *node;    /* of the main graph */
    Graph *region; /* NULL: the node is a single op */
    Node *anchor;  /* NULL: a map */
    Lowered *out;
    Value **yields; /* what is stored: outputs of the single op, or what the region yields */
    const Buffer **results; /* the parameter of each of them */
    uint32_t yield_count;
    bool *live;    /* by node id: the region's outputs depend on it */
    Map params;    /* id of a value outside -> Buffer */
    Map forwarded; /* id of a value behind the anchor -> At, where the anchor's element ends up in
                      it */
    const Expr *anchor_value;
    const Attention
        *attention;     /* what the region is; the anchor is its last node. NULL: it is not */
    const Value *given; /* a value whose element is known at the moment, and that */
    const Expr *given_element;
    Map memo;      /* elements that were asked for since the last statement */
    Stmt *prelude; /* LETs that the next statement needs */
    Vec(DraftLoop) loops;
    bool failed;
} Lowering;

/* --- lower.c ------------------------------------------------------------------------------- */

/* Records that there is no kernel for the node (status UNSUPPORTED), and gives false. */
bool lt_lower_fail(Lowering *lo, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What a region's input stands for: a value of the main graph. Others stay. */
Value *lt_lower_resolve(const Lowering *lo, Value *value);
/* The value is computed inside of the kernel. */
bool lt_lower_is_inside(const Lowering *lo, const Value *value);
/* A scalar or splat constant, or NULL. */
const Expr *lt_lower_constant(Lowering *lo, const Value *value);
/* Stores all that is yielded: `value` is the element of the anchor's first output at `index`. */
Stmt *lt_lower_store(Lowering *lo, const Dim *const *index, const Expr *value);
/* Computes where the anchor's element at `index` ends up in the values behind it
 * (Lowering.forwarded). */
void lt_lower_forward(Lowering *lo, const Dim *const *index);
/* The result buffer that can hold one value of this dtype for each element of the anchor's output
 * until the real result is stored, and where (forward first). NULL: there is none. */
const Buffer *lt_lower_find_scratch(const Lowering *lo, DType dtype, const At **at);

static inline const Dim *lower_dim(Lowering *lo, const Dim *d) {
    return lt_kernel_import_dim(lo->k, &lo->module->dims, d);
}
static inline const Dim *lower_number(Lowering *lo, int64_t n) {
    return lt_dim_const(&lo->k->dims, n);
}
static inline DimTable *lower_table(Lowering *lo) { return &lo->k->dims; }

/* --- lower_index.c, lower_gather.c: elements of values ------------------------------------- */

typedef const Expr *LowerAtFn(Lowering *lo, const Node *node, const At *at);

/* The element of a value, its producers inlined. On failure any expression of the value's dtype. */
const Expr *lt_lower_at(Lowering *lo, Value *value, const At *at);
/* The same in another dtype. */
const Expr *lt_lower_at_as(Lowering *lo, Value *value, const At *at, DType dtype);
/* The LETs that the elements asked for so far need; they go in front of the statement that uses
 * these. */
Stmt *lt_lower_take_prelude(Lowering *lo);
/* Numpy's rule: where the element `at` of a result of `rank` dimensions lies in an operand of
 * `type`. */
At lt_lower_broadcast(Lowering *lo, const Type *type, int rank, const At *at);
/* The index in a tensor of dims `to` of the element that lies at `index` in one of dims `from` (the
 * module's). */
void lt_lower_reshape_index(Lowering *lo, const Type *from, const Dim *const *index, const Type *to,
                            const Dim **out);
/* A position read from a tensor of integers: negative ones count from the end, and what lies
 * outside of 0..extent-1 is moved inside, so that no input can make a kernel leave its buffers. */
const Dim *lt_lower_position(Lowering *lo, Value *indices, const At *at, const Dim *extent);
const Expr *lt_lower_at_gather(Lowering *lo, const Node *node, const At *at);
const Expr *lt_lower_at_gather_elements(Lowering *lo, const Node *node, const At *at);
const Expr *lt_lower_at_gather_nd(Lowering *lo, const Node *node, const At *at);
const Expr *lt_lower_at_resize(Lowering *lo, const Node *node, const At *at); /* lower_resize.c */
const Expr *lt_lower_zero(Lowering *lo, DType dtype);

/* --- lower_nest.c: loops ------------------------------------------------------------------- */

enum { MAX_NEST = 4 * LT_MAX_RANK };

typedef struct LoopNest {
    const Dim *vars[MAX_NEST], *extents[MAX_NEST];
    int count;
} LoopNest;

/* Adds the next inner loop and gives its variable, or 0 when the extent is 1. */
const Dim *lt_lower_loop(Lowering *lo, LoopNest *nest, const char *name, const Dim *extent);
/* Adds a loop even around one iteration. */
const Dim *lt_lower_full_loop(Lowering *lo, LoopNest *nest, const char *name, const Dim *extent);
/* One loop for each axis of a type of the module, in order, with the variables as an index. */
void lt_lower_axes(Lowering *lo, LoopNest *nest, const char *name, const Type *type,
                   const Dim **index);
/* The body inside of all loops. */
Stmt *lt_lower_nest(Lowering *lo, const LoopNest *nest, Stmt *body);

/* A local variable of one element. */
typedef struct Accumulator {
    const Buffer *buffer;
} Accumulator;
Accumulator lt_lower_accumulator(Lowering *lo, const char *name, DType dtype);
/* ALLOC, and a store of the first value. */
Stmt *lt_lower_begin(Lowering *lo, Accumulator acc, const Expr *value);
const Expr *lt_lower_get(Lowering *lo, Accumulator acc);
Stmt *lt_lower_set(Lowering *lo, Accumulator acc, const Expr *value);
/* Sums of f16 and bf16 are kept in f32, of small integers in i32, all others in their own dtype. */
DType lt_lower_sum_dtype(DType dtype);
const Expr *lt_lower_identity(Lowering *lo, ScalarFn fn, DType dtype);
/* Where a sweeping kernel reads an axis of this extent, as a condition: position >= 0 if the
 * padding below may be positive, and position < extent if that above may be. NULL: always. */
const Expr *lt_lower_sweep_condition(Lowering *lo, const Dim *position, const Dim *extent,
                                     const Dim *below, const Dim *above);
/* At an index, under no condition. */
At lt_lower_here(const Dim *const *index, int rank);

/* --- the anchors --------------------------------------------------------------------------- */

/* Fills k->body and k->class. False after lt_lower_fail. */
typedef bool LowerFn(Lowering *lo);
LowerFn lt_lower_map;                                   /* lower_map.c */
LowerFn lt_lower_reduce, lt_lower_window;               /* lower_reduce.c */
LowerFn lt_lower_argreduce, lt_lower_cumulate;          /* lower_reduce.c */
LowerFn lt_lower_contract;                              /* lower_contract.c */
LowerFn lt_lower_conv;                                  /* lower_conv.c */
LowerFn lt_lower_winograd;                              /* lower_winograd.c */
LowerFn lt_lower_attention;                             /* lower_attention.c */
LowerFn lt_lower_attention_gpu;                         /* lower_attention_gpu.c */
LowerFn lt_lower_softmax, lt_lower_layer_norm;          /* lower_rows.c */
LowerFn lt_lower_lstm, lt_lower_gru;                    /* lower_recurrent.c */
LowerFn lt_lower_scatter_elements, lt_lower_scatter_nd; /* lower_scatter.c */
LowerFn lt_lower_suppress;                              /* lower_suppress.c */

/* A sum of products of the anchor's two operands. */
typedef struct Products {
    const LoopNest *outer, *inner;
    const Dim *const *index; /* in the result */
    At a, b;
    const Expr *condition; /* of the update; NULL: always */
} Products;
bool lt_lower_products(Lowering *lo, const Products *p); /* lower_contract.c */

/* accumulator = begin + sum of x * y, where the condition (NULL: always) holds. */
typedef struct Sum {
    Accumulator accumulator;
    const Expr *x, *y, *begin, *condition;
} Sum;
/* The sum over the inner loops: its accumulator's allocation and first value, and the loops. Takes
 * the prelude of x and y. */
Stmt *lt_lower_sum(Lowering *lo, const LoopNest *inner, const Sum *sum); /* lower_contract.c */
/* Where an operand is read whose axes are these letters: of[letter] is a position. */
At lt_lower_letters_at(const char *letters, const Dim *const *of);
/* The same for a packed operand 1, in a panel. */
At lt_lower_packed_at(const LtEinsum *e, const Dim *const *of, const Dim *panel, const Dim *within);

/* --- lower_finish.c ------------------------------------------------------------------------ */

/* Drops axes of extent 1, merges loops where every access allows, and names the loops. */
void lt_lower_finish(Lowering *lo);
/* Finds the parameters whose memory the first output may take (Kernel.in_place). */
void lt_lower_find_in_place(Kernel *k);

#endif
