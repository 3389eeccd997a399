/* source_dependence.c - the source of caduceus depend: one region, read once as it is and once for each change of a
 * base. Nothing is masked.
 *
 * e[i][j] is the largest change, over the three changes of base i and the four nucleotides, of the log odds of base j
 * (da Silva et al. 2024). An item of the pipeline is a row of the matrix; the first item has no row, but the window
 * without changes, with which the others are compared. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <math.h>

#include "io/shard.h"
#include "stream/dependence.h"
#include "stream/influence.h"

#define LOG2_E 1.4426950408889634

typedef struct row_t { /* an item: row i of the matrix */
    item_t item;       /* must be the first member, as in all pipeline items */
    int64_t i;         /* -1: the window without changes */
    float *e;          // (n)
} row_t;

static int64_t bases_of(const dependence_t *d) { return d->at.end - d->at.beg; }
static bool is_scored(const dependence_t *d, int64_t i) { return is_base(d->letter[i]); }

/* ---- results ---- */

static void keep_odds(dependence_t *d, const job_t *j)
{
    for (int64_t t = 0; t < bases_of(d); t++)
        for (int b = 0; b < 4; b++) d->odds[4 * t + b] = log_odds(j->logp + 4 * t, b);
}

static void add_change(const dependence_t *d, row_t *r, const job_t *j)
{
    for (int64_t t = 0; t < bases_of(d); t++)
        for (int b = 0; b < 4 && t != r->i && is_scored(d, t); b++) {
            double change = fabs(log_odds(j->logp + 4 * t, b) - d->odds[4 * t + b]) * LOG2_E;
            r->e[t] = fmaxf(r->e[t], (float)change);
        }
}

static int take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    const stream_t *s = arg;
    row_t *r = (row_t *)it;
    (void)err;
    if (r->i < 0) keep_odds(s->state, j);
    else add_change(s->state, r, j);
    return 0;
}

/* ---- files ---- */

static int begin_text(stream_t *s, dependence_file_t *f, cad_error_t *err)
{
    dependence_t *d = s->state;
    text_clear(&d->text);
    provenance_table(s->provenance, s->set->no_version, "#chrom\tstart\tend\tref", &d->text);
    for (int64_t p = d->at.beg; p < d->at.end; p++) text_printf(&d->text, "\t%lld", (long long)p + 1);
    text_puts(&d->text, "\n");
    return text_write(f->out, &d->text, err);
}

static int begin_files(stream_t *s, cad_error_t *err)
{
    dependence_t *d = s->state;
    int rc = 0;
    for (int k = 0; k < d->nfile && rc == 0; k++) {
        dependence_file_t *f = &d->file[k];
        f->npy.out = f->out;
        if (f->out && f->format == DEPENDENCE_TEXT) rc = begin_text(s, f, err);
        if (f->out && f->format == DEPENDENCE_MATRIX) rc = npy_begin(&f->npy, bases_of(d), err);
    }
    return rc;
}

static int write_text(dependence_t *d, const row_t *r, dependence_file_t *f, cad_error_t *err)
{
    long long at = (long long)(d->at.beg + r->i);
    text_clear(&d->text);
    text_printf(&d->text, "%s\t%lld\t%lld\t%c", d->contig->name, at, at + 1, d->letter[r->i]);
    table_numbers(r->e, bases_of(d), &d->text);
    text_puts(&d->text, "\n");
    return text_write(f->out, &d->text, err);
}

static int write_row(dependence_t *d, const row_t *r, cad_error_t *err)
{
    size_t n = (size_t)bases_of(d);
    int rc = 0;
    if (d->keep) memcpy(d->e + (size_t)r->i * n, r->e, n * sizeof *r->e);
    for (int k = 0; k < d->nfile && rc == 0; k++) {
        dependence_file_t *f = &d->file[k];
        if (f->format == DEPENDENCE_TEXT) rc = write_text(d, r, f, err);
        if (f->format == DEPENDENCE_MATRIX) rc = npy_write(&f->npy, r->e, 1, err);
    }
    return rc;
}

