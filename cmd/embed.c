/* embed.c - caduceus embed: writes a matrix of embeddings for machine learning, and a file of the names of its rows.
 * The command runs the code of caduceus annotate with other defaults.
 *
 * SPDX-License-Identifier: MIT
 */
#include "annotate/annotate.h"

static const char USAGE[] =
    "Usage: caduceus embed [options] IN -o OUT.npy\n\n"
    "Writes a float32 matrix that numpy.load opens. Each row is the embedding of a FASTA\n"
    "or FASTQ record, a BED region, or an ALT allele of a VCF or BCF. Writes the names\n"
    "of the rows to OUT.tsv. IN may be compressed; - is standard input.\n\n"
    "Options:\n"
    "  -T, --reference FASTA  reference of regions and variants; also --fasta-ref\n" ALIAS_USAGE
    "      --in-format FMT    \f\n"
    "  -o, --output OUT.npy   the matrix; OUT.tsv and OUT.npy.json are written beside it;\n"
    "                         OUT.npz (with --pool none) holds an array for each row\n"
    "                         of OUT.tsv; OUT.csv or OUT.tsv as name: one table of\n"
    "                         names and embeddings\n"
    "  -r, --region REGION    only records that overlap CONTIG[:BEG-END], counted from 1\n"
    "  -R, --regions-file FILE|REGION  as -r, with the regions of a BED\n"
    "  -t, --targets FILE|REGION  as -r, but uses no index and tests the POS of variants\n"
    "  -L, --targets-file BED as -t, with the regions of a BED\n"
    "      --pool HOW         mean, max or center; none writes a row for each base [mean]\n"
    "      --layer K          layer of the embeddings: 1 is the first, -1 the last [-1]\n"
    "      --window W         bases in a window, flanks included [the model's length]\n"
    "      --flank F          context on each side [min(1024, W/4); variants:\n"
    "                         min(1024, (W-1)/2)]\n"
    "      --clip             clip regions at contig ends instead of stopping\n"
    "      --split            pool only the blocks of BED12 rows\n" N_TOKEN_USAGE
    "      --sep              end every window with the SEP token\n"
    "Variants (the row of an ALT is the embedding of REF followed by that of ALT):\n"
    "      --difference       write ALT minus REF instead\n"
    "      --pool-window P    bases pooled on each side of the variant [768]\n"
    "      --anchor A         bases before the variant in a window of --window bases\n"
    "      --check-ref e|w    if REF differs from the FASTA, e stops, w writes NaN [e]\n"
    "Other:\n"
    "      --no-version       no lines on version and model in OUT.tsv; names of columns\n"
    "                         without #, for pandas and R\n" SHARD_USAGE
    "      --dry-run          count windows and tokens, estimate time and size\n" DRY_RUN_JSON_USAGE PROGRESS_USAGE
        OPTIONS_USAGE "\nExamples:\n"
    "  caduceus embed -T hg38.fa regions.bed -o regions.npy\n"
    "  caduceus embed -T hg38.fa --difference in.vcf.gz -o effects.npy\n";

/* Returns the path OUT.tsv for the matrix OUT.npy or OUT.npz, malloc'd; NULL when out of memory. */
static char *names_path(const char *matrix)
{
    size_t n = strlen(matrix);
    char *path = malloc(n + 5);
    if (ends_in(matrix, ".npy") || ends_in(matrix, ".npz")) n -= 4;
    if (path) snprintf(path, n + 5, "%.*s.tsv", (int)n, matrix);
    return path;
}

/* True if names and embeddings are written to one table. */
static bool is_table(const char *path)
{
    return output_is_csv(path) || ends_in(path, ".tsv") || ends_in(path, ".tsv.gz") || ends_in(path, ".tsv.bgz");
}

static int run_embed(int argc, char **argv)
{
    annotate_args_t a;
    text_t command = { 0 }; /* the command line for @PG; empty, since the output has no @PG line */
    char *names;
    int rc = annotate_parse(&a, &CMD_EMBED, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    if (!strcmp(a.run.output, "-"))
        return cmd_fail("embed", "name the matrix with -o OUT.npy; the names of its rows come beside it");
    names = is_table(a.run.output) ? NULL : names_path(a.run.output);
    rc = names || is_table(a.run.output) ? annotate_matrix(&a, names) : cmd_fail("embed", "out of memory");
    if (rc == 0) rc = annotate_all(&a, &command);
    annotate_end(&a);
    free(names);
    return rc || cmd_finish("embed") ? 1 : 0;
}

const command_t CMD_EMBED = { "embed",       "write embeddings of sequences, regions or variants as a matrix",
                              run_embed,     USAGE,
                              embed_texts,   ANNOTATE_SHORT,
                              ANNOTATE_LONG, NULL };
