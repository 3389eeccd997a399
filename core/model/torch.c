/* torch.c - reads weight files that PyTorch 1.6 or later wrote: pytorch_model.bin, .pt, .pth, Lightning's .ckpt.
 *
 * Format: a zip archive with all members in one folder. The member data.pkl is a pickle that describes the tensors.
 * Their values are in storages: the members data/0, data/1, ... A tensor has an offset, a shape and strides in a
 * storage, which several tensors may share. No code in the pickle is executed (pickle.h).
 *
 * Memory at any time is below twice the file's size plus 100 MB, not counting the tensors that are read.
 * SPDX-License-Identifier: MIT
 */
#include "model/archive.h"
#include "model/pickle.h"
#include "model/zip.h"

#define MAX_TENSORS 65536
#define MAX_NAME 255
#define MAX_EXPANSION 16 /* maximum number of unpacked bytes for each byte of the file */

typedef struct { /* state of an open file */
    cad_zip_t zip;
    char folder[256]; /* the folder in the archive that has all members, with a slash at its end */
} torch_t;

/* ---- what kind of zip archive it is ---- */

static bool ends(const char *s, const char *with)
{
    size_t n = strlen(s), k = strlen(with);
    return n >= k && !strcmp(s + n - k, with);
}

/* True if a member's name is FOLDER/rest, for any FOLDER. If rest ends with a slash: true if the name begins with
 * FOLDER/rest. */
static bool inside(const char *name, const char *rest)
{
    const char *slash = strchr(name, '/');
    if (!slash) return false;
    return ends(rest, "/") ? !strncmp(slash + 1, rest, strlen(rest)) : !strcmp(slash + 1, rest);
}

static bool any(const cad_zip_t *z, bool (*fits)(const char *name, const char *what), const char *what)
{
    for (int64_t i = 0; i < z->n; i++)
        if (fits(z->member[i].name, what)) return true;
    return false;
}

/* Returns a description, for messages, of an archive without data.pkl. */
static const char *other_archive(const cad_zip_t *z)
{
    if (any(z, ends, ".npy")) return "a NumPy archive (.npz)";
    if (cad_zip_find(z, "[Content_Types].xml") >= 0) return "an Office document";
    return "a zip archive that PyTorch did not write";
}

/* Finds the folder of data.pkl in the archive. */
static int find_folder(torch_t *s, const char *path, cad_error_t *err)
{
    int64_t found = -1;
    if (any(&s->zip, inside, "code/") || any(&s->zip, inside, "constants.pkl"))
        return cad_fail(
            err, CAD_EFORMAT,
            "%s: a TorchScript program, not weights; in Python: torch.save(torch.jit.load(FILE).state_dict(), "
            "\"pytorch_model.bin\")",
            path);
    for (int64_t i = 0; i < s->zip.n; i++) {
        if (!inside(s->zip.member[i].name, "data.pkl")) continue;
        if (found >= 0) return cad_fail(err, CAD_EFORMAT, "%s: data.pkl is there twice, in two folders", path);
        found = i;
    }
    if (found < 0) return cad_fail(err, CAD_EFORMAT, "%s: not weights but %s", path, other_archive(&s->zip));
    if (strlen(s->zip.member[found].name) >= sizeof s->folder)
        return cad_fail(err, CAD_EFORMAT, "%s: the name of its folder is too long", path);
    strcpy(s->folder, s->zip.member[found].name);
    strchr(s->folder, '/')[1] = 0;
    return 0;
}

/* Returns the index of the member whose name, within the folder of all members, is `kind` ("data/" or "") followed by
 * the n letters of `name`; -1 if there is none. */
static int64_t find_member(const torch_t *s, const char *kind, const char *name, size_t n)
{
    char full[sizeof s->folder + 64];
    size_t used = (size_t)snprintf(full, sizeof full, "%s%s%.*s", s->folder, kind, (int)cad_min((int64_t)n, 64), name);
    return n > 64 || used >= sizeof full ? -1 : cad_zip_find(&s->zip, full);
}

/* ---- small members ---- */

typedef struct {
    unsigned char *data;
    size_t n;
} copy_t;

