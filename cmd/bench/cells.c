/* cells.c - measures the cells of bench one after another, in several rounds. A cell is a combination of model, device,
 * precision, window, batch and threads. SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "io/foundation.h"
#include "bench/cells.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define LEAST 0.1 /* minimum duration of a measurement, in seconds */
#define WARM 2048 /* maximum number of tokens in a window of the warm-up */
#define SEED 7    /* seed of the random sequences */

/* ---- memory of this process, as the kernel reports it ---- */

/* Returns the bytes that /proc/self/status gives for a key such as "VmRSS:", or -1 if there is no such line. */
static int64_t resident(const char *key)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long long kb = -1;
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), "%lld", &kb) != 1) kb = -1;
    if (f) fclose(f);
    return kb < 0 ? -1 : (int64_t)kb * 1024;
}

/* Resets the peak of resident memory. Returns the current resident bytes, or -1 if the system does not support this. */
static int64_t restart_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool done;
#ifdef __GLIBC__
    malloc_trim(0); /* returns the memory that earlier cells freed to the system */
#endif
    done = fd >= 0 && write(fd, "5", 1) == 1;
    if (fd >= 0) close(fd);
    return done ? resident("VmRSS:") : -1;
}

/* ---- measuring one cell in one round ---- */

typedef struct {
    cad_context_t *ctx;
    uint8_t *tokens;  // (window)
    float *embedding; // (D), shared by all windows
    cad_window_t *w;  // (batch)
} setting_t;

static void close_setting(setting_t *s)
{
    cad_context_close(s->ctx);
    free(s->tokens);
    free(s->embedding);
    free(s->w);
}

static int open_context(bench_t *b, const cell_t *c, int64_t max_len, cad_context_t **ctx, cad_error_t *err)
{
    options_t o = b->a->o;
    o.precision = c->wanted;
    o.threads = c->threads;
    o.quiet = o.quiet || b->told;
    b->told = true;
    return options_open_context(&o, c->model->m, max_len, ctx, err);
}

static int open_setting(bench_t *b, const cell_t *c, setting_t *s, cad_error_t *err)
{
    memset(s, 0, sizeof *s);
    s->tokens = malloc((size_t)c->window);
    s->embedding = calloc((size_t)cad_model_number(c->model->m, CAD_D_MODEL), sizeof *s->embedding);
    s->w = calloc((size_t)c->batch, sizeof *s->w);
    if (!s->tokens || !s->embedding || !s->w)
        return cad_fail(err, CAD_ENOMEM, "out of memory for %lld windows", (long long)c->batch);
    cad_random_bases(c->model->m, SEED, c->window, s->tokens);
    /* all windows have the same tokens and write to the same result array, since only the time is used */
    for (int64_t i = 0; i < c->batch; i++)
        s->w[i] = (cad_window_t) {
            .tokens = s->tokens, .len = c->window, .core_end = c->window, .embedding = s->embedding
        };
    return open_context(b, c, c->window, &s->ctx, err);
}

static int compute(const cell_t *c, setting_t *s, cad_error_t *err)
{
    return cad_embed(s->ctx, s->w, (int)c->batch, CAD_POOL_MEAN, err);
}

/* Runs once without measuring, so that memory pages are touched and the processor raises its clock rate. */
static int warm_up(const cell_t *c, setting_t *s, cad_error_t *err)
{
    cad_window_t w[16];
    int n = (int)cad_min(cad_min(c->batch, 2 * c->threads), 16);
    for (int i = 0; i < n; i++) {
        w[i] = s->w[i];
        w[i].len = w[i].core_end = cad_min(c->window, WARM);
    }
    return cad_embed(s->ctx, w, n, CAD_POOL_MEAN, err);
}

static int measure_speed(cell_t *c, setting_t *s, int64_t round, cad_error_t *err)
{
    int64_t calls = 0;
    double start = cad_seconds(), spent = 0;
    int rc = 0;
    for (; rc == 0 && spent < LEAST; calls++) {
        rc = compute(c, s, err);
        spent = cad_seconds() - start;
    }
    c->rate[round] = (double)(calls * c->batch * c->window) / spent;
    return rc;
}

static int measure_operations(cell_t *c, setting_t *s, cad_error_t *err)
{
    double spent[CAD_NOP];
    cad_meter_t *meter;
    int rc = cad_meter_open(&meter, s->ctx, err);
    if (rc == 0) rc = compute(c, s, err);
    if (rc == 0) {
        cad_meter_read(meter, spent);
        for (int i = 0; i < CAD_NOP; i++) c->spent[i] += spent[i];
        c->metered += 2.0 * (double)(c->batch * c->window * cad_model_number(c->model->m, CAD_N_LAYER));
    }
    cad_meter_close(meter);
    return rc;
}

static int measure_cell(bench_t *b, cell_t *c, int64_t round, cad_error_t *err)
{
    setting_t s;
    int64_t before = restart_peak();
    int rc = open_setting(b, c, &s, err);
    if (rc == 0) rc = warm_up(c, &s, err);
    if (rc == 0) rc = measure_speed(c, &s, round, err);
    if (rc == 0) {
        snprintf(c->device, sizeof c->device, "%s", cad_context_device(s.ctx));
        snprintf(c->precision, sizeof c->precision, "%s", cad_context_precision(s.ctx));
        c->reserved = (int64_t)cad_context_bytes(s.ctx);
        if (before >= 0) c->touched = cad_max(c->touched, resident("VmHWM:") - before);
        if (!b->a->brief) rc = measure_operations(c, &s, err);
    }
    close_setting(&s);
    return rc;
}

