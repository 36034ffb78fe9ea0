/* pass.h - what a pass sees, and the runner that does for all of them what no pass does for itself.
 */
#ifndef LATHE_PASSES_PASS_H
#define LATHE_PASSES_PASS_H

#include "ir/graph.h"
#include "ir/program.h"
#include "ir/target.h"

/* What operands of products of f32 are rounded to; sums stay in f32. */
typedef enum {
    PRECISION_STATED, /* f32: results are as the model states */
    PRECISION_BF16,
    PRECISION_F16,
    PRECISION_TF32,
    PRECISION_LIMIT
} Precision;
extern const char *const lt_precision_names[PRECISION_LIMIT];

typedef struct PassContext {
    Module *module;
    Graph *graph; /* of a branch or a loop's body; NULL: the main graph */
    const Target *target;
    int level;                     /* -O0 .. -O3 */
    Precision precision;
    Arena *scratch;                /* emptied after every pass */
    Program *program;              /* set by `lower`; passes after it work on this */
    const char *schedule_override; /* text of --schedule, or NULL */
} PassContext;

/* The graph that the pass works on. */
static inline Graph *lt_pass_graph(const PassContext *ctx) {
    return ctx->graph ? ctx->graph : ctx->module->main;
}

/* Returns whether it changed anything. Errors go to module->diags. */
typedef bool PassFn(PassContext *ctx);

/* How a pass meets the graphs of branches and loops: it runs on each of them, inner ones first, or
 * it takes the module as a whole. */
typedef enum { PASS_GRAPHS, PASS_MODULE } PassScope;

typedef struct Pass {
    const char *name;
    PassFn *run;
    PassScope scope;
    int level;                      /* runs at -O level and above */
    const char *requires, *ensures; /* property names, for people and the verifier */
    const char *doc;                /* one line */
} Pass;

extern const Pass lt_passes[]; /* rows of passes/passes.def */
extern const int lt_pass_count;
const Pass *lt_pass_find(const char *name);

typedef struct PassOptions {
    const char *print_after; /* comma-separated names, "all", or NULL */
    const char *stop_after;  /* name, or NULL */
    const char *disable;     /* comma-separated names, or NULL */
    int64_t limit;           /* number of passes to run; -1: all */
    bool verify;             /* after every pass (always on under LT_STRESS=1) */
    bool time;               /* print a table of seconds when done */
    /* Called before and after each pass; may be NULL. after_pass: text printing, dumps, bisecting.
     */
    void (*before_pass)(void *user, const Pass *pass, int index, int count);
    void (*after_pass)(void *user, const Pass *pass, PassContext *ctx, bool changed,
                       double seconds);
    void *user;
} PassOptions;

/* Runs the given list (names) in order. False when a pass reported an error or the verifier found a
 * breach. */
bool lt_passes_run(PassContext *ctx, const char *const *names, int count,
                   const PassOptions *options);
/* Outputs of the model are known by their values' names. `from` may be replaced by `to`: not where
 * both are outputs, nor an output by an input. */
bool lt_can_replace(const Value *from, const Value *to);
/* Puts `to` in the place of `from`, and gives it the name that people know. */
void lt_replace(Value *from, Value *to);
/* The text of what ctx holds now: the program once it is lowered, else the graph. */
void lt_pass_print(Str *out, const PassContext *ctx);
/* passes/pipeline.c: the ordered list; the runner leaves out what the level does not ask for. */
const char *const *lt_pipeline(int *count);

/* The passes: one function a row of passes.def. */
#define PASS(name, suffix, scope, level, requires, ensures, doc) PassFn lt_pass_##suffix;
#include "passes/passes.def"
#undef PASS

#endif
