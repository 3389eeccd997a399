/* optimiser.c - updates the parameters by AdamW; reads and writes training checkpoints.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <nettle/sha2.h>

#include "model/archive.h"
#include "train/trainer.h"

/* ---- AdamW: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019 ---- */

typedef struct {
    cad_trainer_t *t;
    int64_t beg, end; /* values of param */
    double lr, clip, fix1, fix2, keep;
} adam_t;

static void adam_task(void *arg, int64_t task, int worker)
{
    const adam_t *a = arg;
    cad_trainer_t *t = a->t;
    const cad_recipe_t *r = &t->recipe;
    int64_t beg = a->beg + task * CAD_BLOCK, end = cad_min(beg + CAD_BLOCK, a->end);
    float *p = t->param + t->own;
    (void)worker;
    for (int64_t i = beg - t->own; i < end - t->own; i++) {
        double g = (double)t->grad[i] * a->clip;
        double m = r->beta1 * (double)t->m[i] + (1 - r->beta1) * g,
               v = r->beta2 * (double)t->v[i] + (1 - r->beta2) * g * g;
        t->m[i] = (float)m;
        t->v[i] = (float)v;
        p[i] = (float)((double)p[i] * a->keep - a->lr * (m / a->fix1) / (sqrt(v / a->fix2) + r->epsilon));
    }
}

/* Updates this rank's slice of the trained parameters. */
static void update_slice(cad_trainer_t *t, adam_t *a)
{
    for (int i = 0; i < t->ntrained; i++) {
        const cad_trained_t *x = &t->trained[i];
        a->beg = cad_max(x->at, t->own);
        a->end = cad_min(x->at + x->count, t->own + t->owned);
        a->keep = x->decays ? 1 - a->lr * t->recipe.weight_decay : 1;
        if (a->beg < a->end) cad_team_run(t->team, (a->end - a->beg + CAD_BLOCK - 1) / CAD_BLOCK, adam_task, a);
    }
}

static bool all_finite(const float *x, int64_t n)
{
    bool finite = true;
    for (int64_t i = 0; i < n; i++) finite &= isfinite(x[i]) != 0;
    return finite;
}

int cad_trainer_collect(cad_trainer_t *t, cad_error_t *err)
{
    int rc = 0;
    cad_grad_lane_t *l = &t->lane[0];
    l->f.text[0] = 0;
    if (t->lora) rc = cad_lora_collect(t);
    for (int s = 0; s < 2 && t->grads[s] && !t->lora && !t->recipe.freeze && rc == 0; s++) {
        l->grads = t->grads[s];
        rc = t->back->collect(l, t->model, t->leaf);
    }
    return rc ? cad_trainer_report(t, rc, err) : 0;
}

static void norm_task(void *arg, int64_t task, int worker)
{
    cad_trainer_t *t = arg;
    const float *g = t->grad + task * CAD_BLOCK;
    int64_t n = cad_min(CAD_BLOCK, t->owned - task * CAD_BLOCK);
    double sum = 0;
    (void)worker;
    for (int64_t i = 0; i < n; i++) sum += (double)g[i] * (double)g[i];
    t->norms[t->own / CAD_BLOCK + task] = sum;
}

/* Sets *norm to the norm of the whole gradient: the sums of blocks are added in order, whichever rank computes them. */
static int whole_norm(cad_trainer_t *t, double *norm, cad_error_t *err)
{
    int64_t blocks = (t->total + CAD_BLOCK - 1) / CAD_BLOCK;
    double sum = 0;
    int rc;
    cad_team_run(t->team, (t->owned + CAD_BLOCK - 1) / CAD_BLOCK, norm_task, t);
    rc = cad_peers_gather(&t->peers, t->norms, blocks, 1, sizeof *t->norms, err);
    for (int64_t i = 0; i < blocks; i++) sum += t->norms[i];
    *norm = sqrt(sum);
    return rc;
}

void cad_trainer_renew(cad_trainer_t *t)
{
    if (t->lora) cad_lora_merge(t);
    cad_model_refresh(t->model);
    t->ops->weights_renew(t->weights, t->model);
    t->back->renew(t->grads[0], t->model);
}

