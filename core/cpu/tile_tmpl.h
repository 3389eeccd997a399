/* tile_tmpl.h - matrix products by tiles of bfloat16: the AMX instructions, or the same operations in C, which let any
 * machine test layout, order and rounding. Numbers TILES1, TILES2, TILES3.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_AMX: the instructions.
 *
 * A value is the sum of 1, 2 or 3 bfloat16 numbers, its parts: the first is the value rounded, the next is the rest
 * rounded, and so on. A product of two values is the sum of the products of their parts; of 2 parts, the product of both
 * second parts is left out (relative error of a product about 5e-6), of 3 parts, all that are smaller than float32's
 * rounding. Small products are added first.
 *
 * Every output is one sum in a fixed order: part by part, then 32 terms at a time. Rows of A beyond the last are 0, so
 * that no result depends on the number of rows. SPDX-License-Identifier: MIT
 */
#ifndef CAD_TILE_TMPL_H
#define CAD_TILE_TMPL_H

#include "numbers.h"
#include "product_tmpl.h"

#define TILE_ROWS 16                         /* rows of a tile, and columns of a tile of C */
#define TILE_HALVES (TILE_ROWS * TILE_TERMS) /* bfloat16 numbers in a tile of A or W */
#define SLAB 2048                            /* terms of A that are split into parts at once */
#define SPLIT_ROOM (3 * TILE_COLUMNS * SLAB) /* bfloat16 numbers that product_tiles can hold */

/* ---- the operations: tile i of 8 is set to 0, loaded, multiplied, stored; pitch: bytes from row to row ---- */

#if defined(CAD_ISA_AMX)
typedef struct {
    char none;
} tiles_t;
#define tile_zero(s, i) _tile_zero(i)
#define tile_load(s, i, from, pitch) _tile_loadd(i, from, pitch)
#define tile_dot(s, c, a, b) _tile_dpbf16ps(c, a, b)
#define tile_store(s, i, to, pitch) _tile_stored(i, to, pitch)

static void tiles_begin(void)
{
    static const struct {
        uint8_t palette, start, zero[14];
        uint16_t bytes[16]; /* in a row of each tile */
        uint8_t rows[16];
    } shape = { .palette = 1, .bytes = { 64, 64, 64, 64, 64, 64, 64, 64 }, .rows = { 16, 16, 16, 16, 16, 16, 16, 16 } };
    _tile_loadconfig(&shape);
}
static void tiles_end(void) { _tile_release(); }

#else
typedef union {
    float f[TILE_ROWS][TILE_ROWS];
    uint16_t h[TILE_ROWS][TILE_TERMS];
} tile_t;
typedef struct {
    tile_t tile[8];
} tiles_t;

static void tile_move(void *to, int64_t to_pitch, const void *from, int64_t pitch)
{
    for (int64_t r = 0; r < TILE_ROWS; r++) memcpy((char *)to + r * to_pitch, (const char *)from + r * pitch, 64);
}
#define tile_zero(s, i) memset(&(s)->tile[i], 0, sizeof(tile_t))
#define tile_load(s, i, from, pitch) tile_move(&(s)->tile[i], 64, from, pitch)
#define tile_store(s, i, to, pitch) tile_move(to, pitch, &(s)->tile[i], 64)
#define tile_dot(s, c, a, b) tile_multiply(&(s)->tile[c], &(s)->tile[a], &(s)->tile[b])

/* Returns v, or 0 if v is subnormal, as the instructions treat inputs and sums. */
INLINE float flushed(float v) { return v < 0x1p-126f && v > -0x1p-126f ? 0.0f : v; }

INLINE float wide(uint16_t half) { return flushed(half_value(half)); }

/* c += A B for a tile A (16 rows,32) and pairs of rows of B (16,16 pairs). The sums over even and over odd terms are
 * computed apart and then added; products of bfloat16 are exact in float32, so multiplying and adding rounds once, as
 * the instruction does. */
