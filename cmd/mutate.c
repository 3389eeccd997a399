/* mutate.c - caduceus mutate: changes every base of regions and writes how the model's prediction changes.
 * SPDX-License-Identifier: MIT */
#include "caption.h"
#include "draw/pictures.h"
#include "io/shard.h"
#include "stream/mutations.h"
#include "run.h"

static const char USAGE[] =
    "Usage: caduceus mutate [options] -T ref.fa -r REGION -o OUT\n"
    "       caduceus mutate [options] IN.fa -o OUT\n\n"
    "Saturation mutagenesis: changes each base of regions of a reference, or of all records\n"
    "of a FASTA, to the three others. A language model gives the llr of each change, as\n"
    "annotate does; a classifier or regressor gives the change of its output.\n\n"
    "Options:\n"
    "  -T, --reference FASTA  the reference, plain or bgzip; also --fasta-ref\n" ALIAS_USAGE
    "  -r, --region REGION    CONTIG[:BEG-END], counted from 1\n"
    "  -R, --regions-file FILE|REGION  the regions of a BED\n"
    "  -L, --targets-file BED the regions of a BED\n"
    "  -o, --output OUT       the suffix chooses the format: .tsv or .tsv.gz, a row for each\n"
    "                         base; .vcf or .vcf.gz, a record for each change; .npy,\n"
    "                         a matrix (bases x A, C, G, T); .png, .svg or .pdf, a picture\n"
    "                         of one region. May be given up to 4 times; - is a .tsv on\n"
    "                         standard output [-]\n"
    "      --write-index[=csi|tbi]  also index a .vcf.gz [csi]\n"
    "      --mask HOW         each: a pass and a window for each base, as annotate scores\n"
    "                         an SNV; stride:K: K passes for each window, faster [each]\n"
    "      --deletions        also the dpll of deleting each base, masked as --mask says,\n"
    "                         else by stride:8 as in annotate\n"
    "      --window W         bases in a window, flanks included; a classifier's longest\n"
    "                         region [the model's length, at most 16384]\n"
    "      --flank F          context on each side [each: min(1024, (W-1)/2); stride:\n"
    "                         min(1024, W/4)]\n"
    "      --class NAME       output of a classifier, by its name or its number from 0 [the\n"
    "                         class predicted for the region]\n"
    "      --skip-soft-masked use lower-case bases as context, do not change them\n" N_TOKEN_USAGE
    "      --no-version       no lines on version and model; column names without #\n" SHARD_USAGE
    "      --dry-run          count windows and tokens, estimate time\n" DRY_RUN_JSON_USAGE PROGRESS_USAGE OPTIONS_USAGE
    "\nExamples:\n"
    "  caduceus mutate -T hg38.fa -r chr11:5227000-5227100 -o hbb.vcf.gz -o hbb.npy\n"
    "  caduceus mutate -m classifier promoters.fa --class active -o effects.tsv.gz\n";

typedef struct {
    options_t o;
    settings_t set;
    run_options_t run;
    const char *in, *class; /* NULL: not given */
    bool deletions;
    const char *output[MUTATION_FILES];
    char *named[MUTATION_FILES]; /* an output, if made from a name with {shard} */
    int noutput;
} args_t;

typedef struct {
    const args_t *a;
    run_t run;
    htsThreadPool pool; /* threads that compress records */
    mutations_t *m;     /* state of the source, which owns it */
} mutate_t;

/* ---- options ---- */

#define MASK_BY_DEFAULT INT64_MIN /* --mask is not given */
enum { O_CLASS = 1, O_DELETIONS };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_WINDOWS,
                                       OPTIONS_RUN,
                                       OPT_VALUE("regions-file", 'R'),
                                       OPT_VALUE("chr-alias", OPT_ALIAS),
                                       OPT_FLAG("n-token", OPT_NTOKEN),
                                       OPT_MAYBE("write-index", OPT_INDEX),
                                       OPT_VALUE("shard", OPT_SHARD),
                                       OPT_VALUE("class", O_CLASS),
                                       OPT_FLAG("deletions", O_DELETIONS),
                                       { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc;
    switch (c) {
    case 'o':
        if (a->noutput == MUTATION_FILES) return cmd_fail("mutate", "-o: at most %d outputs", MUTATION_FILES);
        a->output[a->noutput++] = arg;
        return 0;
    case O_CLASS: a->class = arg; return 0;
    case O_DELETIONS: a->deletions = true; return 0;
    default: break;
    }
    rc = run_take(&a->run, &a->set, "mutate", c, arg);
    if (rc > 0) rc = windows_take(&a->set, "mutate", c, arg);
    return rc > 0 ? options_take(&a->o, c, arg) : rc;
}

