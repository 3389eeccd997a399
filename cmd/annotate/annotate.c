/* annotate.c - caduceus annotate: any genomic file in, the same kind of file out.
 * Here are its options; annotation.c runs them. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <sys/stat.h>

#include "annotate/annotate.h"

static const char USAGE[] = "Usage: caduceus annotate [options] IN\n\n"
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
                            "      --grid             cores as track has them: a row is the mean of the track\n"
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
                            "      --dry-run          count windows and tokens, estimate time and size\n" OPTIONS_USAGE;

const char *const POOL_NAME[] = { "", "none", "mean", "max", "center" };
const char *const READ_SCORE[] = { "pll", "n", "bases" };
const tag_t READ_TAG[] = { TAG_PLL, TAG_N, TAG_BASES };
const char *const VARIANT_SCORE[] = { "llr", "dpll", "n", "dist", "cos" };
static const char *const TAG[TAGS] = { "yp", "yn", "ye", "yb" };

/* ---- options ---- */

enum {
    O_FORMAT = 1,
    O_SCORE,
    O_MASK,
    O_WINDOW,
    O_FLANK,
    O_CLIP,
    O_SPLIT,
    O_SOFT,
    O_EMBED,
    O_POOL,
    O_NTOKEN,
    O_SEP,
    O_DRY,
    O_ALIAS,
    O_FMTOPT,
    O_INDEX,
    O_NOPG,
    O_NOVERSION,
    O_INCLUDE,
    O_CONTEXT,
    O_CLIPSOFT,
    O_MINBQ,
    O_TAGMAP,
    O_CHECKREF,
    O_ANCHOR,
    O_POOLWIN,
    O_PREFIX,
    O_SHARD,
    O_DIFFERENCE,
    O_GRID
};
enum {
    BED = 1 << INPUT_BED,
    SEQS = 1 << INPUT_FASTA | 1 << INPUT_FASTQ,
    READS = 1 << INPUT_READS,
    VARIANTS = 1 << INPUT_VARIANTS,
    ALL = BED | SEQS | READS | VARIANTS,
    MATRIX = 1 << 8 /* embed takes it */
};
static const struct option LONGS[] = { OPTIONS_LONG,
                                       { "reference", required_argument, NULL, 'T' },
                                       { "fasta-ref", required_argument, NULL, 'T' },
                                       { "output", required_argument, NULL, 'o' },
                                       { "output-fmt", required_argument, NULL, 'O' },
                                       { "region", required_argument, NULL, 'r' },
                                       { "regions-file", required_argument, NULL, 'R' },
                                       { "targets", required_argument, NULL, 't' },
                                       { "targets-file", required_argument, NULL, 'L' },
                                       { "require-flags", required_argument, NULL, 'f' },
                                       { "exclude-flags", required_argument, NULL, 'F' },
                                       { "min-MQ", required_argument, NULL, 'q' },
                                       { "in-format", required_argument, NULL, O_FORMAT },
                                       { "score", required_argument, NULL, O_SCORE },
                                       { "mask", required_argument, NULL, O_MASK },
                                       { "window", required_argument, NULL, O_WINDOW },
                                       { "flank", required_argument, NULL, O_FLANK },
                                       { "clip", no_argument, NULL, O_CLIP },
                                       { "split", no_argument, NULL, O_SPLIT },
                                       { "skip-soft-masked", no_argument, NULL, O_SOFT },
                                       { "embed", required_argument, NULL, O_EMBED },
                                       { "pool", required_argument, NULL, O_POOL },
                                       { "n-token", no_argument, NULL, O_NTOKEN },
                                       { "sep", no_argument, NULL, O_SEP },
                                       { "dry-run", no_argument, NULL, O_DRY },
                                       { "chr-alias", required_argument, NULL, O_ALIAS },
                                       { "output-fmt-option", required_argument, NULL, O_FMTOPT },
                                       { "write-index", optional_argument, NULL, O_INDEX },
                                       { "no-PG", no_argument, NULL, O_NOPG },
                                       { "no-version", no_argument, NULL, O_NOVERSION },
                                       { "include", required_argument, NULL, O_INCLUDE },
                                       { "context", required_argument, NULL, O_CONTEXT },
                                       { "clip-soft", no_argument, NULL, O_CLIPSOFT },
                                       { "min-BQ", required_argument, NULL, O_MINBQ },
                                       { "tag-map", required_argument, NULL, O_TAGMAP },
                                       { "check-ref", required_argument, NULL, O_CHECKREF },
                                       { "anchor", required_argument, NULL, O_ANCHOR },
                                       { "pool-window", required_argument, NULL, O_POOLWIN },
                                       { "info-prefix", required_argument, NULL, O_PREFIX },
                                       { "shard", required_argument, NULL, O_SHARD },
                                       { "difference", no_argument, NULL, O_DIFFERENCE },
                                       { "grid", no_argument, NULL, O_GRID },
                                       { 0 } };

