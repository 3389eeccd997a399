/* bench.h - measuring: the time that operations take, what they cost, what a machine
 * could do, and how far results are from the model in double precision.
 *
 * "tls" is one token in one layer of one strand. SPDX-License-Identifier: MIT
 */
#ifndef CAD_BENCH_H
#define CAD_BENCH_H

#include "base/base.h"

/* ---- meter.c: the operations of a context, each with a clock round it ---- */
typedef enum {
    CAD_OP_EMBED,
    CAD_OP_IN,
    CAD_OP_CONV,
    CAD_OP_SCAN,
    CAD_OP_OUT,
    CAD_OP_HEAD,
    CAD_OP_POOL,
    CAD_NOP
} cad_op_t;
const char *cad_op_name(cad_op_t op);
/* Every operation of ctx is timed until the meter is closed, which comes before ctx is. Each
 * waits for a device to be done, and for other lanes of it, so that times add up. */
typedef struct cad_meter_t cad_meter_t;
int cad_meter_open(cad_meter_t **meter, cad_context_t *ctx, cad_error_t *err);
/* What they have taken so far, in seconds of a processor's threads or of a device. */
void cad_meter_read(const cad_meter_t *meter, double seconds[CAD_NOP]);
void cad_meter_close(cad_meter_t *meter); /* NULL is allowed */

/* ---- peaks.c: costs, and a machine's rates ---- */
typedef struct cad_cost_t { /* of one tls */
    double flop;            /* of matrix products and convolution */
    double updates;         /* of scan states: an exponential, two sums of products */
    double exps;            /* SiLU and softplus */
} cad_cost_t;
/* What the published forward pass needs of each operation, with what directions can share
 * shared. embed, head and pool are left at nothing. */
void cad_costs(const cad_model_t *m, cad_cost_t cost[CAD_NOP]);
/* Bytes of a tls that go to or from memory where a window does not stay in a cache, in float32:
 * the residual, read twice and written once; x and y, written once and, by the second
 * direction of a block that shares its projections, read once. */
double cad_traffic(const cad_model_t *m);
typedef struct cad_peaks_t {
    double flop, updates, exps, bytes;
} cad_peaks_t; /* a second */
/* Seconds that a cost takes at least. */
double cad_floor(const cad_cost_t *cost, const cad_peaks_t *peaks);
/* What one of so many threads reaches that all compute, in the kernels' own vectors: a short
 * run, whose rates replace lower ones. half: products of bfloat16, where there is an instruction. */
int cad_peaks_measure(cad_peaks_t *peaks, int threads, bool half, cad_error_t *err);

/* ---- cpu/probe_tmpl.h: what bench needs of an instruction set ---- */
typedef struct cad_probe_t {
    const char *name; /* of its table */
    /* Each does n of them and returns something that depends on all. */
    float (*flop)(int64_t n, float seed);
    float (*half)(int64_t n, float seed); /* or NULL */
    float (*updates)(int64_t n, float seed);
    float (*exps)(int64_t n, float seed);
    /* The kernels' matrix product: packs w (n,k), n a multiple of CAD_PAD, and computes
     * c (rows,n) = a (rows,k) w^T + bias (n). */
    void (*pack)(const float *w, int64_t n, int64_t k, float *packed);
    void (*product)(const float *a, int64_t rows, const float *packed, int64_t n, int64_t k, const float *bias,
                    float *c);
} cad_probe_t;
/* Of the instruction set that cad_cpu_ops chooses. */
int cad_cpu_probe(const cad_probe_t **probe, bool half, cad_error_t *err);

/* ---- reference.c: the published forward pass in double, in plain loops ---- */
typedef struct cad_reference_t { /* of packed rows, unpadded */
    double *res, *a;             // (rows,D) residual, normalised
    double *x, *z, *u, *y;       // (rows,E)
    double *xdbl;                // (rows,R+2N)
    double *h;                   // (rows,D) a direction's output
    double *state;               // (E,N)
} cad_reference_t;
int cad_reference_open(cad_reference_t *r, const cad_model_t *m, int64_t rows, cad_error_t *err);
void cad_reference_close(cad_reference_t *r);
/* out (D) = norm(x). */
void cad_reference_norm(const cad_model_t *m, const double *x, const float *weight, const float *bias, double *out);
/* sum of w x, n of them. */
double cad_reference_dot(const float *w, const double *x, int64_t n);
/* One Mamba over nseq packed sequences, from res: leaves all else, y gated. */
void cad_reference_mamba(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq);
/* cad_forward, rounded to float32 only at the end of each strand. */
int cad_reference_forward(const cad_model_t *m, const uint8_t *tok, int64_t len, float *hidden, float *logits,
                          cad_error_t *err);
/* |got - want| / |want|, Frobenius. */
double cad_relative_error(const float *got, const float *want, int64_t n);

/* ---- verify.c: a model against expected tensors ---- */
/* Draws n tokens of A, C, G and T: token i depends on seed and i alone. */
void cad_random_bases(const cad_model_t *m, uint64_t seed, int64_t n, uint8_t *tokens);
typedef enum { CAD_VERDICT_FORWARD, CAD_VERDICT_LOSS, CAD_VERDICT_GRADIENT } cad_verdict_t;
/* Called with the relative error of each quantity that was compared. */
typedef void cad_verdict_f(void *arg, const char *name, cad_verdict_t kind, double error);
typedef struct cad_expected_t cad_expected_t;
/* Opens a safetensors file with input_ids (B,L), input_ids_rc (B,L) at choice, and either
 * last_hidden_state, logits or class_logits of the forward pass, or labels (B,L; 4: not
 * scored), loss (the mean) and gradients (grad.NAME). path NULL: two random sequences
 * of 600 tokens and no tensors. model and path are borrowed until close. */
int cad_expected_open(cad_expected_t **e, const cad_model_t *m, const char *path, cad_verdict_f *report, void *arg,
                      cad_error_t *err);
void cad_expected_close(cad_expected_t *e);        /* NULL is allowed */
int64_t cad_expected_len(const cad_expected_t *e); /* L */
bool cad_expected_trains(const cad_expected_t *e); /* the file holds labels */
/* Compares the forward pass, and results with those of the reverse complement
 * (rc_equivariance) for the first two sequences. */
int cad_expected_forward(const cad_expected_t *e, cad_context_t *ctx, cad_error_t *err);
/* Compares loss and gradients; the trainer, of this model, must hold none yet. */
int cad_expected_gradients(const cad_expected_t *e, cad_trainer_t *t, cad_error_t *err);

#endif
