/* One step of a sample's neurons: currents, potentials, spikes. */
#ifndef LEANSPIKE_STDP_NEURONS_H
#define LEANSPIKE_STDP_NEURONS_H

#include "encode.h"

#define TOGETHER 8

/* current[j] = sum of the rows of active inputs, in their order; so many rows at once as memory streams well. */
static void currents(const Job *job, const Sample *sample, float *restrict current) {
    const int64_t n = job->neurons, count = sample->active_count;
    const uint32_t *active = sample->active;
    memset(current, 0, (size_t)n * sizeof *current);
    int64_t k = 0;
    for (; k + TOGETHER <= count; k += TOGETHER) {
        const float *restrict row[TOGETHER];
        for (int r = 0; r < TOGETHER; r++) row[r] = job->weights + active[k + r] * n;
        for (int64_t j = 0; j < n; j++) {
            float sum = current[j];
            for (int r = 0; r < TOGETHER; r++) sum += row[r][j];
            current[j] = sum;
        }
    }
    for (; k < count; k++) {
        const float *restrict row = job->weights + active[k] * n;
        for (int64_t j = 0; j < n; j++) current[j] += row[j];
    }
}

/* Every spike of the step before inhibits all neurons but its own. */
static void inhibit(const Job *job, const Sample *sample, float *restrict current) {
    const int64_t n = job->neurons, spikes = sample->spike_count;
    if (!spikes) return;
    float own[spikes];
    const float others = job->inhibition * (float)(spikes - 1), all = job->inhibition * (float)spikes;
    for (int64_t k = 0; k < spikes; k++) own[k] = current[sample->spikes[k]] - others;
    for (int64_t j = 0; j < n; j++) current[j] -= all;
    for (int64_t k = 0; k < spikes; k++) current[sample->spikes[k]] = own[k];
}

static int integrate(const Job *job, Sample *sample, const float *restrict current, const float *restrict limit) {
    const float leak = job->leak;
    float *restrict v = sample->v;
    int32_t *restrict hold = sample->hold;
    int32_t any = 0;
    for (int64_t j = 0; j < job->neurons; j++) {
        const float u = v[j] * leak, with = u + current[j];
        const float now = hold[j] == 0 ? with : u;
        hold[j] = hold[j] > 0 ? hold[j] - 1 : 0;
        any |= now >= limit[j];
        v[j] = now;
    }
    return any;
}

/* Resets what crossed the limit, and lists the spikes that are sent. */
static void fire(const Job *job, Sample *sample, const Batch *batch, int64_t t) {
    int64_t n = 0;
    for (int64_t j = 0; j < job->neurons; j++) {
        if (!(sample->v[j] >= batch->limit[j])) continue;
        sample->v[j] = job->reset;
        sample->hold[j] = (int32_t)job->refractory;
        batch->fired[j] += 1.0f;
        sample->spikes[n++] = (uint32_t)j;
    }
    if (job->one && n > 1) {
        const uint64_t draw = mix(mix(sample->winner_stream + (uint32_t)t)) >> 16;
        sample->spikes[0] = sample->spikes[((uint64_t)n * draw) >> 16];
        n = 1;
    }
    sample->spike_count = n;
    for (int64_t k = 0; k < n; k++) sample->counts[sample->spikes[k]]++;
}

static void step_neurons(const Job *job, Sample *sample, const Batch *batch, int64_t t) {
    list_active(sample, mix(sample->stream + (uint32_t)t));
    currents(job, sample, batch->current);
    inhibit(job, sample, batch->current);
    if (integrate(job, sample, batch->current, batch->limit)) fire(job, sample, batch, t);
    else sample->spike_count = 0;
}

#endif
