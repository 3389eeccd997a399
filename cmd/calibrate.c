/* calibrate.c - caduceus calibrate: measures how llr is distributed at neutral sites, for each pentanucleotide and
 * change. SPDX-License-Identifier: MIT */
#include "stream/sites.h"
#include "run.h"

static const char USAGE[] =
    "Usage: caduceus calibrate [options] -T ref.fa -L neutral.bed -o table.tsv\n\n"
    "Draws sites from neutral regions and writes how llr is distributed there, for each of\n"
    "the 1,536 changes of the middle of five bases (strands merged). With the table,\n"
    "caduceus annotate --calibration table.tsv says how unusual an SNV's llr is.\n\n"
    "Options:\n"
    "  -T, --reference FASTA  the reference, plain or bgzip; also --fasta-ref\n"
    "  -L, --targets-file BED neutral regions, such as ancestral repeats\n"
    "  -r, --region REGION    only sites in CONTIG[:BEG-END], counted from 1\n"
    "  -n, --sites N          sites for each group of five bases [100]\n"
    "      --seed S           seed of the draw [1]\n"
    "  -o, --output FILE      the table; - is standard output [-]\n"
    "      --window W         bases in a window, flanks included [the model's length]\n"
    "      --flank F          context on each side [min(1024, (W-1)/2)]\n"
    "      --anchor A         bases before the site in a window of --window bases\n" N_TOKEN_USAGE
    "      --dry-run          count windows and tokens, estimate time\n" DRY_RUN_JSON_USAGE PROGRESS_USAGE OPTIONS_USAGE
    "\nExamples:\n"
    "  caduceus calibrate -T hg38.fa -L ancestral-repeats.bed -o table.tsv\n"
    "  caduceus annotate -T hg38.fa --calibration table.tsv in.vcf.gz -o scored.vcf.gz\n";

typedef struct {
    options_t o;
    settings_t set;
    run_options_t run;
    int64_t each, seed;
} args_t;

typedef struct {
    const args_t *a;
    run_t run;
    sites_t *sites; /* state of the source, which owns it */
    output_t *out;
} calibrate_t;

/* ---- options ---- */

enum { O_SEED = 1, O_ANCHOR };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_REFERENCE,
                                       OPT_VALUE("window", OPT_WINDOW),
                                       OPT_VALUE("flank", OPT_FLANK),
                                       OPT_VALUE("anchor", O_ANCHOR),
                                       OPT_FLAG("n-token", OPT_NTOKEN),
                                       OPT_FLAG("json", OPT_JSON),
                                       OPTIONS_RUN,
                                       OPT_VALUE("sites", 'n'),
                                       OPT_VALUE("seed", O_SEED),
                                       { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc;
    switch (c) {
    case 'n': return option_int("calibrate", "-n", arg, 1, 1 << 20, &a->each);
    case O_SEED: return option_int("calibrate", "--seed", arg, 0, INT64_MAX, &a->seed);
    case O_ANCHOR: return option_int("calibrate", "--anchor", arg, 0, 1 << 30, &a->set.anchor);
    default: break;
    }
    rc = run_take(&a->run, &a->set, "calibrate", c, arg);
    if (rc > 0) rc = windows_take(&a->set, "calibrate", c, arg);
    return rc > 0 ? options_take(&a->o, c, arg) : rc;
}

static bool has_regions(const args_t *a)
{
    for (int i = 0; i < a->run.limits.n; i++)
        if (a->run.limits.limit[i].how == 'L') return true;
    return false;
}

/* Returns 0 to continue, 1 after an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "calibrate");
    settings_init(&a->set);
    a->run.output = "-";
    a->set.mask = CAD_MASK_EACH;
    a->each = 100;
    a->seed = 1;
    rc = options_parse(&CMD_CALIBRATE, argc, argv, take_option, a);
    if (rc == 0) rc = options_operands(&CMD_CALIBRATE, argc, argv, NULL);
    if (rc) return rc;
    if (!a->set.reference) return cmd_fail("calibrate", "give the reference with -T FASTA");
    if (!has_regions(a)) return cmd_fail("calibrate", "give neutral regions with -L BED, such as ancestral repeats");
    if (a->o.json && !a->run.dry_run) return cmd_fail("calibrate", "--json goes with --dry-run");
    if (a->set.anchor >= 0 && (!a->set.window || a->set.flank >= 0 || a->set.anchor >= a->set.window))
        return cmd_fail("calibrate", "--anchor needs a larger --window, and does not fit --flank");
    return 0;
}

/* ---- the run ---- */

