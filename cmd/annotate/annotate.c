/* annotate.c - caduceus annotate: writes any genomic file again, in the same format, with scores added. A run chooses
 * the source (the functions that read this kind of input, see stream/source.h) by the input's format, opens the
 * outputs, and lets the source read the input.
 *
 * SPDX-License-Identifier: MIT
 */
#include "annotate/annotate.h"
#include "io/shard.h"
#include "io/tabix.h"

static const char USAGE[] =
    "Usage: caduceus annotate [options] IN\n\n"
    "Scores the records of IN and writes all of them, with the scores added as columns\n"
    "(BED, FASTA, FASTQ), tags (SAM, BAM, CRAM) or INFO fields (VCF, BCF). IN may be\n"
    "compressed; - is standard input.\n\n"
    "Input and output:\n"
    "  -T, --reference FASTA  reference of regions, variants and CRAM; also --fasta-ref\n" ALIAS_USAGE
    "      --in-format FMT    \f\n"
    "  -o, --output FILE      output; its suffix chooses the format [-, as the input]\n"
    "  -O, --output-fmt FMT   sam, bam or cram[,OPTIONS]; variants: u, b, v or z, also\n"
    "                         with a level, such as z9\n"
    "      --output-fmt-option KEY=VALUE  an option of htslib, for reads and variants\n"
    "      --write-index[=csi|bai|tbi]  also index the output [csi; BED: tbi]\n"
    "  -r, --region REGION    only records that overlap CONTIG[:BEG[-END]], counted from\n"
    "                         1; reads and variants need an index; CONTIG:BEG extends to\n"
    "                         the contig's end, but for variants is only the base BEG\n"
    "  -R, --regions-file FILE|REGION  as -r, with the regions of a BED\n"
    "  -t, --targets FILE|REGION  as -r, but uses no index and tests the POS of variants\n"
    "  -L, --targets-file BED as -t, with the regions of a BED\n"
    "      --no-PG            add no @PG line\n"
    "      --no-version       no lines on version and model in VCF and text; names of\n"
    "                         columns without #, for pandas and R\n"
    "Scores:\n"
    "      --score LIST       \f\n"
    "      --mask HOW         each, stride:K or none [stride:8]\n"
    "      --window W         bases in a window, flanks included [the model's length]\n"
    "      --flank F          context on each side [min(1024, W/4); variants:\n"
    "                         min(1024, (W-1)/2)]\n"
    "      --skip-soft-masked use lower-case bases as context, do not score them\n"
    "      --embed FILE       embeddings: a .npy matrix, or - for a column or tag\n"
    "      --pool HOW         mean, max, center or none [mean]\n"
    "      --layer K          layer of embeddings, dist and cos: 1 is the first, -1 the\n"
    "                         last [-1]\n" N_TOKEN_USAGE
    "      --sep              end every window with the SEP token\n"
    "Regions:\n"
    "      --clip             clip regions at contig ends instead of stopping\n"
    "      --split            score the blocks of BED12 rows\n"
    "      --grid             cut cores as track does: a score is the mean of the track\n"
    "Reads:\n"
    "  -f, --require-flags N  score only reads with all of these flags\n"
    "  -F, --exclude-flags N  score no reads with any of these flags\n"
    "  -q, --min-MQ N         score only reads of at least this MAPQ\n"
    "      --include EXPR     score only reads for which this htslib expression is true\n"
    "      --context HOW      seq: the read's own bases; ref: the aligned reference [seq]\n"
    "      --clip-soft        leave soft-clipped bases out\n"
    "      --min-BQ Q         treat bases of quality below Q as N [0]\n"
    "      --tag-map LIST     other names for tags, such as yp=xp,yn=xn\n"
    "      --color            add the tag YC, by which IGV colours reads: blue is likely\n"
    "Variants:\n"
    "      --check-ref e|w    if REF differs from the FASTA, e stops, w writes the\n"
    "                         record without scores [e]\n"
    "      --anchor A         bases before the variant in a window of --window bases\n"
    "      --pool-window P    bases on each side for dist, cos, jsd and infl [768]\n"
    "      --sv-flank K       bases on each side of a breakpoint for sv [5]\n"
    "      --vocab-softmax    sv: probabilities over the whole vocabulary, as PlantCAD\n"
    "      --calibration FILE a table of caduceus calibrate: adds CADUCEUS_CLLR (llr less\n"
    "                         its mean at neutral sites), _Z and _PCTL, a percentile\n"
    "      --force-calibration  only warn if the table is of another model or window\n"
    "      --sample LIST      also score alleles in these samples' haplotypes, which adds\n"
    "                         FORMAT CLLR and CDPLL; sorted input\n"
    "      --samples-file FILE  the same for the samples that FILE lists, one a line\n"
    "      --all-samples      the same for all samples\n"
    "      --info-prefix P    prefix of INFO names [CADUCEUS]\n"
    "Other:\n" SHARD_USAGE
    "      --dry-run          count windows and tokens, estimate time and size\n" DRY_RUN_JSON_USAGE PROGRESS_USAGE
        OPTIONS_USAGE "\nExamples:\n"
    "  caduceus annotate -T hg38.fa regions.bed -o scored.bed\n"
    "  caduceus annotate in.bam -r chr20:1-2000000 -o tagged.bam --write-index\n"
    "  caduceus annotate -T hg38.fa in.vcf.gz -o scored.vcf.gz --write-index=tbi\n";

