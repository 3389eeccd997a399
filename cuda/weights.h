/* weights.h - holds a model's weights on the device, and their gradients. D is d_model, V the number of rows of the
 * embedding table; Dp is D rounded up to CAD_PAD.
 *
 * Weights that the backward pass reads are float32, also under bf16. Gradients are copied to the host once for each
 * update, in the layout of core/engine/gradients.h. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_WEIGHTS_H
#define CAD_CUDA_WEIGHTS_H

#include "lane.h"
#include "product.h"
#include "store.h"

/* ---- weights ---- */

/* Places the head's table (V,Dp) for one strand. In the table of strand 1, row v is the row of token v's complement. */
static const float *place_head(store_t *s, const cad_weights_t *w, const cad_model_t *m, int strand)
{
    size_t at = reserve(s, w->V, w->Dp, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t v = 0; d && v < w->V; v++)
        memcpy(d + v * w->Dp, m->embed + (strand ? m->vocab.comp[v] : v) * w->D, (size_t)w->D * sizeof *d);
    return (const float *)on_device(s, at);
}

static void place_weights(store_t *s, cad_weights_t *w, const cad_model_t *m)
{
    w->embed = place(s, m->embed_in, w->V, w->D, w->V, w->Dp, false);
    w->head[0] = place_head(s, w, m, 0);
    w->head[1] = place_head(s, w, m, 1);
    w->norm_f = place_vector(s, m->norm_f, w->D, w->Dp);
    w->norm_f_bias = place_vector(s, m->norm_f_bias, w->D, w->Dp);
    w->mirrored = place_mirrored(s, m->norm_f, w->D, w->Dp);
    w->mirrored_bias = place_mirrored(s, m->norm_f_bias, w->D, w->Dp);
    for (int i = 0; i < m->cfg.n_layer; i++) {
        w->norm[i] = place_vector(s, m->layer[i].norm, w->D, w->Dp);
        w->norm_bias[i] = place_vector(s, m->layer[i].norm_bias, w->D, w->Dp);
        kind_at(m->layer[i].kind)->place(s, w, m, i);
    }
}

static cudaError_t upload_weights(cad_weights_t *w, const cad_model_t *m)
{
    store_t s = store_begin(w->stage, w->mem, w->bytes);
    if (s.host.base) place_weights(&s, w, m);
    return store_end(&s, w->stage, w->bytes);
}

/* Copies the model's new weights to the device. A failure is reported by the next batch. */
static void weights_renew(cad_weights_t *w, const cad_model_t *m)
{
    cudaSetDevice(w->device);
    if (!w->stage) w->stage = stage_open(w->bytes);
    w->stale = upload_weights(w, m) != cudaSuccess;
}

static void weights_close(cad_weights_t *w)
{
    if (!w) return;
    cudaSetDevice(w->device);
    for (int k = 0; k < CAD_GPU_NKINDS; k++) kind_at(k)->close(w);
    blas_close(w->blas);
    cudaFree(w->mem);
    free_host(w->stage);
    free(w->norm);
    free(w->norm_bias);
    free(w);
}

/* Sets the sizes in w and allocates host memory; returns false when out of memory. */
static bool weights_prepare(cad_weights_t *w, const cad_ops_t *ops, const cad_model_t *m)
{
    size_t layers = (size_t)m->cfg.n_layer;
    w->device = ops->device;
    w->half = !strcmp(ops->precision, "bf16");
    w->form = w->half ? AS_BF16 : strcmp(ops->precision, "bf16x3") ? AS_FP32 : AS_BF16X3;
    w->D = m->cfg.d_model;
    w->Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    w->V = m->vocab.rows;
    w->eps = (float)m->cfg.norm_epsilon;
    w->rms = m->cfg.rms_norm;
    w->apart = cad_model_apart(m);
    w->norm = (const float **)calloc(layers, sizeof *w->norm);
    w->norm_bias = (const float **)calloc(layers, sizeof *w->norm_bias);
    if (!w->norm || !w->norm_bias) return false;
    EACH_KIND(k, m) if (!kind_at(k)->open(w, m)) return false;
    return true;
}

