/* parse.c - reads the text form of modules (ir/GRAMMAR.md): one token of lookahead, nodes are made
 * and inferred as they are read, and the first error ends reading. */
#include "ir/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MALFORMED = 4 /* include/lathe/status.def */, NESTING_LIMIT = 32 };

typedef Vec(Value *) ValueVec;

typedef struct Name {
    const char *label; /* %label */
    const char *model; /* the model's name, or NULL */
    const char *start;
} Name;

typedef Vec(Name) NameVec;

/* The values of one graph by label; regions do not see the values around them. */
typedef struct Scope {
    Graph *graph;
    Map values;
} Scope;

/* A node as it is read. */
typedef struct Statement {
    NameVec results;
    Op op;
    const char *start, *op_start;
    ValueVec inputs;
    AttrVec attrs;
    Loc *loc;
} Statement;

/* --- errors and tokens ----------------------------------------------------------------------- */

static const Loc *place(Parser *p, const char *at) {
    Loc *loc = LT_NEW(p->module->arena, Loc);
    lt_lex_position(&p->lexer, at, &loc->line, &loc->column);
    return loc;
}

const Loc *lt_parse_here(Parser *p) { return place(p, p->lexer.token.start); }

bool lt_parse_fail(Parser *p, const char *at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = lt_arena_vprintf(p->module->arena, format, args);
    va_end(args);
    DiagList *diags = &p->module->diags;
    lt_error(diags, MALFORMED, place(p, at), "%s", text);
    lt_vec_last(&diags->items).source_line = lt_lex_line(&p->lexer);
    return false;
}

/* Errors of inference are at a node's location: they get the caret line of that node. */
static bool fail_inference(Parser *p, const char *start) {
    DiagList *diags = &p->module->diags;
    int32_t line, column;
    lt_lex_position(&p->lexer, start, &line, &column);
    for (size_t i = 0; i < diags->items.len; i++) {
        Diag *diag = &diags->items.data[i];
        if (!diag->source_line && diag->loc && diag->loc->line == line)
            diag->source_line = lt_lex_line(&p->lexer);
    }
    return false;
}

static const char *describe(Parser *p) {
    const Token *token = &p->lexer.token;
    Arena *arena = p->module->arena;
    switch (token->kind) {
    case TOKEN_END: return "the end of the text";
    case TOKEN_STRING: return "a string";
    case TOKEN_VALUE: return lt_arena_printf(arena, "%%%.40s", token->text);
    case TOKEN_MARK: return lt_arena_printf(arena, "'%c'", token->mark);
    default: return lt_arena_printf(arena, "%.40s", token->text);
    }
}

bool lt_parse_expected(Parser *p, const char *what) {
    const Token *token = &p->lexer.token;
    if (token->kind == TOKEN_BAD)
        return lt_parse_fail(p, token->start, "%s", token->error);
    return lt_parse_fail(p, token->start, "%s is expected, found %s", what, describe(p));
}

bool lt_parse_is_mark(const Parser *p, char mark) {
    return p->lexer.token.kind == TOKEN_MARK && p->lexer.token.mark == mark;
}

bool lt_parse_is_word(const Parser *p, const char *word) {
    return p->lexer.token.kind == TOKEN_WORD && strcmp(p->lexer.token.text, word) == 0;
}

bool lt_parse_accept(Parser *p, char mark) {
    const bool is_there = lt_parse_is_mark(p, mark);
    if (is_there)
        lt_lex_next(&p->lexer);
    return is_there;
}

bool lt_parse_accept_word(Parser *p, const char *word) {
    const bool is_there = lt_parse_is_word(p, word);
    if (is_there)
        lt_lex_next(&p->lexer);
    return is_there;
}

bool lt_parse_mark(Parser *p, char mark) {
    const char what[] = {'\'', mark, '\'', '\0'};
    return lt_parse_accept(p, mark) || lt_parse_expected(p, what);
}

