/* given.c - writes and reads DIR/options.txt, the options with which a training was started, so that --resume can
 * repeat them. SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "io/foundation.h"
#include "train/given.h"

/* Appends a value and a line end. A value with a line end cannot be stored in options.txt. */
static void put_value(text_t *given, const char *value, given_kind_t kind)
{
    char folder[4096];
    bool relative = *value && *value != '/' && strcmp(value, "-") &&
                    (kind == GIVEN_OUTPUT || (kind == GIVEN_INPUT && access(value, F_OK) == 0));
    if (relative && getcwd(folder, sizeof folder)) text_printf(given, "%s/", folder);
    text_printf(given, "%s\n", value);
    if (strchr(value, '\n')) given->failed = true;
}

void given_add(text_t *given, const struct option *longs, int c, const char *value, given_kind_t kind)
{
    while (longs->val != c) longs++;
    text_printf(given, "--%s%s", longs->name, value ? "=" : "");
    put_value(given, value ? value : "", kind);
}

void given_operand(text_t *given, const char *operand, const char *file)
{
    text_put(given, operand, (size_t)(file - operand));
    put_value(given, file, GIVEN_INPUT);
    if (!strcmp(file, "-")) given->failed = true;
}

int given_write(const char *dir, const text_t *given, cad_error_t *err)
{
    char *path = given->failed ? NULL : cad_path_join(dir, "options.txt");
    /* if options.txt cannot be written, writes none; the user must then repeat the options with --resume */
    int rc = path ? text_save(given, path, err) : 0;
    free(path);
    return rc;
}

/* Splits text at its line ends and sets word (n) to the lines, at most n. Returns the number of lines. */
static int split_lines(char *text, char **word, int n)
{
    int count = 0;
    for (char *line = text; *line && count < n; line += strlen(line) + 1) {
        size_t length = strcspn(line, "\n");
        bool last = !line[length];
        line[length] = 0;
        word[count++] = line;
        if (last) break;
    }
    return count;
}

/* Reads options.txt of folder dir into *text and inserts its lines after argv[0]. The caller frees *text, also after a
 * failure. */
static int read_words(const char *dir, char **text, int *argc, char ***argv, cad_error_t *err)
{
    char *path = cad_path_join(dir, "options.txt"), **word = NULL;
    size_t size = 0;
    int rc = path ? cad_read_text(text, &size, path, true, err) : cad_out_of_memory(err), n = 1, lines = 0;
    if (rc == 0 && !*text)
        rc = cad_fail(err, CAD_EARG, "%s: not there; give the options and inputs of the training", path);
    for (size_t i = 0; rc == 0 && i < size; i++) lines += (*text)[i] == '\n';
    if (rc == 0) word = cad_alloc((size_t)(*argc + lines + 2), sizeof *word);
    if (rc == 0 && !word) rc = cad_out_of_memory(err);
    free(path);
    if (rc) return rc;
    word[0] = (*argv)[0];
    n += split_lines(*text, word + 1, lines);
    for (int i = 1; i < *argc; i++) word[n++] = (*argv)[i];
    word[n] = NULL;
    *argc = n;
    *argv = word;
    return 0;
}

int given_recall(const char *cmd, const char *dir, char **text, int *argc, char ***argv)
{
    cad_error_t err;
    *text = NULL;
    if (read_words(dir, text, argc, argv, &err)) {
        free(*text);
        return cmd_fail(cmd, "%s", err.text);
    }
    optind = 0; /* makes getopt start again from the first argument */
    return 0;
}
