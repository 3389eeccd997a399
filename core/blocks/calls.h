/* calls.h - functions that call the operations of one layer kind, for the file that defines this kind. That file
 * defines KIND, the index of the kind, before it includes this header. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CALLS_H
#define CAD_CALLS_H

#include "engine/backward.h"

/* Runs the forward operation number `which` of the kind on the rows of s; does nothing if s has no rows. */
static inline int op(cad_lane_t *l, int which, int layer, int dir, cad_span_t s, unsigned how)
{
    return s.beg < s.end ? l->ops->kind[KIND][which](l, layer, dir, s, how) : 0;
}

/* Runs the backward operation number `which` of the kind on the rows of s. */
static inline int back(cad_grad_lane_t *l, int which, int layer, int dir, cad_span_t s, unsigned how)
{
    return l->ops->kind[KIND][which](l, layer, dir, s, how);
}

#endif
