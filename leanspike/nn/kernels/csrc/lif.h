/* LIF over all T steps, forward and backward; equations in functional.py and kernels/reference.py.

   A task is a tile of columns for a range of samples: its carried potentials stay in L1.
   No fused multiply-add: values equal the torch reference to the last bit. */
#ifndef LEANSPIKE_LIF_H
#define LEANSPIKE_LIF_H

#include "vec.h"

typedef struct {
    int64_t steps, batch, features;
    float *current;              /* [T, B, F], or [B, F] with current_step 0 */
    int64_t current_step;        /* floats from one step to the next */
    const float *values;         /* dense.h: [T, B, inputs], or [B, inputs], that the current is made from */
    const uint32_t *bits;        /* spiking.h: [T, B, words] packed inputs instead of a current */
    int64_t bits_batch;          /* spiking.h: samples in a step of bits, of which these are the first `batch` */
    int64_t words, inputs;
    const float *weight, *bias;  /* dense.h, spiking.h: [inputs, F]; [F] or NULL */
    const float *beta, *theta;   /* [F] */
    const float *start;          /* [B, F] carried potential before the first step, NULL: zero */
    int64_t zero_reset, through_reset, surrogate;
    double scale;
    int64_t threads;
    float *potential;            /* [T, B, F], may be the current; spiking.h: in its own order, or NULL: backward
                                    computes it again */
    float *shown;                /* spiking.h: [T, B, F] potentials for the caller, or NULL */
    float *spikes;               /* [T, B, F] or NULL */
    uint32_t *out_bits;          /* [T, B, out_words] or NULL */
    int64_t out_words;
    float *end;                  /* [B, F] or NULL */
    /* backward */
    const float *grad_spikes;    /* [T, B, F], or [B, F] with grad_step 0, or NULL */
    int64_t grad_step;
    const float *next_grad;      /* [T, B, N] gradient of the currents behind these neurons, or NULL */
    const float *next_weight;    /* [F, N] the synapses between; their product is added to grad_spikes */
    int64_t next_features;       /* N */
    const float *grad_potential; /* [T, B, F] or NULL */
    const float *grad_end;       /* [B, F] or NULL */
    float *grad_current;         /* like current, may be the potential; spiking.h: or NULL */
    float *grad_sum;             /* [B, F] grad_current summed over T, or NULL */
    float *grad_start;           /* [B, F] or NULL */
    float *grad_beta, *grad_theta; /* [B, F] sums over T are added (adaptive.h: set), or NULL */
    float *grad_weight, *grad_bias; /* dense.h, spiking.h: [inputs, F], [F] */
} lif_args;

/* One step of n neurons; u may be the row that holds the current. */
static inline void lif_row(const float *current, float *v, const float *beta, const float *theta, int64_t n,
                           int zero_reset, float *u) {
    if (zero_reset)
        INDEPENDENT for (int64_t j = 0; j < n; j++) {
            float x = beta[j] * v[j];
            x = x + current[j];
            u[j] = x;
            v[j] = x >= theta[j] ? 0.0f : x;
        }
    else
        INDEPENDENT for (int64_t j = 0; j < n; j++) {
            float x = beta[j] * v[j];
            x = x + current[j];
            u[j] = x;
            v[j] = x >= theta[j] ? x - theta[j] : x;
        }
}

/* Sample b, columns from .. from + width, all steps. */
static void lif_sample(const lif_args *a, int64_t b, int64_t from, int64_t width) {
    float v[TILE];
    const float *beta = a->beta + from, *theta = a->theta + from;
    if (a->start) memcpy(v, a->start + b * a->features + from, (size_t)width * 4);
    else memset(v, 0, (size_t)width * 4);
    for (int64_t t = 0; t < a->steps; t++) {
        int64_t at = t * a->batch + b;
        const float *current = a->current + t * a->current_step + b * a->features + from;
        float *row = a->potential + at * a->features + from;
        lif_row(current, v, beta, theta, width, (int)a->zero_reset, row);
        if (a->spikes) {
            float *s = a->spikes + at * a->features + from;
            for (int64_t j = 0; j < width; j++) s[j] = row[j] >= theta[j] ? 1.0f : 0.0f;
        }
        if (a->out_bits) {
            uint32_t *words = a->out_bits + at * a->out_words + from / 32;
            for (int64_t j = 0; j < width; j += 32)
                words[j / 32] = word_ge(row + j, theta + j, (int)MIN(32, width - j));
        }
    }
    if (a->end) memcpy(a->end + b * a->features + from, v, (size_t)width * 4);
}

