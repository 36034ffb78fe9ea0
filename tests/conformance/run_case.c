/* run_case.c - one case, in a process of its own: compile, load, run every data set, compare. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lathe/runtime.h"
#include "runtime/base/file.h"
#include "tests/close.h"
#include "tests/conformance/conformance.h"
#include "tools/compile.h"
#include "tools/tensor_pb.h"

typedef struct Running {
    const Case *at;
    Arena arena;
    lathe_model *model;
    lathe_context *context;
    Tolerance tolerance;
} Running;

static bool end(const Running *r, Verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool end(const Running *r, Verdict verdict, const char *format, ...) {
    Outcome *outcome = r->at->outcome;
    va_list args;
    va_start(args, format);
    vsnprintf(outcome->reason, sizeof outcome->reason, format, args);
    va_end(args);
    outcome->verdict = verdict;
    return false;
}

/* --- compiling --- */

static bool refuse(const Running *r, const Compilation *c, int code) {
    Verdict verdict = code == LATHE_UNSUPPORTED ? VERDICT_UNSUPPORTED : VERDICT_COMPILE;
    for (size_t i = 0; c->diags && i < c->diags->items.len; i++) {
        const Diag *d = &c->diags->items.data[i];
        if (d->level != DIAG_ERROR)
            continue;
        const char *op = d->loc && d->loc->op ? d->loc->op : "";
        snprintf(r->at->outcome->op, sizeof r->at->outcome->op, "%s", op);
        return end(r, verdict, "%s", d->text);
    }
    return end(r, verdict, "the compiler's exit code is %d", code);
}

static bool compile(const Running *r, const char *artifact) {
    const CompileOptions options = {.pass_limit = -1, .quiet = true};
    const char *path = lt_arena_printf((Arena *)&r->arena, "%s/model.onnx", r->at->folder);
    Compilation c;
    lt_compile_init(&c, path, &options);
    int code = lt_compile_run(&c, artifact);
    r->at->outcome->compile_seconds = lt_seconds_now() - c.started;
    bool ok = code == 0 || refuse(r, &c, code);
    lt_compile_free(&c);
    return ok;
}

/* --- running --- */

static bool data_path(Running *r, const char *set, const char *kind, uint32_t index,
                      const char **path) {
    *path = lt_arena_printf(&r->arena, "%s/%s_%u.pb", set, kind, index);
    return access(*path, F_OK) == 0;
}

static bool read_tensor(Running *r, const char *path, HostTensor *out) {
    const char *error = "";
    if (lt_tensor_pb_read(&r->arena, path, out, &error) == LATHE_OK)
        return true;
    return end(r, VERDICT_DATA, "%s: %s", strrchr(path, '/') + 1, error);
}

static bool set_inputs(Running *r, const char *set) {
    const char *path;
    uint32_t count = lathe_input_count(r->model);
    for (uint32_t i = 0; i < count; i++) {
        HostTensor from;
        if (!data_path(r, set, "input", i, &path))
            return end(r, VERDICT_RUN, "the artifact has %u inputs, the data set %u", count, i);
        if (!read_tensor(r, path, &from))
            return false;
        const lathe_tensor tensor = {.data = from.data,
                                     .dtype = from.dtype,
                                     .rank = from.rank,
                                     .dims = from.dims,
                                     .device = {LATHE_CPU, 0}};
        if (lathe_copy_input(r->context, i, &tensor))
            return end(r, VERDICT_RUN, "%s", lathe_context_error(r->context));
    }
    if (data_path(r, set, "input", count, &path))
        return end(r, VERDICT_RUN, "the data set has more inputs than the artifact's %u", count);
    return true;
}

static bool compare_outputs(Running *r, const char *set) {
    const char *path;
    uint32_t count = lathe_output_count(r->model);
    for (uint32_t i = 0; i < count; i++) {
        HostTensor wanted;
        lathe_tensor found;
        char difference[160];
        if (!data_path(r, set, "output", i, &path))
            return end(r, VERDICT_WRONG, "%u outputs, the data set has %u", count, i);
        if (!read_tensor(r, path, &wanted))
            return false;
        if (lathe_get_output(r->context, i, &found))
            return end(r, VERDICT_RUN, "%s", lathe_context_error(r->context));
        if (!lt_tensor_close(&wanted, &found, &r->tolerance, difference, sizeof difference))
            return end(r, VERDICT_WRONG, "output %u: %s", i, difference);
    }
    if (data_path(r, set, "output", count, &path))
        return end(r, VERDICT_WRONG, "%u outputs, the data set has more", count);
    return true;
}

static bool run_sets(Running *r) {
    for (int i = 0;; i++) {
        const char *set = lt_arena_printf(&r->arena, "%s/test_data_set_%d", r->at->folder, i);
        if (access(set, F_OK) != 0)
            return i > 0 || end(r, VERDICT_DATA, "there is no data set");
        if (!set_inputs(r, set))
            return false;
        if (lathe_run(r->context))
            return end(r, VERDICT_RUN, "%s", lathe_context_error(r->context));
        if (!compare_outputs(r, set))
            return false;
    }
}

static bool load(Running *r, const char *artifact) {
    const lathe_context_options options = {.struct_size = sizeof options, .threads = 1};
    if (lathe_model_open(artifact, NULL, &r->model) ||
        lathe_context_new(r->model, &options, &r->context))
        return end(r, VERDICT_RUN, "%s", lathe_last_error());
    return true;
}

/* --- tolerances --- */

/* The number behind "KEY": in {"rtol": 0.001, "atol": 1e-07}. */
static void read_number(const char *text, const char *key, double *out) {
    const char *at = strstr(text, key);
    at = at ? strchr(at, ':') : NULL;
    if (at)
        *out = strtod(at + 1, NULL);
}

static void read_tolerance(Running *r) {
    MappedFile file;
    char reason[128];
    r->tolerance = (Tolerance){.relative = 1e-3, .absolute = 1e-7}; /* the suite's own default */
    if (!lt_file_map(&file, lt_arena_printf(&r->arena, "%s/tol.json", r->at->folder), reason,
                     sizeof reason))
        return;
    const char *text = lt_arena_strndup(&r->arena, (const char *)file.data, file.size);
    read_number(text, "\"rtol\"", &r->tolerance.relative);
    read_number(text, "\"atol\"", &r->tolerance.absolute);
    lt_file_unmap(&file);
}

void lt_case_run(const Case *at) {
    Running r = {.at = at};
    lt_arena_init(&r.arena);
    read_tolerance(&r);
    const char *artifact = lt_arena_printf(&r.arena, ARTIFACT_PATH, (long)getpid());
    if (compile(&r, artifact) && load(&r, artifact) && run_sets(&r))
        end(&r, VERDICT_PASSED, "%s", "");
    lathe_context_free(r.context);
    lathe_model_close(r.model);
    lt_arena_free(&r.arena);
}
