/* variants.c - VCF and BCF files: records from a stream or through an index, checked
 * for what htslib would lose; the header. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <htslib/tbx.h>
#include <math.h>

#include "stream/effects.h"
#include "stream/variants.h"

static int out_of_memory(cad_error_t *err) { return cad_fail(err, CAD_ENOMEM, "out of memory"); }

/* ---- reading ---- */

typedef struct piece_t {
    const char *s;
    size_t n;
} piece_t; /* of a line, not terminated */
enum { CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO, COLUMNS };

/* Columns of a line; the first ones into c. */
static int columns(const kstring_t *line, piece_t c[COLUMNS])
{
    const char *s = line->s, *end = s + line->l, *tab;
    int n = 0;
    for (;; s = tab + 1) {
        tab = memchr(s, '\t', (size_t)(end - s));
        if (n < COLUMNS) c[n] = (piece_t) { s, (size_t)((tab ? tab : end) - s) };
        n++;
        if (!tab) return n;
    }
}

/* The piece as a string, for look-ups and messages. */
static const char *piece(variants_t *v, piece_t p)
{
    text_clear(&v->text);
    text_put(&v->text, p.s, p.n);
    return v->text.s.s ? v->text.s.s : "";
}

/* The first item of *rest, which then begins after it. */
static piece_t split(piece_t *rest, char separator)
{
    const char *end = memchr(rest->s, separator, rest->n);
    piece_t first = { rest->s, end ? (size_t)(end - rest->s) : rest->n };
    size_t gone = first.n + (end != NULL);
    *rest = (piece_t) { rest->s + gone, rest->n - gone };
    return first;
}

/* "." or a number that htslib keeps. */
static bool is_number(piece_t p, bool whole)
{
    char *end = NULL;
    long long n = 0;
    if (p.n == 1 && *p.s == '.') return true;
    errno = 0;
    if (whole) n = strtoll(p.s, &end, 10);
    else (void)!strtod(p.s, &end);
    return p.n && end == p.s + p.n && (!whole || (!errno && n >= BCF_MIN_BT_INT32 && n <= BCF_MAX_BT_INT32));
}

/* BCF_HT_INT or BCF_HT_REAL, else another number. */
static int type_of(variants_t *v, int kind, piece_t key)
{
    int id = bcf_hdr_id2int(v->header, BCF_DT_ID, piece(v, key));
    return bcf_hdr_idinfo_exists(v->header, kind, id) ? (int)bcf_hdr_id2type(v->header, kind, id) : -1;
}

/* htslib reads numbers that are none, or too large for it, as missing without an error. */
static void check_values(variants_t *v, const char *what, int type, piece_t key, piece_t value)
{
    char buf[4200];
    while ((type == BCF_HT_INT || type == BCF_HT_REAL) && value.n) {
        piece_t one = split(&value, ',');
        if (!is_number(one, type == BCF_HT_INT))
            note(v->notes, NOTE_VALUE, 1, "%s: %s/%s: \"%.*s\" is no %s; htslib cannot keep it", variant_place(v, buf),
                 what, piece(v, key), (int)cad_min((int64_t)one.n, 40), one.s,
                 type == BCF_HT_INT ? "Integer of 32 bits" : "Float");
    }
}

static void check_info(variants_t *v, piece_t info)
{
    while (info.n) {
        piece_t value = split(&info, ';'), key = split(&value, '=');
        if (value.n) check_values(v, "INFO", type_of(v, BCF_HL_INFO, key), key, value);
    }
}

/* FORMAT, and a column for each sample. */
static void check_samples(variants_t *v, piece_t rest)
{
    enum { KEYS = 64 };
    piece_t format = split(&rest, '\t'), key[KEYS];
    int type[KEYS], n = 0;
    bool numbers = false;
    for (; format.n && n < KEYS; n++) {
        key[n] = split(&format, ':');
        type[n] = type_of(v, BCF_HL_FMT, key[n]);
        numbers |= type[n] == BCF_HT_INT || type[n] == BCF_HT_REAL;
    }
    while (numbers && rest.n) {
        piece_t sample = split(&rest, '\t');
        for (int k = 0; k < n && sample.n; k++) check_values(v, "FORMAT", type[k], key[k], split(&sample, ':'));
    }
}

