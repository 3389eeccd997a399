/* mutation_files.c - writes the results of caduceus mutate: as a table with a row for each base, as VCF with a
 * record for each change, or as a matrix. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <math.h>

#include "io/shard.h"
#include "stream/mutations.h"

static bool classifies(const mutations_t *m) { return m->head.n > 0; }

/* ---- the beginning ---- */

static int begin_text(stream_t *s, mutation_file_t *f, cad_error_t *err)
{
    mutations_t *m = s->state;
    const char *of = classifies(m) ? "delta" : "llr";
    text_t columns = { 0 };
    int rc;
    text_puts(&columns, "#chrom\tstart\tend\tref");
    for (int b = 0; b < 4; b++) text_printf(&columns, "\t%s_%c", of, "ACGT"[b]);
    if (m->deletions) text_puts(&columns, "\tdpll");
    if (classifies(m)) text_puts(&columns, "\toutput");
    text_clear(&m->text);
    if (!columns.failed) provenance_table(s->provenance, s->set->no_version, columns.s.s, &m->text);
    text_puts(&m->text, "\n");
    rc = columns.failed ? cad_out_of_memory(err) : text_write(f->out, &m->text, err);
    text_free(&columns);
    return rc;
}

static bool declare(bcf_hdr_t *h, const char *line) { return bcf_hdr_append(h, line) == 0; }

static bool declare_info(const mutations_t *m, bcf_hdr_t *h)
{
    bool done = true;
    text_t t = { 0 };
    if (!classifies(m)) {
        done = declare(h,
                       "##INFO=<ID=CADUCEUS_LLR,Number=A,Type=Float,Description=\"Caduceus: log p(ALT) - log p(REF) at "
                       "the masked site of an SNV, natural log; negative is less likely\">");
        return done && (!m->deletions ||
                        declare(h, "##INFO=<ID=CADUCEUS_DPLL,Number=A,Type=Float,Description=\"Caduceus: difference of "
                                   "the log-likelihoods of the ALT and REF haplotype, natural log; negative is less "
                                   "likely\">"));
    }
    text_printf(
        &t,
        "##INFO=<ID=CADUCEUS_DELTA,Number=A,Type=Float,Description=\"Caduceus: the classifier's %s for ALT less "
        "that for REF\">",
        m->head.kind == CAD_HEAD_VALUES ? "value" : "logit");
    done = !t.failed && declare(h, t.s.s) &&
           declare(h, "##INFO=<ID=CADUCEUS_OUTPUT,Number=1,Type=Integer,Description=\"Caduceus: the output of the "
                      "classifier that CADUCEUS_DELTA is of, counted from 0\">");
    text_free(&t);
    return done;
}

/* Makes the header, in which records name contigs by their number in the reference. */
static int make_header(stream_t *s, cad_error_t *err)
{
    mutations_t *m = s->state;
    text_t t = { 0 };
    bool done = (m->header = bcf_hdr_init("w")) && (m->record = bcf_init()) && declare_info(m, m->header);
    for (int i = 0; i < s->ref->ncontig && done; i++) {
        text_clear(&t);
        text_printf(&t, "##contig=<ID=%s,length=%lld>", s->ref->contig[i].name, (long long)s->ref->contig[i].length);
        done = !t.failed;
        if (done && (!declare(m->header, t.s.s) || bcf_hdr_name2id(m->header, s->ref->contig[i].name) != i)) {
            text_free(&t);
            return cad_fail(err, CAD_EARG, "%s: VCF cannot hold a contig of the name \"%.100s\"; write a .tsv",
                            s->ref->path, s->ref->contig[i].name);
        }
    }
    for (int i = 0; i < s->provenance->n && done && !s->set->no_version; i++) {
        if (provenance_of_part(s->provenance->key[i])) continue;
        text_clear(&t);
        text_printf(&t, "##CADUCEUS_%s=%s", s->provenance->key[i], s->provenance->value[i]);
        done = !t.failed && declare(m->header, t.s.s);
    }
    done = done && bcf_hdr_sync(m->header) == 0;
    text_free(&t);
    return done ? 0 : cad_out_of_memory(err);
}

