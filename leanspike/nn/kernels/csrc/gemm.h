/* C[m, n] = A[m, k] B[k, n] (+ bias[n] or C), any strides, float32: packed panels and a register tile, after
   Goto & van de Geijn 2008 and BLIS (Van Zee & van de Geijn 2015). Here because the BLAS that torch ships keeps to
   AVX2 on AMD processors: half of a core whose AVX-512 units are 512 bits wide (those of Zen 4 are not). */
#ifndef LEANSPIKE_GEMM_H
#define LEANSPIKE_GEMM_H

#include "vec.h"

#if defined(__AVX512F__)
#define MR 14
#elif defined(__AVX2__)
#define MR 6
#else
#define MR 4
#endif
#define NV 2
#define NR (NV * VF)
#define KC 400
#define MC (MR * 14)
/* Floats of B that are packed at once: they stay in L2 while every panel of A, which stays in L1, runs through them. */
#define B_PACK (400 * 416)

enum { S_ROWS = SLOTS - 3, S_COLUMNS = SLOTS - 2 };

typedef struct {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_column;
    const float *b;
    int64_t b_row, b_column;
    const float *bias;
    int64_t add; /* to what C holds */
    float *c;
    int64_t c_row, threads;
} gemm_args;

/* k panels of `width` values from `lead` rows, zero-filled: out[p * width + i] = x[i * lead + p * depth]. */
static void pack_panel(const float *x, int64_t lead, int64_t depth, int64_t live, int64_t width, int64_t k, float *out) {
    if (live == width && lead == 1)
        for (int64_t p = 0; p < k; p++) memcpy(out + p * width, x + p * depth, (size_t)width * 4);
    else if (live == width && depth == 1)
        for (int64_t p0 = 0; p0 < k; p0 += 16)
            for (int64_t i = 0; i < width; i++)
                for (int64_t p = p0; p < MIN(k, p0 + 16); p++) out[p * width + i] = x[i * lead + p];
    else
        for (int64_t p = 0; p < k; p++)
            for (int64_t i = 0; i < width; i++) out[p * width + i] = i < live ? x[i * lead + p * depth] : 0.0f;
}

/* `rows` rows of A in panels of MR, one behind the other. Where a row is a column of what stands in memory, all panels
   advance together: one by one they would read the same lines again and again. */
static void pack_rows(const float *a, int64_t a_row, int64_t a_column, int64_t rows, int64_t k, float *out) {
    int64_t whole = a_row == 1 ? rows / MR * MR : 0;
    if (whole)
        for (int64_t p = 0; p < k; p++)
            for (int64_t i = 0; i < whole; i += MR) memcpy(out + i * k + p * MR, a + i + p * a_column, MR * 4);
    for (int64_t i = whole; i < rows; i += MR)
        pack_panel(a + i * a_row, a_row, a_column, MIN(MR, rows - i), MR, k, out + i * k);
}

static inline void tile(const float *restrict a, const float *restrict b, int64_t k, float *restrict c, int64_t c_row,
                        int64_t rows, int64_t columns, const float *bias, int first) {
    vf sum[MR][NV];
    for (int64_t i = 0; i < rows; i++) {
        __builtin_prefetch(c + i * c_row, 1);
        __builtin_prefetch(c + i * c_row + 16, 1);
    }
    UNROLL for (int i = 0; i < MR; i++) UNROLL for (int j = 0; j < NV; j++) sum[i][j] = vset(0);
    for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
        vf b0 = vload(b), b1 = vload(b + VF);
        UNROLL for (int i = 0; i < MR; i++) {
            vf x = vset(a[i]);
            sum[i][0] = vfma(x, b0, sum[i][0]);
            sum[i][1] = vfma(x, b1, sum[i][1]);
        }
    }
    if (rows == MR && columns == NR) {
        UNROLL for (int i = 0; i < MR; i++) UNROLL for (int j = 0; j < NV; j++) {
            float *at = c + i * c_row + j * VF;
            vf before = first ? (bias ? vload(bias + j * VF) : vset(0)) : vload(at);
            vstore(at, before + sum[i][j]);
        }
        return;
    }
    float block[MR * NR];
    UNROLL for (int i = 0; i < MR; i++) UNROLL for (int j = 0; j < NV; j++) vstore(block + i * NR + j * VF, sum[i][j]);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            c[i * c_row + j] = (first ? (bias ? bias[j] : 0.0f) : c[i * c_row + j]) + block[i * NR + j];
}

/* Where item i of `parts` begins, of panels of `width` in `size`: parts differ by a panel at most. */
static int64_t panel_cut(int64_t size, int64_t width, int64_t parts, int64_t i) {
    return MIN(size, (size + width - 1) / width * i / parts * width);
}

/* C is cut into parts of rows that threads take one by one, as many for each; B into blocks of what is packed at once. */
EXPORT void leanspike_gemm(const gemm_args *g) {
    int64_t parts = (g->m + MC - 1) / MC;
    parts = (parts + g->threads - 1) / g->threads * g->threads;
    int64_t wide = (g->n + NR - 1) / NR * NR, deep = wide <= 2 * B_PACK / KC ? MIN(KC, B_PACK / wide) : KC;
    int64_t passes = MAX(1, (g->k + deep - 1) / deep), depth = (g->k + passes - 1) / passes;
    int64_t blocks = (wide + B_PACK / MAX(1, depth) - 1) / (B_PACK / MAX(1, depth));
    int64_t columns = ((wide / NR + blocks - 1) / blocks) * NR, rows_most = (g->m / MR / parts + 2) * MR;
    float *b_pack = scratch(S_COLUMNS, depth * columns);
#pragma omp parallel num_threads(g->threads)
    {
        float *a_pack = scratch(S_ROWS, depth * rows_most);
        for (int64_t j0 = 0; j0 < g->n; j0 += columns)
            for (int64_t p0 = 0; p0 < g->k; p0 += depth) {
                int64_t nc = MIN(columns, g->n - j0), kc = MIN(depth, g->k - p0);
#pragma omp for schedule(static)
                for (int64_t j = 0; j < nc; j += NR)
                    pack_panel(g->b + (j0 + j) * g->b_column + p0 * g->b_row, g->b_column, g->b_row, MIN(NR, nc - j), NR,
                               kc, b_pack + j * kc);
#pragma omp for schedule(dynamic, 1)
                for (int64_t part = 0; part < parts; part++) {
                    int64_t i0 = panel_cut(g->m, MR, parts, part), rows = panel_cut(g->m, MR, parts, part + 1) - i0;
                    pack_rows(g->a + i0 * g->a_row + p0 * g->a_column, g->a_row, g->a_column, rows, kc, a_pack);
                    for (int64_t i = 0; i < rows; i += MR)
                        for (int64_t j = 0; j < nc; j += NR)
                            tile(a_pack + i * kc, b_pack + j * kc, kc, g->c + (i0 + i) * g->c_row + j0 + j, g->c_row,
                                 MIN(MR, rows - i), MIN(NR, nc - j), g->bias ? g->bias + j0 + j : NULL, !p0 && !g->add);
                }
            }
    }
}

#endif
