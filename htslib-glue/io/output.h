/* output.h - outputs that are whole or absent. Every function that takes err returns 0 or a
 * negative CAD_E* with a text, unless it says otherwise. SPDX-License-Identifier: MIT */
#ifndef CAD_OUTPUT_H
#define CAD_OUTPUT_H

#include <htslib/hts.h>
#include <htslib/kstring.h>

#include "base/base.h"

typedef struct output_t output_t;
/* path: a file, or "-" for standard output. A regular or absent file is written under a
 * temporary name beside it, which output_close renames and a fatal signal removes; a pipe or
 * device is written directly. After a failure *out is NULL. */
int output_open(output_t **out, const char *path, bool bgzf, cad_error_t *err);
/* Opens path + suffix, uncompressed. */
int output_beside(output_t **out, const char *path, const char *suffix, cad_error_t *err);
int output_write(output_t *out, const void *data, size_t n, cad_error_t *err);
/* Overwrites n bytes at offset `at` of an uncompressed file or spooled output. */
int output_patch(output_t *out, uint64_t at, const void *data, size_t n, cad_error_t *err);
/* Makes an output that is no file seekable: its bytes wait in a temporary file until it is
 * synced. Before anything is written. */
int output_spool(output_t *out, cad_error_t *err);
/* Opens a file without a name in $TMPDIR, which is gone once closed: a descriptor, or -1 with a
 * text that begins with name. */
int output_scratch(const char *name, cad_error_t *err);
/* Writes and syncs all bytes; a file keeps its temporary name. */
int output_sync(output_t *out, cad_error_t *err);
/* The size of a file that is synced. */
int64_t output_bytes(const output_t *out);
/* Syncs and renames. Frees out, also on failure. */
int output_close(output_t *out, cad_error_t *err);
/* Closes n outputs, of which some may be NULL: syncs all of them, then renames all, during which
 * fatal signals wait. Each that is closed becomes NULL; after a failure abort the others. */
int outputs_close(output_t **const out[], int n, cad_error_t *err);
/* Removes the temporary and frees out. NULL is allowed. */
void output_abort(output_t *out);
/* True if path is longer than the suffix and ends in it; case does not matter. */
bool ends_in(const char *path, const char *suffix);
bool output_is_gz(const char *path); /* by its suffix */
/* True if the output is a file, so that others may lie beside it; not a pipe or device. */
bool output_is_file(const output_t *out);
bool output_is_terminal(const output_t *out);
/* The name of its temporary until it is closed, borrowed; NULL unless it is a file. */
const char *output_temporary(const output_t *out);
/* Opens an htslib file on the output, which owns and closes it. */
int output_hts(output_t *out, const char *mode, htsFile **fp, cad_error_t *err);
/* Reports that writing through that htslib file failed; returns CAD_EIO. */
int output_failed(output_t *out, cad_error_t *err);
/* path and suffix joined, malloc'd; NULL when out of memory. */
char *suffixed(const char *path, const char *suffix);

#endif
