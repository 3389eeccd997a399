/* score.c - the public functions that compute with a context: forward, classify, score, embed.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "engine/engine.h"

/* ---- whole sequences ---- */

static int check_tokens(const cad_model_t *m, const uint8_t *tok, int64_t n, cad_error_t *err)
{
    if (n < 1) return cad_fail(err, CAD_EARG, "an empty sequence");
    for (int64_t i = 0; i < n; i++)
        if (tok[i] >= m->vocab.rows)
            return cad_fail(err, CAD_EARG, "token %d at %lld: the vocabulary has %d", tok[i], (long long)i,
                            m->vocab.rows);
    return 0;
}

int cad_rows_of_bases(const cad_model_t *m, int layers, cad_error_t *err)
{
    int64_t stride = cad_config_stride(&m->cfg, layers);
    return stride == 1
               ? 0
               : cad_fail(err, CAD_EARG,
                          "the model pools %lld bases into a row, so it has results for sequences and none for bases",
                          (long long)stride);
}

static int no_logits(cad_error_t *err)
{
    return cad_fail(err, CAD_EARG, "the model is a classifier; it has no language-model head");
}

/* Allocates memory, except if *rc is already an error. On failure sets *rc and returns NULL. Uses malloc and not
 * cad_alloc, since a batch needs thousands of small allocations, and the C library rarely reuses freed aligned
 * memory. */
static void *need(size_t count, size_t size, int *rc, cad_error_t *err)
{
    size_t bytes;
    bool over = __builtin_mul_overflow(count, size, &bytes);
    void *p = *rc || over ? NULL : malloc(bytes ? bytes : 1);
    if (!p && *rc == 0) *rc = cad_fail(err, CAD_ENOMEM, "out of memory for %zu values", count);
    return p;
}

static int overflow(const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "the model overflows: %s is not finite; are its weights damaged?", what);
}

/* Refuses results that are NaN or infinite. */
static int check_finite(const float *x, int64_t n, const char *what, cad_error_t *err)
{
    bool finite = true;
    for (int64_t i = 0; x && i < n; i++) finite &= isfinite(x[i]) != 0;
    return finite ? 0 : overflow(what, err);
}

static int all_layers(const cad_context_t *ctx) { return (int)ctx->model->cfg.n_layer; }

/* Runs one masking pass for logits and hidden states; two runs if the hidden states are those of an inner layer. */
static int run_forward(cad_context_t *ctx, const cad_pass_t *p, cad_error_t *err)
{
    cad_pass_t head = *p, inner = *p;
    bool both = p->logits[0] && p->pooled[0] && ctx->layers < all_layers(ctx);
    int rc;
    if (!both) return cad_run(ctx, p, 1, p->logits[0] ? all_layers(ctx) : ctx->layers, err);
    head.pooled[0] = head.pooled[1] = inner.logits[0] = inner.logits[1] = NULL;
    rc = cad_run(ctx, &head, 1, all_layers(ctx), err);
    return rc ? rc : cad_run(ctx, &inner, 1, ctx->layers, err);
}

/* True if the hidden states that are read have their channels in reverse order (cad_lane_t.mirrored). */
static bool mirrored(const cad_context_t *ctx) { return cad_config_folded(&ctx->model->cfg, ctx->layers - 1); }

/* Sets hidden to the hidden states of len rows, as the published model has them. In a folded layer the published model
 * has the halves exchanged, too. */
static void conjoin_hidden(const cad_context_t *ctx, int64_t len, const cad_pass_t *p, float *hidden)
{
    bool fold = mirrored(ctx);
    for (int s = 0; s < 2 && fold; s++) cad_conjoin_mirror(len, ctx->model->cfg.d_model, p->pooled[s]);
    cad_conjoin_hidden(ctx->model, len, p->pooled[fold], p->pooled[!fold], hidden);
}

