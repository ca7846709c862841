/* Backward of conv.h. With k[y, x, :] the gradient of the currents, zero outside of the image:

     ds[site]            = gradient of the pooled spike at the first site of the window with its maximum, else 0
     dW[ky, kx, c, :]    = sum of k[y - ky + padding, x - kx + padding, :] over the active inputs c at (y, x)

   k stands in the images of conv_input.h, where one list of a channel's active positions serves all taps. Samples are
   shared out in fixed parts with sums of their own: results do not depend on the number of threads. */
#ifndef LEANSPIKE_CONV_BACKWARD_H
#define LEANSPIKE_CONV_BACKWARD_H

#include "conv_gates.h"

#define PARTS 8
#define PART_BYTES (1 << 22)
#define LIST_SITES 400

/* Rows of a tile's sums behind those of the weights. */
enum { SUM_BIAS, SUM_BETA, SUM_THETA, SUMS_MORE };

static int64_t sum_rows(const conv_args *a) { return taps_of(a) + SUMS_MORE; }

/* sum[WIDTH] += the rows of `sites` sites. */
static inline void add_row(float *sum, const float *row, int64_t sites) {
    vf s[LANES];
    UNROLL for (int l = 0; l < LANES; l++) s[l] = vset(0);
    for (int64_t i = 0; i < sites; i++) UNROLL for (int l = 0; l < LANES; l++) s[l] += vload(row + i * WIDTH + l * VF);
    UNROLL for (int l = 0; l < LANES; l++) vstore(sum + l * VF, vload(sum + l * VF) + s[l]);
}

/* Add what arrives at a window of 2 x 2 pooled spikes, u pointing at its first site, to the window's gradients. */
static inline void unpool(const float *u, const float *theta, int64_t down, const float *grad, float *ds) {
    UNROLL for (int l = 0; l < WIDTH; l += VF) {
        vf level = vload(theta + l);
        vi arriving = (vi)vload(grad + l), a = vload(u + l) >= level, b = vload(u + l + WIDTH) >= level;
        vi c = vload(u + l + down) >= level, d = vload(u + l + down + WIDTH) >= level;
        vi chosen[4] = {a | ~(b | c | d), b & ~a, c & ~(a | b), d & ~(a | b | c)};
        UNROLL for (int i = 0; i < 4; i++) {
            float *site = ds + l + i / 2 * down + i % 2 * WIDTH;
            vstore(site, vload(site) + (vf)(arriving & chosen[i]));
        }
    }
}

/* Gradients that arrive at the band's spikes of one step: ds[sites][WIDTH]. */
static void band_arriving(const band *s, int64_t tile, int64_t t, const float *u, const float *theta, float *ds) {
    const conv_args *a = s->a;
    const lif_args *l = &a->lif;
    int live = tile_live(a, tile);
    int64_t wide = a->out_columns * WIDTH;
    if (l->grad_spikes) {
        const float *from = l->grad_spikes + band_at(s, t) * l->features + tile * WIDTH;
        for (int64_t i = 0; i < s->sites; i++) load_tile(from + i * l->features, live, ds + i * WIDTH);
    } else
        for (int64_t e = 0; e < s->sites * WIDTH; e++) ds[e] = (float)a->grad_same;
    if (!a->grad_pooled) return;
    const float *from = a->grad_pooled + pooled_at(s, t) * l->features + tile * WIDTH;
    for (int64_t y = 0; y + 1 < s->live; y += 2)
        for (int64_t x = 0; x + 2 * WIDTH <= wide; x += 2 * WIDTH, from += l->features) {
            float part[WIDTH];
            if (live < WIDTH) load_tile(from, live, part);
            unpool(u + y * wide + x, theta, wide, live < WIDTH ? part : from, ds + y * wide + x);
        }
}

