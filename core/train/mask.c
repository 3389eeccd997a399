/* mask.c - masks examples for language modelling. SPDX-License-Identifier: MIT */
#include "model/model.h"
#include "model/vocabulary.h"
#include "base/random.h"

/* As in BERT (Devlin et al. 2019) and the Caduceus paper's code, 15 % of the positions are chosen; of these, 80 %
 * become MASK, 10 % a random token, and 10 % stay as they are. */
#define CHOSEN 0.15
#define MASKED 0.8
#define REPLACED 0.9

/* Returns the number of token ids that are in use; higher ids only pad the vocabulary. */
static uint64_t tokens_of(const cad_vocab_t *v)
{
    int most = 0, id[] = { v->base[0], v->base[1], v->base[2], v->base[3], v->mask, v->pad, v->sep, v->unk, v->n };
    for (size_t i = 0; i < sizeof id / sizeof *id; i++) most = id[i] > most ? id[i] : most;
    return (uint64_t)most + 1;
}

/* As cad_mask, for a model that predicts the next token: nothing is masked, and every row but the last predicts. */
static int64_t predict_next(const cad_vocab_t *v, const uint8_t *tokens, int64_t len, uint8_t *masked, float *weight)
{
    uint8_t unknown = v->letter['N'];
    int64_t scored = 0;
    for (int64_t i = 0; i < len; i++) {
        int next = i + 1 < len ? tokens[i + 1] : v->pad;
        masked[i] = tokens[i];
        weight[i] = i + 1 < len && next != v->pad && next != unknown ? 1.0f : 0.0f;
        scored += weight[i] > 0;
    }
    return scored;
}

int64_t cad_mask(const cad_model_t *m, uint64_t seed, uint64_t window, const uint8_t *tokens, int64_t len,
                 uint8_t *masked, float *weight)
{
    const cad_vocab_t *v = &m->vocab;
    uint64_t any = tokens_of(v);
    uint8_t unknown = v->letter['N']; /* token of an unknown base: PAD, or UNK in the plant vocabulary */
    int64_t scored = 0;
    if (cad_config_next(&m->cfg)) return predict_next(v, tokens, len, masked, weight);
    for (int64_t i = 0; i < len; i++) {
        double how = cad_unit(cad_random(seed, window, (uint64_t)i, 1));
        bool chosen = cad_unit(cad_random(seed, window, (uint64_t)i, 0)) < CHOSEN;
        masked[i] = tokens[i];
        weight[i] = chosen && tokens[i] != v->pad && tokens[i] != unknown ? 1.0f : 0.0f;
        scored += weight[i] > 0;
        if (chosen && how < MASKED) masked[i] = (uint8_t)v->mask;
        else if (chosen && how < REPLACED)
            masked[i] = (uint8_t)cad_below(cad_random(seed, window, (uint64_t)i, 2), any);
    }
    return scored;
}
