/* examples.h - keeps labelled sequences in memory, to train or test a classifier. SPDX-License-Identifier: MIT */
#ifndef CAD_EXAMPLES_H
#define CAD_EXAMPLES_H

#include "learn/labelled.h"
#include "caduceus.h"

typedef struct example_t {
    uint8_t *tokens; // (len)
    int64_t len, line;
    int64_t padded; /* the sequence begins with so many letters that are padding */
    int64_t around; /* tokens in each half of `sides` */
    uint8_t *sides; // (2,around) what comes before and after the sequence in the reference; NULL: not known
    char *label;    /* text of each label column, each followed by NUL; malloc'd */
    uint8_t *class; // (len) class of each base (annotation.h); NULL: the example has one label
    float *target;  // (bins,K) values of bins (binvalues.h), else NULL
    float *weight;  // (bins) 1, or 0 for a bin that is neither trained on nor measured
} example_t;
typedef struct examples_t {
    const char *path;
    example_t *row;                   // (n)
    int64_t n, room, tokens, longest; /* tokens: sum over all rows; longest: maximum over all rows */
    int nlabel;
    char **label_name; // (nlabel) names of the label columns
    bool named;        /* true if the names of the label columns come from the input */
    float *target;     // (n,K) set by examples_targets
    const char **cell; // (nlabel) labels of the row that is being read
    char digest[65];   /* SHA-256 of sequences and labels */
} examples_t;
/* Reads all rows of an open input into e. Returns CAD_EFORMAT if there is no row, or if no row has an A, C, G or T.
 * Sequences are letters until examples_encode. */
int examples_read(examples_t *e, labelled_t *l, cad_error_t *err);
/* Functions for reading row by row: examples_begin starts without rows, examples_add adds the row that l has just read,
 * examples_clear removes all rows. */
int examples_begin(examples_t *e, const labelled_t *l, cad_error_t *err);
int examples_add(examples_t *e, const labelled_t *l, cad_error_t *err);
void examples_clear(examples_t *e);
/* Encodes all sequences as tokens, and notes letters other than A, C, G, T and N. */
void examples_encode(examples_t *e, const cad_model_t *model, notes_t *notes);
/* Fills in the head from the rows: the names of its classes or labels, or the mean and standard deviation of each
 * value. */
int examples_learn(const examples_t *e, cad_head_t *head, cad_error_t *err);
/* Sets e->target (n,K): 0 or 1 for classes and labels, (value - mean) / scale for values. */
int examples_targets(examples_t *e, const cad_head_t *head, cad_error_t *err);
/* Moves a fraction of the rows of `all`, chosen by the seed, to `part`. If the head has classes, the fraction is
 * the same for each class. */
int examples_split(examples_t *all, examples_t *part, const cad_head_t *head, double fraction, uint64_t seed,
                   cad_error_t *err);
/* Sets order (n) to the order of the rows in an epoch. */
void examples_shuffle(int64_t *order, int64_t n, uint64_t seed, int64_t epoch);
/* Returns true if this row is to be reverse-complemented in this epoch: a random half of the rows in each epoch. */
bool examples_turned(int64_t row, uint64_t seed, int64_t epoch);
/* Sets out (len) to the reverse complement of the row's tokens; padding stays at the begin. */
void examples_reverse(const example_t *x, const cad_model_t *model, uint8_t *out);
/* Computes the logits (n,K) of all rows, with both strands combined, in batches of up to batch_tokens tokens. */
int examples_logits(const examples_t *e, cad_context_t *ctx, const cad_model_t *model, int64_t K, int64_t batch_tokens,
                    float *logits, cad_error_t *err);
void examples_free(examples_t *e);

#endif
