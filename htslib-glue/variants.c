/* variants.c - VCF and BCF: every record passes, in order; its sequence alleles are
 * scored and it gains INFO fields. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <htslib/tbx.h>
#include <math.h>

#include "glue.h"

typedef struct site_t {   /* an SNV's place; neighbouring records may share it */
    int users;
    const contig_t *contig;
    int64_t pos;
    float logp[4];
    float *embedding;     // (D) of the reference haplotype, or NULL
} site_t;

typedef struct result_t { /* of one ALT */
    allele_t allele;
    site_t *site;         /* of an SNV */
    double sum[2];        /* log p of the compared bases: REF, ALT haplotype */
    float *embedding[2];  // (D), or NULL
    bool scored;
} result_t;

typedef struct variant_t {
    item_t item;          /* first: what the pipeline sees */
    bcf1_t *rec;
    int nalt, room;
    result_t *alt;        // (room), nalt in use
    struct variant_t *spare;
} variant_t;

static int out_of_memory(cad_error_t *err) { return cad_fail(err, CAD_ENOMEM, "out of memory"); }

/* "file:line", or the file alone when an index was used. */
static const char *place(const variants_t *v, char buf[4200])
{
    if (v->line) snprintf(buf, 4200, "%s:%lld", v->in->path, (long long)v->line);
    else snprintf(buf, 4200, "%s", v->in->path);
    return buf;
}

/* ---- records come and go by a list of spare ones ---- */

static variant_t *variant_new(variants_t *v)
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

static void site_leave(site_t *s)
{
    if (!s || --s->users) return;
    free(s->embedding);
    free(s);
}

static void variant_drop(variants_t *v, variant_t *d)
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
    size_t D = (size_t)cad_model_number(v->model, CAD_D_MODEL);
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
        int b = 0;
        while (v->model->vocab.base[b] != j->tokens[t]) b++;
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

static double llr(const variants_t *v, const result_t *r, char ref)
{
    int a = 0, b = 0;
    uint8_t id[2];
    char pair[2] = { ref, r->allele.alt.s[0] };
    cad_encode(v->model, pair, 2, 0, id);
    while (v->model->vocab.base[a] != id[0]) a++;
    while (v->model->vocab.base[b] != id[1]) b++;
    return (double)r->site->logp[b] - (double)r->site->logp[a];
}

