/* eqtl_runs.c - trains and measures the SVMs of caduceus protocol eqtl. Every run is a task of its own for the threads;
 * its random choices depend on its seed and bucket alone. SPDX-License-Identifier: MIT */
#include <math.h>

#include "learn/ranking.h"
#include "protocol/eqtl.h"
#include "protocol/rbf.h"

#define HELD 0.1 /* fraction of the variants whose rows validate */

const char *const BUCKET_NAME[BUCKETS] = { "0-30k", "30-100k", ">100k" };

static int bucket_of(double distance) { return distance <= 30000 ? 0 : distance <= 100000 ? 1 : 2; }

/* The rows of one run, and what it computes. */
typedef struct {
    const eqtl_t *e;
    eqtl_run_t *run;
    const eqtl_row_t **train, **valid, **test;
    int64_t ntrain, nvalid, ntest;
    int64_t width;       /* features of a row, its tissue included */
    double *mean, *over; // (width) of the training rows; over: one divided by the standard deviation
    double *x;           // (ntrain,width) scaled training rows
    double *one;         // (width)
    bool *positive;      // (ntrain)
    scored_t *scored;    // (max(nvalid,ntest))
    double *decision;    // (ntest)
    rbf_t *svm;
} fit_t;

typedef struct {
    eqtl_t *e;
    cad_error_t *err; // (threads)
    int *rc;          // (threads)
} shared_t;

/* ---- rows ---- */

static bool has_feature(const eqtl_t *e, const eqtl_row_t *r) { return !isnan(e->feature[r->variant * e->width]); }

static int64_t training_rows(const fit_t *w, const eqtl_row_t **to)
{
    const eqtl_rows_t *rows = &w->e->rows;
    int64_t n = 0;
    for (int64_t i = 0; i < rows->n; i++) {
        const eqtl_row_t *r = &rows->row[i];
        if (!r->test && bucket_of(r->distance) == w->run->bucket && has_feature(w->e, r)) to[n++] = r;
    }
    return n;
}

/* Moves the rows of a tenth of the variants from `train` to `valid`. All rows of a variant go the same way. */
static void hold_out(fit_t *w)
{
    uint64_t place = cad_random_name("eqtl validation");
    int64_t n = w->ntrain;
    w->ntrain = 0;
    for (int64_t i = 0; i < n; i++) {
        const eqtl_row_t *r = w->train[i];
        uint64_t draw = cad_random((uint64_t)w->run->seed, place, (uint64_t)r->variant, 0);
        if (cad_unit(draw) < HELD) w->valid[w->nvalid++] = r;
        else w->train[w->ntrain++] = r;
    }
}

/* Draws the rows to train on: `most` of them. Where there are fewer, all are used; as published, `most` are drawn with
 * replacement. train: has room for `most` rows more, where the drawn rows come. */
static void draw_rows(fit_t *w, int64_t most)
{
    uint64_t place = cad_random_name("eqtl rows"), seed = (uint64_t)w->run->seed, bucket = (uint64_t)w->run->bucket;
    int64_t n = w->ntrain;
    if (n >= most)
        for (int64_t i = 0; i < most; i++) {
            uint64_t draw = cad_random(seed, place, bucket, (uint64_t)i);
            int64_t j = i + (int64_t)cad_below(draw, (uint64_t)(n - i));
            const eqtl_row_t *r = w->train[i];
            w->train[i] = w->train[j];
            w->train[j] = r;
        }
    else if (w->run->published && n) {
        for (int64_t i = 0; i < most; i++)
            w->train[n + i] = w->train[cad_below(cad_random(seed, place, bucket, (uint64_t)i), (uint64_t)n)];
        memmove(w->train, w->train + n, (size_t)most * sizeof *w->train);
    }
    w->ntrain = n < most && !w->run->published ? n : n ? most : 0;
}

static int choose_rows(fit_t *w, cad_error_t *err)
{
    const eqtl_rows_t *rows = &w->e->rows;
    size_t room = (size_t)rows->n + (size_t)w->e->a->rows;
    w->train = cad_alloc(room, sizeof *w->train);
    w->valid = cad_alloc((size_t)rows->n, sizeof *w->valid);
    w->test = cad_alloc((size_t)rows->n, sizeof *w->test);
    if (!w->train || !w->valid || !w->test) return cad_out_of_memory(err);
    w->ntrain = training_rows(w, w->train);
    for (int64_t i = 0; i < rows->n; i++) {
        const eqtl_row_t *r = &rows->row[i];
        if (r->test && bucket_of(r->distance) == w->run->bucket && has_feature(w->e, r)) w->test[w->ntest++] = r;
    }
    if (!w->run->published) hold_out(w);
    draw_rows(w, w->e->a->rows);
    w->run->trained = w->ntrain;
    w->run->validated = w->nvalid;
    return 0;
}