/* Checks the options that shards do not allow, and puts the shard into the names of outputs. */
static int check_shard(args_t *a)
{
    for (int k = 0; k < a->noutput; k++) {
        if (option_named("mutate", &a->run.shard, &a->output[k], &a->named[k])) return 1;
        if (a->run.shard.of && !strcmp(a->output[k], "-"))
            return cmd_fail("mutate", "--shard needs output files, and no --dry-run");
        if (a->run.shard.of && canvas_fits(a->output[k]))
            return cmd_fail("mutate", "%s: a picture shows a whole region; --shard does not fit", a->output[k]);
    }
    if (!a->run.shard.of) return 0;
    if (a->run.dry_run) return cmd_fail("mutate", "--shard needs output files, and no --dry-run");
    return limits_stream(&a->run.limits) ? cmd_fail("mutate", "--shard reads its input twice: -L - does not fit") : 0;
}

static int check_args(args_t *a)
{
    if (a->in && a->set.reference)
        return cmd_fail("mutate", "%s: give the FASTA either alone, or with -T and regions of it", a->in);
    if (a->in && !strcmp(a->in, "-"))
        return cmd_fail("mutate", "standard input has no index; write the records to a file");
    if (a->in) a->set.reference = a->in;
    if (!a->set.reference) return cmd_fail("mutate", "give the reference with -T FASTA and regions with -r or -L");
    if (!a->in && !a->run.limits.n)
        return cmd_fail("mutate", "give regions with -r or -L; each base of them is a pass of the model");
    if (a->set.mask == CAD_MASK_NONE)
        return cmd_fail("mutate", "--mask none: a base that is visible says nothing about the others; use each or "
                                  "stride:K");
    if (a->o.json && !a->run.dry_run) return cmd_fail("mutate", "--json goes with --dry-run");
    return check_shard(a);
}

/* Returns 0 to continue, 1 after reporting an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "mutate");
    settings_init(&a->set);
    a->set.mask = MASK_BY_DEFAULT;
    a->set.masked = true;
    rc = options_parse(&CMD_MUTATE, argc, argv, take_option, a);
    if (rc == 0 && optind < argc) a->in = argv[optind];
    if (rc == 0) rc = options_operands(&CMD_MUTATE, argc, argv, a->in ? "one FASTA" : NULL);
    if (rc) return rc;
    if (!a->noutput) a->output[a->noutput++] = "-";
    a->run.output = a->output[0];
    return check_args(a);
}

/* ---- outputs ---- */

static mutation_format_t format_of(const char *path)
{
    if (ends_in(path, ".npy")) return MUTATIONS_MATRIX;
    if (canvas_fits(path)) return MUTATIONS_PICTURE;
    return ends_in(path, ".vcf") || ends_in(path, ".vcf.gz") || ends_in(path, ".vcf.bgz") ? MUTATIONS_VARIANTS
                                                                                          : MUTATIONS_TEXT;
}

/* Chooses the format of an output and adds its paths to the ledger. Opens nothing. */
static int plan_file(const args_t *a, mutation_file_t *f, ledger_t *files, cad_error_t *err)
{
    records_out_t *r = &f->records;
    int rc = output_suffix(f->path, "tsv tab txt bed vcf npy " PICTURE_SUFFIXES, "tsv tab txt bed vcf", err);
    f->format = format_of(f->path);
    if (rc == 0 && f->format == MUTATIONS_PICTURE) rc = canvas_possible(f->path, err);
    if (rc == 0) rc = ledger_output(files, f->path, err);
    if (rc || f->format != MUTATIONS_VARIANTS) return rc;
    if (a->run.index && ends_in(f->path, ".vcf"))
        return cad_fail(err, CAD_EARG, "%s: --write-index: only a .vcf.gz has an index", f->path);
    r->path = f->path;
    r->index = a->run.index;
    rc = format_choose(&r->format, false, NULL, f->path, &(htsFormat) { .format = vcf }, err);
    if (rc == 0) rc = records_plan(r, err);
    return rc == 0 && r->index_path ? ledger_output(files, r->index_path, err) : rc;
}

