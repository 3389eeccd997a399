/* notes.h - prints and counts warnings (notes), which do not stop a run. The first note of each kind is printed in
 * full; a summary at the end gives the counts.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_NOTES_H
#define CAD_NOTES_H

#include "base/base.h"

/* Kinds of notes. notes.c has the words for each kind in the summary. */
typedef enum {
    NOTE_EMPTY,
    NOTE_CLIPPED,
    NOTE_IUPAC,
    NOTE_UNSCORED,
    NOTE_BROWSER,
    NOTE_INDEX,
    NOTE_NO_SEQUENCE,
    NOTE_UNMAPPED,
    NOTE_NO_CONTIG,
    NOTE_REF_MISMATCH,
    NOTE_UNSCORABLE,
    NOTE_VALUE,
    NOTE_ROUNDED,
    NOTE_LETTERS,
    NOTE_CRAM,
    NOTE_FITTED,
    NOTE_HEADER,
    NOTE_END,
    NOTE_NOTHING,
    NOTE_LONG,
    NOTE_CALIBRATION,
    NOTE_UNPHASED,
    NOTE_KINDS
} note_kind_t;
typedef struct notes_t {
    const char *cmd; /* name of the command, for messages; borrowed */
    bool quiet;      /* only count, print nothing */
    int64_t count[NOTE_KINDS];
} notes_t;
/* Adds `times` to the count of this kind of note. Prints the text to stderr if this is the first note of its kind. If
 * times is 0, does nothing. */
void note(notes_t *n, note_kind_t kind, int64_t times, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Prints one line with all counts that are not 0, if there are any. */
void notes_summary(const notes_t *n);

#endif
