/* weights.h - a model on the device. SPDX-License-Identifier: MIT */

/* Weights are put together in host memory and copied in one piece; host NULL: only
 * counts. What is returned is the place on the device. */
typedef struct {
    char *host, *device;
    size_t used;
} store_t;

static size_t reserve(store_t *s, int64_t count, size_t size)
{
    size_t at = s->used;
    s->used += ((size_t)count * size + 255) / 256 * 256;
    return at;
}

static void *on_host(const store_t *s, size_t at) { return s->host ? s->host + at : NULL; }
static const void *on_device(const store_t *s, size_t at) { return s->device ? s->device + at : NULL; }

/* v (rows,cols), or (cols,rows) if it is to be transposed, to (rows_p,cols_p); NULL
 * is zeros. */
static const float *place(store_t *s, const float *v, int64_t rows, int64_t cols, int64_t rows_p, int64_t cols_p,
                          bool transposed)
{
    size_t at = reserve(s, rows_p * cols_p, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t r = 0; s->host && v && r < rows; r++)
        for (int64_t c = 0; c < cols; c++) d[r * cols_p + c] = transposed ? v[c * rows + r] : v[r * cols + c];
    return (const float *)on_device(s, at);
}

static const float *place_vector(store_t *s, const float *v, int64_t n, int64_t np)
{
    return place(s, v, 1, n, 1, np, false);
}

/* A matrix product's W: rows from `to` on of T. */
static void fill_table(char *d, bool half, const float *v, int64_t rows, int64_t cols, int64_t cols_p, int64_t to)
{
    for (int64_t r = 0; r < rows; r++, v += cols) {
        int64_t at = (to + r) * cols_p;
        if (!half) memcpy((float *)d + at, v, (size_t)cols * sizeof *v);
        else
            for (int64_t c = 0; c < cols; c++) ((bf16_t *)d)[at + c] = to_bf16(v[c]);
    }
}

/* v (parts*rows,cols) to T (parts*rows_p,cols_p). */
static const void *place_table(store_t *s, bool half, const float *v, int parts, int64_t rows, int64_t cols,
                               int64_t rows_p, int64_t cols_p)
{
    size_t at = reserve(s, parts * rows_p * cols_p, half ? sizeof(bf16_t) : sizeof(float));
    for (int i = 0; s->host && i < parts; i++)
        fill_table((char *)on_host(s, at), half, v + i * rows * cols, rows, cols, cols_p, i * rows_p);
    return on_device(s, at);
}

/* x's and z's biases, each padded. */
static const float *place_in_bias(store_t *s, const cad_weights_t *w, const float *v, int64_t E)
{
    return v ? place(s, v, 2, E, 2, w->Ep, false) : NULL;
}

/* -exp(A_log) log2 e, transposed; padding does not decay. */
static const float *place_decay(store_t *s, const cad_weights_t *w, const float *a_log, int64_t E)
{
    size_t at = reserve(s, w->Np * w->Ep, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t e = 0; s->host && e < E; e++)
        for (int64_t n = 0; n < w->N; n++) {
            double a = -exp((double)a_log[e * w->N + n]) * 1.4426950408889634;
            d[n * w->Ep + e] = a < -1e30 ? -1e30f : (float)a; /* dt A stays finite */
        }
    return (const float *)on_device(s, at);
}

/* Whether the second direction of a layer has the projections of the first. */
static bool tied(const cad_layer_t *l) { return l->dir[0].in == l->dir[1].in && l->dir[0].out == l->dir[1].out; }

/* first: the direction that this one shares projections with, or NULL. */
static dir_t place_direction(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d,
                             const dir_t *first)
{
    int64_t D = w->D, E = m->cfg.d_inner, S = w->R + 2 * w->N;
    dir_t p;
    p.in = first ? first->in : place_table(s, w->half, d->in, 2, E, D, w->Ep, w->Dp);
    p.x = place_table(s, w->half, d->x, 1, S, E, w->Sp, w->Ep);
    p.out = first ? first->out : place_table(s, w->half, d->out, 1, D, E, w->Dp, w->Ep);
    p.in_bias = place_in_bias(s, w, d->in_bias, E);
    p.out_bias = d->out_bias ? place_vector(s, d->out_bias, D, w->Dp) : NULL;
    p.conv = place(s, d->conv, w->K, E, w->K, w->Ep, true);
    p.conv_bias = place_vector(s, d->conv_bias, E, w->Ep);
    p.dt = place(s, d->dt, w->R, E, cad_round_up(w->R, STATES), w->Ep, true);
    p.dt_bias = place_vector(s, d->dt_bias, E, w->Ep);
    p.a = place_decay(s, w, d->a_log, E);
    p.skip = place_vector(s, d->skip, E, w->Ep);
    p.reverse = d->reverse;
    return p;
}

/* The head's table; strand 1 has it complemented. */
static const float *place_head(store_t *s, const cad_weights_t *w, const cad_model_t *m, int strand)
{
    size_t at = reserve(s, w->V * w->Dp, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t v = 0; s->host && v < w->V; v++)
        memcpy(d + v * w->Dp, m->embed + (strand ? m->vocab.comp[v] : v) * w->D, (size_t)w->D * sizeof *d);
    return (const float *)on_device(s, at);
}

