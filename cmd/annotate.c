/* annotate.c - caduceus annotate: any genomic file in, the same kind of file out.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "glue.h"

static const char USAGE[] =
"Usage: caduceus annotate [options] IN\n\n"
"Scores the regions of a BED (with -T), or the records of a FASTA or FASTQ, and\n"
"writes every input line back with columns added. IN may be - and compressed.\n\n"
"Options:\n"
"  -T, --reference FASTA  reference of the regions, plain or bgzip; also --fasta-ref\n"
"  -o, --output FILE      output; .gz is compressed with BGZF [-]\n"
"      --in-format FMT    bed, fasta or fastq [detected]\n"
"  -r, --region REGION    only rows that overlap CONTIG[:BEG-END], counted from 1\n"
"  -L, --targets-file BED only rows that overlap a region of this file\n"
"      --score LIST       of pll, n, entropy, ic, or none [pll,n]\n"
"      --mask HOW         each, stride:K or none [stride:8]\n"
"      --window W         bases in a window, flanks included [the model's length]\n"
"      --flank F          context on each side [min(1024, W/4)]\n"
"      --clip             clip regions at contig ends instead of stopping\n"
"      --split            score the blocks of BED12 rows\n"
"      --skip-soft-masked lower-case bases are context, but not scored\n"
"      --embed FILE       embeddings: a .npy matrix, or - for one more column\n"
"      --pool HOW         mean, max, center or none [mean]\n"
"      --n-token          encode N as the token N, not as PAD\n"
"      --sep              end every window with the SEP token\n"
"      --dry-run          count windows and tokens, estimate time and size\n"
OPTIONS_USAGE;

enum { PLL, N, ENTROPY, IC, NSCORE };
static const char *const SCORE[NSCORE] = { "pll", "n", "entropy", "ic" };
static const char *const POOL[] = { "", "none", "mean", "max", "center" };

typedef struct {
    options_t o;
    const char *in, *in_format, *reference, *output, *embed;
    const char *region[64], *targets;
    int nregion, score[16], nscore;
    int64_t mask, window, flank;
    bool clip, split, skip_soft, sep, n_token, dry_run;
    pooling_t pooling;
} args_t;

typedef struct {
    const args_t *a;
    notes_t notes;
    cad_model_t *model;
    cad_context_t *ctx;
    fasta_t ref;
    bool has_ref;
    input_t in;
    regions_t *only;         /* -r, -L; NULL: everything */
    regions_t *targets;
    tiling_t tiling;
    output_t *out;
    npy_t npy;
    output_t *json;
    pipeline_t pipe;
    kstring_t line, held;    /* the line read; an input header held back */
    text_t text;             /* the line being built */
    float *row;              // (D)
    int ncol;                /* columns of the rows, 0 before the first one written */
    int seen;                /* columns of the first row read, wanted or not */
    int64_t passed;          /* bytes that a dry run would write */
    struct timespec start, shown;
    bool tty;
} annotate_t;

/* ---- options ---- */

static int parse_scores(args_t *a, const char *list)
{
    char copy[128], *save = NULL, *s;
    a->nscore = 0;
    if (!strcmp(list, "none")) return 0;
    if (strlen(list) >= sizeof copy) return cmd_fail(a->o.cmd, "--score: too long");
    strcpy(copy, list);
    for (s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
        int k = 0;
        while (k < NSCORE && strcmp(s, SCORE[k])) k++;
        if (k == NSCORE || a->nscore == 16) return cmd_fail(a->o.cmd, "--score %s: expected some of pll, n, entropy, ic, or none", list);
        a->score[a->nscore++] = k;
    }
    return a->nscore ? 0 : cmd_fail(a->o.cmd, "--score: an empty list; none turns scores off");
}

static int parse_mask(args_t *a, const char *s)
{
    if (!strcmp(s, "each")) a->mask = CAD_MASK_EACH;
    else if (!strcmp(s, "none")) a->mask = CAD_MASK_NONE;
    else if (strncmp(s, "stride:", 7) || !cad_parse_int(s + 7, 1, 1 << 20, &a->mask))
        return cmd_fail(a->o.cmd, "--mask %s: expected each, stride:K (K from 1) or none", s);
    return 0;
}

