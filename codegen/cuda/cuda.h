/* cuda.h - what the parts of the CUDA-C back end share. Inside codegen/cuda only.
 *
 * A writer makes the text of one function. Expressions are strings with the binding of their
 * outermost operator, so that parentheses stand only where they are needed. Scopes hold lines: what
 * an inner scope needs of index arithmetic is declared in the outermost scope that knows all of its
 * symbols, in front of the statement that is being written. */
#ifndef LATHE_CODEGEN_CUDA_CUDA_H
#define LATHE_CODEGEN_CUDA_CUDA_H

#include "codegen/codegen.h"

/* From tight to loose, as in C++. */
typedef enum {
    BIND_ATOM,
    BIND_UNARY,
    BIND_PRODUCT,
    BIND_SUM,
    BIND_COMPARE,
    BIND_BITS,
    BIND_AND,
    BIND_OR,
    BIND_CHOICE
} Binding;

typedef struct Text {
    const char *text;
    Binding binding;
} Text;

typedef struct Scope {
    struct Scope *around;
    Str lines;
    int depth;       /* of the function's own: 1 */
    bool has_braces; /* even around one line */
    Vec(const char *) names;
} Scope;

/* A dim that has a name, up to the end of a scope. */
typedef struct NamedDim {
    const Dim *dim;
    const char *name;
    const Scope *scope;
} NamedDim;

/* Lanes of a vector loop that are in memory beside each other. */
typedef struct Pack {
    const Buffer *buffer;
    const Dim *const *index;
    const Dim *base; /* the number of the first one's element */
    const char *name;
    bool is_store;
} Pack;

/* To an element of a parameter, up to the end of a scope. */
typedef struct Pointer {
    const Buffer *buffer;
    const Dim *base; /* the number of the element */
    const char *name;
    const Scope *scope;
} Pointer;

/* What one statement makes of an expression. */
typedef struct ExprUse {
    uint32_t statement; /* which one this is about */
    uint32_t count;     /* how often it mentions the expression */
    const char *name;   /* NULL: none yet */
} ExprUse;

typedef struct Writer {
    Arena *arena;
    const Kernel *kernel; /* NULL: the host's function */
    DiagList *diags;
    DimTable dims;        /* a fork of the kernel's or the module's */
    Map names;            /* identifiers of this function */
    Scope *scope;         /* the innermost */
    const char **symbols; /* by symbol: its text; NULL: not visible */
    Scope **symbol_scopes;
    bool *reads;          /* by symbol: whether the text mentions it */
    const Dim **replaced; /* by symbol: what stands for it, or NULL */
    bool any_replaced;
    const char **buffers; /* by buffer index: names */
    bool *undeclared;     /* those that their first value will declare */
    Vec(NamedDim) named_dims;
    Vec(Pointer) pointers;
    Vec(NamedDim) hints;   /* parts of the index at hand, perhaps with names */
    const char *hint_stem; /* of the buffer's name */
    struct ExprUse *uses;  /* by expression id */
    uint32_t statement;
    const Stmt *run_end;       /* the last of the stores that are one statement, or NULL */
    Vec(const Stmt *) written; /* whose text is part of another's */
    int64_t threads;           /* of a block; 0: the kernel has no thread loops */
    const char *axis;    /* whose positions blocks and threads share out as i.0 and i.1, or NULL */
    const Dim *position; /* on it: a symbol of the fork */
    const Dim *block;    /* the grid's variable, where .. */
    int64_t positions;   /* .. a block has that many positions, of threads or groups; 0 */
    const char *thread;  /* the name of a thread's number */
    int64_t lanes;       /* threads of a group, where a block has several; 0: it has one */
    int64_t apart;       /* the numbers of a group's threads are */
    const Dim *row, *lane;             /* of a group and in it: symbols of the fork */
    const Dim *row_end;                /* what the row is known to be below, or NULL */
    const Stmt *thread_loop;           /* around the statement at hand */
    const char *parts[LT_DTYPE_LIMIT]; /* shared memory for folds, by dtype; NULL: none yet */
    const Stmt *pack_loop;             /* the loop whose packs these are, or NULL */
    Vec(Pack) packs;
    const Buffer *products; /* the tile that four warps add products to while they go on, or NULL */
    bool fetches;           /* something was fetched, which may not be there yet */
    bool failed;
} Writer;

/* --- names.c --- */

/* An identifier made of `name` that nobody in the map has, and no word of C++ and CUDA is. */
const char *lt_cuda_name(Arena *arena, Map *taken, const char *name);
/* The last words of it, where it is long. */
const char *lt_cuda_short_name(Arena *arena, const char *name);

/* Of a local buffer: "acc.tile" is acc, "x.share" x_tile. */
const char *lt_cuda_local_name(Arena *arena, const char *name);
/* Of a kernel's function: after the first of the nodes that it computes, and the last. */
const char *lt_cuda_kernel_name(Arena *arena, Map *taken, const Kernel *k);
/* What a loop of that name is called: m_block for "m0.0", m for "m0.1.1". */
const char *lt_cuda_loop_name(Arena *arena, const char *name);
/* The same as lt_cuda_name, until the scope ends. */
const char *lt_cuda_scope_name(Writer *w, Scope *scope, const char *name);

