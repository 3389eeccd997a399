/* predict_bases.c - predicts a class of each base, or values of bins, of contigs or regions. Windows are cut as in
 * caduceus track: their cores begin at multiples of the core's length in the contig, so a base's result does not depend
 * on the regions.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "io/bigwig.h"
#include "io/regions.h"
#include "io/signals.h"
#include "stream/tiles.h"
#include "train/bases.h"
#include "train/predict_bases.h"

typedef enum { AS_BED, AS_GRAPH, AS_BIGWIG } form_t;

typedef struct { /* one output: of all classes (BED), or of one class */
    int64_t class;
    char *path;
    output_t *out, *json; /* json: of a shard */
    bigwig_t *bigwig;
    interval_t run; /* the run of bases that is not written yet */
    double value;   /* its class, probability (three decimals) or value (six digits) */
    double raw;     /* the value before it was rounded */
    double sum;     /* BED: sum of the probabilities of its bases */
} sheet_t;

typedef struct {
    const predict_bases_t *a;
    form_t form;
    fasta_t ref;
    bool opened; /* the reference is open */
    regions_t *only;
    cad_context_t *ctx;
    tiling_t tiling;
    sheet_t *sheet; // (n)
    int n, contig;
    provenance_t provenance;
    text_t options, text;
    shard_t shard;
    bool counting;     /* only counts the tokens of all windows */
    int64_t at, begin; /* tokens of the windows before the next one, and before the contig */
    char work[64], share[48];
    /* A batch of windows: */
    cad_window_t *window; // (room)
    interval_t *core;     // (room) in the contig
    int room, count;
    int64_t tokens, bases, all, done;
    double *p; // (K)
} run_t;

/* ---- outputs ---- */

/* True if the outputs are values, not classes. */
static bool is_values(const run_t *r) { return prediction_is_number(r->a->head); }

/* True if class k is that of bases in no labelled interval. */
static bool is_background(const run_t *r, int64_t k)
{
    return !is_values(r) && k == 0 && !strcmp(r->a->head->name[0], BACKGROUND);
}

static int form_of(run_t *r, cad_error_t *err)
{
    const char *p = r->a->output;
    bool gz = output_is_gz(p), bed = !is_values(r) && (!strcmp(p, "-") || ends_in(p, gz ? ".bed.gz" : ".bed"));
    if (ends_in(p, ".bw") || ends_in(p, ".bigWig")) r->form = AS_BIGWIG;
    else if (ends_in(p, gz ? ".bedGraph.gz" : ".bedGraph") || ends_in(p, gz ? ".bg.gz" : ".bg")) r->form = AS_GRAPH;
    else if (bed) r->form = AS_BED;
    else if (is_values(r))
        return cad_fail(err, CAD_EARG, "%s: values of bins are written as .bw or .bedGraph; use -o", p);
    else return cad_fail(err, CAD_EARG, "%s: classes of bases are written as .bed, .bedGraph or .bw", p);
    return 0;
}

/* Returns the name of a class's file: its name goes before the suffix. A slash in the name becomes an underscore. */
static char *path_of(const run_t *r, int64_t k)
{
    const char *p = r->a->output, *dot = p + strlen(p) - (output_is_gz(p) ? 3 : 0);
    text_t t = { 0 };
    while (dot > p && *--dot != '.') {}
    text_put(&t, p, (size_t)(dot - p));
    text_printf(&t, ".%s%s", r->a->head->name[k], dot);
    for (size_t i = (size_t)(dot - p); !t.failed && i < t.s.l; i++)
        if (t.s.s[i] == '/' || t.s.s[i] == ' ') t.s.s[i] = '_';
    return t.failed ? NULL : t.s.s;
}

