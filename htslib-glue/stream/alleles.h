/* alleles.h - ALT alleles, their haplotypes, and the bases that are compared. SPDX-License-Identifier: MIT */
#ifndef CAD_ALLELES_H
#define CAD_ALLELES_H

#include "io/bed.h"
#include "io/fasta.h"

typedef struct view_t { /* upper-case bases of the reference around the last place that was read */
    const fasta_t *ref;
    const contig_t *contig;
    interval_t at;
    char *seq;
} view_t;
/* Bases [beg, end), valid until the next call. */
int view_get(view_t *v, const contig_t *c, int64_t beg, int64_t end, const char **seq, cad_error_t *err);
void view_free(view_t *v);
bool is_base(char b);     /* A, C, G or T */
typedef struct flanks_t { /* around a variant */
    int64_t window;       /* bases in the window */
    int64_t left, right;  /* bases on each side of an SNV */
    int64_t longest;      /* the longest segment that is scored */
} flanks_t;
/* flank, anchor: -1 if not given. *max_len: bases in the longest haplotype that is possible. */
int flanks_set(flanks_t *f, int64_t window, int64_t flank, int64_t anchor, int64_t *max_len, cad_error_t *err);
typedef enum { ALLELE_NONE, ALLELE_SNV, ALLELE_OTHER } allele_kind_t;
typedef struct allele_t {
    const char *note; /* static: why it is not scored, or EDGE; else NULL */
    allele_kind_t kind;
    interval_t ref;         /* the REF segment on the contig */
    kstring_t alt;          /* the ALT segment */
    int64_t left, right;    /* flanks of both haplotypes */
    interval_t compared[2]; /* intervals of the REF and the ALT haplotype */
    int shorter;            /* 0 or 1: the haplotype that takes more bases */
    bool ends_halved;       /* its outermost bases count half */
    int64_t n;              /* bases compared */
} allele_t;
/* STAR, SYMBOLIC, or NULL for a sequence. */
const char *allele_note(const char *alt);
/* Sets a for a REF at pos, which was checked against the reference, and an ALT that is a sequence.
 * Reuses the memory of a->alt. */
int allele_set(allele_t *a, const char *ref, const char *alt, int64_t pos, const contig_t *c, view_t *v,
               const flanks_t *f, cad_error_t *err);
/* Writes the bases of haplotype 0 (REF) or 1 (ALT) to out. */
int allele_haplotype(const allele_t *a, int h, const contig_t *c, view_t *v, kstring_t *out, cad_error_t *err);

#endif
