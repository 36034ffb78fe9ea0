/* test_llvm.c - kernels through LLVM against the kernel interpreter.
 *
 * Each kernel is a text; it runs with several values of its integers, unoptimized and optimized,
 * for the plain target and for the best one of this machine. Inputs are the same small numbers each
 * time; all outputs are compared, and the memory behind each buffer must be as it was. Kernels that
 * are scheduled first are compared with what they were before. */
#include <math.h>
#include <stdint.h>

#include "codegen/codegen.h"
#include "ir/eval.h"
#include "ir/schedule.h"
#include "tests/test.h"

enum { MAX_INTS = 3, MAX_RUNS = 4, MAX_BUFFERS = 6, GUARD_BYTES = 256, GUARD = 0xa5 };

typedef struct KernelCase {
    const char *text;
    double tolerance;                 /* relative; 0: exact */
    int64_t runs[MAX_RUNS][MAX_INTS]; /* values of the integers; a first one of 0 ends the list */
} KernelCase;

static const KernelCase cases[] = {
    {"kernel masked_tail(n in 1..inf; x: f32[n] in, y: f32[n] in, out: f32[n] out) {\n"
     "  parallel i in n ceildiv 16 { vector v in 16 { if (16*i + v < n) {\n"
     "    out[16*i + v] = relu(x[16*i + v] + y[16*i + v] * 0.5) } } } }",
     1e-6,
     {{1}, {16}, {37}, {64}}},
    {"kernel odd_lanes(n in 1..inf; x: f32[n, 24] in, out: f32[n, 24] out) {\n"
     "  parallel i in n { vector v in 24 { out[i, v] = max(x[i, v], x[i, 23 - v]) - min(x[i, "
     "3], x[i, v]) } } }",
     1e-6,
     {{1}, {5}}},
    {"kernel gemm(m in 1..inf, k in 1..inf; a: f32[m, k] in, b: f32[2, k, 16] in, c: f32[m, 27] "
     "out) {\n"
     "  parallel m0 in m ceildiv 6 { for n0 in 2 { alloc acc: f32[6, 16] register\n"
     "    unroll i in 6 { vector j in 16 { acc[i, j] = 0 } }\n"
     "    for q in k { unroll i2 in 6 { vector j2 in 16 {\n"
     "      acc[i2, j2] = fma(a[6*m0 + i2, q] where (6*m0 + i2 < m), b[n0, q, j2], acc[i2, j2]) "
     "} } }\n"
     "    unroll i3 in 6 { vector j3 in 16 { if (6*m0 + i3 < m) { if (16*n0 + j3 < 27) {\n"
     "      c[6*m0 + i3, 16*n0 + j3] = max(acc[i3, j3] + 1, 0) } } } } } } }",
     1e-5,
     {{1, 1}, {6, 5}, {13, 33}}},
    {"kernel transpose(n in 1..inf, m in 1..inf; x: f32[n, m] in, out: f32[m, n] out) {\n"
     "  parallel i in m { for j in n ceildiv 8 { vector v in 8 { if (8*j + v < n) {\n"
     "    out[i, 8*j + v] = x[8*j + v, i] } } } } }",
     0,
     {{1, 1}, {9, 7}, {16, 3}}},
    {"kernel square(b in 1..inf; x: f32[b, 16, 16] in, y: f32[16] in, out: f32[b, 16, 16] out) {\n"
     "  parallel i in b { unroll u in 16 { vector v in 16 {\n"
     "    out[i, u, v] = relu(x[i, v, u]) * y[v] - y[u] } } } }",
     1e-6,
     {{1}, {3}}},
    {"kernel squares(n in 1..inf, m in 1..inf; x: f32[n, m] in, y: f32[n, m] in, out: f32[m, n] "
     "out) {\n"
     "  parallel i in m ceildiv 8 { for j in n ceildiv 8 { unroll u in 8 { vector v in 8 {\n"
     "    if (8*i + u < m and 8*j + v < n) { out[8*i + u, 8*j + v] = x[8*j + v, 8*i + u] + "
     "y[8*j + v, 8*i + u] } } } } } }",
     0,
     {{1, 1}, {9, 7}, {16, 8}, {33, 20}}},
    {"kernel small_squares(n in 1..inf; x: i32[n, 4] in, h: f16[n, 4] in, out: f32[4, n] out) {\n"
     "  parallel j in n ceildiv 4 { unroll u in 4 { vector v in 4 { if (4*j + v < n) {\n"
     "    out[u, 4*j + v] = f32(x[4*j + v, u]) * f32(h[4*j + v, u]) } } } } }",
     1e-6,
     {{1}, {4}, {11}}},
    {"kernel bitcasts(n in 1..inf; f: f32[n] in, i: i16[n] in, b: i8[n] in, of: i32[n] out, "
     "oi: u16[n] out, ob: f32[n] out) {\n"
     "  parallel j in n ceildiv 8 { vector v in 8 { if (8*j + v < n) {\n"
     "    of[8*j + v] = bitcast.i32(f[8*j + v]) + bitcast.i32(f[8*j + v] * 2)\n"
     "    oi[8*j + v] = bitcast.u16(bitcast.f16(i[8*j + v]))\n"
     "    ob[8*j + v] = f32(bitcast.bf16(i[8*j + v])) + f32(bitcast.f8e5m2(b[8*j + v])) } } } }",
     0,
     {{1}, {8}, {37}}},
    {"kernel narrow_bits(n in 1..inf; h: f16[n] in, e: f8e4m3fn[n] in, b: i8[n] in, "
     "oh: i16[n] out, oe: u8[n] out, ob: bool[n] out) {\n"
     "  for j in n { oh[j] = bitcast.i16(h[j] * h[j])\n"
     "    oe[j] = bitcast.u8(-e[j])\n    ob[j] = not(bitcast.bool(b[j])) } }",
     0,
     {{1}, {37}}},
    {"kernel scatter_columns(n in 1..inf; x: f32[n, 8] in, out: f32[8, n] out) {\n"
     "  parallel i in n { vector v in 8 { out[v, i] = x[i, v] } } }",
     0,
     {{1}, {11}}},
    {"kernel sum_rows(n in 1..inf, m in 1..inf; x: f32[n, m] in, out: f32[n] out) {\n"
     "  parallel i in n { alloc acc: f32[8] register\n"
     "    vector z in 8 { acc[z] = 0 }\n"
     "    for k in m ceildiv 8 { vector v in 8 { if (8*k + v < m) { acc[v] = acc[v] + x[i, 8*k "
     "+ v] } } }\n"
     "    alloc sum: f32[1] register\n    sum[0] = 0\n"
     "    unroll s in 8 { sum[0] = sum[0] + acc[s] }\n    out[i] = sum[0] } }",
     1e-5,
     {{3, 5}, {2, 16}, {4, 77}}},
    {"kernel max_pool(h in 1..inf, w in 1..inf; x: f32[h, w, 8] in, out: f32[h, w, 8] out) {\n"
     "  parallel y in h { for z in w { alloc acc: f32[8] register\n"
     "    vector c in 8 { acc[c] = -inf }\n"
     "    for ky in 3 { for kx in 3 { if (-1 < y + ky - 1 and y + ky - 1 < h and -1 < z + kx - "
     "1 and z + kx - 1 < w)"
     " {\n      vector d in 8 { acc[d] = max(acc[d], x[y + ky - 1, z + kx - 1, d]) } } } }\n"
     "    vector e in 8 { out[y, z, e] = acc[e] } } } }",
     0,
     {{1, 1}, {4, 5}}},
    {"kernel row_filter(w in 1..inf; x: f32[w] in, k: f32[3] in, out: f32[w] out) {\n"
     "  parallel i in w ceildiv 8 { alloc acc: f32[8] register\n    vector z in 8 { acc[z] = 0 }\n"
     "    unroll t in 3 { vector v in 8 { acc[v] = fma(x[8*i + v + t - 1] where (-1 < 8*i + v + "
     "t - 1 and "
     "8*i + v + t - 1 < w), k[t], acc[v]) } }\n"
     "    vector e in 8 { if (8*i + e < w) { out[8*i + e] = acc[e] } } } }",
     1e-6,
     {{1}, {8}, {30}}},
    {"kernel embedding(n in 1..inf; ids: i64[n] in, table: f32[7, 20] in, out: f32[n, 20] out) {\n"
     "  parallel i in n { let row in 0..6 = clamp(ids[i], 0, 6)\n"
     "    vector v in 20 { out[i, v] = table[row, v] * 2 } } }",
     0,
     {{1}, {9}}},
    {"kernel lane_gather(n in 1..inf; ids: i32[n] in, table: f32[9] in, out: f32[n] out) {\n"
     "  parallel i in n ceildiv 8 { vector v in 8 { if (8*i + v < n) {\n"
     "    let at in 0..8 = clamp(i64(ids[8*i + v]), 0, 8)\n"
     "    out[8*i + v] = table[at] + table[8 - at] } } } }",
     1e-6,
     {{1}, {8}, {21}}},
    {"kernel own_copies(n in 1..inf; x: f32[n, 16] in, out: f32[n, 16] out) {\n"
     "  parallel i in n { vector v in 16 { alloc t: f32[3] stack\n"
     "    for k in 3 { t[k] = x[i, v] * f32(k + 1) }\n"
     "    out[i, v] = t[0] + t[1] * t[2] } } }",
     1e-6,
     {{1}, {4}}},
    {"kernel stages(n in 1..inf; x: f32[n, 40] in, out: f32[n, 40] out) {\n"
     "  parallel i in n { alloc row: f32[40] stack\n"
     "    for a in 3 { vector v in 16 { if (16*a + v < 40) { row[16*a + v] = exp(x[i, 16*a + "
     "v]) } } }\n"
     "    alloc sum: f32[1] register\n    sum[0] = 0\n    for s in 40 { sum[0] = sum[0] + "
     "row[s] }\n"
     "    for b in 3 { vector w in 16 { if (16*b + w < 40) { out[i, 16*b + w] = row[16*b + w] / "
     "sum[0] } } } } }",
     1e-5,
     {{1}, {3}}},
    {"kernel both_ways(n in 1..inf; x: i32[n] in, out: i32[n] out) {\n"
     "  parallel i in n ceildiv 16 { vector v in 16 { if (16*i + v < n) {\n"
     "    if (x[16*i + v] < 0) { out[16*i + v] = 0 - x[16*i + v] } else {\n"
     "      if (16*i + v < 5) { out[16*i + v] = 100 } else { out[16*i + v] = x[16*i + v] * 3 } "
     "} } } } }",
     0,
     {{1}, {16}, {50}}},
    {"kernel uniform_else(n in 1..inf, m in 1..inf; x: f32[n] in, out: f32[n] out) {\n"
     "  parallel i in n ceildiv 8 { vector v in 8 { if (8*i + v < n) { if (i < m and 8*i + v < "
     "11) {\n"
     "    out[8*i + v] = x[8*i + v] } else { out[8*i + v] = 0 - x[8*i + v] } } } } }",
     0,
     {{30, 1}, {30, 9}, {8, 2}}},
    {"kernel index_math(n in 1..inf, m in 1..inf; out: i64[n] out) {\n"
     "  parallel i in n ceildiv 8 { vector v in 8 { if (8*i + v < n) {\n"
     "    out[8*i + v] = (8*i + v) floordiv m + ((8*i + v) * 7 - 20) mod 6 - (8*i + v - 9) "
     "floordiv 4 } } } }",
     0,
     {{40, 3}, {17, 5}}},
    {"kernel index_floats(n in 1..inf; out: f32[n] out) {\n"
     "  parallel i in n ceildiv 8 { vector v in 8 { if (8*i + v < n) {\n"
     "    out[8*i + v] = f32(8*i + v) * 0.25 + select(v < 3, 1.0, f32(7 - v)) } } } }",
     1e-6,
     {{40}, {17}}},
    {"kernel triangle(n in 1..inf; x: f32[n, 8] in, out: f32[n, 8] out) {\n"
     "  parallel i in n { vector v in 8 { alloc s: f32[1] register\n    s[0] = 0\n"
     "    for j in v + 1 { s[0] = s[0] + x[i, j] }\n    out[i, v] = s[0] } } }",
     1e-5,
     {{1}, {3}}},
    {"kernel inner_loop(n in 1..inf, k in 1..inf; x: f32[n, k, 8] in, out: f32[n, 8] out) {\n"
     "  parallel i in n { vector v in 8 { alloc s: f32[1] register\n    s[0] = 0\n"
     "    for j in k { s[0] = s[0] + x[i, j, v] }\n    out[i, v] = s[0] } } }",
     1e-5,
     {{1, 1}, {3, 9}}},
    {"kernel bools(n in 1..inf; a: bool[n] in, x: f32[n] in, out: bool[n] out, y: f32[n] out) {\n"
     "  parallel i in n ceildiv 16 { vector v in 16 { if (16*i + v < n) {\n"
     "    out[16*i + v] = a[16*i + v] and x[16*i + v] > 0\n"
     "    y[16*i + v] = select(a[16*i + v], x[16*i + v], 7) } } } }",
     0,
     {{1}, {16}, {45}}},
    {"kernel halves(n in 1..inf; a: f16[n] in, b: bf16[n] in, out: f16[n] out, other: bf16[n] "
     "out) {\n"
     "  parallel i in n ceildiv 16 { vector v in 16 { if (16*i + v < n) {\n"
     "    out[16*i + v] = a[16*i + v] * a[16*i + v] + f16(b[16*i + v])\n"
     "    other[16*i + v] = bf16(a[16*i + v]) * b[16*i + v] } } } }",
     1e-2,
     {{1}, {16}, {45}}},
    {"kernel doubles(n in 1..inf; a: f64[n] in, out: f64[n] out) {\n"
     "  parallel i in n ceildiv 4 { vector v in 4 { if (4*i + v < n) {\n"
     "    out[4*i + v] = sqrt(abs(a[4*i + v])) * a[4*i + v] - floor(a[4*i + v]) } } } }",
     1e-12,
     {{1}, {4}, {9}}},
    {"kernel bytes(n in 1..inf; a: u8[n] in, b: i8[n] in, out: i32[n] out, wrapped: i8[n] out) {\n"
     "  parallel i in n ceildiv 32 { vector v in 32 { if (32*i + v < n) {\n"
     "    out[32*i + v] = i32(a[32*i + v]) * i32(b[32*i + v])\n"
     "    wrapped[32*i + v] = b[32*i + v] * b[32*i + v] } } } }",
     0,
     {{1}, {32}, {70}}},
    {"kernel integers(n in 1..inf; a: i32[n] in, b: i32[n] in, out: i32[n, 8] out) {\n"
     "  parallel i in n { out[i, 0] = a[i] / b[i]\n    out[i, 1] = mod(a[i], b[i])\n"
     "    out[i, 2] = fmod(a[i], b[i])\n    out[i, 3] = floordiv(a[i], b[i])\n    out[i, 4] = "
     "shl(a[i], b[i])\n"
     "    out[i, 5] = shr(a[i], b[i])\n    out[i, 6] = sign(a[i])\n    out[i, 7] = pow(a[i], "
     "b[i]) } }",
     0,
     {{60}}},
    {"kernel saturating(n in 1..inf; a: f32[n] in, out: i8[n] out, more: u8[n] out) {\n"
     "  parallel i in n ceildiv 8 { vector v in 8 { if (8*i + v < n) {\n"
     "    out[8*i + v] = i8(a[8*i + v] * 1000)\n    more[8*i + v] = u8(a[8*i + v] * 1000) } } } }",
     0,
     {{20}}},
    {"kernel float_remainders(n in 1..inf; a: f32[n] in, b: f32[n] in, out: f32[n, 3] out) {\n"
     "  parallel i in n { out[i, 0] = mod(a[i], b[i] + 0.28125)\n    out[i, 1] = fmod(a[i], "
     "b[i] + 0.28125)\n"
     "    out[i, 2] = floordiv(a[i], b[i] + 0.28125) } }",
     1e-5,
     {{40}}},
    {"kernel serial(n in 1..inf; x: f32[n] in, out: f32[n] out) {\n"
     "  out[0] = x[0]\n  for i in n - 1 { out[i + 1] = out[i] * 0.5 + x[i + 1] } }",
     1e-5,
     {{1}, {20}}},
};

