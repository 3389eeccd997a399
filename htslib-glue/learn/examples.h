/* examples.h - labelled sequences in memory. SPDX-License-Identifier: MIT */
#ifndef CAD_EXAMPLES_H
#define CAD_EXAMPLES_H

#include "learn/labelled.h"
#include "caduceus.h"

typedef struct example_t {
    uint8_t *tokens; // (len)
    int64_t len, line;
    char *label; /* as in labelled_t; malloc'd */
} example_t;
typedef struct examples_t {
    const char *path;
    example_t *row;                   // (n)
    int64_t n, room, tokens, longest; /* tokens: sum over rows */
    int nlabel;
    char **label_name; // (nlabel) names of the label columns
    bool named;        /* the names come from the input */
    float *target;     // (n,K) after examples_targets
    char digest[65];   /* SHA-256 of sequences and labels */
} examples_t;
/* Reads all rows of an open input; sequences are letters until examples_encode. */
int examples_read(examples_t *e, labelled_t *l, cad_error_t *err);
/* The same row by row: begin without rows, add the row that l has just read, clear the rows. */
int examples_begin(examples_t *e, const labelled_t *l, cad_error_t *err);
int examples_add(examples_t *e, const labelled_t *l, cad_error_t *err);
void examples_clear(examples_t *e);
/* Encodes all sequences; letters other than A, C, G, T and N are noted. */
void examples_encode(examples_t *e, const cad_model_t *model, notes_t *notes);
/* Fills the head: names of labels; mean and deviation of a regression's targets. */
int examples_learn(const examples_t *e, cad_head_t *head, cad_error_t *err);
/* Sets the targets (n,K): 0 or 1 for classes and labels, standardised values. */
int examples_targets(examples_t *e, const cad_head_t *head, cad_error_t *err);
/* Moves a fraction of the rows of `all` to `part`: chosen by the seed, the same fraction of
 * every class. */
int examples_split(examples_t *all, examples_t *part, const cad_head_t *head, double fraction, uint64_t seed,
                   cad_error_t *err);
/* The order (n) of rows in an epoch; whether a row is reverse-complemented in it. */
void examples_shuffle(int64_t *order, int64_t n, uint64_t seed, int64_t epoch);
bool examples_turned(int64_t row, uint64_t seed, int64_t epoch);
/* Logits (n,K) of both strands conjoined, computed in batches of up to batch_tokens. */
int examples_logits(const examples_t *e, cad_context_t *ctx, int64_t K, int64_t batch_tokens, float *logits,
                    cad_error_t *err);
void examples_free(examples_t *e);

#endif
