/* eval_case.c - runs a model in the evaluator on a stored case and compares: `eval_case MODEL.onnx
 * CASE-FOLDER`.
 *
 * A case holds case.txt with lines `input NAME FILE` and `output NAME FILE`, and the .npy files.
 * Prints one line per output with the greatest error relative to 1 + |expected|; the exit status is
 * 0 when all are below the tolerance. With no folder it imports, verifies and counts only. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontends/import.h"
#include "ir/eval.h"
#include "runtime/base/file.h"

#define TOLERANCE 2e-3 /* float sums of some thousand terms in another order */

typedef struct NpyType {
    const char *descr;
    DType dtype;
} NpyType;

static const NpyType npy_types[] = {{"<f4", DT_F32}, {"<f8", DT_F64}, {"<f2", DT_F16},
                                    {"|i1", DT_I8},  {"<i2", DT_I16}, {"<i4", DT_I32},
                                    {"<i8", DT_I64}, {"|u1", DT_U8},  {"<u2", DT_U16},
                                    {"<u4", DT_U32}, {"<u8", DT_U64}, {"|b1", DT_BOOL}};

static void die(const char *what, const char *name) {
    fprintf(stderr, "eval_case: %s: %s\n", what, name);
    exit(1);
}

/* Format 1.0 as numpy writes it: magic, version, length of the header, a Python dict. */
static Tensor *read_npy(Arena *arena, const char *path) {
    MappedFile file;
    char error[160];
    if (!lt_file_map(&file, path, error, sizeof error))
        die(error, path);
    if (file.size < 10 || memcmp(file.data, "\x93NUMPY", 6) != 0)
        die("not a .npy file", path);
    size_t header = 10 + file.data[8] + 256u * file.data[9];
    if (header > file.size)
        die("cut off", path);
    char *text = lt_arena_strndup(arena, (const char *)file.data + 10, header - 10);
    int64_t dims[LT_MAX_RANK];
    int rank = 0, type = -1;
    for (size_t i = 0; i < sizeof npy_types / sizeof *npy_types; i++)
        if (strstr(text, npy_types[i].descr))
            type = (int)i;
    if (type < 0 || !strstr(text, "'fortran_order': False"))
        die("dtype or order is not supported", path);
    for (char *at = strchr(text, '(') + 1; *at != ')' && rank < LT_MAX_RANK;) {
        if (isdigit((unsigned char)*at))
            dims[rank++] = strtoll(at, &at, 10);
        else
            at++;
    }
    Tensor *t = lt_tensor_new(arena, npy_types[type].dtype, rank, dims);
    if (lt_tensor_bytes(t) != file.size - header)
        die("size does not fit the shape", path);
    memcpy(t->data, file.data + header, lt_tensor_bytes(t));
    lt_file_unmap(&file);
    return t;
}

static bool same_shape(const Tensor *a, const Tensor *b) {
    return a->rank == b->rank && a->dtype == b->dtype &&
           memcmp(a->dims, b->dims, sizeof *a->dims * (size_t)a->rank) == 0;
}

static double greatest_error(const Tensor *found, const Tensor *expected) {
    double worst = 0;
    for (int64_t i = 0; i < lt_tensor_elements(found); i++) {
        double a = lt_tensor_get_float(found, i), b = lt_tensor_get_float(expected, i);
        double error = isnan(a) != isnan(b) ? INFINITY
                       : isnan(b) || a == b ? 0
                                            : fabs(a - b) / (1 + fabs(b));
        if (error > worst)
            worst = error;
    }
    return worst;
}

static size_t find_value(Value *const *values, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (values[i]->name && strcmp(values[i]->name, name) == 0)
            return i;
    die("the model has no such input or output", name);
    return 0;
}

typedef struct CaseFile {
    const Tensor **inputs, **expected;
    Value **outputs;
    uint32_t output_count;
} CaseFile;

static void read_case(Arena *arena, Module *m, const char *folder, CaseFile *c) {
    char kind[16], name[256], file[256];
    const char *path = lt_arena_printf(arena, "%s/case.txt", folder);
    FILE *list = fopen(path, "r");
    if (!list)
        die("cannot be read", path);
    while (fscanf(list, "%15s %255s %255s", kind, name, file) == 3) {
        const Tensor *t = read_npy(arena, lt_arena_printf(arena, "%s/%s", folder, file));
        if (*kind == 'i')
            c->inputs[find_value(m->main->inputs.data, m->main->inputs.len, name)] = t;
        else
            c->expected[find_value(c->outputs, c->output_count, name)] = t;
    }
    fclose(list);
}

static int run_case(Arena *arena, Module *m, const char *folder) {
    const Node *yield = lt_graph_yield(m->main);
    CaseFile c = {.output_count = yield->input_count};
    c.inputs = LT_ARRAY(arena, const Tensor *, m->main->inputs.len);
    c.expected = LT_ARRAY(arena, const Tensor *, c.output_count);
    c.outputs = LT_ARRAY(arena, Value *, c.output_count);
    for (uint32_t i = 0; i < c.output_count; i++)
        c.outputs[i] = lt_input(yield, i);
    read_case(arena, m, folder, &c);
    const Tensor **found = LT_ARRAY(arena, const Tensor *, c.output_count);
    Evaluation ev = {0};
    if (!lt_eval_module(&ev, arena, m, c.inputs, found))
        die("evaluation failed", ev.error);
    int status = 0;
    for (uint32_t i = 0; i < c.output_count; i++) {
        if (!c.expected[i])
            continue;
        bool fits = same_shape(found[i], c.expected[i]);
        double error = fits ? greatest_error(found[i], c.expected[i]) : INFINITY;
        printf("  output %s: error %.3g%s\n", c.outputs[i]->name, error,
               fits ? "" : " (another shape)");
        if (!(error <= TOLERANCE))
            status = 1;
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2)
        die("usage", "eval_case MODEL [CASE-FOLDER]");
    Arena arena;
    lt_arena_init(&arena);
    DiagList *diags;
    Module *m = lt_import_file(&arena, argv[1], NULL, &diags);
    for (size_t i = 0; i < diags->items.len; i++)
        fprintf(stderr, "%s\n", lt_diag_format(diags, &diags->items.data[i], false));
    if (!m)
        return lt_diag_status(diags);
    int nodes = 0;
    LT_EACH_NODE(n, m->main) nodes++;
    printf("%s: %d nodes, %zu guards\n", argv[1], nodes, m->guards.len);
    int status = lt_module_verify(m) ? 0 : 70;
    for (size_t i = 0; i < diags->items.len; i++)
        if (status)
            fprintf(stderr, "%s\n", lt_diag_format(diags, &diags->items.data[i], false));
    if (!status && argc > 2)
        status = run_case(&arena, m, argv[2]);
    lt_arena_free(&arena);
    return status;
}