EXPORT void leanspike_lif_forward(const lif_args *a) {
    int64_t parts = parts_of(a->features, 1);
    int64_t groups = MIN(a->batch, 4 * a->threads), tasks = parts * groups;
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t part = task / groups, group = task % groups;
        int64_t from = cut(a->features, parts, part), width = cut(a->features, parts, part + 1) - from;
        for (int64_t b = a->batch * group / groups; b < a->batch * (group + 1) / groups; b++)
            lif_sample(a, b, from, width);
    }
}

enum { ATAN, SIGMOID, FAST_SIGMOID, TRIANGLE, RECTANGLE, STRAIGHT_THROUGH };

static inline __attribute__((always_inline)) float slope(int kind, float x, float k) {
    float y;
    switch (kind) {
    case ATAN: y = 1.57079637f * k * x; return 0.5f * k / (1.0f + y * y);
    case SIGMOID: y = 1.0f / (1.0f + expf(-k * x)); return k * y * (1.0f - y);
    case FAST_SIGMOID: y = 1.0f + k * fabsf(x); return 1.0f / (y * y);
    case TRIANGLE: y = 1.0f - k * fabsf(x); return y > 0.0f ? k * y : 0.0f;
    case RECTANGLE: return fabsf(x) < 0.5f / k ? k : 0.0f;
    default: return k;
    }
}

/* One step back: `k` receives the gradient of the current, `through` the part that went through the spike. */
static inline __attribute__((always_inline)) void back_row(int kind, int zero_reset, int through_reset, float scale,
                                                           const float *restrict u, const float *restrict ds,
                                                           const float *restrict du, const float *restrict beta,
                                                           const float *restrict theta, int64_t n, float *restrict dv,
                                                           float *restrict k, float *restrict through) {
    for (int64_t j = 0; j < n; j++) {
        float x = u[j], carried = dv[j], s = ds[j];
        if (through_reset) s = s - (zero_reset ? x : theta[j]) * carried;
        float gate = s * slope(kind, x - theta[j], scale);
        float passed = zero_reset ? (x >= theta[j] ? 0.0f : carried) : carried;
        float g = gate + passed + du[j];
        if (through) through[j] = gate;
        k[j] = g;
        dv[j] = beta[j] * g;
    }
}

#define BACK(KIND)                                                                                                    \
    case KIND:                                                                                                        \
        if (a->zero_reset)                                                                                            \
            if (a->through_reset) back_row(KIND, 1, 1, k, u, ds, du, beta, theta, n, dv, out, through);               \
            else back_row(KIND, 1, 0, k, u, ds, du, beta, theta, n, dv, out, through);                                \
        else if (a->through_reset) back_row(KIND, 0, 1, k, u, ds, du, beta, theta, n, dv, out, through);              \
        else if (through) back_row(KIND, 0, 0, k, u, ds, du, beta, theta, n, dv, out, through);                       \
        else back_row(KIND, 0, 0, k, u, ds, du, beta, theta, n, dv, out, NULL);                                       \
        break;

static void back_step(const lif_args *a, const float *u, const float *ds, const float *du, const float *beta,
                      const float *theta, int64_t n, float *dv, float *out, float *through) {
    float k = (float)a->scale;
    switch ((int)a->surrogate) {
        BACK(ATAN)
        BACK(SIGMOID)
        BACK(FAST_SIGMOID)
        BACK(TRIANGLE)
        BACK(RECTANGLE)
        BACK(STRAIGHT_THROUGH)
    }
}

enum { S_BEHIND = SLOTS - 4, AT_ONCE = 8 };

/* Synapses to the layer behind, of the neurons from .. from + width: [next_features][width]. */
static const float *weights_behind(const lif_args *a, int64_t from, int64_t width) {
    float *w = scratch(S_BEHIND, a->next_features * width + VF);
    for (int64_t j = 0; j < width; j++)
        for (int64_t m = 0; m < a->next_features; m++) w[m * width + j] = a->next_weight[(from + j) * a->next_features + m];
    return w;
}

