/* loader.h - finds and loads the modules of this package: shared objects that are needed only if a device or a launcher is
 * there. SPDX-License-Identifier: MIT
 */
#ifndef CAD_LOADER_H
#define CAD_LOADER_H

#include "base/base.h"

/* Writes the path of the module `file` to path, or "" if none is found. Searches the folder of the file (command or
 * library) that contains this code, the build tree around that folder, the installation prefix around that folder, and
 * PKGLIBDIR. Folders further up are not searched, since they may belong to other users. */
void cad_module_find(const char *file, char *path, size_t size);

/* Loads a shared object and returns the address of a symbol; NULL with a text in err. It stays loaded, since unloading a
 * GPU driver may fail. everyone: its libraries' symbols are also for what those libraries load themselves. */
void *cad_module_load(const char *path, const char *symbol, bool everyone, cad_error_t *err);

#endif
