/* lane.c - the memory of a lane, forward and backward, on the CPU. SPDX-License-Identifier: MIT */
#include "engine/backward.h"

/* Lays out the activations at base, except those that the tape holds, and returns their bytes,
 * SIZE_MAX on overflow. base NULL: only counts. */
static size_t carve(cad_lane_t *l, const cad_model_t *m, char *base)
{
    cad_extent_t e = l->extent;
    cad_bump_t b = { base, 0 };
    l->res = l->base = l->tape ? NULL : cad_bump(&b, l->rows, e.Dp, sizeof(float));
    l->x = l->tape && l->tape->x ? NULL : cad_bump(&b, l->rows, e.Ep, sizeof(float));
    l->z = cad_bump(&b, l->zrows, e.Ep, sizeof(float));
    l->y = cad_bump(&b, l->rows, e.Ep, sizeof(float));
    l->h = cad_model_apart(m) ? cad_bump(&b, l->rows, e.Dp, sizeof(float)) : NULL;
    l->a = cad_bump(&b, l->tile, e.Dp, sizeof(float));
    l->u = cad_bump(&b, l->tile, e.Ep, sizeof(float));
    l->xdbl = cad_bump(&b, l->tile, e.Sp, sizeof(float));
    l->carry = cad_bump(&b, e.N, e.Ep, sizeof(float));
    l->row = cad_bump(&b, 1, e.Dp, sizeof(float));
    l->sum = cad_bump(&b, e.Dp, 1, sizeof(double));
    return b.used;
}

int cad_cpu_lane_open(cad_lane_t *l, const cad_model_t *m)
{
    l->extent = cad_extent(m);
    if (!l->zrows) l->zrows = l->rows;
    l->bytes = carve(l, m, NULL);
    l->own = l->bytes == SIZE_MAX ? NULL : cad_alloc(l->bytes, 1);
    if (!l->own) return CAD_ENOMEM;
    carve(l, m, l->own);
    return 0;
}

void cad_cpu_lane_close(cad_lane_t *l) { free(l->own); }

int cad_cpu_read(cad_lane_t *l, cad_at_t what, int64_t beg, int64_t n, float *out)
{
    const float *const part[] = { l->res, l->x, l->z, l->u, l->xdbl, l->y, l->h };
    int64_t width = what == CAD_AT_RES || what == CAD_AT_H ? l->extent.Dp
                    : what == CAD_AT_XDBL                  ? l->extent.Sp
                                                           : l->extent.Ep;
    if (what == CAD_AT_Z) beg %= l->zrows;
    memcpy(out, part[what] + beg * width, (size_t)(n * width) * sizeof *out);
    return 0;
}

/* ---- backward ---- */

void *cad_cpu_take(const cad_ops_t *ops, size_t bytes)
{
    (void)ops;
    return bytes == SIZE_MAX ? NULL : cad_alloc(bytes, 1);
}

void cad_cpu_give(const cad_ops_t *ops, void *memory)
{
    (void)ops;
    free(memory);
}

size_t cad_cpu_carve_back(cad_grad_lane_t *l, const cad_model_t *m, char *base)
{
    cad_extent_t e = cad_extent(m);
    int64_t rows = l->f.rows, tile = l->f.tile, blocks = (e.Ep + CAD_BLOCK - 1) / CAD_BLOCK;
    cad_bump_t b = { base, 0 };
    l->dres = cad_bump(&b, rows, e.Dp, sizeof(float));
    l->g = cad_bump(&b, rows, e.Ep, sizeof(float));
    l->dx = cad_bump(&b, rows, e.Ep, sizeof(float));
    for (int k = 0; k < 2; k++) l->keep[k] = cad_model_apart(m) ? cad_bump(&b, rows, e.Dp, sizeof(float)) : NULL;
    l->du = cad_bump(&b, tile, e.Ep, sizeof(float));
    l->dpre = cad_bump(&b, tile, e.Ep, sizeof(float));
    l->dxdbl = cad_bump(&b, tile, e.Sp, sizeof(float));
    l->bc = cad_bump(&b, 2 * e.N, tile, sizeof(float));
    l->part = cad_bump(&b, blocks, cad_part_size(tile, e.N), sizeof(float));
    l->da = cad_bump(&b, tile, e.Dp, sizeof(float));
    l->carry = cad_bump(&b, e.N, e.Ep, sizeof(float));
    for (int k = 0; k < 2; k++)
        l->kept[k] = l->f.tape->state ? NULL : cad_bump(&b, rows / CAD_STRETCH + l->most, e.Ep * e.N, sizeof(float));
    return b.used;
}
