/* error.c - reports errors: a code, and a text of one line. SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

int cad_fail(cad_error_t *err, int code, const char *fmt, ...)
{
    va_list ap;
    if (!err) return code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    /* a message must be one line without control characters, but a file name may hold any byte */
    for (char *s = err->text; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127) *s = '?';
    return code;
}

int cad_out_of_memory(cad_error_t *err) { return cad_fail(err, CAD_ENOMEM, "out of memory"); }

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
