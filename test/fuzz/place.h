/* place.h - the folder in which targets of files work. SPDX-License-Identifier: MIT */
#ifndef CAD_FUZZ_PLACE_H
#define CAD_FUZZ_PLACE_H

#include <stddef.h>
#include <stdint.h>

/* A file's bytes that a target received; several files come in one, cut by PLACE_CUT. */
typedef struct place_t {
    const uint8_t *data;
    size_t size;
} place_t;
#define PLACE_CUT "\n%%\n"

/* Makes the folder of this process, makes it the present one, and puts ref.fa, of the contigs c and d, there. It is
 * removed when the process ends. */
void place_enter(void);
/* Cuts the first file off *rest; false if *rest is at its end. */
int place_next(place_t *rest, place_t *file);
/* Writes a file; in BGZF if bgzf is not 0. */
void place_put(const char *name, place_t file, int bgzf);
/* Removes files; the last name is NULL. */
void place_remove(const char *const names[]);
/* True if the file begins with these n bytes. */
int place_begins(place_t file, const char *bytes, size_t n);

#endif
