/* kernel_scratch.c - scratch memory of a GPU's kernel as a parameter.
 *
 * alloc s: f32[8] scratch  s[i] = x   =>   s[256 * block + thread, i] = x, of a buffer that has a
 * row for each thread. What each thread did outside of thread loops, alike, is in one then. */
#include "ir/schedule.h"

typedef struct Place {
    Kernel *k;
    const Buffer *scratch, *rows;
    const Dim *first; /* row of the block's first thread */
    int64_t threads;  /* of a block; 0: it has no thread loops */
} Place;

/* Row `first + thread` of the list's accesses. */
static void retarget(const Place *p, Stmt *list, const Dim *thread) {
    const Dim *row = thread ? lt_dim_add(&p->k->dims, p->first, thread) : p->first;
    lt_stmt_retarget(p->k, list, p->scratch, p->rows, &row, 1);
}

static void drop_alloc(Stmt **link, const Buffer *b) {
    while (*link) {
        Stmt *s = *link;
        if (s->kind == STMT_ALLOC && s->u.alloc.buffer == b) {
            *link = s->next;
            continue;
        }
        if (s->kind == STMT_FOR)
            drop_alloc(&s->u.loop.body, b);
        if (s->kind == STMT_IF) {
            drop_alloc(&s->u.branch.body, b);
            drop_alloc(&s->u.branch.otherwise, b);
        }
        link = &s->next;
    }
}

static Stmt *make_thread_loop(const Place *p, Stmt *s) {
    const Dim *extent = lt_dim_const(&p->k->dims, p->threads);
    const Dim *var = lt_kernel_loop_var(p->k, "t", extent);
    Stmt *loop = lt_stmt_for(p->k, LOOP_THREAD, var, extent, s);
    loop->next = s->next;
    loop->loc = s->loc;
    s->next = NULL;
    retarget(p, s, var);
    return loop;
}

static void place_list(const Place *p, Stmt **link) {
    for (; *link; link = &(*link)->next) {
        Stmt *s = *link;
        const bool is_around = s->kind == STMT_FOR &&
                               (s->u.loop.kind == LOOP_GRID || lt_stmt_threads(s->u.loop.body) ||
                                lt_stmt_has_barrier(s->u.loop.body));
        if (s->kind == STMT_FOR && s->u.loop.kind == LOOP_THREAD) {
            retarget(p, s->u.loop.body, s->u.loop.var);
        } else if (is_around) {
            place_list(p, &s->u.loop.body);
        } else if (s->kind == STMT_IF && lt_stmt_threads(s)) {
            place_list(p, &s->u.branch.body);
            place_list(p, &s->u.branch.otherwise);
        } else {
            Stmt *next = s->next;
            s->next = NULL;
            const bool is_used = lt_stmt_uses(s, p->scratch);
            s->next = next;
            if (is_used)
                *link = make_thread_loop(p, s);
        }
    }
}

/* The number of the block, row-major. */
static const Dim *block_number(Kernel *k) {
    const Dim *number = lt_dim_const(&k->dims, 0);
    for (const Stmt *s = k->body; s && s->kind == STMT_FOR && s->u.loop.kind == LOOP_GRID;
         s = s->u.loop.body)
        number =
            lt_dim_add(&k->dims, lt_dim_mul(&k->dims, number, s->u.loop.extent), s->u.loop.var);
    return number;
}

/* Behind the other parameters, in front of the locals. */
static const Buffer *add_rows(Kernel *k, const Buffer *scratch, const Dim *count) {
    const Dim *dims[LT_MAX_RANK] = {count};
    for (int i = 0; i < scratch->rank; i++)
        dims[i + 1] = scratch->dims[i];
    Buffer *rows =
        lt_kernel_local(k, BUFFER_SCRATCH, "rows", scratch->dtype, scratch->rank + 1, dims);
    for (size_t i = k->buffers.len - 1; i > k->param_count; i--) {
        k->buffers.data[i] = k->buffers.data[i - 1];
        k->buffers.data[i]->index = (uint32_t)i;
    }
    rows->kind = BUFFER_OUTPUT;
    rows->index = k->param_count;
    k->buffers.data[k->param_count++] = rows;
    return rows;
}

static void remove_local(Kernel *k, const Buffer *b) {
    for (size_t i = b->index; i + 1 < k->buffers.len; i++) {
        k->buffers.data[i] = k->buffers.data[i + 1];
        k->buffers.data[i]->index = (uint32_t)i;
    }
    k->buffers.len--;
}

static Buffer *find_scratch(const Kernel *k) {
    for (size_t i = k->param_count; i < k->buffers.len; i++)
        if (k->buffers.data[i]->kind == BUFFER_SCRATCH && k->buffers.data[i]->rank < LT_MAX_RANK)
            return k->buffers.data[i];
    return NULL;
}

void lt_kernel_place_scratch(Kernel *k) {
    for (Buffer *b = find_scratch(k); b; b = find_scratch(k)) {
        Place p = {.k = k, .scratch = b, .threads = lt_kernel_threads(k)};
        const int64_t threads = p.threads ? p.threads : 1;
        const Dim *count = lt_dim_mul_const(&k->dims, lt_kernel_blocks(k), threads);
        p.first = lt_dim_mul_const(&k->dims, block_number(k), threads);
        p.rows = add_rows(k, b, count);
        drop_alloc(&k->body, b);
        if (p.threads)
            place_list(&p, &k->body);
        else
            retarget(&p, k->body, NULL);
        const char *name = b->name;
        remove_local(k, b);
        ((Buffer *)p.rows)->name = name;
    }
}
