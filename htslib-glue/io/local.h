/* local.h - names of files are names: htslib would take data:, mem:, file:, s3: and others for schemes.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LOCAL_H
#define CAD_LOCAL_H

#include <stdbool.h>

/* The path as htslib must be given it to open the local file of that name, malloc'd: ./mem:x for mem:x.
 * NULL when out of memory. */
char *local_path(const char *path);
/* True for http://, s3:// and the like, where no such file can be meant. */
bool looks_remote(const char *path);

#endif
