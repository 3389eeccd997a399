/* hubcache.c - finds the local cache of the Hugging Face hub, and lists the models in it. Layout of the cache:
 *
 *   CACHE/models--ORG--NAME/refs/REV           text: the commit of a branch, tag or short hash
 *                          /snapshots/COMMIT/  a folder of links to blobs; each link has the name of a file of the model
 *                          /blobs/HASH         the content of one file, named by its SHA-256 or its git hash
 *   CACHE/.locks/models--ORG--NAME/HASH.lock   locked by the process that downloads that blob
 *
 * The rules are those of huggingface_hub, so that each program finds the files that the other has downloaded.
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/hubcache.h"

/* ---- where the cache is ---- */

typedef struct {
    char text[4096];
    size_t n;
    bool full; /* the path has become too long */
} path_t;

static void put(path_t *p, const char *s, size_t n)
{
    if (n >= sizeof p->text - p->n) {
        p->full = true;
        return;
    }
    memcpy(p->text + p->n, s, n);
    p->text[p->n += n] = 0;
}

/* Returns an environment variable; NULL if it is not set, or empty. */
static const char *variable(const char *name)
{
    const char *s = getenv(name);
    return s && *s ? s : NULL;
}

/* Appends the home folder of a user (n letters), or of the current user if n is 0. Returns false if that folder is not
 * known. */
static bool put_home(path_t *p, const char *user, size_t n)
{
    char name[256], buf[1 << 14];
    struct passwd pw, *found = NULL;
    const char *home = n ? NULL : variable("HOME");
    snprintf(name, sizeof name, "%.*s", (int)cad_min((int64_t)n, 255), user);
    if (!home &&
        (n ? getpwnam_r(name, &pw, buf, sizeof buf, &found) : getpwuid_r(getuid(), &pw, buf, sizeof buf, &found)) == 0)
        home = found ? found->pw_dir : NULL;
    if (!home) return false;
    n = strlen(home);
    while (n && home[n - 1] == '/') n--;
    put(p, home, n);
    return true;
}

/* Appends the value of the variable whose name is the first n letters of s. Returns false if it is not set. */
static bool put_variable(path_t *p, const char *s, size_t n)
{
    char name[256];
    const char *value;
    if (n == 0 || n >= sizeof name) return false;
    memcpy(name, s, n);
    name[n] = 0;
    value = getenv(name);
    if (value) put(p, value, strlen(value));
    return value != NULL;
}

/* Appends the value s with ~, ~USER, $NAME and ${NAME} expanded; a reference to an unknown name stays as it is. */
static void put_expanded(path_t *p, const char *s)
{
    size_t user = s[0] == '~' ? strcspn(s + 1, "/") : 0;
    if (s[0] == '~' && put_home(p, s + 1, user)) s += 1 + user;
    while (*s) {
        size_t plain = strcspn(s, "$"), name = 0;
        bool braced;
        put(p, s, plain);
        s += plain;
        if (!*s) return;
        braced = s[1] == '{' && strchr(s, '}');
        if (braced) name = strcspn(s + 2, "}");
        else
            while (isalnum((unsigned char)s[1 + name]) || s[1 + name] == '_') name++;
        plain = 1 + name + (braced ? 2 : 0); /* length of the reference, with $ and braces */
        if (!put_variable(p, s + (braced ? 2 : 1), name)) put(p, s, plain);
        s += plain;
    }
}

/* Appends the folder that holds the hub's cache and token. */
static void put_hub_home(path_t *p)
{
    const char *home = variable("HF_HOME"), *cache = variable("XDG_CACHE_HOME");
    put_expanded(p, home ? home : cache ? cache : "~/.cache");
    if (!home) put(p, "/huggingface", 12);
}

