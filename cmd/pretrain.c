/* pretrain.c - caduceus pretrain: masked language modelling on a genome.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "internal.h"
#include "random.h"

static const char USAGE[] =
"Usage: caduceus pretrain [options] -T genome.fa -o DIR\n\n"
"Trains a Caduceus on a genome and writes it into folder DIR: a checkpoint as\n"
"published, log.tsv, and training.safetensors, from which --resume goes on.\n\n"
"Data:\n"
"  -T, --reference FASTA  the genome, plain or bgzip; also --fasta-ref\n"
"  -L, --targets-file BED intervals; the fourth column may name their split\n"
"      --train NAME       split to train on, if there are names [train]\n"
"      --valid NAME       split to validate on [valid]\n"
"      --valid-fraction F hold out the last part of every interval instead\n"
"      --soft-mask-weight W  weight of the loss at lower-case bases [1]\n"
"      --rc-aug yes|no    turn half of the windows round [Ph: yes, PS: no]\n"
"Model (new, unless -m gives one to go on with):\n"
"      --config FILE      a config.json; the next options change it\n"
"      --d-model D        [256]\n"
"      --n-layer N        [4]\n"
"      --rcps yes|no      Caduceus-PS or -Ph [yes]\n"
"  -o, --output DIR       where results go\n"
"Recipe:\n"
"      --seq-len L        bases in a window [1024]\n"
"      --batch-tokens B   tokens of a step [1048576]\n"
"      --accumulate A     batches in a step [1]\n"
"      --steps N          updates [10000]\n"
"      --lr X             highest learning rate [0.008]\n"
"      --lr-end X         the last, after cosine decay [LR/80]\n"
"      --warmup F         share of the steps before the highest [0.1]\n"
"      --weight-decay X   [0.1]\n"
"      --clip X           largest norm of a gradient, 0: any [1]\n"
"      --seed S           of initial values, order and masks [1]\n"
"Running:\n"
"      --valid-every K    steps between validations [200]\n"
"      --valid-tokens N   tokens of one [262144]\n"
"      --save-every K     steps between checkpoints [200]\n"
"      --resume           go on from DIR/training.safetensors, if it is there\n"
"      --recompute        a third of the memory for a third more time\n"
OPTIONS_USAGE;

typedef struct {
    options_t o;
    const char *reference, *bed, *train, *valid, *config, *dir;
    int64_t d_model, n_layer, seq_len, batch, accumulate, steps, seed, valid_every, valid_tokens, save_every;
    double fraction, soft, lr, lr_end, warmup, decay, clip;
    int rcps, rc_aug;   /* -1: not given */
    bool resume, recompute;
} args_t;

typedef struct { /* the windows of one step, or of a validation */
    int64_t n, len, scored;
    double weight;      /* of all */
    char *seq;          // (len+1)
    uint8_t *tokens, *masked; // (n,len)
    float *w;           // (n,len)
    cad_example_t *ex;  // (n)
} batch_t;

typedef struct {
    const args_t *a;
    notes_t notes;
    fasta_t ref;
    splits_t splits;
    regions_t *on[2];   /* train, valid; NULL: everything, nothing */
    corpus_t corpus[2];
    cad_model_t *model;
    cad_trainer_t *trainer;
    batch_t batch, check;
    text_t recipe;      /* what must be the same to go on */
    FILE *log;
    struct timespec begun;
    int64_t first;      /* the step that this process began with */
} run_t;

/* ---- options ---- */

enum { O_TRAIN = 1, O_VALID, O_FRACTION, O_SOFT, O_RC, O_CONFIG, O_D, O_LAYERS, O_RCPS, O_LEN, O_BATCH, O_ACCUMULATE, O_STEPS, O_LR, O_LR_END,
       O_WARMUP, O_DECAY, O_CLIP, O_SEED, O_VALID_EVERY, O_VALID_TOKENS, O_SAVE, O_RESUME, O_RECOMPUTE };
