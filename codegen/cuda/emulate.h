/* emulate.h - runs what --emit cuda writes on the CPU: the same text, compiled as C++.
 *
 * Blocks run one after the other. The threads of a block are fibers that stop at barriers and
 * shuffles; where the first thread meets none, the others are plain calls. That threads part at a
 * barrier is an error, and shared memory is poisoned when a block begins.
 *
 * Compiled with `-c -fsanitize=thread,bounds` and linked without, the calls that the compiler puts
 * in front of every access end here: an element that two threads touch, one of them writing, with
 * no barrier between is an error, in shared and in global memory, and so is an index outside of an
 * array's extents, or an address outside of what emulate_memory named.
 *
 * After a run, emulate_error() is NULL or says what was wrong. */
#ifndef LATHE_CODEGEN_CUDA_EMULATE_H
#define LATHE_CODEGEN_CUDA_EMULATE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifndef __x86_64__
#include <ucontext.h>
#endif

#pragma GCC diagnostic ignored "-Wunused-function"

#define __global__ static
#define __device__
#define __host__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static __attribute__((section("lathe_shared")))
#define LATHE_UNCHECKED __attribute__((no_sanitize("thread"), no_sanitize("bounds")))
#define LATHE_EXPORT extern "C" __attribute__((weak, visibility("default")))

struct LatheIndex {
    unsigned x, y, z;
};
static LatheIndex blockIdx, threadIdx, blockDim, gridDim;

/* What is copied may be of any type. */
struct __attribute__((may_alias)) int1 {
    int x;
};
struct __attribute__((may_alias)) int2 {
    int x, y;
};
struct __attribute__((may_alias)) int4 {
    int x, y, z, w;
};

typedef struct LatheStream *cudaStream_t;
enum cudaError_t {
    cudaSuccess,
    cudaErrorInvalidValue,
    cudaErrorMemoryAllocation,
    cudaErrorUnknown = 999
};
enum cudaMemcpyKind { cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };

/* What a launch asks for, which lies at a multiple of 1024 bytes. */
enum { EMULATED_MOST_MEMORY = 232448 };
static __attribute__((aligned(1024))) char emulated_memory[EMULATED_MOST_MEMORY];
static int emulated_memory_bytes;

extern char __start_lathe_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_lathe_shared[] __attribute__((weak, visibility("hidden")));

enum {
    EMULATED_MAX_THREADS = 1024,
    EMULATED_WARP = 32,
    EMULATED_STACK_BYTES = (1 << 20) + 4160, /* no power of two: tops share no set of a cache */
    EMULATED_MAX_RANGES = 64
};

/* What a thread waits for. */
enum EmulatedState { EMULATED_READY, EMULATED_AT_BARRIER, EMULATED_AT_SHUFFLE, EMULATED_DONE };

#ifdef __x86_64__
typedef void *EmulatedContext; /* its stack pointer, while it stands still */
#else
typedef ucontext_t EmulatedContext;
#endif

struct EmulatedFiber {
    EmulatedContext context;
    EmulatedState state;
};

struct EmulatedMachine {
    EmulatedFiber fibers[EMULATED_MAX_THREADS];
    EmulatedContext scheduler;
    char *stacks;
    void (*call)(void *);
    void *kernel;
    int current;
    bool is_plain; /* the thread at hand is no fiber */
    bool runs;     /* kernel code runs, whose accesses are checked */
    uint32_t launch, phase;
    int64_t block;
    uint64_t exchange[EMULATED_MAX_THREADS];
    char error[240];
    struct {
        uintptr_t begin, end;
    } ranges[EMULATED_MAX_RANGES];
    int range_count;
};
static EmulatedMachine emulated;

/* --- switching stacks --- */

#ifdef __x86_64__
/* What a call preserves goes onto the stack; nothing else is a fiber's own. ucontext.h does the
 * same and asks the kernel for the signal mask each time. */
extern "C" __attribute__((visibility("hidden"))) void lathe_switch(void **from, void *to);
asm(".text\n"
    "lathe_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n");

