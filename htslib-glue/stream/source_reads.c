/* source_reads.c - the source of SAM, BAM and CRAM. Every record is written again, in order. The records that the
 * options select are scored and get tags. SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <htslib/cram.h>
#include <htslib/hts_expr.h>
#include <unistd.h>

#include "io/local.h"
#include "io/sam_header.h"
#include "stream/reads.h"
#include "stream/region_source.h"

/* ---- records are reused: a list holds the records that are not in use ---- */

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

static void drop(void *arg, item_t *it) { read_drop(((stream_t *)arg)->state, (read_t *)it); }

/* ---- selecting reads, and bases of reads ---- */

/* Returns 1 if the read is to be scored, 0 if not, or CAD_E*. */
static int pick(const reads_t *r, const bam1_t *b, cad_error_t *err)
{
    const reads_options_t *o = &r->s->set->reads;
    int rc;
    if ((b->core.flag & o->require) != o->require || (b->core.flag & o->exclude) || b->core.qual < o->min_mapq)
        return 0;
    if (!r->filter) return 1;
    rc = sam_passes_filter(r->header, b, r->filter);
    return rc < 0
               ? cad_fail(err, CAD_EARG, "--include %s: cannot be evaluated for read %s", o->include, bam_get_qname(b))
               : rc;
}

/* Returns the number of soft-clipped bases at one end of the read. A hard clip beyond the soft clip is skipped. */
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

/* Sets the sequence to be scored to the letters of SEQ, without soft-clipped bases if --clip-soft is given, and with N
 * for bases of low quality. */
static int own_sequence(const reads_t *r, read_t *d, cad_error_t *err)
{
    const bam1_t *b = d->bam;
    const uint8_t *seq = bam_get_seq(b), *quality = bam_get_qual(b);
    region_t *g = &d->region;
    int64_t beg = r->s->set->reads.clip_soft ? soft_clip(b, false) : 0,
            end = b->core.l_qseq - (r->s->set->reads.clip_soft ? soft_clip(b, true) : 0);
    if (end <= beg) return 0;
    g->span = malloc(sizeof *g->span);
    g->seq = malloc((size_t)(end - beg) + 1);
    if (!g->span || !g->seq) return cad_out_of_memory(err);
    for (int64_t i = beg; i < end; i++)
        g->seq[i - beg] = quality[i] != 0xff && quality[i] < r->s->set->reads.min_bq ? 'N'
                                                                                     : seq_nt16_str[bam_seqi(seq, i)];
    d->clip = (int)beg;
    g->length = end - beg;
    g->span[0] = (interval_t) { 0, end - beg };
    g->nspan = 1;
    return 0;
}

/* Sets the region to the reference bases to which the read is aligned. An operation N (skipped reference) in the CIGAR
 * ends one interval and begins another. */
static int reference_spans(read_t *d, cad_error_t *err)
{
    const bam1_t *b = d->bam;
    const uint32_t *cigar = bam_get_cigar(b);
    region_t *g = &d->region;
    int64_t at = b->core.pos, beg = at;
    g->span = malloc(((size_t)b->core.n_cigar + 1) * sizeof *g->span);
    if (!g->span) return cad_out_of_memory(err);
    for (uint32_t c = 0; c < b->core.n_cigar; c++) {
        int64_t n = bam_cigar_type(bam_cigar_op(cigar[c])) & 2 ? bam_cigar_oplen(cigar[c]) : 0;
        if (bam_cigar_op(cigar[c]) == BAM_CREF_SKIP) {
            if (at > beg) g->span[g->nspan++] = (interval_t) { beg, at };
            beg = at + n;
        }
        at += n;
    }
    if (at > beg) g->span[g->nspan++] = (interval_t) { beg, at };
    if (g->nspan && g->span[g->nspan - 1].end > g->length)
        return cad_fail(err, CAD_EFORMAT,
                        "read %s reaches base %lld of %s, which has %lld in the reference; is it the right one?",
                        bam_get_qname(b), (long long)g->span[g->nspan - 1].end, g->name, (long long)g->length);
    return 0;
}

