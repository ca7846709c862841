/* Raw samples as the input value of a step; the equations stand in leanspike/ir/encodings.py and core/rng.py. */
#ifndef LEANSPIKE_ENCODE_H
#define LEANSPIKE_ENCODE_H

#include "events.h"

INLINE uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x ^= x >> 15;
    x *= 0xD35A2D97u;
    return x ^ x >> 15;
}

/* The random stream of a sample; step t has the key mix(stream + t). */
INLINE uint32_t stream_of(const Plan *plan, int64_t number) {
    return mix(mix((uint32_t)plan->seed + 0x9E3779B9u) + (uint32_t)number);
}

static int out_of_range(const Plan *plan, const int32_t *raw) {
    const int32_t lowest = (int32_t)plan->raw_lowest, highest = (int32_t)plan->raw_highest;
    int32_t outside = 0;
    for (int64_t i = 0; i < plan->raw; i++) outside |= (raw[i] < lowest) | (raw[i] > highest);
    return outside != 0;
}

static void pack_nonzero(const int32_t *x, int64_t elements, uint64_t *words) {
    for (int64_t i = 0; i < elements; i += 64) {
        uint64_t word = 0;
        const int64_t n = MIN(64, elements - i);
        for (int64_t j = 0; j < n; j++) word |= (uint64_t)(x[i + j] != 0) << j;
        words[i / 64] = word;
    }
}

static void copy_raw(const Value *value, const int32_t *raw, char *arena) {
    void *data = arena + value->data;
    if (value->form == BITS) pack_nonzero(raw, value->elements, data);
    else if (value->form == I32) memcpy(data, raw, (size_t)value->elements * 4);
    else
        for (int64_t i = 0; i < value->elements; i++) ((int16_t *)data)[i] = (int16_t)raw[i];
}

/* Thresholds or steps of every input, and which words have an input that can ever fire. */
static void look_up(const Plan *plan, const int32_t *raw, char *arena) {
    uint16_t *found = (uint16_t *)(arena + plan->thresholds);
    uint8_t *live = (uint8_t *)(arena + plan->live);
    for (int64_t i = 0; i < plan->raw; i += 64) {
        uint16_t any = 0;
        const int64_t n = MIN(64, plan->raw - i);
        for (int64_t j = 0; j < n; j++) any |= found[i + j] = plan->table[raw[i + j]];
        live[i / 64] = any != 0;
    }
}

/* Inputs that are active in so many steps that every step is listed by what is missing: T (2p - 1) > 1. */
static void usual_pattern(const Plan *plan, char *arena, uint64_t *pattern) {
    const uint16_t *thresholds = (const uint16_t *)(arena + plan->thresholds);
    uint16_t often[64];
    for (int j = 0; j < 64; j++) often[j] = (uint16_t)MIN(65535, 32768 + 32768 / plan->steps);
    for (int64_t i = 0; i < plan->raw; i += 64) pattern[i / 64] = below(often, thresholds + i);
}

static void rate_step(const Plan *plan, uint32_t key, char *arena, uint64_t *spikes) {
    const uint16_t *thresholds = (const uint16_t *)(arena + plan->thresholds);
    const uint8_t *live = (const uint8_t *)(arena + plan->live);
    for (int64_t w = 0; w < words_of(plan->raw); w++) {
        if (!live[w]) {
            spikes[w] = 0;
            continue;
        }
        uint32_t words[32];
        uint16_t draws[64];
        for (int j = 0; j < 32; j++) words[j] = mix(key + (uint32_t)(32 * w + j) * 0x9E3779B9u);
        for (int j = 0; j < 32; j++) {
            draws[2 * j] = (uint16_t)words[j];
            draws[2 * j + 1] = (uint16_t)(words[j] >> 16);
        }
        spikes[w] = below(draws, thresholds + 64 * w);
    }
}

static void latency_step(const Plan *plan, int64_t t, char *arena, uint64_t *spikes) {
    const uint16_t *when = (const uint16_t *)(arena + plan->thresholds);
    for (int64_t i = 0; i < plan->raw; i += 64) {
        uint64_t word = 0;
        const int64_t n = MIN(64, plan->raw - i);
        for (int64_t j = 0; j < n; j++) word |= (uint64_t)(when[i + j] == t) << j;
        spikes[i / 64] = word;
    }
}

/* `raw`: this step's value of the first channel; that of the next one lies `stride` behind it. */
static void delta_step(const Plan *plan, const int32_t *raw, int64_t stride, int32_t *track, uint64_t *spikes) {
    const int64_t channels = plan->channels, threshold = plan->threshold;
    memset(spikes, 0, (size_t)words_of(2 * channels) * 8);
    for (int64_t c = 0; c < channels; c++) {
        const int64_t change = (int64_t)raw[c * stride] - track[c];
        if (change >= threshold) {
            spikes[c / 64] |= 1ull << c % 64;
            track[c] = (int32_t)(track[c] + threshold);
        } else if (-change >= threshold) {
            const int64_t off = channels + c;
            spikes[off / 64] |= 1ull << off % 64;
            track[c] = (int32_t)(track[c] - threshold);
        }
    }
}

#endif
