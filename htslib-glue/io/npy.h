/* npy.h - writes a float32 matrix that numpy.load opens. Every function that takes err returns 0 or a negative
 * CAD_E*. SPDX-License-Identifier: MIT
 */
#ifndef CAD_NPY_H
#define CAD_NPY_H

#include "io/output.h"

#define NPY_HEADER 128 /* bytes before the rows */
typedef struct npy_t {
    output_t *out; /* owned by the caller, who opens and closes it */
    int64_t rows, width;
} npy_t;
/* Begins a matrix of `width` columns in n->out. Makes n->out seekable, since the header is written last. */
int npy_begin(npy_t *n, int64_t width, cad_error_t *err);
int npy_write(npy_t *n, const float *row, int64_t rows, cad_error_t *err); // row: (rows,width)
/* Writes the header. Then the caller closes n->out. */
int npy_finish(npy_t *n, cad_error_t *err);

/* Makes the header of a matrix, NPY_HEADER bytes. */
void npy_header(char h[NPY_HEADER + 1], int64_t rows, int64_t width);

#endif
