/* test_eval_laws.c - laws of the evaluator on random tensors, extents of 0 and 1 included: sums of
 * products against their definition, packed operands against plain ones, moves against their
 * inverses, folding against running. */
#include "tests/unit/eval_fixture.h"

static uint64_t state = 88172645463325252u;

static int64_t draw(int64_t lo, int64_t hi) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return lo + (int64_t)(state % (uint64_t)(hi - lo + 1));
}

static Value *random_tensor(DType dtype, const int64_t *dims, int rank) {
    Tensor *t = lt_tensor_new(&arena, dtype, rank, dims);
    for (int64_t i = 0; i < lt_tensor_elements(t); i++)
        lt_tensor_set_float(t, i, (double)draw(-8, 8)); /* products and sums of these are exact */
    return lt_build_const(&builder,
                          lt_const(module, lt_type_static(module, dtype, rank, dims), t->data));
}

static void expect_same(Value *a, const Tensor *y) {
    const Tensor *x = run(a);
    ck_assert_int_eq(x->rank, y->rank);
    for (int i = 0; i < x->rank; i++)
        ck_assert_int_eq(x->dims[i], y->dims[i]);
    ck_assert_mem_eq(x->data, y->data, lt_tensor_bytes(x));
}

/* --- convolution ---------------------------------------------------------------------------------
 */

typedef struct ConvSpec {
    int64_t stride[2], dilation[2], lo[2], hi[2], spread[2], groups;
} ConvSpec;

/* Attributes in a fixed order; a packed filter adds two. */
static Value *conv(Value *x, Value *w, const ConvSpec *s, int64_t packed, int64_t filters) {
    Attr attrs[8] = {
        ints_attr(ATTR_STRIDES, s->stride, 2), ints_attr(ATTR_DILATIONS, s->dilation, 2),
        dims_attr(ATTR_PAD_LO, s->lo, 2),      dims_attr(ATTR_PAD_HI, s->hi, 2),
        lt_int(ATTR_GROUPS, s->groups),        ints_attr(ATTR_INPUT_DILATION, s->spread, 2)};
    uint32_t count = 6;
    if (packed) {
        attrs[count++] = lt_int(ATTR_PACKED, packed);
        attrs[count++] = dims_attr(ATTR_SIZE, &filters, 1);
    }
    return lt_build(&builder,
                    &(NodeSpec){.op = OP_CONV, INPUTS(x, w), .attrs = attrs, .attr_count = count});
}

/* The element of x that stands at a position of the spread and padded input; 0 elsewhere. */
static double spread_at(const Tensor *x, const ConvSpec *s, int64_t n, const int64_t *at,
                        int64_t c) {
    int64_t position = n;
    for (int i = 0; i < 2; i++) {
        const int64_t p = at[i] - s->lo[i];
        if (p < 0 || p % s->spread[i] || p / s->spread[i] >= x->dims[i + 1])
            return 0;
        position = position * x->dims[i + 1] + p / s->spread[i];
    }
    return lt_tensor_get_float(x, position * x->dims[3] + c);
}

/* One result by the definition. index: n, y, x, o. */
static double conv_by_definition(const Tensor *x, const Tensor *w, const ConvSpec *s,
                                 const int64_t *index) {
    const int64_t channels = w->dims[2], filters = w->dims[3];
    const int64_t group = index[3] / (filters / s->groups);
    double sum = 0;
    for (int64_t tap = 0; tap < w->dims[0] * w->dims[1] * channels; tap++) {
        const int64_t c = tap % channels,
                      k[2] = {tap / channels / w->dims[1], tap / channels % w->dims[1]};
        const int64_t at[2] = {index[1] * s->stride[0] + k[0] * s->dilation[0],
                               index[2] * s->stride[1] + k[1] * s->dilation[1]};
        sum += spread_at(x, s, index[0], at, group * channels + c) *
               lt_tensor_get_float(w, tap * filters + index[3]);
    }
    return sum;
}

