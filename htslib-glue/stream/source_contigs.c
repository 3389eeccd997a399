/* source_contigs.c - the source of tracks: whole contigs of the reference, or regions of them.
 *
 * The core of a window is the bases that the window scores, without its flanks. Cores have C bases and begin at
 * multiples of C in reference coordinates. A core is always computed completely, so the value of a base depends only on
 * the reference, the model and the settings, not on the regions. SPDX-License-Identifier: MIT */
#include "stream/tracks.h"

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    (void)in;
    return set->scores.n ? 0 : cad_fail(err, CAD_EARG, "--score none leaves nothing to do");
}

static int plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    *longest = window;
    return tiling_set(&s->tiling, window, s->set->flank, err);
}

static void describe(const stream_t *s, text_t *t)
{
    text_printf(t, " window=%lld flank=%lld decimals=%d", (long long)s->tiling.window, (long long)s->tiling.flank,
                ((const tracks_t *)s->state)->decimals);
}

static int encode_core(const stream_t *s, const contig_t *c, interval_t core, interval_t window, job_t *j,
                       cad_error_t *err)
{
    char *seq = malloc((size_t)(window.end - window.beg) + 1);
    letters_t letters = { seq, window, core, c->name, (int)strlen(c->name) };
    int rc = seq ? fasta_fetch(s->ref, c, window.beg, window.end, seq, err) : cad_out_of_memory(err);
    if (rc == 0) rc = window_encode(&s->cutter.encoding, &letters, j, err);
    j->mask = s->set->mask;
    j->scored = window_relative(core, window);
    free(seq);
    return rc;
}

static int put_core(stream_t *s, int contig, int64_t k, cad_error_t *err)
{
    tracks_t *t = s->state;
    const contig_t *c = &s->ref->contig[contig];
    int64_t C = s->tiling.core, flank = s->tiling.flank;
    interval_t core = { k * C, cad_min((k + 1) * C, c->length) };
    interval_t window = { cad_max(0, core.beg - flank), cad_min(c->length, core.end + flank) };
    core_t *it = calloc(1, sizeof *it);
    job_t j = { 0 };
    int rc;
    if (!it) return cad_out_of_memory(err);
    it->contig = contig;
    it->core = core;
    it->item.bytes = (int64_t)sizeof *it + 4 * t->n * (core.end - core.beg);
    t->bases += core.end - core.beg;
    t->put_contig = contig;
    t->put_end = core.end;
    pipeline_put(&s->pipe, &it->item);
    rc = encode_core(s, c, core, window, &j, err);
    if (rc) job_free(&j);
    else rc = pipeline_job(&s->pipe, j, err);
    return rc ? rc : pipeline_done(&s->pipe, err);
}

/* Puts into the pipeline each core that overlaps a region to score (a span) of the contig, each core once. */
static int put_contig(stream_t *s, int contig, cad_error_t *err)
{
    const contig_t *c = &s->ref->contig[contig];
    int64_t C = s->tiling.core, next = 0;
    interval_t span;
    int rc;
    for (int i = 0; (rc = regions_within(s->only, c, i, &span, s->notes, err)) > 0; i++) {
        /* the span decides which bases of the cores are written, so the span is added to the digest */
        pipeline_digest(&s->pipe, &span, sizeof span);
        rc = 0;
        for (int64_t k = cad_max(next, span.beg / C); k * C < span.end && rc == 0; k++) {
            rc = put_core(s, contig, k, err);
            next = k + 1;
        }
        if (rc) break;
    }
    return rc;
}

static int read_input(stream_t *s, cad_error_t *err)
{
    int rc = tracks_begin(s, err);
    for (int i = 0; i < s->ref->ncontig && rc == 0; i++) rc = put_contig(s, i, err);
    return rc;
}

static const char *contig_name(const void *ref, int i) { return ((const fasta_t *)ref)->contig[i].name; }
static int64_t contig_length(const void *ref, int i) { return ((const fasta_t *)ref)->contig[i].length; }

static double share(const stream_t *s)
{
    const tracks_t *t = s->state;
    contigs_t contigs = { s->ref, s->ref->ncontig, contig_name, contig_length };
    return regions_share_before(s->only, &contigs, t->put_contig, t->put_end);
}

static void close_tracks(stream_t *s) { tracks_free(s->state); }

const source_t SOURCE_CONTIGS = {
    .holds = "contigs",
    .counts = "bases",
    .needs = NEEDS_BASES,
    .of = OF_TRACKS,
    .scores = "pll",
    .size = sizeof(tracks_t),
    .check = check,
    .plan = plan,
    .describe = describe,
    .read = read_input,
    .take = tracks_take,
    .sink = tracks_sink,
    .drop = tracks_drop,
    .share = share,
    .close = close_tracks,
};
