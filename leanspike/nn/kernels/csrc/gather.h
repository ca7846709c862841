/* out = init + the sum of rows[index[i]]: a spike adds one weight row, a row of gradient one event.
   NV vectors of running sums stay in registers; the last holds `tail` columns. */
#ifndef LEANSPIKE_GATHER_H
#define LEANSPIKE_GATHER_H

#include "vec.h"

typedef void (*gather_fn)(const float *rows, int64_t stride, const int32_t *index, int count, const float *init,
                          float *out, int tail);

#define GATHER(NV)                                                                                                  \
    static void gather_##NV(const float *restrict rows, int64_t stride, const int32_t *restrict index, int count,  \
                            const float *init, float *out, int tail) {                                             \
        vf sum[NV];                                                                                                 \
        UNROLL for (int j = 0; j < NV - 1; j++) sum[j] = init ? vload(init + j * VF) : vset(0);                     \
        sum[NV - 1] = init ? vload_n(init + (NV - 1) * VF, tail) : vset(0);                                         \
        for (int i = 0; i < count; i++) {                                                                           \
            const float *row = rows + index[i] * stride;                                                            \
            UNROLL for (int j = 0; j < NV - 1; j++) sum[j] += vload(row + j * VF);                                  \
            sum[NV - 1] += vload_n(row + (NV - 1) * VF, tail);                                                      \
        }                                                                                                           \
        UNROLL for (int j = 0; j < NV - 1; j++) vstore(out + j * VF, sum[j]);                                       \
        vstore_n(out + (NV - 1) * VF, sum[NV - 1], tail);                                                           \
    }
GATHER(1)
GATHER(2)
GATHER(3)
GATHER(4)
GATHER(5)
GATHER(6)
GATHER(7)
GATHER(8)
GATHER(9)
GATHER(10)
GATHER(11)
GATHER(12)
GATHER(13)
GATHER(14)
GATHER(15)
GATHER(16)

static const gather_fn gather_of[17] = {0,         gather_1,  gather_2,  gather_3,  gather_4,  gather_5,
                                        gather_6,  gather_7,  gather_8,  gather_9,  gather_10, gather_11,
                                        gather_12, gather_13, gather_14, gather_15, gather_16};

/* width <= TILE columns */
static inline void gather(const float *rows, int64_t stride, const int32_t *index, int count, const float *init,
                          float *out, int64_t width) {
    int vectors = (int)((width + VF - 1) / VF);
    gather_of[vectors](rows, stride, index, count, init, out, (int)(width - (int64_t)(vectors - 1) * VF));
}

/* Transpose a bit matrix of `rows` x `words` words into `words` * 32 rows of ceil(rows / 32) words. */
static inline void transpose_bits(const uint32_t *const *row, int64_t rows, int64_t words, uint32_t *out) {
    int64_t out_words = (rows + 31) / 32;
    for (int64_t block = 0; block < out_words; block++) {
        int64_t live = MIN(32, rows - block * 32);
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
            for (int i = 0; i < 32; i++) out[(w * 32 + i) * out_words + block] = a[i];
        }
    }
}

#endif
