/* t_context.c - unit tests of models and contexts: tokens, scores, classes, hidden states, wanted rows, configurations,
 * and calls that are refused. SPDX-License-Identifier: MIT */
#include <math.h>
#include <unistd.h>

#include "base/base.h"
#include "engine/engine.h"
#include "engine/module.h"
#include "tap.h"

enum { WIDEST = 16 }; /* largest D and V of the models in this file */

/* ---- model, tokens, scores ---- */

static void test_tokens(const cad_model_t *m)
{
    uint8_t tok[16], rc[16], back[16];
    int64_t odd = cad_encode(m, "ACGTacgtNnRYx-*U", 16, 0, tok);
    static const uint8_t want[] = { 7, 8, 9, 10, 7, 8, 9, 10, 4, 4, 4, 4, 4, 4, 4, 4 };
    tap_ok(!memcmp(tok, want, 16) && odd == 6, "letters become tokens, N and IUPAC codes PAD");
    cad_encode(m, "ACNR", 4, CAD_N_AS_TOKEN, tok);
    tap_ok(tok[2] == 11 && tok[3] == 11, "N as token N on request");
    cad_encode(m, "AACGTTGN", 8, 0, tok);
    cad_reverse_complement(m, tok, 8, rc);
    cad_reverse_complement(m, rc, 8, back);
    tap_ok(rc[0] == 4 && rc[1] == 8 && rc[7] == 10 && !memcmp(tok, back, 8), "the reverse complement undoes itself");
}

/* w: a good window; each case changes one member of it. */
static void test_refused_passes(const cad_model_t *m, cad_window_t w)
{
    uint8_t tok[60];
    cad_window_t before = w, after = w, swapped = w, alien = w, empty = { 0 };
    before.core_beg = -1;
    after.core_end = w.len + 1;
    swapped.core_beg = w.core_end + 1;
    memcpy(tok, w.tokens, sizeof tok);
    tok[59] = 255;
    alien.tokens = tok;
    tap_ok(cad_passes(m, &before, 8) == CAD_EARG && cad_passes(m, &after, 8) == CAD_EARG &&
               cad_passes(m, &swapped, 8) == CAD_EARG,
           "a core outside its window has no passes");
    tap_ok(cad_passes(m, &alien, 8) == CAD_EARG, "nor has a token outside the vocabulary");
    tap_ok(cad_passes(m, &w, CAD_MASK_EACH - 1) == CAD_EARG, "nor has an unknown mask");
    tap_ok(cad_passes(m, &empty, 8) == 0, "an empty window has none, without an error");
}

static void test_scores(cad_context_t *ctx, const cad_model_t *m)
{
    static const float even[4] = { -1.3862944f, -1.3862944f, -1.3862944f, -1.3862944f };
    uint8_t tok[60], skip[60] = { 0 };
    float logp[60 * 4], each[60 * 4], wide[60 * 4];
    cad_window_t w = { .tokens = tok, .len = 60, .core_beg = 5, .core_end = 55, .skip = skip, .logp = logp };
    int nan = 0;
    double worst = 0;
    cad_error_t err;
    for (int i = 0; i < 60; i++) tok[i] = (uint8_t)(7 + tap_draw(4));
    tok[20] = 4;
    skip[21] = 1;
    tap_ok(fabs(cad_entropy(even) - 2) < 1e-6, "even odds have two bits");
    tap_ok(cad_passes(m, &w, CAD_MASK_EACH) == 48 && cad_passes(m, &w, CAD_MASK_NONE) == 1 && cad_passes(m, &w, 8) == 8,
           "passes are counted");
    test_refused_passes(m, w);
    tap_ok(cad_score(ctx, &w, 1, 8, &err) == 0, "a window is scored");
    for (int i = 0; i < 50; i++) {
        double sum = 0;
        for (int b = 0; b < 4; b++) sum += exp((double)logp[4 * i + b]);
        if (isnan(logp[4 * i])) nan++;
        else worst = fmax(worst, fabs(sum - 1));
    }
    tap_ok(nan == 2 && isnan(logp[4 * 15]) && isnan(logp[4 * 16]), "PAD and skipped bases are not scored");
    tap_ok(worst < 1e-6, "probabilities of the four bases add up to one");
    w.logp = each;
    cad_score(ctx, &w, 1, CAD_MASK_EACH, &err);
    w.logp = wide;
    cad_score(ctx, &w, 1, INT64_MAX, &err);
    for (int i = 0; i < 200; i++) nan += !isnan(each[i]) && each[i] != wide[i];
    tap_ok(nan == 2, "a stride longer than the core equals masking each base, bit for bit");
    w.core_end = 61;
    tap_ok(cad_score(ctx, &w, 1, 8, &err) == CAD_EARG, "a core beyond the window is refused");
    w.core_end = 55;
    tok[3] = 77;
    tap_ok(cad_score(ctx, &w, 1, 8, &err) == CAD_EARG, "a token beyond the vocabulary is refused");
    tap_ok(cad_classify(ctx, tok, NULL, 10, logp, &err) == CAD_EARG, "a language model does not classify");
}

