/* pickle.c - reads the values of a Python pickle and executes nothing. torch.c uses it for PyTorch's files.
 *
 * Every value and every item is made by an instruction of at least one byte. So arrays with as many entries as the
 * pickle has bytes are large enough, whatever sizes the pickle states. No function here recurses.
 * SPDX-License-Identifier: MIT
 */
#include "model/pickle.h"

typedef struct {
    cad_pickle_t *p;
    const char *path;
    cad_error_t *err;
    size_t at, op;   /* at: offset of the next byte; op: offset of the current instruction */
    uint32_t *stack; // (depth) the stack: indexes of values
    uint32_t *mark;  // (nmark) the marks: each is a depth of the stack
    uint32_t *memo;  // (size) the memo: values by number, 0 if none
    uint32_t depth, nmark, nmemo;
    int rc;
} machine_t;

static int bad(machine_t *m, const char *what)
{
    if (m->rc == 0)
        m->rc = cad_fail(m->err, CAD_EFORMAT, "%s: byte %zu of its pickle: %s; is the copy complete?", m->path, m->op,
                         what);
    return m->rc;
}

/* ---- bytes of an instruction ---- */

/* Returns the address of the next n bytes of the pickle and moves past them; NULL after an error. */
static const unsigned char *bytes(machine_t *m, uint64_t n)
{
    const unsigned char *b = m->p->text + m->at;
    if (n > m->p->size - m->at) {
        bad(m, "cut short");
        return NULL;
    }
    m->at += (size_t)n;
    return b;
}

static uint64_t number(machine_t *m, int n)
{
    const unsigned char *b = bytes(m, (uint64_t)n);
    return b ? cad_little(b, n) : 0;
}

/* ---- values and the stack ---- */

static uint32_t make(machine_t *m, cad_py_type_t type, uint32_t a, uint32_t b)
{
    cad_py_t *v = &m->p->value[m->p->nvalue];
    memset(v, 0, sizeof *v);
    v->type = type;
    v->at.a = a;
    v->at.b = b;
    return m->p->nvalue++;
}

static void push(machine_t *m, uint32_t v) { m->stack[m->depth++] = v; }

static uint32_t floor_of(const machine_t *m) { return m->nmark ? m->mark[m->nmark - 1] : 0; }

static uint32_t pop(machine_t *m)
{
    if (m->depth > floor_of(m)) return m->stack[--m->depth];
    bad(m, "takes a value that is not there");
    return 0;
}

static uint32_t top(machine_t *m)
{
    if (m->depth > floor_of(m)) return m->stack[m->depth - 1];
    bad(m, "takes a value that is not there");
    return 0;
}

/* Moves the values above the last mark of the stack to the end of the array `item`, and removes the mark. Returns the
 * index of the first moved value in `item`, or 0 after an error. Sets *n to the number of moved values. */
static uint32_t pop_marked(machine_t *m, uint32_t *n)
{
    uint32_t first = m->p->nitem, from = floor_of(m);
    *n = 0;
    if (m->nmark == 0) {
        bad(m, "takes a mark that is not there");
        return 0;
    }
    *n = m->depth - from;
    memcpy(m->p->item + first, m->stack + from, *n * sizeof *m->stack);
    m->p->nitem += *n;
    m->depth = from;
    m->nmark--;
    return first;
}

/* Moves the top n values of the stack to the end of the array `item`. Returns the index of the first moved value in
 * `item`, or 0 after an error. */
static uint32_t pop_few(machine_t *m, uint32_t n)
{
    uint32_t first = m->p->nitem;
    if (m->depth - floor_of(m) < n) {
        bad(m, "takes a value that is not there");
        return 0;
    }
    m->depth -= n;
    memcpy(m->p->item + first, m->stack + m->depth, n * sizeof *m->stack);
    m->p->nitem += n;
    return first;
}

static void push_text(machine_t *m, uint64_t n)
{
    uint32_t at = (uint32_t)m->at, v;
    if (!bytes(m, n)) return;
    v = make(m, CAD_PY_TEXT, at, 0);
    m->p->value[v].n = (uint32_t)n;
    push(m, v);
}