static int sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    const row_t *r = (const row_t *)it;
    if (r->i < 0) return 0;
    s->rows++;
    return s->pipe.ctx ? write_row(s->state, r, err) : 0;
}

static void drop(void *arg, item_t *it)
{
    (void)arg;
    free(((row_t *)it)->e);
    free(it);
}

static int finish_file(const stream_t *s, dependence_file_t *f, cad_error_t *err)
{
    int rc = f->format == DEPENDENCE_MATRIX ? npy_finish(&f->npy, err) : 0;
    if (rc == 0) rc = output_sync(f->out, err);
    return rc == 0 && f->json ? part_write(s->provenance, f->json, f->out, err) : rc;
}

int dependence_close(stream_t *s, cad_error_t *err)
{
    dependence_t *d = s->state;
    output_t **all[2 * DEPENDENCE_FILES];
    int rc = 0, n = 0;
    for (int k = 0; k < d->nfile && rc == 0; k++) {
        rc = finish_file(s, &d->file[k], err);
        all[n++] = &d->file[k].out;
        all[n++] = &d->file[k].json;
    }
    return rc ? rc : outputs_close(all, n, err);
}

/* ---- windows ---- */

static row_t *new_row(const dependence_t *d, int64_t i)
{
    size_t n = (size_t)bases_of(d);
    row_t *r = calloc(1, sizeof *r);
    if (r) r->e = malloc(n * sizeof *r->e);
    if (!r || !r->e) {
        free(r);
        return NULL;
    }
    r->i = i;
    r->item.bytes = (int64_t)(sizeof *r + n * sizeof *r->e);
    for (size_t t = 0; t < n; t++) r->e[t] = i >= 0 && is_scored(d, i) && is_scored(d, (int64_t)t) ? 0 : NAN;
    return r;
}

/* Puts the window d->seq as it is now. */
static int put_window(stream_t *s, cad_error_t *err)
{
    dependence_t *d = s->state;
    letters_t letters = { .seq = d->seq, .window = d->window, .core = d->at };
    job_t j = { .mask = CAD_MASK_NONE, .scored = window_relative(d->at, d->window) };
    int rc = window_encode(&s->cutter.encoding, &letters, &j, err);
    if (rc == 0) return pipeline_job(&s->pipe, j, err);
    job_free(&j);
    return rc;
}

static int put_changes(stream_t *s, int64_t i, cad_error_t *err)
{
    dependence_t *d = s->state;
    char *at = d->seq + (d->at.beg - d->window.beg) + i, old = *at;
    int rc = 0;
    for (int b = 0; b < 4 && rc == 0 && is_scored(d, i); b++) {
        if (base_of_letter(old) == b) continue;
        *at = "ACGT"[b];
        rc = put_window(s, err);
    }
    *at = old;
    return rc;
}

static int put_row(stream_t *s, int64_t i, cad_error_t *err)
{
    row_t *r = new_row(s->state, i);
    int rc;
    if (!r) return cad_out_of_memory(err);
    pipeline_put(&s->pipe, &r->item);
    rc = i < 0 ? put_window(s, err) : put_changes(s, i, err);
    return rc ? rc : pipeline_done(&s->pipe, err);
}

/* Reads the letters of the window, and those of the region in upper case. */
static int read_letters(stream_t *s, cad_error_t *err)
{
    dependence_t *d = s->state;
    int64_t n = bases_of(d), odd = 0;
    int rc = fasta_fetch(s->ref, d->contig, d->window.beg, d->window.end, d->seq, err);
    for (int64_t i = 0; i < n && rc == 0; i++) {
        d->letter[i] = (char)toupper((unsigned char)d->seq[d->at.beg - d->window.beg + i]);
        odd += !is_base(d->letter[i]) && d->letter[i] != 'N';
    }
    window_note_odd(s->notes, odd, d->contig->name, (int)strlen(d->contig->name), d->at);
    return rc;
}

