/* pointer.c - where an element of a parameter is.
 *
 * What a loop does not change of an element's number is a pointer in front of the loop:
 *   const float *in0_at = &in0[8192 * m_block + 128 * m0 + 4 * k0];
 *   for (int k_block = 0; k_block < 8; k_block++)
 *       .. in0_at[16 * k_block] .. */
#include "codegen/cuda/cuda.h"

/* The terms that are known in front of the innermost loop that the number depends on, or NULL where
 * they are too few to need a name. */
static const Dim *base_of(Writer *w, const Dim *d, bool is_shared) {
    const Dim *base = lt_dim_const(&w->dims, 0);
    const int depth = lt_cuda_scope_of(w, d)->depth;
    uint32_t terms = 0;
    if (d->kind != DIM_ADD || (depth == 1 && !is_shared))
        return NULL;
    for (uint32_t i = 0; i < d->count; i++) {
        if (depth > 1 && lt_cuda_scope_of(w, d->args[i])->depth == depth)
            continue;
        base = lt_dim_add(&w->dims, base, d->args[i]);
        terms++;
    }
    return terms > 1 ? base : NULL;
}

static const char *find_pointer(const Writer *w, const Buffer *b, const Dim *base) {
    for (size_t i = 0; i < w->pointers.len; i++)
        if (w->pointers.data[i].buffer == b && w->pointers.data[i].base == base)
            return w->pointers.data[i].name;
    return NULL;
}

static const char *pointer_to(Writer *w, const Buffer *b, const Dim *base) {
    const char *known = find_pointer(w, b, base);
    if (known)
        return known;
    const char *buffer = w->buffers[b->index], *number = lt_cuda_dim(w, base).text;
    Scope *scope = lt_cuda_scope_of(w, base);
    const char *name = lt_cuda_scope_name(w, scope, lt_arena_printf(w->arena, "%s_at", buffer));
    lt_cuda_line_in(scope, "%s%s *%s = &%s[%s];", b->kind == BUFFER_INPUT ? "const " : "",
                    lt_cuda_memory_type(b->dtype), name, buffer, number);
    lt_vec_push(w->arena, &w->pointers, (Pointer){b, base, name, scope});
    return name;
}

static const char *place(Writer *w, const Buffer *b, const Dim **number, bool is_shared) {
    *number = lt_cuda_replaced(w, *number);
    const Dim *base = base_of(w, *number, is_shared);
    if (!base)
        return w->buffers[b->index];
    *number = lt_dim_sub(&w->dims, *number, base);
    return pointer_to(w, b, base);
}

const char *lt_cuda_parameter_element(Writer *w, const Buffer *b, const Dim *number) {
    const char *pointer = place(w, b, &number, false);
    return lt_arena_printf(w->arena, "%s[%s]", pointer, lt_cuda_dim(w, number).text);
}

const char *lt_cuda_address(Writer *w, const Buffer *b, const Dim *number, bool is_shared) {
    const char *pointer = place(w, b, &number, is_shared);
    if (lt_dim_is(number, 0))
        return pointer;
    return lt_arena_printf(w->arena, "&%s[%s]", pointer, lt_cuda_dim(w, number).text);
}