static int parse_pool(args_t *a, const char *s)
{
    for (pooling_t p = POOL_ROWS; p <= POOL_CENTER; p++)
        if (!strcmp(s, POOL[p])) { a->pooling = p; return 0; }
    return cmd_fail(a->o.cmd, "--pool %s: expected mean, max, center or none", s);
}

enum { O_FORMAT = 1, O_SCORE, O_MASK, O_WINDOW, O_FLANK, O_CLIP, O_SPLIT, O_SOFT, O_EMBED, O_POOL, O_NTOKEN, O_SEP, O_DRY };
static const struct option LONGS[] = {
    OPTIONS_LONG, { "reference", required_argument, NULL, 'T' }, { "fasta-ref", required_argument, NULL, 'T' },
    { "output", required_argument, NULL, 'o' }, { "region", required_argument, NULL, 'r' },
    { "targets-file", required_argument, NULL, 'L' }, { "in-format", required_argument, NULL, O_FORMAT },
    { "score", required_argument, NULL, O_SCORE }, { "mask", required_argument, NULL, O_MASK },
    { "window", required_argument, NULL, O_WINDOW }, { "flank", required_argument, NULL, O_FLANK },
    { "clip", no_argument, NULL, O_CLIP }, { "split", no_argument, NULL, O_SPLIT },
    { "skip-soft-masked", no_argument, NULL, O_SOFT }, { "embed", required_argument, NULL, O_EMBED },
    { "pool", required_argument, NULL, O_POOL }, { "n-token", no_argument, NULL, O_NTOKEN },
    { "sep", no_argument, NULL, O_SEP }, { "dry-run", no_argument, NULL, O_DRY }, { 0 }
};

