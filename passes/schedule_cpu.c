/* schedule_cpu.c - chooses a schedule for a kernel: its class and how its loops walk memory pick a
 * row of schedules.def, the target and the extents fill in the numbers. */
#include "passes/lower.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "ir/schedule.h"

typedef enum {
#define SCHEDULE(e, text) SCHEDULE_##e,
#include "passes/schedules.def"
#undef SCHEDULE
    SCHEDULE_LIMIT
} ScheduleRow;

static const char *const schedule_text[SCHEDULE_LIMIT] = {
#define SCHEDULE(e, text) [SCHEDULE_##e] = text,
#include "passes/schedules.def"
#undef SCHEDULE
};

enum { MAX_LOOPS = 16, PACKED_PANELS = 16, LEAST_PACKED_ROWS = 4 };

/* What a choice is made from. */
typedef struct Nest {
    Kernel *kernel;
    const Target *target;
    const Stmt *loops[MAX_LOOPS]; /* output loops, outermost first */
    int loop_count;
    const Stmt *folds[MAX_LOOPS]; /* folding loops, outermost first */
    int fold_count;
    const Stmt *m, *n, *v, *u, *p; /* roles; NULL: none */
    const char *a, *b;             /* the operands that m and n walk; NULL: not simply loaded */
    int mr, nr, mc;
} Nest;

/* --- reading the nest ---------------------------------------------------------------------------
 */

static void find_folds(Nest *nest, const Stmt *list) {
    for (const Stmt *s = list; s && nest->fold_count == 0; s = s->next) {
        const Stmt *inner = s;
        while (inner && (inner->kind == STMT_FOR || inner->kind == STMT_IF) &&
               nest->fold_count < MAX_LOOPS) {
            if (inner->kind == STMT_FOR)
                nest->folds[nest->fold_count++] = inner;
            inner = inner->kind == STMT_FOR ? inner->u.loop.body : inner->u.branch.body;
        }
    }
}

static void read_nest(Nest *nest) {
    const Stmt *s = nest->kernel->body;
    while (s && s->kind == STMT_FOR && !s->next && nest->loop_count < MAX_LOOPS) {
        nest->loops[nest->loop_count++] = s;
        s = s->u.loop.body;
    }
    find_folds(nest, s);
}

/* --- how a loop walks memory --------------------------------------------------------------------
 */

/* Steps of 0, 1, or anything else that every access makes when `var` grows by one, as a set of
 * bits. */
enum { STEP_NONE = 1, STEP_ONE = 2, STEP_OTHER = 4 };

static int access_step(Kernel *k, const Buffer *buffer, const Dim *const *index, const Dim *var) {
    int step = STEP_NONE;
    for (int i = 0; i < buffer->rank; i++) {
        if (!lt_dim_mentions(index[i], var))
            continue;
        const Dim *rest = lt_dim_sub(&k->dims, index[i], var);
        bool unit = !lt_dim_mentions(rest, var);
        bool last = i == buffer->rank - 1;
        /* The panels of a packed operand: n floordiv p, ..., n mod p walks like n within a panel.
         */
        bool within_panel = index[i]->kind == DIM_MOD && last && index[i]->args[0] == var;
        bool panel_number = index[i]->kind == DIM_FLOORDIV && index[i]->args[0] == var && !last;
        if (panel_number)
            continue;
        step |= last && (unit || within_panel) ? STEP_ONE : STEP_OTHER;
    }
    return step == STEP_NONE ? STEP_NONE : step & ~STEP_NONE;
}

static int expr_step(Kernel *k, const Expr *e, const Dim *var) {
    if (e->kind == EXPR_LOAD) {
        bool local = e->u.load.buffer->kind > BUFFER_OUTPUT;
        return local ? 0 : access_step(k, e->u.load.buffer, e->u.load.index, var);
    }
    int steps = 0;
    if (e->kind == EXPR_CALL || e->kind == EXPR_CONVERT)
        for (int i = 0; i < 3; i++)
            if (e->u.call.args[i])
                steps |= expr_step(k, e->u.call.args[i], var);
    return steps;
}

