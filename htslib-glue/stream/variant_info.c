/* variant_info.c - adds results of alleles to records as INFO fields and writes the records, or writes the results as
 * rows of a matrix. SPDX-License-Identifier: MIT
 */
/* makes htslib's macros read unaligned words byte by byte, since C forbids unaligned access */
#define HTS_ALLOW_UNALIGNED 0
#include <htslib/hts_endian.h>
#include <math.h>

#include "io/rounded.h"
#include "stream/breakpoints.h"
#include "stream/haplotypes.h"

/* ---- the header ---- */

static const struct {
    int type; /* one of BCF_HT_* */
    const char *name;
} TYPE[] = {
    [SCORE_REAL] = { BCF_HT_REAL, "Float" },
    [SCORE_INTEGER] = { BCF_HT_INT, "Integer" },
    [SCORE_TEXT] = { BCF_HT_STR, "String" },
};

static int name_fields(variants_t *v, cad_error_t *err)
{
    const settings_t *set = v->s->set;
    for (int i = 0; i < set->scores.n; i++) {
        const score_t *score = set->scores.row[i];
        int n = snprintf(v->name[i], sizeof v->name[i], "%s_%s%s", set->variants.prefix, score->info,
                         score_suffix(score, set->mask));
        if (n >= (int)sizeof v->name[i])
            return cad_fail(err, CAD_EARG, "--info-prefix %.40s...: too long", set->variants.prefix);
    }
    return 0;
}

static int declare(variants_t *v, const score_t *score, const char *name, cad_error_t *err)
{
    int id = bcf_hdr_id2int(v->header, BCF_DT_ID, name);
    if (bcf_hdr_idinfo_exists(v->header, BCF_HL_INFO, id)) {
        if ((int)bcf_hdr_id2type(v->header, BCF_HL_INFO, id) == TYPE[score->type].type &&
            bcf_hdr_id2length(v->header, BCF_HL_INFO, id) == BCF_VL_A)
            return 0;
        return cad_fail(
            err, CAD_EFORMAT,
            "%s: its header declares INFO/%s of another Type or Number; choose other names with --info-prefix",
            v->s->in->path, name);
    }
    if (bcf_hdr_printf(v->header, "##INFO=<ID=%s,Number=A,Type=%s,Description=\"%s\">", name, TYPE[score->type].name,
                       score->text))
        return cad_out_of_memory(err);
    /* sync is needed, since adding a header line may move htslib's tables */
    return bcf_hdr_sync(v->header) < 0 ? cad_out_of_memory(err) : 0;
}

static int add_provenance(variants_t *v, cad_error_t *err)
{
    const provenance_t *p = v->s->provenance;
    for (int i = 0; i < p->n && !v->s->set->no_version; i++) {
        char key[96];
        if (provenance_of_part(p->key[i])) continue;
        snprintf(key, sizeof key, "%s_%s", v->s->set->variants.prefix, p->key[i]);
        bcf_hdr_remove(v->header, BCF_HL_GEN, key); /* removes the key that an earlier run may have written */
        if (bcf_hdr_printf(v->header, "##%s=%s", key, p->value[i])) return cad_out_of_memory(err);
    }
    return 0;
}

int variants_header(variants_t *v, cad_error_t *err)
{
    const stream_t *s = v->s;
    int rc = name_fields(v, err);
    for (int i = 0; i < s->set->scores.n && rc == 0; i++) rc = declare(v, s->set->scores.row[i], v->name[i], err);
    if (rc == 0 && v->haplotypes) rc = formats_declare(v, err);
    if (rc == 0) rc = add_provenance(v, err);
    if (rc == 0 && bcf_hdr_sync(v->header) < 0) rc = cad_out_of_memory(err);
    v->rounding = s->records->fp && v->fp->format.format == bcf && s->records->format.hts.format == vcf;
    return rc == 0 && s->records->fp ? records_begin(s->records, NULL, v->header, NULL, s->pool, err) : rc;
}

/* ---- INFO ---- */

static effect_t effect_of(const variants_t *v, const variant_t *d, int alt)
{
    const result_t *r = &d->alt[alt];
    const allele_t *a = &r->allele;
    effect_t e = { .sum = { r->sum[0], r->sum[1] },
                   .n = a->n,
                   .pooled = { r->site ? r->site->embedding : r->embedding[0], r->embedding[1] },
                   .width = v->s->cutter.width,
                   .around = r->influence,
                   .breaks_sum = r->breaks ? r->breaks->sum : 0,
                   .breaks_n = r->breaks ? r->breaks->n : 0,
                   .calibration = v->calibration,
                   .cell = r->cell };
    if (r->breaks) {
        e.sum[0] = e.sum[1] = NAN;
        e.n = r->breaks->n;
    }
    if (a->kind != ALLELE_SNV) return e;
    e.site = r->site->logp;
    e.ref = base_of_letter(d->rec->d.allele[0][a->ref.beg - d->rec->pos]);
    e.alt = base_of_letter(a->alt.s[0]);
    return e;
}

