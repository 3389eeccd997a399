/* t_augment.c - tests the changes of training rows that finetune --augment makes. SPDX-License-Identifier: MIT */
#include <math.h>

#include "learn/augment.h"
#include "tap.h"

#define LEN 400
#define ROWS 500
#define NONE 9999 /* no shift */

static uint8_t row_tokens[LEN], changed[LEN], again[LEN], sides[2 * 50];

static uint8_t draw_base(const cad_model_t *m)
{
    uint8_t token;
    cad_encode(m, &"ACGT"[tap_draw(4)], 1, 0, &token);
    return token;
}

static uint8_t pad_of(const cad_model_t *m)
{
    uint8_t pad;
    cad_encode(m, "N", 1, 0, &pad);
    return pad;
}

/* True if n of a number of trials with probability p is within five standard deviations. */
static bool within(double n, double trials, double p) { return fabs(n - trials * p) <= 5 * sqrt(trials * p * (1 - p)); }

static example_t new_row(const cad_model_t *m)
{
    for (int i = 0; i < LEN; i++) row_tokens[i] = draw_base(m);
    return (example_t) { .tokens = row_tokens, .len = LEN };
}

static bool changes(const augmenter_t *a, const example_t *x, int64_t row, int64_t epoch, uint8_t *to)
{
    example_t y;
    return augment_row(a, x, row, epoch, to, &y, NULL) == 0;
}

/* ---- lists ---- */

static void test_lists(void)
{
    static const char *const bad[] = { "",         "shift",       "shift:",        "shift:0",  "shift:1.5", "shift:-2",
                                       "mutate:2", "mutate:0",    "mlm:nan",       "mlm:0.1x", "turn",      "rc:1",
                                       "rc,",      "shift:1,,rc", "mlm:.1,mlm:.2", "mutate: 1" };
    augment_t a;
    text_t t = { 0 };
    int refused = 0;
    tap_ok(augment_parse(&a, "mlm:0.25,rc,shift:12,mutate:.5", NULL) == 0 && a.rc && a.shift == 12 && a.mutate == 0.5 &&
               a.mlm == 0.25,
           "a list is parsed");
    augment_text(&a, &t);
    tap_ok(!strcmp(t.s.s, "shift:12,mutate:0.5,mlm:0.25"), "and written in one order");
    text_free(&t);
    tap_ok(augment_parse(&a, "rc", NULL) == 0 && a.rc && !augment_any(&a), "rc alone changes no tokens");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (augment_parse(&a, bad[i], NULL)) refused++;
        else printf("# taken: %s\n", bad[i]);
    }
    tap_ok(refused == sizeof bad / sizeof *bad, "bad lists are refused");
}

/* ---- what a draw depends on ---- */

static void test_places(const augmenter_t *a, const char *name, const example_t *x)
{
    augmenter_t other = *a;
    bool same = changes(a, x, 3, 5, changed) && changes(a, x, 3, 5, again) && !memcmp(changed, again, LEN);
    tap_ok(same, "%s: the same row and epoch give the same tokens", name);
    tap_ok(changes(a, x, 4, 5, again) && memcmp(changed, again, LEN), "%s: another row, others", name);
    tap_ok(changes(a, x, 3, 6, again) && memcmp(changed, again, LEN), "%s: another epoch, others", name);
    other.seed++;
    tap_ok(changes(&other, x, 3, 5, again) && memcmp(changed, again, LEN), "%s: another seed, others", name);
}

/* ---- mutate ---- */

