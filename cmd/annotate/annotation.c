/* annotation.c - one run of annotate: its source, windows and sink put together.
 * SPDX-License-Identifier: MIT */

#include "stream/rows.h"
#include "io/shard.h"
#include "annotate/annotate.h"

typedef struct {
    annotate_args_t *a;
    notes_t notes;
    cad_model_t *model;
    cad_context_t *ctx;
    fasta_t ref;
    input_t in;
    regions_t *only, *targets;
    tiling_t tiling;
    const text_t *command;       /* as @PG has it */
    text_t options, description; /* as provenance and @PG have them */
    provenance_t provenance;
    char work[64], shard[48]; /* of provenance */
    pipeline_t pipe;
    cutter_t cutter;
    table_t table; /* regions */
    reads_t reads;
    variants_t variants;
    records_out_t records; /* of reads or variants */
    htsThreadPool pool;
    progress_t progress;
} annotate_t;

/* ---- provenance ---- */

static void put_scores(const annotate_t *t, text_t *s)
{
    const annotate_args_t *a = t->a;
    const char *sep = "score=";
    if (t->in.kind < INPUT_READS) {
        text_puts(s, sep);
        scores_names(&a->scores, ",", "", s);
        if (!a->scores.n) text_puts(s, "none");
    }
    for (int i = 0; i < 3 && t->in.kind == INPUT_READS; i++)
        if (a->reads.want[READ_TAG[i]]) {
            text_printf(s, "%s%s", sep, READ_SCORE[i]);
            sep = ",";
        }
    for (info_t f = 0; f < FIELD_NOTE && t->in.kind == INPUT_VARIANTS; f++)
        if (a->variants.want[f]) {
            text_printf(s, "%s%s", sep, VARIANT_SCORE[f]);
            sep = ",";
        }
    if (t->in.kind == INPUT_READS && *sep == 's') text_puts(s, "score=none");
}

/* Result-changing options, in one order; never threads, paths or time. */
static void put_options(annotate_t *t)
{
    const annotate_args_t *a = t->a;
    text_t *s = &t->options;
    if (a->matrix)
        text_puts(s, t->in.kind != INPUT_VARIANTS ? "embed"
                     : a->variants.difference     ? "embed=alt-ref"
                                                  : "embed=ref,alt");
    else put_scores(t, s);
    if (!a->matrix) option_mask_text(a->mask, s);
    if (t->in.kind == INPUT_VARIANTS) {
        text_printf(s, " window=%lld left=%lld right=%lld", (long long)t->variants.context.window,
                    (long long)t->variants.context.left, (long long)t->variants.context.right);
        if (a->matrix || a->variants.want[FIELD_DIST] || a->variants.want[FIELD_COS])
            text_printf(s, " pool-window=%lld", (long long)a->variants.pool_window);
    } else text_printf(s, " window=%lld flank=%lld", (long long)t->tiling.window, (long long)t->tiling.flank);
    if (a->pooling) text_printf(s, " pool=%s", POOL_NAME[a->pooling]);
    if (a->split) text_puts(s, " split");
    if (a->clip) text_puts(s, " clip");
    if (a->grid) text_puts(s, " grid");
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
    const annotate_args_t *a = t->a;
    put_options(t);
    options_provenance(p, t->model, t->ctx,
                       a->reference && (t->in.kind != INPUT_READS || a->reads.context_ref) ? t->ref.checksum : NULL,
                       &t->options);
    shard_provenance(p, &a->shard, t->work, t->shard);
    for (int i = 1; i < p->n; i++)
        if (!provenance_of_part(p->key[i]))
            text_printf(&t->description, "%s%s: %s", i > 1 ? "; " : "", p->key[i], p->value[i]);
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
    const annotate_args_t *a = t->a;
    names_t names = { &t->ref, fasta_has, t->ref.path, &t->ref, false, false };
    const names_t *known = t->in.kind == INPUT_BED || t->in.kind >= INPUT_READS ? &names : NULL;
    int rc;
    if (t->in.kind == INPUT_READS) names = (names_t) { &t->reads, reads_has_contig, t->in.path, NULL, false, false };
    if (t->in.kind == INPUT_VARIANTS)
        names = (names_t) { &t->variants, variants_has_contig, t->in.path, NULL, false, true };
    names.some = true; /* panels list contigs that an input may lack */
    rc = limits_open(&a->limits, "rR", &t->only, known, err);
    return rc ? rc : limits_open(&a->limits, "tL", &t->targets, known, err);
}

