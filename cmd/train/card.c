/* card.c - writes the model card (README.md) of a trained model. SPDX-License-Identifier: MIT */
#include "io/foundation.h"
#include "train/card.h"

#define MARK "<!-- written by caduceus; a README.md without this line is never replaced -->"

static void put_key(text_t *t, const char *key, const char *value) { text_printf(t, "%s: %s\n", key, value); }

/* Writes the front matter. base: the value of -m, which is written as the base model only if it is a name on the hub; a
 * local path has no meaning there. */
static void put_front(text_t *t, const char *task, const char *base)
{
    cad_hub_name_t name;
    cad_error_t err;
    text_puts(t, "---\n");
    put_key(t, "license", "unknown");
    put_key(t, "library_name", "transformers");
    put_key(t, "pipeline_tag", task);
    text_puts(t, "tags:\n- caduceus\n- dna\n- genomics\n");
    if (base && cad_hub_named(base) && cad_hub_parse(&name, base, &err) == 0) put_key(t, "base_model", name.model);
}

static void put_model(text_t *t, const cad_model_t *m, const char *status)
{
    text_printf(t, "%s, %lld parameters, %lld layers, d_model %lld, window %lld bases.\n%s.\n\n",
                cad_model_text(m, CAD_TEXT_KIND), (long long)cad_model_number(m, CAD_PARAMETERS),
                (long long)cad_model_number(m, CAD_N_LAYER), (long long)cad_model_number(m, CAD_D_MODEL),
                (long long)cad_model_number(m, CAD_MAX_LEN), status);
}

static void put_python(text_t *t, const char *class)
{
    text_printf(t,
                "```python\nfrom transformers import AutoTokenizer, %s\n\n"
                "model = %s.from_pretrained(\".\", trust_remote_code=True)\n"
                "tokenizer = AutoTokenizer.from_pretrained(\".\", trust_remote_code=True)\n```\n",
                class, class);
}

void card_pretrained(text_t *t, const cad_model_t *model, const char *base, const char *status, const char *recipe)
{
    put_front(t, "fill-mask", base);
    text_puts(t, "---\n" MARK "\n\n# A Caduceus DNA language model\n\n");
    put_model(t, model, status);
    text_puts(t, "Recipe: `");
    text_puts(t, recipe);
    text_puts(t, "`\n\nUse it with `caduceus annotate -m DIR`, or in Python:\n\n");
    put_python(t, "AutoModelForMaskedLM");
}

/* Returns the name that the hub uses for a metric, or NULL if the hub has no name for it. */
static const char *hub_metric(metric_t m)
{
    static const char *const name[METRICS] = {
        [METRIC_ACCURACY] = "accuracy", [METRIC_MCC] = "matthews_correlation", [METRIC_F1] = "f1",
        [METRIC_AUROC] = "roc_auc",     [METRIC_PEARSON] = "pearsonr",         [METRIC_SPEARMAN] = "spearmanr"
    };
    return name[m];
}

static void put_metrics(text_t *t, const tuning_t *r, const metrics_t *m)
{
    text_printf(t, "Kept epoch: %lld. On %lld validation rows:\n\n| metric | value |\n|---|---|\n",
                (long long)r->best_epoch, (long long)r->valid.n);
    for (metric_t i = 0; i < METRICS; i++)
        if (metric_fits(&r->head, i)) {
            text_printf(t, "| %s | ", METRIC_NAME[i]);
            text_number(t, m->value[i]);
            text_puts(t, " |\n");
        }
    text_puts(t, "\n");
}

static void put_outputs(text_t *t, const cad_head_t *h)
{
    static const char *const how[] = {
        [CAD_HEAD_CLASSES] = "one of these classes (softmax)",
        [CAD_HEAD_LABELS] = "any of these labels (a logistic function of each)",
        [CAD_HEAD_VALUES] = "these values",
        [CAD_HEAD_COUNTS] = "these values (target_scale times the exponential of each)"
    };
    text_printf(t, "Outputs, %s:", how[h->kind]);
    for (int64_t k = 0; k < h->n && k < 50; k++) text_printf(t, "%s `%s`", k ? "," : "", h->name[k]);
    text_puts(t, h->n > 50 ? " ...\n\n" : "\n\n");
    if (h->kind != CAD_HEAD_VALUES) return;
    text_puts(t, "The model predicts standardised values. In Python, value = logit * scale + mean, with "
                 "`target_scale` and `target_mean` of config.json; caduceus predict does this itself:\n\n"
                 "```python\nimport torch\n\n"
                 "scale, mean = (torch.tensor(getattr(model.config, k)) for k in (\"target_scale\", \"target_mean\"))\n"
                 "values = model(ids).logits * scale + mean\n```\n\n");
}

void card_finetuned(text_t *t, const tuning_t *r, const metrics_t *m)
{
    put_front(t, r->head.bin ? "token-classification" : "text-classification",
              r->a->scratch ? NULL : options_model(&r->a->o));
    text_puts(t, "metrics:\n");
    for (metric_t i = 0; i < METRICS; i++)
        if (metric_fits(&r->head, i) && hub_metric(i)) text_printf(t, "- %s\n", hub_metric(i));
    text_puts(t, "---\n" MARK "\n\n# A Caduceus DNA language model, fine-tuned\n\n");
    put_model(t, r->model, r->status);
    if (r->valid.n) put_metrics(t, r, m);
    put_outputs(t, &r->head);
    if (r->head.bin) {
        text_puts(
            t,
            "The head has outputs for each base or bin (`caduceus_bin` bases): `score.weight` times the mean of both "
            "strands' hidden states there. Use it with `caduceus predict -m DIR genome.fa`; the published Python class for sequences does "
            "not apply it to bases.\n");
        return;
    }
    if (r->head.pool == CAD_POOL_ATTENTION) {
        text_puts(t,
                  "The head pools by attention: the sum of the hidden states of each strand with the softmax of their "
                  "products with `pool.weight`. Use it with `caduceus predict -m DIR`; the published Python class for "
                  "sequences knows no such pooling.\n");
        return;
    }
    if (r->head.pool == CAD_POOL_MAX)
        text_puts(t, "The head pools by the maximum: give `pooling_strategy=\"max\"` to `from_pretrained`.\n\n");
    if (r->a->lora)
        text_puts(t,
                  "These are adapters (LoRA) of the base model that adapter_config.json names. Use them with `caduceus "
                  "predict -m DIR`; for Python, merge them first: `caduceus model convert --merge -m DIR -o MERGED`, "
                  "and there:\n\n");
    else text_puts(t, "Use it with `caduceus predict -m DIR`, or in Python:\n\n");
    put_python(t, "AutoModelForSequenceClassification");
}

const char *card_for(const text_t *t, const char *dir)
{
    char *path = cad_path_join(dir, "README.md"), *old = NULL;
    size_t n;
    bool theirs = !path || cad_read_text(&old, &n, path, true, NULL) || (old && !strstr(old, MARK));
    free(path);
    free(old);
    return theirs ? NULL : t->s.s;
}
