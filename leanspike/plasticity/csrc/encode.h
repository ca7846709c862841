/* Input spikes of a step, by the hash of leanspike/core/rng.py; only pairs of inputs that can fire are drawn. */
#ifndef LEANSPIKE_STDP_ENCODE_H
#define LEANSPIKE_STDP_ENCODE_H

#include "stdp.h"

INLINE uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x ^= x >> 15;
    x *= 0xD35A2D97u;
    return x ^ x >> 15;
}

INLINE uint32_t stream_of(int64_t seed, int64_t number) {
    return mix(mix((uint32_t)seed + GOLDEN) + (uint32_t)number);
}

static void list_pairs(const Job *job, const uint16_t *thresholds, Sample *sample) {
    int64_t n = 0;
    for (int64_t i = 0; i < job->inputs; i += 2) {
        const uint32_t low = thresholds[i], high = i + 1 < job->inputs ? thresholds[i + 1] : 0;
        if (!(low | high)) continue;
        sample->words[n] = (uint32_t)(i / 2), sample->low[n] = low, sample->high[n++] = high;
    }
    sample->pair_count = n;
    for (; n % 16; n++) sample->words[n] = sample->low[n] = sample->high[n] = 0;
}

static void list_active(Sample *sample, uint32_t key) {
    const int64_t padded = (sample->pair_count + 15) / 16 * 16;
    const uint32_t *restrict words = sample->words, *restrict low = sample->low, *restrict high = sample->high;
    uint8_t *restrict hits = sample->hits;
    for (int64_t k = 0; k < padded; k++) {
        const uint32_t word = mix(key + words[k] * GOLDEN);
        hits[k] = (uint8_t)(((word & 0xFFFF) < low[k]) | ((word >> 16) < high[k]) << 1);
    }
    int64_t n = 0;
    for (int64_t k = 0; k < padded; k += 8) {
        uint64_t eight;
        memcpy(&eight, hits + k, 8);
        if (!eight) continue;
        for (int64_t j = k; j < k + 8; j++) {
            if (hits[j] & 1) sample->active[n++] = 2 * words[j];
            if (hits[j] & 2) sample->active[n++] = 2 * words[j] + 1;
        }
    }
    sample->active_count = n;
}

#endif