/* Loads only (stores false), or stores only. */
static int list_step(Kernel *k, const Stmt *list, const Dim *var, bool stores) {
    int steps = 0;
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR)
            steps |= list_step(k, s->u.loop.body, var, stores);
        if (s->kind == STMT_IF) {
            steps |= list_step(k, s->u.branch.body, var, stores);
            steps |= list_step(k, s->u.branch.otherwise, var, stores);
        }
        if (s->kind == STMT_LET && !stores)
            steps |= expr_step(k, s->u.let.value, var);
        if (s->kind != STMT_STORE)
            continue;
        if (!stores)
            steps |= expr_step(k, s->u.store.value, var);
        if (stores && s->u.store.buffer->kind == BUFFER_OUTPUT)
            steps |= access_step(k, s->u.store.buffer, s->u.store.index, var);
    }
    return steps;
}

static bool walks_contiguously(Nest *nest, const Stmt *loop, bool stores) {
    int steps = list_step(nest->kernel, loop->u.loop.body, loop->u.loop.var, stores);
    return !(steps & STEP_OTHER) && (!stores || steps & STEP_ONE);
}

/* At least `least` iterations, as far as is known. */
static bool extent_reaches(const Stmt *loop, int64_t least) {
    return !lt_dim_is_const(loop->u.loop.extent) || loop->u.loop.extent->value >= least;
}

/* --- filling in a row ---------------------------------------------------------------------- */

static int lanes_of(const Nest *nest) {
    size_t bytes = 4;
    for (size_t i = 0; i < nest->kernel->param_count; i++) {
        const Buffer *b = nest->kernel->buffers.data[i];
        if (b->kind == BUFFER_OUTPUT && lt_dtype_size(b->dtype) > bytes)
            bytes = lt_dtype_size(b->dtype);
    }
    return lt_target_lanes(nest->target, (int)bytes);
}

static void append_outer(Str *out, const Nest *nest) {
    for (int i = 0; i < nest->loop_count; i++) {
        const Stmt *s = nest->loops[i];
        if (s != nest->m && s != nest->n && s != nest->v && s != nest->u)
            lt_str_printf(out, "%s ", s->u.loop.var->name);
    }
}

static const char *name_of(const Stmt *loop) { return loop ? loop->u.loop.var->name : NULL; }

static void append_word(Str *out, const Nest *nest, const char *word, size_t len) {
    const Stmt *k = nest->fold_count ? nest->folds[nest->fold_count - 1] : NULL;
    const struct {
        const char *name, *text;
        int number;
    } words[] = {
        {"m", name_of(nest->m), 0},
        {"n", name_of(nest->n), 0},
        {"v", name_of(nest->v), 0},
        {"u", name_of(nest->u), 0},
        {"p", name_of(nest->p), 0},
        {"k", name_of(k), 0},
        {"a", nest->a, 0},
        {"b", nest->b, 0},
        {"mr", NULL, nest->mr},
        {"nr", NULL, nest->nr},
        {"mc", NULL, nest->mc},
        {"np", NULL, PACKED_PANELS},
        {"lanes", NULL, lanes_of(nest)},
        {"lanes2", NULL, 2 * lanes_of(nest)},
        {"lanes4", NULL, 4 * lanes_of(nest)},
        {"chunk", NULL, 16384},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].name) != len || strncmp(words[i].name, word, len) != 0)
            continue;
        if (words[i].text)
            lt_str_append(out, words[i].text);
        else
            lt_str_printf(out, "%d", words[i].number);
        return;
    }
    append_outer(out, nest);
}

/* `join a b c` is `fuse a b; fuse a_b c`; `parallel` names what join made. */
static void append_joined(Str *out, Arena *arena, char *names) {
    const char *joined = NULL;
    for (char *save, *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
        if (joined)
            lt_str_printf(out, "; fuse %s %s", joined, name);
        joined = joined ? lt_arena_printf(arena, "%s_%s", joined, name) : name;
    }
    if (joined)
        lt_str_printf(out, "; parallel %s", joined);
}

