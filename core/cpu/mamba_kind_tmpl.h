/* mamba_kind_tmpl.h - compiles the layer kind Mamba for one instruction set: defines the tables of its operations, in
 * the order of blocks/mamba.h, and the functions that pack its weights and lay out its gradients.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA_KIND_TMPL_H
#define CAD_MAMBA_KIND_TMPL_H

#include "mamba_conv_tmpl.h"
#include "mamba_in_tmpl.h"
#include "mamba_out_tmpl.h"
#include "mamba_scan_back_tmpl.h"
#include "mamba_scan_tmpl.h"

/* Packs a layer's weights. `packed` points to a mamba_t[2], with one element for each direction. */
static void lay_mamba_layer(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    const cad_layer_t *l = &m->layer[layer];
    int64_t tokens = !layer && w->V <= MAMBA_TOKENS ? w->V : 0;
    mamba_t *to = packed;
    for (int k = 0; k < l->ndir; k++) {
        const mamba_t *like = k && cad_layer_shares(l, CAD_MAMBA_IN) ? to : NULL;
        to[k] = lay_mamba(b, m, &l->dir[k], like, w->numbers, tokens);
    }
}

static void derive_mamba(const cad_weights_t *w, int layer, void *packed)
{
    for (mamba_t *m = packed; m < (mamba_t *)packed + 2; m++)
        if (m->first_x) mamba_tabulate(m, &w->norm[layer], w->embed, w->V, w->row);
}

static cad_op_f *const mamba_ops[CAD_MAMBA_OPS] = {
    [CAD_MAMBA_OP_IN] = mamba_in,
    [CAD_MAMBA_OP_CONV] = mamba_conv,
    [CAD_MAMBA_OP_SCAN] = mamba_scan,
    [CAD_MAMBA_OP_OUT] = mamba_out,
};

#ifdef CAD_ISA_BACK_OPS
/* Packs a layer's transposed weights for the backward pass. `turned` points to a mamba_turned_t[2], with one element
 * for each direction. */
static void lay_mamba_layer_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    const cad_layer_t *l = &m->layer[layer];
    for (int k = 0; k < l->ndir; k++) ((mamba_turned_t *)turned)[k] = lay_mamba_turned(b, m, &l->dir[k], f);
}

static void place_mamba_sums(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    cad_mamba_sums_place(b, m, layer, sums, cad_mamba(&m->cfg)->N, VW);
}

static cad_back_f *const mamba_back_ops[CAD_MAMBA_BACK_OPS] = {
    [CAD_MAMBA_BACK_OUT] = mamba_out_back,
    [CAD_MAMBA_BACK_SCAN] = mamba_scan_back,
    [CAD_MAMBA_BACK_CONV] = mamba_conv_back,
    [CAD_MAMBA_BACK_IN] = mamba_in_back,
};
static const cad_kind_sums_t MAMBA_SUMS = { .bytes = sizeof(cad_mamba_sums_t),
                                            .place = place_mamba_sums,
                                            .add = cad_mamba_sums_add };
#endif

static const cpu_kind_t cpu_mamba = {
    .packed = 2 * sizeof(mamba_t),
    .lay = lay_mamba_layer,
    .derive = derive_mamba,
#ifdef CAD_ISA_BACK_OPS
    .turned = 2 * sizeof(mamba_turned_t),
    .lay_turned = lay_mamba_layer_turned,
    .sums = &MAMBA_SUMS,
#endif
};

#endif
