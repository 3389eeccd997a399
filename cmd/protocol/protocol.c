/* protocol.c - caduceus protocol: repeats published experiments. This file has the options. SPDX-License-Identifier:
 * MIT */
#include "protocol/protocol.h"

static const char USAGE[] =
    "Usage: caduceus protocol BENCHMARK [options] DATA -o DIR\n"
    "       caduceus protocol variants --label KEY [options] VCF -o DIR\n"
    "       caduceus protocol eqtl -T FASTA [options] VCF|TABLE -o DIR\n\n"
    "Repeats a published experiment from the data in its authors' layout. BENCHMARK is\n"
    "genomic-benchmarks, nucleotide-transformer or gue; DATA is the folder with a folder\n"
    "for each task. Trains every task with every setting and seed, and writes tables.\n"
    "Runs that are finished are kept, so the same command goes on after a stop.\n"
    "variants measures how well llr tells labelled variants apart, without training.\n"
    "eqtl predicts effects on expression from embeddings, by support vector machines.\n\n"
    "Options:\n"
    "  -o, --output DIR       the folder to write: table.tsv, table.md, runs.tsv, and runs/\n"
    "                         with a row for each run\n"
    "  -T, --reference FASTA  reference of tables of intervals, or of variants, which are then\n"
    "                         scored or embedded; also --fasta-ref\n" OPTIONS_USAGE "Benchmarks:\n"
    "      --task LIST        only these tasks [all that DATA has]\n"
    "      --epochs N         passes over the training rows [the paper's]\n"
    "      --seeds N          seeds 1 to N [the paper's]\n"
    "      --lr LIST          learning rates to choose from [the paper's]\n"
    "      --batch LIST       batches to choose from [the paper's]\n"
    "      --as-published     with two quirks of the published numbers; see caduceus-finetune(1)\n"
    "      --from-scratch     use the model's configuration with new random weights\n"
    "      --pool HOW         mean, max or attention over the positions [mean]\n"
    "      --keep             keep the model of each run\n"
    "      --shard I/N|slurm  only every N-th run, from the I-th on, in the same DIR\n"
    "      --dry-run          list the runs, and which are done\n"
    "Variants:\n"
    "      --label KEY[=VALUE]  the INFO key of labels: 0 and 1, a flag, or the VALUE of\n"
    "                         positive variants\n"
    "      --by KEY           also measure the variants of each value of this INFO key\n"
    "      --resamples N      resamples for the intervals of 95 % [1000]\n"
    "      --seed S           seed of the resamples [1]\n"
    "eqtl (names of INFO keys, or of columns of a table):\n"
    "      --label KEY[=VALUE]  labels, as above [label]\n"
    "      --tissue KEY       name of the tissue [tissue]\n"
    "      --distance KEY     bases to the start of transcription [distance_to_nearest_tss]\n"
    "      --split KEY[=VALUE]  rows with this VALUE are tested on [split=test]\n"
    "      --window W         bases in a window [131072 or, if shorter, the model's length]\n"
    "      --rows N           training rows of an SVM [5000]\n"
    "      --svm-c LIST       values of C to choose from [1,5,10]\n"
    "      --seeds N          seeds 1 to N [5]\n"
    "      --as-published     also the published AUROC: of predicted classes, C by the test rows\n"
    "      --keep             keep the decision values of each run\n"
    "      --shard, --dry-run as above; a shard computes only its part of the embeddings\n"
    "\nExamples:\n"
    "  caduceus protocol nucleotide-transformer tasks/ -o results\n"
    "  caduceus protocol variants clinvar.vcf.gz -T hg38.fa --label CLNSIG=Pathogenic -o clinvar\n"
    "  caduceus protocol eqtl eqtl.csv -T hg38.fa --as-published -o eqtl\n"
    "  caduceus protocol gue GUE/ --task EMP/H3,EMP/H4 --seeds 1 --lr 1e-3 --batch 128 -o short\n";

/* ---- options ---- */

