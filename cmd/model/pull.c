/* pull.c - caduceus model pull: downloads a model from the Hugging Face hub. SPDX-License-Identifier: MIT */
#include "actions.h"
#ifdef CAD_CURL
#include "store.h"
#endif

static const char USAGE[] = "Usage: caduceus model pull [options] ORG/NAME[@REV]|URL\n\n"
                            "Downloads a model from the Hugging Face hub into the hub's local cache, where\n"
                            "-m hf:ORG/NAME and Python find it, and prints the folder. Fetches config,\n"
                            "tokenizer and weight files that the cache lacks, and checks their hashes.\n\n"
                            "Options:\n"
                            "      --revision REV     branch, tag or commit, the same as @REV [main]\n"
                            "      --dry-run          print files, sizes and what is to be fetched; fetch nothing\n"
                            "      --retries N        tries again after a temporary failure, 0 to 30 [5]\n"
                            "      --quiet            no progress and no summary\n"
                            "  -h, --help             this text\n"
                            "\nExample:\n"
                            "  caduceus model pull --dry-run kuleshov-group/PlantCaduceus_l20\n";

typedef struct {
    const char *cmd, *revision;
    bool dry, quiet;
    int64_t retries;
} args_t;

#ifdef CAD_CURL

/* ---- the list of files ---- */

typedef struct {
    sink_t sink; /* must be the first member, since its functions cast it to this struct */
    text_t text;
} list_sink_t;

#define LONGEST_LIST (32 << 20) /* maximum size of the list of files, in bytes */

static int take_list(sink_t *sink, const void *data, size_t n, cad_error_t *err)
{
    list_sink_t *s = (list_sink_t *)sink;
    if (s->text.s.l + n > LONGEST_LIST) return cad_fail(err, CAD_EFORMAT, "the server's list of files does not end");
    text_put(&s->text, data, n);
    sink->at = 0; /* if the request is repeated, the list is read again from its beginning */
    return s->text.failed ? cad_out_of_memory(err) : 0;
}

static int drop_list(sink_t *sink, cad_error_t *err)
{
    (void)err;
    text_clear(&((list_sink_t *)sink)->text);
    return 0;
}

static int get_listing(fetch_t *fetch, const cad_hub_name_t *name, listing_t *l, cad_error_t *err)
{
    list_sink_t s = { .sink = { .size = -1, .write = take_list, .rewind = drop_list } };
    text_t path = { 0 };
    int rc;
    text_printf(&path, "api/models/%s/revision/", name->model);
    store_escape(&path, name->revision);
    text_puts(&path, "?blobs=true");
    rc = path.failed ? cad_out_of_memory(err) : fetch_get(fetch, path.s.s, &s.sink, err);
    if (rc == 0) rc = listing_read(l, s.text.s.s ? s.text.s.s : "", s.text.s.l, name, err);
    text_free(&path);
    text_free(&s.text);
    return rc;
}

/* ---- fetching ---- */

/* Returns the number of bytes of the listed files that the cache does not have yet. */
static int64_t missing(const cad_hub_name_t *name, const listing_t *l)
{
    int64_t bytes = 0;
    for (int i = 0; i < l->n; i++) {
        int64_t has = store_has(name->model, &l->file[i]);
        if (has != STORE_WHOLE) bytes += l->file[i].size - has;
    }
    return bytes;
}

static int print_plan(const args_t *a, const cad_hub_name_t *name, const listing_t *l)
{
    char size[24], rest[24];
    printf("model\t%s\nrevision\t%s\ncommit\t%s\n", name->model, name->revision, l->commit);
    for (int i = 0; i < l->n; i++) {
        const remote_t *f = &l->file[i];
        int64_t has = store_has(name->model, f);
        printf("%s\t%s\t", f->name, size_text(f->size, size));
        if (has == STORE_WHOLE) puts("in the cache");
        else printf("%s to fetch\n", size_text(f->size - has, rest));
    }
    printf("total\t%s\t%s to fetch\n", size_text(l->bytes, size), size_text(missing(name, l), rest));
    return cmd_finish(a->cmd);
}

/* Prints the snapshot's folder on stdout, then a message that says what was fetched and whether the model can be
 * run. */
