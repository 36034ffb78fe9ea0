/* fuse.h - groups of nodes that become one kernel; shared by the choice and the rebuilding. */
#ifndef LATHE_PASSES_FUSE_H
#define LATHE_PASSES_FUSE_H

#include "passes/pass.h"

/* group[node id]: 1-based number of the node's group, 0: none. Members of a group are a connected
 * piece of the graph with at most one anchor; `order` is the graph's nodes in topological order. */
typedef struct Groups {
    Module *module;
    Arena *scratch;
    uint32_t *of;    /* by node id */
    uint32_t count;  /* groups so far */
    uint32_t *sizes; /* members, by group number */
    uint32_t node_limit;
} Groups;

enum { MAX_GROUP_MEMBERS = 48 };

/* Replaces every group by a `fused` node and sorts the graph again. */
void lt_groups_build(Groups *groups, Graph *g);

#endif
