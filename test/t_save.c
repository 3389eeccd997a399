/* t_save.c - tests creating and saving models.
 *
 * SPDX-License-Identifier: MIT
 */
#include <float.h>
#include <dirent.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blocks/mamba.h"
#include "blocks/mamba2.h"
#include "base/base.h"
#include "io/notes.h"
#include "io/regions.h"
#include "model/config.h"
#include "model/model.h"
#include "model/archive.h"
#include "model/tensors.h"
#include "model/vocabulary.h"
#include "stream/pipeline.h"
#include "base/random.h"
#include "tap.h"

static char scratch[4000];

static void empty(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char name[4352];
    while (d && (e = readdir(d))) {
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) unlink(name);
    }
    if (d) closedir(d);
    rmdir(path);
}

static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = -2;
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

static bool file_put(const char *dir, const char *name, const char *text)
{
    char path[4352];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    if (!f) return false;
    fputs(text, f);
    return fclose(f) == 0;
}

/* ---- random numbers ---- */

static void test_random(void)
{
    double sum = 0, squares = 0, mean = 0, fourth = 0;
    int below[10] = { 0 }, n = 200000, worst = 0;
    for (int i = 0; i < n; i++) {
        double u = cad_unit(cad_random(1, 2, 3, (uint64_t)i)), z = cad_normal(cad_random((uint64_t)i, 5, 6, 7));
        mean += u / n;
        sum += z / n;
        squares += z * z / n;
        fourth += z * z * z * z / n;
        below[cad_below(cad_random(9, (uint64_t)i, 1, 1), 10)]++;
    }
    for (int k = 0; k < 10; k++) worst = (int)cad_max(worst, labs(below[k] - n / 10));
    tap_ok(fabs(mean - 0.5) < 0.003, "uniform numbers have mean 1/2");
    tap_ok(fabs(sum) < 0.01 && fabs(squares - 1) < 0.015 && fabs(fourth - 3) < 0.12,
           "normal ones have the moments they should");
    tap_ok(worst < 700, "whole numbers below 10 are equally frequent");
    tap_ok(cad_random(0, 0, 0, 0) != cad_random(0, 0, 0, 1) && cad_random(0, 0, 1, 0) != cad_random(0, 1, 0, 0) &&
               cad_random(1, 0, 0, 0) != cad_random(0, 1, 0, 0),
           "each argument counts, in its place");
    tap_ok(cad_random(1, 2, 3, 4) == 0x2944ecb97de769b2u, "the numbers are those of earlier versions");
}

/* ---- saving ---- */

static bool same_mamba(const cad_mamba_t *a, const cad_mamba_t *b)
{
    return a->N == b->N && a->K == b->K && a->E == b->E && a->R == b->R && a->conv_bias == b->conv_bias &&
           a->bias == b->bias && a->dt_min == b->dt_min && a->dt_max == b->dt_max && a->dt_scale == b->dt_scale &&
           a->dt_init_floor == b->dt_init_floor && a->dt_constant == b->dt_constant;
}

static bool same_mamba2(const cad_mamba2_t *a, const cad_mamba2_t *b)
{
    return a->I == b->I && a->N == b->N && a->K == b->K && a->P == b->P && a->G == b->G &&
           a->conv_bias == b->conv_bias && a->bias == b->bias && a->dt_min == b->dt_min && a->dt_max == b->dt_max &&
           a->dt_init_floor == b->dt_init_floor && !memcmp(a->a_init, b->a_init, sizeof a->a_init);
}

static bool same_shape(const cad_config_t *a, const cad_config_t *b)
{
    if (a->kind[0] != b->kind[0]) return false;
    return a->kind[0] == CAD_KIND_mamba2 ? same_mamba2(cad_mamba2(a), cad_mamba2(b))
                                         : same_mamba(cad_mamba(a), cad_mamba(b));
}

