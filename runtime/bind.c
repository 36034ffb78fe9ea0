/* bind.c - inputs' shapes against the signature: fixed extents, ranges of symbols, equal symbols.
 * */
#include <inttypes.h>

#include "runtime/context.h"

/* Where a symbol got its value. */
typedef struct Origin {
    const char *input;
    int32_t axis;
} Origin;

static lathe_status fail_range(lathe_context *context, const LtTensorDecl *input, int32_t axis,
                               int64_t found) {
    const LtSymbolDecl *symbol = &context->model->descriptor->symbols[input->dims[axis].symbol];
    if (symbol->hi == INT64_MAX)
        return lt_fail(&context->error, LATHE_BAD_SHAPE,
                       "input '%s' axis %d (%s): expected %" PRId64 " or more, found %" PRId64,
                       input->name, axis, symbol->name, symbol->lo, found);
    return lt_fail(&context->error, LATHE_BAD_SHAPE,
                   "input '%s' axis %d (%s): expected %" PRId64 "..%" PRId64 ", found %" PRId64,
                   input->name, axis, symbol->name, symbol->lo, symbol->hi, found);
}

/* The first input axis that has the symbol: inputs are bound in order. */
static Origin symbol_origin(const LtDescriptor *d, int32_t symbol) {
    for (uint32_t i = 0; i < d->input_count; i++)
        for (int32_t axis = 0; axis < d->inputs[i].rank; axis++)
            if (d->inputs[i].dims[axis].symbol == symbol)
                return (Origin){d->inputs[i].name, axis};
    return (Origin){"?", 0};
}

static lathe_status bind_axis(lathe_context *context, const LtTensorDecl *input, int32_t axis,
                              int64_t found) {
    const LtDescriptor *d = context->model->descriptor;
    const LtDimDecl *dim = &input->dims[axis];
    if (dim->symbol < 0) {
        if (found == dim->value)
            return LATHE_OK;
        return lt_fail(&context->error, LATHE_BAD_SHAPE,
                       "input '%s' axis %d: expected %" PRId64 ", found %" PRId64, input->name,
                       axis, dim->value, found);
    }
    int64_t *value = &context->symbols[dim->symbol];
    const LtSymbolDecl *symbol = &d->symbols[dim->symbol];
    if (*value < 0) {
        *value = found;
        return found < symbol->lo || found > symbol->hi ? fail_range(context, input, axis, found)
                                                        : LATHE_OK;
    }
    if (*value == found)
        return LATHE_OK;
    Origin origin = symbol_origin(d, dim->symbol);
    return lt_fail(&context->error, LATHE_BAD_SHAPE,
                   "input '%s' axis %d (%s): expected %" PRId64
                   " as in input '%s' axis %d, found %" PRId64,
                   input->name, axis, symbol->name, *value, origin.input, origin.axis, found);
}

lathe_status lt_bind_symbols(lathe_context *context) {
    const LtDescriptor *d = context->model->descriptor;
    for (uint32_t i = 0; i < d->symbol_count; i++)
        context->symbols[i] = -1; /* not bound: dims are never negative */
    for (uint32_t i = 0; i < d->input_count; i++) {
        const LtTensorDecl *input = &d->inputs[i];
        const Binding *binding = &context->bindings[i];
        if (!binding->set)
            return lt_fail(&context->error, LATHE_BAD_ARGUMENT, "input '%s' is not set",
                           input->name);
        for (int32_t axis = 0; axis < input->rank; axis++) {
            lathe_status status = bind_axis(context, input, axis, binding->dims[axis]);
            if (status)
                return status;
        }
    }
    return LATHE_OK;
}
