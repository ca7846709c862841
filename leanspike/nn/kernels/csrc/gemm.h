/* C[m, n] = A[m, k] B[k, n] (+ bias[n] or C), any strides, float32: packed panels and a register tile, after
   Goto & van de Geijn 2008 and BLIS (Van Zee & van de Geijn 2015). Here because the BLAS that torch ships keeps to
   AVX2 on AMD processors: half of a core whose AVX-512 units are 512 bits wide (those of Zen 4 are not). */
#ifndef LEANSPIKE_GEMM_H
#define LEANSPIKE_GEMM_H

#include "team.h"

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

/* Floats ahead of those that are packed to be fetched: the processor does not foresee so many rows at once. */
#define AHEAD 128

/* A panel of `width` values from `live` rows of x, zero-filled: out[p * width + i] = x[i * lead + p * depth]. */
static void pack_panel(const float *x, int64_t lead, int64_t depth, int64_t live, int64_t width, int64_t k, float *out) {
    if (depth == 1)
        for (int64_t p0 = 0; p0 < k; p0 += 16)
            for (int64_t i = 0; i < width; i++) {
                __builtin_prefetch(p0 + AHEAD < k ? x + i * lead + p0 + AHEAD : x + (i + width) * lead + p0 + AHEAD - k);
                for (int64_t p = p0; p < MIN(k, p0 + 16); p++) out[p * width + i] = i < live ? x[i * lead + p] : 0.0f;
            }
    else
        for (int64_t p = 0; p < k; p++)
            for (int64_t i = 0; i < width; i++) out[p * width + i] = i < live ? x[i * lead + p * depth] : 0.0f;
}

/* `count` rows of x in panels of `width`, one behind the other, of which `usual` says what the compiler may take for
   granted. Where a row is a column of what stands in memory, all panels advance together: one by one they would read the
   same lines again and again. */
static inline __attribute__((always_inline)) void pack_panels(const float *x, int64_t lead, int64_t depth, int64_t count,
                                                              int64_t width, const int64_t usual, int64_t k, float *out) {
    int64_t whole = lead == 1 && width == usual ? count / width * width : 0;
    for (int64_t p = 0; p < k && whole; p++) {
        const float *row = x + p * depth;
        for (int64_t i = 0; i < whole; i += usual) {
            __builtin_prefetch(row + i + 8 * depth);
            memcpy(out + i * k + p * usual, row + i, (size_t)usual * 4);
        }
    }
    for (int64_t i = whole; i < count; i += width)
        pack_panel(x + i * lead, lead, depth, MIN(width, count - i), width, k, out + i * k);
}

/* Where a tile of C begins, what of it is there, and what it is added to: C, or `bias`, which may be NULL. */
typedef struct {
    float *c;
    int64_t c_row, rows, columns;
    const float *bias;
    int adds;
} corner;

/* A panel of mr rows by one of nv vectors of columns. */
static inline __attribute__((always_inline)) void tile(const float *restrict a, const float *restrict b, int64_t k,
                                                       const corner *at, const int mr, const int nv) {
    vf sum[MR][NV];
    for (int64_t i = 0; i < at->rows; i++)
        for (int j = 0; j < nv; j++) __builtin_prefetch(at->c + i * at->c_row + j * VF, 1);
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) sum[i][j] = vset(0);
    for (int64_t p = 0; p < k; p++, a += mr, b += NR) {
        vf row[NV];
        UNROLL for (int j = 0; j < nv; j++) row[j] = vload(b + j * VF);
        UNROLL for (int i = 0; i < mr; i++) {
            vf x = vset(a[i]);
            UNROLL for (int j = 0; j < nv; j++) sum[i][j] = vfma(x, row[j], sum[i][j]);
        }
    }
    if (at->rows == mr && at->columns == nv * VF) {
        UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) {
            float *c = at->c + i * at->c_row + j * VF;
            vf before = at->adds ? vload(c) : at->bias ? vload(at->bias + j * VF) : vset(0);
            vstore(c, before + sum[i][j]);
        }
        return;
    }
    float block[MR * NR];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) vstore(block + i * NR + j * VF, sum[i][j]);
    for (int64_t i = 0; i < at->rows; i++)
        for (int64_t j = 0; j < at->columns; j++) {
            float *c = at->c + i * at->c_row + j;
            *c = (at->adds ? *c : at->bias ? at->bias[j] : 0.0f) + block[i * NR + j];
        }
}

