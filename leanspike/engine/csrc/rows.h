/* Sums of weight rows, for one pair of types: W of the weights, A of the sums (included once for each pair).

   Sums wrap around in between: they are sums modulo 2^16 or 2^32, and plan.py has proved that what they end at fits A. */
#define PAIR(name) JOIN(name, JOIN(JOIN(_, W_BITS), JOIN(_, A_BITS)))
#define W JOIN(JOIN(int, W_BITS), _t)
#define A JOIN(JOIN(int, A_BITS), _t)
#define V JOIN(v, A_BITS)
#define LANES ((int)(VECTOR / sizeof(A)))
#define AT_ONCE (ACCUMULATORS * LANES / GRANULE)

typedef A PAIR(any) __attribute__((vector_size(VECTOR), aligned(sizeof(A)), may_alias));

/* The sums of `granules` granules of columns stay in registers while every row is added. */
INLINE void PAIR(tile)(const W *weight, int64_t columns, const A *start, A *sums, const Events *events, const int granules) {
    V kept[ACCUMULATORS];
    const int count = granules * GRANULE / LANES;
    UNROLL for (int j = 0; j < count; j++) kept[j] = (V){0};
    if (start) UNROLL for (int j = 0; j < count; j++) kept[j] = *(const PAIR(any) *)(start + j * LANES);
    if (events->amounts) {
        for (int64_t e = 0; e < events->added_count; e++) {
            const W *row = weight + (int64_t)events->added[e] * columns;
            const A amount = (A)events->amounts[e];
            UNROLL for (int j = 0; j < count; j++) kept[j] += PAIR(widen)(row + j * LANES) * amount;
        }
    } else {
        for (int64_t e = 0; e < events->added_count; e++) {
            const W *row = weight + (int64_t)events->added[e] * columns;
            UNROLL for (int j = 0; j < count; j++) kept[j] += PAIR(widen)(row + j * LANES);
        }
        for (int64_t e = 0; e < events->removed_count; e++) {
            const W *row = weight + (int64_t)events->removed[e] * columns;
            UNROLL for (int j = 0; j < count; j++) kept[j] -= PAIR(widen)(row + j * LANES);
        }
    }
    UNROLL for (int j = 0; j < count; j++) *(PAIR(any) *)(sums + j * LANES) = kept[j];
}

/* sums = start (zeros if null) + the rows that were added - the rows that were removed. */
static void PAIR(dense)(const Op *op, const void *start, void *sums, const Events *events) {
    const int64_t columns = op->columns;
    for (int64_t c = 0; c < columns;) {
        const W *weight = (const W *)op->weight + c;
        const A *from = start ? (const A *)start + c : 0;
        A *to = (A *)sums + c;
        const int granules = (int)MIN(AT_ONCE, (columns - c) / GRANULE);
        c += granules * GRANULE;
        switch (granules) {
#define TILE(g)                                                                   \
    case g:                                                                       \
        if (g <= AT_ONCE) PAIR(tile)(weight, columns, from, to, events, g <= AT_ONCE ? g : 1); \
        break;
            TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)
            TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14) TILE(15) TILE(16)
#undef TILE
        }
    }
}

/* One run of taps: sums[i] += weight[i] times. Runs of weights end in zeros up to a whole granule, so a run that is not
   clipped may be added in whole vectors. */
INLINE void PAIR(run)(A *sums, const W *weight, int length, int clipped, A amount) {
    int i = 0;
    for (; i < (clipped ? length - LANES + 1 : length); i += LANES) {
        PAIR(any) *at = (PAIR(any) *)(sums + i);
        *at += PAIR(widen)(weight + i) * amount;
    }
    for (; i < length; i++) sums[i] = (A)(sums[i] + weight[i] * amount);
}

INLINE void PAIR(scatter)(const Op *op, A *sums, const uint32_t *inputs, const int32_t *amounts, int64_t count, A sign) {
    const uint32_t channels = (uint32_t)op->channels, width = (uint32_t)op->width;
    for (int64_t e = 0; e < count; e++) {
        const uint32_t place = inputs[e] / channels, row = place / width;
        const Reach *column = op->along + (place - row * width), *across = op->across + row * op->reaches;
        const W *weight = (const W *)op->weight + (int64_t)(inputs[e] - place * channels) * op->block + column->from;
        const A amount = amounts ? (A)amounts[e] : sign;
        for (int64_t k = 0; k < op->reaches && across[k].length; k++)
            PAIR(run)(sums + across[k].to + column->to, weight + across[k].from, column->length, column->clipped, amount);
    }
}

static void PAIR(conv)(const Op *op, const void *start, void *sums, const Events *events, int64_t elements) {
    const size_t bytes = (size_t)elements * sizeof(A);
    if (!start) memset(sums, 0, bytes);
    else if (start != sums) memcpy(sums, start, bytes);
    if (events->amounts) {
        PAIR(scatter)(op, (A *)sums, events->added, events->amounts, events->added_count, 1);
        return;
    }
    PAIR(scatter)(op, (A *)sums, events->added, 0, events->added_count, 1);
    PAIR(scatter)(op, (A *)sums, events->removed, 0, events->removed_count, -1);
}

#undef PAIR
#undef W
#undef A
#undef V
#undef LANES
#undef AT_ONCE
#undef W_BITS
#undef A_BITS
