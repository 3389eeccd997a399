/* mamba2_memory.c - lays out a Mamba-2 layer's activations and their gradients in the memory of a lane.
 * SPDX-License-Identifier: MIT
 */
#include "blocks/mamba2.h"
#include "cpu/lane.h"

static void carve(cad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    cad_mamba2_lane_t *w = cad_mamba2_lane(l);
    int64_t most = cad_encoder_most(l, m), Ep = cad_mamba2_Ep(s), Hp = cad_mamba2_Hp(s);
    int64_t each = cad_encoder_segment(l), segments = (cad_encoder_tiles(l, l->rows) + each - 1) / each;
    // rows of z and o that are held at a time
    int64_t kept = segments > 1 ? each * l->tile + CAD_MAMBA2_CHUNK - 1 : l->rows;
    w->Ep = Ep;
    w->Cp = cad_mamba2_Cp(s);
    w->Xp = cad_mamba2_Xp(s);
    w->x = l->tape && l->tape->kept ? NULL : cad_bump_floats(b, l->rows, w->Xp);
    w->z = cad_bump_floats(b, kept, Ep);
    w->o = cad_bump_floats(b, kept, Ep);
    w->u = cad_bump_floats(b, most, w->Cp);
    w->dt = cad_bump_floats(b, most, Hp);
    w->decay = cad_bump_floats(b, most, Hp);
    w->y = cad_bump_floats(b, most, Ep);
    w->score = cad_bump_floats(b, most, s->G * CAD_MAMBA2_CHUNK);
    w->carry = cad_bump_floats(b, (segments > 1 ? segments + 1 : 1) * cad_mamba2_Np(s), Ep);
}

static void carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    int64_t rows = l->f.rows, most = cad_encoder_most(&l->f, m), Ep = cad_mamba2_Ep(s), Np = cad_mamba2_Np(s);
    int64_t slots = rows / CAD_MAMBA2_CHUNK + l->most;
    w->g = cad_bump_floats(b, rows, Ep);
    w->dz = cad_bump_floats(b, rows, Ep);
    w->dx = cad_bump_floats(b, rows, cad_mamba2_Xp(s));
    w->du = cad_bump_floats(b, most, cad_mamba2_Cp(s));
    w->dr = cad_bump_floats(b, most, cad_mamba2_Hp(s));
    w->term = cad_bump_floats(b, most, Ep);
    w->part = cad_bump_floats(b, s->H * most, 2 * Np);
    w->carry = cad_bump_floats(b, Np, Ep);
    w->words = cad_bump_floats(b, most, 2 * cad_max(cad_mamba2_Xp(s), cad_round_up(m->cfg.d_model, CAD_PAD)));
    for (int k = 0; k < 2; k++) w->kept[k] = l->f.tape->kept ? NULL : cad_bump_floats(b, slots, Ep * Np);
}

static const float *array(const cad_lane_t *l, int what, int64_t *width, int64_t *rows)
{
    const cad_mamba2_lane_t *w = cad_mamba2_lane(l);
    *rows = 0;
    *width = what == CAD_AT_MAMBA2_X ? w->Xp : what == CAD_AT_MAMBA2_U ? w->Cp : w->Ep;
    switch (what) {
    case CAD_AT_MAMBA2_X: return w->x;
    case CAD_AT_MAMBA2_Z: return w->z;
    case CAD_AT_MAMBA2_U: return w->u;
    case CAD_AT_MAMBA2_Y: return w->y;
    default: return w->o;
    }
}

extern const cad_cpu_memory_t cad_cpu_memory_mamba2;
const cad_cpu_memory_t cad_cpu_memory_mamba2 = { .carve = carve, .carve_back = carve_back, .array = array };
