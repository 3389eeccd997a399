/* track.c - caduceus track: writes per-base scores along a reference, for genome browsers.
 * SPDX-License-Identifier: MIT
 */
#include <unistd.h>

#include "stream/hub.h"
#include "io/shard.h"
#include "io/tabix.h"
#include "run.h"
#include "track_picture.h"

static const char USAGE[] =
    "Usage: caduceus track [options] -T ref.fa -o OUT\n\n"
    "Scores every base of whole contigs, or of regions, as bigWig or bedGraph tracks.\n\n"
    "Options:\n"
    "  -T, --reference FASTA  the reference, plain or bgzip; also --fasta-ref\n" ALIAS_USAGE
    "  -r, --region REGION    CONTIG[:BEG-END], counted from 1 [all contigs]\n"
    "  -R, --regions-file FILE|REGION  the regions of a BED\n"
    "  -L, --targets-file BED the regions of a BED\n"
    "  -o, --output OUT       a .bw, .bedGraph or .bedGraph.gz file; with several tracks,\n"
    "                         the prefix of their names; - is bedGraph on standard\n"
    "                         output [-]\n"
    "      --png FILE         draw one region, for a quick look, as .png, .svg or .pdf; no\n"
    "                         tracks are written unless -o is given\n"
    "      --hub DIR          write a UCSC track hub and IGV sessions instead of -o, with\n"
    "                         the scores pll, logo and logo_ref unless --score is given\n"
    "      --genome NAME      genome of the hub, such as hg38\n"
    "      --email ADDRESS    contact address of the hub\n"
    "  -O, --output-fmt FMT   bw, bedGraph or bedGraph.gz [by the suffix of OUT, else bw]\n"
    "      --write-index[=tbi|csi]  kind of the index of a .bedGraph.gz [tbi; csi if a\n"
    "                         contig is too long for it]\n"
    "      --score LIST       \f\n"
    "      --mask HOW         each, stride:K or none [stride:8]\n"
    "      --window W         bases in a window, flanks included [the model's length, at\n"
    "                         most 16384]\n"
    "      --flank F          context on each side [min(1024, W/4)]\n"
    "      --skip-soft-masked use lower-case bases as context, do not score them\n"
    "      --decimals N       digits after the point, 0 to 6 [3]\n" N_TOKEN_USAGE
    "      --no-version       no lines on version and model in a bedGraph\n" SHARD_USAGE
    "      --dry-run          count windows and tokens, estimate time\n" DRY_RUN_JSON_USAGE PROGRESS_USAGE OPTIONS_USAGE
    "\nExamples:\n"
    "  caduceus track -T hg38.fa -r chr20:1-2000000 --score pll -o pll.bw\n"
    "  caduceus track -T hg38.fa -L regions.bed --score logo,entropy -o hg38\n"
    "  caduceus track -T hg38.fa -r chr20:1000001-1000100 --score pll,logo --png look.png\n";

typedef enum { FORMAT_BY_NAME, FORMAT_BIGWIG, FORMAT_GRAPH, FORMAT_GRAPH_GZ } track_format_t;

typedef struct {
    options_t o;
    settings_t set;
    run_options_t run; /* its index: a compressed bedGraph always has one, by default a .tbi, or a .csi if a contig is
                          too long for that */
    const char *hub, *genome, *email, *png;
    bool only_picture;     /* --png is given, but not -o */
    track_format_t format; /* format that -O names */
    int64_t decimals;
    char *named; /* the output, if made from a name with {shard} */
} args_t;

typedef struct {
    args_t *a;
    run_t run;
    tracks_t *tracks; /* state of the source of tracks, which owns it */
    track_picture_t picture;
    hub_t hub;
    track_format_t format;
} tracking_t;

/* ---- options ---- */

enum { O_DECIMALS = 1, O_HUB, O_GENOME, O_EMAIL, O_PNG };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_WINDOWS,
                                       OPTIONS_RUN,
                                       OPTIONS_SCORING,
                                       { "decimals", required_argument, NULL, O_DECIMALS },
                                       { "hub", required_argument, NULL, O_HUB },
                                       { "genome", required_argument, NULL, O_GENOME },
                                       { "email", required_argument, NULL, O_EMAIL },
                                       { "png", required_argument, NULL, O_PNG },
                                       { 0 } };

