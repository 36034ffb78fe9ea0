/* graph.h - the graph IR: SSA over tensors.
 *
 * A module owns everything in one arena. A graph (the main function or a node's region) is a doubly
 * linked list of nodes in topological order, ended by a `yield` whose operands are the graph's
 * outputs. Every operand is linked into its value's use list, so that replacing a value costs its
 * uses. Nodes and values have dense ids, unique in the module: a pass keeps its scratch in side
 * arrays by id, never in the node. */
#ifndef LATHE_IR_GRAPH_H
#define LATHE_IR_GRAPH_H

#include "ir/diag.h"
#include "ir/dim.h"
#include "ir/op.h"
#include "ir/type.h"
#include "runtime/base/arena.h"
#include "runtime/base/file.h"
#include "runtime/base/map.h"
#include "runtime/base/str.h"
#include "runtime/base/vec.h"

typedef struct Node Node;
typedef struct Value Value;
typedef struct Graph Graph;
typedef struct Module Module;

/* A tensor known at compile time. `data` points into the mapped model file, aligned or not, or
 * into the module's arena, row-major, never written after creation. A splat holds one element that
 * stands for all. It lives while attributes of the module's nodes hold it
 * (lt_module_release_consts). */
typedef struct Const {
    const Type *type; /* all dims constant */
    const void *data;
    size_t bytes;  /* of data: one element for a splat */
    uint64_t hash; /* of type, splat flag and bytes: equal constants are one Const */
    uint32_t id;
    bool is_splat;
} Const;

typedef struct Operand {
    Value *value; /* NULL: an optional input that is absent (only where the op allows it) */
    Node *user;
    struct Operand *prev_use, *next_use;
} Operand;

struct Value {
    uint32_t id;
    uint32_t index; /* which output of `def`, or which input of `graph` */
    const Type *type;
    const char *name; /* the model's name, or NULL */
    Node *def;        /* NULL: an input of `graph` */
    Graph *graph;     /* the graph that it belongs to */
    Operand *uses;    /* the most recent use first */
    /* Known content of a small integer tensor (rank 0 or 1, up to LT_MAX_CONTENT elements), as dim
     * expressions: how shape arithmetic is resolved while compiling. NULL: not known. */
    const Dim *const *content;
};
#define LT_MAX_CONTENT 64

typedef struct Attr {
    AttrName name;
    uint32_t count; /* INTS, DIMS */
    union {
        int64_t i; /* INT, BOOL, DTYPE, SCALAR */
        double f;
        const char *s;
        const int64_t *ints;
        const Dim *const *dims;
        const Const *c;
    } u;
} Attr;

struct Node {
    Op op;
    uint32_t id;
    uint32_t input_count, output_count, attr_count, region_count;
    Operand *inputs;
    Value **outputs;
    Attr *attrs; /* sorted by name */
    Graph **regions;
    const Loc *loc;
    Graph *graph; /* the graph it is in; NULL once removed */
    Node *prev, *next;
};

struct Graph {
    Module *module;
    Node *parent; /* the node whose region this is; NULL for the main function */
    const char *name;
    Vec(Value *) inputs;
    Node *first, *last; /* last is the yield once the graph is complete */
};

/* Two dims that inference took for equal without a proof: checked at run time before the first
 * kernel. */
typedef struct DimGuard {
    const Dim *a, *b;
    const Loc *loc;     /* the node that needs it */
    const Graph *graph; /* must hold whenever this one runs: the main function, a branch, a body */
} DimGuard;

struct Module {
    Arena *arena;
    const char *name; /* the model's name, for people */
    DiagList diags;
    DimTable dims;
    Map types, consts; /* interning */
    Vec(Const *) const_list; /* by id; data is NULL once it ended */
    Vec(MappedFile) files;   /* that constants point into; they are never unmapped */
    bool keep_consts;        /* no constant ends: somebody holds on to their data */
    Graph *main;
    uint32_t next_node, next_value;
    Vec(DimGuard) guards; /* no repeats; passes that substitute dims substitute here too */
};

/* --- modules, types, constants --------------------------------------------------------------- */

/* The module lives in `arena`; freeing the arena frees it. `file` is used in diagnostics. */
Module *lt_module_new(Arena *arena, const char *file);
const Type *lt_type(Module *m, DType dtype, int rank, const Dim *const *dims);
const Type *lt_type_static(Module *m, DType dtype, int rank, const int64_t *dims);
const Type *lt_type_with_dtype(Module *m, const Type *type, DType dtype);
const Dim *lt_type_elements(Module *m, const Type *type); /* product of dims */
bool lt_type_same_dims(const Type *a, const Type *b);
/* All dims constant; then *elements (may be NULL) is their product. False also on overflow. */
bool lt_type_is_static(const Type *type, int64_t *elements);
/* Whether a dim depends on data. */
bool lt_type_is_data(const Module *m, const Type *type);
void lt_type_print(Str *out, const Type *type); /* f32[batch,3,224,224], f32[] */
/* Borrows data: a whole object of the module's arena, which is released with the last constant that
 * has it, or what lives as long as the module. Equal content gives the same Const. All-equal
 * elements become a splat. */
const Const *lt_const(Module *m, const Type *type, const void *data);
const Const *lt_const_splat(Module *m, const Type *type, const void *element);
const Const *lt_const_float(Module *m, DType dtype, double value);           /* rank 0 */
const Const *lt_const_int(Module *m, DType dtype, int64_t value);            /* rank 0 */
const Const *lt_const_ints(Module *m, int64_t count, const int64_t *values); /* i64[count] */
/* Ends the constants that no node has: large data in the arena is freed, and pages of mapped files
 * leave memory until somebody reads them. Not to be called while a Const is held anywhere but in
 * nodes: `fold` does, as it makes more, and the runner between passes, until there is a Program. */
