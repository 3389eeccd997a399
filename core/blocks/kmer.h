/* kmer.h - a table of the embeddings of k-mers, a layer kind without a direction and without a norm:
 *
 *     out = table[word]
 *
 * where the word of a row is that of the k bases around it, rows r - k/2 to r + k/2 of its sequence. A word of bases is a
 * number in base 4 with A, C, G, T = 0, 1, 2, 3, the first base first, so words are in lexicographic order. Two further
 * rows of the table are for words with [MASK], and for all other words: those with a token that is not a base, and those
 * that reach over an end of the sequence.
 *
 * Each strand has the words of its own tokens; in the layers that the fused-norm fold mirrors (model/tensors.c), the
 * stored table's channels are reversed and its words are not. In shapes, D is d_model, Dp is D rounded up to CAD_PAD.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_KMER_H
#define CAD_KMER_H

#include "engine/backward.h"

#define CAD_KMER_MOST 5 /* largest k */

typedef struct cad_kmer_t { /* the shape, read from kmer_cfg */
    int64_t k;
} cad_kmer_t;
static inline int64_t cad_kmer_k(const cad_config_t *c)
{
    return ((const cad_kmer_t *)(const void *)&c->shape[CAD_KIND_kmer])->k;
}
/* Returns the number of words of bases, 4^k. */
static inline int64_t cad_kmer_words(const cad_config_t *c) { return (int64_t)1 << 2 * cad_kmer_k(c); }
/* Returns the number of rows of the table. */
static inline int64_t cad_kmer_rows(const cad_config_t *c) { return cad_kmer_words(c) + 2; }

/* A token counts in a word as a base, 0 to 3, or as one of these. */
enum { CAD_KMER_MASK = 4, CAD_KMER_OTHER };

/* Sets digit[t] for each token t. */
static inline void cad_kmer_digits(const cad_vocab_t *v, uint8_t digit[256])
{
    memset(digit, CAD_KMER_OTHER, 256);
    if (v->mask >= 0) digit[v->mask] = CAD_KMER_MASK;
    for (int b = 0; b < 4; b++) digit[v->base[b]] = (uint8_t)b;
}

/* Returns the row of the table for row r of the sequence in rows [beg, end) of tok. */
static inline int64_t cad_kmer_word(const uint8_t digit[256], int64_t k, const uint8_t *tok, int64_t beg, int64_t end,
                                    int64_t r)
{
    int64_t word = 0, words = (int64_t)1 << 2 * k;
    bool mask = false, other = false;
    for (int64_t i = r - k / 2; i <= r + k / 2; i++) {
        int d = i < beg || i >= end ? CAD_KMER_OTHER : digit[tok[i]];
        mask = mask || d == CAD_KMER_MASK;
        other = other || d == CAD_KMER_OTHER;
        word = 4 * word + d % 4;
    }
    return mask ? words : other ? words + 1 : word;
}

enum { CAD_KMER_TABLE = CAD_T_KIND }; /* role of the tensor (4^k+2,D) */

enum {                  /* operations of the forward pass */
       CAD_KMER_OP_ADD, /* o = table[word] [cad_out_t] */
       CAD_KMER_OPS
};
enum {                /* operations of the backward pass */
       CAD_KMER_BACK, /* adds dout of each row to the gradient of the row's word */
       CAD_KMER_BACK_OPS
};

typedef struct cad_kmer_lane_t {
    int32_t *word; // (tile) the word of each row of the span
} cad_kmer_lane_t;
static inline cad_kmer_lane_t *cad_kmer_lane(const cad_lane_t *l)
{
    return (cad_kmer_lane_t *)(void *)&l->work[CAD_KIND_kmer];
}

typedef struct cad_kmer_grad_lane_t {
    char none;
} cad_kmer_grad_lane_t;

#endif
