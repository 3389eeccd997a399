/* region_windows.c - cuts a region into windows, and adds up the results of the windows in their order.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "stream/region_windows.h"

region_t *region_new(const char *text, size_t n, int nspans)
{
    region_t *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    if (nspans) r->span = malloc((size_t)nspans * sizeof *r->span);
    if ((nspans && !r->span) || kputsn(text, n, &r->text) < 0) {
        region_clear(r);
        free(r);
        return NULL;
    }
    r->nspan = nspans;
    return r;
}

void region_clear(region_t *r)
{
    free(r->text.s);
    free(r->seq);
    free(r->span);
    free(r->pooled);
    free(r->bases);
    memset(r, 0, sizeof *r);
}

/* ---- results of windows ---- */

static void add_scores(const cutter_t *c, region_t *r, const job_t *j)
{
    for (int64_t t = j->kept.beg; t < j->kept.end; t++) {
        const float *logp = j->logp + 4 * (t - j->scored.beg);
        int b = c->bases.of[j->tokens[t]];
        if (isnan(logp[0]) || b == NO_BASE) continue;
        r->sums.n++;
        r->sums.pll += (double)logp[b];
        r->sums.entropy += cad_entropy(logp);
        if (r->bases) r->bases[j->id + t - j->kept.beg] = logp[b];
    }
}

static int add_embedding(const cutter_t *c, region_t *r, const job_t *j, cad_error_t *err)
{
    int64_t D = c->width, n = j->pooled.end - j->pooled.beg;
    if (c->pooling == POOL_ROWS) return c->rows(c->rows_arg, r, j->embedding, n, err);
    if (!r->pooled) {
        r->pooled = calloc((size_t)D, sizeof *r->pooled);
        if (!r->pooled) return cad_out_of_memory(err);
    }
    for (int64_t d = 0; d < D; d++) {
        double e = (double)j->embedding[d];
        if (c->pooling != POOL_MAX) r->pooled[d] += e * (double)n;
        else if (r->npooled == 0 || e > r->pooled[d]) r->pooled[d] = e;
    }
    r->npooled += n;
    return 0;
}

int region_take(const cutter_t *c, region_t *r, const job_t *j, cad_error_t *err)
{
    if (j->logp) add_scores(c, r, j);
    return j->embedding ? add_embedding(c, r, j, err) : 0;
}

void region_embedding(const cutter_t *c, const region_t *r, float *out)
{
    for (int64_t d = 0, D = c->width; d < D; d++)
        out[d] = r->npooled == 0 ? NAN
                                 : (float)(c->pooling == POOL_MAX ? r->pooled[d] : r->pooled[d] / (double)r->npooled);
}

/* ---- cutting ---- */

enum cad_pool_t pooling_in_windows(pooling_t p)
{
    return p == POOL_ROWS ? CAD_POOL_NONE : p == POOL_MAX ? CAD_POOL_MAX : CAD_POOL_MEAN;
}

static int get_letters(const cutter_t *c, const region_t *r, interval_t at, char *seq, cad_error_t *err)
{
    if (!r->seq) return fasta_fetch(c->ref, r->contig, at.beg, at.end, seq, err);
    memcpy(seq, r->seq + at.beg, (size_t)(at.end - at.beg));
    return 0;
}

/* Makes the window of a core, the bases that this window scores. kept: interval of the core that belongs to the region;
 * pool: interval of `kept` whose embeddings are pooled. */
static int make_job(const cutter_t *c, const region_t *r, interval_t core, interval_t window, interval_t kept,
                    interval_t pool, job_t *j, cad_error_t *err)
{
    char *seq = malloc((size_t)(window.end - window.beg) + 1);
    letters_t letters = { seq, window, core, r->name, r->name_len };
    int rc = seq ? get_letters(c, r, window, seq, err) : cad_out_of_memory(err);
    if (rc == 0) rc = window_encode(&c->encoding, &letters, j, err);
    j->mask = c->mask;
    if (c->want_scores) j->scored = window_relative(core, window);
    j->kept = window_relative(kept, window);
    if (pool.end > pool.beg) j->pooled = window_relative(pool, window);
    free(seq);
    return rc;
}

/* Returns the interval of the core that holds the middle base of the region, or its two middle bases; empty if they are
 * in another core. done: number of bases of the region before this core. */
static interval_t center_of(const region_t *r, interval_t core, int64_t done)
{
    int64_t lo = (r->nbase - 1) / 2 - done, hi = r->nbase / 2 - done + 1;
    interval_t keep = { core.beg + cad_max(lo, 0), cad_min(core.beg + hi, core.end) };
    if (keep.end < keep.beg || lo >= core.end - core.beg) keep.end = keep.beg;
    return keep;
}

static interval_t to_pool(const cutter_t *c, const region_t *r, interval_t core, int64_t done)
{
    if (c->pooling == POOL_OFF) return (interval_t) { 0, 0 };
    return c->pooling == POOL_CENTER ? center_of(r, core, done) : core;
}

static int cut_span(const cutter_t *c, region_t *r, interval_t span, int64_t *done, cad_error_t *err)
{
    int rc = 0;
    for (int64_t k = 0, n = tiles_count(c->tiling, span); k < n && rc == 0; k++) {
        interval_t core, window, kept, pool;
        job_t j = { .id = *done };
        tiles_get(c->tiling, span, r->length, k, &core, &window);
        kept = (interval_t) { cad_max(core.beg, span.beg), cad_min(core.end, span.end) };
        pool = to_pool(c, r, kept, *done);
        *done += kept.end - kept.beg;
        if (!c->want_scores && pool.end <= pool.beg) continue;
        rc = make_job(c, r, core, window, kept, pool, &j, err);
        if (rc == 0) rc = pipeline_job(c->pipe, j, err);
        else job_free(&j);
    }
    return rc;
}

int region_put(const cutter_t *c, region_t *r, cad_error_t *err)
{
    int64_t done = 0;
    int rc = 0;
    r->item.bytes += (int64_t)(sizeof *r + r->text.m + (size_t)r->nspan * sizeof *r->span) + (r->seq ? r->length : 0);
    for (int i = 0; i < r->nspan; i++) r->nbase += r->span[i].end - r->span[i].beg;
    pipeline_digest(c->pipe, r->text.s, r->text.l);
    pipeline_put(c->pipe, &r->item);
    if (c->want_bases && r->nbase) {
        r->bases = malloc((size_t)r->nbase * sizeof *r->bases);
        if (!r->bases) return cad_out_of_memory(err);
        for (int64_t i = 0; i < r->nbase; i++) r->bases[i] = NAN;
    }
    for (int i = 0; i < r->nspan && rc == 0; i++) rc = cut_span(c, r, r->span[i], &done, err);
    return rc ? rc : pipeline_done(c->pipe, err);
}