int cad_trainer_update(cad_trainer_t *t, double lr, double *norm, cad_error_t *err)
{
    const cad_recipe_t *r = &t->recipe;
    double size;
    adam_t a = { .t = t, .lr = lr };
    int rc = whole_norm(t, &size, err);
    if (rc) return rc;
    if (norm) *norm = size;
    if (!isfinite(size)) {
        memset(t->grad, 0, (size_t)t->owned * sizeof *t->grad);
        return cad_fail(err, CAD_EARG, "step %lld: the gradient is not finite; a smaller learning rate may help",
                        (long long)t->step + 1);
    }
    t->step++;
    a.clip = r->clip > 0 && size > r->clip ? r->clip / size : 1;
    a.fix1 = 1 - pow(r->beta1, (double)t->step);
    a.fix2 = 1 - pow(r->beta2, (double)t->step);
    update_slice(t, &a);
    memset(t->grad, 0, (size_t)t->owned * sizeof *t->grad);
    rc = cad_peers_gather(&t->peers, t->param, t->total, CAD_BLOCK, sizeof *t->param, err);
    if (rc) return rc;
    if (!all_finite(t->param, t->total) || !all_finite(t->v, t->owned))
        return cad_fail(err, CAD_EFORMAT, "step %lld: a weight is not finite any more; lower the learning rate",
                        (long long)t->step);
    if (!r->freeze) cad_trainer_renew(t); /* with freeze only the head changes, and the backend has no copy of it */
    return 0;
}

static int adapter_gradient(cad_trainer_t *t, const char *name, float *out)
{
    char half;
    const cad_delta_t *d = cad_lora_find(t->lora, name, &half);
    if (!d) return CAD_EARG;
    memcpy(out, t->grad + (half == 'A' ? d->a : d->b),
           (size_t)(t->lora->r * (half == 'A' ? d->in : d->out)) * sizeof *out);
    cad_lora_flip(t->lora, d, half, out);
    return 0;
}

int cad_trainer_gradient(cad_trainer_t *t, const char *name, float *out)
{
    const cad_tensor_t *x = t->model->tensor, *end = x + t->model->ntensor;
    if (t->peers.ranks > 1) return CAD_EARG;
    if (t->lora) return adapter_gradient(t, name, out);
    while (x < end && strcmp(name, x->name)) x++;
    if (x == end) return CAD_EARG;
    memcpy(out, t->grad + x->offset, (size_t)x->count * sizeof *out);
    cad_tensor_flip(x, out);
    return 0;
}

/* ---- training checkpoints: parameters and moments, laid out in the file as in memory ---- */

static cad_array_t flat(const char *name, const float *data, int64_t n)
{
    return (cad_array_t) { .name = name, .dtype = CAD_F32, .ndim = 1, .shape = { n }, .data = data };
}

static void sum_array(struct sha256_ctx *sum, const float *x, int64_t n)
{
    unsigned char buf[4 * 4096];
    for (int64_t at = 0, k = 0; at < n; at += k) {
        for (k = 0; k < 4096 && at + k < n; k++) {
            uint32_t bits;
            memcpy(&bits, x + at + k, 4);
            for (int i = 0; i < 4; i++) buf[4 * k + i] = (unsigned char)(bits >> 8 * i);
        }
        sha256_update(sum, (size_t)(4 * k), buf);
    }
}

/* Says which model and, with lora, which adapters a training checkpoint is of. */
static const char *details(const cad_trainer_t *t) { return t->lora ? t->lora->details : t->model->details; }

/* Computes the SHA-256 of all that a training checkpoint holds: its texts, each with a NUL, then its numbers,
 * little-endian. */
