/* caduceus.c - the plugin bcftools +caduceus: runs `caduceus annotate` on variants.
 *
 * bcftools finds the functions about, version, usage and run by their names, and passes its whole command line to run.
 * The options before -- are those of bcftools, and are translated; the options after -- are those of annotate. The
 * plugin uses the htslib that bcftools is linked with, and nothing else of bcftools. SPDX-License-Identifier: MIT
 */
#include <htslib/hts.h>

#include "cmd.h"
#include "stream/source.h"

#define EXPORT __attribute__((visibility("default")))

/* bcftools compares the version that the plugin returns with its own; so the plugin returns the version of bcftools. */
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

static const char USAGE_HEAD[] = "\n"
                                 "About: Score variants with a Caduceus DNA language model (INFO/CADUCEUS_*).\n"
                                 "Usage: bcftools +caduceus [General options] IN -- -T ref.fa [Plugin options]\n"
                                 "General options:\n"
                                 "  -o, --output FILE         write to FILE [standard output]\n"
                                 "  -O, --output-type TYPE    u/b/v/z[0-9] [by the suffix of FILE, else v]\n"
                                 "  -r, --regions REGION      only records that overlap REGION; needs an index\n"
                                 "  -R, --regions-file BED    as -r, with the regions of a .bed or .bed.gz file\n"
                                 "  -t, --targets REGION      only records whose POS lies in REGION; needs no index\n"
                                 "  -T, --targets-file BED    as -t, with the regions of a .bed or .bed.gz file\n"
                                 "  -W, --write-index[=FMT]   also write an index of the output, csi or tbi [csi]\n"
                                 "      --threads N           number of compute threads\n"
                                 "      --no-version          add no lines on version and model to the header\n"
                                 "Plugin options: those of `caduceus annotate` for variants, among them\n"
                                 "  -T, -f, --fasta-ref FILE  the reference\n"
                                 "  -m, --model PATH          the checkpoint\n";
static const char USAGE_TAIL[] = "      --sample LIST         also score alleles in these samples' haplotypes, which\n"
                                 "                            adds FORMAT/CLLR and CDPLL; sorted input\n"
                                 "      --samples-file FILE   the same for the samples that FILE lists, one a line\n"
                                 "      --all-samples         the same for all samples\n"
                                 "      --check-ref e|w       if REF differs from the FASTA, e stops, w leaves the\n"
                                 "                            record without scores [e]\n"
                                 "Example:\n"
                                 "  bcftools +caduceus in.vcf.gz -Ob -o out.bcf -- -T ref.fa -m model\n"
                                 "\n";

/* Its text is the same at every call. It stays in one buffer, since bcftools does not free it. */
const char *usage(void)
{
    static char buf[sizeof USAGE_HEAD + sizeof USAGE_TAIL + 256];
    text_t scores = { 0 };
    scores_known(OF_VARIANTS, ", ", &scores);
    snprintf(buf, sizeof buf, "%s      --score LIST          of %s [%s]\n%s", USAGE_HEAD, scores.s.s ? scores.s.s : "",
             SOURCE_VARIANTS.scores, USAGE_TAIL);
    text_free(&scores);
    return buf;
}

typedef struct {
    int n;
    char **arg; /* malloc'd, large enough for all arguments */
    const char *in, *out;
    bool typed; /* -O was given */
} line_t;

static void add(line_t *l, const char *option, const char *value)
{
    l->arg[l->n++] = (char *)(uintptr_t)option;
    if (value) l->arg[l->n++] = (char *)(uintptr_t)value;
}

