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

typedef struct { /* panels (np,kp) that are being filled; d is NULL if the allocator only counts */
    float *d;
    int64_t np, kp;
    bool half; /* values are bfloat16: each 32-bit word holds columns 2j (in its low 16 bits) and 2j+1; kp is even */
} panels_t;

static panels_t open_panels(cad_bump_t *b, bool half, int64_t np, int64_t kp)
{
    return (panels_t) { cad_bump_floats(b, np, half ? kp / 2 : kp), np, kp, half };
}

/* Stores v (n,k) in the panels, from row `row` and column `col` (even) onwards. ld: floats from one row of v to the
 * next. */
static void set_panels(const panels_t *t, const float *v, int64_t ld, int64_t n, int64_t k, int64_t row, int64_t col)
{
    for (int64_t i = row; t->d && i < row + n; i++, v += ld) {
        int64_t p = i / PW * PW, width = cad_min(PW, t->np - p);
        float *d = t->d + p * (t->half ? t->kp / 2 : t->kp) + i - p;
        for (int64_t j = 0; !t->half && j < k; j++) d[(col + j) * width] = v[j];
        for (int64_t j = 0; t->half && j < k; j += 2) {
            uint32_t pair = half_of(v[j]) | (j + 1 < k ? (uint32_t)half_of(v[j + 1]) << 16 : 0);
            memcpy(d + (col + j) / 2 * width, &pair, sizeof pair);
        }
    }
}

/* Stores v (n,k) as panels (np,kp). */
static const float *lay_panels(cad_bump_t *b, bool half, const float *v, int64_t n, int64_t k, int64_t np, int64_t kp)
{
    panels_t t = open_panels(b, half, np, kp);
    set_panels(&t, v, k, n, k, 0, 0);
    return t.d;
}

#ifdef CAD_ISA_BACK_OPS
/* Stores the transpose of v (k,n) in panels of float32, from row `row` and column `col` onwards. ld: floats from one
 * row of v to the next. */
static void set_turned(const panels_t *t, const float *v, int64_t ld, int64_t n, int64_t k, int64_t row, int64_t col)
{
    for (int64_t j = 0; t->d && j < k; j++)
        for (int64_t i = 0; i < n; i++) {
            int64_t p = (row + i) / PW * PW, width = cad_min(PW, t->np - p);
            t->d[p * t->kp + (col + j) * width + row + i - p] = v[j * ld + i];
        }
}

/* Stores the transpose of v (k,n) as float32 panels (np,kp). ld: floats from one row of v to the next. */
static const float *lay_turned(cad_bump_t *b, const float *v, int64_t ld, int64_t n, int64_t k, int64_t np, int64_t kp)
{
    panels_t t = open_panels(b, false, np, kp);
    set_turned(&t, v, ld, n, k, 0, 0);
    return t.d;
}
#endif

#endif
