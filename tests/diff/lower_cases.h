/* lower_cases.h - the ops that become kernels by themselves, as cases: for every back end. */
#ifndef LATHE_TESTS_LOWER_CASES_H
#define LATHE_TESTS_LOWER_CASES_H

#include "tests/diff/lower_fixture.h"

static const Case map_cases[] = {
    {"%x: f32[n,h,5]", "%a = sigmoid %x yield %a"},
    {"%x: f32[n,h,5], %y: f32[h,1]", "%a = add %x, %y yield %a"},
    {"%x: f32[n,h,5], %y: f32[5]", "%a = mul %x, %y yield %a"},
    {"%x: f32[n,1,5], %y: f32[h,1], %z: f32[]", "%a = fma %x, %y, %z yield %a"},
    {"%x: f32[]", "%a = neg %x yield %a"},
    {"%x: f32[n,4]", "%c = const f32[4] [1,2,3,4] %a = mul %x, %c yield %a"},
    {"%x: f32[n,4]", "%c = const f32[] [2.5] %a = mul %x, %c yield %a"},
    {"%x: f32[n,4]", "%a = convert %x {dtype = i32} yield %a"},
    {"%x: i32[n,4]", "%a = convert %x {dtype = f16} yield %a"},
    {"%x: f32[n,4]", "%a = bitcast %x {dtype = i32} yield %a"},
    {"%x: i64[n,4], %y: f64[n,4]",
     "%a = bitcast %x {dtype = f64} %b = add %a, %y %c = bitcast %b {dtype = u64} "
     "yield %a, %c"},
    {"%x: i16[n,4]", "%a = bitcast %x {dtype = f16} %b = bitcast %a {dtype = u16} "
                     "%c = bitcast %x {dtype = bf16} yield %a, %b, %c"},
    {"%x: f16[n,4]", "%a = neg %x %b = bitcast %a {dtype = i16} yield %b"},
    {"%x: i8[n,4]", "%a = bitcast %x {dtype = f8e4m3fn} %b = bitcast %x {dtype = bool} "
                    "%c = bitcast %x {dtype = u8} yield %a, %b, %c"},
    {"%x: f8e5m2[n,4], %y: bool[n,4]",
     "%a = bitcast %x {dtype = u8} %b = bitcast %y {dtype = i8} yield %a, %b"},
    {"%x: i4[n,4]", "%a = bitcast %x {dtype = f4e2m1} %b = bitcast %a {dtype = u4} "
                    "yield %a, %b"},
    {"%x: f32[n,4], %y: f32[n,4]", "%a = gt %x, %y %b = select %a, %x, %y yield %a, %b"},
    {"%x: i64[n,4], %y: i64[4]", "%a = floordiv %x, %y %b = mod %x, %y yield %a, %b"},
    {"%x: f32[n,h]", "%i = iota {axis = 1, shape = [n, h], dtype = f32} %a = add %x, %i yield %a"},
    {"%x: f32[n,h]", "%d = dims {dims = [n, h, n + 2*h]} yield %d"},
};