/* A kernel as lowering makes it, and the schedule that it is compiled with. */
typedef struct ScheduledCase {
    const char *schedule;
    KernelCase kernel;
} ScheduledCase;

/* Columns in panels of 16, the last one of 11. */
static const char product_text[] =
    "kernel product(m in 1..inf, k in 1..inf; a: f32[m, k] in, b: f32[3, k, 16] in, "
    "c: f32[m, 43] out) contract {\n"
    "  for i in m { for j in 43 { alloc acc: f32[] register\n    acc[] = 0\n"
    "    for q in k { acc[] = fma(a[i, q], b[j floordiv 16, q, j mod 16], acc[]) }\n"
    "    c[i, j] = relu(acc[]) } } }";
static const char tile_schedule[] =
    "block i 12; split j 16; split i.1 6; reorder i.0 j.0 i.1.0 i.1.1 j.1; unroll i.1.1; "
    "vectorize j.1; cache i.1.1 j.1; fuse i.0 j.0; parallel i.0_j.0";

static const ScheduledCase scheduled_cases[] = {
    {tile_schedule, {product_text, 1e-5, {{1, 1}, {6, 5}, {13, 33}, {24, 2}}}},
    {"split j 16; reorder i j.0 j.1; vectorize j.1; cache j.1; fuse i j.0; parallel i_j.0",
     {product_text, 1e-5, {{1, 1}, {5, 19}}}},
    {"rfactor q 32; parallel i",
     {"kernel norms(n in 1..inf, m in 1..inf; x: f32[n, m] in, out: f32[n] out) {\n"
      "  for i in n { alloc acc: f32[] register\n    acc[] = 0\n"
      "    for q in m { acc[] = fma(x[i, q], x[i, q], acc[]) }\n    out[i] = sqrt(acc[]) } }",
      1e-5,
      {{1, 1}, {3, 31}, {2, 32}, {4, 101}}}},
    {"rfactor q 16; parallel i",
     {"kernel greatest(n in 1..inf, m in 1..inf; x: f32[n, m] in, out: f32[n] out) {\n"
      "  for i in n { alloc acc: f32[] register\n    acc[] = -inf\n"
      "    for q in m { acc[] = max(x[i, q], acc[]) }\n    out[i] = acc[] } }",
      0,
      {{1, 1}, {3, 17}, {2, 64}}}},
    {"rfactor q 8; parallel i",
     {"kernel totals(n in 1..inf, m in 1..inf; x: i32[n, m] in, out: i32[n] out) {\n"
      "  for i in n { alloc acc: i32[] register\n    acc[] = 0\n"
      "    for q in m { acc[] = acc[] + x[i, q] }\n    out[i] = acc[] } }",
      0,
      {{1, 1}, {3, 23}}}},
    {"split v 32; vectorize v.1; cache v.1; parallel v.0",
     {"kernel columns(n in 1..inf, m in 1..inf; x: f32[n, m] in, out: f32[m] out) {\n"
      "  for v in m { alloc acc: f32[] register\n    acc[] = 0\n"
      "    for q in n { acc[] = acc[] + x[q, v] }\n    out[v] = acc[] } }",
      1e-5,
      {{1, 1}, {7, 32}, {5, 75}}}},
    {"block v 64; split v.1 16; vectorize v.1.1; parallel v.0",
     {"kernel chunks(n in 1..inf; x: f32[n] in, y: f32[n] in, out: f32[n] out) {\n"
      "  for v in n { out[v] = tanh(x[v]) * sigmoid(y[v]) } }",
      1e-6,
      {{1}, {64}, {79}, {200}}}},
    {"split b 16; vectorize b.1; split a 16; vectorize a.1; parallel i",
     {"kernel shares(n in 1..inf; x: f32[n, 40] in, out: f32[n, 40] out) {\n"
      "  for i in n { alloc row: f32[40] stack\n    for a in 40 { row[a] = exp(x[i, a]) }\n"
      "    for b in 40 { out[i, b] = row[b] * row[39 - b] } } }",
      1e-6,
      {{1}, {3}}}},
};

