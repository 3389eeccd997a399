/* completion.c - caduceus completion: prints what a shell needs to complete command lines of caduceus.
 *
 * The script's function _caduceus_reply gets a command and the word before the cursor. It prints, as one line, what the
 * next word may be: "words WORD..." (one of these), "list WORD..." (some of these, separated by commas), "files", or
 * "any" (nothing can be proposed). The cases of this function are written from the tables of options and the usage
 * texts. bash and zsh each have their own function that calls it. SPDX-License-Identifier: MIT */
#include "cmd.h"
#include "learn/metrics.h"
#include "stream/scores.h"

static const char USAGE[] = "Usage: caduceus completion bash|zsh\n\n"
                            "Prints a script that completes commands, options, their values and files.\n\n"
                            "Options:\n"
                            "  -h, --help             this text\n"
                            "\nExample:\n"
                            "  eval \"$(caduceus completion bash)\"\n";

static const char BASH[] =
    "_caduceus() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} name= reply\n"
    "    if [ \"$word\" = = ]; then before=$before= word=\n"
    "    elif [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}=; fi\n"
    "    [ \"$COMP_CWORD\" -lt 2 ] || name=${COMP_WORDS[1]}\n"
    "    case $name in\n"
    "        help | model) [ \"$COMP_CWORD\" -lt 3 ] || name=\"$name ${COMP_WORDS[2]}\" ;;\n"
    "    esac\n"
    "    reply=$(_caduceus_reply \"$name\" \"$before\" \"$word\")\n"
    "    COMPREPLY=()\n"
    "    case $reply in\n"
    "        words*) COMPREPLY=($(compgen -W \"${reply#words }\" -- \"$word\")) ;;\n"
    "        list*)\n"
    "            before=\n"
    "            case $word in *,*) before=${word%,*}, ;; esac\n"
    "            COMPREPLY=($(compgen -P \"$before\" -W \"${reply#list }\" -- \"${word##*,}\"))\n"
    "            compopt -o nospace 2>/dev/null ;;\n"
    "        files)\n"
    "            mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "            compopt -o filenames 2>/dev/null ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _caduceus caduceus\n";

static const char ZSH[] =
    "_caduceus() {\n"
    "    local before=$words[CURRENT-1] word=$PREFIX name=\n"
    "    local -a reply\n"
    "    if [[ $word == --*=* ]]; then before=${word%%=*}=; compset -P '*='; word=${word#*=}; fi\n"
    "    (( CURRENT < 3 )) || name=$words[2]\n"
    "    [[ $name != (help|model) ]] || (( CURRENT < 4 )) || name=\"$name $words[3]\"\n"
    "    reply=(${=\"$(_caduceus_reply \"$name\" \"$before\" \"$word\")\"})\n"
    "    case $reply[1] in\n"
    "        words) compadd -- $reply[2,-1] ;;\n"
    "        list) compset -P '*,'; compadd -S '' -- $reply[2,-1] ;;\n"
    "        files) _files ;;\n"
    "    esac\n"
    "}\n"
    "(( ! $+functions[compdef] )) || compdef _caduceus caduceus\n";

/* ---- values ---- */

static const struct {
    const char *command, *option; /* command NULL: all commands not named in an earlier row */
    const char *words;            /* what _caduceus_reply prints: "words" or "list" and these, or "any" */
} VALUES[] = { { NULL, "device", "words auto cpu cuda" },
               { "bench", "precision", "list fp32 bf16x3 bf16" },
               { NULL, "precision", "words fp32 bf16x3 bf16" },
               { NULL, "mask", "words each stride:8 none" },
               { "finetune", "pool", "words mean max attention" },
               { "protocol", "pool", "words mean max attention" },
               { NULL, "pool", "words mean max center none" },
               { "protocol", "task", "any" },
               { NULL, "task", "words classify multilabel regress bases tracks" },
               { NULL, "loss", "words focal poisson squared" },
               { NULL, "missing", "words zero ignore" },
               { NULL, "sampler", "words shuffle balanced" },
               { NULL, "split-by", "words contig" },
               { NULL, "class-weights", "words balanced" },
               { NULL, "progress", "words auto never tty log" },
               { NULL, "rc-aug", "words yes no" },
               { NULL, "rcps", "words yes no" },
               { NULL, "context", "words seq ref" },
               { NULL, "check-ref", "words e w" },
               { NULL, "write-index", "words csi bai tbi" },
               { NULL, "dtype", "words F32 F16 BF16" },
               { "track", "output-fmt", "words bw bedGraph bedGraph.gz" },
               { NULL, "output-fmt", "words sam bam cram u b v z" },
               { "finetune", "in-format", "words csv tsv fasta fastq bed" },
               { "predict", "in-format", "words csv tsv fasta fastq bed" } };

