/* annotate.c - caduceus annotate: any genomic file in, the same kind of file out.
 * SPDX-License-Identifier: MIT */
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"

static const char USAGE[] =
"Usage: caduceus annotate [options] IN\n\n"
"Scores what IN holds and writes all of it back: BED regions, FASTA and FASTQ\n"
"records with columns added, SAM, BAM and CRAM reads with tags, VCF and BCF\n"
"variants with INFO fields. IN may be -, and compressed.\n\n"
"Input and output:\n"
"  -T, --reference FASTA  reference of regions, variants and CRAM; also --fasta-ref\n"
"      --chr-alias FILE   other names of its contigs: a line each, tab-separated\n"
"      --in-format FMT    bed, fasta, fastq, sam, bam, cram, vcf or bcf [detected]\n"
"  -o, --output FILE      output; its suffix chooses the format [-, as the input]\n"
"  -O, --output-fmt FMT   sam, bam, cram[,OPTIONS]; u, b, v or z with a level, as z9\n"
"      --output-fmt-option KEY=VALUE  an option of htslib's for reads and variants\n"
"      --write-index[=csi|bai|tbi]  an index beside the output [csi]\n"
"  -r, --region REGION    only what overlaps CONTIG[:BEG[-END]], counted from 1; reads\n"
"                         and variants are found through their index; CONTIG:BEG is\n"
"                         all from there on, but of variants that base\n"
"  -R, --regions-file FILE|REGION  the same, of a BED\n"
"  -t, --targets FILE|REGION  the same without an index; variants by their POS\n"
"  -L, --targets-file BED the same, of a BED\n"
"      --no-PG            add no @PG line\n"
"      --no-version       add no lines on version and model to a VCF header\n"
"Scores:\n"
"      --score LIST       regions: of pll, n, entropy, ic [pll,n]; reads: of pll, n,\n"
"                         bases [pll,n]; variants: of llr, dpll, n, dist, cos\n"
"                         [llr,dpll]; or none\n"
"      --mask HOW         each, stride:K or none [stride:8]\n"
"      --window W         bases in a window, flanks included [the model's length]\n"
"      --flank F          context on each side [min(1024, W/4); variants:\n"
"                         min(1024, (W-1)/2)]\n"
"      --skip-soft-masked lower-case bases are context, but not scored\n"
"      --embed FILE       embeddings: a .npy matrix, or - for a column or tag\n"
"      --pool HOW         mean, max, center or none [mean]\n"
"      --n-token          encode N as the token N, not as PAD\n"
"      --sep              end every window with the SEP token\n"
"Regions:\n"
"      --clip             clip regions at contig ends instead of stopping\n"
"      --split            score the blocks of BED12 rows\n"
"Reads:\n"
"  -f, --require-flags N  score only reads with all of these flags\n"
"  -F, --exclude-flags N  score no reads with any of these flags\n"
"  -q, --min-MQ N         score only reads of at least this MAPQ\n"
"      --include EXPR     score only reads for which htslib's expression holds\n"
"      --context HOW      seq: a read's own bases; ref: the reference under it [seq]\n"
"      --clip-soft        leave soft-clipped bases out\n"
"      --min-BQ Q         read bases of lower quality as N [0]\n"
"      --tag-map LIST     other names for tags, as yp=xp,yn=xn\n"
"Variants:\n"
"      --check-ref e|w    REF differs from FASTA: stop, or keep the record unscored [e]\n"
"      --anchor A         bases before the variant in a window of --window bases\n"
"      --pool-window P    bases pooled on each side for dist and cos [768]\n"
"      --info-prefix P    beginning of INFO names [CADUCEUS]\n"
"Other:\n"
"      --shard I/N|slurm  only this share of the work; caduceus merge joins the parts\n"
"      --dry-run          count windows and tokens, estimate time and size\n"
OPTIONS_USAGE;

static const char *const POOL[] = { "", "none", "mean", "max", "center" };
static const char *const READ_SCORE[] = { "pll", "n", "bases" };
static const tag_t READ_TAG[] = { TAG_PLL, TAG_N, TAG_BASES };
static const char *const VARIANT_SCORE[] = { "llr", "dpll", "n", "dist", "cos" };
static const char *const TAG[TAGS] = { "yp", "yn", "ye", "yb" };

typedef struct {
    options_t o;
    const char *in, *in_format, *reference, *aliases, *output, *format, *embed, *score;
    const char *format_option[16];
    limits_t limits;         /* -r -R -t -L */
    shard_t shard;
    int nformat_option;
    index_t index;
    int64_t mask, window, flank, anchor;
    bool clip, split, skip_soft, sep, n_token, dry_run;
    pooling_t pooling;
    score_list_t scores;     /* of regions */
    reads_options_t reads;
    variants_options_t variants;
    bool named[TAGS];        /* by --tag-map */
    bool used[128];          /* options given, by code */
} args_t;

