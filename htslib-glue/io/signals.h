/* signals.h - handles signals, removes temporary files when a signal ends the process, and controls htslib's messages.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SIGNALS_H
#define CAD_SIGNALS_H

#include <stdbool.h>

/* Installs the signal handlers, silences htslib and keeps htslib from downloading references. Call this once, before
 * anything else. */
void glue_init(void);
/* Sets the command's name that messages begin with (copied). */
void glue_command(const char *cmd);
/* Shows messages of htslib if level is 4 or more. */
void glue_verbosity(int level);
const char *glue_htslib_version(void);
/* Removes the temporary files, reports that there is no memory left, and ends the process. For libraries that cannot
 * continue after a failed allocation. */
void glue_out_of_memory(void) __attribute__((noreturn));

#define TEMPORARIES 64

/* Registers a file or an empty folder for removal when a signal ends the process. Files are removed in the
 * order of their tickets. Returns a ticket, or -1 when the table is full. */
int temporary_add(const char *path);
/* Registers, in the same way, a folder that this process made. The folder is removed if it is empty, after all
 * registered files and after folders that are registered later. */
int temporary_folder(const char *path);
void temporary_forget(int ticket); /* -1 is allowed */
/* Removes all that is registered, before an end of the process at which neither handlers nor atexit run. */
void temporary_remove(void);

/* Delays fatal signals until signals_release. Calls may be nested. Only the thread that writes may call it. */
void signals_hold(void);
/* With a text, the first SIGINT or SIGTERM from now on does not end the process: it prints the text, and
 * signals_asked() becomes true, so that a run can save its state and call signals_stop(). A second signal ends the
 * process at once, except SIGTERM within ten seconds of SIGTERM, which schedulers may send twice. NULL: signals end the process at once again. text is borrowed. */
void signals_soften(const char *text);
bool signals_asked(void);
/* Ends the process by the signal that asked it to. */
void signals_stop(void);
/* Does the same as signals_hold, but does not delay SIGPIPE, which must end a write to a closed pipe. Threads that are
 * started before signals_release inherit the signal mask, so fatal signals go to the calling thread. */
void signals_keep(void);
void signals_release(void);

#endif
