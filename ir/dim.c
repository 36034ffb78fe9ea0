/* dim.c - interning, sums and products of symbolic dims.
 *
 * Every expression is brought into the form of dim_poly.h before it is interned, so equal
 * expressions are one pointer. Arithmetic on coefficients saturates: a model whose extents leave
 * int64 cannot run anyway. */
#include "ir/dim.h"

#include <assert.h>
#include <string.h>

#include "ir/dim_poly.h"

/* Two sums are multiplied out when the result has at most this many terms. */
enum { EXPANSION_LIMIT = 16 };

typedef struct DimChain {
    Dim dim;
    struct DimChain *next; /* others of the same hash */
} DimChain;

void lt_dims_init(DimTable *table, Arena *arena) {
    *table = (DimTable){.arena = arena};
    lt_map_init(&table->interned, arena);
}

int64_t lt_dim_saturate(__int128 value) {
    if (value > INT64_MAX)
        return INT64_MAX;
    return value < -INT64_MAX ? -INT64_MAX : (int64_t)value;
}

int64_t lt_dim_gcd(int64_t a, int64_t b) {
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

bool lt_dim_mentions(const Dim *d, const Dim *symbol) {
    if (d == symbol)
        return true;
    for (uint32_t i = 0; i < d->count; i++)
        if (lt_dim_mentions(d->args[i], symbol))
            return true;
    return false;
}

/* --- interning ------------------------------------------------------------------------------- */

static uint64_t hash_dim(const Dim *d) {
    uint64_t hash = lt_hash_u64((uint64_t)d->value * 16 + (uint64_t)d->kind);
    if (d->kind == DIM_SYMBOL)
        return lt_hash_bytes(d->name, strlen(d->name), hash);
    for (uint32_t i = 0; i < d->count; i++)
        hash = lt_hash_u64(hash ^ d->args[i]->id);
    return hash;
}

static bool same_dim(const Dim *a, const Dim *b) {
    if (a->kind != b->kind || a->value != b->value || a->count != b->count)
        return false;
    if (a->kind == DIM_SYMBOL)
        return strcmp(a->name, b->name) == 0;
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->args[i] != b->args[i])
            return false;
    }
    return true;
}

static const Dim *find_dim(const DimTable *t, const Dim *wanted, uint64_t key) {
    for (const DimChain *chain = lt_map_get(&t->interned, key); chain; chain = chain->next) {
        if (same_dim(&chain->dim, wanted))
            return &chain->dim;
    }
    return NULL;
}

static const Dim *insert_dim(DimTable *t, const Dim *wanted, uint64_t key) {
    DimChain *made = LT_NEW(t->arena, DimChain);
    made->dim = *wanted;
    made->dim.id = t->next_id++;
    if (wanted->count > 0) {
        const Dim **args = LT_ARRAY(t->arena, const Dim *, wanted->count);
        memcpy(args, wanted->args, wanted->count * sizeof *args);
        made->dim.args = args;
    }
    made->next = lt_map_get(&t->interned, key);
    lt_map_set(&t->interned, key, made);
    return &made->dim;
}

static const Dim *intern(DimTable *t, const Dim *wanted) {
    const uint64_t key = hash_dim(wanted);
    const Dim *found = find_dim(t, wanted, key);
    return found ? found : insert_dim(t, wanted, key);
}

const Dim *lt_dim_intern2(DimTable *t, DimKind kind, const Dim *a, const Dim *b) {
    const Dim *args[] = {a, b};
    return intern(t, &(Dim){.kind = kind, .count = 2, .args = args});
}

const Dim *lt_dim_const(DimTable *t, int64_t value) {
    return intern(t, &(Dim){.kind = DIM_CONST, .value = lt_dim_saturate(value)});
}

const Dim *lt_dim_symbol(DimTable *t, const char *name) {
    Dim wanted = {.kind = DIM_SYMBOL, .name = name};
    const uint64_t key = hash_dim(&wanted);
    const Dim *found = find_dim(t, &wanted, key);
    if (found)
        return found;
    wanted.name = lt_arena_strdup(t->arena, name);
    wanted.symbol = (uint32_t)t->symbols.len;
    const Dim *made = insert_dim(t, &wanted, key);
    lt_vec_push(t->arena, &t->symbols, (DimSymbol){.dim = made, .lo = 1, .hi = LT_DIM_UNBOUNDED});
    return made;
}

