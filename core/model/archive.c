/* archive.c - opens weight files of any format, finds their tensors and reads them as float32.
 *
 * Files are read, not mapped: a file that shrinks must give an error, not a SIGBUS.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/archive.h"

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

/* Returns a description of a file that holds no weights, judged by its first n bytes `b`; NULL if the file may hold
 * weights. */
static const char *disguise(const unsigned char *b, size_t n)
{
    if (n >= 9 && !b[6] && !b[7] && b[8] == '{') return NULL; /* safetensors: 8 bytes of size, then the header */
    if (n >= 11 && !memcmp(b, "version htt", 11)) return "a git-LFS pointer; fetch the file itself with `git lfs pull`";
    if (n >= 14 && !memcmp(b, "\x80\2\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19", 14))
        return "a file of PyTorch before 1.6; in Python: torch.save(torch.load(FILE, map_location=\"cpu\"), FILE)";
    if (n >= 2 && b[0] == 0x80 && b[1] <= 5) return "a Python pickle; save the state dict with torch.save";
    if (n >= 4 && !memcmp(b, "PK\5\6", 4)) return "an empty zip archive";
    while (n && (*b == ' ' || *b == '\n' || *b == '\r' || *b == '\t')) {
        b++;
        n--;
    }
    if (n >= 2 && b[0] == '<' && (b[1] == '!' || b[1] == 'h' || b[1] == 'H'))
        return "an HTML page; the download failed";
    return NULL;
}

/* ---- lists of tensors and texts ---- */

int64_t cad_stored_dtype(cad_stored_t *t, const char *dtype)
{
    for (size_t k = 0; k < sizeof DTYPE / sizeof *DTYPE; k++)
        if (!strcmp(DTYPE[k].name, dtype)) {
            t->dtype = DTYPE[k].type;
            snprintf(t->dtype_name, sizeof t->dtype_name, "%s", dtype);
            return DTYPE[k].bytes;
        }
    return 0;
}

cad_stored_t *cad_archive_add(cad_archive_t *a, int file, const char *name)
{
    cad_stored_t *t = a->tensor;
    if ((a->ntensor & (a->ntensor - 1)) == 0) { /* full: the capacity is always a power of two */
        t = realloc(t, (a->ntensor ? 2 * (size_t)a->ntensor : 1) * sizeof *t);
        if (!t) return NULL;
        a->tensor = t;
    }
    t += a->ntensor;
    memset(t, 0, sizeof *t);
    t->file = file;
    t->name = strdup(name);
    if (!t->name) return NULL;
    a->ntensor++;
    return t;
}

int cad_archive_add_meta(cad_archive_t *a, const char *key, const char *value, cad_error_t *err)
{
    struct cad_pair_t *p = realloc(a->meta, ((size_t)a->nmeta + 1) * sizeof *p);
    if (!p) return cad_out_of_memory(err);
    a->meta = p;
    p += a->nmeta++;
    p->key = strdup(key);
    p->value = strdup(value);
    return p->key && p->value ? 0 : cad_out_of_memory(err);
}

/* ---- opening ---- */

static int open_file(cad_archive_t *a, int file, cad_error_t *err)
{
    cad_archive_file_t *f = &a->file[file];
    unsigned char head[16] = { 0 };
    struct stat sb;
    size_t n;
    int rc;
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &sb)) return cad_fail(err, CAD_EIO, "%s: %s", f->path, strerror(errno));
    if (!S_ISREG(sb.st_mode)) return cad_fail(err, CAD_EFORMAT, "%s: not a regular file", f->path);
    f->size = sb.st_size;
    n = sb.st_size < 16 ? (size_t)sb.st_size : 16;
    if ((rc = cad_pread(f->fd, head, n, 0, f->path, err))) return rc;
    if (disguise(head, n)) return cad_fail(err, CAD_EFORMAT, "%s: not weights but %s", f->path, disguise(head, n));
    f->format = n >= 4 && !memcmp(head, "PK\3\4", 4) ? &cad_format_torch : &cad_format_safetensors;
    return f->format->open(a, file, err);
}

/* Opens a file and adds it to the archive, which then owns path. */
static int add_file(cad_archive_t *a, char *path, cad_error_t *err)
{
    cad_archive_file_t *f = path ? realloc(a->file, ((size_t)a->nfile + 1) * sizeof *f) : NULL;
    if (!f) {
        free(path);
        return cad_out_of_memory(err);
    }
    a->file = f;
    a->file[a->nfile] = (cad_archive_file_t) { .path = path, .fd = -1 };
    return open_file(a, a->nfile++, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cad_stored_t *)a)->name, ((const cad_stored_t *)b)->name);
}

void cad_archive_sort(cad_archive_t *a)
{
    if (a->ntensor) qsort(a->tensor, (size_t)a->ntensor, sizeof *a->tensor, by_name);
    a->nsorted = a->ntensor;
}

static bool has_file(const cad_archive_t *a, const char *path)
{
    for (int i = 0; i < a->nfile; i++)
        if (!strcmp(a->file[i].path, path)) return true;
    return false;
}

static int add_shards(cad_archive_t *a, const char *index, cad_error_t *err)
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
        if (path && has_file(a, path)) free(path);
        else rc = add_file(a, path, err);
        if (rc) break;
    }
    json_decref(root);
    return rc;
}