static int place_on_reference(reads_t *r, read_t *d, cad_error_t *err)
{
    const bam1_t *b = d->bam;
    /* a read with POS 0 counts as unaligned */
    bool aligned = b->core.tid >= 0 && b->core.pos >= 0 && !(b->core.flag & BAM_FUNMAP);
    const char *name = aligned ? sam_hdr_tid2name(r->header, b->core.tid) : NULL;
    region_t *g = &d->region;
    char hint[700];
    if (!name) {
        note(r->s->notes, NOTE_UNMAPPED, 1, "read %s is not aligned and passes untagged", bam_get_qname(b));
        return 0;
    }
    g->contig = fasta_find(r->s->ref, name);
    if (!g->contig) {
        if (!r->missing[0])
            snprintf(r->missing, sizeof r->missing, "contig \"%.100s\" is not in %.200s%.300s", name, r->s->ref->path,
                     fasta_hint(r->s->ref, name, hint, sizeof hint));
        note(r->s->notes, NOTE_NO_CONTIG, 1, "%s: %s; its reads pass untagged", r->s->in->path, r->missing);
        return 0;
    }
    g->name = g->contig->name;
    g->name_len = (int)strlen(g->name);
    g->length = g->contig->length;
    return reference_spans(d, err);
}

static int prepare(reads_t *r, read_t *d, cad_error_t *err)
{
    region_t *g = &d->region;
    int picked = pick(r, d->bam, err), rc;
    if (picked <= 0) return picked;
    d->picked = true;
    g->name = bam_get_qname(d->bam);
    g->name_len = (int)strlen(g->name);
    rc = d->bam->core.l_qseq == 0       ? 0
         : r->s->set->reads.context_ref ? place_on_reference(r, d, err)
                                        : own_sequence(r, d, err);
    if (rc == 0 && g->nspan == 0 && (d->bam->core.l_qseq == 0 || !r->s->set->reads.context_ref))
        note(r->s->notes, NOTE_NO_SEQUENCE, 1, "read %s has no sequence and passes untagged", bam_get_qname(d->bam));
    return rc;
}

static bool overlaps(const reads_t *r, const regions_t *some, const bam1_t *b)
{
    if (!some) return true;
    if (b->core.tid < 0) return regions_overlap(some, "*", 0, 1);
    return regions_overlap(some, sam_hdr_tid2name(r->header, b->core.tid), b->core.pos, bam_endpos(b));
}

static bool wanted(const reads_t *r, const bam1_t *b)
{
    return overlaps(r, r->s->only, b) && overlaps(r, r->s->targets, b);
}

/* Puts the read into the pipeline if -r, -R, -t and -L select it. Takes ownership of d. */
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
    r->placed += d->region.nspan > 0;
    d->region.item.bytes = (int64_t)(sizeof *d + d->bam->m_data);
    pipeline_digest(&r->s->pipe, &d->bam->core, sizeof d->bam->core);
    pipeline_digest(&r->s->pipe, d->bam->data, (size_t)d->bam->l_data);
    if (d->region.nspan) return region_put(&r->s->cutter, &d->region, err);
    pipeline_put(&r->s->pipe, &d->region.item);
    return pipeline_done(&r->s->pipe, err);
}

/* ---- the file ---- */

/* Opens the filter expression and evaluates it on an empty record, because htslib finds some errors only during
 * evaluation. Redirects stderr meanwhile, because htslib prints some of these errors. */
static int open_filter(reads_t *r, cad_error_t *err)
{
    bam1_t *b = bam_init1();
    int spoken = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_WRONLY | O_CLOEXEC), bad = 1;
    r->filter = hts_filter_init(r->s->set->reads.include);
    if (b && r->filter && spoken >= 0 && null >= 0 &&
        bam_set1(b, 1, "*", BAM_FUNMAP, -1, -1, 0, 0, NULL, -1, -1, 0, 0, NULL, NULL, 0) >= 0) {
        dup2(null, STDERR_FILENO);
        bad = sam_passes_filter(r->header, b, r->filter);
        dup2(spoken, STDERR_FILENO);
    }
    if (spoken >= 0) close(spoken);
    if (null >= 0) close(null);
    if (b) bam_destroy1(b);
    return bad < 0     ? cad_fail(err, CAD_EARG, "--include %s: not an expression that htslib understands",
                                  r->s->set->reads.include)
           : r->filter ? 0
                       : cad_out_of_memory(err);
}

