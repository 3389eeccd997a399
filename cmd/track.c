/* track.c - caduceus track: per-base scores along a reference, for genome browsers.
 * SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "stream/hub.h"
#include "stream/scores.h"
#include "io/shard.h"
#include "cmd.h"

static const char USAGE[] = "Usage: caduceus track [options] -T ref.fa -o OUT\n\n"
                            "Scores every base of whole contigs, or of regions, as bigWig or bedGraph tracks.\n\n"
                            "Options:\n"
                            "  -T, --reference FASTA  the reference, plain or bgzip; also --fasta-ref\n"
                            "      --chr-alias FILE   other names of its contigs: a line each, tab-separated\n"
                            "  -r, --region REGION    CONTIG[:BEG-END], counted from 1 [all contigs]\n"
                            "  -R, --regions-file FILE|REGION  the same, of a BED\n"
                            "  -L, --targets-file BED the same, of a BED\n"
                            "  -o, --output OUT       .bw, .bedGraph or .bedGraph.gz; for several tracks the\n"
                            "                         beginning of their names; - is bedGraph [-]\n"
                            "      --hub DIR          a UCSC track hub and IGV sessions instead of -o: pll, logo\n"
                            "                         and logo_ref unless --score says otherwise\n"
                            "      --genome NAME      its genome, as hg38\n"
                            "      --email ADDRESS    its contact\n"
                            "  -O, --output-fmt FMT   bw, bedGraph or bedGraph.gz [by the name, else bw]\n"
                            "      --score LIST       of pll, entropy, ic, logo, logo_ref, pA, pC, pG, pT [pll]\n"
                            "      --mask HOW         each, stride:K or none [stride:8]\n"
                            "      --window W         bases in a window, flanks included [the model's length, at\n"
                            "                         most 16384]\n"
                            "      --flank F          context on each side [min(1024, W/4)]\n"
                            "      --skip-soft-masked lower-case bases are context, but not scored\n"
                            "      --decimals N       digits after the point, 0 to 6 [3]\n"
                            "      --n-token          encode N as the token N, not as PAD\n"
                            "      --shard I/N|slurm  only this share of the work; caduceus merge joins the parts\n"
                            "      --dry-run          count windows and tokens, estimate time\n" OPTIONS_USAGE;

static const char *const SCORE[] = { "pll", "entropy", "ic", "logo_ref", "logo", "pA", "pC", "pG", "pT" };
static const track_kind_t FIRST_KIND[] = { TRACK_PLL, TRACK_ENTROPY, TRACK_IC, TRACK_LOGO_REF, TRACK_LOGO_A,
                                           TRACK_PA,  TRACK_PC,      TRACK_PG, TRACK_PT };
enum { SCORES_OF_TRACKS = sizeof SCORE / sizeof *SCORE, LOGO = 4 };
typedef enum { FORMAT_BY_NAME, FORMAT_BIGWIG, FORMAT_GRAPH, FORMAT_GRAPH_GZ } track_format_t;

typedef struct {
    options_t o;
    const char *reference, *aliases, *output, *score, *hub, *genome, *email;
    limits_t limits;
    shard_t shard;
    track_format_t format;
    int64_t mask, window, flank, decimals;
    bool skip_soft, n_token, dry_run;
} args_t;

typedef struct {
    args_t *a;
    notes_t notes;
    cad_model_t *model;
    cad_context_t *ctx;
    fasta_t ref;
    regions_t *only;
    tiling_t tiling;
    text_t options;
    provenance_t provenance;
    char work[64], shard[48]; /* of provenance */
    pipeline_t pipe;
    tracks_t tracks;
    hub_t hub;
    progress_t progress;
    track_format_t format;
} run_t;

/* ---- options ---- */

