/* tracks.c - per-base scores of whole contigs or regions, as bigWig or bedGraph.
 *
 * Cores lie at multiples of C in reference coordinates and are computed whole, so a
 * base's value depends on the reference, the model and the options alone.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <htslib/tbx.h>
#include <math.h>

#include "io/shard.h"
#include "stream/tracks.h"
#include "io/signals.h"

static const char *const NAME[TRACK_KINDS] = { "pll",    "entropy", "ic", "logo_ref", "logo.A", "logo.C",
                                               "logo.G", "logo.T",  "pA", "pC",       "pG",     "pT" };

void track_name(track_t *x, int64_t mask)
{
    snprintf(x->name, sizeof x->name, "%s%s", NAME[x->kind], mask == CAD_MASK_NONE ? "_unmasked" : "");
}

typedef struct {
    item_t item;
    int contig;
    interval_t core;
    float *value; // (tracks, core) NaN where unscored; NULL before it is computed
} core_t;

/* ---- values ---- */

static double value_of(track_kind_t kind, const float logp[4], int ref)
{
    double ic;
    if (kind == TRACK_PLL) return (double)logp[ref];
    if (kind >= TRACK_PA) return exp((double)logp[kind - TRACK_PA]);
    if (kind == TRACK_ENTROPY) return cad_entropy(logp);
    ic = 2 - cad_entropy(logp);
    if (kind == TRACK_IC) return ic;
    return ic * exp((double)logp[kind == TRACK_LOGO_REF ? ref : (int)(kind - TRACK_LOGO_A)]);
}

int tracks_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    const tracks_t *t = arg;
    core_t *c = (core_t *)it;
    int64_t n = c->core.end - c->core.beg;
    double scale = pow(10, t->decimals);
    c->value = malloc((size_t)t->n * (size_t)n * sizeof *c->value);
    if (!c->value) return cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        const float *logp = j->logp + 4 * i;
        int ref = t->to_base.of[j->tokens[j->scored.beg + i]];
        bool scored = !isnan(logp[0]) && ref != NO_BASE;
        for (int k = 0; k < t->n; k++)
            c->value[k * n + i] = scored ? (float)((rint(value_of(t->track[k].kind, logp, ref) * scale) + 0.0) / scale)
                                         : NAN;
    }
    return 0;
}

/* ---- bedGraph: runs of equal values ---- */

static int put_run(tracks_t *t, track_t *k, cad_error_t *err)
{
    if (k->run.beg == k->run.end) return 0;
    text_clear(&t->text);
    text_printf(&t->text, "%s\t%lld\t%lld\t%.*f\n", t->ref->contig[k->contig].name, (long long)k->run.beg,
                (long long)k->run.end, t->decimals, (double)k->value);
    k->run.beg = k->run.end;
    return text_write(k->out, &t->text, err);
}

static int graph_add(tracks_t *t, track_t *k, int contig, int64_t pos, float v, cad_error_t *err)
{
    int rc = 0;
    if (k->run.end != pos || k->contig != contig || k->value != v) {
        rc = put_run(t, k, err);
        k->run.beg = pos;
        k->contig = contig;
        k->value = v;
    }
    k->run.end = pos + 1;
    return rc;
}

/* ---- sink ---- */

static int write_bases(tracks_t *t, const core_t *c, interval_t at, cad_error_t *err)
{
    int64_t n = c->core.end - c->core.beg;
    int rc = 0;
    for (int k = 0; k < t->n; k++)
        for (int64_t p = at.beg; p < at.end && rc == 0; p++) {
            float v = c->value[k * n + p - c->core.beg];
            if (isnan(v)) continue;
            rc = t->track[k].bigwig ? bigwig_add(t->track[k].bigwig, c->contig, p, v, err)
                                    : graph_add(t, &t->track[k], c->contig, p, v, err);
        }
    return rc;
}

int tracks_sink(void *arg, item_t *it, cad_error_t *err)
{
    tracks_t *t = arg;
    const core_t *c = (const core_t *)it;
    interval_t span;
    int rc = 0;
    t->cores++;
    if (!c->value) return 0; /* nothing but N, or a dry run */
    if (!t->only) return write_bases(t, c, c->core, err);
    if (t->at_contig != c->contig) t->at_span = 0;
    t->at_contig = c->contig;
    while (rc == 0 && regions_get(t->only, t->ref->contig[c->contig].name, t->at_span, &span) &&
           span.beg < c->core.end) {
        interval_t at = { cad_max(span.beg, c->core.beg), cad_min(span.end, c->core.end) };
        if (at.beg < at.end) rc = write_bases(t, c, at, err);
        if (span.end > c->core.end) break;
        t->at_span++;
    }
    return rc;
}

void tracks_drop(void *arg, item_t *it)
{
    (void)arg;
    free(((core_t *)it)->value);
    free(it);
}

/* ---- source ---- */

