/* Spiking convolution of stride 1 with LIF neurons and a pool behind it, forward; the same neurons over given currents.

     I[y, x, :] = bias + sum of weight[ky, kx, c, :] over the active inputs c at (y + ky - padding, x + kx - padding)
     pooled     = OR of the spikes in a window of 2 x 2 sites

   A window of packed inputs is one list of active rows of weight[kernel * kernel * inputs][features], gathered as in
   gather.h; a window of at most 32 inputs is the index into tables of sums instead. Work is done for one sample, a band
   of its rows over all T and a tile of WIDTH channels: currents are scanned where they were summed, and a band holds
   whole windows of the pool. */
#ifndef LEANSPIKE_CONV_H
#define LEANSPIKE_CONV_H

#include "windows.h"

static int64_t band_rows(const conv_args *a) {
    int64_t most = BAND_SITES / (a->lif.steps * a->out_columns);
    return MIN(a->out_rows, MAX(1, most / a->pool) * a->pool);
}

/* `image`: what lists are made of, or NULL where none are needed. */
static band open_band(const conv_args *a, int64_t sample, int64_t first, const uint32_t *image) {
    band s = {.a = a, .sample = sample, .first = first, .live = MIN(band_rows(a), a->out_rows - first)};
    s.sites = s.live * a->out_columns;
    s.count = s.sites * a->lif.steps;
    if (image && small(a)) put_windows(&s, image);
    else if (image) list_windows(&s, image);
    return s;
}

static int tile_live(const conv_args *a, int64_t tile) { return (int)MIN(WIDTH, a->lif.features - tile * WIDTH); }

/* Where the band's first site stands at step t in a tensor [T, B, out_rows, out_columns]. */
static int64_t band_at(const band *s, int64_t t) {
    return (t * s->a->lif.batch + s->sample) * out_sites(s->a) + s->first * s->a->out_columns;
}

/* The same in a tensor that is pooled. */
static int64_t pooled_at(const band *s, int64_t t) {
    int64_t rows = s->a->out_rows / s->a->pool, columns = s->a->out_columns / s->a->pool;
    return ((t * s->a->lif.batch + s->sample) * rows + s->first / s->a->pool) * columns;
}

/* Sums of a tile's weight rows for every pattern of TABLE_BITS inputs, the bias in the first table:
   [tables][1 << TABLE_BITS][WIDTH]. */
static void fill_tables(const conv_args *a, int64_t tile, float *table) {
    int64_t taps = taps_of(a), features = a->lif.features;
    int live = tile_live(a, tile);
    for (int64_t from = 0; from < taps; from += TABLE_BITS, table += WIDTH << TABLE_BITS) {
        memset(table, 0, WIDTH * 4);
        if (!from && a->lif.bias) store_tile(a->lif.bias + tile * WIDTH, live, table);
        for (uint32_t m = 1; m < 1u << MIN(TABLE_BITS, taps - from); m++) {
            float row[WIDTH];
            load_tile(a->lif.weight + (from + __builtin_ctz(m)) * features + tile * WIDTH, live, row);
            for (int j = 0; j < WIDTH; j++) table[m * WIDTH + j] = table[(m & (m - 1)) * WIDTH + j] + row[j];
        }
    }
}

/* What currents are summed from: tables [tiles][tables][1 << TABLE_BITS][WIDTH], or rows [tiles][taps][WIDTH]. */
static float *pack_weights(const conv_args *a) {
    if (!a->lif.weight) return NULL;
    if (small(a)) {
        int64_t size = tables_of(a) * (WIDTH << TABLE_BITS);
        float *tables = aligned_alloc(64, (size_t)(tiles_of(&a->lif) * size) * 4);
        for (int64_t tile = 0; tile < tiles_of(&a->lif); tile++) fill_tables(a, tile, tables + tile * size);
        return tables;
    }
    int64_t taps = taps_of(a), tiles = tiles_of(&a->lif);
    float *packed = aligned_alloc(64, (size_t)(tiles * taps * WIDTH) * 4);
    for (int64_t tile = 0; tile < tiles; tile++)
        pack_block(a->lif.weight + tile * WIDTH, a->lif.features, taps, tile_live(a, tile),
                   packed + tile * taps * WIDTH);
    return packed;
}

static void look_up(const band *s, const float *tables, float *u) {
    for (int64_t from = 0; from < taps_of(s->a); from += TABLE_BITS, tables += WIDTH << TABLE_BITS)
        for (int64_t r = 0; r < s->count; r++) {
            const float *row = tables + (s->windows[r] >> from & ((1 << TABLE_BITS) - 1)) * WIDTH;
            UNROLL for (int l = 0; l < WIDTH; l += VF) {
                vf x = vload(row + l);
                vstore(u + r * WIDTH + l, from ? x + vload(u + r * WIDTH + l) : x);
            }
        }
}