static void tile_multiply(tile_t *c, const tile_t *a, const tile_t *b)
{
    for (int r = 0; r < TILE_ROWS; r++) {
        float even[TILE_ROWS] = { 0 }, odd[TILE_ROWS] = { 0 };
        for (int k = 0; k < TILE_ROWS; k++)
            for (int n = 0; n < TILE_ROWS; n++) {
                even[n] = flushed(even[n] + wide(a->h[r][2 * k]) * wide(b->h[k][2 * n]));
                odd[n] = flushed(odd[n] + wide(a->h[r][2 * k + 1]) * wide(b->h[k][2 * n + 1]));
            }
        for (int n = 0; n < TILE_ROWS; n++) c->f[r][n] = flushed(c->f[r][n] + flushed(even[n] + odd[n]));
    }
}
static void tiles_begin(void) {}
static void tiles_end(void) {}
#endif

/* ---- A in parts: [part][block of 16 rows][32 terms] tiles ---- */

typedef struct {
    uint16_t *at;
    int64_t blocks, chunks; /* tiles of each part, over rows and over terms */
} split_t;

INLINE const uint16_t *split_tile(const split_t *s, int part, int64_t block, int64_t chunk)
{
    return s->at + ((part * s->blocks + block) * s->chunks + chunk) * TILE_HALVES;
}

/* Stores 32 values, of which n exist, as a tile's row of each part; stride: bfloat16 numbers from part to part. */
INLINE void split_terms(const int parts, const float *from, int64_t n, uint16_t *to, int64_t stride)
{
    for (int64_t i = 0; i < TILE_TERMS; i += VW) {
        vf v = i < n ? vload(from + i) : vset(0.0f);
        REPEAT(p, parts) {
            vhalves(to + p * stride + i, v);
            v = v - vrounded(v);
        }
    }
}

/* Splits `rows` rows of k terms of A into s; rows from there to the end of a block are 0. */
INLINE void split_rows(const int parts, const float *a, int64_t lda, int64_t rows, int64_t k, split_t *s)
{
    int64_t stride;
    s->blocks = (rows + TILE_ROWS - 1) / TILE_ROWS;
    s->chunks = (k + TILE_TERMS - 1) / TILE_TERMS;
    stride = s->blocks * s->chunks * TILE_HALVES;
    for (int64_t r = 0; r < s->blocks * TILE_ROWS; r++)
        for (int64_t c = 0; c < s->chunks; c++) {
            int64_t at = ((r / TILE_ROWS * s->chunks + c) * TILE_ROWS + r % TILE_ROWS) * TILE_TERMS;
            split_terms(parts, a + r * lda + c * TILE_TERMS, r < rows ? k - c * TILE_TERMS : 0, s->at + at, stride);
        }
}

/* ---- C = A x W^T + bias ---- */

typedef struct {
    const float *a; // (rows,lda) rows of A, and their part s, of which `blocks` is 0 if a row exceeds SLAB terms
    int64_t lda, rows, k;
    split_t s;
    const float *w; // first part of a panel of W: (words of a row,width)
    int64_t part;   /* floats from a part of W to the next */
    int64_t width;  /* columns of the panel */
} factors_t;

/* Adds to the tiles of C, 0 to 2 rt + ct - 3, the products of one part of rt blocks of 16 rows of A with one part of ct
 * x 16 columns of W. */
INLINE void tile_part(const int rt, const int ct, tiles_t *t, const split_t *s, int part, int64_t block, const float *w,
                      int64_t width)
{
    (void)t;
    for (int64_t c = 0; c < s->chunks; c++, w += TILE_TERMS / 2 * width) {
        tile_load(t, 4, split_tile(s, part, block, c), 64);
        tile_load(t, 6, w, width * 4);
        tile_dot(t, 0, 4, 6);
        if (ct > 1) tile_load(t, 7, w + TILE_ROWS, width * 4);
        if (ct > 1) tile_dot(t, 1, 4, 7);
        if (rt > 1) tile_load(t, 5, split_tile(s, part, block + 1, c), 64);
        if (rt > 1) tile_dot(t, 2, 5, 6);
        if (rt > 1 && ct > 1) tile_dot(t, 3, 5, 7);
    }
}

/* Adds the products of all pairs of parts, the smallest first: the numbers of the two parts add up to parts - 1, then
 * to less. */
INLINE void tile_parts(const int parts, const int rt, const int ct, tiles_t *t, const split_t *s, int64_t block,
                       const float *w, const factors_t *f)
{
    for (int sum = parts - 1; sum >= 0; sum--)
        for (int pa = sum; pa >= 0; pa--) tile_part(rt, ct, t, s, pa, block, w + (sum - pa) * f->part, f->width);
}

