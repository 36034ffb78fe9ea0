/* check.h - programs that use models on the tests' driver as an embedder would: what their checks
 * share. The script (tests/cuda/run.sh) builds them, and counts their lines. */
#ifndef LATHE_TESTS_CUDA_CHECK_H
#define LATHE_TESTS_CUDA_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lathe/runtime.h"
#include "runtime/cuda_api.h"

/* Prints `ok: WORDS` or `FAILED: WORDS: why`. */
void check(bool holds, const char *words, const char *why);
extern int failures;

/* Stop the program when they fail. */
lathe_model *open_model(const char *path);
lathe_context *new_context(lathe_model *model, uint32_t flags);
void must(lathe_status status, const char *words);

/* The driver that the runtime opened. The first device's context is the thread's from then on. */
const CudaApi *driver(void);
void *device_memory(size_t bytes); /* filled with 0xff */
void to_device(void *device, const void *host, size_t bytes);
void from_device(void *host, const void *device, size_t bytes);
/* Bytes of the device that are in use; of the tests' driver, by nobody else. */
size_t device_use(void);

/* Calls of that name since the last log_begin. */
void log_begin(void);
int log_count(const char *call);

/* The model of mlp.lir: x f32[batch,20], w f32[20,24]; scores f32[batch,3], hidden f32[batch,24].
 */
enum { MLP_BATCH = 7, MLP_X = 20, MLP_HIDDEN = 24, MLP_SCORES = 3 };
typedef struct Mlp {
    int64_t batch;
    float x[64 * MLP_X], w[MLP_X * MLP_HIDDEN];
    float scores[64 * MLP_SCORES], hidden[64 * MLP_HIDDEN]; /* as they must be */
} Mlp;
/* Inputs that differ with `seed`, and their results. */
void mlp_make(Mlp *m, int64_t batch, int seed);
/* Descriptions of memory for it: 0, 1 inputs; 2, 3 outputs. */
lathe_tensor mlp_tensor(const Mlp *m, int which, const void *data, lathe_device device);
/* Whether an output holds what it must. */
bool mlp_is_right(const Mlp *m, int output, const float *data);
/* Its tensors on the device: inputs as they are, outputs to be written. */
typedef struct MlpOnDevice {
    void *x, *w, *scores, *hidden;
} MlpOnDevice;
MlpOnDevice mlp_bring(const Mlp *m);
void mlp_drop(const MlpOnDevice *d);
bool mlp_is_right_there(const Mlp *m, int output, const void *device);
/* Sets both inputs from the host, runs, and looks at both outputs there. */
bool mlp_runs(lathe_context *context, const Mlp *m);

#endif
