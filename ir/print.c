/* print.c - the text form of modules; ir/GRAMMAR.md describes it. Values are numbered in the order
 * in which they are printed, so that the text does not depend on the history of the ids. */
#include <assert.h>

#include "ir/lex.h"
#include "ir/text.h"

typedef struct Printer {
    Str *out;
    const uint32_t *numbers; /* by value id; NULL: the id itself */
    bool elided;             /* large constants as hashes */
    int depth;
} Printer;

static void print_graph_body(Printer *p, const Graph *g);

static void print_indent(Printer *p) {
    for (int i = 0; i < p->depth; i++)
        lt_str_append(p->out, "  ");
}

/* --- values ---------------------------------------------------------------------------------- */

static void print_value(Printer *p, const Value *value) {
    if (value)
        lt_str_printf(p->out, "%%%u", p->numbers ? p->numbers[value->id] : value->id);
    else
        lt_str_char(p->out, '_');
}

static void print_definition(Printer *p, const Value *value) {
    print_value(p, value);
    if (value->name) {
        lt_str_char(p->out, ' ');
        lt_str_quote(p->out, value->name);
    }
}

static void print_type(Printer *p, const Type *type) {
    if (type)
        lt_type_print(p->out, type);
    else
        lt_str_char(p->out, '?');
}

/* --- attributes ------------------------------------------------------------------------------ */

static void print_attr_list(Printer *p, const Attr *attr, bool dims) {
    lt_str_char(p->out, '[');
    for (uint32_t i = 0; i < attr->count; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        if (dims)
            lt_dim_print(p->out, attr->u.dims[i]);
        else
            lt_str_printf(p->out, "%lld", (long long)attr->u.ints[i]);
    }
    lt_str_char(p->out, ']');
}

static void print_attr_value(Printer *p, const Attr *attr) {
    switch (lt_attr_info[attr->name].kind) {
    case ATTR_KIND_INT: lt_str_printf(p->out, "%lld", (long long)attr->u.i); break;
    case ATTR_KIND_BOOL: lt_str_append(p->out, attr->u.i ? "true" : "false"); break;
    case ATTR_KIND_FLOAT: lt_str_double(p->out, attr->u.f, false); break;
    case ATTR_KIND_STRING: lt_str_quote(p->out, attr->u.s); break;
    case ATTR_KIND_DTYPE: lt_str_append(p->out, lt_dtype_name((DType)attr->u.i)); break;
    case ATTR_KIND_SCALAR: lt_str_append(p->out, lt_scalar_info[attr->u.i].name); break;
    case ATTR_KIND_CONST: lt_const_print(p->out, attr->u.c, p->elided); break;
    case ATTR_KIND_INTS:
    case ATTR_KIND_DIMS:
        print_attr_list(p, attr, lt_attr_info[attr->name].kind == ATTR_KIND_DIMS);
        break;
    }
}

/* Part of the op's spelling, not of the braces. */
static bool is_spelled_out(const Node *node, AttrName name) {
    const bool required = lt_op_info[node->op].required >> ATTR_FN & 1;
    return (name == ATTR_FN && required) || (name == ATTR_VALUE && node->op == OP_CONST);
}

static void print_attrs(Printer *p, const Node *node) {
    const char *separator = " {";
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const Attr *attr = &node->attrs[i];
        if (is_spelled_out(node, attr->name))
            continue;
        lt_str_printf(p->out, "%s%s = ", separator, lt_attr_info[attr->name].name);
        print_attr_value(p, attr);
        separator = ", ";
    }
    if (*separator == ',')
        lt_str_char(p->out, '}');
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void print_op(Printer *p, const Node *node) {
    const Attr *fn = lt_attr(node, ATTR_FN);
    const char *name = lt_op_info[node->op].name;
    if (!fn || !is_spelled_out(node, ATTR_FN))
        lt_str_append(p->out, name);
    else if (node->op == OP_MAP)
        lt_str_append(p->out, lt_scalar_info[fn->u.i].name);
    else
        lt_str_printf(p->out, "%s.%s", name, lt_scalar_info[fn->u.i].name);
    const Attr *value = node->op == OP_CONST ? lt_attr(node, ATTR_VALUE) : NULL;
    if (value) {
        lt_str_char(p->out, ' ');
        lt_const_print(p->out, value->u.c, p->elided);
    }
}

static void print_parameters(Printer *p, const Graph *g) {
    lt_str_char(p->out, '(');
    for (size_t i = 0; i < g->inputs.len; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        print_definition(p, g->inputs.data[i]);
        lt_str_append(p->out, ": ");
        print_type(p, g->inputs.data[i]->type);
    }
    lt_str_char(p->out, ')');
}

static void print_region(Printer *p, const Graph *g) {
    lt_str_append(p->out, " region");
    if (g->name) {
        lt_str_char(p->out, ' ');
        lt_str_quote(p->out, g->name);
    }
    print_parameters(p, g);
    print_graph_body(p, g);
}