LATHE_UNCHECKED static void emulate_switch(EmulatedContext *from, EmulatedContext *to) {
    lathe_switch(from, *to);
}
/* Registers, of whatever value, the function, and no return address: it never returns. */
LATHE_UNCHECKED static void emulate_prepare(EmulatedContext *context, char *stack,
                                            void (*enter)()) {
    void **top = (void **)((uintptr_t)(stack + EMULATED_STACK_BYTES) & ~(uintptr_t)15);
    top[-1] = NULL;
    top[-2] = (void *)enter;
    *context = top - 8;
}
#else
LATHE_UNCHECKED static void emulate_switch(EmulatedContext *from, EmulatedContext *to) {
    swapcontext(from, to);
}
LATHE_UNCHECKED static void emulate_prepare(EmulatedContext *context, char *stack,
                                            void (*enter)()) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = EMULATED_STACK_BYTES;
    makecontext(context, enter, 0);
}
#endif

/* --- errors --- */

struct EmulatedFailure {};

/* Does not return to the kernel. */
template <class... A> LATHE_UNCHECKED static void emulate_fail(const char *format, A... args) {
    emulated.runs = false;
    if (!emulated.error[0])
        snprintf(emulated.error, sizeof emulated.error, format, args...);
    if (emulated.is_plain)
        throw EmulatedFailure();
    emulated.fibers[emulated.current].state = EMULATED_DONE;
    emulate_switch(&emulated.fibers[emulated.current].context, &emulated.scheduler);
}

/* --- threads of a block --- */

LATHE_UNCHECKED static void emulate_enter_fiber() {
    emulated.runs = true;
    emulated.call(emulated.kernel);
    emulated.runs = false;
    emulated.fibers[emulated.current].state = EMULATED_DONE;
    emulate_switch(&emulated.fibers[emulated.current].context, &emulated.scheduler);
}

LATHE_UNCHECKED static void emulate_wait_for(EmulatedState what) {
    if (emulated.is_plain)
        emulate_fail(
            "block %lld: thread %d comes to a barrier or shuffle that thread 0 does not come to",
            (long long)emulated.block, emulated.current);
    emulated.runs = false;
    emulated.fibers[emulated.current].state = what;
    emulate_switch(&emulated.fibers[emulated.current].context, &emulated.scheduler);
    emulated.runs = true;
}

LATHE_UNCHECKED static void emulate_start(int thread) {
    char *stack = emulated.stacks + (size_t)thread * EMULATED_STACK_BYTES;
    emulate_prepare(&emulated.fibers[thread].context, stack, emulate_enter_fiber);
    emulated.fibers[thread].state = EMULATED_READY;
}

LATHE_UNCHECKED static void emulate_resume(int thread) {
    emulated.current = thread;
    threadIdx.x = (unsigned)thread;
    emulate_switch(&emulated.scheduler, &emulated.fibers[thread].context);
}

LATHE_UNCHECKED static void emulate_run_plain(int threads) {
    emulated.is_plain = true;
    try {
        for (int t = 1; t < threads && !emulated.error[0]; t++) {
            emulated.current = t;
            threadIdx.x = (unsigned)t;
            emulated.runs = true;
            emulated.call(emulated.kernel);
            emulated.runs = false;
        }
    } catch (EmulatedFailure &) {
    }
    emulated.is_plain = false;
}

/* Lets those threads in [from, to) go on that all wait for `what`, leaving out what is done. */
LATHE_UNCHECKED static bool emulate_release(int from, int to, EmulatedState what) {
    int waiting = 0, others = 0;
    for (int t = from; t < to; t++) {
        waiting += emulated.fibers[t].state == what;
        others += emulated.fibers[t].state != what &&
                  (what == EMULATED_AT_BARRIER || emulated.fibers[t].state != EMULATED_DONE);
    }
    if (waiting == 0 || others > 0)
        return false;
    for (int t = from; t < to; t++)
        if (emulated.fibers[t].state == what)
            emulated.fibers[t].state = EMULATED_READY;
    return true;
}

