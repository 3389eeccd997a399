/* main.c - lists the commands and runs the one that the user names.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd.h"

static const struct {
    const char *name;
    int (*run)(int, char **);
    const char *summary;
} COMMANDS[] = {
    { "annotate", cmd_annotate, "score regions, sequences, reads or variants; the output has the input's format" },
    { "track", cmd_track, "score every base of contigs or regions, as bigWig or bedGraph tracks" },
    { "embed", cmd_embed, "write embeddings of sequences, regions or variants as a matrix" },
    { "pretrain", cmd_pretrain, "train a model on a genome" },
    { "finetune", cmd_finetune, "train a classifier of sequences or regions on your labels" },
    { "predict", cmd_predict, "predict classes, labels or values of sequences or regions, after finetune" },
    { "eval", cmd_eval, "measure how well a model predicts held-out sequence, against Markov models" },
    { "model", cmd_model, "show, verify, convert, download or list checkpoints" },
    { "bench", cmd_bench, "measure speed, memory and error of a model on this machine" },
    { "merge", cmd_merge, "join the parts that --shard wrote" },
};
#define NCOMMAND (sizeof COMMANDS / sizeof *COMMANDS)

static void usage(FILE *f)
{
    fprintf(f, "caduceus %s - Caduceus DNA language models on genomes\n\nUsage: caduceus COMMAND [options]\n\n",
            cad_version());
    for (size_t i = 0; i < NCOMMAND; i++) fprintf(f, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
    fprintf(f, "  %-10s %s\n  %-10s %s\n\n`caduceus COMMAND --help` shows a command's options.\n", "help", "this text",
            "version", "versions of caduceus and htslib");
}

static int version(void)
{
    printf("caduceus %s\nUsing htslib %s\nMIT licence\n", cad_version(), glue_htslib_version());
    return cmd_finish("version");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    cmd_init();
    if (!name) {
        usage(stderr);
        return 1;
    }
    if (!strcmp(name, "help") && argc > 2) { /* "help CMD" is the same as "CMD --help" */
        char *help[] = { argv[2], (char *)"--help", NULL };
        for (size_t i = 0; i < NCOMMAND; i++)
            if (!strcmp(help[0], COMMANDS[i].name)) return COMMANDS[i].run(2, help);
        return cmd_fail(help[0], "no such command; `caduceus help` lists them");
    }
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
        usage(stdout);
        return cmd_finish("help");
    }
    if (!strcmp(name, "version") || !strcmp(name, "--version")) return version();
    for (size_t i = 0; i < NCOMMAND; i++)
        if (!strcmp(name, COMMANDS[i].name)) return COMMANDS[i].run(argc - 1, argv + 1);
    return cmd_fail(name, "no such command; `caduceus help` lists them");
}
