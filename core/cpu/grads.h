/* grads.h - gradients in the kernels' layout, and the weights turned round. Part
 * of backward.h. SPDX-License-Identifier: MIT */

typedef struct { /* one Mamba; as pack_t, but plain rows for panels */
    float *in_x, *in_z, *in_x_bias, *in_z_bias; // (Ep,Dp), (Ep)
    float *conv, *conv_bias;                    // (K,Ep), (Ep)
    float *x;                                   // (Sp,Ep)
    float *dt, *dt_bias;                        // (R,Ep), (Ep)
    float *a;                                   // (Ep/VW,N,VW) of A
    float *skip;                                // (Ep)
    float *out, *out_bias;                      // (Dp,Ep), (Dp)
    const float *in_xt, *in_zt;                 // panels (Dp,Ep)
    const float *xt, *dtt, *outt;               // panels (Ep,Sp), (Rp,Ep), (Ep,Dp)
} grad_t;

struct cad_grads_t {
    int64_t D, E, N, K, R, V, Dp, Ep, Sp, Rp;
    grad_t *dir;                          // (layers,2)
    float **norm, **norm_bias;            // (layers) of (Dp)
    float *norm_f, *norm_f_bias;          // (Dp)
    float *embed, *head[2];               // (V,Dp)
    float *sums, *turned;                 /* all gradients; all turned weights */
    int64_t nsums, nturned;
};

/* v (k,n), rows ld apart, to panels of n outputs: pack_panels of its transpose. */
static const float *pack_turned(store_t *s, const float *v, int64_t ld, int64_t n, int64_t k, int64_t np, int64_t kp)
{
    float *d = reserve(s, np * kp);
    for (int64_t j = 0; d && j < k; j++)
        for (int64_t i = 0; i < n; i++) {
            int64_t p = i / PW * PW, width = cad_min(PW, np - p);
            d[p * kp + j * width + i - p] = v[j * ld + i];
        }
    return d;
}

static void turn_weights(store_t *s, cad_grads_t *g, const cad_model_t *m)
{
    int64_t D = g->D, E = g->E, S = g->R + 2 * g->N;
    for (int i = 0; i < 2 * m->cfg.n_layer; i++) {
        const cad_direction_t *d = &m->layer[i / 2].dir[i % 2];
        grad_t *t = &g->dir[i];
        if (i % 2 >= m->layer[i / 2].ndir) continue;
        t->in_xt = pack_turned(s, d->in, D, D, E, g->Dp, g->Ep);
        t->in_zt = pack_turned(s, d->in + E * D, D, D, E, g->Dp, g->Ep);
        t->xt = pack_turned(s, d->x, E, E, S, g->Ep, g->Sp);
        t->dtt = pack_turned(s, d->dt, g->R, g->R, E, g->Rp, g->Ep);
        t->outt = pack_turned(s, d->out, E, E, D, g->Ep, g->Dp);
    }
}

static void place_sums(store_t *s, cad_grads_t *g, const cad_model_t *m)
{
    for (int i = 0; i < 2 * m->cfg.n_layer; i++) {
        grad_t *t = &g->dir[i];
        if (i % 2 >= m->layer[i / 2].ndir) continue;
        t->in_x = reserve(s, g->Ep * g->Dp);
        t->in_z = reserve(s, g->Ep * g->Dp);
        t->in_x_bias = reserve(s, g->Ep);
        t->in_z_bias = reserve(s, g->Ep);
        t->conv = reserve(s, g->K * g->Ep);
        t->conv_bias = reserve(s, g->Ep);
        t->x = reserve(s, g->Sp * g->Ep);
        t->dt = reserve(s, g->R * g->Ep);
        t->dt_bias = reserve(s, g->Ep);
        t->a = reserve(s, g->Ep * g->N);
        t->skip = reserve(s, g->Ep);
        t->out = reserve(s, g->Dp * g->Ep);
        t->out_bias = reserve(s, g->Dp);
    }
    for (int i = 0; i < m->cfg.n_layer; i++) {
        g->norm[i] = reserve(s, g->Dp);
        g->norm_bias[i] = reserve(s, g->Dp);
    }
    g->norm_f = reserve(s, g->Dp);
    g->norm_f_bias = reserve(s, g->Dp);
    g->embed = reserve(s, g->V * g->Dp);
    g->head[0] = reserve(s, g->V * g->Dp);
    g->head[1] = reserve(s, g->V * g->Dp);
}

static void grads_close(cad_grads_t *g)
{
    if (!g) return;
    free(g->dir);
    free(g->norm);
    free(g->norm_bias);
    free(g->sums);
    free(g->turned);
    free(g);
}

static void grads_clear(cad_grads_t *g) { memset(g->sums, 0, (size_t)g->nsums * sizeof *g->sums); }

static void grads_renew(cad_grads_t *g, const cad_model_t *m)
{
    store_t s = { g->turned, 0 };
    turn_weights(&s, g, m);
}

