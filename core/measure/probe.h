/* probe.h - loops that measure the peak rates of an instruction set.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_PROBE_H
#define CAD_PROBE_H

#include "base/base.h"

typedef struct cad_probe_t {
    const char *name; /* name of the instruction set's table of operations */
    /* Each runs n operations and returns a number that depends on all of them. */
    float (*flop)(int64_t n, float seed);    /* float32 multiplications and additions */
    float (*half)(int64_t n, float seed);    /* the same on bfloat16; NULL: no such instruction */
    float (*updates)(int64_t n, float seed); /* updates of scan states */
    float (*exps)(int64_t n, float seed);    /* SiLU */
    /* The kernels' matrix product. pack lays out w (n,k), n a multiple of CAD_PAD, in n x k floats
     * that are 0; product computes c (rows,n) = a (rows,k) w^T + bias (n). */
    void (*pack)(const float *w, int64_t n, int64_t k, float *packed);
    void (*product)(const float *a, int64_t rows, const float *packed, int64_t n, int64_t k, const float *bias,
                    float *c);
} cad_probe_t;

/* ---- cpu.c ---- */
/* Finds the probe of the instruction set that cad_cpu_ops chooses. */
int cad_cpu_probe(const cad_probe_t **probe, bool half, cad_error_t *err);

#endif
