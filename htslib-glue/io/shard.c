/* shard.c - parses --shard, and checks the parts, which are the output files of shards.
 *
 * Beside each part PART is PART.json. It holds the part's provenance, shard number, size in bytes and SHA-256.
 * PART.json is renamed last, so a part is complete if PART.json exists and has the size and SHA-256 of the part.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "io/shard.h"

static int from_slurm(shard_t *s, cad_error_t *err)
{
    static const char *const name[] = { "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX",
                                        "SLURM_ARRAY_TASK_STEP" };
    int64_t v[4];
    for (int i = 0; i < 4; i++) {
        const char *text = getenv(name[i]);
        if (!text || !cad_parse_int(text, i == 3, INT32_MAX, &v[i]))
            return cad_fail(err, CAD_EARG, "--shard slurm: $%s is missing or no number; is this a job array?", name[i]);
    }
    s->index = (v[0] - v[1]) / v[3] + 1;
    s->of = (v[2] - v[1]) / v[3] + 1;
    return (v[0] - v[1]) % v[3] || s->index < 1 || s->index > s->of
               ? cad_fail(err, CAD_EARG, "--shard slurm: task %lld is not one of the array", (long long)v[0])
               : 0;
}

int shard_parse(shard_t *s, const char *text, cad_error_t *err)
{
    const char *slash = strchr(text, '/');
    char first[32] = "";
    if (!strcmp(text, "slurm")) return from_slurm(s, err);
    if (slash && (size_t)(slash - text) < sizeof first) memcpy(first, text, (size_t)(slash - text));
    if (!slash || !cad_parse_int(slash + 1, 1, 1 << 30, &s->of) || !cad_parse_int(first, 1, s->of, &s->index))
        return cad_fail(err, CAD_EARG, "--shard %.40s: expected I/N with 1 <= I <= N, or slurm", text);
    return 0;
}

void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48])
{
    if (!s->of) return;
    snprintf(work, 64, "%lld tokens %016llx", (long long)s->total, (unsigned long long)s->digest);
    provenance_add(p, "work", work);
    snprintf(text, 48, "%lld/%lld", (long long)s->index, (long long)s->of);
    provenance_add(p, "shard", text);
}

/* ---- parts ---- */

static int no_shard(const char *json, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: names no shard; only what --shard wrote can be merged", json);
}

/* Removes a key from the object. Copies the key's value to the buffer `value`, or "" if the value is no text or too
 * long. Returns the buffer. */
static const char *take_key(json_t *json, const char *key, char *value, size_t size)
{
    const char *s = json_string_value(json_object_get(json, key));
    snprintf(value, size, "%s", s && strlen(s) < size ? s : "");
    json_object_del(json, key);
    return value;
}

/* Computes the SHA-256 of all bytes of an open file, and sets *n to their number. errno is set on failure. */
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

int part_write(const provenance_t *p, output_t *beside, output_t *out, cad_error_t *err)
{
    provenance_t mine = *p;
    char bytes[24], sha256[65] = "";
    int64_t n = 0;
    bool shard = false;
    int rc = output_sync(out, err);
    for (int i = 0; i < p->n; i++) shard |= !strcmp(p->key[i], "shard");
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

/* Sets order[k] to i, where path[i] is shard k + 1 of n. mine: provenance of path[i]; *run: provenance of the run,
 * which is set from the first part and must be equal for the others. */
static int place_part(const char *const path[], int i, int n, int order[], json_t *mine, json_t **run, cad_error_t *err)
{
    shard_t s = { 0 };
    char text[48];
    if (shard_parse(&s, take_key(mine, "shard", text, sizeof text), NULL))
        return cad_fail(err, CAD_EFORMAT, "%s.json: names no shard; only what --shard wrote can be merged", path[i]);
    if (s.of != n)
        return cad_fail(err, CAD_EFORMAT, "%s: is shard %lld of %lld, but %d parts are given", path[i],
                        (long long)s.index, (long long)s.of, n);
    if (order[s.index - 1] >= 0)
        return cad_fail(err, CAD_EFORMAT, "%s: is shard %lld, and so is %s", path[i], (long long)s.index,
                        path[order[s.index - 1]]);
    if (!*run) *run = json_incref(mine);
    if (!json_equal(*run, mine))
        return cad_fail(err, CAD_EFORMAT, "%s: was made otherwise than %s: compare their .json", path[i], path[0]);
    order[s.index - 1] = i;
    return 0;
}

int parts_check(const char *const path[], int n, int order[], json_t **json, cad_error_t *err)
{
    int rc = 0;
    *json = NULL;
    for (int i = 0; i < n; i++) order[i] = -1;
    for (int i = 0; i < n && rc == 0; i++) {
        json_t *mine;
        rc = read_part(path[i], &mine, err);
        if (rc == 0) rc = place_part(path, i, n, order, mine, json, err);
        json_decref(mine);
    }
    if (rc == 0) return 0;
    json_decref(*json);
    *json = NULL;
    return rc;
}
