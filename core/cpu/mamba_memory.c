/* mamba_memory.c - lays out a Mamba layer's activations and their gradients in the memory of a lane.
 * SPDX-License-Identifier: MIT
 */
#include "blocks/mamba.h"
#include "cpu/mamba_memory.h"
#include "cpu/lane.h"

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_mamba_lane_t *w = cad_mamba_lane(l);
    int64_t Ep = cad_mamba_Ep(&m->cfg);
    w->x = l->tape && l->tape->kept ? NULL : cad_bump(b, l->rows, Ep, sizeof(float));
    w->z = cad_bump(b, l->zrows, Ep, sizeof(float));
    w->y = cad_bump(b, l->rows, Ep, sizeof(float));
    w->u = cad_bump(b, l->tile, Ep, sizeof(float));
    w->xdbl = cad_bump(b, l->tile, cad_mamba_Sp(&m->cfg), sizeof(float));
    w->carry = cad_bump(b, cad_mamba(&m->cfg)->N, Ep, sizeof(float));
    w->Ep = Ep;
    w->Sp = cad_mamba_Sp(&m->cfg);
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_mamba_grad_lane_t *w = cad_mamba_grad_lane(l);
    int64_t Ep = cad_mamba_Ep(&m->cfg), N = cad_mamba(&m->cfg)->N, rows = l->f.rows, tile = l->f.tile;
    int64_t widest = cad_max(cad_max(Ep, cad_round_up(m->cfg.d_model, CAD_PAD)), cad_mamba_Sp(&m->cfg));
    w->g = cad_bump(b, rows, Ep, sizeof(float));
    w->dx = cad_bump(b, rows, Ep, sizeof(float));
    w->du = cad_bump(b, tile, Ep, sizeof(float));
    w->dpre = cad_bump(b, tile, Ep, sizeof(float));
    w->dxdbl = cad_bump(b, tile, cad_mamba_Sp(&m->cfg), sizeof(float));
    w->bc = cad_bump(b, 2 * N, tile, sizeof(float));
    w->part = cad_bump(b, (Ep + CAD_MAMBA_GROUP - 1) / CAD_MAMBA_GROUP, cad_cpu_part_size(tile, N), sizeof(float));
    w->carry = cad_bump(b, N, Ep, sizeof(float));
    w->words = cad_bump(b, tile, 2 * widest, sizeof(float));
    for (int k = 0; k < 2; k++)
        w->kept[k] = l->f.tape->kept ? NULL : cad_bump(b, rows / CAD_STRETCH + l->most, Ep * N, sizeof(float));
}

static const float *array(const cad_lane_t *l, int what, int64_t *width, int64_t *rows)
{
    const cad_mamba_lane_t *w = cad_mamba_lane(l);
    *width = what == CAD_AT_XDBL ? w->Sp : w->Ep;
    *rows = what == CAD_AT_Z ? l->zrows : 0;
    switch (what) {
    case CAD_AT_X: return w->x;
    case CAD_AT_Z: return w->z;
    case CAD_AT_U: return w->u;
    case CAD_AT_XDBL: return w->xdbl;
    default: return w->y;
    }
}

extern const cad_cpu_memory_t cad_cpu_memory_mamba;
const cad_cpu_memory_t cad_cpu_memory_mamba = { .carve = carve, .carve_back = carve_back, .array = array };
