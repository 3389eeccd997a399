/* packs.c - adds the losses and gradients of examples: cuts the examples into packs, shares the packs among processes
 * (ranks) and adds them in an order that does not depend on the number of ranks.
 *
 * Some consecutive packs make a leaf; there are at most CAD_LEAVES leaves. Within a leaf the backend adds pack after
 * pack. The leaves are added as a binary tree: the sum of the leaves [a,b) is the sum of [a,m) plus the sum of [m,b),
 * where m - a is the largest power of two below b - a. So the sum depends on the examples and on the capacity of a pack
 * alone. Of n leaves, rank r of R computes leaf a if a R/n, rounded down, is r. It adds up the largest nodes of the tree
 * that lie within its leaves: one node if R is a power of two. Then each rank receives its slice of the others' nodes, and
 * adds the rest of the tree for that slice. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "engine/engine.h"
#include "train/trainer.h"

#define SLICE 16384 /* values that one task adds */

typedef struct { /* the sum over the leaves [beg,end) */
    int64_t beg, end;
    int rank;    /* the rank that computes it */
    float *grad; // (total), or of another rank's node (owned); NULL: no gradient is wanted
    double loss;
} node_t;

typedef struct {
    cad_trainer_t *t;
    enum cad_loss_t loss;
    double scale;
    const cad_example_t *ex;
    int *first; // (packs+1) first example of each pack
    int64_t packs, leaves;
    int64_t each;            /* packs of a leaf */
    node_t node[CAD_LEAVES]; /* the largest nodes that lie within one rank's leaves, in the order of their leaves */
    int n, next;             /* number of nodes, and the first one that fold has not taken */
    float *inbox;            // (owned) times the number of other ranks' nodes
    cad_error_t *err;
} sum_t;

/* ---- arrays and their sums ---- */

/* Returns an array of zeros (total), or NULL. */
static float *take_array(cad_trainer_t *t)
{
    size_t bytes = (size_t)t->total * sizeof(float);
    bool spare = t->nspare > 0;
    float *x = spare ? t->spare[--t->nspare] : cad_alloc((size_t)t->total, sizeof(float));
    if (!x) return NULL;
    memset(x, 0, bytes);
    t->bytes += spare ? 0 : bytes;
    return x;
}

static void give_array(cad_trainer_t *t, float *x)
{
    if (x) t->spare[t->nspare++] = x;
}

typedef struct {
    float *to;
    const float *from;
    int64_t n;
} add_t;

static void add_task(void *arg, int64_t task, int worker)
{
    const add_t *a = arg;
    int64_t end = cad_min(a->n, (task + 1) * SLICE);
    (void)worker;
    for (int64_t i = task * SLICE; i < end; i++) a->to[i] += a->from[i];
}

static void add_array(const cad_trainer_t *t, float *to, const float *from, int64_t n)
{
    add_t a = { to, from, n };
    cad_team_run(t->team, (a.n + SLICE - 1) / SLICE, add_task, &a);
}

/* ---- the leaves of this rank ---- */

static int run_pack(const sum_t *s, int64_t k, double *loss)
{
    cad_trainer_t *t = s->t;
    cad_pack_t p = { .ex = s->ex + s->first[k], .n = s->first[k + 1] - s->first[k] };
    int rc = cad_pack_loss(t, s->loss, &p, s->scale, loss);
    if (rc) return cad_trainer_report(t, rc, s->err);
    if (t->watch) t->watch(t->watch_arg, t->off[p.n]);
    return 0;
}

static int leaf(const sum_t *s, int64_t a, node_t *out)
{
    cad_trainer_t *t = s->t;
    int64_t end = cad_min((a + 1) * s->each, s->packs);
    float *next;
    int rc = 0;
    for (int64_t k = a * s->each; k < end && rc == 0; k++) rc = run_pack(s, k, &out->loss);
    if (rc || s->scale == 0) return rc;
    next = take_array(t);
    if (!next) return cad_out_of_memory(s->err);
    out->grad = t->leaf;
    rc = cad_trainer_collect(t, s->err);
    t->leaf = next;
    return rc;
}

/* Returns where the tree divides the leaves [a,b), of which there are at least two. */
static int64_t middle(int64_t a, int64_t b)
{
    int64_t half = 1;
    while (2 * half < b - a) half *= 2;
    return a + half;
}

