/* reads.c - SAM, BAM and CRAM: every record passes, in order; the chosen ones are
 * scored and gain tags. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <htslib/cram.h>
#include <fcntl.h>
#include <htslib/hts_expr.h>
#include <math.h>
#include <unistd.h>

#include "stream/reads.h"

typedef struct read_t {
    region_t region; /* first: what the pipeline sees */
    bam1_t *bam;
    bool picked;
    int clip; /* bases of SEQ before the region's own sequence */
    struct read_t *spare;
} read_t;

static int out_of_memory(cad_error_t *err) { return cad_fail(err, CAD_ENOMEM, "out of memory"); }

void reads_options_init(reads_options_t *o)
{
    static const char tag[TAGS][3] = { "yp", "yn", "ye", "yb" };
    memset(o, 0, sizeof *o);
    memcpy(o->tag, tag, sizeof tag);
}

/* ---- records come and go by a list of spare ones ---- */

static read_t *read_new(reads_t *r)
{
    read_t *d = r->spare;
    if (d) {
        r->spare = d->spare;
        return d;
    }
    d = calloc(1, sizeof *d);
    if (d) d->bam = bam_init1();
    if (d && d->bam) return d;
    free(d);
    return NULL;
}

static void read_drop(reads_t *r, read_t *d)
{
    region_clear(&d->region);
    d->picked = false;
    d->clip = 0;
    d->spare = r->spare;
    r->spare = d;
}

void reads_drop(void *arg, item_t *it) { read_drop(arg, (read_t *)it); }

int reads_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    return region_take(((reads_t *)arg)->cutter, (region_t *)it, j, err);
}

/* ---- tags ---- */

static bool type_fits(tag_t t, const uint8_t *s)
{
    if (t == TAG_PLL) return *s == 'f' || *s == 'd';
    if (t == TAG_N) return strchr("cCsSiI", *s) != NULL;
    return s[0] == 'B' && s[1] == 'f';
}

/* Old values go, however many there are. */
static int clear_tag(const reads_t *r, bam1_t *b, tag_t t, cad_error_t *err)
{
    const char *tag = r->o->tag[t];
    uint8_t *s;
    while ((s = bam_aux_get(b, tag))) {
        if (!type_fits(t, s))
            return cad_fail(err, CAD_EFORMAT, "%s: read %s has a tag %s of another type; name another with --tag-map",
                            r->in->path, bam_get_qname(b), tag);
        if (bam_aux_del(b, s)) return out_of_memory(err);
    }
    return 0;
}

static int put_array(bam1_t *b, const char *tag, const float *v, int64_t n, cad_error_t *err)
{
    return bam_aux_update_array(b, tag, 'f', (uint32_t)n, (void *)(uintptr_t)v) ? out_of_memory(err) : 0;
}

/* Scores of the region's bases in the order of SEQ, 1 where there is none. */
static void spread_bases(const reads_t *r, const read_t *d, float *out)
{
    const uint32_t *cigar = bam_get_cigar(d->bam);
    const region_t *g = &d->region;
    int64_t q = d->clip, k = 0;
    for (int64_t i = 0; i < d->bam->core.l_qseq; i++) out[i] = 1;
    for (int64_t i = 0; i < g->nbase && !r->o->context_ref; i++)
        if (!isnan(g->bases[i])) out[q + i] = g->bases[i];
    for (uint32_t c = 0; r->o->context_ref && c < d->bam->core.n_cigar; c++) {
        int op = bam_cigar_op(cigar[c]),
            type = op == BAM_CREF_SKIP ? 0 : bam_cigar_type(op); /* bit 1: of SEQ, 2: of the region */
        for (uint32_t i = 0, n = bam_cigar_oplen(cigar[c]); i < n && type; i++, q += type & 1, k += type >> 1)
            if (type == 3 && !isnan(g->bases[k])) out[q] = g->bases[k];
    }
}

