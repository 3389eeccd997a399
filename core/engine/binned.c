/* binned.c - computes the outputs of a head for each base, or for each bin of bases. SPDX-License-Identifier: MIT */
#include <math.h>

#include "engine/engine.h"

#define TOGETHER 65536 /* bases whose rows are in memory at the same time */

static int64_t bins_of(const cad_context_t *ctx, const cad_window_t *w)
{
    return (w->core_end - w->core_beg + ctx->bin - 1) / ctx->bin;
}

/* Writes the logits of the bins of one window; frees nothing. sum (D): scratch. */
static int project(const cad_context_t *ctx, const cad_window_t *w, const cad_pass_t *p, double *sum, cad_error_t *err)
{
    int64_t D = ctx->model->cfg.d_model, K = ctx->model->labels, n = w->core_end - w->core_beg;
    for (int64_t u = 0; u < bins_of(ctx, w); u++) {
        int64_t beg = u * ctx->bin, end = cad_min(beg + ctx->bin, n);
        memset(sum, 0, (size_t)D * sizeof *sum);
        for (int64_t r = beg; r < end; r++)
            for (int64_t d = 0; d < D; d++) sum[d] += (double)p->pooled[0][r * D + d] + (double)p->pooled[1][r * D + d];
        for (int64_t k = 0; k < K; k++) {
            double out = 0;
            for (int64_t d = 0; d < D; d++) out += (double)ctx->score[k * D + d] * sum[d];
            w->embedding[u * K + k] = (float)((double)ctx->score_bias[k] + out / (double)(2 * (end - beg)));
            if (!isfinite(w->embedding[u * K + k]))
                return cad_fail(err, CAD_EFORMAT, "the model overflows: an output of its head is not finite");
        }
    }
    return 0;
}

static int run_some(cad_context_t *ctx, const cad_window_t *w, int n, cad_error_t *err)
{
    int64_t D = ctx->model->cfg.d_model;
    cad_pass_t *pass = calloc((size_t)n, sizeof *pass);
    double *sum = cad_alloc((size_t)D, sizeof *sum);
    int rc = pass && sum ? 0 : cad_out_of_memory(err);
    for (int i = 0; i < n && rc == 0; i++) {
        pass[i] = (cad_pass_t) { .tok = w[i].tokens,
                                 .len = w[i].len,
                                 .strands = 2,
                                 .beg = w[i].core_beg,
                                 .end = w[i].core_end,
                                 .pool = CAD_POOL_NONE };
        for (int s = 0; s < 2; s++) {
            pass[i].pooled[s] = cad_alloc((size_t)(w[i].core_end - w[i].core_beg), (size_t)D * sizeof(float));
            if (!pass[i].pooled[s]) rc = cad_out_of_memory(err);
        }
    }
    if (rc == 0) rc = cad_run(ctx, pass, n, (int)ctx->model->cfg.n_layer, err);
    for (int i = 0; pass && i < n; i++) {
        if (rc == 0) rc = project(ctx, &w[i], &pass[i], sum, err);
        free(pass[i].pooled[0]);
        free(pass[i].pooled[1]);
    }
    free(pass);
    free(sum);
    return rc;
}

static int check(const cad_context_t *ctx, const cad_window_t *w, cad_error_t *err)
{
    int rc = cad_rows_of_bases(ctx->model, (int)ctx->model->cfg.n_layer, err);
    if (rc) return rc;
    if (!ctx->bin) return cad_fail(err, CAD_EARG, "the model has no head with an output for each base or bin");
    if (w->core_beg < 0 || w->core_end > w->len || w->core_beg >= w->core_end)
        return cad_fail(err, CAD_EARG, "a core of no bases, or beyond its window");
    for (int64_t i = 0; i < w->len; i++)
        if (w->tokens[i] >= ctx->model->vocab.rows)
            return cad_fail(err, CAD_EARG, "a token at %lld is not in the vocabulary", (long long)i);
    return 0;
}

int cad_classify_bins(cad_context_t *ctx, const cad_window_t *w, int n, cad_error_t *err)
{
    int rc = n < 0 ? cad_fail(err, CAD_EARG, "%d windows", n) : 0;
    for (int i = 0; i < n && rc == 0; i++) rc = check(ctx, &w[i], err);
    for (int i = 0, j; i < n && rc == 0; i = j) {
        int64_t bases = 0;
        for (j = i; j < n && (j == i || bases + w[j].core_end - w[j].core_beg <= TOGETHER); j++)
            bases += w[j].core_end - w[j].core_beg;
        rc = run_some(ctx, w + i, j - i, err);
    }
    return rc;
}