static int take_option(args_t *a, int c, const char *arg)
{
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 'r':
        if (a->nregion == 64) return cmd_fail(a->o.cmd, "-r: more than 64 times; use -L");
        a->region[a->nregion++] = arg;
        return 0;
    case 'L': a->targets = arg; return 0;
    case O_FORMAT: a->in_format = arg; return 0;
    case O_SCORE: return parse_scores(a, arg);
    case O_MASK: return parse_mask(a, arg);
    case O_WINDOW: return option_int(a->o.cmd, "--window", arg, 1, 1 << 30, &a->window);
    case O_FLANK: return option_int(a->o.cmd, "--flank", arg, 0, 1 << 29, &a->flank);
    case O_CLIP: a->clip = true; return 0;
    case O_SPLIT: a->split = true; return 0;
    case O_SOFT: a->skip_soft = true; return 0;
    case O_EMBED: a->embed = arg; return 0;
    case O_POOL: return parse_pool(a, arg);
    case O_NTOKEN: a->n_token = true; return 0;
    case O_SEP: a->sep = true; return 0;
    case O_DRY: a->dry_run = true; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

/* 0 = go on, 1 = error, 2 = help shown. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int c, r;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "annotate");
    a->output = "-";
    a->mask = 8;
    a->flank = -1;
    parse_scores(a, "pll,n");
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "T:o:r:L:", LONGS, NULL)) != -1) {
        if (c == 1004) {
            fputs(USAGE, stdout);
            return cmd_finish("annotate") ? 1 : 2;
        }
        if (c == '?' || c == ':') return option_unknown("annotate", argv);
        r = take_option(a, c, optarg);
        if (r) return 1;
    }
    if (argc - optind != 1) {
        if (argc == 1) fputs(USAGE, stderr);
        else cmd_fail("annotate", "expected one input, %d given; - is standard input", argc - optind);
        return 1;
    }
    a->in = argv[optind];
    if (a->pooling && !a->embed) return cmd_fail("annotate", "--pool needs --embed");
    if (a->embed && !a->pooling) a->pooling = POOL_MEAN;
    if (a->embed && !strcmp(a->embed, "-") && a->pooling == POOL_ROWS) return cmd_fail("annotate", "--pool none needs a file: --embed FILE.npy");
    if (!a->nscore && !a->embed) return cmd_fail("annotate", "--score none without --embed leaves nothing to do");
    return 0;
}

/* ---- headers and provenance ---- */

static void mask_text(int64_t mask, char buf[32])
{
    if (mask == CAD_MASK_EACH) strcpy(buf, "each");
    else if (mask == CAD_MASK_NONE) strcpy(buf, "none");
    else snprintf(buf, 32, "stride:%lld", (long long)mask);
}

/* Result-changing options, in one order; never threads, paths or time. */
static void options_text(const annotate_t *t, text_t *s)
{
    const args_t *a = t->a;
    char mask[32];
    text_puts(s, "score=");
    for (int i = 0; i < a->nscore; i++) text_printf(s, "%s%s", i ? "," : "", SCORE[a->score[i]]);
    if (!a->nscore) text_puts(s, "none");
    mask_text(a->mask, mask);
    text_printf(s, " mask=%s window=%lld flank=%lld", mask, (long long)t->tiling.window, (long long)t->tiling.flank);
    if (a->pooling) text_printf(s, " pool=%s", POOL[a->pooling]);
    if (a->split) text_puts(s, " split");
    if (a->clip) text_puts(s, " clip");
    if (a->skip_soft) text_puts(s, " skip-soft-masked");
    if (a->n_token) text_puts(s, " n-token");
    if (a->sep) text_puts(s, " sep");
}

static void provenance(const annotate_t *t, text_t *s, const char *format)
{
    text_t opts = { 0 };
    options_text(t, &opts);
    text_printf(s, format, "version", cad_version());
    text_printf(s, format, "model_sha256", cad_model_text(t->model, CAD_TEXT_SHA256));
    if (t->has_ref) text_printf(s, format, "reference_sha256", t->ref.checksum);
    text_printf(s, format, "options", opts.s.s ? opts.s.s : "");
    s->failed |= opts.failed;
    text_printf(s, format, "precision", "fp32");
    text_printf(s, format, "device", t->ctx ? cad_context_device(t->ctx) : t->a->o.device);
    text_free(&opts);
}

static bool embed_column(const args_t *a) { return a->embed && !strcmp(a->embed, "-"); }

/* A row that is not BED12 must not end up with twelve columns. */
static bool needs_filler(const args_t *a, int ncol)
{
    int added = a->nscore + embed_column(a);
    return added && ncol + added == 12;
}

static void column_names(const annotate_t *t, text_t *s, int ncol)
{
    const args_t *a = t->a;
    for (int i = 0; i < a->nscore; i++)
        text_printf(s, "\t%s%s", SCORE[a->score[i]], a->mask == CAD_MASK_NONE && a->score[i] != N ? "_unmasked" : "");
    if (embed_column(a)) text_puts(s, "\tembedding");
    if (needs_filler(a, ncol)) text_puts(s, "\tfiller");
}

static int put_line(annotate_t *t, const char *s, size_t n, cad_error_t *err)
{
    int rc = t->a->dry_run ? 0 : output_write(t->out, s, n, err);
    if (rc == 0) rc = t->a->dry_run ? 0 : output_write(t->out, "\n", 1, err);
    t->passed += (int64_t)n + 1;
    return rc;
}

static int put_text(annotate_t *t, text_t *s, cad_error_t *err)
{
    text_put(s, "\n", 1);
    t->passed += (int64_t)s->s.l;
    return t->a->dry_run ? 0 : text_write(t->out, s, err);
}

/* "##caduceus_..." lines and the one #chrom line, before the first row or at the end. */
static int write_header(annotate_t *t, int ncol, cad_error_t *err)
{
    text_t s = { 0 };
    size_t n = t->held.l;
    bool cr = n && t->held.s[n - 1] == '\r', extend;
    int rc = 0;
    n -= cr;
    extend = n && (!ncol || bed_columns(t->held.s, n) == ncol);
    if (t->held.l && !extend) rc = put_line(t, t->held.s, t->held.l, err);
    if (!ncol) ncol = extend ? bed_columns(t->held.s, n) : 3;
    provenance(t, &s, "##caduceus_%s=%s\n");
    if (extend) text_put(&s, t->held.s, n);
    else bed_header(&s, ncol);
    column_names(t, &s, ncol);
    if (extend && cr) text_put(&s, "\r", 1);
    if (rc == 0) rc = put_text(t, &s, err);
    t->held.l = 0;
    t->ncol = ncol;
    text_free(&s);
    return rc;
}

/* ---- the sink: one finished item becomes one line ---- */

static void put_scores(const annotate_t *t, const item_t *it, text_t *s)
{
    double n = (double)it->sums.n, entropy = it->sums.entropy / n;
    for (int i = 0; i < t->a->nscore; i++) {
        text_put(s, "\t", 1);
        switch (t->a->score[i]) {
        case PLL: text_number(s, it->sums.pll / n); break;
        case ENTROPY: text_number(s, entropy); break;
        case IC: text_number(s, 2 - entropy); break;
        case N: text_printf(s, "%lld", (long long)it->sums.n); break;
        }
    }
}

static void pooled_row(const annotate_t *t, const item_t *it)
{
    int64_t D = cad_model_number(t->model, CAD_D_MODEL);
    for (int64_t d = 0; d < D; d++)
        t->row[d] = it->npooled == 0 ? NAN : (float)(t->a->pooling == POOL_MAX ? it->pooled[d] : it->pooled[d] / (double)it->npooled);
}

static void put_embedding(const annotate_t *t, const item_t *it, text_t *s)
{
    int64_t D = it->npooled ? cad_model_number(t->model, CAD_D_MODEL) : 1; /* one "." */
    for (int64_t d = 0; d < D; d++) {
        text_put(s, d ? "," : "\t", 1);
        text_number(s, (double)t->row[d]);
    }
}

static void progress(annotate_t *t)
{
    struct timespec now;
    double since, all;
    if (!t->tty || t->a->o.quiet) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    since = (double)(now.tv_sec - t->shown.tv_sec) + 1e-9 * (double)(now.tv_nsec - t->shown.tv_nsec);
    all = (double)(now.tv_sec - t->start.tv_sec) + 1e-9 * (double)(now.tv_nsec - t->start.tv_nsec);
    if (since < 1) return;
    t->shown = now;
    fprintf(stderr, "\r%lld rows, %.3g tokens/s", (long long)t->pipe.work.regions, (double)t->pipe.work.tokens / all);
    if (t->in.size) {
        double share = (double)t->in.bytes / (double)t->in.size;
        fprintf(stderr, ", %.0f%% read, about %.0f s left", 100 * share, all / share - all);
    }
    fputs("  ", stderr);
}

static int sink(void *arg, item_t *it, cad_error_t *err)
{
    annotate_t *t = arg;
    text_t *s = &t->text;
    bool cr = it->text.l && it->text.s[it->text.l - 1] == '\r';
    int rc = 0;
    if (!it->scored) return put_line(t, it->text.s, it->text.l, err);
    text_clear(s);
    text_put(s, it->text.s, it->text.l - cr);
    if (it->sums.n == 0 && t->pipe.want_scores && it->nbase)
        note(&t->notes, NOTE_UNSCORED, !t->a->dry_run, "%.*s: no base to score; its scores are \".\"", (int)cad_min((int64_t)it->text.l, 60), it->text.s);
    put_scores(t, it, s);
    if (t->a->pooling && t->a->pooling != POOL_ROWS && !t->a->dry_run) {
        pooled_row(t, it);
        if (embed_column(t->a)) put_embedding(t, it, s);
        else rc = npy_write(&t->npy, t->row, 1, err);
    }
    if (needs_filler(t->a, it->ncol)) text_puts(s, "\t.");
    if (cr) text_put(s, "\r", 1);
    if (rc == 0) rc = put_text(t, s, err);
    progress(t);
    return rc;
}

static int sink_rows(void *arg, const float *rows, int64_t n, cad_error_t *err)
{
    return npy_write(&((annotate_t *)arg)->npy, rows, n, err);
}

/* ---- sources ---- */

static int pass_through(annotate_t *t, const kstring_t *line, cad_error_t *err)
{
    item_t *it = item_new();
    if (!it || kputsn(line->s ? line->s : "", line->l, &it->text) < 0) {
        item_free(it);
        return cad_fail(err, CAD_ENOMEM, "out of memory");
    }
    return pipeline_put(&t->pipe, it, err);
}

/* Comments before the first row: the last one with columns may be its header. */
static int other_line(annotate_t *t, line_kind_t kind, cad_error_t *err)
{
    kstring_t *l = &t->line;
    if (kind == LINE_BROWSER && output_is_gz(t->a->output)) {
        note(&t->notes, NOTE_BROWSER, 1, "%s:%lld: track and browser lines are left out of a compressed BED", t->in.path, (long long)t->in.line);
        return 0;
    }
    if (kind == LINE_COMMENT && !t->ncol && l->s[0] == '#' && l->l > 1 && l->s[1] != '#' && (memchr(l->s, '\t', l->l) || !strncasecmp(l->s, "#chrom", 6)) && bed_columns(l->s, l->l) >= 3) {
        int rc = t->held.l ? pass_through(t, &t->held, err) : 0;
        t->held.l = 0;
        if (rc == 0 && kputsn(l->s, l->l, &t->held) < 0) rc = cad_fail(err, CAD_ENOMEM, "out of memory");
        return rc;
    }
    return pass_through(t, l, err);
}

static int wanted(const annotate_t *t, const char *contig, int64_t beg, int64_t end)
{
    return (!t->only || regions_overlap(t->only, contig, beg, end)) && (!t->targets || regions_overlap(t->targets, contig, beg, end));
}

static int place_row(annotate_t *t, bed_row_t *row, item_t *it, cad_error_t *err)
{
    long long line = (long long)t->in.line;
    char hint[700];
    it->contig = fasta_find(&t->ref, row->contig);
    if (!it->contig)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: contig \"%s\" is not in %s%s", t->in.path, line, row->contig, t->ref.path, fasta_hint(&t->ref, row->contig, hint, sizeof hint));
    it->length = it->contig->length;
    if (row->span.end > it->length && !t->a->clip)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: end %lld is past the end of %s (%lld bases); correct it, or clip with --clip", t->in.path, line,
                        (long long)row->span.end, row->contig, (long long)it->length);
    if (row->span.end > it->length)
        note(&t->notes, NOTE_CLIPPED, 1, "%s:%lld: clipped at the end of %s", t->in.path, line, row->contig);
    if (row->span.beg == row->span.end)
        note(&t->notes, NOTE_EMPTY, 1, "%s:%lld: an empty region; its scores are \".\"", t->in.path, line);
    it->npart = row->block ? row->nblock : 1;
    it->part = malloc((size_t)it->npart * sizeof *it->part);
    if (!it->part) return cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int i = 0; i < it->npart; i++) {
        interval_t p = row->block ? row->block[i] : row->span;
        it->part[i] = (interval_t){ cad_min(p.beg, it->length), cad_min(p.end, it->length) };
    }
    return 0;
}

