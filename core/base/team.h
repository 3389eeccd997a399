/* team.h - one pool of threads. SPDX-License-Identifier: MIT */
#ifndef CAD_TEAM_H
#define CAD_TEAM_H

#include "base/base.h"

typedef struct cad_team_t cad_team_t;
int cad_team_open(cad_team_t **team, int threads, cad_error_t *err);
void cad_team_close(cad_team_t *team);
int cad_team_threads(const cad_team_t *team); /* 1 for NULL */
/* Calls fn(arg, task, worker) for every task in [0, ntask), worker in
 * [0, threads); returns when all are done. A NULL team runs them in the caller. */
typedef void cad_task_f(void *arg, int64_t task, int worker);
void cad_team_run(cad_team_t *team, int64_t ntask, cad_task_f *fn, void *arg);

#endif
