/* worker.h - runs tasks on a thread, one after the other, in the order in which they are given. Only the thread that
 * opened a worker may call the functions for it. SPDX-License-Identifier: MIT
 */
#ifndef CAD_WORKER_H
#define CAD_WORKER_H

#include <stdbool.h>

#include "caduceus.h"

typedef struct task_t {
    int (*fn)(void *arg, cad_error_t *err); /* the function to run; returns 0 or a negative CAD_E* */
    void *arg;
    struct task_t *next;
    bool done;
    int rc; /* result of fn; err: its error text */
    cad_error_t err;
} task_t;
typedef struct worker_t worker_t;
/* Opens a worker. Its thread blocks all signals, so that they go to the calling thread. */
int worker_open(worker_t **w, cad_error_t *err);
/* Queues a task for the worker and returns at once. The task must stay in memory until worker_wait or worker_close. */
void worker_give(worker_t *w, task_t *task);
/* Waits until the task has run. Returns the task's rc and copies its error text to err. Meanwhile calls idle(arg) a few
 * times a second; idle may be NULL. */
int worker_wait(worker_t *w, task_t *task, void (*idle)(void *arg), void *arg, cad_error_t *err);
/* Waits for the task that is running, drops all later tasks, and frees w. NULL is allowed. */
void worker_close(worker_t *w);

#endif
