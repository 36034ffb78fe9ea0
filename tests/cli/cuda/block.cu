// block: made by lathe 0.1.0 for cuda.
//
// input 0: image f32[n,32,32,3]
// input 1: patch f32[8,8,3,64]
// input 2: position f32[16,64]
// input 3: g1 f32[64]
// input 4: b1 f32[64]
// input 5: q f32[64,64]
// input 6: k f32[64,64]
// input 7: v f32[64,64]
// input 8: g2 f32[64]
// input 9: b2 f32[64]
// input 10: up f32[64,128]
// input 11: down f32[128,64]
// input 12: head f32[64,10]
// input 13: bias f32[10]
// output 0: probabilities f32[n,10]
// dims[0]: n, axis 0 of input 0
// weights: 0 bytes
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>

template <class T> struct Exactly { using type = T; };
struct Block { // its threads, and bytes of shared memory
    int threads, shared;
    Block(int t, int bytes = 0) : threads(t), shared(bytes) {}
};
template <class... P>
static void launch(void (*kernel)(P...), int64_t blocks, Block block, cudaStream_t stream,
                   typename Exactly<P>::type... args) {
    if (block.shared > 49152)
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             block.shared);
    if (blocks > 0)
        kernel<<<(unsigned)blocks, block.threads, block.shared, stream>>>(args...);
}
#else
#include "codegen/cuda/emulate.h" // blocks and threads on the CPU
#endif

// The greater one; NaN when either is.
template <class T> __device__ T nanmax(T a, T b) { return b > a || b != b ? b : a; }

template <class T> __device__ T gelu(T x) {
    return T(0.5) * x * (1 + erf(x * T(0.70710678118654752440)));
}

// N neighbours in memory, which are loaded and stored at once.
template <class T, int N> struct alignas(N * sizeof(T)) Pack {
    T elements[N];
    __device__ T &operator[](int i) { return elements[i]; }
    __device__ const T &operator[](int i) const { return elements[i]; }
};

template <int N, class T> __device__ Pack<T, N> load_pack(const T *at) {
    return *(const Pack<T, N> *)at;
}

template <class T, int N> __device__ void store_pack(T *at, const Pack<T, N> &pack) {
    *(Pack<T, N> *)at = pack;
}

// f of what a group of `width` lanes has, for each of them.
template <int width, class T, class F> __device__ T warp_fold(T x, F f) {
    for (int mask = width / 2; mask > 0; mask /= 2)
        x = f(x, __shfl_xor_sync(~0u, x, mask));
    return x;
}

// The same of `width` threads that are `apart`; parts has an element for each thread.
template <int width, int apart, class T, class F> __device__ T column_fold(T x, T *parts, F f) {
    for (int bit = width * apart / 2; bit >= apart; bit /= 2) {
        parts[threadIdx.x] = x;
        __syncthreads();
        x = f(x, parts[threadIdx.x ^ bit]);
        __syncthreads();
    }
    return x;
}

// The bytes of a T at once, or zeros; both addresses are multiples of its size.
template <class T> __device__ void copy(void *to, const void *from, bool inside = true) {
    *(T *)to = inside ? *(const T *)from : T{};
}

// The same into shared memory, where the bytes are only behind the next arrived().
template <class T> __device__ void fetch(void *to, const void *from, bool inside = true) {
#ifndef __CUDACC__
    emulate_fetch<T>(to, from, inside);
#elif defined __CUDA_ARCH__ && __CUDA_ARCH__ < 800
    copy<T>(to, from, inside);
#else
    const unsigned at = unsigned(__cvta_generic_to_shared(to));
    const int bytes = inside ? sizeof(T) : 0;
    if (sizeof(T) == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                     ::"r"(at), "l"(from), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                     ::"r"(at), "l"(from), "n"(sizeof(T)), "r"(bytes) : "memory");
#endif
}

