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
#include "tools/value_pb.h"

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

static bool compile(Running *r, const Conformance *how, const char *artifact) {
    const char *path = lt_arena_printf(&r->arena, "%s/model.onnx", r->at->folder);
    const DimsOptions form = lt_dims_options(&r->arena, path, how->dims);
    const CompileOptions options = {.target = how->target,
                                    .pass_limit = -1,
                                    .quiet = true,
                                    .cuda_jit = how->cuda_jit,
                                    .inputs = form.inputs,
                                    .dims = form.ranges};
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

static bool read_value(Running *r, const char *path, const ValueSlot *slot, HostValue *out) {
    const char *error = "";
    if (lt_value_pb_read(&r->arena, path, slot, out, &error) == LATHE_OK)
        return true;
    return end(r, VERDICT_DATA, "%s: %s", strrchr(path, '/') + 1, error);
}

static bool set_input(Running *r, uint32_t index, const HostTensor *from) {
    const lathe_tensor tensor = {.data = from->data,
                                 .dtype = from->dtype,
                                 .rank = from->rank,
                                 .dims = from->dims,
                                 .device = {LATHE_CPU, 0}};
    return !lathe_copy_input(r->context, index, &tensor) ||
           end(r, VERDICT_RUN, "%s", lathe_context_error(r->context));
}

/* A file for each of the model's inputs, which may be several of the artifact's. */
static bool set_inputs(Running *r, const char *set) {
    const char *path, *error = "";
    const uint32_t count = lathe_input_count(r->model);
    uint32_t files = 0;
    for (uint32_t first = 0; first < count; files++) {
        const ValueSlot slot = lt_input_slot(&r->arena, r->model, first);
        HostTensor members[SLOT_MEMBERS];
        HostValue value;
        if (!data_path(r, set, "input", files, &path))
            return end(r, VERDICT_RUN, "the artifact has %u inputs, the data set %u files", count,
                       files);
        if (!read_value(r, path, &slot, &value))
            return false;
        if (lt_value_pack(&r->arena, &slot, &value, members, &error))
            return end(r, VERDICT_DATA, "input '%s': %s", slot.name, error);
        for (uint32_t i = 0; i < slot.count; i++)
            if (!set_input(r, first++, &members[i]))
                return false;
    }
    if (data_path(r, set, "input", files, &path))
        return end(r, VERDICT_RUN, "the data set has more inputs than the model's %u", files);
    return true;
}

static bool compare_value(Running *r, uint32_t output, const HostValue *wanted,
                          const HostValue *found) {
    char difference[160];
    if (wanted->is_absent != found->is_absent || wanted->count != found->count)
        return end(r, VERDICT_WRONG, "output %u: %u elements%s, expected %u%s", output,
                   found->count, found->is_absent ? " (absent)" : "", wanted->count,
                   wanted->is_absent ? " (absent)" : "");
    for (uint32_t i = 0; i < wanted->count; i++) {
        const HostTensor *element = &found->elements[i];
        const lathe_tensor tensor = {.data = element->data,
                                     .dtype = element->dtype,
                                     .rank = element->rank,
                                     .dims = element->dims};
        if (!lt_tensor_close(&wanted->elements[i], &tensor, &r->tolerance, difference,
                             sizeof difference))
            return wanted->count == 1
                       ? end(r, VERDICT_WRONG, "output %u: %s", output, difference)
                       : end(r, VERDICT_WRONG, "output %u, element %u: %s", output, i, difference);
    }
    return true;
}

static bool compare_outputs(Running *r, const char *set) {
    const char *path, *error = "";
    const uint32_t count = lathe_output_count(r->model);
    uint32_t files = 0;
    for (uint32_t first = 0; first < count; files++) {
        const ValueSlot slot = lt_output_slot(&r->arena, r->model, first);
        HostValue wanted, found;
        lathe_tensor members[SLOT_MEMBERS];
        if (!data_path(r, set, "output", files, &path))
            return end(r, VERDICT_WRONG, "%u outputs, the data set has %u files", count, files);
        if (!read_value(r, path, &slot, &wanted))
            return false;
        for (uint32_t i = 0; i < slot.count; i++)
            if (lathe_get_output(r->context, first++, &members[i]))
                return end(r, VERDICT_RUN, "%s", lathe_context_error(r->context));
        if (lt_value_unpack(&r->arena, &slot, members, &found, &error))
            return end(r, VERDICT_WRONG, "output %u: %s", files, error);
        if (!compare_value(r, files, &wanted, &found))
            return false;
    }
    if (data_path(r, set, "output", files, &path))
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

void lt_case_run(const Conformance *c, const Case *at) {
    Running r = {.at = at};
    lt_arena_init(&r.arena);
    read_tolerance(&r);
    const char *artifact = lt_arena_printf(&r.arena, ARTIFACT_PATH, (long)getpid());
    if (compile(&r, c, artifact) && load(&r, artifact) && run_sets(&r))
        end(&r, VERDICT_PASSED, "%s", "");
    lathe_context_free(r.context);
    lathe_model_close(r.model);
    lt_arena_free(&r.arena);
}
