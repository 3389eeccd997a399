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
    char line[3 * 4096]; /* one write, so that lines of several processes do not mix */
    int n = snprintf(line, sizeof line - 1, "caduceus %s: %s", cmd, kind);
    n = (int)cad_min(n + vsnprintf(line + n, sizeof line - 1 - (size_t)n, fmt, ap), (int)sizeof line - 2);
    line[n] = '\n';
    fflush(stdout);
    screen_erase();
    fwrite(line, 1, (size_t)n + 1, stderr);
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

void report_value(report_t *r, const char *name, const char *value)
{
    if (r->json) printf("%s\n  \"%s\": %s", r->n++ ? "," : "{", name, value);
    else printf("%s\t%s\n", name, value);
}

void report_count(report_t *r, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    report_value(r, name, text);
}

void report_end(const report_t *r)
{
    if (r->json) puts("\n}");
}

int report_json(const json_t *json, cad_error_t *err)
{
    text_t t = { 0 };
    provenance_layout(json, &t);
    if (!t.failed) fputs(t.s.s, stdout);
    text_free(&t);
    return t.failed ? cad_out_of_memory(err) : 0;
}

int cmd_finish(const char *cmd)
{
    if (fflush(stdout) || ferror(stdout)) return cmd_fail(cmd, "standard output: %s", strerror(errno));
    return 0;
}
