#!/bin/sh
# manual.t - the man pages, README and the example program agree with the program.
. "${srcdir:-.}/test/lib.sh"
doc=$srcdir/doc
so=$builddir/plugin/caduceus.so
no_plugin=
command -v bcftools >/dev/null 2>&1 || no_plugin="no bcftools"
[ -e "$so" ] || no_plugin=${no_plugin:-"the plugin is not built"}
[ -e "$so" ] && grep -q __asan_init "$so" && no_plugin=${no_plugin:-"built with sanitizers"}
export BCFTOOLS_PLUGINS="$builddir/plugin:"

# ---- reading usage texts and pages ----

# words: prints the options named in the text on standard input, sorted, one per line.
words() { grep -oE '(^|[ ,;])--?[A-Za-z@][A-Za-z0-9-]*' | tr -d ' ,;' | sort -u; }

# options: reads a usage text and prints "section<TAB>entry" for each entry, with continuation lines joined.
options() {
    awk -v OFS='\t' '
        function flush() { if (held != "") print section, held; held = "" }
        /^Example/ { exit }
        /^[A-Z][a-z ]*:/ && !/^(Usage|About):/ { flush(); section = $0; sub(/:.*/, "", section); next }
        section == "" || !/^ / { next }
        /^          / && !/^ *-/ { sub(/^ */, " "); held = held $0; next }
        { flush(); held = $0 }
        END { flush() }'
}

# usage COMMAND...: prints the options that --help of the command lists.
usage() { "$caduceus" "$@" --help | options | cut -f 2 | words; }

# plain: copies the source of a man page from standard input, without escapes.
plain() { sed 's/\\f[BIRP]//g; s/\\et/\\t/g; s/\\en/\\n/g; s/\\-/-/g'; }

# section NAME PAGE: prints the source lines of one section.
section() { awk -v name="$1" '/^\.SH/ { at = $0 == ".SH " name; next } at' "$2" | plain; }

# under NAME: reads a section and prints the lines of its subsection NAME; prints all lines if NAME is empty.
under() { awk -v name="$1" 'name == "" { print; next } /^\.SS/ { at = $0 == ".SS " name; next } at'; }

# paged PAGE [SUBSECTION]: prints the options that have an entry in the section OPTIONS.
paged() { section OPTIONS "$1" | under "${2-}" | awk 'tagged { print } { tagged = /^\.TP/ }' | words; }

