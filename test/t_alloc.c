/* t_alloc.c - tests that every function reports CAD_ENOMEM and leaks nothing if its n-th allocation fails, for
 * every n. Linked with --wrap, which replaces the allocators. SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/notes.h"
#include "caduceus.h"
#include "tap.h"

/* countdown: number of allocations that succeed before one fails; -1: none fails. live: allocations not yet freed. */
static long countdown = -1, live;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t s);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t a, size_t n);
char *__real_realpath(const char *path, char *out);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t s);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t a, size_t n);
char *__wrap_realpath(const char *path, char *out);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

static int fails(void) { return countdown >= 0 && countdown-- == 0; }
static void *counted(void *p)
{
    __atomic_add_fetch(&live, p != NULL, __ATOMIC_RELAXED);
    return p;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : counted(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t s) { return fails() ? NULL : counted(__real_calloc(n, s)); }
void *__wrap_aligned_alloc(size_t a, size_t n) { return fails() ? NULL : counted(__real_aligned_alloc(a, n)); }
void *__wrap_realloc(void *p, size_t n)
{
    void *q = fails() ? NULL : __real_realloc(p, n);
    return p ? q : counted(q);
}
char *__wrap_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *t = __wrap_malloc(len + 1);
    if (t) {
        memcpy(t, s, len);
        t[len] = 0;
    }
    return t;
}
char *__wrap_realpath(const char *path, char *out)
{
    return out ? __real_realpath(path, out) : counted(__real_realpath(path, NULL));
}
char *__wrap_strdup(const char *s) { return __wrap_strndup(s, strlen(s)); }
void __wrap_free(void *p)
{
    __atomic_sub_fetch(&live, p != NULL, __ATOMIC_RELAXED);
    __real_free(p);
}

/* Opens and uses a model. Returns 0, or the first error. */
static int use(const char *path, cad_error_t *err)
{
    cad_model_t *m = NULL;
    cad_context_t *ctx = NULL;
    uint8_t tok[48];
    float logp[48 * 4], hidden[48 * 64], logits[48 * 16];
    cad_window_t w = { .tokens = tok, .len = 48, .core_beg = 4, .core_end = 44, .logp = logp, .embedding = hidden };
    cad_options_t o;
    int rc = cad_model_open(&m, path, err);
    cad_options_init(&o);
    o.threads = 2;
    o.max_len = 64;
    if (rc == 0) rc = cad_context_open(&ctx, m, &o, err);
    if (rc == 0) cad_encode(m, "ACGTACGTTTGACNACGTACGTTTGACNACGTACGTTTGACNACGTAC", 48, 0, tok);
    if (rc == 0) rc = cad_forward(ctx, tok, 48, hidden, logits, err);
    if (rc == 0) rc = cad_score(ctx, &w, 1, 8, err);
    if (rc == 0) rc = cad_embed(ctx, &w, 1, CAD_POOL_MAX, err);
    cad_context_close(ctx);
    cad_model_close(m);
    return rc;
}

static int describe(void *err, const cad_snapshot_t *s)
{
    cad_summary_t m;
    return cad_model_summary(&m, s->path, err);
}

/* Finds a model in a cache of the hub, and lists the cache. Returns 0, or the first error. */
static int look_up(const char *cache, cad_error_t *err)
{
    cad_summary_t m;
    int rc = setenv("HF_HUB_CACHE", cache, 1) ? CAD_ENOMEM : cad_model_summary(&m, "hf:lab/dna@refs/pr/1", err);
    return rc ? rc : cad_hub_list(describe, err, err);
}

/* The files and folders of a cache with one model, in the order in which they can be removed. */
static const char *const CACHE[] = { "models--lab--dna/snapshots/abc",
                                     "models--lab--dna/snapshots",
                                     "models--lab--dna/refs/refs/pr/1",
                                     "models--lab--dna/refs/refs/pr",
                                     "models--lab--dna/refs/refs",
                                     "models--lab--dna/refs",
                                     "models--lab--dna" };
enum { NCACHE = sizeof CACHE / sizeof *CACHE };
/* Creates the cache CACHE in dir; its snapshot is a symbolic link to path. */
static void make_cache(const char *dir, const char *path)
{
    char at[4096], *whole = realpath(path, NULL);
    for (int i = NCACHE - 1; i >= 0; i--) {
        FILE *f;
        snprintf(at, sizeof at, "%s/%s", dir, CACHE[i]);
        if (i == 0) tap_ok(whole && symlink(whole, at) == 0, "a cache is made");
        else if (i != 2) mkdir(at, 0777);
        else if ((f = fopen(at, "w"))) {
            fputs("abc", f);
            fclose(f);
        }
    }
    free(whole);
}

#ifdef CAD_LIBZIP
/* Opens a model. Returns 0, or the first error. */
static int open_alone(const char *path, cad_error_t *err)
{
    cad_model_t *m = NULL;
    int rc = cad_model_open(&m, path, err);
    cad_model_close(m);
    return rc;
}
#endif

