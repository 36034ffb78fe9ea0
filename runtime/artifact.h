/* artifact.h - the binary interface between a compiled model and the runtime.
 *
 * model.so = an ELF shared object, zero padding up to a page, the weights, zero padding, and a
 * footer in the last LT_FOOTER_SIZE bytes. The runtime reads the footer first: a file that is cut
 * short, made for another ABI or for a CPU that this one is not is refused before the loader sees
 * it. The shared object exports one symbol, LT_DESCRIPTOR_SYMBOL. The compiler writes these
 * structures, the runtime reads them; a change here raises LATHE_ABI (include/lathe/runtime.h). */
#ifndef LATHE_RUNTIME_ARTIFACT_H
#define LATHE_RUNTIME_ARTIFACT_H

#include <stdint.h>

#define LT_DESCRIPTOR_SYMBOL "lathe_model_descriptor"
#define LT_FOOTER_MAGIC "LATHEMDL"
#define LT_FOOTER_SIZE 512
#define LT_WEIGHTS_ALIGN 4096 /* of the weights in the file */
#define LT_TENSOR_ALIGN 64    /* of tensors in the arena and of constants in the weights */

/* What an artifact may need of the CPU. X(ENUM, bit, name as in --features and /proc/cpuinfo) */
#define LT_CPU_FEATURES(X) \
    X(SSE4_2, 0, "sse4.2") \
    X(AVX, 1, "avx") \
    X(AVX2, 2, "avx2") \
    X(FMA, 3, "fma") \
    X(F16C, 4, "f16c") \
    X(AVX512F, 5, "avx512f") \
    X(AVX512BW, 6, "avx512bw") \
    X(AVX512VL, 7, "avx512vl") \
    X(AVX512DQ, 8, "avx512dq") \
    X(AVX512VNNI, 9, "avx512vnni") \
    X(AVX512BF16, 10, "avx512bf16") \
    X(BMI2, 11, "bmi2")
enum {
#define X(e, bit, name) LT_CPU_##e = 1u << bit,
    LT_CPU_FEATURES(X)
#undef X
};

/* The file's last LT_FOOTER_SIZE bytes; little endian, zero filled behind the fields. */
typedef struct LtFooter {
    char magic[8]; /* LT_FOOTER_MAGIC, no NUL */
    uint32_t abi;  /* LATHE_ABI of the compiler */
    uint32_t footer_size;
    uint64_t file_size; /* whole file, footer included */
    uint64_t object_size;
    uint64_t object_hash; /* lt_hash_bytes(object, object_size, 0): catches damage, not attacks */
    uint64_t weights_offset; /* 0: weights are in another file (--weights), or there are none */
    uint64_t weights_size;
    uint64_t cpu_features;  /* bits of LT_CPU_* that must be there */
    char arch[16];          /* "x86_64", "aarch64", ... */
    char target[64];        /* triple and CPU, for people */
    char version[16];       /* LATHE_VERSION of the compiler */
    char weights_file[128]; /* with --weights: name, relative to the artifact's folder */
} LtFooter;

/* scratch: LtDescriptor.scratch_bytes that nobody else writes while the call runs, aligned to
 * LT_TENSOR_ALIGN; kernels expect nothing in it and leave nothing there. */
typedef void LtKernelFn(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                        void *scratch);

/* The threads that run one launch of a team's kernel. wait returns when all of them have called it;
 * what they wrote before is then seen by all. */
typedef struct LtTeam {
    void (*wait)(const struct LtTeam *team);
    void *shared; /* LtDescriptor.scratch_bytes that all of them see: the first thread's scratch */
} LtTeam;

/* A kernel whose threads wait for each other: each calls it once, with its own part of [0, count).
 * team NULL: one thread does all of it. */
typedef void LtTeamFn(void *const *buffers, const int64_t *ints, int64_t begin, int64_t end,
                      void *scratch, const LtTeam *team);

