/* Which rows are active, as lists: made once from packed bits and read for every tile of columns.

   Lists point into blocks of BLOCK rows of WIDTH columns. Those of one length stand together: a mispredicted end of a
   loop costs as much as half a list of forty entries, so it should happen once for each length that occurs and not once
   for each list. */
#ifndef LEANSPIKE_LISTS_H
#define LEANSPIKE_LISTS_H

#include "team.h"
#include "vec.h"

#define WIDTH 16
#define ROW_BYTES (WIDTH * 4)
#define BLOCK_WORDS 13
#define BLOCK (BLOCK_WORDS * 32)
#define RUNS (BLOCK + 2)
#define SLACK 32

enum { LANES = WIDTH / VF };

typedef struct {
    int32_t length, lists;
} run;

typedef struct {
    int64_t count;    /* lists in a block */
    int64_t blocks;
    uint32_t *owner;  /* [blocks][count] whose list stands there: by length, then ascending */
    run *runs;        /* [blocks][RUNS] lists of the same length; a run of no lists ends them */
    int64_t *first;   /* [blocks + 1] a block's first entry */
    uint16_t *entry;  /* rows within the block, in bytes; a list begins at a multiple of four */
    int32_t *place;   /* [blocks][count] where in its block a list begins; while they are made */
    uint16_t *length; /* [blocks][count] of each owner's list; while they are made */
} row_lists;

static inline int64_t blocks_of(int64_t rows) { return (rows + BLOCK - 1) / BLOCK; }
static inline int64_t fours(int64_t n) { return (n + 3) & ~(int64_t)3; }

#if defined(__AVX512F__)
/* 0, 1 .. 31 rows in bytes. */
static inline __m512i offsets(void) {
    uint16_t at[32];
    for (int i = 0; i < 32; i++) at[i] = (uint16_t)(i * ROW_BYTES);
    return _mm512_loadu_si512(at);
}

/* Compressing 16-bit values came after the other instructions of this library's level: asked for at run time. */
__attribute__((target("avx512vbmi2"))) static void list_ones_vbmi2(const uint32_t *words, int64_t count, uint16_t *out) {
    const __m512i step = _mm512_set1_epi16(32 * ROW_BYTES);
    __m512i at = offsets();
    for (int64_t w = 0; w < count; w++) {
        __m512i ones = _mm512_maskz_compress_epi16(words[w], at);
        int many = __builtin_popcount(words[w]);
        /* half a line, since most words have few ones and a store that crosses a line costs two */
        if (__builtin_expect(many <= 16, 1)) _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(ones));
        else _mm512_storeu_si512(out, ones);
        out += many;
        at = _mm512_add_epi16(at, step);
    }
}
#endif

/* Ones of `count` words as ascending row offsets in bytes; `out` needs SLACK entries behind them. */
static inline void list_ones(const uint32_t *words, int64_t count, uint16_t *out) {
#if defined(__AVX512F__)
    if (__builtin_cpu_supports("avx512vbmi2")) {
        list_ones_vbmi2(words, count, out);
        return;
    }
    __m512i at = offsets();
    const __m512i step = _mm512_set1_epi16(32 * ROW_BYTES);
    for (int64_t w = 0; w < count; w++, at = _mm512_add_epi16(at, step))
        for (int half = 0; half < 2; half++) {
            __mmask16 m = (__mmask16)(words[w] >> (16 * half));
            __m512i wide = _mm512_cvtepu16_epi32(half ? _mm512_extracti64x4_epi64(at, 1) : _mm512_castsi512_si256(at));
            _mm256_storeu_si256((__m256i *)out, _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(m, wide)));
            out += __builtin_popcount(m);
        }
#else
    for (int64_t w = 0; w < count; w++)
        for (uint32_t word = words[w]; word; word &= word - 1)
            *out++ = (uint16_t)((w * 32 + __builtin_ctz(word)) * ROW_BYTES);
#endif
}

/* One block's lists by length: `place` receives where in the block the lists begin, in their new order. Returns the end
   of the last. */