enum {
    O_SCORE = 1,
    O_MASK,
    O_WINDOW,
    O_FLANK,
    O_SOFT,
    O_DECIMALS,
    O_NTOKEN,
    O_DRY,
    O_ALIAS,
    O_SHARD,
    O_HUB,
    O_GENOME,
    O_EMAIL
};
static const struct option LONGS[] = { OPTIONS_LONG,
                                       { "reference", required_argument, NULL, 'T' },
                                       { "fasta-ref", required_argument, NULL, 'T' },
                                       { "chr-alias", required_argument, NULL, O_ALIAS },
                                       { "region", required_argument, NULL, 'r' },
                                       { "regions-file", required_argument, NULL, 'R' },
                                       { "targets-file", required_argument, NULL, 'L' },
                                       { "output", required_argument, NULL, 'o' },
                                       { "output-fmt", required_argument, NULL, 'O' },
                                       { "score", required_argument, NULL, O_SCORE },
                                       { "mask", required_argument, NULL, O_MASK },
                                       { "window", required_argument, NULL, O_WINDOW },
                                       { "flank", required_argument, NULL, O_FLANK },
                                       { "skip-soft-masked", no_argument, NULL, O_SOFT },
                                       { "decimals", required_argument, NULL, O_DECIMALS },
                                       { "n-token", no_argument, NULL, O_NTOKEN },
                                       { "dry-run", no_argument, NULL, O_DRY },
                                       { "shard", required_argument, NULL, O_SHARD },
                                       { "hub", required_argument, NULL, O_HUB },
                                       { "genome", required_argument, NULL, O_GENOME },
                                       { "email", required_argument, NULL, O_EMAIL },
                                       { 0 } };

static int parse_format(args_t *a, const char *s)
{
    a->format = !strcmp(s, "bw")            ? FORMAT_BIGWIG
                : !strcmp(s, "bedGraph")    ? FORMAT_GRAPH
                : !strcmp(s, "bedGraph.gz") ? FORMAT_GRAPH_GZ
                                            : FORMAT_BY_NAME;
    return a->format ? 0 : cmd_fail("track", "-O %s: expected bw, bedGraph or bedGraph.gz", s);
}

static int take_option(args_t *a, int c, const char *arg)
{
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 'O': return parse_format(a, arg);
    case 'r':
    case 'R':
    case 'L': return limits_take(&a->limits, "track", c, arg);
    case O_SCORE: a->score = arg; return 0;
    case O_MASK: return option_mask("track", arg, &a->mask);
    case O_WINDOW: return option_int("track", "--window", arg, 1, 1 << 30, &a->window);
    case O_FLANK: return option_int("track", "--flank", arg, 0, 1 << 29, &a->flank);
    case O_SOFT: a->skip_soft = true; return 0;
    case O_DECIMALS: return option_int("track", "--decimals", arg, 0, 6, &a->decimals);
    case O_NTOKEN: a->n_token = true; return 0;
    case O_DRY: a->dry_run = true; return 0;
    case O_ALIAS: a->aliases = arg; return 0;
    case O_HUB: a->hub = arg; return 0;
    case O_GENOME: a->genome = arg; return 0;
    case O_EMAIL: a->email = arg; return 0;
    case O_SHARD: return option_shard("track", arg, &a->shard);
    default: return options_take(&a->o, c, arg);
    }
}

static int check_hub(const args_t *a)
{
    if (!a->genome || !a->email) return cmd_fail("track", "--hub needs --genome, as hg38, and --email");
    if (!*a->genome || strpbrk(a->genome, "/ \t\n\"\\&<>") || *a->genome == '.')
        return cmd_fail("track", "--genome %s: expected a name as hg38", a->genome);
    if (strpbrk(a->email, "\n\t ")) return cmd_fail("track", "--email %s: expected an address", a->email);
    if (strcmp(a->output, "-") || a->format || a->shard.of)
        return cmd_fail("track", "--hub names its files itself; -o, -O and --shard do not fit");
    return 0;
}

