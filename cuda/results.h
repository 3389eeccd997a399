/* results.h - operations that do not depend on T: embed, out, head, pool, read.
 * SPDX-License-Identifier: MIT */

static int op_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    embed_job_t j = { l->res, w->embed, g->tok, s.end * w->Dp, w->Dp };
    int rc;
    if (g->graph.mode != EAGER) graph_drop(g); /* the last batch failed */
    rc = send_batch(l, tok, &s);
    if (rc == 0) rc = graph_begin(l, &s);
    if (rc || replaying(l)) return rc;
    LAUNCH(embed, ceil_div(j.n, THREADS), 1, THREADS, 0, g->stream, j);
    return launched(l, "embed");
}

/* ---- out ---- */

static int op_out(cad_lane_t *l, int layer, int dir, cad_span_t s, cad_out_t how)
{
    const cad_weights_t *w = l->weights;
    const dir_t *p = &w->dir[2 * layer + dir];
    gpu_t *g = gpu_of(l);
    int64_t at = s.beg * w->Dp, n = (s.end - s.beg) * w->Dp;
    float *to = how == CAD_OUT_ADD ? l->res : how == CAD_OUT_KEEP ? l->h : g->o;
    bool add = how == CAD_OUT_ADD;
    spread_out_job_t bias = { to + at, add ? l->base + at : NULL, p->out_bias, n, w->Dp };
    combine_job_t both = { l->res + at, l->base + at, l->h + at, g->o + at, n, how == CAD_OUT_TIMES };
    int rc = 0;
    if (replaying(l)) return 0;
    if (p->out_bias) {
        LAUNCH(spread_out, ceil_div(n, THREADS), 1, THREADS, 0, g->stream, bias);
        rc = launched(l, "out");
    }
    if (rc == 0)
        rc = multiply(l, &w->product[OUT_PROJ], g->y, p->out, add && !p->out_bias ? l->base : to, to, s.beg, s.end,
                      add || p->out_bias ? 1.0f : 0.0f);
    if (rc || add || how == CAD_OUT_KEEP) return rc;
    LAUNCH(combine, ceil_div(n, THREADS), 1, THREADS, 0, g->stream, both);
    return launched(l, "out");
}

/* ---- head ---- */

/* At most PICKS rows. */
static int head_part(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    head_job_t j = { l->res, { w->head[0], w->head[1] }, g->pick, g->out, norm_of(w, w->norm_f, w->norm_f_bias), w->Dp,
                     w->V };
    int rc;
    for (int64_t i = 0; i < n; i++) g->pick_stage[i] = 2 * pick[i].row + pick[i].strand;
    rc = to_device(l, g->pick, g->pick_stage, (size_t)n * sizeof *g->pick);
    if (rc) return rc;
    LAUNCH(head, n, 1, THREADS, 0, g->stream, j);
    rc = launched(l, "head");
    if (rc == 0) rc = to_host(l, g->out_stage, g->out, (size_t)(n * w->V) * sizeof(float));
    if (rc == 0) rc = arrive(l);
    for (int64_t i = 0; i < n && rc == 0; i++)
        memcpy(pick[i].to, g->out_stage + i * w->V, (size_t)w->V * sizeof(float));
    return rc;
}

static int op_head(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    int rc = graph_end(l);
    for (int64_t i = 0; i < n && rc == 0; i += PICKS) rc = head_part(l, pick + i, cad_min(PICKS, n - i));
    return rc;
}

/* ---- pool: normalised rows lie where xz was ---- */

static float *normed_rows(cad_lane_t *l) { return (float *)gpu_of(l)->xz; } // (rows,D), from the first range's row on

static int64_t slabs_of(const cad_range_t *r) { return r->how == CAD_POOL_NONE ? 0 : ceil_div(r->end - r->beg, SLAB); }

static int64_t list_slabs(slab_t *to, const cad_range_t *range, int64_t n)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = range[i].beg; r < range[i].end && range[i].how != CAD_POOL_NONE; r += SLAB) {
            to[k].beg = r;
            to[k].end = cad_min(r + SLAB, range[i].end);
            to[k].range = (int32_t)i;
            to[k++].max = range[i].how == CAD_POOL_MAX;
        }
    return k;
}