# entry OPTION PAGE: prints the text of the option's entry in the section OPTIONS, on one line.
entry() {
    section OPTIONS "$2" | awk -v option="$1" '
        tagged { at = index(" " $0 " ", option " ") || index($0, option ",") || index($0, option "[") }
        { tagged = /^\.TP/ }
        at && !tagged { sub(/^\.[A-Z]+ */, ""); gsub(/"/, ""); printf "%s ", $0 }'
}

# covers NAME USAGE PAGED [NUMBER]: the usage text and the page list the same options, at least NUMBER of them.
covers() {
    if [ "$(wc -l <"$2")" -lt "${4:-8}" ]; then fail "the options of $1 can be read from its usage"; return; fi
    is "every option of $1's usage is in its page" "$(comm -23 "$2" "$3" | joined)" ""
    is "every option of $1's page is in its usage" "$(comm -13 "$2" "$3" | joined)" ""
}

# ---- options ----

for action in info verify convert pull list new; do usage model $action; done | sort -u >model.usage
commands="annotate track embed eval mutate depend merge pretrain finetune predict protocol bench"
for command in $commands; do usage $command >$command.usage; done
for command in $commands model; do
    paged "$doc/caduceus-$command.1" >$command.page
    covers "$command" $command.usage $command.page
done

# The groups of options in the usage text of annotate are the subsections of its page.
"$caduceus" annotate --help | options | cut -f 1 | uniq >groups
is "annotate's page groups options as its usage does" \
    "$(section OPTIONS "$doc/caduceus-annotate.1" | sed -n 's/^\.SS //p')" "$(cat groups)"
while read -r group; do
    "$caduceus" annotate --help | options | awk -F'\t' -v group="$group" '$1 == group' | cut -f 2 |
        sed 's/  *[^ -].*//' | words >listed
    paged "$doc/caduceus-annotate.1" "$group" | comm -23 listed - >missing
    is "annotate's page has under \"$group\" what its usage has" "$(joined <missing)" ""
done <groups

# The plugin has two groups of options: before -- and after it.
plugin=$doc/bcftools-caduceus.1
paged "$plugin" "General options" >general.page
paged "$plugin" "Plugin options" >own.page
if [ -z "$no_plugin" ]; then
    bcftools +caduceus -h >plugin.usage 2>err
    for group in General Plugin; do
        options <plugin.usage | awk -F'\t' -v group="$group options" '$1 == group' | cut -f 2 | words >group.usage
        paged "$plugin" "$group options" >group.page
        covers "the plugin's $group part" group.usage group.page 4
    done
else
    for group in General Plugin; do
        skip "every option of the plugin's $group part's usage is in its page" "$no_plugin"
        skip "every option of the plugin's $group part's page is in its usage" "$no_plugin"
    done
fi
is "the plugin's own options are annotate's" "$(comm -23 own.page annotate.usage | joined)" ""

# ---- defaults: values of one word in brackets ----

# defaults: reads a usage text and prints "kind option value" for each default. kind is the kind of input, or all.
defaults() {
    options | awk -F'\t' '{
        match($2, /--[A-Za-z0-9-]+/); option = substr($2, RSTART, RLENGTH); rest = $2
        while (match(rest, / \[[A-Za-z0-9][A-Za-z0-9:,.-]*\]/)) {
            value = substr(rest, RSTART + 2, RLENGTH - 3)
            before = substr(rest, 1, RSTART)
            rest = substr(rest, RSTART + RLENGTH)
            kind = $1 ~ /^(Regions|Reads|Variants)$/ ? tolower($1) : "all"
            if (match(before, /(regions|reads|variants): [^:]*$/)) {
                kind = substr(before, RSTART); sub(/:.*/, "", kind) }
            if (value != "detected") print kind, option, value
        } }'
}

# documented NAME PAGE: the page states the defaults that standard input lists.
documented() {
    while read -r _ option value; do
        text=$(entry "$option" "$2")
        case " $text" in
            *"default is $value "* | *"default $value"[\ ,.\;]* | *"default, $value "* | *" $value (the default"* | \
                *" $value , the default"*) pass "$1 $option: the page gives the default $value" ;;
            *) fail "$1 $option: the page gives the default $value"; echo "# $text" ;;
        esac
    done
}

for command in annotate track embed mutate depend merge pretrain finetune predict protocol bench "model verify"; do
    "$caduceus" $command --help | defaults >defaults
    if [ ! -s defaults ]; then fail "the defaults of $command can be read from its usage"; continue; fi
    documented "$command" "$doc/caduceus-${command%% *}.1" <defaults
done
if [ -z "$no_plugin" ]; then
    defaults <plugin.usage >defaults
    documented "the plugin's" "$plugin" <defaults
else skip "the plugin's page gives the defaults" "$no_plugin"; fi

# Giving a default explicitly changes no output. The inputs are a contig, reads on it and variants in it.
contig chr20 3000 21 >a.fa
base() { grep -v '>' a.fa | tr -d '\n' | cut -c "$1-$2"; }
{
    printf '@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr20\tLN:3000\n'
    row "one 0 chr20 101 60 80M * 0 0 $(base 101 180) *" "two 16 chr20 901 60 90M * 0 0 $(base 901 990) *"
} >a.sam
{
    printf '##fileformat=VCFv4.2\n##contig=<ID=chr20,length=3000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
    printf 'chr20\t500\tsnv\t%s\t%s\t.\tPASS\t.\n' "$(base 500 500)" "$(base 500 500 | tr ACGT CGTA)"
    printf 'chr20\t700\tdel\t%s\t%s\t.\tPASS\t.\n' "$(base 700 703)" "$(base 700 700)"
} >a.vcf
quietly() { "$caduceus" annotate --quiet -m "$data/ps" "$@"; }
"$caduceus" annotate --help | defaults | grep -v -- ' --write-index ' >defaults
for kind in regions reads variants; do
    case $kind in
        regions) set -- --embed - --window 512 --flank 128 a.fa ;;
        reads) set -- --embed - --window 512 --flank 128 --no-PG a.sam ;;
        variants) set -- --window 512 --flank 255 -T a.fa a.vcf ;;
    esac
    quietly "$@" >silent
    while read -r which option value; do
        case $kind:$option in variants:--pool) continue ;; esac # needs --embed
        case $which in all | $kind) set -- "$option" "$value" "$@" ;; esac
    done <defaults
    ok "the defaults for $kind in annotate's usage are accepted" quietly "$@"
    same "the defaults for $kind in annotate's usage are its defaults" silent .out
