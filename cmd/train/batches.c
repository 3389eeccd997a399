/* batches.c - prepares the data of pretrain: splits a genome into training and validation, and makes batches of
 * windows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "train/pretrain.h"
#include "io/foundation.h"

/* ---- data ---- */

/* Moves the last bases of every interval, a fixed fraction of its length, from on[0] (training) to on[1]
 * (validation). */
static int hold_out(run_t *r, cad_error_t *err)
{
    regions_t *all = r->on[0], *kept = NULL;
    int rc = regions_new(&kept, err);
    r->on[0] = kept;
    if (rc == 0) rc = regions_new(&r->on[1], err);
    for (int i = 0; i < r->ref.ncontig && rc == 0; i++) {
        const contig_t *c = &r->ref.contig[i];
        interval_t s = { 0, c->length };
        for (int k = 0; rc == 0 && (all ? regions_get(all, c->name, k, &s) : k == 0 && c->length > 0); k++) {
            int64_t cut = s.end - (int64_t)(r->a->t.fraction * (double)(s.end - s.beg));
            if (cut > s.beg) rc = regions_add_span(r->on[0], c->name, (interval_t) { s.beg, cut }, err);
            if (rc == 0 && cut < s.end) rc = regions_add_span(r->on[1], c->name, (interval_t) { cut, s.end }, err);
        }
    }
    regions_free(all);
    if (rc == 0) regions_finish(r->on[0]);
    if (rc == 0) regions_finish(r->on[1]);
    return rc;
}

/* Removes the intervals of split k (a named set of intervals) from s and returns them; the caller frees them. */
static regions_t *take_split(splits_t *s, int k)
{
    regions_t *r = s->span[k];
    s->span[k] = NULL;
    return r;
}

static int read_splits(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int rc = 0, train = 0, valid = -1;
    for (int i = 0; i < a->limits.n && rc == 0; i++)
        rc = splits_add(&r->splits, a->limits.limit[i].text, &r->ref, &r->notes, err);
    if (rc) return rc;
    splits_finish(&r->splits);
    if (r->splits.n == 0) return cad_fail(err, CAD_EARG, "%s: holds no intervals", r->splits.path);
    if (r->splits.name[0] && a->t.fraction == 0) {
        train = splits_find(&r->splits, "--train", a->train ? a->train : "train", err);
        if (train < 0) return train;
        for (int k = 0; k < r->splits.n && !a->valid; k++)
            if (!strcmp(r->splits.name[k], "valid")) valid = k;
        if (a->valid && (valid = splits_find(&r->splits, "--valid", a->valid, err)) < 0) return valid;
        if (valid == train)
            return cad_fail(err, CAD_EARG, "--valid %s: the split that is trained on", r->splits.name[valid]);
    } else if (a->train || a->valid)
        return cad_fail(err, CAD_EARG, "%s: has no fourth column, which would name the splits", r->splits.path);
    else if (r->splits.name[0])
        return cad_fail(err, CAD_EARG, "%s: names splits; use --train and --valid rather than --valid-fraction",
                        r->splits.path);
    r->on[0] = take_split(&r->splits, train);
    if (valid >= 0) r->on[1] = take_split(&r->splits, valid);
    return 0;
}

/* Warns if an interval for validation overlaps one for training. */
static void warn_shared(const run_t *r)
{
    interval_t s;
    for (int i = 0; i < r->ref.ncontig && !r->a->o.quiet; i++)
        for (int k = 0; regions_get(r->on[1], r->ref.contig[i].name, k, &s); k++)
            if (regions_overlap(r->on[0], r->ref.contig[i].name, s.beg, s.end)) {
                cmd_warn("pretrain", "%s:%lld-%lld is for validation and, at least in part, for training",
                         r->ref.contig[i].name, (long long)s.beg + 1, (long long)s.end);
                return;
            }
}

