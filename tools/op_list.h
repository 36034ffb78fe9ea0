/* op_list.h - which ONNX ops are read: as a list, as a page, and for one model. */
#ifndef LATHE_TOOLS_OP_LIST_H
#define LATHE_TOOLS_OP_LIST_H

#include <stdio.h>

#include "tools/compile.h"

/* One op a line: its name, its opset versions, its operands, notes. */
void lt_ops_list(FILE *out);
/* One JSON object an op. */
void lt_ops_json(FILE *out);
/* Markdown: frontends/onnx/OPS.md. */
void lt_ops_page(FILE *out);

/* Reads the model of `c`, says on stdout what became of each of its ops, and returns the exit
 * code. Nothing is compiled. */
int lt_check_model(Compilation *c);

#endif
