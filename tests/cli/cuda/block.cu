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
template <class... P>
static void launch(void (*kernel)(P...), int64_t blocks, int threads, cudaStream_t stream,
                   typename Exactly<P>::type... args) {
    if (blocks > 0)
        kernel<<<(unsigned)blocks, threads, 0, stream>>>(args...);
}
#else
#include "codegen/cuda/emulate.h" // blocks and threads on the CPU
#endif

// The greater one; NaN when either is.
template <class T> __device__ T nanmax(T a, T b) { return b > a || b != b ? b : a; }

template <class T> __device__ T gelu(T x) { return T(0.5) * x * (1 + erf(x * T(0.70710678118654752440))); }

// N neighbours in memory, which are loaded and stored at once.
template <class T, int N> struct alignas(N * sizeof(T)) Pack {
    T elements[N];
    __device__ T &operator[](int i) { return elements[i]; }
    __device__ const T &operator[](int i) const { return elements[i]; }
};

template <int N, class T> __device__ Pack<T, N> load_pack(const T *at) { return *(const Pack<T, N> *)at; }

template <class T, int N> __device__ void store_pack(T *at, const Pack<T, N> &pack) { *(Pack<T, N> *)at = pack; }

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
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes) : "memory");
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
//     out0: f32[n, 4, 4, 64] out) conv schedule "fuse y0 y1; ; fuse k0 k1; fuse k0_k1 c;
//     split y0_y1 16; split o 64; reorder b  y0_y1.0 o.0 y0_y1.1 o.1;
//     share k0_k1_c 16 y0_y1.1 2 o.1 2 double; fuse b y0_y1.0; fuse b_y0_y1.0 o.0;
//     grid b_y0_y1.0_o.0" @ "block/patch"("conv") {
//   grid b_y0_y1.0_o.0 in n {
//     alloc acc.tile: f32[2, 2] register
//     alloc in0.share: f32[2, 16, 17] shared
//     alloc in1.share: f32[2, 16, 64] shared
//     thread y0_y1.1.0_o.1.0 in 256 {
//       unroll i in 2 {
//         unroll j in 2 {
//           acc.tile[i, j] = 0
//         }
//       }
//     }
//     thread y0_k0 in 256 {
//       fetch lane in 1 {
//         in0.share[0, y0_k0 floordiv 16, lane + y0_k0 mod 16] = in0[b_y0_y1.0_o.0, 8*(y0_k0 floordiv 64), (lane + y0_k0 mod 16) floordiv 3 + 8*((y0_k0 floordiv 16) mod 4), (lane + y0_k0 mod 16) mod 3]
//       }
//     }
//     thread k0_o in 256 {
//       fetch lane_2 in 4 {
//         in1.share[0, k0_o floordiv 16, lane_2 + 4*(k0_o mod 16)] = in1[0, k0_o floordiv 48, (k0_o floordiv 16) mod 3, lane_2 + 4*(k0_o mod 16)]
//       }
//     }
//     for k0_k1_c.0 in 12 {
//       barrier
//       thread y0_k0 in 256 {
//         if (k0_k1_c.0 + 1 < 12) {
//           fetch lane in 1 {
//             in0.share[(k0_k1_c.0 + 1) mod 2, y0_k0 floordiv 16, lane + y0_k0 mod 16] = in0[b_y0_y1.0_o.0, 8*(y0_k0 floordiv 64) + (lane + 16*k0_k1_c.0 + y0_k0 mod 16 + 16) floordiv 24, (5*k0_k1_c.0 + (lane + k0_k1_c.0 + y0_k0 mod 16 + 1) floordiv 3 + 5) mod 8 + 8*((y0_k0 floordiv 16) mod 4), (lane + k0_k1_c.0 + y0_k0 mod 16 + 1) mod 3]
//           }
//         }
//       }
//       thread k0_o in 256 {
//         if (k0_k1_c.0 + 1 < 12) {
//           fetch lane_2 in 4 {
//             in1.share[(k0_k1_c.0 + 1) mod 2, k0_o floordiv 16, lane_2 + 4*(k0_o mod 16)] = in1[(16*k0_k1_c.0 + k0_o floordiv 16 + 16) floordiv 24, (5*k0_k1_c.0 + (k0_k1_c.0 + k0_o floordiv 16 + 1) floordiv 3 + 5) mod 8, (k0_k1_c.0 + k0_o floordiv 16 + 1) mod 3, lane_2 + 4*(k0_o mod 16)]
//           }
//         }
//       }
//       thread y0_y1.1.0_o.1.0 in 256 {
//         unroll k0_k1_c.1 in 16 {
//           alloc row: f32[2] register
//           alloc column: f32[2] register
//           unroll i in 2 {
//             row[i] = in0.share[k0_k1_c.0 mod 2, 8*i + y0_y1.1.0_o.1.0 floordiv 32, k0_k1_c.1]
//           }
//           unroll j in 2 {
//             column[j] = in1.share[k0_k1_c.0 mod 2, k0_k1_c.1, j + 2*(y0_y1.1.0_o.1.0 mod 32)]
//           }
//           unroll i in 2 {
//             unroll j in 2 {
//               acc.tile[i, j] = fma(row[i], column[j], acc.tile[i, j])
//             }
//           }
//         }
//       }
//     }
//     thread y0_y1.1.0_o.1.0 in 256 {
//       unroll i in 2 {
//         unroll j in 2 {
//           out0[b_y0_y1.0_o.0, 2*i + y0_y1.1.0_o.1.0 floordiv 128, (y0_y1.1.0_o.1.0 floordiv 32) mod 4, j + 2*(y0_y1.1.0_o.1.0 mod 32)] = acc.tile[i, j]
//         }
//       }
//     }
//   }
// }
__global__ void block_patch(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    float acc_tile[2][2];
    __shared__ __align__(16) float in0_share[2][16][17];
    __shared__ __align__(16) float in1_share[2][16][64];
    const int t = threadIdx.x;
    #pragma unroll
    for (int64_t i = 0; i < 2; i++) {
        #pragma unroll
        for (int64_t j = 0; j < 2; j++) {
            acc_tile[i][j] = 0.0f;
        }
    }
    const int64_t y0 = t / 16;
    const int64_t k0 = t % 16;
    const int64_t y0_2 = t / 64;
    const int64_t at = y0 % 4;
    const int64_t at_2 = k0 / 3;
    const int64_t k0_2 = k0 % 3;
    in0_share[0][y0][k0] = in0[3072 * block + 768 * y0_2 + 24 * at + 3 * at_2 + k0_2];
    const int64_t k0_3 = t / 48;
    const int64_t at_3 = t / 16 % 3;
    const int64_t o = t % 16;
    const int64_t k0_4 = t / 16;
    fetch<int4>(&in1_share[0][k0_4][4 * o], &in1[192 * k0_3 + 64 * at_3 + 4 * o]);
    const int64_t y_thread = t / 32;
    const int64_t o_thread = t % 32;
    for (int64_t k_block = 0; k_block < 12; k_block++) {
        arrived();
        __syncthreads();
        const int64_t c = (k_block + 1) % 2;
        const int64_t k0_5 = (16 * k_block + k0 + 16) / 24;
        const int64_t k0_6 = (k_block + k0 + 1) / 3;
        const int64_t c_2 = (5 * k_block + k0_6 + 5) % 8;
        const int64_t c_3 = (k_block + k0 + 1) % 3;
        if (k_block < 11) {
            in0_share[c][y0][k0] = in0[3072 * block + 768 * y0_2 + 96 * k0_5 + 24 * at + 3 * c_2
                + c_3];
        }
        const int64_t k0_7 = (16 * k_block + k0_4 + 16) / 24;
        const int64_t k0_8 = (k_block + k0_4 + 1) / 3;
        const int64_t c_4 = (5 * k_block + k0_8 + 5) % 8;
        const int64_t c_5 = (k_block + k0_4 + 1) % 3;
        if (k_block < 11) {
            fetch<int4>(&in1_share[c][k0_4][4 * o],
                &in1[1536 * k0_7 + 192 * c_4 + 64 * c_5 + 4 * o]);
        }
        const int64_t c_6 = k_block % 2;
        #pragma unroll
        for (int64_t k = 0; k < 16; k++) {
            float row[2];
            float column[2];
            #pragma unroll
            for (int64_t i = 0; i < 2; i++) {
                row[i] = in0_share[c_6][8 * i + y_thread][k];
            }
            #pragma unroll
            for (int64_t j = 0; j < 2; j++) {
                column[j] = in1_share[c_6][k][2 * o_thread + j];
            }
            #pragma unroll
            for (int64_t i = 0; i < 2; i++) {
                #pragma unroll
                for (int64_t j = 0; j < 2; j++) {
                    acc_tile[i][j] = fma(row[i], column[j], acc_tile[i][j]);
                }
            }
        }
    }
    const int64_t y_thread_2 = t / 128;
    const int64_t at_4 = y_thread % 4;
    #pragma unroll
    for (int64_t i = 0; i < 2; i++) {
        Pack<float, 2> out0_2;
        #pragma unroll
        for (int64_t e = 0; e < 2; e++) {
            out0_2[e] = acc_tile[i][e];
        }
        store_pack(&out0[1024 * block + 512 * i + 256 * y_thread_2 + 64 * at_4 + 2 * o_thread],
            out0_2);
    }
}

