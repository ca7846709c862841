/* One vector type for every instruction set: 64 bytes (AVX-512), 32 (AVX2), 16 (anything else, by the compiler). */
#ifndef LEANSPIKE_LANES_H
#define LEANSPIKE_LANES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#if defined(__AVX512BW__)
#define VECTOR 64
#define ACCUMULATORS 16
#elif defined(__AVX2__)
#define VECTOR 32
#define ACCUMULATORS 8
#else
#define VECTOR 16
#define ACCUMULATORS 8
#endif
/* Rows of weights are padded to whole granules of so many columns; elementwise work runs in blocks of a word of spikes. */
#define GRANULE 32
#define BLOCK 64

#define LANES32 (VECTOR / 4)
typedef int32_t v32 __attribute__((vector_size(VECTOR)));
typedef int32_t v32_any __attribute__((vector_size(VECTOR), aligned(4), may_alias));
typedef int16_t v16 __attribute__((vector_size(VECTOR)));
typedef int16_t v16_any __attribute__((vector_size(VECTOR), aligned(2), may_alias));

INLINE v32 load_32(const int32_t *p) { return *(const v32_any *)p; }
INLINE void store_32(int32_t *p, v32 v) { *(v32_any *)p = v; }

/* widen_W_A: one vector of A-bit sums from W-bit weights. Compilers make poor code of __builtin_convertvector here. */
INLINE v16 widen_16_16(const int16_t *p) { return *(const v16_any *)p; }
INLINE v32 widen_32_32(const int32_t *p) { return *(const v32_any *)p; }
#if defined(__AVX512BW__)
INLINE v16 widen_8_16(const int8_t *p) { return (v16)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
INLINE v32 widen_8_32(const int8_t *p) { return (v32)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE v32 widen_16_32(const int16_t *p) { return (v32)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p)); }
INLINE void store_16(int16_t *p, v32 v) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)v)); }
#elif defined(__AVX2__)
INLINE v16 widen_8_16(const int8_t *p) { return (v16)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
INLINE v32 widen_8_32(const int8_t *p) { return (v32)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
INLINE v32 widen_16_32(const int16_t *p) { return (v32)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE void store_16(int16_t *p, v32 v) {
    const __m256i low = _mm256_srai_epi32(_mm256_slli_epi32((__m256i)v, 16), 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, low), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
}
#elif defined(__SSE2__)
INLINE v16 widen_8_16(const int8_t *p) {
    const __m128i x = _mm_loadl_epi64((const __m128i *)p);
    return (v16)_mm_srai_epi16(_mm_unpacklo_epi8(x, x), 8);
}
INLINE v32 widen_8_32(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, 4);
    const __m128i x = _mm_cvtsi32_si128(four), twice = _mm_unpacklo_epi8(x, x);
    return (v32)_mm_srai_epi32(_mm_unpacklo_epi16(twice, twice), 24);
}
INLINE v32 widen_16_32(const int16_t *p) {
    const __m128i x = _mm_loadl_epi64((const __m128i *)p);
    return (v32)_mm_srai_epi32(_mm_unpacklo_epi16(x, x), 16);
}
INLINE void store_16(int16_t *p, v32 v) {
    const __m128i low = _mm_srai_epi32(_mm_slli_epi32((__m128i)v, 16), 16);
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi32(low, low));
}
#else
#define WIDEN(w, a)                                                                     \
    INLINE v##a widen_##w##_##a(const int##w##_t *p) {                                  \
        v##a wide;                                                                      \
        for (int j = 0; j < VECTOR * 8 / a; j++) wide[j] = p[j];                        \
        return wide;                                                                    \
    }
WIDEN(8, 16)
WIDEN(8, 32)
WIDEN(16, 32)
#undef WIDEN
INLINE void store_16(int16_t *p, v32 v) {
    for (int j = 0; j < LANES32; j++) p[j] = (int16_t)v[j];
}
#endif
INLINE v32 load_16(const int16_t *p) { return widen_16_32(p); }

INLINE v32 least(v32 a, v32 b) {
#if defined(__AVX512BW__)
    return (v32)_mm512_min_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (v32)_mm256_min_epi32((__m256i)a, (__m256i)b);
#else
    v32 smaller = a < b;
    return (a & smaller) | (b & ~smaller);
#endif
}

INLINE v32 most(v32 a, v32 b) {
#if defined(__AVX512BW__)
    return (v32)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (v32)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
    v32 larger = a > b;
    return (a & larger) | (b & ~larger);
#endif
}

/* Bit j of the result is set where lane j is negative. */
INLINE uint64_t signs(v32 lanes) {
#if defined(__AVX512BW__)
    return _mm512_movepi32_mask((__m512i)lanes);
#elif defined(__AVX2__)
    return (uint32_t)_mm256_movemask_ps((__m256)lanes);
#elif defined(__SSE2__)
    return (uint32_t)_mm_movemask_ps((__m128)lanes);
#else
    uint64_t word = 0;
    for (int j = 0; j < LANES32; j++) word |= (uint64_t)(lanes[j] < 0) << j;
    return word;
#endif
}

/* Bit j of the result: a[j] < b[j], of 64 unsigned numbers. */
INLINE uint64_t below(const uint16_t *a, const uint16_t *b) {
    uint64_t word = 0;
#if defined(__AVX512BW__)
    for (int j = 0; j < 2; j++)
        word |= (uint64_t)_mm512_cmplt_epu16_mask(_mm512_loadu_si512(a + 32 * j), _mm512_loadu_si512(b + 32 * j))
                << 32 * j;
#elif defined(__SSE2__)
    const __m128i top = _mm_set1_epi16((short)0x8000);
    for (int j = 0; j < 4; j++) {
        __m128i found[2];
        for (int k = 0; k < 2; k++) {
            __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(a + 16 * j + 8 * k)), top);
            __m128i y = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(b + 16 * j + 8 * k)), top);
            found[k] = _mm_cmplt_epi16(x, y);
        }
        word |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(found[0], found[1])) << 16 * j;
    }
#else
    for (int j = 0; j < 64; j++) word |= (uint64_t)(a[j] < b[j]) << j;
#endif
    return word;
}

#endif
