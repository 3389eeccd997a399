/* error.c - error texts. SPDX-License-Identifier: MIT */
#include <stdarg.h>

#include "base/base.h"

int cad_fail(cad_error_t *err, int code, const char *fmt, ...)
{
    va_list ap;
    if (!err) return code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    for (char *s = err->text; *s; s++) /* names from files may hold anything; a message is one line */
        if ((unsigned char)*s < ' ' || *s == 127) *s = '?';
    return code;
}

const char *cad_strerror(int code)
{
    switch (code) {
    case 0: return "no error";
    case CAD_ENOMEM: return "out of memory";
    case CAD_EIO: return "input or output error";
    case CAD_EFORMAT: return "malformed file";
    case CAD_EARG: return "unsuitable argument";
    case CAD_EDEVICE: return "device error";
    default: return "unknown error";
    }
}

const char *cad_version(void) { return PACKAGE_VERSION; }