static int open_output(calibrate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    ledger_t files = { 0 };
    int rc;
    options_inputs(&a->o, a->set.reference, NULL, &a->run.limits, &files);
    rc = ledger_output(&files, a->run.output, err);
    if (rc == 0) rc = output_suffix(a->run.output, "tsv tab txt", "", err);
    ledger_free(&files);
    return rc || a->run.dry_run ? rc : output_open(&t->out, a->run.output, false, err);
}

static int open_engine(calibrate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int64_t window = a->set.window ? a->set.window : cad_model_number(r->model, CAD_MAX_LEN);
    int rc = run_open_engine(r, window, &(shard_t) { 0 }, a->run.dry_run, err);
    return rc ? rc : run_settle(r, &(shard_t) { 0 }, false, err);
}

/* Warns if cells have few sites. */
static void warn_few(const calibrate_t *t, const calibration_t *c)
{
    int few = 0, least = -1;
    text_t name = { 0 };
    for (int i = 0; i < CELLS; i++) {
        if (!calibration_is_cell(i) || c->cell[i].n >= CELL_FEW) continue;
        few++;
        if (least < 0 || c->cell[i].n < c->cell[least].n) least = i;
    }
    if (!few || t->a->o.quiet) return;
    calibration_name(least, &name);
    cmd_warn(
        "calibrate",
        "%d of 1536 cells have fewer than %d sites (%s: %lld): their values mean little; give more regions, or a larger -n",
        few, CELL_FEW, name.s.s ? name.s.s : "", (long long)c->cell[least].n);
    text_free(&name);
}

static int write_table(calibrate_t *t, cad_error_t *err)
{
    calibration_t *c = calloc(1, sizeof *c);
    text_t text = { 0 };
    int rc = c ? calibration_fill(c, t->sites->value, t->sites->count, err) : cad_out_of_memory(err);
    if (rc == 0) {
        calibration_write(c, &t->run.provenance, &text);
        rc = text_write(t->out, &text, err);
    }
    if (rc == 0) {
        rc = output_close(t->out, err);
        t->out = NULL;
    }
    if (rc == 0) warn_few(t, c);
    text_free(&text);
    free(c);
    return rc;
}

static int run_once(calibrate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int rc = open_output(t, err);
    if (rc == 0) rc = run_begin(r, &SOURCE_SITES, NULL, err);
    if (rc) return rc;
    t->sites = r->stream.state;
    t->sites->each = a->each;
    t->sites->seed = (uint64_t)a->seed;
    rc = run_open_reference(r, a->set.reference, NULL, err);
    if (rc == 0) rc = run_open_regions(r, &a->run.limits, "r", "L", false, err);
    if (rc == 0) rc = run_open_model(r, err);
    if (rc == 0) rc = sites_draw(&r->stream, err);
    if (rc == 0) rc = open_engine(t, err);
    if (rc == 0) rc = run_stream(r, err);
    return rc || a->run.dry_run ? rc : write_table(t, err);
}

static int run_calibrate(int argc, char **argv)
{
    args_t a;
    calibrate_t t = { .a = &a };
    cad_error_t err = { "" };
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    t.run.o = &a.o;
    t.run.set = &a.set;
    t.run.output = a.run.output;
    t.run.notes = (notes_t) { .cmd = "calibrate", .quiet = a.o.quiet };
    rc = run_once(&t, &err);
    rc = run_report(&t.run, rc, &err);
    if (rc == 0 && a.run.dry_run) run_report_work(&t.run, "sites", t.run.stream.rows);
    pipeline_close(&t.run.stream.pipe);
    output_abort(t.out);
    run_end(&t.run);
    return rc || cmd_finish("calibrate") ? 1 : 0;
}

const command_t CMD_CALIBRATE = {
    "calibrate",   "measure llr at neutral sites, so that annotate can say what is unusual",
    run_calibrate, USAGE,
    NULL,          OPTIONS_SHORT "T:o:r:L:n:",
    LONGS,         NULL
};