/* Options that do not fit every kind of input, or not embed. */
static const struct {
    int code, kinds;
} FITS[] = {
    { 'T', BED | READS | VARIANTS | MATRIX },
    { O_ALIAS, BED | READS | VARIANTS | MATRIX },
    { 'O', READS | VARIANTS },
    { O_FMTOPT, READS | VARIANTS },
    { O_INDEX, READS | VARIANTS },
    { O_NOPG, READS },
    { O_NOVERSION, VARIANTS },
    { O_CLIP, BED | MATRIX },
    { O_GRID, BED },
    { O_SPLIT, BED | MATRIX },
    { O_SCORE, ALL },
    { O_MASK, ALL },
    { O_SOFT, BED | SEQS | READS },
    { O_EMBED, ALL },
    { O_POOL, BED | SEQS | READS | MATRIX },
    { 'f', READS },
    { 'F', READS },
    { 'q', READS },
    { O_INCLUDE, READS },
    { O_CONTEXT, READS },
    { O_CLIPSOFT, READS },
    { O_MINBQ, READS },
    { O_TAGMAP, READS },
    { O_CHECKREF, VARIANTS | MATRIX },
    { O_ANCHOR, VARIANTS | MATRIX },
    { O_POOLWIN, VARIANTS | MATRIX },
    { O_PREFIX, VARIANTS },
    { O_DIFFERENCE, VARIANTS | MATRIX },
};

static int parse_pool(annotate_args_t *a, const char *s)
{
    for (pooling_t p = POOL_ROWS; p <= POOL_CENTER; p++)
        if (!strcmp(s, POOL_NAME[p])) {
            a->pooling = p;
            return 0;
        }
    return cmd_fail("annotate", "--pool %s: expected mean, max, center or none", s);
}

static int parse_flags(const char *option, const char *s, int *flags)
{
    bool hex = !strncmp(s, "0x", 2) && s[2] && strlen(s) <= 6 && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")];
    bool name = (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z');
    int64_t f;
    if (!cad_parse_int(s, 0, 0xffff, &f)) f = hex || name ? bam_str2flag(s) : -1; /* it would read 1x as 1 */
    if (f < 0)
        return cmd_fail("annotate", "%s %s: expected flags as a number or names; samtools flags lists them", option, s);
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
    if (!isalpha((unsigned char)s[0]) || !isalnum((unsigned char)s[1])) return false;
    return islower((unsigned char)s[0]) || islower((unsigned char)s[1]) || s[0] >= 'X';
}

static int parse_tags(annotate_args_t *a, const char *s)
{
    for (;; s += 6) {
        tag_t t = 0;
        while (t < TAGS && strncmp(s, TAG[t], 2)) t++;
        if (t == TAGS || s[2] != '=' || !may_be_tag(s + 3) || (s[5] && s[5] != ','))
            return cmd_fail(
                "annotate",
                "--tag-map %s: expected yp=XX, with yn, ye, yb likewise, comma-separated; XX a tag for local use, as xp or Xp",
                s);
        memcpy(a->reads.tag[t], s + 3, 2);
        a->named[t] = true;
        if (!s[5]) return 0;
    }
}

static int take_option(annotate_args_t *a, int c, const char *arg)
{
    const char *cmd = "annotate";
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 'O': a->format = arg; return 0;
    case 'r':
    case 'R':
    case 't':
    case 'L': return limits_take(&a->limits, cmd, c, arg);
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
    case O_GRID: a->grid = true; return 0;
    case O_DIFFERENCE: a->variants.difference = true; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

static bool is_regular(const char *path)
{
    struct stat sb;
    return strcmp(path, "-") && (stat(path, &sb) || S_ISREG(sb.st_mode)); /* a missing file is reported later */
}

int annotate_parse(annotate_args_t *a, const char *cmd, const char *usage, int argc, char **argv)
{
    int c;
    memset(a, 0, sizeof *a);
    options_init(&a->o, cmd);
    reads_options_init(&a->reads);
    variants_options_init(&a->variants);
    a->output = "-";
    a->mask = 8;
    a->flank = a->anchor = -1;
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "T:o:O:r:R:t:L:f:F:q:", LONGS, NULL)) != -1) {
        if (c == 1004) {
            fputs(usage, stdout);
            return cmd_finish(cmd) ? 1 : 2;
        }
        if (c == '?' || c == ':') return option_unknown(cmd, argv);
        if (c < 128) a->used[c] = true;
        if (take_option(a, c, optarg)) return 1;
    }
    if (argc - optind != 1) {
        if (argc == 1) fputs(usage, stderr);
        else cmd_fail(cmd, "expected one input, %d given; - is standard input", argc - optind);
        return 1;
    }
    a->in = argv[optind];
    return 0;
}

