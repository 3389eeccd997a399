/* meter.c - times each operation of a context.
 *
 * The table of operations of each lane is replaced by one whose entries call the backend's operations and measure their
 * time. Each lane has a table of its own, so lanes that run at the same time share no data.
 * SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "base/clock.h"
#include "measure/measure.h"
#include "engine/engine.h"

/* the timing table of one lane; `table` is the first member, because l->ops of the lane points to it */
typedef struct {
    cad_ops_t table;
    const cad_ops_t *real;
    cad_meter_t *meter;
    double spent[CAD_NOP];
} clock_table_t;

struct cad_meter_t {
    cad_context_t *ctx;
    pthread_mutex_t turn; /* locked during an operation, so that a GPU runs one lane at a time */
    bool device;
    int lanes; /* number of lanes: those of the context, then the one that the whole team runs */
    clock_table_t clock[];
};

_Static_assert(3 + CAD_NKINDS * CAD_KIND_OPS <= CAD_NOP, "all operations have a number");

/* ---- numbers of operations ---- */

int cad_op_first(const cad_model_t *m, int kind)
{
    int op = 1;
    for (int k = 0; k < kind; k++)
        if (cad_config_uses(&m->cfg, k)) op += cad_blocks[k]->nop;
    return op;
}

static int head_op(const cad_model_t *m) { return cad_op_first(m, CAD_NKINDS); }
static int pool_op(const cad_model_t *m) { return head_op(m) + 1; }

int cad_op_count(const cad_model_t *m) { return pool_op(m) + 1; }

const char *cad_op_name(const cad_model_t *m, int op)
{
    if (op == 0) return "embed";
    if (op == head_op(m)) return "head";
    if (op == pool_op(m)) return "pool";
    op--;
    for (int k = 0; k < CAD_NKINDS; k++) {
        int n = cad_config_uses(&m->cfg, k) ? cad_blocks[k]->nop : 0;
        if (op < n) return cad_blocks[k]->op[op];
        op -= n;
    }
    return "";
}

/* ---- clocks ---- */

static clock_table_t *clock_of(const cad_lane_t *l) { return (clock_table_t *)(void *)l->ops; }

static const cad_ops_t *begin(const cad_lane_t *l, double *start)
{
    clock_table_t *c = clock_of(l);
    if (c->meter->device) pthread_mutex_lock(&c->meter->turn);
    *start = cad_seconds();
    return c->real;
}

static int end(cad_lane_t *l, int op, double start, int rc)
{
    clock_table_t *c = clock_of(l);
    float none;
    /* reading no rows waits until the GPU has completed the operation */
    if (rc == 0) rc = c->real->read(l, 0, CAD_AT_RES, 0, 0, &none);
    c->spent[op] += cad_seconds() - start;
    if (c->meter->device) pthread_mutex_unlock(&c->meter->turn);
    return rc;
}

static int time_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, 0, start, real->embed(l, tok, s));
}

static const cad_model_t *model_of(const cad_lane_t *l) { return clock_of(l)->meter->ctx->model; }

static int time_op(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how, int op)
{
    const cad_model_t *m = model_of(l);
    int kind = m->layer[layer].kind;
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, cad_op_first(m, kind) + op, start, real->kind[kind][op](l, layer, dir, s, how));
}

/* An operation is called without its number, so there is a timing function for each number. */
#define TIME_OP(i)                                                                        \
    static int time_op_##i(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how) \
    {                                                                                     \
        return time_op(l, layer, dir, s, how, i);                                         \
    }
/* clang-format off */
TIME_OP(0) TIME_OP(1) TIME_OP(2) TIME_OP(3) TIME_OP(4) TIME_OP(5) TIME_OP(6) TIME_OP(7)
    /* clang-format on */
    static cad_op_f *const TIME[CAD_KIND_OPS] = { time_op_0, time_op_1, time_op_2, time_op_3,
                                                  time_op_4, time_op_5, time_op_6, time_op_7 };

static int time_head(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, head_op(model_of(l)), start, real->head(l, pick, n));
}

static int time_pool(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    double start;
    const cad_ops_t *real = begin(l, &start);
    return end(l, pool_op(model_of(l)), start, real->pool(l, range, n));
}

static cad_lane_t *lane_at(cad_context_t *ctx, int i) { return i < ctx->lanes ? &ctx->lane[i] : &ctx->wide; }

static void set_clock(cad_meter_t *m, int i)
{
    cad_lane_t *l = lane_at(m->ctx, i);
    clock_table_t *c = &m->clock[i];
    if (!l->ops) return; /* the backend has no team lane */
    c->table = *l->ops;
    c->real = l->ops;
    c->meter = m;
    c->table.embed = time_embed;
    for (int k = 0; k < CAD_NKINDS; k++) c->table.kind[k] = TIME;
    c->table.head = time_head;
    c->table.pool = time_pool;
    l->ops = &c->table;
}

int cad_meter_open(cad_meter_t **meter, cad_context_t *ctx, cad_error_t *err)
{
    int lanes = ctx->lanes + 1;
    cad_meter_t *m = calloc(1, sizeof *m + (size_t)lanes * sizeof *m->clock);
    *meter = NULL;
    if (!m) return cad_out_of_memory(err);
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
