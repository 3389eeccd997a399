/* records.c - reads and writes alignment and variant files through htslib. Checks that inputs are complete, writes each
 * output completely or not at all, and indexes outputs. SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <htslib/cram.h>
#include <htslib/hfile.h>
#include <htslib/sam.h>
#include <htslib/vcf.h>
#include <unistd.h>

#include "io/cram_layout.h"
#include "io/local.h"
#include "io/shard.h"
#include "io/index_check.h"
#include "io/records.h"
#include "io/signals.h"

/* ---- threads that compress and decompress ---- */

int records_pool(htsThreadPool *pool, int threads, cad_error_t *err)
{
    *pool = (htsThreadPool) { NULL, 0 };
    if (threads < 2) return 0;
    signals_keep();
    pool->pool = hts_tpool_init(threads);
    signals_release();
    return pool->pool ? 0 : cad_fail(err, CAD_ENOMEM, "cannot start %d threads", threads);
}

/* Lets the threads of the pool serve fp, if the file is BGZF and not SAM. With threads, htslib would not notice that
 * the end marker of a CRAM is missing, would choose the codecs of a CRAM by chance, and would lose the line numbers of
 * a SAM. */
static int use_pool(htsFile *fp, htsThreadPool *pool)
{
    bool blocks = fp->is_bgzf && fp->format.format != sam;
    int rc;
    if (!pool->pool || !blocks) return 0;
    signals_keep();
    rc = hts_set_opt(fp, HTS_OPT_THREAD_POOL, pool);
    signals_release();
    return rc;
}

/* ---- reading ---- */

static int set_reference(htsFile *fp, const char *reference, const char *path, cad_error_t *err)
{
    char *local = local_path(reference);
    int bad = local ? hts_set_fai_filename(fp, local) : -1;
    free(local);
    if (strstr(reference, HTS_IDX_DELIM))
        return cad_fail(err, CAD_EARG,
                        "%s: " HTS_IDX_DELIM " in the name of a reference of CRAM has a meaning to htslib; "
                        "rename it",
                        reference);
    return bad ? cad_fail(err, CAD_EIO, "%s: cannot be used as the reference of %s", reference, path) : 0;
}

int records_open(htsFile **fp, input_t *in, const char *reference, cad_error_t *err)
{
    int rc;
    if (!in->h) return cad_fail(err, CAD_EFORMAT, "%s: holds no reads or variants, or memory is short", in->path);
    errno = 0;
    *fp = hts_hopen(in->h, in->path, "r");
    if (!*fp)
        return cad_fail(err, CAD_EFORMAT, "%s: cannot be read: %s", in->path,
                        errno ? strerror(errno) : "damaged, or of another format");
    in->h = NULL; /* the htslib file *fp owns the handle now */
    if ((*fp)->format.format != cram) return 0;
    if (in->size && (rc = cram_check_headers(in->path, err))) return rc;
    return reference ? set_reference(*fp, reference, in->path, err) : 0;
}

/* Must not be called before the header is read, nor for a file in which htslib will seek. If damaged data has ended
 * htslib's reading thread, htslib 1.16 waits for that thread forever when it seeks or looks for the end marker. */
int records_threads(htsFile *fp, htsThreadPool *pool, cad_error_t *err)
{
    return use_pool(fp, pool) ? cad_out_of_memory(err) : 0;
}

static int cut_short(const char *path, cad_error_t *err)
{
    return cad_fail(err, CAD_EIO, "%s: cut short: the end marker is missing; restore the file", path);
}

int records_whole(htsFile *fp, const char *path, cad_error_t *err)
{
    return hts_check_EOF(fp) == 0 ? cut_short(path, err) : 0;
}

int records_blocks(htsFile *fp, const char *path, cad_error_t *err)
{
    if (fp->is_bgzf && fp->format.compression == bgzf) return 0;
    return cad_fail(err, CAD_EFORMAT,
                    "%s: -r and -R need a file compressed with bgzip; recompress and index it, or filter with -t, -L",
                    path);
}

