/* tiles.h - cuts regions into cores and windows. SPDX-License-Identifier: MIT */
#ifndef CAD_TILES_H
#define CAD_TILES_H

#include "io/bed.h"

typedef struct tiling_t {
    int64_t window, flank, core;
    /* true: cores begin at multiples of `core` in the contig and are complete; false: cores are symmetric about the
     * middle of the region */
    bool grid;
} tiling_t;
/* Sets the lengths. flank < 0: the default, min(1024, window/4). Returns CAD_EARG if the flanks leave no core. */
int tiling_set(tiling_t *t, int64_t window, int64_t flank, cad_error_t *err);
int64_t tiles_count(const tiling_t *t, interval_t region);
/* Finds core k (from 0, from the left) and its window, which is clipped to [0, length). With a grid, the first and
 * last core may extend beyond the region. */
void tiles_get(const tiling_t *t, interval_t region, int64_t length, int64_t k, interval_t *core, interval_t *window);

#endif