static int forward(cad_context_t *ctx, const uint8_t *tok, int64_t len, int strands, float *hidden, float *logits,
                   cad_error_t *err)
{
    const cad_model_t *m = ctx->model;
    int64_t D = m->cfg.d_model, V = m->vocab.rows, *pos;
    cad_pass_t p = {
        .tok = tok, .len = len, .strands = strands, .npos = logits ? len : 0, .end = len, .pool = CAD_POOL_NONE
    };
    int rc = logits && m->labels ? no_logits(err) : check_tokens(m, tok, len, err);
    if (rc == 0) rc = cad_rows_of_bases(m, logits ? all_layers(ctx) : ctx->layers, err);
    p.pos = pos = need((size_t)len, sizeof *pos, &rc, err);
    for (int s = 0; s < p.strands; s++) {
        if (logits) p.logits[s] = need((size_t)(len * V), sizeof(float), &rc, err);
        if (hidden) p.pooled[s] = need((size_t)(len * D), sizeof(float), &rc, err);
    }
    for (int64_t i = 0; rc == 0 && i < len; i++) pos[i] = i;
    if (rc == 0) rc = run_forward(ctx, &p, err);
    if (rc == 0 && logits && strands == 2) cad_conjoin_logits(m, len, p.logits[0], p.logits[1], logits);
    else if (rc == 0 && logits) memcpy(logits, p.logits[0], (size_t)(len * V) * sizeof *logits);
    if (rc == 0 && hidden) conjoin_hidden(ctx, len, &p, hidden);
    if (rc == 0) rc = check_finite(logits, len * V, "a logit", err);
    if (rc == 0) rc = check_finite(hidden, len * cad_model_number(m, CAD_HIDDEN_WIDTH), "a hidden state", err);
    for (int s = 0; s < 2; s++) {
        free(p.logits[s]);
        free(p.pooled[s]);
    }
    free(pos);
    return rc;
}

int cad_forward(cad_context_t *ctx, const uint8_t *tok, int64_t len, float *hidden, float *logits, cad_error_t *err)
{
    return forward(ctx, tok, len, cad_conjoin_strands(ctx->model), hidden, logits, err);
}

int cad_forward_conjoined(cad_context_t *ctx, const uint8_t *tok, int64_t len, float *logits, cad_error_t *err)
{
    return forward(ctx, tok, len, 2, NULL, logits, err);
}

/* Computes logits (labels) = score.weight x pooled + score.bias, where `pooled` is the pooled row of the only strand, or
 * the mean of both strands' pooled rows. */
static void head_one(const cad_context_t *ctx, const cad_pass_t *p, float *logits)
{
    int64_t D = ctx->model->cfg.d_model;
    if (p->strands == 2) cad_conjoin_embedding(D, p->pooled[0], p->pooled[1], p->pooled[0]);
    for (int64_t k = 0; k < ctx->model->labels; k++) {
        double sum = (double)ctx->score_bias[k];
        for (int64_t d = 0; d < D; d++) sum += (double)ctx->score[k * D + d] * (double)p->pooled[0][d];
        logits[k] = (float)sum;
    }
}

/* Runs the classifier on n masking passes, whose beg and end are set by the caller; writes logits (n,labels). */
static int classify(cad_context_t *ctx, cad_pass_t *pass, int n, float *logits, cad_error_t *err)
{
    const cad_model_t *m = ctx->model;
    int rc = m->labels ? 0 : cad_fail(err, CAD_EARG, "the model has no classifier head");
    if (ctx->bin)
        rc = cad_fail(err, CAD_EARG, "the head has outputs for each base or bin, and none for whole sequences");
    for (int i = 0; i < n && rc == 0; i++) {
        pass[i].pool = ctx->pool;
        pass[i].pool_weight = ctx->pool_weight;
        for (int s = 0; s < pass[i].strands; s++)
            pass[i].pooled[s] = need((size_t)m->cfg.d_model, sizeof(float), &rc, err);
    }
    if (rc == 0) rc = cad_run(ctx, pass, n, all_layers(ctx), err);
    for (int i = 0; i < n; i++) {
        if (rc == 0) head_one(ctx, &pass[i], logits + i * m->labels);
        if (rc == 0) rc = check_finite(logits + i * m->labels, m->labels, "a classifier's output", err);
        free(pass[i].pooled[0]);
        free(pass[i].pooled[1]);
    }
    return rc;
}

