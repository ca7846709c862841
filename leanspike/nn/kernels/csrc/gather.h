/* Sums of rows chosen by lists of active inputs: what a spike costs is one row.

   Tiles of WIDTH columns, blocks of BLOCK rows: the rows of one block and tile (26 KB, packed) stay in L1 while every
   list that points into the block is summed, so that the speed is L1's and not L2's. Lists of one length stand
   together: a mispredicted end of a loop costs as much as half a list of forty entries, so it should happen once for
   each length that occurs and not once for each list. */
#ifndef LEANSPIKE_GATHER_H
#define LEANSPIKE_GATHER_H

#include "team.h"
#include "vec.h"

#define WIDTH 16
#define ROW_BYTES (WIDTH * 4)
#define BLOCK_WORDS 13
#define BLOCK (BLOCK_WORDS * 32)
#define RUNS (BLOCK + 2)
#define SLACK 32

enum { LANES = WIDTH / VF, SUMS = 4, ABREAST = VF == 16 ? 2 : 1 };

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
    int32_t *place;   /* [blocks][count] where the lists begin, and the end of the last; while they are made */
    uint16_t *length; /* [blocks][count] of each owner's list; while they are made */
} row_lists;

static inline int64_t blocks_of(int64_t rows) { return (rows + BLOCK - 1) / BLOCK; }
static inline int64_t fours(int64_t n) { return (n + 3) & ~(int64_t)3; }

/* Add `rows` of the four rows that an entry of four lists. Four offsets are one load: a row takes a whole cycle of the
   load unit, and so a load for each offset would slow the rows down. */
static inline __attribute__((always_inline)) void add_rows(const float *restrict block, const uint16_t *entry, int rows,
                                                           vf s[SUMS][LANES]) {
    uint64_t four;
    memcpy(&four, entry, 8);
    UNROLL for (int i = 0; i < rows; i++) {
        const float *row = (const float *)((const char *)block + (uint16_t)(four >> (16 * i)));
        UNROLL for (int l = 0; l < LANES; l++) s[i][l] += vload(row + l * VF);
    }
}

/* out[owner] = init[owner] + the sum of the listed rows, for `lists` lists of the same length. */
static inline __attribute__((always_inline)) void sum_lists(const float *restrict block, const uint16_t *restrict entry,
                                                            int64_t length, int lists, const uint32_t *owner,
                                                            const float *init, int64_t init_step, float *out) {
    int64_t apart = fours(length), e = 0;
    vf s[ABREAST][SUMS][LANES];
    UNROLL for (int n = 0; n < lists; n++) UNROLL for (int l = 0; l < LANES; l++) {
        s[n][0][l] = vload(init + owner[n] * init_step + l * VF);
        UNROLL for (int i = 1; i < SUMS; i++) s[n][i][l] = vset(0);
    }
    for (; e + SUMS <= length; e += SUMS)
        UNROLL for (int n = 0; n < lists; n++) add_rows(block, entry + n * apart + e, SUMS, s[n]);
    UNROLL for (int rest = 1; rest < SUMS; rest++)
        if (length - e == rest) UNROLL for (int n = 0; n < lists; n++) add_rows(block, entry + n * apart + e, rest, s[n]);
    UNROLL for (int n = 0; n < lists; n++) UNROLL for (int l = 0; l < LANES; l++)
        vstore(out + (int64_t)owner[n] * WIDTH + l * VF, (s[n][0][l] + s[n][1][l]) + (s[n][2][l] + s[n][3][l]));
}

/* out[list][WIDTH] = init[list * init_step] + the sum of its rows, for every list into block `k`. */
static void sum_block(const row_lists *l, int64_t k, const float *block, const float *init, int64_t init_step,
                      float *out) {
    const uint32_t *owner = l->owner + k * l->count;
    const uint16_t *entry = l->entry + l->first[k];
    for (const run *r = l->runs + k * RUNS; r->lists; r++) {
        int64_t step = fours(r->length), n = 0;
        for (; n + ABREAST <= r->lists; n += ABREAST, owner += ABREAST, entry += ABREAST * step)
            sum_lists(block, entry, r->length, ABREAST, owner, init, init_step, out);
        for (; n < r->lists; n++, owner++, entry += step)
            sum_lists(block, entry, r->length, 1, owner, init, init_step, out);
    }
}

#if defined(__AVX512F__)
/* 0, 1 .. 31 rows in bytes. */
static inline __m512i offsets(void) {
    uint16_t at[32];
    for (int i = 0; i < 32; i++) at[i] = (uint16_t)(i * ROW_BYTES);
    return _mm512_loadu_si512(at);
}

/* Compressing 16-bit values came after the other instructions of this library's level: asked for at run time. */
__attribute__((target("avx512vbmi2"))) static void list_ones_vbmi2(const uint32_t *words, uint16_t *out) {
    const __m512i step = _mm512_set1_epi16(32 * ROW_BYTES);
    __m512i at = offsets();
    for (int64_t w = 0; w < BLOCK_WORDS; w++) {
        __m512i ones = _mm512_maskz_compress_epi16(words[w], at);
        int count = __builtin_popcount(words[w]);
        /* half a line, since most words have few ones and a store that crosses a line costs two */
        if (__builtin_expect(count <= 16, 1)) _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(ones));
        else _mm512_storeu_si512(out, ones);
        out += count;
        at = _mm512_add_epi16(at, step);
    }
}
#endif

