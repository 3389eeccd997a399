/* depend.c - caduceus depend: maps which bases of a region the predictions of its other bases depend on.
 * SPDX-License-Identifier: MIT */
#include "caption.h"
#include "draw/pictures.h"
#include "stream/dependence.h"
#include "run.h"

static const char USAGE[] =
    "Usage: caduceus depend [options] -T ref.fa -r REGION -o OUT\n"
    "       caduceus depend [options] IN.fa -o OUT\n\n"
    "Dependency map of one region, or of the only record of a FASTA: changes each base and\n"
    "writes how much the predictions of all other bases change, in log2 odds. Bases that\n"
    "pair in a stem, or belong to one motif, depend on each other.\n\n"
    "Options:\n"
    "  -T, --reference FASTA  the reference, plain or bgzip; also --fasta-ref\n" ALIAS_USAGE
    "  -r, --region REGION    CONTIG[:BEG-END], counted from 1\n"
    "  -R, --regions-file FILE|REGION  the only region of a BED\n"
    "  -L, --targets-file BED the only region of a BED\n"
    "  -o, --output OUT       the suffix chooses the format: .npy, a matrix (changed base x\n"
    "                         other base); .tsv or .tsv.gz, a table with a row for each\n"
    "                         changed base; .png, .svg or .pdf, a picture. May be given up\n"
    "                         to 4 times; - is a .tsv on standard output\n"
    "      --block[=N]        print the N strongest blocks of the map as BEDPE, which IGV\n"
    "                         shows as arcs [20]\n"
    "      --window W         longest region, flanks included [the model's length, at most\n"
    "                         16384]\n"
    "      --flank F          context on each side [min(1024, (W-n)/2) for n bases]\n" N_TOKEN_USAGE
    "      --no-version       no lines on version and model; column names without #\n"
    "      --dry-run          count windows and tokens, estimate time\n" DRY_RUN_JSON_USAGE PROGRESS_USAGE OPTIONS_USAGE
    "\nExamples:\n"
    "  caduceus depend -T hg38.fa -r chr6:28795950-28796050 -o trna.npy --block\n"
    "  caduceus depend hairpin.fa -o hairpin.tsv.gz\n";

typedef struct {
    options_t o;
    settings_t set;
    run_options_t run;
    const char *in; /* NULL: not given */
    const char *output[DEPENDENCE_FILES];
    int noutput;
    int64_t blocks; /* number of blocks to print; 0: none */
} args_t;

typedef struct {
    const args_t *a;
    run_t run;
    dependence_t *d; /* state of the source, which owns it */
} depend_t;

/* ---- options ---- */

enum { O_BLOCK = 1 };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_REFERENCE,
                                       OPTIONS_RUN,
                                       OPT_VALUE("window", OPT_WINDOW),
                                       OPT_VALUE("flank", OPT_FLANK),
                                       OPT_VALUE("regions-file", 'R'),
                                       OPT_VALUE("chr-alias", OPT_ALIAS),
                                       OPT_FLAG("n-token", OPT_NTOKEN),
                                       OPT_FLAG("no-version", OPT_NOVERSION),
                                       OPT_FLAG("json", OPT_JSON),
                                       OPT_MAYBE("block", O_BLOCK),
                                       { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc;
    switch (c) {
    case 'o':
        if (a->noutput == DEPENDENCE_FILES) return cmd_fail("depend", "-o: at most %d outputs", DEPENDENCE_FILES);
        a->output[a->noutput++] = arg;
        return 0;
    case O_BLOCK: a->blocks = 20; return arg ? option_int("depend", "--block", arg, 1, INT32_MAX, &a->blocks) : 0;
    default: break;
    }
    rc = run_take(&a->run, &a->set, "depend", c, arg);
    if (rc > 0) rc = windows_take(&a->set, "depend", c, arg);
    return rc > 0 ? options_take(&a->o, c, arg) : rc;
}

