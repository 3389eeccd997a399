/* lanes.c - opens lanes for tests of operations, and compares their rows. SPDX-License-Identifier: MIT */
#include <math.h>

#include "lanes.h"

void lane_need(const cad_lane_t *l, int rc)
{
    if (rc == 0) return;
    printf("Bail out! %s: %s\n", l->ops->name, l->text);
    exit(1);
}

void lane_begin(cad_lane_t *l, const cad_ops_t *ops, const cad_weights_t *w, const cad_model_t *m, cad_team_t *team,
                int64_t rows, int64_t tile)
{
    *l = (cad_lane_t) { .ops = ops,
                        .weights = w,
                        .team = ops->wide ? team : NULL,
                        .rows = rows,
                        .tile = ops->tile == CAD_WHOLE ? rows : tile };
    l->tok = cad_alloc((size_t)rows, 1);
    lane_need(l, ops->lane_open(l, m));
}

void lane_end(cad_lane_t *l)
{
    l->ops->lane_close(l);
    free(l->tok);
}

bool lane_same_rows(cad_lane_t *a, cad_lane_t *b, const cad_model_t *m, int64_t from, int64_t to, int64_t n)
{
    int64_t size = n * cad_round_up(m->cfg.d_model, CAD_PAD);
    float *x = cad_alloc((size_t)(2 * size), sizeof *x), *y = x + size;
    bool same;
    lane_need(a, a->ops->read(a, CAD_KIND_mamba, CAD_AT_RES, from, n, x));
    lane_need(b, b->ops->read(b, CAD_KIND_mamba, CAD_AT_RES, to, n, y));
    same = !memcmp(x, y, (size_t)size * sizeof *x);
    for (int64_t i = 0; i < size; i++) same = same && !isnan(x[i]);
    free(x);
    return same;
}
