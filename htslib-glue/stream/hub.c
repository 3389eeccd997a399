/* hub.c - writes a UCSC track hub, IGV sessions and a page for bigWig tracks. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/signals.h"
#include "stream/hub.h"

/* Writes UCSC's name of a contig to buf: adds the prefix chr to numbers, X and Y, changes MT to chrM, and keeps other
 * names. */
static void ucsc_name(const char *name, char buf[300])
{
    bool bare = (*name >= '1' && *name <= '9' && strspn(name, "0123456789") == strlen(name)) || !strcmp(name, "X") ||
                !strcmp(name, "Y");
    if (!strcmp(name, "MT")) strcpy(buf, "chrM");
    else snprintf(buf, 300, "%s%.255s", bare ? "chr" : "", name);
}

static bool needs_alias(const hub_t *h)
{
    char other[300];
    for (int i = 0; i < h->ref->ncontig; i++) {
        ucsc_name(h->ref->contig[i].name, other);
        if (strcmp(other, h->ref->contig[i].name)) return true;
    }
    return false;
}

/* Sets *c and *span (0-based) to the first region of the tracks. If no regions are given, this is the whole first
 * contig. */
static void first_region(const hub_t *h, const contig_t **c, interval_t *span)
{
    *c = h->ref->contig;
    *span = (interval_t) { 0, (*c)->length };
    for (int i = 0; h->only && i < h->ref->ncontig; i++) {
        if (!regions_get(h->only, h->ref->contig[i].name, 0, span)) continue;
        *c = &h->ref->contig[i];
        span->end = cad_min(span->end, (*c)->length);
        return;
    }
}

/* Appends the first region as CONTIG:BEG-END, counted from 1. */
static void put_locus(const hub_t *h, text_t *t)
{
    const contig_t *c;
    interval_t span;
    first_region(h, &c, &span);
    text_printf(t, "%s:%lld-%lld", c->name, (long long)span.beg + 1, (long long)span.end);
}

/* Appends the same text, quoted for JSON if `json` is true, else for XML and HTML. */
static void put_quoted(const hub_t *h, bool json, text_t *t)
{
    text_t locus = { 0 };
    put_locus(h, &locus);
    for (const char *s = locus.s.s; s && *s; s++) {
        if (json && (*s == '"' || *s == '\\')) text_printf(t, "\\%c", *s);
        else if (!json && strchr("\"&<>", *s)) text_printf(t, "&#%d;", *s);
        else text_put(t, s, 1);
    }
    t->failed |= locus.failed;
    text_free(&locus);
}

/* ---- the files ---- */

static void put_hub(const hub_t *h, text_t *t)
{
    text_printf(
        t,
        "hub caduceus\nshortLabel Caduceus\nlongLabel Caduceus DNA language model, %s\ngenomesFile genomes.txt\nemail %s\n",
        h->genome, h->email);
}

static void put_genomes(const hub_t *h, text_t *t)
{
    text_printf(t, "genome %s\ntrackDb %s/trackDb.txt\n", h->genome, h->genome);
    if (needs_alias(h)) text_printf(t, "chromAlias %s/chromAlias.txt\n", h->genome);
}

static void put_alias(const hub_t *h, text_t *t)
{
    char other[300];
    text_puts(t, "# ucsc\tcontig\n");
    for (int i = 0; i < h->ref->ncontig; i++) {
        ucsc_name(h->ref->contig[i].name, other);
        text_printf(t, "%s\t%s\n", other, h->ref->contig[i].name);
    }
}

static void put_logo(const score_t *logo, text_t *t)
{
    text_printf(
        t,
        "track caduceus_logo\ncontainer multiWig\naggregate stacked\nlogo on\nshowSubtrackColorOnUi on\ntype bigWig 0 2\nviewLimits 0:2\n"
        "autoScale off\nvisibility full\nmaxHeightPixels 100:50:8\nshortLabel Caduceus logo\nlongLabel Caduceus: %s\nhtml caduceus.html\n\n",
        logo->about);
    for (int i = 0; i < 4; i++) {
        char base = "ACGT"[i];
        text_printf(
            t,
            "    track caduceus_logo_%c\n    parent caduceus_logo\n    bigDataUrl %c.bw\n    type bigWig 0 2\n    color %s\n    shortLabel %c\n    longLabel Caduceus: %c\n\n",
            base, base, logo->colour[i], base, base);
    }
}

