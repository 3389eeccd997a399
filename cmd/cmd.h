/* cmd.h - declares functions that the commands share. option_table.h has the option table.
 *
 * SPDX-License-Identifier: MIT
 */
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
#include "io/screen.h"
#include "io/signals.h"
#include "io/text.h"
#include "option_table.h"
#include "stream/pipeline.h"

#define TRACK_WINDOW 16384 /* upper limit of the default --window of tracks, in tokens */

/* Each command has a file or a folder of its own, which defines one of the values below. main.c lists them. */
extern const command_t CADUCEUS; /* the list of commands */
extern const command_t CMD_ANNOTATE, CMD_BENCH, CMD_CALIBRATE, CMD_COMPLETION, CMD_DEPEND, CMD_EMBED, CMD_EVAL,
    CMD_FINETUNE, CMD_MERGE, CMD_MODEL, CMD_MUTATE, CMD_PREDICT, CMD_PRETRAIN, CMD_PROTOCOL, CMD_TRACK;

/* ---- report.c ---- */
/* Sets up signals, standard descriptors and allocation. Every process calls this function first. */
void cmd_init(void);
/* Prints "caduceus CMD: message" on stderr; returns 1, the exit status. */
int cmd_fail(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints "caduceus CMD: message" on stderr, for a message that is not an error. */
void cmd_say(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints "caduceus CMD: warning: message" on stderr. */
void cmd_warn(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Flushes stdout. Returns 0, or 1 after reporting an error. Every command calls this function last. */
int cmd_finish(const char *cmd);

/* Prints named numbers on stdout: one line per number, with its name and value, or with json one object that has the
 * numbers as members. */
typedef struct report_t {
    bool json;
    int n; /* count of numbers printed so far */
} report_t;
/* Prints the number `name`, whose value is given as text. */
void report_value(report_t *r, const char *name, const char *value);
void report_count(report_t *r, const char *name, int64_t value);
void report_end(const report_t *r);
/* Prints any JSON value on stdout. Returns 0 or CAD_ENOMEM. */
int report_json(const json_t *json, cad_error_t *err);

/* ---- options.c: functions that act on the options of option_table.h ---- */
/* Returns the model that -m or $CADUCEUS_MODEL names. Returns NULL if neither names a model, or if the named model is
 * the bundled one. */
const char *options_model(const options_t *o);
/* Returns what adapter_config.json names as the base model, malloc'd: the absolute path of the model, or its name on the
 * hub, ORG/NAME[@REV]. NULL when out of memory. */
char *options_base(const options_t *o);
/* Opens a context with these options for windows of up to max_len tokens. */
int options_open_context(const options_t *o, const cad_model_t *model, int64_t max_len, cad_context_t **ctx,
                         cad_error_t *err);
/* Does the same with cad_context_open_last: the caller will not use the model's weights again, so the library may free
 * them. */
int options_open_last(const options_t *o, cad_model_t *model, int64_t max_len, int layer, bool vocab_softmax,
                      cad_context_t **ctx, cad_error_t *err);
/* Opens a trainer with this recipe and with the device, precision and threads that the options give. */
int options_open_trainer(const options_t *o, cad_model_t *model, cad_recipe_t *recipe, cad_trainer_t **trainer,
                         cad_error_t *err);
/* Opens the model that options_model() names, or else the bundled model. Returns 0, or 1 after reporting an error. */
int options_open_model(const options_t *o, cad_model_t **model);
/* Does the same, and leaves the report to the caller. Returns 0 or a code. */
int options_load_model(const options_t *o, cad_model_t **model, cad_error_t *err);

/* Saves the model into folder dir. Signals are delayed until all its files are written. */
int options_save_model(const cad_model_t *model, const char *dir, const cad_save_t *how, cad_error_t *err);

/* Appends " mask=..." to t: the value of --mask in the form that is written to the provenance. */
void option_mask_text(int64_t mask, text_t *t);
/* Adds to the provenance p the keys that say how results were computed. contigs: checksum of the reference, or NULL;
 * options: text of the options that affect results. p borrows both, so they must outlive p. */
void options_provenance(provenance_t *p, const cad_model_t *model, const cad_context_t *ctx, const char *contigs,
                        const text_t *options);
/* Does the same as options_provenance, but takes texts instead of a model and a context. model: SHA-256 of the model's
 * weights. p borrows all texts, so they must outlive p. */
void options_provenance_of(provenance_t *p, const char *model, const char *contigs, const text_t *options,
                           const char *precision, const char *device);
/* Adds the files of the model to the ledger, as inputs. */
void options_input_model(const options_t *o, ledger_t *l);
/* Parses --write-index[=FMT]. Returns 0, or 1 after reporting an error. */
int option_index(const char *cmd, const char *arg, index_t *index);
/* Parses --shard. Returns 0, or 1 after reporting an error. */
int option_shard(const char *cmd, const char *arg, shard_t *shard);
/* Replaces "{shard}" in *path by the shard, such as "3-of-8". If *path has changed, *owned is the new path, which the
 * caller frees; else NULL. Returns 0, or 1 after reporting an error. */
int option_named(const char *cmd, const shard_t *shard, const char **path, char **owned);
/* Returns true if the shard's output at path already exists and is complete, and prints a message about this on
 * stderr. */
bool options_part_done(const options_t *o, const char *path, const provenance_t *p);
/* Returns the number of tokens to compute in one batch. */
int64_t options_batch(const options_t *o);

/* Adds a value of -r, -R, -t or -L. */
int limits_take(limits_t *l, const char *cmd, int how, const char *text);
/* Sets *r to the regions given by those options whose letters are in `hows`, or to NULL if none of these options was
 * given. */
int limits_open(const limits_t *l, const char *hows, regions_t **r, const names_t *names, cad_error_t *err);

/* Adds the files of regions (-R, -L) to the ledger, as inputs. */
void limits_inputs(const limits_t *limits, ledger_t *l);
/* Adds the files of the model, the reference, the aliases (NULL: none) and the limits to the ledger, as inputs. */
void options_inputs(const options_t *o, const char *reference, const char *aliases, const limits_t *limits,
                    ledger_t *l);
/* True if regions are read from standard input. */
bool limits_stream(const limits_t *l);
/* Returns `digest` updated with the text s. Shards whose digests differ do not belong to one run. */
uint64_t text_digest(const char *s, uint64_t digest);
/* Returns `digest` updated with the values of -r, -R, -t and -L. */
uint64_t limits_digest(const limits_t *l, uint64_t digest);

/* ---- progress.c ---- */
/* Prints the work that a dry run has counted. Runs the model briefly to estimate how long the work would take. */
void report_work(report_t *r, const work_t *w, cad_context_t *ctx, const cad_model_t *model, int threads,
                 const char *what, int64_t rows);

#endif
