/* codegen.h - from a program to machine code: LLVM IR, object code, and the artifact model.so.
 *
 * Kernels become functions of type LtKernelFn, the program becomes the host entry that launches
 * them, and the linker joins both into the shared object to which artifact_write.c appends the
 * weights and the footer. The same program and options give the same bytes on every machine. */
#ifndef LATHE_CODEGEN_CODEGEN_H
#define LATHE_CODEGEN_CODEGEN_H

#include <stdbool.h>
#include <stddef.h>

#include "ir/diag.h"
#include "ir/kernel.h"
#include "ir/program.h"
#include "ir/target.h"
#include "runtime/artifact.h"
#include "runtime/base/file.h"

struct DeviceCode;

typedef struct CodegenOptions {
    const Target *target;     /* NULL: lt_codegen_host_target() */
    int level;                /* 0: no optimization; 1, 2, 3: more of it */
    const char *model_name;   /* of the descriptor; NULL: the module's */
    const char *precision;    /* what --precision rounds to, for people; NULL: nothing */
    const char *weights_path; /* NULL: the weights go into the artifact */
    bool debug_info;          /* lines of the kernels' text, for perf and gdb */
    bool
        tune_host; /* schedule instructions for the CPU that compiles; features stay the target's */
    int threads;   /* code generation; 0: two. The result depends on it, so tools leave it alone */
    bool cuda_jit; /* an artifact for a GPU gets the CUDA-C itself, not what nvcc makes of it */
    const struct DeviceCode *device; /* what a host entry launches; lt_codegen_so fills it */
    const char *static_name; /* of objects: symbols are NAME_descriptor, NAME_weights and NAME.*, so
                              * that several models fit into one program; NULL: lathe_model */
    void (*progress)(void *user, int done, int total); /* kernels; may be NULL */
    void *user;
} CodegenOptions;

typedef enum { CODEGEN_LLVM_IR, CODEGEN_ASM } CodegenText;

/* Writes the artifact to out_path, all or nothing. For a GPU, its kernels are compiled by nvcc
 * (codegen/cuda/compile.c), and the host entry runs on any machine of this one's architecture.
 * False: an error is in diags. */
bool lt_codegen_so(const Program *p, const CodegenOptions *o, const char *out_path,
                   DiagList *diags);
/* What an artifact says that it was made for: triple, target, and precision where that is not as
 * the model states. In the arena. */
const char *lt_codegen_target_text(Arena *arena, const CodegenOptions *o);
/* Appends the optimized LLVM IR, or the assembly. */
bool lt_codegen_text(const Program *p, const CodegenOptions *o, CodegenText kind, Str *out,
                     DiagList *diags);
/* Writes one relocatable object: host entry, kernels and weights. */
bool lt_codegen_object(const Program *p, const CodegenOptions *o, const char *out_path,
                       DiagList *diags);
/* The same as the only member of a static library. */
bool lt_codegen_archive(const Program *p, const CodegenOptions *o, const char *out_path,
                        DiagList *diags);
/* Appends the C header that goes with both: a typed call of the model. */
void lt_codegen_header(Str *out, const Program *p, const CodegenOptions *o);

/* Appends the program as one file of CUDA-C for the target `cuda`: its kernels, and functions of C
 * linkage named after o->static_name that launch them in order; see codegen/cuda/program.c. What
 * there is no CUDA-C for is an error in diags, and false. */
bool lt_codegen_cuda(const Program *p, const CodegenOptions *o, Str *out, DiagList *diags);
/* Writes the weights alone, as --weights does. */
bool lt_codegen_weights(const Program *p, const char *path, DiagList *diags);

/* The best row of the target table that this machine can run. */
const Target *lt_codegen_host_target(void);

/* One kernel as machine code in this process: compiled, linked, loaded. *handle is for
 * lt_codegen_unload. NULL: an error is in diags. */
LtKernelFn *lt_codegen_load_kernel(const Kernel *k, const CodegenOptions *o, void **handle,
                                   DiagList *diags);
void lt_codegen_unload(void *handle);
/* The text of one kernel's code. */
bool lt_codegen_kernel_text(const Kernel *k, const CodegenOptions *o, CodegenText kind, Str *out,
                            DiagList *diags);

/* --- between the files of codegen --- */

/* The kernels of a program for a GPU. */
typedef struct DeviceCode {
    const Target *target;
    const char **symbols;      /* by kernel */
    int64_t *shared_bytes;     /* by kernel: of a block, that its launch asks for */
    const char *text;          /* CUDA-C */
    const char *architectures; /* "sm_75, sm_80" */
    const char *image;         /* NULL: the text goes into the artifact */
    size_t image_size;
} DeviceCode;
/* In the arena. False: an error is in diags. */
bool lt_cuda_compile(const Program *p, const CodegenOptions *o, Arena *arena, DeviceCode *out,
                     DiagList *diags);

/* Object code in memory: in an arena, or in a file, which lt_object_unmap lets go. */
typedef struct ObjectCode {
    const char *data;
    size_t size;
    bool needs_libm;
    MappedFile file; /* of what was linked */
} ObjectCode;
static inline void lt_object_unmap(ObjectCode *object) { lt_file_unmap(&object->file); }

/* Links objects into a shared object. exports: the one symbol that stays visible. Large objects
 * that lie in `arena` end with the call: with many weights, they would be there twice while the
 * linker runs. False: the linker's words are in diags. Else the caller unmaps *out. */
bool lt_link_shared(const ObjectCode *objects, size_t count, const char *exports, Arena *arena,
                    ObjectCode *out, DiagList *diags);
/* Joins objects into one relocatable object; otherwise the same. */
bool lt_link_relocatable(const ObjectCode *objects, size_t count, Arena *arena, ObjectCode *out,
                         DiagList *diags);
/* Loads a shared object from memory, as dlopen does. NULL: an error is in diags. */
void *lt_load_code(const ObjectCode *shared, DiagList *diags);
/* The weights as an object with the one symbol NAME_weights. */
ObjectCode lt_weights_object(const Program *p, const CodegenOptions *o, Arena *arena);
/* The name of a file in a library, at most 15 characters, and what it defines. */
typedef struct ArchiveMember {
    const char *name;
    const char *const *symbols;
    size_t symbol_count;
} ArchiveMember;
bool lt_archive_write(const ObjectCode *code, const ArchiveMember *member, const char *path);
/* The ELF, padding, weights and footer. */
bool lt_artifact_write(const Program *p, const CodegenOptions *o, const ObjectCode *elf,
                       const char *out_path, DiagList *diags);

#endif
