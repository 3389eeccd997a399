/* hyena_fft.c - Fourier transforms by FFTW. SPDX-License-Identifier: MIT */
#include <fftw3.h>
#include <pthread.h>

#include "cpu/hyena_fft.h"

struct cad_fft_t {
    int64_t n;
    fftwf_plan forward, back;
    cad_fft_t *next;
};

static pthread_mutex_t plans = PTHREAD_MUTEX_INITIALIZER, filters = PTHREAD_MUTEX_INITIALIZER;
static cad_fft_t *known; /* the transforms that have been asked for */

int64_t cad_fft_size(int64_t least)
{
    int64_t n = 16;
    while (n < least) n *= 2;
    return n / 8 * 5 >= least ? n / 8 * 5 : n / 4 * 3 >= least ? n / 4 * 3 : n;
}

static cad_fft_t *plan(int64_t n)
{
    cad_fft_t *f = calloc(1, sizeof *f);
    float *x = cad_alloc((size_t)n + 2, sizeof *x);
    if (f && x) {
        fftwf_complex *to = (fftwf_complex *)(void *)x;
        f->n = n;
        f->forward = fftwf_plan_dft_r2c_1d((int)n, x, to, FFTW_ESTIMATE);
        f->back = fftwf_plan_dft_c2r_1d((int)n, to, x, FFTW_ESTIMATE);
    }
    free(x);
    if (f && f->forward && f->back) return f;
    free(f);
    return NULL;
}

const cad_fft_t *cad_fft_of(int64_t n)
{
    cad_fft_t *f;
    pthread_mutex_lock(&plans);
    for (f = known; f && f->n != n; f = f->next) {}
    if (!f && (f = plan(n))) {
        f->next = known;
        known = f;
    }
    pthread_mutex_unlock(&plans);
    return f;
}

void cad_fft_forward(const cad_fft_t *f, float *x) { fftwf_execute_dft_r2c(f->forward, x, (fftwf_complex *)(void *)x); }

void cad_fft_back(const cad_fft_t *f, float *x) { fftwf_execute_dft_c2r(f->back, (fftwf_complex *)(void *)x, x); }

void cad_hyena_lock(void) { pthread_mutex_lock(&filters); }

void cad_hyena_unlock(void) { pthread_mutex_unlock(&filters); }
