/* notes.h - warnings that do not stop a run. SPDX-License-Identifier: MIT */
#ifndef CAD_NOTES_H
#define CAD_NOTES_H

#include "base/base.h"

/* notes.c has their texts. */
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
    NOTE_FITTED,
    NOTE_KINDS
} note_kind_t;
typedef struct notes_t {
    const char *cmd; /* the command's name, for messages; borrowed */
    bool quiet;      /* count only */
    int64_t count[NOTE_KINDS];
} notes_t;
/* Adds `times` to the count of its kind (0: nothing happens); the first of a kind is printed
 * to stderr. */
void note(notes_t *n, note_kind_t kind, int64_t times, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Prints one line with the counts, if any is not 0. */
void notes_summary(const notes_t *n);

#endif