typedef struct {
    args_t *a;
    notes_t notes;
    cad_model_t *model;
    cad_context_t *ctx;
    fasta_t ref;
    input_t in;
    regions_t *only, *targets;
    tiling_t tiling;
    const text_t *command;   /* as @PG has it */
    text_t options, description; /* as provenance and @PG have them */
    provenance_t provenance;
    char work[64], shard[48]; /* of provenance */
    pipeline_t pipe;
    cutter_t cutter;
    table_t table;           /* regions */
    reads_t reads;
    variants_t variants;
    records_out_t records;   /* of reads or variants */
    htsThreadPool pool;
    progress_t progress;
} annotate_t;

/* ---- options ---- */

enum { O_FORMAT = 1, O_SCORE, O_MASK, O_WINDOW, O_FLANK, O_CLIP, O_SPLIT, O_SOFT, O_EMBED, O_POOL, O_NTOKEN, O_SEP, O_DRY, O_ALIAS, O_FMTOPT,
       O_INDEX, O_NOPG, O_NOVERSION, O_INCLUDE, O_CONTEXT, O_CLIPSOFT, O_MINBQ, O_TAGMAP, O_CHECKREF, O_ANCHOR, O_POOLWIN, O_PREFIX, O_SHARD };
enum { BED = 1 << INPUT_BED, SEQS = 1 << INPUT_FASTA | 1 << INPUT_FASTQ, READS = 1 << INPUT_READS, VARIANTS = 1 << INPUT_VARIANTS };
static const struct option LONGS[] = {
    OPTIONS_LONG, { "reference", required_argument, NULL, 'T' }, { "fasta-ref", required_argument, NULL, 'T' },
    { "output", required_argument, NULL, 'o' }, { "output-fmt", required_argument, NULL, 'O' }, { "region", required_argument, NULL, 'r' },
    { "regions-file", required_argument, NULL, 'R' }, { "targets", required_argument, NULL, 't' },
    { "targets-file", required_argument, NULL, 'L' }, { "require-flags", required_argument, NULL, 'f' },
    { "exclude-flags", required_argument, NULL, 'F' }, { "min-MQ", required_argument, NULL, 'q' },
    { "in-format", required_argument, NULL, O_FORMAT }, { "score", required_argument, NULL, O_SCORE }, { "mask", required_argument, NULL, O_MASK },
    { "window", required_argument, NULL, O_WINDOW }, { "flank", required_argument, NULL, O_FLANK }, { "clip", no_argument, NULL, O_CLIP },
    { "split", no_argument, NULL, O_SPLIT }, { "skip-soft-masked", no_argument, NULL, O_SOFT }, { "embed", required_argument, NULL, O_EMBED },
    { "pool", required_argument, NULL, O_POOL }, { "n-token", no_argument, NULL, O_NTOKEN }, { "sep", no_argument, NULL, O_SEP },
    { "dry-run", no_argument, NULL, O_DRY }, { "chr-alias", required_argument, NULL, O_ALIAS },
    { "output-fmt-option", required_argument, NULL, O_FMTOPT }, { "write-index", optional_argument, NULL, O_INDEX },
    { "no-PG", no_argument, NULL, O_NOPG }, { "no-version", no_argument, NULL, O_NOVERSION }, { "include", required_argument, NULL, O_INCLUDE },
    { "context", required_argument, NULL, O_CONTEXT }, { "clip-soft", no_argument, NULL, O_CLIPSOFT }, { "min-BQ", required_argument, NULL, O_MINBQ },
    { "tag-map", required_argument, NULL, O_TAGMAP }, { "check-ref", required_argument, NULL, O_CHECKREF },
    { "anchor", required_argument, NULL, O_ANCHOR }, { "pool-window", required_argument, NULL, O_POOLWIN },
    { "info-prefix", required_argument, NULL, O_PREFIX },
    { "shard", required_argument, NULL, O_SHARD }, { 0 }
};

/* Options that do not fit every kind of input. */
static const struct { int code, kinds; } FITS[] = {
    { 'T', BED | READS | VARIANTS }, { O_ALIAS, BED | READS | VARIANTS }, { 'O', READS | VARIANTS }, { O_FMTOPT, READS | VARIANTS },
    { O_INDEX, READS | VARIANTS }, { O_NOPG, READS }, { O_NOVERSION, VARIANTS }, { O_CLIP, BED }, { O_SPLIT, BED }, { O_SOFT, BED | SEQS | READS },
    { O_EMBED, BED | SEQS | READS }, { O_POOL, BED | SEQS | READS }, { 'f', READS }, { 'F', READS }, { 'q', READS }, { O_INCLUDE, READS },
    { O_CONTEXT, READS }, { O_CLIPSOFT, READS }, { O_MINBQ, READS }, { O_TAGMAP, READS }, { O_CHECKREF, VARIANTS }, { O_ANCHOR, VARIANTS },
    { O_POOLWIN, VARIANTS }, { O_PREFIX, VARIANTS },
};

static int parse_pool(args_t *a, const char *s)
{
    for (pooling_t p = POOL_ROWS; p <= POOL_CENTER; p++)
        if (!strcmp(s, POOL[p])) { a->pooling = p; return 0; }
    return cmd_fail("annotate", "--pool %s: expected mean, max, center or none", s);
}

