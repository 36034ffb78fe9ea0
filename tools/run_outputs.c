/* run_outputs.c - lathe-run's outputs: files in --output-dir, values with --print. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/half.h"
#include "runtime/base/narrow.h"
#include "runtime/base/str.h"
#include "tools/run.h"
#include "tools/value_pb.h"

enum { GO_ON = -1, PRINT_LIMIT = 1000 };

/* "f32[1,3,224,224]" */
static const char *type_text(Arena *arena, const HostTensor *tensor) {
    Str text;
    lt_str_init(&text, arena);
    lt_str_printf(&text, "%s[", lathe_dtype_name(tensor->dtype));
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        lt_str_printf(&text, "%s%" PRId64, axis ? "," : "", tensor->dims[axis]);
    lt_str_char(&text, ']');
    return text.text;
}

/* --- values --- */

static void append_value(Str *text, lathe_dtype dtype, const void *data, int64_t i) {
    double value;
    switch (dtype) {
    case LATHE_F32: lt_str_double(text, (double)((const float *)data)[i], true); break;
    case LATHE_F64: lt_str_double(text, ((const double *)data)[i], false); break;
    case LATHE_F16:
        lt_str_double(text, (double)lt_f16_to_f32(((const uint16_t *)data)[i]), true);
        break;
    case LATHE_BF16:
        lt_str_double(text, (double)lt_bf16_to_f32(((const uint16_t *)data)[i]), true);
        break;
    case LATHE_F8E4M3FN:
    case LATHE_F8E4M3FNUZ:
    case LATHE_F8E5M2:
    case LATHE_F8E5M2FNUZ:
    case LATHE_F8E8M0:
    case LATHE_F4E2M1:
        value = (double)lt_minifloat_to_f32(dtype, ((const uint8_t *)data)[i]);
        lt_str_double(text, value, true);
        break;
    case LATHE_I4:
    case LATHE_U4:
    case LATHE_I2:
    case LATHE_U2: lt_str_printf(text, "%d", lt_low_bits(dtype, ((const uint8_t *)data)[i])); break;
    case LATHE_I8: lt_str_printf(text, "%d", ((const int8_t *)data)[i]); break;
    case LATHE_I16: lt_str_printf(text, "%d", ((const int16_t *)data)[i]); break;
    case LATHE_I32: lt_str_printf(text, "%d", ((const int32_t *)data)[i]); break;
    case LATHE_I64: lt_str_printf(text, "%" PRId64, ((const int64_t *)data)[i]); break;
    case LATHE_U8: lt_str_printf(text, "%d", ((const uint8_t *)data)[i]); break;
    case LATHE_U16: lt_str_printf(text, "%d", ((const uint16_t *)data)[i]); break;
    case LATHE_U32: lt_str_printf(text, "%u", ((const uint32_t *)data)[i]); break;
    case LATHE_U64: lt_str_printf(text, "%" PRIu64, ((const uint64_t *)data)[i]); break;
    case LATHE_BOOL: lt_str_append(text, ((const uint8_t *)data)[i] ? "true" : "false"); break;
    case LATHE_DTYPE_LIMIT: break;
    }
}

/* One line for each row of the last axis. */
static void print_values(const Run *run, const HostTensor *tensor) {
    int64_t count = lt_host_tensor_count(tensor);
    int64_t width = tensor->rank && count ? tensor->dims[tensor->rank - 1] : 1;
    Str line;
    lt_str_init(&line, run->arena);
    for (int64_t i = 0; i < count && i < PRINT_LIMIT; i++) {
        append_value(&line, tensor->dtype, tensor->data, i);
        lt_str_char(&line, (i + 1) % width ? ' ' : '\n');
    }
    fputs(line.text, run->cli->out);
    if (count > PRINT_LIMIT)
        fprintf(run->cli->out, "%s... %" PRId64 " more\n", PRINT_LIMIT % width ? "\n" : "",
                count - PRINT_LIMIT);
}

/* In quotes, as UTF-8. */
static void append_string(Str *text, const uint8_t *bytes, int64_t length) {
    lt_str_char(text, '"');
    for (int64_t i = 0; i < length; i++)
        if (bytes[i] < 0x20 || bytes[i] == 0x7f)
            lt_str_printf(text, "\\x%02x", bytes[i]);
        else
            lt_str_printf(text, "%s%c", strchr("\\\"", bytes[i]) ? "\\" : "", bytes[i]);
    lt_str_char(text, '"');
}

