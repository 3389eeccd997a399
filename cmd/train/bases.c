/* bases.c - finetune --task bases: reads a class for each base, divides contigs into those for training, validation
 * and test, and measures each class. SPDX-License-Identifier: MIT */
#include <math.h>

#include "train/bases.h"

enum { TRAIN, VALID, TEST };

/* ---- contigs ---- */

/* Assigns the contigs of a comma-separated list to part `which`: validation or test. */
static int take_contigs(const tuning_t *r, const char *option, const char *list, int which, uint8_t *part,
                        cad_error_t *err)
{
    for (const char *s = list; *s; s += strspn(s, ",")) {
        size_t n = strcspn(s, ",");
        const contig_t *c = fasta_own(&r->ref, s, n);
        if (!c)
            return cad_fail(err, CAD_EARG, "%s %.*s: no such contig in %s; --task %s holds out whole contigs", option,
                            (int)cad_min((int64_t)n, 200), s, r->ref.path, r->a->tracks ? "tracks" : "bases");
        if (part[c - r->ref.contig] != TRAIN)
            return cad_fail(err, CAD_EARG, "%s %s: the contig is named twice", option, c->name);
        part[c - r->ref.contig] = (uint8_t)which;
        s += n;
    }
    return 0;
}

/* Draws contigs by seed until they have the fraction of the bases of all training contigs that --valid-fraction says;
 * leaves at least one contig for training. */
static int draw_contigs(const tuning_t *r, uint8_t *part, cad_error_t *err)
{
    int n = r->ref.ncontig, left = 0;
    int64_t *order = malloc((size_t)cad_max(n, 1) * sizeof *order);
    double all = 0, taken = 0;
    if (!order) return cad_out_of_memory(err);
    examples_shuffle(order, n, (uint64_t)r->a->t.seed, 0);
    for (int i = 0; i < n; i++)
        if (part[i] == TRAIN) {
            all += (double)r->ref.contig[i].length;
            left++;
        }
    for (int i = 0; i < n && left > 1 && taken < r->a->t.fraction * all; i++) {
        if (part[order[i]] != TRAIN) continue;
        part[order[i]] = VALID;
        taken += (double)r->ref.contig[order[i]].length;
        left--;
    }
    free(order);
    if (taken == 0 && r->a->t.fraction > 0)
        return cad_fail(err, CAD_EARG,
                        "no contig is left to validate on: the reference has too few; use --valid-fraction 0, or name "
                        "contigs with --valid");
    return 0;
}

int bases_split(const tuning_t *r, uint8_t **part, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    int rc = 0;
    *part = calloc((size_t)r->ref.ncontig + 1, 1);
    if (!*part) return cad_out_of_memory(err);
    if (a->valid) rc = take_contigs(r, "--valid", a->valid, VALID, *part, err);
    if (rc == 0 && a->test) rc = take_contigs(r, "--test", a->test, TEST, *part, err);
    return rc == 0 && !a->valid && a->t.fraction > 0 ? draw_contigs(r, *part, err) : rc;
}

/* ---- classes ---- */

static int learn_head(tuning_t *r, const annotation_t *n, cad_error_t *err)
{
    int rc = cad_head_room(&r->head, n->n, err);
    for (int k = 0; k < n->n && rc == 0; k++)
        if (!(r->head.name[k] = strdup(n->name[k]))) rc = cad_out_of_memory(err);
    r->head.bin = 1;
    return rc;
}

static void count_classes(const examples_t *e, double count[256])
{
    for (int64_t i = 0; i < e->n; i++)
        for (int64_t p = 0; p < e->row[i].len; p++) count[e->row[i].class[p]]++;
}

int bases_weigh(const tuning_t *r, const double *count, float *weight, cad_error_t *err)
{
    const char *s = r->a->class_weights;
    double all = 0;
    int64_t K = r->head.n, k;
    for (k = 0; k < K; k++) all += count[k];
    for (k = 0; k < K; k++) weight[k] = (float)(s && !strcmp(s, "balanced") ? all / ((double)K * count[k]) : 1);
    for (k = 0; s && strcmp(s, "balanced") && k < K; k++) {
        char *end;
        double w = strtod(s, &end);
        if (end == s || !(w > 0 && w < 1e6) || *end != (k + 1 < K ? ',' : 0))
            return cad_fail(err, CAD_EARG,
                            "--class-weights %s: expected balanced, or %lld numbers above 0 for %s ... %s",
                            r->a->class_weights, (long long)K, r->head.name[0], r->head.name[K - 1]);
        weight[k] = (float)w;
        s = end + 1;
    }
    return 0;
}

