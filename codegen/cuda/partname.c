/* partname.c - names of quotients and remainders in a kernel.
 *
 * They are parts of a loop's variable: of a loop over several axes, which the schedule merged, they
 * are called after the axes. Else the axis of the buffer that they are an index of has names, or
 * they are what they are: k_mod_4. */
#include <ctype.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

/* --- parts of merged loops --- */

static bool is_argument(const Writer *w, const Dim *symbol) {
    for (size_t i = 0; i < w->kernel->ints.len; i++)
        if (w->kernel->ints.data[i] == symbol)
            return true;
    return false;
}

/* The symbol of a merged loop, b_y0_o or b_y0_o.1, in the sum, or NULL. */
static const Dim *merged_symbol(const Writer *w, const Dim *d) {
    const Dim *found = NULL;
    if (d->kind == DIM_SYMBOL && is_argument(w, d))
        return NULL;
    if (d->kind == DIM_SYMBOL) {
        const char *dot = strchr(d->name, '.'), *joint = strchr(d->name, '_');
        if (joint && lt_str_ends(d->name, ".at")) /* a position: all of it */
            return d;
        return joint && (!dot || (joint < dot && !strchr(dot, '_'))) ? d : NULL;
    }
    for (uint32_t i = 0; i < d->count && !found && (d->kind == DIM_ADD || d->kind == DIM_MUL); i++)
        found = merged_symbol(w, d->args[i]);
    return found;
}

/* Which axis of the output has rows of that many elements behind it, or of that many vectors; -1:
 * none. */
static int axis_of_stride(Writer *w, const Dim *stride, int rank) {
    enum { WIDEST = 16 };
    const Kernel *k = w->kernel;
    for (size_t i = 0; i < k->buffers.len; i++) {
        const Buffer *b = k->buffers.data[i];
        const Dim *product = lt_dim_const(&w->dims, 1);
        if (b->kind != BUFFER_OUTPUT || b->rank != rank)
            continue;
        for (int axis = rank - 1; axis >= 0; axis--) {
            for (int64_t width = 1; width <= WIDEST; width *= 2)
                if (product == lt_dim_mul_const(&w->dims, stride, width))
                    return axis;
            product = lt_dim_mul(&w->dims, product, b->dims[axis]);
        }
    }
    return -1;
}

/* The same of a symbol whose parts were split before: y0_y1.0_o.0 has y_block and o_block. */
static const char *part_of_symbol(Writer *w, const char *name, bool is_mod) {
    const char *dot = strchr(name, '.'), *joint = dot ? strchr(dot, '_') : NULL;
    if (!joint)
        return NULL;
    const char *part =
        is_mod ? strrchr(name, '_') + 1 : lt_arena_strndup(w->arena, name, (size_t)(joint - name));
    return lt_cuda_loop_name(w->arena, part);
}

/* i1_i2 for parts that are counted as one. */
static const char *joined(Writer *w, const char *const *parts, int first, int end) {
    Str out;
    lt_str_init(&out, w->arena);
    for (int i = first; i < end; i++)
        lt_str_printf(&out, "%s%s", i > first ? "_" : "", parts[i]);
    return out.len ? out.text : NULL;
}

/* Which part of a merged loop (b_y0_o) this is: the quotient is the first, the remainder the last,
 * what is both is between; NULL where that cannot be said. */
static const char *part_name(Writer *w, const Dim *d) {
    const Dim *inner = d->args[0];
    const bool is_mod = d->kind == DIM_MOD, is_middle = is_mod && inner->kind == DIM_FLOORDIV;
    const Dim *symbol = merged_symbol(w, is_middle ? inner->args[0] : inner);
    const char *parts[LT_MAX_RANK + 1], *name = symbol ? symbol->name : "";
    int count = 0;
    if (!symbol && inner->kind == DIM_SYMBOL && !is_middle)
        return part_of_symbol(w, inner->name, is_mod);
    char *words = lt_arena_strndup(
        w->arena, name, lt_str_ends(name, ".at") ? strlen(name) - 3 : strcspn(name, "."));
    for (char *save, *word = strtok_r(words, "_", &save); word && count <= LT_MAX_RANK;
         word = strtok_r(NULL, "_", &save))
        parts[count++] = lt_arena_strndup(w->arena, word, strcspn(word, "."));
    if (count < 2 || (!is_mod && inner->kind == DIM_MOD))
        return NULL;
    const Dim *stride = is_middle ? inner->args[1] : d->args[1];
    const int axis = axis_of_stride(w, stride, count);
    if (!is_middle && is_mod)
        return joined(w, parts, axis < 0 ? count - 1 : axis + 1, count);
    if (!is_middle)
        return joined(w, parts, 0, axis < 0 ? 1 : axis + 1);
    return count == 3 ? parts[1] : axis >= 0 ? parts[axis] : NULL;
}

/* --- axes of buffers --- */

/* What the axis of an operand of a convolution over two axes counts, or NULL. An image may be
 * without a batch, and have its channels first. */