/* Classifying many windows in one call gives the same results as classifying each alone with both strands given;
 * only the core is pooled. */
static void test_classify(const char *srcdir, const char *name)
{
    cad_model_t *m = NULL;
    cad_context_t *ctx = NULL;
    cad_options_t o;
    cad_window_t w[9];
    uint8_t tok[9][60], rc[60];
    float all[9 * 3], one[3], part[3];
    int64_t K;
    int wrong = 0;
    char path[4096];
    snprintf(path, sizeof path, "%s/test/data/%s", srcdir ? srcdir : ".", name);
    cad_options_init(&o);
    o.threads = 2;
    o.max_len = 60;
    cad_model_open(&m, path, NULL);
    if (!tap_ok(m && cad_context_open(&ctx, m, &o, NULL) == 0, "%s: a classifier opens", name)) return;
    K = cad_model_number(m, CAD_LABELS);
    for (int i = 0; i < 9; i++) {
        for (int k = 0; k < 60; k++) tok[i][k] = (uint8_t)(7 + tap_draw(4));
        w[i] = (cad_window_t) { .tokens = tok[i], .len = 60 - 5 * i, .core_end = 60 - 5 * i };
    }
    wrong += cad_classify_all(ctx, w, 9, all, NULL) != 0;
    for (int i = 0; i < 9; i++) {
        cad_reverse_complement(m, tok[i], w[i].len, rc);
        wrong += cad_classify(ctx, tok[i], rc, w[i].len, one, NULL) != 0 ||
                 memcmp(one, all + i * K, (size_t)K * sizeof *one);
    }
    tap_ok(wrong == 0, "%s: a batch of windows is classified as each alone, bit for bit", name);
    w[0].core_beg = 20;
    tap_ok(cad_classify_all(ctx, w, 1, part, NULL) == 0 && memcmp(part, all, (size_t)K * sizeof *part),
           "%s: a core is pooled", name);
    w[0].core_beg = w[0].core_end;
    tap_ok(cad_classify_all(ctx, w, 1, part, NULL) == CAD_EARG, "%s: an empty core is refused", name);
    cad_context_close(ctx);
    cad_model_close(m);
}

/* Classifies a window of 40 tokens. */
static bool classify_one(cad_context_t *ctx, float *logits)
{
    uint8_t tok[40];
    cad_window_t w = { .tokens = tok, .len = 40, .core_end = 40 };
    for (int i = 0; i < 40; i++) tok[i] = (uint8_t)(7 + i * 5 % 4);
    return cad_classify_all(ctx, &w, 1, logits, NULL) == 0;
}