/* 0 = go on, 1 = error, 2 = help shown. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int c;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "track");
    a->output = "-";
    a->mask = 8;
    a->flank = -1;
    a->decimals = 3;
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "T:o:O:r:R:L:", LONGS, NULL)) != -1) {
        if (c == 1004) {
            fputs(USAGE, stdout);
            return cmd_finish("track") ? 1 : 2;
        }
        if (c == '?' || c == ':') return option_unknown("track", argv);
        if (take_option(a, c, optarg)) return 1;
    }
    if (argc == 1) {
        fputs(USAGE, stderr);
        return 1;
    }
    if (argc > optind) return cmd_fail("track", "%s: no such argument; regions are given with -r or -L", argv[optind]);
    if (a->shard.of && (a->dry_run || !strcmp(a->output, "-")))
        return cmd_fail("track", "--shard needs an output file, and no --dry-run");
    if (a->shard.of && limits_stream(&a->limits))
        return cmd_fail("track", "--shard reads its input twice: -L - does not fit");
    if (!a->score) a->score = a->hub ? "pll,logo,logo_ref" : "pll";
    if (a->hub && check_hub(a)) return 1;
    if (!a->hub && (a->genome || a->email)) return cmd_fail("track", "--genome and --email go with --hub");
    if (!a->reference) return cmd_fail("track", "give the reference with -T FASTA");
    return 0;
}

/* ---- the tracks and their files ---- */

static int list_tracks(run_t *t, cad_error_t *err)
{
    int picked[SCORES_OF_TRACKS], n, rc = list_parse(t->a->score, SCORE, SCORES_OF_TRACKS, picked, &n, err);
    if (rc) return rc;
    if (!n) return cad_fail(err, CAD_EARG, "--score none leaves nothing to do");
    for (int i = 0; i < n; i++)
        for (int k = 0; k < (picked[i] == LOGO ? 4 : 1); k++) {
            track_t *x = &t->tracks.track[t->tracks.n++];
            x->kind = (track_kind_t)(FIRST_KIND[picked[i]] + k);
            track_name(x, t->a->mask);
        }
    return 0;
}

static track_format_t format_of(const args_t *a)
{
    const char *p = a->output;
    if (a->format) return a->format;
    if (!strcmp(p, "-") || ends_in(p, ".bedGraph") || ends_in(p, ".bg") || ends_in(p, ".bdg")) return FORMAT_GRAPH;
    if (ends_in(p, ".bedGraph.gz") || ends_in(p, ".bg.gz") || ends_in(p, ".bdg.gz")) return FORMAT_GRAPH_GZ;
    return FORMAT_BIGWIG;
}

/* In the hub's folder; the logo's bases are A.bw to T.bw there. */
static int name_in_hub(const run_t *t, track_t *x, cad_error_t *err)
{
    char name[40];
    if (x->kind >= TRACK_LOGO_A && x->kind <= TRACK_LOGO_T)
        snprintf(name, sizeof name, "%c.bw", "ACGT"[x->kind - TRACK_LOGO_A]);
    else snprintf(name, sizeof name, "%s.bw", x->name);
    x->is_bigwig = true;
    x->path = hub_path(&t->hub, true, name);
    return x->path ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory");
}

static int name_track(const run_t *t, track_t *x, track_format_t format, cad_error_t *err)
{
    if (t->a->hub) return name_in_hub(t, x, err);

    static const char *const suffix[] = { "", ".bw", ".bedGraph", ".bedGraph.gz" };
    text_t s = { 0 };
    size_t n = strlen(t->a->output);
    if (t->tracks.n > 1 && ends_in(t->a->output, suffix[format])) n -= strlen(suffix[format]);
    text_put(&s, t->a->output, n);
    if (t->tracks.n > 1) text_printf(&s, ".%s%s", x->name, suffix[format]);
    x->path = s.s.s;
    x->is_bigwig = format == FORMAT_BIGWIG;
    return s.failed ? cad_fail(err, CAD_ENOMEM, "out of memory") : 0;
}

static int open_track(const run_t *t, track_t *x, track_format_t format, cad_error_t *err)
{
    int64_t longest = 0;
    int rc = output_open(&x->out, x->path, format == FORMAT_GRAPH_GZ, err);
    for (int i = 0; i < t->ref.ncontig; i++) longest = cad_max(longest, t->ref.contig[i].length);
    x->csi = longest >= (int64_t)1 << 29;
    if (rc == 0 && x->is_bigwig && output_is_terminal(x->out))
        return cad_fail(err, CAD_EARG, "binary data would go to a terminal; name a file with -o");
    if (rc == 0 && t->a->shard.of && !output_is_file(x->out))
        rc = cad_fail(err, CAD_EARG, "%s: --shard writes to files only", x->path);
    if (rc || !output_is_file(x->out)) return rc;
    if (format == FORMAT_GRAPH_GZ) rc = output_beside(&x->index, x->path, x->csi ? ".csi" : ".tbi", err);
    return rc == 0 && (x->is_bigwig || t->a->shard.of) ? output_beside(&x->json, x->path, ".json", err) : rc;
}

