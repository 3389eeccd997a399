/* report.c - how a command begins, and what it says on stderr. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>

#include "cmd.h"
#include "glue.h"

/* jansson 2.14 frees a string twice when an allocation fails. */
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

int cmd_fail(const char *cmd, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "caduceus %s: ", cmd);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 1;
}

void cmd_warn(const char *cmd, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "caduceus %s: warning: ", cmd);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int cmd_finish(const char *cmd)
{
    if (fflush(stdout) || ferror(stdout)) return cmd_fail(cmd, "standard output: %s", strerror(errno));
    return 0;
}
