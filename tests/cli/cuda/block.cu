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

template <class T> __host__ __device__ T imin(T a, T b) { return a < b ? a : b; }

template <class T> __host__ __device__ T imax(T a, T b) { return a > b ? a : b; }

// An array that many bytes behind the beginning.
template <class T> T *offset(void *base, int64_t bytes) { return (T *)((char *)base + bytes); }
template <class T> const T *offset(const void *base, int64_t bytes) {
    return (const T *)((const char *)base + bytes);
}

// kernel block_patch(n in 1..inf; in0: f32[n, 32, 32, 3] in, in1: f32[8, 8, 3, 64] in,
//     out0: f32[n, 4, 4, 64] out) conv schedule "fuse y0 y1; ; fuse b y0_y1; fuse b_y0_y1 o;
//     split b_y0_y1_o 256; grid b_y0_y1_o.0; thread b_y0_y1_o.1" @ "block/patch"("conv") {
//   grid b_y0_y1_o.0 in 4*n {
//     thread b_y0_y1_o.1 in 256 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 8 {
//         for k1 in 8 {
//           for c in 3 {
//             acc[] = fma(in0[(256*b_y0_y1_o.0 + b_y0_y1_o.1) floordiv 1024, k0 + 8*(((4*b_y0_y1_o.0 + b_y0_y1_o.1 floordiv 64) mod 16) floordiv 4), k1 + 8*(b_y0_y1_o.1 floordiv 64), c], in1[k0, k1, c, b_y0_y1_o.1 mod 64], acc[])
//           }
//         }
//       }
//       out0[(256*b_y0_y1_o.0 + b_y0_y1_o.1) floordiv 1024, ((4*b_y0_y1_o.0 + b_y0_y1_o.1 floordiv 64) mod 16) floordiv 4, b_y0_y1_o.1 floordiv 64, b_y0_y1_o.1 mod 64] = acc[]
//     }
//   }
// }
__global__ void block_patch(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    float acc = 0.0f;
    const int64_t b = i / 1024;
    const int64_t y1 = i / 64 % 16;
    const int64_t at = y1 / 4;
    const int64_t at_2 = i / 64;
    const int64_t o = i % 64;
    for (int64_t k0 = 0; k0 < 8; k0++) {
        for (int64_t k1 = 0; k1 < 8; k1++) {
            for (int64_t c = 0; c < 3; c++) {
                const float in0_2 = in0[3072 * b + 768 * at + 96 * k0 + 24 * at_2 + 3 * k1 + c
                    - 96 * int64_t(blockIdx.x)];
                acc = fma(in0_2, in1[1536 * k0 + 192 * k1 + 64 * c + o], acc);
            }
        }
    }
    out0[1024 * b + 256 * at + 64 * at_2 + o - 256 * int64_t(blockIdx.x)] = acc;
}

// kernel block_place(n in 1..inf; in0: f32[n, 1024] in, in1: f32[1024] in,
//     out0: f32[n, 1024] out) map in_place 1 schedule "fuse i0 i1; split i0_i1 256; grid i0_i1.0;
//     thread i0_i1.1" @ "block/place"("add") {
//   grid i0_i1.0 in 4*n {
//     thread i0_i1.1 in 256 {
//       out0[(256*i0_i1.0 + i0_i1.1) floordiv 1024, (256*i0_i1.0 + i0_i1.1) mod 1024] = in0[(256*i0_i1.0 + i0_i1.1) floordiv 1024, (256*i0_i1.0 + i0_i1.1) mod 1024] + in1[(256*i0_i1.0 + i0_i1.1) mod 1024]
//     }
//   }
// }
__global__ void block_place(const float *in0, const float *in1, float *out0, int64_t n) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    const int64_t i0 = i / 1024;
    const int64_t i1 = i % 1024;
    out0[1024 * i0 + i1] = in0[1024 * i0 + i1] + in1[i1];
}

