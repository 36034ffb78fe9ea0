/* arena.c - blocks that double in size up to a limit; what is large gets a block of its own.
 * Blocks come from calloc and nothing is handed out twice, so that all memory is zero without a
 * memset, and large arrays cost only the pages that are touched. */
#include "runtime/base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

enum { FIRST_BLOCK = 4096, LARGEST_STEP = 1 << 20, DEFAULT_ALIGNMENT = 16, EXIT_MACHINE = 6 };

struct ArenaBlock {
    ArenaBlock *older;
    size_t size;   /* of bytes[] */
    size_t used;   /* of bytes[] */
    bool is_alone; /* holds one large object */
    alignas(DEFAULT_ALIGNMENT) unsigned char bytes[];
};

void lt_arena_init(Arena *arena) { *arena = (Arena){0}; }

void lt_arena_free(Arena *arena) {
    for (ArenaBlock *block = arena->block, *older; block; block = older) {
        older = block->older;
        free(block);
    }
    arena->block = NULL;
    arena->used = 0;
}

__attribute__((noreturn)) static void fail(Arena *arena, size_t size) {
    if (arena->out_of_memory)
        longjmp(*arena->out_of_memory, 1);
    fprintf(stderr, "error: out of memory (%zu bytes were asked for)\n", size);
    exit(EXIT_MACHINE);
}

/* The place of the next object in `block`, or SIZE_MAX when it does not fit. The address is what
 * gets aligned, since calloc aligns a block to 16 bytes only. */
static size_t find_place(const ArenaBlock *block, size_t size, size_t alignment) {
    uintptr_t free_at = (uintptr_t)(block->bytes + block->used);
    size_t padding = (size_t)(-free_at & (alignment - 1));
    size_t room = block->size - block->used;
    if (padding > room || size > room - padding)
        return SIZE_MAX;
    return block->used + padding;
}

/* At least `least` bytes of room for an object of that size and alignment. */
static ArenaBlock *new_block(Arena *arena, size_t size, size_t alignment, size_t least) {
    size_t wanted, total;
    if (!lt_add_size(size, alignment, &wanted))
        fail(arena, size);
    wanted = wanted > least ? wanted : least;
    if (!lt_add_size(wanted, sizeof(ArenaBlock), &total))
        fail(arena, size);
    ArenaBlock *block = calloc(1, total);
    if (!block)
        fail(arena, size);
    block->size = wanted;
    return block;
}

static ArenaBlock *add_block(Arena *arena, size_t size, size_t alignment) {
    size_t step = arena->block ? arena->block->size * 2 : FIRST_BLOCK;
    step = step > LARGEST_STEP ? LARGEST_STEP : step;
    ArenaBlock *block = new_block(arena, size, alignment, step);
    block->older = arena->block;
    arena->block = block;
    return block;
}

/* Goes behind the newest block, which may have much room left. */
static ArenaBlock *add_block_alone(Arena *arena, size_t size, size_t alignment) {
    ArenaBlock *block = new_block(arena, size, alignment, 0);
    ArenaBlock **place = arena->block ? &arena->block->older : &arena->block;
    block->is_alone = true;
    block->older = *place;
    *place = block;
    return block;
}

void *lt_arena_alloc_aligned(Arena *arena, size_t size, size_t alignment) {
    assert(alignment != 0 && (alignment & (alignment - 1)) == 0);
    size += size == 0;
    bool is_large = size >= LT_ARENA_LARGE;
    ArenaBlock *block = arena->block;
    size_t place = block && !is_large ? find_place(block, size, alignment) : SIZE_MAX;
    if (place == SIZE_MAX) {
        block = (is_large ? add_block_alone : add_block)(arena, size, alignment);
        place = find_place(block, size, alignment);
    }
    assert(place != SIZE_MAX);
    arena->used += place + size - block->used;
    block->used = place + size;
    return block->bytes + place;
}

bool lt_arena_release(Arena *arena, const void *object) {
    const uintptr_t wanted = (uintptr_t)object;
    for (ArenaBlock **at = &arena->block; *at; at = &(*at)->older) {
        ArenaBlock *block = *at;
        const uintptr_t start = (uintptr_t)block->bytes;
        if (!block->is_alone || wanted < start || wanted >= start + block->size)
            continue;
        *at = block->older;
        arena->used -= block->used;
        free(block);
        return true;
    }
    return false;
}

void *lt_arena_alloc(Arena *arena, size_t size) {
    return lt_arena_alloc_aligned(arena, size, DEFAULT_ALIGNMENT);
}

void *lt_arena_array(Arena *arena, size_t count, size_t size) {
    size_t total;
    if (!lt_mul_size(count, size, &total))
        fail(arena, SIZE_MAX);
    return lt_arena_alloc(arena, total);
}

void *lt_arena_copy(Arena *arena, const void *data, size_t size) {
    void *copy = lt_arena_alloc(arena, size);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *lt_arena_strndup(Arena *arena, const char *text, size_t len) {
    size_t size;
    if (!lt_add_size(len, 1, &size))
        fail(arena, len);
    char *copy = lt_arena_alloc_aligned(arena, size, 1);
    memcpy(copy, text, len);
    return copy;
}

char *lt_arena_strdup(Arena *arena, const char *text) {
    return lt_arena_strndup(arena, text, strlen(text));
}

char *lt_arena_vprintf(Arena *arena, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0) /* the text is longer than INT_MAX, or the C library had no memory */
        fail(arena, SIZE_MAX);
    char *text = lt_arena_alloc_aligned(arena, (size_t)len + 1, 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

char *lt_arena_printf(Arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = lt_arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}
