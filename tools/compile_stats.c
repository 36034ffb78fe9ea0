/* compile_stats.c - `--stats`: what a compilation made of a model, in one table. */
#include <sys/stat.h>

#include "tools/compile.h"

static int64_t typical(const Compilation *c, const Dim *d) {
    const DimTable *dims = &c->ctx.module->dims;
    Arena arena;
    lt_arena_init(&arena);
    int64_t *values = LT_ARRAY(&arena, int64_t, dims->symbols.len + 1);
    for (size_t i = 0; i < dims->symbols.len; i++)
        values[i] = dims->symbols.data[i].lo;
    int64_t result = lt_dim_eval(d, values);
    lt_arena_free(&arena);
    return result;
}

static size_t launches(const Program *p) {
    size_t count = 0;
    for (size_t i = 0; i < p->steps.len; i++)
        count += p->steps.data[i].kind == STEP_LAUNCH;
    return count;
}

void lt_compile_stats(Compilation *c, const char *out, FILE *stream) {
    const Program *p = c->ctx.program;
    if (!p)
        return;
    struct stat st;
    TextTable table;
    Arena *a = &c->arena;
    lt_table_init(&table, a, "ll", "what\tvalue");
    lt_table_row(&table, "nodes as read\t%u", c->nodes_read);
    lt_table_row(&table, "kernels\t%zu, launched %zu times", p->kernels.len, launches(p));
    lt_table_row(&table, "precision\t%s", lt_precision_names[c->ctx.precision]);
    lt_table_row(&table, "weights\t%s", lt_text_bytes(a, (double)p->weights_size));
    const char *at_least = lt_dim_is_const(p->arena_size) ? "" : " with all dims at their least";
    lt_table_row(&table, "arena\t%s%s", lt_text_bytes(a, (double)typical(c, p->arena_size)),
                 at_least);
    lt_table_row(&table, "lower bound\t%s%s", lt_text_bytes(a, (double)typical(c, p->lower_bound)),
                 at_least);
    lt_table_row(&table, "reading\t%s", lt_text_seconds(a, c->read_seconds));
    lt_table_row(&table, "passes\t%s", lt_text_seconds(a, c->pass_seconds));
    lt_table_row(&table, "code generation\t%s", lt_text_seconds(a, c->codegen_seconds));
    lt_table_row(&table, "in all\t%s", lt_text_seconds(a, lt_seconds_now() - c->started));
    lt_table_row(&table, "peak memory\t%s", lt_text_bytes(a, (double)lt_peak_memory()));
    if (out && stat(out, &st) == 0)
        lt_table_row(&table, "artifact\t%s", lt_text_bytes(a, (double)st.st_size));
    lt_table_print(&table, stream);
}
