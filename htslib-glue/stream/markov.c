/* markov.c - fits interpolated Markov models of DNA, with which a language model is compared.
 *
 * Order k predicts a base x from the k bases before it:
 *   P_k(x) = (n_kx + (k + 2) P_{k-1}(x)) / (n_k + k + 2),   P_{-1} = 1/4.
 * n_kx is the number of times that x follows those k bases on either strand, and n_k is the sum of n_kx over x. So if
 * those k bases were seen k + 2 times, the counts have the same weight as the prediction of order k - 1.
 * SPDX-License-Identifier: MIT
 */
#include "stream/markov.h"

int cad_markov_open(cad_markov_t *m, int order, cad_error_t *err)
{
    memset(m, 0, sizeof *m);
    m->order = order;
    for (int k = 0; k <= order; k++) {
        m->count[k] = calloc((size_t)4 << 2 * k, sizeof *m->count[k]);
        if (m->count[k]) continue;
        cad_markov_close(m);
        return cad_fail(err, CAD_ENOMEM, "out of memory for a Markov model of order %d (%lld MB); choose a lower one",
                        order, ((long long)4 << 2 * order) * 16 / 3 >> 20);
    }
    return 0;
}

void cad_markov_close(cad_markov_t *m)
{
    for (int k = 0; k < CAD_MARKOV_ORDERS; k++) free(m->count[k]);
    memset(m, 0, sizeof *m);
}

/* ---- counting ---- */

typedef struct {
    const cad_markov_t *m;
    const uint8_t *base;
    int64_t n, seen;
} counting_t;

/* Counts the words of order k. A word is k bases and the base that follows them, 2 bits per base, with the last base
 * in the lowest bits. */
static void count_order(void *arg, int64_t k, int worker)
{
    const counting_t *c = arg;
    uint32_t *count = c->m->count[k];
    uint64_t word = 0, mirror = 0, all = ((uint64_t)4 << 2 * k) - 1;
    int64_t known = 0;
    (void)worker;
    for (int64_t t = cad_max(c->seen - k, 0); t < c->n; t++) {
        uint64_t b = c->base[t] & 3u;
        known = c->base[t] < 4 ? known + 1 : 0;
        word = (word << 2 | b) & all;
        mirror = mirror >> 2 | (3 - b) << 2 * k;
        if (known <= k || t < c->seen) continue;
        count[word]++;
        count[mirror]++;
    }
}

int cad_markov_count(cad_markov_t *m, cad_team_t *team, const uint8_t *base, int64_t n, int64_t seen, cad_error_t *err)
{
    counting_t c = { m, base, n, seen };
    /* no word is counted more often than its last base alone (order 0), so only the counts of order 0 are checked */
    for (int b = 0; b < 4; b++)
        if (n > UINT32_MAX / 2 || m->count[0][b] > UINT32_MAX - 2 * (uint32_t)n)
            return cad_fail(err, CAD_EARG,
                            "a Markov model cannot count a base more than %u times; fit it on fewer bases", UINT32_MAX);
    cad_team_run(team, m->order + 1, count_order, &c);
    return 0;
}

/* ---- predicting ---- */

static void interpolate(const uint32_t count[4], int k, const double shorter[4], double p[4])
{
    double all = (double)count[0] + count[1] + count[2] + count[3], weight = k + 2;
    for (int x = 0; x < 4; x++) p[x] = (count[x] + weight * shorter[x]) / (all + weight);
}

/* Turns a prediction for the other strand into a prediction for this strand: exchanges A with T, and C with G. */
static void complement(double p[4])
{
    for (int x = 0; x < 2; x++) {
        double q = p[x];
        p[x] = p[3 - x];
        p[3 - x] = q;
    }
}

void cad_markov_predict(const cad_markov_t *m, const uint8_t *base, int64_t n, int64_t t, bool after, double (*p)[4])
{
    static const double even[4] = { 0.25, 0.25, 0.25, 0.25 };
    uint64_t word = 0;
    bool known = true;
    for (int k = 0; k <= m->order; k++) {
        int64_t at = after ? t + k : t - k;
        if (k) known = known && at >= 0 && at < n && base[at] < 4;
        if (k && known) word |= (uint64_t)(after ? 3 - base[at] : base[at]) << 2 * (k - 1);
        if (known) interpolate(m->count[k] + 4 * word, k, k ? p[k - 1] : even, p[k]);
        else memcpy(p[k], p[k - 1], sizeof p[k]);
    }
    for (int k = 0; after && k <= m->order; k++) complement(p[k]);
}

void cad_markov_join(const double before[4], const double after[4], const double alone[4], double p[4])
{
    double sum = 0;
    for (int x = 0; x < 4; x++) sum += p[x] = before[x] * after[x] / alone[x];
    for (int x = 0; x < 4; x++) p[x] /= sum;
}
