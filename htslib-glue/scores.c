/* scores.c - the scores a region can have. SPDX-License-Identifier: MIT */
#include "glue.h"

static const char *const NAME[SCORES] = { "pll", "n", "entropy", "ic" };

int scores_parse(score_list_t *l, const char *text, cad_error_t *err)
{
    const char *s = text;
    l->n = 0;
    if (!strcmp(text, "none")) return 0;
    for (;;) {
        size_t n = strcspn(s, ",");
        int k = 0;
        while (k < SCORES && (strlen(NAME[k]) != n || strncmp(s, NAME[k], n))) k++;
        for (int i = 0; i < l->n && k < SCORES; i++)
            if (l->kind[i] == (score_t)k) return cad_fail(err, CAD_EARG, "--score %.60s: %s twice", text, NAME[k]);
        if (k == SCORES) return cad_fail(err, CAD_EARG, "--score %.60s: expected some of pll, n, entropy, ic, or none", text);
        l->kind[l->n++] = (score_t)k;
        if (!s[n]) return 0;
        s += n + 1;
    }
}

void scores_names(const score_list_t *l, const char *separator, const char *suffix, text_t *t)
{
    for (int i = 0; i < l->n; i++)
        text_printf(t, "%s%s%s", i ? separator : "", NAME[l->kind[i]], l->kind[i] == SCORE_N ? "" : suffix);
}

void score_put(score_t kind, const score_sums_t *s, text_t *t)
{
    double n = (double)s->n; /* 0/0 is NaN, written "." */
    switch (kind) {
    case SCORE_PLL: text_number(t, s->pll / n); break;
    case SCORE_ENTROPY: text_number(t, s->entropy / n); break;
    case SCORE_IC: text_number(t, 2 - s->entropy / n); break;
    default: text_printf(t, "%lld", (long long)s->n);
    }
}
