/* codegen.c - the way from a program to its object code, and one kernel to a function that can be
 * called. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "codegen/llvm/llvm.h"
#include "lathe/runtime.h"
#include "runtime/base/file.h"

/* What this machine has, as LLVM sees it: "+avx2,-avx512f,...". */
static bool host_has(const char *features, const char *name) {
    const size_t len = strlen(name);
    for (const char *at = features; (at = strstr(at, name)) != NULL; at += len) {
        if (at > features && at[-1] == '+' && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

static uint64_t host_features(void) {
    uint64_t bits = 0;
    char *features = LLVMGetHostCPUFeatures();
#define X(e, bit, name) \
    if (host_has(features, name)) \
        bits |= LT_CPU_##e;
    LT_CPU_FEATURES(X)
#undef X
    LLVMDisposeMessage(features);
    return bits;
}

/* Rows come best first within an architecture. */
const Target *lt_codegen_host_target(void) {
    char *triple = LLVMGetDefaultTargetTriple();
    const uint64_t features = host_features();
    const Target *found = NULL;
    for (int i = 0; i < lt_target_count && !found; i++) {
        const Target *t = &lt_targets[i];
        if (lt_str_starts(triple, t->arch) && (t->cpu_features & ~features) == 0)
            found = t;
    }
    LLVMDisposeMessage(triple);
    return found ? found : lt_target_find("x86-64");
}

const char *lt_codegen_target_text(Arena *arena, const CodegenOptions *o) {
    const Target *t = o->device ? o->device->target : o->target;
    return lt_arena_printf(arena, "%s %s%s%s", t->triple, t->name,
                           o->precision ? " precision " : "", o->precision ? o->precision : "");
}

static CodegenOptions complete(const CodegenOptions *o) {
    CodegenOptions full = *o;
    if (!full.target)
        full.target = lt_codegen_host_target();
    return full;
}

/* --- one kernel --- */

static const char kernel_symbol[] = "lathe_kernel";

static Unit *kernel_unit(Arena *arena, const Kernel *k, const CodegenOptions *o, DiagList *diags) {
    Unit *u = lt_unit_new(arena, o, k->name, diags);
    if (!u)
        return NULL;
    lt_unit_emit_kernel(u, k, kernel_symbol, false);
    lt_debug_end(u);
    if (lt_optimize(u, diags))
        return u;
    lt_unit_free(u);
    return NULL;
}

bool lt_codegen_kernel_text(const Kernel *k, const CodegenOptions *o, CodegenText kind, Str *out,
                            DiagList *diags) {
    const CodegenOptions full = complete(o);
    Arena arena;
    lt_arena_init(&arena);
    Unit *u = kernel_unit(&arena, k, &full, diags);
    const bool done = u && lt_emit_text(u, kind, out, diags);
    lt_unit_free(u);
    lt_arena_free(&arena);
    return done;
}

LtKernelFn *lt_codegen_load_kernel(const Kernel *k, const CodegenOptions *o, void **handle,
                                   DiagList *diags) {
    const CodegenOptions full = complete(o);
    ObjectCode object, shared;
    Arena arena;
    void *symbol = NULL;
    lt_arena_init(&arena);
    Unit *u = kernel_unit(&arena, k, &full, diags);
    *handle = NULL;
    if (u && lt_emit_object(u, &object, diags) &&
        lt_link_shared(&object, 1, kernel_symbol, &arena, &shared, diags)) {
        *handle = lt_load_code(&shared, diags);
        symbol = *handle ? dlsym(*handle, kernel_symbol) : NULL;
        lt_object_unmap(&shared);
    }
    lt_unit_free(u);
    lt_arena_free(&arena);
    LtKernelFn *function;
    memcpy(&function, &symbol, sizeof function);
    return function;
}

void lt_codegen_unload(void *handle) {
    if (handle)
        dlclose(handle);
}

/* --- programs --- */

/* Kernels are dealt out to units that are built at the same time, each in a thread and an LLVM
 * context of its own; unit 0 also has the host entry. Who gets which does not depend on timing, so
 * neither does the result. */
enum { MAX_UNITS = 8, DEFAULT_UNITS = 2 };

typedef struct Progress {
    pthread_mutex_t lock;
    const CodegenOptions *options;
    int done, total;
} Progress;

typedef struct UnitJob {
    const Program *program;
    const CodegenOptions *options;
    Progress *progress;
    size_t first, stride; /* kernels first, first + stride, ... */
    Arena arena;
    DiagList diags;
    Unit *unit;
    ObjectCode object;
    bool wants_object, done;
} UnitJob;

static void count_kernel(Progress *progress) {
    pthread_mutex_lock(&progress->lock);
    progress->done++;
    if (progress->options->progress)
        progress->options->progress(progress->options->user, progress->done, progress->total);
    pthread_mutex_unlock(&progress->lock);
}

/* Kernels of other units are only declared: hidden symbols that the linker resolves. */
static const char *kernel_symbol_of(UnitJob *job, size_t i) {
    Arena *arena = &job->arena;
    const char *name = job->program->kernels.data[i]->name, *owner = job->options->static_name;
    return owner ? lt_arena_printf(arena, "%s.%s.%zu", owner, name, i)
                 : lt_arena_printf(arena, "%s.%zu", name, i);
}

static bool emit_unit(UnitJob *job) {
    const Program *p = job->program;
    Unit *u = job->unit;
    LLVMValueRef *kernels = LT_ARRAY(&job->arena, LLVMValueRef, p->kernels.len + 1);
    for (size_t i = 0; i < p->kernels.len && !job->options->device; i++) {
        const Kernel *k = p->kernels.data[i];
        const char *symbol = kernel_symbol_of(job, i);
        const bool is_mine = i % job->stride == job->first;
        if (is_mine) {
            lt_unit_emit_kernel(u, k, symbol, true);
            count_kernel(job->progress);
        }
        if (is_mine || job->first == 0)
            kernels[i] = lt_unit_declare_kernel(u, k, symbol, true);
    }
    return job->first != 0 || lt_unit_emit_host(u, p, kernels, &job->diags);
}

static void *build_unit(void *argument) {
    UnitJob *job = argument;
    const char *name = lt_arena_printf(&job->arena, "unit%zu", job->first);
    job->unit = lt_unit_new(&job->arena, job->options, name, &job->diags);
    if (!job->unit || !emit_unit(job))
        return NULL;
    lt_debug_end(job->unit);
    job->done = lt_optimize(job->unit, &job->diags) &&
                (!job->wants_object || lt_emit_object(job->unit, &job->object, &job->diags));
    return NULL;
}

static void run_jobs(UnitJob *jobs, size_t count) {
    pthread_t threads[MAX_UNITS];
    bool is_running[MAX_UNITS] = {false};
    for (size_t i = 1; i < count; i++)
        is_running[i] = pthread_create(&threads[i], NULL, build_unit, &jobs[i]) == 0;
    build_unit(&jobs[0]);
    for (size_t i = 1; i < count; i++) {
        if (is_running[i])
            pthread_join(threads[i], NULL);
        else
            build_unit(&jobs[i]);
    }
}

static void copy_diags(DiagList *to, const DiagList *from) {
    for (size_t i = 0; i < from->items.len; i++) {
        const Diag *d = &from->items.data[i];
        lt_diag(to, d->level, d->status, d->loc, "%s", d->text);
    }
}

/* True when all units were built; free_jobs is to be called either way. */
static bool build_units(UnitJob *jobs, size_t count, const Program *p, const CodegenOptions *o,
                        DiagList *diags) {
    Progress progress = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .options = o, .total = (int)p->kernels.len};
    const bool wants_object = jobs[0].wants_object;
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (UnitJob){
            .program = p, .options = o, .progress = &progress, .first = i, .stride = count};
        jobs[i].wants_object = wants_object;
        lt_arena_init(&jobs[i].arena);
        lt_diag_init(&jobs[i].diags, &jobs[i].arena, diags->file);
    }
    run_jobs(jobs, count);
    bool done = true;
    for (size_t i = 0; i < count; i++) {
        copy_diags(diags, &jobs[i].diags);
        done &= jobs[i].done;
    }
    pthread_mutex_destroy(&progress.lock);
    return done;
}

static void free_jobs(UnitJob *jobs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        lt_unit_free(jobs[i].unit);
        lt_arena_free(&jobs[i].arena);
    }
}

