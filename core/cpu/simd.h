/* simd.h - vector arithmetic with the same names for every instruction set.
 *
 * Macro parameters, defined by the including file:
 *   CAD_ISA_AVX512   vectors of 16 floats
 *   CAD_ISA_AVX2     vectors of 8 floats, with FMA
 *   CAD_ISA_NEON     vectors of 4 floats, with FMA (64-bit ARM)
 *   none of them     "plain C": vectors of 4 floats, in the vector extension of gcc and clang
 *   CAD_ISA_BF16     with CAD_ISA_AVX512: instructions for bfloat16 (AVX512_BF16)
 *
 * A value of type vf is a vector of VW floats. In every instruction set:
 *   vload, vstore    load and store VW floats at any alignment
 *   vset(a)          VW copies of a
 *   vfma(a,b,c)      a*b + c; vfms(a,b,c): a*b - c; vfnma(a,b,c): c - a*b; rounded once, in plain C twice
 *   vmin, vmax       the smaller, the larger value; the second argument if the first is NaN
 *   vround(a)        the nearest integer, ties to even; plain C: only for |a| < 2^22
 *   vscale(p,n)      p * 2^n for an integer n; exact for n in [-126, 127], and with AVX-512 for any n,
 *                    rounded where the result is subnormal
 *   vsplit(x,&n)     for x <= 0: sets n to vround(x) and returns x - n, which is exact and in [-1/2, 1/2];
 *                    without AVX-512, x below -126 counts as -126
 *   vdiv(a,b)        a / b; AVX-512: within about 1 ulp, for 1 <= b < 2^126
 *   vrounded(a)      a rounded to the nearest bfloat16, ties to even; NaN is supported only with CAD_ISA_BF16
 * With CAD_ISA_BF16 and in plain C:
 *   vhalves(p,a)     stores vrounded(a) as VW bfloat16 numbers
 *   vpair(a,b)       32-bit words: the bits of vrounded(a) in the low 16 bits, those of vrounded(b) in the high 16
 *   vdot2(a,b,c)     c + a0*b0 + a1*b1, where each 32-bit word of a holds the bfloat16 numbers a0 (low 16
 *                    bits) and a1; summed in float32; with CAD_ISA_BF16 subnormals count as 0
 * Errors stated below are the largest relative errors found in the stated range with any instruction set.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SIMD_H
#define CAD_SIMD_H

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__ /* UNROLL unrolls the next loop completely, so that small arrays become registers */
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define REPEAT(i, n) UNROLL for (int i = 0; i < n; i++)

