/* measure.h - measures the time and the cost of operations, the peak rates of a machine, and the error
 * of results against the model in double precision.
 *
 * A "tls" is one token in one layer of one strand. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MEASURE_H
#define CAD_MEASURE_H

#include "base/base.h"

/* ---- meter.c: times each operation of a context ---- */
#define CAD_NOP 32 /* maximum number of operations of a model */
/* A model's operations are numbered from 0: embed, those of each kind of layer in it, head, pool. */
int cad_op_count(const cad_model_t *m);
const char *cad_op_name(const cad_model_t *m, int op);
int cad_op_first(const cad_model_t *m, int kind); /* number of the first operation of a kind in use */
/* Times every operation of ctx until the meter is closed; close it before ctx. On a device each
 * operation waits for completion, and for other lanes, so that the times add up. */
typedef struct cad_meter_t cad_meter_t;
int cad_meter_open(cad_meter_t **meter, cad_context_t *ctx, cad_error_t *err);
/* Reads the seconds spent in each operation so far, summed over threads, or of the device. */
void cad_meter_read(const cad_meter_t *meter, double seconds[CAD_NOP]);
void cad_meter_close(cad_meter_t *meter); /* NULL is allowed */

/* ---- peaks.c: costs of operations, and peak rates of a machine ---- */
typedef struct cad_cost_t { /* of one tls */
    double flop;            /* operations of matrix products and convolution */
    double updates;         /* scan state updates (each one exp, two multiply-adds) */
    double exps;            /* SiLUs and softpluses */
} cad_cost_t;
/* Computes the cost of each operation in the published forward pass, as a mean over layers; work that
 * both directions share counts once. embed, head and pool are 0. */
void cad_costs(const cad_model_t *m, cad_cost_t cost[CAD_NOP]);
/* Memory traffic of a tls in bytes, in float32 and as a mean over layers, for windows that do not fit
 * into a cache. */
double cad_traffic(const cad_model_t *m);
typedef struct cad_peaks_t {
    double flop, updates, exps, bytes;
} cad_peaks_t; /* per second */
/* Lower bound of the seconds that a cost takes. */
double cad_floor(const cad_cost_t *cost, const cad_peaks_t *peaks);
/* Measures the rates of one thread while all `threads` compute, with the kernels' vector width. Runs
 * briefly and raises the rates in *peaks if it finds higher ones. half: products of bfloat16, if
 * the machine has an instruction for them. */
int cad_peaks_measure(cad_peaks_t *peaks, int threads, bool half, cad_error_t *err);

/* ---- reference.c: the published forward pass in double precision, in plain loops ---- */
/* Computes the same as cad_forward; rounds to float32 only at the end of each strand. */
int cad_reference_forward(const cad_model_t *m, const uint8_t *tok, int64_t len, float *hidden, float *logits,
                          cad_error_t *err);
/* Relative error |got - want| / |want| in the Frobenius norm. */
double cad_relative_error(const float *got, const float *want, int64_t n);

/* ---- verify.c: compares a model with expected tensors ---- */
/* Draws n tokens from A, C, G and T; token i depends only on seed and i. */
void cad_random_bases(const cad_model_t *m, uint64_t seed, int64_t n, uint8_t *tokens);
typedef enum { CAD_VERDICT_FORWARD, CAD_VERDICT_LOSS, CAD_VERDICT_GRADIENT } cad_verdict_t;
/* Called with the relative error of each quantity that was compared. */
typedef void cad_verdict_f(void *arg, const char *name, cad_verdict_t kind, double error);
typedef struct cad_expected_t cad_expected_t;
/* Opens a safetensors file with input_ids (B,L), optionally input_ids_rc (B,L), and either
 * last_hidden_state, logits or class_logits of the forward pass, or labels (B,L; 4: not
 * scored), loss (the mean) and gradients (grad.NAME). path NULL: two random sequences of 600
 * tokens and no tensors. model and path must outlive e. */
int cad_expected_open(cad_expected_t **e, const cad_model_t *m, const char *path, cad_verdict_f *report, void *arg,
                      cad_error_t *err);
void cad_expected_close(cad_expected_t *e);        /* NULL is allowed */
int64_t cad_expected_len(const cad_expected_t *e); /* L */
bool cad_expected_trains(const cad_expected_t *e); /* the file holds labels */
/* Compares the forward pass and, for the first two sequences, the results with those of the reverse
 * complement (rc_equivariance). */
int cad_expected_forward(const cad_expected_t *e, cad_context_t *ctx, cad_error_t *err);
/* Compares loss and gradients. t must be a trainer of this model whose gradients are 0. */
int cad_expected_gradients(const cad_expected_t *e, cad_trainer_t *t, cad_error_t *err);

#endif