double records_share(const htsFile *fp, const input_t *in)
{
    off_t at = !fp ? 0 : fp->is_bgzf ? (off_t)fp->fp.bgzf->block_address : htell(fp->fp.hfile);
    return in->size && at > 0 ? (double)at / (double)in->size : 0;
}

int records_end(htsFile *fp, const char *path, cad_error_t *err)
{
    bool cut = false;
    if (fp->format.format == cram) /* CRAM 2.0 has no end marker */
        cut = cram_eof(fp->fp.cram) == 2 && !(cram_major_vers(fp->fp.cram) == 2 && cram_minor_vers(fp->fp.cram) == 0);
    else if (fp->is_bgzf) cut = fp->fp.bgzf->is_compressed && fp->fp.bgzf->no_eof_block;
    return cut ? cut_short(path, err) : 0;
}

void records_forget_remote(sam_hdr_t *h, bool unless_m5)
{
    kstring_t s = { 0, 0, NULL };
    for (int i = 0; h && i < sam_hdr_nref(h); i++) {
        const char *name = sam_hdr_tid2name(h, i);
        if (sam_hdr_find_tag_id(h, "SQ", "SN", name, "UR", &s) || !hisremote(s.s)) continue;
        if (!unless_m5 || sam_hdr_find_tag_id(h, "SQ", "SN", name, "M5", &s))
            sam_hdr_remove_tag_id(h, "SQ", "SN", name, "UR");
    }
    free(s.s);
}

/* Returns field k (from 0) of a line in which htslib's parser may already have replaced tabs by NUL. */
static const char *field(const char *line, int k)
{
    while (k-- > 0) line += strcspn(line, "\t") + 1;
    return line;
}

/* Returns the index of the contig that a field names; -1 for *, -2 if the header lacks the contig. */
static int named_contig(sam_hdr_t *h, const char *s)
{
    size_t n = strcspn(s, "\t");
    /* if this copy cannot be allocated, the contig counts as unknown */
    char *name = n == 1 && *s == '*' ? NULL : strndup(s, n);
    int tid = n == 1 && *s == '*' ? -1 : name ? sam_hdr_name2tid(h, name) : -2;
    if (name && tid < 0) tid = -2;
    free(name);
    return tid;
}

int records_placed(const sam_hdr_t *h, const bam1_t *b, const char *path, cad_error_t *err)
{
    const bam1_core_t *c = &b->core;
    int n = sam_hdr_nref(h);
    if (c->tid >= -1 && c->tid < n && c->mtid >= -1 && c->mtid < n && c->pos >= -1 && c->mpos >= -1) return 0;
    return cad_fail(
        err, CAD_EFORMAT,
        "%s: read %.254s or its mate lies on no contig of the header, or before base 0; the file is damaged", path,
        bam_get_qname(b));
}

int records_as_written(htsFile *fp, sam_hdr_t *h, bam1_t *b, const char *path, cad_error_t *err)
{
    const char *line, *mate;
    int contig, mate_contig;
    if (fp->format.format != sam) return 0;
    line = fp->line.s;
    mate = field(line, 6);
    contig = named_contig(h, field(line, 2));
    mate_contig = *mate == '=' ? contig : named_contig(h, mate);
    if (contig < -1 || mate_contig < -1)
        return cad_fail(err, CAD_EFORMAT, "%s: read %s is on a contig that no @SQ line names; add the line", path,
                        bam_get_qname(b));
    b->core.flag = (uint16_t)strtol(field(line, 1), NULL, 0);
    b->core.tid = contig;
    b->core.mtid = mate_contig;
    return 0;
}

/* ---- the format of an output ---- */

