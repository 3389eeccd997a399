/* scores.c - the table of scores: names, functions that compute values, and output formats.
 * SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>

#include "stream/scores.h"
#include "stream/windows.h"

/* ---- scores of regions and reads: means over n bases, which are NaN (0/0) if n is 0 ---- */

static double mean_pll(const score_sums_t *s) { return s->pll / (double)s->n; }
static double mean_entropy(const score_sums_t *s) { return s->entropy / (double)s->n; }
static double mean_information(const score_sums_t *s) { return 2 - s->entropy / (double)s->n; }
static double perplexity(const score_sums_t *s) { return s->n ? fmin(exp(-mean_pll(s)), FLT_MAX) : (double)NAN; }
static double scored_bases(const score_sums_t *s) { return (double)s->n; }

/* ---- variants ---- */

static double llr(const effect_t *e)
{
    bool snv = e->site && e->ref != NO_BASE && e->alt != NO_BASE;
    return snv ? (double)e->site[e->alt] - (double)e->site[e->ref] : (double)NAN;
}

/* Returns one of the values that the calibration gives for an SNV's llr; NaN if there is none. */
static double calibrated(const effect_t *e, double (*value)(const calibration_t *c, int cell, double llr))
{
    double x = llr(e);
    return e->calibration && !isnan(x) ? value(e->calibration, e->cell, x) : (double)NAN;
}

static double centred_llr(const effect_t *e) { return calibrated(e, calibration_centred); }
static double standard_llr(const effect_t *e) { return calibrated(e, calibration_score); }
static double percentile_llr(const effect_t *e) { return calibrated(e, calibration_percentile); }

static double dpll(const effect_t *e) { return e->site ? (double)NAN : e->sum[1] - e->sum[0]; }

static double compared_bases(const effect_t *e) { return (double)e->n; }

static double mean_at_breaks(const effect_t *e) { return e->breaks_sum / (double)e->breaks_n; }

static double distance(const effect_t *e)
{
    const float *x = e->pooled[0], *y = e->pooled[1];
    double d = 0;
    if (!x || !y) return NAN;
    for (int64_t i = 0; i < e->width; i++) d += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sqrt(d);
}