bool embed_column(const annotate_args_t *a) { return a->embed && !strcmp(a->embed, "-"); }
bool embed_several(const annotate_args_t *a) { return a->embed && ends_in(a->embed, ".npz"); }

/* Options among each other. */
static int settle(annotate_args_t *a)
{
    const char *cmd = a->o.cmd;
    if (a->pooling && !a->embed) return cmd_fail(cmd, "--pool needs --embed");
    if (a->embed && !a->pooling) a->pooling = POOL_MEAN;
    if (a->shard.of && (a->dry_run || !strcmp(a->output, "-")))
        return cmd_fail(cmd, "--shard needs an output file, and no --dry-run");
    if (a->shard.of && (!is_regular(a->in) || limits_stream(&a->limits)))
        return cmd_fail(cmd, "--shard reads its input twice: it must be a file");
    if (embed_several(a) && (a->pooling != POOL_ROWS || a->shard.of))
        return cmd_fail(cmd, "%s: .npz is an array for each region's bases: it needs --pool none, and no --shard",
                        a->embed);
    if (embed_column(a) && a->pooling == POOL_ROWS) return cmd_fail(cmd, "--pool none needs a file: --embed FILE.npy");
    return 0;
}

/* ---- options against the kind of input ---- */

static const char *long_name(int code)
{
    size_t i = 0;
    while (LONGS[i].val != code) i++;
    return LONGS[i].name;
}

static int misfit(int code, input_kind_t kind, const char *path, cad_error_t *err)
{
    static const char *const what[] = { "regions", "sequence records", "sequence records", "reads", "variants" };
    if (code == 'T')
        return cad_fail(err, CAD_EARG, "%s: FASTA and FASTQ records are their own sequence; -T does not fit", path);
    return cad_fail(err, CAD_EARG, "%s: holds %s; --%s does not fit them", path, what[kind], long_name(code));
}

static int check_fit(const annotate_args_t *a, const input_t *in, cad_error_t *err)
{
    for (size_t i = 0; i < sizeof FITS / sizeof *FITS; i++) {
        if (!a->used[FITS[i].code]) continue;
        if (a->matrix && !(FITS[i].kinds & MATRIX))
            return cad_fail(err, CAD_EARG, "--%s: not an option of embed; see --help", long_name(FITS[i].code));
        if (!(FITS[i].kinds & 1 << in->kind)) return misfit(FITS[i].code, in->kind, in->path, err);
    }
    if (a->matrix && in->kind == INPUT_READS)
        return cad_fail(err, CAD_EARG,
                        "%s: holds reads; caduceus annotate --embed - tags them, or convert them to FASTA", in->path);
    if (in->kind == INPUT_BED && !a->reference)
        return cad_fail(err, CAD_EARG, "%s: BED regions need their reference: give -T FASTA", in->path);
    if (in->kind == INPUT_VARIANTS && !a->reference)
        return cad_fail(err, CAD_EARG, "%s: variants need their reference: give -T FASTA", in->path);
    if (a->aliases && !a->reference) return cad_fail(err, CAD_EARG, "--chr-alias needs -T");
    return 0;
}

static int check_reads(annotate_args_t *a, cad_error_t *err)
{
    reads_options_t *o = &a->reads;
    int picked[TAGS], n, rc = list_parse(a->score ? a->score : "pll,n", READ_SCORE, 3, picked, &n, err);
    if (rc) return rc;
    for (int i = 0; i < n; i++) o->want[READ_TAG[picked[i]]] = true;
    o->want[TAG_EMBEDDING] = a->embed != NULL;
    if (!n && !a->embed) return cad_fail(err, CAD_EARG, "--score none without --embed leaves nothing to do");
    if (a->embed && !embed_column(a))
        return cad_fail(err, CAD_EARG, "--embed %s: reads take --embed -, which is the tag ye", a->embed);
    if (o->context_ref && !a->reference) return cad_fail(err, CAD_EARG, "--context ref needs -T FASTA");
    if (o->context_ref && (o->clip_soft || a->used[O_MINBQ]))
        return cad_fail(err, CAD_EARG, "--clip-soft and --min-BQ do not fit --context ref");
    if (!o->context_ref && a->skip_soft)
        return cad_fail(err, CAD_EARG, "reads have no lower case; --skip-soft-masked needs --context ref");
    for (tag_t t = 0; t < TAGS; t++)
        for (tag_t u = 0; u < t; u++)
            if (!strcmp(o->tag[t], o->tag[u]))
                return cad_fail(err, CAD_EARG, "--tag-map: two tags named %s", o->tag[t]);
    for (tag_t t = 0; t < TAGS && a->mask == CAD_MASK_NONE; t++)
        if (o->want[t] && !a->named[t] && (t == TAG_PLL || t == TAG_BASES))
            return cad_fail(err, CAD_EARG, "--mask none gives no pseudo-likelihood: name the tag with --tag-map %s=XX",
                            TAG[t]);
    return 0;
}