static bool same_config(const cad_config_t *a, const cad_config_t *b)
{
    return a->d_model == b->d_model && a->n_layer == b->n_layer && same_shape(a, b) &&
           fabs(a->norm_epsilon / b->norm_epsilon - 1) < 1e-14 && a->rms_norm == b->rms_norm &&
           a->fused_add_norm == b->fused_add_norm && a->bidirectional == b->bidirectional &&
           a->multiply == b->multiply && a->tied == b->tied && a->rcps == b->rcps && a->classifier == b->classifier &&
           a->max_len == b->max_len && a->init_range == b->init_range && a->init_rescale == b->init_rescale &&
           a->init_residuals == b->init_residuals;
}

static bool same_vocab(const cad_vocab_t *a, const cad_vocab_t *b)
{
    return a->rows == b->rows && !memcmp(a->base, b->base, sizeof a->base) && a->mask == b->mask && a->pad == b->pad &&
           a->sep == b->sep && a->unk == b->unk && a->n == b->n && !memcmp(a->comp, b->comp, (size_t)a->rows) &&
           !memcmp(a->letter, b->letter, 256) && !memcmp(a->letter_n, b->letter_n, 256) &&
           !strcmp(a->source, b->source);
}

static bool same_model(const cad_model_t *a, const cad_model_t *b)
{
    return same_config(&a->cfg, &b->cfg) && same_vocab(&a->vocab, &b->vocab) && a->labels == b->labels &&
           a->total == b->total && a->nparam == b->nparam &&
           !memcmp(a->param, b->param, (size_t)a->total * sizeof(float)) && !strcmp(a->status, b->status) &&
           !memcmp(a->embed_in, b->embed_in, (size_t)(a->vocab.rows * a->cfg.d_model) * sizeof(float));
}

static bool round_trip(const cad_model_t *m, const char *dir, cad_error_t *err)
{
    cad_model_t *back = NULL;
    bool good = cad_model_save(m, dir, NULL, err) == 0 && cad_model_open(&back, dir, err) == 0;
    if (good && !same_model(m, back)) good = cad_fail(err, CAD_EFORMAT, "they differ") == 0;
    cad_model_close(back);
    return good;
}

static void test_round_trip(const char *path, const char *name)
{
    cad_model_t *m = NULL;
    char out[4352];
    cad_error_t err = { "" };
    snprintf(out, sizeof out, "%s/%s", scratch, name);
    tap_ok(cad_model_open(&m, path, &err) == 0 && round_trip(m, out, &err) && round_trip(m, out, &err),
           "%s is saved, and over itself, bit for bit: %s", name, err.text);
    tap_ok(entries(out) == 3, "%s leaves three files", name);
    cad_model_close(m);
    empty(out);
}

static void test_folder(const char *folder)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    char path[4352];
    while (d && (e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%s/config.json", folder, e->d_name);
        if (access(path, R_OK)) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        test_round_trip(path, e->d_name);
    }
    if (d) closedir(d);
    else tap_skip(folder, "not present");
}

/* ---- creating ---- */

static const char PS[] =
    "{\"d_model\": 48, \"n_layer\": 3, \"vocab_size\": 12, \"rcps\": true, \"pad_vocab_size_multiple\": 8,"
    " \"ssm_cfg\": {\"dt_min\": 0.002, \"dt_max\": 0.05}}";
static const char OTHER[] =
    "{\"d_model\": 20, \"n_layer\": 2, \"vocab_size\": 12, \"rms_norm\": false, \"bidirectional_weight_tie\": false,"
    " \"bidirectional_strategy\": \"ew_multiply\", \"norm_epsilon\": 1e-6, \"ssm_cfg\": {\"bias\": true, \"dt_init\": \"constant\","
    " \"dt_rank\": 4, \"dt_scale\": 2, \"d_state\": 3, \"expand\": 3, \"d_conv\": 2},"
    " \"initializer_cfg\": {\"initializer_range\": 0.5, \"rescale_prenorm_residual\": false}}";
