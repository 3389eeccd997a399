/* reference.h - computes the forward pass of a layer in double precision, for comparison with kernels; declares the
 * functions that the layer kinds use for it. D is d_model. SPDX-License-Identifier: MIT
 */
#ifndef CAD_REFERENCE_H
#define CAD_REFERENCE_H

#include <math.h>

#include "model/model.h"

struct cad_reference_t { /* arrays for the rows of packed sequences, without padding */
    int64_t rows;
    double *res;        // (rows,D) residual stream
    double *a;          // (rows,D) normalised rows
    double *h;          // (rows,D) one direction's output
    double *room;       // scratch for the layer's kind
    const uint8_t *tok; // (rows) tokens, which bare kinds read
};
int cad_reference_open(cad_reference_t *r, const cad_model_t *m, int64_t rows, cad_error_t *err);
void cad_reference_close(cad_reference_t *r);
/* Runs one direction of a layer over nseq packed sequences: reads r->res and r->tok, writes r->h. Overwrites r->a and
 * r->room. */
void cad_reference_direction(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off,
                             int nseq);
/* Sets out (D) to norm(x), for x (D). */
void cad_reference_norm(const cad_model_t *m, const double *x, const float *weight, const float *bias, double *out);
/* Returns the dot product of w (n) and x (n). */
double cad_reference_dot(const float *w, const double *x, int64_t n);
/* Computes out (rows,n) = `a` (rows,k) w (n,k)^T + bias (n); bias may be NULL. */
void cad_reference_project(const double *a, int64_t rows, const float *w, const float *bias, int64_t n, int64_t k,
                           double *out);
static inline double cad_reference_silu(double v) { return v / (1 + exp(-v)); }
static inline double cad_reference_softplus(double v) { return v > 30 ? v : log1p(exp(v)); }

#endif
