/* new.c - caduceus model new: writes a checkpoint with random weights, of an architecture that has a name. An
 * architecture is a list of layer kinds: a line of the table. SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "actions.h"

static const char USAGE[] = "Usage: caduceus model new [options] -o DIR ARCHITECTURE\n\n"
                            "Writes a checkpoint with random weights into folder DIR, for pretrain -m and for\n"
                            "finetune -m --from-scratch. ARCHITECTURE is one of:\n"
                            "  caduceus     Mamba in both directions: Caduceus-PS or, with --rcps no, Caduceus-Ph\n"
                            "  mamba        Mamba in one direction; predicts the next base\n"
                            "  transformer  3-mers, then attention to all bases and an MLP in each layer\n"
                            "  bigbird      the same with block-sparse attention, for long sequences\n"
                            "  graph        3-mers, then attention along the edges of a graph of 3-mers\n"
                            "  cnn          convolutions of width 8, each followed by the maximum of 2 bases;\n"
                            "               like hybrid, for finetune and predict only\n"
                            "  hybrid       convolutions of width 3, 6 and 12 and the maximum of 4 bases,\n"
                            "               twice; then attention and an MLP in each layer\n"
                            "  hyena        HyenaDNA: convolutions as long as the sequence; predicts the next base\n\n"
                            "Options:\n"
                            "  -o, --output DIR       folder to write to; created if absent\n"
                            "      --d-model D        width of the residual stream [256]\n"
                            "      --n-layer N        layers; attention or hyena and MLP are one, and convolutions of\n"
                            "                         hybrid do not count [caduceus, hybrid: 4, cnn, graph: 3,\n"
                            "                         hyena: 2, others: 6]\n"
                            "      --rcps yes|no      share the weights between strands, so that the result for the\n"
                            "                         other strand is the same, reversed [caduceus: yes, others: no]\n"
                            "      --length L         length of a sequence in bases [1024]\n"
                            "      --seed N           seed of the weights [1]\n"
                            "  -h, --help             this text\n\n"
                            "Example:\n"
                            "  caduceus model new bigbird --length 131072 -o bigbird\n";

typedef struct {
    /* kinds of layers: once, and N times for --n-layer N; NULL: those of HyenaDNA, whose config.json has other keys */
    const char *name, *first, *repeated;
    int64_t n;        /* default of --n-layer */
    bool rcps;        /* default of --rcps */
    const char *keys; /* further keys of config.json */
} architecture_t;

static const architecture_t ARCHITECTURE[] = {
    { "caduceus", "", "mamba", 4, true, "" },
    { "mamba", "", "mamba", 6, false, ", \"bidirectional\": false, \"caduceus_next\": true" },
    { "transformer", "kmer", "attention mlp", 6, false, ", \"attention_cfg\": {\"pattern\": \"full\"}" },
    { "bigbird", "kmer", "attention mlp", 6, false, ", \"attention_cfg\": {\"pattern\": \"blocks\"}" },
    { "graph", "kmer", "attention", 3, false, ", \"attention_cfg\": {\"pattern\": \"graph\", \"heads\": 4}" },
    { "cnn", "", "cnn", 3, false, ", \"cnn_cfg\": {\"widths\": [8], \"channels\": 16, \"pool\": 2}" },
    { "hybrid", "cnn cnn", "attention mlp", 4, false,
      ", \"cnn_cfg\": {\"widths\": [3, 6, 12], \"channels\": 64, \"pool\": 4}" },
    { "hyena", NULL, NULL, 2, false, ", \"emb_dim\": 5, \"activation_freq\": 10" },
};

typedef struct {
    const char *output;
    const architecture_t *what;
    int64_t d_model, n, length, seed;
    int rcps;
} args_t;

static int find(args_t *a, const char *name)
{
    char names[256] = "";
    for (size_t i = 0; i < sizeof ARCHITECTURE / sizeof *ARCHITECTURE; i++) {
        size_t used = strlen(names);
        if (!strcmp(name, ARCHITECTURE[i].name)) a->what = &ARCHITECTURE[i];
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", ARCHITECTURE[i].name);
    }
    return a->what ? 0 : cmd_fail("model new", "%s: expected one of %s", name, names);
}