static int open_inputs(annotate_t *t, cad_error_t *err)
{
    annotate_args_t *a = t->a;
    int rc = input_open(&t->in, a->in, a->in_format, err);
    if (rc == 0) rc = annotate_check(a, &t->in, err);
    for (int i = 0; i < a->limits.n && rc == 0; i++)
        if (a->limits.limit[i].how == 'L' && !strcmp(a->limits.limit[i].text, "-") && !strcmp(a->in, "-"))
            rc = cad_fail(err, CAD_EARG, "the input and -L are both standard input");
    if (rc || t->in.kind < INPUT_READS) return rc;
    rc = records_pool(&t->pool, a->o.threads, err);
    t->reads.in = t->variants.in = &t->in;
    t->reads.o = &a->reads;
    t->variants.o = &a->variants;
    if (rc == 0)
        rc = t->in.kind == INPUT_READS ? reads_open(&t->reads, a->reference, err) : variants_open(&t->variants, err);
    return rc;
}

/* Checks n outputs (NULL: none) against all inputs, their indexes and each other. */
static int name_files(const annotate_args_t *a, const char *const out[], int n, cad_error_t *err)
{
    static const char *const in[] = { "", ".bai", ".csi", ".tbi", ".crai", NULL };
    ledger_t files = { 0 };
    int rc = 0;
    ledger_inputs(&files, a->in, in);
    options_inputs(&a->o, a->reference, a->aliases, &a->limits, &files);
    for (int k = 0; k < n && rc == 0; k++) rc = ledger_output(&files, out[k], err);
    ledger_free(&files);
    return rc;
}

static int open_table(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    bool file = a->embed && !embed_column(a);
    char *json = file ? suffixed(a->embed, ".json") : NULL;
    const char *out[] = { a->output, file ? a->embed : NULL, json };
    int rc = file && !json ? cad_fail(err, CAD_ENOMEM, "out of memory") : name_files(a, out, 3, err);
    if (rc == 0 && !a->dry_run) {
        rc = output_open(&t->table.out, a->output, output_is_gz(a->output), err);
        if (rc == 0 && file)
            rc = output_open(embed_several(a) ? &t->table.npz.out : &t->table.npy.out, a->embed, false, err);
        if (rc == 0 && file && output_is_file(embed_several(a) ? t->table.npz.out : t->table.npy.out))
            rc = output_open(&t->table.json, json, false, err);
        if (rc == 0 && a->shard.of && !output_is_file(t->table.out))
            rc = cad_fail(err, CAD_EARG, "%s: --shard writes to files only", a->output);
        if (rc == 0 && a->shard.of) rc = output_beside(&t->table.part, a->output, ".json", err);
    }
    free(json);
    return rc;
}

static int open_records(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    records_out_t *r = &t->records;
    bool reads = t->in.kind == INPUT_READS;
    int rc = 0;
    r->path = a->output;
    r->index = a->index;
    r->embed = reads && !a->reference && t->reads.fp->format.format == cram;
    t->reads.out = t->variants.out = r;
    for (int i = 0; i < a->nformat_option && rc == 0; i++)
        if (hts_opt_add((hts_opt **)&r->format.hts.specific, a->format_option[i]))
            rc = cad_fail(err, CAD_EARG, "--output-fmt-option %s: not an option that htslib knows",
                          a->format_option[i]);
    if (rc == 0)
        rc = format_choose(&r->format, reads, a->format, a->output,
                           reads ? &t->reads.fp->format : &t->variants.fp->format, err);
    if (rc == 0) rc = records_plan(r, err);
    if (rc == 0) rc = name_files(a, (const char *[]) { a->output, r->index_path }, 2, err);
    if (rc == 0 && !a->dry_run) rc = records_create(r, err);
    if (rc == 0 && a->shard.of && r->out && !output_is_file(r->out))
        rc = cad_fail(err, CAD_EARG, "%s: --shard writes to files only", a->output);
    return rc || a->dry_run || !a->shard.of ? rc : output_beside(&r->part, a->output, ".json", err);
}

/* Rows of text rather than records. */
static bool takes_table(const annotate_t *t)
{
    return t->in.kind < INPUT_READS || (t->in.kind == INPUT_VARIANTS && t->a->matrix);
}

/* Outputs are opened before the model is loaded, so that a wrong path costs nothing. */
static int open_outputs(annotate_t *t, cad_error_t *err)
{
    return takes_table(t) ? open_table(t, err) : open_records(t, err);
}

