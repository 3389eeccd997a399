/* haplotypes.c - scores ALT alleles in the haplotypes of samples.
 *
 * The haplotype of a sample is the reference with all alleles that it carries around the scored one. It is treated as a
 * contig of its own: the scored allele gets the same windows as it would in a FASTA of the haplotype. Haplotypes with
 * the same windows are scored once.
 *
 * Which alleles lie on the haplotype: those of homozygous and haploid calls, and those of phased calls in the phase set
 * of the scored call. If the scored call is homozygous and has no phase set, it takes that of the nearest phased call.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/haplotypes.h"

typedef struct place_t { /* one haplotype that carries the scored allele */
    variants_t *v;
    variant_t *d;
    const contig_t *contig;
    int alt, sample, k;    /* the ALT allele, from 0; the sample; the number of the haplotype */
    int64_t set;           /* phase set of the scored call */
    interval_t ref, close; /* the scored segment; the bases around it in whose neighbours notes are about */
    unsigned near;         /* NEAR_* */
    int before;            /* number of carried alleles before the scored one */
    int64_t at;            /* where the scored segment begins in the haplotype's sequence */
} place_t;

static const segment_t *scored_segment(const place_t *p) { return &p->v->haplotypes->now->segment[p->alt]; }

/* ---- which alleles the haplotype carries ---- */

static bool is_close(const place_t *p, interval_t at) { return at.end >= p->close.beg && at.beg <= p->close.end; }

/* Counts an unphased call near the allele, once however many alleles it is near to. */
static void leave_out(place_t *p, neighbour_t *n)
{
    variants_t *v = p->v;
    uint8_t *kind = &n->calls.kind[p->sample];
    p->near |= NEAR_UNPHASED;
    if (*kind & CALL_COUNTED) return;
    *kind |= CALL_COUNTED;
    note(v->s->notes, NOTE_UNPHASED, 1,
         "%s: %s:%lld: the genotype of %.100s is not phased with its neighbours; they are scored without it (UNPHASED)",
         v->s->in->path, p->contig->name, (long long)n->beg + 1,
         v->header->samples[v->haplotypes->samples.index[p->sample]]);
}

/* Returns the allele of a neighbour that lies on the haplotype; 0: REF, or unknown. */
static int allele_at(place_t *p, neighbour_t *n)
{
    const calls_t *c = &n->calls, *own = &p->v->haplotypes->now->calls;
    int kind = call_kind(c, p->sample), allele = call_allele(c, p->sample, 0);
    if (kind == CALL_NONE) return 0;
    if (kind == CALL_SAME) return allele;
    if (kind == CALL_PHASED && call_set(c, p->sample) == p->set &&
        call_ploidy(c, p->sample) == call_ploidy(own, p->sample)) {
        allele = call_allele(c, p->sample, p->k);
        return allele == ALLELE_MISSING ? 0 : allele;
    }
    if (is_close(p, (interval_t) { n->beg, n->end })) leave_out(p, n);
    return 0;
}

