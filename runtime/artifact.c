/* artifact.c - refusing artifacts that must not run: damaged, cut short, of another ABI or machine.
 *
 * The order matters for the message: what the file is, then whether it is whole, then whether it
 * is for this runtime and this CPU. Nothing here runs or loads code of the artifact. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "runtime/base/map.h"
#include "runtime/cpu_info.h"
#include "runtime/model.h"

static_assert(sizeof(LtFooter) <= LT_FOOTER_SIZE, "the footer's fields fit its place in the file");

typedef unsigned long long Number; /* for %llu */

static bool is_elf(const MappedFile *file) {
    return file->size >= 4 && memcmp(file->data, "\177ELF", 4) == 0;
}

static lathe_status check_magic(const MappedFile *file, const LtFooter *footer, ErrorText *error) {
    if (footer && memcmp(footer->magic, LT_FOOTER_MAGIC, sizeof footer->magic) == 0 && is_elf(file))
        return LATHE_OK;
    if (is_elf(file))
        return lt_fail(error, LATHE_MALFORMED,
                       "it is cut short or was not made by lathec: its last %d bytes are no footer",
                       LT_FOOTER_SIZE);
    return lt_fail(error, LATHE_MALFORMED,
                   "it is no lathe artifact (lathec makes them from models)");
}

static lathe_status check_abi(const LtFooter *footer, ErrorText *error) {
    if (footer->abi == 0 || footer->abi > LATHE_ABI)
        return lt_fail(error, LATHE_BAD_ABI,
                       "it needs artifact ABI %u (lathe %.*s); this runtime, lathe %s, has ABI %d",
                       footer->abi, (int)sizeof footer->version, footer->version, LATHE_VERSION,
                       LATHE_ABI);
    if (footer->footer_size != LT_FOOTER_SIZE)
        return lt_fail(error, LATHE_MALFORMED, "its footer says that it has %u bytes, expected %d",
                       footer->footer_size, LT_FOOTER_SIZE);
    return LATHE_OK;
}

static lathe_status check_sizes(const LtFooter *footer, uint64_t size, ErrorText *error) {
    uint64_t body = size - LT_FOOTER_SIZE, offset = footer->weights_offset;
    if (footer->file_size != size)
        return lt_fail(error, LATHE_MALFORMED, "it has %llu bytes, its footer says %llu",
                       (Number)size, (Number)footer->file_size);
    if (footer->object_size > body)
        return lt_fail(error, LATHE_MALFORMED, "its code has %llu bytes, more than the file",
                       (Number)footer->object_size);
    if (offset == 0)
        return LATHE_OK;
    if (offset % LT_WEIGHTS_ALIGN || offset < footer->object_size || offset > body ||
        footer->weights_size > body - offset)
        return lt_fail(
            error, LATHE_MALFORMED,
            "its weights (%llu bytes at %llu) do not lie behind the code and in the file",
            (Number)footer->weights_size, (Number)offset);
    return LATHE_OK;
}

static lathe_status check_machine(const LtFooter *footer, ErrorText *error) {
    if (strncmp(footer->arch, lt_cpu_arch(), sizeof footer->arch) != 0)
        return lt_fail(error, LATHE_MACHINE, "it was compiled for %.*s, this machine is %s",
                       (int)sizeof footer->arch, footer->arch, lt_cpu_arch());
    uint64_t missing = footer->cpu_features & ~lt_cpu_features();
    if (missing)
        return lt_fail(error, LATHE_MACHINE,
                       "it was compiled for %.*s; this CPU lacks the feature that it needs: %s",
                       (int)sizeof footer->target, footer->target, lt_cpu_feature_name(missing));
    return LATHE_OK;
}

lathe_status lt_artifact_check(const MappedFile *file, LtFooter *out, ErrorText *error) {
    LtFooter footer = {0};
    bool room = file->size >= LT_FOOTER_SIZE;
    if (room)
        memcpy(&footer, file->data + file->size - LT_FOOTER_SIZE, sizeof footer);
    lathe_status status = check_magic(file, room ? &footer : NULL, error);
    if (!status)
        status = check_abi(&footer, error);
    if (!status)
        status = check_sizes(&footer, file->size, error);
    if (!status && lt_hash_bytes(file->data, footer.object_size, 0) != footer.object_hash)
        status =
            lt_fail(error, LATHE_MALFORMED, "its code is damaged: the checksum does not match");
    if (!status)
        status = check_machine(&footer, error);
    if (!status)
        *out = footer;
    return status;
}

/* --- the descriptor --- */