static void test_mutate(const cad_model_t *m)
{
    augmenter_t a = { .how = { .mutate = 0.07 }, .model = m, .seed = 9 };
    example_t x = new_row(m);
    double by[4] = { 0 }, n = 0, pads = 0;
    row_tokens[17] = pad_of(m);
    test_places(&a, "mutate", &x);
    for (int64_t row = 0; row < ROWS; row++) {
        changes(&a, &x, row, 1, changed);
        for (int i = 0; i < LEN; i++) {
            int from = cad_token_base(m, row_tokens[i]), to = cad_token_base(m, changed[i]);
            pads += i == 17 && changed[i] == row_tokens[i];
            n += changed[i] != row_tokens[i];
            if (from >= 0 && to >= 0) by[(to - from + 4) % 4]++;
        }
    }
    tap_ok(pads == ROWS, "padding stays");
    tap_ok(within(n, (LEN - 1.0) * ROWS, 0.07), "bases change with the probability (%g)", n);
    tap_ok(within(by[1], n, 1 / 3.0) && within(by[2], n, 1 / 3.0) && within(by[3], n, 1 / 3.0),
           "each of the other three is as frequent");
}

/* ---- shift ---- */

/* Returns the shift of a row, or NONE. beyond: tokens before and after the row, 50 each; NULL: pad. */
static int found_shift(const uint8_t *was, const uint8_t *is, int most, const uint8_t *beyond, uint8_t pad)
{
    for (int d = -most; d <= most; d++) {
        bool all = true;
        for (int i = 0; i < LEN && all; i++) {
            int j = i + d;
            uint8_t want = j >= 0 && j < LEN ? was[j] : !beyond ? pad : j < 0 ? beyond[50 + j] : beyond[50 + j - LEN];
            all = is[i] == want;
        }
        if (all) return d;
    }
    return NONE;
}

static void test_shift(const cad_model_t *m)
{
    augmenter_t a = { .how = { .shift = 20 }, .model = m, .seed = 4 };
    example_t x = new_row(m), y;
    double n[41] = { 0 }, chi = 0;
    int none = 0;
    for (int i = 0; i < 100; i++) sides[i] = draw_base(m);
    test_places(&a, "shift", &x);
    for (int64_t row = 0; row < ROWS; row++) {
        int d = changes(&a, &x, row, 2, changed) ? found_shift(row_tokens, changed, 20, NULL, pad_of(m)) : NONE;
        none += d == NONE;
        if (d < NONE) n[d + 20]++;
    }
    for (int i = 0; i < 41; i++) chi += pow(n[i] - ROWS / 41.0, 2) / (ROWS / 41.0);
    tap_ok(none == 0, "a shift moves the row, and fills it with padding");
    tap_ok(chi < 40 + 5 * sqrt(80), "each distance is as frequent (chi-square %g)", chi);
    x.sides = sides;
    x.around = 50;
    for (int64_t row = none = 0; row < ROWS; row++)
        none += !changes(&a, &x, row, 2, changed) || found_shift(row_tokens, changed, 20, sides, 0) == NONE;
    tap_ok(none == 0, "or with the bases around it, where they are known");
    x.sides = NULL;
    a.how.shift = 100000;
    for (int64_t row = none = 0; row < ROWS; row++)
        none += !changes(&a, &x, row, 2, changed) || found_shift(row_tokens, changed, LEN / 2, NULL, pad_of(m)) == NONE;
    tap_ok(none == 0, "at least half of a row stays");
    memset(row_tokens, pad_of(m), 100);
    x.padded = 100;
    for (int64_t row = none = 0; row < ROWS; row++) {
        int d = augment_row(&a, &x, row, 2, changed, &y, NULL) ? NONE
                                                               : found_shift(row_tokens, changed, 150, NULL, pad_of(m));
        none += d == NONE || y.padded != (d < 100 ? 100 - d : 0);
    }
    tap_ok(none == 0, "padding on the left is counted anew");
}

/* ---- mlm ---- */

static bool open_prior(augmenter_t *a, cad_model_t *prior)
{
    a->vocabulary = cad_model_number(prior, CAD_VOCAB);
    a->mask = (uint8_t)cad_model_number(prior, CAD_TOKEN_MASK);
    a->logits = malloc((size_t)(LEN * a->vocabulary) * sizeof *a->logits);
    a->masked = malloc(LEN);
    a->chosen = malloc(LEN * sizeof *a->chosen);
    return cad_context_open(&a->prior, prior, NULL, NULL) == 0;
}

