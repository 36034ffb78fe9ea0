/* artifact_write.c - the artifact: shared object, padding, weights, padding, footer
 * (runtime/artifact.h).
 *
 * Weights go from the mapped model straight into the file, each at its offset; only a splat is
 * written out from one element. With a weights file, that one is put in place first: an artifact
 * never names weights that are not there. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/codegen.h"
#include "lathe/runtime.h"
#include "runtime/base/file.h"

enum { SPLAT_BYTES = 65536 };

static bool fail(DiagList *diags, const char *path) {
    lt_error(diags, LATHE_IO, NULL, "%s cannot be written: %s", path, strerror(errno));
    return false;
}

/* --- weights --- */

static int compare_offsets(const void *a, const void *b) {
    const ProgramBuffer *const *x = a, *const *y = b;
    const int64_t left = (*x)->offset->value, right = (*y)->offset->value;
    return (left > right) - (left < right);
}

static void write_splat(OutputFile *out, const Const *c) {
    static _Thread_local char block[SPLAT_BYTES];
    int64_t elements = 0;
    const bool is_static = lt_type_is_static(c->type, &elements);
    assert(is_static && c->bytes > 0 && c->bytes <= 16);
    (void)is_static;
    const int64_t in_block = SPLAT_BYTES / (int64_t)c->bytes;
    for (int64_t i = 0; i < in_block && i < elements; i++)
        memcpy(block + (size_t)i * c->bytes, c->data, c->bytes);
    for (int64_t left = elements; left > 0; left -= in_block)
        lt_output_write(out, block, (size_t)(left < in_block ? left : in_block) * c->bytes);
}

static void write_weights(const Program *p, Arena *arena, OutputFile *out) {
    const ProgramBuffer **list = LT_ARRAY(arena, const ProgramBuffer *, p->buffers.len + 1);
    const uint64_t start = out->offset;
    size_t count = 0;
    /* Those without elements have no bytes, and the offset of what comes next. */
    for (size_t i = 0; i < p->buffers.len; i++) {
        const ProgramBuffer *b = &p->buffers.data[i];
        if (b->place == PLACE_WEIGHTS && b->value->bytes)
            list[count++] = b;
    }
    qsort(list, count, sizeof *list, compare_offsets);
    for (size_t i = 0; i < count; i++) {
        const Const *c = list[i]->value;
        const uint64_t at = start + (uint64_t)list[i]->offset->value;
        if (i > 0 && list[i]->offset == list[i - 1]->offset)
            continue; /* two buffers over one constant */
        assert(at >= out->offset && "weights do not overlap");
        lt_output_pad_to(out, at);
        if (c->is_splat)
            write_splat(out, c);
        else
            lt_output_write(out, c->data, c->bytes);
    }
    assert(out->offset <= start + (uint64_t)p->weights_size);
    lt_output_pad_to(out, start + (uint64_t)p->weights_size);
}

bool lt_codegen_weights(const Program *p, const char *path, DiagList *diags) {
    OutputFile out;
    Arena arena;
    if (!lt_output_open(&out, path))
        return fail(diags, path);
    lt_arena_init(&arena);
    write_weights(p, &arena, &out);
    lt_arena_free(&arena);
    return lt_output_commit(&out, 0644) || fail(diags, path);
}

/* --- the artifact --- */

static void put_text(char *field, size_t size, const char *text) {
    const size_t len = strlen(text);
    memcpy(field, text, len < size ? len : size - 1);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static LtFooter make_footer(const Program *p, const CodegenOptions *o, const ObjectCode *elf,
                            Arena *arena) {
    LtFooter f = {.abi = LATHE_ABI, .footer_size = LT_FOOTER_SIZE, .object_size = elf->size};
    memcpy(f.magic, LT_FOOTER_MAGIC, sizeof f.magic);
    f.object_hash = lt_hash_bytes(elf->data, elf->size, 0);
    f.weights_size = (uint64_t)p->weights_size;
    f.cpu_features = o->target->cpu_features;
    put_text(f.arch, sizeof f.arch, o->target->arch);
    put_text(f.target, sizeof f.target, lt_codegen_target_text(arena, o));
    put_text(f.version, sizeof f.version, LATHE_VERSION);
    if (o->weights_path && p->weights_size > 0)
        put_text(f.weights_file, sizeof f.weights_file, base_name(o->weights_path));
    return f;
}

static uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

static void write_artifact(const Program *p, const ObjectCode *elf, Arena *arena, LtFooter *footer,
                           OutputFile *out) {
    lt_output_write(out, elf->data, elf->size);
    if (p->weights_size > 0 && !footer->weights_file[0]) {
        lt_output_pad_to(out, round_up(out->offset, LT_WEIGHTS_ALIGN));
        footer->weights_offset = out->offset;
        write_weights(p, arena, out);
    }
    lt_output_pad_to(out, round_up(out->offset, LT_TENSOR_ALIGN));
    footer->file_size = out->offset + LT_FOOTER_SIZE;
    lt_output_write(out, footer, sizeof *footer);
    lt_output_pad_to(out, footer->file_size);
}

static bool check_weights_name(const char *path, DiagList *diags) {
    const size_t limit = sizeof((LtFooter *)NULL)->weights_file;
    if (!path || strlen(base_name(path)) < limit)
        return true;
    lt_error(diags, LATHE_BAD_ARGUMENT, NULL,
             "the name of the weights' file has %zu bytes, at most %zu fit",
             strlen(base_name(path)), limit - 1);
    return false;
}

bool lt_artifact_write(const Program *p, const CodegenOptions *o, const ObjectCode *elf,
                       const char *out_path, DiagList *diags) {
    OutputFile out;
    Arena arena;
    bool done = check_weights_name(o->weights_path, diags);
    lt_arena_init(&arena);
    LtFooter footer = make_footer(p, o, elf, &arena);
    if (done && footer.weights_file[0])
        done = lt_codegen_weights(p, o->weights_path, diags);
    if (done && !lt_output_open(&out, out_path))
        done = fail(diags, out_path);
    else if (done) {
        write_artifact(p, elf, &arena, &footer, &out);
        done = lt_output_commit(&out, 0755) || fail(diags, out_path);
    }
    lt_arena_free(&arena);
    return done;
}
