/* program.c - finding one's way among a program's steps. */
#include "ir/program.h"

uint32_t lt_program_match(const Program *p, uint32_t at) {
    uint32_t depth = 0;
    for (uint32_t i = at + 1; i < p->steps.len; i++) {
        const StepKind kind = p->steps.data[i].kind;
        const bool closes = kind == STEP_END || kind == STEP_NEXT;
        if (depth == 0 && (closes || kind == STEP_ELSE))
            return i;
        depth += kind == STEP_IF || kind == STEP_LOOP;
        depth -= closes;
    }
    return (uint32_t)p->steps.len;
}

bool lt_step_binds(const Step *s, const Dim *d) {
    const uint32_t stride = s->kind == STEP_ASSIGN ? 2 : 1; /* else values lie between */
    for (uint32_t i = 0; d->kind == DIM_SYMBOL && i < s->int_count; i += stride)
        if (s->ints[i] == d)
            return true;
    for (uint32_t i = 0; i < d->count; i++)
        if (lt_step_binds(s, d->args[i]))
            return true;
    return false;
}
