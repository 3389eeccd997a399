/* scan_back.h - the scan backwards in time: part of backward.h.
 *
 * A stretch of rows is run forwards from its kept state, leaving the state before each
 * row and its decay, and then backwards: one vector of channels and two of their states
 * at a time, which is what the nearest cache holds. Between hold() and leave(), rows are
 * in the order of time.
 */

#define PAIR 2 /* states at a time */
#define LOT 8  /* rows whose terms of dB or dC are summed over channels at once */
_Static_assert((LOT - 1) * PAIR <= CAD_PAD, "cad_part_size has room for a lot that begins with the last row");

typedef struct {               /* VW channels of a row */
    float dt[VW], du[VW];      /* du = dt u */
    float dy[VW], slope[VW];   /* slope of dt's softplus */
    float y[VW], q[VW], p[VW]; /* so far: y; sums of ds B; of ds (decay s) A */
} held_row_t;

typedef struct {
    held_row_t row[STRETCH];
    float before[STRETCH * PAIR][2][VW]; /* a pair's states before each row, and their decays */
    float terms[LOT * PAIR * VW];
} held_t;

typedef struct { /* VW channels of a stretch; pointers are to its first row in time */
    stretch_t t;
    int64_t rows, step; /* step: 1 or -1 in memory */
    int64_t time;       /* of the first row, in its tile */
    const float *g, *z;
    float *du, *dpre;
    const float *state;        // (N,VW) before the first row
    float *carry;              // (N,VW) gradient of the state after the last row, then before the first
    float *da, *dskip, *dbias; // (N,VW), (VW)
    const float *B, *C;        // (N,tile) in time, see gather()
    float *dB, *dC;
    int64_t tile;
} lap_t;

/* Rows are far apart in memory: ask for what the n that follow r begin with, and for what these end with. */
INLINE void fetch_back(const lap_t *b, int64_t r, const int n)
{
    int64_t Ep = b->t.w->Ep * b->step, at = r * Ep;
    for (int i = 0; i < n; i++, at += Ep) {
        int64_t ahead = at + cad_min(n, b->rows - 1 - r - i) * Ep;
        __builtin_prefetch(b->z + ahead);
        __builtin_prefetch(b->g + ahead);
        __builtin_prefetch(b->t.u + ahead);
        __builtin_prefetch(b->t.y + at, 1);
        __builtin_prefetch(b->du + at, 1);
        __builtin_prefetch(b->dpre + at, 1);
    }
}

/* n rows from r on: dt and its slope, dy = g silu(z), y = skip u. */
INLINE void hold_rows(const lap_t *b, held_row_t *h, int64_t r, const int n)
{
    const int64_t Ep = b->t.w->Ep * b->step, from = r * Ep;
    const vf skip = vload(b->t.p->skip + b->t.c), zero = vset(0.0f);
    vf v[GROUP], d[GROUP];
    fetch_back(b, r, n);
    delta_rows(&b->t, r * b->step, b->step, n, v, d);
    REPEAT(i, n) {
        vf u = vload(b->t.u + from + i * Ep);
        vstore(h[i].dt, d[i]);
        vstore(h[i].du, d[i] * u);
        vstore(h[i].y, skip * u);
        vstore(h[i].q, zero);
        vstore(h[i].p, zero);
    }
    vsigmoids(n, v);
    REPEAT(i, n) vstore(h[i].slope, v[i]);
    REPEAT(i, n) v[i] = vload(b->z + from + i * Ep);
    vsilus(n, v);
    REPEAT(i, n) vstore(h[i].dy, v[i] * vload(b->g + from + i * Ep));
}

static void hold(const lap_t *b, held_t *h)
{
    int64_t r = 0;
    for (int64_t k = 0; k < b->t.w->N; k++) __builtin_prefetch(b->state + k * VW);
    for (; r + GROUP <= b->rows; r += GROUP) hold_rows(b, h->row + r, r, GROUP);
    for (; r < b->rows; r++) hold_rows(b, h->row + r, r, 1);
}

