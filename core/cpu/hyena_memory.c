/* hyena_memory.c - lays out the activations of hyena layers and their gradients in a lane of the CPU.
 * SPDX-License-Identifier: MIT */
#include "blocks/hyena.h"
#include "cpu/hyena_fft.h"
#include "cpu/lane.h"

/* Returns the floats from one channel's transform to the next, for the longest sequence of a lane. */
static int64_t stride_of(const cad_lane_t *l, const cad_model_t *m)
{
    return cad_round_up(cad_fft_size(2 * cad_min(l->rows, cad_hyena(&m->cfg)->L)) + 2, CAD_PAD);
}

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_hyena_lane_t *w = cad_hyena_lane(l);
    int64_t threads = cad_team_threads(l->team);
    bool kept = l->tape && l->tape->kept;
    w->stride = stride_of(l, m);
    w->u = kept ? NULL : cad_bump_floats(b, 1, l->rows * cad_hyena_W(&m->cfg) + CAD_HYENA_LANES);
    w->c = kept ? NULL : cad_bump_floats(b, l->rows, l->Dp);
    w->room = cad_bump_floats(b, threads * 2 * CAD_HYENA_LANES, w->stride);
    w->units = cad_bump(b, threads, cad_hyena_units(cad_hyena(&m->cfg)), sizeof(double));
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_hyena_grad_lane_t *w = cad_hyena_grad_lane(l);
    const cad_hyena_t *s = cad_hyena(&m->cfg);
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD), W = cad_hyena_W(&m->cfg);
    w->most = cad_round_up(cad_min(l->f.rows, s->L), CAD_HYENA_ROWS);
    w->g = cad_bump_floats(b, l->f.rows, Dp);
    w->du = cad_bump_floats(b, 1, l->f.rows * W + CAD_HYENA_LANES);
    w->room = cad_bump_floats(b, cad_team_threads(l->f.team) * 2 * CAD_HYENA_LANES, stride_of(&l->f, m));
    w->dk = cad_bump_floats(b, D, w->most);
    w->part = cad_bump(b, CAD_HYENA_STRETCH, cad_hyena_filter_size(s, D), sizeof(double));
    w->words = cad_bump_floats(b, cad_encoder_most(&l->f, m) + 1, W + Dp);
}

extern const cad_cpu_memory_t cad_cpu_memory_hyena;
const cad_cpu_memory_t cad_cpu_memory_hyena = { .carve = carve, .carve_back = carve_back };