static int data_line(annotate_t *t, cad_error_t *err)
{
    bed_row_t row;
    item_t *it = NULL;
    int rc = bed_parse(t->in.path, t->in.line, t->line.s, t->line.l, t->a->split, &row, err);
    if (rc) return rc;
    if (!t->seen) t->seen = row.ncol;
    if (!wanted(t, row.contig, row.span.beg, row.span.end)) {
        bed_free(&row);
        return 0;
    }
    if (t->ncol && t->ncol != row.ncol)
        rc = cad_fail(err, CAD_EFORMAT, "%s:%lld: %d columns, but the rows before it have %d; added columns would not line up", t->in.path, (long long)t->in.line, row.ncol, t->ncol);
    if (rc == 0 && !(it = item_new())) rc = cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0) rc = place_row(t, &row, it, err);
    if (rc == 0 && !t->ncol) rc = write_header(t, row.ncol, err);
    if (rc == 0) {
        it->scored = true;
        it->ncol = row.ncol;
        if (kputsn(t->line.s, t->line.l, &it->text) < 0) rc = cad_fail(err, CAD_ENOMEM, "out of memory");
    }
    bed_free(&row);
    if (rc) item_free(it);
    return rc ? rc : pipeline_put(&t->pipe, it, err);
}

static int run_bed(annotate_t *t, cad_error_t *err)
{
    int rc;
    while ((rc = input_line(&t->in, &t->line, err)) > 0) {
        line_kind_t kind = bed_line_kind(t->line.s, t->line.l);
        rc = kind == LINE_DATA ? data_line(t, err) : other_line(t, kind, err);
        if (rc) return rc;
    }
    return rc;
}