static int open_reads(stream_t *s, cad_error_t *err)
{
    reads_t *r = s->state;
    int rc = records_open(&r->fp, s->in, s->set->reference, err);
    r->s = s;
    if (rc) return rc;
    rc = sam_header_read(&r->header, r->fp, s->in->path, s->notes, err);
    if (rc) return rc;
    if (r->fp->format.format == cram) records_forget_remote(cram_fd_get_header(r->fp->fp.cram), false);
    s->format = &r->fp->format;
    return s->set->reads.include ? open_filter(r, err) : 0;
}

static bool has_contig(const void *reads, const char *name)
{
    const reads_t *r = reads;
    return !strcmp(name, "*") || sam_hdr_name2tid(r->header, name) >= 0;
}

static void set_names(const stream_t *s, names_t *names)
{
    *names = (names_t) { s->state, has_contig, s->in->path, NULL, false, false };
}

static int add_program(reads_t *r, cad_error_t *err)
{
    int rc = r->s->set->reads.no_pg ? 0 : sam_header_chains(r->header, r->fp, r->s->in->path, err);
    if (rc || r->s->set->reads.no_pg) return rc;
    return sam_hdr_add_pg(r->header, "caduceus", "VN", cad_version(), "CL", r->s->command, "DS", r->s->description,
                          NULL)
               ? cad_fail(err, CAD_EFORMAT, "%s: no @PG line can be added to its header; --no-PG leaves it out",
                          r->s->in->path)
               : 0;
}

static int bad_record(const reads_t *r, int64_t seen, cad_error_t *err)
{
    if (r->walk) return index_damage(&r->indexed, seen, err);
    if (r->fp->format.format == sam && sam_hdr_nref(r->header) == 0)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: an aligned read, and no @SQ lines in the header; samtools view -ht FASTA.fai adds them",
                        r->s->in->path);
    if (r->fp->format.format == sam && !r->fp->is_bgzf)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: not a SAM record, or cut short", r->s->in->path,
                        (long long)r->fp->lineno);
    return cad_fail(err, CAD_EIO, "%s: damaged or cut short after record %lld%s", r->s->in->path, (long long)seen,
                    r->fp->format.format == cram ? ", or its reference is missing or another: give it with -T"
                                                 : "; restore it");
}

/* Reads all records, or the records of r->walk. Skips records that begin before `from`, since those were read
 * before. */
static int read_some(reads_t *r, int64_t from, cad_error_t *err)
{
    for (;; r->seen++) {
        read_t *d = read_new(r);
        int got, rc;
        if (!d) return cad_out_of_memory(err);
        errno = 0;
        got = r->walk ? sam_itr_next(r->fp, r->walk, d->bam) : sam_read1(r->fp, r->header, d->bam);
        if (got < 0 || d->bam->core.pos < from) {
            read_drop(r, d);
            if (got < -1) return bad_record(r, r->seen, err);
            if (got < 0) return 0;
            continue;
        }
        r->last_tid = d->bam->core.tid;
        r->last_pos = d->bam->core.pos;
        rc = records_placed(r->header, d->bam, r->s->in->path, err);
        if (rc == 0) rc = records_as_written(r->fp, r->header, d->bam, r->s->in->path, err);
        if (rc == 0) rc = sam_line_check(r, d->bam, err);
        if (rc) read_drop(r, d);
        else rc = put_read(r, d, err);
        if (rc) return rc;
    }
}

/* ---- -r: through the index ---- */

static int load_index(reads_t *r, cad_error_t *err)
{
    char *local = local_path(r->s->in->path);
    int rc = local ? index_check(&r->indexed, r->s->notes, err) : cad_out_of_memory(err);
    if (rc == 0) {
        r->index = sam_index_load3(r->fp, local, r->indexed.path, HTS_IDX_SILENT_FAIL);
        if (!r->index) rc = index_misfit(&r->indexed, "htslib cannot load it", err);
    }
    free(local);
    return rc;
}

