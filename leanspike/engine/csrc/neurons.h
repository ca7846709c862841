/* One step of a layer of neurons, for one pair of types: S of the state, A of the sums (included once for each pair).

   u = sat(((v m) >> k) + I + b);  s = u >= theta;  v = u - s amount, or 0 where s. A neuron with hold > 0 keeps its v.
   Where thresholds adapt, theta + (a >> f) stands for theta, and a = min(((a n) >> k') + s jump, highest). */
#define PAIR(name) JOIN(name, JOIN(JOIN(_, S_BITS), JOIN(_, A_BITS)))
#define S JOIN(JOIN(int, S_BITS), _t)
#define A JOIN(JOIN(int, A_BITS), _t)

INLINE uint64_t PAIR(block)(const Op *op, const Row *row, S *state, const A *sums, int32_t *hold,
                            int32_t *adapt, const int fires, const int saturates, const int zero, const int adapts) {
    const v32 lowest = (v32){0} + (int32_t)op->lowest, highest = (v32){0} + (int32_t)op->highest;
    const int shift = (int)op->shift, up = adapts && op->adapt_fraction < 0 ? -(int)op->adapt_fraction : 0;
    uint64_t spikes = 0;
    UNROLL for (int j = 0; j < BLOCK; j += LANES32) {
        const v32 v = JOIN(load_, S_BITS)(state + j);
        v32 u = ((v * load_32(row->leak + j)) >> shift) + JOIN(load_, A_BITS)(sums + j);
        if (row->bias) u += load_32(row->bias + j);
        if (saturates) u = most(least(u, highest), lowest);
        if (fires) {
            v32 theta = load_32(row->threshold + j), a;
            if (adapts) {
                a = load_32(adapt + j);
                theta += up ? a << up : a >> (int)op->adapt_fraction;
            }
            v32 fired = u >= theta;
            if (hold) {
                const v32 left = load_32(hold + j), held = left > 0;
                fired &= ~held;
                u = (v & held) | (u & ~held);
                store_32(hold + j, ((left - 1) & held) | (fired & (int32_t)op->refractory));
            }
            if (adapts) {
                const v32 after = ((a * load_32(row->adapt_leak + j)) >> (int)op->adapt_shift);
                store_32(adapt + j, least(after + (load_32(row->adapt_jump + j) & fired), (v32){0} + (int32_t)op->adapt_highest));
            }
            const v32 amount = adapts && !row->amount ? theta : load_32(row->amount + j);
            u = zero ? u & ~fired : u - (amount & fired);
            spikes |= signs(fired) << j;
        }
        JOIN(store_, S_BITS)(state + j, u);
    }
    return spikes;
}

INLINE void PAIR(layer)(const Op *op, Row row, S *state, const A *sums, int32_t *hold, int32_t *adapt,
                        uint64_t *spikes, int64_t elements, const int fires, const int saturates, const int zero,
                        const int adapts) {
    const Row first = row;
    int64_t left = op->repeat;
    for (int64_t i = 0; i < elements; i += BLOCK) {
        const uint64_t word = PAIR(block)(op, &row, state + i, sums + i, hold ? hold + i : 0, adapts ? adapt + i : 0,
                                          fires, saturates, zero, adapts);
        if (fires) spikes[i / 64] = elements - i < 64 ? word & ((1ull << (elements - i)) - 1) : word;
        left -= BLOCK;
        row = left ? row_after(row) : first;
        left = left ? left : op->repeat;
    }
}

static void PAIR(neurons)(const Op *op, int64_t t, void *state, const void *sums, int32_t *hold, int32_t *adapt,
                          uint64_t *spikes, int64_t elements) {
    const Row row = row_of(op, t);
#define ALL(fires, saturates, zero, adapts)                                                                          \
    PAIR(layer)(op, row, (S *)state, (const A *)sums, hold, adapt, spikes, elements, fires, saturates, zero, adapts)
#define LAYER(fires, saturates, zero) ALL(fires, saturates, zero, 0)
    if (!spikes) {
        if (op->saturates) LAYER(0, 1, 0);
        else LAYER(0, 0, 0);
    } else if (adapt) {
        if (op->zero) ALL(1, 1, 1, 1);
        else ALL(1, 1, 0, 1);
    } else if (op->zero) {
        if (op->saturates) LAYER(1, 1, 1);
        else LAYER(1, 0, 1);
    } else {
        if (op->saturates) LAYER(1, 1, 0);
        else LAYER(1, 0, 0);
    }
#undef LAYER
#undef ALL
}

#undef PAIR
#undef S
#undef A
#undef S_BITS
#undef A_BITS
