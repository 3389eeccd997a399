/* mamba2_scan_back_tmpl.h - backward pass of Mamba-2's gated norm, scan and convolution. blocks/mamba2.h has the
 * equations of the forward pass.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, without which this file is empty.
 *
 * A tile of rows is processed in chunks of QROWS rows. First y is recomputed from the states that the forward pass kept
 * before each chunk. Then each head runs through the chunks from the last to the first. For one chunk, L[t,j] is the
 * product of the decays a of rows j+1 to t (row -1: before the chunk; row `last`: the chunk's last row), M[t,j] =
 * L[t,j] (C[t].B[j]), v = dt x, S_in is the state before the chunk, and dS the gradient of the state after it. Then
 *     dM = dy v^T (j <= t)
 *     dv = M^T dy + L[last,.] (B dS)            dx = dt dv + D dy
 *     dC = L[.,-1] (S_in dy) + (dM L) B         dB = L[last,.] (dS v) + (dM L)^T C
 *     dS_in = L[last,-1] dS + sum over t of L[t,-1] C[t] (x) dy[t]
 * where L[last,.] and L[.,-1] multiply each row by one number, dM L is an elementwise product, and (x) is the outer
 * product. The gradient of log a[i] = dt[i] A is the sum of all terms whose factor L contains a[i]: dM[t,j] M[t,j] for
 * j < i <= t; C[t].dC[t] for t >= i and B[j].dB[j] for j < i, each with the first term of dC and dB only; and
 * L[last,-1] S_in.dS.
 *
 * dB and dC are summed over the heads of a group in a fixed order, so they do not depend on the number of threads. A
 * state is an array (Np,Pp) of the states and channels of a head, both padded. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA2_SCAN_BACK_TMPL_H
#define CAD_MAMBA2_SCAN_BACK_TMPL_H

#include "mamba2_scan_tmpl.h"

#ifdef CAD_ISA_BACK_OPS

/* ---- gate and norm ---- */

/* Runs the backward pass of gate and norm for one row and one group of `width` channels, from channel g onwards. With
 * v = y silu(z), rho = 1/sqrt(mean(v^2) + eps), o = w v rho, and d the gradient of o, the gradient of v is
 * dg = rho w d - v rho^3 mean(w d v). Replaces y by the gradient of y. */
static void gate_group_back(const mamba2_back_t *b, int64_t row, int64_t g, int64_t width)
{
    const mamba2_t *m = b->f.m;
    int64_t at = row * m->Ep + g, local = (row - b->f.share.span.beg) * m->Ep + g;
    float *y = b->f.w->y + local, *o = b->f.w->o + at, *term = b->w->term + local, *dz = b->w->dz + at;
    const float *z = b->f.w->z + at, *d = b->w->g + at, *w = m->norm + g;
    float mean = 1.0f / (float)(m->I / m->G), rho;
    bool add = b->f.how & CAD_MAMBA2_ADD;
    vf square = vset(0.0f), dot = vset(0.0f), scale, pull;
    for (int64_t i = 0; i < width; i += VW) {
        vf v = vload(y + i) * vsilu(vload(z + i));
        vstore(term + i, v);
        square = vfma(v, v, square);
        dot = vfma(v, vload(w + i) * vload(d + i), dot);
    }
    rho = 1.0f / sqrtf(vsum(square) * mean + (float)CAD_MAMBA2_EPSILON);
    scale = vset(rho);
    pull = vset(rho * rho * rho * (vsum(dot) * mean));
    for (int64_t i = 0; i < width; i += VW) {
        vf v = vload(term + i), s = vload(z + i), on = vsigmoid(s), norm = v * scale, out = norm * vload(w + i);
        vf dg = vfnma(v, pull, scale * vload(w + i) * vload(d + i));
        vf ds = dg * vload(y + i) * on * vfma(s, vset(1.0f) - on, vset(1.0f));
        vstore(term + i, norm * vload(d + i));
        if (add) out = vload(o + i) + out;
        if (add) ds = vload(dz + i) + ds;
        vstore(o + i, out);
        vstore(dz + i, ds);
        vstore(y + i, dg * s * on);
    }
}

