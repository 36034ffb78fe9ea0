/* map.c - open addressing with linear probing over 32-bit slots that point into a dense entry
 * array. The dense array gives insertion order; the slots are at most 3/4 full. */
#include "runtime/base/map.h"

#include <assert.h>
#include <string.h>

enum { FIRST_SLOTS = 16 };

void lt_map_init(Map *map, Arena *arena) { *map = (Map){.arena = arena}; }

/* String keys are spread by their hash already; integers (often pointers) are not. */
static uint64_t spread(uint64_t key, const char *text) { return text ? key : lt_hash_u64(key); }

static bool holds_key(const MapEntry *entry, uint64_t key, const char *text) {
    if (entry->key != key || !entry->text != !text)
        return false;
    return !text || strcmp(entry->text, text) == 0;
}

/* The slot that holds the key, or the empty slot where it belongs. */
static size_t find_slot(const Map *map, uint64_t key, const char *text) {
    size_t mask = map->slot_count - 1, slot = (size_t)spread(key, text) & mask;
    while (map->slots[slot] && !holds_key(&map->entries[map->slots[slot] - 1], key, text))
        slot = (slot + 1) & mask;
    return slot;
}

static MapEntry *find_entry(const Map *map, uint64_t key, const char *text) {
    if (map->slot_count == 0)
        return NULL;
    uint32_t found = map->slots[find_slot(map, key, text)];
    return found ? &map->entries[found - 1] : NULL;
}

static void grow_slots(Map *map) {
    map->slot_count = map->slot_count ? map->slot_count * 2 : FIRST_SLOTS;
    map->slots = LT_ARRAY(map->arena, uint32_t, map->slot_count);
    for (size_t i = 0; i < map->len; i++)
        map->slots[find_slot(map, map->entries[i].key, map->entries[i].text)] = (uint32_t)i + 1;
}

static void grow_entries(Map *map) {
    size_t cap = map->cap ? map->cap * 2 : FIRST_SLOTS / 2;
    MapEntry *entries = LT_ARRAY(map->arena, MapEntry, cap);
    if (map->len > 0)
        memcpy(entries, map->entries, map->len * sizeof *entries);
    map->entries = entries;
    map->cap = cap;
}

static void add_entry(Map *map, uint64_t key, const char *text, void *value) {
    assert(map->len < UINT32_MAX);
    if ((map->len + 1) * 4 > map->slot_count * 3)
        grow_slots(map);
    if (map->len == map->cap)
        grow_entries(map);
    size_t slot = find_slot(map, key, text);
    const char *copy = text ? lt_arena_strdup(map->arena, text) : NULL;
    map->entries[map->len++] = (MapEntry){.key = key, .text = copy, .value = value};
    map->slots[slot] = (uint32_t)map->len;
}

static void set(Map *map, uint64_t key, const char *text, void *value) {
    MapEntry *entry = find_entry(map, key, text);
    if (entry)
        entry->value = value;
    else
        add_entry(map, key, text, value);
}

static uint64_t hash_text(const char *text) { return lt_hash_bytes(text, strlen(text), 0); }

void *lt_map_get(const Map *map, uint64_t key) {
    MapEntry *entry = find_entry(map, key, NULL);
    return entry ? entry->value : NULL;
}

void lt_map_set(Map *map, uint64_t key, void *value) { set(map, key, NULL, value); }

bool lt_map_has(const Map *map, uint64_t key) { return find_entry(map, key, NULL) != NULL; }

void *lt_strmap_get(const Map *map, const char *key) {
    MapEntry *entry = find_entry(map, hash_text(key), key);
    return entry ? entry->value : NULL;
}

void lt_strmap_set(Map *map, const char *key, void *value) { set(map, hash_text(key), key, value); }

bool lt_strmap_has(const Map *map, const char *key) {
    return find_entry(map, hash_text(key), key) != NULL;
}