/* A context keeps the head that it was opened with, even if the model changes afterwards. */
static void test_head_kept(const char *srcdir)
{
    cad_model_t *m = NULL;
    cad_context_t *ctx = NULL, *later = NULL;
    cad_head_t head;
    float before[3], after[3], other[3];
    int64_t n;
    char path[4096];
    snprintf(path, sizeof path, "%s/test/data/cls-ps", srcdir ? srcdir : ".");
    cad_model_open(&m, path, NULL);
    cad_head_init(&head);
    if (!tap_ok(m && cad_context_open(&ctx, m, NULL, NULL) == 0 && classify_one(ctx, before) &&
                    cad_head_read(&head, m, NULL) == 0,
                "a classifier's head is read"))
        return;
    n = m->labels * m->cfg.d_model;
    /* change score.weight, as a trainer does */
    for (int64_t i = 0; i < n; i++) m->param[m->score - m->param + i] += 1;
    head.pool = head.pool == CAD_POOL_MAX ? CAD_POOL_MEAN : CAD_POOL_MAX;
    tap_ok(cad_head_write(&head, m, NULL) == 0 && classify_one(ctx, after) &&
               !memcmp(before, after, (size_t)m->labels * sizeof *before),
           "a context keeps the head that it was opened with");
    tap_ok(cad_context_open(&later, m, NULL, NULL) == 0 && classify_one(later, other) &&
               memcmp(before, other, (size_t)m->labels * sizeof *before) != 0,
           "a new context has the new one");
    cad_head_free(&head);
    cad_head_init(&head);
    cad_head_room(&head, m->labels + 1, NULL);
    tap_ok(cad_head_write(&head, m, NULL) == CAD_EARG, "a head of another size is refused");
    cad_head_free(&head);
    cad_context_close(ctx);
    cad_context_close(later);
    cad_model_close(m);
}

/* True if the model has the tensor pool.weight and no other value has changed: a new context gives `want`. */
static bool pools(const cad_model_t *m, bool weight, const float *want)
{
    cad_context_t *ctx = NULL;
    float got[3];
    bool good = (m->pool_weight != NULL) == weight && cad_context_open(&ctx, m, NULL, NULL) == 0 &&
                classify_one(ctx, got) && !memcmp(got, want, (size_t)m->labels * sizeof *got);
    cad_context_close(ctx);
    return good;
}

/* Pooling by attention adds a tensor of zeros, before a bias of the head if it has one; another pooling removes it. */
static void test_attention_pooling(void)
{
    static const char *const config =
        "{\"d_model\": 6, \"n_layer\": 2, \"vocab_size\": 12, \"rcps\": true, \"num_labels\": 3, \"score_bias\": true, "
        "\"architectures\": [\"CaduceusForSequenceClassification\"], "
        "\"initializer_cfg\": {\"initializer_range\": 0.5}}";
    cad_model_t *m = NULL;
    cad_context_t *ctx = NULL;
    cad_head_t head;
    float mean[3], other[3];
    int64_t n;
    cad_head_init(&head);
    if (!tap_ok(cad_model_create(&m, config, 100, 3, NULL) == 0 && cad_head_read(&head, m, NULL) == 0,
                "a head with a bias"))
        return;
    for (int i = 0; i < 3; i++) m->param[m->score_bias - m->param + i] = (float)(i + 1);
    tap_ok(cad_context_open(&ctx, m, NULL, NULL) == 0 && classify_one(ctx, mean), "the mean");
    cad_context_close(ctx);
    n = cad_model_number(m, CAD_PARAMETERS);
    head.pool = CAD_POOL_ATTENTION;
    head.bin = 4;
    tap_ok(cad_head_write(&head, m, NULL) == CAD_EARG && pools(m, false, mean),
           "bins are refused, and nothing changes");
    head.bin = 0;
    tap_ok(cad_head_write(&head, m, NULL) == 0 && pools(m, true, mean) &&
               cad_model_number(m, CAD_PARAMETERS) == n + m->cfg.d_model,
           "attention without weights is the mean, bit for bit");
    m->param[m->pool_weight - m->param] = 9;
    cad_context_open(&ctx, m, NULL, NULL);
    tap_ok(classify_one(ctx, other) && memcmp(other, mean, (size_t)m->labels * sizeof *mean) != 0,
           "with a weight it is another");
    m->param[m->pool_weight - m->param] = 0;
    tap_ok(classify_one(ctx, mean) && !memcmp(other, mean, (size_t)m->labels * sizeof *mean),
           "a context keeps the weights that it was opened with");
    cad_context_close(ctx);
    cad_context_open(&ctx, m, NULL, NULL);
    classify_one(ctx, mean);
    cad_context_close(ctx);
    head.pool = CAD_POOL_MEAN;
    tap_ok(cad_head_write(&head, m, NULL) == 0 && pools(m, false, mean) && cad_model_number(m, CAD_PARAMETERS) == n,
           "and the mean again has no tensor");
    head.pool = CAD_POOL_NONE;
    tap_ok(cad_head_write(&head, m, NULL) == CAD_EARG, "a head that does not pool is refused");
    cad_head_free(&head);
    cad_model_close(m);
}

