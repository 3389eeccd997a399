/* example.c - scores a DNA string with the library.
 *
 *     cc example.c $(pkg-config --cflags --libs caduceus) -o example
 *     ./example MODEL ACGTTGCAAGGCT
 *
 * Prints for each base its position (0-based), the base, and the natural logarithm of
 * its probability when it is masked. Then prints the mean over the scored bases, which
 * is the pll of `caduceus annotate`. SPDX-License-Identifier: MIT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caduceus.h"

static void print_scores(const char *seq, int64_t len, const float *logp) // (L,4)
{
    static const char letters[] = "AaCcGgTt";
    double sum = 0;
    int64_t n = 0;
    for (int64_t t = 0; t < len; t++) {
        const char *at = strchr(letters, seq[t]);
        double lp;
        if (!at) continue; /* neither A, C, G nor T: not scored, its row is NaN */
        lp = (double)logp[4 * t + (at - letters) / 2];
        printf("%" PRId64 "\t%c\t%.6g\n", t, seq[t], lp);
        sum += lp;
        n++;
    }
    if (n) printf("mean\t%.6g\n", sum / (double)n);
    else printf("mean\t.\n");
}

int main(int argc, char **argv)
{
    cad_model_t *model = NULL;
    cad_context_t *ctx = NULL;
    uint8_t *tokens = NULL;
    float *logp = NULL;
    cad_options_t options;
    cad_error_t err = { "out of memory" };
    cad_window_t w;
    int64_t len;
    int rc;
    if (argc != 3 || !*argv[2]) {
        fprintf(stderr, "Usage: example MODEL SEQUENCE\n");
        return 1;
    }
    len = (int64_t)strlen(argv[2]);
    rc = cad_model_open(&model, argv[1], &err);
    cad_options_init(&options);
    options.max_len = len;
    if (rc == 0) rc = cad_context_open(&ctx, model, &options, &err);
    if (rc) goto done;
    rc = CAD_ENOMEM;
    tokens = malloc((size_t)len);
    logp = malloc((size_t)len * 4 * sizeof *logp);
    if (!tokens || !logp) goto done;
    cad_encode(model, argv[2], len, 0, tokens);
    memset(&w, 0, sizeof w);
    w.tokens = tokens;
    w.len = w.core_end = len; /* the core is the whole window: no flanks */
    w.logp = logp;
    rc = cad_score(ctx, &w, 1, 8, &err); /* 8 passes, each masking every 8th base */
    if (rc == 0) print_scores(argv[2], len, logp);
done:
    if (rc) fprintf(stderr, "example: %s: %s\n", cad_strerror(rc), err.text);
    free(logp);
    free(tokens);
    cad_context_close(ctx); /* before its model; NULL is allowed */
    cad_model_close(model);
    return rc || fflush(stdout) ? 1 : 0;
}
