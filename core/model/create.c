/* create.c - creates models, with the paper's initial values.
 *
 * An initial value depends only on the seed, on the published name of its tensor and on its index in the published
 * layout. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "model/model.h"
#include "base/random.h"

/* Returns initial value i of a tensor, in its published layout, from 64 random bits. */
static double initial(const cad_config_t *c, const cad_tensor_t *t, int64_t i, uint64_t bits)
{
    switch (t->role) {
    case CAD_T_EMBED:
    case CAD_T_SCORE: return c->init_range * cad_normal(bits);
    case CAD_T_NORM:
    case CAD_T_NORM_F: return 1;
    case CAD_T_POOL:
    case CAD_T_SCORE_BIAS:
    case CAD_T_NORM_BIAS:
    case CAD_T_NORM_F_BIAS: return 0;
    default: return cad_blocks[c->kind[t->layer]]->initial(c, t->role, i, bits);
    }
}

static void fill(cad_model_t *m, const cad_tensor_t *t, uint64_t seed)
{
    uint64_t name = cad_random_name(t->name);
    float *a = m->param + t->offset;
    for (int64_t i = 0; i < t->count; i++) a[i] = (float)initial(&m->cfg, t, i, cad_random(seed, name, 0, (uint64_t)i));
    cad_tensor_flip(t, a);
}

static int check_labels(int64_t labels, cad_error_t *err)
{
    if (labels >= 1 && labels <= 1 << 20) return 0;
    return cad_fail(err, CAD_EARG, "%lld labels: expected 1 to %d", (long long)labels, 1 << 20);
}

static int check_max_len(int64_t max_len, cad_error_t *err)
{
    if (max_len >= 1 && max_len <= 1 << 20) return 0;
    return cad_fail(err, CAD_EARG, "a length of %lld tokens: expected 1 to %d", (long long)max_len, 1 << 20);
}

int cad_model_set_max_len(cad_model_t *m, int64_t max_len, cad_error_t *err)
{
    int rc = check_max_len(max_len, err);
    if (rc == 0) rc = cad_config_fits(&m->cfg, max_len, err);
    if (rc == 0) m->cfg.max_len = max_len;
    return rc;
}

static int build(cad_model_t *m, const char *config, int64_t max_len, uint64_t seed, cad_error_t *err)
{
    int64_t rows;
    int rc = cad_json_parse(&m->config, config, strlen(config), "config.json", err);
    if (rc == 0) rc = cad_config_read(&m->cfg, m->config, "config.json", err);
    if (rc == 0) rc = cad_model_set_max_len(m, max_len, err);
    if (rc) return rc;
    rows = cad_round_up(m->cfg.vocab_size, m->cfg.vocab_multiple);
    if (rows > 256) return cad_fail(err, CAD_EFORMAT, "config.json: vocabularies above 256 tokens are not DNA");
    m->labels = m->cfg.classifier ? cad_max(m->cfg.num_labels, 1) : 0;
    rc = cad_vocab_read(&m->vocab, &m->cfg, NULL, rows, err);
    if (rc == 0) rc = cad_model_list(m, rows, err);
    if (rc == 0) rc = cad_model_allocate(m, err);
    for (int i = 0; i < m->ntensor && rc == 0; i++) fill(m, &m->tensor[i], seed);
    return rc;
}

/* Makes m a classifier with a copy of the encoder of `from`. The encoder's tensors come first, at the same offsets as
 * in `from`; the head gets initial values. */
static int extend(cad_model_t *m, const cad_model_t *from, int64_t labels, uint64_t seed, cad_error_t *err)
{
    int rc = check_labels(labels, err);
    if (rc == 0) rc = cad_model_whole(from, err);
    if (rc) return rc;
    m->cfg = from->cfg;
    m->config = json_incref(from->config);
    m->tokenizer = json_incref(from->tokenizer);
    m->cfg.classifier = true;
    m->cfg.score_bias = false;
    m->cfg.num_labels = m->labels = labels;
    rc = cad_vocab_copy(&m->vocab, &from->vocab, err);
    if (rc == 0) rc = cad_model_list(m, from->vocab.rows, err);
    if (rc == 0) rc = cad_model_allocate(m, err);
    for (int i = 0; i < m->ntensor && rc == 0; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        if (cad_tensor_of_head(t)) fill(m, t, seed);
        else memcpy(m->param + t->offset, from->param + t->offset, (size_t)t->count * sizeof(float));
    }
    return rc;
}

static int finish(cad_model_t **out, cad_model_t *m, int rc)
{
    if (rc) {
        cad_model_close(m);
        return rc;
    }
    cad_model_refresh(m);
    snprintf(m->dtype, sizeof m->dtype, "F32");
    *out = m;
    return 0;
}

int cad_model_create(cad_model_t **out, const char *config, int64_t max_len, uint64_t seed, cad_error_t *err)
{
    cad_model_t *m = calloc(1, sizeof *m);
    *out = NULL;
    if (!m) return cad_out_of_memory(err);
    return finish(out, m, build(m, config, max_len, seed, err));
}

int cad_model_classifier(cad_model_t **out, const cad_model_t *backbone, int64_t labels, uint64_t seed,
                         cad_error_t *err)
{
    cad_model_t *m = calloc(1, sizeof *m);
    *out = NULL;
    if (!m) return cad_out_of_memory(err);
    return finish(out, m, extend(m, backbone, labels, seed, err));
}

/* Copies the values of all tensors but pool.weight, which one of the two models lacks. */
static void copy_values(cad_model_t *to, const cad_model_t *from)
{
    const cad_tensor_t *x = from->tensor;
    for (int i = 0; i < to->ntensor; i++) {
        const cad_tensor_t *t = &to->tensor[i];
        if (t->role == CAD_T_POOL) continue;
        x += x->role == CAD_T_POOL;
        memcpy(to->param + t->offset, from->param + x->offset, (size_t)t->count * sizeof *to->param);
        x++;
    }
}

/* Frees what cad_model_list and cad_model_allocate have allocated. */
static void free_tensors(cad_model_t *m)
{
    free(m->tensor);
    free(m->param);
    free(m->layer);
    free(m->embed_in);
}

int cad_model_pool(cad_model_t *m, enum cad_pool_t pool, cad_error_t *err)
{
    cad_model_t now = *m;
    int rc;
    if ((pool == CAD_POOL_ATTENTION) == (m->pool_weight != NULL)) {
        m->cfg.pool = pool;
        return 0;
    }
    now.cfg.pool = pool;
    now.nparam = 0;
    now.tensor = NULL;
    now.param = now.embed_in = NULL;
    now.layer = NULL;
    now.pool_weight = NULL;
    rc = cad_model_whole(m, err);
    if (rc == 0) rc = cad_model_list(&now, m->vocab.rows, err);
    if (rc == 0) rc = cad_model_allocate(&now, err);
    if (rc == 0) copy_values(&now, m);
    free_tensors(rc ? &now : m);
    if (rc) return rc;
    *m = now;
    cad_model_refresh(m);
    return 0;
}
