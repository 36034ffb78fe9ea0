/* lower_in_place.c - which operands' memory the first result may take.
 *
 * A parameter qualifies when every element of it is read in one place: in front of or in the only
 * store to the first result, in the same list of statements, at the index that is stored to. Then
 * an element is gone only after the one iteration that needs it has read it. */
#include <string.h>

#include "passes/lower_internal.h"

typedef struct Search {
    const Buffer *out;
    const Stmt *store; /* the only store to it */
    int stores;
    uint64_t candidates; /* parameters that were not ruled out */
    uint32_t *seen;      /* by expression: the last expression tree that it was found in */
    uint32_t tree;
} Search;

static void find_store(Search *search, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_STORE && s->u.store.buffer == search->out) {
            search->store = s;
            search->stores++;
        } else if (s->kind == STMT_FOR) {
            find_store(search, s->u.loop.body);
        } else if (s->kind == STMT_IF) {
            find_store(search, s->u.branch.body);
            find_store(search, s->u.branch.otherwise);
        }
    }
}

/* Rules out what e loads, unless it may be loaded here at the stored index. */
static void check_node(Search *search, const Expr *e, bool allowed) {
    if (search->seen[e->id] == search->tree)
        return;
    search->seen[e->id] = search->tree;
    if (e->kind == EXPR_LOAD) {
        const Buffer *b = e->u.load.buffer;
        const bool same = allowed && b->rank == search->out->rank &&
                          memcmp(e->u.load.index, search->store->u.store.index,
                                 (size_t)b->rank * sizeof *e->u.load.index) == 0;
        if (!same && b->index < 64)
            search->candidates &= ~(UINT64_C(1) << b->index);
        if (e->u.load.predicate)
            check_node(search, e->u.load.predicate, allowed);
    }
    for (int i = 0; i < 3 && lt_expr_has_args(e); i++)
        if (e->u.call.args[i])
            check_node(search, e->u.call.args[i], allowed);
}

static void check_expr(Search *search, const Expr *e, bool allowed) {
    search->tree++;
    check_node(search, e, allowed);
}

static bool holds(const Stmt *list, const Stmt *wanted) {
    for (; list; list = list->next)
        if (list == wanted)
            return true;
    return false;
}

static void check_list(Search *search, const Stmt *list) {
    bool allowed = holds(list, search->store);
    for (const Stmt *s = list; s; s = s->next) {
        switch (s->kind) {
        case STMT_FOR: check_list(search, s->u.loop.body); break;
        case STMT_IF:
            check_expr(search, s->u.branch.condition, false);
            check_list(search, s->u.branch.body);
            check_list(search, s->u.branch.otherwise);
            break;
        case STMT_STORE: check_expr(search, s->u.store.value, allowed); break;
        case STMT_LET: check_expr(search, s->u.let.value, allowed); break;
        case STMT_ALLOC:
        case STMT_PREFETCH:
        case STMT_BARRIER:
        case STMT_COMMIT:
        case STMT_COMBINE: break;
        }
        allowed = allowed && s != search->store;
    }
}

void lt_lower_find_in_place(Kernel *k) {
    Search search = {.seen = LT_ARRAY(k->arena, uint32_t, k->next_expr)};
    for (uint32_t i = k->param_count; i-- > 0;)
        if (k->buffers.data[i]->kind == BUFFER_OUTPUT)
            search.out = k->buffers.data[i];
    find_store(&search, k->body);
    if (search.stores != 1)
        return;
    for (uint32_t i = 0; i < k->param_count && i < 64; i++) {
        const Buffer *b = k->buffers.data[i];
        const bool same_dims =
            b->rank == search.out->rank &&
            memcmp(b->dims, search.out->dims, (size_t)b->rank * sizeof *b->dims) == 0;
        if (b->kind == BUFFER_INPUT && same_dims && b->dtype == search.out->dtype)
            search.candidates |= UINT64_C(1) << i;
    }
    check_list(&search, k->body);
    k->in_place = search.candidates;
}
