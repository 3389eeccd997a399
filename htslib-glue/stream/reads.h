/* reads.h - SAM, BAM and CRAM, source and sink. SPDX-License-Identifier: MIT */
#ifndef CAD_READS_H
#define CAD_READS_H

#include "io/records.h"
#include "io/regions.h"
#include "stream/cut.h"

typedef enum { TAG_PLL, TAG_N, TAG_EMBEDDING, TAG_BASES, TAGS } tag_t; /* yp yn ye yb */
typedef struct reads_options_t {
    int require, exclude, min_mapq; /* -f, -F, -q: which reads are scored */
    const char *include;            /* htslib's expression, or NULL */
    bool context_ref, clip_soft, no_pg;
    int min_bq; /* bases below are read as N */
    char tag[TAGS][3];
    bool want[TAGS];
} reads_options_t;
void reads_options_init(reads_options_t *o);
typedef struct reads_t {
    input_t *in; /* set by the caller, as what follows */
    const reads_options_t *o;
    const regions_t *only, *targets; /* -r -R, -t -L; NULL: all */
    records_out_t *out;
    const cutter_t *cutter;
    htsFile *fp; /* its own, as what follows */
    sam_hdr_t *header;
    struct hts_filter_t *filter;
    hts_idx_t *index;
    hts_itr_t *walk;
    struct read_t *spare;
    bool *known;       // (contigs) compared with the reference that CRAM is written with
    float *row;        // (D)
    char missing[700]; /* the first contig that the reference lacks */
    int64_t seen, placed, records, scored, bases,
        bytes; /* read; with bases to score; of this share: handed on; tagged; scored; uncompressed */
} reads_t;
/* Reads the header. reference: of CRAM, or NULL. */
int reads_open(reads_t *r, const char *reference, cad_error_t *err);
bool reads_has_contig(const void *reads, const char *name); /* for names_t */
/* Reads, scores and writes all; command and description: for @PG. */
int reads_run(reads_t *r, const char *reference, htsThreadPool *pool, const char *command, const char *description,
              cad_error_t *err);
/* For pipeline_t, with the reads as arg. */
int reads_take(void *reads, item_t *it, const job_t *j, cad_error_t *err);
int reads_sink(void *reads, item_t *it, cad_error_t *err);
void reads_drop(void *reads, item_t *it);
void reads_close(reads_t *r);

#endif
