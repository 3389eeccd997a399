/* binvalues.c - reads values of bins from bigWigs and bedGraphs, cuts the reference into windows to train on, and measures each
 * output. SPDX-License-Identifier: MIT */
#include <math.h>
#include <nettle/sha2.h>

#include "io/bedgraph.h"
#include "io/bigwig_reader.h"
#include "learn/binvalues.h"
#include "learn/metrics.h"

/* ---- reading ---- */

typedef struct {
    const binvalues_t *b;
    const char *path;
    bigread_t in;
    int *contig;     // (in.ncontig) index in the reference
    double **sum;    // (ref->ncontig) (bins) sum of the values
    int32_t **bases; // (ref->ncontig) (bins) bases with a value
    bool any;
} reader_t;

static int64_t bins_of(const binvalues_t *b, int i) { return (b->ref->contig[i].length + b->bin - 1) / b->bin; }

int binvalues_room(binvalues_t *b, cad_error_t *err)
{
    b->value = calloc((size_t)b->ref->ncontig + 1, sizeof *b->value);
    if (!b->value) return cad_out_of_memory(err);
    for (int i = 0; i < b->ref->ncontig; i++) {
        b->value[i] = cad_alloc((size_t)cad_max(bins_of(b, i), 1), (size_t)b->K * sizeof **b->value);
        if (!b->value[i]) return cad_fail(err, CAD_ENOMEM, "out of memory for the values of %s", b->ref->path);
    }
    return 0;
}

void binvalues_close(binvalues_t *b)
{
    for (int i = 0; b->value && i < b->ref->ncontig; i++) free(b->value[i]);
    free(b->value);
    b->value = NULL;
}

/* Finds the bigWig's contigs in the reference. */
static int match_contigs(reader_t *r, cad_error_t *err)
{
    const fasta_t *ref = r->b->ref;
    char hint[700];
    r->contig = calloc((size_t)r->in.ncontig + 1, sizeof *r->contig);
    if (!r->contig) return cad_out_of_memory(err);
    for (int i = 0; i < r->in.ncontig; i++) {
        const contig_t *has = &r->in.contig[i], *c = fasta_find(ref, has->name);
        if (!c)
            return cad_fail(err, CAD_EFORMAT, "%s: contig \"%s\" is not in %s%s", r->in.path, has->name, ref->path,
                            fasta_hint(ref, has->name, hint, sizeof hint));
        if (c->length != has->length)
            return cad_fail(err, CAD_EFORMAT,
                            "%s: contig %s has %lld bases, in %s %lld; use the reference of the bigWig", r->in.path,
                            has->name, (long long)has->length, ref->path, (long long)c->length);
        r->contig[i] = (int)(c - ref->contig);
    }
    return 0;
}

/* Adds an interval's value to the bins that it overlaps. i: index of the contig in the reference. */
static int take(void *arg, int i, int64_t beg, int64_t end, float v, cad_error_t *err)
{
    reader_t *r = arg;
    const binvalues_t *b = r->b;
    if (!isfinite(v))
        return cad_fail(err, CAD_EFORMAT, "%s: %s:%lld: the value is %s; leave such bases out of the file", r->path,
                        b->ref->contig[i].name, (long long)beg + 1, isnan(v) ? "not a number" : "infinite");
    if (v < 0 && b->counts)
        return cad_fail(err, CAD_EFORMAT, "%s: %s:%lld: the value %g is negative; use --loss squared", r->path,
                        b->ref->contig[i].name, (long long)beg + 1, (double)v);
    for (int64_t p = beg, stop; p < end; p = stop) {
        int64_t u = p / b->bin;
        stop = cad_min(end, (u + 1) * b->bin);
        r->sum[i][u] += (double)v * (double)(stop - p);
        r->bases[i][u] += (int32_t)(stop - p);
    }
    r->any = true;
    return 0;
}

/* The same for a contig of the bigWig. */
static int take_bigwig(void *arg, int contig, int64_t beg, int64_t end, float v, cad_error_t *err)
{
    const reader_t *r = arg;
    return take(arg, r->contig[contig], beg, end, v, err);
}

static int read_bigwig(reader_t *r, cad_error_t *err)
{
    int rc = bigread_open(&r->in, r->path, err);
    if (rc == 0) rc = match_contigs(r, err);
    return rc ? rc : bigread_all(&r->in, take_bigwig, r, err);
}

