/* safetensors.c - reads weight files.
 *
 * Format: header length (8 bytes, little-endian), a JSON header with dtype, shape and data_offsets
 * of every tensor, then the data without gaps. Everything is checked before memory is allocated.
 * Files are read with pread, not mapped: a file that shrinks must be an error, not a SIGBUS.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/safetensors.h"

#define MAX_HEADER (100 << 20)
#define MAX_DEPTH 8

static const struct {
    const char *name;
    cad_dtype_t type;
    int bytes;
} DTYPE[] = {
    { "F32", CAD_F32, 4 },    { "F16", CAD_F16, 2 },   { "BF16", CAD_BF16, 2 }, { "F64", CAD_F64, 8 },
    { "I64", CAD_I64, 8 },    { "I32", CAD_OTHER, 4 }, { "I16", CAD_OTHER, 2 }, { "I8", CAD_OTHER, 1 },
    { "U64", CAD_OTHER, 8 },  { "U32", CAD_OTHER, 4 }, { "U16", CAD_OTHER, 2 }, { "U8", CAD_OTHER, 1 },
    { "BOOL", CAD_OTHER, 1 },
};

const char *cad_shape_text(const int64_t *shape, int ndim, char *buf, size_t size)
{
    size_t n = 0;
    if (size) buf[0] = 0;
    for (int i = 0; i < ndim && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%lld", i ? "," : "(", (long long)shape[i]);
    if (n < size) snprintf(buf + n, size - n, "%s", ndim ? ")" : "()");
    return buf;
}

/* Describes a file of another type by its first bytes, or returns NULL. */
static const char *disguise(const unsigned char *b, size_t n)
{
    if (n >= 11 && !memcmp(b, "version htt", 11)) return "a git-LFS pointer; fetch the file itself with `git lfs pull`";
    if (n >= 4 && !memcmp(b, "PK\3\4", 4)) return "a zip archive (a PyTorch pickle?); convert it to safetensors";
    if (n >= 2 && b[0] == 0x80 && b[1] <= 5) return "a Python pickle; convert it to safetensors";
    while (n && (*b == ' ' || *b == '\n' || *b == '\r' || *b == '\t')) {
        b++;
        n--;
    }
    if (n >= 2 && b[0] == '<' && (b[1] == '!' || b[1] == 'h' || b[1] == 'H'))
        return "an HTML page; the download failed";
    return NULL;
}

static int depth_of(const json_t *v, int limit)
{
    int deepest = 0;
    const char *key;
    json_t *child;
    size_t i;
    if (limit == 0) return 1;
    if (json_is_object(v)) {
        json_object_foreach((json_t *)v, key, child)
        {
            int d = depth_of(child, limit - 1);
            if (d > deepest) deepest = d;
        }
        return deepest + 1;
    }
    json_array_foreach(v, i, child)
    {
        int d = depth_of(child, limit - 1);
        if (d > deepest) deepest = d;
    }
    return json_is_array(v) ? deepest + 1 : 0;
}

/* Reads an integer in [0, 2^53]; false otherwise. */
static bool whole(const json_t *v, int64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > (json_int_t)1 << 53) return false;
    *out = json_integer_value(v);
    return true;
}

static int parse_tensor(cad_stored_t *t, const char *name, const json_t *v, int64_t data, int64_t end, const char *path,
                        cad_error_t *err)
{
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    const json_t *shape = json_object_get(v, "shape"), *off = json_object_get(v, "data_offsets");
    int64_t stop, bytes;
    size_t k;
    t->name = strdup(name);
    if (!t->name) return cad_out_of_memory(err);
    if (!json_is_object(v) || !dtype || !json_is_array(shape) || !json_is_array(off) || json_array_size(off) != 2 ||
        !whole(json_array_get(off, 0), &t->begin) || !whole(json_array_get(off, 1), &stop))
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: dtype, shape or data_offsets missing or malformed", path,
                        name);
    for (k = 0; k < sizeof DTYPE / sizeof *DTYPE && strcmp(DTYPE[k].name, dtype); k++) {}
    if (k == sizeof DTYPE / sizeof *DTYPE)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: unknown dtype %.20s", path, name, dtype);
    t->dtype = DTYPE[k].type;
    snprintf(t->dtype_name, sizeof t->dtype_name, "%s", dtype);
    if (json_array_size(shape) > 8)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: more than 8 dimensions", path, name);
    t->ndim = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->ndim; i++)
        if (!whole(json_array_get(shape, (size_t)i), &t->shape[i]) || t->shape[i] == 0 ||
            __builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return cad_fail(err, CAD_EFORMAT,
                            "%s: tensor %s: a dimension is zero, malformed, or their product overflows", path, name);
    if (__builtin_mul_overflow(t->count, (int64_t)DTYPE[k].bytes, &bytes) || stop < t->begin ||
        stop - t->begin != bytes)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: data_offsets do not span its shape", path, name);
    if (stop > end - data)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s lies past the end of the file; is the copy complete?", path,
                        name);
    t->bytes = bytes;
    t->begin += data;
    return 0;
}

