/* Backward of spiking.h: the potentials kept or gathered again, scanned back in time, and the weight gradient gathered by
   the transposed bits, or, where a layer has too few tiles to be worth transposing, spread by the bits themselves. The
   gradient of a hidden layer's spikes is never written: behind every step its tile is the product of the next layer's
   current gradient and synapses. */
#ifndef LEANSPIKE_SPIKING_BACKWARD_H
#define LEANSPIKE_SPIKING_BACKWARD_H

#include "spiking.h"

/* The potentials of a tile, kept or computed again, as tile_scan writes them. */
static const float *tile_potentials(const chunk *c, int64_t tile, int live) {
    if (c->a->potential) return tile_kept(c, tile);
    float *current = scratch(S_CURRENT, c->rows * WIDTH), *u = scratch(S_POTENTIAL, c->rows * WIDTH);
    tile_currents(c, tile * WIDTH, live, current);
    tile_scan(c, current, u, tile * WIDTH, live, 0);
    return u;
}

/* A tile's weights to the layer behind: [next_features][WIDTH]. */
static const float *tile_next(const lif_args *a, int64_t from, int live) {
    float *w = scratch(S_NEXT, a->next_features * WIDTH);
    memset(w, 0, (size_t)(a->next_features * WIDTH) * 4);
    for (int j = 0; j < live; j++)
        for (int64_t k = 0; k < a->next_features; k++) w[k * WIDTH + j] = a->next_weight[(from + j) * a->next_features + k];
    return w;
}

/* Every surrogate's slope at x, as slope() in lif.h. */
static inline __attribute__((always_inline)) vf slopes(int kind, vf x, float k) {
    switch (kind) {
    case ATAN: {
        vf y = vset(1.57079637f * k) * x;
        return vset(0.5f * k) / (vset(1.0f) + y * y);
    }
    case STRAIGHT_THROUGH: return vset(k);
    default: {
        float each[VF];
        vstore(each, x);
        for (int j = 0; j < VF; j++) each[j] = slope(kind, each[j], k);
        return vload(each);
    }
    }
}

/* A tile on its way back. */
typedef struct {
    const chunk *c;
    int64_t from;
    int live;
    float beta[WIDTH], theta[WIDTH];
    const float *u;     /* potentials as tile_scan writes them */
    const float *next;  /* [next_features][WIDTH] weights to the layer behind, or NULL */
    float *k;           /* [T * live][WIDTH] receives the gradient of the currents */
} tile_way;

/* Rows i .. i + rows of [batch][features] gradients, a tile of them; zero where there are none. */
static inline void load_rows(const tile_way *w, const float *grad, int64_t i, int rows, float *out) {
    if (!grad) memset(out, 0, (size_t)rows * WIDTH * 4);
    else
        for (int r = 0; r < rows; r++)
            load_tile(grad + (w->c->first + i + r) * w->c->a->features + w->from, w->live, out + r * WIDTH);
}

/* One step of one sample for the gradients of beta and theta; `before` is its potential one step earlier, or NULL. */
static void learn_row(const tile_way *w, int64_t i, const float *u, const float *before, const float *k,
                      const float *gate, const float *carried) {
    const lif_args *a = w->c->a;
    int64_t at = (w->c->first + i) * a->features + w->from;
    for (int j = 0; j < w->live; j++) {
        float past = before ? before[j] : 0.0f;
        if (past >= w->theta[j]) past = a->zero_reset ? 0.0f : past - w->theta[j];
        a->grad_beta[at + j] += k[j] * past;
        a->grad_theta[at + j] -= gate[j] + (!a->zero_reset && u[j] >= w->theta[j] ? carried[j] : 0.0f);
    }
}

/* Whether only what arrives at spikes counts, at a reset that subtracts and is detached, and nothing but weights learns. */
static int plain(const lif_args *a) { return !a->zero_reset && !a->through_reset && !a->grad_potential && !a->grad_beta; }

/* Samples i .. i + rows of a tile back through all steps; the equations are those of back_row in lif.h. `is_plain` is what
   the compiler may take for granted. */
