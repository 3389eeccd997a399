/* effects.c - a VCF record's alleles as windows, and their results as INFO fields.
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "stream/effects.h"

static int out_of_memory(cad_error_t *err) { return cad_fail(err, CAD_ENOMEM, "out of memory"); }

/* "file:line", or the file alone when an index was used. */
const char *variant_place(const variants_t *v, char buf[4200])
{
    if (v->line) snprintf(buf, 4200, "%s:%lld", v->in->path, (long long)v->line);
    else snprintf(buf, 4200, "%s", v->in->path);
    return buf;
}

/* ---- records come and go by a list of spare ones ---- */

variant_t *variant_new(variants_t *v)
{
    variant_t *d = v->spare;
    if (d) {
        v->spare = d->spare;
        return d;
    }
    d = calloc(1, sizeof *d);
    if (d) d->rec = bcf_init();
    if (d && d->rec) return d;
    free(d);
    return NULL;
}

void site_leave(site_t *s)
{
    if (!s || --s->users) return;
    free(s->embedding);
    free(s);
}

void variant_drop(variants_t *v, variant_t *d)
{
    for (int i = 0; i < d->nalt; i++) {
        result_t *r = &d->alt[i];
        kstring_t room = r->allele.alt;
        site_leave(r->site);
        free(r->embedding[0]);
        free(r->embedding[1]);
        memset(r, 0, sizeof *r);
        r->allele.alt = room;
    }
    d->nalt = 0;
    d->spare = v->spare;
    v->spare = d;
}

void variants_drop(void *arg, item_t *it) { variant_drop(arg, (variant_t *)it); }

/* ---- results ---- */

static int keep_embedding(const variants_t *v, const job_t *j, float **out, cad_error_t *err)
{
    size_t D = (size_t)v->width;
    *out = malloc(D * sizeof **out);
    if (!*out) return out_of_memory(err);
    memcpy(*out, j->embedding, D * sizeof **out);
    return 0;
}

/* The shorter haplotype's outermost bases count half if the difference is odd. */
static double compared_sum(const variants_t *v, const allele_t *a, int h, const job_t *j)
{
    double sum = 0;
    for (int64_t t = j->scored.beg; t < j->scored.end; t++) {
        bool half = a->half && h == a->shorter && (t == j->scored.beg || t == j->scored.end - 1);
        int b = v->bases.of[j->tokens[t]];
        if (b == NO_BASE) continue; /* not in a segment that was checked */
        sum += (half ? 0.5 : 1) * (double)j->logp[4 * (t - j->scored.beg) + b];
    }
    return sum;
}

/* A job's id is 2 x allele + haplotype. */
int variants_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    variants_t *v = arg;
    result_t *r = &((variant_t *)it)->alt[j->id / 2];
    int h = (int)(j->id % 2), rc = 0;
    bool at_site = r->allele.kind == ALLELE_SNV && h == 0;
    if (j->embedding) rc = keep_embedding(v, j, at_site ? &r->site->embedding : &r->embedding[h], err);
    if (j->logp && at_site) memcpy(r->site->logp, j->logp, sizeof r->site->logp);
    else if (j->logp) r->sum[h] = compared_sum(v, &r->allele, h, j);
    return rc;
}

static double llr(const result_t *r, char ref)
{
    const float *logp = r->site->logp;
    int a = base_of_letter(ref), b = base_of_letter(r->allele.alt.s[0]);
    return a == NO_BASE || b == NO_BASE ? (double)NAN : (double)logp[b] - (double)logp[a];
}

