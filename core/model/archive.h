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
    /* offset and size of the data in bytes: within the file or, in a zip archive, within a member of the file */
    int64_t begin, bytes;
    int64_t stride[8]; /* counted in numbers, not bytes; only for formats whose tensors may be strided (torch) */
    int64_t member;    /* index of the zip archive's member that holds the data */
    int file;          /* index into cad_archive_t.file */
    bool used;         /* set when the model uses the tensor, so that leftover tensors can be reported */
} cad_stored_t;

typedef struct cad_archive_t cad_archive_t;
typedef struct cad_format_t cad_format_t;

typedef struct cad_archive_file_t {
    char *path;
    int fd;
    int64_t size; /* bytes */
    const cad_format_t *format;
    void *state; /* the format's own data, or NULL */
} cad_archive_file_t;

struct cad_archive_t {    /* the tensors of one weight file, or of all shards */
    cad_stored_t *tensor; // (ntensor)
    int ntensor, nsorted; /* the first nsorted tensors are sorted by name */
    int nfile;
    cad_archive_file_t *file; // (nfile)
    struct cad_pair_t {
        char *key, *value;
    } * meta; // (nmeta) texts stored with the tensors (safetensors: __metadata__)
    int nmeta;
};

/* A function that receives numbers i to i + n - 1 of a tensor, in C order, as little-endian bytes b. */
typedef void cad_numbers_f(void *arg, int64_t i, int64_t n, const unsigned char *b);

struct cad_format_t { /* a format of weight files */
    /* Reads the list of tensors of a->file[file] and adds them with cad_archive_add. Checks everything before any
     * memory is allocated for values. */
    int (*open)(cad_archive_t *a, int file, cad_error_t *err);
    /* Passes all numbers of tensor t to `take`, in C order. */
    int (*read)(const cad_archive_t *a, const cad_stored_t *t, cad_numbers_f *take, void *arg, cad_error_t *err);
    void (*close)(cad_archive_file_t *f); /* frees f->state; NULL if the format has no state */
};
extern const cad_format_t cad_format_safetensors; /* safetensors.c */
extern const cad_format_t cad_format_torch;       /* torch.c */

/* ---- archive.c ---- */
/* Opens a weight file. If path ends in .json, the file is an index: opens all shards that it lists, which must be in
 * the folder of the index. Close `a` also after a failure. */
int cad_archive_open(cad_archive_t *a, const char *path, cad_error_t *err);
void cad_archive_close(cad_archive_t *a);
/* Moves the files of archive `from` to archive `a` and copies the list of tensors. A tensor of `from` replaces the
 * tensor of `a` that has the same name. Close both archives afterwards. */
int cad_archive_join(cad_archive_t *a, cad_archive_t *from, cad_error_t *err);
/* Sorts the tensors by name. cad_archive_find sees only tensors that were added before the last sort. */
void cad_archive_sort(cad_archive_t *a);
cad_stored_t *cad_archive_find(const cad_archive_t *a, const char *name);
/* cad_archive_f32 reads the values of a tensor of type F32, F16, BF16 or F64, as float32. cad_archive_i64 reads those
 * of a tensor of type I64. */
int cad_archive_f32(const cad_archive_t *a, const cad_stored_t *t, float *out, cad_error_t *err);
int cad_archive_i64(const cad_archive_t *a, const cad_stored_t *t, int64_t *out, cad_error_t *err);
/* Returns the value of a key of the metadata, taken from the first shard that has the key, or NULL. */
const char *cad_archive_meta(const cad_archive_t *a, const char *key);
/* Computes the SHA-256 of the bytes of all files, one after the other, as 64 hex digits. */
int cad_archive_sha256(const cad_archive_t *a, char hex[65], cad_error_t *err);
/* Writes a shape as "(2,3)", for messages; returns buf. */
const char *cad_shape_text(const int64_t *shape, int ndim, char *buf, size_t size);

/* The following functions are for cad_format_t.open. cad_archive_add appends a zeroed tensor with a copy of the name,
 * and returns NULL when out of memory. cad_archive_add_meta adds an entry to the metadata. cad_stored_dtype sets t's
 * type and the name of the type; it returns the bytes of one number, or 0 if safetensors has no such type. */
cad_stored_t *cad_archive_add(cad_archive_t *a, int file, const char *name);
int cad_archive_add_meta(cad_archive_t *a, const char *key, const char *value, cad_error_t *err);
int64_t cad_stored_dtype(cad_stored_t *t, const char *dtype);

/* ---- safewrite.c ---- */
typedef struct cad_array_t { /* a tensor to write, in C order */
    const char *name;
    cad_dtype_t dtype; /* type in the file: I64 (data: int64_t), or F32, F16 or BF16 (data: float) */
    int ndim;
    int64_t shape[3];
    const void *data;
} cad_array_t;
typedef struct cad_meta_t {
    const char *key, *value;
} cad_meta_t; /* an entry of the metadata; omitted if its value is NULL or "" */
/* Writes a weight file: the tensors in the given order, and as metadata "format": "pt" and the entries of meta. */
int cad_safetensors_put(cad_file_t *f, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                        cad_error_t *err);
/* Writes a weight file, as cad_safetensors_put does, at path, completely or not at all. */
int cad_safetensors_write(const char *path, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta,
                          cad_error_t *err);

#endif