// kernel block_norm1(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64] in, in2: f32[64] in,
//     out0: f32[16*n, 64] out) rows schedule "split i0 256; grid i0.0;
//     thread i0.1" @ "block/norm1"("layer_norm") {
//   grid i0.0 in (n + 15) floordiv 16 {
//     thread i0.1 in 256 {
//       if (256*i0.0 + i0.1 < 16*n) {
//         alloc sum: f32[] register
//         sum[] = 0
//         for r0 in 64 {
//           sum[] = sum[] + in0[256*i0.0 + i0.1, r0]
//         }
//         alloc mean: f32[] register
//         mean[] = sum[] / 64
//         alloc squares: f32[] register
//         squares[] = 0
//         for r1 in 64 {
//           squares[] = fma(in0[256*i0.0 + i0.1, r1] - mean[], in0[256*i0.0 + i0.1, r1] - mean[],
//     squares[])
//         }
//         alloc scale: f32[] register
//         scale[] = 1 / sqrt(squares[] / 64 + 1e-05)
//         for r2 in 64 {
//           out0[256*i0.0 + i0.1, r2] = (in0[256*i0.0 + i0.1, r2] - mean[]) * scale[] * in1[r2] + in2[r2]
//         }
//       }
//     }
//   }
// }
__global__ void block_norm1(const float *__restrict__ in0, const float *__restrict__ in1,
    const float *__restrict__ in2, float *__restrict__ out0, int64_t n) {
    const int64_t i0 = 256 * int64_t(blockIdx.x) + threadIdx.x;
    if (i0 >= 16 * n)
        return;
    float sum = 0.0f;
    for (int64_t r0 = 0; r0 < 64; r0++) {
        sum += in0[64 * i0 + r0];
    }
    float mean = sum / 64.0f;
    float squares = 0.0f;
    for (int64_t r1 = 0; r1 < 64; r1++) {
        const float v = in0[64 * i0 + r1] - mean;
        squares = fma(v, v, squares);
    }
    float scale = 1.0f / sqrt(squares / 64.0f + 1e-05f);
    for (int64_t r2 = 0; r2 < 64; r2++) {
        out0[64 * i0 + r2] = (in0[64 * i0 + r2] - mean) * scale * in1[r2] + in2[r2];
    }
}

// kernel block_queries(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64, 64] in,
//     out0: f32[16*n, 64] out) contract schedule "split m0 64; split n0 64; split m0.1 4;
//     split n0.1 4; reorder  m0.0 n0.0 m0.1.0 n0.1.0 m0.1.1 n0.1.1; unroll m0.1.1; unroll n0.1.1;
//     cache m0.1.1 n0.1.1; fuse m0.1.0 n0.1.0; thread m0.1.0_n0.1.0; fuse m0.0 n0.0;
//     grid m0.0_n0.0" @ "block/queries"("contract") {
//   grid m0.0_n0.0 in (n + 3) floordiv 4 {
//     thread m0.1.0_n0.1.0 in 256 {
//       alloc acc.tile: f32[4, 4] register
//       unroll m0.1.1 in 4 {
//         unroll n0.1.1 in 4 {
//           acc.tile[m0.1.1, n0.1.1] = 0
//         }
//       }
//       for k0 in 64 {
//         unroll m0.1.1 in 4 {
//           unroll n0.1.1 in 4 {
//             acc.tile[m0.1.1, n0.1.1] = fma(in0[64*m0.0_n0.0 + 4*(m0.1.0_n0.1.0 floordiv 16) + min(m0.1.1, 16*n - 64*m0.0_n0.0 - 4*(m0.1.0_n0.1.0 floordiv 16) - 1), k0], in1[k0, n0.1.1 + 4*(m0.1.0_n0.1.0 mod 16)], acc.tile[m0.1.1, n0.1.1])
//           }
//         }
//       }
//       unroll m0.1.1 in 4 {
//         unroll n0.1.1 in 4 {
//           if (64*m0.0_n0.0 + m0.1.1 + 4*(m0.1.0_n0.1.0 floordiv 16) < 16*n) {
//             out0[64*m0.0_n0.0 + m0.1.1 + 4*(m0.1.0_n0.1.0 floordiv 16), n0.1.1 + 4*(m0.1.0_n0.1.0 mod 16)] = acc.tile[m0.1.1, n0.1.1]
//           }
//         }
//       }
//     }
//   }
// }
__global__ void block_queries(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    const int t = threadIdx.x;
    float acc_tile[4][4];
    #pragma unroll
    for (int64_t m = 0; m < 4; m++) {
        #pragma unroll
        for (int64_t n_2 = 0; n_2 < 4; n_2++) {
            acc_tile[m][n_2] = 0.0f;
        }
    }
    const int64_t m_thread = t / 16;
    const int64_t n_thread = t % 16;
    for (int64_t k0 = 0; k0 < 64; k0++) {
        #pragma unroll
        for (int64_t m = 0; m < 4; m++) {
            const int64_t m_part = imin(m, 16 * n - 1 - 64 * block - 4 * m_thread);
            #pragma unroll
            for (int64_t n_2 = 0; n_2 < 4; n_2++) {
                acc_tile[m][n_2] = fma(in0[4096 * block + 256 * m_thread + 64 * m_part + k0],
                    in1[64 * k0 + 4 * n_thread + n_2], acc_tile[m][n_2]);
            }
        }
    }
    #pragma unroll
    for (int64_t m = 0; m < 4; m++) {
        #pragma unroll
        for (int64_t n_2 = 0; n_2 < 4; n_2++) {
            if (64 * block + 4 * m_thread + m < 16 * n) {
                out0[4096 * block + 256 * m_thread + 64 * m + 4 * n_thread + n_2] =
                    acc_tile[m][n_2];
            }
        }
    }
}

