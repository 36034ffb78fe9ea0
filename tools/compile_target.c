/* compile_target.c - --target, --cpu and --features: a row of the target table, or one that is made
 * of it. The artifact says what it needs of the CPU, so every feature must be one that the runtime
 * can ask for. */
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

static int choose_row(Compilation *c) {
    const char *name = c->options->target;
    c->ctx.target = name ? lt_target_find(name) : lt_codegen_host_target();
    if (name && !c->ctx.target)
        c->ctx.target = find_triple(name);
    if (c->ctx.target)
        return 0;
    if (lt_str_starts(name, "cuda"))
        return lt_compile_fail(c, c->path, STATUS_UNSUPPORTED,
                               "--target %s: GPUs are not supported yet", name);
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
    return code ? code : apply_features(c);
}