__device__ inline void arrived() {
#ifndef __CUDACC__
    emulate_arrived();
#elif !defined __CUDA_ARCH__ || __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

template <class T> __host__ __device__ T imax(T a, T b) { return a > b ? a : b; }

// An array that many bytes behind the beginning.
template <class T> T *offset(void *base, int64_t bytes) { return (T *)((char *)base + bytes); }
template <class T> const T *offset(const void *base, int64_t bytes) {
    return (const T *)((const char *)base + bytes);
}

// kernel block_patch(n in 1..inf; in0: f32[n, 32, 32, 3] in, in1: f32[8, 8, 3, 64] in,
//     out0: f32[n, 4, 4, 64] out) conv @ "block/patch"("conv") {
//   for b in n {
//     for y0 in 4 {
//       for y1 in 4 {
//         for o in 64 {
//           alloc acc: f32[] register
//           acc[] = 0
//           for k0 in 8 {
//             for k1 in 8 {
//               for c in 3 {
//                 acc[] = fma(in0[b, 8*y0 + k0, 8*y1 + k1, c], in1[k0, k1, c, o], acc[])
//               }
//             }
//           }
//           out0[b, y0, y1, o] = acc[]
//         }
//       }
//     }
//   }
// }
// schedule: fuse y0 y1; fuse k0 k1; fuse k0_k1 c; split y0_y1 16; split o 64;
//     reorder b y0_y1.0 o.0 y0_y1.1 o.1; share k0_k1_c 16 y0_y1.1 2 o.1 2 double; fuse b y0_y1.0;
//     fuse b_y0_y1.0 o.0; grid b_y0_y1.0_o.0
__global__ void block_patch(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0) {
    const int64_t block = blockIdx.x;
    float acc[2][2] = {};
    __shared__ __align__(16) float in0_tile[2][16][17];
    __shared__ __align__(16) float in1_tile[2][16][64];
    const int t = threadIdx.x;
    const int y0 = t / 16;
    const int k0 = t % 16;
    const int in0_h = t / 64;
    const int in0_w = y0 % 4;
    in0_tile[0][y0][k0] = in0[3072 * block + 768 * in0_h + 24 * in0_w + k0];
    const int in1_k0 = t / 16;
    const int o = t % 16;
    fetch<int4>(&in1_tile[0][in1_k0][4 * o], &in1[4 * t]);
    const float *in0_at = &in0[3072 * block + 768 * in0_h + 24 * in0_w];
    const int y_thread = t / 32;
    const int o_thread = t % 32;
    for (int k_block = 0; k_block < 12; k_block++) {
        arrived();
        __syncthreads();
        const int next = (k_block + 1) % 2;
        const int in0_h_2 = (16 * (k_block + 1) + k0) / 24;
        const int k0_2 = (k_block + k0 + 1) / 3;
        const int c = (5 * (k_block + 1) + k0_2) % 8;
        const int in0_c = (k_block + k0 + 1) % 3;
        const int in1_kh = (16 * (k_block + 1) + in1_k0) / 24;
        const int k0_3 = (k_block + in1_k0 + 1) / 3;
        const int in1_kw = (5 * (k_block + 1) + k0_3) % 8;
        const int in1_c = (k_block + in1_k0 + 1) % 3;
        if (k_block < 11) {
            in0_tile[next][y0][k0] = in0_at[96 * in0_h_2 + 3 * c + in0_c];
            fetch<int4>(&in1_tile[next][in1_k0][4 * o],
                &in1[1536 * in1_kh + 192 * in1_kw + 64 * in1_c + 4 * o]);
        }
        const int now = k_block % 2;
        #pragma unroll
        for (int k = 0; k < 16; k++) {
            float row[2];
            float column[2];
            #pragma unroll
            for (int i = 0; i < 2; i++)
                row[i] = in0_tile[now][8 * i + y_thread][k];
            #pragma unroll
            for (int j = 0; j < 2; j++)
                column[j] = in1_tile[now][k][2 * o_thread + j];
            #pragma unroll
            for (int i = 0; i < 2; i++) {
                #pragma unroll
                for (int j = 0; j < 2; j++)
                    acc[i][j] = fma(row[i], column[j], acc[i][j]);
            }
        }
    }
    float *out0_at = &out0[1024 * block + 2 * t];
    #pragma unroll
    for (int i = 0; i < 2; i++) {
        Pack<float, 2> out0_pack;
        #pragma unroll
        for (int e = 0; e < 2; e++)
            out0_pack[e] = acc[i][e];
        store_pack(&out0_at[512 * i], out0_pack);
    }
}

// kernel block_place(n in 1..inf; in0: f32[n, 1024] in, in1: f32[1024] in,
//     out0: f32[n, 1024] out) map in_place 1 @ "block/place"("add") {
//   for i0 in n {
//     for i1 in 1024 {
//       out0[i0, i1] = in0[i0, i1] + in1[i1]
//     }
//   }
// }
// schedule: split i1 4; vectorize i1.1; fuse i0 i1.0; split i0_i1.0 256; grid i0_i1.0.0;
//     thread i0_i1.0.1
__global__ void block_place(const float *in0, const float *in1, float *out0) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    const Pack<float, 4> in0_pack = load_pack<4>(&in0[4 * i]);
    const int i1 = i % 256;
    const Pack<float, 4> in1_pack = load_pack<4>(&in1[4 * i1]);
    Pack<float, 4> out0_pack;
    #pragma unroll
    for (int e = 0; e < 4; e++)
        out0_pack[e] = in0_pack[e] + in1_pack[e];
    store_pack(&out0[4 * i], out0_pack);
}

