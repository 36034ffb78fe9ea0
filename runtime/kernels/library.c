/* library.c - the table of irregular operations. */
#include "runtime/kernels/library.h"

#include <stddef.h>

static const struct {
    const char *name;
    LtLibraryFn *function;
    uint32_t inputs;
} library[] = {
#define LIBRARY(e, name, function, inputs) {name, function, inputs},
#include "runtime/kernels/library.def"
#undef LIBRARY
};

LtLibraryFn *lt_library_function(uint32_t function) {
    return function < LT_LIBRARY_LIMIT ? library[function].function : NULL;
}

const char *lt_library_name(uint32_t function) {
    return function < LT_LIBRARY_LIMIT ? library[function].name : NULL;
}

uint32_t lt_library_inputs(uint32_t function) {
    return function < LT_LIBRARY_LIMIT ? library[function].inputs : 0;
}
