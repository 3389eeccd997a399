/* locate.c - finds a checkpoint's files. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"

/* Finds the snapshot folder of hf:ORG/NAME[@REV] in the local hub cache; *out is malloc'd. */
static int hub_path(const char *spec, char **out, cad_error_t *err)
{
    char name[512], rev[512] = "main", root[4096], path[6144], hash[512] = "";
    const char *cache = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME"), *user = getenv("HOME");
    char *at, *slash;
    FILE *f;
    size_t length;
    if (strlen(spec) >= sizeof name) return cad_fail(err, CAD_EARG, "hf:%.40s...: the name is too long", spec);
    strcpy(name, spec);
    at = strchr(name, '@');
    if (at) {
        *at = 0;
        snprintf(rev, sizeof rev, "%s", at + 1);
    }
    slash = strchr(name, '/');
    if (!slash || strchr(slash + 1, '/') || strstr(name, "..") || strstr(rev, ".."))
        return cad_fail(err, CAD_EARG, "hf:%s: expected hf:ORG/NAME or hf:ORG/NAME@REVISION", spec);
    *slash = 0;
    length = (size_t)snprintf(root, sizeof root, "%s%s",
                              cache  ? cache
                              : home ? home
                              : user ? user
                                     : "",
                              cache  ? ""
                              : home ? "/hub"
                                     : "/.cache/huggingface/hub");
    if (length >= sizeof root) return cad_fail(err, CAD_EARG, "hf:%s: the path of the hub cache is too long", spec);
    snprintf(path, sizeof path, "%s/models--%s--%s/refs/%s", root, name, slash + 1, rev);
    f = fopen(path, "rb");
    if (f) {
        if (fgets(hash, sizeof hash, f)) hash[strcspn(hash, "\r\n")] = 0;
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/models--%s--%s/snapshots/%s", root, name, slash + 1, hash[0] ? hash : rev);
    if (access(path, R_OK))
        return cad_fail(err, CAD_EIO, "hf:%s: not in the hub cache (%s); download the model there first", spec, path);
    *out = strdup(path);
    return *out ? 0 : cad_out_of_memory(err);
}

int cad_locate(const char *given, char **dir, char **weights, cad_error_t *err)
{
    bool hub = !strncmp(given, "hf:", 3);
    char *path = hub ? NULL : strdup(given);
    struct stat sb;
    int rc = hub ? hub_path(given + 3, &path, err) : path ? 0 : cad_out_of_memory(err);
    *dir = *weights = NULL;
    if (rc) return rc;
    if (stat(path, &sb)) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(sb.st_mode)) {
        *dir = strdup(path);
        *weights = cad_path_join(path, "model.safetensors");
        if (*weights && access(*weights, F_OK)) {
            char *index = cad_path_join(path, "model.safetensors.index.json");
            if (index && access(index, F_OK)) {
                rc = cad_fail(err, CAD_EIO, "%s: holds neither model.safetensors nor model.safetensors.index.json",
                              path);
                free(index);
            } else {
                free(*weights);
                *weights = index;
            }
        }
    } else {
        char *slash = strrchr(path, '/');
        *dir = slash ? strndup(path, (size_t)(slash - path) + (slash == path)) : strdup(".");
        *weights = strdup(path);
    }
    if (rc == 0 && (!*dir || !*weights)) rc = cad_out_of_memory(err);
    free(path);
    return rc;
}
