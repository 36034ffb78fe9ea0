/* group_cases.h - groups with producers and epilogues, as cases: for every back end. */
#ifndef LATHE_TESTS_GROUP_CASES_H
#define LATHE_TESTS_GROUP_CASES_H

#include "tests/diff/lower_fixture.h"

static const Case group_cases[] = {
    {"%x: f32[n,h,6], %y: f32[n,h,6]",
     "%a, %b = fused %x, %y region(%p: f32[n,h,6], %q: f32[n,h,6]) { %s = add %p, %q %t = sigmoid "
     "%s "
     "%u = mul %s, %t yield %u, %s } yield %a, %b"},
    /* the same operand at its own and at another place: not in place */
    {"%x: f32[6,6]",
     "%k = neg %x %a = fused %k region(%p: f32[6,6]) { %t = transpose %p {perm = [1, 0]} "
     "%u = add %p, %t yield %u } yield %a"},
    {"%x: f32[n,h,6]", "%k = neg %x %r = reshape %k {shape = [n, 6, h]} "
                       "%a = fused %k, %r region(%p: f32[n,h,6], %q: f32[n,6,h]) { "
                       "%t = transpose %q {perm = [0, 2, 1]} %u = add %p, %t yield %u } yield %a"},
    {"%x: f32[n,4,6], %w: f32[6,7], %b: f32[7], %r: f32[n,4,7]",
     "%a = fused %x, %w, %b, %r region(%p: f32[n,4,6], %q: f32[6,7], %c: f32[7], %d: f32[n,4,7]) { "
     "%m = contract %p, %q {spec = \"bmk,kn->bmn\"} %s = add %m, %c %t = relu %s %u = add %t, %d "
     "yield %u } "
     "yield %a"},
    /* heads: reshape and transpose behind a contraction, and a map at the new place */
    {"%x: f32[n,h,6], %w: f32[6,8], %s: f32[n,2,h,4]",
     "%a = fused %x, %w, %s region(%p: f32[n,h,6], %q: f32[6,8], %c: f32[n,2,h,4]) { "
     "%m = contract %p, %q {spec = \"bmk,kn->bmn\"} %v = reshape %m {shape = [n, h, 2, 4]} "
     "%t = transpose %v {perm = [0, 2, 1, 3]} %u = add %t, %c yield %u } yield %a"},
    {"%x: f32[n,h,2,4], %w: f32[8,5]",
     "%a = fused %x, %w region(%p: f32[n,h,2,4], %q: f32[8,5]) { "
     "%r = reshape %p {shape = [n, h, 8]} %m = contract %r, %q {spec = \"bmk,kn->bmn\"} yield %m "
     "} yield %a"},
    {"%x: f32[n,2,h,4], %w: f32[8,5]",
     "%a = fused %x, %w region(%p: f32[n,2,h,4], %q: f32[8,5]) { %t = transpose %p {perm = [0, 2, "
     "1, 3]} "
     "%r = reshape %t {shape = [n, h, 8]} %m = contract %r, %q {spec = \"bmk,kn->bmn\"} yield %m "
     "} yield %a"},
    {"%x: f32[n,h + 2,5,3], %w: f32[3,3,3,8], %b: f32[8], %r: f32[n,h + 2,5,8]",
     "%a = fused %x, %w, %b, %r region(%p: f32[n,h + 2,5,3], %q: f32[3,3,3,8], %c: f32[8], "
     "%d: f32[n,h + 2,5,8]) { %i = pad %p {pad_lo = [0, 1, 1, 0], pad_hi = [0, 1, 1, 0]} "
     "%m = conv %i, %q {strides = [1, 1], dilations = [1, 1], pad_lo = [0, 0], pad_hi = [0, 0], "
     "groups = 1} "
     "%s = add %m, %c %u = add %s, %d %v = relu %u yield %v } yield %a"},
    {"%x: f32[n,h,9]",
     "%a = fused %x region(%p: f32[n,h,9]) { %m = reduce.add %p {axes = [2], keep = true} "
     "%c = const f32[] [0.111] %u = mul %m, %c %s = sqrt %u %v = abs %s yield %v } "
     "yield %a"},
    {"%x: f32[n,h,9]",
     "%a, %b = fused %x region(%p: f32[n,h,9]) { %e = exp %p "
     "%m = reduce.add %e {axes = [1], keep = false} %v = neg %m yield %v, %m } yield %a, %b"},
    /* scale and mask in front of a softmax */
    {"%x: f32[n,2,h,h], %k: f32[n,1,1,h]",
     "%a = fused %x, %k region(%p: f32[n,2,h,h], %q: f32[n,1,1,h]) { %c = const f32[] [0.5] "
     "%s = mul %p, %c %t = add %s, %q %u = softmax %t {axis = 3} yield %u } yield %a"},
    {"%x: f32[n,37], %k: f32[n,37]",
     "%a = fused %x, %k region(%p: f32[n,37], %q: f32[n,37]) { %t = add %p, %q "
     "%u = softmax %t {axis = 1} %v = convert %u {dtype = f16} yield %v } yield %a"},
    {"%x: f32[n,h], %k: f32[n,h]",
     "%a = fused %x, %k region(%p: f32[n,h], %q: f32[n,h]) { %t = add %p, %q "
     "%u = log_softmax %t {axis = 1} %v = convert %u {dtype = f64} yield %v } yield %a"},
    {"%x: f32[n,h,16], %y: f32[n,h,16], %s: f32[16], %b: f32[16]",
     "%a, %e = fused %x, %y, %s, %b region(%p: f32[n,h,16], %q: f32[n,h,16], %c: f32[16], %d: "
     "f32[16]) { "
     "%t = add %p, %q %u = layer_norm %t, %c, %d {axis = 2, epsilon = 1e-5} %v = relu %u yield "
     "%v, %u } "
     "yield %a, %e"},
    {"%x: f32[9,h], %i: i64[n,3], %p: f32[3,h], %s: f32[h]",
     "%a = fused %x, %i, %p, %s region(%e: f32[9,h], %j: i64[n,3], %q: f32[3,h], %c: f32[h]) { "
     "%g = gather %e, %j {axis = 0} %t = add %g, %q %u = layer_norm %t, %c {axis = 2, epsilon = "
     "1e-5} "
     "yield %u } yield %a"},
    {"%x: f32[n,4,3], %y: f32[n,4,h]",
     "%a = fused %x, %y region(%p: f32[n,4,3], %q: f32[n,4,h]) { %r = relu %p "
     "%c = concat %r, %q {axis = 2} %s = neg %c yield %s } yield %a"},
    {"%x: f32[n,6]", "%a = fused %x region(%p: f32[n,6]) { %c = const f32[6] [1,2,3,4,5,6] "
                     "%s = mul %p, %c yield %s } yield %a"},
    {"%x: f32[n,4], %i: i64[n,2]",
     "%a = fused %x, %i region(%p: f32[n,4], %j: i64[n,2]) { %g = gather_elements %p, %j {axis = "
     "1} "
     "%q = pad %g {pad_lo = [0, 1], pad_hi = [0, 1]} %s = neg %q yield %s } yield %a"},
    {"%x: f32[n,h,5,4]",
     "%a = fused %x region(%p: f32[n,h,5,4]) { %t = transpose %p {perm = [0, 3, 1, 2]} %r = relu "
     "%t "
     "%m = window.max %p {axes = [2], kernel = [2], strides = [2], dilations = [1], pad_lo = [0], "
     "pad_hi = [0]}"
     " %v = transpose %m {perm = [0, 3, 1, 2]} %w = neg %v yield %w } yield %a"},
};

#endif
