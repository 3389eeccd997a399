/* hub.c - writes a UCSC track hub and IGV sessions for bigWig tracks. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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
    text_puts(
        t,
        "track caduceus_logo\ncontainer multiWig\naggregate stacked\nlogo on\nshowSubtrackColorOnUi on\ntype bigWig 0 2\nviewLimits 0:2\n"
        "autoScale off\nvisibility full\nmaxHeightPixels 100:50:8\nshortLabel Caduceus logo\nlongLabel Caduceus: probability times information of each base, bits\n\n");
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
                "track caduceus_%s\nbigDataUrl %s.bw\ntype bigWig\nautoScale on\nvisibility full\nmaxHeightPixels 100:40:8\nshortLabel Caduceus %s\nlongLabel Caduceus: %s of each base\n\n",
                name, name, name, name);
    }
}

/* Writes the session for IGV. IGV's dynseq tracks draw each base as a letter, as high as the value there. IGV cannot
 * stack the four tracks of the logo. */
static void put_igv(const hub_t *h, text_t *t)
{
    text_printf(t, "{\n  \"genome\": \"%s\",\n  \"tracks\": [\n", h->genome);
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
    text_printf(
        t,
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<Session genome=\"%s\" version=\"8\">\n    <Resources>\n",
        h->genome);
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
    { "hub.txt", false, put_hub }, { "genomes.txt", false, put_genomes },    { "trackDb.txt", true, put_trackdb },
    { "igv.json", true, put_igv }, { "igv_session.xml", true, put_desktop }, { "chromAlias.txt", true, put_alias },
};

char *hub_path(const hub_t *h, bool of_genome, const char *name)
{
    size_t n = strlen(h->dir) + strlen(h->genome) + strlen(name) + 3;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%s/%s%s%s", h->dir, of_genome ? h->genome : "", of_genome ? "/" : "", name);
    return path;
}

static int make_folder(const hub_t *h, bool of_genome, bool *made, cad_error_t *err)
{
    char *path = of_genome ? hub_path(h, true, "") : strdup(h->dir);
    int rc = 0;
    *made = path && mkdir(path, 0777) == 0;
    if (!path) rc = cad_out_of_memory(err);
    else if (!*made && errno != EEXIST)
        rc = cad_fail(err, CAD_EIO, "%s: cannot write there: %s", h->dir, strerror(errno));
    free(path);
    return rc;
}

int hub_open(hub_t *h, cad_error_t *err)
{
    int rc = make_folder(h, false, &h->made[0], err);
    if (rc == 0) rc = make_folder(h, true, &h->made[1], err);
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
    if (folder) rmdir(folder); /* fails if the folder is not empty */
    if (h->made[0]) rmdir(h->dir);
    free(folder);
}
