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
#include <unistd.h>

#include "io/signals.h"

/* ---- temporary files ---- */

static char temporary[TEMPORARIES][4096];
static volatile sig_atomic_t in_use[TEMPORARIES];

/* Takes slot i for the path; false if it is in use or the path is too long. */
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

static void remove_temporaries(void)
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
    remove_temporaries();
    say_last("out of memory");
    _exit(1);
}

/* Called at exit. A temporary file that is still registered means that htslib has ended the process, as it does after
 * some failed allocations. Then reports that memory is out. */
static void on_exit_early(void)
{
    bool any = false;
    for (int i = 0; i < TEMPORARIES; i++) any |= in_use[i] != 0;
    remove_temporaries();
    if (any) say_last("out of memory in htslib");
}

static const char *volatile soft;   /* printed at the first signal while a run may end by itself; else NULL */
static volatile sig_atomic_t asked; /* the signal that asks the run to end; 0: none */

static void on_signal(int sig)
{
    if (soft && !asked && (sig == SIGINT || sig == SIGTERM)) {
        asked = sig;
        if (*soft) say_last(soft);
        return;
    }
    signal(sig, SIG_DFL); /* a second signal ends the process at once */
    remove_temporaries();
    raise(sig); /* raises the same signal, delivered when the handler returns, so that the exit status is right */
}

void signals_soften(const char *text) { soft = text; }

bool signals_asked(void) { return asked != 0; }

void signals_stop(void)
{
    remove_temporaries();
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

/* number of calls of signals_hold and signals_keep without signals_release yet; used only by the writing thread */
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
            sigaction(FATAL[i], &sa, NULL); /* a signal that is ignored (nohup) stays ignored */
    }
    signal(SIGXFSZ, SIG_IGN); /* exceeding a file size limit becomes a write error */
    (void)atexit(on_exit_early);
    if (!getenv("REF_PATH") || !*getenv("REF_PATH"))
        setenv("REF_PATH", ":", 1); /* htslib downloads no references unless the user sets REF_PATH */
    hts_set_log_level(HTS_LOG_OFF);
}

void glue_verbosity(int level) { hts_set_log_level(level > 3 ? (enum htsLogLevel)level : HTS_LOG_OFF); }

const char *glue_htslib_version(void) { return hts_version(); }