int mutations_begin(stream_t *s, cad_error_t *err)
{
    mutations_t *m = s->state;
    int rc = 0;
    for (int k = 0; k < m->nfile && rc == 0; k++) {
        mutation_file_t *f = &m->file[k];
        if (!f->out && !f->records.fp) continue;
        if (f->format == MUTATIONS_TEXT) rc = begin_text(s, f, err);
        else if (f->format == MUTATIONS_MATRIX) {
            f->npy.out = f->out;
            rc = npy_begin(&f->npy, 4, err);
        } else if (f->format == MUTATIONS_VARIANTS) {
            if (!m->header) rc = make_header(s, err);
            if (rc == 0) rc = records_begin(&f->records, NULL, m->header, NULL, s->pool, err);
        }
    }
    return rc;
}

/* ---- text ---- */

static int write_text(stream_t *s, mutation_file_t *f, const stretch_t *x, cad_error_t *err)
{
    mutations_t *m = s->state;
    double dpll = m->dpll;
    text_clear(&m->text);
    for (int64_t i = 0; i < x->at.end - x->at.beg; i++) {
        text_printf(&m->text, "%s\t%lld\t%lld\t%c", s->ref->contig[x->contig].name, (long long)(x->at.beg + i),
                    (long long)(x->at.beg + i + 1), toupper((unsigned char)x->letter[i + 1]));
        for (int b = 0; b < 4; b++) {
            text_puts(&m->text, "\t");
            text_number(&m->text, (double)x->value[4 * i + b]);
        }
        if (x->dpll) {
            if (!stretch_continues(s, x, i)) dpll = x->dpll[i];
            text_puts(&m->text, "\t");
            text_number(&m->text, (double)(float)dpll);
        }
        if (classifies(m)) text_printf(&m->text, "\t%s", m->head.name[x->output]);
        text_puts(&m->text, "\n");
    }
    return text_write(f->out, &m->text, err);
}

/* ---- variants ---- */

static char letter_of(char c)
{
    int base = base_of_letter(c);
    return base == NO_BASE ? 'N' : "ACGT"[base];
}

static int not_stored(const mutation_file_t *f, cad_error_t *err)
{
    return cad_fail(err, CAD_ENOMEM, "%s: a record cannot be made; out of memory?", f->path);
}

/* Writes the record of one change. alleles: REF and ALT, with a comma. */
static int put_record(stream_t *s, mutation_file_t *f, const stretch_t *x, int64_t pos, const char *alleles,
                      const char *field, double value, cad_error_t *err)
{
    mutations_t *m = s->state;
    float v = (float)value;
    int32_t output = (int32_t)x->output;
    bool done;
    bcf_clear(m->record);
    m->record->rid = x->contig;
    m->record->pos = pos;
    done = bcf_update_id(m->header, m->record, ".") == 0 &&
           bcf_update_alleles_str(m->header, m->record, alleles) == 0 &&
           bcf_update_info_float(m->header, m->record, field, &v, 1) == 0 &&
           (!classifies(m) || bcf_update_info_int32(m->header, m->record, "CADUCEUS_OUTPUT", &output, 1) == 0);
    if (!done) return not_stored(f, err);
    return records_put_variant(&f->records, m->header, m->record, s->ref->contig[x->contig].name, err);
}

/* Writes the deletion of base i with the base before it, or with the next if the contig begins with base i. */
static int put_deletion(stream_t *s, mutation_file_t *f, const stretch_t *x, int64_t i, cad_error_t *err)
{
    const char *l = x->letter + i;
    char alleles[8], ref = letter_of(l[1]);
    if (isnan(x->dpll[i]) || stretch_continues(s, x, i)) return 0;
    if (l[0]) snprintf(alleles, sizeof alleles, "%c%c,%c", letter_of(l[0]), ref, letter_of(l[0]));
    else snprintf(alleles, sizeof alleles, "%c%c,%c", ref, letter_of(l[2]), letter_of(l[2]));
    return put_record(s, f, x, x->at.beg + i - (l[0] != 0), alleles, "CADUCEUS_DPLL", x->dpll[i], err);
}