static const struct option LONGS[] = {
    OPTIONS_LONG, { "reference", required_argument, NULL, 'T' }, { "fasta-ref", required_argument, NULL, 'T' },
    { "targets-file", required_argument, NULL, 'L' }, { "output", required_argument, NULL, 'o' },
    { "train", required_argument, NULL, O_TRAIN }, { "valid", required_argument, NULL, O_VALID },
    { "valid-fraction", required_argument, NULL, O_FRACTION }, { "soft-mask-weight", required_argument, NULL, O_SOFT },
    { "rc-aug", required_argument, NULL, O_RC }, { "config", required_argument, NULL, O_CONFIG }, { "d-model", required_argument, NULL, O_D },
    { "n-layer", required_argument, NULL, O_LAYERS }, { "rcps", required_argument, NULL, O_RCPS }, { "seq-len", required_argument, NULL, O_LEN },
    { "batch-tokens", required_argument, NULL, O_BATCH }, { "accumulate", required_argument, NULL, O_ACCUMULATE },
    { "steps", required_argument, NULL, O_STEPS }, { "lr", required_argument, NULL, O_LR }, { "lr-end", required_argument, NULL, O_LR_END },
    { "warmup", required_argument, NULL, O_WARMUP }, { "weight-decay", required_argument, NULL, O_DECAY }, { "clip", required_argument, NULL, O_CLIP },
    { "seed", required_argument, NULL, O_SEED }, { "valid-every", required_argument, NULL, O_VALID_EVERY },
    { "valid-tokens", required_argument, NULL, O_VALID_TOKENS }, { "save-every", required_argument, NULL, O_SAVE },
    { "resume", no_argument, NULL, O_RESUME }, { "recompute", no_argument, NULL, O_RECOMPUTE }, { 0 }
};

static int yes_or_no(const char *name, const char *arg, int *out)
{
    *out = !strcmp(arg, "yes");
    return *out || !strcmp(arg, "no") ? 0 : cmd_fail("pretrain", "%s %s: expected yes or no", name, arg);
}

static int take(args_t *a, int c, const char *arg)
{
    const char *cmd = "pretrain";
    const int64_t big = (int64_t)1 << 40;
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'L': a->bed = arg; return 0;
    case 'o': a->dir = arg; return 0;
    case O_TRAIN: a->train = arg; return 0;
    case O_VALID: a->valid = arg; return 0;
    case O_CONFIG: a->config = arg; return 0;
    case O_RESUME: a->resume = true; return 0;
    case O_RECOMPUTE: a->recompute = true; return 0;
    case O_RC: return yes_or_no("--rc-aug", arg, &a->rc_aug);
    case O_RCPS: return yes_or_no("--rcps", arg, &a->rcps);
    case O_FRACTION: return option_real(cmd, "--valid-fraction", arg, 0, 0.9, &a->fraction);
    case O_SOFT: return option_real(cmd, "--soft-mask-weight", arg, 0, 1000, &a->soft);
    case O_LR: return option_real(cmd, "--lr", arg, 0, 10, &a->lr);
    case O_LR_END: return option_real(cmd, "--lr-end", arg, 0, 10, &a->lr_end);
    case O_WARMUP: return option_real(cmd, "--warmup", arg, 0, 1, &a->warmup);
    case O_DECAY: return option_real(cmd, "--weight-decay", arg, 0, 10, &a->decay);
    case O_CLIP: return option_real(cmd, "--clip", arg, 0, 1e9, &a->clip);
    case O_D: return option_int(cmd, "--d-model", arg, 1, 65536, &a->d_model);
    case O_LAYERS: return option_int(cmd, "--n-layer", arg, 1, 1024, &a->n_layer);
    case O_LEN: return option_int(cmd, "--seq-len", arg, 2, 1 << 20, &a->seq_len);
    case O_BATCH: return option_int(cmd, "--batch-tokens", arg, 1, 1 << 30, &a->batch);
    case O_ACCUMULATE: return option_int(cmd, "--accumulate", arg, 1, 1 << 20, &a->accumulate);
    case O_STEPS: return option_int(cmd, "--steps", arg, 1, big, &a->steps);
    case O_SEED: return option_int(cmd, "--seed", arg, 0, INT64_MAX, &a->seed);
    case O_VALID_EVERY: return option_int(cmd, "--valid-every", arg, 1, big, &a->valid_every);
    case O_VALID_TOKENS: return option_int(cmd, "--valid-tokens", arg, 1, 1 << 30, &a->valid_tokens);
    case O_SAVE: return option_int(cmd, "--save-every", arg, 1, big, &a->save_every);
    default: return options_take(&a->o, c, arg);
    }
}

