/* internal.h - what the files of core/ share, a section per file.
 *
 * Letters: B sequences, L tokens, D d_model, E d_inner, N d_state, K d_conv,
 * R dt_rank, V vocabulary rows. Dp and Ep are D and E rounded up to CAD_PAD, the
 * strides of activations; padding channels hold zeros.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_INTERNAL_H
#define CAD_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caduceus.h"

#define CAD_PAD 16
#define CAD_LONGEST ((int64_t)1 << 31) /* tokens in one window */

/* ---- error.c ---- */
/* Writes the text (err may be NULL) and returns code, so that callers say
 * `return cad_fail(err, CAD_EIO, ...)`. */
int cad_fail(cad_error_t *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- util.c ---- */
/* count x size bytes, aligned to 64 and not cleared; NULL on overflow or failure. */
void *cad_alloc(size_t count, size_t size);
/* A bump allocator of pieces aligned to 64; with base NULL it only counts.
 * Overflow sticks at SIZE_MAX. */
typedef struct { char *base; size_t used; } cad_bump_t;
static inline void *cad_bump(cad_bump_t *b, int64_t count, int64_t width, size_t size)
{
    size_t n, at = b->used;
    if (__builtin_mul_overflow((size_t)count, (size_t)width, &n) || __builtin_mul_overflow(n, size, &n) ||
        n > SIZE_MAX / 2 || at > SIZE_MAX / 2) {
        b->used = SIZE_MAX;
        return NULL;
    }
    b->used = (at + n + 63) / 64 * 64;
    return b->base ? b->base + at : NULL;
}
static inline int64_t cad_round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t cad_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t cad_max(int64_t a, int64_t b) { return a > b ? a : b; }
/* Reads exactly n bytes at offset: 0, or a CAD_E* with text. */
int cad_pread(int fd, void *buf, size_t n, int64_t offset, const char *path, cad_error_t *err);
/* A decimal integer in [lo, hi] and nothing after it; false otherwise. */
bool cad_parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out);
/* The n rows of a (n,width) the other way round. */
void cad_reverse_rows(float *a, int64_t n, int64_t width);
/* "dir/name", malloc'd; NULL when out of memory. */
char *cad_path_join(const char *dir, const char *name);
/* A whole text file, malloc'd, with a NUL behind its size bytes; NULL and 0 for an
 * absent one that is optional. */
int cad_read_text(char **text, size_t *size, const char *path, bool optional, cad_error_t *err);

/* ---- file.c: files that are whole or absent ---- */
/* Follows links by hand, so that a dangling one names the file to create: *out, malloc'd. */
int cad_resolve(const char *path, char **out, cad_error_t *err);
typedef struct cad_file_t { char *path, *tmp; int fd; bool named; } cad_file_t;
/* Begins a file that is to become path: it has no name or a temporary one beside
 * path until published. A failed call leaves nothing to abort. */
int cad_file_open(cad_file_t *f, const char *path, cad_error_t *err);
int cad_file_write(cad_file_t *f, const void *data, size_t n, cad_error_t *err);
/* On the disk, closed, under its temporary name. */
int cad_file_sync(cad_file_t *f, cad_error_t *err);
/* Renames what was synced, and frees f. */
int cad_file_publish(cad_file_t *f, cad_error_t *err);
/* Gives up what is not published; a zeroed f is allowed. */
void cad_file_abort(cad_file_t *f);
/* fsync of the folder that holds path: 0 or -1 with errno. */
int cad_sync_folder(const char *path);
/* Makes folder dir if it is absent (*made, may be NULL) and checks that files can be made there. */
int cad_folder_make(const char *dir, bool *made, cad_error_t *err);
/* Until *fd is closed, or the process dies, other claims on dir fail; not where the file system cannot do that (*fd: -1). */
int cad_folder_claim(const char *dir, int *fd, cad_error_t *err);
/* Removes the temporaries in it of processes that are no more. */
void cad_folder_sweep(const char *dir);

/* ---- team.c: one pool of threads ---- */
typedef struct cad_team_t cad_team_t;
int cad_team_open(cad_team_t **team, int threads, cad_error_t *err);
void cad_team_close(cad_team_t *team);
int cad_team_threads(const cad_team_t *team); /* 1 for NULL */
/* Calls fn(arg, task, worker) for every task in [0, ntask), worker in
 * [0, threads); returns when all are done. A NULL team runs them in the caller. */
typedef void cad_task_f(void *arg, int64_t task, int worker);
void cad_team_run(cad_team_t *team, int64_t ntask, cad_task_f *fn, void *arg);

