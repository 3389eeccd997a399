/* read_tags.c - adds results to SAM, BAM and CRAM records as tags, and writes the records.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "io/rounded.h"
#include "stream/reads.h"

/* ---- tags ---- */

static const char *tag_of(const reads_t *r, const score_t *score) { return r->s->set->reads.tag[score - SCORE]; }

static bool type_fits(const score_t *score, const uint8_t *s)
{
    if (score->type == SCORE_REAL) return *s == 'f' || *s == 'd';
    if (score->type == SCORE_INTEGER) return strchr("cCsSiI", *s) != NULL;
    return s[0] == 'B' && s[1] == 'f';
}

/* Removes all tags of the score's name from the record, since an earlier run may have left some. */
static int clear_tag(const reads_t *r, bam1_t *b, const score_t *score, cad_error_t *err)
{
    const char *tag = tag_of(r, score);
    uint8_t *s;
    while ((s = bam_aux_get(b, tag))) {
        if (!type_fits(score, s))
            return cad_fail(err, CAD_EFORMAT, "%s: read %s has a tag %s of another type; name another with --tag-map",
                            r->s->in->path, bam_get_qname(b), tag);
        if (bam_aux_del(b, s)) return cad_out_of_memory(err);
    }
    return 0;
}

static int put_array(bam1_t *b, const char *tag, const float *v, int64_t n, cad_error_t *err)
{
    return bam_aux_update_array(b, tag, 'f', (uint32_t)n, (void *)(uintptr_t)v) ? cad_out_of_memory(err) : 0;
}

/* Sets out (length of SEQ) to log p of each base of SEQ. A base without a score gets 1, which no log p can be. */
static void spread_bases(const reads_t *r, const read_t *d, float *out)
{
    const uint32_t *cigar = bam_get_cigar(d->bam);
    const region_t *g = &d->region;
    int64_t q = d->clip, k = 0;
    for (int64_t i = 0; i < d->bam->core.l_qseq; i++) out[i] = 1;
    for (int64_t i = 0; i < g->nbase && !r->s->set->reads.context_ref; i++)
        if (!isnan(g->bases[i])) out[q + i] = g->bases[i];
    for (uint32_t c = 0; r->s->set->reads.context_ref && c < d->bam->core.n_cigar; c++) {
        int op = bam_cigar_op(cigar[c]),
            /* bit 0: the CIGAR operation consumes bases of SEQ; bit 1: the operation consumes bases of the region */
            type = op == BAM_CREF_SKIP ? 0 : bam_cigar_type(op);
        for (uint32_t i = 0, n = bam_cigar_oplen(cigar[c]); i < n && type; i++, q += type & 1, k += type >> 1)
            if (type == 3 && !isnan(g->bases[k])) out[q] = g->bases[k];
    }
}

static int put_bases(reads_t *r, read_t *d, const char *tag, cad_error_t *err)
{
    int64_t n = d->bam->core.l_qseq;
    float *v = malloc((size_t)n * sizeof *v);
    int rc;
    if (!v) return cad_out_of_memory(err);
    spread_bases(r, d, v);
    rc = put_array(d->bam, tag, v, n, err);
    free(v);
    return rc;
}

static int put_embedding(reads_t *r, read_t *d, const char *tag, cad_error_t *err)
{
    region_embedding(&r->s->cutter, &d->region, r->row);
    return put_array(d->bam, tag, r->row, r->s->cutter.width, err);
}

/* Adds the tag of a score to the record. If the score has no value, adds no tag. */
static int put_tag(reads_t *r, read_t *d, const score_t *score, cad_error_t *err)
{
    const score_sums_t *sums = &d->region.sums;
    const char *tag = tag_of(r, score);
    int rc = 0;
    if (score->array == ARRAY_EMBEDDING) return d->region.npooled ? put_embedding(r, d, tag, err) : 0;
    if (score->array == ARRAY_BASES) return sums->n ? put_bases(r, d, tag, err) : 0;
    if (score->type == SCORE_INTEGER) rc = bam_aux_update_int(d->bam, tag, (int64_t)score->value(sums));
    else if (sums->n) rc = bam_aux_update_float(d->bam, tag, (float)score->value(sums));
    return rc ? cad_out_of_memory(err) : 0;
}

/* Sets tag YC from the mean log-likelihood: grey if bases are as likely as by chance (log 1/4), blue if they are twice
 * as likely or more, red if half as likely or less. */
static int put_colour(bam1_t *b, const score_sums_t *sums, cad_error_t *err)
{
    static const int grey[3] = { 190, 190, 190 }, blue[3] = { 0, 70, 200 }, red[3] = { 200, 0, 0 };
    double doublings = 2 + sums->pll / (double)sums->n / log(2), part = fmin(fabs(doublings), 1);
    const int *end = doublings < 0 ? red : blue;
    char text[16];
    int rgb[3];
    for (int i = 0; i < 3; i++) rgb[i] = (int)lrint(grey[i] + part * (end[i] - grey[i]));
    snprintf(text, sizeof text, "%d,%d,%d", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
    return bam_aux_update_str(b, "YC", (int)strlen(text) + 1, text) ? cad_out_of_memory(err) : 0;
}

/* Sets the colour tag of a read that was selected for scoring. A read without a score gets no colour. */
static int colour_read(bam1_t *b, const score_sums_t *sums, cad_error_t *err)
{
    uint8_t *old;
    while ((old = bam_aux_get(b, "YC")))
        if (bam_aux_del(b, old)) return cad_out_of_memory(err);
    return sums->n ? put_colour(b, sums, err) : 0;
}

static int clear_tags(const reads_t *r, bam1_t *b, cad_error_t *err)
{
    const score_list_t *scores = &r->s->set->scores;
    int rc = 0;
    for (int i = 0; i < scores->n && rc == 0; i++) rc = clear_tag(r, b, scores->row[i], err);
    return rc;
}

static int put_tags(reads_t *r, read_t *d, cad_error_t *err)
{
    const score_list_t *scores = &r->s->set->scores;
    int rc = 0;
    if (d->region.nbase == 0) return 0;
    if (r->s->cutter.want_scores && d->region.sums.n == 0 && r->s->records->fp)
        note(r->s->notes, NOTE_UNSCORED, 1, "read %s: no base to score", bam_get_qname(d->bam));
    for (int i = 0; i < scores->n && rc == 0; i++) rc = put_tag(r, d, scores->row[i], err);
    if (rc == 0 && r->s->set->reads.colour) rc = colour_read(d->bam, &d->region.sums, err);
    return rc;
}

/* ---- the sink ---- */

int reads_sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    reads_t *r = s->state;
    read_t *d = (read_t *)it;
    bam1_t *b = d->bam;
    int rc = d->picked ? clear_tags(r, b, err) : 0;
    if (rc) return rc;
    if (r->rounding) rounded_read(s->notes, s->in->path, b);
    if (d->picked) rc = put_tags(r, d, err);
    s->rows++;
    r->scored += d->picked && d->region.nbase;
    r->bases += d->region.nbase;
    r->bytes += b->l_data + 36;
    if (rc || !s->records->fp) return rc;
    if (r->cram.known) rc = cram_check(&r->cram, b, err);
    return rc ? rc : records_put_read(s->records, r->header, b, err);
}