static int list_sheets(run_t *r, cad_error_t *err)
{
    const cad_head_t *h = r->a->head;
    ledger_t files = { 0 };
    int rc = 0;
    r->sheet = calloc((size_t)h->n, sizeof *r->sheet);
    if (!r->sheet) return cad_out_of_memory(err);
    ledger_input(&files, r->a->in);
    ledger_reference(&files, r->a->l->reference);
    options_input_model(r->a->o, &files);
    for (int64_t k = 0; k < h->n && rc == 0; k++) {
        sheet_t *s = &r->sheet[r->n];
        if (r->form == AS_BED ? k > 0 : is_background(r, k)) continue;
        s->class = k;
        s->path = r->form == AS_BED ? strdup(r->a->output) : path_of(r, k);
        r->n++;
        rc = s->path ? ledger_output(&files, s->path, err) : cad_out_of_memory(err);
        if (rc == 0) rc = output_open(&s->out, s->path, output_is_gz(s->path), err);
        if (rc == 0 && r->shard.of && !output_is_file(s->out))
            rc = cad_fail(err, CAD_EARG, "%s: --shard writes to files only", s->path);
        if (rc == 0 && r->shard.of) rc = output_beside(&s->json, s->path, ".json", err);
    }
    ledger_free(&files);
    return rc;
}

static int begin_sheet(run_t *r, sheet_t *s, cad_error_t *err)
{
    if (r->form == AS_BIGWIG) return bigwig_open(&s->bigwig, s->out, r->ref.contig, r->ref.ncontig, err);
    text_clear(&r->text);
    if (!r->a->l->no_version) provenance_header(&r->provenance, &r->text);
    if (r->form == AS_BED && !r->a->l->no_version) text_puts(&r->text, "#chrom\tstart\tend\tclass\tscore\n");
    return text_write(s->out, &r->text, err);
}

/* Writes the run of a sheet. The score of a BED is 1000 times the mean probability of the class. */
static int put_run(run_t *r, sheet_t *s, cad_error_t *err)
{
    const char *contig = r->ref.contig[r->contig].name;
    double n = (double)(s->run.end - s->run.beg);
    if (s->run.beg == s->run.end) return 0;
    text_clear(&r->text);
    text_printf(&r->text, "%s\t%lld\t%lld\t", contig, (long long)s->run.beg, (long long)s->run.end);
    if (r->form == AS_BED)
        text_printf(&r->text, "%s\t%d\n", r->a->head->name[(int)s->value], (int)rint(1000 * s->sum / n));
    else text_printf(&r->text, is_values(r) ? "%.6g\n" : "%.3f\n", s->value);
    s->run.beg = s->run.end;
    if (r->form == AS_BED && is_background(r, (int64_t)s->value)) return 0;
    return text_write(s->out, &r->text, err);
}

/* Returns the value as it is written: a BED's class, a probability with three decimals, a bedGraph's value with six
 * digits. Runs of equal values then do not depend on where shards end. */
static double value_of(const run_t *r, const sheet_t *s)
{
    double raw = r->p[s->class];
    char text[32];
    if (r->form == AS_BED) return (double)prediction_class(r->p, r->a->head->n);
    if (!is_values(r)) return rint(1000 * raw) / 1000;
    if (r->form == AS_BIGWIG) return raw;
    if (fabs(s->raw - raw) <= 0) return s->value;
    snprintf(text, sizeof text, "%.6g", raw);
    return strtod(text, NULL);
}

static int put_base(run_t *r, sheet_t *s, int64_t pos, cad_error_t *err)
{
    double value = value_of(r, s);
    int rc = 0;
    if (!isfinite((float)value))
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: the model overflows: %s is not finite",
                        r->ref.contig[r->contig].name, (long long)pos + 1, r->a->head->name[s->class]);
    if (r->form == AS_BIGWIG) return bigwig_add(s->bigwig, r->contig, pos, (float)value, err);
    if (s->run.end != pos || fabs(s->value - value) > 0) {
        rc = put_run(r, s, err);
        s->run.beg = pos;
        s->value = value;
        s->sum = 0;
    }
    s->raw = r->p[s->class];
    s->run.end = pos + 1;
    if (r->form == AS_BED) s->sum += r->p[(int)value];
    return rc;
}

/* ---- windows ---- */

/* True if the next window belongs to this shard. The score of a run in a BED needs all of its bases, so shards of a BED
 * are whole contigs. */
static bool is_ours(const run_t *r) { return shard_has(&r->shard, r->form == AS_BED ? r->begin : r->at); }

