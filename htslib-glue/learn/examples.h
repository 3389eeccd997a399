/* examples.h - labelled sequences in memory. SPDX-License-Identifier: MIT */
#ifndef CAD_EXAMPLES_H
#define CAD_EXAMPLES_H

#include "learn/labelled.h"
#include "model/labels.h"

typedef struct example_t {
    uint8_t *tokens; // (len)
    int64_t len, line;
    char *label; /* as in labelled_t, malloc'd */
} example_t;
typedef struct examples_t {
    const char *path;
    example_t *row;                   // (n)
    int64_t n, room, tokens, longest; /* tokens: of all rows */
    int nlabel;
    char **label_name; // (nlabel) of their columns
    bool named;        /* these are the input's own */
    float *target;     // (n,K) after examples_targets
    char digest[65];   /* SHA-256 of sequences and labels */
} examples_t;
/* Reads all rows of an open input; sequences stay letters until examples_encode. */
int examples_read(examples_t *e, labelled_t *l, cad_error_t *err);
/* The same row by row: none yet; the row that was read; none any more. */
int examples_begin(examples_t *e, const labelled_t *l, cad_error_t *err);
int examples_add(examples_t *e, const labelled_t *l, cad_error_t *err);
void examples_clear(examples_t *e);
/* Letters that were neither A, C, G, T nor N are noted. */
void examples_encode(examples_t *e, const cad_model_t *model, notes_t *notes);
/* Names of labels, and of a regression's targets mean and deviation. */
int examples_learn(const examples_t *e, cad_head_t *head, cad_error_t *err);
/* What the head is to give for each row: classes and labels 0 or 1, values standardised. */
int examples_targets(examples_t *e, const cad_head_t *head, cad_error_t *err);
/* Moves a part of the rows of `all`, chosen by the seed alike among all classes, to `part`. */
int examples_split(examples_t *all, examples_t *part, const cad_head_t *head, double fraction, uint64_t seed,
                   cad_error_t *err);
/* The order of rows in an epoch, and whether a row is reverse-complemented in it. */
void examples_shuffle(int64_t *order, int64_t n, uint64_t seed, int64_t epoch);
bool examples_turned(int64_t row, uint64_t seed, int64_t epoch);
/* Logits (n,K) of both strands conjoined, in batches of about so many tokens. */
int examples_logits(const examples_t *e, cad_context_t *ctx, int64_t K, int64_t batch_tokens, float *logits,
                    cad_error_t *err);
void examples_free(examples_t *e);

#endif