#define HEIGHT(N)                                                                                                     \
    case N:                                                                                                           \
        if (at->columns > VF) tile(a, b, k, at, MIN(N, MR), NV);                                                      \
        else tile(a, b, k, at, MIN(N, MR), 1);                                                                        \
        break;

/* The tile of the panels' height, and no wider than C is. */
static void any_tile(const float *a, const float *b, int64_t k, const corner *at, int64_t height) {
    switch (height) {
        HEIGHT(1) HEIGHT(2) HEIGHT(3) HEIGHT(4) HEIGHT(5) HEIGHT(6) HEIGHT(7)
        HEIGHT(8) HEIGHT(9) HEIGHT(10) HEIGHT(11) HEIGHT(12) HEIGHT(13) HEIGHT(14)
    }
}

/* Where item i of `parts` begins, of panels of `width` in `size`: parts differ by a panel at most. */
static int64_t panel_cut(int64_t size, int64_t width, int64_t parts, int64_t i) {
    return MIN(size, (size + width - 1) / width * i / parts * width);
}

/* C is cut into parts of rows that threads take one by one, as many for each; B into blocks of what is packed at once. */
EXPORT void leanspike_gemm(const gemm_args *g) {
    int64_t panels = MAX(1, (g->m + MR - 1) / MR), height = MAX(1, (g->m + panels - 1) / panels);
    int64_t parts = (g->m + MC - 1) / MC;
    parts = (parts + g->threads - 1) / g->threads * g->threads;
    int64_t wide = (g->n + NR - 1) / NR * NR, deep = wide <= 2 * B_PACK / KC ? MIN(KC, B_PACK / wide) : KC;
    int64_t passes = MAX(1, (g->k + deep - 1) / deep), depth = (g->k + passes - 1) / passes;
    int64_t blocks = (wide + B_PACK / MAX(1, depth) - 1) / (B_PACK / MAX(1, depth));
    int64_t columns = ((wide / NR + blocks - 1) / blocks) * NR, rows_most = (panels / parts + 2) * height;
    float *b_pack = scratch(S_COLUMNS, depth * columns);
#pragma omp parallel num_threads(g->threads)
    {
        const team team = everyone();
        float *a_pack = scratch(S_ROWS, depth * rows_most);
        for (int64_t j0 = 0; j0 < g->n; j0 += columns)
            for (int64_t p0 = 0, pass = 0; pass < passes; pass++, p0 += depth) {
                int64_t nc = MIN(columns, g->n - j0), kc = MIN(depth, g->k - p0);
                int64_t j1 = panel_cut(nc, NR, team.size, team.id), j2 = panel_cut(nc, NR, team.size, team.id + 1);
                pack_panels(g->b + (j0 + j1) * g->b_column + p0 * g->b_row, g->b_column, g->b_row, j2 - j1, NR, NR, kc,
                            b_pack + j1 * kc);
                meet(team);
#pragma omp for schedule(dynamic, 1)
                for (int64_t part = 0; part < parts; part++) {
                    int64_t i0 = panel_cut(g->m, height, parts, part), rows = panel_cut(g->m, height, parts, part + 1) - i0;
                    pack_panels(g->a + i0 * g->a_row + p0 * g->a_column, g->a_row, g->a_column, rows, height, MR, kc, a_pack);
                    for (int64_t i = 0; i < rows; i += height)
                        for (int64_t j = 0; j < nc; j += NR) {
                            corner at = {g->c + (i0 + i) * g->c_row + j0 + j, g->c_row, MIN(height, rows - i),
                                         MIN(NR, nc - j), g->bias ? g->bias + j0 + j : NULL, p0 || g->add};
                            any_tile(a_pack + i * kc, b_pack + j * kc, kc, &at, height);
                        }
                }
            }
    }
}

#endif
