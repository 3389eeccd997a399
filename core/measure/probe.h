/* probe.h - declares the probe of an instruction set: functions whose running time shows its peak rates.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PROBE_H
#define CAD_PROBE_H

#include "base/base.h"

typedef struct cad_probe_t {
    const char *name; /* name of the instruction set's table of operations */
    /* Each of the next four functions runs n operations and returns a number that depends on all of them. seed: a
     * number that is not known at compile time. */
    float (*flop)(int64_t n, float seed); /* multiplications and additions in float32 */
    /* multiplications and additions of bfloat16; NULL if there is no instruction for them */
    float (*half)(int64_t n, float seed);
    float (*updates)(int64_t n, float seed); /* updates of scan states */
    float (*exps)(int64_t n, float seed);    /* evaluations of SiLU */
    /* The kernels' matrix product. pack: stores w (n,k) as panels in packed, n x k floats that must be 0 before; n is a
     * multiple of CAD_PAD. product: computes c (rows,n) = a (rows,k) w^T + bias (n), where `packed` is the packed w. */
    void (*pack)(const float *w, int64_t n, int64_t k, float *packed);
    void (*product)(const float *a, int64_t rows, const float *packed, int64_t n, int64_t k, const float *bias,
                    float *c);
} cad_probe_t;

/* ---- cpu.c ---- */
/* Finds the probe of the instruction set that cad_cpu_ops chooses for the same value of half. */
int cad_cpu_probe(const cad_probe_t **probe, bool half, cad_error_t *err);

#endif
