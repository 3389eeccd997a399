/* reads.c - SAM, BAM and CRAM: every record passes, in order; the chosen ones are
 * scored and gain tags. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <htslib/cram.h>
#include <htslib/hts_expr.h>
#include <math.h>

#include "glue.h"

typedef struct read_t {
    region_t region;      /* first: what the pipeline sees */
    bam1_t *bam;
    bool picked;
    int clip;             /* bases of SEQ before the region's own sequence */
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
            return cad_fail(err, CAD_EFORMAT, "%s: read %s has a tag %s of another type; name another with --tag-map", r->in->path, bam_get_qname(b), tag);
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
        int op = bam_cigar_op(cigar[c]), type = op == BAM_CREF_SKIP ? 0 : bam_cigar_type(op); /* bit 1: of SEQ, 2: of the region */
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
    if (o->want[TAG_PLL] && s->n && bam_aux_update_float(b, o->tag[TAG_PLL], (float)(s->pll / (double)s->n))) return out_of_memory(err);
    if (o->want[TAG_N] && bam_aux_update_int(b, o->tag[TAG_N], s->n)) return out_of_memory(err);
    if (o->want[TAG_EMBEDDING] && d->region.npooled) {
        region_embedding(r->cutter, &d->region, r->row);
        rc = put_array(b, o->tag[TAG_EMBEDDING], r->row, cad_model_number(r->cutter->model, CAD_D_MODEL), err);
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
    rc = records_in_order(r->out, b->core.tid, b->core.pos, bam_get_qname(b), err);
    if (rc) return rc;
    errno = 0;
    return sam_write1(r->out->fp, r->header, b) < 0 ? output_failed(r->out->out, err) : 0;
}

/* ---- which reads, and which of their bases ---- */

/* 1, 0 or CAD_E*. */
static int pick(const reads_t *r, const bam1_t *b, cad_error_t *err)
{
    const reads_options_t *o = r->o;
    int rc;
    if ((b->core.flag & o->require) != o->require || (b->core.flag & o->exclude) || b->core.qual < o->min_mapq) return 0;
    if (!r->filter) return 1;
    rc = sam_passes_filter(r->header, b, r->filter);
    return rc < 0 ? cad_fail(err, CAD_EARG, "--include %s: cannot be evaluated for read %s", o->include, bam_get_qname(b)) : rc;
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
    int64_t beg = r->o->clip_soft ? soft_clip(b, false) : 0, end = b->core.l_qseq - (r->o->clip_soft ? soft_clip(b, true) : 0);
    if (end <= beg) return 0;
    g->part = malloc(sizeof *g->part);
    g->seq = malloc((size_t)(end - beg) + 1);
    if (!g->part || !g->seq) return out_of_memory(err);
    for (int64_t i = beg; i < end; i++)
        g->seq[i - beg] = quality[i] != 0xff && quality[i] < r->o->min_bq ? 'N' : seq_nt16_str[bam_seqi(seq, i)];
    d->clip = (int)beg;
    g->length = end - beg;
    g->part[0] = (interval_t){ 0, end - beg };
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
            if (at > beg) g->part[g->npart++] = (interval_t){ beg, at };
            beg = at + n;
        }
        at += n;
    }
    if (at > beg) g->part[g->npart++] = (interval_t){ beg, at };
    if (g->npart && g->part[g->npart - 1].end > g->length)
        return cad_fail(err, CAD_EFORMAT, "read %s reaches base %lld of %s, which has %lld in the reference; is it the right one?", bam_get_qname(b),
                        (long long)g->part[g->npart - 1].end, g->name, (long long)g->length);
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
        if (!r->missing[0]) snprintf(r->missing, sizeof r->missing, "contig \"%.100s\" is not in %.200s%.300s", name, r->cutter->ref->path, fasta_hint(r->cutter->ref, name, hint, sizeof hint));
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
    rc = r->o->context_ref ? place_on_reference(r, d, err) : own_sequence(r, d, err);
    if (rc == 0 && !r->o->context_ref && g->npart == 0)
        note(r->cutter->notes, NOTE_NO_SEQUENCE, 1, "read %s has no sequence and passes untagged", bam_get_qname(d->bam));
    return rc;
}

static bool wanted(const reads_t *r, const bam1_t *b)
{
    const char *name = b->core.tid < 0 ? NULL : sam_hdr_tid2name(r->header, b->core.tid);
    return !r->targets || (name && regions_overlap(r->targets, name, b->core.pos, bam_endpos(b)));
}

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
    d->region.item.bytes = (int64_t)(sizeof *d + d->bam->m_data);
    if (d->region.npart) return region_put(r->cutter, &d->region, err);
    pipeline_put(r->cutter->pipe, &d->region.item);
    return pipeline_done(r->cutter->pipe, err);
}

/* ---- the file ---- */