static void gate_back2_task(void *arg, int64_t task, int worker)
{
    const mamba2_back_t *b = arg;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t Ep = b->f.m->Ep, width = Ep / b->f.m->G;
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++)
        for (int64_t g = 0; g < Ep; g += width) gate_group_back(b, r, g, width);
}

/* ---- the scan ---- */

typedef struct { /* the backward pass of one chunk for one head */
    const mamba2_back_t *b;
    head_rows_t t;
    int64_t h, pw; // h: the head; pw: floats from one row of dB, or dC, to the next
    float mix[QROWS * QROWS], all[QROWS * QROWS], dmix[QROWS * QROWS], from[QROWS], to[QROWS];
    float ddt[QROWS]; // (n) gradient of dt, for the n rows of the chunk
    double dskip;     // gradient of D: a sum of terms that largely cancel, so it is summed in double precision
    const float *dy;  // dy, dx, dB, dC: pointers to the chunk's first row in the direction of the scan
    float *dx, *dB, *dC;
    const float *state; // (Np,Pp) the state before the chunk
    // (Np,Pp) gradient of the state after the chunk; replaced by the gradient of the state before it
    float *dstate;
} chunk_back_t;

/* Stores the transpose of `from` (rows,cols) in `to` (cols,COLS). rows and cols are at most COLS; columns of `to` from
 * `rows` onwards become 0. */
static void turn(const float *from, int64_t ld, int64_t rows, int64_t cols, float *to)
{
    memset(to, 0, (size_t)(cols * COLS) * sizeof *to);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) to[j * COLS + i] = from[i * ld + j];
}

/* Computes dx for channels [p, p+width) of the head, and adds their terms of the gradients of dt and D. dv (n,COLS):
 * the gradient of dt x, for the n rows of the chunk. */
static void x_back(chunk_back_t *c, int64_t p, int64_t width, const float *dv)
{
    const head_rows_t *t = &c->t;
    vf skip = vset(c->b->f.m->skip[c->h]);
    for (int64_t i = 0; i < t->n; i++) {
        vf dt = vset(t->dt[i * t->hw]), sum = vset(0.0f), dskip = vset(0.0f);
        for (int64_t k = 0; k < width; k += VW) {
            vf dy = vload(c->dy + i * t->ew + p + k), x = vload(t->x + i * t->cw + p + k), v = vload(dv + i * COLS + k);
            vstore(c->dx + i * t->cw + p + k, vfma(dt, v, skip * dy));
            sum = vfma(x, v, sum);
            dskip = vfma(x, dy, dskip);
        }
        c->ddt[i] += vsum(sum);
        c->dskip += (double)vsum(dskip);
    }
}

/* Computes, for channels [p, p+width) of the head, the terms of dB and dC that involve the states: dS v and S_in dy,
 * without their factors L. Stores them if p is 0, otherwise adds them to those of the channels before p. xdt (n,COLS):
 * v = dt x. */
static void by_state_back(chunk_back_t *c, int64_t p, int64_t width, const float *xdt)
{
    const head_rows_t *t = &c->t;
    const mamba2_t *m = c->b->f.m;
    float turned[COLS * COLS];
    for (int64_t k = 0; k < m->Np; k += COLS) {
        int64_t n = cad_min(COLS, m->Np - k);
        turn(c->state + k * m->Pp + p, m->Pp, n, width, turned);
        small_product(&(small_t) { .fine = true,
                                   .a = c->dy + p,
                                   .lda = t->ew,
                                   .next = 1,
                                   .b = turned,
                                   .ldb = COLS,
                                   .c = c->dC + k,
                                   .ldc = c->pw,
                                   .rows = t->n,
                                   .k = width,
                                   .n = n,
                                   .add = p > 0 });
        turn(c->dstate + k * m->Pp + p, m->Pp, n, width, turned);
        small_product(&(small_t) { .fine = true,
                                   .a = xdt,
                                   .lda = COLS,
                                   .next = 1,
                                   .b = turned,
                                   .ldb = COLS,
                                   .c = c->dB + k,
                                   .ldc = c->pw,
                                   .rows = t->n,
                                   .k = width,
                                   .n = n,
                                   .add = p > 0 });
    }
}

