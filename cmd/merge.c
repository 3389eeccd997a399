/* merge.c - caduceus merge: joins the parts of a run, which are the files that --shard wrote, into one file. Values and
 * records are written by the same code as in a run without shards, so the result is byte-identical to the output of
 * that run. SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <unistd.h>

#include "io/bigwig_reader.h"
#include "io/cram_check.h"
#include "io/npy.h"
#include "io/rounded.h"
#include "io/sam_header.h"
#include "io/shard.h"
#include "io/tabix.h"
#include "io/vcf_header.h"
#include "stream/columns.h"
#include "stream/tracks.h"
#include "cmd.h"

static const char USAGE[] = "Usage: caduceus merge [options] -o OUT PART...\n\n"
                            "Joins all parts of a run that was cut with --shard: BED, bedGraph, bigWig, .npy,\n"
                            "SAM, BAM, CRAM, VCF or BCF. The parts may be given in any order. The .json file\n"
                            "beside each part must show that all of them are shards of the same run.\n\n"
                            "Options:\n"
                            "  -o, --output OUT       the joined output\n"
                            "  -T, --reference FASTA  reference of CRAM; also --fasta-ref\n"
                            "      --write-index[=csi|bai|tbi]  also index the output [csi; BED: tbi]\n"
                            "  -@, --threads N        threads that compress [1]\n"
                            "  -h, --help             this text\n"
                            "\nExamples:\n"
                            "  caduceus merge -o whole.bw part.*.bw\n"
                            "  caduceus merge -o whole.vcf.gz --write-index part.*.vcf.gz\n";

typedef struct {
    const char *output, *reference;
    index_t index;
    bool index_usual; /* true: --write-index does not say which type of index */
    int64_t threads;
    char **part;
    int n, *order; /* part[order[k]] is shard k + 1 */
    json_t *json;  /* the provenance of the whole run: that of the parts, without the keys that describe a shard */
    bool plain;    /* true if each part begins with the names of its columns, without '#' (--no-version) */
} args_t;

static const char *part_at(const args_t *a, int k) { return a->part[a->order[k]]; }

/* ---- options ---- */

enum { O_INDEX = 1 };
static const struct option LONGS[] = {
    OPTIONS_REFERENCE,         OPT_VALUE("output", 'o'),   OPT_MAYBE("write-index", O_INDEX),
    OPT_VALUE("threads", '@'), OPT_FLAG("help", OPT_HELP), { 0 }
};

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    switch (c) {
    case 'o': a->output = arg; return 0;
    case 'T': a->reference = arg; return 0;
    case '@': return option_int("merge", "-@", arg, 0, 4096, &a->threads);
    default: a->index_usual = !arg; return option_index("merge", arg, &a->index);
    }
}

/* Returns 0 to continue, 1 after an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc = options_parse(&CMD_MERGE, argc, argv, take_option, a);
    if (rc) return rc;
    a->part = argv + optind;
    a->n = argc - optind;
    if (!a->output) return cmd_fail("merge", "name the output with -o");
    if (!a->n) return cmd_fail("merge", "name the parts");
    for (int i = 0; i < a->n; i++)
        if (!strcmp(a->part[i], "-"))
            return cmd_fail("merge", "standard input cannot be a part, since it has no .json file");
    return 0;
}

/* ---- text: rows of tables, and bedGraph lines ---- */

typedef struct {
    text_t run;
    kstring_t contig;
    long long beg, end;
    char value[32];
} graph_t;

/* Returns true for a header line of a part: lines of provenance, then the line of column names. Sets *named once the
 * line of column names has been read. */
static bool is_header(const kstring_t *l, bool *named)
{
    if (*named || l->s[0] != '#') return false;
    *named = strncmp(l->s, "##caduceus_", 11) != 0;
    return true;
}

