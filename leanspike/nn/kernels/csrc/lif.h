/* LIF over all T steps, forward and backward; equations in functional.py and kernels/reference.py.

   A task is a tile of columns for some samples: its carried potentials stay in L1, and step by step it reads memory in
   the order in which it stands.
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
    const float *beta, *theta;   /* [F], or one of all */
    int64_t beta_step, theta_step; /* 1, or 0 where there is one; adaptive.h, conv.h: [F] always */
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
    int64_t adds;                /* whether these two hold something that is added to */
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

/* Potentials that a task carries from step to step. */
#define HELD 4096

/* A task: columns from .. from + width of samples first .. end. */
typedef struct {
    int64_t from, width, first, end;
} patch;

/* How a layer is cut into tasks: `parts` of its columns, `groups` of its samples. */
typedef struct {
    int64_t parts, groups;
} patches;

static patches patches_of(const lif_args *a) {
    int64_t parts = parts_of(a->features, 1), samples = MAX(1, HELD / MAX(1, MIN(TILE, a->features)));
    int64_t groups = (a->batch + samples - 1) / samples;
    return (patches){parts, (groups + a->threads - 1) / a->threads * a->threads};
}

static patch patch_of(const lif_args *a, patches all, int64_t task) {
    int64_t part = task / all.groups, group = task % all.groups;
    int64_t from = cut(a->features, all.parts, part), to = cut(a->features, all.parts, part + 1);
    return (patch){from, to - from, a->batch * group / all.groups, a->batch * (group + 1) / all.groups};
}

/* Rows of a task's samples in [B, F], or zeros where there are none. */
static void load_held(const lif_args *a, const patch *p, const float *rows, float *held) {
    for (int64_t b = p->first; b < p->end; b++, held += p->width)
        if (rows) memcpy(held, rows + b * a->features + p->from, (size_t)p->width * 4);
        else memset(held, 0, (size_t)p->width * 4);
}

static void store_held(const lif_args *a, const patch *p, const float *held, float *rows) {
    for (int64_t b = p->first; rows && b < p->end; b++, held += p->width)
        memcpy(rows + b * a->features + p->from, held, (size_t)p->width * 4);
}

/* What `width` neurons from `from` on have of x. */
static const float *own_of(const float *x, int64_t step, int64_t from, int64_t width, float *room) {
    if (step) return x + from;
    for (int64_t j = 0; j < width; j++) room[j] = *x;
    return room;
}

static void patch_forward(const lif_args *a, const patch *p) {
    float held[HELD], betas[TILE], thetas[TILE];
    const int64_t from = p->from, width = p->width;
    const float *beta = own_of(a->beta, a->beta_step, from, width, betas);
    const float *theta = own_of(a->theta, a->theta_step, from, width, thetas);
    load_held(a, p, a->start, held);
    for (int64_t t = 0; t < a->steps; t++)
        for (int64_t b = p->first; b < p->end; b++) {
            int64_t at = t * a->batch + b;
            const float *current = a->current + t * a->current_step + b * a->features + from;
            float *row = a->potential + at * a->features + from;
            lif_row(current, held + (b - p->first) * width, beta, theta, width, (int)a->zero_reset, row);
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
    store_held(a, p, held, a->end);
}

EXPORT void leanspike_lif_forward(const lif_args *a) {
    patches all = patches_of(a);
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t task = 0; task < all.parts * all.groups; task++) {
        patch p = patch_of(a, all, task);
        patch_forward(a, &p);
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

/* What the layer behind adds to the gradients of the spikes of samples b .. b + AT_ONCE, as far as there are as many, at
   step t: out[AT_ONCE][TILE]. */
static void from_behind(const lif_args *a, const float *behind, int64_t b, int64_t t, int64_t width, float *out) {
    const float *grad[AT_ONCE];
    int64_t n = a->next_features;
    for (int r = 0; r < AT_ONCE; r++) grad[r] = a->next_grad + (t * a->batch + MIN(b + r, a->batch - 1)) * n;
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

/* One step's share of the gradients of beta and theta of n neurons; `before` are their potentials one step earlier, or,
   where there is none, what they started from, or NULL. */
static void learn_step(const lif_args *a, const float *u, const float *before, int first, const float *theta,
                       const float *k, const float *through, const float *carried, int64_t n, float *d_beta,
                       float *d_theta) {
    for (int64_t j = 0; j < n; j++) {
        float v = before ? before[j] : 0.0f;
        if (!first && v >= theta[j]) v = a->zero_reset ? 0.0f : v - theta[j];
        d_beta[j] += k[j] * v;
        d_theta[j] -= through[j] + (!a->zero_reset && u[j] >= theta[j] ? carried[j] : 0.0f);
    }
}

/* A task back through all steps, into grad_current. */
static void patch_back(const lif_args *a, const patch *p, const float *behind) {
    static const float zeros[TILE];
    const int64_t frame = a->batch * a->features, from = p->from, width = p->width;
    float held[HELD], betas[TILE], thetas[TILE], row[TILE], through[TILE], carried[TILE], arrived[AT_ONCE * TILE];
    const float *beta = own_of(a->beta, a->beta_step, from, width, betas);
    const float *theta = own_of(a->theta, a->theta_step, from, width, thetas);
    float *sums = a->current_step ? a->grad_sum : a->grad_current;
    load_held(a, p, a->grad_end, held);
    for (int64_t b = p->first; sums && b < p->end; b++) memset(sums + b * a->features + from, 0, (size_t)width * 4);
    for (int64_t t = a->steps - 1; t >= 0; t--)
        for (int64_t b = p->first; b < p->end; b++) {
            int64_t at = b * a->features + from, r = (b - p->first) % AT_ONCE;
            const float *u = a->potential + t * frame + at;
            const float *ds = a->grad_spikes ? a->grad_spikes + t * a->grad_step + at : zeros;
            const float *du = a->grad_potential ? a->grad_potential + t * frame + at : zeros;
            float *dv = held + (b - p->first) * width;
            if (behind) {
                if (!r) from_behind(a, behind, b, t, width, arrived);
                if (a->grad_spikes)
                    for (int64_t j = 0; j < width; j++) arrived[r * TILE + j] += ds[j];
                ds = arrived + r * TILE;
            }
            if (a->grad_beta) memcpy(carried, dv, (size_t)width * 4);
            back_step(a, u, ds, du, beta, theta, width, dv, row, a->grad_beta ? through : NULL);
            if (a->grad_beta)
                learn_step(a, u, t ? u - frame : a->start ? a->start + at : NULL, !t, theta, row, through, carried, width,
                           a->grad_beta + at, a->grad_theta + at);
            if (a->current_step) memcpy(a->grad_current + t * a->current_step + at, row, (size_t)width * 4);
            if (sums)
                for (int64_t j = 0; j < width; j++) sums[at + j] += row[j];
        }
    store_held(a, p, held, a->grad_start);
}

EXPORT void leanspike_lif_backward(const lif_args *a) {
    patches all = patches_of(a);
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t task = 0; task < all.parts * all.groups; task++) {
        patch p = patch_of(a, all, task);
        patch_back(a, &p, a->next_grad ? weights_behind(a, p.from, p.width) : NULL);
    }
}

#endif