static void distances(const variants_t *v, const result_t *r, double *dist, double *cosine)
{
    const float *x = r->site ? r->site->embedding : r->embedding[0], *y = r->embedding[1];
    double d = 0, xy = 0, xx = 0, yy = 0;
    *dist = *cosine = NAN;
    if (!x || !y) return; /* no base to pool */
    for (int64_t i = 0, D = v->width; i < D; i++) {
        double a = (double)x[i], b = (double)y[i];
        d += (a - b) * (a - b);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    *dist = sqrt(d);
    *cosine = 1 - xy / (sqrt(xx) * sqrt(yy));
}

/* NaN where a field does not apply. */
static double field_value(const variants_t *v, const variant_t *d, int alt, info_t f)
{
    const result_t *r = &d->alt[alt];
    bool snv = r->allele.kind == ALLELE_SNV;
    double dist, cosine;
    if (!r->scored) return NAN;
    switch (f) {
    case FIELD_LLR: return snv ? llr(r, d->rec->d.allele[0][r->allele.ref.beg - d->rec->pos]) : NAN;
    case FIELD_DPLL: return snv ? NAN : r->sum[1] - r->sum[0];
    case FIELD_N: return (double)r->allele.n;
    default: distances(v, r, &dist, &cosine); return f == FIELD_DIST ? dist : cosine;
    }
}

/* ---- INFO ---- */

static int update_failed(const variants_t *v, info_t f, cad_error_t *err)
{
    return cad_fail(err, CAD_ENOMEM, "%s: INFO/%s cannot be set", v->in->path, v->name[f]);
}

static int put_numbers(variants_t *v, variant_t *d, info_t f, cad_error_t *err)
{
    bool any = false;
    float *x = (float *)v->values;
    int32_t *n = (int32_t *)v->values;
    int rc;
    for (int i = 0; i < d->nalt; i++) {
        double value = field_value(v, d, i, f);
        any |= !isnan(value);
        if (f == FIELD_N) n[i] = isnan(value) ? bcf_int32_missing : (int32_t)value;
        else if (isnan(value)) bcf_float_set_missing(x[i]);
        else x[i] = value == 0 ? 0 : (float)value; /* no -0 */
    }
    rc = bcf_update_info(v->header, d->rec, v->name[f], any ? v->values : NULL, any ? d->nalt : 0,
                         f == FIELD_N ? BCF_HT_INT : BCF_HT_REAL);
    return rc ? update_failed(v, f, err) : 0;
}

static int put_notes(variants_t *v, variant_t *d, cad_error_t *err)
{
    bool any = false;
    text_clear(&v->text);
    for (int i = 0; i < d->nalt; i++) {
        const char *note = d->alt[i].allele.note;
        any |= note != NULL;
        text_printf(&v->text, "%s%s", i ? "," : "", note ? note : ".");
    }
    if (v->text.failed) return out_of_memory(err);
    return bcf_update_info_string(v->header, d->rec, v->name[FIELD_NOTE], any ? v->text.s.s : NULL)
               ? update_failed(v, FIELD_NOTE, err)
               : 0;
}

static int put_info(variants_t *v, variant_t *d, cad_error_t *err)
{
    void *room = realloc(v->values, (size_t)d->nalt * sizeof(float));
    int rc = 0;
    if (!room) return out_of_memory(err);
    v->values = room;
    for (info_t f = 0; f < FIELD_NOTE && rc == 0; f++)
        if (v->o->want[f]) rc = put_numbers(v, d, f, err);
    return rc ? rc : put_notes(v, d, err);
}

/* ---- matrix ---- */

/* [REF | ALT], or ALT - REF; NaN where the allele has no embedding. */
static int put_row(variants_t *v, const result_t *r, cad_error_t *err)
{
    const float *x = r->site ? r->site->embedding : r->embedding[0], *y = r->embedding[1];
    int64_t width = v->table->npy.width, D = v->o->difference ? width : width / 2;
    float *row = v->table->row;
    bool none = !r->scored || !x || !y;
    for (int64_t i = 0; i < width; i++) row[i] = none ? NAN : v->o->difference ? y[i] - x[i] : i < D ? x[i] : y[i - D];
    return npy_write(&v->table->npy, row, 1, err);
}

/* A row and its name for each ALT. */
static int put_rows(variants_t *v, const variant_t *d, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < d->nalt && rc == 0; i++) {
        const char *note = d->alt[i].allele.note;
        text_clear(&v->text);
        text_printf(&v->text, "%s\t%lld\t%s\t%s\t%s", bcf_seqname_safe(v->header, d->rec), (long long)d->rec->pos + 1,
                    d->rec->d.allele[0], d->rec->d.allele[i + 1], note ? note : ".");
        if (v->text.failed) return out_of_memory(err);
        rc = table_pass(v->table, v->text.s.s, v->text.s.l, err);
        if (rc == 0 && v->table->npy.out) rc = put_row(v, &d->alt[i], err);
    }
    return rc;
}

