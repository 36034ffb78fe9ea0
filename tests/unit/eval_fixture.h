/* eval_fixture.h - what the tests of inference and evaluation share: a module to build in, tensors
 * and attributes as literals, and running a value. */
#ifndef LATHE_TESTS_EVAL_FIXTURE_H
#define LATHE_TESTS_EVAL_FIXTURE_H

#include <math.h>

#include "ir/build.h"
#include "ir/eval.h"
#include "tests/test.h"

static Arena arena;
static Module *module;
static Builder builder;

static inline void begin(void) {
    lt_arena_init(&arena);
    module = lt_module_new(&arena, "test");
    module->main = lt_graph_new(module, NULL, "main");
    builder = (Builder){.graph = module->main};
}

static inline void end(void) { lt_arena_free(&arena); }

/* --- building ------------------------------------------------------------------------------------
 */

#define LIST(...) \
    (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double)
#define DIMS(...) \
    (const int64_t[]){__VA_ARGS__}, (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
#define SCALAR_SHAPE NULL, 0

static inline Value *tensor(DType dtype, const int64_t *dims, int rank, const double *values,
                            size_t count) {
    Tensor *t = lt_tensor_new(&arena, dtype, rank, dims);
    ck_assert_int_eq(lt_tensor_elements(t), (int64_t)count);
    for (size_t i = 0; i < count; i++)
        lt_tensor_set_float(t, (int64_t)i, values[i]);
    return lt_build_const(&builder,
                          lt_const(module, lt_type_static(module, dtype, rank, dims), t->data));
}

#define F32(...) tensor(DT_F32, __VA_ARGS__)
#define I64(...) tensor(DT_I64, __VA_ARGS__)

static inline Attr dims_attr(AttrName name, const int64_t *values, int count) {
    const Dim **dims = LT_ARRAY(&arena, const Dim *, count);
    for (int i = 0; i < count; i++)
        dims[i] = lt_dim_const(&module->dims, values[i]);
    return lt_dims(name, dims, (uint32_t)count);
}

static inline Attr ints_attr(AttrName name, const int64_t *values, int count) {
    return lt_ints(name, values, (uint32_t)count);
}

#define INPUTS(...) \
    .inputs = (Value *[]){__VA_ARGS__}, \
    .input_count = sizeof((Value *[]){__VA_ARGS__}) / sizeof(Value *)
#define ATTRS(...) \
    .attrs = (Attr[]){__VA_ARGS__}, .attr_count = sizeof((Attr[]){__VA_ARGS__}) / sizeof(Attr)
#define NODE(name, ...) lt_build(&builder, &(NodeSpec){.op = OP_##name, __VA_ARGS__})

/* --- running -------------------------------------------------------------------------------------
 */

static inline const Tensor *try_run(Value *v, const char **error) {
    Evaluation ev;
    const Tensor *out = NULL;
    ck_assert_msg(v != NULL, "%s",
                  module->diags.items.len ? module->diags.items.data[0].text : "no value");
    lt_graph_set_outputs(module->main, &v, 1);
    const bool done = lt_eval_module(&ev, &arena, module, NULL, &out);
    ck_assert_int_eq(done, ev.error == NULL);
    *error = ev.error;
    return done ? out : NULL;
}

static inline const Tensor *run(Value *v) {
    const char *error;
    const Tensor *t = try_run(v, &error);
    ck_assert_msg(t != NULL, "%s", error);
    return t;
}

static inline void expect(Value *v, const int64_t *dims, int rank, const double *values,
                          size_t count) {
    const Tensor *t = run(v);
    ck_assert_int_eq(t->rank, rank);
    for (int i = 0; i < rank; i++)
        ck_assert_int_eq(t->dims[i], dims[i]);
    ck_assert_int_eq(lt_tensor_elements(t), (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        const double found = lt_tensor_get_float(t, (int64_t)i);
        ck_assert_msg(isnan(values[i]) ? isnan(found)
                      : isinf(values[i])
                          ? found == values[i]
                          : fabs(found - values[i]) <= 1e-6 * fmax(1, fabs(values[i])),
                      "element %zu is %.9g, expected %.9g", i, found, values[i]);
    }
}

static inline void expect_error(Value *v, const char *part) {
    const char *error;
    ck_assert_ptr_null(try_run(v, &error));
    ck_assert_msg(strstr(error, part) != NULL, "\"%s\" does not say \"%s\"", error, part);
    lt_graph_set_outputs(module->main, NULL, 0);
    lt_node_remove(v->def);
}

#endif