static const struct {
    const char *suffix;
    bool reads;
    enum htsExactFormat format;
    bool bgzf;
} SUFFIX[] = {
    { ".sam", true, sam, false },    { ".sam.gz", true, sam, true },   { ".sam.bgz", true, sam, true },
    { ".bam", true, bam, true },     { ".cram", true, cram, false },   { ".vcf", false, vcf, false },
    { ".vcf.gz", false, vcf, true }, { ".vcf.bgz", false, vcf, true }, { ".bcf", false, bcf, true },
};

/* Sets the format by the suffix of path. Returns 1, or 0 if the suffix names no format. Returns CAD_EARG if the suffix
 * names a format of variants but the output is reads, or the reverse. */
static int by_suffix(format_t *f, bool reads, const char *path, cad_error_t *err)
{
    for (size_t i = 0; i < sizeof SUFFIX / sizeof *SUFFIX; i++) {
        if (!ends_in(path, SUFFIX[i].suffix)) continue;
        if (SUFFIX[i].reads != reads)
            return cad_fail(err, CAD_EARG, "%s: the input holds %s; choose another suffix, or -O", path,
                            reads ? "reads" : "variants");
        f->hts.format = SUFFIX[i].format;
        f->bgzf = SUFFIX[i].bgzf;
        return 1;
    }
    return 0;
}

/* Sets the format of variants by a value of -O as in bcftools: "u", "b", "v" or "z". A digit after b or z is the
 * compression level. */
static bool by_letter(format_t *f, const char *s)
{
    int level = s[0] ? s[1] : 0;
    if (!*s || !strchr("ubvz", *s) || (level && (s[2] || level < '0' || level > '9' || *s == 'u' || *s == 'v')))
        return false;
    f->hts.format = *s == 'u' || *s == 'b' ? bcf : vcf;
    f->bgzf = *s != 'v';
    f->level = *s == 'u' ? '0' : (char)level;
    return true;
}

static bool by_name(format_t *f, const char *s)
{
    if (hts_parse_format(&f->hts, s)) return false;
    f->bgzf = f->hts.format == bam || f->hts.compression == bgzf;
    return f->hts.format == sam || f->hts.format == bam || f->hts.format == cram;
}

int format_choose(format_t *f, bool reads, const char *asked, const char *path, const htsFormat *in, cad_error_t *err)
{
    int rc;
    if (asked && reads && !by_name(f, asked))
        return cad_fail(err, CAD_EARG,
                        "-O %.60s: reads are written as sam, bam or cram, with options as in bam,level=1", asked);
    if (asked && !reads && !by_letter(f, asked))
        return cad_fail(err, CAD_EARG, "-O %.60s: variants are written as u, b, v or z, with a level as in z9", asked);
    rc = asked ? 1 : by_suffix(f, reads, path, err);
    if (rc) return rc < 0 ? rc : 0;
    f->hts.format = in->format;
    f->bgzf = in->format == bam || in->format == bcf;
    return 0;
}

int format_suffix(const format_t *f, const char *asked, const char *path, cad_error_t *err)
{
    enum htsExactFormat format = f->hts.format;
    bool reads = format == sam || format == bam || format == cram;
    if (asked) return 0;
    if (reads) return output_suffix(path, format == sam ? "sam bam cram txt" : "sam bam cram", "sam", err);
    return output_suffix(path, format == vcf ? "vcf bcf txt" : "vcf bcf", "vcf", err);
}

/* ---- writing ---- */

/* Refuses contigs that are too long for BAM and BCF, which store coordinates in 31 bits. */
static int check_length(const records_out_t *o, const char *contig, int64_t length, cad_error_t *err)
{
    enum htsExactFormat format = o->format.hts.format;
    if (length <= INT32_MAX || (format != bam && format != bcf)) return 0;
    return cad_fail(err, CAD_EARG, "%s: %s cannot hold contig %s of %lld bases; write %s", o->path,
                    format == bam ? "BAM" : "BCF", contig, (long long)length, format == bam ? "SAM" : "VCF");
}