static void put_scores(bool tracks, text_t *t)
{
    text_puts(t, "list");
    for (int i = 0; SCORE[i].name; i++)
        if (SCORE[i].of & (tracks ? OF_TRACKS : ~(unsigned)OF_TRACKS)) text_printf(t, " %s", SCORE[i].name);
    if (!tracks) text_puts(t, " none");
}

/* Appends the formats that --in-format accepts, taken from the first of the command's usage texts, up to the bracket in
 * it. */
static void put_formats(const command_t *c, text_t *t)
{
    text_t texts[USAGE_TEXTS] = { 0 };
    char *all, *at = NULL;
    c->texts(texts);
    all = texts[0].s.s;
    if (all) all[strcspn(all, "[")] = 0;
    text_puts(t, "words");
    for (char *word = all ? strtok_r(all, ", ", &at) : NULL; word; word = strtok_r(NULL, ", ", &at))
        if (strcmp(word, "or")) text_printf(t, " %s", word);
    for (int i = 0; i < USAGE_TEXTS; i++) text_free(&texts[i]);
}

/* Returns a pointer to just after the option's name in the usage text, where the name of its value follows; NULL if the
 * usage does not list the option. */
static const char *in_usage(const command_t *c, const struct option *o)
{
    size_t n = strlen(o->name);
    const char *s = c->usage;
    while ((s = strstr(s, o->name))) {
        bool whole = s - c->usage > 2 && s[-1] == '-' && s[-2] == '-' && strchr(" =[,\n", s[n]);
        s += n;
        if (whole) return s;
    }
    return NULL;
}

/* True if the option's value, as named in the usage, is a file or a folder. */
static bool takes_file(const command_t *c, const struct option *o)
{
    static const char *const name[] = { "FILE", "FASTA", "BED", "DIR", "PATH", "OUT" };
    const char *value = in_usage(c, o);
    if (!value || *value != ' ') return false;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (!strncmp(value + 1, name[i], strlen(name[i]))) return true;
    return false;
}

static void put_value(const command_t *c, const struct option *o, text_t *t)
{
    bool track = !strcmp(c->name, "track");
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++)
        if (!strcmp(VALUES[i].option, o->name) && (!VALUES[i].command || !strcmp(VALUES[i].command, c->name))) {
            text_puts(t, VALUES[i].words);
            return;
        }
    if (!strcmp(o->name, "score")) put_scores(track, t);
    else if (!strcmp(o->name, "in-format")) put_formats(c, t);
    else if (!strcmp(o->name, "metric")) {
        text_puts(t, "words");
        for (int i = 0; i < METRICS; i++) text_printf(t, " %s", METRIC_NAME[i]);
    } else text_puts(t, takes_file(c, o) ? "files" : "any");
}

/* ---- cases of the function _caduceus_reply ---- */

static bool has_letter(const struct option *o) { return o->val > ' ' && o->val < 127; }

/* Returns the first option with the same code as o. The others are further names of that option. */
static const struct option *first_name(const command_t *c, const struct option *o)
{
    const struct option *first = c->longs;
    while (first->val != o->val) first++;
    return first;
}

/* Writes a case for each option whose value is the next word. */
static void put_values(const command_t *c, text_t *t)
{
    for (const struct option *o = c->longs; o->name; o++) {
        if (o->has_arg != required_argument || !in_usage(c, o)) continue;
        text_printf(t, "        '%s --%s'", c->name, o->name);
        if (has_letter(o) && first_name(c, o) == o) text_printf(t, " | '%s -%c'", c->name, o->val);
        text_puts(t, ") echo ");
        put_value(c, first_name(c, o), t);
        text_puts(t, "; return ;;\n");
    }
}