static int64_t sort_lists(int64_t count, const uint16_t *length, uint32_t *owner, int32_t *place, run *runs) {
    int64_t lists[BLOCK + 1] = {0}, at[BLOCK + 1], sorted = 0, entries = 0;
    for (int64_t j = 0; j < count; j++) lists[length[j]]++;
    for (int n = 0; n <= BLOCK; n++) {
        if (lists[n]) *runs++ = (run){n, (int32_t)lists[n]};
        at[n] = sorted;
        for (int64_t end = sorted + lists[n]; sorted < end; sorted++, entries += fours(n)) place[sorted] = (int32_t)entries;
    }
    *runs = (run){0, 0};
    for (int64_t j = 0; j < count; j++) owner[at[length[j]]++] = (uint32_t)j;
    return entries;
}

/* Room for lists; what they point to is made by make_lists. */
static void allocate_lists(row_lists *l, int64_t count, int64_t blocks) {
    l->count = count;
    l->blocks = blocks;
    l->owner = malloc((size_t)(blocks * count) * 4);
    l->place = malloc((size_t)(blocks * count) * 4);
    l->length = malloc((size_t)(blocks * count) * 2);
    l->runs = malloc((size_t)(blocks * RUNS) * sizeof(run));
    l->first = malloc((size_t)(blocks + 1) * 8);
}

static void free_lists(row_lists *l) {
    free(l->owner);
    free(l->runs);
    free(l->first);
    free(l->entry);
}

/* Packed rows, cut into blocks of BLOCK_WORDS words: `live` of them stand one behind the other, and so many words further
   the next ones. */
typedef struct {
    const uint32_t *bits, *end;
    int64_t live, step; /* rows that stand together; words from there to the next ones */
    int64_t row, block; /* words from row to row, from block to block */
    int64_t words;      /* of a row in all blocks */
} word_rows;

/* Rows that stand block by block: bits[blocks][count][BLOCK_WORDS]. */
static word_rows block_by_block(const uint32_t *bits, int64_t count, int64_t blocks) {
    return (word_rows){.bits = bits, .end = bits + blocks * count * BLOCK_WORDS, .live = MAX(1, count), .row = BLOCK_WORDS,
                       .block = count * BLOCK_WORDS, .words = blocks * BLOCK_WORDS};
}

static inline const uint32_t *row_at(const word_rows *w, int64_t block, int64_t row) {
    uint32_t apart = (uint32_t)row / (uint32_t)w->live;
    return w->bits + block * w->block + apart * w->step + (row - apart * w->live) * w->row;
}

/* Words that a block has. */
static inline int64_t words_in(const word_rows *w, int64_t block) { return MIN(BLOCK_WORDS, w->words - block * BLOCK_WORDS); }

/* Where the list begins that comes `p`th of all blocks'. */
static inline int64_t entry_at(const row_lists *l, int64_t p) {
    return p < l->blocks * l->count ? l->first[p / l->count] + l->place[p] : l->first[l->blocks];
}

/* Of the lists from .. to of all blocks, those of one block: their places there. */
typedef struct {
    int64_t begin, end;
} span;

static inline span span_in(const row_lists *l, int64_t block, int64_t from, int64_t to) {
    int64_t first = block * l->count;
    return (span){MAX(0, from - first), MIN(l->count, to - first)};
}

static void count_ones(const row_lists *l, const word_rows *rows, int64_t from, int64_t to) {
    for (int64_t block = 0; block < l->blocks; block++) {
        span own = span_in(l, block, from, to);
        int64_t words = words_in(rows, block);
        for (int64_t j = own.begin; j < own.end; j++) {
            const uint32_t *at = row_at(rows, block, j);
            int ones = 0;
            for (int64_t w = 0; w < words; w++) ones += __builtin_popcount(at[w]);
            l->length[block * l->count + j] = (uint16_t)ones;
        }
    }
}

/* Lists from .. to, in their new order. What a list writes too much, the next ones cover; but behind the last of these
   stand another thread's. */
