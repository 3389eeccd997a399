/* random.h - random numbers as pure functions of a seed and a place. A place is three integers (a,b,c) that say what
 * the number is for, such as step, window and position. So random numbers do not depend on the order of work, on
 * threads or on a restart. The generator is splitmix64; the place is mixed into its state.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_RANDOM_H
#define CAD_RANDOM_H

#include <math.h>
#include <string.h>

#include "base/number.h"

#define CAD_GOLDEN 0x9e3779b97f4a7c15u

static inline uint64_t cad_mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Returns 64 random bits for the place (a,b,c). */
static inline uint64_t cad_random(uint64_t seed, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t s = cad_mix(seed + CAD_GOLDEN);
    s = cad_mix(s + (a + 1) * CAD_GOLDEN);
    s = cad_mix(s + (b + 1) * CAD_GOLDEN);
    return cad_mix(s + (c + 1) * CAD_GOLDEN);
}

/* cad_unit converts 64 random bits to a number in [0, 1), cad_below to an integer in [0, n) for 1 <= n < 2^32, and
 * cad_normal to a standard normal deviate. */
static inline double cad_unit(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }
static inline uint64_t cad_below(uint64_t bits, uint64_t n) { return (bits >> 32) * n >> 32; }
static inline double cad_normal(uint64_t bits)
{
    double u = 1 - cad_unit(bits), angle = 6.283185307179586 * cad_unit(cad_mix(bits + CAD_GOLDEN));
    return sqrt(-2 * log(u)) * cos(angle);
}

/* Converts a name into one coordinate of a place. */
static inline uint64_t cad_random_name(const char *s) { return cad_hash(CAD_HASH, s, strlen(s)); }

#endif
