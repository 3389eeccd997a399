/* finetune.c - caduceus finetune: trains a classifier on labelled sequences. This file has the options of the command;
 * tuning_files.c has its inputs and outputs, and tuning.c trains. SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "io/signals.h"
#include "train/bases.h"
#include "train/bin_task.h"
#include "train/given.h"

static const char USAGE[] =
    "Usage: caduceus finetune [options] TRAIN -o DIR\n"
    "       caduceus finetune --task tracks -T FASTA [options] [NAME=]FILE.bw ... -o DIR\n\n"
    "Trains a classifier, from a checkpoint, on labelled sequences: a CSV or TSV with a\n"
    "header (sequence,label), a FASTA with label=X in the descriptions, a BED with\n"
    "labels in column 4, over a reference, or a folder with a table or folder for each\n"
    "class. Writes the best epoch as a checkpoint for caduceus predict, and prints its\n"
    "metrics.\n\n"
    "Input and output:\n"
    "  -o, --output DIR       the folder to write: the checkpoint, and metrics.tsv with a\n"
    "                         row for each epoch\n" LABELS_USAGE
    "      --valid FILE       labelled sequences that choose the best epoch\n"
    "      --valid-fraction X or this fraction of each class of TRAIN; 0: none [0.1]\n"
    "      --test FILE        labelled sequences to measure the best epoch on\n"
    "      --log FILE         a TSV with a row for each update\n"
    "      --json             print the metrics as JSON\n"
    "Training:\n"
    "      --task TASK        classify, multilabel, regress; bases: a class for each base, from\n"
    "                         the intervals of a BED; or tracks: values for each bin of\n"
    "                         bases, an output for each file [classify]\n"
    "      --bin B            tracks: bases of a bin [128]\n"
    "      --loss LOSS        tracks: poisson, or squared [poisson]; classify: focal[:G], with\n"
    "                         less weight for rows that are predicted well [cross-entropy; G: 2]\n"
    "      --missing HOW      tracks: bases without a value are zero, or ignore them [zero]\n"
    "      --split-by contig  bases, tracks: --valid and --test are names of contigs of -T,\n"
    "                         separated by commas [contig]\n"
    "      --ignore-unlabelled  bases: do not train on bases in no interval [they are of\n"
    "                         the class background]\n"
    "      --class-weights W  bases, classify: balanced, or a weight for each class [1 for all]\n"
    "      --sampler HOW      classify: shuffle, or balanced: draw each class as often\n"
    "                         [shuffle]\n"
    "      --epochs N         passes over TRAIN [10]\n"
    "      --batch N          sequences in an update [128]\n"
    "      --lr X             highest learning rate [1e-3]\n"
    "      --warmup X         fraction of the updates in which the rate rises [0.01]\n"
    "      --weight-decay X   weight decay of AdamW [0.1]\n"
    "      --beta2 X          beta2 of AdamW [0.999]\n"
    "      --seed N           seed of all random choices [1]\n"
    "      --metric M         chooses the best epoch: loss, accuracy, mcc, f1, auroc,\n"
    "                         pearson or spearman [mcc; multilabel: auroc; regress:\n"
    "                         pearson]\n"
    "      --patience N       stop after N epochs without a better one; 0: never [0]\n"
    "      --pool HOW         mean or max over the positions, or attention: the mean with\n"
    "                         trained weights [mean]\n"
    "      --rc-aug yes|no    reverse-complement half of the rows [Ph: yes, PS: no]\n"
    "      --augment LIST     change training rows in each epoch: rc (--rc-aug yes), shift:N,\n"
    "                         mutate:P, mlm:P, separated by commas [none]\n"
    "      --pad W            cut sequences on the right, or pad them on the left, to W bases\n"
    "      --as-published     MCC and F1 as means over batches, and the schedule over all\n"
    "                         rows of TRAIN and --test, as the paper's code has it\n"
    "      --freeze           train only the head\n"
    "      --lora R[:ALPHA]   train the head and adapters of rank R, and write these alone\n"
    "                         (peft's layout); their scale is ALPHA/R [ALPHA: R]\n"
    "      --lora-targets L   the projections that get adapters [in_proj,x_proj,out_proj;\n"
    "                         attention and MLPs: qkv_proj,out_proj,fc1,fc2]\n"
    "      --from-scratch     use the model's configuration with new random weights\n"
    "      --recompute        use less memory and more time\n"
    "Other:\n"
    "      --save-every K     also save the training state after each K updates [at the end\n"
    "                         of each epoch]\n"
    "      --resume           continue from DIR/training.safetensors, if it exists; -o DIR is\n"
    "                         enough, all else is in DIR/options.txt\n"
    "      --dry-run          count sequences and updates, estimate memory and time\n" PROGRESS_USAGE OPTIONS_USAGE
        RANKS_USAGE "\nExamples:\n"
    "  caduceus finetune train.csv --test test.csv -o classifier\n"
    "  caduceus finetune -T hg38.fa classes.bed --epochs 3 -o regions\n";

/* ---- options ---- */