static void place_all(store_t *s, cad_weights_t *w, const cad_model_t *m)
{
    w->embed = place(s, m->embed_in, w->V, w->D, w->V, w->Dp, false);
    w->head[0] = place_head(s, w, m, 0);
    w->head[1] = place_head(s, w, m, 1);
    w->norm_f = place_vector(s, m->norm_f, w->D, w->Dp);
    w->norm_f_bias = place_vector(s, m->norm_f_bias, w->D, w->Dp);
    for (int i = 0; i < m->cfg.n_layer; i++) {
        const cad_layer_t *l = &m->layer[i];
        w->norm[i] = place_vector(s, l->norm, w->D, w->Dp);
        w->norm_bias[i] = place_vector(s, l->norm_bias, w->D, w->Dp);
        for (int k = 0; k < l->ndir; k++)
            w->dir[2 * i + k] = place_direction(s, w, m, &l->dir[k], k && tied(l) ? &w->dir[2 * i] : NULL);
    }
}

/* Where weights that are renewed are put together: pinned memory with zeros, or NULL, and
 * then each time somewhere else. */
static char *stage_open(size_t bytes)
{
    void *p;
    if (cudaMallocHost(&p, bytes) == cudaSuccess) return (char *)memset(p, 0, bytes);
    cudaGetLastError();
    return NULL;
}

static cudaError_t upload(cad_weights_t *w, const cad_model_t *m)
{
    store_t s = { w->stage ? w->stage : (char *)calloc(1, w->bytes), (char *)w->mem, 0 };
    cudaError_t e = cudaErrorMemoryAllocation;
    if (s.host) {
        place_all(&s, w, m);
        e = cudaMemcpy(w->mem, s.host, w->bytes, cudaMemcpyHostToDevice);
        if (e == cudaSuccess) e = cudaDeviceSynchronize(); /* no lane's stream waits for this */
    }
    if (s.host != w->stage) free(s.host);
    return e;
}

/* A failure is the next batch's. */
static void weights_renew(cad_weights_t *w, const cad_model_t *m)
{
    cudaSetDevice(w->device);
    if (!w->stage) w->stage = stage_open(w->bytes);
    w->stale = upload(w, m) != cudaSuccess;
}

static void weights_close(cad_weights_t *w)
{
    if (!w) return;
    cudaSetDevice(w->device);
    products_close(w->product, PRODUCTS);
    blas_close(w);
    cudaFree(w->mem);
    cudaFreeHost(w->stage);
    free(w->dir);
    free(w->norm);
    free(w->norm_bias);
    free(w);
}

static void set_sizes(cad_weights_t *w, const cad_model_t *m)
{
    cad_extent_t e = cad_extent(m);
    w->D = m->cfg.d_model;
    w->N = m->cfg.d_state;
    w->K = m->cfg.d_conv;
    w->R = m->cfg.dt_rank;
    w->V = m->vocab.rows;
    w->Dp = e.Dp;
    w->Ep = e.Ep;
    w->Sp = e.Sp;
    w->Np = cad_round_up(w->N, STATES);
    w->eps = (float)m->cfg.norm_epsilon;
    w->rms = m->cfg.rms_norm;
    w->whole = cad_model_apart(m);
}

static void set_product(product_t *p, int64_t n, int64_t k, bool half, bool half_out)
{
    p->n = p->ldc = n;
    p->k = k;
    p->half = half;
    p->half_out = half_out;
}

/* The device's part, once the host's memory is there. */
static int weights_upload(cad_weights_t *w, const cad_model_t *m, cad_error_t *err)
{
    store_t count = { NULL, NULL, 0 };
    cudaError_t e = cudaSetDevice(w->device);
    place_all(&count, w, m);
    w->bytes = count.used;
    if (e == cudaSuccess) e = cudaMalloc(&w->mem, w->bytes);
    if (e == cudaSuccess) e = upload(w, m);
    if (e == cudaSuccess) return products_open(w, err);
    cudaGetLastError();
    return fail(err, code_of(e), "cuda:%d: a model of %.3g GB: %s", w->device, (double)w->bytes * 1e-9,
                cudaGetErrorString(e));
}

/* dt_in, B and C of STEP rows are to fit into 48 KB. */
static bool fits(const cad_model_t *m)
{
    return STEP * (PADDED(m->cfg.dt_rank) + 2 * STATES) * (int64_t)sizeof(float) <= 49152;
}

static int weights_open(cad_weights_t **out, const cad_ops_t *ops, const cad_model_t *m, cad_error_t *err)
{
    cad_weights_t *w = (cad_weights_t *)calloc(1, sizeof *w);
    size_t layers = (size_t)m->cfg.n_layer;
    int rc;
    *out = NULL;
    if (!w) return fail(err, CAD_ENOMEM, "out of memory");
    if (!fits(m)) {
        free(w);
        return fail(err, CAD_EARG, "dt_rank %lld is more than the CUDA kernels hold; use the CPU",
                    (long long)m->cfg.dt_rank);
    }
    w->device = ops->device;
    w->half = !strcmp(ops->precision, "bf16");
    set_sizes(w, m);
    set_product(&w->product[IN_PROJ], 2 * w->Ep, w->Dp, w->half, w->half);
    set_product(&w->product[X_PROJ], w->Sp, w->Ep, w->half, false);
    set_product(&w->product[OUT_PROJ], w->Dp, w->Ep, w->half, false);
    w->dir = (dir_t *)calloc(layers * 2, sizeof *w->dir);
    w->norm = (const float **)calloc(layers, sizeof *w->norm);
    w->norm_bias = (const float **)calloc(layers, sizeof *w->norm_bias);
    rc = w->dir && w->norm && w->norm_bias ? weights_upload(w, m, err) : fail(err, CAD_ENOMEM, "out of memory");
    if (rc) weights_close(w);
    else *out = w;
    return rc;
}
