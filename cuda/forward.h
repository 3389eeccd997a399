/* forward.h - the operations that depend on T. Included once for each, after typed.h.
 * SPDX-License-Identifier: MIT */

static int NAME(op_in)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts)
{
    const cad_weights_t *w = l->weights;
    const dir_t *p = &w->dir[2 * layer + dir];
    gpu_t *g = gpu_of(l);
    T *xz = (T *)g->xz;
    NAME(norm_job_t)
    norm = { l->base, (T *)g->a, norm_of(w, w->norm[layer], w->norm_bias[layer]), s.beg, s.end, w->Dp };
    NAME(spread_job_t) spread = { xz + s.beg * 2 * w->Ep, p->in_bias, (s.end - s.beg) * 2 * w->Ep, 2 * w->Ep };
    int rc;
    if (replaying(l)) return 0;
    (void)parts; /* x and z are one product */
    LAUNCH(NAME(norm), ceil_div(s.end - s.beg, THREADS / WARP), 1, THREADS, 0, g->stream, norm);
    if (p->in_bias) LAUNCH(NAME(spread), ceil_div(spread.n, THREADS), 1, THREADS, 0, g->stream, spread);
    rc = launched(l, "norm");
    return rc ? rc
              : multiply(l, &w->product[IN_PROJ], g->a, p->in, g->xz, g->xz, s.beg, s.end, p->in_bias ? 1.0f : 0.0f);
}

static int NAME(op_conv)(cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const cad_weights_t *w = l->weights;
    const dir_t *p = &w->dir[2 * layer + dir];
    gpu_t *g = gpu_of(l);
    NAME(conv_job_t)
    conv = {
        (const T *)g->xz, (T *)g->u, p->conv, p->conv_bias, g->off, s.beg, s.end, w->Ep, w->K, s.nseq, p->reverse
    };
    int rc;
    g->span_beg = s.beg;
    if (replaying(l)) return 0;
    LAUNCH(NAME(conv), ceil_div(s.end - s.beg, RUN), ceil_div(w->Ep, THREADS), THREADS, 0, g->stream, conv);
    rc = launched(l, "conv");
    return rc ? rc : multiply(l, &w->product[X_PROJ], g->u, p->x, g->xdbl, g->xdbl, s.beg, s.end, 0);
}

/* STATES of each channel's, from j's `from` on. */
static int NAME(scan_states)(cad_lane_t *l, const NAME(scan_job_t) * job, cad_span_t s)
{
    gpu_t *g = gpu_of(l);
    const NAME(scan_job_t) j = *job;
    carry_job_t carries = { g->state, g->total, j.a, g->off, g->first, j.Ep, false };
    int64_t groups = ceil_div(j.Ep, THREADS);
    bool small = j.R <= STATES;
    size_t shared = STEP * (size_t)((small ? STATES : PADDED(j.R)) + 2 * STATES) * sizeof(float);
    if (g->slots) {
        if (small) LAUNCH(NAME(ends_small), g->items, groups, THREADS, shared, g->stream, j);
        else LAUNCH(NAME(ends_large), g->items, groups, THREADS, shared, g->stream, j);
        LAUNCH(carry, s.nseq, groups * STATES, THREADS, 0, g->stream, carries);
    }
    if (j.keep && small) LAUNCH(NAME(keep_small), g->items, groups, THREADS, shared, g->stream, j);
    else if (j.keep) LAUNCH(NAME(keep_large), g->items, groups, THREADS, shared, g->stream, j);
    else if (small) LAUNCH(NAME(scan_small), g->items, groups, THREADS, shared, g->stream, j);
    else LAUNCH(NAME(scan_large), g->items, groups, THREADS, shared, g->stream, j);
    return launched(l, "scan");
}

/* One turn: the states from the n-th on, of which those before every AHEAD rows go into keep. */
static NAME(scan_job_t) NAME(scan_job)(const cad_lane_t *l, const dir_t *p, cad_span_t s, int64_t n, float *keep)
{
    const cad_weights_t *w = l->weights;
    const gpu_t *g = gpu_of(l);
    NAME(scan_job_t)
    j = { (const T *)g->u,
          (const T *)g->xz + w->Ep,
          g->xdbl,
          (T *)g->y,
          p->dt,
          p->dt_bias,
          p->a + n * w->Ep,
          p->skip,
          g->off,
          s.want ? g->want : NULL,
          g->item,
          g->state,
          g->total,
          keep,
          w->Ep,
          w->Sp,
          w->N,
          w->Np,
          w->R,
          n,
          p->reverse,
          false,
          false,
          n == 0 };
    return j;
}

/* More states than STATES take as many turns, which add up in y. */
static int NAME(op_scan)(cad_lane_t *l, int layer, int dir, cad_span_t s, bool add, bool gate)
{
    const cad_weights_t *w = l->weights;
    const dir_t *p = &w->dir[2 * layer + dir];
    int rc = 0;
    if (replaying(l)) return 0;
    for (int64_t n = 0; n < w->N && rc == 0; n += STATES) {
        NAME(scan_job_t) j = NAME(scan_job)(l, p, s, n, l->state[dir]);
        j.add = add || n > 0;
        j.gate = gate && n + STATES >= w->N;
        rc = NAME(scan_states)(l, &j, s);
    }
    return rc;
}