static const Case move_cases[] = {
    {"%x: f32[n,h,6]", "%a = transpose %x {perm = [2, 0, 1]} yield %a"},
    {"%x: f32[n,h,6]", "%a = transpose %x {perm = [0, 2, 1]} yield %a"},
    {"%x: f32[n,h,6]", "%a = reshape %x {shape = [n * h, 6]} yield %a"},
    {"%x: f32[h,5,1]", "%a = broadcast %x {shape = [n, h, 5, 4]} yield %a"},
    {"%x: f32[n,7,5]",
     "%a = slice %x {start = [0, 1, 4], size = [n, 3, 3], step = [1, 2, -2]} yield %a"},
    {"%x: f32[n,4,5]", "%a = pad %x {pad_lo = [0, 1, 2], pad_hi = [0, 2, 0]} yield %a"},
    {"%x: f32[n,4,5]",
     "%a = pad %x {pad_lo = [0, -1, 2], pad_hi = [0, 2, -1], value = f32[] [7]} yield %a"},
    {"%x: f32[n,4,5]",
     "%a = pad %x {pad_lo = [0, 3, 1], pad_hi = [0, 2, 4], mode = \"reflect\"} yield %a"},
    {"%x: f32[n,4,5]",
     "%a = pad %x {pad_lo = [0, 3, 1], pad_hi = [0, 2, 6], mode = \"edge\"} yield %a"},
    {"%x: f32[n,4,5]",
     "%a = pad %x {pad_lo = [0, 3, 1], pad_hi = [0, 2, 5], mode = \"wrap\"} yield %a"},
    {"%x: f32[h]", "%a = pad %x {pad_lo = [h], pad_hi = [2], mode = \"edge\"} yield %a"},
    {"%x: f32[n,2], %y: f32[n,h], %z: f32[n,3]", "%a = concat %x, %y, %z {axis = 1} yield %a"},
    {"%x: f32[n,2], %y: f32[h,2]", "%a = concat %x, %y {axis = 0} yield %a"},
    {"%x: f32[n,0], %y: f32[n,2]", "%a = concat %x, %y, %x {axis = 1} yield %a"},
    {"%x: f32[3,13]", "%a = pack %x {axis = 1, packed = 4, count = 0} yield %a"},
    {"%x: f32[13,3,2]", "%a = pack %x {axis = 0, packed = 8, count = 1} yield %a"},
    {"%x: f32[n,3]", "yield %x, %x"},
    {"%x: f32[n,3]", "%a = neg %x %b = reshape %a {shape = [3 * n]} yield %a, %b, %x"},
};

#define RESIZE(shape, mode, direction) \
    "%a = resize %x {shape = " shape ", mode = \"" mode "\", direction = \"" direction \
    "\"} yield %a"

static const Case resize_cases[] = {
    {"%x: f32[n,h,3,2]", RESIZE("[n, 2*h, 6, 2]", "nearest_floor", "asymmetric")},
    {"%x: u8[n,h,3,2]", RESIZE("[n, 2*h, 6, 2]", "nearest_round", "half_pixel")},
    {"%x: f32[n,h,6,2]", RESIZE("[n, 3*h, 4, 2]", "nearest_ceil", "half_pixel")},
    {"%x: f32[n,h,6,2]", RESIZE("[n, 4*h, 5, 2]", "nearest_floor", "half_pixel")},
    {"%x: f32[n,h + 5,6]", RESIZE("[n, h, 11]", "nearest_round", "align_corners")},
    {"%x: f32[n,h,6,2]", RESIZE("[n, 2*h, 11, 2]", "linear", "half_pixel")},
    {"%x: f32[n,h + 4,6,2]", RESIZE("[n, h, 4, 2]", "linear", "pytorch_half_pixel")},
    {"%x: f32[n,h,6,2]", RESIZE("[n, h, 1, 2]", "linear", "pytorch_half_pixel")},
    {"%x: f16[n,h,6]", RESIZE("[n, 2*h, 9]", "linear", "asymmetric")},
    {"%x: f32[n,h,6]", RESIZE("[n, 3*h, 8]", "linear", "align_corners")},
    {"%x: f32[n,h,6]", RESIZE("[n, h + 3, 8]", "cubic", "half_pixel")},
    {"%x: f32[n,h,6]", RESIZE("[n, h, 3]", "cubic", "align_corners")},
};