static int open_hub(run_t *t, cad_error_t *err)
{
    t->hub = (hub_t) { .dir = t->a->hub,
                       .genome = t->a->genome,
                       .email = t->a->email,
                       .ref = &t->ref,
                       .track = t->tracks.track,
                       .n = t->tracks.n };
    return t->a->dry_run ? 0 : hub_open(&t->hub, err);
}

static int open_outputs(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    track_format_t format = a->hub ? FORMAT_BIGWIG : format_of(a);
    ledger_t files = { 0 };
    int rc;
    t->format = format;
    options_inputs(&a->o, a->reference, a->aliases, &a->limits, &files);
    rc = a->hub ? open_hub(t, err)
         : t->tracks.n > 1 && !strcmp(a->output, "-")
             ? cad_fail(err, CAD_EARG, "several tracks need -o, the beginning of their names")
             : 0;
    for (int k = 0; k < t->tracks.n && rc == 0; k++) {
        rc = name_track(t, &t->tracks.track[k], format, err);
        if (rc == 0) rc = ledger_output(&files, t->tracks.track[k].path, err);
    }
    ledger_free(&files);
    for (int k = 0; k < t->tracks.n && rc == 0 && !a->dry_run; k++)
        rc = open_track(t, &t->tracks.track[k], format, err);
    return rc;
}

/* ---- running ---- */

static void set_provenance(run_t *t)
{
    const args_t *a = t->a;
    text_t *s = &t->options;
    text_puts(s, "track");
    option_mask_text(a->mask, s);
    text_printf(s, " window=%lld flank=%lld decimals=%lld", (long long)t->tiling.window, (long long)t->tiling.flank,
                (long long)a->decimals);
    if (a->skip_soft) text_puts(s, " skip-soft-masked");
    if (a->n_token) text_puts(s, " n-token");
    options_provenance(&t->provenance, t->model, t->ctx, t->ref.checksum, s);
    shard_provenance(&t->provenance, &a->shard, t->work, t->shard);
}

static int open_engine(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int64_t window = a->window ? a->window : cad_min(cad_model_number(t->model, CAD_MAX_LEN), TRACK_WINDOW);
    int rc = tiling_set(&t->tiling, window, a->flank, err);
    if (rc == 0 && cad_model_number(t->model, CAD_LABELS))
        rc = cad_fail(err, CAD_EARG, "the model is a classifier without a language-model head");
    if (rc == 0 && a->n_token && cad_model_number(t->model, CAD_TOKEN_N) < 0)
        rc = cad_fail(err, CAD_EARG, "--n-token: the model's vocabulary has no N");
    if (rc == 0) rc = options_open_context(&a->o, t->model, window, &t->ctx, err);
    if (rc) return rc;
    set_provenance(t);
    t->tracks.encoding = (encoding_t) {
        .model = t->model, .flags = a->n_token ? CAD_N_AS_TOKEN : 0, .skip_soft = a->skip_soft, .notes = &t->notes
    };
    bases_init(&t->tracks.to_base, t->model);
    t->tracks.ref = &t->ref;
    t->tracks.only = t->only;
    t->tracks.tiling = &t->tiling;
    t->tracks.mask = a->mask;
    t->tracks.decimals = (int)a->decimals;
    t->tracks.notes = &t->notes;
    t->tracks.pipe = &t->pipe;
    t->pipe = (pipeline_t) { .shard = a->shard,
                             .model = t->model,
                             .ctx = a->dry_run ? NULL : t->ctx,
                             .mask = a->mask,
                             .take = tracks_take,
                             .sink = tracks_sink,
                             .drop = tracks_drop,
                             .arg = &t->tracks,
                             .tick = progress_tick,
                             .tick_arg = &t->progress,
                             .batch_tokens = options_batch(&a->o) };
    pipeline_digest(&t->pipe, &t->format, sizeof t->format);
    progress_begin(&t->progress, &a->o, &t->pipe.work, &t->tracks.cores, "cores");
    return t->options.failed ? cad_fail(err, CAD_ENOMEM, "out of memory") : 0;
}

