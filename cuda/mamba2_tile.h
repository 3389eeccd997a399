/* mamba2_tile.h - Mamba-2's small matrix products, and functions that find the rows of a chunk.
 *
 * A thread block computes one tile of TILE x TILE outputs of a product C, each thread 8 x 4 of them in registers. The
 * operands are in shared memory, TILE terms of the sum at a time: A (terms, rows of C) and B (terms, columns of C).
 * Each output is one sum in the order of its terms; SOME terms are summed at a time, and these sums are then added.
 * Where a matrix is stored in the other layout, it is transposed while it is copied to shared memory. Elements of A, B
 * and C beyond the ends of the matrices count as 0.
 *
 * Shapes: H is the number of heads of P channels, N of states, G of groups; Hp, Pp and Np are padded; Ep = H Pp; Cp is
 * the width of x, B and C side by side. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA2_TILE_H
#define CAD_CUDA_MAMBA2_TILE_H

#include "kind.h"
#include "simd.h"

#define TILE MAMBA2_TILE
#define LINE (TILE + 4) /* floats between rows of a tile in shared memory: a multiple of 4, but not of 32 */
#define TILE_FLOATS (TILE * LINE)
#define DOWN 8   /* number of rows of outputs that a thread computes */
#define ACROSS 4 /* number of columns of outputs that a thread computes */
#define TILE_COLS (TILE / ACROSS)
#define SOME 16 /* number of terms that are summed before the sum is added to the total, for accuracy */

typedef struct {
    float v[DOWN][ACROSS]; /* outputs [first_row() + r][first_column() + c] */
} tile_t;

DEVICE int first_row(void) { return (int)threadIdx.x / TILE_COLS * DOWN; }
DEVICE int first_column(void) { return (int)threadIdx.x % TILE_COLS * ACROSS; }

DEVICE void tile_clear(tile_t *t)
{
    REPEAT(r, DOWN)
        REPEAT(c, ACROSS) t->v[r][c] = 0;
}

/* Adds A^T x B to C, for terms [beg, end) of the sums; SOME terms are summed at a time and then added. cols: number of
 * columns of C that exist. */
DEVICE void tile_terms(tile_t *t, const float *a, const float *b, int beg, int end, int cols)
{
    int i = first_row(), j = first_column();
    if (j >= cols) return;
    for (int k = beg; k < end;) {
        int next = k + SOME < end ? k + SOME : end;
        tile_t sum;
        tile_clear(&sum);
        for (; k < next; k++) {
            float x[DOWN], y[ACROSS];
            load4(a + k * LINE + i, x);
            load4(a + k * LINE + i + 4, x + 4);
            load4(b + k * LINE + j, y);
            REPEAT(r, DOWN)
                REPEAT(c, ACROSS) sum.v[r][c] = fma32(x[r], y[c], sum.v[r][c]);
        }
        REPEAT(r, DOWN)
            REPEAT(c, ACROSS) t->v[r][c] += sum.v[r][c];
    }
}

DEVICE void tile_add(tile_t *t, const float *a, const float *b, int terms, int cols)
{
    tile_terms(t, a, b, 0, terms, cols);
}

/* These two functions add A^T x B to C and leave out terms that are known to be 0. LOWER: term k is 0 in the rows of C
 * before row k; UPPER: term k is 0 in the rows after row k. */
DEVICE void tile_add_lower(tile_t *t, const float *a, const float *b, int terms, int cols)
{
    int end = first_row() + DOWN;
    tile_terms(t, a, b, 0, end < terms ? end : terms, cols);
}
DEVICE void tile_add_upper(tile_t *t, const float *a, const float *b, int terms, int cols)
{
    tile_terms(t, a, b, first_row(), terms, cols);
}

/* Multiplies row i of C by factor[i]. */
DEVICE void tile_scale(tile_t *t, const float *factor)
{
    REPEAT(r, DOWN)
        REPEAT(c, ACROSS) t->v[r][c] = t->v[r][c] * factor[first_row() + r];
}

