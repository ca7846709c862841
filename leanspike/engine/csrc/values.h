/* Operations on whole values: pools, sums of two values, spikes as integers. */
#ifndef LEANSPIKE_VALUES_H
#define LEANSPIKE_VALUES_H

#include "events.h"

/* Where an element of the source goes in the result of a pool; -1 in the rest that no window covers. */
INLINE int64_t pooled(const Op *op, int64_t element) {
    const int64_t place = element / op->channels, row = place / op->width / op->size;
    const int64_t column = place % op->width / op->size;
    if (row >= op->result_height || column >= op->result_width) return -1;
    return (row * op->result_width + column) * op->channels + element % op->channels;
}

static void max_pool_bits(const Op *op, const uint64_t *x, int64_t elements, uint64_t *y, int64_t results) {
    memset(y, 0, (size_t)words_of(results) * 8);
    for (int64_t w = 0; w < words_of(elements); w++)
        for (uint64_t word = x[w]; word; word &= word - 1) {
            const int64_t to = pooled(op, 64 * w + __builtin_ctzll(word));
            if (to >= 0) y[to / 64] |= 1ull << to % 64;
        }
}

static void sum_pool_bits(const Op *op, const uint64_t *x, int64_t elements, int16_t *y, int64_t results) {
    memset(y, 0, (size_t)results * 2);
    for (int64_t w = 0; w < words_of(elements); w++)
        for (uint64_t word = x[w]; word; word &= word - 1) {
            const int64_t to = pooled(op, 64 * w + __builtin_ctzll(word));
            if (to >= 0) y[to]++;
        }
}

#define INTEGERS(T)                                                                                            \
    static void widen_bits_##T(const uint64_t *x, int64_t elements, T *y) {                                    \
        for (int64_t i = 0; i < elements; i++) y[i] = (T)(x[i / 64] >> i % 64 & 1);                            \
    }                                                                                                          \
    static void add_##T(const T *a, const T *b, int64_t elements, T *y) {                                      \
        for (int64_t i = 0; i < elements; i++) y[i] = (T)(a[i] + b[i]);                                        \
    }                                                                                                          \
    static void pool_##T(const Op *op, const T *x, T *y, int largest) {                                        \
        const int64_t channels = op->channels;                                                                 \
        for (int64_t row = 0; row < op->result_height; row++)                                                  \
            for (int64_t column = 0; column < op->result_width; column++, y += channels)                       \
                for (int64_t k = 0; k < op->size * op->size; k++) {                                            \
                    const int64_t h = row * op->size + k / op->size, w = column * op->size + k % op->size;     \
                    const T *from = x + (h * op->width + w) * channels;                                        \
                    if (!k) memcpy(y, from, (size_t)channels * sizeof(T));                                     \
                    else if (largest)                                                                          \
                        for (int64_t c = 0; c < channels; c++) y[c] = MAX(y[c], from[c]);                      \
                    else                                                                                       \
                        for (int64_t c = 0; c < channels; c++) y[c] = (T)(y[c] + from[c]);                     \
                }                                                                                              \
    }
INTEGERS(int16_t)
INTEGERS(int32_t)
#undef INTEGERS

/* Any form as integers of 16 or 32 bits; narrowing wraps around, as the sums that it feeds do. */
static void widen(const void *x, enum form from, int64_t elements, void *y, enum form to) {
    if (from == BITS) {
        if (to == I16) widen_bits_int16_t(x, elements, y);
        else widen_bits_int32_t(x, elements, y);
    } else if (from == I16) {
        for (int64_t i = 0; i < elements; i++) ((int32_t *)y)[i] = ((const int16_t *)x)[i];
    } else {
        for (int64_t i = 0; i < elements; i++) ((int16_t *)y)[i] = (int16_t)((const int32_t *)x)[i];
    }
}

INLINE int64_t at(const void *x, enum form form, int64_t i) {
    if (form == BITS) return (int64_t)(((const uint64_t *)x)[i / 64] >> i % 64 & 1);
    return form == I16 ? ((const int16_t *)x)[i] : ((const int32_t *)x)[i];
}

#endif
