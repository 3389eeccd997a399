/* trainer.c - opens and closes a trainer: its backend, teams of threads, lanes and tapes. SPDX-License-Identifier: MIT
 */
#include "engine/engine.h"
#include "train/trainer.h"

void cad_recipe_init_sized(cad_recipe_t *r, size_t size)
{
    memset(r, 0, size);
    r->size = size;
    r->threads = 1;
    r->pool = CAD_POOL_MEAN;
    r->beta1 = 0.9;
    r->beta2 = 0.95;
    r->epsilon = 1e-8;
    r->weight_decay = 0.1;
    r->clip = 1.0;
    if (size >= sizeof *r) r->focal = 2;
}

static int take_recipe(cad_recipe_t *r, const cad_recipe_t *given, const cad_model_t *m, cad_error_t *err)
{
    int rc;
    cad_recipe_init(r);
    if (given) memcpy(r, given, given->size < sizeof *r ? given->size : sizeof *r);
    if (r->max_tokens == 0) r->max_tokens = m->cfg.max_len;
    if (r->threads < 1 || r->threads > 4096)
        return cad_fail(err, CAD_EARG, "%d threads: expected 1 to 4096", r->threads);
    if (r->max_tokens < 1 || r->max_tokens > CAD_LONGEST)
        return cad_fail(err, CAD_EARG, "sequences of %lld tokens: expected 1 to %lld", (long long)r->max_tokens,
                        (long long)CAD_LONGEST);
    if (cad_config_fits(&m->cfg, r->max_tokens, err)) return CAD_EARG;
    if (!(r->beta1 >= 0 && r->beta1 < 1 && r->beta2 >= 0 && r->beta2 < 1 && r->epsilon > 0 && r->weight_decay >= 0 &&
          r->clip >= 0))
        return cad_fail(err, CAD_EARG,
                        "AdamW's settings: expected 0 <= beta < 1, epsilon > 0, decay and clip of at least 0");
    if (r->pool < CAD_POOL_MEAN || r->pool > CAD_POOL_ATTENTION)
        return cad_fail(err, CAD_EARG, "pooling: expected the mean, the maximum or attention");
    if (r->pool == CAD_POOL_ATTENTION && (r->bin || !m->pool_weight))
        return cad_fail(err, CAD_EARG, "attention pooling: %s",
                        r->bin ? "it does not go with bins" : "the model's head does not pool so (cad_head_write)");
    if (r->bin && (rc = cad_rows_of_bases(m, (int)m->cfg.n_layer, err))) return rc;
    if (r->bin < 0 || r->bin > 65536) return cad_fail(err, CAD_EARG, "bins: expected 1 to 65536 bases");
    if (!(r->focal >= 0 && r->focal <= 100))
        return cad_fail(err, CAD_EARG, "focal loss: expected an exponent of 0 to 100");
    if (r->lora < 0 || r->lora > 256 || !(r->lora_alpha >= 0 && r->lora_alpha < 1e9))
        return cad_fail(err, CAD_EARG, "LoRA: expected a rank of 1 to 256 and an alpha above 0");
    if (r->lora && r->freeze) return cad_fail(err, CAD_EARG, "LoRA: adapters cannot be trained if only the head is");
    return 0;
}

/* Lays out the tape of one strand. The tape's arrays of pointers are stored in t->slot and t->kept. */
static void lay_tape(cad_trainer_t *t, int strand, cad_bump_t *b)
{
    const cad_model_t *m = t->model;
    int64_t n = m->cfg.n_layer, rows = t->lane[0].f.rows, Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    bool all = t->back->keeps && !t->recipe.recompute && !cad_model_apart(m);
    float **res = t->slot + strand * (n + 1);
    cad_kept_t *kept = all ? t->kept + strand * n : NULL;
    t->tape[strand] = (cad_tape_t) { .res = res, .kept = kept };
    for (int64_t i = 1; i <= n; i++) res[i] = cad_bump(b, rows, Dp, sizeof(float));
    res[0] = res[n]; /* layer 0's input is recomputed in the backward pass, when the head's input is no longer needed */
    for (int64_t i = 0; i < n && all; i++)
        cad_layer_block(m, (int)i)->keep(&m->cfg, m->layer[i].ndir, rows, t->most, b, &kept[i]);
}

