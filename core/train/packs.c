/* packs.c - adds the losses and gradients of examples: cuts the examples into packs, shares the packs among processes
 * (ranks) and adds them in an order that does not depend on the number of ranks.
 *
 * Some consecutive packs make a leaf; there are at most CAD_LEAVES leaves. Within a leaf the backend adds pack after
 * pack. The leaves are added as a binary tree: the sum of the leaves [a,b) is the sum of [a,m) plus the sum of [m,b),
 * where m - a is the largest power of two below b - a. So the sum depends on the examples and on the capacity of a pack
 * alone. Of n leaves, rank r of R computes leaf a if a R/n, rounded down, is r. First it adds up the largest nodes of the
 * tree that lie within its leaves; then ranks meet at the other nodes. There the rank that has the node's first leaf
 * receives the right half from the rank that has the right half's first leaf. Rank 0 ends with the sum of all. All
 * ranks come to their nodes in the order of one walk through the tree, so none waits for another in a circle.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "train/trainer.h"

#define MOST_NODES 16 /* maximum number of largest nodes of a rank: 2 log2(CAD_LEAVES) */
#define SLICE 16384   /* values that one task adds */

typedef struct { /* the sum over some leaves; grad (total), or NULL if no gradient is wanted */
    float *grad;
    double loss;
} node_t;

typedef struct {
    cad_trainer_t *t;
    enum cad_loss_t loss;
    double scale;
    const cad_example_t *ex;
    int *first; // (packs+1) first example of each pack
    int64_t packs, leaves;
    int64_t each;     /* packs of a leaf */
    int64_t beg, end; /* this rank's leaves */
    node_t node[MOST_NODES];
    int n, next; /* number of nodes, and the first one that has not been taken */
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

static void add_array(const cad_trainer_t *t, float *to, const float *from)
{
    add_t a = { to, from, t->total };
    cad_team_run(t->team, (a.n + SLICE - 1) / SLICE, add_task, &a);
}

/* Adds node b to node a, and gives b's array back. */
static void add_node(cad_trainer_t *t, node_t *a, node_t *b)
{
    a->loss += b->loss;
    if (b->grad) add_array(t, a->grad, b->grad);
    give_array(t, b->grad);
    b->grad = NULL;
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
    *out = (node_t) { 0 };
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
    if (rc == 0) add_node(s->t, out, &right);
    give_array(s->t, right.grad);
    return rc;
}

/* Lists in s->node the largest nodes of the tree over [a,b) that lie within this rank's leaves. */
static int add_own(sum_t *s, int64_t a, int64_t b)
{
    int rc;
    if (b <= s->beg || s->end <= a) return 0;
    if (s->beg <= a && b <= s->end) return add_leaves(s, a, b, &s->node[s->n++]);
    rc = add_own(s, a, middle(a, b));
    return rc ? rc : add_own(s, middle(a, b), b);
}

/* ---- nodes at which ranks meet ---- */

/* Returns the rank that computes leaf a. */
static int rank_of(const sum_t *s, int64_t a) { return (int)(a * s->t->peers.ranks / s->leaves); }

static int send_node(const sum_t *s, int to, node_t *x)
{
    const cad_peers_t *p = &s->t->peers;
    int rc = p->send(p->arg, to, &x->loss, sizeof x->loss, s->err);
    if (rc == 0 && x->grad) rc = p->send(p->arg, to, x->grad, (size_t)s->t->total * sizeof(float), s->err);
    give_array(s->t, x->grad);
    *x = (node_t) { 0 };
    return rc;
}

static int receive_node(const sum_t *s, int from, node_t *x)
{
    const cad_peers_t *p = &s->t->peers;
    int rc = p->receive(p->arg, from, &x->loss, sizeof x->loss, s->err);
    if (rc || s->scale == 0) return rc;
    x->grad = take_array(s->t);
    if (!x->grad) return cad_out_of_memory(s->err);
    return p->receive(p->arg, from, x->grad, (size_t)s->t->total * sizeof(float), s->err);
}

/* Sets *out to the sum of the leaves [a,b) on the rank that has leaf a. */
static int meet(sum_t *s, int64_t a, int64_t b, node_t *out)
{
    int me = s->t->peers.rank, to = rank_of(s, a), from, rc;
    node_t right = { 0 };
    if (b <= s->beg || s->end <= a) return 0;
    if (s->beg <= a && b <= s->end) {
        *out = s->node[s->next++];
        return 0;
    }
    from = rank_of(s, middle(a, b));
    rc = meet(s, a, middle(a, b), out);
    if (rc == 0) rc = meet(s, middle(a, b), b, &right);
    if (rc == 0 && from == me && to != me) rc = send_node(s, to, &right);
    if (rc == 0 && to == me && from != me) rc = receive_node(s, from, &right);
    if (rc == 0 && to == me) add_node(s->t, out, &right);
    give_array(s->t, right.grad);
    return rc;
}

/* ---- packs ---- */

/* Cuts n examples into packs, and the packs into leaves. */
static int cut(sum_t *s, int n)
{
    const cad_trainer_t *t = s->t;
    int64_t rows = 0;
    int ranks = cad_max(t->peers.ranks, 1);
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
    s->beg = (t->peers.rank * s->leaves + ranks - 1) / ranks;
    s->end = ((t->peers.rank + 1) * s->leaves + ranks - 1) / ranks;
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
    for (int i = 0; i < n && rc == 0; i++) rc = check_example(t, loss, &ex[i], err);
    return rc;
}

/* Sets *all to the sum over all leaves: its loss on every rank, its gradient on rank 0. */
static int add_all(sum_t *s, node_t *all)
{
    const cad_peers_t *p = &s->t->peers;
    int rc = add_own(s, 0, s->leaves);
    if (rc == 0) rc = meet(s, 0, s->leaves, all);
    for (; s->next < s->n; s->next++) give_array(s->t, s->node[s->next].grad); /* after an error */
    return rc ? rc : cad_peers_share(p, &all->loss, sizeof all->loss, s->err);
}

int cad_trainer_add(cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int n, double scale, double *sum,
                    cad_error_t *err)
{
    sum_t s = { .t = t, .loss = loss, .scale = scale, .ex = ex, .err = err };
    node_t all = { 0 };
    int rc = check_examples(t, loss, ex, n, err);
    if (rc || n < 1) return rc;
    for (int i = 0; i < t->lanes; i++) t->lane[i].f.text[0] = 0;
    rc = cut(&s, n);
    if (rc == 0) rc = add_all(&s, &all);
    if (rc == 0) *sum += all.loss;
    if (rc == 0 && all.grad) add_array(t, t->grad, all.grad);
    give_array(t, all.grad);
    free(s.first);
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
