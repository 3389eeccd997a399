/* expected.c - compares a model with the expected tensors of a safetensors file.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "base/random.h"
#include "measure/measure.h"
#include "model/model.h"
#include "model/archive.h"

#define IGNORED -100 /* label of a position that is not scored; [PAD] means the same */

struct cad_expected_t {
    const cad_model_t *m;
    const char *path; /* owned by the caller; NULL: random sequences, no tensors */
    cad_archive_t st;
    int64_t B, L;
    uint8_t *tok, *tok_rc, *labels; // (B,L): B sequences of L tokens; tok_rc and labels are NULL if not given
    float loss;
    cad_verdict_f *report;
    void *arg;
};

void cad_random_bases(const cad_model_t *m, uint64_t seed, int64_t n, uint8_t *tokens)
{
    for (int64_t i = 0; i < n; i++) tokens[i] = (uint8_t)m->vocab.base[cad_random(seed, 0, 0, (uint64_t)i) & 3];
}

/* ---- opening ---- */

/* Returns the label of positions that are not scored: [PAD], or its published id 4 if the vocabulary has no [PAD]. */
static uint8_t unscored(const cad_model_t *m) { return m->vocab.pad < 0 ? 4 : (uint8_t)m->vocab.pad; }

static int read_ids(cad_expected_t *e, const char *name, uint8_t **out, cad_error_t *err)
{
    const cad_archive_t *st = &e->st;
    const cad_stored_t *t = cad_archive_find(st, name);
    int64_t *id, V = e->m->vocab.rows;
    int rc;
    if (!t) return 0;
    if (t->ndim != 2 || (e->B && (t->shape[0] != e->B || t->shape[1] != e->L)))
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s is not of shape (B,L)", st->file[0].path, name);
    e->B = t->shape[0];
    e->L = t->shape[1];
    id = cad_alloc((size_t)t->count, sizeof *id);
    *out = cad_alloc((size_t)t->count, 1);
    rc = id && *out ? cad_archive_i64(st, t, id, err) : cad_out_of_memory(err);
    for (int64_t i = 0; rc == 0 && i < t->count; i++) {
        if (id[i] == IGNORED && out == &e->labels) (*out)[i] = unscored(e->m);
        else if (id[i] < 0 || id[i] >= V)
            rc = cad_fail(err, CAD_EFORMAT, "%s: token %lld in %s; the model has %lld", st->file[0].path,
                          (long long)id[i], name, (long long)V);
        else (*out)[i] = (uint8_t)id[i];
    }
    free(id);
    return rc;
}

static int read_loss(cad_expected_t *e, cad_error_t *err)
{
    const cad_stored_t *s = cad_archive_find(&e->st, "loss");
    int rc;
    if (!cad_archive_find(&e->st, "labels")) return 0;
    rc = s && s->count == 1 ? read_ids(e, "labels", &e->labels, err)
                            : cad_fail(err, CAD_EFORMAT, "%s: labels without a loss", e->st.file[0].path);
    return rc ? rc : cad_archive_f32(&e->st, s, &e->loss, err);
}

static int read_file(cad_expected_t *e, const char *path, cad_error_t *err)
{
    int rc = cad_archive_open(&e->st, path, err);
    if (rc == 0) rc = read_ids(e, "input_ids", &e->tok, err);
    if (rc == 0) rc = read_ids(e, "input_ids_rc", &e->tok_rc, err);
    if (rc == 0 && !e->tok) rc = cad_fail(err, CAD_EFORMAT, "%s: has no input_ids", path);
    return rc ? rc : read_loss(e, err);
}

static int draw_sequences(cad_expected_t *e, cad_error_t *err)
{
    e->B = 2;
    e->L = 600;
    e->tok = cad_alloc((size_t)(e->B * e->L), 1);
    if (!e->tok) return cad_out_of_memory(err);
    cad_random_bases(e->m, 42, e->B * e->L, e->tok);
    return 0;
}

int cad_expected_open(cad_expected_t **out, const cad_model_t *m, const char *path, cad_verdict_f *report, void *arg,
                      cad_error_t *err)
{
    cad_expected_t *e = calloc(1, sizeof *e);
    int rc;
    *out = NULL;
    if (!e) return cad_out_of_memory(err);
    e->m = m;
    e->path = path;
    e->report = report;
    e->arg = arg;
    rc = path ? read_file(e, path, err) : draw_sequences(e, err);
    if (rc) cad_expected_close(e);
    else *out = e;
    return rc;
}

