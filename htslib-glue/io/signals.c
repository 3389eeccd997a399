/* signals.c - handles signals, removes temporary files, and controls htslib's messages. The variables in this file
 * are global, because signal handlers belong to the process. SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <htslib/hts.h>
#include <htslib/hts_log.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/signals.h"

/* ---- temporary files ---- */

static char temporary[TEMPORARIES][4096];
static volatile sig_atomic_t in_use[TEMPORARIES];

/* Stores the path in slot i of `temporary`. Returns false if the slot is in use or the path is too long. */
static bool take_slot(int i, const char *path)
{
    if (in_use[i] || strlen(path) >= sizeof temporary[i]) return false;
    strcpy(temporary[i], path);
    in_use[i] = 1;
    return true;
}

int temporary_add(const char *path)
{
    for (int i = 0; i < TEMPORARIES; i++)
        if (take_slot(i, path)) return i;
    return -1;
}

int temporary_folder(const char *path)
{
    for (int i = TEMPORARIES - 1; i >= 0; i--)
        if (take_slot(i, path)) return i;
    return -1;
}

void temporary_forget(int i)
{
    if (i >= 0) in_use[i] = 0;
}

void temporary_remove(void)
{
    for (int i = 0; i < TEMPORARIES; i++)
        if (in_use[i] && unlink(temporary[i])) rmdir(temporary[i]);
}

static char command[32] = "help";

void glue_command(const char *cmd) { snprintf(command, sizeof command, "%s", cmd); }

/* Prints a message without allocating, since there may be no memory left. */
static void say_last(const char *what)
{
    const char *part[] = { "caduceus ", command, ": ", what, "\n" };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) (void)!write(STDERR_FILENO, part[i], strlen(part[i]));
}

void glue_out_of_memory(void)
{
    temporary_remove();
    say_last("out of memory");
    _exit(1);
}

/* Called at exit. If a temporary file is still registered, htslib has ended the process, as it does after some failed
 * allocations; reports that memory ran out. */
static void on_exit_early(void)
{
    bool any = false;
    for (int i = 0; i < TEMPORARIES; i++) any |= in_use[i] != 0;
    temporary_remove();
    if (any) say_last("out of memory in htslib");
}

/* text to print at the first signal while a run ends itself after a signal (signals_soften); else NULL */
static const char *volatile soft;
static volatile sig_atomic_t asked; /* number of the signal that asked the run to end; 0: none */

/* A scheduler may send SIGTERM twice, and a shell may pass on what its child has received too; so a second SIGTERM means
 * something only after this many seconds. */
#define SAME_SECONDS 10
static volatile time_t asked_at;

static time_t seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void on_signal(int sig)
{
    if (soft && !asked && (sig == SIGINT || sig == SIGTERM)) {
        asked = sig;
        asked_at = seconds();
        if (*soft) say_last(soft);
        return;
    }
    if (soft && sig == SIGTERM && asked == SIGTERM && seconds() - asked_at < SAME_SECONDS) return;
    signal(sig, SIG_DFL); /* a second signal ends the process at once */
    temporary_remove();
    /* raises the same signal again, which ends the process when the handler returns, so that the exit status names the
     * signal */
    raise(sig);
}

void signals_soften(const char *text) { soft = text; }

bool signals_asked(void) { return asked != 0; }

void signals_stop(void)
{
    temporary_remove();
    signal(asked, SIG_DFL);
    raise(asked);
}

/* Opens /dev/null for each standard descriptor that is closed, since otherwise the next file that is opened would get
 * its number. stdin is opened for writing, stdout and stderr for reading, so that their normal use fails. */
static void hold_standard_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd ? O_RDONLY : O_WRONLY);
}

static const int FATAL[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGXCPU, SIGALRM, SIGUSR1, SIGUSR2 };

static void mask_fatal(int how, bool pipe)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof FATAL / sizeof *FATAL; i++)
        if (pipe || FATAL[i] != SIGPIPE) sigaddset(&set, FATAL[i]);
    pthread_sigmask(how, &set, NULL);
}

/* number of calls of signals_hold and signals_keep that signals_release has not yet ended; only the writing thread uses
 * it */
static int held;

void signals_hold(void)
{
    if (held++ == 0) mask_fatal(SIG_BLOCK, true);
}

void signals_keep(void)
{
    if (held++ == 0) mask_fatal(SIG_BLOCK, false);
}

void signals_release(void)
{
    if (--held == 0) mask_fatal(SIG_UNBLOCK, true);
}

void glue_init(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, old;
    hold_standard_descriptors();
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof FATAL / sizeof *FATAL; i++) {
        sigaction(FATAL[i], NULL, &old);
        if (old.sa_handler != SIG_IGN || FATAL[i] == SIGPIPE)
            /* installs no handler for a signal that the parent set to be ignored, as nohup does */
            sigaction(FATAL[i], &sa, NULL);
    }
    signal(SIGXFSZ, SIG_IGN); /* so that exceeding the limit of a file's size is a write error */
    (void)atexit(on_exit_early);
    if (!getenv("REF_PATH") || !*getenv("REF_PATH"))
        setenv("REF_PATH", ":", 1); /* htslib downloads no references unless the user sets REF_PATH */
    hts_set_log_level(HTS_LOG_OFF);
}

void glue_verbosity(int level) { hts_set_log_level(level > 3 ? (enum htsLogLevel)level : HTS_LOG_OFF); }

const char *glue_htslib_version(void) { return hts_version(); }
