/* ops_svm.c - support vector machines of ai.onnx.ml: a contraction with the support vectors, a
 * kernel function, and a contraction with the coefficients. */
#include <math.h>
#include <string.h>

#include "frontends/onnx/loop.h"
#include "frontends/onnx/ml.h"

enum { MOST_CLASSES = 16 };

static Value *add(Import *im, Value *x, Value *y) { return onnx_map2(im, FN_ADD, x, y); }
static Value *sub(Import *im, Value *x, Value *y) { return onnx_map2(im, FN_SUB, x, y); }
static Value *mul(Import *im, Value *x, Value *y) { return onnx_map2(im, FN_MUL, x, y); }
static Value *scaled(Import *im, Value *x, double by) {
    return lt_onnx_map_scalar(im, FN_MUL, x, by);
}

/* --- kernels ---------------------------------------------------------------------------------- */

/* f[n, vectors]: the kernel of the rows of x, f[n, features], and of the support vectors. NULL
 * after an error. */
static Value *kernel_of(Import *im, Value *x, int64_t vectors) {
    static const int64_t row = 1, column = 2;
    const char *type = lt_onnx_string(im, "kernel_type", "LINEAR");
    int64_t count, given;
    const double *values = lt_onnx_reals(im, "support_vectors", &count),
                 *parameters = lt_onnx_reals(im, "kernel_params", &given);
    const bool is_rbf = strcmp(type, "RBF") == 0;
    if (vectors < 1 || count <= 0 || count % vectors != 0 || (given != 0 && given != 3)) {
        lt_onnx_malformed(im, "%lld numbers for %lld support vectors, %lld kernel_params",
                          (long long)count, (long long)vectors, (long long)given);
        return NULL;
    }
    const double gamma = given ? parameters[0] : 0, shift = given ? parameters[1] : 0;
    const int64_t dims[] = {vectors, count / vectors};
    lt_graph_add_guard(im->b.graph, x->type->dims[1], lt_dim_const(im->dims, dims[1]),
                       im->node->loc);
    Value *support = lt_onnx_real_list(im, x->type->dtype, values, 2, dims);
    if (is_rbf) {
        Value *d = sub(im, lt_build_unsqueeze(&im->b, x, &row, 1), support);
        d = lt_build_reduce(&im->b, FN_ADD, mul(im, d, d), &column, 1, false);
        return lt_build_map1(&im->b, FN_EXP, scaled(im, d, -gamma));
    }
    Value *product = lt_build_contract(&im->b, x, support, "nf,vf->nv");
    if (strcmp(type, "LINEAR") == 0)
        return product;
    product = lt_onnx_map_scalar(im, FN_ADD, scaled(im, product, gamma), shift);
    if (strcmp(type, "SIGMOID") == 0)
        return lt_build_map1(&im->b, FN_TANH, product);
    if (strcmp(type, "POLY") == 0)
        return lt_onnx_map_scalar(im, FN_POW, product, given ? parameters[2] : 0);
    lt_onnx_malformed(im, "kernel_type is '%s'", type);
    return NULL;
}

/* --- SVMRegressor ----------------------------------------------------------------------------- */

bool lt_onnx_svm_regressor(Import *im) {
    int64_t count, offsets, vectors = lt_onnx_int(im, "n_supports", 0);
    const double *values = lt_onnx_reals(im, "coefficients", &count),
                 *offset = lt_onnx_reals(im, "rho", &offsets);
    Value *x = lt_onnx_features(im, im->inputs[0], true);
    if (!x || count <= 0 || offsets < 1 || (vectors > 0 && vectors != count))
        return lt_onnx_malformed(im, "%lld coefficients, %lld support vectors and %lld offsets",
                                 (long long)count, (long long)vectors, (long long)offsets);
    x = lt_build_convert(&im->b, x, DT_F32);
    if (vectors > 0)
        x = kernel_of(im, x, vectors);
    const int64_t dims[] = {1, count};
    Value *y = x ? lt_build_contract(&im->b, x, lt_onnx_real_list(im, DT_F32, values, 2, dims),
                                     "nv,yv->ny")
                 : NULL;
    y = lt_onnx_map_scalar(im, FN_ADD, y, offset[0]);
    if (lt_onnx_int(im, "one_class", 0))
        y = lt_build_map3(&im->b, FN_SELECT, lt_onnx_map_scalar(im, FN_GT, y, 0),
                          lt_build_float(&im->b, DT_F32, 1), lt_build_float(&im->b, DT_F32, -1));
    return onnx_set(im, 0,
                    lt_onnx_post_transform(im, y, lt_onnx_string(im, "post_transform", "NONE")));
}

