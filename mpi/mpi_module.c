/* mpi_module.c - moves bytes between ranks by MPI: the module that cmd/train/ranks.c loads.
 *
 * A rank that waits sleeps between tests, so that it takes no time from ranks that share its processor, and waits no
 * longer than it is told: MPI itself may wait for ever for a machine that is gone. SPDX-License-Identifier: MIT
 */
#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "train/mpi_module.h"

#define PIECE ((size_t)1 << 30) /* MPI counts bytes in an int */
#define SPINS 2000              /* tests before the first sleep */
#define LAST_SECONDS 20         /* time that MPI has for ending all ranks */

static int say(char *text, size_t size, const char *what)
{
    snprintf(text, size, "%s", what);
    return -1;
}

static int failed(int rc, char *text, size_t size)
{
    char why[MPI_MAX_ERROR_STRING + 1] = "";
    int n = 0;
    MPI_Error_string(rc, why, &n);
    for (char *s = why; *s; s++)
        if (*s == '\n') *s = ' ';
    return say(text, size, why);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Waits for a request, which an MPI function that returned rc has made. */
static int await(int rc, MPI_Request *q, MPI_Status *status, double seconds, char *text, size_t size)
{
    const struct timespec pause = { 0, 50000 };
    double begun = now();
    int done = 0;
    for (long long i = 0; rc == MPI_SUCCESS; i++) {
        rc = MPI_Test(q, &done, status);
        if (rc == MPI_SUCCESS && done) return 0;
        if (i < SPINS) continue;
        if (now() - begun > seconds) return 1;
        nanosleep(&pause, NULL);
    }
    return failed(rc, text, size);
}

static size_t piece(size_t bytes, size_t at) { return bytes - at < PIECE ? bytes - at : PIECE; }

static int send_bytes(int to, const void *data, size_t bytes, double seconds, char *text, size_t size)
{
    int rc = 0;
    for (size_t at = 0; at < bytes && rc == 0; at += PIECE) {
        MPI_Request q;
        int n = (int)piece(bytes, at);
        rc = await(MPI_Isend((const char *)data + at, n, MPI_BYTE, to, 0, MPI_COMM_WORLD, &q), &q, MPI_STATUS_IGNORE,
                   seconds, text, size);
    }
    return rc;
}

/* A shorter message is no error of MPI; it comes from a rank that is elsewhere in its run. */
static int check_length(const MPI_Status *status, int expected, char *text, size_t size)
{
    int n = 0;
    if (MPI_Get_count(status, MPI_BYTE, &n) == MPI_SUCCESS && n == expected) return 0;
    return say(text, size, "its message is shorter than expected; do all processes have the same options?");
}

static int receive_bytes(int from, void *data, size_t bytes, double seconds, char *text, size_t size)
{
    int rc = 0;
    for (size_t at = 0; at < bytes && rc == 0; at += PIECE) {
        MPI_Request q;
        MPI_Status status;
        int n = (int)piece(bytes, at);
        rc = await(MPI_Irecv((char *)data + at, n, MPI_BYTE, from, 0, MPI_COMM_WORLD, &q), &q, &status, seconds, text,
                   size);
        if (rc == 0) rc = check_length(&status, n, text, size);
    }
    return rc;
}

static int broadcast_bytes(void *data, size_t bytes, double seconds, char *text, size_t size)
{
    int rc = 0;
    for (size_t at = 0; at < bytes && rc == 0; at += PIECE) {
        MPI_Request q;
        int n = (int)piece(bytes, at);
        rc = await(MPI_Ibcast((char *)data + at, n, MPI_BYTE, 0, MPI_COMM_WORLD, &q), &q, MPI_STATUS_IGNORE, seconds,
                   text, size);
    }
    return rc;
}

/* Ends this process too if MPI cannot reach the others. */
static void abort_all(void)
{
    alarm(LAST_SECONDS);
    MPI_Abort(MPI_COMM_WORLD, 1);
    _exit(1);
}

static void close_all(void) { MPI_Finalize(); }

__attribute__((visibility("default"))) cad_mpi_open_f cad_mpi_open;

int cad_mpi_open(int abi, cad_mpi_t *m, char *text, size_t size)
{
    char node[MPI_MAX_PROCESSOR_NAME + 1] = "";
    int n = 0, level, rc;
    if (abi != CAD_MPI_ABI) return say(text, size, "the MPI module is another version's");
    rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_rank(MPI_COMM_WORLD, &m->rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(MPI_COMM_WORLD, &m->ranks);
    if (rc == MPI_SUCCESS) rc = MPI_Get_processor_name(node, &n);
    if (rc != MPI_SUCCESS) return failed(rc, text, size);
    snprintf(m->node, sizeof m->node, "%.*s", (int)sizeof m->node - 1, node);
    m->send = send_bytes;
    m->receive = receive_bytes;
    m->broadcast = broadcast_bytes;
    m->abort = abort_all;
    m->close = close_all;
    return 0;
}