static int grads_open(cad_grads_t **out, const cad_model_t *m, cad_error_t *err)
{
    const cad_config_t *c = &m->cfg;
    cad_grads_t *g = calloc(1, sizeof *g);
    size_t layers = (size_t)c->n_layer;
    store_t sums = { NULL, 0 }, turned = { NULL, 0 };
    *out = NULL;
    if (!g) return cad_fail(err, CAD_ENOMEM, "out of memory");
    g->D = c->d_model;
    g->E = c->d_inner;
    g->N = c->d_state;
    g->K = c->d_conv;
    g->R = c->dt_rank;
    g->V = m->vocab.rows;
    g->Dp = cad_round_up(g->D, CAD_PAD);
    g->Ep = cad_round_up(g->E, CAD_PAD);
    g->Sp = cad_round_up(g->R + 2 * g->N, CAD_PAD);
    g->Rp = cad_round_up(g->R, CAD_PAD);
    g->dir = calloc(layers * 2, sizeof *g->dir);
    g->norm = calloc(layers, sizeof *g->norm);
    g->norm_bias = calloc(layers, sizeof *g->norm_bias);
    if (g->dir && g->norm && g->norm_bias) {
        place_sums(&sums, g, m);
        turn_weights(&turned, g, m);
        g->sums = cad_alloc((size_t)sums.used, sizeof(float));
        g->turned = cad_alloc((size_t)turned.used, sizeof(float));
    }
    if (!g->sums || !g->turned) {
        grads_close(g);
        return cad_fail(err, CAD_ENOMEM, "out of memory for the gradients of %lld parameters", (long long)m->nparam);
    }
    g->nsums = sums.used;
    sums = (store_t){ g->sums, 0 };
    place_sums(&sums, g, m);
    grads_clear(g);
    memset(g->turned, 0, (size_t)turned.used * sizeof(float));
    grads_renew(g, m);
    *out = g;
    return 0;
}

/* ---- to the parameters' layout ---- */

static void add_rows(float *to, const float *from, int64_t rows, int64_t cols, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[r * cols + c] += from[r * ld + c];
}

/* from (cols,ld) to (rows,cols). */
static void add_turned(float *to, const float *from, int64_t rows, int64_t cols, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[r * cols + c] += from[c * ld + r];
}

/* A = -exp(A_log), so dA_log = A dA. */
static void add_decay(float *to, const cad_grads_t *g, const float *from, const float *a_log)
{
    for (int64_t e = 0; e < g->E; e++)
        for (int64_t n = 0; n < g->N; n++)
            to[e * g->N + n] -= (float)(exp((double)a_log[e * g->N + n]) * (double)from[(e / VW * g->N + n) * VW + e % VW]);
}

/* The table that tokens enter with is the head's, but for the fold of an odd depth. */
static void add_embedding(float *to, const cad_grads_t *g, const cad_model_t *m)
{
    bool turned = cad_model_turned(m);
    for (int64_t v = 0; v < g->V; v++)
        for (int64_t d = 0, w = m->vocab.comp[v]; d < g->D; d++) {
            to[v * g->D + d] += g->head[0][v * g->Dp + d];
            to[w * g->D + d] += g->head[1][v * g->Dp + d];
            if (turned) to[w * g->D + g->D - 1 - d] += g->embed[v * g->Dp + d];
            else to[v * g->D + d] += g->embed[v * g->Dp + d];
        }
}

static void add_direction(float *to, const cad_grads_t *g, const grad_t *t, cad_role_t role, const float *a_log)
{
    switch (role) {
    case CAD_T_IN:
        add_rows(to, t->in_x, g->E, g->D, g->Dp);
        add_rows(to + g->E * g->D, t->in_z, g->E, g->D, g->Dp);
        break;
    case CAD_T_IN_BIAS:
        add_rows(to, t->in_x_bias, 1, g->E, g->Ep);
        add_rows(to + g->E, t->in_z_bias, 1, g->E, g->Ep);
        break;
    case CAD_T_CONV: add_turned(to, t->conv, g->E, g->K, g->Ep); break;
    case CAD_T_CONV_BIAS: add_rows(to, t->conv_bias, 1, g->E, g->Ep); break;
    case CAD_T_X: add_rows(to, t->x, g->R + 2 * g->N, g->E, g->Ep); break;
    case CAD_T_DT: add_turned(to, t->dt, g->E, g->R, g->Ep); break;
    case CAD_T_DT_BIAS: add_rows(to, t->dt_bias, 1, g->E, g->Ep); break;
    case CAD_T_A_LOG: add_decay(to, g, t->a, a_log); break;
    case CAD_T_SKIP: add_rows(to, t->skip, 1, g->E, g->Ep); break;
    case CAD_T_OUT: add_rows(to, t->out, g->D, g->E, g->Ep); break;
    case CAD_T_OUT_BIAS: add_rows(to, t->out_bias, 1, g->D, g->Dp); break;
    default: break;
    }
}

static bool is_projection(cad_role_t r) { return r == CAD_T_IN || r == CAD_T_IN_BIAS || r == CAD_T_OUT || r == CAD_T_OUT_BIAS; }

static void grads_collect(const cad_grads_t *g, const cad_model_t *m, float *flat)
{
    bool shared = m->cfg.tied && m->cfg.bidirectional;
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        float *to = flat + t->offset;
        switch (t->role) {
        case CAD_T_EMBED: add_embedding(to, g, m); break;
        case CAD_T_NORM_F: add_rows(to, g->norm_f, 1, g->D, g->Dp); break;
        case CAD_T_NORM_F_BIAS: add_rows(to, g->norm_f_bias, 1, g->D, g->Dp); break;
        case CAD_T_NORM: add_rows(to, g->norm[t->layer], 1, g->D, g->Dp); break;
        case CAD_T_NORM_BIAS: add_rows(to, g->norm_bias[t->layer], 1, g->D, g->Dp); break;
        case CAD_T_SCORE: break; /* the caller's: it is not an operation of a backend */
        default:
            add_direction(to, g, &g->dir[2 * t->layer + t->dir], t->role, m->param + t->offset);
            if (shared && is_projection(t->role)) add_direction(to, g, &g->dir[2 * t->layer + 1], t->role, NULL);
        }
    }
}
