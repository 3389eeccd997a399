/* genotypes.c - chooses samples of a VCF and reads their genotypes. SPDX-License-Identifier: MIT */
#include "io/input.h"
#include "stream/genotypes.h"

/* ---- samples ---- */

static int add_sample(samples_t *s, const bcf_hdr_t *h, const char *name, const char *path, cad_error_t *err)
{
    int i = bcf_hdr_id2int(h, BCF_DT_SAMPLE, name);
    if (i < 0)
        return cad_fail(err, CAD_EARG, "%s: no sample \"%.100s\"; bcftools query -l lists its samples", path, name);
    for (int k = 0; k < s->n; k++)
        if (s->index[k] == i) return cad_fail(err, CAD_EARG, "sample \"%.100s\" is named twice", name);
    s->index[s->n++] = i;
    return 0;
}

/* Adds the samples of a list such as NAME,NAME. */
static int add_list(samples_t *s, const bcf_hdr_t *h, const char *list, const char *path, cad_error_t *err)
{
    int rc = 0;
    for (bool more = true; more && rc == 0;) {
        size_t len = strcspn(list, ",");
        char *name = strndup(list, len);
        rc = name ? add_sample(s, h, name, path, err) : cad_out_of_memory(err);
        free(name);
        more = list[len] != 0;
        list += len + 1;
    }
    return rc;
}