/* n rows from r on, forwards: what they add to y, the states s and their decays, dC's terms. */
INLINE void again_some(held_t *h, const float *B, const float *C, int64_t r, const int n, const int pair, const vf *a,
                       vf *s)
{
    held_row_t *row = h->row + r;
    float(*before)[2][VW] = h->before + r * pair, *terms = h->terms + r % LOT * pair * VW;
    vf d[FEW], du[FEW], dy[FEW], y[FEW];
    REPEAT(i, n) d[i] = vload(row[i].dt);
    REPEAT(i, n) du[i] = vload(row[i].du);
    REPEAT(i, n) dy[i] = vload(row[i].dy);
    REPEAT(i, n) y[i] = vload(row[i].y);
    REPEAT(k, pair) {
        vf x[FEW];
        REPEAT(i, n) x[i] = d[i] * a[k];
        vdecays(n, x);
        REPEAT(i, n) {
            const int at = i * pair + k;
            vstore(before[at][0], s[k]);
            vstore(before[at][1], x[i]);
            s[k] = vfma(x[i], s[k], du[i] * vset(B[r * pair + at]));
            y[i] = vfma(s[k], vset(C[r * pair + at]), y[i]);
            vstore(terms + at * VW, s[k] * dy[i]);
        }
    }
    REPEAT(i, n) vstore(row[i].y, y[i]);
}

/* The same rows backwards; v: gradient of the states after the last of them, then before the first. */
INLINE void back_some(held_t *h, const float *B, const float *C, int64_t r, const int n, const int pair, const vf *a,
                      vf *v, vf *da)
{
    held_row_t *row = h->row + r;
    float(*before)[2][VW] = h->before + r * pair, *terms = h->terms + r % LOT * pair * VW;
    UNROLL
    for (int i = n - 1; i >= 0; i--) {
        vf d = vload(row[i].dt), du = vload(row[i].du), dy = vload(row[i].dy), q = vload(row[i].q), p = vload(row[i].p);
        REPEAT(k, pair) {
            const int at = i * pair + k;
            vf slope;
            v[k] = vfma(dy, vset(C[r * pair + at]), v[k]);
            vstore(terms + at * VW, v[k] * du);
            q = vfma(v[k], vset(B[r * pair + at]), q);
            v[k] = v[k] * vload(before[at][1]);
            slope = v[k] * vload(before[at][0]);
            p = vfma(slope, a[k], p);
            da[k] = vfma(slope, d, da[k]);
        }
        vstore(row[i].q, q);
        vstore(row[i].p, p);
    }
}

/* States k to k+pair of all rows, forwards and backwards. */
INLINE void states_back(const lap_t *b, held_t *h, int64_t k, const int pair)
{
    const int64_t at = k * b->tile + b->time * pair;
    const float *B = b->B + at, *C = b->C + at;
    float *dB = b->dB + at, *dC = b->dC + at;
    int64_t r = 0, full = b->rows / LOT * LOT;
    vf a[PAIR], s[PAIR], da[PAIR];
    REPEAT(i, pair) {
        a[i] = vload(b->t.p->a + b->t.c * b->t.w->N + (k + i) * VW);
        s[i] = vload(b->state + (k + i) * VW);
        da[i] = vset(0.0f);
    }
    for (; r < full; r += LOT) {
        UNROLL
        for (int i = 0; i < LOT; i += FEW) again_some(h, B, C, r + i, FEW, pair, a, s);
        vsum_rows(h->terms, LOT * pair, dC + r * pair);
    }
    if (r < b->rows) {
        memset(h->terms, 0, sizeof h->terms);
        for (; r < b->rows; r++) again_some(h, B, C, r, 1, pair, a, s);
        vsum_rows(h->terms, LOT * pair, dC + full * pair);
    }
    REPEAT(i, pair) s[i] = vload(b->carry + (k + i) * VW);
    if (full < b->rows) {
        while (r-- > full) back_some(h, B, C, r, 1, pair, a, s, da);
        vsum_rows(h->terms, LOT * pair, dB + full * pair);
    }
    for (r = full; r > 0;) {
        r -= LOT;
        UNROLL
        for (int i = LOT - FEW; i >= 0; i -= FEW) back_some(h, B, C, r + i, FEW, pair, a, s, da);
        vsum_rows(h->terms, LOT * pair, dB + r * pair);
    }
    REPEAT(i, pair) {
        vstore(b->carry + (k + i) * VW, s[i]);
        vstore(b->da + (k + i) * VW, vload(b->da + (k + i) * VW) + da[i]);
    }
}