/* A record is its own contig; its row is `name 0 length`. */
static int run_seqs(annotate_t *t, cad_error_t *err)
{
    seq_t s = { { 0, 0, NULL }, { 0, 0, NULL }, { 0, 0, NULL } };
    int rc = write_header(t, 3, err);
    while (rc == 0 && (rc = seq_next(&t->in, &s, err)) > 0) {
        item_t *it;
        rc = 0;
        if (!wanted(t, s.name.s, 0, (int64_t)s.bases.l)) continue;
        it = item_new();
        if (it) it->part = malloc(sizeof *it->part);
        if (!it || !it->part || ksprintf(&it->text, "%s\t0\t%zu", s.name.s, s.bases.l) < 0) {
            item_free(it);
            rc = cad_fail(err, CAD_ENOMEM, "out of memory");
            break;
        }
        if (s.bases.l == 0) note(&t->notes, NOTE_EMPTY, 1, "%s:%lld: an empty sequence; its scores are \".\"", t->in.path, (long long)t->in.line);
        it->scored = true;
        it->ncol = 3;
        it->npart = 1;
        it->seq = s.bases.s;
        it->length = (int64_t)s.bases.l;
        it->part[0] = (interval_t){ 0, it->length };
        s.bases = (kstring_t){ 0, 0, NULL };
        rc = pipeline_put(&t->pipe, it, err);
    }
    seq_free(&s);
    return rc;
}