static int put_window(run_t *r, int i, cad_error_t *err)
{
    const cad_window_t *w = &r->window[i];
    const char *name = r->ref.contig[r->contig].name;
    interval_t span;
    int rc = 0;
    for (int k = 0; rc == 0 && regions_get(r->only, name, k, &span); k++)
        for (int64_t p = cad_max(span.beg, r->core[i].beg); p < cad_min(span.end, r->core[i].end) && rc == 0; p++) {
            int64_t at = p - r->core[i].beg;
            if (cad_token_base(r->a->model, w->tokens[w->core_beg + at]) < 0) continue;
            prediction_of(r->a->head, w->embedding + at / r->a->head->bin * r->a->head->n, r->p);
            for (int s = 0; s < r->n && rc == 0; s++) rc = put_base(r, &r->sheet[s], p, err);
        }
    return rc;
}

static int flush(run_t *r, cad_error_t *err)
{
    int rc = r->count ? cad_classify_bins(r->ctx, r->window, r->count, err) : 0;
    for (int i = 0; i < r->count; i++) {
        if (rc == 0) rc = put_window(r, i, err);
        r->done += r->core[i].end - r->core[i].beg;
        free((void *)r->window[i].tokens);
        free(r->window[i].embedding);
    }
    r->count = 0;
    r->tokens = 0;
    progress_tick(r->a->progress);
    return rc;
}

static int more_room(run_t *r, cad_error_t *err)
{
    int room = r->room ? 2 * r->room : 64;
    cad_window_t *w = realloc(r->window, (size_t)room * sizeof *w);
    interval_t *c;
    if (!w) return cad_out_of_memory(err);
    r->window = w;
    c = realloc(r->core, (size_t)room * sizeof *c);
    if (!c) return cad_out_of_memory(err);
    r->core = c;
    r->room = room;
    return 0;
}

static int read_window(run_t *r, interval_t core, interval_t window, cad_error_t *err)
{
    const contig_t *c = &r->ref.contig[r->contig];
    int64_t n = window.end - window.beg, K = r->a->head->n, odd = 0;
    char *seq = malloc((size_t)n + 1);
    uint8_t *tokens = malloc((size_t)n);
    float *out = cad_alloc((size_t)((core.end - core.beg + r->a->head->bin - 1) / r->a->head->bin),
                           (size_t)K * sizeof *out);
    int rc = r->count == r->room ? more_room(r, err) : 0;
    if (rc == 0 && (!seq || !tokens || !out)) rc = cad_out_of_memory(err);
    if (rc == 0) rc = fasta_fetch(&r->ref, c, window.beg, window.end, seq, err);
    if (rc) {
        free(tokens);
        free(out);
    } else {
        odd = cad_encode(r->a->model, seq, n, 0, tokens);
        note(r->a->notes, NOTE_IUPAC, odd, "%s: letters other than A, C, G, T and N; they are read as N", c->name);
        r->core[r->count] = core;
        r->window[r->count++] = (cad_window_t) { .tokens = tokens,
                                                 .len = n,
                                                 .core_beg = core.beg - window.beg,
                                                 .core_end = core.end - window.beg,
                                                 .embedding = out };
        r->tokens += n;
    }
    free(seq);
    return rc;
}

static int add_core(run_t *r, interval_t core, cad_error_t *err)
{
    int64_t length = r->ref.contig[r->contig].length;
    interval_t window = { cad_max(0, core.beg - r->tiling.flank), cad_min(length, core.end + r->tiling.flank) };
    bool ours = !r->counting && is_ours(r);
    r->at += window.end - window.beg;
    return ours ? read_window(r, core, window, err) : 0;
}

static int predict_contig(run_t *r, cad_error_t *err)
{
    const contig_t *c = &r->ref.contig[r->contig];
    int64_t C = r->tiling.core, next = 0;
    interval_t span;
    int rc = 0;
    r->begin = r->at;
    for (int i = 0; rc == 0 && regions_get(r->only, c->name, i, &span); i++)
        for (int64_t k = cad_max(next, span.beg / C); k * C < cad_min(span.end, c->length) && rc == 0; k++) {
            rc = add_core(r, (interval_t) { k * C, cad_min((k + 1) * C, c->length) }, err);
            next = k + 1;
            if (rc == 0 && r->tokens >= options_batch(r->a->o)) rc = flush(r, err);
        }
    if (rc == 0) rc = flush(r, err);
    for (int s = 0; s < r->n && rc == 0 && r->form != AS_BIGWIG; s++) rc = put_run(r, &r->sheet[s], err);
    for (int s = 0; s < r->n; s++) {
        r->sheet[s].run = (interval_t) { 0, 0 };
        r->sheet[s].sum = 0;
    }
    return rc;
}