/* Adds up the leaves [a,b). */
static int add_leaves(const sum_t *s, int64_t a, int64_t b, node_t *out)
{
    node_t right = { 0 };
    int rc;
    if (b - a == 1) return leaf(s, a, out);
    rc = add_leaves(s, a, middle(a, b), out);
    if (rc == 0) rc = add_leaves(s, middle(a, b), b, &right);
    if (rc == 0 && right.grad) add_array(s->t, out->grad, right.grad, s->t->total);
    out->loss += right.loss;
    give_array(s->t, right.grad);
    return rc;
}

/* ---- nodes of all ranks ---- */

/* Returns the rank that computes leaf a. */
static int rank_of(const sum_t *s, int64_t a) { return (int)(a * cad_max(s->t->peers.ranks, 1) / s->leaves); }

/* Lists in s->node the largest nodes of [a,b) that lie within one rank's leaves. */
static void list(sum_t *s, int64_t a, int64_t b)
{
    int rank = rank_of(s, a);
    if (rank == rank_of(s, b - 1)) {
        s->node[s->n++] = (node_t) { .beg = a, .end = b, .rank = rank };
        return;
    }
    list(s, a, middle(a, b));
    list(s, middle(a, b), b);
}

/* Computes this rank's nodes. */
static int compute(sum_t *s)
{
    int rc = 0;
    for (int i = 0; i < s->n && rc == 0; i++) {
        node_t *x = &s->node[i];
        if (x->rank == s->t->peers.rank) rc = add_leaves(s, x->beg, x->end, x);
    }
    return rc;
}

/* Sends this rank's nodes to another rank: their losses, and that rank's slice of their gradients. */
static int send_nodes(const sum_t *s, int to)
{
    const cad_peers_t *p = &s->t->peers;
    int64_t at = cad_slice_begin(s->t, to), n = cad_slice_begin(s->t, to + 1) - at;
    int rc = 0;
    for (int i = 0; i < s->n && rc == 0; i++) {
        const node_t *x = &s->node[i];
        if (x->rank != p->rank) continue;
        rc = p->send(p->arg, to, &x->loss, sizeof x->loss, s->err);
        if (rc == 0 && x->grad && n) rc = p->send(p->arg, to, x->grad + at, (size_t)n * sizeof(float), s->err);
    }
    return rc;
}

static int receive_nodes(sum_t *s, int from)
{
    const cad_peers_t *p = &s->t->peers;
    int64_t n = s->t->owned;
    int rc = 0, foreign = 0;
    for (int i = 0; i < s->n && rc == 0; i++) {
        node_t *x = &s->node[i];
        foreign += x->rank != p->rank;
        if (x->rank != from) continue;
        rc = p->receive(p->arg, from, &x->loss, sizeof x->loss, s->err);
        if (rc || s->scale == 0) continue;
        x->grad = s->inbox + (foreign - 1) * n;
        if (n) rc = p->receive(p->arg, from, x->grad, (size_t)n * sizeof(float), s->err);
    }
    return rc;
}

static int trade(void *arg, int other, cad_error_t *err)
{
    sum_t *s = arg;
    bool first = s->t->peers.rank < other;
    int rc = first ? send_nodes(s, other) : receive_nodes(s, other);
    (void)err; /* s->err is the same */
    if (rc) return rc;
    return first ? receive_nodes(s, other) : send_nodes(s, other);
}

/* Gets this rank's slice of the other ranks' nodes. */
static int trade_all(sum_t *s)
{
    int64_t foreign = 0;
    for (int i = 0; i < s->n; i++) foreign += s->node[i].rank != s->t->peers.rank;
    if (s->scale != 0 && foreign) {
        s->inbox = cad_alloc((size_t)foreign, (size_t)cad_max(s->t->owned, 1) * sizeof(float));
        if (!s->inbox) return cad_out_of_memory(s->err);
    }
    return cad_peers_each(&s->t->peers, trade, s, s->err);
}

/* Sets *slice to this rank's slice of the gradient of the leaves [a,b); returns their loss. */
static double fold(sum_t *s, int64_t a, int64_t b, float **slice)
{
    node_t *x = &s->node[s->next];
    double loss;
    float *right;
    if (x->beg == a && x->end == b) {
        *slice = x->grad && x->rank == s->t->peers.rank ? x->grad + s->t->own : x->grad;
        s->next++;
        return x->loss;
    }
    loss = fold(s, a, middle(a, b), slice);
    loss += fold(s, middle(a, b), b, &right);
    if (right) add_array(s->t, *slice, right, s->t->owned);
    return loss;
}