static int by_begin(const void *a, const void *b)
{
    const cad_stored_t *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cad_stored_t *)a)->name, ((const cad_stored_t *)b)->name);
}

static int check_gapless(const cad_stored_t *t, int n, int64_t data, int64_t end, const char *path, cad_error_t *err)
{
    int64_t at = data;
    for (int i = 0; i < n; i++) {
        if (t[i].begin != at)
            return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: data_offsets %s the tensor before it", path, t[i].name,
                            t[i].begin < at ? "overlap" : "leave a hole after");
        at += t[i].bytes;
    }
    if (at != end)
        return cad_fail(err, CAD_EFORMAT, "%s: %lld bytes follow the last tensor", path, (long long)(end - at));
    return 0;
}

static int add_meta(cad_safetensors_t *st, const char *key, const char *value, cad_error_t *err)
{
    struct cad_pair_t *p = realloc(st->meta, ((size_t)st->nmeta + 1) * sizeof *p);
    if (!p) return cad_out_of_memory(err);
    st->meta = p;
    p += st->nmeta++;
    p->key = strdup(key);
    p->value = strdup(value);
    return p->key && p->value ? 0 : cad_out_of_memory(err);
}

static int parse_metadata(cad_safetensors_t *st, const json_t *meta, const char *path, cad_error_t *err)
{
    const char *key;
    json_t *v;
    int rc;
    if (!json_is_object(meta)) return cad_fail(err, CAD_EFORMAT, "%s: __metadata__ is not an object", path);
    json_object_foreach((json_t *)meta, key, v)
    {
        if (!json_is_string(v)) return cad_fail(err, CAD_EFORMAT, "%s: __metadata__.%s is not a string", path, key);
        if ((rc = add_meta(st, key, json_string_value(v), err))) return rc;
    }
    return 0;
}

static int parse_header(cad_safetensors_t *st, json_t *root, int file, int64_t data, int64_t end, cad_error_t *err)
{
    const char *path = st->path[file], *key;
    json_t *v;
    int first = st->ntensor, rc = 0;
    cad_stored_t *grown;
    if (!json_is_object(root)) return cad_fail(err, CAD_EFORMAT, "%s: the header is not a JSON object", path);
    if (depth_of(root, MAX_DEPTH + 1) > MAX_DEPTH)
        return cad_fail(err, CAD_EFORMAT, "%s: the header is nested more than %d deep", path, MAX_DEPTH);
    grown = realloc(st->tensor, ((size_t)st->ntensor + json_object_size(root) + 1) * sizeof *grown);
    if (!grown) return cad_out_of_memory(err);
    st->tensor = grown;
    json_object_foreach(root, key, v)
    {
        if (!strcmp(key, "__metadata__")) rc = parse_metadata(st, v, path, err);
        else {
            cad_stored_t *t = &st->tensor[st->ntensor++];
            memset(t, 0, sizeof *t);
            t->fd = file;
            rc = parse_tensor(t, key, v, data, end, path, err);
        }
        if (rc) return rc;
    }
    qsort(st->tensor + first, (size_t)(st->ntensor - first), sizeof *st->tensor, by_begin);
    return check_gapless(st->tensor + first, st->ntensor - first, data, end, path, err);
}

