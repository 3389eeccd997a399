/* main.c - lists the commands and runs the one that the user names.
 *
 * SPDX-License-Identifier: MIT
 */
#include "cmd.h"

static int run_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("caduceus %s\nUsing htslib %s\nMIT licence\n", cad_version(), glue_htslib_version());
    return cmd_finish("version");
}

static int run_help(int argc, char **argv);

static const struct option NO_LONGS[] = { { 0 } };
static const command_t HELP = {
    "help",   "this text, or the options of a command: help COMMAND",
    run_help, "Usage: caduceus help [COMMAND [ACTION]]\n\nExample:\n  caduceus help model pull\n",
    NULL,     "",
    NO_LONGS, NULL
};
static const command_t VERSIONS = {
    "version", "versions of caduceus and htslib", run_version, "Usage: caduceus version\n", NULL, "", NO_LONGS, NULL
};
static const command_t *const COMMANDS[] = { &CMD_ANNOTATE,  &CMD_TRACK,  &CMD_EMBED,  &CMD_PRETRAIN, &CMD_FINETUNE,
                                             &CMD_CALIBRATE, &CMD_MUTATE, &CMD_DEPEND, &CMD_PREDICT,  &CMD_PROTOCOL,
                                             &CMD_EVAL,      &CMD_MODEL,  &CMD_BENCH,  &CMD_MERGE,    &CMD_COMPLETION,
                                             &HELP,          &VERSIONS,   NULL };
const command_t CADUCEUS = { "help",
                             "Caduceus DNA language models on genomes",
                             NULL,
                             "Usage: caduceus COMMAND [options]\n\n"
                             "\f\n"
                             "`caduceus help COMMAND` shows a command's options.\n\n"
                             "Examples:\n"
                             "  caduceus annotate -T hg38.fa promoters.bed\n"
                             "  caduceus help annotate\n",
                             NULL,
                             "",
                             NO_LONGS,
                             COMMANDS };

/* Prints the usage of the command or action that the words after "help" name; without words, of caduceus. */
static int run_help(int argc, char **argv)
{
    const command_t *c = &CADUCEUS;
    for (int i = 1; i < argc; i++) {
        if (!c->actions) return cmd_fail("help", "%s: caduceus %s has no actions", argv[i], c->name);
        c = command_find(c, argv[i]);
        if (!c) return 1;
    }
    if (c == &CADUCEUS) printf("caduceus %s - %s\n\n", cad_version(), c->summary);
    return options_help(c) == 1;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    const command_t *c;
    cmd_init();
    if (!name) return cmd_fail("help", "name a command; `caduceus help` lists them");
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) name = "help";
    if (!strcmp(name, "--version")) name = "version";
    c = command_find(&CADUCEUS, name);
    return c ? c->run(argc - 1, argv + 1) : 1;
}