static void copy(void *arg, const unsigned char *b, size_t n)
{
    copy_t *c = arg;
    memcpy(c->data + c->n, b, n);
    c->n += n;
}

/* Reads a member of at most 15 bytes as a text; "" if it is absent. */
static int read_word(torch_t *s, const char *name, char word[16], cad_error_t *err)
{
    int64_t i = find_member(s, "", name, strlen(name));
    copy_t c = { (unsigned char *)word, 0 };
    memset(word, 0, 16);
    if (i < 0) return 0;
    if (s->zip.member[i].size > 15)
        return cad_fail(err, CAD_EFORMAT, "%s: its member %s is too long", s->zip.path, name);
    return cad_zip_read(&s->zip, i, 0, s->zip.member[i].size, copy, &c, err);
}

static int check_version(torch_t *s, cad_error_t *err)
{
    char version[16], order[16];
    int64_t number = 0;
    int rc = read_word(s, "version", version, err);
    if (rc == 0) rc = read_word(s, "byteorder", order, err);
    if (rc) return rc;
    version[strcspn(version, "\r\n")] = 0;
    if (!cad_parse_int(version, 1, 10, &number))
        return cad_fail(err, CAD_EFORMAT,
                        "%s: version \"%s\" of PyTorch's file format is unknown; save it with PyTorch 2", s->zip.path,
                        version);
    if (*order && strcmp(order, "little"))
        return cad_fail(err, CAD_EFORMAT, "%s: its byte order is \"%s\"; save it again on a little-endian machine",
                        s->zip.path, order);
    return 0;
}

/* ---- tensors ---- */

typedef struct {
    cad_archive_t *a;
    torch_t *s;
    int file;
    const cad_pickle_t *p;
    const char *name; /* name of the current tensor */
    int64_t work;     /* number of bytes that must be unpacked to read all tensors */
    cad_error_t *err;
} listing_t;

static int refuse(const listing_t *l, const char *what)
{
    return cad_fail(l->err, CAD_EFORMAT, "%s: tensor %s: %s", l->s->zip.path, l->name, what);
}

static bool whole(const cad_pickle_t *p, uint32_t v, int64_t *out)
{
    if (p->value[v].type != CAD_PY_INT || p->value[v].number < 0) return false;
    *out = p->value[v].number;
    return true;
}

/* Finds a tensor's storage, the type of its numbers, their count and the bytes of each. stored: the persistent id of
 * the storage, a tuple ("storage", class, key, device, count). */
static int find_storage(const listing_t *l, uint32_t stored, cad_stored_t *t, int64_t *count, int64_t *each)
{
    static const char *const CLASS[][2] = { { "torch.FloatStorage", "F32" },     { "torch.HalfStorage", "F16" },
                                            { "torch.BFloat16Storage", "BF16" }, { "torch.DoubleStorage", "F64" },
                                            { "torch.LongStorage", "I64" },      { "torch.IntStorage", "I32" },
                                            { "torch.BoolStorage", "BOOL" },     { "torch.ByteStorage", "U8" } };
    const cad_pickle_t *p = l->p;
    uint32_t id = p->value[stored].type == CAD_PY_STORED ? p->value[stored].at.a : 0, key = cad_py_item(p, id, 2);
    char class[64], text[128];
    int64_t bytes;
    *each = 0;
    if (!cad_py_is(p, cad_py_item(p, id, 0), "storage") || p->value[key].type != CAD_PY_TEXT ||
        !whole(p, cad_py_item(p, id, 4), count))
        return refuse(l, "the record of its storage is malformed");
    for (size_t i = 0; i < sizeof CLASS / sizeof *CLASS && !*each; i++)
        if (cad_py_is_global(p, cad_py_item(p, id, 1), CLASS[i][0])) *each = cad_stored_dtype(t, CLASS[i][1]);
    if (!*each) {
        snprintf(text, sizeof text, "its storage is %s, which is not read; convert it to float32 in Python",
                 cad_py_describe(p, cad_py_item(p, id, 1), class, sizeof class));
        return refuse(l, text);
    }
    t->member = find_member(l->s, "data/", (const char *)p->text + p->value[key].at.a, p->value[key].n);
    if (t->member < 0) return refuse(l, "its storage is not in the file; is the copy complete?");
    if (__builtin_mul_overflow(*count, *each, &bytes) || bytes != l->s->zip.member[t->member].size)
        return refuse(l, "its storage is not of the size that the pickle says; is the copy complete?");
    return 0;
}

