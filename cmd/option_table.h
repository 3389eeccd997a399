/* option_table.h - the option table: the options that several commands share, in groups.
 *
 * A group has entries for getopt_long (OPTIONS_*), lines of the usage text (*_USAGE), a struct of values, and a
 * function *_take, which stores the value of one option. *_take returns 0 on success, 1 if the option is not in this
 * group, or -1 after reporting an error. A command lists its groups, then its own options, whose codes are letters or
 * numbers below OPT_FIRST. SPDX-License-Identifier: MIT */
#ifndef CAD_OPTION_TABLE_H
#define CAD_OPTION_TABLE_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "caduceus.h"
#include "io/records.h"
#include "io/shard.h"
#include "io/text.h"
#include "progress.h"
#include "stream/settings.h"

#define OPT_FIRST 900
enum { /* codes of the shared options that have no letter */
       OPT_CONFIG = OPT_FIRST,
       OPT_D_MODEL,
       OPT_N_LAYER,
       OPT_RCPS,
       OPT_LR,
       OPT_WARMUP,
       OPT_DECAY,
       OPT_SEED,
       OPT_FRACTION,
       OPT_RC_AUG,
       OPT_RECOMPUTE,
       OPT_RANK_TIMEOUT,
       OPT_MIXED,
       OPT_FORMAT,
       OPT_LABELS,
       OPT_SEQUENCE,
       OPT_WINDOW,
       OPT_CROP,
       OPT_MASK,
       OPT_FLANK,
       OPT_SOFT,
       OPT_SCORE,
       OPT_NTOKEN,
       OPT_ALIAS,
       OPT_SHARD,
       OPT_INDEX,
       OPT_DRY,
       OPT_PRECISION,
       OPT_ADAPTER,
       OPT_NOVERSION,
       OPT_JSON,
       OPT_QUIET,
       OPT_PROGRESS,
       OPT_VERBOSITY,
       OPT_HELP,
       OPT_END /* greater than all codes */
};
#define OPT_VALUE(name, code)               \
    {                                       \
        name, required_argument, NULL, code \
    }
#define OPT_MAYBE(name, code)               \
    {                                       \
        name, optional_argument, NULL, code \
    }
#define OPT_FLAG(name, code)          \
    {                                 \
        name, no_argument, NULL, code \
    }

/* ---- every command that runs a model ---- */
#define OPTIONS_SHORT "m:d:@:"
#define OPTIONS_LONG                                                                                                 \
    OPT_VALUE("model", 'm'), OPT_VALUE("adapter", OPT_ADAPTER), OPT_VALUE("device", 'd'), OPT_VALUE("threads", '@'), \
        OPT_VALUE("precision", OPT_PRECISION), OPT_FLAG("quiet", OPT_QUIET), OPT_VALUE("verbosity", OPT_VERBOSITY),  \
        OPT_FLAG("help", OPT_HELP)
#define OPTIONS_USAGE                                                                        \
    "  -m, --model PATH       checkpoint: folder, weight file, hf:ORG/NAME[@REV], address\n" \
    "                         on the hub, or bundled [$CADUCEUS_MODEL, else bundled]\n" OPTIONS_USAGE_RUN
#define OPTIONS_USAGE_RUN                                                                \
    "      --adapter DIR      LoRA adapter (peft) to add: folder or hf:ORG/NAME[@REV]\n" \
    "  -@, --threads N        compute threads, 0 means 1 [CPUs this process may use]\n"  \
    "  -d, --device DEV       auto, cpu, cuda, cuda:I, cuda:I,J or cuda:all [auto]\n"    \
    "      --precision P      fp32, bf16x3 or bf16 [CPU: fp32, CUDA: bf16]\n"            \
    "      --quiet            no progress, notes or warnings\n"                          \
    "      --verbosity N      above 3, also print messages of htslib [3]\n"              \
    "  -h, --help             this text\n"
/* for the commands that show progress */
#define OPTIONS_PROGRESS OPT_VALUE("progress", OPT_PROGRESS)
#define PROGRESS_USAGE                                                                  \
    "      --progress HOW     never, tty (a line on the terminal), log (a line every\n" \
    "                         minute) or auto [auto: tty if stderr is a terminal]\n"
typedef struct options_t {
    const char *cmd;
    const char *model, *adapter, *device, *precision; /* NULL: not given */
    int threads;
    bool quiet;
    bool json;     /* print numbers as JSON; only some commands have --json */
    bool counting; /* this run only counts work and prints no warnings, since the run that follows prints them */
    progress_how_t progress;
    int verbosity; /* default 3; above 3, htslib also prints its messages */
} options_t;
void options_init(options_t *o, const char *cmd);
int options_take(options_t *o, int c, const char *arg);

/* ---- -T: a reference ---- */
#define OPTIONS_REFERENCE OPT_VALUE("reference", 'T'), OPT_VALUE("fasta-ref", 'T')