static int parse(args_t *a, int argc, char **argv)
{
    int c;
    *a = (args_t){ .seq_len = 1024, .batch = 1 << 20, .accumulate = 1, .steps = 10000, .seed = 1, .valid_every = 200, .valid_tokens = 1 << 18,
                   .save_every = 200, .soft = 1, .lr = 8e-3, .lr_end = -1, .warmup = 0.1, .decay = 0.1, .clip = 1, .rcps = -1, .rc_aug = -1 };
    options_init(&a->o, "pretrain");
    if (argc < 2) {
        fputs(USAGE, stderr);
        return 1;
    }
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "T:L:o:", LONGS, NULL)) != -1) {
        if (c == 1004) {
            fputs(USAGE, stdout);
            return cmd_finish("pretrain") ? 1 : 2;
        }
        if (c == '?') return option_unknown("pretrain", argv);
        if (take(a, c, optarg)) return 1;
    }
    if (optind < argc) return cmd_fail("pretrain", "%s: not an option; the genome is given with -T", argv[optind]);
    if (!a->reference) return cmd_fail("pretrain", "give the genome with -T");
    if (!a->dir) return cmd_fail("pretrain", "name the folder for the result with -o DIR");
    if (a->o.model && (a->config || a->d_model || a->n_layer || a->rcps >= 0))
        return cmd_fail("pretrain", "-m gives the model; --config, --d-model, --n-layer and --rcps make a new one");
    if (a->fraction > 0 && (a->train || a->valid)) return cmd_fail("pretrain", "--valid-fraction holds out part of every interval; --train and --valid name splits");
    if (a->lr_end < 0) a->lr_end = a->lr / 80;
    return 0;
}

/* ---- data ---- */

/* Cuts the last part of every interval off into on[1]. */
static int hold_out(run_t *r, cad_error_t *err)
{
    regions_t *all = r->on[0], *kept = NULL;
    int rc = regions_new(&kept, err);
    r->on[0] = kept;
    if (rc == 0) rc = regions_new(&r->on[1], err);
    for (int i = 0; i < r->ref.ncontig && rc == 0; i++) {
        const contig_t *c = &r->ref.contig[i];
        interval_t s = { 0, c->length };
        for (int k = 0; rc == 0 && (all ? regions_get(all, c->name, k, &s) : k == 0 && c->length > 0); k++) {
            int64_t cut = s.end - (int64_t)(r->a->fraction * (double)(s.end - s.beg));
            if (cut > s.beg) rc = regions_add_span(r->on[0], c->name, (interval_t){ s.beg, cut }, err);
            if (rc == 0 && cut < s.end) rc = regions_add_span(r->on[1], c->name, (interval_t){ cut, s.end }, err);
        }
    }
    regions_free(all);
    if (rc == 0) regions_finish(r->on[0]);
    if (rc == 0) regions_finish(r->on[1]);
    return rc;
}

/* Takes split k out of the list of splits. */
static regions_t *take_split(splits_t *s, int k)
{
    regions_t *r = s->span[k];
    s->span[k] = NULL;
    return r;
}

