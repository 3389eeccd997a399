/* caption.c - what a picture says about its run. SPDX-License-Identifier: MIT */
#include "caption.h"

caption_t run_caption(run_t *r, const char *what, const char *contig, interval_t at)
{
    const char *folder = cad_model_text(r->model, CAD_TEXT_FOLDER);
    size_t end = strlen(folder), n;
    while (end > 1 && folder[end - 1] == '/') end--;
    for (n = end; n > 0 && folder[n - 1] != '/';) n--;
    snprintf(r->named, sizeof r->named, "model %.*s (%.8s)", (int)cad_min((int64_t)(end - n), 80), folder + n,
             cad_model_text(r->model, CAD_TEXT_SHA256));
    return (caption_t) { .contig = contig, .what = what, .model = r->named, .details = r->options.s.s, .at = at };
}
