/* arena.h - memory by lifetime.
 *
 * An arena hands out zeroed memory that is freed all at once. Nobody frees a single object, but for
 * large ones that are known to be dead, as weights that were folded are (lt_arena_release). When
 * memory runs out, the arena jumps to its `out_of_memory` handler, so callers never check for NULL:
 * whoever owns the arena sets the handler once (the compiler's entry points do). */
#ifndef LATHE_BASE_ARENA_H
#define LATHE_BASE_ARENA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ArenaBlock ArenaBlock;

/* Objects from this size on have memory of their own: in bytes. */
#define LT_ARENA_LARGE ((size_t)1 << 17)

typedef struct Arena {
    ArenaBlock *block;      /* newest block; older ones hang behind it */
    size_t used;            /* bytes handed out, alignment included */
    jmp_buf *out_of_memory; /* where to go when malloc fails; NULL: message on stderr, exit 6 */
} Arena;

void lt_arena_init(Arena *arena);
/* Frees every block; the arena may be used again afterwards. */
void lt_arena_free(Arena *arena);
/* Zeroed, 16-byte aligned (64 with lt_arena_alloc_aligned). size 0 gives a valid unique pointer. */
void *lt_arena_alloc(Arena *arena, size_t size);
void *lt_arena_alloc_aligned(Arena *arena, size_t size, size_t alignment);
/* count * size with an overflow check (overflow is treated as out of memory). */
void *lt_arena_array(Arena *arena, size_t count, size_t size);
void *lt_arena_copy(Arena *arena, const void *data, size_t size);
/* Gives the memory of an object of LT_ARENA_LARGE bytes or more back at once. False: it is smaller,
 * or not this arena's, and nothing happens. Takes time in proportion to the arena's blocks. */
bool lt_arena_release(Arena *arena, const void *object);
char *lt_arena_strdup(Arena *arena, const char *text);
char *lt_arena_strndup(Arena *arena, const char *text, size_t len);
char *lt_arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *lt_arena_vprintf(Arena *arena, const char *format, va_list args);

#define LT_NEW(arena, T) ((T *)lt_arena_alloc((arena), sizeof(T)))
#define LT_ARRAY(arena, T, n) ((T *)lt_arena_array((arena), (size_t)(n), sizeof(T)))

#endif