static void put_cache(path_t *p)
{
    const char *cache = variable("HF_HUB_CACHE");
    if (!cache) cache = variable("HUGGINGFACE_HUB_CACHE");
    if (cache) put_expanded(p, cache);
    else {
        put_hub_home(p);
        put(p, "/hub", 4);
    }
}

static void put_token(path_t *p)
{
    const char *path = variable("HF_TOKEN_PATH");
    if (path) put_expanded(p, path);
    else {
        put_hub_home(p);
        put(p, "/token", 6);
    }
}

/* ---- how the cache is laid out ---- */

#define PREFIX "models--"

/* Appends "models--ORG--NAME". */
static void put_model(path_t *p, const char *model)
{
    put(p, PREFIX, sizeof PREFIX - 1);
    for (const char *slash; (slash = strchr(model, '/')); model = slash + 1) {
        put(p, model, (size_t)(slash - model));
        put(p, "--", 2);
    }
    put(p, model, strlen(model));
}

static void put_part(path_t *p, enum cad_hub_part_t part, const char *model, const char *leaf)
{
    static const char *const folder[] = {
        [CAD_HUB_REF] = "/refs/", [CAD_HUB_SNAPSHOT] = "/snapshots/", [CAD_HUB_BLOB] = "/blobs/", [CAD_HUB_LOCK] = "/"
    };
    put_cache(p);
    if (part == CAD_HUB_CACHE) return;
    put(p, part == CAD_HUB_LOCK ? "/.locks/" : "/", part == CAD_HUB_LOCK ? 8 : 1);
    put_model(p, model);
    if (part == CAD_HUB_MODEL) return;
    put(p, folder[part], strlen(folder[part]));
    put(p, leaf, strlen(leaf));
    if (part == CAD_HUB_LOCK) put(p, ".lock", 5);
}

int cad_hub_path(char **path, enum cad_hub_part_t part, const char *model, const char *leaf, cad_error_t *err)
{
    path_t p = { "", 0, false };
    *path = NULL;
    if (part == CAD_HUB_TOKEN) put_token(&p);
    else put_part(&p, part, model ? model : "", leaf ? leaf : "");
    if (p.full) return cad_fail(err, CAD_EARG, "the path of the hub cache is too long; see $HF_HUB_CACHE and $HF_HOME");
    *path = strdup(p.text);
    return *path ? 0 : cad_out_of_memory(err);
}

/* ---- names ---- */