/* ---- bases in masked windows: annotate, embed, track, eval ---- */
#define OPTIONS_WINDOWS                                                                                             \
    OPTIONS_REFERENCE, OPT_VALUE("mask", OPT_MASK), OPT_VALUE("window", OPT_WINDOW), OPT_VALUE("flank", OPT_FLANK), \
        OPT_FLAG("skip-soft-masked", OPT_SOFT), OPT_FLAG("no-version", OPT_NOVERSION), OPT_FLAG("json", OPT_JSON)
int windows_take(settings_t *set, const char *cmd, int c, const char *arg);

/* ---- choice of the input to compute, and of the output: annotate, embed, track, eval ---- */
#define OPTIONS_RUN \
    OPT_VALUE("output", 'o'), OPT_VALUE("region", 'r'), OPT_VALUE("targets-file", 'L'), OPT_FLAG("dry-run", OPT_DRY)
/* More options of this group, which eval does not have: */
#define OPTIONS_SCORING                                                                                      \
    OPT_VALUE("output-fmt", 'O'), OPT_VALUE("regions-file", 'R'), OPT_VALUE("chr-alias", OPT_ALIAS),         \
        OPT_VALUE("score", OPT_SCORE), OPT_FLAG("n-token", OPT_NTOKEN), OPT_MAYBE("write-index", OPT_INDEX), \
        OPT_VALUE("shard", OPT_SHARD)
#define ALIAS_USAGE                                                                     \
    "      --chr-alias FILE   other names of the reference's contigs: one contig per\n" \
    "                         line, names separated by tabs\n"
#define N_TOKEN_USAGE "      --n-token          encode N as the token N, not as PAD\n"
#define SHARD_USAGE "      --shard I/N|slurm  only this share of the work; caduceus merge joins the parts\n"
#define DRY_RUN_JSON_USAGE "      --json             print these numbers as JSON\n"
/* The values of -r, -R, -t and -L, in the order given. how: letter of the option; text: its value. */
typedef struct limits_t {
    struct {
        int how;
        const char *text;
    } limit[64];
    int n;
} limits_t;
typedef struct run_options_t {
    const char *output, *aliases; /* output "-": standard output; aliases NULL: not given */
    const char *format;           /* value of -O; NULL: not given */
    limits_t limits;
    shard_t shard;
    index_t index;    /* INDEX_NONE: not given */
    bool index_usual; /* true: --write-index was given without a type */
    bool dry_run;
} run_options_t;
/* Stores an option of OPTIONS_RUN or OPTIONS_SCORING: in *set if it changes scores, else in *r. */
int run_take(run_options_t *r, settings_t *set, const char *cmd, int c, const char *arg);

/* ---- a new model: pretrain, bench ---- */
#define OPTIONS_NEW_MODEL                                                                                  \
    OPT_VALUE("config", OPT_CONFIG), OPT_VALUE("d-model", OPT_D_MODEL), OPT_VALUE("n-layer", OPT_N_LAYER), \
        OPT_VALUE("rcps", OPT_RCPS)
#define NEW_MODEL_USAGE                                             \
    "      --d-model D        width of the residual stream [256]\n" \
    "      --n-layer N        number of layers [4]\n"               \
    "      --rcps yes|no      Caduceus-PS, else Caduceus-Ph [yes]\n"
typedef struct new_model_t {
    const char *config;       /* path of a config.json; NULL: a small model of the published architecture */
    int64_t d_model, n_layer; /* override the values in config; 0: not given */
    int rcps;                 /* overrides the value in config; -1: not given */
} new_model_t;
int new_model_take(new_model_t *n, const char *cmd, int c, const char *arg);
bool new_model_given(const new_model_t *n);
/* Creates the model, with initial values drawn at random with this seed. Error texts name the path of config. */
int new_model_open(const new_model_t *n, cad_model_t **model, int64_t max_len, uint64_t seed, cad_error_t *err);

/* ---- training: pretrain, finetune ---- */
#define OPTIONS_TRAINING                                                                                         \
    OPT_VALUE("lr", OPT_LR), OPT_VALUE("warmup", OPT_WARMUP), OPT_VALUE("weight-decay", OPT_DECAY),              \
        OPT_VALUE("seed", OPT_SEED), OPT_VALUE("valid-fraction", OPT_FRACTION), OPT_VALUE("rc-aug", OPT_RC_AUG), \
        OPT_FLAG("recompute", OPT_RECOMPUTE)
typedef struct training_t {
    double least_lr; /* lowest value that --lr may have */
    double lr, warmup, decay, fraction;
    int64_t seed;
    int rc_aug; /* value of --rc-aug: 1 yes, 0 no, -1 not given */
    bool recompute;
} training_t;
int training_take(training_t *t, const char *cmd, int c, const char *arg);
/* Returns true if training sequences are to be reverse-complemented at random. This is the value of --rc-aug; if
 * --rc-aug was not given, it is true for Caduceus-Ph and false for Caduceus-PS. */
bool training_reverses(const training_t *t, const cad_model_t *model);

/* ---- training by several processes: pretrain, finetune ---- */
#define OPTIONS_RANKS OPT_VALUE("rank-timeout", OPT_RANK_TIMEOUT), OPT_FLAG("mixed", OPT_MIXED)
#define RANKS_USAGE                                                                               \
    "Several processes (mpirun or srun; the same bytes for any number of them):\n"                \
    "      --rank-timeout S   seconds to wait for another process, beyond three times what its\n" \
    "                         own work takes [300]\n"                                             \
    "      --mixed            allow different instruction sets; bytes are then not the same\n"