typedef struct Memory {
    uint8_t *data;
    size_t bytes;
    int64_t elements;
} Memory;

/* Small numbers of both signs, with repeats; the same for the same place. */
static int64_t number_at(size_t buffer, int64_t i) {
    return (int64_t)((i * 7 + (int64_t)buffer * 5) % 23) - 9;
}

static void fill(const Buffer *b, const Memory *m) {
    Tensor t = {.dtype = b->dtype, .rank = 1, .dims = {m->elements}, .data = m->data};
    for (int64_t i = 0; i < m->elements; i++) {
        if (lt_dtype_is_float(b->dtype))
            lt_tensor_set_float(&t, i, (double)number_at(b->index, i) / 8);
        else
            lt_tensor_set_int(
                &t, i, b->dtype == DT_BOOL ? number_at(b->index, i) > 0 : number_at(b->index, i));
    }
}

static Memory make_memory(Arena *arena, const Kernel *k, const Buffer *b, const int64_t *symbols) {
    Memory m = {.elements = 1};
    (void)k;
    for (int i = 0; i < b->rank; i++)
        m.elements *= lt_dim_eval(b->dims[i], symbols);
    m.bytes = (size_t)m.elements * lt_dtype_size(b->dtype);
    m.data = lt_arena_alloc_aligned(arena, m.bytes + GUARD_BYTES, 64);
    memset(m.data + m.bytes, GUARD, GUARD_BYTES);
    fill(b, &m);
    return m;
}

