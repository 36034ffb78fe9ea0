/* test_base.c - arenas, sizes, vectors, strings and maps: running out of memory first, then the
 * contracts. (Files and half floats: test_base_file.c, test_base_half.c.) */
#include <math.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "runtime/base/arena.h"
#include "runtime/base/checked.h"
#include "runtime/base/map.h"
#include "runtime/base/str.h"
#include "runtime/base/vec.h"
#include "tests/test.h"

/* ---- arena ---- */

START_TEST(arena_overflow_is_out_of_memory) {
    Arena arena;
    lt_arena_init(&arena);
    ck_assert_out_of_memory(&arena, lt_arena_array(&arena, SIZE_MAX / 4, 8));
    ck_assert_out_of_memory(&arena, lt_arena_alloc(&arena, SIZE_MAX));
    ck_assert_out_of_memory(&arena, lt_arena_alloc(&arena, SIZE_MAX - 20));
    ck_assert_out_of_memory(&arena, lt_arena_alloc_aligned(&arena, SIZE_MAX - 100, 64));
    ck_assert_out_of_memory(&arena, lt_arena_strndup(&arena, "x", SIZE_MAX));
    ck_assert_uint_eq(arena.used, 0);
    int *number = LT_NEW(&arena, int); /* the arena still works */
    ck_assert_int_eq(*number, 0);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(arena_jumps_when_the_system_has_no_memory) {
    Arena arena;
    lt_arena_init(&arena);
#ifndef LT_TEST_ASAN
    struct rlimit limit = {.rlim_cur = 256u << 20, .rlim_max = 256u << 20};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_out_of_memory(&arena, lt_arena_alloc(&arena, (size_t)1 << 30));
    ck_assert_out_of_memory(&arena, for (;;) lt_arena_alloc(&arena, 100000));
    ck_assert_uint_gt(arena.used, 1u << 20);
#endif
    lt_arena_free(&arena);
    ck_assert_ptr_nonnull(lt_arena_alloc(&arena, 1 << 20)); /* freed memory is there again */
    lt_arena_free(&arena);
}
END_TEST

START_TEST(arena_without_handler_exits_with_6) {
    pid_t child = fork();
    if (child == 0) {
        Arena arena;
        lt_arena_init(&arena);
        fclose(stderr);
        lt_arena_alloc(&arena, SIZE_MAX);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 6);
}
END_TEST

static bool all_bytes_are(const unsigned char *bytes, size_t size, size_t wanted) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != wanted)
            return false;
    return true;
}

START_TEST(arena_memory_is_zero_aligned_and_apart) {
    Arena arena;
    lt_arena_init(&arena);
    unsigned char *blocks[400];
    size_t sizes[400];
    for (size_t i = 0; i < 400; i++) {
        size_t alignment = (size_t)1 << (i % 13);
        sizes[i] = i % 50 == 7 ? (size_t)3 << 20 : i * 7 % 1000;
        blocks[i] = lt_arena_alloc_aligned(&arena, sizes[i], alignment);
        ck_assert_uint_eq((uintptr_t)blocks[i] % alignment, 0);
        ck_assert(all_bytes_are(blocks[i], sizes[i], 0));
        memset(blocks[i], (int)(i % 255) + 1, sizes[i]);
    }
    size_t total = 0;
    for (size_t i = 0; i < 400; total += sizes[i++])
        ck_assert(all_bytes_are(blocks[i], sizes[i], i % 255 + 1));
    ck_assert_uint_ge(arena.used, total);
    lt_arena_free(&arena);
    ck_assert_uint_eq(arena.used, 0);
    ck_assert_ptr_null(arena.block);
}
END_TEST

START_TEST(arena_size_zero_is_unique) {
    Arena arena;
    lt_arena_init(&arena);
    void *first = lt_arena_alloc(&arena, 0), *second = lt_arena_alloc(&arena, 0);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_ne(first, second);
    ck_assert_uint_eq((uintptr_t)second % 16, 0);
    ck_assert_ptr_nonnull(lt_arena_copy(&arena, NULL, 0));
    ck_assert_ptr_nonnull(LT_ARRAY(&arena, int, 0));
    lt_arena_free(&arena);
}
END_TEST

