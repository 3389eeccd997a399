/* model.c - caduceus model ACTION: lists the actions and runs one. SPDX-License-Identifier: MIT */
#include "actions.h"

static const command_t *const ACTION[] = { &MODEL_INFO,    &MODEL_VERIFY, &MODEL_PULL, &MODEL_LIST,
                                           &MODEL_CONVERT, &MODEL_NEW,    NULL };

int model_operand(options_t *o, int argc, char **argv)
{
    if (argc - optind > 1) return cmd_fail(o->cmd, "one file at most, %d given", argc - optind);
    if (optind == argc) return 0;
    if (o->model) return cmd_fail(o->cmd, "%s: a second model; -m names one already", argv[optind]);
    o->model = argv[optind];
    return 0;
}

static const char USAGE[] = "Usage: caduceus model ACTION [options] [MODEL]\n\n"
                            "\f\n"
                            "`caduceus help model ACTION` shows an action's options.\n\n"
                            "Options:\n"
                            "  -h, --help             this text\n\n"
                            "Examples:\n"
                            "  caduceus model pull kuleshov-group/PlantCaduceus_l20\n"
                            "  caduceus model info hf:kuleshov-group/PlantCaduceus_l20\n";

static int run_model(int argc, char **argv)
{
    const command_t *action;
    if (argc < 2) return options_bare(&CMD_MODEL);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) return options_help(&CMD_MODEL) == 1;
    optind = 2; /* index of the first argument after the action's name */
    action = command_find(&CMD_MODEL, argv[1]);
    return action ? action->run(argc, argv) : 1;
}

static const struct option LONGS[] = { OPT_FLAG("help", OPT_HELP), { 0 } };
const command_t CMD_MODEL = {
    "model", "show, verify, convert, download or list checkpoints", run_model, USAGE, NULL, "", LONGS, ACTION
};
