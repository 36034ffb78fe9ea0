/* model.h - an open artifact: the mapped file, the loaded code, and its signature in public form.
 * */
#ifndef LATHE_RUNTIME_MODEL_H
#define LATHE_RUNTIME_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/artifact.h"
#include "runtime/base/file.h"
#include "runtime/status.h"

struct lathe_model {
    atomic_int references; /* the opener and each context */
    MappedFile file;
    MappedFile weights_file; /* size 0: weights are in `file`, or there are none */
    const uint8_t *weights;  /* NULL when the model has none */
    LtFooter footer;
    void *library; /* dlopen's handle */
    const LtDescriptor *descriptor;
    lathe_tensor_info *tensors; /* inputs, then outputs */
    lathe_dim *dims;            /* the symbols, then the tensors' dims */
    int32_t device;             /* the number of the GPU that it runs on, if it does */
    pthread_mutex_t device_lock;
    struct CudaModel *cuda; /* made with the first context */
};

/* Checks everything in the file that can be checked without running it, and copies the footer. */
lathe_status lt_artifact_check(const MappedFile *file, LtFooter *footer, ErrorText *error);
/* Checks what the loaded code says of itself. */
lathe_status lt_descriptor_check(const LtDescriptor *descriptor, const LtFooter *footer,
                                 ErrorText *error);
/* NULL: the kernels run on the CPU. */
static inline const LtDeviceDecl *lt_model_device(const lathe_model *model) {
    return model->descriptor->abi < 3 ? NULL : model->descriptor->device;
}
void lt_model_retain(lathe_model *model);

#endif
