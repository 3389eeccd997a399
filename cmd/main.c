/* main.c - the list of commands. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>

#include "cmd.h"
#include "glue.h"

static const struct { const char *name; int (*run)(int, char **); const char *summary; } COMMANDS[] = {
    { "annotate", cmd_annotate, "score or embed the regions of a BED, or the records of a FASTA or FASTQ" },
    { "model", cmd_model, "show a checkpoint, or verify it against expected tensors" },
};
#define NCOMMAND (sizeof COMMANDS / sizeof *COMMANDS)

int cmd_fail(const char *cmd, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "caduceus %s: ", cmd);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 1;
}

void cmd_warn(const char *cmd, const char *fmt, ...)
{
    va_list ap;
    fflush(stdout);
    fprintf(stderr, "caduceus %s: warning: ", cmd);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int cmd_finish(const char *cmd)
{
    if (fflush(stdout) || ferror(stdout)) return cmd_fail(cmd, "standard output: %s", strerror(errno));
    return 0;
}

static void usage(FILE *f)
{
    fprintf(f, "caduceus %s - Caduceus DNA language models on genomes\n\nUsage: caduceus COMMAND [options]\n\n", cad_version());
    for (size_t i = 0; i < NCOMMAND; i++) fprintf(f, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
    fprintf(f, "  %-10s %s\n  %-10s %s\n\n`caduceus COMMAND --help` shows a command's options.\n",
            "help", "this text", "version", "versions of caduceus and htslib");
}

static int version(void)
{
    printf("caduceus %s\nUsing htslib %s\nMIT licence\n", cad_version(), glue_htslib_version());
    return cmd_finish("version");
}

/* jansson 2.14 frees a string twice when an allocation fails. */
static void *must_alloc(size_t n)
{
    void *p = malloc(n);
    if (!p) glue_out_of_memory();
    return p;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    glue_init();
    json_set_alloc_funcs(must_alloc, free);
    if (!name) {
        usage(stderr);
        return 1;
    }
    if (!strcmp(name, "help") && argc > 2) { /* help CMD is CMD --help */
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