static size_t unit_count(const CodegenOptions *o, const Program *p) {
    const size_t wanted = o->device ? 1 : o->threads > 0 ? (size_t)o->threads : DEFAULT_UNITS;
    const size_t most = p->kernels.len < MAX_UNITS ? p->kernels.len : MAX_UNITS;
    return wanted < most ? wanted : most > 0 ? most : 1;
}

typedef enum { OUTPUT_SHARED, OUTPUT_OBJECT, OUTPUT_ARCHIVE } OutputKind;

typedef struct LinkTask {
    const CodegenOptions *options;
    const char *out_path;
    OutputKind kind;
} LinkTask;

static bool write_object(const ObjectCode *code, const char *path) {
    OutputFile out;
    if (!lt_output_open(&out, path))
        return false;
    lt_output_write(&out, code->data, code->size);
    return lt_output_commit(&out, 0644);
}

static bool write_archive(const ObjectCode *code, const LinkTask *task, Arena *arena) {
    const char *name = task->options->static_name;
    const char *symbols[] = {lt_arena_printf(arena, "%s_descriptor", name),
                             lt_arena_printf(arena, "%s_weights", name)};
    const ArchiveMember member = {lt_arena_printf(arena, "%.12s.o", name), symbols, 2};
    return lt_archive_write(code, &member, task->out_path);
}