/* Replaces the gradient of the state after the chunk by the gradient of the state before the chunk, for channels [p,
 * p+width) of the head. dv (QROWS,COLS): scratch. */
static void carry_back(chunk_back_t *c, int64_t p, int64_t width, float *dv)
{
    const head_rows_t *t = &c->t;
    const mamba2_t *m = c->b->f.m;
    float last = c->from[t->n - 1];
    scale_rows(c->dy + p, t->ew, t->n, width, c->from, 1, dv);
    for (int64_t k = 0; k < m->Np; k++)
        for (int64_t i = p; i < p + width; i += VW)
            vstore(c->dstate + k * m->Pp + i, vload(c->dstate + k * m->Pp + i) * vset(last));
    small_product(&(small_t) { .fine = true,
                               .a = t->C,
                               .lda = 1,
                               .next = t->cw,
                               .b = dv,
                               .ldb = COLS,
                               .c = c->dstate + p,
                               .ldc = m->Pp,
                               .rows = m->Np,
                               .k = t->n,
                               .n = width,
                               .add = true });
}

static void columns_back(chunk_back_t *c, int64_t p, int64_t width)
{
    const head_rows_t *t = &c->t;
    const mamba2_t *m = c->b->f.m;
    float xdt[QROWS * COLS], dv[QROWS * COLS], turned[COLS * QROWS];
    scale_rows(t->x + p, t->cw, t->n, width, t->dt, t->hw, xdt);
    turn(xdt, COLS, t->n, width, turned);
    small_product(&(small_t) { .fine = true,
                               .a = c->dy + p,
                               .lda = t->ew,
                               .next = 1,
                               .b = turned,
                               .ldb = COLS,
                               .c = c->dmix,
                               .ldc = QROWS,
                               .rows = t->n,
                               .k = width,
                               .n = QROWS,
                               .add = p > 0 });
    small_product(&(small_t) { .fine = true,
                               .a = t->B,
                               .lda = t->cw,
                               .next = 1,
                               .b = c->dstate + p,
                               .ldb = m->Pp,
                               .c = dv,
                               .ldc = COLS,
                               .rows = t->n,
                               .k = m->Np,
                               .n = width });
    scale_rows(dv, COLS, t->n, width, c->to, 1, dv);
    small_product(&(small_t) { .fine = true,
                               .a = c->mix,
                               .lda = 1,
                               .next = QROWS,
                               .b = c->dy + p,
                               .ldb = t->ew,
                               .c = dv,
                               .ldc = COLS,
                               .rows = t->n,
                               .k = t->n,
                               .n = width,
                               .zeros = SMALL_UPPER,
                               .add = true });
    x_back(c, p, width, dv);
    by_state_back(c, p, width, xdt);
    carry_back(c, p, width, dv);
}

INLINE float dot_rows(const float *a, const float *b, int64_t n)
{
    vf sum = vset(0.0f);
    for (int64_t i = 0; i < n; i += VW) sum = vfma(vload(a + i), vload(b + i), sum);
    return vsum(sum);
}

/* On entry dB and dC hold only their terms that involve the states; multiplies these by their factors L. Then sets e[i]
 * = C[i].dC[i] and f[i] = B[i].dB[i] for the n rows of the chunk. */
static void factors_back(const chunk_back_t *c, float *e, float *f)
{
    const head_rows_t *t = &c->t;
    int64_t Np = c->b->f.m->Np;
    for (int64_t i = 0; i < t->n; i++) {
        float *dC = c->dC + i * c->pw, *dB = c->dB + i * c->pw;
        for (int64_t k = 0; k < Np; k += VW) {
            vstore(dC + k, vload(dC + k) * vset(c->from[i]));
            vstore(dB + k, vload(dB + k) * vset(c->to[i]));
        }
        e[i] = dot_rows(t->C + i * t->cw, dC, Np);
        f[i] = dot_rows(t->B + i * t->cw, dB, Np);
    }
}

