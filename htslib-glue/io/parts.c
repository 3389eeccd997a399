/* parts.c - writes and checks the parts of a run, which are the output files of its shards.
 *
 * Each part PART has a file PART.json beside it, which holds the part's provenance, shard number, size in bytes and
 * SHA-256. PART.json is renamed last, so a part is complete if PART.json exists and has the size and SHA-256 of the
 * part.
 *
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <unistd.h>

#include "base/file.h"
#include "io/shard.h"

/* ---- a part and its .json ---- */
static int no_shard(const char *json, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: names no shard; only what --shard wrote can be merged", json);
}

/* Reads PATH.json of any file PATH. Returns NULL if PATH.json cannot be read or is not a JSON object. */
static json_t *json_beside(const char *path)
{
    char *beside = suffixed(path, ".json"), *text = NULL;
    size_t size;
    json_t *json = NULL;
    if (beside && cad_read_text(&text, &size, beside, false, NULL) == 0) json = json_loads(text, 0, NULL);
    free(text);
    free(beside);
    return json;
}

/* Removes a key from the object. Copies the key's value to the buffer `value`, or "" if the value is not a string or is
 * too long. Returns the buffer. */
static const char *take_key(json_t *json, const char *key, char *value, size_t size)
{
    const char *s = json_string_value(json_object_get(json, key));
    snprintf(value, size, "%s", s && strlen(s) < size ? s : "");
    json_object_del(json, key);
    return value;
}

/* Computes the SHA-256 of all bytes of an open file, and sets *n to the number of bytes. errno is set on failure. */
static int sum_bytes(int fd, char hex[65], int64_t *n)
{
    unsigned char buf[1 << 16], digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sum;
    ssize_t got;
    *n = 0;
    sha256_init(&sum);
    while ((got = read(fd, buf, sizeof buf)) > 0 || (got < 0 && errno == EINTR)) {
        if (got < 0) continue;
        sha256_update(&sum, (size_t)got, buf);
        *n += got;
    }
    sha256_digest(&sum, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return got < 0 ? -1 : 0;
}

static int sum_file(const char *path, char hex[65], int64_t *n, cad_error_t *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), bad = fd < 0 || sum_bytes(fd, hex, n), why = errno;
    if (fd >= 0) close(fd);
    return bad ? cad_fail(err, CAD_EIO, "%s: %s", path, strerror(why)) : 0;
}

static int check_bytes(const char *path, int64_t n, const char *sha256, cad_error_t *err)
{
    char hex[65] = "";
    int64_t have = 0;
    int rc = sum_file(path, hex, &have, err);
    if (rc || (have == n && (!*sha256 || !strcmp(hex, sha256)))) return rc;
    if (have != n)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: damaged, or not the part of its .json: it has %lld bytes, not %lld; run its shard again",
                        path, (long long)have, (long long)n);
    return cad_fail(err, CAD_EFORMAT,
                    "%s: damaged, or not the part of its .json: its SHA-256 differs; run its shard again", path);
}

/* Reads PART.json into *json, removes the keys "bytes" and "sha256", and compares their values with the part. Earlier
 * versions wrote no "sha256". *json is NULL after a failure. */
static int read_part(const char *path, json_t **json, cad_error_t *err)
{
    char *beside = suffixed(path, ".json"), *text = NULL, bytes[24], sha256[65] = "";
    size_t size;
    int64_t n = -1;
    int rc = beside ? cad_read_text(&text, &size, beside, false, err) : cad_out_of_memory(err);
    *json = rc == 0 ? json_loads(text, 0, NULL) : NULL;
    if (rc == 0 && !cad_parse_int(take_key(*json, "bytes", bytes, sizeof bytes), 0, INT64_MAX, &n))
        rc = no_shard(beside, err);
    if (rc == 0) take_key(*json, "sha256", sha256, sizeof sha256);
    if (rc == 0) rc = check_bytes(path, n, sha256, err);
    free(text);
    free(beside);
    if (rc == 0) return 0;
    json_decref(*json);
    *json = NULL;
    return rc;
}

/* ---- other parts of the run ---- */

/* True if the provenance `part` has every key and value of the provenance p, except "shard": both are then parts of one
 * run. */
