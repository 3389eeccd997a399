/* mamba2_kind_tmpl.h - compiles the layer kind Mamba-2 for one instruction set: defines the tables of its operations,
 * in the order of blocks/mamba2.h, and the functions that pack its weights and lay out its gradients.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA2_KIND_TMPL_H
#define CAD_MAMBA2_KIND_TMPL_H

#include "mamba2_in_tmpl.h"
#include "mamba2_scan_back_tmpl.h"
#include "mamba2_scan_tmpl.h"

/* Packs a layer's weights. `packed` points to a mamba2_t[2], with one element for each direction. */
static void lay_mamba2_layer(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    const cad_layer_t *l = &m->layer[layer];
    int64_t tokens = !layer && w->V <= MAMBA2_TOKENS ? w->V : 0;
    mamba2_t *to = packed, own = { 0 };
    for (int k = 0; k < l->ndir; k++) {
        if (!k || !cad_layer_shares(l, CAD_MAMBA2_IN)) own = lay_projections(b, m, &l->dir[k], w->numbers, tokens);
        to[k] = lay_own(b, m, &l->dir[k], own);
    }
}

static void derive_mamba2(const cad_weights_t *w, int layer, void *packed)
{
    for (mamba2_t *m = packed; m < (mamba2_t *)packed + 2; m++)
        if (m->first_x) mamba2_tabulate(m, &w->norm[layer], w->embed, w->V, w->row);
}

static cad_op_f *const mamba2_ops[CAD_MAMBA2_OPS] = {
    [CAD_MAMBA2_OP_IN] = mamba2_in,     [CAD_MAMBA2_OP_CONV] = mamba2_conv, [CAD_MAMBA2_OP_SCAN] = mamba2_scan,
    [CAD_MAMBA2_OP_GATE] = mamba2_gate, [CAD_MAMBA2_OP_OUT] = mamba2_out,
};

#ifdef CAD_ISA_BACK_OPS
/* Packs a layer's transposed weights. `turned` points to a mamba2_turned_t[2], with one element for each direction. */
static void lay_mamba2_layer_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    const cad_layer_t *l = &m->layer[layer];
    mamba2_turned_t *to = turned;
    for (int k = 0; k < l->ndir; k++)
        to[k] = k && cad_layer_shares(l, CAD_MAMBA2_IN) ? to[0] : lay_mamba2_turned(b, m, &l->dir[k], f);
}

static cad_back_f *const mamba2_back_ops[CAD_MAMBA2_BACK_OPS] = {
    [CAD_MAMBA2_BACK_OUT] = mamba2_out_back,
    [CAD_MAMBA2_BACK_SCAN] = mamba2_scan_back,
    [CAD_MAMBA2_BACK_CONV] = mamba2_conv_back,
    [CAD_MAMBA2_BACK_IN] = mamba2_in_back,
};
static const cad_kind_sums_t MAMBA2_SUMS = { .bytes = sizeof(cad_mamba2_sums_t),
                                             .place = cad_mamba2_sums_place,
                                             .add = cad_mamba2_sums_add };
#endif

static const cpu_kind_t cpu_mamba2 = {
    .packed = 2 * sizeof(mamba2_t),
    .lay = lay_mamba2_layer,
    .derive = derive_mamba2,
#ifdef CAD_ISA_BACK_OPS
    .turned = 2 * sizeof(mamba2_turned_t),
    .lay_turned = lay_mamba2_layer_turned,
    .sums = &MAMBA2_SUMS,
#endif
};

#endif