static int open_index(reads_t *r, cad_error_t *err)
{
    const char *path = r->s->in->path;
    bool is_cram = r->fp->format.format == cram;
    int rc;
    if (!strcmp(path, "standard input"))
        return cad_fail(err, CAD_EARG, "-r, -R: standard input has no index; -t and -L filter a stream");
    rc = index_find(&r->indexed, path, is_cram ? INDEXED_CRAM : INDEXED_READS, sam_hdr_nref(r->header), err);
    if (rc) return rc;
    if (!r->indexed.path)
        return cad_fail(err, CAD_EIO,
                        "%s: -r and -R need an index; make one with samtools index, or filter with -t, -L", path);
    rc = is_cram ? 0 : records_blocks(r->fp, path, err);
    if (rc == 0) rc = records_whole(r->fp, path, err);
    return rc ? rc : load_index(r, err);
}

/* Sets *run to one interval that covers region *k of -r and the following regions, as long as the gaps between them are
 * below NEAR, and moves *k past these regions. Reads in the gaps are read too, and then filtered out. If each region
 * were read by itself, a CRAM slice would be decoded again for each region. */
static bool next_run(const regions_t *only, const char *name, int *k, interval_t *run)
{
    enum { NEAR = 1 << 16 }; /* about the number of reference bases that a CRAM slice covers */
    interval_t span;
    if (!regions_get(only, name, *k, run)) return false;
    while (regions_get(only, name, ++*k, &span) && span.beg - run->end < NEAR) run->end = span.end;
    return true;
}

/* Reads the regions of a contig, one interval of next_run at a time, because htslib 1.16 loses records of a CRAM if it
 * is given several intervals. */
static int read_contig(reads_t *r, int tid, const char *name, cad_error_t *err)
{
    interval_t span, before = { 0, INT64_MIN };
    int rc = 0;
    for (int k = 0; rc == 0 && next_run(r->s->only, name, &k, &span); before = span) {
        bool placed = tid != HTS_IDX_NOCOOR;
        hts_itr_destroy(r->walk);
        r->walk = NULL;
        if (placed && (rc = index_clip(&r->indexed, name, span.beg, &span.end, err))) return rc;
        r->walk = sam_itr_queryi(r->index, tid, placed ? span.beg : 0, placed ? span.end : 0);
        if (!r->walk) return index_misfit(&r->indexed, "it lacks a contig", err);
        rc = index_fits(&r->indexed, r->walk, err);
        if (rc == 0) rc = read_some(r, before.end, err);
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
    return rc ? rc : records_end(r->fp, r->s->in->path, err);
}

static int read_input(stream_t *s, cad_error_t *err)
{
    reads_t *r = s->state;
    int rc = add_program(r, err);
    if (rc == 0 && scores_array(&s->set->scores, ARRAY_EMBEDDING)) {
        r->row = cad_alloc((size_t)s->cutter.width, sizeof *r->row);
        if (!r->row) rc = cad_out_of_memory(err);
    }
    if (rc == 0 && s->records->format.hts.format == cram) {
        r->cram = (cram_check_t) { r->header, s->ref, s->in->path, s->notes, NULL };
        rc = cram_check_open(&r->cram, err);
    }
    r->rounding = s->records->fp && r->fp->format.format != sam && s->records->format.hts.format == sam;
    if (rc == 0 && s->records->fp) rc = records_begin(s->records, r->header, NULL, s->set->reference, s->pool, err);
    if (rc) return rc;
    return s->only ? read_spans(r, err) : read_all(r, s->pool, err);
}

static int finish(stream_t *s, cad_error_t *err)
{
    const reads_t *r = s->state;
    return r->missing[0] && !r->placed
               ? cad_fail(err, CAD_EFORMAT, "%s: nothing could be scored: %s", s->in->path, r->missing)
               : 0;
}

static void close_reads(stream_t *s)
{
    reads_t *r = s->state;
    while (r->spare) {
        read_t *d = r->spare;
        r->spare = d->spare;
        bam_destroy1(d->bam);
        free(d);
    }
    hts_itr_destroy(r->walk);
    if (r->index) hts_idx_destroy(r->index);
    index_close(&r->indexed);
    hts_filter_free(r->filter);
    sam_hdr_destroy(r->header);
    if (r->fp) hts_close(r->fp);
    free(r->cram.known);
    free(r->row);
    free(r->written.s);
}

/* ---- settings, and the estimated size of the output ---- */

static bool fits(const input_t *in) { return in->kind == INPUT_READS; }

static int check_tags(const settings_t *set, cad_error_t *err)
{
    const reads_options_t *o = &set->reads;
    for (int t = 0; SCORE[t].name; t++)
        for (int u = 0; u < t; u++)
            if (SCORE[t].tag && SCORE[u].tag && !strcmp(o->tag[t], o->tag[u]))
                return cad_fail(err, CAD_EARG, "--tag-map: two tags named %s", o->tag[t]);
    for (int i = 0; i < set->scores.n && set->mask == CAD_MASK_NONE; i++) {
        const score_t *score = set->scores.row[i];
        if (score->masked && !o->mapped[score - SCORE])
            return cad_fail(
                err, CAD_EARG,
                "with --mask none the value is not a pseudo-likelihood, so it is not written to the tag %s; choose "
                "another tag with --tag-map %s=XX",
                score->tag, score->tag);
    }
    return 0;
}

static bool has_score(const score_list_t *l, const char *name)
{
    bool any = false;
    for (int i = 0; i < l->n; i++) any |= !strcmp(l->row[i]->name, name);
    return any;
}

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    const reads_options_t *o = &set->reads;
    (void)in;
    if (!set->scores.n && !set->embed)
        return cad_fail(err, CAD_EARG, "--score none without --embed leaves nothing to do");
    if (embed_file(set))
        return cad_fail(err, CAD_EARG, "--embed %s: reads take --embed -, which is the tag ye", set->embed);
    if (o->colour && !has_score(&set->scores, "pll"))
        return cad_fail(err, CAD_EARG, "--color shows pll: name it in --score");
    if (set->embed) scores_add(&set->scores, "embedding");
    scores_sort(&set->scores);
    if (o->context_ref && !set->reference) return cad_fail(err, CAD_EARG, "--context ref needs -T FASTA");
    if (o->context_ref && (o->clip_soft || o->min_bq_given))
        return cad_fail(err, CAD_EARG, "--clip-soft and --min-BQ do not fit --context ref");
    if (!o->context_ref && set->skip_soft)
        return cad_fail(err, CAD_EARG, "reads have no lower case; --skip-soft-masked needs --context ref");
    return check_tags(set, err);
}