/* Adds the samples that a file lists, one name a line. */
static int add_file(samples_t *s, const bcf_hdr_t *h, const char *file, const char *path, cad_error_t *err)
{
    input_t in;
    kstring_t line = { 0, 0, NULL };
    int rc = input_open(&in, file, "bed", err), got = 0, before = s->n;
    while (rc == 0 && (got = input_line(&in, &line, err)) > 0) {
        if (line.l && line.s[line.l - 1] == '\r') line.s[--line.l] = 0;
        if (line.l) rc = add_sample(s, h, line.s, path, err);
    }
    free(line.s);
    input_close(&in);
    if (rc || got < 0) return rc ? rc : got;
    return s->n > before ? 0 : cad_fail(err, CAD_EFORMAT, "%s: names no sample", file);
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int samples_choose(samples_t *s, const variants_options_t *o, const bcf_hdr_t *h, const char *path, cad_error_t *err)
{
    int all = bcf_hdr_nsamples(h), rc = 0;
    if (!all) return cad_fail(err, CAD_EFORMAT, "%s: has no samples, so no haplotypes", path);
    s->index = malloc((size_t)all * sizeof *s->index);
    if (!s->index) return cad_out_of_memory(err);
    for (int i = 0; i < o->nsample && rc == 0; i++) rc = add_list(s, h, o->sample[i], path, err);
    if (rc == 0 && o->samples_file) rc = add_file(s, h, o->samples_file, path, err);
    for (int i = 0; o->all_samples && i < all; i++) s->index[s->n++] = i;
    qsort(s->index, (size_t)s->n, sizeof *s->index, ascending);
    s->digest = CAD_HASH;
    for (int i = 0; i < s->n && rc == 0; i++)
        s->digest = cad_hash(s->digest, h->samples[s->index[i]], strlen(h->samples[s->index[i]]) + 1);
    return rc;
}

void samples_free(samples_t *s)
{
    free(s->index);
    memset(s, 0, sizeof *s);
}

/* ---- genotypes ---- */

int calls_declared(const bcf_hdr_t *h, const char *path, cad_error_t *err)
{
    int gt = bcf_hdr_id2int(h, BCF_DT_ID, "GT"), ps = bcf_hdr_id2int(h, BCF_DT_ID, "PS"), type;
    if (!bcf_hdr_idinfo_exists(h, BCF_HL_FMT, gt) || (int)bcf_hdr_id2type(h, BCF_HL_FMT, gt) != BCF_HT_STR)
        return cad_fail(err, CAD_EFORMAT, "%s: its header declares no FORMAT/GT of type String; haplotypes need it",
                        path);
    if (!bcf_hdr_idinfo_exists(h, BCF_HL_FMT, ps)) return 0;
    type = (int)bcf_hdr_id2type(h, BCF_HL_FMT, ps);
    return type == BCF_HT_INT || type == BCF_HT_STR
               ? 0
               : cad_fail(err, CAD_EFORMAT, "%s: FORMAT/PS is neither Integer nor String; remove it or reheader", path);
}

/* Reads one genotype of up to `ploidy` values. Returns its kind, or -1 if it names an allele that the record lacks.
 * *bar: all alleles are separated by |. */
static int read_call(const int32_t *gt, int ploidy, int alleles, uint16_t *allele, bool *bar)
{
    bool same = true, alt = false;
    *bar = true;
    for (int k = 0; k < ploidy; k++) allele[k] = ALLELE_ABSENT;
    for (int k = 0; k < ploidy && gt[k] != bcf_int32_vector_end; k++) {
        int a = bcf_gt_is_missing(gt[k]) ? ALLELE_MISSING : bcf_gt_allele(gt[k]);
        if (a != ALLELE_MISSING && (a < 0 || a >= alleles)) return -1;
        allele[k] = (uint16_t)a;
        same &= a == allele[0];
        alt |= a > 0 && a != ALLELE_MISSING;
        *bar &= k == 0 || bcf_gt_is_phased(gt[k]);
    }
    return !alt ? CALL_NONE : same ? CALL_SAME : *bar ? CALL_PHASED : CALL_UNPHASED;
}

static bool any_alt(const int32_t *gt, int ploidy, const samples_t *s)
{
    bool any = false;
    for (int i = 0; i < s->n && !any; i++)
        for (int k = 0; k < ploidy; k++) {
            int32_t x = gt[(int64_t)s->index[i] * ploidy + k];
            any |= x != bcf_int32_vector_end && !bcf_gt_is_missing(x) && bcf_gt_allele(x) != 0;
        }
    return any;
}

/* Reads the values of PS. Returns how many a sample has, 0 if the record has no PS, or CAD_ENOMEM. */
static int read_sets(genotypes_t *g, const bcf_hdr_t *h, bcf1_t *rec, cad_error_t *err)
{
    int id = bcf_hdr_id2int(h, BCF_DT_ID, "PS"), n;
    if (!bcf_hdr_idinfo_exists(h, BCF_HL_FMT, id) || !bcf_get_fmt_id(rec, id)) return 0;
    n = bcf_hdr_id2type(h, BCF_HL_FMT, id) == BCF_HT_INT ? bcf_get_format_int32(h, rec, "PS", &g->ps, &g->nps)
                                                         : bcf_get_format_string(h, rec, "PS", &g->text, &g->ntext);
    if (n == -4) return cad_out_of_memory(err);
    return n > 0 ? n / bcf_hdr_nsamples(h) : 0;
}

/* Returns the phase set that PS gives for a sample of the header; SET_USUAL if it gives none. */
static int64_t set_given(const genotypes_t *g, const bcf_hdr_t *h, int sample, int width)
{
    int id = bcf_hdr_id2int(h, BCF_DT_ID, "PS");
    if (bcf_hdr_id2type(h, BCF_HL_FMT, id) == BCF_HT_INT) {
        int32_t x = g->ps[(int64_t)sample * width];
        return x == bcf_int32_missing || x == bcf_int32_vector_end ? SET_USUAL : x;
    }
    return !strcmp(g->text[sample], ".") || !*g->text[sample]
               ? SET_USUAL
               : (int64_t)(cad_hash(CAD_HASH, g->text[sample], strlen(g->text[sample])) >> 1);
}

static int read_samples(calls_t *c, const genotypes_t *g, const samples_t *s, const bcf_hdr_t *h, const bcf1_t *rec,
                        int width, const char *place, cad_error_t *err)
{
    for (int i = 0; i < s->n; i++) {
        int at = s->index[i], kind;
        bool bar;
        kind = read_call(g->gt + (int64_t)at * c->ploidy, c->ploidy, rec->n_allele, c->allele + (int64_t)i * c->ploidy,
                         &bar);
        if (kind < 0)
            return cad_fail(err, CAD_EFORMAT, "%s: the genotype of %.60s names an allele that the record lacks", place,
                            h->samples[at]);
        c->kind[i] = (uint8_t)kind;
        if (!c->set) continue;
        c->set[i] = bar ? set_given(g, h, at, width) : SET_USUAL;
        if (kind == CALL_SAME && c->set[i] == SET_USUAL) c->set[i] = SET_ANY;
    }
    return 0;
}

int calls_read(calls_t *c, genotypes_t *g, const samples_t *s, const bcf_hdr_t *h, bcf1_t *rec, const char *place,
               cad_error_t *err)
{
    int rc = records_unpack(rec, BCF_UN_ALL, err), n = rc ? 0 : bcf_get_genotypes(h, rec, &g->gt, &g->ngt), width;
    memset(c, 0, sizeof *c);
    if (rc) return rc;
    if (n == -4) return cad_out_of_memory(err);
    c->samples = s->n;
    c->ploidy = n > 0 ? n / bcf_hdr_nsamples(h) : 0;
    if (c->ploidy == 0 || !any_alt(g->gt, c->ploidy, s)) return 0;
    width = read_sets(g, h, rec, err);
    if (width < 0) return width;
    c->allele = malloc((size_t)s->n * (size_t)c->ploidy * sizeof *c->allele);
    c->kind = malloc((size_t)s->n);
    if (width) c->set = malloc((size_t)s->n * sizeof *c->set);
    rc = !c->allele || !c->kind || (width && !c->set) ? cad_out_of_memory(err)
                                                      : read_samples(c, g, s, h, rec, width, place, err);
    if (rc) calls_free(c);
    return rc;
}

void calls_free(calls_t *c)
{
    free(c->allele);
    free(c->kind);
    free(c->set);
    memset(c, 0, sizeof *c);
}

void genotypes_free(genotypes_t *g)
{
    free(g->gt);
    free(g->ps);
    if (g->text) free(g->text[0]);
    free(g->text);
    memset(g, 0, sizeof *g);
}

int call_kind(const calls_t *c, int i) { return c->kind[i] & CALL_KIND; }

int call_allele(const calls_t *c, int i, int k)
{
    return k < c->ploidy ? c->allele[(int64_t)i * c->ploidy + k] : ALLELE_ABSENT;
}

int call_ploidy(const calls_t *c, int i)
{
    int n = 0;
    while (call_allele(c, i, n) != ALLELE_ABSENT) n++;
    return n;
}

int64_t call_set(const calls_t *c, int i)
{
    if (call_kind(c, i) == CALL_UNPHASED) return SET_NO;
    if (c->set) return c->set[i];
    return call_kind(c, i) == CALL_SAME ? SET_ANY : SET_USUAL;
}
