/* peaks.c - computes the costs of a model's operations, and measures the peak rates of this machine.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <time.h>

#include "base/team.h"
#include "model/model.h"
#include "measure/measure.h"
#include "measure/probe.h"

/* ---- costs ---- */

void cad_costs(const cad_model_t *m, cad_cost_t cost[CAD_NOP])
{
    double n = (double)m->cfg.n_layer;
    memset(cost, 0, CAD_NOP * sizeof *cost);
    for (int i = 0; i < m->cfg.n_layer; i++) {
        const cad_block_t *b = cad_layer_block(m, i);
        cad_cost_t own[CAD_KIND_OPS] = { 0 }, *sum = cost + cad_op_first(m, m->layer[i].kind);
        double rows = 1 / (double)cad_config_stride(&m->cfg, i); /* rows of the layer for each token */
        b->costs(&m->cfg, m->layer[i].ndir, m->layer[i].merged, own);
        for (int k = 0; k < b->nop; k++) {
            sum[k].flop += own[k].flop * rows;
            sum[k].updates += own[k].updates * rows;
            sum[k].exps += own[k].exps * rows;
        }
    }
    for (int k = 0; k < CAD_NOP; k++)
        cost[k] = (cad_cost_t) { .flop = cost[k].flop / n, .updates = cost[k].updates / n, .exps = cost[k].exps / n };
}

double cad_traffic(const cad_model_t *m)
{
    double sum = 0;
    for (int i = 0; i < m->cfg.n_layer; i++)
        sum += cad_layer_block(m, i)->traffic(&m->cfg, m->layer[i].ndir, m->layer[i].merged) /
               (double)cad_config_stride(&m->cfg, i);
    return sum / (double)m->cfg.n_layer;
}

double cad_floor(const cad_cost_t *cost, const cad_peaks_t *p)
{
    return cost->flop / p->flop + cost->updates / p->updates + cost->exps / p->exps;
}

/* ---- peaks ---- */

#define SHORT 4e-3 /* approximate CPU seconds of one measurement */
#define RUNS 3
#define MB ((size_t)1 << 20)

typedef float work_f(int64_t n, float seed);
typedef struct { /* data of one thread */
    double rate;
    float kept;      /* a result of the work, stored so that the compiler cannot remove the work */
    char *from, *to; // (block) source and destination of a copy of `block` bytes
    size_t block;    /* bytes; larger than the cache per thread of most processors */
} worker_t;
typedef struct {
    worker_t *worker;
    work_f *work;
    int64_t n;
} job_t; /* runs n operations of `work`; if work is NULL, copies memory, and n counts the bytes */

/* Returns the CPU seconds that this thread has used; time used by other processes does not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void work_task(void *arg, int64_t task, int thread)
{
    job_t *j = arg;
    worker_t *w = &j->worker[task];
    double start = now();
    (void)thread;
    if (j->work) w->kept = j->work(j->n, 0.01f);
    else {
        memcpy(w->to, w->from, w->block);
        w->kept = w->to[w->block / 2]; /* NOLINT(bugprone-integer-division): an index */
    }
    w->rate = (double)j->n / (now() - start);
}

/* Measures the work RUNS times. If the rate of the fastest run (the mean over its threads) is higher than *rate, raises
 * *rate to it. */
static void measure(cad_team_t *team, worker_t *worker, work_f *work, int64_t n, double *rate)
{
    int threads = cad_team_threads(team);
    job_t j = { worker, work, n };
    for (int i = 0; i < RUNS; i++) {
        double sum = 0;
        cad_team_run(team, threads, work_task, &j);
        for (int t = 0; t < threads; t++) sum += worker[t].rate;
        *rate = fmax(*rate, sum / threads);
    }
}

/* Returns a number of operations that takes about SHORT seconds. */
static int64_t amount(work_f *work)
{
    int64_t n = 1 << 16;
    volatile float kept;
    for (;;) {
        double start = now();
        kept = work(n, 0.01f);
        if (now() - start > SHORT || n > (int64_t)1 << 40) break;
        n *= 2;
    }
    (void)kept;
    return n;
}

/* Writes to the memory of one thread from that thread, so that NUMA systems place the memory near the thread. */
static void touch_task(void *arg, int64_t task, int thread)
{
    worker_t *w = (worker_t *)arg + task;
    (void)thread;
    memset(w->from, 1, w->block);
    memset(w->to, 2, w->block);
}

static int open_workers(worker_t **worker, cad_team_t *team, cad_error_t *err)
{
    int threads = cad_team_threads(team);
    size_t block = (size_t)cad_min(cad_max(256 / threads, 4), 32) * MB;
    *worker = calloc((size_t)threads, sizeof **worker);
    if (!*worker) return cad_out_of_memory(err);
    for (int i = 0; i < threads; i++) {
        worker_t *w = &(*worker)[i];
        w->block = block;
        w->from = cad_alloc(block, 1);
        w->to = cad_alloc(block, 1);
        if (!w->from || !w->to) return cad_out_of_memory(err);
    }
    cad_team_run(team, threads, touch_task, *worker);
    return 0;
}

static void close_workers(worker_t *worker, int threads)
{
    for (int i = 0; worker && i < threads; i++) {
        free(worker[i].from);
        free(worker[i].to);
    }
    free(worker);
}

int cad_peaks_measure(cad_peaks_t *p, int threads, const char *precision, cad_error_t *err)
{
    const cad_probe_t *probe;
    cad_team_t *team = NULL;
    worker_t *worker = NULL;
    int number = cad_precision_number(precision), rc = cad_cpu_probe(&probe, number, err);
    if (rc == 0 && threads > 1) rc = cad_team_open(&team, threads, err);
    if (rc == 0) rc = open_workers(&worker, team, err);
    if (rc == 0) {
        work_f *flop = probe->flop[number], *updates = probe->updates[number];
        measure(team, worker, flop, amount(flop), &p->flop);
        measure(team, worker, updates, amount(updates), &p->updates);
        measure(team, worker, probe->exps, amount(probe->exps), &p->exps);
        measure(team, worker, NULL, 2 * (int64_t)worker->block, &p->bytes); /* 2: a copy reads and writes each byte */
    }
    close_workers(worker, threads);
    cad_team_close(team);
    return rc;
}
