/* archive.h - reads the tensors of weight files, in each format that has a reader; writes safetensors.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_ARCHIVE_H
#define CAD_ARCHIVE_H

#include "base/file.h"

typedef enum { CAD_F32, CAD_F16, CAD_BF16, CAD_F64, CAD_I64, CAD_OTHER } cad_dtype_t;

typedef struct cad_stored_t { /* a tensor in a weight file */
    char *name;
    cad_dtype_t dtype;
    char dtype_name[8]; /* as safetensors writes it: "F32", "BF16" ... */
    int ndim;
    int64_t shape[8], count;
    int64_t begin, bytes; /* offset and size of the data, in its file or, in a format of several members, its member */
    int64_t stride[8];    /* in numbers, for formats whose tensors may be strided */
    int64_t member;       /* index of the member of the file that holds the data */
    int file;             /* index into cad_archive_t.file */
    bool used;            /* set by whoever takes it; safe to ignore */
} cad_stored_t;

typedef struct cad_archive_t cad_archive_t;
typedef struct cad_format_t cad_format_t;

typedef struct cad_archive_file_t {
    char *path;
    int fd;
    int64_t size; /* bytes */
    const cad_format_t *format;
    void *state; /* the format's own, or NULL */
} cad_archive_file_t;

struct cad_archive_t {    /* the tensors of one weight file, or of all shards */
    cad_stored_t *tensor; // (ntensor)
    int ntensor, nsorted; /* nsorted: number of tensors, from the first, that are sorted by name */
    int nfile;
    cad_archive_file_t *file; // (nfile)
    struct cad_pair_t {
        char *key, *value;
    } * meta; // (nmeta) texts beside the tensors (safetensors: __metadata__)
    int nmeta;
};

/* Takes n numbers of a tensor, from number i in C order on; b: their bytes, little-endian. */
typedef void cad_numbers_f(void *arg, int64_t i, int64_t n, const unsigned char *b);

struct cad_format_t { /* a format of weight files */
    /* Lists the tensors of a->file[file] by cad_archive_add; everything is checked before memory is
     * allocated for data. */
    int (*open)(cad_archive_t *a, int file, cad_error_t *err);
    /* Hands all numbers of t to take, in C order. */
    int (*read)(const cad_archive_t *a, const cad_stored_t *t, cad_numbers_f *take, void *arg, cad_error_t *err);
    void (*close)(cad_archive_file_t *f); /* frees state; NULL if there is none */
};
extern const cad_format_t cad_format_safetensors; /* safetensors.c */
extern const cad_format_t cad_format_torch;       /* torch.c */

/* ---- archive.c ---- */
/* path: one file, or an index.json that names shards in the same folder. Close in also after a failure. */
int cad_archive_open(cad_archive_t *a, const char *path, cad_error_t *err);
void cad_archive_close(cad_archive_t *a);
/* Moves the files of from to a and copies its tensors; a tensor of from replaces the one of its name. Close
 * both afterwards. */
int cad_archive_join(cad_archive_t *a, cad_archive_t *from, cad_error_t *err);
/* Sorts the tensors by name; _find sees those that were there at the last sort. */
void cad_archive_sort(cad_archive_t *a);
cad_stored_t *cad_archive_find(const cad_archive_t *a, const char *name);
/* Reads a tensor of type F32, F16, BF16 or F64 as float32, or one of type I64. */
int cad_archive_f32(const cad_archive_t *a, const cad_stored_t *t, float *out, cad_error_t *err);
int cad_archive_i64(const cad_archive_t *a, const cad_stored_t *t, int64_t *out, cad_error_t *err);
/* Returns the value of a key of the metadata, from the first shard that has it, or NULL. */
const char *cad_archive_meta(const cad_archive_t *a, const char *key);
/* Computes the SHA-256 of all files' bytes, in order, as 64 hex digits. */
int cad_archive_sha256(const cad_archive_t *a, char hex[65], cad_error_t *err);
/* Writes a shape as "(2,3)", for messages; returns buf. */
const char *cad_shape_text(const int64_t *shape, int ndim, char *buf, size_t size);

/* For formats. _add appends a zeroed tensor with a copy of the name: NULL when out of memory.
 * _dtype sets type and name: bytes of a number, or 0 if safetensors has no such type. */
cad_stored_t *cad_archive_add(cad_archive_t *a, int file, const char *name);
int cad_archive_add_meta(cad_archive_t *a, const char *key, const char *value, cad_error_t *err);
int64_t cad_stored_dtype(cad_stored_t *t, const char *dtype);

/* ---- safewrite.c ---- */
typedef struct cad_array_t { /* a tensor to write, in C order */
    const char *name;
    cad_dtype_t dtype; /* as stored: I64 of int64_t values, F32, F16 or BF16 of float values */
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
