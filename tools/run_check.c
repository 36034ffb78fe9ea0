/* run_check.c - `lathe-run --check MODEL`: the artifact's outputs against the evaluator's, on the
 * same inputs. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "tools/oracle.h"
#include "tools/run.h"

enum { GO_ON = -1 };

/* The model is read for the shapes at hand, so that what the artifact was specialized to needs not
 * be told again. Text has its shapes in it. */
static void ask_for_shapes(const Run *run, CompileOptions *options) {
    if (lt_str_ends(run->options->check, ".lir"))
        return;
    for (uint32_t i = 0; i < lathe_input_count(run->model); i++) {
        const HostTensor *tensor = &run->inputs[i];
        Str text;
        lt_str_init(&text, run->arena);
        lt_str_printf(&text, "%s=", lathe_input_info(run->model, i)->name);
        for (int32_t axis = 0; axis < tensor->rank; axis++)
            lt_str_printf(&text, "%s%" PRId64, axis ? "x" : "", tensor->dims[axis]);
        if (tensor->rank)
            lt_vec_push(run->arena, &options->inputs, text.text);
    }
}

/* The artifact's inputs in the graph's order. False: they are not those of this model. */
static bool take_inputs(const Run *run, const Graph *g, const Tensor **inputs) {
    if (g->inputs.len != lathe_input_count(run->model))
        return false;
    for (uint32_t i = 0; i < g->inputs.len; i++) {
        const char *name = g->inputs.data[i]->name;
        int32_t index = name ? lathe_input_find(run->model, name) : (int32_t)i;
        if (index < 0)
            return false;
        const HostTensor *from = &run->inputs[index];
        Tensor *to = LT_NEW(run->arena, Tensor);
        *to = (Tensor){.dtype = (DType)from->dtype, .rank = from->rank, .data = from->data};
        memcpy(to->dims, from->dims, sizeof to->dims);
        inputs[i] = to;
    }
    return true;
}

static bool take_output(const Run *run, uint32_t index, Tensor *out) {
    lathe_tensor view;
    if (lathe_get_output(run->context, index, &view))
        return false;
    *out = (Tensor){.dtype = (DType)view.dtype, .rank = view.rank, .data = view.data};
    memcpy(out->dims, view.dims, (size_t)view.rank * sizeof *view.dims);
    return true;
}

/* What the artifact's products of f32 round their operands to; tf32 has as many bits as f16. */
static DType rounded_to(const Run *run) {
    static const struct {
        const char *words;
        DType dtype;
    } precisions[] = {
        {" precision bf16", DT_BF16}, {" precision f16", DT_F16}, {" precision tf32", DT_F16}};
    lathe_model_info info;
    lathe_model_get_info(run->model, &info);
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++)
        if (strstr(info.target, precisions[i].words))
            return precisions[i].dtype;
    return DT_F32;
}

static int compare_outputs(Run *run, const OracleRun *oracle) {
    uint32_t count = lathe_output_count(run->model), wrong = 0;
    const DType rounded = rounded_to(run);
    run->differences = LT_ARRAY(run->arena, Difference, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = lathe_output_info(run->model, i)->name;
        const Tensor *wanted = oracle->outputs[i];
        Tensor found;
        if (!take_output(run, i, &found))
            return lt_run_fail(run, LATHE_INTERNAL, "%s", lathe_context_error(run->context));
        Difference *d = &run->differences[i];
        *d = lt_compare_rounded(wanted, &found, rounded);
        wrong += d->differs;
        if (!run->options->json)
            fprintf(run->cli->out, "%s %s: %s: %s\n", name, lt_tensor_type_text(run->arena, &found),
                    d->differs ? "WRONG" : "right", lt_difference_text(run->arena, wanted, d));
    }
    if (!wrong)
        return GO_ON;
    int code = lt_run_fail(run, LATHE_MISMATCH,
                           "%u of %u outputs differ from what the evaluator makes of %s", wrong,
                           count, run->options->check);
    fprintf(run->cli->err, "%s: note: 'lathe-dump %s --bisect' looks for the pass and the value\n",
            run->path, run->options->check);
    return code;
}

static int judge(Compilation *c, void *user) {
    Run *run = user;
    int code = lt_compile_import(c);
    if (code)
        return code;
    const Graph *g = c->ctx.module->main;
    const Tensor **inputs = LT_ARRAY(run->arena, const Tensor *, g->inputs.len + 1);
    bool fits = take_inputs(run, g, inputs) &&
                lt_graph_yield(g)->input_count == lathe_output_count(run->model);
    if (!fits)
        return lt_run_fail(run, LATHE_BAD_ARGUMENT,
                           "it was not made of %s: inputs or outputs differ", run->options->check);
    bool show = isatty(STDERR_FILENO) && !run->options->json;
    OracleRun oracle = {.arena = &c->arena,
                        .module = c->ctx.module,
                        .inputs = inputs,
                        .title = show ? run->options->check : NULL};
    if (!lt_oracle_run(&oracle))
        return lt_run_fail(run, LATHE_FAILED, "the evaluator cannot run %s: %s",
                           run->options->check, oracle.ev.error);
    return compare_outputs(run, &oracle);
}

int lt_run_check(Run *run) {
    CompileOptions options = {.pass_limit = -1, .quiet = true, .json = run->options->json};
    if (!run->options->check)
        return GO_ON;
    ask_for_shapes(run, &options);
    Compilation c;
    lt_compile_init(&c, run->options->check, &options);
    int code = lt_compile_guarded(&c, judge, run);
    lt_compile_free(&c);
    return code;
}