static int plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    s->on_reference = s->set->reads.context_ref;
    return regions_plan_cutter(s, window, longest, err);
}

static void describe(const stream_t *s, text_t *t)
{
    const reads_options_t *o = &s->set->reads;
    regions_describe(s, t);
    if (o->context_ref) text_puts(t, " context=ref");
    if (o->clip_soft) text_puts(t, " clip-soft");
    if (o->min_bq) text_printf(t, " min-BQ=%d", o->min_bq);
}

static void estimate(const stream_t *s, estimate_t *e)
{
    const reads_t *r = s->state;
    e->bytes = r->bytes + r->scored * (14 + (s->set->embed ? 4 * s->cutter.width : 0)) +
               (s->cutter.want_bases ? 4 * r->bases : 0);
}

static const char *contig_name(const void *header, int i) { return sam_hdr_tid2name(header, i); }
static int64_t contig_length(const void *header, int i) { return sam_hdr_tid2len(header, i); }

static double share(const stream_t *s)
{
    const reads_t *r = s->state;
    contigs_t contigs = { r->header, sam_hdr_nref(r->header), contig_name, contig_length };
    if (!s->only && r->fp->format.format != cram) return records_share(r->fp, s->in);
    return regions_share_before(s->only, &contigs, r->last_tid, r->last_pos);
}

const source_t SOURCE_READS = {
    .holds = "reads",
    .counts = "reads",
    .options = " reference chr-alias output-fmt output-fmt-option write-index no-PG score mask skip-soft-masked embed "
               "pool require-flags exclude-flags min-MQ include context clip-soft min-BQ tag-map color ",
    .headless = "use --score none --embed FILE",
    .needs = NEEDS_BASES,
    .of = OF_READS,
    .scores = "pll,n",
    .writes = WRITES_READS,
    .size = sizeof(reads_t),
    .fits = fits,
    .check = check,
    .open = open_reads,
    .names = set_names,
    .plan = plan,
    .describe = describe,
    .read = read_input,
    .finish = finish,
    .take = regions_take,
    .sink = reads_sink,
    .drop = drop,
    .estimate = estimate,
    .share = share,
    .close = close_reads,
};
