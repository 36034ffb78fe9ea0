/* compile.h - the whole road in one object: model file, graph, passes, program, output. lathec and
 * lathe-dump drive it, lathe-run its first part (compile_read.c: what of this file needs no code
 * generator); include/lathe/compiler.h is its public face. */
#ifndef LATHE_TOOLS_COMPILE_H
#define LATHE_TOOLS_COMPILE_H

#include <setjmp.h>

#include "codegen/codegen.h"
#include "frontends/import.h"
#include "passes/pass.h"
#include "tools/cli.h"

typedef enum {
    EMIT_SO,
    EMIT_OBJ,
    EMIT_LIB,
    EMIT_IR,
    EMIT_KERNELS,
    EMIT_LLVM_IR,
    EMIT_ASM,
    EMIT_CUDA
} EmitKind;
#define EMIT_CHOICES "so|obj|lib|ir|kernels|llvm-ir|asm|cuda"

/* What the user may ask of a compilation; the fields that a table of options fills. */
typedef struct CompileOptions {
    const char *target, *cpu, *features;
    const char *weights;
    const char *schedule; /* path of a file with schedule text */
    const char *print_after, *stop_after, *disable;
    int64_t pass_limit; /* -1: all */
    int emit;           /* EmitKind */
    int level;
    int precision; /* Precision */
    CliList dims, inputs; /* NAME=N or NAME=LO..HI; NAME=1x3xHxW */
    bool o0, o1, o2, o3;
    bool cuda_jit;
    bool verify, time_passes, remarks, json, color, quiet, progress, no_debug_info;
} CompileOptions;

/* The rows that a tool takes which compiles only to run. */
#define COMPILE_LEVEL_ROWS(S, f) \
    CLI_ROW(S, f.o0, CLI_FLAG, "-O0", NULL, "naive kernels, no fusion"), \
        CLI_ROW(S, f.o1, CLI_FLAG, "-O1", NULL, \
                "graph passes and schedules, quick code generation"), \
        CLI_ROW(S, f.o2, CLI_FLAG, "-O2", NULL, "the default"), \
        CLI_ROW(S, f.o3, CLI_FLAG, "-O3", NULL, "more time in code generation"), \
        CLI_ROW(S, f.schedule, CLI_STRING, "--schedule", "FILE", \
                "use the schedule in FILE for every kernel", .advanced = true)
#define COMPILE_DISABLE_ROW(S, f) \
    CLI_ROW(S, f.disable, CLI_STRING, "--disable", "PASS[,PASS]", "leave passes out", \
            .words = "lathec --list-passes")

/* Rows for a tool's table: every option that changes what is compiled. `S` is the tool's struct,
 * `f` its CompileOptions field. */
#define COMPILE_ROWS(S, f) \
    CLI_HEADING("What is compiled"), \
        CLI_ROW(S, f.target, CLI_STRING, "--target", "NAME", \
                "a row of --list-targets, a triple for the least of its machines, or\n" \
                "cuda for NVIDIA's GPUs, cuda:sm_90 for one architecture: nvcc is\n" \
                "$LATHE_NVCC, or in PATH, $CUDA_HOME/bin or /usr/local/cuda/bin\n" \
                "(default: the best that this machine can run)", \
                .words = "lathec --list-targets"), \
        CLI_ROW(S, f.cuda_jit, CLI_FLAG, "--cuda-jit", NULL, \
                "compile kernels for GPUs when the model is loaded, by NVRTC,\n" \
                "and keep them in $XDG_CACHE_HOME/lathe; not now, by nvcc"), \
        CLI_ROW(S, f.cpu, CLI_STRING, "--cpu", "NAME", \
                "the CPU of a row of --list-targets, or native"), \
        CLI_ROW(S, f.features, CLI_WORDS, "--features", "+x,-y", \
                "what the CPU has besides, or lacks: --features +avx512vnni,-fma"), \
        CLI_ROW(S, f.dims, CLI_PAIR, "--dim", "NAME=N", \
                "fix a symbolic dim; NAME=LO..HI gives its range"), \
        CLI_ROW(S, f.inputs, CLI_PAIR, "--input", "NAME=SHAPE", \
                "the shape of an input: --input x=1x3xHxW; a name makes\n" \
                "an extent symbolic"), \
        CLI_ROW(S, f.precision, CLI_CHOICE, "--precision", "P", \
                "f32: results are as the model states (default). bf16, f16, and tf32\n" \
                "for GPUs from sm_80 on: operands of contractions and convolutions of\n" \
                "f32 are rounded to that, sums stay in f32, and tensor cores are used\n" \
                "where they can be; --remarks says where", \
                .choices = "f32|bf16|f16|tf32"), \
        COMPILE_LEVEL_ROWS(S, f), CLI_HEADING("Passes"), \
        CLI_ROW(S, f.print_after, CLI_STRING, "--print-after", "PASS[,PASS]", \
                "print the IR there; `all` for all", .words = "lathec --list-passes"), \
        CLI_ROW(S, f.stop_after, CLI_STRING, "--stop-after", "PASS", "stop there", \
                .words = "lathec --list-passes"), \
        COMPILE_DISABLE_ROW(S, f), \
        CLI_ROW(S, f.pass_limit, CLI_INT, "--pass-limit", "N", "run the first N passes only", \
                .min = -1, .max = 1000), \
        CLI_ROW(S, f.time_passes, CLI_FLAG, "--time-passes", NULL, \
                "a table of the passes' times on stderr"), \
        CLI_ROW(S, f.verify, CLI_FLAG, "--verify", NULL, "check the IR after every pass"), \
        CLI_ROW(S, f.remarks, CLI_FLAG, "--remarks", NULL, \
                "say why optimizations fired or did not")

