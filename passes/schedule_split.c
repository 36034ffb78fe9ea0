/* schedule_split.c - a long fold with few results as two kernels, where one would leave most of a
 * GPU idle: blocks that fold a part each leave what they have in memory, and a second kernel folds
 * that.
 *
 *   for i { acc = 0;  for k in P * L { acc = acc + x };  out[i] = f(acc) }
 * becomes
 *   for part in P { for i { acc = 0;  for k in L { acc = acc + x };  partial[part, i] = acc } }
 *   for i { acc = 0;  for part in P { acc = acc + partial[part, i] };  out[i] = f(acc) }
 *
 * Parts are folded in the accumulator's dtype and in one order, so that a result is the same in
 * every run. */
#include "passes/schedule_nest.h"

#include <assert.h>
#include <string.h>

enum {
    TILE_SIDE = 64,     /* of a product's results for a block */
    LEAST_SIDE = 16,    /* of results that are tiles */
    COLUMNS = 32,       /* results beside each other for a block */
    PART_OF_TILE = 256, /* elements of the fold that make a part worth a block */
    PART_OF_COLUMN = 512,
    PART_OF_ROW = 8192,
    FOLD_PIECE = 16, /* of a tile; parts are whole ones where they can be */
    MOST_PARTS = 2 * LT_GPU_PROCESSORS
};

typedef struct Split {
    Kernel *k;
    Nest nest;
    Stmt *begin;        /* acc = identity */
    Stmt *folds;        /* the loops */
    const Stmt *update; /* acc = fn(acc, x) */
    ScalarFn fn;
    const Buffer *acc;
    int axis;      /* the folding loop that is split */
    int64_t parts; /* P */
    int64_t part;  /* L */
} Split;

/* --- reading the kernel ----------------------------------------------------------------------- */

static bool is_identity(const Expr *e, ScalarFn fn) {
    if (e->kind != EXPR_CONST)
        return false;
    return lt_dtype_is_float(e->dtype) ? e->u.f == lt_scalar_identity_float(fn)
                                       : e->u.i == lt_scalar_identity_int(fn, e->dtype);
}

/* acc = fn(acc, x), fn(x, acc) or fma(a, b, acc), where the value reads acc no further. */
static bool read_update(Split *s) {
    const Stmt *at = s->folds;
    while (at && !at->next &&
           (at->kind == STMT_FOR || (at->kind == STMT_IF && !at->u.branch.otherwise)))
        at = at->kind == STMT_FOR ? at->u.loop.body : at->u.branch.body;
    while (at && at->kind == STMT_LET)
        at = at->next;
    if (!at || at->kind != STMT_STORE || at->next || at->u.store.buffer != s->acc ||
        at->u.store.value->kind != EXPR_CALL)
        return false;
    const Expr *value = at->u.store.value, *const *args = value->u.call.args;
    const bool is_fma = value->u.call.fn == FN_FMA;
    int readers = 0, direct = 0;
    s->fn = is_fma ? FN_ADD : value->u.call.fn;
    for (int i = 0; i < 3 && args[i]; i++) {
        readers += lt_expr_loads(args[i], s->acc);
        direct +=
            args[i]->kind == EXPR_LOAD && args[i]->u.load.buffer == s->acc && (!is_fma || i == 2);
    }
    s->update = at;
    return readers == 1 && direct == 1 && lt_scalar_info[s->fn].associative;
}

/* alloc acc; acc = identity; the folds; stores. All extents are known. */
static bool read_kernel(Kernel *k, Split *s) {
    *s = (Split){.k = k, .nest = {.kernel = k}};
    lt_nest_read(&s->nest);
    Stmt *at = k->body;
    for (int i = 0; i < s->nest.loop_count; i++)
        at = at->u.loop.body;
    if (k->ints.len || !at || at->kind != STMT_ALLOC || !s->nest.fold_count ||
        s->nest.loop_count + 2 > LT_MAX_RANK)
        return false;
    s->acc = at->u.alloc.buffer;
    s->begin = at->next;
    s->folds = s->begin ? s->begin->next : NULL;
    if (s->acc->rank || s->acc->kind != BUFFER_REGISTER || !s->folds ||
        s->begin->kind != STMT_STORE || s->begin->u.store.buffer != s->acc ||
        s->folds->kind != STMT_FOR || s->folds != s->nest.folds[0])
        return false;
    for (const Stmt *rest = s->folds->next; rest; rest = rest->next)
        if (rest->kind != STMT_STORE || rest->u.store.buffer->kind != BUFFER_OUTPUT)
            return false;
    Stmt alone = *s->folds;
    alone.next = NULL;
    s->folds = &alone;
    const bool is_fold = read_update(s) && is_identity(s->begin->u.store.value, s->fn);
    s->folds = s->begin->next;
    return is_fold;
}

/* --- how many parts --------------------------------------------------------------------------- */

