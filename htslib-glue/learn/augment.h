/* augment.h - changes training sequences at random. What a row becomes depends on seed, epoch and row alone.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_AUGMENT_H
#define CAD_AUGMENT_H

#include "io/text.h"
#include "learn/examples.h"

typedef struct augment_t {
    bool rc;       /* reverse-complement half of the rows (the caller does that) */
    int64_t shift; /* move the window by up to so many bases; 0: no */
    double mutate; /* probability with which a base becomes another */
    double mlm;    /* probability with which a base is drawn from a model's prediction */
} augment_t;
/* Parses a list such as rc,shift:8,mutate:0.01. */
int augment_parse(augment_t *a, const char *list, cad_error_t *err);
/* Appends the list, without rc; nothing if it is empty. */
void augment_text(const augment_t *a, text_t *t);
/* True if tokens are to be changed. */
bool augment_any(const augment_t *a);

typedef struct augmenter_t {
    /* Set by the caller: */
    augment_t how;
    const cad_model_t *model; /* the vocabulary */
    cad_context_t *prior;     /* mlm: of the language model that predicts; NULL otherwise */
    int64_t vocabulary;       /* mlm: V of that model, and its mask */
    uint8_t mask;
    uint64_t seed;
    float *logits;   // (longest,V) mlm
    uint8_t *masked; // (longest) mlm
    bool *chosen;    // (longest) mlm
} augmenter_t;
/* Sets *y to row x as it is in an epoch: its tokens, which are written to `tokens` (x->len), and how many of them are
 * padding. */
int augment_row(const augmenter_t *a, const example_t *x, int64_t row, int64_t epoch, uint8_t *tokens, example_t *y,
                cad_error_t *err);

#endif
