/* mamba2_kind.h - lays out a Mamba-2 layer's data on the device: weights, activations and gradients. Its operations are
 * in mamba2_in_tmpl.h, mamba2_scan.h and mamba2_scan_back.h. Shapes use the letters of blocks/mamba2.h, such as Np and
 * Pp: the states and the channels of a head, with padding. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA2_KIND_H
#define CAD_CUDA_MAMBA2_KIND_H

#include "kind.h"
#include "mamba2_first.h"
#include "product.h"

#define MAMBA2_TILE CAD_MAMBA2_CHUNK /* rows and columns of a small product, see mamba2_tile.h */

static mamba2_size_t mamba2_size(const cad_model_t *m)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    mamba2_size_t z = { .I = s->I,
                        .H = s->H,
                        .G = s->G,
                        .K = s->K,
                        .Pp = cad_mamba2_Pp(s),
                        .Np = cad_mamba2_Np(s),
                        .Hp = cad_mamba2_Hp(s),
                        .Ep = cad_mamba2_Ep(s),
                        .Cp = cad_mamba2_Cp(s),
                        .Xp = cad_mamba2_Xp(s) };
    return z;
}

/* Returns the number of tiles into which a head's state (Np,Pp) is divided. */
static int64_t state_tiles(const mamba2_size_t *z)
{
    return ceil_div(z->Np, MAMBA2_TILE) * ceil_div(z->Pp, MAMBA2_TILE);
}

/* Refuses a model with too many heads or states: a launch has a row of thread blocks for each tile of each head, and at
 * most 65535 rows. */
static int mamba2_refuse(const cad_model_t *m, bool back, cad_error_t *err)
{
    mamba2_size_t z = mamba2_size(m);
    (void)back;
    if (z.H * state_tiles(&z) <= 65535) return 0;
    return fail(err, CAD_EARG, "%lld heads of %lld states are more than the CUDA kernels hold; use the CPU",
                (long long)z.H, (long long)cad_mamba2(&m->cfg)->N);
}

/* ---- weights ---- */

/* Returns the number of runs (cad_mamba2_run: adjacent channels) in x|B|C or, if `steps`, in x|B|C|r. */
static int64_t runs_of(const cad_mamba2_t *s, bool steps) { return s->H + 2 * s->G + steps; }

/* Places v (channels,D), the rows of in_proj for z (if `heads`) or for x|B|C|r. */
static const void *place_in(store_t *s, form_t form, const cad_mamba2_t *z, const float *v, bool heads, int64_t D,
                            int64_t Dp)
{
    size_t at = reserve(s, heads ? cad_mamba2_Ep(z) : cad_mamba2_Xp(z), Dp, bytes_of(form));
    char *d = (char *)on_host(s, at);
    for (int64_t k = 0; d && k < (heads ? z->H : runs_of(z, true)); k++) {
        cad_mamba2_run_t r = cad_mamba2_run(z, k);
        fill_table(d, form, v + r.from * D, r.n, D, Dp, r.to);
    }
    return on_device(s, at);
}

/* Places v (D,I), the weights of out_proj, as an array (Dp,Ep), in which the P channels of each head are padded to
 * Pp. */
static const void *place_out(store_t *s, form_t form, const cad_mamba2_t *z, const float *v, int64_t D, int64_t Dp)
{
    size_t at = reserve(s, Dp, cad_mamba2_Ep(z), bytes_of(form));
    char *d = (char *)on_host(s, at);
    if (d) fill_table(d, form, v, D * z->H, z->P, cad_mamba2_Pp(z), 0);
    return on_device(s, at);
}

/* Places v, `width` values for each channel of the first n runs, as an array (width,np) with padding. v NULL: all
 * values are 0. */
static const float *place_channels(store_t *s, const cad_mamba2_t *z, const float *v, int64_t n, int64_t width,
                                   int64_t np)
{
    size_t at = reserve(s, width, np, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t k = 0; d && v && k < n; k++) {
        cad_mamba2_run_t r = cad_mamba2_run(z, k);
        for (int64_t i = 0; i < r.n * width; i++)
            d[i % width * np + r.to + i / width] = v[(r.from + i / width) * width + i % width];
    }
    return (const float *)on_device(s, at);
}

/* Places scale x A, where A = -exp(A_log), as an array (Hp). Values below -1e30 become -1e30, so that dt A stays
 * finite. */
static const float *place_rates(store_t *s, const float *a_log, int64_t H, int64_t Hp, double scale)
{
    size_t at = reserve(s, 1, Hp, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t h = 0; d && h < H; h++) d[h] = (float)fmax(-exp((double)a_log[h]) * scale, -1e30);
    return (const float *)on_device(s, at);
}

