/* dump.h - the parts of lathe-dump. */
#ifndef LATHE_TOOLS_DUMP_H
#define LATHE_TOOLS_DUMP_H

#include "tools/compile.h"

/* The main graph as a Graphviz digraph: a box a node, values on the edges; fused groups are
 * clusters of their parts. */
void lt_dump_dot(Str *out, const Module *m);
/* Writes `dot` to dot_path, and its drawing to svg_path through Graphviz; either may be NULL. An
 * exit code. */
int lt_dump_write_graph(const char *dot, const char *dot_path, const char *svg_path);
/* What a box of the graph says: the op, or the function of a map, and below it the parts of a fused
 * group, one a line. */
void lt_dump_node_label(Str *text, const Node *n);
/* The inputs and nodes of the main graph, a line each, with values by their ids: texts of two
 * stages can be compared line by line. In the arena. */
const char *lt_dump_graph_text(Arena *arena, const Module *m);
/* All of it or nothing; says why not. An exit code. */
int lt_dump_write_text(const char *path, const char *text);
/* The least value of every symbol, by its number: what sizes are shown for. In the arena. */
int64_t *lt_dump_least_symbols(Arena *arena, const DimTable *dims);
/* The arena over the steps: one row a buffer, one column a step (or several), and the peak. */
void lt_dump_memory(const Compilation *c, FILE *out);
/* Runs the passes; for each that is listed ("all": for every one), a diff of what it changed. The
 * model has been read. An exit code. */
int lt_dump_diff(Compilation *c, const char *list);
/* Runs both, which are not read yet, and shows the first pass after which their IR differs. `words`
 * are the options that only the second has. An exit code. */
int lt_dump_diff_with(Compilation *without, Compilation *with, const char *words);
/* Runs the model after every pass, on inputs from `sources` (--input NAME=FILE.npy, ...), and names
 * the first pass that changes its outputs. The model has been read. 5 when there is one. */
int lt_dump_bisect(Compilation *c, const CliList *sources);
/* Shrinks the model, which has been read, while `command FILE.lir` exits with 0, and prints what is
 * left. An exit code. */
int lt_dump_reduce(Compilation *c, const char *command);

/* Runs the passes, generates code, and writes a page that shows all of it. trace_path: a trace of
 * lathe-run --profile, or NULL. The model has been read. An exit code. */
int lt_dump_html(Compilation *c, const char *path, const char *trace_path);

#endif