// kernel block_scores_(n in 1..inf; in0: f32[n, 16, 64] in, in1: f32[n, 16, 64] in,
//     out0: f32[n, 16, 16] out) contract schedule "fuse b0 m0; fuse b0_m0 n0; split b0_m0_n0 256;
//     grid b0_m0_n0.0; thread b0_m0_n0.1" @ "block/scores"("contract") + 18:3 {
//   grid b0_m0_n0.0 in n {
//     thread b0_m0_n0.1 in 256 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 64 {
//         acc[] = fma(in0[b0_m0_n0.0, b0_m0_n0.1 floordiv 16, k0],
//     in1[b0_m0_n0.0, b0_m0_n0.1 mod 16, k0], acc[])
//       }
//       out0[b0_m0_n0.0, b0_m0_n0.1 floordiv 16, b0_m0_n0.1 mod 16] = acc[] * 0.125
//     }
//   }
// }
__global__ void block_scores_(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    float acc = 0.0f;
    const int64_t at = i / 16;
    const int64_t n0 = i % 16;
    for (int64_t k0 = 0; k0 < 64; k0++) {
        acc = fma(in0[64 * at + k0], in1[1024 * int64_t(blockIdx.x) + 64 * n0 + k0], acc);
    }
    out0[16 * at + n0] = acc * 0.125f;
}

