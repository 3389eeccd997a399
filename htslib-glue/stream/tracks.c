/* tracks.c - writes a value for every base to bigWig, or runs of equal values to bedGraph.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "io/shard.h"
#include "io/signals.h"
#include "io/tabix.h"
#include "stream/tracks.h"

/* ---- the list of tracks ---- */

bool track_is_stacked(const track_t *x) { return x->score->tracks > 1; }

static void name_track(track_t *x, int64_t mask)
{
    char base[3] = { '.', "ACGT"[x->base], 0 };
    snprintf(x->name, sizeof x->name, "%s%s%s", x->score->name, track_is_stacked(x) ? base : "",
             score_suffix(x->score, mask));
}

int tracks_list(tracks_t *t, const score_list_t *scores, int64_t mask, cad_error_t *err)
{
    t->track = calloc((size_t)scores->n * SCORE_TRACKS + 1, sizeof *t->track);
    if (!t->track) return cad_out_of_memory(err);
    for (int i = 0; i < scores->n; i++)
        for (int b = 0; b < scores->row[i]->tracks; b++) {
            track_t *x = &t->track[t->n++];
            x->score = scores->row[i];
            x->base = x->score->base + b;
            name_track(x, mask);
        }
    return 0;
}

/* ---- values ---- */

/* Returns the value of a track at one base, rounded to the decimals that are written. Adds 0.0 so that -0 becomes 0. */
static float value_at(const track_t *x, const float logp[4], int ref, double scale)
{
    return (float)((rint(x->score->at(logp, ref, x->base) * scale) + 0.0) / scale);
}

int tracks_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    const stream_t *s = arg;
    const tracks_t *t = s->state;
    core_t *c = (core_t *)it;
    int64_t n = c->core.end - c->core.beg;
    double scale = pow(10, t->decimals);
    c->value = malloc((size_t)t->n * (size_t)n * sizeof *c->value);
    if (!c->value) return cad_out_of_memory(err);
    for (int64_t i = 0; i < n; i++) {
        const float *logp = j->logp + 4 * i;
        int ref = s->cutter.bases.of[j->tokens[j->scored.beg + i]];
        bool scored = !isnan(logp[0]) && ref != NO_BASE;
        for (int k = 0; k < t->n; k++) c->value[k * n + i] = scored ? value_at(&t->track[k], logp, ref, scale) : NAN;
    }
    return 0;
}

/* ---- bedGraph: runs of equal values ---- */

static int put_run(stream_t *s, track_t *k, cad_error_t *err)
{
    tracks_t *t = s->state;
    if (k->run.beg == k->run.end) return 0;
    text_clear(&t->text);
    text_printf(&t->text, "%s\t%lld\t%lld\t%.*f\n", s->ref->contig[k->contig].name, (long long)k->run.beg,
                (long long)k->run.end, t->decimals, (double)k->value);
    k->run.beg = k->run.end;
    return text_write(k->out, &t->text, err);
}

static int graph_add(stream_t *s, track_t *k, int contig, int64_t pos, float v, cad_error_t *err)
{
    int rc = 0;
    if (k->run.end != pos || k->contig != contig || k->value != v) {
        rc = put_run(s, k, err);
        k->run.beg = pos;
        k->contig = contig;
        k->value = v;
    }
    k->run.end = pos + 1;
    return rc;
}

/* ---- the sink ---- */

static int write_bases(stream_t *s, const core_t *c, interval_t at, cad_error_t *err)
{
    tracks_t *t = s->state;
    int64_t n = c->core.end - c->core.beg;
    int rc = 0;
    s->rows += at.end - at.beg;
    /* no value was computed, because all bases of the core are N or because this is a dry run */
    if (!c->value) return 0;
    for (int k = 0; k < t->n; k++)
        for (int64_t p = at.beg; p < at.end && rc == 0; p++) {
            float v = c->value[k * n + p - c->core.beg];
            if (isnan(v)) continue;
            if (t->see) t->see(t->see_arg, k, p, v);
            if (!t->track[k].out) continue;
            rc = t->track[k].bigwig ? bigwig_add(t->track[k].bigwig, c->contig, p, v, err)
                                    : graph_add(s, &t->track[k], c->contig, p, v, err);
        }
    return rc;
}

int tracks_sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    tracks_t *t = s->state;
    const core_t *c = (const core_t *)it;
    interval_t span;
    int rc = 0;
    if (!s->only) return write_bases(s, c, c->core, err);
    if (t->at_contig != c->contig) t->at_span = 0;
    t->at_contig = c->contig;
    while (rc == 0 && regions_get(s->only, s->ref->contig[c->contig].name, t->at_span, &span) &&
           span.beg < c->core.end) {
        interval_t at = { cad_max(span.beg, c->core.beg), cad_min(span.end, c->core.end) };
        if (at.beg < at.end) rc = write_bases(s, c, at, err);
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

/* ---- files ---- */

int tracks_begin(stream_t *s, cad_error_t *err)
{
    tracks_t *t = s->state;
    int rc = 0;
    for (int k = 0; k < t->n && rc == 0; k++) {
        track_t *x = &t->track[k];
        provenance_t mine = *s->provenance;
        if (!x->out) continue;
        provenance_add(&mine, "track", x->name);
        if (x->is_bigwig) rc = bigwig_open(&x->bigwig, x->out, s->ref->contig, s->ref->ncontig, err);
        else {
            text_clear(&t->text);
            if (!s->set->no_version) provenance_header(&mine, &t->text);
            rc = text_write(x->out, &t->text, err);
        }
    }
    return rc;
}

static int finish_track(stream_t *s, track_t *x, cad_error_t *err)
{
    provenance_t mine = *s->provenance;
    int rc = x->bigwig ? bigwig_finish(x->bigwig, err) : put_run(s, x, err);
    if (rc == 0) rc = output_sync(x->out, err);
    if (rc == 0 && x->index) rc = tabix_index(x->out, x->index, x->csi, x->path, err);
    provenance_add(&mine, "track", x->name);
    if (rc == 0 && x->json) rc = part_write(&mine, x->json, x->out, err);
    return rc || !x->json ? rc : output_sync(x->json, err);
}

int tracks_close(stream_t *s, cad_error_t *err)
{
    tracks_t *t = s->state;
    int rc = 0;
    for (int k = 0; k < t->n && rc == 0; k++)
        if (t->track[k].out) rc = finish_track(s, &t->track[k], err);
    signals_hold(); /* so that a fatal signal cannot end the process between two renames */
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
    free(t->track);
    t->track = NULL;
    text_free(&t->text);
    t->n = 0;
}
