/* pretrain_options.c - the usage and the options of pretrain: parses them and checks that they fit together. SPDX-License-Identifier: MIT */
#include "train/given.h"
#include "train/pretrain.h"

const char PRETRAIN_USAGE[] =
    "Usage: caduceus pretrain [options] -T genome.fa -o DIR\n\n"
    "Trains a Caduceus model on a genome. Writes into folder DIR: a checkpoint in the\n"
    "published format, log.tsv, and training.safetensors, from which --resume continues.\n\n"
    "Data:\n"
    "  -T, --reference FASTA  the genome, plain or bgzip; also --fasta-ref\n"
    "  -L, --targets-file BED intervals; column 4 may name the split of each\n"
    "      --train NAME       split to train on, if column 4 names splits [train]\n"
    "      --valid NAME       split to validate on [valid]\n"
    "      --valid-fraction F instead of splits, hold out the last part of each interval\n"
    "      --soft-mask-weight W  weight of the loss at lower-case bases [1]\n"
    "      --rc-aug yes|no    reverse-complement half of the windows [Ph: yes, PS: no]\n"
    "Model (-m continues with a trained model; otherwise a new model is created):\n"
    "  -m, --model PATH       checkpoint: folder, weight file, hf:ORG/NAME[@REV] or bundled\n"
    "      --config FILE      config.json of a new model; the next options change it\n" NEW_MODEL_USAGE
    "  -o, --output DIR       folder for all outputs\n"
    "Recipe:\n"
    "      --seq-len L        bases in a window [1024]\n"
    "      --batch-tokens B   tokens of a batch, in whole windows [1048576]\n"
    "      --accumulate A     batches in a step [1]\n"
    "      --steps N          updates [10000]\n"
    "      --lr X             highest learning rate [0.008]\n"
    "      --lr-end X         final learning rate of the cosine decay [LR/80]\n"
    "      --warmup F         fraction of the steps in which the rate rises [0.1]\n"
    "      --weight-decay X   weight decay of AdamW [0.1]\n"
    "      --clip X           largest norm of the gradient; 0: no limit [1]\n"
    "      --seed S           seed of initial values, order and masks [1]\n"
    "Running:\n"
    "      --valid-every K    steps between validations [200]\n"
    "      --valid-tokens N   tokens in a validation [262144]\n"
    "      --save-every K     steps between checkpoints [200]\n"
    "      --resume           continue from DIR/training.safetensors, if it exists; -o DIR is\n"
    "                         enough, other options are those in DIR/options.txt\n"
    "      --dry-run          count windows, steps and tokens, estimate memory and time\n"
    "      --recompute        use a third of the memory and a third more time\n" PROGRESS_USAGE OPTIONS_USAGE_RUN
        RANKS_USAGE "\nExamples:\n"
    "  caduceus pretrain -T genome.fa --valid-fraction 0.05 -o new --resume\n"
    "  caduceus pretrain -T genome.fa -L corpus.bed -m model -o longer --lr 0.001\n"
    "  mpirun -n 4 caduceus pretrain -T genome.fa -o new --resume\n";

#define MOST_TOKENS ((int64_t)1 << 31) /* maximum number of tokens in a step */

enum {
    O_TRAIN = 1,
    O_VALID,
    O_SOFT,
    O_LEN,
    O_BATCH,
    O_ACCUMULATE,
    O_STEPS,
    O_LR_END,
    O_CLIP,
    O_VALID_EVERY,
    O_VALID_TOKENS,
    O_SAVE,
    O_RESUME,
    O_DRY
};
const struct option PRETRAIN_LONG[] = { OPTIONS_LONG,
                                        OPTIONS_PROGRESS,
                                        OPTIONS_REFERENCE,
                                        OPTIONS_NEW_MODEL,
                                        OPTIONS_TRAINING,
                                        OPTIONS_RANKS,
                                        OPT_VALUE("targets-file", 'L'),
                                        OPT_VALUE("output", 'o'),
                                        OPT_VALUE("train", O_TRAIN),
                                        OPT_VALUE("valid", O_VALID),
                                        OPT_VALUE("soft-mask-weight", O_SOFT),
                                        OPT_VALUE("seq-len", O_LEN),
                                        OPT_VALUE("batch-tokens", O_BATCH),
                                        OPT_VALUE("accumulate", O_ACCUMULATE),
                                        OPT_VALUE("steps", O_STEPS),
                                        OPT_VALUE("lr-end", O_LR_END),
                                        OPT_VALUE("clip", O_CLIP),
                                        OPT_VALUE("valid-every", O_VALID_EVERY),
                                        OPT_VALUE("valid-tokens", O_VALID_TOKENS),
                                        OPT_VALUE("save-every", O_SAVE),
                                        OPT_FLAG("resume", O_RESUME),
                                        OPT_FLAG("dry-run", O_DRY),
                                        { 0 } };

/* Stores an option that only pretrain has. Returns 0 on success, 1 if c is another option, -1 after reporting an
 * error. */
