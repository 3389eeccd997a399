/* narrow_tmpl.h - matrix products whose inputs are rounded to bfloat16 and whose sums are float32: numbers ROUNDED and
 * PAIRS.
 *
 * Macro parameters: CAD_ISA_* of simd.h. CAD_ISA_PAIRS: compiles PAIRS instead of ROUNDED.
 *
 * PAIRS is for processors that multiply and add two pairs of bfloat16 as fast as one pair of float32 (AVX512_BF16 at full
 * rate). On other processors ROUNDED multiplies the rounded values as float32, so that bf16 is not slower than fp32.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_NARROW_TMPL_H
#define CAD_NARROW_TMPL_H

#include "product_tmpl.h"

#if defined(CAD_ISA_PAIRS)
#define NARROW_PAIRS true
#define PER_WORD 2 /* values of A in a 32-bit word */
#else
#define NARROW_PAIRS false
#define PER_WORD 1
#endif
#define ROOM 61440 /* words of A that product_narrow can hold: a tile of 512 words a row */

/* Rounds n values to bfloat16 and stores them as n / PER_WORD words. */
INLINE void narrow(const float *from, int64_t n, float *words)
{
    for (int64_t i = 0; i < n; i += VW) {
#if defined(CAD_ISA_PAIRS)
        vhalves((uint16_t *)words + i, vload(from + i));
#else
        vstore(words + i, vrounded(vload(from + i)));
#endif
    }
}

/* Computes nv vectors of one row of C, where a row of A exceeds ROOM words. The row of A is rounded again for each
 * panel. k counts values of A. */
INLINE void panel_long(const int nv, const float *a, const float *b, int64_t k, const dest_t *d, int64_t row,
                       int64_t col)
{
    float words[CHUNK] __attribute__((aligned(64)));
    float sum[PW] __attribute__((aligned(64))) = { 0 };
    partial_t t = { d, row, col, sum };
    for (int64_t p = 0, n; p < k; p += n, b += n / PER_WORD * nv * VW) {
        n = cad_min(PER_WORD * CHUNK, k - p);
        narrow(a + p, n, words);
        micro(NARROW_PAIRS, 1, nv, p == 0, p + n == k, words, 0, b, n / PER_WORD, &t);
    }
}

static void product_long(const float *a, int64_t lda, int64_t rows, const float *w, int64_t n, int64_t k,
                         const dest_t *d, int64_t row)
{
    int64_t words = k / PER_WORD;
    for (int64_t r = 0, col; r < rows; r++) {
        for (col = 0; col + PW <= n; col += PW) panel_long(NV, a + r * lda, w + col * words, k, d, row + r, col);
        switch ((n - col) / VW) {
        case 1: panel_long(1, a + r * lda, w + col * words, k, d, row + r, col); break;
#if NV > 2
        case 2: panel_long(2, a + r * lda, w + col * words, k, d, row + r, col); break;
        case 3: panel_long(3, a + r * lda, w + col * words, k, d, row + r, col); break;
#endif
        }
    }
}

/* Computes C = A x W^T + bias with A rounded to bfloat16. w: W in panels of ROUNDED or PAIRS. k counts values of A. */
static void product_narrow(const float *a, int64_t lda, int64_t rows, const float *w, int64_t n, int64_t k,
                           const dest_t *d, int64_t row)
{
    float buffer[ROOM] __attribute__((aligned(64)));
    int64_t words = k / PER_WORD, fit = ROOM / words, most = fit < MR ? fit : cad_min(TILE, fit / MR * MR);
    if (words > ROOM) {
        product_long(a, lda, rows, w, n, k, d, row);
        return;
    }
    for (int64_t r = 0, m; r < rows; r += m) {
        m = cad_min(most, rows - r);
        for (int64_t i = 0; i < m; i++) narrow(a + (r + i) * lda, k, buffer + i * words);
        product_tile(NARROW_PAIRS, buffer, words, m, w, n, words, d, row + r);
    }
}

#endif
