/* source_sites.c - the source of neutral sites. For each pentanucleotide it draws some of the sites in the given
 * regions, and scores all three changes of a site in one pass, as annotate scores an SNV.
 *
 * Every site has a random number, a function of the seed and of its place. The sites with the lowest numbers are drawn,
 * so the draw needs one pass over the reference and does not depend on how the regions are written.
 * SPDX-License-Identifier: MIT */
#include "io/foundation.h"
#include "stream/sites.h"

#define STEP 65536 /* number of reference bases that are looked at together */

/* ---- drawing ---- */

static int by_order(const void *a, const void *b)
{
    const drawn_t *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    if (x->contig != y->contig) return x->contig < y->contig ? -1 : 1;
    return (x->pos > y->pos) - (x->pos < y->pos);
}

static int by_place(const void *a, const void *b)
{
    const drawn_t *x = a, *y = b;
    if (x->contig != y->contig) return x->contig < y->contig ? -1 : 1;
    return (x->pos > y->pos) - (x->pos < y->pos);
}

/* Drops all sites but the `each` lowest. */
static void keep_lowest(draw_t *d, int64_t each)
{
    if (d->n == 0) return;
    qsort(d->site, (size_t)d->n, sizeof *d->site, by_order);
    if (d->n <= each) return;
    d->n = each;
    d->limit = d->site[each - 1].order;
}

static int offer(draw_t *d, int64_t each, drawn_t site, cad_error_t *err)
{
    if (site.order > d->limit) return 0;
    if (d->n == 2 * each) keep_lowest(d, each);
    if (d->n == d->room) {
        int64_t room = cad_min(2 * each, d->room ? 2 * d->room : 64);
        drawn_t *more = realloc(d->site, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        d->site = more;
        d->room = room;
    }
    d->site[d->n++] = site;
    return 0;
}

/* Offers the sites in [beg, end) of a contig; the reference has two more bases on each side. */
static int offer_sites(stream_t *s, int contig, int64_t beg, int64_t end, cad_error_t *err)
{
    sites_t *t = s->state;
    const contig_t *c = &s->ref->contig[contig];
    uint64_t name = cad_random_name(c->name);
    const char *seq;
    int rc = view_get(&t->view, c, beg - 2, end + 2, &seq, err);
    for (int64_t pos = beg; pos < end && rc == 0; pos++, seq++) {
        int base = base_of_letter(seq[2]), cell = base == NO_BASE ? -1 : calibration_cell(seq, (base + 1) % 4);
        if (cell < 0) continue;
        rc = offer(&t->draw[calibration_context(cell)], t->each,
                   (drawn_t) { cad_random(t->seed, name, (uint64_t)pos, 0), contig, pos }, err);
    }
    return rc;
}

static int offer_span(stream_t *s, int contig, interval_t span, cad_error_t *err)
{
    int64_t end = cad_min(span.end, s->ref->contig[contig].length - 2);
    int rc = 0;
    for (int64_t at = cad_max(span.beg, 2); at < end && rc == 0; at += STEP)
        rc = offer_sites(s, contig, at, cad_min(end, at + STEP), err);
    return rc;
}

/* Collects the sites of all pentanucleotides, in the order of the reference. */
static int collect(stream_t *s, cad_error_t *err)
{
    sites_t *t = s->state;
    for (int i = 0; i < CELLS / 4; i++) {
        keep_lowest(&t->draw[i], t->each);
        t->n += t->draw[i].n;
    }
    if (t->n == 0)
        return cad_fail(err, CAD_EARG, "%s: no site to draw: -L and -r leave no base with two of A, C, G, T beside it",
                        s->ref->path);
    t->site = malloc((size_t)t->n * sizeof *t->site);
    if (!t->site) return cad_out_of_memory(err);
    t->n = 0;
    for (int i = 0; i < CELLS / 4; i++) {
        if (t->draw[i].n) memcpy(t->site + t->n, t->draw[i].site, (size_t)t->draw[i].n * sizeof *t->site);
        t->n += t->draw[i].n;
    }
    qsort(t->site, (size_t)t->n, sizeof *t->site, by_place);
    for (int64_t i = 0; i < t->n; i++) t->digest = cad_hash_word(t->digest, t->site[i].order);
    return 0;
}

int sites_draw(stream_t *s, cad_error_t *err)
{
    sites_t *t = s->state;
    int rc = 0;
    t->view.ref = s->ref;
    t->digest = CAD_HASH;
    for (int i = 0; i < CELLS / 4; i++) t->draw[i].limit = UINT64_MAX;
    for (int i = 0; i < s->ref->ncontig && rc == 0; i++) {
        interval_t span, both;
        for (int k = 0; rc == 0 && (rc = regions_within(s->targets, &s->ref->contig[i], k, &span, s->notes, err)) > 0;
             k++) {
            interval_t only;
            rc = 0;
            for (int j = 0; rc == 0 && (rc = regions_within(s->only, &s->ref->contig[i], j, &only, s->notes, err)) > 0;
                 j++) {
                both = (interval_t) { cad_max(span.beg, only.beg), cad_min(span.end, only.end) };
                rc = offer_span(s, i, both, err);
            }
        }
    }
    return rc ? rc : collect(s, err);
}

/* ---- running ---- */

typedef struct site_item_t {
    item_t item; /* must be the first member, as in all pipeline items */
    char five[5];
    float logp[4];
} site_item_t;

static int put_site(stream_t *s, const drawn_t *d, cad_error_t *err)
{
    sites_t *t = s->state;
    const contig_t *c = &s->ref->contig[d->contig];
    site_item_t *it = calloc(1, sizeof *it);
    allele_t a = { 0 };
    job_t j = { .mask = CAD_MASK_EACH };
    char ref[2] = "", alt[2] = "";
    const char *seq;
    int rc = it ? view_get(&t->view, c, d->pos - 2, d->pos + 3, &seq, err) : cad_out_of_memory(err);
    if (rc == 0) {
        it->item.bytes = (int64_t)sizeof *it;
        memcpy(it->five, seq, sizeof it->five);
        *ref = it->five[2];
        *alt = *ref == 'A' ? 'C' : 'A';
        rc = allele_set(&a, ref, alt, d->pos, c, &t->view, &t->flanks, err);
    }
    if (rc == 0) rc = allele_haplotype(&a, 0, c, &t->view, &t->haplotype, err);
    if (rc == 0) {
        interval_t all = { 0, (int64_t)t->haplotype.l };
        j.scored = a.compared[0];
        rc = window_encode(&s->cutter.encoding, &(letters_t) { .seq = t->haplotype.s, .window = all, .core = all }, &j,
                           err);
    }
    free(a.alt.s);
    if (rc) {
        job_free(&j);
        free(it);
        return rc;
    }
    pipeline_put(&s->pipe, &it->item);
    rc = pipeline_job(&s->pipe, j, err);
    return rc ? rc : pipeline_done(&s->pipe, err);
}

static int read_sites(stream_t *s, cad_error_t *err)
{
    sites_t *t = s->state;
    int rc = 0;
    for (; t->put < t->n && rc == 0; t->put++) rc = put_site(s, &t->site[t->put], err);
    return rc;
}

static int take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    (void)arg;
    (void)err;
    memcpy(((site_item_t *)it)->logp, j->logp, sizeof((site_item_t *)it)->logp);
    return 0;
}

