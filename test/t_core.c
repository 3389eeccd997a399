/* t_core.c - unit tests of parts of core and htslib-glue that need no model: integers, arenas, threads, tiles, regions,
 * learning rates, Markov models. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/team.h"
#include "io/bed.h"
#include "io/fasta.h"
#include "io/regions.h"
#include "stream/evals.h"
#include "stream/pipeline.h"
#include "stream/tiles.h"
#include "tap.h"

/* ---- integers ---- */

static void test_parse_int(void)
{
    static const char *const bad[] = { "",
                                       "-",
                                       "+",
                                       "1x",
                                       " 1",
                                       "1 ",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "1e3",
                                       "0x10",
                                       "--1",
                                       "99999999999999999999" };
    int64_t v = 0;
    int wrong = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) wrong += cad_parse_int(bad[i], INT64_MIN, INT64_MAX, &v);
    tap_ok(wrong == 0, "malformed and overflowing integers are refused");
    tap_ok(cad_parse_int("9223372036854775807", 0, INT64_MAX, &v) && v == INT64_MAX, "the largest integer is read");
    tap_ok(cad_parse_int("-9223372036854775808", INT64_MIN, 0, &v) && v == INT64_MIN, "the smallest integer is read");
    tap_ok(!cad_parse_int("5", 6, 9, &v) && !cad_parse_int("10", 6, 9, &v), "bounds are kept");
}

/* ---- arenas ---- */

static void test_arena(void)
{
    static const int64_t wrong[][2] = { { -1, 4 }, { INT64_MAX, 2 }, { (int64_t)1 << 40, (int64_t)1 << 40 } };
    char room[256];
    cad_bump_t count = { NULL, 0 }, b = { room, 0 };
    int caught = 0;
    tap_ok(!cad_bump_floats(&count, 3, 5) && count.used == 64 && cad_bump_offset(&count, 1, 1, 1, 256) == 64 &&
               count.used == 256,
           "an arena counts first, in multiples of the alignment");
    tap_ok(cad_bump_floats(&b, 3, 5) == (float *)(void *)room && (char *)cad_bump(&b, 1, 1, 1) == room + 64,
           "then it hands out pieces");
    for (int i = 0; i < 3; i++) {
        cad_bump_t over = { room, 0 };
        caught += !cad_bump_floats(&over, wrong[i][0], wrong[i][1]) && over.used == SIZE_MAX;
        caught += !cad_bump(&over, 1, 1, 1) && over.used == SIZE_MAX;
    }
    tap_ok(caught == 6, "a size that overflows sticks");
}

/* ---- tiles ---- */

static bool tiles_partition(const tiling_t *t, interval_t r, int64_t length)
{
    int64_t at = r.beg, n = tiles_count(t, r);
    for (int64_t k = 0; k < n; k++) {
        interval_t core, window;
        tiles_get(t, r, length, k, &core, &window);
        if (core.beg != at || core.end <= core.beg || core.end - core.beg > t->core) return false;
        if (window.beg != cad_max(core.beg - t->flank, 0) || window.end != cad_min(core.end + t->flank, length))
            return false;
        if (window.end - window.beg > t->window) return false;
        at = core.end;
    }
    return at == r.end;
}

/* Returns true if mirroring a region mirrors its tiles. */
static bool tiles_mirror(const tiling_t *t, interval_t r, int64_t length)
{
    interval_t other = { length - r.end, length - r.beg };
    int64_t n = tiles_count(t, r);
    if (n != tiles_count(t, other)) return false;
    for (int64_t k = 0; k < n; k++) {
        interval_t a, b, w;
        tiles_get(t, r, length, k, &a, &w);
        tiles_get(t, other, length, n - 1 - k, &b, &w);
        if (a.beg != length - b.end || a.end != length - b.beg) return false;
    }
    return true;
}

static void test_tiles(void)
{
    int parted = 0, mirrored = 0, whole = 0, trials = 3000;
    tiling_t t;
    cad_error_t err;
    for (int i = 0; i < trials; i++) {
        int64_t W = 1 + tap_draw(40), length = 1 + tap_draw(400), beg, end;
        interval_t r;
        if (tiling_set(&t, W, tap_draw(W), &err)) tiling_set(&t, W, 0, &err);
        beg = tap_draw(length);
        end = beg + tap_draw(length - beg + 1);
        r = (interval_t) { beg, end };
        parted += tiles_partition(&t, r, length);
        mirrored += tiles_mirror(&t, r, length);
        whole += end - beg > t.core || tiles_count(&t, r) == (end > beg);
    }
    tap_ok(parted == trials, "cores cover every base of a region once, in order, with clipped flanks");
    tap_ok(mirrored == trials, "a region and its mirror image are cut alike");
    tap_ok(whole == trials, "a region that fits is not cut");
    tap_ok(tiling_set(&t, 100, 50, &err) == CAD_EARG && tiling_set(&t, 100, 49, &err) == 0,
           "a flank that leaves no core is refused");
    tap_ok(tiling_set(&t, 131072, -1, &err) == 0 && t.flank == 1024 && tiling_set(&t, 512, -1, &err) == 0 &&
               t.flank == 128,
           "default flanks");
}

