/* cellreport.c - prints the measurements of bench as tables or as JSON. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>
#include <unistd.h>

#include "bench/cells.h"

/* ---- the results of a cell ---- */

typedef struct {
    /* Times are nanoseconds per token, layer and strand, of one thread or of a GPU; NaN if unknown. */
    double median, least, most; /* tokens per second */
    double tls;                 /* sum of the measured times of all operations */
    double floor;               /* sum of the least possible times of all operations, from the peak rates */
    double op[CAD_NOP], op_floor[CAD_NOP];
    double traffic; /* least possible time of memory transfers */
} result_t;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double workers(const cell_t *c) { return strncmp(c->device, "cpu", 3) ? 1 : c->threads; }

static result_t result_of(const bench_t *b, const cell_t *c)
{
    int64_t n = b->a->rounds;
    double sorted[1000];
    cad_cost_t cost[CAD_NOP], all = { 0, 0, 0 };
    result_t r;
    memcpy(sorted, c->rate, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    r.least = sorted[0];
    r.most = sorted[n - 1];
    r.median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    r.tls = 1e9 * workers(c) / r.median / 2 / (double)cad_model_number(c->model->m, CAD_N_LAYER);
    cad_costs(c->model->m, cost);
    for (int i = 0; i < cad_op_count(c->model->m); i++) {
        double floor = c->peaks ? 1e9 * cad_floor(&cost[i], &c->peaks->rate) : 0;
        r.op[i] = c->spent[i] > 0 ? 1e9 * c->spent[i] / c->metered : NAN;
        r.op_floor[i] = floor > 0 ? floor : NAN;
        all.flop += cost[i].flop;
        all.updates += cost[i].updates;
        all.exps += cost[i].exps;
    }
    r.floor = c->peaks ? 1e9 * cad_floor(&all, &c->peaks->rate) : NAN;
    r.traffic = c->peaks ? 1e9 * cad_traffic(c->model->m) / c->peaks->rate.bytes : NAN;
    return r;
}

static double tokens_of(const cell_t *c) { return (double)(c->batch * c->window); }

static void processor(char *name, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    char line[512];
    snprintf(name, size, "a processor");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            line[strcspn(line, "\n")] = 0;
            snprintf(name, size, "%s", strchr(line, ':') + 1 + strspn(strchr(line, ':') + 1, " \t"));
            break;
        }
    if (f) fclose(f);
}

/* ---- tables ---- */

/* Returns v as text in buf, or "-" if it is NaN. */
static const char *number(double v, const char *fmt, char buf[32])
{
    snprintf(buf, 32, fmt, v);
    return isnan(v) ? "-" : buf;
}

/* Returns part / whole in percent as text in buf, or "-" if it is NaN. */
static const char *percent(double part, double whole, char buf[32])
{
    return number(100 * part / whole, "%.0f%%", buf);
}

static int number_of(const bench_t *b, const cell_t *c) { return (int)(c->model - b->model) + 1; }

static void print_head(const bench_t *b)
{
    char name[512];
    processor(name, sizeof name);
    printf("caduceus %s, %s, %ld CPUs; medians of %lld rounds\n\n", cad_version(), name, sysconf(_SC_NPROCESSORS_ONLN),
           (long long)b->a->rounds);
    for (int i = 0; i < b->nmodel; i++) {
        const cad_model_t *m = b->model[i].m;
        printf("model %d: %s, %s, D %lld, %lld layers, %lld parameters\n", i + 1, b->model[i].name,
               cad_model_text(m, CAD_TEXT_KIND), (long long)cad_model_number(m, CAD_D_MODEL),
               (long long)cad_model_number(m, CAD_N_LAYER), (long long)cad_model_number(m, CAD_PARAMETERS));
    }
}

static void print_cell(const bench_t *b, const cell_t *c)
{
    char t[5][32];
    result_t r;
    printf("%5d %9lld %6lld %7d ", number_of(b, c), (long long)c->window, (long long)c->batch, c->threads);
    if (*c->refused) {
        printf("%9s  refused: %s\n", c->wanted ? c->wanted : "-", c->refused);
        return;
    }
    r = result_of(b, c);
    printf("%9s %10.4g %10.4g %10.4g %6s %9s %9s %8s  %s\n", c->precision, r.median, r.least, r.most,
           percent(r.floor, r.tls, t[0]), number((double)c->reserved / tokens_of(c), "%.0f", t[1]),
           number(c->touched < 0 ? NAN : (double)c->touched / tokens_of(c), "%.0f", t[2]),
           number(c->hidden_error, "%.2g", t[3]), c->device);
}