/* What vcf_parse would read as 0, make up or leave out. */
static int check_line(variants_t *v, cad_error_t *err)
{
    piece_t c[COLUMNS];
    char buf[4200];
    int n = columns(&v->text_line, c), samples = bcf_hdr_nsamples(v->header),
        least = samples ? COLUMNS + 1 + samples : COLUMNS;
    size_t k = 0;
    if (strlen(v->text_line.s) != v->text_line.l)
        return cad_fail(err, CAD_EFORMAT, "%s: binary data", variant_place(v, buf));
    if (bcf_hdr_name2id(v->header, piece(v, c[CHROM])) < 0)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: contig \"%.100s\" is not in the VCF header; add it with bcftools reheader --fai",
                        variant_place(v, buf), v->text.s.s);
    if (n < least || n > cad_max(least, COLUMNS + 1)) /* FORMAT may stand without samples */
        return cad_fail(err, CAD_EFORMAT, "%s: %d columns, expected %d; cut short?", variant_place(v, buf), n, least);
    while (k < c[POS].n && isdigit((unsigned char)c[POS].s[k])) k++;
    if (k == 0 || k < c[POS].n || k > 18)
        return cad_fail(err, CAD_EFORMAT, "%s: POS \"%.40s\" is not a position", variant_place(v, buf),
                        piece(v, c[POS]));
    if (!is_number(c[QUAL], false))
        return cad_fail(err, CAD_EFORMAT, "%s: QUAL \"%.40s\" is not a number", variant_place(v, buf),
                        piece(v, c[QUAL]));
    if (!c[REF].n || !c[ALT].n) return cad_fail(err, CAD_EFORMAT, "%s: REF or ALT is empty", variant_place(v, buf));
    check_info(v, c[INFO]);
    if (n > COLUMNS)
        check_samples(v, (piece_t) { c[INFO].s + c[INFO].n + 1,
                                     (size_t)(v->text_line.s + v->text_line.l - c[INFO].s - c[INFO].n - 1) });
    return 0;
}

static int parse_line(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    char buf[4200];
    int rc = check_line(v, err);
    if (rc) return rc;
    errno = 0;
    if (vcf_parse(&v->text_line, v->header, rec) < 0 || (rec->errcode & ~BCF_ERR_TAG_UNDEF))
        return cad_fail(err, CAD_EFORMAT, "%s: malformed or cut short; bcftools view may say more",
                        variant_place(v, buf));
    if (rec->errcode && v->out->fp && v->out->format.hts.format == bcf)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: a tag that the header does not declare; BCF cannot hold it: write VCF, or declare it",
                        variant_place(v, buf));
    rec->errcode = 0;
    return 1;
}

static int damaged(const variants_t *v, cad_error_t *err)
{
    char buf[4200];
    return cad_fail(err, CAD_EIO, "%s: damaged or cut short after this record; restore it", variant_place(v, buf));
}

/* The next record of the whole file: 1, 0 at the end, or CAD_E*. */
static int next_streamed(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    int got;
    if (v->fp->format.format == bcf) {
        got = bcf_read(v->fp, v->header, rec);
        v->line += got >= 0;
        return got < -1 || (got >= 0 && rec->errcode) ? damaged(v, err) : got >= 0;
    }
    do {
        got = hts_getline(v->fp, '\n', &v->text_line);
        if (got < -1) return damaged(v, err);
        v->line = v->fp->lineno;
    } while (got == 0); /* blank */
    return got < 0 ? 0 : parse_line(v, rec, err);
}

/* The next record of one span of -r. */
static int next_in_span(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    int got = v->tabix ? tbx_itr_next(v->fp, v->tabix, v->walk, &v->text_line) : bcf_itr_next(v->fp, v->walk, rec);
    if (got < -1 || (got >= 0 && !v->tabix && rec->errcode)) return damaged(v, err);
    if (got == -1) return 0;
    return v->tabix ? parse_line(v, rec, err) : 1;
}

static bool wanted(const variants_t *v, const bcf1_t *rec)
{
    return !v->targets || regions_overlap(v->targets, bcf_seqname_safe(v->header, rec), cad_max(rec->pos, 0),
                                          cad_max(rec->pos, 0) + 1);
}