enum {
    O_VALID = 1,
    O_TEST,
    O_LOG,
    O_TASK,
    O_EPOCHS,
    O_BATCH,
    O_BETA2,
    O_METRIC,
    O_PATIENCE,
    O_POOL,
    O_PAD,
    O_PUBLISHED,
    O_FREEZE,
    O_LORA,
    O_TARGETS,
    O_SPLIT,
    O_IGNORE,
    O_WEIGHTS,
    O_SAMPLER,
    O_AUGMENT,
    O_BIN,
    O_LOSS,
    O_MISSING,
    O_SCRATCH,
    O_SAVE,
    O_RESUME,
    O_DRY
};
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_LABELS,
                                       OPTIONS_TRAINING,
                                       OPTIONS_RANKS,
                                       OPT_VALUE("output", 'o'),
                                       OPT_VALUE("valid", O_VALID),
                                       OPT_VALUE("test", O_TEST),
                                       OPT_VALUE("log", O_LOG),
                                       OPT_VALUE("task", O_TASK),
                                       OPT_VALUE("epochs", O_EPOCHS),
                                       OPT_VALUE("batch", O_BATCH),
                                       OPT_VALUE("beta2", O_BETA2),
                                       OPT_VALUE("metric", O_METRIC),
                                       OPT_VALUE("patience", O_PATIENCE),
                                       OPT_VALUE("pool", O_POOL),
                                       OPT_VALUE("pad", O_PAD),
                                       OPT_FLAG("as-published", O_PUBLISHED),
                                       OPT_FLAG("freeze", O_FREEZE),
                                       OPT_VALUE("lora", O_LORA),
                                       OPT_VALUE("lora-targets", O_TARGETS),
                                       OPT_VALUE("split-by", O_SPLIT),
                                       OPT_FLAG("ignore-unlabelled", O_IGNORE),
                                       OPT_VALUE("class-weights", O_WEIGHTS),
                                       OPT_VALUE("sampler", O_SAMPLER),
                                       OPT_VALUE("augment", O_AUGMENT),
                                       OPT_VALUE("bin", O_BIN),
                                       OPT_VALUE("loss", O_LOSS),
                                       OPT_VALUE("missing", O_MISSING),
                                       OPT_FLAG("from-scratch", O_SCRATCH),
                                       OPT_VALUE("save-every", O_SAVE),
                                       OPT_FLAG("resume", O_RESUME),
                                       OPT_FLAG("dry-run", O_DRY),
                                       { 0 } };

/* names of tasks; the index of the first three is an enum cad_head_kind_t */
static const char *const TASK_NAME[] = { "classify", "multilabel", "regress", "bases", "tracks" };
enum { TASK_BASES = 3, TASK_TRACKS, TASKS };

const char *task_name(const finetune_args_t *a)
{
    return TASK_NAME[a->tracks ? TASK_TRACKS : a->bases ? TASK_BASES : (int)a->task];
}

/* Parses focal[:G]. */
static int take_focal(finetune_args_t *a, const char *arg)
{
    a->focal = 2;
    return arg[5] ? -option_real("finetune", "--loss focal:G", arg + 6, 0, 100, &a->focal) : 0;
}

