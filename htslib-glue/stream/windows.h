/* windows.h - letters become the tokens of a window; tokens become bases. SPDX-License-Identifier: MIT */
#ifndef CAD_WINDOWS_H
#define CAD_WINDOWS_H

#include "io/notes.h"
#include "stream/pipeline.h"

typedef struct encoding_t { /* how all windows of a run are encoded */
    const cad_model_t *model;
    unsigned flags; /* for cad_encode */
    bool sep;       /* every window ends with the token SEP */
    bool skip_soft; /* lower-case bases are visible, but not scored */
    notes_t *notes; /* the user is told about letters other than A, C, G, T, N */
} encoding_t;
typedef struct letters_t { /* a window and its letters; intervals count from the contig's or record's first base */
    const char *seq;       // (window)
    interval_t window, core;
    const char *name; /* of the contig or record, for the note; NULL: no note */
    int name_len;
} letters_t;
/* Encodes the letters into the job: its tokens, len and skip, which the caller frees with
 * job_free even on failure. */
int window_encode(const encoding_t *e, const letters_t *l, job_t *j, cad_error_t *err);
/* The interval x counted from the window's first base. */
interval_t window_relative(interval_t x, interval_t window);

enum { NO_BASE = 4 };
typedef struct bases_t { /* from tokens to bases: 0 to 3 for A, C, G, T, else NO_BASE */
    uint8_t of[256];
} bases_t;
void bases_init(bases_t *b, const cad_model_t *model);
/* The base of a letter of either case, else NO_BASE. */
int base_of_letter(char letter);
/* The bases (n) of letters (n), which may be the same memory. */
void bases_of_letters(const char *seq, int64_t n, uint8_t *base);

#endif
