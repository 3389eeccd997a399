/* output.h - files that are written, whole or not at all. SPDX-License-Identifier: MIT */
#ifndef CAD_OUTPUT_H
#define CAD_OUTPUT_H

#include <htslib/hts.h>
#include <htslib/kstring.h>

#include "base/base.h"

typedef struct output_t output_t;
/* path: a file, or "-" for stdout. A regular or absent file is written under a
 * temporary name beside it and renamed by output_close; anything else directly. */
int output_open(output_t **out, const char *path, bool bgzf, cad_error_t *err);
int output_beside(output_t **out, const char *path, const char *suffix, cad_error_t *err); /* path + suffix */
int output_write(output_t *out, const void *data, size_t n, cad_error_t *err);
/* Overwrites bytes of a seekable, uncompressed output; spooled outputs are always
 * seekable. */
int output_patch(output_t *out, uint64_t at, const void *data, size_t n, cad_error_t *err);
/* Makes a direct output seekable by spooling it through a temporary file. */
int output_spool(output_t *out, cad_error_t *err);
/* A file without a name in $TMPDIR, gone when closed: a descriptor, or -1. */
int output_scratch(const char *name, cad_error_t *err);
/* All bytes written and synced, but nothing renamed yet. */
int output_sync(output_t *out, cad_error_t *err);
/* Its bytes, once synced. */
int64_t output_bytes(const output_t *out);
/* Syncs, renames. Frees out whatever happens. */
int output_close(output_t *out, cad_error_t *err);
/* Closes all n of them, those that are NULL left out: syncs all, then renames them; a signal
 * comes before or after that. Those closed become NULL. */
int outputs_close(output_t **const out[], int n, cad_error_t *err);
/* Removes the temporary and frees out; NULL is allowed. */
void output_abort(output_t *out);
/* A longer path ends in the suffix, in any case of letters. */
bool ends_in(const char *path, const char *suffix);
bool output_is_gz(const char *path);
/* The output is a file, not a pipe or device: a .json may lie beside it. */
bool output_is_file(const output_t *out);
bool output_is_terminal(const output_t *out);
/* Where its bytes are until it is closed; NULL unless it is a file. */
const char *output_temporary(const output_t *out);
/* An htslib file over the output, which closes it. */
int output_hts(output_t *out, const char *mode, htsFile **fp, cad_error_t *err);
/* Reports that writing through that file failed: CAD_EIO. */
int output_failed(output_t *out, cad_error_t *err);
/* An output must not be an input, nor two outputs one file, also through links;
 * "-" is what the shell connected. 0 or CAD_EARG; NULL is nothing. */
int refuse_twice(const char *output, const char *other, cad_error_t *err);
int refuse_same(const char *output, const char *input, cad_error_t *err);

/* path and suffix joined, malloc'd; NULL when out of memory. */
char *suffixed(const char *path, const char *suffix);

#endif