// kernel block_place(n in 1..inf; in0: f32[n, 1024] in, in1: f32[1024] in,
//     out0: f32[n, 1024] out) map in_place 1 schedule "split i1 4; vectorize i1.1; fuse i0 i1.0;
//     split i0_i1.0 256; grid i0_i1.0.0; thread i0_i1.0.1" @ "block/place"("add") {
//   grid i0_i1.0.0 in n {
//     thread i0_i1.0.1 in 256 {
//       vector i1.1 in 4 {
//         out0[i0_i1.0.0, 4*i0_i1.0.1 + i1.1] = in0[i0_i1.0.0, 4*i0_i1.0.1 + i1.1] + in1[4*i0_i1.0.1 + i1.1]
//       }
//     }
//   }
// }
__global__ void block_place(const float *in0, const float *in1, float *out0, int64_t n) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    const Pack<float, 4> in0_4 = load_pack<4>(&in0[4 * i]);
    const Pack<float, 4> in1_4 = load_pack<4>(&in1[4 * i - 1024 * int64_t(blockIdx.x)]);
    Pack<float, 4> out0_4;
    #pragma unroll
    for (int64_t e = 0; e < 4; e++) {
        out0_4[e] = in0_4[e] + in1_4[e];
    }
    store_pack(&out0[4 * i], out0_4);
}

// kernel block_norm1(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64] in, in2: f32[64] in,
//     out0: f32[16*n, 64] out) rows schedule "spread 16 16 2 i0" @ "block/norm1"("layer_norm") {
//   grid i0.0 in n {
//     alloc row.own: f32[4] register
//     alloc sum: f32[] register
//     sum[] = 0
//     thread r0.1 in 256 {
//       unroll r0.0 in 2 {
//         unroll r0.2 in 2 {
//           row.own[2*r0.0 + r0.2] = in0[16*i0.0 + r0.1 floordiv 16, 32*r0.0 + r0.2 + 2*(r0.1 mod 16)]
//           sum[] = sum[] + in0[16*i0.0 + r0.1 floordiv 16, 32*r0.0 + r0.2 + 2*(r0.1 mod 16)]
//         }
//       }
//     }
//     combine sum by add of 16
//     alloc mean: f32[] register
//     mean[] = sum[] / 64
//     alloc squares: f32[] register
//     squares[] = 0
//     thread r1.1 in 256 {
//       unroll r1.0 in 2 {
//         unroll r1.2 in 2 {
//           squares[] = fma(row.own[2*r1.0 + r1.2] - mean[], row.own[2*r1.0 + r1.2] - mean[],
//     squares[])
//         }
//       }
//     }
//     combine squares by add of 16
//     alloc scale: f32[] register
//     scale[] = 1 / sqrt(squares[] / 64 + 1e-05)
//     thread r2.1 in 256 {
//       unroll r2.0 in 2 {
//         unroll r2.2 in 2 {
//           out0[16*i0.0 + r2.1 floordiv 16, 32*r2.0 + r2.2 + 2*(r2.1 mod 16)] = (row.own[2*r2.0 + r2.2] - mean[]) * scale[] * in1[32*r2.0 + r2.2 + 2*(r2.1 mod 16)] + in2[32*r2.0 + r2.2 + 2*(r2.1 mod 16)]
//         }
//       }
//     }
//   }
// }
__global__ void block_norm1(const float *__restrict__ in0, const float *__restrict__ in1,
    const float *__restrict__ in2, float *__restrict__ out0, int64_t n) {
    const int64_t i0 = 16 * int64_t(blockIdx.x) + threadIdx.x / 16;
    const int lane = threadIdx.x % 16;
    float row_own[4];
    float sum = 0.0f;
    #pragma unroll
    for (int64_t r_block = 0; r_block < 2; r_block++) {
        const Pack<float, 2> in0_2 = load_pack<2>(&in0[64 * i0 + 32 * r_block + 2 * lane]);
        #pragma unroll
        for (int64_t e = 0; e < 2; e++) {
            row_own[2 * r_block + e] = in0_2[e];
            sum += in0_2[e];
        }
    }
    sum = warp_fold<16>(sum, [](float a, float b) { return a + b; });
    float mean = sum / 64.0f;
    float squares = 0.0f;
    #pragma unroll
    for (int64_t r_block = 0; r_block < 2; r_block++) {
        #pragma unroll
        for (int64_t r = 0; r < 2; r++) {
            const float v = row_own[2 * r_block + r] - mean;
            squares = fma(v, v, squares);
        }
    }
    squares = warp_fold<16>(squares, [](float a, float b) { return a + b; });
    float scale = 1.0f / sqrt(squares / 64.0f + 1e-05f);
    #pragma unroll
    for (int64_t r_block = 0; r_block < 2; r_block++) {
        const Pack<float, 2> in1_2 = load_pack<2>(&in1[32 * r_block + 2 * lane]);
        const Pack<float, 2> in2_2 = load_pack<2>(&in2[32 * r_block + 2 * lane]);
        Pack<float, 2> out0_2;
        #pragma unroll
        for (int64_t e = 0; e < 2; e++) {
            out0_2[e] = (row_own[2 * r_block + e] - mean) * scale * in1_2[e] + in2_2[e];
        }
        store_pack(&out0[64 * i0 + 32 * r_block + 2 * lane], out0_2);
    }
}

