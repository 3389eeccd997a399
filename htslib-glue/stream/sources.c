/* sources.c - the list of sources, and functions that run one of them. io/input.c recognises input formats; to add a
 * format, begin in io/input.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "stream/source.h"

const source_t *const SOURCE[] = {
    &SOURCE_BED,      &SOURCE_REGIONS, &SOURCE_SEQUENCES, &SOURCE_READS,
    &SOURCE_VARIANTS, &SOURCE_CONTIGS, &SOURCE_SPLITS,    NULL,
};

const source_t *source_of(const input_t *in)
{
    const source_t *const *s = SOURCE;
    while (*s && !((*s)->fits && (*s)->fits(in))) s++;
    return *s;
}

int source_check(const source_t *source, settings_t *set, const input_t *in, cad_error_t *err)
{
    int rc = source->of ? scores_parse(&set->scores, set->score ? set->score : source->scores, source->of, err) : 0;
    return rc == 0 && source->check ? source->check(set, in, err) : rc;
}

int stream_begin(stream_t *s, const source_t *source, cad_error_t *err)
{
    s->source = source;
    s->on_reference = true;
    s->state = calloc(1, cad_max(1, (int64_t)source->size));
    return s->state ? 0 : cad_out_of_memory(err);
}

void stream_encode(stream_t *s, const cad_model_t *model)
{
    cutter_t *c = &s->cutter;
    c->encoding = (encoding_t) { .model = model,
                                 .flags = s->set->n_token ? CAD_N_AS_TOKEN : 0,
                                 .sep = s->set->sep,
                                 .skip_soft = s->set->skip_soft,
                                 .notes = s->notes };
    c->width = cad_model_number(model, CAD_D_MODEL);
    bases_init(&c->bases, model);
}

void stream_connect(stream_t *s)
{
    s->pipe.model = s->cutter.encoding.model;
    s->pipe.mask = s->set->mask;
    s->pipe.pool = pooling_in_windows(s->set->pooling);
    s->pipe.take = s->source->take;
    s->pipe.sink = s->source->sink;
    s->pipe.drop = s->source->drop;
    s->pipe.arg = s;
}

bool stream_wants(const stream_t *s, const char *contig, int64_t beg, int64_t end)
{
    return (!s->only || regions_overlap(s->only, contig, beg, end)) &&
           (!s->targets || regions_overlap(s->targets, contig, beg, end));
}

int stream_run(stream_t *s, cad_error_t *err)
{
    int rc = s->source->read(s, err);
    rc = pipeline_end(&s->pipe, rc, err);
    return rc == 0 && s->source->finish ? s->source->finish(s, err) : rc;
}

void stream_end(stream_t *s)
{
    if (!s->state) return;
    if (s->source->close) s->source->close(s);
    free(s->state);
    s->state = NULL;
}
