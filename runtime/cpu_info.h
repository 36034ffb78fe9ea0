/* cpu_info.h - what this machine is: instruction set, features, cores. */
#ifndef LATHE_RUNTIME_CPU_INFO_H
#define LATHE_RUNTIME_CPU_INFO_H

#include <stdint.h>

/* "x86_64", "aarch64", ...: what this library was built for. */
const char *lt_cpu_arch(void);
/* LT_CPU_* bits (runtime/artifact.h) that the CPU has and the operating system lets programs use.
 * */
uint64_t lt_cpu_features(void);
/* The name of the lowest feature in `bits`; "an unknown one" when it has none here. */
const char *lt_cpu_feature_name(uint64_t bits);
/* Physical cores among the CPUs that this process may run on, and no more than its container's
 * quota of processor time is worth; at least 1. */
int32_t lt_cpu_cores(void);
/* What "QUOTA PERIOD" is worth, rounded up; 0: no quota ("max", -1). */
int32_t lt_quota_cores(const char *text);

#endif
