/* tiles.h - cuts regions into cores (the bases that a window scores) and windows (a core with its flanks).
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_TILES_H
#define CAD_TILES_H

#include "io/bed.h"

typedef struct tiling_t {
    int64_t window, flank, core;
    /* true: cores begin at multiples of `core` in the contig and are complete; false: cores are symmetric about the
     * middle of the region */
    bool grid;
} tiling_t;
/* Sets the lengths of windows, flanks and cores. flank < 0: uses the default, min(1024, window/4). Returns CAD_EARG if
 * two flanks are as long as the window, so that no core is left. */
int tiling_set(tiling_t *t, int64_t window, int64_t flank, cad_error_t *err);
int64_t tiles_count(const tiling_t *t, interval_t region);
/* Finds core k of the region (k counts from 0, from the left) and the core's window, which is clipped to [0, length).
 * If t->grid is true, the first and the last core may extend beyond the region. */
void tiles_get(const tiling_t *t, interval_t region, int64_t length, int64_t k, interval_t *core, interval_t *window);

#endif
