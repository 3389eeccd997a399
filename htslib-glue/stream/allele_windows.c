/* allele_windows.c - makes windows from the ALT alleles of a VCF record, and stores the results of each window with its
 * allele.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>

#include "stream/breakpoints.h"
#include "stream/haplotypes.h"

/* Writes the place of the last record to buf: "file:line", or only the file if records are read through an index.
 * Returns buf. */
const char *variant_place(const variants_t *v, char buf[4200])
{
    if (v->line) snprintf(buf, 4200, "%s:%lld", v->s->in->path, (long long)v->line);
    else snprintf(buf, 4200, "%s", v->s->in->path);
    return buf;
}

/* ---- records are reused: a list holds the records that are not in use ---- */

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
    free(s->around);
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
        free(r->around);
        breaks_free(r->breaks);
        memset(r, 0, sizeof *r);
        r->allele.alt = room;
    }
    free(d->contexts.of);
    free(d->contexts.context);
    d->contexts = (contexts_t) { 0 };
    d->nalt = 0;
    d->spare = v->spare;
    v->spare = d;
}

/* ---- results of windows ---- */

static int keep_embedding(const variants_t *v, const job_t *j, float **out, cad_error_t *err)
{
    size_t D = (size_t)v->s->cutter.width;
    *out = malloc(D * sizeof **out);
    if (!*out) return cad_out_of_memory(err);
    memcpy(*out, j->embedding, D * sizeof **out);
    return 0;
}

/* Returns the number of bases before an allele whose predictions are compared (jsd, infl). */
static int64_t bases_before(const variants_t *v, const allele_t *a)
{
    return cad_min(v->s->set->variants.pool_window, a->left);
}

static int64_t bases_after(const variants_t *v, const allele_t *a)
{
    return cad_min(v->s->set->variants.pool_window, a->right);
}

/* The windows of allele i and haplotype h (0: REF, 1: ALT) have the ids 4i+h and, if it is read around the allele,
 * 4i+2+h. */
enum { ID_HAPLOTYPE = 1, ID_AROUND = 2, IDS = 4 };

/* Keeps log p of the bases around REF, or compares them with those around ALT. REF's window comes first. */
static int take_around(const variants_t *v, result_t *r, int h, const job_t *j, cad_error_t *err)
{
    int64_t before = bases_before(v, &r->allele), after = bases_after(v, &r->allele);
    float **kept = r->site ? &r->site->around : &r->around;
    const float *left = j->logp, *right = j->logp + 4 * (j->scored.end - j->scored.beg - after);
    if (h == 1 && *kept) {
        influence_add(&r->influence, *kept, left, before);
        influence_add(&r->influence, *kept + 4 * before, right, after);
    }
    if (h == 1) return 0;
    *kept = malloc((size_t)(before + after) * 4 * sizeof **kept);
    if (!*kept) return cad_out_of_memory(err);
    memcpy(*kept, left, (size_t)before * 4 * sizeof **kept);
    memcpy(*kept + 4 * before, right, (size_t)after * 4 * sizeof **kept);
    return 0;
}

/* Stores the results of a window. */
int variants_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    stream_t *s = arg;
    const variants_t *v = s->state;
    variant_t *d = (variant_t *)it;
    result_t *r = &d->alt[j->id < ID_CONTEXTS ? j->id / IDS : 0];
    int h = (int)(j->id & ID_HAPLOTYPE), rc = 0;
    bool at_site = r->allele.kind == ALLELE_SNV && h == 0;
    if (j->id >= ID_BREAKS) return breaks_take(v, &d->alt[(j->id - ID_BREAKS) / 4], j), 0;
    if (j->id >= ID_CONTEXTS) return haplotypes_take(v, d, j), 0;
    if (j->id & ID_AROUND) return take_around(v, r, h, j, err);
    if (j->embedding) rc = keep_embedding(v, j, at_site ? &r->site->embedding : &r->embedding[h], err);
    if (j->logp && at_site) memcpy(r->site->logp, j->logp, sizeof r->site->logp);
    else if (j->logp) r->sum[h] = window_sum(&s->cutter.bases, j, r->allele.ends_halved && h == r->allele.shorter);
    return rc;
}

