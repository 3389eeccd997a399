/* output.h - writes outputs so that each is complete or absent. A function that takes err
 * returns 0 or a negative CAD_E* with a text, except where its comment says otherwise. SPDX-License-Identifier: MIT
 */
#ifndef CAD_OUTPUT_H
#define CAD_OUTPUT_H

#include <htslib/hts.h>
#include <htslib/kstring.h>

#include "base/base.h"

typedef struct output_t output_t;
/* Opens an output. path: a file, or "-" for standard output. A regular or absent file is written under a temporary
 * name in the same folder; output_close renames it, and a fatal signal removes it. A pipe or device is written
 * directly. After a failure *out is NULL. */
int output_open(output_t **out, const char *path, bool bgzf, cad_error_t *err);
/* Opens an uncompressed output at path + suffix. */
int output_beside(output_t **out, const char *path, const char *suffix, cad_error_t *err);
int output_write(output_t *out, const void *data, size_t n, cad_error_t *err);
/* Overwrites n bytes at offset `at` of an uncompressed file or spooled output. */
int output_patch(output_t *out, uint64_t at, const void *data, size_t n, cad_error_t *err);
/* Allows output_patch on a pipe or device: keeps all bytes in a temporary file until output_sync. Must be called before
 * anything is written. Does nothing for a file. */
int output_spool(output_t *out, cad_error_t *err);
/* Opens a file in $TMPDIR that has no name and is removed when it is closed. Returns a descriptor, or -1 with an error
 * text that begins with `name`. */
int output_scratch(const char *name, cad_error_t *err);
/* Writes all buffered bytes and syncs them. A file keeps its temporary name until output_close. */
int output_sync(output_t *out, cad_error_t *err);
/* Returns the size in bytes of a file after output_sync. */
int64_t output_bytes(const output_t *out);
/* Syncs the output and, if it is a file, renames it. Frees out, also on failure. */
int output_close(output_t *out, cad_error_t *err);
/* Closes n outputs; NULL entries are allowed. Syncs all of them, then renames all; fatal signals are delayed meanwhile.
 * Sets each closed output to NULL. After a failure, call output_abort for the others. */
int outputs_close(output_t **const out[], int n, cad_error_t *err);
/* Removes the temporary file and frees out. NULL is allowed. */
void output_abort(output_t *out);
/* True if path ends in the suffix, in any case of letters, and is longer than the suffix. */
bool ends_in(const char *path, const char *suffix);
bool output_is_csv(const char *path); /* true if the path ends in .csv, .csv.gz or .csv.bgz */
/* Returns CAD_EARG if the suffix of path is that of a known file format, but is not in the list of allowed suffixes.
 * Case is ignored. possible: the allowed suffixes, as "bed tsv". gz: the suffixes that are allowed before .gz or .bgz.
 * A suffix of no known format is always allowed. */
int output_suffix(const char *path, const char *possible, const char *gz, cad_error_t *err);
bool output_is_gz(const char *path); /* true if the path ends in .gz or .bgz */
/* True if the output is a regular file, so that other files can be written beside it; false for a pipe or device. */
bool output_is_file(const output_t *out);
bool output_is_terminal(const output_t *out);
const char *output_name(const output_t *out); /* returns the path as given, or "standard output"; borrowed */
/* Returns the temporary name that a file has until it is closed, borrowed; NULL if the output is not a file. */
const char *output_temporary(const output_t *out);
/* Opens *fp, an htslib file that writes to the output. The output owns and closes it. */
int output_hts(output_t *out, const char *mode, htsFile **fp, cad_error_t *err);
/* Reports that writing through the htslib file failed; returns CAD_EIO. */
int output_failed(output_t *out, cad_error_t *err);
/* Returns path and suffix joined, malloc'd; NULL when out of memory. */
char *suffixed(const char *path, const char *suffix);

#endif