static int parse_format(args_t *a, const char *s)
{
    a->format = !strcmp(s, "bw")            ? FORMAT_BIGWIG
                : !strcmp(s, "bedGraph")    ? FORMAT_GRAPH
                : !strcmp(s, "bedGraph.gz") ? FORMAT_GRAPH_GZ
                                            : FORMAT_BY_NAME;
    return a->format ? 0 : cmd_fail("track", "-O %s: expected bw, bedGraph or bedGraph.gz", s);
}

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc;
    switch (c) {
    case 'O': return parse_format(a, arg);
    case O_DECIMALS: return option_int("track", "--decimals", arg, 0, 6, &a->decimals);
    case O_HUB: a->hub = arg; return 0;
    case O_GENOME: a->genome = arg; return 0;
    case O_EMAIL: a->email = arg; return 0;
    case O_PNG: a->png = arg; return 0;
    default: break;
    }
    rc = run_take(&a->run, &a->set, "track", c, arg);
    if (rc == 0 && a->run.index == INDEX_BAI) return cmd_fail("track", "--write-index=bai: expected tbi or csi");
    if (rc > 0) rc = windows_take(&a->set, "track", c, arg);
    return rc > 0 ? options_take(&a->o, c, arg) : rc;
}

static int check_hub(const args_t *a)
{
    if (!a->genome || !a->email) return cmd_fail("track", "--hub needs --genome, such as hg38, and --email");
    if (!*a->genome || strpbrk(a->genome, "/ \t\n\"\\&<>") || *a->genome == '.')
        return cmd_fail("track", "--genome %s: expected a name such as hg38", a->genome);
    if (strpbrk(a->email, "\n\t ")) return cmd_fail("track", "--email %s: expected an address", a->email);
    if (strcmp(a->run.output, "-") || a->format || a->run.shard.of)
        return cmd_fail("track", "--hub names its files itself; -o, -O and --shard do not fit");
    return 0;
}

static void put_texts(text_t texts[USAGE_TEXTS])
{
    text_puts(&texts[0], "of ");
    scores_known(OF_TRACKS, ", ", &texts[0]);
    text_printf(&texts[0], " [%s]", SOURCE_CONTIGS.scores);
}

/* Returns 0 to continue, 1 after reporting an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "track");
    settings_init(&a->set);
    a->decimals = 3;
    rc = options_parse(&CMD_TRACK, argc, argv, take_option, a);
    if (rc == 0) rc = options_operands(&CMD_TRACK, argc, argv, NULL);
    if (rc) return rc;
    a->only_picture = a->png && !a->run.output;
    if (!a->run.output) a->run.output = "-";
    if (a->png && (a->hub || a->run.shard.of)) return cmd_fail("track", "--png: --hub and --shard do not fit");
    if (a->only_picture && (a->format || a->run.index))
        return cmd_fail("track", "--png alone writes no tracks; name them with -o");
    if (option_named("track", &a->run.shard, &a->run.output, &a->named)) return 1;
    if (a->run.shard.of && (a->run.dry_run || !strcmp(a->run.output, "-")))
        return cmd_fail("track", "--shard needs an output file, and no --dry-run");
    if (a->o.json && !a->run.dry_run) return cmd_fail("track", "--json goes with --dry-run");
    if (a->run.shard.of && limits_stream(&a->run.limits))
        return cmd_fail("track", "--shard reads its input twice: -L - does not fit");
    if (!a->set.score && a->hub) a->set.score = "pll,logo,logo_ref";
    if (a->hub && check_hub(a)) return 1;
    if (!a->hub && (a->genome || a->email)) return cmd_fail("track", "--genome and --email go with --hub");
    if (!a->set.reference) return cmd_fail("track", "give the reference with -T FASTA");
    return 0;
}

/* ---- the tracks and their files ---- */

static track_format_t format_of(const args_t *a)
{
    const char *p = a->run.output;
    if (a->format) return a->format;
    if (!strcmp(p, "-") || ends_in(p, ".bedGraph") || ends_in(p, ".bg") || ends_in(p, ".bdg")) return FORMAT_GRAPH;
    if (ends_in(p, ".bedGraph.gz") || ends_in(p, ".bg.gz") || ends_in(p, ".bdg.gz")) return FORMAT_GRAPH_GZ;
    return FORMAT_BIGWIG;
}

/* Sets the path of a track in the hub's folder: NAME.bw, or A.bw, C.bw, G.bw or T.bw for a base of a sequence logo. */
static int name_in_hub(const tracking_t *t, track_t *x, cad_error_t *err)
{
    char name[40];
    if (track_is_stacked(x)) snprintf(name, sizeof name, "%c.bw", "ACGT"[x->base]);
    else snprintf(name, sizeof name, "%s.bw", x->name);
    x->is_bigwig = true;
    x->path = hub_path(&t->hub, true, name);
    return x->path ? 0 : cad_out_of_memory(err);
}

