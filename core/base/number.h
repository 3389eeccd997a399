/* number.h - functions for integers (minimum, maximum, rounding, parsing, hashing), and one that reverses the order of
 * an array's rows. SPDX-License-Identifier: MIT
 */
#ifndef CAD_NUMBER_H
#define CAD_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline int64_t cad_round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t cad_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t cad_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* Parses s, which must be a decimal integer in [lo, hi] and nothing else, into *out. Otherwise returns false and leaves
 * *out unchanged. */
bool cad_parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out);

/* Returns the number whose n bytes, the lowest first, are b. */
static inline uint64_t cad_little(const unsigned char *b, int n)
{
    uint64_t u = 0;
    for (int i = n - 1; i >= 0; i--) u = u << 8 | b[i];
    return u;
}

/* The hash function FNV-1a. A hash begins as CAD_HASH; cad_hash adds n bytes to a hash, cad_hash_word adds one word. */
#define CAD_HASH 0xcbf29ce484222325u
static inline uint64_t cad_hash_word(uint64_t hash, uint64_t word) { return (hash ^ word) * 0x100000001b3u; }
static inline uint64_t cad_hash(uint64_t hash, const void *data, size_t n)
{
    const unsigned char *byte = (const unsigned char *)data;
    for (size_t i = 0; i < n; i++) hash = cad_hash_word(hash, byte[i]);
    return hash;
}

/* Reverses, in place, the order of the rows of the array `a` of shape (n,width). */
void cad_reverse_rows(float *a, int64_t n, int64_t width);

#endif