/* ---- markov.c: Markov models of DNA. Bases are 0 to 3 for A, C, G, T; 4 is anything else ---- */
#define CAD_MARKOV_ORDERS 13
typedef struct cad_markov_t { /* of orders 0 to `order` */
    int order;
    uint32_t *count[CAD_MARKOV_ORDERS]; // [k] (4^k,4): a base behind k bases, on both strands
} cad_markov_t;
int cad_markov_open(cad_markov_t *m, int order, cad_error_t *err);
void cad_markov_close(cad_markov_t *m);
/* Counts what ends within [seen, n) of bases (n); those before are context. */
int cad_markov_count(cad_markov_t *m, cad_team_t *team, const uint8_t *base, int64_t n, int64_t seen, cad_error_t *err);
/* Probabilities of A, C, G, T at t from the k bases before it, or after it, for each
 * order k: p (order+1,4). Up to the first that is not known, where fewer are. */
void cad_markov_predict(const cad_markov_t *m, const uint8_t *base, int64_t n, int64_t t, bool after, double (*p)[4]);
/* From both sides, which are independent given the base; alone: of order 0. */
void cad_markov_join(const double before[4], const double after[4], const double alone[4], double p[4]);

/* ---- device.c ---- */
enum { CAD_ON_AUTO = -3, CAD_ON_CPU, CAD_ON_UNKNOWN };
/* What a device's name means: one of these, or which CUDA device. NULL is auto. */
int cad_device_number(const char *device);

/* ---- config.c ---- */
typedef struct cad_config_t {
    int64_t d_model, n_layer, vocab_size, vocab_multiple; /* vocab_size as written */
    int64_t d_state, d_conv, d_inner, dt_rank;
    double norm_epsilon;
    bool conv_bias, proj_bias, rms_norm, fused_add_norm;
    bool bidirectional, multiply, tied, rcps, classifier;
    int64_t num_labels;  /* of config.json, 0 when it does not say */
    enum cad_pool_t pool; /* of a classifier */
    int64_t max_len;     /* tokenizer_config.json */
    int16_t comp[256];   /* complement_map, -1 = not given */
    bool has_comp;
    double dt_min, dt_max, dt_scale, dt_init_floor; /* initial values, as the next */
    bool dt_constant;    /* dt_init "constant" rather than "random" */
    double init_range;   /* initializer_cfg */
    bool init_rescale;
    int64_t init_residuals;
} cad_config_t;
int cad_config_read(cad_config_t *cfg, const char *dir, cad_error_t *err);
/* The text of a config.json; max_len is left at its default. */
int cad_config_parse(cad_config_t *cfg, const char *text, cad_error_t *err);
/* Texts of config.json (comp: (rows)) and tokenizer_config.json, malloc'd; NULL when
 * out of memory. labels 0: a language model; head: more keys, a JSON object or NULL. */
char *cad_config_text(const cad_config_t *cfg, const uint8_t *comp, int64_t rows, int64_t labels, const char *head, size_t *size);
char *cad_tokenizer_config_text(const cad_config_t *cfg, size_t *size);
/* The text of a config.json with other values, 0 and -1 for those that stay; malloc'd,
 * NULL on failure. */
char *cad_config_change(const char *text, int64_t d_model, int64_t n_layer, int rcps, cad_error_t *err);
/* Text of a jansson value, which is taken over (NULL gives NULL); malloc'd. */
struct json_t;
char *cad_json_text(struct json_t *value, size_t flags, size_t *size);
/* Fused-norm checkpoints with rcps: layers stored with the strands exchanged. */
bool cad_config_folded(const cad_config_t *cfg, int64_t layer);

/* ---- token.c ---- */
typedef struct cad_vocab_t {
    int rows;                        /* V */
    int base[4], mask, pad, sep, unk, n; /* ids; -1 = none */
    uint8_t comp[256];
    uint8_t letter[256], letter_n[256]; /* ASCII to id, N as PAD or as N */
    char source[64];
    char *text;                      /* of the file that source names, or NULL */
    size_t size;
} cad_vocab_t;
/* dir NULL: no files, a built-in vocabulary. v->text is freed by the model. */
int cad_vocab_read(cad_vocab_t *v, const cad_config_t *cfg, const char *dir,
                   int64_t rows, cad_error_t *err);
int cad_vocab_copy(cad_vocab_t *v, const cad_vocab_t *from, cad_error_t *err);
/* Writes the tokenizer file that the vocabulary came from, if any, into dir. */
int cad_vocab_write(const cad_vocab_t *v, const char *dir, cad_file_t *f, cad_error_t *err);

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
    struct cad_pair_t { char *key, *value; } *meta; /* __metadata__; nmeta of them */
    int nmeta;
} cad_safetensors_t;
/* path: one file, or an index.json naming shards beside it. */
int cad_safetensors_open(cad_safetensors_t *st, const char *path, cad_error_t *err);
void cad_safetensors_close(cad_safetensors_t *st);
cad_stored_t *cad_safetensors_find(const cad_safetensors_t *st, const char *name);
/* F32, F16, BF16 or F64 to float32. */
int cad_safetensors_f32(const cad_safetensors_t *st, const cad_stored_t *t, float *out,
                        cad_error_t *err);
