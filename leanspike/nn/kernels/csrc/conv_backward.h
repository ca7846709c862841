/* Backward of conv.h. With k[y, x, :] the gradient of the currents, zero outside of the image:

     ds[site]            = gradient of the pooled spike at the first site of the window with its maximum, else 0
     dW[ky, kx, c, :]    = sum of k[y - ky + padding, x - kx + padding, :] over the active inputs c at (y, x)
     d_input[y, x, c]    = sum over ky, kx of <weight[ky, kx, c, :], k[y - ky + padding, x - kx + padding, :]>

   k stands in images of (rows + kernel - 1) x (columns + kernel - 1) sites, so that input (y, x) meets tap (ky, kx) at
   site (y + kernel - 1 - ky, x + kernel - 1 - kx): one list of active positions a channel serves all taps. Samples are
   shared out in fixed parts with sums of their own: results do not depend on the number of threads. */
#ifndef LEANSPIKE_CONV_BACKWARD_H
#define LEANSPIKE_CONV_BACKWARD_H

#include "conv.h"
#include "gemm.h"

#define PARTS 8
#define PART_BYTES (1 << 22)
#define LIST_SITES 400

/* Rows of a tile's sums behind those of the weights. */
enum { SUM_BIAS, SUM_BETA, SUM_THETA, SUMS_MORE };

static int64_t sum_rows(const conv_args *a) { return taps_of(a) + SUMS_MORE; }
static int64_t plane_pitch(const conv_args *a) { return a->columns + a->kernel - 1; }
static int64_t plane_sites(const conv_args *a) { return (a->rows + a->kernel - 1) * plane_pitch(a); }

/* Step t of a tile's gradient images. */
static float *plane_of(const conv_args *a, float *g, int64_t tile, int64_t t) {
    return g + (tile * a->lif.steps + t) * plane_sites(a) * WIDTH;
}

static inline void add_row(float *sum, const float *row, int64_t sites) {
    vf s[LANES];
    UNROLL for (int l = 0; l < LANES; l++) s[l] = vset(0);
    for (int64_t i = 0; i < sites; i++) UNROLL for (int l = 0; l < LANES; l++) s[l] += vload(row + i * WIDTH + l * VF);
    UNROLL for (int l = 0; l < LANES; l++) vstore(sum + l * VF, vload(sum + l * VF) + s[l]);
}

/* Add what arrives at a window of 2 x 2 pooled spikes, u pointing at its first site, to the window's gradients. */
static inline void unpool(const float *restrict u, const float *restrict theta, int64_t down, const float *restrict grad,
                          float *restrict ds) {
    const float *b = u + WIDTH, *c = u + down, *d = c + WIDTH;
    for (int j = 0; j < WIDTH; j++) {
        int s0 = u[j] >= theta[j], s1 = b[j] >= theta[j], s2 = c[j] >= theta[j], s3 = d[j] >= theta[j];
        ds[j] += s0 | !(s1 | s2 | s3) ? grad[j] : 0.0f;
        ds[WIDTH + j] += s1 & !s0 ? grad[j] : 0.0f;
        ds[down + j] += s2 & !(s0 | s1) ? grad[j] : 0.0f;
        ds[down + WIDTH + j] += s3 & !(s0 | s1 | s2) ? grad[j] : 0.0f;
    }
}

/* Gradients that arrive at the band's spikes of one step: ds[sites][WIDTH]. */
static void band_arriving(const band *s, int64_t tile, int64_t t, const float *u, const float *theta, float *ds) {
    const conv_args *a = s->a;
    const lif_args *l = &a->lif;
    int live = tile_live(a, tile);
    int64_t across = a->out_columns / 2;
    for (int64_t i = 0; i < s->sites; i++)
        if (l->grad_spikes) load_tile(l->grad_spikes + (band_at(s, t) + i) * l->features + tile * WIDTH, live, ds + i * WIDTH);
        else
            for (int j = 0; j < WIDTH; j++) ds[i * WIDTH + j] = j < live ? (float)a->grad_same : 0.0f;
    if (!a->grad_pooled) return;
    for (int64_t i = 0; i < s->live / 2 * across; i++) {
        int64_t at = (i / across * a->out_columns + i % across) * 2 * WIDTH;
        float grad[WIDTH];
        load_tile(a->grad_pooled + (pooled_at(s, t) + i) * l->features + tile * WIDTH, live, grad);
        unpool(u + at, theta, a->out_columns * WIDTH, grad, ds + at);
    }
}

