/* peers.c - joins the trainers of several processes (ranks), so that they train one model. Each rank has a slice of the
 * gradient and of AdamW's moments, updates that slice of the parameters, and gives it to the others.
 * SPDX-License-Identifier: MIT
 */
#include "train/trainer.h"

/* ---- messages ---- */

int cad_peers_each(const cad_peers_t *p, cad_meet_f *meet, void *arg, cad_error_t *err)
{
    int rc = 0;
    for (int turn = 0; turn < p->ranks && rc == 0; turn++) {
        int other = (turn - p->rank + p->ranks) % p->ranks;
        if (other != p->rank) rc = meet(arg, other, err);
    }
    return rc;
}

/* An array of n elements of `size` bytes; rank r has the elements from cut(r) to cut(r+1), in whole blocks. */
typedef struct {
    const cad_peers_t *p;
    char *data;
    int64_t n, block;
    size_t size;
} shared_t;

static int64_t cut(int64_t n, int64_t block, int rank, int ranks)
{
    int64_t blocks = (n + block - 1) / block;
    return cad_min(n, blocks * rank / ranks * block);
}

static int send_part(const shared_t *s, int to, cad_error_t *err)
{
    const cad_peers_t *p = s->p;
    int64_t beg = cut(s->n, s->block, p->rank, p->ranks), end = cut(s->n, s->block, p->rank + 1, p->ranks);
    if (beg == end) return 0;
    return p->send(p->arg, to, s->data + (size_t)beg * s->size, (size_t)(end - beg) * s->size, err);
}

static int receive_part(const shared_t *s, int from, cad_error_t *err)
{
    const cad_peers_t *p = s->p;
    int64_t beg = cut(s->n, s->block, from, p->ranks), end = cut(s->n, s->block, from + 1, p->ranks);
    if (beg == end) return 0;
    return p->receive(p->arg, from, s->data + (size_t)beg * s->size, (size_t)(end - beg) * s->size, err);
}

static int swap(void *arg, int other, cad_error_t *err)
{
    const shared_t *s = arg;
    bool first = s->p->rank < other;
    int rc = first ? send_part(s, other, err) : receive_part(s, other, err);
    if (rc) return rc;
    return first ? receive_part(s, other, err) : send_part(s, other, err);
}

int cad_peers_gather(const cad_peers_t *p, void *data, int64_t n, int64_t block, size_t size, cad_error_t *err)
{
    shared_t s = { p, data, n, block, size };
    return cad_peers_each(p, swap, &s, err);
}

int64_t cad_slice_begin(const cad_trainer_t *t, int rank)
{
    return cut(t->total, CAD_BLOCK, rank, cad_max(t->peers.ranks, 1));
}

/* ---- joining ---- */

static int share(const cad_peers_t *p, void *data, size_t bytes, cad_error_t *err)
{
    return p->ranks > 1 ? p->broadcast(p->arg, data, bytes, err) : 0;
}

/* Compares with rank 0 that which decides how examples become packs, and the number of parameters. */
static int compare(const cad_trainer_t *t, cad_error_t *err)
{
    int64_t mine[] = { t->total, t->pack, t->most }, first[] = { t->total, t->pack, t->most };
    int rc = share(&t->peers, first, sizeof first, err);
    if (rc) return rc;
    if (first[0] != mine[0])
        return cad_fail(err, CAD_EARG,
                        "this process trains %lld parameters, and rank 0 trains %lld: give both one model",
                        (long long)mine[0], (long long)first[0]);
    if (first[1] != mine[1] || first[2] != mine[2])
        return cad_fail(err, CAD_EARG,
                        "this process's packs have %lld rows, and rank 0's have %lld: one of them is short of memory, "
                        "or their devices differ",
                        (long long)mine[1], (long long)first[1]);
    return 0;
}

/* Moves a rank's slice of an array (total) to the array's beginning, and frees the rest. */
static void keep_slice(const cad_trainer_t *t, float **x)
{
    size_t bytes = (size_t)cad_max(t->owned, 1) * sizeof(float);
    float *less = cad_alloc((size_t)cad_max(t->owned, 1), sizeof(float));
    if (!less) { /* then the array stays as large as it is */
        memmove(*x, *x + t->own, (size_t)t->owned * sizeof(float));
        return;
    }
    memset(less, 0, bytes);
    memcpy(less, *x + t->own, (size_t)t->owned * sizeof(float));
    free(*x);
    *x = less;
}

/* Keeps of the gradient and the moments this rank's slice. */
static void divide(cad_trainer_t *t)
{
    t->own = cad_slice_begin(t, t->peers.rank);
    t->owned = cad_slice_begin(t, t->peers.rank + 1) - t->own;
    keep_slice(t, &t->grad);
    keep_slice(t, &t->m);
    keep_slice(t, &t->v);
    t->bytes -= 3 * (size_t)(t->total - t->owned) * sizeof(float);
}

int cad_trainer_join(cad_trainer_t *t, const cad_peers_t *peers, cad_error_t *err)
{
    size_t bytes = (size_t)t->total * sizeof(float);
    int rc;
    if (t->peers.ranks) return cad_fail(err, CAD_EARG, "the trainer has joined others already");
    memcpy(&t->peers, peers, peers->size < sizeof t->peers ? peers->size : sizeof t->peers);
    if (t->peers.ranks < 1 || t->peers.rank < 0 || t->peers.rank >= t->peers.ranks)
        return cad_fail(err, CAD_EARG, "rank %d of %d: expected 0 to one less than their number", t->peers.rank,
                        t->peers.ranks);
    if (t->peers.ranks > 1 && (!t->peers.send || !t->peers.receive || !t->peers.broadcast))
        return cad_fail(err, CAD_EARG, "peers: a function is missing");
    rc = compare(t, err);
    if (rc == 0) rc = share(&t->peers, t->param, bytes, err);
    if (rc == 0) rc = share(&t->peers, t->m, bytes, err);
    if (rc == 0) rc = share(&t->peers, t->v, bytes, err);
    if (rc == 0) rc = share(&t->peers, &t->step, sizeof t->step, err);
    if (rc) return rc;
    if (t->peers.rank > 0) cad_trainer_renew(t);
    divide(t);
    return 0;
}

/* ---- the moments, for a training checkpoint ---- */

int cad_peers_collect(const cad_trainer_t *t, const float *slice, float *all, cad_error_t *err)
{
    const cad_peers_t *p = &t->peers;
    int rc = 0;
    if (p->rank > 0 && t->owned == 0) return 0;
    if (p->rank > 0) return p->send(p->arg, 0, slice, (size_t)t->owned * sizeof(float), err);
    memcpy(all, slice, (size_t)t->owned * sizeof(float));
    for (int r = 1; r < p->ranks && rc == 0; r++) {
        int64_t beg = cad_slice_begin(t, r), n = cad_slice_begin(t, r + 1) - beg;
        if (n) rc = p->receive(p->arg, r, all + beg, (size_t)n * sizeof(float), err);
    }
    return rc;
}