static int read_region(stream_t *s, cad_error_t *err)
{
    dependence_t *d = s->state;
    size_t n = (size_t)bases_of(d);
    int rc;
    d->seq = malloc((size_t)(d->window.end - d->window.beg) + 1);
    d->letter = calloc(n + 1, 1);
    d->odds = cad_alloc(4 * n, sizeof *d->odds);
    d->e = d->keep ? cad_alloc(n, n * sizeof *d->e) : NULL;
    if (!d->seq || !d->letter || !d->odds) return cad_out_of_memory(err);
    if (d->keep && !d->e)
        return cad_fail(err, CAD_ENOMEM, "out of memory for a map of %lld x %lld bases", (long long)n, (long long)n);
    rc = read_letters(s, err);
    if (rc == 0) rc = begin_files(s, err);
    for (d->put = -1; d->put < (int64_t)n && rc == 0; d->put++) rc = put_row(s, d->put, err);
    return rc;
}

/* ---- settings ---- */

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    (void)in;
    (void)err;
    scores_add(&set->scores, "pll");
    return 0;
}

/* Sets d->contig and d->at to the only region. */
static int find_region(stream_t *s, cad_error_t *err)
{
    dependence_t *d = s->state;
    found_t found;
    int rc = regions_find(s->only, s->ref, s->notes, &found, err);
    if (rc == 0 && found.count != 1)
        rc = cad_fail(err, CAD_EARG, "%s: %lld regions; a map is of one: choose it with -r", s->ref->path,
                      (long long)found.count);
    if (rc) return rc;
    d->contig = &s->ref->contig[found.contig];
    d->at = found.at;
    return 0;
}

static int plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    dependence_t *d = s->state;
    int64_t n, flank;
    int rc = find_region(s, err);
    if (rc) return rc;
    n = bases_of(d);
    flank = s->set->flank < 0 ? cad_max(0, cad_min(1024, (window - n) / 2)) : s->set->flank;
    if (n + 2 * flank > window)
        return cad_fail(err, CAD_EARG,
                        "%s:%lld-%lld has %lld bases%s, but a window has %lld; map a part of it, or widen --window",
                        d->contig->name, (long long)d->at.beg + 1, (long long)d->at.end, (long long)n,
                        flank ? " and its flanks" : "", (long long)window);
    d->window = (interval_t) { cad_max(0, d->at.beg - flank), cad_min(d->contig->length, d->at.end + flank) };
    *longest = d->window.end - d->window.beg;
    return 0;
}

static void describe(const stream_t *s, text_t *t)
{
    const dependence_t *d = s->state;
    text_printf(t, " %s:%lld-%lld window=%lld-%lld", d->contig->name, (long long)d->at.beg + 1, (long long)d->at.end,
                (long long)d->window.beg + 1, (long long)d->window.end);
}

static double share(const stream_t *s)
{
    const dependence_t *d = s->state;
    return d->put > 0 ? (double)d->put / (double)bases_of(d) : 0;
}

static void close_dependence(stream_t *s)
{
    dependence_t *d = s->state;
    for (int k = 0; k < d->nfile; k++) {
        output_abort(d->file[k].out);
        output_abort(d->file[k].json);
    }
    free(d->letter);
    free(d->seq);
    free(d->odds);
    free(d->e);
    text_free(&d->text);
}

const source_t SOURCE_DEPENDENCE = {
    .holds = "a region",
    .counts = "bases",
    .needs = NEEDS_BASES,
    .size = sizeof(dependence_t),
    .check = check,
    .plan = plan,
    .describe = describe,
    .read = read_region,
    .take = take,
    .sink = sink,
    .drop = drop,
    .share = share,
    .close = close_dependence,
};
