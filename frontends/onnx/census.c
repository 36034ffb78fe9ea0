/* census.c - for --check: how many nodes of each op a model has, and what became of them. */
#include <string.h>

#include "frontends/onnx/scope.h"

static OpCount *row_of(Import *im) {
    OpCounts *ops = im->options ? im->options->ops : NULL;
    if (!ops)
        return NULL;
    const char *name = lt_onnx_op_text(im);
    for (size_t i = 0; i < ops->len; i++)
        if (strcmp(ops->data[i].op, name) == 0)
            return &ops->data[i];
    lt_vec_push(im->arena, ops, (OpCount){.op = name});
    return &ops->data[ops->len - 1];
}

void lt_onnx_count_node(Import *im) {
    OpCount *row = row_of(im);
    if (row)
        row->nodes++;
}

/* Errors of nodes in its subgraphs are theirs. */
void lt_onnx_count_outcome(Import *im, size_t first_diag, bool is_skipped) {
    const DiagList *diags = &im->module->diags;
    OpCount *row = row_of(im);
    bool has_error = false, is_refused = false;
    if (!row)
        return;
    for (size_t i = first_diag; i < diags->items.len; i++) {
        const Diag *d = &diags->items.data[i];
        if (d->level != DIAG_ERROR)
            continue;
        has_error = true;
        is_refused |= d->loc && d->loc->node == im->node->loc->node;
    }
    if (is_refused)
        row->refused++;
    else if (is_skipped || has_error)
        row->skipped++;
}