/* Places the projections of one direction in p. */
static void place_projections(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d,
                              mamba2_dir_t *p)
{
    const cad_mamba2_t *z = cad_mamba2(&m->cfg);
    const float *in = cad_param(d, CAD_MAMBA2_IN), *bias = cad_param(d, CAD_MAMBA2_IN_BIAS),
                *out_bias = cad_param(d, CAD_MAMBA2_OUT_BIAS);
    p->in_x = place_in(s, w->form, z, in + z->I * w->D, false, w->D, w->Dp);
    p->in_z = place_in(s, w->form, z, in, true, w->D, w->Dp);
    p->out = place_out(s, w->form, z, cad_param(d, CAD_MAMBA2_OUT), w->D, w->Dp);
    p->in_x_bias = bias ? place_channels(s, z, bias + z->I, runs_of(z, true), 1, cad_mamba2_Xp(z)) : NULL;
    p->in_z_bias = bias ? place_channels(s, z, bias, z->H, 1, cad_mamba2_Ep(z)) : NULL;
    p->out_bias = out_bias ? place_vector(s, out_bias, w->D, w->Dp) : NULL;
}

/* Places the weights of one direction. first: the direction whose projections this direction shares, or NULL. */
static mamba2_dir_t place_mamba2(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d,
                                 const mamba2_dir_t *first)
{
    const cad_mamba2_t *z = cad_mamba2(&m->cfg);
    const mamba2_size_t *n = &w->mamba2.size;
    const float *a_log = cad_param(d, CAD_MAMBA2_A_LOG);
    mamba2_dir_t p;
    memset(&p, 0, sizeof p);
    if (first) p = *first;
    else place_projections(s, w, m, d, &p);
    p.conv = place_channels(s, z, cad_param(d, CAD_MAMBA2_CONV), runs_of(z, false), z->K, n->Cp);
    p.conv_bias = place_channels(s, z, cad_param(d, CAD_MAMBA2_CONV_BIAS), runs_of(z, false), 1, n->Cp);
    p.dt_bias = place_vector(s, cad_param(d, CAD_MAMBA2_DT_BIAS), z->H, n->Hp);
    p.a = place_rates(s, a_log, z->H, n->Hp, 1);
    p.a2 = place_rates(s, a_log, z->H, n->Hp, 1.4426950408889634);
    p.skip = place_vector(s, cad_param(d, CAD_MAMBA2_SKIP), z->H, n->Hp);
    p.norm = place_channels(s, z, cad_param(d, CAD_MAMBA2_NORM), z->H, 1, n->Ep);
    p.reverse = d->reverse;
    return p;
}

/* Places the tables of layer 0 (mamba2_first.h) in p. first: the direction whose tables this direction shares, or
 * NULL. */
static void place_tables(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d,
                         const mamba2_dir_t *first, mamba2_dir_t *p)
{
    p->first_x = first ? first->first_x : place_first(s, w, m, d, false);
    p->first_z = first ? first->first_z : place_first(s, w, m, d, true);
}

static bool mamba2_tied(const cad_layer_t *l) { return tied(l, CAD_MAMBA2_IN, CAD_MAMBA2_OUT); }

static void mamba2_place(store_t *s, cad_weights_t *w, const cad_model_t *m, int layer)
{
    const cad_layer_t *l = &m->layer[layer];
    mamba2_dir_t *dir = &w->mamba2.dir[2 * layer];
    for (int k = 0; k < l->ndir; k++) {
        const mamba2_dir_t *first = k && mamba2_tied(l) ? dir : NULL;
        dir[k] = place_mamba2(s, w, m, &l->dir[k], first);
        if (layer == 0 && w->V <= MAMBA2_TOKENS) place_tables(s, w, m, &l->dir[k], first, &dir[k]);
    }
}

/* Sets the sizes in w and allocates host memory; returns false if out of memory. */
static bool mamba2_open(cad_weights_t *w, const cad_model_t *m)
{
    mamba2_weights_t *b = &w->mamba2;
    b->size = mamba2_size(m);
    set_product(w, &b->product[MAMBA2_IN_X], b->size.Xp, w->Dp, false);
    set_product(w, &b->product[MAMBA2_IN_Z], b->size.Ep, w->Dp, false);
    set_product(w, &b->product[MAMBA2_OUT_Y], w->Dp, b->size.Ep, false);
    b->dir = (mamba2_dir_t *)calloc((size_t)m->cfg.n_layer * 2, sizeof *b->dir);
    return b->dir != NULL;
}