static size_t lay_tapes(cad_trainer_t *t, char *base)
{
    cad_bump_t b = { base, 0 };
    for (int s = 0; s < t->strands; s++) lay_tape(t, s, &b);
    return b.used;
}

int cad_trainer_report(const cad_trainer_t *t, int rc, cad_error_t *err)
{
    const char *text = t->lane[0].f.text;
    for (int i = 1; i < t->lanes && !*text; i++) text = t->lane[i].f.text;
    return cad_fail(err, rc, "%s: %s", t->ops->name, *text ? text : cad_strerror(rc));
}

static int no_memory(const cad_trainer_t *t, cad_error_t *err)
{
    return cad_fail(
        err, CAD_ENOMEM,
        "out of memory%s%s: training on sequences of up to %lld tokens needs %.3g GB and more; make them shorter%s",
        t->table.back ? " on " : "", t->table.back ? t->ops->name : "", (long long)t->recipe.max_tokens,
        (double)t->bytes * 1e-9, t->recipe.recompute || !t->back->keeps ? "" : " or recompute layers");
}

static int take(cad_trainer_t *t, char **arena, size_t bytes, cad_error_t *err)
{
    *arena = t->back->take(t->ops, bytes);
    t->bytes += bytes;
    return *arena ? 0 : no_memory(t, err);
}

static void give(cad_trainer_t *t, char **arena)
{
    t->back->give(t->ops, *arena);
    *arena = NULL;
}

/* Opens lane i. The lane has no memory of its own for the arrays that the tapes hold, such as the residual. */
static int open_lane(cad_trainer_t *t, int i, cad_error_t *err)
{
    cad_grad_lane_t *l = &t->lane[i];
    int rc = cad_encoder_open(&l->f, t->model);
    if (rc == 0) rc = t->ops->lane_open(&l->f, t->model);
    t->bytes += l->f.bytes;
    if (rc) return rc == CAD_ENOMEM ? no_memory(t, err) : cad_trainer_report(t, rc, err);
    rc = take(t, &t->arena[i], t->back->carve(l, t->model, NULL), err);
    if (rc == 0) t->back->carve(l, t->model, t->arena[i]);
    return rc;
}

static int open_lanes(cad_trainer_t *t, cad_error_t *err)
{
    int64_t rows = cad_round_up(cad_max(t->recipe.max_tokens, t->pack), t->back->round);
    int64_t tile = cad_min(t->back->tile, cad_round_up(rows, CAD_TRAIN_STEP));
    /* z is recomputed for each direction, so only two tiles of z are kept: the current one, and the next one, which is
     * computed ahead */
    bool thrifty = t->ops->late && (t->recipe.recompute || rows > t->back->rows);
    int64_t zrows = thrifty && rows > 2 * tile ? 2 * tile : rows;
    int rc;
    memset(t->lane, 0, sizeof t->lane);
    t->bytes = t->extra;
    t->most = (int)cad_min(rows / CAD_TRAIN_STEP + 1, 1 << 20);
    for (int i = 0; i < t->lanes; i++)
        t->lane[i] = (cad_grad_lane_t) { .f = { .ops = t->ops,
                                                .weights = t->weights,
                                                .team = t->lanes == 2 ? t->half[i] : t->team,
                                                .rows = rows,
                                                .tile = tile,
                                                .zrows = zrows,
                                                .tape = &t->tape[i] },
                                         .ops = t->back,
                                         .grads = t->grads[0],
                                         .most = t->most };
    rc = take(t, &t->tapes, lay_tapes(t, NULL), err);
    if (rc) return rc;
    lay_tapes(t, t->tapes);
    for (int i = 0; i < t->lanes && rc == 0; i++) rc = open_lane(t, i, err);
    return rc;
}

static void close_lanes(cad_trainer_t *t)
{
    for (int i = 0; i < t->lanes; i++) {
        give(t, &t->arena[i]);
        if (t->lane[i].f.ops) t->ops->lane_close(&t->lane[i].f);
        t->lane[i].f.ops = NULL;
        free(t->lane[i].f.offsets);
        t->lane[i].f.offsets = NULL;
    }
    give(t, &t->tapes);
}