done
quietly_track() { "$caduceus" track --quiet -m "$data/ps" -T a.fa --window 512 "$@"; }
quietly_track >silent
set --
"$caduceus" track --help | defaults >defaults
while read -r _ option value; do set -- "$@" "$option" "$value"; done <defaults
ok "the defaults in track's usage are accepted" quietly_track "$@"
same "the defaults in track's usage are its defaults" silent .out

# The same for the defaults of embed, each with an input to which the option applies: OUT.npy and OUT.tsv stay the same.
"$caduceus" embed --help | defaults >defaults
printf 'chr20\t100\t400\tr\nchr20\t900\t2700\ts\n' >a.bed
for input in a.bed a.vcf; do
    set --
    while read -r _ option value; do
        case $input:$option in a.vcf:--pool | a.bed:--pool-window | a.bed:--check-ref) continue ;; esac
        set -- "$@" "$option" "$value"
    done <defaults
    quietly_embed() { "$caduceus" embed --quiet -m "$data/ps" -T a.fa --window 512 "$@" $input; }
    ok "embed runs on $input" quietly_embed -o silent.npy
    ok "the defaults for $input in embed's usage are accepted" quietly_embed -o spelled.npy "$@"
    for suffix in npy npy.json tsv; do
        same "they are its defaults: $input, .$suffix" silent.$suffix spelled.$suffix
    done
done

printf 'chr20\t0\t2000\ttrain\nchr20\t2100\t2900\tvalid\n' >corpus.bed
quietly_eval() { "$caduceus" eval --quiet -m "$data/ps" -T a.fa -L corpus.bed --window 512 "$@"; }
quietly_eval >silent
set --
"$caduceus" eval --help | defaults >defaults
while read -r _ option value; do set -- "$@" "$option" "$value"; done <defaults
ok "the defaults in eval's usage are accepted" quietly_eval "$@"
same "the defaults in eval's usage are its defaults" silent .out

quietly_pretrain() {
    "$caduceus" pretrain --quiet -T a.fa -L corpus.bed -@ 2 "$@" --d-model 16 --n-layer 1 --batch-tokens 1024 --steps 2
}
quietly_pretrain -o begun
set --
"$caduceus" pretrain --help | defaults >defaults
while read -r _ option value; do set -- "$@" "$option" "$value"; done <defaults
ok "the defaults in pretrain's usage are accepted" quietly_pretrain -o spelled "$@"
same "the defaults in pretrain's usage are its defaults" begun/training.safetensors spelled/training.safetensors

# ---- pages ----

"$caduceus" help | sed -nE '/^Examples/q; s/^  ([a-z]+) .*/\1/p' >commands
ok "help lists commands" test -s commands
section COMMANDS "$doc/caduceus.1" >listed
while read -r command; do
    case $command in
        help | version | completion) ok "caduceus(1) describes $command" grep -qx "\.B $command" listed ;;
        *) ok "$command has a page" test -s "$doc/caduceus-$command.1"
           ok "caduceus(1) names $command" grep -qx "\.B $command" listed ;;
    esac
done <commands
# ---- every score is explained ----
sed -n 's/.*{ \.name = "\([a-zA-Z_]*\)".*/\1/p' "$srcdir/htslib-glue/stream/scores.c" |
    grep -vE '^(embedding|note)$' >scores
is "there are scores" "$([ "$(lines <scores)" -gt 15 ] && echo yes)" yes
for page in caduceus-scores.7 scores.md; do
    for score in $(cat scores); do
        grep -Eqw "(\.B|\.BR).* ?$score|\`(yb|$score)\`" "$doc/$page" || echo "$score"
    done >missing
    is "$page explains all of them" "$(joined <missing)" ""
done