/* From what is held: y, du, dpre, and the sums over rows. */
static void leave(const lap_t *b, const held_t *h)
{
    const vf ln2 = vset(0x1.62e43p-1f), skip = vload(b->t.p->skip + b->t.c);
    vf dskip = vset(0.0f), dbias = vset(0.0f);
    for (int64_t r = 0, at = 0; r < b->rows; r++, at += b->t.w->Ep * b->step) {
        const held_row_t *row = &h->row[r];
        vf u = vload(b->t.u + at), y = vload(row->y), dy = vload(row->dy), q = vload(row->q);
        vf dpre = vfma(vload(row->p), ln2, q * u) * vload(row->slope);
        if (b->t.add) y = vload(b->t.y + at) + y;
        vstore(b->t.y + at, y);
        vstore(b->dpre + at, dpre);
        vstore(b->du + at, vfma(q, vload(row->dt), dy * skip));
        dbias = dbias + dpre;
        dskip = vfma(dy, u, dskip);
    }
    vstore(b->dskip, vload(b->dskip) + dskip);
    vstore(b->dbias, vload(b->dbias) + dbias);
}

/* One vector of channels after another of a stretch. */
static void stretch_back(lap_t b, int64_t channels)
{
    held_t h __attribute__((aligned(64)));
    const int64_t N = b.t.w->N;
    for (int64_t c = 0, k; c < channels; c += VW) {
        hold(&b, &h);
        for (k = 0; k + PAIR <= N; k += PAIR) states_back(&b, &h, k, PAIR);
        for (; k < N; k++) states_back(&b, &h, k, 1);
        leave(&b, &h);
        b.t.c += VW;
        b.t.u += VW;
        b.t.y += VW;
        b.g += VW;
        b.z += VW;
        b.du += VW;
        b.dpre += VW;
        b.state += N * VW;
        b.carry += N * VW;
        b.da += N * VW;
        b.dskip += VW;
        b.dbias += VW;
    }
}

static inline void copy_pair(float *to, const float *from, int64_t pair)
{
    to[0] = from[0];
    if (pair == PAIR) to[1] = from[1];
}

/* B and C of a tile's rows, out of their rows, in the order of time: each pair of states
 * as (rows,PAIR), PAIR x tile behind the pair before. */
static void gather(const back_t *b)
{
    const cad_grad_lane_t *l = b->l;
    int64_t N = l->f.weights->N, Sp = l->f.weights->Sp, tile = l->f.tile, rows = b->f.s.end - b->f.s.beg, pair;
    for (int64_t k = 0; k < 2 * N; k += pair) {
        const float *from = l->f.xdbl + l->f.weights->R + k;
        pair = N - k % N < PAIR ? 1 : PAIR;
        for (int64_t r = 0; r < rows; r++)
            copy_pair(l->bc + k * tile + (b->f.p->reverse ? rows - 1 - r : r) * pair, from + r * Sp, pair);
    }
}