static const Case gather_cases[] = {
    {"%x: f32[5,h], %i: i64[n,2]", "%a = gather %x, %i {axis = 0} yield %a"},
    {"%x: f32[n,5,h], %i: i32[4]", "%a = gather %x, %i {axis = 1} yield %a"},
    {"%x: f32[n,5], %i: i64[]", "%a = gather %x, %i {axis = 1} yield %a"},
    {"%x: f32[n,5], %i: i64[n,3]", "%a = gather_elements %x, %i {axis = 1} yield %a"},
    {"%x: f32[5,4,h], %i: i64[n,2]", "%a = gather_nd %x, %i {count = 0} yield %a"},
    {"%x: f32[n,4,h], %i: i64[n,1]", "%a = gather_nd %x, %i {count = 1} yield %a"},
    {"%x: f32[5,4], %i: i64[3,4], %u: f32[3,4]",
     "%a = scatter_elements %x, %i, %u {axis = 0} yield %a"},
    {"%x: f32[5,4], %i: i64[3,4], %u: f32[3,4]",
     "%a = scatter_elements %x, %i, %u {axis = 0, fn = add} yield %a"},
    {"%x: f32[5,h], %i: i64[n,1], %u: f32[n,h]", "%a = scatter_nd %x, %i, %u yield %a"},
    {"%x: f32[5,3,h], %i: i64[n,2], %u: f32[n,h]",
     "%a = scatter_nd %x, %i, %u {fn = max} yield %a"},
    {"%x: f32[n,7]",
     "%v, %i = topk %x {axis = 1, size = [3], largest = true, sorted = true} yield %v, %i"},
    {"%k: bool[n,h], %e: f32[n,h,4], %m: i64[]",
     "%o = const f32[] [0.1] %s = suppress %k, %e, %m, %o yield %s"},
    {"%e: f64[2,9,4], %o: f64[]",
     "%t = const bool[] [true] %k = broadcast %t {shape = [2, 9]} %m = const i64[] [4] "
     "%a = slice %e {start = [0, 0, 0], size = [2, 9, 2], step = [1, 1, 1]} "
     "%b = abs %e %c = slice %b {start = [0, 0, 2], size = [2, 9, 2], step = [1, 1, 1]} "
     "%d = add %a, %c %f = concat %a, %d {axis = 2} %s = suppress %k, %f, %m, %o yield %s"},
};

static const Case fold_cases[] = {
    {"%x: f32[n,h,6]", "%a = reduce.add %x {axes = [1], keep = true} yield %a"},
    {"%x: f32[n,h,6]", "%a = reduce.max %x {axes = [2], keep = false} yield %a"},
    {"%x: f32[n,h,6]", "%a = reduce.add %x {axes = [0, 1], keep = false} yield %a"},
    {"%x: f32[n,h,6]", "%a = reduce.mul %x {axes = [0, 2], keep = true} yield %a"},
    {"%x: f32[n,h,6]", "%a = reduce.add %x {axes = [0, 1, 2], keep = false} yield %a"},
    {"%x: f32[n,1,6]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: f32[n,1,6]", "%a = reduce.add %x {axes = [], keep = false} yield %a"},
    {"%x: i8[n,70]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: f16[n,70]", "%a = reduce.add %x {axes = [1], keep = false} yield %a"},
    {"%x: bool[n,3]", "%a = reduce.and %x {axes = [1], keep = false} yield %a"},
    {"%x: bool[n,3]", "%a = reduce.max %x {axes = [0], keep = false} yield %a"},
    {"%x: i64[n,h,3]", "%a = reduce.min %x {axes = [0], keep = false} yield %a"},
    {"%x: f32[n,h,6]", "%a = argreduce.max %x {axis = 2, keep = false} yield %a"},
    {"%x: i32[n,h,6]", "%a = argreduce.min %x {axis = 1, keep = true} yield %a"},
    {"%x: f32[n,h,6]", "%a = cumulate.add %x {axis = 1} yield %a"},
    {"%x: i32[n,h,6]",
     "%a = cumulate.add %x {axis = 0, exclusive = true, reverse = true} yield %a"},
    {"%x: f32[n,h + 3,9,5]",
     "%a = window.max %x {axes = [1, 2], kernel = [3, 2], strides = [2, 1], "
     "dilations = [1, 2], pad_lo = [1, 0], pad_hi = [1, 1]} yield %a"},
    {"%x: f32[n,8,8,3]", "%a = window.add %x {axes = [1, 2], kernel = [2, 2], strides = [2, 2], "
                         "dilations = [1, 1], pad_lo = [0, 0], pad_hi = [0, 0]} "
                         "%c = const f32[] [0.25] %b = mul %a, %c yield %b"},
    {"%x: f32[n,h,37]", "%a = softmax %x {axis = 2} yield %a"},
    {"%x: f32[n,h,5]", "%a = softmax %x {axis = 1} yield %a"},
    {"%x: f32[5,h]", "%a = log_softmax %x {axis = 1} yield %a"},
    {"%x: f16[n,7]", "%a = softmax %x {axis = 1} yield %a"},
    {"%x: f32[n,h,33], %s: f32[33], %b: f32[33]",
     "%a = layer_norm %x, %s, %b {axis = 2, epsilon = 1e-5} yield %a"},
    {"%x: f32[n,h,9], %s: f32[h,9]", "%a = layer_norm %x, %s {axis = 1, epsilon = 0.1} yield %a"},
    {"%x: f32[n,h,9]", "%a = layer_norm %x {axis = 2, epsilon = 0.1} yield %a"},
};

