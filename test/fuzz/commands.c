/* commands.c - fuzz targets that run a command on a file: annotate on each kind of input and on a reference, merge on
 * parts. SPDX-License-Identifier: MIT */
#include <nettle/sha2.h>

#include "cmd.h"
#include "fuzz.h"
#include "place.h"

#define MODEL "-m", FUZZ_DATA "/ps"
#define ANNOTATE "annotate", "--quiet", MODEL, "--window", "64"

/* Runs a command; the last argument is NULL. */
static void command(int (*run)(int, char **), const char *const argument[])
{
    char *argv[32];
    int argc = 0;
    while (argument[argc]) {
        argv[argc] = strdup(argument[argc]);
        if (!argv[argc++]) abort();
    }
    argv[argc] = NULL;
    optind = 0; /* resets getopt */
    run(argc, argv);
    for (int i = 0; i < argc; i++) free(argv[i]);
}
#define COMMAND(run, ...) command(run, (const char *const[]) { __VA_ARGS__, NULL })

static void put_rows(void)
{
    static const char rows[] = "c\t0\t20\nc\t15\t40\tname\nd\t2\t2\n";
    place_put("in.bed", (place_t) { (const uint8_t *)rows, sizeof rows - 1 }, 0);
}

void fuzz_bed(const uint8_t *data, size_t size)
{
    place_enter();
    place_put("in", (place_t) { data, size }, 0);
    if (size & 1) COMMAND(CMD_ANNOTATE.run, ANNOTATE, "-T", "ref.fa", "--clip", "-o", "/dev/null", "in");
    else COMMAND(CMD_ANNOTATE.run, ANNOTATE, "-T", "ref.fa", "--in-format", "bed", "-L", "in", "-o", "/dev/null", "in");
}

/* The data hold a FASTA, its .fai and its .gzi. If all three are present and the FASTA is plain, this function
 * compresses it, in one BGZF block. */
void fuzz_fasta(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "x.fa", "x.fa.fai", "x.fa.gzi", NULL };
    place_t rest = { data, size }, file[3];
    int n = 0;
    place_enter();
    place_remove(names);
    put_rows();
    while (n < 3 && place_next(&rest, &file[n])) n++;
    for (int i = 0; i < n; i++) place_put(names[i], file[i], i == 0 && n == 3 && place_begins(file[0], ">", 1));
    COMMAND(CMD_ANNOTATE.run, ANNOTATE, "-T", "x.fa", "-o", "/dev/null", "in.bed");
    if (n == 1) COMMAND(CMD_ANNOTATE.run, ANNOTATE, "--embed", "/dev/null", "-o", "/dev/null", "x.fa");
}

/* Writes the data to the file "in" (binary records as BGZF) and the index that may follow in the data. Returns true if
 * there is an index. */
static int put_indexed(const uint8_t *data, size_t size, const char *binary)
{
    static const char *const suffixes[] = { "in.bai", "in.csi", "in.tbi", "in.crai" };
    static const char *const magics[] = { "BAI\1", "CSI\1", "TBI\1", "" };
    static const char *const all[] = { "in.bai", "in.csi", "in.tbi", "in.crai", NULL };
    place_t rest = { data, size }, file;
    place_remove(all);
    place_next(&rest, &file);
    place_put("in", file, place_begins(file, binary, 4) || place_begins(file, "##fileformat=VCFv4.1", 20));
    if (!place_next(&rest, &file)) return 0;
    for (int i = 0; i < 4; i++)
        if (place_begins(file, magics[i], strlen(magics[i]))) {
            place_put(suffixes[i], file, i == 2);
            break;
        }
    return 1;
}

void fuzz_reads(const uint8_t *data, size_t size)
{
    place_enter();
    const char *out = size & 1 ? "bam" : "sam", *context = size & 2 ? "ref" : "seq";
    if (put_indexed(data, size, "BAM\1"))
        COMMAND(CMD_ANNOTATE.run, ANNOTATE, "-T", "ref.fa", "-O", out, "-r", "c:5-30", "-r", "d", "-o", "/dev/null",
                "in");
    else COMMAND(CMD_ANNOTATE.run, ANNOTATE, "-T", "ref.fa", "--context", context, "-O", out, "-o", "/dev/null", "in");
}

void fuzz_variants(const uint8_t *data, size_t size)
{
    place_enter();
    const char *out = size & 1 ? "b" : "v";
    if (put_indexed(data, size, "BCF\2"))
        COMMAND(CMD_ANNOTATE.run, ANNOTATE, "-T", "ref.fa", "-O", out, "-r", "c:5-30", "-r", "d", "-o", "/dev/null",
                "in");
    else COMMAND(CMD_ANNOTATE.run, ANNOTATE, "-T", "ref.fa", "--check-ref", "w", "-O", out, "-o", "/dev/null", "in");
}

/* Writes PART.json, the provenance file that shard K of N writes beside its output PART. */
static void put_json(const char *part, place_t file, int k, int n, int track)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    char name[32], hex[65], json[256];
    struct sha256_ctx sum;
    sha256_init(&sum);
    sha256_update(&sum, file.size, file.data);
    sha256_digest(&sum, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(name, sizeof name, "%s.json", part);
    snprintf(json, sizeof json, "{%s\"work\": \"w\", \"shard\": \"%d/%d\", \"bytes\": \"%zu\", \"sha256\": \"%s\"}",
             track ? "\"track\": \"ll\", " : "", k, n, file.size, hex);
    place_put(name, (place_t) { (const uint8_t *)json, strlen(json) }, 0);
}

/* The data hold one or two parts: bigWig, .npy, BED, bedGraph, reads or variants. */
void fuzz_merge(const uint8_t *data, size_t size)
{
    static const char *const part[] = { "part1", "part2" };
    place_t rest = { data, size }, file[2];
    int n = 0;
    place_enter();
    while (n < 2 && place_next(&rest, &file[n])) n++;
    for (int i = 0; i < n; i++) {
        place_put(part[i], file[i], 0);
        put_json(part[i], file[i], i + 1, n, size & 1);
    }
    COMMAND(CMD_MERGE.run, "merge", "-o", "/dev/null", "part1", n == 2 ? "part2" : NULL);
}
