/* probe.h - declares the probe of an instruction set: functions whose running time shows its peak rates.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PROBE_H
#define CAD_PROBE_H

#include "engine/backend.h"

typedef struct cad_probe_t {
    const char *name; /* name of the instruction set's table of operations */
    /* Each of the next three members runs n operations and returns a number that depends on all of them. seed: a number
     * that is not known at compile time. flop: multiplications and additions of a projection; updates: of scan states;
     * exps: evaluations of SiLU. flop and updates have a function for each precision. */
    float (*flop[CAD_NPRECISIONS])(int64_t n, float seed);
    float (*updates[CAD_NPRECISIONS])(int64_t n, float seed);
    float (*exps)(int64_t n, float seed);
    /* The kernels' matrix product. pack: stores w (n,k) as panels in packed, n x k floats that must be 0 before; n is a
     * multiple of CAD_PAD. product: computes c (rows,n) = a (rows,k) w^T + bias (n), where `packed` is the packed w. */
    void (*pack)(const float *w, int64_t n, int64_t k, float *packed);
    void (*product)(const float *a, int64_t rows, const float *packed, int64_t n, int64_t k, const float *bias,
                    float *c);
} cad_probe_t;

/* ---- cpu.c ---- */
/* Finds the probe of the instruction set that cad_cpu_ops would choose for this precision. */
int cad_cpu_probe(const cad_probe_t **probe, int precision, cad_error_t *err);

#endif
