/* gated_memory.c - lays out a gated layer's activations and their gradients in a lane of the CPU.
 * SPDX-License-Identifier: MIT */
#include "cpu/lane.h"
#include "kinds/gated.h"

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_gated_lane_t *w = cad_gated_lane(l);
    w->Ep = cad_gated_Ep(&m->cfg);
    w->x = l->tape && l->tape->kept ? NULL : cad_bump_floats(b, l->rows, w->Ep);
    w->y = cad_bump_floats(b, l->rows, w->Ep);
    w->z = cad_bump_floats(b, l->zrows, w->Ep);
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_gated_grad_lane_t *w = cad_gated_grad_lane(l);
    int64_t Ep = cad_gated_Ep(&m->cfg);
    w->g = cad_bump_floats(b, l->f.rows, Ep);
    w->dx = cad_bump_floats(b, l->f.rows, Ep);
    w->yz = cad_bump_floats(b, l->f.tile, Ep);
    w->words = cad_bump_floats(b, l->f.tile, 2 * cad_max(Ep, cad_round_up(m->cfg.d_model, CAD_PAD)));
}

static const float *array(const cad_lane_t *l, int what, int64_t *width, int64_t *rows)
{
    (void)what;
    *width = cad_gated_lane(l)->Ep;
    *rows = 0;
    return cad_gated_lane(l)->y;
}

extern const cad_cpu_memory_t cad_cpu_memory_gated;
const cad_cpu_memory_t cad_cpu_memory_gated = { .carve = carve, .carve_back = carve_back, .array = array };