static void mamba2_close(cad_weights_t *w)
{
    products_close(w->mamba2.product, MAMBA2_PRODUCTS);
    free(w->mamba2.dir);
}

static int mamba2_open_products(cad_weights_t *w, cad_error_t *err)
{
    return products_open(w->blas, w->mamba2.product, MAMBA2_PRODUCTS, 256, err);
}

/* ---- activations of a lane ---- */

/* Reserves memory for the states of a batch of `rows` rows: (rows/CHUNK,H,Np,Pp). A sequence of n rows has (n-1)/CHUNK
 * states. */
static float *bump_states(cad_bump_t *b, const mamba2_size_t *z, int64_t rows)
{
    return cad_bump_floats(b, rows / CAD_MAMBA2_CHUNK, z->Np * z->Ep);
}

/* Lays out a lane's activations. padded: the number of rows, rounded up to a multiple of PRODUCT_ROWS. Arrays with this
 * many rows come first, so that all operands of cublasLt stay aligned. */
static void mamba2_carve(cad_lane_t *l, cad_bump_t *b, int64_t padded, int64_t slots)
{
    const cad_weights_t *w = l->weights;
    const mamba2_size_t *z = &w->mamba2.size;
    mamba2_lane_t *g = &gpu_of(l)->mamba2;
    (void)slots;
    g->second = w->apart ? cad_bump_floats(b, padded, w->Dp) : NULL;
    g->x = cad_bump_floats(b, padded, z->Xp);
    g->z = cad_bump_floats(b, padded, z->Ep);
    g->o = cad_bump(b, padded, z->Ep, w->half ? sizeof(bf16_t) : sizeof(float));
    g->u = cad_bump_floats(b, l->rows, z->Cp);
    g->y = cad_bump_floats(b, l->rows, z->Ep);
    g->dt = cad_bump_floats(b, l->rows, z->Hp);
    g->decay = cad_bump_floats(b, l->rows, z->Hp);
    g->from = cad_bump_floats(b, l->rows, z->Hp);
    g->to = cad_bump_floats(b, l->rows, z->Hp);
    g->score = cad_bump_floats(b, l->rows, z->G * CAD_MAMBA2_CHUNK);
    g->state = bump_states(b, z, l->rows);
}

static view_t mamba2_view(const cad_lane_t *l, int what)
{
    const mamba2_size_t *z = &l->weights->mamba2.size;
    const mamba2_lane_t *g = &gpu_of(l)->mamba2;
    view_t x = { .at = g->x, .width = z->Xp, .ld = z->Xp, .row = 0, .half = false },
           gate = { .at = g->z, .width = z->Ep, .ld = z->Ep, .row = 0, .half = false },
           u = { .at = g->u, .width = z->Cp, .ld = z->Cp, .row = g->span_beg, .half = false },
           y = { .at = g->y, .width = z->Ep, .ld = z->Ep, .row = g->span_beg, .half = false },
           o = { .at = g->o, .width = z->Ep, .ld = z->Ep, .row = 0, .half = l->weights->half };
    switch (what) {
    case CAD_AT_MAMBA2_X: return x;
    case CAD_AT_MAMBA2_Z: return gate;
    case CAD_AT_MAMBA2_U: return u;
    case CAD_AT_MAMBA2_Y: return y;
    default: return o;
    }
}

/* ---- backward pass ---- */

/* Returns the addresses of the gradients of one direction's weights. */
static const cad_mamba2_dir_sums_t *mamba2_sums(const cad_grads_t *q, int layer, int dir)
{
    return &((const cad_mamba2_sums_t *)q->s.layer[layer])->dir[dir];
}

/* Lays out the weights that the backward pass reads, in float32. */
static void mamba2_place_back(store_t *s, cad_grads_t *q, const cad_model_t *m, int layer)
{
    const cad_mamba2_t *z = cad_mamba2(&m->cfg);
    const cad_layer_t *l = &m->layer[layer];
    mamba2_back_t *dir = &q->mamba2.dir[2 * layer];
    int64_t D = q->s.D, Dp = q->s.Dp;
    for (int k = 0; k < l->ndir; k++) {
        const float *in = cad_param(&l->dir[k], CAD_MAMBA2_IN), *out = cad_param(&l->dir[k], CAD_MAMBA2_OUT);
        if (k && mamba2_tied(l)) {
            dir[1] = dir[0];
            continue;
        }
        dir[k].in_x = (const float *)place_in(s, AS_FP32, z, in + z->I * D, false, D, Dp);
        dir[k].in_z = (const float *)place_in(s, AS_FP32, z, in, true, D, Dp);
        dir[k].out = (const float *)place_out(s, AS_FP32, z, out, D, Dp);
    }
}

