/* Synapses and LIF neurons in one pass over packed spikes, forward and backward.

   The batch is cut into chunks of at most CHUNK_ROWS rows (a row: one step of one sample), so that scratch memory does
   not grow with T or the batch. In a chunk a thread owns tiles of WIDTH columns: it gathers their currents, scans
   them, and backward gathers their weight gradient, with no reduction between threads: results do not depend on the
   number of threads. */
#ifndef LEANSPIKE_SPIKING_H
#define LEANSPIKE_SPIKING_H

#include "gather.h"
#include "lif.h"

#define CHUNK_ROWS 4160

typedef struct {
    const lif_args *a;
    int64_t first, live, rows;  /* samples first .. first + live; rows = T * live, row = t * live + i */
    row_lists by_row;           /* active inputs of each row */
} chunk;

static int64_t tiles_of(const lif_args *a) { return (a->features + WIDTH - 1) / WIDTH; }

/* A layer of few tiles is shared among threads by chunks of samples instead of by tiles. What decides is the layer and
   the batch, never the number of threads. */
#define NARROW_TILES 4
#define NARROW_CHUNKS 8
static int narrow(const lif_args *a) { return tiles_of(a) <= NARROW_TILES; }

static int64_t chunk_samples(const lif_args *a) {
    int64_t samples = MAX(1, MIN(a->batch, CHUNK_ROWS / a->steps));
    return narrow(a) ? MIN(samples, (a->batch + NARROW_CHUNKS - 1) / NARROW_CHUNKS) : samples;
}

static const uint32_t **chunk_rows(const chunk *c) {
    const uint32_t **row = malloc((size_t)c->rows * sizeof *row);
    for (int64_t t = 0; t < c->a->steps; t++)
        for (int64_t i = 0; i < c->live; i++)
            row[t * c->live + i] = c->a->bits + (t * c->a->batch + c->first + i) * c->a->words;
    return row;
}

enum { S_BLOCK, S_POTENTIAL, S_CARRIED, S_GRADIENT, S_WEIGHT, S_NEURON };

/* Currents of a tile for every row of the chunk: out[rows][WIDTH]. */
static void tile_currents(const chunk *c, int64_t from, int live, float *out) {
    const lif_args *a = c->a;
    const row_lists *l = &c->by_row;
    float bias[WIDTH] = {0}, *block = scratch(S_BLOCK, BLOCK_FLOATS);
    if (a->bias) memcpy(bias, a->bias + from, (size_t)live * 4);
    for (int64_t k = 0; k < l->blocks; k++) {
        const int32_t *start = l->start + k * (l->count + 1);
        pack_block(a->weight + k * BLOCK * a->features + from, a->features, MIN(BLOCK, a->inputs - k * BLOCK), live,
                   block);
        for (int64_t r = 0; r < c->rows; r++)
            sum_rows(block, l->index + start[r], start[r + 1] - start[r], k ? out + r * WIDTH : bias, out + r * WIDTH);
    }
}

static inline void load_tile(const float *x, int live, float *out) {
    if (live == WIDTH) memcpy(out, x, WIDTH * 4);
    else
        for (int j = 0; j < WIDTH; j++) out[j] = j < live ? x[j] : 0.0f;
}

static inline void store_tile(const float *x, int live, float *out) {
    if (live == WIDTH) memcpy(out, x, WIDTH * 4);
    else
        for (int j = 0; j < live; j++) out[j] = x[j];
}

/* beta and theta of a tile, repeated for every sample of the chunk; columns beyond the layer never fire. */
static void tile_neurons(const chunk *c, int64_t from, int live, float **beta, float **theta) {
    int64_t n = c->live * WIDTH;
    *beta = scratch(S_NEURON, 2 * n);
    *theta = *beta + n;
    for (int64_t i = 0; i < n; i++) {
        int j = (int)(i % WIDTH);
        (*beta)[i] = j < live ? c->a->beta[from + j] : 0.0f;
        (*theta)[i] = j < live ? c->a->theta[from + j] : 1e30f;
    }
}

/* Scan the currents in place into potentials. */
static void tile_scan(const chunk *c, float *u, const float *beta, const float *theta) {
    int64_t n = c->live * WIDTH;
    float *v = scratch(S_CARRIED, n);
    memset(v, 0, (size_t)n * 4);
    for (int64_t t = 0; t < c->a->steps; t++) lif_row(u + t * n, v, beta, theta, n, (int)c->a->zero_reset, u + t * n);
}