/* ---- windows ---- */

static bool needs(const variants_t *v, unsigned what) { return scores_need(&v->s->set->scores, what); }

static bool pools(const variants_t *v) { return v->s->set->matrix || needs(v, NEEDS_POOLED); }

/* Puts one haplotype (REF or ALT with its flanks) into the pipeline as a window. scored: interval of the bases whose
 * log p is needed; may be empty. A window that is read around the allele ignores it. */
static int put_window(variants_t *v, result_t *r, int64_t id, const contig_t *c, int64_t mask, interval_t scored,
                      cad_error_t *err)
{
    const allele_t *a = &r->allele;
    int h = (int)(id & ID_HAPLOTYPE), rc = allele_haplotype(a, h, c, &v->view, &v->haplotype, err);
    int64_t n = (int64_t)v->haplotype.l, w = cad_min(v->s->set->variants.pool_window, cad_min(a->left, a->right));
    letters_t letters = { .seq = v->haplotype.s, .window = { 0, n }, .core = { 0, n } };
    job_t j = { .id = id, .mask = mask, .scored = scored };
    if (rc == 0) rc = window_encode(&v->s->cutter.encoding, &letters, &j, err);
    if (rc) {
        job_free(&j);
        return rc;
    }
    if (id & ID_AROUND) j.scored = (interval_t) { a->left - bases_before(v, a), n - a->right + bases_after(v, a) };
    else if (pools(v)) j.pooled = (interval_t) { a->left - w, n - a->right + w };
    return pipeline_job(&v->s->pipe, j, err);
}

/* Puts the windows of one haplotype of allele `alt` into the pipeline. */
static int put_haplotype(variants_t *v, result_t *r, int alt, int h, const contig_t *c, int64_t mask, interval_t scored,
                         cad_error_t *err)
{
    int64_t id = IDS * (int64_t)alt + h;
    int rc = scored.beg < scored.end || pools(v) ? put_window(v, r, id, c, mask, scored, err) : 0;
    if (rc || !needs(v, NEEDS_AROUND) || bases_before(v, &r->allele) + bases_after(v, &r->allele) == 0) return rc;
    return put_window(v, r, id | ID_AROUND, c, CAD_MASK_NONE, (interval_t) { 0, 0 }, err);
}

static void leave_site(variants_t *v)
{
    site_leave(v->site);
    v->site = NULL;
}

/* Sets r->site, the results at the SNV's position, which SNVs at one position share: to the last SNV's site if it is at
 * the same position, else to a new site. */
static int join_site(variants_t *v, result_t *r, const contig_t *c, bool *is_new, cad_error_t *err)
{
    site_t *s = v->site;
    int64_t pos = r->allele.ref.beg;
    *is_new = !s || s->contig != c || s->pos != pos;
    if (*is_new) {
        site_leave(v->site);
        v->site = s = calloc(1, sizeof *s);
        if (!s) return cad_out_of_memory(err);
        *s = (site_t) { .users = 1, .contig = c, .pos = pos };
    }
    r->site = s;
    s->users++;
    return 0;
}

/* Sets r->cell from the five bases of the reference around the SNV. */
static int find_cell(variants_t *v, result_t *r, const contig_t *c, cad_error_t *err)
{
    const char *five;
    int64_t pos = r->allele.ref.beg;
    int rc;
    r->cell = -1;
    if (!v->calibration || pos < 2 || pos + 3 > c->length) return 0;
    rc = view_get(&v->view, c, pos - 2, pos + 3, &five, err);
    if (rc == 0) r->cell = calibration_cell(five, base_of_letter(r->allele.alt.s[0]));
    return rc;
}

static int put_snv(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    interval_t none = { 0, 0 };
    bool is_new;
    int rc = join_site(v, r, c, &is_new, err);
    if (rc == 0) rc = find_cell(v, r, c, err);
    if (rc == 0 && is_new)
        rc = put_haplotype(v, r, alt, 0, c, CAD_MASK_EACH, needs(v, NEEDS_SITE) ? r->allele.compared[0] : none, err);
    if (rc == 0) rc = put_haplotype(v, r, alt, 1, c, CAD_MASK_EACH, none, err);
    return rc;
}