// kernel block_norm1(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64] in, in2: f32[64] in,
//     out0: f32[16*n, 64] out) rows @ "block/norm1"("layer_norm") {
//   for i0 in 16*n {
//     alloc row: f32[64] stack
//     alloc sum: f32[] register
//     sum[] = 0
//     for r0 in 64 {
//       row[r0] = in0[i0, r0]
//       sum[] = sum[] + in0[i0, r0]
//     }
//     alloc mean: f32[] register
//     mean[] = sum[] / 64
//     alloc squares: f32[] register
//     squares[] = 0
//     for r1 in 64 {
//       squares[] = fma(row[r1] - mean[], row[r1] - mean[], squares[])
//     }
//     alloc scale: f32[] register
//     scale[] = 1 / sqrt(squares[] / 64 + 1e-05)
//     for r2 in 64 {
//       out0[i0, r2] = (row[r2] - mean[]) * scale[] * in1[r2] + in2[r2]
//     }
//   }
// }
// schedule: spread 16 16 2 i0
__global__ void block_norm1(const float *__restrict__ in0, const float *__restrict__ in1,
    const float *__restrict__ in2, float *__restrict__ out0) {
    const int64_t i0 = 16 * int64_t(blockIdx.x) + threadIdx.x / 16;
    const int lane = threadIdx.x % 16;
    float row[4];
    float sum = 0.0f;
    const float *in0_at = &in0[64 * i0 + 2 * lane];
    #pragma unroll
    for (int r_block = 0; r_block < 2; r_block++) {
        const Pack<float, 2> in0_pack = load_pack<2>(&in0_at[32 * r_block]);
        #pragma unroll
        for (int e = 0; e < 2; e++) {
            row[2 * r_block + e] = in0_pack[e];
            sum += in0_pack[e];
        }
    }
    sum = warp_fold<16>(sum, [](float a, float b) { return a + b; });
    const float mean = sum / 64.0f;
    float squares = 0.0f;
    #pragma unroll
    for (int r_block = 0; r_block < 2; r_block++) {
        #pragma unroll
        for (int r = 0; r < 2; r++) {
            const float v = row[2 * r_block + r] - mean;
            squares = fma(v, v, squares);
        }
    }
    squares = warp_fold<16>(squares, [](float a, float b) { return a + b; });
    const float scale = 1.0f / sqrt(squares / 64.0f + 1e-05f);
    float *out0_at = &out0[64 * i0 + 2 * lane];
    #pragma unroll
    for (int r_block = 0; r_block < 2; r_block++) {
        const Pack<float, 2> in1_pack = load_pack<2>(&in1[32 * r_block + 2 * lane]);
        const Pack<float, 2> in2_pack = load_pack<2>(&in2[32 * r_block + 2 * lane]);
        Pack<float, 2> out0_pack;
        #pragma unroll
        for (int e = 0; e < 2; e++)
            out0_pack[e] = (row[2 * r_block + e] - mean) * scale * in1_pack[e] + in2_pack[e];
        store_pack(&out0_at[32 * r_block], out0_pack);
    }
}

// kernel block_queries(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64, 64] in,
//     out0: f32[16*n, 64] out) contract @ "block/queries"("contract") {
//   for m0 in 16*n {
//     for n0 in 64 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 64 {
//         acc[] = fma(in0[m0, k0], in1[k0, n0], acc[])
//       }
//       out0[m0, n0] = acc[]
//     }
//   }
// }
// schedule: split m0 64; split n0 32; reorder m0.0 n0.0 m0.1 n0.1;
//     share k0 16 m0.1 4 n0.1 2 double; fuse m0.0 n0.0; grid m0.0_n0.0
__global__ void block_queries(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    float acc[4][2] = {};
    __shared__ __align__(16) float in0_tile[2][64][20];
    __shared__ __align__(16) float in1_tile[2][16][32];
    const int t = threadIdx.x;
    const int64_t m_block = block / 2;
    const int m0 = t / 4;
    const int k0 = t % 4;
    const float *in0_at = &in0[4096 * m_block + 64 * m0 + 4 * k0];
    fetch<int4>(&in0_tile[0][m0][4 * k0], in0_at, 64 * m_block + m0 < 16 * n);
    const int in1_k0 = t / 8;
    const int n_block = block % 2;
    const int n0 = t % 8;
    const float *in1_at = &in1[64 * in1_k0 + 32 * n_block + 4 * n0];
    if (t < 128)
        fetch<int4>(&in1_tile[0][in1_k0][4 * n0], in1_at);
    const int m_thread = t / 16;
    const int n_thread = t % 16;
    for (int k_block = 0; k_block < 4; k_block++) {
        arrived();
        __syncthreads();
        const int next = (k_block + 1) % 2;
        if (k_block < 3) {
            fetch<int4>(&in0_tile[next][m0][4 * k0], &in0_at[16 * (k_block + 1)],
                64 * m_block + m0 < 16 * n);
            if (t < 128)
                fetch<int4>(&in1_tile[next][in1_k0][4 * n0], &in1_at[1024 * (k_block + 1)]);
        }
        const int now = k_block % 2;
        #pragma unroll
        for (int k = 0; k < 16; k++) {
            float row[4];
            float column[2];
            #pragma unroll
            for (int i = 0; i < 4; i++)
                row[i] = in0_tile[now][16 * i + m_thread][k];
            #pragma unroll
            for (int j = 0; j < 2; j++)
                column[j] = in1_tile[now][k][2 * n_thread + j];
            #pragma unroll
            for (int i = 0; i < 4; i++) {
                #pragma unroll
                for (int j = 0; j < 2; j++)
                    acc[i][j] = fma(row[i], column[j], acc[i][j]);
            }
        }
    }
    float *out0_at = &out0[4096 * m_block + 64 * m_thread + 32 * n_block + 2 * n_thread];
    #pragma unroll
    for (int i = 0; i < 4; i++) {
        if (64 * m_block + 16 * i + m_thread < 16 * n) {
            Pack<float, 2> out0_pack;
            #pragma unroll
            for (int e = 0; e < 2; e++)
                out0_pack[e] = acc[i][e];
            store_pack(&out0_at[1024 * i], out0_pack);
        }
    }
}