typedef struct {
    annotate_args_t *a;
    run_t run;
    input_t in;
    htsThreadPool pool;
    const text_t *command; /* command line, for the @PG header line */
    text_t description;
    table_t table;         /* the outputs, if the run writes rows of text */
    records_out_t records; /* the output, if the run writes records */
} annotate_t;

/* ---- outputs ---- */

/* Checks that none of the n outputs is an input or an index of an input, and that no two are the same file. Skips NULL
 * entries. */
static int name_files(const annotate_args_t *a, const char *const out[], int n, cad_error_t *err)
{
    static const char *const in[] = { "", ".bai", ".csi", ".tbi", ".crai", NULL };
    ledger_t files = { 0 };
    int rc = 0;
    ledger_inputs(&files, a->in, in);
    options_inputs(&a->o, a->set.reference, a->run.aliases, &a->run.limits, &files);
    ledger_input(&files, a->set.variants.calibration);
    ledger_input(&files, a->set.variants.samples_file);
    for (int k = 0; k < n && rc == 0; k++) rc = ledger_output(&files, out[k], err);
    ledger_free(&files);
    return rc;
}

static int refuse_shard(const annotate_args_t *a, const output_t *out, cad_error_t *err)
{
    return a->run.shard.of && !output_is_file(out)
               ? cad_fail(err, CAD_EARG, "%s: --shard writes to files only", a->run.output)
               : 0;
}

/* Creates the outputs of rows of text. matrix: path of the matrix, or NULL; json: path of the .json file beside it. */
static int create_table(annotate_t *t, const char *matrix, const char *json, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    output_t **out = embed_several(&a->set) ? &t->table.npz.out : &t->table.npy.out;
    int rc = output_open(&t->table.out, a->run.output, t->table.compressed, err);
    if (rc == 0 && matrix) rc = output_open(out, matrix, false, err);
    if (rc == 0 && matrix && output_is_file(*out)) rc = output_open(&t->table.json, json, false, err);
    if (rc == 0) rc = refuse_shard(a, t->table.out, err);
    return rc == 0 && a->run.shard.of ? output_beside(&t->table.part, a->run.output, ".json", err) : rc;
}

/* For --write-index with text output: checks that this output can have an index, chooses .tbi or .csi, and sets *path to
 * the index's path. Without --write-index, leaves *path as it is. */
static int plan_index(annotate_t *t, char **path, cad_error_t *err)
{
    annotate_args_t *a = t->a;
    if (!a->run.index) return 0;
    if (a->run.index == INDEX_BAI)
        return cad_fail(err, CAD_EARG, "--write-index=bai: the index of a BED is a tbi or csi");
    if (!t->table.compressed || !strcmp(a->run.output, "-"))
        return cad_fail(err, CAD_EARG,
                        "--write-index: of text, only a file compressed with bgzip has an index; name it with -o, as "
                        "out.bed.gz");
    if (a->set.no_version || t->table.csv)
        return cad_fail(err, CAD_EARG, "--write-index needs the # of the header; it does not fit --no-version or CSV");
    t->table.csi = a->run.index == INDEX_CSI && !a->run.index_usual;
    a->set.indexed = t->table.csi ? INT64_MAX : TBI_MOST;
    *path = suffixed(a->run.output, t->table.csi ? ".csi" : ".tbi");
    return *path ? 0 : cad_out_of_memory(err);
}

