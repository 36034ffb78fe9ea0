/* pass.c - the runner: levels, limits, printing, timing and verifying, once for all passes. */
#include "passes/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const Pass lt_passes[] = {
#define PASS(name, suffix, scope, level, requires, ensures, doc) \
    {name, lt_pass_##suffix, PASS_##scope, level, requires, ensures, doc},
#include "passes/passes.def"
#undef PASS
};
const int lt_pass_count = (int)(sizeof lt_passes / sizeof *lt_passes);

const Pass *lt_pass_find(const char *name) {
    for (int i = 0; i < lt_pass_count; i++)
        if (strcmp(lt_passes[i].name, name) == 0)
            return &lt_passes[i];
    return NULL;
}

/* name is one of the comma-separated words of list, or list is "all". */
static bool listed(const char *list, const char *name) {
    size_t len = strlen(name);
    for (const char *p = list; p && *p; p += strcspn(p, ","), p += *p == ',') {
        size_t word = strcspn(p, ",");
        if (word == len && strncmp(p, name, len) == 0)
            return true;
        if (word == 3 && strncmp(p, "all", 3) == 0)
            return true;
    }
    return false;
}

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool lt_can_replace(const Value *from, const Value *to) {
    return !lt_value_is_output(from) || (to->def && !lt_value_is_output(to));
}

void lt_replace(Value *from, Value *to) {
    if (from->name && to->def && (!to->name || lt_value_is_output(from)))
        to->name = from->name;
    lt_value_replace(from, to);
}

void lt_pass_print(Str *out, const PassContext *ctx) {
    if (ctx->program)
        lt_program_print(out, ctx->program);
    else
        lt_module_print(out, ctx->module);
}

static void print_after(const Pass *pass, const PassContext *ctx, bool changed) {
    if (!changed) {
        printf("; after %s (unchanged)\n", pass->name);
        return;
    }
    Arena arena;
    lt_arena_init(&arena);
    Str text;
    lt_str_init(&text, &arena);
    lt_pass_print(&text, ctx);
    printf("; after %s\n%s\n", pass->name, text.text);
    lt_arena_free(&arena);
}

static bool verified(PassContext *ctx, const Pass *pass) {
    if (ctx->program) {
        for (size_t i = 0; i < ctx->program->kernels.len; i++)
            if (!lt_kernel_verify(ctx->program->kernels.data[i], &ctx->module->diags))
                return false;
        return true;
    }
    if (lt_module_verify(ctx->module))
        return true;
    lt_error(&ctx->module->diags, 70, NULL, "the IR is broken after pass '%s'", pass->name);
    return false;
}

typedef struct Timing {
    const char *name;
    double seconds;
    bool changed;
} Timing;

static void print_timings(const Timing *timings, int count) {
    double total = 0;
    for (int i = 0; i < count; i++)
        total += timings[i].seconds;
    fprintf(stderr, "%-14s %10s %7s\n", "pass", "ms", "share");
    for (int i = 0; i < count; i++)
        fprintf(stderr, "%-14s %10.2f %6.1f%%%s\n", timings[i].name, timings[i].seconds * 1e3,
                total > 0 ? timings[i].seconds / total * 100 : 0.0,
                timings[i].changed ? "" : "  (unchanged)");
    fprintf(stderr, "%-14s %10.2f\n", "total", total * 1e3);
}

static bool run_on_graph(PassContext *ctx, const Pass *pass, Graph *g) {
    bool changed = false;
    LT_EACH_NODE(n, g) {
        for (uint32_t i = 0; i < n->region_count && n->op != OP_FUSED; i++)
            changed |= run_on_graph(ctx, pass, n->regions[i]);
    }
    ctx->graph = g;
    changed |= pass->run(ctx);
    ctx->graph = NULL;
    return changed;
}

/* False when the pass reported an error, or left broken IR behind. */
static bool run_pass(PassContext *ctx, const Pass *pass, const PassOptions *options,
                     Timing *timing) {
    const char *stress = getenv("LT_STRESS");
    bool verify = options->verify || (stress && strcmp(stress, "1") == 0);
    double start = seconds_now();
    bool changed = pass->scope == PASS_MODULE ? pass->run(ctx)
                                              : run_on_graph(ctx, pass, ctx->module->main);
    double seconds = seconds_now() - start;
    *timing = (Timing){.name = pass->name, .seconds = seconds, .changed = changed};
    bool ok = ctx->module->diags.errors == 0 && (!verify || verified(ctx, pass));
    lt_arena_free(ctx->scratch);
    if (ok && listed(options->print_after, pass->name))
        print_after(pass, ctx, changed);
    if (options->after_pass)
        options->after_pass(options->user, pass, ctx, changed, seconds);
    if (changed && !ctx->program)
        lt_module_release_consts(ctx->module);
    return ok;
}

bool lt_passes_run(PassContext *ctx, const char *const *names, int count,
                   const PassOptions *options) {
    Arena timing_arena;
    lt_arena_init(&timing_arena);
    Timing *timings = LT_ARRAY(&timing_arena, Timing, count + 1);
    bool ok = true, stopped = false;
    int ran = 0;
    for (int i = 0; i < count && ok && !stopped; i++) {
        const Pass *pass = lt_pass_find(names[i]);
        if (!pass) {
            lt_error(&ctx->module->diags, 2, NULL, "there is no pass named '%s'", names[i]);
            ok = false;
            break;
        }
        stopped = options->stop_after && strcmp(options->stop_after, pass->name) == 0;
        if (pass->level > ctx->level || listed(options->disable, pass->name))
            continue;
        if (options->limit >= 0 && ran >= options->limit)
            break;
        if (options->before_pass)
            options->before_pass(options->user, pass, i, count);
        ok = run_pass(ctx, pass, options, &timings[ran++]);
    }
    if (options->time)
        print_timings(timings, ran);
    lt_arena_free(&timing_arena);
    return ok;
}
