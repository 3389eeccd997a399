/* pack.h - the layout of weights that the kernels read: panels of PW outputs,
 * channels padded with zeros. Part of kernels.h, compiled with it.
 * SPDX-License-Identifier: MIT */

typedef struct {                                      /* one Mamba, packed */
    const float *in_x, *in_z, *in_x_bias, *in_z_bias; // panels (Ep,Dp), (Ep)
    const float *conv, *conv_bias;                    // (K,Ep), (Ep)
    const float *x;                                   // panels (Sp,Ep)
    const float *dt, *dt_bias;                        // (R,Ep), (Ep)
    const float *a;                                   // (Ep/VW,N,VW) -exp(A_log) log2 e
    const float *skip;                                // (Ep)
    const float *out, *out_bias;                      // panels (Dp,Ep), (Dp)
    bool reverse;
} packed_t;

struct cad_weights_t {
    int64_t D, N, K, R, V, Dp, Ep, Sp;
    float eps;
    bool rms, half;                           /* half: panels of bfloat16 pairs */
    packed_t *dir;                            // (layers,2)
    const float **norm, **norm_bias;          // (layers) of (Dp)
    const float *norm_f, *norm_f_bias, *real; // (Dp); real: 1 below D, else 0
    const float *embed, *head[2], *zero;      // (V,Dp); zero: (max(Dp,Ep,Sp))
    float *first_x[2], *first_z[2];           // (V,Ep) by direction: layer 0's of each token; or NULL
    float *mem, *row;                         // row: (Dp)
};

typedef struct {
    float *base;
    int64_t used;
} store_t; /* base NULL: only counts */

static float *reserve(store_t *s, int64_t n)
{
    float *at = s->base ? s->base + s->used : NULL;
    s->used += cad_round_up(n, 16);
    return at;
}
