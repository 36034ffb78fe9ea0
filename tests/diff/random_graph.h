/* random_graph.h - graphs of a few random ops, for every back end. */
#ifndef LATHE_TESTS_RANDOM_GRAPH_H
#define LATHE_TESTS_RANDOM_GRAPH_H

#include "tests/diff/lower_fixture.h"

static inline Value *random_move(Builder *b, Value *x) {
    DimTable *t = &b->graph->module->dims;
    const int rank = x->type->rank;
    int64_t perm[LT_MAX_RANK], steps[LT_MAX_RANK];
    const Dim *dims[LT_MAX_RANK], *zeros[LT_MAX_RANK], *pads[LT_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        perm[i] = rank - 1 - i;
        steps[i] = 1;
        zeros[i] = lt_dim_const(t, 0);
        pads[i] = lt_dim_const(t, random_below(3));
        dims[i] = x->type->dims[i];
    }
    switch (random_below(5)) {
    case 0: return lt_build_transpose(b, x, perm);
    case 1:
        dims[0] = lt_type_elements(b->graph->module, x->type);
        return lt_build_reshape(b, x, 1, dims);
    case 2:
        steps[0] = lt_dim_is_const(dims[0]) && dims[0]->value > 2 ? 2 : 1;
        dims[0] = lt_dim_ceildiv(t, dims[0], lt_dim_const(t, steps[0]));
        return lt_build_slice(b, x, zeros, dims, steps);
    case 3: return rank < 4 ? lt_build_pad(b, x, pads, zeros, "constant", NULL) : x;
    default: return lt_build_concat(b, (Value *const[]){x, x}, 2, (int)random_below(rank));
    }
}

static inline Value *random_fold(Builder *b, Value *x) {
    const int64_t axis = random_below(x->type->rank);
    const Attr attrs[] = {lt_int(ATTR_AXIS, axis)};
    const NodeSpec softmax = {
        .op = OP_SOFTMAX, .inputs = &x, .input_count = 1, .attrs = attrs, .attr_count = 1};
    switch (random_below(3)) {
    case 0: return lt_build_reduce(b, FN_MAX, x, &axis, 1, true);
    case 1: return lt_build_reduce(b, FN_ADD, x, &axis, 1, x->type->rank == 1);
    default: return lt_build(b, &softmax);
    }
}

/* A few ops over inputs of this dtype, each reading what came before. */
static inline Module *random_graph_of(Arena *arena, DType dtype) {
    static const ScalarFn unary[] = {FN_SIGMOID, FN_ABS, FN_TANH, FN_RELU},
                          binary[] = {FN_ADD, FN_MUL, FN_MAX};
    Module *m = lt_module_new(arena, "random");
    m->main = lt_graph_new(m, NULL, "main");
    Builder b = {.graph = m->main};
    const Dim *n = lt_dim_symbol(&m->dims, "n"), *h = lt_dim_symbol(&m->dims, "h");
    const Dim *shapes[3][3] = {{n, h, lt_dim_const(&m->dims, 6)},
                               {n, lt_dim_const(&m->dims, 5), lt_dim_const(&m->dims, 1)},
                               {h, lt_dim_const(&m->dims, 3), lt_dim_const(&m->dims, 4)}};
    Value *pool[24];
    int count = 0;
    lt_dim_set_range(&m->dims, n, 0, LT_DIM_UNBOUNDED);
    for (; count < 3; count++)
        pool[count] = lt_graph_add_input(m->main, lt_type(m, dtype, 3, shapes[count]), NULL);
    while (count < 12) {
        Value *x = pool[random_below(count)], *y = pool[random_below(count)];
        Value *made;
        switch (random_below(5)) {
        case 0: made = random_move(&b, x); break;
        case 1: made = random_fold(&b, x); break;
        case 2: made = lt_build_map1(&b, unary[random_below(4)], x); break;
        default:
            made = lt_build_map2(&b, binary[random_below(3)], x, x->type == y->type ? y : x);
            break;
        }
        ck_assert_msg(made != NULL, "%s", first_diag(m));
        pool[count++] = made;
    }
    lt_graph_set_outputs(m->main, (Value *const[]){pool[11], pool[10], pool[7]}, 3);
    return m;
}

static inline Module *random_graph(Arena *arena) { return random_graph_of(arena, DT_F32); }

#endif