/* The blocks that the kernel would have, and the elements of the fold that make a part worth one of
 * its own. */
static int64_t count_blocks(Split *s, int64_t rows, int64_t *least) {
    const Nest *nest = &s->nest;
    const KernelClass class = s->k->class;
    const Stmt *last = nest->loop_count ? nest->loops[nest->loop_count - 1] : NULL;
    const int64_t columns = last ? last->u.loop.extent->value : 1;
    const bool is_product = class == KERNEL_CONTRACT || class == KERNEL_CONV;
    if (is_product && columns >= LEAST_SIDE && rows / columns >= LEAST_SIDE) {
        *least = PART_OF_TILE;
        return ((rows / columns + TILE_SIDE - 1) / TILE_SIDE) *
               ((columns + TILE_SIDE - 1) / TILE_SIDE);
    }
    const bool is_along = lt_nest_walks(&s->nest, nest->folds[nest->fold_count - 1], false);
    const bool is_across = !is_along && last && lt_nest_walks(&s->nest, last, false);
    *least = is_across ? PART_OF_COLUMN : PART_OF_ROW;
    return is_across ? (rows + COLUMNS - 1) / COLUMNS : rows;
}

/* As many parts as are wanted, or up to twice as many or half, if that divides the extent. */
static void cut(Split *s, int64_t extent, int64_t wanted) {
    s->parts = wanted;
    for (int64_t by = 0; by <= wanted; by++) {
        if (wanted - by / 2 > 1 && extent % (wanted - by / 2) == 0)
            s->parts = wanted - by / 2;
        else if (extent % (wanted + by) == 0)
            s->parts = wanted + by;
        else
            continue;
        break;
    }
    s->part = (extent + s->parts - 1) / s->parts;
    s->parts = (extent + s->part - 1) / s->part;
}

static bool choose_parts(Split *s) {
    const int64_t rows = lt_loops_iterations(s->nest.loops, s->nest.loop_count, 0);
    const int64_t elements = lt_loops_iterations(s->nest.folds, s->nest.fold_count, 0);
    int64_t least = 1;
    if (rows < 1 || elements < 1)
        return false;
    const int64_t blocks = count_blocks(s, rows, &least);
    int64_t wanted = MOST_PARTS / blocks;
    wanted = elements / least < wanted ? elements / least : wanted;
    for (int i = 0; i < s->nest.fold_count; i++)
        if (s->nest.folds[i]->u.loop.extent->value > s->nest.folds[s->axis]->u.loop.extent->value)
            s->axis = i;
    const int64_t extent = s->nest.folds[s->axis]->u.loop.extent->value;
    const int64_t unit = extent % FOLD_PIECE ? 1 : FOLD_PIECE;
    wanted = extent / unit < wanted ? extent / unit : wanted;
    if (blocks > LT_GPU_PROCESSORS / 2 || wanted < 2)
        return false;
    cut(s, extent / unit, wanted);
    s->part *= unit;
    /* A condition on the fold would protect one operand of a tile alone. */
    return s->parts > 1 && (least != PART_OF_TILE || extent % s->part == 0);
}

/* --- the two kernels -------------------------------------------------------------------------- */

typedef struct Used {
    const Kernel *k;
    bool *buffers;
} Used;

static const Expr *note_load(Kernel *k, const Expr *e, void *user) {
    const Used *used = user;
    (void)k;
    if (e->kind == EXPR_LOAD)
        used->buffers[e->u.load.buffer->index] = true;
    return e;
}

static void note_stores(const Used *used, const Stmt *list) {
    for (const Stmt *s = list; s; s = s->next) {
        if (s->kind == STMT_FOR)
            note_stores(used, s->u.loop.body);
        if (s->kind == STMT_IF)
            note_stores(used, s->u.branch.body);
        if (s->kind == STMT_STORE)
            used->buffers[s->u.store.buffer->index] = true;
    }
}

/* Only the parameters that the body needs, and `partial`, which comes behind the inputs. */
static Kernel *with_parameters(Kernel *k, Buffer *partial, uint32_t *from) {
    const Used used = {k, LT_ARRAY(k->arena, bool, k->buffers.len + 1)};
    lt_stmt_map(k, k->body, note_load, (void *)&used);
    note_stores(&used, k->body);
    Buffer **old = k->buffers.data;
    const size_t count = k->buffers.len, params = k->param_count;
    memset(&k->buffers, 0, sizeof k->buffers);
    for (size_t i = 0; i < count; i++) {
        if (i == params || (i < params && old[i]->kind == BUFFER_OUTPUT && partial)) {
            if (partial) {
                from[k->buffers.len] = LT_PARTIAL;
                lt_vec_push(k->arena, &k->buffers, partial);
            }
            partial = NULL;
        }
        if (i == params)
            k->param_count = (uint32_t)k->buffers.len;
        if (i < params && !used.buffers[i])
            continue;
        if (i < params)
            from[k->buffers.len] = (uint32_t)i;
        lt_vec_push(k->arena, &k->buffers, old[i]);
    }
    for (size_t i = 0; i < k->buffers.len; i++)
        k->buffers.data[i]->index = (uint32_t)i;
    return lt_kernel_copy(k); /* expressions know each other by the buffers' numbers */
}

