/* safetensors.h - reading and writing weight files. SPDX-License-Identifier: MIT */
#ifndef CAD_SAFETENSORS_H
#define CAD_SAFETENSORS_H

#include "base/file.h"

/* ---- safetensors.c ---- */
typedef enum { CAD_F32, CAD_F16, CAD_BF16, CAD_F64, CAD_I64, CAD_OTHER } cad_dtype_t;
typedef struct cad_stored_t { /* one tensor of a file */
    char *name;
    cad_dtype_t dtype;
    char dtype_name[8];
    int ndim;
    int64_t shape[8], count;
    int64_t begin, bytes; /* begin: offset in the file */
    int fd;               /* index into the open files */
    bool used;
} cad_stored_t;
typedef struct cad_safetensors_t {
    cad_stored_t *tensor; /* sorted by name */
    int ntensor, nfile;
    int *fd;
    char **path;
    struct cad_pair_t {
        char *key, *value;
    } * meta; /* __metadata__; nmeta of them */
    int nmeta;
} cad_safetensors_t;
/* path: one file, or an index.json naming shards beside it. */
int cad_safetensors_open(cad_safetensors_t *st, const char *path, cad_error_t *err);
void cad_safetensors_close(cad_safetensors_t *st);
cad_stored_t *cad_safetensors_find(const cad_safetensors_t *st, const char *name);
/* F32, F16, BF16 or F64 to float32. */
int cad_safetensors_f32(const cad_safetensors_t *st, const cad_stored_t *t, float *out, cad_error_t *err);
int cad_safetensors_i64(const cad_safetensors_t *st, const cad_stored_t *t, int64_t *out, cad_error_t *err);
/* __metadata__'s text for a key (of several shards, the first that has it), or NULL. */
const char *cad_safetensors_meta(const cad_safetensors_t *st, const char *key);
/* SHA-256 of the files' bytes in order, as 64 hex digits. */
int cad_safetensors_sha256(const cad_safetensors_t *st, char hex[65], cad_error_t *err);
/* "(2,3)" for messages. */
const char *cad_shape_text(const int64_t *shape, int ndim, char *buf, size_t size);

/* ---- safewrite.c ---- */
typedef struct cad_array_t { /* a tensor to be written: F32 or I64, in C order */
    const char *name;
    cad_dtype_t dtype;
    int ndim;
    int64_t shape[3];
    const void *data;
} cad_array_t;
typedef struct cad_meta_t {
    const char *key, *value;
} cad_meta_t; /* value NULL or "": left out */
/* A weight file with its tensors in the order given, metadata "format": "pt" and meta. */
int cad_safetensors_put(cad_file_t *f, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                        cad_error_t *err);
/* The same as a file of its own, whole or absent. */
int cad_safetensors_write(const char *path, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                          cad_error_t *err);

#endif