// kernel block_attention(n in 1..inf; in0: f32[16*n, 16] in,
//     out0: f32[16*n, 16] out) rows schedule "split i0 256; grid i0.0;
//     thread i0.1" @ "block/attention"("softmax") {
//   grid i0.0 in (n + 15) floordiv 16 {
//     thread i0.1 in 256 {
//       if (256*i0.0 + i0.1 < 16*n) {
//         alloc most: f32[] register
//         most[] = -inf
//         for r0 in 16 {
//           most[] = max(most[], in0[256*i0.0 + i0.1, r0])
//         }
//         alloc sum: f32[] register
//         sum[] = 0
//         for r1 in 16 {
//           sum[] = sum[] + exp(in0[256*i0.0 + i0.1, r1] - most[])
//           out0[256*i0.0 + i0.1, r1] = exp(in0[256*i0.0 + i0.1, r1] - most[])
//         }
//         alloc scale: f32[] register
//         scale[] = 1 / sum[]
//         for r2 in 16 {
//           out0[256*i0.0 + i0.1, r2] = out0[256*i0.0 + i0.1, r2] * scale[]
//         }
//       }
//     }
//   }
// }
__global__ void block_attention(const float *__restrict__ in0, float *__restrict__ out0, int64_t n) {
    const int64_t i0 = 256 * int64_t(blockIdx.x) + threadIdx.x;
    if (i0 >= 16 * n)
        return;
    float most = -INFINITY;
    for (int64_t r0 = 0; r0 < 16; r0++) {
        most = nanmax(most, in0[16 * i0 + r0]);
    }
    float sum = 0.0f;
    for (int64_t r1 = 0; r1 < 16; r1++) {
        sum += exp(in0[16 * i0 + r1] - most);
        out0[16 * i0 + r1] = exp(in0[16 * i0 + r1] - most);
    }
    float scale = 1.0f / sum;
    for (int64_t r2 = 0; r2 < 16; r2++) {
        out0[16 * i0 + r2] = out0[16 * i0 + r2] * scale;
    }
}

// kernel block_mix_(n in 1..inf; in0: f32[n, 16, 16] in, in1: f32[n, 16, 64] in,
//     in2: f32[n, 16, 64] in, out0: f32[n, 16, 64] out) contract in_place 4 schedule "fuse b0 m0;
//     fuse b0_m0 n0; split b0_m0_n0 256; grid b0_m0_n0.0;
//     thread b0_m0_n0.1" @ "block/mix"("contract") + 21:3 {
//   grid b0_m0_n0.0 in 4*n {
//     thread b0_m0_n0.1 in 256 {
//       alloc acc: f32[] register
//       acc[] = 0
//       for k0 in 16 {
//         acc[] = fma(in0[(256*b0_m0_n0.0 + b0_m0_n0.1) floordiv 1024, (4*b0_m0_n0.0 + b0_m0_n0.1 floordiv 64) mod 16, k0], in1[(256*b0_m0_n0.0 + b0_m0_n0.1) floordiv 1024, k0, b0_m0_n0.1 mod 64], acc[])
//       }
//       out0[(256*b0_m0_n0.0 + b0_m0_n0.1) floordiv 1024, (4*b0_m0_n0.0 + b0_m0_n0.1 floordiv 64) mod 16, b0_m0_n0.1 mod 64] = in2[(256*b0_m0_n0.0 + b0_m0_n0.1) floordiv 1024, (4*b0_m0_n0.0 + b0_m0_n0.1 floordiv 64) mod 16, b0_m0_n0.1 mod 64] + acc[]
//     }
//   }
// }
__global__ void block_mix_(const float *in0, const float *in1, const float *in2, float *out0,
    int64_t n) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    float acc = 0.0f;
    const int64_t b0 = i / 1024;
    const int64_t m0 = i / 64 % 16;
    const int64_t n0 = i % 64;
    for (int64_t k0 = 0; k0 < 16; k0++) {
        acc = fma(in0[256 * b0 + 16 * m0 + k0], in1[1024 * b0 + 64 * k0 + n0], acc);
    }
    out0[1024 * b0 + 64 * m0 + n0] = in2[1024 * b0 + 64 * m0 + n0] + acc;
}