static int open_sums(reader_t *r, cad_error_t *err)
{
    int n = r->b->ref->ncontig;
    r->sum = calloc((size_t)n + 1, sizeof *r->sum);
    r->bases = calloc((size_t)n + 1, sizeof *r->bases);
    if (!r->sum || !r->bases) return cad_out_of_memory(err);
    for (int i = 0; i < n; i++) {
        size_t bins = (size_t)cad_max(bins_of(r->b, i), 1);
        r->sum[i] = calloc(bins, sizeof **r->sum);
        r->bases[i] = calloc(bins, sizeof **r->bases);
        if (!r->sum[i] || !r->bases[i]) return cad_out_of_memory(err);
    }
    return 0;
}

/* Sets the values of output k to the means of the bins. */
static void set_values(const reader_t *r, int64_t k)
{
    const binvalues_t *b = r->b;
    for (int i = 0; i < b->ref->ncontig; i++)
        for (int64_t u = 0; u < bins_of(b, i); u++) {
            int64_t all = cad_min(b->bin, b->ref->contig[i].length - u * b->bin), n = b->ignore ? r->bases[i][u] : all;
            b->value[i][u * b->K + k] = n ? (float)(r->sum[i][u] / (double)n) : NAN;
        }
}

int binvalues_read(binvalues_t *b, int64_t k, const char *path, cad_error_t *err)
{
    reader_t r = { .b = b, .path = path };
    int rc = open_sums(&r, err);
    if (rc == 0) rc = bedgraph_named(path) ? bedgraph_all(path, b->ref, take, &r, err) : read_bigwig(&r, err);
    if (rc == 0 && !r.any) rc = cad_fail(err, CAD_EFORMAT, "%s: holds no values", path);
    if (rc == 0) set_values(&r, k);
    for (int i = 0; i < b->ref->ncontig; i++) {
        if (r.sum) free(r.sum[i]);
        if (r.bases) free(r.bases[i]);
    }
    free(r.sum);
    free(r.bases);
    free(r.contig);
    bigread_close(&r.in);
    return rc;
}

/* ---- the end of reading ---- */

static bool any_base(const char *s, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (s[i] && strchr("ACGTacgt", s[i])) return true;
    return false;
}

/* Removes the values of bins in which the reference has no A, C, G or T. */
static int drop_unknown(binvalues_t *b, int i, cad_error_t *err)
{
    const contig_t *c = &b->ref->contig[i];
    char *seq = malloc((size_t)c->length + 1);
    int rc = seq ? fasta_fetch(b->ref, c, 0, c->length, seq, err) : cad_out_of_memory(err);
    for (int64_t u = 0; u < bins_of(b, i) && rc == 0; u++) {
        int64_t beg = u * b->bin, n = cad_min(b->bin, c->length - beg);
        for (int64_t k = 0; k < b->K && !any_base(seq + beg, n); k++) b->value[i][u * b->K + k] = NAN;
    }
    free(seq);
    return rc;
}

