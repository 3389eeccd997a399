/* signals.h - signals of the process, temporary files that are removed when a signal ends it, and htslib's messages.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SIGNALS_H
#define CAD_SIGNALS_H

#include <stdbool.h>

/* Call this once, before anything else: it installs the signal handlers, silences htslib and keeps it from
 * downloading references. */
void glue_init(void);
/* Sets the command's name that messages begin with (copied). */
void glue_command(const char *cmd);
/* Shows messages of htslib if level is 4 or more. */
void glue_verbosity(int level);
const char *glue_htslib_version(void);
/* Removes the temporary files, reports that memory is out and ends the process. For libraries that do not survive
 * a failed allocation. */
void glue_out_of_memory(void) __attribute__((noreturn));

#define TEMPORARIES 64

/* Registers a file or an empty folder for removal when a signal ends the process. Removal is in the order of the
 * tickets. Returns a ticket, or -1 when the table is full. */
int temporary_add(const char *path);
void temporary_forget(int ticket); /* -1 is allowed */

/* Makes fatal signals wait until signals_release. Calls may be nested. Only for the thread that writes. */
void signals_hold(void);
/* With a text, the first SIGINT or SIGTERM from now on does not end the process: it prints the text, and
 * signals_asked() becomes true, so that a run can save its state and call signals_stop(). A second signal ends the
 * process at once. NULL: as before the call. text is borrowed. */
void signals_soften(const char *text);
bool signals_asked(void);
/* Ends the process by the signal that asked it to. */
void signals_stop(void);
/* Does the same as signals_hold, but SIGPIPE does not wait, since a write needs it. Threads that are started before
 * signals_release inherit the signal mask, so the other fatal signals go to this thread. */
void signals_keep(void);
void signals_release(void);

#endif