double variants_value(const variants_t *v, const variant_t *d, int alt, const score_t *score)
{
    effect_t e;
    if (!d->alt[alt].scored) return NAN;
    e = effect_of(v, d, alt);
    return score->effect(&e);
}

static int update_failed(const variants_t *v, const char *name, cad_error_t *err)
{
    return cad_fail(err, CAD_ENOMEM, "%s: INFO/%s cannot be set", v->s->in->path, name);
}

int variants_overflow(const variants_t *v, const variant_t *d, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: the model overflows: %s is not finite; are its weights damaged?",
                    bcf_seqname_safe(v->header, d->rec), (long long)d->rec->pos + 1, what);
}

/* True if the record now holds the whole INFO field. If memory is short, htslib stores an incomplete field and reports
 * no error. */
static bool holds(const variants_t *v, variant_t *d, const char *name, const void *data, size_t n)
{
    const bcf_info_t *f = bcf_get_info(v->header, d->rec, name);
    return f && f->vptr_len == n && !memcmp(f->vptr, data, n);
}

static bool holds_integers(const variants_t *v, variant_t *d, const char *name)
{
    const bcf_info_t *f = bcf_get_info(v->header, d->rec, name);
    const int32_t *want = (const int32_t *)v->values;
    bool same = f && f->len == d->nalt && f->type >= BCF_BT_INT8 && f->type <= BCF_BT_INT32;
    for (int i = 0; same && i < d->nalt; i++) {
        int32_t x = 0;
        if (f->type == BCF_BT_INT8) x = (int32_t)le_to_i8(f->vptr + i);
        else if (f->type == BCF_BT_INT16) x = le_to_i16(f->vptr + 2 * i);
        else x = le_to_i32(f->vptr + 4 * i);
        if (want[i] == bcf_int32_missing)
            same = x == (f->type == BCF_BT_INT8    ? bcf_int8_missing
                         : f->type == BCF_BT_INT16 ? bcf_int16_missing
                                                   : want[i]);
        else same = x == want[i];
    }
    return same;
}

static int put_numbers(variants_t *v, variant_t *d, const score_t *score, const char *name, cad_error_t *err)
{
    bool any = false, integer = score->type == SCORE_INTEGER;
    float *x = (float *)v->values;
    int32_t *n = (int32_t *)v->values;
    int rc;
    for (int i = 0; i < d->nalt; i++) {
        double value = variants_value(v, d, i, score);
        any |= !isnan(value);
        if (isinf((float)value)) return variants_overflow(v, d, name, err);
        if (integer) n[i] = isnan(value) ? bcf_int32_missing : (int32_t)value;
        else if (isnan(value)) bcf_float_set_missing(x[i]);
        else x[i] = value == 0 ? 0 : (float)value; /* writes 0 for -0 */
    }
    rc = bcf_update_info(v->header, d->rec, name, any ? v->values : NULL, any ? d->nalt : 0, TYPE[score->type].type);
    if (rc) return update_failed(v, name, err);
    return !any || (integer ? holds_integers(v, d, name) : holds(v, d, name, x, 4 * (size_t)d->nalt))
               ? 0
               : cad_out_of_memory(err);
}

static int put_notes(variants_t *v, variant_t *d, const char *name, cad_error_t *err)
{
    bool any = false;
    text_clear(&v->text);
    for (int i = 0; i < d->nalt; i++) {
        const char *note = d->alt[i].allele.note;
        unsigned near = d->alt[i].near;
        any |= note || near;
        text_printf(&v->text, "%s%s", i ? "," : "", note ? note : near ? "" : ".");
        haplotypes_note(near, note != NULL, &v->text);
    }
    if (v->text.failed) return cad_out_of_memory(err);
    if (bcf_update_info_string(v->header, d->rec, name, any ? v->text.s.s : NULL)) return update_failed(v, name, err);
    return !any || holds(v, d, name, v->text.s.s, v->text.s.l) ? 0 : cad_out_of_memory(err);
}

/* Returns CAD_EFORMAT for a record that has the INFO field twice, since htslib would replace only the first of the
 * two. */
static int check_once(const variants_t *v, const bcf1_t *rec, const char *name, cad_error_t *err)
{
    int id = bcf_hdr_id2int(v->header, BCF_DT_ID, name), n = 0;
    for (int i = 0; i < rec->n_info; i++) n += rec->d.info[i].key == id;
    return n < 2
               ? 0
               : cad_fail(err, CAD_EFORMAT, "%s:%lld: INFO names %s twice; remove it with bcftools annotate -x INFO/%s",
                          bcf_seqname_safe(v->header, rec), (long long)rec->pos + 1, name, name);
}

