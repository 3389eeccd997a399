/* source_mutations.c - the source of caduceus mutate: every base of whole contigs, or of regions of them, changed to
 * the three others.
 *
 * A language model masks a base and says how likely the others are. With --mask each, each base has a window of its
 * own, placed as that of an SNV. With stride:K, regions are cut into the windows of annotate's regions. A classifier
 * reads a whole region, once as it is and once for each change. A deletion is compared as in alleles.c; as all
 * deletions of one base from a run of equal bases give the same sequence, only the first of them is computed.
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <math.h>

#include "stream/mutations.h"

/* Kinds of windows. The window of kind k for base i of a stretch has the id KINDS * i + k. */
enum { SCORED, REF, ALT, ALT_HALVED, CHANGED, KINDS = 8 };

static bool classifies(const mutations_t *m) { return m->head.n > 0; }
static bool masks_each(const stream_t *s) { return s->set->mask == CAD_MASK_EACH; }

static bool letter_scored(const stream_t *s, char c)
{
    return is_base((char)toupper((unsigned char)c)) && !(s->set->skip_soft && islower((unsigned char)c));
}

bool stretch_scored(const stream_t *s, const stretch_t *x, int64_t i) { return letter_scored(s, x->letter[i + 1]); }

bool stretch_continues(const stream_t *s, const stretch_t *x, int64_t i)
{
    char before = x->first && i == 0 ? 0 : x->letter[i], c = x->letter[i + 1];
    return letter_scored(s, before) && letter_scored(s, c) &&
           toupper((unsigned char)before) == toupper((unsigned char)c);
}

/* ---- results ---- */

static void take_bases(const stream_t *s, stretch_t *x, int64_t i, const job_t *j)
{
    for (int64_t t = j->scored.beg; t < j->scored.end; t++, i++) {
        const float *logp = j->logp + 4 * (t - j->scored.beg);
        int ref = s->cutter.bases.of[j->tokens[t]];
        if (isnan(logp[0]) || ref == NO_BASE) continue;
        for (int b = 0; b < 4; b++) x->value[4 * i + b] = (float)((double)logp[b] - (double)logp[ref] + 0.0);
    }
}

static int64_t largest(const float *v, int64_t n)
{
    int64_t k = 0;
    for (int64_t i = 1; i < n; i++)
        if (v[i] > v[k]) k = i;
    return k;
}

/* Stores a classifier's output for one change. The window without changes comes first, with id 0. */
static void take_output(const mutations_t *m, stretch_t *x, const job_t *j)
{
    const cad_head_t *h = &m->head;
    int64_t i = j->id / KINDS;
    if (j->id == 0) {
        x->output = m->output >= 0 ? m->output : largest(j->embedding, h->n);
        x->whole = (double)j->embedding[x->output];
    } else {
        double change = (double)j->embedding[x->output] - x->whole;
        if (h->kind == CAD_HEAD_VALUES) change *= h->scale[x->output];
        x->value[4 * i + j->id % KINDS - CHANGED] = (float)(change + 0.0);
    }
}

static int take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    const stream_t *s = arg;
    stretch_t *x = (stretch_t *)it;
    int64_t i = j->id / KINDS, kind = j->id % KINDS;
    (void)err;
    if (classifies(s->state)) take_output(s->state, x, j);
    else if (kind == SCORED) take_bases(s, x, i, j);
    else if (kind == REF) x->dpll[i] = -window_sum(&s->cutter.bases, j, false);
    else x->dpll[i] += window_sum(&s->cutter.bases, j, kind == ALT_HALVED);
    return 0;
}

static int sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    const stretch_t *x = (const stretch_t *)it;
    s->rows += x->at.end - x->at.beg;
    return s->pipe.ctx ? mutations_write(s, x, err) : 0;
}

static void drop(void *arg, item_t *it)
{
    stretch_t *x = (stretch_t *)it;
    (void)arg;
    free(x->letter);
    free(x->value);
    free(x->dpll);
    free(x);
}

/* ---- stretches ---- */

