/* loader.c - finds and loads modules. SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <unistd.h>

#include "base/loader.h"

void cad_module_find(const char *file, char *path, size_t size)
{
    /* in: the end of the path of the folder that contains this code; path: the module's path relative to that folder */
    static const struct {
        const char *in, *path;
    } places[] = { { "", "" },
                   { "/.libs", "/.." },
                   { "/plugin", "/.." },
                   { "/plugin/.libs", "/../.." },
                   { "", "/../lib/caduceus" },
                   { "", "/caduceus" },
                   { "", "/../../lib/caduceus" } };
    Dl_info self;
    char *code = dladdr((const void *)places, &self)
                     ? realpath(strchr(self.dli_fname, '/') ? self.dli_fname : "/proc/self/exe", NULL)
                     : NULL;
    char *slash = code ? strrchr(code, '/') : NULL;
    snprintf(path, size, "%s/%s", PKGLIBDIR, file);
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        char at[4096];
        size_t n = strlen(places[i].in);
        if ((size_t)(slash - code) < n || strncmp(slash - n, places[i].in, n)) continue;
        snprintf(at, sizeof at, "%.*s%s/%s", (int)(slash - code), code, places[i].path, file);
        if (access(at, R_OK)) continue;
        snprintf(path, size, "%s", at);
        break;
    }
    free(code);
    if (access(path, R_OK)) *path = 0;
}

void *cad_module_load(const char *path, const char *symbol, bool everyone, cad_error_t *err)
{
    int how = RTLD_NOW | RTLD_NODELETE | (everyone ? RTLD_GLOBAL : RTLD_LOCAL);
    void *handle = dlopen(path, how), *at = handle ? dlsym(handle, symbol) : NULL;
    const char *text = at ? NULL : dlerror();
    if (!at) cad_fail(err, CAD_EDEVICE, "%s", text ? text : path);
    if (handle) dlclose(handle);
    return at;
}
