/* fuse.h - groups of nodes that become one kernel; shared by the choice and the rebuilding. */
#ifndef LATHE_PASSES_FUSE_H
#define LATHE_PASSES_FUSE_H

#include "passes/pass.h"

typedef Vec(Node *) NodeList;

/* of[node id]: 1-based number of the node's group, 0: none. Members of a group are a connected
 * piece of the graph with at most one anchor, or an attention. */
typedef struct Groups {
    Module *module;
    Arena *scratch;
    uint32_t *of;    /* by node id */
    uint32_t count;  /* groups so far */
    uint32_t *sizes; /* members, by group number */
    uint32_t node_limit;
    Node **first, **next; /* members: the first by group number, the next by node id */
    Node **last;          /* by group number: the member that is last in the graph */
    Node **binder;        /* by symbol of data: who gives it its value; NULL: nobody here */
    bool has_binders;
    uint32_t *seen, walk; /* by node id: the last walk that came there */
} Groups;

enum { MAX_GROUP_MEMBERS = 48 };

/* Fills in `binder`. */
void lt_groups_find_binders(Groups *groups, Graph *g);
/* Adds what n reads, or mentions the symbols of, to the list. */
void lt_groups_depends(Groups *groups, const Node *n, NodeList *list);
/* Whether n depends on the group through a node that is no member. */
bool lt_groups_reach(Groups *groups, const Node *n, uint32_t group);
/* Replaces every group by a `fused` node and sorts the graph again. */
void lt_groups_build(Groups *groups, Graph *g);

#endif