static void put_trackdb(const hub_t *h, text_t *t)
{
    bool logo = false;
    for (int k = 0; k < h->n; k++) {
        const char *name = h->track[k].name;
        bool letter = track_is_stacked(&h->track[k]);
        if (letter && !logo) put_logo(h->track[k].score, t);
        logo |= letter;
        if (!letter)
            text_printf(
                t,
                "track caduceus_%s\nbigDataUrl %s.bw\ntype bigWig\nautoScale on\nvisibility full\nmaxHeightPixels 100:40:8\nshortLabel Caduceus %s\nlongLabel Caduceus: %s\nhtml caduceus.html\n\n",
                name, name, name, h->track[k].score->about);
    }
}

/* Writes the description of the tracks, which the UCSC browser shows below their settings. */
static void put_description(const hub_t *h, text_t *t)
{
    text_printf(t,
                "<h2>Description</h2>\n<p>Scores of each base of %s by a Caduceus DNA language model: it is shown the "
                "sequence with some bases masked, and says how probable A, C, G and T are there. An improbable base is "
                "one that the model does not expect; that does not make it harmful.</p>\n<dl>\n",
                h->genome);
    for (int k = 0; k < h->n; k++)
        if (!k || h->track[k].score != h->track[k - 1].score)
            text_printf(t, "<dt>%s</dt><dd>%s</dd>\n", h->track[k].score->name, h->track[k].score->about);
    text_printf(t, "</dl>\n<p>Written by caduceus %s; the files .json beside the tracks name model and options.</p>\n",
                cad_version());
}

/* Writes the HTML page that shows the session GENOME/igv.json with igv.js. The page loads igv.min.js from its own
 * folder. */
static void put_page(const hub_t *h, text_t *t)
{
    text_printf(
        t,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Caduceus tracks of %s</title></head>\n"
        "<body>\n<div id=\"igv\"></div>\n"
        "<p id=\"help\" hidden>This page needs igv.js: put <code>igv.min.js</code> (folder dist of the npm package igv) "
        "beside it, or write the address of a copy into this page, as "
        "<code>https://cdn.jsdelivr.net/npm/igv@3/dist/igv.min.js</code>. Serve the folder over HTTP, as with "
        "<code>npx http-server</code>; a browser does not read tracks from a page opened as a file.</p>\n"
        "<script src=\"igv.min.js\"></script>\n<script>\n"
        "const help = () => { document.getElementById(\"help\").hidden = false }\n"
        "const show = async () => {\n    const folder = encodeURIComponent(\"%s\") + \"/\"\n"
        "    const session = await (await fetch(folder + \"igv.json\")).json()\n"
        "    for (const track of session.tracks) track.url = folder + track.url\n"
        "    return igv.createBrowser(document.getElementById(\"igv\"), session)\n}\n"
        "const shown = window.igv ? show().catch(help) : help()\n</script>\n</body>\n</html>\n",
        h->genome, h->genome);
}

/* Writes the session for igv.js. A track of type dynseq draws each base as a letter, as high as the value at that base.
 * igv.js cannot stack the four tracks of a sequence logo. */
static void put_igv(const hub_t *h, text_t *t)
{
    text_printf(t, "{\n  \"genome\": \"%s\",\n  \"locus\": \"", h->genome);
    put_quoted(h, true, t);
    text_puts(t, "\",\n  \"tracks\": [\n");
    for (int k = 0, n = 0; k < h->n; k++) {
        const track_t *x = &h->track[k];
        if (track_is_stacked(x)) continue;
        text_printf(
            t, "%s    { \"name\": \"Caduceus %s\", \"url\": \"%s.bw\", \"type\": \"wig\", \"format\": \"bigwig\", ",
            n++ ? ",\n" : "", x->name, x->name);
        if (x->score->letters) text_puts(t, "\"graphType\": \"dynseq\", \"height\": 80 }");
        else
            text_printf(t, "\"color\": \"rgb(%s)\", \"min\": %s, \"max\": %s }", x->score->colour[0], x->score->low,
                        x->score->high);
    }
    text_puts(t, "\n  ]\n}\n");
}

/* Writes a track of the session for IGV desktop. The track's id must be the path of a Resource element. IGV requires
 * every attribute of the element DataRange. */