static bool agree(double a, double b, double tolerance) {
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= tolerance * fmax(1, fabs(b));
}

static void compare(const Kernel *k, const Buffer *b, const Memory *got, const Memory *want,
                    double tolerance) {
    const Tensor x = {.dtype = b->dtype, .data = got->data},
                 y = {.dtype = b->dtype, .data = want->data};
    for (int64_t i = 0; i < got->elements; i++) {
        const double a = lt_tensor_get_float(&x, i), c = lt_tensor_get_float(&y, i);
        ck_assert_msg(agree(a, c, tolerance), "%s: %s[%lld] is %.9g, the interpreter says %.9g",
                      k->name, b->name, (long long)i, a, c);
    }
    for (size_t i = 0; i < GUARD_BYTES; i++)
        ck_assert_msg(got->data[got->bytes + i] == GUARD, "%s: %s was written behind its end",
                      k->name, b->name);
}

typedef struct Run {
    const Kernel *plain, *kernel; /* interpreted; compiled */
    LtKernelFn *function;
    double tolerance;
} Run;

static void run_once(const Run *run, Arena *arena, const int64_t *ints) {
    const Kernel *k = run->plain;
    Memory got[MAX_BUFFERS], want[MAX_BUFFERS];
    void *mine[MAX_BUFFERS], *theirs[MAX_BUFFERS];
    int64_t *symbols = LT_ARRAY(arena, int64_t, k->dims.symbols.len + 1);
    for (size_t i = 0; i < k->ints.len; i++)
        symbols[k->ints.data[i]->symbol] = ints[i];
    for (uint32_t i = 0; i < k->param_count; i++) {
        got[i] = make_memory(arena, k, k->buffers.data[i], symbols);
        want[i] = make_memory(arena, k, k->buffers.data[i], symbols);
        mine[i] = got[i].data;
        theirs[i] = want[i].data;
    }
    const int64_t extent = lt_kernel_parallel_extent(run->kernel, ints), middle = extent / 2;
    const int64_t whole = lt_kernel_parallel_extent(k, ints);
    const char *error = lt_kernel_eval(k, arena, theirs, ints, 0, whole);
    ck_assert_msg(error == NULL, "%s: %s", k->name, error);
    void *scratch = lt_arena_alloc_aligned(
        arena, (size_t)lt_kernel_scratch_offset(run->kernel, NULL) + 1, LT_TENSOR_ALIGN);
    if (extent > 1)
        run->function(mine, ints, middle, extent, scratch);
    run->function(mine, ints, 0, extent > 1 ? middle : extent, scratch);
    for (uint32_t i = 0; i < k->param_count; i++)
        compare(k, k->buffers.data[i], &got[i], &want[i], run->tolerance);
}

