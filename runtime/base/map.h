/* map.h - hash maps in an arena: u64 -> void * and string -> void *. Iteration is in insertion
 * order, so that every output derived from a map is reproducible. No removal: set the value to
 * NULL. */
#ifndef LATHE_BASE_MAP_H
#define LATHE_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"

typedef struct MapEntry {
    uint64_t key;     /* the integer key, or the string's hash */
    const char *text; /* string maps: the key, copied into the arena */
    void *value;
} MapEntry;

typedef struct Map {
    Arena *arena;
    MapEntry *entries; /* in insertion order, entries[0..len) */
    size_t len, cap;
    uint32_t *slots; /* open addressing: 0 = empty, else entry index + 1 */
    size_t slot_count;
} Map;

void lt_map_init(Map *map, Arena *arena);
/* NULL when absent. */
void *lt_map_get(const Map *map, uint64_t key);
void lt_map_set(Map *map, uint64_t key, void *value);
bool lt_map_has(const Map *map, uint64_t key);

void *lt_strmap_get(const Map *map, const char *key);
void lt_strmap_set(Map *map, const char *key, void *value);
bool lt_strmap_has(const Map *map, const char *key);

uint64_t lt_hash_bytes(const void *data, size_t len, uint64_t seed);
uint64_t lt_hash_u64(uint64_t x);
#define lt_ptr_key(p) ((uint64_t)(uintptr_t)(p))

#endif