static const char PLANT[] = "{\"d_model\": 16, \"n_layer\": 1, \"vocab_size\": 7, \"rcps\": true, \"complement_map\":"
                            " {\"0\": 0, \"1\": 1, \"2\": 2, \"3\": 6, \"4\": 5, \"5\": 4, \"6\": 3}}";

typedef struct {
    double least, most, mean, spread;
    int64_t n;
} moments_t;

/* Returns the moments of the values of all tensors that have the role `role`. */
static moments_t moments(const cad_model_t *m, int role)
{
    moments_t s = { INFINITY, -INFINITY, 0, 0, 0 };
    for (int i = 0; i < m->ntensor; i++)
        for (int64_t k = 0; m->tensor[i].role == role && k < m->tensor[i].count; k++) {
            double x = (double)m->param[m->tensor[i].offset + k];
            s.least = fmin(s.least, x);
            s.most = fmax(s.most, x);
            s.mean += x;
            s.spread += x * x;
            s.n++;
        }
    s.mean /= (double)s.n;
    s.spread = sqrt(s.spread / (double)s.n - s.mean * s.mean);
    return s;
}

static bool uniform_in(moments_t s, double bound)
{
    double slack = bound * 6 / sqrt((double)s.n);
    return s.least >= -bound * 1.0000001 && s.most <= bound * 1.0000001 && fabs(s.mean) < slack &&
           fabs(s.spread - bound / sqrt(3)) < slack;
}

static bool constant(moments_t s, double x) { return s.n && s.least == x && s.most == x; }

static bool steps_in(const cad_model_t *m, double lo, double hi)
{
    moments_t s = moments(m, CAD_MAMBA_DT_BIAS);
    double least = log1p(exp(s.least)), most = log1p(exp(s.most));
    return least >= lo * 0.99999 && least < lo * 1.1 && most <= hi * 1.00001 && most > hi * 0.9;
}

static void test_initial(const cad_model_t *m)
{
    moments_t e = moments(m, CAD_T_EMBED), a = moments(m, CAD_MAMBA_A_LOG);
    double D = 48, E = 96, R = 3, K = 4;
    tap_ok(cad_model_number(m, CAD_VOCAB) == 16 && cad_model_number(m, CAD_MAX_LEN) == 1024 && m->vocab.base[0] == 7,
           "a vocabulary of 12 has 16 rows");
    tap_ok(fabs(e.mean) < 0.004 && fabs(e.spread - 0.02) < 0.003 && e.most < 0.1,
           "embedding N(0, 0.02^2), padding rows too");
    tap_ok(uniform_in(moments(m, CAD_MAMBA_IN), pow(D, -0.5)) && uniform_in(moments(m, CAD_MAMBA_X), pow(E, -0.5)),
           "projections U(1/sqrt(fan in))");
    tap_ok(uniform_in(moments(m, CAD_MAMBA_OUT), pow(E * 3, -0.5)), "out_proj the same over sqrt(n_layer)");
    tap_ok(uniform_in(moments(m, CAD_MAMBA_CONV), pow(K, -0.5)) &&
               uniform_in(moments(m, CAD_MAMBA_CONV_BIAS), pow(K, -0.5)),
           "convolution U(1/sqrt(K))");
    tap_ok(uniform_in(moments(m, CAD_MAMBA_DT), pow(R, -0.5)), "dt_proj U(1/sqrt(R))");
    tap_ok(steps_in(m, 0.002, 0.05), "step sizes fill dt_min to dt_max");
    tap_ok(a.least == 0 && fabs(a.most - log(16)) < 1e-6 &&
               fabs(exp((double)cad_param(&m->layer[1].dir[1], CAD_MAMBA_A_LOG)[16 * 5 + 6]) - 7) < 1e-5,
           "A_log is log(1 to N) in every row");
    tap_ok(constant(moments(m, CAD_MAMBA_SKIP), 1) && constant(moments(m, CAD_T_NORM), 1) &&
               constant(moments(m, CAD_T_NORM_F), 1),
           "D and norms are 1");
}