static Kernel *parse(Arena *arena, const char *text, DiagList *diags) {
    Kernel *k = lt_kernel_parse(arena, text, strlen(text), diags);
    const bool is_good = k && lt_kernel_verify(k, diags);
    ck_assert_msg(is_good, "%s",
                  diags->items.len ? lt_diag_format(diags, &diags->items.data[0], false) : text);
    return k;
}

/* schedule may be NULL. */
static void run_case(const KernelCase *c, const char *schedule, const Target *target, int level) {
    Arena arena;
    DiagList diags;
    void *handle;
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, "case");
    Kernel *plain = parse(&arena, c->text, &diags), *k = plain;
    if (schedule) {
        k = parse(&arena, c->text, &diags);
        const char *error = lt_schedule_apply(k, schedule);
        ck_assert_msg(error == NULL, "%s: %s", k->name, error);
        ck_assert_msg(lt_kernel_verify(k, &diags), "%s is malformed when scheduled", k->name);
    }
    const CodegenOptions options = {.target = target, .level = level, .debug_info = level == 2};
    LtKernelFn *function = lt_codegen_load_kernel(k, &options, &handle, &diags);
    ck_assert_msg(function != NULL, "%s: %s", k->name,
                  diags.items.len ? diags.items.data[0].text : "no function");
    for (int i = 0; i < MAX_RUNS && c->runs[i][0]; i++)
        run_once(&(Run){plain, k, function, c->tolerance}, &arena, c->runs[i]);
    lt_codegen_unload(handle);
    lt_arena_free(&arena);
}

