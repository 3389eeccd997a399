/* annotate_options.c - parses the options of annotate and embed, and checks that they fit together and fit the kind of
 * input.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <sys/stat.h>

#include "annotate/annotate.h"

/* ---- options ---- */

enum {
    O_FORMAT = 1,
    O_CLIP,
    O_SPLIT,
    O_EMBED,
    O_POOL,
    O_SEP,
    O_FMTOPT,
    O_NOPG,
    O_INCLUDE,
    O_CONTEXT,
    O_CLIPSOFT,
    O_MINBQ,
    O_TAGMAP,
    O_CHECKREF,
    O_ANCHOR,
    O_POOLWIN,
    O_PREFIX,
    O_DIFFERENCE,
    O_COLOR,
    O_GRID,
    O_LAYER,
    O_CALIBRATION,
    O_FORCE,
    O_SVFLANK,
    O_VOCAB,
    O_SAMPLE,
    O_SAMPLES,
    O_ALL
};
const struct option ANNOTATE_LONG[] = { OPTIONS_LONG,
                                        OPTIONS_PROGRESS,
                                        OPTIONS_WINDOWS,
                                        OPTIONS_RUN,
                                        OPTIONS_SCORING,
                                        { "targets", required_argument, NULL, 't' },
                                        { "require-flags", required_argument, NULL, 'f' },
                                        { "exclude-flags", required_argument, NULL, 'F' },
                                        { "min-MQ", required_argument, NULL, 'q' },
                                        { "in-format", required_argument, NULL, O_FORMAT },
                                        { "clip", no_argument, NULL, O_CLIP },
                                        { "split", no_argument, NULL, O_SPLIT },
                                        { "embed", required_argument, NULL, O_EMBED },
                                        { "pool", required_argument, NULL, O_POOL },
                                        { "sep", no_argument, NULL, O_SEP },
                                        { "output-fmt-option", required_argument, NULL, O_FMTOPT },
                                        { "no-PG", no_argument, NULL, O_NOPG },
                                        { "include", required_argument, NULL, O_INCLUDE },
                                        { "context", required_argument, NULL, O_CONTEXT },
                                        { "clip-soft", no_argument, NULL, O_CLIPSOFT },
                                        { "min-BQ", required_argument, NULL, O_MINBQ },
                                        { "tag-map", required_argument, NULL, O_TAGMAP },
                                        { "check-ref", required_argument, NULL, O_CHECKREF },
                                        { "anchor", required_argument, NULL, O_ANCHOR },
                                        { "pool-window", required_argument, NULL, O_POOLWIN },
                                        { "info-prefix", required_argument, NULL, O_PREFIX },
                                        { "difference", no_argument, NULL, O_DIFFERENCE },
                                        { "color", no_argument, NULL, O_COLOR },
                                        { "grid", no_argument, NULL, O_GRID },
                                        { "calibration", required_argument, NULL, O_CALIBRATION },
                                        { "force-calibration", no_argument, NULL, O_FORCE },
                                        { "sv-flank", required_argument, NULL, O_SVFLANK },
                                        { "vocab-softmax", no_argument, NULL, O_VOCAB },
                                        { "sample", required_argument, NULL, O_SAMPLE },
                                        { "samples-file", required_argument, NULL, O_SAMPLES },
                                        { "all-samples", no_argument, NULL, O_ALL },
                                        { "layer", required_argument, NULL, O_LAYER },
                                        { 0 } };

/* Options that do not apply to every kind of input, or not to caduceus embed. source_t.options lists those that apply
 * to a kind of input. */