// kernel block_queries(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64, 64] in,
//     out0: f32[16*n, 64] out) contract schedule "split m0 64; split n0 32;
//     reorder  m0.0 n0.0 m0.1 n0.1; share k0 16 m0.1 4 n0.1 2 double; fuse m0.0 n0.0;
//     grid m0.0_n0.0" @ "block/queries"("contract") {
//   grid m0.0_n0.0 in 2*((n + 3) floordiv 4) {
//     alloc acc.tile: f32[4, 2] register
//     alloc in0.share: f32[2, 64, 20] shared
//     alloc in1.share: f32[2, 16, 32] shared
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 4 {
//         unroll j in 2 {
//           acc.tile[i, j] = 0
//         }
//       }
//     }
//     thread m0_k0 in 256 {
//       fetch lane in 4 {
//         in0.share[0, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] where (64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4 < 16*n)
//       }
//     }
//     thread k0_n0 in 256 {
//       if (k0_n0 < 128) {
//         fetch lane_2 in 4 {
//           in1.share[0, k0_n0 floordiv 8, lane_2 + 4*(k0_n0 mod 8)] = in1[k0_n0 floordiv 8, lane_2 + 32*(m0.0_n0.0 mod 2) + 4*(k0_n0 mod 8)]
//         }
//       }
//     }
//     for k0.0 in 4 {
//       barrier
//       thread m0_k0 in 256 {
//         if (k0.0 + 1 < 4) {
//           fetch lane in 4 {
//             in0.share[(k0.0 + 1) mod 2, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4, lane + 16*k0.0 + 4*(m0_k0 mod 4) + 16] where (64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4 < 16*n)
//           }
//         }
//       }
//       thread k0_n0 in 256 {
//         if (k0.0 + 1 < 4) {
//           if (k0_n0 < 128) {
//             fetch lane_2 in 4 {
//               in1.share[(k0.0 + 1) mod 2, k0_n0 floordiv 8, lane_2 + 4*(k0_n0 mod 8)] = in1[16*k0.0 + k0_n0 floordiv 8 + 16, lane_2 + 32*(m0.0_n0.0 mod 2) + 4*(k0_n0 mod 8)]
//             }
//           }
//         }
//       }
//       thread m0.1.0_n0.1.0 in 256 {
//         unroll k0.1 in 16 {
//           alloc row: f32[4] register
//           alloc column: f32[2] register
//           unroll i in 4 {
//             row[i] = in0.share[k0.0 mod 2, 16*i + m0.1.0_n0.1.0 floordiv 16, k0.1]
//           }
//           unroll j in 2 {
//             column[j] = in1.share[k0.0 mod 2, k0.1, j + 2*(m0.1.0_n0.1.0 mod 16)]
//           }
//           unroll i in 4 {
//             unroll j in 2 {
//               acc.tile[i, j] = fma(row[i], column[j], acc.tile[i, j])
//             }
//           }
//         }
//       }
//     }
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 4 {
//         if (16*i + 64*(m0.0_n0.0 floordiv 2) + m0.1.0_n0.1.0 floordiv 16 < 16*n) {
//           unroll j in 2 {
//             out0[16*i + 64*(m0.0_n0.0 floordiv 2) + m0.1.0_n0.1.0 floordiv 16, j + 32*(m0.0_n0.0 mod 2) + 2*(m0.1.0_n0.1.0 mod 16)] = acc.tile[i, j]
//           }
//         }
//       }
//     }
//   }
// }
__global__ void block_queries(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    float acc_tile[4][2];
    __shared__ __align__(16) float in0_share[2][64][20];
    __shared__ __align__(16) float in1_share[2][16][32];
    const int t = threadIdx.x;
    #pragma unroll
    for (int64_t i = 0; i < 4; i++) {
        #pragma unroll
        for (int64_t j = 0; j < 2; j++) {
            acc_tile[i][j] = 0.0f;
        }
    }
    const int64_t m_block = block / 2;
    const int64_t m0 = t / 4;
    const int64_t k0 = t % 4;
    fetch<int4>(&in0_share[0][m0][4 * k0], &in0[4096 * m_block + 64 * m0 + 4 * k0],
        64 * m_block + m0 < 16 * n);
    const int64_t k0_2 = t / 8;
    const int64_t n_block = block % 2;
    const int64_t n0 = t % 8;
    if (t < 128) {
        fetch<int4>(&in1_share[0][k0_2][4 * n0], &in1[64 * k0_2 + 32 * n_block + 4 * n0]);
    }
    const int64_t m_thread = t / 16;
    const int64_t n_thread = t % 16;
    for (int64_t k_block = 0; k_block < 4; k_block++) {
        arrived();
        __syncthreads();
        const int64_t at = (k_block + 1) % 2;
        if (k_block < 3) {
            fetch<int4>(&in0_share[at][m0][4 * k0],
                &in0[4096 * m_block + 64 * m0 + 16 * k_block + 4 * k0 + 16],
                64 * m_block + m0 < 16 * n);
        }
        if (k_block < 3) {
            if (t < 128) {
                fetch<int4>(&in1_share[at][k0_2][4 * n0],
                    &in1[1024 * k_block + 64 * k0_2 + 32 * n_block + 4 * n0 + 1024]);
            }
        }
        const int64_t k_block_rest = k_block % 2;
        #pragma unroll
        for (int64_t k = 0; k < 16; k++) {
            float row[4];
            float column[2];
            #pragma unroll
            for (int64_t i = 0; i < 4; i++) {
                row[i] = in0_share[k_block_rest][16 * i + m_thread][k];
            }
            #pragma unroll
            for (int64_t j = 0; j < 2; j++) {
                column[j] = in1_share[k_block_rest][k][2 * n_thread + j];
            }
            #pragma unroll
            for (int64_t i = 0; i < 4; i++) {
                #pragma unroll
                for (int64_t j = 0; j < 2; j++) {
                    acc_tile[i][j] = fma(row[i], column[j], acc_tile[i][j]);
                }
            }
        }
    }
    #pragma unroll
    for (int64_t i = 0; i < 4; i++) {
        if (64 * m_block + 16 * i + m_thread < 16 * n) {
            Pack<float, 2> out0_2;
            #pragma unroll
            for (int64_t e = 0; e < 2; e++) {
                out0_2[e] = acc_tile[i][e];
            }
            store_pack(&out0[4096 * m_block + 1024 * i + 64 * m_thread + 32 * n_block
                + 2 * n_thread], out0_2);
        }
    }
}

// kernel block_scores_(n in 1..inf; in0: f32[n, 16, 64] in, in1: f32[n, 16, 64] in,
//     out0: f32[n, 16, 16] out) contract schedule "split m0 16; split n0 16;
//     reorder b0  m0.0 n0.0 m0.1 n0.1; share k0 16 m0.1 1 n0.1 1 double; fuse b0 m0.0;
//     fuse b0_m0.0 n0.0; grid b0_m0.0_n0.0" @ "block/scores"("contract") + 18:3 {
//   grid b0_m0.0_n0.0 in n {
//     alloc acc.tile: f32[1, 1] register
//     alloc in0.share: f32[2, 16, 20] shared
//     alloc in1.share: f32[2, 16, 20] shared
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 1 {
//         unroll j in 1 {
//           acc.tile[i, j] = 0
//         }
//       }
//     }
//     thread m0_k0 in 256 {
//       if (m0_k0 < 64) {
//         fetch lane in 4 {
//           in0.share[0, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[b0_m0.0_n0.0, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)]
//         }
//       }
//     }
//     thread n0_k0 in 256 {
//       if (n0_k0 < 64) {
//         fetch lane_2 in 4 {
//           in1.share[0, n0_k0 floordiv 4, lane_2 + 4*(n0_k0 mod 4)] = in1[b0_m0.0_n0.0, n0_k0 floordiv 4, lane_2 + 4*(n0_k0 mod 4)]
//         }
//       }
//     }
//     for k0.0 in 4 {
//       barrier
//       thread m0_k0 in 256 {
//         if (k0.0 + 1 < 4) {
//           if (m0_k0 < 64) {
//             fetch lane in 4 {
//               in0.share[(k0.0 + 1) mod 2, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[b0_m0.0_n0.0, m0_k0 floordiv 4, lane + 16*k0.0 + 4*(m0_k0 mod 4) + 16]
//             }
//           }
//         }
//       }
//       thread n0_k0 in 256 {
//         if (k0.0 + 1 < 4) {
//           if (n0_k0 < 64) {
//             fetch lane_2 in 4 {
//               in1.share[(k0.0 + 1) mod 2, n0_k0 floordiv 4, lane_2 + 4*(n0_k0 mod 4)] = in1[b0_m0.0_n0.0, n0_k0 floordiv 4, lane_2 + 16*k0.0 + 4*(n0_k0 mod 4) + 16]
//             }
//           }
//         }
//       }
//       thread m0.1.0_n0.1.0 in 256 {
//         unroll k0.1 in 16 {
//           alloc row: f32[1] register
//           alloc column: f32[1] register
//           unroll i in 1 {
//             row[i] = in0.share[k0.0 mod 2, 16*i + m0.1.0_n0.1.0 floordiv 16, k0.1]
//           }
//           unroll j in 1 {
//             column[j] = in1.share[k0.0 mod 2, 16*j + m0.1.0_n0.1.0 mod 16, k0.1]
//           }
//           unroll i in 1 {
//             unroll j in 1 {
//               acc.tile[i, j] = fma(row[i], column[j], acc.tile[i, j])
//             }
//           }
//         }
//       }
//     }
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 1 {
//         unroll j in 1 {
//           out0[b0_m0.0_n0.0, 16*i + m0.1.0_n0.1.0 floordiv 16, 16*j + m0.1.0_n0.1.0 mod 16] = acc.tile[i, j] * 0.125
//         }
//       }
//     }
//   }
// }
__global__ void block_scores_(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    float acc_tile;
    __shared__ __align__(16) float in0_share[2][16][20];
    __shared__ __align__(16) float in1_share[2][16][20];
    const int t = threadIdx.x;
    acc_tile = 0.0f;
    const int64_t m0 = t / 4;
    const int64_t k0 = t % 4;
    if (t < 64) {
        fetch<int4>(&in0_share[0][m0][4 * k0], &in0[1024 * block + 64 * m0 + 4 * k0]);
    }
    const int64_t n0 = t / 4;
    const int64_t k0_2 = t % 4;
    if (t < 64) {
        fetch<int4>(&in1_share[0][n0][4 * k0_2], &in1[1024 * block + 64 * n0 + 4 * k0_2]);
    }
    const int64_t m_thread = t / 16;
    const int64_t n_thread = t % 16;
    for (int64_t k_block = 0; k_block < 4; k_block++) {
        arrived();
        __syncthreads();
        const int64_t at = (k_block + 1) % 2;
        if (k_block < 3) {
            if (t < 64) {
                fetch<int4>(&in0_share[at][m0][4 * k0],
                    &in0[1024 * block + 64 * m0 + 16 * k_block + 4 * k0 + 16]);
            }
        }
        if (k_block < 3) {
            if (t < 64) {
                fetch<int4>(&in1_share[at][n0][4 * k0_2],
                    &in1[1024 * block + 64 * n0 + 16 * k_block + 4 * k0_2 + 16]);
            }
        }
        const int64_t k_block_rest = k_block % 2;
        #pragma unroll
        for (int64_t k = 0; k < 16; k++) {
            float row;
            float column;
            row = in0_share[k_block_rest][m_thread][k];
            column = in1_share[k_block_rest][n_thread][k];
            acc_tile = fma(row, column, acc_tile);
        }
    }
    out0[256 * block + 16 * m_thread + n_thread] = acc_tile * 0.125f;
}

// kernel block_attention(n in 1..inf; in0: f32[16*n, 16] in,
//     out0: f32[16*n, 16] out) rows schedule "spread 4 64 1 i0" @ "block/attention"("softmax") {
//   grid i0.0 in (n + 3) floordiv 4 {
//     alloc row.own: f32[4] register
//     alloc most: f32[] register
//     most[] = -inf
//     thread r0.1 in 256 {
//       if (64*i0.0 + r0.1 floordiv 4 < 16*n) {
//         unroll r0.0 in 4 {
//           row.own[r0.0] = in0[64*i0.0 + r0.1 floordiv 4, 4*r0.0 + r0.1 mod 4]
//           most[] = max(most[], in0[64*i0.0 + r0.1 floordiv 4, 4*r0.0 + r0.1 mod 4])
//         }
//       }
//     }
//     combine most by max of 4
//     alloc sum: f32[] register
//     sum[] = 0
//     thread r1.1 in 256 {
//       if (64*i0.0 + r1.1 floordiv 4 < 16*n) {
//         unroll r1.0 in 4 {
//           sum[] = sum[] + exp(row.own[r1.0] - most[])
//           row.own[r1.0] = exp(row.own[r1.0] - most[])
//         }
//       }
//     }
//     combine sum by add of 4
//     alloc scale: f32[] register
//     scale[] = 1 / sum[]
//     thread r2.1 in 256 {
//       if (64*i0.0 + r2.1 floordiv 4 < 16*n) {
//         unroll r2.0 in 4 {
//           out0[64*i0.0 + r2.1 floordiv 4, 4*r2.0 + r2.1 mod 4] = row.own[r2.0] * scale[]
//         }
//       }
//     }
//   }
// }
__global__ void block_attention(const float *__restrict__ in0, float *__restrict__ out0, int64_t n) {
    const int64_t i0 = 64 * int64_t(blockIdx.x) + threadIdx.x / 4;
    const int lane = threadIdx.x % 4;
    if (i0 >= 16 * n)
        return;
    float row_own[4];
    float most = -INFINITY;
    #pragma unroll
    for (int64_t r_block = 0; r_block < 4; r_block++) {
        row_own[r_block] = in0[16 * i0 + 4 * r_block + lane];
        most = nanmax(most, in0[16 * i0 + 4 * r_block + lane]);
    }
    most = warp_fold<4>(most, [](float a, float b) { return nanmax(a, b); });
    float sum = 0.0f;
    #pragma unroll
    for (int64_t r_block = 0; r_block < 4; r_block++) {
        sum += exp(row_own[r_block] - most);
        row_own[r_block] = exp(row_own[r_block] - most);
    }
    sum = warp_fold<4>(sum, [](float a, float b) { return a + b; });
    float scale = 1.0f / sum;
    #pragma unroll
    for (int64_t r_block = 0; r_block < 4; r_block++) {
        out0[16 * i0 + 4 * r_block + lane] = row_own[r_block] * scale;
    }
}

// kernel block_mix_(n in 1..inf; in0: f32[n, 16, 16] in, in1: f32[n, 16, 64] in,
//     in2: f32[n, 16, 64] in, out0: f32[n, 16, 64] out) contract in_place 4 schedule "split m0 16;
//     split n0 64; reorder b0  m0.0 n0.0 m0.1 n0.1; share k0 16 m0.1 2 n0.1 2 ; fuse b0 m0.0;
//     fuse b0_m0.0 n0.0; grid b0_m0.0_n0.0" @ "block/mix"("contract") + 21:3 {
//   grid b0_m0.0_n0.0 in n {
//     alloc acc.tile: f32[2, 2] register
//     alloc in0.share: f32[16, 20] shared
//     alloc in1.share: f32[16, 64] shared
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 2 {
//         unroll j in 2 {
//           acc.tile[i, j] = 0
//         }
//       }
//     }
//     for k0.0 in 1 {
//       thread m0_k0 in 256 {
//         if (m0_k0 < 64) {
//           vector lane in 4 {
//             in0.share[m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[b0_m0.0_n0.0, m0_k0 floordiv 4, 16*k0.0 + lane + 4*(m0_k0 mod 4)]
//           }
//         }
//       }
//       thread k0_n0 in 256 {
//         vector lane_2 in 4 {
//           in1.share[k0_n0 floordiv 16, lane_2 + 4*(k0_n0 mod 16)] = in1[b0_m0.0_n0.0, 16*k0.0 + k0_n0 floordiv 16, lane_2 + 4*(k0_n0 mod 16)]
//         }
//       }
//       barrier
//       thread m0.1.0_n0.1.0 in 256 {
//         unroll k0.1 in 16 {
//           alloc row: f32[2] register
//           alloc column: f32[2] register
//           unroll i in 2 {
//             row[i] = in0.share[8*i + m0.1.0_n0.1.0 floordiv 32, k0.1]
//           }
//           unroll j in 2 {
//             column[j] = in1.share[k0.1, j + 2*(m0.1.0_n0.1.0 mod 32)]
//           }
//           unroll i in 2 {
//             unroll j in 2 {
//               acc.tile[i, j] = fma(row[i], column[j], acc.tile[i, j])
//             }
//           }
//         }
//       }
//       barrier
//     }
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 2 {
//         unroll j in 2 {
//           out0[b0_m0.0_n0.0, 8*i + m0.1.0_n0.1.0 floordiv 32, j + 2*(m0.1.0_n0.1.0 mod 32)] = in2[b0_m0.0_n0.0, 8*i + m0.1.0_n0.1.0 floordiv 32, j + 2*(m0.1.0_n0.1.0 mod 32)] + acc.tile[i, j]
//         }
//       }
//     }
//   }
// }
__global__ void block_mix_(const float *in0, const float *in1, const float *in2, float *out0,
    int64_t n) {
    const int64_t block = blockIdx.x;
    float acc_tile[2][2];
    __shared__ __align__(16) float in0_share[16][20];
    __shared__ __align__(16) float in1_share[16][64];
    const int t = threadIdx.x;
    #pragma unroll
    for (int64_t i = 0; i < 2; i++) {
        #pragma unroll
        for (int64_t j = 0; j < 2; j++) {
            acc_tile[i][j] = 0.0f;
        }
    }
    const int64_t m0 = t / 4;
    const int64_t k0 = t % 4;
    if (t < 64) {
        copy<int4>(&in0_share[m0][4 * k0], &in0[256 * block + 16 * m0 + 4 * k0]);
    }
    const int64_t k0_2 = t / 16;
    const int64_t n0 = t % 16;
    copy<int4>(&in1_share[k0_2][4 * n0], &in1[1024 * block + 64 * k0_2 + 4 * n0]);
    __syncthreads();
    const int64_t m_thread = t / 32;
    const int64_t n_thread = t % 32;
    #pragma unroll
    for (int64_t k = 0; k < 16; k++) {
        float row[2];
        float column[2];
        #pragma unroll
        for (int64_t i = 0; i < 2; i++) {
            row[i] = in0_share[8 * i + m_thread][k];
        }
        #pragma unroll
        for (int64_t j = 0; j < 2; j++) {
            column[j] = in1_share[k][2 * n_thread + j];
        }
        #pragma unroll
        for (int64_t i = 0; i < 2; i++) {
            #pragma unroll
            for (int64_t j = 0; j < 2; j++) {
                acc_tile[i][j] = fma(row[i], column[j], acc_tile[i][j]);
            }
        }
    }
    __syncthreads();
    #pragma unroll
    for (int64_t i = 0; i < 2; i++) {
        const Pack<float, 2> in2_2 = load_pack<2>(&in2[1024 * block + 512 * i + 64 * m_thread
            + 2 * n_thread]);
        Pack<float, 2> out0_2;
        #pragma unroll
        for (int64_t e = 0; e < 2; e++) {
            out0_2[e] = in2_2[e] + acc_tile[i][e];
        }
        store_pack(&out0[1024 * block + 512 * i + 64 * m_thread + 2 * n_thread], out0_2);
    }
}

// kernel block_up_(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64, 128] in,
//     out0: f32[16*n, 128] out) contract schedule "split m0 64; split n0 64;
//     reorder  m0.0 n0.0 m0.1 n0.1; share k0 16 m0.1 4 n0.1 4 double; fuse m0.0 n0.0;
//     grid m0.0_n0.0" @ "block/up"("contract") + 24:3 {
//   grid m0.0_n0.0 in 2*((n + 3) floordiv 4) {
//     alloc acc.tile: f32[4, 4] register
//     alloc in0.share: f32[2, 64, 20] shared
//     alloc in1.share: f32[2, 16, 64] shared
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 4 {
//         unroll j in 4 {
//           acc.tile[i, j] = 0
//         }
//       }
//     }
//     thread m0_k0 in 256 {
//       fetch lane in 4 {
//         in0.share[0, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] where (64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4 < 16*n)
//       }
//     }
//     thread k0_n0 in 256 {
//       fetch lane_2 in 4 {
//         in1.share[0, k0_n0 floordiv 16, lane_2 + 4*(k0_n0 mod 16)] = in1[k0_n0 floordiv 16, lane_2 + 64*(m0.0_n0.0 mod 2) + 4*(k0_n0 mod 16)]
//       }
//     }
//     for k0.0 in 4 {
//       barrier
//       thread m0_k0 in 256 {
//         if (k0.0 + 1 < 4) {
//           fetch lane in 4 {
//             in0.share[(k0.0 + 1) mod 2, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4, lane + 16*k0.0 + 4*(m0_k0 mod 4) + 16] where (64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4 < 16*n)
//           }
//         }
//       }
//       thread k0_n0 in 256 {
//         if (k0.0 + 1 < 4) {
//           fetch lane_2 in 4 {
//             in1.share[(k0.0 + 1) mod 2, k0_n0 floordiv 16, lane_2 + 4*(k0_n0 mod 16)] = in1[16*k0.0 + k0_n0 floordiv 16 + 16, lane_2 + 64*(m0.0_n0.0 mod 2) + 4*(k0_n0 mod 16)]
//           }
//         }
//       }
//       thread m0.1.0_n0.1.0 in 256 {
//         unroll k0.1 in 16 {
//           alloc row: f32[4] register
//           alloc column: f32[4] register
//           unroll i in 4 {
//             row[i] = in0.share[k0.0 mod 2, 16*i + m0.1.0_n0.1.0 floordiv 16, k0.1]
//           }
//           unroll j in 4 {
//             column[j] = in1.share[k0.0 mod 2, k0.1, j + 4*(m0.1.0_n0.1.0 mod 16)]
//           }
//           unroll i in 4 {
//             unroll j in 4 {
//               acc.tile[i, j] = fma(row[i], column[j], acc.tile[i, j])
//             }
//           }
//         }
//       }
//     }
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 4 {
//         if (16*i + 64*(m0.0_n0.0 floordiv 2) + m0.1.0_n0.1.0 floordiv 16 < 16*n) {
//           unroll j in 4 {
//             out0[16*i + 64*(m0.0_n0.0 floordiv 2) + m0.1.0_n0.1.0 floordiv 16, j + 64*(m0.0_n0.0 mod 2) + 4*(m0.1.0_n0.1.0 mod 16)] = gelu(acc.tile[i, j])
//           }
//         }
//       }
//     }
//   }
// }
__global__ void block_up_(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    float acc_tile[4][4];
    __shared__ __align__(16) float in0_share[2][64][20];
    __shared__ __align__(16) float in1_share[2][16][64];
    const int t = threadIdx.x;
    #pragma unroll
    for (int64_t i = 0; i < 4; i++) {
        #pragma unroll
        for (int64_t j = 0; j < 4; j++) {
            acc_tile[i][j] = 0.0f;
        }
    }
    const int64_t m_block = block / 2;
    const int64_t m0 = t / 4;
    const int64_t k0 = t % 4;
    fetch<int4>(&in0_share[0][m0][4 * k0], &in0[4096 * m_block + 64 * m0 + 4 * k0],
        64 * m_block + m0 < 16 * n);
    const int64_t k0_2 = t / 16;
    const int64_t n_block = block % 2;
    const int64_t n0 = t % 16;
    fetch<int4>(&in1_share[0][k0_2][4 * n0], &in1[128 * k0_2 + 64 * n_block + 4 * n0]);
    const int64_t m_thread = t / 16;
    const int64_t n_thread = t % 16;
    for (int64_t k_block = 0; k_block < 4; k_block++) {
        arrived();
        __syncthreads();
        const int64_t at = (k_block + 1) % 2;
        if (k_block < 3) {
            fetch<int4>(&in0_share[at][m0][4 * k0],
                &in0[4096 * m_block + 64 * m0 + 16 * k_block + 4 * k0 + 16],
                64 * m_block + m0 < 16 * n);
        }
        if (k_block < 3) {
            fetch<int4>(&in1_share[at][k0_2][4 * n0],
                &in1[2048 * k_block + 128 * k0_2 + 64 * n_block + 4 * n0 + 2048]);
        }
        const int64_t k_block_rest = k_block % 2;
        #pragma unroll
        for (int64_t k = 0; k < 16; k++) {
            float row[4];
            float column[4];
            #pragma unroll
            for (int64_t i = 0; i < 4; i++) {
                row[i] = in0_share[k_block_rest][16 * i + m_thread][k];
            }
            #pragma unroll
            for (int64_t j = 0; j < 4; j++) {
                column[j] = in1_share[k_block_rest][k][4 * n_thread + j];
            }
            #pragma unroll
            for (int64_t i = 0; i < 4; i++) {
                #pragma unroll
                for (int64_t j = 0; j < 4; j++) {
                    acc_tile[i][j] = fma(row[i], column[j], acc_tile[i][j]);
                }
            }
        }
    }
    #pragma unroll
    for (int64_t i = 0; i < 4; i++) {
        if (64 * m_block + 16 * i + m_thread < 16 * n) {
            Pack<float, 4> out0_4;
            #pragma unroll
            for (int64_t e = 0; e < 4; e++) {
                out0_4[e] = gelu(acc_tile[i][e]);
            }
            store_pack(&out0[8192 * m_block + 2048 * i + 128 * m_thread + 64 * n_block
                + 4 * n_thread], out0_4);
        }
    }
}

// kernel block_down_(n in 1..inf; in0: f32[16*n, 128] in, in1: f32[128, 64] in,
//     in2: f32[16*n, 64] in, out0: f32[16*n, 64] out) contract in_place 4 schedule "split m0 64;
//     split n0 32; reorder  m0.0 n0.0 m0.1 n0.1; share k0 16 m0.1 4 n0.1 2 double; fuse m0.0 n0.0;
//     grid m0.0_n0.0" @ "block/down"("contract") + 26:3 {
//   grid m0.0_n0.0 in 2*((n + 3) floordiv 4) {
//     alloc acc.tile: f32[4, 2] register
//     alloc in0.share: f32[2, 64, 20] shared
//     alloc in1.share: f32[2, 16, 32] shared
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 4 {
//         unroll j in 2 {
//           acc.tile[i, j] = 0
//         }
//       }
//     }
//     thread m0_k0 in 256 {
//       fetch lane in 4 {
//         in0.share[0, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] where (64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4 < 16*n)
//       }
//     }
//     thread k0_n0 in 256 {
//       if (k0_n0 < 128) {
//         fetch lane_2 in 4 {
//           in1.share[0, k0_n0 floordiv 8, lane_2 + 4*(k0_n0 mod 8)] = in1[k0_n0 floordiv 8, lane_2 + 32*(m0.0_n0.0 mod 2) + 4*(k0_n0 mod 8)]
//         }
//       }
//     }
//     for k0.0 in 8 {
//       barrier
//       thread m0_k0 in 256 {
//         if (k0.0 + 1 < 8) {
//           fetch lane in 4 {
//             in0.share[(k0.0 + 1) mod 2, m0_k0 floordiv 4, lane + 4*(m0_k0 mod 4)] = in0[64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4, lane + 16*k0.0 + 4*(m0_k0 mod 4) + 16] where (64*(m0.0_n0.0 floordiv 2) + m0_k0 floordiv 4 < 16*n)
//           }
//         }
//       }
//       thread k0_n0 in 256 {
//         if (k0.0 + 1 < 8) {
//           if (k0_n0 < 128) {
//             fetch lane_2 in 4 {
//               in1.share[(k0.0 + 1) mod 2, k0_n0 floordiv 8, lane_2 + 4*(k0_n0 mod 8)] = in1[16*k0.0 + k0_n0 floordiv 8 + 16, lane_2 + 32*(m0.0_n0.0 mod 2) + 4*(k0_n0 mod 8)]
//             }
//           }
//         }
//       }
//       thread m0.1.0_n0.1.0 in 256 {
//         unroll k0.1 in 16 {
//           alloc row: f32[4] register
//           alloc column: f32[2] register
//           unroll i in 4 {
//             row[i] = in0.share[k0.0 mod 2, 16*i + m0.1.0_n0.1.0 floordiv 16, k0.1]
//           }
//           unroll j in 2 {
//             column[j] = in1.share[k0.0 mod 2, k0.1, j + 2*(m0.1.0_n0.1.0 mod 16)]
//           }
//           unroll i in 4 {
//             unroll j in 2 {
//               acc.tile[i, j] = fma(row[i], column[j], acc.tile[i, j])
//             }
//           }
//         }
//       }
//     }
//     thread m0.1.0_n0.1.0 in 256 {
//       unroll i in 4 {
//         if (16*i + 64*(m0.0_n0.0 floordiv 2) + m0.1.0_n0.1.0 floordiv 16 < 16*n) {
//           unroll j in 2 {
//             out0[16*i + 64*(m0.0_n0.0 floordiv 2) + m0.1.0_n0.1.0 floordiv 16, j + 32*(m0.0_n0.0 mod 2) + 2*(m0.1.0_n0.1.0 mod 16)] = in2[16*i + 64*(m0.0_n0.0 floordiv 2) + m0.1.0_n0.1.0 floordiv 16, j + 32*(m0.0_n0.0 mod 2) + 2*(m0.1.0_n0.1.0 mod 16)] + acc.tile[i, j]
//           }
//         }
//       }
//     }
//   }
// }
__global__ void block_down_(const float *in0, const float *in1, const float *in2, float *out0,
    int64_t n) {
    const int64_t block = blockIdx.x;
    float acc_tile[4][2];
    __shared__ __align__(16) float in0_share[2][64][20];
    __shared__ __align__(16) float in1_share[2][16][32];
    const int t = threadIdx.x;
    #pragma unroll
    for (int64_t i = 0; i < 4; i++) {
        #pragma unroll
        for (int64_t j = 0; j < 2; j++) {
            acc_tile[i][j] = 0.0f;
        }
    }
    const int64_t m_block = block / 2;
    const int64_t m0 = t / 4;
    const int64_t k0 = t % 4;
    fetch<int4>(&in0_share[0][m0][4 * k0], &in0[8192 * m_block + 128 * m0 + 4 * k0],
        64 * m_block + m0 < 16 * n);
    const int64_t k0_2 = t / 8;
    const int64_t n_block = block % 2;
    const int64_t n0 = t % 8;
    if (t < 128) {
        fetch<int4>(&in1_share[0][k0_2][4 * n0], &in1[64 * k0_2 + 32 * n_block + 4 * n0]);
    }
    const int64_t m_thread = t / 16;
    const int64_t n_thread = t % 16;
    for (int64_t k_block = 0; k_block < 8; k_block++) {
        arrived();
        __syncthreads();
        const int64_t at = (k_block + 1) % 2;
        if (k_block < 7) {
            fetch<int4>(&in0_share[at][m0][4 * k0],
                &in0[8192 * m_block + 128 * m0 + 16 * k_block + 4 * k0 + 16],
                64 * m_block + m0 < 16 * n);
        }
        if (k_block < 7) {
            if (t < 128) {
                fetch<int4>(&in1_share[at][k0_2][4 * n0],
                    &in1[1024 * k_block + 64 * k0_2 + 32 * n_block + 4 * n0 + 1024]);
            }
        }
        const int64_t k_block_rest = k_block % 2;
        #pragma unroll
        for (int64_t k = 0; k < 16; k++) {
            float row[4];
            float column[2];
            #pragma unroll
            for (int64_t i = 0; i < 4; i++) {
                row[i] = in0_share[k_block_rest][16 * i + m_thread][k];
            }
            #pragma unroll
            for (int64_t j = 0; j < 2; j++) {
                column[j] = in1_share[k_block_rest][k][2 * n_thread + j];
            }
            #pragma unroll
            for (int64_t i = 0; i < 4; i++) {
                #pragma unroll
                for (int64_t j = 0; j < 2; j++) {
                    acc_tile[i][j] = fma(row[i], column[j], acc_tile[i][j]);
                }
            }
        }
    }
    #pragma unroll
    for (int64_t i = 0; i < 4; i++) {
        if (64 * m_block + 16 * i + m_thread < 16 * n) {
            const Pack<float, 2> in2_2 = load_pack<2>(&in2[4096 * m_block + 1024 * i
                + 64 * m_thread + 32 * n_block + 2 * n_thread]);
            Pack<float, 2> out0_2;
            #pragma unroll
            for (int64_t e = 0; e < 2; e++) {
                out0_2[e] = in2_2[e] + acc_tile[i][e];
            }
            store_pack(&out0[4096 * m_block + 1024 * i + 64 * m_thread + 32 * n_block
                + 2 * n_thread], out0_2);
        }
    }
}

// kernel block_pool(n in 1..inf; in0: f32[n, 16, 64] in,
//     out0: f32[n, 64] out) reduce schedule "fuse i0 i1;
//     spread 4 32 1 i0_i1 across" @ "block/pool"("reduce") {
//   grid i0_i1.0 in 2*n {
//     alloc acc: f32[] register
//     acc[] = 0
//     thread k0.1 in 128 {
//       for k0.0 in 4 {
//         acc[] = acc[] + in0[(32*i0_i1.0 + k0.1 mod 32) floordiv 64, 4*k0.0 + k0.1 floordiv 32, 32*(i0_i1.0 mod 2) + k0.1 mod 32]
//       }
//     }
//     combine acc by add of 4 apart 32
//     thread t in 128 {
//       if (t floordiv 32 == 0) {
//         out0[(32*i0_i1.0 + t mod 32) floordiv 64, 32*(i0_i1.0 mod 2) + t mod 32] = acc[]
//       }
//     }
//   }
// }
__global__ void block_pool(const float *__restrict__ in0, float *__restrict__ out0, int64_t n) {
    const int64_t i = 32 * int64_t(blockIdx.x) + threadIdx.x % 32;
    const int lane = threadIdx.x / 32;
    float acc = 0.0f;
    const int64_t i0 = i / 64;
    const int64_t i1 = int64_t(blockIdx.x) % 2;
    for (int64_t k0 = lane; k0 < 16; k0 += 4) {
        acc += in0[1024 * i0 + 64 * k0 + 32 * i1 + i - 32 * int64_t(blockIdx.x)];
    }
    __shared__ float parts[128];
    acc = column_fold<4, 32>(acc, parts, [](float a, float b) { return a + b; });
    if (lane == 0) {
        out0[64 * i0 + 32 * i1 + i - 32 * int64_t(blockIdx.x)] = acc;
    }
}

// kernel block_head_(n in 1..inf; in0: f32[n, 64] in, in1: f32[64, 10] in, in2: f32[10] in,
//     out0: f32[n, 10] out) contract schedule "fuse m0 n0;
//     spread 8 32 1 m0_n0 across" @ "block/head"("contract") + 29:3 {
//   grid m0_n0.0 in (5*n + 15) floordiv 16 {
//     alloc acc: f32[] register
//     acc[] = 0
//     thread k0.1 in 256 {
//       if (32*m0_n0.0 + k0.1 mod 32 < 10*n) {
//         for k0.0 in 8 {
//           acc[] = fma(in0[3*m0_n0.0 + (2*m0_n0.0 + k0.1 mod 32) floordiv 10, 8*k0.0 + k0.1 floordiv 32], in1[8*k0.0 + k0.1 floordiv 32, (2*m0_n0.0 + k0.1 mod 32) mod 10], acc[])
//         }
//       }
//     }
//     combine acc by add of 8 apart 32
//     thread t in 256 {
//       if (t floordiv 32 == 0 and 32*m0_n0.0 + t mod 32 < 10*n) {
//         out0[3*m0_n0.0 + (2*m0_n0.0 + t mod 32) floordiv 10, (2*m0_n0.0 + t mod 32) mod 10] = acc[] + in2[(2*m0_n0.0 + t mod 32) mod 10]
//       }
//     }
//   }
// }
__global__ void block_head_(const float *__restrict__ in0, const float *__restrict__ in1,
    const float *__restrict__ in2, float *__restrict__ out0, int64_t n) {
    const int64_t i = 32 * int64_t(blockIdx.x) + threadIdx.x % 32;
    const int lane = threadIdx.x / 32;
    float acc = 0.0f;
    const int64_t m0 = i / 10;
    const int64_t n0 = i % 10;
    if (i < 10 * n) {
        for (int64_t k0 = lane; k0 < 64; k0 += 8) {
            acc = fma(in0[64 * m0 + k0], in1[10 * k0 + n0], acc);
        }
    }
    __shared__ float parts[256];
    acc = column_fold<8, 32>(acc, parts, [](float a, float b) { return a + b; });
    if (lane == 0 && i < 10 * n) {
        out0[10 * m0 + n0] = acc + in2[n0];
    }
}

// kernel block_softmax(n in 1..inf; in0: f32[n, 10] in,
//     out0: f32[n, 10] out) rows schedule "split i0 256; grid i0.0;
//     thread i0.1" @ "block/softmax"("softmax") {
//   grid i0.0 in (n + 255) floordiv 256 {
//     thread i0.1 in 256 {
//       if (256*i0.0 + i0.1 < n) {
//         alloc row: f32[10] stack
//         alloc most: f32[] register
//         most[] = -inf
//         for r0 in 10 {
//           row[r0] = in0[256*i0.0 + i0.1, r0]
//           most[] = max(most[], in0[256*i0.0 + i0.1, r0])
//         }
//         alloc sum: f32[] register
//         sum[] = 0
//         for r1 in 10 {
//           sum[] = sum[] + exp(row[r1] - most[])
//           row[r1] = exp(row[r1] - most[])
//         }
//         alloc scale: f32[] register
//         scale[] = 1 / sum[]
//         for r2 in 10 {
//           out0[256*i0.0 + i0.1, r2] = row[r2] * scale[]
//         }
//       }
//     }
//   }
// }
__global__ void block_softmax(const float *__restrict__ in0, float *__restrict__ out0, int64_t n) {
    const int64_t i0 = 256 * int64_t(blockIdx.x) + threadIdx.x;
    if (i0 >= n)
        return;
    float row[10];
    float most = -INFINITY;
    for (int64_t r0 = 0; r0 < 10; r0++) {
        row[r0] = in0[10 * i0 + r0];
        most = nanmax(most, in0[10 * i0 + r0]);
    }
    float sum = 0.0f;
    for (int64_t r1 = 0; r1 < 10; r1++) {
        sum += exp(row[r1] - most);
        row[r1] = exp(row[r1] - most);
    }
    float scale = 1.0f / sum;
    for (int64_t r2 = 0; r2 < 10; r2++) {
        out0[10 * i0 + r2] = row[r2] * scale;
    }
}

// Bytes of memory for what a run computes on the way.
extern "C" int64_t block_arena_bytes(const int64_t *dims) {
    const int64_t n = dims[0];
    const int64_t at = imax(4096 * n, 64 * ((5 * n + 7) / 8));
    return 17408 * n + at;
}

// Launches the kernels on the stream. All memory is the device's, but for the tables here.
extern "C" cudaError_t block_run(const void *const *inputs, void *const *outputs,
    const int64_t *dims, const void *weights, void *arena, cudaStream_t stream) {
    const int64_t n = dims[0];
    if (n < 1)
        return cudaErrorInvalidValue;
    const float *image = (const float *)inputs[0];
    const float *patch = (const float *)inputs[1];
    float *block_patch_out = (float *)arena;
    launch(block_patch, n, 256, stream, image, patch, block_patch_out, n);
    const float *position = (const float *)inputs[2];
    float *patches = (float *)arena;
    launch(block_place, n, 256, stream, block_patch_out, position, patches, n);
    const float *g1 = (const float *)inputs[3];
    const float *b1 = (const float *)inputs[4];
    const int64_t at = imax(4096 * n, 64 * ((5 * n + 7) / 8));
    float *block_norm1_out = offset<float>(arena, at);
    launch(block_norm1, n, 256, stream, patches, g1, b1, block_norm1_out, n);
    const float *q = (const float *)inputs[5];
    float *queries = offset<float>(arena, 4096 * n + at);
    launch(block_queries, 2 * ((n + 3) / 4), 256, stream, block_norm1_out, q, queries, n);
    const float *k = (const float *)inputs[6];
    float *keys = offset<float>(arena, 12288 * n + at);
    launch(block_queries, 2 * ((n + 3) / 4), 256, stream, block_norm1_out, k, keys, n);
    float *block_scores_out = offset<float>(arena, 16384 * n + at);
    launch(block_scores_, n, 256, stream, queries, keys, block_scores_out, n);
    const float *v = (const float *)inputs[7];
    float *values = offset<float>(arena, 4096 * n + at);
    launch(block_queries, 2 * ((n + 3) / 4), 256, stream, block_norm1_out, v, values, n);
    float *block_attention_out = offset<float>(arena, at);
    launch(block_attention, (n + 3) / 4, 256, stream, block_scores_out, block_attention_out, n);
    float *block_mix_out = (float *)arena;
    launch(block_mix_, n, 256, stream, block_attention_out, values, patches, block_mix_out, n);
    const float *g2 = (const float *)inputs[8];
    const float *b2 = (const float *)inputs[9];
    float *block_norm2_out = offset<float>(arena, at);
    launch(block_norm1, n, 256, stream, block_mix_out, g2, b2, block_norm2_out, n);
    const float *up = (const float *)inputs[10];
    float *hidden = offset<float>(arena, 4096 * n + at);
    launch(block_up_, 2 * ((n + 3) / 4), 256, stream, block_norm2_out, up, hidden, n);
    const float *down = (const float *)inputs[11];
    float *block_down_out = (float *)arena;
    launch(block_down_, 2 * ((n + 3) / 4), 256, stream, hidden, down, block_mix_out,
        block_down_out, n);
    float *block_pool_out = offset<float>(arena, 16384 * n + at);
    launch(block_pool, 2 * n, 128, stream, block_down_out, block_pool_out, n);
    const float *head = (const float *)inputs[12];
    const float *bias = (const float *)inputs[13];
    float *block_head_out = (float *)arena;
    launch(block_head_, (5 * n + 15) / 16, 256, stream, block_pool_out, head, bias, block_head_out,
        n);
    float *probabilities = (float *)outputs[0];
    launch(block_softmax, (n + 255) / 256, 256, stream, block_head_out, probabilities, n);
    return cudaGetLastError();
}