static int put_run(graph_t *g, output_t *out, cad_error_t *err)
{
    if (g->beg == g->end) return 0;
    text_clear(&g->run);
    text_printf(&g->run, "%s\t%lld\t%lld\t%s\n", g->contig.s, g->beg, g->end, g->value);
    g->beg = g->end;
    return text_write(out, &g->run, err);
}

/* Adds a line of a bedGraph. Joins it to the previous line if both have the same value and touch, because a shard may
 * end within an interval of equal values. */
static int graph_line(graph_t *g, const input_t *in, const kstring_t *l, output_t *out, cad_error_t *err)
{
    char value[32];
    long long beg, end;
    size_t n = strcspn(l->s, "\t");
    int rc = 0;
    if (n == 0 || sscanf(l->s + n, "\t%lld\t%lld\t%31s", &beg, &end, value) != 3)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: not a line of a bedGraph", in->path, (long long)in->line);
    if (g->end != beg || n != g->contig.l || memcmp(g->contig.s, l->s, n) || strcmp(g->value, value)) {
        rc = put_run(g, out, err);
        g->contig.l = 0;
        if (kputsn(l->s, n, &g->contig) < 0) return cad_out_of_memory(err);
        strcpy(g->value, value);
        g->beg = beg;
    }
    g->end = end;
    return rc;
}

static int put_line(const kstring_t *l, output_t *out, cad_error_t *err)
{
    int rc = output_write(out, l->s, l->l, err);
    return rc ? rc : output_write(out, "\n", 1, err);
}

static int text_part(const args_t *a, int k, bool graph, graph_t *g, output_t *out, cad_error_t *err)
{
    input_t in;
    kstring_t line = { 0, 0, NULL };
    bool head = k > 0, named = false;
    int rc = input_open(&in, part_at(a, k), "bed", err), got = 0;
    while (rc == 0 && (got = input_line(&in, &line, err)) > 0) {
        head = head && (a->plain ? in.line == 1 : is_header(&line, &named));
        if (head) continue;
        rc = graph && line.s[0] != '#' ? graph_line(g, &in, &line, out, err) : put_line(&line, out, err);
    }
    free(line.s);
    input_close(&in);
    return rc ? rc : got;
}

static int merge_text(const args_t *a, bool graph, output_t *out, cad_error_t *err)
{
    graph_t g = { 0 };
    int rc = 0;
    for (int k = 0; k < a->n && rc == 0; k++) rc = text_part(a, k, graph, &g, out, err);
    if (rc == 0) rc = put_run(&g, out, err);
    text_free(&g.run);
    free(g.contig.s);
    return rc;
}

/* ---- matrices ---- */

static int matrix_part(const char *path, npy_t *n, cad_error_t *err)
{
    char head[NPY_HEADER + 1] = "", buf[1 << 16];
    const char *shape;
    long long rows, width;
    size_t got;
    FILE *f = fopen(path, "rb");
    int rc = 0;
    if (!f) return cad_fail(err, CAD_EIO, "%s: cannot be read", path);
    if (fread(head, 1, NPY_HEADER, f) != NPY_HEADER || !(shape = strstr(head + 10, "'shape': (")) ||
        sscanf(shape + 10, "%lld, %lld", &rows, &width) != 2)
        rc = cad_fail(err, CAD_EFORMAT, "%s: not a matrix of caduceus, or damaged", path);
    if (rc == 0 && !n->width) rc = npy_begin(n, width, err);
    while (rc == 0 && (got = fread(buf, 1, sizeof buf, f)) > 0) rc = output_write(n->out, buf, got, err);
    if (rc == 0 && (ferror(f) || ftello(f) != NPY_HEADER + 4 * rows * width))
        rc = cad_fail(err, CAD_EFORMAT, "%s: its size does not fit its shape", path);
    n->rows += rc ? 0 : rows;
    fclose(f);
    return rc;
}

