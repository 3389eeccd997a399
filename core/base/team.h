/* team.h - a team is a pool of threads that run tasks. Only one thread at a time may use a team.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_TEAM_H
#define CAD_TEAM_H

#include "base/base.h"

typedef struct cad_team_t cad_team_t;
/* Opens a team of `threads` threads: starts all but one of them, since the thread that calls cad_team_run also
 * computes. Returns 0 or CAD_ENOMEM. */
int cad_team_open(cad_team_t **team, int threads, cad_error_t *err);
void cad_team_close(cad_team_t *team);        /* NULL is allowed */
int cad_team_threads(const cad_team_t *team); /* the number of threads; 1 if team is NULL */
/* Calls fn(arg, task, worker) for every task in [0, ntask) and returns when all calls are done. worker: index in
 * [0, threads) of the thread that runs the call. With a NULL team the calling thread runs all tasks, in order. */
typedef void cad_task_f(void *arg, int64_t task, int worker);
void cad_team_run(cad_team_t *team, int64_t ntask, cad_task_f *fn, void *arg);

#endif
