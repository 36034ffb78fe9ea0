/* nvrtc.c - stands in for NVRTC in tests: a libnvrtc.so that compiles with tests/cuda/nvcc, whose
 * path is $FAKE_NVCC. It knows sm_75 and sm_80. $FAKE_NVRTC_CHECK, a command, gets the architecture
 * and the text's file first: what it refuses is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct FakeProgram {
    char *text, *image;
    size_t size;
} FakeProgram;

enum { FAILED = 6 };

const char *nvrtcGetErrorString(int result);
const char *nvrtcGetErrorString(int result) { return result ? "NVRTC_ERROR_COMPILATION" : ""; }

int nvrtcGetNumSupportedArchs(int *count);
int nvrtcGetNumSupportedArchs(int *count) {
    *count = 2;
    return 0;
}

int nvrtcGetSupportedArchs(int *archs);
int nvrtcGetSupportedArchs(int *archs) {
    archs[0] = 75;
    archs[1] = 80;
    return 0;
}

int nvrtcCreateProgram(FakeProgram **program, const char *text, const char *name, int header_count,
                       const char *const *headers, const char *const *names);
int nvrtcCreateProgram(FakeProgram **program, const char *text, const char *name, int header_count,
                       const char *const *headers, const char *const *names) {
    (void)name, (void)header_count, (void)headers, (void)names;
    *program = calloc(1, sizeof **program);
    (*program)->text = strdup(text);
    return 0;
}

static int read_image(FakeProgram *program, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return FAILED;
    program->image = malloc(1 << 24);
    program->size = fread(program->image, 1, 1 << 24, file);
    fclose(file);
    return program->size ? 0 : FAILED;
}

/* --gpu-architecture=sm_80 */
int nvrtcCompileProgram(FakeProgram *program, int count, const char *const *options);
int nvrtcCompileProgram(FakeProgram *program, int count, const char *const *options) {
    char folder[] = "/tmp/fake-nvrtc-XXXXXX", path[64], command[512];
    const char *code = count ? strchr(options[0], '=') + 1 : "?";
    if (getenv("FAKE_NVRTC_FAILS") || !mkdtemp(folder))
        return FAILED;
    snprintf(path, sizeof path, "%s/model.cu", folder);
    FILE *file = fopen(path, "w");
    fputs(program->text, file);
    fclose(file);
    const char *check = getenv("FAKE_NVRTC_CHECK");
    snprintf(command, sizeof command, "{ %s %s %s; } && %s -gencode code=%s %s -o %s/image",
             check ? check : ":", options[0], path, getenv("FAKE_NVCC"), code, path, folder);
    snprintf(path, sizeof path, "%s/image", folder);
    const int result = system(command) == 0 ? read_image(program, path) : FAILED;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? result : FAILED;
}

int nvrtcGetProgramLogSize(FakeProgram *program, size_t *size);
int nvrtcGetProgramLogSize(FakeProgram *program, size_t *size) {
    (void)program;
    *size = sizeof "line 1: no";
    return 0;
}
int nvrtcGetProgramLog(FakeProgram *program, char *log);
int nvrtcGetProgramLog(FakeProgram *program, char *log) {
    (void)program;
    strcpy(log, "line 1: no");
    return 0;
}

int nvrtcGetCUBINSize(FakeProgram *program, size_t *size);
int nvrtcGetCUBINSize(FakeProgram *program, size_t *size) {
    *size = program->size;
    return 0;
}
int nvrtcGetCUBIN(FakeProgram *program, char *image);
int nvrtcGetCUBIN(FakeProgram *program, char *image) {
    memcpy(image, program->image, program->size);
    return 0;
}
int nvrtcGetPTXSize(FakeProgram *program, size_t *size);
int nvrtcGetPTXSize(FakeProgram *program, size_t *size) { return nvrtcGetCUBINSize(program, size); }
int nvrtcGetPTX(FakeProgram *program, char *image);
int nvrtcGetPTX(FakeProgram *program, char *image) { return nvrtcGetCUBIN(program, image); }

int nvrtcDestroyProgram(FakeProgram **program);
int nvrtcDestroyProgram(FakeProgram **program) {
    free((*program)->text);
    free((*program)->image);
    free(*program);
    *program = NULL;
    return 0;
}
