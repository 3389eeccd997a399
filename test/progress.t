#!/bin/sh
# progress.t - the progress line in terminals of several widths, and the option --progress.
. "${srcdir:-.}/test/lib.sh"

py=$(python)
{ contig one 3000 1; } >g.fa
row 'one 0 900' 'one 400 3100' 'one 20 3000' >g.bed
annotate() { "$caduceus" annotate -m "$data/ps" --window 128 -T g.fa --clip "$@" g.bed; }
# see WIDTH COMMAND...: runs a command in a terminal of this width. Writes what terminal.py prints to the file seen, and
# the lines that stay on the screen to the file screen.
see() {
    local width=$1; shift
    "$py" "$checks/terminal.py" "$width" "$@" >seen 2>.err || diag .err seen
    sed 1,2d seen >screen
}
timeless() { sed 's/ in [0-9][a-z0-9 ]* s$/ in TIME/' "$1"; }

if [ "$py" ]; then
    for width in 50 80 200; do
        see $width "$caduceus" annotate -m "$data/ps" --window 128 -T g.fa --clip -o out.bed g.bed
        like "$width columns: lines are shown" '^lines [1-9]' seen
        is "$width columns: none is wider" "$(awk -v w=$width '$1 == "widest" { print $2 < w }' seen)" 1
        is "$width columns: a warning and the closing line are left" \
            "$(timeless screen | sed 's/: [^:]*clipped.*/: CLIPPED/')" \
            "caduceus annotate: warning: g.bed:2: CLIPPED
caduceus annotate: 3 regions, 104 k tokens in TIME
caduceus annotate: in all: CLIPPED"
    done
    see 80 --stdout "$caduceus" annotate -m "$data/ps" --window 128 -T g.fa --clip g.bed
    like "results on the same terminal: no progress line" '^lines 0$' seen
    see 80 "$caduceus" annotate -m "$data/ps" --window 128 -T g.fa -o out.bed g.bed
    is "an error is left alone" "$(lines <screen)" 1
    like "and begins a line" '^caduceus annotate: g.bed:2: ' screen
    for how in --quiet '--progress never'; do
        see 80 "$caduceus" annotate -m "$data/ps" --window 128 -T g.fa $how -o out.bed --clip g.bed
        like "$how: no line" '^lines 0$' seen
        is "$how: no closing line" "$(grep -c tokens screen)" 0
    done
else
    for i in $(seq 16); do skip "progress on a terminal" "no python3"; done
fi

ok "without a terminal" annotate -o out.bed
is "nothing is shown" "$(grep -c tokens .err)" 0
ok "--progress log" annotate --progress log -o out.bed
is "has the closing line" "$(grep tokens .err | timeless -)" "caduceus annotate: 3 regions, 104 k tokens in TIME"
is "and nothing is erased" "$(tr -cd '\r\033' <.err | wc -c | tr -d ' ')" 0
ok "--quiet --progress log" annotate --quiet --progress log -o out.bed
is "is quiet" "$(cat .err)" ""
error "--progress often" 'expected auto, never, tty or log' annotate --progress often

# ---- the other commands ----
closing() {
    local name=$1 want=$2; shift 2
    ok "$name" "$@" --progress log
    like "$name: closing line" "^caduceus $want in [0-9]" .err
}
closing track 'track: 3,000 bases, [0-9]+ k tokens' "$caduceus" track -m "$data/ps" --window 128 -T g.fa -o t.bw
closing "track of a region" 'track: 100 bases, [0-9,]+ tokens' \
    "$caduceus" track -m "$data/ps" --window 128 -T g.fa -r one:201-300 -o t.bw
tokens=$("$caduceus" embed -m "$data/ps" --window 512 -o e.npy --dry-run g.fa | sed -n 's/^tokens	//p')
closing embed "embed: 1 sequences, $(echo "$tokens" | sed 's/...$/,&/') tokens" \
    "$caduceus" embed -m "$data/ps" --window 512 -o e.npy g.fa
closing eval 'eval: [0-9]+ windows, [0-9]+ k tokens' "$caduceus" eval -m "$data/ps" --window 128 -T g.fa
for i in 1 2 3; do
    ok "shard $i" annotate --shard $i/3 --progress log -o part$i.bed
    grep tokens .err >>said
done
is "shards count their own regions" "$(awk '{ n += $3 } END { print n }' said)" 3
finish
