/* breakpoints.h - scores structural variants and long alleles at their breakpoints (score sv).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_BREAKPOINTS_H
#define CAD_BREAKPOINTS_H

#include "stream/variants.h"

typedef struct piece_of_alt_t { /* a part of the ALT haplotype: bases of the contig, or inserted bases */
    interval_t ref;             /* if `bases` is NULL */
    bool reverse;               /* the reverse complement of ref */
    char *bases;                /* malloc'd */
    int64_t n;                  /* number of bases */
} piece_of_alt_t;
/* A junction: where pieces `left` and left + 1 meet. Its window consists of pieces `first` to `last`. */
typedef struct junction_t {
    int first, left, last;
} junction_t;
/* Bases of REF on one side of a breakpoint, and where they lie in ALT: from the junction outwards, on the side of REF
 * or, after an inversion, on the other side. */
typedef struct side_t {
    int at;          /* breakpoint of REF: 0 or 1 */
    bool before;     /* the bases before the breakpoint; else those from it on */
    int junction;    /* junction of ALT: 0 or 1 */
    bool alt_before; /* in ALT they lie before the junction */
    int64_t n;       /* number of bases */
} side_t;
struct breaks_t {
    int64_t at[2]; /* breakpoints of REF: before these bases */
    int npiece, njunction, nside;
    piece_of_alt_t piece[4];
    junction_t junction[2];
    side_t side[4];
    double *own[2]; // (2 sv_flank) log p of REF's own base before and after each breakpoint; NaN where there is none
    double sum;
    int64_t n; /* number of bases compared */
};

/* True for a symbolic ALT that can be scored, if the record says where it ends: <DEL>, <DUP>, <INV>, <INS>. */
bool breaks_symbolic(const char *alt);
/* True for a breakend. */
bool breaks_breakend(const char *alt);
/* Puts the windows of ALT allele `alt`, which is symbolic or long. Gives the allele a note if it cannot be scored. */
int breaks_put(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err);
/* Stores the results of a window. */
void breaks_take(const variants_t *v, result_t *r, const job_t *j);
/* Windows at breakpoints have ids from here on: ID_BREAKS + 4 alt + 0 and 1 for REF's, 2 and 3 for ALT's. */
#define ID_BREAKS ((int64_t)1 << 41)
void breaks_free(struct breaks_t *b);

#endif
