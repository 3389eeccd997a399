/* report.c - sets up the process, and prints messages on stderr.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>

#include "cmd.h"

/* Allocates n bytes, or ends the process if there is no memory. jansson is set to use this function, because jansson
 * 2.14 frees a string twice when an allocation fails. */
static void *must_alloc(size_t n)
{
    void *p = malloc(n);
    if (!p) glue_out_of_memory();
    return p;
}

void cmd_init(void)
{
    glue_init();
    json_set_alloc_funcs(must_alloc, free);
}

static void say(const char *cmd, const char *kind, const char *fmt, va_list ap)
{
    fflush(stdout);
    screen_erase();
    fprintf(stderr, "caduceus %s: %s", cmd, kind);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

int cmd_fail(const char *cmd, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(cmd, "", fmt, ap);
    va_end(ap);
    return 1;
}

void cmd_say(const char *cmd, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(cmd, "", fmt, ap);
    va_end(ap);
}

void cmd_warn(const char *cmd, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(cmd, "warning: ", fmt, ap);
    va_end(ap);
}

int cmd_finish(const char *cmd)
{
    if (fflush(stdout) || ferror(stdout)) return cmd_fail(cmd, "standard output: %s", strerror(errno));
    return 0;
}
