/* augmenting.c - finetune --augment: opens the language model from which bases are drawn, and room for changed rows.
 * SPDX-License-Identifier: MIT */
#include "io/foundation.h"
#include "train/augmenting.h"

int augmenting_check(const tuning_t *r, cad_error_t *err)
{
    if (!(r->a->augment.mlm > 0)) return 0;
    if (cad_model_number(r->model, CAD_LABELS) > 0)
        return cad_fail(err, CAD_EARG,
                        "--augment mlm: draws bases from a language model, and the model of -m is a classifier");
    if (cad_model_number(r->model, CAD_TOKEN_MASK) < 0)
        return cad_fail(err, CAD_EARG, "--augment mlm: the model's vocabulary has no MASK");
    return 0;
}

/* Opens the context in which the initial model predicts. It takes the model's weights over. */
static int open_prior(tuning_t *r, cad_error_t *err)
{
    augmenter_t *m = &r->augmenter;
    options_t o = r->a->o;
    size_t longest = (size_t)r->train.longest;
    m->vocabulary = cad_model_number(r->prior, CAD_VOCAB);
    m->mask = (uint8_t)cad_model_number(r->prior, CAD_TOKEN_MASK);
    m->logits = cad_alloc(longest, (size_t)m->vocabulary * sizeof *m->logits);
    m->masked = cad_alloc(longest, 1);
    m->chosen = cad_alloc(longest, sizeof *m->chosen);
    if (!m->logits || !m->masked || !m->chosen) return cad_out_of_memory(err);
    o.quiet = true; /* opening the trainer has printed the note about the device */
    return options_open_last(&o, r->prior, r->train.longest, 0, false, &m->prior, err);
}

int augmenting_open(tuning_t *r, cad_error_t *err)
{
    if (!augment_any(&r->a->augment)) return 0;
    r->augmenter.how = r->a->augment;
    r->augmenter.model = r->model;
    r->augmenter.seed = (uint64_t)r->a->t.seed;
    r->changed = cad_alloc((size_t)r->part_tokens, 1);
    if (!r->changed) return cad_out_of_memory(err);
    return r->a->augment.mlm > 0 ? open_prior(r, err) : 0;
}

void augmenting_close(tuning_t *r)
{
    cad_context_close(r->augmenter.prior);
    cad_model_close(r->prior);
    free(r->augmenter.logits);
    free(r->augmenter.masked);
    free(r->augmenter.chosen);
    free(r->changed);
}
