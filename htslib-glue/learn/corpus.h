/* corpus.h - windows of a reference in random order, for training. SPDX-License-Identifier: MIT */
#ifndef CAD_CORPUS_H
#define CAD_CORPUS_H

#include "io/regions.h"

typedef struct corpus_t {
    const fasta_t *ref;
    struct corpus_stretch_t *stretch;
    int64_t n, room;        /* number of stretches, and for how many there is room */
    int64_t windows, bases; /* windows and bases in an epoch */
    int64_t len;            /* maximum number of bases in a window */
    uint64_t seed;
    bool ordered; /* true: windows come in the order of the reference; may be set after opening */
} corpus_t;
/* Opens a corpus of the intervals `on`; NULL: all contigs. ref and on are borrowed. If there are no intervals,
 * windows is 0, which is not an error. */
int corpus_open(corpus_t *c, const fasta_t *ref, const regions_t *on, int64_t len, uint64_t seed, cad_error_t *err);
/* Reads window i >= 0 of a run, in which epochs follow each other without end, to seq (len+1). *len: its length in
 * bases. */
int corpus_window(const corpus_t *c, int64_t i, char *seq, int64_t *len, cad_error_t *err);
/* Computes a digest of the intervals and of all their bases, which are read for it. */
int corpus_digest(const corpus_t *c, uint64_t *digest, cad_error_t *err);
/* Sets *any if the intervals have an A, C, G or T (if lower: also a, c, g or t). Reads only up to the first of them. */
int corpus_any(const corpus_t *c, bool lower, bool *any, cad_error_t *err);
void corpus_close(corpus_t *c);

#endif
