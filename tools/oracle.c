/* oracle.c - runs graphs through the evaluator and compares tensors, see oracle.h. */
#include "tools/oracle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "tools/tolerance.h"

/* --- comparing ------------------------------------------------------------------------------- */

typedef struct Tolerance {
    double relative, absolute;
} Tolerance;

static double greatest_magnitude(const Tensor *t) {
    double scale = TOLERANCE_LEAST_SCALE;
    for (int64_t i = 0, n = lt_tensor_elements(t); i < n; i++) {
        double x = fabs(lt_tensor_get_float(t, i));
        if (isfinite(x) && x > scale)
            scale = x;
    }
    return scale;
}

/* `absolute` is in the units of the tensor. */
static Tolerance tolerance_for(const Tensor *wanted, DType rounded) {
    Tolerance t = {0, 0};
    switch (wanted->dtype == DT_F32 ? rounded : wanted->dtype) {
    case DT_F32: t = (Tolerance){TOLERANCE_F32_RELATIVE, TOLERANCE_F32_ABSOLUTE}; break;
    case DT_F64: t = (Tolerance){TOLERANCE_F64_RELATIVE, TOLERANCE_F64_ABSOLUTE}; break;
    case DT_F16: t = (Tolerance){TOLERANCE_F16_RELATIVE, TOLERANCE_F16_ABSOLUTE}; break;
    case DT_BF16: t = (Tolerance){TOLERANCE_BF16_RELATIVE, TOLERANCE_BF16_ABSOLUTE}; break;
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F4E2M1: t = (Tolerance){TOLERANCE_F8_RELATIVE, TOLERANCE_F8_ABSOLUTE}; break;
    case DT_I4:
    case DT_U4:
    case DT_I8:
    case DT_U8: return (Tolerance){0, TOLERANCE_8BIT_STEPS};
    default: return t;
    }
    t.absolute *= greatest_magnitude(wanted);
    return t;
}

static bool same_type(const Tensor *a, const Tensor *b) {
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

/* Doubles hold 53 bits: longer integers are compared as what they are. */
static bool equal_integers(const Tensor *a, const Tensor *b, int64_t i) {
    return !lt_dtype_is_float(a->dtype) && lt_tensor_get_int(a, i) == lt_tensor_get_int(b, i);
}

static double error_of(double wanted, double found) {
    if (wanted == found || (isnan(wanted) && isnan(found)))
        return 0; /* equal infinities, too */
    double error = fabs(found - wanted);
    return isnan(error) ? INFINITY : error;
}

Difference lt_compare_tensors(const Tensor *wanted, const Tensor *found) {
    return lt_compare_rounded(wanted, found, DT_F32);
}

Difference lt_compare_rounded(const Tensor *wanted, const Tensor *found, DType rounded) {
    Difference d = {.elements = lt_tensor_elements(wanted), .at = -1};
    d.shapes_differ = d.differs = !same_type(wanted, found);
    if (d.differs)
        return d;
    const Tolerance tolerance = tolerance_for(wanted, rounded);
    for (int64_t i = 0; i < d.elements; i++) {
        if (equal_integers(wanted, found, i))
            continue;
        double w = lt_tensor_get_float(wanted, i), f = lt_tensor_get_float(found, i);
        double error = error_of(w, f);
        bool is_integer = !lt_dtype_is_float(wanted->dtype);
        if (is_integer && error == 0)
            error = 1; /* a difference below what a double can tell */
        bool near = error <= tolerance.absolute + tolerance.relative * fabs(w);
        d.wrong += error > 0 && !(near && isfinite(w)); /* infinity takes only itself */
        if (error > d.greatest) {
            d.greatest = error;
            d.at = i;
            d.wanted_there = w;
            d.found_there = f;
        }
    }
    d.differs = d.wrong != 0;
    return d;
}

/* --- text ------------------------------------------------------------------------------------ */

const char *lt_tensor_type_text(Arena *arena, const Tensor *t) {
    Str text;
    lt_str_init(&text, arena);
    lt_str_printf(&text, "%s[", lt_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        lt_str_printf(&text, "%s%" PRId64, i ? "," : "", t->dims[i]);
    lt_str_char(&text, ']');
    return text.text;
}

/* Where an element lies: "[0,3]". */
static void append_position(Str *text, const Tensor *t, int64_t element) {
    int64_t position[LT_MAX_RANK];
    for (int i = t->rank - 1; i >= 0; i--) {
        position[i] = element % t->dims[i];
        element /= t->dims[i];
    }
    lt_str_char(text, '[');
    for (int i = 0; i < t->rank; i++)
        lt_str_printf(text, "%s%" PRId64, i ? "," : "", position[i]);
    lt_str_char(text, ']');
}

const char *lt_difference_text(Arena *arena, const Tensor *wanted, const Difference *d) {
    Str text;
    lt_str_init(&text, arena);
    if (d->shapes_differ) {
        lt_str_printf(&text, "%s is expected", lt_tensor_type_text(arena, wanted));
        return text.text;
    }
    lt_str_printf(&text, "greatest error %.3g", d->greatest);
    if (d->at >= 0) {
        lt_str_append(&text, " at ");
        append_position(&text, wanted, d->at);
        lt_str_printf(&text, " (%.9g, expected %.9g)", d->found_there, d->wanted_there);
    }
    if (d->wrong)
        lt_str_printf(&text, "; %" PRId64 " of %" PRId64 " elements are wrong", d->wrong,
                      d->elements);
    return text.text;
}

/* --- running --------------------------------------------------------------------------------- */

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int count_nodes(const Graph *g) {
    int count = 0;
    LT_EACH_NODE(n, g) count += n->op != OP_YIELD;
    return count;
}

static bool run_nodes(OracleRun *run) {
    const Graph *g = run->module->main;
    const int total = run->title ? count_nodes(g) : 0;
    double start = seconds_now();
    int done = 0;
    for (const Node *n = g->first; n && n->op != OP_YIELD; n = n->next) {
        if (run->title) {
            fprintf(stderr, "\r\033[K%s: evaluator %d/%d  %.1f s", run->title, ++done, total,
                    seconds_now() - start);
            fflush(stderr);
        }
        if (!lt_eval_node(&run->ev, n))
            return false;
    }
    return true;
}

bool lt_oracle_run(OracleRun *run) {
    bool ok = lt_eval_begin(&run->ev, run->arena, run->module, run->inputs) && run_nodes(run);
    if (run->title)
        fputs("\r\033[K", stderr);
    const Node *yield = lt_graph_yield(run->module->main);
    run->outputs = LT_ARRAY(run->arena, const Tensor *, yield->input_count + 1);
    for (uint32_t i = 0; ok && i < yield->input_count; i++)
        run->outputs[i] = run->ev.values[lt_input(yield, i)->id];
    return ok;
}
