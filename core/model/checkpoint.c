/* checkpoint.c - loads a checkpoint into a cad_model_t. SPDX-License-Identifier: MIT */
#include <math.h>

#include "model/archive.h"
#include "model/labels.h"

/* ---- names and presence ---- */

static bool starts(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

/* Removes n bytes from the beginning of s. */
static void drop(char *s, size_t n) { memmove(s, s + n, strlen(s + n) + 1); }

/* Removes from tensor names the prefixes that wrappers add, in any order: DistributedDataParallel, torch.compile,
 * Lightning, Caduceus' and HyenaDNA's own classes, peft. The first two may also wrap a submodule of the model; in the first
 * release of HyenaDNA, recomputed layers have a wrapper `layer`. */
static void strip_name(char *s)
{
    static const char *const prefix[] = {
        "module.", "_orig_mod.", "model.", "caduceus.", "hyena.", "base_model.model."
    };
    static const struct {
        const char *text;
        size_t kept; /* letters at the beginning that stay */
    } inner[] = { { ".module.", 0 }, { "._orig_mod.", 0 }, { ".mixer.layer.", 6 }, { ".mlp.layer.", 4 } };
    for (int k = 0; k < 6;) {
        bool found = starts(s, prefix[k]);
        if (found) drop(s, strlen(prefix[k]));
        k = found ? 0 : k + 1;
    }
    for (size_t k = 0; k < sizeof inner / sizeof *inner; k++)
        for (char *at = strstr(s, inner[k].text); at; at = strstr(at, inner[k].text))
            drop(at + inner[k].kept, strlen(inner[k].text) - 1 - inner[k].kept);
}

static void strip_prefixes(cad_archive_t *st)
{
    for (int i = 0; i < st->ntensor; i++) strip_name(st->tensor[i].name);
}

/* Renames the tensors of a classifier's head from the names of the paper's training code to those of transformers. */
static void rename_head(cad_archive_t *st)
{
    static const char *const from = "decoder.0.output_transform.";
    for (int i = 0; i < st->ntensor; i++) {
        char *s = st->tensor[i].name;
        size_t n = strlen(from);
        if (!starts(s, from)) continue;
        memmove(s + 6, s + n, strlen(s + n) + 1);
        memcpy(s, "score.", 6);
    }
}

static int normalise_names(cad_archive_t *st, const char *path, cad_error_t *err)
{
    strip_prefixes(st);
    rename_head(st);
    cad_archive_sort(st);
    for (int i = 1; i < st->ntensor; i++)
        if (!strcmp(st->tensor[i].name, st->tensor[i - 1].name))
            return cad_fail(err, CAD_EFORMAT, "%s: tensor %s is there twice, under different prefixes", path,
                            st->tensor[i].name);
    return 0;
}

static int check_shape(const cad_stored_t *s, const cad_tensor_t *t, const char *path, cad_error_t *err)
{
    char want[64], got[160];
    bool same = s->ndim == t->ndim;
    for (int i = 0; i < t->ndim && same; i++) same = s->shape[i] == t->shape[i];
    if (same) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s: tensor %s has shape %s; config.json asks for %s", path, s->name,
                    cad_shape_text(s->shape, s->ndim, got, sizeof got),
                    cad_shape_text(t->shape, t->ndim, want, sizeof want));
}

/* Finds the stored tensors that belong to t, under any of its names, and marks them as used: s, ended by NULL. */
static int match(cad_archive_t *st, const cad_tensor_t *t, const char *path, cad_stored_t *s[CAD_NAMES + 1],
                 cad_error_t *err)
{
    char want[64], name[128];
    int n = 0;
    for (int k = 0; k < CAD_NAMES && cad_tensor_named(t, k, name); k++)
        if ((s[n] = cad_archive_find(st, name))) n++;
    s[n] = NULL;
    if (n == 0)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s %s is missing; do weights and config.json belong together?",
                        path, t->name, cad_shape_text(t->shape, t->ndim, want, sizeof want));
    for (int i = 0; i < n; i++) {
        int rc = check_shape(s[i], t, path, err);
        if (rc) return rc;
        s[i]->used = true;
    }
    return 0;
}

