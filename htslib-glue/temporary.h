/* temporary.h - files to remove when a signal ends the process (notes.c).
 * SPDX-License-Identifier: MIT */
#ifndef CAD_TEMPORARY_H
#define CAD_TEMPORARY_H

#define TEMPORARIES 64

/* Registers a path: a ticket, or -1 when the table is full. */
int temporary_add(const char *path);
void temporary_forget(int ticket);
/* Between these a fatal signal waits. They nest. */
void signals_hold(void);
void signals_release(void);

#endif