// kernel block_scores__block_attention_block_mix_(n in 1..inf; in0: f32[n, 16, 64] in,
//     in1: f32[n, 16, 64] in, in2: f32[n, 16, 64] in, in3: f32[n, 16, 64] in,
//     out0: f32[n, 16, 64] out) attention in_place 8 @ "block/scores"("contract") + 18:3 +
//     "block/attention"("softmax") + "block/mix"("contract") + 21:3 {
//   for b0 in n {
//     for q in 1 {
//       alloc queries: f32[16, 68] shared
//       alloc keys: f32[16, 68] shared
//       alloc values: f32[16, 68] shared
//       alloc exponentials: f32[16, 20] shared
//       alloc scores: f32[2, 2] register
//       alloc total: f32[2] register
//       alloc sums: f32[2, 8] register
//       thread x in 64 {
//         unroll turn in 4 {
//           fetch lane in 4 {
//             queries[4*turn + x floordiv 16, lane + 4*(x mod 16)] = in0[b0, 16*q + 4*turn + x
//                 floordiv 16, lane + 4*(x mod 16)]
//           }
//         }
//       }
//       thread x in 64 {
//         unroll turn_2 in 4 {
//           fetch lane_2 in 4 {
//             keys[4*turn_2 + x floordiv 16, lane_2 + 4*(x mod 16)] = in1[b0, 4*turn_2 + x floordiv
//                 16, lane_2 + 4*(x mod 16)]
//           }
//         }
//       }
//       thread x in 64 {
//         unroll i in 2 {
//           total[i] = 0
//           unroll c in 8 {
//             sums[i, c] = 0
//           }
//         }
//       }
//       for tile in 1 {
//         barrier
//         thread x in 64 {
//           unroll turn_3 in 4 {
//             fetch lane_3 in 4 {
//               values[4*turn_3 + x floordiv 16, lane_3 + 4*(x mod 16)] = in2[b0, 16*tile +
//                   4*turn_3 + x floordiv 16, lane_3 + 4*(x mod 16)]
//             }
//           }
//         }
//         thread x in 64 {
//           unroll i in 2 {
//             unroll j in 2 {
//               scores[i, j] = 0
//             }
//           }
//           for k in 8 {
//             unroll l in 8 {
//               alloc row: f32[2] register
//               alloc column: f32[2] register
//               unroll i in 2 {
//                 row[i] = queries[8*i + x floordiv 8, 8*k + l]
//               }
//               unroll j in 2 {
//                 column[j] = keys[8*j + x mod 8, 8*k + l]
//               }
//               unroll i in 2 {
//                 unroll j in 2 {
//                   scores[i, j] = fma(row[i], column[j], scores[i, j])
//                 }
//               }
//             }
//           }
//         }
//         unroll i in 2 {
//           alloc most: f32[] register
//           most[] = -inf
//           thread x in 64 {
//             unroll j in 2 {
//               scores[i, j] = scores[i, j] * 0.125
//               most[] = max(most[], scores[i, j])
//             }
//           }
//           combine most by max of 8
//           thread x in 64 {
//             alloc base: f32[] register
//             base[] = select(most[] == -inf, 0, most[])
//             unroll j in 2 {
//               alloc weight: f32[] register
//               weight[] = exp(scores[i, j] - base[])
//               exponentials[8*i + x floordiv 8, 8*j + x mod 8] = weight[]
//               total[i] = total[i] + weight[]
//             }
//           }
//         }
//         barrier
//         thread x in 64 {
//           for k_2 in 2 {
//             unroll l_2 in 8 {
//               alloc row_2: f32[2] register
//               alloc column_2: f32[8] register
//               unroll i in 2 {
//                 row_2[i] = exponentials[8*i + x floordiv 8, 8*k_2 + l_2]
//               }
//               unroll c in 8 {
//                 column_2[c] = values[8*k_2 + l_2, 32*(c floordiv 4) + 4*(x mod 8) + c mod 4]
//               }
//               unroll i in 2 {
//                 unroll c in 8 {
//                   sums[i, c] = fma(row_2[i], column_2[c], sums[i, c])
//                 }
//               }
//             }
//           }
//         }
//       }
//       unroll i in 2 {
//         alloc sum: f32[] register
//         sum[] = total[i]
//         combine sum by add of 8
//         thread x in 64 {
//           alloc factor: f32[] register
//           factor[] = 1 / sum[]
//           unroll c_2 in 2 {
//             unroll e in 4 {
//               out0[b0, 16*q + 8*i + x floordiv 8, 32*c_2 + e + 4*(x mod 8)] = in3[b0, 16*q + 8*i
//                   + x floordiv 8, 32*c_2 + e + 4*(x mod 8)] + sums[i, 4*c_2 + e] * factor[]
//             }
//           }
//         }
//       }
//     }
//   }
// }
// schedule: fuse b0 q; grid b0_q
__global__ void block_scores_to_block_mix(const float *in0, const float *in1, const float *in2,
    const float *in3, float *out0) {
    const int64_t b0_q = blockIdx.x;
    __shared__ __align__(16) float queries[16][68];
    __shared__ __align__(16) float keys[16][68];
    __shared__ __align__(16) float values[16][68];
    __shared__ __align__(16) float exponentials[16][20];
    float scores[2][2];
    float total[2];
    float sums[2][8];
    const int t = threadIdx.x;
    const float *in0_at = &in0[1024 * b0_q + 4 * t];
    const int t_by_16 = t / 16;
    const int t_mod_16 = t % 16;
    #pragma unroll
    for (int turn = 0; turn < 4; turn++)
        fetch<int4>(&queries[4 * turn + t_by_16][4 * t_mod_16], &in0_at[256 * turn]);
    const float *in1_at = &in1[1024 * b0_q + 4 * t];
    #pragma unroll
    for (int turn_2 = 0; turn_2 < 4; turn_2++)
        fetch<int4>(&keys[4 * turn_2 + t_by_16][4 * t_mod_16], &in1_at[256 * turn_2]);
    #pragma unroll
    for (int i = 0; i < 2; i++) {
        total[i] = 0.0f;
        #pragma unroll
        for (int c = 0; c < 8; c++)
            sums[i][c] = 0.0f;
    }
    arrived();
    __syncthreads();
    const float *in2_at = &in2[1024 * b0_q + 4 * t];
    #pragma unroll
    for (int turn_3 = 0; turn_3 < 4; turn_3++)
        fetch<int4>(&values[4 * turn_3 + t_by_16][4 * t_mod_16], &in2_at[256 * turn_3]);
    #pragma unroll
    for (int i = 0; i < 2; i++) {
        #pragma unroll
        for (int j = 0; j < 2; j++)
            scores[i][j] = 0.0f;
    }
    const int t_by_8 = t / 8;
    const int t_mod_8 = t % 8;
    for (int k = 0; k < 8; k++) {
        #pragma unroll
        for (int l = 0; l < 8; l++) {
            float row[2];
            float column[2];
            #pragma unroll
            for (int i = 0; i < 2; i++)
                row[i] = queries[8 * i + t_by_8][8 * k + l];
            #pragma unroll
            for (int j = 0; j < 2; j++)
                column[j] = keys[8 * j + t_mod_8][8 * k + l];
            #pragma unroll
            for (int i = 0; i < 2; i++) {
                #pragma unroll
                for (int j = 0; j < 2; j++)
                    scores[i][j] = fma(row[i], column[j], scores[i][j]);
            }
        }
    }
    #pragma unroll
    for (int i = 0; i < 2; i++) {
        float most = -INFINITY;
        #pragma unroll
        for (int j = 0; j < 2; j++) {
            scores[i][j] = scores[i][j] * 0.125f;
            most = nanmax(most, scores[i][j]);
        }
        most = warp_fold<8>(most, [](float a, float b) { return nanmax(a, b); });
        const float base = most == -INFINITY ? 0.0f : most;
        #pragma unroll
        for (int j = 0; j < 2; j++) {
            const float weight = exp(scores[i][j] - base);
            exponentials[8 * i + t_by_8][8 * j + t_mod_8] = weight;
            total[i] += weight;
        }
    }
    arrived();
    __syncthreads();
    for (int k_2 = 0; k_2 < 2; k_2++) {
        #pragma unroll
        for (int l_2 = 0; l_2 < 8; l_2++) {
            float row_2[2];
            float column_2[8];
            #pragma unroll
            for (int i = 0; i < 2; i++)
                row_2[i] = exponentials[8 * i + t_by_8][8 * k_2 + l_2];
            #pragma unroll
            for (int c = 0; c < 8; c++) {
                const int c_by_4 = c / 4;
                const int c_mod_4 = c % 4;
                column_2[c] = values[8 * k_2 + l_2][32 * c_by_4 + 4 * t_mod_8 + c_mod_4];
            }
            #pragma unroll
            for (int i = 0; i < 2; i++) {
                #pragma unroll
                for (int c = 0; c < 8; c++)
                    sums[i][c] = fma(row_2[i], column_2[c], sums[i][c]);
            }
        }
    }
    #pragma unroll
    for (int i = 0; i < 2; i++) {
        float sum = total[i];
        sum = warp_fold<8>(sum, [](float a, float b) { return a + b; });
        const float factor = 1.0f / sum;
        const float *in3_at = &in3[1024 * b0_q + 512 * i + 64 * t_by_8 + 4 * t_mod_8];
        float *out0_at = &out0[1024 * b0_q + 512 * i + 64 * t_by_8 + 4 * t_mod_8];
        #pragma unroll
        for (int c_2 = 0; c_2 < 2; c_2++) {
            const Pack<float, 4> in3_pack = load_pack<4>(&in3_at[32 * c_2]);
            Pack<float, 4> out0_pack;
            #pragma unroll
            for (int e = 0; e < 4; e++)
                out0_pack[e] = in3_pack[e] + sums[i][4 * c_2 + e] * factor;
            store_pack(&out0_at[32 * c_2], out0_pack);
        }
    }
}

