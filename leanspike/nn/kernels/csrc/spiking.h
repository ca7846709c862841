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
    word_rows bits;             /* the inputs */
    row_lists by_row;           /* active inputs of each row */
    row_lists by_column;        /* backward: rows in which each input is active */
    int64_t next;               /* tile that no thread has taken */
} chunk;

static int64_t tiles_of(const lif_args *a) { return (a->features + WIDTH - 1) / WIDTH; }

/* A layer of few tiles is shared among threads by parts of the batch instead of by tiles. What decides is the layer and
   the batch, never the number of threads. */
#define NARROW_TILES 4
#define NARROW_PARTS 8
static int narrow(const lif_args *a) { return tiles_of(a) <= NARROW_TILES; }

/* The first sample of a part; its last one stands before that of the next part. */
static int64_t part_of(const lif_args *a, int64_t part) { return a->batch * part / NARROW_PARTS; }

/* The chunk of samples first .. end, or of as many of them as it may have. */
static chunk open_chunk(const lif_args *a, int64_t first, int64_t end) {
    chunk c = {.a = a, .first = first, .live = MIN(end - first, MAX(1, CHUNK_ROWS / a->steps))};
    const uint32_t *bits = a->bits + first * a->words;
    int64_t step = a->bits_batch * a->words;
    c.rows = c.live * a->steps;
    c.bits = (word_rows){.bits = bits, .end = bits + (a->steps - 1) * step + c.live * a->words, .live = MAX(1, c.live),
                         .step = step, .row = a->words, .block = BLOCK_WORDS, .words = a->words};
    return c;
}

static void close_chunk(chunk *c) {
    free_lists(&c->by_row);
    free_lists(&c->by_column);
}

enum { S_BLOCK, S_CURRENT, S_POTENTIAL, S_GRADIENT, S_WEIGHT, S_NEXT };

