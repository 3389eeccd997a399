/* fasta.h - an indexed reference, and aliases of its contigs. Positions are 0-based, intervals
 * half-open. SPDX-License-Identifier: MIT */
#ifndef CAD_FASTA_H
#define CAD_FASTA_H

#include <htslib/bgzf.h>

#include "io/notes.h"

typedef struct contig_t {
    char *name;
    /* as in .fai */
    int64_t length; /* length in bases */
    int64_t offset; /* offset of the first base in the file */
    int64_t bases;  /* bases in a line */
    int64_t width;  /* bytes in a line */
} contig_t;
typedef struct fasta_t {
    BGZF *fp;         /* with its .gzi loaded if compressed */
    contig_t *contig; /* in the order of the index */
    int ncontig;
    const contig_t **by_name; /* (ncontig) sorted by name */
    struct alias_t *alias;    /* (nalias) sorted by name */
    int nalias;
    char *tmp_dir, *tmp_fai, *tmp_gzi; /* an index built in $TMPDIR, while it is loaded; else NULL */
    int ticket[3];                     /* temporary_add's for tmp_fai, tmp_gzi, tmp_dir */
    const char *path;                  /* borrowed */
    char checksum[65];                 /* SHA-256 of the "name\tlength\n" lines */
} fasta_t;
/* Opens a FASTA, plain or bgzip-compressed, and checks its index, which is built if there is none:
 * beside the FASTA, else in $TMPDIR for this run. 0, or a negative CAD_E* with nothing to close. */
int fasta_open(fasta_t *f, const char *path, notes_t *notes, cad_error_t *err);
void fasta_close(fasta_t *f);
const contig_t *fasta_find(const fasta_t *f, const char *name); /* by name or alias; or NULL */
bool fasta_has(const void *fasta, const char *name);            /* for names_t */
/* Text for a message that the contig `name` does not exist: a similar name, else the first. */
const char *fasta_hint(const fasta_t *f, const char *name, char *buf, size_t size);
/* Copies bases [beg, end) as they are in the file, and a NUL, to seq (end-beg+1 bytes): 0 or a
 * negative CAD_E*. Not for two threads at once. */
int fasta_fetch(const fasta_t *f, const contig_t *c, int64_t beg, int64_t end, char *seq, cad_error_t *err);

/* ---- alias.c ---- */
/* Reads aliases (--chr-alias): 0 or a negative CAD_E*. */
int fasta_alias(fasta_t *f, const char *path, cad_error_t *err);
const contig_t *alias_find(const fasta_t *f, const char *name); /* NULL: no such alias */
void alias_free(fasta_t *f);

#endif