/* ---- changing a model's configuration ---- */

static void test_configuration(const cad_model_t *from)
{
    static const char *const bad[] = { "{", "[]", "3", "" };
    cad_model_t *m = NULL;
    cad_error_t err;
    char *text = NULL, *merged = NULL;
    int refused = 0, bases = 0;
    tap_ok(cad_model_config(&text, from, NULL) == 0 && cad_config_merge(&merged, text, "{\"n_layer\": 1}", NULL) == 0 &&
               cad_model_create(&m, merged, 100, 1, NULL) == 0 && cad_model_number(m, CAD_N_LAYER) == 1 &&
               cad_model_number(m, CAD_D_MODEL) == cad_model_number(from, CAD_D_MODEL),
           "a model is made of another's configuration with a change");
    free(merged);
    tap_ok(cad_config_merge(&merged, text, "{}", NULL) == 0 && merged, "no change is a change");
    free(merged);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refused += cad_config_merge(&merged, text, bad[i], &err) == CAD_EFORMAT && !merged;
        refused += cad_config_merge(&merged, bad[i], "{}", &err) == CAD_EFORMAT && !merged;
    }
    tap_ok(refused == 8, "texts that are no JSON objects are refused");
    tap_ok(cad_model_set_max_len(m, 1 << 20, NULL) == 0 && cad_model_number(m, CAD_MAX_LEN) == 1 << 20 &&
               cad_model_set_max_len(m, 0, &err) == CAD_EARG &&
               cad_model_set_max_len(m, (1 << 20) + 1, &err) == CAD_EARG,
           "a model's window is set within bounds");
    for (int t = 0; t < 256; t++) {
        int b = cad_token_base(m, (uint8_t)t);
        bases += b >= 0 && cad_model_number(m, (enum cad_number_t)(CAD_TOKEN_A + b)) == t;
    }
    tap_ok(bases == 4, "four tokens are bases");
    tap_ok(cad_model_save_check(m, "/dev/null", NULL) == 0, "a model of the published table brings no tokenizer");
    free(text);
    cad_model_close(m);
}

/* ---- error texts of failed runs ---- */

static int fail_silently(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    (void)l;
    (void)range;
    (void)n;
    return CAD_EDEVICE;
}

static int fail_aloud(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    (void)range;
    snprintf(l->text, sizeof l->text, "%lld ranges", (long long)n);
    return CAD_EDEVICE;
}

/* The error text of a run must not come from an earlier run that failed on another lane. */
static void test_reasons(const cad_model_t *m)
{
    uint8_t tok[20] = { 0 };
    float hidden[20 * WIDEST * 2];
    cad_context_t *ctx;
    cad_options_t o;
    cad_error_t err;
    cad_options_init(&o);
    o.threads = 2;
    o.max_len = 20;
    cad_context_open(&ctx, m, &o, NULL);
    ctx->card->ops.pool = fail_aloud;
    tap_ok(cad_forward(ctx, tok, 20, hidden, NULL, &err) == CAD_EDEVICE && strstr(err.text, " ranges"),
           "a lane's reason is reported");
    ctx->card->ops.pool = fail_silently;
    for (int i = 0; i < ctx->lanes; i++) strcpy(ctx->lane[i].text, "stale");
    tap_ok(cad_forward(ctx, tok, 20, hidden, NULL, &err) == CAD_EDEVICE && strstr(err.text, ": device error"),
           "an earlier run's reason is not");
    cad_context_close(ctx);
}