static int take_choice(finetune_args_t *a, int c, const char *arg)
{
    static const char *const loss[] = { "poisson", "squared" }, *const missing[] = { "zero", "ignore" },
                             *const sampler[] = { "shuffle", "balanced" };
    int k = c == O_TASK      ? option_choice("finetune", "--task", arg, TASK_NAME, TASKS)
            : c == O_LOSS    ? option_choice("finetune", "--loss", arg, loss, 2)
            : c == O_MISSING ? option_choice("finetune", "--missing", arg, missing, 2)
            : c == O_SAMPLER ? option_choice("finetune", "--sampler", arg, sampler, 2)
            : c == O_METRIC  ? option_choice("finetune", "--metric", arg, METRIC_NAME, METRICS)
                             : option_choice("finetune", "--pool", arg, POOL_NAME + CAD_POOL_MEAN, CAD_POOL_ATTENTION);
    if (k < 0) return 1;
    a->has_loss |= c == O_LOSS || c == O_MISSING;
    if (c == O_LOSS) a->poisson = k == 0;
    else if (c == O_MISSING) a->missing = k == 1;
    else if (c == O_SAMPLER) a->balanced = k == 1;
    else if (c == O_TASK) {
        a->bases = k == TASK_BASES;
        a->tracks = k == TASK_TRACKS;
        a->task = k < TASK_BASES ? (enum cad_head_kind_t)k : CAD_HEAD_CLASSES;
    } else if (c == O_METRIC) a->metric = (metric_t)k;
    else a->pool = (enum cad_pool_t)(CAD_POOL_MEAN + k);
    return 0;
}

/* Reads R[:ALPHA]. */
static int take_lora(finetune_args_t *a, const char *arg)
{
    const char *colon = strchr(arg, ':');
    char *rank = colon ? strndup(arg, (size_t)(colon - arg)) : strdup(arg);
    int rc = rank ? option_int("finetune", "--lora", rank, 1, 256, &a->lora) : 1;
    free(rank);
    if (rc == 0 && colon) rc = option_real("finetune", "--lora R:ALPHA", colon + 1, 1e-6, 1e6, &a->alpha);
    return rc;
}

static int take_augment(finetune_args_t *a, const char *arg)
{
    cad_error_t err;
    return augment_parse(&a->augment, arg, &err) ? cmd_fail("finetune", "%s", err.text) : 0;
}

/* Stores an option that only finetune has. Returns 0 on success, 1 if c is another option, -1 after reporting an
 * error. */
static int take_own(finetune_args_t *a, int c, const char *arg)
{
    const char *cmd = "finetune";
    switch (c) {
    case 'o': a->output = arg; return 0;
    case O_VALID: a->valid = arg; return 0;
    case O_TEST: a->test = arg; return 0;
    case O_LOG: a->log = arg; return 0;
    case O_EPOCHS: return -option_int(cmd, "--epochs", arg, 1, 1 << 20, &a->epochs);
    case O_BATCH: return -option_int(cmd, "--batch", arg, 1, 1 << 20, &a->batch);
    case O_BETA2: return -option_real(cmd, "--beta2", arg, 0, 0.999999, &a->beta2);
    case O_PATIENCE: return -option_int(cmd, "--patience", arg, 0, 1 << 20, &a->patience);
    case O_PAD: return -option_int(cmd, "--pad", arg, 1, 1 << 20, &a->l.pad);
    case O_PUBLISHED: a->published = true; return 0;
    case O_FREEZE: a->freeze = true; return 0;
    case O_SCRATCH: a->scratch = true; return 0;
    case O_LORA: return -take_lora(a, arg);
    case O_TARGETS: a->targets = arg; return 0;
    case O_IGNORE: a->ignore = true; return 0;
    case O_AUGMENT: return -take_augment(a, arg);
    case O_WEIGHTS: a->class_weights = arg; return 0;
    case O_SPLIT:
        a->split = true;
        return strcmp(arg, "contig") ? -cmd_fail("finetune", "--split-by %s: expected contig", arg) : 0;
    case O_DRY: a->dry_run = true; return 0;
    case O_RESUME: a->resume = true; return 0;
    case O_SAVE: return -option_int(cmd, "--save-every", arg, 1, (int64_t)1 << 40, &a->save_every);
    case O_BIN: a->has_loss = true; return -option_int(cmd, "--bin", arg, 1, 65536, &a->bin);
    case O_LOSS:
        if (!strcmp(arg, "focal") || !strncmp(arg, "focal:", 6)) return take_focal(a, arg);
        return take_choice(a, c, arg);
    case O_MISSING:
    case O_SAMPLER:
    case O_TASK:
    case O_METRIC:
    case O_POOL: return -take_choice(a, c, arg);
    default: return 1;
    }
}

