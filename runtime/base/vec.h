/* vec.h - growing arrays in an arena: `Vec(Node *) nodes; lt_vec_push(arena, &nodes, node);`
 * The old storage stays in the arena when a vector grows: cheap, since growth doubles. */
#ifndef LATHE_BASE_VEC_H
#define LATHE_BASE_VEC_H

#include <stddef.h>

#include "runtime/base/arena.h"

#define Vec(T) \
    struct { \
        T *data; \
        size_t len, cap; \
    }

/* Makes room for one more element of `size` bytes. Used by lt_vec_push only. */
void lt_vec_grow(Arena *arena, void **data, size_t len, size_t *cap, size_t size);

#define lt_vec_push(arena, v, ...) \
    do { \
        if ((v)->len == (v)->cap) \
            lt_vec_grow((arena), (void **)&(v)->data, (v)->len, &(v)->cap, sizeof *(v)->data); \
        (v)->data[(v)->len++] = (__VA_ARGS__); \
    } while (0)
#define lt_vec_pop(v) ((v)->data[--(v)->len])
#define lt_vec_last(v) ((v)->data[(v)->len - 1])
#define lt_vec_clear(v) ((v)->len = 0)

#endif