/* Currents of a tile: u[T][sites][WIDTH]. */
static void band_currents(const band *s, int64_t tile, const float *weights, float *u) {
    const lif_args *l = &s->a->lif;
    int live = tile_live(s->a, tile);
    if (l->current) {
        for (int64_t t = 0; t < l->steps; t++) {
            int64_t at = band_at(s, l->current_step ? t : 0);
            const float *from = l->current + at * l->features + tile * WIDTH;
            for (int64_t i = 0; i < s->sites; i++, u += WIDTH) load_tile(from + i * l->features, live, u);
        }
        return;
    }
    if (small(s->a)) {
        look_up(s, weights + tile * tables_of(s->a) * (WIDTH << TABLE_BITS), u);
        return;
    }
    float bias[WIDTH] = {0};
    if (l->bias) memcpy(bias, l->bias + tile * WIDTH, (size_t)live * 4);
    for (int64_t k = 0; k < s->lists.blocks; k++)
        sum_block(&s->lists, k, weights + (tile * taps_of(s->a) + k * BLOCK) * WIDTH, k ? u : bias, k ? WIDTH : 0, u);
}

/* beta, then theta of a tile for every site of a row; channels beyond the layer never fire. */
static const float *row_neurons(const conv_args *a, int64_t tile) {
    int64_t row = a->out_columns * WIDTH;
    float *beta = scratch(C_NEURON, 2 * row), *theta = beta + row;
    int live = tile_live(a, tile);
    for (int64_t i = 0; i < row; i += WIDTH)
        for (int j = 0; j < WIDTH; j++) {
            beta[i + j] = j < live ? a->lif.beta[tile * WIDTH + j] : 0.0f;
            theta[i + j] = j < live ? a->lif.theta[tile * WIDTH + j] : 1e30f;
        }
    return beta;
}

static void band_scan(const band *s, float *u, const float *beta) {
    int64_t row = s->a->out_columns * WIDTH, zero_reset = s->a->lif.zero_reset;
    float *v = scratch(C_CARRIED, s->live * row);
    memset(v, 0, (size_t)(s->live * row) * 4);
    for (int64_t t = 0; t < s->a->lif.steps; t++)
        for (int64_t r = 0; r < s->live; r++, u += row)
            lif_row(u, v + r * row, beta, beta + row, row, (int)zero_reset, u);
}

/* Half a word a site; the upper half of the last word belongs to no tile where their number is odd. */
static inline void put_halves(const lif_args *l, uint32_t *bits, int64_t at, int64_t tile, int64_t sites,
                              const uint16_t *halves) {
    uint16_t *out = (uint16_t *)(bits + at * l->out_words) + tile;
    int alone = tile % 2 == 0 && tile == tiles_of(l) - 1;
    for (int64_t i = 0; i < sites; i++, out += 2 * l->out_words) {
        out[0] = halves[i];
        if (alone) out[1] = 0;
    }
}

/* Spikes of a tile, and what its pool passes on. */
static void band_emit(const band *s, int64_t tile, const float *u, const float *theta) {
    const conv_args *a = s->a;
    int64_t wide = a->out_columns;
    uint16_t spikes[s->sites], pooled[s->sites];
    for (int64_t t = 0; t < a->lif.steps; t++) {
        for (int64_t i = 0; i < s->sites; i++, u += WIDTH) spikes[i] = (uint16_t)word_ge(u, theta, WIDTH);
        put_halves(&a->lif, a->lif.out_bits, band_at(s, t), tile, s->sites, spikes);
        if (!a->pooled_bits) continue;
        int64_t windows = 0;
        for (int64_t y = 0; y + 1 < s->live; y += 2)
            for (const uint16_t *w = spikes + y * wide, *end = w + wide; w + 1 < end; w += 2)
                pooled[windows++] = w[0] | w[1] | w[wide] | w[wide + 1];
        put_halves(&a->lif, a->pooled_bits, pooled_at(s, t), tile, windows, pooled);
    }
}

/* Where a tile's potentials of a band [T][sites][WIDTH] are kept for backward. */
static float *band_kept(const band *s, int64_t tile) {
    const lif_args *l = &s->a->lif;
    int64_t before = (s->sample * tiles_of(l) + tile) * out_sites(s->a) + s->first * s->a->out_columns;
    return l->potential + before * l->steps * WIDTH;
}

static void band_forward(const band *s, int64_t tile, const float *weights) {
    const lif_args *l = &s->a->lif;
    float *u = l->potential ? band_kept(s, tile) : scratch(C_POTENTIAL, s->count * WIDTH);
    band_currents(s, tile, weights, u);
    if (l->beta) {
        const float *beta = row_neurons(s->a, tile);
        band_scan(s, u, beta);
        band_emit(s, tile, u, beta + s->a->out_columns * WIDTH);
        return;
    }
    for (int64_t t = 0; t < l->steps; t++)
        for (int64_t i = 0; i < s->sites; i++, u += WIDTH)
            store_tile(u, tile_live(s->a, tile), l->shown + (band_at(s, t) + i) * l->features + tile * WIDTH);
}

EXPORT void leanspike_conv_forward(const conv_args *a) {
    float *weights = pack_weights(a);
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->lif.threads)
    for (int64_t sample = 0; sample < a->lif.batch; sample++) {
        const uint32_t *image = a->lif.bits ? padded_image(a, sample) : NULL;
        for (int64_t first = 0; first < a->out_rows; first += band_rows(a)) {
            band s = open_band(a, sample, first, image);
            for (int64_t tile = 0; tile < tiles_of(&a->lif); tile++) band_forward(&s, tile, weights);
            free_lists(&s.lists);
        }
    }
    free(weights);
}

#endif