static int put_other(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    interval_t none = { 0, 0 };
    int rc = 0;
    for (int h = 0; h < 2 && rc == 0; h++)
        rc = put_haplotype(v, r, alt, h, c, v->s->set->mask, needs(v, NEEDS_HAPLOTYPES) ? r->allele.compared[h] : none,
                           err);
    return rc;
}

static int put_allele(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    char buf[4200];
    int rc = allele_set(&r->allele, d->rec->d.allele[0], d->rec->d.allele[alt + 1], d->rec->pos, c, &v->view,
                        &v->flanks, err);
    if (rc) return rc;
    r->scored = r->allele.kind != ALLELE_NONE;
    v->scored += r->scored;
    if (!r->scored && !(needs(v, NEEDS_BREAKS) && !strcmp(r->allele.note, "LONG")))
        note(v->s->notes, NOTE_UNSCORABLE, 1, "%s: %s:%lld %.40s>%.40s is not scored (%s)", variant_place(v, buf),
             c->name, (long long)d->rec->pos + 1, d->rec->d.allele[0], d->rec->d.allele[alt + 1], r->allele.note);
    if (r->allele.kind == ALLELE_SNV) return put_snv(v, d, alt, c, err);
    return r->scored ? put_other(v, d, alt, c, err) : 0;
}

/* ---- records ---- */

/* True for an ALT that can be scored: a sequence, or what sv scores if it is asked for. */
static bool is_scorable(const variants_t *v, const char *alt)
{
    return !allele_note(alt) || (needs(v, NEEDS_BREAKS) && breaks_symbolic(alt));
}

static const char *note_of(const variants_t *v, const char *alt)
{
    return needs(v, NEEDS_BREAKS) && breaks_breakend(alt) ? "BND" : allele_note(alt);
}

static int list_alleles(const variants_t *v, variant_t *d, int *scorable, cad_error_t *err)
{
    bcf1_t *rec = d->rec;
    bool touched = false;
    *scorable = 0;
    if (records_unpack(rec, BCF_UN_STR, err)) return CAD_ENOMEM;
    for (int i = 1; i < rec->n_allele; i++) touched |= !allele_placeholder(rec->d.allele[i]);
    if (!touched) return 0;
    if (rec->n_allele - 1 > d->room) {
        result_t *more = realloc(d->alt, (size_t)(rec->n_allele - 1) * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        memset(more + d->room, 0, (size_t)(rec->n_allele - 1 - d->room) * sizeof *more);
        d->alt = more;
        d->room = rec->n_allele - 1;
    }
    d->nalt = rec->n_allele - 1;
    for (int i = 0; i < d->nalt; i++) {
        d->alt[i].allele.note = note_of(v, rec->d.allele[i + 1]);
        *scorable += is_scorable(v, rec->d.allele[i + 1]);
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
            variant_place(v, buf), (long long)rec->pos + 1, (long long)n, c->name, (long long)c->length,
            v->s->ref->path);
    return 0;
}

/* Returns 1 if REF differs from the FASTA at a base where both have A, C, G or T, 0 if not, or CAD_E*. */
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
        if (!v->s->set->variants.keep_mismatch)
            return cad_fail(
                err, CAD_EFORMAT,
                "%s: REF %.60s is %.*s in %s at %s:%lld; is it the right reference? --check-ref w keeps such records unscored",
                variant_place(v, buf), ref, (int)cad_min(n, 60), seq, v->s->ref->path, c->name,
                (long long)rec->pos + 1);
        return 1;
    }
    return 0;
}

int variant_check(variants_t *v, const bcf1_t *rec, const contig_t *c, cad_error_t *err)
{
    bool sequence = false, scorable = false;
    int rc;
    for (int i = 1; i < rec->n_allele; i++) {
        sequence |= allele_note(rec->d.allele[i]) == NULL;
        scorable |= is_scorable(v, rec->d.allele[i]);
    }
    /* symbolic alleles may lie before the first base and after the last one */
    scorable &= sequence || (rec->pos >= 0 && (!c || rec->pos < c->length));
    rc = check_place(v, rec, c, sequence || scorable, err);
    return rc || !c || !scorable ? rc : check_ref(v, rec, c, err);
}