static int check_complement(const cad_model_t *m, cad_archive_t *st, cad_stored_t *t, const char *path,
                            cad_error_t *err)
{
    int64_t id[256];
    int rc;
    t->used = true;
    if (t->count > m->vocab.rows)
        return cad_fail(err, CAD_EFORMAT, "%s: %s has %lld entries for %d tokens", path, t->name, (long long)t->count,
                        m->vocab.rows);
    if ((rc = cad_archive_i64(st, t, id, err))) return rc;
    for (int i = 0; i < t->count; i++)
        if (id[i] != m->vocab.comp[i])
            return cad_fail(err, CAD_EFORMAT, "%s: %s sends token %d to %lld, config.json's complement_map to %d", path,
                            t->name, i, (long long)id[i], m->vocab.comp[i]);
    return 0;
}

/* Refuses stored tensors that are not marked as used. Those of an adapter are not checked here, since they are marked
 * later, when values are loaded. */
static int check_leftovers(const cad_model_t *m, cad_archive_t *st, cad_error_t *err)
{
    for (int i = 0; i < st->ntensor; i++) {
        cad_stored_t *t = &st->tensor[i];
        const char *path = st->file[t->file].path;
        size_t n = strlen(t->name);
        int rc = 0;
        if (t->used) continue;
        if (n >= 15 && !strcmp(t->name + n - 14, "complement_map")) rc = check_complement(m, st, t, path, err);
        else
            rc = cad_fail(err, CAD_EFORMAT, "%s: tensor %s is not part of the model that config.json describes", path,
                          t->name);
        if (rc) return rc;
    }
    return 0;
}

/* ---- values ---- */

static int check_finite(const cad_tensor_t *t, const float *a, const char *path, cad_error_t *err)
{
    for (int64_t i = 0; i < t->count; i++)
        if (!isfinite(a[i]))
            return cad_fail(err, CAD_EFORMAT, "%s: tensor %s holds %s", path, t->name,
                            isnan(a[i]) ? "NaN" : "an infinity");
    return 0;
}

/* Fails if `twin`, which belongs to the same tensor as `first`, has other values than a. */
static int check_twin(cad_archive_t *st, const cad_stored_t *first, cad_stored_t *twin, const float *a,
                      const char *path, cad_error_t *err)
{
    float *b = cad_alloc((size_t)twin->count, sizeof *b);
    int rc = b ? cad_archive_f32(st, twin, b, err) : cad_out_of_memory(err);
    if (rc == 0 && memcmp(a, b, (size_t)twin->count * sizeof *a))
        rc = cad_fail(err, CAD_EFORMAT, "%s: %s and %s differ, but config.json says they are tied", path, first->name,
                      twin->name);
    free(b);
    return rc;
}

static int load_tensor(cad_model_t *m, cad_checkpoint_t *c, const cad_tensor_t *t, cad_error_t *err)
{
    cad_archive_t *st = &c->weights;
    const char *path = st->file[0].path;
    cad_stored_t *s[CAD_NAMES + 1];
    float *a = m->param + t->offset;
    int rc = match(st, t, path, s, err);
    if (rc == 0) path = st->file[s[0]->file].path;
    if (rc == 0) rc = cad_archive_f32(st, s[0], a, err);
    if (rc == 0) rc = check_finite(t, a, path, err);
    if (rc) return rc;
    for (int i = 1; s[i] && rc == 0; i++) rc = check_twin(st, s[0], s[i], a, path, err);
    if (rc == 0 && c->adapter.dir) rc = cad_adapter_add(&c->adapter, st, t, a, err);
    if (rc == 0 && c->adapter.dir) rc = check_finite(t, a, c->adapter.dir, err);
    cad_tensor_flip(t, a);
    return rc;
}

/* Returns the address of the pointer through which the model reads tensor t: a member of the model, of a layer or of a
 * direction. */
static const float **place_of(cad_model_t *m, const cad_tensor_t *t)
{
    cad_layer_t *l = t->layer < 0 ? NULL : &m->layer[t->layer];
    switch (t->role) {
    case CAD_T_EMBED: return &m->embed;
    case CAD_T_NORM_F: return &m->norm_f;
    case CAD_T_NORM_F_BIAS: return &m->norm_f_bias;
    case CAD_T_SCORE: return &m->score;
    case CAD_T_SCORE_BIAS: return &m->score_bias;
    case CAD_T_POOL: return &m->pool_weight;
    case CAD_T_NORM: return &l->norm;
    case CAD_T_NORM_BIAS: return &l->norm_bias;
    default: return &l->dir[t->dir].param[t->role - CAD_T_KIND];
    }
}