static const char *conv_axis(const Writer *w, const Buffer *b, int axis) {
    enum { IMAGE, FILTER, AXES = 4 };
    static const char *const filters[AXES] = {"kh", "kw", "c", "o"};
    static const char *const last[AXES] = {"c", "w", "h", "n"}, /* from the last axis on */
        *const first[AXES] = {"w", "h", "c", "n"}, *const results[AXES] = {"o", "w", "h", "n"};
    const Kernel *k = w->kernel;
    const int from_end = b->rank - 1 - axis;
    if (k->class != KERNEL_CONV || k->param_count < 3 || k->buffers.data[FILTER]->rank != AXES ||
        b->kind > BUFFER_OUTPUT || b->rank > AXES || b->rank < AXES - 1)
        return NULL;
    if (b->index == FILTER)
        return filters[axis];
    const bool is_last = b->dims[b->rank - 1] == k->buffers.data[FILTER]->dims[2];
    return b->index == IMAGE ? (is_last ? last : first)[from_end] : results[from_end];
}

static void add_hints(Writer *w, const Dim *d, const char *name) {
    if (d->kind == DIM_FLOORDIV || d->kind == DIM_MOD)
        lt_vec_push(w->arena, &w->hints, (NamedDim){d, name, NULL});
    for (uint32_t i = 0; i < d->count && (d->kind == DIM_ADD || d->kind == DIM_MUL); i++)
        add_hints(w, d->args[i], name);
}

/* Of several copies of a tile in shared memory, the one that is used and the one that arrives. */
static const char *copy_name(const Buffer *b, const Dim *index) {
    if (b->kind != BUFFER_SHARED || b->rank < 3 || index->kind != DIM_MOD ||
        index->args[1] != b->dims[0])
        return NULL;
    return index->args[0]->kind == DIM_ADD && index->args[0]->value > 0 ? "next" : "now";
}

void lt_cuda_hint(Writer *w, const Buffer *b, const Dim *const *index) {
    const char *stem = lt_arena_strndup(w->arena, b->name, strcspn(b->name, "."));
    w->hints.len = 0;
    w->hint_stem = stem;
    for (int i = 0; i < b->rank && b->rank > 1; i++) {
        const Dim *d = lt_cuda_replaced(w, index[i]);
        const char *axis = conv_axis(w, b, i), *copy = i == 0 ? copy_name(b, d) : NULL;
        add_hints(w, d, copy ? copy : axis ? lt_arena_printf(w->arena, "%s_%s", stem, axis) : NULL);
    }
}

/* --- names --- */

/* The first symbol in d, or part of one that has a name. */
static const Dim *first_part(const Writer *w, const Dim *d) {
    const Dim *found = d->kind == DIM_SYMBOL || lt_cuda_known_dim(w, d) ? d : NULL;
    for (uint32_t i = 0; i < d->count && !found; i++)
        found = first_part(w, d->args[i]);
    return found;
}

static bool is_identifier(const char *text) {
    for (const char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '_')
            return false;
    return true;
}

/* m_by_4, k_mod_2. */
static const char *plain_name(Writer *w, const Dim *d) {
    const bool is_part = d->kind == DIM_FLOORDIV || d->kind == DIM_MOD;
    const char *known = lt_cuda_known_dim(w, d);
    if (known)
        return known;
    if (d->kind == DIM_MIN || d->kind == DIM_MAX)
        return d->kind == DIM_MIN ? "lesser" : "larger";
    if (d->kind == DIM_SYMBOL) {
        const char *text = w->symbols[d->symbol];
        return text && is_identifier(text) ? text : lt_cuda_loop_name(w->arena, d->name);
    }
    if (!is_part) {
        const Dim *first = first_part(w, d);
        return first ? plain_name(w, first) : "part";
    }
    const char *name = plain_name(w, d->args[0]);
    const bool is_mod = d->kind == DIM_MOD;
    if (!lt_dim_is_const(d->args[1]))
        return lt_arena_printf(w->arena, "%s_%s", name, is_mod ? "rest" : "part");
    return lt_arena_printf(w->arena, "%s_%s_%lld", name, is_mod ? "mod" : "by",
                           (long long)d->args[1]->value);
}

const char *lt_cuda_part_name(Writer *w, const Dim *d) {
    const bool is_part = w->kernel && (d->kind == DIM_FLOORDIV || d->kind == DIM_MOD);
    const char *part = is_part ? part_name(w, d) : NULL, *hint = NULL;
    bool is_hinted = false;
    for (size_t i = 0; i < w->hints.len && !is_hinted; i++)
        if (w->hints.data[i].dim == d) {
            hint = w->hints.data[i].name;
            is_hinted = true;
        }
    if (!part || strcmp(hint ? hint : "", "now") == 0 || strcmp(hint ? hint : "", "next") == 0)
        return hint ? hint : plain_name(w, d);
    if (!lt_strmap_get(&w->names, part) || !is_hinted)
        return part;
    return hint ? hint : lt_arena_printf(w->arena, "%s_%s", w->hint_stem, part);
}