// kernel block_up_(n in 1..inf; in0: f32[16*n, 64] in, in1: f32[64, 128] in,
//     out0: f32[16*n, 128] out) contract schedule "split m0 64; split n0 64; split m0.1 4;
//     split n0.1 4; reorder  m0.0 n0.0 m0.1.0 n0.1.0 m0.1.1 n0.1.1; unroll m0.1.1; unroll n0.1.1;
//     cache m0.1.1 n0.1.1; fuse m0.1.0 n0.1.0; thread m0.1.0_n0.1.0; fuse m0.0 n0.0;
//     grid m0.0_n0.0" @ "block/up"("contract") + 24:3 {
//   grid m0.0_n0.0 in 2*((n + 3) floordiv 4) {
//     thread m0.1.0_n0.1.0 in 256 {
//       alloc acc.tile: f32[4, 4] register
//       unroll m0.1.1 in 4 {
//         unroll n0.1.1 in 4 {
//           acc.tile[m0.1.1, n0.1.1] = 0
//         }
//       }
//       for k0 in 64 {
//         unroll m0.1.1 in 4 {
//           unroll n0.1.1 in 4 {
//             acc.tile[m0.1.1, n0.1.1] = fma(in0[64*(m0.0_n0.0 floordiv 2) + 4*(m0.1.0_n0.1.0 floordiv 16) + min(m0.1.1, 16*n - 64*(m0.0_n0.0 floordiv 2) - 4*(m0.1.0_n0.1.0 floordiv 16) - 1), k0], in1[k0, n0.1.1 + 64*(m0.0_n0.0 mod 2) + 4*(m0.1.0_n0.1.0 mod 16)], acc.tile[m0.1.1, n0.1.1])
//           }
//         }
//       }
//       unroll m0.1.1 in 4 {
//         unroll n0.1.1 in 4 {
//           if (m0.1.1 + 64*(m0.0_n0.0 floordiv 2) + 4*(m0.1.0_n0.1.0 floordiv 16) < 16*n) {
//             out0[m0.1.1 + 64*(m0.0_n0.0 floordiv 2) + 4*(m0.1.0_n0.1.0 floordiv 16), n0.1.1 + 64*(m0.0_n0.0 mod 2) + 4*(m0.1.0_n0.1.0 mod 16)] = gelu(acc.tile[m0.1.1, n0.1.1])
//           }
//         }
//       }
//     }
//   }
// }
__global__ void block_up_(const float *__restrict__ in0, const float *__restrict__ in1,
    float *__restrict__ out0, int64_t n) {
    const int64_t block = blockIdx.x;
    const int t = threadIdx.x;
    float acc_tile[4][4];
    #pragma unroll
    for (int64_t m = 0; m < 4; m++) {
        #pragma unroll
        for (int64_t n_2 = 0; n_2 < 4; n_2++) {
            acc_tile[m][n_2] = 0.0f;
        }
    }
    const int64_t m_block = block / 2;
    const int64_t m_thread = t / 16;
    const int64_t n_block = block % 2;
    const int64_t n_thread = t % 16;
    for (int64_t k0 = 0; k0 < 64; k0++) {
        #pragma unroll
        for (int64_t m = 0; m < 4; m++) {
            const int64_t m_part = imin(m, 16 * n - 1 - 4 * m_thread - 64 * m_block);
            #pragma unroll
            for (int64_t n_2 = 0; n_2 < 4; n_2++) {
                acc_tile[m][n_2] = fma(in0[4096 * m_block + 256 * m_thread + 64 * m_part + k0],
                    in1[128 * k0 + 64 * n_block + 4 * n_thread + n_2], acc_tile[m][n_2]);
            }
        }
    }
    #pragma unroll
    for (int64_t m = 0; m < 4; m++) {
        #pragma unroll
        for (int64_t n_2 = 0; n_2 < 4; n_2++) {
            if (64 * m_block + 4 * m_thread + m < 16 * n) {
                out0[8192 * m_block + 512 * m_thread + 128 * m + 64 * n_block + 4 * n_thread
                    + n_2] = gelu(acc_tile[m][n_2]);
            }
        }
    }
}