static const char *fill_in(const Nest *nest, ScheduleRow row) {
    Arena *arena = nest->kernel->arena;
    Str filled, out;
    lt_str_init(&filled, arena);
    for (const char *p = schedule_text[row]; *p; p++) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (!end) {
            lt_str_char(&filled, *p);
            continue;
        }
        append_word(&filled, nest, p + 1, (size_t)(end - p - 1));
        p = end;
    }
    lt_str_init(&out, arena);
    for (char *save, *part = strtok_r(filled.text, ";", &save); part;
         part = strtok_r(NULL, ";", &save)) {
        part += strspn(part, " ");
        if (lt_str_starts(part, "join"))
            append_joined(&out, arena, part + strlen("join"));
        else if (lt_str_starts(part, "prefetch") && !nest->b)
            continue;
        else if (lt_str_starts(part, "parallel") && row == SCHEDULE_FLAT)
            lt_str_printf(&out, "; parallel %s.0", nest->v->u.loop.var->name);
        else if (!lt_str_starts(part, "parallel"))
            lt_str_printf(&out, "; %s", part);
    }
    return out.len ? out.text + 2 : "";
}

/* --- choosing a row ------------------------------------------------------------------------ */

/* Rows of the left operand that fit half of L2, a multiple of the tile's. */
static int rows_in_cache(const Nest *nest) {
    int64_t row_bytes = (int64_t)sizeof(float);
    for (int i = 0; i < nest->fold_count; i++) {
        /* The taps of a convolution read overlapping rows: only its channels count. */
        bool tap = nest->kernel->class == KERNEL_CONV && i + 1 < nest->fold_count;
        const Dim *extent = nest->folds[i]->u.loop.extent;
        if (!tap)
            row_bytes *= lt_dim_is_const(extent) && extent->value > 0 ? extent->value : 512;
    }
    int64_t rows = nest->target->l2_bytes / 2 / row_bytes / nest->mr * nest->mr;
    int64_t least = 8 * nest->mr, most = 64 * nest->mr;
    return (int)(rows < least ? least : rows > most ? most : rows);
}

/* What one step of `var` is in elements of the buffer; NULL: it depends on where one is. */
static const Dim *stride_of(Kernel *k, const Expr *load, const Dim *var) {
    DimTable *t = &k->dims;
    const Dim *flat = lt_dim_const(t, 0), **by = lt_schedule_substitution(k);
    const Buffer *b = load->u.load.buffer;
    for (int i = 0; i < b->rank; i++)
        flat = lt_dim_add(t, lt_dim_mul(t, flat, b->dims[i]), load->u.load.index[i]);
    by[var->symbol] = lt_dim_add_const(t, var, 1);
    const Dim *stride = lt_dim_sub(t, lt_dim_substitute(t, flat, by), flat);
    return lt_dim_mentions(stride, var) ? NULL : stride;
}

/* What the innermost fold loads from a parameter along one loop of the tile alone, or NULL. */
static const Expr *operand_along(const Expr *e, const Dim *along, const Dim *not_along) {
    const Expr *found = NULL;
    if (e->kind == EXPR_LOAD)
        return e->u.load.buffer->kind == BUFFER_INPUT && lt_expr_mentions(e, along) &&
                       !lt_expr_mentions(e, not_along)
                   ? e
                   : NULL;
    for (int i = 0; i < 3 && (e->kind == EXPR_CALL || e->kind == EXPR_CONVERT) && !found; i++)
        if (e->u.call.args[i])
            found = operand_along(e->u.call.args[i], along, not_along);
    return found;
}

/* Sets nest->a and nest->b where the fold is one plain update. */
static const Expr *find_operands(Nest *nest) {
    const Stmt *update = nest->folds[nest->fold_count - 1]->u.loop.body;
    const Dim *m = nest->m->u.loop.var, *n = nest->n->u.loop.var;
    if (!update || update->kind != STMT_STORE || update->next)
        return NULL;
    const Expr *a = operand_along(update->u.store.value, m, n);
    const Expr *b = operand_along(update->u.store.value, n, m);
    nest->a = a ? a->u.load.buffer->name : NULL;
    const bool moves_on = nest->p || extent_reaches(nest->n, nest->nr + 1);
    nest->b = b && moves_on ? b->u.load.buffer->name : NULL;
    if (a && b && a->u.load.buffer == b->u.load.buffer)
        nest->a = nest->b = NULL; /* one tensor with itself */
    return nest->a ? a : NULL;
}

