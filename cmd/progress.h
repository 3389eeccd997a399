/* progress.h - shows the progress of a run, and formats numbers and times in short, readable form.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PROGRESS_H
#define CAD_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Values of --progress. AUTO: shows a line if stderr is a terminal, otherwise nothing. TTY: always shows a line. LOG:
 * prints a new line every minute. */
typedef enum { PROGRESS_AUTO, PROGRESS_NEVER, PROGRESS_TTY, PROGRESS_LOG } progress_how_t;

typedef struct progress_state_t { /* how far a run is */
    double share;                 /* fraction of the work that is done, 0 to 1; 0: not known */
    int64_t items;                /* number of reads, variants, regions ... done; progress_t.what names them */
    int64_t tokens;               /* tokens computed; 0: not shown */
    char more[64];                /* text to add to the progress line, such as "loss 1.2345"; or "" */
} progress_state_t;

typedef struct progress_t {
    const char *cmd;  /* name of the command */
    const char *what; /* what `items` counts, such as "reads" */
    /* Fills *now, which the caller has zeroed, with the current state of the run. */
    void (*look)(const void *arg, progress_state_t *now);
    const void *arg;
    /* Private: */
    bool line;     /* true: one line is rewritten on the terminal */
    bool log;      /* true: lines are printed one below the other */
    bool drawn;    /* true while the line is on the screen */
    double before; /* fraction of the work that an earlier, interrupted run had done */
    struct timespec start, shown;
} progress_t;

/* Parses the value of --progress. Returns 0, or 1 after reporting an error. */
int option_progress(const char *cmd, const char *arg, progress_how_t *how);
/* Decides whether to show a progress line. output: path of the output; NULL: the command writes no results to standard
 * output. If the output is standard output and a terminal, shows no line, since it would be mixed with the results. */
void progress_open(progress_t *p, const char *cmd, progress_how_t how, bool quiet, const char *output);
/* Shows at once what the command does before it computes, such as "reading the model". */
void progress_phase(progress_t *p, const char *doing);
/* Starts the clock. look and arg may be used until progress_end. */
void progress_begin(progress_t *p, const char *what, void (*look)(const void *, progress_state_t *), const void *arg);
/* Updates the line if its last update was a second ago, or a minute ago in a log. progress: a progress_t. */
void progress_tick(void *progress);
/* Removes the line from the screen. Call this before writing results to standard output. (Functions that print messages
 * call it themselves.) */
void progress_clear(progress_t *p);
/* Removes the line. If `done` is true, then prints a last line that says what was computed and how long it took. */
void progress_end(progress_t *p, bool done);

/* Writes the progress line for a terminal of `width` columns to buf (size bytes). Adds the most important information
 * first, as long as it fits in width - 1 columns. elapsed: seconds since the start. Returns buf. */
char *progress_text(const progress_t *p, const progress_state_t *now, double elapsed, int width, char *buf,
                    size_t size);
/* Write a number or a time to buf, and return buf. number_text: "2,185". short_text: "2,185", "34 k", "4.1 M" or "2.3
 * G". duration_text: "80 s", "3 min 20 s", "7 h 22 min" or "3 d 4 h". */
char *number_text(int64_t n, char buf[32]);
char *short_text(double n, char buf[32]);
char *duration_text(double seconds, char buf[32]);
/* Returns the number of seconds since the time t, which was read from the monotonic clock. */
double seconds_since(struct timespec t);

#endif
