/* reduce.c - shrinks IR while it stays interesting, see reduce.h. */
#include "tools/reduce.h"

#include <string.h>

typedef struct Reducer {
    Reduction *reduction;
    Arena *arena;
    const char *text; /* the smallest that is interesting */
    size_t length;
    size_t limit; /* bytes that a candidate must stay below */
    bool shrunk;  /* in this round */
} Reducer;

/* One module for each candidate: a change of kind `edit` at the places [from, to). False: there is
 * nothing to change there. */
typedef bool Edit(Module *m, int from, int to);

/* --- places ---------------------------------------------------------------------------------- */

static bool is_plain(const Node *n) { return n->op != OP_YIELD && n->op != OP_CONST; }

/* From the last to the first, so that what only the dead used is dead, too. */
static void drop_dead(Graph *g) {
    for (Node *n = g->last, *previous; n; n = previous) {
        bool used = n->op == OP_YIELD;
        previous = n->prev;
        for (uint32_t i = 0; i < n->output_count; i++)
            used |= n->outputs[i]->uses != NULL;
        for (uint32_t i = 0; used && i < n->region_count; i++)
            drop_dead(n->regions[i]);
        if (!used)
            lt_node_remove(n);
    }
}

static void replace_by_input(Node *n) {
    for (uint32_t i = 0; i < n->output_count; i++) {
        Value *old = n->outputs[i];
        if (!old->uses)
            continue;
        lt_value_replace(old, lt_graph_add_input(n->graph, old->type, old->name));
        old->name = NULL;
    }
}

/* --- edits ----------------------------------------------------------------------------------- */

/* Nothing behind these nodes: their results are the model's. */
static bool end_at(Module *m, int from, int to) {
    int place = 0;
    Vec(Value *) outputs = {0};
    LT_EACH_NODE(n, m->main) {
        if (!is_plain(n))
            continue;
        for (uint32_t i = 0; i < n->output_count && place >= from && place < to; i++)
            lt_vec_push(m->arena, &outputs, n->outputs[i]);
        place++;
    }
    lt_graph_set_outputs(m->main, outputs.data, (uint32_t)outputs.len);
    return outputs.len != 0;
}

/* Nothing of these nodes: their results are inputs. */
static bool cut(Module *m, int from, int to) {
    int place = 0;
    LT_EACH_NODE(n, m->main) {
        if (!is_plain(n))
            continue;
        if (place >= from && place < to)
            replace_by_input(n);
        place++;
    }
    return place > from;
}

static Value *operand_of_type(const Node *n, const Type *type) {
    for (uint32_t i = 0; i < n->input_count; i++)
        if (lt_input(n, i) && lt_input(n, i)->type == type)
            return lt_input(n, i);
    return NULL;
}

static void bypass_in(Graph *g, int *place, int from, int to) {
    LT_EACH_NODE(n, g) {
        for (uint32_t i = 0; i < n->region_count; i++)
            bypass_in(n->regions[i], place, from, to);
        if (!is_plain(n) || n->output_count != 1)
            continue;
        Value *operand = operand_of_type(n, lt_output(n)->type);
        if (operand && *place >= from && *place < to)
            lt_value_replace(lt_output(n), operand);
        ++*place;
    }
}

/* Nodes that have an operand like their result are gone around, inside regions too. */
static bool bypass(Module *m, int from, int to) {
    int place = 0;
    bypass_in(m->main, &place, from, to);
    return place > from;
}

static void flatten_in(Graph *g, int *place, int from, int to) {
    LT_EACH_NODE(n, g) {
        for (uint32_t i = 0; i < n->region_count; i++)
            flatten_in(n->regions[i], place, from, to);
        if (n->op != OP_CONST)
            continue;
        const Const *c = lt_attr(n, ATTR_VALUE)->u.c;
        if (!c->is_splat && c->bytes && *place >= from && *place < to)
            lt_node_set_attr(
                n, (Attr){.name = ATTR_VALUE, .u.c = lt_const_splat(g->module, c->type, c->data)});
        ++*place;
    }
}

/* Constants become their first element, everywhere. */
static bool flatten(Module *m, int from, int to) {
    int place = 0;
    flatten_in(m->main, &place, from, to);
    return place > from;
}

/* These outputs go; one stays. */
static bool drop_outputs(Module *m, int from, int to) {
    const Node *yield = lt_graph_yield(m->main);
    Vec(Value *) kept = {0};
    for (int i = 0; i < (int)yield->input_count; i++)
        if (i < from || i >= to)
            lt_vec_push(m->arena, &kept, lt_input(yield, (uint32_t)i));
    if (!kept.len || kept.len == yield->input_count)
        return false;
    lt_graph_set_outputs(m->main, kept.data, (uint32_t)kept.len);
    return true;
}

static bool drop_inputs(Module *m, int from, int to) {
    Graph *g = m->main;
    size_t kept = 0, count = g->inputs.len;
    for (size_t i = 0; i < count; i++) {
        Value *v = g->inputs.data[i];
        if (!v->uses && (int)i >= from && (int)i < to)
            continue;
        v->index = (uint32_t)kept;
        g->inputs.data[kept++] = v;
    }
    g->inputs.len = kept;
    return (int)count > from;
}