static int merge_matrices(const args_t *a, output_t *out, cad_error_t *err)
{
    npy_t n = { .out = out };
    int rc = 0;
    for (int k = 0; k < a->n && rc == 0; k++) rc = matrix_part(part_at(a, k), &n, err);
    return rc ? rc : npy_finish(&n, err);
}

/* ---- bigWig ---- */

static int add_value(void *w, int contig, int64_t beg, int64_t end, float v, cad_error_t *err)
{
    int rc = 0;
    for (int64_t p = beg; p < end && rc == 0; p++) rc = bigwig_add(w, contig, p, v, err);
    return rc;
}

static int merge_bigwigs(const args_t *a, output_t *out, cad_error_t *err)
{
    bigread_t *first = calloc(1, sizeof *first), *r = calloc(1, sizeof *r);
    bigwig_t *w = NULL;
    int rc = first && r ? bigread_open(first, part_at(a, 0), err) : cad_out_of_memory(err);
    if (rc == 0) rc = bigwig_open(&w, out, first->contig, first->ncontig, err);
    for (int k = 0; k < a->n && rc == 0; k++) {
        rc = bigread_open(r, part_at(a, k), err);
        if (rc == 0 && r->ncontig != first->ncontig)
            rc = cad_fail(err, CAD_EFORMAT, "%s: other contigs than %s", r->path, first->path);
        if (rc == 0) rc = bigread_all(r, add_value, w, err);
        if (rc == 0) rc = bigread_complete(r, err);
        bigread_close(r);
    }
    if (rc == 0) rc = bigwig_finish(w, err);
    bigwig_free(w);
    if (first) bigread_close(first);
    free(first);
    free(r);
    return rc;
}

/* ---- reads and variants ---- */

typedef struct {
    records_out_t out;
    htsThreadPool pool;
    sam_hdr_t *reads;    /* header of the first part, or NULL */
    bcf_hdr_t *variants; /* header of the first part, or NULL */
    bam1_t *read;
    bcf1_t *variant;
    notes_t notes;
    fasta_t ref;       /* open if CRAM is written with -T */
    cram_check_t cram; /* open if CRAM is written */
    bool rounding;     /* true if binary parts are written as SAM or VCF, which rounds numbers */
} records_t;

/* If the output is CRAM, opens the reference (if -T is given) and the check that finds what CRAM cannot store of a
 * record. */
static int begin_cram(const args_t *a, records_t *t, cad_error_t *err)
{
    int rc = 0;
    if (t->out.format.hts.format != cram) return 0;
    if (a->reference) rc = fasta_open(&t->ref, a->reference, &t->notes, err);
    t->cram = (cram_check_t) { t->reads, &t->ref, NULL, &t->notes, NULL };
    return rc ? rc : cram_check_open(&t->cram, err);
}

static int begin_records(const args_t *a, records_t *t, const htsFormat *in, cad_error_t *err)
{
    int rc = format_choose(&t->out.format, t->reads != NULL, NULL, a->output, in, err);
    t->out.path = a->output;
    t->out.index = a->index;
    t->out.embed = !a->reference && in->format == cram;
    t->read = bam_init1();
    t->variant = bcf_init();
    if (!t->read || !t->variant) return cad_out_of_memory(err);
    if (rc == 0) rc = format_suffix(&t->out.format, NULL, a->output, err);
    t->rounding = (in->format != sam && t->out.format.hts.format == sam) ||
                  (in->format == bcf && t->out.format.hts.format == vcf);
    if (rc == 0) rc = begin_cram(a, t, err);
    if (rc == 0) rc = records_plan(&t->out, err);
    if (rc == 0) rc = records_create(&t->out, err);
    return rc ? rc : records_begin(&t->out, t->reads, t->variants, a->reference, &t->pool, err);
}

/* Checks that h, the header of a part, has the contigs of the output's header in the same order, because records refer
 * to contigs by number. Returns CAD_EFORMAT if the contigs differ. */