static int read_splits(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int rc = splits_add(&r->splits, a->bed, &r->ref, &r->notes, err), train = 0, valid = -1;
    if (rc) return rc;
    splits_finish(&r->splits);
    if (r->splits.n == 0) return cad_fail(err, CAD_EARG, "%s: holds no intervals", a->bed);
    if (r->splits.name[0] && a->fraction == 0) {
        train = splits_find(&r->splits, "--train", a->train ? a->train : "train", err);
        if (train < 0) return train;
        for (int k = 0; k < r->splits.n && !a->valid; k++)
            if (!strcmp(r->splits.name[k], "valid")) valid = k;
        if (a->valid && (valid = splits_find(&r->splits, "--valid", a->valid, err)) < 0) return valid;
        if (valid == train) return cad_fail(err, CAD_EARG, "--valid %s: the split that is trained on", r->splits.name[valid]);
    } else if (a->train || a->valid)
        return cad_fail(err, CAD_EARG, "%s: has no fourth column that would name splits", a->bed);
    else if (r->splits.n > 1)
        return cad_fail(err, CAD_EARG, "%s: names splits; use --train and --valid rather than --valid-fraction", a->bed);
    r->on[0] = take_split(&r->splits, train);
    if (valid >= 0) r->on[1] = take_split(&r->splits, valid);
    return 0;
}

static int open_data(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    uint64_t seed = cad_random((uint64_t)a->seed, 0, 0, 1);
    int rc = fasta_open(&r->ref, a->reference, &r->notes, err);
    if (rc == 0 && a->bed) rc = read_splits(r, err);
    if (rc == 0 && !a->bed && (a->train || a->valid)) rc = cad_fail(err, CAD_EARG, "--train and --valid name splits of -L BED, which is not given");
    if (rc == 0 && a->fraction > 0) rc = hold_out(r, err);
    if (rc == 0) rc = corpus_open(&r->corpus[0], &r->ref, r->on[0], a->seq_len, seed, err);
    if (rc == 0 && r->on[1]) rc = corpus_open(&r->corpus[1], &r->ref, r->on[1], a->seq_len, seed, err);
    if (rc == 0 && r->corpus[0].windows == 0) rc = cad_fail(err, CAD_EARG, "%s: nothing to train on", a->bed ? a->bed : a->reference);
    r->corpus[1].ordered = true;
    return rc;
}

/* ---- model ---- */

static int new_model(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    char *base = NULL, *config;
    size_t n = 0;
    int rc = a->config ? cad_read_text(&base, &n, a->config, false, err) : 0;
    if (rc) return rc;
    config = cad_config_change(base ? base : "{\"d_model\": 256, \"n_layer\": 4, \"vocab_size\": 12, \"rcps\": true}", a->d_model, a->n_layer, a->rcps, err);
    free(base);
    rc = config ? cad_model_create(&r->model, config, a->seq_len, (uint64_t)a->seed, err) : CAD_EFORMAT;
    free(config);
    return rc;
}

static int open_trainer(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    cad_recipe_t recipe;
    int rc = a->o.model ? cad_model_open(&r->model, a->o.model, err) : new_model(r, err);
    if (rc) return rc;
    if (cad_model_number(r->model, CAD_LABELS)) return cad_fail(err, CAD_EARG, "the model is a classifier; caduceus finetune trains those");
    cad_recipe_init(&recipe);
    recipe.threads = a->o.threads;
    recipe.recompute = a->recompute;
    recipe.max_tokens = a->seq_len;
    recipe.weight_decay = a->decay;
    recipe.clip = a->clip;
    return cad_trainer_open(&r->trainer, r->model, &recipe, err);
}

static bool turns(const run_t *r) { return r->a->rc_aug < 0 ? !cad_model_number(r->model, CAD_RCPS) : r->a->rc_aug; }

static int64_t windows_of_step(const args_t *a) { return cad_max(1, a->batch / a->seq_len) * a->accumulate; }

static uint64_t intervals_digest(const run_t *r)
{
    uint64_t d = text_digest(r->ref.checksum, 0);
    interval_t s;
    for (int i = 0; i < r->ref.ncontig; i++)
        for (int k = 0; r->on[0] && regions_get(r->on[0], r->ref.contig[i].name, k, &s); k++)
            d = cad_random(d, (uint64_t)i, (uint64_t)s.beg, (uint64_t)s.end);
    return d;
}