/* Sets all such pointers of the model and its layers to the tensors' parameters. */
static void wire(cad_model_t *m)
{
    const cad_config_t *c = &m->cfg;
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        const float *p = m->param + t->offset;
        *place_of(m, t) = p;
        if (t->shared) m->layer[t->layer].dir[1].param[t->role - CAD_T_KIND] = p;
    }
    for (int64_t i = 0; i < c->n_layer; i++) {
        cad_layer_t *l = &m->layer[i];
        l->kind = c->kind[i];
        l->ndir = cad_config_directions(c, i);
        l->merged = l->ndir == 2 && c->tied && !c->multiply && !cad_blocks[l->kind]->biased(c);
        l->dir[0].reverse = !c->bidirectional && cad_config_folded(c, i);
        l->dir[1].reverse = true;
    }
}

void cad_model_refresh(cad_model_t *m)
{
    int64_t D = m->cfg.d_model;
    bool reversed = cad_model_input_reversed(m);
    for (int v = 0; v < m->vocab.rows; v++)
        for (int64_t d = 0; d < D; d++)
            m->embed_in[v * D + d] = reversed ? m->embed[m->vocab.comp[v] * D + D - 1 - d] : m->embed[v * D + d];
}

/* ---- the kind of layers, if config.json does not name it ---- */

/* Returns the number of axes of the tensor with this leaf name in layer 0's mixer, or 0 if it is missing. arg: the
 * archive. */
static int axes_of(const void *arg, const char *leaf)
{
    for (int i = 0; i < 4; i++) {
        char name[112];
        snprintf(name, sizeof name, "backbone.layers.0.mixer%s.%s.%s", i % 2 ? "" : ".submodule",
                 cad_direction_name[i / 2], leaf);
        const cad_stored_t *t = cad_archive_find(arg, name);
        if (t) return t->ndim;
    }
    return 0;
}

/* If the tensors show a kind of layers other than the one for which config.json was read, reads config.json again, for
 * that kind. */
static int recognise(cad_model_t *m, const cad_archive_t *st, const char *config, cad_error_t *err)
{
    for (int k = 0; k < CAD_NKINDS && !m->cfg.named; k++) {
        const cad_block_t *b = cad_blocks[k];
        if (k == m->cfg.kind[0] || !b->recognise || !b->recognise(axes_of, st)) continue;
        int rc = cad_config_read_as(&m->cfg, m->config, config, k, err);
        m->cfg.max_len = cad_config_max_len(&m->cfg, m->tokenizer);
        return rc;
    }
    return 0;
}

/* ---- opening ---- */

/* Finds the number of rows of the embedding table (*rows) and of outputs of the classifier's head (m->labels). */
static int find_sizes(cad_model_t *m, cad_archive_t *st, const char *path, int64_t *rows, cad_error_t *err)
{
    static const char *const name[] = { "backbone.embeddings.word_embeddings.embedding.weight",
                                        "backbone.embeddings.word_embeddings.weight", "lm_head.lm_head.weight",
                                        "lm_head.weight" };
    const cad_stored_t *t = NULL, *score = cad_archive_find(st, "score.weight");
    int64_t v = m->cfg.vocab_size;
    for (int i = 0; i < 4 && !t; i++) t = cad_archive_find(st, name[i]);
    if (!t) return cad_fail(err, CAD_EFORMAT, "%s: no embedding table in it; is it a Caduceus checkpoint?", path);
    *rows = t->ndim == 2 ? t->shape[0] : 0;
    if (*rows != v && *rows != cad_round_up(v, m->cfg.vocab_multiple))
        return cad_fail(
            err, CAD_EFORMAT,
            "%s: tensor %s has %lld rows; config.json asks for a vocabulary of %lld, padded to a multiple of %lld",
            path, t->name, (long long)*rows, (long long)v, (long long)m->cfg.vocab_multiple);
    if (*rows > 256) return cad_fail(err, CAD_EFORMAT, "%s: vocabularies above 256 tokens are not DNA", path);
    m->labels = score && score->ndim == 2    ? score->shape[0]
                : score || m->cfg.classifier ? cad_max(m->cfg.num_labels, 1)
                                             : 0;
    if (cad_archive_find(st, "score.bias")) m->cfg.score_bias = true;
    if (m->labels && m->cfg.num_labels && m->labels != m->cfg.num_labels)
        return cad_fail(err, CAD_EFORMAT, "%s: score.weight has %lld rows; config.json says %lld labels", path,
                        (long long)m->labels, (long long)m->cfg.num_labels);
    return 0;
}

/* True if word is in a comma-separated list. */
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = list; s; s = strchr(s, ',')) {
        s += *s == ',';
        if (!strncmp(s, word, n) && (!s[n] || s[n] == ',')) return true;
    }
    return false;
}

