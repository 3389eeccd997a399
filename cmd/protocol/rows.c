/* rows.c - writes the row of each fold to a file of its own, so that several processes can train the folds, and folds
 * that are done are not trained again. SPDX-License-Identifier: MIT */
#include <math.h>

#include "protocol/protocol.h"

#define RECIPE "##caduceus_recipe="

static char *row_name(const fold_t *f) { return suffixed(f->id, ".tsv"); }

/* Reads a number of a row, or "." for one that is not defined. */
static int take_number(const char **s, double *v)
{
    char *end;
    if (**s == '.' && ((*s)[1] == '\t' || (*s)[1] == '\n')) {
        *v = NAN;
        end = (char *)*s + 1;
    } else *v = strtod(*s, &end);
    if (end == *s || (*end != '\t' && *end != '\n')) return 1;
    *s = end + 1;
    return 0;
}

/* Takes the numbers from the fifth column on: metric, epoch, valid, test, n, and all metrics. */
static int take_row(fold_t *f, const char *s)
{
    double v[4];
    for (int i = 0; i < 5; i++)
        if ((s = strchr(s, '\t'))) s++;
        else return 1;
    for (int i = 0; i < 4; i++)
        if (take_number(&s, &v[i])) return 1;
    for (int i = 0; i < METRICS; i++) {
        f->test[i] = NAN;
        if (i <= METRIC_AUROC && take_number(&s, &f->test[i])) return 1;
    }
    f->epoch = (int64_t)v[0];
    f->valid = v[1];
    f->tested = (int64_t)v[3];
    return 0;
}

static int take_text(const folds_t *s, fold_t *f, const char *path, char *text, cad_error_t *err)
{
    char *recipe = strstr(text, RECIPE), *row = text;
    size_t n = recipe ? strcspn(recipe, "\n") - strlen(RECIPE) : 0;
    if (!recipe) return cad_fail(err, CAD_EFORMAT, "%s: not a row of caduceus protocol; remove it", path);
    recipe += strlen(RECIPE);
    if (strlen(s->recipe.s.s) != n || memcmp(recipe, s->recipe.s.s, n))
        return cad_fail(err, CAD_EARG, "%s: has other settings (%.*s; now %s); choose another -o", path,
                        (int)cad_min((int64_t)n, 300), recipe, s->recipe.s.s);
    while (*row == '#' && (row = strchr(row, '\n'))) row++;
    if (!row || take_row(f, row)) return cad_fail(err, CAD_EFORMAT, "%s: its row is damaged; remove it", path);
    f->done = true;
    return 0;
}

int fold_read(const folds_t *s, fold_t *f, cad_error_t *err)
{
    char *name = row_name(f), *path = name ? cad_path_join(s->runs, name) : NULL, *text = NULL;
    size_t size = 0;
    int rc = path ? cad_read_text(&text, &size, path, true, err) : cad_out_of_memory(err);
    if (rc == 0 && text) rc = take_text(s, f, path, text, err);
    free(text);
    free(path);
    free(name);
    return rc;
}

int fold_write(const folds_t *s, const fold_t *f, const text_t *provenance, cad_error_t *err)
{
    text_t t = { 0 };
    char *name = row_name(f);
    int rc;
    if (!provenance->failed && provenance->s.l) text_puts(&t, provenance->s.s);
    t.failed |= provenance->failed;
    text_printf(&t, RECIPE "%s\n#task\tlr\tbatch\tseed\tmetric\tepoch\tvalid\ttest\tn", s->recipe.s.s);
    for (int i = 0; i <= METRIC_AUROC; i++) text_printf(&t, "\t%s", METRIC_NAME[i]);
    text_printf(&t, "\n%s\t%.9g\t%lld\t%lld\t%s\t%lld\t", f->task->name, f->lr, (long long)f->batch, (long long)f->seed,
                METRIC_NAME[f->task->metric], (long long)f->epoch);
    text_number(&t, f->valid);
    text_puts(&t, "\t");
    text_number(&t, f->test[f->task->metric]);
    text_printf(&t, "\t%lld", (long long)f->tested);
    text_columns(&t, f->test, METRIC_AUROC + 1);
    text_puts(&t, "\n");
    rc = name ? protocol_file(s->runs, name, &t, err) : cad_out_of_memory(err);
    free(name);
    text_free(&t);
    return rc;
}