static const struct {
    int code;
    bool embed; /* true if caduceus embed accepts the option */
} LIMITED[] = {
    { 'T', true },          { OPT_ALIAS, true },      { 'O', false },          { O_FMTOPT, false },
    { OPT_INDEX, false },   { O_NOPG, false },        { OPT_NOVERSION, true }, { O_CLIP, true },
    { O_GRID, false },      { O_SPLIT, true },        { OPT_SCORE, false },    { OPT_MASK, false },
    { OPT_SOFT, false },    { O_EMBED, false },       { O_POOL, true },        { 'f', false },
    { 'F', false },         { 'q', false },           { O_INCLUDE, false },    { O_CONTEXT, false },
    { O_CLIPSOFT, false },  { O_MINBQ, false },       { O_TAGMAP, false },     { O_COLOR, false },
    { O_CHECKREF, true },   { O_ANCHOR, true },       { O_POOLWIN, true },     { O_PREFIX, false },
    { O_DIFFERENCE, true }, { O_CALIBRATION, false }, { O_FORCE, false },      { O_SAMPLE, false },
    { O_SAMPLES, false },   { O_ALL, false },         { O_SVFLANK, false },    { O_VOCAB, false },
};

static int parse_pool(annotate_args_t *a, const char *s)
{
    for (pooling_t p = POOL_ROWS; p < POOLINGS; p++)
        if (!strcmp(s, pooling_name(p))) {
            a->set.pooling = p;
            return 0;
        }
    if (!strcmp(s, "attention"))
        return cmd_fail(a->o.cmd,
                        "--pool attention: only a classifier has trained weights for it (finetune --pool attention); "
                        "expected mean, max, center or none");
    return cmd_fail(a->o.cmd, "--pool %s: expected mean, max, center or none", s);
}

static int parse_layer(annotate_args_t *a, const char *s)
{
    int64_t n;
    if (!cad_parse_int(s, -1024, 1024, &n) || n == 0)
        return cmd_fail(a->o.cmd, "--layer %s: expected 1, 2, ... or, counted from the last layer, -1, -2, ...", s);
    a->set.layer = (int)n;
    return 0;
}

