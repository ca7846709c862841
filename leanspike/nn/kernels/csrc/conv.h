/* Spiking convolution of stride 1 with LIF neurons and a pool behind it, forward; the same neurons over given currents.

     I[y, x, :]      = bias + sum of weight[ky, kx, c, :] over the active inputs c at (y + ky - padding, x + kx - padding)
     pooled[y, x, :] = OR of the spikes in the window of pool x pool sites

   A window of packed inputs is one list of active rows of weight[kernel * kernel * inputs][features], gathered as in
   gather.h. A task is one sample, a band of its rows over all T and a tile of WIDTH channels: its currents are scanned
   where they were gathered, and a band holds whole windows of the pool. */
#ifndef LEANSPIKE_CONV_H
#define LEANSPIKE_CONV_H

#include "spiking.h"

#define BAND_SITES 1024

/* Of `lif`: features and inputs are channels; bits [T, B, rows, columns, words]; weight [kernel, kernel, inputs, F];
   instead of bits current [T, B, out_rows, out_columns, F]; potential in the kernel's own order; shown: the currents
   themselves, then beta is NULL and nothing fires; out_bits [T, B, out_rows, out_columns, out_words];
   grad_spikes and grad_current like current; grad_potential: gradient of the currents where nothing fires;
   grad_beta, grad_theta [F]. */
typedef struct {
    lif_args lif;
    int64_t rows, columns, kernel, padding, out_rows, out_columns;
    int64_t pool;             /* side of a window, 1: none */
    uint32_t *pooled_bits;    /* [T, B, out_rows / pool, out_columns / pool, out_words] or NULL */
    const float *grad_pooled; /* [T, B, out_rows / pool, out_columns / pool, F] or NULL */
    double grad_same;         /* a gradient that is the same for every spike */
    float *grad_input;        /* [T, B, rows, columns, inputs] or NULL */
} conv_args;

enum { C_IMAGE = S_NEXT + 1, C_WINDOW, C_POTENTIAL, C_NEURON, C_CARRIED, C_GRADIENT, C_LIST };

typedef struct {
    const conv_args *a;
    int64_t sample, first, live; /* rows first .. first + live of the image that leaves */
    int64_t sites, count;        /* sites of a step; T * sites */
    row_lists lists;
} band;

static int64_t taps_of(const conv_args *a) { return a->kernel * a->kernel * a->lif.inputs; }
static int64_t out_sites(const conv_args *a) { return a->out_rows * a->out_columns; }

/* A row of a window is one word where it fits; what stands together is called a unit. */
static int merges(const conv_args *a) { return a->kernel * a->lif.inputs <= 32; }
static int64_t unit_bits(const conv_args *a) { return merges(a) ? a->kernel * a->lif.inputs : a->lif.inputs; }
static int64_t units_a_row(const conv_args *a) { return merges(a) ? a->out_columns : a->columns + 2 * a->padding; }
static int64_t image_words(const conv_args *a) {
    return (a->rows + 2 * a->padding) * units_a_row(a) * (merges(a) ? 1 : a->lif.words);
}

static uint32_t merged_unit(const conv_args *a, const uint32_t *row, int64_t x) {
    uint32_t unit = 0;
    for (int64_t j = 0; j < a->kernel; j++) {
        int64_t from = x + j - a->padding;
        if (from >= 0 && from < a->columns) unit |= row[from] << (j * a->lif.inputs);
    }
    return unit;
}