static void check_conv(DType dtype) {
    ConvSpec s = {.groups = draw(1, 3)};
    const int64_t channels = draw(1, 3), filters = s.groups * draw(1, 4);
    const int64_t kernel[2] = {draw(1, 3), draw(1, 3)};
    int64_t extent[2];
    for (int i = 0; i < 2; i++) {
        s.stride[i] = draw(1, 2);
        s.dilation[i] = draw(1, 2);
        s.spread[i] = draw(1, 2);
        extent[i] = draw(1, 5);
        s.lo[i] = draw(0, 2);
        s.hi[i] = draw(s.dilation[i] * (kernel[i] - 1), 5); /* the kernel fits always */
    }
    const int64_t x_dims[] = {draw(0, 2), extent[0], extent[1], s.groups * channels};
    const int64_t w_dims[] = {kernel[0], kernel[1], channels, filters};
    Value *x = random_tensor(dtype, x_dims, 4), *w = random_tensor(dtype, w_dims, 4);
    const Tensor *xs = run(x), *ws = run(w), *out = run(conv(x, w, &s, 0, 0));
    for (int64_t i = 0, rest; i < lt_tensor_elements(out); i++) {
        int64_t index[4];
        rest = i;
        for (int axis = 3; axis >= 0; rest /= out->dims[axis--])
            index[axis] = rest % out->dims[axis];
        ck_assert_double_eq(lt_tensor_get_float(out, i), conv_by_definition(xs, ws, &s, index));
    }
    const int64_t width = draw(1, 5);
    Value *packed =
        NODE(PACK, INPUTS(w),
             ATTRS(lt_int(ATTR_AXIS, 3), lt_int(ATTR_PACKED, width), lt_int(ATTR_COUNT, 0)));
    expect_same(conv(x, packed, &s, width, filters), out);
}

START_TEST(conv_is_its_definition) {
    for (int i = 0; i < 100; i++) {
        begin();
        check_conv(i % 2 ? DT_F32 : DT_I32);
        end();
    }
}
END_TEST

/* --- contraction ---------------------------------------------------------------------------------
 */

/* spec is one of bmk,bkn->bmn with the operands' axes in some order. */
static void check_contract(const char *spec, DType dtype) {
    const int64_t of[128] = {
        ['b'] = draw(1, 3), ['m'] = draw(0, 4), ['n'] = draw(1, 7), ['k'] = draw(0, 5)};
    int64_t a_dims[3], b_dims[3];
    int n_axis = 0;
    for (int i = 0; i < 3; i++) {
        a_dims[i] = of[(int)spec[i]];
        b_dims[i] = of[(int)spec[4 + i]];
        n_axis = spec[4 + i] == 'n' ? i : n_axis;
    }
    Value *a = random_tensor(dtype, a_dims, 3), *b = random_tensor(dtype, b_dims, 3);
    Value *plain = lt_build_contract(&builder, a, b, spec);
    const Tensor *out = run(plain), *x = run(a), *y = run(b);
    for (int64_t i = 0; i < lt_tensor_elements(out); i++) {
        int64_t at[128] = {
            ['b'] = i / (of['m'] * of['n']), ['m'] = i / of['n'] % of['m'], ['n'] = i % of['n']};
        double sum = 0;
        for (at['k'] = 0; at['k'] < of['k']; at['k']++) {
            int64_t p = 0, q = 0;
            for (int j = 0; j < 3; j++) {
                p = p * a_dims[j] + at[(int)spec[j]];
                q = q * b_dims[j] + at[(int)spec[4 + j]];
            }
            sum += lt_tensor_get_float(x, p) * lt_tensor_get_float(y, q);
        }
        ck_assert_double_eq(lt_tensor_get_float(out, i), sum);
    }
    const int64_t width = draw(1, 4);
    /* Packed axes are: b, blocks of n, k, within the block. Bring b before k, then split n. */
    const int b_axis = (int)(strchr(spec + 4, 'b') - spec - 4),
              k_axis = (int)(strchr(spec + 4, 'k') - spec - 4);
    Value *ordered = lt_build_transpose(&builder, b, (int64_t[]){b_axis, k_axis, n_axis});
    Value *packed =
        NODE(PACK, INPUTS(ordered),
             ATTRS(lt_int(ATTR_AXIS, 2), lt_int(ATTR_PACKED, width), lt_int(ATTR_COUNT, 1)));
    expect_same(NODE(CONTRACT, INPUTS(a, packed),
                     ATTRS(lt_string(ATTR_SPEC, spec), lt_int(ATTR_PACKED, width),
                           dims_attr(ATTR_SIZE, &of['n'], 1))),
                out);
}

START_TEST(contract_is_its_definition) {
    static const char *const specs[] = {"bmk,bkn->bmn", "bmk,bnk->bmn", "kbm,nkb->bmn",
                                        "mbk,nbk->bmn"};
    for (int i = 0; i < 100; i++) {
        begin();
        check_contract(specs[i % 4], i % 3 ? DT_F32 : DT_I64);
        end();
    }
}
END_TEST