static int open_file(const args_t *a, mutation_file_t *f, cad_error_t *err)
{
    bool variants = f->format == MUTATIONS_VARIANTS, text = f->format == MUTATIONS_TEXT;
    output_t **json = variants ? &f->records.part : &f->json;
    int rc = variants ? records_create(&f->records, err)
                      : output_open(&f->out, f->path, text && output_is_gz(f->path), err);
    bool is_file = rc == 0 && output_is_file(variants ? f->records.out : f->out);
    if (rc) return rc;
    if (!variants && !text && output_is_terminal(f->out))
        return cad_fail(err, CAD_EARG, "binary data would go to a terminal; name a file with -o");
    if (a->run.shard.of && !is_file) return cad_fail(err, CAD_EARG, "%s: --shard writes to files only", f->path);
    return is_file && (a->run.shard.of || (!variants && !text)) ? output_beside(json, f->path, ".json", err) : 0;
}

static int open_outputs(mutate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    ledger_t files = { 0 };
    bool variants = false;
    int rc = 0;
    options_inputs(&a->o, a->set.reference, a->run.aliases, &a->run.limits, &files);
    for (int k = 0; k < a->noutput && rc == 0; k++) {
        mutation_file_t *f = &t->m->file[t->m->nfile++];
        f->path = a->output[k];
        rc = plan_file(a, f, &files, err);
        variants |= f->format == MUTATIONS_VARIANTS;
        t->m->keep |= f->format == MUTATIONS_PICTURE && !a->run.dry_run;
    }
    ledger_free(&files);
    if (rc == 0 && a->run.index && !variants)
        rc = cad_fail(err, CAD_EARG, "--write-index: only a .vcf.gz has an index");
    for (int k = 0; k < a->noutput && rc == 0 && !a->run.dry_run; k++) rc = open_file(a, &t->m->file[k], err);
    return rc;
}

/* ---- the classifier ---- */

static int no_output(const cad_head_t *h, const char *said, cad_error_t *err)
{
    text_t names = { 0 };
    for (int64_t k = 0; k < h->n && names.s.l < 400; k++) text_printf(&names, "%s%s", k ? ", " : "", h->name[k]);
    cad_fail(err, CAD_EARG, "%s; the model's outputs are %.400s", said, names.s.s ? names.s.s : "");
    text_free(&names);
    return CAD_EARG;
}

/* Sets m->output to the output that --class names. */
static int choose_output(const args_t *a, mutations_t *m, cad_error_t *err)
{
    const cad_head_t *h = &m->head;
    char said[120];
    m->output = -1;
    if (!a->class) {
        if (h->kind == CAD_HEAD_VALUES && h->n == 1) m->output = 0;
        return h->kind == CAD_HEAD_VALUES && h->n > 1 ? no_output(h, "choose a value with --class", err) : 0;
    }
    for (int64_t k = 0; k < h->n; k++)
        if (!strcmp(h->name[k], a->class)) m->output = k;
    if (m->output >= 0 || cad_parse_int(a->class, 0, h->n - 1, &m->output)) return 0;
    snprintf(said, sizeof said, "--class %.80s: no such output", a->class);
    return no_output(h, said, err);
}

static int read_head(mutate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    mutations_t *m = t->m;
    int rc;
    cad_head_init(&m->head);
    if (!cad_model_number(t->run.model, CAD_LABELS))
        return a->class ? cad_fail(err, CAD_EARG, "--class: the model is a language model without a classifier") : 0;
    if (cad_model_number(t->run.model, CAD_BIN))
        return cad_fail(err, CAD_EARG,
                        "the model has outputs for each base or bin; mutate takes language models, and "
                        "classifiers or regressors of whole sequences");
    if (t->run.set->mask != MASK_BY_DEFAULT)
        return cad_fail(err, CAD_EARG, "--mask: the model is a classifier, for which nothing is masked");
    if (a->deletions) return cad_fail(err, CAD_EARG, "--deletions: the model is a classifier without dpll");
    rc = cad_head_read(&m->head, t->run.model, err);
    return rc ? rc : choose_output(a, m, err);
}

/* ---- pictures ---- */

static int draw(mutate_t *t, const mutation_file_t *f, cad_error_t *err)
{
    const mutations_t *m = t->m;
    bool class = m->head.n > 0, values = m->head.kind == CAD_HEAD_VALUES;
    char unit[200] = "llr (nats)";
    mutations_picture_t p = { .letter = m->letter, .value = m->value, .unit = unit };
    if (class)
        snprintf(unit, sizeof unit, "change of %s %.150s", values ? "the value" : "the logit of",
                 m->head.name[m->shown]);
    p.low = class ? "lower" : "less likely";
    p.high = class ? "higher" : "more likely";
    p.caption = run_caption(&t->run, class ? "Changes of" : "Mutations of", t->run.ref.contig[m->contig].name,
                            m->region);
    return draw_mutations(&p, f->out, f->path, err);
}