static int check_lengths(const records_out_t *o, const sam_hdr_t *reads, const bcf_hdr_t *variants, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; reads && i < sam_hdr_nref(reads) && rc == 0; i++)
        rc = check_length(o, sam_hdr_tid2name(reads, i), sam_hdr_tid2len(reads, i), err);
    /* the header's contig numbers (IDX=) may have gaps */
    for (int i = 0; variants && i < variants->n[BCF_DT_CTG] && rc == 0; i++)
        if (bcf_hdr_id2name(variants, i))
            rc = check_length(o, bcf_hdr_id2name(variants, i), (int64_t)variants->id[BCF_DT_CTG][i].val->info[0], err);
    return rc;
}

/* Returns the suffix of the index, or NULL if the format cannot have an index of this type. Sets *shift to the
 * min_shift that htslib needs. */
static const char *index_suffix(const records_out_t *o, int *shift)
{
    enum htsExactFormat format = o->format.hts.format;
    bool bai = o->index == INDEX_BAI, tbi = o->index == INDEX_TBI;
    *shift = bai || tbi || format == cram ? 0 : 14;
    if (format == cram) return o->index == INDEX_CSI ? ".crai" : NULL;
    if (!o->format.bgzf || (format == bcf && o->format.level == '0')) return NULL;
    if (format == sam || format == bam) return bai ? ".bai" : tbi ? NULL : ".csi";
    if (format == bcf) return o->index == INDEX_CSI ? ".csi" : NULL;
    return tbi ? ".tbi" : bai ? NULL : ".csi";
}

int records_plan(records_out_t *o, cad_error_t *err)
{
    const char *suffix = o->index ? index_suffix(o, &o->shift) : "";
    /* refuses the user's own number of threads, because a second thread pool would crash htslib */
    for (const hts_opt *p = o->format.hts.specific; p; p = p->next)
        if (p->opt == HTS_OPT_NTHREADS || p->opt == HTS_OPT_THREAD_POOL)
            return cad_fail(err, CAD_EARG, "-O, --output-fmt-option: threads are set with -@");
    if (!o->index) return 0;
    if (!suffix)
        return cad_fail(
            err, CAD_EARG,
            "--write-index: no index of that kind fits this output; BAM takes csi or bai, VCF.gz csi or tbi, BCF csi, CRAM its own");
    if (!strcmp(o->path, "-"))
        return cad_fail(err, CAD_EARG, "--write-index: there is no index beside standard output; name a file with -o");
    o->index_path = suffixed(o->path, suffix);
    return o->index_path ? 0 : cad_out_of_memory(err);
}

int records_create(records_out_t *o, cad_error_t *err)
{
    char mode[4] = "w";
    int rc;
    bool binary = o->format.bgzf || o->format.hts.format == cram;
    if (o->format.hts.format == cram) strcat(mode, "c");
    else if (o->format.bgzf) strcat(mode, o->format.hts.format == bam || o->format.hts.format == bcf ? "b" : "z");
    if (o->format.level) strncat(mode, &o->format.level, 1);
    rc = output_open(&o->out, o->path, false, err);
    if (rc == 0 && binary && output_is_terminal(o->out))
        rc = cad_fail(err, CAD_EARG, "binary data would go to a terminal; name a file with -o, or see -O");
    if (rc == 0 && o->index && !output_is_file(o->out))
        rc = cad_fail(err, CAD_EARG, "--write-index: %s is not a regular file", o->path);
    if (rc == 0 && o->index) rc = output_open(&o->index_out, o->index_path, false, err);
    return rc ? rc : output_hts(o->out, mode, &o->fp, err);
}

/* True if the output is a CRAM that needs a reference. It needs none if the user chose no_ref=1 or embed_ref=2, or if
 * the input is a CRAM that was read without a reference. */
static bool needs_reference(const records_out_t *o)
{
    bool needs = o->format.hts.format == cram && !o->embed;
    for (const hts_opt *p = o->format.hts.specific; p; p = p->next)
        if ((p->opt == CRAM_OPT_NO_REF && p->val.i) || (p->opt == CRAM_OPT_EMBED_REF && p->val.i == 2)) needs = false;
    return needs;
}