static int take_own(args_t *a, int c, const char *arg)
{
    const char *cmd = "pretrain";
    const int64_t big = (int64_t)1 << 40;
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'L': return -limits_take(&a->limits, cmd, c, arg);
    case 'o': a->dir = arg; return 0;
    case O_TRAIN: a->train = arg; return 0;
    case O_VALID: a->valid = arg; return 0;
    case O_RESUME: a->resume = true; return 0;
    case O_DRY: a->dry_run = true; return 0;
    case O_SOFT: return -option_real(cmd, "--soft-mask-weight", arg, 0, 1000, &a->soft);
    case O_LR_END: return -option_real(cmd, "--lr-end", arg, 0, 10, &a->lr_end);
    case O_CLIP: return -option_real(cmd, "--clip", arg, 0, 1e9, &a->clip);
    case O_LEN: return -option_int(cmd, "--seq-len", arg, 2, 1 << 20, &a->seq_len);
    case O_BATCH: return -option_int(cmd, "--batch-tokens", arg, 1, 1 << 30, &a->batch);
    case O_ACCUMULATE: return -option_int(cmd, "--accumulate", arg, 1, 1 << 20, &a->accumulate);
    case O_STEPS: return -option_int(cmd, "--steps", arg, 1, (int64_t)1 << 31, &a->steps);
    case O_VALID_EVERY: return -option_int(cmd, "--valid-every", arg, 1, big, &a->valid_every);
    case O_VALID_TOKENS: return -option_int(cmd, "--valid-tokens", arg, 1, 1 << 30, &a->valid_tokens);
    case O_SAVE: return -option_int(cmd, "--save-every", arg, 1, big, &a->save_every);
    default: return 1;
    }
}

/* Tells options.txt which values are files. */
static given_kind_t is_file(int c)
{
    return c == 'T' || c == 'L' || c == 'm' || c == OPT_CONFIG || c == OPT_ADAPTER ? GIVEN_INPUT : GIVEN_WORD;
}

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc = take_own(a, c, arg);
    if (c != 'o' && c != O_RESUME && c != O_DRY && c != OPT_QUIET && c != OPT_RANK_TIMEOUT)
        given_add(&a->given, PRETRAIN_LONG, c, arg, is_file(c));
    if (rc == 1) rc = new_model_take(&a->fresh, "pretrain", c, arg);
    if (rc == 1) rc = training_take(&a->t, "pretrain", c, arg);
    if (rc == 1) rc = ranks_take(&a->among, "pretrain", c, arg);
    return rc == 1 ? options_take(&a->o, c, arg) : rc;
}

int64_t pretrain_windows(const args_t *a) { return cad_max(1, a->batch / a->seq_len) * a->accumulate; }

/* Checks that the options fit together. */
static int check(args_t *a)
{
    if (!a->reference) return cmd_fail("pretrain", "give the genome with -T");
    if (!a->dir && !a->dry_run) return cmd_fail("pretrain", "name the folder for the result with -o DIR");
    if (a->o.model && new_model_given(&a->fresh))
        return cmd_fail("pretrain", "-m gives the model; --config, --d-model, --n-layer and --rcps make a new one");
    if (a->t.fraction > 0 && (a->train || a->valid))
        return cmd_fail("pretrain",
                        "--valid-fraction holds out part of every interval; --train and --valid name splits");
    if (pretrain_windows(a) > MOST_TOKENS / a->seq_len)
        return cmd_fail("pretrain", "a step of more than 2^31 tokens; lower --batch-tokens or --accumulate");
    if (a->lr_end < 0) a->lr_end = a->t.lr / 80;
    return 0;
}

static int parse_words(args_t *a, int argc, char **argv)
{
    int rc;
    *a = (args_t) { .t = { .lr = 8e-3, .warmup = 0.1, .decay = 0.1, .seed = 1, .rc_aug = -1 },
                    .fresh = { .rcps = -1 },
                    .among = { .timeout = 300 },
                    .seq_len = 1024,
                    .batch = 1 << 20,
                    .accumulate = 1,
                    .steps = 10000,
                    .valid_every = 200,
                    .valid_tokens = 1 << 18,
                    .save_every = 200,
                    .soft = 1,
                    .lr_end = -1,
                    .clip = 1 };
    options_init(&a->o, "pretrain");
    rc = options_parse(&CMD_PRETRAIN, argc, argv, take_option, a);
    return rc ? rc : options_operands(&CMD_PRETRAIN, argc, argv, NULL);
}

/* Parses the command line again, with the options of DIR/options.txt inserted before the user's own. */
static int recall(args_t *a, int argc, char **argv)
{
    char *text, **word = argv;
    int rc;
    text_free(&a->given);
    if (given_recall("pretrain", a->dir, &text, &argc, &word)) return 1;
    rc = parse_words(a, argc, word);
    free(word);
    a->recalled = text;
    return rc;
}

int pretrain_parse(args_t *a, int argc, char **argv)
{
    int rc = parse_words(a, argc, argv);
    if (rc == 0 && a->resume && a->dir && !a->reference) rc = recall(a, argc, argv);
    return rc ? rc : check(a);
}
