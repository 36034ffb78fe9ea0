/* schedule_tile.c - register tiles: how many rows and columns, which blocks of the operands stay in
 * the cache, what is copied and prefetched. */
#include "passes/schedule_nest.h"

#include <string.h>

enum { LEAST_PACKED_ROWS = 4 };

static int64_t known_or(const Dim *extent, int64_t otherwise) {
    return lt_dim_is_const(extent) && extent->value > 0 ? extent->value : otherwise;
}

/* Rows of the left operand that stay in L2, a multiple of the tile's: they fit half of it. Where
 * the weights are so small that it costs little to go through them more often, rows and results
 * fit a part of it, so that kernels can take turns (passes/bands.c). */
static int rows_in_cache(const Nest *nest) {
    enum { UNKNOWN_FOLD = 512, UNKNOWN_COLUMNS = 1 << 20 };
    const int64_t l2 = nest->target->l2_bytes;
    const int64_t columns = known_or(nest->n->u.loop.extent, UNKNOWN_COLUMNS);
    int64_t fold = 1, taps = 1;
    for (int i = 0; i < nest->fold_count; i++) {
        /* The taps of a convolution read overlapping rows: only its channels count. */
        const bool is_tap = nest->kernel->class == KERNEL_CONV && i + 1 < nest->fold_count;
        const int64_t extent = known_or(nest->folds[i]->u.loop.extent, UNKNOWN_FOLD);
        fold *= is_tap ? 1 : extent;
        taps *= is_tap ? extent : 1;
    }
    const int64_t bytes = (int64_t)sizeof(float);
    const int64_t rows = taps * fold * columns * bytes <= l2 / 8
                             ? l2 / 8 / ((fold + columns) * bytes)
                             : l2 / 2 / (fold * bytes);
    const int64_t least = 8 * nest->mr, most = 64 * nest->mr;
    return (int)(rows < least ? least : rows > most ? most : rows / nest->mr * nest->mr);
}

const Expr *lt_operand_along(const Expr *e, const Dim *along, const Dim *not_along) {
    const Expr *found = NULL;
    if (e->kind == EXPR_LOAD)
        return e->u.load.buffer->kind == BUFFER_INPUT && lt_expr_mentions(e, along) &&
                       !lt_expr_mentions(e, not_along)
                   ? e
                   : NULL;
    for (int i = 0; i < 3 && lt_expr_has_args(e) && !found; i++)
        if (e->u.call.args[i])
            found = lt_operand_along(e->u.call.args[i], along, not_along);
    return found;
}

/* Sets nest->a and nest->b where the fold is one plain update. */
static const Expr *find_operands(Nest *nest) {
    const Stmt *update = nest->folds[nest->fold_count - 1]->u.loop.body;
    const Dim *m = nest->m->u.loop.var, *n = nest->n->u.loop.var;
    if (!update || update->kind != STMT_STORE || update->next)
        return NULL;
    const Expr *a = lt_operand_along(update->u.store.value, m, n);
    const Expr *b = lt_operand_along(update->u.store.value, n, m);
    nest->a = a ? a->u.load.buffer->name : NULL;
    const bool moves_on = nest->p || lt_loop_reaches(nest->n, nest->nr + 1);
    nest->b = b && moves_on ? b->u.load.buffer->name : NULL;
    if (a && b && a->u.load.buffer == b->u.load.buffer)
        nest->a = nest->b = NULL; /* one tensor with itself */
    return nest->a ? a : NULL;
}

/* The left operand is simply read, by tiles of several rows, for several panels: a copy of it in
 * the order in which it is read pays. */
static bool pays_to_pack(const Nest *nest, const Expr *a) {
    return a && nest->fold_count == 1 && nest->mr > LEAST_PACKED_ROWS &&
           lt_loop_reaches(nest->n, 2 * nest->nr);
}

/* Rows of the left operand that meet in the same sets of L1: a tile's rows throw each other out. */
static bool rows_collide(Nest *nest, const Expr *a) {
    enum { SET_BYTES = 4096 }; /* what L1's sets cover: 64 of 64 bytes on every target */
    Kernel *k = nest->kernel;
    const Stmt *fold = nest->folds[nest->fold_count - 1];
    int64_t lo, most;
    lt_dim_range(&k->dims, fold->u.loop.extent, &lo, &most);
    const Dim *stride = lt_load_stride(k, a, nest->m->u.loop.var);
    return most <= SET_BYTES && stride && lt_dim_is_const(stride) && stride->value &&
           stride->value * (int64_t)lt_dtype_size(a->dtype) % SET_BYTES == 0;
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
    for (int i = 0; i < 3 && lt_expr_has_args(e) && !panel; i++)
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
    const int bytes = nest->target->vector_bytes / lt_nest_lanes(nest);
    return panel ? panel
                 : lt_target_panel(nest->target, bytes,
                                   lt_dim_is_const(columns) ? columns->value : INT64_MAX);
}

/* Rows of a tile that follow each other in one row of positions lie at a constant distance, and
 * need no pointer each. That matters where a tile is one vector wide: it has more rows than there
 * are registers for pointers. But little of the last tile may be left empty. */
static bool rows_fit_positions(Nest *nest) {
    const Stmt *columns = nest->loops[nest->loop_count - 1];
    const Stmt *positions = nest->loop_count > 1 ? nest->loops[nest->loop_count - 2] : NULL;
    if (!positions || positions->u.loop.var->name[0] != 'y' ||
        !lt_dim_is_const(positions->u.loop.extent))
        return false;
    nest->n = columns;
    if (panel_of(nest) > lt_nest_lanes(nest))
        return false;
    const int64_t extent = positions->u.loop.extent->value;
    const int64_t rows = lt_target_tile_rows(nest->target, 1, extent);
    return (extent + rows - 1) / rows * rows * 8 <= extent * 9;
}