/* Reads a text that ends at the end of the line, and returns its value; 0 after an error. */
static uint32_t line(machine_t *m)
{
    const unsigned char *b = m->p->text + m->at, *end = memchr(b, '\n', m->p->size - m->at);
    uint32_t v = make(m, CAD_PY_TEXT, (uint32_t)m->at, 0);
    if (!end) {
        bad(m, "cut short");
        return 0;
    }
    m->p->value[v].n = (uint32_t)(end - b);
    m->at += (size_t)(end - b) + 1;
    return v;
}

static void push_number(machine_t *m, cad_py_type_t type, int64_t i)
{
    uint32_t v = make(m, type, 0, 0);
    m->p->value[v].number = i;
    push(m, v);
}

static void push_long(machine_t *m, uint64_t n)
{
    const unsigned char *b = bytes(m, n);
    uint64_t u = b && n && b[n - 1] & 0x80 ? UINT64_MAX : 0;
    if (!b) return;
    if (n > 8) { /* too large for any number of a tensor */
        push(m, 0);
        return;
    }
    for (uint64_t i = n; i-- > 0;) u = u << 8 | b[i];
    push_number(m, CAD_PY_INT, (int64_t)u);
}

static void push_float(machine_t *m)
{
    const unsigned char *b = bytes(m, 8);
    uint64_t u = 0;
    uint32_t v = make(m, CAD_PY_FLOAT, 0, 0);
    for (int i = 0; b && i < 8; i++) u = u << 8 | b[i];
    memcpy(&m->p->value[v].real, &u, 8);
    push(m, v);
}

static void push_tuple(machine_t *m, uint32_t first, uint32_t n)
{
    uint32_t v = make(m, CAD_PY_TUPLE, first, 0);
    m->p->value[v].n = n;
    push(m, v);
}

/* Adds n items to the list, set or dict on top of the stack. Items for any other object are dropped. */
static void extend(machine_t *m, uint32_t first, uint32_t n)
{
    uint32_t v = top(m), piece;
    cad_py_t *c = &m->p->value[v];
    if (m->rc || (c->type != CAD_PY_LIST && c->type != CAD_PY_DICT) || n == 0) return;
    if (c->type == CAD_PY_DICT && n % 2) {
        bad(m, "a key has no value");
        return;
    }
    piece = make(m, CAD_PY_PIECE, first, 0);
    m->p->value[piece].n = n;
    if (c->at.b) m->p->value[c->at.b].at.b = piece;
    else c->at.a = piece;
    c->at.b = piece;
    c->n += n;
}

/* ---- the memo: values by number ---- */

static void put(machine_t *m, uint64_t i)
{
    uint32_t v = top(m);
    if (m->rc) return;
    if (i >= m->p->size) bad(m, "a number of the memo is too large");
    else if (v && !m->memo[i]) m->nmemo++;
    if (m->rc == 0) m->memo[i] = v;
}

static void get(machine_t *m, uint64_t i)
{
    if (i >= m->p->size || !m->memo[i]) bad(m, "takes a value of the memo that is not there");
    else push(m, m->memo[i]);
}

/* ---- functions, and calls of functions: they are only noted, not executed ---- */

static void push_call(machine_t *m)
{
    uint32_t args = pop(m), f = pop(m);
    if (cad_py_is_global(m->p, f, "collections.OrderedDict")) push(m, make(m, CAD_PY_DICT, 0, 0));
    else push(m, make(m, CAD_PY_OBJECT, f, args));
}

static void push_global(machine_t *m, uint32_t module, uint32_t name)
{
    if (m->rc == 0) push(m, make(m, CAD_PY_GLOBAL, module, name));
}

static void global_of_stack(machine_t *m)
{
    uint32_t name = pop(m), module = pop(m);
    if (m->p->value[name].type != CAD_PY_TEXT || m->p->value[module].type != CAD_PY_TEXT)
        bad(m, "the name of a class is not a text");
    push_global(m, module, name);
}

static void global_of_lines(machine_t *m)
{
    uint32_t module = line(m), name = m->rc ? 0 : line(m);
    push_global(m, module, name);
}

/* ---- instructions, by type: each function executes op and returns true if op is of its type ---- */

static bool scalar(machine_t *m, int op)
{
    switch (op) {
    case 'N': push(m, 0); return true;
    case 0x88:
    case 0x89: push_number(m, CAD_PY_BOOL, op == 0x88); return true;
    case 'J': push_number(m, CAD_PY_INT, (int32_t)number(m, 4)); return true;
    case 'K': push_number(m, CAD_PY_INT, (int64_t)number(m, 1)); return true;
    case 'M': push_number(m, CAD_PY_INT, (int64_t)number(m, 2)); return true;
    case 0x8a: push_long(m, number(m, 1)); return true;
    case 0x8b: push_long(m, number(m, 4)); return true;
    case 'G': push_float(m); return true;
    default: return false;
    }
}