/* Adds to ddt the gradient that dt receives through the decays; returns the gradient of A. e and f: the arrays that
 * factors_back sets. through: L[last,-1] S_in.dS, a term of the gradient of every log a[i]. */
static double decays_back(chunk_back_t *c, const float *e, const float *f, double through)
{
    const head_rows_t *t = &c->t;
    float column[QROWS] = { 0 };
    double slope[QROWS], later = 0, before = 0, da = 0, rate = (double)c->b->f.m->a[c->h];
    for (int64_t i = t->n - 1; i >= 0; i--) { /* column[j]: the sum over t >= i of dM[t,j] M[t,j] */
        double sum = 0;
        for (int64_t j = 0; j < QROWS; j += VW)
            vstore(column + j, vfma(vload(c->dmix + i * QROWS + j), vload(c->mix + i * QROWS + j), vload(column + j)));
        for (int64_t j = 0; j < i; j++) sum += (double)column[j];
        later += (double)e[i];
        slope[i] = sum + later + through;
    }
    for (int64_t i = 0; i < t->n; i++) {
        slope[i] += before;
        before += (double)f[i];
        c->ddt[i] += (float)(rate * slope[i]);
        da += (double)t->dt[i * t->hw] * slope[i];
    }
    return da;
}

/* Adds to dB and dC their terms that involve the scores C[t].B[j]: (dM L)^T C and (dM L) B. */
static void scores_back(chunk_back_t *c)
{
    const head_rows_t *t = &c->t;
    for (int64_t i = 0; i < t->n * QROWS; i += VW) vstore(c->dmix + i, vload(c->dmix + i) * vload(c->all + i));
    small_product(&(small_t) { .fine = true,
                               .a = c->dmix,
                               .lda = QROWS,
                               .next = 1,
                               .b = t->B,
                               .ldb = t->cw,
                               .c = c->dC,
                               .ldc = c->pw,
                               .rows = t->n,
                               .k = t->n,
                               .n = c->b->f.m->Np,
                               .zeros = SMALL_LOWER,
                               .add = true });
    small_product(&(small_t) { .fine = true,
                               .a = c->dmix,
                               .lda = 1,
                               .next = QROWS,
                               .b = t->C,
                               .ldb = t->cw,
                               .c = c->dB,
                               .ldc = c->pw,
                               .rows = t->n,
                               .k = t->n,
                               .n = c->b->f.m->Np,
                               .zeros = SMALL_UPPER,
                               .add = true });
}

static void chunk_back(chunk_back_t *c)
{
    const mamba2_back_t *b = c->b;
    const mamba2_t *m = b->f.m;
    float e[QROWS], f[QROWS], through;
    memset(c->ddt, 0, sizeof c->ddt);
    c->dskip = 0;
    mix_rows(&c->t, c->mix, c->from, c->to, c->all);
    through = c->from[c->t.n - 1] * dot_rows(c->state, c->dstate, m->Np * m->Pp);
    for (int64_t p = 0; p < m->Pp; p += COLS) columns_back(c, p, cad_min(COLS, m->Pp - p));
    factors_back(c, e, f);
    b->sum->a[c->h] += (float)decays_back(c, e, f, (double)through);
    b->sum->skip[c->h] += (float)c->dskip;
    scores_back(c);
    for (int64_t i = 0; i < c->t.n; i++) b->w->dr[c->t.row * m->Hp + i * c->t.hw + c->h] = c->ddt[i];
}

static void head_back2(const mamba2_back_t *b, int64_t h)
{
    const mamba2_t *m = b->f.m;
    const cad_span_t *s = &b->f.share.span;
    int64_t rows = s->end - s->beg, pw = m->reverse ? -2 * m->Np : 2 * m->Np;
    float *carry = b->w->carry + h * m->Np * m->Pp;
    chunk_t at = no_chunk(s, !m->reverse);
    while (next_chunk(s, !m->reverse, m->reverse, &at)) {
        chunk_back_t c = { .b = b, .t = rows_of_head(&b->f, &at, h), .h = h, .pw = pw };
        if (at.last) memset(carry, 0, (size_t)(m->Np * m->Pp) * sizeof *carry);
        c.dy = b->f.w->y + c.t.row * m->Ep + h * m->Pp;
        c.dx = b->w->du + c.t.row * m->Cp + h * m->Pp;
        c.dB = b->w->part + (h * rows + c.t.row) * 2 * m->Np;
        c.dC = c.dB + m->Np;
        c.state = kept_head(&b->f, &at, h);
        c.dstate = carry;
        chunk_back(&c);
    }
}

