/* cells.h - what the files of bench share. SPDX-License-Identifier: MIT */
#ifndef CAD_CELLS_H
#define CAD_CELLS_H

#include "measure/measure.h"
#include "cmd.h"

#define MOST 64 /* entries of a list */

typedef struct list_t {
    int64_t at[MOST];
    int n;
} list_t;

typedef struct {
    options_t o;
    const char *model[MOST], *config, *precision[2];
    int nmodel, nprecision, rcps; /* rcps -1: not given */
    list_t windows, batches, threads;
    int64_t d_model, n_layer, batch_tokens, rounds, error_window;
    cad_peaks_t peaks; /* as given, or 0 */
    bool json, brief, peaks_given;
} args_t;

typedef struct {      /* a model, and what it gives in double precision */
    const char *name; /* as given */
    cad_model_t *m;
    uint8_t *tokens;        // (error_window)
    float *hidden, *logits; // (error_window,CAD_HIDDEN_WIDTH), (error_window,CAD_VOCAB); NULL: not wanted
} subject_t;

typedef struct {
    int threads;
    bool half;
    cad_peaks_t rate;
} rates_t;

typedef struct {
    const subject_t *model;
    int64_t window, batch;
    int threads;
    const char *wanted;                /* precision, or NULL */
    char refused[sizeof(cad_error_t)]; /* why there is nothing else */
    char device[64], precision[8];     /* as they turned out */
    double *rate;                      // (rounds) tokens a second
    double spent[CAD_NOP], metered;    /* seconds in operations; tls that took them */
    int64_t reserved, touched;         /* bytes; touched -1: not known */
    double hidden_error, logits_error; /* NaN: not measured */
    const rates_t *peaks;              /* NULL: not known */
} cell_t;

typedef struct {
    const args_t *a;
    subject_t *model; // (nmodel)
    int nmodel;
    cell_t *cell; // (ncell)
    int ncell;
    rates_t *rates; // (nrates)
    int nrates;
    bool told; /* why it computes on the CPU */
} bench_t;

/* ---- cells.c: measuring ---- */
/* All cells, round by round. A cell that cannot be computed says why; only what concerns
 * all of them is an error. */
int cells_measure(bench_t *b, cad_error_t *err);

/* ---- cellreport.c ---- */
void cells_table(const bench_t *b);
/* 0, or CAD_ENOMEM. */
int cells_json(const bench_t *b, cad_error_t *err);

#endif