/* --- SVMClassifier ---------------------------------------------------------------------------- */

/* One machine for each pair of classes i < j, in the order 01 02 .. 12 ..: positive for i. */
typedef struct Machines {
    int64_t classes, vectors, pairs;
    const int64_t *per_class;
    const double *coefficients; /* [classes - 1, vectors] */
    const double *rho, *a, *b;  /* by pair; a and b NULL: no probabilities */
    ClassLabels labels;
} Machines;

static bool read_machines(Import *im, Machines *m) {
    int64_t coefficients, rhos, as, bs;
    m->per_class = lt_onnx_ints(im, "vectors_per_class", &m->classes);
    m->coefficients = lt_onnx_reals(im, "coefficients", &coefficients);
    m->rho = lt_onnx_reals(im, "rho", &rhos);
    m->a = lt_onnx_reals(im, "prob_a", &as);
    m->b = lt_onnx_reals(im, "prob_b", &bs);
    m->pairs = m->classes * (m->classes - 1) / 2;
    if (!lt_onnx_class_labels(im, "classlabels_ints", "classlabels_strings", &m->labels))
        return false;
    if (m->classes == 0)
        return lt_onnx_unsupported(im, "a classifier without support vectors is not supported");
    if (m->classes < 2 || m->classes > MOST_CLASSES)
        return lt_onnx_unsupported(im, "%lld classes are not supported; 2 to %d are",
                                   (long long)m->classes, MOST_CLASSES);
    for (int64_t i = 0; i < m->classes; i++) {
        if (m->per_class[i] < 0 || m->per_class[i] > INT32_MAX)
            return lt_onnx_malformed(im, "class %lld has %lld vectors", (long long)i,
                                     (long long)m->per_class[i]);
        m->vectors += m->per_class[i];
    }
    m->a = as > 0 ? m->a : NULL;
    return (coefficients == (m->classes - 1) * m->vectors && rhos == m->pairs && as == bs &&
            (as == 0 || as == m->pairs) && (!m->labels.count || m->labels.count == m->classes)) ||
           lt_onnx_malformed(im,
                             "the numbers of coefficients, offsets, probabilities and labels "
                             "do not fit %lld classes of %lld vectors",
                             (long long)m->classes, (long long)m->vectors);
}

/* f[n, pairs] */
static Value *decisions(Import *im, const Machines *m, Value *kernel) {
    double *weights = LT_ARRAY(im->arena, double, m->pairs * m->vectors);
    int64_t pair = 0, first_i = 0;
    for (int64_t i = 0; i < m->classes; i++) {
        int64_t first_j = first_i + m->per_class[i];
        for (int64_t j = i + 1; j < m->classes; j++, pair++) {
            double *row = weights + pair * m->vectors;
            for (int64_t v = first_i; v < first_i + m->per_class[i]; v++)
                row[v] = m->coefficients[(j - 1) * m->vectors + v];
            for (int64_t v = first_j; v < first_j + m->per_class[j]; v++)
                row[v] = m->coefficients[i * m->vectors + v];
            first_j += m->per_class[j];
        }
        first_i += m->per_class[i];
    }
    const int64_t dims[] = {m->pairs, m->vectors};
    Value *y = lt_build_contract(&im->b, kernel, lt_onnx_real_list(im, DT_F32, weights, 2, dims),
                                 "nv,pv->np");
    return add(im, y, lt_onnx_real_list(im, DT_F32, m->rho, 1, &m->pairs));
}

