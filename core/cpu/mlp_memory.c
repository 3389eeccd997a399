/* mlp_memory.c - lays out an MLP's activations and their gradients in the memory of a lane. SPDX-License-Identifier: MIT
 */
#include "blocks/mlp.h"
#include "cpu/lane.h"

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_mlp_lane_t *w = cad_mlp_lane(l);
    w->Ep = cad_mlp_Ep(&m->cfg);
    w->u = cad_bump_floats(b, l->tile, w->Ep);
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_mlp_grad_lane_t *w = cad_mlp_grad_lane(l);
    int64_t Ep = cad_mlp_Ep(&m->cfg);
    w->g = cad_bump_floats(b, l->f.tile, Ep);
    w->words = cad_bump_floats(b, l->f.tile, 2 * cad_max(Ep, cad_round_up(m->cfg.d_model, CAD_PAD)));
}

static const float *array(const cad_lane_t *l, int what, int64_t *width, int64_t *rows)
{
    (void)what;
    *width = cad_mlp_lane(l)->Ep;
    *rows = 0;
    return cad_mlp_lane(l)->u;
}

extern const cad_cpu_memory_t cad_cpu_memory_mlp;
const cad_cpu_memory_t cad_cpu_memory_mlp = { .carve = carve, .carve_back = carve_back, .array = array };
