/* caduceus.c - bcftools +caduceus: the variants of `caduceus annotate` inside bcftools.
 *
 * bcftools loads about, version, usage and run by name and hands run its whole
 * command line. What stands before -- is bcftools' own and is translated; what
 * stands after it is annotate's. htslib is bcftools'; nothing else is shared.
 * SPDX-License-Identifier: MIT
 */
#include <htslib/hts.h>

#include "cmd.h"

#define EXPORT __attribute__((visibility("default")))

/* bcftools compares what it is told here with these two. */
extern const char *bcftools_version(void) __attribute__((weak));

EXPORT const char *about(void);
EXPORT void version(const char **bcftools, const char **htslib);
EXPORT const char *usage(void);
EXPORT int run(int argc, char **argv);

const char *about(void) { return "Score variants with a Caduceus DNA language model.\n"; }

void version(const char **bcftools, const char **htslib)
{
    *bcftools = bcftools_version ? bcftools_version() : cad_version();
    *htslib = hts_version();
}

const char *usage(void)
{
    return
"\n"
"About: Score variants with a Caduceus DNA language model (INFO/CADUCEUS_*).\n"
"Usage: bcftools +caduceus [General options] IN -- -T ref.fa [Plugin options]\n"
"General options:\n"
"  -o, --output FILE         write to FILE [standard output]\n"
"  -O, --output-type TYPE    u/b/v/z[0-9] [by the suffix of FILE, else v]\n"
"  -r, --regions REGION      only records that overlap, through the index\n"
"  -R, --regions-file FILE   the same, regions of a BED\n"
"  -t, --targets REGION      only records whose POS lies in REGION, streaming\n"
"  -T, --targets-file FILE   the same, regions of a BED\n"
"  -W, --write-index[=FMT]   csi or tbi beside the output [csi]\n"
"      --threads N           compute threads in all\n"
"      --no-version          add no lines on version and model to the header\n"
"Plugin options: those of `caduceus annotate` for variants, among them\n"
"  -T, -f, --fasta-ref FILE  the reference\n"
"  -m, --model PATH          the checkpoint\n"
"      --score LIST          of llr, dpll, n, dist, cos [llr,dpll]\n"
"      --check-ref e|w       REF differs from FASTA: stop, or keep unscored [e]\n"
"Example:\n"
"  bcftools +caduceus in.vcf.gz -Ob -o out.bcf -- -T ref.fa -m model\n"
"\n";
}

typedef struct {
    int n;
    char **arg; /* room for all */
    char **regions; /* of which these are ours */
    int nregions;
    const char *in, *out;
    bool typed; /* -O was given */
} line_t;

static void add(line_t *l, const char *option, const char *value)
{
    l->arg[l->n++] = (char *)(uintptr_t)option;
    if (value) l->arg[l->n++] = (char *)(uintptr_t)value;
}

static bool ends_in(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n > k && !strcmp(s + n - k, suffix);
}

enum { O_THREADS = 1, O_NOVERSION };
static const struct option LONGS[] = {
    { "output", required_argument, NULL, 'o' }, { "output-type", required_argument, NULL, 'O' }, { "regions", required_argument, NULL, 'r' },
    { "regions-file", required_argument, NULL, 'R' }, { "targets", required_argument, NULL, 't' }, { "targets-file", required_argument, NULL, 'T' },
    { "write-index", optional_argument, NULL, 'W' }, { "threads", required_argument, NULL, O_THREADS }, { "no-version", no_argument, NULL, O_NOVERSION },
    { "include", required_argument, NULL, 'i' }, { "exclude", required_argument, NULL, 'e' }, { "help", no_argument, NULL, 'h' }, { 0 }
};

/* bcftools reads other names as 1-based tables, and ^ as what to leave out. */
static int take_file(line_t *l, const char *option, const char *given, char *path)
{
    static const char *const suffix[] = { ".bed", ".bed.gz", ".bed.bgz" };
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++)
        if (ends_in(path, suffix[i]) && *path != '^') {
            add(l, option, path);
            return 0;
        }
    return cmd_fail("annotate", "%s %s: expected a BED file, named so%s", given, path, strcmp(given, "-T") ? "" : "; the reference is given after --, as -- -T ref.fa");
}