/* Records that begin before `from` were seen in the span before. */
static int read_some(variants_t *v, int (*next)(variants_t *, bcf1_t *, cad_error_t *), int64_t from, cad_error_t *err)
{
    for (;;) {
        variant_t *d = variant_new(v);
        int rc;
        if (!d) return out_of_memory(err);
        rc = next(v, d->rec, err);
        if (rc > 0 && d->rec->pos >= from && wanted(v, d->rec)) rc = variant_put(v, d, err);
        else {
            variant_drop(v, d);
            if (rc <= 0) return rc;
            rc = 0;
        }
        if (rc) return rc;
    }
}

static int open_index(variants_t *v, cad_error_t *err)
{
    int rc;
    if (!strcmp(v->in->path, "standard input"))
        return cad_fail(err, CAD_EARG, "-r, -R: standard input has no index; -t and -L filter a stream");
    if (v->fp->format.format == bcf) v->index = bcf_index_load3(v->in->path, NULL, HTS_IDX_SILENT_FAIL);
    else v->tabix = tbx_index_load3(v->in->path, NULL, HTS_IDX_SILENT_FAIL);
    if (!v->index && !v->tabix)
        return cad_fail(err, CAD_EIO,
                        "%s: -r and -R need an index; make one with bcftools index, or filter with -t, -L",
                        v->in->path);
    rc = records_blocks(v->fp, v->in->path, err);
    return rc ? rc : records_whole(v->fp, v->in->path, err);
}

static int read_span(variants_t *v, int contig, const char *name, interval_t span, int64_t from, cad_error_t *err)
{
    int tid = v->tabix ? tbx_name2id(v->tabix, name) : contig;
    if (tid < 0) return 0; /* no record there */
    hts_itr_destroy(v->walk);
    v->walk = v->tabix ? tbx_itr_queryi(v->tabix, tid, span.beg, span.end)
                       : bcf_itr_queryi(v->index, tid, span.beg, span.end);
    return v->walk ? read_some(v, next_in_span, from, err) : 0;
}

static int read_spans(variants_t *v, cad_error_t *err)
{
    int rc = open_index(v, err);
    v->line = 0;
    for (int i = 0; i < v->header->n[BCF_DT_CTG] && rc == 0; i++) {
        const char *name = bcf_hdr_id2name(v->header, i);
        interval_t span, before = { 0, 0 };
        for (int k = 0; name && rc == 0 && regions_get(v->only, name, k, &span); k++) {
            rc = read_span(v, i, name, span, before.end, err);
            before = span;
        }
    }
    return rc;
}

/* ---- the header ---- */

static const struct {
    const char *name, *type, *text;
} FIELD[FIELDS] = {
    { "LLR", "Float",
      "Caduceus: log p(ALT) - log p(REF) at the masked site of an SNV, natural log; negative is less likely" },
    { "DPLL", "Float",
      "Caduceus: difference of the log-likelihoods of the ALT and REF haplotype, natural log; negative is less likely" },
    { "N", "Integer", "Caduceus: bases compared" },
    { "DIST", "Float", "Caduceus: Euclidean distance of the pooled embeddings of the ALT and REF haplotype" },
    { "COS", "Float", "Caduceus: 1 - cosine similarity of the pooled embeddings of the ALT and REF haplotype" },
    { "NOTE", "String", "Caduceus: why an allele has no score, or what is special about it" },
};

static int name_fields(variants_t *v, cad_error_t *err)
{
    for (info_t f = 0; f < FIELDS; f++) {
        bool unmasked = f == FIELD_DPLL && v->mask == CAD_MASK_NONE;
        int n = snprintf(v->name[f], sizeof v->name[f], "%s_%s%s", v->o->prefix, FIELD[f].name,
                         unmasked ? "_unmasked" : "");
        if (n >= (int)sizeof v->name[f])
            return cad_fail(err, CAD_EARG, "--info-prefix %.40s...: too long", v->o->prefix);
    }
    return 0;
}