static double cosine(const effect_t *e)
{
    const float *x = e->pooled[0], *y = e->pooled[1];
    double xy = 0, xx = 0, yy = 0;
    if (!x || !y) return NAN;
    for (int64_t i = 0; i < e->width; i++) {
        double a = (double)x[i], b = (double)y[i];
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    return 1 - xy / (sqrt(xx) * sqrt(yy));
}

static double mean_divergence(const effect_t *e) { return e->around.jsd / (double)e->around.n; }

static double mean_influence(const effect_t *e) { return e->around.change / (double)e->around.n; }

/* ---- tracks ---- */

static double pll_at(const float logp[4], int ref, int b) { return (void)b, (double)logp[ref]; }
/* limits the perplexity to the largest float, since a track stores floats */
static double perplexity_at(const float logp[4], int ref, int b) { return fmin(exp(-pll_at(logp, ref, b)), FLT_MAX); }
static double entropy_at(const float logp[4], int ref, int b) { return (void)ref, (void)b, cad_entropy(logp); }
static double information_at(const float logp[4], int ref, int b) { return 2 - entropy_at(logp, ref, b); }
static double p_at(const float logp[4], int ref, int b) { return (void)ref, exp((double)logp[b]); }
static double logo_at(const float logp[4], int ref, int b) { return information_at(logp, ref, b) * p_at(logp, ref, b); }
static double logo_ref_at(const float logp[4], int ref, int b) { return (void)b, logo_at(logp, ref, ref); }

#define COLOUR_A "0,128,0"
#define COLOUR_C "0,0,255"
#define COLOUR_G "255,166,0"
#define COLOUR_T "255,0,0"

/* The order of rows is the order of scores in the help text, of tags and of INFO fields. */
/* clang-format off */
const score_t SCORE[] = {
    { .name = "llr", .unit = "nats", .of = OF_VARIANTS, .needs = NEEDS_SITE, .info = "LLR", .effect = llr,
      .text = "Caduceus: log p(ALT) - log p(REF) at the masked site of an SNV, natural log; negative is less likely",
      .format = "CLLR", .in_haplotype = "Caduceus: LLR in the sample's own haplotype, for each haplotype with an ALT" },
    { .name = "dpll", .unit = "nats", .of = OF_VARIANTS, .needs = NEEDS_HAPLOTYPES, .masked = true, .info = "DPLL",
      .effect = dpll, .text = "Caduceus: difference of the log-likelihoods of the ALT and REF haplotype, natural log; "
                              "negative is less likely",
      .format = "CDPLL", .in_haplotype = "Caduceus: DPLL in the sample's own haplotype, for each haplotype with an ALT" },
    { .name = "pll", .unit = "nats", .of = OF_REGIONS | OF_READS | OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .value = mean_pll, .tag = "yp",
      .tracks = 1, .at = pll_at,
      .about = "log-likelihood of the masked reference base, nats; 0 is certain",
      .colour = { "68,84,106" }, .low = "-3", .high = "0" },
    { .name = "n", .unit = "bases", .of = OF_REGIONS | OF_READS | OF_VARIANTS, .needs = NEEDS_BASES,
      .type = SCORE_INTEGER, .value = scored_bases, .tag = "yn", .info = "N", .effect = compared_bases,
      .text = "Caduceus: bases compared" },
    { .name = "entropy", .unit = "bits", .of = OF_REGIONS | OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .value = mean_entropy,
      .tracks = 1, .at = entropy_at,
      .about = "entropy of the four probabilities, bits; 0 is certain, 2 is a guess",
      .colour = { "127,96,0" }, .low = "0", .high = "2" },
    { .name = "ic", .unit = "bits", .of = OF_REGIONS | OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .value = mean_information,
      .tracks = 1, .at = information_at,
      .about = "information, 2 less the entropy, bits; 0 is a guess",
      .colour = { "84,130,53" }, .low = "0", .high = "2" },
    { .name = "ppl", .unit = "1", .of = OF_REGIONS | OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .value = perplexity,
      .tracks = 1, .at = perplexity_at,
      .about = "perplexity of the reference base; 1 is certain, 4 is a guess",
      .colour = { "132,60,12" }, .low = "0", .high = "4" },
    /* --score cannot name this score; --embed adds it */
    { .name = "embedding", .unit = "1", .type = SCORE_ARRAY, .array = ARRAY_EMBEDDING, .tag = "ye" },
    { .name = "bases", .unit = "nats", .of = OF_READS, .needs = NEEDS_BASES, .masked = true,
      .type = SCORE_ARRAY, .array = ARRAY_BASES, .tag = "yb" },
    { .name = "dist", .unit = "1", .of = OF_VARIANTS, .needs = NEEDS_POOLED, .info = "DIST", .effect = distance,
      .text = "Caduceus: Euclidean distance of the pooled embeddings of the ALT and REF haplotype" },
    { .name = "cos", .unit = "1", .of = OF_VARIANTS, .needs = NEEDS_POOLED, .info = "COS", .effect = cosine,
      .text = "Caduceus: 1 - cosine similarity of the pooled embeddings of the ALT and REF haplotype" },
    { .name = "jsd", .unit = "bits", .of = OF_VARIANTS, .needs = NEEDS_AROUND, .info = "JSD", .effect = mean_divergence,
      .text = "Caduceus: mean Jensen-Shannon divergence between the predictions at the bases around the allele given REF "
              "and given ALT, bits" },
    { .name = "infl", .unit = "nats", .of = OF_VARIANTS, .needs = NEEDS_AROUND, .info = "INFL", .effect = mean_influence,
      .text = "Caduceus: mean over the bases around the allele of the largest change of a base's log-odds between REF and "
              "ALT, natural log" },
    { .name = "sv", .unit = "nats", .of = OF_VARIANTS, .needs = NEEDS_BREAKS, .info = "SV", .effect = mean_at_breaks,
      .text = "Caduceus: mean over the bases beside the breakpoints of a structural variant or long allele of log p given "
              "ALT - log p given REF, natural log; negative is less likely" },
    /* --calibration adds these three */
    { .name = "cllr", .unit = "nats", .needs = NEEDS_SITE, .info = "CLLR", .effect = centred_llr,
      .text = "Caduceus: LLR less the mean LLR of neutral sites with the same five bases and change, natural log" },
    { .name = "z", .unit = "1", .needs = NEEDS_SITE, .info = "Z", .effect = standard_llr,
      .text = "Caduceus: CLLR divided by the standard deviation of LLR at these neutral sites" },
    { .name = "pctl", .unit = "%", .needs = NEEDS_SITE, .info = "PCTL", .effect = percentile_llr,
      .text = "Caduceus: percentile of CLLR among all neutral sites of the calibration, 0 to 100; low is unusual" },
    /* written for every variant, whatever --score names */
    { .name = "note", .unit = "", .type = SCORE_TEXT, .info = "NOTE",
      .text = "Caduceus: why an allele has no score, or what is special about it" },
    { .name = "logo", .unit = "bits", .of = OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .tracks = 4, .at = logo_at,
      .about = "probability of each base times the information, bits",
      .colour = { COLOUR_A, COLOUR_C, COLOUR_G, COLOUR_T }, .low = "0", .high = "2" },
    { .name = "logo_ref", .unit = "bits", .of = OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .tracks = 1, .at = logo_ref_at,
      .about = "probability of the reference base times the information, bits",
      .colour = { "100,100,100" }, .low = "0", .high = "2", .letters = true },
    { .name = "pA", .unit = "1", .of = OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .tracks = 1, .base = 0, .at = p_at, .about = "probability of A",
      .colour = { COLOUR_A }, .low = "0", .high = "1" },
    { .name = "pC", .unit = "1", .of = OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .tracks = 1, .base = 1, .at = p_at, .about = "probability of C",
      .colour = { COLOUR_C }, .low = "0", .high = "1" },
    { .name = "pG", .unit = "1", .of = OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .tracks = 1, .base = 2, .at = p_at, .about = "probability of G",
      .colour = { COLOUR_G }, .low = "0", .high = "1" },
    { .name = "pT", .unit = "1", .of = OF_TRACKS, .needs = NEEDS_BASES, .masked = true,
      .tracks = 1, .base = 3, .at = p_at, .about = "probability of T",
      .colour = { COLOUR_T }, .low = "0", .high = "1" },
    { 0 }
};
/* clang-format on */
_Static_assert(sizeof SCORE / sizeof *SCORE <= SCORES_MOST + 1, "a list holds all scores");

/* ---- lists ---- */

/* Returns the score of this name (len bytes) for the kinds of input in `of` (OF_*), or NULL. */
static const score_t *find(const char *name, size_t len, unsigned of)
{
    for (const score_t *s = SCORE; s->name; s++)
        if (s->of & of && strlen(s->name) == len && !strncmp(s->name, name, len)) return s;
    return NULL;
}

static int unknown(const char *text, unsigned of, cad_error_t *err)
{
    text_t all = { 0 };
    int rc;
    scores_known(of, ", ", &all);
    rc = cad_fail(err, CAD_EARG, "--score %.60s: expected some of %s, or none", text, all.s.s ? all.s.s : "");
    text_free(&all);
    return rc;
}

int scores_parse(score_list_t *l, const char *text, unsigned of, cad_error_t *err)
{
    const char *s = text;
    l->n = 0;
    for (bool more = strcmp(text, "none"); more;) {
        size_t len = strcspn(s, ",");
        const score_t *row = find(s, len, of);
        if (!row) return unknown(text, of, err);
        for (int i = 0; i < l->n; i++)
            if (l->row[i] == row) return cad_fail(err, CAD_EARG, "--score %.60s: %s twice", text, row->name);
        l->row[l->n++] = row;
        more = s[len] != 0;
        s += len + 1;
    }
    return 0;
}

void scores_add(score_list_t *l, const char *name)
{
    for (const score_t *s = SCORE; s->name; s++)
        if (!strcmp(s->name, name)) l->row[l->n++] = s;
}

void scores_sort(score_list_t *l)
{
    score_list_t sorted = { 0 };
    for (const score_t *s = SCORE; s->name; s++)
        for (int k = 0; k < l->n; k++)
            if (l->row[k] == s) sorted.row[sorted.n++] = s;
    *l = sorted;
}

bool scores_need(const score_list_t *l, unsigned needs)
{
    bool any = false;
    for (int i = 0; i < l->n; i++) any |= (l->row[i]->needs & needs) != 0;
    return any;
}

bool scores_array(const score_list_t *l, score_array_t array)
{
    bool any = false;
    for (int i = 0; i < l->n; i++) any |= l->row[i]->array == array;
    return any;
}

/* ---- texts ---- */

void scores_names(const score_list_t *l, text_t *t)
{
    const char *separator = "";
    for (int i = 0; i < l->n; i++) {
        if (!l->row[i]->of) continue;
        text_printf(t, "%s%s", separator, l->row[i]->name);
        separator = ",";
    }
    if (!*separator) text_puts(t, "none");
}

void scores_known(unsigned of, const char *separator, text_t *t)
{
    bool first = true;
    for (const score_t *s = SCORE; s->name; s++) {
        if (!(s->of & of)) continue;
        text_printf(t, "%s%s", first ? "" : separator, s->name);
        first = false;
    }
}

const char *score_suffix(const score_t *s, int64_t mask)
{
    return s->masked && mask == CAD_MASK_NONE ? "_unmasked" : "";
}

void score_put(const score_t *s, const score_sums_t *sums, text_t *t)
{
    if (s->type == SCORE_INTEGER) text_printf(t, "%lld", (long long)s->value(sums));
    else text_number(t, s->value(sums));
}