int cad_classify(cad_context_t *ctx, const uint8_t *tok, const uint8_t *tok_rc, int64_t len, float *logits,
                 cad_error_t *err)
{
    cad_pass_t p = {
        .tok = tok, .tok_rc = tok_rc, .len = len, .strands = tok_rc ? 2 : cad_conjoin_strands(ctx->model), .end = len
    };
    int rc = check_tokens(ctx->model, tok, len, err);
    if (rc == 0 && tok_rc) rc = check_tokens(ctx->model, tok_rc, len, err);
    return rc ? rc : classify(ctx, &p, 1, logits, err);
}

/* ---- masked scoring ---- */

static bool scored(const cad_model_t *m, const cad_window_t *w, int64_t t)
{
    return !(w->skip && w->skip[t]) && cad_token_base(m, w->tokens[t]) >= 0;
}

/* Plans the masking passes of a window. Lists the scored positions in pos, grouped by masking pass, and the masking
 * passes in pass; either array may be NULL. Sets *npos to the number of positions and returns the number of masking
 * passes. With mask K, positions whose distance is a multiple of K share a masking pass; their genomic coordinates do
 * not matter. */
static int64_t plan(const cad_model_t *m, const cad_window_t *w, int64_t mask, int64_t *pos, cad_pass_t *pass,
                    int64_t *npos)
{
    int64_t n = 0, npass = 0, classes = mask > 0 ? mask : 1;
    classes = cad_min(classes, w->core_end - w->core_beg);
    for (int64_t c = 0; c < classes; c++) {
        int64_t before = n;
        for (int64_t t = w->core_beg + c; t < w->core_end; t += classes)
            if (scored(m, w, t)) {
                if (pos) pos[n] = t;
                if (mask == CAD_MASK_EACH && pass) pass[npass] = (cad_pass_t) { .pos = pos + n, .npos = 1 };
                if (mask == CAD_MASK_EACH) npass++;
                n++;
            }
        if (mask == CAD_MASK_EACH || n == before) continue;
        if (pass) pass[npass] = (cad_pass_t) { .pos = pos + before, .npos = n - before };
        npass++;
    }
    *npos = n;
    return npass;
}

/* Sets out to the log softmax of A, C, G and T over their logits, or over all logits; returns false if a value of out
 * is not finite. */
static bool log_softmax(const cad_context_t *ctx, const float *logits, float out[4])
{
    const cad_model_t *m = ctx->model;
    int64_t n = ctx->vocab_softmax ? m->vocab.rows : 4;
    double top = -INFINITY, sum = 0;
    bool finite = true;
    for (int64_t i = 0; i < n; i++) top = fmax(top, (double)logits[ctx->vocab_softmax ? i : m->vocab.base[i]]);
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[ctx->vocab_softmax ? i : m->vocab.base[i]] - top);
    for (int b = 0; b < 4; b++) {
        out[b] = (float)((double)logits[m->vocab.base[b]] - top - log(sum));
        finite &= isfinite(out[b]) != 0;
    }
    return finite;
}

static int check_window(const cad_model_t *m, const cad_window_t *w, cad_error_t *err)
{
    if (w->core_beg < 0 || w->core_beg > w->core_end || w->core_end > w->len)
        return cad_fail(err, CAD_EARG, "a core of [%lld,%lld) in a window of %lld", (long long)w->core_beg,
                        (long long)w->core_end, (long long)w->len);
    return w->len ? check_tokens(m, w->tokens, w->len, err) : 0;
}

/* Returns the masking that a model needs: none if it predicts each base from the bases before it. */
static int64_t masking(const cad_model_t *m, int64_t mask) { return cad_config_next(&m->cfg) ? CAD_MASK_NONE : mask; }

/* Sets the logits of the first position of each strand, before which there are no bases, to those of the other strand, or
 * to zeros if the sequence has one base. */
static void fill_ends(const cad_pass_t *p, int64_t V)
{
    size_t bytes = (size_t)V * sizeof(float);
    for (int64_t i = 0; i < p->npos; i++) {
        float *first = p->logits[0] + i * V, *second = p->logits[1] + i * V;
        if (p->len == 1) memset(first, 0, bytes);
        else if (p->pos[i] == 0) memcpy(first, second, bytes);
        if (p->pos[i] == p->len - 1) memcpy(second, first, bytes);
    }
}