LATHE_UNCHECKED static void emulate_run_fibers(int threads) {
    for (bool goes_on = true; goes_on && !emulated.error[0];) {
        int done = 0;
        for (int t = 0; t < threads && !emulated.error[0]; t++) {
            if (emulated.fibers[t].state == EMULATED_READY)
                emulate_resume(t);
            done += emulated.fibers[t].state == EMULATED_DONE;
        }
        goes_on = emulate_release(0, threads, EMULATED_AT_BARRIER);
        emulated.phase += goes_on;
        for (int w = 0; w < threads; w += EMULATED_WARP)
            goes_on |= emulate_release(w, w + EMULATED_WARP < threads ? w + EMULATED_WARP : threads,
                                       EMULATED_AT_SHUFFLE);
        if (!goes_on && done < threads && !emulated.error[0])
            snprintf(emulated.error, sizeof emulated.error,
                     "block %lld: %d of %d threads left before a barrier or shuffle",
                     (long long)emulated.block, done, threads);
    }
}

LATHE_UNCHECKED static void emulate_run_block(int threads) {
    if (__start_lathe_shared)
        memset(__start_lathe_shared, 0xff, (size_t)(__stop_lathe_shared - __start_lathe_shared));
    memset(emulated_memory, 0xff, (size_t)emulated_memory_bytes);
    emulated.phase = 0;
    emulate_start(0);
    emulate_resume(0);
    if (emulated.fibers[0].state == EMULATED_DONE) {
        emulate_run_plain(threads);
        return;
    }
    for (int t = 1; t < threads; t++)
        emulate_start(t);
    emulate_run_fibers(threads);
}

LATHE_UNCHECKED static void emulate_run(int64_t blocks, int threads, void (*call)(void *),
                                        void *kernel) {
    if (!emulated.stacks)
        emulated.stacks = (char *)mmap(NULL, (size_t)EMULATED_MAX_THREADS * EMULATED_STACK_BYTES,
                                       PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    emulated.call = call;
    emulated.kernel = kernel;
    emulated.launch++;
    gridDim.x = (unsigned)blocks;
    blockDim.x = (unsigned)threads;
    for (emulated.block = 0; emulated.block < blocks && !emulated.error[0]; emulated.block++) {
        blockIdx.x = (unsigned)emulated.block;
        emulate_run_block(threads);
    }
}

/* --- accesses --- */

/* Who touched four bytes (or one, or two) last. */
struct EmulatedCell {
    uintptr_t at;
    uint32_t launch;
    int64_t block;          /* of shared memory, which each block has anew; else 0 */
    int32_t writer, reader; /* -1: nobody; -2: several */
    uint32_t write_phase, read_phase;
    int64_t write_block, read_block;
};
static EmulatedCell *emulated_cells;
static size_t emulated_cell_mask, emulated_cell_count;

LATHE_UNCHECKED static EmulatedCell *emulate_find_cell(uintptr_t at) {
    size_t i = (at * 0x9e3779b97f4a7c15u >> 20) & emulated_cell_mask;
    while (emulated_cells[i].at && emulated_cells[i].at != at)
        i = (i + 1) & emulated_cell_mask;
    return &emulated_cells[i];
}

LATHE_UNCHECKED static void emulate_grow_cells() {
    EmulatedCell *old = emulated_cells;
    const size_t old_size = emulated_cells ? emulated_cell_mask + 1 : 0;
    emulated_cell_mask = old_size ? 2 * old_size - 1 : (1 << 16) - 1;
    emulated_cells = (EmulatedCell *)calloc(emulated_cell_mask + 1, sizeof *emulated_cells);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].at)
            *emulate_find_cell(old[i].at) = old[i];
    free(old);
}

LATHE_UNCHECKED static bool emulate_clashes(int32_t thread, int64_t block, uint32_t phase) {
    if (thread == -1)
        return false;
    return block != emulated.block || (phase == emulated.phase && thread != emulated.current);
}

