/* ranks.c - joins the processes (ranks) that a launcher has started: finds the launcher, loads the MPI module for it, and
 * moves what the trainers and pretrain exchange. SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "io/foundation.h"
#include "io/signals.h"
#include "train/ranks.h"
#include "train/resume.h"

/* ---- the launcher ---- */

typedef struct {
    const char *size; /* variable that holds the number of processes */
    const char *rank; /* variable that each process has; NULL: size is enough */
    const char *mpi;  /* the MPI whose processes it starts; NULL: none */
} launcher_t;

/* The first line whose variables are set holds. Of srun, PMIx serves OpenMPI, and PMI2 serves MPICH. */
static const launcher_t LAUNCHER[] = { { "OMPI_COMM_WORLD_SIZE", NULL, "openmpi" },
                                       { "PMI_SIZE", NULL, "mpich" },
                                       { "SLURM_STEP_NUM_TASKS", "PMIX_RANK", "openmpi" },
                                       { "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", NULL } };

/* Returns the launcher that has started this process as one of several, or NULL. */
static const launcher_t *find_launcher(int64_t *size)
{
    for (size_t i = 0; i < sizeof LAUNCHER / sizeof *LAUNCHER; i++) {
        const launcher_t *l = &LAUNCHER[i];
        const char *text = getenv(l->size);
        if (!text || (l->rank && !getenv(l->rank))) continue;
        return cad_parse_int(text, 2, INT32_MAX, size) ? l : NULL;
    }
    return NULL;
}

#define START_SECONDS 10 /* time for starting MPI, beyond `patience` */

typedef struct { /* what is said if MPI does not start */
    const char *cmd, *variable;
    double seconds;
} start_t;

/* Ends the process, in a thread of its own: MPI waits for ever for a process that has not called it. */
static void late(union sigval start)
{
    const start_t *s = start.sival_ptr;
    cmd_fail(s->cmd,
             "%s is set, and MPI has not started within %.0f s: another process of the launcher has ended, or runs "
             "something else (unset %s to train by one process)",
             s->variable, s->seconds, s->variable);
    _exit(1);
}

/* Starts MPI, or ends the process after some time. */
static int start_mpi(ranks_t *r, cad_mpi_open_f *open, const launcher_t *l, char *why, size_t size)
{
    start_t start = { r->cmd, l->size, r->patience + START_SECONDS };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD,
                              .sigev_notify_function = late,
                              .sigev_value.sival_ptr = &start };
    const struct itimerspec after = { .it_value.tv_sec = (time_t)start.seconds };
    timer_t timer;
    bool timed = timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &after, NULL) == 0;
    int rc = open(CAD_MPI_ABI, &r->mpi, why, size);
    if (timed) timer_delete(timer);
    return rc;
}

static int open_module(ranks_t *r, const launcher_t *l, cad_error_t *err)
{
    const char *named = getenv("CADUCEUS_MPI_MODULE");
    char file[40], path[4096], why[256] = "";
    cad_mpi_open_f *open;
    void *at;
    snprintf(file, sizeof file, "caduceus-%s.so", l->mpi);
    if (named) snprintf(path, sizeof path, "%s", named);
    else cad_module_find(file, path, sizeof path);
    if (!*path)
        return cad_fail(err, CAD_EDEVICE,
                        "started by a launcher of %s (%s is set), but the MPI module %s is not installed", l->mpi,
                        l->size, file);
    at = cad_module_load(path, CAD_MPI_SYMBOL, true, err);
    if (!at) return CAD_EDEVICE;
    memcpy(&open, &at, sizeof at);
    if (start_mpi(r, open, l, why, sizeof why)) return cad_fail(err, CAD_EDEVICE, "%s: %s", path, why);
    r->open = true;
    r->rank = r->mpi.rank;
    r->ranks = r->mpi.ranks;
    return 0;
}

int ranks_open(ranks_t *r, const char *cmd, int64_t patience, cad_error_t *err)
{
    int64_t size = 1;
    const launcher_t *l = find_launcher(&size);
    int rc;
    *r = (ranks_t) { .cmd = cmd, .ranks = 1, .patience = (double)patience, .since = cad_seconds() };
    if (!l) return 0;
    if (!l->mpi)
        return cad_fail(
            err, CAD_EARG,
            "srun has started %lld processes that do not know each other: add --mpi=pmix or --mpi=pmi2 to srun, "
            "or use -n 1",
            (long long)size);
    rc = open_module(r, l, err);
    if (rc == 0 && r->ranks != size)
        rc = cad_fail(err, CAD_EDEVICE,
                      "the launcher has started %lld processes, and MPI finds %d: the module is not %s's",
                      (long long)size, r->ranks, l->mpi);
    return rc;
}

