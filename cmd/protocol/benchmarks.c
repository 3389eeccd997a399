/* benchmarks.c - the tasks and settings of the benchmarks: of the Caduceus paper for Genomic Benchmarks and the
 * Nucleotide Transformer's tasks. GUE is not in the paper; it gets the settings of the latter. SPDX-License-Identifier:
 * MIT */
#include "protocol/protocol.h"

#define TASKS(list) list, sizeof list / sizeof *list

static const bench_task_t GENOMIC[] = { { "dummy_mouse_enhancers_ensembl", 1024, METRIC_ACCURACY },
                                        { "demo_coding_vs_intergenomic_seqs", 200, METRIC_ACCURACY },
                                        { "demo_human_or_worm", 200, METRIC_ACCURACY },
                                        { "human_enhancers_cohn", 500, METRIC_ACCURACY },
                                        { "human_enhancers_ensembl", 512, METRIC_ACCURACY },
                                        { "human_ensembl_regulatory", 512, METRIC_ACCURACY },
                                        { "human_nontata_promoters", 251, METRIC_ACCURACY },
                                        { "human_ocr_ensembl", 512, METRIC_ACCURACY } };

static const bench_task_t TRANSFORMER[] = { { "H3", 500, METRIC_MCC },
                                            { "H3K14ac", 500, METRIC_MCC },
                                            { "H3K36me3", 500, METRIC_MCC },
                                            { "H3K4me1", 500, METRIC_MCC },
                                            { "H3K4me2", 500, METRIC_MCC },
                                            { "H3K4me3", 500, METRIC_MCC },
                                            { "H3K79me3", 500, METRIC_MCC },
                                            { "H3K9ac", 500, METRIC_MCC },
                                            { "H4", 500, METRIC_MCC },
                                            { "H4ac", 500, METRIC_MCC },
                                            { "enhancers", 200, METRIC_MCC },
                                            { "enhancers_types", 200, METRIC_MCC },
                                            { "promoter_all", 300, METRIC_F1 },
                                            { "promoter_no_tata", 300, METRIC_F1 },
                                            { "promoter_tata", 300, METRIC_F1 },
                                            { "splice_sites_acceptors", 600, METRIC_F1 },
                                            { "splice_sites_all", 400, METRIC_ACCURACY },
                                            { "splice_sites_donors", 600, METRIC_F1 } };

static const bench_task_t GUE[] = { { "EMP/H3", 500, METRIC_MCC },
                                    { "EMP/H3K14ac", 500, METRIC_MCC },
                                    { "EMP/H3K36me3", 500, METRIC_MCC },
                                    { "EMP/H3K4me1", 500, METRIC_MCC },
                                    { "EMP/H3K4me2", 500, METRIC_MCC },
                                    { "EMP/H3K4me3", 500, METRIC_MCC },
                                    { "EMP/H3K79me3", 500, METRIC_MCC },
                                    { "EMP/H3K9ac", 500, METRIC_MCC },
                                    { "EMP/H4", 500, METRIC_MCC },
                                    { "EMP/H4ac", 500, METRIC_MCC },
                                    { "mouse/0", 101, METRIC_MCC },
                                    { "mouse/1", 101, METRIC_MCC },
                                    { "mouse/2", 101, METRIC_MCC },
                                    { "mouse/3", 101, METRIC_MCC },
                                    { "mouse/4", 101, METRIC_MCC },
                                    { "prom/prom_300_all", 300, METRIC_MCC },
                                    { "prom/prom_300_notata", 300, METRIC_MCC },
                                    { "prom/prom_300_tata", 300, METRIC_MCC },
                                    { "prom/prom_core_all", 70, METRIC_MCC },
                                    { "prom/prom_core_notata", 70, METRIC_MCC },
                                    { "prom/prom_core_tata", 70, METRIC_MCC },
                                    { "splice/reconstructed", 400, METRIC_MCC },
                                    { "tf/0", 101, METRIC_MCC },
                                    { "tf/1", 101, METRIC_MCC },
                                    { "tf/2", 101, METRIC_MCC },
                                    { "tf/3", 101, METRIC_MCC },
                                    { "tf/4", 101, METRIC_MCC },
                                    { "virus/covid", 1000, METRIC_F1 } };

const benchmark_t BENCHMARK[] = {
    { "genomic-benchmarks", TASKS(GENOMIC), { "" }, false, 10, 5, { 1e-3, 2e-3 }, { 128, 256 } },
    { "nucleotide-transformer",
      TASKS(TRANSFORMER),
      { ".fna", ".fna.gz", ".fa", ".fa.gz", ".fasta", ".fasta.gz" },
      false,
      20,
      10,
      { 1e-3, 2e-3 },
      { 128, 512 } },
    { "gue", TASKS(GUE), { ".csv", ".csv.gz" }, true, 20, 3, { 1e-3, 2e-3 }, { 128, 512 } }
};
const int BENCHMARKS = sizeof BENCHMARK / sizeof *BENCHMARK;