static int check_variants(annotate_args_t *a, cad_error_t *err)
{
    int picked[FIELDS], n, rc = list_parse(a->score ? a->score : "llr,dpll", VARIANT_SCORE, 5, picked, &n, err);
    const char *p = a->variants.prefix;
    if (rc) return rc;
    for (int i = 0; i < n; i++) a->variants.want[picked[i]] = true;
    if (a->variants.difference && !a->matrix)
        return cad_fail(err, CAD_EARG, "--difference is an option of caduceus embed");
    if (a->embed && !a->matrix)
        return cad_fail(err, CAD_EARG, "--embed %s: variants have a command of their own for that: caduceus embed",
                        a->embed);
    a->variants.matrix = a->matrix;
    if (!n && !a->matrix) return cad_fail(err, CAD_EARG, "--score none leaves nothing to do");
    if (!*p || (*p >= '0' && *p <= '9') ||
        p[strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")])
        return cad_fail(err, CAD_EARG,
                        "--info-prefix %s: expected letters, digits, _ and ., not beginning with a digit", p);
    if (a->anchor >= 0 && (!a->window || a->flank >= 0))
        return cad_fail(err, CAD_EARG, "--anchor goes with --window, and without --flank");
    if (a->anchor >= 0 && a->anchor >= a->window)
        return cad_fail(err, CAD_EARG, "--anchor %lld is not inside --window %lld", (long long)a->anchor,
                        (long long)a->window);
    return 0;
}

static int check_regions(annotate_args_t *a, cad_error_t *err)
{
    int rc = scores_parse(&a->scores, a->score ? a->score : "pll,n", err);
    if (rc == 0 && !a->scores.n && !a->embed)
        rc = cad_fail(err, CAD_EARG, "--score none without --embed leaves nothing to do");
    return rc;
}

int annotate_check(annotate_args_t *a, const input_t *in, cad_error_t *err)
{
    int rc = check_fit(a, in, err);
    if (rc) return rc;
    return in->kind == INPUT_READS      ? check_reads(a, err)
           : in->kind == INPUT_VARIANTS ? check_variants(a, err)
                                        : check_regions(a, err);
}

/* ---- entry ---- */

/* Before getopt moves them; @PG holds neither tabs nor ends of line. */
static void keep_command(text_t *t, int argc, char **argv)
{
    text_puts(t, "caduceus annotate");
    for (int i = 1; i < argc; i++) text_printf(t, " %s", argv[i]);
    for (size_t i = 0; i < t->s.l; i++)
        if (t->s.s[i] == '\t' || t->s.s[i] == '\n') t->s.s[i] = ' ';
}

/* What else tells one sharded run from another. */
static uint64_t options_digest(const annotate_args_t *a, uint64_t d)
{
    d = limits_digest(&a->limits, d);
    d = text_digest(a->format ? a->format : "", d);
    d = text_digest(a->variants.prefix, d);
    for (tag_t t = 0; t < TAGS; t++) d = text_digest(a->reads.tag[t], d);
    return d * 31 + (uint64_t)a->index;
}

/* A shard's share is known once the work of all is. */
static int count_work(annotate_args_t *a, const text_t *command)
{
    annotate_args_t all = *a;
    work_t work;
    int rc;
    all.dry_run = all.o.counting = true;
    all.shard = (shard_t) { 0 };
    rc = annotate_run(&all, command, &work);
    a->shard.total = work.tokens;
    a->shard.digest = options_digest(a, work.digest);
    return rc;
}

int annotate_matrix(annotate_args_t *a, const char *names)
{
    a->matrix = true;
    a->embed = a->output;
    a->output = names;
    a->score = "none";
    return settle(a);
}

int annotate_all(annotate_args_t *a, const text_t *command)
{
    int rc = a->shard.of ? count_work(a, command) : 0;
    return rc ? rc : annotate_run(a, command, NULL);
}

int cmd_annotate(int argc, char **argv)
{
    annotate_args_t a;
    text_t command = { 0 };
    int rc;
    keep_command(&command, argc, argv);
    rc = annotate_parse(&a, "annotate", USAGE, argc, argv);
    if (rc == 0) rc = settle(&a);
    if (rc == 0) rc = annotate_all(&a, &command);
    else if (rc == 2) rc = 0;
    text_free(&command);
    return rc || cmd_finish("annotate") ? 1 : 0;
}
