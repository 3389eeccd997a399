/* back.h - the backward table's operations that do not depend on T. SPDX-License-Identifier: MIT */

/* ---- sums over rows ---- */

/* to (count) += `parts` partial sums, `stride` apart, from the at-th value on. */
static int fold_parts(cad_grad_lane_t *l, float *to, int64_t at, int64_t count, int64_t stride, int64_t parts)
{
    fold_job_t j = { to, l->grads->parts + at, count, stride, parts };
    LAUNCH(fold, ceil_div(count, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, j);
    return launched(&l->f, "fold");
}

/* to (n,k) += A (rows,n)^T x B (rows,k); see thin. */
static int thin_sum(cad_grad_lane_t *l, const float *a, const uint8_t *tok, int64_t n, const float *b, int64_t k,
                    int64_t rows, float *to)
{
    thin_job_t j = { a, tok, b, l->grads->parts, rows, n, k, n, k };
    int64_t slabs_n = ceil_div(rows, SLAB);
    LAUNCH(thin, slabs_n, n * ceil_div(k, THREADS), THREADS, 0, gpu_of(&l->f)->stream, j);
    return fold_parts(l, to, 0, n * k, n * k, slabs_n);
}

/* to (k) += the sum of rows of b (rows,k). */
static int columns(cad_grad_lane_t *l, const float *b, int64_t k, int64_t rows, float *to)
{
    return thin_sum(l, NULL, NULL, 1, b, k, rows, to);
}

/* Rows behind the last, as far as a partial sum reads, are 0. */
static int clear_tail(cad_grad_lane_t *l, const float *a, int64_t width, int64_t rows)
{
    int64_t more = cad_round_up(rows, PART) - rows;
    if (more == 0) return 0;
    return check(
        &l->f,
        cudaMemsetAsync((void *)(a + rows * width), 0, (size_t)(more * width) * sizeof *a, gpu_of(&l->f)->stream),
        "clearing");
}

/* to (n,k) += A^T x B of `rows` rows. */
static int outer(cad_grad_lane_t *l, int which, const float *a, const float *b, int64_t rows, float *to)
{
    const outer_t *o = &l->grads->outer[which];
    int rc = clear_tail(l, a, o->lda, rows);
    if (rc == 0) rc = clear_tail(l, b, o->ldb, rows);
    for (int64_t r = 0; r < rows && rc == 0; r += BLOCK) {
        rc = outer_block(&l->f, o, a, b, r, rows, l->grads->parts);
        if (rc == 0) rc = fold_parts(l, to, 0, o->n * o->k, o->n * o->k, ceil_div(cad_min(BLOCK, rows - r), PART));
    }
    return rc;
}

/* dres += the gradient dy (n,Dp) of norm(x) of these rows, or of the first n; prod (n,Dp) and dy give the norm's own. */
static int norm_gradients(cad_grad_lane_t *l, const float *x, float *dx, const int64_t *row, int64_t n, norm_t norm,
                          float *weight, float *bias)
{
    cad_grads_t *q = l->grads;
    norm_back_job_t j = { x, l->da, dx, q->a, row, norm, n, q->s.Dp };
    int rc;
    LAUNCH(norm_back, ceil_div(n, THREADS / WARP), 1, THREADS, 0, gpu_of(&l->f)->stream, j);
    rc = launched(&l->f, "norm, backwards");
    if (rc == 0) rc = columns(l, q->a, q->s.Dp, n, weight);
    return rc || norm.rms ? rc : columns(l, l->da, q->s.Dp, n, bias);
}

/* ---- out ---- */

static int back_start(cad_grad_lane_t *l, int64_t n)
{
    int rc = renewed(&l->f, l->grads->stale);
    return rc ? rc
              : check(&l->f,
                      cudaMemsetAsync(l->dres, 0, (size_t)(n * l->grads->s.Dp) * sizeof(float), gpu_of(&l->f)->stream),
                      "clearing");
}

static int back_divide(cad_grad_lane_t *l, int64_t n, bool times)
{
    divide_job_t j = { { l->keep[0], l->keep[1] }, l->dres, n * l->grads->s.Dp, times };
    LAUNCH(divide, ceil_div(j.n, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, j);
    return launched(&l->f, "divide");
}

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const cad_grads_t *q = l->grads;
    size_t width = (size_t)q->s.Ep * sizeof(float);
    int rc = check(&l->f, cudaMemset2DAsync(l->dx, 2 * width, 0, width, (size_t)s.end, gpu_of(&l->f)->stream),
                   "clearing");
    return rc ? rc
              : multiply(&l->f, &q->product[OUT_BACK], l->dout, q->turn[2 * layer + dir].out, l->g, l->g, 0, s.end, 0);
}

/* ---- conv: dxdbl, and what it adds to du ---- */

static int project_back(cad_grad_lane_t *l, const dir_t *p, const turn_t *turn, cad_span_t s)
{
    const cad_grads_t *q = l->grads;
    const cad_sums_t *z = &q->s;
    project_job_t j = { l->part, l->dxdbl, s.end, l->f.rows, ceil_div(z->Ep, THREADS), z->Sp, z->N, z->Np, z->R };
    int rc = multiply(&l->f, &q->product[DT_BACK], l->dpre, p->dt, l->dxdbl, l->dxdbl, 0, s.end, 0);
    if (rc) return rc;
    LAUNCH(project, ceil_div(s.end * (z->Sp - z->R), THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, j);
    rc = launched(&l->f, "x_proj, backwards");
    return rc ? rc : multiply(&l->f, &q->product[X_BACK], l->dxdbl, turn->x, l->du, l->du, 0, s.end, 1);
}

/* ---- in: with the gated y in du, dx and dz in place ---- */

static int in_gradients(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    const cad_sum_t *t = &q->s.dir[2 * layer + dir];
    const turn_t *turn = &q->turn[2 * layer + dir];
    norm_t norm = norm_of(w, w->norm[layer], w->norm_bias[layer]);
    norm_job_t_fp32 again = { l->f.base, q->a, norm, 0, s.end, w->Dp };
    bool biased = w->dir[2 * layer + dir].in_bias != NULL;
    int rc;
    LAUNCH(norm_fp32, ceil_div(s.end, THREADS / WARP), 1, THREADS, 0, gpu_of(&l->f)->stream, again);
    rc = launched(&l->f, "norm");
    if (rc == 0) rc = outer(l, OUT_SUM, l->dout, l->du, s.end, t->out);
    if (rc == 0) rc = outer(l, IN_SUM, l->dx, q->a, s.end, t->in_x);
    if (rc == 0 && biased) rc = columns(l, l->dout, w->Dp, s.end, t->out_bias);
    if (rc == 0 && biased) rc = columns(l, l->dx, 2 * w->Ep, s.end, t->in_x_bias);
    if (rc == 0) rc = multiply(&l->f, &q->product[IN_BACK], l->dx, turn->in, l->da, l->da, 0, s.end, 0);
    return rc ? rc : norm_gradients(l, l->f.base, l->dres, NULL, s.end, norm, q->s.norm[layer], q->s.norm_bias[layer]);
}

/* ---- embedding, head, pool ---- */

/* The tokens are on the device since the forward operation of this pack. */
static int back_embed(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_sums_t *z = &l->grads->s;
    (void)tok;
    return thin_sum(l, NULL, gpu_of(&l->f)->tok, z->V, l->dres, z->Dp, s.end, z->embed);
}

static int back_head(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    norm_t norm = norm_of(w, w->norm_f, w->norm_f_bias);
    head_back_job_t j = { l->f.res, w->head[strand], q->dlogits, q->a, l->da, q->row, norm, n, w->Dp, w->V };
    int rc = to_device(&l->f, q->row, row, (size_t)n * sizeof *row);
    if (rc == 0) rc = to_device(&l->f, q->dlogits, dlogits, (size_t)(n * w->V) * sizeof *dlogits);
    if (rc) return rc;
    LAUNCH(head_back, ceil_div(n, THREADS / WARP), 1, THREADS, 0, gpu_of(&l->f)->stream, j);
    rc = launched(&l->f, "head, backwards");
    if (rc == 0) rc = thin_sum(l, q->dlogits, NULL, w->V, q->a, w->Dp, n, q->s.head[strand]);
    return rc ? rc : norm_gradients(l, l->f.res, l->dres, q->row, n, norm, q->s.norm_f, q->s.norm_f_bias);
}

/* da: the gradient of the normalised rows. */
static int mean_gradients(cad_grad_lane_t *l, int64_t n)
{
    cad_grads_t *q = l->grads;
    mean_back_job_t j = { l->da, q->dlogits, n, q->s.D, q->s.Dp, 1.0f / (float)n };
    LAUNCH(mean_back, ceil_div(n * q->s.Dp, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, j);
    return launched(&l->f, "pool, backwards");
}

static int max_gradients(cad_grad_lane_t *l, int64_t beg, int64_t end)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    final_job_t rows = { l->f.res, q->a, norm_of(w, w->norm_f, w->norm_f_bias), beg, end, w->Dp };
    max_back_job_t j = { l->da, q->a, q->dlogits, end - beg, w->D, w->Dp };
    int rc = check(&l->f,
                   cudaMemsetAsync(l->da, 0, (size_t)((end - beg) * w->Dp) * sizeof(float), gpu_of(&l->f)->stream),
                   "clearing");
    if (rc) return rc;
    LAUNCH(final_norm, ceil_div(end - beg, THREADS / WARP), 1, THREADS, 0, gpu_of(&l->f)->stream, rows);
    LAUNCH(max_back, ceil_div(w->D, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, j);
    return launched(&l->f, "pool, backwards");
}

static int back_pool(cad_grad_lane_t *l, int64_t beg, int64_t end, enum cad_pool_t how, const float *dpooled)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    int64_t at = beg * w->Dp;
    int rc = to_device(&l->f, q->dlogits, dpooled, (size_t)w->D * sizeof *dpooled);
    if (rc == 0) rc = how == CAD_POOL_MEAN ? mean_gradients(l, end - beg) : max_gradients(l, beg, end);
    return rc ? rc
              : norm_gradients(l, l->f.res + at, l->dres + at, NULL, end - beg, norm_of(w, w->norm_f, w->norm_f_bias),
                               q->s.norm_f, q->s.norm_f_bias);
}
