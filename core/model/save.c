/* save.c - saves a model as a checkpoint folder, in the published format.
 *
 * All files are synced to disk, without a name or under temporary names, before the first is renamed; so a full disk
 * leaves the old checkpoint intact. A crash leaves the old checkpoint, the new one or, if their configurations differ,
 * none, but never a mixture of both. SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <unistd.h>

#include "model/model.h"

enum { WEIGHTS, CONFIG, TOKENIZER_CONFIG, TOKENIZER, CARD, NFILES };

typedef struct {
    const cad_model_t *m;
    const char *dir;
    const cad_save_t *how;
    cad_dtype_t dtype;
    cad_file_t file[NFILES];
    float *value;       // (total) parameters in the published layout, with the fold undone
    char (*name)[128];  // (CAD_NAMES ntensor) names of the arrays
    cad_array_t *array; // (CAD_NAMES ntensor + 2)
    int narray;
    int64_t comp[256]; // (V)
    bool other;        /* the folder holds a different configuration */
} save_t;

static int begin(save_t *s, int which, const char *name, cad_error_t *err)
{
    char *path = cad_path_join(s->dir, name);
    int rc = path ? cad_file_open(&s->file[which], path, err) : cad_out_of_memory(err);
    free(path);
    return rc;
}

/* Writes text to the file with index `which` (WEIGHTS, CONFIG, ...) and frees text. */
static int put_text(save_t *s, int which, const char *name, char *text, size_t size, cad_error_t *err)
{
    int rc = text ? begin(s, which, name, err) : cad_fail(err, CAD_ENOMEM, "%s/%s: out of memory", s->dir, name);
    if (rc == 0) rc = cad_file_write(&s->file[which], text, size, err);
    if (rc == 0) rc = cad_file_write(&s->file[which], "\n", 1, err);
    free(text);
    return rc;
}

/* True if the folder has a config.json that cannot be read, or that differs from `text` followed by a newline. */
static bool other_config(const char *dir, const char *text, size_t size)
{
    char *path = cad_path_join(dir, "config.json"), *old = NULL;
    size_t n = 0;
    bool other = !path || cad_read_text(&old, &n, path, true, NULL) ||
                 (old && (n != size + 1 || memcmp(old, text, size)));
    free(old);
    free(path);
    return other;
}

int cad_model_config(char **config, const cad_model_t *m, cad_error_t *err)
{
    size_t size;
    *config = cad_config_text(m, CAD_F32, false, &size);
    return *config ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory for config.json");
}

int cad_model_save_check(const cad_model_t *m, const char *dir, cad_error_t *err)
{
    cad_file_t tokenizer = { 0 };
    int rc = cad_vocab_write(&m->vocab, dir, &tokenizer, err);
    cad_file_abort(&tokenizer);
    return rc;
}

static int put_configs(save_t *s, cad_error_t *err)
{
    const cad_model_t *m = s->m;
    size_t size = 0;
    char *text = cad_config_text(m, s->dtype, s->how->with_files, &size);
    int rc;
    s->other = text && other_config(s->dir, text, size);
    rc = put_text(s, CONFIG, "config.json", text, size, err);
    if (rc) return rc;
    text = cad_tokenizer_config_text(m, s->how->with_files, &size);
    rc = put_text(s, TOKENIZER_CONFIG, "tokenizer_config.json", text, size, err);
    if (rc == 0) rc = cad_vocab_write(&m->vocab, s->dir, &s->file[TOKENIZER], err);
    if (rc || !s->how->card) return rc;
    rc = begin(s, CARD, "README.md", err);
    return rc ? rc : cad_file_write(&s->file[CARD], s->how->card, strlen(s->how->card), err);
}

/* Compares two tensors for sorting. The order is that of the safetensors library: wider types first, so that all
 * numbers are aligned, then by name. */