/* What the runtime offers to compiled code; `context` goes back as the first argument. */
typedef struct LtHostApi {
    void *context;
    /* Runs fn over [0, count), split among threads; kernel: index into the descriptor's kernels.
     * Returns when all of it is done. count <= 0: nothing runs. */
    void (*launch)(void *context, uint32_t kernel, LtKernelFn *fn, void *const *buffers,
                   const int64_t *ints, int64_t count);
    /* Calls an irregular operation of runtime/kernels/library.def. 0, or a lathe_status. */
    int32_t (*library)(void *context, uint32_t function, void *const *buffers, const int64_t *ints);
    /* Runs fn with a team, of no more than count threads; since ABI 2. rounds: how often they will
     * wait for each other, about, which says how long it is worth to wait for a thread to join. */
    void (*launch_team)(void *context, uint32_t kernel, LtTeamFn *fn, void *const *buffers,
                        const int64_t *ints, int64_t count, int64_t rounds);
    /* At least `bytes` for slot `slot`, LT_TENSOR_ALIGN aligned; what it holds is kept, also from
     * one run to the next. NULL: there is no memory. (ABI 2) */
    void *(*reserve)(void *context, uint32_t slot, int64_t bytes);
    /* Makes `tensors` point to memory for an output whose dims depend on data. 0, or a
     * lathe_status. (ABI 2) */
    int32_t (*output)(void *context, uint32_t index, const int64_t *dims);
    /* The rest is for models whose kernels run on a device (ABI 3): buffers are addresses there,
     * and the host's code reads nothing of them but by `fetch`. */
    /* Copies from one place on the device to another, in order with the launches. */
    void (*copy)(void *context, void *to, const void *from, int64_t bytes);
    /* Waits for what was launched and copies to the host. 0, or a lathe_status. */
    int32_t (*fetch)(void *context, void *to, const void *from, int64_t bytes);
    /* As library. bytes: of each of the buffers. From ABI 4 on nobody calls it: what the library
     * computes are kernels. */
    int32_t (*library_on_device)(void *context, uint32_t function, void *const *buffers,
                                 const int64_t *ints, const int64_t *bytes, uint32_t count);
} LtHostApi;

typedef struct LtSymbolDecl {
    const char *name;
    int64_t lo, hi; /* inclusive; hi INT64_MAX: no upper bound */
} LtSymbolDecl;

/* One dimension of a signature: constant (symbol -1), a symbol by itself, or (outputs only) an
 * expression that output_dims computes (symbol -2), or what only a run tells (symbol -3). */
enum { LT_DIM_OF_DATA = -3 };
typedef struct LtDimDecl {
    int64_t value;
    int32_t symbol;
    int32_t reserved;
    const char *text; /* for people: "64", "batch", "floor(h/32)" */
} LtDimDecl;

typedef struct LtTensorDecl {
    const char *name;
    int32_t dtype; /* lathe_dtype */
    int32_t rank;
    const LtDimDecl *dims;
} LtTensorDecl;

typedef struct LtKernelDecl {
    const char *name;  /* after the model's nodes: "Conv_23+Relu_24" */
    const char *nodes; /* the original nodes, comma separated */
} LtKernelDecl;

/* What launches one kernel of a device: its arguments are the buffers' addresses, then the
 * integers, as many bytes of each as the kernel declares. The launch's count is that of blocks. */
typedef struct LtDeviceKernel {
    const char *symbol; /* in the image or the text */
    uint32_t threads;   /* of a block */
    uint32_t buffer_count, int_count;
    uint32_t shared_bytes; /* of a block, besides what the kernel declares (ABI 4; before, 0) */
} LtDeviceKernel;

/* The launches are the same in every run with the same symbols: no branch, loop, library call or
 * extent depends on data. */
enum { LT_DEVICE_REPEATS = 1 };

/* Where the kernels run when it is not the CPU. There is an image, or a text, or both. */
typedef struct LtDeviceDecl {
    uint32_t type;  /* LATHE_CUDA */
    uint32_t flags; /* LT_DEVICE_REPEATS */
    const char *architectures; /* that the image has code for: "sm_75, sm_80" */
    const void *image;         /* what the driver loads; NULL: none */
    uint64_t image_size;
    const char *text; /* CUDA-C that is compiled when the model is loaded; NULL: none */
    const LtDeviceKernel *kernels; /* as many as LtDescriptor.kernels */
} LtDeviceDecl;

/* run() returns 0, -status (a lathe_status, negated), or g > 0: guards[g - 1] says what did not
 * hold. */
typedef struct LtDescriptor {
    uint32_t abi, size; /* sizeof(LtDescriptor) of the writer: fields are only ever appended */
    const char *version, *target, *model_name;
    uint32_t symbol_count, input_count, output_count, kernel_count, guard_count;
    const LtSymbolDecl *symbols;
    const LtTensorDecl *inputs, *outputs;
    const LtKernelDecl *kernels;
    const char *const *guards;
    int64_t weights_size;
    /* All outputs' dims, one after the other, from the symbols' values. */
    void (*output_dims)(const int64_t *symbols, int64_t *dims);
    int64_t (*arena_size)(const int64_t *symbols);
    /* tensors: inputs, then outputs, dense and row-major. arena: LT_TENSOR_ALIGN aligned,
     * arena_size bytes. */
    int32_t (*run)(const LtHostApi *api, uint8_t *arena, const uint8_t *weights,
                   void *const *tensors, const int64_t *symbols);
    uint64_t scratch_bytes; /* of each thread */
    uint64_t slot_count;    /* memory that run() reserves (ABI 2) */
    /* NULL: kernels run on the CPU. Else arena, weights and tensors are the device's. (ABI 3) */
    const LtDeviceDecl *device;
} LtDescriptor;

#endif