static int name_track(const tracking_t *t, track_t *x, track_format_t format, cad_error_t *err)
{
    if (t->a->hub) return name_in_hub(t, x, err);

    static const char *const suffix[] = { "", ".bw", ".bedGraph", ".bedGraph.gz" };
    text_t s = { 0 };
    size_t n = strlen(t->a->run.output);
    if (t->tracks->n > 1 && ends_in(t->a->run.output, suffix[format])) n -= strlen(suffix[format]);
    text_put(&s, t->a->run.output, n);
    if (t->tracks->n > 1) text_printf(&s, ".%s%s", x->name, suffix[format]);
    x->path = s.s.s;
    x->is_bigwig = format == FORMAT_BIGWIG;
    return s.failed ? cad_out_of_memory(err) : 0;
}

static int open_track(const tracking_t *t, track_t *x, track_format_t format, cad_error_t *err)
{
    int64_t longest = 0;
    int rc = output_open(&x->out, x->path, format == FORMAT_GRAPH_GZ, err);
    for (int i = 0; i < t->run.ref.ncontig; i++) longest = cad_max(longest, t->run.ref.contig[i].length);
    x->csi = longest >= TBI_MOST || (t->a->run.index == INDEX_CSI && !t->a->run.index_usual);
    if (rc == 0 && t->a->run.index == INDEX_TBI && longest >= TBI_MOST)
        rc = cad_fail(err, CAD_EARG, "--write-index=tbi: a contig is too long for it; use csi");
    if (rc == 0 && x->is_bigwig && output_is_terminal(x->out))
        rc = cad_fail(err, CAD_EARG, "binary data would go to a terminal; name a file with -o");
    if (rc == 0 && t->a->run.shard.of && !output_is_file(x->out))
        rc = cad_fail(err, CAD_EARG, "%s: --shard writes to files only", x->path);
    if (rc || !output_is_file(x->out)) return rc;
    if (format == FORMAT_GRAPH_GZ) rc = output_beside(&x->index, x->path, x->csi ? ".csi" : ".tbi", err);
    return rc == 0 && (x->is_bigwig || t->a->run.shard.of) ? output_beside(&x->json, x->path, ".json", err) : rc;
}

static int open_hub(tracking_t *t, cad_error_t *err)
{
    t->hub = (hub_t) { .dir = t->a->hub,
                       .genome = t->a->genome,
                       .email = t->a->email,
                       .ref = &t->run.ref,
                       .track = t->tracks->track,
                       .n = t->tracks->n };
    return t->a->run.dry_run ? 0 : hub_open(&t->hub, err);
}

static int open_outputs(tracking_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    track_format_t format = a->hub ? FORMAT_BIGWIG : format_of(a);
    ledger_t files = { 0 };
    int rc;
    t->format = format;
    if (a->run.index && format != FORMAT_GRAPH_GZ)
        return cad_fail(err, CAD_EARG, "--write-index: only a .bedGraph.gz has an index");
    options_inputs(&a->o, a->set.reference, a->run.aliases, &a->run.limits, &files);
    rc = a->hub ? open_hub(t, err)
         : t->tracks->n > 1 && !strcmp(a->run.output, "-") && !a->only_picture
             ? cad_fail(err, CAD_EARG, "several tracks need -o PREFIX, the prefix of their names")
             : 0;
    t->picture.path = a->png;
    if (rc == 0) rc = track_picture_open(&t->picture, &files, a->run.dry_run, err);
    for (int k = 0; k < t->tracks->n && rc == 0 && !a->only_picture; k++) {
        rc = name_track(t, &t->tracks->track[k], format, err);
        if (rc == 0) rc = ledger_output(&files, t->tracks->track[k].path, err);
    }
    ledger_free(&files);
    if (rc == 0 && !a->format && !a->hub && t->tracks->n == 1 && !a->only_picture)
        rc = output_suffix(a->run.output, "bw bigWig bedGraph bg bdg", "bedGraph bg bdg", err);
    for (int k = 0; k < t->tracks->n && rc == 0 && !a->run.dry_run && !a->only_picture; k++)
        rc = open_track(t, &t->tracks->track[k], format, err);
    return rc;
}

/* ---- running ---- */

static int open_engine(tracking_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int64_t window = a->set.window ? a->set.window : cad_min(cad_model_number(r->model, CAD_MAX_LEN), TRACK_WINDOW);
    int rc;
    t->tracks->decimals = (int)a->decimals;
    rc = run_open_engine(r, window, &a->run.shard, a->run.dry_run, err);
    if (rc) return rc;
    pipeline_digest(&r->stream.pipe, &t->format, sizeof t->format);
    return run_settle(r, &a->run.shard, false, err);
}

/* Returns an error if an output file is the complete part of another shard of this run, which must not be replaced. */
static int check_parts(const tracking_t *t, cad_error_t *err)
{
    const tracks_t *all = t->tracks;
    int rc = part_neighbours(all->track[0].path, &t->run.provenance, &t->a->run.shard, err);
    for (int k = 0; k < all->n && rc == 0; k++) rc = part_free(all->track[k].path, &t->run.provenance, err);
    return rc;
}

