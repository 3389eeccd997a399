/* t_corpus.c - tests the data of a training step: windows of a genome, and masks. SPDX-License-Identifier: MIT */
#include <math.h>
#include <unistd.h>

#include "engine/engine.h"
#include "io/fasta.h"
#include "io/notes.h"
#include "io/regions.h"
#include "learn/corpus.h"
#include "stream/pipeline.h"
#include "tap.h"

/* ---- masks ---- */

#define POSITIONS 200000

typedef struct {
    int64_t chosen, hidden, other, kept, strange, untouched;
} tally_of_masks_t;

/* Counts the tokens that cad_mask changed, by kind of change. The vocabulary has 12 tokens; PAD is 4, MASK is 3. */
static tally_of_masks_t count_masks(const uint8_t *tok, const uint8_t *masked, const float *weight)
{
    tally_of_masks_t t = { 0 };
    for (int64_t i = 0; i < POSITIONS; i++) {
        t.strange += masked[i] > 11 || (weight[i] != 0 && weight[i] != 1) ||
                     (weight[i] == 0 && tok[i] != 4 && masked[i] != tok[i]);
        t.untouched += tok[i] == 4 && weight[i] == 0;
        if (weight[i] == 0) continue;
        t.chosen++;
        if (masked[i] == 3) t.hidden++;
        else if (masked[i] != tok[i]) t.other++;
        else t.kept++;
    }
    return t;
}

static bool about(int64_t got, double want, double within) { return fabs((double)got - want) <= within * want; }

static void test_mask(const cad_model_t *m)
{
    uint8_t *tok = malloc(POSITIONS), *masked = malloc(POSITIONS), *again = malloc(POSITIONS);
    float *weight = malloc(POSITIONS * sizeof *weight);
    int64_t pads = 0, n, differ = 0;
    double c;
    tally_of_masks_t t;
    for (int64_t i = 0; i < POSITIONS; i++) {
        tok[i] = (uint8_t)(tap_draw(20) ? 7 + tap_draw(4) : 4);
        pads += tok[i] == 4;
    }
    n = cad_mask(m, 5, 17, tok, POSITIONS, masked, weight);
    t = count_masks(tok, masked, weight);
    c = (double)t.chosen;
    tap_ok(n == t.chosen && t.strange == 0, "what a mask changes is scored, and counted");
    tap_ok(t.untouched == pads, "PAD is never scored");
    tap_ok(about(t.chosen, 0.15 * (double)(POSITIONS - pads), 0.02), "15 %% of the others are");
    tap_ok(about(t.hidden, c * (0.8 + 0.1 / 12), 0.02), "80 %% of them are masked");
    tap_ok(about(t.other, c * 0.1 * 10 / 12, 0.06) && about(t.kept, c * (0.1 + 0.1 / 12), 0.06),
           "10 %% are any token, 10 %% stay");
    cad_mask(m, 5, 17, tok, POSITIONS, again, weight);
    tap_ok(!memcmp(masked, again, POSITIONS), "the same seed and window give the same mask");
    cad_mask(m, 5, 17, tok, 100, again, weight);
    tap_ok(!memcmp(masked, again, 100), "whatever follows");
    for (int k = 0; k < 2; k++) {
        cad_mask(m, k ? 5 : 6, k ? 18 : 17, tok, POSITIONS, again, weight);
        differ += memcmp(masked, again, POSITIONS) != 0;
    }
    tap_ok(differ == 2, "another seed gives another mask, and so does another window");
    free(tok);
    free(masked);
    free(again);
    free(weight);
}

static void test_mask_plant(const char *srcdir)
{
    static char seq[2000];
    uint8_t tok[sizeof seq], masked[sizeof seq];
    float weight[sizeof seq];
    char path[4096];
    cad_model_t *m;
    snprintf(path, sizeof path, "%s/test/data/plant", srcdir ? srcdir : ".");
    memset(seq, 'N', sizeof seq);
    cad_model_open(&m, path, NULL);
    cad_encode(m, seq, sizeof seq, 0, tok);
    tap_ok(cad_mask(m, 1, 1, tok, sizeof seq, masked, weight) == 0, "N is not scored where it is UNK either");
    cad_model_close(m);
}

/* ---- windows of a corpus ---- */

enum { CONTIGS = 5, SPAN = 128 };
static const int LENGTH[CONTIGS] = { 1000, 130, 40, 256, 1 }; /* these contigs have 8, 2, 1, 2 and 1 windows */

static bool write_genome(const char *path, char genome[CONTIGS][1001])
{
    FILE *f = fopen(path, "w");
    for (int c = 0; f && c < CONTIGS; c++) {
        for (int i = 0; i < LENGTH[c]; i++) genome[c][i] = "ACGT"[tap_draw(4)];
        genome[c][LENGTH[c]] = 0;
        fprintf(f, ">c%d\n%s\n", c, genome[c]);
    }
    return f && fclose(f) == 0;
}

typedef struct {
    int seen[CONTIGS][1001], windows, twice, foreign;
} cover_t;

