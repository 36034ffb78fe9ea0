/* reduce.h - shrinks IR to the smallest that is still interesting, as creduce and llvm-reduce do
 * (delta debugging: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input",
 * 2002).
 *
 * Candidates are made from the text that is the smallest so far: cut off what comes before or
 * behind a node, go around nodes, make constants uniform, drop outputs, inputs, names. One that is
 * well-formed, shorter and interesting takes its place, until none is left. */
#ifndef LATHE_TOOLS_REDUCE_H
#define LATHE_TOOLS_REDUCE_H

#include "ir/graph.h"

typedef struct Reduction {
    bool (*is_interesting)(void *user, const char *text);
    /* Called before every try; may be NULL. */
    void (*progress)(void *user, int tries, size_t bytes);
    void *user;
    int tries, kept;
} Reduction;

/* The text of the smallest module found, in the arena; `text` itself, which must be interesting,
 * when nothing can go. */
const char *lt_reduce(Reduction *r, Arena *arena, const char *text);

#endif