for page in "$doc"/caduceus-*.1; do
    command=$(basename "$page" .1); command=${command#caduceus-}
    ok "$command, which has a page, is a command" grep -qx "$command" commands
done
version=$(sed -nE 's/^AC_INIT\(\[caduceus\], \[([^]]*)\].*/\1/p' "$srcdir/configure.ac")
is "caduceus version is that of configure.ac" "$("$caduceus" version | sed -n 's/^caduceus //p')" "$version"
for page in "$doc"/*.1; do
    name=$(basename "$page")
    is "$name is of this version" "$(sed -nE 's/^\.TH .*"caduceus ([^"]*)".*/\1/p' "$page")" "$version"
    if command -v mandoc >/dev/null 2>&1; then
        is "$name is free of warnings" "$(mandoc -T lint -W warning "$page" 2>&1)" ""
    else skip "$name is free of warnings" "no mandoc"; fi
done

# ---- commands shown to readers ----

# shown: reads shell commands and prints those that run caduceus or its plugin, also from within a pipeline.
shown() {
    awk '{ if (sub(/\\$/, "")) { held = held $0; next } print held $0; held = "" }' |
        sed 's/[[:space:]]#.*//' | tr '|;&' '\n\n\n' |
        sed -nE 's/^[[:space:]]*(\$ )?(caduceus|bcftools \+caduceus) /\2 /p'
}

# given FILE WORD...: succeeds if FILE lists all options among the words before --.
given() {
    local file=$1; shift
    for word in "$@"; do
        case $word in
            -) ;;
            --) return 0 ;;
            --*) grep -qx -- "${word%%=*}" "$file" || { echo "$word" >&2; return 1; } ;;
            -?*) grep -qx -- "-$(echo "$word" | cut -c2)" "$file" || { echo "$word" >&2; return 1; } ;;
        esac
    done
}

# known LINE: succeeds if the command of LINE exists and has all options of LINE.
known() {
    set -f; set -- $1; set +f
    if [ "$1" = bcftools ]; then
        given general.page "$@" || return 1
        while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
        [ $# -gt 0 ] || return 1
        shift
        given annotate.usage "$@"
        return
    fi
    shift
    case $1 in
        help | version | --help | --version | -h) return 0 ;;
        model)
            case $2 in
                info | verify | convert | pull | list | new) command="model $2"; shift 2 ;;
                -*) command=model; shift ;;
                *) return 1 ;;
            esac ;;
        *) grep -qx -- "$1" commands || return 1; command=$1; shift ;;
    esac
    { usage $command; echo --help; } >options
    given options "$@"
}

# audit NAME: passes if every command in the file "text" is known.
audit() {
    shown <text >lines
    bad=$(while read -r line; do known "$line" 2>why || echo "$line: $(cat why)"; done <lines)
    is "$1" "$bad" ""
}

