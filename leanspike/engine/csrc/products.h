/* Products of two values, head by head, and of a value with a factor a channel. */
#ifndef LEANSPIKE_PRODUCTS_H
#define LEANSPIKE_PRODUCTS_H

#include "engine.h"
#include "lanes.h"

INLINE size_t bytes_of(const Value *value) {
    if (value->form == BITS) return (size_t)(value->elements + 63) / 64 * 8;
    return (size_t)value->elements * (value->form == I16 ? 2 : 4);
}

/* Both sides and the result have one form: sums wrap around in between and are right at the end. */
#define PRODUCTS(T)                                                                                          \
    static void scale_##T(const Op *op, const T *x, int64_t elements, T *y) {                                \
        for (int64_t i = 0; i < elements; i += op->repeat)                                                   \
            for (int64_t j = 0; j < MIN(op->repeat, elements - i); j++) y[i + j] = (T)(x[i + j] * op->threshold[j]); \
    }                                                                                                        \
    static void scores_##T(const Op *op, const T *a, const T *b, T *y) {                                     \
        const int64_t channels = op->channels, all = op->heads * channels;                                   \
        for (int64_t h = 0; h < op->heads; h++)                                                              \
            for (int64_t n = 0; n < op->size; n++)                                                           \
                for (int64_t m = 0; m < op->width; m++) {                                                    \
                    const T *left = a + n * all + h * channels, *right = b + m * all + h * channels;         \
                    T sum = 0;                                                                               \
                    for (int64_t c = 0; c < channels; c++) sum = (T)(sum + left[c] * right[c]);              \
                    *y++ = sum;                                                                              \
                }                                                                                            \
    }                                                                                                        \
    static void values_##T(const Op *op, const T *a, const T *b, T *y) {                                     \
        const int64_t channels = op->channels, all = op->heads * channels;                                   \
        memset(y, 0, (size_t)(op->size * all) * sizeof(T));                                                  \
        for (int64_t h = 0; h < op->heads; h++)                                                              \
            for (int64_t n = 0; n < op->size; n++)                                                           \
                for (int64_t m = 0; m < op->width; m++) {                                                    \
                    const T amount = a[(h * op->size + n) * op->width + m];                                  \
                    const T *right = b + m * all + h * channels;                                             \
                    T *to = y + n * all + h * channels;                                                      \
                    if (amount)                                                                              \
                        for (int64_t c = 0; c < channels; c++) to[c] = (T)(to[c] + amount * right[c]);       \
                }                                                                                            \
    }
PRODUCTS(int16_t)
PRODUCTS(int32_t)
#undef PRODUCTS

static void product(const Op *op, const Value *result, const void *a, const void *b, void *y) {
    if (result->form == I16) (op->kind == SCORES ? scores_int16_t : values_int16_t)(op, a, b, y);
    else (op->kind == SCORES ? scores_int32_t : values_int32_t)(op, a, b, y);
}

#endif
