/* annotation.c - reads a class for each base of a reference, cuts the reference into windows to train on, and measures
 * each class. SPDX-License-Identifier: MIT */
#include <math.h>
#include <nettle/sha2.h>

#include "io/bed.h"
#include "io/row_place.h"
#include "learn/annotation.h"
#include "learn/metrics.h"

#define MOST 200 /* classes */

/* ---- reading ---- */

/* Returns the number of the row's class, which is added if it is new, or a negative CAD_E*. */
static int class_of(annotation_t *a, const input_t *in, const bed_row_t *row, cad_error_t *err)
{
    char **more;
    if (!row->name || !row->name_len)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: no fourth column, which names the class of the interval", in->path,
                        (long long)in->line);
    for (int i = 0; i < a->n; i++)
        if (!strncmp(a->name[i], row->name, (size_t)row->name_len) && !a->name[i][row->name_len]) return i;
    if (a->n == MOST)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: more than %d classes in the fourth column", in->path,
                        (long long)in->line, MOST);
    more = realloc(a->name, (size_t)(a->n + 1) * sizeof *more);
    if (!more) return cad_out_of_memory(err);
    a->name = more;
    a->name[a->n] = strndup(row->name, (size_t)row->name_len);
    return a->name[a->n] ? a->n++ : cad_out_of_memory(err);
}

/* Stores k + 1 for the bases of a row of class k; 0 stands for bases that no interval covers. */
static int paint(annotation_t *a, const input_t *in, const bed_row_t *row, int k, notes_t *notes, cad_error_t *err)
{
    const contig_t *c;
    long long line = (long long)in->line;
    uint8_t *to;
    int rc = row_place(in, row, a->ref, &c, err);
    if (rc) return rc;
    to = a->class[c - a->ref->contig];
    for (int64_t p = row->span.beg; p < row->span.end; p++) {
        if (to[p] && to[p] != k + 1)
            return cad_fail(err, CAD_EFORMAT,
                            "%s:%lld: base %lld of %s is %s here and %s in an earlier row; a base has one class",
                            in->path, line, (long long)p + 1, c->name, a->name[k], a->name[to[p] - 1]);
        to[p] = (uint8_t)(k + 1);
    }
    if (row->span.beg == row->span.end) note(notes, NOTE_EMPTY, 1, "%s:%lld: an empty region", in->path, line);
    return 0;
}

static int read_rows(annotation_t *a, const char *path, notes_t *notes, cad_error_t *err)
{
    input_t in;
    kstring_t line = { 0, 0, NULL };
    int rc = input_open(&in, path, "bed", err);
    while (rc == 0 && (rc = input_line(&in, &line, err)) > 0) {
        bed_row_t row;
        int k;
        rc = 0;
        if (bed_line_kind(line.s, line.l) != LINE_DATA) continue;
        if ((rc = bed_parse(in.path, in.line, line.s, line.l, false, &row, err))) break;
        k = class_of(a, &in, &row, err);
        rc = k < 0 ? k : paint(a, &in, &row, k, notes, err);
        bed_free(&row);
    }
    if (rc == 0 && a->n == 0) rc = cad_fail(err, CAD_EFORMAT, "%s: holds no intervals", in.path);
    free(line.s);
    input_close(&in);
    return rc;
}

/* ---- classes in their order ---- */

static int by_name(const void *x, const void *y)
{
    const char *a = *(char *const *)x, *b = *(char *const *)y;
    bool first = !strcmp(a, BACKGROUND), second = !strcmp(b, BACKGROUND);
    return first || second ? second - first : strcmp(a, b);
}

static int add_background(annotation_t *a, cad_error_t *err)
{
    char **more;
    for (int i = 0; i < a->n; i++)
        if (!strcmp(a->name[i], BACKGROUND)) return 0;
    more = realloc(a->name, (size_t)(a->n + 1) * sizeof *more);
    if (!more) return cad_out_of_memory(err);
    a->name = more;
    a->name[a->n] = strdup(BACKGROUND);
    return a->name[a->n++] ? 0 : cad_out_of_memory(err);
}