bool lt_parse_string(Parser *p, const char **out) {
    if (p->lexer.token.kind != TOKEN_STRING)
        return lt_parse_expected(p, "a string");
    *out = p->lexer.token.text;
    lt_lex_next(&p->lexer);
    return true;
}

bool lt_parse_integer(Parser *p, int64_t *out) {
    const Token *token = &p->lexer.token;
    char *end = NULL;
    errno = 0;
    if (token->kind == TOKEN_NUMBER)
        *out = strtoll(token->text, &end, 10);
    if (!end || *end || errno)
        return lt_parse_expected(p, "an integer of 64 bits");
    lt_lex_next(&p->lexer);
    return true;
}

/* --- values ---------------------------------------------------------------------------------- */

static bool parse_label(Parser *p, Name *name) {
    if (p->lexer.token.kind != TOKEN_VALUE)
        return lt_parse_expected(p, "a value (%name)");
    *name = (Name){.label = p->lexer.token.text, .start = p->lexer.token.start};
    lt_lex_next(&p->lexer);
    return p->lexer.token.kind != TOKEN_STRING || lt_parse_string(p, &name->model);
}

static bool define(Parser *p, Scope *scope, const Name *name, Value *value) {
    if (lt_strmap_has(&scope->values, name->label))
        return lt_parse_fail(p, name->start, "%%%.40s is defined twice", name->label);
    lt_strmap_set(&scope->values, name->label, value);
    value->name = name->model;
    return true;
}

static bool parse_operand(Parser *p, Scope *scope, ValueVec *inputs) {
    const Token token = p->lexer.token;
    Value *value = NULL;
    if (token.kind == TOKEN_VALUE) {
        value = lt_strmap_get(&scope->values, token.text);
        if (!value)
            return lt_parse_fail(p, token.start, "%%%.40s is not defined before this in its graph",
                                 token.text);
    } else if (!lt_parse_is_word(p, "_")) {
        return lt_parse_expected(p, "a value (%name) or _");
    }
    lt_lex_next(&p->lexer);
    lt_vec_push(p->module->arena, inputs, value);
    return true;
}

/* After an op that has none, a value is the first result of the next node. */
static bool parse_operands(Parser *p, Scope *scope, Statement *s) {
    const bool is_operand = p->lexer.token.kind == TOKEN_VALUE || lt_parse_is_word(p, "_");
    if (!is_operand || lt_op_info[s->op].max_inputs == 0)
        return true;
    do {
        if (!parse_operand(p, scope, &s->inputs))
            return false;
    } while (lt_parse_accept(p, ','));
    return true;
}

static bool parse_parameters(Parser *p, Scope *scope) {
    if (!lt_parse_mark(p, '('))
        return false;
    while (!lt_parse_is_mark(p, ')')) {
        Name name = {0};
        const Type *type;
        if (scope->graph->inputs.len > 0 && !lt_parse_mark(p, ','))
            return false;
        if (!parse_label(p, &name) || !lt_parse_mark(p, ':') || !lt_parse_type(p, &type))
            return false;
        if (!define(p, scope, &name, lt_graph_add_input(scope->graph, type, NULL)))
            return false;
    }
    return lt_parse_mark(p, ')');
}

/* --- nodes ----------------------------------------------------------------------------------- */

static bool parse_results(Parser *p, NameVec *results) {
    if (p->lexer.token.kind != TOKEN_VALUE)
        return true;
    do {
        Name name = {0};
        if (!parse_label(p, &name))
            return false;
        lt_vec_push(p->module->arena, results, name);
    } while (lt_parse_accept(p, ','));
    return lt_parse_mark(p, '=');
}

