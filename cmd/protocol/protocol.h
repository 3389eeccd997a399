/* protocol.h - declarations shared by the files of caduceus protocol. SPDX-License-Identifier: MIT */
#ifndef CAD_PROTOCOL_H
#define CAD_PROTOCOL_H

#include "cmd.h"
#include "learn/labelled.h"
#include "learn/metrics.h"

typedef struct bench_task_t {
    const char *name; /* path of its folder within the data */
    int64_t length;   /* bases to which sequences are cut or padded */
    metric_t metric;
} bench_task_t;

#define SEEDS_MOST 1000
#define CHOICES 8 /* maximum number of learning rates, and of batches */
/* The settings that the paper prescribes for all tasks of a benchmark. */
typedef struct benchmark_t {
    const char *name;
    const bench_task_t *task; // (tasks)
    int tasks;
    const char
        *suffix[8]; /* DATA/TASK/train and test have one of these suffixes: files, or folders (""); ends with NULL */
    bool dev;       /* DATA/TASK/dev chooses the epoch; otherwise a tenth of train does */
    int64_t epochs, seeds;
    double lr[CHOICES]; /* each with each batch; ends with 0 */
    int64_t batch[CHOICES];
} benchmark_t;
extern const benchmark_t BENCHMARK[];
extern const int BENCHMARKS;

typedef struct protocol_args_t {
    options_t o;
    const char *name, *data, *output, *reference;
    shard_t shard;
    /* benchmarks: 0 or NULL is what the paper has */
    const char *tasks, *pool;
    int64_t epochs, seeds;
    double lr[CHOICES];
    int64_t batch[CHOICES];
    bool published, keep, scratch, dry_run;
    /* variants; label and seeds also eqtl: */
    const char *label, *by;
    int64_t resamples, seed;
    /* eqtl: 0 or NULL is the default */
    const char *tissue, *distance, *split;
    int64_t window, rows;
    double cost[CHOICES]; /* the SVM's C; ends with 0 */
} protocol_args_t;

/* One training: a task with one setting and one seed. */
typedef struct fold_t {
    const bench_task_t *task;
    double lr;
    int64_t batch, seed;
    char *id;    /* name of its files in DIR/runs */
    bool done;   /* its row is in DIR/runs */
    bool chosen; /* its task was asked for, and has data */
    int64_t epoch, tested;
    double valid, test[METRICS];
} fold_t;
typedef struct folds_t {
    const protocol_args_t *a;
    const benchmark_t *b;
    fold_t *fold; // (n) ordered by task, learning rate, batch, seed
    int64_t n;
    int64_t each;  /* folds of a setting: the seeds */
    char *runs;    /* the folder DIR/runs */
    text_t recipe; /* what must be equal in all rows of the folder */
    text_t table;  /* DIR/runs.tsv, while it is written */
} folds_t;

/* ---- folds.c ---- */
/* Trains what is left of a benchmark, or of this shard of it, and writes the tables. */
int protocol_benchmark(const protocol_args_t *a, const benchmark_t *b, cad_error_t *err);

/* ---- rows.c: DIR/runs/ID.tsv, a file for each fold ---- */
/* Reads the row of a fold, if it is there, and sets done. Returns CAD_EARG if it is of another recipe. */
int fold_read(const folds_t *s, fold_t *f, cad_error_t *err);
/* Writes the row of a fold. provenance: lines that begin with ##. */
int fold_write(const folds_t *s, const fold_t *f, const text_t *provenance, cad_error_t *err);

/* ---- result_tables.c: DIR/runs.tsv, table.tsv, table.md ---- */
int folds_tables(folds_t *s, cad_error_t *err);

/* ---- variants.c ---- */
/* Scores the VCF a->data, if there is a reference, and measures its labels. */
int protocol_variants(const protocol_args_t *a, cad_error_t *err);

/* ---- eqtl.c ---- */
/* Computes what is left of the features of a->data, or of this shard's part of them; once all are there, trains and
 * measures the SVMs and writes the tables. */
int protocol_eqtl(const protocol_args_t *a, cad_error_t *err);

/* ---- spread.c ---- */
typedef struct spread_t {
    double mean, half; /* half: half the range */
    double deviation;  /* standard deviation of a sample; NaN for one value */
    double least, most;
} spread_t;
/* Summarises n values; all is NaN if one of them is. */
spread_t spread_of(const double *value, int64_t n);

/* ---- words.c ---- */
#define WORDS 48
typedef struct words_t {
    char *word[WORDS + 1]; /* (n) malloc'd; then NULL */
    int n;
    bool failed; /* words are missing: there are too many, or memory is short */
} words_t;
void words_add(words_t *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds an option and its value; nothing if value is NULL. */
void words_pair(words_t *w, const char *option, const char *value);
/* Adds the options that say which model runs, and how. */
void words_model(words_t *w, const options_t *o);
/* Runs a command with these words. Returns 0 or a code; if the command has reported its error, without a text. */
int words_run(words_t *w, const command_t *cmd, cad_error_t *err);
void words_free(words_t *w);

/* ---- files.c ---- */
/* Writes a text to DIR/NAME. */
int protocol_file(const char *dir, const char *name, const text_t *t, cad_error_t *err);
/* Removes the files in a folder, and the folder. */
int protocol_remove(const char *dir, cad_error_t *err);

#endif