static int open_index(annotate_t *t, const char *path, cad_error_t *err)
{
    if (!output_is_file(t->table.out))
        return cad_fail(err, CAD_EARG, "%s: not a regular file, so no index can lie beside it", t->a->run.output);
    return output_open(&t->table.index, path, false, err);
}

static int check_suffixes(const annotate_args_t *a, const char *matrix, cad_error_t *err)
{
    int rc = a->set.matrix ? 0 : output_suffix(a->run.output, "bed tsv tab txt csv", "bed tsv tab txt csv", err);
    return rc || !matrix ? rc
                         : output_suffix(matrix, a->set.matrix ? "npy npz tsv csv" : "npy npz",
                                         a->set.matrix ? "tsv csv" : "", err);
}

static int open_table(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    const char *matrix = embed_file(&a->set);
    char *json = matrix ? suffixed(matrix, ".json") : NULL, *index = NULL;
    int rc;
    t->table.compressed = output_is_gz(a->run.output);
    t->table.csv = output_is_csv(a->run.output);
    rc = matrix && !json ? cad_out_of_memory(err) : plan_index(t, &index, err);
    if (rc == 0) rc = name_files(a, (const char *[]) { a->run.output, matrix, json, index }, 4, err);
    if (rc == 0) rc = check_suffixes(a, matrix, err);
    if (rc == 0 && !a->run.dry_run) rc = create_table(t, matrix, json, err);
    if (rc == 0 && !a->run.dry_run && index) rc = open_index(t, index, err);
    free(json);
    free(index);
    return rc;
}

static int choose_format(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    format_t *f = &t->records.format;
    const htsFormat *in = t->run.stream.format;
    bool reads = t->run.stream.source->writes == WRITES_READS;
    t->records.embed = reads && !a->set.reference && in->format == cram;
    for (int i = 0; i < a->nformat_option; i++)
        if (hts_opt_add((hts_opt **)&f->hts.specific, a->format_option[i]))
            return cad_fail(err, CAD_EARG, "--output-fmt-option %s: not an option that htslib knows",
                            a->format_option[i]);
    return format_choose(f, reads, a->run.format, a->run.output, in, err);
}

static int open_records(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    records_out_t *r = &t->records;
    int rc;
    r->path = a->run.output;
    r->index = a->run.index;
    rc = choose_format(t, err);
    if (rc == 0) rc = records_plan(r, err);
    if (rc == 0) rc = name_files(a, (const char *[]) { a->run.output, r->index_path }, 2, err);
    if (rc == 0) rc = format_suffix(&r->format, a->run.format, a->run.output, err);
    if (rc || a->run.dry_run) return rc;
    rc = records_create(r, err);
    if (rc == 0) rc = refuse_shard(a, r->out, err);
    return rc == 0 && a->run.shard.of ? output_beside(&r->part, a->run.output, ".json", err) : rc;
}

/* True if the output is rows of text, and not SAM or VCF records. */
static bool writes_table(const annotate_t *t)
{
    return t->run.stream.source->writes == WRITES_TEXT || t->a->set.matrix;
}

/* ---- the run ---- */

/* Refuses to read both the input and -L from standard input. */
static int check_stdin(const annotate_args_t *a, cad_error_t *err)
{
    for (int i = 0; i < a->run.limits.n; i++)
        if (a->run.limits.limit[i].how == 'L' && !strcmp(a->run.limits.limit[i].text, "-") && !strcmp(a->in, "-"))
            return cad_fail(err, CAD_EARG, "the input and -L are both standard input");
    return 0;
}

