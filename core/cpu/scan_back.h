/* scan_back.h - the scan backwards in time: part of backward.h.
 *
 * A stretch of rows is run forwards from its kept state, leaving the state before each
 * row and its decay, and then backwards. WIDE vectors of channels go together, a few rows
 * at a time, so that dB and dC are summed over them before the lanes of a vector are.
 * SPDX-License-Identifier: MIT
 */

#define WIDE (CAD_WIDE / VW) /* vectors of channels at a time, at most */
_Static_assert(FEW * VW <= 4 * CAD_PAD, "cad_scan_scratch has room for the sums of FEW rows");

typedef struct { float dt[STRETCH * VW], slope[STRETCH * VW], dy[STRETCH * VW], dskip[VW], dbias[VW]; } held_t;

typedef struct { /* some vectors of channels of some rows of one sequence */
    stretch_t t;
    int wide;             /* vectors */
    const float *g, *z;   // (rows,Ep)
    float *du, *dpre;     // (rows,Ep)
    float *bc;            // (rows,2N) sums of this block of channels
    float *carry;         // (wide,N,VW)
    float *s, *decay;     // (STRETCH,WIDE,N,VW): the state before each row; its decay. A few rows' together
    float *sum;           // (FEW,N,VW)
    float *state;         // (WIDE,N,VW)
    float *slopes;        // (WIDE,N,VW) dA of one stretch
    float *da, *dskip, *dbias; // (wide,N,VW), (wide,VW)
    held_t *held;         // (WIDE)
} back_stretch_t;

/* Vector g alone. */
INLINE stretch_t vector_of(const back_stretch_t *b, int g)
{
    stretch_t t = b->t;
    t.c += g * VW;
    t.u += g * VW;
    t.y += g * VW;
    return t;
}

/* Rows are far apart in memory: ask for z and g of the n that follow, and for what these need later. */
INLINE void fetch_back(const back_stretch_t *b, int g, int64_t r, const int n)
{
    int64_t Ep = b->t.w->Ep, at = r * Ep + g * VW;
    for (int i = 0; i < n; i++, at += Ep) {
        int64_t ahead = at + cad_min(n, b->t.rows - 1 - r - i) * Ep;
        __builtin_prefetch(b->z + ahead);
        __builtin_prefetch(b->g + ahead);
        __builtin_prefetch(b->t.u + at);
        __builtin_prefetch(b->t.y + at, 1);
        __builtin_prefetch(b->du + at, 1);
        __builtin_prefetch(b->dpre + at, 1);
    }
}

/* Of n rows: dy = g silu(z), and the softplus's slope at pre, which it replaces. */
INLINE void hold_rows(const back_stretch_t *b, int g, int64_t beg, int64_t at, const int n)
{
    held_t *h = &b->held[g];
    int64_t Ep = b->t.w->Ep, from = (beg + at) * Ep + g * VW;
    vf v[GROUP];
    fetch_back(b, g, beg + at, n);
    EACH v[i] = vload(b->z + from + i * Ep);
    vsilus(n, v);
    EACH vstore(h->dy + (at + i) * VW, v[i] * vload(b->g + from + i * Ep));
    EACH v[i] = vload(h->slope + (at + i) * VW);
    vsigmoids(n, v);
    EACH vstore(h->slope + (at + i) * VW, v[i]);
}

static void hold(const back_stretch_t *b, int g, int64_t beg, int64_t n)
{
    stretch_t t = vector_of(b, g);
    held_t *h = &b->held[g];
    int64_t r = 0;
    delta(&t, beg, beg + n, h->slope, h->dt);
    for (; r + GROUP <= n; r += GROUP) hold_rows(b, g, beg, r, GROUP);
    for (; r < n; r++) hold_rows(b, g, beg, r, 1);
    memset(h->dskip, 0, sizeof h->dskip);
    memset(h->dbias, 0, sizeof h->dbias);
}

/* n rows of vector g from `at` of a stretch that begins with row beg, forwards in time,
 * `done` rows after its beginning: y, the states, their decays, dC's terms. */