int variants_sink(void *arg, item_t *it, cad_error_t *err)
{
    variants_t *v = arg;
    variant_t *d = (variant_t *)it;
    char name[300];
    int rc = v->o->matrix ? put_rows(v, d, err) : d->nalt && v->out->fp ? put_info(v, d, err) : 0;
    v->records++;
    v->alleles += d->nalt;
    v->bytes += (int64_t)(d->rec->shared.l + d->rec->indiv.l + 32);
    if (rc || !v->out->fp) return rc;
    snprintf(name, sizeof name, "%.200s:%lld", bcf_seqname_safe(v->header, d->rec), (long long)d->rec->pos + 1);
    rc = records_in_order(v->out, d->rec->rid, d->rec->pos, name, err);
    if (rc) return rc;
    errno = 0;
    return bcf_write(v->out->fp, v->header, d->rec) < 0 ? output_failed(v->out->out, err) : 0;
}

/* ---- jobs ---- */

static bool pools(const variants_t *v) { return v->o->want[FIELD_DIST] || v->o->want[FIELD_COS] || v->o->matrix; }

/* One haplotype as a window; `scored` may be empty. */
static int put_window(variants_t *v, result_t *r, int64_t id, const contig_t *c, int64_t mask, interval_t scored,
                      cad_error_t *err)
{
    const allele_t *a = &r->allele;
    int h = (int)(id % 2), rc = allele_haplotype(a, h, c, &v->view, &v->haplotype, err);
    int64_t n = (int64_t)v->haplotype.l, w = cad_min(v->o->pool_window, cad_min(a->left, a->right));
    letters_t letters = { .seq = v->haplotype.s, .window = { 0, n }, .core = { 0, n } };
    job_t j = { .id = id, .mask = mask, .scored = scored };
    if (rc == 0) rc = window_encode(&v->encoding, &letters, &j, err);
    if (rc) {
        job_free(&j);
        return rc;
    }
    if (pools(v)) j.pooled = (interval_t) { a->left - w, n - a->right + w };
    return pipeline_job(v->pipe, j, err);
}

static void leave_site(variants_t *v)
{
    site_leave(v->site);
    v->site = NULL;
}

/* A new site, or the last one if an allele before was there too. */
static int join_site(variants_t *v, result_t *r, const contig_t *c, bool *is_new, cad_error_t *err)
{
    site_t *s = v->site;
    int64_t pos = r->allele.ref.beg;
    *is_new = !s || s->contig != c || s->pos != pos;
    if (*is_new) {
        site_leave(v->site);
        v->site = s = calloc(1, sizeof *s);
        if (!s) return out_of_memory(err);
        *s = (site_t) { .users = 1, .contig = c, .pos = pos };
    }
    r->site = s;
    s->users++;
    return 0;
}

static int put_snv(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    interval_t none = { 0, 0 };
    bool is_new;
    int rc = join_site(v, r, c, &is_new, err);
    if (rc == 0 && is_new)
        rc = put_window(v, r, 2 * alt, c, CAD_MASK_EACH, v->o->want[FIELD_LLR] ? r->allele.compared[0] : none, err);
    if (rc == 0 && pools(v)) rc = put_window(v, r, 2 * alt + 1, c, CAD_MASK_EACH, none, err);
    return rc;
}