/* Changes from two lanes to a single lane, which uses all threads. */
static void join_lanes(cad_trainer_t *t)
{
    for (int i = 0; i < 2; i++) {
        cad_team_close(t->half[i]);
        t->half[i] = NULL;
    }
    t->lanes = 1;
}

/* Opens the teams of threads. There are two lanes, each with half of the threads. There is a single lane if there are
 * too few threads, or if layers are recomputed to save memory and sequences are longer than a pack. With short
 * sequences, a second lane takes little memory, whereas a single lane would divide each operation on a tile, some 0.1
 * ms of work, among threads that may be asleep. */
static int open_teams(cad_trainer_t *t, cad_error_t *err)
{
    int threads = t->recipe.threads, rc = threads > 1 ? cad_team_open(&t->team, threads, err) : 0;
    bool long_lanes = t->recipe.recompute && t->recipe.max_tokens > t->back->rows;
    bool enough = threads > 1 && t->grads[1] && !long_lanes;
    cad_error_t none;
    for (int i = 0; i < 2 && rc == 0 && enough; i++)
        if ((threads + 1 - i) / 2 > 1) enough = cad_team_open(&t->half[i], (threads + 1 - i) / 2, &none) == 0;
    t->lanes = 2;
    if (!enough) join_lanes(t);
    return rc;
}

/* Opens the lanes. If memory is short, retries with a single lane, then with smaller packs. */
static int fit_lanes(cad_trainer_t *t, cad_error_t *err)
{
    int rc;
    t->slot = calloc((size_t)(2 * (t->model->cfg.n_layer + 1)), sizeof *t->slot);
    t->kept = calloc((size_t)(2 * t->model->cfg.n_layer), sizeof *t->kept);
    if (!t->slot || !t->kept) return cad_out_of_memory(err);
    t->pack = t->back->rows;
    while ((rc = open_lanes(t, err)) == CAD_ENOMEM &&
           (t->lanes > 1 || (t->pack > t->back->least && t->pack > t->recipe.max_tokens))) {
        close_lanes(t);
        if (t->lanes > 1) join_lanes(t);
        else t->pack = cad_max(t->pack / 2, t->back->least);
    }
    return rc;
}

static void *get(cad_trainer_t *t, size_t count, size_t size, int *rc, cad_error_t *err)
{
    void *p = *rc ? NULL : cad_alloc(count, size);
    if (*rc == 0 && !p) *rc = cad_fail(err, CAD_ENOMEM, "out of memory for training");
    if (p) memset(p, 0, count * size);
    t->bytes += count * size;
    return p;
}

static int open_buffers(cad_trainer_t *t, cad_error_t *err)
{
    const cad_model_t *m = t->model;
    size_t rows = (size_t)t->lane[0].f.rows, total = (size_t)t->total, most = (size_t)t->most,
           pooled = t->recipe.bin ? rows : most;
    int rc = 0;
    for (int s = 0; s < 2; s++) {
        t->tok[s] = get(t, rows, 1, &rc, err);
        t->row[s] = get(t, rows, sizeof(int64_t), &rc, err);
        t->pooled[s] = get(t, pooled * (size_t)m->cfg.d_model, sizeof(float), &rc, err);
        t->range[s] = get(t, most, sizeof(cad_range_t), &rc, err);
        t->dpool_weight[s] = get(t, (size_t)m->cfg.d_model, sizeof(float), &rc, err);
    }
    t->off = get(t, most + 1, sizeof(int64_t), &rc, err);
    t->dlogits = get(t, rows, (size_t)m->vocab.rows * sizeof(float), &rc, err);
    t->other = get(t, CAD_LOGITS, (size_t)m->vocab.rows * sizeof(float), &rc, err);
    t->grad = get(t, total, sizeof(float), &rc, err);
    t->owned = t->total;
    t->norms = get(t, (total + CAD_BLOCK - 1) / CAD_BLOCK, sizeof(double), &rc, err);
    t->leaf = get(t, total, sizeof(float), &rc, err);
    t->m = get(t, total, sizeof(float), &rc, err);
    t->v = get(t, total, sizeof(float), &rc, err);
    return rc;
}