/* Writes a case for each option whose value is optional and follows an equals sign. */
static void put_optional(const command_t *c, text_t *t)
{
    for (const struct option *o = c->longs; o->name; o++) {
        if (o->has_arg != optional_argument || !in_usage(c, o)) continue;
        text_printf(t, "        '%s --%s=') echo ", c->name, o->name);
        put_value(c, o, t);
        text_puts(t, "; return ;;\n");
    }
}

static void put_names(const command_t *c, text_t *t)
{
    text_printf(t, "        '%s') echo words", c->name);
    for (const struct option *o = c->longs; o->name; o++) {
        if (!in_usage(c, o)) continue;
        if (o->val == OPT_HELP) text_puts(t, " -h");
        if (has_letter(o) && first_name(c, o) == o) text_printf(t, " -%c", o->val);
        text_printf(t, " --%s%s", o->name, o->has_arg == optional_argument ? "=" : "");
    }
    text_puts(t, " ;;\n");
}

static void put_actions(const command_t *c, const char *of, text_t *t)
{
    text_printf(t, "        '%s') echo words", of);
    for (const command_t *const *a = c->actions; *a; a++) text_printf(t, " %s", command_word(*a));
    text_puts(t, " ;;\n");
}

static void each_command(const command_t *c, void (*put)(const command_t *, text_t *), text_t *t)
{
    for (const command_t *const *a = c->actions; *a; a++) {
        put(*a, t);
        if ((*a)->actions) each_command(*a, put, t);
    }
}

static void put_reply(text_t *t)
{
    text_puts(t, "# Completion of caduceus, as `caduceus completion` prints it.\n"
                 "# _caduceus_reply COMMAND BEFORE WORD: what WORD may become; BEFORE ends with = in --option=WORD.\n"
                 "_caduceus_reply() {\n"
                 "    case \"$1 $2\" in\n");
    each_command(&CADUCEUS, put_optional, t);
    text_puts(t, "    esac\n    case \"$1 ${2%=}\" in\n");
    each_command(&CADUCEUS, put_values, t);
    text_puts(t, "    esac\n    case $3 in -*) case $1 in\n");
    each_command(&CADUCEUS, put_names, t);
    text_puts(t, "    esac; return ;; esac\n    case $1 in\n");
    put_actions(&CADUCEUS, "", t);
    put_actions(&CADUCEUS, "help", t);
    put_actions(&CMD_MODEL, "model", t);
    put_actions(&CMD_MODEL, "help model", t);
    text_puts(t, "        completion) echo words bash zsh ;;\n"
                 "        help* | version) echo any ;;\n"
                 "        *) echo files ;;\n"
                 "    esac\n"
                 "}\n");
}

/* ---- entry ---- */

static const struct option LONGS[] = { OPT_FLAG("help", OPT_HELP), { 0 } };

static int refuse_option(void *args, int c, const char *arg)
{
    (void)args, (void)c, (void)arg;
    return 1; /* never called: --help is the only option */
}

static int run_completion(int argc, char **argv)
{
    text_t t = { 0 };
    bool bash, zsh;
    int rc = options_parse(&CMD_COMPLETION, argc, argv, refuse_option, NULL);
    if (rc == 0) rc = options_operands(&CMD_COMPLETION, argc, argv, "bash or zsh");
    if (rc) return rc == 2 ? 0 : 1;
    bash = !strcmp(argv[optind], "bash");
    zsh = !strcmp(argv[optind], "zsh");
    if (!bash && !zsh) return cmd_fail("completion", "%s: expected bash or zsh", argv[optind]);
    put_reply(&t);
    text_puts(&t, bash ? BASH : ZSH);
    if (t.failed) rc = cmd_fail("completion", "out of memory");
    else fputs(t.s.s, stdout);
    text_free(&t);
    return rc || cmd_finish("completion") ? 1 : 0;
}

const command_t CMD_COMPLETION = { "completion",   "print a script that completes commands and options in bash or zsh",
                                   run_completion, USAGE,
                                   NULL,           "",
                                   LONGS,          NULL };