static void test_other(void)
{
    cad_model_t *m;
    moments_t e;
    cad_error_t err = { "" };
    if (!tap_ok(cad_model_create(&m, OTHER, 50, 7, &err) == 0, "a model with every other switch: %s", err.text)) return;
    e = moments(m, CAD_T_EMBED);
    tap_ok(constant(moments(m, CAD_MAMBA_DT), 1) && fabs(e.spread - 0.5) < 0.1, "constant dt_proj, initializer_range");
    tap_ok(constant(moments(m, CAD_MAMBA_IN_BIAS), 0) && constant(moments(m, CAD_MAMBA_OUT_BIAS), 0) &&
               constant(moments(m, CAD_T_NORM_BIAS), 0),
           "biases of projections and norms are 0");
    tap_ok(uniform_in(moments(m, CAD_MAMBA_OUT), pow(60, -0.5)), "out_proj without rescaling");
    tap_ok(round_trip(m, scratch, &err), "it is saved: %s", err.text);
    cad_model_close(m);
}

static void test_seeds(const cad_model_t *m)
{
    cad_model_t *again, *other;
    int64_t same = 0, drawn = 0;
    cad_model_create(&again, PS, 1024, 1, NULL);
    cad_model_create(&other, PS, 1024, 2, NULL);
    tap_ok(same_model(m, again), "the same seed gives the same model");
    for (int i = 0; i < m->ntensor; i++) {
        int r = m->tensor[i].role;
        if (r == CAD_MAMBA_A_LOG || r == CAD_MAMBA_SKIP || r == CAD_T_NORM || r == CAD_T_NORM_F) continue;
        drawn++;
        same += !memcmp(m->param + m->tensor[i].offset, other->param + m->tensor[i].offset, 32);
    }
    tap_ok(drawn == 37 && same == 0, "another seed gives other numbers in every tensor");
    cad_model_close(again);
    cad_model_close(other);
}

/* Tests that a layer's initial values, in the published layout, do not depend on whether the layer is folded. */
static void test_published(void)
{
    cad_model_t *m[2];
    const cad_tensor_t *t;
    float a[2][96 * 48];
    for (int k = 0; k < 2; k++) {
        char text[256];
        int i = 0;
        snprintf(text, sizeof text, "{\"d_model\": 48, \"n_layer\": %d, \"vocab_size\": 12, \"rcps\": true}", 3 + k);
        cad_model_create(&m[k], text, 1024, 1, NULL);
        while (strcmp(m[k]->tensor[i].name, "backbone.layers.1.mixer.submodule.mamba_fwd.in_proj.weight")) i++;
        t = &m[k]->tensor[i];
        memcpy(a[k], m[k]->param + t->offset, sizeof a[k]);
        tap_ok((t->flip_axis >= 0) == !k, "layer 1 is folded in %s", k ? "neither" : "the shallower model alone");
        cad_tensor_flip(t, a[k]);
        cad_model_close(m[k]);
    }
    tap_ok(!memcmp(a[0], a[1], 48 * sizeof(float)), "in the published layout its numbers are the same");
}

static void test_refresh(cad_model_t *m)
{
    float before = m->embed_in[7 * 48 + 3], *at = m->param + (10 * 48 + 44), old = *at;
    *at = 5;
    cad_model_refresh(m);
    tap_ok(m->embed_in[7 * 48 + 3] == 5 && before == old,
           "the input table of an odd depth follows the embedding's, turned");
    *at = old;
    cad_model_refresh(m);
}