static int report(const args_t *a, const cad_hub_name_t *name, const listing_t *l, const bar_t *bar)
{
    cad_summary_t summary;
    cad_error_t err;
    char *dir = NULL, size[24], came[24];
    if (cad_hub_path(&dir, CAD_HUB_SNAPSHOT, name->model, l->commit, &err)) return cmd_fail(a->cmd, "%s", err.text);
    if (!a->quiet)
        fprintf(stderr, "caduceus %s: %s@%s: %d files, %s, of which %s were fetched\n", a->cmd, name->model,
                name->revision, l->n, size_text(l->bytes, size), size_text(bar->fetched, came));
    if (cad_model_summary(&summary, dir, &err)) cmd_warn(a->cmd, "caduceus cannot run it: %s", err.text);
    puts(dir);
    free(dir);
    return cmd_finish(a->cmd);
}

static int fetch_all(const args_t *a, fetch_t *fetch, const cad_hub_name_t *name, const listing_t *l, bar_t *bar,
                     cad_error_t *err)
{
    int rc = store_room(missing(name, l), err);
    bar_begin(bar, a->quiet, l->bytes);
    for (int i = 0; i < l->n && rc == 0; i++) rc = store_blob(fetch, name->model, l->commit, &l->file[i], bar, err);
    bar_clear(bar);
    return rc ? rc : store_snapshot(name, l, err);
}

static int pull(const args_t *a, const cad_hub_name_t *name)
{
    fetch_t *fetch = NULL;
    listing_t l = { 0 };
    bar_t bar = { 0 };
    cad_error_t err;
    int rc = fetch_open(&fetch, name, (int)a->retries, &err);
    if (rc == 0) rc = get_listing(fetch, name, &l, &err);
    if (rc == 0 && !a->dry) rc = fetch_all(a, fetch, name, &l, &bar, &err);
    if (rc) rc = cmd_fail(a->cmd, "%s", err.text);
    else rc = a->dry ? print_plan(a, name, &l) : report(a, name, &l, &bar);
    listing_free(&l);
    fetch_close(fetch);
    return rc;
}

#else

static int pull(const args_t *a, const cad_hub_name_t *name)
{
    return cmd_fail(a->cmd,
                    "%s: this caduceus was built without libcurl, which pull needs; on Debian: apt install "
                    "libcurl4-gnutls-dev, then ./configure --with-libcurl and make",
                    name->model);
}

#endif

/* ---- entry ---- */

enum { O_REVISION = 1, O_DRY, O_RETRIES };
static const struct option LONGS[] = { OPT_VALUE("revision", O_REVISION), OPT_FLAG("dry-run", O_DRY),
                                       OPT_VALUE("retries", O_RETRIES),   OPT_FLAG("quiet", OPT_QUIET),
                                       OPT_FLAG("help", OPT_HELP),        { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    switch (c) {
    case O_REVISION: a->revision = arg; return 0;
    case O_DRY: a->dry = true; return 0;
    case O_RETRIES: return option_int(a->cmd, "--retries", arg, 0, 30, &a->retries);
    default: a->quiet = true; return 0;
    }
}

static int name_model(const args_t *a, const char *text, cad_hub_name_t *name)
{
    text_t full = { 0 };
    cad_error_t err;
    int rc;
    if (a->revision && (strchr(text, '@') || strstr(text, "/tree/")))
        return cmd_fail(a->cmd, "%s: names a revision already; --revision is one too many", text);
    text_puts(&full, text);
    if (a->revision) text_printf(&full, "@%s", a->revision);
    rc = full.failed ? cad_out_of_memory(&err) : cad_hub_parse(name, full.s.s, &err);
    text_free(&full);
    return rc ? cmd_fail(a->cmd, "%s", err.text) : 0;
}

/* True if $HF_HUB_OFFLINE has one of the values that huggingface_hub accepts as true. */
static bool offline(void)
{
    static const char *const yes[] = { "1", "on", "yes", "true" };
    const char *s = getenv("HF_HUB_OFFLINE");
    for (size_t i = 0; s && i < sizeof yes / sizeof *yes; i++)
        if (!strcasecmp(s, yes[i])) return true;
    return false;
}

static int run_pull(int argc, char **argv)
{
    args_t a = { .cmd = "model pull", .retries = 5 };
    cad_hub_name_t name;
    int rc = options_parse(&MODEL_PULL, argc, argv, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    if (argc - optind != 1) return cmd_fail(a.cmd, "give one model, as ORG/NAME or ORG/NAME@REV");
    if (name_model(&a, argv[optind], &name)) return 1;
    if (offline()) return cmd_fail(a.cmd, "$HF_HUB_OFFLINE is set: nothing is fetched; unset it to fetch");
    return pull(&a, &name);
}

const command_t MODEL_PULL = { "model pull", "download a model from the Hugging Face hub into the hub's local cache",
                               run_pull,     USAGE,
                               NULL,         "",
                               LONGS,        NULL };
