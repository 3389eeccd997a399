#!/bin/sh
# manual.t - the manual, README and example say what the program does.
. "${srcdir:-.}/test/lib.sh"
doc=$srcdir/doc
tab=$(printf '\t')

# ---- reading usage texts and pages ----

# words: the options named in the text on stdin, sorted, one a line.
words() { grep -oE '(^|[ ,;])--?[A-Za-z@][A-Za-z-]*' | tr -d ' ,;' | sort -u; }

# usage COMMAND...: options of its --help.
usage() { "$caduceus" "$@" --help | sed -n '/^Options:/,$p' | grep '^ ' | words; }

# plain: man source on stdin without escapes.
plain() { sed 's/\\f[BIRP]//g; s/\\et/\\t/g; s/\\-/-/g'; }

# section NAME PAGE: the source lines of one section.
section() { awk -v name="$1" '/^\.SH/ { at = $0 == ".SH " name; next } at' "$2" | plain; }

# paged PAGE: options that head an entry of OPTIONS.
paged() { section OPTIONS "$1" | awk 'tagged { print } { tagged = /^\.TP/ }' | words; }

# entry OPTION PAGE: the text of its entry in OPTIONS, on one line.
entry() {
    section OPTIONS "$2" | awk -v option="$1" '
        tagged { at = index(" " $0 " ", option " ") || index($0, option ",") } { tagged = /^\.TP/ }
        at && !tagged { sub(/^\.[A-Z]+ */, ""); gsub(/"/, ""); printf "%s ", $0 }'
}

# ---- options ----

{ usage model info; usage model verify; } | sort -u >model.usage
usage annotate >annotate.usage
for command in annotate model; do
    paged "$doc/caduceus-$command.1" >$command.page
    if [ "$(wc -l <$command.usage)" -lt 8 ]; then fail "the options of $command can be read from its usage"; continue; fi
    comm -23 $command.usage $command.page >missing
    comm -13 $command.usage $command.page >invented
    is "every option of $command's --help is in its page" "$(tr '\n' ' ' <missing)" ""
    is "every option of $command's page is in its --help" "$(tr '\n' ' ' <invented)" ""
done

# ---- defaults: "OPTION VALUE" where the usage shows one word in brackets ----

defaults() {
    "$caduceus" "$@" --help | sed -n '/^Options:/,$p' |
        sed -nE 's/^ .*(--[a-z-]+) [A-Z]+  .*\[([a-z0-9][a-z0-9:,.-]*)\]$/\1 \2/p' | grep -v ' detected$'
}
for command in annotate "model verify"; do
    defaults $command >defaults
    if [ ! -s defaults ]; then fail "the defaults of $command can be read from its usage"; continue; fi
    while read -r option value; do
        text=$(entry "$option" "$doc/caduceus-${command%% *}.1")
        case " $text" in
            *default*" $value"[\ ,.\;]* | *" $value"[\ ,.\;\)]*default*) pass "$command $option: the page gives the default $value" ;;
            *) fail "$command $option: the page gives the default $value"; echo "# $text" ;;
        esac
    done <defaults
done

# A default that is spelled out changes nothing.
contig a 700 5 >a.fa
set -- --window 512 --flank 128 --output -
defaults annotate >defaults
while read -r option value; do set -- "$@" "$option" "$value"; done <defaults
"$caduceus" annotate -m "$data/ps" --embed - a.fa >silent.bed 2>err
ok "the defaults of annotate's usage are accepted" "$caduceus" annotate -m "$data/ps" --embed - "$@" a.fa
same "the defaults of annotate's usage are its defaults" silent.bed .out

# ---- pages ----

"$caduceus" help | sed -nE 's/^  ([a-z]+) .*/\1/p' >commands
ok "help lists commands" test -s commands
section COMMANDS "$doc/caduceus.1" >listed
while read -r command; do
    case $command in
        help | version) ok "caduceus(1) describes $command" grep -qx "\.B $command" listed ;;
        *) ok "$command has a page" test -s "$doc/caduceus-$command.1"
           ok "caduceus(1) names $command" grep -qx "\.B $command" listed ;;
    esac