START_TEST(arena_large_blocks_do_not_waste_the_newest) {
    Arena arena;
    lt_arena_init(&arena);
    char *before = lt_arena_alloc(&arena, 16);
    lt_arena_alloc(&arena, (size_t)8 << 20);
    char *after = lt_arena_alloc(&arena, 16);
    ck_assert_ptr_eq(after, before + 16);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(arena_releases_large_objects_alone) {
    Arena arena, other;
    lt_arena_init(&arena);
    lt_arena_init(&other);
    char *first = lt_arena_alloc(&arena, LT_ARENA_LARGE); /* the newest block, too */
    char *small = lt_arena_alloc(&arena, LT_ARENA_LARGE - 1);
    char *middle = lt_arena_alloc_aligned(&arena, LT_ARENA_LARGE * 3, 64);
    char *last = lt_arena_alloc(&arena, LT_ARENA_LARGE);
    memset(middle, 1, LT_ARENA_LARGE * 3);
    memset(small, 2, LT_ARENA_LARGE - 1);
    memset(last, 3, LT_ARENA_LARGE);
    size_t used = arena.used;
    ck_assert(!lt_arena_release(&arena, small));
    ck_assert(!lt_arena_release(&arena, NULL));
    ck_assert(!lt_arena_release(&other, middle));
    ck_assert_uint_eq(arena.used, used);
    ck_assert(lt_arena_release(&arena, middle));
    ck_assert(!lt_arena_release(&arena, middle)); /* once */
    ck_assert_uint_le(arena.used, used - LT_ARENA_LARGE * 3);
    ck_assert(lt_arena_release(&arena, first));
    for (size_t i = 0; i < LT_ARENA_LARGE - 1; i++)
        ck_assert(small[i] == 2 && last[i] == 3);
    char *again = lt_arena_alloc(&arena, LT_ARENA_LARGE * 3);
    for (size_t i = 0; i < LT_ARENA_LARGE * 3; i++)
        ck_assert_int_eq(again[i], 0);
    lt_arena_free(&arena);
    lt_arena_free(&other);
}
END_TEST

START_TEST(arena_copies_text) {
    Arena arena;
    lt_arena_init(&arena);
    ck_assert_str_eq(lt_arena_strdup(&arena, "tensor"), "tensor");
    ck_assert_str_eq(lt_arena_strndup(&arena, "tensor", 3), "ten");
    ck_assert_str_eq(lt_arena_strndup(&arena, "tensor", 0), "");
    ck_assert_str_eq(lt_arena_printf(&arena, "%s_%d", "Conv", 23), "Conv_23");
    char *wide = lt_arena_printf(&arena, "%5000d|", 1);
    ck_assert_uint_eq(strlen(wide), 5001);
    ck_assert_str_eq(wide + 4999, "1|");
    lt_arena_free(&arena);
}
END_TEST

/* ---- checked arithmetic ---- */

START_TEST(checked_arithmetic_finds_overflow) {
    int64_t out;
    size_t size;
    ck_assert(!lt_mul_i64(INT64_MAX, 2, &out));
    ck_assert(!lt_mul_i64(INT64_MIN, -1, &out));
    ck_assert(!lt_add_i64(INT64_MAX, 1, &out));
    ck_assert(!lt_mul_size(SIZE_MAX / 2 + 1, 2, &size));
    ck_assert(!lt_add_size(SIZE_MAX, 1, &size));
    ck_assert(lt_mul_i64(-3, 7, &out) && out == -21);
    ck_assert(lt_add_size(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
}
END_TEST

START_TEST(floor_and_ceil_division) {
    static const int64_t cases[][5] = {
        /* a, b, floor, mod, ceil */
        {7, 2, 3, 1, 4}, {-7, 2, -4, 1, -3}, {7, -2, -4, -1, -3}, {-7, -2, 3, -1, 4},
        {6, 3, 2, 0, 2}, {-6, 3, -2, 0, -2}, {0, 5, 0, 0, 0},     {1, 5, 0, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t *c = cases[i];
        ck_assert_int_eq(lt_floordiv(c[0], c[1]), c[2]);
        ck_assert_int_eq(lt_floormod(c[0], c[1]), c[3]);
        ck_assert_int_eq(lt_ceildiv(c[0], c[1]), c[4]);
    }
}
END_TEST

/* ---- vec ---- */

START_TEST(vec_growth_keeps_elements) {
    Arena arena;
    lt_arena_init(&arena);
    Vec(int) numbers = {0};
    for (int i = 0; i < 10000; i++)
        lt_vec_push(&arena, &numbers, i * 3);
    ck_assert_uint_eq(numbers.len, 10000);
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(numbers.data[i], i * 3);
    ck_assert_int_eq(lt_vec_last(&numbers), 29997);
    ck_assert_int_eq(lt_vec_pop(&numbers), 29997);
    ck_assert_uint_eq(numbers.len, 9999);
    lt_vec_clear(&numbers);
    lt_vec_push(&arena, &numbers, 5);
    ck_assert_int_eq(numbers.data[0], 5);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(vec_growth_runs_out_of_memory) {
    Arena arena;
    lt_arena_init(&arena);
    void *data = NULL;
    size_t cap = SIZE_MAX / 4;
    ck_assert_out_of_memory(&arena, lt_vec_grow(&arena, &data, 0, &cap, 8));
    ck_assert_uint_eq(cap, SIZE_MAX / 4);
    lt_arena_free(&arena);
}
END_TEST

/* ---- str ---- */

START_TEST(str_overflow_is_out_of_memory) {
    Arena arena;
    Str text;
    lt_arena_init(&arena);
    lt_str_init(&text, &arena);
    lt_str_append(&text, "kept");
    ck_assert_out_of_memory(&arena, lt_str_append_n(&text, "x", SIZE_MAX));
    ck_assert_out_of_memory(&arena, lt_str_append_n(&text, "x", SIZE_MAX - 5));
    ck_assert_str_eq(text.text, "kept");
    lt_arena_free(&arena);
}
END_TEST

START_TEST(str_appends_and_terminates) {
    Arena arena;
    Str text;
    lt_arena_init(&arena);
    lt_str_init(&text, &arena);
    ck_assert_str_eq(text.text, "");
    lt_str_append(&text, "");
    ck_assert_str_eq(text.text, "");
    for (int i = 0; i < 1000; i++) {
        lt_str_printf(&text, "%d", i % 10);
        lt_str_char(&text, ',');
        lt_str_append_n(&text, "abc", 2);
        ck_assert_uint_eq(strlen(text.text), text.len);
    }
    ck_assert_uint_eq(text.len, 4000);
    ck_assert(strncmp(text.text, "0,ab1,ab2,ab", 12) == 0);
    lt_str_append(&text, text.text); /* itself */
    ck_assert_uint_eq(strlen(text.text), 8000);
    lt_str_printf(&text, "%3000d", 7);
    ck_assert_uint_eq(strlen(text.text), 11000);
    lt_arena_free(&arena);
}
END_TEST

START_TEST(str_quotes_every_byte) {
    Arena arena;
    Str text;
    lt_arena_init(&arena);
    lt_str_init(&text, &arena);
    lt_str_quote(&text, "a\"b\\c\nd\te\x01\x7f\xc3\xa9 ~");
    ck_assert_str_eq(text.text, "\"a\\\"b\\\\c\\nd\\te\\x01\\x7f\\xc3\\xa9 ~\"");
    lt_arena_free(&arena);
}
END_TEST

START_TEST(str_double_is_shortest_and_exact) {
    static const struct {
        double value;
        bool is_float;
        const char *text;
    } cases[] = {
        {0.1, false, "0.1"},
        {0.1f, true, "0.1"},
        {0.1f, false, "0.10000000149011612"},
        {1.0, false, "1"},
        {-0.0, false, "-0"},
        {1e300, false, "1e+300"},
        {1.0 / 3, true, "0.33333334"},
        {5e-324, false, "5e-324"},
        {INFINITY, false, "inf"},
        {1e300, true, "inf"},
        {-INFINITY, true, "-inf"},
        {NAN, false, "nan"},
        {16777216, true, "16777216"},
    };
    Arena arena;
    Str text;
    lt_arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lt_str_init(&text, &arena);
        lt_str_double(&text, cases[i].value, cases[i].is_float);
        ck_assert_str_eq(text.text, cases[i].text);
    }
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        double value;
        bits = lt_hash_u64(bits);
        memcpy(&value, &bits, sizeof value);
        lt_str_init(&text, &arena);
        lt_str_double(&text, value, false);
        double again = strtod(text.text, NULL);
        ck_assert(memcmp(&again, &value, sizeof value) == 0 || (isnan(value) && isnan(again)));
    }
    lt_arena_free(&arena);
}
END_TEST

START_TEST(str_compares_ends) {
    ck_assert(lt_str_equal("a", "a") && !lt_str_equal("a", "ab"));
    ck_assert(lt_str_starts("model.so", "model") && !lt_str_starts("mod", "model"));
    ck_assert(lt_str_ends("model.so", ".so") && !lt_str_ends("so", ".so"));
    ck_assert(lt_str_starts("x", "") && lt_str_ends("", ""));
}
END_TEST

/* ---- map ---- */

START_TEST(map_keeps_insertion_order) {
    Arena arena;
    Map map;
    lt_arena_init(&arena);
    lt_map_init(&map, &arena);
    ck_assert_ptr_null(lt_map_get(&map, 5));
    ck_assert(!lt_map_has(&map, 0));
    static int values[5000];
    for (uint64_t i = 0; i < 5000; i++)
        lt_map_set(&map, (4999 - i) * 4096, &values[i]);
    for (uint64_t i = 0; i < 5000; i += 2)
        lt_map_set(&map, (4999 - i) * 4096, NULL); /* a change keeps the place */
    ck_assert_uint_eq(map.len, 5000);
    for (uint64_t i = 0; i < 5000; i++) {
        void *expected = i % 2 ? &values[i] : NULL;
        ck_assert_uint_eq(map.entries[i].key, (4999 - i) * 4096);
        ck_assert_ptr_eq(lt_map_get(&map, (4999 - i) * 4096), expected);
        ck_assert(lt_map_has(&map, i * 4096) && !lt_map_has(&map, i * 4096 + 1));
    }
    lt_arena_free(&arena);
}
END_TEST

START_TEST(strmap_copies_keys) {
    Arena arena;
    Map map;
    char key[32];
    static int values[3000];
    lt_arena_init(&arena);
    lt_map_init(&map, &arena);
    ck_assert_ptr_null(lt_strmap_get(&map, ""));
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "node_%d", i);
        lt_strmap_set(&map, key, &values[i]);
    }
    lt_strmap_set(&map, "", &values[7]);
    strcpy(key, "gone");
    for (int i = 0; i < 3000; i++) {
        char again[32];
        snprintf(again, sizeof again, "node_%d", i);
        ck_assert_ptr_eq(lt_strmap_get(&map, again), &values[i]);
        ck_assert_str_eq(map.entries[i].text, again);
    }
    ck_assert_ptr_eq(lt_strmap_get(&map, ""), &values[7]);
    ck_assert(!lt_strmap_has(&map, "node_3000") && lt_strmap_has(&map, "node_2999"));
    lt_arena_free(&arena);
}
END_TEST

START_TEST(hash_sees_every_bit_length_and_seed) {
    uint8_t bytes[100] = {0};
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint64_t plain = lt_hash_bytes(bytes, len, 0);
        ck_assert(plain != lt_hash_bytes(bytes, len, 1));
        ck_assert(len == 0 || plain != lt_hash_bytes(bytes, len - 1, 0));
        int changed = 0;
        for (size_t bit = 0; bit < len * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            changed += __builtin_popcountll(plain ^ lt_hash_bytes(bytes, len, 0));
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        if (len > 0) { /* one bit flips half of the 64, on average */
            double average = (double)changed / (double)(len * 8);
            ck_assert_msg(average > 29 && average < 35, "%f bits for %zu bytes", average, len);
        }
    }
}
END_TEST

START_TEST(hash_of_unaligned_bytes_is_the_same) {
    char text[64] = "x0123456789abcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t hash = lt_hash_bytes(text + 1, 40, 9);
    memmove(text, text + 1, 40);
    ck_assert_uint_eq(lt_hash_bytes(text, 40, 9), hash);
}
END_TEST

LT_TEST_MAIN("test_base", arena_overflow_is_out_of_memory,
             arena_jumps_when_the_system_has_no_memory, arena_without_handler_exits_with_6,
             arena_memory_is_zero_aligned_and_apart, arena_size_zero_is_unique,
             arena_large_blocks_do_not_waste_the_newest, arena_releases_large_objects_alone,
             arena_copies_text,
             checked_arithmetic_finds_overflow, floor_and_ceil_division, vec_growth_keeps_elements,
             vec_growth_runs_out_of_memory, str_overflow_is_out_of_memory,
             str_appends_and_terminates, str_quotes_every_byte, str_double_is_shortest_and_exact,
             str_compares_ends, map_keeps_insertion_order, strmap_copies_keys,
             hash_sees_every_bit_length_and_seed, hash_of_unaligned_bytes_is_the_same)