static int read_header(cad_safetensors_t *st, int file, cad_error_t *err)
{
    const char *path = st->path[file];
    unsigned char head[16] = { 0 };
    int fd = st->fd[file], rc;
    uint64_t n = 0;
    struct stat sb;
    char *text;
    json_t *root;
    json_error_t je;
    if (fstat(fd, &sb)) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(sb.st_mode)) return cad_fail(err, CAD_EFORMAT, "%s: not a regular file", path);
    size_t probe = sb.st_size < 16 ? (size_t)sb.st_size : 16;
    if ((rc = cad_pread(fd, head, probe, 0, path, err))) return rc;
    if (disguise(head, probe)) return cad_fail(err, CAD_EFORMAT, "%s: not weights but %s", path, disguise(head, probe));
    for (int i = 7; i >= 0; i--) n = n << 8 | head[i];
    if (probe < 10 || n < 2 || n > MAX_HEADER || n > (uint64_t)sb.st_size - 8)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: not a safetensors file, or cut short (header of %llu bytes in a file of %lld)", path,
                        (unsigned long long)n, (long long)sb.st_size);
    if (head[8] != '{') return cad_fail(err, CAD_EFORMAT, "%s: the header does not begin with {", path);
    text = malloc(n);
    if (!text)
        return cad_fail(err, CAD_ENOMEM, "%s: out of memory for a header of %llu bytes", path, (unsigned long long)n);
    rc = cad_pread(fd, text, n, 8, path, err);
    root = rc ? NULL : json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    free(text);
    if (rc) return rc;
    if (!root) return cad_fail(err, CAD_EFORMAT, "%s: bad header: %s", path, je.text);
    rc = parse_header(st, root, file, 8 + (int64_t)n, sb.st_size, err);
    json_decref(root);
    return rc;
}

/* Opens a file and adds it to st, which then owns path. */
static int add_file(cad_safetensors_t *st, char *path, cad_error_t *err)
{
    int *fd = realloc(st->fd, (size_t)(st->nfile + 1) * sizeof *fd);
    char **paths = NULL;
    if (fd) st->fd = fd;
    if (fd) paths = realloc(st->path, (size_t)(st->nfile + 1) * sizeof *paths);
    if (paths) st->path = paths;
    if (!path || !fd || !paths) {
        free(path);
        return cad_out_of_memory(err);
    }
    st->path[st->nfile] = path;
    st->fd[st->nfile] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (st->fd[st->nfile++] < 0) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    return read_header(st, st->nfile - 1, err);
}

static bool has_file(const cad_safetensors_t *st, const char *path)
{
    for (int i = 0; i < st->nfile; i++)
        if (!strcmp(st->path[i], path)) return true;
    return false;
}

static int add_shards(cad_safetensors_t *st, const char *index, cad_error_t *err)
{
    json_error_t je;
    json_t *root, *map, *v;
    const char *slash = strrchr(index, '/'), *key;
    char *text;
    size_t n;
    int rc = cad_read_text(&text, &n, index, false, err);
    if (rc) return rc;
    root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    free(text);
    if (!root) return cad_fail(err, CAD_EFORMAT, "%s:%d: %s", index, je.line, je.text);
    map = json_object_get(root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0)
        rc = cad_fail(err, CAD_EFORMAT, "%s: has no \"weight_map\"", index);
    json_object_foreach(map, key, v)
    {
        const char *name = json_string_value(v);
        char *dir, *path;
        if (!name || !*name || strchr(name, '/') || name[0] == '.') {
            rc = cad_fail(err, CAD_EFORMAT, "%s: shard \"%.100s\" is not a plain file name beside it", index,
                          name ? name : "?");
            break;
        }
        dir = slash ? strndup(index, (size_t)(slash - index)) : strdup(".");
        path = dir ? cad_path_join(dir, name) : NULL;
        free(dir);
        if (path && has_file(st, path)) free(path);
        else rc = add_file(st, path, err);
        if (rc) break;
    }
    json_decref(root);
    return rc;
}

int cad_safetensors_open(cad_safetensors_t *st, const char *path, cad_error_t *err)
{
    size_t n = strlen(path);
    int rc;
    memset(st, 0, sizeof *st);
    if (n > 5 && !strcmp(path + n - 5, ".json")) rc = add_shards(st, path, err);
    else rc = add_file(st, strdup(path), err);
    if (rc) return rc;
    qsort(st->tensor, (size_t)st->ntensor, sizeof *st->tensor, by_name);
    for (int i = 1; i < st->ntensor; i++)
        if (!strcmp(st->tensor[i].name, st->tensor[i - 1].name))
            return cad_fail(err, CAD_EFORMAT, "%s: tensor %s stands in two shards", path, st->tensor[i].name);
    return 0;
}

void cad_safetensors_close(cad_safetensors_t *st)
{
    for (int i = 0; i < st->ntensor; i++) free(st->tensor[i].name);
    for (int i = 0; i < st->nfile; i++) {
        if (st->fd[i] >= 0) close(st->fd[i]);
        free(st->path[i]);
    }
    free(st->tensor);
    free(st->fd);
    free(st->path);
    for (int i = 0; i < st->nmeta; i++) {
        free(st->meta[i].key);
        free(st->meta[i].value);
    }
    free(st->meta);
    memset(st, 0, sizeof *st);
}