static int keep_value(sites_t *t, int cell, double llr, cad_error_t *err)
{
    if (t->count[cell] == t->room[cell]) {
        int64_t room = t->room[cell] ? 2 * t->room[cell] : 64;
        double *more = realloc(t->value[cell], (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        t->value[cell] = more;
        t->room[cell] = room;
    }
    t->value[cell][t->count[cell]++] = llr;
    return 0;
}

static int sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    const site_item_t *d = (const site_item_t *)it;
    int ref = base_of_letter(d->five[2]), rc = 0;
    s->rows++;
    for (int alt = 0; alt < 4 && rc == 0 && s->pipe.ctx; alt++)
        if (alt != ref)
            rc = keep_value(s->state, calibration_cell(d->five, alt), (double)d->logp[alt] - (double)d->logp[ref], err);
    return rc;
}

static void drop(void *arg, item_t *it)
{
    (void)arg;
    free(it);
}

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    (void)in;
    (void)err;
    scores_add(&set->scores, "llr");
    return 0;
}

static int plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    return flanks_set(&((sites_t *)s->state)->flanks, window, s->set->flank, s->set->anchor, longest, err);
}

static void describe(const stream_t *s, text_t *t)
{
    const sites_t *d = s->state;
    text_printf(t, " window=%lld left=%lld right=%lld n=%lld seed=%llu sites=%lld:%016llx", (long long)d->flanks.window,
                (long long)d->flanks.left, (long long)d->flanks.right, (long long)d->each, (unsigned long long)d->seed,
                (long long)d->n, (unsigned long long)d->digest);
}

static double share(const stream_t *s)
{
    const sites_t *t = s->state;
    return t->n ? (double)t->put / (double)t->n : 0;
}

static void close_sites(stream_t *s)
{
    sites_t *t = s->state;
    for (int i = 0; i < CELLS / 4; i++) free(t->draw[i].site);
    for (int i = 0; i < CELLS; i++) free(t->value[i]);
    free(t->site);
    free(t->haplotype.s);
    view_free(&t->view);
}

const source_t SOURCE_SITES = {
    .holds = "sites",
    .counts = "sites",
    .needs = NEEDS_SITE,
    .size = sizeof(sites_t),
    .check = check,
    .plan = plan,
    .describe = describe,
    .read = read_sites,
    .take = take,
    .sink = sink,
    .drop = drop,
    .share = share,
    .close = close_sites,
};
