/* pieces.h - cuts a line of VCF or SAM text into pieces, and checks whether htslib would write each piece unchanged.
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
/* Removes the first item and its separator from *rest; returns the item. */
piece_t piece_split(piece_t *rest, char separator);
bool piece_equal(piece_t a, piece_t b);
/* Returns how many bytes of the piece to print with "%.*s" in a message: its length, but at most 40. */
int piece_shown(piece_t p);
/* True if the whole piece is a decimal number without blanks; sets *value. Sets errno to ERANGE if float64 cannot hold
 * the number. */
bool piece_number(piece_t p, double *value);

typedef enum {
    KEPT,    /* the same text, or the same number in another notation */
    ROUNDED, /* the number, rounded to six digits */
    CHANGED  /* any other difference */
} kept_t;
/* Compares the text of a value in the input with the text that htslib would write for the same value. */
kept_t piece_kept(piece_t read, piece_t written);

#endif