static int same_contigs(const records_t *t, const sam_hdr_t *h, const char *path, cad_error_t *err)
{
    int n = sam_hdr_nref(t->reads);
    bool same = n == sam_hdr_nref(h);
    for (int i = 0; i < n && same; i++)
        same = !strcmp(sam_hdr_tid2name(t->reads, i), sam_hdr_tid2name(h, i)) &&
               sam_hdr_tid2len(t->reads, i) == sam_hdr_tid2len(h, i);
    return same ? 0 : cad_fail(err, CAD_EFORMAT, "%s: other contigs than in the first part", path);
}

/* Does the same as same_contigs for variants: compares contigs, samples, and the names of INFO, FORMAT and FILTER,
 * to which BCF records refer by number. */
static int same_names(const records_t *t, const bcf_hdr_t *h, const char *path, cad_error_t *err)
{
    bool same = bcf_hdr_nsamples(t->variants) == bcf_hdr_nsamples(h);
    for (int d = 0; d < 3; d++)
        for (int i = 0; i < h->n[d] && same; i++) {
            const char *a = i < t->variants->n[d] ? t->variants->id[d][i].key : NULL, *b = h->id[d][i].key;
            same = a && b ? !strcmp(a, b) : a == b;
        }
    return same ? 0 : cad_fail(err, CAD_EFORMAT, "%s: another header than that of the first part", path);
}

static int copy_reads(records_t *t, htsFile *fp, sam_hdr_t *h, const char *path, cad_error_t *err)
{
    int got;
    t->cram.path = path;
    while ((got = sam_read1(fp, h, t->read)) >= 0) {
        int rc = records_as_written(fp, h, t->read, path, err);
        if (t->rounding) rounded_read(&t->notes, path, t->read);
        if (rc == 0 && t->cram.known) rc = cram_check(&t->cram, t->read, err);
        if (rc == 0) rc = records_put_read(&t->out, t->reads, t->read, err);
        if (rc) return rc;
    }
    return got == -1 ? records_end(fp, path, err) : cad_fail(err, CAD_EIO, "%s: damaged or cut short", path);
}

/* Copies the records of a part. All parts are read with the output's header, to which htslib adds a declaration for
 * each tag that no part declares. */
static int copy_variants(records_t *t, htsFile *fp, const char *path, cad_error_t *err)
{
    int got;
    while ((got = bcf_read(fp, t->variants, t->variant)) >= 0) {
        int rc = t->rounding ? rounded_variant(&t->notes, path, t->variants, t->variant, NULL, 0, err) : 0;
        t->variant->errcode &= ~BCF_ERR_TAG_UNDEF;
        if (rc == 0) rc = records_put_variant(&t->out, t->variants, t->variant, "of a part", err);
        if (rc) return rc;
    }
    return got == -1 ? records_end(fp, path, err) : cad_fail(err, CAD_EIO, "%s: damaged or cut short", path);
}

static int records_part(const args_t *a, records_t *t, const char *path, input_t *in, cad_error_t *err)
{
    bool reads = in->kind == INPUT_READS;
    htsFile *fp = NULL;
    sam_hdr_t *rh = NULL;
    bcf_hdr_t *vh = NULL;
    int rc = records_open(&fp, in, a->reference, err);
    if (rc == 0 && reads) rc = sam_header_read(&rh, fp, path, &t->notes, err);
    if (rc == 0 && !reads) rc = vcf_header_read(&vh, fp, path, &t->notes, err);
    if (rc == 0 && !t->out.fp) { /* first part: creates the output */
        t->reads = rh ? sam_hdr_dup(rh) : NULL;
        t->variants = vh;
        rc = t->reads || t->variants ? begin_records(a, t, &fp->format, err) : cad_out_of_memory(err);
    }
    if (rc == 0) rc = reads ? same_contigs(t, rh, path, err) : same_names(t, vh, path, err);
    if (rc == 0) rc = reads ? copy_reads(t, fp, rh, path, err) : copy_variants(t, fp, path, err);
    sam_hdr_destroy(rh);
    if (vh && vh != t->variants) bcf_hdr_destroy(vh);
    if (fp) hts_close(fp);
    return rc;
}