// kernel block_up_(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64, 128] in,
//     out0: f32[16*n, 128] out) contract @ "block/up"("contract") + 24:3 {
//   for m0 in 16*n {
//     for n0 in 128 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 64 {
//         acc[] = fma(in0[m0, k0], in1[k0, n0], acc[])
//       }
//       out0[m0, n0] = gelu(acc[])
//     }
//   }
// }
// schedule: split m0 64; split n0 64; reorder m0.0 n0.0 m0.1 n0.1;
//     share k0 16 m0.1 4 n0.1 4 double; fuse m0.0 n0.0; grid m0.0_n0.0
__global__ void block_up(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    float acc[4][4] = {};
    __shared__ __align__(16) float in0_tile[2][64][20];
    __shared__ __align__(16) float in1_tile[2][16][64];
    const int t = threadIdx.x;
    const int64_t m_block = block / 2;
    const int m0 = t / 4;
    const int k0 = t % 4;
    const float *in0_at = &in0[4096 * m_block + 64 * m0 + 4 * k0];
    fetch<int4>(&in0_tile[0][m0][4 * k0], in0_at, 64 * m_block + m0 < 16 * n);
    const int in1_k0 = t / 16;
    const int n_block = block % 2;
    const int n0 = t % 16;
    const float *in1_at = &in1[128 * in1_k0 + 64 * n_block + 4 * n0];
    fetch<int4>(&in1_tile[0][in1_k0][4 * n0], in1_at);
    const int m_thread = t / 16;
    const int n_thread = t % 16;
    for (int k_block = 0; k_block < 4; k_block++) {
        arrived();
        __syncthreads();
        const int next = (k_block + 1) % 2;
        if (k_block < 3) {
            fetch<int4>(&in0_tile[next][m0][4 * k0], &in0_at[16 * (k_block + 1)],
                64 * m_block + m0 < 16 * n);
            fetch<int4>(&in1_tile[next][in1_k0][4 * n0], &in1_at[2048 * (k_block + 1)]);
        }
        const int now = k_block % 2;
        #pragma unroll
        for (int k = 0; k < 16; k++) {
            float row[4];
            float column[4];
            #pragma unroll
            for (int i = 0; i < 4; i++)
                row[i] = in0_tile[now][16 * i + m_thread][k];
            #pragma unroll
            for (int j = 0; j < 4; j++)
                column[j] = in1_tile[now][k][4 * n_thread + j];
            #pragma unroll
            for (int i = 0; i < 4; i++) {
                #pragma unroll
                for (int j = 0; j < 4; j++)
                    acc[i][j] = fma(row[i], column[j], acc[i][j]);
            }
        }
    }
    float *out0_at = &out0[8192 * m_block + 128 * m_thread + 64 * n_block + 4 * n_thread];
    #pragma unroll
    for (int i = 0; i < 4; i++) {
        if (64 * m_block + 16 * i + m_thread < 16 * n) {
            Pack<float, 4> out0_pack;
            #pragma unroll
            for (int e = 0; e < 4; e++)
                out0_pack[e] = gelu(acc[i][e]);
            store_pack(&out0_at[2048 * i], out0_pack);
        }
    }
}