/* True for ORG/NAME made of letters, digits, '-', '_' and '.', as the hub allows. */
static bool good_model(const char *s)
{
    const char *slash = strchr(s, '/');
    if (!slash || strchr(slash + 1, '/') || strstr(s, "..") || strstr(s, "--")) return false;
    for (const char *c = s; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_./", *c)) return false;
    return isalnum((unsigned char)s[0]) && isalnum((unsigned char)slash[1]);
}

/* Returns the part of a URL after the hub's address, such as ORG/NAME/tree/REV; NULL if text is no URL of the hub. */
static const char *after_address(const char *text)
{
    static const char *const scheme[] = { "https://", "http://" }, *const host[] = { "huggingface.co/", "hf.co/" };
    const char *endpoint = variable("HF_ENDPOINT");
    size_t n = endpoint ? strlen(endpoint) : 0;
    if (n && !strncmp(text, endpoint, n) && (endpoint[n - 1] == '/' || text[n] == '/'))
        return text + n + (text[n] == '/');
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        for (size_t k = 0; k < sizeof host / sizeof *host; k++) {
            size_t at = strlen(scheme[i]);
            if (!strncmp(text, scheme[i], at) && !strncmp(text + at, host[k], strlen(host[k])))
                return text + at + strlen(host[k]);
        }
    return NULL;
}

int cad_hub_named(const char *text) { return !strncmp(text, "hf:", 3) || after_address(text); }

/* Returns where the revision begins in the part of a URL that comes after the name, such as /tree/REV; NULL if that
 * part names no revision. */
static const char *revision_in_url(const char *s)
{
    static const char *const before[] = { "@", "/tree/", "/blob/", "/resolve/" };
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (!strncmp(s, before[i], strlen(before[i]))) return s + strlen(before[i]);
    return NULL;
}

int cad_hub_parse(cad_hub_name_t *name, const char *text, cad_error_t *err)
{
    const char *url = after_address(text), *s = url ? url : strncmp(text, "hf:", 3) ? text : text + 3, *revision;
    bool other; /* the text is the address of something other than a model */
    size_t n = strcspn(s, url ? "/@?#" : "@"), length;
    if (url && s[n] == '/') n += 1 + strcspn(s + n + 1, "/@?#");
    revision = url ? revision_in_url(s + n) : s[n] ? s + n + 1 : NULL;
    length = revision ? url ? strcspn(revision, "/?#") : strlen(revision) : 0;
    if (n >= sizeof name->model || length >= sizeof name->revision)
        return cad_fail(err, CAD_EARG, "hf:%.40s...: the name is too long", s);
    snprintf(name->model, sizeof name->model, "%.*s", (int)n, s);
    snprintf(name->revision, sizeof name->revision, "%.*s", revision ? (int)length : 4, revision ? revision : "main");
    other = !strncmp(name->model, "datasets/", 9) || !strncmp(name->model, "spaces/", 7);
    if (good_model(name->model) && cad_path_inside(name->revision) && !(url && other)) return 0;
    if (url) return cad_fail(err, CAD_EARG, "%.300s: expected the address of a model, as hf:ORG/NAME has it", text);
    return cad_fail(err, CAD_EARG, "hf:%s: expected hf:ORG/NAME or hf:ORG/NAME@REVISION", s);
}

/* ---- a snapshot ---- */

/* Reads a commit from a file in refs/ into commit; "" if the file has none. */
static void read_ref(const char *path, char commit[256])
{
    FILE *f = fopen(path, "rbe");
    commit[0] = 0;
    if (!f) return;
    if (!fgets(commit, 256, f)) commit[0] = 0;
    commit[strcspn(commit, "\r\n")] = 0;
    if (!cad_path_inside(commit)) commit[0] = 0;
    fclose(f);
}

int cad_hub_find(const char *spec, char **dir, cad_error_t *err)
{
    cad_hub_name_t name;
    const char *revision;
    char *ref = NULL, commit[256] = "";
    int rc = cad_hub_parse(&name, spec, err);
    *dir = NULL;
    if (rc == 0) rc = cad_hub_path(&ref, CAD_HUB_REF, name.model, name.revision, err);
    if (rc == 0) read_ref(ref, commit);
    free(ref);
    if (rc == 0) rc = cad_hub_path(dir, CAD_HUB_SNAPSHOT, name.model, commit[0] ? commit : name.revision, err);
    if (rc || access(*dir, R_OK) == 0) return rc;
    revision = strcmp(name.revision, "main") ? name.revision : "";
    rc = cad_fail(err, CAD_EIO, "hf:%s%s%s: not in the hub cache (%s); run: caduceus model pull %s%s%s", name.model,
                  revision[0] ? "@" : "", revision, *dir, name.model, revision[0] ? "@" : "", revision);
    free(*dir);
    *dir = NULL;
    return rc;
}

/* ---- what the cache holds ---- */

typedef struct {
    char **name; // (n) sorted
    int n;
} entries_t;

static bool visible(const char *name) { return name[0] != '.'; }
static bool is_model(const char *name) { return !strncmp(name, PREFIX, sizeof PREFIX - 1); }

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void free_entries(entries_t *l)
{
    for (int i = 0; i < l->n; i++) free(l->name[i]);
    free(l->name);
    *l = (entries_t) { 0 };
}

static int add_entry(entries_t *l, const char *name, cad_error_t *err)
{
    char **grown = realloc(l->name, (size_t)(l->n + 1) * sizeof *grown);
    if (!grown) return cad_out_of_memory(err);
    l->name = grown;
    if (!(grown[l->n] = strdup(name))) return cad_out_of_memory(err);
    l->n++;
    return 0;
}

/* Lists, sorted, the names in folder dir for which `take` is true. A folder that does not exist counts as empty. */
static int list_folder(entries_t *l, const char *dir, bool (*take)(const char *), cad_error_t *err)
{
    DIR *d = opendir(dir);
    int rc = 0;
    *l = (entries_t) { 0 };
    if (!d) return errno == ENOENT ? 0 : cad_fail(err, CAD_EIO, "%s: %s", dir, strerror(errno));
    for (struct dirent *e; rc == 0 && (e = readdir(d));)
        if (take(e->d_name)) rc = add_entry(l, e->d_name, err);
    closedir(d);
    if (rc) free_entries(l);
    else if (l->n) qsort(l->name, (size_t)l->n, sizeof *l->name, by_text);
    return rc;
}

/* Lists the visible names in a folder inside a model's folder. A folder that cannot be read counts as empty, so that
 * the other models are still listed. */
static int list_within(entries_t *l, const char *dir, cad_error_t *err)
{
    int rc = list_folder(l, dir, visible, err);
    return rc == CAD_EIO ? 0 : rc;
}

typedef struct {
    char commit[256], *revision;
} ref_t;
typedef struct {
    ref_t *ref; // (n)
    int n;
} refs_t;

static int add_ref(refs_t *r, const char *path, const char *revision, cad_error_t *err)
{
    ref_t *grown = realloc(r->ref, (size_t)(r->n + 1) * sizeof *grown);
    if (!grown) return cad_out_of_memory(err);
    r->ref = grown;
    if (!(grown[r->n].revision = strdup(revision))) return cad_out_of_memory(err);
    read_ref(path, grown[r->n++].commit);
    return 0;
}

#define DEPTH 8 /* maximum depth of folders in refs/ and in a snapshot */

static int list_refs(refs_t *r, const char *dir, const char *prefix, int depth, cad_error_t *err);

/* Adds the entry `name` of folder dir as a ref, if it is a file. If it is a folder, adds all refs below it. */
static int list_ref(refs_t *r, const char *dir, const char *prefix, const char *name, int depth, cad_error_t *err)
{
    char *path = cad_path_join(dir, name), revision[512];
    int length = snprintf(revision, sizeof revision, "%s%s", prefix, name), rc = 0;
    struct stat sb;
    if (!path) return cad_out_of_memory(err);
    if (length < (int)sizeof revision - 1 && stat(path, &sb) == 0) {
        if (S_ISREG(sb.st_mode)) rc = add_ref(r, path, revision, err);
        else if (S_ISDIR(sb.st_mode)) rc = list_refs(r, path, strcat(revision, "/"), depth - 1, err);
    }
    free(path);
    return rc;
}

/* Collects the refs below folder dir. prefix: the path of dir within refs/, with a slash at its end; "" for refs/
 * itself. */
static int list_refs(refs_t *r, const char *dir, const char *prefix, int depth, cad_error_t *err)
{
    entries_t l;
    int rc = depth ? list_within(&l, dir, err) : 0;
    if (rc || !depth) return rc;
    for (int i = 0; i < l.n && rc == 0; i++) rc = list_ref(r, dir, prefix, l.name[i], depth, err);
    free_entries(&l);
    return rc;
}

static void free_refs(refs_t *r)
{
    for (int i = 0; i < r->n; i++) free(r->ref[i].revision);
    free(r->ref);
}

/* Returns the branches and tags that point to a commit, separated by commas; malloc'd. */
static char *names_of(const refs_t *r, const char *commit)
{
    size_t size = 1;
    char *text;
    for (int i = 0; i < r->n; i++) size += strlen(r->ref[i].revision) + 1;
    text = calloc(size, 1);
    for (int i = 0; text && i < r->n; i++) {
        if (strcmp(r->ref[i].commit, commit)) continue;
        if (*text) strcat(text, ",");
        strcat(text, r->ref[i].revision);
    }
    return text;
}

/* Adds to *sum the sizes of all files below a folder; symbolic links are followed. */
static int add_bytes(int64_t *sum, const char *dir, int depth, cad_error_t *err)
{
    DIR *d = depth ? opendir(dir) : NULL;
    int rc = 0;
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        char *path = visible(e->d_name) ? cad_path_join(dir, e->d_name) : NULL;
        struct stat sb;
        if (!path && visible(e->d_name)) rc = cad_out_of_memory(err);
        if (path && stat(path, &sb) == 0) {
            if (S_ISREG(sb.st_mode)) *sum += sb.st_size;
            else if (S_ISDIR(sb.st_mode)) rc = add_bytes(sum, path, depth - 1, err);
        }
        free(path);
    }
    if (d) closedir(d);
    return rc;
}

