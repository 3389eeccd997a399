/* records.h - alignment and variant files through htslib. Every function that takes err returns
 * 0 or a negative CAD_E*. SPDX-License-Identifier: MIT */
#ifndef CAD_RECORDS_H
#define CAD_RECORDS_H

#include <htslib/sam.h>
#include <htslib/thread_pool.h>
#include <htslib/vcf.h>

#include "io/input.h"
#include "io/output.h"
#include "io/provenance.h"

/* Starts a pool of threads that compress and decompress; none for fewer than two. The caller
 * destroys it. */
int records_pool(htsThreadPool *pool, int threads, cad_error_t *err);
/* Opens *fp on the handle of the input, which it then owns. reference: for CRAM, or NULL. */
int records_open(htsFile **fp, input_t *in, const char *reference, cad_error_t *err);
/* Lets the pool decompress BGZF. After the header is read, and only for reading to the end. */
int records_threads(htsFile *fp, htsThreadPool *pool, cad_error_t *err);
/* Removes @SQ UR tags with remote addresses, which htslib would fetch references from. unless_m5:
 * only where M5 is missing. */
void records_forget_remote(sam_hdr_t *h, bool unless_m5);
/* Call before seeking: checks for the end marker; CAD_EIO if the file was cut short. */
int records_whole(htsFile *fp, const char *path, cad_error_t *err);
/* -r needs BGZF besides an index: CAD_EFORMAT for anything else. */
int records_blocks(htsFile *fp, const char *path, cad_error_t *err);
/* htslib turns SAM records without POS or CIGAR, or on a contig that the header lacks, into
 * unaligned ones. This restores the former from the line and refuses the latter. */
int records_as_written(htsFile *fp, sam_hdr_t *h, bam1_t *b, const char *path, cad_error_t *err);
/* After the last record: CAD_EIO if the end marker is missing. */
int records_end(htsFile *fp, const char *path, cad_error_t *err);
typedef struct format_t {
    htsFormat hts;
    bool bgzf;
    char level; /* of compression: a digit, or 0 for the default */
} format_t;
/* Chooses the format by -O (asked, or NULL), else by the suffix of path, else as the input. Options
 * already in f->hts.specific are kept. */
int format_choose(format_t *f, bool reads, const char *asked, const char *path, const htsFormat *in, cad_error_t *err);
typedef enum { INDEX_NONE, INDEX_CSI, INDEX_BAI, INDEX_TBI } index_t;
typedef struct records_out_t {
    /* Set by the caller: */
    const char *path; /* borrowed */
    format_t format;
    index_t index;
    bool embed;     /* for CRAM: a reference that is not found is derived from the reads and embedded */
    output_t *part; /* the .json beside a shard, or NULL; opened by the caller, then owned here */
    /* Set by records_create: */
    htsFile *fp; /* owned by out; NULL: a dry run */
    /* Its own: */
    output_t *out, *index_out;
    char *index_path;
    int shift; /* htslib's min_shift of the index */
    bool any;  /* there was a record; the last one was at (contig, pos) */
    uint32_t contig;
    int64_t pos;
} records_out_t;
/* Checks the options and names the index. Opens nothing. */
int records_plan(records_out_t *o, cad_error_t *err);
/* Opens the outputs. Before the model is loaded, so that a wrong path costs no time. */
int records_create(records_out_t *o, cad_error_t *err);
/* Writes the header: reads or variants, the other NULL. */
int records_begin(records_out_t *o, sam_hdr_t *reads, bcf_hdr_t *variants, const char *reference, htsThreadPool *pool,
                  cad_error_t *err);
/* Before a record is written: CAD_EFORMAT if it is not sorted and there is an index. pos is
 * 0-based; name is for the message. */
int records_in_order(records_out_t *o, int contig, int64_t pos, const char *name, cad_error_t *err);
/* Reports that a record or the header could not be written; returns the error. */
int records_failed(records_out_t *o, cad_error_t *err);
/* Saves the index, then syncs and renames all outputs or none. */
int records_close(records_out_t *o, const provenance_t *p, cad_error_t *err);
void records_free(records_out_t *o); /* aborts what is not closed */

#endif