/* Returns the chi-square sum of the counts (LEN,4) of bases in ROWS rows against the probabilities of the logits, or,
 * if uniform, against 1/4, over cells in which 5 are expected. Sets *mean to its mean. */
static double chi_square(const augmenter_t *a, double (*count)[4], bool uniform, double *mean)
{
    double chi = 0;
    *mean = 0;
    for (int i = 0; i < LEN; i++) {
        double p[4], sum = 0;
        for (int b = 0; b < 4; b++) {
            uint8_t token;
            cad_encode(a->model, &"ACGT"[b], 1, 0, &token);
            sum += p[b] = exp((double)a->logits[i * a->vocabulary + token]);
        }
        for (int b = 0; b < 4; b++) {
            double share = uniform ? 0.25 : p[b] / sum, want = ROWS * share;
            if (want < 5) continue;
            chi += (count[i][b] - want) * (count[i][b] - want) / want;
            *mean += 1 - share;
        }
    }
    return chi;
}

/* Where all bases are masked, every row has the same logits. */
static void test_distribution(augmenter_t *a, const example_t *x)
{
    static double count[LEN][4];
    double chi, mean;
    a->how.mlm = 1;
    for (int64_t row = 0; row < ROWS; row++) {
        changes(a, x, row, 1, changed);
        for (int i = 0; i < LEN; i++) count[i][cad_token_base(a->model, changed[i])]++;
    }
    chi = chi_square(a, count, false, &mean);
    tap_ok(mean > 100 && fabs(chi - mean) < 5 * sqrt(2 * mean),
           "bases follow the model's probabilities (chi-square %g, expected %g)", chi, mean);
    chi = chi_square(a, count, true, &mean);
    tap_ok(chi > mean + 20 * sqrt(2 * mean), "which are not uniform (%g, %g)", chi, mean);
}

static void test_mlm(const cad_model_t *m, cad_model_t *prior)
{
    augmenter_t a = { .how = { .mlm = 0.1 }, .model = m, .seed = 2 };
    example_t x = new_row(m);
    double chosen = 0, other = 0, rest = 0;
    if (!tap_ok(open_prior(&a, prior), "the language model opens")) return;
    row_tokens[17] = pad_of(m);
    test_places(&a, "mlm", &x);
    for (int64_t row = 0; row < ROWS / 5; row++) {
        changes(&a, &x, row, 1, changed);
        for (int i = 0; i < LEN; i++) {
            chosen += a.chosen[i];
            other += a.chosen[i] && changed[i] != row_tokens[i];
            rest += (!a.chosen[i] && changed[i] != row_tokens[i]) ||
                    a.masked[i] != (a.chosen[i] ? a.mask : row_tokens[i]);
        }
    }
    tap_ok(within(chosen, (LEN - 1.0) * ROWS / 5, 0.1), "bases are masked with the probability (%g)", chosen);
    tap_ok(rest == 0, "others stay");
    tap_ok(other > chosen / 4 && other < chosen, "most become others (%g of %g)", other, chosen);
    row_tokens[17] = row_tokens[18];
    test_distribution(&a, &x);
    cad_context_close(a.prior);
    free(a.logits);
    free(a.masked);
    free(a.chosen);
}

int main(void)
{
    const char *srcdir = getenv("srcdir");
    char path[4096];
    cad_model_t *m;
    snprintf(path, sizeof path, "%s/test/data/ps", srcdir ? srcdir : ".");
    if (!tap_ok(cad_model_open(&m, path, NULL) == 0, "a model opens")) return 1;
    test_lists();
    test_mutate(m);
    test_shift(m);
    test_mlm(m, m);
    cad_model_close(m);
    return tap_finish();
}
