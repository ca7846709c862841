/* The gradient of a convolution's input through a pool, where zeros are left to use.

   Behind a pool the gradient of the spikes reaches one site in four of a channel; what makes k, the gradient of the
   currents, dense is the leak. Where all neurons leak alike and the reset is subtracted and detached,

     k[t] = gate[t] + beta k[t + 1]      so that      d_input[t] = W gate[t] + beta d_input[t + 1]

   with gate = ds * surrogate', and the product meets only the sites that the pool chose. */
#ifndef LEANSPIKE_CONV_GATES_H
#define LEANSPIKE_CONV_GATES_H

#include "conv_input.h"

/* Whether the gates are sparse and beta can be taken out of the product. */
static int gates_serve(const conv_args *a) {
    const lif_args *l = &a->lif;
    int serve = a->grad_input && a->grad_pooled && !l->grad_spikes && !a->grad_same;
    serve = serve && !l->zero_reset && !l->through_reset;
    for (int64_t j = 1; serve && j < l->features; j++) serve = l->beta[j] == l->beta[0];
    return serve;
}

/* The gates of one step that are not zero, for every site of the images: an even number, the last perhaps a zero. */
typedef struct {
    int64_t room;
    int32_t *length; /* [plane_sites] */
    int32_t *row;    /* [plane_sites][room] where the channel's weights begin in a panel's first tap */
    float *value;    /* [plane_sites][room] */
} gate_lists;

static gate_lists gate_room(const conv_args *a) {
    int64_t sites = plane_sites(a), room = (tiles_of(&a->lif) + 1) * WIDTH;
    float *all = scratch(C_LIST, sites * (2 * room + 1));
    return (gate_lists){room, (int32_t *)all, (int32_t *)all + sites, all + sites * (room + 1)};
}

/* The gates of a tile at one site that are not zero; up to WIDTH entries are written. Returns how many count. */
static inline int64_t list_tile(const float *gate, int32_t first, int32_t *row, float *value) {
#if defined(__AVX512F__)
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i at = _mm512_add_epi32(_mm512_mullo_epi32(lane, _mm512_set1_epi32(NR)), _mm512_set1_epi32(first));
    __m512 values = _mm512_loadu_ps(gate);
    __mmask16 live = _mm512_cmp_ps_mask(values, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_ps(value, _mm512_maskz_compress_ps(live, values));
    _mm512_storeu_si512(row, _mm512_maskz_compress_epi32(live, at));
    return __builtin_popcount(live);
#else
    int64_t n = 0;
    for (int j = 0; j < WIDTH; j++) {
        row[n] = first + j * NR;
        value[n] = gate[j];
        n += gate[j] != 0.0f;
    }
    return n;
#endif
}

static void list_gates(const conv_args *a, float *gates, int64_t t, gate_lists *l) {
    int64_t side = a->kernel * a->kernel, edge = a->kernel - 1 - a->padding;
    memset(l->length, 0, (size_t)plane_sites(a) * 4);
    for (int64_t i = 0; i < out_sites(a); i++) {
        int64_t site = (i / a->out_columns + edge) * plane_pitch(a) + i % a->out_columns + edge, n = 0;
        int32_t *row = l->row + site * l->room;
        float *value = l->value + site * l->room;
        for (int64_t tile = 0; tile < tiles_of(&a->lif); tile++) {
            const float *gate = plane_of(a, gates, tile, t) + site * WIDTH;
            n += list_tile(gate, (int32_t)(tile * side * WIDTH * NR), row + n, value + n);
        }
        row[n] = 0;
        value[n] = 0.0f;
        l->length[site] = (int32_t)((n + 1) / 2 * 2);
    }
}

/* out[NR] += the listed gates times their weights of one tap. */
static inline void add_gates(const int32_t *row, const float *value, int64_t length, const float *weights, float *out) {
    vf s[2][NV];
    UNROLL for (int v = 0; v < NV; v++) s[0][v] = vload(out + v * VF), s[1][v] = vset(0);
    for (int64_t e = 0; e < length; e += 2)
        UNROLL for (int i = 0; i < 2; i++) {
            const float *w = weights + row[e + i];
            UNROLL for (int v = 0; v < NV; v++) s[i][v] = vfma(vset(value[e + i]), vload(w + v * VF), s[i][v]);
        }
    UNROLL for (int v = 0; v < NV; v++) vstore(out + v * VF, s[0][v] + s[1][v]);
}

/* Add one step's gates to a panel of NR channels, d[rows][columns][NR]; tap by tap, so that its weights stay in L1. */
static void panel_gates(const conv_args *a, const gate_lists *l, const float *turned, float *d) {
    int64_t k = a->kernel, pitch = plane_pitch(a);
    for (int64_t tap = 0; tap < k * k; tap++, turned += WIDTH * NR)
        for (int64_t y = 0; y < a->rows; y++) {
            int64_t site = (y + k - 1 - tap / k) * pitch + k - 1 - tap % k;
            for (int64_t x = 0; x < a->columns; x++, site++)
                if (l->length[site])
                    add_gates(l->row + site * l->room, l->value + site * l->room, l->length[site], turned,
                              d + (y * a->columns + x) * NR);
        }
}

static void sample_input_of_gates(const conv_args *a, int64_t sample, float *gates, const float *turned) {
    int64_t inputs = a->lif.inputs, sites = a->rows * a->columns, panels = (inputs + NR - 1) / NR;
    int64_t panel = tiles_of(&a->lif) * a->kernel * a->kernel * WIDTH * NR;
    float *d = scratch(C_POTENTIAL, panels * sites * NR), beta = a->lif.beta[0];
    gate_lists lists = gate_room(a);
    memset(d, 0, (size_t)(panels * sites * NR) * 4);
    for (int64_t t = a->lif.steps - 1; t >= 0; t--) {
        float *out = a->grad_input + (t * a->lif.batch + sample) * sites * inputs;
        for (int64_t e = 0; e < panels * sites * NR; e++) d[e] *= beta;
        list_gates(a, gates, t, &lists);
        for (int64_t p = 0; p < panels; p++) {
            panel_gates(a, &lists, turned + p * panel, d + p * sites * NR);
            for (int64_t i = 0; i < sites; i++)
                memcpy(out + i * inputs + p * NR, d + (p * sites + i) * NR, (size_t)MIN(NR, inputs - p * NR) * 4);
        }
    }
}

#endif