static int check_model(const annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    bool scores = t->in.kind == INPUT_VARIANTS ? a->variants.want[FIELD_LLR] || a->variants.want[FIELD_DPLL]
                                               : t->cutter.want_scores;
    if (a->sep && cad_model_number(t->model, CAD_TOKEN_SEP) < 0)
        return cad_fail(err, CAD_EARG, "--sep: the model's vocabulary has no [SEP]");
    if (a->n_token && cad_model_number(t->model, CAD_TOKEN_N) < 0)
        return cad_fail(err, CAD_EARG, "--n-token: the model's vocabulary has no N");
    if (cad_model_number(t->model, CAD_LABELS) && scores)
        return cad_fail(err, CAD_EARG, "the model is a classifier without a language-model head; %s",
                        t->in.kind == INPUT_VARIANTS ? "use --score dist,cos" : "use --score none --embed FILE");
    return 0;
}

static encoding_t encoding_of(annotate_t *t)
{
    const annotate_args_t *a = t->a;
    return (encoding_t) { .model = t->model,
                          .flags = a->n_token ? CAD_N_AS_TOKEN : 0,
                          .sep = a->sep,
                          .skip_soft = a->skip_soft,
                          .notes = &t->notes };
}

static int open_regions(annotate_t *t, int64_t window, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    bool reads = t->in.kind == INPUT_READS;
    encoding_t e = encoding_of(t);
    t->table.scores = a->scores;
    t->table.column = embed_column(a);
    t->table.rows_are = embed_several(a)          ? "an array for each region, its bases in order"
                        : a->pooling == POOL_ROWS ? "bases of the regions, in order"
                                                  : "regions, in order";
    t->table.provenance = &t->provenance;
    t->table.cutter = t->reads.cutter = &t->cutter;
    t->cutter = (cutter_t) { .ref = &t->ref,
                             .tiling = &t->tiling,
                             .mask = a->mask,
                             .pooling = a->pooling,
                             .rows = table_rows,
                             .rows_arg = &t->table,
                             .pipe = &t->pipe,
                             .want_bases = a->reads.want[TAG_BASES],
                             .want_scores = reads ? a->reads.want[TAG_PLL] || a->reads.want[TAG_N] ||
                                                        a->reads.want[TAG_BASES]
                                                  : a->scores.n > 0 };
    cutter_init(&t->cutter, &e);
    t->tiling.grid = a->grid;
    return tiling_set(&t->tiling, window, a->flank, err);
}

static int open_variants(annotate_t *t, int64_t window, int64_t *longest, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    variants_t *v = &t->variants;
    v->ref = &t->ref;
    v->encoding = encoding_of(t);
    v->width = cad_model_number(t->model, CAD_D_MODEL);
    bases_init(&v->bases, t->model);
    v->mask = a->mask;
    v->notes = &t->notes;
    v->pipe = &t->pipe;
    v->out = &t->records;
    v->table = &t->table;
    t->table.provenance = &t->provenance;
    t->table.rows_are = a->variants.difference ? "ALT alleles, in order: ALT less REF"
                                               : "ALT alleles, in order: REF, then ALT";
    return context_set(&v->context, window, a->flank, a->anchor, longest, err);
}

static int open_engine(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    int64_t model = cad_model_number(t->model, CAD_MAX_LEN),
            window = a->window ? a->window
                     : a->grid ? cad_min(model, TRACK_WINDOW)
                               : model,
            longest = window;
    bool variants = t->in.kind == INPUT_VARIANTS, reads = t->in.kind == INPUT_READS;
    int rc = variants ? open_variants(t, window, &longest, err) : open_regions(t, window, err);
    if (rc == 0) rc = check_model(t, err);
    if (rc == 0) rc = options_open_context(&a->o, t->model, longest + a->sep, &t->ctx, err);
    if (rc) return rc;
    set_provenance(t);
    t->pipe = (pipeline_t) { .shard = a->shard,
                             .model = t->model,
                             .ctx = a->dry_run ? NULL : t->ctx,
                             .mask = a->mask,
                             .pool = pooling_of(a->pooling),
                             .take = reads      ? reads_take
                                     : variants ? variants_take
                                                : table_take,
                             .sink = reads      ? reads_sink
                                     : variants ? variants_sink
                                                : table_sink,
                             .drop = reads      ? reads_drop
                                     : variants ? variants_drop
                                                : table_drop,
                             .arg = reads      ? (void *)&t->reads
                                    : variants ? (void *)&t->variants
                                               : &t->table,
                             .tick = progress_tick,
                             .tick_arg = &t->progress,
                             .batch_tokens = options_batch(&a->o) };
    t->progress.share = share_read;
    t->progress.share_arg = t;
    progress_begin(&t->progress, &a->o, &t->pipe.work,
                   reads      ? &t->reads.records
                   : variants ? &t->variants.records
                              : &t->table.rows,
                   "rows");
    return takes_table(t)
               ? table_begin(&t->table,
                             cad_model_number(t->model, CAD_D_MODEL) * (variants && !a->variants.difference ? 2 : 1),
                             err)
               : 0;
}

