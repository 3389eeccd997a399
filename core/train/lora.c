/* lora.c - trains low-rank changes of projections instead of the model's own weights.
 *
 * A projection W is read as W + scale * B A, with A (r,in) and B (out,r). The model's parameters always hold this sum,
 * so the forward and backward passes do not know of adapters. After the backward pass of each layer, the gradient G of
 * its projections gives those of the adapters: of B, scale * G A^T, and of A, scale * B^T G. So the gradients of whole
 * weights are needed for one layer at a time only, and AdamW's moments for A, B and the head only.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/random.h"
#include "train/trainer.h"

#define USUAL "in_proj,x_proj,out_proj,qkv_proj,fc1,fc2"
#define ROWS 16    /* rows of W that one task changes, or whose gradients of B it computes */
#define COLUMNS 64 /* columns of A whose gradients one task computes */

/* ---- which projections ---- */

/* True if t is the weight of the projection `name` (n letters) of a layer. */
static bool is_projection(const cad_tensor_t *t, const char *name, size_t n)
{
    size_t size = strlen(t->name);
    const char *leaf = size > n + 8 ? t->name + size - n - 8 : "";
    return t->layer >= 0 && t->ndim == 2 && t->decays && *leaf == '.' && !strncmp(leaf + 1, name, n) &&
           !strcmp(leaf + 1 + n, ".weight");
}

static bool model_has(const cad_model_t *m, const char *name, size_t n)
{
    bool has = false;
    for (int i = 0; i < m->ntensor && !has; i++) has = is_projection(&m->tensor[i], name, n);
    return has;
}

/* True if t's name is in the comma-separated list. */
static bool targeted(const cad_tensor_t *t, const char *list)
{
    for (const char *s = list; *s; s += strspn(s, ",")) {
        size_t n = strcspn(s, ",");
        if (is_projection(t, s, n)) return true;
        s += n;
    }
    return false;
}

/* True if the name (n letters) is in a list with ", " between names. */
static bool listed(const char *list, const char *name, size_t n)
{
    for (const char *s = list; *s; s += strspn(s, ", ")) {
        size_t size = strcspn(s, ",");
        if (size == n && !strncmp(s, name, n)) return true;
        s += size;
    }
    return false;
}

/* Writes the names of the model's projections to text, separated by commas. */
static void list_projections(const cad_model_t *m, char *text, size_t size)
{
    size_t used = 0;
    *text = 0;
    for (int i = 0; i < m->ntensor; i++) {
        const char *end = strrchr(m->tensor[i].name, '.'), *name = end;
        while (name && name > m->tensor[i].name && name[-1] != '.') name--;
        if (!name || !is_projection(&m->tensor[i], name, (size_t)(end - name))) continue;
        if (listed(text, name, (size_t)(end - name))) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? ", " : "", (int)(end - name), name);
    }
}

/* Sets l->targets to the given list, or to those of the usual projections that the model has. */
static int choose_targets(cad_lora_t *l, const cad_model_t *m, const char *given, cad_error_t *err)
{
    const char *from = given ? given : USUAL;
    char *to = l->targets = malloc(strlen(from) + 1), all[128];
    if (!to) return cad_out_of_memory(err);
    *to = 0;
    for (const char *s = from; *s; s += strspn(s, ",")) {
        size_t n = strcspn(s, ",");
        if (model_has(m, s, n)) to += sprintf(to, "%s%.*s", to == l->targets ? "" : ",", (int)n, s);
        else if (given) {
            list_projections(m, all, sizeof all);
            return cad_fail(err, CAD_EARG, "LoRA of %.*s: the model has no projection of that name; it has %s", (int)n,
                            s, all);
        }
        s += n;
    }
    return *l->targets ? 0 : cad_fail(err, CAD_EARG, "LoRA of no projection");
}

/* ---- memory ---- */

static void list_deltas(cad_lora_t *l, const cad_model_t *m)
{
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        cad_delta_t *d = &l->delta[l->n];
        if (!targeted(t, l->targets)) continue;
        *d = (cad_delta_t) { .t = t, .out = t->shape[0], .in = t->shape[1], .a = l->size };
        d->b = d->a + cad_round_up(l->r * d->in, CAD_PAD);
        l->size = d->b + cad_round_up(l->r * d->out, CAD_PAD);
        l->n++;
    }
}

/* Returns the number of floats of the largest layer's parameters. */
static int64_t largest_layer(const cad_model_t *m)
{
    int64_t first = 0, most = 0;
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        if (t->layer < 0) continue;
        if (i == 0 || t[-1].layer != t->layer) first = t->offset;
        most = cad_max(most, t->offset - first + cad_round_up(t->count, CAD_PAD));
    }
    return most;
}

static int64_t head_offset(const cad_model_t *m)
{
    for (int i = 0; i < m->ntensor; i++)
        if (cad_tensor_of_head(&m->tensor[i])) return m->tensor[i].offset;
    return m->total;
}