static void test_classifier(const cad_model_t *m)
{
    cad_model_t *c, *d;
    moments_t s;
    cad_error_t err = { "" };
    if (!tap_ok(cad_model_classifier(&c, m, 300, 1, &err) == 0, "a classifier on a language model: %s", err.text))
        return;
    s = moments(c, CAD_T_SCORE);
    tap_ok(cad_model_number(c, CAD_LABELS) == 300 && fabs(s.mean) < 0.001 && fabs(s.spread - 0.02) < 0.001,
           "its score is N(0, 0.02^2)");
    tap_ok(c->ntensor == m->ntensor + 1 && !memcmp(c->param, m->param, (size_t)m->total * sizeof(float)) &&
               !memcmp(c->embed_in, m->embed_in, 16 * 48 * sizeof(float)),
           "its encoder is a copy");
    empty(scratch);
    tap_ok(round_trip(c, scratch, &err), "it is saved: %s", err.text);
    tap_ok(cad_model_classifier(&d, c, 1, 2, &err) == 0 && cad_model_number(d, CAD_LABELS) == 1 &&
               round_trip(d, scratch, &err),
           "and another on that one, over it: %s", err.text);
    cad_model_close(c);
    cad_model_close(d);
    tap_ok(cad_model_classifier(&c, m, 0, 1, &err) == CAD_EARG && !c &&
               cad_model_classifier(&c, m, (1 << 20) + 1, 1, &err) == CAD_EARG,
           "no label, or too many, are refused");
}

static void test_refusals(void)
{
    static const struct {
        const char *config, *what;
    } bad[] = {
        { "{\"d_model\": 8", "config.json:" },
        { "[]", "not a JSON object" },
        { "{\"d_model\": 8, \"n_layer\": 1}", "\"vocab_size\" is required" },
        { "{\"d_model\": 8, \"n_layer\": 1, \"vocab_size\": 12, \"ssm_cfg\": {\"dt_min\": 1, \"dt_max\": 0.1}}",
          "\"dt_max\" is below dt_min" },
        { "{\"d_model\": 8, \"n_layer\": 1, \"vocab_size\": 12, \"ssm_cfg\": {\"dt_min\": 0}}",
          "\"dt_min\" is not a number from" },
        { "{\"d_model\": 8, \"n_layer\": 1, \"vocab_size\": 12, \"ssm_cfg\": {\"dt_init\": \"?\"}}",
          "\"dt_init\" is neither" },
        { "{\"d_model\": 8, \"n_layer\": 1, \"vocab_size\": 250, \"pad_vocab_size_multiple\": 100}",
          "above 256 tokens" },
        { "{\"d_model\": 8, \"n_layer\": 1, \"vocab_size\": 7, \"pad_vocab_size_multiple\": 1}",
          "config.json: the vocabulary has no token A" },
        { "{\"d_model\": 8, \"n_layer\": 1, \"vocab_size\": 12, \"complement_map\": {\"7\": 9, \"9\": 7}}",
          "config.json: complement_map does not" },
    };
    cad_model_t *m;
    cad_error_t err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = 0;
        tap_ok(cad_model_create(&m, bad[i].config, 100, 1, &err) == CAD_EFORMAT && !m && strstr(err.text, bad[i].what),
               "refused: %s", err.text);
    }
    tap_ok(cad_model_create(&m, PS, 0, 1, &err) == CAD_EARG &&
               cad_model_create(&m, PS, (1 << 20) + 1, 1, &err) == CAD_EARG,
           "refused: %s", err.text);
}

/* ---- failures of saving, and the files that remain ---- */