const Dim *lt_dim_fresh(DimTable *t, const char *prefix) {
    for (unsigned number = 0;; number++) {
        const char *name = lt_arena_printf(t->arena, "%s%u", prefix, number);
        const Dim wanted = {.kind = DIM_SYMBOL, .name = name};
        if (!find_dim(t, &wanted, hash_dim(&wanted)))
            return lt_dim_symbol(t, name);
    }
}

const Dim *lt_dim_fresh_data(DimTable *t, const char *prefix) {
    const Dim *symbol = lt_dim_fresh(t, prefix);
    lt_dim_set_range(t, symbol, 0, LT_DIM_UNBOUNDED);
    t->symbols.data[symbol->symbol].data_dependent = true;
    return symbol;
}

void lt_dim_set_range(DimTable *t, const Dim *symbol, int64_t lo, int64_t hi) {
    assert(symbol->kind == DIM_SYMBOL && lo <= hi);
    t->symbols.data[symbol->symbol].lo = lo;
    t->symbols.data[symbol->symbol].hi = hi;
}

/* --- order ----------------------------------------------------------------------------------- */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_args(const Dim *a, const Dim *b) {
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        const int order = lt_dim_compare(a->args[i], b->args[i]);
        if (order)
            return order;
    }
    return COMPARE(a->count, b->count);
}

int lt_dim_compare(const Dim *a, const Dim *b) {
    if (a == b)
        return 0;
    if (a->kind != b->kind)
        return COMPARE(a->kind, b->kind);
    if (a->kind == DIM_SYMBOL)
        return COMPARE(a->symbol, b->symbol);
    const int order = compare_args(a, b);
    return order ? order : COMPARE(a->value, b->value);
}

/* A product of two sums that was not multiplied out counts as one atom. */
static bool is_unexpanded(const Dim *d) {
    return d->kind == DIM_MUL && d->args[0]->kind == DIM_ADD;
}

const Dim *const *lt_product_atoms(const Dim *const *single, uint32_t *count) {
    const Dim *product = *single;
    if (product->kind != DIM_MUL || is_unexpanded(product)) {
        *count = 1;
        return single;
    }
    *count = product->count;
    return product->args;
}

static int compare_products(const Dim *a, const Dim *b) {
    uint32_t a_count, b_count;
    const Dim *const *a_atoms = lt_product_atoms(&a, &a_count);
    const Dim *const *b_atoms = lt_product_atoms(&b, &b_count);
    if (a_count != b_count)
        return COMPARE(a_count, b_count);
    for (uint32_t i = 0; i < a_count; i++) {
        const int order = lt_dim_compare(a_atoms[i], b_atoms[i]);
        if (order)
            return order;
    }
    return 0;
}

/* --- products -------------------------------------------------------------------------------- */

static void sort_atoms(const Dim **atoms, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        const Dim *atom = atoms[i];
        uint32_t at = i;
        for (; at > 0 && lt_dim_compare(atoms[at - 1], atom) > 0; at--)
            atoms[at] = atoms[at - 1];
        atoms[at] = atom;
    }
}

const Dim *lt_dim_from_atoms(DimTable *t, int64_t coefficient, const Dim *const *atoms,
                             uint32_t count) {
    if (count == 0 || coefficient == 0)
        return lt_dim_const(t, coefficient);
    if (count == 1 && coefficient == 1)
        return atoms[0];
    const Dim **sorted = LT_ARRAY(t->arena, const Dim *, count);
    memcpy(sorted, atoms, count * sizeof *sorted);
    sort_atoms(sorted, count);
    return intern(t, &(Dim){.kind = DIM_MUL, .value = coefficient, .count = count, .args = sorted});
}

DimTerm lt_dim_term(DimTable *t, const Dim *d) {
    assert(d->kind != DIM_ADD);
    if (d->kind == DIM_CONST)
        return (DimTerm){d->value, NULL};
    if (d->kind != DIM_MUL || d->value == 1)
        return (DimTerm){1, d};
    return (DimTerm){d->value, lt_dim_from_atoms(t, 1, d->args, d->count)};
}

