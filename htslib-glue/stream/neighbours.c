/* neighbours.c - the queue of records around the one that is put into the pipeline next, which samples' haplotypes are
 * made of.
 *
 * A record waits until the input has passed all bases that its haplotypes can use: `reach` bases after it, and as many
 * more as the records there can remove from a haplotype. Records that were put stay as long as the next one can use
 * them. So memory depends on the records within that distance, whatever the size of the input.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>

#include "stream/haplotypes.h"

#define LONGEST 1024  /* longest allele, in bases, that is scored in a haplotype */
#define REMOVES 65536 /* longest REF of a neighbour that is applied */

/* ---- opening and closing ---- */

int haplotypes_open(variants_t *v, cad_error_t *err)
{
    const variants_options_t *o = &v->s->set->variants;
    struct haplotypes_t *h;
    int rc;
    if (!variants_samples(o)) return 0;
    h = v->haplotypes = calloc(1, sizeof *h);
    if (!h) return cad_out_of_memory(err);
    h->rid = -1;
    h->flanks = v->flanks;
    h->flanks.longest = cad_min(h->flanks.longest, LONGEST);
    h->reach = flanks_reach(&h->flanks);
    h->seen = calloc((size_t)cad_max(1, v->header->n[BCF_DT_CTG]), 1);
    rc = h->seen ? samples_choose(&h->samples, o, v->header, v->s->in->path, err) : cad_out_of_memory(err);
    return rc ? rc : calls_declared(v->header, v->s->in->path, err);
}

static void neighbour_free(neighbour_t *n)
{
    for (int i = 0; i < n->nalt; i++) free(n->segment[i].alt.s);
    free(n->segment);
    calls_free(&n->calls);
    free(n);
}

static void drop_first(variants_t *v, struct haplotypes_t *h)
{
    neighbour_t *n = h->first;
    h->first = n->next;
    if (!h->first) h->last = NULL;
    if (n->record) variant_drop(v, n->record);
    neighbour_free(n);
}

static void empty(variants_t *v, struct haplotypes_t *h)
{
    while (h->first) drop_first(v, h);
    h->next = NULL;
}

void haplotypes_close(variants_t *v)
{
    struct haplotypes_t *h = v->haplotypes;
    if (!h) return;
    empty(v, h);
    samples_free(&h->samples);
    genotypes_free(&h->buffers);
    free(h->seen);
    free(h->carried);
    free(h->seq.s);
    free(h->hap[0].s);
    free(h->hap[1].s);
    free(h->allele.alt.s);
    free(h);
    v->haplotypes = NULL;
}

/* ---- a record ---- */

/* Sets the segment of a sequence allele: REF and ALT as they are, without the base before an insertion or deletion. As
 * in bcftools consensus, this is what overlaps other alleles. */
static int take_bases(segment_t *s, const char *ref, const char *alt, int64_t pos, cad_error_t *err)
{
    size_t nr = strlen(ref), na = strlen(alt),
           k = nr != na && toupper((unsigned char)*ref) == toupper((unsigned char)*alt);
    s->ref = (interval_t) { pos + (int64_t)k, pos + (int64_t)nr };
    if (kputsn(alt + k, na - k, &s->alt) < 0) return cad_out_of_memory(err);
    for (size_t i = 0; i < s->alt.l; i++) s->alt.s[i] = (char)toupper((unsigned char)s->alt.s[i]);
    return 0;
}

static int set_segment(segment_t *s, const bcf1_t *rec, int alt, bool usable, cad_error_t *err)
{
    const char *ref = rec->d.allele[0], *bases = rec->d.allele[alt + 1];
    if (!strcmp(bases, "*") || allele_placeholder(bases)) s->kind = SEGMENT_SILENT;
    else if (!usable || allele_note(bases)) s->kind = SEGMENT_SKIPPED;
    else return take_bases(s, ref, bases, rec->pos, err);
    s->ref = (interval_t) { rec->pos, rec->pos + 1 };
    return 0;
}

/* Sets the segments of a record that a sample carries. */
static int set_segments(variants_t *v, neighbour_t *n, const bcf1_t *rec, cad_error_t *err)
{
    const contig_t *c = fasta_find(v->s->ref, bcf_seqname_safe(v->header, rec));
    int rc = 0, differs = c ? variant_check(v, rec, c, err) : 1;
    if (differs < 0) return differs;
    n->segment = calloc((size_t)cad_max(1, rec->n_allele - 1), sizeof *n->segment);
    if (!n->segment) return cad_out_of_memory(err);
    n->nalt = rec->n_allele - 1;
    for (int i = 0; i < n->nalt && rc == 0; i++) {
        segment_t *s = &n->segment[i];
        rc = set_segment(s, rec, i, !differs && n->end - n->beg <= REMOVES, err);
        if (rc == 0 && s->kind == SEGMENT_APPLIES)
            n->removed = cad_max(n->removed, s->ref.end - s->ref.beg - (int64_t)s->alt.l);
    }
    return rc;
}

