/* records.h - alignment and variant files. SPDX-License-Identifier: MIT */
#ifndef CAD_RECORDS_H
#define CAD_RECORDS_H

#include <htslib/sam.h>
#include <htslib/thread_pool.h>
#include <htslib/vcf.h>

#include "io/input.h"
#include "io/output.h"
#include "io/provenance.h"

/* Threads that compress; none for fewer than two. */
int records_pool(htsThreadPool *pool, int threads, cad_error_t *err);
/* Takes over the input's handle. reference: of CRAM, or NULL. */
int records_open(htsFile **fp, input_t *in, const char *reference, cad_error_t *err);
/* Lets the pool decompress BGZF: after the header, for reading to the end. */
int records_threads(htsFile *fp, htsThreadPool *pool, cad_error_t *err);
/* htslib would follow @SQ UR of a CRAM's header; references are local. unless_m5: only
 * where M5 is missing. */
void records_forget_remote(sam_hdr_t *h, bool unless_m5);
/* Before jumping by an index: 0, or CAD_EIO if the file was cut short. */
int records_whole(htsFile *fp, const char *path, cad_error_t *err);
/* What -r needs besides an index: BGZF. */
int records_blocks(htsFile *fp, const char *path, cad_error_t *err);
/* htslib turns SAM records without POS or CIGAR, or with a contig that the header lacks,
 * into unaligned ones. The former are put right, the latter refused; others stay. */
int records_as_written(htsFile *fp, sam_hdr_t *h, bam1_t *b, const char *path, cad_error_t *err);
/* The same after the last record of a stream. */
int records_end(htsFile *fp, const char *path, cad_error_t *err);
typedef struct format_t {
    htsFormat hts;
    bool bgzf;
    char level;
} format_t; /* level: a digit, or 0 */
/* What -O asks for, or the path's suffix, else the input's; f->hts.specific may
 * hold options already. */
int format_choose(format_t *f, bool reads, const char *asked, const char *path, const htsFormat *in, cad_error_t *err);
typedef enum { INDEX_NONE, INDEX_CSI, INDEX_BAI, INDEX_TBI } index_t;
typedef struct records_out_t {
    const char *path; /* set by the caller, as the next three */
    format_t format;
    index_t index;
    bool embed;                /* of CRAM: a reference that is not found is made up and embedded */
    htsFile *fp;               /* NULL: a dry run */
    output_t *part;            /* beside a shard, or NULL; set by the caller, then its own */
    output_t *out, *index_out; /* its own, as what follows */
    char *index_path;
    int shift;
    bool any; /* the last record's place, for records_in_order */
    uint32_t contig;
    int64_t pos;
} records_out_t;
/* Looks at the options, names the index; nothing is opened yet. */
int records_plan(records_out_t *o, cad_error_t *err);
/* Opens the outputs: early, so that a wrong path costs nothing. */
int records_create(records_out_t *o, cad_error_t *err);
/* Writes the header, one of the two. */
int records_begin(records_out_t *o, sam_hdr_t *reads, bcf_hdr_t *variants, const char *reference, htsThreadPool *pool,
                  cad_error_t *err);
/* Before a record is written; name: for the message. */
int records_in_order(records_out_t *o, int contig, int64_t pos, const char *name, cad_error_t *err);
/* Reports that a record or the header could not be written. */
int records_failed(records_out_t *o, cad_error_t *err);
/* Saves the index; syncs and renames all or nothing. */
int records_close(records_out_t *o, const provenance_t *p, cad_error_t *err);
void records_free(records_out_t *o);

#endif