/* Returns, in each thread, the sum of v over the threads that compute the same rows of C, added in a fixed order. */
DEVICE float row_sum(float v)
{
    for (int k = TILE_COLS / 2; k; k /= 2) v = v + shuffle_xor(v, k);
    return v;
}

/* A matrix in global memory: element [r][c] is at[r * ld + c] for r < rows and c < cols, and 0 elsewhere. scale: an
 * array in shared memory with a factor for each row, or NULL. */
typedef struct {
    const float *at;
    int64_t ld;
    int rows, cols;
    const float *scale;
} matrix_t;

DEVICE matrix_t matrix(const float *at, int64_t ld, int rows, int cols, const float *scale)
{
    matrix_t m = { at, ld, rows < TILE ? rows : TILE, cols < TILE ? cols : TILE, scale };
    return m;
}

DEVICE float element(const matrix_t *m, int r, int c)
{
    float v = r < m->rows && c < m->cols ? m->at[r * m->ld + c] : 0;
    return m->scale ? v * m->scale[r] : v;
}

/* These two functions copy TILE x TILE elements of m to shared memory: stage_rows as they are, stage_turned
 * transposed. */
DEVICE void stage_rows(const matrix_t m, float *to)
{
    int c = (int)threadIdx.x % TILE;
    for (int r = (int)threadIdx.x / TILE; r < TILE; r += THREADS / TILE) to[r * LINE + c] = element(&m, r, c);
}
DEVICE void stage_turned(const matrix_t m, float *to)
{
    int c = (int)threadIdx.x % TILE;
    for (int r = (int)threadIdx.x / TILE; r < TILE; r += THREADS / TILE) to[c * LINE + r] = element(&m, r, c);
}

/* Writes the tile C to the elements of m. (m.at is written, although it is a pointer to const.) */
DEVICE void store_tile(const tile_t *t, const matrix_t m)
{
    REPEAT(r, DOWN) {
        int i = first_row() + r, j = first_column();
        float *to = (float *)m.at + i * m.ld + j;
        if (i < m.rows)
            REPEAT(c, ACROSS)
                if (j + c < m.cols) to[c] = t->v[r][c];
    }
}

/* ---- chunks ---- */

typedef struct {
    const float *u; // (rows,Cp) x, B and C side by side, after the convolution
    // (rows,Hp) each, for each head: dt; a = exp(dt A); products of a in a chunk, up to the row and after it
    const float *dt, *decay, *from, *to;
    float *score;           // (rows,G,CHUNK) scores C[t].B[j]
    float *state;           // (rows/CHUNK,H,Np,Pp) states before chunks
    float *y;               // (rows,Ep) output of the scan
    const float *skip;      // (Hp) the skip weight D
    const int64_t *off;     // (nseq+1)
    const cad_rows_t *want; // (nseq) the rows of each sequence whose y is needed; NULL: all rows
    mamba2_size_t z;
    int nseq;
    bool reverse;
} scan2_t;

/* The rows of one chunk that are needed. Row i, counted in the direction of the scan, is row first + i * step in
 * memory. */
typedef struct {
    int n;
    /* order: index of the chunk in its sequence, counted in the direction of the scan; last: index of the last chunk */
    int order, last;
    int64_t first, step;
    int64_t slot; /* index of the state before the chunk, if order > 0; slot + 1 is the index of the state after it */
} chunk_t;

/* Returns the number of chunk indexes of a batch: the number of its chunks, and of indexes without a chunk, at most one
 * between two sequences. */
static int64_t chunks_of(const cad_span_t *s) { return s->off[s->nseq] / CAD_MAMBA2_CHUNK + s->nseq; }

/* Finds the chunk with index i; returns false if there is none, or if none of its rows is needed. The chunks of
 * sequence q have the indexes from off[q] / CHUNK + q onwards. */