/* Reads the shape and the strides, and checks that all numbers lie within the storage. */
static int find_shape(const listing_t *l, uint32_t shape, uint32_t stride, int64_t first, int64_t count, int64_t each,
                      cad_stored_t *t)
{
    const cad_pickle_t *p = l->p;
    int64_t last = first, reach;
    t->count = 1;
    if (p->value[shape].type != CAD_PY_TUPLE || p->value[stride].type != CAD_PY_TUPLE ||
        p->value[shape].n != p->value[stride].n)
        return refuse(l, "its shape or strides are malformed");
    if (p->value[shape].n > 8) return refuse(l, "more than 8 dimensions");
    t->ndim = (int)p->value[shape].n;
    for (int i = 0; i < t->ndim; i++) {
        if (!whole(p, cad_py_item(p, shape, (uint32_t)i), &t->shape[i]) || t->shape[i] == 0 ||
            !whole(p, cad_py_item(p, stride, (uint32_t)i), &t->stride[i]) ||
            __builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return refuse(l, "a dimension is zero, a dimension or stride is malformed, or a product overflows");
        if (__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &reach) || __builtin_add_overflow(last, reach, &last))
            return refuse(l, "its strides overflow");
        if (t->shape[i] == 1) t->stride[i] = 0; /* PyTorch may store any stride for an axis of length 1 */
    }
    if (last >= count) return refuse(l, "lies past the end of its storage");
    if (__builtin_mul_overflow(t->count, each, &t->bytes)) return refuse(l, "its size overflows");
    t->begin = first * each; /* cannot overflow: it is at most the size of the storage */
    return 0;
}

/* Adds `bytes` to l->work, the number of bytes that must be unpacked to read all tensors. Refuses a file that expands
 * too much. */
static int add_work(listing_t *l, int64_t bytes)
{
    const cad_archive_file_t *f = &l->a->file[l->file];
    if (__builtin_add_overflow(l->work, bytes, &l->work) || l->work / MAX_EXPANSION > f->size + (1 << 20))
        return cad_fail(l->err, CAD_EFORMAT, "%s: expands to more than %d times its size; not the weights of a model",
                        f->path, MAX_EXPANSION);
    return 0;
}

/* If v is a call of the function with this name, returns the arguments of the call, else 0. */
static uint32_t call_of(const cad_pickle_t *p, uint32_t v, const char *function)
{
    const cad_py_t *o = &p->value[v];
    return o->type == CAD_PY_OBJECT && cad_py_is_global(p, o->at.a, function) ? o->at.b : 0;
}

#define REBUILD "torch._utils._rebuild_tensor_v2"   /* arguments: (storage, offset, shape, strides, ...) */
#define PARAMETER "torch._utils._rebuild_parameter" /* arguments: (tensor, ...) */

/* Returns the arguments of REBUILD for a tensor or a parameter; 0 if v is neither. */
static uint32_t tensor_of(const cad_pickle_t *p, uint32_t v)
{
    uint32_t parameter = call_of(p, v, PARAMETER);
    return call_of(p, parameter ? cad_py_item(p, parameter, 0) : v, REBUILD);
}

/* Returns the tuple of a shape or of strides; v is the tuple itself or a call of torch.Size with the tuple as
 * argument. */
static uint32_t shape_of(const cad_pickle_t *p, uint32_t v)
{
    uint32_t args = call_of(p, v, "torch.Size");
    return args ? cad_py_item(p, args, 0) : v;
}

