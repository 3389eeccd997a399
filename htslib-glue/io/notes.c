/* notes.c - warnings, and what happens on signals. SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <htslib/hts_log.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <htslib/hts.h>

#include "io/notes.h"
#include "io/temporary.h"

void note(notes_t *n, note_kind_t kind, int64_t times, const char *fmt, ...)
{
    va_list ap;
    bool first = n->count[kind] == 0;
    if (times <= 0) return;
    n->count[kind] += times;
    if (!first || n->quiet) return;
    fflush(stdout);
    fprintf(stderr, "caduceus %s: warning: ", n->cmd);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void notes_summary(const notes_t *n)
{
    static const char *const name[NOTE_KINDS] = { "empty region(s)",
                                                  "region(s) clipped at a contig end",
                                                  "letters other than ACGTN read as N",
                                                  "region(s) or read(s) with nothing to score",
                                                  "track or browser line(s) dropped",
                                                  "remark(s) on the index",
                                                  "read(s) without a sequence",
                                                  "read(s) not aligned",
                                                  "allele(s) or read(s) on contigs that the FASTA lacks",
                                                  "allele(s) whose REF differs from the FASTA",
                                                  "allele(s) that cannot be scored",
                                                  "value(s) of INFO or FORMAT that could not be kept",
                                                  "interval(s) that the baseline was fitted on" };
    const char *sep = "";
    int64_t any = 0;
    for (int i = 0; i < NOTE_KINDS; i++) any += n->count[i];
    if (!any || n->quiet) return;
    fprintf(stderr, "caduceus %s: in all: ", n->cmd);
    for (int i = 0; i < NOTE_KINDS; i++) {
        if (!n->count[i]) continue;
        fprintf(stderr, "%s%lld %s", sep, (long long)n->count[i], name[i]);
        sep = ", ";
    }
    fputc('\n', stderr);
}

/* ---- temporaries, removed when a signal ends the process ---- */

static char temporary[TEMPORARIES][4096];
static volatile sig_atomic_t in_use[TEMPORARIES];

int temporary_add(const char *path)
{
    for (int i = 0; i < TEMPORARIES; i++)
        if (!in_use[i] && strlen(path) < sizeof temporary[i]) {
            strcpy(temporary[i], path);
            in_use[i] = 1;
            return i;
        }
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

/* Without allocating: memory is out. */
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

/* htslib ends the process where an allocation fails that it cannot do without. */
static void on_exit_early(void)
{
    bool any = false;
    for (int i = 0; i < TEMPORARIES; i++) any |= in_use[i] != 0;
    remove_temporaries();
    if (any) say_last("out of memory in htslib");
}

static void on_signal(int sig)
{
    signal(sig, SIG_DFL); /* a second one ends at once */
    remove_temporaries();
    raise(sig); /* delivered when the handler returns, with the right status */
}

/* A closed standard descriptor would be taken by the next file opened. In its
 * place comes one on which the use it is for fails. */
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

static int held; /* one thread's: the one that writes */

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
    struct sigaction sa = { .sa_handler = on_signal }, old;
    hold_standard_descriptors();
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof FATAL / sizeof *FATAL; i++) {
        sigaction(FATAL[i], NULL, &old);
        if (old.sa_handler != SIG_IGN || FATAL[i] == SIGPIPE) sigaction(FATAL[i], &sa, NULL); /* nohup stays */
    }
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is a write error */
    (void)atexit(on_exit_early);
    if (!getenv("REF_PATH") || !*getenv("REF_PATH"))
        setenv("REF_PATH", ":", 1); /* htslib must not fetch references unless told to */
    hts_set_log_level(HTS_LOG_OFF);
}

void glue_verbosity(int level) { hts_set_log_level(level > 3 ? (enum htsLogLevel)level : HTS_LOG_OFF); }

const char *glue_htslib_version(void) { return hts_version(); }