typedef struct Compilation {
    const char *path;
    const CompileOptions *options;
    Arena arena, scratch;
    jmp_buf out_of_memory;
    DiagList *diags;
    PassContext ctx;
    size_t diags_printed;
    bool on_terminal; /* stderr: the progress line moves there */
    double started;   /* seconds */
    double read_seconds, pass_seconds, codegen_seconds;
    uint32_t nodes_read;
    OpCounts *ops; /* filled where the model is read; NULL: not wanted */
    /* Called after every pass; lathe-dump looks at the IR there. */
    void (*after_pass)(struct Compilation *c, const Pass *pass, bool changed, double seconds);
    void *user;
} Compilation;

/* Prepares c; path and options stay the caller's. Exit codes everywhere: 0, or what the process
 * should return, with all diagnostics printed on stderr. */
void lt_compile_init(Compilation *c, const char *path, const CompileOptions *options);
/* Calls body(c, user) and gives its exit code; when memory runs out in it, says so and gives 6. */
typedef int CompileBody(Compilation *c, void *user);
int lt_compile_guarded(Compilation *c, CompileBody *body, void *user);
/* Reads, runs the passes, writes. out may be NULL when options->stop_after ends before it. */
int lt_compile_run(Compilation *c, const char *out);
/* The first step alone, options checked and the target chosen: the module is in c->ctx.module. */
int lt_compile_read(Compilation *c);
/* Of that, the model's part: --dim, --input, and the file. */
int lt_compile_import(Compilation *c);
/* Chooses what the suffix of `out` says; so when it says nothing. */
int lt_emit_kind(const char *out);
/* Whether this kind is made of machine code: a file, not text. */
static inline bool lt_emit_is_binary(int kind) {
    return kind == EMIT_SO || kind == EMIT_OBJ || kind == EMIT_LIB;
}
/* --emit obj and lib: `out`, and the header beside it. */
bool lt_compile_static(Compilation *c, CodegenOptions *codegen, const char *out);
/* --emit cuda: the text, and the weights in a file of their own (--weights, or `out` with .weights
 * for its suffix). */
bool lt_compile_cuda(Compilation *c, CodegenOptions *codegen, const char *out, Str *text);
/* OUT with .h for its suffix: the header. In the arena. */
const char *lt_header_path(Arena *arena, const char *out);
/* The named passes, or the pipeline when names is NULL. */
int lt_compile_passes(Compilation *c, const char *const *names, int count);
int lt_compile_emit(Compilation *c, const char *out);
/* Prints what was not printed yet; the exit code that follows from it. */
int lt_compile_report(Compilation *c);
/* The same at the end of a step; after a bug in the compiler it writes a reproducer, too. */
int lt_compile_finish(Compilation *c);
/* Moves the progress line, where there is one. */
void lt_compile_progress(const Compilation *c, const char *what, int done, int total);
/* The target that these options name, in c's arena if it is no row of the table; c->ctx.target. An
 * exit code. */
int lt_compile_target(Compilation *c);
/* An error that is not of the model: printed as all diagnostics are. Gives the status's exit code.
 */
int lt_compile_fail(Compilation *c, const char *file, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void lt_compile_stats(Compilation *c, const char *out, FILE *stream);
void lt_compile_free(Compilation *c);
double lt_seconds_now(void);

#endif
