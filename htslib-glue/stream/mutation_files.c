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

#define INFO_LLR                                                                                                      \
    "##INFO=<ID=CADUCEUS_LLR,Number=A,Type=Float,Description=\"Caduceus: log p(ALT) - log p(REF) at the masked site " \
    "of an SNV, natural log; negative is less likely\">\n"
#define INFO_DPLL                                                                                                    \
    "##INFO=<ID=CADUCEUS_DPLL,Number=A,Type=Float,Description=\"Caduceus: difference of the log-likelihoods of the " \
    "ALT and REF haplotype, natural log; negative is less likely\">\n"
#define INFO_DELTA                                                                                                     \
    "##INFO=<ID=CADUCEUS_DELTA,Number=A,Type=Float,Description=\"Caduceus: the classifier's %s for ALT less that for " \
    "REF\">\n"
#define INFO_OUTPUT                                                                                               \
    "##INFO=<ID=CADUCEUS_OUTPUT,Number=1,Type=Integer,Description=\"Caduceus: the output of the classifier that " \
    "CADUCEUS_DELTA is of, counted from 0\">\n"

/* Appends the lines of a VCF's header that follow those on the format and on PASS. */
static void put_header(const stream_t *s, text_t *t)
{
    const mutations_t *m = s->state;
    const provenance_t *p = s->provenance;
    if (classifies(m)) {
        text_printf(t, INFO_DELTA, m->head.kind == CAD_HEAD_VALUES ? "value" : "logit");
        text_puts(t, INFO_OUTPUT);
    } else {
        text_puts(t, INFO_LLR);
        if (m->deletions) text_puts(t, INFO_DPLL);
    }
    for (int i = 0; i < s->ref->ncontig; i++)
        text_printf(t, "##contig=<ID=%s,length=%lld>\n", s->ref->contig[i].name, (long long)s->ref->contig[i].length);
    for (int i = 0; i < p->n && !s->set->no_version; i++)
        if (!provenance_of_part(p->key[i])) text_printf(t, "##CADUCEUS_%s=%s\n", p->key[i], p->value[i]);
}

/* Adds the lines of the text to the header, one by one; returns false when out of memory. */
static bool add_lines(bcf_hdr_t *h, const char *text)
{
    bool done = true;
    for (const char *end; done && (end = strchr(text, '\n')); text = end + 1) {
        char *line = strndup(text, (size_t)(end - text));
        done = line && bcf_hdr_append(h, line) == 0;
        free(line);
    }
    return done && bcf_hdr_sync(h) == 0;
}

/* Checks that the header has all lines, since htslib may leave some out, without an error, if memory is short. */
static int check_header(const stream_t *s, const bcf_hdr_t *h, const char *lines, cad_error_t *err)
{
    kstring_t text = { 0, 0, NULL };
    bool whole = bcf_hdr_format(h, 0, &text) == 0 && text.s && !strncmp(text.s, "##fileformat=", 13) &&
                 strstr(text.s, "ID=PASS,") && strstr(text.s, lines);
    free(text.s);
    if (!whole) return cad_out_of_memory(err);
    for (int i = 0; i < s->ref->ncontig; i++)
        if (bcf_hdr_name2id(h, s->ref->contig[i].name) != i) return cad_out_of_memory(err);
    return 0;
}

static int check_names(const fasta_t *ref, cad_error_t *err)
{
    for (int i = 0; i < ref->ncontig; i++)
        if (strpbrk(ref->contig[i].name, "<>,\"'`\\()[]{}") || strchr("*=", *ref->contig[i].name))
            return cad_fail(err, CAD_EARG, "%s: VCF cannot hold a contig of the name %.100s; write a .tsv", ref->path,
                            ref->contig[i].name);
    return 0;
}

