/* shard.c - a run's share of the work (--shard), and the parts that shards write.
 *
 * Beside a part lies PART.json: its provenance, which shard it is, and how many bytes. It is
 * renamed last, so where it is and the bytes agree, the part is whole. SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <sys/stat.h>

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

static int slurp(const char *path, kstring_t *s, cad_error_t *err)
{
    char buf[4096];
    size_t n;
    FILE *f = fopen(path, "r");
    bool bad;
    s->l = 0;
    if (!f) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    while ((n = fread(buf, 1, sizeof buf, f)) > 0 && s->l < 1 << 20)
        if (kputsn(buf, n, s) < 0) break;
    bad = ferror(f) || n;
    fclose(f);
    return bad ? cad_fail(err, CAD_EIO, "%s: cannot be read", path) : 0;
}

/* Takes the line `  "KEY": "..."` out of a part's provenance: its value, "" if there is none. */
static void take_key(kstring_t *json, const char *key, char *value, size_t size)
{
    char head[32], *line, *end;
    size_t n;
    *value = 0;
    snprintf(head, sizeof head, "  \"%s\": \"", key);
    line = json->s ? strstr(json->s, head) : NULL;
    end = line ? strchr(line, '\n') : NULL;
    if (!end) return;
    n = strcspn(line + strlen(head), "\"");
    if (n < size) snprintf(value, size, "%.*s", (int)n, line + strlen(head));
    if (end[-1] != ',') { /* the last key: the comma before it goes too */
        line -= 2;
        end--;
    }
    memmove(line, end + 1, strlen(end + 1) + 1);
    json->l = strlen(json->s);
}

/* The provenance beside a part, which has as many bytes as that says. */
static int read_part(const char *path, kstring_t *json, cad_error_t *err)
{
    char *beside = suffixed(path, ".json"), bytes[24];
    struct stat sb;
    int64_t n = -1;
    int rc = beside ? slurp(beside, json, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0) take_key(json, "bytes", bytes, sizeof bytes);
    if (rc == 0 && !cad_parse_int(bytes, 0, INT64_MAX, &n))
        rc = cad_fail(err, CAD_EFORMAT, "%s: names no shard; only what --shard wrote can be merged", beside);
    if (rc == 0 && stat(path, &sb)) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    if (rc == 0 && (int64_t)sb.st_size != n)
        rc = cad_fail(err, CAD_EFORMAT,
                      "%s: damaged, or not the part of its .json: %lld bytes, not %lld; run its shard again", path,
                      (long long)sb.st_size, (long long)n);
    free(beside);
    return rc;
}

int part_write(const provenance_t *p, output_t *beside, output_t *out, cad_error_t *err)
{
    provenance_t mine = *p;
    char bytes[24];
    bool shard = false;
    int rc = output_sync(out, err);
    for (int i = 0; i < p->n; i++) shard |= !strcmp(p->key[i], "shard");
    snprintf(bytes, sizeof bytes, "%lld", (long long)output_bytes(out));
    if (shard) provenance_add(&mine, "bytes", bytes);
    return rc ? rc : provenance_write(&mine, beside, err);
}

bool part_whole(const char *path)
{
    kstring_t json = { 0, 0, NULL };
    bool whole = read_part(path, &json, NULL) == 0;
    free(json.s);
    return whole;
}

bool part_done(const char *path, const text_t *json)
{
    kstring_t have = { 0, 0, NULL };
    bool done = read_part(path, &have, NULL) == 0 && have.l == json->s.l && !memcmp(have.s, json->s.s, have.l);
    free(have.s);
    return done;
}

static int take_shard(const char *path, kstring_t *json, shard_t *s, cad_error_t *err)
{
    char text[48];
    take_key(json, "shard", text, sizeof text);
    return shard_parse(s, text, NULL)
               ? cad_fail(err, CAD_EFORMAT, "%s.json: names no shard; only what --shard wrote can be merged", path)
               : 0;
}

int parts_check(const char *const path[], int n, int order[], kstring_t *json, cad_error_t *err)
{
    kstring_t mine = { 0, 0, NULL };
    int rc = 0;
    for (int i = 0; i < n; i++) order[i] = -1;
    for (int i = 0; i < n && rc == 0; i++) {
        shard_t s = { 0 };
        rc = read_part(path[i], &mine, err);
        if (rc == 0) rc = take_shard(path[i], &mine, &s, err);
        if (rc) break;
        if (s.of != n)
            rc = cad_fail(err, CAD_EFORMAT, "%s: is shard %lld of %lld, but %d parts are given", path[i],
                          (long long)s.index, (long long)s.of, n);
        else if (order[s.index - 1] >= 0)
            rc = cad_fail(err, CAD_EFORMAT, "%s: is shard %lld, and so is %s", path[i], (long long)s.index,
                          path[order[s.index - 1]]);
        else if (i && (mine.l != json->l || memcmp(mine.s, json->s, mine.l)))
            rc = cad_fail(err, CAD_EFORMAT, "%s: was made otherwise than %s: compare their .json", path[i], path[0]);
        else order[s.index - 1] = i;
        if (rc == 0 && i == 0 && (json->l = 0, kputsn(mine.s, mine.l, json) < 0))
            rc = cad_fail(err, CAD_ENOMEM, "out of memory");
    }
    free(mine.s);
    return rc;
}