/* Sorts the names, and sets map[i] to the new number of class i - 1; map[0] is that of bases without an interval. */
static int sort_names(annotation_t *a, bool ignore, uint8_t map[256], cad_error_t *err)
{
    int n = a->n, rc = ignore ? 0 : add_background(a, err);
    char **old = rc ? NULL : malloc((size_t)a->n * sizeof *old);
    if (!old) return rc ? rc : cad_out_of_memory(err);
    memcpy(old, a->name, (size_t)a->n * sizeof *old);
    qsort(a->name, (size_t)a->n, sizeof *a->name, by_name);
    map[0] = ignore ? ANNOTATION_NONE : 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < a->n; k++)
            if (a->name[k] == old[i]) map[i + 1] = (uint8_t)k;
    free(old);
    return 0;
}

/* Gives all bases their final class, and adds the contigs to the digest. */
static int finish(annotation_t *a, const uint8_t map[256], cad_error_t *err)
{
    static const char base[] = "ACGTacgt";
    struct sha256_ctx sum;
    uint8_t digest[SHA256_DIGEST_SIZE];
    int rc = 0;
    sha256_init(&sum);
    for (int k = 0; k < a->n; k++) sha256_update(&sum, strlen(a->name[k]) + 1, (const uint8_t *)a->name[k]);
    for (int i = 0; i < a->ref->ncontig && rc == 0; i++) {
        const contig_t *c = &a->ref->contig[i];
        char *seq = malloc((size_t)c->length + 1);
        rc = seq ? fasta_fetch(a->ref, c, 0, c->length, seq, err) : cad_out_of_memory(err);
        for (int64_t p = 0; p < c->length && rc == 0; p++)
            a->class[i][p] = seq[p] && strchr(base, seq[p]) ? map[a->class[i][p]] : ANNOTATION_NONE;
        sha256_update(&sum, (size_t)c->length, a->class[i]);
        free(seq);
    }
    sha256_digest(&sum, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(a->digest + 2 * i, 3, "%02x", digest[i]);
    return rc;
}

int annotation_read(annotation_t *a, const char *path, const fasta_t *ref, bool ignore, notes_t *notes,
                    cad_error_t *err)
{
    uint8_t map[256] = { 0 };
    int rc;
    *a = (annotation_t) { .ref = ref, .class = calloc((size_t)ref->ncontig + 1, sizeof *a->class) };
    rc = a->class ? 0 : cad_out_of_memory(err);
    for (int i = 0; i < ref->ncontig && rc == 0; i++)
        if (!(a->class[i] = calloc((size_t)ref->contig[i].length + 1, 1))) rc = cad_out_of_memory(err);
    if (rc == 0) rc = read_rows(a, path, notes, err);
    if (rc == 0) rc = sort_names(a, ignore, map, err);
    if (rc == 0 && a->n < 2)
        rc = cad_fail(err, CAD_EFORMAT, "%s: a single class, %s; at least two are needed", path, a->name[0]);
    return rc ? rc : finish(a, map, err);
}

void annotation_close(annotation_t *a)
{
    for (int k = 0; k < a->n; k++) free(a->name[k]);
    for (int i = 0; a->class && i < a->ref->ncontig; i++) free(a->class[i]);
    free(a->name);
    free(a->class);
    memset(a, 0, sizeof *a);
}

/* ---- windows ---- */

static example_t *add_row(examples_t *e)
{
    if (e->n == e->room) {
        int64_t room = e->room ? 2 * e->room : 1024;
        example_t *more = realloc(e->row, (size_t)room * sizeof *more);
        if (!more) return NULL;
        e->row = more;
        e->room = room;
    }
    e->row[e->n] = (example_t) { 0 };
    return &e->row[e->n++];
}

static bool any_class(const uint8_t *class, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (class[i] != ANNOTATION_NONE) return true;
    return false;
}

int examples_window(examples_t *e, const fasta_t *ref, int contig, int64_t beg, int64_t end, cad_error_t *err)
{
    example_t *x = add_row(e);
    if (!x) return cad_out_of_memory(err);
    x->len = end - beg;
    x->tokens = malloc((size_t)x->len + 1);
    if (!x->tokens) return cad_out_of_memory(err);
    e->tokens += x->len;
    e->longest = cad_max(e->longest, x->len);
    return fasta_fetch(ref, &ref->contig[contig], beg, end, (char *)x->tokens, err);
}

static int add_window(const annotation_t *a, int contig, int64_t beg, int64_t end, examples_t *e, cad_error_t *err)
{
    int rc = examples_window(e, a->ref, contig, beg, end, err);
    example_t *x;
    if (rc) return rc;
    x = &e->row[e->n - 1];
    x->class = malloc((size_t)x->len);
    if (!x->class) return cad_out_of_memory(err);
    memcpy(x->class, a->class[contig] + beg, (size_t)x->len);
    return 0;
}

int annotation_examples(const annotation_t *a, const uint8_t *part, int which, int64_t window, examples_t *e,
                        cad_error_t *err)
{
    int rc = 0;
    e->path = a->ref->path;
    for (int i = 0; i < a->ref->ncontig; i++)
        for (int64_t at = 0; at < a->ref->contig[i].length && part[i] == which && rc == 0; at += window) {
            int64_t end = cad_min(at + window, a->ref->contig[i].length);
            if (any_class(a->class[i] + at, end - at)) rc = add_window(a, i, at, end, e, err);
        }
    memcpy(e->digest, a->digest, sizeof e->digest);
    return rc;
}

/* ---- measuring ---- */

/* Returns the number of outputs of an example, each of `bin` bases. */
static int64_t units(const example_t *x, int64_t bin) { return (x->len + bin - 1) / bin; }

/* True if unit u, a base or bin, is measured. */
static bool measured(const example_t *x, int64_t u)
{
    return x->class ? x->class[u] != ANNOTATION_NONE : x->weight[u] > 0;
}

static int64_t count_measured(const examples_t *e, int64_t bin)
{
    int64_t n = 0;
    for (int64_t i = 0; i < e->n; i++)
        for (int64_t u = 0; u < units(&e->row[i], bin); u++) n += measured(&e->row[i], u);
    return n;
}

/* Copies the logits of an example's measured units, and their targets, to row *at of logits and target and on. */
static void keep_measured(const example_t *x, int64_t bin, int64_t K, const float *out, float *logits, float *target,
                          int64_t *at)
{
    for (int64_t u = 0; u < units(x, bin); u++) {
        float *y = target + *at * K;
        if (!measured(x, u)) continue;
        memcpy(logits + *at * K, out + u * K, (size_t)K * sizeof *logits);
        for (int64_t k = 0; k < K; k++) y[k] = x->class ? (float)(x->class[u] == k) : x->target[u * K + k];
        ++*at;
    }
}

/* Computes windows [i, j) and appends the measured bases or bins to logits and target, from row *at on. */
static int some_logits(const examples_t *e, cad_context_t *ctx, int64_t bin, int64_t K, int64_t i, int64_t j,
                       float *logits, float *target, int64_t *at, cad_error_t *err)
{
    int64_t all = 0, from = 0;
    float *out;
    cad_window_t *w = calloc((size_t)(j - i), sizeof *w);
    int rc;
    for (int64_t k = i; k < j; k++) all += units(&e->row[k], bin);
    out = malloc((size_t)(all * K) * sizeof *out);
    for (int64_t k = i; k < j && w && out; k++) {
        const example_t *x = &e->row[k];
        w[k - i] = (cad_window_t) {
            .tokens = x->tokens, .len = x->len, .core_end = x->len, .embedding = out + from * K
        };
        from += units(x, bin);
    }
    rc = w && out ? cad_classify_bins(ctx, w, (int)(j - i), err) : cad_out_of_memory(err);
    for (int64_t k = i; k < j && rc == 0; k++)
        keep_measured(&e->row[k], bin, K, w[k - i].embedding, logits, target, at);
    free(w);
    free(out);
    return rc;
}

int annotation_logits(const examples_t *e, cad_context_t *ctx, int64_t bin, int64_t K, int64_t batch_tokens,
                      float **logits, float **target, int64_t *n, cad_error_t *err)
{
    int64_t all = count_measured(e, bin), at = 0;
    int rc = 0;
    *n = all;
    *logits = cad_alloc((size_t)all, (size_t)K * sizeof **logits);
    *target = cad_alloc((size_t)all, (size_t)K * sizeof **target);
    if (!*logits || !*target)
        return cad_fail(err, CAD_ENOMEM, "out of memory to measure %lld bases or bins", (long long)all);
    for (int64_t i = 0, j; i < e->n && rc == 0; i = j) {
        int64_t tokens = 0;
        for (j = i; j < e->n && (j == i || tokens + e->row[j].len <= batch_tokens); j++) tokens += e->row[j].len;
        rc = some_logits(e, ctx, bin, K, i, j, *logits, *target, &at, err);
    }
    return rc;
}

typedef struct {
    double p;
    bool positive;
} ranked_t;

static int falling(const void *a, const void *b)
{
    double x = ((const ranked_t *)a)->p, y = ((const ranked_t *)b)->p;
    return (x < y) - (x > y);
}

/* Returns the mean precision of n bases in the order of falling p. */
static double average_precision(const ranked_t *r, int64_t n, int64_t positives)
{
    double sum = 0, seen = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        double here = 0;
        for (j = i; j < n && r[j].p == r[i].p; j++) here += r[j].positive;
        seen += here;
        sum += here * seen / (double)j;
    }
    return positives ? sum / (double)positives : NAN;
}