LATHE_UNCHECKED static bool emulate_is_shared(uintptr_t at) {
    const uintptr_t memory = (uintptr_t)emulated_memory;
    return (at >= (uintptr_t)__start_lathe_shared && at < (uintptr_t)__stop_lathe_shared) ||
           (at >= memory && at < memory + (uintptr_t)emulated_memory_bytes);
}

LATHE_UNCHECKED static void emulate_touch_cell(uintptr_t at, bool writes) {
    const int64_t owner = emulate_is_shared(at) ? emulated.block : 0;
    if (2 * emulated_cell_count >= emulated_cell_mask)
        emulate_grow_cells();
    EmulatedCell *c = emulate_find_cell(at);
    emulated_cell_count += c->at == 0;
    if (c->launch != emulated.launch || c->block != owner || c->at == 0)
        *c = {at, emulated.launch, owner, -1, -1, 0, 0, 0, 0};
    if (emulate_clashes(c->writer, c->write_block, c->write_phase) ||
        (writes && emulate_clashes(c->reader, c->read_block, c->read_phase)))
        emulate_fail(
            "launch %u, block %lld: thread %d %s what another thread touches, with no barrier "
            "between (%s memory)",
            emulated.launch, (long long)emulated.block, emulated.current,
            writes ? "writes" : "reads", emulate_is_shared(at) ? "shared" : "global");
    if (writes) {
        c->writer = emulated.current;
        c->write_block = emulated.block;
        c->write_phase = emulated.phase;
        return;
    }
    const bool is_joined = c->reader != -1 && c->read_block == emulated.block &&
                           c->read_phase == emulated.phase && c->reader != emulated.current;
    const bool is_elsewhere = c->reader != -1 && c->read_block != emulated.block;
    c->reader = is_joined ? -2 : emulated.current;
    c->read_phase = emulated.phase;
    c->read_block = is_elsewhere ? -1 : emulated.block;
}

LATHE_UNCHECKED static bool emulate_is_local(uintptr_t at) {
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t stacks = (uintptr_t)emulated.stacks;
    const uintptr_t near = 4u << 20;
    return (emulated.is_plain && at > here - near && at < here + near) ||
           (at >= stacks && at < stacks + (uintptr_t)EMULATED_MAX_THREADS * EMULATED_STACK_BYTES);
}

LATHE_UNCHECKED static bool emulate_is_in(uintptr_t at, const LatheIndex *index) {
    return at >= (uintptr_t)index && at < (uintptr_t)(index + 1);
}

LATHE_UNCHECKED static bool emulate_is_state(uintptr_t at) {
    return emulate_is_in(at, &blockIdx) || emulate_is_in(at, &threadIdx) ||
           emulate_is_in(at, &blockDim) || emulate_is_in(at, &gridDim);
}

LATHE_UNCHECKED static void emulate_touch(const void *address, size_t bytes, bool writes) {
    const uintptr_t at = (uintptr_t)address;
    if (!emulated.runs || emulate_is_state(at) || emulate_is_local(at))
        return;
    emulated.runs = false;
    bool is_inside = emulate_is_shared(at) || emulated.range_count == 0;
    for (int i = 0; i < emulated.range_count && !is_inside; i++)
        is_inside = at >= emulated.ranges[i].begin && at + bytes <= emulated.ranges[i].end;
    if (!is_inside)
        emulate_fail("launch %u, block %lld: thread %d %s memory that no buffer has",
                     emulated.launch, (long long)emulated.block, emulated.current,
                     writes ? "writes" : "reads");
    for (size_t i = 0; i < bytes; i += 4)
        emulate_touch_cell(at + i, writes);
    emulated.runs = true;
}