static int parse_flags(const char *option, const char *s, int *flags)
{
    bool hex = !strncmp(s, "0x", 2) && s[2] && strlen(s) <= 6 && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")];
    bool name = (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z');
    int64_t f;
    /* htslib's bam_str2flag would read 1x as 1, so it is called only for hexadecimal numbers and names */
    if (!cad_parse_int(s, 0, 0xffff, &f)) f = hex || name ? bam_str2flag(s) : -1;
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

/* True for a tag that users may define: it begins with X, Y or Z, or has a lower-case letter. The SAM standard
 * reserves all others. */
static bool may_be_tag(const char *s)
{
    if (!isalpha((unsigned char)s[0]) || !isalnum((unsigned char)s[1])) return false;
    return islower((unsigned char)s[0]) || islower((unsigned char)s[1]) || s[0] >= 'X';
}

/* Returns the index in SCORE of the score whose default tag is the beginning of s, or -1 if there is none. */
static int tag_row(const char *s)
{
    for (int i = 0; SCORE[i].name; i++)
        if (SCORE[i].tag && !strncmp(s, SCORE[i].tag, 2)) return i;
    return -1;
}

static int refuse_tags(const char *s)
{
    text_t tags = { 0 };
    const char *first = NULL;
    for (int i = 0; SCORE[i].name; i++) {
        if (!SCORE[i].tag) continue;
        if (first) text_printf(&tags, "%s%s", tags.s.l ? ", " : "", SCORE[i].tag);
        else first = SCORE[i].tag;
    }
    cmd_fail(
        "annotate",
        "--tag-map %s: expected TAG=XX[,TAG=XX...], with TAG one of %s, %s, and XX a tag for local use, such as xp", s,
        first, tags.s.s ? tags.s.s : "");
    text_free(&tags);
    return 1;
}

static int parse_tags(annotate_args_t *a, const char *s)
{
    for (;; s += 6) {
        int row = tag_row(s);
        if (row < 0 || s[2] != '=' || !may_be_tag(s + 3) || (s[5] && s[5] != ',')) return refuse_tags(s);
        memcpy(a->set.reads.tag[row], s + 3, 2);
        a->set.reads.mapped[row] = true;
        if (!s[5]) return 0;
    }
}

static int take_option(void *args, int c, const char *arg)
{
    annotate_args_t *a = args;
    const char *cmd = a->o.cmd;
    int rc;
    a->used[c] = true;
    switch (c) {
    case 'f': return parse_flags("-f", arg, &a->set.reads.require);
    case 'F': return parse_flags("-F", arg, &a->set.reads.exclude);
    case 'q': return parse_int("-q", arg, 255, &a->set.reads.min_mapq);
    case O_FORMAT: a->in_format = arg; return 0;
    case O_CLIP: a->set.clip = true; return 0;
    case O_SPLIT: a->set.split = true; return 0;
    case O_EMBED: a->set.embed = arg; return 0;
    case O_POOL: return parse_pool(a, arg);
    case O_SEP: a->set.sep = true; return 0;
    case O_FMTOPT:
        if (a->nformat_option == 16) return cmd_fail(cmd, "--output-fmt-option: more than 16 times");
        a->format_option[a->nformat_option++] = arg;
        return 0;
    case O_NOPG: a->set.reads.no_pg = true; return 0;
    case O_INCLUDE: a->set.reads.include = arg; return 0;
    case O_CONTEXT: return parse_choice("--context", arg, "seq", "ref", &a->set.reads.context_ref);
    case O_CLIPSOFT: a->set.reads.clip_soft = true; return 0;
    case O_MINBQ: a->set.reads.min_bq_given = true; return parse_int("--min-BQ", arg, 255, &a->set.reads.min_bq);
    case O_COLOR: a->set.reads.colour = true; return 0;
    case O_TAGMAP: return parse_tags(a, arg);
    case O_CHECKREF: return parse_choice("--check-ref", arg, "e", "w", &a->set.variants.keep_mismatch);
    case O_ANCHOR: return option_int(cmd, "--anchor", arg, 0, 1 << 30, &a->set.anchor);
    case O_POOLWIN: return option_int(cmd, "--pool-window", arg, 0, 1 << 29, &a->set.variants.pool_window);
    case O_PREFIX: a->set.variants.prefix = arg; return 0;
    case O_CALIBRATION: a->set.variants.calibration = arg; return 0;
    case O_FORCE: a->set.variants.force_calibration = true; return 0;
    case O_SVFLANK: return option_int(cmd, "--sv-flank", arg, 1, 1024, &a->set.variants.sv_flank);
    case O_VOCAB: a->set.variants.vocab_softmax = true; return 0;
    case O_SAMPLE:
        if (a->set.variants.nsample == SAMPLE_LISTS)
            return cmd_fail(cmd, "--sample: more than %d times; give --samples-file", SAMPLE_LISTS);
        a->set.variants.sample[a->set.variants.nsample++] = arg;
        return 0;
    case O_SAMPLES: a->set.variants.samples_file = arg; return 0;
    case O_ALL: a->set.variants.all_samples = true; return 0;
    case O_LAYER: return parse_layer(a, arg);
    case O_GRID: a->set.grid = true; return 0;
    case O_DIFFERENCE: a->set.variants.difference = true; return 0;
    default: break;
    }
    rc = run_take(&a->run, &a->set, cmd, c, arg);
    if (rc > 0) rc = windows_take(&a->set, cmd, c, arg);
    return rc > 0 ? options_take(&a->o, c, arg) : rc;
}

static bool is_regular(const char *path)
{
    struct stat sb;
    /* a missing file counts as a regular file; opening it will report the error */
    return strcmp(path, "-") && (stat(path, &sb) || S_ISREG(sb.st_mode));
}

/* Prints, for each kind of input, the scores that --score accepts, with the default in brackets. */
static void list_scores(text_t *t)
{
    unsigned before = 0;
    for (const source_t *const *s = SOURCE; *s; s++) {
        if (!(*s)->fits || (*s)->of == before) continue;
        before = (*s)->of;
        text_printf(t, "%s: of ", (*s)->holds);
        scores_known(before, ", ", t);
        text_printf(t, " [%s]; ", (*s)->scores);
    }
    text_puts(t, "or none");
}

static bool is_embedded(input_kind_t kind)
{
    const source_t *s = source_of(&(input_t) { .kind = kind });
    return s && s->embeds;
}

void annotate_texts(text_t texts[USAGE_TEXTS])
{
    input_formats(NULL, &texts[0]);
    text_puts(&texts[0], " [detected]");
    list_scores(&texts[1]);
}

void embed_texts(text_t texts[USAGE_TEXTS])
{
    input_formats(is_embedded, &texts[0]);
    text_puts(&texts[0], " [detected]");
}

int annotate_parse(annotate_args_t *a, const command_t *cmd, int argc, char **argv)
{
    int rc;
    memset(a, 0, sizeof *a);
    options_init(&a->o, cmd->name);
    settings_init(&a->set);
    a->run.output = "-";
    rc = options_parse(cmd, argc, argv, take_option, a);
    if (rc == 0) rc = options_operands(cmd, argc, argv, "one input");
    if (rc == 0) a->in = argv[optind];
    return rc;
}

int annotate_settle(annotate_args_t *a)
{
    const char *cmd = a->o.cmd;
    if (option_named(cmd, &a->run.shard, &a->run.output, &a->named[0])) return 1;
    if (a->set.embed && option_named(cmd, &a->run.shard, &a->set.embed, &a->named[1])) return 1;
    if (a->set.pooling && !a->set.embed) return cmd_fail(cmd, "--pool needs --embed");
    if (a->set.embed && !a->set.pooling) a->set.pooling = POOL_MEAN;
    if (a->run.shard.of && (a->run.dry_run || !strcmp(a->run.output, "-")))
        return cmd_fail(cmd, "--shard needs an output file, and no --dry-run");
    if (a->run.shard.of && (!is_regular(a->in) || limits_stream(&a->run.limits)))
        return cmd_fail(cmd, "--shard reads its input twice: it must be a file");
    if (embed_several(&a->set) && (a->set.pooling != POOL_ROWS || a->run.shard.of))
        return cmd_fail(cmd,
                        "%s: a .npz holds an array for the bases of each region; it needs --pool none, and no --shard",
                        a->set.embed);
    if (a->o.json && !a->run.dry_run) return cmd_fail(cmd, "--json goes with --dry-run");
    if (a->set.wide && a->set.pooling == POOL_ROWS)
        return cmd_fail(cmd, "%s: --pool none needs OUT.npy or OUT.npz", a->run.output);
    if (embed_column(&a->set) && a->set.pooling == POOL_ROWS)
        return cmd_fail(cmd, "--pool none needs a file: --embed FILE.npy");
    return 0;
}

void annotate_end(annotate_args_t *a)
{
    free(a->named[0]);
    free(a->named[1]);
}

/* ---- options that do not apply to the kind of input ---- */

static const char *long_name(int code)
{
    size_t i = 0;
    while (ANNOTATE_LONG[i].val != code) i++;
    return ANNOTATE_LONG[i].name;
}

static bool fits(int code, const source_t *source)
{
    char word[40];
    snprintf(word, sizeof word, " %s ", long_name(code));
    return strstr(source->options, word) != NULL;
}

static int misfit(int code, const source_t *source, const char *path, cad_error_t *err)
{
    if (code == 'T')
        return cad_fail(err, CAD_EARG, "%s: FASTA and FASTQ records are their own sequence; -T does not fit", path);
    return cad_fail(err, CAD_EARG, "%s: holds %s; --%s does not fit them", path, source->holds, long_name(code));
}

int annotate_fits(const annotate_args_t *a, const source_t *source, const char *path, cad_error_t *err)
{
    for (size_t i = 0; i < sizeof LIMITED / sizeof *LIMITED; i++) {
        int code = LIMITED[i].code;
        if (!a->used[code]) continue;
        if (a->set.matrix && !LIMITED[i].embed)
            return cad_fail(err, CAD_EARG, "--%s: not an option of embed; see --help", long_name(code));
        if (!fits(code, source)) return misfit(code, source, path, err);
    }
    if (a->set.matrix && !source->embeds)
        return cad_fail(err, CAD_EARG, "%s: holds %s; caduceus annotate --embed - tags them, or convert them to FASTA",
                        path, source->holds);
    return 0;
}

int annotate_matrix(annotate_args_t *a, const char *names)
{
    a->set.matrix = true;
    a->set.wide = !names;
    a->set.embed = names ? a->run.output : "-";
    if (names) a->run.output = names;
    a->set.score = "none";
    return annotate_settle(a);
}