static int put_other(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    interval_t none = { 0, 0 };
    int rc = 0;
    for (int h = 0; h < 2 && rc == 0; h++)
        rc = put_window(v, r, 2 * alt + h, c, v->mask, v->o->want[FIELD_DPLL] ? r->allele.compared[h] : none, err);
    return rc;
}

static int put_allele(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    char buf[4200];
    int rc = allele_set(&r->allele, d->rec->d.allele[0], d->rec->d.allele[alt + 1], d->rec->pos, c, &v->view,
                        &v->context, err);
    if (rc) return rc;
    r->scored = r->allele.kind != ALLELE_NONE;
    v->scored += r->scored;
    if (!r->scored)
        note(v->notes, NOTE_UNSCORABLE, 1, "%s: %s:%lld %.40s>%.40s is not scored (%s)", variant_place(v, buf), c->name,
             (long long)d->rec->pos + 1, d->rec->d.allele[0], d->rec->d.allele[alt + 1], r->allele.note);
    if (r->allele.kind == ALLELE_SNV) return put_snv(v, d, alt, c, err);
    return r->scored ? put_other(v, d, alt, c, err) : 0;
}

/* ---- records ---- */

/* Neither a sequence nor worth a note: records of these alone pass untouched. */
static bool is_placeholder(const char *alt)
{
    return !strcmp(alt, ".") || !strcmp(alt, "<*>") || !strcmp(alt, "<NON_REF>");
}

static int list_alleles(variant_t *d, int *sequences, cad_error_t *err)
{
    bcf1_t *rec = d->rec;
    bool touched = false;
    *sequences = 0;
    if (bcf_unpack(rec, BCF_UN_STR)) return out_of_memory(err);
    for (int i = 1; i < rec->n_allele; i++) touched |= !is_placeholder(rec->d.allele[i]);
    if (!touched) return 0;
    if (rec->n_allele - 1 > d->room) {
        result_t *more = realloc(d->alt, (size_t)(rec->n_allele - 1) * sizeof *more);
        if (!more) return out_of_memory(err);
        memset(more + d->room, 0, (size_t)(rec->n_allele - 1 - d->room) * sizeof *more);
        d->alt = more;
        d->room = rec->n_allele - 1;
    }
    d->nalt = rec->n_allele - 1;
    for (int i = 0; i < d->nalt; i++) {
        d->alt[i].allele.note = allele_note(rec->d.allele[i + 1]);
        *sequences += d->alt[i].allele.note == NULL;
    }
    return 0;
}

static int check_place(const variants_t *v, const bcf1_t *rec, const contig_t *c, bool sequence, cad_error_t *err)
{
    char buf[4200];
    int64_t n = sequence ? (int64_t)strlen(rec->d.allele[0]) : 0;
    if (rec->pos < -1)
        return cad_fail(err, CAD_EFORMAT, "%s: POS %lld is negative", variant_place(v, buf), (long long)rec->pos + 1);
    if (rec->pos < 0 && sequence)
        return cad_fail(err, CAD_EFORMAT, "%s: POS 0 holds no bases; only symbolic alleles may be there",
                        variant_place(v, buf));
    if (c && rec->pos + n > c->length)
        return cad_fail(
            err, CAD_EFORMAT,
            "%s: POS %lld with %lld REF base(s) is past the end of %s (%lld bases in %s); is it the right reference?",
            variant_place(v, buf), (long long)rec->pos + 1, (long long)n, c->name, (long long)c->length, v->ref->path);
    return 0;
}

