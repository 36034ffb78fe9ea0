/* kernel.h - the kernel IR: loop nests over buffers.
 *
 * A kernel is a function over buffers (parameters, and scoped local tiles) and integer arguments.
 * Index arithmetic is done in Dims of the kernel's own table: integer arguments, loop variables and
 * LET variables are its symbols, with ranges, so that shapes and indices simplify by the same rules
 * and a proof about an index (a guard that always holds) is a range query. Values are hash-consed
 * expressions: equal ones in one kernel are the same pointer. Meaning is scalar; a vector loop runs
 * its body for all lanes at once, which is allowed because its iterations are independent (the
 * verifier checks what it can).
 *
 * A PARALLEL loop is cut into ranges [begin, end) by the caller. It is the whole body, and then the
 * ranges may run in any order; or several, of the same extent, lie in it, and a team runs the
 * kernel: all its threads run the whole body, each its range of every parallel loop and all of
 * everything else, which therefore writes nothing but a thread's own locals. What a thread writes
 * in a parallel loop is seen by the others behind the next BARRIER, where all wait for each other.
 * A kernel without a parallel loop is called with [0, 1).
 *
 * A GPU's kernel is marked otherwise: GRID loops are around everything, THREAD loops lie inside of
 * them. An iteration of the grid loops is a block, whose threads run all of what is inside, each
 * its iteration of every thread loop; as in a team, what is outside of thread loops writes nothing
 * but a thread's own locals, and a BARRIER makes what threads write seen by the others. A private
 * local has one copy a thread: iteration t of a thread loop has copy t, so that what it leaves in a
 * local that was allocated outside is there in iteration t of the next thread loop. */
#ifndef LATHE_IR_KERNEL_H
#define LATHE_IR_KERNEL_H

#include "ir/diag.h"
#include "ir/dim.h"
#include "ir/op.h"
#include "ir/type.h"
#include "runtime/base/arena.h"
#include "runtime/base/map.h"
#include "runtime/base/str.h"
#include "runtime/base/vec.h"

typedef struct Kernel Kernel;
typedef struct Expr Expr;
typedef struct Stmt Stmt;

typedef enum {
    BUFFER_INPUT,    /* parameter, read only */
    BUFFER_OUTPUT,   /* parameter, written, may be read back */
    BUFFER_REGISTER, /* local: small, constant extents, expected to live in registers */
    BUFFER_STACK,   /* local: constant extents, on the stack, at most LT_MAX_STACK bytes a kernel */
    BUFFER_SCRATCH, /* local: constant extents, in memory that each thread brings, at most
                       LT_MAX_SCRATCH bytes a kernel; for what fills a cache */
    BUFFER_SHARED   /* local: the same, one for all threads of a team or of a block */
} BufferKind;
#define LT_MAX_THREADS 1024 /* of a block */
#define LT_WARP 32          /* threads of a block that run together */
#define LT_MAX_STACK 262144
#define LT_MAX_SCRATCH (INT64_C(1) << 26)

/* Dense, row-major, indexed with one Dim an axis. Parameters come first and in call order. */
typedef struct Buffer {
    BufferKind kind;
    DType dtype;
    int32_t rank;
    uint32_t index; /* parameters: position in the call; locals: continues the numbering */
    const char *name;
    const Dim *const *dims;
    bool
        is_swizzled; /* SHARED: rows are 128 bytes, and part p of 16 bytes of row r is at p ^ r % 8,
                         as tensor cores read them; indices do not show it */
} Buffer;

typedef enum {
    EXPR_CONST,   /* i for integers and bool, f for floats */
    EXPR_INDEX,   /* the value of a Dim, i64 */
    EXPR_LOAD,    /* buffer[index...]; with a predicate: 0 where it is false, memory untouched */
    EXPR_CALL,    /* a scalar function: fn(args...) */
    EXPR_CONVERT, /* args[0] to dtype, as the op `convert` */
    EXPR_BITCAST  /* the bits of args[0] as dtype, of as many; those of a load as memory has them */
} ExprKind;