/* `conv`, `add` (a map), `reduce.add` */
static bool parse_op(Parser *p, Statement *s) {
    const Token token = p->lexer.token;
    ScalarFn fn = FN_ADD;
    s->op_start = token.start;
    if (token.kind != TOKEN_WORD)
        return lt_parse_expected(p, "an op");
    const char *dot = strchr(token.text, '.');
    const char *head =
        dot ? lt_arena_strndup(p->module->arena, token.text, (size_t)(dot - token.text))
            : token.text;
    bool has_fn = dot && lt_scalar_parse(dot + 1, &fn);
    bool known = lt_op_parse(head, &s->op) && (!dot || has_fn);
    if (!known && !dot && lt_scalar_parse(head, &fn)) {
        s->op = OP_MAP;
        known = has_fn = true;
    }
    if (!known)
        return lt_parse_fail(p, token.start, "%.40s is not an op that is known", token.text);
    lt_lex_next(&p->lexer);
    if (has_fn)
        lt_vec_push(p->module->arena, &s->attrs, (Attr){.name = ATTR_FN, .u.i = fn});
    return true;
}

static bool parse_const_value(Parser *p, Statement *s) {
    Attr attr = {.name = ATTR_VALUE};
    if (!lt_parse_const(p, &attr.u.c))
        return false;
    lt_vec_push(p->module->arena, &s->attrs, attr);
    return true;
}

static bool parse_name_or_absent(Parser *p, const char **out) {
    *out = NULL;
    return lt_parse_accept_word(p, "_") || lt_parse_string(p, out);
}

/* `loc("Conv_0" "Conv", ...)`, or nothing; the first entry goes into *loc, which has a place
 * already. */
static bool parse_loc(Parser *p, Loc *loc) {
    if (!lt_parse_accept_word(p, "loc"))
        return true;
    if (!lt_parse_mark(p, '('))
        return false;
    for (bool first = true; first || lt_parse_accept(p, ','); first = false) {
        if (!first) {
            Loc *next = LT_NEW(p->module->arena, Loc);
            loc->next = next;
            loc = next;
        }
        if (!parse_name_or_absent(p, &loc->node) || !parse_name_or_absent(p, &loc->op))
            return false;
    }
    return lt_parse_mark(p, ')');
}

static bool parse_graph_body(Parser *p, Scope *scope);

static bool parse_region(Parser *p, Node *node, uint32_t index) {
    const char *start = p->lexer.token.start;
    if (p->nesting == NESTING_LIMIT)
        return lt_parse_fail(p, start, "at most %d regions inside each other are expected",
                             NESTING_LIMIT);
    lt_lex_next(&p->lexer);
    Scope scope = {.graph = node->regions[index]};
    lt_map_init(&scope.values, p->module->arena);
    if (p->lexer.token.kind == TOKEN_STRING && !lt_parse_string(p, &scope.graph->name))
        return false;
    p->nesting++;
    const bool ok = parse_parameters(p, &scope) && parse_graph_body(p, &scope);
    p->nesting--;
    return ok;
}

/* Regions come one after the other, before it is known how many: the node's list grows with them.
 */
static bool parse_regions(Parser *p, Node *node) {
    while (lt_parse_is_word(p, "region")) {
        Graph **grown = LT_ARRAY(p->module->arena, Graph *, node->region_count + 1);
        if (node->region_count > 0)
            memcpy(grown, node->regions, node->region_count * sizeof *grown);
        grown[node->region_count] = lt_graph_new(p->module, node, NULL);
        node->regions = grown;
        if (!parse_region(p, node, node->region_count++))
            return false;
    }
    return true;
}

static const char *type_text(Parser *p, const Type *type) {
    Str text;
    lt_str_init(&text, p->module->arena);
    lt_type_print(&text, type);
    return text.text;
}

typedef struct WrittenType {
    const Type *type;
    const char *start;
} WrittenType;

typedef Vec(WrittenType) TypeVec;

static bool parse_written_type(Parser *p, TypeVec *types) {
    WrittenType written = {.start = p->lexer.token.start};
    if (!lt_parse_type(p, &written.type))
        return false;
    lt_vec_push(p->module->arena, types, written);
    return true;
}

