/* llvm.h - what the files of codegen/llvm share. The only folder that includes llvm-c.
 *
 * A Unit is one LLVM module in a context of its own, so that units may be built in different
 * threads. An Emitter turns one kernel into a function of a unit. Values are scalars, or vectors
 * with a lane for each iteration of the vector loop that is being emitted; what does not depend on
 * the lane stays scalar until a vector is needed. */
#ifndef LATHE_CODEGEN_LLVM_LLVM_H
#define LATHE_CODEGEN_LLVM_LLVM_H

#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>
#include <llvm-c/TargetMachine.h>

#include "codegen/codegen.h"

enum { LT_MAX_LANES = 64 };

typedef struct Unit {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTargetMachineRef machine;
    LLVMTypeRef void_type, i1, i8, i16, i32, i64, half, f32, f64, ptr;
    LLVMTypeRef kernel_type; /* of an LtKernelFn */
    LLVMTypeRef team_type;   /* of an LtTeamFn */
    LLVMValueRef zeros;      /* bytes that a load whose predicate is false reads */
    const Target *target;
    const CodegenOptions *options;
    Arena *arena;
    bool has_fma, has_f16, has_rounding;
    bool needs_libm;
    LLVMDIBuilderRef debug; /* NULL: no debug info */
} Unit;

/* A symbol of the kernel while its scope is open. */
typedef struct Binding {
    LLVMValueRef scalar; /* i64; NULL while only `vector` is there */
    LLVMValueRef vector; /* <lanes x i64>: a LET in a vector loop */
    int depth;           /* loops around its definition */
} Binding;

typedef struct MemoUndo {
    const Dim *dim;
    LLVMValueRef before;
} MemoUndo;

typedef struct Emitter {
    Unit *unit;
    LLVMBuilderRef b;
    const Kernel *kernel;
    Arena *arena;
    DimTable dims; /* a fork of the kernel's, so that emission does not write to the kernel */
    LLVMValueRef function, begin, end, scratch, shared;
    LLVMValueRef team;       /* the LtTeam; NULL: not a team's kernel */
    LLVMBasicBlockRef entry; /* allocas; ends with a branch to the body */
    LLVMValueRef *bases;     /* by buffer index */
    bool *lane_copies;       /* by buffer index: a local with an element for each lane */
    LLVMValueRef sink;       /* where stores of masked lanes go, made on demand */
    Binding *bindings;       /* by symbol */
    const Dim **replaced;    /* by symbol: a constant while a loop is unrolled */
    bool any_replaced;
    int depth;
    int lanes; /* 0: not in a vector loop */
    const Dim *lane_var;
    int lane;          /* the lane that scalar code is emitted for, -1: none */
    LLVMValueRef mask; /* <lanes x i1>; NULL: all lanes run */
    Map memo;          /* Dim -> LLVMValueRef, for the blocks that dominate */
    Vec(MemoUndo) undo;
    LLVMValueRef *values; /* by expression, of the statement that is being emitted */
    uint32_t *value_stamps;
    uint32_t stamp;
    LLVMMetadataRef scope; /* debug info */
    Map lines;             /* Stmt -> its line in the kernel's text */
} Emitter;

/* --- module.c --- */

Unit *lt_unit_new(Arena *arena, const CodegenOptions *o, const char *name, DiagList *diags);
void lt_unit_free(Unit *u);
LLVMValueRef lt_unit_declare_kernel(Unit *u, const Kernel *k, const char *symbol, bool is_hidden);
void lt_unit_emit_kernel(Unit *u, const Kernel *k, const char *symbol, bool is_hidden);

/* Nothing where the kernel is not a team's, or one thread runs it. */
void lt_emit_barrier(Emitter *e);

/* --- types.c --- */

/* In registers a bool is an i1, and f16 and bf16 are floats whose value is exact in the narrow
 * type. */