/* Makes the header, in which records name contigs by their number in the reference. */
static int make_header(stream_t *s, cad_error_t *err)
{
    mutations_t *m = s->state;
    text_t lines = { 0 };
    int rc = check_names(s->ref, err);
    put_header(s, &lines);
    m->header = bcf_hdr_init("w");
    m->record = bcf_init();
    if (rc == 0 && (lines.failed || !m->header || !m->record || !add_lines(m->header, lines.s.s)))
        rc = cad_out_of_memory(err);
    if (rc == 0) rc = check_header(s, m->header, lines.s.s, err);
    text_free(&lines);
    return rc;
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
        table_numbers(x->value + 4 * i, 4, &m->text);
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

/* True if the record has the field with this value. If memory is short, htslib stores an incomplete field and reports
 * no error. */
static bool holds(const mutations_t *m, const char *field, const void *value, size_t n)
{
    const bcf_info_t *f = bcf_get_info(m->header, m->record, field);
    return f && f->vptr && f->vptr_len == n && !memcmp(f->vptr, value, n);
}

/* Sets ID and alleles. */
static bool set_alleles(const mutations_t *m, const char *ref, const char *alt)
{
    const char *alleles[] = { ref, alt };
    bcf1_t *r = m->record;
    return bcf_update_id(m->header, r, ".") == 0 && r->d.id && !strcmp(r->d.id, ".") &&
           bcf_update_alleles(m->header, r, alleles, 2) == 0 && r->n_allele == 2 && !strcmp(r->d.allele[0], ref) &&
           !strcmp(r->d.allele[1], alt);
}

static bool set_values(const mutations_t *m, const char *field, float value, int64_t output)
{
    int32_t number = (int32_t)output;
    char small = (char)output; /* htslib stores small numbers in a byte */
    if (bcf_update_info_float(m->header, m->record, field, &value, 1) || !holds(m, field, &value, sizeof value))
        return false;
    return !classifies(m) || (bcf_update_info_int32(m->header, m->record, "CADUCEUS_OUTPUT", &number, 1) == 0 &&
                              (output > 100 || holds(m, "CADUCEUS_OUTPUT", &small, 1)));
}

/* Writes the record of one change. */
static int put_record(stream_t *s, mutation_file_t *f, const stretch_t *x, int64_t pos, const char *ref,
                      const char *alt, const char *field, double value, cad_error_t *err)
{
    mutations_t *m = s->state;
    bcf_clear(m->record);
    m->record->rid = x->contig;
    m->record->pos = pos;
    if (!set_alleles(m, ref, alt) || !set_values(m, field, (float)value, x->output)) return cad_out_of_memory(err);
    return records_put_variant(&f->records, m->header, m->record, s->ref->contig[x->contig].name, err);
}

/* Writes the deletion of base i with the base before it, or with the next if the contig begins with base i. */
static int put_deletion(stream_t *s, mutation_file_t *f, const stretch_t *x, int64_t i, cad_error_t *err)
{
    const char *l = x->letter + i;
    char other = letter_of(l[0] ? l[0] : l[2]), base = letter_of(l[1]), alt[] = { other, 0 },
         ref[] = { l[0] ? other : base, l[0] ? base : other, 0 };
    if (isnan(x->dpll[i]) || stretch_continues(s, x, i)) return 0;
    return put_record(s, f, x, x->at.beg + i - (l[0] != 0), ref, alt, "CADUCEUS_DPLL", x->dpll[i], err);
}

static int write_variants(stream_t *s, mutation_file_t *f, const stretch_t *x, cad_error_t *err)
{
    const mutations_t *m = s->state;
    int rc = 0;
    for (int64_t i = 0; i < x->at.end - x->at.beg && rc == 0; i++) {
        char ref[] = { letter_of(x->letter[i + 1]), 0 };
        if (x->dpll) rc = put_deletion(s, f, x, i, err);
        for (int b = 0; b < 4 && rc == 0; b++) {
            char alt[] = { "ACGT"[b], 0 };
            double v = (double)x->value[4 * i + b];
            if (*alt == *ref || isnan(v)) continue;
            rc = put_record(s, f, x, x->at.beg + i, ref, alt, classifies(m) ? "CADUCEUS_DELTA" : "CADUCEUS_LLR", v,
                            err);
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
    output_t **all[2 * MUTATION_FILES];
    int rc = 0, n = 0;
    for (int k = 0; k < m->nfile && rc == 0; k++) {
        mutation_file_t *f = &m->file[k];
        rc = finish_file(s, f, err);
        all[n++] = &f->out;
        all[n++] = &f->json;
    }
    for (int k = 0; k < m->nfile && rc == 0; k++) rc = records_close(&m->file[k].records, s->provenance, err);
    return rc ? rc : outputs_close(all, n, err);
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