static void test_save_refusals(cad_model_t *m)
{
    char dir[4352], deep[4400];
    cad_error_t err = { "" };
    cad_save_t how;
    float *at = m->param + m->tensor[4].offset, old = *at;
    snprintf(dir, sizeof dir, "%s/new", scratch);
    snprintf(deep, sizeof deep, "%s/a/b", dir);
    mkdir(scratch, 0700);
    *at = NAN;
    tap_ok(cad_model_save(m, dir, NULL, &err) == CAD_EARG && strstr(err.text, "holds NaN") && access(dir, F_OK),
           "NaN is not saved: %s", err.text);
    *at = old;
    cad_save_init(&how);
    how.dtype = "BF16";
    *at = FLT_MAX; /* rounds to infinity */
    tap_ok(cad_model_export(m, dir, &how, &err) == CAD_EARG && strstr(err.text, "too large for BF16"),
           "a number above those of BF16 is not saved: %s", err.text);
    *at = old;
    tap_ok(cad_model_save(m, dir, "\xff", &err) == CAD_EARG && access(dir, F_OK),
           "a status that is not UTF-8 is refused: %s", err.text);
    tap_ok(cad_model_save(m, deep, NULL, &err) == CAD_EIO && strstr(err.text, "No such file"),
           "a folder in no folder is refused: %s", err.text);
    tap_ok(mkdir(dir, 0700) == 0 && file_put(dir, "vocab.txt", "a\n"), "a folder with a tokenizer");
    tap_ok(cad_model_save(m, dir, NULL, &err) == CAD_EARG && strstr(err.text, "vocab.txt: belongs to another model") &&
               entries(dir) == 1,
           "is refused: %s", err.text);
    empty(dir);
    tap_ok(file_put(scratch, "new", "") && cad_model_save(m, dir, NULL, &err) == CAD_EIO &&
               strstr(err.text, "not a folder"),
           "a file in the folder's place is refused: %s", err.text);
    unlink(dir);
}

static void test_status(const cad_model_t *m)
{
    cad_model_t *back = NULL, *again = NULL;
    char text[400];
    cad_error_t err = { "" };
    memset(text, 'x', sizeof text);
    strcpy(text + 253, "\xe2\x82\xac and more \"than\" fits");
    tap_ok(cad_model_save(m, scratch, text, &err) == 0 && cad_model_open(&back, scratch, &err) == 0 &&
               strlen(back->status) == 253,
           "a long status is cut between characters: %s", err.text);
    tap_ok(cad_model_save(back, scratch, NULL, &err) == 0 && cad_model_open(&again, scratch, &err) == 0 &&
               !strcmp(again->status, back->status),
           "it stays where none is given");
    cad_model_close(again);
    tap_ok(cad_model_save(back, scratch, "", &err) == 0 && cad_model_open(&again, scratch, &err) == 0 &&
               !again->status[0],
           "and goes where an empty one is");
    cad_model_close(again);
    cad_model_close(back);
}

/* ---- tokenizers ---- */

static void test_tokenizer(const char *srcdir, const char *name, const char *text)
{
    char path[4352], from[4352], to[4352];
    cad_model_t *m = NULL, *p = NULL;
    cad_error_t err = { "" };
    snprintf(path, sizeof path, "%s/test/data/plant", srcdir);
    snprintf(from, sizeof from, "%s/from", scratch);
    snprintf(to, sizeof to, "%s/to", scratch);
    tap_ok(cad_model_open(&p, path, &err) == 0 && cad_model_save(p, from, NULL, &err) == 0 &&
               file_put(from, name, text) && cad_model_open(&m, from, &err) == 0,
           "a model with %s: %s", name, err.text);
    tap_ok(m && !strcmp(m->vocab.source, name) && round_trip(m, to, &err) && round_trip(m, from, &err) &&
               entries(to) == 4,
           "is saved with it: %s", err.text);
    if (m) {
        cad_model_t *c = NULL;
        empty(to);
        tap_ok(cad_model_classifier(&c, m, 2, 1, &err) == 0 && round_trip(c, to, &err) && entries(to) == 4,
               "and so is a classifier on it: %s", err.text);
        cad_model_close(c);
    }
    cad_model_close(m);
    cad_model_close(p);
    empty(from);
    empty(to);
}

/* ---- the writer ---- */