/* Copies the letters of the stretch, and one more on each side. */
static int copy_letters(stream_t *s, stretch_t *x, cad_error_t *err)
{
    mutations_t *m = s->state;
    const contig_t *c = &s->ref->contig[x->contig];
    int64_t before = x->at.beg > 0, after = x->at.end < c->length, n = x->at.end - x->at.beg, odd = 0;
    const char *seq;
    int rc = view_get(&m->letters, c, x->at.beg - before, x->at.end + after, &seq, err);
    if (rc) return rc;
    memcpy(x->letter + 1 - before, seq, (size_t)(before + n + after));
    for (int64_t i = 1; i <= n; i++) {
        char letter = (char)toupper((unsigned char)x->letter[i]);
        odd += !is_base(letter) && letter != 'N';
    }
    window_note_odd(s->notes, odd, c->name, (int)strlen(c->name), x->at);
    return 0;
}

/* Makes a stretch without results: the value of a scored base itself is 0, all others are NaN. */
static int new_stretch(stream_t *s, int contig, interval_t at, stretch_t **out, cad_error_t *err)
{
    const mutations_t *m = s->state;
    size_t n = (size_t)(at.end - at.beg);
    stretch_t *x = calloc(1, sizeof *x);
    int rc = 0;
    *out = x;
    if (!x) return cad_out_of_memory(err);
    *x = (stretch_t) { .contig = contig, .at = at, .first = at.beg == m->region.beg };
    x->item.bytes = (int64_t)(sizeof *x + n * (2 + 4 * sizeof *x->value + sizeof *x->dpll));
    x->letter = calloc(n + 2, 1);
    x->value = cad_alloc(4 * n, sizeof *x->value);
    x->dpll = m->deletions ? cad_alloc(n, sizeof *x->dpll) : NULL;
    if (!x->letter || !x->value || (m->deletions && !x->dpll)) rc = cad_out_of_memory(err);
    if (rc == 0) rc = copy_letters(s, x, err);
    for (int64_t i = 0; i < (int64_t)n && rc == 0; i++) {
        int ref = base_of_letter(x->letter[i + 1]);
        for (int b = 0; b < 4; b++) x->value[4 * i + b] = b == ref && stretch_scored(s, x, i) ? 0 : NAN;
        if (x->dpll) x->dpll[i] = NAN;
    }
    return rc;
}

/* ---- windows ---- */

/* Puts letters as a window into the pipeline. */
static int put_letters(stream_t *s, const char *seq, interval_t window, job_t j, cad_error_t *err)
{
    int rc = window_encode(&s->cutter.encoding, &(letters_t) { .seq = seq, .window = window, .core = window }, &j, err);
    if (rc == 0) return pipeline_job(&s->pipe, j, err);
    job_free(&j);
    return rc;
}

/* Puts one haplotype (REF or ALT) of m->allele. */
static int put_haplotype(stream_t *s, const contig_t *c, int h, int64_t id, int64_t mask, cad_error_t *err)
{
    mutations_t *m = s->state;
    int rc = allele_haplotype(&m->allele, h, c, &m->view, &m->haplotype, err);
    job_t j = { .id = id, .mask = mask, .scored = m->allele.compared[h] };
    return rc ? rc : put_letters(s, m->haplotype.s, (interval_t) { 0, (int64_t)m->haplotype.l }, j, err);
}

/* Puts the window of base i, as annotate puts that of an SNV. */
static int put_site(stream_t *s, const stretch_t *x, int64_t i, const contig_t *c, cad_error_t *err)
{
    mutations_t *m = s->state;
    char ref[2] = { x->letter[i + 1], 0 }, alt[2] = { base_of_letter(*ref) ? 'A' : 'C', 0 };
    int rc = allele_set(&m->allele, ref, alt, x->at.beg + i, c, &m->view, &m->flanks, err);
    return rc ? rc : put_haplotype(s, c, 0, KINDS * i + SCORED, CAD_MASK_EACH, err);
}

/* Puts the two haplotypes of the deletion of base i. */
static int put_deletion(stream_t *s, const stretch_t *x, int64_t i, const contig_t *c, cad_error_t *err)
{
    mutations_t *m = s->state;
    char ref[2] = { x->letter[i + 1], 0 };
    int rc = allele_set(&m->allele, ref, "", x->at.beg + i, c, &m->view, &m->flanks, err);
    if (rc || m->allele.kind == ALLELE_NONE || c->length == 1) return rc;
    rc = put_haplotype(s, c, 0, KINDS * i + REF, m->deletion_mask, err);
    return rc ? rc
              : put_haplotype(s, c, 1, KINDS * i + (m->allele.ends_halved ? ALT_HALVED : ALT), m->deletion_mask, err);
}