/* All that decides what is computed. */
static void describe(run_t *r)
{
    const args_t *a = r->a;
    text_t *t = &r->recipe;
    text_printf(t, "model=%s ", a->o.model ? cad_model_text(r->model, CAD_TEXT_SHA256) : "new");
    text_printf(t, "data=%016llx bases=%lld seq_len=%lld windows=%lld steps=%lld ", (unsigned long long)intervals_digest(r), (long long)r->corpus[0].bases,
                (long long)a->seq_len, (long long)windows_of_step(a), (long long)a->steps);
    text_printf(t, "lr=%.9g lr_end=%.9g warmup=%.9g weight_decay=%.9g clip=%.9g ", a->lr, a->lr_end, a->warmup, a->decay, a->clip);
    text_printf(t, "soft_mask_weight=%.9g rc_aug=%d seed=%lld", a->soft, turns(r), (long long)a->seed);
}

/* ---- batches ---- */

static int batch_open(batch_t *b, int64_t n, int64_t len, cad_error_t *err)
{
    b->n = n;
    b->len = len;
    b->seq = malloc((size_t)len + 1);
    b->tokens = cad_alloc((size_t)n, (size_t)len);
    b->masked = cad_alloc((size_t)n, (size_t)len);
    b->w = cad_alloc((size_t)n, (size_t)len * sizeof *b->w);
    b->ex = cad_alloc((size_t)n, sizeof *b->ex);
    if (b->seq && b->tokens && b->masked && b->w && b->ex) return 0;
    return cad_fail(err, CAD_ENOMEM, "out of memory for a step of %lld windows", (long long)n);
}

static void batch_close(batch_t *b)
{
    free(b->seq);
    free(b->tokens);
    free(b->masked);
    free(b->w);
    free(b->ex);
}

static void weigh_soft(const run_t *r, const char *seq, int64_t len, bool turned, float *w)
{
    for (int64_t i = 0; i < len; i++)
        if (seq[i] >= 'a' && seq[i] <= 'z') w[turned ? len - 1 - i : i] *= (float)r->a->soft;
}

/* Window i of a corpus becomes example k. */
static int batch_put(run_t *r, batch_t *b, int64_t k, const corpus_t *c, int64_t i, bool turned, cad_error_t *err)
{
    uint8_t *tokens = b->tokens + k * b->len, *masked = b->masked + k * b->len;
    float *w = b->w + k * b->len;
    int64_t len;
    int rc = corpus_window(c, i, b->seq, &len, err);
    if (rc) return rc;
    cad_encode(r->model, b->seq, len, 0, turned ? masked : tokens);
    if (turned) cad_reverse_complement(r->model, masked, len, tokens);
    b->scored += cad_mask(r->model, c->seed, (uint64_t)i, tokens, len, masked, w);
    if (r->a->soft != 1) weigh_soft(r, b->seq, len, turned, w);
    for (int64_t p = 0; p < len; p++) b->weight += (double)w[p];
    b->ex[k] = (cad_example_t){ masked, len, tokens, w, NULL };
    return 0;
}

static int fill_step(run_t *r, int64_t step, cad_error_t *err)
{
    batch_t *b = &r->batch;
    bool turn = turns(r);
    int rc = 0;
    b->scored = 0;
    b->weight = 0;
    for (int64_t k = 0; k < b->n && rc == 0; k++) {
        int64_t i = step * b->n + k;
        rc = batch_put(r, b, k, &r->corpus[0], i, turn && (cad_random(r->corpus[0].seed, (uint64_t)i, 0, 77) & 1), err);
    }
    return rc;
}

/* Evenly spaced windows, with the same masks every time. */
static int fill_check(run_t *r, cad_error_t *err)
{
    corpus_t *c = &r->corpus[1];
    int64_t n = cad_min(c->windows, cad_max(1, r->a->valid_tokens / r->a->seq_len));
    int rc = n ? batch_open(&r->check, n, r->a->seq_len, err) : 0;
    for (int64_t k = 0; k < n && rc == 0; k++) rc = batch_put(r, &r->check, k, c, k * c->windows / n, false, err);
    return rc;
}

/* ---- running ---- */

