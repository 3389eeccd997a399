/* hyena_fft.h - Fourier transforms of real numbers in single precision, by FFTW. Plans are chosen by FFTW's rules, not by
 * measuring, so that every run computes the same bytes. SPDX-License-Identifier: MIT */
#ifndef CAD_HYENA_FFT_H
#define CAD_HYENA_FFT_H

#include "base/base.h"

typedef struct cad_fft_t cad_fft_t;
/* Returns a number of points of at least `least` for which transforms are fast: an even number. */
int64_t cad_fft_size(int64_t least);
/* Returns the transforms of n points, which are kept until the process ends; NULL when out of memory. Several threads may
 * call this function at once. */
const cad_fft_t *cad_fft_of(int64_t n);
/* Transforms x in place, from n reals to n/2+1 complex numbers, or back; the latter multiplies by n. x has room for n+2
 * floats and is aligned to 64 bytes. */
void cad_fft_forward(const cad_fft_t *f, float *x);
void cad_fft_back(const cad_fft_t *f, float *x);

/* One lock for the filters of all layers, which are computed when a sequence first needs them. */
void cad_hyena_lock(void);
void cad_hyena_unlock(void);

#endif
