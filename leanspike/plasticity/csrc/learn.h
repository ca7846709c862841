/* Traces and weight changes, on what is not 0: a spike's trace, a neuron that has fired. */
#ifndef LEANSPIKE_STDP_LEARN_H
#define LEANSPIKE_STDP_LEARN_H

#include "stdp.h"

static void decay(float *restrict trace, int64_t count, float leak) {
    for (int64_t i = 0; i < count; i++) trace[i] *= leak;
}

INLINE float raised(const Job *job, float trace) { return job->adding ? trace + 1.0f : 1.0f; }

static void trace(const Job *job, Sample *sample) {
    decay(sample->p, job->inputs, job->pre_leak);
    if (job->triplet_down != 0) decay(sample->p_slow, job->inputs, job->pre_slow_leak);
    for (int64_t k = 0; k < sample->active_count; k++) {
        const uint32_t i = sample->active[k];
        if (!sample->is_seen[i]) sample->is_seen[i] = 1, sample->seen[sample->seen_count++] = i;
        sample->active_slow[k] = sample->p_slow[i];
        sample->p[i] = raised(job, sample->p[i]);
        sample->p_slow[i] = raised(job, sample->p_slow[i]);
    }
    for (int64_t k = 0; k < sample->traced_count; k++) {
        const uint32_t j = sample->traced[k];
        sample->q[j] *= job->post_leak;
        sample->q_slow[j] *= job->post_slow_leak;
    }
    for (int64_t k = 0; k < sample->spike_count; k++) {
        const uint32_t j = sample->spikes[k];
        if (!sample->is_traced[j]) sample->is_traced[j] = 1, sample->traced[sample->traced_count++] = j;
        sample->spike_slow[k] = sample->q_slow[j];
        sample->q[j] = raised(job, sample->q[j]);
        sample->q_slow[j] = raised(job, sample->q_slow[j]);
    }
}

INLINE float clipped(const Job *job, float w) { return w < job->lowest ? job->lowest : w > job->highest ? job->highest : w; }

/* Depression at input spikes. Weights of neurons that send no spike now are clipped at once where ``clip``. */
static void depress(const Job *job, const Sample *sample, const Batch *batch, int clip) {
    for (int64_t k = 0; k < sample->active_count; k++) {
        float *row = job->weights + sample->active[k] * job->neurons;
        const float amplitude = job->pair_down + job->triplet_down * sample->active_slow[k];
        for (int64_t l = 0; l < sample->traced_count; l++) {
            const uint32_t j = sample->traced[l];
            const float change = job->rate_pre * sample->q[j] * amplitude;
            const float w = row[j] - (job->weak ? change * (row[j] - job->lowest) : change);
            row[j] = clip && !batch->sent[j] ? clipped(job, w) : w;
        }
    }
}

INLINE void strengthen_one(const Job *job, float *w, float rate, float trace, int clip) {
    const float change = rate * (trace - job->target);
    const float new = *w + (job->weak ? change * (job->highest - *w) : change);
    *w = clip ? clipped(job, new) : new;
}

/* Potentiation at output spikes: of inputs seen so far, or of all where silent ones are weakened. */
static void strengthen(const Job *job, const Sample *sample, int clip) {
    for (int64_t k = 0; k < sample->spike_count; k++) {
        float *column = job->weights + sample->spikes[k];
        const float rate = job->rate_post * (job->pair_up + job->triplet_up * sample->spike_slow[k]);
        if (job->target != 0)
            for (int64_t i = 0; i < job->inputs; i++)
                strengthen_one(job, column + i * job->neurons, rate, sample->p[i], clip);
        else
            for (int64_t l = 0; l < sample->seen_count; l++) {
                const uint32_t i = sample->seen[l];
                strengthen_one(job, column + i * job->neurons, rate, sample->p[i], clip);
            }
    }
}

static void clip_column(const Job *job, int64_t j) {
    for (int64_t i = 0; i < job->inputs; i++) {
        float *w = job->weights + i * job->neurons + j;
        *w = clipped(job, *w);
    }
}

/* Every weight that depress and strengthen touched in this step. */
static void clip_touched(const Job *job, const Sample *sample) {
    for (int64_t k = 0; k < sample->active_count; k++) {
        float *row = job->weights + sample->active[k] * job->neurons;
        for (int64_t l = 0; l < sample->traced_count; l++) row[sample->traced[l]] = clipped(job, row[sample->traced[l]]);
    }
    for (int64_t k = 0; k < sample->spike_count; k++) clip_column(job, sample->spikes[k]);
}

static void step_weights(const Job *job, const Batch *batch, int64_t size, int64_t t) {
    Sample *samples = batch->samples;
    const int alone = size == 1;
    for (int64_t b = 0; b < size; b++) trace(job, samples + b);
    if (alone)
        for (int64_t k = 0; k < samples->spike_count; k++) batch->sent[samples->spikes[k]] = 1;
    for (int64_t b = 0; b < size; b++) depress(job, samples + b, batch, alone);
    for (int64_t b = 0; b < size; b++) strengthen(job, samples + b, alone);
    if (alone)
        for (int64_t k = 0; k < samples->spike_count; k++) batch->sent[samples->spikes[k]] = 0;
    else
        for (int64_t b = 0; b < size; b++) clip_touched(job, samples + b);
    for (int64_t j = 0; !t && j < job->neurons; j++)
        if (batch->outside[j]) clip_column(job, j);
}

/* Whether a neuron has a weight outside the bounds. */
static int is_outside(const Job *job, int64_t j) {
    for (int64_t i = 0; i < job->inputs; i++) {
        const float w = job->weights[i * job->neurons + j];
        if (w < job->lowest || w > job->highest) return 1;
    }
    return 0;
}

/* The neuron's weights sum to norm again. */
static void normalise(const Job *job, int64_t j) {
    double sum = 0;
    for (int64_t i = 0; i < job->inputs; i++) sum += job->weights[i * job->neurons + j];
    if (sum == 0) return;
    const float scale = (float)(job->norm / sum);
    for (int64_t i = 0; i < job->inputs; i++) job->weights[i * job->neurons + j] *= scale;
}

#endif