/* Lays out the arrays of l from base onwards; returns their size in bytes. */
static size_t carve(cad_lora_t *l, const cad_trainer_t *t, char *base)
{
    cad_bump_t b = { base, 0 };
    int64_t floats = 0, most = largest_layer(t->model);
    for (int i = 0; i < l->n; i++) floats += l->delta[i].t->count;
    l->base = cad_bump_floats(&b, floats, 1);
    for (int s = 0; s < t->strands; s++) l->layer[s] = cad_bump_floats(&b, most, 1);
    if (t->strands == 2) l->other = cad_bump_floats(&b, l->size, 1);
    return b.used;
}

static int allocate(cad_trainer_t *t, cad_error_t *err)
{
    cad_lora_t *l = t->lora;
    const cad_model_t *m = t->model;
    size_t bytes = carve(l, t, NULL);
    float *at;
    t->total = l->size + m->total - l->head;
    t->param = cad_alloc((size_t)t->total, sizeof *t->param);
    l->base = bytes == SIZE_MAX ? NULL : cad_alloc(bytes, 1);
    if (!t->param || !l->base)
        return cad_fail(err, CAD_ENOMEM, "out of memory for adapters of rank %lld", (long long)l->r);
    carve(l, t, (char *)l->base);
    memset(t->param, 0, (size_t)t->total * sizeof *t->param);
    if (l->other) memset(l->other, 0, (size_t)l->size * sizeof *l->other);
    at = l->base;
    for (int i = 0; i < l->n; i++) {
        cad_delta_t *d = &l->delta[i];
        d->base = at;
        memcpy(at, m->param + d->t->offset, (size_t)d->t->count * sizeof *at);
        at += d->t->count;
    }
    memcpy(t->param + l->size, m->param + l->head, (size_t)(m->total - l->head) * sizeof *t->param);
    t->extra += bytes + (size_t)t->total * sizeof *t->param;
    return 0;
}

/* Lists what AdamW trains: A and B of each change, and the head. */
static int list_trained(cad_trainer_t *t, cad_error_t *err)
{
    const cad_lora_t *l = t->lora;
    const cad_model_t *m = t->model;
    cad_trained_t *x = t->trained = calloc(2 * (size_t)l->n + 3, sizeof *x);
    if (!x) return cad_out_of_memory(err);
    for (int i = 0; i < l->n; i++) {
        const cad_delta_t *d = &l->delta[i];
        *x++ = (cad_trained_t) { d->a, l->r * d->in, true };
        *x++ = (cad_trained_t) { d->b, l->r * d->out, true };
    }
    for (int i = 0; i < m->ntensor; i++)
        if (cad_tensor_of_head(&m->tensor[i]))
            *x++ = (cad_trained_t) { l->size + m->tensor[i].offset - l->head, m->tensor[i].count, m->tensor[i].decays };
    t->ntrained = (int)(x - t->trained);
    return 0;
}

/* Gives A peft's initial values, uniform in +-1/sqrt(in). They depend on the seed, the published name and the index. */
static void initialise(cad_trainer_t *t)
{
    const cad_lora_t *l = t->lora;
    for (int i = 0; i < l->n; i++) {
        const cad_delta_t *d = &l->delta[i];
        uint64_t name = cad_random_name(d->t->name);
        for (int64_t k = 0; k < l->r * d->in; k++)
            t->param[d->a + k] = (float)((2 * cad_unit(cad_random(t->recipe.lora_seed, name, 1, (uint64_t)k)) - 1) /
                                         sqrt((double)d->in));
        cad_lora_flip(l, d, 'A', t->param + d->a);
    }
}

int cad_lora_open(cad_trainer_t *t, cad_error_t *err)
{
    const cad_recipe_t *r = &t->recipe;
    cad_lora_t *l = t->lora = calloc(1, sizeof *l);
    int rc;
    if (!l) return cad_out_of_memory(err);
    l->r = r->lora;
    l->alpha = r->lora_alpha > 0 ? r->lora_alpha : (double)r->lora;
    l->scale = l->alpha / (double)l->r;
    l->head = head_offset(t->model);
    l->delta = calloc((size_t)t->model->ntensor, sizeof *l->delta);
    rc = l->delta ? choose_targets(l, t->model, r->lora_targets, err) : cad_out_of_memory(err);
    if (rc) return rc;
    list_deltas(l, t->model);
    snprintf(l->details, sizeof l->details, "%s lora=%lld alpha=%g targets=%s", t->model->details, (long long)l->r,
             l->alpha, l->targets);
    rc = allocate(t, err);
    if (rc == 0) rc = list_trained(t, err);
    if (rc == 0) initialise(t);
    return rc;
}

void cad_lora_close(cad_trainer_t *t)
{
    if (!t->lora) return;
    free(t->lora->targets);
    free(t->lora->delta);
    free(t->lora->base);
    free(t->lora);
    free(t->param);
}

/* ---- gradients ---- */

typedef struct {
    const cad_lora_t *l;
    const cad_delta_t *d;
    const float *param, *full; /* full (out,in): gradient of the projection */
    float *grad;
} project_t;