/* Currents of a tile for every row of the chunk: out[rows][WIDTH]. */
static void tile_currents(const chunk *c, int64_t from, int live, float *out) {
    const lif_args *a = c->a;
    float bias[WIDTH] = {0}, *block = scratch(S_BLOCK, BLOCK * WIDTH);
    if (a->bias) memcpy(bias, a->bias + from, (size_t)live * 4);
    for (int64_t k = 0; k < c->by_row.blocks; k++) {
        pack_block(a->weight + k * BLOCK * a->features + from, a->features, MIN(BLOCK, a->inputs - k * BLOCK), live,
                   block);
        sum_block(&c->by_row, k, block, k ? out : bias, k ? WIDTH : 0, out);
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

/* beta and theta of a tile's columns; those beyond the layer never fire. */
static void tile_neurons(const lif_args *a, int64_t from, int live, float *beta, float *theta) {
    for (int j = 0; j < WIDTH; j++) {
        beta[j] = j < live ? a->beta[(from + j) * a->beta_step] : 0.0f;
        theta[j] = j < live ? a->theta[(from + j) * a->theta_step] : 1e30f;
    }
}

/* Samples whose potentials a scan holds in registers while it goes through all steps. */
enum { GROUP = VF == 16 ? 8 : VF == 8 ? 4 : 2 };

/* Potentials and spikes of one row of a tile, as dense values, go where the arguments ask. */
static inline void row_shown(const lif_args *a, int64_t row, int64_t from, int live, const float *u, const float *theta) {
    if (a->shown) store_tile(u, live, a->shown + row * a->features + from);
    if (a->spikes)
        for (int j = 0; j < live; j++) a->spikes[row * a->features + from + j] = u[j] >= theta[j] ? 1.0f : 0.0f;
}

/* Samples i .. i + rows of a tile through all steps: current[T * live][WIDTH] into u[T][rows][WIDTH], if that is wanted. */
static inline __attribute__((always_inline)) void scan_group(const chunk *c, int64_t i, int rows, const float *current,
                                                             const float *beta, const float *theta, float *u,
                                                             int64_t from, int live, int emit) {
    const lif_args *a = c->a;
    const int zero_reset = (int)a->zero_reset, shows = emit && (a->shown || a->spikes);
    const int64_t words = a->out_words;
    uint32_t *bits = emit ? a->out_bits : NULL;
    vf v[GROUP][LANES], b[LANES], th[LANES];
    UNROLL for (int l = 0; l < LANES; l++) {
        b[l] = vload(beta + l * VF);
        th[l] = vload(theta + l * VF);
        UNROLL for (int r = 0; r < rows; r++) v[r][l] = vset(0);
    }
    for (int64_t t = 0; t < a->steps; t++) {
        const float *in = current + (t * c->live + i) * WIDTH;
        float kept[GROUP * WIDTH], *out = u ? u + t * rows * WIDTH : kept;
        int64_t row = t * a->batch + c->first + i;
        UNROLL for (int r = 0; r < rows; r++) {
            uint32_t fired = 0;
            UNROLL for (int l = 0; l < LANES; l++) {
                vf x = b[l] * v[r][l];
                x = x + vload(in + r * WIDTH + l * VF);
                vstore(out + r * WIDTH + l * VF, x);
                fired |= bits_ge(x, th[l]) << (l * VF);
                v[r][l] = after_reset(x, th[l], zero_reset);
            }
            if (bits) ((uint16_t *)(bits + (row + r) * words))[from / WIDTH] = (uint16_t)fired;
        }
        if (shows)
            for (int r = 0; r < rows; r++) row_shown(a, row + r, from, live, out + r * WIDTH, theta);
    }
}

/* Scan a tile's currents [T * live][WIDTH] into potentials, group after group: u[groups][T][rows of a group][WIDTH]. */
static void tile_scan(const chunk *c, const float *current, float *u, int64_t from, int live, int emit) {
    float beta[WIDTH], theta[WIDTH];
    tile_neurons(c->a, from, live, beta, theta);
    int64_t i = 0, steps = c->a->steps;
    for (; i + GROUP <= c->live; i += GROUP)
        scan_group(c, i, GROUP, current, beta, theta, u ? u + i * steps * WIDTH : NULL, from, live, emit);
    for (; i < c->live; i++) scan_group(c, i, 1, current, beta, theta, u ? u + i * steps * WIDTH : NULL, from, live, emit);
}

/* Where a tile's potentials are kept for backward: chunk by chunk, tile by tile, each as tile_scan writes them. */
static float *tile_kept(const chunk *c, int64_t tile) {
    return c->a->potential + (c->first * c->a->steps * tiles_of(c->a) + tile * c->rows) * WIDTH;
}

static void tile_forward(const chunk *c, int64_t tile) {
    int64_t from = tile * WIDTH;
    int live = (int)MIN(WIDTH, c->a->features - from);
    /* summed where they stay in cache and scanned from there: kept rows are written once and in their order */
    float *current = scratch(S_CURRENT, c->rows * WIDTH);
    tile_currents(c, from, live, current);
    tile_scan(c, current, c->a->potential ? tile_kept(c, tile) : NULL, from, live, 1);
}

static void list_rows(chunk *c) { allocate_lists(&c->by_row, c->rows, blocks_of(c->a->inputs)); }

/* Of a chunk that has room for its lists by row. */
static void chunk_forward(chunk *c, team t) {
    make_lists(&c->by_row, &c->bits, t);
    for (int64_t tile; (tile = take(&c->next)) < tiles_of(c->a);) tile_forward(c, tile);
}

static void part_forward(const lif_args *a, int64_t part) {
    for (int64_t first = part_of(a, part), end = part_of(a, part + 1); first < end;) {
        chunk c = open_chunk(a, first, end);
        list_rows(&c);
        chunk_forward(&c, ALONE);
        first += c.live;
        close_chunk(&c);
    }
}

EXPORT void leanspike_spiking_forward(const lif_args *a) {
    /* the upper half of the last word belongs to no tile where their number is odd */
    if (a->out_bits && tiles_of(a) % 2)
        for (int64_t r = 0; r < a->steps * a->batch; r++) a->out_bits[r * a->out_words + a->out_words - 1] = 0;
    if (narrow(a)) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
        for (int64_t part = 0; part < NARROW_PARTS; part++) part_forward(a, part);
        return;
    }
    for (int64_t first = 0; first < a->batch;) {
        chunk c = open_chunk(a, first, a->batch);
        list_rows(&c);
#pragma omp parallel num_threads(a->threads)
        chunk_forward(&c, everyone());
        first += c.live;
        close_chunk(&c);
    }
}

#endif