static void write_lists(const row_lists *l, const word_rows *rows, int64_t from, int64_t to) {
    int64_t end = entry_at(l, to);
    for (int64_t block = 0; block < l->blocks; block++) {
        span own = span_in(l, block, from, to);
        int64_t words = words_in(rows, block), first = l->first[block];
        const int32_t *place = l->place + block * l->count;
        for (int64_t p = own.begin; p < own.end; p++) {
            const uint32_t *at = row_at(rows, block, l->owner[block * l->count + p]);
            int64_t begin = first + place[p], behind = p + 1 < l->count ? first + place[p + 1] : l->first[block + 1];
            if (behind + SLACK <= end) list_ones(at, words, l->entry + begin);
            else {
                uint16_t list[BLOCK + SLACK];
                list_ones(at, words, list);
                memcpy(l->entry + begin, list, (size_t)(behind - begin) * 2);
            }
        }
    }
}

/* The ones of all rows as lists. */
static void make_lists(row_lists *l, const word_rows *rows, team t) {
    int64_t all = l->blocks * l->count, from = share(all, t), to = share_end(all, t);
    count_ones(l, rows, from, to);
    meet(t);
    for (int64_t k = t.id; k < l->blocks; k += t.size) {
        int64_t at = k * l->count;
        l->first[k + 1] = sort_lists(l->count, l->length + at, l->owner + at, l->place + at, l->runs + k * RUNS);
    }
    meet(t);
    if (leads(t)) {
        l->first[0] = 0;
        for (int64_t k = 0; k < l->blocks; k++) l->first[k + 1] += l->first[k];
        l->entry = malloc((size_t)(l->first[l->blocks] + SLACK) * 2);
    }
    meet(t);
    write_lists(l, rows, from, to);
    meet(t);
    if (leads(t)) {
        free(l->place);
        free(l->length);
    }
}

typedef uint32_t vw __attribute__((vector_size(VF * 4)));
typedef uint32_t vw_any __attribute__((vector_size(VF * 4), aligned(4), may_alias));

/* Transpose 32 rows of VF words each, every word a matrix of 32 x 32 with the 31 below it. */
static inline void turn_words(vw a[32]) {
    uint32_t mask = 0x0000FFFF;
    for (int j = 16; j; j >>= 1, mask ^= mask << j)
        for (int k = 0; k < 32; k = (k + j + 1) & ~j) {
            vw swap = ((a[k] >> j) ^ a[k + j]) & mask;
            a[k] ^= swap << j;
            a[k + j] ^= swap;
        }
}

/* Bits of `count` rows transposed: out[blocks of rows][columns][BLOCK_WORDS]. */
static void turn_bits(const word_rows *rows, int64_t count, int64_t columns, uint32_t *out, team t) {
    int64_t groups = blocks_of(count) * BLOCK_WORDS, blocks = blocks_of(columns);
    for (int64_t task = share(groups * blocks, t); task < share_end(groups * blocks, t); task++) {
        int64_t group = task / blocks, block = task % blocks, row = group * 32, live = MIN(32, count - row);
        uint32_t *to = out + group / BLOCK_WORDS * columns * BLOCK_WORDS + group % BLOCK_WORDS;
        for (int64_t w = 0; w < words_in(rows, block); w += VF) {
            vw a[32] = {0};
            for (int64_t i = 0; i < live; i++) {
                const uint32_t *at = row_at(rows, block, row + i) + w;
                if (at + VF <= rows->end) a[i] = *(const vw_any *)at;
                else memcpy(a + i, at, (size_t)(rows->end - at) * 4);
            }
            turn_words(a);
            for (int64_t j = 0; j < MIN(VF, words_in(rows, block) - w); j++) {
                int64_t column = block * BLOCK + (w + j) * 32;
                for (int64_t i = 0; i < MIN(32, columns - column); i++) to[(column + i) * BLOCK_WORDS] = a[i][j];
            }
        }
    }
}

#endif