static bool same_run(const json_t *part, const provenance_t *p)
{
    for (int i = 0; i < p->n; i++) {
        const char *value = json_string_value(json_object_get(part, p->key[i]));
        if (strcmp(p->key[i], "shard") && (!value || strcmp(value, p->value[i]))) return false;
    }
    return true;
}

/* Returns the value "I/N" of the key "shard" in p, or "". */
static const char *own_shard(const provenance_t *p)
{
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->key[i], "shard")) return p->value[i];
    return "";
}

int part_free(const char *path, const provenance_t *p, cad_error_t *err)
{
    char theirs[48];
    const char *mine = own_shard(p);
    json_t *have;
    bool taken = read_part(path, &have, NULL) == 0 && same_run(have, p);
    if (taken) taken = *take_key(have, "shard", theirs, sizeof theirs) && strcmp(theirs, mine) != 0;
    json_decref(have);
    if (!taken) return 0;
    return cad_fail(err, CAD_EARG,
                    "%s: holds share %s of this run, and this is share %s; give each share its own name, as with "
                    "-o part.{shard}.bed",
                    path, theirs, mine);
}

/* Returns CAD_EARG if the file `name` in the folder is the .json of a part of the same run as p, but one that was split
 * into another number of shards. */
static int check_neighbour(const char *dir, const char *name, const provenance_t *p, const shard_t *s, cad_error_t *err)
{
    char *path = ends_in(name, ".json") ? cad_path_join(dir, name) : NULL, text[48] = "";
    shard_t other = { 0 };
    json_t *json = NULL;
    bool differs;
    if (path) path[strlen(path) - strlen(".json")] = 0;
    if (path) json = json_beside(path);
    differs = json && same_run(json, p) && shard_ratio(&other, take_key(json, "shard", text, sizeof text)) &&
              other.of != s->of;
    json_decref(json);
    if (differs)
        cad_fail(err, CAD_EARG,
                 "--shard slurm: makes this share %lld of %lld, but %s is share %lld of %lld of this run; write "
                 "--shard $SLURM_ARRAY_TASK_ID/%lld",
                 (long long)s->index, (long long)s->of, path, (long long)other.index, (long long)other.of,
                 (long long)other.of);
    free(path);
    return differs ? CAD_EARG : 0;
}

int part_neighbours(const char *path, const provenance_t *p, const shard_t *s, cad_error_t *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    DIR *dir = folder && s->slurm ? opendir(folder) : NULL;
    int rc = folder ? 0 : cad_out_of_memory(err);
    for (struct dirent *e; dir && rc == 0 && (e = readdir(dir));) rc = check_neighbour(folder, e->d_name, p, s, err);
    if (dir) closedir(dir);
    free(folder);
    return rc;
}

/* ---- writing ---- */

int part_write(const provenance_t *p, output_t *beside, output_t *out, cad_error_t *err)
{
    provenance_t mine = *p;
    char bytes[24], sha256[65] = "";
    int64_t n = 0;
    bool shard = false;
    int rc = output_sync(out, err);
    for (int i = 0; i < p->n; i++) shard |= !strcmp(p->key[i], "shard");
    if (rc == 0 && shard) rc = part_free(output_name(out), p, err);
    if (rc == 0 && shard && output_is_file(out)) rc = sum_file(output_temporary(out), sha256, &n, err);
    snprintf(bytes, sizeof bytes, "%lld", (long long)n);
    if (shard) provenance_add(&mine, "bytes", bytes);
    if (shard) provenance_add(&mine, "sha256", sha256);
    return rc ? rc : provenance_write(&mine, beside, err);
}

bool part_whole(const char *path)
{
    json_t *json;
    bool whole = read_part(path, &json, NULL) == 0;
    json_decref(json);
    return whole;
}

bool part_done(const char *path, const text_t *json)
{
    json_t *have;
    text_t t = { 0 };
    bool done = read_part(path, &have, NULL) == 0;
    if (done) provenance_layout(have, &t);
    done = done && !t.failed && !strcmp(t.s.s, json->s.s);
    text_free(&t);
    json_decref(have);
    return done;
}

/* ---- merging ---- */

typedef struct {
    int64_t index; /* number of the part's shard, from 1 */
    int part;      /* index of the part among the paths given */
} place_t;

