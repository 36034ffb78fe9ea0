/* test_onnx_ops.c - what ops of ONNX mean that the backend suite has no case for: models made here,
 * evaluated, and compared with numbers that were worked out by hand or that onnxruntime gives. */
#include <math.h>

#include "frontends/import.h"
#include "frontends/onnx/status.h"
#include "ir/eval.h"
#include "tests/test.h"
#include "tests/unit/onnx_writer.h"

static Arena arena;
static DiagList *diags;

static void setup(void) {
    lt_arena_free(&arena);
    lt_arena_init(&arena);
}

/* --- attributes ------------------------------------------------------------------------------- */

static void add_float(Bytes *node, const char *name, float value) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    put_float(&a, 2, value);
    put_int(&a, 20, 1);
    put_message(node, 5, &a);
}

static void add_floats(Bytes *node, const char *name, const float *values, size_t count) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    for (size_t i = 0; i < count; i++)
        put_float(&a, 7, values[i]);
    put_int(&a, 20, 6);
    put_message(node, 5, &a);
}

static void add_strings(Bytes *node, const char *name, const char *const *values, size_t count) {
    Bytes a = {.len = 0};
    put_string(&a, 1, name);
    for (size_t i = 0; i < count; i++)
        put_string(&a, 9, values[i]);
    put_int(&a, 20, 8);
    put_message(node, 5, &a);
}

#define FLOATS(node, name, ...) \
    add_floats(node, name, (float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__}) / 4)