/* `: type` or `: (type, ...)`, or nothing. */
static bool parse_result_types(Parser *p, TypeVec *types) {
    if (!lt_parse_accept(p, ':'))
        return true;
    if (!lt_parse_accept(p, '('))
        return parse_written_type(p, types);
    do {
        if (!parse_written_type(p, types))
            return false;
    } while (lt_parse_accept(p, ','));
    return lt_parse_mark(p, ')');
}

/* An extent that the node defines at run time has the symbol that the text gives it, not a fresh
 * one. */
static void preset_types(Node *node, const TypeVec *types) {
    const DimTable *t = &node->graph->module->dims;
    for (uint32_t i = 0; i < types->len && i < node->output_count; i++) {
        const Type *type = types->data[i].type;
        const Dim *first = type->rank > 0 ? type->dims[0] : NULL;
        if (first && first->kind == DIM_SYMBOL && t->symbols.data[first->symbol].data_dependent)
            node->outputs[i]->type = type;
    }
}

/* Types that are written must be those that inference finds. */
static bool check_types(Parser *p, const Node *node, const TypeVec *types) {
    for (uint32_t i = 0; i < types->len; i++) {
        const WrittenType *written = &types->data[i];
        if (i >= node->output_count)
            return lt_parse_fail(p, written->start,
                                 "this is the type of result %u, the node has %u", i + 1,
                                 node->output_count);
        const Type *inferred = node->outputs[i]->type;
        if (written->type != inferred)
            return lt_parse_fail(p, written->start, "the type is written as %s, it is %s",
                                 type_text(p, written->type), type_text(p, inferred));
    }
    return true;
}

static bool check_result_count(Parser *p, const Statement *s) {
    const int expected = lt_op_info[s->op].outputs;
    if (expected < 0 || s->results.len == (size_t)expected)
        return true;
    const char *name = s->op == OP_MAP ? "a map" : lt_op_info[s->op].name;
    return lt_parse_fail(p, s->op_start, "%s has %d results, %zu are named", name, expected,
                         s->results.len);
}

static Node *make_node(Graph *graph, const Statement *s) {
    return lt_node_new(graph, NULL,
                       &(NodeSpec){.op = s->op,
                                   .inputs = s->inputs.data,
                                   .input_count = (uint32_t)s->inputs.len,
                                   .attrs = s->attrs.data,
                                   .attr_count = (uint32_t)s->attrs.len,
                                   .output_count = (uint32_t)s->results.len,
                                   .loc = s->loc});
}

/* Everything up to the attributes: what a node is made of. */
static bool parse_head(Parser *p, Scope *scope, Statement *s) {
    s->start = p->lexer.token.start;
    s->loc = (Loc *)lt_parse_here(p);
    return parse_results(p, &s->results) && parse_op(p, s) && check_result_count(p, s) &&
           (s->op != OP_CONST || parse_const_value(p, s)) && parse_operands(p, scope, s) &&
           lt_parse_attrs(p, &s->attrs);
}

static bool parse_statement(Parser *p, Scope *scope) {
    Statement s = {0};
    TypeVec types = {0};
    if (!parse_head(p, scope, &s))
        return false;
    if (p->lexer.token.kind == TOKEN_BAD)
        return lt_parse_expected(p, "the end of the node");
    Node *node = make_node(scope->graph, &s);
    if (!node)
        return fail_inference(p, s.start);
    const bool has_regions = lt_op_has(s.op, OPF_REGION);
    if ((has_regions && !parse_regions(p, node)) || !parse_result_types(p, &types))
        return false;
    if (has_regions) {
        preset_types(node, &types);
        if (!lt_infer_node(node))
            return fail_inference(p, s.start);
    }
    for (size_t i = 0; i < s.results.len; i++) {
        if (!define(p, scope, &s.results.data[i], node->outputs[i]))
            return false;
    }
    return check_types(p, node, &types) && parse_loc(p, s.loc);
}

