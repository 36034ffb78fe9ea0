/* vec.c - the growth of a vector: capacity doubles, so that pushing n elements copies O(n). */
#include "runtime/base/vec.h"

#include <string.h>

enum { FIRST_CAPACITY = 8 };

void lt_vec_grow(Arena *arena, void **data, size_t len, size_t *cap, size_t size) {
    size_t new_cap = *cap < FIRST_CAPACITY ? FIRST_CAPACITY : *cap * 2;
    void *grown = lt_arena_array(arena, new_cap, size);
    /* `data` really points to a T *, which memcpy may read and write whatever T is. */
    void *old;
    memcpy(&old, data, sizeof old);
    if (len > 0)
        memcpy(grown, old, len * size);
    memcpy(data, &grown, sizeof grown);
    *cap = new_cap;
}