/* Sets the note (the reason why an allele is not scored) of all alleles that have no note yet. */
static void note_all(variant_t *d, const char *note)
{
    for (int i = 0; i < d->nalt; i++)
        if (!d->alt[i].allele.note) d->alt[i].allele.note = note;
}

/* Puts the windows at breakpoints of an allele that is symbolic or too long for the other scores. */
static int put_breaks(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    const result_t *r = &d->alt[alt];
    const char *text = d->rec->d.allele[alt + 1];
    bool is_long = r->allele.note && !strcmp(r->allele.note, "LONG");
    return needs(v, NEEDS_BREAKS) && (is_long || breaks_symbolic(text)) ? breaks_put(v, d, alt, c, err) : 0;
}

static int put_alleles(variants_t *v, variant_t *d, int scorable, cad_error_t *err)
{
    const char *name = bcf_seqname_safe(v->header, d->rec);
    const contig_t *c = fasta_find(v->s->ref, name);
    char hint[700], buf[4200];
    int differs = variant_check(v, d->rec, c, err), rc = 0;
    if (differs < 0 || !scorable) return differs;
    if (!c) {
        if (!v->missing[0])
            snprintf(v->missing, sizeof v->missing, "contig \"%.100s\" is not in %.200s%.300s", name, v->s->ref->path,
                     fasta_hint(v->s->ref, name, hint, sizeof hint));
        note(v->s->notes, NOTE_NO_CONTIG, scorable,
             "%s: contig \"%.100s\" is not in %s%s; its records are written without scores", variant_place(v, buf),
             name, v->s->ref->path, fasta_hint(v->s->ref, name, hint, sizeof hint));
        note_all(d, "NO_CONTIG");
        return 0;
    }
    if (differs) {
        note(v->s->notes, NOTE_REF_MISMATCH, scorable,
             "%s: REF %.60s differs from %s at %s:%lld; written without scores", variant_place(v, buf),
             d->rec->d.allele[0], v->s->ref->path, name, (long long)d->rec->pos + 1);
        note_all(d, "REF_MISMATCH");
        return 0;
    }
    for (int i = 0; i < d->nalt && rc == 0; i++) {
        if (!d->alt[i].allele.note) rc = put_allele(v, d, i, c, err);
        if (rc == 0) rc = put_breaks(v, d, i, c, err);
    }
    return rc == 0 && v->haplotypes ? haplotypes_put(v, d, c, err) : rc;
}

/* Puts the record and its alleles' windows into the pipeline. Records at the same position share the results at that
 * position, so they stay in the same shard. */
int variant_put(variants_t *v, variant_t *d, cad_error_t *err)
{
    bool together;
    int scorable, rc = list_alleles(v, d, &scorable, err);
    if (rc) {
        variant_drop(v, d);
        return rc;
    }
    d->item.bytes = (int64_t)(sizeof *d + d->rec->shared.m + d->rec->indiv.m);
    if (needs(v, NEEDS_AROUND))
        d->item.bytes += d->nalt * 32 * cad_min(v->flanks.left, v->s->set->variants.pool_window);
    together = v->read++ && v->last_rid == d->rec->rid && v->last_pos == d->rec->pos;
    v->last_rid = d->rec->rid;
    v->last_pos = d->rec->pos;
    if (!together) leave_site(v);
    pipeline_digest(&v->s->pipe, &d->rec->pos, sizeof d->rec->pos);
    pipeline_digest(&v->s->pipe, &d->rec->rid, sizeof d->rec->rid);
    pipeline_digest(&v->s->pipe, &d->rec->qual, sizeof d->rec->qual);
    pipeline_digest(&v->s->pipe, d->rec->shared.s, d->rec->shared.l);
    pipeline_digest(&v->s->pipe, d->rec->indiv.s, d->rec->indiv.l);
    pipeline_put_with(&v->s->pipe, &d->item, together);
    rc = put_alleles(v, d, scorable, err);
    return rc ? rc : pipeline_done(&v->s->pipe, err);
}
