/* words.c - builds the command line of a command that caduceus protocol calls. SPDX-License-Identifier: MIT */
#include <stdarg.h>

#include "protocol/protocol.h"

void words_add(words_t *w, const char *fmt, ...)
{
    va_list args;
    char *word = NULL;
    va_start(args, fmt);
    if (w->n == WORDS || vasprintf(&word, fmt, args) < 0) w->failed = true;
    else w->word[w->n++] = word;
    va_end(args);
}

void words_pair(words_t *w, const char *option, const char *value)
{
    if (!value) return;
    words_add(w, "%s", option);
    words_add(w, "%s", value);
}

void words_model(words_t *w, const options_t *o)
{
    words_pair(w, "-m", o->model);
    words_pair(w, "--adapter", o->adapter);
    words_pair(w, "-d", o->device);
    words_pair(w, "--precision", o->precision);
    words_add(w, "--threads=%d", o->threads);
}

int words_run(words_t *w, const command_t *cmd, cad_error_t *err)
{
    int rc = w->failed ? cad_out_of_memory(err) : 0;
    optind = 0; /* makes getopt start again */
    if (rc == 0 && cmd->run(w->n, w->word)) {
        err->text[0] = 0; /* this error has already been reported */
        rc = CAD_EIO;
    }
    glue_command("protocol");
    return rc;
}

void words_free(words_t *w)
{
    for (int i = 0; i < w->n; i++) free(w->word[i]);
}