// kernel block_down_(n in 1..inf; in0: f32[16*n, 128] in, in1: f32[128, 64] in,
//     in2: f32[16*n, 64] in, out0: f32[16*n, 64] out) contract in_place 4 @
//     "block/down"("contract") + 26:3 {
//   for m0 in 16*n {
//     for n0 in 64 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 128 {
//         acc[] = fma(in0[m0, k0], in1[k0, n0], acc[])
//       }
//       out0[m0, n0] = in2[m0, n0] + acc[]
//     }
//   }
// }
// schedule: split m0 64; split n0 32; reorder m0.0 n0.0 m0.1 n0.1;
//     share k0 16 m0.1 4 n0.1 2 double; fuse m0.0 n0.0; grid m0.0_n0.0
__global__ void block_down(const float *in0, const float *in1, const float *in2, float *out0,
    int64_t n) {
    const int64_t block = blockIdx.x;
    float acc[4][2] = {};
    __shared__ __align__(16) float in0_tile[2][64][20];
    __shared__ __align__(16) float in1_tile[2][16][32];
    const int t = threadIdx.x;
    const int64_t m_block = block / 2;
    const int m0 = t / 4;
    const int k0 = t % 4;
    const float *in0_at = &in0[8192 * m_block + 128 * m0 + 4 * k0];
    fetch<int4>(&in0_tile[0][m0][4 * k0], in0_at, 64 * m_block + m0 < 16 * n);
    const int in1_k0 = t / 8;
    const int n_block = block % 2;
    const int n0 = t % 8;
    const float *in1_at = &in1[64 * in1_k0 + 32 * n_block + 4 * n0];
    if (t < 128)
        fetch<int4>(&in1_tile[0][in1_k0][4 * n0], in1_at);
    const int m_thread = t / 16;
    const int n_thread = t % 16;
    for (int k_block = 0; k_block < 8; k_block++) {
        arrived();
        __syncthreads();
        const int next = (k_block + 1) % 2;
        if (k_block < 7) {
            fetch<int4>(&in0_tile[next][m0][4 * k0], &in0_at[16 * (k_block + 1)],
                64 * m_block + m0 < 16 * n);
            if (t < 128)
                fetch<int4>(&in1_tile[next][in1_k0][4 * n0], &in1_at[1024 * (k_block + 1)]);
        }
        const int now = k_block % 2;
        #pragma unroll
        for (int k = 0; k < 16; k++) {
            float row[4];
            float column[2];
            #pragma unroll
            for (int i = 0; i < 4; i++)
                row[i] = in0_tile[now][16 * i + m_thread][k];
            #pragma unroll
            for (int j = 0; j < 2; j++)
                column[j] = in1_tile[now][k][2 * n_thread + j];
            #pragma unroll
            for (int i = 0; i < 4; i++) {
                #pragma unroll
                for (int j = 0; j < 2; j++)
                    acc[i][j] = fma(row[i], column[j], acc[i][j]);
            }
        }
    }
    const float *in2_at = &in2[4096 * m_block + 64 * m_thread + 32 * n_block + 2 * n_thread];
    float *out0_at = &out0[4096 * m_block + 64 * m_thread + 32 * n_block + 2 * n_thread];
    #pragma unroll
    for (int i = 0; i < 4; i++) {
        if (64 * m_block + 16 * i + m_thread < 16 * n) {
            const Pack<float, 2> in2_pack = load_pack<2>(&in2_at[1024 * i]);
            Pack<float, 2> out0_pack;
            #pragma unroll
            for (int e = 0; e < 2; e++)
                out0_pack[e] = in2_pack[e] + acc[i][e];
            store_pack(&out0_at[1024 * i], out0_pack);
        }
    }
}

