/* npz.h - writes several float32 matrices to one .npz file, under the names "0.npy", "1.npy" and so on. An array
 * belongs to one row of the input and is named after the row's number. Every function that takes err returns 0 or a
 * negative CAD_E*. SPDX-License-Identifier: MIT */
#ifndef CAD_NPZ_H
#define CAD_NPZ_H

#include "io/npy.h"

typedef struct npz_t {
    output_t *out;         /* owned by the caller, who opens and closes it; the members below are private */
    struct entry_t *entry; // (n)
    size_t n;
    uint64_t at;   /* bytes written to the file */
    uint64_t size; /* bytes written of the current array */
    int64_t left;  /* values of the current array that are still to be written */
    uint32_t crc;
    // (nempty) numbers ("ROW") of the arrays that have no rows. npz_empty may be called while another array is being
    // written, so npz_finish writes the empty arrays
    int64_t *empty, width;
    size_t nempty;
} npz_t;
/* Begins the array "ROW.npy", which has at least one row. npz_rows writes its values. */
int npz_array(npz_t *z, int64_t row, int64_t rows, int64_t width, cad_error_t *err);
/* Adds the array "ROW.npy" of shape (0,width). May be called while another array is being written. */
int npz_empty(npz_t *z, int64_t row, int64_t width, cad_error_t *err);
/* Writes the next n values of the current array. */
int npz_rows(npz_t *z, const float *v, int64_t n, cad_error_t *err);
/* Writes the directory. Then the caller closes z->out. */
int npz_finish(npz_t *z, cad_error_t *err);
void npz_free(npz_t *z);

#endif
