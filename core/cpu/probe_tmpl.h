/* probe_tmpl.h - functions that run an instruction set's arithmetic and matrix product in loops, so that
 * measure/peaks.c can time them. measure/probe.h describes each function.
 *
 * Macro parameters, defined by the including file:
 *   CAD_ISA_AVX512, CAD_ISA_AVX2, CAD_ISA_BF16   see simd.h
 *   CAD_ISA_NAME     the instruction set's name, as in its tables of operations
 *   CAD_ISA_PROBE    name of the cad_probe_t that this file defines
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PROBE_TMPL_H
#define CAD_PROBE_TMPL_H

#include "cpu/isa.h"
#include "panel_tmpl.h"
#include "project_tmpl.h"
#include "simd.h"

#define CHAINS 12 /* number of independent sums, as many as fit in the registers */
#define LOOP 512  /* number of values in an array; it fits in the first-level cache */
#define ROWS 8

#if defined(CAD_ISA_AMX)
/* Runs n multiplications and additions of projections: as many of tiles as a product of `parts` parts needs. */
INLINE float probe_tiles(const int64_t parts, int64_t n, float seed)
{
    uint16_t from[TILE_HALVES] __attribute__((aligned(64)));
    float c[TILE_ROWS * TILE_ROWS] __attribute__((aligned(64)));
    int64_t products = parts * (parts + 1) / 2, flop = 4 * 2 * TILE_ROWS * TILE_ROWS * TILE_TERMS;
    for (int i = 0; i < TILE_HALVES; i++) from[i] = half_of(seed);
    tiles_begin();
    tile_zero(&t, 0);
    tile_zero(&t, 1);
    tile_zero(&t, 2);
    tile_zero(&t, 3);
    tile_load(&t, 4, from, 64);
    tile_load(&t, 6, from, 64);
    for (int64_t done = 0; done < n * products; done += flop) {
        tile_dot(&t, 0, 4, 6);
        tile_dot(&t, 1, 4, 6);
        tile_dot(&t, 2, 4, 6);
        tile_dot(&t, 3, 4, 6);
    }
    tile_store(&t, 3, c, 64);
    tiles_end();
    return c[0];
}
static float probe_tiles1(int64_t n, float seed) { return probe_tiles(1, n, seed); }
static float probe_tiles2(int64_t n, float seed) { return probe_tiles(2, n, seed); }
static float probe_tiles3(int64_t n, float seed) { return probe_tiles(3, n, seed); }
#define FLOP                                     \
    {                                            \
        probe_tiles3, probe_tiles2, probe_tiles1 \
    }
#else
static float probe_flop(int64_t n, float seed)
{
    vf s[CHAINS], factor = vset(0.5f), term = vset(seed), sum = vset(0.0f);
    REPEAT(i, CHAINS) s[i] = vset(seed + (float)i);
    for (int64_t done = 0; done < n; done += 2 * CHAINS * VW)
        REPEAT(i, CHAINS) s[i] = vfma(s[i], factor, term);
    for (int i = 0; i < CHAINS; i++) sum = sum + s[i];
    return vsum(sum);
}

#if defined(CAD_ISA_PAIRS) && defined(CAD_ISA_BF16)
static float probe_pairs(int64_t n, float seed)
{
    vf s[CHAINS], sum = vset(0.0f);
    __m512 a = (__m512)_mm512_cvtne2ps_pbh(vset(seed), vset(0.5f)),
           b = (__m512)_mm512_cvtne2ps_pbh(vset(0.25f), vset(-0.5f));
    REPEAT(i, CHAINS) s[i] = vset((float)i);
    for (int64_t done = 0; done < n; done += 4 * CHAINS * VW)
        REPEAT(i, CHAINS) s[i] = vdot2(a, b, s[i]);
    for (int i = 0; i < CHAINS; i++) sum = sum + s[i];
    return vsum(sum);
}
#define FLOP                                \
    {                                       \
        probe_flop, probe_flop, probe_pairs \
    }
#else
#define FLOP                               \
    {                                      \
        probe_flop, probe_flop, probe_flop \
    }
#endif
#endif

/* Computes n updates of a scan's states, with 16 states and VW channels, four rows at a time. All data stay in the
 * first-level cache. */
INLINE float probe_scan(const bool rough, int64_t n, float seed)
{
    float a[16 * VW], h[16 * VW], dt[ROWS * VW], BC[32];
    vf sum[4];
    for (int i = 0; i < 16 * VW; i++) a[i] = -(float)(i / VW + 1);
    for (int i = 0; i < 16 * VW; i++) h[i] = seed;
    for (int i = 0; i < ROWS * VW; i++) dt[i] = seed * (float)(i % 7 + 1);
    for (int i = 0; i < 32; i++) BC[i] = seed * (float)(i % 5 + 1);
    for (int i = 0; i < 4; i++) sum[i] = vset(0.0f);
    for (int64_t row = 0; row < n / (16 * VW); row += 4) {
        const float *d = dt + row % ROWS * VW;
        for (int64_t k = 0; k < 16; k++) {
            vf x[4], s = vload(h + k * VW), v = vload(a + k * VW);
            REPEAT(i, 4) x[i] = vload(d + i * VW) * v;
            if (rough) vdecays_rough(4, x);
            else vdecays(4, x);
            REPEAT(i, 4) {
                s = vfma(x[i], s, vload(d + i * VW) * vset(BC[k]));
                sum[i] = vfma(s, vset(BC[16 + k]), sum[i]);
            }
            vstore(h + k * VW, s);
        }
    }
    return vsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static float probe_updates(int64_t n, float seed) { return probe_scan(false, n, seed); }
static float probe_updates_rough(int64_t n, float seed) { return probe_scan(true, n, seed); }

static float probe_exps(int64_t n, float seed)
{
    float x[LOOP];
    for (int i = 0; i < LOOP; i++) x[i] = seed * (float)(i % 9);
    for (int64_t done = 0; done < n; done += LOOP)
        for (int at = 0; at < LOOP; at += GROUP * VW) {
            vf v[GROUP];
            REPEAT(i, GROUP) v[i] = vload(x + at + i * VW);
            vsilus(GROUP, v);
            REPEAT(i, GROUP) vstore(x + at + i * VW, vset(seed) + v[i]);
        }
    return x[0] + x[LOOP - 1];
}

static void probe_pack(const float *w, int64_t n, int64_t k, float *packed)
{
    cad_bump_t b = { (char *)packed, 0 };
    lay_panels(&b, FLOATS, w, n, k, n, k);
}

static void probe_product(const float *a, int64_t rows, const float *packed, int64_t n, int64_t k, const float *bias,
                          float *c)
{
    dest_t d = { c, NULL, NULL, bias, n, STORE };
    product(a, k, rows, packed, n, k, &d, 0);
}

const cad_probe_t CAD_ISA_PROBE = {
    CAD_ISA_NAME, FLOP, { probe_updates, probe_updates, probe_updates_rough }, probe_exps, probe_pack, probe_product,
};

#endif
