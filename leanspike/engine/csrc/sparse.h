/* Sums of sparse rows, for sums of one type A (included once for each): only connections that there are.

   Sums wrap around in between, as in rows.h. */
#define PAIR(name) JOIN(name, JOIN(_, A_BITS))
#define A JOIN(JOIN(int, A_BITS), _t)

INLINE void PAIR(entries)(const Op *op, uint32_t row, A *sums, A amount) {
    const uint32_t *entry = (const uint32_t *)op->weight + op->starts[row];
    const uint32_t *const end = (const uint32_t *)op->weight + op->starts[row + 1];
    for (; entry != end; entry++)
        sums[*entry >> 9] = (A)(sums[*entry >> 9] + ((int32_t)(*entry & 511) - 256) * amount);
}

/* Those of a run whose places lie in [skipped, skipped + length), at sums[place - skipped]. */
INLINE void PAIR(clipped_entries)(const Op *op, uint32_t row, A *sums, uint32_t skipped, uint32_t length, A amount) {
    const uint32_t *entry = (const uint32_t *)op->weight + op->starts[row];
    const uint32_t *const end = (const uint32_t *)op->weight + op->starts[row + 1];
    for (; entry != end; entry++) {
        const uint32_t place = (*entry >> 9) - skipped;
        if (place < length) sums[place] = (A)(sums[place] + ((int32_t)(*entry & 511) - 256) * amount);
    }
}

INLINE void PAIR(sparse_scatter)(const Op *op, A *sums, const uint32_t *inputs, const int32_t *amounts, int64_t count,
                                 A sign) {
    const uint32_t channels = (uint32_t)op->channels, width = (uint32_t)op->width;
    for (int64_t e = 0; e < count; e++) {
        const A amount = amounts ? (A)amounts[e] : sign;
        if (op->kind == SPARSE_DENSE) {
            PAIR(entries)(op, inputs[e], sums, amount);
            continue;
        }
        const uint32_t place = inputs[e] / channels, row = place / width;
        const Reach *column = op->along + (place - row * width), *across = op->across + row * op->reaches;
        const uint32_t first = (inputs[e] - place * channels) * (uint32_t)op->block + (uint32_t)column->from;
        for (int64_t k = 0; k < op->reaches && across[k].length; k++)
            PAIR(clipped_entries)(op, first + (uint32_t)across[k].from, sums + across[k].to + column->to,
                                  (uint32_t)column->clipped, (uint32_t)column->length, amount);
    }
}

static void PAIR(sparse)(const Op *op, const void *start, void *sums, const Events *events, int64_t elements) {
    const size_t bytes = (size_t)elements * sizeof(A);
    if (!start) memset(sums, 0, bytes);
    else if (start != sums) memcpy(sums, start, bytes);
    PAIR(sparse_scatter)(op, (A *)sums, events->added, events->amounts, events->added_count, 1);
    if (!events->amounts) PAIR(sparse_scatter)(op, (A *)sums, events->removed, 0, events->removed_count, -1);
}

#undef PAIR
#undef A
#undef A_BITS