/* All tracks of this shard are there already. */
static bool tracks_done(const run_t *t)
{
    options_t mute = t->a->o;
    mute.quiet = true;
    for (int k = 0; k < t->tracks.n; k++) {
        provenance_t p = t->provenance;
        char *index = suffixed(t->tracks.track[k].path, t->tracks.track[k].csi ? ".csi" : ".tbi");
        bool indexed = !t->tracks.track[k].index || (index && access(index, F_OK) == 0);
        free(index);
        if (!indexed) return false;
        provenance_add(&p, "track", t->tracks.track[k].name);
        if (!options_part_done(&mute, t->tracks.track[k].path, &p)) return false;
    }
    if (!t->a->o.quiet) fprintf(stderr, "caduceus track: %s: all is there and whole; nothing to do\n", t->a->output);
    return true;
}

static int run(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    names_t names;
    int rc = list_tracks(t, err);
    if (rc == 0) rc = fasta_open(&t->ref, a->reference, &t->notes, err);
    if (rc == 0 && a->aliases) rc = fasta_alias(&t->ref, a->aliases, err);
    names = (names_t) { &t->ref, fasta_has, t->ref.path, &t->ref, false, false };
    if (rc == 0) rc = open_outputs(t, err);
    if (rc == 0) rc = limits_open(&a->limits, "rRL", &t->only, &names, err);
    if (rc) return rc;
    if (options_open_model(&a->o, &t->model)) {
        err->text[0] = 0; /* reported */
        return CAD_EIO;
    }
    rc = open_engine(t, err);
    if (rc == 0 && a->shard.of && tracks_done(t)) return 0;
    if (rc == 0) rc = tracks_begin(&t->tracks, &t->provenance, err);
    if (rc == 0) rc = tracks_run(&t->tracks, err);
    if (rc || a->dry_run) return rc;
    rc = tracks_close(&t->tracks, &t->provenance, err);
    return rc || !a->hub ? rc : hub_close(&t->hub, err);
}

/* One run; or, with count, a dry one that tells its work. */
static int run_once(args_t *a, work_t *count)
{
    run_t t = { .a = a, .notes = { .cmd = "track", .quiet = a->o.quiet || count } };
    cad_error_t err = { "" };
    int rc = run(&t, &err);
    progress_end(&t.progress);
    if (rc && err.text[0]) cmd_fail("track", "%s", err.text);
    if (rc == 0) notes_summary(&t.notes);
    if (rc == 0 && a->dry_run && !count)
        report_work(&t.pipe.work, t.ctx, t.model, a->o.threads, "bases", t.tracks.bases);
    if (count) *count = t.pipe.work;
    pipeline_close(&t.pipe);
    tracks_free(&t.tracks);
    hub_free(&t.hub);
    text_free(&t.options);
    fasta_close(&t.ref);
    regions_free(t.only);
    cad_context_close(t.ctx);
    cad_model_close(t.model);
    return rc != 0;
}

static int count_work(args_t *a)
{
    args_t all = *a;
    work_t work;
    int rc;
    all.dry_run = all.o.counting = true;
    all.shard = (shard_t) { 0 };
    rc = run_once(&all, &work);
    a->shard.total = work.tokens;
    a->shard.digest = limits_digest(&a->limits, work.digest);
    return rc;
}

int cmd_track(int argc, char **argv)
{
    args_t a;
    int rc = parse_args(&a, argc, argv);
    if (rc == 0 && a.shard.of) rc = count_work(&a);
    if (rc == 0) rc = run_once(&a, NULL);
    else if (rc == 2) rc = 0;
    return rc || cmd_finish("track") ? 1 : 0;
}
