/* artifact.c - see artifact.h. */
#include "tests/artifact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lathe/runtime.h"
#include "runtime/base/file.h"
#include "runtime/base/map.h"

static const float weights[] = {2, 1};

bool lt_test_artifact_folder(char path[64]) {
    strcpy(path, "/tmp/lathe-test-XXXXXX");
    return mkdtemp(path) != NULL;
}

void lt_test_artifact_remove(const char *path) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (strncmp(path, "/tmp/lathe-test-", 16) != 0 || system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", path);
}

static void fill_footer(ArtifactImage *image, uint64_t object_size, uint64_t weights_offset) {
    image->footer = (LtFooter){.magic = {'L', 'A', 'T', 'H', 'E', 'M', 'D', 'L'},
                               .abi = LATHE_ABI,
                               .footer_size = LT_FOOTER_SIZE,
                               .file_size = image->size,
                               .object_size = object_size,
                               .object_hash = lt_hash_bytes(image->data, object_size, 0),
                               .weights_offset = weights_offset,
                               .weights_size = sizeof weights,
                               .target = "test",
                               .version = LATHE_VERSION};
#if defined(__x86_64__)
    memcpy(image->footer.arch, "x86_64", 7);
#elif defined(__aarch64__)
    memcpy(image->footer.arch, "aarch64", 8);
#endif
}

bool lt_test_artifact_build(Arena *arena, const char *folder, const char *flags,
                            ArtifactImage *out) {
    const char *object = lt_arena_printf(arena, "%s/object.so", folder);
    const char *command = lt_arena_printf(
        arena, "cc -shared -fPIC -O1 -I. %s tests/artifact/model.c -o %s", flags, object);
    MappedFile file;
    char error[128];
    if (system(command) != 0 || !lt_file_map(&file, object, error, sizeof error)) {
        fprintf(stderr, "failed: %s\n", command);
        return false;
    }
    size_t offset = (file.size + LT_WEIGHTS_ALIGN - 1) / LT_WEIGHTS_ALIGN * LT_WEIGHTS_ALIGN;
    out->size = offset + LT_WEIGHTS_ALIGN + LT_FOOTER_SIZE;
    out->data = lt_arena_alloc(arena, out->size);
    memcpy(out->data, file.data, file.size);
    memcpy(out->data + offset, weights, sizeof weights);
    fill_footer(out, file.size, offset);
    lt_file_unmap(&file);
    return true;
}

bool lt_test_artifact_write(const ArtifactImage *image, const char *path, size_t size) {
    OutputFile file;
    memcpy(image->data + image->size - LT_FOOTER_SIZE, &image->footer, sizeof image->footer);
    if (!lt_output_open(&file, path))
        return false;
    lt_output_write(&file, image->data, size);
    return lt_output_commit(&file, 0755);
}
