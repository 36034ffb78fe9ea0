/* attention_tile.c - how large a part of an attention a block of a GPU's threads does at once.
 *
 * In shared memory are the block's rows of q, one tile of k and of v, and the exponentials of a
 * tile of scores; in registers are a thread's scores and sums. The largest tile that fits both is
 * taken that leaves a block for each processor. */
#include "passes/attention.h"
#include "runtime/base/checked.h"

enum {
    LEAST_ROWS = 4,       /* with fewer, the products alone keep more threads busy */
    GAP_BYTES = 16,       /* between rows in shared memory */
    MOST_REGISTERS = 144, /* of a thread's scores and sums */
    MMA_SIDE = 16
};

typedef struct TileSize {
    int rows, columns, own_rows, mates;
} TileSize;

static const TileSize sizes[] = {
    {64, 64, 4, 16}, {64, 32, 4, 8}, {32, 32, 4, 8}, {32, 16, 4, 8}, {16, 16, 2, 8}, {16, 8, 2, 8},
};
/* A warp has 8 rows for each of a thread's. */
static const TileSize mma_sizes[] = {
    {128, 64, 2, 4}, {128, 32, 2, 4}, {64, 64, 2, 4}, {64, 32, 2, 4}, {32, 64, 2, 4},
    {32, 32, 2, 4},  {32, 16, 2, 4},  {16, 64, 2, 4}, {16, 16, 2, 4},
};

static int64_t extent_of(const Dim *d) { return lt_dim_is_const(d) ? d->value : LT_UNKNOWN_EXTENT; }

static int64_t round_up(int64_t n, int64_t by) { return lt_ceildiv(n, by) * by; }

int64_t lt_attention_head_size(const Attention *a) {
    const LtEinsum *e = &a->of_scores;
    int64_t size = 1;
    for (int i = 0; i < e->count[EINSUM_A]; i++) {
        const Dim *extent = lt_input(a->scores, 0)->type->dims[i];
        if (lt_einsum_axis(e, EINSUM_OUT, e->letters[EINSUM_A][i]) < 0 &&
            (!lt_dim_is_const(extent) || __builtin_mul_overflow(size, extent->value, &size)))
            return 0;
    }
    return size;
}

/* Of a tile in shared memory, in whichever order its axes are. */
static int64_t part_bytes(const Value *v, int64_t lines, int64_t length) {
    return (int64_t)lt_dtype_size(v->type->dtype) * lines * length +
           GAP_BYTES * (lines > length ? lines : length);
}

static int64_t shared_bytes(const Attention *a, const AttentionTile *tile) {
    const Value *q = lt_input(a->scores, 0), *k = lt_input(a->scores, 1);
    const Value *v = lt_input(a->sums, 1);
    const int64_t element = tile->is_mma ? (int64_t)lt_dtype_size(v->type->dtype) : 4;
    return part_bytes(q, tile->rows, tile->fold) + part_bytes(k, tile->columns, tile->fold) +
           part_bytes(v, tile->columns, tile->outputs) +
           tile->rows * (tile->columns * element + GAP_BYTES);
}

static bool fits(const Attention *a, const AttentionTile *tile, const Target *target) {
    const int64_t own = tile->own_rows * (tile->columns + tile->outputs) / tile->mates;
    return own <= MOST_REGISTERS && shared_bytes(a, tile) <= target->l1_bytes;
}

static int64_t count_blocks(const Attention *a, int64_t rows) {
    const Type *scores = lt_output(a->scores)->type;
    int64_t blocks = 1;
    for (int i = 0; i < scores->rank - 1; i++) {
        const int64_t extent = extent_of(scores->dims[i]);
        if (__builtin_mul_overflow(blocks, i == a->row ? lt_ceildiv(extent, rows) : extent,
                                   &blocks))
            return INT64_MAX;
    }
    return blocks;
}

/* Tensor cores take f16 and, from sm_80 on, bf16, in tiles that begin with sm_75. */
static const char *why_no_mma(const Attention *a, const Target *target) {
    const DType dtype = lt_input(a->scores, 0)->type->dtype;
    if (lt_input(a->scores, 1)->type->dtype != dtype || lt_input(a->sums, 1)->type->dtype != dtype)
        return "the operands differ in dtype";
    if (dtype == DT_F32)
        return "they would round f32 to tf32";
    if (dtype != DT_F16 && dtype != DT_BF16)
        return "they do not multiply this dtype";
    if (dtype == DT_BF16 && lt_target_sm(target) < 80)
        return "bf16 begins with sm_80";
    return lt_target_sm(target) < 75 ? "those of sm_70 leave rows to other threads" : NULL;
}

static const Dim *values_of(const Attention *a) {
    const LtEinsum *e = &a->of_sums;
    return lt_input(a->sums, 1)->type->dims[lt_einsum_axis(e, EINSUM_B, lt_einsum_column(e))];
}

static AttentionTile make_tile(const Attention *a, const TileSize *size, const char *no_mma) {
    enum { FOLD_PIECE = 8 };
    const int64_t outputs = values_of(a)->value;
    return (AttentionTile){.rows = size->rows,
                           .columns = size->columns,
                           .own_rows = size->own_rows,
                           .mates = size->mates,
                           .fold =
                               round_up(lt_attention_head_size(a), no_mma ? FOLD_PIECE : MMA_SIDE),
                           .outputs = round_up(outputs, no_mma ? size->mates : MMA_SIDE),
                           .is_mma = !no_mma,
                           .why_no_mma = no_mma};
}

/* Small tiles where there are few rows; large ones where there are enough blocks even so. A block
 * has as many warps as its rows are worth, so that it gains nothing from fewer. */
static bool is_better(const Attention *a, const AttentionTile *tile, const AttentionTile *than) {
    enum { USUAL_ROWS = 64 };
    const int64_t rows = extent_of(lt_output(a->scores)->type->dims[a->row]);
    if (!than->rows || tile->rows >= than->rows)
        return !than->rows;
    return rows <= tile->rows ||
           (than->rows > USUAL_ROWS && count_blocks(a, than->rows) < LT_GPU_PROCESSORS);
}

const char *lt_attention_tile(const Attention *a, const Target *target, AttentionTile *out) {
    const Type *scores = lt_output(a->scores)->type;
    const char *no_mma = why_no_mma(a, target);
    const TileSize *all = no_mma ? sizes : mma_sizes;
    const size_t count =
        no_mma ? sizeof sizes / sizeof *sizes : sizeof mma_sizes / sizeof *mma_sizes;
    if (lt_attention_head_size(a) < 1)
        return "the size of its heads is not known";
    if (!lt_dim_is_const(values_of(a)))
        return "the size of its values is not known";
    if (extent_of(scores->dims[a->row]) < LEAST_ROWS)
        return "it has too few rows for a tile";
    *out = (AttentionTile){.rows = 0};
    for (size_t i = 0; i < count; i++) {
        const AttentionTile tile = make_tile(a, &all[i], no_mma);
        if (fits(a, &tile, target) && is_better(a, &tile, out))
            *out = tile;
    }
    return out->rows ? NULL : "its heads are too large for shared memory";
}
