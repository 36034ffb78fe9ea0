/* infer_einsum.c - reads the specs of contract, for inference, evaluation and lowering alike. */
#include <string.h>

#include "ir/einsum.h"

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Reads letters up to `end`; NULL on success. */
static const char *read_tensor(LtEinsum *e, int tensor, const char *text, const char *end) {
    int count = 0;
    for (; text < end; text++) {
        if (!is_letter(*text))
            return "has a character that is not a letter";
        if (count == LT_MAX_RANK)
            return "has a tensor of more than 8 axes";
        if (memchr(e->letters[tensor], *text, (size_t)count))
            return "repeats a letter inside one tensor";
        e->letters[tensor][count++] = *text;
    }
    e->letters[tensor][count] = '\0';
    e->count[tensor] = count;
    return NULL;
}

const char *lt_einsum_parse(LtEinsum *out, const char *spec) {
    const char *comma = strchr(spec, ',');
    const char *arrow = strstr(spec, "->");
    if (!comma || !arrow || comma > arrow)
        return "is not of the form \"ab,bc->ac\"";
    const char *error = read_tensor(out, EINSUM_A, spec, comma);
    if (!error)
        error = read_tensor(out, EINSUM_B, comma + 1, arrow);
    if (!error)
        error = read_tensor(out, EINSUM_OUT, arrow + 2, spec + strlen(spec));
    if (error)
        return error;
    for (const char *c = out->letters[EINSUM_OUT]; *c; c++) {
        if (lt_einsum_axis(out, EINSUM_A, *c) < 0 && lt_einsum_axis(out, EINSUM_B, *c) < 0)
            return "has a letter in the result that no operand has";
    }
    return NULL;
}

int lt_einsum_axis(const LtEinsum *e, int tensor, char letter) {
    const char *found = letter ? strchr(e->letters[tensor], letter) : NULL;
    return found ? (int)(found - e->letters[tensor]) : -1;
}

bool lt_einsum_is_batch(const LtEinsum *e, char letter) {
    return lt_einsum_axis(e, EINSUM_A, letter) >= 0 && lt_einsum_axis(e, EINSUM_B, letter) >= 0 &&
           lt_einsum_axis(e, EINSUM_OUT, letter) >= 0;
}

void lt_einsum_packed_letters(const LtEinsum *e, char letters[LT_MAX_RANK + 1]) {
    const char column = lt_einsum_column(e);
    int count = 0;
    for (const char *c = e->letters[EINSUM_B]; *c; c++) {
        if (*c != column && lt_einsum_is_batch(e, *c))
            letters[count++] = *c;
    }
    letters[count++] = column;
    for (const char *c = e->letters[EINSUM_B]; *c; c++) {
        if (*c != column && !lt_einsum_is_batch(e, *c))
            letters[count++] = *c;
    }
    letters[count] = '\0';
}
