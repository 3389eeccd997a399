/* device.c - chooses a device by name, and loads the CUDA module if it is needed. SPDX-License-Identifier: MIT */
#include "base/loader.h"
#include "engine/module.h"

#define MODULE "caduceus-cuda.so"
#define DRIVER "libcuda.so.1"

static const char *const PRECISION[CAD_NPRECISIONS] = {
    [CAD_PRECISION_FP32] = "fp32", [CAD_PRECISION_BF16X3] = "bf16x3", [CAD_PRECISION_BF16] = "bf16"
};

/* ---- finding the module ---- */

/* Finds the CUDA module's entry function. Loads the module only if there is an NVIDIA driver, since the libraries that
 * it needs are large. *there: whether the module and a driver were found. */
static int find_entry(cad_module_f **entry, bool *there, cad_error_t *err)
{
    const char *named = getenv("CADUCEUS_CUDA_MODULE");
    char path[4096];
    void *at;
    if (named) snprintf(path, sizeof path, "%s", named);
    else cad_module_find(MODULE, path, sizeof path);
    *there = named && *named;
    if (!*path) return cad_fail(err, CAD_EDEVICE, "no CUDA module (%s) is installed", MODULE);
    if (!named && !cad_module_load(DRIVER, "cuInit", false, err))
        return cad_fail(err, CAD_EDEVICE, "no NVIDIA driver (%s) is installed", DRIVER);
    *there = true;
    at = cad_module_load(path, CAD_MODULE_SYMBOL, false, err);
    if (!at) return CAD_EDEVICE;
    memcpy(entry, &at, sizeof at);
    return 0;
}

/* ---- choosing a device ---- */

void cad_host_init(cad_host_t *host)
{
    *host = (cad_host_t)CAD_HOST_INIT;
    for (int k = 0; k < CAD_GPU_NKINDS; k++) host->kind[k] = cad_blocks[k]->sizes;
}

/* Opens the CUDA backend. It reads from ops->precision whether the products have two bfloat16 parts (bf16x3). */
static int open_module(cad_ops_t *ops, int index, int precision, bool *there, cad_error_t *err)
{
    cad_host_t host;
    cad_module_f *entry = NULL;
    int rc = find_entry(&entry, there, err);
    if (rc) return rc;
    memset(ops, 0, sizeof *ops);
    cad_host_init(&host);
    rc = entry(&host, index, precision == CAD_PRECISION_BF16, ops, err);
    if (rc == 0) snprintf(ops->precision, sizeof ops->precision, "%s", PRECISION[precision]);
    return rc == CAD_EARG
               ? cad_fail(err, CAD_EDEVICE,
                          "the CUDA module is another version's; install the one that belongs to caduceus %s",
                          cad_version())
               : rc;
}

static int open_cpu(cad_ops_t *ops, int precision, char *note, size_t size, cad_error_t *err)
{
    const cad_ops_t *cpu;
    size_t used = strlen(note);
    int rc = cad_cpu_ops(&cpu, precision, err);
    if (rc) return rc;
    if (precision == CAD_PRECISION_BF16X3 && !strstr(cpu->name, "amx"))
        snprintf(note + used, size - used, "%sit has no matrix tiles (AMX), so bf16x3 is computed as fp32",
                 used ? "; " : "");
    *ops = *cpu;
    return 0;
}

enum { ON_AUTO = -4, ON_CPU, ON_ALL, ON_UNKNOWN };

/* Parses "I,J,...": numbers of devices. Returns how many there are, or ON_UNKNOWN if the text is something else or
 * names a device twice. */
static int parse_list(const char *text, int index[CAD_CARDS])
{
    char number[8];
    for (int n = 0; n < CAD_CARDS;) {
        size_t size = strcspn(text, ",");
        int64_t i;
        snprintf(number, sizeof number, "%.*s", (int)size, text);
        if (size >= sizeof number || !cad_parse_int(number, 0, 1023, &i)) return ON_UNKNOWN;
        for (int k = 0; k < n; k++)
            if (index[k] == i) return ON_UNKNOWN;
        index[n++] = (int)i;
        if (!text[size]) return n;
        text += size + 1;
    }
    return ON_UNKNOWN;
}

/* Parses a device name; NULL means auto. Returns the number of CUDA devices that it lists in index, or one of the
 * negative values above. */
static int parse_device(const char *device, int index[CAD_CARDS])
{
    index[0] = 0;
    if (!device || !strcmp(device, "auto")) return ON_AUTO;
    if (!strcmp(device, "cpu")) return ON_CPU;
    if (!strcmp(device, "cuda")) return 1;
    if (!strcmp(device, "cuda:all")) return ON_ALL;
    return strncmp(device, "cuda:", 5) ? ON_UNKNOWN : parse_list(device + 5, index);
}

