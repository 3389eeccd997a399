/* parse.c - reads the command line of a command by its table of options, and prints its usage.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <unistd.h>

#include "io/foundation.h"
#include "cmd.h"
#include "nearest.h"

/* ---- usage ---- */

/* Prints the words of a text from column LEFT onwards, wrapped at column RIGHT. */
static void print_words(FILE *out, const char *word)
{
    enum { LEFT = 25, RIGHT = 84 }; /* columns */
    size_t column = LEFT;
    while (word && *word) {
        size_t n = strcspn(word, " ");
        bool wrap = column > LEFT && column + 1 + n > RIGHT;
        if (wrap) fprintf(out, "\n%*s", LEFT, "");
        else if (column > LEFT) fputc(' ', out);
        column = wrap ? LEFT + n : column + (column > LEFT) + n;
        fwrite(word, 1, n, out);
        word += n + (word[n] == ' ');
    }
}

const char *command_word(const command_t *cmd)
{
    const char *space = strrchr(cmd->name, ' ');
    return space ? space + 1 : cmd->name;
}

static void print_actions(FILE *out, const command_t *const *action)
{
    for (; *action; action++) fprintf(out, "  %-10s %s\n", command_word(*action), (*action)->summary);
}

static void usage_print(FILE *out, const command_t *cmd)
{
    const char *usage = cmd->usage;
    text_t texts[USAGE_TEXTS] = { 0 }, *next = texts;
    if (cmd->texts) cmd->texts(texts);
    for (const char *here; (here = strchr(usage, '\f')); usage = here + 1) {
        fwrite(usage, 1, (size_t)(here - usage), out);
        if (cmd->actions) print_actions(out, cmd->actions);
        else print_words(out, next++->s.s);
    }
    fputs(usage, out);
    for (int i = 0; i < USAGE_TEXTS; i++) text_free(&texts[i]);
}

int options_bare(const command_t *cmd)
{
    const char *line = strchr(cmd->usage, ' ') + 1;
    return cmd_fail(cmd->name, "no arguments; usage: %.*s (--help explains)", (int)strcspn(line, "\n"), line);
}

int options_help(const command_t *cmd)
{
    usage_print(stdout, cmd);
    return cmd_finish(cmd->name) ? 1 : 2;
}

/* ---- commands and actions ---- */

const command_t *command_find(const command_t *cmd, const char *word)
{
    const char *of = cmd->run ? cmd->name : "", *space = cmd->run ? " " : "";
    nearest_t near = nearest_begin(word, strlen(word));
    char name[80];
    for (const command_t *const *a = cmd->actions; *a; a++) {
        if (!strcmp(word, command_word(*a))) return *a;
        nearest_try(&near, command_word(*a));
    }
    snprintf(name, sizeof name, "%s%s%s", of, space, word);
    if (near.best) cmd_fail(name, "no such command; did you mean %s?", near.best);
    else cmd_fail(name, "no such command; `caduceus help%s%s` lists them", space, of);
    return NULL;
}

/* ---- options that getopt refuses ---- */

/* Returns how many options have a name that begins with the n bytes of s. */
static int count_begun(const struct option *longs, const char *s, size_t n)
{
    int count = 0;
    for (; longs->name; longs++) count += !strncmp(longs->name, s, n);
    return count;
}

static int ambiguous(const char *cmd, const struct option *longs, const char *s, size_t n)
{
    text_t all = { 0 };
    for (; longs->name; longs++)
        if (!strncmp(longs->name, s, n)) text_printf(&all, "%s--%s", all.s.l ? ", " : "", longs->name);
    cmd_fail(cmd, "--%.*s: ambiguous; it may be any of %s", (int)n, s, all.s.s ? all.s.s : "several options");
    text_free(&all);
    return 1;
}

static int no_such(const char *cmd, const struct option *longs, const char *s, size_t n)
{
    nearest_t near = nearest_begin(s, n);
    for (; longs->name; longs++) nearest_try(&near, longs->name);
    if (near.best) return cmd_fail(cmd, "--%.*s: no such option; did you mean --%s?", (int)n, s, near.best);
    return cmd_fail(cmd, "--%.*s: no such option; see --help", (int)n, s);
}

