/* variants.h - declarations shared by source_variants.c, vcf_lines.c, allele_windows.c and variant_info.c.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_VARIANTS_H
#define CAD_VARIANTS_H

#include "io/index_check.h"
#include "stream/alleles.h"
#include "stream/source.h"

typedef struct site_t { /* results at the position of an SNV, shared by all SNVs at that position */
    int users;
    const contig_t *contig;
    int64_t pos;
    float logp[4];
    float *embedding; // (D) embedding of the reference haplotype, or NULL
    float *around;    // as in result_t
} site_t;

typedef struct result_t { /* results of one ALT allele */
    allele_t allele;
    site_t *site;        /* results at the position of an SNV; NULL for other alleles */
    double sum[2];       /* sum of log p over the compared bases of the REF (0), ALT (1) haplotype */
    float *embedding[2]; // (D) embedding of the REF (0), ALT (1) haplotype, or NULL
    float *around;       // (bases,4) log p at the bases before and those after REF (jsd, infl), or NULL
    influence_t influence;
    int cell;                /* the SNV's cell of the calibration, or -1 */
    struct breaks_t *breaks; /* results at the breakpoints of a structural variant or long allele (sv), or NULL */
    unsigned near;           /* NEAR_*: notes about the haplotypes of the samples that carry the allele */
    bool scored;
} result_t;

typedef struct context_t { /* results of an allele in one haplotype, which several samples may share */
    uint64_t digest[2];    /* of its windows */
    int alt;               /* number of the ALT allele, from 0 */
    bool reference;        /* true: its windows are those of the reference, whose results are the allele's result_t */
    allele_t allele;       /* without the bases of the ALT segment */
    float logp[4];
    double sum[2]; /* as in result_t */
} context_t;

/* CONTEXT_NONE: the haplotype has no value. CONTEXT_ABSENT: the sample has fewer haplotypes. */
enum { CONTEXT_NONE = -1, CONTEXT_ABSENT = -2 };
typedef struct contexts_t { /* the contexts of all alleles of a record; zeroed: none */
    int ploidy, n, room;
    int32_t *of; // (samples, ploidy) number of the haplotype's context, or CONTEXT_*; NULL: no sample carries an ALT
    context_t *context; // (n)
} contexts_t;

typedef struct variant_t {
    item_t item; /* must be the first member, as in all pipeline items */
    bcf1_t *rec;
    int nalt, room;
    result_t *alt; // (room), of which nalt are in use
    contexts_t contexts;
    struct variant_t *spare;
} variant_t;

typedef struct variants_t { /* the state of SOURCE_VARIANTS */
    stream_t *s;
    htsFile *fp;
    bcf_hdr_t *header;
    index_file_t indexed; /* the index, and the file that it belongs to */
    struct tbx_t *tabix;
    hts_idx_t *index;
    hts_itr_t *walk;
    variant_t *spare;
    /* results at the position of the last SNV, which the next record shares if it is at the same position */
    site_t *site;
    int last_rid; /* contig and position of the last record */
    int64_t last_pos;
    flanks_t flanks;
    struct haplotypes_t *haplotypes; /* NULL: no samples were named */
    calibration_t *calibration;      /* NULL: none was given */
    view_t view;
    kstring_t text_line, haplotype;
    kstring_t given, written; /* given: a line of a VCF input; written: the line that htslib would write for it */
    text_t text;
    void *values;
    char name[SCORES_MOST][64]; /* INFO names of set->scores, in the same order */
    char missing[700];          /* message about the first contig that the reference lacks */
    bool rounding;              /* true if a BCF input is written as VCF, which rounds numbers */
    int64_t line;               /* line number of the last record; 0: not known */
    int64_t read, alleles, scored, bytes;
    int64_t values_bytes; /* estimated size of the FORMAT values */
} variants_t;

/* Writes the place of the last record to buf: "file:line", or only the file if records are read through an index.
 * Returns buf. */
const char *variant_place(const variants_t *v, char buf[4200]);

/* ---- vcf_lines.c ---- */
/* Parses v->text_line into rec. Returns 1, or CAD_EFORMAT if htslib would read a part of the line as 0, invent a value
 * or drop a value. */
int vcf_line_parse(variants_t *v, bcf1_t *rec, cad_error_t *err);

/* ---- allele_windows.c ---- */
/* Returns a record from the list of spare records, or else a new record; NULL when out of memory. */
variant_t *variant_new(variants_t *v);
/* Returns the record to the list of spare records. */
void variant_drop(variants_t *v, variant_t *d);
/* Returns CAD_EFORMAT if REF differs from the FASTA or does not lie on the contig; 1 if it differs and --check-ref w
 * allows this; else 0. c may be NULL. */
int variant_check(variants_t *v, const bcf1_t *rec, const contig_t *c, cad_error_t *err);
/* Puts the record and its alleles' windows into the pipeline, which then owns the record. */
int variant_put(variants_t *v, variant_t *d, cad_error_t *err);
/* Subtracts one from the number of results that use the site, and frees the site if no result uses it any more. NULL is
 * allowed. */
void site_leave(site_t *s);
/* Used as source_t.take. */
int variants_take(void *stream, item_t *it, const job_t *j, cad_error_t *err);
/* Windows of haplotypes of samples have ids from here on: ID_CONTEXTS + 2 context + h. */
#define ID_CONTEXTS ((int64_t)1 << 40)

/* ---- variant_info.c ---- */
/* Chooses the names of the INFO fields, declares them in the header, and writes the header. */
int variants_header(variants_t *v, cad_error_t *err);
/* Writes the header lines of the table that names the rows of the matrix. */
int variants_columns(variants_t *v, cad_error_t *err);
/* Returns the value of an allele's score; NaN if the score does not apply to the allele. */
double variants_value(const variants_t *v, const variant_t *d, int alt, const score_t *score);
/* Reports that a value, named `what`, is not finite. Returns CAD_EFORMAT. */
int variants_overflow(const variants_t *v, const variant_t *d, const char *what, cad_error_t *err);
/* Used as source_t.sink: writes a complete record, or its rows of the matrix. */
int variants_sink(void *stream, item_t *it, cad_error_t *err);

#endif
