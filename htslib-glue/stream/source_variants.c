/* source_variants.c - the source of VCF and BCF. Records are read in order or through an index, and get INFO fields for
 * their ALT alleles. SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <htslib/tbx.h>

#include "io/local.h"
#include "io/vcf_header.h"
#include "stream/haplotypes.h"

/* ---- reading ---- */

static int damaged(const variants_t *v, cad_error_t *err)
{
    char buf[4200];
    if (v->walk) return index_damage(&v->indexed, v->read, err);
    return cad_fail(err, CAD_EIO, "%s: damaged or cut short after this record; restore it", variant_place(v, buf));
}

/* Reads the next record of a file that is read from start to end. Returns 1, 0 at the end, or CAD_E*. */
static int next_streamed(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    int got;
    if (v->fp->format.format == bcf) {
        got = bcf_read(v->fp, v->header, rec);
        v->line += got >= 0;
        return got < -1 || (got >= 0 && rec->errcode) ? damaged(v, err) : got >= 0;
    }
    do {
        got = hts_getline(v->fp, '\n', &v->text_line);
        if (got < -1) return damaged(v, err);
        v->line = v->fp->lineno;
    } while (got == 0); /* blank lines are skipped */
    return got < 0 ? 0 : vcf_line_parse(v, rec, err);
}

/* Reads the next record of one span of -r. Returns 1, 0 at the end, or CAD_E*. */
static int next_in_span(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    int got = v->tabix ? tbx_itr_next(v->fp, v->tabix, v->walk, &v->text_line) : bcf_itr_next(v->fp, v->walk, rec);
    if (got < -1 || (got >= 0 && !v->tabix && rec->errcode)) return damaged(v, err);
    if (got == -1) return 0;
    return v->tabix ? vcf_line_parse(v, rec, err) : 1;
}

static bool wanted(const variants_t *v, const bcf1_t *rec)
{
    return !v->s->targets || regions_overlap(v->s->targets, bcf_seqname_safe(v->header, rec), cad_max(rec->pos, 0),
                                             cad_max(rec->pos, 0) + 1);
}

/* Prints a note if INFO/END is before POS; htslib then takes the length of REF as the record's length. */
static void check_end(const variants_t *v, bcf1_t *rec)
{
    int64_t *end = NULL;
    int n = 0;
    char buf[4200];
    if (!bcf_get_info(v->header, rec, "END")) return;
    if (bcf_get_info_int64(v->header, rec, "END", &end, &n) == 1 && *end != bcf_int64_missing && *end <= rec->pos)
        note(v->s->notes, NOTE_END, 1, "%s: END %lld lies before POS; the record is taken to end with its REF",
             variant_place(v, buf), (long long)*end);
    free(end);
}

/* Puts a record into the pipeline if it is chosen, or into the queue of those that make up haplotypes. */
static int put(variants_t *v, variant_t *d, bool chosen, cad_error_t *err)
{
    if (chosen) check_end(v, d->rec);
    if (v->haplotypes) return haplotypes_add(v, d, chosen, err);
    if (chosen) return variant_put(v, d, err);
    variant_drop(v, d);
    return 0;
}

/* True if the record overlaps the span. For haplotypes, records around the span are read too. */
static bool in_span(const variants_t *v, const bcf1_t *rec, interval_t span)
{
    return !v->haplotypes || (rec->pos < span.end && rec->pos + cad_max(1, rec->rlen) > span.beg);
}

/* Puts records into the pipeline: those that overlap the span, and do not begin before `from`, since the previous span
 * included those. Haplotypes are also made of the records around them. */
static int read_some(variants_t *v, int (*next)(variants_t *, bcf1_t *, cad_error_t *), interval_t span, int64_t from,
                     cad_error_t *err)
{
    int rc = 0;
    for (bool more = true; more && rc == 0;) {
        variant_t *d = variant_new(v);
        if (!d) return cad_out_of_memory(err);
        rc = next(v, d->rec, err);
        more = rc > 0;
        if (!more) variant_drop(v, d);
        else {
            bool after = d->rec->pos >= span.end;
            rc = put(v, d, in_span(v, d->rec, span) && d->rec->pos >= from && wanted(v, d->rec), err);
            more = !after || !haplotypes_idle(v->haplotypes);
        }
    }
    return rc == 0 && v->haplotypes ? haplotypes_flush(v, err) : rc;
}