/* ---- regions ---- */

static void test_regions(void)
{
    static const char *const name[] = { "a", "b", "a:5" };
    struct {
        int c;
        int64_t beg, end;
    } span[60];
    contig_t contig = { .name = (char *)"a", .length = 5000 };
    const contig_t *by_name = &contig;
    fasta_t ref = { .contig = &contig, .ncontig = 1, .by_name = &by_name, .path = "ref.fa" };
    names_t names = { .dict = &ref, .has = fasta_has, .path = ref.path, .hint = &ref };
    regions_t *r;
    char text[64];
    cad_error_t err;
    int wrong = 0;
    regions_new(&r, &err);
    for (int i = 0; i < 60; i++) {
        span[i].c = (int)tap_draw(2);
        span[i].beg = tap_draw(1000);
        span[i].end = span[i].beg + 1 + tap_draw(30);
        snprintf(text, sizeof text, "%s:%lld-%lld", name[span[i].c], (long long)span[i].beg + 1,
                 (long long)span[i].end);
        regions_add_text(r, text, NULL, &err);
    }
    regions_finish(r);
    for (int i = 0; i < 5000; i++) {
        int c = (int)tap_draw(3);
        int64_t beg = tap_draw(1100), end = beg + tap_draw(20), e = end == beg ? beg + 1 : end;
        bool want = false;
        for (int k = 0; k < 60; k++) want |= span[k].c == c && span[k].beg < e && span[k].end > beg;
        wrong += regions_overlap(r, name[c], beg, end) != want;
    }
    tap_ok(wrong == 0, "overlaps agree with a scan over all regions");
    regions_free(r);
    regions_new(&r, &err);
    tap_ok(regions_add_text(r, "a:0-5", &names, &err) == CAD_EARG &&
               regions_add_text(r, "a:9-5", &names, &err) == CAD_EARG &&
               regions_add_text(r, "a:x", &names, &err) == CAD_EARG,
           "malformed regions are refused");
    tap_ok(regions_add_text(r, "c", &names, &err) == CAD_EARG && regions_add_text(r, "a", &names, &err) == 0,
           "contigs that the reference lacks are refused");
    regions_free(r);
    regions_new(&r, &err);
    tap_ok(regions_add_text(r, "a:1,000-2,000,b", NULL, &err) == 0, "thousands and several regions");
    regions_finish(r);
    tap_ok(regions_overlap(r, "a", 999, 1000) && !regions_overlap(r, "a", 998, 999) &&
               !regions_overlap(r, "a", 2000, 2001) && regions_overlap(r, "b", 7, 8),
           "they mean 1-based inclusive");
    regions_free(r);
}

/* ---- team ---- */

typedef struct {
    atomic_int count[500];
} tally_t;
static void tally(void *arg, int64_t task, int worker)
{
    (void)worker;
    atomic_fetch_add(&((tally_t *)arg)->count[task], 1);
}

static void test_team(void)
{
    cad_team_t *team;
    tally_t t = { { 0 } };
    int wrong = 0;
    cad_team_open(&team, 5, NULL);
    for (int round = 0; round < 200; round++) cad_team_run(team, round * 2 + 1, tally, &t);
    cad_team_close(team);
    for (int i = 0; i < 500; i++) wrong += atomic_load(&t.count[i]) != (i < 399 ? 200 - (i + 1) / 2 : 0);
    tap_ok(wrong == 0, "every task of every run is done once");
}

/* ---- learning rates ---- */