// kernel block_pool(n in 1..inf; in0: f32[n, 16, 64] in,
//     out0: f32[n, 64] out) reduce @ "block/pool"("reduce") {
//   for i0 in n {
//     for i1 in 64 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 16 {
//         acc[] = acc[] + in0[i0, k0, i1]
//       }
//       out0[i0, i1] = acc[]
//     }
//   }
// }
// schedule: fuse i0 i1; spread 4 32 1 i0_i1 across
__global__ void block_pool(const float *__restrict__ in0, float *__restrict__ out0) {
    const int64_t i = 32 * int64_t(blockIdx.x) + threadIdx.x % 32;
    const int lane = threadIdx.x / 32;
    float acc = 0.0f;
    const int64_t i0 = i / 64;
    const int i1 = i % 64;
    const float *in0_at = &in0[1024 * i0 + i1];
    for (int k0 = lane; k0 < 16; k0 += 4)
        acc += in0_at[64 * k0];
    __shared__ float parts[128];
    acc = column_fold<4, 32>(acc, parts, [](float a, float b) { return a + b; });
    if (lane == 0)
        out0[i] = acc;
}

// kernel block_head_(n in 1..inf; in0: f32[n, 64] in, in1: f32[64, 10] in, in2: f32[10] in,
//     out0: f32[n, 10] out) contract @ "block/head"("contract") + 29:3 {
//   for m0 in n {
//     for n0 in 10 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 64 {
//         acc[] = fma(in0[m0, k0], in1[k0, n0], acc[])
//       }
//       out0[m0, n0] = acc[] + in2[n0]
//     }
//   }
// }
// schedule: fuse m0 n0; spread 8 32 1 m0_n0 across
__global__ void block_head(const float *__restrict__ in0, const float *__restrict__ in1,
    const float *__restrict__ in2, float *__restrict__ out0, int64_t n) {
    const int64_t i = 32 * int64_t(blockIdx.x) + threadIdx.x % 32;
    const int lane = threadIdx.x / 32;
    float acc = 0.0f;
    const int64_t m0 = i / 10;
    const int n0 = i % 10;
    if (i < 10 * n) {
        for (int k0 = lane; k0 < 64; k0 += 8)
            acc = fma(in0[64 * m0 + k0], in1[10 * k0 + n0], acc);
    }
    __shared__ float parts[256];
    acc = column_fold<8, 32>(acc, parts, [](float a, float b) { return a + b; });
    if (lane == 0 && i < 10 * n)
        out0[i] = acc + in2[n0];
}