typedef struct ranks_options_t {
    int64_t timeout; /* seconds */
    bool mixed;
} ranks_options_t;
int ranks_take(ranks_options_t *o, const char *cmd, int c, const char *arg);

/* ---- labelled sequences: finetune, predict ---- */
#define OPTIONS_LABELS                                                                                           \
    OPTIONS_REFERENCE, OPT_VALUE("in-format", OPT_FORMAT), OPT_VALUE("label-column", OPT_LABELS),                \
        OPT_VALUE("sequence-column", OPT_SEQUENCE), OPT_VALUE("window", OPT_WINDOW), OPT_FLAG("crop", OPT_CROP), \
        OPT_FLAG("no-version", OPT_NOVERSION), OPT_FLAG("json", OPT_JSON)
#define LABELS_USAGE                                                                       \
    "  -T, --reference FASTA  reference of a BED; also --fasta-ref\n"                      \
    "      --in-format FMT    csv, tsv, fasta, fastq or bed [detected]\n"                  \
    "      --label-column LIST  columns of labels: names, or numbers as in a BED\n"        \
    "                         [label; BED: 4]\n"                                           \
    "      --sequence-column NAME  the column of sequences in a table [sequence or seq]\n" \
    "      --window W         longest sequence, in bases [the model's length]\n"           \
    "      --crop             use the middle of longer sequences instead of stopping\n"    \
    "      --no-version       no lines on version and model; column names without #\n"
typedef struct label_options_t {
    const char *reference, *format, *labels, *sequence; /* NULL: not given */
    int64_t window; /* maximum length of a sequence in bases; 0: as long as the model allows */
    int64_t pad;    /* length to which sequences are cut on the right or padded on the left; 0: neither */
    int64_t around; /* bases of the reference on either side of a region to read too; no option */
    bool crop, no_version;
} label_options_t;
int labels_take(label_options_t *o, const char *cmd, int c, const char *arg);

/* ---- parsing ---- */
#define USAGE_TEXTS 2
/* Everything that `caduceus help`, --help, the parser of options and shell completion need to know about a command or
 * an action of a command. */
typedef struct command_t {
    const char *name, *summary;        /* the name of an action includes its command, as "model pull" */
    int (*run)(int argc, char **argv); /* runs the command and returns the exit status; NULL: this is caduceus itself */
    const char *usage; /* usage text; each \f is replaced by the next of `texts`, or by the list of actions */
    void (*texts)(text_t texts[USAGE_TEXTS]); /* NULL: usage has no \f */
    const char *shorts;                       /* option letters in the syntax of getopt, without h */
    const struct option *longs;
    /* list of actions, which replaces \f; ends with NULL; NULL: the command has no actions */
    const struct command_t *const *actions;
} command_t;
/* Returns the last word of the command's name. */
const char *command_word(const command_t *cmd);
/* Returns the command's action of this name, or NULL after reporting an error that suggests the action with the most
 * similar name. */
const command_t *command_find(const command_t *cmd, const char *word);
/* Stores one option of a command. Returns 0, or another value after reporting an error. */
typedef int option_f(void *args, int c, const char *arg);
/* Calls take for each option. Prints the usage if -h or --help is given. Returns 0 to continue, 1 after reporting an
 * error (it is an error if there are no arguments at all), or 2 after printing help. If it returns 0, optind is the
 * index of the first operand. */
int options_parse(const command_t *cmd, int argc, char **argv, option_f *take, void *args);
/* Checks the number of operands. If `what` is not NULL, there must be exactly one operand, and error messages call it
 * `what`, such as "one input". If `what` is NULL, there must be none. Returns 0, or 1 after reporting an error; the
 * error suggests the option that an extra operand may belong to. */
int options_operands(const command_t *cmd, int argc, char **argv, const char *what);
/* Reports that there are no arguments; returns 1. */
int options_bare(const command_t *cmd);
/* Prints the usage; returns 2, or 1 after reporting an error. */
int options_help(const command_t *cmd);
/* Reports the option for which getopt returned c, '?' or ':'. For this, getopt must have been called with a string of
 * letters that begins with a colon. Returns 1. */
int option_unknown(const char *cmd, const struct option *longs, int c, char **argv);

/* ---- values of options: each function returns 0, or 1 after reporting an error ---- */
int option_int(const char *cmd, const char *name, const char *arg, int64_t lo, int64_t hi, int64_t *out);
int option_real(const char *cmd, const char *name, const char *arg, double lo, double hi, double *out);
/* Parses yes or no; *out is 1 or 0. */
int option_yes(const char *cmd, const char *name, const char *arg, int *out);
/* Returns the index of arg in a list of n words, or -1 after reporting an error. */
int option_choice(const char *cmd, const char *name, const char *arg, const char *const word[], int n);
extern const char *const POOL_NAME[CAD_POOL_ATTENTION + 1]; /* words of --pool, by enum cad_pool_t */

#endif