enum {
    O_TASK = 1,
    O_EPOCHS,
    O_SEEDS,
    O_BATCH,
    O_PUBLISHED,
    O_SCRATCH,
    O_POOL,
    O_KEEP,
    O_LABEL,
    O_BY,
    O_RESAMPLES,
    O_TISSUE,
    O_DISTANCE,
    O_SPLIT,
    O_ROWS,
    O_COST
};
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_REFERENCE,
                                       OPT_VALUE("output", 'o'),
                                       OPT_VALUE("task", O_TASK),
                                       OPT_VALUE("epochs", O_EPOCHS),
                                       OPT_VALUE("seeds", O_SEEDS),
                                       OPT_VALUE("lr", OPT_LR),
                                       OPT_VALUE("batch", O_BATCH),
                                       OPT_FLAG("as-published", O_PUBLISHED),
                                       OPT_FLAG("from-scratch", O_SCRATCH),
                                       OPT_VALUE("pool", O_POOL),
                                       OPT_FLAG("keep", O_KEEP),
                                       OPT_VALUE("label", O_LABEL),
                                       OPT_VALUE("by", O_BY),
                                       OPT_VALUE("resamples", O_RESAMPLES),
                                       OPT_VALUE("seed", OPT_SEED),
                                       OPT_VALUE("tissue", O_TISSUE),
                                       OPT_VALUE("distance", O_DISTANCE),
                                       OPT_VALUE("split", O_SPLIT),
                                       OPT_VALUE("window", OPT_WINDOW),
                                       OPT_VALUE("rows", O_ROWS),
                                       OPT_VALUE("svm-c", O_COST),
                                       OPT_VALUE("shard", OPT_SHARD),
                                       OPT_FLAG("dry-run", OPT_DRY),
                                       { 0 } };

/* Calls take for each of at most CHOICES numbers that commas separate; then the list ends with 0. */
static int take_list(protocol_args_t *a, const char *option, const char *list,
                     int (*take)(protocol_args_t *a, int i, const char *number))
{
    int i = 0;
    for (const char *s = list; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL, i++) {
        char number[40];
        snprintf(number, sizeof number, "%.*s", (int)strcspn(s, ","), s);
        if (i == CHOICES) return cmd_fail("protocol", "%s %s: at most %d values", option, list, CHOICES);
        if (take(a, i, number)) return 1;
    }
    return 0;
}

static int take_lr(protocol_args_t *a, int i, const char *number)
{
    if (i + 1 < CHOICES) a->lr[i + 1] = 0;
    return option_real("protocol", "--lr", number, 1e-9, 10, &a->lr[i]);
}

static int take_batch(protocol_args_t *a, int i, const char *number)
{
    if (i + 1 < CHOICES) a->batch[i + 1] = 0;
    return option_int("protocol", "--batch", number, 1, 1 << 20, &a->batch[i]);
}

static int take_cost(protocol_args_t *a, int i, const char *number)
{
    if (i + 1 < CHOICES) a->cost[i + 1] = 0;
    return option_real("protocol", "--svm-c", number, 1e-9, 1e9, &a->cost[i]);
}

static int take_pool(protocol_args_t *a, const char *arg)
{
    a->pool = arg;
    return option_choice("protocol", "--pool", arg, POOL_NAME + CAD_POOL_MEAN, CAD_POOL_ATTENTION) < 0;
}

