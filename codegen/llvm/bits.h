/* bits.h - arithmetic on the bits of f32: shorthands over i32 scalars or vectors. */
#ifndef LATHE_CODEGEN_LLVM_BITS_H
#define LATHE_CODEGEN_LLVM_BITS_H

#include "codegen/llvm/llvm.h"

typedef struct Bits {
    LLVMBuilderRef b;
    LLVMTypeRef type; /* i32 of the value's shape */
} Bits;

static inline LLVMValueRef bits_const(Bits x, int64_t value) {
    return lt_const_int_like(x.type, value);
}
static inline LLVMValueRef bits_and(Bits x, LLVMValueRef v, int64_t mask) {
    return LLVMBuildAnd(x.b, v, bits_const(x, mask), "");
}
static inline LLVMValueRef bits_or(Bits x, LLVMValueRef v, int64_t mask) {
    return LLVMBuildOr(x.b, v, bits_const(x, mask), "");
}
static inline LLVMValueRef bits_shl(Bits x, LLVMValueRef v, int count) {
    return LLVMBuildShl(x.b, v, bits_const(x, count), "");
}
static inline LLVMValueRef bits_shr(Bits x, LLVMValueRef v, int count) {
    return LLVMBuildLShr(x.b, v, bits_const(x, count), "");
}
static inline LLVMValueRef bits_compare(Bits x, LLVMIntPredicate predicate, LLVMValueRef v,
                                        int64_t value) {
    return LLVMBuildICmp(x.b, predicate, v, bits_const(x, value), "");
}

/* Round to nearest even on the low `drop` bits; the carry may run into the exponent, which is
 * right. */
static inline LLVMValueRef bits_round(Bits x, LLVMValueRef v, int drop) {
    LLVMValueRef odd = bits_and(x, bits_shr(x, v, drop), 1);
    LLVMValueRef half = LLVMBuildAdd(x.b, odd, bits_const(x, (1 << (drop - 1)) - 1), "");
    return LLVMBuildAdd(x.b, v, half, "");
}

#endif