/* ---- features ---- */

/* Sets x (width) to the features of a row, unscaled: embeddings of REF and ALT, and the number of its tissue. */
static void raw_row(const fit_t *w, const eqtl_row_t *r, double *x)
{
    const float *f = w->e->feature + r->variant * w->e->width;
    for (int64_t j = 0; j < w->e->width; j++) x[j] = (double)f[j];
    x[w->e->width] = r->tissue;
}

static void scale_row(const fit_t *w, double *x)
{
    for (int64_t j = 0; j < w->width; j++) x[j] = (x[j] - w->mean[j]) * w->over[j];
}

/* Standardises the training rows: mean 0 and standard deviation 1 for each feature; a constant one becomes 0. */
static void scale(fit_t *w)
{
    double n = (double)w->ntrain;
    for (int64_t i = 0; i < w->ntrain; i++) {
        raw_row(w, w->train[i], w->x + i * w->width);
        w->positive[i] = w->train[i]->positive;
    }
    for (int64_t j = 0; j < w->width; j++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < w->ntrain; i++) mean += w->x[i * w->width + j] / n;
        for (int64_t i = 0; i < w->ntrain; i++)
            square += (w->x[i * w->width + j] - mean) * (w->x[i * w->width + j] - mean) / n;
        w->mean[j] = mean;
        w->over[j] = square > 1e-20 * mean * mean ? 1 / sqrt(square) : 1;
    }
    for (int64_t i = 0; i < w->ntrain; i++) scale_row(w, w->x + i * w->width);
}

/* Returns 1 / (features x variance of all scaled numbers), scikit-learn's gamma="scale". */
static double gamma_of(const fit_t *w)
{
    int64_t n = w->ntrain * w->width;
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++) mean += w->x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) square += (w->x[i] - mean) * (w->x[i] - mean) / (double)n;
    return square > 0 ? 1 / ((double)w->width * square) : 1;
}

/* ---- one run ---- */

static int make_room(fit_t *w, cad_error_t *err)
{
    int64_t most = cad_max(cad_max(w->nvalid, w->ntest), 1);
    w->width = w->e->width + 1;
    w->mean = cad_alloc((size_t)w->width * 3, sizeof *w->mean);
    w->x = cad_alloc((size_t)cad_max(w->ntrain, 1) * (size_t)w->width, sizeof *w->x);
    w->positive = cad_alloc((size_t)cad_max(w->ntrain, 1), sizeof *w->positive);
    w->scored = cad_alloc((size_t)most, sizeof *w->scored);
    w->decision = cad_alloc((size_t)most, sizeof *w->decision);
    if (!w->mean || !w->x || !w->positive || !w->scored || !w->decision) return cad_out_of_memory(err);
    w->over = w->mean + w->width;
    w->one = w->over + w->width;
    return 0;
}

/* Computes the decision values of n rows, and returns their AUROC. */
static double measure(fit_t *w, const eqtl_row_t *const *row, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        raw_row(w, row[i], w->one);
        scale_row(w, w->one);
        w->decision[i] = rbf_decide(w->svm, w->one);
        w->scored[i] = (scored_t) { w->decision[i], row[i]->positive };
    }
    ranking_sort(w->scored, n);
    return ranking_areas(w->scored, NULL, n).auroc;
}

/* Returns the AUROC of the classes that the last decision values predict. */
static double measure_hard(fit_t *w, const eqtl_row_t *const *row, int64_t n)
{
    for (int64_t i = 0; i < n; i++) w->scored[i] = (scored_t) { w->decision[i] > 0, row[i]->positive };
    ranking_sort(w->scored, n);
    return ranking_areas(w->scored, NULL, n).auroc;
}