/* Counts the values in the middle half of a model's parameters that are not 0. */
static int64_t values_in(const cad_model_t *m)
{
    int64_t n = 0;
    for (int64_t i = m->total / 4; i < m->total / 4 * 3; i++) n += m->param[i] != 0;
    return n;
}

static void test_last_context(void)
{
    uint8_t tok[50];
    float want[50 * 16], got[50 * 16];
    cad_model_t *m = NULL, *other = NULL;
    cad_context_t *a = NULL, *b = NULL, *c = NULL;
    cad_trainer_t *t = NULL;
    cad_recipe_t recipe;
    cad_error_t err = { "" };
    cad_recipe_init(&recipe);
    for (int i = 0; i < 50; i++) tok[i] = (uint8_t)(7 + i * i % 4);
    cad_model_create(&m, "{\"d_model\": 64, \"n_layer\": 3, \"vocab_size\": 12}", 50, 1, &err);
    if (!tap_ok(m && values_in(m) > m->total / 4 && cad_context_open(&a, m, NULL, &err) == 0, "a model: %s", err.text))
        return;
    tap_ok(cad_context_open_last(&b, m, NULL, &err) == 0 && values_in(m) == 0,
           "the last context leaves the model without values");
    tap_ok(cad_forward(a, tok, 50, NULL, want, &err) == 0 && cad_forward(b, tok, 50, NULL, got, &err) == 0 &&
               !memcmp(want, got, sizeof got) && want[7] != 0,
           "it and earlier contexts have their own");
    tap_ok(cad_context_open(&c, m, NULL, &err) == CAD_EARG && !c && strstr(err.text, "handed over"), "%s", err.text);
    tap_ok(cad_context_open_last(&c, m, NULL, &err) == CAD_EARG && !c, "nor a second last one");
    tap_ok(cad_trainer_open(&t, m, &recipe, &err) == CAD_EARG && !t, "nor a trainer");
    tap_ok(cad_model_classifier(&other, m, 2, 1, &err) == CAD_EARG && !other, "nor a classifier");
    tap_ok(cad_model_save(m, "nowhere", NULL, &err) == CAD_EARG && access("nowhere", F_OK), "nor a saved model");
    cad_context_close(a);
    cad_context_close(b);
    cad_model_close(m);
}

/* ---- hidden states of inner layers ---- */

/* Opens a context that reads hidden states after a layer, and computes hidden states (L,W) and logits (L,V). */
static int read_layer(const cad_model_t *m, int layer, const uint8_t *tok, int64_t len, float *hidden, float *logits,
                      cad_error_t *err)
{
    cad_options_t o;
    cad_context_t *ctx;
    int rc;
    cad_options_init(&o);
    o.layer = layer;
    o.device = "cpu";
    rc = cad_context_open(&ctx, m, &o, err);
    if (rc == 0) rc = cad_forward(ctx, tok, len, hidden, logits, err);
    if (rc == 0 && logits && cad_context_done(ctx) % len)
        rc = cad_fail(err, CAD_EARG, "%lld tokens", (long long)cad_context_done(ctx));
    cad_context_close(ctx);
    return rc;
}

/* Makes a causal PS model with fused norms. */
static cad_model_t *causal(int layers, int64_t len)
{
    char config[200];
    cad_model_t *m;
    snprintf(config, sizeof config,
             "{\"d_model\": 16, \"n_layer\": %d, \"vocab_size\": 12, \"pad_vocab_size_multiple\": 16,"
             " \"rcps\": true, \"bidirectional\": false}",
             layers);
    cad_model_create(&m, config, len, 1, NULL);
    return m;
}

