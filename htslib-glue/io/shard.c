/* shard.c - parses --shard, and names the parts, which are the output files of shards. SPDX-License-Identifier: MIT */
#include "io/shard.h"

/* Refuses a Slurm job array whose tasks cannot be all shards of a run: an array of one task, or task numbers with
 * gaps. */
static int check_array(const shard_t *s, cad_error_t *err)
{
    const char *text = getenv("SLURM_ARRAY_TASK_COUNT");
    int64_t count = s->of;
    if (s->of == 1)
        return cad_fail(err, CAD_EARG,
                        "--shard slurm: the array has one task, which would do all the work; for one of 8 shares "
                        "write --shard $SLURM_ARRAY_TASK_ID/8");
    if (!text || !cad_parse_int(text, 1, INT32_MAX, &count) || count == s->of) return 0;
    return cad_fail(err, CAD_EARG,
                    "--shard slurm: the array has %lld tasks, with gaps between them; for one of 8 shares write "
                    "--shard $SLURM_ARRAY_TASK_ID/8",
                    (long long)count);
}

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
    s->slurm = true;
    if ((v[0] - v[1]) % v[3] || s->index < 1 || s->index > s->of)
        return cad_fail(err, CAD_EARG, "--shard slurm: task %lld is not one of the array", (long long)v[0]);
    return check_array(s, err);
}

bool shard_ratio(shard_t *s, const char *text)
{
    const char *slash = strchr(text, '/');
    char first[32] = "";
    if (slash && (size_t)(slash - text) < sizeof first) memcpy(first, text, (size_t)(slash - text));
    return slash && cad_parse_int(slash + 1, 1, 1 << 30, &s->of) && cad_parse_int(first, 1, s->of, &s->index);
}

int shard_parse(shard_t *s, const char *text, cad_error_t *err)
{
    *s = (shard_t) { 0 };
    if (!strcmp(text, "slurm")) return from_slurm(s, err);
    if (shard_ratio(s, text)) return 0;
    return cad_fail(err, CAD_EARG, "--shard %.40s: expected I/N with 1 <= I <= N, or slurm", text);
}

char *shard_path(const shard_t *s, const char *path)
{
    static const char field[] = "{shard}";
    size_t width = (size_t)snprintf(NULL, 0, "%lld", (long long)s->of);
    text_t t = { 0 };
    for (const char *at; (at = strstr(path, field)); path = at + strlen(field)) {
        text_put(&t, path, (size_t)(at - path));
        text_printf(&t, "%0*lld-of-%lld", (int)width, (long long)s->index, (long long)s->of);
    }
    text_puts(&t, path);
    if (!t.failed) return t.s.s;
    text_free(&t);
    return NULL;
}

bool shard_has(const shard_t *s, int64_t w)
{
    int64_t k = s->total ? (int64_t)((unsigned __int128)w * (uint64_t)s->of / (uint64_t)s->total) : 0;
    return s->of == 0 || cad_min(k, s->of - 1) == s->index - 1;
}

void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48])
{
    if (!s->of) return;
    snprintf(work, 64, "%lld tokens %016llx", (long long)s->total, (unsigned long long)s->digest);
    provenance_add(p, "work", work);
    snprintf(text, 48, "%lld/%lld", (long long)s->index, (long long)s->of);
    provenance_add(p, "shard", text);
}