static const Dim *multiply_products(DimTable *t, const Dim *a, const Dim *b) {
    if (!a || !b)
        return a ? a : b;
    uint32_t a_count, b_count;
    const Dim *const *a_atoms = lt_product_atoms(&a, &a_count);
    const Dim *const *b_atoms = lt_product_atoms(&b, &b_count);
    const Dim **atoms = LT_ARRAY(t->arena, const Dim *, a_count + b_count);
    memcpy(atoms, a_atoms, a_count * sizeof *atoms);
    memcpy(atoms + a_count, b_atoms, b_count * sizeof *atoms);
    return lt_dim_from_atoms(t, 1, atoms, a_count + b_count);
}

const Dim *lt_product_divide(DimTable *t, const Dim *a, const Dim *b) {
    uint32_t a_count, b_count, rest = 0, found = 0;
    const Dim *const *a_atoms = lt_product_atoms(&a, &a_count);
    const Dim *const *b_atoms = lt_product_atoms(&b, &b_count);
    const Dim **atoms = LT_ARRAY(t->arena, const Dim *, a_count);
    for (uint32_t i = 0; i < a_count; i++) {
        if (found < b_count && a_atoms[i] == b_atoms[found])
            found++;
        else
            atoms[rest++] = a_atoms[i];
    }
    return found == b_count ? lt_dim_from_atoms(t, 1, atoms, rest) : NULL;
}

/* --- sums ------------------------------------------------------------------------------------ */

void lt_poly_init(DimPoly *poly, DimTable *t, int64_t constant) {
    poly->table = t;
    poly->constant = constant;
    poly->count = 0;
    poly->cap = LT_POLY_LOCAL;
    poly->terms = poly->local;
}

static void grow_poly(DimPoly *poly) {
    DimTerm *terms = LT_ARRAY(poly->table->arena, DimTerm, (size_t)poly->cap * 2);
    memcpy(terms, poly->terms, poly->count * sizeof *terms);
    poly->terms = terms;
    poly->cap *= 2;
}

static void remove_term(DimPoly *poly, uint32_t at) {
    poly->count--;
    memmove(poly->terms + at, poly->terms + at + 1, (poly->count - at) * sizeof *poly->terms);
}

void lt_poly_add_term(DimPoly *poly, int64_t coefficient, const Dim *product) {
    if (!product) {
        poly->constant = lt_dim_saturating_add(poly->constant, coefficient);
        return;
    }
    if (coefficient == 0)
        return;
    uint32_t at = 0;
    while (at < poly->count && compare_products(poly->terms[at].product, product) < 0)
        at++;
    if (at < poly->count && poly->terms[at].product == product) {
        int64_t *sum = &poly->terms[at].coefficient;
        *sum = lt_dim_saturating_add(*sum, coefficient);
        if (*sum == 0)
            remove_term(poly, at);
        return;
    }
    if (poly->count == poly->cap)
        grow_poly(poly);
    memmove(poly->terms + at + 1, poly->terms + at, (poly->count - at) * sizeof *poly->terms);
    poly->terms[at] = (DimTerm){coefficient, product};
    poly->count++;
}

void lt_poly_add(DimPoly *poly, int64_t factor, const Dim *d) {
    if (d->kind != DIM_ADD) {
        const DimTerm term = lt_dim_term(poly->table, d);
        lt_poly_add_term(poly, lt_dim_saturating_mul(factor, term.coefficient), term.product);
        return;
    }
    lt_poly_add_term(poly, lt_dim_saturating_mul(factor, d->value), NULL);
    for (uint32_t i = 0; i < d->count; i++)
        lt_poly_add(poly, factor, d->args[i]);
}

void lt_poly_from(DimPoly *poly, DimTable *t, const Dim *d) {
    lt_poly_init(poly, t, 0);
    lt_poly_add(poly, 1, d);
}

static const Dim *term_dim(DimTable *t, DimTerm term) {
    if (term.coefficient == 1)
        return term.product;
    uint32_t count;
    const Dim *const *atoms = lt_product_atoms(&term.product, &count);
    return lt_dim_from_atoms(t, term.coefficient, atoms, count);
}

