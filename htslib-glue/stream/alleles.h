/* alleles.h - finds the haplotypes of an ALT allele (the sequences with REF and with ALT), and the bases at which they
 * are compared.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_ALLELES_H
#define CAD_ALLELES_H

#include "io/bed.h"
#include "io/fasta.h"

typedef struct view_t { /* a buffer of reference bases around the interval that was read last */
    /* Set by the caller: */
    const fasta_t *ref;
    bool as_is; /* true: letters as in the FASTA; false: in upper case */
    /* Private: */
    const contig_t *contig;
    interval_t at;
    char *seq;
} view_t;
/* Sets *seq to bases [beg, end) of the contig; valid until the next call. */
int view_get(view_t *v, const contig_t *c, int64_t beg, int64_t end, const char **seq, cad_error_t *err);
void view_free(view_t *v);
bool is_base(char b);     /* true for A, C, G and T */
typedef struct flanks_t { /* lengths, in bases, of the sequence around a variant */
    int64_t window;       /* length of a window, flanks included */
    int64_t left, right;  /* bases on each side of an SNV */
    int64_t longest;      /* maximum length of a segment (trimmed REF or ALT) that is scored */
} flanks_t;
/* Sets the lengths in f. flank and anchor: values of the options, -1 if not given. Sets *max_len to the length in bases
 * of the longest possible haplotype. */
int flanks_set(flanks_t *f, int64_t window, int64_t flank, int64_t anchor, int64_t *max_len, cad_error_t *err);
typedef enum { ALLELE_NONE, ALLELE_SNV, ALLELE_OTHER } allele_kind_t;
typedef struct allele_t {
    const char *note; /* static text: the reason why the allele is not scored, or "EDGE"; NULL: no note */
    allele_kind_t kind;
    interval_t ref;         /* REF segment (REF after trimming), as an interval of the contig */
    kstring_t alt;          /* bases of the ALT segment */
    int64_t left, right;    /* bases of the flanks, which are the same for both haplotypes */
    interval_t compared[2]; /* interval of the compared bases in the REF (0) and the ALT (1) haplotype */
    int shorter;            /* 0 or 1: the haplotype with the shorter segment */
    bool ends_halved;       /* true if the first and last compared base of the shorter haplotype count half */
    int64_t n;              /* number of compared bases */
} allele_t;
/* Returns why an ALT cannot be scored, "STAR" or "SYMBOLIC", or NULL if the ALT is a sequence. */
const char *allele_note(const char *alt);
/* True for an ALT that is not an allele, such as "." or <*>. Such an ALT gets no note. A record with only such ALTs is
 * written unchanged. */
bool allele_placeholder(const char *alt);
/* Sets only the segments, of an allele of any length. */
int allele_extent(allele_t *a, const char *ref, const char *alt, int64_t pos, const contig_t *c, view_t *v,
                  cad_error_t *err);
/* Returns how many bases on each side of a segment allele_set can use, if the contig does not end there. */
int64_t flanks_reach(const flanks_t *f);
/* Fills *a from ref (a record's REF, already compared with the reference), its position pos (0-based) and alt, an ALT
 * that is a sequence. Reuses the memory of a->alt. */
int allele_set(allele_t *a, const char *ref, const char *alt, int64_t pos, const contig_t *c, view_t *v,
               const flanks_t *f, cad_error_t *err);
/* Writes the bases of haplotype 0 (REF) or 1 (ALT) to out. */
int allele_haplotype(const allele_t *a, int h, const contig_t *c, view_t *v, kstring_t *out, cad_error_t *err);

#endif