/* ---- opening and closing ---- */

static int open_filters(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = 0;
    if (a->nregion) rc = regions_new(&t->only, err);
    for (int i = 0; i < a->nregion && rc == 0; i++) rc = regions_add_text(t->only, a->region[i], t->has_ref ? &t->ref : NULL, err);
    if (rc == 0 && a->nregion) regions_finish(t->only);
    if (rc == 0 && a->targets) rc = regions_new(&t->targets, err);
    if (rc == 0 && a->targets) rc = regions_add_bed(t->targets, a->targets, err);
    if (rc == 0 && a->targets) regions_finish(t->targets);
    return rc;
}

static int open_inputs(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = input_open(&t->in, a->in, a->in_format, err);
    if (rc) return rc;
    if (t->in.kind == INPUT_BED && !a->reference)
        return cad_fail(err, CAD_EARG, "%s: BED regions need their reference: give -T FASTA", t->in.path);
    if (t->in.kind != INPUT_BED && a->reference)
        return cad_fail(err, CAD_EARG, "%s: FASTA and FASTQ records are their own sequence; -T does not fit", t->in.path);
    if (t->in.kind != INPUT_BED && (a->split || a->clip))
        return cad_fail(err, CAD_EARG, "%s: --split and --clip fit BED only", t->in.path);
    if (a->reference) rc = fasta_open(&t->ref, a->reference, &t->notes, err);
    if (rc) return rc;
    t->has_ref = a->reference != NULL;
    return open_filters(t, err);
}

