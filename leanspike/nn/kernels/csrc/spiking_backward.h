/* Backward of spiking.h: the potentials kept or gathered again, scanned back in time, and the weight gradient gathered by
   the transposed bits. The gradient of a hidden layer's spikes is never written: behind every step its tile is the
   product of the next layer's current gradient and synapses. */
#ifndef LEANSPIKE_SPIKING_BACKWARD_H
#define LEANSPIKE_SPIKING_BACKWARD_H

#include "spiking.h"

/* The potentials of a tile, kept or computed again: [rows][WIDTH]. */
static const float *tile_potentials(const chunk *c, int64_t tile, int live, const float *beta, const float *theta) {
    if (c->a->potential) return tile_kept(c, tile);
    float *u = scratch(S_POTENTIAL, c->rows * WIDTH);
    tile_currents(c, tile * WIDTH, live, u);
    tile_scan(c, u, beta, theta, u, tile * WIDTH, live, 0);
    return u;
}

/* Gradients that arrive at one step of a tile: out[live][WIDTH]; zero where there are none. */
static void tile_arriving(const chunk *c, const float *grad, int64_t from, int live, float *out) {
    for (int64_t i = 0; i < c->live; i++)
        if (grad) load_tile(grad + (c->first + i) * c->a->features + from, live, out + i * WIDTH);
        else memset(out + i * WIDTH, 0, WIDTH * 4);
}

/* A tile's weights to the layer behind: [next_features][WIDTH]. */
static const float *tile_next(const lif_args *a, int64_t from, int live) {
    float *w = scratch(S_NEXT, a->next_features * WIDTH);
    memset(w, 0, (size_t)(a->next_features * WIDTH) * 4);
    for (int j = 0; j < live; j++)
        for (int64_t k = 0; k < a->next_features; k++) w[k * WIDTH + j] = a->next_weight[(from + j) * a->next_features + k];
    return w;
}

enum { NEXT_ROWS = VF == 16 ? 8 : 4 };

/* out[rows][WIDTH] += grad[rows][n] w[n][WIDTH] */
static inline __attribute__((always_inline)) void next_rows(const float *restrict grad, int64_t n, const float *restrict w,
                                                            int rows, float *restrict out) {
    vf s[NEXT_ROWS][LANES];
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int l = 0; l < LANES; l++) s[i][l] = vload(out + i * WIDTH + l * VF);
    for (int64_t k = 0; k < n; k++, w += WIDTH)
        UNROLL for (int l = 0; l < LANES; l++) {
            vf row = vload(w + l * VF);
            UNROLL for (int i = 0; i < rows; i++) s[i][l] = vfma(vset(grad[i * n + k]), row, s[i][l]);
        }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int l = 0; l < LANES; l++) vstore(out + i * WIDTH + l * VF, s[i][l]);
}

/* Gradients of one step's spikes that come through the synapses behind, added to out[live][WIDTH]. */
static void tile_through_next(const chunk *c, int64_t t, const float *w, float *out) {
    const lif_args *a = c->a;
    int64_t n = a->next_features, i = 0;
    const float *grad = a->next_grad + (t * a->batch + c->first) * n;
    for (; i + NEXT_ROWS <= c->live; i += NEXT_ROWS) next_rows(grad + i * n, n, w, NEXT_ROWS, out + i * WIDTH);
    for (; i < c->live; i++) next_rows(grad + i * n, n, w, 1, out + i * WIDTH);
}

/* One step's share of the gradients of beta and theta. */
static void tile_learn(const chunk *c, int64_t from, int live, int64_t t, const float *u, const float *k,
                       const float *through, const float *carried, const float *theta) {
    const lif_args *a = c->a;
    int64_t n = c->live * WIDTH;
    for (int64_t i = 0; i < c->live; i++)
        for (int j = 0; j < live; j++) {
            int64_t e = i * WIDTH + j, sum = (c->first + i) * a->features + from + j;
            float before = t ? u[(t - 1) * n + e] : 0.0f, now = u[t * n + e];
            if (before >= theta[e]) before = a->zero_reset ? 0.0f : before - theta[e];
            a->grad_beta[sum] += k[e] * before;
            a->grad_theta[sum] -= through[e] + (!a->zero_reset && now >= theta[e] ? carried[e] : 0.0f);
        }
}

/* Scan back: k[rows][WIDTH] receives the gradient of the currents. */
static void tile_back(const chunk *c, int64_t from, int live, const float *u, const float *beta, const float *theta,
                      float *k) {
    const lif_args *a = c->a;
    int64_t n = c->live * WIDTH, frame = a->batch * a->features;
    float *dv = scratch(S_CARRIED, 5 * n), *ds = dv + n, *du = ds + n, *through = du + n, *carried = through + n;
    const float *next = a->next_grad ? tile_next(a, from, live) : NULL;
    memset(dv, 0, (size_t)n * 4);
    for (int64_t t = a->steps - 1; t >= 0; t--) {
        if (t == a->steps - 1 || a->grad_step || next)
            tile_arriving(c, a->grad_spikes ? a->grad_spikes + t * a->grad_step : NULL, from, live, ds);
        if (t == a->steps - 1 || a->grad_potential)
            tile_arriving(c, a->grad_potential ? a->grad_potential + t * frame : NULL, from, live, du);
        if (t) prefetch(u + (t - 1) * n, n);
        if (next) tile_through_next(c, t, next, ds);
        if (a->grad_beta) memcpy(carried, dv, (size_t)n * 4);
        back_step(a, u + t * n, ds, du, beta, theta, n, dv, k + t * n, a->grad_beta ? through : NULL);
        if (a->grad_beta) tile_learn(c, from, live, t, u, k + t * n, through, carried, theta);
        if (a->grad_current)
            for (int64_t i = 0; i < c->live; i++)
                store_tile(k + t * n + i * WIDTH, live,
                           a->grad_current + t * frame + (c->first + i) * a->features + from);
    }
}

