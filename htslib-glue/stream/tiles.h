/* tiles.h - how a region is cut into cores and windows. SPDX-License-Identifier: MIT */
#ifndef CAD_TILES_H
#define CAD_TILES_H

#include "io/bed.h"

typedef struct tiling_t {
    int64_t window, flank, core;
    bool grid; /* whole cores at multiples of `core` in the contig; else cores around the region's middle */
} tiling_t;
/* flank < 0: the default min(1024, window/4). CAD_EARG if no core is left. */
int tiling_set(tiling_t *t, int64_t window, int64_t flank, cad_error_t *err);
int64_t tiles_count(const tiling_t *t, interval_t region);
/* Tile k from the left: its core, and its window clipped to [0, length). With a grid, the first and
 * the last core may reach beyond the region. */
void tiles_get(const tiling_t *t, interval_t region, int64_t length, int64_t k, interval_t *core, interval_t *window);

#endif