/* A row's share of the gradients of beta and theta. */
static void row_learn(const lif_args *l, const float *u, const float *before, const float *k, const float *through,
                      const float *carried, const float *theta, int64_t sites, float *sums) {
    vf beta[LANES], threshold[LANES];
    vi zero = (vi){0} - (l->zero_reset != 0);
    UNROLL for (int j = 0; j < LANES; j++) beta[j] = threshold[j] = vset(0);
    for (int64_t e = 0; e < sites * WIDTH; e += WIDTH)
        UNROLL for (int j = 0; j < LANES; j++) {
            int64_t at = e + j * VF;
            vf level = vload(theta + at), v = before ? vload(before + at) : vset(0);
            vi fired = v >= level, fires = vload(u + at) >= level;
            v -= (vf)(fired & ((zero & (vi)v) | (~zero & (vi)level)));
            beta[j] += vload(k + at) * v;
            threshold[j] -= vload(through + at) + (vf)((vi)vload(carried + at) & fires & ~zero);
        }
    UNROLL for (int j = 0; j < LANES; j++) {
        float *to_beta = sums + SUM_BETA * WIDTH + j * VF, *to_theta = sums + SUM_THETA * WIDTH + j * VF;
        vstore(to_beta, vload(to_beta) + beta[j]);
        vstore(to_theta, vload(to_theta) + threshold[j]);
    }
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

/* A row of the band in a tile's images of step t. */
static float *row_of(const band *s, float *images, int64_t tile, int64_t t, int64_t row) {
    int64_t edge = s->a->kernel - 1 - s->a->padding;
    return plane_of(s->a, images, tile, t) + ((s->first + row + edge) * plane_pitch(s->a) + edge) * WIDTH;
}

/* Scan a tile of the band back in time; k goes to the images g, or to grad_current, and its part that went through the
   spikes to the images `gates` where there are any. */
static void band_back(const band *s, int64_t tile, const float *u, float *g, float *gates, float *sums) {
    const conv_args *a = s->a;
    const lif_args *l = &a->lif;
    int64_t n = s->sites * WIDTH, row = a->out_columns * WIDTH;
    const float *beta = row_neurons(a, tile), *theta = beta + row;
    float *dv = scratch(C_CARRIED, 2 * n + 4 * row), *ds = dv + n, *none = ds + n, *spare = none + row;
    float *carried = spare + row, *unused = carried + row;
    memset(dv, 0, (size_t)n * 4);
    memset(none, 0, (size_t)row * 4);
    for (int64_t t = l->steps - 1; t >= 0; t--) {
        band_arriving(s, tile, t, u + t * n, theta, ds);
        for (int64_t r = 0; r < s->live; r++) {
            int64_t at = r * row;
            float *k = g ? row_of(s, g, tile, t, r) : spare;
            float *through = gates ? row_of(s, gates, tile, t, r) : l->grad_beta ? unused : NULL;
            if (l->grad_beta) memcpy(carried, dv + at, (size_t)row * 4);
            back_step(l, u + t * n + at, ds + at, none, beta, theta, row, dv + at, k, through);
            if (l->grad_beta)
                row_learn(l, u + t * n + at, t ? u + (t - 1) * n + at : NULL, k, through, carried, theta,
                          a->out_columns, sums);
            if (l->grad_bias) add_row(sums + SUM_BIAS * WIDTH, k, a->out_columns);
            if (l->grad_current) put_row(s, tile, t, r, k);
        }
    }
}

/* Where nothing fires, k is what arrives. */
static void band_load(const band *s, int64_t tile, float *g, float *sums) {
    const conv_args *a = s->a;
    int live = tile_live(a, tile);
    for (int64_t t = 0; t < a->lif.steps; t++)
        for (int64_t r = 0; r < s->live; r++) {
            int64_t features = a->lif.features, at = band_at(s, t) + r * a->out_columns;
            const float *from = a->lif.grad_potential + at * features + tile * WIDTH;
            float *k = row_of(s, g, tile, t, r);
            for (int64_t i = 0; i < a->out_columns; i++) load_tile(from + i * features, live, k + i * WIDTH);
            if (a->lif.grad_bias) add_row(sums + SUM_BIAS * WIDTH, k, a->out_columns);
        }
}

static void band_backward(const band *s, int64_t tile, const float *weights, float *g, float *gates, float *sums) {
    if (!s->a->lif.beta) {
        band_load(s, tile, g, sums);
        return;
    }
    float *u = s->a->lif.potential ? band_kept(s, tile) : scratch(C_POTENTIAL, s->count * WIDTH);
    if (!s->a->lif.potential) {
        band_currents(s, tile, weights, u);
        band_scan(s, u, row_neurons(s->a, tile));
    }
    band_back(s, tile, u, g, gates, sums);
}

/* Active positions of every channel in the images of steps from .. to, as offsets into their gradient images. */
static void list_positions(const conv_args *a, int64_t sample, int64_t from, int64_t to, int64_t room, int32_t *length,
                           int32_t *entry) {
    memset(length, 0, (size_t)a->lif.inputs * 4);
    for (int64_t t = from; t < to; t++)
        for (int64_t y = 0; y < a->rows; y++) {
            int64_t row = (t - from) * plane_sites(a) + y * plane_pitch(a);
            int64_t at = ((t * a->lif.batch + sample) * a->rows + y) * a->columns;
            const uint32_t *words = a->lif.bits + at * a->lif.words;
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
    for (int64_t i = 0; i < k * k; i++) {
        const float *tap = g + (k - 1 - i / k) * pitch + (k - 1 - i % k) * WIDTH;
        add_sites(tap, pitch, entry, length, 1, sum + i * apart, apart);
    }
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

/* All gradients of one sample; those of weights and neurons are added to its part's sums [tiles][sum_rows][WIDTH]. */
static void sample_backward(const conv_args *a, int64_t sample, const float *weights, const float *turned, float *g,
                            float *gates, float *sums) {
    int again = a->lif.bits && a->lif.beta && !a->lif.potential;
    const uint32_t *image = again ? padded_image(a, sample) : NULL;
    for (int64_t first = 0; first < a->out_rows; first += band_rows(a)) {
        band s = open_band(a, sample, first, image);
        for (int64_t tile = 0; tile < tiles_of(&a->lif); tile++)
            band_backward(&s, tile, weights, g, gates, sums + (tile * sum_rows(a) + taps_of(a)) * WIDTH);
        free_lists(&s.lists);
    }
    if (!g) return;
    sample_weights(a, sample, g, sums);
    if (gates) sample_input_of_gates(a, sample, gates, turned);
    else if (turned) sample_input(a, sample, g, turned);
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
    int64_t tiles = tiles_of(&a->lif), size = tiles * sum_rows(a) * WIDTH;
    int64_t images = tiles * a->lif.steps * plane_sites(a) + MR; /* the last register tile reads beyond the last site */
    int64_t parts = MIN(a->lif.batch, MAX(2, MIN(PARTS, PART_BYTES / (size * 4))));
    float *weights = pack_weights(a), *turned = turn_weights(a), *sums = calloc((size_t)(parts * size), 4);
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->lif.threads)
    for (int64_t part = 0; part < parts; part++) {
        float *g = a->lif.bits ? scratch(C_GRADIENT, images * WIDTH) : NULL;
        float *gates = gates_serve(a) ? scratch(C_GATES, images * WIDTH) : NULL;
        if (g) memset(g, 0, (size_t)(images * WIDTH) * 4);
        for (int64_t sample = a->lif.batch * part / parts; sample < a->lif.batch * (part + 1) / parts; sample++)
            sample_backward(a, sample, weights, turned, g, gates, sums + part * size);
    }
    add_parts(a, parts, sums);
    free(sums);
    free(turned);
    free(weights);
}

#endif