#if defined(CAD_ISA_AVX512)
#include <immintrin.h>
#define VW 16
typedef __m512 vf;
INLINE vf vload(const float *p) { return _mm512_loadu_ps(p); }
INLINE void vstore(float *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE vf vset(float a) { return _mm512_set1_ps(a); }
INLINE vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vf vfms(vf a, vf b, vf c) { return _mm512_fmsub_ps(a, b, c); }
INLINE vf vfnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
INLINE vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vf vround(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf vscale(vf p, vf n) { return _mm512_scalef_ps(p, n); }
#if defined(CAD_ISA_BF16)
INLINE vf vdot2(vf a, vf b, vf c) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }
INLINE void vhalves(uint16_t *p, vf a)
{
    __m256bh h = _mm512_cvtneps_pbh(a);
    memcpy(p, &h, sizeof h);
}
INLINE vf vrounded(vf a)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(a)), 16));
}
INLINE vf vpair(vf a, vf b)
{
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(a));
    return _mm512_castsi512_ps(_mm512_or_epi32(low, _mm512_castps_si512(vrounded(b))));
}
#else
INLINE vf vrounded(vf a)
{
    __m512i i = _mm512_castps_si512(a), odd = _mm512_and_epi32(_mm512_srli_epi32(i, 16), _mm512_set1_epi32(1));
    i = _mm512_add_epi32(i, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_castsi512_ps(_mm512_and_epi32(i, _mm512_set1_epi32(-65536)));
}
#endif
INLINE vf vsplit(vf x, vf *n)
{
    vf f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    *n = x - f;
    return f;
}
INLINE vf vdiv(vf a, vf b) /* uses an estimate and two Newton steps, which take a quarter of a division's time */
{
    vf r = _mm512_rcp14_ps(b), q;
    r = vfma(r, vfnma(b, r, vset(1.0f)), r);
    q = a * r;
    return vfma(vfnma(q, b, a), r, q);
}

#elif defined(CAD_ISA_AVX2)
#include <immintrin.h>
#define VW 8
typedef __m256 vf;
INLINE vf vload(const float *p) { return _mm256_loadu_ps(p); }
INLINE void vstore(float *p, vf a) { _mm256_storeu_ps(p, a); }
INLINE vf vset(float a) { return _mm256_set1_ps(a); }
INLINE vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf vfms(vf a, vf b, vf c) { return _mm256_fmsub_ps(a, b, c); }
INLINE vf vfnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf vmin(vf a, vf b) { return _mm256_min_ps(a, b); }
INLINE vf vrounded(vf a)
{
    __m256i i = _mm256_castps_si256(a), odd = _mm256_and_si256(_mm256_srli_epi32(i, 16), _mm256_set1_epi32(1));
    i = _mm256_add_epi32(i, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    return _mm256_castsi256_ps(_mm256_and_si256(i, _mm256_set1_epi32(-65536)));
}
INLINE vf vround(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf vscale(vf p, vf n)
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
}

#elif defined(CAD_ISA_NEON)
#include <arm_neon.h>
#define VW 4
typedef float32x4_t vf;
INLINE vf vload(const float *p) { return vld1q_f32(p); }
INLINE void vstore(float *p, vf a) { vst1q_f32(p, a); }
INLINE vf vset(float a) { return vdupq_n_f32(a); }
INLINE vf vfma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
INLINE vf vfms(vf a, vf b, vf c) { return vfmaq_f32(vnegq_f32(c), a, b); }
INLINE vf vfnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
INLINE vf vmax(vf a, vf b) { return vmaxnmq_f32(a, b); }
INLINE vf vmin(vf a, vf b) { return vminnmq_f32(a, b); }
INLINE vf vround(vf a) { return vrndnq_f32(a); }
INLINE vf vrounded(vf a)
{
    uint32x4_t i = vreinterpretq_u32_f32(a), odd = vandq_u32(vshrq_n_u32(i, 16), vdupq_n_u32(1));
    i = vaddq_u32(i, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    return vreinterpretq_f32_u32(vandq_u32(i, vdupq_n_u32(0xffff0000)));
}
INLINE vf vscale(vf p, vf n)
{
    int32x4_t e = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(e, 23)));
}

#else /* plain C: vectors of four, in the vector extension of gcc and clang */
#define VW 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
INLINE vf vload(const float *p)
{
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}
INLINE void vstore(float *p, vf a) { memcpy(p, &a, sizeof a); }
INLINE vf vset(float a) { return (vf) { a, a, a, a }; }
INLINE vf vfma(vf a, vf b, vf c) { return a * b + c; }
INLINE vf vfms(vf a, vf b, vf c) { return a * b - c; }
INLINE vf vfnma(vf a, vf b, vf c) { return c - a * b; }
INLINE vf vlow(vf a) { return (vf)((vi)a << 16); }
INLINE vf vhigh(vf a) { return (vf)((vi)a & -65536); }
INLINE vf vrounded(vf a) { return vhigh((vf)((vu)a + 0x7fff + ((vu)a >> 16 & 1))); }
INLINE void vhalves(uint16_t *p, vf a)
{
    vu i = (vu)vrounded(a) >> 16;
    for (int j = 0; j < 4; j++) p[j] = (uint16_t)i[j];
}
INLINE vf vpair(vf a, vf b) { return (vf)((vu)vrounded(a) >> 16 | (vu)vrounded(b)); }
INLINE vf vdot2(vf a, vf b, vf c) { return vlow(a) * vlow(b) + (vhigh(a) * vhigh(b) + c); }
INLINE vf vpick(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
INLINE vf vmax(vf a, vf b) { return vpick(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return vpick(a < b, a, b); }
INLINE vf vround(vf a) /* adding 1.5 x 2^23 rounds away all fraction bits */
{
    vf big = vset(0x1.8p23f), t = a + big;
    return t - big;
}
INLINE vf vscale(vf p, vf n)
{
    vi e = { (int32_t)n[0], (int32_t)n[1], (int32_t)n[2], (int32_t)n[3] };
    return p * (vf)((e + 127) << 23);
}
#endif

/* Rounds `a`, which must not be NaN, to the nearest bfloat16, ties to even. */
INLINE uint16_t half_of(float a)
{
    uint32_t i;
    memcpy(&i, &a, sizeof i);
    return (uint16_t)((i + 0x7fff + (i >> 16 & 1)) >> 16);
}

/* Returns the value of a bfloat16. */
INLINE float half_value(uint16_t h)
{
    uint32_t i = (uint32_t)h << 16;
    float f;
    memcpy(&f, &i, sizeof f);
    return f;
}

#if !defined(CAD_ISA_AVX512)
INLINE vf vsplit(vf x, vf *n) /* vscale cannot return less than 2^-126, so an x below -126 counts as -126 */
{
    x = vmax(x, vset(-126.0f));
    *n = vround(x);
    return x - *n;
}
INLINE vf vdiv(vf a, vf b) { return a / b; }
#endif

/* Each of the following functions takes n <= GROUP vectors and performs each step for all of them before the next step.
 * A single vector would be a chain of dependent operations, which is longer than a processor can look ahead. */
#if defined(CAD_ISA_AVX512) || defined(CAD_ISA_NEON) /* 32 registers */
#define GROUP 8
#else
#define GROUP 4
#endif
#define FEW 4 /* size of a smaller group: for remainders, and where GROUP vectors would not fit in the registers */

/* Computes p = 2^f for f in [-1/2, 1/2] by the minimax polynomial of degree 5 whose constant term is fixed at 1. So 2^0
 * is exactly 1, and a state without decay stays unchanged. Error 9e-8 before rounding, 1.7e-7 after it. */
INLINE void vpowers(const int n, const vf *f, vf *p)
{
    REPEAT(i, n) p[i] = vfma(f[i], vset(0x1.5bba14p-10f), vset(0x1.3cea88p-7f));
    REPEAT(i, n) p[i] = vfma(f[i], p[i], vset(0x1.c6b752p-5f));
    REPEAT(i, n) p[i] = vfma(f[i], p[i], vset(0x1.ebf9bcp-3f));
    REPEAT(i, n) p[i] = vfma(f[i], p[i], vset(0x1.62e42ap-1f));
    REPEAT(i, n) p[i] = vfma(f[i], p[i], vset(1.0f));
}

/* Replaces x by 2^x for x <= 0, a decay. Error 1.9e-7 for x >= -126. For smaller x, AVX-512 gives subnormal numbers and
 * then 0; the other instruction sets give 2^-126. */
INLINE void vdecays(const int n, vf *x)
{
    vf f[GROUP], p[GROUP];
    REPEAT(i, n) f[i] = vsplit(x[i], &x[i]);
    vpowers(n, f, p);
    REPEAT(i, n) x[i] = vscale(p[i], x[i]);
}

/* As vdecays, with 2^f by a polynomial of degree 3, for precision bf16: error 1.3e-4, and near 0 only that of the terms
 * that are missing, so that slow decays are not biased. */
INLINE void vdecays_rough(const int n, vf *x)
{
    vf f[GROUP], p[GROUP];
    REPEAT(i, n) f[i] = vsplit(x[i], &x[i]);
    REPEAT(i, n) p[i] = vfma(f[i], vset(0x1.c695c8p-5f), vset(0x1.efdcaap-3f));
    REPEAT(i, n) p[i] = vfma(f[i], p[i], vset(0x1.62e43p-1f));
    REPEAT(i, n) p[i] = vfma(f[i], p[i], vset(1.0f));
    REPEAT(i, n) x[i] = vscale(p[i], x[i]);
}

/* Replaces x by e^(sign x), where sign is 1 or -1 and x is first limited to [-87.3, 87.3]. log2(e) is split into log2e
 * + rest, so that with FMA the product x log2(e) loses no digits. Error 1.9e-7; in plain C 2.8e-6 where |x| is near 87,
 * and 2e-7 near 0. */
INLINE void vexps(const int n, const float sign, vf *x)
{
    const vf log2e = vset(sign * 0x1.715476p0f), rest = vset(sign * 0x1.4ae0cp-26f), bound = vset(87.3f);
    vf k[GROUP], f[GROUP];
    REPEAT(i, n) x[i] = vmin(vmax(x[i], vset(-87.3f)), bound);
    REPEAT(i, n) k[i] = vround(x[i] * log2e);
    REPEAT(i, n) f[i] = vfms(x[i], log2e, k[i]);
    REPEAT(i, n) f[i] = vfma(x[i], rest, f[i]);
    vpowers(n, f, x);
    REPEAT(i, n) x[i] = vscale(x[i], k[i]);
}

/* Replaces x by 1 / (1 + e^-x), for any x. Error 2.3e-7 for |x| <= 87.3 (plain C: the error of vexps). For x < -87.3
 * the result stays at e^-87.3. */
INLINE void vsigmoids(const int n, vf *x)
{
    vexps(n, -1.0f, x);
    REPEAT(i, n) x[i] = vdiv(vset(1.0f), vset(1.0f) + x[i]);
}

/* Replaces x by x / (1 + e^-x), for any x. Error 2.3e-7 for x >= -87.3 (plain C: the error of vexps). */
INLINE void vsilus(const int n, vf *x)
{
    vf e[GROUP];
    REPEAT(i, n) e[i] = x[i];
    vexps(n, -1.0f, e);
    REPEAT(i, n) x[i] = vdiv(x[i], vset(1.0f) + e[i]);
}

/* For y in [0, 13.2], computes e = e^(-y^2/2) and q = (1 - erf(y / sqrt 2)) / 2, the tail of the normal distribution: q =
 * e t P(t) with t = 1 / (1 + 0.35 y) and a polynomial P, which is fitted for the smallest relative error, 3e-8 before
 * rounding. Error of q 5e-7 for y <= 3, above that the rounding error of y^2/2. */
INLINE void vtails(const int n, const vf *y, vf *q, vf *e)
{
    vf t[GROUP];
    REPEAT(i, n) e[i] = y[i] * y[i] * vset(0.5f);
    vexps(n, -1.0f, e);
    REPEAT(i, n) t[i] = vdiv(vset(1.0f), vfma(y[i], vset(0.35f), vset(1.0f)));
    REPEAT(i, n) q[i] = vfma(t[i], vset(-0x1.dd0540p-6f), vset(0x1.268a4ap-3f));
    REPEAT(i, n) q[i] = vfma(t[i], q[i], vset(-0x1.05853ep-2f));
    REPEAT(i, n) q[i] = vfma(t[i], q[i], vset(0x1.453730p-3f));
    REPEAT(i, n) q[i] = vfma(t[i], q[i], vset(-0x1.764488p-6f));
    REPEAT(i, n) q[i] = vfma(t[i], q[i], vset(0x1.afafb4p-4f));
    REPEAT(i, n) q[i] = vfma(t[i], q[i], vset(0x1.eaf58cp-4f));
    REPEAT(i, n) q[i] = vfma(t[i], q[i], vset(0x1.1e6da4p-3f));
    REPEAT(i, n) q[i] = vfma(t[i], q[i], vset(0x1.1df1f6p-3f));
    REPEAT(i, n) q[i] = e[i] * (t[i] * q[i]);
}

/* Replaces x by GELU(x) = x F(x), where F is the normal distribution function (1 + erf(x / sqrt 2)) / 2, for any x. With
 * q(|x|) as in vtails, x F(x) = max(x,0) - |x| q(|x|), in which nothing cancels for x < 0. slope: NULL, or set to the
 * derivative F(x) + x F'(x). Errors: of GELU 7e-7 for x >= -3, then at most 6e-8 of 1; of the derivative 2e-7 of 1. */
INLINE void vgelus(const int n, vf *x, vf *slope)
{
    const vf zero = vset(0.0f), one = vset(1.0f);
    const int slopes = slope ? n : 0;
    vf a[GROUP], y[GROUP], q[GROUP], e[GROUP];
    REPEAT(i, n) a[i] = vmax(x[i], zero - x[i]);
    REPEAT(i, n) y[i] = vmin(a[i], vset(13.2f));
    vtails(n, y, q, e);
    REPEAT(i, slopes) {
        vf step = vmin(vmax(x[i] * vset(1e30f), zero),
                       one); /* 1 for x > 0; at 0 it does not matter, because q is 1/2 */
        slope[i] = vfma(x[i] * vset(0.3989422804f), e[i], vfma(one - step - step, q[i], step));
    }
    REPEAT(i, n) x[i] = vfnma(y[i], q[i], vset(0.5f) * x[i] + vset(0.5f) * a[i]);
}

/* As vgelus, for the approximation x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 = x / (1 + e^-u), with u = sqrt(8/pi)
 * (x + 0.044715 x^3). Errors: of the value 6e-7 for x >= -2, then 1e-7 of 1; of the derivative 3e-7 of 1. */
INLINE void vgelus_tanh(const int n, vf *x, vf *slope)
{
    const vf one = vset(1.0f), bound = vset(13.2f);
    const int slopes = slope ? n : 0;
    vf y[GROUP], e[GROUP], s[GROUP];
    REPEAT(i, n) y[i] = vmax(vmin(x[i], bound), vset(0.0f) - bound);
    REPEAT(i, n) e[i] = y[i] * vfma(y[i] * y[i], vset(0.07135481627f), vset(1.5957691216f));
    vexps(n, -1.0f, e);
    REPEAT(i, n) s[i] = vdiv(one, one + e[i]);
    REPEAT(i, slopes) {
        vf steep = vfma(y[i] * y[i], vset(0.2140644488f), vset(1.5957691216f)); /* the derivative of u */
        slope[i] = vfma(y[i] * steep, s[i] * (e[i] * s[i]), s[i]); /* e s = 1 - s, in which nothing cancels */
    }
    REPEAT(i, n) x[i] = x[i] * s[i];
}

/* Replaces x by log(1 + e^x) = max(x,0) + log1p(y), where y = e^-|x|. With s = y/(2+y), log1p(y) = 2 atanh(s) =
 * 2 s (1 + s^2/3 + ...), computed by a polynomial in s^2 that is fitted on [0, 1/9]. Error 3.4e-7 for x >= -87.3, also
 * where the result is small (plain C: the error of vexps). For x < -87.3 the result stays at e^-87.3. */
INLINE void vsoftpluses(const int n, vf *x)
{
    const vf zero = vset(0.0f);
    vf s[GROUP], q[GROUP], p[GROUP];
    REPEAT(i, n) s[i] = vmax(x[i], zero - x[i]);
    vexps(n, -1.0f, s);
    REPEAT(i, n) s[i] = vdiv(s[i], vset(2.0f) + s[i]);
    REPEAT(i, n) q[i] = s[i] * s[i];
    REPEAT(i, n) p[i] = vfma(q[i], vset(0.14005994f), vset(0.14000902f));
    REPEAT(i, n) p[i] = vfma(q[i], p[i], vset(0.20010764f));
    REPEAT(i, n) p[i] = vfma(q[i], p[i], vset(0.33333208f));
    REPEAT(i, n) p[i] = vfma(q[i], p[i], vset(1.0f));
    REPEAT(i, n) x[i] = vfma(s[i] + s[i], p[i], vmax(x[i], zero));
}

/* vsilu and vsigmoid do the same as vsilus and vsigmoids, for a single vector. */
INLINE vf vsilu(vf x)
{
    vsilus(1, &x);
    return x;
}
INLINE vf vsigmoid(vf x)
{
    vsigmoids(1, &x);
    return x;
}

/* Returns the sum of the VW values of `a`, in a fixed order: the upper half is added to the lower half, log2(VW)
 * times. */
INLINE float vsum(vf a)
{
    float t[VW];
    vstore(t, a);
    for (int w = VW / 2; w; w /= 2)
        for (int i = 0; i < w; i++) t[i] += t[i + w];
    return t[0];
}

/* vsums(a) takes an array of VW vectors and returns one vector: its value i is the sum of the values of a[i], in a
 * fixed order. */
#if defined(CAD_ISA_AVX512)
INLINE vf vsum4(vf a, vf b, vf c, vf d) /* returns four partial sums of each of `a`, `b`, `c` and `d` */
{
    vf ab = _mm512_mask_blend_ps(0xFF00, a, b) + _mm512_shuffle_f32x4(a, b, 0x4E);
    vf cd = _mm512_mask_blend_ps(0xFF00, c, d) + _mm512_shuffle_f32x4(c, d, 0x4E);
    return _mm512_shuffle_f32x4(ab, cd, 0x88) + _mm512_shuffle_f32x4(ab, cd, 0xDD);
}
INLINE vf vsums(const vf *a)
{
    vf p = vsum4(a[0], a[4], a[8], a[12]), q = vsum4(a[1], a[5], a[9], a[13]);
    vf r = vsum4(a[2], a[6], a[10], a[14]), s = vsum4(a[3], a[7], a[11], a[15]);
    vf pq = _mm512_unpacklo_ps(p, q) + _mm512_unpackhi_ps(p, q),
       rs = _mm512_unpacklo_ps(r, s) + _mm512_unpackhi_ps(r, s);
    return _mm512_shuffle_ps(pq, rs, 0x44) + _mm512_shuffle_ps(pq, rs, 0xEE);
}
#elif defined(CAD_ISA_AVX2)
INLINE vf vsums(const vf *a)
{
    vf p = _mm256_hadd_ps(_mm256_hadd_ps(a[0], a[1]), _mm256_hadd_ps(a[2], a[3]));
    vf q = _mm256_hadd_ps(_mm256_hadd_ps(a[4], a[5]), _mm256_hadd_ps(a[6], a[7]));
    return _mm256_permute2f128_ps(p, q, 0x20) + _mm256_permute2f128_ps(p, q, 0x31);
}
#elif defined(CAD_ISA_NEON)
INLINE vf vsums(const vf *a) { return vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3])); }
#else
INLINE vf vsums(const vf *a) { return (vf) { vsum(a[0]), vsum(a[1]), vsum(a[2]), vsum(a[3]) }; }
#endif

/* For each of the n rows of `a` (n,VW): adds the sum of row i to out[i]. */
INLINE void vsum_rows(const float *a, const int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf v[VW];
        REPEAT(k, VW) v[k] = vload(a + (i + k) * VW);
        vstore(out + i, vload(out + i) + vsums(v));
    }
    for (; i < n; i++) out[i] += vsum(vload(a + i * VW));
}

#endif
