/* cmd.h - what the commands share. SPDX-License-Identifier: MIT */
#ifndef CAD_CMD_H
#define CAD_CMD_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/file.h"
#include "io/ledger.h"
#include "io/provenance.h"
#include "io/records.h"
#include "io/regions.h"
#include "io/signals.h"
#include "io/text.h"
#include "stream/pipeline.h"

#define TRACK_WINDOW 16384 /* the longest window of tracks by default */

/* One file, one command; main.c lists them. Each returns the exit status. */
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
/* Before anything else in a process: signals, closed descriptors, allocation. */
void cmd_init(void);
/* "caduceus CMD: message" on stderr; returns 1, the exit status. */
int cmd_fail(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, as "warning: ...". */
void cmd_warn(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Flushes stdout: 0, or 1 with a message. Every command ends with it. */
int cmd_finish(const char *cmd);

/* ---- options.c: options that mean the same in every command ---- */
typedef struct options_t {
    const char *cmd;
    const char *model, *device, *precision; /* NULL: not given */
    int threads;
    bool quiet;
    bool counting; /* a run before the one that speaks */
    int verbosity; /* 3 = default; more lets htslib speak */
} options_t;

void options_init(options_t *o, const char *cmd);
#define OPTIONS_SHORT "m:d:@:"
#define OPTIONS_LONG                                                                                 \
    { "model", required_argument, NULL, 'm' }, { "device", required_argument, NULL, 'd' },           \
        { "threads", required_argument, NULL, '@' }, { "precision", required_argument, NULL, 1001 }, \
        { "quiet", no_argument, NULL, 1002 }, { "verbosity", required_argument, NULL, 1003 },        \
    {                                                                                                \
        "help", no_argument, NULL, 1004                                                              \
    }
#define OPTIONS_USAGE                                                                       \
    "  -m, --model PATH       checkpoint: folder, .safetensors file or hf:ORG/NAME[@REV]\n" \
    "                         [$CADUCEUS_MODEL, else the bundled small model]\n" OPTIONS_USAGE_RUN
#define OPTIONS_USAGE_RUN                                                               \
    "  -@, --threads N        compute threads, 0 means 1 [CPUs this process may use]\n" \
    "  -d, --device DEV       auto, cpu, cuda or cuda:I [auto]\n"                       \
    "      --precision P      fp32 or bf16 [CPU: fp32, CUDA: bf16]\n"                   \
    "      --quiet            no progress and no warnings, but the bundled model's\n"   \
    "      --verbosity N      above 3, messages of htslib too [3]\n"                    \
    "      --help             this text\n"
/* Handles a shared option: 0 = done, 1 = not one of them, -1 = error, reported. */
int options_take(options_t *o, int c, const char *arg);
/* An integer option's value: 0, or 1 after reporting. */
int option_int(const char *cmd, const char *name, const char *arg, int64_t lo, int64_t hi, int64_t *out);
/* The same of a number. */
int option_real(const char *cmd, const char *name, const char *arg, double lo, double hi, double *out);
/* yes or no, as 1 or 0. */
int option_yes(const char *cmd, const char *name, const char *arg, int *out);
/* Reports the option that getopt did not know: 1. */
int option_unknown(const char *cmd, char **argv);
/* The model that the options or $CADUCEUS_MODEL name, or NULL. */
const char *options_model(const options_t *o);
/* A context of these options for windows of up to max_len tokens. */
int options_open_context(const options_t *o, const cad_model_t *model, int64_t max_len, cad_context_t **ctx,
                         cad_error_t *err);
/* A trainer of this recipe with these options' device, precision and threads. */
int options_open_trainer(const options_t *o, cad_model_t *model, cad_recipe_t *recipe, cad_trainer_t **trainer,
                         cad_error_t *err);
/* Opens that model, else the bundled model: 0, or 1 after reporting. */
int options_open_model(const options_t *o, cad_model_t **model);

/* A new model: of the config.json at path (NULL: a small published one), with other values
 * where they are given, not 0 or -1. */
int option_new_model(cad_model_t **model, const char *path, int64_t d_model, int64_t n_layer, int rcps, int64_t max_len,
                     uint64_t seed, cad_error_t *err);

/* Saves it into folder dir; a signal comes before or after. */
int options_save_model(const cad_model_t *model, const char *dir, const char *status, cad_error_t *err);

/* "each", "stride:K" or "none": 0, or 1 after reporting; and " mask=..." for provenance. */
int option_mask(const char *cmd, const char *arg, int64_t *mask);
void option_mask_text(int64_t mask, text_t *t);
/* Where results come from; contigs: the reference's checksum, or NULL; options: those
 * that change results. Both are borrowed. */
void options_provenance(provenance_t *p, const cad_model_t *model, const cad_context_t *ctx, const char *contigs,
                        const text_t *options);
/* The same without a context; model: its SHA-256. All is borrowed. */
void options_provenance_of(provenance_t *p, const char *model, const char *contigs, const text_t *options,
                           const char *precision, const char *device);
/* Names the files of the model, as inputs. */
void options_input_model(const options_t *o, ledger_t *l);
/* --write-index[=FMT]: 0, or 1 after reporting. */
int option_index(const char *cmd, const char *arg, index_t *index);
/* --shard: 0, or 1 after reporting. */
int option_shard(const char *cmd, const char *arg, shard_t *shard);
/* The part is there and whole; says so. */
bool options_part_done(const options_t *o, const char *path, const provenance_t *p);
/* Tokens computed at once. */
int64_t options_batch(const options_t *o);

/* -r, -R, -t, -L as given. */
typedef struct limits_t {
    struct {
        int how;
        const char *text;
    } limit[64];
    int n;
} limits_t;
int limits_take(limits_t *l, const char *cmd, int how, const char *text);
/* Those given by the options in `hows` as *r, which stays NULL if there are none. */
int limits_open(const limits_t *l, const char *hows, regions_t **r, const names_t *names, cad_error_t *err);

/* Names their files, as inputs. */
void limits_inputs(const limits_t *limits, ledger_t *l);
/* Names the files of the model, the reference, the aliases (NULL: none) and the limits. */
void options_inputs(const options_t *o, const char *reference, const char *aliases, const limits_t *limits,
                    ledger_t *l);
/* One of them is standard input. */
bool limits_stream(const limits_t *l);
/* Into a digest that tells sharded runs apart. */
uint64_t text_digest(const char *s, uint64_t digest);
uint64_t limits_digest(const limits_t *l, uint64_t digest);

/* ---- trainlog.c: a table with a line for each step of training, DIR/log.tsv ---- */
/* Opens it at its end, made or with its lines up to step, under this first line. */
int trainlog_open(cad_file_t *log, const char *dir, const char *header, int64_t step, cad_error_t *err);
int trainlog_put(cad_file_t *log, const text_t *line, cad_error_t *err);
/* On the disk, before a checkpoint that goes on from there is. */
int trainlog_sync(const cad_file_t *log, cad_error_t *err);
/* 0 or CAD_EIO; a zeroed one is allowed. */
int trainlog_close(cad_file_t *log, cad_error_t *err);

/* ---- progress.c ---- */
typedef struct progress_t {
    double (*share)(const void *arg); /* done so far, 0 = not known; or NULL */
    const void *share_arg;
    const work_t *work;
    const int64_t *rows;
    const char *what;
    bool on, printed;
    struct timespec start, shown;
} progress_t;
/* Of the monotonic clock. */
double seconds_since(struct timespec t);
/* A line on a terminal, once a second. rows: how many `what` are done. */
void progress_begin(progress_t *p, const options_t *o, const work_t *work, const int64_t *rows, const char *what);
void progress_tick(void *progress);
void progress_end(const progress_t *p);
/* What --dry-run prints first; runs the model shortly to estimate the time. */
void report_work(const work_t *w, cad_context_t *ctx, const cad_model_t *model, int threads, const char *what,
                 int64_t rows);

#endif