static int by_width(const void *a, const void *b)
{
    const cad_array_t *x = a, *y = b;
    if (x->dtype != y->dtype) return x->dtype == CAD_I64 ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int check_values(const save_t *s, const cad_tensor_t *t, const float *a, cad_error_t *err)
{
    /* the smallest number that is rounded to infinity */
    float limit = s->dtype == CAD_F16 ? 65520 : s->dtype == CAD_BF16 ? 0x1.ffp127f : INFINITY;
    for (int64_t k = 0; k < t->count; k++) {
        if (!isfinite(a[k]))
            return cad_fail(err, CAD_EARG, "%s: tensor %s holds %s; the model is not saved", s->dir, t->name,
                            isnan(a[k]) ? "NaN" : "an infinity");
        if (fabsf(a[k]) >= limit)
            return cad_fail(err, CAD_EARG, "%s: tensor %s holds %g, too large for %s; use F32", s->dir, t->name,
                            (double)a[k], s->how->dtype);
    }
    return 0;
}

/* Adds a tensor to the list of arrays under each of its names, since transformers 4.51 and later need both names of a
 * tied pair. Adds a single name if `bare` is set, and for the embedding of a classifier. */
static int list_tensor(save_t *s, const cad_tensor_t *t, cad_error_t *err)
{
    float *a = s->value + t->offset;
    bool one = s->how->bare || (t->role == CAD_T_EMBED && s->m->labels);
    int rc = check_values(s, t, a, err);
    cad_tensor_flip(t, a);
    for (int k = 0; k < (one ? 1 : CAD_NAMES); k++) {
        char *name = s->name[s->narray];
        if (!cad_tensor_published(&s->m->cfg, t, k, name)) break;
        s->array[s->narray++] = (cad_array_t) { name, s->dtype, t->ndim, { t->shape[0], t->shape[1], t->shape[2] }, a };
    }
    return rc;
}

static int put_weights(save_t *s, cad_error_t *err)
{
    const cad_model_t *m = s->m;
    const char *buffer[2];
    cad_meta_t meta = { "status", s->how->status ? s->how->status : m->status };
    int n = m->ntensor, nbuffer = cad_tensors_buffers(&m->cfg, m->labels, buffer),
        rc = begin(s, WEIGHTS, "model.safetensors", err);
    if (rc) return rc;
    s->value = cad_alloc((size_t)m->total, sizeof *s->value);
    s->name = calloc((size_t)n, CAD_NAMES * sizeof *s->name);
    s->array = calloc(CAD_NAMES * (size_t)n + 2, sizeof *s->array);
    if (!s->value || !s->name || !s->array) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", s->dir);
    memcpy(s->value, m->param, (size_t)m->total * sizeof *s->value);
    for (int i = 0; i < n && rc == 0; i++) rc = list_tensor(s, &m->tensor[i], err);
    if (rc) return rc;
    for (int i = 0; i < m->vocab.rows; i++) s->comp[i] = m->vocab.comp[i];
    for (int i = 0; i < nbuffer; i++)
        s->array[s->narray++] = (cad_array_t) { buffer[i], CAD_I64, 1, { m->vocab.rows, 0, 0 }, s->comp };
    qsort(s->array, (size_t)s->narray, sizeof *s->array, by_width);
    return cad_safetensors_put(&s->file[WEIGHTS], s->array, s->narray, &meta, 1, err);
}

/* Gives all files their final names, the weights last. Before that, deletes old weights that belong to another
 * configuration, since they would be read with the new config.json. If a file cannot be renamed, the others still are,
 * because the new files are complete. If config.json cannot be renamed, stops: the new weights would be read with
 * another configuration, or with none. */
static int publish(save_t *s, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < NFILES && rc == 0; i++)
        if (s->file[i].path) rc = cad_file_sync(&s->file[i], err);
    if (rc) return rc;
    if (s->other) unlink(s->file[WEIGHTS].path);
    for (int i = NFILES - 1; i >= 0; i--) {
        int failed = s->file[i].path ? cad_file_publish(&s->file[i], rc ? NULL : err) : 0;
        if (rc == 0) rc = failed;
        if (failed && i == CONFIG) break; /* the weights would be next, and are not renamed */
    }
    return rc;
}

static int read_dtype(const char *name, cad_dtype_t *dtype, cad_error_t *err)
{
    static const struct {
        const char *name;
        cad_dtype_t dtype;
    } known[] = { { "F32", CAD_F32 }, { "F16", CAD_F16 }, { "BF16", CAD_BF16 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name ? name : "F32", known[i].name)) {
            *dtype = known[i].dtype;
            return 0;
        }
    return cad_fail(err, CAD_EARG, "dtype %s: expected F32, F16 or BF16", name);
}

void cad_save_init_sized(cad_save_t *how, size_t size)
{
    memset(how, 0, size);
    how->size = size;
}

int cad_model_export(const cad_model_t *m, const char *dir, const cad_save_t *how, cad_error_t *err)
{
    cad_save_t full = { 0 };
    save_t s = { .m = m, .dir = dir, .how = &full };
    bool made = false;
    int rc;
    memcpy(&full, how, cad_min(how->size, sizeof full)); /* a caller of an older library gives fewer members */
    rc = cad_model_whole(m, err);
    if (rc == 0) rc = read_dtype(full.dtype, &s.dtype, err);
    if (rc == 0) rc = cad_folder_make(dir, &made, err);
    if (rc == 0) rc = put_weights(&s, err);
    if (rc == 0) rc = put_configs(&s, err);
    if (rc == 0) rc = publish(&s, err);
    for (int i = 0; i < NFILES; i++) cad_file_abort(&s.file[i]);
    if (rc && made) rmdir(dir);
    free(s.value);
    free(s.name);
    free(s.array);
    return rc;
}

int cad_model_save(const cad_model_t *m, const char *dir, const char *status, cad_error_t *err)
{
    cad_save_t how;
    cad_save_init(&how);
    how.status = status;
    return cad_model_export(m, dir, &how, err);
}