/* objects: of the units, and the weights behind them. */
static bool link_static(const ObjectCode *objects, size_t count, const LinkTask *task, Arena *arena,
                        DiagList *diags) {
    ObjectCode result;
    if (!lt_link_relocatable(objects, count, arena, &result, diags))
        return false;
    const bool done = task->kind == OUTPUT_OBJECT ? write_object(&result, task->out_path)
                                                  : write_archive(&result, task, arena);
    if (!done)
        lt_error(diags, LATHE_IO, NULL, "%s cannot be written: %s", task->out_path,
                 strerror(errno));
    lt_object_unmap(&result);
    return done;
}

static bool link_artifact(const ObjectCode *objects, size_t count, const Program *p,
                          const LinkTask *task, Arena *arena, DiagList *diags) {
    ObjectCode result;
    if (!lt_link_shared(objects, count, LT_DESCRIPTOR_SYMBOL, arena, &result, diags))
        return false;
    const bool done = lt_artifact_write(p, task->options, &result, task->out_path, diags);
    lt_object_unmap(&result);
    return done;
}

static bool link_jobs(const UnitJob *jobs, size_t count, const Program *p, const LinkTask *task,
                      DiagList *diags) {
    ObjectCode objects[MAX_UNITS + 1];
    for (size_t i = 0; i < count; i++)
        objects[i] = jobs[i].object;
    Arena arena;
    bool done;
    lt_arena_init(&arena);
    if (task->kind == OUTPUT_SHARED) {
        done = link_artifact(objects, count, p, task, &arena, diags);
    } else {
        objects[count] = lt_weights_object(p, task->options, &arena);
        done = link_static(objects, count + 1, task, &arena, diags);
    }
    lt_arena_free(&arena);
    return done;
}

static bool compile(const Program *p, const LinkTask *task, DiagList *diags) {
    UnitJob jobs[MAX_UNITS];
    const size_t count = unit_count(task->options, p);
    jobs[0].wants_object = true;
    const bool done =
        build_units(jobs, count, p, task->options, diags) && link_jobs(jobs, count, p, task, diags);
    free_jobs(jobs, count);
    return done;
}

/* The host entry of a GPU's artifact has no kernels: the least of the rows of this machine's
 * architecture will do, and what it writes does not depend on the machine. */
static const Target *plain_target(void) {
    const Target *host = lt_codegen_host_target(), *found = host;
    for (int i = 0; i < lt_target_count; i++)
        if (strcmp(lt_targets[i].arch, host->arch) == 0)
            found = &lt_targets[i];
    return found;
}

static bool compile_gpu(const Program *p, CodegenOptions *o, const char *out_path,
                        DiagList *diags) {
    Arena arena;
    DeviceCode device;
    lt_arena_init(&arena);
    bool done = lt_cuda_compile(p, o, &arena, &device, diags);
    o->target = plain_target();
    o->device = &device;
    o->tune_host = false;
    done = done && compile(p, &(LinkTask){o, out_path, OUTPUT_SHARED}, diags);
    lt_arena_free(&arena);
    return done;
}

bool lt_codegen_so(const Program *p, const CodegenOptions *o, const char *out_path,
                   DiagList *diags) {
    CodegenOptions full = complete(o);
    full.static_name = NULL;
    if (lt_target_is_gpu(full.target))
        return compile_gpu(p, &full, out_path, diags);
    return compile(p, &(LinkTask){&full, out_path, OUTPUT_SHARED}, diags);
}

/* Irregular operations lie in the runtime, which these do without. */
static bool check_static(const Program *p, DiagList *diags) {
    bool is_good = true;
    for (size_t i = 0; i < p->steps.len; i++) {
        const Step *s = &p->steps.data[i];
        if (s->kind == STEP_LIBRARY || s->kind == STEP_RESERVE) {
            lt_error(diags, LATHE_UNSUPPORTED, s->loc,
                     "it needs the runtime%s: --emit so can have it, obj and lib cannot",
                     s->kind == STEP_LIBRARY ? "'s library" : ", because its size depends on data");
            is_good = false;
        }
    }
    return is_good;
}

static bool compile_static(const Program *p, const CodegenOptions *o, const char *out_path,
                           OutputKind kind, DiagList *diags) {
    CodegenOptions full = complete(o);
    if (!full.static_name)
        full.static_name = "lathe_model";
    return check_static(p, diags) && compile(p, &(LinkTask){&full, out_path, kind}, diags);
}

bool lt_codegen_object(const Program *p, const CodegenOptions *o, const char *out_path,
                       DiagList *diags) {
    return compile_static(p, o, out_path, OUTPUT_OBJECT, diags);
}

bool lt_codegen_archive(const Program *p, const CodegenOptions *o, const char *out_path,
                        DiagList *diags) {
    return compile_static(p, o, out_path, OUTPUT_ARCHIVE, diags);
}

bool lt_codegen_text(const Program *p, const CodegenOptions *o, CodegenText kind, Str *out,
                     DiagList *diags) {
    const CodegenOptions full = complete(o);
    UnitJob job;
    job.wants_object = false;
    const bool done =
        build_units(&job, 1, p, &full, diags) && lt_emit_text(job.unit, kind, out, diags);
    free_jobs(&job, 1);
    return done;
}
