/* From a value to the list of its active inputs.

   Spikes are compared with a pattern whose sums are at hand: where fewer inputs differ from the pattern than are active,
   what was added and what was removed is listed instead of all that is active. The sums are the same integers. */
#ifndef LEANSPIKE_EVENTS_H
#define LEANSPIKE_EVENTS_H

#include "engine.h"
#include "lanes.h"

/* `amounts` is null for spikes. `fresh`: sums start from 0, else from those of the pattern. */
typedef struct {
    const uint32_t *added, *removed;
    const int32_t *amounts;
    int64_t added_count, removed_count;
} Events;

typedef struct {
    int64_t added, removed, fresh;
} Listed;

/* The place of the lowest bit; of no use, but defined, where there is none. */
INLINE int lowest_bit(uint64_t word) {
#if defined(__BMI__)
    return (int)_tzcnt_u64(word);
#else
    return __builtin_ctzll(word | 1ull << 63);
#endif
}

INLINE int64_t words_of(int64_t bits) { return (bits + 63) / 64; }

/* Four are written whether or not there are as many: a branch for each would be guessed wrong too often. */
INLINE int64_t list_word(uint64_t word, uint32_t first, uint32_t *list, int64_t count) {
    const int64_t end = count + __builtin_popcountll(word);
    do {
        UNROLL for (int j = 0; j < 4; j++, word &= word - 1) list[count + j] = first + (uint32_t)lowest_bit(word);
        count += 4;
    } while (count < end);
    return end;
}

static int64_t list_bits(const uint64_t *words, int64_t bits, uint32_t *list) {
    int64_t count = 0;
    for (int64_t w = 0; w < words_of(bits); w++) count = list_word(words[w], (uint32_t)(64 * w), list, count);
    return count;
}

static int64_t count_bits(const uint64_t *words, int64_t bits) {
    int64_t count = 0;
    for (int64_t w = 0; w < words_of(bits); w++) count += __builtin_popcountll(words[w]);
    return count;
}

/* `moving`: the pattern is what was active in the step before, and becomes what is active now. */
static Listed list_spikes(const uint64_t *now, uint64_t *pattern, int64_t bits, int64_t first, int64_t moving,
                          uint32_t *added, uint32_t *removed) {
    Listed listed = {0, 0, 1};
    int64_t active = 0, changed = 0;
    if (!first)
        for (int64_t w = 0; w < words_of(bits); w++) {
            active += __builtin_popcountll(now[w]);
            changed += __builtin_popcountll(now[w] ^ pattern[w]);
        }
    if (changed < active) {
        listed.fresh = 0;
        for (int64_t w = 0; w < words_of(bits); w++) {
            listed.added = list_word(now[w] & ~pattern[w], (uint32_t)(64 * w), added, listed.added);
            listed.removed = list_word(pattern[w] & ~now[w], (uint32_t)(64 * w), removed, listed.removed);
        }
    } else {
        listed.added = list_bits(now, bits, added);
    }
    if (moving) memcpy(pattern, now, (size_t)words_of(bits) * 8);
    return listed;
}

#define LIST_AMOUNTS(T)                                                                                     \
    static int64_t list_amounts_##T(const T *x, int64_t elements, uint32_t *list, int32_t *amounts) {     \
        int64_t count = 0;                                                                                  \
        for (int64_t i = 0; i < elements; i++) {                                                            \
            list[count] = (uint32_t)i;                                                                      \
            amounts[count] = x[i];                                                                          \
            count += x[i] != 0;                                                                             \
        }                                                                                                   \
        return count;                                                                                       \
    }
LIST_AMOUNTS(int16_t)
LIST_AMOUNTS(int32_t)
#undef LIST_AMOUNTS

#endif
