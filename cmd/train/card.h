/* card.h - writes the model card (README.md) of a trained model. SPDX-License-Identifier: MIT */
#ifndef CAD_CARD_H
#define CAD_CARD_H

#include "finetune.h"

/* card_pretrained and card_finetuned append a card to t: YAML front matter for the Hugging Face hub, then a
 * description for users. */
/* base: the value of -m, or NULL; status: status text of the checkpoint; recipe: the settings, as "key=value ...". */
void card_pretrained(text_t *t, const cad_model_t *model, const char *base, const char *status, const char *recipe);
/* m: the metrics, on the validation rows, of the epoch whose model is saved; NaN if not available. */
void card_finetuned(text_t *t, const tuning_t *r, const metrics_t *m);
/* Returns the card to write into folder dir: the text of t, or NULL if dir has a README.md that caduceus did not
 * write. */
const char *card_for(const text_t *t, const char *dir);

#endif