static int put_bases(reads_t *r, read_t *d, cad_error_t *err)
{
    int64_t n = d->bam->core.l_qseq;
    float *v = malloc((size_t)n * sizeof *v);
    int rc;
    if (!v) return out_of_memory(err);
    spread_bases(r, d, v);
    rc = put_array(d->bam, r->o->tag[TAG_BASES], v, n, err);
    free(v);
    return rc;
}

static int put_tags(reads_t *r, read_t *d, cad_error_t *err)
{
    const reads_options_t *o = r->o;
    const score_sums_t *s = &d->region.sums;
    bam1_t *b = d->bam;
    int rc = 0;
    if (o->want[TAG_PLL] && s->n && bam_aux_update_float(b, o->tag[TAG_PLL], (float)(s->pll / (double)s->n)))
        return out_of_memory(err);
    if (o->want[TAG_N] && bam_aux_update_int(b, o->tag[TAG_N], s->n)) return out_of_memory(err);
    if (o->want[TAG_EMBEDDING] && d->region.npooled) {
        region_embedding(r->cutter, &d->region, r->row);
        rc = put_array(b, o->tag[TAG_EMBEDDING], r->row, r->cutter->width, err);
    }
    if (rc == 0 && o->want[TAG_BASES] && s->n) rc = put_bases(r, d, err);
    return rc;
}

static int tag_read(reads_t *r, read_t *d, cad_error_t *err)
{
    int rc = 0;
    for (tag_t t = 0; t < TAGS && rc == 0; t++)
        if (r->o->want[t]) rc = clear_tag(r, d->bam, t, err);
    if (rc || d->region.nbase == 0) return rc;
    if (r->cutter->want_scores && d->region.sums.n == 0 && r->out->fp)
        note(r->cutter->notes, NOTE_UNSCORED, 1, "read %s: no base to score", bam_get_qname(d->bam));
    return put_tags(r, d, err);
}

static int contig_md5(const fasta_t *f, const contig_t *c, char hex[33], cad_error_t *err)
{
    enum { PIECE = 1 << 20 };
    unsigned char digest[16];
    char *seq = malloc(PIECE + 1);
    hts_md5_context *sum = hts_md5_init();
    int rc = seq && sum ? 0 : out_of_memory(err);
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

/* htslib would write a CRAM that only the wrong reference decodes. */
static int check_reference(reads_t *r, int tid, cad_error_t *err)
{
    const char *name = sam_hdr_tid2name(r->header, tid);
    const contig_t *c = fasta_find(r->cutter->ref, name);
    kstring_t m5 = { 0, 0, NULL };
    char hex[33];
    int rc = 0;
    r->known[tid] = true;
    if (c && sam_hdr_find_tag_id(r->header, "SQ", "SN", name, "M5", &m5) == 0) {
        rc = contig_md5(r->cutter->ref, c, hex, err);
        if (rc == 0 && strcasecmp(hex, m5.s))
            rc = cad_fail(
                err, CAD_EFORMAT,
                "%s: contig %s is another sequence than %s has by its @SQ M5; give the reference of the reads",
                r->cutter->ref->path, name, r->in->path);
    }
    free(m5.s);
    return rc;
}

/* htslib writes some of these to CRAM, but does not read them again. */
static int check_cram(reads_t *r, const bam1_t *b, cad_error_t *err)
{
    if (b->core.tid >= 0 && !r->known[b->core.tid] && check_reference(r, b->core.tid, err)) return CAD_EFORMAT;
    if (bam_endpos(b) > INT32_MAX || b->core.mpos > INT32_MAX)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: read %s or its mate lies beyond base 2147483647, which CRAM cannot hold; write SAM",
                        r->in->path, bam_get_qname(b));
    if ((b->core.flag & BAM_FUNMAP) || (b->core.tid >= 0 && b->core.pos >= 0 && b->core.n_cigar)) return 0;
    return cad_fail(err, CAD_EFORMAT,
                    "%s: read %s is aligned, but lacks RNAME, POS or CIGAR, which CRAM cannot hold; write BAM",
                    r->in->path, bam_get_qname(b));
}