/* A row's share of the gradients of beta and theta. */
static void row_learn(const lif_args *l, const float *u, const float *before, const float *k, const float *through,
                      const float *carried, const float *theta, int64_t sites, float *sums) {
    float beta[WIDTH] = {0}, threshold[WIDTH] = {0};
    for (int64_t e = 0; e < sites * WIDTH; e++) {
        float v = before ? before[e] : 0.0f;
        if (v >= theta[e]) v = l->zero_reset ? 0.0f : v - theta[e];
        beta[e % WIDTH] += k[e] * v;
        threshold[e % WIDTH] -= through[e] + (!l->zero_reset && u[e] >= theta[e] ? carried[e] : 0.0f);
    }
    add_row(sums + SUM_BETA * WIDTH, beta, 1);
    add_row(sums + SUM_THETA * WIDTH, threshold, 1);
}

/* A row of k goes to grad_current; where that is constant in time, steps add up. */
static void put_row(const band *s, int64_t tile, int64_t t, int64_t row, const float *k) {
    const lif_args *l = &s->a->lif;
    int live = tile_live(s->a, tile), add = !l->current_step && t < l->steps - 1;
    int64_t at = band_at(s, l->current_step ? t : 0) + row * s->a->out_columns;
    for (int64_t i = 0; i < s->a->out_columns; i++, k += WIDTH) {
        float *out = l->grad_current + (at + i) * l->features + tile * WIDTH;
        if (!add) store_tile(k, live, out);
        else
            for (int j = 0; j < live; j++) out[j] += k[j];
    }
}

/* Scan a tile of the band back in time; k goes to the gradient images g, or to grad_current. */
static void band_back(const band *s, int64_t tile, const float *u, float *g, float *sums) {
    const conv_args *a = s->a;
    const lif_args *l = &a->lif;
    int64_t n = s->sites * WIDTH, row = a->out_columns * WIDTH, edge = a->kernel - 1 - a->padding;
    const float *beta = band_neurons(s, tile), *theta = beta + n;
    float *dv = scratch(C_CARRIED, 2 * n + 4 * row), *ds = dv + n, *none = ds + n, *through = none + row;
    float *carried = through + row, *spare = carried + row;
    memset(dv, 0, (size_t)n * 4);
    memset(none, 0, (size_t)row * 4);
    for (int64_t t = l->steps - 1; t >= 0; t--) {
        band_arriving(s, tile, t, u + t * n, theta, ds);
        for (int64_t r = 0; r < s->live; r++) {
            int64_t at = r * row;
            float *k = g ? plane_of(a, g, tile, t) + ((s->first + r + edge) * plane_pitch(a) + edge) * WIDTH : spare;
            if (l->grad_beta) memcpy(carried, dv + at, (size_t)row * 4);
            back_step(l, u + t * n + at, ds + at, none, beta + at, theta + at, row, dv + at, k,
                      l->grad_beta ? through : NULL);
            if (l->grad_beta)
                row_learn(l, u + t * n + at, t ? u + (t - 1) * n + at : NULL, k, through, carried, theta + at,
                          a->out_columns, sums);
            if (l->grad_bias) add_row(sums + SUM_BIAS * WIDTH, k, a->out_columns);
            if (l->grad_current) put_row(s, tile, t, r, k);
        }
    }
}

/* Where nothing fires, k is what arrives. */
static void band_load(const band *s, int64_t tile, float *g, float *sums) {
    const conv_args *a = s->a;
    int64_t edge = a->kernel - 1 - a->padding, live = tile_live(a, tile);
    for (int64_t t = 0; t < a->lif.steps; t++)
        for (int64_t r = 0; r < s->live; r++) {
            const float *from = a->lif.grad_potential + (band_at(s, t) + r * a->out_columns) * a->lif.features + tile * WIDTH;
            float *k = plane_of(a, g, tile, t) + ((s->first + r + edge) * plane_pitch(a) + edge) * WIDTH;
            for (int64_t i = 0; i < a->out_columns; i++) load_tile(from + i * a->lif.features, (int)live, k + i * WIDTH);
            if (a->lif.grad_bias) add_row(sums + SUM_BIAS * WIDTH, k, a->out_columns);
        }
}

