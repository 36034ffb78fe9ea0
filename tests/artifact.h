/* artifact.h - artifacts for tests of the runtime and of lathe-run: tests/artifact/model.c,
 * compiled by the system's C compiler, with weights and a footer behind it. The current folder
 * must be the repository's. */
#ifndef LATHE_TESTS_ARTIFACT_H
#define LATHE_TESTS_ARTIFACT_H

#include <stdbool.h>

#include "runtime/artifact.h"
#include "runtime/base/arena.h"

/* A whole artifact in memory. */
typedef struct ArtifactImage {
    uint8_t *data;
    size_t size;
    LtFooter footer; /* lt_test_artifact_write puts it at the end of data */
} ArtifactImage;

/* A new folder in /tmp, and its removal with all that it holds; these work before and after tests.
 * */
bool lt_test_artifact_folder(char path[64]);
void lt_test_artifact_remove(const char *path);
/* weights[2] = {2, 1}. flags: for the C compiler. Files made on the way go to `folder`. False: a
 * message is on stderr. */
bool lt_test_artifact_build(Arena *arena, const char *folder, const char *flags,
                            ArtifactImage *out);
/* Writes the first `size` bytes, the footer being among them when size is image->size. */
bool lt_test_artifact_write(const ArtifactImage *image, const char *path, size_t size);

#endif