static void run_all(const Target *target, int level) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i], NULL, target, level);
}

static void run_scheduled(const Target *target, int level) {
    for (size_t i = 0; i < sizeof scheduled_cases / sizeof *scheduled_cases; i++)
        run_case(&scheduled_cases[i].kernel, scheduled_cases[i].schedule, target, level);
}

START_TEST(host_target_optimized) { run_all(lt_codegen_host_target(), 2); }
END_TEST
START_TEST(host_target_as_it_is) { run_all(lt_codegen_host_target(), 0); }
END_TEST

static const Target *plain_target(void) {
#if defined(__x86_64__)
    return lt_target_find("x86-64");
#else
    return lt_codegen_host_target();
#endif
}

START_TEST(plain_target_optimized) { run_all(plain_target(), 2); }
END_TEST
START_TEST(plain_target_as_it_is) { run_all(plain_target(), 0); }
END_TEST

START_TEST(scheduled_and_optimized) {
    run_scheduled(lt_codegen_host_target(), 2);
    run_scheduled(plain_target(), 2);
}
END_TEST
START_TEST(scheduled_as_it_is) { run_scheduled(lt_codegen_host_target(), 0); }
END_TEST

/* --- the inner loop of a product --- */

static int count_of(const char *text, const char *end, const char *word) {
    int count = 0;
    for (; (text = strstr(text, word)) != NULL && text < end; text += strlen(word))
        count++;
    return count;
}

