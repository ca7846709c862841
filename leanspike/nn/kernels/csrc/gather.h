/* Sums of rows chosen by lists of active inputs: what a spike costs is one row.

   Tiles of WIDTH columns, blocks of BLOCK rows: the rows of one block and tile (26 KB, packed) stay in L1 while every
   list that points into the block is summed, so that the speed is L1's and not L2's. Lists are padded to four with
   the block's zero row, which keeps four independent running sums without a remainder loop. */
#ifndef LEANSPIKE_GATHER_H
#define LEANSPIKE_GATHER_H

#include "vec.h"

#define WIDTH 16
#define BLOCK_WORDS 13
#define BLOCK (BLOCK_WORDS * 32)
#define BLOCK_FLOATS ((BLOCK + 1) * WIDTH)

typedef struct {
    int64_t count;    /* lists in a block */
    int64_t blocks;
    int32_t *start;   /* [blocks][count + 1] first entry of each list in `index` */
    uint16_t *index;  /* rows within the block, BLOCK for padding */
} row_lists;

static inline int64_t blocks_of(int64_t rows) { return (rows + BLOCK - 1) / BLOCK; }

/* out[0 .. WIDTH) = init + the sum of the listed rows of a packed block; count is a multiple of 4. */
static inline __attribute__((always_inline)) void sum_rows(const float *restrict block, const uint16_t *restrict index,
                                                           int32_t count, const float *init, float *out) {
    enum { LANES = WIDTH / VF };
    vf s[4][LANES];
    UNROLL for (int i = 1; i < 4; i++) UNROLL for (int l = 0; l < LANES; l++) s[i][l] = vset(0);
    UNROLL for (int l = 0; l < LANES; l++) s[0][l] = vload(init + l * VF);
    for (int32_t e = 0; e < count; e += 4)
        UNROLL for (int i = 0; i < 4; i++) {
            const float *row = block + (int64_t)index[e + i] * WIDTH;
            UNROLL for (int l = 0; l < LANES; l++) s[i][l] += vload(row + l * VF);
        }
    UNROLL for (int l = 0; l < LANES; l++) vstore(out + l * VF, (s[0][l] + s[1][l]) + (s[2][l] + s[3][l]));
}

/* Ones of at most BLOCK_WORDS words as ascending positions, padded to a multiple of 4; returns the padded count.
   `out` needs 16 entries of slack. */
static inline int32_t list_ones(const uint32_t *words, int64_t count, uint16_t *out) {
    int32_t n = 0;
#if defined(__AVX512F__)
    __m512i at = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i step = _mm512_set1_epi32(16);
    for (int64_t w = 0; w < count; w++) {
        uint32_t word = words[w];
        for (int half = 0; half < 2; half++, word >>= 16) {
            __mmask16 m = (__mmask16)word;
            _mm256_storeu_si256((__m256i *)(out + n), _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(m, at)));
            n += __builtin_popcount(m);
            at = _mm512_add_epi32(at, step);
        }
    }
#else
    for (int64_t w = 0; w < count; w++)
        for (uint32_t word = words[w]; word; word &= word - 1) out[n++] = (uint16_t)(w * 32 + __builtin_ctz(word));
#endif
    while (n & 3) out[n++] = BLOCK;
    return n;
}

/* count is a multiple of 4; exact, because the next list may stand behind already */
static inline void copy_list(const uint16_t *list, int32_t count, uint16_t *out) {
    for (int32_t e = 0; e < count; e += 4) memcpy(out + e, list + e, 8);
}

static inline int32_t padded_ones(const uint32_t *words, int64_t count) {
    int32_t n = 0;
    for (int64_t w = 0; w < count; w++) n += __builtin_popcount(words[w]);
    return (n + 3) & ~3;
}

static void free_lists(row_lists *l) {
    free(l->start);
    free(l->index);
}

