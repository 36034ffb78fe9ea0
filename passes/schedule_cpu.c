/* schedule_cpu.c - chooses a schedule for a kernel: its class and how its loops walk memory pick a
 * row of schedules.def, the target and the extents fill in the numbers. */
#include "passes/schedule_nest.h"

#include <assert.h>
#include <string.h>

static ScheduleRow choose_fold(Nest *nest) {
    enum { LEAST_COLUMNS = 4 };
    int lanes = lt_nest_lanes(nest);
    const Stmt *last = nest->loop_count ? nest->loops[nest->loop_count - 1] : NULL;
    const Stmt *k = nest->fold_count ? nest->folds[nest->fold_count - 1] : NULL;
    if (last && lt_loop_reaches(last, LEAST_COLUMNS) && lt_nest_walks(nest, last, true) &&
        lt_nest_walks(nest, last, false)) {
        nest->v = last;
        return lt_choose_columns(nest);
    }
    const KernelClass class = nest->kernel->class;
    if (k && (class == KERNEL_REDUCE || class == KERNEL_CONV) && lt_nest_walks(nest, k, false) &&
        lt_loop_reaches(k, lanes))
        return SCHEDULE_LANES;
    return SCHEDULE_PLAIN;
}

/* Each load runs along v (or stands still), or across it and along u; and there is one of these. */
static bool fits_transpose(const Nest *nest, const Expr *e, const Stmt *u, bool *found) {
    if (e->kind == EXPR_LOAD) {
        const Dim *along_v = lt_load_stride(nest->kernel, e, nest->v->u.loop.var);
        const Dim *along_u = lt_load_stride(nest->kernel, e, u->u.loop.var);
        if (e->u.load.predicate || !along_v || !along_u)
            return false;
        if (lt_dim_is(along_v, 0) || lt_dim_is(along_v, 1))
            return true;
        *found = true;
        return lt_dim_is(along_u, 1);
    }
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        if (e->u.call.args[i] && !fits_transpose(nest, e->u.call.args[i], u, found))
            return false;
    return true;
}

/* The loop that makes squares with v; NULL: there is none. */
static const Stmt *find_across(const Nest *nest) {
    const Stmt *store = nest->v->u.loop.body;
    const int lanes = lt_nest_lanes(nest);
    if (!store || store->kind != STMT_STORE || store->next)
        return NULL;
    for (int i = nest->loop_count - 2; i >= 0; i--) {
        bool found = false;
        if (lt_loop_reaches(nest->loops[i], lanes) &&
            fits_transpose(nest, store->u.store.value, nest->loops[i], &found) && found)
            return nest->loops[i];
    }
    return NULL;
}

static ScheduleRow choose_map(Nest *nest) {
    enum { LEAST_VECTOR = 4 };
    const Stmt *last = nest->loops[nest->loop_count - 1];
    nest->v = last;
    if (!lt_loop_reaches(last, lt_nest_lanes(nest)))
        return last->u.loop.extent->value >= LEAST_VECTOR ? SCHEDULE_SHORT : SCHEDULE_PLAIN;
    nest->u = find_across(nest);
    if (nest->u)
        return SCHEDULE_TRANSPOSE;
    return nest->loop_count == 1 ? SCHEDULE_FLAT : SCHEDULE_NEST;
}

static const char *choose(Nest *nest) {
    if (lt_target_is_gpu(nest->target))
        return lt_choose_gpu(nest);
    Str out;
    lt_str_init(&out, nest->kernel->arena);
    switch (nest->kernel->class) {
    case KERNEL_MAP: return nest->loop_count ? lt_schedule_fill(nest, choose_map(nest)) : "";
    case KERNEL_REDUCE:
    case KERNEL_WINDOW: return lt_schedule_fill(nest, choose_fold(nest));
    case KERNEL_CONTRACT:
        return nest->loop_count && nest->fold_count ? lt_schedule_fill(nest, lt_choose_tile(nest))
                                                    : "";
    case KERNEL_CONV: {
        bool over_channels = strcmp(nest->folds[nest->fold_count - 1]->u.loop.var->name, "c") == 0;
        return lt_schedule_fill(nest, over_channels ? lt_choose_tile(nest) : choose_fold(nest));
    }
    case KERNEL_ROWS:
        lt_schedule_rows(nest, &out);
        lt_str_append(&out, lt_schedule_fill(nest, SCHEDULE_PLAIN));
        return out.text;
    case KERNEL_WINOGRAD: return lt_choose_winograd(nest);
    case KERNEL_ATTENTION: return lt_choose_attention(nest);
    case KERNEL_CLASS_LIMIT: break;
    case KERNEL_SERIAL: lt_schedule_steps(nest, &out); return out.text;
    }
    return "";
}

void lt_schedule_kernel(PassContext *ctx, Kernel *kernel) {
    if (ctx->level == 0)
        return;
    const char *error = NULL, *text = ctx->schedule_override;
    if (!text) {
        Nest nest = {.kernel = kernel, .target = ctx->target};
        lt_nest_read(&nest);
        if (kernel->class == KERNEL_CONV && nest.fold_count &&
            strcmp(nest.folds[nest.fold_count - 1]->u.loop.var->name, "c") == 0) {
            const char *fused = lt_fuse_positions(&nest);
            error = lt_schedule_apply(kernel, fused);
            assert(!error && "the positions of a convolution are adjacent loops");
            nest = (Nest){.kernel = kernel, .target = ctx->target};
            lt_nest_read(&nest);
        }
        text = choose(&nest);
        if (nest.why_no_mma)
            lt_remark(&ctx->module->diags, kernel->loc, "schedule: %s: no tensor cores: %s",
                      kernel->name, nest.why_no_mma);
    }
    error = lt_schedule_apply(kernel, text);
    if (!error)
        return;
    lt_error(&ctx->module->diags, ctx->schedule_override ? 2 : 70, kernel->loc, "schedule '%s': %s",
             text, error);
}
