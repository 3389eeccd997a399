/* signals.h - the process: its signals, temporary files to remove when one ends it, and
 * htslib's messages. SPDX-License-Identifier: MIT */
#ifndef CAD_SIGNALS_H
#define CAD_SIGNALS_H

/* Once, before anything else: installs the signal handlers, silences htslib and keeps it
 * from fetching references over the network. */
void glue_init(void);
/* The command that messages name from here on (copied). */
void glue_command(const char *cmd);
/* Messages of htslib are shown from level 4 onwards. */
void glue_verbosity(int level);
const char *glue_htslib_version(void);
/* Removes the temporaries, reports that memory is out and ends the process: for libraries
 * that do not survive a failed allocation. */
void glue_out_of_memory(void) __attribute__((noreturn));

#define TEMPORARIES 64

/* Registers a file or an empty folder for removal when a signal ends the process; they are
 * removed in the order of their tickets. Returns a ticket, or -1 when the table is full. */
int temporary_add(const char *path);
void temporary_forget(int ticket); /* -1 is allowed */

/* Between these a fatal signal waits. Calls nest. For the one thread that writes. */
void signals_hold(void);
/* The same except for SIGPIPE, which a write needs. Threads started meanwhile inherit the
 * mask, so that other signals go to this thread. */
void signals_keep(void);
void signals_release(void);

#endif
