/* schedule_fill.c - a row of schedules.def becomes the text of a schedule: words in braces are
 * filled in, `join` and `parallel` spelled out. */
#include "passes/schedule_nest.h"

#include <stdio.h>
#include <string.h>

static const char *const schedule_text[SCHEDULE_LIMIT] = {
#define SCHEDULE(e, text) [SCHEDULE_##e] = text,
#include "passes/schedules.def"
#undef SCHEDULE
};

static void append_outer(Str *out, const Nest *nest) {
    for (int i = 0; i < nest->loop_count; i++) {
        const Stmt *s = nest->loops[i];
        if (s != nest->m && s != nest->n && s != nest->v && s != nest->u && s != nest->y)
            lt_str_printf(out, "%s ", s->u.loop.var->name);
    }
}

static void append_folds(Str *out, const Nest *nest) {
    for (int i = 0; i < nest->fold_count; i++)
        lt_str_printf(out, "%s ", nest->folds[i]->u.loop.var->name);
}

/* All that append_outer names, as one word. */
static const char *merged_name(const Nest *nest) {
    Str name;
    lt_str_init(&name, nest->kernel->arena);
    append_outer(&name, nest);
    for (size_t i = 0; i + 1 < name.len; i++)
        name.text[i] = name.text[i] == ' ' ? '_' : name.text[i];
    if (name.len)
        name.text[name.len - 1] = '\0';
    return name.text;
}

static const char *loop_name(const Stmt *loop) { return loop ? loop->u.loop.var->name : NULL; }

/* The same with the blocks of a tile, or with what is around vectors. */
static const char *grid_name(const Nest *nest) {
    const char *outer = merged_name(nest);
    if (nest->v)
        return lt_arena_printf(nest->kernel->arena, "%s%s%s%s%s.0", outer, *outer ? "_" : "",
                               nest->u ? loop_name(nest->u) : "", nest->u ? ".0_" : "",
                               loop_name(nest->v));
    if (!nest->m || !nest->n)
        return outer;
    return lt_arena_printf(nest->kernel->arena, "%s%s%s.0_%s.0", outer, *outer ? "_" : "",
                           loop_name(nest->m), loop_name(nest->n));
}

/* The folding loop that a tile is shared along. */
static const char *fold_name(const Nest *nest) {
    const char *name = "";
    for (int i = 0; i < nest->fold_count; i++) {
        const char *fold = loop_name(nest->folds[i]);
        name = nest->merges_folds && i > 0
                   ? lt_arena_printf(nest->kernel->arena, "%s_%s", name, fold)
                   : fold;
    }
    return name;
}

static const char *how_shared(const Nest *nest) {
    const char *how = nest->is_wgmma   ? "wgmma"
                      : nest->is_quads ? "quads"
                      : nest->is_mma   ? "mma"
                                       : "";
    const char *space = *how && nest->stages > 1 ? " " : "";
    if (nest->stages < 2)
        return how;
    return nest->stages == 2
               ? lt_arena_printf(nest->kernel->arena, "%s%sdouble", how, space)
               : lt_arena_printf(nest->kernel->arena, "%s%s%d", how, space, nest->stages);
}

static void append_word(Str *out, const Nest *nest, const char *word, size_t len) {
    const Stmt *k = nest->fold_count ? nest->folds[nest->fold_count - 1] : NULL;
    const struct {
        const char *name, *text;
        int number;
    } words[] = {
        {"m", loop_name(nest->m), 0},
        {"n", loop_name(nest->n), 0},
        {"v", loop_name(nest->v), 0},
        {"u", loop_name(nest->u), 0},
        {"p", loop_name(nest->p), 0},
        {"k", loop_name(k), 0},
        {"w", loop_name(nest->w), 0},
        {"y", loop_name(nest->y), 0},
        {"a", nest->a, 0},
        {"b", nest->b, 0},
        {"j", merged_name(nest), 0},
        {"g", grid_name(nest), 0},
        {"f", fold_name(nest), 0},
        {"how", how_shared(nest), 0},
        {"kt", NULL, nest->kt},
        {"mt", NULL, nest->mt},
        {"nt", NULL, nest->nt},
        {"threads", NULL, BLOCK_THREADS},
        {"mr", NULL, nest->mr},
        {"nr", NULL, nest->nr},
        {"mc", NULL, nest->mc},
        {"vc", NULL, nest->vc},
        {"vl", NULL, nest->vl},
        {"kc", NULL, nest->kc},
        {"np", NULL, PACKED_PANELS},
        {"lanes", NULL, lt_nest_lanes(nest)},
        {"lanes2", NULL, 2 * lt_nest_lanes(nest)},
        {"lanes4", NULL, 4 * lt_nest_lanes(nest)},
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
    if (len == strlen("folds") && strncmp("folds", word, len) == 0)
        append_folds(out, nest);
    else
        append_outer(out, nest);
}

/* `merge a b c` is `fuse a b; fuse a_b c`; gives what that makes: a_b_c. */
static const char *append_merged(Str *out, Arena *arena, char *names) {
    const char *joined = NULL;
    for (char *save, *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
        if (joined)
            lt_str_printf(out, "; fuse %s %s", joined, name);
        joined = joined ? lt_arena_printf(arena, "%s_%s", joined, name) : name;
    }
    return joined;
}

/* The same for `join`; `parallel` names what it made. */
static void append_joined(Str *out, Arena *arena, char *names) {
    const char *joined = append_merged(out, arena, names);
    if (joined)
        lt_str_printf(out, "; parallel %s", joined);
}

static void append_unrolls(Str *out, const Nest *nest) {
    for (int i = 0; i < nest->fold_count && nest->has_few_taps; i++)
        lt_str_printf(out, "; unroll %s", loop_name(nest->folds[i]));
}

static void append_merged_folds(Str *out, const Nest *nest) {
    Str names;
    lt_str_init(&names, nest->kernel->arena);
    append_folds(&names, nest);
    if (nest->merges_folds)
        append_merged(out, nest->kernel->arena, names.text);
}

const char *lt_schedule_fill(const Nest *nest, ScheduleRow row) {
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
        if (lt_str_starts(part, "merge_folds"))
            append_merged_folds(&out, nest);
        else if (lt_str_starts(part, "merge"))
            append_merged(&out, arena, part + strlen("merge"));
        else if (lt_str_starts(part, "join"))
            append_joined(&out, arena, part + strlen("join"));
        else if ((lt_str_starts(part, "prefetch") && !nest->b) ||
                 (lt_str_starts(part, "hold") && !nest->b) ||
                 (lt_str_starts(part, "version") && !nest->w))
            continue;
        else if (lt_str_starts(part, "unroll_folds"))
            append_unrolls(&out, nest);
        else if (lt_str_starts(part, "parallel") && row == SCHEDULE_FLAT)
            lt_str_printf(&out, "; parallel %s.0", nest->v->u.loop.var->name);
        else if (!lt_str_starts(part, "parallel"))
            lt_str_printf(&out, "; %s", part);
    }
    return out.len ? out.text + 2 : "";
}