static void note_dtypes(cad_model_t *m, const cad_archive_t *st)
{
    for (int i = 0; i < st->ntensor; i++) {
        const cad_stored_t *t = &st->tensor[i];
        size_t n = strlen(m->dtype);
        if (t->dtype != CAD_I64 && !listed(m->dtype, t->dtype_name) && n + 8 < sizeof m->dtype)
            snprintf(m->dtype + n, sizeof m->dtype - n, "%s%s", n ? "," : "", t->dtype_name);
    }
}

/* Returns the kind whose biases the model's details (CAD_TEXT_DETAILS) tell. */
static const cad_block_t *main_kind(const cad_config_t *c) { return cad_blocks[cad_config_main(c)]; }

/* Writes the names of the kinds of layers that the model has, in the order of their first layers. */
static void list_kinds(const cad_config_t *c, const char *separator, char *text, size_t size)
{
    size_t used = 0;
    for (int64_t i = 0; i < c->n_layer && used < size; i++)
        if (!memchr(c->kind, c->kind[i], (size_t)i))
            used += (size_t)snprintf(text + used, size - used, "%s%s", i ? separator : "",
                                     cad_blocks[c->kind[i]]->name);
}

/* True if all layers are of one kind. */
static bool alike(const cad_config_t *c)
{
    for (int64_t i = 1; i < c->n_layer; i++)
        if (c->kind[i] != c->kind[0]) return false;
    return true;
}

/* Writes the kinds of layers, if they are several, and the shape of each. */
static void describe_shapes(const cad_config_t *c, char *text, size_t size)
{
    size_t used = 0;
    if (!alike(c)) {
        used = (size_t)snprintf(text, size, " layers=");
        list_kinds(c, ",", text + used, size - used);
        used = strlen(text);
    }
    for (int64_t i = 0; i < c->n_layer; i++)
        if (!memchr(c->kind, c->kind[i], (size_t)i)) {
            cad_blocks[c->kind[i]]->describe(c, text + used, size - used);
            used = strlen(text);
        }
}

static void describe(cad_model_t *m)
{
    const cad_config_t *c = &m->cfg;
    char shape[320] = "";
    describe_shapes(c, shape, sizeof shape);
    snprintf(m->details, sizeof m->details,
             "d_model=%lld n_layer=%lld%s norm=%s fused_add_norm=%s bidirectional=%s strategy=%s tied=%s "
             "projection_bias=%s",
             (long long)c->d_model, (long long)c->n_layer, shape, c->rms_norm ? "RMS" : "Layer",
             c->fused_add_norm ? "yes" : "no", c->bidirectional ? "yes" : "no", c->multiply ? "ew_multiply" : "add",
             c->tied ? "yes" : "no", main_kind(c)->biased(c) ? "yes" : "no");
}

/* Sets the text CAD_TEXT_KIND: "Caduceus-PS" or "Caduceus-Ph", and the title of a kind that has one; or, if there
 * are layers without a direction, "layers of KIND, KIND ..., PS"; or "HyenaDNA". */
static void name_kind(cad_model_t *m)
{
    const char *strands = m->cfg.rcps ? "PS" : "Ph", *title = main_kind(&m->cfg)->title;
    char kinds[48] = "";
    list_kinds(&m->cfg, ", ", kinds, sizeof kinds);
    if (m->cfg.hyenadna) snprintf(m->kind, sizeof m->kind, "HyenaDNA");
    else if (cad_config_undirected(&m->cfg)) snprintf(m->kind, sizeof m->kind, "layers of %s, %s", kinds, strands);
    else snprintf(m->kind, sizeof m->kind, "Caduceus-%s%s%s", strands, title ? ", " : "", title ? title : "");
}

int cad_model_list(cad_model_t *m, int64_t rows, cad_error_t *err)
{
    name_kind(m);
    int rc = cad_tensors_list(&m->cfg, rows, m->labels, &m->tensor, &m->ntensor, &m->total, err);
    for (int i = 0; i < m->ntensor; i++) m->nparam += m->tensor[i].fixed ? 0 : m->tensor[i].count;
    return rc;
}

int cad_model_allocate(cad_model_t *m, cad_error_t *err)
{
    m->param = cad_alloc((size_t)m->total, sizeof(float));
    m->layer = calloc((size_t)m->cfg.n_layer, sizeof *m->layer);
    m->embed_in = cad_alloc((size_t)(m->vocab.rows * m->cfg.d_model), sizeof(float));
    if (!m->param || !m->layer || !m->embed_in)
        return cad_fail(err, CAD_ENOMEM, "out of memory for a model of %lld parameters", (long long)m->nparam);
    memset(m->param, 0, (size_t)m->total * sizeof(float));
    wire(m);
    describe(m);
    return 0;
}

