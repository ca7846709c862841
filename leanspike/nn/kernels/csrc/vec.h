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
#define INDEPENDENT _Pragma("GCC ivdep")
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#if defined(__AVX512F__)
#define VF 16
#elif defined(__AVX2__)
#define VF 8
#else
#define VF 4
#endif
/* Columns of a scan that a task keeps in L1; a multiple of 32, so that a tile's spikes are whole words. */
#define TILE 512

typedef float vf __attribute__((vector_size(VF * 4)));
typedef int32_t vi __attribute__((vector_size(VF * 4)));
typedef float vf_any __attribute__((vector_size(VF * 4), aligned(4), may_alias));

static inline vf vload(const float *p) { return *(const vf_any *)p; }
static inline void vstore(float *p, vf v) { *(vf_any *)p = v; }
/* x - 0 is x for every x, so that a broadcast is left; 0 + x is not, and costs an addition. */
static inline vf vset(float x) { return x - (vf){0}; }

static inline vf vfma(vf a, vf b, vf c) {
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* y where x is below theta, else 0. */
static inline vf where_below(vf x, vf theta, vf y) {
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)x, (__m512)theta, _CMP_NGE_UQ), (__m512)y);
#else
    return (vf)(~(x >= theta) & (vi)y);
#endif
}

/* x where it is below theta, else what a reset leaves: x - theta, or 0. */
static inline vf after_reset(vf x, vf theta, int zero_reset) {
    if (zero_reset) return where_below(x, theta, x);
#if defined(__AVX512F__)
    __mmask16 fired = _mm512_cmp_ps_mask((__m512)x, (__m512)theta, _CMP_GE_OQ);
    return (vf)_mm512_mask_sub_ps((__m512)x, fired, (__m512)x, (__m512)theta);
#else
    return x - (vf)((x >= theta) & (vi)theta);
#endif
}

/* Bit j of the result: x[j] >= y[j]. */
static inline uint32_t bits_ge(vf x, vf y) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)x, (__m512)y, _CMP_GE_OQ);
#elif defined(__AVX2__)
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)x, (__m256)y, _CMP_GE_OQ));
#elif defined(__SSE2__)
    return (uint32_t)_mm_movemask_ps(_mm_cmpge_ps((__m128)x, (__m128)y));
#else
    uint32_t bits = 0;
    for (int j = 0; j < VF; j++) bits |= (uint32_t)(x[j] >= y[j]) << j;
    return bits;
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
#else
    for (; j + VF <= n; j += VF) word |= bits_ge(vload(a + j), vload(b + j)) << j;
#endif
    for (; j < n; j++) word |= (uint32_t)(a[j] >= b[j]) << j;
    return word;
}

/* A buffer that this thread keeps from call to call, one for each slot, so that no call pays for fresh pages. */
#define SLOTS 18
static inline float *scratch(int slot, int64_t count) {
    static __thread float *kept[SLOTS];
    static __thread int64_t size[SLOTS];
    if (size[slot] < count) {
        free(kept[slot]);
        kept[slot] = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
        size[slot] = count;
    }
    return kept[slot];
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
