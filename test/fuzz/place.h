/* place.h - the folder in which fuzz targets write their files. SPDX-License-Identifier: MIT */
#ifndef CAD_FUZZ_PLACE_H
#define CAD_FUZZ_PLACE_H

#include <stddef.h>
#include <stdint.h>

/* The content of a file, part of the data that a target receives. PLACE_CUT separates several files in the data. */
typedef struct place_t {
    const uint8_t *data;
    size_t size;
} place_t;
#define PLACE_CUT "\n%%\n"

/* Makes a folder for this process, changes to it and writes ref.fa, with contigs c and d, there. The folder is removed
 * when the process ends. */
void place_enter(void);
/* Moves the first file of *rest to *file. Returns false if *rest is at its end. */
int place_next(place_t *rest, place_t *file);
/* Writes a file; as BGZF if bgzf is not 0. */
void place_put(const char *name, place_t file, int bgzf);
/* Removes the files with these names; the last name is NULL. */
void place_remove(const char *const names[]);
/* Returns true if the file begins with these n bytes. */
int place_begins(place_t file, const char *bytes, size_t n);

#endif