enum { O_THREADS = 1, O_NOVERSION };
static const struct option LONGS[] = { { "output", required_argument, NULL, 'o' },
                                       { "output-type", required_argument, NULL, 'O' },
                                       { "regions", required_argument, NULL, 'r' },
                                       { "regions-file", required_argument, NULL, 'R' },
                                       { "targets", required_argument, NULL, 't' },
                                       { "targets-file", required_argument, NULL, 'T' },
                                       { "write-index", optional_argument, NULL, 'W' },
                                       { "threads", required_argument, NULL, O_THREADS },
                                       { "no-version", no_argument, NULL, O_NOVERSION },
                                       { "include", required_argument, NULL, 'i' },
                                       { "exclude", required_argument, NULL, 'e' },
                                       { "help", no_argument, NULL, 'h' },
                                       { 0 } };

static bool says_format(const char *path)
{
    return path &&
           (ends_in(path, ".bcf") || ends_in(path, ".vcf") || ends_in(path, ".vcf.gz") || ends_in(path, ".vcf.bgz"));
}

/* True if bcftools reads a region file of this name as BED (0-based); it reads any other file as 1-based. */
static bool is_bed(const char *path)
{
    return ends_in(path, ".bed") || ends_in(path, ".bed.gz") || ends_in(path, ".bed.bgz");
}

/* Translates one option of bcftools. Returns 0 to continue, 1 after it has reported an error, 2 if help is
 * requested. */
static int take(line_t *l, int c, char **argv)
{
    switch (c) {
    case 'o':
        l->out = optarg;
        add(l, "-o", optarg);
        return 0;
    case 'O':
        l->typed = true;
        add(l, "-O", optarg);
        return 0;
    case 'r': add(l, "-r", optarg); return 0;
    case 't': add(l, "-t", optarg); return 0;
    case 'R':
    case 'T':
        if (!is_bed(optarg))
            return cmd_fail("annotate",
                            "-%c %s: expected a BED file, named .bed or .bed.gz, as bcftools reads others as 1-based%s",
                            c, optarg, c == 'T' ? "; give the reference after --" : "");
        add(l, c == 'R' ? "-R" : "-L", optarg);
        return 0;
    case 'W':
        if (optarg && *optarg == '=') optarg++; /* with -W=tbi, getopt leaves the = in optarg */
        if (optarg && strcmp(optarg, "csi") && strcmp(optarg, "tbi"))
            return cmd_fail("annotate", "-W %s: expected csi or tbi", optarg);
        add(l, optarg && *optarg == 't' ? "--write-index=tbi" : "--write-index", NULL);
        return 0;
    case O_THREADS: add(l, "-@", optarg); return 0;
    case O_NOVERSION: add(l, "--no-version", NULL); return 0;
    case 'i':
    case 'e':
        return cmd_fail("annotate", "-%c: filter in a pipe: bcftools view -%c '%s' ... | bcftools +caduceus - -- ...",
                        c, c, optarg);
    case 'h': return 2;
    default: return option_unknown("annotate", LONGS, c, argv);
    }
}

/* Translates the options before --. Returns 0, 1 or 2, as take() does. */
static int general(line_t *l, int argc, char **argv)
{
    int c, rc;
    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":o:O:r:R:t:T:W::i:e:h", LONGS, NULL)) != -1)
        if ((rc = take(l, c, argv))) return rc;
    if (argc - optind > 1)
        return cmd_fail("annotate", "expected one input, %d given; give options of the plugin after --", argc - optind);
    l->in = argc > optind ? argv[optind] : "-";
    return 0;
}

/* Adds the options after --. Among these, -f names the reference, as in bcftools norm; replaces -f by -T, its name in
 * annotate. */
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
    if (!l.arg) return cmd_fail("annotate", "out of memory");
    add(&l, "annotate", NULL);
    rc = general(&l, split, argv);
    if (rc == 2) fputs(usage(), stdout);
    if (rc == 0) {
        if (!l.typed && !says_format(l.out)) add(&l, "-O", "v");
        if (split < argc) own(&l, argc - split - 1, argv + split + 1);
        add(&l, l.in, NULL);
        optind = 0;
        rc = CMD_ANNOTATE.run(l.n, l.arg);
    }
    free(l.arg);
    return rc == 1;
}
