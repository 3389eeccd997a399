/* info.c - caduceus model info: describes a checkpoint. SPDX-License-Identifier: MIT */
#include <jansson.h>

#include "actions.h"

static const char USAGE[] = "Usage: caduceus model info [options] [MODEL]\n\n"
                            "Prints configuration, parameters, vocabulary, stored type and checksum.\n\n"
                            "Options:\n" OPTIONS_USAGE "\nExamples:\n"
                            "  caduceus model info hf:kuleshov-group/PlantCaduceus_l20\n"
                            "  caduceus model info\n";

typedef struct {
    options_t o;
    bool json;
} args_t;

/* ---- as a table ---- */

static void info_line(const char *key, int64_t value) { printf("%s\t%lld\n", key, (long long)value); }

static const struct {
    const char *name;
    enum cad_number_t id;
} TOKEN[] = { { "A", CAD_TOKEN_A },     { "C", CAD_TOKEN_C },     { "G", CAD_TOKEN_G },
              { "T", CAD_TOKEN_T },     { "N", CAD_TOKEN_N },     { "MASK", CAD_TOKEN_MASK },
              { "PAD", CAD_TOKEN_PAD }, { "SEP", CAD_TOKEN_SEP }, { "UNK", CAD_TOKEN_UNK } };
enum { NTOKEN = sizeof TOKEN / sizeof *TOKEN };

static const char *head_of(const cad_model_t *m)
{
    if (cad_model_number(m, CAD_LABELS)) return "classifier";
    if (cad_model_number(m, CAD_STRIDE) > 1) return "none: its layers pool rows";
    return cad_model_number(m, CAD_NEXT) ? "language model, next base" : "masked language model";
}

/* Returns how a classifier pools rows; NULL for a language model, and for a head with outputs for each base or bin. */
static const char *pooling_of(const cad_model_t *m)
{
    cad_head_t h;
    bool pools;
    cad_head_init(&h);
    pools = cad_model_number(m, CAD_LABELS) && cad_head_read(&h, m, NULL) == 0 && h.bin == 0;
    cad_head_free(&h);
    return pools ? POOL_NAME[h.pool] : NULL;
}

static void print_table(const cad_model_t *m)
{
    const char *pooling = pooling_of(m);
    int64_t labels = cad_model_number(m, CAD_LABELS);
    printf("model\t%s\n", cad_model_text(m, CAD_TEXT_KIND));
    printf("head\t%s\n", head_of(m));
    if (labels) info_line("labels", labels);
    if (pooling) printf("pooling\t%s\n", pooling);
    printf("configuration\t%s\n", cad_model_text(m, CAD_TEXT_DETAILS));
    info_line("parameters", cad_model_number(m, CAD_PARAMETERS));
    info_line("window", cad_model_number(m, CAD_MAX_LEN));
    printf("vocabulary\t%s (%lld rows)\n", cad_model_text(m, CAD_TEXT_VOCABULARY),
           (long long)cad_model_number(m, CAD_VOCAB));
    for (int i = 0; i < NTOKEN; i++)
        printf("%s%s=%lld", i ? " " : "tokens\t", TOKEN[i].name, (long long)cad_model_number(m, TOKEN[i].id));
    printf("\ndtype\t%s\n", cad_model_text(m, CAD_TEXT_DTYPE));
    printf("sha256\t%s\n", cad_model_text(m, CAD_TEXT_SHA256));
    if (*cad_model_text(m, CAD_TEXT_STATUS)) printf("status\t%s\n", cad_model_text(m, CAD_TEXT_STATUS));
    if (*cad_model_text(m, CAD_TEXT_ADAPTER)) printf("adapter\t%s\n", cad_model_text(m, CAD_TEXT_ADAPTER));
}

/* ---- as JSON ---- */

/* Returns a text as JSON; null if it is not UTF-8. */
static json_t *text_json(const char *s)
{
    json_t *v = json_string(s);
    return v ? v : json_null();
}

static void put_texts(json_t *o, const cad_model_t *m)
{
    static const struct {
        const char *key;
        enum cad_text_t id;
    } text[] = {
        { "model", CAD_TEXT_KIND },     { "configuration", CAD_TEXT_DETAILS }, { "vocabulary", CAD_TEXT_VOCABULARY },
        { "dtype", CAD_TEXT_DTYPE },    { "sha256", CAD_TEXT_SHA256 },         { "status", CAD_TEXT_STATUS },
        { "adapter", CAD_TEXT_ADAPTER }
    };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        const char *s = cad_model_text(m, text[i].id);
        json_object_set_new(o, text[i].key, *s ? text_json(s) : json_null());
    }
}

static void put_numbers(json_t *o, const cad_model_t *m)
{
    static const struct {
        const char *key;
        enum cad_number_t id;
    } number[] = { { "labels", CAD_LABELS },         { "d_model", CAD_D_MODEL }, { "n_layer", CAD_N_LAYER },
                   { "parameters", CAD_PARAMETERS }, { "window", CAD_MAX_LEN },  { "vocabulary_rows", CAD_VOCAB } };
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        json_object_set_new(o, number[i].key, json_integer(cad_model_number(m, number[i].id)));
}

static json_t *tokens_json(const cad_model_t *m)
{
    json_t *o = json_object();
    for (int i = 0; i < NTOKEN; i++) {
        int64_t id = cad_model_number(m, TOKEN[i].id);
        json_object_set_new(o, TOKEN[i].name, id < 0 ? json_null() : json_integer(id));
    }
    return o;
}

static int print_json(const char *cmd, const cad_model_t *m)
{
    json_t *o = json_object();
    const char *pooling = pooling_of(m);
    int rc;
    put_texts(o, m);
    json_object_set_new(o, "head", json_string(head_of(m)));
    json_object_set_new(o, "pooling", pooling ? json_string(pooling) : json_null());
    put_numbers(o, m);
    json_object_set_new(o, "tokens", tokens_json(m));
    rc = json_dumpf(o, stdout, JSON_INDENT(2)) ? cmd_fail(cmd, "out of memory, or standard output cannot be written")
                                               : 0;
    puts("");
    json_decref(o);
    return rc;
}

/* ---- entry ---- */

static int print_info(const args_t *a)
{
    cad_model_t *m;
    int rc = 0;
    if (options_open_model(&a->o, &m)) return 1;
    if (a->json) rc = print_json(a->o.cmd, m);
    else print_table(m);
    cad_model_close(m);
    return cmd_finish(a->o.cmd) || rc;
}

enum { O_JSON = 1 };
static const struct option LONGS[] = { OPTIONS_LONG, OPT_FLAG("json", O_JSON), { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    if (c != O_JSON) return options_take(&a->o, c, arg);
    a->json = true;
    return 0;
}

static int run_info(int argc, char **argv)
{
    args_t a = { 0 };
    int rc;
    options_init(&a.o, "model info");
    rc = options_parse(&MODEL_INFO, argc, argv, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    return model_operand(&a.o, argc, argv) ? 1 : print_info(&a);
}

const command_t MODEL_INFO = {
    "model info", "describe a checkpoint", run_info, USAGE, NULL, OPTIONS_SHORT, LONGS, NULL
};
