/* scores.c - the scores a region can have. SPDX-License-Identifier: MIT */
#include "stream/scores.h"

static const char *const NAME[SCORES] = { "pll", "n", "entropy", "ic" };

int list_parse(const char *text, const char *const name[], int names, int *picked, int *n, cad_error_t *err)
{
    const char *s = text;
    text_t all = { 0 };
    int rc = 0;
    *n = 0;
    for (bool more = strcmp(text, "none"); more && rc == 0;) {
        size_t len = strcspn(s, ",");
        int k = 0;
        while (k < names && (strlen(name[k]) != len || strncmp(s, name[k], len))) k++;
        for (int i = 0; i < *n && k < names; i++)
            if (picked[i] == k) rc = cad_fail(err, CAD_EARG, "--score %.60s: %s twice", text, name[k]);
        if (k == names) {
            for (int i = 0; i < names; i++) text_printf(&all, "%s, ", name[i]);
            rc = cad_fail(err, CAD_EARG, "--score %.60s: expected some of %sor none", text, all.s.s ? all.s.s : "");
        } else if (rc == 0) picked[(*n)++] = k;
        more = s[len] != 0;
        s += len + 1;
    }
    text_free(&all);
    return rc;
}

int scores_parse(score_list_t *l, const char *text, cad_error_t *err)
{
    int picked[SCORES], rc = list_parse(text, NAME, SCORES, picked, &l->n, err);
    for (int i = 0; i < l->n; i++) l->kind[i] = (score_t)picked[i];
    return rc;
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