static bool mamba2_open_back(cad_grads_t *q, const cad_model_t *m, bool fast)
{
    mamba2_grads_t *b = &q->mamba2;
    int64_t Dp = q->s.Dp, Xp, Ep;
    b->size = mamba2_size(m);
    Xp = b->size.Xp;
    Ep = b->size.Ep;
    set_back_product(&b->product[MAMBA2_OUT_BACK], Ep, Dp, Ep, true, fast);
    set_back_product(&b->product[MAMBA2_X_BACK], Dp, Xp, Dp, true, fast);
    set_back_product(&b->product[MAMBA2_Z_BACK], Dp, Ep, Dp, true, fast);
    set_outer(&b->outer[MAMBA2_OUT_SUM], Dp, Ep, Dp, fast);
    set_outer(&b->outer[MAMBA2_X_SUM], Xp, Dp, Xp, fast);
    set_outer(&b->outer[MAMBA2_Z_SUM], Ep, Dp, Ep, fast);
    b->dir = (mamba2_back_t *)calloc((size_t)m->cfg.n_layer * 2, sizeof *b->dir);
    return b->dir != NULL;
}

static void mamba2_close_back(cad_grads_t *q)
{
    products_close(q->mamba2.product, MAMBA2_BACKS);
    outers_close(q->mamba2.outer, MAMBA2_SUMS);
    free(q->mamba2.dir);
}

static int mamba2_open_products_back(cad_grads_t *q, cublasLtHandle_t blas, cad_error_t *err)
{
    int rc = products_open(blas, q->mamba2.product, MAMBA2_BACKS, 64, err);
    return rc ? rc : outers_open(blas, q->mamba2.outer, MAMBA2_SUMS, 64, err);
}

/* Returns the maximum number of values of all partial sums of one gradient. pieces: at least the number of
 * sequences. */
static int64_t mamba2_most_parts(const cad_grads_t *q, int64_t rows, int64_t pieces)
{
    const mamba2_size_t *z = &q->mamba2.size;
    int64_t chunks = rows / CAD_MAMBA2_CHUNK + pieces, slabs = ceil_div(rows, SLAB),
            n = cad_max(chunks * 2 * z->Hp, slabs * cad_max((z->K + 1) * z->Cp, z->Xp));
    for (int i = 0; i < MAMBA2_SUMS; i++)
        n = cad_max(n, PRODUCT_ROWS / PART_ROWS * q->mamba2.outer[i].n * q->mamba2.outer[i].k);
    return n;
}

static void mamba2_carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    mamba2_grads_t *q = &l->grads->mamba2;
    const mamba2_size_t *z = &q->size;
    cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    int64_t rows = l->f.rows;
    w->g = cad_bump_floats(b, rows, z->Ep);
    w->dz = cad_bump_floats(b, rows, z->Ep);
    w->dx = cad_bump_floats(b, rows, z->Xp);
    w->du = cad_bump_floats(b, rows, z->Cp);
    w->term = w->du; /* may share memory with du, since it is summed before du is written */
    w->dr = cad_bump_floats(b, rows, z->Hp);
    w->part = cad_bump_floats(b, z->H * rows, 2 * z->Np);
    q->o = cad_bump_floats(b, rows, z->Ep);
    q->dstate = bump_states(b, z, rows);
    for (int k = 0; k < 2; k++) w->kept[k] = k < m->layer[0].ndir ? bump_states(b, z, rows) : NULL;
}

static const cad_kind_sums_t mamba2_kind_sums = { .bytes = sizeof(cad_mamba2_sums_t),
                                                  .place = cad_mamba2_sums_place,
                                                  .add = cad_mamba2_sums_add };

static const kind_t cuda_mamba2 = {
    .refuse = mamba2_refuse,
    .open = mamba2_open,
    .close = mamba2_close,
    .place = mamba2_place,
    .open_products = mamba2_open_products,
    .carve = mamba2_carve,
    .view = mamba2_view,
    .open_back = mamba2_open_back,
    .close_back = mamba2_close_back,
    .place_back = mamba2_place_back,
    .open_products_back = mamba2_open_products_back,
    .most_parts = mamba2_most_parts,
    .carve_back = mamba2_carve_back,
    .sums = &mamba2_kind_sums,
};

#endif