/* One sample's words with zeros around every step's image: [T][rows + 2 padding][units][words]. */
static const uint32_t *padded_image(const conv_args *a, int64_t sample) {
    int64_t size = image_words(a), pitch = size / (a->rows + 2 * a->padding), words = a->lif.words;
    uint32_t *image = (uint32_t *)scratch(C_IMAGE, a->lif.steps * size);
    memset(image, 0, (size_t)(a->lif.steps * size) * 4);
    for (int64_t t = 0; t < a->lif.steps; t++)
        for (int64_t y = 0; y < a->rows; y++) {
            const uint32_t *row = a->lif.bits + ((t * a->lif.batch + sample) * a->rows + y) * a->columns * words;
            uint32_t *out = image + t * size + (y + a->padding) * pitch;
            if (merges(a))
                for (int64_t x = 0; x < a->out_columns; x++) out[x] = merged_unit(a, row, x);
            else memcpy(out + a->padding * words, row, (size_t)(a->columns * words) * 4);
        }
    return image;
}

/* The bits of a window without gaps, in the order of the weights' rows; `unit` is its first one. */
static inline void window_bits(const conv_args *a, const uint32_t *unit, int64_t pitch, uint32_t *out) {
    int64_t bits = unit_bits(a), words = merges(a) ? 1 : a->lif.words, units = merges(a) ? 1 : a->kernel;
    uint64_t held = 0;
    int64_t filled = 0;
    for (int64_t ky = 0; ky < a->kernel; ky++, unit += pitch)
        for (int64_t i = 0; i < units; i++)
            for (int64_t w = 0; w < words; w++) {
                held |= (uint64_t)unit[i * words + w] << filled;
                filled += MIN(32, bits - w * 32);
                if (filled >= 32) {
                    *out++ = (uint32_t)held;
                    held >>= 32;
                    filled -= 32;
                }
            }
    if (filled) *out = (uint32_t)held;
}

/* The windows of a band as lists. */
static void list_windows(band *s, const uint32_t *image) {
    const conv_args *a = s->a;
    int64_t blocks = blocks_of(taps_of(a)), size = image_words(a), pitch = size / (a->rows + 2 * a->padding);
    int64_t step = merges(a) ? 1 : a->lif.words;
    uint32_t *bits = (uint32_t *)scratch(C_WINDOW, blocks * (s->count + 1) * BLOCK_WORDS), *window = bits;
    memset(bits, 0, (size_t)(blocks * s->count * BLOCK_WORDS) * 4);
    if (blocks > 1) window = bits + blocks * s->count * BLOCK_WORDS;
    for (int64_t r = 0; r < s->count; r++) {
        int64_t t = r / s->sites, y = s->first + r % s->sites / a->out_columns, x = r % a->out_columns;
        const uint32_t *unit = image + t * size + y * pitch + x * step;
        if (blocks == 1) {
            window_bits(a, unit, pitch, bits + r * BLOCK_WORDS);
            continue;
        }
        memset(window, 0, (size_t)(blocks * BLOCK_WORDS) * 4);
        window_bits(a, unit, pitch, window);
        for (int64_t k = 0; k < blocks; k++)
            memcpy(bits + (k * s->count + r) * BLOCK_WORDS, window + k * BLOCK_WORDS, BLOCK_WORDS * 4);
    }
    make_lists(&s->lists, bits, s->count, blocks, ALONE);
}

static int64_t band_rows(const conv_args *a) {
    int64_t most = BAND_SITES / (a->lif.steps * a->out_columns);
    return MIN(a->out_rows, MAX(1, most / a->pool) * a->pool);
}

