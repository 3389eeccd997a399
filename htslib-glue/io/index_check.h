/* index_check.h - finds and parses the index beside a data file before htslib loads it, since htslib allocates by
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
    const char *data; /* the file that the index belongs to; borrowed */
    indexed_t kind;
    int ncontig;   /* contigs in the header of the data */
    char *path;    /* path of the index; NULL: there is none */
    int64_t reach; /* the index covers bases [0, reach) of each contig */
    int64_t size;  /* bytes of the data */
    int fd;        /* descriptor of the data */
} index_file_t;
/* Looks for the index where htslib does: DATA.csi, DATA with .csi in place of its last suffix, then the same with .bai
 * or .tbi; for CRAM with .crai. x->path stays NULL if there is none. */
int index_find(index_file_t *x, const char *data, indexed_t kind, int ncontig, cad_error_t *err);
/* Returns CAD_EFORMAT if the index is damaged, hostile or another file's. Notes an index that is older than the
 * data. */
int index_check(index_file_t *x, notes_t *notes, cad_error_t *err);
/* Lowers the end of a query [beg, *end) to what the index and htslib can reach. Returns CAD_EARG if beg lies beyond the
 * reach of the index. */
int index_clip(const index_file_t *x, const char *contig, int64_t beg, int64_t *end, cad_error_t *err);
/* Returns CAD_EFORMAT unless every offset that the query leads to lies in a block of the data, or at the end of the
 * data. Does not check CRAM. */
int index_fits(const index_file_t *x, const hts_itr_t *walk, cad_error_t *err);
/* Returns CAD_EFORMAT: the index belongs to another file. what: how that shows. */
int index_misfit(const index_file_t *x, const char *what, cad_error_t *err);
/* Returns CAD_EIO: a record that the index led to cannot be read. records: how many were read before it. */
int index_damage(const index_file_t *x, int64_t records, cad_error_t *err);
void index_close(index_file_t *x); /* a zeroed x is allowed */

/* ---- also for .fai and .gzi ---- */
/* True if both files exist and the index was changed before the data. */
bool index_is_older(const char *index, const char *data);
/* Sets *size and *data to the sizes of the BGZF block at `at` and of its data; false if no block begins there. A block
 * is a gzip member whose extra field holds its size less one; its last four bytes are the size of its data. */
bool bgzf_block_at(int fd, uint64_t at, uint64_t *size, uint64_t *data);
uint64_t little64(const unsigned char *b);

#endif
