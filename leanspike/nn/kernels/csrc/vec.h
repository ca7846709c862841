/* One vector type for every instruction set: 16 floats (AVX-512), 8 (AVX2), 4 (anything else, by the compiler). */
#ifndef LEANSPIKE_VEC_H
#define LEANSPIKE_VEC_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_thread_num(void) { return 0; }
static inline int omp_get_num_threads(void) { return 1; }
#endif
#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#define EXPORT __attribute__((visibility("default")))
#define UNROLL _Pragma("GCC unroll 32")
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* TILE: columns whose running sums stay in registers while rows are added; a multiple of 32, so that a tile's
   spikes are whole words. */
#if defined(__AVX512F__)
#define VF 16
#define TILE 256
#elif defined(__AVX2__)
#define VF 8
#define TILE 96
#else
#define VF 4
#define TILE 32
#endif
#define MAX_VECTORS (TILE / VF)

typedef float vf __attribute__((vector_size(VF * 4)));
typedef float vf_any __attribute__((vector_size(VF * 4), aligned(4), may_alias));

static inline vf vload(const float *p) { return *(const vf_any *)p; }
static inline void vstore(float *p, vf v) { *(vf_any *)p = v; }
static inline vf vset(float x) {
    vf v = {0};
    return v + x;
}

/* The first n of VF floats; the others read as zero and are not written. */
static inline vf vload_n(const float *p, int n) {
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    float copy[VF] = {0};
    memcpy(copy, p, (size_t)n * 4);
    return vload(copy);
#endif
}
static inline void vstore_n(float *p, vf v, int n) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    float copy[VF];
    vstore(copy, v);
    memcpy(p, copy, (size_t)n * 4);
#endif
}

static inline vf vfma(vf a, vf b, vf c) {
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* Bit j of the result: a[j] >= b[j], j < n <= 32. */
static inline uint32_t word_ge(const float *a, const float *b, int n) {
    uint32_t word = 0;
    int j = 0;
#if defined(__AVX512F__)
    for (; j < n; j += 16) {
        __mmask16 live = (__mmask16)(n - j >= 16 ? 0xFFFF : (1u << (n - j)) - 1);
        __m512 x = _mm512_maskz_loadu_ps(live, a + j), y = _mm512_maskz_loadu_ps(live, b + j);
        word |= (uint32_t)_mm512_mask_cmp_ps_mask(live, x, y, _CMP_GE_OQ) << j;
    }
#elif defined(__AVX2__)
    for (; j + 8 <= n; j += 8) {
        __m256 ge = _mm256_cmp_ps(_mm256_loadu_ps(a + j), _mm256_loadu_ps(b + j), _CMP_GE_OQ);
        word |= (uint32_t)_mm256_movemask_ps(ge) << j;
    }
#elif defined(__SSE2__)
    for (; j + 4 <= n; j += 4)
        word |= (uint32_t)_mm_movemask_ps(_mm_cmpge_ps(_mm_loadu_ps(a + j), _mm_loadu_ps(b + j))) << j;
#endif
    for (; j < n; j++) word |= (uint32_t)(a[j] >= b[j]) << j;
    return word;
}

/* Positions of the ones in a row of words, ascending; `out` needs 32 entries of slack. */
static inline int ones(const uint32_t *words, int64_t count, int32_t *out) {
    int n = 0;
#if defined(__AVX512F__)
    const __m512i step = _mm512_set1_epi32(16);
    __m512i at = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    for (int64_t w = 0; w < count; w++) {
        uint32_t word = words[w];
        for (int half = 0; half < 2; half++, word >>= 16) {
            __mmask16 m = (__mmask16)word;
            _mm512_storeu_si512(out + n, _mm512_maskz_compress_epi32(m, at));
            n += __builtin_popcount(m);
            at = _mm512_add_epi32(at, step);
        }
    }
#else
    for (int64_t w = 0; w < count; w++)
        for (uint32_t word = words[w]; word; word &= word - 1) out[n++] = (int32_t)(w * 32 + __builtin_ctz(word));
#endif
    return n;
}

/* Columns are cut at whole words of 32 into parts of at most TILE: the first column of part `i`. */
static inline int64_t cut(int64_t columns, int64_t parts, int64_t i) {
    return MIN(columns, (columns + 31) / 32 * i / parts * 32);
}

static inline int64_t parts_of(int64_t columns, int64_t at_least) {
    int64_t words = (columns + 31) / 32, by_tile = (words + TILE / 32 - 1) / (TILE / 32);
    return MIN(words, MAX(by_tile, at_least));
}

#endif
