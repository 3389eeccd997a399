/* variant_format.c - writes the scores of alleles in the haplotypes of samples as FORMAT fields.
 *
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "stream/haplotypes.h"

static void name_of(const variants_t *v, const score_t *score, char name[64])
{
    snprintf(name, 64, "%s%s", score->format, score_suffix(score, v->s->set->mask));
}

int formats_declare(variants_t *v, cad_error_t *err)
{
    const score_list_t *scores = &v->s->set->scores;
    for (int i = 0; i < scores->n; i++) {
        char name[64];
        int id;
        if (!scores->row[i]->format) continue;
        name_of(v, scores->row[i], name);
        id = bcf_hdr_id2int(v->header, BCF_DT_ID, name);
        if (bcf_hdr_idinfo_exists(v->header, BCF_HL_FMT, id)) {
            if ((int)bcf_hdr_id2type(v->header, BCF_HL_FMT, id) == BCF_HT_REAL &&
                bcf_hdr_id2length(v->header, BCF_HL_FMT, id) == BCF_VL_VAR)
                continue;
            return cad_fail(err, CAD_EFORMAT,
                            "%s: its header declares FORMAT/%s of another Type or Number; remove it with bcftools "
                            "annotate -x FORMAT/%s",
                            v->s->in->path, name, name);
        }
        if (bcf_hdr_printf(v->header, "##FORMAT=<ID=%s,Number=.,Type=Float,Description=\"%s\">", name,
                           scores->row[i]->in_haplotype) ||
            bcf_hdr_sync(v->header) < 0)
            return cad_out_of_memory(err);
    }
    return 0;
}

/* Returns the value of a score in one context; NaN if it does not apply to the allele. */
static double value_in(const variants_t *v, const variant_t *d, const context_t *x, const score_t *score)
{
    const result_t *r = &d->alt[x->alt];
    effect_t e = { .sum = { x->sum[0], x->sum[1] }, .n = x->allele.n };
    if (x->reference) return variants_value(v, d, x->alt, score);
    if (x->allele.kind == ALLELE_SNV) {
        e.site = x->logp;
        e.ref = base_of_letter(d->rec->d.allele[0][r->allele.ref.beg - d->rec->pos]);
        e.alt = base_of_letter(r->allele.alt.s[0]);
    }
    return score->effect(&e);
}

/* Sets the values x (ploidy) of one sample: "." alone if it has none. Returns 1 if it has any, 0, or CAD_EFORMAT. */
static int sample_values(const variants_t *v, const variant_t *d, int sample, const score_t *score, float *x,
                         cad_error_t *err)
{
    const contexts_t *all = &d->contexts;
    const int32_t *of = all->of + (int64_t)sample * all->ploidy;
    int any = 0;
    for (int k = 0; k < all->ploidy; k++) {
        double value = of[k] < 0 ? (double)NAN : value_in(v, d, &all->context[of[k]], score);
        if (isinf((float)value)) return variants_overflow(v, d, score->format, err);
        any |= !isnan(value);
        if (of[k] == CONTEXT_ABSENT) bcf_float_set_vector_end(x[k]);
        else if (isnan(value)) bcf_float_set_missing(x[k]);
        else x[k] = value == 0 ? 0 : (float)value; /* writes 0 for -0 */
    }
    for (int k = 1; k < all->ploidy && !any; k++) bcf_float_set_vector_end(x[k]);
    return any;
}

/* True if the record now holds the whole field. If memory is short, htslib stores an incomplete one and reports no
 * error. */
static bool holds(const variants_t *v, variant_t *d, const char *name, const float *x, size_t n)
{
    const bcf_fmt_t *f = bcf_get_fmt(v->header, d->rec, name);
    return f && f->p && f->p_len == n * sizeof *x && !memcmp(f->p, x, n * sizeof *x);
}

static int put_score(variants_t *v, variant_t *d, const score_t *score, cad_error_t *err)
{
    const samples_t *s = &v->haplotypes->samples;
    int ploidy = cad_max(1, d->contexts.ploidy), any = 0;
    size_t n = (size_t)bcf_hdr_nsamples(v->header) * (size_t)ploidy;
    float *x = realloc(v->values, n * sizeof *x);
    char name[64];
    if (!x) return cad_out_of_memory(err);
    v->values = x;
    name_of(v, score, name);
    for (size_t i = 0; i < n; i++)
        if (i % (size_t)ploidy) bcf_float_set_vector_end(x[i]);
        else bcf_float_set_missing(x[i]);
    for (int i = 0; i < s->n && d->contexts.n; i++) {
        int rc = sample_values(v, d, i, score, x + (int64_t)s->index[i] * ploidy, err);
        if (rc < 0) return rc;
        any |= rc;
    }
    if (bcf_update_format_float(v->header, d->rec, name, any ? x : NULL, any ? (int)n : 0))
        return cad_fail(err, CAD_ENOMEM, "%s: FORMAT/%s cannot be set", v->s->in->path, name);
    return !any || holds(v, d, name, x, n) ? 0 : cad_out_of_memory(err);
}

int formats_put(variants_t *v, variant_t *d, cad_error_t *err)
{
    const score_list_t *scores = &v->s->set->scores;
    int rc = records_unpack(d->rec, BCF_UN_ALL, err);
    for (int i = 0; i < scores->n && rc == 0; i++)
        if (scores->row[i]->format) rc = put_score(v, d, scores->row[i], err);
    return rc;
}
