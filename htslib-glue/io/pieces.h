/* pieces.h - cuts a line into pieces, and tells whether htslib would write them as they were read.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PIECES_H
#define CAD_PIECES_H

#include "base/base.h"

typedef struct piece_t {
    const char *s;
    size_t n;
} piece_t; /* a piece of a line, without a NUL at its end */
/* Cuts the first item and its separator off *rest; returns the item. */
piece_t piece_split(piece_t *rest, char separator);
bool piece_equal(piece_t a, piece_t b);
/* Returns the length of the piece for "%.*s" in a message, 40 at most. */
int piece_shown(piece_t p);
/* True if the piece is a number and nothing else: no blanks, no other base than ten. errno is ERANGE if float64 does
 * not hold it. */
bool piece_number(piece_t p, double *value);

typedef enum {
    KEPT,    /* the same text, or the same number in another notation */
    ROUNDED, /* to six digits */
    CHANGED
} kept_t;
/* Compares a value as it was read with the same value as htslib would write it. */
kept_t piece_kept(piece_t read, piece_t written);

#endif
