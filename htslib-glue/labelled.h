/* labelled.h - labelled sequences: reading them, what is learnt from them, how well; a
 * section per source file. SPDX-License-Identifier: MIT */
#ifndef CAD_LABELLED_H
#define CAD_LABELLED_H

#include "glue.h"
#include "head.h"

/* ---- labelled.c: sequences with labels, or without ---- */
typedef struct labelled_t {
    /* set by the caller */
    const char *path, *format;   /* format: bed, fasta, fastq, csv, tsv; NULL to detect */
    const char *sequence, *labels; /* columns by name or number, labels comma-separated; NULL: the usual */
    const fasta_t *ref;          /* of BED, or NULL */
    bool need_labels;
    int64_t window;              /* longest sequence */
    bool crop;                   /* the middle of longer ones */
    /* the row read */
    bool data;                   /* false: a line of BED that is no row; only text */
    int64_t row, line;           /* counted from 1 */
    kstring_t text;              /* BED: the line, without its CR */
    bool cr;
    kstring_t name, bases;       /* name: of a FASTA record, or of a column "name" or "id" */
    kstring_t label;             /* those of all columns, separated by NUL; empty: none */
    int nlabel;                  /* columns of labels; 0: the input has none */
    /* of the whole input */
    input_t in;
    bool table, named;           /* CSV or TSV; rows have names */
    int ncol;                    /* BED: columns of the first row */
    kstring_t leading;           /* BED: lines before it, each with its \n */
    char **label_name;           // (nlabel) names of their columns
    /* its own */
    kstring_t raw, cell;
    size_t *at;                  // (ncell) beginnings of columns in cell
    int ncell, room, sequence_column, name_column, *label_column;
    char separator;
    bool held;                   /* the first row is in raw */
    seq_t seq;
} labelled_t;
int labelled_open(labelled_t *l, cad_error_t *err);
/* The next row: 1, 0 at the end, or CAD_E*. */
int labelled_next(labelled_t *l, cad_error_t *err);
/* BED: the leading line that names columns, "" if there is none. */
const char *labelled_header(const labelled_t *l, size_t *n);
void labelled_close(labelled_t *l);

/* ---- examples.c: labelled sequences in memory ---- */
typedef struct example_t {
    uint8_t *tokens;             // (len)
    int64_t len, line;
    char *label;                 /* as in labelled_t, malloc'd */
} example_t;
typedef struct examples_t {
    const char *path;
    example_t *row;              // (n)
    int64_t n, room, tokens, longest; /* tokens: of all rows */
    int nlabel;
    char **label_name;           // (nlabel) of their columns
    bool named;                  /* these are the input's own */
    float *target;               // (n,K) after examples_targets
    char digest[65];             /* SHA-256 of sequences and labels */
} examples_t;
/* Reads all rows of an open input; sequences stay letters until examples_encode. */
int examples_read(examples_t *e, labelled_t *l, cad_error_t *err);
/* The same row by row: none yet; the row that was read; none any more. */
int examples_begin(examples_t *e, const labelled_t *l, cad_error_t *err);
int examples_add(examples_t *e, const labelled_t *l, cad_error_t *err);
void examples_clear(examples_t *e);
/* Letters that were neither A, C, G, T nor N are noted. */
void examples_encode(examples_t *e, const cad_model_t *model, notes_t *notes);
/* Names of labels, and of a regression's targets mean and deviation. */
int examples_learn(const examples_t *e, cad_head_t *head, cad_error_t *err);
/* What the head is to give for each row: classes and labels 0 or 1, values standardised. */
int examples_targets(examples_t *e, const cad_head_t *head, cad_error_t *err);
/* Moves a part of the rows of `all`, chosen by the seed alike among all classes, to `part`. */
int examples_split(examples_t *all, examples_t *part, const cad_head_t *head, double fraction, uint64_t seed, cad_error_t *err);
/* The order of rows in an epoch, and whether a row is reverse-complemented in it. */
void examples_shuffle(int64_t *order, int64_t n, uint64_t seed, int64_t epoch);
bool examples_turned(int64_t row, uint64_t seed, int64_t epoch);
/* Logits (n,K) of both strands conjoined, in batches of about so many tokens. */
int examples_logits(const examples_t *e, cad_context_t *ctx, int64_t K, int64_t batch_tokens, float *logits, cad_error_t *err);
void examples_free(examples_t *e);

/* ---- predictions.c: logits into probabilities, predictions, losses ---- */
/* Softmax, logistic function, or values on their own scale. */
void prediction_of(const cad_head_t *head, const float *logits, double *out);
double prediction_loss(const cad_head_t *head, const float *logits, const float *target);
/* The largest of K: the first of equals. */
int64_t prediction_class(const double *p, int64_t K);
/* Columns of a row: a number for each label, and, unless values, what is predicted. */
void prediction_names(const cad_head_t *head, text_t *t);
void prediction_put(const cad_head_t *head, const double *p, text_t *t);
void prediction_none(const cad_head_t *head, text_t *t); /* "." in each */
int64_t prediction_columns(const cad_head_t *head);

/* ---- metrics.c: pure functions; NaN where a metric is undefined ---- */
/* Of a confusion matrix (K,K), rows the truth. */
double metric_accuracy(const int64_t *m, int64_t K);
double metric_mcc(const int64_t *m, int64_t K);
double metric_f1(const int64_t *m, int64_t K); /* of class 1 of 2; else the mean over classes */
/* The others sort: 0 or CAD_ENOMEM. */
int metric_auroc(const double *score, const uint8_t *positive, int64_t n, double *out);
double metric_pearson(const double *x, const double *y, int64_t n);
int metric_spearman(const double *x, const double *y, int64_t n, double *out);

typedef enum { METRIC_LOSS, METRIC_ACCURACY, METRIC_MCC, METRIC_F1, METRIC_AUROC, METRIC_PEARSON, METRIC_SPEARMAN, METRICS } metric_t;
extern const char *const METRIC_NAME[METRICS];
/* Does a head of this kind have it? */
bool metric_fits(const cad_head_t *head, metric_t m);
typedef struct metrics_t {
    int64_t n, K;
    double value[METRICS];
    int64_t *confusion;          // classes: (K,K), rows the truth; labels: (K,2,2)
} metrics_t;
/* Of n rows: logits (n,K) and targets (n,K). */
int metrics_of(metrics_t *m, const cad_head_t *head, const float *logits, const float *target, int64_t n, cad_error_t *err);
/* "metric value" lines and the confusion matrix. */
void metrics_put(const metrics_t *m, const cad_head_t *head, text_t *t);
void metrics_free(metrics_t *m);

#endif
