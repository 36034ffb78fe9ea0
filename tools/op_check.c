/* op_check.c - lathec --check: op by op, what of a model is supported, and why the rest is not. */
#include <string.h>

#include "tools/op_list.h"

enum { MOST_NAMES = 3 };

static bool is_about(const Diag *d, const OpCount *op) {
    return d->level == DIAG_ERROR && d->loc && d->loc->op && strcmp(d->loc->op, op->op) == 0;
}

/* Whether an earlier error of the op gives the same reason. */
static bool is_repeated(const DiagList *diags, size_t at, const OpCount *op) {
    for (size_t i = 0; i < at; i++)
        if (is_about(&diags->items.data[i], op) &&
            strcmp(diags->items.data[i].text, diags->items.data[at].text) == 0)
            return true;
    return false;
}

/* The nodes with the reason of error `at`: "a, b, c and 4 more". */
static const char *nodes_with(Compilation *c, size_t at, const OpCount *op) {
    const DiagList *diags = c->diags;
    Str text;
    uint32_t count = 0;
    lt_str_init(&text, &c->arena);
    for (size_t i = at; i < diags->items.len; i++) {
        const Diag *d = &diags->items.data[i];
        if (!is_about(d, op) || strcmp(d->text, diags->items.data[at].text) != 0)
            continue;
        if (count++ < MOST_NAMES)
            lt_str_printf(&text, "%s%s", count > 1 ? ", " : "", d->loc->node ? d->loc->node : "?");
    }
    if (count > MOST_NAMES)
        lt_str_printf(&text, " and %u more", count - MOST_NAMES);
    return text.text;
}

static void add_reasons(Compilation *c, const OpCount *op, TextTable *table) {
    const DiagList *diags = c->diags;
    for (size_t i = 0; i < diags->items.len; i++)
        if (is_about(&diags->items.data[i], op) && !is_repeated(diags, i, op))
            lt_table_row(table, "\t\t%s: %s", diags->items.data[i].text, nodes_with(c, i, op));
}

static const char *words_for(Compilation *c, const OpCount *op) {
    if (!op->refused && !op->skipped)
        return "supported";
    Str text;
    lt_str_init(&text, &c->arena);
    if (op->refused)
        lt_str_printf(&text, "%u not supported", op->refused);
    if (op->skipped)
        lt_str_printf(&text, "%s%u not judged: they need what those not supported make",
                      op->refused ? ", " : "", op->skipped);
    return text.text;
}

static void print_table(Compilation *c, const OpCounts *ops) {
    TextTable table;
    lt_table_init(&table, &c->arena, "rll", "nodes\top\t");
    for (size_t i = 0; i < ops->len; i++) {
        const OpCount *op = &ops->data[i];
        lt_table_row(&table, "%u\t%s\t%s", op->nodes, op->op, words_for(c, op));
        add_reasons(c, op, &table);
    }
    lt_table_print(&table, stdout);
}

static void print_json(const OpCounts *ops) {
    for (size_t i = 0; i < ops->len; i++) {
        const OpCount *op = &ops->data[i];
        fputs("{\"op\": ", stdout);
        lt_json_string(stdout, op->op);
        printf(", \"nodes\": %u, \"refused\": %u, \"skipped\": %u}\n", op->nodes, op->refused,
               op->skipped);
    }
}

static int read_only(Compilation *c, void *user) {
    (void)user;
    return lt_compile_read(c);
}

int lt_check_model(Compilation *c) {
    OpCounts ops = {0};
    c->ops = &ops;
    const int code = lt_compile_guarded(c, read_only, NULL);
    uint32_t nodes = 0, refused = 0, skipped = 0;
    for (size_t i = 0; i < ops.len; i++) {
        nodes += ops.data[i].nodes;
        refused += ops.data[i].refused;
        skipped += ops.data[i].skipped;
    }
    if (c->options->json)
        print_json(&ops);
    else if (ops.len)
        print_table(c, &ops);
    if (code == 0 && !c->options->json)
        printf("%s: %u nodes, all of them supported\n", c->path, ops.len ? nodes : c->nodes_read);
    else if (ops.len && !c->options->json)
        printf("%s: %u nodes, %u not supported, %u not judged\n", c->path, nodes, refused, skipped);
    return code;
}
