/* npy.c - writes a float32 matrix that numpy.load opens. The number of rows is known only at the end, so the header
 * is written last, into bytes reserved at the start. SPDX-License-Identifier: MIT
 */
#include "io/npy.h"

int npy_begin(npy_t *n, int64_t width, cad_error_t *err)
{
    static const char blank[NPY_HEADER];
    int rc = output_spool(n->out, err);
    n->rows = 0;
    n->width = width;
    return rc ? rc : output_write(n->out, blank, NPY_HEADER, err);
}

int npy_write(npy_t *n, const float *row, int64_t rows, cad_error_t *err)
{
    n->rows += rows;
    for (int64_t i = 0; i < rows * n->width; i++) { /* the file is little-endian, whatever the host's byte order */
        unsigned char b[4];
        uint32_t u;
        int rc;
        memcpy(&u, row + i, 4);
        for (int k = 0; k < 4; k++) b[k] = (unsigned char)(u >> 8 * k);
        if ((rc = output_write(n->out, b, 4, err))) return rc;
    }
    return 0;
}

void npy_header(char h[NPY_HEADER + 1], int64_t rows, int64_t width)
{
    int used;
    memset(h, ' ', NPY_HEADER + 1);
    memcpy(h, "\x93NUMPY\x01\x00", 8);
    h[8] = (NPY_HEADER - 10) & 255;
    h[9] = (NPY_HEADER - 10) >> 8;
    used = snprintf(h + 10, NPY_HEADER - 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                    (long long)rows, (long long)width);
    h[10 + used] = ' ';
    h[NPY_HEADER - 1] = '\n';
}

int npy_finish(npy_t *n, cad_error_t *err)
{
    char h[NPY_HEADER + 1];
    npy_header(h, n->rows, n->width);
    return output_patch(n->out, 0, h, NPY_HEADER, err);
}