/* One line for each row, as print_values. */
static void print_strings(const Run *run, const char *name, const HostTensor *members) {
    const HostTensor *bytes = &members[0], *lengths = &members[1];
    const int64_t *length = lengths->data, count = lt_host_tensor_count(lengths);
    const int64_t width = lengths->rank && count ? lengths->dims[lengths->rank - 1] : 1;
    const uint8_t *at = bytes->data;
    int64_t left = bytes->dims[0];
    Str text;
    lt_str_init(&text, run->arena);
    lt_str_printf(&text, "%s string%s\n", name, strchr(type_text(run->arena, lengths), '['));
    for (int64_t i = 0; i < count && i < PRINT_LIMIT && length[i] <= left; i++) {
        append_string(&text, at, length[i]);
        at += length[i];
        left -= length[i];
        lt_str_char(&text, (i + 1) % width ? ' ' : '\n');
    }
    if (count > PRINT_LIMIT)
        lt_str_printf(&text, "%s... %" PRId64 " more\n", PRINT_LIMIT % width ? "\n" : "",
                      count - PRINT_LIMIT);
    fputs(text.text, run->cli->out);
}

/* --- files --- */

/* An output's name with '/' as '_'. */
static char *plain_name(const Run *run, uint32_t index) {
    char *name = lt_arena_strdup(run->arena, lathe_output_info(run->model, index)->name);
    for (char *at = name; *at; at++)
        *at = *at == '/' ? '_' : *at;
    return name;
}

/* A name that an earlier output took already gets its index behind it. */
static const char *file_name(const Run *run, uint32_t index) {
    char *name = plain_name(run, index);
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(plain_name(run, i), name) == 0)
            return lt_arena_printf(run->arena, "%s_%u", name, index);
    return name;
}

static int write_output(const Run *run, uint32_t index, const HostTensor *tensor) {
    const char *folder = run->options->output_dir;
    const char *path = lt_arena_printf(run->arena, "%s/%s.npy", folder, file_name(run, index));
    if (lt_npy_write(run->arena, path, tensor))
        return GO_ON;
    fprintf(run->cli->err, "%s: error: %s\n", path, strerror(errno));
    return lt_cli_exit_code(LATHE_IO);
}

static int make_folder(const Run *run) {
    const char *folder = run->options->output_dir;
    if (!folder || mkdir(folder, 0777) == 0 || errno == EEXIST)
        return GO_ON;
    fprintf(run->cli->err, "%s: error: %s\n", folder, strerror(errno));
    return lt_cli_exit_code(LATHE_IO);
}

static int take_output(const Run *run, uint32_t index, HostTensor *out) {
    lathe_tensor view;
    lathe_status status = lathe_get_output(run->context, index, &view);
    if (status)
        return lt_run_fail(run, status, "%s", lathe_context_error(run->context));
    *out = (HostTensor){.dtype = view.dtype, .rank = view.rank, .data = view.data};
    memcpy(out->dims, view.dims, (size_t)view.rank * sizeof *view.dims);
    return lt_host_tensor_bytes(out, &out->bytes)
               ? GO_ON
               : lt_run_fail(run, LATHE_INTERNAL, "output %u has malformed dims", index);
}

static void print_output(const Run *run, const ValueSlot *slot, const HostTensor *members) {
    const uint32_t numbers = slot->is_strings ? slot->count - 2 : slot->count;
    for (uint32_t i = 0; i < numbers; i++) {
        fprintf(run->cli->out, "%s %s\n", slot->info[i]->name, type_text(run->arena, &members[i]));
        print_values(run, &members[i]);
    }
    if (slot->is_strings)
        print_strings(run, slot->name, members + numbers);
}

int lt_run_write_outputs(const Run *run) {
    int code = make_folder(run);
    for (uint32_t first = 0; first < lathe_output_count(run->model) && code == GO_ON;) {
        const ValueSlot slot = lt_output_slot(run->arena, run->model, first);
        HostTensor members[SLOT_MEMBERS];
        for (uint32_t i = 0; i < slot.count && code == GO_ON; i++) {
            code = take_output(run, first + i, &members[i]);
            if (run->options->output_dir && code == GO_ON)
                code = write_output(run, first + i, &members[i]);
        }
        if (run->options->print && code == GO_ON)
            print_output(run, &slot, members);
        first += slot.count;
    }
    return code;
}
