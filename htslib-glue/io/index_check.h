/* index_check.h - the index beside a data file is found and parsed before htslib loads it: htslib allocates by
 * counts and seeks to offsets that it does not check. Every function that takes err returns 0 or a negative CAD_E*,
 * unless it says otherwise.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_INDEX_CHECK_H
#define CAD_INDEX_CHECK_H

#include <htslib/hts.h>

#include "io/notes.h"

typedef enum { INDEXED_READS, INDEXED_CRAM, INDEXED_VCF, INDEXED_BCF } indexed_t; /* reads: BAM and SAM.gz */
typedef struct index_file_t {
    const char *data; /* the file that it belongs to; borrowed */
    indexed_t kind;
    int ncontig;   /* in the header of the data */
    char *path;    /* NULL: there is none */
    int64_t reach; /* it places bases [0, reach) of a contig */
    int64_t size;  /* bytes of the data */
    int fd;        /* the data */
} index_file_t;
/* Looks for the index where htslib does: DATA.csi, then with the last suffix replaced, then .bai or .tbi so; .crai. */
int index_find(index_file_t *x, const char *data, indexed_t kind, int ncontig, cad_error_t *err);
/* CAD_EFORMAT if the index is damaged, hostile or another file's; a note if it is older than the data. */
int index_check(index_file_t *x, notes_t *notes, cad_error_t *err);
/* The end of a query of [beg, end), as htslib can bear it; CAD_EARG if beg lies where this kind of index ends. */
int index_clip(const index_file_t *x, const char *contig, int64_t beg, int64_t *end, cad_error_t *err);
/* CAD_EFORMAT unless every place that the query leads to is the beginning of a block of the data. */
int index_fits(const index_file_t *x, const hts_itr_t *walk, cad_error_t *err);
int index_misfit(const index_file_t *x, const char *what, cad_error_t *err); /* CAD_EFORMAT: it is another file's */
/* CAD_EIO: a record that the index led to cannot be read, after so many that could. */
int index_damage(const index_file_t *x, int64_t records, cad_error_t *err);
void index_close(index_file_t *x); /* a zeroed x is allowed */

/* ---- also for .fai and .gzi ---- */
/* True if both are there and the first was changed before the second. */
bool index_is_older(const char *index, const char *data);
/* A BGZF block is a gzip member whose extra field holds its size less one; its last four bytes are the size of its
 * data. Gives both; false where no block begins. */
bool bgzf_block_at(int fd, uint64_t at, uint64_t *size, uint64_t *data);
uint64_t little64(const unsigned char *b);

#endif