/* Stores an option for options.txt. store_files adds --valid and --test later, because it depends on other options whether
 * they name files. */
static void store(finetune_args_t *a, int c, const char *arg)
{
    given_kind_t kind = c == 'T' || c == 'm' || c == OPT_ADAPTER ? GIVEN_INPUT : c == O_LOG ? GIVEN_OUTPUT : GIVEN_WORD;
    if (c == 'o' || c == O_RESUME || c == O_DRY || c == OPT_QUIET || c == OPT_RANK_TIMEOUT || c == O_VALID ||
        c == O_TEST)
        return;
    given_add(&a->given, LONGS, c, arg, kind);
}

static void store_files(finetune_args_t *a)
{
    given_kind_t kind = a->bases || a->tracks ? GIVEN_WORD : GIVEN_INPUT;
    if (a->valid) given_add(&a->given, LONGS, O_VALID, a->valid, kind);
    if (a->test) given_add(&a->given, LONGS, O_TEST, a->test, kind);
    for (int64_t k = 0; k < a->nlabel; k++)
        given_operand(&a->given, a->label[k], a->tracks ? bins_file(a->label[k]) : a->label[k]);
}

static int take_option(void *args, int c, const char *arg)
{
    finetune_args_t *a = args;
    int rc = take_own(a, c, arg);
    store(a, c, arg);
    if (rc == 1) rc = labels_take(&a->l, "finetune", c, arg);
    if (rc == 1) rc = training_take(&a->t, "finetune", c, arg);
    if (rc == 1) rc = ranks_take(&a->among, "finetune", c, arg);
    return rc == 1 ? options_take(&a->o, c, arg) : rc;
}

/* Returns the number of inputs that are standard input. */
static int streams(const finetune_args_t *a)
{
    const char *in[] = { a->train, a->valid, a->test };
    int n = 0;
    for (int i = 0; i < 3; i++) n += in[i] && !strcmp(in[i], "-");
    return n;
}

static int settle_bases(const finetune_args_t *a)
{
    bool classes = !a->tracks && a->task == CAD_HEAD_CLASSES;
    if (!a->bases && (a->ignore || (a->split && !a->tracks)))
        return cmd_fail("finetune", "--split-by and --ignore-unlabelled go with --task bases");
    if (!classes && a->class_weights)
        return cmd_fail("finetune", "--class-weights goes with --task bases and classify");
    if ((!classes || a->bases) && a->focal >= 0) return cmd_fail("finetune", "--loss focal goes with --task classify");
    if ((!classes || a->bases) && a->balanced) return cmd_fail("finetune", "--sampler goes with --task classify");
    if (!a->tracks && a->has_loss) return cmd_fail("finetune", "--bin, --loss and --missing go with --task tracks");
    if (!a->bases && !a->tracks) return 0;
    if (!a->l.reference) return cmd_fail("finetune", "--task %s: give the reference with -T", task_name(a));
    if (a->pool != CAD_POOL_MEAN) return cmd_fail("finetune", "--pool does not go with --task %s", task_name(a));
    if (a->l.crop || a->l.labels || a->l.sequence || a->l.format)
        return cmd_fail("finetune",
                        "--crop, --label-column, --sequence-column and --in-format do not go with --task %s",
                        task_name(a));
    if (a->tracks && a->l.window % a->bin)
        return cmd_fail("finetune", "--window %lld: expected a multiple of --bin %lld", (long long)a->l.window,
                        (long long)a->bin);
    return 0;
}

