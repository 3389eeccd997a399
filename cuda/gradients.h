/* gradients.h - gradients on the device, and the weights that the way back reads.
 *
 * Weights are float32 here, whatever the forward pass reads. Gradients come to the host
 * once for an update, in the layout of core/grads.h. A lane's own memory for the backward
 * pass is laid out here too: a trainer has one lane. SPDX-License-Identifier: MIT
 */
#include "engine/gradients.h"

enum { OUT_BACK, DT_BACK, X_BACK, IN_BACK, BACKS }; /* g, dxdbl's dt_in, du, da */
enum { OUT_SUM, IN_SUM, X_SUM, DT_SUM, SUMS };      /* gradients of weights */

typedef struct {
    const float *in, *x, *out;
} turn_t; // (2Ep,Dp), (Sp,Ep), (Dp,Ep), as in_proj, x_proj and out_proj are stored

struct cad_grads_t {
    int device;
    cad_sums_t s;
    float *sums, *mirror; /* all gradients: on the device; in pinned memory */
    turn_t *turn;         // (layers,2)
    void *mem;            /* the weights */
    size_t bytes;
    char *stage; /* of as many bytes on the host, or NULL */
    bool stale;  /* they could not be renewed */
    product_t product[BACKS];
    outer_t outer[SUMS];
    /* The lane's: */
    float *a;       // (rows,Dp) normalised rows
    float *parts;   /* partial sums, of one gradient at a time */
    float *dlogits; // (rows,V), or (D) of what was pooled
    int64_t *row;   // (rows) whose logits have a gradient
};

/* ---- a lane ---- */

/* The most values that partial sums have. */
static int64_t most_parts(const cad_grads_t *q, int64_t rows, int64_t most)
{
    const cad_sums_t *z = &q->s;
    int64_t n = (most + most_slots(rows)) * (STATES + 1) * z->Ep, slabs_n = ceil_div(rows, SLAB);
    n = cad_max(n, slabs_n * cad_max((z->K + 1) * z->Ep, cad_max(2 * z->Ep, z->V * z->Dp)));
    for (int i = 0; i < SUMS; i++) n = cad_max(n, BLOCK / PART * q->outer[i].n * q->outer[i].k);
    return n;
}

/* f.rows is a multiple of BLOCK, so all that products read and write is aligned. */
static size_t back_carve(cad_grad_lane_t *l, const cad_model_t *m, char *base)
{
    cad_grads_t *q = l->grads;
    const cad_sums_t *z = &q->s;
    int64_t rows = l->f.rows, slots = rows / AHEAD + l->most;
    cad_bump_t b = { base, 0 };
    l->dres = (float *)cad_bump(&b, rows, z->Dp, sizeof(float));
    l->dx = (float *)cad_bump(&b, rows, 2 * z->Ep, sizeof(float));
    l->g = base ? l->dx + z->Ep : NULL;
    for (int k = 0; k < 2; k++)
        l->keep[k] = cad_model_apart(m) ? (float *)cad_bump(&b, rows, z->Dp, sizeof(float)) : NULL;
    l->du = (float *)cad_bump(&b, rows, z->Ep, sizeof(float));
    l->dpre = (float *)cad_bump(&b, rows, z->Ep, sizeof(float));
    l->dxdbl = (float *)cad_bump(&b, rows, z->Sp, sizeof(float));
    l->da = (float *)cad_bump(&b, rows, z->Dp, sizeof(float));
    q->a = (float *)cad_bump(&b, rows, z->Dp, sizeof(float));
    l->part = (float *)cad_bump(&b, ceil_div(z->Ep, THREADS) * rows, 2 * z->Np, sizeof(float));
    q->parts = (float *)cad_bump(&b, most_parts(q, rows, l->most), 1, sizeof(float));
    q->dlogits = (float *)cad_bump(&b, rows, cad_max(z->V, z->D), sizeof(float));
    q->row = (int64_t *)cad_bump(&b, rows, 1, sizeof *q->row);
    for (int k = 0; k < 2; k++)
        l->kept[k] = k < m->layer[0].ndir ? (float *)cad_bump(&b, slots, z->Np * z->Ep, sizeof(float)) : NULL;
    return b.used;
}