int option_unknown(const char *cmd, const struct option *longs, int c, char **argv)
{
    const char *arg = argv[optind - 1], *name = arg + 2;
    bool is_long = arg[0] == '-' && arg[1] == '-' && (!optopt || c == ':' || strchr(arg, '='));
    size_t n = is_long ? strcspn(name, "=") : 0;
    if (c == ':' && is_long) return cmd_fail(cmd, "%s: its value is missing; see --help", arg);
    if (c == ':') return cmd_fail(cmd, "-%c: its value is missing; see --help", optopt);
    if (!is_long) return cmd_fail(cmd, "-%c: no such option; see --help", optopt);
    if (optopt) return cmd_fail(cmd, "%s: --%.*s takes no value", arg, (int)n, name);
    return count_begun(longs, name, n) > 1 ? ambiguous(cmd, longs, name, n) : no_such(cmd, longs, name, n);
}

int options_parse(const command_t *cmd, int argc, char **argv, option_f *take, void *args)
{
    char shorts[128];
    int c;
    snprintf(shorts, sizeof shorts, ":h%s", cmd->shorts);
    glue_command(cmd->name);
    opterr = 0; /* getopt prints nothing; option_unknown() reports errors */
    if (argc == 1) return options_bare(cmd);
    while ((c = getopt_long(argc, argv, shorts, cmd->longs, NULL)) != -1) {
        if (c == OPT_HELP || c == 'h') return options_help(cmd);
        if (c == '?' || c == ':') return option_unknown(cmd->name, cmd->longs, c, argv);
        if (take(args, c, optarg)) return 1;
    }
    return 0;
}

/* ---- operands ---- */

static bool is_named(const char *s, const char *const suffix[])
{
    for (; *suffix; suffix++)
        if (ends_in(s, *suffix)) return true;
    return false;
}

static bool is_region(const char *s)
{
    const char *colon = strrchr(s, ':');
    return colon && colon > s && isdigit((unsigned char)colon[1]) && !colon[1 + strspn(colon + 1, "0123456789,-")];
}

static bool is_model(const char *s) { return cad_hub_named(s) || ends_in(s, ".safetensors") || cad_path_is_folder(s); }

/* Guesses what an operand is, by its form and suffix. Returns the letter of the option that takes such a value, and
 * sets *kind to words for it, such as "a BED"; returns 0 if it cannot guess. */
static int looks_like(const char *s, const char **kind)
{
    static const char *const fasta[] = { ".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", NULL };
    static const char *const bed[] = { ".bed", ".bed.gz", NULL };
    bool there = !strcmp(s, "-") || access(s, F_OK) == 0;
    *kind = "a region";
    if (!there && is_region(s)) return 'r';
    *kind = "a model";
    if (is_model(s)) return 'm';
    *kind = "a FASTA";
    if (is_named(s, fasta)) return 'T';
    *kind = "a file to write";
    if (!there) return 'o';
    *kind = "a BED";
    return is_named(s, bed) ? 'L' : 0;
}

/* Guesses which of n operands was meant as the value of an option, and of which option. Appends this guess to t, or
 * nothing if no operand fits. Options are tried in a fixed order, so for the operands `ref.fa in.bed` the suggestion is
 * -T ref.fa, not -L in.bed. */
static void suggest(const command_t *cmd, char *const *operand, int n, text_t *t)
{
    const char *kind;
    for (const char *letter = "rmToL"; *letter; letter++)
        for (int i = n - 1; i >= 0 && strchr(cmd->shorts, *letter); i--)
            if (looks_like(operand[i], &kind) == *letter) {
                text_printf(t, "; %s looks like %s: -%c %s", operand[i], kind, *letter, operand[i]);
                return;
            }
}

int options_operands(const command_t *cmd, int argc, char **argv, const char *what)
{
    text_t hint = { 0 };
    int n = argc - optind;
    if (n == (what ? 1 : 0)) return 0;
    if (n) suggest(cmd, argv + optind, n, &hint);
    if (!what) cmd_fail(cmd->name, "%s: no such argument%s", argv[optind], hint.s.s ? hint.s.s : "; see --help");
    else cmd_fail(cmd->name, "expected %s, %d given%s", what, n, hint.s.s ? hint.s.s : "; - is standard input");
    text_free(&hint);
    return 1;
}
