/* corpus.h - windows of a reference in random order, for training. SPDX-License-Identifier: MIT */
#ifndef CAD_CORPUS_H
#define CAD_CORPUS_H

#include "io/regions.h"

typedef struct corpus_t {
    const fasta_t *ref;
    struct corpus_stretch_t *stretch;
    int64_t n, room;        /* stretches */
    int64_t windows, bases; /* in one pass over the corpus */
    int64_t len;            /* bases of a window at most */
    uint64_t seed;
    bool ordered; /* may be set after opening: windows in the reference's order */
} corpus_t;
/* Opens the intervals `on`, NULL for all contigs; both are borrowed. If there are none,
 * windows is 0, which is no error. */
int corpus_open(corpus_t *c, const fasta_t *ref, const regions_t *on, int64_t len, uint64_t seed, cad_error_t *err);
/* Reads window i >= 0 of a run, which repeats epochs without end: seq (len+1), *len its length in bases. */
int corpus_window(const corpus_t *c, int64_t i, char *seq, int64_t *len, cad_error_t *err);
/* A digest of the intervals and all their bases, which are read once. */
int corpus_digest(const corpus_t *c, uint64_t *digest, cad_error_t *err);
void corpus_close(corpus_t *c);

#endif
