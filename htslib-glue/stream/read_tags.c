/* read_tags.c - adds results to SAM, BAM and CRAM records as tags, and writes the records.
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <strings.h>

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

/* Sets out (length of SEQ) to log p of each base of SEQ, or to 1 for a base without a score, since log p is never 1. */
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
            /* bit 0: the operation consumes bases of SEQ; bit 1: it consumes bases of the region */
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

/* Adds the tag of a score to the record. Adds none if the score has no value. */
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

/* Sets the colour of a read that was chosen; one without a score has none. */
static int colour_read(bam1_t *b, const score_sums_t *sums, cad_error_t *err)
{
    uint8_t *old;
    while ((old = bam_aux_get(b, "YC")))
        if (bam_aux_del(b, old)) return cad_out_of_memory(err);
    return sums->n ? put_colour(b, sums, err) : 0;
}

static int tag_read(reads_t *r, read_t *d, cad_error_t *err)
{
    const score_list_t *scores = &r->s->set->scores;
    int rc = 0;
    for (int i = 0; i < scores->n && rc == 0; i++) rc = clear_tag(r, d->bam, scores->row[i], err);
    if (rc || d->region.nbase == 0) return rc;
    if (r->s->cutter.want_scores && d->region.sums.n == 0 && r->s->records->fp)
        note(r->s->notes, NOTE_UNSCORED, 1, "read %s: no base to score", bam_get_qname(d->bam));
    for (int i = 0; i < scores->n && rc == 0; i++) rc = put_tag(r, d, scores->row[i], err);
    if (rc == 0 && r->s->set->reads.colour) rc = colour_read(d->bam, &d->region.sums, err);
    return rc;
}

/* ---- CRAM ---- */

static int contig_md5(const fasta_t *f, const contig_t *c, char hex[33], cad_error_t *err)
{
    enum { PIECE = 1 << 20 };
    unsigned char digest[16];
    char *seq = malloc(PIECE + 1);
    hts_md5_context *sum = hts_md5_init();
    int rc = seq && sum ? 0 : cad_out_of_memory(err);
    for (int64_t at = 0, n; at < c->length && rc == 0; at += n) {
        n = cad_min(c->length - at, PIECE);
        rc = fasta_fetch(f, c, at, at + n, seq, err);
        for (int64_t i = 0; i < n && rc == 0; i++) seq[i] = (char)toupper((unsigned char)seq[i]);
        if (rc == 0) hts_md5_update(sum, seq, (unsigned long)n);
    }
    if (rc == 0) {
        hts_md5_final(digest, sum);
        hts_md5_hex(hex, digest);
    }
    if (sum) hts_md5_destroy(sum);
    free(seq);
    return rc;
}

/* Refuses a reference whose contig differs, by its M5, from the contig to which the reads were aligned. With it, htslib
 * would write a CRAM that only this wrong reference can decode. */
static int check_reference(reads_t *r, int tid, cad_error_t *err)
{
    const char *name = sam_hdr_tid2name(r->header, tid);
    const contig_t *c = fasta_find(r->s->ref, name);
    kstring_t m5 = { 0, 0, NULL };
    char hex[33];
    int rc = 0;
    r->known[tid] = true;
    if (c && sam_hdr_find_tag_id(r->header, "SQ", "SN", name, "M5", &m5) == 0) {
        rc = contig_md5(r->s->ref, c, hex, err);
        if (rc == 0 && strcasecmp(hex, m5.s))
            rc = cad_fail(
                err, CAD_EFORMAT,
                "%s: contig %s is another sequence than %s has by its @SQ M5; give the reference of the reads",
                r->s->ref->path, name, r->s->in->path);
    }
    free(m5.s);
    return rc;
}

/* Returns a text that says how CRAM changes the record, or NULL if it does not. CRAM stores an aligned read as its
 * differences from the reference, and only the bases of an unaligned read. */