/* From the label before the first multiplication to the jump behind it. */
static const char *find_loop(const char *text, const char **end) {
    const char *first = strstr(text, "vfmadd"), *label = first;
    ck_assert_msg(first != NULL, "no fused multiplication in\n%s", text);
    while (label > text && !(label[-1] == '\n' && label[0] == '.'))
        label--;
    *end = strstr(first, "\tj");
    ck_assert_msg(*end != NULL, "no loop in\n%s", text);
    return label;
}

/* Twelve accumulators, two vectors of b and a broadcast element of a fill the 16 registers of AVX2:
 * the loop over k multiplies, loads what it must, and leaves the stack alone. */
START_TEST(register_tile_stays_in_registers) {
    Arena arena;
    DiagList diags;
    Str text;
    const CodegenOptions options = {.target = lt_target_find("x86-64-avx2"), .level = 2};
    lt_arena_init(&arena);
    lt_diag_init(&diags, &arena, "case");
    lt_str_init(&text, &arena);
    Kernel *k = parse(&arena, product_text, &diags);
    ck_assert_ptr_null(lt_schedule_apply(k, tile_schedule));
    ck_assert(lt_codegen_kernel_text(k, &options, CODEGEN_ASM, &text, &diags));
    const char *end, *loop = find_loop(text.text, &end);
    const int products = count_of(loop, end, "vfmadd"), stack = count_of(loop, end, "(%rsp)");
    const int broadcasts = count_of(loop, end, "vbroadcastss");
    const int loads = count_of(loop, end, "vmovups");
    ck_assert_msg(products == 12 && broadcasts == 6 && loads <= 2 && stack == 0,
                  "%d products, %d broadcasts, %d loads, %d uses of the stack in\n%.*s", products,
                  broadcasts, loads, stack, (int)(end - loop), loop);
    lt_arena_free(&arena);
}
END_TEST

LT_TEST_MAIN("test_llvm", host_target_optimized, host_target_as_it_is, plain_target_optimized,
             plain_target_as_it_is, scheduled_and_optimized, scheduled_as_it_is,
             register_tile_stays_in_registers)