/* After the first layer of a causal model, the first half of a hidden state depends on earlier tokens only, and the
 * second half on later ones. The layer is folded if the model has two layers, and not folded if it has three. */
static void test_layers(void)
{
    enum { L = 30, D = 16, V = 16 };
    static float last[L * 2 * D], inner[L * 2 * D], changed[L * 2 * D], logits[L * V], again[L * V];
    uint8_t tok[L];
    cad_error_t err = { "" };
    for (int i = 0; i < L; i++) tok[i] = (uint8_t)(7 + i * i % 4);
    for (int n = 2; n <= 3; n++) {
        cad_model_t *m = causal(n, L);
        tap_ok(read_layer(m, 0, tok, L, last, logits, &err) == 0 &&
                   read_layer(m, -1, tok, L, inner, again, &err) == 0 && !memcmp(last, inner, sizeof last) &&
                   read_layer(m, n, tok, L, inner, NULL, &err) == 0 && !memcmp(last, inner, sizeof last),
               "%d layers: the last by all its numbers %s", n, err.text);
        tap_ok(read_layer(m, -n, tok, L, inner, again, &err) == 0 && !memcmp(logits, again, sizeof logits) &&
                   memcmp(last, inner, sizeof last),
               "the first: other hidden states, the same logits %s", err.text);
        tok[L - 1] ^= 1;
        read_layer(m, 1, tok, L, changed, NULL, &err);
        tok[L - 1] ^= 1;
        tap_ok(!memcmp(inner, changed, D * sizeof *inner) && memcmp(inner + D, changed + D, D * sizeof *inner),
               "the first half sees the tokens before, the second half those after");
        for (int k = -1; k <= 1; k += 2)
            tap_ok(read_layer(m, k * (n + 1), tok, L, last, NULL, &err) == CAD_EARG && strstr(err.text, "layers 1 to "),
                   "%s", err.text);
        cad_model_close(m);
    }
}

/* ---- wanted rows ---- */

enum { PASSES = 7, LONGEST = 2100 };

typedef struct { /* results of a masking pass: run 0 computes all of them, run 1 only those that are asked for */
    uint8_t tok[LONGEST];
    float logits[2][LONGEST * WIDEST], hidden[2][LONGEST * WIDEST];
    int64_t pos[LONGEST];
    float some[2][LONGEST * WIDEST], pooled[2][LONGEST * WIDEST];
} answer_t;

static void ask_all(const cad_model_t *m, cad_pass_t *p, answer_t *r, int64_t len)
{
    for (int64_t i = 0; i < len; i++) {
        r->tok[i] = (uint8_t)m->vocab.base[tap_draw(4)];
        r->pos[i] = i;
    }
    *p = (cad_pass_t) { .tok = r->tok,
                        .len = len,
                        .strands = 2,
                        .pos = r->pos,
                        .npos = len,
                        .end = len,
                        .pool = CAD_POOL_NONE,
                        .logits = { r->logits[0], r->logits[1] },
                        .pooled = { r->hidden[0], r->hidden[1] } };
}

/* Asks pass p for some of the results: logits of one row or of every eighth row of a range, a pooled range, or both. */
static void ask_some(cad_pass_t *p, answer_t *r)
{
    int64_t how = tap_draw(4), step = how ? 8 : LONGEST, beg = tap_draw(p->len), end = beg + 1 + tap_draw(p->len - beg);
    p->npos = 0;
    for (int64_t i = beg; i < end; i += step) r->pos[p->npos++] = i;
    p->beg = tap_draw(p->len);
    p->end = p->beg + 1 + tap_draw(p->len - p->beg);
    for (int s = 0; s < 2; s++) {
        p->logits[s] = how < 3 ? r->some[s] : NULL;
        p->pooled[s] = how > 1 ? r->pooled[s] : NULL;
    }
}

