/* run_inputs.c - where lathe-run's inputs come from: files, random numbers, zeros. */
#include <inttypes.h>
#include <string.h>

#include "runtime/base/str.h"
#include "tools/random.h"
#include "tools/run.h"
#include "tools/value_pb.h"

enum { GO_ON = -1, NO_VALUE = -2 };

/* --- --dim --- */

static int set_dim(Run *run, const char *text) {
    const char *name, *value;
    int64_t extent;
    lathe_model_info info;
    lathe_model_get_info(run->model, &info);
    lt_cli_split(run->arena, text, &name, &value);
    if (!lt_cli_int(value, &extent) || extent < 0)
        return lt_cli_wrong(run->cli, "--dim: expected NAME=N, found '%s'", text);
    const char **names = LT_ARRAY(run->arena, const char *, info.symbol_count + 1);
    for (uint32_t i = 0; i < info.symbol_count; i++) {
        names[i] = lathe_symbol_info(run->model, i)->symbol;
        if (strcmp(names[i], name) == 0) {
            run->symbols[i] = extent;
            return GO_ON;
        }
    }
    const char *nearest = lt_cli_nearest(name, names, info.symbol_count);
    return lt_cli_wrong(run->cli, "--dim: the model has no symbolic dim '%s'%s%s%s", name,
                        nearest ? "; did you mean '" : "", nearest ? nearest : "",
                        nearest ? "'?" : "");
}

static int64_t *find_symbol(Run *run, const char *name) {
    lathe_model_info info;
    lathe_model_get_info(run->model, &info);
    for (uint32_t i = 0; i < info.symbol_count && name; i++)
        if (strcmp(lathe_symbol_info(run->model, i)->symbol, name) == 0)
            return &run->symbols[i];
    return NULL;
}

/* --- --input --- */

/* NAME=SOURCE where NAME is an input (the longest that fits: names may hold '='), else SOURCE for
 * the first. -1 when NAME is no input. */
static int32_t split_input(const Run *run, const char *text, const char **source) {
    *source = text;
    for (const char *at = text + strlen(text); at-- > text;) {
        if (*at != '=')
            continue;
        const char *name = lt_arena_strndup(run->arena, text, (size_t)(at - text));
        int32_t index = lathe_input_find(run->model, name);
        *source = at + 1;
        if (index >= 0)
            return index;
    }
    return strchr(text, '=') ? -1 : 0;
}

static int unknown_input(const Run *run, const char *text) {
    uint32_t count = lathe_input_count(run->model);
    const char **names = LT_ARRAY(run->arena, const char *, count + 1);
    Str all;
    lt_str_init(&all, run->arena);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = lathe_input_info(run->model, i)->name;
        lt_str_printf(&all, "%s'%s'", i ? ", " : "", names[i]);
    }
    return lt_cli_wrong(run->cli, "--input %s: the model's inputs are %s", text,
                        count ? all.text : "none");
}

static int file_error(Run *run, const char *path, lathe_status status, const char *text) {
    fprintf(run->cli->err, "%s: error: %s\n", path, text);
    return lt_cli_exit_code(status);
}

/* A file must have the input's dtype and rank; its dims then tell the values of symbolic ones. The
 * runtime checks the rest. */
static int take_tensor(Run *run, uint32_t index, const char *path) {
    const lathe_tensor_info *info = lathe_input_info(run->model, index);
    HostTensor *tensor = &run->inputs[index];
    if (lt_str_ends(path, ".npy") && lt_npy_same_code(tensor->dtype, info->dtype))
        tensor->dtype = info->dtype;
    if (tensor->dtype != info->dtype || tensor->rank != info->rank) {
        fprintf(run->cli->err, "%s: error: input '%s' expects %s of rank %d, found %s of rank %d\n",
                path, info->name, lathe_dtype_name(info->dtype), info->rank,
                lathe_dtype_name(tensor->dtype), tensor->rank);
        return lt_cli_exit_code(LATHE_BAD_ARGUMENT);
    }
    for (int32_t axis = 0; axis < info->rank; axis++) {
        int64_t *symbol = find_symbol(run, info->dims[axis].symbol);
        if (symbol && *symbol < 0)
            *symbol = tensor->dims[axis];
    }
    return GO_ON;
}

static int take_file(Run *run, uint32_t index, const char *path) {
    const char *error = "";
    lathe_status status = lt_tensor_file_read(run->arena, path, &run->inputs[index], &error);
    run->sources[index].kind = SOURCE_FILE;
    return status ? file_error(run, path, status, error) : take_tensor(run, index, path);
}