static int carry(struct haplotypes_t *h, const segment_t *s, cad_error_t *err)
{
    if (h->ncarried == h->room) {
        int room = cad_max(64, 2 * h->room);
        const segment_t **more = realloc(h->carried, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        h->carried = more;
        h->room = room;
    }
    h->carried[h->ncarried++] = s;
    return 0;
}

/* True if the segment overlaps the one before it, or both insert bases at the same place. */
static bool overlaps(const segment_t *before, const segment_t *s)
{
    if (!before) return false;
    return s->ref.beg < before->ref.end ||
           (s->ref.beg == s->ref.end && before->ref.beg == before->ref.end && s->ref.beg == before->ref.beg);
}

/* Lists the alleles that the haplotype carries, the scored one among them. Of alleles that overlap, the first is kept.
 * Returns 1, 0 if the scored allele is not the first, or CAD_ENOMEM. */
static int list_carried(place_t *p, cad_error_t *err)
{
    struct haplotypes_t *h = p->v->haplotypes;
    const segment_t *last = NULL;
    h->ncarried = 0;
    for (neighbour_t *n = h->first; n; n = n->next) {
        int allele = n == h->now ? p->alt + 1 : n->calls.kind ? allele_at(p, n) : 0, rc;
        const segment_t *s = allele ? &n->segment[allele - 1] : NULL;
        if (!s || s->kind == SEGMENT_SILENT) continue;
        if (s->kind == SEGMENT_SKIPPED || overlaps(last, s)) {
            if (is_close(p, s->ref)) p->near |= s->kind == SEGMENT_SKIPPED ? NEAR_SKIPPED : NEAR_OVERLAP;
            if (n == h->now) return 0;
            continue;
        }
        if (n == h->now) p->before = h->ncarried;
        if ((rc = carry(h, s, err))) return rc;
        last = s;
    }
    return 1;
}

/* ---- the sequence of the haplotype ---- */

/* Returns how many bases the carried alleles from `beg` to `end` - 1 remove; alleles that add bases do not count. */
static int64_t removed_by(const struct haplotypes_t *h, int beg, int end)
{
    int64_t sum = 0;
    for (int i = beg; i < end; i++) {
        const segment_t *s = h->carried[i];
        sum += cad_max(0, s->ref.end - s->ref.beg - (int64_t)s->alt.l);
    }
    return sum;
}

/* Returns the bases of the contig of which the haplotype's sequence is made: at least `reach` bases of the haplotype on
 * each side, and twice as many where the other side is shorter. */
static interval_t span_of(const place_t *p)
{
    const struct haplotypes_t *h = p->v->haplotypes;
    int64_t left = removed_by(h, 0, p->before), right = removed_by(h, p->before + 1, h->ncarried),
            before = p->ref.beg - left, after = p->contig->length - p->ref.end - right;
    interval_t at = { before - (after < h->reach ? 2 : 1) * h->reach,
                      p->ref.end + right + (before < h->reach ? 2 : 1) * h->reach };
    at = (interval_t) { cad_max(0, at.beg), cad_min(p->contig->length, at.end) };
    for (int i = 0; i < h->ncarried; i++) { /* no allele is cut */
        interval_t s = h->carried[i]->ref;
        if (s.beg < at.beg && s.end > at.beg) at.beg = s.beg;
        if (s.beg < at.end && s.end > at.end) at.end = s.end;
    }
    return at;
}

/* True if the segment lies within the bases `at`. One between two bases at the end of `at` does so only at the end of
 * the contig. */
static bool within(interval_t s, interval_t at, const contig_t *c)
{
    bool from = s.beg > at.beg || (s.beg == at.beg && (at.beg == 0 || s.end > s.beg));
    bool to = s.end < at.end || (s.end == at.end && (at.end == c->length || s.end > s.beg));
    return from && to;
}

/* Sets h->seq to the haplotype's sequence with the scored allele as REF, and p->at. */
static int build(place_t *p, cad_error_t *err)
{
    struct haplotypes_t *h = p->v->haplotypes;
    interval_t at = span_of(p);
    int64_t done = at.beg;
    const char *bases;
    int rc = view_get(&p->v->view, p->contig, at.beg, at.end, &bases, err);
    h->seq.l = 0;
    for (int i = 0; i < h->ncarried && rc == 0; i++) {
        const segment_t *s = h->carried[i];
        bool scored = i == p->before;
        if (!scored && !within(s->ref, at, p->contig)) continue;
        rc = kputsn(bases + (done - at.beg), (size_t)(s->ref.beg - done), &h->seq) < 0;
        if (scored) p->at = (int64_t)h->seq.l;
        else if (rc == 0) rc = kputsn(s->alt.s ? s->alt.s : "", s->alt.l, &h->seq) < 0;
        done = scored ? s->ref.beg : s->ref.end;
        if (rc) return cad_out_of_memory(err);
    }
    if (rc) return rc;
    return kputsn(bases + (done - at.beg), (size_t)(at.end - done), &h->seq) < 0 ? cad_out_of_memory(err) : 0;
}

/* ---- contexts ---- */

/* Adds text to a digest: each of its halves is computed by another function. */
static void digest(uint64_t d[2], const char *s, size_t n)
{
    d[0] = cad_hash_word(cad_hash(d[0], s, n), n);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, s + i, (size_t)cad_min(8, (int64_t)(n - i)));
        d[1] = cad_mix(d[1] ^ word);
    }
    d[1] = cad_mix(d[1] + n);
}

/* Begins a context of the allele: writes its haplotypes to h->hap, which in the case of an SNV is REF's alone, and sets
 * the digest. */