static int encode_core(const tracks_t *t, const contig_t *c, interval_t core, interval_t window, job_t *j,
                       cad_error_t *err)
{
    char *seq = malloc((size_t)(window.end - window.beg) + 1);
    letters_t letters = { seq, window, core, c->name, (int)strlen(c->name) };
    int rc = seq ? fasta_fetch(t->ref, c, window.beg, window.end, seq, err)
                 : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0) rc = window_encode(&t->encoding, &letters, j, err);
    j->mask = t->mask;
    j->scored = window_relative(core, window);
    free(seq);
    return rc;
}

static int put_core(tracks_t *t, int contig, int64_t k, cad_error_t *err)
{
    const contig_t *c = &t->ref->contig[contig];
    int64_t C = t->tiling->core;
    interval_t core = { k * C, cad_min((k + 1) * C, c->length) };
    interval_t window = { cad_max(0, core.beg - t->tiling->flank), cad_min(c->length, core.end + t->tiling->flank) };
    core_t *it = calloc(1, sizeof *it);
    job_t j = { 0 };
    int rc;
    if (!it) return cad_fail(err, CAD_ENOMEM, "out of memory");
    it->contig = contig;
    it->core = core;
    it->item.bytes = (int64_t)sizeof *it + 4 * t->n * (core.end - core.beg);
    t->bases += core.end - core.beg;
    pipeline_put(t->pipe, &it->item);
    rc = encode_core(t, c, core, window, &j, err);
    if (rc) job_free(&j);
    else rc = pipeline_job(t->pipe, j, err);
    return rc ? rc : pipeline_done(t->pipe, err);
}

/* Cores that touch the spans of a contig, each once. */
static int put_contig(tracks_t *t, int contig, cad_error_t *err)
{
    const contig_t *c = &t->ref->contig[contig];
    int64_t C = t->tiling->core, next = 0;
    interval_t span;
    int rc;
    for (int i = 0; (rc = regions_within(t->only, c, i, &span, t->notes, err)) > 0; i++) {
        pipeline_digest(t->pipe, &span, sizeof span); /* cores alone do not tell what is written of them */
        rc = 0;
        for (int64_t k = cad_max(next, span.beg / C); k * C < span.end && rc == 0; k++) {
            rc = put_core(t, contig, k, err);
            next = k + 1;
        }
        if (rc) break;
    }
    return rc;
}

int tracks_run(tracks_t *t, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < t->ref->ncontig && rc == 0; i++) rc = put_contig(t, i, err);
    return pipeline_end(t->pipe, rc, err);
}

/* ---- files ---- */

int tracks_begin(tracks_t *t, const provenance_t *p, cad_error_t *err)
{
    int rc = 0;
    for (int k = 0; k < t->n && rc == 0; k++) {
        track_t *x = &t->track[k];
        provenance_t mine = *p;
        if (!x->out) continue;
        provenance_add(&mine, "track", x->name);
        if (x->is_bigwig) rc = bigwig_open(&x->bigwig, x->out, t->ref->contig, t->ref->ncontig, err);
        else {
            text_clear(&t->text);
            provenance_header(&mine, &t->text);
            rc = text_write(x->out, &t->text, err);
        }
    }
    return rc;
}

int tracks_index(output_t *graph, output_t *index, bool csi, const char *path, cad_error_t *err)
{
    int rc = output_sync(graph, err);
    errno = 0;
    if (rc == 0 && tbx_index_build3(output_temporary(graph), output_temporary(index), csi ? 14 : 0, 0, &tbx_conf_bed))
        return cad_fail(err, CAD_EIO, "%s: the tabix index could not be written: %s", path,
                        strerror(errno ? errno : EIO));
    return rc ? rc : output_sync(index, err);
}

static int finish_track(tracks_t *t, track_t *x, const provenance_t *p, cad_error_t *err)
{
    provenance_t mine = *p;
    int rc = x->bigwig ? bigwig_finish(x->bigwig, err) : put_run(t, x, err);
    if (rc == 0) rc = output_sync(x->out, err);
    if (rc == 0 && x->index) rc = tracks_index(x->out, x->index, x->csi, x->path, err);
    provenance_add(&mine, "track", x->name);
    if (rc == 0 && x->json) rc = part_write(&mine, x->json, x->out, err);
    return rc || !x->json ? rc : output_sync(x->json, err);
}

int tracks_close(tracks_t *t, const provenance_t *p, cad_error_t *err)
{
    int rc = 0;
    for (int k = 0; k < t->n && rc == 0; k++)
        if (t->track[k].out) rc = finish_track(t, &t->track[k], p, err);
    signals_hold(); /* all or none */
    for (int k = 0; k < t->n && rc == 0; k++) {
        output_t **out[] = { &t->track[k].out, &t->track[k].index, &t->track[k].json };
        rc = outputs_close(out, 3, err);
    }
    signals_release();
    return rc;
}

void tracks_free(tracks_t *t)
{
    for (int k = 0; k < t->n; k++) {
        output_abort(t->track[k].out);
        output_abort(t->track[k].index);
        output_abort(t->track[k].json);
        bigwig_free(t->track[k].bigwig);
        free(t->track[k].path);
    }
    text_free(&t->text);
    t->n = 0;
}
