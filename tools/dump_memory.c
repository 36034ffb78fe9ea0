/* dump_memory.c - what lies in the arena, and when. */
#include <string.h>

#include "tools/dump.h"

enum { COLUMNS = 64 };

int64_t *lt_dump_least_symbols(Arena *arena, const DimTable *dims) {
    int64_t *values = LT_ARRAY(arena, int64_t, dims->symbols.len + 1);
    for (size_t i = 0; i < dims->symbols.len; i++)
        values[i] = dims->symbols.data[i].lo;
    return values;
}

void lt_dump_memory(const Compilation *c, FILE *out) {
    const Program *p = c->ctx.program;
    Arena arena;
    lt_arena_init(&arena);
    const int64_t *symbols = lt_dump_least_symbols(&arena, &c->ctx.module->dims);
    size_t steps = p->steps.len ? p->steps.len : 1, width = steps < COLUMNS ? steps : COLUMNS;
    TextTable table;
    lt_table_init(&table, &arena, "lrrl",
                  "buffer\toffset\tbytes\tlive, from the first step to the last");
    for (size_t i = 0; i < p->buffers.len; i++) {
        const ProgramBuffer *b = &p->buffers.data[i];
        if (b->place != PLACE_ARENA)
            continue;
        char bar[COLUMNS + 1];
        for (size_t x = 0; x < width; x++) {
            size_t from = x * steps / width, to = (x + 1) * steps / width - 1;
            bar[x] = b->first_step <= to && from <= b->last_step ? '#' : '.';
        }
        bar[width] = '\0';
        lt_table_row(&table, "%s\t%lld\t%lld\t%s", b->name ? b->name : "",
                     (long long)lt_dim_eval(b->offset, symbols),
                     (long long)lt_dim_eval(b->bytes, symbols), bar);
    }
    lt_table_print(&table, out);
    fprintf(out, "arena %lld bytes, lower bound %lld%s\n",
            (long long)lt_dim_eval(p->arena_size, symbols),
            (long long)lt_dim_eval(p->lower_bound, symbols),
            lt_dim_is_const(p->arena_size) ? "" : ", with all dims at their least");
    lt_arena_free(&arena);
}
