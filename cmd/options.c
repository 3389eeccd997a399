/* options.c - options that mean the same in every command. SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#include "cmd.h"
#include "internal.h"
#include "glue.h"

#define MANY (1 << 20)

/* CPUs that one cgroup's quota grants, rounded up; MANY if it sets none. */
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

/* The least that this process's cgroup (version 2) and those above it grant. */
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

static int default_threads(void)
{
    const char *slurm = getenv("SLURM_CPUS_PER_TASK");
    int64_t n = cad_max(1, cad_min(sysconf(_SC_NPROCESSORS_ONLN), cgroup_cpus())), s;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = cad_min(n, CPU_COUNT(&set));
    if (slurm && cad_parse_int(slurm, 1, 4096, &s)) n = cad_min(n, s);
    return (int)cad_min(cad_max(n, 1), 4096);
}

void options_init(options_t *o, const char *cmd)
{
    memset(o, 0, sizeof *o);
    o->cmd = cmd;
    o->device = "auto";
    o->threads = default_threads();
    o->verbosity = 3;
    opterr = 0; /* option_unknown speaks */
}

int option_int(const char *cmd, const char *name, const char *arg, int64_t lo, int64_t hi, int64_t *out)
{
    if (cad_parse_int(arg, lo, hi, out)) return 0;
    return cmd_fail(cmd, "%s %s: expected a whole number from %lld to %lld", name, arg, (long long)lo, (long long)hi);
}

int options_take(options_t *o, int c, const char *arg)
{
    int64_t n;
    switch (c) {
    case 'm':
        o->model = arg;
        return *arg ? 0 : -cmd_fail(o->cmd, "-m: an empty name");
    case 'd':
        o->device = arg;
        if (!strcmp(arg, "cpu") || !strcmp(arg, "auto")) return 0;
        if (!strncmp(arg, "cuda", 4)) cmd_fail(o->cmd, "-d %s: this version has no CUDA module; use -d cpu", arg);
        else cmd_fail(o->cmd, "-d %s: expected auto or cpu", arg);
        return -1;
    case '@':
        if (option_int(o->cmd, "-@", arg, 0, 4096, &n)) return -1;
        o->threads = n ? (int)n : 1;
        return 0;
    case 1001:
        if (!strcmp(arg, "fp32")) return 0;
        cmd_fail(o->cmd, "--precision %s: expected fp32", arg);
        return -1;
    case 1002: o->quiet = true; return 0;
    case 1003:
        if (option_int(o->cmd, "--verbosity", arg, 0, 9, &n)) return -1;
        o->verbosity = (int)n;
        glue_verbosity((int)n);
        return 0;
    default: return 1;
    }
}

int option_unknown(const char *cmd, char **argv)
{
    const char *arg = argv[optind - 1];
    if (optopt && optopt < 128 && strncmp(arg, "--", 2)) return cmd_fail(cmd, "-%c: no such option, or its value is missing; see --help", optopt);
    return cmd_fail(cmd, "%s: no such option, ambiguous, or its value is missing or unwanted; see --help", arg);
}

/* The demonstration model: in the build tree, in the shared data of the prefix that
 * the binary or the bcftools plugin lies in, or where it was installed. */
static const char *bundled(char *buf, size_t size)
{
    static const char *const places[] = { "/models/demo", "/../share/caduceus/models/demo", "/../../models/demo", "/../../share/caduceus/models/demo" };
    Dl_info self;
    char *file = dladdr((const void *)places, &self) ? realpath(strchr(self.dli_fname, '/') ? self.dli_fname : "/proc/self/exe", NULL) : NULL;
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

const char *options_model(const options_t *o)
{
    const char *path = o->model ? o->model : getenv("CADUCEUS_MODEL");
    return path && *path ? path : NULL;
}

int options_open_context(const options_t *o, const cad_model_t *model, int64_t max_len, cad_context_t **ctx, cad_error_t *err)
{
    cad_options_t c;
    cad_options_init(&c);
    c.device = o->device;
    c.threads = o->threads;
    c.max_len = max_len;
    return cad_context_open(ctx, model, &c, err);
}

int options_open_model(const options_t *o, cad_model_t **model)
{
    const char *path = options_model(o);
    char buf[4352];
    cad_error_t err;
    bool demo = !path;
    if (demo) path = bundled(buf, sizeof buf);
    if (demo && access(path, R_OK)) return cmd_fail(o->cmd, "give a checkpoint with -m or $CADUCEUS_MODEL; the demonstration model is not at %s", path);
    if (cad_model_open(model, path, &err)) return cmd_fail(o->cmd, "%s", err.text);
    if (demo) cmd_warn(o->cmd, "no -m given: using the bundled demonstration model, not for publication");
    return 0;
}