/* ---- opening ---- */

/* Opens the reference and the regions: those of the BED `in` on -T or, without -T, all contigs of the FASTA `in`. */
static int open_regions(run_t *r, cad_error_t *err)
{
    const char *reference = r->a->l->reference ? r->a->l->reference : r->a->in;
    names_t names = { &r->ref, fasta_has, reference, &r->ref, false, false };
    int rc = fasta_open(&r->ref, reference, r->a->notes, err);
    r->opened = rc == 0;
    if (rc == 0) rc = regions_new(&r->only, err);
    if (rc == 0 && r->a->l->reference) rc = regions_add_bed(r->only, r->a->in, &names, err);
    for (int i = 0; i < r->ref.ncontig && rc == 0 && !r->a->l->reference; i++)
        rc = regions_add_span(r->only, r->ref.contig[i].name, (interval_t) { 0, r->ref.contig[i].length }, err);
    if (rc) return rc;
    regions_finish(r->only);
    for (int i = 0; i < r->ref.ncontig; i++) {
        interval_t s;
        for (int k = 0; regions_get(r->only, r->ref.contig[i].name, k, &s); k++) {
            if (s.end > r->ref.contig[i].length)
                return cad_fail(err, CAD_EFORMAT,
                                "%s: a region ends at %lld, past the end of %s (%lld bases); correct it", r->a->in,
                                (long long)s.end, r->ref.contig[i].name, (long long)r->ref.contig[i].length);
            r->all += s.end - s.beg;
        }
    }
    return 0;
}

static int open_engine(run_t *r, cad_error_t *err)
{
    const cad_head_t *h = r->a->head;
    int64_t most = cad_model_number(r->a->model, CAD_MAX_LEN),
            window = r->a->l->window ? r->a->l->window : cad_min(most, cad_max(h->longest, 1024));
    int rc = tiling_set(&r->tiling, window, -1, err);
    r->tiling.core -= r->tiling.core % h->bin;
    if (rc == 0 && r->tiling.core == 0)
        rc = cad_fail(err, CAD_EARG, "--window %lld: too short for a bin of %lld bases and flanks of %lld",
                      (long long)window, (long long)h->bin, (long long)r->tiling.flank);
    if (rc == 0) rc = options_open_last(r->a->o, r->a->model, window, 0, false, &r->ctx, err);
    r->p = cad_alloc((size_t)h->n, sizeof *r->p);
    if (rc == 0 && !r->p) rc = cad_out_of_memory(err);
    if (rc) return rc;
    text_printf(&r->options, "predict %s window=%lld flank=%lld", is_values(r) ? "tracks" : "bases", (long long)window,
                (long long)r->tiling.flank);
    options_provenance(&r->provenance, r->a->model, r->ctx, r->ref.checksum, &r->options);
    return 0;
}

static void look(const void *run, progress_state_t *now)
{
    const run_t *r = run;
    now->items = r->done;
    now->tokens = cad_context_done(r->ctx);
    if (r->all) now->share = fmin(1, (double)r->done * fmax(1, (double)r->shard.of) / (double)r->all);
}

/* ---- shards ---- */

/* Sets the tokens of all windows, and a digest of the regions and the form of the output. */
static int count_work(run_t *r, cad_error_t *err)
{
    uint64_t d = cad_hash_word(CAD_HASH, r->form);
    interval_t s;
    int rc = 0;
    if (!r->shard.of) return 0;
    r->counting = true;
    for (r->contig = 0; r->contig < r->ref.ncontig && rc == 0; r->contig++) {
        for (int k = 0; regions_get(r->only, r->ref.contig[r->contig].name, k, &s); k++)
            d = cad_hash_word(cad_hash_word(cad_hash_word(d, (uint64_t)r->contig), (uint64_t)s.beg), (uint64_t)s.end);
        rc = predict_contig(r, err);
    }
    r->shard.total = r->at;
    r->shard.digest = d;
    r->counting = false;
    r->contig = 0;
    r->at = 0;
    shard_provenance(&r->provenance, &r->shard, r->work, r->share);
    return rc;
}

