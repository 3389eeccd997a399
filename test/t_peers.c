/* t_peers.c - trains one model in 1 to 7 processes, which are joined by sockets, and compares losses, gradients and weights
 * with those of one process, to the bit. SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "tap.h"
#include "train/trainer.h"

typedef struct {
    const char *name, *config;
    int64_t labels, lora;
} case_t;

#define HEAD "{\"d_model\": 20, \"vocab_size\": 12, \"n_layer\": 2"
#define TWO ", \"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 4, \"d_state\": 5}"
static const case_t CASES[] = { { "PS", HEAD ", \"rcps\": true}", 0, 0 },
                                { "Ph, a classifier", HEAD "}", 3, 0 },
                                { "PS, LoRA", HEAD ", \"rcps\": true}", 2, 2 },
                                { "Mamba-2", HEAD ", \"rcps\": true" TWO "}", 0, 0 } };
#define NCASES ((int)(sizeof CASES / sizeof *CASES))

#define MOST 300 /* examples */
#define LEN 64   /* tokens of the longest; a pack in these tests has PACK */
#define PACK 96
#define RANKS 7
#define STEPS 2

typedef struct { /* what a process has after STEPS steps */
    double loss[STEPS], norm[STEPS], valid;
    int64_t step;
    int rc;
    float param[1 << 16];
} outcome_t;

static uint8_t tok[MOST][LEN], seen[MOST][LEN];
static float weight[MOST][LEN], target[MOST][4];
static cad_example_t ex[MOST];

static void fill_examples(int64_t labels)
{
    for (int i = 0; i < MOST; i++) {
        int64_t len = 1 + (int64_t)cad_below(cad_random(3, (uint64_t)i, 0, 0), LEN);
        for (int k = 0; k < LEN; k++) {
            tok[i][k] = (uint8_t)(7 + cad_below(cad_random(1, (uint64_t)i, (uint64_t)k, 1), 4));
            weight[i][k] = cad_below(cad_random(2, (uint64_t)i, (uint64_t)k, 1), 5) == 0;
            seen[i][k] = weight[i][k] > 0 ? 3 : tok[i][k];
        }
        for (int k = 0; k < 4; k++) target[i][k] = k == (int)(tok[i][0] + i) % 3;
        ex[i] = (cad_example_t) { seen[i], len, tok[i], weight[i], target[i] };
        if (labels) ex[i].labels = NULL, ex[i].weight = NULL;
    }
}

static cad_model_t *model_of(const case_t *c)
{
    cad_model_t *m = NULL, *classifier = NULL;
    cad_error_t err;
    if (cad_model_create(&m, c->config, 1024, 5, &err)) printf("# %s\n", err.text);
    if (!m || !c->labels) return m;
    if (cad_model_classifier(&classifier, m, c->labels, 6, &err)) printf("# %s\n", err.text);
    cad_model_close(m);
    return classifier;
}

/* ---- ranks joined by sockets ---- */

typedef struct {
    int rank, ranks;
    int fd[RANKS][RANKS]; /* fd[i][j]: rank i's end of the connection to rank j */
} mesh_t;

static int send_bytes(void *arg, int to, const void *data, size_t bytes, cad_error_t *err)
{
    const mesh_t *m = arg;
    for (size_t n = 0; n < bytes;) {
        ssize_t k = write(m->fd[m->rank][to], (const char *)data + n, bytes - n);
        if (k <= 0) return cad_fail(err, CAD_EIO, "rank %d does not answer", to);
        n += (size_t)k;
    }
    return 0;
}

static int receive_bytes(void *arg, int from, void *data, size_t bytes, cad_error_t *err)
{
    const mesh_t *m = arg;
    for (size_t n = 0; n < bytes;) {
        ssize_t k = read(m->fd[m->rank][from], (char *)data + n, bytes - n);
        if (k <= 0) return cad_fail(err, CAD_EIO, "rank %d does not answer", from);
        n += (size_t)k;
    }
    return 0;
}

static int broadcast_bytes(void *arg, void *data, size_t bytes, cad_error_t *err)
{
    const mesh_t *m = arg;
    int rc = 0;
    if (m->rank) return receive_bytes(arg, 0, data, bytes, err);
    for (int i = 1; i < m->ranks && rc == 0; i++) rc = send_bytes(arg, i, data, bytes, err);
    return rc;
}

/* Connects all ranks. */
static int open_mesh(mesh_t *m, int ranks)
{
    *m = (mesh_t) { .ranks = ranks };
    for (int i = 0; i < ranks; i++)
        for (int j = 0; j < i; j++) {
            int two[2];
            if (socketpair(AF_UNIX, SOCK_STREAM, 0, two)) return -1;
            m->fd[i][j] = two[0];
            m->fd[j][i] = two[1];
        }
    return 0;
}

