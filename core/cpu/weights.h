/* weights.h - packing a model. Part of forward.h. SPDX-License-Identifier: MIT */

#define MOST 64 /* tokens of a vocabulary whose rows of layer 0 are kept */

static const float *pack_vector(store_t *s, const float *v, int64_t n, int64_t np)
{
    float *d = reserve(s, np);
    if (d && v) memcpy(d, v, (size_t)n * sizeof *d);
    return d;
}

/* rows x cols, rows ld apart, each padded to colsp. */
static const float *pack_rows(store_t *s, const float *v, int64_t rows, int64_t cols, int64_t colsp)
{
    float *d = reserve(s, rows * colsp);
    for (int64_t r = 0; d && r < rows; r++) memcpy(d + r * colsp, v + r * cols, (size_t)cols * sizeof *d);
    return d;
}

/* (n,k) to (k,np): column r of the source becomes row r. */
static const float *pack_transposed(store_t *s, const float *v, int64_t n, int64_t k, int64_t np)
{
    float *d = reserve(s, k * np);
    for (int64_t i = 0; d && i < n; i++)
        for (int64_t j = 0; j < k; j++) d[j * np + i] = v[i * k + j];
    return d;
}

/* (n,k) to panels of PW outputs, [np/PW][kp][PW]; the last may be narrower. */
static const float *pack_panels_full(store_t *s, const float *v, int64_t n, int64_t k, int64_t np, int64_t kp)
{
    float *d = reserve(s, np * kp);
    for (int64_t i = 0; d && i < n; i++) {
        int64_t p = i / PW * PW, width = cad_min(PW, np - p);
        for (int64_t j = 0; j < k; j++) d[p * kp + j * width + i - p] = v[i * k + j];
    }
    return d;
}

/* The same of bfloat16: a word is columns 2j (its low half) and 2j+1 of a row. */
static const float *pack_panels_half(store_t *s, const float *v, int64_t n, int64_t k, int64_t np, int64_t kp)
{
    float *d = reserve(s, np * kp / 2);
    for (int64_t i = 0; d && i < n; i++) {
        int64_t p = i / PW * PW, width = cad_min(PW, np - p);
        for (int64_t j = 0; j < k; j += 2) {
            uint32_t pair = half_of(v[i * k + j]) | (j + 1 < k ? (uint32_t)half_of(v[i * k + j + 1]) << 16 : 0);
            memcpy(d + p * kp / 2 + j / 2 * width + i - p, &pair, sizeof pair);
        }
    }
    return d;
}

static const float *pack_panels(store_t *s, const cad_weights_t *w, const float *v, int64_t n, int64_t k, int64_t np,
                                int64_t kp)
{
    return w->half ? pack_panels_half(s, v, n, k, np, kp) : pack_panels_full(s, v, n, k, np, kp);
}

static const float *pack_decay(store_t *s, const float *a_log, int64_t E, int64_t Ep, int64_t N)
{
    float *d = reserve(s, Ep * N);
    for (int64_t e = 0; d && e < E; e++)
        for (int64_t n = 0; n < N; n++) {
            double a = -exp((double)a_log[e * N + n]) * 1.4426950408889634;
            d[(e / VW * N + n) * VW + e % VW] = a < -1e30 ? -1e30f : (float)a; /* dt A stays finite */
        }
    return d;
}

static packed_t pack_direction(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d)
{
    int64_t D = w->D, E = m->cfg.d_inner, S = w->R + 2 * w->N;
    packed_t p = { 0 };
    p.in_x = pack_panels(s, w, d->in, E, D, w->Ep, w->Dp);
    p.in_z = pack_panels(s, w, d->in + E * D, E, D, w->Ep, w->Dp);
    p.in_x_bias = pack_vector(s, d->in_bias, E, w->Ep);
    p.in_z_bias = pack_vector(s, d->in_bias ? d->in_bias + E : NULL, E, w->Ep);
    p.conv = pack_transposed(s, d->conv, E, w->K, w->Ep);
    p.conv_bias = pack_vector(s, d->conv_bias, E, w->Ep);
    p.x = pack_panels(s, w, d->x, S, E, w->Sp, w->Ep);
    p.dt = pack_transposed(s, d->dt, E, w->R, w->Ep);
    p.dt_bias = pack_vector(s, d->dt_bias, E, w->Ep);
    p.a = pack_decay(s, d->a_log, E, w->Ep, w->N);
    p.skip = pack_vector(s, d->skip, E, w->Ep);
    p.out = pack_panels(s, w, d->out, D, E, w->Dp, w->Ep);
    p.out_bias = pack_vector(s, d->out_bias, D, w->Dp);
    p.reverse = d->reverse;
    return p;
}

