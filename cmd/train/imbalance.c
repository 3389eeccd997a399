/* imbalance.c - classes of unequal size in finetune --task classify: weights of rows (--class-weights) and balanced
 * sampling (--sampler). SPDX-License-Identifier: MIT */
#include "io/foundation.h"
#include "train/bases.h"
#include "train/imbalance.h"

static int64_t class_of(const tuning_t *r, int64_t row)
{
    int64_t k = 0;
    while (k < r->head.n - 1 && r->train.target[row * r->head.n + k] < 0.5f) k++;
    return k;
}

/* Sets r->row_weight to the weight of each training row's class. */
static int weigh_rows(tuning_t *r, const double *count, cad_error_t *err)
{
    float *weight = cad_alloc((size_t)r->head.n, sizeof *weight);
    int rc;
    r->row_weight = cad_alloc((size_t)r->train.n, sizeof *r->row_weight);
    rc = weight && r->row_weight ? bases_weigh(r, count, weight, err) : cad_out_of_memory(err);
    for (int64_t i = 0; i < r->train.n && rc == 0; i++) r->row_weight[i] = weight[class_of(r, i)];
    free(weight);
    return rc;
}

/* Sets r->member to the training rows by class, and r->first to where each class begins. */
static int list_members(tuning_t *r, const double *count, cad_error_t *err)
{
    int64_t K = r->head.n;
    r->member = cad_alloc((size_t)r->train.n, sizeof *r->member);
    r->first = calloc((size_t)K + 2, sizeof *r->first);
    if (!r->member || !r->first) return cad_out_of_memory(err);
    for (int64_t k = 0; k < K; k++) r->first[k + 2] = r->first[k + 1] + (int64_t)count[k];
    for (int64_t i = 0; i < r->train.n; i++) r->member[r->first[class_of(r, i) + 1]++] = i;
    return 0; /* first[k] is now where class k begins, since first[k + 1] has moved to its end */
}

int imbalance_open(tuning_t *r, cad_error_t *err)
{
    double *count;
    int rc;
    if (!r->a->class_weights && !r->a->balanced) return 0;
    count = calloc((size_t)r->head.n, sizeof *count);
    rc = count ? 0 : cad_out_of_memory(err);
    for (int64_t i = 0; i < r->train.n && rc == 0; i++) count[class_of(r, i)]++;
    if (rc == 0 && r->a->class_weights) rc = weigh_rows(r, count, err);
    if (rc == 0 && r->a->balanced) rc = list_members(r, count, err);
    free(count);
    return rc;
}

void imbalance_order(tuning_t *r, int64_t epoch)
{
    uint64_t seed = (uint64_t)r->a->t.seed, place = cad_random_name("sampler");
    if (!r->member) return;
    for (int64_t i = 0; i < r->train.n; i++) {
        uint64_t draw = cad_random(seed, place, (uint64_t)epoch, (uint64_t)i);
        int64_t k = (int64_t)cad_below(draw, (uint64_t)r->head.n), n = r->first[k + 1] - r->first[k];
        r->order[i] = r->member[r->first[k] + (int64_t)cad_below(cad_mix(draw + CAD_GOLDEN), (uint64_t)n)];
    }
}

double imbalance_weight(const tuning_t *r, const int64_t *row, int64_t n)
{
    double sum = 0;
    if (!r->row_weight) return (double)n;
    for (int64_t i = 0; i < n; i++) sum += (double)r->row_weight[row[i]];
    return sum;
}

void imbalance_close(tuning_t *r)
{
    free(r->row_weight);
    free(r->member);
    free(r->first);
}
