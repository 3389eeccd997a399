/* model.c - caduceus model ACTION: lists the actions and runs one. SPDX-License-Identifier: MIT */
#include "actions.h"

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} ACTION[] = {
    { "info", "describe a checkpoint", model_info },
    { "verify", "run a checkpoint and compare the results with expected tensors", model_verify },
    { "pull", "download a model from the Hugging Face hub into the hub's local cache", model_pull },
    { "list", "list the models in the hub's local cache, and whether they can be run", model_list },
    { "convert", "write a checkpoint with the published names, as float32 or another type", model_convert },
};
enum { NACTION = sizeof ACTION / sizeof *ACTION };

int model_operand(options_t *o, int argc, char **argv)
{
    if (argc - optind > 1) return cmd_fail(o->cmd, "one file at most, %d given", argc - optind);
    if (optind == argc) return 0;
    if (o->model) return cmd_fail(o->cmd, "%s: a second model; -m names one already", argv[optind]);
    o->model = argv[optind];
    return 0;
}

static void usage(FILE *f)
{
    fputs("Usage: caduceus model ", f);
    for (int i = 0; i < NACTION; i++) fprintf(f, "%s%s", i ? "|" : "", ACTION[i].name);
    fputs(" [options]\n\n", f);
    for (int i = 0; i < NACTION; i++) fprintf(f, "  %-10s %s\n", ACTION[i].name, ACTION[i].about);
}

static int unknown(const char *name)
{
    text_t list = { 0 };
    int rc;
    for (int i = 0; i < NACTION; i++)
        text_printf(&list, "%s%s", i == 0 ? "" : i == NACTION - 1 ? " or " : ", ", ACTION[i].name);
    rc = cmd_fail("model", "%s: expected %s", name, list.failed ? "an action" : list.s.s);
    text_free(&list);
    return rc;
}

int cmd_model(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return 1;
    }
    if (!strcmp(argv[1], "--help")) {
        usage(stdout);
        return cmd_finish("model");
    }
    optind = 2; /* after the action */
    for (int i = 0; i < NACTION; i++)
        if (!strcmp(argv[1], ACTION[i].name)) return ACTION[i].run(argc, argv);
    return unknown(argv[1]);
}