/* The type of a const is in its value. */
static void print_result_types(Printer *p, const Node *node) {
    if (node->output_count == 0 || node->op == OP_CONST)
        return;
    lt_str_append(p->out, node->output_count == 1 ? " : " : " : (");
    for (uint32_t i = 0; i < node->output_count; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        print_type(p, node->outputs[i]->type);
    }
    lt_str_append(p->out, node->output_count == 1 ? "" : ")");
}

static void print_quoted_or_absent(Str *out, const char *text) {
    if (text)
        lt_str_quote(out, text);
    else
        lt_str_char(out, '_');
}

/* Places in a text file are not written: they are of the text that was read, not of this one. */
static void print_loc(Printer *p, const Loc *loc) {
    const char *separator = " loc(";
    for (; loc; loc = loc->next) {
        if (!loc->node && !loc->op)
            continue;
        lt_str_append(p->out, separator);
        print_quoted_or_absent(p->out, loc->node);
        lt_str_char(p->out, ' ');
        print_quoted_or_absent(p->out, loc->op);
        separator = ", ";
    }
    if (*separator == ',')
        lt_str_char(p->out, ')');
}

static void print_node(Printer *p, const Node *node) {
    print_indent(p);
    for (uint32_t i = 0; i < node->output_count; i++) {
        lt_str_append(p->out, i > 0 ? ", " : "");
        print_definition(p, node->outputs[i]);
    }
    lt_str_append(p->out, node->output_count > 0 ? " = " : "");
    print_op(p, node);
    for (uint32_t i = 0; i < node->input_count; i++) {
        lt_str_append(p->out, i > 0 ? ", " : " ");
        print_value(p, node->inputs[i].value);
    }
    print_attrs(p, node);
    for (uint32_t i = 0; i < node->region_count; i++)
        print_region(p, node->regions[i]);
    print_result_types(p, node);
    print_loc(p, node->loc);
}

static void print_graph_body(Printer *p, const Graph *g) {
    lt_str_append(p->out, " {\n");
    p->depth++;
    LT_EACH_NODE(node, g) {
        print_node(p, node);
        lt_str_char(p->out, '\n');
    }
    p->depth--;
    print_indent(p);
    lt_str_char(p->out, '}');
}

/* --- modules --------------------------------------------------------------------------------- */

static void number_graph(const Graph *g, uint32_t *numbers, uint32_t *next) {
    for (size_t i = 0; i < g->inputs.len; i++)
        numbers[g->inputs.data[i]->id] = (*next)++;
    LT_EACH_NODE(node, g) {
        for (uint32_t i = 0; i < node->output_count; i++)
            numbers[node->outputs[i]->id] = (*next)++;
        for (uint32_t i = 0; i < node->region_count; i++)
            number_graph(node->regions[i], numbers, next);
    }
}

static void print_symbols(Str *out, const DimTable *t) {
    for (size_t i = 0; i < t->symbols.len; i++) {
        const DimSymbol *symbol = &t->symbols.data[i];
        lt_str_append(out, "symbol ");
        lt_dim_print(out, symbol->dim);
        lt_str_printf(out, " in %lld..", (long long)symbol->lo);
        if (symbol->hi != LT_DIM_UNBOUNDED)
            lt_str_printf(out, "%lld", (long long)symbol->hi);
        lt_str_append(out, symbol->data_dependent ? " data\n" : "\n");
    }
}

static void print_guards(Printer *p, const Module *m) {
    for (size_t i = 0; i < m->guards.len; i++) {
        const DimGuard *guard = &m->guards.data[i];
        if (guard->graph != m->main) /* found again by inference */
            continue;
        lt_str_append(p->out, "guard ");
        lt_dim_print(p->out, guard->a);
        lt_str_append(p->out, " == ");
        lt_dim_print(p->out, guard->b);
        print_loc(p, guard->loc);
        lt_str_char(p->out, '\n');
    }
}

static void print_module(Str *out, const Module *m, bool elided) {
    Arena scratch;
    lt_arena_init(&scratch);
    scratch.out_of_memory = out->arena->out_of_memory;
    uint32_t *numbers = LT_ARRAY(&scratch, uint32_t, m->next_value), next = 0;
    number_graph(m->main, numbers, &next);
    Printer p = {.out = out, .numbers = numbers, .elided = elided};
    if (m->name) {
        lt_str_append(out, "module ");
        lt_str_quote(out, m->name);
        lt_str_char(out, '\n');
    }
    print_symbols(out, &m->dims);
    print_guards(&p, m);
    const char *name = m->main->name ? m->main->name : "";
    lt_str_append(out, "graph ");
    if (lt_is_identifier(name))
        lt_str_append(out, name);
    else
        lt_str_quote(out, name);
    print_parameters(&p, m->main);
    print_graph_body(&p, m->main);
    lt_str_char(out, '\n');
    lt_arena_free(&scratch);
}

void lt_module_print(Str *out, const Module *m) { print_module(out, m, false); }
void lt_module_print_elided(Str *out, const Module *m) { print_module(out, m, true); }

void lt_node_print(Str *out, const Node *node) {
    Printer p = {.out = out, .elided = true};
    print_node(&p, node);
}