/* A rank keeps its own ends only, so that the others notice when it ends. */
static void keep_ends(const mesh_t *m, int rank)
{
    for (int i = 0; i < m->ranks; i++)
        for (int j = 0; j < m->ranks; j++)
            if (i != j && i != rank) close(m->fd[i][j]);
}

/* ---- training ---- */

typedef struct {
    const case_t *c;
    int n; /* examples of a step */
    int threads;
    mesh_t *mesh; /* NULL: one process */

    const char *device; /* NULL: cpu */
    int fails;          /* this rank ends before its first step; -1: none does */
    bool other;         /* the last rank's model has one layer more */
} plan_t;

static enum cad_loss_t loss_of(const plan_t *p) { return p->c->labels ? CAD_LOSS_CLASSES : CAD_LOSS_TOKENS; }

static int one_step(cad_trainer_t *t, const plan_t *p, int step, outcome_t *o, cad_error_t *err)
{
    int at = step * 13 % (MOST - p->n + 1);
    int rc = cad_trainer_add(t, loss_of(p), ex + at, p->n, 1.0 / p->n, &o->loss[step], err);
    return rc ? rc : cad_trainer_update(t, 0.01, &o->norm[step], err);
}

static int steps(cad_trainer_t *t, const plan_t *p, outcome_t *o, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < STEPS && rc == 0; i++) {
        if (p->mesh && p->fails == p->mesh->rank && i == 1) _exit(0);
        rc = one_step(t, p, i, o, err);
    }
    return rc ? rc : cad_trainer_add(t, loss_of(p), ex, p->n, 0, &o->valid, err);
}

static int join(cad_trainer_t *t, const plan_t *p, cad_error_t *err)
{
    cad_peers_t peers = { .size = sizeof peers,
                          .rank = p->mesh->rank,
                          .ranks = p->mesh->ranks,
                          .send = send_bytes,
                          .receive = receive_bytes,
                          .broadcast = broadcast_bytes,
                          .arg = p->mesh };
    /* other values than rank 0's, which joining replaces */
    for (int64_t i = 0; p->mesh->rank && i < t->total; i++) t->param[i] = t->m[i] = t->v[i] = 1;
    return cad_trainer_join(t, &peers, err);
}

static void train(const plan_t *p, outcome_t *o)
{
    cad_recipe_t recipe;
    cad_trainer_t *t = NULL;
    cad_model_t *m;
    cad_error_t err = { "" };
    case_t wide = *p->c;
    if (p->other && p->mesh->rank == p->mesh->ranks - 1) wide.config = CASES[3].config;
    m = model_of(&wide);
    cad_recipe_init(&recipe);
    recipe.threads = p->threads;
    recipe.max_tokens = LEN;
    recipe.lora = p->c->lora;
    recipe.device = p->device ? p->device : "cpu";
    *o = (outcome_t) { .rc = cad_trainer_open(&t, m, &recipe, &err) };
    if (o->rc == 0) t->pack = PACK;
    if (o->rc == 0 && t->total > (int64_t)(sizeof o->param / sizeof *o->param)) o->rc = CAD_EARG;
    if (o->rc == 0 && !p->mesh && p->n == MOST)
        printf("# %s: %lld parameters in blocks of %d\n", p->c->name, (long long)t->total, CAD_BLOCK);
    if (o->rc == 0 && p->mesh) o->rc = join(t, p, &err);
    if (o->rc == 0) o->rc = steps(t, p, o, &err);
    if (o->rc && p->fails < 0 && !p->other) printf("# %s\n", err.text);
    if (o->rc == 0) {
        o->step = cad_trainer_steps(t);
        memcpy(o->param, t->param, (size_t)t->total * sizeof(float));
    }
    cad_trainer_close(t);
    cad_model_close(m);
}

/* Trains on `ranks` processes; out has the outcome of each. */
static void train_ranks(const plan_t *plan, int ranks, outcome_t *out)
{
    mesh_t mesh;
    plan_t p = *plan;
    if (open_mesh(&mesh, ranks)) exit(1);
    fflush(stdout);
    for (int r = 0; r < ranks; r++) {
        if (fork()) continue;
        signal(SIGPIPE, SIG_IGN);
        keep_ends(&mesh, r);
        mesh.rank = r;
        p.mesh = &mesh;
        p.threads = 1 + (r + plan->threads) % 2;
        out[r] = (outcome_t) { .rc = 99 };
        train(&p, &out[r]);
        fflush(stdout);
        _exit(0);
    }
    for (int i = 0; i < ranks; i++)
        for (int j = 0; j < ranks; j++)
            if (i != j) close(mesh.fd[i][j]);
    while (wait(NULL) > 0) continue;
}

