/* trainlog.h - DIR/log.tsv, a table with a line for each step of training.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_TRAINLOG_H
#define CAD_TRAINLOG_H

#include "cmd.h"

/* Opens the log for appending, after rewriting it as the line `header` and those lines of an
 * existing log that go up to step. */
int trainlog_open(cad_file_t *log, const char *dir, const char *header, int64_t step, cad_error_t *err);
int trainlog_put(cad_file_t *log, const text_t *line, cad_error_t *err);
/* Syncs the log to disk; to be called before the checkpoint that continues from it is. */
int trainlog_sync(const cad_file_t *log, cad_error_t *err);
/* 0 or CAD_EIO; a zeroed log is allowed. */
int trainlog_close(cad_file_t *log, cad_error_t *err);

#endif