/* Names memory that kernels may touch; with none named, all may be touched. NULL forgets all. */
LATHE_EXPORT void emulate_memory(const void *begin, size_t bytes) {
    if (!begin)
        emulated.range_count = 0;
    else if (emulated.range_count < EMULATED_MAX_RANGES)
        emulated.ranges[emulated.range_count++] = {(uintptr_t)begin, (uintptr_t)begin + bytes};
}
static void emulate_forget(const void *begin) {
    for (int i = 0; i < emulated.range_count; i++)
        if (emulated.ranges[i].begin == (uintptr_t)begin)
            emulated.ranges[i] = emulated.ranges[--emulated.range_count];
}
/* NULL, or what was wrong since the last call. */
LATHE_EXPORT const char *emulate_error() {
    static char text[sizeof emulated.error];
    memcpy(text, emulated.error, sizeof text);
    emulated.error[0] = '\0';
    return text[0] ? text : NULL;
}

/* --- what the compiler calls --- */

#ifdef __SANITIZE_THREAD__
#define LATHE_ACCESS(bytes) \
    LATHE_EXPORT LATHE_UNCHECKED void __tsan_read##bytes(void *at) { \
        emulate_touch(at, bytes, false); \
    } \
    LATHE_EXPORT LATHE_UNCHECKED void __tsan_write##bytes(void *at) { \
        emulate_touch(at, bytes, true); \
    } \
    LATHE_EXPORT LATHE_UNCHECKED void __tsan_unaligned_read##bytes(void *at) { \
        emulate_touch(at, bytes, false); \
    } \
    LATHE_EXPORT LATHE_UNCHECKED void __tsan_unaligned_write##bytes(void *at) { \
        emulate_touch(at, bytes, true); \
    }
LATHE_ACCESS(1)
LATHE_ACCESS(2)
LATHE_ACCESS(4)
LATHE_ACCESS(8)
LATHE_ACCESS(16)
LATHE_EXPORT LATHE_UNCHECKED void __tsan_read_range(void *at, size_t bytes) {
    emulate_touch(at, bytes, false);
}
LATHE_EXPORT LATHE_UNCHECKED void __tsan_write_range(void *at, size_t bytes) {
    emulate_touch(at, bytes, true);
}
LATHE_EXPORT LATHE_UNCHECKED void __tsan_func_entry(void *) {}
LATHE_EXPORT LATHE_UNCHECKED void __tsan_func_exit() {}
LATHE_EXPORT LATHE_UNCHECKED void __tsan_init() {}
/* The first field of what the compiler says is the place: file, line and column. */
LATHE_EXPORT LATHE_UNCHECKED void __ubsan_handle_out_of_bounds(void *place, void *index) {
    struct Place {
        const char *file;
        uint32_t line, column;
    };
    const Place *p = (const Place *)place;
    emulate_fail("line %u: index %lld is outside of the array", p->line,
                 (long long)(intptr_t)index);
}
#endif

/* --- the part of CUDA that kernels and their hosts use --- */

template <class T> struct Exactly { using type = T; };
struct Block {
    int threads, shared;
    Block(int t, int bytes = 0) : threads(t), shared(bytes) {}
};
template <class... P>
static void launch(void (*kernel)(P...), int64_t blocks, Block block, cudaStream_t,
                   typename Exactly<P>::type... args) {
    auto body = [&]() LATHE_UNCHECKED { kernel(args...); };
    auto call = [](void *f) LATHE_UNCHECKED { (*(decltype(body) *)f)(); };
    emulated_memory_bytes = block.shared;
    emulate_run(blocks, block.threads, call, &body);
}
static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind,
                                          cudaStream_t) {
    memmove(to, from, bytes);
    return cudaSuccess;
}
/* What it holds looks like nothing that was computed. */
static inline cudaError_t cudaMallocAsync(void **place, size_t bytes, cudaStream_t) {
    *place = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!*place)
        return cudaErrorMemoryAllocation;
    memset(*place, 0xff, bytes);
    if (emulated.range_count)
        emulate_memory(*place, bytes);
    return cudaSuccess;
}
static inline cudaError_t cudaFreeAsync(void *place, cudaStream_t) {
    emulate_forget(place);
    free(place);
    return cudaSuccess;
}
static inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
static inline cudaError_t cudaGetLastError() {
    return emulated.error[0] ? cudaErrorUnknown : cudaSuccess;
}