static double rate_at(const args_t *a, int64_t step)
{
    double warm = floor(a->warmup * (double)a->steps), s = (double)step;
    if (s < warm) return 1e-6 + (a->lr - 1e-6) * (s + 1) / warm;
    return a->lr_end + (a->lr - a->lr_end) * 0.5 * (1 + cos(3.141592653589793 * (s - warm) / fmax(1, (double)a->steps - warm)));
}

static int validate(run_t *r, double *loss, cad_error_t *err)
{
    const batch_t *b = &r->check;
    *loss = 0;
    if (b->weight > 0) {
        int rc = cad_trainer_add(r->trainer, CAD_LOSS_TOKENS, b->ex, (int)b->n, 0, loss, err);
        *loss /= b->weight;
        return rc;
    }
    *loss = NAN;
    return 0;
}

static int save(run_t *r, cad_error_t *err)
{
    char *path = cad_path_join(r->a->dir, "training.safetensors");
    char status[160];
    int rc = path ? cad_trainer_save(r->trainer, path, r->recipe.s.s, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    snprintf(status, sizeof status, "pretrained: %lld of %lld steps of %lld tokens", (long long)cad_trainer_steps(r->trainer), (long long)r->a->steps,
             (long long)(windows_of_step(r->a) * r->a->seq_len));
    if (rc == 0) rc = cad_model_save(r->model, r->a->dir, status, err);
    free(path);
    return rc;
}

static double elapsed(const run_t *r)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - r->begun.tv_sec) + 1e-9 * (double)(now.tv_nsec - r->begun.tv_nsec);
}

static int log_step(run_t *r, double loss, double rate, double norm, double valid, cad_error_t *err)
{
    int64_t step = cad_trainer_steps(r->trainer), each = r->batch.n * r->a->seq_len;
    double speed = (double)((step - r->first) * each) / elapsed(r);
    text_t t = { 0 };
    text_printf(&t, "%lld\t%lld\t%.6g\t%.6g\t%.4g\t", (long long)step, (long long)(step * each), loss, rate, norm);
    text_number(&t, valid);
    text_printf(&t, "\t%.0f\n", speed);
    if (t.failed || fputs(t.s.s, r->log) < 0 || fflush(r->log)) {
        text_free(&t);
        return cad_fail(err, CAD_EIO, "%s/log.tsv: %s", r->a->dir, strerror(errno));
    }
    text_free(&t);
    if (!r->a->o.quiet && (isatty(STDERR_FILENO) || !isnan(valid))) {
        fprintf(stderr, "%sstep %lld of %lld, loss %.4f, %.4g tokens/s, about %.0f s left", isatty(STDERR_FILENO) ? "\r" : "", (long long)step,
                (long long)r->a->steps, loss, speed, (double)((r->a->steps - step) * each) / speed);
        if (!isnan(valid)) fprintf(stderr, "; validation %.4f (%.4f bits a base)", valid, valid / log(2));
        fputs(isnan(valid) ? "  " : "\n", stderr);
    }
    return 0;
}

static int one_step(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int64_t step = cad_trainer_steps(r->trainer);
    double loss = 0, norm = 0, valid = NAN, rate = rate_at(a, step);
    int rc = fill_step(r, step, err);
    bool last = step + 1 == a->steps;
    if (rc == 0 && r->batch.weight > 0)
        rc = cad_trainer_add(r->trainer, CAD_LOSS_TOKENS, r->batch.ex, (int)r->batch.n, 1 / r->batch.weight, &loss, err);
    if (rc == 0) rc = cad_trainer_update(r->trainer, rate, &norm, err);
    if (rc == 0 && ((step + 1) % a->valid_every == 0 || last)) rc = validate(r, &valid, err);
    if (rc == 0) rc = log_step(r, r->batch.weight > 0 ? loss / r->batch.weight : NAN, rate, norm, valid, err);
    if (rc == 0 && ((step + 1) % a->save_every == 0 || last)) rc = save(r, err);
    return rc;
}

#define LOG_HEADER "#step\ttokens\tloss\tlr\tgradient_norm\tvalid_loss\ttokens_per_s\n"