static int check_mask(int64_t mask, cad_error_t *err)
{
    return mask < CAD_MASK_EACH ? cad_fail(err, CAD_EARG, "mask %lld", (long long)mask) : 0;
}

int64_t cad_passes(const cad_model_t *m, const cad_window_t *w, int64_t mask)
{
    int64_t npos;
    int rc = check_mask(mask, NULL);
    if (rc == 0) rc = check_window(m, w, NULL);
    return rc ? rc : plan(m, w, masking(m, mask), NULL, NULL, &npos);
}

typedef struct {
    int64_t npass, npos;
} count_t;

static int count_work(cad_context_t *ctx, const cad_window_t *w, int n, int64_t mask, count_t *total, cad_error_t *err)
{
    for (int i = 0; i < n; i++) {
        int64_t npos;
        int rc = check_window(ctx->model, &w[i], err);
        if (rc) return rc;
        total->npass += plan(ctx->model, &w[i], mask, NULL, NULL, &npos);
        total->npos += npos;
    }
    return 0;
}

int cad_score(cad_context_t *ctx, cad_window_t *w, int n, int64_t mask, cad_error_t *err)
{
    const cad_model_t *m = ctx->model;
    int64_t V = m->vocab.rows, at = 0, k = 0, *pos;
    count_t total = { 0, 0 };
    cad_pass_t *pass;
    float *logits;
    int rc;
    if (m->labels) return no_logits(err);
    if (n < 0) return cad_fail(err, CAD_EARG, "%d windows", n);
    if ((rc = check_mask(mask, err))) return rc;
    if ((rc = cad_rows_of_bases(m, all_layers(ctx), err))) return rc;
    mask = masking(m, mask);
    if (mask != CAD_MASK_NONE && m->vocab.mask < 0)
        return cad_fail(err, CAD_EARG, "the vocabulary has no [MASK] token; score without masking (mask none)");
    if ((rc = count_work(ctx, w, n, mask, &total, err))) return rc;
    pos = need((size_t)total.npos, sizeof *pos, &rc, err);
    pass = need((size_t)total.npass, sizeof *pass, &rc, err);
    logits = need((size_t)(2 * total.npos * V), sizeof *logits, &rc, err);
    for (int i = 0; i < n && rc == 0; i++) {
        int64_t npos, np = plan(m, &w[i], mask, pos + at, pass + k, &npos);
        for (int64_t q = k; q < k + np; q++) {
            float *to = logits + 2 * (pass[q].pos - pos) * V;
            pass[q].tok = w[i].tokens;
            pass[q].len = w[i].len;
            pass[q].strands = 2;
            pass[q].masked = mask != CAD_MASK_NONE;
            pass[q].next = cad_config_next(&m->cfg);
            pass[q].logits[0] = to;
            pass[q].logits[1] = to + pass[q].npos * V;
        }
        at += npos;
        k += np;
    }
    if (rc == 0) rc = cad_run(ctx, pass, total.npass, all_layers(ctx), err);
    for (int i = 0; i < n && rc == 0; i++)
        for (int64_t t = 0; t < 4 * (w[i].core_end - w[i].core_beg); t++) w[i].logp[t] = NAN;
    k = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        int64_t npos, np = plan(m, &w[i], mask, NULL, NULL, &npos);
        for (int64_t q = k; q < k + np; q++) {
            const cad_pass_t *p = &pass[q];
            if (p->next) fill_ends(p, V);
            cad_conjoin_logits(m, p->npos, p->logits[0], p->logits[1], p->logits[0]);
            for (int64_t t = 0; t < p->npos; t++)
                if (!log_softmax(ctx, p->logits[0] + t * V, w[i].logp + 4 * (p->pos[t] - w[i].core_beg)))
                    rc = overflow("a logit", err);
        }
        k += np;
    }
    free(logits);
    free(pass);
    free(pos);
    return rc;
}

double cad_entropy(const float logp[4])
{
    double h = 0;
    for (int b = 0; b < 4; b++) h -= exp((double)logp[b]) * (double)logp[b];
    return h * 1.4426950408889634;
}

/* ---- embeddings ---- */