// kernel block_down_(n in 1..inf; in0: f32[16*n, 128] in, in1: f32[128, 64] in,
//     in2: f32[16*n, 64] in, out0: f32[16*n, 64] out) contract in_place 4 schedule "split m0 64;
//     split n0 64; split m0.1 4; split n0.1 4; reorder  m0.0 n0.0 m0.1.0 n0.1.0 m0.1.1 n0.1.1;
//     unroll m0.1.1; unroll n0.1.1; cache m0.1.1 n0.1.1; fuse m0.1.0 n0.1.0; thread m0.1.0_n0.1.0;
//     fuse m0.0 n0.0; grid m0.0_n0.0" @ "block/down"("contract") + 26:3 {
//   grid m0.0_n0.0 in (n + 3) floordiv 4 {
//     thread m0.1.0_n0.1.0 in 256 {
//       alloc acc.tile: f32[4, 4] register
//       unroll m0.1.1 in 4 {
//         unroll n0.1.1 in 4 {
//           acc.tile[m0.1.1, n0.1.1] = 0
//         }
//       }
//       for k0 in 128 {
//         unroll m0.1.1 in 4 {
//           unroll n0.1.1 in 4 {
//             acc.tile[m0.1.1, n0.1.1] = fma(in0[64*m0.0_n0.0 + 4*(m0.1.0_n0.1.0 floordiv 16) + min(m0.1.1, 16*n - 64*m0.0_n0.0 - 4*(m0.1.0_n0.1.0 floordiv 16) - 1), k0], in1[k0, n0.1.1 + 4*(m0.1.0_n0.1.0 mod 16)], acc.tile[m0.1.1, n0.1.1])
//           }
//         }
//       }
//       unroll m0.1.1 in 4 {
//         unroll n0.1.1 in 4 {
//           if (64*m0.0_n0.0 + m0.1.1 + 4*(m0.1.0_n0.1.0 floordiv 16) < 16*n) {
//             out0[64*m0.0_n0.0 + m0.1.1 + 4*(m0.1.0_n0.1.0 floordiv 16), n0.1.1 + 4*(m0.1.0_n0.1.0 mod 16)] = in2[64*m0.0_n0.0 + m0.1.1 + 4*(m0.1.0_n0.1.0 floordiv 16), n0.1.1 + 4*(m0.1.0_n0.1.0 mod 16)] + acc.tile[m0.1.1, n0.1.1]
//           }
//         }
//       }
//     }
//   }
// }
__global__ void block_down_(const float *in0, const float *in1, const float *in2, float *out0,
    int64_t n) {
    const int64_t block = blockIdx.x;
    const int t = threadIdx.x;
    float acc_tile[4][4];
    #pragma unroll
    for (int64_t m = 0; m < 4; m++) {
        #pragma unroll
        for (int64_t n_2 = 0; n_2 < 4; n_2++) {
            acc_tile[m][n_2] = 0.0f;
        }
    }
    const int64_t m_thread = t / 16;
    const int64_t n_thread = t % 16;
    for (int64_t k0 = 0; k0 < 128; k0++) {
        #pragma unroll
        for (int64_t m = 0; m < 4; m++) {
            const int64_t m_part = imin(m, 16 * n - 1 - 64 * block - 4 * m_thread);
            #pragma unroll
            for (int64_t n_2 = 0; n_2 < 4; n_2++) {
                acc_tile[m][n_2] = fma(in0[8192 * block + 512 * m_thread + 128 * m_part + k0],
                    in1[64 * k0 + 4 * n_thread + n_2], acc_tile[m][n_2]);
            }
        }
    }
    #pragma unroll
    for (int64_t m = 0; m < 4; m++) {
        #pragma unroll
        for (int64_t n_2 = 0; n_2 < 4; n_2++) {
            if (64 * block + 4 * m_thread + m < 16 * n) {
                out0[4096 * block + 256 * m_thread + 64 * m + 4 * n_thread + n_2] =
                    in2[4096 * block + 256 * m_thread + 64 * m + 4 * n_thread + n_2]
                    + acc_tile[m][n_2];
            }
        }
    }
}

