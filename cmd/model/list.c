/* list.c - caduceus model list: lists the models in the hub's local cache. SPDX-License-Identifier: MIT */
#include <jansson.h>

#include "actions.h"
#include "bar.h"

static const char USAGE[] = "Usage: caduceus model list [options]\n\n"
                            "Lists the models in the local cache of the Hugging Face hub, and whether caduceus\n"
                            "can run them. Reads config.json and the headers of weight files only.\n\n"
                            "Options:\n"
                            "      --json             print a JSON array instead of a table\n"
                            "  -h, --help             this text\n"
                            "\nExample:\n"
                            "  caduceus model list\n";

typedef struct {
    const char *cmd;
    bool json;
    json_t *all; /* the array that --json prints; NULL without --json */
} args_t;

/* Fills *summary from the snapshot's folder. Sets `why` to the reason why the snapshot cannot be run (without the
 * folder's path), or to "" if it can be run. */
static void judge(const cad_snapshot_t *s, cad_summary_t *summary, char *why, size_t size)
{
    cad_error_t err = { "" };
    size_t n = strlen(s->path);
    const char *text = err.text;
    memset(summary, 0, sizeof *summary);
    if (!*s->commit) snprintf(err.text, sizeof err.text, "not downloaded whole; run: caduceus model pull %s", s->model);
    else if (cad_model_summary(summary, s->path, &err) == 0) err.text[0] = 0;
    if (!strncmp(text, s->path, n) && (text[n] == '/' || text[n] == ':')) text += n + (text[n] == '/' ? 1 : 2);
    snprintf(why, size, "%s", text);
}

static void print_row(const cad_snapshot_t *s, const cad_summary_t *m, const char *why)
{
    char size[24];
    printf("%s\t%s\t%s\t", s->model, *s->revisions ? s->revisions : ".", *s->commit ? s->commit : ".");
    if (*why) printf(".\t.\t.\t.\t.\t.\t");
    else
        printf("%s\t%lld\t%lld\t%lld\t%lld\t%s\t", m->kind, (long long)m->d_model, (long long)m->n_layer,
               (long long)m->max_len, (long long)m->parameters, m->dtype);
    printf("%s\t%s\t%s\n", size_text(s->bytes, size), s->path, *why ? why : ".");
}

static json_t *names_json(const char *names)
{
    json_t *list = json_array();
    while (*names) {
        size_t n = strcspn(names, ",");
        json_array_append_new(list, json_stringn(names, n));
        names += n + (names[n] == ',');
    }
    return list;
}

/* Returns a text as JSON; null if it is not UTF-8. */
static json_t *text_json(const char *s)
{
    json_t *v = json_string(s);
    return v ? v : json_null();
}

static json_t *row_json(const cad_snapshot_t *s, const cad_summary_t *m, const char *why)
{
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:I, s:b}", "model", text_json(s->model), "revisions",
                          names_json(s->revisions), "commit", *s->commit ? text_json(s->commit) : json_null(), "path",
                          text_json(s->path), "bytes", (json_int_t)s->bytes, "runs", !*why);
    if (*why) json_object_set_new(o, "reason", text_json(why));
    else
        json_object_update_new(o, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "kind", m->kind, "d_model",
                                            (json_int_t)m->d_model, "n_layer", (json_int_t)m->n_layer, "labels",
                                            (json_int_t)m->labels, "window", (json_int_t)m->max_len, "parameters",
                                            (json_int_t)m->parameters, "dtype", m->dtype));
    return o;
}

static int visit(void *args, const cad_snapshot_t *s)
{
    args_t *a = args;
    cad_summary_t summary;
    char why[sizeof((cad_error_t *)0)->text];
    judge(s, &summary, why, sizeof why);
    if (a->json) json_array_append_new(a->all, row_json(s, &summary, why));
    else print_row(s, &summary, why);
    return 0;
}

static int list(args_t *a)
{
    cad_error_t err;
    int rc;
    if (a->json) a->all = json_array();
    else puts("#model\trevision\tcommit\tkind\td_model\tlayers\tbp\tparameters\tdtype\tsize\tpath\tnote");
    rc = cad_hub_list(visit, a, &err);
    if (rc) rc = cmd_fail(a->cmd, "%s", err.text);
    else if (a->json) {
        json_dumpf(a->all, stdout, JSON_INDENT(2));
        puts("");
    }
    json_decref(a->all);
    return rc ? rc : cmd_finish(a->cmd);
}

enum { O_JSON = 1 };
static const struct option LONGS[] = { OPT_FLAG("json", O_JSON), OPT_FLAG("help", OPT_HELP), { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    (void)c, (void)arg;
    ((args_t *)args)->json = true;
    return 0;
}

static int run_list(int argc, char **argv)
{
    args_t a = { .cmd = "model list" };
    int rc = options_parse(&MODEL_LIST, argc, argv, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    if (optind < argc) return cmd_fail(a.cmd, "%s: takes no file; it lists the hub's cache", argv[optind]);
    return list(&a);
}

const command_t MODEL_LIST = { "model list", "list the models in the hub's local cache, and whether they can be run",
                               run_list,     USAGE,
                               NULL,         "",
                               LONGS,        NULL };