/* True if htslib probably failed because it did not find the reference. In that case htslib may leave any errno, so the
 * result is true if a reference is needed and errno is not a typical error of writing. */
static bool lacks_reference(const records_out_t *o)
{
    static const int writing[] = { ENOSPC, EDQUOT, EFBIG, EIO, EPIPE, EBADF, ENOMEM };
    bool found = !needs_reference(o);
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) found |= errno == writing[i];
    return !found;
}

static int say_reference(const records_out_t *o, cad_error_t *err)
{
    return cad_fail(
        err, CAD_EARG,
        "%s: CRAM needs the reference of its contigs, which is missing or another: give it with -T, or see -O cram,no_ref=1",
        strcmp(o->path, "-") ? o->path : "standard output");
}

static int put_failed(records_out_t *o, cad_error_t *err)
{
    bool reference = lacks_reference(o);
    int rc = output_failed(o->out, err);
    return reference ? say_reference(o, err) : rc;
}

/* Sets the reference, the threads and the user's options of the output. Called after the model is loaded. */
static int configure(records_out_t *o, const char *reference, htsThreadPool *pool, cad_error_t *err)
{
    int rc;
    o->fp->format.format = o->format.hts.format;
    if (o->format.hts.format == cram && !o->embed)
        /* otherwise htslib, if it finds no reference, would embed one that it derives from the reads */
        hts_set_opt(o->fp, CRAM_OPT_EMBED_REF, 0);
    if (o->format.hts.format == cram && reference && (rc = set_reference(o->fp, reference, o->path, err))) return rc;
    if (o->format.hts.specific && hts_opt_apply(o->fp, o->format.hts.specific))
        return cad_fail(err, CAD_EARG, "-O, --output-fmt-option: an option that does not fit the output");
    return use_pool(o->fp, pool) ? cad_out_of_memory(err) : 0;
}

int records_begin(records_out_t *o, sam_hdr_t *reads, bcf_hdr_t *variants, const char *reference, htsThreadPool *pool,
                  cad_error_t *err)
{
    int rc = check_lengths(o, reads, variants, err), bad;
    if (rc == 0) rc = configure(o, reference, pool, err);
    if (rc) return rc;
    if (reads && needs_reference(o))
        /* because htslib would download the reference from UR to compute M5; htslib writes a UR of its own */
        records_forget_remote(reads, true);
    errno = 0;
    bad = reads ? sam_hdr_write(o->fp, reads) : bcf_hdr_write(o->fp, variants);
    if (bad) return put_failed(o, err);
    if (o->format.hts.format == cram) /* the header is already written, so removing tags does not change the output */
        records_forget_remote(cram_fd_get_header(o->fp->fp.cram), false);
    if (!o->index) return 0;
    bad = reads ? sam_idx_init(o->fp, reads, o->shift, output_temporary(o->index_out))
                : bcf_idx_init(o->fp, variants, o->shift, output_temporary(o->index_out));
    return bad ? cad_fail(err, CAD_ENOMEM, "%s: no index can be made for this output", o->path) : 0;
}

/* Returns CAD_EFORMAT if an index is to be written and the record is out of order: contigs must be in the order of the
 * header, positions must ascend, and unaligned reads must be last. pos is 0-based; name is for the message. */
static int in_order(records_out_t *o, int contig, int64_t pos, const char *name, cad_error_t *err)
{
    uint32_t at = (uint32_t)contig; /* -1 becomes the largest number, so unaligned reads come last */
    if (!o->index) return 0;
    if (pos >= (int64_t)1 << 29 && (o->index == INDEX_BAI || o->index == INDEX_TBI))
        return cad_fail(err, CAD_EARG, "record %s: lies beyond what BAI and TBI can index; use --write-index=csi",
                        name);
    if (o->any && (at < o->contig || (at == o->contig && contig >= 0 && pos < o->pos)))
        return cad_fail(
            err, CAD_EFORMAT,
            "record %s: not sorted by coordinate, so the output cannot be indexed; sort it, or leave out --write-index",
            name);
    o->any = true;
    o->contig = at;
    o->pos = pos;
    return 0;
}