/* --- moves ---------------------------------------------------------------------------------------
 */

START_TEST(moves_have_inverses) {
    for (int i = 0; i < 100; i++) {
        begin();
        int64_t dims[5], perm[5] = {0, 1, 2, 3, 4}, inverse[5];
        const int rank = (int)draw(1, 5);
        for (int j = 0; j < rank; j++)
            dims[j] = draw(i % 10 == 0 ? 0 : 1, 40 / rank);
        for (int j = rank - 1; j > 0; j--) {
            const int64_t k = draw(0, j), swapped = perm[j];
            perm[j] = perm[k];
            perm[k] = swapped;
        }
        for (int j = 0; j < rank; j++)
            inverse[perm[j]] = j;
        static const DType dtypes[] = {DT_F32, DT_I8, DT_F16, DT_F64};
        Value *x = random_tensor(dtypes[i % 4], dims, rank);
        Value *there = lt_build_transpose(&builder, x, perm);
        expect_same(lt_build_transpose(&builder, there, inverse), run(x));
        /* Cut in two and joined again. */
        const int axis = (int)draw(0, rank - 1);
        const int64_t cut = draw(0, dims[axis]), whole = dims[axis], step[5] = {1, 1, 1, 1, 1};
        int64_t start[5] = {0};
        dims[axis] = cut;
        Value *low =
            NODE(SLICE, INPUTS(x),
                 ATTRS(dims_attr(ATTR_START, start, rank), dims_attr(ATTR_SIZE, dims, rank),
                       ints_attr(ATTR_STEP, step, rank)));
        dims[axis] = whole - cut;
        start[axis] = cut;
        Value *high =
            NODE(SLICE, INPUTS(x),
                 ATTRS(dims_attr(ATTR_START, start, rank), dims_attr(ATTR_SIZE, dims, rank),
                       ints_attr(ATTR_STEP, step, rank)));
        expect_same(lt_build_concat(&builder, (Value *[]){low, high}, 2, axis), run(x));
        end();
    }
}
END_TEST

/* --- folding -------------------------------------------------------------------------------------
 */

static void expect_folds(Value *v) {
    const Const *folded = NULL;
    const Tensor *t = run(v);
    ck_assert(lt_eval_const_node(module, v->def, &folded));
    ck_assert_ptr_eq(folded->type, v->type);
    for (int64_t i = 0; i < lt_tensor_elements(t); i++)
        ck_assert_double_eq(lt_const_get_float(folded, folded->is_splat ? 0 : i),
                            lt_tensor_get_float(t, i));
}

START_TEST(folding_is_running) {
    begin();
    const float two = 2;
    const Type *type = lt_type_static(module, DT_F32, 2, (int64_t[]){3, 4});
    Value *splat = lt_build_const(&builder, lt_const_splat(module, type, &two));
    Value *x = random_tensor(DT_F32, DIMS(3, 4)), *row = random_tensor(DT_F32, DIMS(4));
    expect_folds(lt_build_map2(&builder, FN_MUL, x, splat));
    expect_folds(lt_build_map2(&builder, FN_MUL, splat, row));
    expect_folds(lt_build_map2(&builder, FN_ADD, splat, splat));
    expect_folds(lt_build_transpose(&builder, x, (int64_t[]){1, 0}));
    expect_folds(lt_build_transpose(&builder, splat, (int64_t[]){1, 0}));
    expect_folds(lt_build_concat(&builder, (Value *[]){x, splat}, 2, 0));
    expect_folds(lt_build_contract(&builder, x, splat, "ab,cb->ac"));
    /* Refused: an operand that is not constant, a result that is too large, a failure. */
    const Const *folded;
    Value *input = lt_graph_add_input(module->main, type, "x");
    ck_assert(!lt_eval_const_node(module, lt_build_map1(&builder, FN_NEG, input)->def, &folded));
    Value *huge = NODE(BROADCAST, INPUTS(row), ATTRS(dims_attr(ATTR_SHAPE, DIMS(1 << 25, 4))));
    ck_assert(!lt_eval_const_node(module, huge->def, &folded));
    Value *outside = lt_build_gather(&builder, row, I64(DIMS(1), LIST(9)), 0);
    ck_assert(!lt_eval_const_node(module, outside->def, &folded));
    end();
}
END_TEST

LT_TEST_MAIN("test_eval_laws", conv_is_its_definition, contract_is_its_definition,
             moves_have_inverses, folding_is_running)
