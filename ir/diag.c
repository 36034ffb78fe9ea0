/* diag.c - collected messages and locations, and how people see them:
 *   resnet.onnx: Conv_23 (Conv): error: input 1 has 64 channels, the weight expects 128 */
#include "ir/diag.h"

#include <string.h>

#include "runtime/base/str.h"

void lt_diag_init(DiagList *list, Arena *arena, const char *file) {
    *list = (DiagList){.arena = arena, .file = file ? lt_arena_strdup(arena, file) : NULL};
}

void lt_diag(DiagList *list, DiagLevel level, int status, const Loc *loc, const char *format, ...) {
    if (level == DIAG_REMARK && !list->want_remarks)
        return;
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(list->arena, format, args);
    va_end(args);
    const Diag diag = {.level = level, .status = status, .loc = loc, .text = text};
    lt_vec_push(list->arena, &list->items, diag);
    list->errors += level == DIAG_ERROR;
}

int lt_diag_status(const DiagList *list) {
    for (size_t i = 0; i < list->items.len; i++) {
        if (list->items.data[i].level == DIAG_ERROR)
            return list->items.data[i].status;
    }
    return 0;
}

/* --- text ------------------------------------------------------------------------------------ */

typedef struct LevelText {
    const char *word, *color;
} LevelText;

static const LevelText level_text[] = {
    [DIAG_NOTE] = {"note", "\033[36m"},
    [DIAG_REMARK] = {"remark", "\033[34m"},
    [DIAG_WARNING] = {"warning", "\033[35m"},
    [DIAG_ERROR] = {"error", "\033[31m"},
};

/* Tabs are kept in front of the caret, so that it stays below its place. */
static void append_caret(Str *out, const Diag *diag) {
    lt_str_printf(out, "\n    %s\n    ", diag->source_line);
    for (int32_t i = 1; i < diag->loc->column && diag->source_line[i - 1]; i++)
        lt_str_char(out, diag->source_line[i - 1] == '\t' ? '\t' : ' ');
    lt_str_char(out, '^');
}

static bool is_named(const Loc *loc) { return loc->node || loc->op; }

const char *lt_diag_format(const DiagList *list, const Diag *diag, bool color) {
    Str out;
    lt_str_init(&out, list->arena);
    if (list->file)
        lt_str_append(&out, list->file);
    if (diag->loc && diag->loc->line > 0)
        lt_str_printf(&out, "%s%d:%d", list->file ? ":" : "line ", diag->loc->line,
                      diag->loc->column);
    if (out.len > 0)
        lt_str_append(&out, ": ");
    if (diag->loc && is_named(diag->loc))
        lt_str_printf(&out, "%s: ", lt_loc_text(list->arena, diag->loc, 3));
    const LevelText *level = &level_text[diag->level];
    lt_str_printf(&out, "%s%s:%s %s", color ? level->color : "", level->word,
                  color ? "\033[0m" : "", diag->text);
    if (diag->source_line && diag->loc)
        append_caret(&out, diag);
    return out.text;
}

static void append_loc(Str *out, const Loc *loc) {
    if (loc->node && loc->op)
        lt_str_printf(out, "%s (%s)", loc->node, loc->op);
    else if (is_named(loc))
        lt_str_append(out, loc->node ? loc->node : loc->op);
    else
        lt_str_printf(out, "line %d", loc->line);
}

const char *lt_loc_text(Arena *arena, const Loc *loc, int limit) {
    Str out;
    lt_str_init(&out, arena);
    int count = 0, hidden = 0;
    for (; loc; loc = loc->next) {
        if (limit > 0 && count == limit) {
            hidden++;
            continue;
        }
        lt_str_append(&out, count++ > 0 ? " + " : "");
        append_loc(&out, loc);
    }
    if (hidden > 0)
        lt_str_printf(&out, " + %d more", hidden);
    return out.text;
}

/* --- joining --------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_place(const Loc *a, const Loc *b) {
    return a->line == b->line && a->column == b->column && same_text(a->node, b->node) &&
           same_text(a->op, b->op);
}

static bool has_place(const Loc *list, const Loc *loc) {
    for (; list; list = list->next) {
        if (same_place(list, loc))
            return true;
    }
    return false;
}

const Loc *lt_loc_join(Arena *arena, const Loc *a, const Loc *b) {
    if (!a || !b || a == b)
        return a ? a : b;
    Loc *head = NULL, **tail = &head;
    const Loc *parts[] = {a, b};
    bool grown = false;
    for (int i = 0; i < 2; i++) {
        for (const Loc *loc = parts[i]; loc; loc = loc->next) {
            if (has_place(head, loc))
                continue;
            Loc *copy = LT_NEW(arena, Loc);
            *copy = *loc;
            copy->next = NULL;
            *tail = copy;
            tail = (Loc **)&copy->next;
            grown = grown || i == 1;
        }
    }
    return grown ? head : a;
}