int reads_sink(void *arg, item_t *it, cad_error_t *err)
{
    reads_t *r = arg;
    read_t *d = (read_t *)it;
    bam1_t *b = d->bam;
    int rc = d->picked ? tag_read(r, d, err) : 0;
    r->records++;
    r->scored += d->picked && d->region.nbase;
    r->bases += d->region.nbase;
    r->bytes += b->l_data + 36;
    if (rc || !r->out->fp) return rc;
    if (r->known) rc = check_cram(r, b, err);
    if (rc == 0) rc = records_in_order(r->out, b->core.tid, b->core.pos, bam_get_qname(b), err);
    if (rc) return rc;
    errno = 0;
    return sam_write1(r->out->fp, r->header, b) < 0 ? records_failed(r->out, err) : 0;
}

/* ---- which reads, and which of their bases ---- */

/* 1, 0 or CAD_E*. */
static int pick(const reads_t *r, const bam1_t *b, cad_error_t *err)
{
    const reads_options_t *o = r->o;
    int rc;
    if ((b->core.flag & o->require) != o->require || (b->core.flag & o->exclude) || b->core.qual < o->min_mapq)
        return 0;
    if (!r->filter) return 1;
    rc = sam_passes_filter(r->header, b, r->filter);
    return rc < 0
               ? cad_fail(err, CAD_EARG, "--include %s: cannot be evaluated for read %s", o->include, bam_get_qname(b))
               : rc;
}

/* Soft-clipped bases at one end; hard clips may lie outside of them. */
static int64_t soft_clip(const bam1_t *b, bool tail)
{
    const uint32_t *cigar = bam_get_cigar(b);
    int64_t bases = 0;
    for (uint32_t i = 0, n = b->core.n_cigar; i < n; i++) {
        uint32_t c = cigar[tail ? n - 1 - i : i];
        if (bam_cigar_op(c) == BAM_CSOFT_CLIP) bases += bam_cigar_oplen(c);
        else if (bam_cigar_op(c) != BAM_CHARD_CLIP) break;
    }
    return bases;
}

/* SEQ as letters: soft clips left out, bases of low quality as N. */
static int own_sequence(const reads_t *r, read_t *d, cad_error_t *err)
{
    const bam1_t *b = d->bam;
    const uint8_t *seq = bam_get_seq(b), *quality = bam_get_qual(b);
    region_t *g = &d->region;
    int64_t beg = r->o->clip_soft ? soft_clip(b, false) : 0,
            end = b->core.l_qseq - (r->o->clip_soft ? soft_clip(b, true) : 0);
    if (end <= beg) return 0;
    g->part = malloc(sizeof *g->part);
    g->seq = malloc((size_t)(end - beg) + 1);
    if (!g->part || !g->seq) return out_of_memory(err);
    for (int64_t i = beg; i < end; i++)
        g->seq[i - beg] = quality[i] != 0xff && quality[i] < r->o->min_bq ? 'N' : seq_nt16_str[bam_seqi(seq, i)];
    d->clip = (int)beg;
    g->length = end - beg;
    g->part[0] = (interval_t) { 0, end - beg };
    g->npart = 1;
    return 0;
}

/* The runs of reference bases under a read, parted where it skips (N). */
static int reference_parts(read_t *d, cad_error_t *err)
{
    const bam1_t *b = d->bam;
    const uint32_t *cigar = bam_get_cigar(b);
    region_t *g = &d->region;
    int64_t at = b->core.pos, beg = at;
    g->part = malloc(((size_t)b->core.n_cigar + 1) * sizeof *g->part);
    if (!g->part) return out_of_memory(err);
    for (uint32_t c = 0; c < b->core.n_cigar; c++) {
        int64_t n = bam_cigar_type(bam_cigar_op(cigar[c])) & 2 ? bam_cigar_oplen(cigar[c]) : 0;
        if (bam_cigar_op(cigar[c]) == BAM_CREF_SKIP) {
            if (at > beg) g->part[g->npart++] = (interval_t) { beg, at };
            beg = at + n;
        }
        at += n;
    }
    if (at > beg) g->part[g->npart++] = (interval_t) { beg, at };
    if (g->npart && g->part[g->npart - 1].end > g->length)
        return cad_fail(err, CAD_EFORMAT,
                        "read %s reaches base %lld of %s, which has %lld in the reference; is it the right one?",
                        bam_get_qname(b), (long long)g->part[g->npart - 1].end, g->name, (long long)g->length);
    return 0;
}