/* Spikes, and potentials that are shown, of a tile go where the arguments ask. */
static void tile_emit(const chunk *c, int64_t from, int live, const float *u, const float *theta) {
    const lif_args *a = c->a;
    for (int64_t t = 0; t < a->steps; t++)
        for (int64_t i = 0; i < c->live; i++, u += WIDTH) {
            int64_t at = t * a->batch + c->first + i;
            if (a->out_bits)
                ((uint16_t *)(a->out_bits + at * a->out_words))[from / WIDTH] = (uint16_t)word_ge(u, theta, WIDTH);
            if (a->shown) store_tile(u, live, a->shown + at * a->features + from);
            if (a->spikes)
                for (int j = 0; j < live; j++) a->spikes[at * a->features + from + j] = u[j] >= theta[j] ? 1.0f : 0.0f;
        }
}

/* Where a tile's potentials [rows][WIDTH] are kept for backward: chunk by chunk, tile by tile. */
static float *tile_kept(const chunk *c, int64_t tile) {
    return c->a->potential + (c->first * c->a->steps * tiles_of(c->a) + tile * c->rows) * WIDTH;
}

static chunk open_chunk(const lif_args *a, int64_t first, int64_t samples) {
    chunk c = {a, first, MIN(samples, a->batch - first), 0, {0, 0, 0, 0}};
    c.rows = c.live * a->steps;
    return c;
}

static void tile_forward(const chunk *c, int64_t tile) {
    const lif_args *a = c->a;
    int64_t from = tile * WIDTH;
    int live = (int)MIN(WIDTH, a->features - from);
    float *u = a->potential ? tile_kept(c, tile) : scratch(S_POTENTIAL, c->rows * WIDTH), *beta, *theta;
    tile_neurons(c, from, live, &beta, &theta);
    tile_currents(c, from, live, u);
    tile_scan(c, u, beta, theta);
    tile_emit(c, from, live, u, theta);
}

static void chunk_forward(const lif_args *a, int64_t first, int64_t samples, int64_t threads) {
    chunk c = open_chunk(a, first, samples);
    const uint32_t **row = chunk_rows(&c);
    c.by_row = lists_by_row(row, c.rows, a->words, threads);
    free(row);
    if (threads == 1)
        for (int64_t tile = 0; tile < tiles_of(a); tile++) tile_forward(&c, tile);
    else {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t tile = 0; tile < tiles_of(a); tile++) tile_forward(&c, tile);
    }
    free_lists(&c.by_row);
}

/* No parallel region may stand inside another one, not even inside one of a single thread: libgomp then starts new
   threads each time instead of waking those that wait, which takes milliseconds. */
EXPORT void leanspike_spiking_forward(const lif_args *a) {
    int64_t samples = chunk_samples(a);
    /* the upper half of the last word belongs to no tile where their number is odd */
    if (a->out_bits && tiles_of(a) % 2)
        for (int64_t r = 0; r < a->steps * a->batch; r++) a->out_bits[r * a->out_words + a->out_words - 1] = 0;
    if (narrow(a)) {
#pragma omp parallel for schedule(static) num_threads(a->threads)
        for (int64_t first = 0; first < a->batch; first += samples) chunk_forward(a, first, samples, 1);
    } else
        for (int64_t first = 0; first < a->batch; first += samples) chunk_forward(a, first, samples, a->threads);
}

/* The potentials of a tile, kept or computed again: [rows][WIDTH]. */
static const float *tile_potentials(const chunk *c, int64_t tile, int live, const float *beta, const float *theta) {
    if (c->a->potential) return tile_kept(c, tile);
    float *u = scratch(S_POTENTIAL, c->rows * WIDTH);
    tile_currents(c, tile * WIDTH, live, u);
    tile_scan(c, u, beta, theta);
    return u;
}

