/* measure.h - measures the time and the cost of operations, the peak rates of a machine, and the error of results
 * compared with the model in double precision.
 *
 * A "tls" (token, layer, strand) is the work on one token in one layer of one strand. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MEASURE_H
#define CAD_MEASURE_H

#include "base/base.h"

/* ---- meter.c: times each operation of a context ---- */
#define CAD_NOP 128 /* maximum number of operations of a model */
/* A model's operations are numbered from 0: first embed, then the operations of each layer kind in the model, head and
 * pool. */
int cad_op_count(const cad_model_t *m);
const char *cad_op_name(const cad_model_t *m, int op);
/* Returns the number of the first operation of a layer kind that the model uses. */
int cad_op_first(const cad_model_t *m, int kind);
/* Opens a meter, which times every operation of ctx until the meter is closed; close the meter before ctx. On a GPU,
 * the meter waits after each operation until the GPU has completed it, and only one lane runs at a time, so that the
 * times add up. */
typedef struct cad_meter_t cad_meter_t;
int cad_meter_open(cad_meter_t **meter, cad_context_t *ctx, cad_error_t *err);
/* Writes the seconds spent in each operation since the meter was opened: on the CPU, summed over threads; on a GPU, the
 * time of the GPU. */
void cad_meter_read(const cad_meter_t *meter, double seconds[CAD_NOP]);
void cad_meter_close(cad_meter_t *meter); /* NULL is allowed */

/* ---- peaks.c: costs of operations, and peak rates of a machine ---- */
typedef struct cad_cost_t { /* what one operation costs for one tls */
    double flop;            /* number of multiplications and additions in matrix products and the convolution */
    double updates;         /* number of scan state updates (each is one exp and two multiply-adds) */
    double exps;            /* number of evaluations of SiLU and softplus */
} cad_cost_t;
/* Computes the cost of each operation of the published forward pass for one tls, as a mean over layers. Work that both
 * directions of a layer share counts once. The costs of embed, head and pool are set to 0. */
void cad_costs(const cad_model_t *m, cad_cost_t cost[CAD_NOP]);
/* Returns the bytes of memory traffic of a tls, in float32 and as a mean over layers, for windows too long for the
 * cache. */
double cad_traffic(const cad_model_t *m);
typedef struct cad_peaks_t {
    double flop, updates, exps, bytes;
} cad_peaks_t; /* rates per second: of the numbers in cad_cost_t, and of bytes of memory traffic */
/* Returns the least number of seconds that this cost can take at these rates. */
double cad_floor(const cad_cost_t *cost, const cad_peaks_t *peaks);
/* Measures the rates of one thread while `threads` threads compute, with the kernels' vector width. Runs for a short
 * time. A rate in *peaks is raised if the measured rate is higher. precision: of the products, as in cad_options_t. */
int cad_peaks_measure(cad_peaks_t *peaks, int threads, const char *precision, cad_error_t *err);

/* ---- reference.c: the published forward pass in double precision, in plain loops ---- */
/* Computes the same as cad_forward in double precision, except that the result of each strand is rounded to float32. */
int cad_reference_forward(const cad_model_t *m, const uint8_t *tok, int64_t len, float *hidden, float *logits,
                          cad_error_t *err);
/* Returns the relative error |got - want| / |want| in the Frobenius norm. */
double cad_relative_error(const float *got, const float *want, int64_t n);

/* ---- expected.c: compares a model with expected tensors ---- */
/* Draws n tokens from A, C, G and T; token i depends only on seed and i. */
void cad_random_bases(const cad_model_t *m, uint64_t seed, int64_t n, uint8_t *tokens);
typedef enum { CAD_VERDICT_FORWARD, CAD_VERDICT_LOSS, CAD_VERDICT_GRADIENT } cad_verdict_t;
/* A function that is called with the relative error of each quantity that is compared. */
typedef void cad_verdict_f(void *arg, const char *name, cad_verdict_t kind, double error);
typedef struct cad_expected_t cad_expected_t;
/* Opens a safetensors file with input_ids (B,L) and, optionally, input_ids_rc (B,L): B sequences of L tokens. A file
 * for the forward pass also has last_hidden_state, logits or class_logits. A file for training has labels (B,L; [PAD]
 * or -100 means not scored), loss (the mean) and gradients (grad.NAME). path NULL: uses two random sequences of 600
 * tokens, without expected tensors. model and path must outlive e. */
int cad_expected_open(cad_expected_t **e, const cad_model_t *m, const char *path, cad_verdict_f *report, void *arg,
                      cad_error_t *err);
void cad_expected_close(cad_expected_t *e);        /* NULL is allowed */
int64_t cad_expected_len(const cad_expected_t *e); /* L, the number of tokens of each sequence */
/* True if the file holds labels, so that loss and gradients can be compared. */
bool cad_expected_trains(const cad_expected_t *e);
/* Compares the forward pass with the expected tensors. For the first two sequences, also compares the results with
 * those of the reverse complement (reported as rc_equivariance). */
int cad_expected_forward(const cad_expected_t *e, cad_context_t *ctx, cad_error_t *err);
/* Compares loss and gradients with the expected ones. t must be a trainer of this model whose gradients are 0. */
int cad_expected_gradients(const cad_expected_t *e, cad_trainer_t *t, cad_error_t *err);

#endif