int records_put_read(records_out_t *o, const sam_hdr_t *h, const bam1_t *b, cad_error_t *err)
{
    int rc = in_order(o, b->core.tid, b->core.pos, bam_get_qname(b), err);
    if (rc) return rc;
    errno = 0;
    return sam_write1(o->fp, h, b) < 0 ? put_failed(o, err) : 0;
}

/* Enlarges the array p to n elements of `size` bytes, if it has fewer; new elements are zero. *m: the number of
 * elements that the array has room for. Returns the array; sets *ok to false when out of memory. */
static void *expand(void *p, int *m, size_t n, size_t size, bool *ok)
{
    char *more;
    if (n <= (size_t)*m) return p;
    more = n <= INT_MAX ? realloc(p, n * size) : NULL;
    if (more) memset(more + (size_t)*m * size, 0, (n - (size_t)*m) * size);
    *ok &= more != NULL;
    *m = more ? (int)n : *m;
    return more ? more : p;
}

int records_unpack(bcf1_t *rec, int which, cad_error_t *err)
{
    bcf_dec_t *d = &rec->d;
    /* enough: each text ends with NUL, and each FILTER takes at least one byte */
    size_t n = rec->shared.l + rec->n_allele + 2;
    bool room = true;
    d->id = expand(d->id, &d->m_id, n, 1, &room);
    /* not once unpacked, since d->allele points into d->als */
    if (!(rec->unpacked & BCF_UN_STR)) d->als = expand(d->als, &d->m_als, n, 1, &room);
    d->allele = expand(d->allele, &d->m_allele, rec->n_allele, sizeof *d->allele, &room);
    d->flt = expand(d->flt, &d->m_flt, n, sizeof *d->flt, &room);
    d->info = expand(d->info, &d->m_info, rec->n_info, sizeof *d->info, &room);
    d->fmt = expand(d->fmt, &d->m_fmt, rec->n_fmt, sizeof *d->fmt, &room);
    return room && bcf_unpack(rec, which) >= 0 ? 0 : cad_out_of_memory(err);
}

static size_t name_length(const bcf_hdr_t *h, int id) { return strlen(bcf_hdr_int2id(h, BCF_DT_ID, id)) + 2; }

/* Allocates the text of a VCF line in advance, because htslib writes only a part of the line and reports no error if
 * memory is short. The upper limit of the line's length is the sum of all names, separators, and six letters for each
 * byte of the fields in BCF. */
static int reserve_line(htsFile *fp, const bcf_hdr_t *h, bcf1_t *rec, cad_error_t *err)
{
    size_t n = 256 + strlen(bcf_seqname_safe(h, rec)) + 6 * (rec->shared.l + rec->indiv.l);
    if (fp->format.format != vcf) return 0;
    if (records_unpack(rec, BCF_UN_ALL, err)) return CAD_ENOMEM;
    n += 2 * (size_t)rec->n_fmt * (rec->n_sample + 1);
    for (int i = 0; i < rec->d.n_flt; i++) n += name_length(h, rec->d.flt[i]);
    for (int i = 0; i < rec->n_fmt; i++) {
        const bcf_fmt_t *f = &rec->d.fmt[i];
        /* rec->indiv does not contain values that were added */
        n += name_length(h, f->id) + (f->p ? 6 * (size_t)f->p_len : 0);
    }
    for (int i = 0; i < rec->n_info; i++) {
        const bcf_info_t *f = &rec->d.info[i];
        /* rec->shared does not contain values that were added */
        n += name_length(h, f->key) + (f->vptr ? 6 * (size_t)f->vptr_len : 0);
    }
    return ks_resize(&fp->line, n) < 0 ? cad_out_of_memory(err) : 0;
}

