/* windows.h - encodes letters as the tokens of a window, and finds the base that a token stands for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_WINDOWS_H
#define CAD_WINDOWS_H

#include "io/notes.h"
#include "stream/pipeline.h"

typedef struct encoding_t { /* how the windows of a run are encoded */
    const cad_model_t *model;
    unsigned flags; /* the flags argument of cad_encode */
    bool sep;       /* true: every window ends with the token SEP */
    bool skip_soft; /* true: lower-case bases are shown to the model, but not scored */
    notes_t *notes; /* collects notes about letters other than A, C, G, T and N */
} encoding_t;
/* the letters of a window; positions in the intervals count from the first base of the contig or record */
typedef struct letters_t {
    const char *seq; // (length of window)
    interval_t window, core;
    const char *name; /* name of the contig or record, for the note; NULL: no note */
    int name_len;
} letters_t;
/* Encodes the letters as j->tokens, and sets j->len and j->skip. The caller frees them with job_free, also on
 * failure. */
int window_encode(const encoding_t *e, const letters_t *l, job_t *j, cad_error_t *err);
/* Notes that the interval `at` of a contig or record (its name: name_len bytes) holds `odd` letters other than A, C, G, T
 * and N; if odd is 0, does nothing. */
void window_note_odd(notes_t *notes, int64_t odd, const char *name, int name_len, interval_t at);
/* Returns interval x with positions counted from the first base of the window. */
interval_t window_relative(interval_t x, interval_t window);

enum { NO_BASE = 4 };
typedef struct bases_t { /* of[token] is 0 to 3 for A, C, G, T, else NO_BASE */
    uint8_t of[256];
} bases_t;
void bases_init(bases_t *b, const cad_model_t *model);
/* Returns the sum of log p over the scored bases of a window. ends_halved: the first and the last scored base count
 * half. */
double window_sum(const bases_t *b, const job_t *j, bool ends_halved);
/* Returns 0 to 3 for A, C, G, T in either case, else NO_BASE. */
int base_of_letter(char letter);
/* Sets base (n) to the bases of the letters seq (n). Both may be the same memory. */
void bases_of_letters(const char *seq, int64_t n, uint8_t *base);

#endif