static int begin_context(variants_t *v, context_t *x, const allele_t *a, int alt, const contig_t *c, view_t *view,
                         cad_error_t *err)
{
    kstring_t *hap = v->haplotypes->hap;
    int rc = 0;
    *x = (context_t) { .digest = { CAD_HASH, CAD_GOLDEN }, .alt = alt, .allele = *a };
    x->allele.alt = (kstring_t) { 0, 0, NULL };
    for (int i = 0; i < (a->kind == ALLELE_SNV ? 1 : 2) && rc == 0; i++) {
        rc = allele_haplotype(a, i, c, view, &hap[i], err);
        if (rc == 0) digest(x->digest, hap[i].s, hap[i].l);
        digest(x->digest, (const char *)&a->compared[i], sizeof a->compared[i]);
    }
    digest(x->digest, (const char *)&alt, sizeof alt);
    return rc;
}

/* Returns the number of an equal context, or -1. */
static int find_context(const contexts_t *all, const context_t *x)
{
    for (int i = all->n; i-- > 0;)
        if (!memcmp(all->context[i].digest, x->digest, sizeof x->digest)) return i;
    return -1;
}

static int add_context(contexts_t *all, const context_t *x, cad_error_t *err)
{
    if (all->n == all->room) {
        int room = all->room ? 2 * all->room : 4;
        context_t *more = realloc(all->context, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        all->context = more;
        all->room = room;
    }
    all->context[all->n++] = *x;
    return 0;
}

/* Puts the windows of the context that was added last. */
static int put_windows(variants_t *v, const contexts_t *all, cad_error_t *err)
{
    const context_t *x = &all->context[all->n - 1];
    bool snv = x->allele.kind == ALLELE_SNV;
    int rc = 0;
    for (int i = 0; i < (snv ? 1 : 2) && rc == 0; i++) {
        const kstring_t *hap = &v->haplotypes->hap[i];
        letters_t letters = { .seq = hap->s, .window = { 0, (int64_t)hap->l }, .core = { 0, (int64_t)hap->l } };
        job_t j = { .id = ID_CONTEXTS + 2 * (all->n - 1) + i,
                    .mask = snv ? CAD_MASK_EACH : v->s->set->mask,
                    .scored = x->allele.compared[i] };
        rc = window_encode(&v->s->cutter.encoding, &letters, &j, err);
        if (rc) job_free(&j);
        else rc = pipeline_job(&v->s->pipe, j, err);
    }
    return rc;
}

void haplotypes_take(const variants_t *v, variant_t *d, const job_t *j)
{
    context_t *x = &d->contexts.context[(j->id - ID_CONTEXTS) / 2];
    int h = (int)(j->id & 1);
    if (x->allele.kind == ALLELE_SNV) memcpy(x->logp, j->logp, sizeof x->logp);
    else x->sum[h] = window_sum(&v->s->cutter.bases, j, x->allele.ends_halved && h == x->allele.shorter);
}

/* ---- records ---- */

/* Sets h->allele to the scored allele in the haplotype's sequence. */
static int set_allele(const place_t *p, const contig_t *own, view_t *view, cad_error_t *err)
{
    struct haplotypes_t *h = p->v->haplotypes;
    const segment_t *s = scored_segment(p);
    char *ref = strndup(h->seq.s + p->at, (size_t)(s->ref.end - s->ref.beg));
    int rc;
    if (!ref) return cad_out_of_memory(err);
    rc = allele_set(&h->allele, ref, s->alt.s ? s->alt.s : "", p->at, own, view, &h->flanks, err);
    free(ref);
    return rc;
}

/* Finds the context of the allele in one haplotype, or adds it and puts its windows. Sets *of to its number, or leaves
 * *of as it is if the haplotype cannot be scored. */
static int put_haplotype(place_t *p, int32_t *of, cad_error_t *err)
{
    struct haplotypes_t *h = p->v->haplotypes;
    int rc = list_carried(p, err), known;
    contig_t own;
    view_t view;
    context_t x;
    if (rc <= 0) return rc;
    rc = build(p, err);
    own = (contig_t) { .name = p->contig->name, .length = (int64_t)h->seq.l };
    view = (view_t) { .contig = &own, .at = { 0, own.length }, .seq = h->seq.s };
    if (rc == 0) rc = set_allele(p, &own, &view, err);
    if (rc || h->allele.kind == ALLELE_NONE) return rc;
    rc = begin_context(p->v, &x, &h->allele, p->alt, &own, &view, err);
    if (rc) return rc;
    known = find_context(&p->d->contexts, &x);
    if (known >= 0) {
        *of = known;
        return 0;
    }
    rc = add_context(&p->d->contexts, &x, err);
    if (rc) return rc;
    *of = p->d->contexts.n - 1;
    return put_windows(p->v, &p->d->contexts, err);
}

/* Returns the phase set of the scored call. A homozygous one without PS takes that of the nearest phased call, of two
 * equally near ones that of the first. */
static int64_t set_of(const struct haplotypes_t *h, int sample, interval_t ref)
{
    int64_t set = call_set(&h->now->calls, sample), nearest = INT64_MAX;
    if (set != SET_ANY) return set;
    for (const neighbour_t *n = h->first; n; n = n->next) {
        int64_t distance = cad_max(cad_max(n->beg - ref.end, ref.beg - n->end), 0);
        if (n == h->now || !n->calls.kind || call_kind(&n->calls, sample) != CALL_PHASED || distance >= nearest)
            continue;
        nearest = distance;
        set = call_set(&n->calls, sample);
    }
    return set;
}

/* Makes the context of the reference the allele's first one, since its results are known. */
static int put_reference(const place_t *p, cad_error_t *err)
{
    context_t x;
    int rc = begin_context(p->v, &x, &p->d->alt[p->alt].allele, p->alt, p->contig, &p->v->view, err);
    x.reference = true;
    return rc ? rc : add_context(&p->d->contexts, &x, err);
}

static int put_alt(place_t *p, cad_error_t *err)
{
    struct haplotypes_t *h = p->v->haplotypes;
    const calls_t *calls = &h->now->calls;
    bool first = true;
    int rc = 0;
    for (p->sample = 0; p->sample < calls->samples && rc == 0; p->sample++)
        for (p->k = 0; p->k < calls->ploidy && rc == 0; p->k++) {
            if (call_allele(calls, p->sample, p->k) != p->alt + 1) continue;
            if (first) rc = put_reference(p, err);
            first = false;
            p->set = set_of(h, p->sample, p->ref);
            if (rc == 0) rc = put_haplotype(p, &p->d->contexts.of[(int64_t)p->sample * calls->ploidy + p->k], err);
        }
    return rc;
}

/* True if --score asks for the score of this allele. */
static bool asked(const variants_t *v, const result_t *r)
{
    return r->scored && r->allele.kind != ALLELE_NONE &&
           scores_need(&v->s->set->scores, r->allele.kind == ALLELE_SNV ? NEEDS_SITE : NEEDS_HAPLOTYPES);
}

/* Allocates the numbers of the haplotypes' contexts; no haplotype has one yet. */
static int begin_contexts(contexts_t *all, const calls_t *calls, cad_error_t *err)
{
    size_t n = (size_t)calls->samples * (size_t)calls->ploidy;
    all->ploidy = calls->ploidy;
    all->of = malloc(n * sizeof *all->of);
    if (!all->of) return cad_out_of_memory(err);
    for (size_t i = 0; i < n; i++) all->of[i] = calls->allele[i] == ALLELE_ABSENT ? CONTEXT_ABSENT : CONTEXT_NONE;
    return 0;
}

int haplotypes_put(variants_t *v, variant_t *d, const contig_t *c, cad_error_t *err)
{
    const calls_t *calls = &v->haplotypes->now->calls;
    int rc = calls->kind ? begin_contexts(&d->contexts, calls, err) : 0;
    if (rc || !calls->kind) return rc;
    for (int i = 0; i < d->nalt && rc == 0; i++) {
        result_t *r = &d->alt[i];
        place_t p = { .v = v, .d = d, .contig = c, .alt = i };
        if (!asked(v, r) || v->haplotypes->now->segment[i].kind != SEGMENT_APPLIES) continue;
        p.ref = scored_segment(&p)->ref;
        p.close = (interval_t) { p.ref.beg - v->flanks.left, p.ref.end + v->flanks.right };
        rc = put_alt(&p, err);
        r->near = p.near;
    }
    pipeline_grow(&v->s->pipe, (int64_t)calls->samples * calls->ploidy * (int64_t)sizeof *d->contexts.of +
                                   d->contexts.room * (int64_t)sizeof *d->contexts.context);
    return rc;
}

void haplotypes_note(unsigned near, bool more, text_t *t)
{
    static const char *const name[] = { "UNPHASED", "OVERLAP", "SKIPPED" };
    for (int i = 0; i < 3; i++) {
        if (!(near & 1u << i)) continue;
        text_printf(t, "%s%s", more ? "&" : "", name[i]);
        more = true;
    }
}