static int place_on_reference(reads_t *r, read_t *d, cad_error_t *err)
{
    const bam1_t *b = d->bam;
    const char *name = b->core.tid < 0 || (b->core.flag & BAM_FUNMAP) ? NULL : sam_hdr_tid2name(r->header, b->core.tid);
    region_t *g = &d->region;
    char hint[700];
    if (!name) {
        note(r->cutter->notes, NOTE_UNMAPPED, 1, "read %s is not aligned and passes untagged", bam_get_qname(b));
        return 0;
    }
    g->contig = fasta_find(r->cutter->ref, name);
    if (!g->contig) {
        if (!r->missing[0])
            snprintf(r->missing, sizeof r->missing, "contig \"%.100s\" is not in %.200s%.300s", name,
                     r->cutter->ref->path, fasta_hint(r->cutter->ref, name, hint, sizeof hint));
        note(r->cutter->notes, NOTE_NO_CONTIG, 1, "%s: %s; its reads pass untagged", r->in->path, r->missing);
        return 0;
    }
    g->name = g->contig->name;
    g->name_len = (int)strlen(g->name);
    g->length = g->contig->length;
    return reference_parts(d, err);
}

static int prepare(reads_t *r, read_t *d, cad_error_t *err)
{
    region_t *g = &d->region;
    int picked = pick(r, d->bam, err), rc;
    if (picked <= 0) return picked;
    d->picked = true;
    g->name = bam_get_qname(d->bam);
    g->name_len = (int)strlen(g->name);
    rc = d->bam->core.l_qseq == 0 ? 0 : r->o->context_ref ? place_on_reference(r, d, err) : own_sequence(r, d, err);
    if (rc == 0 && g->npart == 0 && (d->bam->core.l_qseq == 0 || !r->o->context_ref))
        note(r->cutter->notes, NOTE_NO_SEQUENCE, 1, "read %s has no sequence and passes untagged",
             bam_get_qname(d->bam));
    return rc;
}

static bool overlaps(const reads_t *r, const regions_t *some, const bam1_t *b)
{
    if (!some) return true;
    if (b->core.tid < 0) return regions_overlap(some, "*", 0, 1);
    return regions_overlap(some, sam_hdr_tid2name(r->header, b->core.tid), b->core.pos, bam_endpos(b));
}

static bool wanted(const reads_t *r, const bam1_t *b) { return overlaps(r, r->only, b) && overlaps(r, r->targets, b); }

/* Owns d. */
static int put_read(reads_t *r, read_t *d, cad_error_t *err)
{
    int rc;
    if (!wanted(r, d->bam)) {
        read_drop(r, d);
        return 0;
    }
    if ((rc = prepare(r, d, err))) {
        read_drop(r, d);
        return rc;
    }
    r->placed += d->region.npart > 0;
    d->region.item.bytes = (int64_t)(sizeof *d + d->bam->m_data);
    pipeline_digest(r->cutter->pipe, &d->bam->core, sizeof d->bam->core);
    pipeline_digest(r->cutter->pipe, d->bam->data, (size_t)d->bam->l_data);
    if (d->region.npart) return region_put(r->cutter, &d->region, err);
    pipeline_put(r->cutter->pipe, &d->region.item);
    return pipeline_done(r->cutter->pipe, err);
}

/* ---- the file ---- */

bool reads_has_contig(const void *reads, const char *name)
{
    const reads_t *r = reads;
    return !strcmp(name, "*") || sam_hdr_name2tid(r->header, name) >= 0;
}

