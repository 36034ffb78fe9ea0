/* rule_cases.h - texts that the reader of rules refuses, and graphs for the rewrites that are
 * functions: where each must fire, and where it must not. */
#ifndef LATHE_TESTS_RULES_RULE_CASES_H
#define LATHE_TESTS_RULES_RULE_CASES_H

#include <stdbool.h>

static const struct {
    const char *text, *error;
} bad_rules[] = {
    {"rule a: mul(%x, 1 => %x", "')' is expected"},
    {"rule a: mul(%x) => %x", "wrong number of operands"},
    {"rule a: frob(%x) => %x", "no op of this name: frob"},
    {"rule a: reduce(%x) => %x", "does not go with this scalar function"},
    {"rule a: softmax.add(%x) => %x", "does not go with this scalar function"},
    {"rule a: neg(%x) => %y", "not bound on the left: y"},
    {"rule a: neg(%x) => mul(%x, $c)", "not bound on the left: c"},
    {"rule a: neg(%x) => neg(neg(%x))", "does not weigh less"},
    {"rule a: neg(%x) => neg(%x)", "does not weigh less"},
    {"rule a: %x => %x", "the left side must be an op"},
    {"rule a neg(%x) => %x", "':' is expected"},
    {"a: neg(%x) => %x", "'rule' is expected"},
    {"rule a: neg(neg(%x)) %x", "'=' is expected"},
    {"rule a: neg(neg(%x)) => %x if odd(%x)", "no condition of this name: odd"},
    {"rule a: neg(neg(%x)) => %x if float(%y)", "not bound on the left: y"},
    {"rule a: neg(neg(%x)) => %x if less_equal(%x)", "too few arguments"},
    {"rule a: neg(neg(%x)) => %x if float(%x, %x)", "too many arguments"},
    {"rule a: neg(neg(%x)) => %x also", "'rule' is expected"},
    {"rule a: neg(neg(%x)) {axis = $a} => %x", "no such attribute: axis"},
    {"rule a: log(softmax(%x)) => softmax(%x)", "attribute that the op needs is missing"},
    {"rule b: neg(neg(%x)) => %x\nrule a: neg(%x) => %y", "rule 'a', line 2, column 20"},
};

typedef struct RewriteCase {
    const char *name;
    bool fires;
    const char *text;
} RewriteCase;

#define TABLE \
    "%w = const f32[6,3] [1, -2, 3, 4, 5, 6, 7, -8, 9, 1, 2, 3, 0.5, 5, 6, 7, 8, 0.25]\n"
#define LIMIT(most) "%most = const i64[] [" most "] %i = min %x, %most\n"

#define CONV_ATTRS \
    "{strides = [1, 1], dilations = [1, 1], pad_lo = [1, 0], pad_hi = [0, 0], groups = 1}"

