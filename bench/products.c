/* products.c - compares the speed of this program's matrix product with oneDNN's, at the shapes
 * of the published model (D 256): with one thread, packed weights in both, run alternately.
 *     make bench/products && bench/products [ROUNDS]
 * Needs Debian's libdnnl-dev. $CADUCEUS_ISA limits the instruction set of this program only.
 * SPDX-License-Identifier: MIT */
#include <oneapi/dnnl/dnnl.h>
#include <time.h>
#include <unistd.h>

#include "measure/measure.h"
#include "base/random.h"

#define LEAST 0.02 /* shortest measurement, in seconds */
#define MOST 1001  /* largest number of rounds */

typedef struct { /* c (rows,n) = a (rows,k) w^T, w (n,k) */
    int64_t n, k, rows;
    float *a, *w, *packed, *bias, *c, *c2;
    dnnl_primitive_t multiply;
    dnnl_exec_arg_t arg[3];
} product_t;

static const cad_probe_t *ours;
static dnnl_engine_t engine;
static dnnl_stream_t stream;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int failed(const char *what)
{
    fprintf(stderr, "bench/products: %s\n", what);
    return 1;
}

static float *random_floats(int64_t n, uint64_t seed)
{
    float *a = cad_alloc((size_t)n, sizeof *a);
    for (int64_t i = 0; a && i < n; i++) a[i] = (float)(2 * cad_unit(cad_random(seed, 0, 0, (uint64_t)i)) - 1);
    return a;
}

/* ---- oneDNN; versions 2 and 3 have different descriptors ---- */

#if DNNL_VERSION_MAJOR < 3
typedef dnnl_memory_desc_t shape_t;
#define AT(shape) (&(shape))
#define describe dnnl_memory_desc_init_by_tag
typedef const dnnl_memory_desc_t *layout_t;

static dnnl_status_t describe_product(dnnl_primitive_desc_t *d, const shape_t *a, const shape_t *w, const shape_t *c)
{
    dnnl_matmul_desc_t m;
    dnnl_status_t rc = dnnl_matmul_desc_init(&m, a, w, NULL, c);
    return rc ? rc : dnnl_primitive_desc_create(d, &m, NULL, engine, NULL);
}
#else
typedef dnnl_memory_desc_t shape_t;
#define AT(shape) (shape)
#define describe dnnl_memory_desc_create_with_tag
typedef const_dnnl_memory_desc_t layout_t;

static dnnl_status_t describe_product(dnnl_primitive_desc_t *d, layout_t a, layout_t w, layout_t c)
{
    return dnnl_matmul_primitive_desc_create(d, engine, a, w, NULL, c, NULL);
}
#endif

/* Copies p->w (n,k) to *to, in the layout that oneDNN chose for the product. */
static dnnl_status_t reorder(const product_t *p, layout_t wanted, dnnl_memory_t *to)
{
    dnnl_dims_t dims = { p->k, p->n };
    shape_t plain;
    dnnl_memory_t from;
    dnnl_primitive_desc_t d;
    dnnl_primitive_t copy;
    dnnl_status_t rc = describe(&plain, 2, dims, dnnl_f32, dnnl_ba);
    if (!rc) rc = dnnl_memory_create(&from, AT(plain), engine, p->w);
    if (!rc) rc = dnnl_memory_create(to, wanted, engine, DNNL_MEMORY_ALLOCATE);
    if (!rc) rc = dnnl_reorder_primitive_desc_create(&d, AT(plain), engine, wanted, engine, NULL);
    if (!rc) rc = dnnl_primitive_create(&copy, d);
    if (!rc)
        rc = dnnl_primitive_execute(copy, stream, 2,
                                    (dnnl_exec_arg_t[]) { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, *to } });
    return rc ? rc : dnnl_stream_wait(stream);
}

static dnnl_status_t open_theirs(product_t *p)
{
    dnnl_dims_t a = { p->rows, p->k }, w = { p->k, p->n }, c = { p->rows, p->n };
    shape_t as, ws, cs;
    dnnl_primitive_desc_t d;
    dnnl_status_t rc = describe(&as, 2, a, dnnl_f32, dnnl_ab);
    p->arg[0].arg = DNNL_ARG_SRC;
    p->arg[1].arg = DNNL_ARG_WEIGHTS;
    p->arg[2].arg = DNNL_ARG_DST;
    if (!rc) rc = describe(&ws, 2, w, dnnl_f32, dnnl_format_tag_any);
    if (!rc) rc = describe(&cs, 2, c, dnnl_f32, dnnl_ab);
    if (!rc) rc = describe_product(&d, AT(as), AT(ws), AT(cs));
    if (!rc) rc = dnnl_primitive_create(&p->multiply, d);
    if (!rc) rc = dnnl_memory_create(&p->arg[0].memory, AT(as), engine, p->a);
    if (!rc) rc = reorder(p, dnnl_primitive_desc_query_md(d, dnnl_query_weights_md, 0), &p->arg[1].memory);
    return rc ? rc : dnnl_memory_create(&p->arg[2].memory, AT(cs), engine, p->c2);
}