/* Tried on a record without anything, as a fault would come up only with the first
 * read; htslib prints some of them itself. */
static int open_filter(reads_t *r, cad_error_t *err)
{
    bam1_t *b = bam_init1();
    int spoken = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_WRONLY | O_CLOEXEC), bad = 1;
    r->filter = hts_filter_init(r->o->include);
    if (b && r->filter && spoken >= 0 && null >= 0 &&
        bam_set1(b, 1, "*", BAM_FUNMAP, -1, -1, 0, 0, NULL, -1, -1, 0, 0, NULL, NULL, 0) >= 0) {
        dup2(null, STDERR_FILENO);
        bad = sam_passes_filter(r->header, b, r->filter);
        dup2(spoken, STDERR_FILENO);
    }
    if (spoken >= 0) close(spoken);
    if (null >= 0) close(null);
    if (b) bam_destroy1(b);
    return bad < 0 ? cad_fail(err, CAD_EARG, "--include %s: not an expression that htslib understands", r->o->include)
           : r->filter ? 0
                       : out_of_memory(err);
}

int reads_open(reads_t *r, const char *reference, cad_error_t *err)
{
    int rc = records_open(&r->fp, r->in, reference, err);
    if (rc) return rc;
    errno = 0;
    r->header = sam_hdr_read(r->fp);
    if (!r->header)
        return cad_fail(err, CAD_EFORMAT, "%s: cut short, or its header is damaged or missing", r->in->path);
    if (r->fp->format.format == cram) records_forget_remote(cram_fd_get_header(r->fp->fp.cram), false);
    return r->o->include ? open_filter(r, err) : 0;
}

static int add_program(reads_t *r, const char *command, const char *description, cad_error_t *err)
{
    if (r->o->no_pg) return 0;
    return sam_hdr_add_pg(r->header, "caduceus", "VN", cad_version(), "CL", command, "DS", description, NULL)
               ? cad_fail(err, CAD_EFORMAT, "%s: no @PG line can be added to its header; --no-PG leaves it out",
                          r->in->path)
               : 0;
}

static int bad_record(const reads_t *r, int64_t seen, cad_error_t *err)
{
    if (r->fp->format.format == sam && !r->fp->is_bgzf)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: not a SAM record, or cut short", r->in->path,
                        (long long)r->fp->lineno);
    return cad_fail(err, CAD_EIO, "%s: damaged or cut short after record %lld%s", r->in->path, (long long)seen,
                    r->fp->format.format == cram ? ", or its reference is missing or another: give it with -T"
                                                 : "; restore it");
}

/* All records, or those of r->walk; those that begin before `from` were seen already. */
static int read_some(reads_t *r, int64_t from, cad_error_t *err)
{
    for (;; r->seen++) {
        read_t *d = read_new(r);
        int got, rc;
        if (!d) return out_of_memory(err);
        errno = 0;
        got = r->walk ? sam_itr_next(r->fp, r->walk, d->bam) : sam_read1(r->fp, r->header, d->bam);
        if (got < 0 || d->bam->core.pos < from) {
            read_drop(r, d);
            if (got < -1) return bad_record(r, r->seen, err);
            if (got < 0) return 0;
            continue;
        }
        rc = records_as_written(r->fp, r->header, d->bam, r->in->path, err);
        if (rc) read_drop(r, d);
        else rc = put_read(r, d, err);
        if (rc) return rc;
    }
}

/* ---- -r: through the index ---- */

static int open_index(reads_t *r, cad_error_t *err)
{
    int rc;
    if (!strcmp(r->in->path, "standard input"))
        return cad_fail(err, CAD_EARG, "-r, -R: standard input has no index; -t and -L filter a stream");
    r->index = sam_index_load3(r->fp, r->in->path, NULL, HTS_IDX_SILENT_FAIL);
    if (!r->index)
        return cad_fail(err, CAD_EIO,
                        "%s: -r and -R need an index; make one with samtools index, or filter with -t, -L",
                        r->in->path);
    rc = r->fp->format.format == cram ? 0 : records_blocks(r->fp, r->in->path, err);
    return rc ? rc : records_whole(r->fp, r->in->path, err);
}

