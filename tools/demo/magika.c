/* magika.c - what kind of file is it? `magika MODEL.so LABELS.txt FILE...`, with liblathe_rt alone.
 * The model reads 2048 numbers: the first 1024 bytes behind leading blanks, the last 1024 before
 * trailing blanks, and 256 where there is none. All files go through it in one batch. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lathe/runtime.h"

enum { HALF = 1024, BLOCK = 4096, NUMBERS = 2 * HALF, PADDING = 256, MAX_LABELS = 1024 };

static int read_features(const char *path, int32_t *out) {
    unsigned char block[BLOCK];
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    for (int i = 0; i < NUMBERS; i++) out[i] = PADDING;
    size_t size = fread(block, 1, BLOCK, file), start = 0;
    while (start < size && isspace(block[start])) start++;
    for (size_t i = 0; i < HALF && start + i < size; i++) out[i] = block[start + i];
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    fseek(file, length > BLOCK ? length - BLOCK : 0, SEEK_SET);
    size = fread(block, 1, BLOCK, file);
    while (size > 0 && isspace(block[size - 1])) size--;
    for (size_t i = 0; i < HALF && i < size; i++) out[NUMBERS - 1 - i] = block[size - 1 - i];
    fclose(file);
    return 1;
}

int main(int argc, char **argv) {
    static char labels[MAX_LABELS][64];
    lathe_model *model;
    lathe_context *context = NULL;
    if (argc < 4) return fprintf(stderr, "usage: magika MODEL.so LABELS.txt FILE...\n"), 2;
    if (lathe_model_open(argv[1], NULL, &model) || lathe_context_new(model, NULL, &context))
        return fprintf(stderr, "magika: %s\n", lathe_last_error()), 1;
    int count = argc - 3, kinds = 0;
    FILE *names = fopen(argv[2], "r");
    while (names && kinds < MAX_LABELS && fscanf(names, "%63s", labels[kinds]) == 1) kinds++;
    int32_t *features = malloc((size_t)count * NUMBERS * sizeof *features);
    for (int i = 0; i < count; i++)
        if (!read_features(argv[3 + i], features + i * NUMBERS)) return perror(argv[3 + i]), 1;
    int64_t dims[] = {count, NUMBERS};
    lathe_tensor out, in = {features, LATHE_I32, 2, dims, NULL, {LATHE_CPU, 0}};
    if (lathe_set_input(context, 0, &in) || lathe_run(context) ||
        lathe_get_output(context, 0, &out))
        return fprintf(stderr, "magika: %s\n", lathe_context_error(context)), 1;
    printf("%-32s %-12s %s\n", "file", "kind", "score");
    for (int i = 0; i < count; i++) {
        const float *scores = (const float *)out.data + i * out.dims[1];
        int best = 0;
        for (int k = 1; k < out.dims[1] && k < kinds; k++)
            if (scores[k] > scores[best]) best = k;
        printf("%-32s %-12s %5.1f %%\n", argv[3 + i], labels[best], 100.0 * (double)scores[best]);
    }
    lathe_context_free(context);
    lathe_model_close(model);
    free(features);
    return 0;
}
