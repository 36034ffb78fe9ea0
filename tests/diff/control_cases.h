/* control_cases.h - graphs with branches, loops and extents that depend on data, for every back
 * end. d0 and d1 are symbols of data. */
#ifndef LATHE_TESTS_CONTROL_CASES_H
#define LATHE_TESTS_CONTROL_CASES_H

#include "tests/diff/lower_fixture.h"

#define FIND_POSITIVE \
    "%zero = const f32[] [0] %m = gt %x, %zero %mi = convert %m {dtype = i64}\n" \
    "%c = reduce.add %mi {axes = [0], keep = false} %b = bind %c {dims = [d0]}\n" \
    "%p = find %m {size = [d0]}\n"

static const Case extent_cases[] = {
    {"%x: f32[h]", FIND_POSITIVE "yield %p"},
    {"%x: f32[n], %y: f32[n,3]",
     FIND_POSITIVE "%v = gather %y, %p {axis = 0} %e = exp %v\n"
          "%s = reduce.add %e {axes = [0], keep = true} %q = div %e, %s yield %q, %s, %p"},
    {"%x: f32[h]", FIND_POSITIVE "%i = iota {axis = 0, shape = [2*d0 + 1], dtype = f32}\n"
                        "%d = dims {dims = [d0, d0 * d0]} yield %i, %d"},
};

static const Case branch_cases[] = {
    {"%f: bool[], %x: f32[n,4], %y: f32[n,4]",
     "%z = mul %x, %y\n"
     "%r, %s = if %f, %z, %y region(%a: f32[n,4], %b: f32[n,4]) {\n"
     "  %1 = add %a, %b %2 = relu %1 yield %2, %b\n"
     "} region(%a: f32[n,4], %b: f32[n,4]) { %1 = exp %a %2 = sub %1, %b yield %a, %2 }\n"
     "%t = neg %s yield %r, %t"},
    {"%f: bool[], %x: f32[n,4]", /* results of two sizes, one of them the model's */
     "%r = if %f, %x region(%a: f32[n,4]) { %1 = exp %a yield %1 }\n"
     "  region(%a: f32[n,4]) { %1 = concat %a, %a {axis = 0} yield %1 }\n"
     "%t = neg %r yield %r, %t"},
    {"%f: bool[], %x: f32[n], %y: f32[h]", /* n == h where the first one runs, only there */
     "%r = if %f, %x, %y region(%a: f32[n], %b: f32[h]) { %1 = add %a, %b yield %1 }\n"
     "  region(%a: f32[n], %b: f32[h]) { %1 = neg %a yield %1 } yield %r"},
    {"%f: bool[], %g: bool[], %x: f32[h]", /* one in the other */
     "%r, %s = if %f, %g, %x region(%k: bool[], %a: f32[h]) {\n"
     "  %1 = if %k, %a region(%b: f32[h]) { %2 = exp %b yield %2 }\n"
     "    region(%b: f32[h]) { yield %b }\n"
     "  %3 = neg %1 yield %1, %3\n"
     "} region(%k: bool[], %a: f32[h]) { yield %a, %a }\n"
     "yield %s, %r"},
};

#define GO "%go = const bool[] [true] "

static const Case loop_cases[] = {
    {"%m: i64[], %l: f32[], %x: f32[n,4], %y: f32[n,4]", /* exchanges what it carries */
     GO "%z = neg %y\n"
        "%p, %q, %s = loop %m, %go, %x, %z, %l {count = 2}\n"
        "  region(%i: i64[], %a: f32[n,4], %b: f32[n,4], %k: f32[]) {\n"
        "  %1 = add %a, %b %2 = convert %i {dtype = f32} %3 = add %1, %2\n"
        "  %4 = reduce.max %3 {axes = [0, 1], keep = false} %5 = lt %4, %k\n"
        "  yield %5, %b, %3, %3 }\n"
        "%e = exp %p yield %e, %q, %s"},
    {"%x: f32[n,3], %y: f32[5,3]", /* as often as is known */
     GO "%m = const i64[] [5]\n"
        "%p, %s = loop %m, %go, %x, %y {count = 1}\n"
        "  region(%i: i64[], %a: f32[n,3], %b: f32[5,3]) {\n"
        "  %more = const bool[] [true] %1 = gather %b, %i {axis = 0} %2 = add %a, %1\n"
        "  yield %more, %2, %2 } yield %s, %p"},
    {"%m: i64[], %x: f32[h]", /* grows */
     GO "%p = loop %m, %go, %x {count = 1} region(%i: i64[], %a: f32[d0]) {\n"
        "  %more = const bool[] [true] %1 = concat %a, %a {axis = 0} %2 = neg %1\n"
        "  yield %more, %2 } %e = exp %p yield %p, %e"},
    {"%m: i64[], %x: f32[h]", /* grows from nothing */
     "%none = const f32[0] [] " GO
     "%p = loop %m, %go, %none, %x {count = 1} region(%i: i64[], %a: f32[d0], %b: f32[h]) {\n"
     "  %more = const bool[] [true] %1 = concat %a, %b {axis = 0} yield %more, %1 }\n"
     "%e = exp %p yield %p, %e"},
    {"%m: i64[], %x: f32[h,3]", /* a loop in a loop, a branch in it */
     GO "%two = const i64[] [2]\n"
        "%p, %s = loop %two, %go, %x, %m {count = 1}\n"
        "  region(%i: i64[], %a: f32[h,3], %k: i64[]) {\n"
        "  %more = const bool[] [true]\n"
        "  %q, %t = loop %k, %more, %a {count = 1} region(%j: i64[], %b: f32[h,3]) {\n"
        "    %on = const bool[] [true] %one = const i64[] [1] %f = lt %j, %one\n"
        "    %1 = if %f, %b region(%c: f32[h,3]) { %2 = neg %c yield %2 }\n"
        "      region(%c: f32[h,3]) { %2 = sigmoid %c yield %2 }\n"
        "    %3 = reduce.add %1 {axes = [0], keep = false} yield %on, %1, %3 }\n"
        "  %u = reduce.add %t {axes = [0], keep = false} yield %more, %q, %u }\n"
        "yield %p, %s"},
};

#endif