/* Sets m->status. A text that does not fit is truncated at the end of a UTF-8 character. */
static void set_status(cad_model_t *m, const char *text)
{
    size_t n = (size_t)snprintf(m->status, sizeof m->status, "%s", text ? text : "");
    if (n < sizeof m->status) return;
    n = sizeof m->status - 1;
    while (n && (text[n] & 0xc0) == 0x80) n--;
    m->status[n] = 0;
}

/* Finds the checkpoint's files and reads those that are not weights. *path: the path of the weights; *config: the path
 * of the configuration; both malloc'd. adapter: the adapter's folder, or NULL. */
static int open_folder(cad_model_t *m, const char *given, const char *adapter, char **path, char **config,
                       cad_error_t *err)
{
    char *tokenizer = NULL;
    int rc = cad_locate(given, &m->folder, path, err);
    if (rc) return rc;
    tokenizer = cad_path_join(m->folder, "tokenizer_config.json");
    rc = cad_locate_config(&m->config, config, m->folder, err);
    if (rc == 0) rc = tokenizer ? cad_json_load(&m->tokenizer, tokenizer, true, err) : cad_out_of_memory(err);
    if (rc == 0 && adapter) rc = cad_head_of_adapter(m->config, &m->tokenizer, adapter, err);
    if (rc == 0) rc = cad_config_read(&m->cfg, m->config, *config, err);
    if (rc == 0) m->cfg.max_len = cad_config_max_len(&m->cfg, m->tokenizer);
    free(tokenizer);
    return rc;
}

/* Adds the adapter's weights to the model's. If the adapter changes two tied directions differently, they are no longer
 * tied. */
static int open_adapter(cad_model_t *m, cad_checkpoint_t *c, cad_error_t *err)
{
    cad_archive_t added = { 0 };
    bool unties = false;
    int rc = cad_adapter_weights(&c->adapter, &added, err);
    if (rc == 0) rc = normalise_names(&added, c->adapter.dir, err);
    if (rc == 0) rc = cad_adapter_join(&c->weights, &added, err);
    cad_archive_close(&added);
    if (rc == 0 && m->cfg.bidirectional && m->cfg.tied) rc = cad_adapter_unties(&c->weights, &unties, err);
    if (rc || !unties) return rc;
    m->cfg.tied = false;
    return cad_adapter_untie(&c->weights, err);
}

static int scan_weights(cad_model_t *m, cad_checkpoint_t *c, const char *path, const char *config, cad_error_t *err)
{
    cad_archive_t *st = &c->weights;
    int64_t rows = 0;
    cad_stored_t *s[CAD_NAMES + 1];
    int rc;
    if ((rc = cad_archive_open(st, path, err))) return rc;
    if ((rc = normalise_names(st, path, err))) return rc;
    if ((rc = recognise(m, st, config, err))) return rc;
    if (c->adapter.dir && (rc = open_adapter(m, c, err))) return rc;
    if ((rc = find_sizes(m, st, path, &rows, err))) return rc;
    if ((rc = cad_vocab_read(&m->vocab, &m->cfg, m->folder, rows, err))) return rc;
    if ((rc = cad_model_list(m, rows, err))) return rc;
    for (int i = 0; i < m->ntensor; i++)
        if ((rc = match(st, &m->tensor[i], path, s, err))) return rc;
    note_dtypes(m, st);
    return c->adapter.dir ? 0 : check_leftovers(m, st, err);
}

int cad_model_scan(cad_model_t *m, const char *given, const char *adapter, cad_checkpoint_t *c, cad_error_t *err)
{
    char *path = NULL, *config = NULL, *base = NULL;
    int rc = cad_locate_adapter(given, adapter, &base, &c->adapter, err);
    if (rc == 0 && c->adapter.dir && !(m->adapter = strdup(c->adapter.dir))) rc = cad_out_of_memory(err);
    if (rc == 0) rc = open_folder(m, base, c->adapter.dir, &path, &config, err);
    if (rc == 0) rc = scan_weights(m, c, path, config, err);
    if (rc == 0 && m->labels) rc = cad_head_load(m, err);
    free(path);
    free(config);
    free(base);
    return rc;
}