static int write_variants(stream_t *s, mutation_file_t *f, const stretch_t *x, cad_error_t *err)
{
    const mutations_t *m = s->state;
    int rc = 0;
    for (int64_t i = 0; i < x->at.end - x->at.beg && rc == 0; i++) {
        char ref = letter_of(x->letter[i + 1]);
        if (x->dpll) rc = put_deletion(s, f, x, i, err);
        for (int b = 0; b < 4 && rc == 0; b++) {
            char alleles[4] = { ref, ',', "ACGT"[b], 0 };
            double v = (double)x->value[4 * i + b];
            if (alleles[2] == ref || isnan(v)) continue;
            rc = put_record(s, f, x, x->at.beg + i, alleles, classifies(m) ? "CADUCEUS_DELTA" : "CADUCEUS_LLR", v, err);
        }
    }
    return rc;
}

/* ---- all files ---- */

static void remember_deletion(stream_t *s, const stretch_t *x)
{
    mutations_t *m = s->state;
    for (int64_t i = 0; i < x->at.end - x->at.beg && x->dpll; i++)
        if (!stretch_continues(s, x, i)) m->dpll = x->dpll[i];
}

/* Keeps the results of a stretch, for a picture. */
static void keep_results(mutations_t *m, const stretch_t *x)
{
    int64_t n = x->at.end - x->at.beg, at = x->at.beg - m->region.beg;
    memcpy(m->value + 4 * at, x->value, 4 * (size_t)n * sizeof *x->value);
    for (int64_t i = 0; i < n; i++) m->letter[at + i] = (char)toupper((unsigned char)x->letter[i + 1]);
    m->shown = x->output;
}

int mutations_write(stream_t *s, const stretch_t *x, cad_error_t *err)
{
    mutations_t *m = s->state;
    int rc = 0;
    for (int k = 0; k < m->nfile && rc == 0; k++) {
        mutation_file_t *f = &m->file[k];
        if (f->format == MUTATIONS_TEXT) rc = write_text(s, f, x, err);
        if (f->format == MUTATIONS_VARIANTS) rc = write_variants(s, f, x, err);
        if (f->format == MUTATIONS_MATRIX) rc = npy_write(&f->npy, x->value, x->at.end - x->at.beg, err);
    }
    if (m->keep) keep_results(m, x);
    remember_deletion(s, x);
    return rc;
}

static int finish_file(stream_t *s, mutation_file_t *f, cad_error_t *err)
{
    int rc = f->format == MUTATIONS_MATRIX ? npy_finish(&f->npy, err) : 0;
    if (rc == 0 && f->out) rc = output_sync(f->out, err);
    return rc == 0 && f->json ? part_write(s->provenance, f->json, f->out, err) : rc;
}

int mutations_close(stream_t *s, cad_error_t *err)
{
    mutations_t *m = s->state;
    int rc = 0;
    for (int k = 0; k < m->nfile && rc == 0; k++) rc = finish_file(s, &m->file[k], err);
    for (int k = 0; k < m->nfile && rc == 0; k++) {
        mutation_file_t *f = &m->file[k];
        output_t **all[] = { &f->out, &f->json };
        rc = f->format == MUTATIONS_VARIANTS ? records_close(&f->records, s->provenance, err)
                                             : outputs_close(all, 2, err);
    }
    return rc;
}

void mutations_free(mutations_t *m)
{
    for (int k = 0; k < m->nfile; k++) {
        output_abort(m->file[k].out);
        output_abort(m->file[k].json);
        records_free(&m->file[k].records);
    }
    m->nfile = 0;
    free(m->letter);
    free(m->value);
    text_free(&m->text);
    if (m->header) bcf_hdr_destroy(m->header);
    if (m->record) bcf_destroy(m->record);
}