LLVMTypeRef lt_register_type(const Unit *u, DType dtype);
LLVMTypeRef lt_memory_type(const Unit *u, DType dtype);
LLVMTypeRef lt_vector_of(LLVMTypeRef scalar, int lanes);
static inline bool lt_is_vector(LLVMValueRef v) {
    return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
}
LLVMTypeRef lt_scalar_type(LLVMTypeRef type);
/* `scalar`, or the vector of it with the lanes of `shape`. */
LLVMTypeRef lt_type_like(LLVMTypeRef scalar, LLVMValueRef shape);
LLVMValueRef lt_const_int_like(LLVMTypeRef type, int64_t value);
LLVMValueRef lt_const_float_like(LLVMTypeRef type, double value);
LLVMValueRef lt_splat(LLVMBuilderRef b, LLVMValueRef scalar, int lanes);
/* All to vectors when one of them is. */
void lt_unify(LLVMBuilderRef b, LLVMValueRef *values, int count);
LLVMValueRef lt_from_memory(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype);
LLVMValueRef lt_to_memory(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype);
/* --- minifloat.c: floats of 8 bits and fewer, i8 codes to f32 and back --- */

LLVMValueRef lt_unpack_minifloat(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype);
LLVMValueRef lt_pack_minifloat(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype);

/* v rounded to what dtype can hold; integers of fewer bits than a byte wrap. */
LLVMValueRef lt_round_to(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType dtype);
LLVMValueRef lt_convert(Unit *u, LLVMBuilderRef b, LLVMValueRef v, DType from, DType to);

/* --- dims.c --- */

typedef enum { LANES_UNIFORM, LANES_AFFINE, LANES_ANY } LaneForm;

/* d under the unrolled loops' constants. */
const Dim *lt_dim_now(Emitter *e, const Dim *d);
/* How d (from lt_dim_now) depends on the lane; AFFINE: *stride is what a lane adds, itself uniform.
 */
LaneForm lt_lane_form(Emitter *e, const Dim *d, const Dim **stride);
/* d with the lane variable replaced by a constant. */
const Dim *lt_dim_at_lane(Emitter *e, const Dim *d, int lane);
LLVMValueRef lt_emit_dim(Emitter *e, const Dim *d); /* i64; d uniform */
/* d for all lanes, of integer type `scalar`; a scalar when d is uniform. */
LLVMValueRef lt_emit_lanes(Emitter *e, const Dim *d, LLVMTypeRef scalar);
/* Opens a lane: scalar code for it may read vector bindings. Returns what lt_scope_close takes. */
size_t lt_scope_open(Emitter *e);
void lt_scope_close(Emitter *e, size_t mark);
LLVMValueRef lt_emit_address(Emitter *e, LLVMValueRef base, LLVMTypeRef element, const Dim *flat);

/* --- vector.c: loads, stores, masks --- */

LLVMValueRef lt_emit_load(Emitter *e, const Expr *x);
/* As memory has it: before lt_from_memory. */
LLVMValueRef lt_emit_load_bits(Emitter *e, const Expr *x);
void lt_emit_store(Emitter *e, const Buffer *buffer, const Dim *const *index, LLVMValueRef value);
void lt_emit_prefetch(Emitter *e, const Buffer *buffer, const Dim *const *index);
LLVMValueRef lt_mask_and(Emitter *e, LLVMValueRef a, LLVMValueRef b); /* either may be NULL */
LLVMValueRef lt_ramp(Unit *u, LLVMTypeRef scalar, int lanes);

/* Number of the element in its buffer, under the unrolled loops' constants. */
const Dim *lt_flat_index(Emitter *e, const Buffer *buffer, const Dim *const *index);

/* --- transpose.c: squares that are read one way and written the other --- */

enum { TRANSPOSED_SIDE = 16, TRANSPOSED_LOADS = 4 };

typedef struct TransposedTile {
    const Stmt *rows, *lanes, *store;
    const Expr *condition; /* around the store; NULL: none */
    const Expr *loads[TRANSPOSED_LOADS];
    int load_count;
} TransposedTile;

