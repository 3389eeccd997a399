/* examples.c - keeps labelled sequences in memory, finds the names of their labels, and makes random choices, which
 * depend only on a seed. SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <nettle/sha2.h>

#include "learn/examples.h"
#include "io/foundation.h"

#define CLASSES_MOST 1000

static int bad_label(const examples_t *e, const example_t *x, const char *label, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: label \"%.60s\" %s", e->path, (long long)x->line, label, what);
}

/* ---- reading ---- */

int examples_add(examples_t *e, const labelled_t *l, cad_error_t *err)
{
    example_t *x;
    if (l->bases.l == 0)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: an empty sequence; remove the row", e->path, (long long)l->line);
    if (e->n == e->room) {
        int64_t room = e->room ? 2 * e->room : 1024;
        example_t *more = realloc(e->row, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        e->row = more;
        e->room = room;
    }
    x = &e->row[e->n];
    *x = (example_t) { .len = (int64_t)l->bases.l,
                       .line = l->line,
                       .padded = l->padded,
                       .around = (int64_t)l->sides.l / 2,
                       .sides = l->sides.l ? malloc(l->sides.l) : NULL,
                       .tokens = malloc(l->bases.l),
                       .label = malloc(l->label.l + 1) };
    e->n++;
    if (!x->tokens || !x->label || (l->sides.l && !x->sides)) return cad_out_of_memory(err);
    if (x->sides) memcpy(x->sides, l->sides.s, l->sides.l);
    memcpy(x->tokens, l->bases.s, l->bases.l);
    memcpy(x->label, l->label.l ? l->label.s : "", l->label.l + !l->label.l);
    e->tokens += x->len;
    e->longest = cad_max(e->longest, x->len);
    return 0;
}

static int begin(examples_t *e, const labelled_t *l, cad_error_t *err)
{
    e->path = l->in.path;
    e->named = l->table;
    e->label_name = calloc((size_t)l->nlabel + 1, sizeof *e->label_name);
    e->cell = calloc((size_t)l->nlabel + 1, sizeof *e->cell);
    if (!e->label_name || !e->cell) return cad_out_of_memory(err);
    for (int k = 0; k < l->nlabel; k++, e->nlabel++)
        if (!(e->label_name[k] = strdup(l->label_name[k]))) return cad_out_of_memory(err);
    return 0;
}

int examples_begin(examples_t *e, const labelled_t *l, cad_error_t *err)
{
    int rc;
    memset(e, 0, sizeof *e);
    rc = begin(e, l, err);
    if (rc) examples_free(e);
    return rc;
}

void examples_clear(examples_t *e)
{
    for (int64_t i = 0; i < e->n; i++) {
        free(e->row[i].tokens);
        free(e->row[i].label);
        free(e->row[i].sides);
        free(e->row[i].class);
        free(e->row[i].target);
        free(e->row[i].weight);
    }
    e->n = e->tokens = 0;
}

int examples_read(examples_t *e, labelled_t *l, cad_error_t *err)
{
    struct sha256_ctx sum;
    uint8_t digest[SHA256_DIGEST_SIZE];
    bool any = false;
    int rc = examples_begin(e, l, err);
    sha256_init(&sum);
    while (rc == 0 && (rc = labelled_next(l, err)) > 0) {
        rc = l->data ? examples_add(e, l, err) : 0;
        if (rc || !l->data) continue;
        any = any || strpbrk(l->bases.s, "ACGTacgt");
        sha256_update(&sum, l->bases.l + 1, (const uint8_t *)l->bases.s);
        if (l->sides.l) sha256_update(&sum, l->sides.l, (const uint8_t *)l->sides.s);
        sha256_update(&sum, l->label.l, (const uint8_t *)e->row[e->n - 1].label);
    }
    if (rc == 0 && e->n == 0) rc = cad_fail(err, CAD_EFORMAT, "%s: no sequences", e->path);
    if (rc == 0 && !any) rc = cad_fail(err, CAD_EFORMAT, "%s: no sequence has an A, C, G or T", e->path);
    sha256_digest(&sum, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(e->digest + 2 * i, 3, "%02x", digest[i]);
    return rc;
}

/* Replaces n letters by tokens, in the same memory. Returns the number of letters other than A, C, G, T and N. */
static int64_t encode(const cad_model_t *model, uint8_t *s, int64_t n)
{
    char part[4096];
    int64_t odd = 0;
    for (int64_t at = 0, k; at < n; at += k) {
        k = cad_min(n - at, (int64_t)sizeof part);
        memcpy(part, s + at, (size_t)k);
        odd += cad_encode(model, part, k, 0, s + at);
    }
    return odd;
}

void examples_encode(examples_t *e, const cad_model_t *model, notes_t *notes)
{
    for (int64_t i = 0; i < e->n; i++) {
        example_t *x = &e->row[i];
        int64_t odd = encode(model, x->tokens, x->len);
        if (x->sides) encode(model, x->sides, 2 * x->around);
        note(notes, NOTE_IUPAC, odd, "%s:%lld: letters other than A, C, G, T and N; they are read as N", e->path,
             (long long)x->line);
    }
}

void examples_free(examples_t *e)
{
    examples_clear(e);
    for (int k = 0; k < e->nlabel; k++) free(e->label_name[k]);
    free(e->row);
    free(e->label_name);
    free(e->cell);
    free(e->target);
    memset(e, 0, sizeof *e);
}

/* ---- names of labels ---- */

typedef struct {
    char **name;
    int64_t n, room;
} names_list_t;

static int keep_name(names_list_t *l, const char *s, size_t n, cad_error_t *err)
{
    if (l->n && strlen(l->name[l->n - 1]) == n && !memcmp(l->name[l->n - 1], s, n))
        return 0; /* returns early: the previous row had the same label */
    if (l->n == l->room) {
        int64_t room = l->room ? 2 * l->room : 64;
        char **more = realloc(l->name, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        l->name = more;
        l->room = room;
    }
    l->name[l->n] = strndup(s, n);
    return l->name[l->n] ? (l->n++, 0) : cad_out_of_memory(err);
}

/* Compares two names. Whole numbers come first, sorted by value; then all other names, sorted by bytes. */
static int by_label(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int64_t i = 0, j = 0;
    bool m = cad_parse_int(x, INT64_MIN, INT64_MAX, &i), n = cad_parse_int(y, INT64_MIN, INT64_MAX, &j);
    if (m != n) return m ? -1 : 1;
    return m && i != j ? (i > j) - (i < j) : strcmp(x, y);
}

static void sort_names(names_list_t *l)
{
    int64_t n = 0;
    if (l->n) qsort(l->name, (size_t)l->n, sizeof *l->name, by_label);
    for (int64_t i = 0; i < l->n; i++) {
        if (n && !strcmp(l->name[n - 1], l->name[i])) free(l->name[i]);
        else l->name[n++] = l->name[i];
    }
    l->n = n;
}

static bool printable(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < ' ') return false;
    return true;
}

/* Adds the names in a row's label to the list l. The label is the name of one class or, if `set` is true, a set of
 * names separated by semicolons. */
static int row_names(const examples_t *e, const example_t *x, bool set, names_list_t *l, cad_error_t *err)
{
    const char *s = x->label;
    int rc = 0;
    if (!set && !*s) return bad_label(e, x, s, "is empty", err);
    while (*s && rc == 0) {
        size_t n = set ? strcspn(s, ";") : strlen(s);
        if (n == 0 || !printable(s, n))
            return bad_label(e, x, x->label, "has an empty name or control characters in it", err);
        rc = keep_name(l, s, n, err);
        s += n + (s[n] == ';');
    }
    return rc;
}

static int learn_names(const examples_t *e, cad_head_t *h, cad_error_t *err)
{
    names_list_t l = { 0 };
    int rc = 0;
    for (int64_t i = 0; i < e->n && rc == 0; i++) rc = row_names(e, &e->row[i], h->kind == CAD_HEAD_LABELS, &l, err);
    sort_names(&l);
    if (rc == 0 && h->kind == CAD_HEAD_CLASSES && l.n < 2)
        rc = cad_fail(err, CAD_EFORMAT, "%s: all rows have the label \"%.60s\": nothing to tell apart", e->path,
                      l.name[0]);
    if (rc == 0 && l.n == 0) rc = cad_fail(err, CAD_EFORMAT, "%s: no row has a label", e->path);
    if (rc == 0 && l.n > CLASSES_MOST)
        rc = cad_fail(err, CAD_EFORMAT,
                      "%s: %lld different labels, but at most %d are allowed; for numbers use --task regress", e->path,
                      (long long)l.n, CLASSES_MOST);
    if (rc == 0) rc = cad_head_room(h, l.n, err);
    for (int64_t k = 0; k < l.n; k++) {
        if (rc == 0) h->name[k] = l.name[k];
        else free(l.name[k]);
    }
    free(l.name);
    return rc;
}

static int column_names(const examples_t *e, cad_head_t *h, cad_error_t *err)
{
    int rc = cad_head_room(h, e->nlabel, err);
    for (int k = 0; k < e->nlabel && rc == 0; k++)
        if (!(h->name[k] = strdup(e->label_name[k]))) rc = cad_out_of_memory(err);
    return rc;
}

/* ---- values ---- */

/* Sets e->cell (nlabel) to the texts of the row's label columns. */
static void split_labels(const examples_t *e, const example_t *x)
{
    const char *s = x->label;
    for (int k = 0; k < e->nlabel; k++, s += strlen(s) + 1) e->cell[k] = s;
}

static int read_value(const examples_t *e, const example_t *x, int64_t k, double *v, cad_error_t *err)
{
    const char *s = e->cell[k];
    char *end;
    *v = strtod(s, &end);
    if (*s && !*end && isfinite(*v) && *s > ' ') return 0;
    return bad_label(e, x, s, "is not a number; names are for --task classify", err);
}

/* Adds the values of all rows to sum (K). If `mean` (K) is not NULL, adds the squares of (value - mean) instead. */
static int add_values(const examples_t *e, int64_t K, const double *mean, double *sum, cad_error_t *err)
{
    for (int64_t i = 0; i < e->n; i++) {
        split_labels(e, &e->row[i]);
        for (int64_t k = 0; k < K; k++) {
            double v = 0;
            int rc = read_value(e, &e->row[i], k, &v, err);
            if (rc) return rc;
            sum[k] += mean ? (v - mean[k]) * (v - mean[k]) : v;
        }
    }
    return 0;
}

/* Sets the head's mean and scale to the mean and the standard deviation of each value. A new head is trained on
 * standardised values, since it has no bias. */
static int learn_scale(const examples_t *e, cad_head_t *h, cad_error_t *err)
{
    int rc = add_values(e, h->n, NULL, h->mean, err);
    for (int64_t k = 0; k < h->n; k++) h->mean[k] /= (double)e->n;
    if (rc == 0) rc = add_values(e, h->n, h->mean, h->scale, err);
    for (int64_t k = 0; k < h->n && rc == 0; k++) {
        h->scale[k] = h->scale[k] > 0 ? sqrt(h->scale[k] / (double)e->n) : 1;
        if (!isfinite(h->mean[k]) || !isfinite(h->scale[k]))
            rc = cad_fail(err, CAD_EFORMAT, "%s: values of \"%.60s\" are too large", e->path, h->name[k]);
    }
    return rc;
}

int examples_learn(const examples_t *e, cad_head_t *h, cad_error_t *err)
{
    int rc;
    if (h->kind == CAD_HEAD_CLASSES && e->nlabel > 1)
        return cad_fail(err, CAD_EARG, "%s: %d columns of labels are for --task multilabel or regress", e->path,
                        e->nlabel);
    if (h->kind == CAD_HEAD_CLASSES || (h->kind == CAD_HEAD_LABELS && e->nlabel == 1)) return learn_names(e, h, err);
    rc = column_names(e, h, err);
    return rc == 0 && h->kind == CAD_HEAD_VALUES ? learn_scale(e, h, err) : rc;
}

/* ---- targets ---- */

static int64_t find_name(const cad_head_t *h, const char *s, size_t n)
{
    for (int64_t k = 0; k < h->n; k++)
        if (strlen(h->name[k]) == n && !memcmp(h->name[k], s, n)) return k;
    return -1;
}

static int unknown(const examples_t *e, const example_t *x, const cad_head_t *h, const char *s, size_t n,
                   cad_error_t *err)
{
    char name[64], what[200];
    size_t at;
    snprintf(name, sizeof name, "%.*s", (int)cad_min((int64_t)n, 60), s);
    at = (size_t)snprintf(what, sizeof what, "is none of the model's:");
    for (int64_t k = 0; k < h->n && at < 120; k++)
        at += (size_t)snprintf(what + at, sizeof what - at, "%s %.30s", k ? "," : "", h->name[k]);
    return bad_label(e, x, name, what, err);
}

static int set_names(const examples_t *e, const example_t *x, const cad_head_t *h, float *out, cad_error_t *err)
{
    const char *s = x->label;
    if (h->kind == CAD_HEAD_CLASSES && !*s) return bad_label(e, x, s, "is empty", err);
    while (*s) {
        size_t n = h->kind == CAD_HEAD_LABELS ? strcspn(s, ";") : strlen(s);
        int64_t k = find_name(h, s, n);
        if (k < 0) return unknown(e, x, h, s, n, err);
        out[k] = 1;
        s += n + (s[n] == ';');
    }
    return 0;
}

/* Sets column (K) to the index of the label column of each output of the head. If there are several label columns with
 * names, output k has the column with the name of the output; otherwise it has column k. */
static int find_columns(const examples_t *e, const cad_head_t *h, int64_t *column, cad_error_t *err)
{
    named_t *v = cad_alloc((size_t)h->n, sizeof *v);
    bool named = e->named && h->n > 1;
    int rc = v ? 0 : cad_out_of_memory(err);
    for (int64_t k = 0; k < h->n && rc == 0; k++) v[k] = (named_t) { e->label_name[k], k };
    if (rc == 0 && named) names_sort(v, h->n);
    for (int64_t k = 0; k < h->n && rc == 0; k++) {
        column[k] = named ? names_find(v, h->n, h->name[k]) : k;
        if (column[k] < 0)
            rc = cad_fail(
                err, CAD_EARG,
                "%s: the model's label \"%.60s\" is none of the columns of labels; name it with --label-column",
                e->path, h->name[k]);
    }
    free(v);
    return rc;
}

/* Sets out (K) to the training targets of a row. */
static int set_columns(const examples_t *e, const example_t *x, const cad_head_t *h, const int64_t *column, float *out,
                       cad_error_t *err)
{
    split_labels(e, x);
    for (int64_t k = 0; k < h->n; k++) {
        const char *s = e->cell[column[k]];
        double v = 0;
        int rc = h->kind == CAD_HEAD_VALUES         ? read_value(e, x, column[k], &v, err)
                 : strcmp(s, "0") && strcmp(s, "1") ? bad_label(e, x, s, "is neither 0 nor 1", err)
                                                    : 0;
        if (rc) return rc;
        out[k] = h->kind == CAD_HEAD_VALUES ? (float)((v - h->mean[k]) / h->scale[k]) : *s == '1';
    }
    return 0;
}

static int targets_of_columns(examples_t *e, const cad_head_t *h, cad_error_t *err)
{
    int64_t *column;
    int rc;
    if (e->nlabel != h->n)
        return cad_fail(err, CAD_EARG,
                        "%s: %d columns of labels, and the model has %lld; name them with --label-column", e->path,
                        e->nlabel, (long long)h->n);
    column = cad_alloc((size_t)h->n, sizeof *column);
    rc = column ? find_columns(e, h, column, err) : cad_out_of_memory(err);
    for (int64_t i = 0; i < e->n && rc == 0; i++) rc = set_columns(e, &e->row[i], h, column, e->target + i * h->n, err);
    free(column);
    return rc;
}

static int targets_of_names(examples_t *e, const cad_head_t *h, cad_error_t *err)
{
    int rc = 0;
    if (e->nlabel != 1)
        return cad_fail(err, CAD_EARG, "%s: %d columns of labels, and the model takes one", e->path, e->nlabel);
    for (int64_t i = 0; i < e->n && rc == 0; i++) rc = set_names(e, &e->row[i], h, e->target + i * h->n, err);
    return rc;
}

int examples_targets(examples_t *e, const cad_head_t *h, cad_error_t *err)
{
    bool names = h->kind == CAD_HEAD_CLASSES || (h->kind == CAD_HEAD_LABELS && e->nlabel == 1);
    free(e->target);
    e->target = calloc((size_t)cad_max(e->n, 1) * (size_t)h->n, sizeof *e->target);
    if (!e->target) return cad_out_of_memory(err);
    return names ? targets_of_names(e, h, err) : targets_of_columns(e, h, err);
}

/* ---- random choices, which depend only on a seed ---- */

enum { FOR_ORDER, FOR_STRAND, FOR_SPLIT };

/* Fills order (n) with a random permutation of 0 to n-1 (Fisher-Yates). what: one of FOR_*; which: the epoch or class.
 * Each (seed, what, which) has its own permutation. */
static void shuffle(int64_t *order, int64_t n, uint64_t seed, uint64_t what, uint64_t which)
{
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)cad_below(cad_random(seed, what, which, (uint64_t)i), (uint64_t)i + 1), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

void examples_shuffle(int64_t *order, int64_t n, uint64_t seed, int64_t epoch)
{
    shuffle(order, n, seed, FOR_ORDER, (uint64_t)epoch);
}

bool examples_turned(int64_t row, uint64_t seed, int64_t epoch)
{
    return cad_random(seed, FOR_STRAND, (uint64_t)epoch, (uint64_t)row) & 1;
}

/* Sets chosen[i] for a random fraction of the rows of class `group` (-1: of all rows). Chooses at least one row and
 * leaves at least one row; a single row is not chosen. */
static void choose(const examples_t *e, int64_t K, int64_t group, double fraction, uint64_t seed, int64_t *member,
                   int64_t *order, bool *chosen)
{
    int64_t n = 0, take;
    for (int64_t i = 0; i < e->n; i++)
        if (group < 0 || e->target[i * K + group] > 0.5f) member[n++] = i;
    take = cad_min(cad_max((int64_t)floor(fraction * (double)n + 0.5), 1), n - 1);
    shuffle(order, n, seed, FOR_SPLIT, (uint64_t)(group + 1));
    for (int64_t i = 0; i < take; i++) chosen[member[order[i]]] = true;
}

static int64_t count_true(const bool *b, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += b[i];
    return sum;
}

static void put_row(examples_t *to, const example_t *x, const float *target, int64_t K)
{
    memcpy(to->target + to->n * K, target, (size_t)K * sizeof *target);
    to->row[to->n++] = *x;
    to->tokens += x->len;
    to->longest = cad_max(to->longest, x->len);
}

/* Moves the chosen rows from `all` to `part`. */
static int move_rows(examples_t *all, examples_t *part, int64_t K, const bool *chosen, cad_error_t *err)
{
    int64_t total = all->n, n = count_true(chosen, total);
    part->path = all->path;
    part->row = cad_alloc((size_t)n, sizeof *part->row);
    part->target = cad_alloc((size_t)(n * K), sizeof *part->target);
    if (!part->row || !part->target) return cad_out_of_memory(err);
    part->room = n;
    all->n = all->tokens = all->longest = 0;
    for (int64_t i = 0; i < total; i++) {
        example_t x = all->row[i];
        put_row(chosen[i] ? part : all, &x, all->target + i * K, K);
    }
    return 0;
}

int examples_split(examples_t *all, examples_t *part, const cad_head_t *h, double fraction, uint64_t seed,
                   cad_error_t *err)
{
    int64_t *member = cad_alloc((size_t)all->n * 2, sizeof *member);
    bool *chosen = calloc((size_t)all->n, sizeof *chosen);
    int rc = member && chosen ? 0 : cad_out_of_memory(err);
    memset(part, 0, sizeof *part);
    if (rc == 0 && h->kind == CAD_HEAD_CLASSES)
        for (int64_t k = 0; k < h->n; k++) choose(all, h->n, k, fraction, seed, member, member + all->n, chosen);
    else if (rc == 0) choose(all, h->n, -1, fraction, seed, member, member + all->n, chosen);
    if (rc == 0 && count_true(chosen, all->n) == 0)
        rc = cad_fail(
            err, CAD_EARG,
            "%s: too few rows (%lld) to set any aside for validation; give --valid FILE, or --valid-fraction 0 to go without",
            all->path, (long long)all->n);
    if (rc == 0) rc = move_rows(all, part, h->n, chosen, err);
    free(member);
    free(chosen);
    return rc;
}

/* ---- logits ---- */

void examples_reverse(const example_t *x, const cad_model_t *model, uint8_t *out)
{
    memcpy(out, x->tokens, (size_t)x->padded);
    cad_reverse_complement(model, x->tokens + x->padded, x->len - x->padded, out + x->padded);
}

/* Computes logits of rows that are padded on the left, for Ph: on both strands the padding comes first. */
static int padded_logits(const examples_t *e, cad_context_t *ctx, const cad_model_t *model, int64_t K, float *logits,
                         cad_error_t *err)
{
    uint8_t *second = cad_alloc((size_t)cad_max(e->longest, 1), 1);
    int rc = second ? 0 : cad_out_of_memory(err);
    for (int64_t i = 0; i < e->n && rc == 0; i++) {
        examples_reverse(&e->row[i], model, second);
        rc = cad_classify(ctx, e->row[i].tokens, second, e->row[i].len, logits + i * K, err);
    }
    free(second);
    return rc;
}

static bool any_padded(const examples_t *e)
{
    for (int64_t i = 0; i < e->n; i++)
        if (e->row[i].padded) return true;
    return false;
}

int examples_logits(const examples_t *e, cad_context_t *ctx, const cad_model_t *model, int64_t K, int64_t batch_tokens,
                    float *logits, cad_error_t *err)
{
    cad_window_t *w;
    int rc;
    if (!cad_model_number(model, CAD_RCPS) && any_padded(e)) return padded_logits(e, ctx, model, K, logits, err);
    w = calloc((size_t)cad_max(e->n, 1), sizeof *w);
    rc = w ? 0 : cad_out_of_memory(err);
    for (int64_t i = 0, j; i < e->n && rc == 0; i = j) {
        int64_t tokens = 0;
        for (j = i; j < e->n && (j == i || tokens + e->row[j].len <= batch_tokens); j++) {
            const example_t *x = &e->row[j];
            w[j] = (cad_window_t) { .tokens = x->tokens, .len = x->len, .core_end = x->len };
            tokens += x->len;
        }
        rc = cad_classify_all(ctx, w + i, (int)(j - i), logits + i * K, err);
    }
    free(w);
    return rc;
}