/* Sets r->class_weight. */
static int weigh(tuning_t *r, cad_error_t *err)
{
    double count[256] = { 0 };
    count_classes(&r->train, count);
    for (int64_t k = 0; k < r->head.n; k++)
        if (count[k] == 0)
            return cad_fail(err, CAD_EARG, "class %s: no base of the training contigs is of it", r->head.name[k]);
    return bases_weigh(r, count, r->class_weight, err);
}

int bases_read(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    annotation_t labels = { 0 };
    uint8_t *part = NULL;
    int rc = fasta_open(&r->ref, a->l.reference, &r->notes, err);
    if (rc) return rc;
    rc = bases_split(r, &part, err);
    if (rc == 0) rc = annotation_read(&labels, a->train, &r->ref, a->ignore, &r->notes, err);
    if (rc == 0) rc = annotation_examples(&labels, part, TRAIN, a->l.window, &r->train, err);
    if (rc == 0) rc = annotation_examples(&labels, part, VALID, a->l.window, &r->valid, err);
    if (rc == 0) rc = annotation_examples(&labels, part, TEST, a->l.window, &r->test, err);
    if (rc == 0 && r->train.n == 0)
        rc = cad_fail(err, CAD_EARG, "%s: no base of the training contigs has a class", a->train);
    if (rc == 0) rc = learn_head(r, &labels, err);
    if (rc == 0) rc = weigh(r, err);
    r->head.longest = r->train.longest;
    annotation_close(&labels);
    free(part);
    return rc;
}

/* ---- examples ---- */

void bases_part(tuning_t *r, int64_t i, const example_t *x, int64_t at, bool turned)
{
    uint8_t *class = r->part_class + at;
    float *weight = r->part_weight + at;
    for (int64_t p = 0; p < x->len; p++) {
        class[p] = x->class[turned ? x->len - 1 - p : p];
        weight[p] = class[p] == ANNOTATION_NONE ? 0 : r->class_weight[class[p]];
        if (class[p] == ANNOTATION_NONE) class[p] = 0;
    }
    r->part[i].labels = class;
    r->part[i].weight = weight;
    r->part[i].target = NULL;
}

double bases_weight(const tuning_t *r, const int64_t *row, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const example_t *x = &r->train.row[row[i]];
        for (int64_t p = 0; p < x->len; p++)
            if (x->class[p] != ANNOTATION_NONE) sum += (double)r->class_weight[x->class[p]];
    }
    return sum;
}

/* ---- measuring ---- */

int bases_measure(tuning_t *r, const examples_t *e, cad_context_t *ctx, metrics_t *m, cad_error_t *err)
{
    int64_t K = r->head.n, n = 0;
    float *logits = NULL, *target = NULL;
    int rc = annotation_logits(e, ctx, 1, K, options_batch(&r->a->o), &logits, &target, &n, err);
    if (rc == 0) rc = metrics_of(m, &r->head, logits, target, n, err);
    for (int64_t k = 0; k < K && rc == 0; k++) rc = annotation_metrics(&r->by_class[k], logits, target, n, K, k, err);
    free(logits);
    free(target);
    return rc;
}

void bases_put(const tuning_t *r, text_t *t)
{
    text_puts(t, "#class\tbases\tprecision\trecall\tf1\tauroc\tauprc\n");
    for (int64_t k = 0; k < r->head.n; k++) {
        const class_metrics_t *m = &r->by_class[k];
        const double value[] = { m->precision, m->recall, m->f1, m->auroc, m->auprc };
        text_printf(t, "%s\t%lld", r->head.name[k], (long long)m->bases);
        text_columns(t, value, 5);
        text_puts(t, "\n");
    }
}

void bases_json(const tuning_t *r, json_t *to)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < r->head.n; k++) {
        const class_metrics_t *m = &r->by_class[k];
        json_t *o = json_object();
        json_object_set_new(o, "class", string_json(r->head.name[k]));
        json_object_set_new(o, "bases", json_integer(m->bases));
        json_object_set_new(o, "precision", number_json(m->precision));
        json_object_set_new(o, "recall", number_json(m->recall));
        json_object_set_new(o, "f1", number_json(m->f1));
        json_object_set_new(o, "auroc", number_json(m->auroc));
        json_object_set_new(o, "auprc", number_json(m->auprc));
        json_array_append_new(list, o);
    }
    json_object_set_new(to, "by_class", list);
}

void bases_close(tuning_t *r)
{
    free(r->part_class);
    free(r->part_weight);
}