int binvalues_finish(binvalues_t *b, char *const *name, cad_error_t *err)
{
    struct sha256_ctx sum;
    uint8_t digest[SHA256_DIGEST_SIZE];
    int rc = 0;
    sha256_init(&sum);
    for (int64_t k = 0; k < b->K; k++) sha256_update(&sum, strlen(name[k]) + 1, (const uint8_t *)name[k]);
    for (int i = 0; i < b->ref->ncontig && rc == 0; i++) {
        rc = drop_unknown(b, i, err);
        sha256_update(&sum, (size_t)(bins_of(b, i) * b->K) * sizeof **b->value, (const uint8_t *)b->value[i]);
    }
    sha256_digest(&sum, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(b->digest + 2 * i, 3, "%02x", digest[i]);
    return rc;
}

/* ---- windows ---- */

static bool complete(const float *v, int64_t K)
{
    for (int64_t k = 0; k < K; k++)
        if (isnan(v[k])) return false;
    return true;
}

static bool any_complete(const binvalues_t *b, int i, int64_t from, int64_t to)
{
    for (int64_t u = from; u < to; u++)
        if (complete(b->value[i] + u * b->K, b->K)) return true;
    return false;
}

static int add_window(const binvalues_t *b, int i, int64_t beg, int64_t end, examples_t *e, cad_error_t *err)
{
    int64_t from = beg / b->bin, n = (end - beg + b->bin - 1) / b->bin, K = b->K;
    int rc = examples_window(e, b->ref, i, beg, end, err);
    example_t *x;
    if (rc) return rc;
    x = &e->row[e->n - 1];
    x->target = cad_alloc((size_t)n, (size_t)K * sizeof *x->target);
    x->weight = cad_alloc((size_t)n, sizeof *x->weight);
    if (!x->target || !x->weight) return cad_out_of_memory(err);
    for (int64_t u = 0; u < n; u++) {
        const float *v = b->value[i] + (from + u) * K;
        x->weight[u] = complete(v, K);
        for (int64_t k = 0; k < K; k++) x->target[u * K + k] = x->weight[u] > 0 ? v[k] : 0;
    }
    return 0;
}

int binvalues_examples(const binvalues_t *b, const uint8_t *part, int which, int64_t window, examples_t *e,
                       cad_error_t *err)
{
    int rc = 0;
    e->path = b->ref->path;
    for (int i = 0; i < b->ref->ncontig; i++)
        for (int64_t at = 0; at < b->ref->contig[i].length && part[i] == which && rc == 0; at += window) {
            int64_t end = cad_min(at + window, b->ref->contig[i].length);
            if (any_complete(b, i, at / b->bin, (end + b->bin - 1) / b->bin)) rc = add_window(b, i, at, end, e, err);
        }
    memcpy(e->digest, b->digest, sizeof e->digest);
    return rc;
}

/* Adds over all bins with values: (value - mean[k]) to the power `power`, to sum (K). Returns the number of bins. */
static double add_values(const examples_t *e, int64_t bin, int64_t K, const double *mean, int power, double *sum)
{
    double n = 0;
    for (int64_t i = 0; i < e->n; i++)
        for (int64_t u = 0; u * bin < e->row[i].len; u++) {
            const float *y = e->row[i].target + u * K;
            if (e->row[i].weight[u] == 0) continue;
            n++;
            for (int64_t k = 0; k < K; k++) sum[k] += pow((double)y[k] - mean[k], power);
        }
    return n;
}

int binvalues_learn(const examples_t *e, int64_t bin, cad_head_t *h, cad_error_t *err)
{
    double n, *sum = cad_alloc((size_t)h->n, sizeof *sum);
    if (!sum) return cad_out_of_memory(err);
    memset(sum, 0, (size_t)h->n * sizeof *sum);
    n = add_values(e, bin, h->n, h->mean, 1, sum);
    for (int64_t k = 0; k < h->n; k++) (h->kind == CAD_HEAD_COUNTS ? h->scale : h->mean)[k] = n > 0 ? sum[k] / n : 0;
    if (h->kind == CAD_HEAD_VALUES) {
        memset(sum, 0, (size_t)h->n * sizeof *sum);
        add_values(e, bin, h->n, h->mean, 2, sum);
        for (int64_t k = 0; k < h->n; k++) h->scale[k] = n > 0 ? sqrt(sum[k] / n) : 0;
    }
    free(sum);
    if (n == 0) return cad_fail(err, CAD_EARG, "no bin of the training contigs has a value in all files");
    for (int64_t k = 0; k < h->n; k++)
        if (!(h->scale[k] > 0))
            return cad_fail(err, CAD_EARG, "output %s: all bins of the training contigs have the value %g", h->name[k],
                            h->mean[k]);
    return 0;
}

void binvalues_targets(const examples_t *e, int64_t bin, const cad_head_t *h)
{
    for (int64_t i = 0; i < e->n; i++)
        for (int64_t u = 0; u * bin < e->row[i].len; u++) {
            float *y = e->row[i].target + u * h->n;
            if (e->row[i].weight[u] == 0) continue;
            for (int64_t k = 0; k < h->n; k++) y[k] = (float)(((double)y[k] - h->mean[k]) / h->scale[k]);
        }
}

/* ---- measuring ---- */

int binvalues_metrics(bin_metrics_t *m, const cad_head_t *h, const float *logits, const float *target, int64_t n,
                      int64_t k, cad_error_t *err)
{
    double *x = cad_alloc((size_t)cad_max(n, 1), 2 * sizeof *x), *y = x ? x + n : NULL, sum = 0;
    int rc;
    if (!x) return cad_out_of_memory(err);
    for (int64_t i = 0; i < n; i++) {
        double z = (double)logits[i * h->n + k], t = (double)target[i * h->n + k];
        x[i] = h->kind == CAD_HEAD_COUNTS ? exp(z) : z;
        y[i] = t;
        sum += h->kind == CAD_HEAD_COUNTS ? exp(z) - t * z : (z - t) * (z - t);
    }
    m->loss = n ? sum / (double)n : NAN;
    m->pearson = metric_pearson(x, y, n);
    rc = metric_spearman(x, y, n, &m->spearman);
    free(x);
    return rc ? cad_out_of_memory(err) : 0;
}
