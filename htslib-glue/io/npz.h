/* npz.h - writing several float32 matrices in one file, under the names "0.npy", "1.npy" ....
 * Every function that takes err returns 0 or a negative CAD_E*. SPDX-License-Identifier: MIT */
#ifndef CAD_NPZ_H
#define CAD_NPZ_H

#include "io/npy.h"

typedef struct npz_t {
    output_t *out;         /* owned by the caller, who opens and closes it; the rest is private */
    struct entry_t *entry; // (n)
    size_t n;
    uint64_t at;   /* bytes written to the file */
    uint64_t size; /* bytes written of the current array */
    int64_t left;  /* values of the current array still to come */
    uint32_t crc;
    int64_t *empty, width; // (nempty) arrays without rows: they may come amid another, so they are written last
    size_t nempty;
} npz_t;
/* Begins array number `row`, of at least one row; npz_rows then brings its values. */
int npz_array(npz_t *z, int64_t row, int64_t rows, int64_t width, cad_error_t *err);
/* Array number `row` has no rows. */
int npz_empty(npz_t *z, int64_t row, int64_t width, cad_error_t *err);
/* The next n values of the array, in portions of any size. */
int npz_rows(npz_t *z, const float *v, int64_t n, cad_error_t *err);
/* Writes the directory; the caller then closes z->out. */
int npz_finish(npz_t *z, cad_error_t *err);
void npz_free(npz_t *z);

#endif
