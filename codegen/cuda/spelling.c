/* spelling.c - types, numbers, scalar functions and conversions as CUDA-C.
 *
 * The cuda column of scalars.def spells functions of floats, which are the same for most integers;
 * the table here has the others. Integers of which C++ does not say what happens when they leave
 * their range go through helpers that wrap. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "codegen/cuda/cuda.h"

static const struct {
    const char *value, *memory;
} types[LT_DTYPE_LIMIT] = {
    [DT_F32] = {"float", "float"},       [DT_F64] = {"double", "double"},
    [DT_F16] = {"float", "__half"},      [DT_BF16] = {"float", "__nv_bfloat16"},
    [DT_I8] = {"int8_t", "int8_t"},      [DT_I16] = {"int16_t", "int16_t"},
    [DT_I32] = {"int", "int"},           [DT_I64] = {"int64_t", "int64_t"},
    [DT_U8] = {"uint8_t", "uint8_t"},    [DT_U16] = {"uint16_t", "uint16_t"},
    [DT_U32] = {"uint32_t", "uint32_t"}, [DT_U64] = {"uint64_t", "uint64_t"},
    [DT_BOOL] = {"bool", "uint8_t"},     [DT_I4] = {"int8_t", "int8_t"},
    [DT_U4] = {"uint8_t", "uint8_t"},    [DT_I2] = {"int8_t", "int8_t"},
    [DT_U2] = {"uint8_t", "uint8_t"},    [DT_F8E4M3FN] = {"float", "uint8_t"},
    [DT_F8E5M2] = {"float", "uint8_t"},  [DT_F8E4M3FNUZ] = {"float", "uint8_t"},
    [DT_F8E8M0] = {"float", "uint8_t"},  [DT_F8E5M2FNUZ] = {"float", "uint8_t"},
    [DT_F4E2M1] = {"float", "uint8_t"},
};

static const char *const float_spelling[LT_FN_LIMIT] = {
#define SCALAR(e, name, arity, rule, F, I, llvm, cuda) [FN_##e] = cuda,
#include "ir/scalars.def"
#undef SCALAR
};

/* Of integers, where it differs; of bool below. */
static const char *const int_spelling[LT_FN_LIMIT] = {
    [FN_ADD] = "addw($a, $b)",  [FN_SUB] = "subw($a, $b)",     [FN_MUL] = "mulw($a, $b)",
    [FN_DIV] = "idiv($a, $b)",  [FN_MOD] = "imod($a, $b)",     [FN_FLOORDIV] = "ifloordiv($a, $b)",
    [FN_FMOD] = "irem($a, $b)", [FN_POW] = "ipow($a, $b)",     [FN_NEG] = "negw($a)",
    [FN_ABS] = "absw($a)",      [FN_FMA] = "fmaw($a, $b, $c)", [FN_CLAMP] = "iclamp($a, $b, $c)",
    [FN_MIN] = "imin($a, $b)",  [FN_MAX] = "imax($a, $b)",
};
static const char *const bool_spelling[LT_FN_LIMIT] = {
    [FN_ADD] = "($a || $b)", [FN_MUL] = "($a && $b)",
    [FN_MIN] = "($a && $b)", [FN_MAX] = "($a || $b)",
    [FN_RELU] = "$a",        [FN_SIGN] = "$a",
    [FN_ABS] = "$a",         [FN_FMA] = "($a && $b || $c)",
};

bool lt_cuda_has_dtype(DType dtype) { return types[dtype].value != NULL; }
const char *lt_cuda_register_type(DType dtype) { return types[dtype].value; }
const char *lt_cuda_memory_type(DType dtype) { return types[dtype].memory; }

/* --- numbers --- */

Text lt_cuda_float(Arena *arena, DType dtype, double value) {
    const bool is_double = dtype == DT_F64;
    Str text;
    lt_str_init(&text, arena);
    if (isnan(value) || isinf(value)) {
        const char *name = isnan(value) ? "NAN" : value < 0 ? "-INFINITY" : "INFINITY";
        lt_str_append(&text, is_double ? lt_arena_printf(arena, "double(%s)", name) : name);
        return (Text){text.text, is_double ? BIND_ATOM : value < 0 ? BIND_UNARY : BIND_ATOM};
    }
    lt_str_double(&text, value, !is_double);
    if (!strpbrk(text.text, ".e"))
        lt_str_append(&text, ".0");
    lt_str_append(&text, is_double ? "" : "f");
    return (Text){text.text, signbit(value) ? BIND_UNARY : BIND_ATOM};
}

Text lt_cuda_int(Arena *arena, DType dtype, int64_t value) {
    const char *type = types[dtype].value;
    if (dtype == DT_BOOL)
        return (Text){value ? "true" : "false", BIND_ATOM};
    if (dtype == DT_I32 && value > INT32_MIN)
        return (Text){lt_arena_printf(arena, "%lld", (long long)value),
                      value < 0 ? BIND_UNARY : BIND_ATOM};
    if (dtype == DT_U64)
        return (Text){lt_arena_printf(arena, "uint64_t(%lluu)", (unsigned long long)value),
                      BIND_ATOM};
    if (value == INT64_MIN)
        return (Text){"INT64_MIN", BIND_UNARY};
    return (Text){lt_arena_printf(arena, "%s(%lld)", type, (long long)value), BIND_ATOM};
}