static void scan_back2_task(void *arg, int64_t task, int worker)
{
    const mamba2_back_t *b = arg;
    int64_t from = task * b->f.share.size, to = cad_min(from + b->f.share.size, b->f.m->H);
    (void)worker;
    for (int64_t h = from; h < to; h++) head_back2(b, h);
}

/* For the rows of one task: sums dB and dC over the heads of each group, and computes dr, the gradient of dt before
 * softplus. dr is 0 for the heads of the padding. */
static void heads_back_task(void *arg, int64_t task, int worker)
{
    const mamba2_back_t *b = arg;
    const mamba2_t *m = b->f.m;
    int64_t beg = b->f.share.span.beg, rows = b->f.share.span.end - beg, each = m->H / m->G, Np = m->Np;
    cad_span_t s = rows_of_task(&b->f.share, task);
    (void)worker;
    for (int64_t r = s.beg - beg; r < s.end - beg; r++) {
        float *dr = b->w->dr + r * m->Hp, *dx = b->w->dx + (beg + r) * m->Xp + m->Cp;
        const float *in = b->f.w->x + (beg + r) * m->Xp + m->Cp;
        for (int64_t g = 0; g < m->G; g++)
            for (int64_t k = 0; k < 2 * Np; k += VW) {
                float *du = b->w->du + r * m->Cp + m->Ep + (k < Np ? g * Np + k : (m->G + g) * Np + k - Np);
                vf sum = vset(0.0f);
                for (int64_t h = g * each; h < (g + 1) * each; h++)
                    sum = sum + vload(b->w->part + (h * rows + r) * 2 * Np + k);
                vstore(du, sum);
            }
        for (int64_t h = m->H; h < m->Hp; h++) dr[h] = 0;
        for (int64_t h = 0; h < m->Hp; h += VW) {
            vf v = vload(dr + h) * vsigmoid(vload(in + h) + vload(m->dt_bias + h));
            vstore(dr + h, v);
            vstore(dx + h, vload(dx + h) + v);
        }
    }
}

static int mamba2_scan_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_back_t b = mamba2_back(l, layer, dir, s, how);
    const mamba2_t *m = b.f.m;
    int64_t rows = s.end - s.beg;
    b.f.resume = true;
    share_scores(&b.f);
    share_heads(&b.f, &b.f, mamba2_scan_task);
    share_rows(&b.f.share, &b, gate_back2_task);
    add_columns(b.w->term, m->Ep, rows, m->Ep, b.sum->norm);
    share_heads(&b.f, &b, scan_back2_task);
    share_rows(&b.f.share, &b, heads_back_task);
    add_columns(b.w->dr, m->Hp, rows, m->Hp, b.sum->dt_bias);
    return 0;
}

/* ---- convolution ---- */

#define CONV_SHARE 64 /* channels whose backward pass one task computes */

static void mamba2_conv_back_task(void *arg, int64_t task, int worker)
{
    const mamba2_back_t *b = arg;
    const mamba2_t *m = b->f.m;
    int64_t from = task * b->f.share.size;
    conv_back_t c = { .m = m->conv,
                      .s = &b->f.share.span,
                      .x = b->f.w->x,
                      .du = b->w->du,
                      .dx = b->w->dx,
                      .dw = b->sum->conv,
                      .dbias = b->sum->conv_bias,
                      .ld = m->Xp,
                      .ldu = m->Cp };
    (void)worker;
    conv_back_channels(&c, from, cad_min(from + b->f.share.size, m->Cp));
}

static int mamba2_conv_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_back_t b = mamba2_back(l, layer, dir, s, how);
    share_channels(&b.f.share, &b, mamba2_conv_back_task, b.f.m->Cp, CONV_SHARE);
    return 0;
}
#endif

#endif