struct Expr {
    ExprKind kind;
    DType dtype;
    uint32_t id; /* dense within the kernel */
    union {
        int64_t i;
        double f;
        const Dim *dim;
        struct {
            const Buffer *buffer;
            const Dim *const *index;
            const Expr *predicate; /* NULL: always */
        } load;
        struct {
            ScalarFn fn; /* CALL only */
            const Expr *args[3];
        } call;
    } u;
};

typedef enum {
    LOOP_SERIAL,
    LOOP_PARALLEL,
    LOOP_UNROLL,
    LOOP_VECTOR,
    LOOP_GRID,   /* GPU: an iteration is a block */
    LOOP_THREAD, /* GPU: an iteration is a thread of the block; constant extent */
    LOOP_FETCH,  /* GPU: a vector loop; what it stores to shared memory may arrive as late as the
                    next barrier, even for the thread itself */
    LOOP_MMA,    /* GPU: a fold whose products a warp may add up at once, in any order; else a
                    serial loop. codegen/cuda/mma.c says which nests these are */
    LOOP_WGMMA   /* GPU: the same by four warps, who go on meanwhile: shared memory may be read, and
                    sums written, as late as the barrier that waits for the products.
                    codegen/cuda/wgmma.c */
} LoopKind;
typedef enum {
    STMT_FOR,
    STMT_IF,
    STMT_STORE,
    STMT_LET,
    STMT_ALLOC,
    STMT_PREFETCH,
    STMT_BARRIER, /* the threads of a team wait for each other; nothing, when there is one */
    STMT_COMMIT,  /* GPU: what was fetched since the last one is a group, which barriers count */
    STMT_COMBINE  /* GPU: all threads of a group get what folds the copies that they have of a
                     private scalar: in pairs whose numbers differ in one bit, from the highest bit
                     down, but first in warps and then between them, where the group is whole
                     warps. No barrier for other memory. With a total, which the threads of a
                     group have alike, it is a scan: a thread gets what folds the total and the
                     copies of the threads in front of it, and the total becomes the fold of itself
                     and all copies, in this order, with any brackets. */
} StmtKind;

/* Statements form lists through `next`; a body is the first of its list. */
struct Stmt {
    StmtKind kind;
    Stmt *next;
    const Loc *loc; /* may be NULL */
    union {
        struct {
            LoopKind kind;
            const Dim *var;    /* a symbol: 0 <= var < extent; its name is the loop's name */
            const Dim *extent; /* may use outer variables; UNROLL and VECTOR: constant; <= 0 runs
                                  nothing */
            Stmt *body;
        } loop;
        struct {
            const Expr *condition; /* bool */
            Stmt *body;
            Stmt *otherwise; /* or NULL */
        } branch;
        struct {
            const Buffer *buffer;
            const Dim *const *index;
            const Expr *value; /* of the buffer's dtype */
        } store;
        struct {
            const Dim *var;    /* a symbol, visible in the statements that follow in this list and
                                  inside them */
            const Expr *value; /* i64 */
        } let;
        struct {
            const Buffer
                *buffer; /* local; visible as a LET's variable is; content undefined until stored */
        } alloc;
        struct {
            const Buffer *buffer;    /* a parameter */
            const Dim *const *index; /* may lie outside of it */
        } prefetch; /* asks for the cache line with that element; changes nothing */
        struct {
            int64_t fetches;  /* so many groups, the newest, may still be on their way */
            int64_t products; /* and so many WGMMA loops, 0 or 1, may still run */
        } barrier;            /* both 0: nothing is */
        struct {
            const Buffer *buffer; /* private, one element */
            const Buffer *total;  /* the same; NULL: no scan */
            ScalarFn fn;          /* associative and commutative */
            int64_t width;        /* threads of a group, a power of two */
            int64_t apart;        /* their numbers are, a power of two; both divide the block's */
        } combine;
    } u;
};