// kernel block_pool(n in 1..inf; in0: f32[n, 16, 64] in,
//     out0: f32[n, 64] out) reduce schedule "fuse i0 i1; split i0_i1 256; grid i0_i1.0;
//     thread i0_i1.1" @ "block/pool"("reduce") {
//   grid i0_i1.0 in (n + 3) floordiv 4 {
//     thread i0_i1.1 in 256 {
//       if (256*i0_i1.0 + i0_i1.1 < 64*n) {
//         alloc acc: f32[] register
//         acc[] = 0
//         for k0 in 16 {
//           acc[] = acc[] + in0[4*i0_i1.0 + i0_i1.1 floordiv 64, k0, i0_i1.1 mod 64]
//         }
//         out0[4*i0_i1.0 + i0_i1.1 floordiv 64, i0_i1.1 mod 64] = acc[]
//       }
//     }
//   }
// }
__global__ void block_pool(const float *__restrict__ in0, float *__restrict__ out0, int64_t n) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    if (i >= 64 * n)
        return;
    float acc = 0.0f;
    const int64_t i0 = i / 64;
    const int64_t i1 = i % 64;
    for (int64_t k0 = 0; k0 < 16; k0++) {
        acc += in0[1024 * i0 + 64 * k0 + i1];
    }
    out0[64 * i0 + i1] = acc;
}

// kernel block_head_(n in 1..inf; in0: f32[n, 64] in, in1: f32[64, 10] in, in2: f32[10] in,
//     out0: f32[n, 10] out) contract schedule "fuse m0 n0; split m0_n0 256; grid m0_n0.0;
//     thread m0_n0.1" @ "block/head"("contract") + 29:3 {
//   grid m0_n0.0 in (5*n + 127) floordiv 128 {
//     thread m0_n0.1 in 256 {
//       if (256*m0_n0.0 + m0_n0.1 < 10*n) {
//         alloc acc: f32[] register
//         acc[] = 0
//         for k0 in 64 {
//           acc[] = fma(in0[25*m0_n0.0 + (6*m0_n0.0 + m0_n0.1) floordiv 10, k0],
//     in1[k0, (6*m0_n0.0 + m0_n0.1) mod 10], acc[])
//         }
//         out0[25*m0_n0.0 + (6*m0_n0.0 + m0_n0.1) floordiv 10, (6*m0_n0.0 + m0_n0.1) mod 10] = acc[] + in2[(6*m0_n0.0 + m0_n0.1) mod 10]
//       }
//     }
//   }
// }
__global__ void block_head_(const float *__restrict__ in0, const float *__restrict__ in1,
    const float *__restrict__ in2, float *__restrict__ out0, int64_t n) {
    const int64_t i = 256 * int64_t(blockIdx.x) + threadIdx.x;
    if (i >= 10 * n)
        return;
    float acc = 0.0f;
    const int64_t m0 = i / 10;
    const int64_t n0 = i % 10;
    for (int64_t k0 = 0; k0 < 64; k0++) {
        acc = fma(in0[64 * m0 + k0], in1[10 * k0 + n0], acc);
    }
    out0[10 * m0 + n0] = acc + in2[n0];
}