static int list_tensor(listing_t *l, uint32_t args)
{
    const cad_pickle_t *p = l->p;
    cad_stored_t *t;
    int64_t first = 0, count = 0, each = 0;
    int rc;
    if (l->a->ntensor >= MAX_TENSORS)
        return cad_fail(l->err, CAD_EFORMAT, "%s: more than %d tensors", l->s->zip.path, MAX_TENSORS);
    if (!(t = cad_archive_add(l->a, l->file, l->name))) return cad_out_of_memory(l->err);
    t->count = 1;
    if ((rc = find_storage(l, cad_py_item(p, args, 0), t, &count, &each))) return rc;
    if (!whole(p, cad_py_item(p, args, 1), &first) || first >= count)
        return refuse(l, "lies past the end of its storage");
    rc = find_shape(l, shape_of(p, cad_py_item(p, args, 2)), shape_of(p, cad_py_item(p, args, 3)), first, count, each,
                    t);
    if (rc) return rc;
    return l->s->zip.member[t->member].deflated ? add_work(l, l->s->zip.member[t->member].size) : 0;
}

/* Lists the tensor of one entry (key, value) of the state dict. An entry that is not a tensor is left out; if the model
 * needs a tensor of that name, it is reported as missing. */
static int list_entry(listing_t *l, uint32_t key, uint32_t value)
{
    const cad_py_t *k = &l->p->value[key];
    const char *text = (const char *)l->p->text + k->at.a;
    uint32_t args = tensor_of(l->p, value);
    char name[MAX_NAME + 1], what[128];
    if (!args && l->p->value[value].type < CAD_PY_STORED) return 0;
    if (k->type != CAD_PY_TEXT || k->n == 0 || k->n > MAX_NAME || memchr(text, 0, k->n))
        return cad_fail(l->err, CAD_EFORMAT, "%s: the name of a tensor is not a text of 1 to %d bytes", l->s->zip.path,
                        MAX_NAME);
    snprintf(name, sizeof name, "%.*s", (int)k->n, text);
    l->name = name;
    if (args) return list_tensor(l, args);
    snprintf(what, sizeof what, "is no tensor but %s, which is not read", cad_py_describe(l->p, value, what + 64, 64));
    return refuse(l, what);
}

/* ---- the state dict ---- */

static bool holds_tensors(const cad_pickle_t *p, uint32_t dict)
{
    cad_py_cursor_t c = { 0 };
    uint32_t key, value;
    while (cad_py_next(p, dict, &c, &key, &value))
        if (tensor_of(p, value)) return true;
    return false;
}

/* Finds the state dict: it is the value of a key that trainers use, or the value of the whole pickle. */
static int find_state(const cad_pickle_t *p, const char *path, uint32_t *dict, cad_error_t *err)
{
    static const char *const NAME[] = { "state_dict", "model_state_dict", "model" };
    char what[128];
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++) {
        uint32_t v = cad_py_get(p, p->root, NAME[i]);
        if (p->value[v].type >= CAD_PY_STORED && !tensor_of(p, v))
            return cad_fail(err, CAD_EFORMAT,
                            "%s: its \"%s\" is %s, not a dict of tensors; save model.state_dict() instead", path,
                            NAME[i], cad_py_describe(p, v, what, sizeof what));
        *dict = v;
        if (holds_tensors(p, v)) return 0;
    }
    *dict = p->root;
    if (holds_tensors(p, p->root)) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s: holds %s%s, not a dict of tensors; save model.state_dict() instead", path,
                    cad_py_describe(p, p->root, what, sizeof what),
                    p->value[p->root].type == CAD_PY_DICT ? " without tensors" : "");
}

static int list_state(listing_t *l)
{
    cad_py_cursor_t c = { 0 };
    uint32_t dict = 0, key, value;
    int rc = find_state(l->p, l->s->zip.path, &dict, l->err);
    for (int64_t i = 0; rc == 0 && i < l->s->zip.n; i++)
        if (!l->s->zip.member[i].deflated) rc = add_work(l, l->s->zip.member[i].size);
    while (rc == 0 && cad_py_next(l->p, dict, &c, &key, &value)) rc = list_entry(l, key, value);
    return rc;
}

/* ---- the format ---- */

