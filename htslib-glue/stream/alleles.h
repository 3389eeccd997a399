/* alleles.h - ALT alleles, their haplotypes, what is compared. SPDX-License-Identifier: MIT */
#ifndef CAD_ALLELES_H
#define CAD_ALLELES_H

#include "io/bed.h"
#include "io/fasta.h"

typedef struct view_t { /* upper-case reference bases around the last place asked for */
    const fasta_t *ref;
    const contig_t *contig;
    interval_t at;
    char *seq;
} view_t;
/* Bases [beg, end), valid until the next call. */
int view_get(view_t *v, const contig_t *c, int64_t beg, int64_t end, const char **seq, cad_error_t *err);
void view_free(view_t *v);
bool is_base(char b);            /* A, C, G or T */
typedef struct context_t {       /* of a variant */
    int64_t window, left, right; /* bases in the window; on each side of an SNV */
    int64_t longest;             /* the longest segment that is scored */
} context_t;
/* flank, anchor: -1 if not given. max_len: of the longest haplotype that can come. */
int context_set(context_t *x, int64_t window, int64_t flank, int64_t anchor, int64_t *max_len, cad_error_t *err);
typedef enum { ALLELE_NONE, ALLELE_SNV, ALLELE_OTHER } allele_kind_t;
typedef struct allele_t {
    const char *note; /* static: why it is not scored, or EDGE; else NULL */
    allele_kind_t kind;
    interval_t ref;         /* the REF segment on the contig */
    kstring_t alt;          /* the ALT segment */
    int64_t left, right;    /* context of both haplotypes */
    interval_t compared[2]; /* in the REF and the ALT haplotype, from its first base */
    int shorter;            /* 0 or 1: the haplotype that takes more bases */
    bool half;              /* its outermost bases count half */
    int64_t n;              /* bases compared */
} allele_t;
/* STAR, SYMBOLIC, or NULL for a sequence. */
const char *allele_note(const char *alt);
/* Of a sequence ALT and a REF at pos that was checked against the reference; reuses a->alt. */
int allele_set(allele_t *a, const char *ref, const char *alt, int64_t pos, const contig_t *c, view_t *v,
               const context_t *x, cad_error_t *err);
/* Bases of haplotype 0 (REF) or 1 (ALT). */
int allele_haplotype(const allele_t *a, int h, const contig_t *c, view_t *v, kstring_t *out, cad_error_t *err);

#endif
