/* engine.h - defines contexts, and the masking passes that score.c prepares and context.c runs.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_ENGINE_H
#define CAD_ENGINE_H

#include "engine/backend.h"

/* A masking pass: one copy of a window, in which some tokens are masked, or none, and which runs on one or both
 * strands. Positions count from 0 at the start of strand 0; results of strand 1 are returned in the order of strand
 * 0. */
typedef struct cad_pass_t {
    const uint8_t *tok;    // (len)
    const uint8_t *tok_rc; // (len) tokens of strand 1; NULL: the reverse complement of tok
    int64_t len;
    int strands;
    bool masked; /* replace the tokens at pos by MASK */
    /* logits of a position are those of the row before it, in the order of the strand. The first position of a strand has no
     * such row, and gets those of its own. */
    bool next;
    const int64_t *pos; // (npos) positions whose logits are wanted
    int64_t npos;
    int64_t beg, end; /* rows [beg, end) are pooled, if pooled[0] is set */
    enum cad_pool_t pool;
    float *logits[2];         // (npos,V) result for each strand, or NULL
    float *pooled[2];         // result for each strand: (D), or (end-beg,D) for CAD_POOL_NONE; or NULL
    const float *pool_weight; // as in cad_range_t
} cad_pass_t;

struct cad_card_t; /* see module.h */

struct cad_context_t {
    const cad_model_t *model;
    float *score;      // (labels,D) copy of the classifier's score.weight, made when the context is opened; or NULL
    float *score_bias; // (labels) copy of score.bias, in the allocation of `score`; zeros if the model has no bias
    // (D), padded as the model's: copy of pool.weight in the same allocation, which other poolings do not use
    float *pool_weight;
    enum cad_pool_t pool;    /* how the classifier pools positions; copied when the context is opened */
    int64_t bin;             /* bases for which the classifier has outputs; 0: whole sequences */
    struct cad_card_t *card; // (cards) devices of one type; lane i computes on card i % cards
    int cards;
    const cad_ops_t *ops; /* the first card's table once that is filled */
    char note[512];
    cad_team_t *team;
    int lanes;
    bool vocab_softmax;    /* as in cad_options_t */
    int layers;            /* number of layers after which hidden states and embeddings are read */
    int64_t max_len, pack; /* pack: capacity of a pack in rows */
    cad_lane_t *lane;      // (lanes) lanes that are run by one thread each
    /* the lane that the whole team runs, for long windows and if there are fewer packs than lanes */
    cad_lane_t wide;
    size_t bytes;
    int64_t done; /* number of rows x layers that all lanes have computed; accessed atomically */
};

/* Runs masking passes. layers: the number of layers to run; the logits need all of them. */
int cad_run(cad_context_t *ctx, const cad_pass_t *pass, int64_t npass, int layers, cad_error_t *err);

/* Returns CAD_EARG if some of the first `layers` layers pool rows, so that there is no row for each base. (score.c) */
int cad_rows_of_bases(const cad_model_t *m, int layers, cad_error_t *err);

/* ---- conjoin.c: combines the results of two strands into one ---- */
/* Returns the number of strands that this model's published forward pass runs: 2 (PS) or 1 (Ph). */
int cad_conjoin_strands(const cad_model_t *m);
/* Combines the logits of strand 0, `a`, and of strand 1, `c`: sets out (n,V) to their sum (PS) or their mean (Ph). out
 * may be the same array as `a`. */
void cad_conjoin_logits(const cad_model_t *m, int64_t n, const float *a, const float *c, float *out);
/* Sets out (n) to the mean of the arrays `a` and `c`. n: number of floats. */
void cad_conjoin_embedding(int64_t n, const float *a, const float *c, float *out);
/* Reverses the order of the channels of n rows (n,D). */
void cad_conjoin_mirror(int64_t n, int64_t D, float *rows);
/* Sets out to the last hidden state of n rows, as the published model has it. PS: (n,2D); each row is the D values of
 * `a`, then the D values of `c` in reverse order. Ph: (n,D), a copy of `a`. */
void cad_conjoin_hidden(const cad_model_t *m, int64_t n, const float *a, const float *c, float *out);

#endif