/* Rows of the left operand that meet in the same sets of L1: a tile's rows throw each other out. */
static bool rows_collide(Nest *nest, const Expr *a) {
    enum { SET_BYTES = 4096 }; /* what L1's sets cover: 64 of 64 bytes on every target */
    Kernel *k = nest->kernel;
    const Stmt *fold = nest->folds[nest->fold_count - 1];
    int64_t lo, most;
    lt_dim_range(&k->dims, fold->u.loop.extent, &lo, &most);
    if (!a || nest->fold_count != 1 || most > SET_BYTES)
        return false;
    const Dim *stride = stride_of(k, a, nest->m->u.loop.var);
    return stride && lt_dim_is_const(stride) && stride->value &&
           stride->value * (int64_t)lt_dtype_size(a->dtype) % SET_BYTES == 0 &&
           nest->mr > LEAST_PACKED_ROWS && extent_reaches(nest->n, 2 * nest->nr);
}

static const char *fuse_positions(Nest *nest) {
    Str text;
    lt_str_init(&text, nest->kernel->arena);
    const char *joined = NULL;
    for (int i = 0; i < nest->loop_count; i++) {
        const char *name = nest->loops[i]->u.loop.var->name;
        if (name[0] != 'y')
            continue;
        if (joined)
            lt_str_printf(&text, "fuse %s %s; ", joined, name);
        joined = joined ? lt_arena_printf(nest->kernel->arena, "%s_%s", joined, name) : name;
    }
    return text.text;
}

/* Columns of the panels that the operand along n is packed in; 0: it is not packed. */
static int packed_panel(const Expr *e, const Dim *n) {
    int panel = 0;
    if (e->kind == EXPR_LOAD && e->u.load.buffer->rank > 0) {
        const Dim *last = e->u.load.index[e->u.load.buffer->rank - 1];
        const bool is_packed =
            last->kind == DIM_MOD && last->args[0] == n && lt_dim_is_const(last->args[1]);
        return is_packed ? (int)last->args[1]->value : 0;
    }
    for (int i = 0; i < 3 && (e->kind == EXPR_CALL || e->kind == EXPR_CONVERT) && !panel; i++)
        if (e->u.call.args[i])
            panel = packed_panel(e->u.call.args[i], n);
    return panel;
}

static int find_panel(const Nest *nest, const Stmt *list) {
    int panel = 0;
    for (const Stmt *s = list; s && !panel; s = s->next) {
        if (s->kind == STMT_FOR)
            panel = find_panel(nest, s->u.loop.body);
        else if (s->kind == STMT_IF)
            panel = find_panel(nest, s->u.branch.body);
        else if (s->kind == STMT_STORE)
            panel = packed_panel(s->u.store.value, nest->n->u.loop.var);
    }
    return panel;
}

/* Columns of the register tile: those of a panel where the operand is packed in several. */
static int panel_of(const Nest *nest) {
    const Dim *columns = nest->n->u.loop.extent;
    const int panel = find_panel(nest, nest->kernel->body);
    const int bytes = nest->target->vector_bytes / lanes_of(nest);
    return panel ? panel
                 : lt_target_panel(nest->target, bytes,
                                   lt_dim_is_const(columns) ? columns->value : INT64_MAX);
}

/* Loops of a contraction or of a convolution over channels: the last one along the columns, the
 * last of the others that walks rows along the rows. */
static ScheduleRow choose_tile(Nest *nest) {
    const Stmt *last = nest->loops[nest->loop_count - 1];
    if (!walks_contiguously(nest, last, true) || !walks_contiguously(nest, last, false)) {
        const Stmt *k = nest->folds[nest->fold_count - 1];
        bool lanes = walks_contiguously(nest, k, false) && extent_reaches(k, lanes_of(nest));
        return lanes ? SCHEDULE_LANES : SCHEDULE_PLAIN;
    }
    nest->n = last;
    nest->nr = panel_of(nest);
    for (int i = 0; i + 1 < nest->loop_count; i++) {
        char kind = nest->loops[i]->u.loop.var->name[0];
        if (kind == 'm' || kind == 'y')
            nest->m = nest->loops[i];
    }
    if (!nest->m || lt_dim_is(nest->m->u.loop.extent, 1)) {
        nest->m = NULL;
        return SCHEDULE_ROW;
    }
    const Dim *rows = nest->m->u.loop.extent;
    nest->mr = lt_target_tile_rows(nest->target, (nest->nr + lanes_of(nest) - 1) / lanes_of(nest),
                                   lt_dim_is_const(rows) ? rows->value : INT64_MAX);
    nest->mc = rows_in_cache(nest);
    if (lt_dim_is_const(rows)) { /* blocks of about the same size */
        const int64_t blocks = (rows->value + nest->mc - 1) / nest->mc;
        const int64_t even = blocks ? (rows->value + blocks - 1) / blocks : 1;
        nest->mc = (int)((even + nest->mr - 1) / nest->mr * nest->mr);
    }
    return rows_collide(nest, find_operands(nest)) ? SCHEDULE_TILE_PACKED : SCHEDULE_TILE;
}