/* REF against the FASTA, where both have A, C, G or T: 1 = it differs, 0, or CAD_E*. */
static int check_ref(variants_t *v, const bcf1_t *rec, const contig_t *c, cad_error_t *err)
{
    const char *ref = rec->d.allele[0], *seq;
    int64_t n = (int64_t)strlen(ref);
    char buf[4200];
    int rc = view_get(&v->view, c, rec->pos, rec->pos + n, &seq, err);
    if (rc) return rc;
    for (int64_t i = 0; i < n; i++) {
        char b = (char)toupper((unsigned char)ref[i]);
        if (!is_base(b) || !is_base(seq[i]) || b == seq[i]) continue;
        if (!v->o->keep_mismatch)
            return cad_fail(
                err, CAD_EFORMAT,
                "%s: REF %.60s is %.*s in %s at %s:%lld; is it the right reference? --check-ref w keeps such records unscored",
                variant_place(v, buf), ref, (int)cad_min(n, 60), seq, v->ref->path, c->name, (long long)rec->pos + 1);
        return 1;
    }
    return 0;
}

/* The same note for all sequence alleles. */
static void note_all(variant_t *d, const char *note)
{
    for (int i = 0; i < d->nalt; i++)
        if (!d->alt[i].allele.note) d->alt[i].allele.note = note;
}

static int put_alleles(variants_t *v, variant_t *d, int sequences, cad_error_t *err)
{
    const char *name = bcf_seqname_safe(v->header, d->rec);
    const contig_t *c = fasta_find(v->ref, name);
    char hint[700], buf[4200];
    int rc = check_place(v, d->rec, c, sequences > 0, err), differs;
    if (rc || !sequences) return rc;
    if (!c) {
        if (!v->missing[0])
            snprintf(v->missing, sizeof v->missing, "contig \"%.100s\" is not in %.200s%.300s", name, v->ref->path,
                     fasta_hint(v->ref, name, hint, sizeof hint));
        note(v->notes, NOTE_NO_CONTIG, sequences, "%s: contig \"%.100s\" is not in %s%s; its records pass unscored",
             variant_place(v, buf), name, v->ref->path, fasta_hint(v->ref, name, hint, sizeof hint));
        note_all(d, "NO_CONTIG");
        return 0;
    }
    differs = check_ref(v, d->rec, c, err);
    if (differs < 0) return differs;
    if (differs) {
        note(v->notes, NOTE_REF_MISMATCH, sequences, "%s: REF %.60s differs from %s at %s:%lld; kept unscored",
             variant_place(v, buf), d->rec->d.allele[0], v->ref->path, name, (long long)d->rec->pos + 1);
        note_all(d, "REF_MISMATCH");
        return 0;
    }
    for (int i = 0; i < d->nalt && rc == 0; i++)
        if (!d->alt[i].allele.note) rc = put_allele(v, d, i, c, err);
    return rc;
}

/* Owns d. Records at one place share sites, and so a shard. */
int variant_put(variants_t *v, variant_t *d, cad_error_t *err)
{
    bool together;
    int sequences, rc = list_alleles(d, &sequences, err);
    if (rc) {
        variant_drop(v, d);
        return rc;
    }
    d->item.bytes = (int64_t)(sizeof *d + d->rec->shared.m + d->rec->indiv.m);
    together = v->records_put++ && v->last_rid == d->rec->rid && v->last_pos == d->rec->pos;
    v->last_rid = d->rec->rid;
    v->last_pos = d->rec->pos;
    if (!together) leave_site(v);
    pipeline_digest(v->pipe, &d->rec->pos, sizeof d->rec->pos);
    pipeline_digest(v->pipe, &d->rec->rid, sizeof d->rec->rid);
    pipeline_digest(v->pipe, &d->rec->qual, sizeof d->rec->qual);
    pipeline_digest(v->pipe, d->rec->shared.s, d->rec->shared.l);
    pipeline_digest(v->pipe, d->rec->indiv.s, d->rec->indiv.l);
    pipeline_put_with(v->pipe, &d->item, together);
    rc = put_alleles(v, d, sequences, err);
    return rc ? rc : pipeline_done(v->pipe, err);
}
