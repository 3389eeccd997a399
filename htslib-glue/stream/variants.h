/* variants.h - VCF and BCF, source and sink. SPDX-License-Identifier: MIT */
#ifndef CAD_VARIANTS_H
#define CAD_VARIANTS_H

#include "io/records.h"
#include "io/regions.h"
#include "stream/alleles.h"
#include "stream/table.h"
#include "stream/windows.h"

typedef enum { FIELD_LLR, FIELD_DPLL, FIELD_N, FIELD_DIST, FIELD_COS, FIELD_NOTE, FIELDS } info_t;
typedef struct variants_options_t {
    bool want[FIELDS];  /* NOTE is always written */
    const char *prefix; /* of INFO names and header lines */
    bool keep_mismatch; /* --check-ref w */
    bool no_version;
    int64_t pool_window; /* bases pooled on each side, for DIST, COS and a matrix */
    bool matrix;         /* embeddings of REF and ALT as rows of a matrix, not INFO */
    bool difference;     /* ALT less REF instead of both */
} variants_options_t;
void variants_options_init(variants_options_t *o);
typedef struct variants_t {
    input_t *in; /* set by the caller, as what follows */
    const variants_options_t *o;
    const regions_t *only, *targets; /* -r -R, -t -L; NULL: all */
    records_out_t *out;
    table_t *table; /* of a matrix: its rows' names, and the rows */
    const fasta_t *ref;
    encoding_t encoding;
    bases_t bases;
    int64_t width; /* D */
    context_t context;
    int64_t mask; /* of DPLL; an SNV's site is masked alone */
    notes_t *notes;
    pipeline_t *pipe;
    htsFile *fp; /* its own, as what follows */
    bcf_hdr_t *header;
    struct tbx_t *tabix;
    hts_idx_t *index;
    hts_itr_t *walk;
    struct variant_t *spare;
    struct site_t *site; /* the last SNV's of records at one POS */
    int last_rid;        /* the last record's place */
    int64_t last_pos;
    view_t view;
    kstring_t text_line, haplotype;
    text_t text;
    void *values;
    char name[FIELDS][64];
    char missing[700]; /* the first contig that the reference lacks */
    int64_t line;      /* of the last record; 0 = not known */
    int64_t records_put, records, alleles, scored, bytes;
} variants_t;
/* Reads the header. */
int variants_open(variants_t *v, cad_error_t *err);
bool variants_has_contig(const void *variants, const char *name); /* for names_t */
/* Reads, scores and writes all. */
int variants_run(variants_t *v, const provenance_t *p, htsThreadPool *pool, cad_error_t *err);
/* For pipeline_t, with the variants as arg. */
int variants_take(void *variants, item_t *it, const job_t *j, cad_error_t *err);
int variants_sink(void *variants, item_t *it, cad_error_t *err);
void variants_drop(void *variants, item_t *it);
void variants_close(variants_t *v);

#endif