/* f[n, classes]: how many pairs each class wins. */
static Value *votes_of(Import *im, const Machines *m, Value *scores) {
    double *gain = LT_ARRAY(im->arena, double, m->pairs * m->classes);
    double *base = LT_ARRAY(im->arena, double, m->classes);
    int64_t pair = 0;
    for (int64_t i = 0; i < m->classes; i++)
        for (int64_t j = i + 1; j < m->classes; j++, pair++) {
            gain[pair * m->classes + i] = 1;
            gain[pair * m->classes + j] = -1;
            base[j]++;
        }
    const int64_t dims[] = {m->pairs, m->classes};
    Value *wins = lt_build_convert(&im->b, lt_onnx_map_scalar(im, FN_GT, scores, 0), DT_F32);
    wins =
        lt_build_contract(&im->b, wins, lt_onnx_real_list(im, DT_F32, gain, 2, dims), "np,pc->nc");
    return add(im, wins, lt_onnx_real_list(im, DT_F32, base, 1, &m->classes));
}

/* --- probabilities ---------------------------------------------------------------------------- */

/* Column t of f[n, k], as f[n, 1]. */
static Value *column(Import *im, Value *x, int64_t t) {
    return lt_onnx_slice_axis(im, x, 1, lt_dim_const(im->dims, t), lt_dim_const(im->dims, 1));
}

static Value *sum_rows(Import *im, Value *x) {
    static const int64_t last = 1;
    return lt_build_reduce(&im->b, FN_ADD, x, &last, 1, true);
}

/* f[n, k, k]: the matrix that the coupling of pairwise probabilities r minimizes p^T Q p with: the
 * sums of r[j, t]^2 on the diagonal, -r[j, i] r[i, j] elsewhere. */
static Value *coupling_matrix(Import *im, const Machines *m, Value *scores) {
    const int64_t k = m->classes;
    Value *r[MOST_CLASSES][MOST_CLASSES], *entries[MOST_CLASSES * MOST_CLASSES];
    int64_t pair = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i + 1; j < k; j++, pair++) {
            Value *x = scaled(im, column(im, scores, pair), -m->a[pair]);
            x = lt_onnx_map_scalar(im, FN_SUB, x, m->b[pair]);
            x = lt_build_map1(&im->b, FN_SIGMOID, x);
            r[i][j] = lt_build_map3(&im->b, FN_CLAMP, x, lt_onnx_scalar_like(im, x, 1e-7),
                                    lt_onnx_scalar_like(im, x, 1 - 1e-7));
            r[j][i] = sub(im, lt_onnx_scalar_like(im, x, 1), r[i][j]);
        }
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            Value *sum = NULL;
            for (int64_t other = 0; i == j && other < k; other++) {
                Value *square = other == i ? NULL : mul(im, r[other][i], r[other][i]);
                sum = !square ? sum : sum ? add(im, sum, square) : square;
            }
            entries[i * k + j] =
                i == j ? sum : lt_build_map1(&im->b, FN_NEG, mul(im, r[j][i], r[i][j]));
        }
    Value *flat = lt_build_concat(&im->b, entries, (uint32_t)(k * k), 1);
    const Dim *size = lt_dim_const(im->dims, k);
    const Dim *dims[] = {flat ? flat->type->dims[0] : NULL, size, size};
    return flat ? lt_build_reshape(&im->b, flat, 3, dims) : NULL;
}

/* What an iteration knows: p f[n, k], Q p f[n, k], p^T Q p f[n, 1]. */
typedef struct Coupling {
    Value *q, *p, *qp, *pqp;
} Coupling;