static int open_source(annotate_t *t, cad_error_t *err)
{
    annotate_args_t *a = t->a;
    stream_t *s = &t->run.stream;
    const source_t *source;
    int rc = input_open(&t->in, a->in, a->in_format, err);
    if (rc) return rc;
    source = source_of(&t->in);
    rc = annotate_fits(a, source, t->in.path, err);
    if (rc == 0) rc = run_begin(&t->run, source, &t->in, err);
    if (rc == 0 && a->run.aliases && !a->set.reference) rc = cad_fail(err, CAD_EARG, "--chr-alias needs -T");
    if (rc == 0) rc = check_stdin(a, err);
    if (rc == 0 && source->writes != WRITES_TEXT) rc = records_pool(&t->pool, a->o.threads, err);
    s->pool = &t->pool;
    s->table = &t->table;
    s->records = &t->records;
    return rc == 0 && source->open ? source->open(s, err) : rc;
}

/* Opens the inputs and outputs. Called before the model is loaded, so that a wrong path is reported at once. */
static int open_files(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    int rc = open_source(t, err);
    if (rc == 0) rc = writes_table(t) ? open_table(t, err) : open_records(t, err);
    if (rc == 0) rc = run_open_reference(&t->run, a->set.reference, a->run.aliases, err);
    if (rc == 0) rc = run_open_regions(&t->run, &a->run.limits, "rR", "tL", true, err);
    return rc;
}

/* Writes the provenance to t->description as one line for @PG. Omits the program and the keys that describe a shard. */
static void put_description(annotate_t *t)
{
    const provenance_t *p = &t->run.provenance;
    for (int i = 1; i < p->n; i++)
        if (!provenance_of_part(p->key[i]))
            text_printf(&t->description, "%s%s: %s", i > 1 ? "; " : "", p->key[i], p->value[i]);
}

static int set_provenance(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    run_t *r = &t->run;
    int rc;
    text_puts(&r->options, a->set.matrix ? "embed" : "score=");
    if (!a->set.matrix) scores_names(&a->set.scores, &r->options);
    run_describe(r);
    if (writes_table(t) && (a->set.no_version || t->table.csv)) text_puts(&r->options, TABLE_PLAIN);
    rc = run_provenance(r, &a->run.shard, err);
    if (rc) return rc;
    put_description(t);
    r->stream.command = t->command->s.s;
    r->stream.description = t->description.s.s;
    return t->command->failed || t->description.failed ? cad_out_of_memory(err) : 0;
}

static int open_engine(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    run_t *r = &t->run;
    int64_t longest = cad_model_number(r->model, CAD_MAX_LEN);
    int64_t window = a->set.window ? a->set.window : a->set.grid ? cad_min(longest, TRACK_WINDOW) : longest;
    int rc = run_open_engine(r, window, &a->run.shard, a->run.dry_run, err);
    if (rc == 0) rc = set_provenance(t, err);
    return rc == 0 && writes_table(t) ? table_begin(&t->table, r->stream.matrix_width, err) : rc;
}

/* Returns an error if an output file is the complete part of another shard of this run, which must not be replaced. */
static int check_parts(const annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    const provenance_t *p = &t->run.provenance;
    const char *matrix = embed_file(&a->set);
    int rc = a->run.shard.of ? part_neighbours(a->run.output, p, &a->run.shard, err) : 0;
    if (rc == 0 && a->run.shard.of) rc = part_free(a->run.output, p, err);
    return rc == 0 && a->run.shard.of && matrix ? part_free(matrix, p, err) : rc;
}

/* Returns true if an earlier run has written this shard completely: its output, and its matrix if it has one. */
static bool part_is_done(annotate_t *t)
{
    const annotate_args_t *a = t->a;
    const char *matrix = embed_file(&a->set);
    return a->run.shard.of && (!matrix || part_whole(matrix)) &&
           options_part_done(&a->o, a->run.output, &t->run.provenance);
}

static int run_once(annotate_t *t, cad_error_t *err)
{
    int rc = open_files(t, err);
    if (rc == 0) rc = run_open_model(&t->run, err);
    if (rc == 0) rc = open_engine(t, err);
    if (rc == 0) rc = check_parts(t, err);
    if (rc || part_is_done(t)) return rc;
    rc = run_stream(&t->run, err);
    if (rc || t->a->run.dry_run) return rc;
    rc = records_close(&t->records, &t->run.provenance, err);
    return rc ? rc : table_close(&t->table, err);
}

