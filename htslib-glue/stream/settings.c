/* settings.c - sets the defaults of settings, and answers questions that depend on several of them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/settings.h"

void reads_options_init(reads_options_t *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 0; SCORE[i].name; i++)
        if (SCORE[i].tag) memcpy(o->tag[i], SCORE[i].tag, 3);
}

void variants_options_init(variants_options_t *o)
{
    memset(o, 0, sizeof *o);
    o->prefix = "CADUCEUS";
    o->pool_window = 768;
    o->sv_flank = 5;
}

bool variants_samples(const variants_options_t *o) { return o->nsample || o->samples_file || o->all_samples; }

bool settings_embed(const settings_t *s) { return s->matrix || s->embed || scores_need(&s->scores, NEEDS_POOLED); }
bool embed_column(const settings_t *s) { return s->embed && !strcmp(s->embed, "-"); }
const char *embed_file(const settings_t *s) { return embed_column(s) ? NULL : s->embed; }

bool embed_several(const settings_t *s) { return s->embed && ends_in(s->embed, ".npz"); }

const char *pooling_name(pooling_t p)
{
    static const char *const name[POOLINGS] = { "", "none", "mean", "max", "center" };
    return name[p];
}
