/* program_text.c - a program as text, for people: where each buffer lies and lives, the steps, the
 * kernels. */
#include "ir/program.h"

static const char *const place_words[] = {[PLACE_ARENA] = "arena",
                                          [PLACE_WEIGHTS] = "weights",
                                          [PLACE_INPUT] = "input",
                                          [PLACE_OUTPUT] = "output",
                                          [PLACE_SLOT] = "slot"};

const char *const lt_step_names[STEP_NEXT + 1] = {
    [STEP_LAUNCH] = "launch",   [STEP_LIBRARY] = "library", [STEP_COPY] = "copy",
    [STEP_RESERVE] = "reserve", [STEP_BIND] = "bind",       [STEP_ASSIGN] = "assign",
    [STEP_IF] = "if",           [STEP_ELSE] = "else",       [STEP_END] = "end",
    [STEP_LOOP] = "loop",       [STEP_NEXT] = "next"};

static void print_dim_or_dash(Str *out, const Dim *d) {
    if (d)
        lt_dim_print(out, d);
    else
        lt_str_char(out, '-');
}

static void print_buffer(Str *out, const ProgramBuffer *b, size_t number) {
    lt_str_printf(out, "  %%%zu: ", number);
    lt_type_print(out, b->type);
    lt_str_printf(out, " %s ", place_words[b->place]);
    if (b->place == PLACE_INPUT || b->place == PLACE_OUTPUT || b->place == PLACE_SLOT)
        lt_str_printf(out, "%u", b->index);
    else
        print_dim_or_dash(out, b->offset);
    if (b->place == PLACE_ARENA) {
        lt_str_append(out, " bytes ");
        print_dim_or_dash(out, b->bytes);
        lt_str_printf(out, " steps %u..%u", b->first_step, b->last_step);
    }
    if (b->name) {
        lt_str_char(out, ' ');
        lt_str_quote(out, b->name);
    }
    lt_str_char(out, '\n');
}

static void print_step(Str *out, const Program *p, const Step *step, size_t number) {
    lt_str_printf(out, "  step %zu: ", number);
    if (step->kind == STEP_LAUNCH)
        lt_str_printf(out, "launch %s(", p->kernels.data[step->kernel]->name);
    else if (step->kind == STEP_LIBRARY)
        lt_str_printf(out, "library %u(", step->kernel);
    else
        lt_str_printf(out, "%s (", lt_step_names[step->kind]);
    for (uint32_t i = 0; i < step->buffer_count; i++)
        lt_str_printf(out, "%s%%%u", i > 0 ? ", " : "", step->buffers[i]);
    lt_str_append(out, step->int_count > 0 ? "; " : "");
    for (uint32_t i = 0; i < step->int_count; i++) {
        lt_str_append(out, i > 0 ? ", " : "");
        lt_dim_print(out, step->ints[i]);
    }
    lt_str_append(out, ")");
    if (step->count) {
        lt_str_append(out, step->kind == STEP_LAUNCH ? " over " : " bytes ");
        lt_dim_print(out, step->count);
    }
    if (step->offset) {
        lt_str_append(out, " at ");
        lt_dim_print(out, step->offset);
    }
    if (step->name) {
        lt_str_append(out, " as ");
        lt_str_quote(out, step->name);
    }
    lt_str_char(out, '\n');
}

void lt_program_print_plan(Str *out, const Program *p) {
    lt_str_append(out, "program {\n  arena ");
    print_dim_or_dash(out, p->arena_size);
    lt_str_append(out, " at least ");
    print_dim_or_dash(out, p->lower_bound);
    lt_str_printf(out, " weights %lld\n", (long long)p->weights_size);
    for (size_t i = 0; i < p->buffers.len; i++)
        print_buffer(out, &p->buffers.data[i], i);
    for (size_t i = 0; i < p->steps.len; i++)
        print_step(out, p, &p->steps.data[i], i);
    lt_str_append(out, "}\n");
}

void lt_program_print(Str *out, const Program *p) {
    lt_program_print_plan(out, p);
    for (size_t i = 0; i < p->kernels.len; i++) {
        lt_str_char(out, '\n');
        lt_kernel_print(out, p->kernels.data[i], true);
    }
}