static void test_schedule(void)
{
    int falling = 0, rising = 0;
    for (int64_t i = 1; i < 100; i++) {
        double v = cad_schedule(CAD_COSINE_AFTER, i, 100, 0.2, 1, 0.1),
               u = cad_schedule(CAD_COSINE_AFTER, i - 1, 100, 0.2, 1, 0.1);
        falling += v < u;
        rising += v > u;
    }
    tap_ok(rising == 19 && falling == 79, "a learning rate rises in the warm-up and falls thereafter");
    tap_ok(cad_schedule(CAD_COSINE_AFTER, 19, 100, 0.2, 1, 0.1) == 1 &&
               cad_schedule(CAD_COSINE_AFTER, 20, 100, 0.2, 1, 0.1) == 1,
           "it peaks where the warm-up ends");
    tap_ok(fabs(cad_schedule(CAD_COSINE_AFTER, 60, 100, 0.2, 1, 0.1) - 0.55) < 1e-12 &&
               fabs(cad_schedule(CAD_COSINE_OVER, 50, 100, 0.2, 1, 0.1) - 0.55) < 1e-12,
           "and is half-way in the middle of the cosine");
    tap_ok(cad_schedule(CAD_COSINE_OVER, 0, 100, 0.2, 1, 0.1) == 1e-6 &&
               cad_schedule(CAD_COSINE_OVER, 0, 100, 0.2, 1e-7, 0) == 1e-7,
           "a warm-up begins at 1e-6, or at a lower peak");
    tap_ok(cad_schedule(CAD_COSINE_OVER, 0, 100, 0, 1, 0.1) == 1 &&
               cad_schedule(CAD_COSINE_AFTER, 0, 1, 0, 1, 0.1) == 1,
           "without a warm-up it begins at the peak");
}

/* ---- Markov models ---- */

#define BASES 3000

static bool same_counts(const cad_markov_t *a, const cad_markov_t *b)
{
    bool same = true;
    for (int k = 0; k <= a->order; k++)
        same &= !memcmp(a->count[k], b->count[k], ((size_t)4 << 2 * k) * sizeof(uint32_t));
    return same;
}

static void test_markov(void)
{
    uint8_t base[BASES], mirror[BASES];
    double before[CAD_MARKOV_ORDERS][4], after[CAD_MARKOV_ORDERS][4], both[4], worst = 0;
    cad_markov_t at_once, pieces, other;
    cad_team_t *team;
    int whole = 0, alike = 0, mirrored = 0;
    cad_error_t err;
    cad_team_open(&team, 3, NULL);
    for (int64_t i = 0; i < BASES; i++) base[i] = (uint8_t)(tap_draw(40) ? tap_draw(4) : 4);
    for (int64_t i = 0; i < BASES; i++) mirror[i] = (uint8_t)(base[BASES - 1 - i] < 4 ? 3 - base[BASES - 1 - i] : 4);
    whole += cad_markov_open(&at_once, 6, &err) == 0 && cad_markov_open(&pieces, 6, &err) == 0 &&
             cad_markov_open(&other, 6, &err) == 0;
    whole += cad_markov_count(&at_once, team, base, BASES, 0, &err) == 0 &&
             cad_markov_count(&other, NULL, mirror, BASES, 0, &err) == 0;
    for (int64_t at = 0, n; at < BASES; at += n) {
        int64_t beg = cad_max(at - 6, 0);
        n = cad_min(1 + tap_draw(30), BASES - at);
        whole += cad_markov_count(&pieces, team, base + beg, at + n - beg, at - beg, &err) != 0;
    }
    tap_ok(whole == 2 && same_counts(&at_once, &pieces), "words are counted alike at once and in pieces");
    tap_ok(same_counts(&at_once, &other), "a sequence and its reverse complement count alike");
    for (int64_t t = 0; t < BASES; t++) {
        bool same = true;
        cad_markov_predict(&at_once, base, BASES, t, false, before);
        cad_markov_predict(&at_once, mirror, BASES, BASES - 1 - t, true, after);
        for (int k = 0; k <= 6; k++) {
            for (int x = 0; x < 4; x++) same &= before[k][x] == after[k][3 - x];
            worst = fmax(worst, fabs(before[k][0] + before[k][1] + before[k][2] + before[k][3] - 1));
        }
        mirrored += same;
        cad_markov_predict(&at_once, base, BASES, t, true, after);
        cad_markov_join(before[0], after[0], before[0], both);
        alike += fabs(both[0] - before[0][0]) < 1e-12 && fabs(both[1] - before[0][1]) < 1e-12;
    }
    tap_ok(mirrored == BASES, "what comes before is what comes after on the other strand");
    tap_ok(worst < 1e-12, "probabilities sum to 1");
    tap_ok(alike == BASES, "of order 0 there are no sides");
    memset(base, 0, sizeof base);
    at_once.count[0][0] = UINT32_MAX - 2 * BASES + 1;
    tap_ok(cad_markov_count(&at_once, team, base, BASES, 0, &err) == CAD_EARG,
           "a count that would overflow is refused");
    cad_markov_close(&at_once);
    cad_markov_close(&pieces);
    cad_markov_close(&other);
    cad_team_close(team);
}

int main(void)
{
    test_parse_int();
    test_arena();
    test_tiles();
    test_regions();
    test_team();
    test_markov();
    test_schedule();
    return tap_finish();
}