static const RewriteCase rewrite_cases[] = {
    {"transpose", true,
     "graph main(%x: f32[2,3,4]) { %1 = transpose %x {perm = [2, 0, 1]}\n"
     "%2 = transpose %1 {perm = [0, 2, 1]} %3 = neg %2 yield %3 }"},
    {"transpose", true,
     "graph main(%x: f32[2,2]) { %1 = transpose %x {perm = [0, 1]} %2 = neg %1 yield %2 }"},
    {"transpose", false,
     "graph main(%x: f32[2,2]) { %1 = transpose %x {perm = [1, 0]} %2 = neg %1 yield %2 }"},
    {"slice_nothing", true,
     "graph main(%x: f32[2,n]) { %1 = slice %x {start = [0, 0], size = [2, n], step = [1, 1]}\n"
     "%2 = neg %1 yield %2 }"},
    {"slice_nothing", false,
     "graph main(%x: f32[2,3]) { %1 = slice %x {start = [1, 0], size = [2, 3], step = [-1, 1]}\n"
     "%2 = neg %1 yield %2 }"},
    {"pad_nothing", true,
     "graph main(%x: f32[2,n]) { %1 = pad %x {pad_lo = [0, 0], pad_hi = [0, 0]}\n"
     "%2 = neg %1 yield %2 }"},
    {"pad_nothing", false,
     "graph main(%x: f32[2,3]) { %1 = pad %x {pad_lo = [-1, 0], pad_hi = [1, 0]}\n"
     "%2 = neg %1 yield %2 }"},
    {"gather_to_slice", true,
     "graph main(%x: f32[2,5]) { %i = const i64[] [-2] %1 = gather %x, %i {axis = 1}\n"
     "%2 = neg %1 yield %2 }"},
    {"gather_to_slice", true,
     "graph main(%x: f32[n,5]) { %i = const i64[3] [1, 2, 3] %1 = gather %x, %i {axis = 1}\n"
     "%2 = neg %1 yield %2 }"},
    {"gather_to_slice", false,
     "graph main(%x: f32[2,5]) { %i = const i64[3] [1, 3, 2] %1 = gather %x, %i {axis = 1}\n"
     "%2 = neg %1 yield %2 }"},
    {"gather_to_slice", false,
     "graph main(%x: f32[2,5]) { %i = const i64[2] [-1, 0] %1 = gather %x, %i {axis = 1}\n"
     "%2 = neg %1 yield %2 }"},
    {"reduce_twice", true,
     "graph main(%x: f32[2,3,4,5]) { %1 = reduce.add %x {axes = [1], keep = false}\n"
     "%2 = reduce.add %1 {axes = [0, 2], keep = false} yield %2 }"},
    {"reduce_twice", true,
     "graph main(%x: f32[2,3,4]) { %1 = reduce.max %x {axes = [1], keep = true}\n"
     "%2 = reduce.max %1 {axes = [2], keep = true} yield %2 }"},
    {"reduce_twice", false,
     "graph main(%x: f32[2,3,4]) { %1 = reduce.max %x {axes = [1], keep = true}\n"
     "%2 = reduce.add %1 {axes = [2], keep = true} yield %2 }"},
    {"reduce_twice", false,
     "graph main(%x: f32[2,3,4]) { %1 = reduce.max %x {axes = [1], keep = true}\n"
     "%2 = reduce.max %1 {axes = [2], keep = false} yield %2 }"},
    {"small_operands", true,
     "graph main(%x: f32[3], %y: f32[2,3]) { %1 = broadcast %x {shape = [2, 3]}\n"
     "%2 = add %1, %y yield %2 }"},
    {"small_operands", true,
     "graph main(%x: f32[2,3]) { %1 = const f32[2,3] splat(2) %2 = sub %1, %x yield %2 }"},
    {"small_operands", false,
     "graph main(%x: f32[3]) { %1 = const f32[2,3] splat(2) %2 = sub %1, %x yield %2 }"},
    {"one_hot_product", true,
     "graph main(%x: i32[n,7,1]) { %c = const i32[1,1,6] [0, 1, 2, 3, 4, 5] %1 = eq %x, %c\n"
     "%2 = convert %1 {dtype = f32} " TABLE
     "%3 = contract %2, %w {spec = \"Amk,kn->Amn\"} %4 = neg %3 yield %4 }"},
    {"one_hot_product", true,
     "graph main(%x: u8[n,1]) { %c = const u8[1,6] [0, 1, 2, 3, 4, 5] %1 = eq %c, %x\n"
     "%one = const f32[] [1] %zero = const f32[] [0] %2 = select %1, %one, %zero " TABLE
     "%3 = contract %2, %w {spec = \"mk,kn->mn\"} %4 = neg %3 yield %4 }"},
    {"one_hot_product", false,
     "graph main(%x: i32[n,1]) { %c = const i32[1,6] [0, 1, 2, 3, 5, 4] %1 = eq %x, %c\n"
     "%2 = convert %1 {dtype = f32} " TABLE
     "%3 = contract %2, %w {spec = \"mk,kn->mn\"} %4 = neg %3 yield %4 }"},
    {"one_hot_product", false,
     "graph main(%x: i32[n,6]) { %c = const i32[1,6] [0, 1, 2, 3, 4, 5] %1 = eq %x, %c\n"
     "%2 = convert %1 {dtype = f32} " TABLE
     "%3 = contract %2, %w {spec = \"mk,kn->mn\"} %4 = neg %3 yield %4 }"},
    {"one_hot_product", false,
     "graph main(%x: i32[6,1]) { %c = const i32[1,6] [0, 1, 2, 3, 4, 5] %1 = eq %x, %c\n"
     "%2 = convert %1 {dtype = f32} " TABLE
     "%3 = contract %2, %w {spec = \"km,kn->mn\"} %4 = neg %3 yield %4 }"},
    {"lookup_map", true,
     "graph main(%x: i64[5,4]) { " TABLE LIMIT("5") "%1 = gather %w, %i {axis = 0}\n"
     "%2 = mul %1, %1 %b = const f32[1,1,3] [1, 2, 3] %3 = add %2, %b yield %3 }"},
    {"lookup_map", true,
     "graph main(%x: i64[5,4]) { " TABLE LIMIT("2") "%1 = gather %w, %i {axis = 1}\n"
     "%b = const f32[6,1,1] [1, 2, 3, 4, 5, 6] %2 = sub %b, %1 yield %2 }"},
    {"lookup_map", false,
     "graph main(%x: i64[5]) { " TABLE LIMIT("5") "%1 = gather %w, %i {axis = 0}\n"
     "%2 = exp %1 yield %2 }"},
    {"lookup_map", false,
     "graph main(%x: i64[8]) { " TABLE LIMIT("5") "%1 = gather %w, %i {axis = 0}\n"
     "%b = const f32[8,1] [1, 2, 3, 4, 5, 6, 7, 8] %2 = add %1, %b yield %2 }"},
    {"lookup_map", false,
     "graph main(%x: i64[8]) { " TABLE LIMIT("5") "%1 = gather %w, %i {axis = 0}\n"
     "%j = neg %i %2 = gather %w, %j {axis = 0} %3 = add %1, %2 yield %3 }"},
    {"lookup_convert", true,
     "graph main(%x: i64[8]) { " TABLE LIMIT("5") "%1 = gather %w, %i {axis = 0}\n"
     "%2 = convert %1 {dtype = i32} yield %2 }"},
    {"scale_weights", true,
     "graph main(%x: f32[1,4,4,2]) { %w = const f32[2,1,2,3] [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]\n"
     "%s = const f32[1,1,1,3] [0.5, 2, 3] %b = const f32[3] [1, 2, 3]\n"
     "%1 = conv %x, %w " CONV_ATTRS " %2 = add %b, %1 %3 = mul %2, %s yield %3 }"},
    {"scale_weights", true,
     "graph main(%x: f32[1,4,4,2]) { %w = const f32[1,1,2,2] [1, 2, 3, 4]\n"
     "%s = const f32[] [4] %1 = conv %x, %w " CONV_ATTRS " %3 = div %1, %s yield %3 }"},
    {"scale_weights", true,
     "graph main(%x: f32[n,2]) { %w = const f32[3,2] [1, 2, 3, 4, 5, 6]\n"
     "%s = const f32[3] [0.5, 2, 3] %1 = contract %x, %w {spec = \"mk,nk->mn\"}\n"
     "%2 = mul %s, %1 yield %2 }"},
    {"scale_weights", true,
     "graph main(%x: f32[2,4]) { %w = const f32[3,2] [1, 2, 3, 4, 5, 6]\n"
     "%s = const f32[3,1] [0.5, 2, 3] %1 = contract %w, %x {spec = \"mk,kn->mn\"}\n"
     "%2 = mul %1, %s yield %2 }"},
    {"scale_weights", false, /* the scale runs along the rows, which are not the weights' */
     "graph main(%x: f32[3,2]) { %w = const f32[2,3] [1, 2, 3, 4, 5, 6]\n"
     "%s = const f32[3,1] [0.5, 2, 3] %1 = contract %x, %w {spec = \"mk,kn->mn\"}\n"
     "%2 = mul %1, %s yield %2 }"},
    {"scale_weights", false, /* somebody else reads the product */
     "graph main(%x: f32[3,2]) { %w = const f32[2,3] [1, 2, 3, 4, 5, 6]\n"
     "%s = const f32[3] [0.5, 2, 3] %1 = contract %x, %w {spec = \"mk,kn->mn\"}\n"
     "%2 = mul %1, %s %3 = add %2, %1 yield %3 }"},
    {"scale_weights", false, /* the scale makes the result larger */
     "graph main(%x: f32[1,2]) { %w = const f32[2,3] [1, 2, 3, 4, 5, 6]\n"
     "%s = const f32[4,1] [0.5, 2, 3, 1] %1 = contract %x, %w {spec = \"mk,kn->mn\"}\n"
     "%2 = mul %1, %s yield %2 }"},
    {"softmax", true,
     "graph main(%x: f32[3,n]) { %1 = reduce.max %x {axes = [0], keep = true} %2 = sub %x, %1\n"
     "%3 = exp %2 %4 = reduce.add %3 {axes = [0], keep = true} %5 = div %3, %4 yield %5 }"},
    {"softmax", true,
     "graph main(%x: f32[3,4]) { %1 = reduce.max %x {axes = [1], keep = false}\n"
     "%a = reshape %1 {shape = [3, 1]} %2 = sub %x, %a %3 = exp %2\n"
     "%4 = reduce.add %3 {axes = [1], keep = false} %b = reshape %4 {shape = [3, 1]}\n"
     "%5 = div %3, %b yield %5 }"},
    {"softmax", true,
     "graph main(%x: f32[3,4]) { %3 = exp %x %4 = reduce.add %3 {axes = [1], keep = true}\n"
     "%5 = div %3, %4 yield %5 }"},
    {"softmax", false, /* a row folded along one axis, divided along the other one */
     "graph main(%x: f32[3,3]) { %3 = exp %x %4 = reduce.add %3 {axes = [1], keep = false}\n"
     "%5 = div %3, %4 yield %5 }"},
    {"softmax", false,
     "graph main(%x: f32[3,4]) { %3 = exp %x %4 = reduce.add %3 {axes = [0, 1], keep = true}\n"
     "%5 = div %3, %4 yield %5 }"},
    {"softmax", false,
     "graph main(%x: f32[3,4]) { %3 = exp %x %4 = reduce.add %3 {axes = [1], keep = true}\n"
     "%5 = div %3, %4 %6 = add %5, %3 yield %6 }"},
    {"layer_norm", true,
     "graph main(%x: f32[n,4]) { %c = const f32[] [4] %e = const f32[] [0.001]\n"
     "%1 = reduce.add %x {axes = [1], keep = true} %2 = div %1, %c %3 = sub %x, %2\n"
     "%4 = mul %3, %3 %5 = reduce.add %4 {axes = [1], keep = true} %6 = div %5, %c\n"
     "%7 = add %6, %e %8 = rsqrt %7 %9 = mul %3, %8 yield %9 }"},
    {"layer_norm", true,
     "graph main(%x: f32[2,3,4]) { %c = const f32[] [0.083333336] %e = const f32[] [0.001]\n"
     "%1 = reduce.add %x {axes = [1, 2], keep = true} %2 = mul %1, %c %3 = sub %x, %2\n"
     "%4 = mul %3, %3 %5 = reduce.add %4 {axes = [1, 2], keep = true} %6 = mul %c, %5\n"
     "%7 = add %e, %6 %8 = rsqrt %7 %9 = mul %8, %3 yield %9 }"},
    {"layer_norm", false, /* the wrong count */
     "graph main(%x: f32[2,4]) { %c = const f32[] [5] %e = const f32[] [0.001]\n"
     "%1 = reduce.add %x {axes = [1], keep = true} %2 = div %1, %c %3 = sub %x, %2\n"
     "%4 = mul %3, %3 %5 = reduce.add %4 {axes = [1], keep = true} %6 = div %5, %c\n"
     "%7 = add %6, %e %8 = rsqrt %7 %9 = mul %3, %8 yield %9 }"},
    {"layer_norm", false, /* not the last axis */
     "graph main(%x: f32[4,2]) { %c = const f32[] [4] %e = const f32[] [0.001]\n"
     "%1 = reduce.add %x {axes = [0], keep = true} %2 = div %1, %c %3 = sub %x, %2\n"
     "%4 = mul %3, %3 %5 = reduce.add %4 {axes = [0], keep = true} %6 = div %5, %c\n"
     "%7 = add %6, %e %8 = rsqrt %7 %9 = mul %3, %8 yield %9 }"},
    {"layer_norm_scale", true,
     "graph main(%x: f32[n,4], %s: f32[1,4]) { %1 = layer_norm %x {axis = 1, epsilon = 0.001}\n"
     "%2 = mul %s, %1 yield %2 }"},
    {"layer_norm_scale", false,
     "graph main(%x: f32[3,4], %s: f32[3,4]) { %1 = layer_norm %x {axis = 1, epsilon = 0.001}\n"
     "%2 = mul %s, %1 yield %2 }"},
    {"layer_norm_bias", true,
     "graph main(%x: f32[n,4], %s: f32[4]) { %1 = layer_norm %x, %s {axis = 1, epsilon = 0.001}\n"
     "%2 = add %1, %s yield %2 }"},
    {"layer_norm_bias", false,
     "graph main(%x: f32[n,4], %s: f32[4]) { %1 = layer_norm %x, %s {axis = 1, epsilon = 0.001}\n"
     "%2 = add %1, %s %3 = mul %1, %2 yield %3 }"},
};

#endif
