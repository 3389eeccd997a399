/* team.c - a fork-join pool of threads.
 *
 * One call of cad_team_run is a run; runs do not overlap. Within a run, threads take tasks from a shared counter.
 * Between runs, workers first spin briefly, since the runs of a forward pass follow each other within microseconds;
 * then they sleep. SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/team.h"

#define SPINS 4000

struct cad_team_t {
    int threads, started;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    cad_task_f *fn;
    void *arg;
    int64_t ntask;
    _Atomic int64_t next;
    _Atomic unsigned run; /* number of the current run; workers wait until it changes */
    _Atomic int busy;     /* workers that have not finished the current run */
    _Atomic bool stop;
};

typedef struct {
    cad_team_t *team;
    int worker;
} seat_t;

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_tasks(cad_team_t *team, int worker)
{
    int64_t task;
    while ((task = atomic_fetch_add(&team->next, 1)) < team->ntask) team->fn(team->arg, task, worker);
}

static unsigned wait_for_run(cad_team_t *team, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&team->run) != seen || atomic_load(&team->stop)) break;
        relax();
    }
    if (atomic_load(&team->run) == seen && !atomic_load(&team->stop)) {
        pthread_mutex_lock(&team->lock);
        while (atomic_load(&team->run) == seen && !atomic_load(&team->stop))
            pthread_cond_wait(&team->wake, &team->lock);
        pthread_mutex_unlock(&team->lock);
    }
    return atomic_load(&team->run);
}

static void *work(void *arg)
{
    seat_t seat = *(seat_t *)arg;
    cad_team_t *team = seat.team;
    unsigned seen = 0;
    free(arg);
    for (;;) {
        seen = wait_for_run(team, seen);
        if (atomic_load(&team->stop)) return NULL;
        take_tasks(team, seat.worker);
        if (atomic_fetch_sub(&team->busy, 1) == 1) {
            pthread_mutex_lock(&team->lock);
            pthread_cond_signal(&team->done);
            pthread_mutex_unlock(&team->lock);
        }
    }
}

static int start(cad_team_t *team)
{
    /* workers inherit the signal mask: they block all signals, which then go to the calling thread */
    sigset_t all, old;
    int rc = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int i = 1; i < team->threads && rc == 0; i++) {
        seat_t *seat = malloc(sizeof *seat);
        if (!seat) {
            rc = -1;
            break;
        }
        *seat = (seat_t) { .team = team, .worker = i };
        rc = pthread_create(&team->thread[i], NULL, work, seat);
        if (rc) free(seat);
        else team->started = i;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

int cad_team_open(cad_team_t **out, int threads, cad_error_t *err)
{
    cad_team_t *team = calloc(1, sizeof *team);
    *out = NULL;
    if (!team) return cad_fail(err, CAD_ENOMEM, "out of memory for a team of %d threads", threads);
    team->threads = threads;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->done, NULL);
    team->thread = calloc((size_t)threads, sizeof *team->thread);
    if (!team->thread || start(team)) {
        cad_team_close(team);
        return cad_fail(err, CAD_ENOMEM, "could not start %d threads; ask for fewer", threads);
    }
    *out = team;
    return 0;
}

void cad_team_close(cad_team_t *team)
{
    if (!team) return;
    pthread_mutex_lock(&team->lock);
    atomic_store(&team->stop, true);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    for (int i = 1; i <= team->started; i++) pthread_join(team->thread[i], NULL);
    pthread_cond_destroy(&team->done);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->lock);
    free(team->thread);
    free(team);
}

int cad_team_threads(const cad_team_t *team) { return team ? team->threads : 1; }

void cad_team_run(cad_team_t *team, int64_t ntask, cad_task_f *fn, void *arg)
{
    if (!team || team->started == 0 || ntask <= 1) {
        for (int64_t i = 0; i < ntask; i++) fn(arg, i, 0);
        return;
    }
    team->fn = fn;
    team->arg = arg;
    team->ntask = ntask;
    atomic_store(&team->next, 0);
    atomic_store(&team->busy, team->started);
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->run, 1);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);
    take_tasks(team, 0);
    for (int i = 0; i < SPINS && atomic_load(&team->busy); i++) relax();
    pthread_mutex_lock(&team->lock);
    while (atomic_load(&team->busy)) pthread_cond_wait(&team->done, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