static int parse_flags(const char *option, const char *s, int *flags)
{
    bool hex = !strncmp(s, "0x", 2) && s[2] && strlen(s) <= 6 && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")];
    bool name = (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z');
    int64_t f;
    if (!cad_parse_int(s, 0, 0xffff, &f)) f = hex || name ? bam_str2flag(s) : -1; /* it would read 1x as 1 */
    if (f < 0) return cmd_fail("annotate", "%s %s: expected flags as a number or names; samtools flags lists them", option, s);
    *flags |= (int)f;
    return 0;
}

static int parse_int(const char *option, const char *s, int hi, int *out)
{
    int64_t n;
    if (option_int("annotate", option, s, 0, hi, &n)) return 1;
    *out = (int)n;
    return 0;
}

static int parse_choice(const char *option, const char *s, const char *no, const char *yes, bool *out)
{
    *out = !strcmp(s, yes);
    return *out || !strcmp(s, no) ? 0 : cmd_fail("annotate", "%s %s: expected %s or %s", option, s, no, yes);
}

/* Standard tags are all upper case: a tag of ours has a lower-case letter or begins with X, Y or Z. */
static bool may_be_tag(const char *s)
{
    bool letter = (s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z'), lower = s[0] >= 'a' || (s[1] >= 'a' && s[1] <= 'z');
    bool second = letter && ((s[1] >= 'a' && s[1] <= 'z') || (s[1] >= 'A' && s[1] <= 'Z') || (s[1] >= '0' && s[1] <= '9'));
    return second && (lower || s[0] >= 'X');
}

static int parse_tags(args_t *a, const char *s)
{
    for (;; s += 6) {
        tag_t t = 0;
        while (t < TAGS && strncmp(s, TAG[t], 2)) t++;
        if (t == TAGS || s[2] != '=' || !may_be_tag(s + 3) || (s[5] && s[5] != ','))
            return cmd_fail("annotate", "--tag-map %s: expected yp=XX, with yn, ye, yb likewise, comma-separated; XX a tag for local use, as xp or Xp", s);
        memcpy(a->reads.tag[t], s + 3, 2);
        a->named[t] = true;
        if (!s[5]) return 0;
    }
}

static int take_option(args_t *a, int c, const char *arg)
{
    const char *cmd = "annotate";
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 'O': a->format = arg; return 0;
    case 'r': case 'R': case 't': case 'L': return limits_take(&a->limits, cmd, c, arg);
    case 'f': return parse_flags("-f", arg, &a->reads.require);
    case 'F': return parse_flags("-F", arg, &a->reads.exclude);
    case 'q': return parse_int("-q", arg, 255, &a->reads.min_mapq);
    case O_FORMAT: a->in_format = arg; return 0;
    case O_SCORE: a->score = arg; return 0;
    case O_MASK: return option_mask(cmd, arg, &a->mask);
    case O_WINDOW: return option_int(cmd, "--window", arg, 1, 1 << 30, &a->window);
    case O_FLANK: return option_int(cmd, "--flank", arg, 0, 1 << 29, &a->flank);
    case O_CLIP: a->clip = true; return 0;
    case O_SPLIT: a->split = true; return 0;
    case O_SOFT: a->skip_soft = true; return 0;
    case O_EMBED: a->embed = arg; return 0;
    case O_POOL: return parse_pool(a, arg);
    case O_NTOKEN: a->n_token = true; return 0;
    case O_SEP: a->sep = true; return 0;
    case O_DRY: a->dry_run = true; return 0;
    case O_ALIAS: a->aliases = arg; return 0;
    case O_FMTOPT:
        if (a->nformat_option == 16) return cmd_fail(cmd, "--output-fmt-option: more than 16 times");
        a->format_option[a->nformat_option++] = arg;
        return 0;
    case O_INDEX: return option_index(cmd, arg, &a->index);
    case O_NOPG: a->reads.no_pg = true; return 0;
    case O_NOVERSION: a->variants.no_version = true; return 0;
    case O_INCLUDE: a->reads.include = arg; return 0;
    case O_CONTEXT: return parse_choice("--context", arg, "seq", "ref", &a->reads.context_ref);
    case O_CLIPSOFT: a->reads.clip_soft = true; return 0;
    case O_MINBQ: return parse_int("--min-BQ", arg, 255, &a->reads.min_bq);
    case O_TAGMAP: return parse_tags(a, arg);
    case O_CHECKREF: return parse_choice("--check-ref", arg, "e", "w", &a->variants.keep_mismatch);
    case O_ANCHOR: return option_int(cmd, "--anchor", arg, 0, 1 << 30, &a->anchor);
    case O_POOLWIN: return option_int(cmd, "--pool-window", arg, 0, 1 << 29, &a->variants.pool_window);
    case O_SHARD: return option_shard(cmd, arg, &a->shard);
    case O_PREFIX: a->variants.prefix = arg; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

static bool is_regular(const char *path)
{
    struct stat sb;
    return strcmp(path, "-") && (stat(path, &sb) || S_ISREG(sb.st_mode)); /* a missing file is reported later */
}

/* 0 = go on, 1 = error, 2 = help shown. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int c;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "annotate");
    reads_options_init(&a->reads);
    variants_options_init(&a->variants);
    a->output = "-";
    a->mask = 8;
    a->flank = a->anchor = -1;
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "T:o:O:r:R:t:L:f:F:q:", LONGS, NULL)) != -1) {
        if (c == 1004) {
            fputs(USAGE, stdout);
            return cmd_finish("annotate") ? 1 : 2;
        }
        if (c == '?' || c == ':') return option_unknown("annotate", argv);
        if (c < 128) a->used[c] = true;
        if (take_option(a, c, optarg)) return 1;
    }
    if (argc - optind != 1) {
        if (argc == 1) fputs(USAGE, stderr);
        else cmd_fail("annotate", "expected one input, %d given; - is standard input", argc - optind);
        return 1;
    }
    a->in = argv[optind];
    if (a->pooling && !a->embed) return cmd_fail("annotate", "--pool needs --embed");
    if (a->embed && !a->pooling) a->pooling = POOL_MEAN;
    if (a->shard.of && (a->dry_run || !strcmp(a->output, "-"))) return cmd_fail("annotate", "--shard needs an output file, and no --dry-run");
    if (a->shard.of && (!is_regular(a->in) || limits_stream(&a->limits))) return cmd_fail("annotate", "--shard reads its input twice: it must be a file");
    if (a->embed && !strcmp(a->embed, "-") && a->pooling == POOL_ROWS) return cmd_fail("annotate", "--pool none needs a file: --embed FILE.npy");
    return 0;
}

/* ---- options against the kind of input ---- */

static bool embed_column(const args_t *a) { return a->embed && !strcmp(a->embed, "-"); }

static int misfit(int code, input_kind_t kind, const char *path, cad_error_t *err)
{
    static const char *const what[] = { "regions", "sequence records", "sequence records", "reads", "variants" };
    size_t i = 0;
    while (LONGS[i].val != code) i++;
    if (code == 'T') return cad_fail(err, CAD_EARG, "%s: FASTA and FASTQ records are their own sequence; -T does not fit", path);
    return cad_fail(err, CAD_EARG, "%s: holds %s; --%s does not fit them", path, what[kind], LONGS[i].name);
}

static int check_fit(const args_t *a, const input_t *in, cad_error_t *err)
{
    for (size_t i = 0; i < sizeof FITS / sizeof *FITS; i++)
        if (a->used[FITS[i].code] && !(FITS[i].kinds & 1 << in->kind)) return misfit(FITS[i].code, in->kind, in->path, err);
    if (in->kind == INPUT_BED && !a->reference) return cad_fail(err, CAD_EARG, "%s: BED regions need their reference: give -T FASTA", in->path);
    if (in->kind == INPUT_VARIANTS && !a->reference) return cad_fail(err, CAD_EARG, "%s: variants need their reference: give -T FASTA", in->path);
    if (a->aliases && !a->reference) return cad_fail(err, CAD_EARG, "--chr-alias needs -T");
    return 0;
}

static int check_reads(args_t *a, cad_error_t *err)
{
    reads_options_t *o = &a->reads;
    int picked[TAGS], n, rc = list_parse(a->score ? a->score : "pll,n", READ_SCORE, 3, picked, &n, err);
    if (rc) return rc;
    for (int i = 0; i < n; i++) o->want[READ_TAG[picked[i]]] = true;
    o->want[TAG_EMBEDDING] = a->embed != NULL;
    if (!n && !a->embed) return cad_fail(err, CAD_EARG, "--score none without --embed leaves nothing to do");
    if (a->embed && !embed_column(a)) return cad_fail(err, CAD_EARG, "--embed %s: reads take --embed -, which is the tag ye", a->embed);
    if (o->context_ref && !a->reference) return cad_fail(err, CAD_EARG, "--context ref needs -T FASTA");
    if (o->context_ref && (o->clip_soft || a->used[O_MINBQ])) return cad_fail(err, CAD_EARG, "--clip-soft and --min-BQ do not fit --context ref");
    if (!o->context_ref && a->skip_soft) return cad_fail(err, CAD_EARG, "reads have no lower case; --skip-soft-masked needs --context ref");
    for (tag_t t = 0; t < TAGS; t++)
        for (tag_t u = 0; u < t; u++)
            if (!strcmp(o->tag[t], o->tag[u])) return cad_fail(err, CAD_EARG, "--tag-map: two tags named %s", o->tag[t]);
    for (tag_t t = 0; t < TAGS && a->mask == CAD_MASK_NONE; t++)
        if (o->want[t] && !a->named[t] && (t == TAG_PLL || t == TAG_BASES))
            return cad_fail(err, CAD_EARG, "--mask none gives no pseudo-likelihood: name the tag with --tag-map %s=XX", TAG[t]);
    return 0;
}

static int check_variants(args_t *a, cad_error_t *err)
{
    int picked[FIELDS], n, rc = list_parse(a->score ? a->score : "llr,dpll", VARIANT_SCORE, 5, picked, &n, err);
    const char *p = a->variants.prefix;
    if (rc) return rc;
    for (int i = 0; i < n; i++) a->variants.want[picked[i]] = true;
    if (!n) return cad_fail(err, CAD_EARG, "--score none leaves nothing to do");
    if (!*p || (*p >= '0' && *p <= '9') || p[strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")])
        return cad_fail(err, CAD_EARG, "--info-prefix %s: expected letters, digits, _ and ., not beginning with a digit", p);
    if (a->anchor >= 0 && (!a->window || a->flank >= 0)) return cad_fail(err, CAD_EARG, "--anchor goes with --window, and without --flank");
    if (a->anchor >= 0 && a->anchor >= a->window) return cad_fail(err, CAD_EARG, "--anchor %lld is not inside --window %lld", (long long)a->anchor, (long long)a->window);
    return 0;
}

static int check_regions(args_t *a, cad_error_t *err)
{
    int rc = scores_parse(&a->scores, a->score ? a->score : "pll,n", err);
    if (rc == 0 && !a->scores.n && !a->embed) rc = cad_fail(err, CAD_EARG, "--score none without --embed leaves nothing to do");
    return rc;
}

static int check_scores(args_t *a, input_kind_t kind, cad_error_t *err)
{
    return kind == INPUT_READS ? check_reads(a, err) : kind == INPUT_VARIANTS ? check_variants(a, err) : check_regions(a, err);
}

/* ---- provenance ---- */

static void put_scores(const annotate_t *t, text_t *s)
{
    const args_t *a = t->a;
    const char *sep = "score=";
    if (t->in.kind < INPUT_READS) {
        text_puts(s, sep);
        scores_names(&a->scores, ",", "", s);
        if (!a->scores.n) text_puts(s, "none");
    }
    for (int i = 0; i < 3 && t->in.kind == INPUT_READS; i++)
        if (a->reads.want[READ_TAG[i]]) { text_printf(s, "%s%s", sep, READ_SCORE[i]); sep = ","; }
    for (info_t f = 0; f < FIELD_NOTE && t->in.kind == INPUT_VARIANTS; f++)
        if (a->variants.want[f]) { text_printf(s, "%s%s", sep, VARIANT_SCORE[f]); sep = ","; }
    if (t->in.kind == INPUT_READS && *sep == 's') text_puts(s, "score=none");
}

/* Result-changing options, in one order; never threads, paths or time. */
static void put_options(annotate_t *t)
{
    const args_t *a = t->a;
    text_t *s = &t->options;
    put_scores(t, s);
    option_mask_text(a->mask, s);
    if (t->in.kind == INPUT_VARIANTS) {
        text_printf(s, " window=%lld left=%lld right=%lld", (long long)t->variants.context.window, (long long)t->variants.context.left, (long long)t->variants.context.right);
        if (a->variants.want[FIELD_DIST] || a->variants.want[FIELD_COS]) text_printf(s, " pool-window=%lld", (long long)a->variants.pool_window);
    } else
        text_printf(s, " window=%lld flank=%lld", (long long)t->tiling.window, (long long)t->tiling.flank);
    if (a->pooling) text_printf(s, " pool=%s", POOL[a->pooling]);
    if (a->split) text_puts(s, " split");
    if (a->clip) text_puts(s, " clip");
    if (a->reads.context_ref) text_puts(s, " context=ref");
    if (a->reads.clip_soft) text_puts(s, " clip-soft");
    if (a->reads.min_bq) text_printf(s, " min-BQ=%d", a->reads.min_bq);
    if (a->skip_soft) text_puts(s, " skip-soft-masked");
    if (a->n_token) text_puts(s, " n-token");
    if (a->sep) text_puts(s, " sep");
}

static void set_provenance(annotate_t *t)
{
    provenance_t *p = &t->provenance;
    const args_t *a = t->a;
    put_options(t);
    options_provenance(p, t->model, t->ctx, a->reference && (t->in.kind != INPUT_READS || a->reads.context_ref) ? t->ref.checksum : NULL, &t->options);
    shard_provenance(p, &a->shard, t->work, t->shard);
    for (int i = 1; i < p->n; i++)
        if (!provenance_of_part(p->key[i])) text_printf(&t->description, "%s%s: %s", i > 1 ? "; " : "", p->key[i], p->value[i]);
}

/* Before getopt moves them; @PG holds neither tabs nor ends of line. */
static void keep_command(text_t *t, int argc, char **argv)
{
    text_puts(t, "caduceus annotate");
    for (int i = 1; i < argc; i++) text_printf(t, " %s", argv[i]);
    for (size_t i = 0; i < t->s.l; i++)
        if (t->s.s[i] == '\t' || t->s.s[i] == '\n') t->s.s[i] = ' ';
}

/* ---- progress ---- */

/* Of a file of known size, else 0. */
static double share_read(const void *arg)
{
    const annotate_t *t = arg;
    const htsFile *fp = t->in.kind == INPUT_READS ? t->reads.fp : t->variants.fp;
    if (!t->in.size) return 0;
    if (t->in.kind < INPUT_READS) return (double)(t->in.bytes - (int64_t)(t->in.fill - t->in.at)) / (double)t->in.size;
    return fp && fp->is_bgzf ? (double)fp->fp.bgzf->block_address / (double)t->in.size : 0;
}

/* ---- opening and closing ---- */

static int open_filters(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    names_t names = { &t->ref, fasta_has, t->ref.path, &t->ref, false };
    const names_t *known = t->in.kind == INPUT_BED || t->in.kind >= INPUT_READS ? &names : NULL;
    int rc;
    if (t->in.kind == INPUT_READS) names = (names_t){ &t->reads, reads_has_contig, t->in.path, NULL, false };
    if (t->in.kind == INPUT_VARIANTS) names = (names_t){ &t->variants, variants_has_contig, t->in.path, NULL, true };
    rc = limits_open(&a->limits, "rR", &t->only, known, err);
    return rc ? rc : limits_open(&a->limits, "tL", &t->targets, known, err);
}

static int open_inputs(annotate_t *t, cad_error_t *err)
{
    args_t *a = t->a;
    int rc = input_open(&t->in, a->in, a->in_format, err);
    if (rc == 0) rc = check_fit(a, &t->in, err);
    if (rc == 0) rc = check_scores(a, t->in.kind, err);
    for (int i = 0; i < a->limits.n && rc == 0; i++)
        if (a->limits.limit[i].how == 'L' && !strcmp(a->limits.limit[i].text, "-") && !strcmp(a->in, "-")) rc = cad_fail(err, CAD_EARG, "the input and -L are both standard input");
    if (rc || t->in.kind < INPUT_READS) return rc;
    rc = records_pool(&t->pool, a->o.threads, err);
    t->reads.in = t->variants.in = &t->in;
    t->reads.o = &a->reads;
    t->variants.o = &a->variants;
    if (rc == 0) rc = t->in.kind == INPUT_READS ? reads_open(&t->reads, a->reference, err) : variants_open(&t->variants, err);
    return rc;
}

static const char *const INDEXES[] = { ".bai", ".csi", ".tbi", ".crai" };

/* One output against all inputs, their indexes and the outputs before it. */
static int refuse_one(const args_t *a, const char *const out[], int k, const char *fai, const char *gzi, cad_error_t *err)
{
    const char *in[] = { a->in, a->reference, a->aliases, fai, gzi };
    int rc = 0;
    for (int i = 0; i < 5 && rc == 0; i++) rc = refuse_same(out[k], in[i], err);
    if (rc == 0) rc = refuse_files(out[k], a->in, INDEXES, sizeof INDEXES / sizeof *INDEXES, err);
    for (int i = 0; i < a->limits.n && rc == 0; i++)
        if (a->limits.limit[i].how != 'r') rc = refuse_same(out[k], a->limits.limit[i].text, err);
    if (rc == 0) rc = refuse_twice(out[k], fai, err); /* they may not exist yet */
    if (rc == 0) rc = refuse_twice(out[k], gzi, err);
    for (int i = 0; i < k && rc == 0; i++) rc = refuse_twice(out[k], out[i], err);
    return rc ? rc : options_refuse_model(&a->o, out[k], err);
}

static int refuse_clashes(const args_t *a, const char *const out[], int n, cad_error_t *err)
{
    char *fai = a->reference ? suffixed(a->reference, ".fai") : NULL, *gzi = a->reference ? suffixed(a->reference, ".gzi") : NULL;
    int rc = a->reference && (!fai || !gzi) ? cad_fail(err, CAD_ENOMEM, "out of memory") : 0;
    for (int k = 0; k < n && rc == 0; k++) rc = refuse_one(a, out, k, fai, gzi, err);
    free(fai);
    free(gzi);
    return rc;
}

static int open_table(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    bool file = a->embed && !embed_column(a);
    char *json = file ? suffixed(a->embed, ".json") : NULL;
    const char *out[] = { a->output, file ? a->embed : NULL, json };
    int rc = file && !json ? cad_fail(err, CAD_ENOMEM, "out of memory") : refuse_clashes(a, out, 3, err);
    if (rc == 0 && !a->dry_run) {
        rc = output_open(&t->table.out, a->output, output_is_gz(a->output), err);
        if (rc == 0 && file) rc = output_open(&t->table.npy.out, a->embed, false, err);
        if (rc == 0 && file && output_is_file(t->table.npy.out)) rc = output_open(&t->table.json, json, false, err);
        if (rc == 0 && a->shard.of && !output_is_file(t->table.out)) rc = cad_fail(err, CAD_EARG, "%s: --shard writes to files only", a->output);
        if (rc == 0 && a->shard.of) rc = output_beside(&t->table.part, a->output, ".json", err);
    }
    free(json);
    return rc;
}

static int open_records(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    records_out_t *r = &t->records;
    bool reads = t->in.kind == INPUT_READS;
    int rc = 0;
    r->path = a->output;
    r->index = a->index;
    r->embed = reads && !a->reference && t->reads.fp->format.format == cram;
    t->reads.out = t->variants.out = r;
    for (int i = 0; i < a->nformat_option && rc == 0; i++)
        if (hts_opt_add((hts_opt **)&r->format.hts.specific, a->format_option[i])) rc = cad_fail(err, CAD_EARG, "--output-fmt-option %s: not an option that htslib knows", a->format_option[i]);
    if (rc == 0) rc = format_choose(&r->format, reads, a->format, a->output, reads ? &t->reads.fp->format : &t->variants.fp->format, err);
    if (rc == 0) rc = records_plan(r, err);
    if (rc == 0) rc = refuse_clashes(a, (const char *[]){ a->output, r->index_path }, 2, err);
    if (rc == 0 && !a->dry_run) rc = records_create(r, err);
    if (rc == 0 && a->shard.of && r->out && !output_is_file(r->out)) rc = cad_fail(err, CAD_EARG, "%s: --shard writes to files only", a->output);
    return rc || a->dry_run || !a->shard.of ? rc : output_beside(&r->part, a->output, ".json", err);
}

/* Outputs are opened before the model is loaded, so that a wrong path costs nothing. */
static int open_outputs(annotate_t *t, cad_error_t *err) { return t->in.kind < INPUT_READS ? open_table(t, err) : open_records(t, err); }

static int check_model(const annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    bool scores = t->in.kind == INPUT_VARIANTS ? a->variants.want[FIELD_LLR] || a->variants.want[FIELD_DPLL] : t->cutter.want_scores;
    if (a->sep && cad_model_number(t->model, CAD_TOKEN_SEP) < 0) return cad_fail(err, CAD_EARG, "--sep: the model's vocabulary has no [SEP]");
    if (a->n_token && cad_model_number(t->model, CAD_TOKEN_N) < 0) return cad_fail(err, CAD_EARG, "--n-token: the model's vocabulary has no N");
    if (cad_model_number(t->model, CAD_LABELS) && scores)
        return cad_fail(err, CAD_EARG, "the model is a classifier without a language-model head; %s",
                        t->in.kind == INPUT_VARIANTS ? "use --score dist,cos" : "use --score none --embed FILE");
    return 0;
}

static int open_regions(annotate_t *t, int64_t window, cad_error_t *err)
{
    const args_t *a = t->a;
    bool reads = t->in.kind == INPUT_READS;
    t->table.scores = a->scores;
    t->table.column = embed_column(a);
    t->table.provenance = &t->provenance;
    t->table.cutter = t->reads.cutter = &t->cutter;
    t->cutter = (cutter_t){ .model = t->model, .ref = &t->ref, .tiling = &t->tiling, .mask = a->mask, .skip_soft = a->skip_soft, .sep = a->sep,
        .encode_flags = a->n_token ? CAD_N_AS_TOKEN : 0, .pooling = a->pooling, .rows = table_rows, .rows_arg = &t->table, .notes = &t->notes,
        .pipe = &t->pipe, .want_bases = a->reads.want[TAG_BASES],
        .want_scores = reads ? a->reads.want[TAG_PLL] || a->reads.want[TAG_N] || a->reads.want[TAG_BASES] : a->scores.n > 0 };
    return tiling_set(&t->tiling, window, a->flank, err);
}

static int open_variants(annotate_t *t, int64_t window, int64_t *longest, cad_error_t *err)
{
    const args_t *a = t->a;
    variants_t *v = &t->variants;
    v->ref = &t->ref;
    v->model = t->model;
    v->mask = a->mask;
    v->sep = a->sep;
    v->encode_flags = a->n_token ? CAD_N_AS_TOKEN : 0;
    v->notes = &t->notes;
    v->pipe = &t->pipe;
    return context_set(&v->context, window, a->flank, a->anchor, longest, err);
}

static int open_engine(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int64_t window = a->window ? a->window : cad_model_number(t->model, CAD_MAX_LEN), longest = window;
    bool variants = t->in.kind == INPUT_VARIANTS, reads = t->in.kind == INPUT_READS;
    int rc = variants ? open_variants(t, window, &longest, err) : open_regions(t, window, err);
    if (rc == 0) rc = check_model(t, err);
    if (rc == 0) rc = options_open_context(&a->o, t->model, longest + a->sep, &t->ctx, err);
    if (rc) return rc;
    set_provenance(t);
    t->pipe = (pipeline_t){ .shard = a->shard, .model = t->model, .ctx = a->dry_run ? NULL : t->ctx, .mask = a->mask, .pool = pooling_of(a->pooling),
        .take = reads ? reads_take : variants ? variants_take : table_take, .sink = reads ? reads_sink : variants ? variants_sink : table_sink,
        .drop = reads ? reads_drop : variants ? variants_drop : table_drop, .arg = reads ? (void *)&t->reads : variants ? (void *)&t->variants : &t->table,
        .tick = progress_tick, .tick_arg = &t->progress, .batch_tokens = options_batch(&a->o) };
    t->progress.share = share_read;
    t->progress.share_arg = t;
    progress_begin(&t->progress, &a->o, &t->pipe.work, reads ? &t->reads.records : variants ? &t->variants.records : &t->table.rows, "rows");
    return t->in.kind < INPUT_READS ? table_begin(&t->table, cad_model_number(t->model, CAD_D_MODEL), err) : 0;
}

/* ---- dry run ---- */

static void report_dry_run(annotate_t *t)
{
    const args_t *a = t->a;
    int64_t D = cad_model_number(t->model, CAD_D_MODEL), rows = t->table.rows + t->reads.records + t->variants.records, bytes;
    report_work(&t->pipe.work, t->ctx, t->model, a->o.threads, "rows", rows);
    bytes = t->table.bytes + t->table.rows * (8 * a->scores.n + (embed_column(a) ? 10 * D : 0)) + t->variants.bytes + t->variants.alleles * 16 +
            t->reads.bytes + t->reads.scored * (14 + (a->embed ? 4 * D : 0)) + (a->reads.want[TAG_BASES] ? 4 * t->reads.bases : 0);
    printf("output_bytes\t%lld\n", (long long)bytes); /* uncompressed */
    if (a->embed && !embed_column(a))
        printf("embedding_bytes\t%lld\n", (long long)((a->pooling == POOL_ROWS ? t->table.bases : t->table.rows) * D * 4 + 128));
}

/* ---- entry ---- */

static int run_rows(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    rows_t rows = { .in = &t->in, .ref = &t->ref, .clip = a->clip, .split = a->split, .drop_browser = output_is_gz(a->output), .only = t->only,
        .targets = t->targets, .cutter = &t->cutter, .table = &t->table };
    return rows_run(&rows, err);
}

static int run_kind(annotate_t *t, cad_error_t *err)
{
    t->reads.only = t->variants.only = t->only;
    t->reads.targets = t->variants.targets = t->targets;
    if (t->options.failed || t->command->failed || t->description.failed) return cad_fail(err, CAD_ENOMEM, "out of memory");
    if (t->in.kind == INPUT_READS) return reads_run(&t->reads, t->a->reference, &t->pool, t->command->s.s, t->description.s.s, err);
    if (t->in.kind == INPUT_VARIANTS) return variants_run(&t->variants, &t->provenance, &t->pool, err);
    return run_rows(t, err);
}

static int run(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = open_inputs(t, err);
    if (rc == 0) rc = open_outputs(t, err);
    if (rc == 0 && a->reference) rc = fasta_open(&t->ref, a->reference, &t->notes, err); /* may build an index */
    if (rc == 0 && a->aliases) rc = fasta_alias(&t->ref, a->aliases, err);
    if (rc == 0) rc = open_filters(t, err);
    if (rc) return rc;
    if (options_open_model(&a->o, &t->model)) {
        err->text[0] = 0; /* reported */
        return CAD_EIO;
    }
    rc = open_engine(t, err);
    if (rc == 0 && a->shard.of && (!a->embed || embed_column(a) || access(a->embed, F_OK) == 0) && options_part_done(&a->o, a->output, &t->provenance)) return 0;
    if (rc == 0) rc = run_kind(t, err);
    if (rc || a->dry_run) return rc;
    rc = records_close(&t->records, &t->provenance, err);
    return rc ? rc : table_close(&t->table, err);
}

static void close_all(annotate_t *t)
{
    pipeline_close(&t->pipe);
    table_free(&t->table);
    records_free(&t->records);
    reads_close(&t->reads);
    variants_close(&t->variants);
    if (t->pool.pool) hts_tpool_destroy(t->pool.pool);
    text_free(&t->options);
    text_free(&t->description);
    input_close(&t->in);
    if (t->a->reference) fasta_close(&t->ref);
    regions_free(t->only);
    regions_free(t->targets);
    cad_context_close(t->ctx);
    cad_model_close(t->model);
}

/* One run; then, after a dry run, what it counted. */
static int run_once(args_t *a, const text_t *command, work_t *count)
{
    annotate_t t = { .a = a, .command = command, .notes = { .cmd = "annotate", .quiet = a->o.quiet || count } };
    cad_error_t err = { "" };
    int rc = run(&t, &err);
    progress_end(&t.progress);
    if (rc && err.text[0]) cmd_fail("annotate", "%s", err.text);
    if (rc == 0) notes_summary(&t.notes);
    if (rc == 0 && a->dry_run && !count) report_dry_run(&t);
    if (count) *count = t.pipe.work;
    close_all(&t);
    return rc != 0;
}

/* What else tells one sharded run from another. */
static uint64_t options_digest(const args_t *a, uint64_t d)
{
    d = limits_digest(&a->limits, d);
    d = text_digest(a->format ? a->format : "", d);
    d = text_digest(a->variants.prefix, d);
    for (tag_t t = 0; t < TAGS; t++) d = text_digest(a->reads.tag[t], d);
    return d * 31 + (uint64_t)a->index;
}

/* A shard's share is known once the work of all is. */
static int count_work(args_t *a, const text_t *command)
{
    args_t all = *a;
    work_t work;
    int rc;
    all.dry_run = true;
    all.shard = (shard_t){ 0 };
    rc = run_once(&all, command, &work);
    a->shard.total = work.tokens;
    a->shard.digest = options_digest(a, work.digest);
    return rc;
}

int cmd_annotate(int argc, char **argv)
{
    args_t a;
    text_t command = { 0 };
    int rc;
    keep_command(&command, argc, argv);
    rc = parse_args(&a, argc, argv);
    if (rc == 0 && a.shard.of) rc = count_work(&a, &command);
    if (rc == 0) rc = run_once(&a, &command, NULL);
    else if (rc == 2) rc = 0;
    text_free(&command);
    return rc || cmd_finish("annotate") ? 1 : 0;
}