static void print_cells(const bench_t *b)
{
    puts("\ntokens per second; percent of the floor; bytes of memory per token, reserved and touched; error");
    printf("%5s %9s %6s %7s %9s %10s %10s %10s %6s %9s %9s %8s  %s\n", "model", "window", "batch", "threads",
           "precision", "tokens/s", "min", "max", "floor", "reserved", "touched", "error", "device");
    for (int i = 0; i < b->ncell; i++) print_cell(b, &b->cell[i]);
}

/* True if operation op is called when an embedding is computed, which is what bench measures: all operations but the
 * head. */
static bool embeds(const cad_model_t *m, int op) { return strcmp(cad_op_name(m, op), "head") != 0; }

static void print_operation_names(const cad_model_t *m)
{
    puts("\nns per token, layer and strand, of one thread or of the device; percent of the floor");
    printf("%5s %9s %6s %7s %9s %9s", "model", "window", "batch", "threads", "precision", "all");
    for (int i = 0; i < cad_op_count(m); i++)
        if (embeds(m, i)) printf(" %8s %4s", cad_op_name(m, i), "");
    printf(" %9s\n", "memory");
}

/* True if two models have the same operations, so that their tables need only one heading. */
static bool same_operations(const cad_model_t *a, const cad_model_t *b)
{
    bool same = cad_op_count(a) == cad_op_count(b);
    for (int i = 0; same && i < cad_op_count(a); i++) same = !strcmp(cad_op_name(a, i), cad_op_name(b, i));
    return same;
}

static void print_operation_times(const bench_t *b, const cell_t *c)
{
    const cad_model_t *m = c->model->m;
    result_t r = result_of(b, c);
    char t[2][32];
    printf("%5d %9lld %6lld %7d %9s %9.4g", number_of(b, c), (long long)c->window, (long long)c->batch, c->threads,
           c->precision, r.tls);
    for (int i = 0; i < cad_op_count(m); i++)
        if (embeds(m, i)) printf(" %8s %4s", number(r.op[i], "%.4g", t[0]), percent(r.op_floor[i], r.op[i], t[1]));
    printf(" %9s\n", number(r.traffic, "%.4g", t[0]));
}

static void print_operations(const bench_t *b)
{
    const cad_model_t *named = b->model[0].m;
    print_operation_names(named);
    for (const cell_t *c = b->cell; c < b->cell + b->ncell; c++) {
        if (*c->refused) continue;
        if (!same_operations(named, c->model->m)) print_operation_names(c->model->m);
        named = c->model->m;
        print_operation_times(b, c);
    }
}

static void print_rates(const bench_t *b)
{
    printf("\n%s, per second\n%7s %9s %12s %12s %12s %12s\n",
           b->a->peaks_given ? "peak rates as given" : "peak rates of one thread, by the number of running threads",
           "threads", "precision", "GFLOP", "10^9 updates", "10^9 exps", "GB");
    for (int i = 0; i < b->nrates; i++) {
        const rates_t *r = &b->rates[i];
        char threads[32];
        snprintf(threads, sizeof threads, "%d", r->threads);
        printf("%7s %9s %12.4g %12.4g %12.4g %12.4g\n", b->a->peaks_given ? "-" : threads,
               b->a->peaks_given ? "-" : r->precision, r->rate.flop * 1e-9, r->rate.updates * 1e-9, r->rate.exps * 1e-9,
               r->rate.bytes * 1e-9);
    }
}

void cells_table(const bench_t *b)
{
    print_head(b);
    print_cells(b);
    if (!b->a->brief) print_operations(b);
    if (b->nrates) print_rates(b);
}

/* ---- JSON ---- */

/* Returns a JSON number, or null for NaN and infinities. */
static json_t *real(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *model_json(const subject_t *s)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s}", "name", s->name, "kind", cad_model_text(s->m, CAD_TEXT_KIND),
                     "d_model", (json_int_t)cad_model_number(s->m, CAD_D_MODEL), "n_layer",
                     (json_int_t)cad_model_number(s->m, CAD_N_LAYER), "parameters",
                     (json_int_t)cad_model_number(s->m, CAD_PARAMETERS), "sha256",
                     cad_model_text(s->m, CAD_TEXT_SHA256));
}