static bool text(machine_t *m, int op)
{
    switch (op) {
    case 'U':
    case 'C':
    case 0x8c: push_text(m, number(m, 1)); return true;
    case 'T':
    case 'B':
    case 'X': push_text(m, number(m, 4)); return true;
    case 0x8d:
    case 0x8e:
    case 0x96: push_text(m, number(m, 8)); return true;
    default: return false;
    }
}

static bool container(machine_t *m, int op)
{
    uint32_t first, n;
    switch (op) {
    case '}': push(m, make(m, CAD_PY_DICT, 0, 0)); return true;
    case ']':
    case 0x8f: push(m, make(m, CAD_PY_LIST, 0, 0)); return true;
    case ')': push_tuple(m, 0, 0); return true;
    case 0x85:
    case 0x86:
    case 0x87:
        n = (uint32_t)op - 0x84;
        first = pop_few(m, n);
        push_tuple(m, first, n);
        return true;
    case 't':
    case 0x91:
        first = pop_marked(m, &n);
        push_tuple(m, first, n);
        return true;
    case 'a':
        first = pop_few(m, 1);
        extend(m, first, 1);
        return true;
    case 's':
        first = pop_few(m, 2);
        extend(m, first, 2);
        return true;
    case 'e':
    case 'u':
    case 0x90:
        first = pop_marked(m, &n);
        extend(m, first, n);
        return true;
    default: return false;
    }
}

static bool object(machine_t *m, int op)
{
    switch (op) {
    case 'c': global_of_lines(m); return true;
    case 0x93: global_of_stack(m); return true;
    case 0x92: pop(m); /* drops the keyword arguments of __new__ */ /* fall through */
    case 'R':
    case 0x81: push_call(m); return true;
    case 'b': pop(m); return true; /* drops the attributes of an object */
    case 'Q': push(m, make(m, CAD_PY_STORED, pop(m), 0)); return true;
    default: return false;
    }
}

static bool bookkeeping(machine_t *m, int op)
{
    uint32_t n;
    switch (op) {
    case '(': m->mark[m->nmark++] = m->depth; return true;
    case '0':
        if (m->nmark && m->depth == floor_of(m)) m->nmark--;
        else pop(m);
        return true;
    case '1': pop_marked(m, &n); return true;
    case '2': push(m, top(m)); return true;
    case 'q': put(m, number(m, 1)); return true;
    case 'r': put(m, number(m, 4)); return true;
    case 0x94: put(m, m->nmemo); return true;
    case 'h': get(m, number(m, 1)); return true;
    case 'j': get(m, number(m, 4)); return true;
    case 0x95: number(m, 8); return true; /* a frame: an instruction that only helps readers of streams */
    case 0x80:
        if (number(m, 1) > 5) bad(m, "the protocol is newer than 5");
        return true;
    default: return false;
    }
}

static int unknown(machine_t *m, int op)
{
    char what[64];
    snprintf(what, sizeof what, "unknown instruction 0x%02x", (unsigned)op);
    return bad(m, what);
}

/* Executes the instructions up to the one that ends the pickle. */
static int run(machine_t *m)
{
    while (m->rc == 0) {
        int op;
        m->op = m->at;
        op = (int)number(m, 1);
        if (m->rc) break;
        if (op == '.') {
            m->p->root = pop(m);
            return m->rc;
        }
        if (!scalar(m, op) && !text(m, op) && !container(m, op) && !object(m, op) && !bookkeeping(m, op))
            return unknown(m, op);
    }
    return m->rc;
}

/* Lays out the arrays of values, items, stack, marks and memo. Each has two entries more than the pickle has bytes: for
 * None, and for a second value that the last instruction may make. */
static void lay_out(machine_t *m, cad_bump_t *b)
{
    int64_t n = (int64_t)m->p->size + 2;
    m->p->value = cad_bump(b, n, 1, sizeof *m->p->value);
    m->p->item = cad_bump(b, n, 1, sizeof *m->p->item);
    m->stack = cad_bump(b, n, 1, sizeof *m->stack);
    m->mark = cad_bump(b, n, 1, sizeof *m->mark);
    m->memo = cad_bump(b, n, 1, sizeof *m->memo);
}

