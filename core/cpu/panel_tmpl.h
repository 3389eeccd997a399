/* panel_tmpl.h - stores weights in the order in which kernels read them, padded with zeros.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the functions that transpose.
 *
 * Each function lay_NAME allocates an array from the bump allocator, fills it and returns it, or returns NULL if the
 * allocator only counts (its base is NULL). The allocator's memory must be all 0 on entry.
 *
 * A panel holds the weights of PW outputs of a matrix product (the last panel may have fewer). Weights (n,k), for n
 * outputs of k terms, are padded to (np,kp) and stored as [np/PW][kp][PW], so that each term reads PW weights that are
 * adjacent in memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PANEL_TMPL_H
#define CAD_PANEL_TMPL_H

#include "base/base.h"
#include "numbers.h"
#include "product_tmpl.h"
#include "simd.h"

/* Stores v (n) as an array (np) with padding. v NULL: all values are 0. */
static const float *lay_vector(cad_bump_t *b, const float *v, int64_t n, int64_t np)
{
    float *d = cad_bump_floats(b, 1, np);
    if (d && v) memcpy(d, v, (size_t)n * sizeof *d);
    return d;
}

/* Stores v (rows,cols) as an array (rows,colsp) with padding. */
static const float *lay_rows(cad_bump_t *b, const float *v, int64_t rows, int64_t cols, int64_t colsp)
{
    float *d = cad_bump_floats(b, rows, colsp);
    for (int64_t r = 0; d && r < rows; r++) memcpy(d + r * colsp, v + r * cols, (size_t)cols * sizeof *d);
    return d;
}

/* Stores the transpose of v (n,k) as an array (k,np) with padding. */
static const float *lay_transposed(cad_bump_t *b, const float *v, int64_t n, int64_t k, int64_t np)
{
    float *d = cad_bump_floats(b, k, np);
    for (int64_t i = 0; d && i < n; i++)
        for (int64_t j = 0; j < k; j++) d[j * np + i] = v[i * k + j];
    return d;
}

typedef struct { /* panels of (np,kp) that are being filled; d NULL: the allocator only counts */
    float *d;    // [part][panel][word][column of the panel]
    int64_t np, kp;
    numbers_t f;
    int64_t words; /* words of one part of a row */
    int64_t width; /* columns of a panel; of the last one: what is left */
} panels_t;

static panels_t open_panels(cad_bump_t *b, numbers_t f, int64_t np, int64_t kp)
{
    int64_t words = words_of(f, kp);
    return (
        panels_t) { cad_bump_floats(b, np, parts_of(f) * words), np, kp, f, words, is_tiles(f) ? TILE_COLUMNS : PW };
}

/* Returns part `part` of v as bfloat16: part 0 is v rounded, part 1 the rest rounded, and so on. */
static uint32_t part_of(float v, int part)
{
    for (int p = 0; p < part; p++) v -= half_value(half_of(v));
    return half_of(v);
}

/* Stores one part of a row v (k) as words that are `width` apart. */
static void set_row(numbers_t f, const float *v, int64_t k, int part, float *d, int64_t width)
{
    for (int64_t j = 0; f == FLOATS && j < k; j++) d[j * width] = v[j];
    for (int64_t j = 0; f == ROUNDED && j < k; j++) d[j * width] = half_value(half_of(v[j]));
    for (int64_t j = 0; f >= PAIRS && j < k; j += 2) {
        uint32_t pair = part_of(v[j], part) | (j + 1 < k ? part_of(v[j + 1], part) << 16 : 0);
        memcpy(d + j / 2 * width, &pair, sizeof pair);
    }
}

/* Stores v (n,k) in the panels, from row `row` and column `col` (even) onwards. ld: floats from one row of v to the
 * next. */
static void set_panels(const panels_t *t, const float *v, int64_t ld, int64_t n, int64_t k, int64_t row, int64_t col)
{
    for (int64_t i = row; t->d && i < row + n; i++, v += ld) {
        int64_t p = i / t->width * t->width, width = cad_min(t->width, t->np - p);
        float *d = t->d + p * t->words + i - p + (t->f >= PAIRS ? col / 2 : col) * width;
        for (int part = 0; part < parts_of(t->f); part++, d += t->np * t->words) set_row(t->f, v, k, part, d, width);
    }
}

/* Stores v (n,k) as panels of (np,kp). */
static const float *lay_panels(cad_bump_t *b, numbers_t f, const float *v, int64_t n, int64_t k, int64_t np, int64_t kp)
{
    panels_t t = open_panels(b, f, np, kp);
    set_panels(&t, v, k, n, k, 0, 0);
    return t.d;
}

#ifdef CAD_ISA_BACK_OPS
/* Stores one value in a word of numbers f, which are not tiles. col: column of the value, which of PAIRS is in the low
 * or in the high half of the word. */
static void set_value(numbers_t f, float v, int64_t col, float *word)
{
    int shift = col % 2 ? 16 : 0;
    uint32_t pair;
    if (f != PAIRS) {
        *word = f == FLOATS ? v : half_value(half_of(v));
        return;
    }
    memcpy(&pair, word, sizeof pair);
    pair = (pair & ~(0xffffu << shift)) | (uint32_t)half_of(v) << shift;
    memcpy(word, &pair, sizeof pair);
}

/* Stores the transpose of v (k,n) in panels, from row `row` and column `col` onwards. ld: floats from one row of v to
 * the next. */
static void set_turned(const panels_t *t, const float *v, int64_t ld, int64_t n, int64_t k, int64_t row, int64_t col)
{
    for (int64_t j = col; t->d && j < col + k; j++, v += ld) {
        int64_t word = t->f == PAIRS ? j / 2 : j;
        for (int64_t i = 0; i < n; i++) {
            int64_t p = (row + i) / PW * PW, width = cad_min(PW, t->np - p);
            set_value(t->f, v[i], j, t->d + p * t->words + word * width + row + i - p);
        }
    }
}

/* Stores the transpose of v (k,n) as panels (np,kp) of numbers f. ld: floats from one row of v to the next. */
static const float *lay_turned(cad_bump_t *b, numbers_t f, const float *v, int64_t ld, int64_t n, int64_t k, int64_t np,
                               int64_t kp)
{
    panels_t t = open_panels(b, f, np, kp);
    set_turned(&t, v, ld, n, k, 0, 0);
    return t.d;
}
#endif

#endif