static int put_deletions(stream_t *s, const stretch_t *x, const contig_t *c, cad_error_t *err)
{
    int rc = 0;
    for (int64_t i = 0; i < x->at.end - x->at.beg && rc == 0; i++)
        if (stretch_scored(s, x, i) && !stretch_continues(s, x, i)) rc = put_deletion(s, x, i, c, err);
    return rc;
}

/* Puts a region as a classifier reads it: once as it is, and once for each change. */
static int put_changes(stream_t *s, const stretch_t *x, cad_error_t *err)
{
    interval_t all = { 0, x->at.end - x->at.beg };
    char *seq = strndup(x->letter + 1, (size_t)all.end);
    int rc = seq ? put_letters(s, seq, all, (job_t) { .pooled = all }, err) : cad_out_of_memory(err);
    for (int64_t i = 0; i < all.end && rc == 0; i++)
        for (int b = 0; b < 4 && stretch_scored(s, x, i) && rc == 0; b++) {
            char old = seq[i];
            if (base_of_letter(old) == b) continue;
            seq[i] = "ACGT"[b];
            rc = put_letters(s, seq, all, (job_t) { .id = KINDS * i + CHANGED + b, .pooled = all }, err);
            seq[i] = old;
        }
    free(seq);
    return rc;
}

/* Puts a stretch that shares the window `window` (stride:K), or whose bases have windows of their own. */
static int put_windows(stream_t *s, const stretch_t *x, interval_t window, const contig_t *c, cad_error_t *err)
{
    mutations_t *m = s->state;
    const char *seq;
    int rc = 0;
    if (classifies(m)) return put_changes(s, x, err);
    if (masks_each(s)) {
        for (int64_t i = 0; i < x->at.end - x->at.beg && rc == 0; i++)
            if (stretch_scored(s, x, i)) rc = put_site(s, x, i, c, err);
    } else {
        job_t j = { .mask = s->set->mask, .scored = window_relative(x->at, window) };
        rc = view_get(&m->letters, c, window.beg, window.end, &seq, err);
        if (rc == 0) rc = put_letters(s, seq, window, j, err);
    }
    return rc == 0 && m->deletions ? put_deletions(s, x, c, err) : rc;
}

static int put_stretch(stream_t *s, int contig, interval_t at, interval_t window, cad_error_t *err)
{
    mutations_t *m = s->state;
    const contig_t *c = &s->ref->contig[contig];
    stretch_t *x;
    int rc = new_stretch(s, contig, at, &x, err);
    if (rc) {
        if (x) drop(s, &x->item);
        return rc;
    }
    m->put_contig = contig;
    m->put_end = at.end;
    pipeline_put_with(&s->pipe, &x->item, m->deletions && stretch_continues(s, x, 0));
    rc = put_windows(s, x, window, c, err);
    return rc ? rc : pipeline_done(&s->pipe, err);
}

static int put_region(stream_t *s, int contig, interval_t span, cad_error_t *err)
{
    mutations_t *m = s->state;
    int rc = 0;
    m->region = span;
    /* stretches without windows are in no window's digest */
    pipeline_digest(&s->pipe, &span, sizeof span);
    if (classifies(m)) return put_stretch(s, contig, span, span, err);
    if (masks_each(s))
        for (int64_t p = span.beg; p < span.end && rc == 0; p++)
            rc = put_stretch(s, contig, (interval_t) { p, p + 1 }, span, err);
    else
        for (int64_t k = 0, n = tiles_count(&s->tiling, span); k < n && rc == 0; k++) {
            interval_t core, window;
            tiles_get(&s->tiling, span, s->ref->contig[contig].length, k, &core, &window);
            rc = put_stretch(s, contig, core, window, err);
        }
    return rc;
}