static void *back_take(const cad_ops_t *ops, size_t bytes)
{
    void *p = NULL;
    cudaError_t e = cudaSetDevice(ops->device);
    if (e == cudaSuccess) e = bytes < SIZE_MAX / 2 ? cudaMalloc(&p, bytes) : cudaErrorMemoryAllocation;
    if (e == cudaSuccess) e = cudaMemset(p, 0xff, bytes); /* what nobody wrote is NaN */
    if (e == cudaSuccess) e = cudaDeviceSynchronize();
    if (e == cudaSuccess) return p;
    cudaFree(p);
    cudaGetLastError();
    return NULL;
}

static void back_give(const cad_ops_t *ops, void *memory)
{
    cudaSetDevice(ops->device);
    cudaFree(memory);
}

/* ---- weights ---- */

static void place_turns(store_t *s, cad_grads_t *q, const cad_model_t *m)
{
    const cad_sums_t *z = &q->s;
    for (int i = 0; i < 2 * m->cfg.n_layer; i++) {
        const cad_direction_t *d = &m->layer[i / 2].dir[i % 2];
        if (i % 2 >= m->layer[i / 2].ndir) continue;
        q->turn[i].x = (const float *)place_table(s, false, d->x, 1, z->R + 2 * z->N, z->E, z->Sp, z->Ep);
        if (i % 2 && tied(&m->layer[i / 2])) {
            q->turn[i].in = q->turn[i - 1].in;
            q->turn[i].out = q->turn[i - 1].out;
            continue;
        }
        q->turn[i].in = (const float *)place_table(s, false, d->in, 2, z->E, z->D, z->Ep, z->Dp);
        q->turn[i].out = (const float *)place_table(s, false, d->out, 1, z->D, z->E, z->Dp, z->Ep);
    }
}

static cudaError_t upload_turns(cad_grads_t *q, const cad_model_t *m)
{
    store_t s = { q->stage ? q->stage : (char *)calloc(1, q->bytes), (char *)q->mem, 0 };
    cudaError_t e = cudaErrorMemoryAllocation;
    if (s.host) {
        place_turns(&s, q, m);
        e = cudaMemcpy(q->mem, s.host, q->bytes, cudaMemcpyHostToDevice);
        if (e == cudaSuccess) e = cudaDeviceSynchronize(); /* no lane's stream waits for this */
    }
    if (s.host != q->stage) free(s.host);
    return e;
}

/* A failure is the next backward pass's. */
static void grads_renew(cad_grads_t *q, const cad_model_t *m)
{
    cudaSetDevice(q->device);
    q->stale = upload_turns(q, m) != cudaSuccess;
}

/* ---- opening ---- */

static void set_back_product(product_t *p, int64_t n, int64_t k, int64_t ldc, bool turned, bool fast)
{
    set_product(p, n, k, false, false);
    p->ldc = ldc;
    p->turned = turned;
    p->fast = fast;
}

static void set_outer(outer_t *o, int64_t n, int64_t k, int64_t lda, bool fast)
{
    o->n = n;
    o->k = o->ldb = k;
    o->lda = lda;
    o->fast = fast;
}

static void set_back_products(cad_grads_t *q, bool fast)
{
    const cad_sums_t *z = &q->s;
    set_back_product(&q->product[OUT_BACK], z->Ep, z->Dp, 2 * z->Ep, true, fast);
    set_back_product(&q->product[DT_BACK], z->Rp, z->Ep, z->Sp, false, fast);
    set_back_product(&q->product[X_BACK], z->Ep, z->Sp, z->Ep, true, fast);
    set_back_product(&q->product[IN_BACK], z->Dp, 2 * z->Ep, z->Dp, true, fast);
    set_outer(&q->outer[OUT_SUM], z->Dp, z->Ep, z->Dp, fast);
    set_outer(&q->outer[IN_SUM], 2 * z->Ep, z->Dp, 2 * z->Ep, fast);
    set_outer(&q->outer[X_SUM], z->Sp, z->Ep, z->Sp, fast);
    set_outer(&q->outer[DT_SUM], z->Rp, z->Ep, z->Sp, fast);
}

