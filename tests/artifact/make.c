/* make.c - writes the hand-made artifact (tests/artifact.h) for script tests: make FOLDER FILE
 * [FLAGS]. */
#include <stdio.h>

#include "tests/artifact.h"

int main(int argc, char **argv) {
    Arena arena;
    ArtifactImage image;
    if (argc < 3) {
        fprintf(stderr, "usage: make FOLDER FILE [FLAGS]\n");
        return 2;
    }
    lt_arena_init(&arena);
    bool made = lt_test_artifact_build(&arena, argv[1], argc > 3 ? argv[3] : "", &image) &&
                lt_test_artifact_write(&image, argv[2], image.size);
    lt_arena_free(&arena);
    return made ? 0 : 1;
}