static bool same(const outcome_t *a, const outcome_t *b)
{
    return a->rc == 0 && b->rc == 0 && a->step == STEPS && !memcmp(a->loss, b->loss, sizeof a->loss) &&
           !memcmp(a->norm, b->norm, sizeof a->norm) && a->valid == b->valid && a->step == b->step &&
           !memcmp(a->param, b->param, sizeof a->param);
}

static void test_case(const case_t *c, int n, outcome_t *one, outcome_t *many)
{
    plan_t p = { .c = c, .n = n, .threads = 1, .fails = -1 };
    fill_examples(c->labels);
    train(&p, one);
    for (int ranks = c == CASES ? 1 : 2; ranks <= RANKS; ranks += ranks == 4 ? 3 : c == CASES ? 1 : 2) {
        int good = 0;
        p.threads = ranks;
        train_ranks(&p, ranks, many);
        for (int r = 0; r < ranks; r++) good += same(one, &many[r]);
        tap_ok(good == ranks, "%s: %d examples a step, %d ranks train the same weights", c->name, n, ranks);
    }
}

/* The sum does not depend on packs beyond rounding. */
static void test_packs(const case_t *c)
{
    cad_recipe_t recipe;
    cad_model_t *m = model_of(c);
    cad_error_t err;
    float *grad[2] = { NULL, NULL };
    double loss[2] = { 0, 0 }, far = 0, size = 0;
    fill_examples(c->labels);
    cad_recipe_init(&recipe);
    recipe.max_tokens = LEN;
    recipe.lora = c->lora;
    for (int k = 0; k < 2; k++) {
        cad_trainer_t *t = NULL;
        if (cad_trainer_open(&t, m, &recipe, &err)) continue;
        if (k) t->pack = LEN;
        cad_trainer_add(t, c->labels ? CAD_LOSS_CLASSES : CAD_LOSS_TOKENS, ex, MOST, 1, &loss[k], &err);
        grad[k] = malloc((size_t)t->total * sizeof(float));
        memcpy(grad[k], t->grad, (size_t)t->total * sizeof(float));
        for (int64_t i = 0; k && i < t->total; i++) {
            far += pow((double)grad[1][i] - (double)grad[0][i], 2);
            size += pow((double)grad[0][i], 2);
        }
        cad_trainer_close(t);
    }
    tap_ok(size > 0 && sqrt(far / size) < 3e-6 && fabs(loss[1] / loss[0] - 1) < 1e-7,
           "%s: packs of %d and 4096 rows: gradients differ by %.1e, losses by %.1e", c->name, LEN, sqrt(far / size),
           fabs(loss[1] / loss[0] - 1));
    free(grad[0]);
    free(grad[1]);
    cad_model_close(m);
}

/* Two ranks, each with a device of its own, under the CUDA shim. */
static void test_cards(outcome_t *one, outcome_t *many)
{
    const char *builddir = getenv("builddir");
    plan_t p = { .c = &CASES[0], .n = 5, .threads = 1, .device = "cuda", .fails = -1 };
    char path[4096];
    snprintf(path, sizeof path, "%s/.libs/caduceus-cuda-shim.so", builddir ? builddir : ".");
    if (access(path, R_OK)) {
        tap_skip("two ranks, each with a device", "the CUDA shim is not built");
        return;
    }
    setenv("CADUCEUS_CUDA_MODULE", path, 1);
    fill_examples(0);
    train(&p, one);
    train_ranks(&p, 2, many);
    tap_ok(same(one, &many[0]) && same(one, &many[1]), "two ranks train on a device each, under the CUDA shim");
}

static void test_faults(outcome_t *many)
{
    plan_t p = { .c = &CASES[0], .n = 40, .threads = 1, .fails = 2 };
    int ended = 0;
    fill_examples(0);
    train_ranks(&p, 4, many);
    for (int r = 0; r < 4; r++) ended += r == 2 ? many[r].rc == 0 || many[r].rc == 99 : many[r].rc == CAD_EIO;
    tap_ok(ended == 4, "a rank that ends: the others report it");
    p.fails = -1;
    p.other = true;
    train_ranks(&p, 2, many);
    tap_ok(many[1].rc == CAD_EARG, "a rank with another model is refused");
}

int main(void)
{
    static const int n[] = { 1, 2, 5, 40, MOST };
    outcome_t *one = malloc(sizeof *one),
              *many = mmap(NULL, RANKS * sizeof *many, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!one || many == MAP_FAILED) return 1;
    for (int i = 0; i < NCASES; i++) {
        test_packs(&CASES[i]);
        for (int k = i ? 3 : 0; k < (i ? 4 : 5); k++) test_case(&CASES[i], n[k], one, many);
    }
    test_faults(many);
    test_cards(one, many);
    free(one);
    return tap_finish();
}