/* Returns the correct size in bytes of the record's shared block in BCF, which holds everything but FORMAT. Assumes
 * that only INFO was changed since the record was read. */
static size_t packed_size(const bcf1_t *rec)
{
    size_t n = 0;
    if (!rec->d.shared_dirty) return rec->shared.l;
    for (int k = 0; k < 3; k++) n += (size_t)rec->unpack_size[k]; /* sizes of ID, alleles and FILTER */
    for (int i = 0; i < rec->n_info; i++)
        if (rec->d.info[i].vptr) n += rec->d.info[i].vptr_off + rec->d.info[i].vptr_len;
    return n;
}

/* Returns the correct size in bytes of the record's block of FORMAT in BCF. */
static size_t packed_formats(const bcf1_t *rec)
{
    size_t n = 0;
    if (!rec->d.indiv_dirty) return rec->indiv.l;
    for (int i = 0; i < rec->n_fmt; i++)
        if (rec->d.fmt[i].p) n += rec->d.fmt[i].p_off + rec->d.fmt[i].p_len;
    return n;
}

int records_put_variant(records_out_t *o, bcf_hdr_t *h, bcf1_t *rec, const char *name, cad_error_t *err)
{
    int rc = in_order(o, rec->rid, rec->pos, name, err);
    size_t size = packed_size(rec), formats = packed_formats(rec);
    if (rc == 0) rc = reserve_line(o->fp, h, rec, err);
    if (rc) return rc;
    errno = 0;
    if (bcf_write(o->fp, h, rec) < 0) return output_failed(o->out, err);
    /* if memory is short while htslib packs a BCF record, it writes an incomplete record and reports no error */
    return o->format.hts.format == bcf && (rec->shared.l != size || rec->indiv.l != formats) ? cad_out_of_memory(err)
                                                                                             : 0;
}

/* Checks that a finished file consists of BGZF blocks. If htslib's threads cannot compress a block because memory is
 * short, they report nothing and write whatever the buffer holds. */
static int check_blocks(const records_out_t *o, cad_error_t *err)
{
    uint64_t at = 0, size, data, end = (uint64_t)output_bytes(o->out);
    int fd = open(output_temporary(o->out), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return cad_fail(err, CAD_EIO, "%s: %s", o->path, strerror(errno));
    while (at < end && bgzf_block_at(fd, at, &size, &data)) at += size;
    close(fd);
    return at == end ? 0 : cad_fail(err, CAD_ENOMEM, "%s: a block could not be compressed; out of memory?", o->path);
}

int records_close(records_out_t *o, const provenance_t *p, cad_error_t *err)
{
    bool reads = o->format.hts.format == sam || o->format.hts.format == bam || o->format.hts.format == cram;
    output_t **all[] = { &o->out, &o->index_out, &o->part };
    bool bgzipped = false;
    int rc = 0;
    if (!o->out) return 0;
    if (o->index && (reads ? sam_idx_save(o->fp) : bcf_idx_save(o->fp))) rc = output_failed(o->out, err);
    bgzipped = o->fp && o->fp->format.compression == bgzf && output_is_file(o->out);
    o->fp = NULL; /* the output owns this htslib file, and closes it in output_sync or output_close */
    if (rc == 0 && (rc = output_sync(o->out, err)) && lacks_reference(o)) rc = say_reference(o, err);
    if (rc == 0 && bgzipped) rc = check_blocks(o, err);
    if (rc == 0 && o->part) rc = part_write(p, o->part, o->out, err);
    return rc ? rc : outputs_close(all, 3, err);
}

void records_free(records_out_t *o)
{
    output_abort(o->out);
    output_abort(o->index_out);
    output_abort(o->part);
    hts_opt_free(o->format.hts.specific);
    free(o->index_path);
    memset(o, 0, sizeof *o);
}