static int declare(variants_t *v, info_t f, cad_error_t *err)
{
    static const int type[] = { BCF_HT_REAL, BCF_HT_REAL, BCF_HT_INT, BCF_HT_REAL, BCF_HT_REAL, BCF_HT_STR };
    int id = bcf_hdr_id2int(v->header, BCF_DT_ID, v->name[f]);
    if (bcf_hdr_idinfo_exists(v->header, BCF_HL_INFO, id)) {
        if ((int)bcf_hdr_id2type(v->header, BCF_HL_INFO, id) == type[f] &&
            bcf_hdr_id2length(v->header, BCF_HL_INFO, id) == BCF_VL_A)
            return 0;
        return cad_fail(
            err, CAD_EFORMAT,
            "%s: its header declares INFO/%s of another Type or Number; choose other names with --info-prefix",
            v->in->path, v->name[f]);
    }
    if (bcf_hdr_printf(v->header, "##INFO=<ID=%s,Number=A,Type=%s,Description=\"%s\">", v->name[f], FIELD[f].type,
                       FIELD[f].text))
        return out_of_memory(err);
    return bcf_hdr_sync(v->header) < 0 ? out_of_memory(err) : 0; /* its tables may have moved */
}

static int add_provenance(variants_t *v, const provenance_t *p, cad_error_t *err)
{
    for (int i = 0; i < p->n && !v->o->no_version; i++) {
        char key[96];
        if (provenance_of_part(p->key[i])) continue;
        snprintf(key, sizeof key, "%s_%s", v->o->prefix, p->key[i]);
        bcf_hdr_remove(v->header, BCF_HL_GEN, key); /* of an earlier run */
        if (bcf_hdr_printf(v->header, "##%s=%s", key, p->value[i])) return out_of_memory(err);
    }
    return 0;
}

static int write_header(variants_t *v, const provenance_t *p, htsThreadPool *pool, cad_error_t *err)
{
    int rc = name_fields(v, err);
    for (info_t f = 0; f < FIELDS && rc == 0; f++)
        if (v->o->want[f] || f == FIELD_NOTE) rc = declare(v, f, err);
    if (rc == 0) rc = add_provenance(v, p, err);
    if (rc == 0 && bcf_hdr_sync(v->header) < 0) rc = out_of_memory(err);
    return rc == 0 && v->out->fp ? records_begin(v->out, NULL, v->header, NULL, pool, err) : rc;
}

/* ---- the file ---- */

void variants_options_init(variants_options_t *o)
{
    memset(o, 0, sizeof *o);
    o->prefix = "CADUCEUS";
    o->pool_window = 768;
}

bool variants_has_contig(const void *variants, const char *name)
{
    return bcf_hdr_name2id(((const variants_t *)variants)->header, name) >= 0;
}

int variants_open(variants_t *v, cad_error_t *err)
{
    int rc = records_open(&v->fp, v->in, NULL, err);
    if (rc) return rc;
    v->header = bcf_hdr_read(v->fp);
    return v->header ? 0 : cad_fail(err, CAD_EFORMAT, "%s: its header is damaged or missing", v->in->path);
}

int variants_run(variants_t *v, const provenance_t *p, htsThreadPool *pool, cad_error_t *err)
{
    int rc = v->o->matrix ? 0 : write_header(v, p, pool, err);
    v->view.ref = v->ref;
    if (rc == 0 && !v->only) rc = records_threads(v->fp, pool, err);
    if (rc == 0) rc = v->only ? read_spans(v, err) : read_some(v, next_streamed, INT64_MIN, err);
    if (rc == 0 && !v->only) rc = records_end(v->fp, v->in->path, err);
    rc = pipeline_end(v->pipe, rc, err);
    if (rc == 0 && v->missing[0] && !v->scored)
        rc = cad_fail(err, CAD_EFORMAT, "%s: nothing could be scored: %s", v->in->path, v->missing);
    return rc;
}

void variants_close(variants_t *v)
{
    site_leave(v->site);
    while (v->spare) {
        variant_t *d = v->spare;
        v->spare = d->spare;
        for (int i = 0; i < d->room; i++) free(d->alt[i].allele.alt.s);
        free(d->alt);
        bcf_destroy(d->rec);
        free(d);
    }
    hts_itr_destroy(v->walk);
    if (v->index) hts_idx_destroy(v->index);
    if (v->tabix) tbx_destroy(v->tabix);
    bcf_hdr_destroy(v->header);
    if (v->fp) hts_close(v->fp);
    view_free(&v->view);
    text_free(&v->text);
    free(v->text_line.s);
    free(v->haplotype.s);
    free(v->values);
    memset(v, 0, sizeof *v);
}