int cad_precision_number(const char *precision)
{
    for (int i = 0; i < CAD_NPRECISIONS; i++)
        if (!strcmp(precision, PRECISION[i])) return i;
    return -1;
}

int cad_precision_known(const char *precision) { return cad_precision_number(precision) >= 0; }

int cad_device_known(const char *device)
{
    int index[CAD_CARDS];
    return parse_device(device, index) != ON_UNKNOWN;
}

/* Writes to text what of m only the CPU computes; returns false if there is nothing. */
static bool cpu_part(const cad_model_t *m, char text[80])
{
    for (int k = CAD_GPU_NKINDS; m && k < CAD_NKINDS; k++)
        if (cad_config_uses(&m->cfg, k)) {
            snprintf(text, 80, "layers of the kind %s run", cad_blocks[k]->name);
            return true;
        }
    if (!m || !m->pool_weight) return false;
    snprintf(text, 80, "attention pooling runs");
    return true;
}

/* Opens one device. number: ON_AUTO, ON_CPU, or the number of a CUDA device; name: for messages */
static int open_one(cad_ops_t *ops, const cad_model_t *m, int number, const char *name, const char *precision,
                    char *note, size_t size, cad_error_t *err)
{
    int asked = precision ? cad_precision_number(precision) : CAD_PRECISION_FP32, rc;
    bool there = false, cpu_only;
    char part[80];
    cad_error_t why;
    *note = 0;
    if (asked < 0) return cad_fail(err, CAD_EARG, "precision %.40s: expected fp32, bf16x3 or bf16", precision);
    cpu_only = cpu_part(m, part);
    if (number == ON_AUTO && cpu_only) number = ON_CPU;
    if (number != ON_CPU && cpu_only)
        return cad_fail(err, CAD_EDEVICE, "device %s: %s on the CPU only; use cpu", name, part);
    if (number == ON_CPU) return open_cpu(ops, asked, note, size, err);
    rc = open_module(ops, number == ON_AUTO ? 0 : number, precision ? asked : CAD_PRECISION_BF16, &there, &why);
    if (rc == 0) return 0;
    if (number != ON_AUTO) return cad_fail(err, rc, "device %s: %s", name, why.text);
    if (there) snprintf(note, size, "%s", why.text);
    return open_cpu(ops, asked, note, size, err);
}

static int unknown_device(const char *device, cad_error_t *err)
{
    return cad_fail(err, CAD_EARG, "device %.40s: expected auto, cpu, cuda, cuda:I, cuda:I,J or cuda:all", device);
}

int cad_device_open(cad_ops_t *ops, const cad_model_t *m, const char *device, const char *precision, char *note,
                    size_t size, cad_error_t *err)
{
    int index[CAD_CARDS], n = parse_device(device, index);
    if (n == ON_UNKNOWN) return unknown_device(device, err);
    if (n > 1 || n == ON_ALL) return cad_fail(err, CAD_EARG, "device %.40s: training computes on one device", device);
    return open_one(ops, m, n == 1 ? index[0] : n, device, precision, note, size, err);
}

/* Fails if two devices are of different types, since a result would depend on which of them computes it. */
static int same_type(const cad_card_t *a, const cad_card_t *b, cad_error_t *err)
{
    return strcmp(a->ops.name, b->ops.name)
               ? cad_fail(err, CAD_EDEVICE,
                          "devices %d (%s) and %d (%s) give different results; name devices of one type", a->ops.device,
                          a->ops.name, b->ops.device, b->ops.name)
               : 0;
}

int cad_cards_open(cad_card_t **card, int *n, const cad_model_t *m, const char *device, const char *precision,
                   char *note, size_t size, cad_error_t *err)
{
    int index[CAD_CARDS], listed = parse_device(device, index), rc;
    *n = 0;
    if (listed == ON_UNKNOWN) return unknown_device(device, err);
    *card = calloc(CAD_CARDS, sizeof **card);
    if (!*card) return cad_out_of_memory(err);
    rc = open_one(&(*card)->ops, m, listed == ON_AUTO || listed == ON_CPU ? listed : index[0], device, precision, note,
                  size, err);
    if (rc == 0) *n = listed == ON_ALL ? (int)cad_min((*card)->ops.devices, CAD_CARDS) : listed > 1 ? listed : 1;
    for (int i = 1; i < *n && rc == 0; i++) {
        rc = open_one(&(*card)[i].ops, m, listed == ON_ALL ? i : index[i], device, precision, note, size, err);
        if (rc == 0) rc = same_type(*card, &(*card)[i], err);
    }
    return rc;
}
