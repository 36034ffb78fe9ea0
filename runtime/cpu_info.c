/* cpu_info.c - CPU features by cpuid, physical cores by affinity and sysfs. */
#include "runtime/cpu_info.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "runtime/artifact.h"

const char *lt_cpu_arch(void) {
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#else
    return "unknown";
#endif
}

const char *lt_cpu_feature_name(uint64_t bits) {
    switch (bits & -bits) {
#define X(e, bit, name) \
    case LT_CPU_##e: return name;
        LT_CPU_FEATURES(X)
#undef X
    }
    return "an unknown one";
}

#if defined(__x86_64__)
/* Where cpuid tells of a feature: Intel SDM volume 2A, CPUID, tables 3-8 and following. State: the
 * bits of XCR0 that the operating system must have set (1 << 1 SSE, 1 << 2 AVX, 5..7 AVX-512). */
enum { EAX, EBX, ECX, EDX };
enum { STATE_NONE = 0, STATE_AVX = 0x06, STATE_AVX512 = 0xe6 };
static const struct {
    uint64_t feature;
    uint32_t leaf, subleaf, word, bit, state;
} cpuid_bits[] = {
    {LT_CPU_SSE4_2, 1, 0, ECX, 20, STATE_NONE},
    {LT_CPU_AVX, 1, 0, ECX, 28, STATE_AVX},
    {LT_CPU_FMA, 1, 0, ECX, 12, STATE_AVX},
    {LT_CPU_F16C, 1, 0, ECX, 29, STATE_AVX},
    {LT_CPU_AVX2, 7, 0, EBX, 5, STATE_AVX},
    {LT_CPU_BMI2, 7, 0, EBX, 8, STATE_NONE},
    {LT_CPU_AVX512F, 7, 0, EBX, 16, STATE_AVX512},
    {LT_CPU_AVX512DQ, 7, 0, EBX, 17, STATE_AVX512},
    {LT_CPU_AVX512BW, 7, 0, EBX, 30, STATE_AVX512},
    {LT_CPU_AVX512VL, 7, 0, EBX, 31, STATE_AVX512},
    {LT_CPU_AVX512VNNI, 7, 0, ECX, 11, STATE_AVX512},
    {LT_CPU_AVX512BF16, 7, 1, EAX, 5, STATE_AVX512},
};

/* XCR0, or 0 when the system has not turned XSAVE on. */
static uint32_t enabled_state(void) {
    enum { OSXSAVE = 1 << 27 };
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE))
        return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

uint64_t lt_cpu_features(void) {
    uint64_t features = 0;
    uint32_t state = enabled_state();
    for (size_t i = 0; i < sizeof cpuid_bits / sizeof *cpuid_bits; i++) {
        uint32_t words[4];
        if (!__get_cpuid_count(cpuid_bits[i].leaf, cpuid_bits[i].subleaf, &words[EAX], &words[EBX],
                               &words[ECX], &words[EDX]))
            continue;
        bool has = words[cpuid_bits[i].word] >> cpuid_bits[i].bit & 1;
        if (has && (state & cpuid_bits[i].state) == cpuid_bits[i].state)
            features |= cpuid_bits[i].feature;
    }
    return features;
}
#else
uint64_t lt_cpu_features(void) { return 0; }
#endif

/* One number of /sys/devices/system/cpu/cpuN/topology, -1 when the system does not tell. */
static int topology(int cpu, const char *item) {
    char path[96];
    int value = -1;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, item);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    if (fscanf(file, "%d", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

int32_t lt_quota_cores(const char *text) {
    long long quota, period;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0)
        return 0;
    const long long cores = quota / period + (quota % period != 0);
    return cores > INT32_MAX ? 0 : (int32_t)cores;
}

/* What the container's cgroup allows, 0: any number. Version 2 has both numbers in one file,
 * version 1 in two. */
static int32_t container_cores(void) {
    static const char *const files[][2] = {
        {"/sys/fs/cgroup/cpu.max", NULL},
        {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char text[128] = "";
        size_t length = 0;
        for (int j = 0; j < 2 && files[i][j]; j++) {
            FILE *file = fopen(files[i][j], "re");
            if (!file)
                break;
            length += fread(text + length, 1, sizeof text / 2 - 1, file);
            fclose(file);
        }
        if (length)
            return lt_quota_cores(text);
    }
    return 0;
}

int32_t lt_cpu_cores(void) {
    struct {
        int package, core;
    } seen[CPU_SETSIZE];
    cpu_set_t allowed;
    int32_t count = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed))
        return 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        int package = topology(cpu, "physical_package_id"), core = topology(cpu, "core_id");
        bool sibling = false;
        for (int32_t i = 0; i < count && core >= 0 && !sibling; i++)
            sibling = seen[i].package == package && seen[i].core == core;
        if (!sibling) {
            seen[count].package = package;
            seen[count++].core = core;
        }
    }
    const int32_t quota = container_cores();
    if (quota && quota < count)
        count = quota;
    return count ? count : 1;
}