static void run_theirs(product_t *p)
{
    dnnl_primitive_execute(p->multiply, stream, 3, p->arg);
    dnnl_stream_wait(stream);
}

static void run_ours(product_t *p) { ours->product(p->a, p->rows, p->packed, p->n, p->k, p->bias, p->c); }

/* ---- measuring ---- */

static int open_product(product_t *p)
{
    p->a = random_floats(p->rows * p->k, 1);
    p->w = random_floats(p->n * p->k, 2);
    p->packed = random_floats(p->n * p->k, 3);
    p->bias = calloc((size_t)p->n, sizeof *p->bias);
    p->c = random_floats(p->rows * p->n, 4);
    p->c2 = random_floats(p->rows * p->n, 5);
    if (!p->a || !p->w || !p->packed || !p->bias || !p->c || !p->c2) return failed("out of memory");
    ours->pack(p->w, p->n, p->k, p->packed);
    if (open_theirs(p)) return failed("oneDNN refuses a product");
    run_ours(p);
    run_theirs(p);
    return cad_relative_error(p->c, p->c2, p->rows * p->n) < 1e-5 ? 0 : failed("the two products differ");
}

static double rate(product_t *p, void (*run)(product_t *))
{
    double start = now(), spent;
    int64_t calls = 0;
    do {
        run(p);
        calls++;
        spent = now() - start;
    } while (spent < LEAST);
    return 2e-9 * (double)(p->rows * p->n * p->k * calls) / spent;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, compare);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

static int measure(int64_t n, int64_t k, int64_t rows, int rounds)
{
    static double theirs[MOST], mine[MOST], ratio[MOST];
    product_t p = { n, k, rows, NULL, NULL, NULL, NULL, NULL, NULL, NULL, { { 0, NULL } } };
    if (open_product(&p)) return 1;
    for (int i = 0; i < rounds; i++) {
        theirs[i] = rate(&p, run_theirs);
        mine[i] = rate(&p, run_ours);
        ratio[i] = mine[i] / theirs[i];
    }
    printf("%5lld %5lld %6lld %9.1f %9.1f %6.2f\n", (long long)n, (long long)k, (long long)rows, median(theirs, rounds),
           median(mine, rounds), median(ratio, rounds));
    fflush(stdout);
    free(p.a);
    free(p.w);
    free(p.packed);
    free(p.bias);
    free(p.c);
    free(p.c2);
    return 0;
}

int main(int argc, char **argv)
{
    static const int64_t shape[][2] = { { 1024, 256 }, { 48, 512 }, { 512, 16 }, { 256, 512 } }, rows[] = { 4032, 126 };
    cad_peaks_t peaks = { 0, 0, 0, 0 };
    cad_error_t err;
    int64_t rounds = 11;
    if (argc > 1 && !cad_parse_int(argv[1], 1, MOST, &rounds)) return failed("usage: bench/products [ROUNDS]");
    if (!getenv("OMP_NUM_THREADS") || strcmp(getenv("OMP_NUM_THREADS"), "1")) { /* read before main begins */
        if (setenv("OMP_NUM_THREADS", "1", 1)) return failed("out of memory");
        execv("/proc/self/exe", argv);
        return failed("cannot start anew with one thread; set OMP_NUM_THREADS=1");
    }
    if (cad_cpu_probe(&ours, false, &err) || cad_peaks_measure(&peaks, 1, false, &err)) return failed(err.text);
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) || dnnl_stream_create(&stream, engine, dnnl_stream_default_flags))
        return failed("oneDNN does not start");
    printf("%s against oneDNN %d.%d.%d, one thread, float32, GFLOP/s, medians of %lld; peak %.1f\n", ours->name,
           dnnl_version()->major, dnnl_version()->minor, dnnl_version()->patch, (long long)rounds, peaks.flop * 1e-9);
    printf("%5s %5s %6s %9s %9s %6s\n", "N", "K", "rows", "oneDNN", "caduceus", "ratio");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
            if (measure(shape[i][0], shape[i][1], rows[r], (int)rounds)) return 1;
    return 0;
}