static void test_writer(void)
{
    static const float x[3] = { 1.5f, -0.0f, 3e-45f };
    static const int64_t y[2] = { -2, INT64_MAX };
    cad_array_t array[] = { { "b", CAD_I64, 1, { 2, 0, 0 }, y }, { "a\"", CAD_F32, 2, { 3, 1, 0 }, x } };
    cad_meta_t meta[] = { { "note", "{\"step\": 5}\n" }, { "none", NULL } };
    char path[4352], link[4352];
    cad_archive_t st = { 0 };
    float f[3];
    int64_t n[2];
    struct stat sb;
    cad_error_t err = { "" };
    snprintf(path, sizeof path, "%s/w", scratch);
    snprintf(link, sizeof link, "%s/link", scratch);
    mkdir(scratch, 0700);
    tap_ok(cad_safetensors_write(path, array, 2, meta, 2, &err) == 0 && cad_archive_open(&st, path, &err) == 0,
           "a file of two tensors: %s", err.text);
    tap_ok(cad_archive_f32(&st, cad_archive_find(&st, "a\""), f, &err) == 0 && !memcmp(f, x, sizeof f),
           "float32 as they were, to the bit");
    tap_ok(cad_archive_i64(&st, cad_archive_find(&st, "b"), n, &err) == 0 && !memcmp(n, y, sizeof n), "and int64");
    tap_ok(!strcmp(cad_archive_meta(&st, "note"), "{\"step\": 5}\n") &&
               !strcmp(cad_archive_meta(&st, "format"), "pt") && !cad_archive_meta(&st, "none"),
           "metadata by key");
    cad_archive_close(&st);
    chmod(path, 0604);
    tap_ok(symlink("w", link) == 0 && cad_safetensors_write(link, array, 1, meta, 0, &err) == 0 &&
               lstat(link, &sb) == 0 && S_ISLNK(sb.st_mode) && stat(path, &sb) == 0 && (sb.st_mode & 0777) == 0604 &&
               sb.st_size < 150,
           "a link's target is replaced and keeps its mode: %s", err.text);
    unlink(path);
    unlink(link);
    tap_ok(cad_safetensors_write(scratch, array, 2, meta, 2, &err) == CAD_EIO, "a folder in its place is refused: %s",
           err.text);
    tap_ok(entries(scratch) == 0, "nothing else is left");
}

int main(void)
{
    const char *srcdir = getenv("srcdir") ? getenv("srcdir") : ".", *shared = getenv("CADUCEUS_SHARED");
    char path[4352];
    cad_model_t *m;
    cad_error_t err = { "" };
    snprintf(scratch, sizeof scratch, "%s/caduceus-test.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(scratch)) return 1;
    test_random();
    test_writer();
    snprintf(path, sizeof path, "%s/test/data", srcdir);
    test_folder(path);
    snprintf(path, sizeof path, shared ? "%s/golden" : "%s/../shared/golden", shared ? shared : srcdir);
    test_folder(path);
    if (!tap_ok(cad_model_create(&m, PS, 1024, 1, &err) == 0, "a model is made: %s", err.text)) return 1;
    test_initial(m);
    test_seeds(m);
    test_refresh(m);
    tap_ok(round_trip(m, scratch, &err), "it is saved: %s", err.text);
    test_classifier(m);
    test_status(m);
    empty(scratch);
    test_save_refusals(m);
    cad_model_close(m);
    test_published();
    test_other();
    tap_ok(cad_model_create(&m, PLANT, 512, 1, &err) == 0 && !strcmp(cad_model_text(m, CAD_TEXT_VOCABULARY), "plant") &&
               round_trip(m, scratch, &err),
           "a plant vocabulary by its complement_map: %s", err.text);
    cad_model_close(m);
    empty(scratch);
    mkdir(scratch, 0700);
    test_refusals();
    test_tokenizer(srcdir, "vocab.txt", "[PAD]\n[MASK]\n[UNK]\na\nc\ng\nt\n");
    test_tokenizer(srcdir, "tokenizer.json",
                   "{\"model\": {\"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"a\": 3, \"c\": 4, \"g\": 5, \"t\": 6}}}");
    empty(scratch);
    return tap_finish();
}
