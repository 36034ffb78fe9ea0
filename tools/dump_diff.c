/* dump_diff.c - `lathe-dump --diff`: what each pass changed; `--diff-with`: where two builds part.
 *
 * In these texts values have their ids, not their places as in IR that reads back: a node that goes
 * away does not rename all that follow it. */
#include <string.h>

#include "tools/dump.h"
#include "tools/text_diff.h"

const char *lt_dump_graph_text(Arena *arena, const Module *m) {
    const Graph *g = m->main;
    Str text;
    lt_str_init(&text, arena);
    for (size_t i = 0; i < g->inputs.len; i++) {
        const Value *v = g->inputs.data[i];
        lt_str_printf(&text, "input %%%u ", v->id);
        if (v->name)
            lt_str_quote(&text, v->name);
        lt_str_append(&text, ": ");
        lt_type_print(&text, v->type);
        lt_str_char(&text, '\n');
    }
    LT_EACH_NODE(n, g) {
        lt_node_print(&text, n);
        lt_str_char(&text, '\n');
    }
    return text.text;
}

static const char *text_of(Arena *arena, const PassContext *ctx) {
    if (!ctx->program)
        return lt_dump_graph_text(arena, ctx->module);
    Str text;
    lt_str_init(&text, arena);
    lt_program_print(&text, ctx->program);
    return text.text;
}

/* Lowering replaces the graph: there is nothing in common to compare line by line. */
static void print_lowered(FILE *out, const Program *p) {
    fprintf(out, "; the graph became a program of %zu steps and %zu kernels: see --kernels\n",
            p->steps.len, p->kernels.len);
}

/* --- --diff ---------------------------------------------------------------------------------- */

typedef struct DiffView {
    const char *list; /* passes to show, "all" for all */
    const char *name; /* of the pass that made `text` */
    const char *text;
    bool was_program;
} DiffView;

static bool is_listed(const char *list, const char *name) {
    size_t length = strlen(name);
    for (; list && *list; list += strcspn(list, ","), list += *list == ',') {
        size_t word = strcspn(list, ",");
        if ((word == length && memcmp(list, name, length) == 0) ||
            (word == 3 && memcmp(list, "all", 3) == 0))
            return true;
    }
    return false;
}

static void show_change(Compilation *c, const Pass *pass, bool changed, double seconds) {
    (void)seconds;
    DiffView *view = c->user;
    bool is_shown = is_listed(view->list, pass->name);
    if (!changed) {
        if (is_shown)
            printf("; %s changed nothing\n", pass->name);
        return;
    }
    const char *text = text_of(&c->arena, &c->ctx);
    bool is_program = c->ctx.program != NULL;
    if (is_shown) {
        printf("; %s\n", pass->name);
        if (is_program != view->was_program)
            print_lowered(stdout, c->ctx.program);
        else
            lt_text_diff(stdout, (NamedText){view->name, view->text},
                         (NamedText){pass->name, text});
    }
    *view = (DiffView){view->list, pass->name, text, is_program};
}

int lt_dump_diff(Compilation *c, const char *list) {
    DiffView view = {.list = list, .name = "as read", .text = text_of(&c->arena, &c->ctx)};
    c->after_pass = show_change;
    c->user = &view;
    return lt_compile_passes(c, NULL, 0);
}

/* --- --diff-with ----------------------------------------------------------------------------- */

/* The IR after every place of the pipeline; a pass that does not run leaves it as it was. */
typedef struct Stage {
    const char *text;
    uint64_t hash; /* of the text that does not depend on ids */
    bool is_program;
} Stage;

typedef struct History {
    Stage *stages; /* [0]: as read; [1 + i]: after the i-th pass of the pipeline */
    const char *const *names;
    int count, next;
} History;

static Stage take_stage(Compilation *c) {
    Arena arena;
    lt_arena_init(&arena);
    arena.out_of_memory = c->arena.out_of_memory;
    Str text;
    lt_str_init(&text, &arena);
    if (c->ctx.program)
        lt_program_print(&text, c->ctx.program);
    else
        lt_module_print_elided(&text, c->ctx.module);
    Stage stage = {.text = text_of(&c->arena, &c->ctx),
                   .hash = lt_hash_bytes(text.text, text.len, 0),
                   .is_program = c->ctx.program != NULL};
    lt_arena_free(&arena);
    return stage;
}

/* Which place of the pipeline ran follows from the name: passes that are left out are left out at
 * all of their places. */
static void record_stage(Compilation *c, const Pass *pass, bool changed, double seconds) {
    (void)seconds;
    History *h = c->user;
    while (h->next < h->count && strcmp(h->names[h->next], pass->name) != 0) {
        h->stages[h->next + 1] = h->stages[h->next];
        h->next++;
    }
    h->stages[h->next + 1] = changed ? take_stage(c) : h->stages[h->next];
    h->next++;
}

static int build(Compilation *c, History *h) {
    int code = lt_compile_read(c);
    if (code)
        return code;
    h->names = lt_pipeline(&h->count);
    h->stages = LT_ARRAY(&c->arena, Stage, h->count + 1);
    h->stages[0] = take_stage(c);
    c->after_pass = record_stage;
    c->user = h;
    code = lt_compile_passes(c, NULL, 0);
    for (; h->next < h->count; h->next++)
        h->stages[h->next + 1] = h->stages[h->next];
    return code;
}

static void show_parting(const History *a, const History *b, const char *words) {
    int at = 0;
    while (at <= a->count && a->stages[at].hash == b->stages[at].hash)
        at++;
    if (at > a->count) {
        printf("; with and without %s, the IR is the same after every pass\n", words);
        return;
    }
    if (at == 0)
        printf("; with and without %s, the model is read differently\n", words);
    else
        printf("; with and without %s, the IR differs first after %s (pass %d of %d)\n", words,
               a->names[at - 1], at, a->count);
    const Stage *x = &a->stages[at], *y = &b->stages[at];
    if (x->is_program == y->is_program)
        lt_text_diff(stdout, (NamedText){"without", x->text}, (NamedText){"with", y->text});
    else
        printf("; only one of them is a program there\n");
}

typedef struct Pair {
    Compilation *other;
    const char *words;
} Pair;

static int build_both(Compilation *without, void *user) {
    const Pair *pair = user;
    History a = {0}, b = {0};
    int code = build(without, &a);
    if (!code)
        code = build(pair->other, &b);
    if (!code)
        show_parting(&a, &b, pair->words);
    return code;
}

int lt_dump_diff_with(Compilation *without, Compilation *with, const char *words) {
    Pair pair = {with, words};
    with->arena.out_of_memory = with->scratch.out_of_memory = &without->out_of_memory;
    return lt_compile_guarded(without, build_both, &pair);
}
