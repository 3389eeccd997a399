/* progress.h - the progress line of a run, and numbers and times as people read them. SPDX-License-Identifier: MIT */
#ifndef CAD_PROGRESS_H
#define CAD_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* --progress. AUTO: a line on a terminal, otherwise nothing. LOG: a line every minute. */
typedef enum { PROGRESS_AUTO, PROGRESS_NEVER, PROGRESS_TTY, PROGRESS_LOG } progress_how_t;

typedef struct progress_state_t { /* how far a run is */
    double share;                 /* fraction of the work that is done, 0 to 1; 0: not known */
    int64_t items;                /* reads, variants, regions ... done; what counts them is progress_t.what */
    int64_t tokens;               /* tokens computed; 0: not shown */
    char more[64];                /* another part of the line, such as "loss 1.2345"; or "" */
} progress_state_t;

typedef struct progress_t {
    const char *cmd;  /* name of the command */
    const char *what; /* what `items` counts, such as "reads" */
    /* Fills *now, which is zero before. */
    void (*look)(const void *arg, progress_state_t *now);
    const void *arg;
    /* Private: */
    bool line;     /* a line is rewritten on the terminal */
    bool log;      /* lines are printed one below the other */
    bool drawn;    /* the line is on the screen now */
    double before; /* share that was done when the run began, by an earlier run */
    struct timespec start, shown;
} progress_t;

/* Parses the value of --progress. Returns 0, or 1 after reporting an error. */
int option_progress(const char *cmd, const char *arg, progress_how_t *how);
/* Decides whether there is a progress line. output: path of the output; if that is standard output and a terminal,
 * there is none, since it would be mixed with the results. NULL: standard output is not written. */
void progress_open(progress_t *p, const char *cmd, progress_how_t how, bool quiet, const char *output);
/* Shows at once what the command does before it computes, such as "reading the model". */
void progress_phase(progress_t *p, const char *doing);
/* Starts the clock. look and arg may be used until progress_end. */
void progress_begin(progress_t *p, const char *what, void (*look)(const void *, progress_state_t *), const void *arg);
/* Shows the state if the line is a second old, or a minute in a log. progress is a progress_t. */
void progress_tick(void *progress);
/* Removes the line from the screen. Messages do so themselves; call it before writing results to standard output. */
void progress_clear(progress_t *p);
/* Removes the line; if done, prints a closing line instead: what was computed, and in which time. */
void progress_end(progress_t *p, bool done);

/* Writes the line for a terminal of `width` columns to buf (size bytes): the parts that fit in width - 1 columns, the
 * most important first. elapsed: seconds since the start; before: as progress_t.before. Returns buf. */
char *progress_text(const progress_t *p, const progress_state_t *now, double elapsed, int width, char *buf,
                    size_t size);
/* Write n as "2,185"; as "2,185", "34 k", "4.1 M" or "2.3 G"; and seconds as "80 s", "3 min 20 s", "7 h 22 min" or
 * "3 d 4 h". Return buf. */
char *number_text(int64_t n, char buf[32]);
char *short_text(double n, char buf[32]);
char *duration_text(double seconds, char buf[32]);
/* Returns the seconds since time t of the monotonic clock. */
double seconds_since(struct timespec t);

#endif