/* log.tsv with what was logged up to `step`, open at its end. */
static int open_log(run_t *r, int64_t step, cad_error_t *err)
{
    char *path = cad_path_join(r->a->dir, "log.tsv"), *old = NULL;
    output_t *out = NULL;
    size_t n = 0;
    int rc = path ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0 && step) rc = cad_read_text(&old, &n, path, true, err);
    if (rc == 0) rc = output_open(&out, path, false, err);
    if (rc == 0) rc = output_write(out, LOG_HEADER, strlen(LOG_HEADER), err);
    for (char *line = old; rc == 0 && line && *line; ) {
        char *end = strchr(line, '\n');
        if (end && *line != '#' && strtoll(line, NULL, 10) <= step) rc = output_write(out, line, (size_t)(end + 1 - line), err);
        line = end ? end + 1 : NULL;
    }
    if (rc == 0) {
        rc = output_close(out, err);
        out = NULL;
    }
    output_abort(out);
    r->log = rc ? NULL : fopen(path, "a");
    if (rc == 0 && !r->log) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    free(old);
    free(path);
    return rc;
}

/* The first key=value of a recipe that another lacks. */
static const char *difference(const char *a, const char *b, char *buf, size_t size)
{
    for (const char *s = a; *s; ) {
        size_t n = strcspn(s, " ");
        snprintf(buf, size, "%.*s", (int)n, s);
        if (!strstr(b, buf)) return buf;
        s += n + (s[n] == ' ');
    }
    return b;
}

static int go_on(run_t *r, cad_error_t *err)
{
    char *path = cad_path_join(r->a->dir, "training.safetensors"), *note = NULL, had[512], has[512];
    bool there = path && access(path, F_OK) == 0;
    int rc = path ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0 && there && !r->a->resume)
        rc = cad_fail(err, CAD_EARG, "%s is there already; go on with --resume, or give another folder", path);
    if (rc == 0 && there) rc = cad_trainer_load(r->trainer, path, &note, err);
    if (rc == 0 && there && strcmp(note, r->recipe.s.s))
        rc = cad_fail(err, CAD_EARG, "%s: was begun with other data or settings: %s there, %s here", path,
                      difference(note, r->recipe.s.s, had, sizeof had), difference(r->recipe.s.s, note, has, sizeof has));
    free(note);
    free(path);
    return rc;
}

static int train(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int rc = open_data(r, err);
    if (rc == 0) rc = open_trainer(r, err);
    if (rc == 0) rc = batch_open(&r->batch, windows_of_step(a), a->seq_len, err);
    if (rc == 0 && r->on[1]) rc = fill_check(r, err);
    if (rc == 0) describe(r);
    if (rc == 0 && r->recipe.failed) rc = cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0) rc = cad_folder_make(a->dir, NULL, err);
    if (rc == 0) rc = go_on(r, err);
    if (rc == 0) rc = open_log(r, cad_trainer_steps(r->trainer), err);
    r->first = rc ? 0 : cad_trainer_steps(r->trainer);
    clock_gettime(CLOCK_MONOTONIC, &r->begun);
    while (rc == 0 && cad_trainer_steps(r->trainer) < a->steps) rc = one_step(r, err);
    return rc;
}

int cmd_pretrain(int argc, char **argv)
{
    args_t a;
    run_t r = { .a = &a };
    cad_error_t err;
    int rc = parse(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    r.notes = (notes_t){ .cmd = "pretrain", .quiet = a.o.quiet };
    rc = train(&r, &err);
    if (r.log && fclose(r.log) && rc == 0) rc = cad_fail(&err, CAD_EIO, "%s/log.tsv: %s", a.dir, strerror(errno));
    if (rc) rc = cmd_fail("pretrain", "%s", err.text);
    batch_close(&r.batch);
    batch_close(&r.check);
    cad_trainer_close(r.trainer);
    cad_model_close(r.model);
    corpus_close(&r.corpus[0]);
    corpus_close(&r.corpus[1]);
    regions_free(r.on[0]);
    regions_free(r.on[1]);
    splits_free(&r.splits);
    fasta_close(&r.ref);
    text_free(&r.recipe);
    return rc || cmd_finish("pretrain") ? 1 : 0;
}