static int load_index(variants_t *v, cad_error_t *err)
{
    char *local = local_path(v->s->in->path);
    int rc = local ? index_check(&v->indexed, v->s->notes, err) : cad_out_of_memory(err);
    if (rc == 0) {
        if (v->indexed.kind == INDEXED_BCF) v->index = bcf_index_load3(local, v->indexed.path, HTS_IDX_SILENT_FAIL);
        else v->tabix = tbx_index_load3(local, v->indexed.path, HTS_IDX_SILENT_FAIL);
        if (!v->index && !v->tabix) rc = index_misfit(&v->indexed, "htslib cannot load it", err);
    }
    free(local);
    return rc;
}

static int open_index(variants_t *v, cad_error_t *err)
{
    const char *path = v->s->in->path;
    bool binary = v->fp->format.format == bcf;
    int rc;
    if (!strcmp(path, "standard input"))
        return cad_fail(err, CAD_EARG, "-r, -R: standard input has no index; -t and -L filter a stream");
    rc = index_find(&v->indexed, path, binary ? INDEXED_BCF : INDEXED_VCF, v->header->n[BCF_DT_CTG], err);
    if (rc) return rc;
    if (!v->indexed.path)
        return cad_fail(err, CAD_EIO,
                        "%s: -r and -R need an index; make one with bcftools index, or filter with -t, -L", path);
    rc = records_blocks(v->fp, path, err);
    if (rc == 0) rc = records_whole(v->fp, path, err);
    return rc ? rc : load_index(v, err);
}

static int read_span(variants_t *v, int contig, const char *name, interval_t span, int64_t from, cad_error_t *err)
{
    int tid = v->tabix ? tbx_name2id(v->tabix, name) : contig, rc;
    interval_t all = v->haplotypes ? haplotypes_span(v->haplotypes, span) : span;
    if (tid < 0) return 0; /* the contig has no records */
    rc = index_clip(&v->indexed, name, span.beg, &span.end, err);
    if (rc == 0) rc = index_clip(&v->indexed, name, all.beg, &all.end, err);
    if (rc) return rc;
    hts_itr_destroy(v->walk);
    v->walk = v->tabix ? tbx_itr_queryi(v->tabix, tid, all.beg, all.end)
                       : bcf_itr_queryi(v->index, tid, all.beg, all.end);
    if (!v->walk) return 0;
    rc = index_fits(&v->indexed, v->walk, err);
    return rc ? rc : read_some(v, next_in_span, span, from, err);
}

static int read_spans(variants_t *v, cad_error_t *err)
{
    int rc = open_index(v, err);
    v->line = 0;
    for (int i = 0; i < v->header->n[BCF_DT_CTG] && rc == 0; i++) {
        const char *name = bcf_hdr_id2name(v->header, i);
        interval_t span, before = { 0, 0 };
        for (int k = 0; name && rc == 0 && regions_get(v->s->only, name, k, &span); k++) {
            rc = read_span(v, i, name, span, before.end, err);
            before = span;
        }
    }
    return rc;
}

/* ---- the file ---- */

static bool fits(const input_t *in) { return in->kind == INPUT_VARIANTS; }

static int open_variants(stream_t *s, cad_error_t *err)
{
    variants_t *v = s->state;
    int rc = records_open(&v->fp, s->in, NULL, err);
    v->s = s;
    if (rc) return rc;
    s->format = &v->fp->format;
    return vcf_header_read(&v->header, v->fp, s->in->path, s->notes, err);
}

static bool has_contig(const void *variants, const char *name)
{
    return bcf_hdr_name2id(((const variants_t *)variants)->header, name) >= 0;
}

static void set_names(const stream_t *s, names_t *names)
{
    *names = (names_t) { s->state, has_contig, s->in->path, NULL, false, true };
}

static int read_input(stream_t *s, cad_error_t *err)
{
    variants_t *v = s->state;
    int rc = s->set->matrix ? variants_columns(v, err) : variants_header(v, err);
    v->view.ref = s->ref;
    if (rc) return rc;
    if (s->only) return read_spans(v, err);
    rc = records_threads(v->fp, s->pool, err);
    if (rc == 0) rc = read_some(v, next_streamed, (interval_t) { INT64_MIN, INT64_MAX }, INT64_MIN, err);
    return rc ? rc : records_end(v->fp, s->in->path, err);
}

static int finish(stream_t *s, cad_error_t *err)
{
    const variants_t *v = s->state;
    return v->missing[0] && !v->scored
               ? cad_fail(err, CAD_EFORMAT, "%s: nothing could be scored: %s", s->in->path, v->missing)
               : 0;
}

static void drop(void *arg, item_t *it) { variant_drop(((stream_t *)arg)->state, (variant_t *)it); }

