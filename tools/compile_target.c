/* compile_target.c - --target, --cpu and --features: a row of the target table, or one that is made
 * of it. The artifact says what it needs of the CPU, so every feature must be one that the runtime
 * can ask for. */
#include <stdlib.h>
#include <string.h>

#include "tools/compile.h"

enum { STATUS_USE = 2, STATUS_UNSUPPORTED = 3 };

/* A triple stands for the machines that any of its kind can run, as for cc: the last row, since
 * the best come first. */
static const Target *find_triple(const char *triple) {
    size_t arch = strcspn(triple, "-");
    const Target *found = NULL;
    for (int i = 0; i < lt_target_count && strstr(triple, "-linux"); i++)
        if (strlen(lt_targets[i].arch) == arch && memcmp(lt_targets[i].arch, triple, arch) == 0)
            found = &lt_targets[i];
    return found;
}

/* cuda:sm_89 is the row of an older GPU with another architecture. */
static const Target *find_gpu(Compilation *c, const char *name) {
    const char *architecture = name + strlen("cuda:");
    if (!lt_str_starts(name, "cuda:sm_") || strspn(architecture + 3, "0123456789") < 2)
        return NULL;
    const Target *row = lt_target_find_gpu(atoi(architecture + 3));
    Target *target = lt_arena_copy(&c->arena, row, sizeof *target);
    target->name = lt_arena_strdup(&c->arena, name);
    target->cpu = lt_arena_strdup(&c->arena, architecture);
    return target;
}

static int check_gpu(Compilation *c) {
    const int kind = c->options->emit;
    const bool is_gpu = lt_target_is_gpu(c->ctx.target);
    if (is_gpu && kind != EMIT_SO && kind != EMIT_CUDA && kind != EMIT_KERNELS && kind != EMIT_IR)
        return lt_compile_fail(c, c->path, STATUS_UNSUPPORTED,
                               "--target %s: --emit so, cuda, kernels and ir are supported, other "
                               "outputs not yet",
                               c->ctx.target->name);
    if (c->options->cuda_jit && (!is_gpu || kind != EMIT_SO))
        return lt_compile_fail(c, c->path, STATUS_USE,
                               "--cuda-jit is for --emit so with --target cuda");
    if (!is_gpu && kind == EMIT_CUDA)
        return lt_compile_fail(c, c->path, STATUS_USE,
                               "--emit cuda is for --target cuda, not for %s", c->ctx.target->name);
    return 0;
}

/* Less precision only where the target has it: never changed silently. */
static int check_precision(Compilation *c) {
    const Target *t = c->ctx.target;
    if (c->options->precision != PRECISION_TF32)
        return 0;
    if (!lt_target_is_gpu(t))
        return lt_compile_fail(c, c->path, STATUS_USE,
                               "--precision tf32 is for --target cuda: %s has no tf32", t->name);
    if (lt_target_sm(t) < 80)
        return lt_compile_fail(c, c->path, STATUS_USE,
                               "--precision tf32: tensor cores multiply it from sm_80 on, and the "
                               "target is %s",
                               t->cpu);
    return 0;
}

static int choose_row(Compilation *c) {
    const char *name = c->options->target;
    if (!name && c->options->emit == EMIT_CUDA)
        name = "cuda";
    c->ctx.target = name ? lt_target_find(name) : lt_codegen_host_target();
    if (name && !c->ctx.target)
        c->ctx.target = find_gpu(c, name);
    if (name && !c->ctx.target)
        c->ctx.target = find_triple(name);
    if (c->ctx.target)
        return 0;
    return lt_compile_fail(c, c->path, STATUS_USE,
                           "there is no target named '%s'; --list-targets names them", name);
}

static int choose_cpu(Compilation *c) {
    const char *cpu = c->options->cpu, *arch = c->ctx.target->arch;
    if (!cpu)
        return 0;
    if (strcmp(cpu, "native") == 0) {
        c->ctx.target = lt_codegen_host_target();
        return 0;
    }
    Str known;
    lt_str_init(&known, &c->arena);
    for (int i = 0; i < lt_target_count; i++) {
        if (strcmp(lt_targets[i].arch, arch) != 0)
            continue;
        if (strcmp(lt_targets[i].cpu, cpu) == 0) {
            c->ctx.target = &lt_targets[i];
            return 0;
        }
        lt_str_printf(&known, ", %s", lt_targets[i].cpu);
    }
    return lt_compile_fail(c, c->path, STATUS_UNSUPPORTED,
                           "--cpu %s is not supported; for %s there are native%s", cpu, arch,
                           known.text);
}

static uint64_t feature_bit(const char *name) {
#define X(e, bit, text) \
    if (strcmp(name, text) == 0) \
        return LT_CPU_##e;
    LT_CPU_FEATURES(X)
#undef X
    return 0;
}

static int apply_feature(Compilation *c, Target *target, const char *word) {
    uint64_t bit = *word == '+' || *word == '-' ? feature_bit(word + 1) : 0;
    if (!bit) {
        static const char known[] = ""
#define X(e, number, text) " " text
            LT_CPU_FEATURES(X)
#undef X
            ;
        return lt_compile_fail(c, c->path, STATUS_USE,
                               "--features: expected + or - and one of%s, found '%s'", known, word);
    }
    target->features =
        lt_arena_printf(&c->arena, "%s%s%s", target->features, *target->features ? "," : "", word);
    target->name = lt_arena_printf(&c->arena, "%s%s", target->name, word);
    if (*word == '+')
        target->cpu_features |= bit;
    else
        target->cpu_features &= ~bit;
    return 0;
}

static int apply_features(Compilation *c) {
    const char *list = c->options->features;
    Target *target = lt_arena_copy(&c->arena, c->ctx.target, sizeof *target);
    int code = 0;
    while (list && *list && !code) {
        size_t length = strcspn(list, ",");
        code = apply_feature(c, target, lt_arena_strndup(&c->arena, list, length));
        list += length + (list[length] == ',');
    }
    if (list)
        c->ctx.target = target;
    return code;
}

int lt_compile_target(Compilation *c) {
    int code = choose_row(c);
    if (!code)
        code = choose_cpu(c);
    if (!code)
        code = apply_features(c);
    if (!code)
        code = check_gpu(c);
    return code ? code : check_precision(c);
}