/* n rows from row beg on, all in one stretch of sequence q; sums: dB and dC as gather() has B and C. */
static void scan_back_stretch(const back_t *b, int q, const piece_t *p, int64_t beg, int64_t n, int64_t from,
                              int64_t to, float *sums)
{
    cad_grad_lane_t *l = b->l;
    const cad_weights_t *w = l->f.weights;
    const cad_span_t *s = &b->f.s;
    bool reverse = b->f.p->reverse;
    int64_t N = w->N, first = reverse ? beg + n - 1 : beg, row = first * w->Ep + from, at = row - s->beg * w->Ep;
    int64_t time = reverse ? s->end - 1 - first : first - s->beg;
    lap_t lap = { .t = rows_of_piece(&b->f, q, p, from),
                  .rows = n,
                  .step = reverse ? -1 : 1,
                  .g = l->g + row,
                  .z = z_of(&l->f, first) + from,
                  .du = l->du + at,
                  .dpre = l->dpre + at,
                  .state = kept_state(w, l->f.state[b->f.dir], q, beg, from),
                  .carry = l->carry + from * N,
                  .da = b->g->a + from * N,
                  .dskip = b->g->skip + from,
                  .dbias = b->g->dt_bias + from,
                  .tile = l->f.tile,
                  .B = l->bc,
                  .C = l->bc + N * l->f.tile,
                  .dB = sums,
                  .dC = sums + N * l->f.tile,
                  .time = time };
    lap.t.u += (first - p->beg) * w->Ep;
    lap.t.y += (first - p->beg) * w->Ep;
    lap.t.xdbl += (first - p->beg) * w->Sp;
    stretch_back(lap, to - from);
}

/* All rows of a piece, stretch by stretch, the last in time first. */
static void scan_back_piece(const back_t *b, int q, int64_t from, int64_t to, float *sums)
{
    const cad_weights_t *w = b->l->f.weights;
    piece_t p = piece_of(&b->f.s, q, b->f.p->reverse);
    if (p.last) memset(b->l->carry + from * w->N, 0, (size_t)((to - from) * w->N) * sizeof(float));
    for (int64_t left = p.end - p.beg, n; left; left -= n) {
        int64_t last = b->f.p->reverse ? p.end - left : p.beg + left - 1; /* in time */
        if (b->f.p->reverse) n = cad_min(STRETCH - last % STRETCH, left);
        else n = cad_min(last % STRETCH + 1, left);
        scan_back_stretch(b, q, &p, b->f.p->reverse ? last : last + 1 - n, n, from, to, sums);
    }
}

static void scan_back_task(void *arg, int64_t task, int worker)
{
    const back_t *b = arg;
    const cad_weights_t *w = b->l->f.weights;
    const cad_span_t *s = &b->f.s;
    int64_t from = task * b->f.chunk, to = cad_min(from + b->f.chunk, w->Ep), size = cad_part_size(b->l->f.tile, w->N);
    float *sums = b->l->part + task * size;
    int first = find_seq(s, s->beg), last = find_seq(s, s->end - 1);
    (void)worker;
    memset(sums, 0, (size_t)size * sizeof *sums);
    for (int i = 0; i <= last - first; i++) scan_back_piece(b, b->f.p->reverse ? first + i : last - i, from, to, sums);
}

/* The sum over blocks of channels, in the first one's place. */
static void add_parts(const back_t *b)
{
    float *sum = b->l->part;
    int64_t size = cad_part_size(b->l->f.tile, b->l->f.weights->N);
    for (int64_t k = 1; k * CAD_BLOCK < b->l->f.weights->Ep; k++)
        for (int64_t i = 0; i < size; i += VW) vstore(sum + i, vload(sum + i) + vload(sum + k * size + i));
}

/* dB and dC to n rows of dxdbl, of which the first is row beg of the tile. */
static void scatter(const back_t *b, int64_t beg, int64_t n)
{
    const cad_grad_lane_t *l = b->l;
    int64_t N = l->f.weights->N, Sp = l->f.weights->Sp, rows = b->f.s.end - b->f.s.beg, pair;
    for (int64_t k = 0; k < 2 * N; k += pair) {
        float *to = l->dxdbl + l->f.weights->R + k;
        pair = N - k % N < PAIR ? 1 : PAIR;
        for (int64_t r = beg; r < beg + n; r++)
            copy_pair(to + r * Sp, l->part + k * l->f.tile + (b->f.p->reverse ? rows - 1 - r : r) * pair, pair);
    }
}

static int back_scan(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    back_t b = back_for(l, layer, dir, s);
    b.f.add = add;
    gather(&b);
    share_blocks(&b, scan_back_task);
    add_parts(&b);
    return 0;
}