/* Sets out (D) to the maximum of each channel over the n rows of the array `a` (n,D). The rows must already be the
 * means of both strands, since the maximum is taken after the mean. */
static void max_rows(const float *a, int64_t n, int64_t D, float *out)
{
    memcpy(out, a, (size_t)D * sizeof *out);
    for (int64_t i = 1; i < n; i++)
        for (int64_t d = 0; d < D; d++) out[d] = a[i * D + d] > out[d] ? a[i * D + d] : out[d];
}

static int embed_one(cad_context_t *ctx, cad_window_t *w, const cad_pass_t *p, enum cad_pool_t pool, cad_error_t *err)
{
    int64_t D = ctx->model->cfg.d_model, n = w->core_end - w->core_beg, values = pool == CAD_POOL_NONE ? n * D : D;
    cad_conjoin_embedding(pool == CAD_POOL_MEAN ? D : n * D, p->pooled[0], p->pooled[1], p->pooled[0]);
    if (mirrored(ctx)) cad_conjoin_mirror(pool == CAD_POOL_MEAN ? 1 : n, D, p->pooled[0]);
    if (pool == CAD_POOL_MAX) max_rows(p->pooled[0], n, D, w->embedding);
    else memcpy(w->embedding, p->pooled[0], (size_t)values * sizeof(float));
    return check_finite(w->embedding, values, "an embedding", err);
}

int cad_classify_all(cad_context_t *ctx, const cad_window_t *w, int n, float *logits, cad_error_t *err)
{
    int rc = n < 0 ? cad_fail(err, CAD_EARG, "%d windows", n) : 0;
    cad_pass_t *pass = need((size_t)n, sizeof *pass, &rc, err);
    for (int i = 0; i < n && rc == 0; i++) {
        rc = check_window(ctx->model, &w[i], err);
        if (rc == 0 && w[i].core_beg == w[i].core_end) rc = cad_fail(err, CAD_EARG, "a class of no bases");
        pass[i] = (cad_pass_t) {
            .tok = w[i].tokens, .len = w[i].len, .strands = 2, .beg = w[i].core_beg, .end = w[i].core_end
        };
    }
    if (rc == 0) rc = classify(ctx, pass, n, logits, err);
    free(pass);
    return rc;
}

int cad_embed(cad_context_t *ctx, cad_window_t *w, int n, enum cad_pool_t pool, cad_error_t *err)
{
    int64_t D = ctx->model->cfg.d_model;
    int rc = n < 0 || pool < CAD_POOL_NONE || pool > CAD_POOL_MAX
                 ? cad_fail(err, CAD_EARG, "%d windows pooled by %d", n, (int)pool)
                 : 0;
    if (rc == 0 && pool != CAD_POOL_MEAN) rc = cad_rows_of_bases(ctx->model, ctx->layers, err);
    cad_pass_t *pass = need((size_t)n, sizeof *pass, &rc, err);
    if (rc) return rc;
    memset(pass, 0, (size_t)n * sizeof *pass);
    for (int i = 0; i < n && rc == 0; i++) {
        int64_t len = w[i].core_end - w[i].core_beg, values = pool == CAD_POOL_MEAN ? D : len * D;
        rc = check_window(ctx->model, &w[i], err);
        if (rc == 0 && len < 1) rc = cad_fail(err, CAD_EARG, "an embedding of no bases");
        pass[i] = (cad_pass_t) { .tok = w[i].tokens,
                                 .len = w[i].len,
                                 .strands = 2,
                                 .beg = w[i].core_beg,
                                 .end = w[i].core_end,
                                 .pool = pool == CAD_POOL_MAX ? CAD_POOL_NONE : pool };
        for (int s = 0; s < 2; s++) pass[i].pooled[s] = need((size_t)values, sizeof(float), &rc, err);
    }
    if (rc == 0) rc = cad_run(ctx, pass, n, ctx->layers, err);
    for (int i = 0; i < n; i++) {
        if (rc == 0) rc = embed_one(ctx, &w[i], &pass[i], pool, err);
        free(pass[i].pooled[0]);
        free(pass[i].pooled[1]);
    }
    free(pass);
    return rc;
}
