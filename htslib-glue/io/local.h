/* local.h - keeps htslib from reading the name of a local file as a URL, as it does if the name begins with data:,
 * mem:, file:, s3: or another scheme.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LOCAL_H
#define CAD_LOCAL_H

#include <stdbool.h>

/* Returns the path by which htslib opens the local file `path`, malloc'd: ./mem:x for mem:x. NULL when out of
 * memory. */
char *local_path(const char *path);
/* True if the path begins with a scheme and ://, such as http:// or s3://, and so cannot mean a local file. */
bool looks_remote(const char *path);

#endif