bool ranks_first(const ranks_t *r) { return r->rank == 0; }

/* ---- messages ---- */

/* Begins a message. Returns how many seconds to wait for another rank. */
static double wait_for(ranks_t *r)
{
    double t = cad_seconds(), computed = t - r->since;
    if (computed > r->longest) r->longest = computed;
    r->since = t;
    return r->patience + 3 * r->longest;
}

/* Ends a message to or from rank `other`; -1: any. */
static int ended(ranks_t *r, int rc, int other, double seconds, const char *why, cad_error_t *err)
{
    double t = cad_seconds();
    char who[24] = "another rank";
    r->inside += t - r->since;
    r->since = t;
    if (rc == 0) return 0;
    if (other >= 0) snprintf(who, sizeof who, "rank %d", other);
    if (rc < 0) return cad_fail(err, CAD_EIO, "%s cannot be reached: %s", who, why);
    return cad_fail(err, CAD_EIO, "%s has not answered for %.0f s; does its machine run? (--rank-timeout)", who,
                    seconds);
}

static int send_bytes(void *arg, int to, const void *data, size_t bytes, cad_error_t *err)
{
    ranks_t *r = arg;
    char why[256] = "";
    double seconds = wait_for(r);
    return ended(r, r->mpi.send(to, data, bytes, seconds, why, sizeof why), to, seconds, why, err);
}

static int receive_bytes(void *arg, int from, void *data, size_t bytes, cad_error_t *err)
{
    ranks_t *r = arg;
    char why[256] = "";
    double seconds = wait_for(r);
    return ended(r, r->mpi.receive(from, data, bytes, seconds, why, sizeof why), from, seconds, why, err);
}

static int broadcast_bytes(void *arg, void *data, size_t bytes, cad_error_t *err)
{
    ranks_t *r = arg;
    char why[256] = "";
    double seconds = wait_for(r);
    return ended(r, r->mpi.broadcast(data, bytes, seconds, why, sizeof why), r->rank ? 0 : -1, seconds, why, err);
}

int ranks_share(ranks_t *r, void *data, size_t bytes, cad_error_t *err)
{
    return r->ranks > 1 ? broadcast_bytes(r, data, bytes, err) : 0;
}

int ranks_any(ranks_t *r, bool *flag, cad_error_t *err)
{
    bool other;
    int rc = 0;
    if (r->ranks == 1) return 0;
    if (r->rank) rc = send_bytes(r, 0, flag, sizeof *flag, err);
    for (int i = 1; i < r->ranks && r->rank == 0 && rc == 0; i++) {
        rc = receive_bytes(r, i, &other, sizeof other, err);
        *flag |= other;
    }
    return rc ? rc : broadcast_bytes(r, flag, sizeof *flag, err);
}

/* ---- agreement ---- */

static int compare(const ranks_t *r, const char *mine, const char *first, cad_error_t *err)
{
    text_t has = { 0 }, had = { 0 };
    int rc = 0;
    if (r->rank == 0 || !strcmp(mine, first)) return 0;
    resume_differences(mine, first, &has);
    resume_differences(first, mine, &had);
    if (has.failed || had.failed) rc = cad_out_of_memory(err);
    else
        rc = cad_fail(err, CAD_EARG, "differs from rank 0: it has%s, and rank 0 has%s",
                      has.s.l ? has.s.s : " nothing more", had.s.l ? had.s.s : " nothing more");
    text_free(&has);
    text_free(&had);
    return rc;
}

int ranks_agree(ranks_t *r, const char *text, cad_error_t *err)
{
    int64_t n = (int64_t)strlen(text) + 1;
    char *first;
    int rc;
    if (r->ranks == 1) return 0;
    rc = broadcast_bytes(r, &n, sizeof n, err);
    if (rc) return rc;
    first = malloc((size_t)n);
    if (!first) return cad_out_of_memory(err);
    if (r->rank == 0) memcpy(first, text, (size_t)n);
    rc = broadcast_bytes(r, first, (size_t)n, err);
    if (rc == 0) rc = compare(r, text, first, err);
    free(first);
    return rc;
}