/* Ranges whose slabs fit; row 0 of the normalised rows is row `first`. */
static int reduce(cad_lane_t *l, const cad_range_t *range, int64_t n, int64_t first)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    int64_t k = list_slabs(g->slab_stage, range, n), groups = ceil_div(w->D, THREADS);
    slab_job_t sums = { normed_rows(l), g->slab_sum, g->slab, first, w->D };
    join_job_t joins = { g->slab_sum, g->slab, g->out, k, w->D };
    int rc = k ? to_device(l, g->slab, g->slab_stage, (size_t)k * sizeof *g->slab) : 0;
    if (rc || k == 0) return rc;
    LAUNCH(slabs, k, groups, THREADS, 0, g->stream, sums);
    LAUNCH(join, k, groups, THREADS, 0, g->stream, joins);
    rc = launched(l, "pool");
    if (rc == 0) rc = to_host(l, g->out_stage, g->out, (size_t)(n * w->D) * sizeof(float));
    if (rc == 0) rc = arrive(l);
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (range[i].how != CAD_POOL_NONE) memcpy(range[i].to, g->out_stage + i * w->D, (size_t)w->D * sizeof(float));
    return rc;
}

/* Of ranges from the i-th on, how many can be reduced at once. */
static int64_t fitting(const cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    int64_t most = most_slabs(l->rows), used = 0, i = 0;
    for (; i < n && i < most && used + slabs_of(&range[i]) <= most; i++) used += slabs_of(&range[i]);
    return i;
}

static int op_pool(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    final_job_t j = { l->res, normed_rows(l), norm_of(w, w->norm_f, w->norm_f_bias), l->rows, 0, w->Dp };
    int rc = graph_end(l);
    if (rc) return rc;
    for (int64_t i = 0; i < n; i++) {
        j.beg = cad_min(j.beg, range[i].beg);
        j.end = cad_max(j.end, range[i].end);
    }
    LAUNCH(final_norm, ceil_div(j.end - j.beg, THREADS / WARP), 1, THREADS, 0, g->stream, j);
    rc = launched(l, "pool");
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (range[i].how == CAD_POOL_NONE)
            rc = to_host(l, range[i].to, j.out + (range[i].beg - j.beg) * w->D,
                         (size_t)((range[i].end - range[i].beg) * w->D) * sizeof(float));
    for (int64_t i = 0, k; i < n && rc == 0; i += k) rc = reduce(l, range + i, k = fitting(l, range + i, n - i), j.beg);
    return rc ? rc : arrive(l);
}

/* ---- read ---- */

static int op_read(cad_lane_t *l, cad_at_t what, int64_t beg, int64_t n, float *out)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    const void *part[] = { l->res, g->xz, g->xz, g->u, g->xdbl, g->y, l->h };
    bool half = w->half && (what == CAD_AT_X || what == CAD_AT_Z || what == CAD_AT_U || what == CAD_AT_Y);
    int64_t width = what == CAD_AT_RES || what == CAD_AT_H ? w->Dp : what == CAD_AT_XDBL ? w->Sp : w->Ep;
    int64_t ld = what == CAD_AT_X || what == CAD_AT_Z ? 2 * w->Ep : width, column = what == CAD_AT_Z ? w->Ep : 0;
    int64_t row = beg + (what == CAD_AT_U || what == CAD_AT_XDBL ? g->span_beg : 0);
    size_t size = half ? sizeof(bf16_t) : sizeof(float), bytes = (size_t)(n * ld) * size;
    char *copy = (char *)malloc(bytes);
    int rc = copy ? graph_end(l) : CAD_ENOMEM;
    graph_forget(g);
    if (rc == 0) rc = arrive(l);
    if (rc == 0) rc = to_host(l, copy, (const char *)part[what] + (size_t)(row * ld) * size, bytes);
    if (rc == 0) rc = arrive(l);
    for (int64_t r = 0; r < n && rc == 0; r++)
        for (int64_t c = 0; c < width; c++) {
            int64_t at = r * ld + column + c;
            out[r * width + c] = half ? from_bf16(((bf16_t *)copy)[at]) : ((float *)copy)[at];
        }
    free(copy);
    return rc;
}
