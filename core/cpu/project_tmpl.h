/* project_tmpl.h - a layer's projections: matrix products in the precision of a context.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_PAIRS (narrow_tmpl.h); CAD_ISA_TILES: matrix tiles (tile_tmpl.h), and
 * numbers TILES1 to TILES3 for all precisions. Without CAD_ISA_TILES, bf16x3 is computed as fp32: only matrix tiles make
 * it faster.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PROJECT_TMPL_H
#define CAD_PROJECT_TMPL_H

#include "numbers.h"
#if defined(CAD_ISA_TILES)
#include "tile_tmpl.h"
#else
#include "narrow_tmpl.h"
#endif

/* Returns the numbers that this instruction set multiplies for a CAD_* precision. */
static numbers_t numbers_of(int precision)
{
#if defined(CAD_ISA_TILES)
    return precision == CAD_PRECISION_FP32 ? TILES3 : precision == CAD_PRECISION_BF16X3 ? TILES2 : TILES1;
#elif defined(CAD_ISA_PAIRS)
    return precision == CAD_PRECISION_BF16 ? PAIRS : FLOATS;
#else
    return precision == CAD_PRECISION_BF16 ? ROUNDED : FLOATS;
#endif
}

/* Computes C = A x W^T + bias, with W in panels of numbers f. k counts values. */
static void project(numbers_t f, const float *a, int64_t lda, int64_t rows, const float *w, int64_t n, int64_t k,
                    const dest_t *d, int64_t row)
{
#if defined(CAD_ISA_TILES)
    product_tiles(f, a, lda, rows, w, n, k, d, row);
#else
    if (f == FLOATS) product(a, lda, rows, w, n, k, d, row);
    else product_narrow(a, lda, rows, w, n, k, d, row);
#endif
}

#endif