/* Allocates device memory, fills it, and opens the products. An overflow of sizes counts as out of memory. */
static int weights_to_device(cad_weights_t *w, const cad_model_t *m, cad_error_t *err)
{
    store_t count = { .host = { .base = NULL, .used = 0 }, .device = NULL };
    cudaError_t e = cudaSetDevice(w->device);
    int rc;
    place_weights(&count, w, m);
    w->bytes = count.host.used;
    if (e == cudaSuccess) e = overflowed(&count) ? cudaErrorMemoryAllocation : cudaMalloc(&w->mem, w->bytes);
    if (e == cudaSuccess) e = upload_weights(w, m);
    if (e != cudaSuccess) {
        cudaGetLastError();
        return fail(err, code_of(e), "cuda:%d: a model of %.3g GB: %s", w->device, (double)w->bytes * 1e-9,
                    cudaGetErrorString(e));
    }
    rc = blas_open(&w->blas, err);
    EACH_KIND(k, m) if (rc == 0) rc = kind_at(k)->open_products(w, err);
    return rc;
}

/* Returns CAD_EARG if a kind that the model uses refuses the model (kind.h), else 0. */
static int refused(const cad_model_t *m, bool back, cad_error_t *err)
{
    EACH_KIND(k, m) if (kind_at(k)->refuse(m, back, err)) return CAD_EARG;
    return 0;
}

static int weights_open(cad_weights_t **out, const cad_ops_t *ops, const cad_model_t *m, cad_error_t *err)
{
    cad_weights_t *w;
    int rc = refused(m, false, err);
    *out = NULL;
    if (rc) return rc;
    w = (cad_weights_t *)calloc(1, sizeof *w);
    if (!w) return fail(err, CAD_ENOMEM, "out of memory");
    rc = weights_prepare(w, ops, m) ? weights_to_device(w, m, err) : fail(err, CAD_ENOMEM, "out of memory");
    if (rc) weights_close(w);
    else *out = w;
    return rc;
}

/* ---- gradients ---- */

static void place_back_weights(store_t *s, cad_grads_t *q, const cad_model_t *m)
{
    for (int i = 0; i < m->cfg.n_layer; i++) kind_at(m->layer[i].kind)->place_back(s, q, m, i);
}

static cudaError_t upload_back_weights(cad_grads_t *q, const cad_model_t *m)
{
    store_t s = store_begin(q->stage, q->mem, q->bytes);
    if (s.host.base) place_back_weights(&s, q, m);
    return store_end(&s, q->stage, q->bytes);
}

/* Copies the new weights that the backward pass reads to the device. A failure is reported by the next backward
 * pass. */
static void grads_renew(cad_grads_t *q, const cad_model_t *m)
{
    cudaSetDevice(q->device);
    q->stale = upload_back_weights(q, m) != cudaSuccess;
}

static void grads_close(cad_grads_t *q)
{
    if (!q) return;
    cudaSetDevice(q->device);
    for (int k = 0; k < CAD_GPU_NKINDS; k++) kind_at(k)->close_back(q);
    cudaFree(q->mem);
    free_host(q->stage);
    cudaFree(q->sums);
    free_host(q->mirror);
    cad_sums_close(&q->s, q->model);
    free(q);
}

static int open_back_products(cad_grads_t *q, const cad_model_t *m, cad_error_t *err)
{
    cublasLtHandle_t blas = NULL;
    int rc = blas_open(&blas, err);
    EACH_KIND(k, m) if (rc == 0) rc = kind_at(k)->open_products_back(q, blas, err);
    blas_close(blas);
    return rc;
}