/* `{` nodes, ended by the yield `}` */
static bool parse_graph_body(Parser *p, Scope *scope) {
    if (!lt_parse_mark(p, '{'))
        return false;
    const Node *last;
    do {
        if (lt_parse_is_mark(p, '}'))
            return lt_parse_expected(p, "yield, which ends a graph,");
        if (!parse_statement(p, scope))
            return false;
        last = scope->graph->last;
    } while (!last || last->op != OP_YIELD);
    return lt_parse_mark(p, '}');
}

/* --- modules --------------------------------------------------------------------------------- */

/* `symbol NAME in LO..HI data`; without HI there is no upper bound. */
static bool parse_symbol(Parser *p) {
    const char *start = p->lexer.token.start;
    const Dim *symbol;
    int64_t lo, hi = LT_DIM_UNBOUNDED;
    if (!lt_parse_dim(p, &symbol))
        return false;
    if (symbol->kind != DIM_SYMBOL)
        return lt_parse_fail(p, start, "the name of a symbol is expected");
    if (!lt_parse_accept_word(p, "in"))
        return lt_parse_expected(p, "in");
    if (!lt_parse_integer(p, &lo) || !lt_parse_mark(p, '.') || !lt_parse_mark(p, '.'))
        return false;
    if (p->lexer.token.kind == TOKEN_NUMBER && !lt_parse_integer(p, &hi))
        return false;
    if (lo > hi)
        return lt_parse_fail(p, start, "the range %lld..%lld is empty", (long long)lo,
                             (long long)hi);
    lt_dim_set_range(&p->module->dims, symbol, lo, hi);
    p->module->dims.symbols.data[symbol->symbol].data_dependent = lt_parse_accept_word(p, "data");
    return true;
}

static bool parse_guard(Parser *p) {
    Loc *loc = (Loc *)lt_parse_here(p);
    const Dim *a, *b;
    if (!lt_parse_dim(p, &a) || !lt_parse_mark(p, '=') || !lt_parse_mark(p, '=') ||
        !lt_parse_dim(p, &b))
        return false;
    if (!parse_loc(p, loc))
        return false;
    lt_module_add_guard(p->module, a, b, loc);
    return true;
}

static bool parse_main(Parser *p) {
    Scope scope = {.graph = p->module->main};
    lt_map_init(&scope.values, p->module->arena);
    if (!lt_parse_accept_word(p, "graph"))
        return lt_parse_expected(p, "symbol, guard or graph");
    if (p->lexer.token.kind != TOKEN_WORD && p->lexer.token.kind != TOKEN_STRING)
        return lt_parse_expected(p, "the name of the graph");
    scope.graph->name = p->lexer.token.text;
    lt_lex_next(&p->lexer);
    return parse_parameters(p, &scope) && parse_graph_body(p, &scope);
}

static bool parse_module(Parser *p) {
    if (lt_parse_accept_word(p, "module") && !lt_parse_string(p, &p->module->name))
        return false;
    while (lt_parse_accept_word(p, "symbol")) {
        if (!parse_symbol(p))
            return false;
    }
    while (lt_parse_accept_word(p, "guard")) {
        if (!parse_guard(p))
            return false;
    }
    return parse_main(p) &&
           (p->lexer.token.kind == TOKEN_END || lt_parse_expected(p, "the end of the text"));
}

bool lt_module_read(Module *m, const char *text, size_t len) {
    Parser parser = {.module = m};
    lt_lex_init(&parser.lexer, m->arena, lt_arena_strndup(m->arena, text, len), len);
    return parse_module(&parser);
}

Module *lt_module_parse(Arena *arena, const char *text, size_t len, const char *file) {
    Module *m = lt_module_new(arena, file);
    return lt_module_read(m, text, len) ? m : NULL;
}
