/* Neurons with adapting thresholds over all T steps, forward and backward; equations in functional.py and
   kernels/adaptive.py. Tasks and arithmetic are those of lif.h: values equal the torch reference to the last bit. */
#ifndef LEANSPIKE_ADAPTIVE_H
#define LEANSPIKE_ADAPTIVE_H

#include "lif.h"

typedef struct {
    lif_args lif;
    double strength, decay;
    const float *start_adaptation;     /* [B, F] */
    float *end_adaptation;             /* [B, F] */
    const float *grad_end_adaptation;  /* [B, F] or NULL */
    float *grad_start_adaptation;      /* [B, F] */
} adaptive_args;

enum { A_THRESHOLDS = SLOTS - 1 };

/* One step of n neurons; `now` receives the thresholds of this step. */
static inline __attribute__((always_inline)) void adaptive_row(const float *restrict current, float *restrict v,
                                                               float *restrict a, const float *restrict beta,
                                                               const float *restrict theta, float strength, float decay,
                                                               int64_t n, int zero_reset, float *restrict u,
                                                               float *restrict now) {
    for (int64_t j = 0; j < n; j++) {
        float t = strength * a[j];
        t = theta[j] + t;
        float x = beta[j] * v[j];
        x = x + current[j];
        float kept = decay * a[j];
        a[j] = x >= t ? kept + 1.0f : kept;
        v[j] = x >= t ? (zero_reset ? 0.0f : x - t) : x;
        u[j] = x;
        now[j] = t;
    }
}

/* Sample b, columns from .. from + width, all steps. */
static void adaptive_sample(const adaptive_args *aa, int64_t b, int64_t from, int64_t width) {
    const lif_args *a = &aa->lif;
    float v[TILE], adaptation[TILE], now[TILE], strength = (float)aa->strength, decay = (float)aa->decay;
    const float *beta = a->beta + from, *theta = a->theta + from;
    int64_t place = b * a->features + from;
    memcpy(v, a->start + place, (size_t)width * 4);
    memcpy(adaptation, aa->start_adaptation + place, (size_t)width * 4);
    for (int64_t t = 0; t < a->steps; t++) {
        int64_t at = t * a->batch + b;
        const float *current = a->current + t * a->current_step + place;
        float *row = a->potential + at * a->features + from;
        if (a->zero_reset) adaptive_row(current, v, adaptation, beta, theta, strength, decay, width, 1, row, now);
        else adaptive_row(current, v, adaptation, beta, theta, strength, decay, width, 0, row, now);
        if (a->spikes) {
            float *s = a->spikes + at * a->features + from;
            for (int64_t j = 0; j < width; j++) s[j] = row[j] >= now[j] ? 1.0f : 0.0f;
        }
        if (a->out_bits) {
            uint32_t *words = a->out_bits + at * a->out_words + from / 32;
            for (int64_t j = 0; j < width; j += 32) words[j / 32] = word_ge(row + j, now + j, (int)MIN(32, width - j));
        }
    }
    memcpy(a->end + place, v, (size_t)width * 4);
    memcpy(aa->end_adaptation + place, adaptation, (size_t)width * 4);
}

EXPORT void leanspike_adaptive_forward(const adaptive_args *aa) {
    const lif_args *a = &aa->lif;
    int64_t parts = parts_of(a->features, 1);
    int64_t groups = MIN(a->batch, 4 * a->threads), tasks = parts * groups;
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t part = task / groups, group = task % groups;
        int64_t from = cut(a->features, parts, part), width = cut(a->features, parts, part + 1) - from;
        for (int64_t b = a->batch * group / groups; b < a->batch * (group + 1) / groups; b++)
            adaptive_sample(aa, b, from, width);
    }
}

/* The thresholds of all steps of a tile, [T][width], from its potentials alone. */
static void adaptive_thresholds(const adaptive_args *aa, const float *potential, int64_t place, int64_t from,
                                int64_t width, float *restrict now) {
    const lif_args *a = &aa->lif;
    float adaptation[TILE], strength = (float)aa->strength, decay = (float)aa->decay;
    const float *theta = a->theta + from;
    memcpy(adaptation, aa->start_adaptation + place, (size_t)width * 4);
    for (int64_t t = 0; t < a->steps; t++, now += width) {
        const float *u = potential + t * a->batch * a->features;
        INDEPENDENT for (int64_t j = 0; j < width; j++) {
            float x = strength * adaptation[j];
            x = theta[j] + x;
            float kept = decay * adaptation[j];
            adaptation[j] = u[j] >= x ? kept + 1.0f : kept;
            now[j] = x;
        }
    }
}

typedef struct {
    float strength, decay, scale;
    int zero_reset, through_reset;
} adaptive_kind;

/* One step back: `k` receives the gradient of the current, `dt` that of the threshold. */
static inline __attribute__((always_inline)) void adaptive_back_row(int surrogate, int zero_reset, int through_reset,
                                                                    adaptive_kind kind, const float *restrict u,
                                                                    const float *restrict now, const float *restrict ds,
                                                                    const float *restrict du, const float *restrict beta,
                                                                    int64_t n, float *restrict dv, float *restrict da,
                                                                    float *restrict k, float *restrict dt) {
    for (int64_t j = 0; j < n; j++) {
        float x = u[j], carried = dv[j], s = ds[j] + da[j];
        if (through_reset) s = s - (zero_reset ? x : now[j]) * carried;
        float gate = s * slope(surrogate, x - now[j], kind.scale);
        float taken = x >= now[j] ? carried : 0.0f;
        float g = gate + (zero_reset ? carried - taken : carried) + du[j];
        float through = zero_reset ? -gate : -gate - taken;
        k[j] = g;
        dt[j] = through;
        dv[j] = beta[j] * g;
        da[j] = kind.decay * da[j] + kind.strength * through;
    }
}