/* Computes c (16 rt,TILE_COLUMNS), the products of rows i to i + 16 rt - 1 with ct x 16 columns of W. */
INLINE void tile_block(const int parts, const int rt, const int ct, factors_t *f, int64_t i, float *c)
{
    tiles_t t;
    tile_zero(&t, 0);
    if (ct > 1) tile_zero(&t, 1);
    if (rt > 1) tile_zero(&t, 2);
    if (rt > 1 && ct > 1) tile_zero(&t, 3);
    if (f->k <= SLAB) tile_parts(parts, rt, ct, &t, &f->s, i / TILE_ROWS, f->w, f);
    else
        for (int64_t from = 0; from < f->k; from += SLAB) {
            split_rows(parts, f->a + from, f->lda, f->rows, cad_min(SLAB, f->k - from), &f->s);
            tile_parts(parts, rt, ct, &t, &f->s, 0, f->w + from / 2 * f->width, f);
        }
    tile_store(&t, 0, c, TILE_COLUMNS * 4);
    if (ct > 1) tile_store(&t, 1, c + TILE_ROWS, TILE_COLUMNS * 4);
    if (rt > 1) tile_store(&t, 2, c + TILE_ROWS * TILE_COLUMNS, TILE_COLUMNS * 4);
    if (rt > 1 && ct > 1) tile_store(&t, 3, c + TILE_ROWS * TILE_COLUMNS + TILE_ROWS, TILE_COLUMNS * 4);
}

/* Computes all rows of a panel; row, col: where they begin in C. */
static void tile_panel(const int parts, factors_t *f, const dest_t *d, int64_t row, int64_t col)
{
    float c[2 * TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64)));
    for (int64_t i = 0; i < f->rows; i += 2 * TILE_ROWS) {
        int64_t m = cad_min(2 * TILE_ROWS, f->rows - i);
        bool tall = m > TILE_ROWS, broad = f->width > TILE_ROWS;
        if (tall && broad) tile_block(parts, 2, 2, f, i, c);
        else if (tall) tile_block(parts, 2, 1, f, i, c);
        else if (broad) tile_block(parts, 1, 2, f, i, c);
        else tile_block(parts, 1, 1, f, i, c);
        for (int64_t r = 0; r < m; r++)
            for (int64_t j = 0; j < f->width; j += VW)
                finish(d, (row + i + r) * d->ldc + col + j, vload(d->bias + col + j) + vload(c + r * TILE_COLUMNS + j));
    }
}

INLINE void product_parts(const int parts, const float *a, int64_t lda, int64_t rows, const float *w, int64_t n,
                          int64_t k, const dest_t *d, int64_t row)
{
    uint16_t room[SPLIT_ROOM] __attribute__((aligned(64)));
    int64_t words = words_of(TILES1, k), fit = SPLIT_ROOM / (2 * words * parts) / TILE_COLUMNS * TILE_COLUMNS;
    int64_t most = k > SLAB ? 2 * TILE_ROWS : cad_min(TILE, fit);
    for (int64_t r = 0; r < rows; r += most) {
        factors_t f = { a + r * lda, lda, cad_min(most, rows - r), k, { .at = room }, NULL, n * words, 0 };
        if (k <= SLAB) split_rows(parts, f.a, lda, f.rows, k, &f.s);
        for (int64_t col = 0; col < n; col += TILE_COLUMNS) {
            f.w = w + col * words;
            f.width = cad_min(TILE_COLUMNS, n - col);
            tile_panel(parts, &f, d, row + r, col);
        }
    }
}

/* Computes C = A x W^T + bias, both split into parts. w: W in panels of numbers f. n and k are multiples of CAD_PAD. */
static void product_tiles(numbers_t f, const float *a, int64_t lda, int64_t rows, const float *w, int64_t n, int64_t k,
                          const dest_t *d, int64_t row)
{
    tiles_begin();
    switch (parts_of(f)) {
    case 1: product_parts(1, a, lda, rows, w, n, k, d, row); break;
    case 2: product_parts(2, a, lda, rows, w, n, k, d, row); break;
    default: product_parts(3, a, lda, rows, w, n, k, d, row);
    }
    tiles_end();
}

#endif