/* Allocates device memory, fills it, and opens the products of the backward pass. */
static int grads_to_device(cad_grads_t *q, const cad_model_t *m, cad_error_t *err)
{
    store_t count = { .host = { .base = NULL, .used = 0 }, .device = NULL };
    size_t sums = q->s.bytes;
    cudaError_t e = cudaSetDevice(q->device);
    place_back_weights(&count, q, m);
    q->bytes = count.host.used;
    if (overflowed(&count)) e = cudaErrorMemoryAllocation;
    if (e == cudaSuccess) e = cudaMalloc(&q->mem, q->bytes);
    if (e == cudaSuccess) q->stage = stage_open(q->bytes);
    if (e == cudaSuccess) e = cudaMalloc((void **)&q->sums, sums);
    if (e == cudaSuccess) e = cudaMallocHost((void **)&q->mirror, sums);
    if (e == cudaSuccess) e = cudaMemset(q->sums, 0, sums);
    if (e == cudaSuccess) e = upload_back_weights(q, m); /* the copy also waits for cudaMemset */
    if (e == cudaSuccess) {
        cad_sums_place(&q->s, m, q->sums);
        return open_back_products(q, m, err);
    }
    cudaGetLastError();
    return fail(err, code_of(e), "cuda:%d: gradients of %.3g GB: %s", q->device, (double)(sums + q->bytes) * 1e-9,
                cudaGetErrorString(e));
}

/* Sets the sizes in q and allocates host memory; returns false when out of memory. */
static bool grads_prepare(cad_grads_t *q, const cad_ops_t *ops, const cad_model_t *m, bool by_layer)
{
    q->device = ops->device;
    q->model = m;
    for (int k = 0; k < CAD_GPU_NKINDS; k++) q->kind_sums[k] = kind_at(k)->sums;
    if (!cad_sums_open(&q->s, m, q->kind_sums, by_layer)) return false;
    EACH_KIND(k, m) if (!kind_at(k)->open_back(q, m, !strcmp(ops->precision, "bf16"))) return false;
    return true;
}

/* `like` is not used: there is only one grad lane, so there are no weights to share. */
static int grads_open(cad_grads_t **out, const cad_ops_t *ops, const cad_model_t *m, const cad_grads_t *like,
                      bool by_layer, cad_error_t *err)
{
    cad_grads_t *q;
    int rc = refused(m, true, err);
    (void)like;
    *out = NULL;
    if (rc) return rc;
    q = (cad_grads_t *)calloc(1, sizeof *q);
    if (!q) return fail(err, CAD_ENOMEM, "out of memory");
    rc = grads_prepare(q, ops, m, by_layer) ? grads_to_device(q, m, err) : fail(err, CAD_ENOMEM, "out of memory");
    if (rc) grads_close(q);
    else *out = q;
    return rc;
}

static int grads_collect(cad_grad_lane_t *l, const cad_model_t *m, float *flat)
{
    cad_grads_t *q = l->grads;
    size_t bytes = q->s.bytes;
    int rc = check(&l->f, cudaSetDevice(q->device), "choosing the device");
    if (rc == 0) rc = to_host(&l->f, q->mirror, q->sums, bytes);
    if (rc == 0) rc = arrive(&l->f);
    if (rc) return rc;
    cad_sums_place(&q->s, m, q->mirror);
    cad_sums_add(&q->s, m, flat);
    cad_sums_place(&q->s, m, q->sums);
    return check(&l->f, cudaMemsetAsync(q->sums, 0, bytes, gpu_of(&l->f)->stream), "clearing");
}

static int grads_collect_layer(cad_grad_lane_t *l, const cad_model_t *m, int layer, float *to)
{
    cad_grads_t *q = l->grads;
    size_t from = layer < 0 ? q->s.layers : 0, bytes = layer < 0 ? q->s.bytes - q->s.layers : q->s.layers;
    int rc = check(&l->f, cudaSetDevice(q->device), "choosing the device");
    if (rc == 0 && layer >= 0) rc = to_host(&l->f, q->mirror, q->sums, bytes);
    if (rc == 0 && layer >= 0) rc = arrive(&l->f);
    if (rc) return rc;
    if (layer >= 0) {
        cad_sums_place(&q->s, m, q->mirror);
        cad_sums_add_layer(&q->s, m, layer, to);
        cad_sums_place(&q->s, m, q->sums);
    }
    return check(&l->f, cudaMemsetAsync((char *)q->sums + from, 0, bytes, gpu_of(&l->f)->stream), "clearing");
}

#endif
