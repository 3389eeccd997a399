/* convert.c - caduceus model convert: writes a checkpoint with the names of tensors that the published checkpoints
 * have. SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "io/foundation.h"
#include "actions.h"
#include "beside.h"

static const char USAGE[] = "Usage: caduceus model convert [options] -o DIR [MODEL]\n\n"
                            "Writes a checkpoint again, into folder DIR: one weight file with the published\n"
                            "names, and each tied tensor under both of its names, as Python needs it. Keeps all\n"
                            "other keys of config.json, and copies all other files of the folder.\n\n"
                            "Options:\n"
                            "  -o, --output DIR       folder to write to; created if absent\n"
                            "      --dtype T          F32, F16 or BF16 [F32]\n"
                            "      --bare             write each tied tensor once, under one of its names\n"
                            "      --merge            add the adapter to the weights\n"
                            "      --keep-bias        write the bias of a classifier's head, which the Python\n"
                            "                         classes do not have\n" OPTIONS_USAGE "\nExample:\n"
                            "  caduceus model convert -m model -o whole\n";

typedef struct {
    options_t o;
    const char *output;
    cad_save_t how;
    bool merge, keep_bias;
} args_t;

/* True if the user named a folder or an hf: snapshot, so that the other files of its folder are copied too. */
static bool folder_given(const options_t *o)
{
    const char *model = options_model(o);
    return model && (cad_hub_named(model) || cad_path_is_folder(model));
}

static int check_outputs(const args_t *a, ledger_t *files, cad_error_t *err)
{
    static const char *const part[] = { "model.safetensors", "config.json", "tokenizer_config.json" };
    int rc = 0;
    options_input_model(&a->o, files);
    for (size_t i = 0; i < sizeof part / sizeof *part && rc == 0; i++) {
        char *path = cad_path_join(a->output, part[i]);
        rc = path ? ledger_output(files, path, err) : cad_out_of_memory(err);
        free(path);
    }
    return rc;
}

static int check_adapter(const args_t *a, const cad_model_t *m, cad_error_t *err)
{
    bool adapted = *cad_model_text(m, CAD_TEXT_ADAPTER);
    if (adapted == a->merge) return 0;
    return adapted ? cad_fail(err, CAD_EARG, "the model has an adapter; --merge adds it to the weights")
                   : cad_fail(err, CAD_EARG, "--merge: there is no adapter; name it with --adapter");
}

static int write_all(const args_t *a, cad_model_t *m, ledger_t *files, cad_error_t *err)
{
    beside_t others = { 0 };
    cad_save_t how = a->how;
    int rc = check_adapter(a, m, err);
    how.with_files = folder_given(&a->o);
    if (rc == 0 && !a->keep_bias) rc = cad_head_fold_bias(m, err);
    if (rc == 0 && how.with_files) rc = beside_copy(&others, cad_model_text(m, CAD_TEXT_FOLDER), a->output, files, err);
    if (rc == 0) rc = options_save_model(m, a->output, &how, err);
    if (rc == 0) rc = beside_publish(&others, err);
    beside_abort(&others);
    return rc;
}

static int convert(const args_t *a)
{
    cad_model_t *m = NULL;
    ledger_t files = { 0 };
    cad_error_t err;
    bool made = false;
    int rc;
    if (!a->output) return cmd_fail(a->o.cmd, "-o: give the folder to write to");
    rc = cad_folder_make(a->output, &made, &err);
    if (rc == 0) rc = check_outputs(a, &files, &err);
    if (rc) rc = cmd_fail(a->o.cmd, "%s", err.text);
    else rc = options_open_model(&a->o, &m);
    if (rc == 0 && write_all(a, m, &files, &err)) rc = cmd_fail(a->o.cmd, "%s", err.text);
    if (rc && made) rmdir(a->output);
    ledger_free(&files);
    cad_model_close(m);
    return rc ? rc : cmd_finish(a->o.cmd);
}

enum { O_DTYPE = 1, O_BARE, O_MERGE, O_KEEP_BIAS };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPT_VALUE("output", 'o'),
                                       OPT_VALUE("dtype", O_DTYPE),
                                       OPT_FLAG("bare", O_BARE),
                                       OPT_FLAG("merge", O_MERGE),
                                       OPT_FLAG("keep-bias", O_KEEP_BIAS),
                                       { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    switch (c) {
    case 'o': a->output = arg; return 0;
    case O_DTYPE: a->how.dtype = arg; return 0;
    case O_BARE: a->how.bare = 1; return 0;
    case O_MERGE: a->merge = true; return 0;
    case O_KEEP_BIAS: a->keep_bias = true; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

static int run_convert(int argc, char **argv)
{
    args_t a = { 0 };
    int rc;
    cad_save_init(&a.how);
    options_init(&a.o, "model convert");
    rc = options_parse(&MODEL_CONVERT, argc, argv, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    return model_operand(&a.o, argc, argv) ? 1 : convert(&a);
}

const command_t MODEL_CONVERT = { "model convert",
                                  "write a checkpoint with the published names, as float32 or another type",
                                  run_convert,
                                  USAGE,
                                  NULL,
                                  OPTIONS_SHORT "o:",
                                  LONGS,
                                  NULL };