static int check_args(args_t *a)
{
    if (a->in && a->set.reference)
        return cmd_fail("depend", "%s: give the FASTA either alone, or with -T and a region of it", a->in);
    if (a->in && !strcmp(a->in, "-"))
        return cmd_fail("depend", "standard input has no index; write the record to a file");
    if (a->in) a->set.reference = a->in;
    if (!a->set.reference) return cmd_fail("depend", "give the reference with -T FASTA and a region with -r");
    if (!a->in && !a->run.limits.n) return cmd_fail("depend", "give a region with -r");
    if (!a->noutput && !a->blocks && !a->run.dry_run)
        return cmd_fail("depend", "name the map with -o, or print blocks with --block");
    for (int k = 0; k < a->noutput; k++)
        if (a->blocks && !strcmp(a->output[k], "-"))
            return cmd_fail("depend", "--block and the map are both standard output");
    if (a->o.json && !a->run.dry_run) return cmd_fail("depend", "--json goes with --dry-run");
    return 0;
}

/* Returns 0 to continue, 1 after reporting an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "depend");
    settings_init(&a->set);
    a->set.mask = CAD_MASK_NONE;
    rc = options_parse(&CMD_DEPEND, argc, argv, take_option, a);
    if (rc == 0 && optind < argc) a->in = argv[optind];
    if (rc == 0) rc = options_operands(&CMD_DEPEND, argc, argv, a->in ? "one FASTA" : NULL);
    return rc ? rc : check_args(a);
}

/* ---- outputs ---- */

static int open_file(const args_t *a, dependence_file_t *f, ledger_t *files, cad_error_t *err)
{
    int rc = output_suffix(f->path, "npy tsv tab txt " PICTURE_SUFFIXES, "tsv tab txt", err);
    f->format = canvas_fits(f->path)       ? DEPENDENCE_PICTURE
                : ends_in(f->path, ".npy") ? DEPENDENCE_MATRIX
                                           : DEPENDENCE_TEXT;
    if (rc == 0 && f->format == DEPENDENCE_PICTURE) rc = canvas_possible(f->path, err);
    if (rc == 0) rc = ledger_output(files, f->path, err);
    if (rc || a->run.dry_run) return rc;
    rc = output_open(&f->out, f->path, f->format == DEPENDENCE_TEXT && output_is_gz(f->path), err);
    if (rc || f->format == DEPENDENCE_TEXT) return rc;
    if (output_is_terminal(f->out))
        return cad_fail(err, CAD_EARG, "binary data would go to a terminal; name a file with -o");
    return output_is_file(f->out) ? output_beside(&f->json, f->path, ".json", err) : 0;
}

static int open_outputs(depend_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    ledger_t files = { 0 };
    int rc = 0;
    options_inputs(&a->o, a->set.reference, a->run.aliases, &a->run.limits, &files);
    for (int k = 0; k < a->noutput && rc == 0; k++) {
        dependence_file_t *f = &t->d->file[t->d->nfile++];
        f->path = a->output[k];
        rc = open_file(a, f, &files, err);
    }
    t->d->keep = a->blocks > 0;
    for (int k = 0; k < t->d->nfile; k++) t->d->keep |= t->d->file[k].format == DEPENDENCE_PICTURE;
    t->d->keep &= !a->run.dry_run;
    ledger_free(&files);
    return rc;
}

/* ---- blocks ---- */

static void put_interval(const dependence_t *d, interval_t at, text_t *t)
{
    text_printf(t, "%s\t%lld\t%lld\t", d->contig->name, (long long)(d->at.beg + at.beg),
                (long long)(d->at.beg + at.end));
}

static void put_block(const dependence_t *d, const block_t *b, text_t *t)
{
    const char *name = b->slope <= -0.8 ? "stem" : b->slope >= 0.8 ? "repeat" : "block";
    put_interval(d, b->first, t);
    put_interval(d, b->second, t);
    text_printf(t, "%s\t", name);
    text_number(t, b->sum);
    text_puts(t, "\t.\t.\t");
    text_number(t, (double)b->most);
    text_printf(t, "\t%lld\n", (long long)b->pairs);
}

