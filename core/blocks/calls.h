/* calls.h - functions that call a kind's operations, for the file that defines the kind. That file defines KIND, the
 * index of the kind, before it includes this header. SPDX-License-Identifier: MIT */
#ifndef CAD_CALLS_H
#define CAD_CALLS_H

#include "engine/backward.h"

/* Runs operation `which` of the forward pass on the rows of s; does nothing if s has no rows. */
static inline int op(cad_lane_t *l, int which, int layer, int dir, cad_span_t s, unsigned how)
{
    return s.beg < s.end ? l->ops->kind[KIND][which](l, layer, dir, s, how) : 0;
}

/* Runs operation `which` of the backward pass on the rows of s. */
static inline int back(cad_grad_lane_t *l, int which, int layer, int dir, cad_span_t s, unsigned how)
{
    return l->ops->kind[KIND][which](l, layer, dir, s, how);
}

#endif