static void sum_state(const cad_trainer_t *t, const float *m, const float *v, const char *step, const char *note,
                      char hex[65])
{
    const char *const text[] = { step, details(t), note };
    unsigned char digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sum;
    sha256_init(&sum);
    for (int i = 0; i < 3; i++) sha256_update(&sum, strlen(text[i]) + 1, (const uint8_t *)text[i]);
    sum_array(&sum, t->param, t->total);
    sum_array(&sum, m, t->total);
    sum_array(&sum, v, t->total);
    sha256_digest(&sum, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static int write_state(const cad_trainer_t *t, const float *m, const float *v, const char *path, const char *note,
                       cad_error_t *err)
{
    char step[32], sha256[65];
    int64_t n = t->total;
    const cad_array_t array[] = { flat("parameters", t->param, n), flat("exp_avg", m, n), flat("exp_avg_sq", v, n) };
    const cad_meta_t meta[] = { { .key = "step", .value = step },
                                { .key = "model", .value = details(t) },
                                { .key = "note", .value = note },
                                { .key = "sha256", .value = sha256 } };
    snprintf(step, sizeof step, "%lld", (long long)t->step);
    sum_state(t, m, v, step, note ? note : "", sha256);
    return cad_safetensors_write(path, array, 3, meta, 4, err);
}

int cad_trainer_save(const cad_trainer_t *t, const char *path, const char *note, cad_error_t *err)
{
    float *m = NULL, *v = NULL;
    int rc = 0;
    if (t->peers.ranks < 2) return write_state(t, t->m, t->v, path, note, err);
    if (t->peers.rank == 0) {
        m = cad_alloc((size_t)t->total, sizeof *m);
        v = cad_alloc((size_t)t->total, sizeof *v);
        if (!m || !v) rc = cad_fail(err, CAD_ENOMEM, "out of memory for a training checkpoint");
    }
    if (rc == 0) rc = cad_peers_collect(t, t->m, m, err);
    if (rc == 0) rc = cad_peers_collect(t, t->v, v, err);
    if (rc == 0 && t->peers.rank == 0) rc = write_state(t, m, v, path, note, err);
    free(m);
    free(v);
    return rc;
}

static int read_array(const cad_archive_t *st, const char *name, float *out, int64_t n, const char *path,
                      cad_error_t *err)
{
    const cad_stored_t *s = cad_archive_find(st, name);
    int rc;
    if (!s || s->count != n)
        return cad_fail(err, CAD_EFORMAT, "%s: %s is not what a checkpoint of this model holds", path, name);
    rc = cad_archive_f32(st, s, out, err);
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (!isfinite(out[i]))
            rc = cad_fail(err, CAD_EFORMAT, "%s: %s holds %s", path, name, isnan(out[i]) ? "NaN" : "an infinity");
    return rc;
}

/* Compares the SHA-256 of the state that was read with the SHA-256 in the file. */
static int check_sum(const cad_trainer_t *t, const char *want, const char *step, const char *note, const char *path,
                     cad_error_t *err)
{
    char sha256[65];
    sum_state(t, t->m, t->v, step, note, sha256);
    return want && !strcmp(want, sha256)
               ? 0
               : cad_fail(err, CAD_EFORMAT, "%s: damaged: its SHA-256 %s; begin again, or restore it", path,
                          want ? "is not that of its contents" : "is missing");
}

int cad_trainer_load(cad_trainer_t *t, const char *path, char **note, cad_error_t *err)
{
    cad_archive_t st = { 0 };
    int64_t n = t->total, step = 0;
    const char *text, *model, *saved, *sum;
    int rc;
    *note = NULL;
    if (t->peers.ranks) return cad_fail(err, CAD_EARG, "the trainer has joined others; load before it joins");
    rc = cad_archive_open(&st, path, err);
    text = rc ? NULL : cad_archive_meta(&st, "step");
    sum = rc ? NULL : cad_archive_meta(&st, "sha256");
    saved = rc ? NULL : cad_archive_meta(&st, "note");
    model = rc ? NULL : cad_archive_meta(&st, "model");
    if (rc == 0 && (!text || !cad_parse_int(text, 0, INT64_MAX, &step)))
        rc = cad_fail(err, CAD_EFORMAT, "%s: not a training checkpoint", path);
    if (rc == 0 && (!model || strcmp(model, details(t))))
        rc = cad_fail(err, CAD_EFORMAT, "%s: is of another model: %s", path, model ? model : "");
    if (rc == 0) rc = read_array(&st, "parameters", t->param, n, path, err);
    if (rc == 0) rc = read_array(&st, "exp_avg", t->m, n, path, err);
    if (rc == 0) rc = read_array(&st, "exp_avg_sq", t->v, n, path, err);
    if (rc == 0) rc = check_sum(t, sum, text, saved ? saved : "", path, err);
    if (rc == 0 && !(*note = strdup(saved ? saved : ""))) rc = cad_out_of_memory(err);
    cad_archive_close(&st);
    if (rc) return rc;
    t->step = step;
    cad_trainer_renew(t);
    return 0;
}