/* CONTIG:POS is that position alone in bcftools: CONTIG:POS-POS here. */
static int take_regions(line_t *l, const char *option, const char *text)
{
    char *out = calloc(1, 2 * strlen(text) + 2), *to = out;
    if (!out) return cmd_fail("annotate", "out of memory");
    if (*text == '^') {
        free(out);
        return cmd_fail("annotate", "%s %s: leave records out in a pipe, with bcftools view", option, text);
    }
    for (const char *at = text; ; at++) {
        size_t n = strcspn(at, ",");
        const char *colon = memrchr(at, ':', n), *pos = colon ? colon + 1 : NULL;
        to += sprintf(to, "%.*s", (int)n, at);
        if (pos && pos < at + n && strspn(pos, "0123456789") == (size_t)(at + n - pos)) to += sprintf(to, "-%.*s", (int)(at + n - pos), pos);
        at += n;
        if (!*at) break;
        *to++ = ',';
    }
    l->regions[l->nregions++] = out;
    add(l, option, out);
    return 0;
}

/* 0, 1 after an error, 2 when help is wanted. */
static int take(line_t *l, int c, char **argv)
{
    switch (c) {
    case 'o': l->out = optarg; add(l, "-o", optarg); return 0;
    case 'O': l->typed = true; add(l, "-O", optarg); return 0;
    case 'r': case 't': return take_regions(l, c == 'r' ? "-r" : "-t", optarg);
    case 'R': case 'T': return take_file(l, c == 'R' ? "-R" : "-L", c == 'R' ? "-R" : "-T", optarg);
    case 'W':
        if (optarg && strcmp(optarg, "csi") && strcmp(optarg, "tbi")) return cmd_fail("annotate", "-W %s: expected csi or tbi", optarg);
        add(l, optarg && *optarg == 't' ? "--write-index=tbi" : "--write-index", NULL);
        return 0;
    case O_THREADS: add(l, "-@", optarg); return 0;
    case O_NOVERSION: add(l, "--no-version", NULL); return 0;
    case 'i': case 'e': return cmd_fail("annotate", "-%c: filter in a pipe: bcftools view -%c '%s' ... | bcftools +caduceus - -- ...", c, c, optarg);
    case 'h': return 2;
    default: return option_unknown("annotate", argv);
    }
}

/* What stands before --. */
static int general(line_t *l, int argc, char **argv)
{
    int c, rc;
    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "o:O:r:R:t:T:W::i:e:h", LONGS, NULL)) != -1)
        if ((rc = take(l, c, argv))) return rc;
    if (argc - optind > 1) return cmd_fail("annotate", "expected one input, %d given; options of the plugin stand after --", argc - optind);
    l->in = argc > optind ? argv[optind] : "-";
    return 0;
}

static bool says_format(const char *path)
{
    return path && (ends_in(path, ".bcf") || ends_in(path, ".vcf") || ends_in(path, ".vcf.gz") || ends_in(path, ".vcf.bgz"));
}

/* What stands after --; there -f is the reference, as in bcftools norm. */
static void own(line_t *l, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "-f", 2)) argv[i][1] = 'T';
        add(l, argv[i], NULL);
    }
}

int run(int argc, char **argv)
{
    line_t l = { 0 };
    int split = 1, rc;
    cmd_init();
    if (argc == 1) {
        fputs(usage(), stderr);
        return 1;
    }
    while (split < argc && strcmp(argv[split], "--")) split++;
    l.arg = calloc((size_t)argc * 2 + 8, sizeof *l.arg);
    l.regions = calloc((size_t)argc, sizeof *l.regions);
    if (!l.arg || !l.regions) return cmd_fail("annotate", "out of memory");
    add(&l, "annotate", NULL);
    rc = general(&l, split, argv);
    if (rc == 2) fputs(usage(), stdout);
    if (rc == 0) {
        if (!l.typed && !says_format(l.out)) add(&l, "-O", "v");
        if (split < argc) own(&l, argc - split - 1, argv + split + 1);
        add(&l, l.in, NULL);
        optind = 0;
        rc = cmd_annotate(l.n, l.arg);
    }
    while (l.nregions > 0) free(l.regions[--l.nregions]);
    free(l.regions);
    free(l.arg);
    return rc == 1;
}