/* Add the chunk's share of a tile's weight and bias gradient: d_weight[inputs][WIDTH], d_bias[WIDTH]. */
static void tile_weights(const chunk *c, const float *k, float *d_weight, float *d_bias) {
    for (int64_t b = 0; b < c->by_column.blocks; b++) {
        const float *block = k + b * BLOCK * WIDTH;
        sum_block(&c->by_column, b, block, d_weight, WIDTH, d_weight);
        vf sum[LANES];
        UNROLL for (int l = 0; l < LANES; l++) sum[l] = vload(d_bias + l * VF);
        for (int64_t r = 0; r < MIN(BLOCK, c->rows - b * BLOCK); r++)
            UNROLL for (int l = 0; l < LANES; l++) sum[l] += vload(block + r * WIDTH + l * VF);
        UNROLL for (int l = 0; l < LANES; l++) vstore(d_bias + l * VF, sum[l]);
    }
}

/* A tile's gradients over one chunk; `sum`: [inputs + 1][WIDTH] weights and bias, added to. */
static void tile_gradients(const chunk *c, int64_t tile, float *sum) {
    const lif_args *a = c->a;
    int64_t from = tile * WIDTH;
    int live = (int)MIN(WIDTH, a->features - from);
    float *k = scratch(S_GRADIENT, c->rows * WIDTH), *beta, *theta;
    tile_neurons(c, from, live, &beta, &theta);
    const float *u = tile_potentials(c, tile, live, beta, theta);
    tile_back(c, from, live, u, beta, theta, k);
    tile_weights(c, k, sum, sum + a->inputs * WIDTH);
}

/* Add a tile's sums to the gradients of weight and bias. */
static void tile_add(const lif_args *a, int64_t tile, const float *sum) {
    int64_t from = tile * WIDTH, live = MIN(WIDTH, a->features - from);
    for (int64_t i = 0; i <= a->inputs; i++) {
        float *out = i < a->inputs ? a->grad_weight + i * a->features + from : a->grad_bias ? a->grad_bias + from : NULL;
        if (out)
            for (int64_t j = 0; j < live; j++) out[j] += sum[i * WIDTH + j];
    }
}

/* One tile of a chunk; where chunks run side by side, each has its own `partial` sums. */
static void tile_backward(const chunk *c, int64_t tile, float *partial) {
    int64_t size = (c->a->inputs + 1) * WIDTH;
    if (partial) {
        tile_gradients(c, tile, partial + tile * size);
        return;
    }
    float *sum = scratch(S_WEIGHT, size);
    memset(sum, 0, (size_t)size * 4);
    tile_gradients(c, tile, sum);
    tile_add(c->a, tile, sum);
}

static void chunk_backward(chunk *c, float *partial, team t) {
    const lif_args *a = c->a;
    copy_bits(c, t);
    if (!a->potential) make_lists(&c->by_row, c->bits, c->rows, blocks_of(a->inputs), t);
    if (leads(t)) c->turned = malloc((size_t)(blocks_of(c->rows) * a->inputs * BLOCK_WORDS) * 4);
    meet(t);
    turn_bits(c->bits, c->rows, a->inputs, c->turned, t);
    meet(t);
    if (leads(t)) release(&c->bits);
    make_lists(&c->by_column, c->turned, a->inputs, blocks_of(c->rows), t);
    if (leads(t)) release(&c->turned);
    for (int64_t tile; (tile = take(&c->next)) < tiles_of(a);) tile_backward(c, tile, partial);
}

/* Adds to the gradients that are given. */
EXPORT void leanspike_spiking_backward(const lif_args *a) {
    int64_t tiles = tiles_of(a), samples = chunk_samples(a), size = (a->inputs + 1) * WIDTH;
    if (!narrow(a)) {
        for (int64_t first = 0; first < a->batch; first += samples) {
            chunk c = open_chunk(a, first, samples);
#pragma omp parallel num_threads(a->threads)
            chunk_backward(&c, NULL, everyone());
            close_chunk(&c);
        }
        return;
    }
    int64_t chunks = (a->batch + samples - 1) / samples;
    float *partial = calloc((size_t)(chunks * tiles * size), 4);
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t n = 0; n < chunks; n++) {
        chunk c = open_chunk(a, n * samples, samples);
        chunk_backward(&c, partial + n * tiles * size, ALONE);
        close_chunk(&c);
    }
    for (int64_t n = 0; n < chunks * tiles; n++) tile_add(a, n % tiles, partial + n * size);
    free(partial);
}

#endif