done <commands
for page in "$doc"/caduceus-*.1; do
    command=$(basename "$page" .1); command=${command#caduceus-}
    ok "$command, which has a page, is a command" grep -qx "$command" commands
done
version=$(sed -nE 's/^AC_INIT\(\[caduceus\], \[([^]]*)\].*/\1/p' "$srcdir/configure.ac")
is "caduceus version is that of configure.ac" "$("$caduceus" version | sed -n 's/^caduceus //p')" "$version"
for page in "$doc"/caduceus*.1; do
    name=$(basename "$page")
    is "$name is of this version" "$(sed -nE 's/^\.TH .*"caduceus ([^"]*)".*/\1/p' "$page")" "$version"
    if command -v mandoc >/dev/null 2>&1; then
        is "$name is free of warnings" "$(mandoc -T lint -W warning "$page" 2>&1)" ""
    else skip "$name is free of warnings" "no mandoc"; fi
done

# ---- commands shown to readers ----

# shown: from lines on stdin, the parts of pipelines that run caduceus.
shown() {
    awk '{ if (sub(/\\$/, "")) { held = held $0; next } print held $0; held = "" }' |
        sed 's/[[:space:]]#.*//' | tr '|;&' '\n\n\n' | sed -nE 's/^[[:space:]]*(\$ )?caduceus /caduceus /p'
}

# known LINE: only options that exist, of a command that exists.
known() {
    set -f; set -- $1; set +f
    shift
    case $1 in
        help | version | --help | --version | -h) return 0 ;;
        model) case $2 in info | verify) command="model $2"; shift 2 ;; -*) command=model; shift ;; *) return 1 ;; esac ;;
        *) grep -qx -- "$1" commands || return 1; command=$1; shift ;;
    esac
    { usage $command; echo --help; } >options
    for word in "$@"; do
        case $word in
            -) ;;
            --) return 0 ;;
            --*) grep -qx -- "${word%%=*}" options || { echo "$word" >&2; return 1; } ;;
            -?*) grep -qx -- "-$(echo "$word" | cut -c2)" options || { echo "$word" >&2; return 1; } ;;
        esac
    done
}

# audit NAME: every command in the file "text" is known.
audit() {
    shown <text >lines
    bad=$(while read -r line; do known "$line" 2>why || echo "$line: $(cat why)"; done <lines)
    is "$1" "$bad" ""
}

awk '/^[[:space:]]*```/ { at = !at; next } at' "$srcdir/README.md" >text 2>/dev/null
audit "README.md shows only options that exist"
for page in "$doc"/caduceus*.1; do
    awk '/^\.EE/ { at = 0 } at; /^\.EX/ { at = 1 }' "$page" | plain >text
    audit "$(basename "$page") shows only options that exist"
    cat text >>examples
done
known "caduceus annotate -T x --no-such y" 2>/dev/null && fail "an option that does not exist is noticed" || pass "an option that does not exist is noticed"
known "caduceus annotate -Z x" 2>/dev/null && fail "a short option that does not exist is noticed" || pass "a short option that does not exist is noticed"

# The examples of the pages, run on small files of the names that they use.
mkdir bin try try/model
printf '#!/bin/sh\nexec "%s" "$@"\n' "$caduceus" >bin/caduceus
chmod +x bin/caduceus
cp "$data"/ps/* try/model
contig chr20 3000 21 >try/hg38.fa
bases 40 22 | sed 's/^/>p\n/' >try/probes.fa
printf 'chr20\t%s\t%s\tr\n' 100 400 900 2700 >try/regions.bed
cp try/regions.bed try/peaks.bed
gzip -c try/peaks.bed >try/peaks.bed.gz
printf 'chr20\t100\t900\tt\t0\t-\t100\t900\t0\t2\t50,60,\t0,740,\n' >try/transcripts.bed
ok "the examples of the pages run" env PATH="$dir/bin:$PATH" sh -ec 'cd try && . ../examples'
is "they print no error" "$(cat .err)" ""
is "the matrix of the examples has a row for each region" "$(grep -ao "shape': ([0-9]*," try/peaks.npy)" "shape': (2,"

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
