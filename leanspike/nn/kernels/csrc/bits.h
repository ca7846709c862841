/* Packing, unpacking, and rate coding straight to bits. */
#ifndef LEANSPIKE_BITS_H
#define LEANSPIKE_BITS_H

#include "vec.h"

/* [rows, features] floats to [rows, ceil(features / 32)] words, value != 0 -> 1. Returns how many ones there are, or -1
   where a value is neither 0 nor 1; `strict`: then the words are not finished. */
EXPORT int64_t leanspike_pack(const float *values, int64_t rows, int64_t features, int64_t strict, uint32_t *bits,
                              int64_t threads) {
    int64_t words = (features + 31) / 32, ones = 0;
    int binary = 1;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(& : binary) reduction(+ : ones)
    for (int64_t r = 0; r < rows; r++) {
        const float *row = values + r * features;
        if (strict && !binary) continue;
        for (int64_t w = 0; w < words; w++) {
            int n = (int)MIN(32, features - w * 32);
            const float *x = row + w * 32;
            uint32_t word = 0;
#if defined(__AVX512F__)
            const __m512 one = _mm512_set1_ps(1.0f), zero = _mm512_setzero_ps();
            for (int j = 0; j < n; j += 16) {
                __mmask16 live = (__mmask16)(n - j >= 16 ? 0xFFFF : (1u << (n - j)) - 1);
                __m512 v = _mm512_maskz_loadu_ps(live, x + j);
                __mmask16 set = _mm512_cmp_ps_mask(v, zero, _CMP_NEQ_UQ);
                binary &= set == _mm512_cmp_ps_mask(v, one, _CMP_EQ_OQ);
                word |= (uint32_t)set << j;
            }
#else
            for (int j = 0; j < n; j++) {
                word |= (uint32_t)(x[j] != 0.0f) << j;
                binary &= (x[j] == 0.0f) | (x[j] == 1.0f);
            }
#endif
            bits[r * words + w] = word;
            ones += __builtin_popcount(word);
        }
    }
    return binary ? ones : -1;
}

EXPORT void leanspike_unpack(const uint32_t *bits, int64_t rows, int64_t features, float *values, int64_t threads) {
    int64_t words = (features + 31) / 32;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t w = 0; w < words; w++) {
            uint32_t word = bits[r * words + w];
            float *x = values + r * features + w * 32;
            int n = (int)MIN(32, features - w * 32);
            for (int j = 0; j < n; j++) x[j] = (float)(word >> j & 1);
        }
}

/* How many of the bits are set. */
EXPORT int64_t leanspike_ones(const uint32_t *bits, int64_t words, int64_t threads) {
    int64_t ones = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : ones)
    for (int64_t w = 0; w < words; w++) ones += __builtin_popcount(bits[w]);
    return ones;
}

/* Any slot does: no kernel that keeps something in one draws spikes meanwhile. */
enum { S_LEVELS = 0 };

static inline uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x ^= x >> 15;
    x *= 0xD35A2D97u;
    x ^= x >> 15;
    return x;
}

/* core/rng.py: key = mix(mix(mix(seed + golden) + stream) + step), word(i) = mix(key + i * golden); a word serves two inputs.
   thresholds [batch, features], or bytes of that shape and the threshold of each of their values;
   bits [T, B, ceil(features / 32)]. Returns how many spikes there are. */
EXPORT int64_t leanspike_rate(const uint16_t *thresholds, const uint8_t *bytes, const uint16_t *of_byte,
                              const int64_t *streams, int64_t steps, int64_t batch, int64_t features, uint32_t seed,
                              uint32_t *bits, int64_t threads) {
    int64_t padded = (features + 31) / 32 * 32, ones = 0;
    uint32_t base = mix(seed + 0x9E3779B9u);
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : ones)
    for (int64_t b = 0; b < batch; b++) {
        uint32_t stream = mix(base + (uint32_t)streams[b]);
        uint16_t *level = (uint16_t *)scratch(S_LEVELS, padded / 2);
        if (bytes)
            for (int64_t j = 0; j < features; j++) level[j] = of_byte[bytes[b * features + j]];
        else memcpy(level, thresholds + b * features, (size_t)features * 2);
        memset(level + features, 0, (size_t)(padded - features) * 2);
        for (int64_t t = 0; t < steps; t++) {
            uint32_t counter = mix(stream + (uint32_t)t);
            uint32_t *out = bits + (t * batch + b) * (padded / 32);
            for (int64_t w = 0; w < padded / 32; w++) {
                uint32_t draws[16];
                for (uint32_t i = 0; i < 16; i++) draws[i] = mix(counter + ((uint32_t)w * 16u + i) * 0x9E3779B9u);
#if defined(__AVX512BW__)
                out[w] = _mm512_cmplt_epu16_mask(_mm512_loadu_si512(draws), _mm512_loadu_si512(level + w * 32));
#else
                uint32_t word = 0;
                for (int i = 0; i < 16; i++) {
                    word |= (uint32_t)((draws[i] & 0xFFFF) < level[w * 32 + 2 * i]) << (2 * i);
                    word |= (uint32_t)((draws[i] >> 16) < level[w * 32 + 2 * i + 1]) << (2 * i + 1);
                }
                out[w] = word;
#endif
                ones += __builtin_popcount(out[w]);
            }
        }
    }
    return ones;
}

#endif
