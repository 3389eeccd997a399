/* trainlog.h - writes DIR/log.tsv, a table with a line for each step of training.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_TRAINLOG_H
#define CAD_TRAINLOG_H

#include "cmd.h"

/* Opens the log for appending. First rewrites it: the line `header`, then the lines of an existing log up to `step`. */
int trainlog_open(cad_file_t *log, const char *dir, const char *header, int64_t step, cad_error_t *err);
int trainlog_put(cad_file_t *log, const text_t *line, cad_error_t *err);
/* Syncs the log to disk. Must be called before a checkpoint is saved, so that the log covers all steps before it. */
int trainlog_sync(const cad_file_t *log, cad_error_t *err);
/* Returns 0 or CAD_EIO. A zeroed log is allowed. */
int trainlog_close(cad_file_t *log, cad_error_t *err);

#endif
