/* screen.c - erases lines of the terminal on stderr, and finds its width. SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/screen.h"

bool screen_erases(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

void screen_erase(void)
{
    if (screen_erases()) fputs("\r\033[K", stderr);
}

int screen_width(void)
{
    struct winsize w = { 0 };
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}