/* --- spelling.c: types, numbers and functions --- */

/* Of a value in a register (f16 and bf16 are float there), and of an element in memory. */
const char *lt_cuda_register_type(DType dtype);
const char *lt_cuda_memory_type(DType dtype);
bool lt_cuda_has_dtype(DType dtype);
Text lt_cuda_float(Arena *arena, DType dtype, double value);
Text lt_cuda_int(Arena *arena, DType dtype, int64_t value);
/* fn of operands of this dtype, rounded or wrapped to it. */
Text lt_cuda_call(Arena *arena, ScalarFn fn, DType dtype, const Text *args);
Text lt_cuda_convert(Arena *arena, Text value, DType from, DType to);
/* An element as a value, and a value as an element. */
Text lt_cuda_from_memory(Arena *arena, Text element, DType dtype);
Text lt_cuda_to_memory(Arena *arena, Text value, DType dtype);
/* In parentheses where its operator binds more loosely than `binding`. */
const char *lt_cuda_tight(Arena *arena, Text text, Binding binding);
/* a OPERATOR b, which associates to the left. */
Text lt_cuda_binary(Arena *arena, Text a, const char *operator, Text b, Binding binding);

/* --- dims.c: index arithmetic --- */

/* Of a variable for d: int where it fits, in a kernel. */
const char *lt_cuda_index_type(const Writer *w, const Dim *d);
/* Whether the type of d's text is int64_t. */
bool lt_cuda_is_wide(const Writer *w, const Dim *d);
/* The scope has its text from here on. */
void lt_cuda_bind(Writer *w, const Dim *symbol, const char *text);
Text lt_cuda_dim(Writer *w, const Dim *d);
/* The name of a quotient, remainder or choice; NULL: it has none yet. */
const char *lt_cuda_known_dim(const Writer *w, const Dim *d);
/* The innermost of the scopes that d's symbols are bound in. */
Scope *lt_cuda_scope_of(const Writer *w, const Dim *d);
/* What a term of a sum is multiplied by. */
static inline int64_t lt_cuda_coefficient(const Dim *d) {
    return d->kind == DIM_MUL ? d->value : 1;
}
/* With what stands for its symbols. */
const Dim *lt_cuda_replaced(Writer *w, const Dim *d);

/* --- partname.c --- */

/* What parts of the index are about, until the next index. */
void lt_cuda_hint(Writer *w, const Buffer *b, const Dim *const *index);
/* For a quotient, a remainder or a choice. */
const char *lt_cuda_part_name(Writer *w, const Dim *d);

/* --- position.c --- */

const Dim *lt_cuda_fold_positions(Writer *w, const Dim *d);

/* --- pointer.c --- */

/* An element of a parameter by its number, x[64 * i + j] or x_at[j], and its address; is_shared:
 * other statements are about those beside it. */
const char *lt_cuda_parameter_element(Writer *w, const Buffer *b, const Dim *number);
const char *lt_cuda_address(Writer *w, const Buffer *b, const Dim *number, bool is_shared);

/* --- expr.c --- */

/* The value for the next statement: what it needs more than once is declared first. */
Text lt_cuda_statement(Writer *w, const Expr *e);
/* What a store of a narrow float copies as it is: an element of memory, or the bits of a bitcast.
 * NULL: neither. To be called between lt_cuda_begin_statement and the next statement. */
const char *lt_cuda_raw(Writer *w, const Expr *e);
void lt_cuda_begin_statement(Writer *w, const Expr *e);
/* Stores from this one on, of which none loads what another stores, are one statement. */
void lt_cuda_begin_run(Writer *w, const Stmt *first);
/* The element of a buffer: x[64 * i + j], acc[i][j]. */
const char *lt_cuda_element(Writer *w, const Buffer *b, const Dim *const *index);
bool lt_cuda_is_scalar(const Buffer *b);
/* A thread's own arrays have no axes of one element. */
static inline bool lt_cuda_has_axis(const Buffer *b, int axis) {
    return !lt_buffer_is_private(b) || !lt_dim_is(b->dims[axis], 1);
}
/* Elements are as memory has them: parameters, and what the threads of a block share. */
static inline bool lt_cuda_in_memory(const Buffer *b) {
    return b->kind <= BUFFER_OUTPUT || b->kind == BUFFER_SHARED;
}

/* --- copy.c --- */

/* The loop as one copy of all its lanes; false: it is none, and nothing was written. */
bool lt_cuda_copy(Writer *w, const Stmt *loop);

/* --- product.c --- */