/* Adds scale * G A^T to the gradient of B, for ROWS rows. */
static void project_b(void *arg, int64_t task, int worker)
{
    const project_t *p = arg;
    const cad_delta_t *d = p->d;
    int64_t r = p->l->r, end = cad_min((task + 1) * ROWS, d->out);
    (void)worker;
    for (int64_t o = task * ROWS; o < end; o++)
        for (int64_t k = 0; k < r; k++) {
            const float *g = p->full + o * d->in, *a = p->param + d->a + k * d->in;
            double sum = 0;
            for (int64_t i = 0; i < d->in; i++) sum += (double)g[i] * (double)a[i];
            p->grad[d->b + o * r + k] += (float)(p->l->scale * sum);
        }
}

/* Adds scale * B^T G to the gradient of A, for COLUMNS columns. */
static void project_a(void *arg, int64_t task, int worker)
{
    const project_t *p = arg;
    const cad_delta_t *d = p->d;
    int64_t r = p->l->r, from = task * COLUMNS, n = cad_min(COLUMNS, d->in - from);
    (void)worker;
    for (int64_t k = 0; k < r; k++) {
        double sum[COLUMNS] = { 0 };
        for (int64_t o = 0; o < d->out; o++) {
            const float *g = p->full + o * d->in + from;
            double b = (double)p->param[d->b + o * r + k];
            for (int64_t i = 0; i < n; i++) sum[i] += b * (double)g[i];
        }
        for (int64_t i = 0; i < n; i++) p->grad[d->a + k * d->in + from + i] += (float)(p->l->scale * sum[i]);
    }
}

int cad_lora_layer(cad_trainer_t *t, cad_grad_lane_t *lane, int s, int layer)
{
    const cad_lora_t *l = t->lora;
    const cad_tensor_t *first = t->model->tensor;
    float *full = l->layer[s];
    int rc;
    while (first->layer != layer) first++;
    memset(full, 0, (size_t)largest_layer(t->model) * sizeof *full);
    if ((rc = t->back->collect_layer(lane, t->model, layer, full))) return rc;
    for (int i = 0; i < l->n; i++) {
        const cad_delta_t *d = &l->delta[i];
        project_t p = { l, d, t->param, full + d->t->offset - first->offset, s ? l->other : t->leaf };
        if (d->t->layer != layer) continue;
        cad_team_run(lane->f.team, (d->out + ROWS - 1) / ROWS, project_b, &p);
        cad_team_run(lane->f.team, (d->in + COLUMNS - 1) / COLUMNS, project_a, &p);
    }
    return 0;
}

int cad_lora_collect(cad_trainer_t *t)
{
    cad_lora_t *l = t->lora;
    int rc = 0;
    for (int s = 0; s < 2 && t->grads[s] && rc == 0; s++) {
        t->lane[0].grads = t->grads[s];
        rc = t->back->collect_layer(&t->lane[0], t->model, -1, NULL);
    }
    for (int64_t i = 0; l->other && i < l->size; i++) t->leaf[i] += l->other[i];
    if (l->other) memset(l->other, 0, (size_t)l->size * sizeof *l->other);
    return rc;
}

/* ---- values ---- */

static void merge_rows(void *arg, int64_t task, int worker)
{
    const project_t *p = arg;
    const cad_delta_t *d = p->d;
    int64_t o = task * ROWS, n = cad_min(ROWS, d->out - o);
    float *to = p->grad + o * d->in;
    (void)worker;
    memcpy(to, d->base + o * d->in, (size_t)(n * d->in) * sizeof *to);
    cad_adapter_change(to, p->param + d->b + o * p->l->r, p->param + d->a, n, p->l->r, d->in, p->l->scale);
}

void cad_lora_merge(cad_trainer_t *t)
{
    const cad_lora_t *l = t->lora;
    cad_model_t *m = t->model;
    for (int i = 0; i < l->n; i++) {
        project_t p = { l, &l->delta[i], t->param, NULL, m->param + l->delta[i].t->offset };
        cad_team_run(t->team, (p.d->out + ROWS - 1) / ROWS, merge_rows, &p);
    }
    memcpy(m->param + l->head, t->param + l->size, (size_t)(m->total - l->head) * sizeof *t->param);
}

void cad_lora_flip(const cad_lora_t *l, const cad_delta_t *d, char half, float *value)
{
    if (half == 'B' && d->t->flip_axis == 0) cad_reverse_rows(value, d->out, l->r);
    if (half == 'A' && d->t->flip_axis == 1)
        for (int64_t k = 0; k < l->r; k++) cad_reverse_rows(value + k * d->in, d->in, 1);
}

const cad_delta_t *cad_lora_find(const cad_lora_t *l, const char *name, char *half)
{
    const char *at = strstr(name, ".lora_");
    if (!at || (at[6] != 'A' && at[6] != 'B') || strcmp(at + 7, ".weight")) return NULL;
    *half = at[6];
    for (int i = 0; i < l->n; i++) {
        const char *own = l->delta[i].t->name;
        size_t n = strlen(own) - strlen(".weight");
        if (n == (size_t)(at - name) && !strncmp(own, name, n)) return &l->delta[i];
    }
    return NULL;
}