/* Returns true if an earlier run has written all tracks of this shard. */
static bool tracks_done(const tracking_t *t)
{
    options_t mute = t->a->o;
    mute.quiet = true;
    for (int k = 0; k < t->tracks->n; k++) {
        provenance_t p = t->run.provenance;
        char *index = suffixed(t->tracks->track[k].path, t->tracks->track[k].csi ? ".csi" : ".tbi");
        bool indexed = !t->tracks->track[k].index || (index && access(index, F_OK) == 0);
        free(index);
        if (!indexed) return false;
        provenance_add(&p, "track", t->tracks->track[k].name);
        if (!options_part_done(&mute, t->tracks->track[k].path, &p)) return false;
    }
    if (!t->a->o.quiet)
        cmd_say("track", "%s: all tracks exist already and are complete; nothing to do", t->a->run.output);
    return true;
}

static int open_files(tracking_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int rc = run_begin(r, &SOURCE_CONTIGS, NULL, err);
    if (rc) return rc;
    t->tracks = r->stream.state;
    rc = tracks_list(t->tracks, &a->set.scores, a->set.mask, err);
    if (rc == 0) rc = run_open_reference(r, a->set.reference, a->run.aliases, err);
    if (rc == 0) rc = open_outputs(t, err);
    if (rc == 0) rc = run_open_regions(r, &a->run.limits, "rRL", "", false, err);
    return rc ? rc : track_picture_begin(&t->picture, r, err);
}

static int run(tracking_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int rc = open_files(t, err);
    if (rc == 0) rc = run_open_model(r, err);
    if (rc == 0) rc = open_engine(t, err);
    if (rc == 0 && a->run.shard.of) rc = check_parts(t, err);
    if (rc || (a->run.shard.of && tracks_done(t))) return rc;
    rc = run_stream(r, err);
    if (rc == 0 && r->stream.pipe.work.tokens == 0 && !a->run.shard.of)
        note(&r->notes, NOTE_NOTHING, 1, "%s: nothing to do: no base of the regions is A, C, G or T", r->ref.path);
    if (rc || a->run.dry_run) return rc;
    rc = track_picture_close(&t->picture, r, err);
    if (rc == 0) rc = tracks_close(&r->stream, err);
    if (rc || !a->hub) return rc;
    t->hub.only = r->only;
    return hub_close(&t->hub, err);
}

/* Prints how to view the hub in a browser. */
static void say_hub(const args_t *a)
{
    fprintf(
        stderr,
        "caduceus track: open %s/%s/igv_session.xml in IGV; or serve the folder, as with npx http-server %s, and open "
        "index.html; or put it on a web server and give the UCSC browser the address of hub.txt\n",
        a->hub, a->genome, a->hub);
}

/* Runs once. If count is not NULL, this is a dry run that only counts its work. */
static int run_once(args_t *a, work_t *count)
{
    tracking_t t = { .a = a };
    cad_error_t err = { "" };
    run_t *r = &t.run;
    int rc;
    r->o = &a->o;
    r->set = &a->set;
    r->output = a->hub || a->only_picture ? NULL : a->run.output;
    r->notes = (notes_t) { .cmd = "track", .quiet = a->o.quiet || count };
    rc = run(&t, &err);
    rc = run_report(r, rc, &err);
    if (rc == 0 && a->run.dry_run && !count) run_report_work(r, "bases", t.tracks->bases);
    if (rc == 0 && a->hub && !a->run.dry_run && !a->o.quiet) say_hub(a);
    if (count) *count = r->stream.pipe.work;
    pipeline_close(&r->stream.pipe);
    run_end(r);
    track_picture_free(&t.picture);
    hub_free(&t.hub);
    return rc;
}

static int count_work(args_t *a)
{
    args_t all = *a;
    work_t work;
    int rc;
    all.run.dry_run = all.o.counting = true;
    all.run.shard = (shard_t) { 0 };
    rc = run_once(&all, &work);
    a->run.shard.total = work.tokens;
    a->run.shard.digest = limits_digest(&a->run.limits, work.digest);
    return rc;
}

static int run_track(int argc, char **argv)
{
    args_t a;
    int rc = parse_args(&a, argc, argv);
    if (rc == 0 && a.run.shard.of) rc = count_work(&a);
    if (rc == 0) rc = run_once(&a, NULL);
    else if (rc == 2) rc = 0;
    free(a.named);
    return rc || cmd_finish("track") ? 1 : 0;
}

const command_t CMD_TRACK = { "track",   "score every base of contigs or regions, as bigWig or bedGraph tracks",
                              run_track, USAGE,
                              put_texts, OPTIONS_SHORT "T:o:O:r:R:L:",
                              LONGS,     NULL };