/* ---- numerical errors: one for each model, device and precision; none if layers pool rows ---- */

static int open_reference(subject_t *s, int64_t len, cad_error_t *err)
{
    bool classifier = cad_model_number(s->m, CAD_LABELS) > 0;
    if (cad_model_number(s->m, CAD_STRIDE) > 1) return 0;
    s->tokens = malloc((size_t)len);
    s->hidden = cad_alloc((size_t)(len * cad_model_number(s->m, CAD_HIDDEN_WIDTH)), sizeof *s->hidden);
    s->logits = classifier ? NULL : cad_alloc((size_t)(len * cad_model_number(s->m, CAD_VOCAB)), sizeof *s->logits);
    if (!s->tokens || !s->hidden || !(s->logits || classifier)) return cad_out_of_memory(err);
    cad_random_bases(s->m, SEED, len, s->tokens);
    return cad_reference_forward(s->m, s->tokens, len, s->hidden, s->logits, err);
}

static int compare(bench_t *b, cell_t *c, float *hidden, float *logits, cad_error_t *err)
{
    const subject_t *s = c->model;
    int64_t len = b->a->error_window;
    cad_context_t *ctx;
    int rc = open_context(b, c, len, &ctx, err);
    if (rc) return rc;
    rc = cad_forward(ctx, s->tokens, len, hidden, s->logits ? logits : NULL, err);
    if (rc == 0)
        c->hidden_error = cad_relative_error(hidden, s->hidden, len * cad_model_number(s->m, CAD_HIDDEN_WIDTH));
    if (rc == 0 && s->logits)
        c->logits_error = cad_relative_error(logits, s->logits, len * cad_model_number(s->m, CAD_VOCAB));
    cad_context_close(ctx);
    return rc;
}

/* Sets the cell's numerical error (the difference from double precision): copies it from an earlier cell with the same
 * model and precision, or else measures it. */
static int measure_error(bench_t *b, cell_t *c, cad_error_t *err)
{
    int64_t len = b->a->error_window;
    float *hidden, *logits;
    int rc;
    if (!c->model->tokens) return 0;
    for (const cell_t *d = b->cell; d < c; d++)
        if (d->model == c->model && d->wanted == c->wanted && !*d->refused) {
            c->hidden_error = d->hidden_error;
            c->logits_error = d->logits_error;
            return 0;
        }
    hidden = cad_alloc((size_t)(len * cad_model_number(c->model->m, CAD_HIDDEN_WIDTH)), sizeof *hidden);
    logits = cad_alloc((size_t)(len * cad_model_number(c->model->m, CAD_VOCAB)), sizeof *logits);
    rc = hidden && logits ? compare(b, c, hidden, logits, err) : cad_out_of_memory(err);
    free(hidden);
    free(logits);
    return rc;
}

/* ---- rounds ---- */

/* Returns the index in b->rates of the peak rates for a cell: the rates that the user gave, or else the rates measured
 * for the cell's number of threads and precision. Measures them and adds an entry if there is none yet. Returns -1 if
 * the cell has no peak rates. */
static int find_rates(bench_t *b, cell_t *c)
{
    bool given = b->a->peaks_given;
    if (b->a->brief || (!given && strncmp(c->device, "cpu", 3))) return -1;
    for (int i = 0; i < b->nrates; i++)
        if (given || (b->rates[i].threads == c->threads && !strcmp(b->rates[i].precision, c->precision))) return i;
    b->rates[b->nrates] = (rates_t) { .threads = c->threads, .precision = c->precision, .rate = b->a->peaks };
    return b->nrates++;
}

static int measure_rates(bench_t *b, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < b->ncell; i++)
        if (!*b->cell[i].refused) {
            int at = find_rates(b, &b->cell[i]);
            b->cell[i].peaks = at < 0 ? NULL : &b->rates[at];
        }
    for (int i = 0; i < b->nrates && rc == 0 && !b->a->peaks_given; i++)
        rc = cad_peaks_measure(&b->rates[i].rate, b->rates[i].threads, b->rates[i].precision, err);
    return rc;
}

static void look(const void *bench, progress_state_t *now)
{
    const bench_t *b = bench;
    now->items = b->measured;
    now->share = (double)b->measured / (double)(b->a->rounds * b->ncell);
}

static void refuse(cell_t *c, const cad_error_t *err) { snprintf(c->refused, sizeof c->refused, "%s", err->text); }

static int measure_round(bench_t *b, int64_t round, cad_error_t *err)
{
    for (int i = 0; i < b->ncell; i++) {
        cell_t *c = &b->cell[i];
        cad_error_t why;
        if (*c->refused) continue;
        progress_tick(&b->progress);
        if (measure_cell(b, c, round, &why) || (round == 0 && b->a->error_window && measure_error(b, c, &why)))
            refuse(c, &why);
        b->measured = round * b->ncell + i + 1;
    }
    return measure_rates(b, err);
}

int cells_measure(bench_t *b, cad_error_t *err)
{
    int rc = 0;
    b->rates = calloc((size_t)b->ncell, sizeof *b->rates);
    if (!b->rates) return cad_out_of_memory(err);
    for (int i = 0; i < b->nmodel && rc == 0 && b->a->error_window; i++)
        rc = open_reference(&b->model[i], b->a->error_window, err);
    progress_open(&b->progress, "bench", b->a->o.progress, b->a->o.quiet, NULL);
    progress_begin(&b->progress, "measurements", look, b);
    for (int64_t round = 0; round < b->a->rounds && rc == 0; round++) rc = measure_round(b, round, err);
    progress_end(&b->progress, rc == 0);
    return rc;
}