int cad_pickle_read(cad_pickle_t *p, const unsigned char *pickle, size_t size, const char *path, cad_error_t *err)
{
    machine_t m = { .p = p, .path = path, .err = err };
    cad_bump_t b = { 0 };
    memset(p, 0, sizeof *p);
    if (size > UINT32_MAX / CAD_PICKLE_BYTES) return cad_fail(err, CAD_EFORMAT, "%s: its pickle is too large", path);
    if (size < 2 || pickle[0] != 0x80 || pickle[1] < 2)
        return cad_fail(err, CAD_EFORMAT, "%s: its pickle is not of protocol 2 to 5; save it again with torch.save",
                        path);
    p->text = pickle;
    p->size = size;
    lay_out(&m, &b);
    b.base = p->memory = cad_alloc(1, b.used);
    b.used = 0;
    if (!p->memory) return cad_out_of_memory(err);
    lay_out(&m, &b);
    memset(m.memo, 0, (size + 2) * sizeof *m.memo);
    make(&m, CAD_PY_NONE, 0, 0);
    return run(&m);
}

void cad_pickle_free(cad_pickle_t *p)
{
    free(p->memory);
    memset(p, 0, sizeof *p);
}

/* ---- looking at values ---- */

uint32_t cad_py_item(const cad_pickle_t *p, uint32_t tuple, uint32_t i)
{
    const cad_py_t *t = &p->value[tuple];
    return t->type == CAD_PY_TUPLE && i < t->n ? p->item[t->at.a + i] : 0;
}

bool cad_py_next(const cad_pickle_t *p, uint32_t dict, cad_py_cursor_t *c, uint32_t *key, uint32_t *value)
{
    if (p->value[dict].type != CAD_PY_DICT) return false;
    if (!c->begun) *c = (cad_py_cursor_t) { .piece = p->value[dict].at.a, .begun = true };
    if (c->piece && c->i >= p->value[c->piece].n) *c = (cad_py_cursor_t) { p->value[c->piece].at.b, 0, true };
    if (!c->piece) return false;
    *key = p->item[p->value[c->piece].at.a + c->i];
    *value = p->item[p->value[c->piece].at.a + c->i + 1];
    c->i += 2;
    return true;
}

uint32_t cad_py_get(const cad_pickle_t *p, uint32_t dict, const char *key)
{
    cad_py_cursor_t c = { 0 };
    uint32_t k, v, found = 0;
    while (cad_py_next(p, dict, &c, &k, &v))
        if (cad_py_is(p, k, key)) found = v;
    return found;
}

bool cad_py_is(const cad_pickle_t *p, uint32_t v, const char *want)
{
    const cad_py_t *t = &p->value[v];
    size_t n = strlen(want);
    return t->type == CAD_PY_TEXT && t->n == n && !memcmp(p->text + t->at.a, want, n);
}

static size_t full_name(const cad_pickle_t *p, uint32_t v, char *buf, size_t size)
{
    const cad_py_t *g = &p->value[v], *module = &p->value[g->at.a], *name = &p->value[g->at.b];
    return (size_t)snprintf(buf, size, "%.*s.%.*s", (int)module->n, (const char *)p->text + module->at.a, (int)name->n,
                            (const char *)p->text + name->at.a);
}

bool cad_py_is_global(const cad_pickle_t *p, uint32_t v, const char *want)
{
    char name[64];
    return p->value[v].type == CAD_PY_GLOBAL && full_name(p, v, name, sizeof name) < sizeof name && !strcmp(name, want);
}

const char *cad_py_describe(const cad_pickle_t *p, uint32_t v, char *buf, size_t size)
{
    static const char *const NAME[] = { "None",    "a bool", "an integer", "a number", "a text",
                                        "a tuple", "a list", "a dict",     "a class",  "a storage" };
    const cad_py_t *t = &p->value[v];
    char name[100];
    if (t->type == CAD_PY_GLOBAL) full_name(p, v, buf, size);
    else if (t->type < CAD_PY_OBJECT) snprintf(buf, size, "%s", NAME[t->type]);
    else if (p->value[t->at.a].type != CAD_PY_GLOBAL) snprintf(buf, size, "an object");
    else {
        full_name(p, t->at.a, name, sizeof name);
        snprintf(buf, size, "an object of %s", name);
    }
    return buf;
}
