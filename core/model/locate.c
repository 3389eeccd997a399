/* locate.c - finds the files of a checkpoint, and the model that an adapter names. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/hubcache.h"
#include "model/model.h"

/* Weight files by name, in the order in which they are looked for. */
static const char *const WEIGHTS[] = { "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                       "pytorch_model.bin.index.json", "weights.ckpt" };
enum { NWEIGHTS = sizeof WEIGHTS / sizeof *WEIGHTS };

static bool config_present(const char *dir)
{
    return cad_path_present(dir, "config.json") || cad_path_present(dir, "model_config.json");
}

int cad_locate_config(json_t **root, char **path, const char *dir, cad_error_t *err)
{
    bool lightning = !cad_path_present(dir, "config.json") && cad_path_present(dir, "model_config.json");
    json_t *inner;
    int rc;
    *root = NULL;
    *path = cad_path_join(dir, lightning ? "model_config.json" : "config.json");
    if (!*path) return cad_out_of_memory(err);
    rc = cad_json_load(root, *path, true, err);
    if (rc == 0 && !*root)
        return cad_fail(err, CAD_EIO,
                        "%s: No such file or directory; weights need the configuration of their model, "
                        "config.json or a trainer's model_config.json, beside them (a .ckpt: or one folder above)",
                        *path);
    if (rc || !lightning) return rc;
    inner = json_incref(json_object_get(*root, "config"));
    json_decref(*root);
    *root = inner;
    return json_is_object(inner) ? 0 : cad_fail(err, CAD_EFORMAT, "%s: has no object \"config\"", *path);
}

/* Finds the weight file of a folder; *out is malloc'd. */
static int find_weights(const char *dir, char **out, cad_error_t *err)
{
    for (int i = 0; i < NWEIGHTS; i++) {
        *out = cad_path_join(dir, WEIGHTS[i]);
        if (!*out) return cad_out_of_memory(err);
        if (access(*out, F_OK) == 0) return 0;
        free(*out);
        *out = NULL;
    }
    return cad_fail(err, CAD_EIO, "%s: holds neither %s nor %s, nor an index of shards", dir, WEIGHTS[0], WEIGHTS[2]);
}

/* Returns the folder of a file. For a Lightning checkpoint, which is stored in a folder checkpoints/ beside the
 * configuration, returns the folder above. Malloc'd; NULL when out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + (slash == path)) : strdup(".");
    size_t n = strlen(path);
    char *above;
    if (!dir || n < 5 || strcmp(path + n - 5, ".ckpt") || config_present(dir)) return dir;
    above = cad_path_join(dir, "..");
    if (above && config_present(above)) {
        free(dir);
        return above;
    }
    free(above);
    return dir;
}

/* Sets *path, malloc'd, to the path that `given` stands for: the folder of a snapshot in the hub's cache if `given` is
 * hf:ORG/NAME[@REV], else `given` itself. */
static int path_of(const char *given, char **path, cad_error_t *err)
{
    if (cad_hub_named(given)) return cad_hub_find(given, path, err);
    *path = strdup(given);
    return *path ? 0 : cad_out_of_memory(err);
}

/* True if s has the form ORG/NAME, in which the hub names models. Such a text may also be a path. */
static bool hub_name(const char *s)
{
    const char *slash = strchr(s, '/');
    return slash && slash > s && *s != '.' && *s != '~' && !strchr(slash + 1, '/');
}

/* Finds the model that an adapter names: a folder, or a model of the hub (hf:NAME). *base is malloc'd. */
static int base_of(const cad_adapter_t *a, char **base, cad_error_t *err)
{
    size_t size;
    bool there;
    if (!a->base)
        return cad_fail(err, CAD_EFORMAT,
                        "%s/adapter_config.json: names no base model; give it with -m and this by --adapter", a->dir);
    there = access(a->base, F_OK) == 0;
    if (!there && !hub_name(a->base))
        return cad_fail(err, CAD_EIO,
                        "%s/adapter_config.json: its base model %.200s is not there; give the model with -m and this "
                        "by --adapter",
                        a->dir, a->base);
    size = strlen(a->base) + (a->revision ? strlen(a->revision) : 0) + 5;
    *base = malloc(size);
    if (!*base) return cad_out_of_memory(err);
    snprintf(*base, size, "%s%s%s%s", there ? "" : "hf:", a->base, !there && a->revision ? "@" : "",
             !there && a->revision ? a->revision : "");
    return 0;
}

/* True if the folder holds an adapter and no weights of a model. */
static bool adapter_alone(const char *dir)
{
    bool alone = cad_path_present(dir, "adapter_config.json");
    for (int i = 0; i < NWEIGHTS; i++) alone = alone && !cad_path_present(dir, WEIGHTS[i]);
    return alone;
}

int cad_locate_adapter(const char *given, const char *adapter, char **base, cad_adapter_t *a, cad_error_t *err)
{
    char *path = NULL;
    int rc = path_of(adapter ? adapter : given, &path, err);
    bool alone = rc == 0 && !adapter && adapter_alone(path);
    *base = NULL;
    if (rc == 0 && (adapter || alone)) rc = cad_adapter_open(a, path, err);
    free(path);
    if (rc || alone) return rc ? rc : base_of(a, base, err);
    *base = strdup(given);
    return *base ? 0 : cad_out_of_memory(err);
}

/* Reports that there is nothing at path. If the folder of path is missing too, the message adds that path may have been
 * meant as the name of a model on the hub. */
static int no_path(const char *path, cad_error_t *err)
{
    const char *why = strerror(errno);
    char *org = hub_name(path) ? strndup(path, strcspn(path, "/")) : NULL;
    bool meant = org && access(org, F_OK);
    cad_hub_name_t name;
    cad_error_t bad;
    free(org);
    if (meant && cad_hub_parse(&name, path, &bad) == 0)
        return cad_fail(err, CAD_EIO, "%s: %s; did you mean hf:%s?", path, why, path);
    return cad_fail(err, CAD_EIO, "%s: %s", path, why);
}

int cad_locate(const char *given, char **dir, char **weights, cad_error_t *err)
{
    char *path = NULL;
    struct stat sb;
    int rc = path_of(given, &path, err);
    *dir = *weights = NULL;
    if (rc) return rc;
    if (stat(path, &sb)) rc = no_path(path, err);
    else if (S_ISDIR(sb.st_mode)) {
        *dir = strdup(path);
        rc = find_weights(path, weights, err);
    } else {
        *dir = folder_of(path);
        *weights = strdup(path);
    }
    if (rc == 0 && (!*dir || !*weights)) rc = cad_out_of_memory(err);
    free(path);
    return rc;
}