static int settle_published(finetune_args_t *a)
{
    if (a->published && (a->bases || a->tracks || a->task != CAD_HEAD_CLASSES))
        return cmd_fail("finetune", "--as-published goes with --task classify");
    if (!a->l.pad) return 0;
    if (a->bases || a->tracks) return cmd_fail("finetune", "--pad does not go with --task %s", task_name(a));
    if (a->l.crop || a->l.window) return cmd_fail("finetune", "--pad takes the place of --window and --crop");
    a->l.window = a->l.pad;
    return 0;
}

static int settle_augment(finetune_args_t *a)
{
    if (a->augment.rc && a->t.rc_aug == 0) return cmd_fail("finetune", "--augment rc contradicts --rc-aug no");
    if (a->augment.rc) a->t.rc_aug = 1;
    if (a->augment.shift && (a->bases || a->tracks))
        return cmd_fail("finetune", "--augment shift does not go with --task %s: the labels would not move along",
                        task_name(a));
    a->l.around = a->augment.shift;
    return 0;
}

/* Checks that the options fit together, and sets the defaults that depend on other options. */
static int settle(finetune_args_t *a)
{
    static const metric_t usual[] = { METRIC_MCC, METRIC_AUROC, METRIC_PEARSON, METRIC_PEARSON };
    cad_head_t head;
    if (a->tracks) a->task = a->poisson ? CAD_HEAD_COUNTS : CAD_HEAD_VALUES;
    head = (cad_head_t) { .kind = a->task };
    if (settle_bases(a) || settle_published(a) || settle_augment(a)) return 1;
    if (streams(a) > 1) return cmd_fail("finetune", "several inputs are standard input");
    if (!a->output && !a->dry_run) return cmd_fail("finetune", "name the folder to write with -o");
    if (a->metric == METRICS) a->metric = usual[a->task];
    if (!metric_fits(&head, a->metric))
        return cmd_fail("finetune", "--metric %s does not fit --task %s", METRIC_NAME[a->metric], task_name(a));
    if (a->targets && !a->lora) return cmd_fail("finetune", "--lora-targets needs --lora");
    if (a->lora && (a->freeze || a->scratch))
        return cmd_fail("finetune", "--lora does not go with --%s", a->freeze ? "freeze" : "from-scratch");
    if (a->patience && !a->valid && a->t.fraction == 0)
        return cmd_fail("finetune", "--patience needs --valid or --valid-fraction");
    return 0;
}

static int parse_words(finetune_args_t *a, int argc, char **argv)
{
    int rc;
    *a = (finetune_args_t) {
        .t = { .least_lr = 1e-9, .lr = 1e-3, .warmup = 0.01, .decay = 0.1, .fraction = 0.1, .seed = 1, .rc_aug = -1 },
        .among = { .timeout = 300 },
        .epochs = 10,
        .batch = 128,
        .beta2 = 0.999,
        .metric = METRICS,
        .bin = 128,
        .poisson = true,
        .focal = -1,
        .pool = CAD_POOL_MEAN
    };
    options_init(&a->o, "finetune");
    rc = options_parse(&CMD_FINETUNE, argc, argv, take_option, a);
    a->nlabel = argc - optind;
    a->label = argv + optind;
    return rc;
}

/* Parses the command line again, with the options of DIR/options.txt inserted before the user's own. */
static int recall(finetune_args_t *a, int argc, char **argv)
{
    char *text, **word = argv;
    int rc;
    text_free(&a->given);
    if (given_recall("finetune", a->output, &text, &argc, &word)) return 1;
    rc = parse_words(a, argc, word);
    a->recalled = text;
    a->words = word;
    return rc;
}

static int check_operands(const finetune_args_t *a, int argc, char **argv)
{
    if (a->tracks && a->nlabel > BINVALUES_MOST)
        return cmd_fail("finetune", "%lld files: at most %d", (long long)a->nlabel, BINVALUES_MOST);
    if (a->tracks && a->nlabel > 1) return 0;
    return options_operands(&CMD_FINETUNE, argc, argv,
                            a->tracks ? "bigWigs or bedGraphs" : "one file of labelled sequences");
}

