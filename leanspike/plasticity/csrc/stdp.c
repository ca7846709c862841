/* Presentations of samples to a plastic network; one translation unit, built once for each instruction set.

   Work follows events: rows of inputs that fire, columns of neurons that fire, traces that are not 0. */
#include "stdp.h"

#include "encode.h"
#include "learn.h"
#include "level.h"
#include "neurons.h"

INLINE void *take(char **arena, int64_t count, size_t size) {
    void *taken = *arena;
    *arena += ((size_t)count * size + 63) / 64 * 64;
    return taken;
}

static size_t sample_bytes(const Job *job) {
    const size_t inputs = (size_t)job->inputs + 64, neurons = (size_t)job->neurons + 64;
    return inputs * 48 + neurons * 48;
}

static void lay_out(const Job *job, Sample *sample, char *arena) {
    const int64_t inputs = job->inputs, neurons = job->neurons, pairs = inputs / 2 + 17;
    sample->v = take(&arena, neurons, 4), sample->hold = take(&arena, neurons, 4);
    sample->p = take(&arena, inputs, 4), sample->p_slow = take(&arena, inputs, 4);
    sample->q = take(&arena, neurons, 4), sample->q_slow = take(&arena, neurons, 4);
    sample->is_seen = take(&arena, inputs, 1), sample->is_traced = take(&arena, neurons, 1);
    sample->active = take(&arena, inputs, 4), sample->seen = take(&arena, inputs, 4);
    sample->traced = take(&arena, neurons, 4), sample->spikes = take(&arena, neurons, 4);
    sample->active_slow = take(&arena, inputs, 4), sample->spike_slow = take(&arena, neurons, 4);
    sample->words = take(&arena, pairs, 4), sample->low = take(&arena, pairs, 4), sample->high = take(&arena, pairs, 4);
    sample->hits = take(&arena, pairs, 1);
}

static void begin(const Job *job, Sample *sample, int64_t number) {
    const size_t inputs = (size_t)job->inputs, neurons = (size_t)job->neurons;
    memset(sample->v, 0, 4 * neurons), memset(sample->hold, 0, 4 * neurons);
    memset(sample->p, 0, 4 * inputs), memset(sample->p_slow, 0, 4 * inputs);
    memset(sample->q, 0, 4 * neurons), memset(sample->q_slow, 0, 4 * neurons);
    memset(sample->is_seen, 0, inputs), memset(sample->is_traced, 0, neurons);
    sample->seen_count = sample->traced_count = sample->spike_count = 0;
    sample->stream = stream_of(job->seed, job->numbers[number]);
    sample->winner_stream = stream_of(job->winner_seed, job->numbers[number]);
    sample->counts = job->counts + number * job->neurons;
    memset(sample->counts, 0, 8 * neurons);
    list_pairs(job, job->thresholds + number * job->inputs, sample);
}

static void step(const Job *job, const Batch *batch, int64_t size, int64_t t) {
    const int64_t n = job->neurons;
    float *restrict theta = job->theta, *restrict limit = batch->limit, *restrict fired = batch->fired;
    if (job->learn) decay(theta, n, job->theta_leak);
    for (int64_t j = 0; j < n; j++) limit[j] = job->threshold + theta[j];
    for (int64_t b = 0; b < size; b++) step_neurons(job, batch->samples + b, batch, t);
    if (!job->learn) return;
    for (int64_t j = 0; j < n; j++) theta[j] += job->theta_plus * fired[j];
    memset(fired, 0, 4 * (size_t)n);
    step_weights(job, batch, size, t);
}

static void finish(const Job *job, const Batch *batch, int64_t size) {
    for (int64_t j = 0; j < job->neurons; j++) {
        int changed = batch->outside[j];
        for (int64_t b = 0; b < size; b++) changed |= batch->samples[b].is_traced[j];
        if (!changed) continue;
        if (job->norm != 0) normalise(job, j);
        batch->outside[j] = (uint8_t)is_outside(job, j);
    }
}

/* Returns 1 where memory ran out, and nothing was changed. */
__attribute__((visibility("default"))) int leanspike_stdp_present(const Job *job) {
    const size_t each = sample_bytes(job), shared = ((size_t)job->neurons + 64) * 16;
    char *memory = aligned_alloc(64, (each * (size_t)job->batch + shared + 63) / 64 * 64);
    Sample *samples = malloc(sizeof(Sample) * (size_t)job->batch);
    if (!memory || !samples) return free(memory), free(samples), 1;
    char *rest = memory + each * (size_t)job->batch;
    memset(rest, 0, shared);
    Batch batch = {samples, take(&rest, job->neurons, 4), take(&rest, job->neurons, 4), take(&rest, job->neurons, 4),
                   take(&rest, job->neurons, 1), take(&rest, job->neurons, 1)};
    for (int64_t b = 0; b < job->batch; b++) lay_out(job, samples + b, memory + each * (size_t)b);
    for (int64_t j = 0; job->learn && j < job->neurons; j++) batch.outside[j] = (uint8_t)is_outside(job, j);
    for (int64_t start = 0; start < job->samples; start += job->batch) {
        const int64_t left = job->samples - start, size = left < job->batch ? left : job->batch;
        for (int64_t b = 0; b < size; b++) begin(job, samples + b, start + b);
        for (int64_t t = 0; t < job->steps; t++) step(job, &batch, size, t);
        if (job->learn) finish(job, &batch, size);
    }
    return free(memory), free(samples), 0;
}