static const Case contraction_cases[] = {
    {"%x: f32[n,h], %y: f32[h,19]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
    {"%x: f32[n,4,h], %y: f32[n,h,6]", "%a = contract %x, %y {spec = \"bmk,bkn->bmn\"} yield %a"},
    {"%x: f32[n,4,7], %y: f32[7,16]", "%a = contract %x, %y {spec = \"bmk,kn->bmn\"} yield %a"},
    {"%x: f32[n,5,2,8], %y: f32[n,h,2,8]",
     "%a = contract %x, %y {spec = \"bqhd,bkhd->bhqk\"} yield %a"},
    {"%x: f32[9], %y: f32[9]", "%a = contract %x, %y {spec = \"k,k->\"} yield %a"},
    {"%x: f32[n], %y: f32[h]", "%a = contract %x, %y {spec = \"m,n->mn\"} yield %a"},
    {"%x: f32[n,6], %y: f32[6]", "%a = contract %x, %y {spec = \"mk,k->m\"} yield %a"},
    {"%x: i8[n,60], %y: i8[60,3]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
    {"%x: f16[n,6], %y: f16[6,3]", "%a = contract %x, %y {spec = \"mk,kn->mn\"} yield %a"},
    {"%x: f32[n,6], %y: f32[2,6,8]",
     "%a = contract %x, %y {spec = \"mk,kn->mn\", packed = 8, size = [13]} yield %a"},
    {"%x: f32[n,6], %y: f32[2,6,8]",
     "%a = contract %x, %y {spec = \"mk,kn->mn\", packed = 8} yield %a"},
    {"%x: i32[n,6], %y: i32[2,6,8]",
     "%a = contract %x, %y {spec = \"mk,kn->mn\", packed = 8, size = [13]} yield %a"},
    {"%x: f32[n,4,6], %y: f32[n,2,6,8]",
     "%a = contract %x, %y {spec = \"bmk,bkn->bmn\", packed = 8, size = [16]} yield %a"},
};

static const Case convolution_cases[] = {
    {"%x: f32[n,h + 2,7,3], %w: f32[3,3,3,10]",
     CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
    {"%x: f32[n,h + 2,7,3], %w: f32[3,3,3,10]",
     CONV("[2, 1]", "[1, 2]", "[1, 1]", "[1, 2]", "groups = 1")},
    {"%x: f32[n,h,7,3], %w: f32[1,1,3,17]",
     CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
    {"%x: f32[n,h,7,3], %w: f32[1,1,3,17]",
     CONV("[2, 2]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
    {"%x: f32[n,h + 2,7,6], %w: f32[3,3,1,6]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 6")},
    {"%x: f32[n,h + 2,7,6], %w: f32[3,3,1,12]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 6")},
    {"%x: f32[n,h + 2,7,6], %w: f32[3,3,3,8]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 2")},
    {"%x: f32[n,9,4], %w: f32[3,4,5]", CONV("[1]", "[1]", "[1]", "[1]", "groups = 1")},
    {"%x: f32[n,4,5,3], %w: f32[3,3,3,4]",
     CONV("[1, 1]", "[1, 1]", "[1, 2]", "[1, 2]", "groups = 1, input_dilation = [2, 3]")},
    {"%x: f32[n,h + 2,7,3], %w: f32[2,3,3,3,8]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 1, packed = 8, size = [11]")},
    {"%x: i32[n,h + 2,7,3], %w: i32[2,3,3,3,8]",
     CONV("[1, 1]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 1, packed = 8, size = [11]")},
    {"%x: f32[n,h,7,3], %w: f32[2,1,1,3,8]",
     CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1, packed = 8, size = [16]")},
    /* One channel, to one channel: by lanes of taps, or of positions. */
    {"%x: f32[n,h + 2,71,1], %w: f32[3,40,1,1]",
     CONV("[1, 2]", "[1, 1]", "[1, 1]", "[1, 1]", "groups = 1")},
    {"%x: f32[n,71,1], %w: f32[40,1,1]", CONV("[1]", "[1]", "[0]", "[0]", "groups = 1")},
    {"%x: f32[n,71,1], %w: f32[40,1,1]", CONV("[3]", "[1]", "[0]", "[0]", "groups = 1")},
    /* Rows of positions that tiles fit: one vector of channels. */
    {"%x: f32[n,h + 2,38,3], %w: f32[3,3,3,8]",
     CONV("[1, 1]", "[1, 1]", "[0, 0]", "[0, 0]", "groups = 1")},
    {"%x: f32[n,h + 2,73,3], %w: f32[3,3,3,8]",
     CONV("[2, 2]", "[1, 1]", "[0, 1]", "[0, 0]", "groups = 1")},
    {"%x: i32[n,9,4], %w: i32[3,4,5]", CONV("[1]", "[1]", "[1]", "[1]", "groups = 1")},
};

#define WINOGRAD(tile, lo, hi, outputs) \
    "%a = winograd %x, %w {tile = [" tile "], pad_lo = " lo ", pad_hi = " hi ", size = [" outputs \
    "]} %b = relu %a yield %b"

static const Case winograd_cases[] = {
    {"%x: f32[n,h + 2,7,3], %w: f32[6,6,2,3,8]", WINOGRAD("4, 4", "[0, 0]", "[0, 0]", "11")},
    {"%x: f32[n,h + 2,7,3], %w: f32[4,4,2,3,8]", WINOGRAD("2, 2", "[1, 1]", "[1, 1]", "16")},
    {"%x: f32[n,h,9,5], %w: f32[6,6,1,5,32]", WINOGRAD("4, 4", "[1, 2]", "[1, 0]", "30")},
    {"%x: f32[n,8,8,17], %w: f32[6,6,3,17,8]", WINOGRAD("4, 4", "[1, 1]", "[1, 1]", "24")},
    {"%x: f32[1,h + 4,h,2], %w: f32[4,4,1,2,16]", WINOGRAD("2, 2", "[1, 1]", "[1, 1]", "2")},
    {"%x: f32[n,14,14,2], %w: f32[6,6,5,2,4]", WINOGRAD("4, 4", "[1, 1]", "[1, 1]", "20")},
    {"%x: f32[n,h + 4,1,3], %w: f32[8,1,2,3,8]", WINOGRAD("4, 1", "[2, 0]", "[2, 0]", "11")},
    {"%x: f32[n,1,h + 5,5], %w: f32[1,6,1,5,8]", WINOGRAD("1, 2", "[0, 2]", "[0, 1]", "8")},
    {"%x: f32[n,9,11,3], %w: f32[6,4,2,3,8]", WINOGRAD("2, 2", "[2, 1]", "[2, 1]", "11")},
    {"%x: f32[1,h,3,4], %w: f32[8,1,1,4,16]", WINOGRAD("2, 1", "[3, 0]", "[3, 0]", "16")},
};

static const Case recurrent_cases[] = {
    {"%x: f32[h,n,12], %r: f32[3,12], %h: f32[n,3], %c: f32[n,3]",
     "%y, %a, %b = lstm %x, %r, %h, %c yield %y, %a, %b"},
    {"%x: f32[h,n,36], %r: f32[9,36], %h: f32[n,9], %c: f32[n,9]",
     "%y, %a, %b = lstm %x, %r, %h, %c {reverse = true} yield %y"},
    {"%x: f32[n,h,9], %r: f32[3,9], %b: f32[9], %h: f32[h,3]",
     "%y, %a = gru %x, %r, %b, %h yield %y, %a"},
    {"%x: f32[n,h,27], %r: f32[9,27], %b: f32[27], %h: f32[h,9]",
     "%y, %a = gru %x, %r, %b, %h {reverse = true, mode = \"linear_before_reset\"} yield %a, "
     "%y"},
};

#endif