static void report_dry_run(annotate_t *t)
{
    const annotate_args_t *a = t->a;
    stream_t *s = &t->run.stream;
    report_t r = { .json = a->o.json };
    estimate_t e = { 0 };
    s->source->estimate(s, &e);
    report_work(&r, &s->pipe.work, t->run.ctx, t->run.model, a->o.threads, s->source->counts, s->rows);
    report_count(&r, "output_bytes", e.bytes); /* size before compression */
    if (embed_file(&a->set)) report_count(&r, "embedding_bytes", e.matrix_rows * t->table.npy.width * 4 + NPY_HEADER);
    report_end(&r);
}

static void close_all(annotate_t *t)
{
    pipeline_close(&t->run.stream.pipe);
    table_free(&t->table);
    records_free(&t->records);
    run_end(&t->run);
    if (t->pool.pool) hts_tpool_destroy(t->pool.pool);
    text_free(&t->description);
    input_close(&t->in);
}

/* Runs once. After a dry run, stores the counted work in *count, or prints it if count is NULL. */
int annotate_run(annotate_args_t *a, const text_t *command, work_t *count)
{
    annotate_t t = { .a = a, .command = command };
    cad_error_t err = { "" };
    int rc;
    t.run.o = &a->o;
    t.run.set = &a->set;
    t.run.output = a->run.output;
    t.run.notes = (notes_t) { .cmd = a->o.cmd, .quiet = a->o.quiet || count };
    rc = run_once(&t, &err);
    rc = run_report(&t.run, rc, &err);
    if (rc == 0 && a->run.dry_run && !count) report_dry_run(&t);
    if (count) *count = t.run.stream.pipe.work;
    close_all(&t);
    return rc;
}

/* ---- entry ---- */

/* Copies the command line to t for @PG, with tabs and line ends replaced by spaces. Must be called before getopt,
 * which reorders the arguments. */
static void keep_command(text_t *t, int argc, char **argv)
{
    text_puts(t, "caduceus annotate");
    for (int i = 1; i < argc; i++) text_printf(t, " %s", argv[i]);
    for (size_t i = 0; i < t->s.l; i++)
        if (t->s.s[i] == '\t' || t->s.s[i] == '\n') t->s.s[i] = ' ';
}

/* Returns the digest d updated with the options that all shards of one run must have in common. */
static uint64_t options_digest(const annotate_args_t *a, uint64_t d)
{
    d = limits_digest(&a->run.limits, d);
    d = text_digest(a->run.format ? a->run.format : "", d);
    d = text_digest(a->set.variants.prefix, d);
    for (int i = 0; SCORE[i].name; i++)
        if (SCORE[i].tag) d = text_digest(a->set.reads.tag[i], d);
    return (d * 31 + (uint64_t)a->run.index) * 31 + a->set.reads.colour;
}

/* Counts the tokens of all shards in a dry run. The count is needed to decide which shard computes an item (a row, read
 * or variant): it depends on how many tokens come before the item in the whole run. */
static int count_work(annotate_args_t *a, const text_t *command)
{
    annotate_args_t all = *a;
    work_t work;
    int rc;
    all.run.dry_run = all.o.counting = true;
    all.run.shard = (shard_t) { 0 };
    rc = annotate_run(&all, command, &work);
    a->run.shard.total = work.tokens;
    a->run.shard.digest = options_digest(a, work.digest);
    return rc;
}

int annotate_all(annotate_args_t *a, const text_t *command)
{
    int rc = a->run.shard.of ? count_work(a, command) : 0;
    return rc ? rc : annotate_run(a, command, NULL);
}

static int run_annotate(int argc, char **argv)
{
    annotate_args_t a;
    text_t command = { 0 };
    int rc;
    keep_command(&command, argc, argv);
    rc = annotate_parse(&a, &CMD_ANNOTATE, argc, argv);
    if (rc == 0) rc = annotate_settle(&a);
    if (rc == 0) rc = annotate_all(&a, &command);
    else if (rc == 2) rc = 0;
    annotate_end(&a);
    text_free(&command);
    return rc || cmd_finish("annotate") ? 1 : 0;
}

const command_t CMD_ANNOTATE = {
    "annotate",     "score regions, sequences, reads or variants; the output has the input's format",
    run_annotate,   USAGE,
    annotate_texts, ANNOTATE_SHORT,
    ANNOTATE_LONG,  NULL
};