/* Whether an unrolled loop is such a square. */
bool lt_transposed_match(Emitter *e, const Stmt *s, TransposedTile *tile);
/* i1: the condition holds for all of it; NULL: there is none. */
LLVMValueRef lt_transposed_is_full(Emitter *e, const TransposedTile *tile);
void lt_transposed_emit(Emitter *e, const TransposedTile *tile);

/* A condition split into what is cheap to test for all lanes at once. */
typedef struct LaneTest {
    LLVMValueRef mask; /* <lanes x i1>; NULL: no lane differs from another */
    LLVMValueRef all;  /* i1: every lane passes */
    LLVMValueRef any;  /* i1: false only if no lane passes */
} LaneTest;
LaneTest lt_emit_lane_test(Emitter *e, const Expr *condition);
/* An order of two index expressions as i1 or, cheaply, as a mask; NULL: x is none. */
LLVMValueRef lt_emit_order(Emitter *e, const Expr *x);

/* --- expr.c, scalar.c --- */

LLVMValueRef lt_emit_expr(Emitter *e, const Expr *x);
/* Forgets the values of the statement before. */
void lt_expr_new_statement(Emitter *e);
/* The statement's value of x is known already. */
void lt_expr_preset(Emitter *e, const Expr *x, LLVMValueRef value);

typedef struct ScalarCall {
    Unit *unit;
    LLVMBuilderRef b;
    ScalarFn fn;
    DType dtype; /* of the operands (SELECT: of the last two) */
    LLVMValueRef v[3];
} ScalarCall;

LLVMValueRef lt_emit_scalar(Unit *u, LLVMBuilderRef b, ScalarFn fn, DType dtype,
                            LLVMValueRef *args);
/* llvm.NAME on the type of args[0]. */
LLVMValueRef lt_intrinsic(Unit *u, LLVMBuilderRef b, const char *name, LLVMValueRef *args,
                          unsigned count);
LLVMValueRef lt_intrinsic_at(Unit *u, LLVMBuilderRef b, const char *name, LLVMTypeRef *types,
                             unsigned type_count, LLVMValueRef *args, unsigned count);

/* --- math*.c: polynomials on f32; f64 calls the C library --- */

/* What a math function sees: f32 operands, scalar or vector alike. */
typedef struct MathCall {
    Unit *unit;
    LLVMBuilderRef b;
    LLVMTypeRef type, int_type; /* of the operands; i32 of the same shape */
} MathCall;

/* A float function outside the arithmetic ones; `dtype` F32 or F64. NULL: fn is not among them. */
LLVMValueRef lt_emit_math(Unit *u, LLVMBuilderRef b, ScalarFn fn, LLVMValueRef *args,
                          bool is_double);
/* MATH rows on integers, and the float ones made of a few instructions. NULL: fn is not among them.
 */
LLVMValueRef lt_emit_integer_math(const ScalarCall *c);

/* --- stmt.c, debug.c, optimize.c --- */

void lt_emit_stmts(Emitter *e, const Stmt *list);

void lt_debug_begin(Unit *u, const char *name);
void lt_debug_kernel(Emitter *e, const char *symbol);
void lt_debug_line(Emitter *e, const Stmt *s);
void lt_debug_end(Unit *u);

LLVMTargetMachineRef lt_target_machine(const CodegenOptions *o, DiagList *diags);
bool lt_optimize(Unit *u, DiagList *diags);
bool lt_emit_object(Unit *u, ObjectCode *out, DiagList *diags);
bool lt_emit_text(Unit *u, CodegenText kind, Str *out, DiagList *diags);

/* --- host.c --- */

/* The descriptor, the shape functions and run(). kernels: the functions, in the program's order. */
bool lt_unit_emit_host(Unit *u, const Program *p, const LLVMValueRef *kernels, DiagList *diags);

#endif
