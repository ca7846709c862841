/* A program as the engine runs it: values and operations as flat records that plan.py fills in once.

   Everything that changes while a sample runs lies in an arena of one thread; `offset` fields are bytes from its start.
   Arrays of the arena begin at 64 bytes and have room for 64 elements more than they hold, so that whole vectors may be
   read and written past their end. */
#ifndef LEANSPIKE_ENGINE_H
#define LEANSPIKE_ENGINE_H

#include <stdint.h>

/* How a value lies in the arena: spikes as bits in words of 64, or integers of 16 or 32 bits. */
enum form { BITS, I16, I32 };

enum kind {
    DENSE, CONV, SPARSE_DENSE, SPARSE_CONV, SUM_POOL, MAX_POOL, ADD, LIF, INTEGRATE, EVENTS, WIDEN, SCALE, SCORES, VALUES,
    DELAY
};

enum encoding { DIRECT, RATE, LATENCY, DELTA, SEQUENCE };

enum readout { COUNT, FIRST_SPIKE, MEMBRANE_LAST, MEMBRANE_MAX, MEMBRANE_MEAN };

/* `pattern` (bits only): the spikes that the sums at hand were made from, so that only what changed must be added.
   `added`, `removed`: numbers of inputs; `amounts`: of integers, what each input is. `slot`: of its event counts. */
typedef struct {
    int64_t form, elements, data, pattern, added, removed, amounts, slot;
} Value;

/* Where the taps of a kernel reach from one row or column of the image: `to` in the sums, `from` in the weights, both in
   elements; of a column also how many elements, and whether the run ends before its taps do. Of a sparse convolution
   `from` counts rows of entries, and `clipped` says how many elements of the run lie outside the image at its start. */
typedef struct {
    int32_t to, from, length, clipped;
} Reach;

typedef struct {
    int64_t kind, once;
    int64_t source, other, result;
    /* synapses: weights of `weight_bits` as rows of `columns`, sums of `sum_bits`, sums of the pattern at `base` */
    const void *weight;
    int64_t weight_bits, sum_bits, columns, base, operations;
    /* sparse synapses: `weight` are entries (place << 9 | w + 256), those of row r from starts[r] to starts[r + 1] */
    const uint32_t *starts;
    /* images: of the source, and of the result for pools; `reaches` entries of `across` a row, one of `along` a column */
    int64_t width, channels, result_height, result_width, size, reaches, block;
    /* matmuls: `size` by `width` by `channels` a head are tokens of the left and right side and channels; `threshold` of a
       scale are its factors, which repeat after `repeat` elements */
    int64_t heads;
    const Reach *across, *along;
    /* neurons: parameters repeat after `repeat` elements; a `_step` is 0 where one row serves every step */
    int64_t state, state_bits, hold, shift, lowest, highest, saturates, zero, refractory, repeat;
    const int32_t *leak, *bias, *threshold, *amount;
    int64_t leak_step, bias_step, threshold_step, amount_step;
    /* few-bit states: where `coded`, what is kept is the nearest of the codes first_code to last_code, times 2^code_shift */
    int64_t coded, code_shift, first_code, last_code;
    /* thresholds that adapt: w = theta + (a >> adapt_fraction), or a << -adapt_fraction; a reset takes w where `amount` is null */
    int64_t adapts, adapt, adapt_shift, adapt_fraction, adapt_highest;
    const int32_t *adapt_leak, *adapt_jump;
    int64_t adapt_leak_step, adapt_jump_step;
} Op;

typedef struct {
    const Value *values;
    const Op *ops;
    int64_t op_count, steps;
    /* input: `input` is a value's number; `table` of 16-bit thresholds or of steps; `raw` values a sample */
    int64_t encoding, input, raw, channels, raw_lowest, raw_highest, seed, threshold, start;
    const uint16_t *table;
    int64_t thresholds, live, track;
    /* readout */
    int64_t readout, source, classes, margin, earliest, exits;
    int64_t state_begin, state_end, scores, event_counts, arena_bytes;
} Plan;

/* One call: raw [batch, raw]; answers as in leanspike.core.trace.Trace; pointers that may be null say so. */
typedef struct {
    const int32_t *raw;
    const int64_t *numbers;
    int64_t batch, threads;
    int64_t *predictions, *scores, *steps;
    int64_t *spikes;                                /* [layers, batch], to be added to; null: not asked */
    int64_t *synaptic;                              /* [synapses, batch], to be added to; null: not asked */
    int64_t *const *states;                         /* by operation, then hold and adapt: [batch, elements]; null: not asked */
    int64_t *const *step_spikes;                    /* by operation: [steps, batch, elements]; null: no record */
    int64_t *const *step_states;                    /* by operation, then hold and adapt */
    char *arenas;
} Job;

#endif