/* What the layer behind adds to the gradient of sample b's spikes, in the AT_ONCE steps up to t: out[AT_ONCE][TILE]. */
static void from_behind(const lif_args *a, const float *behind, int64_t b, int64_t t, int64_t width, float *out) {
    const float *grad[AT_ONCE];
    int64_t n = a->next_features;
    for (int r = 0; r < AT_ONCE; r++) grad[r] = a->next_grad + (MAX(0, t - r) * a->batch + b) * n;
    for (int64_t j = 0; j < width; j += VF) {
        vf sum[AT_ONCE];
        UNROLL for (int r = 0; r < AT_ONCE; r++) sum[r] = vset(0);
        for (int64_t m = 0; m < n; m++) {
            vf row = vload(behind + m * width + j);
            UNROLL for (int r = 0; r < AT_ONCE; r++) sum[r] = vfma(vset(grad[r][m]), row, sum[r]);
        }
        UNROLL for (int r = 0; r < AT_ONCE; r++) vstore(out + r * TILE + j, sum[r]);
    }
}

/* Sample b back through all steps, into grad_current. */
static void lif_sample_back(const lif_args *a, int64_t b, int64_t from, int64_t width, const float *behind) {
    static const float zeros[TILE];
    int64_t frame = a->batch * a->features, k_step = a->current_step;
    float dv[TILE], row[TILE], through[TILE], arrived[AT_ONCE * TILE];
    int64_t at = b * a->features + from;
    float *k = a->grad_current + at;
    const float *beta = a->beta + from, *theta = a->theta + from;
    if (a->grad_end) memcpy(dv, a->grad_end + at, (size_t)width * 4);
    else memset(dv, 0, (size_t)width * 4);
    float *sum = k_step ? a->grad_sum ? a->grad_sum + at : NULL : k;
    if (sum) memset(sum, 0, (size_t)width * 4);
    float *d_beta = a->grad_beta ? a->grad_beta + at : NULL, *d_theta = a->grad_beta ? a->grad_theta + at : NULL;
    for (int64_t t = a->steps - 1; t >= 0; t--) {
        const float *potential = a->potential + t * frame + at;
        const float *ds = a->grad_spikes ? a->grad_spikes + t * a->grad_step + at : zeros;
        const float *du = a->grad_potential ? a->grad_potential + t * frame + at : zeros;
        if (behind) {
            int64_t r = (a->steps - 1 - t) % AT_ONCE;
            if (!r) from_behind(a, behind, b, t, width, arrived);
            if (a->grad_spikes)
                for (int64_t j = 0; j < width; j++) arrived[r * TILE + j] += ds[j];
            ds = arrived + r * TILE;
        }
        float carried[TILE];
        if (d_beta) memcpy(carried, dv, (size_t)width * 4);
        back_step(a, potential, ds, du, beta, theta, width, dv, row, d_beta ? through : NULL);
        if (d_beta)
            for (int64_t j = 0; j < width; j++) {
                float before = t ? (potential - frame)[j] : a->start ? a->start[at + j] : 0.0f;
                if (t && before >= theta[j]) before = a->zero_reset ? 0.0f : before - theta[j];
                float fired = !a->zero_reset && potential[j] >= theta[j] ? carried[j] : 0.0f;
                d_beta[j] += row[j] * before;
                d_theta[j] -= through[j] + fired;
            }
        if (k_step) memcpy(k + t * k_step, row, (size_t)width * 4);
        if (sum)
            for (int64_t j = 0; j < width; j++) sum[j] += row[j];
    }
    if (a->grad_start) memcpy(a->grad_start + at, dv, (size_t)width * 4);
}

EXPORT void leanspike_lif_backward(const lif_args *a) {
    int64_t parts = parts_of(a->features, 1);
    int64_t groups = MIN(a->batch, 4 * a->threads), tasks = parts * groups;
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t part = task / groups, group = task % groups;
        int64_t from = cut(a->features, parts, part), width = cut(a->features, parts, part + 1) - from;
        const float *behind = a->next_grad ? weights_behind(a, from, width) : NULL;
        for (int64_t b = a->batch * group / groups; b < a->batch * (group + 1) / groups; b++)
            lif_sample_back(a, b, from, width, behind);
    }
}

#endif