static double probability(const float *logit, int64_t K, int64_t k)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < K; i++) max = fmax(max, (double)logit[i]);
    for (int64_t i = 0; i < K; i++) sum += exp((double)logit[i] - max);
    return exp((double)logit[k] - max) / sum;
}

int annotation_metrics(class_metrics_t *m, const float *logits, const float *target, int64_t n, int64_t K, int64_t k,
                       cad_error_t *err)
{
    ranked_t *r = malloc((size_t)cad_max(n, 1) * sizeof *r);
    double *p = malloc((size_t)cad_max(n, 1) * sizeof *p), called = 0, right = 0;
    uint8_t *positive = malloc((size_t)cad_max(n, 1));
    int rc = r && p && positive ? 0 : cad_out_of_memory(err);
    *m = (class_metrics_t) { 0 };
    for (int64_t i = 0; i < n && rc == 0; i++) {
        bool is = target[i * K + k] > 0, best = true;
        for (int64_t j = 0; j < K; j++)
            best = best && (j < k ? logits[i * K + j] < logits[i * K + k] : logits[i * K + j] <= logits[i * K + k]);
        p[i] = probability(logits + i * K, K, k);
        positive[i] = is;
        r[i] = (ranked_t) { p[i], is };
        m->bases += is;
        called += best;
        right += best && is;
    }
    if (rc == 0) {
        m->precision = called > 0 ? right / called : NAN;
        m->recall = m->bases ? right / (double)m->bases : NAN;
        m->f1 = m->bases + called > 0 ? 2 * right / ((double)m->bases + called) : NAN;
        qsort(r, (size_t)n, sizeof *r, falling);
        m->auprc = average_precision(r, n, m->bases);
        rc = metric_auroc(p, positive, n, &m->auroc);
    }
    free(r);
    free(p);
    free(positive);
    return rc;
}