const char *lt_fuse_positions(Nest *nest) {
    Str text;
    lt_str_init(&text, nest->kernel->arena);
    const char *joined = NULL;
    if (rows_fit_positions(nest))
        return "";
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

/* Pieces of a long fold, all of one size where that comes out even, of whose rows a block fits a
 * quarter of L2; 0: the fold is short, or its length is not known. */
static int piece_of_fold(const Nest *nest) {
    enum { ELEMENTS = 16 };
    const Dim *extent = nest->folds[nest->fold_count - 1]->u.loop.extent;
    const int64_t column = (int64_t)nest->mc * (int64_t)sizeof(float); /* of a block, in bytes */
    if (!lt_dim_is_const(extent) || extent->value * column <= nest->target->l2_bytes / 2)
        return 0;
    const int64_t most = nest->target->l2_bytes / 4 / column;
    int64_t pieces = (extent->value + most - 1) / most;
    const int64_t least = pieces;
    while (pieces < 2 * least && extent->value % (pieces * ELEMENTS))
        pieces++;
    pieces = extent->value % (pieces * ELEMENTS) ? least : pieces;
    return (int)((extent->value + pieces - 1) / pieces);
}

/* Loops of a contraction or of a convolution over channels: the last one along the columns, the
 * last of the others that walks rows along the rows. */
ScheduleRow lt_choose_tile(Nest *nest) {
    const Stmt *last = nest->loops[nest->loop_count - 1];
    if (!lt_nest_walks(nest, last, true) || !lt_nest_walks(nest, last, false)) {
        const Stmt *k = nest->folds[nest->fold_count - 1];
        bool lanes = lt_nest_walks(nest, k, false) && lt_loop_reaches(k, lt_nest_lanes(nest));
        return lanes ? SCHEDULE_LANES : SCHEDULE_PLAIN;
    }
    nest->n = last;
    nest->nr = panel_of(nest);
    nest->m = lt_nest_rows(nest);
    if (!nest->m || lt_dim_is(nest->m->u.loop.extent, 1)) {
        nest->m = NULL;
        return SCHEDULE_ROW;
    }
    const Dim *rows = nest->m->u.loop.extent;
    nest->mr = lt_target_tile_rows(nest->target,
                                   (nest->nr + lt_nest_lanes(nest) - 1) / lt_nest_lanes(nest),
                                   lt_dim_is_const(rows) ? rows->value : INT64_MAX);
    nest->mc = rows_in_cache(nest);
    if (lt_dim_is_const(rows)) { /* blocks of about the same size */
        const int64_t blocks = (rows->value + nest->mc - 1) / nest->mc;
        const int64_t even = blocks ? (rows->value + blocks - 1) / blocks : 1;
        nest->mc = (int)((even + nest->mr - 1) / nest->mr * nest->mr);
    }
    const Expr *a = find_operands(nest);
    if (!pays_to_pack(nest, a))
        return SCHEDULE_TILE;
    nest->kc = piece_of_fold(nest);
    return nest->kc                ? SCHEDULE_TILE_PARTIAL
           : rows_collide(nest, a) ? SCHEDULE_TILE_PACKED
                                   : SCHEDULE_TILE;
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
            lt_str_printf(out, "split %s %d; vectorize %s.1; ", name, lt_nest_lanes(nest), name);
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

/* Rows of a tile that divide the block which loop m goes through. */
static void choose_rows_of_block(Nest *nest) {
    int64_t lo, block;
    lt_dim_range(&nest->kernel->dims, nest->m->u.loop.extent, &lo, &block);
    nest->mr = nest->target->tile_rows;
    while (nest->mr > 1 && block % nest->mr)
        nest->mr--;
}

const char *lt_choose_winograd(Nest *nest) {
    Str out;
    lt_str_init(&out, nest->kernel->arena);
    append_vector_loops(&out, nest, nest->kernel->body);
    nest->m = loop_lettered(nest->kernel->body, 'm');
    nest->n = loop_lettered(nest->kernel->body, 'n');
    nest->p = loop_lettered(nest->kernel->body, 'p');
    nest->folds[nest->fold_count++] = loop_lettered(nest->kernel->body, 'k');
    find_operands(nest);
    choose_rows_of_block(nest);
    lt_str_append(&out, lt_schedule_fill(nest, SCHEDULE_WINOGRAD));
    return out.text;
}

const char *lt_choose_attention(Nest *nest) {
    static const char rows[] = {'m', 'y'}, columns[] = {'n', 'c'};
    Str out;
    lt_str_init(&out, nest->kernel->arena);
    append_vector_loops(&out, nest, nest->kernel->body);
    lt_schedule_rows(nest, &out);
    for (int i = 0; i < 2; i++) {
        nest->m = loop_lettered(nest->kernel->body, rows[i]);
        nest->n = loop_lettered(nest->kernel->body, columns[i]);
        choose_rows_of_block(nest);
        lt_str_printf(&out, "%s; ", lt_schedule_fill(nest, SCHEDULE_STAGE));
    }
    nest->m = nest->n = NULL;
    lt_str_append(&out, lt_schedule_fill(nest, SCHEDULE_PLAIN));
    return out.text;
}