/* Creates and saves models. Returns 0, or the first error. */
static int make(const char *dir, cad_error_t *err)
{
    static const char config[] = "{\"d_model\": 8, \"n_layer\": 2, \"vocab_size\": 12, \"rcps\": true}";
    cad_model_t *m = NULL, *c = NULL;
    int rc = cad_model_create(&m, config, 100, 1, err);
    if (rc == 0) rc = cad_model_classifier(&c, m, 2, 1, err);
    if (rc == 0) rc = cad_model_save(c, dir, "a test", err);
    cad_model_close(m);
    cad_model_close(c);
    return rc;
}

/* Trains for a step, saves the checkpoint and loads it. Returns 0, or the first error. */
static int train(const char *dir, cad_error_t *err)
{
    static const char config[] = "{\"d_model\": 8, \"n_layer\": 2, \"vocab_size\": 12, \"rcps\": true}";
    cad_model_t *m = NULL;
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    uint8_t tok[48], masked[48];
    float weight[48];
    cad_example_t e = { .tokens = masked, .len = 48, .labels = tok, .weight = weight };
    char path[4096], *note = NULL;
    double sum = 0;
    int rc = cad_model_create(&m, config, 100, 1, err);
    snprintf(path, sizeof path, "%s/training.safetensors", dir);
    cad_recipe_init(&r);
    r.threads = 2;
    r.max_tokens = 64;
    if (rc == 0) rc = cad_trainer_open(&t, m, &r, err);
    if (rc == 0) cad_encode(m, "ACGTACGTTTGACNACGTACGTTTGACNACGTACGTTTGACNACGTAC", 48, 0, tok);
    if (rc == 0) cad_mask(m, 1, 1, tok, 48, masked, weight);
    if (rc == 0) rc = cad_trainer_add(t, CAD_LOSS_TOKENS, &e, 1, 1, &sum, err);
    if (rc == 0) rc = cad_trainer_update(t, 1e-3, NULL, err);
    if (rc == 0) rc = cad_trainer_save(t, path, "a test", err);
    if (rc == 0) rc = cad_trainer_load(t, path, &note, err);
    free(note);
    cad_trainer_close(t);
    cad_model_close(m);
    return rc;
}

/* Runs `call` many times; in run n its n-th allocation fails. least: minimum number of allocations to expect. */
static void fail_each(const char *what, int (*call)(const char *, cad_error_t *), const char *path, long least)
{
    long n, leaks = 0, wrong = 0, silent = 0;
    cad_error_t err;
    tap_ok(call(path, &err) == 0, "%s: without failures all calls succeed", what);
    tap_ok(live == 0, "and leave %ld allocations behind", live);
    for (n = 0; n < 100000; n++) {
        int rc;
        countdown = n;
        err.text[0] = 0;
        rc = call(path, &err);
        leaks += live != 0;
        live = 0;
        /* call made fewer than n + 1 allocations, so all were tested. (It may also succeed although one failed.) */
        if (rc == 0 && countdown >= 0) break;
        wrong += rc && rc != CAD_ENOMEM;
        silent += rc && err.text[0] == 0;
    }
    countdown = -1;
    tap_ok(n >= least, "%ld allocations were made to fail in turn", n);
    tap_ok(leaks == 0, "%ld of the failures leaked", leaks);
    tap_ok(wrong == 0, "%ld of them were not reported as CAD_ENOMEM", wrong);
    tap_ok(silent == 0, "%ld of them had no text", silent);
}

int main(void)
{
    static const char *const files[] = { "config.json", "tokenizer_config.json", "model.safetensors",
                                         "training.safetensors" };
    const char *srcdir = getenv("srcdir"), *tmp = getenv("TMPDIR");
    char path[4096], dir[3000], file[4096];
    snprintf(path, sizeof path, "%s/test/data/ps", srcdir ? srcdir : ".");
    snprintf(dir, sizeof dir, "%s/caduceus-test.XXXXXX", tmp ? tmp : "/tmp");
    fail_each("a model that is run", use, path, 100);
#ifdef CAD_LIBZIP
    snprintf(path, sizeof path, "%s/test/data/torch", srcdir ? srcdir : ".");
    fail_each("a PyTorch file that is opened", open_alone, path, 100);
#endif
    if (!mkdtemp(dir)) return 1;
    fail_each("one that is made and saved", make, dir, 25);
    fail_each("a step of training", train, dir, 60);
    make_cache(dir, path);
    fail_each("a cache that is searched and listed", look_up, dir, 40);
    for (int i = 0; i < NCACHE; i++) {
        snprintf(file, sizeof file, "%s/%s", dir, CACHE[i]);
        remove(file);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", dir, files[i]);
        unlink(file);
    }
    tap_ok(rmdir(dir) == 0, "nothing else is left in the folder");
    return tap_finish();
}