int cad_safetensors_i64(const cad_safetensors_t *st, const cad_stored_t *t, int64_t *out,
                        cad_error_t *err);
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
typedef struct cad_meta_t { const char *key, *value; } cad_meta_t; /* value NULL or "": left out */
/* A weight file with its tensors in the order given, metadata "format": "pt" and meta. */
int cad_safetensors_put(cad_file_t *f, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta, cad_error_t *err);
/* The same as a file of its own, whole or absent. */
int cad_safetensors_write(const char *path, const cad_array_t *array, int n, const cad_meta_t *meta, int nmeta, cad_error_t *err);

/* ---- tensors.c: the one table of a model's tensors ---- */
typedef enum {
    CAD_T_EMBED, CAD_T_NORM_F, CAD_T_NORM_F_BIAS, CAD_T_SCORE, /* of the model */
    CAD_T_NORM, CAD_T_NORM_BIAS,                               /* of a layer */
    CAD_T_IN, CAD_T_IN_BIAS, CAD_T_CONV, CAD_T_CONV_BIAS, CAD_T_X, CAD_T_DT,
    CAD_T_DT_BIAS, CAD_T_A_LOG, CAD_T_SKIP, CAD_T_OUT, CAD_T_OUT_BIAS, /* of a direction */
    CAD_T_ROLES
} cad_role_t;
typedef struct cad_tensor_t {
    char name[112], alias[112]; /* as published, without prefix; alias "" if none */
    cad_role_t role;
    int layer, dir;             /* dir as computed: 0 forward, 1 reverse in time */
    int ndim;
    int64_t shape[3], count;
    int64_t offset;             /* into the parameters */
    int flip_axis;              /* axis stored reversed by the fold, or -1 */
} cad_tensor_t;
/* All tensors that a checkpoint of this configuration has, in published order;
 * a tied pair is one entry with an alias. labels: rows of score, 0 for none. */
int cad_tensors_list(const cad_config_t *cfg, int64_t rows, int64_t labels,
                     cad_tensor_t **list, int *n, int64_t *total, cad_error_t *err);
/* Published layout to computed, or back: reverses flip_axis of values a. */
void cad_tensor_flip(const cad_tensor_t *t, float *a);
/* Name with the prefix of published files. */
void cad_tensor_published(const cad_tensor_t *t, char name[128]);
/* Full names of the complement_map buffers that such a checkpoint has: 0 to 2. */
int cad_tensors_buffers(const cad_config_t *cfg, int64_t labels, const char *name[2]);

/* ---- locate.c ---- */
/* The folder of config.json and the path of the weights, both malloc'd. */
int cad_locate(const char *given, char **dir, char **weights, cad_error_t *err);

/* ---- model.c ---- */
typedef struct cad_direction_t { /* one Mamba; float32, published layouts */
    const float *in, *in_bias;     // (2E,D), (2E) or NULL
    const float *conv, *conv_bias; // (E,K), (E) or NULL
    const float *x;                // (R+2N,E)
    const float *dt, *dt_bias;     // (E,R), (E)
    const float *a_log, *skip;     // (E,N), (E)
    const float *out, *out_bias;   // (D,E), (D) or NULL
    bool reverse;                  /* runs backwards in time */
} cad_direction_t;
typedef struct cad_layer_t {
    const float *norm, *norm_bias; // (D), (D) or NULL
    int ndir;
    cad_direction_t dir[2];
} cad_layer_t;
struct cad_model_t {
    cad_config_t cfg;
    cad_vocab_t vocab;
    cad_tensor_t *tensor;
    int ntensor;
    float *param;                    // (total), tensors at their offsets, zeros between
    int64_t total, nparam, labels;
    cad_layer_t *layer;
    const float *embed;              // (V,D), also the head
    float *embed_in;                 // (V,D), what tokens enter with
    const float *norm_f, *norm_f_bias, *score; // (D), (D) or NULL, (labels,D) or NULL
    char *head;                      /* a classifier's own keys of config.json (head.c), or NULL */
    char sha256[65], dtype[64], status[256], details[512];
};
/* The tied, additive, bias-free block, whose two directions share both projections. */
static inline bool cad_model_merged(const cad_model_t *m) { return m->cfg.bidirectional && m->cfg.tied && !m->cfg.multiply && !m->cfg.proj_bias; }
/* Under the fold, an odd depth leaves the input table reversed and complemented. */
static inline bool cad_model_turned(const cad_model_t *m) { return m->cfg.rcps && m->cfg.fused_add_norm && m->cfg.n_layer % 2 == 1; }
/* Two directions that take turns, each with projections and an output of its own. */
static inline bool cad_model_apart(const cad_model_t *m) { return m->layer[0].ndir == 2 && !cad_model_merged(m); }
/* Of a model with cfg and labels: the table of tensors; memory for it, cleared, and the layers wired. */
int cad_model_list(cad_model_t *model, int64_t rows, cad_error_t *err);
int cad_model_allocate(cad_model_t *model, cad_error_t *err);
/* To be called when param has changed: what is derived from it. */
void cad_model_refresh(cad_model_t *model);

#endif