static inline __attribute__((always_inline)) void back_group(const tile_way *w, int64_t i, int rows, const int kind,
                                                             const int is_plain) {
    const chunk *c = w->c;
    const lif_args *a = c->a;
    const int zero_reset = !is_plain && a->zero_reset, through_reset = !is_plain && a->through_reset;
    const int learns = !is_plain && a->grad_beta, potentials = !is_plain && a->grad_potential;
    const float scale = (float)a->scale;
    const int64_t n = a->next_features, frame = a->batch * a->features;
    float ds[GROUP * WIDTH], du[GROUP * WIDTH];
    vf dv[GROUP][LANES], s[GROUP][LANES], beta[LANES], theta[LANES];
    UNROLL for (int l = 0; l < LANES; l++) {
        beta[l] = vload(w->beta + l * VF);
        theta[l] = vload(w->theta + l * VF);
        UNROLL for (int r = 0; r < rows; r++) dv[r][l] = vset(0);
    }
    for (int64_t t = a->steps - 1; t >= 0; t--) {
        const float *u = w->u + (i * a->steps + t * rows) * WIDTH;
        float *k = w->k + (t * c->live + i) * WIDTH;
        if (t == a->steps - 1 || a->grad_step)
            load_rows(w, a->grad_spikes ? a->grad_spikes + t * a->grad_step : NULL, i, rows, ds);
        if (potentials) load_rows(w, a->grad_potential + t * frame, i, rows, du);
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int l = 0; l < LANES; l++) s[r][l] = vload(ds + r * WIDTH + l * VF);
        if (w->next) {
            const float *grad = a->next_grad + (t * a->batch + c->first + i) * n;
            for (int64_t m = 0; m < n; m++) UNROLL for (int l = 0; l < LANES; l++) {
                vf row = vload(w->next + m * WIDTH + l * VF);
                UNROLL for (int r = 0; r < rows; r++) s[r][l] = vfma(vset(grad[r * n + m]), row, s[r][l]);
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            float gates[WIDTH], carried[WIDTH];
            UNROLL for (int l = 0; l < LANES; l++) {
                int at = r * WIDTH + l * VF;
                vf x = vload(u + at), from_reset = zero_reset ? x : theta[l];
                if (through_reset) s[r][l] = s[r][l] - from_reset * dv[r][l];
                vf gate = s[r][l] * slopes(kind, x - theta[l], scale);
                vf g = gate + (zero_reset ? where_below(x, theta[l], dv[r][l]) : dv[r][l]);
                if (potentials) g = g + vload(du + at);
                vstore(k + at, g);
                if (learns) {
                    vstore(gates + l * VF, gate);
                    vstore(carried + l * VF, dv[r][l]);
                }
                dv[r][l] = beta[l] * g;
            }
            if (learns)
                learn_row(w, i + r, u + r * WIDTH, t ? u + (r - rows) * WIDTH : NULL, k + r * WIDTH, gates, carried);
            if (a->grad_current)
                store_tile(k + r * WIDTH, w->live, a->grad_current + t * frame + (c->first + i + r) * a->features + w->from);
        }
    }
}

static inline __attribute__((always_inline)) void back_groups(const tile_way *w, const int kind, const int is_plain) {
    int64_t i = 0, live = w->c->live;
    for (; i + GROUP <= live; i += GROUP) back_group(w, i, GROUP, kind, is_plain);
    for (; i < live; i++) back_group(w, i, 1, kind, is_plain);
}

/* Scan a tile back in time; the usual case by itself, since a step has few operations beside its questions. */
static void tile_back(const tile_way *w) {
    const lif_args *a = w->c->a;
    if (plain(a) && a->surrogate == ATAN) back_groups(w, ATAN, 1);
    else back_groups(w, (int)a->surrogate, 0);
}

/* Add the chunk's share of a tile's weight and bias gradient: d_weight[inputs][WIDTH], d_bias[WIDTH]. */
static void tile_weights(const chunk *c, const float *k, float *d_weight, float *d_bias) {
    if (narrow(c->a))
        for (int64_t b = 0; b < c->by_row.blocks; b++) spread_block(&c->by_row, b, k, d_weight + b * BLOCK * WIDTH);
    else
        for (int64_t b = 0; b < c->by_column.blocks; b++)
            sum_block(&c->by_column, b, k + b * BLOCK * WIDTH, d_weight, WIDTH, d_weight);
    vf sum[LANES];
    UNROLL for (int l = 0; l < LANES; l++) sum[l] = vload(d_bias + l * VF);
    for (int64_t r = 0; r < c->rows; r++) UNROLL for (int l = 0; l < LANES; l++) sum[l] += vload(k + r * WIDTH + l * VF);
    UNROLL for (int l = 0; l < LANES; l++) vstore(d_bias + l * VF, sum[l]);
}

