/* scores.h - the table of scores. To add a score, add a row and its function in scores.c.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SCORES_H
#define CAD_SCORES_H

#include "io/text.h"
#include "stream/calibration.h"
#include "stream/influence.h"

/* Bits that say for which kinds of input --score may name a score. Sequence records count as regions. */
enum { OF_REGIONS = 1, OF_READS = 2, OF_VARIANTS = 4, OF_TRACKS = 8 };
/* Bits that say which results of the model a score is computed from. */
enum {
    NEEDS_BASES = 1, /* log p of every base, masked according to --mask */
    NEEDS_SITE = 2,  /* log p at the site of an SNV, from one forward pass with the site masked */
    /* log p at those bases at which the REF and the ALT haplotype are compared, masked according to --mask */
    NEEDS_HAPLOTYPES = 4,
    NEEDS_POOLED = 8,  /* mean embeddings of the REF and the ALT haplotype, without masking */
    NEEDS_BREAKS = 32, /* log p at the bases beside the breakpoints of structural variants, without masking */
    NEEDS_AROUND = 16  /* log p at the bases around the allele, given REF and given ALT, without masking */
};
typedef enum { SCORE_REAL, SCORE_INTEGER, SCORE_TEXT, SCORE_ARRAY } score_type_t;
typedef enum { ARRAY_NONE, ARRAY_EMBEDDING, ARRAY_BASES } score_array_t;

typedef struct score_sums_t { /* sums over the n scored bases of a region or read */
    int64_t n;
    double pll, entropy; /* pll: sum of log p of each base, in nats; entropy: in bits */
} score_sums_t;

typedef struct effect_t { /* results of one ALT allele */
    const float *site;    // (4) log p of A, C, G, T at an SNV's site; NULL for other alleles
    int ref, alt;         /* REF and ALT base of an SNV, 0 to 3; else NO_BASE */
    double sum[2];        /* sum of log p over the compared bases of the REF (0), ALT (1) haplotype */
    int64_t n;            /* number of compared bases */
    // (width) mean embedding of the REF (0), ALT (1) haplotype; NULL if there is no base to pool
    const float *pooled[2];
    int64_t width;
    double breaks_sum;  /* sums over the bases beside breakpoints: log p given ALT less log p given REF, ... */
    int64_t breaks_n;   /* ... and their number; 0: the allele has none */
    influence_t around; /* sums over the bases around the allele; n is 0 if there are none */
    const calibration_t *calibration; /* NULL: none was given */
    int cell;                         /* the SNV's cell of the calibration, or -1 */
} effect_t;

enum { SCORE_TRACKS = 4 }; /* maximum number of tracks of one score */
typedef struct score_t {
    const char *name, *unit;
    unsigned of, needs;
    score_type_t type;
    bool masked; /* true: the score is meant for masked bases; without masking, score_suffix changes its name */
    /* Returns the score of a region, which is written to the column `name`, or of a read, which is written to the tag.
     * NULL for a score that is an array, which only reads have. */
    double (*value)(const score_sums_t *s);
    const char *tag; /* default name of the tag, which --tag-map can change; NULL: no tag */
    score_array_t array;
    /* Name and description of the INFO field for variants. The field is PREFIX_info, such as CADUCEUS_LLR, with
     * Number=A. NaN is written as a missing value. */
    const char *info, *text;
    double (*effect)(const effect_t *e);
    /* name and description of the FORMAT field for an allele in the haplotypes of samples, Number=.; NULL: none */
    const char *format, *in_haplotype;
    /* Number of tracks, and base of the first track; the base of track i is base + i (0 to 3: A, C, G, T). */
    int tracks, base;
    const char *about;                                 /* description of a track, for users */
    double (*at)(const float logp[4], int ref, int b); /* ref: base of the reference; b: base of the track */
    const char *colour[SCORE_TRACKS], *low, *high;     /* colours and range of values in a browser */
    bool letters; /* true: a browser draws each base as a letter, as high as the value */
} score_t;

enum { SCORES_MOST = 32 };
extern const score_t SCORE[]; /* the name of the last row is NULL */

typedef struct score_list_t {
    int n;
    const score_t *row[SCORES_MOST];
} score_list_t;
/* Parses a list of scores such as "pll,n", in the order given; "none" gives an empty list. of: one of OF_*. */
int scores_parse(score_list_t *l, const char *text, unsigned of, cad_error_t *err);
/* Adds a score that --score cannot name for this kind of input, such as "embedding". */
void scores_add(score_list_t *l, const char *name);
/* Sorts the list by the order of the table. */
void scores_sort(score_list_t *l);
/* True if a score of the list needs one of these NEEDS_*. */
bool scores_need(const score_list_t *l, unsigned needs);
/* True if the list has a score with this array. */
bool scores_array(const score_list_t *l, score_array_t array);
/* Appends the names of those scores of the list that --score can name, in the syntax of --score, or "none". */
void scores_names(const score_list_t *l, text_t *t);
/* Appends all names that --score accepts for an input, such as "pll, n, entropy, ic". */
void scores_known(unsigned of, const char *separator, text_t *t);
/* Returns the end of a score's name: "_unmasked" if the score is meant for masked bases but mask is CAD_MASK_NONE, else
 * "". */
const char *score_suffix(const score_t *s, int64_t mask);
/* Appends the value of the score s for a region with these sums; "." for NaN. */
void score_put(const score_t *s, const score_sums_t *sums, text_t *t);

#endif