static int put_info(variants_t *v, variant_t *d, cad_error_t *err)
{
    const score_list_t *scores = &v->s->set->scores;
    void *room = realloc(v->values, (size_t)d->nalt * sizeof(float));
    int rc = records_unpack(d->rec, BCF_UN_INFO, err);
    if (!room) return cad_out_of_memory(err);
    v->values = room;
    for (int i = 0; i < scores->n && rc == 0; i++) rc = check_once(v, d->rec, v->name[i], err);
    for (int i = 0; i < scores->n && rc == 0; i++)
        rc = scores->row[i]->type == SCORE_TEXT ? put_notes(v, d, v->name[i], err)
                                                : put_numbers(v, d, scores->row[i], v->name[i], err);
    return rc == 0 && v->haplotypes ? formats_put(v, d, err) : rc;
}

/* ---- matrix ---- */

/* Sets the table's `row`: the embeddings of REF and ALT one after the other or, with --difference, ALT - REF. If the
 * allele has no embedding, the row is all NaN. If the table is wide (one text column per number), also appends the row
 * to v->text. */
static int make_row(variants_t *v, const variant_t *d, const result_t *r, cad_error_t *err)
{
    const float *x = r->site ? r->site->embedding : r->embedding[0], *y = r->embedding[1];
    bool difference = v->s->set->variants.difference, none = !r->scored || !x || !y, finite = true;
    int64_t width = v->s->table->npy.width, D = difference ? width : width / 2;
    float *row = v->s->table->row;
    for (int64_t i = 0; i < width; i++) {
        row[i] = none ? NAN : difference ? y[i] - x[i] : i < D ? x[i] : y[i - D];
        finite &= none || isfinite(row[i]);
    }
    if (!finite) return variants_overflow(v, d, "a difference", err);
    if (v->s->table->wide) table_numbers(row, width, &v->text);
    return 0;
}

/* Writes the header of the table that names the rows of the matrix. */
int variants_columns(variants_t *v, cad_error_t *err)
{
    text_t *t = &v->text;
    const table_t *table = v->s->table;
    text_clear(t);
    provenance_table(v->s->provenance, table->plain, "#chrom\tpos\tref\talt\tnote", t);
    if (table->wide && v->s->set->variants.difference) table_names("e", table->npy.width, t);
    else if (table->wide) {
        table_names("ref", table->npy.width / 2, t);
        table_names("alt", table->npy.width / 2, t);
    }
    return t->failed ? cad_out_of_memory(err) : table_pass(v->s->table, t->s.s, t->s.l, err);
}

/* Writes a row of the matrix for each ALT, and a line that names the row. */
static int put_rows(variants_t *v, const variant_t *d, cad_error_t *err)
{
    table_t *t = v->s->table;
    int rc = 0;
    for (int i = 0; i < d->nalt && rc == 0; i++) {
        const char *note = d->alt[i].allele.note;
        text_clear(&v->text);
        text_printf(&v->text, "%s\t%lld\t%s\t%s\t%s", bcf_seqname_safe(v->header, d->rec), (long long)d->rec->pos + 1,
                    d->rec->d.allele[0], d->rec->d.allele[i + 1], note ? note : ".");
        if (t->row) rc = make_row(v, d, &d->alt[i], err);
        if (rc == 0 && v->text.failed) rc = cad_out_of_memory(err);
        if (rc == 0) rc = table_pass(t, v->text.s.s, v->text.s.l, err);
        if (rc == 0 && t->npy.out) rc = npy_write(&t->npy, t->row, 1, err);
    }
    return rc;
}

int variants_sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    variants_t *v = s->state;
    variant_t *d = (variant_t *)it;
    char name[300];
    int rc = v->rounding ? rounded_variant(s->notes, s->in->path, v->header, d->rec, v->name, s->set->scores.n, err)
                         : 0;
    if (rc) return rc;
    rc = s->set->matrix ? put_rows(v, d, err) : d->nalt && s->records->fp ? put_info(v, d, err) : 0;
    s->rows++;
    v->alleles += d->nalt;
    if (d->contexts.of) v->values_bytes += (int64_t)v->haplotypes->samples.n * 8;
    v->bytes += (int64_t)(d->rec->shared.l + d->rec->indiv.l + 32);
    if (rc || !s->records->fp) return rc;
    snprintf(name, sizeof name, "%.200s:%lld", bcf_seqname_safe(v->header, d->rec), (long long)d->rec->pos + 1);
    return records_put_variant(s->records, v->header, d->rec, name, err);
}