/* A tile's gradients over one chunk; `sum`: [inputs + 1][WIDTH] weights and bias, added to. */
static void tile_gradients(const chunk *c, int64_t tile, float *sum) {
    const lif_args *a = c->a;
    int64_t from = tile * WIDTH;
    tile_way w = {.c = c, .from = from, .live = (int)MIN(WIDTH, a->features - from)};
    tile_neurons(a, from, w.live, w.beta, w.theta);
    w.u = tile_potentials(c, tile, w.live);
    w.next = a->next_grad ? tile_next(a, from, w.live) : NULL;
    w.k = scratch(S_GRADIENT, c->rows * WIDTH);
    tile_back(&w);
    tile_weights(c, w.k, sum, sum + a->inputs * WIDTH);
}

/* A tile's sums to the gradients of weight and bias. */
static void tile_add(const lif_args *a, int64_t tile, const float *sum, int64_t adds) {
    int64_t from = tile * WIDTH, live = MIN(WIDTH, a->features - from);
    for (int64_t i = 0; i <= a->inputs; i++) {
        float *out = i < a->inputs ? a->grad_weight + i * a->features + from : a->grad_bias ? a->grad_bias + from : NULL;
        if (out && adds)
            for (int64_t j = 0; j < live; j++) out[j] += sum[i * WIDTH + j];
        else if (out) memcpy(out, sum + i * WIDTH, (size_t)live * 4);
    }
}

/* Floats of a tile's sums of weights and bias. */
static int64_t sums_of(const lif_args *a) { return (a->inputs + 1) * WIDTH; }

static void tile_backward(const chunk *c, int64_t tile) {
    float *sum = scratch(S_WEIGHT, sums_of(c->a));
    memset(sum, 0, (size_t)sums_of(c->a) * 4);
    tile_gradients(c, tile, sum);
    tile_add(c->a, tile, sum, c->a->adds || c->first);
}

/* `turned`: [blocks of rows][inputs][BLOCK_WORDS], the transposed bits. */
static void chunk_backward(chunk *c, uint32_t *turned, team t) {
    const lif_args *a = c->a;
    if (!a->potential) make_lists(&c->by_row, &c->bits, t);
    turn_bits(&c->bits, c->rows, a->inputs, turned, t);
    meet(t);
    word_rows columns = block_by_block(turned, a->inputs, blocks_of(c->rows));
    make_lists(&c->by_column, &columns, t);
    for (int64_t tile; (tile = take(&c->next)) < tiles_of(a);) tile_backward(c, tile);
}

/* A narrow layer's chunk, whose lists by row stand, into the sums of its part: [tiles][inputs + 1][WIDTH]. */
static void narrow_backward(const chunk *c, float *sums) {
    for (int64_t tile = 0; tile < tiles_of(c->a); tile++) tile_gradients(c, tile, sums + tile * sums_of(c->a));
}

static void part_backward(const lif_args *a, int64_t part, float *sums) {
    for (int64_t first = part_of(a, part), end = part_of(a, part + 1); first < end;) {
        chunk c = open_chunk(a, first, end);
        list_rows(&c);
        make_lists(&c.by_row, &c.bits, ALONE);
        narrow_backward(&c, sums);
        first += c.live;
        close_chunk(&c);
    }
}

/* The sums of all parts, one behind the other, to the gradients of weight and bias. */
static void add_sums(const lif_args *a, float *sums) {
    int64_t tiles = tiles_of(a), size = tiles * sums_of(a);
    for (int64_t part = 1; part < NARROW_PARTS; part++)
        for (int64_t i = 0; i < size; i++) sums[i] += sums[part * size + i];
    for (int64_t tile = 0; tile < tiles; tile++) tile_add(a, tile, sums + tile * sums_of(a), a->adds);
}

/* Finds the gradients that are given; of no samples they are 0. */
EXPORT void leanspike_spiking_backward(const lif_args *a) {
    if (narrow(a)) {
        int64_t size = tiles_of(a) * sums_of(a);
        float *sums = calloc((size_t)(NARROW_PARTS * size), 4);
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
        for (int64_t part = 0; part < NARROW_PARTS; part++) part_backward(a, part, sums + part * size);
        add_sums(a, sums);
        free(sums);
        return;
    }
    int64_t first = 0;
    do {
        chunk c = open_chunk(a, first, a->batch);
        uint32_t *turned = malloc((size_t)(blocks_of(c.rows) * a->inputs * BLOCK_WORDS) * 4);
        if (!a->potential) list_rows(&c);
        allocate_lists(&c.by_column, a->inputs, blocks_of(c.rows));
#pragma omp parallel num_threads(a->threads)
        chunk_backward(&c, turned, everyone());
        free(turned);
        first += c.live;
        close_chunk(&c);
    } while (first < a->batch);
}

#endif
