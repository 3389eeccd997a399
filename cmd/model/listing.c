/* listing.c - reads the hub's answer about a revision of a model, and chooses the files to fetch. The answer has this
 * form:
 *
 * {"sha": COMMIT, "siblings": [{"rfilename": NAME, "size": N, "blobId": SHA-1, "lfs": {"sha256": ..., "size": N}}]}
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "listing.h"

/* ---- which files ---- */

static const char *const SMALL[] = { "config.json",
                                     "tokenizer_config.json",
                                     "tokenizer.json",
                                     "vocab.txt",
                                     "special_tokens_map.json",
                                     "added_tokens.json",
                                     "vocab.json",
                                     "merges.txt",
                                     "adapter_config.json",
                                     NULL };

/* Weight files in order of preference. The first of these that the hub lists is fetched. If it is an index of several
 * weight files (shards), these are fetched too. */
static const struct {
    const char *file, *shards, *suffix;
} WEIGHTS[] = {
    { "model.safetensors", NULL, NULL }, { "model.safetensors.index.json", "model-", ".safetensors" },
    { "pytorch_model.bin", NULL, NULL }, { "pytorch_model.bin.index.json", "pytorch_model-", ".bin" },
    { "weights.ckpt", NULL, NULL }, /* the first release of HyenaDNA */
};
static const char *const ADAPTER[] = { "adapter_model.safetensors", "adapter_model.bin" };
enum { NWEIGHTS = sizeof WEIGHTS / sizeof *WEIGHTS };

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

static bool in_list(const char *const *list, const char *s)
{
    while (*list && strcmp(*list, s)) list++;
    return *list != NULL;
}

/* True if s is PREFIX DIGITS "-of-" DIGITS SUFFIX. */
static bool is_shard(const char *s, const char *prefix, const char *suffix)
{
    const char *digits = "0123456789";
    size_t n;
    if (!starts(s, prefix)) return false;
    s += strlen(prefix);
    n = strspn(s, digits);
    if (n == 0 || !starts(s + n, "-of-")) return false;
    s += n + 4;
    n = strspn(s, digits);
    return n && !strcmp(s + n, suffix);
}

static const char *name_of(const json_t *file) { return json_string_value(json_object_get(file, "rfilename")); }

static bool has(const json_t *files, const char *name)
{
    size_t i;
    json_t *file;
    json_array_foreach(files, i, file) if (!strcmp(name_of(file), name)) return true;
    return false;
}

/* Returns the index in WEIGHTS of the first weight file that `files` lists; -1 if it lists none. */
static int weights_of(const json_t *files)
{
    for (int w = 0; w < NWEIGHTS; w++)
        if (has(files, WEIGHTS[w].file)) return w;
    return -1;
}

static bool wanted(const json_t *files, int w, const char *name)
{
    if (in_list(SMALL, name)) return true;
    if (w >= 0 && !strcmp(name, WEIGHTS[w].file)) return true;
    if (w >= 0 && WEIGHTS[w].shards && is_shard(name, WEIGHTS[w].shards, WEIGHTS[w].suffix)) return true;
    return !strcmp(name, ADAPTER[0]) || (!strcmp(name, ADAPTER[1]) && !has(files, ADAPTER[0]));
}

/* ---- reading ---- */

static bool is_hash(const char *s, size_t digits)
{
    return s && strlen(s) == digits && strspn(s, "0123456789abcdef") == digits;
}

static int bad(const cad_hub_name_t *name, const char *file, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s@%s: the server's list of files %s%.200s%s; nothing is fetched", name->model,
                    name->revision, what, file, *file ? "\"" : "");
}

