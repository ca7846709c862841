/* The records of a call and of a batch. The equations stand in leanspike/plasticity/reference.py: float32, no fused
   multiply-adds, sums in the order written there, so that every build gives the reference's bits. */
#ifndef LEANSPIKE_STDP_H
#define LEANSPIKE_STDP_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define GOLDEN 0x9E3779B9u

/* Field by field as leanspike/plasticity/kernel.py has it. */
typedef struct {
    int64_t inputs, neurons, steps, samples, batch, learn, one, refractory, adding, weak, seed, winner_seed;
    float *weights, *theta;
    const uint16_t *thresholds;
    const int64_t *numbers;
    int64_t *counts;
    float leak, reset, threshold, theta_plus, theta_leak, inhibition;
    float rate_pre, rate_post, target, pre_leak, post_leak, pre_slow_leak, post_slow_leak;
    float pair_up, triplet_up, pair_down, triplet_down, lowest, highest;
    double norm;
} Job;

/* One sample: what changes from step to step, and lists of what is not 0. */
typedef struct {
    float *v, *p, *p_slow, *q, *q_slow;
    int32_t *hold;
    uint32_t *active, *seen, *traced, *spikes; /* inputs now and so far; neurons so far and now */
    float *active_slow, *spike_slow;           /* the slow traces of those, before this step */
    uint8_t *is_seen, *is_traced;
    uint32_t *words, *low, *high; /* pairs of inputs that can fire: their counter, their thresholds */
    uint8_t *hits;
    int64_t active_count, seen_count, traced_count, spike_count, pair_count;
    uint32_t stream, winner_stream;
    int64_t *counts;
} Sample;

/* What the samples of a batch share. */
typedef struct {
    Sample *samples;
    float *current, *limit, *fired;
    uint8_t *outside; /* neurons with a weight outside the bounds when the batch began */
    uint8_t *sent;    /* neurons that sent a spike in this step */
} Batch;

#endif
