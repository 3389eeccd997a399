/* probe.h - loops that measure the peak rates of an instruction set.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_PROBE_H
#define CAD_PROBE_H

#include "engine/backend.h"

typedef struct cad_probe_t {
    const char *name; /* name of the instruction set's table of operations */
    /* Each loop runs n operations and returns a number that depends on all of them. seed: a number that is not known at
     * compile time. */
    float (*flop[CAD_NPRECISIONS])(int64_t n, float seed);    /* multiplications and additions of a projection */
    float (*updates[CAD_NPRECISIONS])(int64_t n, float seed); /* updates of scan states */
    float (*exps)(int64_t n, float seed);    /* SiLU */
    /* The kernels' matrix product. pack: writes w (n,k) as panels to packed (n x k floats, all 0 before); n is a
     * multiple of CAD_PAD. product: computes c (rows,n) = `a` (rows,k) w^T + bias (n). */
    void (*pack)(const float *w, int64_t n, int64_t k, float *packed);
    void (*product)(const float *a, int64_t rows, const float *packed, int64_t n, int64_t k, const float *bias,
                    float *c);
} cad_probe_t;

/* ---- cpu.c ---- */
/* Finds the probe of the instruction set that cad_cpu_ops would choose for this precision. */
int cad_cpu_probe(const cad_probe_t **probe, int precision, cad_error_t *err);

#endif
