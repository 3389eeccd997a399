/* reads.h - declarations shared by source_reads.c, sam_lines.c and read_tags.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_READS_H
#define CAD_READS_H

#include "io/cram_check.h"
#include "io/index_check.h"
#include "stream/source.h"

typedef struct read_t {
    region_t region; /* must be the first member, as in all pipeline items */
    bam1_t *bam;
    bool picked; /* true if the read is to be scored */
    int clip;    /* number of bases of SEQ before the first base of the region's sequence */
    struct read_t *spare;
} read_t;

typedef struct reads_t { /* the state of SOURCE_READS */
    stream_t *s;
    htsFile *fp;
    sam_hdr_t *header;
    struct hts_filter_t *filter; /* --include, or NULL */
    index_file_t indexed;        /* the index, and the file that it belongs to */
    hts_idx_t *index;
    hts_itr_t *walk;
    read_t *spare;
    cram_check_t cram; /* check of records before they are written as CRAM; open only if CRAM is written */
    bool rounding;     /* true if a BAM or CRAM input is written as SAM, which rounds numbers */
    float *row;        // (D)
    kstring_t written; /* the line that htslib would write for the current record of a SAM input */
    char missing[700]; /* message about the first contig that the reference lacks */
    int64_t seen;      /* number of records read */
    int last_tid;      /* contig and position of the last record read */
    int64_t last_pos;
    int64_t placed; /* number of records with bases to score */
    int64_t scored; /* number of records of this shard that got tags */
    int64_t bases;  /* number of bases of these records */
    int64_t bytes;  /* bytes of this shard's records before compression */
} reads_t;

/* ---- sam_lines.c ---- */
/* Compares a line of SAM text with the record that htslib has just parsed from it. Warns if
 * htslib changed a letter of SEQ or rounded a number. Returns CAD_EFORMAT if it changed anything else. */
int sam_line_check(reads_t *r, const bam1_t *b, cad_error_t *err);

/* ---- read_tags.c: the sink ---- */
/* The sink: adds tags to a complete record and writes it. */
int reads_sink(void *stream, item_t *it, cad_error_t *err);

#endif
