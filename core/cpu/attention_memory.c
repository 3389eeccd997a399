/* attention_memory.c - lays out the activations of attention layers and their gradients in a lane of the CPU.
 * SPDX-License-Identifier: MIT */
#include "blocks/attention.h"
#include "cpu/lane.h"

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_attention_lane_t *w = cad_attention_lane(l);
    int64_t I = cad_attention_I(&m->cfg);
    bool kept = l->tape && l->tape->kept;
    w->qkv = kept ? NULL : cad_bump_floats(b, l->rows, 3 * I);
    w->y = kept ? NULL : cad_bump_floats(b, l->rows, I);
    w->edge = cad_attention(&m->cfg)->pattern == CAD_ATTENTION_GRAPH
                  ? (int32_t *)cad_bump(b, l->rows, CAD_EDGES, sizeof(int32_t))
                  : NULL;
    w->stat = kept || !l->tape ? NULL : cad_bump_floats(b, l->rows, 2 * cad_attention(&m->cfg)->H);
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_attention_grad_lane_t *w = cad_attention_grad_lane(l);
    int64_t I = cad_attention_I(&m->cfg), Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    w->dqkv = cad_bump_floats(b, l->f.rows, 3 * I);
    w->g = cad_bump_floats(b, l->f.rows, I);
    w->words = cad_bump_floats(b, cad_encoder_most(&l->f, m) + 1, 3 * I + cad_max(Dp, I));
}

extern const cad_cpu_memory_t cad_cpu_memory_attention;
const cad_cpu_memory_t cad_cpu_memory_attention = { .carve = carve, .carve_back = carve_back };
