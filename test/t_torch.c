/* t_torch.c - loads damaged PyTorch files: loading a mutated file must fail or give the same weights.
 *   t_torch          200 mutations of each file
 *   t_torch N        N mutations of each file; also prints statistics
 * If the pickle is mutated and its checksum corrected, other weights are allowed, but no crash and no long run.
 * The memory in use is measured if the program is built with the address sanitizer.
 * SPDX-License-Identifier: MIT */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "model/model.h"
#include "tap.h"

#define SEED 17
static char scratch[64];

/* ---- memory: hooks that the address sanitizer calls, in a build that has it ---- */

static size_t now, peak;
size_t __sanitizer_get_allocated_size(const volatile void *p) __attribute__((weak));
void __sanitizer_malloc_hook(const volatile void *p, size_t size);
void __sanitizer_free_hook(const volatile void *p);

void __sanitizer_malloc_hook(const volatile void *p, size_t size)
{
    (void)p;
    now += size;
    if (now > peak) peak = now;
}

void __sanitizer_free_hook(const volatile void *p)
{
    if (p && __sanitizer_get_allocated_size) now -= __sanitizer_get_allocated_size(p);
}

/* ---- files ---- */

typedef struct {
    unsigned char *b;
    size_t n, room;
} bytes_t;

static bool load(bytes_t *f, const char *path)
{
    FILE *in = fopen(path, "rb");
    struct stat sb;
    if (!in || fstat(fileno(in), &sb)) return false;
    f->n = (size_t)sb.st_size;
    f->room = 2 * f->n + 64;
    f->b = malloc(f->room);
    if (!f->b || fread(f->b, 1, f->n, in) != f->n) return false;
    return fclose(in) == 0;
}

static bool store(const unsigned char *b, size_t n, const char *name)
{
    char path[256];
    FILE *out;
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    out = fopen(path, "wb");
    if (!out || fwrite(b, 1, n, out) != n) return false;
    return fclose(out) == 0;
}

/* ---- mutations ---- */

static uint64_t draw(uint64_t *state, uint64_t below)
{
    return below ? cad_below(cad_random(SEED, (*state)++, 0, 0), below) : 0;
}

/* Returns a random offset in the file. A quarter of the draws are in the first 4096 bytes, where the pickle is, and a
 * quarter in the last 4096, where the zip directory is. */
static size_t place(uint64_t *s, const bytes_t *f)
{
    size_t part = f->n < 4096 ? f->n : 4096;
    switch (draw(s, 4)) {
    case 0: return draw(s, part);
    case 1: return f->n - 1 - draw(s, part);
    default: return draw(s, f->n);
    }
}

static void mutate(uint64_t *s, bytes_t *f)
{
    size_t at = place(s, f), from = place(s, f), n = 1 + draw(s, 64), i;
    if (at + n > f->n) n = f->n - at;
    switch (draw(s, 7)) {
    case 0: f->b[at] ^= (unsigned char)(1 << draw(s, 8)); break;
    case 1: f->b[at] = (unsigned char)draw(s, 256); break;
    case 2: f->n = at; break;
    case 3: /* remove */
        memmove(f->b + at, f->b + at + n, f->n - at - n);
        f->n -= n;
        break;
    case 4: /* insert a copy */
        if (from + n > f->n) n = f->n - from;
        memmove(f->b + at + n, f->b + at, f->n - at);
        memmove(f->b + at, f->b + (from < f->n ? from : 0), n);
        f->n += n;
        break;
    case 5:
        for (i = 0; i < n; i++) f->b[at + i] = draw(s, 2) ? 0xff : 0;
        break;
    default:
        for (i = 0; i < n && from + i < f->n; i++) f->b[at + i] = f->b[from + i];
    }
}

static uint32_t little(const unsigned char *b, int n)
{
    uint32_t u = 0;
    while (n--) u = u << 8 | b[n];
    return u;
}

static uint32_t crc32_of(const unsigned char *b, size_t n)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= b[i];
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

/* Finds the pickle, which is the first member of the zip archive: its data (*begin, *n) and its directory record. */
static bool find_pickle(const bytes_t *f, size_t *begin, size_t *n, size_t *record)
{
    *begin = 30 + little(f->b + 26, 2) + little(f->b + 28, 2);
    for (*record = f->n - 46; *record > *begin; (*record)--)
        if (!memcmp(f->b + *record, "PK\1\2", 4) && little(f->b + *record + 42, 4) == 0) break;
    *n = little(f->b + *record + 24, 4);
    return *record > *begin && *begin + *n < *record;
}

/* Changes bytes of the pickle and corrects its checksum. */
static void mutate_pickle(uint64_t *s, bytes_t *f, size_t begin, size_t n, size_t record)
{
    for (uint64_t k = 1 + draw(s, 3); k > 0; k--) {
        size_t at = begin + draw(s, n), from = begin + draw(s, n), length = 1 + draw(s, draw(s, 2) ? 12 : 1);
        for (size_t i = 0; i < length && at + i < begin + n && from + i < begin + n; i++)
            f->b[at + i] = k % 2 ? f->b[from + i] : (unsigned char)draw(s, 256);
    }
    uint32_t crc = crc32_of(f->b + begin, n);
    for (int i = 0; i < 4; i++) f->b[record + 16 + (size_t)i] = (unsigned char)(crc >> 8 * i);
}

