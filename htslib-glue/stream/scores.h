/* scores.h - the one table of scores: a new score is a row of scores.c and its function.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_SCORES_H
#define CAD_SCORES_H

#include "io/text.h"

/* Inputs whose --score may name a score. Sequence records count as regions. */
enum { OF_REGIONS = 1, OF_READS = 2, OF_VARIANTS = 4, OF_TRACKS = 8 };
/* Results of the model that a score is computed from. */
enum {
    NEEDS_BASES = 1,      /* log p of every base, in as many passes as --mask says */
    NEEDS_SITE = 2,       /* log p at an SNV's site: one pass, that site masked */
    NEEDS_HAPLOTYPES = 4, /* log p of the compared bases of two haplotypes, each in the passes of --mask */
    NEEDS_POOLED = 8      /* mean embeddings of two haplotypes: one pass each, nothing masked */
};
typedef enum { SCORE_REAL, SCORE_INTEGER, SCORE_TEXT, SCORE_ARRAY } score_type_t;
typedef enum { ARRAY_NONE, ARRAY_EMBEDDING, ARRAY_BASES } score_array_t;

typedef struct score_sums_t { /* sums over the n scored bases of a region or read */
    int64_t n;
    double pll, entropy; /* nats, bits */
} score_sums_t;

typedef struct effect_t {   /* results of one ALT allele */
    const float *site;      // (4) log p of A, C, G, T at an SNV's site; NULL for other alleles
    int ref, alt;           /* an SNV's bases, 0 to 3, else NO_BASE */
    double sum[2];          /* log p of the compared bases: REF, ALT haplotype */
    int64_t n;              /* bases compared */
    const float *pooled[2]; // (width) embeddings: REF, ALT haplotype; NULL if there is no base to pool
    int64_t width;
} effect_t;

enum { SCORE_TRACKS = 4 }; /* tracks of one score at most */
typedef struct score_t {
    const char *name, *unit;
    unsigned of, needs;
    score_type_t type;
    bool masked; /* a value of masked bases: has another name where nothing is masked */
    /* Regions: the column of this name. Reads: the tag. Arrays have no value: reads write them. */
    double (*value)(const score_sums_t *s);
    const char *tag; /* its name before --tag-map; NULL: no tag */
    score_array_t array;
    /* Variants: INFO/CADUCEUS_NAME, Number=A. NaN is written as missing. */
    const char *info, *text;
    double (*effect)(const effect_t *e);
    /* Tracks, `tracks` of them: number i is for base + i of A, C, G, T. */
    int tracks, base;
    double (*at)(const float logp[4], int ref, int b); /* ref: the base in the sequence, b: the track's */
    const char *colour[SCORE_TRACKS], *low, *high;     /* how a browser draws it: colours, range */
    bool letters;                                      /* drawn as letters as high as the value */
} score_t;

enum { SCORES_MOST = 32 };
extern const score_t SCORE[]; /* ends with a row without a name */

typedef struct score_list_t {
    int n;
    const score_t *row[SCORES_MOST];
} score_list_t;
/* The scores that `text` names, as "pll,n", in its order; "none": no scores. of: one of OF_*. */
int scores_parse(score_list_t *l, const char *text, unsigned of, cad_error_t *err);
/* Adds a score that --score cannot name for this kind of input, such as "embedding". */
void scores_add(score_list_t *l, const char *name);
/* Sorts the list by the order of the table. */
void scores_sort(score_list_t *l);
/* A score of the list needs one of these NEEDS_*. */
bool scores_need(const score_list_t *l, unsigned needs);
/* The list's arrays include this one. */
bool scores_array(const score_list_t *l, score_array_t array);
/* The names of those that --score can name, or "none", as --score takes them. */
void scores_names(const score_list_t *l, text_t *t);
/* All names that --score takes for an input: "pll, n, entropy, ic". */
void scores_known(unsigned of, const char *separator, text_t *t);
/* "_unmasked" for a score of masked bases if mask is CAD_MASK_NONE, else "". */
const char *score_suffix(const score_t *s, int64_t mask);
/* The value of a region; "." for NaN. */
void score_put(const score_t *s, const score_sums_t *sums, text_t *t);

#endif