INLINE void again_some(const back_stretch_t *b, int g, int64_t beg, int64_t at, int64_t done, const int n, int64_t step, const int64_t N)
{
    const stretch_t *t = &b->t;
    const cad_weights_t *w = t->w;
    const held_t *h = &b->held[g];
    const float *a = t->p->a + (t->c + g * VW) * N, *B = t->xdbl + (beg + at) * w->Sp + w->R;
    const int64_t row = (beg + at) * w->Ep + g * VW, uw = step * w->Ep, bw = step * w->Sp, hw = step * VW;
    float *s = b->state + g * N * VW, *sum = b->sum, *keep = b->s + (done * WIDE + g * n) * N * VW, *decay = b->decay + (done * WIDE + g * n) * N * VW;
    vf d[GROUP], du[GROUP], dy[GROUP], y[GROUP];
    EACH d[i] = vload(h->dt + at * VW + i * hw);
    EACH dy[i] = vload(h->dy + at * VW + i * hw);
    EACH du[i] = vload(t->u + row + i * uw);
    EACH y[i] = vload(t->p->skip + t->c + g * VW) * du[i];
    EACH du[i] = d[i] * du[i];
    for (int64_t k = 0; k < N; k++, B++, sum += VW, keep += n * VW, decay += n * VW) {
        vf x[GROUP], v = vload(s + k * VW), ak = vload(a + k * VW);
        EACH x[i] = d[i] * ak;
        vdecays(n, x);
        EACH {
            vstore(keep + i * VW, v);
            vstore(decay + i * VW, x[i]);
            v = vfma(x[i], v, du[i] * vset(B[i * bw]));
            y[i] = vfma(v, vset(B[i * bw + N]), y[i]);
            vstore(sum + i * N * VW, vfma(v, dy[i], vload(sum + i * N * VW)));
        }
        vstore(s + k * VW, v);
    }
    if (t->add) EACH y[i] = vload(t->y + row + i * uw) + y[i];
    EACH vstore(t->y + row + i * uw, y[i]);
}

/* The same rows backwards; state: gradient of the state after the last of them, then before the first. */
INLINE void back_some(const back_stretch_t *b, int g, int64_t beg, int64_t at, int64_t done, const int n, int64_t step, const int64_t N)
{
    const stretch_t *t = &b->t;
    const cad_weights_t *w = t->w;
    held_t *h = &b->held[g];
    const float *a = t->p->a + (t->c + g * VW) * N, *B = t->xdbl + (beg + at) * w->Sp + w->R;
    const int64_t row = (beg + at) * w->Ep + g * VW, uw = step * w->Ep, bw = step * w->Sp, hw = step * VW;
    const float *s = b->s + (done * WIDE + g * n) * N * VW, *decay = b->decay + (done * WIDE + g * n) * N * VW;
    float *ds = b->state + g * N * VW, *da = b->slopes + g * N * VW, *sum = b->sum;
    const vf ln2 = vset(0x1.62e43p-1f), skip = vload(t->p->skip + t->c + g * VW);
    vf d[GROUP], du[GROUP], dy[GROUP], q[GROUP], p[GROUP], dskip = vload(h->dskip), dbias = vload(h->dbias);
    EACH d[i] = vload(h->dt + at * VW + i * hw);
    EACH dy[i] = vload(h->dy + at * VW + i * hw);
    EACH du[i] = d[i] * vload(t->u + row + i * uw);
    EACH q[i] = p[i] = vset(0.0f);
    for (int64_t k = 0; k < N; k++, B++, sum += VW, s += n * VW, decay += n * VW) {
        vf v = vload(ds + k * VW), ak = vload(a + k * VW), dak = vload(da + k * VW);
        UNROLL for (int i = n - 1; i >= 0; i--) {
            vf slope;
            v = vfma(dy[i], vset(B[i * bw + N]), v);
            vstore(sum + i * N * VW, vfma(v, du[i], vload(sum + i * N * VW)));
            q[i] = vfma(v, vset(B[i * bw]), q[i]);
            v = v * vload(decay + i * VW);
            slope = v * vload(s + i * VW);
            p[i] = vfma(slope, ak, p[i]);
            dak = vfma(slope, d[i], dak);
        }
        vstore(ds + k * VW, v);
        vstore(da + k * VW, dak);
    }
    UNROLL for (int i = n - 1; i >= 0; i--) {
        vf u = vload(t->u + row + i * uw), dpre = vfma(p[i], ln2, q[i] * u) * vload(h->slope + at * VW + i * hw);
        vstore(b->dpre + row + i * uw, dpre);
        vstore(b->du + row + i * uw, vfma(q[i], d[i], dy[i] * skip));
        dbias = dbias + dpre;
        dskip = vfma(dy[i], u, dskip);
    }
    vstore(h->dskip, dskip);
    vstore(h->dbias, dbias);
}

/* A few rows of all vectors, and their dC or, backwards, dB. */
INLINE void some_rows(const back_stretch_t *b, bool back, int64_t beg, int64_t n, int64_t done, const int few, const int64_t N)
{
    int64_t step = b->t.p->reverse ? -1 : 1, at = b->t.p->reverse ? n - 1 - done : done;
    memset(b->sum, 0, (size_t)(few * N * VW) * sizeof(float));
    for (int g = 0; g < b->wide; g++) {
        if (back) back_some(b, g, beg, at, done, few, step, N);
        else again_some(b, g, beg, at, done, few, step, N);
    }
    for (int i = 0; i < few; i++) vsum_rows(b->sum + i * N * VW, N, b->bc + (beg + at + i * step) * 2 * N + (back ? 0 : N));
}

