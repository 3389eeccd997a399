/* mamba2_kind.h - Mamba-2 layers have no kernels for the device yet: a model with such layers is refused before any
 * other function of the kind would be called. SPDX-License-Identifier: MIT */
#ifndef CAD_CUDA_MAMBA2_KIND_H
#define CAD_CUDA_MAMBA2_KIND_H

#include "blocks/mamba2.h"
#include "kind.h"

static int mamba2_refuse(const cad_model_t *m, bool back, cad_error_t *err)
{
    (void)m;
    (void)back;
    return fail(err, CAD_EARG, "the CUDA backend has no Mamba-2 layers yet; use the CPU");
}

/* Called for every kind, used or not. */
static void mamba2_close(cad_weights_t *w) { (void)w; }
static void mamba2_close_back(cad_grads_t *q) { (void)q; }

static const kind_t cuda_mamba2 = { .refuse = mamba2_refuse, .close = mamba2_close, .close_back = mamba2_close_back };

static cad_op_f *const mamba2_ops[2][CAD_MAMBA2_OPS] = { { NULL } };
static cad_back_f *const mamba2_back_ops[2][CAD_MAMBA2_BACK_OPS] = { { NULL } };

#endif