/* --- operators --- */

const char *lt_cuda_tight(Arena *arena, Text text, Binding binding) {
    return text.binding > binding ? lt_arena_printf(arena, "(%s)", text.text) : text.text;
}

static Binding binding_of(const char *operator) {
    if (strcmp(operator, "*") == 0 || strcmp(operator, "/") == 0 || strcmp(operator, "%") == 0)
        return BIND_PRODUCT;
    if (strcmp(operator, "+") == 0 || strcmp(operator, "-") == 0)
        return BIND_SUM;
    if (strcmp(operator, "&&") == 0)
        return BIND_AND;
    if (strcmp(operator, "||") == 0)
        return BIND_OR;
    if (strcmp(operator, "&") == 0 || strcmp(operator, "|") == 0 || strcmp(operator, "^") == 0)
        return BIND_BITS;
    return operator[0] == '?' ? BIND_CHOICE : BIND_COMPARE;
}

/* Operators that people do not know the order of get parentheses. */
static Binding left_of(Binding binding) {
    switch (binding) {
    case BIND_COMPARE: return BIND_SUM;
    case BIND_BITS: return BIND_UNARY;
    case BIND_OR: return BIND_COMPARE;
    case BIND_CHOICE: return BIND_OR;
    default: return binding;
    }
}
static Binding right_of(Binding binding) {
    const Binding left = left_of(binding);
    const bool is_tighter = left != binding || binding == BIND_AND || binding == BIND_OR;
    return is_tighter ? left : (Binding)(binding - 1);
}

Text lt_cuda_binary(Arena *arena, Text a, const char *operator, Text b, Binding binding) {
    /* A chain of `or` needs none. */
    const Binding left = binding == BIND_OR && a.binding == BIND_OR ? BIND_OR : left_of(binding);
    return (Text){lt_arena_printf(arena, "%s %s %s", lt_cuda_tight(arena, a, left), operator,
                                  lt_cuda_tight(arena, b, right_of(binding))),
                  binding};
}

/* --- functions --- */

/* $a, $b, $c filled in, as arguments of a function. */
static const char *fill(Arena *arena, const char *pattern, const Text *args, Binding binding) {
    Str out;
    lt_str_init(&out, arena);
    for (const char *p = pattern; *p; p++) {
        if (*p == '$')
            lt_str_append(&out, lt_cuda_tight(arena, args[*++p - 'a'], binding));
        else
            lt_str_char(&out, *p);
    }
    return out.text;
}

/* "($a + $b)", "(-$a)", "(1 / $a)", "($a ? $b : $c)": the operator decides. */
static Text fill_operator(Arena *arena, const char *pattern, const Text *args) {
    char operator[4] = "";
    const char *inner = lt_arena_strndup(arena, pattern + 1, strlen(pattern) - 2);
    if (inner[0] == '-' || inner[0] == '!' || inner[0] == '~')
        return (Text){fill(arena, inner, args, BIND_ATOM), BIND_UNARY};
    const char *space = strchr(inner, ' ');
    assert(space && strcspn(space + 1, " ") < sizeof operator);
    memcpy(operator, space + 1, strcspn(space + 1, " "));
    const Binding binding = binding_of(operator);
    if (binding == BIND_CHOICE)
        return (Text){fill(arena, inner, args, BIND_OR), BIND_CHOICE};
    if (inner[0] != '$' || strlen(inner) > space - inner + strlen(operator) + 4)
        return (Text){fill(arena, inner, args, BIND_UNARY), binding};
    return lt_cuda_binary(arena, args[0], operator, args[1], binding);
}

static const char *spelling(ScalarFn fn, DType dtype) {
    const char *special = NULL;
    if (dtype == DT_BOOL)
        special = bool_spelling[fn];
    else if (lt_dtype_is_int(dtype))
        special = int_spelling[fn];
    const bool may_wrap = dtype == DT_U32 || dtype == DT_U64; /* as C++ has it */
    if (special && may_wrap && (fn == FN_ADD || fn == FN_SUB || fn == FN_MUL))
        special = NULL;
    return special ? special : float_spelling[fn];
}

