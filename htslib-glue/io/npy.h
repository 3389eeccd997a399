/* npy.h - a matrix. SPDX-License-Identifier: MIT */
#ifndef CAD_NPY_H
#define CAD_NPY_H

#include "io/output.h"

#define NPY_HEADER 128 /* bytes before the rows */
typedef struct npy_t {
    output_t *out;
    int64_t rows, width;
} npy_t;
/* Begins a matrix of `width` columns in n->out. */
int npy_begin(npy_t *n, int64_t width, cad_error_t *err);
int npy_write(npy_t *n, const float *row, int64_t rows, cad_error_t *err);
/* Writes the header; n->out is then to be closed. */
int npy_finish(npy_t *n, cad_error_t *err);

/* The header of a matrix, NPY_HEADER bytes. */
void npy_header(char h[NPY_HEADER + 1], int64_t rows, int64_t width);

#endif