static const float *pack_head(store_t *s, const cad_weights_t *w, const cad_model_t *m, int strand)
{
    float *d = reserve(s, w->V * w->Dp);
    for (int64_t v = 0; d && v < w->V; v++)
        memcpy(d + v * w->Dp, m->embed + (strand ? m->vocab.comp[v] : v) * w->D, (size_t)w->D * sizeof *d);
    return d;
}

/* Layer 0 sees no more than V different rows. */
static void fill_first(cad_weights_t *w, int dir)
{
    const packed_t *p = &w->dir[dir];
    dest_t x = { w->first_x[dir], NULL, NULL, p->in_x_bias, w->Ep, STORE },
           z = { w->first_z[dir], NULL, NULL, p->in_z_bias, w->Ep, STORE };
    for (int64_t v = 0; v < w->V; v++) {
        norm_row(w, w->embed + v * w->Dp, w->norm[0], w->norm_bias[0], w->row);
        project(w, w->row, w->Dp, 1, p->in_x, w->Ep, w->Dp, &x, v);
        project(w, w->row, w->Dp, 1, p->in_z, w->Ep, w->Dp, &z, v);
    }
}

static void reserve_first(store_t *s, cad_weights_t *w, const cad_model_t *m)
{
    w->row = reserve(s, w->Dp);
    for (int k = 0; k < m->layer[0].ndir && w->V <= MOST; k++) {
        w->first_x[k] = reserve(s, w->V * w->Ep);
        w->first_z[k] = reserve(s, w->V * w->Ep);
    }
}

static void pack_all(store_t *s, cad_weights_t *w, const cad_model_t *m)
{
    float *real = reserve(s, w->Dp);
    for (int64_t i = 0; real && i < w->D; i++) real[i] = 1.0f;
    w->real = real;
    w->zero = reserve(s, cad_max(cad_max(w->Dp, w->Ep), w->Sp));
    w->embed = pack_rows(s, m->embed_in, w->V, w->D, w->Dp);
    w->head[0] = pack_head(s, w, m, 0);
    w->head[1] = pack_head(s, w, m, 1);
    w->norm_f = pack_vector(s, m->norm_f, w->D, w->Dp);
    w->norm_f_bias = pack_vector(s, m->norm_f_bias, w->D, w->Dp);
    for (int i = 0; i < m->cfg.n_layer; i++) {
        const cad_layer_t *l = &m->layer[i];
        w->norm[i] = pack_vector(s, l->norm, w->D, w->Dp);
        w->norm_bias[i] = pack_vector(s, l->norm_bias, w->D, w->Dp);
        for (int k = 0; k < l->ndir; k++) w->dir[2 * i + k] = pack_direction(s, w, m, &l->dir[k]);
    }
    reserve_first(s, w, m);
}

static void weights_renew(cad_weights_t *w, const cad_model_t *m)
{
    store_t s = { w->mem, 0 };
    pack_all(&s, w, m);
    for (int k = 0; k < m->layer[0].ndir && w->first_x[0]; k++) fill_first(w, k);
}

static void weights_close(cad_weights_t *w)
{
    if (!w) return;
    free(w->mem);
    free(w->dir);
    free(w->norm);
    free(w->norm_bias);
    free(w);
}

static int weights_open(cad_weights_t **out, const cad_ops_t *ops, const cad_model_t *m, cad_error_t *err)
{
    cad_weights_t *w = calloc(1, sizeof *w);
    size_t layers = (size_t)m->cfg.n_layer;
    cad_extent_t e = cad_extent(m);
    store_t s = { NULL, 0 };
    *out = NULL;
    if (!w) return cad_fail(err, CAD_ENOMEM, "out of memory");
    w->D = m->cfg.d_model;
    w->N = m->cfg.d_state;
    w->K = m->cfg.d_conv;
    w->R = m->cfg.dt_rank;
    w->V = m->vocab.rows;
    w->Dp = e.Dp;
    w->Ep = e.Ep;
    w->Sp = e.Sp;
    w->eps = (float)m->cfg.norm_epsilon;
    w->rms = m->cfg.rms_norm;
    w->half = !strcmp(ops->precision, "bf16");
    w->dir = calloc(layers * 2, sizeof *w->dir);
    w->norm = calloc(layers, sizeof *w->norm);
    w->norm_bias = calloc(layers, sizeof *w->norm_bias);
    if (w->dir && w->norm && w->norm_bias) {
        pack_all(&s, w, m);
        w->mem = cad_alloc((size_t)s.used, sizeof *w->mem);
    }
    if (!w->mem) {
        weights_close(w);
        return cad_fail(err, CAD_ENOMEM, "out of memory for %lld packed weights", (long long)s.used);
    }
    memset(w->mem, 0, (size_t)s.used * sizeof *w->mem);
    weights_renew(w, m);
    *out = w;
    return 0;
}
