/* summary.c - describes a checkpoint from its config.json and the headers of its weights. SPDX-License-Identifier: MIT
 */
#include "model/model.h"

static void fill(cad_summary_t *s, const cad_model_t *m)
{
    snprintf(s->kind, sizeof s->kind, "%s", cad_model_text(m, CAD_TEXT_KIND));
    snprintf(s->dtype, sizeof s->dtype, "%s", cad_model_text(m, CAD_TEXT_DTYPE));
    s->d_model = cad_model_number(m, CAD_D_MODEL);
    s->n_layer = cad_model_number(m, CAD_N_LAYER);
    s->labels = cad_model_number(m, CAD_LABELS);
    s->max_len = cad_model_number(m, CAD_MAX_LEN);
    s->parameters = cad_model_number(m, CAD_PARAMETERS);
}

int cad_model_summary(cad_summary_t *s, const char *path, cad_error_t *err)
{
    cad_model_t *m = calloc(1, sizeof *m);
    cad_checkpoint_t c = { 0 };
    int rc;
    memset(s, 0, sizeof *s);
    if (!m) return cad_out_of_memory(err);
    rc = cad_model_scan(m, path, NULL, &c, err);
    if (rc == 0) fill(s, m);
    cad_checkpoint_close(&c);
    cad_model_close(m);
    return rc;
}