// kernel block_softmax(n in 1..inf; in0: f32[n, 10] in,
//     out0: f32[n, 10] out) rows schedule "split i0 256; grid i0.0;
//     thread i0.1" @ "block/softmax"("softmax") {
//   grid i0.0 in (n + 255) floordiv 256 {
//     thread i0.1 in 256 {
//       if (256*i0.0 + i0.1 < n) {
//         alloc most: f32[] register
//         most[] = -inf
//         for r0 in 10 {
//           most[] = max(most[], in0[256*i0.0 + i0.1, r0])
//         }
//         alloc sum: f32[] register
//         sum[] = 0
//         for r1 in 10 {
//           sum[] = sum[] + exp(in0[256*i0.0 + i0.1, r1] - most[])
//           out0[256*i0.0 + i0.1, r1] = exp(in0[256*i0.0 + i0.1, r1] - most[])
//         }
//         alloc scale: f32[] register
//         scale[] = 1 / sum[]
//         for r2 in 10 {
//           out0[256*i0.0 + i0.1, r2] = out0[256*i0.0 + i0.1, r2] * scale[]
//         }
//       }
//     }
//   }
// }
__global__ void block_softmax(const float *__restrict__ in0, float *__restrict__ out0, int64_t n) {
    const int64_t i0 = 256 * int64_t(blockIdx.x) + threadIdx.x;
    if (i0 >= n)
        return;
    float most = -INFINITY;
    for (int64_t r0 = 0; r0 < 10; r0++) {
        most = nanmax(most, in0[10 * i0 + r0]);
    }
    float sum = 0.0f;
    for (int64_t r1 = 0; r1 < 10; r1++) {
        sum += exp(in0[10 * i0 + r1] - most);
        out0[10 * i0 + r1] = exp(in0[10 * i0 + r1] - most);
    }
    float scale = 1.0f / sum;
    for (int64_t r2 = 0; r2 < 10; r2++) {
        out0[10 * i0 + r2] = out0[10 * i0 + r2] * scale;
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
    launch(block_patch, 4 * n, 256, stream, image, patch, block_patch_out, n);
    const float *position = (const float *)inputs[2];
    float *patches = (float *)arena;
    launch(block_place, 4 * n, 256, stream, block_patch_out, position, patches, n);
    const float *g1 = (const float *)inputs[3];
    const float *b1 = (const float *)inputs[4];
    const int64_t at = imax(4096 * n, 64 * ((5 * n + 7) / 8));
    float *block_norm1_out = offset<float>(arena, at);
    launch(block_norm1, (n + 15) / 16, 256, stream, patches, g1, b1, block_norm1_out, n);
    const float *q = (const float *)inputs[5];
    float *queries = offset<float>(arena, 4096 * n + at);
    launch(block_queries, (n + 3) / 4, 256, stream, block_norm1_out, q, queries, n);
    const float *k = (const float *)inputs[6];
    float *keys = offset<float>(arena, 12288 * n + at);
    launch(block_queries, (n + 3) / 4, 256, stream, block_norm1_out, k, keys, n);
    float *block_scores_out = offset<float>(arena, 16384 * n + at);
    launch(block_scores_, n, 256, stream, queries, keys, block_scores_out, n);
    const float *v = (const float *)inputs[7];
    float *values = offset<float>(arena, 4096 * n + at);
    launch(block_queries, (n + 3) / 4, 256, stream, block_norm1_out, v, values, n);
    float *block_attention_out = offset<float>(arena, at);
    launch(block_attention, (n + 15) / 16, 256, stream, block_scores_out, block_attention_out, n);
    float *block_mix_out = (float *)arena;
    launch(block_mix_, 4 * n, 256, stream, block_attention_out, values, patches, block_mix_out, n);
    const float *g2 = (const float *)inputs[8];
    const float *b2 = (const float *)inputs[9];
    float *block_norm2_out = offset<float>(arena, at);
    launch(block_norm1, (n + 15) / 16, 256, stream, block_mix_out, g2, b2, block_norm2_out, n);
    const float *up = (const float *)inputs[10];
    float *hidden = offset<float>(arena, 4096 * n + at);
    launch(block_up_, 2 * ((n + 3) / 4), 256, stream, block_norm2_out, up, hidden, n);
    const float *down = (const float *)inputs[11];
    float *block_down_out = (float *)arena;
    launch(block_down_, (n + 3) / 4, 256, stream, hidden, down, block_mix_out, block_down_out, n);
    float *block_pool_out = offset<float>(arena, 16384 * n + at);
    launch(block_pool, (n + 3) / 4, 256, stream, block_down_out, block_pool_out, n);
    const float *head = (const float *)inputs[12];
    const float *bias = (const float *)inputs[13];
    float *block_head_out = (float *)arena;
    launch(block_head_, (5 * n + 127) / 128, 256, stream, block_pool_out, head, bias,
        block_head_out, n);
    float *probabilities = (float *)outputs[0];
    launch(block_softmax, (n + 255) / 256, 256, stream, block_head_out, probabilities, n);
    return cudaGetLastError();
}