static lathe_status check_tensor(const LtDescriptor *d, const LtTensorDecl *tensor, bool is_input,
                                 ErrorText *error) {
    if (!tensor->name || (unsigned)tensor->dtype >= LATHE_DTYPE_LIMIT || tensor->rank < 0 ||
        tensor->rank > LATHE_MAX_RANK || (tensor->rank && !tensor->dims))
        return lt_fail(error, LATHE_MALFORMED,
                       "its signature is malformed: %s has dtype %d, rank %d",
                       tensor->name ? tensor->name : "a tensor", tensor->dtype, tensor->rank);
    for (int32_t axis = 0; axis < tensor->rank; axis++) {
        const LtDimDecl *dim = &tensor->dims[axis];
        bool constant = dim->symbol == -1 && dim->value >= 0;
        bool symbol = dim->symbol >= 0 && (uint32_t)dim->symbol < d->symbol_count;
        if (!dim->text || !(constant || symbol ||
                            (dim->symbol < -1 && dim->symbol >= LT_DIM_OF_DATA && !is_input)))
            return lt_fail(error, LATHE_MALFORMED,
                           "its signature is malformed: %s axis %d is symbol %d, value %lld",
                           tensor->name, axis, dim->symbol, (long long)dim->value);
    }
    return LATHE_OK;
}

static bool symbol_has_input(const LtDescriptor *d, uint32_t symbol) {
    for (uint32_t i = 0; i < d->input_count; i++)
        for (int32_t axis = 0; axis < d->inputs[i].rank; axis++)
            if (d->inputs[i].dims[axis].symbol == (int32_t)symbol)
                return true;
    return false;
}

static lathe_status check_symbols(const LtDescriptor *d, ErrorText *error) {
    for (uint32_t i = 0; i < d->symbol_count; i++) {
        const LtSymbolDecl *symbol = &d->symbols[i];
        if (!symbol->name || symbol->lo < 0 || symbol->hi < symbol->lo)
            return lt_fail(error, LATHE_MALFORMED, "its signature is malformed: symbol %u", i);
        if (!symbol_has_input(d, i))
            return lt_fail(error, LATHE_MALFORMED,
                           "its signature is malformed: no input tells the value of %s",
                           symbol->name);
    }
    return LATHE_OK;
}

static lathe_status check_device(const LtDescriptor *d, ErrorText *error) {
    const LtDeviceDecl *device = d->abi < 3 ? NULL : d->device;
    if (!device)
        return LATHE_OK;
    if (device->type != LATHE_CUDA)
        return lt_fail(error, LATHE_UNSUPPORTED, "its kernels run on a device of type %u",
                       device->type);
    if (d->kernel_count &&
        (!device->kernels || !device->architectures || (!device->image && !device->text)))
        return lt_fail(error, LATHE_MALFORMED, "its kernels for a GPU are not there");
    return LATHE_OK;
}

lathe_status lt_descriptor_check(const LtDescriptor *d, const LtFooter *footer, ErrorText *error) {
    const size_t least = footer->abi < 2   ? offsetof(LtDescriptor, slot_count)
                         : footer->abi < 3 ? offsetof(LtDescriptor, device)
                                           : sizeof *d;
    if (d->abi != footer->abi || d->size < least)
        return lt_fail(error, LATHE_MALFORMED,
                       "its descriptor has ABI %u and %u bytes, expected %u and at least %zu",
                       d->abi, d->size, footer->abi, least);
    bool tables = (d->symbols || !d->symbol_count) && (d->inputs || !d->input_count) &&
                  (d->outputs || !d->output_count) && (d->kernels || !d->kernel_count) &&
                  (d->guards || !d->guard_count);
    bool code = d->output_dims && d->arena_size && d->run;
    if (!tables || !code || !d->version || !d->target || !d->model_name)
        return lt_fail(error, LATHE_MALFORMED, "its descriptor has empty fields");
    if ((uint64_t)d->weights_size != footer->weights_size)
        return lt_fail(error, LATHE_MALFORMED,
                       "its code expects %lld bytes of weights, it has %llu",
                       (long long)d->weights_size, (Number)footer->weights_size);
    lathe_status status = LATHE_OK;
    for (uint32_t i = 0; i < d->input_count && !status; i++)
        status = check_tensor(d, &d->inputs[i], true, error);
    for (uint32_t i = 0; i < d->output_count && !status; i++)
        status = check_tensor(d, &d->outputs[i], false, error);
    if (!status)
        status = check_device(d, error);
    return status ? status : check_symbols(d, error);
}