/* Spans k and on that lie near each other, as one: what lies between is read, but not
 * wanted. Else a slice of CRAM is decoded again for each of them. */
static bool next_run(const regions_t *only, const char *name, int *k, interval_t *run)
{
    enum { NEAR = 1 << 16 }; /* about what a slice covers */
    interval_t span;
    if (!regions_get(only, name, *k, run)) return false;
    while (regions_get(only, name, ++*k, &span) && span.beg - run->end < NEAR) run->end = span.end;
    return true;
}

/* Run by run: htslib 1.16 loses records of CRAM when it is given several at once. */
static int read_contig(reads_t *r, int tid, const char *name, cad_error_t *err)
{
    interval_t span, before = { 0, INT64_MIN };
    int rc = 0;
    for (int k = 0; rc == 0 && next_run(r->only, name, &k, &span); before = span) {
        hts_itr_destroy(r->walk);
        r->walk = tid == HTS_IDX_NOCOOR ? sam_itr_queryi(r->index, tid, 0, 0)
                                        : sam_itr_queryi(r->index, tid, span.beg, cad_min(span.end, HTS_POS_MAX));
        if (!r->walk)
            return cad_fail(err, CAD_EFORMAT, "%s: the index does not fit the file; renew it with samtools index",
                            r->in->path);
        rc = read_some(r, before.end, err);
    }
    return rc;
}

static int read_spans(reads_t *r, cad_error_t *err)
{
    int rc = open_index(r, err);
    for (int i = 0; i < sam_hdr_nref(r->header) && rc == 0; i++)
        rc = read_contig(r, i, sam_hdr_tid2name(r->header, i), err);
    return rc ? rc : read_contig(r, HTS_IDX_NOCOOR, "*", err);
}

static int read_all(reads_t *r, htsThreadPool *pool, cad_error_t *err)
{
    int rc = records_threads(r->fp, pool, err);
    if (rc == 0) rc = read_some(r, INT64_MIN, err);
    return rc ? rc : records_end(r->fp, r->in->path, err);
}

int reads_run(reads_t *r, const char *reference, htsThreadPool *pool, const char *command, const char *description,
              cad_error_t *err)
{
    int rc = add_program(r, command, description, err);
    if (rc == 0 && r->o->want[TAG_EMBEDDING]) {
        r->row = cad_alloc((size_t)r->cutter->width, sizeof *r->row);
        if (!r->row) rc = out_of_memory(err);
    }
    if (rc == 0 && r->out->format.hts.format == cram) {
        r->known = calloc((size_t)sam_hdr_nref(r->header) + 1, sizeof *r->known);
        if (!r->known) rc = out_of_memory(err);
    }
    if (rc == 0 && r->out->fp) rc = records_begin(r->out, r->header, NULL, reference, pool, err);
    if (rc == 0) rc = r->only ? read_spans(r, err) : read_all(r, pool, err);
    rc = pipeline_end(r->cutter->pipe, rc, err);
    if (rc == 0 && r->missing[0] && !r->placed)
        rc = cad_fail(err, CAD_EFORMAT, "%s: nothing could be scored: %s", r->in->path, r->missing);
    return rc;
}

void reads_close(reads_t *r)
{
    while (r->spare) {
        read_t *d = r->spare;
        r->spare = d->spare;
        bam_destroy1(d->bam);
        free(d);
    }
    hts_itr_destroy(r->walk);
    if (r->index) hts_idx_destroy(r->index);
    hts_filter_free(r->filter);
    sam_hdr_destroy(r->header);
    if (r->fp) hts_close(r->fp);
    free(r->known);
    free(r->row);
    r->fp = NULL;
    r->header = NULL;
    r->index = NULL;
    r->walk = NULL;
    r->filter = NULL;
    r->known = NULL;
    r->row = NULL;
}
