/* screen.h - the terminal on stderr, on whose last line progress may be shown. SPDX-License-Identifier: MIT */
#ifndef CAD_SCREEN_H
#define CAD_SCREEN_H

#include <stdbool.h>

/* Returns true if stderr is a terminal that can erase a line. */
bool screen_erases(void);
/* Erases the line that the cursor is on, if stderr is such a terminal. Call it before a message is printed, so that
 * the message is not mixed with a progress line. */
void screen_erase(void);
/* Returns the number of columns of the terminal on stderr; 80 if it is not known. */
int screen_width(void);

#endif
