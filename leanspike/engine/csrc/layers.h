/* The kernels of synapses and neurons for every pair of types, and the choice between them. */
#ifndef LEANSPIKE_LAYERS_H
#define LEANSPIKE_LAYERS_H

#include "events.h"

/* The parameters of a block of neurons in one step; all but `leak` and `threshold` may be null. */
typedef struct {
    const int32_t *leak, *bias, *threshold, *amount, *adapt_leak, *adapt_jump;
} Row;

INLINE Row row_of(const Op *op, int64_t t) {
    return (Row){op->leak + t * op->leak_step, op->bias ? op->bias + t * op->bias_step : 0,
                 op->threshold + t * op->threshold_step, op->amount ? op->amount + t * op->amount_step : 0,
                 op->adapts ? op->adapt_leak + t * op->adapt_leak_step : 0,
                 op->adapts ? op->adapt_jump + t * op->adapt_jump_step : 0};
}

INLINE Row row_after(Row row) {
    return (Row){row.leak + BLOCK, row.bias ? row.bias + BLOCK : 0, row.threshold + BLOCK,
                 row.amount ? row.amount + BLOCK : 0, row.adapt_leak ? row.adapt_leak + BLOCK : 0,
                 row.adapt_jump ? row.adapt_jump + BLOCK : 0};
}

#define W_BITS 8
#define A_BITS 16
#include "rows.h"
#define W_BITS 8
#define A_BITS 32
#include "rows.h"
#define W_BITS 16
#define A_BITS 16
#include "rows.h"
#define W_BITS 16
#define A_BITS 32
#include "rows.h"
#define W_BITS 32
#define A_BITS 32
#include "rows.h"

#define A_BITS 16
#include "sparse.h"
#define A_BITS 32
#include "sparse.h"

#define S_BITS 16
#define A_BITS 16
#include "neurons.h"
#define S_BITS 16
#define A_BITS 32
#include "neurons.h"
#define S_BITS 32
#define A_BITS 16
#include "neurons.h"
#define S_BITS 32
#define A_BITS 32
#include "neurons.h"

/* What the next step reads of few-bit states; `whole` (not of spikes) takes the potentials as they were. */
#define KEEP(T)                                                                                            \
    static void keep_##T(const Op *op, T *state, T *whole, int64_t elements) {                             \
        const int32_t shift = (int32_t)op->code_shift, half = (1 << shift) >> 1;                           \
        const int32_t first = (int32_t)op->first_code, last = (int32_t)op->last_code;                      \
        if (whole) memcpy(whole, state, (size_t)elements * sizeof(T));                                     \
        for (int64_t i = 0; i < elements; i++)                                                             \
            state[i] = (T)(MAX(MIN((state[i] + half) >> shift, last), first) * (1 << shift));              \
    }
KEEP(int16_t)
KEEP(int32_t)
#undef KEEP

static void keep(const Op *op, void *state, void *whole, int64_t elements) {
    if (op->state_bits == 16) keep_int16_t(op, state, whole, elements);
    else keep_int32_t(op, state, whole, elements);
}

static void synapse(const Op *op, const void *start, void *sums, const Events *events, int64_t elements) {
    if (op->kind >= SPARSE_DENSE) {
        if (op->sum_bits == 16) sparse_16(op, start, sums, events, elements);
        else sparse_32(op, start, sums, events, elements);
        return;
    }
#define PAIR(w, a)                                                            \
    case w * 64 + a:                                                          \
        if (op->kind == DENSE) dense_##w##_##a(op, start, sums, events);      \
        else conv_##w##_##a(op, start, sums, events, elements);               \
        break;
    switch (op->weight_bits * 64 + op->sum_bits) { PAIR(8, 16) PAIR(8, 32) PAIR(16, 16) PAIR(16, 32) PAIR(32, 32) }
#undef PAIR
}

/* `hold` is null without a refractory period, `adapt` where thresholds do not adapt. */
static void neurons(const Op *op, int64_t t, void *state, const void *sums, int32_t *hold, int32_t *adapt,
                    uint64_t *spikes, int64_t elements) {
#define PAIR(s, a)                                                               \
    case s * 64 + a:                                                             \
        neurons_##s##_##a(op, t, state, sums, hold, adapt, spikes, elements);    \
        break;
    switch (op->state_bits * 64 + op->sum_bits) { PAIR(16, 16) PAIR(16, 32) PAIR(32, 16) PAIR(32, 32) }
#undef PAIR
}

#endif