LATHE_UNCHECKED static inline void __syncthreads() { emulate_wait_for(EMULATED_AT_BARRIER); }

/* What another thread of the warp has. */
template <class T> LATHE_UNCHECKED static T emulate_exchange(T value, int other) {
    memcpy(&emulated.exchange[emulated.current], &value, sizeof value);
    emulate_wait_for(EMULATED_AT_SHUFFLE);
    T result;
    memcpy(&result, &emulated.exchange[other], sizeof result);
    emulate_wait_for(EMULATED_AT_SHUFFLE);
    return result;
}
/* Of lane `lane ^ mask`; in groups of `width`, of lane `lane`, and of the one `delta` before. */
template <class T> LATHE_UNCHECKED static T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulate_exchange(value, emulated.current ^ mask);
}
template <class T>
LATHE_UNCHECKED static T __shfl_sync(unsigned, T value, int lane, int width = EMULATED_WARP) {
    const int self = emulated.current;
    return emulate_exchange(value, self - self % width + lane % width);
}
template <class T>
LATHE_UNCHECKED static T __shfl_up_sync(unsigned, T value, int delta, int width = EMULATED_WARP) {
    const int self = emulated.current;
    return emulate_exchange(value, self % width < delta ? self : self - delta);
}

static inline float rsqrt(float x) { return 1 / sqrt(x); }
static inline double rsqrt(double x) { return 1 / sqrt(x); }

/* --- f16 and bf16 --- */

struct __half {
    uint16_t bits;
};
struct __nv_bfloat16 {
    uint16_t bits;
};

static inline uint32_t emulate_bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline float emulate_float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
/* The float on the way to a narrower type: rounded to odd, so that rounding again is right. */
static inline float emulate_odd_float(double x) {
    const float near = (float)x;
    const double back = near;
    if (back == x || x != x || (emulate_bits_of(near) & 1))
        return near;
    return emulate_float_of(emulate_bits_of(near) + (fabs(x) > fabs(back) ? 1 : -1));
}
static inline __half __float2half(float x) {
    const uint32_t all = emulate_bits_of(x), u = all & 0x7fffffff;
    const uint16_t sign = (uint16_t)(all >> 16 & 0x8000);
    uint32_t h;
    if (u > 0x7f800000)
        h = 0x7e00;
    else if (u >= 0x47800000)
        h = 0x7c00;
    else if (u < 0x38800000)
        h = emulate_bits_of(emulate_float_of(u) + 0.5f) - 0x3f000000;
    else
        h = (u + 0xfff + (u >> 13 & 1) - 0x38000000) >> 13;
    return {(uint16_t)(sign | h)};
}
static inline float __half2float(__half h) {
    const uint32_t sign = (uint32_t)(h.bits & 0x8000) << 16, u = h.bits & 0x7fff;
    if (u >= 0x7c00)
        return emulate_float_of(sign | 0x7f800000 | (u & 0x3ff) << 13);
    const float magnitude = emulate_float_of(u << 13) * 0x1p112f;
    return sign ? -magnitude : magnitude;
}
static inline __half __double2half(double x) { return __float2half(emulate_odd_float(x)); }
static inline __nv_bfloat16 __float2bfloat16(float x) {
    const uint32_t u = emulate_bits_of(x);
    if (x != x)
        return {(uint16_t)(u >> 16 | 0x40)};
    return {(uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
static inline float __bfloat162float(__nv_bfloat16 x) {
    return emulate_float_of((uint32_t)x.bits << 16);
}
static inline __nv_bfloat16 __double2bfloat16(double x) {
    return __float2bfloat16(emulate_odd_float(x));
}

#include "codegen/cuda/emulate_tile.h"
#include "codegen/cuda/emulate_wgmma.h"

#endif
