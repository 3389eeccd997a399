/* info.c - caduceus model info. SPDX-License-Identifier: MIT */
#include "actions.h"

static const char USAGE[] = "Usage: caduceus model info [options] [MODEL]\n\n"
                            "Prints configuration, parameters, vocabulary, stored type and checksum.\n\n"
                            "Options:\n" OPTIONS_USAGE;

static void info_line(const char *key, int64_t value) { printf("%s\t%lld\n", key, (long long)value); }

static void info_tokens(const cad_model_t *m)
{
    static const struct {
        const char *name;
        enum cad_number_t id;
    } token[] = { { "A", CAD_TOKEN_A },     { "C", CAD_TOKEN_C },     { "G", CAD_TOKEN_G },
                  { "T", CAD_TOKEN_T },     { "N", CAD_TOKEN_N },     { "MASK", CAD_TOKEN_MASK },
                  { "PAD", CAD_TOKEN_PAD }, { "SEP", CAD_TOKEN_SEP }, { "UNK", CAD_TOKEN_UNK } };
    for (size_t i = 0; i < sizeof token / sizeof *token; i++)
        printf("%s%s=%lld", i ? " " : "tokens\t", token[i].name, (long long)cad_model_number(m, token[i].id));
    puts("");
}

static int print_info(const options_t *o)
{
    cad_model_t *m;
    int64_t labels;
    if (options_open_model(o, &m)) return 1;
    labels = cad_model_number(m, CAD_LABELS);
    printf("model\t%s\n", cad_model_text(m, CAD_TEXT_KIND));
    printf("head\t%s\n", labels ? "classifier" : "masked language model");
    if (labels) info_line("labels", labels);
    printf("configuration\t%s\n", cad_model_text(m, CAD_TEXT_DETAILS));
    info_line("parameters", cad_model_number(m, CAD_PARAMETERS));
    info_line("window", cad_model_number(m, CAD_MAX_LEN));
    printf("vocabulary\t%s (%lld rows)\n", cad_model_text(m, CAD_TEXT_VOCABULARY),
           (long long)cad_model_number(m, CAD_VOCAB));
    info_tokens(m);
    printf("dtype\t%s\n", cad_model_text(m, CAD_TEXT_DTYPE));
    printf("sha256\t%s\n", cad_model_text(m, CAD_TEXT_SHA256));
    if (*cad_model_text(m, CAD_TEXT_STATUS)) printf("status\t%s\n", cad_model_text(m, CAD_TEXT_STATUS));
    cad_model_close(m);
    return cmd_finish(o->cmd);
}

static const struct option LONGS[] = { OPTIONS_LONG, { 0 } };

static int take_option(void *args, int c, const char *arg) { return options_take(args, c, arg); }

int model_info(int argc, char **argv)
{
    options_t o;
    int rc;
    options_init(&o, "model info");
    rc = options_parse(o.cmd, argc, argv, OPTIONS_SHORT, LONGS, USAGE, take_option, &o);
    if (rc) return rc == 2 ? 0 : 1;
    return model_operand(&o, argc, argv) ? 1 : print_info(&o);
}
