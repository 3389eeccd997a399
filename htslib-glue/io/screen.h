/* screen.h - erases lines of the terminal on stderr, whose last line may show progress, and finds its width.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_SCREEN_H
#define CAD_SCREEN_H

#include <stdbool.h>

/* Returns true if stderr is a terminal that can erase a line. */
bool screen_erases(void);
/* If stderr is a terminal that can erase a line, erases the line of the cursor. Call this before printing a message, so
 * that the message is not mixed with a progress line. */
void screen_erase(void);
/* Returns the number of columns of the terminal on stderr, or 80 if that is not known. */
int screen_width(void);

#endif