#define INTS(node, name, ...) \
    add_ints(node, name, (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / 8)
#define STRINGS(node, name, ...) \
    add_strings(node, name, (const char *[]){__VA_ARGS__}, \
                sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

/* --- running ---------------------------------------------------------------------------------- */

static const char *all_text(void) {
    Str text;
    lt_str_init(&text, &arena);
    for (size_t i = 0; i < diags->items.len; i++)
        lt_str_printf(&text, "%s\n", lt_diag_format(diags, &diags->items.data[i], false));
    return text.text;
}

static Bytes ml_node(const char *op, const char *outputs) {
    Bytes n = new_node(op, "x", outputs);
    put_string(&n, 7, "ai.onnx.ml");
    return n;
}

/* Boxes of regions in the input r: of image 0, from (1, 0) to (2, 1), and from (0, 0) to (0, 0). */
static void add_regions(Bytes *g) {
    static const float regions[] = {0, 1, 0, 2, 1, 0, 0, 0, 0, 0};
    add_tensor(g, "r", 1, (int64_t[]){2, 5}, 2, regions, sizeof regions);
}

/* x of these dims, one node, and its outputs, which are named y and z. */
static Module *import_node(const Bytes *node, const char *dims, int outputs) {
    Bytes g = {.len = 0};
    add_regions(&g);
    add_value(&g, 11, "x", dims);
    add_value(&g, 12, "y", "?");
    if (outputs > 1)
        add_value(&g, 12, "z", "?x?");
    put_message(&g, 1, node);
    Bytes m = new_model(&g, 22);
    add_opset(&m, "ai.onnx.ml", 3);
    uint8_t *copy = lt_arena_copy(&arena, m.data, m.len + 1);
    return lt_import_onnx(&arena, "/nowhere/model.onnx", copy, m.len, NULL, &diags);
}

typedef struct Numbers {
    const double *values;
    int64_t count;
} Numbers;
#define NUMBERS(...) \
    (Numbers) { (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / 8 }

static void compare(const Tensor *t, Numbers expected) {
    ck_assert_int_eq(lt_tensor_elements(t), expected.count);
    for (int64_t i = 0; i < expected.count; i++) {
        const double found = lt_dtype_is_float(t->dtype) ? lt_tensor_get_float(t, i)
                                                         : (double)lt_tensor_get_int(t, i);
        ck_assert_double_eq_tol(found, expected.values[i], 1e-5);
    }
}

/* Evaluates the node on an image [1, 1, 2, 3] of 1, 2, 3, ... */
static void expect_of_image(const Bytes *node, Numbers y) {
    Module *m = import_node(node, "1x1x2x3", 1);
    ck_assert_msg(m, "%s", all_text());
    Tensor *image = lt_tensor_new(&arena, DT_F32, 4, (int64_t[]){1, 1, 2, 3});
    for (int64_t i = 0; i < 6; i++)
        lt_tensor_set_float(image, i, (double)i + 1);
    const Tensor *inputs[] = {image}, *out;
    Evaluation ev = {0};
    ck_assert_msg(lt_eval_module(&ev, &arena, m, inputs, &out), "%s", ev.error);
    compare(out, y);
}

/* Evaluates the node on x: rows of `columns` numbers; 0 columns: a vector. */
static void run(const Bytes *node, Numbers x, int64_t columns, const Tensor **outputs, int count) {
    const char *dims = columns ? lt_arena_printf(&arena, "rowsx%lld", (long long)columns) : "rows";
    Module *m = import_node(node, dims, count);
    ck_assert_msg(m, "%s", all_text());
    ck_assert_msg(lt_module_verify(m), "%s", all_text());
    const int64_t shape[] = {columns ? x.count / columns : x.count, columns};
    Tensor *tensor = lt_tensor_new(&arena, DT_F32, columns ? 2 : 1, shape);
    for (int64_t i = 0; i < x.count; i++)
        lt_tensor_set_float(tensor, i, x.values[i]);
    const Tensor *inputs[] = {tensor};
    Evaluation ev = {0};
    ck_assert_msg(lt_eval_module(&ev, &arena, m, inputs, outputs), "%s", ev.error);
}

static void expect(const Bytes *node, Numbers x, int64_t columns, Numbers y) {
    const Tensor *out;
    run(node, x, columns, &out, 1);
    compare(out, y);
}

static void expect_two(const Bytes *node, Numbers x, int64_t columns, Numbers y, Numbers z) {
    const Tensor *out[2];
    run(node, x, columns, out, 2);
    compare(out[0], y);
    compare(out[1], z);
}

static void expect_refusal(const Bytes *node, const char *dims, const char *words) {
    ck_assert(!import_node(node, dims, 1));
    ck_assert_msg(strstr(all_text(), words), "expected '%s' in: %s", words, all_text());
}

/* --- features --------------------------------------------------------------------------------- */

START_TEST(features) {
    setup();
    Bytes n = ml_node("Scaler", "y");
    FLOATS(&n, "offset", 1, 2);
    FLOATS(&n, "scale", 2, 0.5F);
    expect(&n, NUMBERS(1, 2, 3, 4), 2, NUMBERS(0, 0, 4, 1));
    n = ml_node("Normalizer", "y");
    add_string(&n, "norm", "L2");
    expect(&n, NUMBERS(3, -4, 0, 0), 2, NUMBERS(0.6, -0.8, 0, 0));
    n = ml_node("Normalizer", "y");
    add_string(&n, "norm", "MAX");
    expect(&n, NUMBERS(2, 4, -1, -2), 2, NUMBERS(0.5, 1, 1, 2));
    n = ml_node("Imputer", "y");
    FLOATS(&n, "imputed_value_floats", 7, 8);
    add_float(&n, "replaced_value_float", NAN);
    expect(&n, NUMBERS(1, NAN, NAN, 4), 2, NUMBERS(1, 8, 7, 4));
    n = ml_node("OneHotEncoder", "y");
    INTS(&n, "cats_int64s", 1, 5);
    expect(&n, NUMBERS(5, 2, 1), 0, NUMBERS(0, 1, 0, 0, 1, 0));
    n = ml_node("FeatureVectorizer", "y");
    INTS(&n, "inputdimensions", 3);
    expect(&n, NUMBERS(1, 2, 3, 4), 2, NUMBERS(1, 2, 0, 3, 4, 0));
}
END_TEST

START_TEST(linear_models) {
    setup();
    Bytes n = ml_node("LinearRegressor", "y");
    FLOATS(&n, "coefficients", 1, 2, -1, 1);
    FLOATS(&n, "intercepts", 0.5F, 0);
    add_int(&n, "targets", 2);
    expect(&n, NUMBERS(1, 2, 3, 4), 2, NUMBERS(5.5, 1, 11.5, 1));
    n = ml_node("LinearClassifier", "y z");
    FLOATS(&n, "coefficients", 1, 2, -1, 1);
    FLOATS(&n, "intercepts", 0.5F, 0);
    INTS(&n, "classlabels_ints", 40, 50);
    add_string(&n, "post_transform", "LOGISTIC");
    expect_two(&n, NUMBERS(1, 0, -1, 0), 2, NUMBERS(40, 50),
               NUMBERS(0.8175745, 0.2689414, 0.3775407, 0.7310586));
    n = ml_node("LinearClassifier", "y z"); /* one score for two classes */
    FLOATS(&n, "coefficients", 1, 2);
    FLOATS(&n, "intercepts", 0.5F);
    INTS(&n, "classlabels_ints", 40, 50);
    expect_two(&n, NUMBERS(1, 0, -1, 0), 2, NUMBERS(50, 40), NUMBERS(-0.5, 1.5, 1.5, -0.5));
    setup();
    n = ml_node("LinearRegressor", "y");
    FLOATS(&n, "coefficients", 1, 2, 3);
    expect_refusal(&n, "4x2", "a row of coefficients has 3 numbers for 2 features");
}
END_TEST

/* --- support vectors -------------------------------------------------------------------------- */

START_TEST(support_vectors) {
    setup();
    Bytes n = ml_node("SVMRegressor", "y"); /* (x . s)^2 */
    FLOATS(&n, "support_vectors", 1, 0, 1, 1);
    FLOATS(&n, "coefficients", 2, -1);
    FLOATS(&n, "rho", 0.5F);
    FLOATS(&n, "kernel_params", 1, 0, 2);
    add_string(&n, "kernel_type", "POLY");
    add_int(&n, "n_supports", 2);
    expect(&n, NUMBERS(1, 2, 3, -3), 2, NUMBERS(2 - 9 + 0.5, 18.5));
    n = ml_node("SVMClassifier", "y z"); /* numbers of onnxruntime 1.32 */
    INTS(&n, "vectors_per_class", 1, 1, 1);
    INTS(&n, "classlabels_ints", 3, 4, 5);
    FLOATS(&n, "support_vectors", 0, 0, 1, 0, 0, 1);
    FLOATS(&n, "coefficients", 1, -1, -0.5F, 0.5F, 1, -1);
    FLOATS(&n, "rho", 0.1F, -0.2F, 0.05F);
    FLOATS(&n, "kernel_params", 0.5F, 0, 0);
    FLOATS(&n, "prob_a", -1, -2, -1.5F);
    FLOATS(&n, "prob_b", 0.1F, 0, -0.1F);
    add_string(&n, "kernel_type", "RBF");
    expect_two(&n, NUMBERS(0, 0.5, 1, 1), 2, NUMBERS(5, 4),
               NUMBERS(0.3147945, 0.2624404, 0.4227654, 0.2442905, 0.3854445, 0.3702649));
}
END_TEST

/* --- trees ------------------------------------------------------------------------------------ */

/* Tree 0: x0 <= 1 ? (x1 < 2 ? leaf 3 : leaf 4) : leaf 2; tree 1: x1 > 0 ? leaf 1 : leaf 2. What is
 * missing goes to true in tree 1. */
static void add_trees(Bytes *n) {
    INTS(n, "nodes_treeids", 0, 0, 0, 0, 0, 1, 1, 1);
    INTS(n, "nodes_nodeids", 0, 1, 2, 3, 4, 0, 1, 2);
    INTS(n, "nodes_featureids", 0, 1, 0, 0, 0, 1, 0, 0);
    FLOATS(n, "nodes_values", 1, 2, 0, 0, 0, 0, 0, 0);
    INTS(n, "nodes_truenodeids", 1, 3, 0, 0, 0, 1, 0, 0);
    INTS(n, "nodes_falsenodeids", 2, 4, 0, 0, 0, 2, 0, 0);
    INTS(n, "nodes_missing_value_tracks_true", 0, 0, 0, 0, 0, 1, 0, 0);
    STRINGS(n, "nodes_modes", "BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "BRANCH_GT",
            "LEAF", "LEAF");
}

static void add_weights(Bytes *n, const char *prefix) {
    INTS(n, lt_arena_printf(&arena, "%s_treeids", prefix), 0, 0, 0, 1, 1);
    INTS(n, lt_arena_printf(&arena, "%s_nodeids", prefix), 2, 3, 4, 1, 2);
    FLOATS(n, lt_arena_printf(&arena, "%s_weights", prefix), 1, 2, 4, 8, 16);
}

START_TEST(tree_regressors) {
    static const struct {
        const char *fold;
        double y[3];
    } cases[] = {
        {"SUM", {10, 17, 9}}, {"AVERAGE", {5, 8.5, 4.5}}, {"MIN", {2, 1, 1}}, {"MAX", {8, 16, 8}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup();
        Bytes n = ml_node("TreeEnsembleRegressor", "y");
        add_trees(&n);
        add_weights(&n, "target");
        INTS(&n, "target_ids", 0, 0, 0, 0, 0);
        add_string(&n, "aggregate_function", cases[i].fold);
        add_int(&n, "n_targets", 1);
        expect(&n, NUMBERS(1, 1, 2, 0, 2, NAN), 2, (Numbers){cases[i].y, 3});
    }
}
END_TEST

START_TEST(tree_classifiers) {
    setup();
    Bytes n = ml_node("TreeEnsembleClassifier", "y z");
    add_trees(&n);
    add_weights(&n, "class");
    INTS(&n, "class_ids", 0, 1, 2, 0, 1);
    INTS(&n, "classlabels_int64s", 7, 8, 9);
    expect_two(&n, NUMBERS(1, 1, 2, 0, 1, 3), 2, NUMBERS(7, 8, 7),
               NUMBERS(8, 2, 0, 1, 16, 0, 8, 0, 4));
    n = ml_node("TreeEnsembleClassifier", "y z"); /* one score for two classes */
    add_trees(&n);
    add_weights(&n, "class");
    INTS(&n, "class_ids", 0, 0, 0, 0, 0);
    FLOATS(&n, "base_values", -10);
    INTS(&n, "classlabels_int64s", 7, 8);
    add_string(&n, "post_transform", "LOGISTIC");
    expect_two(&n, NUMBERS(1, 1, 2, 1), 2, NUMBERS(7, 7), NUMBERS(0.5, 0.5, 0.7310586, 0.2689414));
}
END_TEST

START_TEST(broken_trees) {
    static const struct {
        int64_t yes; /* of node 0 */
        const char *words;
    } cases[] = {{0, "node 0 has two parents"}, {9, "tree 0 has no node 9"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup();
        Bytes n = ml_node("TreeEnsembleRegressor", "y");
        INTS(&n, "nodes_treeids", 0, 0);
        INTS(&n, "nodes_nodeids", 0, 1);
        INTS(&n, "nodes_featureids", 0, 0);
        FLOATS(&n, "nodes_values", 1, 2);
        INTS(&n, "nodes_truenodeids", cases[i].yes, 0);
        INTS(&n, "nodes_falsenodeids", 1, 0);
        STRINGS(&n, "nodes_modes", "BRANCH_LEQ", "LEAF");
        INTS(&n, "target_treeids", 0);
        INTS(&n, "target_nodeids", 1);
        FLOATS(&n, "target_weights", 1);
        INTS(&n, "target_ids", 0);
        expect_refusal(&n, "2x2", cases[i].words);
    }
}
END_TEST

/* --- sums of products ------------------------------------------------------------------------- */

START_TEST(einsums) {
    setup();
    Bytes n = new_node("Einsum", "x", "y"); /* the trace */
    add_string(&n, "equation", "ii");
    expect(&n, NUMBERS(1, 2, 3, 4), 2, NUMBERS(5));
    n = new_node("Einsum", "x x x", "y"); /* x x x^T, by way of a product */
    add_string(&n, "equation", "ij, jk, lk -> il");
    expect(&n, NUMBERS(1, 2, 3, 4), 2, NUMBERS(27, 61, 59, 133));
    n = new_node("Einsum", "x x", "y"); /* what the ellipsis stands for comes first */
    add_string(&n, "equation", "...j,kj");
    expect(&n, NUMBERS(1, 2, 3, 4), 2, NUMBERS(5, 11, 11, 25));
    n = new_node("Einsum", "x", "y");
    add_string(&n, "equation", "i..j");
    expect_refusal(&n, "2x2", "is out of place");
}
END_TEST

/* --- pools ------------------------------------------------------------------------------------ */

START_TEST(pools) {
    setup();
    Bytes n = new_node("GlobalLpPool", "x", "y");
    add_int(&n, "p", 3);
    expect_of_image(&n, NUMBERS(cbrt(441)));
    n = new_node("MaxRoiPool", "x r", "y");
    INTS(&n, "pooled_shape", 2, 1);
    expect_of_image(&n, NUMBERS(3, 6, 1, 1));
}
END_TEST

START_TEST(quantization) {
    setup();
    const Tensor *out;
    Bytes n = new_node("DequantizeLinear", "x x", "y");
    add_int(&n, "axis", 0);
    add_int(&n, "output_dtype", 11);
    run(&n, NUMBERS(3), 0, &out, 1);
    ck_assert_int_eq(out->dtype, DT_F64);
    compare(out, NUMBERS(9));
}
END_TEST

/* --- shapes ----------------------------------------------------------------------------------- */

/* Which axes are 1 is known but for `rows`: that stays, and must not be 1. */
START_TEST(squeezes) {
    setup();
    Bytes n = new_node("Squeeze", "x", "y");
    const Tensor *out;
    run(&n, NUMBERS(1, 2), 1, &out, 1);
    ck_assert_int_eq(out->rank, 1);
    Module *m = import_node(&n, "rowsx1", 1);
    Tensor *one = lt_tensor_new(&arena, DT_F32, 2, (int64_t[]){1, 1});
    const Tensor *inputs[] = {one};
    Evaluation ev = {0};
    ck_assert(!lt_eval_module(&ev, &arena, m, inputs, &out));
}
END_TEST

/* --- random numbers --------------------------------------------------------------------------- */

static void moments(const Tensor *t, double *mean, double *variance) {
    const int64_t count = lt_tensor_elements(t);
    *mean = *variance = 0;
    for (int64_t i = 0; i < count; i++)
        *mean += lt_tensor_get_float(t, i) / (double)count;
    for (int64_t i = 0; i < count; i++)
        *variance += pow(lt_tensor_get_float(t, i) - *mean, 2) / (double)count;
}

/* Like a vector of `count` zeros. */
static const Tensor *draw(const char *op, const char *output, float seed, int64_t count) {
    Bytes n = new_node(op, "x", output);
    add_float(&n, "seed", seed);
    const Tensor *out;
    run(&n, (Numbers){LT_ARRAY(&arena, double, count), count}, 0, &out, 1);
    return out;
}

START_TEST(distributions) {
    enum { COUNT = 20000 };
    double mean, variance;
    setup();
    const Tensor *uniform = draw("RandomUniformLike", "y", 1, COUNT);
    moments(uniform, &mean, &variance);
    ck_assert_double_eq_tol(mean, 0.5, 0.01);
    ck_assert_double_eq_tol(variance, 1.0 / 12, 0.002);
    for (int64_t i = 0; i < COUNT; i++) {
        const double u = lt_tensor_get_float(uniform, i);
        ck_assert(u >= 0 && u < 1);
    }
    const Tensor *normal = draw("RandomNormalLike", "y", 1, COUNT);
    moments(normal, &mean, &variance);
    ck_assert_double_eq_tol(mean, 0, 0.03);
    ck_assert_double_eq_tol(variance, 1, 0.04);
    const Tensor *again = draw("RandomUniformLike", "y", 1, COUNT),
                 *other = draw("RandomUniformLike", "y", 2, COUNT);
    double correlation = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        const double u = lt_tensor_get_float(uniform, i) - 0.5;
        ck_assert(u == lt_tensor_get_float(again, i) - 0.5);
        correlation += u * (lt_tensor_get_float(other, i) - 0.5) * 12 / COUNT;
    }
    ck_assert_double_eq_tol(correlation, 0, 0.03);
}
END_TEST

START_TEST(samples) {
    enum { COUNT = 6000 };
    double counts[3] = {0}, mean, variance;
    setup();
    Bytes n = new_node("Multinomial", "x", "y");
    add_int(&n, "sample_size", COUNT);
    const Tensor *out;
    run(&n, NUMBERS(log(1), log(2), log(3)), 3, &out, 1);
    ck_assert_int_eq(lt_tensor_elements(out), COUNT);
    for (int64_t i = 0; i < COUNT; i++)
        counts[lt_tensor_get_int(out, i)]++;
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq_tol(counts[i] / COUNT, (i + 1) / 6.0, 0.03);
    double *p = LT_ARRAY(&arena, double, COUNT);
    for (int64_t i = 0; i < COUNT; i++)
        p[i] = 0.25;
    n = new_node("Bernoulli", "x", "y");
    run(&n, (Numbers){p, COUNT}, 0, &out, 1);
    moments(out, &mean, &variance);
    ck_assert_double_eq_tol(mean, 0.25, 0.03);
    ck_assert_double_eq_tol(variance, 0.1875, 0.02); /* all are 0 or 1 */
}
END_TEST

LT_TEST_MAIN("test_onnx_ops", features, linear_models, support_vectors, tree_regressors,
             tree_classifiers, broken_trees, einsums, pools, quantization, squeezes, distributions,
             samples)