/* Lists of the ones of a bit matrix `row[r]` (rows x words): for each block of columns, one list a row. */
static row_lists lists_by_row(const uint32_t *const *row, int64_t rows, int64_t words, int64_t threads) {
    row_lists l = {rows, (words + BLOCK_WORDS - 1) / BLOCK_WORDS, 0, 0};
    l.start = malloc((size_t)(l.blocks * (rows + 1)) * 4);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < l.blocks; k++)
            l.start[k * (rows + 1) + r] =
                padded_ones(row[r] + k * BLOCK_WORDS, MIN(BLOCK_WORDS, words - k * BLOCK_WORDS));
    int32_t total = 0;
    for (int64_t k = 0; k < l.blocks; k++) {
        for (int64_t r = 0; r < rows; r++) {
            int32_t n = l.start[k * (rows + 1) + r];
            l.start[k * (rows + 1) + r] = total;
            total += n;
        }
        l.start[k * (rows + 1) + rows] = total;
    }
    l.index = malloc((size_t)(total + 32) * 2);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < l.blocks; k++) {
            uint16_t local[BLOCK + 32];
            int32_t n =
                list_ones(row[r] + k * BLOCK_WORDS, MIN(BLOCK_WORDS, words - k * BLOCK_WORDS), local);
            copy_list(local, n, l.index + l.start[k * (rows + 1) + r]);
        }
    return l;
}

/* Transpose up to BLOCK rows of `words` words: out[column][BLOCK_WORDS], columns = words * 32. */
static void transpose_bits(const uint32_t *const *row, int64_t rows, int64_t words, uint32_t *out) {
    for (int64_t block = 0; block < BLOCK_WORDS; block++) {
        int64_t live = MAX(0, MIN(32, rows - block * 32));
        for (int64_t w = 0; w < words; w++) {
            uint32_t a[32] = {0};
            for (int64_t i = 0; i < live; i++) a[i] = row[block * 32 + i][w];
            uint32_t mask = 0x0000FFFF;
            for (int j = 16; j; j >>= 1, mask ^= mask << j)
                for (int k = 0; k < 32; k = (k + j + 1) & ~j) {
                    uint32_t swap = ((a[k] >> j) ^ a[k + j]) & mask;
                    a[k] ^= swap << j;
                    a[k + j] ^= swap;
                }
            for (int i = 0; i < 32; i++) out[(w * 32 + i) * BLOCK_WORDS + block] = a[i];
        }
    }
}

/* Lists of the ones of the transposed matrix: for each block of rows, one list a column. */
static row_lists lists_by_column(const uint32_t *const *row, int64_t rows, int64_t words, int64_t threads) {
    int64_t columns = words * 32;
    row_lists l = {columns, blocks_of(rows), 0, 0};
    l.start = malloc((size_t)(l.blocks * (columns + 1)) * 4);
    int64_t *offset = calloc((size_t)l.blocks + 1, sizeof *offset);
    uint32_t *turned = malloc((size_t)(l.blocks * columns * BLOCK_WORDS) * 4);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t k = 0; k < l.blocks; k++) {
        uint32_t *bits = turned + k * columns * BLOCK_WORDS;
        transpose_bits(row + k * BLOCK, MIN(BLOCK, rows - k * BLOCK), words, bits);
        for (int64_t c = 0; c < columns; c++) offset[k + 1] += padded_ones(bits + c * BLOCK_WORDS, BLOCK_WORDS);
    }
    for (int64_t k = 0; k < l.blocks; k++) offset[k + 1] += offset[k];
    l.index = malloc((size_t)(offset[l.blocks] + 32) * 2);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t k = 0; k < l.blocks; k++) {
        int32_t at = (int32_t)offset[k];
        for (int64_t c = 0; c < columns; c++) {
            uint16_t local[BLOCK + 32];
            int32_t n = list_ones(turned + (k * columns + c) * BLOCK_WORDS, BLOCK_WORDS, local);
            copy_list(local, n, l.index + at);
            l.start[k * (columns + 1) + c] = at;
            at += n;
        }
        l.start[k * (columns + 1) + columns] = at;
    }
    free(offset);
    free(turned);
    return l;
}

/* `live` columns of `rows` rows (stride floats apart) as a block of WIDTH columns with its zero row. */
static void pack_block(const float *x, int64_t stride, int64_t rows, int live, float *block) {
    for (int64_t r = 0; r < rows; r++)
        if (live == WIDTH) UNROLL for (int l = 0; l < WIDTH; l += VF) vstore(block + r * WIDTH + l, vload(x + r * stride + l));
        else
            for (int j = 0; j < WIDTH; j++) block[r * WIDTH + j] = j < live ? x[r * stride + j] : 0.0f;
    memset(block + BLOCK * WIDTH, 0, WIDTH * 4);
}

#endif
