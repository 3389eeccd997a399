/* meter.c - a context's operations, each with a clock round it.
 *
 * Each lane gets a table of its own whose entries call the backend's, so that lanes that
 * run side by side share nothing. SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <time.h>

#include "measure/measure.h"
#include "engine/engine.h"

typedef struct { /* begins with what the lane takes for the backend's table */
    cad_ops_t table;
    const cad_ops_t *real;
    cad_meter_t *meter;
    double spent[CAD_NOP];
} clock_table_t;

struct cad_meter_t {
    cad_context_t *ctx;
    pthread_mutex_t turn; /* a device does one lane's operation at a time */
    bool device;
    int lanes; /* the team's is the last */
    clock_table_t clock[];
};

const char *cad_op_name(cad_op_t op)
{
    static const char *const name[] = { "embed", "in", "conv", "scan", "out", "head", "pool" };
    return name[op];
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static clock_table_t *clock_of(const cad_lane_t *l) { return (clock_table_t *)(void *)l->ops; }

static const cad_ops_t *begin(const cad_lane_t *l, double *start)
{
    clock_table_t *c = clock_of(l);
    if (c->meter->device) pthread_mutex_lock(&c->meter->turn);
    *start = now();
    return c->real;
}

static int end(cad_lane_t *l, cad_op_t op, double start, int rc)
{
    clock_table_t *c = clock_of(l);
    float none;
    if (rc == 0) rc = c->real->read(l, CAD_AT_RES, 0, 0, &none); /* waits */
    c->spent[op] += now() - start;
    if (c->meter->device) pthread_mutex_unlock(&c->meter->turn);
    return rc;
}

static int time_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, CAD_OP_EMBED, start, real->embed(l, tok, s));
}

static int time_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, CAD_OP_IN, start, real->in(l, layer, dir, s, parts));
}

static int time_conv(cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, CAD_OP_CONV, start, real->conv(l, layer, dir, s));
}

static int time_scan(cad_lane_t *l, int layer, int dir, cad_span_t s, bool add, bool gate)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, CAD_OP_SCAN, start, real->scan(l, layer, dir, s, add, gate));
}

static int time_out(cad_lane_t *l, int layer, int dir, cad_span_t s, cad_out_t how)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, CAD_OP_OUT, start, real->out(l, layer, dir, s, how));
}

static int time_head(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, CAD_OP_HEAD, start, real->head(l, pick, n));
}

static int time_pool(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, CAD_OP_POOL, start, real->pool(l, range, n));
}

static cad_lane_t *lane_at(cad_context_t *ctx, int i) { return i < ctx->lanes ? &ctx->lane[i] : &ctx->wide; }

static void set_clock(cad_meter_t *m, int i)
{
    cad_lane_t *l = lane_at(m->ctx, i);
    clock_table_t *c = &m->clock[i];
    if (!l->ops) return; /* no team works inside operations */
    c->table = *l->ops;
    c->real = l->ops;
    c->meter = m;
    c->table.embed = time_embed;
    c->table.in = time_in;
    c->table.conv = time_conv;
    c->table.scan = time_scan;
    c->table.out = time_out;
    c->table.head = time_head;
    c->table.pool = time_pool;
    l->ops = &c->table;
}

int cad_meter_open(cad_meter_t **meter, cad_context_t *ctx, cad_error_t *err)
{
    int lanes = ctx->lanes + 1;
    cad_meter_t *m = calloc(1, sizeof *m + (size_t)lanes * sizeof *m->clock);
    *meter = NULL;
    if (!m) return cad_fail(err, CAD_ENOMEM, "out of memory");
    if (pthread_mutex_init(&m->turn, NULL)) {
        free(m);
        return cad_fail(err, CAD_ENOMEM, "out of memory for a lock");
    }
    m->ctx = ctx;
    m->device = ctx->ops->lanes > 0;
    m->lanes = lanes;
    for (int i = 0; i < lanes; i++) set_clock(m, i);
    *meter = m;
    return 0;
}

void cad_meter_read(const cad_meter_t *m, double seconds[CAD_NOP])
{
    memset(seconds, 0, CAD_NOP * sizeof *seconds);
    for (int i = 0; i < m->lanes; i++)
        for (int op = 0; op < CAD_NOP; op++)
            seconds[op] += m->clock[i].spent[op] * cad_team_threads(lane_at(m->ctx, i)->team);
}

void cad_meter_close(cad_meter_t *m)
{
    if (!m) return;
    for (int i = 0; i < m->lanes; i++)
        if (m->clock[i].real) lane_at(m->ctx, i)->ops = m->clock[i].real;
    pthread_mutex_destroy(&m->turn);
    free(m);
}
