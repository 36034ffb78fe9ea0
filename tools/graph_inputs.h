/* graph_inputs.h - inputs of a graph as lathe-run's --input tells them: NAME=FILE.npy, FILE.pb,
 * random[:SEED] or zeros; what is not named is random. */
#ifndef LATHE_TOOLS_GRAPH_INPUTS_H
#define LATHE_TOOLS_GRAPH_INPUTS_H

#include "ir/eval.h"
#include "tools/cli.h"

/* Whether a value of --input is one of these sources, rather than a shape. */
bool lt_is_input_source(const char *value);

/* One tensor for each input of m's main graph, in the arena. Symbols that no file tells are the
 * least they may be, at least 1. 0, or an exit code, with the reason on stderr. */
int lt_graph_inputs(Arena *arena, const Module *m, const CliList *sources, const Tensor **inputs);

#endif