static int read_regions(stream_t *s, cad_error_t *err)
{
    mutations_t *m = s->state;
    interval_t span;
    int rc = mutations_begin(s, err);
    m->view.ref = m->letters.ref = s->ref;
    m->letters.as_is = true;
    s->pipe.mask = m->deletions ? m->deletion_mask : s->set->mask;
    s->pipe.outputs = m->head.n;
    for (int i = 0; i < s->ref->ncontig && rc == 0; i++)
        for (int k = 0; rc == 0 && (rc = regions_within(s->only, &s->ref->contig[i], k, &span, s->notes, err)) > 0; k++)
            rc = put_region(s, i, span, err);
    return rc;
}

/* ---- settings ---- */

/* Sets *longest to the length of the longest region and m->region to the last; makes room to keep the results. */
static int look_at_regions(const stream_t *s, int64_t *longest, cad_error_t *err)
{
    mutations_t *m = s->state;
    found_t found;
    int64_t n;
    int rc = regions_find(s->only, s->ref, NULL, &found, err);
    *longest = cad_max(found.longest, 1);
    m->region = found.at;
    m->contig = found.contig;
    if (rc || !m->keep) return rc;
    n = m->region.end - m->region.beg;
    if (found.count != 1)
        return cad_fail(err, CAD_EARG, "%s: %lld regions; a picture shows one: choose it with -r", s->ref->path,
                        (long long)found.count);
    m->letter = calloc((size_t)n + 1, 1);
    m->value = cad_alloc(4 * (size_t)n, sizeof *m->value);
    return m->letter && m->value ? 0 : cad_out_of_memory(err);
}

static int plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    mutations_t *m = s->state;
    int64_t most, region, site;
    int rc = flanks_set(&m->flanks, window, s->set->flank, -1, &most, err);
    if (rc == 0) rc = look_at_regions(s, &region, err);
    if (rc == 0 && !masks_each(s)) rc = tiling_set(&s->tiling, window, s->set->flank, err);
    if (rc) return rc;
    if (classifies(m) && region > window)
        return cad_fail(err, CAD_EARG,
                        "a region has %lld bases; the classifier reads a region at once, and takes up to %lld; "
                        "shorten it, or widen --window",
                        (long long)region, (long long)window);
    /* a deletion has at most 1024 bases, a run of equal ones; see alleles.c */
    m->flanks.longest = 1024;
    site = m->deletions ? 2 * cad_max(m->flanks.left, 640) + m->flanks.longest : 2 * m->flanks.left + 1;
    *longest = classifies(m)   ? region
               : masks_each(s) ? site
                               : cad_max(m->deletions ? site : 1, cad_min(window, region + 2 * s->tiling.flank));
    return 0;
}

static void describe(const stream_t *s, text_t *t)
{
    const mutations_t *m = s->state;
    if (classifies(m)) {
        text_printf(t, " output=%s", m->output < 0 ? "predicted" : m->head.name[m->output]);
        return;
    }
    if (m->deletions && m->deletion_mask == CAD_MASK_EACH) text_puts(t, " deletions=each");
    else if (m->deletions) text_printf(t, " deletions=stride:%lld", (long long)m->deletion_mask);
    text_printf(t, " window=%lld", (long long)m->flanks.window);
    if (!masks_each(s)) text_printf(t, " flank=%lld", (long long)s->tiling.flank);
    if (masks_each(s) || m->deletions)
        text_printf(t, " left=%lld right=%lld", (long long)m->flanks.left, (long long)m->flanks.right);
}

static const char *contig_name(const void *ref, int i) { return ((const fasta_t *)ref)->contig[i].name; }
static int64_t contig_length(const void *ref, int i) { return ((const fasta_t *)ref)->contig[i].length; }

static double share(const stream_t *s)
{
    const mutations_t *m = s->state;
    contigs_t contigs = { s->ref, s->ref->ncontig, contig_name, contig_length };
    return regions_share_before(s->only, &contigs, m->put_contig, m->put_end);
}

static void close_mutations(stream_t *s)
{
    mutations_t *m = s->state;
    mutations_free(m);
    cad_head_free(&m->head);
    free(m->allele.alt.s);
    free(m->haplotype.s);
    view_free(&m->view);
    view_free(&m->letters);
}

const source_t SOURCE_MUTATIONS = {
    .holds = "regions",
    .counts = "bases",
    .size = sizeof(mutations_t),
    .plan = plan,
    .describe = describe,
    .read = read_regions,
    .take = take,
    .sink = sink,
    .drop = drop,
    .share = share,
    .close = close_mutations,
};
