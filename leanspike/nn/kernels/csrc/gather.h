/* Sums of rows chosen by lists of active inputs: what a spike costs is one row.

   The rows of one block and tile (26 KB, packed) stay in L1 while every list that points into the block is summed, so
   that the speed is L1's and not L2's. */
#ifndef LEANSPIKE_GATHER_H
#define LEANSPIKE_GATHER_H

#include "lists.h"

enum { SUMS = 4, ABREAST = VF == 16 ? 2 : 1 };

/* Add `rows` of the four rows that an entry of four lists. Four offsets are one load: a row takes a whole cycle of the
   load unit, and so a load for each offset would slow the rows down. */
static inline __attribute__((always_inline)) void add_rows(const float *restrict block, const uint16_t *entry, int rows,
                                                           vf s[SUMS][LANES]) {
    uint64_t four;
    memcpy(&four, entry, 8);
    UNROLL for (int i = 0; i < rows; i++) {
        const float *row = (const float *)((const char *)block + (uint16_t)(four >> (16 * i)));
        UNROLL for (int l = 0; l < LANES; l++) s[i][l] += vload(row + l * VF);
    }
}

/* out[owner] = init[owner] + the sum of the listed rows, for `lists` lists of the same length. */
static inline __attribute__((always_inline)) void sum_lists(const float *restrict block, const uint16_t *restrict entry,
                                                            int64_t length, int lists, const uint32_t *owner,
                                                            const float *init, int64_t init_step, float *out) {
    int64_t apart = fours(length), e = 0;
    vf s[ABREAST][SUMS][LANES];
    UNROLL for (int n = 0; n < lists; n++) UNROLL for (int l = 0; l < LANES; l++) {
        s[n][0][l] = vload(init + owner[n] * init_step + l * VF);
        UNROLL for (int i = 1; i < SUMS; i++) s[n][i][l] = vset(0);
    }
    for (; e + SUMS <= length; e += SUMS)
        UNROLL for (int n = 0; n < lists; n++) add_rows(block, entry + n * apart + e, SUMS, s[n]);
    UNROLL for (int rest = 1; rest < SUMS; rest++)
        if (length - e == rest) UNROLL for (int n = 0; n < lists; n++) add_rows(block, entry + n * apart + e, rest, s[n]);
    UNROLL for (int n = 0; n < lists; n++) UNROLL for (int l = 0; l < LANES; l++)
        vstore(out + (int64_t)owner[n] * WIDTH + l * VF, (s[n][0][l] + s[n][1][l]) + (s[n][2][l] + s[n][3][l]));
}

/* out[list][WIDTH] = init[list * init_step] + the sum of its rows, for every list into block `k`. */
static void sum_block(const row_lists *l, int64_t k, const float *block, const float *init, int64_t init_step,
                      float *out) {
    const uint32_t *owner = l->owner + k * l->count;
    const uint16_t *entry = l->entry + l->first[k];
    for (const run *r = l->runs + k * RUNS; r->lists; r++) {
        int64_t step = fours(r->length), n = 0;
        for (; n + ABREAST <= r->lists; n += ABREAST, owner += ABREAST, entry += ABREAST * step)
            sum_lists(block, entry, r->length, ABREAST, owner, init, init_step, out);
        for (; n < r->lists; n++, owner++, entry += step)
            sum_lists(block, entry, r->length, 1, owner, init, init_step, out);
    }
}

/* Add rows[list] to every row of block `k` that the list names: what sum_block reads, written. One write a row is more
   than sum_block's, but needs no lists of the other order. */
static void spread_block(const row_lists *l, int64_t k, const float *restrict rows, float *restrict block) {
    const uint32_t *owner = l->owner + k * l->count;
    const uint16_t *entry = l->entry + l->first[k];
    for (const run *r = l->runs + k * RUNS; r->lists; r++)
        for (int64_t n = 0; n < r->lists; n++, entry += fours(r->length)) {
            const float *row = rows + (int64_t)*owner++ * WIDTH;
            for (int64_t e = 0; e < r->length; e++) {
                float *to = (float *)((char *)block + entry[e]);
                UNROLL for (int i = 0; i < WIDTH; i += VF) vstore(to + i, vload(to + i) + vload(row + i));
            }
        }
}

/* `live` columns of `rows` rows, `stride` floats apart, as a block of WIDTH columns. */
static void pack_block(const float *x, int64_t stride, int64_t rows, int live, float *block) {
    for (int64_t r = 0; r < rows; r++)
        if (live == WIDTH) UNROLL for (int l = 0; l < WIDTH; l += VF) vstore(block + r * WIDTH + l, vload(x + r * stride + l));
        else
            for (int j = 0; j < WIDTH; j++) block[r * WIDTH + j] = j < live ? x[r * stride + j] : 0.0f;
}

#endif
