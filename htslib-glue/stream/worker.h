/* worker.h - a thread that runs tasks one after the other, in the order in which they
 * are given. All functions are for the one thread that opened it.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_WORKER_H
#define CAD_WORKER_H

#include <stdbool.h>

#include "caduceus.h"

typedef struct task_t {
    int (*fn)(void *arg, cad_error_t *err); /* 0 or CAD_E* */
    void *arg;
    struct task_t *next;
    bool done;
    int rc; /* of fn, and its error text */
    cad_error_t err;
} task_t;
typedef struct worker_t worker_t;
/* The thread blocks all signals, so that they reach the caller's thread. */
int worker_open(worker_t **w, cad_error_t *err);
/* Returns at once. The task must stay in place until worker_wait or worker_close. */
void worker_give(worker_t *w, task_t *task);
/* Waits until the task has run: its rc, with its text in err. */
int worker_wait(worker_t *w, task_t *task, cad_error_t *err);
/* Waits for the task that is running and leaves those after it; NULL is allowed. */
void worker_close(worker_t *w);

#endif