/* htslib would follow @SQ UR: references are local. */
static void forget_remote(htsFile *fp)
{
    sam_hdr_t *h = fp->format.format == cram ? cram_fd_get_header(fp->fp.cram) : NULL;
    kstring_t url = { 0, 0, NULL };
    for (int i = 0; h && i < sam_hdr_nref(h); i++)
        if (sam_hdr_find_tag_id(h, "SQ", "SN", sam_hdr_tid2name(h, i), "UR", &url) == 0 && strstr(url.s, "://"))
            sam_hdr_remove_tag_id(h, "SQ", "SN", sam_hdr_tid2name(h, i), "UR");
    free(url.s);
}

bool reads_has_contig(const void *reads, const char *name)
{
    const reads_t *r = reads;
    return !strcmp(name, "*") || sam_hdr_name2tid(r->header, name) >= 0;
}

int reads_open(reads_t *r, const char *reference, htsThreadPool *pool, cad_error_t *err)
{
    int rc = records_open(&r->fp, r->in, reference, pool, err);
    if (rc) return rc;
    errno = 0;
    r->header = sam_hdr_read(r->fp);
    if (!r->header) return cad_fail(err, CAD_EFORMAT, "%s: its header is damaged or missing", r->in->path);
    forget_remote(r->fp);
    if (r->o->include) r->filter = hts_filter_init(r->o->include);
    return r->o->include && !r->filter ? cad_fail(err, CAD_EARG, "--include %s: not an expression that htslib understands", r->o->include) : 0;
}

/* -r: through the index. */
static int jump(reads_t *r, cad_error_t *err)
{
    int n = 0, rc = 0;
    char **text;
    if (!strcmp(r->in->path, "standard input")) return cad_fail(err, CAD_EARG, "-r, -R: standard input has no index; -t and -L filter a stream");
    r->index = sam_index_load3(r->fp, r->in->path, NULL, HTS_IDX_SILENT_FAIL);
    if (!r->index) return cad_fail(err, CAD_EIO, "%s: -r and -R need an index; make one with samtools index, or filter with -t, -L", r->in->path);
    text = regions_text(r->only, reads_has_contig, r, &n);
    if (!text) return out_of_memory(err);
    r->walk = n ? sam_itr_regarray(r->index, r->header, text, (unsigned)n) : NULL;
    if (n && !r->walk) rc = cad_fail(err, CAD_EFORMAT, "%s: the index does not fit the file; renew it with samtools index", r->in->path);
    for (int i = 0; i < n; i++) free(text[i]);
    free(text);
    return rc;
}

static int add_program(reads_t *r, const char *command, const char *description, cad_error_t *err)
{
    if (r->o->no_pg) return 0;
    return sam_hdr_add_pg(r->header, "caduceus", "VN", cad_version(), "CL", command, "DS", description, NULL)
               ? cad_fail(err, CAD_EFORMAT, "%s: no @PG line can be added to its header; --no-PG leaves it out", r->in->path) : 0;
}

static int read_all(reads_t *r, cad_error_t *err)
{
    int64_t seen = 0;
    for (;; seen++) {
        read_t *d = read_new(r);
        int got, rc;
        if (!d) return out_of_memory(err);
        errno = 0;
        got = r->only && !r->walk ? -1 : r->only ? sam_itr_multi_next(r->fp, r->walk, d->bam) : sam_read1(r->fp, r->header, d->bam);
        if (got >= 0) rc = put_read(r, d, err);
        else {
            read_drop(r, d);
            if (got == -1) return r->only ? 0 : records_end(r->fp, r->in->path, err);
            return cad_fail(err, CAD_EIO, "%s: damaged or cut short after record %lld%s", r->in->path, (long long)seen,
                            r->fp->format.format == cram ? ", or its reference is missing or another: give it with -T" : "; restore it");
        }
        if (rc) return rc;
    }
}

int reads_run(reads_t *r, const char *reference, htsThreadPool *pool, const char *command, const char *description, cad_error_t *err)
{
    int rc = add_program(r, command, description, err);
    if (rc == 0 && r->o->want[TAG_EMBEDDING]) {
        r->row = cad_alloc((size_t)cad_model_number(r->cutter->model, CAD_D_MODEL), sizeof *r->row);
        if (!r->row) rc = out_of_memory(err);
    }
    if (rc == 0 && r->out->fp) rc = records_begin(r->out, r->header, NULL, reference, pool, err);
    if (rc == 0 && r->only) rc = jump(r, err);
    if (rc == 0) rc = read_all(r, err);
    if (rc == 0) rc = pipeline_flush(r->cutter->pipe, err);
    if (rc == 0 && r->missing[0] && !r->scored) rc = cad_fail(err, CAD_EFORMAT, "%s: nothing could be scored: %s", r->in->path, r->missing);
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
    free(r->row);
    r->fp = NULL;
    r->header = NULL;
    r->index = NULL;
    r->walk = NULL;
    r->filter = NULL;
    r->row = NULL;
}
