/* locate.c - where a checkpoint lies. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* hf:ORG/NAME[@REV] to a snapshot folder of the local hub cache. */
static char *hub_path(const char *spec, cad_error_t *err)
{
    char name[512], rev[128] = "main", root[1024], path[3072], hash[128] = "";
    const char *cache = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME"), *user = getenv("HOME");
    char *at, *slash;
    FILE *f;
    if (strlen(spec) >= sizeof name) { cad_fail(err, CAD_EARG, "hf:%.40s...: the name is too long", spec); return NULL; }
    strcpy(name, spec);
    at = strchr(name, '@');
    if (at) { *at = 0; snprintf(rev, sizeof rev, "%s", at + 1); }
    slash = strchr(name, '/');
    if (!slash || strchr(slash + 1, '/') || strstr(name, "..") || strstr(rev, "..")) {
        cad_fail(err, CAD_EARG, "hf:%s: expected hf:ORG/NAME or hf:ORG/NAME@REVISION", spec);
        return NULL;
    }
    *slash = 0;
    if (cache) snprintf(root, sizeof root, "%s", cache);
    else if (home) snprintf(root, sizeof root, "%s/hub", home);
    else snprintf(root, sizeof root, "%s/.cache/huggingface/hub", user ? user : "");
    snprintf(path, sizeof path, "%s/models--%s--%s/refs/%s", root, name, slash + 1, rev);
    f = fopen(path, "rb");
    if (f) {
        if (fgets(hash, sizeof hash, f)) hash[strcspn(hash, "\r\n")] = 0;
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/models--%s--%s/snapshots/%s", root, name, slash + 1, hash[0] ? hash : rev);
    if (access(path, R_OK)) {
        cad_fail(err, CAD_EIO, "hf:%s: not in the hub cache (%s); download the model there first", spec, path);
        return NULL;
    }
    at = strdup(path);
    if (!at) cad_fail(err, CAD_ENOMEM, "out of memory");
    return at;
}

int cad_locate(const char *given, char **dir, char **weights, cad_error_t *err)
{
    char *path = !strncmp(given, "hf:", 3) ? hub_path(given + 3, err) : strdup(given);
    struct stat sb;
    int rc = 0;
    *dir = *weights = NULL;
    if (!path && !strncmp(given, "hf:", 3)) return CAD_EIO; /* said */
    if (!path) return cad_fail(err, CAD_ENOMEM, "out of memory");
    if (stat(path, &sb)) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    else if (S_ISDIR(sb.st_mode)) {
        *dir = strdup(path);
        *weights = cad_path_join(path, "model.safetensors");
        if (*weights && access(*weights, F_OK)) {
            char *index = cad_path_join(path, "model.safetensors.index.json");
            if (index && access(index, F_OK)) {
                rc = cad_fail(err, CAD_EIO, "%s: holds neither model.safetensors nor model.safetensors.index.json", path);
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
    if (rc == 0 && (!*dir || !*weights)) rc = cad_fail(err, CAD_ENOMEM, "out of memory");
    free(path);
    return rc;
}