// kernel block_softmax(n in 1..inf; in0: f32[n, 10] in,
//     out0: f32[n, 10] out) rows @ "block/softmax"("softmax") {
//   for i0 in n {
//     alloc row: f32[10] stack
//     alloc most: f32[] register
//     most[] = -inf
//     for r0 in 10 {
//       row[r0] = in0[i0, r0]
//       most[] = max(most[], in0[i0, r0])
//     }
//     alloc sum: f32[] register
//     sum[] = 0
//     for r1 in 10 {
//       sum[] = sum[] + exp(row[r1] - most[])
//       row[r1] = exp(row[r1] - most[])
//     }
//     alloc scale: f32[] register
//     scale[] = 1 / sum[]
//     for r2 in 10 {
//       out0[i0, r2] = row[r2] * scale[]
//     }
//   }
// }
// schedule: split i0 256; grid i0.0; thread i0.1
__global__ void block_softmax(const float *__restrict__ in0, float *__restrict__ out0, int64_t n) {
    const int64_t i0 = 256 * int64_t(blockIdx.x) + threadIdx.x;
    if (i0 >= n)
        return;
    float row[10];
    float most = -INFINITY;
    for (int r0 = 0; r0 < 10; r0++) {
        const float x = in0[10 * i0 + r0];
        row[r0] = x;
        most = nanmax(most, x);
    }
    float sum = 0.0f;
    for (int r1 = 0; r1 < 10; r1++) {
        const float v = exp(row[r1] - most);
        sum += v;
        row[r1] = v;
    }
    const float scale = 1.0f / sum;
    for (int r2 = 0; r2 < 10; r2++)
        out0[10 * i0 + r2] = row[r2] * scale;
}

// Bytes of memory for what a run computes on the way.
extern "C" int64_t block_arena_bytes(const int64_t *dims) {
    const int64_t n = dims[0];
    const int64_t larger = imax(4096 * n, 64 * ((5 * n + 7) / 8));
    return 20480 * n + larger;
}

// Launches the kernels on the stream. All memory is the device's, but for the tables here.
extern "C" cudaError_t block_run(const void *const *inputs, void *const *outputs,
    const int64_t *dims, const void *, void *arena, cudaStream_t stream) {
    const int64_t n = dims[0];
    if (n < 1)
        return cudaErrorInvalidValue;

    // block/patch
    const float *image = (const float *)inputs[0];
    const float *patch = (const float *)inputs[1];
    float *block_patch_out = (float *)arena;
    launch(block_patch, n, 256, stream, image, patch, block_patch_out);

    // block/place
    const float *position = (const float *)inputs[2];
    float *patches = (float *)arena;
    launch(block_place, n, 256, stream, block_patch_out, position, patches);

    // block/norm1
    const float *g1 = (const float *)inputs[3];
    const float *b1 = (const float *)inputs[4];
    const int64_t larger = imax(4096 * n, 64 * ((5 * n + 7) / 8));
    float *block_norm1_out = offset<float>(arena, larger);
    launch(block_norm1, n, 256, stream, patches, g1, b1, block_norm1_out);

    // block/queries
    const float *q = (const float *)inputs[5];
    float *queries = offset<float>(arena, 4096 * n + larger);
    launch(block_queries, 2 * ((n + 3) / 4), 256, stream, block_norm1_out, q, queries, n);

    // block/keys
    const float *k = (const float *)inputs[6];
    float *keys = offset<float>(arena, 12288 * n + larger);
    launch(block_queries, 2 * ((n + 3) / 4), 256, stream, block_norm1_out, k, keys, n);

    // block/values
    const float *v = (const float *)inputs[7];
    float *values = offset<float>(arena, 16384 * n + larger);
    launch(block_queries, 2 * ((n + 3) / 4), 256, stream, block_norm1_out, v, values, n);

    // block/scores, block/attention, block/mix
    float *block_mix_out = (float *)arena;
    launch(block_scores_to_block_mix, n, 64, stream, queries, keys, values, patches, block_mix_out);

    // block/norm2
    const float *g2 = (const float *)inputs[8];
    const float *b2 = (const float *)inputs[9];
    float *block_norm2_out = offset<float>(arena, larger);
    launch(block_norm1, n, 256, stream, block_mix_out, g2, b2, block_norm2_out);

    // block/up
    const float *up = (const float *)inputs[10];
    float *hidden = offset<float>(arena, 4096 * n + larger);
    launch(block_up, 2 * ((n + 3) / 4), 256, stream, block_norm2_out, up, hidden, n);

    // block/down
    const float *down = (const float *)inputs[11];
    float *block_down_out = (float *)arena;
    launch(block_down, 2 * ((n + 3) / 4), 256, stream, hidden, down, block_mix_out, block_down_out,
        n);

    // block/pool
    float *block_pool_out = offset<float>(arena, larger);
    launch(block_pool, 2 * n, 128, stream, block_down_out, block_pool_out);

    // block/head
    const float *head = (const float *)inputs[12];
    const float *bias = (const float *)inputs[13];
    float *block_head_out = (float *)arena;
    launch(block_head, (5 * n + 15) / 16, 256, stream, block_pool_out, head, bias, block_head_out,
        n);

    // block/softmax
    float *probabilities = (float *)outputs[0];
    launch(block_softmax, (n + 255) / 256, 256, stream, block_head_out, probabilities, n);

    return cudaGetLastError();
}