/* Guards, like all that follows, are numbered as one list. */
static bool drop_guards(Module *m, int from, int to) {
    size_t kept = 0, count = m->guards.len;
    for (size_t i = 0; i < count; i++)
        if ((int)i < from || (int)i >= to)
            m->guards.data[kept++] = m->guards.data[i];
    m->guards.len = kept;
    return (int)count > from;
}

static void strip_graph(Graph *g, int *place, int from, int to) {
    LT_EACH_NODE(n, g) {
        for (uint32_t i = 0; i < n->region_count; i++)
            strip_graph(n->regions[i], place, from, to);
        if (*place >= from && *place < to) {
            n->loc = NULL;
            for (uint32_t i = 0; i < n->output_count; i++)
                n->outputs[i]->name = NULL;
        }
        ++*place;
    }
}

/* Names of values, and where nodes came from. */
static bool strip_names(Module *m, int from, int to) {
    int place = 0;
    strip_graph(m->main, &place, from, to);
    for (size_t i = 0; i < m->main->inputs.len; i++, place++)
        if (place >= from && place < to)
            m->main->inputs.data[i]->name = NULL;
    if (place >= from && place < to)
        m->name = NULL;
    return place >= from;
}

/* --- trying ---------------------------------------------------------------------------------- */

/* The text after one edit; NULL when it is impossible, or no gain. */
static const char *candidate(const Reducer *r, Arena *arena, Edit *edit, const int range[2]) {
    Module *m = lt_module_parse(arena, r->text, r->length, "reduced.lir");
    if (!m || !edit(m, range[0], range[1]))
        return NULL;
    drop_dead(m->main);
    if (!lt_module_verify(m))
        return NULL;
    Str text;
    lt_str_init(&text, arena);
    lt_module_print(&text, m);
    return text.len < r->limit ? text.text : NULL;
}

/* A change at [from, to); true when it was taken. *beyond: no place is there. */
static bool try_edit(Reducer *r, Edit *edit, const int range[2]) {
    Arena arena;
    lt_arena_init(&arena);
    arena.out_of_memory = r->arena->out_of_memory;
    const char *text = candidate(r, &arena, edit, range);
    bool taken = false;
    if (text) {
        if (r->reduction->progress)
            r->reduction->progress(r->reduction->user, r->reduction->tries, r->length);
        r->reduction->tries++;
        taken = r->reduction->is_interesting(r->reduction->user, text);
    }
    if (taken) {
        r->reduction->kept++;
        r->text = lt_arena_strdup(r->arena, text);
        r->length = r->limit = strlen(text);
        r->shrunk = true;
    }
    lt_arena_free(&arena);
    return taken;
}

/* How many places an edit has now: no less than nodes, inputs and outputs together. */
static int count_in(const Graph *g) {
    int count = (int)g->inputs.len;
    LT_EACH_NODE(n, g) {
        count += 1 + (int)(n->op == OP_YIELD ? n->input_count : 0);
        for (uint32_t i = 0; i < n->region_count; i++)
            count += count_in(n->regions[i]);
    }
    return count;
}

static int count_places(const Reducer *r) {
    Arena arena;
    lt_arena_init(&arena);
    arena.out_of_memory = r->arena->out_of_memory;
    const Module *m = lt_module_parse(&arena, r->text, r->length, "reduced.lir");
    int count = m ? count_in(m->main) + (int)m->guards.len : 0;
    lt_arena_free(&arena);
    return count;
}

/* Large ranges first, from the end: what is taken there leaves the numbers before it as they are.
 */
static void try_ranges(Reducer *r, Edit *edit) {
    int count = count_places(r);
    for (int size = count; size > 0; size /= 2)
        for (int from = (count - 1) / size * size; from >= 0; from -= size)
            try_edit(r, edit, (int[]){from, from + size});
}

/* The first node that the model can end at is the best: bisection does not find it, since being
 * interesting is not monotone. */
static void try_ends(Reducer *r) {
    int count = count_places(r);
    for (int i = 0; i < count; i++)
        if (try_edit(r, end_at, (int[]){i, i + 1}))
            return;
}

/* Text that people wrote leaves out what is inferred: sizes are those of printed text. */
static size_t printed_length(const Reducer *r) {
    Arena arena;
    Str text;
    lt_arena_init(&arena);
    arena.out_of_memory = r->arena->out_of_memory;
    lt_str_init(&text, &arena);
    const Module *m = lt_module_parse(&arena, r->text, r->length, "reduced.lir");
    if (m)
        lt_module_print(&text, m);
    size_t length = text.len;
    lt_arena_free(&arena);
    return length;
}

const char *lt_reduce(Reduction *reduction, Arena *arena, const char *text) {
    static Edit *const edits[] = {flatten,     strip_names, drop_outputs, cut,
                                  drop_inputs, bypass,      drop_guards};
    Reducer r = {.reduction = reduction, .arena = arena, .text = text, .length = strlen(text)};
    r.limit = printed_length(&r);
    do {
        r.shrunk = false;
        try_edit(&r, flatten, (int[]){0, INT32_MAX});
        try_edit(&r, strip_names, (int[]){0, INT32_MAX});
        try_ends(&r);
        for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
            try_ranges(&r, edits[i]);
    } while (r.shrunk);
    return r.text;
}
