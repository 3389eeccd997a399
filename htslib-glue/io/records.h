/* records.h - reads and writes alignment and variant files through htslib. Every function that takes err returns
 * 0 or a negative CAD_E*. SPDX-License-Identifier: MIT */
#ifndef CAD_RECORDS_H
#define CAD_RECORDS_H

#include <htslib/sam.h>
#include <htslib/thread_pool.h>
#include <htslib/vcf.h>

#include "io/input.h"
#include "io/output.h"
#include "io/provenance.h"

/* Starts a pool of threads that compress and decompress. The caller destroys the pool. threads < 2: starts none. */
int records_pool(htsThreadPool *pool, int threads, cad_error_t *err);
/* Opens the htslib file *fp on the input's handle, which *fp then owns. reference: path of the FASTA for CRAM, or
 * NULL. */
int records_open(htsFile **fp, input_t *in, const char *reference, cad_error_t *err);
/* Lets the pool decompress a BGZF file. Call this after the header is read, and only if the file is read to the end. */
int records_threads(htsFile *fp, htsThreadPool *pool, cad_error_t *err);
/* Removes @SQ UR tags with remote addresses, from which htslib would download references. unless_m5: keeps the UR tags
 * of lines that also have M5. */
void records_forget_remote(sam_hdr_t *h, bool unless_m5);
/* Returns CAD_EIO if the end marker is missing, which means that the file is cut short. Seeks to the end of the file
 * and back; call this before a query through an index. */
int records_whole(htsFile *fp, const char *path, cad_error_t *err);
/* Returns CAD_EFORMAT if the file is not BGZF. -r needs BGZF and an index. */
int records_blocks(htsFile *fp, const char *path, cad_error_t *err);
/* Returns CAD_EFORMAT if a record or its mate lies on no contig of the header, or before base 0. htslib does not check
 * positions, nor the contigs of records that it finds through an index. */
int records_placed(const sam_hdr_t *h, const bam1_t *b, const char *path, cad_error_t *err);
/* htslib makes a SAM record unaligned if the record has no POS or CIGAR, or if the header lacks its contig. In the
 * first case, restores the record from its SAM line. In the second case, returns CAD_EFORMAT. */
int records_as_written(htsFile *fp, sam_hdr_t *h, bam1_t *b, const char *path, cad_error_t *err);
/* Returns the fraction of the input file that has been read, or 0 if the size of the file is not known. Must not be
 * called for CRAM. */
double records_share(const htsFile *fp, const input_t *in);
/* Returns CAD_EIO if the end marker is missing at the end of a file that was read in order. Call this after the last
 * record. */
int records_end(htsFile *fp, const char *path, cad_error_t *err);
/* Allocates room for the fields of the record, then calls bcf_unpack(rec, which). Without that room, htslib would end
 * the process or leave fields empty if memory is short. Returns 0, or CAD_ENOMEM. */
int records_unpack(bcf1_t *rec, int which, cad_error_t *err);
typedef struct format_t {
    htsFormat hts;
    bool bgzf;
    char level; /* compression level as a character, '0' to '9'; 0: the default level */
} format_t;
/* Chooses the output's format by `asked`, the value of -O. If asked is NULL, chooses by the suffix of path. If the
 * suffix names no format, chooses `in`, the format of the input. Keeps the options that are already in
 * f->hts.specific. */
int format_choose(format_t *f, bool reads, const char *asked, const char *path, const htsFormat *in, cad_error_t *err);
/* If `asked`, the value of -O, is NULL: returns CAD_EARG if path has the suffix of a known format of another kind of
 * file: not reads if f is a format of reads, else not variants. */
int format_suffix(const format_t *f, const char *asked, const char *path, cad_error_t *err);
typedef enum { INDEX_NONE, INDEX_CSI, INDEX_BAI, INDEX_TBI } index_t;
typedef struct records_out_t {
    /* Set by the caller: */
    const char *path; /* borrowed */
    format_t format;
    index_t index;
    bool embed;     /* CRAM: if the reference is not found, embed one that htslib derives from the reads */
    output_t *part; /* the .json beside a shard's output, or NULL. The caller opens it; records_free frees it */
    /* Set by records_create: */
    htsFile *fp; /* owned by out; NULL in a dry run */
    /* Private: */
    output_t *out, *index_out;
    char *index_path;
    int shift; /* min_shift of the index, for htslib */
    bool any;  /* true once a record is written; (contig, pos) is then the position of the last record */
    uint32_t contig;
    int64_t pos;
} records_out_t;
/* Checks the options of the output and chooses the type of its index. Opens nothing. */
int records_plan(records_out_t *o, cad_error_t *err);
/* Opens the outputs. Call this before the model is loaded, so that a wrong path is reported at once. */
int records_create(records_out_t *o, cad_error_t *err);
/* Writes the header, which is either `reads` or `variants`; the other argument is NULL. */
int records_begin(records_out_t *o, sam_hdr_t *reads, bcf_hdr_t *variants, const char *reference, htsThreadPool *pool,
                  cad_error_t *err);
/* Write one record. Return CAD_EFORMAT if an index is to be written and the record is not in sorted order. name: the
 * record's name, for the message. */
int records_put_read(records_out_t *o, const sam_hdr_t *h, const bam1_t *b, cad_error_t *err);
int records_put_variant(records_out_t *o, bcf_hdr_t *h, bcf1_t *rec, const char *name, cad_error_t *err);
/* Saves the index, syncs all outputs, and then renames all of them. */
int records_close(records_out_t *o, const provenance_t *p, cad_error_t *err);
void records_free(records_out_t *o); /* aborts the outputs that are not closed */

#endif
