/* cells.h - declarations shared by the files of bench. SPDX-License-Identifier: MIT */
#ifndef CAD_CELLS_H
#define CAD_CELLS_H

#include "measure/measure.h"
#include "cmd.h"

#define MOST 64 /* maximum number of values in a comma-separated list of an option */

typedef struct list_t {
    int64_t at[MOST];
    int n;
} list_t;

typedef struct {
    options_t o;
    new_model_t fresh; /* options of a random model, used if no model is named */
    const char *model[MOST], *precision[3];
    int nmodel, nprecision;
    list_t windows, batches, threads;
    int64_t batch_tokens, rounds, error_window;
    cad_peaks_t peaks; /* peak rates given by the user, or zeros */
    bool json, brief, peaks_given;
} args_t;

typedef struct {      /* a model and its double-precision results, with which results are compared to measure errors */
    const char *name; /* path as given by the user */
    cad_model_t *m;
    uint8_t *tokens;        // (error_window)
    float *hidden, *logits; // (error_window,CAD_HIDDEN_WIDTH), (error_window,CAD_VOCAB) or NULL
} subject_t;

typedef struct {
    int threads;
    const char *precision;
    cad_peaks_t rate;
} rates_t;

typedef struct {
    const subject_t *model;
    int64_t window, batch;
    int threads;
    const char *wanted;                /* precision that was asked for; NULL: the default */
    char refused[sizeof(cad_error_t)]; /* reason why the cell was not measured, or "" */
    char device[64], precision[8];     /* device and precision in use */
    double *rate;                      // (rounds) tokens per second
    double spent[CAD_NOP];             /* seconds in each operation */
    double metered;                    /* work that `spent` covers, in token-layer-strands (tls, see measure.h) */
    int64_t reserved;                  /* bytes of memory that the context reserved */
    int64_t touched;                   /* bytes of memory that became resident; -1: not known */
    double hidden_error, logits_error; /* largest differences from the double-precision results; NaN: not measured */
    const rates_t *peaks;              /* NULL: not known */
} cell_t;

typedef struct {
    const args_t *a;
    subject_t *model; // (nmodel)
    int nmodel;
    cell_t *cell; // (ncell)
    int ncell;
    progress_t progress;
    int64_t measured; /* number of measurements done: cells x rounds */
    rates_t *rates;   // (nrates)
    int nrates;
    bool told; /* true if a note was printed that the CPU is used instead of a GPU */
} bench_t;

/* ---- cells.c ---- */
/* Measures all cells, round by round. If one cell cannot be computed, stores the reason in its `refused` and continues.
 * Returns an error only for a failure that concerns all cells. */
int cells_measure(bench_t *b, cad_error_t *err);

/* ---- cellreport.c: these functions print the results to standard output ---- */
void cells_table(const bench_t *b);
int cells_json(const bench_t *b, cad_error_t *err);

#endif