static void band_backward(const band *s, int64_t tile, const float *weights, float *g, float *sums) {
    if (!s->a->lif.beta) {
        band_load(s, tile, g, sums);
        return;
    }
    float *u = s->a->lif.potential ? band_kept(s, tile) : scratch(C_POTENTIAL, s->count * WIDTH);
    if (!s->a->lif.potential) {
        band_currents(s, tile, weights, u);
        band_scan(s, u, band_neurons(s, tile));
    }
    band_back(s, tile, u, g, sums);
}

/* Active positions of every channel in the images of steps from .. to, as offsets into their gradient images. */
static void list_positions(const conv_args *a, int64_t sample, int64_t from, int64_t to, int64_t room, int32_t *length,
                           int32_t *entry) {
    memset(length, 0, (size_t)a->lif.inputs * 4);
    for (int64_t t = from; t < to; t++)
        for (int64_t y = 0; y < a->rows; y++) {
            const uint32_t *words = a->lif.bits + ((t * a->lif.batch + sample) * a->rows + y) * a->columns * a->lif.words;
            int64_t row = (t - from) * plane_sites(a) + y * plane_pitch(a);
            for (int64_t i = 0; i < a->columns * a->lif.words; i++)
                for (uint32_t word = words[i]; word; word &= word - 1) {
                    int64_t c = i % a->lif.words * 32 + __builtin_ctz(word);
                    entry[c * room + length[c]++] = (int32_t)((row + i / a->lif.words) * WIDTH);
                }
        }
}

/* sum[side * side][apart] += the sites that the entries and taps choose, for taps next to each other. */
static inline __attribute__((always_inline)) void add_sites(const float *restrict g, int64_t pitch,
                                                            const int32_t *restrict entry, int64_t length, int side,
                                                            float *restrict sum, int64_t apart) {
    UNROLL for (int l = 0; l < LANES; l++) {
        vf s[9];
        UNROLL for (int i = 0; i < side * side; i++) s[i] = vload(sum + i * apart + l * VF);
        for (int64_t e = 0; e < length; e++) {
            const float *at = g + entry[e] + l * VF;
            UNROLL for (int i = 0; i < side * side; i++)
                s[i] += vload(at + (side - 1 - i / side) * pitch + (side - 1 - i % side) * WIDTH);
        }
        UNROLL for (int i = 0; i < side * side; i++) vstore(sum + i * apart + l * VF, s[i]);
    }
}

/* Add a channel's share of a tile's weight gradient. */
static void add_channel(const conv_args *a, const float *g, const int32_t *entry, int64_t length, float *sum) {
    int64_t pitch = plane_pitch(a) * WIDTH, apart = a->lif.inputs * WIDTH, k = a->kernel;
    if (k == 3) {
        add_sites(g, pitch, entry, length, 3, sum, apart);
        return;
    }
    for (int64_t i = 0; i < k * k; i++)
        add_sites(g + (k - 1 - i / k) * pitch + (k - 1 - i % k) * WIDTH, pitch, entry, length, 1, sum + i * apart, apart);
}

