/* augment.c - changes training sequences at random: moves the window, replaces bases, or draws them from a masked
 * language model. SPDX-License-Identifier: MIT */
#include <math.h>

#include "learn/augment.h"

/* ---- the list ---- */

static int bad_item(const char *item, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EARG, "--augment %.*s: %s", (int)strcspn(item, ","), item, what);
}

/* Parses the number after the colon of an item, which ends at a comma. */
static bool take_value(const char *item, double most, double *v)
{
    size_t n = strcspn(item, ","), colon = strcspn(item, ":");
    char *end;
    if (colon >= n || !strchr("0123456789.", item[colon + 1]) || *v > 0) return false;
    *v = strtod(item + colon + 1, &end);
    return end == item + n && *v > 0 && *v <= most;
}

static int take_item(augment_t *a, const char *item, cad_error_t *err)
{
    size_t n = strcspn(item, ",");
    double shift = (double)a->shift;
    if (n == 2 && !strncmp(item, "rc", 2)) {
        a->rc = true;
        return 0;
    }
    if (!strncmp(item, "shift:", 6)) {
        if (!take_value(item, 1 << 20, &shift) || shift != floor(shift))
            return bad_item(item, "expected shift:N, once, with a whole number N from 1 to 1048576", err);
        a->shift = (int64_t)shift;
        return 0;
    }
    if (!strncmp(item, "mutate:", 7) || !strncmp(item, "mlm:", 4)) {
        double *to = item[1] == 'u' ? &a->mutate : &a->mlm;
        return take_value(item, 1, to) ? 0 : bad_item(item, "expected a probability above 0, up to 1, once", err);
    }
    return bad_item(item, "expected rc, shift:N, mutate:P or mlm:P", err);
}

int augment_parse(augment_t *a, const char *list, cad_error_t *err)
{
    int rc = 0;
    *a = (augment_t) { .rc = false };
    for (const char *s = list; s && rc == 0; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL) rc = take_item(a, s, err);
    return rc;
}

bool augment_any(const augment_t *a) { return a->shift || a->mutate > 0 || a->mlm > 0; }

void augment_text(const augment_t *a, text_t *t)
{
    if (a->shift) text_printf(t, "shift:%lld", (long long)a->shift);
    if (a->mutate > 0) text_printf(t, "%smutate:%.9g", a->shift ? "," : "", a->mutate);
    if (a->mlm > 0) text_printf(t, "%smlm:%.9g", a->shift || a->mutate > 0 ? "," : "", a->mlm);
}

/* ---- one row ---- */

/* Returns the seed of the bits that base i of a row gets from cad_random(seed, epoch, row, i). what: "shift", "mutate"
 * or "mlm". */
static uint64_t seed_of(const augmenter_t *a, const char *what)
{
    return cad_random(a->seed, cad_random_name("augment"), cad_random_name(what), 0);
}

static uint8_t base_token(const augmenter_t *a, int base)
{
    static const enum cad_number_t token[] = { CAD_TOKEN_A, CAD_TOKEN_C, CAD_TOKEN_G, CAD_TOKEN_T };
    return (uint8_t)cad_model_number(a->model, token[base]);
}

/* Returns by how many bases the window moves to the right. Where the bases beyond the row are not known, at least half
 * of the row's bases stay. */
static int64_t move_of(const augmenter_t *a, const example_t *x, int64_t row, int64_t epoch)
{
    int64_t most = x->sides ? cad_min(a->how.shift, x->around) : cad_min(a->how.shift, (x->len - x->padded) / 2);
    uint64_t bits = cad_random(seed_of(a, "shift"), (uint64_t)epoch, (uint64_t)row, 0);
    return (int64_t)cad_below(bits, (uint64_t)(2 * most + 1)) - most;
}

/* Returns the token at position i of the row, which may lie before or after it. */
static uint8_t token_at(const example_t *x, int64_t i, uint8_t pad)
{
    if (i >= 0 && i < x->len) return x->tokens[i];
    if (!x->sides) return pad;
    return i < 0 ? x->sides[x->around + i] : x->sides[x->around + i - x->len];
}

static void shift(const augmenter_t *a, const example_t *x, int64_t row, int64_t epoch, uint8_t *tokens, example_t *y)
{
    int64_t move = a->how.shift ? move_of(a, x, row, epoch) : 0;
    uint8_t pad;
    cad_encode(a->model, "N", 1, 0, &pad);
    for (int64_t i = 0; i < x->len; i++) tokens[i] = token_at(x, i + move, pad);
    if (x->padded) y->padded = cad_min(cad_max(x->padded - move, 0), x->len);
}

static void mutate(const augmenter_t *a, int64_t row, int64_t epoch, uint8_t *tokens, int64_t len)
{
    uint64_t seed = seed_of(a, "mutate");
    for (int64_t i = 0; i < len; i++) {
        int base = cad_token_base(a->model, tokens[i]);
        uint64_t bits = cad_random(seed, (uint64_t)epoch, (uint64_t)row, (uint64_t)i);
        if (base < 0 || cad_unit(bits) >= a->how.mutate) continue;
        tokens[i] = base_token(a, (base + 1 + (int)cad_below(cad_mix(bits + CAD_GOLDEN), 3)) % 4);
    }
}

/* Draws a base from the softmax of the logits (V) over the four bases. */
static uint8_t sample(const augmenter_t *a, const float *logits, uint64_t bits)
{
    double p[4], sum = 0, most = -INFINITY, at = cad_unit(bits);
    int base = 0;
    for (int b = 0; b < 4; b++) most = fmax(most, (double)logits[base_token(a, b)]);
    for (int b = 0; b < 4; b++) sum += p[b] = exp((double)logits[base_token(a, b)] - most);
    for (at *= sum; base < 3 && at >= p[base]; base++) at -= p[base];
    return base_token(a, base);
}

/* Masks bases, all at once, and draws them from what the language model predicts for both strands. */
static int resample(const augmenter_t *a, int64_t row, int64_t epoch, uint8_t *tokens, int64_t len, cad_error_t *err)
{
    uint64_t seed = seed_of(a, "mlm");
    int64_t n = 0;
    int rc;
    for (int64_t i = 0; i < len; i++) {
        uint64_t bits = cad_random(seed, (uint64_t)epoch, (uint64_t)row, (uint64_t)i);
        a->chosen[i] = cad_token_base(a->model, tokens[i]) >= 0 && cad_unit(bits) < a->how.mlm;
        a->masked[i] = a->chosen[i] ? a->mask : tokens[i];
        n += a->chosen[i];
    }
    if (n == 0) return 0;
    rc = cad_forward_conjoined(a->prior, a->masked, len, a->logits, err);
    for (int64_t i = 0; i < len && rc == 0; i++) {
        uint64_t bits = cad_mix(cad_random(seed, (uint64_t)epoch, (uint64_t)row, (uint64_t)i) + CAD_GOLDEN);
        if (a->chosen[i]) tokens[i] = sample(a, a->logits + i * a->vocabulary, bits);
    }
    return rc;
}

int augment_row(const augmenter_t *a, const example_t *x, int64_t row, int64_t epoch, uint8_t *tokens, example_t *y,
                cad_error_t *err)
{
    int rc = 0;
    *y = *x;
    y->tokens = tokens;
    shift(a, x, row, epoch, tokens, y);
    if (a->how.mlm > 0) rc = resample(a, row, epoch, tokens, x->len, err);
    if (a->how.mutate > 0) mutate(a, row, epoch, tokens, x->len);
    return rc;
}