DEVICE bool find_chunk(const scan2_t *arg, int64_t i, chunk_t *t)
{
    int lo = 0, hi = arg->nseq - 1;
    int64_t beg, end, k, count;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (arg->off[mid] / CAD_MAMBA2_CHUNK + mid <= i) lo = mid;
        else hi = mid - 1;
    }
    k = i - (arg->off[lo] / CAD_MAMBA2_CHUNK + lo);
    count = (arg->off[lo + 1] - arg->off[lo] + CAD_MAMBA2_CHUNK - 1) / CAD_MAMBA2_CHUNK;
    if (k >= count) return false;
    beg = arg->off[lo] + k * CAD_MAMBA2_CHUNK;
    end = beg + CAD_MAMBA2_CHUNK < arg->off[lo + 1] ? beg + CAD_MAMBA2_CHUNK : arg->off[lo + 1];
    if (arg->want) {
        cad_rows_t want = arg->want[lo];
        if (want.beg >= want.end) return false;
        if (arg->reverse && beg < want.beg) beg = want.beg;
        if (!arg->reverse && end > want.end) end = want.end;
        if (beg >= end) return false;
    }
    t->n = (int)(end - beg);
    t->last = (int)count - 1;
    t->order = arg->reverse ? t->last - (int)k : (int)k;
    t->first = arg->reverse ? end - 1 : beg;
    t->step = arg->reverse ? -1 : 1;
    t->slot = arg->off[lo] / CAD_MAMBA2_CHUNK + t->order - 1;
    return true;
}

/* Copies the values of head h for the rows of a chunk from `from` (rows,Hp) to shared memory, and 0 for rows after the
 * last. */
DEVICE void stage_vector(const scan2_t *arg, const chunk_t *t, const float *from, int64_t h, float *to)
{
    for (int i = (int)threadIdx.x; i < TILE; i += THREADS)
        to[i] = i < t->n ? from[(t->first + i * t->step) * arg->z.Hp + h] : 0;
}

/* Returns the matrix of columns [c, c+cols) of `from` (rows,ld), for the rows of a chunk. */
DEVICE matrix_t rows_of(const chunk_t *t, const float *from, int64_t ld, int64_t c, int64_t cols, const float *scale)
{
    return matrix(from + t->first * ld + c, t->step * ld, t->n, (int)(cols < TILE ? cols : TILE), scale);
}

/* Returns the tile of head h's state (Np,Pp) that begins at state n and channel p. */
DEVICE matrix_t state_of(const scan2_t *arg, const float *from, int64_t slot, int64_t h, int64_t n, int64_t p)
{
    const mamba2_size_t *z = &arg->z;
    int64_t rows = z->Np - n < TILE ? z->Np - n : TILE, cols = z->Pp - p < TILE ? z->Pp - p : TILE;
    return matrix(from + ((slot * z->H + h) * z->Np + n) * z->Pp + p, z->Pp, (int)rows, (int)cols, NULL);
}

/* These functions return the columns of u at which x of head h, and B and C of its group, begin. */
DEVICE int64_t x_of(const scan2_t *arg, int64_t h) { return h * arg->z.Pp; }
DEVICE int64_t b_of(const scan2_t *arg, int64_t h) { return arg->z.Ep + h / (arg->z.H / arg->z.G) * arg->z.Np; }
DEVICE int64_t c_of(const scan2_t *arg, int64_t h) { return b_of(arg, h) + arg->z.G * arg->z.Np; }

DEVICE matrix_t x_rows(const scan2_t *arg, const chunk_t *t, int64_t h, int64_t p, const float *scale)
{
    return rows_of(t, arg->u, arg->z.Cp, x_of(arg, h) + p, arg->z.Pp - p, scale);
}
DEVICE matrix_t y_rows(const scan2_t *arg, const chunk_t *t, int64_t h, int64_t p)
{
    return rows_of(t, arg->y, arg->z.Ep, x_of(arg, h) + p, arg->z.Pp - p, NULL);
}
DEVICE matrix_t b_rows(const scan2_t *arg, const chunk_t *t, int64_t h, int64_t n, const float *scale)
{
    return rows_of(t, arg->u, arg->z.Cp, b_of(arg, h) + n, arg->z.Np - n, scale);
}
DEVICE matrix_t c_rows(const scan2_t *arg, const chunk_t *t, int64_t h, int64_t n, const float *scale)
{
    return rows_of(t, arg->u, arg->z.Cp, c_of(arg, h) + n, arg->z.Np - n, scale);
}

#endif
