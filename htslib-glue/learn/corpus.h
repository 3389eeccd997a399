/* corpus.h - windows of a reference in random order, for training. SPDX-License-Identifier: MIT */
#ifndef CAD_CORPUS_H
#define CAD_CORPUS_H

#include "io/regions.h"

typedef struct corpus_t {
    const fasta_t *ref;
    struct corpus_stretch_t *stretch;
    int64_t n, room, windows, bases, len; /* windows in one pass over the corpus; bases of the longest */
    uint64_t seed;
    bool ordered; /* set after opening: windows in the reference's order */
} corpus_t;
/* on: NULL for all contigs. Nothing in it is no error: windows is 0. */
int corpus_open(corpus_t *c, const fasta_t *ref, const regions_t *on, int64_t len, uint64_t seed, cad_error_t *err);
/* Bases of window i >= 0 of a run, which goes over the corpus again and again: seq (len+1). */
int corpus_window(const corpus_t *c, int64_t i, char *seq, int64_t *len, cad_error_t *err);
/* Of the intervals and all their bases, which are read through once. */
int corpus_digest(const corpus_t *c, uint64_t *digest, cad_error_t *err);
void corpus_close(corpus_t *c);

#endif