const Dim *lt_poly_dim(const DimPoly *poly) {
    DimTable *t = poly->table;
    if (poly->count == 0)
        return lt_dim_const(t, poly->constant);
    if (poly->count == 1 && poly->constant == 0)
        return term_dim(t, poly->terms[0]);
    const Dim *local[LT_POLY_LOCAL];
    const Dim **args =
        poly->count <= LT_POLY_LOCAL ? local : LT_ARRAY(t->arena, const Dim *, poly->count);
    for (uint32_t i = 0; i < poly->count; i++)
        args[i] = term_dim(t, poly->terms[i]);
    return intern(
        t, &(Dim){.kind = DIM_ADD, .value = poly->constant, .count = poly->count, .args = args});
}

/* --- arithmetic ------------------------------------------------------------------------------ */

static const Dim *add_scaled(DimTable *t, const Dim *a, int64_t factor, const Dim *b) {
    DimPoly sum;
    lt_poly_from(&sum, t, a);
    lt_poly_add(&sum, factor, b);
    return lt_poly_dim(&sum);
}

const Dim *lt_dim_add(DimTable *t, const Dim *a, const Dim *b) { return add_scaled(t, a, 1, b); }
const Dim *lt_dim_sub(DimTable *t, const Dim *a, const Dim *b) { return add_scaled(t, a, -1, b); }

const Dim *lt_dim_add_const(DimTable *t, const Dim *a, int64_t b) {
    return b == 0 ? a : add_scaled(t, a, 1, lt_dim_const(t, b));
}

const Dim *lt_dim_mul_const(DimTable *t, const Dim *a, int64_t b) {
    DimPoly scaled;
    lt_poly_init(&scaled, t, 0);
    lt_poly_add(&scaled, b, a);
    return lt_poly_dim(&scaled);
}

static uint32_t addend_count(const DimPoly *poly) { return poly->count + (poly->constant != 0); }

/* Addend number i, the constant being the one behind the terms. */
static DimTerm addend(const DimPoly *poly, uint32_t i) {
    return i < poly->count ? poly->terms[i] : (DimTerm){poly->constant, NULL};
}

static const Dim *expand(DimTable *t, const DimPoly *a, const DimPoly *b) {
    DimPoly product;
    lt_poly_init(&product, t, 0);
    for (uint32_t i = 0; i < addend_count(a); i++) {
        for (uint32_t j = 0; j < addend_count(b); j++) {
            const DimTerm x = addend(a, i), y = addend(b, j);
            lt_poly_add_term(&product, lt_dim_saturating_mul(x.coefficient, y.coefficient),
                             multiply_products(t, x.product, y.product));
        }
    }
    return lt_poly_dim(&product);
}

const Dim *lt_dim_mul(DimTable *t, const Dim *a, const Dim *b) {
    if (lt_dim_is_const(a) || lt_dim_is_const(b))
        return lt_dim_is_const(a) ? lt_dim_mul_const(t, b, a->value)
                                  : lt_dim_mul_const(t, a, b->value);
    DimPoly x, y;
    lt_poly_from(&x, t, a);
    lt_poly_from(&y, t, b);
    const uint32_t rows = addend_count(&x), columns = addend_count(&y);
    if (rows == 1 || columns == 1 || (uint64_t)rows * columns <= EXPANSION_LIMIT)
        return expand(t, &x, &y);
    const Dim *args[] = {lt_dim_compare(a, b) <= 0 ? a : b, lt_dim_compare(a, b) <= 0 ? b : a};
    return intern(t, &(Dim){.kind = DIM_MUL, .value = 1, .count = 2, .args = args});
}

const Dim *lt_dim_product(DimTable *t, const Dim *const *dims, int count) {
    const Dim *product = lt_dim_const(t, 1);
    for (int i = 0; i < count; i++)
        product = lt_dim_mul(t, product, dims[i]);
    return product;
}

/* --- copies of the table --- */

void lt_dims_fork(DimTable *out, const DimTable *table, Arena *arena) {
    *out = *table;
    out->arena = arena;
    out->interned.arena = arena;
    const Map *map = &table->interned;
    if (map->cap > 0)
        out->interned.entries = lt_arena_copy(arena, map->entries, map->cap * sizeof *map->entries);
    if (map->slot_count > 0)
        out->interned.slots =
            lt_arena_copy(arena, map->slots, map->slot_count * sizeof *map->slots);
    out->symbols.data =
        lt_arena_copy(arena, table->symbols.data, table->symbols.len * sizeof *table->symbols.data);
    out->symbols.cap = table->symbols.len;
}