static int merge_records(const args_t *a, cad_error_t *err)
{
    records_t t = { .notes.cmd = "merge" };
    int rc = records_pool(&t.pool, (int)a->threads, err);
    for (int k = 0; k < a->n && rc == 0; k++) {
        input_t in;
        rc = input_open(&in, part_at(a, k), NULL, err);
        if (rc == 0) rc = records_part(a, &t, part_at(a, k), &in, err);
        input_close(&in);
    }
    if (rc == 0) rc = records_close(&t.out, NULL, err);
    if (rc == 0) notes_summary(&t.notes);
    records_free(&t.out);
    fasta_close(&t.ref);
    free(t.cram.known);
    sam_hdr_destroy(t.reads);
    if (t.variants) bcf_hdr_destroy(t.variants);
    if (t.read) bam_destroy1(t.read);
    if (t.variant) bcf_destroy(t.variant);
    if (t.pool.pool) hts_tpool_destroy(t.pool.pool);
    return rc;
}

/* ---- formats of parts ---- */

typedef enum { PARTS_TEXT, PARTS_GRAPH, PARTS_MATRIX, PARTS_BIGWIG, PARTS_READS, PARTS_VARIANTS } parts_t;

/* Finds the format of a part from its first bytes. A bedGraph gives PARTS_TEXT here. */
static int kind_of(const char *path, parts_t *kind, cad_error_t *err)
{
    unsigned char magic[6] = { 0 };
    uint32_t bigwig = 0x888FFC26u;
    input_t in;
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    if (fd < 0 || read(fd, magic, sizeof magic) < 0) rc = cad_fail(err, CAD_EIO, "%s: cannot be read", path);
    if (fd >= 0) close(fd);
    if (rc) return rc;
    *kind = !memcmp(magic, "\x93NUMPY", 6) ? PARTS_MATRIX : !memcmp(magic, &bigwig, 4) ? PARTS_BIGWIG : PARTS_TEXT;
    if (*kind != PARTS_TEXT) return 0;
    rc = input_open(&in, path, NULL, err);
    if (rc == 0 && in.kind >= INPUT_READS) *kind = in.kind == INPUT_READS ? PARTS_READS : PARTS_VARIANTS;
    input_close(&in);
    return rc;
}

static int same_kind(const args_t *a, parts_t *kind, cad_error_t *err)
{
    static const char *const name[] = { "text", "text", "a matrix", "a bigWig", "reads", "variants" };
    parts_t other;
    int rc = kind_of(a->part[0], kind, err);
    for (int i = 1; i < a->n && rc == 0; i++) {
        rc = kind_of(a->part[i], &other, err);
        if (rc == 0 && other != *kind)
            rc = cad_fail(err, CAD_EFORMAT, "%s holds %s, but %s %s: parts of one kind can be merged", a->part[0],
                          name[*kind], a->part[i], name[other]);
    }
    return rc;
}

/* Writes the .json file that a run without shards writes beside a bigWig or a matrix: the provenance of the parts,
 * without the key "work", which a run without shards does not have. */
static int write_json(const args_t *a, output_t *json, cad_error_t *err)
{
    text_t t = { 0 };
    int rc;
    json_object_del(a->json, "work");
    provenance_layout(a->json, &t);
    rc = text_write(json, &t, err);
    text_free(&t);
    return rc;
}

/* Indexes a text output. Writes a .csi if the user asked for one or if the first part has one (a contig may be too long
 * for .tbi); otherwise writes a .tbi. */
