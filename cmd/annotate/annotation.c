/* annotation.c - one run of annotate: opens the input's source and the outputs, and runs it.
 * SPDX-License-Identifier: MIT */
#include "annotate/annotate.h"
#include "io/shard.h"

typedef struct {
    annotate_args_t *a;
    run_t run;
    input_t in;
    htsThreadPool pool;
    const text_t *command; /* as written to @PG */
    text_t description;
    table_t table;         /* rows of text, */
    records_out_t records; /* or records */
} annotate_t;

/* ---- outputs ---- */

/* Checks n outputs (NULL: none) against all inputs, their indexes and each other. */
static int name_files(const annotate_args_t *a, const char *const out[], int n, cad_error_t *err)
{
    static const char *const in[] = { "", ".bai", ".csi", ".tbi", ".crai", NULL };
    ledger_t files = { 0 };
    int rc = 0;
    ledger_inputs(&files, a->in, in);
    options_inputs(&a->o, a->set.reference, a->aliases, &a->limits, &files);
    for (int k = 0; k < n && rc == 0; k++) rc = ledger_output(&files, out[k], err);
    ledger_free(&files);
    return rc;
}

static int refuse_shard(const annotate_args_t *a, const output_t *out, cad_error_t *err)
{
    return a->shard.of && !output_is_file(out) ? cad_fail(err, CAD_EARG, "%s: --shard writes to files only", a->output)
                                               : 0;
}

/* matrix: the path of the matrix, or NULL; json: that of the .json beside it. */
static int create_table(annotate_t *t, const char *matrix, const char *json, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    output_t **out = embed_several(&a->set) ? &t->table.npz.out : &t->table.npy.out;
    int rc = output_open(&t->table.out, a->output, t->table.compressed, err);
    if (rc == 0 && matrix) rc = output_open(out, matrix, false, err);
    if (rc == 0 && matrix && output_is_file(*out)) rc = output_open(&t->table.json, json, false, err);
    if (rc == 0) rc = refuse_shard(a, t->table.out, err);
    return rc == 0 && a->shard.of ? output_beside(&t->table.part, a->output, ".json", err) : rc;
}

static int open_table(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    const char *matrix = a->set.embed && !embed_column(&a->set) ? a->set.embed : NULL;
    char *json = matrix ? suffixed(matrix, ".json") : NULL;
    const char *out[] = { a->output, matrix, json };
    int rc = matrix && !json ? cad_out_of_memory(err) : name_files(a, out, 3, err);
    t->table.compressed = output_is_gz(a->output);
    if (rc == 0 && !a->dry_run) rc = create_table(t, matrix, json, err);
    free(json);
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
    return format_choose(f, reads, a->format, a->output, in, err);
}

static int open_records(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    records_out_t *r = &t->records;
    int rc;
    r->path = a->output;
    r->index = a->index;
    rc = choose_format(t, err);
    if (rc == 0) rc = records_plan(r, err);
    if (rc == 0) rc = name_files(a, (const char *[]) { a->output, r->index_path }, 2, err);
    if (rc || a->dry_run) return rc;
    rc = records_create(r, err);
    if (rc == 0) rc = refuse_shard(a, r->out, err);
    return rc == 0 && a->shard.of ? output_beside(&r->part, a->output, ".json", err) : rc;
}

/* The output is rows of text rather than records. */
static bool writes_table(const annotate_t *t)
{
    return t->run.stream.source->writes == WRITES_TEXT || t->a->set.matrix;
}

/* ---- the run ---- */

/* Refuses - as both the input and -L. */
static int check_stdin(const annotate_args_t *a, cad_error_t *err)
{
    for (int i = 0; i < a->limits.n; i++)
        if (a->limits.limit[i].how == 'L' && !strcmp(a->limits.limit[i].text, "-") && !strcmp(a->in, "-"))
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
    if (rc == 0 && a->aliases && !a->set.reference) rc = cad_fail(err, CAD_EARG, "--chr-alias needs -T");
    if (rc == 0) rc = check_stdin(a, err);
    if (rc == 0 && source->writes != WRITES_TEXT) rc = records_pool(&t->pool, a->o.threads, err);
    s->pool = &t->pool;
    s->table = &t->table;
    s->records = &t->records;
    return rc == 0 && source->open ? source->open(s, err) : rc;
}

/* Opens the outputs before the model is loaded, so that a wrong path is reported at once. */
static int open_files(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    int rc = open_source(t, err);
    if (rc == 0) rc = writes_table(t) ? open_table(t, err) : open_records(t, err);
    if (rc == 0) rc = run_open_reference(&t->run, a->set.reference, a->aliases, err);
    if (rc == 0) rc = run_open_regions(&t->run, &a->limits, "rR", "tL", true, err);
    return rc;
}

/* For @PG: the provenance in one line, without the program and the keys of a part. */
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
    rc = run_provenance(r, &a->shard, err);
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
    int rc = run_open_engine(r, window, &a->shard, a->dry_run, err);
    if (rc == 0) rc = set_provenance(t, err);
    return rc == 0 && writes_table(t) ? table_begin(&t->table, r->stream.matrix_width, err) : rc;
}

/* True if the part that --shard names exists already, and its matrix too. */
static bool part_is_done(annotate_t *t)
{
    const annotate_args_t *a = t->a;
    bool matrix = a->set.embed && !embed_column(&a->set);
    return a->shard.of && (!matrix || part_whole(a->set.embed)) &&
           options_part_done(&a->o, a->output, &t->run.provenance);
}

static int run(annotate_t *t, cad_error_t *err)
{
    int rc = open_files(t, err);
    if (rc == 0) rc = run_open_model(&t->run, err);
    if (rc == 0) rc = open_engine(t, err);
    if (rc || part_is_done(t)) return rc;
    rc = run_stream(&t->run, err);
    if (rc || t->a->dry_run) return rc;
    rc = records_close(&t->records, &t->run.provenance, err);
    return rc ? rc : table_close(&t->table, err);
}

static void report_dry_run(annotate_t *t)
{
    const annotate_args_t *a = t->a;
    stream_t *s = &t->run.stream;
    estimate_t e = { 0 };
    s->source->estimate(s, &e);
    report_work(&s->pipe.work, t->run.ctx, t->run.model, a->o.threads, s->source->counts, s->rows);
    printf("output_bytes\t%lld\n", (long long)e.bytes); /* uncompressed */
    if (a->set.embed && !embed_column(&a->set))
        printf("embedding_bytes\t%lld\n", (long long)(e.matrix_rows * t->table.npy.width * 4 + NPY_HEADER));
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

/* After a dry run, prints what was counted unless count receives it. */
int annotate_run(annotate_args_t *a, const text_t *command, work_t *count)
{
    annotate_t t = { .a = a, .command = command };
    cad_error_t err = { "" };
    int rc;
    t.run.o = &a->o;
    t.run.set = &a->set;
    t.run.notes = (notes_t) { .cmd = a->o.cmd, .quiet = a->o.quiet || count };
    rc = run(&t, &err);
    rc = run_report(&t.run, rc, &err);
    if (rc == 0 && a->dry_run && !count) report_dry_run(&t);
    if (count) *count = t.run.stream.pipe.work;
    close_all(&t);
    return rc;
}