static void distances(const variants_t *v, const result_t *r, double *dist, double *cosine)
{
    const float *x = r->site ? r->site->embedding : r->embedding[0], *y = r->embedding[1];
    double d = 0, xy = 0, xx = 0, yy = 0;
    *dist = *cosine = NAN;
    if (!x || !y) return; /* no base to pool */
    for (int64_t i = 0, D = cad_model_number(v->model, CAD_D_MODEL); i < D; i++) {
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
    case FIELD_LLR: return snv ? llr(v, r, d->rec->d.allele[0][r->allele.ref.beg - d->rec->pos]) : NAN;
    case FIELD_DPLL: return snv ? NAN : r->sum[1] - r->sum[0];
    case FIELD_N: return (double)r->allele.n;
    default:
        distances(v, r, &dist, &cosine);
        return f == FIELD_DIST ? dist : cosine;
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
    rc = bcf_update_info(v->header, d->rec, v->name[f], any ? v->values : NULL, any ? d->nalt : 0, f == FIELD_N ? BCF_HT_INT : BCF_HT_REAL);
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
    return bcf_update_info_string(v->header, d->rec, v->name[FIELD_NOTE], any ? v->text.s.s : NULL) ? update_failed(v, FIELD_NOTE, err) : 0;
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

int variants_sink(void *arg, item_t *it, cad_error_t *err)
{
    variants_t *v = arg;
    variant_t *d = (variant_t *)it;
    char name[300];
    int rc = d->nalt && v->out->fp ? put_info(v, d, err) : 0;
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

/* One haplotype as a window; `scored` may be empty. */
static int put_window(variants_t *v, result_t *r, int64_t id, const contig_t *c, int64_t mask, interval_t scored, cad_error_t *err)
{
    const allele_t *a = &r->allele;
    int h = (int)(id % 2), rc = allele_haplotype(a, h, c, &v->view, &v->haplotype, err);
    int64_t n = (int64_t)v->haplotype.l, w = cad_min(v->o->pool_window, cad_min(a->left, a->right));
    job_t j = { .id = id, .len = n + v->sep, .mask = mask, .scored = scored };
    if (rc) return rc;
    j.tokens = malloc((size_t)j.len);
    if (!j.tokens) return out_of_memory(err);
    cad_encode(v->model, v->haplotype.s, n, v->encode_flags, j.tokens);
    if (v->sep) j.tokens[n] = (uint8_t)cad_model_number(v->model, CAD_TOKEN_SEP);
    if (v->o->want[FIELD_DIST] || v->o->want[FIELD_COS]) j.pooled = (interval_t){ a->left - w, n - a->right + w };
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
        *s = (site_t){ .users = 1, .contig = c, .pos = pos };
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
    if (rc == 0 && is_new) rc = put_window(v, r, 2 * alt, c, CAD_MASK_EACH, v->o->want[FIELD_LLR] ? r->allele.compared[0] : none, err);
    if (rc == 0 && (v->o->want[FIELD_DIST] || v->o->want[FIELD_COS])) rc = put_window(v, r, 2 * alt + 1, c, CAD_MASK_EACH, none, err);
    return rc;
}

static int put_other(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    interval_t none = { 0, 0 };
    int rc = 0;
    for (int h = 0; h < 2 && rc == 0; h++) rc = put_window(v, r, 2 * alt + h, c, v->mask, v->o->want[FIELD_DPLL] ? r->allele.compared[h] : none, err);
    return rc;
}

static int put_allele(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    char buf[4200];
    int rc = allele_set(&r->allele, d->rec->d.allele[0], d->rec->d.allele[alt + 1], d->rec->pos, c, &v->view, &v->context, err);
    if (rc) return rc;
    r->scored = r->allele.kind != ALLELE_NONE;
    v->scored += r->scored;
    if (!r->scored)
        note(v->notes, NOTE_UNSCORABLE, 1, "%s: %s:%lld %.40s>%.40s is not scored (%s)", place(v, buf), c->name, (long long)d->rec->pos + 1,
             d->rec->d.allele[0], d->rec->d.allele[alt + 1], r->allele.note);
    if (r->allele.kind == ALLELE_SNV) return put_snv(v, d, alt, c, err);
    return r->scored ? put_other(v, d, alt, c, err) : 0;
}

/* ---- records ---- */

/* Neither a sequence nor worth a note: records of these alone pass untouched. */
static bool is_placeholder(const char *alt) { return !strcmp(alt, ".") || !strcmp(alt, "<*>") || !strcmp(alt, "<NON_REF>"); }

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
    if (rec->pos < -1) return cad_fail(err, CAD_EFORMAT, "%s: POS %lld is negative", place(v, buf), (long long)rec->pos + 1);
    if (rec->pos < 0 && sequence) return cad_fail(err, CAD_EFORMAT, "%s: POS 0 holds no bases; only symbolic alleles may be there", place(v, buf));
    if (c && rec->pos + n > c->length)
        return cad_fail(err, CAD_EFORMAT, "%s: POS %lld with %lld REF base(s) is past the end of %s (%lld bases in %s); is it the right reference?", place(v, buf),
                        (long long)rec->pos + 1, (long long)n, c->name, (long long)c->length, v->ref->path);
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
            return cad_fail(err, CAD_EFORMAT, "%s: REF %.60s is %.*s in %s at %s:%lld; is it the right reference? --check-ref w keeps such records unscored",
                            place(v, buf), ref, (int)cad_min(n, 60), seq, v->ref->path, c->name, (long long)rec->pos + 1);
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
        if (!v->missing[0]) snprintf(v->missing, sizeof v->missing, "contig \"%.100s\" is not in %.200s%.300s", name, v->ref->path, fasta_hint(v->ref, name, hint, sizeof hint));
        note(v->notes, NOTE_NO_CONTIG, sequences, "%s: contig \"%.100s\" is not in %s%s; its records pass unscored", place(v, buf), name, v->ref->path,
             fasta_hint(v->ref, name, hint, sizeof hint));
        note_all(d, "NO_CONTIG");
        return 0;
    }
    differs = check_ref(v, d->rec, c, err);
    if (differs < 0) return differs;
    if (differs) {
        note(v->notes, NOTE_REF_MISMATCH, sequences, "%s: REF %.60s differs from %s at %s:%lld; kept unscored", place(v, buf), d->rec->d.allele[0], v->ref->path, name,
             (long long)d->rec->pos + 1);
        note_all(d, "REF_MISMATCH");
        return 0;
    }
    for (int i = 0; i < d->nalt && rc == 0; i++)
        if (!d->alt[i].allele.note) rc = put_allele(v, d, i, c, err);
    return rc;
}

/* Owns d. Records at one place share sites, and so a shard. */
static int put_variant(variants_t *v, variant_t *d, cad_error_t *err)
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

/* ---- reading ---- */

typedef struct piece_t { const char *s; size_t n; } piece_t; /* of a line, not terminated */
enum { CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO, COLUMNS };

/* Columns of a line; the first ones into c. */
static int columns(const kstring_t *line, piece_t c[COLUMNS])
{
    const char *s = line->s, *end = s + line->l, *tab;
    int n = 0;
    for (;; s = tab + 1) {
        tab = memchr(s, '\t', (size_t)(end - s));
        if (n < COLUMNS) c[n] = (piece_t){ s, (size_t)((tab ? tab : end) - s) };
        n++;
        if (!tab) return n;
    }
}

/* The piece as a string, for look-ups and messages. */
static const char *piece(variants_t *v, piece_t p)
{
    text_clear(&v->text);
    text_put(&v->text, p.s, p.n);
    return v->text.s.s ? v->text.s.s : "";
}

/* The first item of *rest, which then begins after it. */
static piece_t split(piece_t *rest, char separator)
{
    const char *end = memchr(rest->s, separator, rest->n);
    piece_t first = { rest->s, end ? (size_t)(end - rest->s) : rest->n };
    size_t gone = first.n + (end != NULL);
    *rest = (piece_t){ rest->s + gone, rest->n - gone };
    return first;
}

/* "." or a number that htslib keeps. */
static bool is_number(piece_t p, bool whole)
{
    char *end = NULL;
    long long n = 0;
    if (p.n == 1 && *p.s == '.') return true;
    errno = 0;
    if (whole) n = strtoll(p.s, &end, 10);
    else (void)!strtod(p.s, &end);
    return p.n && end == p.s + p.n && (!whole || (!errno && n >= BCF_MIN_BT_INT32 && n <= BCF_MAX_BT_INT32));
}

/* htslib reads numbers that are none, or too large for it, as missing without an error. */
static void check_info(variants_t *v, piece_t info)
{
    char buf[4200];
    while (info.n) {
        piece_t value = split(&info, ';'), key = split(&value, '=');
        int id = bcf_hdr_id2int(v->header, BCF_DT_ID, piece(v, key)), type;
        if (!value.n || !bcf_hdr_idinfo_exists(v->header, BCF_HL_INFO, id)) continue;
        type = (int)bcf_hdr_id2type(v->header, BCF_HL_INFO, id);
        while ((type == BCF_HT_INT || type == BCF_HT_REAL) && value.n) {
            piece_t one = split(&value, ',');
            if (!is_number(one, type == BCF_HT_INT))
                note(v->notes, NOTE_VALUE, 1, "%s: INFO/%s: \"%.*s\" is no %s; htslib cannot keep it", place(v, buf), v->text.s.s, (int)cad_min((int64_t)one.n, 40), one.s,
                     type == BCF_HT_INT ? "Integer of 32 bits" : "Float");
        }
    }
}

/* What vcf_parse would read as 0, make up or leave out. */
static int check_line(variants_t *v, cad_error_t *err)
{
    piece_t c[COLUMNS];
    char buf[4200];
    int n = columns(&v->text_line, c), samples = bcf_hdr_nsamples(v->header), least = samples ? COLUMNS + 1 + samples : COLUMNS;
    size_t k = 0;
    if (strlen(v->text_line.s) != v->text_line.l) return cad_fail(err, CAD_EFORMAT, "%s: binary data", place(v, buf));
    if (bcf_hdr_name2id(v->header, piece(v, c[CHROM])) < 0)
        return cad_fail(err, CAD_EFORMAT, "%s: contig \"%.100s\" is not in the VCF header; add it with bcftools reheader --fai", place(v, buf), v->text.s.s);
    if (n < least || n > cad_max(least, COLUMNS + 1)) /* FORMAT may stand without samples */
        return cad_fail(err, CAD_EFORMAT, "%s: %d columns, expected %d; cut short?", place(v, buf), n, least);
    while (k < c[POS].n && isdigit((unsigned char)c[POS].s[k])) k++;
    if (k == 0 || k < c[POS].n || k > 18) return cad_fail(err, CAD_EFORMAT, "%s: POS \"%.40s\" is not a position", place(v, buf), piece(v, c[POS]));
    if (!is_number(c[QUAL], false)) return cad_fail(err, CAD_EFORMAT, "%s: QUAL \"%.40s\" is not a number", place(v, buf), piece(v, c[QUAL]));
    if (!c[REF].n || !c[ALT].n) return cad_fail(err, CAD_EFORMAT, "%s: REF or ALT is empty", place(v, buf));
    check_info(v, c[INFO]);
    return 0;
}

static int parse_line(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    char buf[4200];
    int rc = check_line(v, err);
    if (rc) return rc;
    errno = 0;
    if (vcf_parse(&v->text_line, v->header, rec) < 0 || (rec->errcode & ~BCF_ERR_TAG_UNDEF))
        return cad_fail(err, CAD_EFORMAT, "%s: malformed or cut short; bcftools view may say more", place(v, buf));
    if (rec->errcode && v->out->fp && v->out->format.hts.format == bcf)
        return cad_fail(err, CAD_EFORMAT, "%s: a tag that the header does not declare; BCF cannot hold it: write VCF, or declare it", place(v, buf));
    rec->errcode = 0;
    return 1;
}

static int damaged(const variants_t *v, cad_error_t *err)
{
    char buf[4200];
    return cad_fail(err, CAD_EIO, "%s: damaged or cut short after this record; restore it", place(v, buf));
}

/* The next record of the whole file: 1, 0 at the end, or CAD_E*. */
static int next_streamed(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    int got;
    if (v->fp->format.format == bcf) {
        got = bcf_read(v->fp, v->header, rec);
        v->line += got >= 0;
        return got < -1 || (got >= 0 && rec->errcode) ? damaged(v, err) : got >= 0;
    }
    do {
        got = hts_getline(v->fp, '\n', &v->text_line);
        if (got < -1) return damaged(v, err);
        v->line = v->fp->lineno;
    } while (got == 0); /* blank */
    return got < 0 ? 0 : parse_line(v, rec, err);
}

/* The next record of one span of -r. */
static int next_in_span(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    int got = v->tabix ? tbx_itr_next(v->fp, v->tabix, v->walk, &v->text_line) : bcf_itr_next(v->fp, v->walk, rec);
    if (got < -1 || (got >= 0 && !v->tabix && rec->errcode)) return damaged(v, err);
    if (got == -1) return 0;
    return v->tabix ? parse_line(v, rec, err) : 1;
}

static bool wanted(const variants_t *v, const bcf1_t *rec)
{
    return !v->targets || regions_overlap(v->targets, bcf_seqname_safe(v->header, rec), cad_max(rec->pos, 0), cad_max(rec->pos, 0) + 1);
}

/* Records that begin before `from` were seen in the span before. */
static int read_some(variants_t *v, int (*next)(variants_t *, bcf1_t *, cad_error_t *), int64_t from, cad_error_t *err)
{
    for (;;) {
        variant_t *d = variant_new(v);
        int rc;
        if (!d) return out_of_memory(err);
        rc = next(v, d->rec, err);
        if (rc > 0 && d->rec->pos >= from && wanted(v, d->rec)) rc = put_variant(v, d, err);
        else {
            variant_drop(v, d);
            if (rc <= 0) return rc;
            rc = 0;
        }
        if (rc) return rc;
    }
}

static int open_index(variants_t *v, cad_error_t *err)
{
    if (!strcmp(v->in->path, "standard input")) return cad_fail(err, CAD_EARG, "-r, -R: standard input has no index; -t and -L filter a stream");
    if (v->fp->format.format == bcf) v->index = bcf_index_load3(v->in->path, NULL, HTS_IDX_SILENT_FAIL);
    else v->tabix = tbx_index_load3(v->in->path, NULL, HTS_IDX_SILENT_FAIL);
    if (!v->index && !v->tabix) return cad_fail(err, CAD_EIO, "%s: -r and -R need an index; make one with bcftools index, or filter with -t, -L", v->in->path);
    return records_whole(v->fp, v->in->path, err);
}

static int read_span(variants_t *v, int contig, const char *name, interval_t span, int64_t from, cad_error_t *err)
{
    int tid = v->tabix ? tbx_name2id(v->tabix, name) : contig;
    if (tid < 0) return 0; /* no record there */
    hts_itr_destroy(v->walk);
    v->walk = v->tabix ? tbx_itr_queryi(v->tabix, tid, span.beg, span.end) : bcf_itr_queryi(v->index, tid, span.beg, span.end);
    return v->walk ? read_some(v, next_in_span, from, err) : 0;
}

static int read_spans(variants_t *v, cad_error_t *err)
{
    int rc = open_index(v, err);
    v->line = 0;
    for (int i = 0; i < v->header->n[BCF_DT_CTG] && rc == 0; i++) {
        const char *name = bcf_hdr_id2name(v->header, i);
        interval_t span, before = { 0, 0 };
        for (int k = 0; name && rc == 0 && regions_get(v->only, name, k, &span); k++) {
            rc = read_span(v, i, name, span, before.end, err);
            before = span;
        }
    }
    return rc;
}

/* ---- the header ---- */

static const struct { const char *name, *type, *text; } FIELD[FIELDS] = {
    { "LLR", "Float", "Caduceus: log p(ALT) - log p(REF) at the masked site of an SNV, natural log; negative is less likely" },
    { "DPLL", "Float", "Caduceus: difference of the log-likelihoods of the ALT and REF haplotype, natural log; negative is less likely" },
    { "N", "Integer", "Caduceus: bases compared" },
    { "DIST", "Float", "Caduceus: Euclidean distance of the pooled embeddings of the ALT and REF haplotype" },
    { "COS", "Float", "Caduceus: 1 - cosine similarity of the pooled embeddings of the ALT and REF haplotype" },
    { "NOTE", "String", "Caduceus: why an allele has no score, or what is special about it" },
};

static int name_fields(variants_t *v, cad_error_t *err)
{
    for (info_t f = 0; f < FIELDS; f++) {
        bool unmasked = f == FIELD_DPLL && v->mask == CAD_MASK_NONE;
        int n = snprintf(v->name[f], sizeof v->name[f], "%s_%s%s", v->o->prefix, FIELD[f].name, unmasked ? "_unmasked" : "");
        if (n >= (int)sizeof v->name[f]) return cad_fail(err, CAD_EARG, "--info-prefix %.40s...: too long", v->o->prefix);
    }
    return 0;
}

static int declare(variants_t *v, info_t f, cad_error_t *err)
{
    static const int type[] = { BCF_HT_REAL, BCF_HT_REAL, BCF_HT_INT, BCF_HT_REAL, BCF_HT_REAL, BCF_HT_STR };
    int id = bcf_hdr_id2int(v->header, BCF_DT_ID, v->name[f]);
    if (bcf_hdr_idinfo_exists(v->header, BCF_HL_INFO, id)) {
        if ((int)bcf_hdr_id2type(v->header, BCF_HL_INFO, id) == type[f] && bcf_hdr_id2length(v->header, BCF_HL_INFO, id) == BCF_VL_A) return 0;
        return cad_fail(err, CAD_EFORMAT, "%s: its header declares INFO/%s of another Type or Number; choose other names with --info-prefix", v->in->path, v->name[f]);
    }
    if (bcf_hdr_printf(v->header, "##INFO=<ID=%s,Number=A,Type=%s,Description=\"%s\">", v->name[f], FIELD[f].type, FIELD[f].text)) return out_of_memory(err);
    return bcf_hdr_sync(v->header) < 0 ? out_of_memory(err) : 0; /* its tables may have moved */
}

static int add_provenance(variants_t *v, const provenance_t *p, cad_error_t *err)
{
    for (int i = 0; i < p->n && !v->o->no_version; i++) {
        char key[96];
        if (provenance_of_part(p->key[i])) continue;
        snprintf(key, sizeof key, "%s_%s", v->o->prefix, p->key[i]);
        bcf_hdr_remove(v->header, BCF_HL_GEN, key); /* of an earlier run */
        if (bcf_hdr_printf(v->header, "##%s=%s", key, p->value[i])) return out_of_memory(err);
    }
    return 0;
}

static int write_header(variants_t *v, const provenance_t *p, htsThreadPool *pool, cad_error_t *err)
{
    int rc = name_fields(v, err);
    for (info_t f = 0; f < FIELDS && rc == 0; f++)
        if (v->o->want[f] || f == FIELD_NOTE) rc = declare(v, f, err);
    if (rc == 0) rc = add_provenance(v, p, err);
    if (rc == 0 && bcf_hdr_sync(v->header) < 0) rc = out_of_memory(err);
    return rc == 0 && v->out->fp ? records_begin(v->out, NULL, v->header, NULL, pool, err) : rc;
}

/* ---- the file ---- */

void variants_options_init(variants_options_t *o)
{
    memset(o, 0, sizeof *o);
    o->prefix = "CADUCEUS";
    o->pool_window = 768;
}

bool variants_has_contig(const void *variants, const char *name)
{
    return bcf_hdr_name2id(((const variants_t *)variants)->header, name) >= 0;
}

int variants_open(variants_t *v, cad_error_t *err)
{
    int rc = records_open(&v->fp, v->in, NULL, err);
    if (rc) return rc;
    v->header = bcf_hdr_read(v->fp);
    return v->header ? 0 : cad_fail(err, CAD_EFORMAT, "%s: its header is damaged or missing", v->in->path);
}

int variants_run(variants_t *v, const provenance_t *p, htsThreadPool *pool, cad_error_t *err)
{
    int rc = write_header(v, p, pool, err);
    v->view.ref = v->ref;
    if (rc == 0 && !v->only) rc = records_threads(v->fp, pool, err);
    if (rc == 0) rc = v->only ? read_spans(v, err) : read_some(v, next_streamed, INT64_MIN, err);
    if (rc == 0 && !v->only) rc = records_end(v->fp, v->in->path, err);
    if (rc == 0) rc = pipeline_flush(v->pipe, err);
    if (rc == 0 && v->missing[0] && !v->scored) rc = cad_fail(err, CAD_EFORMAT, "%s: nothing could be scored: %s", v->in->path, v->missing);
    return rc;
}

void variants_close(variants_t *v)
{
    site_leave(v->site);
    while (v->spare) {
        variant_t *d = v->spare;
        v->spare = d->spare;
        for (int i = 0; i < d->room; i++) free(d->alt[i].allele.alt.s);
        free(d->alt);
        bcf_destroy(d->rec);
        free(d);
    }
    hts_itr_destroy(v->walk);
    if (v->index) hts_idx_destroy(v->index);
    if (v->tabix) tbx_destroy(v->tabix);
    bcf_hdr_destroy(v->header);
    if (v->fp) hts_close(v->fp);
    view_free(&v->view);
    text_free(&v->text);
    free(v->text_line.s);
    free(v->haplotype.s);
    free(v->values);
    memset(v, 0, sizeof *v);
}
