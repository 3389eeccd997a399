/* mutate.c - random mutations of a file, for test runs without a fuzzer. SPDX-License-Identifier: MIT */
#include <string.h>

#include "fuzz.h"

#define COUNT(list) (sizeof list / sizeof *list)

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t x = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return below ? (x ^ x >> 31) % below : 0;
}

/* Replaces `gone` bytes at offset `at` by k other bytes. Returns the new number of bytes. */
static size_t splice(uint8_t *data, size_t n, size_t room, size_t at, size_t gone, const void *bytes, size_t k)
{
    if (gone > n - at) gone = n - at;
    if (n - gone + k > room) return n;
    memmove(data + at + k, data + at + gone, n - at - gone);
    memcpy(data + at, bytes, k);
    return n - gone + k;
}

/* Replaces a field of text by a number or word that readers may handle wrongly, or inserts it. Returns the new number
 * of bytes. */
static size_t put_word(uint8_t *data, size_t n, size_t room, size_t at, uint64_t *s)
{
    static const char *const word[] = { "-1",
                                        "0",
                                        "",
                                        ".",
                                        "*",
                                        "1e999",
                                        "nan",
                                        "2147483647",
                                        "2147483648",
                                        "4294967295",
                                        "9223372036854775807",
                                        "18446744073709551616",
                                        "\t",
                                        "\n",
                                        "\r\n",
                                        ",",
                                        ":",
                                        "=",
                                        ";",
                                        "{",
                                        "}",
                                        "\"",
                                        "\xff",
                                        "##",
                                        "@",
                                        ">" };
    const char *w = word[draw(s, COUNT(word))];
    size_t end = at;
    while (end < n && !strchr("\t\n,:;= ", data[end])) end++;
    return splice(data, n, room, at, draw(s, 2) ? end - at : 0, w, strlen(w));
}

/* Overwrites a binary integer with a boundary value of its type, such as 0 or the largest. */
static void put_number(uint8_t *data, size_t n, size_t at, uint64_t *s)
{
    static const uint64_t edge[] = { 0,
                                     1,
                                     2,
                                     0x7f,
                                     0xff,
                                     0x7fff,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff };
    uint64_t value = edge[draw(s, COUNT(edge))];
    size_t width = (size_t)1 << draw(s, 4);
    for (size_t i = 0; i < width && at + i < n; i++) data[at + i] = (uint8_t)(value >> 8 * i);
}

static size_t change(uint8_t *data, size_t n, size_t room, uint64_t *s)
{
    uint8_t piece[64];
    size_t at = draw(s, n), k = draw(s, sizeof piece), from = draw(s, n);
    if (k > n - from) k = n - from;
    memcpy(piece, data + from, k);
    switch (draw(s, 7)) {
    case 0: data[at] ^= (uint8_t)(1 << draw(s, 8)); return n;
    case 1: data[at] = (uint8_t)draw(s, 256); return n;
    case 2: return at;
    case 3: return splice(data, n, room, at, k, "", 0);
    case 4: return splice(data, n, room, at, draw(s, 2) ? k : 0, piece, k);
    case 5: put_number(data, n, at, s); return n;
    default: return put_word(data, n, room, at, s);
    }
}

size_t fuzz_mutate(uint8_t *data, size_t n, size_t room, uint64_t seed)
{
    uint64_t s = seed;
    for (uint64_t times = 1 + draw(&s, 4); times && n; times--) n = change(data, n, room, &s);
    return n;
}
