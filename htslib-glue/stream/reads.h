/* reads.h - what source_reads.c and read_tags.c share. SPDX-License-Identifier: MIT */
#ifndef CAD_READS_H
#define CAD_READS_H

#include "stream/source.h"

typedef struct read_t {
    region_t region; /* first: the pipeline's item */
    bam1_t *bam;
    bool picked; /* to be scored */
    int clip;    /* bases of SEQ before the region's own sequence */
    struct read_t *spare;
} read_t;

typedef struct reads_t { /* the source's state */
    stream_t *s;
    htsFile *fp;
    sam_hdr_t *header;
    struct hts_filter_t *filter; /* --include, or NULL */
    hts_idx_t *index;
    hts_itr_t *walk;
    read_t *spare;
    bool *known;       // (contigs) compared with the reference that CRAM is written with
    float *row;        // (D)
    char missing[700]; /* the first contig that the reference lacks */
    int64_t seen;      /* records read */
    int64_t placed;    /* records with bases to score */
    int64_t scored;    /* records of this share that were tagged */
    int64_t bases;     /* bases of these */
    int64_t bytes;     /* of this share's records, uncompressed */
} reads_t;

/* ---- read_tags.c: the sink ---- */
/* A record is complete: it gains its tags and is written. */
int reads_sink(void *stream, item_t *it, cad_error_t *err);

#endif
