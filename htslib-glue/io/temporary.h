/* temporary.h - files to remove when a signal ends the process (notes.c).
 * SPDX-License-Identifier: MIT */
#ifndef CAD_TEMPORARY_H
#define CAD_TEMPORARY_H

#define TEMPORARIES 64

/* Registers a path, of a file or an empty folder: a ticket, or -1 when the table is full. */
int temporary_add(const char *path);
void temporary_forget(int ticket);
/* Between these a fatal signal waits. They nest. */
void signals_hold(void);
/* Likewise, but for SIGPIPE, which a write is for: threads that begin meanwhile leave the others to this one. */
void signals_keep(void);
void signals_release(void);

#endif
