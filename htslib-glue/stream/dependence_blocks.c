/* dependence_blocks.c - finds blocks of bases that depend on each other in a dependency map.
 *
 * A pair of bases has the larger of its two values. Pairs are compared with others that are as far apart, since
 * dependence falls with distance: a class holds the distances from 2^k to 2^(k+1) - 1. A pair is strong if it lies
 * more than STRONG robust standard deviations above the median of its class. Strong pairs that touch, also at corners,
 * are a block. SPDX-License-Identifier: MIT */
#include <math.h>

#include "stream/dependence.h"

enum { NEAREST = 4, CLASSES = 32, FEW = 16 };
#define STRONG 6.0
#define MAD_TO_SD 1.4826 /* of normal values, the median of absolute deviations times this is the standard deviation */

typedef struct map_t {
    const float *e; // (n,n)
    int64_t n;
    double median[CLASSES], limit[CLASSES];
    uint8_t *left;  // (n,n) 1: a strong pair i < j that is in no block yet
    int64_t *stack; // (room) pairs to visit, as i * n + j
    int64_t depth, room;
} map_t;

static float pair(const map_t *m, int64_t i, int64_t j) { return fmaxf(m->e[i * m->n + j], m->e[j * m->n + i]); }

static int class_of(int64_t distance)
{
    int k = 0;
    while (distance >>= 1) k++;
    return k;
}

/* ---- what is strong ---- */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double median(float *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return ((double)v[(n - 1) / 2] + (double)v[n / 2]) / 2;
}

/* Copies the values of all pairs of a class to v; returns their number. */
static int64_t values_of(const map_t *m, int class, float *v)
{
    int64_t count = 0, from = (int64_t)1 << class, to = cad_min(2 * from, m->n);
    for (int64_t d = cad_max(from, NEAREST); d < to; d++)
        for (int64_t i = 0; i + d < m->n; i++)
            if (!isnan(pair(m, i, i + d))) v[count++] = pair(m, i, i + d);
    return count;
}

/* Sets median and limit of each class; a class of few pairs has those of the class before it. */
static int set_limits(map_t *m, cad_error_t *err)
{
    float *v = cad_alloc((size_t)m->n, (size_t)m->n * sizeof *v / 2 + sizeof *v);
    int first = class_of(NEAREST);
    if (!v) return cad_out_of_memory(err);
    for (int c = first; c < CLASSES && (int64_t)1 << c < m->n; c++) {
        int64_t count = values_of(m, c, v);
        m->median[c] = c > first ? m->median[c - 1] : 0;
        m->limit[c] = c > first ? m->limit[c - 1] : (double)INFINITY;
        if (count < FEW) continue;
        m->median[c] = median(v, count);
        for (int64_t i = 0; i < count; i++) v[i] = (float)fabs((double)v[i] - m->median[c]);
        m->limit[c] = m->median[c] + STRONG * MAD_TO_SD * median(v, count);
    }
    free(v);
    return 0;
}

static void mark_strong(map_t *m)
{
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = i + NEAREST; j < m->n; j++)
            m->left[i * m->n + j] = (double)pair(m, i, j) > m->limit[class_of(j - i)];
}

/* ---- blocks ---- */

static int push(map_t *m, int64_t i, int64_t j, cad_error_t *err)
{
    if (m->depth == m->room) {
        int64_t room = cad_max(256, 2 * m->room), *more = realloc(m->stack, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        m->stack = more;
        m->room = room;
    }
    m->left[i * m->n + j] = 0;
    m->stack[m->depth++] = i * m->n + j;
    return 0;
}

static int push_neighbours(map_t *m, int64_t i, int64_t j, cad_error_t *err)
{
    int rc = 0;
    for (int64_t y = cad_max(0, i - 1); y <= cad_min(m->n - 1, i + 1); y++)
        for (int64_t x = cad_max(0, j - 1); x <= cad_min(m->n - 1, j + 1) && rc == 0; x++)
            if (m->left[y * m->n + x]) rc = push(m, y, x, err);
    return rc;
}

typedef struct moments_t { /* weighted sums over the pairs of a block */
    double w, i, j, ii, jj, ij;
} moments_t;

static void add_pair(const map_t *m, block_t *b, moments_t *s, int64_t i, int64_t j)
{
    double w = (double)pair(m, i, j) - m->median[class_of(j - i)], y = (double)(i - b->first.beg),
           x = (double)(j - b->second.beg);
    if (b->pairs++ == 0) {
        b->first = (interval_t) { i, i + 1 };
        b->second = (interval_t) { j, j + 1 };
        x = y = 0;
    }
    b->sum += w;
    b->most = fmaxf(b->most, pair(m, i, j));
    *s = (moments_t) { s->w + w, s->i + w * y, s->j + w * x, s->ii + w * y * y, s->jj + w * x * x, s->ij + w * x * y };
}

static void widen(interval_t *at, int64_t p)
{
    at->beg = cad_min(at->beg, p);
    at->end = cad_max(at->end, p + 1);
}

static double correlation(const moments_t *s)
{
    double i = s->ii - s->i * s->i / s->w, j = s->jj - s->j * s->j / s->w, ij = s->ij - s->i * s->j / s->w;
    return i > 0 && j > 0 ? ij / sqrt(i * j) : 0;
}

/* Collects the block that the strong pair (i,j) belongs to. Moments count from this pair. */
static int collect(map_t *m, int64_t i, int64_t j, block_t *b, cad_error_t *err)
{
    moments_t s = { 0 };
    interval_t first = { i, i + 1 }, second = { j, j + 1 };
    int rc;
    *b = (block_t) { 0 };
    m->depth = 0;
    rc = push(m, i, j, err);
    while (m->depth && rc == 0) {
        int64_t at = m->stack[--m->depth], y = at / m->n, x = at % m->n;
        add_pair(m, b, &s, y, x);
        widen(&first, y);
        widen(&second, x);
        rc = push_neighbours(m, y, x, err);
    }
    b->slope = correlation(&s);
    b->first = first;
    b->second = second;
    return rc;
}

static int by_sum(const void *a, const void *b)
{
    const block_t *x = a, *y = b;
    if (x->sum != y->sum) return x->sum > y->sum ? -1 : 1;
    if (x->first.beg != y->first.beg) return x->first.beg < y->first.beg ? -1 : 1;
    return (x->second.beg > y->second.beg) - (x->second.beg < y->second.beg);
}

static int collect_all(map_t *m, block_t **block, int64_t *count, cad_error_t *err)
{
    int64_t room = 0;
    int rc = 0;
    for (int64_t k = 0; k < m->n * m->n && rc == 0; k++) {
        if (!m->left[k]) continue;
        if (*count == room) {
            block_t *more = realloc(*block, (size_t)(room = 2 * room + 16) * sizeof *more);
            if (!more) return cad_out_of_memory(err);
            *block = more;
        }
        rc = collect(m, k / m->n, k % m->n, &(*block)[(*count)++], err);
    }
    if (rc == 0 && *count) qsort(*block, (size_t)*count, sizeof **block, by_sum);
    return rc;
}

int blocks_find(const float *e, int64_t n, block_t **block, int64_t *count, cad_error_t *err)
{
    map_t m = { .e = e, .n = n, .left = calloc((size_t)n, (size_t)n) };
    int rc = m.left ? set_limits(&m, err) : cad_out_of_memory(err);
    *block = NULL;
    *count = 0;
    if (rc == 0) mark_strong(&m);
    if (rc == 0) rc = collect_all(&m, block, count, err);
    free(m.left);
    free(m.stack);
    if (rc) {
        free(*block);
        *block = NULL;
    }
    return rc;
}
