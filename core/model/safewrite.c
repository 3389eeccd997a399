/* safewrite.c - writes weight files in the safetensors format, which safetensors.c describes.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "model/archive.h"
#include "model/json.h"

static int64_t width(const cad_array_t *t) { return t->dtype == CAD_I64 ? 8 : t->dtype == CAD_F32 ? 4 : 2; }

static int64_t count(const cad_array_t *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
    return n;
}

static json_t *metadata(const cad_meta_t *meta, int n)
{
    json_t *o = json_pack("{s:s}", "format", "pt");
    for (int i = 0; i < n; i++)
        if (meta[i].value && *meta[i].value && json_object_set_new(o, meta[i].key, json_string(meta[i].value))) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static json_t *describe(const cad_array_t *t, int64_t begin)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->ndim; i++) json_array_append_new(shape, json_integer(t->shape[i]));
    static const char *const name[] = { [CAD_F32] = "F32", [CAD_F16] = "F16", [CAD_BF16] = "BF16", [CAD_I64] = "I64" };
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", name[t->dtype], "shape", shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)(begin + count(t) * width(t)));
}

/* Returns the header's text (malloc'd), padded with spaces to a multiple of 8 bytes. */
static char *header(const cad_array_t *t, int n, json_t *meta, size_t *size)
{
    json_t *root = json_pack("{s:o}", "__metadata__", meta);
    int64_t at = 0;
    bool good = root != NULL;
    char *text, *padded;
    for (int i = 0; i < n && good; i++) {
        good = json_object_set_new(root, t[i].name, describe(&t[i], at)) == 0;
        at += count(&t[i]) * width(&t[i]);
    }
    text = cad_json_text(root, JSON_COMPACT, size);
    padded = text && good ? realloc(text, (*size + 7) / 8 * 8) : NULL;
    if (!padded) free(text);
    else
        while (*size % 8) padded[(*size)++] = ' ';
    return padded;
}

/* Writes the low n bytes of u, little-endian. */
static void little(unsigned char *to, uint64_t u, int64_t n)
{
    for (int64_t k = 0; k < n; k++) to[k] = (unsigned char)(u >> 8 * k);
}

static uint32_t f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* Returns the bits of the bfloat16 nearest to a finite number, ties to even. */
static uint16_t to_bf16(float f)
{
    uint32_t u = f32_bits(f);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* Returns the bits of the float16 nearest to a number below 65520, ties to even. */
static uint16_t to_f16(float f)
{
    uint32_t u = f32_bits(f), sign = u >> 16 & 0x8000, bits;
    float a = fabsf(f);
    if (a < 0x1p-14f) bits = (uint32_t)rintf(a * 0x1p24f); /* subnormal: a multiple of 2^-24 */
    else {
        bits = u & 0x7fffffff;
        bits = (bits + 0xfff + (bits >> 13 & 1) - (112u << 23)) >> 13;
    }
    return (uint16_t)(sign | bits);
}

/* Returns the bits to store for number i, as t->dtype. */
static uint64_t stored(const cad_array_t *t, int64_t i)
{
    switch (t->dtype) {
    case CAD_F32: return f32_bits(((const float *)t->data)[i]);
    case CAD_F16: return to_f16(((const float *)t->data)[i]);
    case CAD_BF16: return to_bf16(((const float *)t->data)[i]);
    default: return (uint64_t)((const int64_t *)t->data)[i];
    }
}

static int put_array(cad_file_t *f, const cad_array_t *t, cad_error_t *err)
{
    unsigned char buf[1 << 14];
    int64_t size = width(t), per = (int64_t)sizeof buf / size, n = count(t);
    for (int64_t i = 0; i < n; i += per) {
        int64_t some = cad_min(per, n - i);
        int rc;
        for (int64_t k = 0; k < some; k++) little(buf + k * size, stored(t, i + k), size);
        if ((rc = cad_file_write(f, buf, (size_t)(some * size), err))) return rc;
    }
    return 0;
}

int cad_safetensors_put(cad_file_t *f, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                        cad_error_t *err)
{
    unsigned char length[8];
    size_t size;
    json_t *m = metadata(meta, nmeta);
    char *text = m ? header(array, n, m, &size) : NULL;
    int rc;
    if (!m) return cad_fail(err, CAD_EARG, "%s: a text of its metadata is not UTF-8, or memory is short", f->path);
    if (!text) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", f->path);
    little(length, size, 8);
    rc = cad_file_write(f, length, 8, err);
    if (rc == 0) rc = cad_file_write(f, text, size, err);
    for (int i = 0; i < n && rc == 0; i++) rc = put_array(f, &array[i], err);
    free(text);
    return rc;
}

int cad_safetensors_write(const char *path, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                          cad_error_t *err)
{
    cad_file_t f;
    int rc = cad_file_open(&f, path, err);
    if (rc) return rc;
    rc = cad_safetensors_put(&f, array, n, meta, nmeta, err);
    if (rc == 0) rc = cad_file_sync(&f, err);
    if (rc == 0) return cad_file_publish(&f, err);
    cad_file_abort(&f);
    return rc;
}