void lt_module_release_consts(Module *m);
/* Element as double / int64, converting from any dtype. */
double lt_const_get_float(const Const *c, int64_t index);
int64_t lt_const_get_int(const Const *c, int64_t index);

/* --- graphs, nodes, values ------------------------------------------------------------------- */

Graph *lt_graph_new(Module *m, Node *parent, const char *name);
Value *lt_graph_add_input(Graph *g, const Type *type, const char *name);
/* Ends the graph with a yield of these values (replaces an existing one). */
void lt_graph_set_outputs(Graph *g, Value *const *values, uint32_t count);
static inline Node *lt_graph_yield(const Graph *g) { return g->last; }

typedef struct NodeSpec {
    Op op;
    Value *const *inputs;
    uint32_t input_count;
    const Attr *attrs; /* in any order; copied, arrays included */
    uint32_t attr_count;
    uint32_t
        region_count; /* regions are created empty: fill node->regions[i], then lt_infer_node */
    uint32_t output_count; /* only for ops with any number of outputs */
    const Loc *loc;
} NodeSpec;

/* Creates a node before `before` (NULL: at the end of g, before a yield that is already there) and
 * infers its outputs' types, unless the op has regions. NULL when inference fails; the reason is in
 * diags. */
Node *lt_node_new(Graph *g, Node *before, const NodeSpec *spec);
void lt_node_set_input(Node *node, uint32_t index, Value *value);
void lt_node_set_attr(Node *node, Attr attr); /* replaces or adds */
void lt_node_add_input(Node *node, Value *value);
/* New outputs instead of those of a node that nothing uses and that is not inferred yet; only for
 * ops with any number of outputs. */
void lt_node_set_output_count(Node *node, uint32_t count);
/* Unlinks the node and its operands; its outputs must have no uses. */
void lt_node_remove(Node *node);
void lt_node_move_before(Node *node, Node *before);
/* Every use of `from` becomes a use of `to`. */
void lt_value_replace(Value *from, Value *to);
uint32_t lt_value_use_count(const Value *v);
bool lt_value_is_output(const Value *v); /* used by the yield of its graph */
/* The constant behind a value, or NULL. */
const Const *lt_value_const(const Value *v);
/* A deep copy of node (regions included) into g before `before`; map: old value id -> Value *. */
Node *lt_node_clone(Graph *g, Node *before, const Node *node, Map *values);

/* Attributes. The pointer is NULL when absent; the typed getters give `otherwise` or assert. */
const Attr *lt_attr(const Node *node, AttrName name);
int64_t lt_attr_int(const Node *node, AttrName name, int64_t otherwise);
double lt_attr_float(const Node *node, AttrName name, double otherwise);
const char *lt_attr_string(const Node *node, AttrName name, const char *otherwise);
static inline ScalarFn lt_node_fn(const Node *n) {
    return (ScalarFn)lt_attr_int(n, ATTR_FN, FN_ADD);
}
static inline Value *lt_input(const Node *n, uint32_t i) { return n->inputs[i].value; }
static inline Value *lt_output(const Node *n) { return n->outputs[0]; }

#define LT_EACH_NODE(n, g) for (Node *n = (g)->first; n; n = n->next)
/* Safe while n is being removed. */
#define LT_EACH_NODE_SAFE(n, g) \
    for (Node *n = (g)->first, *n##_next = n ? n->next : NULL; n; \
         n = n##_next, n##_next = n ? n->next : NULL)

/* --- inference (ir/infer*.c) ----------------------------------------------------------------- */

/* Sets the types (and known contents) of node's outputs from its inputs and attributes. False: a
 * diagnostic names the node, what was expected and what was found. Regions must be inferred before.
 */
bool lt_infer_node(Node *node);
/* All nodes in order, regions included. */
bool lt_infer_graph(Graph *g);
/* a == b must hold at run time. Nothing is recorded when they are the same dim or it is recorded
 * already. An inequality a <= b is the guard max(a, b) == b. */
void lt_module_add_guard(Module *m, const Dim *a, const Dim *b, const Loc *loc);
/* The same where a node of g needs it: it must hold when g runs. */
void lt_graph_add_guard(const Graph *g, const Dim *a, const Dim *b, const Loc *loc);
/* Whether a guard must hold while g runs: it is g's or that of a graph around it. */
bool lt_guard_applies(const DimGuard *guard, const Graph *g);

/* --- text (ir/print.c, ir/parse.c); the grammar is in ir/GRAMMAR.md -------------------------- */

void lt_module_print(Str *out, const Module *m);
/* For people: large constants as hashes; does not read back. */
void lt_module_print_elided(Str *out, const Module *m);
/* One line without its end (more with regions); values by their ids, large constants as hashes. */
void lt_node_print(Str *out, const Node *node);
/* Reads text into a module fresh from lt_module_new. False: m->diags has an error of status
 * MALFORMED with a line, a column and a caret; the module is then of no use but for its
 * diagnostics. */
bool lt_module_read(Module *m, const char *text, size_t len);
/* The same with a module of its own; NULL on error. */
Module *lt_module_parse(Arena *arena, const char *text, size_t len, const char *file);

/* --- verifier (ir/verify.c) ------------------------------------------------------------------ */

/* Checks every named rule; false: an error with status INTERNAL for each breach, with the node as
 * IR. */
bool lt_module_verify(Module *m);

#endif