int pretrain_data(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    uint64_t seed = cad_random((uint64_t)a->t.seed, 0, 0, 1);
    const char *path = a->limits.n ? a->limits.limit[0].text : a->reference;
    int rc = fasta_open(&r->ref, a->reference, &r->notes, err);
    if (rc == 0 && a->limits.n) rc = read_splits(r, err);
    if (rc == 0 && !a->limits.n && (a->train || a->valid))
        rc = cad_fail(err, CAD_EARG, "--train and --valid name splits of -L BED, which is not given");
    if (rc == 0 && a->t.fraction > 0) rc = hold_out(r, err);
    if (rc == 0) rc = corpus_open(&r->corpus[0], &r->ref, r->on[0], a->seq_len, seed, err);
    if (rc == 0 && r->on[1]) rc = corpus_open(&r->corpus[1], &r->ref, r->on[1], a->seq_len, seed, err);
    if (rc == 0 && r->corpus[0].windows == 0) rc = cad_fail(err, CAD_EARG, "%s: nothing to train on", path);
    if (rc == 0 && r->on[1] && r->corpus[1].windows == 0)
        rc = cad_fail(err, CAD_EARG, "%s: nothing to validate on", path);
    if (rc == 0 && r->on[1]) warn_shared(r);
    r->corpus[1].ordered = true;
    return rc;
}

/* ---- batches ---- */

int pretrain_batch(batch_t *b, int64_t n, int64_t len, cad_error_t *err)
{
    b->n = n;
    b->len = len;
    b->seq = malloc((size_t)len + 1);
    b->tokens = cad_alloc((size_t)n, (size_t)len);
    b->masked = cad_alloc((size_t)n, (size_t)len);
    b->w = cad_alloc((size_t)n, (size_t)len * sizeof *b->w);
    b->ex = cad_alloc((size_t)n, sizeof *b->ex);
    if (b->seq && b->tokens && b->masked && b->w && b->ex) return 0;
    return cad_fail(err, CAD_ENOMEM, "out of memory for a step of %lld windows", (long long)n);
}

void pretrain_batch_close(batch_t *b)
{
    free(b->seq);
    free(b->tokens);
    free(b->masked);
    free(b->w);
    free(b->ex);
}

/* Multiplies the weights of soft-masked (lower-case) bases by --soft-mask-weight. reversed: w has the order of the
 * reverse-complemented sequence. next: row i predicts base i + 1. */
static void weigh_soft(const run_t *r, const char *seq, int64_t len, bool reversed, bool next, float *w)
{
    for (int64_t i = 0; i < len; i++) {
        int64_t row = (reversed ? len - 1 - i : i) - next;
        if (seq[i] >= 'a' && seq[i] <= 'z' && row >= 0) w[row] *= (float)r->a->soft;
    }
}

/* Makes window i of a corpus the k-th example of the batch. reversed: true to use the window's reverse complement. */
static int batch_put(run_t *r, batch_t *b, int64_t k, const corpus_t *c, int64_t i, bool reversed, cad_error_t *err)
{
    uint8_t *tokens = b->tokens + k * b->len, *masked = b->masked + k * b->len;
    float *w = b->w + k * b->len;
    int64_t len;
    bool next = cad_model_number(r->model, CAD_NEXT) == 1;
    int rc = corpus_window(c, i, b->seq, &len, err);
    if (rc) return rc;
    cad_encode(r->model, b->seq, len, 0, reversed ? masked : tokens);
    if (reversed) cad_reverse_complement(r->model, masked, len, tokens);
    cad_mask(r->model, c->seed, (uint64_t)i, tokens, len, masked, w);
    if (r->a->soft != 1) weigh_soft(r, b->seq, len, reversed, next, w);
    for (int64_t p = 0; p < len; p++) b->weight += (double)w[p];
    b->ex[k] = (cad_example_t) { .tokens = masked, .len = len, .labels = tokens + next, .weight = w };
    return 0;
}

int pretrain_fill_step(run_t *r, int64_t step, cad_error_t *err)
{
    batch_t *b = &r->batch;
    bool turn = training_reverses(&r->a->t, r->model);
    int rc = 0;
    b->weight = 0;
    for (int64_t k = 0; k < b->n && rc == 0; k++) {
        int64_t i = step * b->n + k;
        rc = batch_put(r, b, k, &r->corpus[0], i, turn && (cad_random(r->corpus[0].seed, (uint64_t)i, 0, 77) & 1), err);
    }
    return rc;
}

int pretrain_fill_check(run_t *r, cad_error_t *err)
{
    corpus_t *c = &r->corpus[1];
    int64_t n = cad_min(c->windows, cad_max(1, r->a->valid_tokens / r->a->seq_len));
    int rc = n ? pretrain_batch(&r->check, n, r->a->seq_len, err) : 0;
    for (int64_t k = 0; k < n && rc == 0; k++) rc = batch_put(r, &r->check, k, c, k * c->windows / n, false, err);
    return rc;
}