cad_stored_t *cad_safetensors_find(const cad_safetensors_t *st, const char *name)
{
    cad_stored_t key = { .name = (char *)name };
    if (st->ntensor == 0) return NULL;
    return bsearch(&key, st->tensor, (size_t)st->ntensor, sizeof key, by_name);
}

const char *cad_safetensors_meta(const cad_safetensors_t *st, const char *key)
{
    for (int i = 0; i < st->nmeta; i++)
        if (!strcmp(st->meta[i].key, key)) return st->meta[i].value;
    return NULL;
}

static float bits_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static float half_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 1023;
    if (exp == 31) return bits_f32(sign | 0x7f800000 | man << 13);
    if (exp) return bits_f32(sign | (exp + 112) << 23 | man << 13);
    return bits_f32(sign | 0x3f800000) * (float)man * 0x1p-24f;
}

static uint64_t little(const unsigned char *b, int n)
{
    uint64_t u = 0;
    for (int i = n - 1; i >= 0; i--) u = u << 8 | b[i];
    return u;
}

static float one_f32(const unsigned char *b, cad_dtype_t type)
{
    uint64_t u;
    double d;
    switch (type) {
    case CAD_F32: return bits_f32((uint32_t)little(b, 4));
    case CAD_F16: return half_f32((uint16_t)little(b, 2));
    case CAD_BF16: return bits_f32((uint32_t)little(b, 2) << 16);
    default:
        u = little(b, 8);
        memcpy(&d, &u, 8);
        return (float)d;
    }
}

/* Reads t in chunks and calls put with the bytes of each number. */
static int stream(const cad_safetensors_t *st, const cad_stored_t *t, void *out,
                  void (*put)(void *out, int64_t i, const unsigned char *b, cad_dtype_t), cad_error_t *err)
{
    unsigned char buf[1 << 14];
    int size = (int)(t->bytes / t->count);
    int64_t per = (int64_t)sizeof buf / size;
    for (int64_t i = 0; i < t->count; i += per) {
        int64_t n = cad_min(per, t->count - i);
        int rc = cad_pread(st->fd[t->fd], buf, (size_t)(n * size), t->begin + i * size, st->path[t->fd], err);
        if (rc) return rc;
        for (int64_t k = 0; k < n; k++) put(out, i + k, buf + k * size, t->dtype);
    }
    return 0;
}

static void put_f32(void *out, int64_t i, const unsigned char *b, cad_dtype_t type)
{
    ((float *)out)[i] = one_f32(b, type);
}
static void put_i64(void *out, int64_t i, const unsigned char *b, cad_dtype_t type)
{
    (void)type;
    ((int64_t *)out)[i] = (int64_t)little(b, 8);
}

int cad_safetensors_f32(const cad_safetensors_t *st, const cad_stored_t *t, float *out, cad_error_t *err)
{
    if (t->dtype != CAD_F32 && t->dtype != CAD_F16 && t->dtype != CAD_BF16 && t->dtype != CAD_F64)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s is %s; expected F32, F16, BF16 or F64", st->path[t->fd],
                        t->name, t->dtype_name);
    return stream(st, t, out, put_f32, err);
}

int cad_safetensors_i64(const cad_safetensors_t *st, const cad_stored_t *t, int64_t *out, cad_error_t *err)
{
    if (t->dtype != CAD_I64)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s is %s; expected I64", st->path[t->fd], t->name, t->dtype_name);
    return stream(st, t, out, put_i64, err);
}

int cad_safetensors_sha256(const cad_safetensors_t *st, char hex[65], cad_error_t *err)
{
    unsigned char buf[1 << 16], digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;
    sha256_init(&sha);
    for (int i = 0; i < st->nfile; i++) {
        struct stat sb;
        if (fstat(st->fd[i], &sb)) return cad_fail(err, CAD_EIO, "%s: %s", st->path[i], strerror(errno));
        for (int64_t at = 0; at < sb.st_size; at += (int64_t)sizeof buf) {
            size_t n = (size_t)cad_min((int64_t)sizeof buf, sb.st_size - at);
            int rc = cad_pread(st->fd[i], buf, n, at, st->path[i], err);
            if (rc) return rc;
            sha256_update(&sha, n, buf);
        }
    }
    sha256_digest(&sha, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