/* Appends the kinds in a list of words to a JSON list; returns their number. before: elements that the list has. */
static int64_t put_kinds(text_t *t, const char *words, int64_t before)
{
    int64_t n = 0;
    for (size_t size; *words; words += size + (words[size] == ' '), n++) {
        size = strcspn(words, " ");
        text_printf(t, "%s\"%.*s\"", before + n ? ", " : "", (int)size, words);
    }
    return n;
}

static void put_sizes(const args_t *a, int64_t n, bool rcps, text_t *t)
{
    text_printf(t, ", \"n_layer\": %lld, \"d_model\": %lld, \"vocab_size\": 12%s%s}", (long long)n,
                (long long)a->d_model, rcps ? ", \"rcps\": true" : "", a->what->keys);
}

/* Writes the text of config.json. */
static void put_config(const args_t *a, text_t *t)
{
    int64_t n = a->n ? a->n : a->what->n, times = n;
    bool rcps = a->rcps < 0 ? a->what->rcps : a->rcps;
    if (a->what->repeated) text_puts(t, "{\"layer_kinds\": [");
    else {
        /* a window may have two special tokens, as in published models */
        text_printf(t, "{\"model_type\": \"hyenadna\", \"max_seq_len\": %lld", (long long)a->length + 2);
        put_sizes(a, n, rcps, t);
        return;
    }
    n = put_kinds(t, a->what->first, 0);
    for (int64_t i = 0; i < times; i++) n += put_kinds(t, a->what->repeated, n);
    text_puts(t, "]");
    put_sizes(a, n, rcps, t);
}

static int make(const args_t *a, cad_model_t **m, cad_error_t *err)
{
    text_t t = { 0 };
    int rc;
    put_config(a, &t);
    rc = t.failed ? cad_out_of_memory(err) : cad_model_create(m, t.s.s, a->length, (uint64_t)a->seed, err);
    text_free(&t);
    return rc;
}

static int write_model(const args_t *a, cad_error_t *err)
{
    cad_model_t *m = NULL;
    cad_save_t how;
    bool made = false;
    int rc = make(a, &m, err);
    cad_save_init(&how);
    if (rc == 0) rc = cad_folder_make(a->output, &made, err);
    if (rc == 0) rc = options_save_model(m, a->output, &how, err);
    if (rc && made) rmdir(a->output);
    cad_model_close(m);
    return rc;
}

enum { O_D_MODEL = 1, O_N_LAYER, O_RCPS, O_LENGTH, O_SEED };
static const struct option LONGS[] = { OPT_VALUE("output", 'o'),        OPT_VALUE("d-model", O_D_MODEL),
                                       OPT_VALUE("n-layer", O_N_LAYER), OPT_VALUE("rcps", O_RCPS),
                                       OPT_VALUE("length", O_LENGTH),   OPT_VALUE("seed", O_SEED),
                                       OPT_FLAG("help", OPT_HELP),      { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    switch (c) {
    case 'o': a->output = arg; return 0;
    case O_D_MODEL: return -option_int("model new", "--d-model", arg, 1, 65536, &a->d_model);
    case O_N_LAYER: return -option_int("model new", "--n-layer", arg, 1, 500, &a->n);
    case O_RCPS: return -option_yes("model new", "--rcps", arg, &a->rcps);
    case O_LENGTH: return -option_int("model new", "--length", arg, 1, 1 << 20, &a->length);
    case O_SEED: return -option_int("model new", "--seed", arg, 0, INT64_MAX, &a->seed);
    default: return -1;
    }
}

static int run_new(int argc, char **argv)
{
    args_t a = { .d_model = 256, .length = 1024, .seed = 1, .rcps = -1 };
    cad_error_t err;
    int rc = options_parse(&MODEL_NEW, argc, argv, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    if (argc - optind != 1) return cmd_fail("model new", "name one architecture");
    if (!a.output) return cmd_fail("model new", "-o: give the folder to write to");
    if (find(&a, argv[optind])) return 1;
    return write_model(&a, &err) ? cmd_fail("model new", "%s", err.text) : cmd_finish("model new");
}

const command_t MODEL_NEW = {
    "model new", "write a model with random weights, of a named architecture", run_new, USAGE, NULL, "o:", LONGS, NULL
};