/* ---- opening ---- */

typedef struct {
    int errors, same, other, wordless;
    size_t most; /* maximum memory, in bytes, beyond twice the size of file and model; 0 if never more than that */
    double longest;
} tally_t;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void open_one(const bytes_t *f, const cad_model_t *good, tally_t *t)
{
    cad_model_t *m = NULL;
    cad_error_t err = { "" };
    double begin = seconds();
    size_t before = now, allowed = 2 * f->n + (size_t)good->total * sizeof(float);
    int rc;
    if (!store(f->b, f->n, "pytorch_model.bin")) {
        perror(scratch);
        exit(1);
    }
    peak = now;
    alarm(60);
    rc = cad_model_open(&m, scratch, &err);
    alarm(0);
    if (peak - before > allowed && peak - before - allowed > t->most) t->most = peak - before - allowed;
    if (seconds() - begin > t->longest) t->longest = seconds() - begin;
    if (rc) t->errors++;
    else if (m->total == good->total && !memcmp(m->param, good->param, (size_t)m->total * sizeof(float))) t->same++;
    else t->other++;
    t->wordless += rc && !strstr(err.text, "pytorch_model.bin");
    cad_model_close(m);
}

static void report(const char *name, const tally_t *t)
{
    printf(
        "# %s: %d errors, %d the same weights, %d others; longest %.2f s; %zu bytes above twice the file and the model\n",
        name, t->errors, t->same, t->other, t->longest, t->most);
}

#define SLACK (1 << 20) /* for buffers and the tables of libzip, whose sizes do not grow with the file */

static void test_file(const char *name, const bytes_t *f, const cad_model_t *good, int n)
{
    bytes_t copy = { malloc(f->room), 0, f->room };
    tally_t raw = { 0 }, pickle = { 0 };
    size_t begin = 0, length = 0, record = 0;
    uint64_t state = cad_random_name(name);
    if (!tap_ok(copy.b && find_pickle(f, &begin, &length, &record), "%s: its pickle is found", name)) return;
    for (int i = 0; i < n; i++) {
        memcpy(copy.b, f->b, copy.n = f->n);
        for (uint64_t k = draw(&state, 3) + 1; k > 0 && copy.n > 64; k--)
            if (copy.n + 64 < copy.room) mutate(&state, &copy);
        open_one(&copy, good, &raw);
    }
    for (int i = 0; i < n; i++) {
        memcpy(copy.b, f->b, copy.n = f->n);
        mutate_pickle(&state, &copy, begin, length, record);
        open_one(&copy, good, &pickle);
    }
    report(name, &raw);
    report("its pickle, with the right checksum", &pickle);
    tap_ok(raw.errors > 0 && raw.other == 0, "%s: %d mutations are errors or leave the same weights", name, n);
    tap_ok(pickle.errors > 0, "and %d of its pickle do not crash", n);
    tap_ok(raw.wordless + pickle.wordless == 0, "the errors name the file");
    tap_ok(raw.longest < 30 && pickle.longest < 30, "none takes long");
    if (peak) tap_ok(raw.most < SLACK && pickle.most < SLACK, "memory stays below twice the file, the model and 1 MB");
    else tap_skip("memory stays below twice the file", "measured with the address sanitizer only");
    free(copy.b);
}

/* Copies the file `name` of the model to the scratch folder. */
static bool carry(const char *dir, const char *name)
{
    char path[4096];
    bytes_t f = { 0 };
    bool good;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    good = load(&f, path) && store(f.b, f.n, name);
    free(f.b);
    return good;
}

int main(int argc, char **argv)
{
    static const char *const FILES[] = { "pytorch_model.bin", "last.ckpt" };
    const char *src = getenv("srcdir");
    int n = argc > 1 ? atoi(argv[1]) : 100;
    char dir[3072], path[4096];
    cad_model_t *good = NULL;
    cad_error_t err;
#ifndef CAD_LIBZIP
    tap_skip("PyTorch files are read", "built without libzip");
    return tap_finish();
#endif
    snprintf(dir, sizeof dir, "%s/test/data/torch", src ? src : ".");
    strcpy(scratch, "/tmp/caduceus-torch.XXXXXX");
    if (!mkdtemp(scratch) || !carry(dir, "config.json") || !carry(dir, "tokenizer_config.json")) return 1;
    if (tap_ok(cad_model_open(&good, dir, &err) == 0, "the model opens"))
        for (int i = 0; i < 2; i++) {
            bytes_t f = { 0 };
            snprintf(path, sizeof path, "%s/%s", dir, FILES[i]);
            if (tap_ok(load(&f, path), "%s is there", FILES[i])) test_file(FILES[i], &f, good, n);
            free(f.b);
        }
    cad_model_close(good);
    for (int i = 0; i < 3; i++) {
        static const char *const NAME[] = { "config.json", "tokenizer_config.json", "pytorch_model.bin" };
        snprintf(path, sizeof path, "%s/%s", scratch, NAME[i]);
        unlink(path);
    }
    rmdir(scratch);
    return tap_finish();
}
