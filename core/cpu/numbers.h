/* numbers.h - how the weights and inputs of a projection are stored while they are multiplied.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_NUMBERS_H
#define CAD_NUMBERS_H

#include "base/base.h"

typedef enum {
    FLOATS,  /* float32 */
    ROUNDED, /* bfloat16, stored as float32 */
    PAIRS,   /* bfloat16, two in a 32-bit word: columns 2j (low 16 bits) and 2j+1 */
    TILES1, /* for matrix tiles (tile_tmpl.h): words of two bfloat16, as in PAIRS; a value is 1, 2 or 3 bfloat16 parts */
    TILES2,
    TILES3
} numbers_t;

#define TILE_TERMS 32   /* bfloat16 terms in a row of a matrix tile */
#define TILE_COLUMNS 32 /* columns of W whose tiles are stored together */

static inline bool is_tiles(numbers_t f) { return f >= TILES1; }

/* Returns true if all numbers are rounded to bfloat16: the precision "bf16". */
static inline bool is_rough(numbers_t f) { return f == ROUNDED || f == PAIRS || f == TILES1; }

/* Returns the bfloat16 parts whose sum stands for one value. */
static inline int parts_of(numbers_t f) { return is_tiles(f) ? (int)(f - TILES1) + 1 : 1; }

/* Returns the 32-bit words of one part of a row of k values; k is a multiple of CAD_PAD. */
static inline int64_t words_of(numbers_t f, int64_t k)
{
    if (is_tiles(f)) return cad_round_up(k, TILE_TERMS) / 2;
    return f == PAIRS ? k / 2 : k;
}

#endif
