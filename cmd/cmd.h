/* cmd.h - shared by the commands; options.h has the option table. SPDX-License-Identifier: MIT */
#ifndef CAD_CMD_H
#define CAD_CMD_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "io/foundation.h"
#include "io/ledger.h"
#include "io/provenance.h"
#include "io/records.h"
#include "io/regions.h"
#include "io/signals.h"
#include "io/text.h"
#include "option_table.h"
#include "stream/pipeline.h"

#define TRACK_WINDOW 16384 /* the default window of tracks at most */

/* Each command is a file or a folder; main.c lists them. Each returns the exit status. */
int cmd_annotate(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_embed(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_finetune(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_model(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_pretrain(int argc, char **argv);
int cmd_track(int argc, char **argv);

/* ---- report.c ---- */
/* To be called first in a process: sets up signals, standard descriptors, allocation. */
void cmd_init(void);
/* Prints "caduceus CMD: message" on stderr; returns 1, the exit status. */
int cmd_fail(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints "caduceus CMD: warning: message" on stderr. */
void cmd_warn(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Flushes stdout; returns 0, or 1 after reporting. Every command ends with it. */
int cmd_finish(const char *cmd);

/* ---- options.c: acting on the options of option_table.h ---- */
/* The model that the options or $CADUCEUS_MODEL name, or NULL. */
const char *options_model(const options_t *o);
/* Opens a context with these options for windows of up to max_len tokens. */
int options_open_context(const options_t *o, const cad_model_t *model, int64_t max_len, cad_context_t **ctx,
                         cad_error_t *err);
/* Opens a trainer with this recipe and these options' device, precision and threads. */
int options_open_trainer(const options_t *o, cad_model_t *model, cad_recipe_t *recipe, cad_trainer_t **trainer,
                         cad_error_t *err);
/* Opens that model, else the bundled model: 0, or 1 after reporting. */
int options_open_model(const options_t *o, cad_model_t **model);

/* Saves the model into folder dir; signals are delayed until it is done. */
int options_save_model(const cad_model_t *model, const char *dir, const char *status, cad_error_t *err);

/* Appends " mask=..." for provenance. */
void option_mask_text(int64_t mask, text_t *t);
/* Adds where results come from. contigs: the reference's checksum, or NULL; options: those
 * that change results. Both are borrowed. */
void options_provenance(provenance_t *p, const cad_model_t *model, const cad_context_t *ctx, const char *contigs,
                        const text_t *options);
/* The same without a context; model: its SHA-256. All texts are borrowed. */
void options_provenance_of(provenance_t *p, const char *model, const char *contigs, const text_t *options,
                           const char *precision, const char *device);
/* Names the files of the model, as inputs. */
void options_input_model(const options_t *o, ledger_t *l);
/* --write-index[=FMT]: 0, or 1 after reporting. */
int option_index(const char *cmd, const char *arg, index_t *index);
/* --shard: 0, or 1 after reporting. */
int option_shard(const char *cmd, const char *arg, shard_t *shard);
/* Whether the part at path exists and is whole; says so on stderr. */
bool options_part_done(const options_t *o, const char *path, const provenance_t *p);
/* The number of tokens to compute in one batch. */
int64_t options_batch(const options_t *o);

/* The values of -r, -R, -t and -L in the order given. */
typedef struct limits_t {
    struct {
        int how;
        const char *text;
    } limit[64];
    int n;
} limits_t;
int limits_take(limits_t *l, const char *cmd, int how, const char *text);
/* Opens those given by the options in `hows` as *r; NULL if there are none. */
int limits_open(const limits_t *l, const char *hows, regions_t **r, const names_t *names, cad_error_t *err);

/* Names their files, as inputs. */
void limits_inputs(const limits_t *limits, ledger_t *l);
/* Names the files of the model, the reference, the aliases (NULL: none) and the limits. */
void options_inputs(const options_t *o, const char *reference, const char *aliases, const limits_t *limits,
                    ledger_t *l);
/* True if one of the limits is read from standard input. */
bool limits_stream(const limits_t *l);
/* Mix a text, or all limits, into a digest that tells sharded runs apart. */
uint64_t text_digest(const char *s, uint64_t digest);
uint64_t limits_digest(const limits_t *l, uint64_t digest);

/* ---- progress.c ---- */
typedef struct progress_t {
    double (*share)(const void *arg); /* fraction done, 0 = not known; or NULL */
    const void *share_arg;
    const work_t *work;
    const int64_t *rows;
    const char *what;
    bool on, printed;
    struct timespec start, shown;
} progress_t;
/* Seconds of the monotonic clock. */
double seconds_since(struct timespec t);
/* Prints a line on a terminal, once a second. rows: the number of `what` done. */
void progress_begin(progress_t *p, const options_t *o, const work_t *work, const int64_t *rows, const char *what);
void progress_tick(void *progress);
void progress_end(const progress_t *p);
/* Prints the work that --dry-run counted; runs the model briefly to estimate the time. */
void report_work(const work_t *w, cad_context_t *ctx, const cad_model_t *model, int threads, const char *what,
                 int64_t rows);

#endif