static int by_index(const void *a, const void *b)
{
    int64_t x = ((const place_t *)a)->index, y = ((const place_t *)b)->index;
    return (x > y) - (x < y);
}

/* Fails because two parts are of different runs, and names the first entry of their provenances that differs. */
static int made_otherwise(const char *path, json_t *mine, const char *first, json_t *run, cad_error_t *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(run, key, value)
    {
        const char *have = json_string_value(json_object_get(mine, key)), *want = json_string_value(value);
        if (have && want && strcmp(have, want))
            return cad_fail(err, CAD_EFORMAT, "%s: was made otherwise than %s: its %s is \"%s\", not \"%s\"", path,
                            first, key, have, want);
    }
    return cad_fail(err, CAD_EFORMAT, "%s: was made otherwise than %s: compare their .json", path, first);
}

/* Sets *at to the shard number of path[i], whose provenance is `mine`. The first part sets *run, the provenance of the
 * whole run, and *of, its number of shards. Fails if a later part does not agree with them. */
static int place_part(const char *const path[], int i, place_t *at, json_t *mine, json_t **run, int64_t *of,
                      cad_error_t *err)
{
    shard_t s = { 0 };
    char text[48];
    if (!shard_ratio(&s, take_key(mine, "shard", text, sizeof text)))
        return cad_fail(err, CAD_EFORMAT, "%s.json: names no shard; only what --shard wrote can be merged", path[i]);
    if (!*run) {
        *run = json_incref(mine);
        *of = s.of;
    }
    if (!json_equal(*run, mine)) return made_otherwise(path[i], mine, path[0], *run, err);
    if (s.of != *of)
        return cad_fail(err, CAD_EFORMAT, "%s: is shard %lld of %lld, but %s is one of %lld", path[i],
                        (long long)s.index, (long long)s.of, path[0], (long long)*of);
    *at = (place_t) { s.index, i };
    return 0;
}

/* Appends the range of shard numbers from a to b, as "3" or "3-5". */
static void put_missing(text_t *t, int64_t a, int64_t b)
{
    if (a > b) return;
    text_printf(t, t->s.l ? ", %lld" : "%lld", (long long)a);
    if (a < b) text_printf(t, "-%lld", (long long)b);
}

/* Checks that the shard numbers of the n parts, which are sorted, are 1 to `of`, each once. */
static int check_places(const char *const path[], const place_t *at, int n, int64_t of, cad_error_t *err)
{
    text_t t = { 0 };
    for (int k = 1; k < n; k++)
        if (at[k].index == at[k - 1].index)
            return cad_fail(err, CAD_EFORMAT, "%s: is shard %lld, and so is %s", path[at[k].part],
                            (long long)at[k].index, path[at[k - 1].part]);
    if (n == of) return 0;
    for (int k = 0; k <= n; k++) put_missing(&t, k ? at[k - 1].index + 1 : 1, k < n ? at[k].index - 1 : of);
    cad_fail(err, CAD_EFORMAT, "%d of %lld parts are given; missing: %.400s", n, (long long)of, t.s.s ? t.s.s : "");
    text_free(&t);
    return CAD_EFORMAT;
}

/* Reads PART.json of all n parts. Sets at[0] to at[n-1], sorted by shard number. */
static int place_parts(const char *const path[], int n, place_t *at, json_t **json, int64_t *of, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        json_t *mine;
        rc = read_part(path[i], &mine, err);
        if (rc == 0) rc = place_part(path, i, &at[i], mine, json, of, err);
        json_decref(mine);
    }
    if (rc == 0) qsort(at, (size_t)n, sizeof *at, by_index);
    return rc;
}

int parts_check(const char *const path[], int n, int order[], json_t **json, cad_error_t *err)
{
    place_t *at = cad_alloc((size_t)n, sizeof *at);
    int64_t of = 0;
    int rc = at ? 0 : cad_out_of_memory(err);
    *json = NULL;
    if (rc == 0) rc = place_parts(path, n, at, json, &of, err);
    if (rc == 0) rc = check_places(path, at, n, of, err);
    for (int k = 0; k < n && rc == 0; k++) order[k] = at[k].part;
    free(at);
    if (rc == 0) return 0;
    json_decref(*json);
    *json = NULL;
    return rc;
}
