/* npz.h - several matrices, named "0.npy", "1.npy" ... for their rows. SPDX-License-Identifier: MIT */
#ifndef CAD_NPZ_H
#define CAD_NPZ_H

#include "io/npy.h"

typedef struct npz_t {
    output_t *out;         /* set by the caller */
    struct entry_t *entry; /* its own, as what follows */
    size_t n;
    uint64_t at, size;
    int64_t left; /* numbers of the array that are to come */
    uint32_t crc;
    int64_t *empty, width; // (nempty) arrays without rows, which may come amid another and are written last
    size_t nempty;
} npz_t;
/* Begins the next array; its rows, one or more, then come in any portions. */
int npz_array(npz_t *z, int64_t row, int64_t rows, int64_t width, cad_error_t *err);
/* An array without rows. */
int npz_empty(npz_t *z, int64_t row, int64_t width, cad_error_t *err);
int npz_rows(npz_t *z, const float *v, int64_t n, cad_error_t *err); /* n numbers */
/* Writes the directory; z->out is then to be closed. */
int npz_finish(npz_t *z, cad_error_t *err);
void npz_free(npz_t *z);

#endif