static Buffer *new_partial(const Split *s, BufferKind kind) {
    Kernel *k = s->k;
    const int rank = s->nest.loop_count + 1;
    const Dim **dims = LT_ARRAY(k->arena, const Dim *, rank);
    dims[0] = lt_dim_const(&k->dims, s->parts);
    for (int i = 0; i + 1 < rank; i++)
        dims[i + 1] = s->nest.loops[i]->u.loop.extent;
    Buffer *b = LT_NEW(k->arena, Buffer);
    *b = (Buffer){.kind = kind,
                  .dtype = s->acc->dtype,
                  .rank = rank,
                  .index = (uint32_t)k->buffers.len,
                  .name = "partial",
                  .dims = dims};
    return b;
}

/* [part, i0, i1, ..] */
static const Dim *const *partial_index(const Split *s, const Dim *part) {
    const Dim **index = LT_ARRAY(s->k->arena, const Dim *, s->nest.loop_count + 1);
    index[0] = part;
    for (int i = 0; i < s->nest.loop_count; i++)
        index[i + 1] = s->nest.loops[i]->u.loop.var;
    return index;
}

static Split read_copy(const Split *s) {
    Split copy;
    const bool is_good = read_kernel(lt_kernel_copy(s->k), &copy);
    assert(is_good && "a copy reads like the original");
    (void)is_good;
    copy.k->in_place = 0;
    copy.axis = s->axis;
    copy.parts = s->parts;
    copy.part = s->part;
    return copy;
}

static Kernel *make_parts(const Split *from, uint32_t *params) {
    Split s = read_copy(from);
    Kernel *k = s.k;
    DimTable *t = &k->dims;
    const Dim *parts = lt_dim_const(t, s.parts), *length = lt_dim_const(t, s.part);
    const Dim *part = lt_kernel_loop_var(k, "part", parts);
    Stmt *loop = (Stmt *)s.nest.folds[s.axis];
    const Dim *var = loop->u.loop.var, *extent = loop->u.loop.extent;
    const Dim *inner = lt_kernel_loop_var(k, var->name, length);
    const Dim *position = lt_dim_add(t, lt_dim_mul(t, part, length), inner);
    Stmt *body = lt_stmt_replace_var(k, loop->u.loop.body, var, position);
    if (!lt_dim_divisible(t, extent, s.part))
        body = lt_stmt_if(k, lt_expr_less(k, position, extent), body, NULL);
    loop->u.loop.var = inner;
    loop->u.loop.extent = length;
    loop->u.loop.body = body;
    Buffer *partial = new_partial(&s, BUFFER_OUTPUT);
    s.folds->next =
        lt_stmt_store(k, partial, partial_index(&s, part), lt_expr_load(k, s.acc, NULL, NULL));
    k->body = lt_stmt_for(k, LOOP_SERIAL, part, parts, k->body);
    return with_parameters(k, partial, params);
}

static Kernel *make_fold(const Split *from, uint32_t *params) {
    Split s = read_copy(from);
    Kernel *k = s.k;
    const Dim *parts = lt_dim_const(&k->dims, s.parts);
    const Dim *part = lt_kernel_loop_var(k, "part", parts);
    Buffer *partial = new_partial(&s, BUFFER_INPUT);
    const Expr *acc = lt_expr_load(k, s.acc, NULL, NULL);
    const Expr *one = lt_expr_load(k, partial, partial_index(&s, part), NULL);
    Stmt *update = lt_stmt_store(k, s.acc, NULL, lt_expr_call(k, s.fn, acc, one, NULL));
    Stmt *loop = lt_stmt_for(k, LOOP_SERIAL, part, parts, update);
    loop->next = s.folds->next;
    s.begin->next = loop;
    k->class = KERNEL_REDUCE;
    return with_parameters(k, partial, params);
}

bool lt_split_fold(Kernel *k, SplitFold *out) {
    Split s;
    const KernelClass class = k->class;
    if ((class != KERNEL_REDUCE && class != KERNEL_WINDOW && class != KERNEL_CONTRACT &&
         class != KERNEL_CONV) ||
        !read_kernel(k, &s) || !choose_parts(&s))
        return false;
    for (int i = 0; i < 2; i++)
        out->params[i] = LT_ARRAY(k->arena, uint32_t, k->param_count + 1);
    out->kernels[0] = make_parts(&s, out->params[0]);
    out->kernels[1] = make_fold(&s, out->params[1]);
    out->dtype = s.acc->dtype;
    out->elements = s.parts * lt_loops_iterations(s.nest.loops, s.nest.loop_count, 0);
    return true;
}
