/* optimize.c - the target machine, the pass pipeline, and code out of it. */
#include <llvm-c/Analysis.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/llvm/llvm.h"
#include "lathe/runtime.h"

/* Kernels come with their loops scheduled and their vectors chosen, so that the pipeline only has
 * to bring tiles into registers, share index arithmetic and move what is invariant out of loops.
 * LLVM's own vectorizers and unroller would undo the schedule. */
static const char pipeline[] =
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(licm<allowspeculation>),gvn,instcombine<no-verify-fixpoint>,dse,"
    "loop-mssa(licm<allowspeculation>),simplifycfg,adce),globaldce";

static pthread_once_t targets_once = PTHREAD_ONCE_INIT;

static void init_targets(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
}

LLVMTargetMachineRef lt_target_machine(const CodegenOptions *o, DiagList *diags) {
    static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess,
                                                 LLVMCodeGenLevelDefault,
                                                 LLVMCodeGenLevelAggressive};
    pthread_once(&targets_once, init_targets);
    LLVMTargetRef target;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(o->target->triple, &target, &message)) {
        lt_error(diags, LATHE_UNSUPPORTED, NULL, "no code generator for %s: %s", o->target->triple,
                 message);
        LLVMDisposeMessage(message);
        return NULL;
    }
    const int level = o->level < 0 ? 0 : o->level > 3 ? 3 : o->level;
    return LLVMCreateTargetMachine(target, o->target->triple, o->target->cpu, o->target->features,
                                   levels[level], LLVMRelocPIC, LLVMCodeModelDefault);
}

static bool report(DiagList *diags, const char *what, char *message) {
    lt_error(diags, LATHE_INTERNAL, NULL, "%s: %s", what, message ? message : "no reason given");
    if (message)
        LLVMDisposeMessage(message);
    return false;
}

bool lt_optimize(Unit *u, DiagList *diags) {
    char *message = NULL;
    if (LLVMVerifyModule(u->module, LLVMReturnStatusAction, &message))
        return report(diags, "the generated code is not valid", message);
    LLVMDisposeMessage(message);
    if (u->options->level == 0)
        return true;
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(u->module, pipeline, u->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return true;
    char *text = LLVMGetErrorMessage(error);
    report(diags, "optimizing failed", LLVMCreateMessage(text));
    LLVMDisposeErrorMessage(text);
    return false;
}

static LLVMMemoryBufferRef emit(Unit *u, LLVMCodeGenFileType kind, DiagList *diags) {
    char *message = NULL;
    LLVMMemoryBufferRef buffer = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(u->machine, u->module, kind, &message, &buffer)) {
        report(diags, "generating code failed", message);
        return NULL;
    }
    return buffer;
}

bool lt_emit_object(Unit *u, ObjectCode *out, DiagList *diags) {
    LLVMMemoryBufferRef buffer = emit(u, LLVMObjectFile, diags);
    if (!buffer)
        return false;
    const size_t size = LLVMGetBufferSize(buffer);
    *out = (ObjectCode){.data = lt_arena_copy(u->arena, LLVMGetBufferStart(buffer), size),
                        .size = size,
                        .needs_libm = u->needs_libm};
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}

bool lt_emit_text(Unit *u, CodegenText kind, Str *out, DiagList *diags) {
    if (kind == CODEGEN_LLVM_IR) {
        char *text = LLVMPrintModuleToString(u->module);
        lt_str_append(out, text);
        LLVMDisposeMessage(text);
        return true;
    }
    LLVMMemoryBufferRef buffer = emit(u, LLVMAssemblyFile, diags);
    if (!buffer)
        return false;
    lt_str_append_n(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return true;
}
