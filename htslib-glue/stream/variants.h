/* variants.h - what source_variants.c, vcf_lines.c, allele_windows.c and variant_info.c share.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_VARIANTS_H
#define CAD_VARIANTS_H

#include "stream/alleles.h"
#include "stream/source.h"

typedef struct site_t { /* an SNV's place; neighbouring records may share it */
    int users;
    const contig_t *contig;
    int64_t pos;
    float logp[4];
    float *embedding; // (D) of the reference haplotype, or NULL
} site_t;

typedef struct result_t { /* of one ALT */
    allele_t allele;
    site_t *site;        /* of an SNV */
    double sum[2];       /* log p of the compared bases: REF, ALT haplotype */
    float *embedding[2]; // (D), or NULL
    bool scored;
} result_t;

typedef struct variant_t {
    item_t item; /* first: the pipeline's */
    bcf1_t *rec;
    int nalt, room;
    result_t *alt; // (room), nalt in use
    struct variant_t *spare;
} variant_t;

typedef struct variants_t { /* the source's state */
    stream_t *s;
    htsFile *fp;
    bcf_hdr_t *header;
    struct tbx_t *tabix;
    hts_idx_t *index;
    hts_itr_t *walk;
    variant_t *spare;
    site_t *site; /* the last SNV's of records at one POS */
    int last_rid; /* the last record's place */
    int64_t last_pos;
    flanks_t flanks;
    view_t view;
    kstring_t text_line, haplotype;
    text_t text;
    void *values;
    char name[SCORES_MOST][64]; /* INFO names of the settings' scores */
    char missing[700];          /* the first contig that the reference lacks */
    int64_t line;               /* of the last record; 0 = not known */
    int64_t read, alleles, scored, bytes;
} variants_t;

/* "file:line", or the file alone when an index was used. */
const char *variant_place(const variants_t *v, char buf[4200]);

/* ---- vcf_lines.c ---- */
/* v->text_line as a record: 1, or CAD_EFORMAT for what htslib would read as 0, make up or leave out. */
int vcf_line_parse(variants_t *v, bcf1_t *rec, cad_error_t *err);

/* ---- allele_windows.c ---- */
/* A spare record, or a new one; NULL: out of memory. */
variant_t *variant_new(variants_t *v);
/* Makes it spare again. */
void variant_drop(variants_t *v, variant_t *d);
/* Puts the record and its alleles' windows into the pipeline, which then owns it. */
int variant_put(variants_t *v, variant_t *d, cad_error_t *err);
/* One user less; frees the site with its last one. NULL is allowed. */
void site_leave(site_t *s);
/* For source_t. */
int variants_take(void *stream, item_t *it, const job_t *j, cad_error_t *err);

/* ---- variant_info.c ---- */
/* Names the INFO fields, declares them in the header and writes it. */
int variants_header(variants_t *v, cad_error_t *err);
/* Writes the header lines of the table that names a matrix's rows. */
int variants_columns(variants_t *v, cad_error_t *err);
/* For source_t: a record is complete and is written, or its rows of the matrix are. */
int variants_sink(void *stream, item_t *it, cad_error_t *err);

#endif
