/* worker.c - keeps a queue of tasks, and runs them on a thread. SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "io/foundation.h"
#include "stream/worker.h"

#ifdef HAVE_PTHREAD_CONDATTR_SETCLOCK
#define CLOCK CLOCK_MONOTONIC
#else /* macOS: a condition variable waits by the time of day */
#define CLOCK CLOCK_REALTIME
#endif

struct worker_t {
    pthread_t thread;
    pthread_mutex_t lock; /* protects the members below, and the member `done` of each task */
    pthread_cond_t given, done;
    task_t *first; /* queue of the tasks that have not been started */
    task_t **end;  /* address of the pointer at the end of the queue, to which the next task is linked */
    bool stop;
};

static task_t *next_task(worker_t *w)
{
    task_t *task = NULL;
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->stop) pthread_cond_wait(&w->given, &w->lock);
    if (!w->stop) {
        task = w->first;
        w->first = task->next;
        if (!w->first) w->end = &w->first;
    }
    pthread_mutex_unlock(&w->lock);
    return task;
}

static void *work(void *arg)
{
    worker_t *w = arg;
    task_t *task;
    while ((task = next_task(w))) {
        task->rc = task->fn(task->arg, &task->err);
        pthread_mutex_lock(&w->lock);
        task->done = true;
        pthread_cond_signal(&w->done);
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

static int start(worker_t *w)
{
    sigset_t all, old;
    int rc;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static void release(worker_t *w)
{
    pthread_cond_destroy(&w->done);
    pthread_cond_destroy(&w->given);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

int worker_open(worker_t **out, cad_error_t *err)
{
    worker_t *w = *out = calloc(1, sizeof *w);
    pthread_condattr_t clock;
    if (!w) return cad_out_of_memory(err);
    w->end = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->given, NULL);
    pthread_condattr_init(&clock);
#ifdef HAVE_PTHREAD_CONDATTR_SETCLOCK
    pthread_condattr_setclock(&clock, CLOCK);
#endif
    pthread_cond_init(&w->done, &clock);
    pthread_condattr_destroy(&clock);
    if (start(w) == 0) return 0;
    release(w);
    *out = NULL;
    return cad_fail(err, CAD_ENOMEM, "could not start a thread");
}

void worker_give(worker_t *w, task_t *task)
{
    task->next = NULL;
    task->done = false;
    pthread_mutex_lock(&w->lock);
    *w->end = task;
    w->end = &task->next;
    pthread_cond_signal(&w->given);
    pthread_mutex_unlock(&w->lock);
}

/* Waits at most a third of a second. Called with the lock held. */
static void wait_a_little(worker_t *w)
{
    struct timespec until;
    clock_gettime(CLOCK, &until);
    until.tv_nsec += 333333333;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&w->done, &w->lock, &until);
}

int worker_wait(worker_t *w, task_t *task, void (*idle)(void *arg), void *arg, cad_error_t *err)
{
    pthread_mutex_lock(&w->lock);
    while (!task->done) {
        wait_a_little(w);
        pthread_mutex_unlock(&w->lock);
        if (idle) idle(arg);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    if (task->rc && err) *err = task->err;
    return task->rc;
}

void worker_close(worker_t *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->given);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    release(w);
}