/* What the nest computes, and so how its loops are named before a schedule is applied:
 *   MAP       i0 i1 ...: the output's axes, outermost first (adjacent ones are merged where every
 *             access allows)
 *   REDUCE    i0 i1 ... outer, k0 k1 ... folded axes
 *   WINDOW    the same, where k0 k1 ... are kernel positions
 *   CONTRACT  b* m* n* in the output's order, k* folded
 *   CONV      b (batch), y0 y1 ... (output positions), g (groups, when > 1), o; then k0 k1 ...
 *             (kernel positions), c
 *   ROWS      i* rows; inside one row several stages, each over its own r* loops (softmax,
 *             normalizations)
 *   WINOGRAD  b (images), q (blocks of tiles), o (groups of panels); inside, stages: t and v, then
 *             for each panel p, m, n, k and s, v, where v runs along vectors
 *   ATTENTION b* (other axes), q (blocks of rows); inside, stages: panels j of m, n, k; rows i,
 *             each with its r* loops; panels e of y, c, z; where columns come in blocks: t, f, v.
 *             On a GPU, threads x of all that is inside; tiles of columns, k and l folded
 *   SERIAL    anything else: runs as it is */
typedef enum {
    KERNEL_SERIAL,
    KERNEL_MAP,
    KERNEL_REDUCE,
    KERNEL_WINDOW,
    KERNEL_CONTRACT,
    KERNEL_CONV,
    KERNEL_ROWS,
    KERNEL_WINOGRAD,
    KERNEL_ATTENTION,
    KERNEL_CLASS_LIMIT
} KernelClass;

struct Kernel {
    Arena *arena;
    const char *name; /* an identifier made of the model's node names: conv_23_relu_24 */
    const Loc *loc;   /* the model's nodes */
    KernelClass class;
    /* Bit i: output 0 may occupy the memory of parameter i, because every element of that parameter
     * is read only by the iteration that writes the same element, before it writes it. */
    uint64_t in_place;
    DimTable dims;
    Vec(Buffer *) buffers;
    uint32_t param_count;
    Vec(const Dim *) ints; /* symbols that are the integer arguments, in call order */
    /* The model's symbol behind each of ints; NULL in a kernel that was read from text. */
    Vec(const Dim *) int_sources;
    /* By symbol: the extent given to lt_kernel_loop_var; NULL for other symbols. */
    Vec(const Dim *) extents;
    Stmt *body;
    const char *schedule; /* text of the schedule that was applied; NULL: none */
    const char *nest;     /* the kernel as text, before it was scheduled; NULL: nobody asked */
    Map exprs;            /* interning */
    uint32_t next_expr;
};

/* --- building (ir/kernel.c) ------------------------------------------------------------------- */

Kernel *lt_kernel_new(Arena *arena, const char *name, const Loc *loc);
/* A parameter; all parameters are added before the first local. dims are of the kernel's own table.
 */
Buffer *lt_kernel_param(Kernel *k, BufferKind kind, const char *name, DType dtype, int rank,
                        const Dim *const *dims);
/* A local buffer (place its ALLOC yourself with lt_stmt_alloc). Names are made unique. */
Buffer *lt_kernel_local(Kernel *k, BufferKind kind, const char *name, DType dtype, int rank,
                        const Dim *const *dims);
/* The model's dim in terms of the kernel's integer arguments: adds an argument, with the symbol's
 * name and range, for every model symbol that was not yet seen. */
const Dim *lt_kernel_import_dim(Kernel *k, const DimTable *model, const Dim *dim);
/* A new integer argument that stands for no model symbol (kernels by hand and from text). */
const Dim *lt_kernel_int(Kernel *k, const char *name, int64_t lo, int64_t hi);
/* A new loop or let symbol, its name made unique ("m", "m_2"); range 0..hi of extent - 1, or the
 * given one. Names are made of [A-Za-z0-9_.]: other characters become `_`. What ranges alone cannot
 * prove (i < n for an unbounded n) is proved with the extent, so a loop over the variable must not
 * run further than that. */
