/* targets.c - fuzz targets of checkpoints: weight files, the pickle in a weight file, config.json.
 * SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "model/archive.h"
#include "model/config.h"

#define MOST (1 << 16) /* maximum number of values of a tensor that are read */

static void read_tensors(const cad_archive_t *a)
{
    cad_error_t err;
    float *f = malloc(MOST * sizeof *f);
    int64_t *i = malloc(MOST * sizeof *i);
    for (int k = 0; f && i && k < a->ntensor; k++) {
        if (a->tensor[k].count > MOST) continue;
        cad_archive_f32(a, &a->tensor[k], f, &err);
        cad_archive_i64(a, &a->tensor[k], i, &err);
    }
    free(f);
    free(i);
}

static void weights(const uint8_t *data, size_t size)
{
    cad_archive_t a;
    cad_error_t err;
    char path[64];
    int fd = memfd_create("weights", MFD_CLOEXEC);
    if (fd < 0 || cad_write_all(fd, data, size)) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (cad_archive_open(&a, path, &err) == 0) read_tensors(&a);
    cad_archive_close(&a);
    close(fd);
}

void fuzz_torch(const uint8_t *data, size_t size) { weights(data, size); }
void fuzz_safetensors(const uint8_t *data, size_t size) { weights(data, size); }

void fuzz_config(const uint8_t *data, size_t size)
{
    cad_config_t cfg;
    cad_error_t err;
    json_t *root = NULL;
    if (cad_json_parse(&root, (const char *)data, size, "config.json", &err) == 0)
        cad_config_read(&cfg, root, "config.json", &err);
    json_decref(root);
}

/* ---- a pickle in a zip archive with correct checksums ---- */

typedef struct {
    uint8_t *b;
    size_t n, central, members;
    uint8_t directory[1024];
} zip_t;

static uint32_t crc32_of(const uint8_t *b, size_t n)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= b[i];
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

static uint8_t *put(uint8_t *at, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) at[i] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
    return at + n;
}

/* Writes the fields that the local and the central record of a member have in common. Returns the end of the record. */
static uint8_t *put_fields(uint8_t *at, const uint8_t *data, size_t size, size_t name)
{
    at = put(at, 20, 2);
    at = put(at, 0, 2 + 2 + 4); /* flags, stored, no time */
    at = put(at, crc32_of(data, size), 4);
    at = put(at, size, 4);
    at = put(at, size, 4);
    return put(at, name, 2 + 2);
}

static void add(zip_t *z, const char *name, const void *data, size_t size)
{
    size_t length = strlen(name);
    uint8_t *c = z->directory + z->central, *l = z->b + z->n;
    c = put(put(c, 0x02014b50, 4), 20, 2);
    c = put_fields(c, data, size, length);
    c = put(put(c, 0, 2 + 2 + 2 + 4), z->n, 4);
    memcpy(c, name, length);
    l = put_fields(put(l, 0x04034b50, 4), data, size, length);
    memcpy(l, name, length);
    memcpy(l + length, data, size);
    z->central = (size_t)(c + length - z->directory);
    z->n = (size_t)(l + length + size - z->b);
    z->members++;
}

static void finish(zip_t *z)
{
    uint8_t *at = z->b + z->n;
    memcpy(at, z->directory, z->central);
    at = put(put(at + z->central, 0x06054b50, 4), 0, 4);
    at = put(put(at, z->members, 2), z->members, 2);
    at = put(put(put(at, z->central, 4), z->n, 4), 0, 2);
    z->n = (size_t)(at - z->b);
}

void fuzz_pickle(const uint8_t *data, size_t size)
{
    static const uint8_t zeros[1024];
    zip_t z = { .b = malloc(size + 16384) };
    if (!z.b) return;
    add(&z, "a/data.pkl", data, size);
    add(&z, "a/version", "3\n", 2);
    for (int i = 0; i < 5; i++) { /* storages of 4 to 1024 bytes */
        char name[16];
        snprintf(name, sizeof name, "a/data/%d", i);
        add(&z, name, zeros, (size_t)4 << 2 * i);
    }
    finish(&z);
    weights(z.b, z.n);
    free(z.b);
}
