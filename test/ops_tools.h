/* ops_tools.h - what the files of t_ops share: random models of one Mamba layer, and comparisons of arrays of lanes.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_OPS_TOOLS_H
#define CAD_OPS_TOOLS_H

#include "blocks/mamba.h"
#include "engine/backend.h"

typedef struct {
    int D, E, N, K, R, V;
    bool rms, bias;
} ops_shape_t;

/* ---- ops_tools.c ---- */
/* Begins the sequence of random numbers anew. */
void ops_seed(uint64_t seed);
/* Returns a random number in [-1, 1). */
double ops_uniform(void);
/* Returns n random numbers in [-scale, scale), malloc'd. */
float *ops_floats(int64_t n, double scale);
/* Returns n zeros, malloc'd. */
double *ops_doubles(int64_t n);
/* Makes a model of one layer with random weights, without a file. */
void ops_model(cad_model_t *m, const ops_shape_t *s);
void ops_model_free(cad_model_t *m);
/* Returns the error of rows of `got`, each of `stride` floats, relative to want (rows,width). */
double ops_distance(const float *got, int64_t stride, const double *want, int64_t rows, int64_t width);
/* Returns the number of floats in a row of array `what` of a lane, including padding. */
int64_t ops_width(const cad_model_t *m, int what);
/* Reads n rows of an array, including padding, from row beg onwards; malloc'd. */
float *ops_rows_of(cad_lane_t *l, const cad_model_t *m, int what, int64_t beg, int64_t n);
/* Returns the relative error of rows beg to beg+n-1 of an array, compared with want (n,width). */
double ops_error(cad_lane_t *l, const cad_model_t *m, int what, int64_t beg, int64_t n, const double *want,
                 int64_t width);
/* Fills all arrays of the lane with NaN, by running a model whose weights are NaN. */
void ops_poison(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq);
/* Returns the factor by which a precision raises the allowed error. */
double ops_slack(const cad_ops_t *ops);

#endif
