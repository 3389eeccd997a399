/* tiles.h - how a region is cut. SPDX-License-Identifier: MIT */
#ifndef CAD_TILES_H
#define CAD_TILES_H

#include "io/bed.h"

typedef struct tiling_t {
    int64_t window, flank, core;
    bool grid; /* cores at multiples of `core` in the contig, whole; else about the middle */
} tiling_t;
/* flank < 0: the default min(1024, window/4). CAD_EARG if no core is left. */
int tiling_set(tiling_t *t, int64_t window, int64_t flank, cad_error_t *err);
int64_t tiles_count(const tiling_t *t, interval_t region);
/* Tile k from the left: its core, and the window clipped to [0, length). Of a grid the
 * first and last core may reach beyond the region. */
void tiles_get(const tiling_t *t, interval_t region, int64_t length, int64_t k, interval_t *core, interval_t *window);

#endif