/* Adds a file to the list l. */
static int add(listing_t *l, const json_t *file, const cad_hub_name_t *name, cad_error_t *err)
{
    const json_t *lfs = json_object_get(file, "lfs");
    const json_t *size = json_object_get(json_is_object(lfs) ? lfs : file, "size");
    const char *sha256 = json_string_value(json_object_get(lfs, "sha256"));
    const char *hash = sha256 ? sha256 : json_string_value(json_object_get(file, "blobId"));
    remote_t *f = realloc(l->file, ((size_t)l->n + 1) * sizeof *f);
    if (!f) return cad_out_of_memory(err);
    l->file = f;
    f += l->n;
    if (!is_hash(hash, sha256 ? 64 : 40)) return bad(name, name_of(file), "has no hash of \"", err);
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return bad(name, name_of(file), "has no size of \"", err);
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->file[i].name, name_of(file))) return bad(name, name_of(file), "names twice \"", err);
    f->size = json_integer_value(size);
    snprintf(f->hash, sizeof f->hash, "%s", hash);
    if (__builtin_add_overflow(l->bytes, f->size, &l->bytes)) return bad(name, name_of(file), "has no size of \"", err);
    if (!(f->name = strdup(name_of(file)))) return cad_out_of_memory(err);
    l->n++;
    return 0;
}

/* Checks the names of all files in the list, also of files that are not fetched: a server that sends a malformed name
 * cannot be trusted. */
static int check_names(const json_t *files, const cad_hub_name_t *name, cad_error_t *err)
{
    size_t i;
    json_t *file;
    if (!json_is_array(files)) return bad(name, "", "is missing", err);
    json_array_foreach(files, i, file)
    {
        const char *s = name_of(file);
        if (!s) return bad(name, "", "has an entry without a name", err);
        if (!cad_path_inside(s)) return bad(name, s, "has a name that leads out of its folder, or is none: \"", err);
    }
    return 0;
}

static int choose(listing_t *l, const json_t *files, const cad_hub_name_t *name, cad_error_t *err)
{
    int w, rc = check_names(files, name, err);
    size_t i;
    json_t *file;
    if (rc) return rc;
    w = weights_of(files);
    if (w < 0 && !has(files, ADAPTER[0]) && !has(files, ADAPTER[1]))
        return cad_fail(err, CAD_EFORMAT,
                        "%s@%s: has no weights that caduceus reads (model.safetensors, pytorch_model.bin or an index "
                        "of their shards, adapter_model.safetensors); is it a model?",
                        name->model, name->revision);
    if (!has(files, "config.json") && !has(files, "adapter_config.json"))
        return cad_fail(err, CAD_EFORMAT, "%s@%s: has no config.json; is it a model?", name->model, name->revision);
    json_array_foreach(files, i, file) if (wanted(files, w, name_of(file)) && (rc = add(l, file, name, err))) return rc;
    return 0;
}

/* Returns the first character of the text that is not white space. */
static char first(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isspace((unsigned char)text[i])) return text[i];
    return 0;
}

int listing_read(listing_t *l, const char *text, size_t size, const cad_hub_name_t *name, cad_error_t *err)
{
    json_error_t je;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &je);
    const char *commit = json_string_value(json_object_get(root, "sha"));
    int rc = 0;
    memset(l, 0, sizeof *l);
    if (!json_is_object(root))
        rc = cad_fail(
            err, CAD_EFORMAT,
            "%s@%s: the server answered with %s instead of the hub's list of files; is there a proxy or a login "
            "page in between, or is $HF_ENDPOINT wrong?",
            name->model, name->revision, first(text, size) == '<' ? "an HTML page" : "something");
    else if (!is_hash(commit, 40) && !is_hash(commit, 64)) rc = bad(name, "", "names no commit", err);
    else {
        snprintf(l->commit, sizeof l->commit, "%s", commit);
        rc = choose(l, json_object_get(root, "siblings"), name, err);
    }
    json_decref(root);
    return rc;
}

void listing_free(listing_t *l)
{
    for (int i = 0; i < l->n; i++) free(l->file[i].name);
    free(l->file);
    memset(l, 0, sizeof *l);
}
