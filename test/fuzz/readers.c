/* readers.c - fuzz targets that test one reader each: labels, training states, regions, aliases.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "caduceus.h"
#include "fuzz.h"
#include "io/regions.h"
#include "learn/labelled.h"
#include "place.h"

/* Returns the reference ref.fa, which is opened once. */
static const fasta_t *reference(void)
{
    static fasta_t ref;
    static notes_t notes = { .quiet = true };
    place_enter();
    if (!ref.path && fasta_open(&ref, "ref.fa", &notes, NULL)) abort();
    return &ref;
}

void fuzz_labels(const uint8_t *data, size_t size)
{
    labelled_t l = { .path = "in", .ref = reference(), .window = 64, .crop = size & 1, .need_labels = size & 2 };
    cad_error_t err;
    place_put("in", (place_t) { data, size }, 0);
    if (labelled_open(&l, &err) == 0)
        while (labelled_next(&l, &err) == 1) {}
    labelled_close(&l);
}

void fuzz_state(const uint8_t *data, size_t size)
{
    static cad_model_t *model;
    static cad_trainer_t *trainer;
    static const char config[] = "{\"d_model\": 2, \"n_layer\": 1, \"rcps\": true, \"vocab_size\": 12, "
                                 "\"ssm_cfg\": {\"d_state\": 2, \"expand\": 1, \"d_conv\": 2}}";
    cad_error_t err;
    char *note = NULL;
    place_enter();
    if (!trainer && (cad_model_create(&model, config, 64, 1, &err) || cad_trainer_open(&trainer, model, NULL, &err)))
        abort();
    place_put("in", (place_t) { data, size }, 0);
    cad_trainer_load(trainer, "in", &note, &err);
    free(note);
}

/* Parses each line as a value of -r, with and without the contigs of the reference. Then reads all data as a list of
 * regions and as a BED. */
void fuzz_regions(const uint8_t *data, size_t size)
{
    const fasta_t *ref = reference();
    const names_t names = { .dict = ref, .has = fasta_has, .path = "ref.fa", .hint = ref };
    char *text = strndup((const char *)data, size), *rest = text, *line;
    regions_t *r = NULL;
    cad_error_t err;
    interval_t span;
    const contig_t *c;
    if (!text || regions_new(&r, &err)) abort();
    while ((line = strsep(&rest, "\n"))) {
        regions_add_text(r, line, size & 1 ? &names : NULL, &err);
        region_parse(line, ref, &c, &span, &err);
    }
    place_put("in", (place_t) { data, size }, 0);
    regions_add_bed(r, "in", &names, &err);
    regions_finish(r);
    for (int k = 0; regions_get(r, "c", k, &span); k++) {}
    regions_free(r);
    free(text);
}

void fuzz_alias(const uint8_t *data, size_t size)
{
    fasta_t ref = { 0 };
    notes_t notes = { .quiet = true };
    cad_error_t err;
    char name[64];
    place_enter();
    place_put("in", (place_t) { data, size }, 0);
    if (fasta_open(&ref, "ref.fa", &notes, &err)) abort();
    fasta_alias(&ref, "in", &err);
    snprintf(name, sizeof name, "%.*s", (int)(size < 40 ? size : 40), (const char *)data);
    fasta_find(&ref, name);
    fasta_close(&ref);
}
