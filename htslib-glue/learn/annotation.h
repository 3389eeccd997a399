/* annotation.h - a class for each base of a reference, read from labelled intervals. SPDX-License-Identifier: MIT */
#ifndef CAD_ANNOTATION_H
#define CAD_ANNOTATION_H

#include "io/fasta.h"
#include "learn/examples.h"

#define ANNOTATION_NONE 255     /* class of a base that is neither trained on nor measured */
#define BACKGROUND "background" /* name of the class of bases that no interval covers */

typedef struct annotation_t {
    const fasta_t *ref;
    char **name; // (n) background first, if it is a class; then sorted by bytes
    int n;
    uint8_t **class; // (ref->ncontig) class of each base of a contig
    char digest[65]; /* SHA-256 of the names and classes */
} annotation_t;
/* Reads a BED whose fourth column is a class. ignore: bases that no interval covers are ANNOTATION_NONE; otherwise they
 * are of the class BACKGROUND. Bases other than A, C, G and T are ANNOTATION_NONE. It is an error if a base has two
 * classes. Close `a` also after a failure. */
int annotation_read(annotation_t *a, const char *path, const fasta_t *ref, bool ignore, notes_t *notes,
                    cad_error_t *err);
void annotation_close(annotation_t *a);
/* Makes an example of each window of up to `window` bases of the contigs i with part[i] == which, but of none in which
 * no base has a class. */
int annotation_examples(const annotation_t *a, const uint8_t *part, int which, int64_t window, examples_t *e,
                        cad_error_t *err);
/* Appends an example of the bases [beg, end) of a contig to e, without labels. */
int examples_window(examples_t *e, const fasta_t *ref, int contig, int64_t beg, int64_t end, cad_error_t *err);
/* Computes logits (n,K) of all bases with a class, or of all bins of `bin` bases whose weight is above 0, in the order
 * of the windows, and their targets (n,K): 0 or 1 for classes. Both are malloc'd. */
int annotation_logits(const examples_t *e, cad_context_t *ctx, int64_t bin, int64_t K, int64_t batch_tokens,
                      float **logits, float **target, int64_t *n, cad_error_t *err);

typedef struct class_metrics_t { /* how well one class is told from all others; NaN: undefined */
    int64_t bases;
    double precision, recall, f1, auroc, auprc;
} class_metrics_t;
/* Computes the metrics of class k. Precision, recall and F1 are of the class with the largest logit. AUPRC is the mean
 * precision at each base of the class in the order of falling probability; bases with equal probabilities count
 * together. */
int annotation_metrics(class_metrics_t *m, const float *logits, const float *target, int64_t n, int64_t K, int64_t k,
                       cad_error_t *err);

#endif