static int visit_one(const char *model, const char *commit, const refs_t *refs, cad_hub_visit_f *visit, void *arg,
                     cad_error_t *err)
{
    cad_snapshot_t s = { .model = model, .commit = commit };
    char *path = NULL, *names = NULL;
    int rc = cad_hub_path(&path, *commit ? CAD_HUB_SNAPSHOT : CAD_HUB_MODEL, model, commit, err);
    if (rc == 0 && !(names = names_of(refs, commit))) rc = cad_out_of_memory(err);
    if (rc == 0) rc = add_bytes(&s.bytes, path, DEPTH, err);
    s.path = path;
    s.revisions = names;
    if (rc == 0) rc = visit(arg, &s);
    free(path);
    free(names);
    return rc;
}

/* Calls visit for each snapshot of a model. For a model without snapshots, calls visit once, with an empty commit. */
static int visit_model(const char *model, cad_hub_visit_f *visit, void *arg, cad_error_t *err)
{
    entries_t l = { 0 };
    char *refs = NULL, *snapshots = NULL;
    refs_t r = { 0 };
    int rc = cad_hub_path(&refs, CAD_HUB_REF, model, "", err);
    if (rc == 0) rc = cad_hub_path(&snapshots, CAD_HUB_SNAPSHOT, model, "", err);
    if (rc == 0) rc = list_refs(&r, refs, "", DEPTH, err);
    if (rc == 0) rc = list_within(&l, snapshots, err);
    for (int i = 0; i < l.n && rc == 0; i++) rc = visit_one(model, l.name[i], &r, visit, arg, err);
    if (rc == 0 && l.n == 0) rc = visit_one(model, "", &r, visit, arg, err);
    free_entries(&l);
    free_refs(&r);
    free(refs);
    free(snapshots);
    return rc;
}

/* Returns "ORG/NAME" for a folder "models--ORG--NAME", malloc'd; NULL when out of memory. */
static char *model_of(const char *folder)
{
    char *model = strdup(folder + sizeof PREFIX - 1), *sep = model ? strstr(model, "--") : NULL;
    if (sep) {
        *sep = '/';
        memmove(sep + 1, sep + 2, strlen(sep + 2) + 1);
    }
    return model;
}

int cad_hub_list(cad_hub_visit_f *visit, void *arg, cad_error_t *err)
{
    entries_t l = { 0 };
    char *cache;
    int rc = cad_hub_path(&cache, CAD_HUB_CACHE, NULL, NULL, err);
    if (rc == 0) rc = list_folder(&l, cache, is_model, err);
    for (int i = 0; i < l.n && rc == 0; i++) {
        char *model = model_of(l.name[i]);
        rc = model ? visit_model(model, visit, arg, err) : cad_out_of_memory(err);
        free(model);
    }
    free_entries(&l);
    free(cache);
    return rc;
}
