/* notes.h - warnings that do not stop, signals. SPDX-License-Identifier: MIT */
#ifndef CAD_NOTES_H
#define CAD_NOTES_H

#include "base/base.h"

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
    const char *cmd;
    bool quiet;
    int64_t count[NOTE_KINDS];
} notes_t;
/* Prints the first of its kind, counts all. */
void note(notes_t *n, note_kind_t kind, int64_t times, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* One closing line with the counts, if there are any. */
void notes_summary(const notes_t *n);
/* The command that messages name from here on; the text is copied. */
void glue_command(const char *cmd);
/* Signal handlers, htslib's own messages off, no network references. */
void glue_init(void);
/* Removes the temporaries, says that memory is out and ends the process: for
 * libraries that do not survive a failed allocation. */
void glue_out_of_memory(void) __attribute__((noreturn));
void glue_verbosity(int level);
const char *glue_htslib_version(void);

#endif
