/* peers.c - joins the trainers of several processes (ranks), so that they train one model. SPDX-License-Identifier: MIT
 */
#include "train/trainer.h"

int cad_peers_share(const cad_peers_t *p, void *data, size_t bytes, cad_error_t *err)
{
    return p->ranks > 1 ? p->broadcast(p->arg, data, bytes, err) : 0;
}

/* Compares with rank 0 that which decides how examples become packs, and the number of parameters. */
static int compare(const cad_trainer_t *t, cad_error_t *err)
{
    int64_t mine[] = { t->total, t->pack, t->most }, first[] = { t->total, t->pack, t->most };
    int rc = cad_peers_share(&t->peers, first, sizeof first, err);
    if (rc) return rc;
    if (first[0] != mine[0])
        return cad_fail(err, CAD_EARG,
                        "this process trains %lld parameters, and rank 0 trains %lld: give both one model",
                        (long long)mine[0], (long long)first[0]);
    if (first[1] != mine[1] || first[2] != mine[2])
        return cad_fail(
            err, CAD_EARG,
            "this process's packs have %lld rows, and rank 0's have %lld: one of them is short of memory, or "
            "their devices differ",
            (long long)mine[1], (long long)first[1]);
    return 0;
}

int cad_trainer_join(cad_trainer_t *t, const cad_peers_t *peers, cad_error_t *err)
{
    size_t bytes = (size_t)t->total * sizeof(float);
    int rc;
    memset(&t->peers, 0, sizeof t->peers);
    memcpy(&t->peers, peers, peers->size < sizeof t->peers ? peers->size : sizeof t->peers);
    if (t->peers.ranks < 1 || t->peers.rank < 0 || t->peers.rank >= t->peers.ranks)
        return cad_fail(err, CAD_EARG, "rank %d of %d: expected 0 to one less than their number", t->peers.rank,
                        t->peers.ranks);
    rc = compare(t, err);
    if (rc == 0) rc = cad_peers_share(&t->peers, t->param, bytes, err);
    if (rc == 0) rc = cad_peers_share(&t->peers, t->m, bytes, err);
    if (rc == 0) rc = cad_peers_share(&t->peers, t->v, bytes, err);
    if (rc == 0) rc = cad_peers_share(&t->peers, &t->step, sizeof t->step, err);
    if (rc == 0 && t->peers.rank > 0) cad_trainer_renew(t);
    return rc;
}