const Dim *lt_kernel_loop_var(Kernel *k, const char *name, const Dim *extent);
const Dim *lt_kernel_let_var(Kernel *k, const char *name, int64_t lo, int64_t hi);

const Expr *lt_expr_float(Kernel *k, DType dtype, double value);
const Expr *lt_expr_int(Kernel *k, DType dtype, int64_t value); /* also bool */
const Expr *lt_expr_index(Kernel *k, const Dim *dim);           /* i64 */
const Expr *lt_expr_load(Kernel *k, const Buffer *buffer, const Dim *const *index,
                         const Expr *predicate);
/* Folds what is constant, x + 0, x * 1, select with a constant condition, ... dtype of the result
 * by the fn's rule. */
const Expr *lt_expr_call(Kernel *k, ScalarFn fn, const Expr *a, const Expr *b, const Expr *c);
const Expr *lt_expr_convert(Kernel *k, const Expr *a, DType dtype);
const Expr *lt_expr_bitcast(Kernel *k, const Expr *a, DType dtype);
/* What `cast`, a conversion, a bitcast or a function of one operand, makes of a. */
const Expr *lt_expr_cast_like(Kernel *k, const Expr *cast, const Expr *a);
/* Whether u.call holds what it depends on. */
static inline bool lt_expr_has_args(const Expr *e) { return e->kind >= EXPR_CALL; }
/* a < b as bool; constant when the ranges prove it. lt_expr_in_range: 0 <= a and a < extent. */
const Expr *lt_expr_less(Kernel *k, const Dim *a, const Dim *b);
const Expr *lt_expr_in_range(Kernel *k, const Dim *a, const Dim *extent);
/* Either may be NULL, which means true. */
const Expr *lt_expr_and(Kernel *k, const Expr *a, const Expr *b);
bool lt_expr_is_const_bool(const Expr *e, bool value);
/* Whether e loads an element of the buffer. */
bool lt_expr_loads(const Expr *e, const Buffer *buffer);
/* e with symbols replaced (by[symbol] NULL: stays) and buffers too (buffer_by[buffer->index], may
 * be NULL). */
const Expr *lt_expr_substitute(Kernel *k, const Expr *e, const Dim *const *by,
                               const Buffer *const *buffer_by);

Stmt *lt_stmt_for(Kernel *k, LoopKind kind, const Dim *var, const Dim *extent, Stmt *body);
Stmt *lt_stmt_if(Kernel *k, const Expr *condition, Stmt *body, Stmt *otherwise);
Stmt *lt_stmt_store(Kernel *k, const Buffer *buffer, const Dim *const *index, const Expr *value);
Stmt *lt_stmt_let(Kernel *k, const Dim *var, const Expr *value);
Stmt *lt_stmt_alloc(Kernel *k, const Buffer *buffer);
Stmt *lt_stmt_prefetch(Kernel *k, const Buffer *buffer, const Dim *const *index);
Stmt *lt_stmt_barrier(Kernel *k);
Stmt *lt_stmt_barrier_but(Kernel *k, int64_t fetches, int64_t products);
Stmt *lt_stmt_commit(Kernel *k);
Stmt *lt_stmt_combine(Kernel *k, const Buffer *buffer, ScalarFn fn, int64_t width, int64_t apart);
Stmt *lt_stmt_scan(Kernel *k, const Buffer *buffer, const Buffer *total, ScalarFn fn, int64_t width,
                   int64_t apart);
