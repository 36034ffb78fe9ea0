/* library.c - the table of irregular operations. */
#include "runtime/kernels/library.h"

#include <stddef.h>

static const struct {
    const char *name;
    LtLibraryFn *function;
} library[] = {
#define LIBRARY(e, name, function) {name, function},
#include "runtime/kernels/library.def"
#undef LIBRARY
};

LtLibraryFn *lt_library_function(uint32_t function) {
    return function < LT_LIBRARY_LIMIT ? library[function].function : NULL;
}

const char *lt_library_name(uint32_t function) {
    return function < LT_LIBRARY_LIMIT ? library[function].name : NULL;
}
