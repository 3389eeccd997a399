/* kind.h - the functions that each layer kind provides to the CUDA backend. SPDX-License-Identifier: MIT */
#ifndef CAD_CUDA_KIND_H
#define CAD_CUDA_KIND_H

#include "common.h"
#include "store.h"

typedef struct {
    /* Returns CAD_EARG and a reason in err if the kernels do not support the model. back: true in training. */
    int (*refuse)(const cad_model_t *m, bool back, cad_error_t *err);
    /* Sets the sizes of the kind's weights and allocates host memory for them; returns false if out of memory. `close`
     * must be called in either case. */
    bool (*open)(cad_weights_t *w, const cad_model_t *m);
    void (*close)(cad_weights_t *w);
    void (*place)(store_t *s, cad_weights_t *w, const cad_model_t *m, int layer);
    int (*open_products)(cad_weights_t *w, cad_error_t *err);
    /* Lays out the kind's activations in a lane. padded: the number of rows, rounded up to a multiple of PRODUCT_ROWS;
     * slots: the number of pieces of long sequences. */
    void (*carve)(cad_lane_t *l, cad_bump_t *b, int64_t padded, int64_t slots);
    view_t (*view)(const cad_lane_t *l, int what);
    /* The functions named NAME_back do for the backward pass what the functions NAME above do for the forward pass.
     * fast: matrix products may use TF32. */
    bool (*open_back)(cad_grads_t *q, const cad_model_t *m, bool fast);
    void (*close_back)(cad_grads_t *q);
    void (*place_back)(store_t *s, cad_grads_t *q, const cad_model_t *m, int layer);
    int (*open_products_back)(cad_grads_t *q, cublasLtHandle_t blas, cad_error_t *err);
    /* Returns the maximum number of values of all partial sums of one gradient. pieces: the maximum number of pieces
     * into which the sequences are cut. */
    int64_t (*most_parts)(const cad_grads_t *q, int64_t rows, int64_t pieces);
    void (*carve_back)(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b);
    const cad_kind_sums_t *sums;
} kind_t;

static const kind_t *kind_at(int kind); /* defined in backend.cu */

/* A loop over the layer kinds k that model m uses. */
#define EACH_KIND(k, m)                      \
    for (int k = 0; k < CAD_GPU_NKINDS; k++) \
        if (cad_config_uses(&(m)->cfg, k))

/* True if the second direction of a layer shares the projections of the first. in, out: the roles of in_proj and
 * out_proj. */
static bool tied(const cad_layer_t *l, int in, int out)
{
    return cad_param(&l->dir[0], in) == cad_param(&l->dir[1], in) &&
           cad_param(&l->dir[0], out) == cad_param(&l->dir[1], out);
}

#endif