/* Nor one of the model's files. */
static int refuse_model(const char *output, const char *model, cad_error_t *err)
{
    static const char *const part[] = { "", "/model.safetensors", "/config.json", "/tokenizer_config.json", "/model.safetensors.index.json" };
    int rc = 0;
    for (size_t i = 0; model && i < sizeof part / sizeof *part && rc == 0; i++) {
        char *path = suffixed(model, part[i]);
        rc = path ? refuse_same(output, path, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
        free(path);
    }
    return rc;
}

/* No output may be an input, its index or another output. */
static int refuse_clashes(const args_t *a, bool file, const char *json, cad_error_t *err)
{
    char *fai = a->reference ? suffixed(a->reference, ".fai") : NULL, *gzi = a->reference ? suffixed(a->reference, ".gzi") : NULL;
    const char *in[] = { a->in, a->reference, a->targets, fai, gzi }, *out[] = { a->output, file ? a->embed : NULL, json };
    int rc = a->reference && (!fai || !gzi) ? cad_fail(err, CAD_ENOMEM, "out of memory") : 0;
    for (int o = 0; o < 3; o++) {
        for (int i = 0; i < 5 && rc == 0; i++) rc = refuse_same(out[o], in[i], err);
        for (int k = 0; k < o && rc == 0; k++) {
            rc = refuse_twice(out[o], out[k], err);
        }
        if (rc == 0) rc = refuse_model(out[o], options_model(&a->o), err);
    }
    free(fai);
    free(gzi);
    return rc;
}

/* Outputs are opened before the model is loaded, so that a wrong path costs nothing. */
static int open_outputs(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    bool file = a->embed && strcmp(a->embed, "-");
    char *json = file ? suffixed(a->embed, ".json") : NULL;
    int rc = file && !json ? cad_fail(err, CAD_ENOMEM, "out of memory") : refuse_clashes(a, file, json, err);
    if (rc == 0 && !a->dry_run) {
        rc = output_open(&t->out, a->output, output_is_gz(a->output), err);
        if (rc == 0 && file) rc = output_open(&t->npy.out, a->embed, false, err);
        if (rc == 0 && file && output_is_file(t->npy.out)) rc = output_open(&t->json, json, false, err);
    }
    free(json);
    return rc;
}

static int open_engine(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int64_t D = cad_model_number(t->model, CAD_D_MODEL);
    int rc = tiling_set(&t->tiling, a->window ? a->window : cad_model_number(t->model, CAD_MAX_LEN), a->flank, err);
    if (rc) return rc;
    if (a->sep && cad_model_number(t->model, CAD_TOKEN_SEP) < 0) return cad_fail(err, CAD_EARG, "--sep: the model's vocabulary has no [SEP]");
    if (a->n_token && cad_model_number(t->model, CAD_TOKEN_N) < 0) return cad_fail(err, CAD_EARG, "--n-token: the model's vocabulary has no N");
    if (cad_model_number(t->model, CAD_LABELS) && a->nscore)
        return cad_fail(err, CAD_EARG, "the model is a classifier without a language-model head; use --score none --embed FILE");
    rc = cad_context_open(&t->ctx, t->model, a->o.device, a->o.threads, t->tiling.window + a->sep, err);
    if (rc) return rc;
    t->row = cad_alloc((size_t)D, sizeof *t->row);
    if (!t->row) return cad_fail(err, CAD_ENOMEM, "out of memory");
    t->pipe = (pipeline_t){ .model = t->model, .ctx = a->dry_run ? NULL : t->ctx, .ref = &t->ref, .tiling = t->tiling, .mask = a->mask,
        .want_scores = a->nscore > 0, .skip_soft = a->skip_soft, .sep = a->sep, .encode_flags = a->n_token ? CAD_N_AS_TOKEN : 0,
        .pooling = a->pooling, .sink = sink, .rows = sink_rows, .arg = t, .notes = &t->notes,
        .batch_tokens = cad_max((int64_t)1 << 18, (int64_t)a->o.threads << 16) };
    clock_gettime(CLOCK_MONOTONIC, &t->start);
    t->shown = t->start;
    t->tty = isatty(STDERR_FILENO);
    return t->npy.out ? npy_begin(&t->npy, D, err) : 0;
}

static int write_json(annotate_t *t, cad_error_t *err)
{
    text_t s = { 0 };
    int rc;
    text_puts(&s, "{\n");
    provenance(t, &s, "  \"%s\": \"%s\",\n");
    text_printf(&s, "  \"rows\": \"%s\"\n}\n", t->a->pooling == POOL_ROWS ? "bases of the regions, in order" : "regions, in order");
    rc = text_write(t->json, &s, err);
    text_free(&s);
    return rc;
}

static int close_outputs(annotate_t *t, cad_error_t *err)
{
    output_t **out[] = { &t->out, &t->npy.out, &t->json };
    int rc = t->npy.out ? npy_finish(&t->npy, err) : 0;
    if (rc == 0 && t->json) rc = write_json(t, err);
    for (int i = 0; i < 3 && rc == 0; i++)
        if (*out[i]) rc = output_sync(*out[i], err);
    for (int i = 0; i < 3 && rc == 0; i++) {
        if (!*out[i]) continue;
        rc = output_close(*out[i], err);
        *out[i] = NULL;
    }
    return rc;
}

/* ---- dry run ---- */

/* Seconds per token of one pass, from a short run of random bases. */
static double calibrate(annotate_t *t)
{
    int64_t n = cad_min(t->tiling.window, 2048);
    struct timespec a, b;
    cad_window_t w = { .len = n, .core_end = n };
    uint8_t *tok = malloc((size_t)n);
    float *logp = malloc((size_t)n * 4 * sizeof *logp);
    double s = 0;
    for (int64_t i = 0; tok && i < n; i++) tok[i] = (uint8_t)t->model->vocab.base[i * 7 % 11 % 4];
    w.tokens = tok;
    w.logp = logp;
    for (int i = 0; tok && logp && i < 2; i++) { /* the first warms up */
        clock_gettime(CLOCK_MONOTONIC, &a);
        cad_score(t->ctx, &w, 1, CAD_MASK_NONE, NULL);
        clock_gettime(CLOCK_MONOTONIC, &b);
        s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    }
    free(tok);
    free(logp);
    return s / (double)n;
}

static void report_dry_run(annotate_t *t)
{
    const work_t *w = &t->pipe.work;
    int64_t D = cad_model_number(t->model, CAD_D_MODEL);
    printf("rows\t%lld\nwindows\t%lld\npasses\t%lld\ntokens\t%lld\n", (long long)w->regions, (long long)w->windows, (long long)w->passes, (long long)w->tokens);
    printf("seconds\t%.3g\n", calibrate(t) * (double)w->tokens);
    printf("output_bytes\t%lld\n", (long long)(t->passed + w->regions * (9 * t->a->nscore + (embed_column(t->a) ? 10 * D : 0))));
    if (t->a->embed && !embed_column(t->a))
        printf("embedding_bytes\t%lld\n", (long long)((t->a->pooling == POOL_ROWS ? w->bases : w->regions) * D * 4 + 128));
}

/* ---- entry ---- */

static int run(annotate_t *t, cad_error_t *err)
{
    int rc = open_inputs(t, err);
    if (rc == 0) rc = open_outputs(t, err);
    if (rc) return rc;
    if (options_open_model(&t->a->o, &t->model)) {
        err->text[0] = 0; /* reported */
        return CAD_EIO;
    }
    rc = open_engine(t, err);
    if (rc == 0) rc = t->in.kind == INPUT_BED ? run_bed(t, err) : run_seqs(t, err);
    if (rc == 0) rc = pipeline_flush(&t->pipe, err);
    if (rc == 0 && !t->ncol) rc = write_header(t, t->seen, err);
    if (rc == 0 && t->a->dry_run) report_dry_run(t);
    if (rc == 0) rc = close_outputs(t, err);
    return rc;
}

int cmd_annotate(int argc, char **argv)
{
    args_t a;
    annotate_t t = { 0 };
    cad_error_t err = { "" };
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    t.a = &a;
    t.notes = (notes_t){ .cmd = "annotate", .quiet = a.o.quiet };
    rc = run(&t, &err);
    if (t.tty && !a.o.quiet && t.shown.tv_sec != t.start.tv_sec) fputc('\n', stderr);
    if (rc && err.text[0]) cmd_fail("annotate", "%s", err.text);
    if (rc == 0) notes_summary(&t.notes);
    output_abort(t.out);
    output_abort(t.npy.out);
    output_abort(t.json);
    pipeline_close(&t.pipe);
    input_close(&t.in);
    if (t.has_ref) fasta_close(&t.ref);
    regions_free(t.only);
    regions_free(t.targets);
    cad_context_close(t.ctx);
    cad_model_close(t.model);
    free(t.row);
    free(t.line.s);
    text_free(&t.text);
    free(t.held.s);
    return rc || cmd_finish("annotate") ? 1 : 0;
}
