/* The gradient of a convolution's input, as a dense product of register tiles:

     d_input[y, x, c] = sum over ky, kx of <weight[ky, kx, c, :], k[y - ky + padding, x - kx + padding, :]>

   k, the gradient of the currents, stands in images of (rows + kernel - 1) x (columns + kernel - 1) sites with zeros
   around, so that input (y, x) meets tap (ky, kx) at site (y + kernel - 1 - ky, x + kernel - 1 - kx). */
#ifndef LEANSPIKE_CONV_INPUT_H
#define LEANSPIKE_CONV_INPUT_H

#include "conv.h"
#include "gemm.h"

static int64_t plane_pitch(const conv_args *a) { return a->columns + a->kernel - 1; }
static int64_t plane_sites(const conv_args *a) { return (a->rows + a->kernel - 1) * plane_pitch(a); }

/* Step t of a tile's gradient images. */
static float *plane_of(const conv_args *a, float *g, int64_t tile, int64_t t) {
    return g + (tile * a->lif.steps + t) * plane_sites(a) * WIDTH;
}

/* Weights for the way back: [inputs / NR][tiles][kernel * kernel][WIDTH][NR]. */
static float *turn_weights(const conv_args *a) {
    if (!a->grad_input) return NULL;
    int64_t panels = (a->lif.inputs + NR - 1) / NR, side = a->kernel * a->kernel, tiles = tiles_of(&a->lif);
    float *turned = aligned_alloc(64, (size_t)(panels * tiles * side * WIDTH * NR) * 4), *out = turned;
    for (int64_t p = 0; p < panels; p++)
        for (int64_t tile = 0; tile < tiles; tile++)
            for (int64_t tap = 0; tap < side; tap++)
                for (int j = 0; j < WIDTH; j++, out += NR)
                    for (int c = 0; c < NR; c++) {
                        int64_t from = p * NR + c, to = tile * WIDTH + j;
                        int live = from < a->lif.inputs && to < a->lif.features;
                        out[c] = live ? a->lif.weight[(tap * a->lif.inputs + from) * a->lif.features + to] : 0.0f;
                    }
    return turned;
}

/* out[sites][NR]: `sites` neighbours, the first of which meets the last tap at g. */
static inline __attribute__((always_inline)) void input_sites(const conv_args *a, const float *g, const float *turned,
                                                              int sites, float *out) {
    int64_t k = a->kernel, plane = a->lif.steps * plane_sites(a) * WIDTH, pitch = plane_pitch(a) * WIDTH;
    vf s[MR][NV];
    UNROLL for (int i = 0; i < sites; i++) UNROLL for (int v = 0; v < NV; v++) s[i][v] = vset(0);
    for (int64_t tile = 0; tile < tiles_of(&a->lif); tile++)
        for (int64_t tap = 0; tap < k * k; tap++) {
            const float *at = g + tile * plane + (k - 1 - tap / k) * pitch + (k - 1 - tap % k) * WIDTH;
            for (int j = 0; j < WIDTH; j++, turned += NR)
                UNROLL for (int i = 0; i < sites; i++) {
                    vf x = vset(at[i * WIDTH + j]);
                    UNROLL for (int v = 0; v < NV; v++) s[i][v] = vfma(x, vload(turned + v * VF), s[i][v]);
                }
        }
    UNROLL for (int i = 0; i < sites; i++) UNROLL for (int v = 0; v < NV; v++) vstore(out + i * NR + v * VF, s[i][v]);
}

enum { HALF = MR / 2 };

/* `count` sites of an image from position `from` on, counted with the sites between its rows, which are not stored. */
static void input_run(const conv_args *a, const float *g, const float *turned, int64_t from, int64_t count,
                      int64_t channel, float *out) {
    int64_t pitch = plane_pitch(a), end = from + count;
    float block[MR * NR];
    for (int64_t p = from, sites; p < end; p += sites) {
        sites = end - p > HALF ? MR : HALF;
        if (sites == MR) input_sites(a, g + p * WIDTH, turned, MR, block);
        else input_sites(a, g + p * WIDTH, turned, HALF, block);
        for (int64_t i = 0; i < MIN(sites, end - p); i++) {
            int64_t y = (p + i) / pitch, x = (p + i) % pitch;
            if (x < a->columns)
                memcpy(out + (y * a->columns + x) * a->lif.inputs + channel, block + i * NR,
                       (size_t)MIN(NR, a->lif.inputs - channel) * 4);
        }
    }
}

/* Rows that fill register tiles go one by one, others as one run. */
static void sample_input(const conv_args *a, int64_t sample, float *g, const float *turned) {
    int64_t inputs = a->lif.inputs, panel = tiles_of(&a->lif) * a->kernel * a->kernel * WIDTH * NR;
    int64_t pitch = plane_pitch(a), runs = a->columns % HALF ? 1 : a->rows;
    int64_t count = runs > 1 ? a->columns : (a->rows - 1) * pitch + a->columns;
    for (int64_t t = 0; t < a->lif.steps; t++) {
        float *out = a->grad_input + (t * a->lif.batch + sample) * a->rows * a->columns * inputs;
        for (int64_t c = 0; c < inputs; c += NR)
            for (int64_t run = 0; run < runs; run++)
                input_run(a, plane_of(a, g, 0, t), turned + c / NR * panel, run * pitch, count, c, out);
    }
}

#endif