static void close_variants(stream_t *s)
{
    variants_t *v = s->state;
    site_leave(v->site);
    haplotypes_close(v);
    while (v->spare) {
        variant_t *d = v->spare;
        v->spare = d->spare;
        for (int i = 0; i < d->room; i++) free(d->alt[i].allele.alt.s);
        free(d->alt);
        bcf_destroy(d->rec);
        free(d);
    }
    hts_itr_destroy(v->walk);
    if (v->index) hts_idx_destroy(v->index);
    if (v->tabix) tbx_destroy(v->tabix);
    index_close(&v->indexed);
    bcf_hdr_destroy(v->header);
    if (v->fp) hts_close(v->fp);
    view_free(&v->view);
    text_free(&v->text);
    free(v->text_line.s);
    free(v->given.s);
    free(v->written.s);
    free(v->haplotype.s);
    free(v->values);
    free(v->calibration);
}

/* ---- settings, and the estimated size of the output ---- */

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    static const char *const calibrated[] = { "cllr", "z", "pctl" };
    const char *prefix = set->variants.prefix;
    if (!set->reference) return cad_fail(err, CAD_EARG, "%s: variants need their reference: give -T FASTA", in->path);
    if (set->variants.difference && !set->matrix)
        return cad_fail(err, CAD_EARG, "--difference is an option of caduceus embed");
    if (set->embed && !set->matrix)
        return cad_fail(err, CAD_EARG, "--embed %s: does not fit variants; caduceus embed writes their embeddings",
                        set->embed);
    if (!set->scores.n && !set->matrix) return cad_fail(err, CAD_EARG, "--score none leaves nothing to do");
    if (set->variants.force_calibration && !set->variants.calibration)
        return cad_fail(err, CAD_EARG, "--force-calibration needs --calibration");
    if (set->variants.vocab_softmax && (!scores_need(&set->scores, NEEDS_BREAKS) ||
                                        scores_need(&set->scores, NEEDS_SITE | NEEDS_HAPLOTYPES | NEEDS_AROUND)))
        return cad_fail(err, CAD_EARG, "--vocab-softmax is for --score sv alone, or with n, dist and cos");
    if (variants_samples(&set->variants) && !scores_need(&set->scores, NEEDS_SITE | NEEDS_HAPLOTYPES))
        return cad_fail(err, CAD_EARG, "--sample, --samples-file and --all-samples need --score llr or dpll");
    if (set->variants.all_samples && (set->variants.nsample || set->variants.samples_file))
        return cad_fail(err, CAD_EARG, "--all-samples does not fit --sample and --samples-file");
    for (int i = 0; i < 3 && set->variants.calibration; i++) scores_add(&set->scores, calibrated[i]);
    scores_add(&set->scores, "note");
    scores_sort(&set->scores);
    if (!*prefix || (*prefix >= '0' && *prefix <= '9') ||
        prefix[strspn(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")])
        return cad_fail(err, CAD_EARG,
                        "--info-prefix %s: expected letters, digits, _ and ., not beginning with a digit", prefix);
    if (set->anchor >= 0 && (!set->window || set->flank >= 0))
        return cad_fail(err, CAD_EARG, "--anchor needs --window, and does not fit --flank");
    if (set->anchor >= 0 && set->anchor >= set->window)
        return cad_fail(err, CAD_EARG, "--anchor %lld is not inside --window %lld", (long long)set->anchor,
                        (long long)set->window);
    return 0;
}

/* Reports that the calibration was made in another way: as an error, or as a warning with --force-calibration. */
static int misfit(stream_t *s, const char *what, const char *made, const char *here, cad_error_t *err)
{
    const char *path = s->set->variants.calibration;
    if (!s->set->variants.force_calibration)
        return cad_fail(
            err, CAD_EARG,
            "%s: made with another %s (%.80s; here %.80s); make one for this run with caduceus calibrate, or "
            "give --force-calibration",
            path, what, made, here);
    note(s->notes, NOTE_CALIBRATION, 1, "%s: made with another %s (%.80s; here %.80s)", path, what, made, here);
    return 0;
}

static int open_calibration(stream_t *s, cad_error_t *err)
{
    variants_t *v = s->state;
    const char *path = s->set->variants.calibration, *model = cad_model_text(s->cutter.encoding.model, CAD_TEXT_SHA256);
    char window[96];
    int rc = path ? calibration_read(&v->calibration, path, err) : 0;
    if (rc || !path) return rc;
    calibration_window(v->flanks.left, v->flanks.right, s->set->n_token, s->set->sep, window);
    if (strcmp(v->calibration->model, model)) rc = misfit(s, "model", v->calibration->model, model, err);
    if (rc == 0 && strcmp(v->calibration->window, window))
        rc = misfit(s, "window", v->calibration->window, window, err);
    return rc;
}

static int plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    const settings_t *set = s->set;
    variants_t *v = s->state;
    bool difference = set->variants.difference;
    int rc;
    s->table->provenance = s->provenance;
    s->table->wide = set->wide;
    s->table->plain = set->no_version || s->table->csv;
    s->table->rows_are =
        difference ? "ALT alleles in input order; each row is the ALT embedding minus the REF embedding"
                   : "ALT alleles in input order; each row is the REF embedding followed by the ALT embedding";
    s->matrix_width = s->cutter.width * (difference ? 1 : 2);
    rc = flanks_set(&v->flanks, window, set->flank, set->anchor, longest, err);
    if (rc == 0) rc = haplotypes_open(v, err);
    return rc ? rc : open_calibration(s, err);
}

static void describe(const stream_t *s, text_t *t)
{
    const settings_t *set = s->set;
    const flanks_t *f = &((const variants_t *)s->state)->flanks;
    if (set->matrix) text_puts(t, set->variants.difference ? "=alt-ref" : "=ref,alt");
    text_printf(t, " window=%lld left=%lld right=%lld", (long long)f->window, (long long)f->left, (long long)f->right);
    if (set->matrix || scores_need(&set->scores, NEEDS_POOLED | NEEDS_AROUND))
        text_printf(t, " pool-window=%lld", (long long)set->variants.pool_window);
    if (scores_need(&set->scores, NEEDS_BREAKS)) text_printf(t, " sv-flank=%lld", (long long)set->variants.sv_flank);
    if (set->variants.vocab_softmax) text_puts(t, " vocab-softmax");
    if (set->variants.calibration)
        text_printf(t, " calibration=%016llx", (unsigned long long)((const variants_t *)s->state)->calibration->digest);
    if (((const variants_t *)s->state)->haplotypes) {
        const samples_t *samples = &((const variants_t *)s->state)->haplotypes->samples;
        text_printf(t, " samples=%d:%016llx", samples->n, (unsigned long long)samples->digest);
    }
    if (set->pooling) text_printf(t, " pool=%s", pooling_name(set->pooling));
}

static void estimate(const stream_t *s, estimate_t *e)
{
    const variants_t *v = s->state;
    e->bytes = s->table->bytes + (s->set->matrix ? 0 : v->bytes + v->alleles * 16 + v->values_bytes);
    e->matrix_rows = v->alleles;
}

static const char *contig_name(const void *header, int i) { return bcf_hdr_id2name((const bcf_hdr_t *)header, i); }

/* Returns the length of contig i in bases, 0 if it is not known. If the IDX numbers in the header have gaps, the
 * missing numbers are contigs with a NULL name and a NULL `val`. */
static int64_t contig_length(const void *header, int i)
{
    const bcf_idinfo_t *contig = ((const bcf_hdr_t *)header)->id[BCF_DT_CTG][i].val;
    return contig ? (int64_t)contig->info[0] : 0;
}

static double share(const stream_t *s)
{
    const variants_t *v = s->state;
    contigs_t contigs = { v->header, v->header->n[BCF_DT_CTG], contig_name, contig_length };
    return s->only ? regions_share_before(s->only, &contigs, v->last_rid, v->last_pos) : records_share(v->fp, s->in);
}

const source_t SOURCE_VARIANTS = {
    .holds = "variants",
    .counts = "variants",
    .options =
        " reference chr-alias output-fmt output-fmt-option write-index no-version score mask embed check-ref "
        "anchor pool-window sv-flank vocab-softmax info-prefix difference calibration force-calibration sample samples-file all-samples ",
    .headless = "use --score dist,cos",
    .needs = NEEDS_SITE | NEEDS_HAPLOTYPES | NEEDS_AROUND | NEEDS_BREAKS,
    .of = OF_VARIANTS,
    .scores = "llr,dpll",
    .writes = WRITES_VARIANTS,
    .embeds = true,
    .size = sizeof(variants_t),
    .fits = fits,
    .check = check,
    .open = open_variants,
    .names = set_names,
    .plan = plan,
    .describe = describe,
    .read = read_input,
    .finish = finish,
    .take = variants_take,
    .sink = variants_sink,
    .drop = drop,
    .estimate = estimate,
    .share = share,
    .close = close_variants,
};
