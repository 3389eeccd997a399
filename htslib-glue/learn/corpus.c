/* corpus.c - reads windows of a reference in random order, for training.
 *
 * The intervals of the corpus are tiled by windows of equal length. The last window of an interval is shifted left so
 * that it ends with the interval. An interval shorter than a window is one window. An epoch is one pass over the
 * corpus; it visits every window once, in an order that differs between epochs. Each epoch after the first also shifts
 * the tiling left by its own offset. Window i of a run depends only on the seed and i. SPDX-License-Identifier: MIT */
#include "learn/corpus.h"
#include "io/foundation.h"

#define PIECE (1 << 20) /* number of bases read at a time while the digest is computed */

struct corpus_stretch_t {
    const contig_t *contig;
    interval_t span;
    int64_t first; /* index of the first window of this stretch (one interval) among the windows of all stretches */
};

static int64_t tiles_of(const corpus_t *c, interval_t s) { return (s.end - s.beg + c->len - 1) / c->len; }

static int add_stretch(corpus_t *c, const contig_t *contig, interval_t span, cad_error_t *err)
{
    if (c->n == c->room) {
        int64_t room = c->room ? 2 * c->room : 64;
        struct corpus_stretch_t *s = realloc(c->stretch, (size_t)room * sizeof *s);
        if (!s) return cad_fail(err, CAD_ENOMEM, "out of memory for %lld intervals", (long long)c->n);
        c->stretch = s;
        c->room = room;
    }
    c->stretch[c->n++] = (struct corpus_stretch_t) { contig, span, c->windows };
    c->windows += tiles_of(c, span);
    c->bases += span.end - span.beg;
    return 0;
}

int corpus_open(corpus_t *c, const fasta_t *ref, const regions_t *on, int64_t len, uint64_t seed, cad_error_t *err)
{
    int rc = 0;
    *c = (corpus_t) { .ref = ref, .len = len, .seed = seed };
    for (int i = 0; i < ref->ncontig && rc == 0; i++) {
        const contig_t *g = &ref->contig[i];
        interval_t s = { 0, g->length };
        if (!on && g->length) rc = add_stretch(c, g, s, err);
        for (int k = 0; on && rc == 0 && regions_get(on, g->name, k, &s); k++) rc = add_stretch(c, g, s, err);
    }
    return rc;
}

void corpus_close(corpus_t *c)
{
    free(c->stretch);
    memset(c, 0, sizeof *c);
}

static uint64_t mix_in(uint64_t d, const char *s, int64_t n)
{
    for (int64_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, s + i, (size_t)cad_min(8, n - i));
        d = cad_mix(d + CAD_GOLDEN + word);
    }
    return d;
}

static int digest_stretch(const corpus_t *c, const struct corpus_stretch_t *s, char *seq, uint64_t *d, cad_error_t *err)
{
    int rc = 0;
    *d = cad_random(*d, cad_random_name(s->contig->name), (uint64_t)s->span.beg, (uint64_t)s->span.end);
    for (int64_t at = s->span.beg, end; at < s->span.end && rc == 0; at = end) {
        end = cad_min(at + PIECE, s->span.end);
        rc = fasta_fetch(c->ref, s->contig, at, end, seq, err);
        if (rc == 0) *d = mix_in(*d, seq, end - at);
    }
    return rc;
}

int corpus_digest(const corpus_t *c, uint64_t *digest, cad_error_t *err)
{
    char *seq = malloc(PIECE + 1);
    int rc = seq ? 0 : cad_out_of_memory(err);
    *digest = 0;
    for (int64_t i = 0; i < c->n && rc == 0; i++) rc = digest_stretch(c, &c->stretch[i], seq, digest, err);
    free(seq);
    return rc;
}

static int search_stretch(const corpus_t *c, const struct corpus_stretch_t *s, const char *letters, char *seq,
                          bool *any, cad_error_t *err)
{
    int rc = 0;
    for (int64_t at = s->span.beg, end; at < s->span.end && rc == 0 && !*any; at = end) {
        end = cad_min(at + PIECE, s->span.end);
        rc = fasta_fetch(c->ref, s->contig, at, end, seq, err);
        seq[end - at] = 0;
        *any = rc == 0 && strpbrk(seq, letters);
    }
    return rc;
}

int corpus_any(const corpus_t *c, bool lower, bool *any, cad_error_t *err)
{
    char *seq = malloc(PIECE + 1);
    int rc = seq ? 0 : cad_out_of_memory(err);
    *any = false;
    for (int64_t i = 0; i < c->n && rc == 0 && !*any; i++)
        rc = search_stretch(c, &c->stretch[i], lower ? "ACGTacgt" : "ACGT", seq, any, err);
    free(seq);
    return rc;
}

/* Returns the image of i under a permutation of [0, n) that depends on seed and epoch. The permutation is a Feistel
 * network on the numbers below the next power of four; it is applied again until the result is below n. */
static uint64_t permuted(uint64_t i, uint64_t n, uint64_t seed, uint64_t epoch)
{
    unsigned half = 1;
    uint64_t mask;
    while (half < 32 && (uint64_t)1 << 2 * half < n) half++;
    mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t a = i >> half, b = i & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t t = a ^ (cad_random(seed, epoch, b, round) & mask);
            a = b;
            b = t;
        }
        i = a << half | b;
    } while (i >= n);
    return i;
}

static const struct corpus_stretch_t *stretch_of(const corpus_t *c, int64_t window)
{
    int64_t lo = 0, hi = c->n - 1;
    while (lo < hi) {
        int64_t mid = (lo + hi + 1) / 2;
        if (c->stretch[mid].first <= window) lo = mid;
        else hi = mid - 1;
    }
    return &c->stretch[lo];
}

/* Returns the interval of the contig that window k of the stretch covers in this epoch. */
static interval_t window_span(const corpus_t *c, const struct corpus_stretch_t *s, int64_t k, uint64_t epoch)
{
    int64_t shift = epoch ? (int64_t)cad_below(cad_random(c->seed, epoch, (uint64_t)s->first, 99), (uint64_t)c->len)
                          : 0;
    int64_t beg = cad_max(s->span.beg, cad_min(s->span.beg + k * c->len - shift, s->span.end - c->len));
    return (interval_t) { beg, cad_min(beg + c->len, s->span.end) };
}

int corpus_window(const corpus_t *c, int64_t i, char *seq, int64_t *len, cad_error_t *err)
{
    uint64_t epoch = (uint64_t)(i / c->windows);
    int64_t k = c->ordered ? i % c->windows
                           : (int64_t)permuted((uint64_t)(i % c->windows), (uint64_t)c->windows, c->seed, epoch);
    const struct corpus_stretch_t *s = stretch_of(c, k);
    interval_t w = window_span(c, s, k - s->first, c->ordered ? 0 : epoch);
    *len = w.end - w.beg;
    return fasta_fetch(c->ref, s->contig, w.beg, w.end, seq, err);
}
