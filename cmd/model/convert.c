/* convert.c - caduceus model convert. SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "actions.h"

static const char USAGE[] = "Usage: caduceus model convert [options] -o DIR [MODEL]\n\n"
                            "Writes a checkpoint anew into folder DIR: float32, one weight file, published\n"
                            "names, each tied tensor once.\n\n"
                            "Options:\n"
                            "  -o, --output DIR       folder to write to; made if absent\n" OPTIONS_USAGE;

static int convert(const options_t *o, const char *dir)
{
    static const char *const part[] = { "model.safetensors", "config.json" };
    cad_model_t *m = NULL;
    ledger_t files = { 0 };
    cad_error_t err;
    bool made = false;
    int rc;
    if (!dir) return cmd_fail(o->cmd, "-o: give the folder to write to");
    rc = cad_folder_make(dir, &made, &err);
    options_input_model(o, &files);
    for (size_t i = 0; i < sizeof part / sizeof *part && rc == 0; i++) {
        char *path = cad_path_join(dir, part[i]);
        rc = path ? ledger_output(&files, path, &err) : cad_out_of_memory(&err);
        free(path);
    }
    ledger_free(&files);
    if (rc) rc = cmd_fail(o->cmd, "%s", err.text);
    else rc = options_open_model(o, &m);
    if (rc == 0 && options_save_model(m, dir, NULL, &err)) rc = cmd_fail(o->cmd, "%s", err.text);
    if (rc && made) rmdir(dir);
    cad_model_close(m);
    return rc ? rc : cmd_finish(o->cmd);
}

typedef struct {
    options_t o;
    const char *output;
} args_t;

static const struct option LONGS[] = { OPTIONS_LONG, OPT_VALUE("output", 'o'), { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    if (c != 'o') return options_take(&a->o, c, arg);
    a->output = arg;
    return 0;
}

int model_convert(int argc, char **argv)
{
    args_t a = { 0 };
    int rc;
    options_init(&a.o, "model convert");
    rc = options_parse(a.o.cmd, argc, argv, OPTIONS_SHORT "o:", LONGS, USAGE, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    return model_operand(&a.o, argc, argv) ? 1 : convert(&a.o, a.output);
}
