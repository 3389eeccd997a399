/* binvalues.h - K values for each bin of a reference, read from K bigWigs or bedGraphs. SPDX-License-Identifier: MIT */
#ifndef CAD_BINVALUES_H
#define CAD_BINVALUES_H

#include "learn/annotation.h"
#include "learn/predictions.h"

#define BINVALUES_MOST 200 /* outputs */

typedef struct binvalues_t {
    const fasta_t *ref;
    int64_t bin, K;
    bool ignore;     /* bases without a value are ignored; otherwise their value is 0 */
    bool counts;     /* negative values are errors */
    float **value;   // (ref->ncontig) (bins,K) mean of each bin's bases; NaN: none has a value
    char digest[65]; /* SHA-256 of the names and values */
} binvalues_t;
/* Allocates room for K values of each bin of b->ref. Set the first five members before. Close b also after a failure. */
int binvalues_room(binvalues_t *b, cad_error_t *err);
/* Reads output k from a bigWig or, by its name, a bedGraph. It is an error if the file has no values, a contig that the
 * reference lacks or of another length, or a value that is not finite. */
int binvalues_read(binvalues_t *b, int64_t k, const char *path, cad_error_t *err);
/* Call it after the last file: removes the values of bins without any A, C, G or T, and sets the digest. name (K). */
int binvalues_finish(binvalues_t *b, char *const *name, cad_error_t *err);
void binvalues_close(binvalues_t *b);
/* Makes an example of each window of up to `window` bases, a multiple of the bin, of the contigs i with
 * part[i] == which, but of none in which no bin has all K values. */
int binvalues_examples(const binvalues_t *b, const uint8_t *part, int which, int64_t window, examples_t *e,
                       cad_error_t *err);
/* Sets the head's scale and, for CAD_HEAD_VALUES, its mean from the examples' values. Returns CAD_EARG if there is no
 * bin with values. */
int binvalues_learn(const examples_t *e, int64_t bin, cad_head_t *head, cad_error_t *err);
/* Replaces the values of examples by the targets of training: (value - mean) / scale. */
void binvalues_targets(const examples_t *e, int64_t bin, const cad_head_t *head);

typedef struct bin_metrics_t { /* how well one output is predicted; NaN: undefined */
    double loss, pearson, spearman;
} bin_metrics_t;
/* Computes the metrics of output k from logits (n,K) and target (n,K). */
int binvalues_metrics(bin_metrics_t *m, const cad_head_t *head, const float *logits, const float *target, int64_t n,
                      int64_t k, cad_error_t *err);

#endif