/* Whether threads wait for each other in the list or inside of it: a barrier or a combine. */
bool lt_stmt_has_barrier(const Stmt *list);
/* Whether the list loads, stores or combines elements of the buffer. */
bool lt_stmt_uses(const Stmt *list, const Buffer *b);
/* Whether d is made of integer arguments alone, and so known before the kernel runs. */
bool lt_kernel_knows_dim(const Kernel *k, const Dim *d);
/* The first parallel loop, or NULL. */
const Stmt *lt_kernel_parallel_loop(const Kernel *k);
/* Whether a team runs the kernel: its parallel loops are not the whole body. */
bool lt_kernel_is_team(const Kernel *k);
/* Threads of a block: the greatest extent of its thread loops; 0: there is none, as on a CPU. */
int64_t lt_kernel_threads(const Kernel *k);
int64_t lt_stmt_threads(const Stmt *list); /* the same of a list */
/* The blocks of a launch: the product of the extents of the grid loops; 1 without any. */
const Dim *lt_kernel_blocks(Kernel *k);
/* A dim of k in the table t, with ints[i] for the integer argument i. */
const Dim *lt_kernel_export_dim(const Kernel *k, DimTable *t, const Dim *const *ints, const Dim *d);
/* The number of an element in the buffer, row-major. */
const Dim *lt_buffer_flat(DimTable *t, const Buffer *b, const Dim *const *index);
/* Each thread of a team or of a block has its own. */
static inline bool lt_buffer_is_private(const Buffer *b) {
    return b->kind > BUFFER_OUTPUT && b->kind != BUFFER_SHARED;
}
/* Where a SCRATCH buffer lies in the thread's memory, and a SHARED one in that of the first thread;
 * NULL: the end of them all. */
int64_t lt_kernel_scratch_offset(const Kernel *k, const Buffer *buffer);
/* On a GPU: scratch buffers become parameters behind the others, with a row for each thread of the
 * launch (ir/kernel_scratch.c). */
void lt_kernel_place_scratch(Kernel *k);
/* One of its own in every part, with the same variables. */
Kernel *lt_kernel_copy(const Kernel *k);
/* a followed by b (either may be NULL); returns the first of the joined list. */
Stmt *lt_stmt_join(Stmt *a, Stmt *b);
/* A deep copy of the list with symbols and buffers replaced; loops and lets inside get fresh
 * variables only where `by` says so (by[var] must then be a symbol). */
Stmt *lt_stmt_copy(Kernel *k, const Stmt *list, const Dim *const *by,
                   const Buffer *const *buffer_by);

/* --- text (ir/kernel_text.c), verifier (ir/kernel_verify.c), interpreter (ir/kernel_eval.c)  */

extern const char *const lt_buffer_kinds[]; /* the words for them, by BufferKind */
extern const char *const lt_kernel_class_names[KERNEL_CLASS_LIMIT]; /* by KernelClass */
/* kernel NAME(batch in 1..inf; in0: f32[batch, 64] in, out: f32[batch, 10] out) contract {
 *   parallel m in batch { alloc acc: f32[1] register ... acc[0] = fma(in0[m, k], w[k, n], acc[0]) }
 * } The grammar is in ir/kernel_text.c. with_name false leaves the name and locations out: kernels
 * that print alike are alike (deduplication). */
void lt_kernel_print(Str *out, const Kernel *k, bool with_name);
/* Reads the text form; NULL on error with a caret diagnostic. */
Kernel *lt_kernel_parse(Arena *arena, const char *text, size_t len, DiagList *diags);
/* Named rules: scopes, ranks, dtypes, parallel placement, constant extents, stack size, indices
 * provably out of range... False: one error (INTERNAL) a breach. */
bool lt_kernel_verify(const Kernel *k, DiagList *diags);

/* Runs [begin, end) with plain scalar semantics. buffers: one pointer a parameter; ints: one a
 * integer argument. Every access is bounds-checked; in a team's kernel, which runs as a whole, and
 * in one of blocks and threads, those of different iterations are checked for a barrier between
 * them. NULL, or the error (in the arena). */
const char *lt_kernel_eval(const Kernel *k, Arena *arena, void *const *buffers, const int64_t *ints,
                           int64_t begin, int64_t end);
/* The parallel loop's extent under ints; 1 without such a loop. */
int64_t lt_kernel_parallel_extent(const Kernel *k, const int64_t *ints);

#endif
