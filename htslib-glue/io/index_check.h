/* index_check.h - finds the index beside a data file, and checks it before htslib loads it, since htslib trusts the
 * counts and offsets in an index. Every function that takes err returns 0 or a negative CAD_E*.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_INDEX_CHECK_H
#define CAD_INDEX_CHECK_H

#include <htslib/hts.h>

#include "io/notes.h"

/* format of the data; INDEXED_READS: BAM and SAM.gz */
typedef enum { INDEXED_READS, INDEXED_CRAM, INDEXED_VCF, INDEXED_BCF } indexed_t;
typedef struct index_file_t {
    const char *data; /* the file that the index belongs to; borrowed */
    indexed_t kind;
    int ncontig;   /* number of contigs in the header of the data file */
    char *path;    /* path of the index; NULL: there is none */
    int64_t reach; /* the index covers bases [0, reach) of each contig */
    int64_t size;  /* size of the data file in bytes */
    int fd;        /* open descriptor of the data file */
} index_file_t;
/* Looks for the index of the file DATA in the same places as htslib: DATA.csi, then DATA with its last suffix replaced
 * by .csi, then the same two names with .bai or .tbi. For CRAM, looks only for the two names with .crai. x->path stays
 * NULL if there is no index. */
int index_find(index_file_t *x, const char *data, indexed_t kind, int ncontig, cad_error_t *err);
/* Returns CAD_EFORMAT if the index is damaged, hostile or belongs to another file. Prints a note if the index is older
 * than the data. */
int index_check(index_file_t *x, notes_t *notes, cad_error_t *err);
/* Lowers the end of a query [beg, *end) to the largest position that both the index and htslib can represent. Returns
 * CAD_EARG if the index cannot represent beg. */
int index_clip(const index_file_t *x, const char *contig, int64_t beg, int64_t *end, cad_error_t *err);
/* Returns CAD_EFORMAT if a file offset to which the iterator `walk` will seek is neither within a block of the data nor
 * at the end of the data. Does not check CRAM. */
int index_fits(const index_file_t *x, const hts_itr_t *walk, cad_error_t *err);
/* Reports that the index belongs to another file; returns CAD_EFORMAT. what: text that says how the index contradicts
 * the data. */
int index_misfit(const index_file_t *x, const char *what, cad_error_t *err);
/* Reports that a record found through the index cannot be read; returns CAD_EIO. records: number of records read before
 * that one. */
int index_damage(const index_file_t *x, int64_t records, cad_error_t *err);
void index_close(index_file_t *x); /* a zeroed x is allowed */

/* ---- functions also used for .fai and .gzi ---- */
/* True if both files exist and the index was changed before the data. */
bool index_is_older(const char *index, const char *data);
/* Sets *size to the size of the BGZF block at offset `at`, and *data to the size of its uncompressed data. Returns
 * false if no block begins there. A block is a gzip member; its extra field holds its size minus one, and its last
 * four bytes hold the size of its data. */
bool bgzf_block_at(int fd, uint64_t at, uint64_t *size, uint64_t *data);

#endif