/* Makes the model's own parameters the trained ones or, with freeze, those of its head. */
static int open_own(cad_trainer_t *t, cad_error_t *err)
{
    const cad_model_t *m = t->model;
    t->param = t->model->param;
    t->total = m->total;
    t->trained = calloc((size_t)m->ntensor, sizeof *t->trained);
    if (!t->trained) return cad_out_of_memory(err);
    for (int i = 0; i < m->ntensor; i++)
        if (!m->tensor[i].fixed && (!t->recipe.freeze || cad_tensor_of_head(&m->tensor[i])))
            t->trained[t->ntrained++] = (cad_trained_t) { m->tensor[i].offset, m->tensor[i].count,
                                                          m->tensor[i].decays };
    return 0;
}

/* Opens the backend's operations of the forward and backward pass, its weights and its gradients. */
static int open_backend(cad_trainer_t *t, cad_error_t *err)
{
    int rc = cad_device_open(&t->table, t->model, t->recipe.device, t->recipe.precision, t->note, sizeof t->note, err);
    if (rc) return rc;
    t->ops = &t->table;
    t->back = t->ops->back ? t->ops->back : cad_cpu_back_ops(&t->table);
    rc = t->ops->weights_open(&t->weights, t->ops, t->model, err);
    if (rc == 0) rc = t->back->open(&t->grads[0], t->ops, t->model, NULL, t->lora, err);
    if (rc == 0 && t->strands == 2 && t->back->lanes > 1)
        rc = t->back->open(&t->grads[1], t->ops, t->model, t->grads[0], t->lora, err);
    return rc;
}

int cad_trainer_open(cad_trainer_t **out, cad_model_t *model, const cad_recipe_t *recipe, cad_error_t *err)
{
    cad_trainer_t *t = calloc(1, sizeof *t);
    int rc;
    *out = NULL;
    if (!t) return cad_out_of_memory(err);
    t->model = model;
    t->strands = cad_conjoin_strands(model);
    rc = cad_model_whole(model, err);
    if (rc == 0) rc = take_recipe(&t->recipe, recipe, model, err);
    if (rc == 0) rc = t->recipe.lora ? cad_lora_open(t, err) : open_own(t, err);
    if (rc == 0) rc = open_backend(t, err);
    if (rc == 0) rc = open_teams(t, err);
    if (rc == 0) rc = fit_lanes(t, err);
    if (rc == 0) rc = open_buffers(t, err);
    if (rc) cad_trainer_close(t);
    else *out = t;
    return rc;
}

void cad_trainer_close(cad_trainer_t *t)
{
    if (!t) return;
    cad_team_close(t->team);
    if (t->back) close_lanes(t);
    join_lanes(t);
    if (t->weights) t->ops->weights_close(t->weights);
    for (int s = 0; s < 2; s++) {
        if (t->grads[s]) t->back->close(t->grads[s]);
        free(t->tok[s]);
        free(t->row[s]);
        free(t->pooled[s]);
        free(t->range[s]);
        free(t->dpool_weight[s]);
    }
    free(t->slot);
    free(t->kept);
    free(t->off);
    free(t->dlogits);
    free(t->other);
    for (int i = 0; i < t->nspare; i++) free(t->spare[i]);
    free(t->leaf);
    free(t->norms);
    free(t->grad);
    free(t->m);
    free(t->v);
    free(t->trained);
    cad_lora_close(t);
    free(t);
}

size_t cad_trainer_bytes(const cad_trainer_t *t) { return t->bytes; }

const char *cad_trainer_device(const cad_trainer_t *t) { return t->ops->name; }

const char *cad_trainer_precision(const cad_trainer_t *t) { return t->ops->precision; }

const char *cad_trainer_note(const cad_trainer_t *t) { return t->note; }

int64_t cad_trainer_steps(const cad_trainer_t *t) { return t->step; }

int64_t cad_trainer_trained(const cad_trainer_t *t)
{
    int64_t n = 0;
    for (int i = 0; i < t->ntrained; i++) n += t->trained[i].count;
    return n;
}
