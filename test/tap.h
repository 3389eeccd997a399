/* tap.h - writes test results in TAP, the format that prove reads.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_TAP_H
#define CAD_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int tap_tests, tap_failed;
static const char *tap_only; /* run only the tests of this name; NULL: all */
static bool tap_few;         /* run fewer of the tests that take long, for an emulator */

/* Reads a test's arguments: [NAME [few]]. */
__attribute__((unused)) static void tap_arguments(int argc, char **argv)
{
    tap_only = argc > 1 ? argv[1] : NULL;
    tap_few = argc > 2 && !strcmp(argv[2], "few");
}

__attribute__((unused)) static bool tap_wants(const char *name) { return !tap_only || !strcmp(tap_only, name); }

__attribute__((format(printf, 2, 3), unused)) static bool tap_ok(bool good, const char *fmt, ...)
{
    va_list ap;
    printf("%sok %d - ", good ? "" : "not ", ++tap_tests);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    tap_failed += !good;
    return good;
}

__attribute__((unused)) static void tap_skip(const char *name, const char *why)
{
    printf("ok %d - %s # SKIP %s\n", ++tap_tests, name, why);
}

__attribute__((unused)) static int tap_finish(void)
{
    printf("1..%d\n", tap_tests);
    return tap_failed != 0;
}

/* Returns a pseudo-random number in [0, below). The sequence is the same in each run. */
static inline int64_t tap_draw(int64_t below)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) % (uint64_t)below);
}

#endif