static int print_blocks(const depend_t *t, cad_error_t *err)
{
    static const char COLUMNS[] =
        "#chrom1\tstart1\tend1\tchrom2\tstart2\tend2\tname\tscore\tstrand1\tstrand2\tlargest\tpairs";
    const dependence_t *d = t->d;
    text_t text = { 0 };
    output_t *out = NULL;
    block_t *block;
    int64_t n;
    int rc = blocks_find(d->e, d->at.end - d->at.beg, &block, &n, err);
    if (rc == 0) rc = output_open(&out, "-", false, err);
    provenance_table(&t->run.provenance, t->a->set.no_version, COLUMNS, &text);
    text_puts(&text, "\n");
    for (int64_t k = 0; rc == 0 && k < cad_min(n, t->a->blocks); k++) put_block(d, &block[k], &text);
    if (rc == 0) rc = text_write(out, &text, err);
    if (rc == 0) {
        rc = output_close(out, err);
        out = NULL;
    }
    output_abort(out);
    free(block);
    text_free(&text);
    return rc;
}

/* ---- pictures ---- */

static int draw_all(depend_t *t, cad_error_t *err)
{
    const dependence_t *d = t->d;
    dependence_picture_t p = { .letter = d->letter, .e = d->e };
    int rc = 0;
    p.caption = run_caption(&t->run, "Dependence in", d->contig->name, d->at);
    for (int k = 0; k < d->nfile && rc == 0; k++)
        if (d->file[k].format == DEPENDENCE_PICTURE) rc = draw_dependence(&p, d->file[k].out, d->file[k].path, err);
    return rc;
}

/* ---- the run ---- */

static int open_engine(depend_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int64_t window = a->set.window ? a->set.window : cad_min(cad_model_number(r->model, CAD_MAX_LEN), TRACK_WINDOW);
    int rc = run_open_engine(r, window, &a->run.shard, a->run.dry_run, err);
    return rc ? rc : run_settle(r, &a->run.shard, a->set.no_version, err);
}

static int run(depend_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int rc = run_begin(r, &SOURCE_DEPENDENCE, NULL, err);
    if (rc) return rc;
    t->d = r->stream.state;
    rc = open_outputs(t, err);
    if (rc == 0) rc = run_open_reference(r, a->set.reference, a->run.aliases, err);
    if (rc == 0) rc = run_open_regions(r, &a->run.limits, "rRL", "", false, err);
    if (rc == 0) rc = run_open_model(r, err);
    if (rc == 0) rc = open_engine(t, err);
    if (rc == 0) rc = run_stream(r, err);
    if (rc || a->run.dry_run) return rc;
    if (r->stream.pipe.work.tokens == 0)
        note(&r->notes, NOTE_NOTHING, 1, "%s: nothing to do: no base of the region is A, C, G or T", r->ref.path);
    rc = draw_all(t, err);
    if (rc == 0 && a->blocks) rc = print_blocks(t, err);
    return rc ? rc : dependence_close(&r->stream, err);
}

static int run_depend(int argc, char **argv)
{
    args_t a;
    depend_t t = { .a = &a };
    cad_error_t err = { "" };
    run_t *r = &t.run;
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    r->o = &a.o;
    r->set = &a.set;
    r->output = a.noutput ? a.output[0] : "-";
    r->notes = (notes_t) { .cmd = "depend", .quiet = a.o.quiet };
    rc = run(&t, &err);
    rc = run_report(r, rc, &err);
    if (rc == 0 && a.run.dry_run) run_report_work(r, "bases", r->stream.rows);
    pipeline_close(&r->stream.pipe);
    run_end(r);
    return rc || cmd_finish("depend") ? 1 : 0;
}

const command_t CMD_DEPEND = { "depend",   "map which bases of a region depend on each other",
                               run_depend, USAGE,
                               NULL,       OPTIONS_SHORT "T:o:r:R:L:",
                               LONGS,      NULL };