/* Returns 0 to continue, 1 after an error, 2 after printing help. */
static int parse_args(finetune_args_t *a, int argc, char **argv)
{
    int rc = parse_words(a, argc, argv);
    if (rc == 0 && a->resume && a->output && a->nlabel == 0) {
        rc = recall(a, argc, argv);
        argv = a->label - optind;
        argc = optind + (int)a->nlabel;
    }
    if (rc == 0) rc = check_operands(a, argc, argv);
    if (rc) return rc;
    a->train = a->label[0];
    store_files(a);
    return settle(a);
}

/* ---- the whole run ---- */

/* Ends the process if a signal asked for it. */
static void end_by_signal(const tuning_t *r)
{
    const char *dir = r->a->output;
    if (!r->stopped) return;
    if (!r->a->o.quiet && r->best_epoch)
        cmd_say("finetune",
                "stopped at update %lld of %lld; %s holds the model of epoch %lld; go on with --resume -o %s",
                (long long)r->step, (long long)r->steps, dir, (long long)r->best_epoch, dir);
    else if (!r->a->o.quiet)
        cmd_say("finetune", "stopped at update %lld of %lld, within the first epoch; go on with --resume -o %s",
                (long long)r->step, (long long)r->steps, dir);
    if (r->made) (void)!rmdir(dir); /* fails, as intended, if the folder is not empty */
    if (signals_asked()) signals_stop();
}

static void free_args(finetune_args_t *a)
{
    text_free(&a->given);
    free(a->recalled);
    free(a->words);
}

/* Runs this rank. Ranks other than the first are quiet, and leave the folder alone. */
static int run(tuning_t *r, finetune_args_t *a, cad_error_t *err)
{
    int rc = 0;
    if (r->tuned) r->ranks = (ranks_t) { .cmd = "finetune", .ranks = 1 };
    else rc = ranks_open(&r->ranks, "finetune", a->among.timeout, err);
    if (rc) return rc;
    a->o.quiet |= !ranks_first(&r->ranks);
    a->o.device = ranks_device(&r->ranks, a->o.device);
    r->notes = (notes_t) { .cmd = "finetune", .quiet = a->o.quiet };
    rc = ranks_enough(&r->ranks, a->batch, "sequences", err);
    if (rc) return rc;
    if (r->ranks.ranks > 1 && streams(a))
        return cad_fail(err, CAD_EARG, "only one of several processes could read standard input; give a file");
    if (a->dry_run && !ranks_first(&r->ranks)) return 0;
    rc = a->dry_run || !ranks_first(&r->ranks) ? 0 : tuning_folder(r, err);
    if (rc == 0) rc = tuning_inputs(r, a, err);
    return rc ? rc : tuning_run(r, err);
}

int finetune_call(int argc, char **argv, tuned_t *out)
{
    finetune_args_t a;
    tuning_t r = { .a = &a, .claim = -1, .ticket = -1, .tuned = out };
    cad_error_t err = { "" };
    int rc = parse_args(&a, argc, argv);
    if (rc) free_args(&a);
    if (rc) return rc == 2 ? 0 : 1;
    cad_head_init(&r.head);
    r.head.kind = a.task;
    r.head.pool = a.pool;
    rc = run(&r, &a, &err);
    progress_end(&r.progress, rc == 0 && !r.stopped && !a.dry_run);
    temporary_forget(r.ticket);
    if (rc && r.made) (void)!rmdir(a.output); /* fails, as intended, if the folder is not empty */
    if (rc == 0 && !a.o.quiet && !a.dry_run) ranks_tell(&r.ranks);
    ranks_close(&r.ranks, rc, &err);
    if (rc == 0) end_by_signal(&r);
    if (rc && err.text[0]) cmd_fail("finetune", "%s", err.text);
    if (r.claim >= 0) close(r.claim);
    if (rc == 0) notes_summary(&r.notes);
    tuning_close(&r);
    free_args(&a);
    return rc || cmd_finish("finetune") ? 1 : 0;
}

static int run_finetune(int argc, char **argv) { return finetune_call(argc, argv, NULL); }

const command_t CMD_FINETUNE = { "finetune",   "train a classifier of sequences or regions on your labels",
                                 run_finetune, USAGE,
                                 NULL,         OPTIONS_SHORT "T:o:",
                                 LONGS,        NULL };