static void grads_close(cad_grads_t *q)
{
    if (!q) return;
    cudaSetDevice(q->device);
    products_close(q->product, BACKS);
    outers_close(q->outer, SUMS);
    cudaFree(q->mem);
    cudaFreeHost(q->stage);
    cudaFree(q->sums);
    cudaFreeHost(q->mirror);
    cad_sums_close(&q->s);
    free(q->turn);
    free(q);
}

/* The device's part, once the host's memory is there. */
static int grads_upload(cad_grads_t *q, const cad_model_t *m, cad_error_t *err)
{
    store_t count = { NULL, NULL, 0 };
    size_t sums = (size_t)q->s.count * sizeof(float);
    cudaError_t e = cudaSetDevice(q->device);
    place_turns(&count, q, m);
    q->bytes = count.used;
    if (e == cudaSuccess) e = cudaMalloc(&q->mem, q->bytes);
    q->stage = stage_open(q->bytes);
    if (e == cudaSuccess) e = cudaMalloc((void **)&q->sums, sums);
    if (e == cudaSuccess) e = cudaMallocHost((void **)&q->mirror, sums);
    if (e == cudaSuccess) e = cudaMemset(q->sums, 0, sums);
    if (e == cudaSuccess) e = upload_turns(q, m); /* which waits for both */
    cad_sums_place(&q->s, m, q->sums);
    if (e == cudaSuccess) return back_products_open(q->product, BACKS, q->outer, SUMS, err);
    cudaGetLastError();
    return fail(err, code_of(e), "cuda:%d: gradients of %.3g GB: %s", q->device, (double)(sums + q->bytes) * 1e-9,
                cudaGetErrorString(e));
}

/* dt_in, B and C of STEP rows, and dB and dC of two groups of rows, are to fit into 48 KB. */
static bool fits_back(const cad_model_t *m)
{
    return (STEP * (PADDED(m->cfg.dt_rank) + 2 * STATES) + 2 * (THREADS / WARP) * AHEAD * 2 * STATES) *
               (int64_t)sizeof(float) <=
           49152;
}

static int grads_open(cad_grads_t **out, const cad_ops_t *ops, const cad_model_t *m, const cad_grads_t *like,
                      cad_error_t *err)
{
    cad_grads_t *q = (cad_grads_t *)calloc(1, sizeof *q);
    int rc;
    (void)like; /* there is one lane */
    *out = NULL;
    if (!q) return fail(err, CAD_ENOMEM, "out of memory");
    if (!fits_back(m)) {
        free(q);
        return fail(err, CAD_EARG, "dt_rank %lld is more than the CUDA kernels hold in training; use the CPU",
                    (long long)m->cfg.dt_rank);
    }
    q->device = ops->device;
    q->turn = (turn_t *)calloc((size_t)m->cfg.n_layer * 2, sizeof *q->turn);
    rc = q->turn && cad_sums_open(&q->s, m, cad_round_up(m->cfg.d_state, STATES), 0)
             ? 0
             : fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0) set_back_products(q, !strcmp(ops->precision, "bf16"));
    if (rc == 0) rc = grads_upload(q, m, err);
    if (rc) grads_close(q);
    else *out = q;
    return rc;
}

/* ---- to the host ---- */

static int grads_collect(cad_grad_lane_t *l, const cad_model_t *m, float *flat)
{
    cad_grads_t *q = l->grads;
    size_t bytes = (size_t)q->s.count * sizeof(float);
    int rc = check(&l->f, cudaSetDevice(q->device), "choosing the device");
    if (rc == 0) rc = to_host(&l->f, q->mirror, q->sums, bytes);
    if (rc == 0) rc = arrive(&l->f);
    if (rc) return rc;
    cad_sums_place(&q->s, m, q->mirror);
    cad_sums_add(&q->s, m, flat);
    cad_sums_place(&q->s, m, q->sums);
    return check(&l->f, cudaMemsetAsync(q->sums, 0, bytes, gpu_of(&l->f)->stream), "clearing");
}