int cad_archive_open(cad_archive_t *a, const char *path, cad_error_t *err)
{
    size_t n = strlen(path);
    int rc;
    memset(a, 0, sizeof *a);
    if (n > 5 && !strcmp(path + n - 5, ".json")) rc = add_shards(a, path, err);
    else rc = add_file(a, strdup(path), err);
    if (rc) return rc;
    cad_archive_sort(a);
    for (int i = 1; i < a->ntensor; i++)
        if (!strcmp(a->tensor[i].name, a->tensor[i - 1].name))
            return cad_fail(err, CAD_EFORMAT, "%s: tensor %s stands %s", path, a->tensor[i].name,
                            a->nfile > 1 ? "in two shards" : "there twice");
    return 0;
}

/* Appends the files of `from` to those of `a`; `from` then has none. */
static int join_files(cad_archive_t *a, cad_archive_t *from, cad_error_t *err)
{
    cad_archive_file_t *f = realloc(a->file, (size_t)(a->nfile + from->nfile) * sizeof *f);
    if (!f) return cad_out_of_memory(err);
    a->file = f;
    for (int i = 0; i < from->nfile; i++) a->file[a->nfile++] = from->file[i];
    from->nfile = 0;
    return 0;
}

int cad_archive_join(cad_archive_t *a, cad_archive_t *from, cad_error_t *err)
{
    int first = a->nfile, rc = join_files(a, from, err);
    for (int i = 0; i < from->ntensor && rc == 0; i++) {
        cad_stored_t moved = from->tensor[i], *to = cad_archive_find(a, moved.name);
        if (!to) to = cad_archive_add(a, 0, moved.name);
        if (!to) return cad_out_of_memory(err);
        moved.name = to->name;
        moved.file += first;
        *to = moved;
    }
    cad_archive_sort(a);
    return rc;
}

void cad_archive_close(cad_archive_t *a)
{
    for (int i = 0; i < a->ntensor; i++) free(a->tensor[i].name);
    for (int i = 0; i < a->nfile; i++) {
        cad_archive_file_t *f = &a->file[i];
        if (f->format && f->format->close) f->format->close(f);
        if (f->fd >= 0) close(f->fd);
        free(f->path);
    }
    free(a->tensor);
    free(a->file);
    for (int i = 0; i < a->nmeta; i++) {
        free(a->meta[i].key);
        free(a->meta[i].value);
    }
    free(a->meta);
    memset(a, 0, sizeof *a);
}

cad_stored_t *cad_archive_find(const cad_archive_t *a, const char *name)
{
    cad_stored_t key = { .name = (char *)name };
    if (a->nsorted == 0) return NULL;
    return bsearch(&key, a->tensor, (size_t)a->nsorted, sizeof key, by_name);
}

const char *cad_archive_meta(const cad_archive_t *a, const char *key)
{
    for (int i = 0; i < a->nmeta; i++)
        if (!strcmp(a->meta[i].key, key)) return a->meta[i].value;
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

static float one_f32(const unsigned char *b, cad_dtype_t type)
{
    uint64_t u;
    double d;
    switch (type) {
    case CAD_F32: return bits_f32((uint32_t)cad_little(b, 4));
    case CAD_F16: return half_f32((uint16_t)cad_little(b, 2));
    case CAD_BF16: return bits_f32((uint32_t)cad_little(b, 2) << 16);
    default:
        u = cad_little(b, 8);
        memcpy(&d, &u, 8);
        return (float)d;
    }
}

typedef struct {
    cad_dtype_t dtype;
    int64_t size; /* bytes of one number in the file */
    void *out;
} sink_t;

static void put_f32(void *arg, int64_t i, int64_t n, const unsigned char *b)
{
    const sink_t *s = arg;
    float *out = (float *)s->out + i;
    for (int64_t k = 0; k < n; k++) out[k] = one_f32(b + k * s->size, s->dtype);
}

static void put_i64(void *arg, int64_t i, int64_t n, const unsigned char *b)
{
    int64_t *out = (int64_t *)((const sink_t *)arg)->out + i;
    for (int64_t k = 0; k < n; k++) out[k] = (int64_t)cad_little(b + 8 * k, 8);
}

static int stream(const cad_archive_t *a, const cad_stored_t *t, cad_numbers_f *put, void *out, cad_error_t *err)
{
    sink_t s = { t->dtype, t->bytes / t->count, out };
    return a->file[t->file].format->read(a, t, put, &s, err);
}

int cad_archive_f32(const cad_archive_t *a, const cad_stored_t *t, float *out, cad_error_t *err)
{
    if (t->dtype != CAD_F32 && t->dtype != CAD_F16 && t->dtype != CAD_BF16 && t->dtype != CAD_F64)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s is %s; expected F32, F16, BF16 or F64", a->file[t->file].path,
                        t->name, t->dtype_name);
    return stream(a, t, put_f32, out, err);
}

int cad_archive_i64(const cad_archive_t *a, const cad_stored_t *t, int64_t *out, cad_error_t *err)
{
    if (t->dtype != CAD_I64)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s is %s; expected I64", a->file[t->file].path, t->name,
                        t->dtype_name);
    return stream(a, t, put_i64, out, err);
}

int cad_archive_sha256(const cad_archive_t *a, char hex[65], cad_error_t *err)
{
    unsigned char buf[1 << 16], digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;
    sha256_init(&sha);
    for (int i = 0; i < a->nfile; i++) {
        const cad_archive_file_t *f = &a->file[i];
        for (int64_t at = 0; at < f->size; at += (int64_t)sizeof buf) {
            size_t n = (size_t)cad_min((int64_t)sizeof buf, f->size - at);
            int rc = cad_pread(f->fd, buf, n, at, f->path, err);
            if (rc) return rc;
            sha256_update(&sha, n, buf);
        }
    }
    sha256_digest(&sha, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
