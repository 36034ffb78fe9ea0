/* artifact_fixture.h - a lowered program as machine code, through the runtime. */
#ifndef LATHE_TESTS_ARTIFACT_FIXTURE_H
#define LATHE_TESTS_ARTIFACT_FIXTURE_H

#include <stdio.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "lathe/runtime.h"
#include "tests/diff/lower_fixture.h"

typedef struct ArtifactRun {
    const Tensor *const *inputs, *const *expected;
    int level, threads, repeat;
} ArtifactRun;

static inline void set_inputs(lathe_context *context, lathe_model *model,
                              const Tensor *const *inputs) {
    for (uint32_t i = 0; i < lathe_input_count(model); i++) {
        const Tensor *t = inputs[i];
        lathe_tensor view = {.data = t->data,
                             .dtype = (lathe_dtype)t->dtype,
                             .rank = t->rank,
                             .dims = t->dims,
                             .device = {LATHE_CPU, 0}};
        ck_assert_msg(!lathe_set_input(context, i, &view), "%s", lathe_context_error(context));
    }
}

static inline void check_outputs(lathe_context *context, lathe_model *model,
                                 const Tensor *const *expected, const char *text) {
    for (uint32_t i = 0; i < lathe_output_count(model); i++) {
        lathe_tensor out;
        ck_assert_int_eq(lathe_get_output(context, i, &out), LATHE_OK);
        Tensor got = *expected[i]; /* the shape, which the runtime's must be */
        ck_assert_int_eq(out.rank, got.rank);
        for (int d = 0; d < got.rank; d++)
            ck_assert_int_eq(out.dims[d], got.dims[d]);
        got.data = out.data;
        check_equal(&got, expected[i], text);
    }
}

static inline void check_run(const Program *p, const ArtifactRun *run, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/lathe-diff-%ld.so", (long)getpid());
    CodegenOptions options = {.level = run->level};
    ck_assert_msg(lt_codegen_so(p, &options, path, &p->module->diags), "%s", first_diag(p->module));
    lathe_model *model;
    lathe_context *context;
    lathe_context_options context_options = {.struct_size = sizeof context_options,
                                             .threads = run->threads};
    ck_assert_msg(!lathe_model_open(path, NULL, &model), "%s", lathe_last_error());
    unlink(path);
    ck_assert_int_eq(lathe_context_new(model, &context_options, &context), LATHE_OK);
    set_inputs(context, model, run->inputs);
    for (int i = 0; i < run->repeat; i++) {
        ck_assert_msg(!lathe_run(context), "%s, in\n%s", lathe_context_error(context), text);
        check_outputs(context, model, run->expected, text);
    }
    lathe_context_free(context);
    lathe_model_close(model);
}

#endif