static int draw_all(mutate_t *t, cad_error_t *err)
{
    int rc = 0;
    for (int k = 0; k < t->m->nfile && rc == 0; k++)
        if (t->m->file[k].format == MUTATIONS_PICTURE) rc = draw(t, &t->m->file[k], err);
    return rc;
}

/* ---- the run ---- */

/* Sets how SNVs and deletions are masked. */
static void set_masks(mutate_t *t)
{
    settings_t *set = t->run.set;
    bool given = set->mask != MASK_BY_DEFAULT;
    t->m->deletions = t->a->deletions;
    t->m->deletion_mask = given ? set->mask : 8;
    if (!given) set->mask = t->m->head.n ? CAD_MASK_NONE : CAD_MASK_EACH;
}

static int open_engine(mutate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int64_t longest = cad_model_number(r->model, CAD_MAX_LEN);
    int64_t window = a->set.window ? a->set.window : t->m->head.n ? longest : cad_min(longest, TRACK_WINDOW);
    int rc = run_open_engine(r, window, &a->run.shard, a->run.dry_run, err);
    return rc ? rc : run_settle(r, &a->run.shard, a->set.no_version, err);
}

/* Returns an error if an output file is the complete part of another shard of this run, which must not be replaced. */
static int check_parts(const mutate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = part_neighbours(a->output[0], &t->run.provenance, &a->run.shard, err);
    for (int k = 0; k < a->noutput && rc == 0; k++) rc = part_free(a->output[k], &t->run.provenance, err);
    return rc;
}

/* Returns true if an earlier run has written all outputs of this shard. */
static bool parts_done(const mutate_t *t)
{
    for (int k = 0; k < t->a->noutput; k++)
        if (!options_part_done(&t->a->o, t->a->output[k], &t->run.provenance)) return false;
    return true;
}

static int run(mutate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int rc = run_begin(r, &SOURCE_MUTATIONS, NULL, err);
    if (rc) return rc;
    t->m = r->stream.state;
    r->stream.pool = &t->pool;
    rc = records_pool(&t->pool, a->o.threads, err);
    if (rc == 0) rc = open_outputs(t, err);
    if (rc == 0) rc = run_open_reference(r, a->set.reference, a->run.aliases, err);
    if (rc == 0) rc = run_open_regions(r, &a->run.limits, "rRL", "", false, err);
    if (rc == 0) rc = run_open_model(r, err);
    if (rc == 0) rc = read_head(t, err);
    if (rc) return rc;
    set_masks(t);
    rc = open_engine(t, err);
    if (rc == 0 && a->run.shard.of) rc = check_parts(t, err);
    if (rc || (a->run.shard.of && parts_done(t))) return rc;
    rc = run_stream(r, err);
    if (rc == 0 && r->stream.pipe.work.tokens == 0 && !a->run.shard.of)
        note(&r->notes, NOTE_NOTHING, 1, "%s: nothing to do: no base of the regions is A, C, G or T", r->ref.path);
    if (rc || a->run.dry_run) return rc;
    rc = draw_all(t, err);
    return rc ? rc : mutations_close(&r->stream, err);
}

/* Runs once. If count is not NULL, this is a dry run that only counts its work. */
static int run_once(args_t *a, work_t *count)
{
    settings_t set = a->set;
    mutate_t t = { .a = a };
    cad_error_t err = { "" };
    run_t *r = &t.run;
    int rc;
    r->o = &a->o;
    r->set = &set;
    r->output = a->run.output;
    r->notes = (notes_t) { .cmd = "mutate", .quiet = a->o.quiet || count };
    rc = run(&t, &err);
    rc = run_report(r, rc, &err);
    if (rc == 0 && a->run.dry_run && !count) run_report_work(r, "bases", r->stream.rows);
    if (count) *count = r->stream.pipe.work;
    pipeline_close(&r->stream.pipe);
    run_end(r);
    if (t.pool.pool) hts_tpool_destroy(t.pool.pool);
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

static int run_mutate(int argc, char **argv)
{
    args_t a;
    int rc = parse_args(&a, argc, argv);
    if (rc == 0 && a.run.shard.of) rc = count_work(&a);
    if (rc == 0) rc = run_once(&a, NULL);
    else if (rc == 2) rc = 0;
    for (int k = 0; k < MUTATION_FILES; k++) free(a.named[k]);
    return rc || cmd_finish("mutate") ? 1 : 0;
}

const command_t CMD_MUTATE = { "mutate",   "change every base of regions and write what the model makes of it",
                               run_mutate, USAGE,
                               NULL,       OPTIONS_SHORT "T:o:r:R:L:",
                               LONGS,      NULL };