void cad_expected_close(cad_expected_t *e)
{
    if (!e) return;
    cad_archive_close(&e->st);
    free(e->tok);
    free(e->tok_rc);
    free(e->labels);
    free(e);
}

int64_t cad_expected_len(const cad_expected_t *e) { return e->L; }

bool cad_expected_trains(const cad_expected_t *e) { return e->labels != NULL; }

/* Allocates two arrays of s->count floats: got, for computed values, and want, read from the file. */
static int read_pair(const cad_expected_t *e, const cad_stored_t *s, float **got, float **want, cad_error_t *err)
{
    *got = cad_alloc((size_t)s->count, sizeof **got);
    *want = cad_alloc((size_t)s->count, sizeof **want);
    return *got && *want ? cad_archive_f32(&e->st, s, *want, err) : cad_out_of_memory(err);
}

/* ---- the forward pass ---- */

typedef enum { HIDDEN, LOGITS, CLASSES } output_t;

static int compute(const cad_expected_t *e, cad_context_t *ctx, output_t what, int64_t b, float *out, cad_error_t *err)
{
    const uint8_t *tok = e->tok + b * e->L, *rc = e->tok_rc ? e->tok_rc + b * e->L : NULL;
    switch (what) {
    case HIDDEN: return cad_forward(ctx, tok, e->L, out, NULL, err);
    case LOGITS: return cad_forward(ctx, tok, e->L, NULL, out, err);
    default: return cad_classify(ctx, tok, rc, e->L, out, err);
    }
}

/* Compares one output of the model with the expected tensor and adds 1 to *compared. Does nothing if the file lacks the
 * tensor. */
static int compare(const cad_expected_t *e, cad_context_t *ctx, const char *name, output_t what, int *compared,
                   cad_error_t *err)
{
    static const enum cad_number_t column[] = { CAD_HIDDEN_WIDTH, CAD_VOCAB, CAD_LABELS };
    const cad_stored_t *t = cad_archive_find(&e->st, name);
    int64_t width = cad_model_number(e->m, column[what]), each = (what == CLASSES ? 1 : e->L) * width;
    float *got, *want;
    int rc;
    if (!t) return 0;
    if (t->ndim != (what == CLASSES ? 2 : 3) || t->count != e->B * each || t->shape[0] != e->B ||
        t->shape[t->ndim - 1] != width)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s does not fit the model and input_ids", e->st.file[0].path,
                        name);
    rc = read_pair(e, t, &got, &want, err);
    for (int64_t b = 0; b < e->B && rc == 0; b++) rc = compute(e, ctx, what, b, got + b * each, err);
    if (rc == 0) e->report(e->arg, name, CAD_VERDICT_FORWARD, cad_relative_error(got, want, t->count));
    free(got);
    free(want);
    ++*compared;
    return rc;
}

/* Computes a classifier's logits, or a language model's conjoined logits (L,V), from both strands. tok: tokens of the
 * sequence; rc: tokens of its reverse complement, which only a classifier reads. */
static int both_strands(const cad_expected_t *e, cad_context_t *ctx, const uint8_t *tok, const uint8_t *rc, float *out,
                        cad_error_t *err)
{
    return e->m->labels ? cad_classify(ctx, tok, rc, e->L, out, err) : cad_forward_conjoined(ctx, tok, e->L, out, err);
}

/* Compares the results of sequence b with the results of its reverse complement, reversed and complemented back. Raises
 * *error to their relative error if this is larger. */
static int equivariance(const cad_expected_t *e, cad_context_t *ctx, int64_t b, double *error, cad_error_t *err)
{
    int64_t L = e->L, V = e->m->vocab.rows, labels = e->m->labels, n = labels ? labels : L * V;
    const uint8_t *tok = e->tok + b * L;
    uint8_t *other = cad_alloc((size_t)L, 1);
    float *x = cad_alloc((size_t)n, sizeof *x), *y = cad_alloc((size_t)n, sizeof *y),
          *reversed = cad_alloc((size_t)n, sizeof *reversed);
    int rc = other && x && y && reversed ? 0 : cad_out_of_memory(err);
    if (rc == 0) cad_reverse_complement(e->m, tok, L, other);
    if (rc == 0) rc = both_strands(e, ctx, tok, other, x, err);
    if (rc == 0) rc = both_strands(e, ctx, other, tok, y, err);
    for (int64_t i = 0; rc == 0 && i < n; i++)
        reversed[i] = labels ? y[i] : y[(L - 1 - i / V) * V + e->m->vocab.comp[i % V]];
    if (rc == 0) *error = fmax(*error, cad_relative_error(reversed, x, n));
    free(other);
    free(x);
    free(y);
    free(reversed);
    return rc;
}

