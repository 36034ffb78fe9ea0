/* op_list.c - which ONNX ops are read, from frontends/onnx/ops.def. */
#include "tools/op_list.h"

#include <stdlib.h>
#include <string.h>

#include "frontends/onnx/ops.h"

static const struct {
    const char *name, *text;
} notes[] = {
#define ONNX_NOTE(name, text) {name, text},
#include "frontends/onnx/notes.def"
#undef ONNX_NOTE
};

static const char *note_of(const char *name) {
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (strcmp(notes[i].name, name) == 0)
            return notes[i].text;
    return "";
}

static size_t domain_length(const char *name) {
    const char *colons = strstr(name, "::");
    return colons ? (size_t)(colons - name) : 0;
}

static const char *short_name(const char *name) {
    const size_t length = domain_length(name);
    return length ? name + length + 2 : name;
}

/* By domain, ai.onnx first; by name; by version. */
static int compare_rows(const void *a, const void *b) {
    const OnnxOp *x = *(const OnnxOp *const *)a, *y = *(const OnnxOp *const *)b;
    const size_t dx = domain_length(x->name), dy = domain_length(y->name);
    int order = strncmp(x->name, y->name, dx > dy ? dx : dy);
    if (!dx != !dy)
        return dx ? 1 : -1;
    if (dx && order)
        return order;
    order = strcmp(short_name(x->name), short_name(y->name));
    return order ? order : (x->low > y->low) - (x->low < y->low);
}

/* Rows of one op whose versions follow each other. */
typedef struct OpRows {
    const OnnxOp *const *rows;
    size_t count;
} OpRows;

typedef void OpPrinter(const OpRows *op, FILE *out);

static void each_op(OpPrinter *print, FILE *out) {
    const OnnxOp **sorted = calloc(lt_onnx_op_count, sizeof *sorted);
    if (!sorted)
        return;
    for (uint32_t i = 0; i < lt_onnx_op_count; i++)
        sorted[i] = &lt_onnx_ops[i];
    qsort(sorted, lt_onnx_op_count, sizeof *sorted, compare_rows);
    for (size_t i = 0, n; i < lt_onnx_op_count; i += n) {
        for (n = 1; i + n < lt_onnx_op_count; n++)
            if (strcmp(sorted[i]->name, sorted[i + n]->name) != 0)
                break;
        print(&(OpRows){sorted + i, n}, out);
    }
    free(sorted);
}

/* "1-28", "7", "1-5, 9-28" */
static const char *versions_of(const OpRows *op, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < op->count && used < size; i++) {
        const int32_t low = op->rows[i]->low;
        while (i + 1 < op->count && op->rows[i + 1]->low == op->rows[i]->high + 1)
            i++;
        const int32_t high = op->rows[i]->high;
        used += (size_t)snprintf(text + used, size - used, "%s%d", used ? ", " : "", low);
        if (low != high && used < size)
            used += (size_t)snprintf(text + used, size - used, "-%d", high);
    }
    return text;
}

/* "2", "1-3", "1 or more": of the newest version. */
static const char *operands_of(const OnnxOp *op, char *text, size_t size) {
    if (op->max_inputs < 0)
        snprintf(text, size, "%d or more", op->min_inputs);
    else if (op->min_inputs == op->max_inputs)
        snprintf(text, size, "%d", op->min_inputs);
    else
        snprintf(text, size, "%d-%d", op->min_inputs, op->max_inputs);
    return text;
}

static const char *outputs_of(const OnnxOp *op, char *text, size_t size) {
    if (op->max_outputs < 0)
        return "1 or more";
    if (op->max_outputs == 1)
        return "1";
    snprintf(text, size, "1-%d", op->max_outputs);
    return text;
}

enum { TEXT = 64 };

static void print_line(const OpRows *op, FILE *out) {
    const OnnxOp *newest = op->rows[op->count - 1];
    char versions[TEXT], inputs[TEXT], outputs[TEXT];
    const bool is_onnx = domain_length(newest->name) == 0;
    const char *note = note_of(newest->name);
    const int width = 44 - (is_onnx ? (int)strlen("ai.onnx::") : 0);
    fprintf(out, "%s%-*s opset %-7s %s to %s%s%s\n", is_onnx ? "ai.onnx::" : "", width,
            newest->name, versions_of(op, versions, TEXT), operands_of(newest, inputs, TEXT),
            outputs_of(newest, outputs, TEXT), *note ? "; " : "", note);
}

void lt_ops_list(FILE *out) { each_op(print_line, out); }

static void print_json(const OpRows *op, FILE *out) {
    const OnnxOp *newest = op->rows[op->count - 1];
    const size_t domain = domain_length(newest->name);
    fprintf(out, "{\"domain\": \"%.*s\", \"op\": \"%s\", \"versions\": [", domain ? (int)domain : 7,
            domain ? newest->name : "ai.onnx", short_name(newest->name));
    for (size_t i = 0; i < op->count; i++)
        fprintf(out, "%s[%d, %d]", i ? ", " : "", op->rows[i]->low, op->rows[i]->high);
    fprintf(out, "], \"min_inputs\": %d, \"max_inputs\": %d, \"max_outputs\": %d, \"attributes\": ",
            newest->min_inputs, newest->max_inputs, newest->max_outputs);
    lt_json_string(out, newest->attributes);
    fputs(", \"note\": ", out);
    lt_json_string(out, note_of(newest->name));
    fputs("}\n", out);
}

void lt_ops_json(FILE *out) { each_op(print_json, out); }

static void print_page_row(const OpRows *op, FILE *out) {
    const OnnxOp *newest = op->rows[op->count - 1];
    char versions[TEXT], inputs[TEXT], outputs[TEXT];
    const size_t domain = domain_length(newest->name);
    const char *note = note_of(newest->name);
    fprintf(out, "| %.*s | %s | %s | %s | %s | %s%s%s |\n", domain ? (int)domain : 7,
            domain ? newest->name : "ai.onnx", short_name(newest->name),
            versions_of(op, versions, TEXT), operands_of(newest, inputs, TEXT),
            outputs_of(newest, outputs, TEXT), newest->attributes,
            *note && *newest->attributes ? "; " : "", note);
}

void lt_ops_page(FILE *out) {
    fputs("# ONNX ops that lathe reads\n\n"
          "Made by `make ops-page` from `frontends/onnx/ops.def` and `notes.def`. `lathec\n"
          "--list-ops` prints the same, `lathec --check MODEL` says what holds for one model. An\n"
          "op, a version or an attribute that is not here is refused by name. Functions that a\n"
          "model defines are read where they are called.\n\n"
          "Opsets are those of the op's domain. Inputs, outputs and attributes are those of the\n"
          "newest version; behind them stands what is not read.\n\n"
          "| domain | op | opset | inputs | outputs | attributes; notes |\n"
          "|---|---|---|---|---|---|\n",
          out);
    each_op(print_page_row, out);
}