static const char *altered(const bam1_t *b)
{
    const uint32_t *cigar = bam_get_cigar(b);
    if (!(b->core.flag & BAM_FPAIRED) && b->core.mtid >= 0) return "drops RNEXT of a read that is not paired";
    if (b->core.flag & BAM_FUNMAP)
        return b->core.n_cigar ? "drops the CIGAR of an unaligned read"
               : b->core.qual  ? "drops MAPQ of an unaligned read"
                               : NULL;
    for (uint32_t i = 0; i < b->core.n_cigar; i++) {
        uint32_t op = bam_cigar_op(cigar[i]);
        if (op == BAM_CEQUAL || op == BAM_CDIFF) return "turns = and X of a CIGAR into M";
        if (bam_cigar_oplen(cigar[i]) == 0 || (i && op == bam_cigar_op(cigar[i - 1])))
            return "joins operations of a CIGAR";
    }
    return NULL;
}

/* Returns a text that names the part of the CIGAR that CRAM cannot hold; NULL if CRAM can hold the whole CIGAR. */
static const char *unfit(const bam1_t *b)
{
    const uint32_t *cigar = bam_get_cigar(b);
    for (uint32_t i = 0; i < b->core.n_cigar; i++)
        if (bam_cigar_op(cigar[i]) == BAM_CBACK) return "an operation B";
    if (b->core.n_cigar && b->core.l_qseq && bam_cigar2qlen((int)b->core.n_cigar, cigar) != b->core.l_qseq)
        return "another number of bases than its SEQ";
    return NULL;
}

/* Refuses records that CRAM cannot hold. htslib would write some of them, but could not read them again. */
static int check_cram(reads_t *r, const bam1_t *b, cad_error_t *err)
{
    if (b->core.tid >= 0 && !r->known[b->core.tid] && check_reference(r, b->core.tid, err)) return CAD_EFORMAT;
    if (bam_endpos(b) > INT32_MAX || b->core.mpos > INT32_MAX)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: read %s or its mate lies beyond base 2147483647, which CRAM cannot hold; write SAM",
                        r->s->in->path, bam_get_qname(b));
    if (b->core.tid >= 0 && !(b->core.flag & BAM_FUNMAP) && bam_endpos(b) > sam_hdr_tid2len(r->header, b->core.tid))
        return cad_fail(err, CAD_EFORMAT,
                        "%s: read %s reaches past the end of its contig %s, which CRAM cannot hold; write BAM",
                        r->s->in->path, bam_get_qname(b), sam_hdr_tid2name(r->header, b->core.tid));
    if (unfit(b))
        return cad_fail(err, CAD_EFORMAT, "%s: read %s has %s in its CIGAR, which CRAM cannot hold; write BAM",
                        r->s->in->path, bam_get_qname(b), unfit(b));
    if (altered(b)) note(r->s->notes, NOTE_CRAM, 1, "read %s: CRAM %s", bam_get_qname(b), altered(b));
    if ((b->core.flag & BAM_FUNMAP) || (b->core.tid >= 0 && b->core.pos >= 0 && b->core.n_cigar)) return 0;
    return cad_fail(err, CAD_EFORMAT,
                    "%s: read %s is aligned, but lacks RNAME, POS or CIGAR, which CRAM cannot hold; write BAM",
                    r->s->in->path, bam_get_qname(b));
}

/* ---- the sink ---- */

int reads_sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    reads_t *r = s->state;
    read_t *d = (read_t *)it;
    bam1_t *b = d->bam;
    int rc = d->picked ? tag_read(r, d, err) : 0;
    s->rows++;
    r->scored += d->picked && d->region.nbase;
    r->bases += d->region.nbase;
    r->bytes += b->l_data + 36;
    if (rc || !r->s->records->fp) return rc;
    if (r->known) rc = check_cram(r, b, err);
    if (rc == 0) rc = records_in_order(r->s->records, b->core.tid, b->core.pos, bam_get_qname(b), err);
    if (rc) return rc;
    errno = 0;
    return sam_write1(r->s->records->fp, r->header, b) < 0 ? records_failed(r->s->records, err) : 0;
}