static int read_pickle(cad_archive_t *a, int file, cad_error_t *err)
{
    torch_t *s = a->file[file].state;
    int64_t i = find_member(s, "", "data.pkl", 8), size = s->zip.member[i].size;
    cad_pickle_t p = { 0 };
    listing_t l = { .a = a, .s = s, .file = file, .p = &p, .err = err };
    copy_t c = { 0 };
    int rc;
    if (size > (1 << 20) + a->file[file].size / CAD_PICKLE_BYTES)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: its pickle of %lld bytes is too large for the file; save the state dict alone",
                        s->zip.path, (long long)size);
    c.data = malloc((size_t)size + 1);
    if (!c.data) return cad_out_of_memory(err);
    rc = cad_zip_read(&s->zip, i, 0, size, copy, &c, err);
    if (rc == 0) rc = cad_pickle_read(&p, c.data, (size_t)size, s->zip.path, err);
    if (rc == 0) rc = list_state(&l);
    cad_pickle_free(&p);
    free(c.data);
    return rc;
}

static int open_file(cad_archive_t *a, int file, cad_error_t *err)
{
    cad_archive_file_t *f = &a->file[file];
    torch_t *s = f->state = calloc(1, sizeof *s);
    int rc;
    if (!s) return cad_out_of_memory(err);
    if ((rc = cad_zip_open(&s->zip, f->fd, f->path, err))) return rc;
    if ((rc = find_folder(s, f->path, err))) return rc;
    if ((rc = check_version(s, err))) return rc;
    return read_pickle(a, file, err);
}

static void close_file(cad_archive_file_t *f)
{
    torch_t *s = f->state;
    if (s) cad_zip_close(&s->zip);
    free(s);
    f->state = NULL;
}

/* ---- numbers ---- */

typedef struct {
    cad_numbers_f *take;
    void *arg;
    int64_t i, each;
} relay_t;

static void relay(void *arg, const unsigned char *b, size_t n)
{
    relay_t *r = arg;
    r->take(r->arg, r->i, (int64_t)n / r->each, b);
    r->i += (int64_t)n / r->each;
}

static bool contiguous(const cad_stored_t *t)
{
    int64_t step = 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] > 1 && t->stride[d] != step) return false;
        step *= t->shape[d];
    }
    return true;
}

/* Passes the numbers of a strided tensor to r, in C order. b: the bytes of the storage from the tensor's first number
 * to its last. */
static void gather(const cad_stored_t *t, const unsigned char *b, relay_t *r)
{
    unsigned char buf[1 << 12];
    int64_t at[8] = { 0 }, from = 0, n = 0, full = (int64_t)sizeof buf / r->each * r->each;
    for (int64_t i = 0; i < t->count; i++) {
        memcpy(buf + n, b + from * r->each, (size_t)r->each);
        n += r->each;
        if (n == full || i == t->count - 1) {
            relay(r, buf, (size_t)n);
            n = 0;
        }
        for (int d = t->ndim - 1; d >= 0; d--) {
            from += t->stride[d];
            if (++at[d] < t->shape[d]) break;
            from -= t->shape[d] * t->stride[d];
            at[d] = 0;
        }
    }
}

/* Reads the bytes of the storage from the tensor's first number to its last, and passes the tensor's numbers to r. */
static int read_strided(const cad_archive_t *a, const cad_stored_t *t, relay_t *r, cad_error_t *err)
{
    const cad_archive_file_t *f = &a->file[t->file];
    torch_t *s = f->state;
    int64_t last = 0;
    copy_t c = { 0 };
    int rc;
    for (int d = 0; d < t->ndim; d++) last += (t->shape[d] - 1) * t->stride[d];
    if (last >= f->size / r->each)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: tensor %s is spread over more bytes than the file has; save a copy of it "
                        "with .contiguous()",
                        f->path, t->name);
    c.data = cad_alloc((size_t)last + 1, (size_t)r->each);
    if (!c.data) return cad_out_of_memory(err);
    rc = cad_zip_read(&s->zip, t->member, t->begin, (last + 1) * r->each, copy, &c, err);
    if (rc == 0) gather(t, c.data, r);
    free(c.data);
    return rc;
}

static int read_numbers(const cad_archive_t *a, const cad_stored_t *t, cad_numbers_f *take, void *arg, cad_error_t *err)
{
    torch_t *s = a->file[t->file].state;
    relay_t r = { take, arg, 0, t->bytes / t->count };
    if (!contiguous(t)) return read_strided(a, t, &r, err);
    return cad_zip_read(&s->zip, t->member, t->begin, t->bytes, relay, &r, err);
}

const cad_format_t cad_format_torch = { .open = open_file, .read = read_numbers, .close = close_file };