/* `image`: what lists are made of, or NULL where none are needed. */
static band open_band(const conv_args *a, int64_t sample, int64_t first, const uint32_t *image) {
    band s = {.a = a, .sample = sample, .first = first, .live = MIN(band_rows(a), a->out_rows - first)};
    s.sites = s.live * a->out_columns;
    s.count = s.sites * a->lif.steps;
    if (image) list_windows(&s, image);
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

/* Weights tile by tile: [tiles][taps][WIDTH]. */
static float *pack_weights(const conv_args *a) {
    if (!a->lif.weight) return NULL;
    int64_t taps = taps_of(a), tiles = tiles_of(&a->lif);
    float *packed = aligned_alloc(64, (size_t)(tiles * taps * WIDTH) * 4);
    for (int64_t tile = 0; tile < tiles; tile++)
        pack_block(a->lif.weight + tile * WIDTH, a->lif.features, taps, tile_live(a, tile), packed + tile * taps * WIDTH);
    return packed;
}

/* Currents of a tile: u[T][sites][WIDTH]. */
static void band_currents(const band *s, int64_t tile, const float *weights, float *u) {
    const lif_args *l = &s->a->lif;
    int live = tile_live(s->a, tile);
    if (l->current) {
        for (int64_t t = 0; t < l->steps; t++) {
            const float *from = l->current + (l->current_step ? band_at(s, t) : band_at(s, 0)) * l->features + tile * WIDTH;
            for (int64_t i = 0; i < s->sites; i++, u += WIDTH) load_tile(from + i * l->features, live, u);
        }
        return;
    }
    float bias[WIDTH] = {0};
    if (l->bias) memcpy(bias, l->bias + tile * WIDTH, (size_t)live * 4);
    for (int64_t k = 0; k < s->lists.blocks; k++)
        sum_block(&s->lists, k, weights + (tile * taps_of(s->a) + k * BLOCK) * WIDTH, k ? u : bias, k ? WIDTH : 0, u);
}

/* beta and theta of a tile for every site of the band; channels beyond the layer never fire. */
static const float *band_neurons(const band *s, int64_t tile) {
    const lif_args *l = &s->a->lif;
    int64_t n = s->sites * WIDTH;
    float *beta = scratch(C_NEURON, 2 * n), *theta = beta + n;
    int live = tile_live(s->a, tile);
    for (int64_t i = 0; i < n; i += WIDTH)
        for (int j = 0; j < WIDTH; j++) {
            beta[i + j] = j < live ? l->beta[tile * WIDTH + j] : 0.0f;
            theta[i + j] = j < live ? l->theta[tile * WIDTH + j] : 1e30f;
        }
    return beta;
}

static void band_scan(const band *s, float *u, const float *beta) {
    int64_t n = s->sites * WIDTH;
    float *v = scratch(C_CARRIED, n);
    memset(v, 0, (size_t)n * 4);
    for (int64_t t = 0; t < s->a->lif.steps; t++)
        lif_row(u + t * n, v, beta, beta + n, n, (int)s->a->lif.zero_reset, u + t * n);
}

/* Half a word; the upper half of the last word belongs to no tile where their number is odd. */
static inline void put_half(const lif_args *l, uint32_t *bits, int64_t at, int64_t tile, uint16_t half) {
    uint16_t *out = (uint16_t *)(bits + at * l->out_words) + tile;
    out[0] = half;
    if (tile % 2 == 0 && tile == tiles_of(l) - 1) out[1] = 0;
}

/* Spikes of a tile, and what its pool passes on. */
static void band_emit(const band *s, int64_t tile, const float *u, const float *theta) {
    const conv_args *a = s->a;
    int64_t across = a->out_columns / a->pool, wide = a->out_columns;
    uint16_t spikes[s->sites];
    for (int64_t t = 0; t < a->lif.steps; t++) {
        for (int64_t i = 0; i < s->sites; i++, u += WIDTH) {
            spikes[i] = (uint16_t)word_ge(u, theta, WIDTH);
            put_half(&a->lif, a->lif.out_bits, band_at(s, t) + i, tile, spikes[i]);
        }
        if (!a->pooled_bits) continue;
        for (int64_t i = 0; i < s->live / a->pool * across; i++) {
            const uint16_t *window = spikes + (i / across * wide + i % across) * a->pool;
            uint16_t any = 0;
            for (int64_t j = 0; j < a->pool * a->pool; j++) any |= window[j / a->pool * wide + j % a->pool];
            put_half(&a->lif, a->pooled_bits, pooled_at(s, t) + i, tile, any);
        }
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
        const float *beta = band_neurons(s, tile);
        band_scan(s, u, beta);
        band_emit(s, tile, u, beta + s->sites * WIDTH);
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