INLINE void stretch_back(const back_stretch_t *b, int64_t beg, int64_t n, const int64_t N)
{
    int64_t done = 0;
    size_t states = (size_t)(b->wide * N * VW) * sizeof(float);
    for (int g = 0; g < b->wide; g++) hold(b, g, beg, n);
    memset(b->slopes, 0, states);
    memcpy(b->state, kept_state(b->t.w, b->t.keep, b->t.seq, b->t.row + beg, b->t.c), states);
    for (; done + FEW <= n; done += FEW) some_rows(b, false, beg, n, done, FEW, N);
    for (; done < n; done++) some_rows(b, false, beg, n, done, 1, N);
    memcpy(b->state, b->carry, states);
    for (; done % FEW; done--) some_rows(b, true, beg, n, done - 1, 1, N);
    for (; done; done -= FEW) some_rows(b, true, beg, n, done - FEW, FEW, N);
    memcpy(b->carry, b->state, states);
    for (int64_t i = 0; i < b->wide * N * VW; i += VW) vstore(b->da + i, vload(b->da + i) + vload(b->slopes + i));
    for (int g = 0; g < b->wide; g++) {
        vstore(b->dskip + g * VW, vload(b->dskip + g * VW) + vload(b->held[g].dskip));
        vstore(b->dbias + g * VW, vload(b->dbias + g * VW) + vload(b->held[g].dbias));
    }
}

/* All rows of a piece, stretch by stretch, the last in time first. */
INLINE void scan_back_rows(const back_stretch_t *b, const int64_t N)
{
    const stretch_t *t = &b->t;
    for (int64_t left = t->rows, n; left; left -= n) {
        int64_t last = t->row + (t->p->reverse ? t->rows - left : left - 1); /* in time */
        if (t->p->reverse) n = cad_min(STRETCH - last % STRETCH, left);
        else n = cad_min(last % STRETCH + 1, left);
        stretch_back(b, (t->p->reverse ? last : last + 1 - n) - t->row, n, N);
    }
}

static void scan_back_16(const back_stretch_t *b) { scan_back_rows(b, 16); }
static void scan_back_any(const back_stretch_t *b) { scan_back_rows(b, b->t.w->N); }

static void scan_back_piece(back_t *b, int q, int64_t c, int wide, float *bc, float *scratch)
{
    cad_grad_lane_t *l = b->l;
    const cad_weights_t *w = l->f.weights;
    piece_t p = piece_of(&b->f.s, q, b->f.p->reverse);
    int64_t at = p.beg - b->f.s.beg, N = w->N, size = WIDE * N * VW;
    held_t held[WIDE];
    back_stretch_t t = {
        .t = rows_of_piece(&b->f, q, &p, c), .wide = wide, .g = l->g + p.beg * w->Ep + c, .z = l->f.z + p.beg * w->Ep + c,
        .du = l->du + at * w->Ep + c, .dpre = l->dpre + at * w->Ep + c, .bc = bc + at * 2 * N, .carry = l->carry + c * N,
        .s = scratch, .decay = scratch + STRETCH * size, .state = scratch + 2 * STRETCH * size, .slopes = scratch + (2 * STRETCH + 1) * size,
        .sum = scratch + (2 * STRETCH + 2) * size, .da = b->g->a + c * N, .dskip = b->g->skip + c, .dbias = b->g->dt_bias + c, .held = held
    };
    if (p.last) memset(t.carry, 0, (size_t)(wide * N * VW) * sizeof(float));
    if (N == 16) scan_back_16(&t);
    else scan_back_any(&t);
}

static void scan_back_task(void *arg, int64_t task, int worker)
{
    back_t *b = arg;
    const cad_weights_t *w = b->l->f.weights;
    const cad_span_t *s = &b->f.s;
    int64_t from = task * b->f.chunk, to = cad_min(from + b->f.chunk, w->Ep), sums = (s->end - s->beg) * 2 * w->N;
    float *bc = b->l->part + task * b->l->f.tile * 2 * w->N, *scratch = b->l->scratch + worker * cad_scan_scratch(w->N);
    int first = find_seq(s, s->beg), last = find_seq(s, s->end - 1);
    memset(bc, 0, (size_t)sums * sizeof *bc);
    for (int i = 0; i <= last - first; i++)
        for (int64_t c = from; c < to; c += CAD_WIDE)
            scan_back_piece(b, b->f.p->reverse ? first + i : last - i, c, (int)(cad_min(CAD_WIDE, to - c) / VW), bc, scratch);
}

static int back_scan(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    back_t b = back_for(l, layer, dir, s);
    b.f.add = add;
    share_blocks(&b, scan_back_task);
    return 0;
}