/* ---- dry run ---- */

static void report_dry_run(annotate_t *t)
{
    const annotate_args_t *a = t->a;
    int64_t D = cad_model_number(t->model, CAD_D_MODEL), rows = t->table.rows + t->reads.records + t->variants.records,
            bytes;
    report_work(&t->pipe.work, t->ctx, t->model, a->o.threads, "rows", rows);
    bytes = t->table.bytes + t->table.rows * (8 * a->scores.n + (embed_column(a) ? 10 * D : 0)) +
            (a->matrix ? 0 : t->variants.bytes + t->variants.alleles * 16) + t->reads.bytes +
            t->reads.scored * (14 + (a->embed ? 4 * D : 0)) + (a->reads.want[TAG_BASES] ? 4 * t->reads.bases : 0);
    printf("output_bytes\t%lld\n", (long long)bytes); /* uncompressed */
    if (a->embed && !embed_column(a))
        printf("embedding_bytes\t%lld\n",
               (long long)((a->pooling == POOL_ROWS ? t->table.bases : t->table.rows + t->variants.alleles) *
                               t->table.npy.width * 4 +
                           NPY_HEADER));
}

/* ---- running ---- */

static int run_rows(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
    rows_t rows = { .in = &t->in,
                    .ref = &t->ref,
                    .clip = a->clip,
                    .split = a->split,
                    .drop_browser = output_is_gz(a->output),
                    .only = t->only,
                    .targets = t->targets,
                    .cutter = &t->cutter,
                    .table = &t->table };
    return rows_run(&rows, err);
}

/* Names of a matrix' rows for variants: the header. */
static int name_columns(annotate_t *t, cad_error_t *err)
{
    text_t s = { 0 };
    int rc;
    provenance_header(&t->provenance, &s);
    text_puts(&s, "#chrom\tpos\tref\talt\tnote");
    rc = s.failed ? cad_fail(err, CAD_ENOMEM, "out of memory") : table_pass(&t->table, s.s.s, s.s.l, err);
    text_free(&s);
    return rc;
}

static int run_kind(annotate_t *t, cad_error_t *err)
{
    int rc = t->a->matrix && t->in.kind == INPUT_VARIANTS ? name_columns(t, err) : 0;
    if (rc) return rc;
    t->reads.only = t->variants.only = t->only;
    t->reads.targets = t->variants.targets = t->targets;
    if (t->options.failed || t->command->failed || t->description.failed)
        return cad_fail(err, CAD_ENOMEM, "out of memory");
    if (t->in.kind == INPUT_READS)
        return reads_run(&t->reads, t->a->reference, &t->pool, t->command->s.s, t->description.s.s, err);
    if (t->in.kind == INPUT_VARIANTS) return variants_run(&t->variants, &t->provenance, &t->pool, err);
    return run_rows(t, err);
}

static int run(annotate_t *t, cad_error_t *err)
{
    const annotate_args_t *a = t->a;
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
    if (rc == 0 && a->shard.of && (!a->embed || embed_column(a) || part_whole(a->embed)) &&
        options_part_done(&a->o, a->output, &t->provenance))
        return 0;
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
int annotate_run(annotate_args_t *a, const text_t *command, work_t *count)
{
    annotate_t t = { .a = a, .command = command, .notes = { .cmd = a->o.cmd, .quiet = a->o.quiet || count } };
    cad_error_t err = { "" };
    int rc = run(&t, &err);
    progress_end(&t.progress);
    if (rc && err.text[0]) cmd_fail(a->o.cmd, "%s", err.text);
    if (rc == 0) notes_summary(&t.notes);
    if (rc == 0 && a->dry_run && !count) report_dry_run(&t);
    if (count) *count = t.pipe.work;
    close_all(&t);
    return rc != 0;
}