/* Ones of BLOCK_WORDS words as ascending row offsets in bytes; `out` needs SLACK entries behind them. */
static inline void list_ones(const uint32_t *words, uint16_t *out) {
#if defined(__AVX512F__)
    if (__builtin_cpu_supports("avx512vbmi2")) {
        list_ones_vbmi2(words, out);
        return;
    }
    __m512i at = offsets();
    const __m512i step = _mm512_set1_epi16(32 * ROW_BYTES);
    for (int64_t w = 0; w < BLOCK_WORDS; w++, at = _mm512_add_epi16(at, step))
        for (int half = 0; half < 2; half++) {
            __mmask16 m = (__mmask16)(words[w] >> (16 * half));
            __m512i wide = _mm512_cvtepu16_epi32(half ? _mm512_extracti64x4_epi64(at, 1) : _mm512_castsi512_si256(at));
            _mm256_storeu_si256((__m256i *)out, _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(m, wide)));
            out += __builtin_popcount(m);
        }
#else
    for (int64_t w = 0; w < BLOCK_WORDS; w++)
        for (uint32_t word = words[w]; word; word &= word - 1)
            *out++ = (uint16_t)((w * 32 + __builtin_ctz(word)) * ROW_BYTES);
#endif
}

/* One block's lists by length: `place` receives where the lists begin, in their new order. Returns the end of the last. */
static int64_t sort_lists(int64_t count, const uint16_t *length, int64_t entries, uint32_t *owner, int32_t *place,
                          run *runs) {
    int64_t lists[BLOCK + 1] = {0}, at[BLOCK + 1], sorted = 0;
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

static void allocate_lists(row_lists *l, int64_t count, int64_t blocks) {
    l->count = count;
    l->blocks = blocks;
    l->owner = malloc((size_t)(blocks * count) * 4);
    l->place = malloc((size_t)(blocks * count + 1) * 4);
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

static void order_lists(row_lists *l) {
    int64_t n = l->count;
    l->first[0] = 0;
    for (int64_t k = 0; k < l->blocks; k++)
        l->first[k + 1] = sort_lists(n, l->length + k * n, l->first[k], l->owner + k * n, l->place + k * n,
                                     l->runs + k * RUNS);
    l->place[l->blocks * n] = (int32_t)l->first[l->blocks];
    l->entry = malloc((size_t)(l->first[l->blocks] + SLACK) * 2);
}

/* The ones of bits[blocks][count][BLOCK_WORDS] as lists. */
static void make_lists(row_lists *l, const uint32_t *bits, int64_t count, int64_t blocks, team t) {
    if (leads(t)) allocate_lists(l, count, blocks);
    meet(t);
    int64_t from = share(blocks * count, t), to = share_end(blocks * count, t);
    for (int64_t j = from; j < to; j++) {
        int ones = 0;
        for (int64_t w = 0; w < BLOCK_WORDS; w++) ones += __builtin_popcount(bits[j * BLOCK_WORDS + w]);
        l->length[j] = (uint16_t)ones;
    }
    meet(t);
    if (leads(t)) order_lists(l);
    meet(t);
    /* what a list writes too much, the next ones cover; but behind this thread's lists stand another thread's */
    for (int64_t p = from; p < to; p++) {
        const uint32_t *words = bits + (p / count * count + l->owner[p]) * BLOCK_WORDS;
        if (l->place[p + 1] + SLACK <= l->place[to]) list_ones(words, l->entry + l->place[p]);
        else {
            uint16_t list[BLOCK + SLACK];
            list_ones(words, list);
            memcpy(l->entry + l->place[p], list, (size_t)(l->place[p + 1] - l->place[p]) * 2);
        }
    }
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

/* bits[blocks][rows][BLOCK_WORDS], readable for SLACK words more, transposed: out[blocks of rows][columns][BLOCK_WORDS]. */
static void turn_bits(const uint32_t *bits, int64_t rows, int64_t columns, uint32_t *out, team t) {
    int64_t groups = blocks_of(rows) * BLOCK_WORDS, blocks = blocks_of(columns);
    for (int64_t task = share(groups * blocks, t); task < share_end(groups * blocks, t); task++) {
        int64_t group = task / blocks, block = task % blocks, row = group * 32, live = MIN(32, rows - row);
        uint32_t *to = out + group / BLOCK_WORDS * columns * BLOCK_WORDS + group % BLOCK_WORDS;
        for (int64_t w = 0; w < BLOCK_WORDS; w += VF) {
            vw a[32] = {0};
            for (int64_t i = 0; i < live; i++)
                a[i] = *(const vw_any *)(bits + (block * rows + row + i) * BLOCK_WORDS + w);
            turn_words(a);
            for (int64_t j = 0; j < MIN(VF, BLOCK_WORDS - w); j++) {
                int64_t column = block * BLOCK + (w + j) * 32;
                for (int64_t i = 0; i < MIN(32, columns - column); i++) to[(column + i) * BLOCK_WORDS] = a[i][j];
            }
        }
    }
}

/* `live` columns of `rows` rows, `stride` floats apart, as a block of WIDTH columns. */
static void pack_block(const float *x, int64_t stride, int64_t rows, int live, float *block) {
    for (int64_t r = 0; r < rows; r++)
        if (live == WIDTH) UNROLL for (int l = 0; l < WIDTH; l += VF) vstore(block + r * WIDTH + l, vload(x + r * stride + l));
        else
            for (int j = 0; j < WIDTH; j++) block[r * WIDTH + j] = j < live ? x[r * stride + j] : 0.0f;
}

#endif
