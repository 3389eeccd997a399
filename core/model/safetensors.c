/* safetensors.c - reads weight files in the safetensors format.
 *
 * Format: header length (8 bytes, little-endian), a JSON header with dtype, shape and data_offsets of every tensor,
 * then the data without gaps. Everything is checked before memory is allocated. Files are read with pread, not mapped:
 * a file that shrinks must give an error, not a SIGBUS.
 * SPDX-License-Identifier: MIT
 */
#include <jansson.h>

#include "model/archive.h"

#define MAX_HEADER (100 << 20)
#define MAX_DEPTH 8

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
    int64_t stop, bytes, each;
    if (!json_is_object(v) || !dtype || !json_is_array(shape) || !json_is_array(off) || json_array_size(off) != 2 ||
        !whole(json_array_get(off, 0), &t->begin) || !whole(json_array_get(off, 1), &stop))
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: dtype, shape or data_offsets missing or malformed", path,
                        name);
    if (!(each = cad_stored_dtype(t, dtype)))
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: unknown dtype %.20s", path, name, dtype);
    if (json_array_size(shape) > 8)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s: more than 8 dimensions", path, name);
    t->ndim = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->ndim; i++)
        if (!whole(json_array_get(shape, (size_t)i), &t->shape[i]) || t->shape[i] == 0 ||
            __builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return cad_fail(err, CAD_EFORMAT,
                            "%s: tensor %s: a dimension is zero, malformed, or their product overflows", path, name);
    if (__builtin_mul_overflow(t->count, each, &bytes) || stop < t->begin || stop - t->begin != bytes)
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

static int parse_metadata(cad_archive_t *a, const json_t *meta, const char *path, cad_error_t *err)
{
    const char *key;
    json_t *v;
    int rc;
    if (!json_is_object(meta)) return cad_fail(err, CAD_EFORMAT, "%s: __metadata__ is not an object", path);
    json_object_foreach((json_t *)meta, key, v)
    {
        if (!json_is_string(v)) return cad_fail(err, CAD_EFORMAT, "%s: __metadata__.%s is not a string", path, key);
        if ((rc = cad_archive_add_meta(a, key, json_string_value(v), err))) return rc;
    }
    return 0;
}

static int parse_header(cad_archive_t *a, json_t *root, int file, int64_t data, int64_t end, cad_error_t *err)
{
    const char *path = a->file[file].path, *key;
    json_t *v;
    int first = a->ntensor, rc = 0;
    if (!json_is_object(root)) return cad_fail(err, CAD_EFORMAT, "%s: the header is not a JSON object", path);
    if (depth_of(root, MAX_DEPTH + 1) > MAX_DEPTH)
        return cad_fail(err, CAD_EFORMAT, "%s: the header is nested more than %d deep", path, MAX_DEPTH);
    json_object_foreach(root, key, v)
    {
        if (!strcmp(key, "__metadata__")) rc = parse_metadata(a, v, path, err);
        else {
            cad_stored_t *t = cad_archive_add(a, file, key);
            rc = t ? parse_tensor(t, key, v, data, end, path, err) : cad_out_of_memory(err);
        }
        if (rc) return rc;
    }
    qsort(a->tensor + first, (size_t)(a->ntensor - first), sizeof *a->tensor, by_begin);
    return check_gapless(a->tensor + first, a->ntensor - first, data, end, path, err);
}

static int open_file(cad_archive_t *a, int file, cad_error_t *err)
{
    const char *path = a->file[file].path;
    int64_t size = a->file[file].size;
    unsigned char head[9] = { 0 };
    uint64_t n;
    char *text;
    json_t *root;
    json_error_t je;
    int fd = a->file[file].fd, rc = cad_pread(fd, head, (size_t)cad_min(size, 9), 0, path, err);
    if (rc) return rc;
    n = cad_little(head, 8);
    if (size < 10 || n < 2 || n > MAX_HEADER || n > (uint64_t)size - 8)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: not a safetensors file, or cut short (header of %llu bytes in a file of %lld)", path,
                        (unsigned long long)n, (long long)size);
    if (head[8] != '{') return cad_fail(err, CAD_EFORMAT, "%s: the header does not begin with {", path);
    text = malloc(n);
    if (!text)
        return cad_fail(err, CAD_ENOMEM, "%s: out of memory for a header of %llu bytes", path, (unsigned long long)n);
    rc = cad_pread(fd, text, n, 8, path, err);
    root = rc ? NULL : json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    free(text);
    if (rc) return rc;
    if (!root) return cad_fail(err, CAD_EFORMAT, "%s: bad header: %s", path, je.text);
    rc = parse_header(a, root, file, 8 + (int64_t)n, size, err);
    json_decref(root);
    return rc;
}

static int read_numbers(const cad_archive_t *a, const cad_stored_t *t, cad_numbers_f *take, void *arg, cad_error_t *err)
{
    unsigned char buf[1 << 14];
    const cad_archive_file_t *f = &a->file[t->file];
    int64_t size = t->bytes / t->count, per = (int64_t)sizeof buf / size;
    for (int64_t i = 0; i < t->count; i += per) {
        int64_t n = cad_min(per, t->count - i);
        int rc = cad_pread(f->fd, buf, (size_t)(n * size), t->begin + i * size, f->path, err);
        if (rc) return rc;
        take(arg, i, n, buf);
    }
    return 0;
}

const cad_format_t cad_format_safetensors = { .open = open_file, .read = read_numbers };