void cad_checkpoint_close(cad_checkpoint_t *c)
{
    cad_archive_close(&c->weights);
    cad_adapter_close(&c->adapter);
}

static int load_values(cad_model_t *m, cad_checkpoint_t *c, cad_error_t *err)
{
    int rc = cad_model_allocate(m, err);
    for (int i = 0; i < m->ntensor && rc == 0; i++) rc = load_tensor(m, c, &m->tensor[i], err);
    if (rc == 0) rc = check_leftovers(m, &c->weights, err);
    if (rc) return rc;
    cad_model_refresh(m);
    set_status(m, cad_archive_meta(&c->weights, "status"));
    return cad_archive_sha256(&c->weights, m->sha256, err);
}

int cad_model_open_adapted(cad_model_t **out, const char *given, const char *adapter, cad_error_t *err)
{
    cad_model_t *m = calloc(1, sizeof *m);
    cad_checkpoint_t c = { 0 };
    int rc;
    *out = NULL;
    if (!m) return cad_out_of_memory(err);
    rc = cad_model_scan(m, given, adapter, &c, err);
    if (rc == 0) rc = load_values(m, &c, err);
    cad_checkpoint_close(&c);
    if (rc) cad_model_close(m);
    else *out = m;
    return rc;
}

int cad_model_open(cad_model_t **out, const char *given, cad_error_t *err)
{
    return cad_model_open_adapted(out, given, NULL, err);
}

void cad_model_close(cad_model_t *m)
{
    if (!m) return;
    free(m->tensor);
    free(m->param);
    free(m->layer);
    free(m->embed_in);
    free(m->vocab.text);
    free(m->folder);
    free(m->adapter);
    json_decref(m->config);
    json_decref(m->tokenizer);
    json_decref(m->head);
    free(m);
}

/* Returns the number `what` from the first kind of layer in use that has it; -1 if none has. */
static int64_t kinds_number(const cad_config_t *c, enum cad_number_t what)
{
    int64_t n = -1;
    for (int k = 0; k < CAD_NKINDS && n < 0; k++)
        if (cad_config_uses(c, k)) n = cad_blocks[k]->number(c, what);
    return n;
}

int64_t cad_model_number(const cad_model_t *m, enum cad_number_t what)
{
    switch (what) {
    case CAD_D_MODEL: return m->cfg.d_model;
    case CAD_N_LAYER: return m->cfg.n_layer;
    case CAD_D_INNER:
    case CAD_D_STATE:
    case CAD_D_CONV:
    case CAD_DT_RANK: return kinds_number(&m->cfg, what);
    case CAD_VOCAB: return m->vocab.rows;
    case CAD_LABELS: return m->labels;
    case CAD_MAX_LEN: return m->cfg.max_len;
    case CAD_PARAMETERS: return m->nparam;
    case CAD_RCPS: return m->cfg.rcps;
    case CAD_BIDIRECTIONAL: return m->cfg.bidirectional;
    case CAD_HIDDEN_WIDTH: return m->cfg.d_model * (m->cfg.rcps ? 2 : 1);
    case CAD_TOKEN_A:
    case CAD_TOKEN_C:
    case CAD_TOKEN_G:
    case CAD_TOKEN_T: return m->vocab.base[what - CAD_TOKEN_A];
    case CAD_TOKEN_MASK: return m->vocab.mask;
    case CAD_TOKEN_PAD: return m->vocab.pad;
    case CAD_TOKEN_SEP: return m->vocab.sep;
    case CAD_TOKEN_UNK: return m->vocab.unk;
    case CAD_TOKEN_N: return m->vocab.n;
    case CAD_NEXT: return cad_config_next(&m->cfg);
    case CAD_BIN: return m->labels ? m->cfg.bin : -1;
    case CAD_STRIDE: return cad_config_stride(&m->cfg, m->cfg.n_layer);
    }
    return -1;
}

const char *cad_model_text(const cad_model_t *m, enum cad_text_t what)
{
    switch (what) {
    case CAD_TEXT_SHA256: return m->sha256;
    case CAD_TEXT_DTYPE: return m->dtype;
    case CAD_TEXT_STATUS: return m->status;
    case CAD_TEXT_KIND: return m->kind;
    case CAD_TEXT_DETAILS: return m->details;
    case CAD_TEXT_VOCABULARY: return m->vocab.source;
    case CAD_TEXT_ADAPTER: return m->adapter ? m->adapter : "";
    case CAD_TEXT_FOLDER: return m->folder ? m->folder : "";
    }
    return "";
}