/* One coordinate's step. */
static void step(Import *im, Coupling *c, int64_t t, int64_t k) {
    const int64_t row = 1;
    Value *line =
        lt_onnx_slice_axis(im, c->q, 1, lt_dim_const(im->dims, t), lt_dim_const(im->dims, 1));
    line = lt_build_squeeze(&im->b, line, &row, 1); /* f[n, k] */
    Value *own = column(im, line, t), *here = column(im, c->qp, t);
    Value *diff = onnx_map2(im, FN_DIV, sub(im, c->pqp, here), own);
    Value *whole = lt_onnx_map_scalar(im, FN_ADD, diff, 1);
    Value *gain = mul(im, diff, add(im, mul(im, diff, own), scaled(im, here, 2)));
    c->pqp = onnx_map2(im, FN_DIV, add(im, c->pqp, gain), mul(im, whole, whole));
    const Dim *shape[] = {lt_dim_const(im->dims, 1), lt_dim_const(im->dims, k)};
    Value *is_it =
        lt_onnx_map_scalar(im, FN_EQ, lt_build_iota(&im->b, DT_I64, 2, shape, 1), (double)t);
    Value *moved = lt_build_map3(&im->b, FN_SELECT, is_it, diff, lt_onnx_scalar_like(im, diff, 0));
    c->p = onnx_map2(im, FN_DIV, add(im, c->p, moved), whole);
    c->qp = onnx_map2(im, FN_DIV, add(im, c->qp, mul(im, diff, line)), whole);
}

/* f[n, classes]: probabilities that agree best with the pairwise ones, by coordinate descent (Wu,
 * Lin, Weng: Probability estimates for multi-class classification by pairwise coupling, 2004,
 * algorithm 2). A row that has converged stays. */
static Value *probabilities(Import *im, const Machines *m, Value *scores) {
    enum { ROUNDS = 100 };
    const int64_t k = m->classes, last = 1;
    const double least = 0.005 / (double)k;
    Value *q = coupling_matrix(im, m, scores), *next;
    if (!q)
        return NULL;
    const Dim *dims[] = {q->type->dims[0], lt_dim_const(im->dims, k)};
    OnnxLoop l = {.trips = lt_dim_const(im->dims, ROUNDS), .carried = 1};
    l.starts[0] = lt_onnx_full(im, DT_F32, 2, dims, lt_build_float(&im->b, DT_F32, 1 / (double)k));
    if (!lt_onnx_loop_begin(im, &l))
        return NULL;
    Coupling c = {.q = lt_onnx_loop_capture(im, &l, q), .p = l.state[0]};
    c.qp = lt_build_contract(&im->b, c.q, c.p, "nij,nj->ni");
    c.pqp = sum_rows(im, mul(im, c.p, c.qp));
    Value *error = lt_build_map1(&im->b, FN_ABS, sub(im, c.qp, c.pqp));
    error = lt_build_reduce(&im->b, FN_MAX, error, &last, 1, true);
    Value *is_done = lt_onnx_map_scalar(im, FN_LT, error, least);
    for (int64_t t = 0; t < k; t++)
        step(im, &c, t, k);
    next = lt_build_map3(&im->b, FN_SELECT, is_done, l.state[0], c.p);
    return lt_onnx_loop_end(im, &l, &next) ? l.state[0] : NULL;
}

bool lt_onnx_svm_classifier(Import *im) {
    const char *transform = lt_onnx_string(im, "post_transform", "NONE");
    Machines m = {0};
    Value *x = lt_onnx_features(im, im->inputs[0], true);
    if (!x || !read_machines(im, &m))
        return false;
    Value *kernel = kernel_of(im, lt_build_convert(&im->b, x, DT_F32), m.vectors);
    Value *scores = kernel ? decisions(im, &m, kernel) : NULL;
    if (!scores)
        return false;
    onnx_set(im, 0, lt_onnx_best_label(im, &m.labels, votes_of(im, &m, scores)));
    if (m.a)
        return onnx_set(im, 1,
                        lt_onnx_post_transform(im, probabilities(im, &m, scores), transform));
    return onnx_set(im, 1,
                    m.pairs == 1 ? lt_onnx_two_scores(im, scores, false, transform)
                                 : lt_onnx_post_transform(im, scores, transform));
}