int cad_expected_forward(const cad_expected_t *e, cad_context_t *ctx, cad_error_t *err)
{
    double error = 0;
    int compared = 0, rc = compare(e, ctx, "last_hidden_state", HIDDEN, &compared, err);
    if (rc == 0) rc = compare(e, ctx, "logits", LOGITS, &compared, err);
    if (rc == 0) rc = compare(e, ctx, "class_logits", CLASSES, &compared, err);
    if (rc == 0 && e->path && !compared)
        rc = cad_fail(err, CAD_EFORMAT, "%s: holds none of last_hidden_state, logits, class_logits", e->path);
    for (int64_t b = 0; b < e->B && b < 2 && rc == 0; b++) rc = equivariance(e, ctx, b, &error, err);
    if (rc == 0) e->report(e->arg, "rc_equivariance", CAD_VERDICT_FORWARD, error);
    return rc;
}

/* ---- gradients ---- */

/* Sets *loss, which must be 0 on entry, to the mean loss over all scored positions, and adds the gradient of this mean
 * to the trainer's gradient. */
static int add_sequences(const cad_expected_t *e, cad_trainer_t *t, double *loss, cad_error_t *err)
{
    int64_t n = e->B * e->L, scored = 0;
    float *weight = cad_alloc((size_t)n, sizeof *weight);
    int rc = weight ? 0 : cad_out_of_memory(err);
    for (int64_t i = 0; i < n && rc == 0; i++) {
        weight[i] = e->labels[i] != unscored(e->m);
        scored += e->labels[i] != unscored(e->m);
    }
    for (int64_t b = 0; b < e->B && rc == 0; b++) {
        int64_t at = b * e->L;
        cad_example_t x = { .tokens = e->tok + at, .len = e->L, .labels = e->labels + at, .weight = weight + at };
        rc = cad_trainer_add(t, CAD_LOSS_TOKENS, &x, 1, 1 / (double)scored, loss, err);
    }
    *loss /= (double)scored;
    free(weight);
    return rc;
}

/* True if the model has a tensor with this published name and the shape of s. */
static bool has_tensor(const cad_model_t *m, const char *name, const cad_stored_t *s)
{
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        if (!strcmp(name, t->name))
            return s->count == t->count && s->ndim == t->ndim &&
                   !memcmp(s->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
    }
    return false;
}

static int compare_gradient(const cad_expected_t *e, cad_trainer_t *t, const cad_stored_t *s, cad_error_t *err)
{
    const char *name = s->name + (strncmp(s->name, "grad.caduceus.", 14) ? 5 : 14);
    float *got, *want;
    int rc;
    if (!has_tensor(e->m, name, s))
        return cad_fail(err, CAD_EFORMAT, "%s: %s: the model has no such tensor of this shape", e->st.file[0].path,
                        s->name);
    rc = read_pair(e, s, &got, &want, err);
    if (rc == 0 && (rc = cad_trainer_gradient(t, name, got)))
        cad_fail(err, rc, "%s: no gradient: %s", s->name, cad_strerror(rc));
    if (rc == 0) e->report(e->arg, s->name, CAD_VERDICT_GRADIENT, cad_relative_error(got, want, s->count));
    free(got);
    free(want);
    return rc;
}

int cad_expected_gradients(const cad_expected_t *e, cad_trainer_t *t, cad_error_t *err)
{
    double loss = 0, want = (double)e->loss;
    int rc = add_sequences(e, t, &loss, err);
    if (rc == 0) e->report(e->arg, "loss", CAD_VERDICT_LOSS, fabs(loss - want) / fabs(want));
    for (int i = 0; i < e->st.ntensor && rc == 0; i++)
        if (!strncmp(e->st.tensor[i].name, "grad.", 5)) rc = compare_gradient(e, t, &e->st.tensor[i], err);
    return rc;
}
