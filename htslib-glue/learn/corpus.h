/* corpus.h - reads windows of a reference in random order, for training. SPDX-License-Identifier: MIT */
#ifndef CAD_CORPUS_H
#define CAD_CORPUS_H

#include "io/regions.h"

typedef struct corpus_t {
    const fasta_t *ref;
    struct corpus_stretch_t *stretch;
    int64_t n, room;        /* n: number of stretches (intervals); room: number for which memory is allocated */
    int64_t windows, bases; /* number of windows and of bases in an epoch */
    int64_t len;            /* maximum number of bases in a window */
    uint64_t seed;
    bool ordered; /* true: windows come in the order of the reference; may be set after opening */
} corpus_t;
/* Opens a corpus of the intervals `on`, or of all contigs if `on` is NULL. Borrows ref and on. Without intervals,
 * c->windows is 0, which is not an error. */
int corpus_open(corpus_t *c, const fasta_t *ref, const regions_t *on, int64_t len, uint64_t seed, cad_error_t *err);
/* Reads window i of a run into seq (c->len+1), and sets *len to its number of bases. Windows are numbered
 * through all epochs, without an upper limit. */
int corpus_window(const corpus_t *c, int64_t i, char *seq, int64_t *len, cad_error_t *err);
/* Reads all bases of the intervals, and computes a digest of the intervals and these bases. */
int corpus_digest(const corpus_t *c, uint64_t *digest, cad_error_t *err);
/* Sets *any to true if the intervals contain A, C, G or T or, if `lower` is true, a, c, g or t. Stops reading at the
 * first such letter. */
int corpus_any(const corpus_t *c, bool lower, bool *any, cad_error_t *err);
void corpus_close(corpus_t *c);

#endif
