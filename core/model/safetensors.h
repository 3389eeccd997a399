/* safetensors.h - reads and writes weight files in the safetensors format. SPDX-License-Identifier: MIT */
#ifndef CAD_SAFETENSORS_H
#define CAD_SAFETENSORS_H

#include "base/file.h"

/* ---- safetensors.c ---- */
typedef enum { CAD_F32, CAD_F16, CAD_BF16, CAD_F64, CAD_I64, CAD_OTHER } cad_dtype_t;
typedef struct cad_stored_t { /* one tensor in a file */
    char *name;
    cad_dtype_t dtype;
    char dtype_name[8];
    int ndim;
    int64_t shape[8], count;
    int64_t begin, bytes; /* begin: offset in its file */
    int fd;               /* index into the array of open files */
    bool used;
} cad_stored_t;
typedef struct cad_safetensors_t {
    cad_stored_t *tensor; /* sorted by name */
    int ntensor, nfile;
    int *fd;
    char **path;
    struct cad_pair_t {
        char *key, *value;
    } * meta; /* (nmeta) entries of __metadata__ */
    int nmeta;
} cad_safetensors_t;
/* path: one file, or an index.json that names shards in the same folder. */
int cad_safetensors_open(cad_safetensors_t *st, const char *path, cad_error_t *err);
void cad_safetensors_close(cad_safetensors_t *st);
cad_stored_t *cad_safetensors_find(const cad_safetensors_t *st, const char *name);
/* Reads a tensor of type F32, F16, BF16 or F64 as float32, or one of type I64. */
int cad_safetensors_f32(const cad_safetensors_t *st, const cad_stored_t *t, float *out, cad_error_t *err);
int cad_safetensors_i64(const cad_safetensors_t *st, const cad_stored_t *t, int64_t *out, cad_error_t *err);
/* Returns the value of a key of __metadata__, from the first shard that has it, or NULL. */
const char *cad_safetensors_meta(const cad_safetensors_t *st, const char *key);
/* Computes the SHA-256 of all files' bytes, in order, as 64 hex digits. */
int cad_safetensors_sha256(const cad_safetensors_t *st, char hex[65], cad_error_t *err);
/* Writes a shape as "(2,3)", for messages; returns buf. */
const char *cad_shape_text(const int64_t *shape, int ndim, char *buf, size_t size);

/* ---- safewrite.c ---- */
typedef struct cad_array_t { /* a tensor to write: F32 or I64, in C order */
    const char *name;
    cad_dtype_t dtype;
    int ndim;
    int64_t shape[3];
    const void *data;
} cad_array_t;
typedef struct cad_meta_t {
    const char *key, *value;
} cad_meta_t; /* omitted if value is NULL or "" */
/* Writes a weight file: tensors in the given order, metadata "format": "pt" and meta. */
int cad_safetensors_put(cad_file_t *f, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                        cad_error_t *err);
/* The same, to the file path, which is written whole or not at all. */
int cad_safetensors_write(const char *path, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                          cad_error_t *err);

#endif