/* NAME=FILE.pb where NAME is a value of the model that is several inputs. NO_VALUE: it is none. */
static int take_value(Run *run, const char *text) {
    const uint32_t count = lathe_input_count(run->model);
    for (uint32_t at = 0; at < count;) {
        const ValueSlot slot = lt_input_slot(run->arena, run->model, at);
        const size_t length = strlen(slot.name);
        const char *path = text + length + 1, *error = "";
        HostValue value;
        if (slot.count == 1 || strncmp(text, slot.name, length) != 0 || text[length] != '=' ||
            !lt_str_ends(path, ".pb")) {
            at += slot.count;
            continue;
        }
        lathe_status status = lt_value_pb_read(run->arena, path, &slot, &value, &error);
        if (!status)
            status = lt_value_pack(run->arena, &slot, &value, &run->inputs[at], &error);
        int code = status ? file_error(run, path, status, error) : GO_ON;
        for (uint32_t i = 0; i < slot.count && code == GO_ON; i++) {
            run->sources[at + i].kind = SOURCE_FILE;
            code = take_tensor(run, at + i, path);
        }
        return code;
    }
    return NO_VALUE;
}

static int take_source(Run *run, const char *text) {
    const char *source;
    int32_t index = split_input(run, text, &source);
    const int code = index < 0 ? take_value(run, text) : NO_VALUE;
    if (code != NO_VALUE)
        return code;
    if (index < 0 || lathe_input_count(run->model) == 0)
        return unknown_input(run, text);
    Source *to = &run->sources[index];
    if (strcmp(source, "zeros") == 0) {
        to->kind = SOURCE_ZEROS;
    } else if (strcmp(source, "random") == 0) {
        *to = (Source){SOURCE_RANDOM, 0};
    } else if (lt_str_starts(source, "random:")) {
        to->kind = SOURCE_RANDOM;
        if (!lt_cli_int(source + 7, &to->seed))
            return lt_cli_wrong(run->cli, "--input %s: the seed is not a whole number", text);
    } else {
        return take_file(run, (uint32_t)index, source);
    }
    return GO_ON;
}

int lt_run_inputs(Run *run) {
    lathe_model_info info;
    lathe_model_get_info(run->model, &info);
    uint32_t count = lathe_input_count(run->model);
    run->inputs = LT_ARRAY(run->arena, HostTensor, count + 1);
    run->sources = LT_ARRAY(run->arena, Source, count + 1);
    run->symbols = LT_ARRAY(run->arena, int64_t, info.symbol_count + 1);
    int code = GO_ON;
    for (uint32_t i = 0; i < info.symbol_count; i++)
        run->symbols[i] = -1;
    for (size_t i = 0; i < run->options->dims.len && code == GO_ON; i++)
        code = set_dim(run, run->options->dims.data[i]);
    for (uint32_t i = 0; i < count; i++)
        run->sources[i] = (Source){SOURCE_RANDOM, i};
    for (size_t i = 0; i < run->options->inputs.len && code == GO_ON; i++)
        code = take_source(run, run->options->inputs.data[i]);
    return code;
}

void lt_run_guess_dims(Run *run) {
    lathe_model_info info;
    lathe_model_get_info(run->model, &info);
    for (uint32_t i = 0; i < info.symbol_count; i++) {
        const lathe_dim *symbol = lathe_symbol_info(run->model, i);
        if (run->symbols[i] >= 0)
            continue;
        run->symbols[i] = symbol->lo > 0 || symbol->hi == 0 ? symbol->lo : 1;
        if (symbol->lo == symbol->hi)
            continue;
        fprintf(run->cli->err, "%s: note: %s is %" PRId64 "; --dim %s=N chooses another\n",
                run->cli->tool->name, symbol->symbol, run->symbols[i], symbol->symbol);
    }
}

/* Makes the tensor of an input that has no file. */
static int make_input(Run *run, uint32_t index) {
    const lathe_tensor_info *info = lathe_input_info(run->model, index);
    const Source *source = &run->sources[index];
    HostTensor *tensor = &run->inputs[index];
    *tensor = (HostTensor){.dtype = info->dtype, .rank = info->rank};
    for (int32_t axis = 0; axis < info->rank; axis++) {
        const int64_t *symbol = find_symbol(run, info->dims[axis].symbol);
        tensor->dims[axis] = symbol ? *symbol : info->dims[axis].lo;
    }
    if (!lt_host_tensor_bytes(tensor, &tensor->bytes))
        return lt_run_fail(run, LATHE_BAD_SHAPE, "input '%s' is too large", info->name);
    tensor->data = lt_arena_alloc_aligned(run->arena, tensor->bytes, 64);
    if (source->kind != SOURCE_ZEROS)
        lt_host_tensor_random(tensor, source->seed);
    if (index > 0)
        lt_fill_member(tensor, info->name, lathe_input_info(run->model, index - 1)->name,
                       lt_host_tensor_count(tensor - 1));
    return GO_ON;
}

int lt_run_bind(Run *run) {
    for (uint32_t i = 0; i < lathe_input_count(run->model); i++) {
        int code = run->sources[i].kind == SOURCE_FILE ? GO_ON : make_input(run, i);
        if (code != GO_ON)
            return code;
        const HostTensor *from = &run->inputs[i];
        lathe_tensor tensor = {.data = from->data,
                               .dtype = from->dtype,
                               .rank = from->rank,
                               .dims = from->dims,
                               .device = {LATHE_CPU, 0}};
        lathe_status status = lathe_set_input(run->context, i, &tensor);
        if (status)
            return lt_run_fail(run, status, "%s", lathe_context_error(run->context));
    }
    return GO_ON;
}