static ScheduleRow choose_fold(Nest *nest) {
    int lanes = lanes_of(nest);
    const Stmt *last = nest->loop_count ? nest->loops[nest->loop_count - 1] : NULL;
    const Stmt *k = nest->fold_count ? nest->folds[nest->fold_count - 1] : NULL;
    if (last && extent_reaches(last, lanes) && walks_contiguously(nest, last, true) &&
        walks_contiguously(nest, last, false)) {
        nest->v = last;
        return SCHEDULE_COLUMNS;
    }
    if (k && nest->kernel->class == KERNEL_REDUCE && walks_contiguously(nest, k, false) &&
        extent_reaches(k, lanes))
        return SCHEDULE_LANES;
    return SCHEDULE_PLAIN;
}

/* Each load runs along v (or stands still), or across it and along u; and there is one of these. */
static bool fits_transpose(const Nest *nest, const Expr *e, const Stmt *u, bool *found) {
    if (e->kind == EXPR_LOAD) {
        const Dim *along_v = stride_of(nest->kernel, e, nest->v->u.loop.var);
        const Dim *along_u = stride_of(nest->kernel, e, u->u.loop.var);
        if (e->u.load.predicate || !along_v || !along_u)
            return false;
        if (lt_dim_is(along_v, 0) || lt_dim_is(along_v, 1))
            return true;
        *found = true;
        return lt_dim_is(along_u, 1);
    }
    for (int i = 0; i < 3 && (e->kind == EXPR_CALL || e->kind == EXPR_CONVERT); i++)
        if (e->u.call.args[i] && !fits_transpose(nest, e->u.call.args[i], u, found))
            return false;
    return true;
}

/* The loop that makes squares with v; NULL: there is none. */
static const Stmt *find_across(const Nest *nest) {
    const Stmt *store = nest->v->u.loop.body;
    const int lanes = lanes_of(nest);
    if (!store || store->kind != STMT_STORE || store->next)
        return NULL;
    for (int i = nest->loop_count - 2; i >= 0; i--) {
        bool found = false;
        if (extent_reaches(nest->loops[i], lanes) &&
            fits_transpose(nest, store->u.store.value, nest->loops[i], &found) && found)
            return nest->loops[i];
    }
    return NULL;
}

static ScheduleRow choose_map(Nest *nest) {
    const Stmt *last = nest->loops[nest->loop_count - 1];
    if (!extent_reaches(last, lanes_of(nest)))
        return SCHEDULE_PLAIN;
    nest->v = last;
    nest->u = find_across(nest);
    if (nest->u)
        return SCHEDULE_TRANSPOSE;
    return nest->loop_count == 1 ? SCHEDULE_FLAT : SCHEDULE_NEST;
}

/* Every stage of a row runs in lanes: those that fold by rfactor, the others split. */
static void append_row_stages(Str *out, Nest *nest, const Stmt *list, const char *prefix,
                              int lanes) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF)
            append_row_stages(out, nest, s->u.branch.body, prefix, lanes);
        if (s->kind != STMT_FOR)
            continue;
        const char *name = s->u.loop.var->name;
        if (!lt_str_starts(name, prefix)) {
            append_row_stages(out, nest, s->u.loop.body, prefix, lanes);
            continue;
        }
        if (!extent_reaches(s, lanes) || !walks_contiguously(nest, s, false))
            continue;
        bool folds = false;
        for (const Stmt *inner = s->u.loop.body; inner; inner = inner->next)
            folds |= inner->kind == STMT_STORE && inner->u.store.buffer->kind == BUFFER_REGISTER;
        if (folds)
            lt_str_printf(out, "rfactor %s %d; ", name, 4 * lanes);
        else
            lt_str_printf(out, "split %s %d; vectorize %s.1; ", name, 2 * lanes, name);
    }
}

