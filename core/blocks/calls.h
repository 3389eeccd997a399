/* calls.h - for the file that defines a layer kind: functions that call the kind's operations, and functions for members
 * of cad_block_t in which a kind has nothing to do. The file defines KIND, the index of the kind, before it includes this
 * header. SPDX-License-Identifier: MIT
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

/* ---- nothing to do ---- */

static inline bool never_biased(const cad_config_t *c)
{
    (void)c;
    return false;
}

static inline bool always_biased(const cad_config_t *c)
{
    (void)c;
    return true;
}

static inline void begin_nothing(cad_lane_t *l, cad_grad_lane_t *back)
{
    (void)l;
    (void)back;
}

static inline void enter_nothing(cad_lane_t *l, const cad_kept_t *kept)
{
    (void)l;
    (void)kept;
}

static inline int gate_nothing(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    (void)l;
    (void)layer;
    (void)dir;
    (void)s;
    return 0;
}

static inline int step_nothing(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    (void)add;
    return gate_nothing(l, layer, dir, s);
}

static inline void keep_nothing(const cad_config_t *c, int ndir, int64_t rows, int64_t most, cad_bump_t *b,
                                cad_kept_t *kept)
{
    (void)c;
    (void)ndir;
    (void)rows;
    (void)most;
    (void)b;
    (void)kept;
}

#endif