/* Products of `rows` x `columns` that a thread adds to its tile, over k. */
typedef struct ProductNest {
    const Dim *k, *i, *j; /* the loops' variables */
    int64_t rows, columns;
    const Buffer *tile;         /* private, of rank 2 */
    const Expr *const *factors; /* two */
} ProductNest;
/* False: the loop is no such nest. */
bool lt_cuda_read_product(const Stmt *loop, ProductNest *out);
/* d where the symbol has that value. */
const Dim *lt_cuda_at(Writer *w, const Dim *d, const Dim *symbol, int64_t value);
/* d for the first thread of the warp; inside of a thread loop. */
const Dim *lt_cuda_at_warp(Writer *w, const Dim *d);

/* --- mma.c --- */

/* The loop as instructions of tensor cores; false: it is none, and nothing was written. */
bool lt_cuda_mma(Writer *w, const Stmt *loop);

/* --- quads.c --- */

/* The same on sm_70. */
bool lt_cuda_quads(Writer *w, const Stmt *loop);

/* --- wgmma.c --- */

/* The same of four warps together. */
bool lt_cuda_wgmma(Writer *w, const Stmt *loop);
/* The tile that such products are added to, in the list or inside of it; NULL: there is none. */
const Buffer *lt_cuda_product_tile(const Stmt *list);
/* The function wgmmahalf<columns> or wgmmabf16<columns>. */
const char *lt_cuda_wgmma_helper(Arena *arena, DType dtype, int columns);

/* --- shared.c --- */

/* Bytes of shared memory that a launch asks for; 0: what the kernel declares is all. */
int64_t lt_cuda_shared_bytes(const Kernel *k);
/* Declares the buffer, whose extents are [N][M].. in text. */
void lt_cuda_declare_shared(Writer *w, const Buffer *b, const char *extents);

/* --- writer.c --- */

void lt_cuda_writer(Writer *w, Arena *arena, const DimTable *dims, DiagList *diags);
void lt_cuda_line(Writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lt_cuda_line_in(Scope *scope, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `head {`, and what was written since as its body. */
void lt_cuda_open(Writer *w, Scope *scope);
void lt_cuda_close(Writer *w, const char *head);
/* Without the declarations of what the rest does not mention. */
const char *lt_cuda_without_unused(Arena *arena, const char *lines);
/* Whether the name stands in the lines. */
bool lt_cuda_mentions(const char *lines, const char *name);

/* --- join.c --- */

/* Branches of one condition that follow each other, as one; else the statement itself. */
const Stmt *lt_cuda_join(Writer *w, const Stmt *s);

/* --- thread.c: what threads share out --- */

/* A loop that all threads of the block run. */
static inline bool lt_cuda_covers_block(const Writer *w, const Stmt *s) {
    return s->kind == STMT_FOR && s->u.loop.kind == LOOP_THREAD &&
           s->u.loop.extent->value == w->threads;
}
/* The variable of a thread loop gets its text. */
void lt_cuda_bind_thread(Writer *w, const Stmt *loop);
/* j of `thread r.1 in N { for r.0 in J { .. } }` becomes what is left of r = N * j + thread; the
 * loop's head, or NULL where there is no such pair. To be called in the loop's scope. */
const char *lt_cuda_begin_strided(Writer *w, const Stmt *loop);
void lt_cuda_end_strided(Writer *w);
void lt_cuda_combine(Writer *w, const Stmt *s);

/* --- group.c --- */

/* Reads which groups of threads have a row each. */
void lt_cuda_find_groups(Writer *w);
/* Names row and lane, in the kernel's scope. */
void lt_cuda_begin_groups(Writer *w, const Stmt *grid);
/* The condition without what is known of the row; NULL: nothing is left. */
const Expr *lt_cuda_open_condition(Writer *w, const Expr *e);

/* --- pack.c --- */

/* Loads what the iterations of the loop have at once, and afterwards stores it; nothing where that
 * cannot be. */
void lt_cuda_begin_packs(Writer *w, const Stmt *loop);
void lt_cuda_end_packs(Writer *w);
/* The element where it is part of a pack, else NULL. */
const char *lt_cuda_pack_element(Writer *w, const Buffer *b, const Dim *const *index);

/* --- signature.c --- */

/* Names the parameters. */
void lt_cuda_name_parameters(Writer *w);
/* Their list, once the body's lines are written: what they do not mention is none, which `reads`
 * tells of each buffer and integer argument; NULL: all are parameters. */
const char *lt_cuda_parameters(Writer *w, const char *function, const char *lines, bool *reads);
/* What the kernel computes, as kernel IR, and its schedule. */
void lt_cuda_comment(Str *out, const Kernel *k, Arena *arena);

/* --- kernel.c --- */

/* A kernel's function. */
typedef struct CudaFunction {
    const char *name;
    bool *reads; /* by buffer and integer argument: whether it is a parameter */
} CudaFunction;

/* The function, behind a comment; reads as in lt_cuda_parameters. False: a diagnostic says why
 * there is none. */
bool lt_cuda_kernel(Str *out, Kernel *k, const char *name, bool *reads, Arena *arena,
                    DiagList *diags);

/* --- helpers.c --- */

/* Those functions that the text calls. */
void lt_cuda_helpers(Str *out, const char *text, Arena *arena);

#endif
