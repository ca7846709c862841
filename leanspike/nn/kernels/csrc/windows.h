/* What the sites of a convolution of stride 1 see: windows of packed inputs, as words or as lists of active inputs.

   Inputs are ordered as the weights' rows are, [kernel][kernel][inputs]. A window of at most 32 inputs is one word; a
   larger one becomes a list of gather.h. */
#ifndef LEANSPIKE_WINDOWS_H
#define LEANSPIKE_WINDOWS_H

#include "spiking.h"

#define BAND_SITES 512
#define TABLE_BITS 9

/* Of `lif`: features and inputs are channels; bits [T, B, rows, columns, words]; weight [kernel, kernel, inputs, F];
   instead of bits current [T, B, out_rows, out_columns, F]; potential in the kernel's own order; shown: the currents
   themselves, then beta is NULL and nothing fires; out_bits [T, B, out_rows, out_columns, out_words];
   grad_spikes and grad_current like current; grad_potential: gradient of the currents where nothing fires;
   grad_beta, grad_theta [F]. */
typedef struct {
    lif_args lif;
    int64_t rows, columns, kernel, padding, out_rows, out_columns;
    int64_t pool;             /* side of a window: 2, or 1 for none */
    uint32_t *pooled_bits;    /* [T, B, out_rows / pool, out_columns / pool, out_words] or NULL */
    const float *grad_pooled; /* [T, B, out_rows / pool, out_columns / pool, F] or NULL */
    double grad_same;         /* a gradient that is the same for every spike */
    float *grad_input;        /* [T, B, rows, columns, inputs] or NULL */
} conv_args;

enum { C_IMAGE = S_NEXT + 1, C_WINDOW, C_POTENTIAL, C_NEURON, C_CARRIED, C_GRADIENT, C_GATES, C_LIST };
_Static_assert(C_LIST < SLOTS, "a slot for every scratch buffer");

typedef struct {
    const conv_args *a;
    int64_t sample, first, live; /* rows first .. first + live of the image that leaves */
    int64_t sites, count;        /* sites of a step; T * sites */
    row_lists lists;             /* of windows, or */
    const uint32_t *windows;     /* [T][sites] windows that fit in a word */
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

/* Windows that fit in a word are looked up TABLE_BITS at a time. */
static int small(const conv_args *a) { return taps_of(a) <= 32; }
static int64_t tables_of(const conv_args *a) { return (taps_of(a) + TABLE_BITS - 1) / TABLE_BITS; }

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

/* The windows of a band, each in a word. */
static void put_windows(band *s, const uint32_t *image) {
    const conv_args *a = s->a;
    int64_t size = image_words(a), wide = a->out_columns, bits = unit_bits(a);
    uint32_t *out = (uint32_t *)scratch(C_WINDOW, s->count);
    s->windows = out;
    for (int64_t t = 0; t < a->lif.steps; t++)
        for (int64_t y = s->first; y < s->first + s->live; y++, out += wide)
            for (int64_t x = 0; x < wide; x++) {
                const uint32_t *unit = image + t * size + y * wide + x;
                out[x] = unit[0];
                for (int64_t ky = 1; ky < a->kernel; ky++) out[x] |= unit[ky * wide] << (ky * bits);
            }
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
    word_rows rows = block_by_block(bits, s->count, blocks);
    allocate_lists(&s->lists, s->count, blocks);
    make_lists(&s->lists, &rows, ALONE);
}

#endif
