/* cram_check.c - finds what CRAM cannot store of an alignment record: refuses the record, or prints a note of what CRAM
 * changes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <strings.h>

#include "io/cram_check.h"

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

/* Refuses the reference if the MD5 of its contig differs from the M5 tag in the header, so that the reads were aligned
 * to another sequence. With such a reference, htslib would write a CRAM that only this wrong reference can decode. */
static int check_reference(cram_check_t *r, int tid, cad_error_t *err)
{
    const char *name = sam_hdr_tid2name(r->header, tid);
    const contig_t *c = fasta_find(r->ref, name);
    kstring_t m5 = { 0, 0, NULL };
    char hex[33];
    int rc = 0;
    r->known[tid] = true;
    if (c && sam_hdr_find_tag_id(r->header, "SQ", "SN", name, "M5", &m5) == 0) {
        rc = contig_md5(r->ref, c, hex, err);
        if (rc == 0 && strcasecmp(hex, m5.s))
            rc = cad_fail(
                err, CAD_EFORMAT,
                "%s: contig %s is another sequence than %s has by its @SQ M5; give the reference of the reads",
                r->ref->path, name, r->path);
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

/* Returns a text that says what CRAM cannot store of the record's CIGAR; NULL if CRAM can store the whole CIGAR. */
static const char *unfit(const bam1_t *b)
{
    const uint32_t *cigar = bam_get_cigar(b);
    for (uint32_t i = 0; i < b->core.n_cigar; i++)
        if (bam_cigar_op(cigar[i]) == BAM_CBACK) return "an operation B";
    if (b->core.n_cigar && b->core.l_qseq && bam_cigar2qlen((int)b->core.n_cigar, cigar) != b->core.l_qseq)
        return "another number of bases than its SEQ";
    return NULL;
}

int cram_check_open(cram_check_t *r, cad_error_t *err)
{
    r->known = calloc((size_t)sam_hdr_nref(r->header) + 1, sizeof *r->known);
    return r->known ? 0 : cad_out_of_memory(err);
}

int cram_check(cram_check_t *r, const bam1_t *b, cad_error_t *err)
{
    if (b->core.tid >= 0 && !r->known[b->core.tid] && check_reference(r, b->core.tid, err)) return CAD_EFORMAT;
    if (bam_endpos(b) > INT32_MAX || b->core.mpos > INT32_MAX)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: read %s or its mate lies beyond base 2147483647, which CRAM cannot hold; write SAM",
                        r->path, bam_get_qname(b));
    if (b->core.tid >= 0 && !(b->core.flag & BAM_FUNMAP) && bam_endpos(b) > sam_hdr_tid2len(r->header, b->core.tid))
        return cad_fail(err, CAD_EFORMAT,
                        "%s: read %s reaches past the end of its contig %s, which CRAM cannot hold; write BAM", r->path,
                        bam_get_qname(b), sam_hdr_tid2name(r->header, b->core.tid));
    if (unfit(b))
        return cad_fail(err, CAD_EFORMAT, "%s: read %s has %s in its CIGAR, which CRAM cannot hold; write BAM", r->path,
                        bam_get_qname(b), unfit(b));
    if (altered(b)) note(r->notes, NOTE_CRAM, 1, "read %s: CRAM %s", bam_get_qname(b), altered(b));
    if ((b->core.flag & BAM_FUNMAP) || (b->core.tid >= 0 && b->core.pos >= 0 && b->core.n_cigar)) return 0;
    return cad_fail(err, CAD_EFORMAT,
                    "%s: read %s is aligned, but lacks RNAME, POS or CIGAR, which CRAM cannot hold; write BAM", r->path,
                    bam_get_qname(b));
}
