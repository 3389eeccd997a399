/* hub.c - a UCSC track hub and IGV sessions beside bigWig tracks.
 * SPDX-License-Identifier: MIT */
#include "glue.h"
#include "temporary.h"

/* UCSC's name of a contig: chr before numbers, X and Y; M for MT. Else as it is. */
static void ucsc_name(const char *name, char buf[300])
{
    bool bare = (*name >= '1' && *name <= '9' && strspn(name, "0123456789") == strlen(name)) || !strcmp(name, "X") || !strcmp(name, "Y");
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
    text_printf(t, "hub caduceus\nshortLabel Caduceus\nlongLabel Caduceus DNA language model, %s\ngenomesFile genomes.txt\nemail %s\n", h->genome, h->email);
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

static void put_logo(text_t *t)
{
    static const struct { const char *base, *colour; } B[] = { { "A", "0,128,0" }, { "C", "0,0,255" }, { "G", "255,166,0" }, { "T", "255,0,0" } };
    text_puts(t, "track caduceus_logo\ncontainer multiWig\naggregate stacked\nlogo on\nshowSubtrackColorOnUi on\ntype bigWig 0 2\nviewLimits 0:2\n"
                 "autoScale off\nvisibility full\nmaxHeightPixels 100:50:8\nshortLabel Caduceus logo\nlongLabel Caduceus: probability times information of each base, bits\n\n");
    for (int i = 0; i < 4; i++)
        text_printf(t, "    track caduceus_logo_%s\n    parent caduceus_logo\n    bigDataUrl %s.bw\n    type bigWig 0 2\n    color %s\n    shortLabel %s\n    longLabel Caduceus: %s\n\n",
                    B[i].base, B[i].base, B[i].colour, B[i].base, B[i].base);
}

static void put_trackdb(const hub_t *h, text_t *t)
{
    bool logo = false;
    for (int k = 0; k < h->n; k++) {
        const char *name = h->track[k].name;
        bool of_logo = h->track[k].kind >= TRACK_LOGO_A && h->track[k].kind <= TRACK_LOGO_T;
        if (of_logo && !logo) put_logo(t);
        logo |= of_logo;
        if (!of_logo)
            text_printf(t, "track caduceus_%s\nbigDataUrl %s.bw\ntype bigWig\nautoScale on\nvisibility full\nmaxHeightPixels 100:40:8\nshortLabel Caduceus %s\nlongLabel Caduceus: %s of each base\n\n",
                        name, name, name, name);
    }
}

/* IGV draws letters as high as the value at their base: dynseq. */
static void put_igv(const hub_t *h, text_t *t)
{
    text_printf(t, "{\n  \"genome\": \"%s\",\n  \"tracks\": [\n", h->genome);
    for (int k = 0, n = 0; k < h->n; k++) {
        track_kind_t kind = h->track[k].kind;
        if (kind >= TRACK_LOGO_A && kind <= TRACK_LOGO_T) continue;
        text_printf(t, "%s    { \"name\": \"Caduceus %s\", \"url\": \"%s.bw\", \"type\": \"wig\", \"format\": \"bigwig\"%s }", n++ ? ",\n" : "", h->track[k].name, h->track[k].name,
                    kind == TRACK_LOGO_REF ? ", \"graphType\": \"dynseq\", \"height\": 80" : "");
    }
    text_puts(t, "\n  ]\n}\n");
}

static const struct { const char *path; bool of_genome; void (*put)(const hub_t *, text_t *); } FILES[HUB_FILES] = {
    { "hub.txt", false, put_hub }, { "genomes.txt", false, put_genomes }, { "trackDb.txt", true, put_trackdb },
    { "igv.json", true, put_igv }, { "chromAlias.txt", true, put_alias },
};

char *hub_path(const hub_t *h, bool of_genome, const char *name)
{
    size_t n = strlen(h->dir) + strlen(h->genome) + strlen(name) + 3;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%s/%s%s%s", h->dir, of_genome ? h->genome : "", of_genome ? "/" : "", name);
    return path;
}

int hub_open(hub_t *h, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < HUB_FILES && rc == 0; i++) {
        char *path;
        if (FILES[i].put == put_alias && !needs_alias(h)) continue;
        path = hub_path(h, FILES[i].of_genome, FILES[i].path);
        rc = path ? output_open(&h->out[i], path, false, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
        free(path);
    }
    return rc;
}

int hub_close(hub_t *h, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < HUB_FILES && rc == 0; i++) {
        text_t t = { 0 };
        if (!h->out[i]) continue;
        FILES[i].put(h, &t);
        rc = text_write(h->out[i], &t, err);
        text_free(&t);
        if (rc == 0) rc = output_sync(h->out[i], err);
    }
    signals_hold(); /* all or none */
    for (int i = 0; i < HUB_FILES && rc == 0; i++) {
        if (!h->out[i]) continue;
        rc = output_close(h->out[i], err);
        h->out[i] = NULL;
    }
    signals_release();
    return rc;
}

void hub_free(hub_t *h)
{
    for (int i = 0; i < HUB_FILES; i++) output_abort(h->out[i]);
}