/* ---- packs ---- */

/* Cuts n examples into packs, and the packs into leaves. */
static int cut(sum_t *s, int n)
{
    const cad_trainer_t *t = s->t;
    int64_t rows = 0;
    s->first = cad_alloc((size_t)n + 1, sizeof *s->first);
    if (!s->first) return cad_out_of_memory(s->err);
    s->first[0] = 0;
    for (int i = 0; i < n; i++) {
        if (i > s->first[s->packs] && (rows + s->ex[i].len > t->pack || i - s->first[s->packs] == t->most)) {
            s->first[++s->packs] = i;
            rows = 0;
        }
        rows += s->ex[i].len;
    }
    if (n) s->first[++s->packs] = n;
    for (s->each = 1; s->packs > s->each * CAD_LEAVES; s->each *= 2) continue;
    s->leaves = (s->packs + s->each - 1) / s->each;
    list(s, 0, s->leaves);
    return 0;
}

static int check_example(const cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *e, cad_error_t *err)
{
    int V = t->model->vocab.rows;
    if (e->len < 1) return cad_fail(err, CAD_EARG, "an empty sequence");
    if (e->len > t->recipe.max_tokens)
        return cad_fail(err, CAD_EARG, "a sequence of %lld tokens for a trainer of %lld", (long long)e->len,
                        (long long)t->recipe.max_tokens);
    for (int64_t i = 0; i < e->len; i++)
        if (e->tokens[i] >= V || (loss == CAD_LOSS_TOKENS && e->weight[i] > 0 && e->labels[i] >= V))
            return cad_fail(err, CAD_EARG, "a token at %lld is not in the vocabulary of %d", (long long)i, V);
    return 0;
}

static int check_examples(const cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int n,
                          cad_error_t *err)
{
    int rc = 0;
    if (loss == CAD_LOSS_TOKENS && t->model->labels)
        return cad_fail(err, CAD_EARG, "the model is a classifier; it has no language-model head");
    if (loss != CAD_LOSS_TOKENS && !t->model->labels)
        return cad_fail(err, CAD_EARG, "the model is a language model; it has no score.weight");
    if (loss == CAD_LOSS_TOKENS) rc = cad_rows_of_bases(t->model, (int)t->model->cfg.n_layer, err);
    for (int i = 0; i < n && rc == 0; i++) rc = check_example(t, loss, &ex[i], err);
    return rc;
}

/* Adds the sum over all leaves: its loss to *sum, and this rank's slice of its gradient to t->grad. */
static int add_all(sum_t *s, double *sum)
{
    cad_trainer_t *t = s->t;
    float *slice = NULL;
    int rc = compute(s);
    if (rc == 0) rc = trade_all(s);
    if (rc == 0) *sum += fold(s, 0, s->leaves, &slice);
    if (rc == 0 && slice) add_array(t, t->grad, slice, t->owned);
    for (int i = 0; i < s->n; i++)
        if (s->node[i].rank == t->peers.rank) give_array(t, s->node[i].grad);
    return rc;
}

int cad_trainer_add(cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int n, double scale, double *sum,
                    cad_error_t *err)
{
    sum_t s = { .t = t, .loss = loss, .scale = scale, .ex = ex, .err = err };
    int rc = check_examples(t, loss, ex, n, err);
    if (rc || n < 1) return rc;
    for (int i = 0; i < t->lanes; i++) t->lane[i].f.text[0] = 0;
    rc = cut(&s, n);
    if (rc == 0) rc = add_all(&s, sum);
    free(s.first);
    free(s.inbox);
    if (rc) return rc;
    return scale == 0 && !isfinite(*sum) /* with a gradient, cad_trainer_update reports this */
               ? cad_fail(err, CAD_EFORMAT, "the model overflows: a loss is not finite; are its weights damaged?")
               : 0;
}

void cad_trainer_watch(cad_trainer_t *t, void (*watch)(void *arg, int64_t tokens), void *arg)
{
    t->watch = watch;
    t->watch_arg = arg;
}
