/* grads.h - gradients in the host's memory, and the weights turned round. Part of
 * backward.h. SPDX-License-Identifier: MIT */
#include "engine/gradients.h"

typedef struct {                  /* one Mamba's weights for the way back */
    const float *in_xt, *in_zt;   // panels (Dp,Ep)
    const float *xt, *dtt, *outt; // panels (Ep,Sp), (Rp,Ep), (Ep,Dp)
} turn_t;

struct cad_grads_t {
    cad_sums_t s;
    turn_t *turn;         // (layers,2)
    float *sums, *turned; /* all gradients; all turned weights */
    bool lent;            /* turn and turned are another's */
};

/* v (k,n), rows ld apart, to panels of n outputs: pack_panels of its transpose. */
static const float *pack_turned(store_t *s, const float *v, int64_t ld, int64_t n, int64_t k, int64_t np, int64_t kp)
{
    float *d = reserve(s, np * kp);
    for (int64_t j = 0; d && j < k; j++)
        for (int64_t i = 0; i < n; i++) {
            int64_t p = i / PW * PW, width = cad_min(PW, np - p);
            d[p * kp + j * width + i - p] = v[j * ld + i];
        }
    return d;
}

static void turn_weights(store_t *s, cad_grads_t *g, const cad_model_t *m)
{
    const cad_sums_t *z = &g->s;
    int64_t D = z->D, E = z->E, S = z->R + 2 * z->N;
    for (int i = 0; i < 2 * m->cfg.n_layer; i++) {
        const cad_direction_t *d = &m->layer[i / 2].dir[i % 2];
        turn_t *t = &g->turn[i];
        if (i % 2 >= m->layer[i / 2].ndir) continue;
        t->in_xt = pack_turned(s, d->in, D, D, E, z->Dp, z->Ep);
        t->in_zt = pack_turned(s, d->in + E * D, D, D, E, z->Dp, z->Ep);
        t->xt = pack_turned(s, d->x, E, E, S, z->Ep, z->Sp);
        t->dtt = pack_turned(s, d->dt, z->R, z->R, E, z->Rp, z->Ep);
        t->outt = pack_turned(s, d->out, E, E, D, z->Ep, z->Dp);
    }
}

static void grads_close(cad_grads_t *g)
{
    if (!g) return;
    cad_sums_close(&g->s);
    free(g->sums);
    if (!g->lent) free(g->turn);
    if (!g->lent) free(g->turned);
    free(g);
}

static void grads_clear(cad_grads_t *g) { memset(g->sums, 0, (size_t)g->s.count * sizeof *g->sums); }

static void grads_renew(cad_grads_t *g, const cad_model_t *m)
{
    store_t s = { g->turned, 0 };
    turn_weights(&s, g, m);
}

/* The weights turned round; false when out of memory. */
static bool open_turned(cad_grads_t *g, const cad_model_t *m, const cad_grads_t *like)
{
    store_t s = { NULL, 0 };
    if (like) {
        g->lent = true;
        g->turn = like->turn;
        g->turned = like->turned;
        return true;
    }
    g->turn = calloc((size_t)m->cfg.n_layer * 2, sizeof *g->turn);
    if (!g->turn) return false;
    turn_weights(&s, g, m);
    g->turned = cad_alloc((size_t)s.used, sizeof(float));
    if (!g->turned) return false;
    memset(g->turned, 0, (size_t)s.used * sizeof(float));
    grads_renew(g, m);
    return true;
}

static int grads_open(cad_grads_t **out, const cad_ops_t *ops, const cad_model_t *m, const cad_grads_t *like,
                      cad_error_t *err)
{
    cad_grads_t *g = calloc(1, sizeof *g);
    (void)ops;
    *out = NULL;
    if (!g) return cad_fail(err, CAD_ENOMEM, "out of memory");
    if (cad_sums_open(&g->s, m, m->cfg.d_state, VW) && open_turned(g, m, like))
        g->sums = cad_alloc((size_t)g->s.count, sizeof(float));
    if (!g->sums) {
        grads_close(g);
        return cad_fail(err, CAD_ENOMEM, "out of memory for the gradients of %lld parameters", (long long)m->nparam);
    }
    cad_sums_place(&g->s, m, g->sums);
    grads_clear(g);
    *out = g;
    return 0;
}

static int grads_collect(cad_grad_lane_t *l, const cad_model_t *m, float *flat)
{
    cad_sums_add(&l->grads->s, m, flat);
    grads_clear(l->grads);
    return 0;
}