static void put_desktop_track(const track_t *x, text_t *t)
{
    const char *colour = x->score->colour[0];
    bool letters = x->score->letters;
    text_printf(
        t,
        "        <Track clazz=\"org.igv.track.DataSourceTrack\" id=\"%s.bw\" name=\"Caduceus %s\" color=\"%s\" altColor=\"%s\" height=\"%d\"",
        x->name, x->name, colour, colour, letters ? 80 : 50);
    text_printf(t, " renderer=\"%s\" autoScale=\"%s\" windowFunction=\"mean\" visible=\"true\">\n",
                letters ? "DYNSEQ" : "BAR_CHART", letters ? "true" : "false");
    text_printf(
        t,
        "            <DataRange minimum=\"%s\" baseline=\"0\" maximum=\"%s\" drawBaseline=\"true\" flipAxis=\"false\" type=\"LINEAR\"/>\n        </Track>\n",
        x->score->low, x->score->high);
}

static void put_desktop(const hub_t *h, text_t *t)
{
    text_printf(t, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<Session genome=\"%s\" locus=\"",
                h->genome);
    put_quoted(h, false, t);
    text_puts(t, "\" version=\"8\">\n    <Resources>\n");
    for (int k = 0; k < h->n; k++)
        if (!track_is_stacked(&h->track[k]))
            text_printf(t, "        <Resource path=\"%s.bw\" type=\"bigwig\"/>\n", h->track[k].name);
    text_puts(t, "    </Resources>\n    <Panel name=\"DataPanel\">\n");
    for (int k = 0; k < h->n; k++)
        if (!track_is_stacked(&h->track[k])) put_desktop_track(&h->track[k], t);
    text_puts(t, "    </Panel>\n</Session>\n");
}

static const struct {
    const char *path;
    bool of_genome;
    void (*put)(const hub_t *, text_t *);
} FILES[HUB_FILES] = {
    { "hub.txt", false, put_hub },
    { "genomes.txt", false, put_genomes },
    { "trackDb.txt", true, put_trackdb },
    { "igv.json", true, put_igv },
    { "igv_session.xml", true, put_desktop },
    { "chromAlias.txt", true, put_alias },
    { "caduceus.html", true, put_description },
    { "index.html", false, put_page },
};

char *hub_path(const hub_t *h, bool of_genome, const char *name)
{
    size_t n = strlen(h->dir) + strlen(h->genome) + strlen(name) + 3;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%s/%s%s%s", h->dir, of_genome ? h->genome : "", of_genome ? "/" : "", name);
    return path;
}

static int make_folder(hub_t *h, bool of_genome, cad_error_t *err)
{
    char *path = of_genome ? hub_path(h, true, "") : strdup(h->dir);
    bool *made = &h->made[of_genome];
    int rc = 0;
    signals_hold();
    *made = path && mkdir(path, 0777) == 0;
    h->ticket[of_genome] = *made ? temporary_folder(path) : -1;
    signals_release();
    if (!path) rc = cad_out_of_memory(err);
    else if (!*made && errno != EEXIST)
        rc = cad_fail(err, CAD_EIO, "%s: cannot write there: %s", h->dir, strerror(errno));
    free(path);
    return rc;
}

int hub_open(hub_t *h, cad_error_t *err)
{
    int rc;
    h->ticket[0] = h->ticket[1] = -1;
    rc = make_folder(h, false, err);
    if (rc == 0) rc = make_folder(h, true, err);
    for (int i = 0; i < HUB_FILES && rc == 0; i++) {
        char *path;
        if (FILES[i].put == put_alias && !needs_alias(h)) continue;
        path = hub_path(h, FILES[i].of_genome, FILES[i].path);
        rc = path ? output_open(&h->out[i], path, false, err) : cad_out_of_memory(err);
        free(path);
    }
    return rc;
}

int hub_close(hub_t *h, cad_error_t *err)
{
    output_t **all[HUB_FILES];
    int rc = 0;
    for (int i = 0; i < HUB_FILES && rc == 0; i++) {
        text_t t = { 0 };
        all[i] = &h->out[i];
        if (!h->out[i]) continue;
        FILES[i].put(h, &t);
        rc = text_write(h->out[i], &t, err);
        text_free(&t);
    }
    return rc ? rc : outputs_close(all, HUB_FILES, err);
}

void hub_free(hub_t *h)
{
    char *folder = h->made[1] ? hub_path(h, true, "") : NULL;
    for (int i = 0; i < HUB_FILES; i++) output_abort(h->out[i]);
    for (int i = 0; i < 2; i++)
        if (h->made[i]) temporary_forget(h->ticket[i]);
    if (folder) rmdir(folder); /* removes the folder only if it is empty */
    if (h->made[0]) rmdir(h->dir);
    free(folder);
}
