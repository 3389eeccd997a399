/* lane.h - allocates and reads the memory of lanes on the CPU. A lane (cad_lane_t) holds the activations of one batch:
 * arrays common to all layer kinds, and arrays of each kind. Layers run one after the other, so the arrays of different
 * kinds use the same memory. SPDX-License-Identifier: MIT
 */
#ifndef CAD_LANE_H
#define CAD_LANE_H

#include "engine/backward.h"

typedef struct cad_cpu_memory_t { /* how a layer kind lays out its memory */
    /* Take the kind's arrays from the bump allocator b and store their addresses in the kind's struct of the lane:
     * cad_lane_t.work (carve) or cad_grad_lane_t.work (carve_back). */
    void (*carve)(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b);
    void (*carve_back)(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b);
    /* Returns the array of this kind that has the number `what` (CAD_AT_*), for cad_ops_t.read. Sets *width to its
     * floats per row. Sets *rows to 0 or, if the array is a ring buffer, to its length: row r is then stored at r %
     * *rows. NULL: the kind has no such arrays. */
    const float *(*array)(const cad_lane_t *l, int what, int64_t *width, int64_t *rows);
} cad_cpu_memory_t;

int cad_cpu_lane_open(cad_lane_t *l, const cad_model_t *model);
void cad_cpu_lane_close(cad_lane_t *l);
int cad_cpu_read(cad_lane_t *l, int kind, int what, int64_t beg, int64_t n, float *out);

void *cad_cpu_take(const cad_ops_t *ops, size_t bytes);
void cad_cpu_give(const cad_ops_t *ops, void *memory);
size_t cad_cpu_carve_back(cad_grad_lane_t *l, const cad_model_t *model, char *base);

#endif
