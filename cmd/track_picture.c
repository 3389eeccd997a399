/* track_picture.c - the picture of caduceus track --png: the values of all tracks in one region.
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <math.h>

#include "caption.h"
#include "draw/pictures.h"
#include "io/shard.h"
#include "track_picture.h"

enum { PANELS = 16, MOST = 10000000 };

int track_picture_open(track_picture_t *p, ledger_t *files, bool dry_run, cad_error_t *err)
{
    int rc = p->path ? output_suffix(p->path, PICTURE_SUFFIXES, "", err) : 0;
    if (rc || !p->path) return rc;
    if (!canvas_fits(p->path))
        return cad_fail(err, CAD_EARG, "--png %s: expected a name in .png, .svg or .pdf", p->path);
    rc = canvas_possible(p->path, err);
    if (rc == 0) rc = ledger_output(files, p->path, err);
    if (rc || dry_run) return rc;
    rc = output_open(&p->out, p->path, false, err);
    return rc == 0 && output_is_file(p->out) ? output_beside(&p->json, p->path, ".json", err) : rc;
}

/* ---- values ---- */

static void see(void *picture, int track, int64_t pos, float v)
{
    track_picture_t *p = picture;
    p->value[track * (p->at.end - p->at.beg) + pos - p->at.beg] = v;
}

/* Sets p->contig and p->at to the only region. */
static int find_region(track_picture_t *p, const run_t *r, cad_error_t *err)
{
    found_t found;
    int rc = regions_find(r->only, &r->ref, NULL, &found, err);
    if (rc) return rc;
    if (found.count != 1)
        return cad_fail(err, CAD_EARG, "--png: %lld regions; a picture shows one: choose it with -r",
                        (long long)found.count);
    if (found.longest > MOST)
        return cad_fail(err, CAD_EARG, "--png: the region has %lld bases; a picture shows up to %d",
                        (long long)found.longest, MOST);
    p->contig = &r->ref.contig[found.contig];
    p->at = found.at;
    return 0;
}

int track_picture_begin(track_picture_t *p, run_t *r, cad_error_t *err)
{
    tracks_t *t = r->stream.state;
    int64_t values;
    int rc = p->path ? find_region(p, r, err) : 0;
    if (rc || !p->path) return rc;
    values = t->n * (p->at.end - p->at.beg);
    p->value = cad_alloc((size_t)values, sizeof *p->value);
    if (!p->value) return cad_out_of_memory(err);
    for (int64_t i = 0; i < values; i++) p->value[i] = NAN;
    t->see = see;
    t->see_arg = p;
    return 0;
}

/* ---- drawing ---- */

static colour_t parse_colour(const char *text)
{
    int r = 0, g = 0, b = 0;
    sscanf(text, "%d,%d,%d", &r, &g, &b);
    return (colour_t)(r << 16 | g << 8 | b);
}

/* Sets the panel of the tracks from number k on, which belong to one score. Returns the number of these tracks. */
static int set_panel(const track_picture_t *p, const tracks_t *t, int k, panel_t *panel)
{
    const score_t *s = t->track[k].score;
    *panel = (panel_t) { .name = s->name,
                         .unit = s->unit,
                         .low = strtod(s->low, NULL),
                         .high = strtod(s->high, NULL),
                         .tracks = track_is_stacked(&t->track[k]) ? s->tracks : 1,
                         .letters = s->letters,
                         .value = p->value + k * (p->at.end - p->at.beg) };
    for (int b = 0; b < panel->tracks; b++) panel->colour[b] = parse_colour(s->colour[b]);
    return panel->tracks;
}

static int draw(const track_picture_t *p, run_t *r, const char *letter, cad_error_t *err)
{
    const tracks_t *t = r->stream.state;
    panel_t panel[PANELS];
    tracks_picture_t picture = { .letter = letter, .panel = panel };
    for (int k = 0; k < t->n && picture.panels < PANELS;) k += set_panel(p, t, k, &panel[picture.panels++]);
    picture.caption = run_caption(r, "Tracks of", p->contig->name, p->at);
    return draw_tracks(&picture, p->out, p->path, err);
}

int track_picture_close(track_picture_t *p, run_t *r, cad_error_t *err)
{
    int64_t n = p->at.end - p->at.beg;
    output_t **all[] = { &p->out, &p->json };
    char *letter = p->path ? malloc((size_t)n + 1) : NULL;
    int rc = 0;
    if (!p->path) return 0;
    rc = letter ? fasta_fetch(&r->ref, p->contig, p->at.beg, p->at.end, letter, err) : cad_out_of_memory(err);
    for (int64_t i = 0; i < n && rc == 0; i++) letter[i] = (char)toupper((unsigned char)letter[i]);
    if (rc == 0) rc = draw(p, r, letter, err);
    if (rc == 0 && p->json) rc = part_write(&r->provenance, p->json, p->out, err);
    free(letter);
    return rc ? rc : outputs_close(all, 2, err);
}

void track_picture_free(track_picture_t *p)
{
    output_abort(p->out);
    output_abort(p->json);
    free(p->value);
}
