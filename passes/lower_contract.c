/* lower_contract.c - sums of products of two operands, one loop a letter.
 *
 * Loops are named by where their letter occurs: b in both operands and the result, m in the first
 * and the result, n in the second and the result, k not in the result. An accumulator holds the
 * sum: acc = fma(a, b, acc). */
#include <string.h>

#include "ir/einsum.h"
#include "passes/lower_internal.h"

typedef struct Contraction {
    LtEinsum e;
    LoopNest outer, inner;
    const Dim *of[128]; /* a letter's loop variable */
} Contraction;

/* The extent of a letter: of the result where it is there, else of the operand that has it. A
 * packed axis is always one of the result. */
static const Dim *letter_extent(const Lowering *lo, const LtEinsum *e, char letter) {
    const Node *node = lo->anchor;
    const Type *types[] = {lt_output(node)->type, lt_input(node, 0)->type, lt_input(node, 1)->type};
    static const int tensors[] = {EINSUM_OUT, EINSUM_A, EINSUM_B};
    for (int i = 0; i < LT_EINSUM_TENSORS; i++) {
        const int axis = lt_einsum_axis(e, tensors[i], letter);
        /* The second operand's letters that are summed have the first's extent, when it has them:
         * its axes may be in packed order. */
        if (axis >= 0 && tensors[i] != EINSUM_B)
            return types[i]->dims[axis];
    }
    char letters[LT_MAX_RANK + 1];
    memcpy(letters, e->letters[EINSUM_B], sizeof letters);
    if (lt_attr_int(node, ATTR_PACKED, 0))
        lt_einsum_packed_letters(e, letters);
    return types[2]->dims[strchr(letters, letter) - letters];
}

static const char *loop_name(const LtEinsum *e, char letter) {
    const bool in_a = lt_einsum_axis(e, EINSUM_A, letter) >= 0;
    const bool in_b = lt_einsum_axis(e, EINSUM_B, letter) >= 0;
    if (lt_einsum_axis(e, EINSUM_OUT, letter) < 0)
        return "k#";
    return in_a && in_b ? "b#" : in_a ? "m#" : "n#";
}

static void add_letters(Lowering *lo, Contraction *c, int tensor) {
    for (const char *p = c->e.letters[tensor]; *p; p++) {
        const Dim **var = &c->of[(unsigned char)*p];
        LoopNest *nest = tensor == EINSUM_OUT ? &c->outer : &c->inner;
        if (!*var)
            *var = lt_lower_loop(lo, nest, loop_name(&c->e, *p),
                                 lower_dim(lo, letter_extent(lo, &c->e, *p)));
    }
}

At lt_lower_letters_at(const char *letters, const Dim *const *of) {
    At at = {.predicate = NULL};
    for (int i = 0; letters[i]; i++)
        at.index[i] = of[(unsigned char)letters[i]];
    return at;
}

At lt_lower_packed_at(const LtEinsum *e, const Dim *const *of, const Dim *panel,
                      const Dim *within) {
    char letters[LT_MAX_RANK + 1];
    lt_einsum_packed_letters(e, letters);
    At at = lt_lower_letters_at(letters, of);
    at.index[strchr(letters, lt_einsum_column(e)) - letters] = panel;
    at.index[strlen(letters)] = within;
    return at;
}

/* The second operand when its columns are packed by `width`. */
static At packed_at(Lowering *lo, const Contraction *c, int64_t width) {
    const Dim *position = c->of[(unsigned char)lt_einsum_column(&c->e)];
    const Dim *by = lower_number(lo, width);
    return lt_lower_packed_at(&c->e, c->of, lt_dim_floordiv(lower_table(lo), position, by),
                              lt_dim_mod(lower_table(lo), position, by));
}

Stmt *lt_lower_sum(Lowering *lo, const LoopNest *inner, const Sum *sum) {
    const Expr *next =
        lt_expr_call(lo->k, FN_FMA, sum->x, sum->y, lt_lower_get(lo, sum->accumulator));
    Stmt *update =
        lt_stmt_join(lt_lower_take_prelude(lo), lt_lower_set(lo, sum->accumulator, next));
    if (sum->condition)
        update = lt_stmt_if(lo->k, sum->condition, update, NULL);
    return lt_stmt_join(lt_lower_begin(lo, sum->accumulator, sum->begin),
                        lt_lower_nest(lo, inner, update));
}

/* out[index] = sum over the inner loops of a * b, inside of the outer loops. */
bool lt_lower_products(Lowering *lo, const Products *p) {
    Kernel *k = lo->k;
    Value *a = lt_input(lo->anchor, 0), *b = lt_input(lo->anchor, 1);
    const DType result = lt_output(lo->anchor)->type->dtype, dtype = lt_lower_sum_dtype(result);
    const Expr *x = lt_lower_at_as(lo, a, &p->a, dtype), *y = lt_lower_at_as(lo, b, &p->b, dtype);
    const Attr *fn = lt_attr(lo->anchor, ATTR_FN);
    if (fn) {
        x = lt_expr_call(k, (ScalarFn)fn->u.i, x, NULL, NULL);
        y = lt_expr_call(k, (ScalarFn)fn->u.i, y, NULL, NULL);
    }
    if (p->inner->count == 0) {
        Stmt *prelude = lt_lower_take_prelude(lo);
        const Expr *product = lt_expr_convert(k, lt_expr_call(k, FN_MUL, x, y, NULL), result);
        Stmt *store = lt_lower_store(lo, p->index, product);
        k->class = KERNEL_MAP;
        k->body = lt_lower_nest(lo, p->outer, lt_stmt_join(prelude, store));
        return !lo->failed;
    }
    const Accumulator acc = lt_lower_accumulator(lo, "acc", dtype);
    const Sum sum = {acc, x, y, lt_lower_zero(lo, dtype), p->condition};
    Stmt *body = lt_lower_sum(lo, p->inner, &sum);
    Stmt *store = lt_lower_store(lo, p->index, lt_expr_convert(k, lt_lower_get(lo, acc), result));
    k->body = lt_lower_nest(lo, p->outer, lt_stmt_join(body, store));
    return !lo->failed;
}

bool lt_lower_contract(Lowering *lo) {
    const Node *node = lo->anchor;
    const int64_t width = lt_attr_int(node, ATTR_PACKED, 0);
    Contraction c = {.outer = {.count = 0}};
    if (lt_einsum_parse(&c.e, lt_attr_string(node, ATTR_SPEC, "")))
        return lt_lower_fail(lo, "its spec is not valid");
    add_letters(lo, &c, EINSUM_OUT);
    add_letters(lo, &c, EINSUM_A);
    add_letters(lo, &c, EINSUM_B);
    lo->k->class = KERNEL_CONTRACT;
    const At out = lt_lower_letters_at(c.e.letters[EINSUM_OUT], c.of);
    const Products products = {.outer = &c.outer,
                               .inner = &c.inner,
                               .index = out.index,
                               .a = lt_lower_letters_at(c.e.letters[EINSUM_A], c.of),
                               .b = width ? packed_at(lo, &c, width)
                                          : lt_lower_letters_at(c.e.letters[EINSUM_B], c.of)};
    return lt_lower_products(lo, &products);
}