awk '/^[[:space:]]*```/ { at = !at; next } at' "$srcdir/README.md" >text 2>/dev/null
audit "README.md shows only options that exist"
for page in "$doc"/*.1; do
    awk '/^\.EE/ { at = 0 } at; /^\.EX/ { at = 1 }' "$page" | plain >text
    audit "$(basename "$page") shows only options that exist"
done
for command in $(cat commands) 'model info' 'model verify' 'model convert' 'model pull' 'model list' 'model new'; do
    "$caduceus" help $command | awk '/^Examples?:/ { at = 1 } at' >text
    audit "help $command shows only options that exist"
done
for line in "caduceus annotate -T x --no-such y" "caduceus annotate -Z x" \
    "bcftools +caduceus --no-such in.vcf -- -T x" "bcftools +caduceus in.vcf -- -Z x"; do
    name="an option that does not exist is noticed: $line"
    if known "$line" 2>/dev/null; then fail "$name"; else pass "$name"; fi
done

# The examples of the pages, but those under TYPICAL USE, are run on small files with the names that the examples use.
mkdir bin try try/model try/plant blocks
printf '#!/bin/sh\nexec "%s" "$@"\n' "$caduceus" >bin/caduceus
chmod +x bin/caduceus
cp "$data"/ps/* try/model
cp "$data"/plant/* try/plant
cp a.fa try/hg38.fa
bases 40 22 | sed 's/^/>p\n/' >try/probes.fa
printf 'chr20\t%s\t%s\tr\n' 100 400 900 2700 >try/regions.bed
for i in 1 2 3 4 5 6 7 8; do row "chr20 $((200 * i)) $((200 * i + 60)) $((i % 2))"; done >try/classes.bed
{   echo sequence,label
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "$(bases 40 $((1000 * i))),$((i % 2))"; done; } >try/train.csv
cp try/train.csv try/test.csv
for name in chr1 chr4 chr5; do echo ">$name"; bases 300 ${name#chr}; done >try/genome.fa
for name in chr1 chr4 chr5; do row "$name 40 60 donor"; row "$name 200 230 acceptor"; done >try/sites.bed
cp try/probes.fa try/more.fa
cp try/regions.bed try/peaks.bed
cp corpus.bed try
gzip -c try/peaks.bed >try/peaks.bed.gz
printf 'chr20\t100\t900\tt\t0\t-\t100\t900\t0\t2\t50,60,\t0,740,\n' >try/transcripts.bed
quietly --score n a.sam -o try/in.bam --write-index
for name in in.vcf.gz in.bcf; do quietly --score n -T a.fa a.vcf -o try/$name --write-index; done
for page in "$doc"/*.1; do
    awk -v name="blocks/$(basename "$page")" '
        /^\.SH/ { skip = /TYPICAL USE/ }
        /^\.EE/ { at = 0 } at { print >name "." n } /^\.EX/ && !skip { at = 1; n++ }' "$page"
done
: >examples
for block in blocks/*; do
    without=
    for tool in samtools bcftools zcat; do
        if grep -qE "(^|\|) *$tool " $block && ! command -v $tool >/dev/null 2>&1; then without="no $tool"; fi
    done
    grep -q 'bcftools +caduceus' $block && without=$no_plugin
    grep -q 'model pull' $block && without="it needs the network; test/pull.t has a server"
    if [ -n "$without" ]; then skip "the example ${block#blocks/} runs" "$without"
    else plain <$block >>examples; fi
done
ok "the examples of the pages run" env PATH="$dir/bin:$PATH" sh -ec 'cd try && . ../examples'
# "clipped at" is expected, because the contig is shorter than that of the examples; so are regions that are longer
# than those of the training.
expected='clipped at|tuned on sequences of|far longer than'
is "they print no error" "$(grep -vE "$expected|pretrain: step [0-9]+ of|: not there, beginning$" .err)" ""
is "the matrix of the examples has a row for each region" "$(grep -ao "shape': ([0-9]*," try/peaks.npy)" "shape': (2,"
is "the matrix of embed has a row for each region" "$(grep -ao "shape': ([0-9]*," try/regions.npy)" "shape': (2,"
is "and so has the table of names" "$(grep -v '^#' try/regions.tsv)" "$(cat try/regions.bed)"
for suffix in npy npy.json tsv; do
    same "the parts of embed merged in the examples are one run, .$suffix" silent.$suffix try/variants.$suffix
done
quietly --score n --no-PG try/tagged.bam -O sam >tagged.sam
is "the reads of the examples are tagged" "$(grep -c "${tab}yp:f:" tagged.sam)" 2
quietly --score n -T a.fa try/scored.vcf.gz -O v >scored.vcf
is "the variants of the examples are scored" "$(grep -cE 'CADUCEUS_(LLR|DPLL)=-?[0-9]' scored.vcf)" 2
is "track names several tracks as its page says" "$(cd try && echo hg38.*.bw)" \
    "hg38.entropy.bw hg38.logo.A.bw hg38.logo.C.bw hg38.logo.G.bw hg38.logo.T.bw"
quietly_track -o pll.bw
same "the track merged in the examples is that of one run" pll.bw try/whole.bw
same "the .json is the same too" pll.bw.json try/whole.bw.json

# ---- the example program ----

example=$builddir/test/example
if [ -x "$example" ]; then
    seq=$(bases 120 11)N$(bases 60 12 | tr 'A-Z' 'a-z')
    ok "the example runs" "$example" "$data/ps" "$seq"
    cp .out example.out
    printf '>a\n%s\n' "$seq" | "$caduceus" annotate -m "$data/ps" --score pll - >annotate.out 2>err
    is "its mean is annotate's pll" "$(sed -n "s/^mean$tab//p" example.out)" "$(rows annotate.out | cut -f 4)"
    is "it prints a line for every base but N" "$(grep -c '^[0-9]' example.out)" 180
    "$example" "$dir/absent" ACGT >out 2>err; status=$?
    is "it reports a missing model" "$status $(wc -l <err) $(cut -d : -f 1 err)" "1 1 example"
else
    skip "the example runs" "not built"
    skip "its mean is annotate's pll" "not built"
    skip "it prints a line for every base but N" "not built"
    skip "it reports a missing model" "not built"
fi

finish
