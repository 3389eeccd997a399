/* local.c - keeps htslib from reading the name of a local file as a URL.
 *
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "io/local.h"
#include "io/output.h"

/* True if the path begins with a scheme: it has a colon before any slash. */
static bool has_scheme(const char *path) { return path[strcspn(path, ":/")] == ':'; }

char *local_path(const char *path)
{
    /* does not change "-", which htslib opens as standard input */
    return has_scheme(path) ? suffixed("./", path) : strdup(path);
}

bool looks_remote(const char *path) { return has_scheme(path) && !strncmp(path + strcspn(path, ":"), "://", 3); }