static int take_option(void *args, int c, const char *arg)
{
    protocol_args_t *a = args;
    switch (c) {
    case 'o': a->output = arg; return 0;
    case 'T': a->reference = arg; return 0;
    case O_TASK: a->tasks = arg; return 0;
    case O_EPOCHS: return option_int("protocol", "--epochs", arg, 1, 1 << 20, &a->epochs);
    case O_SEEDS: return option_int("protocol", "--seeds", arg, 1, SEEDS_MOST, &a->seeds);
    case OPT_LR: return take_list(a, "--lr", arg, take_lr);
    case O_BATCH: return take_list(a, "--batch", arg, take_batch);
    case O_PUBLISHED: a->published = true; return 0;
    case O_SCRATCH: a->scratch = true; return 0;
    case O_POOL: return take_pool(a, arg);
    case O_KEEP: a->keep = true; return 0;
    case O_LABEL: a->label = arg; return 0;
    case O_BY: a->by = arg; return 0;
    case O_RESAMPLES: return option_int("protocol", "--resamples", arg, 0, 1 << 24, &a->resamples);
    case O_TISSUE: a->tissue = arg; return 0;
    case O_DISTANCE: a->distance = arg; return 0;
    case O_SPLIT: a->split = arg; return 0;
    case OPT_WINDOW: return option_int("protocol", "--window", arg, 1, 1 << 20, &a->window);
    case O_ROWS: return option_int("protocol", "--rows", arg, 2, 1 << 20, &a->rows);
    case O_COST: return take_list(a, "--svm-c", arg, take_cost);
    case OPT_SEED: return option_int("protocol", "--seed", arg, 0, INT64_MAX, &a->seed);
    case OPT_SHARD: return option_shard("protocol", arg, &a->shard);
    case OPT_DRY: a->dry_run = true; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

/* Takes NAME and DATA. */
static int take_operands(protocol_args_t *a, int argc, char **argv)
{
    int n = argc - optind;
    if (n != 2)
        return cmd_fail("protocol", "expected a name and the data, %d argument%s given; see --help", n,
                        n == 1 ? "" : "s");
    a->name = argv[optind];
    a->data = argv[optind + 1];
    return 0;
}

static const benchmark_t *find_benchmark(const char *name)
{
    for (int i = 0; i < BENCHMARKS; i++)
        if (!strcmp(name, BENCHMARK[i].name)) return &BENCHMARK[i];
    return NULL;
}

/* Sets what the user has not given to what the paper has. */
static void settle(protocol_args_t *a, const benchmark_t *b)
{
    if (!a->epochs) a->epochs = b->epochs;
    if (!a->seeds) a->seeds = b->seeds;
    if (a->lr[0] == 0) memcpy(a->lr, b->lr, sizeof a->lr);
    if (!a->batch[0]) memcpy(a->batch, b->batch, sizeof a->batch);
}

static bool trains(const protocol_args_t *a)
{
    return a->tasks || a->epochs || a->lr[0] > 0 || a->batch[0] || a->scratch || a->pool;
}

static bool of_eqtl(const protocol_args_t *a)
{
    return a->tissue || a->distance || a->split || a->window || a->rows || a->cost[0] > 0;
}

/* Checks that options fit variants. */
static int settle_variants(const protocol_args_t *a)
{
    if (trains(a) || of_eqtl(a) || a->seeds || a->published || a->keep || a->shard.of || a->dry_run)
        return cmd_fail("protocol", "variants: trains nothing, so options of benchmarks and eqtl do not fit");
    if (!a->label || !*a->label || *a->label == '=')
        return cmd_fail("protocol", "variants: name the INFO key of the labels with --label");
    return 0;
}

static int settle_benchmark(protocol_args_t *a, const benchmark_t *b)
{
    if (a->label || a->by) return cmd_fail("protocol", "--label and --by go with variants");
    if (of_eqtl(a))
        return cmd_fail("protocol", "--tissue, --distance, --split, --window, --rows and --svm-c go with eqtl");
    settle(a, b);
    return 0;
}

/* Checks that options fit eqtl, and sets what the user has not given. */
static int settle_eqtl(protocol_args_t *a)
{
    if (trains(a) || a->by)
        return cmd_fail("protocol",
                        "eqtl: --task, --epochs, --lr, --batch, --from-scratch, --pool and --by do not fit");
    if (!a->reference) return cmd_fail("protocol", "eqtl: give the reference with -T");
    if (!a->label) a->label = "label";
    if (!a->tissue) a->tissue = "tissue";
    if (!a->distance) a->distance = "distance_to_nearest_tss";
    if (!a->split) a->split = "split=test";
    if (!a->rows) a->rows = 5000;
    if (!a->seeds) a->seeds = 5;
    if (a->cost[0] == 0) memcpy(a->cost, (double[CHOICES]) { 1, 5, 10 }, sizeof a->cost);
    return 0;
}

/* ---- the whole run ---- */

static int run_protocol(int argc, char **argv)
{
    protocol_args_t a = { .resamples = 1000, .seed = 1 };
    bool variants, eqtl;
    const benchmark_t *b;
    cad_error_t err = { "" };
    int rc;
    options_init(&a.o, "protocol");
    rc = options_parse(&CMD_PROTOCOL, argc, argv, take_option, &a);
    if (rc == 0) rc = take_operands(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    b = find_benchmark(a.name);
    variants = !strcmp(a.name, "variants");
    eqtl = !strcmp(a.name, "eqtl");
    if (!b && !variants && !eqtl)
        return cmd_fail("protocol", "%s: expected genomic-benchmarks, nucleotide-transformer, gue, variants or eqtl",
                        a.name);
    if (!a.output) return cmd_fail("protocol", "name the folder to write with -o");
    if (b ? settle_benchmark(&a, b) : variants ? settle_variants(&a) : settle_eqtl(&a)) return 1;
    rc = b ? protocol_benchmark(&a, b, &err) : variants ? protocol_variants(&a, &err) : protocol_eqtl(&a, &err);
    if (rc && err.text[0]) cmd_fail("protocol", "%s", err.text);
    return rc || cmd_finish("protocol") ? 1 : 0;
}

const command_t CMD_PROTOCOL = { "protocol",   "repeat a published experiment: train every task and fold",
                                 run_protocol, USAGE,
                                 NULL,         OPTIONS_SHORT "T:o:",
                                 LONGS,        NULL };
