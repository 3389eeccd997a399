/* team.h - a pool of threads. One thread at a time may use it. SPDX-License-Identifier: MIT */
#ifndef CAD_TEAM_H
#define CAD_TEAM_H

#include "base/base.h"

typedef struct cad_team_t cad_team_t;
/* Starts threads - 1 threads; the caller of cad_team_run is the other one. 0 or CAD_ENOMEM. */
int cad_team_open(cad_team_t **team, int threads, cad_error_t *err);
void cad_team_close(cad_team_t *team);        /* NULL is allowed */
int cad_team_threads(const cad_team_t *team); /* 1 if team is NULL */
/* Calls fn(arg, task, worker) for every task in [0, ntask), with worker in [0, threads), and
 * returns when all are done. With a NULL team the caller runs them in order. */
typedef void cad_task_f(void *arg, int64_t task, int worker);
void cad_team_run(cad_team_t *team, int64_t ntask, cad_task_f *fn, void *arg);

#endif
