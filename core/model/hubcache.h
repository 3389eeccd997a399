/* hubcache.h - finds models in the local cache of the Hugging Face hub; see also caduceus.h.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_HUBCACHE_H
#define CAD_HUBCACHE_H

#include "base/base.h"

/* Finds the snapshot folder of "hf:ORG/NAME[@REV]" in the cache; *dir is malloc'd. */
int cad_hub_find(const char *spec, char **dir, cad_error_t *err);

#endif