/* Finds which bases are covered by windows from to from+n-1 of a run. */
static cover_t cover(const corpus_t *c, char genome[CONTIGS][1001], int64_t from, int64_t n, int *tiled)
{
    static int begins[CONTIGS][1001];
    cover_t v = { 0 };
    *tiled = 0;
    memset(begins, 0, sizeof begins);
    for (int64_t i = from; i < from + n; i++) {
        char seq[SPAN + 1], *at = NULL;
        int64_t len = 0;
        int k;
        if (corpus_window(c, i, seq, &len, NULL)) return v;
        for (k = 0; k < CONTIGS && !at; k++)
            if (LENGTH[k] == len || (len == SPAN && LENGTH[k] > SPAN)) at = strstr(genome[k], seq);
        if (!at) {
            v.foreign++;
            continue;
        }
        k--;
        v.windows++;
        v.twice += begins[k][at - genome[k]]++;
        *tiled += (at - genome[k]) % SPAN == 0 || at - genome[k] == LENGTH[k] - SPAN;
        for (int64_t p = 0; p < len; p++) v.seen[k][at - genome[k] + p]++;
    }
    return v;
}

static int unseen(const cover_t *v)
{
    int n = 0;
    for (int c = 0; c < CONTIGS; c++)
        for (int i = 0; i < LENGTH[c]; i++) n += !v->seen[c][i];
    return n;
}

static void test_corpus_windows(const fasta_t *ref, char genome[CONTIGS][1001])
{
    corpus_t c, same, other;
    cover_t first, v;
    uint64_t digest[2];
    char a[SPAN + 1], b[SPAN + 1];
    int tiled, good = 0, most = 0, alike = 0, differ = 0;
    int64_t n;
    corpus_open(&c, ref, NULL, SPAN, 3, NULL);
    corpus_open(&same, ref, NULL, SPAN, 3, NULL);
    corpus_open(&other, ref, NULL, SPAN, 4, NULL);
    tap_ok(c.windows == 14 && c.bases == 1427, "intervals are tiled, a short one is a window");
    first = cover(&c, genome, 0, c.windows, &tiled);
    tap_ok(first.windows == 14 && !first.twice && !unseen(&first) && tiled == 14,
           "the first epoch has every tile once, the last of an interval shifted left");
    for (int64_t epoch = 1; epoch < 40; epoch++) {
        v = cover(&c, genome, epoch * c.windows, c.windows, &tiled);
        good += v.windows == 14 && !v.twice && !v.foreign;
        most = unseen(&v) > most ? unseen(&v) : most;
    }
    tap_ok(good == 39, "later ones too have no window twice");
    tap_ok(most < 3 * SPAN, "and leave out less than a window of an interval");
    for (int64_t i = 0; i < 60; i++) {
        corpus_window(&c, i, a, &n, NULL);
        corpus_window(&same, i, b, &n, NULL);
        alike += !strcmp(a, b);
        corpus_window(&other, i, b, &n, NULL);
        differ += strcmp(a, b) != 0;
    }
    tap_ok(alike == 60 && differ > 30, "the seed decides on the order");
    c.ordered = true;
    corpus_window(&c, 0, a, &n, NULL);
    corpus_window(&c, 9, b, &n, NULL);
    tap_ok(!strncmp(a, genome[0], SPAN) && !strcmp(b, genome[1] + 2), "or none does");
    tap_ok(corpus_digest(&c, digest, NULL) == 0 && corpus_digest(&other, digest + 1, NULL) == 0 &&
               digest[0] == digest[1],
           "the digest is that of the intervals");
    corpus_close(&c);
    corpus_close(&same);
    corpus_close(&other);
}

static void test_corpus(void)
{
    static char genome[CONTIGS][1001];
    const char *tmp = getenv("TMPDIR");
    char dir[3000], path[4096];
    notes_t notes = { .cmd = "test", .quiet = true };
    fasta_t ref;
    uint64_t digest[2] = { 0, 0 };
    corpus_t c;
    snprintf(dir, sizeof dir, "%s/caduceus-test.XXXXXX", tmp ? tmp : "/tmp");
    if (!tap_ok(mkdtemp(dir) != NULL, "a folder is made")) return;
    snprintf(path, sizeof path, "%s/g.fa", dir);
    for (int i = 0; i < 2; i++) { /* the second genome has the same lengths but other bases */
        if (!tap_ok(write_genome(path, genome) && fasta_open(&ref, path, &notes, NULL) == 0, "a genome opens")) return;
        if (i == 0) test_corpus_windows(&ref, genome);
        corpus_open(&c, &ref, NULL, SPAN, 3, NULL);
        corpus_digest(&c, &digest[i], NULL);
        corpus_close(&c);
        fasta_close(&ref);
    }
    tap_ok(digest[0] != digest[1], "other bases have another digest");
    unlink(path);
    snprintf(path, sizeof path, "%s/g.fa.fai", dir);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const char *srcdir = getenv("srcdir");
    char path[4096];
    cad_model_t *m;
    snprintf(path, sizeof path, "%s/test/data/ps", srcdir ? srcdir : ".");
    if (!tap_ok(cad_model_open(&m, path, NULL) == 0, "a model opens")) return 1;
    test_mask(m);
    test_mask_plant(srcdir);
    test_corpus();
    cad_model_close(m);
    return tap_finish();
}
