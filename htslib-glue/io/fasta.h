/* fasta.h - reads an indexed FASTA (the reference), and aliases of its contigs. Positions are 0-based, intervals
 * half-open. SPDX-License-Identifier: MIT */
#ifndef CAD_FASTA_H
#define CAD_FASTA_H

#include "io/gzi.h"
#include "io/notes.h"

typedef struct contig_t {
    char *name;
    /* The contig's columns in the .fai: */
    int64_t length; /* length in bases */
    int64_t offset; /* offset of the first base in the file */
    int64_t bases;  /* bases in a full line */
    int64_t width;  /* bytes in a full line, line end included */
} contig_t;
typedef struct fasta_t {
    BGZF *fp;         /* the open FASTA */
    gzi_t gzi;        /* the BGZF blocks of a compressed FASTA */
    contig_t *contig; /* (ncontig) in the order of the index */
    int ncontig;
    const contig_t **by_name; /* (ncontig) sorted by name */
    struct alias_t *alias;    /* (nalias) sorted by name */
    int nalias;
    char *tmp_dir, *tmp_fai, *tmp_gzi; /* paths of an index built in $TMPDIR, until it is loaded; else NULL */
    int ticket[3];                     /* tickets of temporary_add for tmp_fai, tmp_gzi, tmp_dir */
    const char *path;                  /* borrowed */
    char checksum[65];                 /* SHA-256 of the text that has a line "name\tlength\n" for each contig */
} fasta_t;
/* Opens a FASTA, plain or bgzip-compressed, and checks its index. A missing index is built beside the FASTA or, if that
 * is impossible, in $TMPDIR for this run. Returns 0 or a negative CAD_E*; after an error there is nothing to close. */
int fasta_open(fasta_t *f, const char *path, notes_t *notes, cad_error_t *err);
void fasta_close(fasta_t *f);
/* Returns the contig whose own name is `name` (n letters); NULL if there is none. Ignores aliases. */
const contig_t *fasta_own(const fasta_t *f, const char *name, size_t n);
const contig_t *fasta_find(const fasta_t *f, const char *name); /* looks up a name or alias; NULL: no such contig */
/* Returns true if fasta_find finds the name. Has the type of names_t.has. */
bool fasta_has(const void *fasta, const char *name);
/* Returns a hint for the message that the contig `name` does not exist: a similar name, or else the first contig. */
const char *fasta_hint(const fasta_t *f, const char *name, char *buf, size_t size);
/* Copies bases [beg, end) to seq, unchanged, and appends a NUL; seq has room for end-beg+1 bytes. Returns 0 or a
 * negative CAD_E*. Two threads must not call this function at the same time. */
int fasta_fetch(const fasta_t *f, const contig_t *c, int64_t beg, int64_t end, char *seq, cad_error_t *err);

/* ---- alias.c ---- */
/* Reads the file of aliases (--chr-alias). Returns 0 or a negative CAD_E*. */
int fasta_alias(fasta_t *f, const char *path, cad_error_t *err);
const contig_t *alias_find(const fasta_t *f, const char *name); /* NULL: no such alias */
void alias_free(fasta_t *f);

#endif