/* Returns the rank's number among those on its machine; 0 if the launcher does not say. */
static int64_t local_rank(void)
{
    static const char *const name[] = { "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID" };
    int64_t k;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (getenv(name[i]) && cad_parse_int(getenv(name[i]), 0, 4096, &k)) return k;
    return 0;
}

/* Appends a key and a value, in which dashes replace blanks. */
static void put_word(text_t *t, const char *key, const char *value)
{
    text_puts(t, key);
    for (const char *s = value; *s; s++) text_printf(t, "%c", *s == ' ' ? '-' : *s);
}

/* Appends the properties of this process on which the rounding of numbers depends. */
static void put_device(text_t *t, const cad_trainer_t *trainer)
{
    put_word(t, " device=", cad_trainer_device(trainer));
    text_printf(t, " precision=%s", cad_trainer_precision(trainer));
#ifdef _CS_GNU_LIBC_VERSION /* the rate and the corrections of AdamW are computed by the C library */
    char libc[64] = "";
    if (confstr(_CS_GNU_LIBC_VERSION, libc, sizeof libc) > 0) put_word(t, " libc=", libc);
#endif
}

int ranks_join(ranks_t *r, cad_trainer_t *trainer, bool mixed, cad_error_t *err)
{
    cad_peers_t peers = { .size = sizeof peers,
                          .rank = r->rank,
                          .ranks = r->ranks,
                          .send = send_bytes,
                          .receive = receive_bytes,
                          .broadcast = broadcast_bytes,
                          .arg = r };
    text_t t = { 0 };
    int rc = 0;
    if (r->ranks == 1) return 0;
    if (!r->named && local_rank() > 0 && strncmp(cad_trainer_device(trainer), "cpu", 3))
        return cad_fail(err, CAD_EARG,
                        "several processes of this machine would use one device: give -d cuda, which takes one "
                        "for each, or -d cpu");
    text_printf(&t, "version=%s", cad_version());
    if (!mixed) put_device(&t, trainer);
    if (t.failed) rc = cad_out_of_memory(err);
    if (rc == 0) rc = ranks_agree(r, t.s.s, err);
    text_free(&t);
    if (rc == 0) rc = cad_trainer_join(trainer, &peers, err);
    r->begun = cad_seconds();
    r->inside = 0;
    return rc;
}

const char *ranks_device(ranks_t *r, const char *device)
{
    const char *cards = getenv("CUDA_VISIBLE_DEVICES");
    bool single = cards && *cards && !strchr(cards, ','); /* the launcher has given each rank one card */
    r->named = single || (device && strcmp(device, "auto"));
    if (r->ranks == 1 || !device || strcmp(device, "cuda") || single) return device;
    snprintf(r->device, sizeof r->device, "cuda:%lld", (long long)local_rank());
    return r->device;
}

int ranks_enough(const ranks_t *r, int64_t items, const char *what, cad_error_t *err)
{
    if (items >= r->ranks) return 0;
    return cad_fail(err, CAD_EARG, "%d processes, and %lld %s in a step: some would have nothing to do; start fewer",
                    r->ranks, (long long)items, what);
}

/* ---- the end ---- */

void ranks_tell(const ranks_t *r)
{
    double all = cad_seconds() - r->begun;
    if (r->ranks == 1) return;
    cmd_say(r->cmd, "%d processes: %.2f %% of %.1f s waiting for others and in messages", r->ranks,
            100 * r->inside / fmax(all, 1e-9), all);
}

void ranks_close(ranks_t *r, int rc, cad_error_t *err)
{
    /* if all ranks have the same error, rank 0 reports it and ends the others, which wait meanwhile */
    const struct timespec first = { 1, 0 }, passed_on = { 0, 300000000 };
    if (!r->open) return;
    if (rc == 0) r->mpi.close();
    r->open = false;
    if (rc == 0) return;
    if (r->rank) nanosleep(&first, NULL);
    if (err->text[0] && r->rank) cmd_fail(r->cmd, "rank %d of %d on %s: %s", r->rank, r->ranks, r->mpi.node, err->text);
    else if (err->text[0]) cmd_fail(r->cmd, "%s", err->text);
    err->text[0] = 0;
    temporary_remove();
    nanosleep(&passed_on, NULL); /* a launcher may lose messages that it has not read when it is told to abort */
    r->mpi.abort();
}