/* Returns true if the results that were asked for equal those of the run that computed all rows. */
static bool same_rows(const cad_pass_t *p, const answer_t *r, int64_t D, int64_t V)
{
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; p->logits[s] && i < p->npos; i++)
            if (memcmp(r->some[s] + i * V, r->logits[s] + p->pos[i] * V, (size_t)V * sizeof(float))) return false;
        if (p->pooled[s] &&
            memcmp(r->pooled[s], r->hidden[s] + p->beg * D, (size_t)((p->end - p->beg) * D) * sizeof(float)))
            return false;
    }
    return true;
}

static int count_same(cad_context_t *ctx, cad_pass_t *pass, answer_t *r)
{
    const cad_model_t *m = ctx->model;
    int same = 0;
    for (int trial = 0; trial < 12; trial++) {
        int n = 1 + trial % PASSES, first = (int)tap_draw(PASSES + 1 - n);
        bool good = true;
        for (int k = first; k < first + n; k++) ask_some(&pass[k], &r[k]);
        good = cad_run(ctx, pass + first, n, (int)m->cfg.n_layer, NULL) == 0;
        for (int k = first; k < first + n; k++) good &= same_rows(&pass[k], &r[k], m->cfg.d_model, m->vocab.rows);
        same += good;
    }
    return same;
}

static void test_wanted(const char *srcdir, const char *name)
{
    static const int64_t len[PASSES] = { 700, 1, 127, 300, LONGEST, 40, 513 };
    answer_t *r = calloc(PASSES, sizeof *r);
    cad_pass_t pass[PASSES];
    char path[4096];
    cad_options_t o;
    cad_model_t *m;
    int same = 0;
    cad_options_init(&o);
    o.max_len = LONGEST;
    snprintf(path, sizeof path, "%s/test/data/%s", srcdir ? srcdir : ".", name);
    cad_model_open(&m, path, NULL);
    for (int k = 0; k < PASSES; k++) ask_all(m, &pass[k], &r[k], len[k]);
    for (int i = 0; i < 2; i++) {
        cad_context_t *ctx;
        o.threads = i ? 3 : 1;
        cad_context_open(&ctx, m, &o, NULL);
        if (i == 0) cad_run(ctx, pass, PASSES, (int)m->cfg.n_layer, NULL);
        same += count_same(ctx, pass, r);
        cad_context_close(ctx);
    }
    tap_ok(same == 24, "%s: rows asked for alone are the same bits as among all", name);
    cad_model_close(m);
    free(r);
}

int main(void)
{
    static const char *const wanted[] = { "ps",      "ph",     "ph-untied",    "ps-causal", "ps-odd-depth",
                                          "ps-bias", "ps-ssm", "ps-layernorm", "plant" };
    const char *srcdir = getenv("srcdir");
    char path[4096];
    cad_options_t o;
    cad_model_t *m;
    cad_context_t *ctx;
    cad_error_t err;
    cad_options_init(&o);
    o.threads = 2;
    o.max_len = 512;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) test_wanted(srcdir, wanted[i]);
    test_classify(srcdir, "cls-ps");
    test_classify(srcdir, "cls-ph");
    test_head_kept(srcdir);
    test_attention_pooling();
    test_last_context();
    test_layers();
    snprintf(path, sizeof path, "%s/test/data/ps", srcdir ? srcdir : ".");
    if (!tap_ok(cad_model_open(&m, path, &err) == 0 && cad_context_open(&ctx, m, &o, &err) == 0,
                "a model and a context open"))
        return 1;
    test_tokens(m);
    test_scores(ctx, m);
    test_reasons(m);
    test_configuration(m);
    cad_context_close(ctx);
    o.device = "cuda";
    setenv("CADUCEUS_CUDA_MODULE", "", 1);
    tap_ok(cad_context_open(&ctx, m, &o, &err) == CAD_EDEVICE && !ctx, "a device without a module is refused");
    o.device = "gpu";
    tap_ok(cad_context_open(&ctx, m, &o, &err) == CAD_EARG && !ctx, "an unknown device is refused");
    cad_model_close(m);
    return tap_finish();
}
