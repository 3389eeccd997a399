/* options.c - stores the values of shared options, and opens models, contexts and trainers with them. option_table.h
 * declares the options. SPDX-License-Identifier: MIT
 */
#include <dlfcn.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/shard.h"
#include "cmd.h"

#define MANY (1 << 20) /* stands for "no limit" in a number of CPUs */
#define SMALL_MODEL "{\"d_model\": 256, \"n_layer\": 4, \"vocab_size\": 12, \"rcps\": true}"

/* ---- the number of threads ---- */

/* Returns the number of CPUs that the quota of the cgroup `group` allows, rounded up; MANY if the cgroup has no
 * quota. */
static int64_t group_cpus(const char *group)
{
    long long quota, period;
    int64_t n = MANY;
    char path[4352];
    FILE *f;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    f = fopen(path, "r");
    if (!f) return n;
    if (fscanf(f, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0) n = (quota + period - 1) / period;
    fclose(f);
    return n;
}

/* Returns the number of CPUs that this process may use: the smallest number that its cgroup (version 2) or any
 * parent of that cgroup allows. */
static int64_t cgroup_cpus(void)
{
    char line[4096], *group = NULL;
    int64_t n = group_cpus("");
    FILE *f = fopen("/proc/self/cgroup", "r");
    while (f && !group && fgets(line, sizeof line, f))
        if (!strncmp(line, "0::/", 4)) group = line + 3;
    if (f) fclose(f);
    if (!group) return n;
    group[strcspn(group, "\n")] = 0;
    for (char *slash; *group && (slash = strrchr(group, '/')); *slash = 0) n = cad_min(n, group_cpus(group));
    return n;
}

/* Returns the number of CPUs on which this process may run; MANY if the system has no such limit. */
static int64_t affinity_cpus(void)
{
#ifdef HAVE_SCHED_GETAFFINITY
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return MANY;
}

/* Returns the number of processes that mpirun has started on this machine, or 1. */
static int64_t local_processes(void)
{
    static const char *const name[] = { "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS" };
    int64_t n;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (getenv(name[i]) && cad_parse_int(getenv(name[i]), 1, 4096, &n)) return n;
    return 1;
}

static int default_threads(void)
{
    const char *slurm = getenv("SLURM_CPUS_PER_TASK");
    int64_t online = sysconf(_SC_NPROCESSORS_ONLN), bound = affinity_cpus(), s;
    int64_t n = cad_min(cad_max(1, cad_min(online, cgroup_cpus())), bound);
    if (bound >= online) n /= local_processes(); /* mpirun has not bound its processes to CPUs: they share all */
    if (slurm && cad_parse_int(slurm, 1, 4096, &s)) n = cad_min(n, s);
    return (int)cad_min(cad_max(n, 1), 4096);
}

void options_init(options_t *o, const char *cmd)
{
    memset(o, 0, sizeof *o);
    o->cmd = cmd;
    o->threads = default_threads();
    o->verbosity = 3;
    glue_command(cmd);
    opterr = 0; /* so that getopt prints nothing; option_unknown() reports errors */
}

/* ---- values ---- */

int option_int(const char *cmd, const char *name, const char *arg, int64_t lo, int64_t hi, int64_t *out)
{
    if (cad_parse_int(arg, lo, hi, out)) return 0;
    return cmd_fail(cmd, "%s %s: expected a whole number from %lld to %lld", name, arg, (long long)lo, (long long)hi);
}

int option_real(const char *cmd, const char *name, const char *arg, double lo, double hi, double *out)
{
    char *end;
    *out = strtod(arg, &end);
    if (*arg > ' ' && !*end && *out >= lo && *out <= hi) return 0;
    return cmd_fail(cmd, "%s %s: expected a number from %g to %g", name, arg, lo, hi);
}

int option_yes(const char *cmd, const char *name, const char *arg, int *out)
{
    *out = !strcmp(arg, "yes");
    return *out || !strcmp(arg, "no") ? 0 : cmd_fail(cmd, "%s %s: expected yes or no", name, arg);
}

const char *const POOL_NAME[CAD_POOL_ATTENTION + 1] = { "none", "mean", "max", "attention" };

int option_choice(const char *cmd, const char *name, const char *arg, const char *const word[], int n)
{
    text_t all = { 0 };
    for (int i = 0; i < n; i++) {
        if (!strcmp(arg, word[i])) {
            text_free(&all);
            return i;
        }
        text_printf(&all, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", word[i]);
    }
    cmd_fail(cmd, "%s %s: expected %s", name, arg, all.s.s ? all.s.s : "");
    text_free(&all);
    return -1;
}

/* ---- groups of options ---- */

int options_take(options_t *o, int c, const char *arg)
{
    int64_t n;
    switch (c) {
    case 'm': o->model = arg; return *arg ? 0 : -cmd_fail(o->cmd, "-m: an empty name");
    case OPT_ADAPTER: o->adapter = arg; return *arg ? 0 : -cmd_fail(o->cmd, "--adapter: an empty name");
    case 'd':
        o->device = arg;
        if (cad_device_known(arg)) return 0;
        cmd_fail(o->cmd, "-d %s: expected auto, cpu, cuda, cuda:I, cuda:I,J or cuda:all", arg);
        return -1;
    case '@':
        if (option_int(o->cmd, "-@", arg, 0, 4096, &n)) return -1;
        o->threads = n ? (int)n : 1;
        return 0;
    case OPT_PRECISION:
        o->precision = arg;
        if (cad_precision_known(arg)) return 0;
        cmd_fail(o->cmd, "--precision %s: expected fp32, bf16x3 or bf16", arg);
        return -1;
    case OPT_QUIET: o->quiet = true; return 0;
    case OPT_JSON: o->json = true; return 0;
    case OPT_PROGRESS: return option_progress(o->cmd, arg, &o->progress) ? -1 : 0;
    case OPT_VERBOSITY:
        if (option_int(o->cmd, "--verbosity", arg, 0, 9, &n)) return -1;
        o->verbosity = (int)n;
        glue_verbosity((int)n);
        return 0;
    default: return 1;
    }
}

/* Parses --mask: "each", "stride:K" or "none". */
static int take_mask(settings_t *set, const char *cmd, const char *arg)
{
    if (!strcmp(arg, "each")) set->mask = CAD_MASK_EACH;
    else if (!strcmp(arg, "none")) set->mask = CAD_MASK_NONE;
    else if (strncmp(arg, "stride:", 7) || !cad_parse_int(arg + 7, 1, 1 << 20, &set->mask))
        return cmd_fail(cmd, "--mask %s: expected each%s", arg,
                        set->masked ? " or stride:K (K from 1)" : ", stride:K (K from 1) or none");
    return 0;
}

int windows_take(settings_t *set, const char *cmd, int c, const char *arg)
{
    switch (c) {
    case 'T': set->reference = arg; return 0;
    case OPT_MASK: return -take_mask(set, cmd, arg);
    case OPT_WINDOW: return -option_int(cmd, "--window", arg, 1, 1 << 30, &set->window);
    case OPT_FLANK: return -option_int(cmd, "--flank", arg, 0, 1 << 29, &set->flank);
    case OPT_SOFT: set->skip_soft = true; return 0;
    case OPT_NOVERSION: set->no_version = true; return 0;
    default: return 1;
    }
}

int run_take(run_options_t *r, settings_t *set, const char *cmd, int c, const char *arg)
{
    switch (c) {
    case 'o': r->output = arg; return 0;
    case 'O': r->format = arg; return 0;
    case 'r':
    case 'R':
    case 't':
    case 'L': return -limits_take(&r->limits, cmd, c, arg);
    case OPT_ALIAS: r->aliases = arg; return 0;
    case OPT_SCORE: set->score = arg; return 0;
    case OPT_NTOKEN: set->n_token = true; return 0;
    case OPT_INDEX: r->index_usual = !arg; return -option_index(cmd, arg, &r->index);
    case OPT_SHARD: return -option_shard(cmd, arg, &r->shard);
    case OPT_DRY: r->dry_run = true; return 0;
    default: return 1;
    }
}

int new_model_take(new_model_t *n, const char *cmd, int c, const char *arg)
{
    switch (c) {
    case OPT_CONFIG: n->config = arg; return 0;
    case OPT_D_MODEL: return -option_int(cmd, "--d-model", arg, 1, 65536, &n->d_model);
    case OPT_N_LAYER: return -option_int(cmd, "--n-layer", arg, 1, 1024, &n->n_layer);
    case OPT_RCPS: return -option_yes(cmd, "--rcps", arg, &n->rcps);
    default: return 1;
    }
}

bool new_model_given(const new_model_t *n) { return n->config || n->d_model || n->n_layer || n->rcps >= 0; }

int training_take(training_t *t, const char *cmd, int c, const char *arg)
{
    switch (c) {
    case OPT_LR: return -option_real(cmd, "--lr", arg, t->least_lr, 10, &t->lr);
    case OPT_WARMUP: return -option_real(cmd, "--warmup", arg, 0, 1, &t->warmup);
    case OPT_DECAY: return -option_real(cmd, "--weight-decay", arg, 0, 10, &t->decay);
    case OPT_SEED: return -option_int(cmd, "--seed", arg, 0, INT64_MAX, &t->seed);
    case OPT_FRACTION: return -option_real(cmd, "--valid-fraction", arg, 0, 0.9, &t->fraction);
    case OPT_RC_AUG: return -option_yes(cmd, "--rc-aug", arg, &t->rc_aug);
    case OPT_RECOMPUTE: t->recompute = true; return 0;
    default: return 1;
    }
}

int ranks_take(ranks_options_t *o, const char *cmd, int c, const char *arg)
{
    switch (c) {
    case OPT_RANK_TIMEOUT: return -option_int(cmd, "--rank-timeout", arg, 1, 1 << 24, &o->timeout);
    case OPT_MIXED: o->mixed = true; return 0;
    default: return 1;
    }
}

bool training_reverses(const training_t *t, const cad_model_t *model)
{
    return t->rc_aug < 0 ? !cad_model_number(model, CAD_RCPS) : t->rc_aug;
}

int labels_take(label_options_t *o, const char *cmd, int c, const char *arg)
{
    switch (c) {
    case 'T': o->reference = arg; return 0;
    case OPT_FORMAT: o->format = arg; return 0;
    case OPT_LABELS: o->labels = arg; return 0;
    case OPT_SEQUENCE: o->sequence = arg; return 0;
    case OPT_WINDOW: return -option_int(cmd, "--window", arg, 1, 1 << 30, &o->window);
    case OPT_CROP: o->crop = true; return 0;
    case OPT_NOVERSION: o->no_version = true; return 0;
    default: return 1;
    }
}

/* ---- models, contexts, trainers ---- */

/* Returns the path of the bundled model. Tries the build tree, then the data folder beside the folder of the binary or
 * of the bcftools plugin. If both are missing, returns the path set at build time, which may not exist. */
static const char *bundled(char *buf, size_t size)
{
    static const char *const places[] = { "/models/human-small", "/../share/caduceus/models/human-small",
                                          "/../../models/human-small", "/../../share/caduceus/models/human-small" };
    Dl_info self;
    char *file = dladdr((const void *)places, &self)
                     ? realpath(strchr(self.dli_fname, '/') ? self.dli_fname : "/proc/self/exe", NULL)
                     : NULL;
    char *slash = file ? strrchr(file, '/') : NULL;
    const char *found = PKGMODELDIR;
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        snprintf(buf, size, "%.*s%s", (int)(slash - file), file, places[i]);
        if (access(buf, R_OK)) continue;
        found = buf;
        break;
    }
    free(file);
    return found;
}

/* Returns the value of -m or, if -m is not given, of $CADUCEUS_MODEL; NULL if neither is set. */
static const char *named_model(const options_t *o)
{
    const char *name = o->model ? o->model : getenv("CADUCEUS_MODEL");
    return name && *name ? name : NULL;
}

const char *options_model(const options_t *o)
{
    const char *name = named_model(o);
    return name && strcmp(name, "bundled") ? name : NULL;
}

char *options_base(const options_t *o)
{
    const char *name = options_model(o);
    cad_hub_name_t hub;
    cad_error_t err;
    char buf[4352], *text;
    size_t size = sizeof hub.model + sizeof hub.revision + 1;
    if (!name || !cad_hub_named(name)) return realpath(name ? name : bundled(buf, sizeof buf), NULL);
    text = cad_hub_parse(&hub, name, &err) ? NULL : malloc(size);
    if (text)
        snprintf(text, size, "%s%s%s", hub.model, strcmp(hub.revision, "main") ? "@" : "",
                 strcmp(hub.revision, "main") ? hub.revision : "");
    return text;
}

static void put_note(const options_t *o, const char *note)
{
    if (!o->quiet && !o->counting && *note) cmd_say(o->cmd, "note: computing on the CPU: %s", note);
}

static cad_options_t context_options(const options_t *o, int64_t max_len)
{
    cad_options_t c;
    cad_options_init(&c);
    c.device = o->device;
    c.precision = o->precision;
    c.threads = o->threads;
    c.max_len = max_len;
    return c;
}

int options_open_context(const options_t *o, const cad_model_t *model, int64_t max_len, cad_context_t **ctx,
                         cad_error_t *err)
{
    cad_options_t c = context_options(o, max_len);
    int rc = cad_context_open(ctx, model, &c, err);
    if (rc == 0) put_note(o, cad_context_note(*ctx));
    return rc;
}

int options_open_last(const options_t *o, cad_model_t *model, int64_t max_len, int layer, bool vocab_softmax,
                      cad_context_t **ctx, cad_error_t *err)
{
    cad_options_t c = context_options(o, max_len);
    int rc;
    c.layer = layer;
    c.vocab_softmax = vocab_softmax;
    rc = cad_context_open_last(ctx, model, &c, err);
    if (rc == 0) put_note(o, cad_context_note(*ctx));
    return rc;
}

int options_open_trainer(const options_t *o, cad_model_t *model, cad_recipe_t *recipe, cad_trainer_t **trainer,
                         cad_error_t *err)
{
    int rc;
    recipe->device = o->device;
    recipe->precision = o->precision;
    recipe->threads = o->threads;
    rc = cad_trainer_open(trainer, model, recipe, err);
    if (rc == 0) put_note(o, cad_trainer_note(*trainer));
    return rc;
}

int options_load_model(const options_t *o, cad_model_t **model, cad_error_t *err)
{
    const char *path = options_model(o), *from = path && !o->model ? "$CADUCEUS_MODEL: " : "";
    char buf[4352];
    cad_error_t why;
    int rc;
    bool demo = !path;
    if (demo) path = bundled(buf, sizeof buf);
    if (demo && access(path, R_OK))
        return cad_fail(err, CAD_EARG, "give a checkpoint with -m or $CADUCEUS_MODEL; the bundled model is not at %s",
                        path);
    rc = cad_model_open_adapted(model, path, o->adapter, &why);
    if (rc) return cad_fail(err, rc, "%s%s", from, why.text);
    if (!named_model(o) && !o->quiet && !o->counting)
        cmd_warn(o->cmd, "no -m given: using the bundled small model, not for publication (-m bundled: no warning)");
    return 0;
}

int options_open_model(const options_t *o, cad_model_t **model)
{
    cad_error_t err;
    return options_load_model(o, model, &err) ? cmd_fail(o->cmd, "%s", err.text) : 0;
}

/* Appends to t a JSON object, with the keys of config.json, of those options of a new model that were given. */
static void put_changes(const new_model_t *n, text_t *t)
{
    const char *sep = "{";
    if (n->d_model) text_printf(t, "%s\"d_model\": %lld", sep, (long long)n->d_model), sep = ", ";
    if (n->n_layer) text_printf(t, "%s\"n_layer\": %lld", sep, (long long)n->n_layer), sep = ", ";
    if (n->rcps >= 0) text_printf(t, "%s\"rcps\": %s", sep, n->rcps ? "true" : "false"), sep = ", ";
    text_puts(t, *sep == '{' ? "{}" : "}");
}

int new_model_open(const new_model_t *n, cad_model_t **model, int64_t max_len, uint64_t seed, cad_error_t *err)
{
    const char *path = n->config;
    char *base = NULL, *config = NULL;
    text_t changes = { 0 };
    size_t size = 0;
    int rc = path ? cad_read_text(&base, &size, path, false, err) : 0;
    if (rc) return rc;
    put_changes(n, &changes);
    rc = changes.failed ? cad_out_of_memory(err)
                        : cad_config_merge(&config, base ? base : SMALL_MODEL, changes.s.s, err);
    text_free(&changes);
    free(base);
    if (rc == 0) rc = cad_model_create(model, config, max_len, seed, err);
    free(config);
    /* the library does not know the path of the file, so its message says config.json */
    if (rc && path && !strncmp(err->text, "config.json", 11)) {
        cad_error_t named;
        cad_fail(&named, rc, "%s%s", path, err->text + 11);
        *err = named;
    }
    return rc;
}

int options_save_model(const cad_model_t *model, const char *dir, const cad_save_t *how, cad_error_t *err)
{
    int rc;
    signals_hold();
    rc = cad_model_export(model, dir, how, err);
    signals_release();
    return rc;
}

/* ---- functions that several commands need ---- */

void option_mask_text(int64_t mask, text_t *t)
{
    if (mask == CAD_MASK_EACH || mask == CAD_MASK_NONE)
        text_puts(t, mask == CAD_MASK_EACH ? " mask=each" : " mask=none");
    else text_printf(t, " mask=stride:%lld", (long long)mask);
}

void options_provenance_of(provenance_t *p, const char *model, const char *contigs, const text_t *options,
                           const char *precision, const char *device)
{
    provenance_add(p, "version", cad_version());
    provenance_add(p, "model_sha256", model);
    if (contigs) provenance_add(p, "contigs_sha256", contigs);
    provenance_add(p, "options", options->s.s ? options->s.s : "");
    provenance_add(p, "precision", precision);
    provenance_add(p, "device", device);
}

void options_provenance(provenance_t *p, const cad_model_t *model, const cad_context_t *ctx, const char *contigs,
                        const text_t *options)
{
    options_provenance_of(p, cad_model_text(model, CAD_TEXT_SHA256), contigs, options, cad_context_precision(ctx),
                          cad_context_device(ctx));
}

void options_input_model(const options_t *o, ledger_t *l)
{
    static const char *const part[] = { "",
                                        "/model.safetensors",
                                        "/model.safetensors.index.json",
                                        "/config.json",
                                        "/tokenizer_config.json",
                                        "/tokenizer.json",
                                        "/vocab.txt",
                                        "/pytorch_model.bin",
                                        "/pytorch_model.bin.index.json",
                                        NULL };
    static const char *const adapter[] = { "/adapter_config.json", "/adapter_model.safetensors", "/adapter_model.bin",
                                           NULL };
    const char *model = options_model(o);
    char buf[4352];
    ledger_inputs(l, model ? model : bundled(buf, sizeof buf), part);
    if (o->adapter) ledger_inputs(l, o->adapter, adapter);
}

void options_inputs(const options_t *o, const char *reference, const char *aliases, const limits_t *limits, ledger_t *l)
{
    options_input_model(o, l);
    ledger_reference(l, reference);
    ledger_input(l, aliases);
    limits_inputs(limits, l);
}

int option_index(const char *cmd, const char *arg, index_t *index)
{
    *index = !arg || !strcmp(arg, "csi") ? INDEX_CSI
             : !strcmp(arg, "bai")       ? INDEX_BAI
             : !strcmp(arg, "tbi")       ? INDEX_TBI
                                         : INDEX_NONE;
    return *index ? 0 : cmd_fail(cmd, "--write-index=%s: expected csi, bai or tbi", arg);
}

int option_shard(const char *cmd, const char *arg, shard_t *shard)
{
    cad_error_t err;
    return shard_parse(shard, arg, &err) ? cmd_fail(cmd, "%s", err.text) : 0;
}

int option_named(const char *cmd, const shard_t *shard, const char **path, char **owned)
{
    if (!strstr(*path, "{shard}")) return 0;
    if (!shard->of) return cmd_fail(cmd, "%s: {shard} in a name needs --shard", *path);
    *path = *owned = shard_path(shard, *path);
    return *owned ? 0 : cmd_fail(cmd, "out of memory");
}

bool options_part_done(const options_t *o, const char *path, const provenance_t *p)
{
    text_t json = { 0 };
    bool done;
    provenance_json(p, &json);
    done = !json.failed && part_done(path, &json);
    text_free(&json);
    if (done && !o->quiet) cmd_say(o->cmd, "%s exists already and is complete; nothing to do", path);
    return done;
}

int64_t options_batch(const options_t *o) { return cad_max((int64_t)1 << 18, (int64_t)o->threads << 16); }

int limits_take(limits_t *l, const char *cmd, int how, const char *text)
{
    if (l->n == (int)(sizeof l->limit / sizeof *l->limit))
        return cmd_fail(cmd, "-%c: more than 64 regions or files; use one file", how);
    l->limit[l->n].how = how;
    l->limit[l->n++].text = text;
    return 0;
}

static int add_limit(regions_t **r, int how, const char *text, const names_t *names, cad_error_t *err)
{
    struct stat sb;
    bool file = how == 'L' || (how != 'r' && stat(text, &sb) == 0 && !S_ISDIR(sb.st_mode));
    int rc = *r ? 0 : regions_new(r, err);
    if (rc) return rc;
    return file ? regions_add_bed(*r, text, names, err) : regions_add_text(*r, text, names, err);
}

int limits_open(const limits_t *l, const char *hows, regions_t **r, const names_t *names, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < l->n && rc == 0; i++)
        if (strchr(hows, l->limit[i].how)) rc = add_limit(r, l->limit[i].how, l->limit[i].text, names, err);
    if (*r) regions_finish(*r);
    return rc;
}

void limits_inputs(const limits_t *limits, ledger_t *l)
{
    for (int i = 0; i < limits->n; i++)
        if (limits->limit[i].how != 'r') ledger_input(l, limits->limit[i].text);
}

bool limits_stream(const limits_t *l)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->limit[i].text, "-")) return true;
    return false;
}

uint64_t text_digest(const char *s, uint64_t d) { return cad_hash(d, s, strlen(s)) * 31; }

uint64_t limits_digest(const limits_t *l, uint64_t d)
{
    for (int i = 0; i < l->n; i++) d = text_digest(l->limit[i].text, d) + (uint64_t)l->limit[i].how;
    return d;
}