/* A value as its narrow type holds it. */
static Text round_to(Arena *arena, Text text, DType dtype) {
    const char *pattern = NULL, *name = lt_dtype_name(dtype);
    if (lt_dtype_is_minifloat(dtype))
        pattern = lt_arena_printf(arena, "widen<%s>(narrow<%s>($a))", name, name);
    switch (dtype) {
    case DT_F16: pattern = "roundhalf($a)"; break;
    case DT_BF16: pattern = "roundbf16($a)"; break;
    case DT_I4: pattern = "lowbits($a, 4)"; break;
    case DT_I2: pattern = "lowbits($a, 2)"; break;
    case DT_U4: pattern = "uint8_t(($a) & 15)"; break;
    case DT_U2: pattern = "uint8_t(($a) & 3)"; break;
    case DT_I8:
    case DT_U8:
    case DT_I16:
    case DT_U16:
        if (text.binding == BIND_ATOM)
            return text;
        pattern = lt_arena_printf(arena, "%s($a)", types[dtype].value);
        break;
    default: break;
    }
    return pattern ? (Text){fill(arena, pattern, &text, BIND_CHOICE), BIND_ATOM} : text;
}

Text lt_cuda_call(Arena *arena, ScalarFn fn, DType dtype, const Text *args) {
    const char *pattern = spelling(fn, dtype);
    const bool is_test =
        lt_scalar_info[fn].rule == RULE_COMPARE || lt_scalar_info[fn].rule == RULE_TEST;
    Text result;
    if (strcmp(pattern, "$a") == 0)
        result = args[0];
    else if (pattern[0] == '(')
        result = fill_operator(arena, pattern, args);
    else
        result = (Text){fill(arena, pattern, args, BIND_CHOICE), BIND_ATOM};
    if (strcmp(pattern, "floor($a / $b)") == 0)
        result.text = fill(arena, pattern, args, BIND_UNARY);
    /* What only chooses among its operands is exact as it stands. */
    const bool is_exact = fn == FN_SELECT || fn == FN_MIN || fn == FN_MAX || fn == FN_RELU;
    return is_test || (is_exact && lt_dtype_is_float(dtype)) ? result
                                                             : round_to(arena, result, dtype);
}

/* --- conversions --- */

static Text to_int(Arena *arena, Text value, DType to) {
    const int bits = lt_dtype_bits(to);
    const bool is_signed = lt_dtype_is_signed(to);
    const int64_t high = is_signed ? (int64_t)(UINT64_MAX >> 1 >> (64 - bits))
                                   : (int64_t)(UINT64_MAX >> (64 - bits));
    const char *low = lt_cuda_int(arena, to, is_signed ? -high - 1 : 0).text;
    const char *type = types[to].value;
    return (Text){lt_arena_printf(arena, "saturate<%s>(%s, %s, %s)", type, value.text, low,
                                  lt_cuda_int(arena, to, high).text),
                  BIND_ATOM};
}

Text lt_cuda_convert(Arena *arena, Text value, DType from, DType to) {
    if (from == to)
        return value;
    if (to == DT_BOOL)
        return lt_cuda_binary(arena, value, "!=", (Text){"0", BIND_ATOM}, BIND_COMPARE);
    if (lt_dtype_is_float(from) && !lt_dtype_is_float(to))
        return to_int(arena, value, to);
    if (from == DT_F64 && to == DT_F16)
        return (Text){lt_arena_printf(arena, "__half2float(__double2half(%s))", value.text),
                      BIND_ATOM};
    if (from == DT_F64 && to == DT_BF16)
        return (Text){lt_arena_printf(arena, "__bfloat162float(__double2bfloat16(%s))", value.text),
                      BIND_ATOM};
    const char *type = types[to].value;
    if (from == DT_F64 && lt_dtype_is_minifloat(to))
        value = (Text){lt_arena_printf(arena, "oddfloat(%s)", value.text), BIND_ATOM};
    else if (strcmp(type, types[from].value) != 0)
        value = (Text){lt_arena_printf(arena, "%s(%s)", type, value.text), BIND_ATOM};
    return round_to(arena, value, to);
}

Text lt_cuda_from_memory(Arena *arena, Text element, DType dtype) {
    switch (dtype) {
    case DT_F16: return (Text){lt_arena_printf(arena, "__half2float(%s)", element.text), BIND_ATOM};
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F8E8M0:
    case DT_F4E2M1:
        return (Text){lt_arena_printf(arena, "widen<%s>(%s)", lt_dtype_name(dtype), element.text),
                      BIND_ATOM};
    case DT_BF16:
        return (Text){lt_arena_printf(arena, "__bfloat162float(%s)", element.text), BIND_ATOM};
    case DT_BOOL: return (Text){lt_arena_printf(arena, "%s != 0", element.text), BIND_COMPARE};
    case DT_I4:
    case DT_U4:
    case DT_I2:
    case DT_U2: return round_to(arena, element, dtype);
    default: return element;
    }
}

Text lt_cuda_to_memory(Arena *arena, Text value, DType dtype) {
    if (dtype == DT_F16)
        return (Text){lt_arena_printf(arena, "__float2half(%s)", value.text), BIND_ATOM};
    if (dtype == DT_BF16)
        return (Text){lt_arena_printf(arena, "__float2bfloat16(%s)", value.text), BIND_ATOM};
    if (lt_dtype_is_minifloat(dtype))
        return (Text){lt_arena_printf(arena, "narrow<%s>(%s)", lt_dtype_name(dtype), value.text),
                      BIND_ATOM};
    return value;
}