/* Loops along vectors, by name. */
static void append_vector_loops(Str *out, const Nest *nest, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_IF) {
            append_vector_loops(out, nest, s->u.branch.body);
            append_vector_loops(out, nest, s->u.branch.otherwise);
        }
        if (s->kind != STMT_FOR)
            continue;
        const char *name = s->u.loop.var->name;
        if (name[0] == 'v')
            lt_str_printf(out, "split %s %d; vectorize %s.1; ", name, lanes_of(nest), name);
        else
            append_vector_loops(out, nest, s->u.loop.body);
    }
}

/* The first loop whose name begins with the letter: what follows keeps it apart from symbols. */
static const Stmt *loop_lettered(const Stmt *list, char letter) {
    const Stmt *found = NULL;
    for (const Stmt *s = list; s && !found; s = s->next) {
        if (s->kind == STMT_FOR && s->u.loop.var->name[0] == letter)
            return s;
        if (s->kind == STMT_FOR)
            found = loop_lettered(s->u.loop.body, letter);
    }
    return found;
}

static const char *choose_winograd(Nest *nest) {
    Str out;
    lt_str_init(&out, nest->kernel->arena);
    append_vector_loops(&out, nest, nest->kernel->body);
    int64_t lo, block;
    nest->m = loop_lettered(nest->kernel->body, 'm');
    nest->n = loop_lettered(nest->kernel->body, 'n');
    nest->p = loop_lettered(nest->kernel->body, 'p');
    nest->folds[nest->fold_count++] = loop_lettered(nest->kernel->body, 'k');
    find_operands(nest);
    lt_dim_range(&nest->kernel->dims, nest->m->u.loop.extent, &lo, &block);
    nest->mr = nest->target->tile_rows;
    while (nest->mr > 1 && block % nest->mr)
        nest->mr--;
    lt_str_append(&out, fill_in(nest, SCHEDULE_WINOGRAD));
    return out.text;
}

static const char *choose(Nest *nest) {
    Str out;
    lt_str_init(&out, nest->kernel->arena);
    switch (nest->kernel->class) {
    case KERNEL_MAP: return nest->loop_count ? fill_in(nest, choose_map(nest)) : "";
    case KERNEL_REDUCE:
    case KERNEL_WINDOW: return fill_in(nest, choose_fold(nest));
    case KERNEL_CONTRACT:
        return nest->loop_count && nest->fold_count ? fill_in(nest, choose_tile(nest)) : "";
    case KERNEL_CONV: {
        bool over_channels = strcmp(nest->folds[nest->fold_count - 1]->u.loop.var->name, "c") == 0;
        return fill_in(nest, over_channels ? choose_tile(nest) : choose_fold(nest));
    }
    case KERNEL_ROWS:
        append_row_stages(&out, nest, nest->kernel->body, "r", lanes_of(nest));
        lt_str_append(&out, fill_in(nest, SCHEDULE_PLAIN));
        return out.text;
    case KERNEL_WINOGRAD: return choose_winograd(nest);
    case KERNEL_SERIAL:
        append_row_stages(&out, nest, nest->kernel->body, "v", lanes_of(nest));
        return out.text;
    }
    return "";
}

void lt_schedule_kernel(PassContext *ctx, Kernel *kernel) {
    if (ctx->level == 0)
        return;
    const char *error = NULL, *text = ctx->schedule_override;
    if (!text) {
        Nest nest = {.kernel = kernel, .target = ctx->target};
        read_nest(&nest);
        if (kernel->class == KERNEL_CONV && nest.fold_count &&
            strcmp(nest.folds[nest.fold_count - 1]->u.loop.var->name, "c") == 0) {
            const char *fused = fuse_positions(&nest);
            error = lt_schedule_apply(kernel, fused);
            assert(!error && "the positions of a convolution are adjacent loops");
            nest = (Nest){.kernel = kernel, .target = ctx->target};
            read_nest(&nest);
        }
        text = choose(&nest);
    }
    error = lt_schedule_apply(kernel, text);
    if (!error)
        return;
    lt_error(&ctx->module->diags, ctx->schedule_override ? 2 : 70, kernel->loc, "schedule '%s': %s",
             text, error);
}
