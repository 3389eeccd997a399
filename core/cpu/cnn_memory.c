/* cnn_memory.c - lays out the activations of convolution layers and their gradients in a lane of the CPU.
 * SPDX-License-Identifier: MIT */
#include "blocks/cnn.h"
#include "cpu/lane.h"

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_cnn_lane_t *w = cad_cnn_lane(l);
    const cad_cnn_t *s = cad_cnn(&m->cfg);
    int64_t most = cad_encoder_most(l, m);
    w->rows = l->rows;
    w->u = l->tape && l->tape->kept ? NULL : cad_bump_floats(b, l->rows, cad_cnn_E(s));
    w->y = cad_bump_floats(b, most, cad_cnn_E(s));
    w->a = cad_bump_floats(b, most + cad_cnn_widest(s) - 1, cad_round_up(m->cfg.d_model, CAD_PAD));
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_cnn_grad_lane_t *w = cad_cnn_grad_lane(l);
    const cad_cnn_t *s = cad_cnn(&m->cfg);
    int64_t most = cad_encoder_most(&l->f, m), widest = cad_cnn_widest(s), E = cad_cnn_E(s);
    int64_t Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    w->du = cad_bump_floats(b, l->f.rows, E);
    w->g = cad_bump_floats(b, most, E);
    w->near = cad_bump_floats(b, most + widest - 1, s->C);
    w->words = cad_bump_floats(b, most + 1, widest * Dp + cad_max(E, Dp));
}

extern const cad_cpu_memory_t cad_cpu_memory_cnn;
const cad_cpu_memory_t cad_cpu_memory_cnn = { .carve = carve, .carve_back = carve_back };