#define ADAPTIVE_BACK(SURROGATE)                                                                                      \
    case SURROGATE:                                                                                                   \
        if (kind.zero_reset)                                                                                          \
            if (kind.through_reset) adaptive_back_row(SURROGATE, 1, 1, kind, u, now, ds, du, beta, n, dv, da, k, dt); \
            else adaptive_back_row(SURROGATE, 1, 0, kind, u, now, ds, du, beta, n, dv, da, k, dt);                    \
        else if (kind.through_reset) adaptive_back_row(SURROGATE, 0, 1, kind, u, now, ds, du, beta, n, dv, da, k, dt);\
        else adaptive_back_row(SURROGATE, 0, 0, kind, u, now, ds, du, beta, n, dv, da, k, dt);                        \
        break;

static void adaptive_back_step(int surrogate, adaptive_kind kind, const float *u, const float *now, const float *ds,
                               const float *du, const float *beta, int64_t n, float *dv, float *da, float *k,
                               float *dt) {
    switch (surrogate) {
        ADAPTIVE_BACK(ATAN)
        ADAPTIVE_BACK(SIGMOID)
        ADAPTIVE_BACK(FAST_SIGMOID)
        ADAPTIVE_BACK(TRIANGLE)
        ADAPTIVE_BACK(RECTANGLE)
        ADAPTIVE_BACK(STRAIGHT_THROUGH)
    }
}

/* One step's share of the gradients of beta and theta; `before` are the potentials of the step before, or the start. */
static inline void adaptive_learn(const float *before, const float *last, int zero_reset, const float *k,
                                  const float *dt, int64_t n, float *restrict d_beta, float *restrict d_theta) {
    for (int64_t j = 0; j < n; j++) {
        float v = before[j];
        if (last && v >= last[j]) v = zero_reset ? 0.0f : v - last[j];
        d_beta[j] += k[j] * v;
        d_theta[j] += dt[j];
    }
}

static inline void load_or_clear(float *to, const float *from, int64_t n) {
    if (from) memcpy(to, from, (size_t)n * 4);
    else memset(to, 0, (size_t)n * 4);
}

/* Sample b back through all steps, into grad_current. */
static void adaptive_sample_back(const adaptive_args *aa, int64_t b, int64_t from, int64_t width) {
    static const float zeros[TILE];
    const lif_args *a = &aa->lif;
    adaptive_kind kind = {(float)aa->strength, (float)aa->decay, (float)a->scale, (int)a->zero_reset,
                          (int)a->through_reset};
    int64_t frame = a->batch * a->features, place = b * a->features + from;
    float dv[TILE], da[TILE], row[TILE], dt[TILE];
    float *k = a->grad_current + place, *thresholds = scratch(A_THRESHOLDS, a->steps * TILE);
    const float *beta = a->beta + from;
    load_or_clear(dv, a->grad_end ? a->grad_end + place : NULL, width);
    load_or_clear(da, aa->grad_end_adaptation ? aa->grad_end_adaptation + place : NULL, width);
    adaptive_thresholds(aa, a->potential + place, place, from, width, thresholds);
    if (!a->current_step) memset(k, 0, (size_t)width * 4);
    if (a->grad_beta) {
        memset(a->grad_beta + place, 0, (size_t)width * 4);
        memset(a->grad_theta + place, 0, (size_t)width * 4);
    }
    for (int64_t t = a->steps - 1; t >= 0; t--) {
        const float *u = a->potential + t * frame + place, *now = thresholds + t * width;
        const float *ds = a->grad_spikes ? a->grad_spikes + t * a->grad_step + place : zeros;
        const float *du = a->grad_potential ? a->grad_potential + t * frame + place : zeros;
        adaptive_back_step((int)a->surrogate, kind, u, now, ds, du, beta, width, dv, da, row, dt);
        if (a->grad_beta)
            adaptive_learn(t ? u - frame : a->start + place, t ? now - width : NULL, kind.zero_reset, row, dt, width,
                           a->grad_beta + place, a->grad_theta + place);
        if (a->current_step) memcpy(k + t * a->current_step, row, (size_t)width * 4);
        else
            for (int64_t j = 0; j < width; j++) k[j] += row[j];
    }
    memcpy(a->grad_start + place, dv, (size_t)width * 4);
    memcpy(aa->grad_start_adaptation + place, da, (size_t)width * 4);
}

EXPORT void leanspike_adaptive_backward(const adaptive_args *aa) {
    const lif_args *a = &aa->lif;
    int64_t parts = parts_of(a->features, 1);
    int64_t groups = MIN(a->batch, 4 * a->threads), tasks = parts * groups;
#pragma omp parallel for schedule(static) num_threads(a->threads)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t part = task / groups, group = task % groups;
        int64_t from = cut(a->features, parts, part), width = cut(a->features, parts, part + 1) - from;
        for (int64_t b = a->batch * group / groups; b < a->batch * (group + 1) / groups; b++)
            adaptive_sample_back(aa, b, from, width);
    }
}

#endif
