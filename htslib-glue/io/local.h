/* local.h - keeps htslib from reading the name of a local file as a URL: data:, mem:, file:, s3: and other schemes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LOCAL_H
#define CAD_LOCAL_H

#include <stdbool.h>

/* Returns the path to give to htslib for the local file of that name, malloc'd: ./mem:x for mem:x. NULL when out of
 * memory. */
char *local_path(const char *path);
/* True for http://, s3:// and the like, which cannot be meant as the name of a local file. */
bool looks_remote(const char *path);

#endif