static json_t *rates_json(const bench_t *b, const rates_t *r)
{
    json_t *o = json_pack("{s:f, s:f, s:f, s:f}", "flop", r->rate.flop, "updates", r->rate.updates, "exps",
                          r->rate.exps, "bytes", r->rate.bytes);
    if (b->a->peaks_given) return o;
    json_object_set_new(o, "threads", json_integer(r->threads));
    json_object_set_new(o, "precision", json_string(r->precision));
    return o;
}

static json_t *operations_json(const cad_model_t *m, const result_t *r)
{
    json_t *all = json_object();
    for (int i = 0; i < cad_op_count(m); i++)
        if (!isnan(r->op[i]))
            json_object_set_new(all, cad_op_name(m, i),
                                json_pack("{s:f, s:o, s:o}", "ns", r->op[i], "floor_ns", real(r->op_floor[i]),
                                          "percent_of_floor", real(100 * r->op_floor[i] / r->op[i])));
    return all;
}

static void measured_json(const bench_t *b, const cell_t *c, json_t *o)
{
    result_t r = result_of(b, c);
    json_t *rounds = json_array();
    for (int64_t i = 0; i < b->a->rounds; i++) json_array_append_new(rounds, json_real(c->rate[i]));
    json_object_set_new(o, "device", json_string(c->device));
    json_object_set_new(o, "precision", json_string(c->precision));
    json_object_set_new(
        o, "tokens_per_second",
        json_pack("{s:f, s:f, s:f, s:o}", "median", r.median, "min", r.least, "max", r.most, "rounds", rounds));
    json_object_set_new(o, "bytes",
                        json_pack("{s:I, s:o}", "reserved", (json_int_t)c->reserved, "touched",
                                  c->touched < 0 ? json_null() : json_integer(c->touched)));
    json_object_set_new(o, "bytes_per_token",
                        json_pack("{s:f, s:o}", "reserved", (double)c->reserved / tokens_of(c), "touched",
                                  real(c->touched < 0 ? NAN : (double)c->touched / tokens_of(c))));
    json_object_set_new(o, "ns", json_real(r.tls));
    if (b->a->brief) return;
    json_object_set_new(o, "floor_ns", real(r.floor));
    json_object_set_new(o, "percent_of_floor", real(100 * r.floor / r.tls));
    json_object_set_new(o, "memory_ns", real(r.traffic));
    json_object_set_new(o, "operations", operations_json(c->model->m, &r));
    json_object_set_new(o, "error",
                        json_pack("{s:o, s:o}", "hidden", real(c->hidden_error), "logits", real(c->logits_error)));
}

static json_t *cell_json(const bench_t *b, const cell_t *c)
{
    json_t *o = json_pack("{s:i, s:I, s:I, s:i}", "model", number_of(b, c) - 1, "window", (json_int_t)c->window,
                          "batch", (json_int_t)c->batch, "threads", c->threads);
    if (!*c->refused) measured_json(b, c, o);
    else {
        json_object_set_new(o, "precision", c->wanted ? json_string(c->wanted) : json_null());
        json_object_set_new(o, "refused", json_string(c->refused));
    }
    return o;
}

int cells_json(const bench_t *b, cad_error_t *err)
{
    char name[512], *text;
    json_t *root, *models = json_array(), *peaks = json_array(), *cells = json_array();
    processor(name, sizeof name);
    for (int i = 0; i < b->nmodel; i++) json_array_append_new(models, model_json(&b->model[i]));
    for (int i = 0; i < b->nrates; i++) json_array_append_new(peaks, rates_json(b, &b->rates[i]));
    for (int i = 0; i < b->ncell; i++) json_array_append_new(cells, cell_json(b, &b->cell[i]));
    root = json_pack("{s:s, s:s, s:i, s:I, s:o, s:o, s:o}", "version", cad_version(), "processor", name, "cpus",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "rounds", (json_int_t)b->a->rounds, "models", models, "peaks",
                     peaks, "cells", cells);
    text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    if (!text) return cad_out_of_memory(err);
    puts(text);
    free(text);
    return 0;
}