static int write_decisions(const fit_t *w, cad_error_t *err)
{
    const eqtl_run_t *run = w->run;
    const eqtl_rows_t *rows = &w->e->rows;
    char *folder = cad_path_join(w->e->a->output, "decisions"), name[100];
    text_t t = { 0 };
    int rc = folder ? cad_folder_make(folder, NULL, err) : cad_out_of_memory(err);
    text_puts(&t, "#chrom\tpos\tref\talt\ttissue\tlabel\tdecision\n");
    for (int64_t i = 0; i < w->ntest; i++) {
        const eqtl_row_t *r = w->test[i];
        const eqtl_variant_t *v = &rows->variant[r->variant];
        text_printf(&t, "%s\t%lld\t%s\t%s\t%d\t%.9g\n", v->contig, (long long)v->pos, v->alleles,
                    rows->tissue[r->tissue], r->positive, w->decision[i]);
    }
    snprintf(name, sizeof name, "%d.C%.9g.seed%lld%s.tsv", run->bucket + 1, run->cost, (long long)run->seed,
             run->published ? ".published" : "");
    if (rc == 0) rc = protocol_file(folder, name, &t, err);
    text_free(&t);
    free(folder);
    return rc;
}

static int train(fit_t *w, cad_error_t *err)
{
    eqtl_run_t *run = w->run;
    int64_t yes = 0;
    int rc;
    for (int64_t i = 0; i < w->ntrain; i++) yes += w->train[i]->positive;
    if (yes == 0 || yes == w->ntrain) return 0; /* one class: not defined */
    scale(w);
    rc = rbf_fit(&w->svm, w->x, w->positive, w->ntrain, w->width, run->cost, gamma_of(w), err);
    if (rc) return rc;
    run->vectors = rbf_vectors(w->svm);
    if (!run->published) run->valid = measure(w, w->valid, w->nvalid);
    run->test = measure(w, w->test, w->ntest);
    run->hard = measure_hard(w, w->test, w->ntest);
    return w->e->a->keep ? write_decisions(w, err) : 0;
}

static int do_run(const eqtl_t *e, eqtl_run_t *run, cad_error_t *err)
{
    fit_t w = { .e = e, .run = run };
    int rc = choose_rows(&w, err);
    run->valid = run->test = run->hard = NAN;
    if (rc == 0) rc = make_room(&w, err);
    if (rc == 0) rc = train(&w, err);
    rbf_free(w.svm);
    free(w.train);
    free(w.valid);
    free(w.test);
    free(w.mean);
    free(w.x);
    free(w.positive);
    free(w.scored);
    free(w.decision);
    return rc;
}

/* ---- all runs ---- */

static void task(void *arg, int64_t i, int worker)
{
    shared_t *s = arg;
    if (s->rc[worker] == 0) s->rc[worker] = do_run(s->e, &s->e->run[i], &s->err[worker]);
}

static int list_runs(eqtl_t *e, cad_error_t *err)
{
    const protocol_args_t *a = e->a;
    e->run = cad_alloc((size_t)a->seeds * 2 * BUCKETS * CHOICES, sizeof *e->run);
    if (!e->run) return cad_out_of_memory(err);
    for (int how = 0; how <= a->published; how++)
        for (int bucket = 0; bucket < BUCKETS; bucket++)
            for (int c = 0; c < CHOICES && a->cost[c] > 0; c++)
                for (int64_t seed = 1; seed <= a->seeds; seed++)
                    e->run[e->runs++] = (eqtl_run_t) {
                        .bucket = bucket, .published = how, .cost = a->cost[c], .seed = seed
                    };
    return 0;
}

static void count_rows(eqtl_t *e)
{
    for (int64_t i = 0; i < e->rows.n; i++) {
        const eqtl_row_t *r = &e->rows.row[i];
        int bucket = bucket_of(r->distance);
        bool there = has_feature(e, r);
        e->unscored += !there;
        e->training[bucket] += there && !r->test;
        e->testing[bucket] += there && r->test;
        e->positive[bucket] += there && r->test && r->positive;
    }
}

int eqtl_runs(eqtl_t *e, cad_error_t *err)
{
    int threads = (int)cad_max(e->a->o.threads, 1), rc = list_runs(e, err);
    shared_t s = { .e = e, .err = calloc((size_t)threads, sizeof *s.err), .rc = calloc((size_t)threads, sizeof *s.rc) };
    cad_team_t *team = NULL;
    count_rows(e);
    if (rc == 0 && (!s.err || !s.rc)) rc = cad_out_of_memory(err);
    if (rc == 0 && !e->a->o.quiet)
        cmd_say("protocol", "training and measuring %lld support vector machines", (long long)e->runs);
    if (rc == 0) rc = cad_team_open(&team, threads, err);
    if (rc == 0) cad_team_run(team, e->runs, task, &s);
    for (int i = 0; i < threads && rc == 0; i++) {
        rc = s.rc[i];
        if (rc) *err = s.err[i];
    }
    cad_team_close(team);
    free(s.err);
    free(s.rc);
    return rc;
}