static int index_text(const args_t *a, output_t *out, output_t **index, cad_error_t *err)
{
    char *theirs = suffixed(part_at(a, 0), ".csi");
    bool csi = a->index_usual ? theirs && access(theirs, F_OK) == 0 : a->index == INDEX_CSI;
    int rc = theirs ? output_beside(index, a->output, csi ? ".csi" : ".tbi", err) : cad_out_of_memory(err);
    free(theirs);
    return rc ? rc : tabix_index(out, *index, csi, a->output, err);
}

static int merge_file(const args_t *a, parts_t kind, cad_error_t *err)
{
    static const char *const formats[] = { "bed tsv tab txt csv", "bedGraph bg bdg", "npy", "bw bigWig" };
    output_t *out = NULL, *json = NULL, *index = NULL, **all[] = { &out, &index, &json };
    bool beside = kind == PARTS_BIGWIG || kind == PARTS_MATRIX;
    int rc = output_suffix(a->output, formats[kind], beside ? "" : formats[kind], err);
    if (rc == 0) rc = output_open(&out, a->output, !beside && output_is_gz(a->output), err);
    if (rc == 0 && beside && output_is_file(out)) rc = output_beside(&json, a->output, ".json", err);
    if (rc == 0)
        rc = kind == PARTS_BIGWIG   ? merge_bigwigs(a, out, err)
             : kind == PARTS_MATRIX ? merge_matrices(a, out, err)
                                    : merge_text(a, kind == PARTS_GRAPH, out, err);
    if (rc == 0 && json) rc = write_json(a, json, err);
    if (rc == 0) rc = output_sync(out, err);
    if (rc == 0 && (kind == PARTS_GRAPH || a->index) && !beside && output_is_gz(a->output) && output_is_file(out))
        rc = index_text(a, out, &index, err);
    if (rc == 0) rc = outputs_close(all, 3, err);
    output_abort(out);
    output_abort(index);
    output_abort(json);
    return rc;
}

static int check_index(const args_t *a, parts_t kind, cad_error_t *err)
{
    if (!a->index || kind >= PARTS_READS) return 0;
    if (kind > PARTS_GRAPH || !output_is_gz(a->output) || a->plain)
        return cad_fail(err, CAD_EARG,
                        "--write-index fits reads, variants, and BED and bedGraph that are compressed, as out.bed.gz");
    return a->index == INDEX_BAI ? cad_fail(err, CAD_EARG, "--write-index=bai: the index of text is a tbi or csi") : 0;
}

static int run(args_t *a, cad_error_t *err)
{
    static const char *const own[] = { "", ".json", NULL };
    const char *options;
    parts_t kind;
    ledger_t files = { 0 };
    int rc;
    for (int i = 0; i < a->n; i++) ledger_inputs(&files, a->part[i], own);
    ledger_input(&files, a->reference);
    rc = ledger_output(&files, a->output, err);
    ledger_free(&files);
    if (rc == 0) rc = same_kind(a, &kind, err);
    if (rc == 0) rc = parts_check((const char *const *)a->part, a->n, a->order, &a->json, err);
    if (rc) return rc;
    if (kind == PARTS_TEXT && json_object_get(a->json, "track")) kind = PARTS_GRAPH;
    options = json_string_value(json_object_get(a->json, "options"));
    a->plain = options && ends_in(options, TABLE_PLAIN);
    rc = check_index(a, kind, err);
    if (rc) return rc;
    return kind >= PARTS_READS ? merge_records(a, err) : merge_file(a, kind, err);
}

static int run_merge(int argc, char **argv)
{
    args_t a = { .threads = 1, .index_usual = true };
    cad_error_t err = { "" };
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    a.order = calloc((size_t)argc, sizeof *a.order);
    rc = a.order ? run(&a, &err) : cad_out_of_memory(&err);
    if (rc) cmd_fail("merge", "%s", err.text);
    free(a.order);
    json_decref(a.json);
    return rc || cmd_finish("merge") ? 1 : 0;
}

const command_t CMD_MERGE = { "merge", "join the parts that --shard wrote", run_merge, USAGE, NULL, "o:T:@:", LONGS,
                              NULL };