static int neighbour_new(variants_t *v, bcf1_t *rec, neighbour_t **out, cad_error_t *err)
{
    neighbour_t *n = *out = calloc(1, sizeof *n);
    char buf[4200];
    int rc = n ? records_unpack(rec, BCF_UN_STR, err) : cad_out_of_memory(err);
    if (rc) return rc;
    n->line = v->line;
    n->beg = cad_max(rec->pos, 0);
    n->end = n->beg + (int64_t)strlen(rec->d.allele[0]);
    rc = calls_read(&n->calls, &v->haplotypes->buffers, &v->haplotypes->samples, v->header, rec, variant_place(v, buf),
                    err);
    return rc == 0 && n->calls.kind ? set_segments(v, n, rec, err) : rc;
}

/* ---- the queue ---- */

static int check_order(const variants_t *v, struct haplotypes_t *h, const bcf1_t *rec, cad_error_t *err)
{
    bool same = rec->rid == h->rid;
    char buf[4200];
    if (same ? rec->pos < h->pos : h->seen[rec->rid])
        return cad_fail(err, CAD_EFORMAT,
                        "%s: %s:%lld comes after later records; haplotypes need a sorted input: sort it with bcftools "
                        "sort",
                        variant_place(v, buf), bcf_seqname_safe(v->header, rec), (long long)rec->pos + 1);
    h->pos = rec->pos;
    return 0;
}

static int put_next(variants_t *v, struct haplotypes_t *h, cad_error_t *err)
{
    neighbour_t *n = h->now = h->next;
    int64_t line = v->line;
    variant_t *d = n->record;
    int rc;
    n->record = NULL;
    for (h->next = n->next; h->next && !h->next->record;) h->next = h->next->next;
    v->line = n->line;
    rc = variant_put(v, d, err);
    v->line = line;
    h->now = NULL;
    return rc;
}

static int64_t removed_after(const neighbour_t *n, const neighbour_t *last)
{
    return last->before + last->removed - n->before - n->removed;
}

/* True if the bases up to `pos` include all that the haplotypes of record n can use. At the start of a contig, flanks
 * are longer at the other side. */
static bool passed(const struct haplotypes_t *h, const neighbour_t *n, int64_t pos)
{
    int64_t left = n->beg - (n->before - h->first->before), side = left < h->reach ? 2 * h->reach : h->reach;
    return pos >= n->end + side + removed_after(n, h->last);
}

/* Frees the records that neither the oldest record that waits nor later ones can use; pos: position of the last
 * record. */
static void forget(variants_t *v, struct haplotypes_t *h, const contig_t *c, int64_t pos)
{
    while (h->first && h->first != h->next) {
        const neighbour_t *n = h->next ? h->next : h->last;
        int64_t at = h->next ? n->beg : pos, used = c ? cad_min(at, c->length - h->reach) - 2 * h->reach : at;
        if (h->first->end >= used - (n->before - h->first->before)) return;
        drop_first(v, h);
    }
}

static void append(struct haplotypes_t *h, neighbour_t *n)
{
    n->before = h->last ? h->last->before + h->last->removed : 0;
    if (h->last) h->last->next = n;
    else h->first = n;
    h->last = n;
    if (!h->next && n->record) h->next = n;
}

int haplotypes_flush(variants_t *v, cad_error_t *err)
{
    struct haplotypes_t *h = v->haplotypes;
    int rc = 0;
    while (h->next && rc == 0) rc = put_next(v, h, err);
    empty(v, h);
    memset(h->seen, 0, (size_t)v->header->n[BCF_DT_CTG]);
    h->rid = -1;
    return rc;
}

/* Puts the records of the last contig. */
static int leave_contig(variants_t *v, struct haplotypes_t *h, int rid, cad_error_t *err)
{
    int rc = 0;
    if (rid == h->rid) return 0;
    while (h->next && rc == 0) rc = put_next(v, h, err);
    empty(v, h);
    if (h->rid >= 0) h->seen[h->rid] = true;
    h->rid = rid;
    return rc;
}

/* Adds a record to the queue, and puts those that have all of their neighbours. */
static int add(variants_t *v, struct haplotypes_t *h, neighbour_t *n, const contig_t *c, cad_error_t *err)
{
    int rc = 0;
    append(h, n);
    while (h->next && rc == 0 && passed(h, h->next, n->beg)) rc = put_next(v, h, err);
    if (rc == 0) forget(v, h, c, n->beg);
    return rc;
}

int haplotypes_add(variants_t *v, variant_t *d, bool chosen, cad_error_t *err)
{
    struct haplotypes_t *h = v->haplotypes;
    const contig_t *c = fasta_find(v->s->ref, bcf_seqname_safe(v->header, d->rec));
    neighbour_t *n = NULL;
    bool kept = false;
    int rc = check_order(v, h, d->rec, err);
    if (rc == 0) rc = leave_contig(v, h, d->rec->rid, err);
    if (rc == 0) rc = neighbour_new(v, d->rec, &n, err);
    if (rc == 0) kept = chosen || n->calls.kind;
    if (kept && chosen) n->record = d;
    else variant_drop(v, d);
    if (!kept && n) neighbour_free(n);
    return kept ? add(v, h, n, c, err) : rc;
}

bool haplotypes_idle(const struct haplotypes_t *h) { return !h || !h->next; }

interval_t haplotypes_span(const struct haplotypes_t *h, interval_t span)
{
    return (interval_t) { cad_max(0, span.beg - 3 * h->reach - REMOVES), HTS_POS_MAX };
}