/* Returns the provenance of a part: merge joins runs of equal values if it has the key "track". */
static provenance_t part_of(const run_t *r, const sheet_t *s)
{
    provenance_t p = r->provenance;
    if (r->form != AS_BED) provenance_add(&p, "track", r->a->head->name[s->class]);
    return p;
}

/* Checks that no output is the complete part of another shard. Sets *done if an earlier run has written all of them. */
static int check_parts(const run_t *r, bool *done, cad_error_t *err)
{
    int rc = r->shard.of ? part_neighbours(r->sheet[0].path, &r->provenance, &r->shard, err) : 0;
    *done = r->shard.of > 0;
    for (int i = 0; i < r->n && rc == 0 && r->shard.of; i++) {
        provenance_t p = part_of(r, &r->sheet[i]);
        rc = part_free(r->sheet[i].path, &p, err);
        if (rc == 0 && *done) *done = options_part_done(r->a->o, r->sheet[i].path, &p);
    }
    return rc;
}

static int close_part(run_t *r, sheet_t *s, cad_error_t *err)
{
    provenance_t p = part_of(r, s);
    output_t **out[] = { &s->out, &s->json };
    int rc = output_sync(s->out, err);
    if (rc == 0) rc = part_write(&p, s->json, s->out, err);
    if (rc == 0) rc = output_sync(s->json, err);
    return rc ? rc : outputs_close(out, 2, err);
}

/* ---- the whole run ---- */

static int close_sheets(run_t *r, cad_error_t *err)
{
    output_t ***out = calloc((size_t)r->n, sizeof *out);
    int rc = out ? 0 : cad_out_of_memory(err);
    for (int i = 0; i < r->n && rc == 0; i++) {
        out[i] = &r->sheet[i].out;
        if (r->form == AS_BIGWIG) rc = bigwig_finish(r->sheet[i].bigwig, err);
    }
    if (rc == 0 && !r->shard.of) rc = outputs_close(out, r->n, err);
    signals_hold(); /* so that a fatal signal cannot end the process between two renames */
    for (int i = 0; i < r->n && rc == 0 && r->shard.of; i++) rc = close_part(r, &r->sheet[i], err);
    signals_release();
    free(out);
    return rc;
}

static void free_all(run_t *r)
{
    for (int i = 0; i < r->n; i++) {
        output_abort(r->sheet[i].out);
        output_abort(r->sheet[i].json);
        bigwig_free(r->sheet[i].bigwig);
        free(r->sheet[i].path);
    }
    for (int i = 0; i < r->count; i++) {
        free((void *)r->window[i].tokens);
        free(r->window[i].embedding);
    }
    free(r->sheet);
    free(r->window);
    free(r->core);
    free(r->p);
    text_free(&r->options);
    text_free(&r->text);
    regions_free(r->only);
    cad_context_close(r->ctx);
    if (r->opened) fasta_close(&r->ref);
}

static int predict_all(run_t *r, cad_error_t *err)
{
    const predict_bases_t *a = r->a;
    int rc = 0;
    for (int i = 0; i < r->n && rc == 0; i++) rc = begin_sheet(r, &r->sheet[i], err);
    progress_open(a->progress, "predict", a->o->progress, a->o->quiet, a->output);
    if (rc == 0) progress_begin(a->progress, "bases", look, r);
    for (; r->contig < r->ref.ncontig && rc == 0; r->contig++) rc = predict_contig(r, err);
    if (rc == 0) rc = close_sheets(r, err);
    progress_end(a->progress, rc == 0);
    *a->progress = (progress_t) { 0 }; /* it refers to r */
    return rc;
}

int predict_bases(const predict_bases_t *a, cad_error_t *err)
{
    run_t r = { .a = a, .shard = a->shard };
    bool done = false;
    int rc = form_of(&r, err);
    if (rc == 0) rc = open_regions(&r, err);
    if (rc == 0) rc = list_sheets(&r, err);
    if (rc == 0) rc = open_engine(&r, err);
    if (rc == 0) rc = count_work(&r, err);
    if (rc == 0) rc = check_parts(&r, &done, err);
    if (rc == 0 && !done) rc = predict_all(&r, err);
    free_all(&r);
    return rc;
}
