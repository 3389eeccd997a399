/* bin_task.c - finetune --task tracks: reads values of bins, divides contigs into those for training,
 * validation and test, and measures each output. SPDX-License-Identifier: MIT */
#include "learn/binvalues.h"
#include "train/bases.h"
#include "train/bin_task.h"

/* ---- outputs ---- */

/* Returns the file of NAME=FILE, or of FILE, and sets *name (malloc'd) to NAME, or to the file's name without folder and
 * suffix. */
static const char *file_of(const char *label, char **name)
{
    const char *equals = strchr(label, '='), *slash = strrchr(label, '/'), *base = slash ? slash + 1 : label;
    static const char *const suffix[] = { ".bw", ".bigWig", ".bigwig", ".bedGraph", ".bg", ".bdg" };
    size_t n = strlen(base) - (output_is_gz(base) ? 3 : 0), whole = n;
    if (equals && (!slash || equals < strchr(label, '/'))) {
        *name = strndup(label, (size_t)(equals - label));
        return equals + 1;
    }
    for (int i = 0; i < 6; i++) {
        size_t k = strlen(suffix[i]);
        if (whole >= k && !strncmp(base + whole - k, suffix[i], k)) n = whole - k;
    }
    *name = strndup(base, n);
    return label;
}

const char *bins_file(const char *label)
{
    char *name;
    const char *file = file_of(label, &name);
    free(name);
    return file;
}

/* Sets the names of the head's outputs, which must differ. */
static int name_outputs(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    int rc = cad_head_room(&r->head, a->nlabel, err);
    r->head.bin = a->bin;
    for (int64_t k = 0; k < a->nlabel && rc == 0; k++) {
        file_of(a->label[k], &r->head.name[k]);
        if (!r->head.name[k]) return cad_out_of_memory(err);
        if (!r->head.name[k][0]) rc = cad_fail(err, CAD_EARG, "%s: expected NAME=FILE", a->label[k]);
        for (int64_t j = 0; j < k && rc == 0; j++)
            if (!strcmp(r->head.name[j], r->head.name[k]))
                rc = cad_fail(err, CAD_EARG, "%s: two outputs are named %s; give other names by NAME=FILE", a->label[k],
                              r->head.name[k]);
    }
    return rc;
}

static int read_values(tuning_t *r, binvalues_t *b, cad_error_t *err)
{
    int rc = binvalues_room(b, err);
    for (int64_t k = 0; k < b->K && rc == 0; k++) rc = binvalues_read(b, k, bins_file(r->a->label[k]), err);
    return rc ? rc : binvalues_finish(b, r->head.name, err);
}

int bins_read(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    binvalues_t values = { .ref = &r->ref, .bin = a->bin, .K = a->nlabel, .ignore = a->missing, .counts = a->poisson };
    examples_t *set[] = { &r->train, &r->valid, &r->test };
    uint8_t *part = NULL;
    int rc = name_outputs(r, err);
    if (rc == 0) rc = fasta_open(&r->ref, a->l.reference, &r->notes, err);
    if (rc) return rc;
    rc = bases_split(r, &part, err);
    if (rc == 0) rc = read_values(r, &values, err);
    for (int i = 0; i < 3 && rc == 0; i++) rc = binvalues_examples(&values, part, i, a->l.window, set[i], err);
    if (rc == 0) rc = binvalues_learn(&r->train, a->bin, &r->head, err);
    for (int i = 0; i < 3 && rc == 0; i++) binvalues_targets(set[i], a->bin, &r->head);
    r->head.longest = r->train.longest;
    binvalues_close(&values);
    free(part);
    return rc;
}

/* ---- examples ---- */

int bins_room(tuning_t *r, cad_error_t *err)
{
    size_t bins = (size_t)(r->part_tokens / r->a->bin + 1);
    r->part_target = cad_alloc(bins, (size_t)r->head.n * sizeof *r->part_target);
    r->part_weight = cad_alloc(bins, sizeof *r->part_weight);
    return r->part_target && r->part_weight ? 0 : cad_out_of_memory(err);
}

bool bins_turn(const tuning_t *r, const example_t *x) { return x->len % r->a->bin == 0; }

void bins_part(tuning_t *r, int64_t i, const example_t *x, int64_t at, bool turned)
{
    int64_t K = r->head.n, bins = x->len / r->a->bin;
    float *target = r->part_target + at / r->a->bin * K, *weight = r->part_weight + at / r->a->bin;
    r->part[i].target = turned ? target : x->target;
    r->part[i].weight = turned ? weight : x->weight;
    for (int64_t u = 0; u < bins && turned; u++) {
        weight[u] = x->weight[bins - 1 - u];
        memcpy(target + u * K, x->target + (bins - 1 - u) * K, (size_t)K * sizeof *target);
    }
}

double bins_weight(const tuning_t *r, const int64_t *row, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const example_t *x = &r->train.row[row[i]];
        for (int64_t u = 0; u * r->a->bin < x->len; u++) sum += (double)x->weight[u];
    }
    return sum;
}

/* ---- measuring ---- */

int bins_measure(tuning_t *r, const examples_t *e, cad_context_t *ctx, metrics_t *m, cad_error_t *err)
{
    int64_t K = r->head.n, n = 0;
    float *logits = NULL, *target = NULL;
    int rc = annotation_logits(e, ctx, r->head.bin, K, options_batch(&r->a->o), &logits, &target, &n, err);
    if (rc == 0) rc = metrics_of(m, &r->head, logits, target, n, err);
    for (int64_t k = 0; k < K && rc == 0; k++)
        rc = binvalues_metrics(&r->by_output[k], &r->head, logits, target, n, k, err);
    free(logits);
    free(target);
    return rc;
}

void bins_put(const tuning_t *r, text_t *t)
{
    text_puts(t, "#output\tloss\tpearson\tspearman\n");
    for (int64_t k = 0; k < r->head.n; k++) {
        const bin_metrics_t *m = &r->by_output[k];
        const double value[] = { m->loss, m->pearson, m->spearman };
        text_puts(t, r->head.name[k]);
        text_columns(t, value, 3);
        text_puts(t, "\n");
    }
}

void bins_json(const tuning_t *r, json_t *to)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < r->head.n; k++) {
        const bin_metrics_t *m = &r->by_output[k];
        json_t *o = json_object();
        json_object_set_new(o, "output", string_json(r->head.name[k]));
        json_object_set_new(o, "loss", number_json(m->loss));
        json_object_set_new(o, "pearson", number_json(m->pearson));
        json_object_set_new(o, "spearman", number_json(m->spearman));
        json_array_append_new(list, o);
    }
    json_object_set_new(to, "by_output", list);
}

void bins_options(const finetune_args_t *a, text_t *t)
{
    text_printf(t, " bin=%lld loss=%s missing=%s", (long long)a->bin, a->poisson ? "poisson" : "squared",
                a->missing ? "ignore" : "zero");
}

void bins_close(tuning_t *r) { free(r->part_target); }