/* Gradients that arrive at one step of a tile: out[live][WIDTH]; zero where there are none. */
static void tile_arriving(const chunk *c, const float *grad, int64_t from, int live, float *out) {
    for (int64_t i = 0; i < c->live; i++)
        if (grad) load_tile(grad + (c->first + i) * c->a->features + from, live, out + i * WIDTH);
        else memset(out + i * WIDTH, 0, WIDTH * 4);
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
    memset(dv, 0, (size_t)n * 4);
    for (int64_t t = a->steps - 1; t >= 0; t--) {
        if (t == a->steps - 1 || a->grad_step)
            tile_arriving(c, a->grad_spikes ? a->grad_spikes + t * a->grad_step : NULL, from, live, ds);
        if (t == a->steps - 1 || a->grad_potential)
            tile_arriving(c, a->grad_potential ? a->grad_potential + t * frame : NULL, from, live, du);
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
static void tile_weights(const lif_args *a, const row_lists *by_column, int64_t rows, const float *k, float *d_weight,
                         float *d_bias) {
    float *block = scratch(S_BLOCK, BLOCK_FLOATS);
    for (int64_t b = 0; b < by_column->blocks; b++) {
        const int32_t *start = by_column->start + b * (by_column->count + 1);
        int64_t live = MIN(BLOCK, rows - b * BLOCK);
        pack_block(k + b * BLOCK * WIDTH, WIDTH, live, WIDTH, block);
        for (int64_t i = 0; i < a->inputs; i++)
            if (start[i + 1] > start[i])
                sum_rows(block, by_column->index + start[i], start[i + 1] - start[i], d_weight + i * WIDTH,
                         d_weight + i * WIDTH);
        vf sum[WIDTH / VF];
        UNROLL for (int l = 0; l < WIDTH / VF; l++) sum[l] = vload(d_bias + l * VF);
        for (int64_t r = 0; r < live; r++)
            UNROLL for (int l = 0; l < WIDTH / VF; l++) sum[l] += vload(block + r * WIDTH + l * VF);
        UNROLL for (int l = 0; l < WIDTH / VF; l++) vstore(d_bias + l * VF, sum[l]);
    }
}

/* A tile's gradients over one chunk; `sum`: [inputs + 1][WIDTH] weights and bias, added to. */
static void tile_gradients(const chunk *c, const row_lists *by_column, int64_t tile, float *sum) {
    const lif_args *a = c->a;
    int64_t from = tile * WIDTH;
    int live = (int)MIN(WIDTH, a->features - from);
    float *k = scratch(S_GRADIENT, c->rows * WIDTH), *beta, *theta;
    tile_neurons(c, from, live, &beta, &theta);
    const float *u = tile_potentials(c, tile, live, beta, theta);
    tile_back(c, from, live, u, beta, theta, k);
    tile_weights(a, by_column, c->rows, k, sum, sum + a->inputs * WIDTH);
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
static void tile_backward(const chunk *c, const row_lists *by_column, int64_t tile, float *partial) {
    int64_t size = (c->a->inputs + 1) * WIDTH;
    if (partial) {
        tile_gradients(c, by_column, tile, partial + tile * size);
        return;
    }
    float *sum = scratch(S_WEIGHT, size);
    memset(sum, 0, (size_t)size * 4);
    tile_gradients(c, by_column, tile, sum);
    tile_add(c->a, tile, sum);
}

static void chunk_backward(const lif_args *a, int64_t first, int64_t samples, int64_t threads, float *partial) {
    chunk c = open_chunk(a, first, samples);
    const uint32_t **row = chunk_rows(&c);
    row_lists by_column = lists_by_column(row, c.rows, a->words, threads);
    if (!a->potential) c.by_row = lists_by_row(row, c.rows, a->words, threads);
    free(row);
    if (threads == 1)
        for (int64_t tile = 0; tile < tiles_of(a); tile++) tile_backward(&c, &by_column, tile, partial);
    else {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
        for (int64_t tile = 0; tile < tiles_of(a); tile++) tile_backward(&c, &by_column, tile, partial);
    }
    free_lists(&by_column);
    free_lists(&c.by_row);
}

EXPORT void leanspike_spiking_backward(const lif_args *a) {
    int64_t tiles = tiles_of(a), samples = chunk_samples(a), size = (a->inputs + 1) * WIDTH * tiles;
    memset(a->grad_weight, 0, (size_t)(a->inputs * a->features) * 4);
    if (a->grad_bias) memset(a->grad_bias, 0, (size_t)a->features * 4);
    if (a->grad_beta) {
        memset(a->grad_beta, 0, (size_t)(a->batch * a->features) * 4);
        memset(a->grad_theta, 0, (size_t)(a->batch * a->features) * 4);
    }
    if (!narrow(a)) {
        for (int64_t first = 0; first < a->batch; first += samples) chunk_backward(a, first, samples, a->threads, NULL);
        return;
    }
    int64_t chunks = (a->batch + samples - 1) / samples;
    float *partial = calloc((size_t)(chunks * size), 4);
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t n = 0; n < chunks; n++) chunk_backward(a, n * samples, samples, 1, partial + n * size);
    for (int64_t n = 0; n < chunks; n++)
        for (int64_t tile = 0; tile < tiles; tile++)
            tile_add(a, tile, partial + n * size + tile * (a->inputs + 1) * WIDTH);
    free(partial);
}

#endif