static void sample_weights(const conv_args *a, int64_t sample, float *g, float *sums) {
    int64_t chunk = MAX(1, LIST_SITES / plane_sites(a)), room = chunk * a->rows * a->columns;
    int32_t *length = (int32_t *)scratch(C_LIST, a->lif.inputs * (room + 1)), *entry = length + a->lif.inputs;
    for (int64_t t = 0; t < a->lif.steps; t += chunk) {
        list_positions(a, sample, t, MIN(t + chunk, a->lif.steps), room, length, entry);
        for (int64_t tile = 0; tile < tiles_of(&a->lif); tile++)
            for (int64_t c = 0; c < a->lif.inputs; c++)
                if (length[c])
                    add_channel(a, plane_of(a, g, tile, t), entry + c * room, length[c],
                                sums + (tile * sum_rows(a) + c) * WIDTH);
    }
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

/* out[sites][NR]: `sites` neighbours of a row, the first of which meets the last tap at g. */
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

/* As many sites of a row as one register tile holds, or fewer. Returns how many. */
static int64_t some_sites(const conv_args *a, const float *g, const float *turned, int64_t left, float *out) {
    enum { HALF = MR / 2, FEW = MR / 4 };
    if (left >= MR) return input_sites(a, g, turned, MR, out), MR;
    if (left >= HALF) return input_sites(a, g, turned, HALF, out), HALF;
    if (left >= FEW) return input_sites(a, g, turned, FEW, out), FEW;
    return input_sites(a, g, turned, 1, out), 1;
}

static void sample_input(const conv_args *a, int64_t sample, float *g, const float *turned) {
    int64_t inputs = a->lif.inputs, panel = tiles_of(&a->lif) * a->kernel * a->kernel * WIDTH * NR;
    float block[MR * NR];
    for (int64_t r = 0; r < a->lif.steps * a->rows; r++) {
        int64_t t = r / a->rows, y = r % a->rows;
        const float *at = plane_of(a, g, 0, t) + y * plane_pitch(a) * WIDTH;
        float *out = a->grad_input + ((t * a->lif.batch + sample) * a->rows + y) * a->columns * inputs;
        for (int64_t c = 0; c < inputs; c += NR)
            for (int64_t x = 0, done; x < a->columns; x += done) {
                done = some_sites(a, at + x * WIDTH, turned + c / NR * panel, a->columns - x, block);
                for (int64_t i = 0; i < done; i++)
                    memcpy(out + (x + i) * inputs + c, block + i * NR, (size_t)MIN(NR, inputs - c) * 4);
            }
    }
}

/* All gradients of one sample; those of weights and neurons are added to its part's sums [tiles][sum_rows][WIDTH]. */
static void sample_backward(const conv_args *a, int64_t sample, const float *weights, const float *turned, float *g,
                            float *sums) {
    int again = a->lif.bits && a->lif.beta && !a->lif.potential;
    const uint32_t *image = again ? padded_image(a, sample) : NULL;
    for (int64_t first = 0; first < a->out_rows; first += band_rows(a)) {
        band s = open_band(a, sample, first, image);
        for (int64_t tile = 0; tile < tiles_of(&a->lif); tile++)
            band_backward(&s, tile, weights, g, sums + (tile * sum_rows(a) + taps_of(a)) * WIDTH);
        free_lists(&s.lists);
    }
    if (!g) return;
    sample_weights(a, sample, g, sums);
    if (turned) sample_input(a, sample, g, turned);
}

/* Add up the parts' sums into the gradients. */
static void add_parts(const conv_args *a, int64_t parts, const float *sums) {
    int64_t taps = taps_of(a), features = a->lif.features, size = tiles_of(&a->lif) * sum_rows(a) * WIDTH;
    for (int64_t row = 0; row < sum_rows(a); row++) {
        float *more[SUMS_MORE] = {a->lif.grad_bias, a->lif.grad_beta, a->lif.grad_theta};
        float *out = row < taps ? a->lif.grad_weight + row * features : more[row - taps];
        for (int64_t j = 0; out && j < features; j++) {
            const float *sum = sums + (j / WIDTH * sum_rows(a) + row) * WIDTH + j % WIDTH;
            out[j] = 0;
            for (int64_t p = 0; p < parts; p++) out[j] += sum[p * size];
        }
    }
}

EXPORT void leanspike_conv_backward(const conv_args *a) {
    int64_t tiles = tiles_of(&a->lif), size = tiles * sum_rows(a) * WIDTH, images = tiles * a->lif.steps * plane_sites(a);
    int64_t parts = MIN(a->lif.batch, MAX(2, MIN(PARTS, PART_BYTES / (size * 4))));
    float *weights = pack_weights(a), *turned = turn_weights(a), *sums = calloc((size_t)(parts * size), 4);
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->lif.threads)
    for (int64_t part = 0; part < parts; part++) {
        float *g = a->lif.bits ? scratch(C_GRADIENT, images * WIDTH) : NULL;
        if (g) memset(g, 0, (size_t)(images * WIDTH) * 4);
        for (int64_t sample = a->lif.batch * part / parts; sample < a->lif.batch * (part + 1) / parts; sample++)
            sample_backward(a, sample, weights, turned, g, sums + part * size);
    }
    add_parts(a, parts, sums);
    free(sums);
    free(turned);
    free(weights);
}

#endif
