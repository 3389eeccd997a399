/* fasta.h - an indexed reference, and other names of its contigs. SPDX-License-Identifier: MIT */
#ifndef CAD_FASTA_H
#define CAD_FASTA_H

#include <htslib/bgzf.h>

#include "io/notes.h"

typedef struct contig_t {
    char *name;
    int64_t length, offset, bases, width;
} contig_t;
typedef struct fasta_t {
    BGZF *fp;         /* with its .gzi loaded if compressed */
    contig_t *contig; /* in the order of the index */
    int ncontig;
    const contig_t **by_name; /* sorted */
    struct alias_t *alias;    /* more names, sorted */
    int nalias;
    char *tmp_dir, *tmp_fai, *tmp_gzi; /* index built in a temporary place */
    int ticket[3];                     /* of these */
    const char *path;
    char checksum[65]; /* SHA-256 of the "name\tlength\n" lines */
} fasta_t;
int fasta_open(fasta_t *f, const char *path, notes_t *notes, cad_error_t *err);
void fasta_close(fasta_t *f);
const contig_t *fasta_find(const fasta_t *f, const char *name);
bool fasta_has(const void *fasta, const char *name); /* for names_t */
/* Text like `; the FASTA has "chr20"` or "". */
const char *fasta_hint(const fasta_t *f, const char *name, char *buf, size_t size);
/* Bases [beg, end) as written, into seq (end-beg+1 bytes). */
int fasta_fetch(const fasta_t *f, const contig_t *c, int64_t beg, int64_t end, char *seq, cad_error_t *err);

/* ---- alias.c ---- */
int fasta_alias(fasta_t *f, const char *path, cad_error_t *err);
const contig_t *alias_find(const fasta_t *f, const char *name); /* NULL: not one of them */
void alias_free(fasta_t *f);

#endif
