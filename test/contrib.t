#!/bin/sh
# contrib.t - the workflows: merging the shards gives the same bytes as one run without shards.
. "${srcdir:-.}/test/lib.sh"

{ contig a 700 5; contig b 300 6; } >ref.fa
"$caduceus" track --quiet -m "$data/ps" -T ref.fa --window 64 -o whole.bw

# ---- the Nextflow workflow: its commands alone, since no distribution has Nextflow ----
nf=$srcdir/contrib/nextflow/main.nf
caduceus() { "$caduceus" "$@"; }
# script PROCESS: prints the script of a process. Its variables are variables of the shell too.
script() { sed -n "/^process $1 /,/^}/p" "$nf" | sed -n '/^ *"""$/,/^ *"""$/p' | sed 's/"""//; s/\${task.cpus}/1/'; }
# shellcheck disable=SC2034
n=3 name=nf.bw options="--window 64" reference=ref.fa chosen="-m $data/ps"
for i in 1 2 3; do eval "$(script SHARE)"; done
ok "Nextflow: the command of a shard" test -s 1.nf.bw -a -s 2.nf.bw.json -a -s 3.nf.bw
eval "$(script MERGE)"
same "and that of the merge give the bytes of one run" whole.bw nf.bw
same "and the provenance" whole.bw.json nf.bw.json
is "its brackets match" "$(for c in '(' ')' '{' '}' '[' ']'; do grep -v '^//' "$nf" | tr -cd "$c" | wc -c; done |
    awk '{ a[NR] = $1 } END { print a[1] - a[2], a[3] - a[4], a[5] - a[6] }')" "0 0 0"

# ---- the Snakemake workflow ----
if ! snakemake --version >/dev/null 2>&1; then skip "the Snakemake workflow" "no snakemake that runs"; finish; exit; fi
flow() {
    HOME=$dir snakemake -s "$srcdir/contrib/snakemake/Snakefile" --cores 2 --nolock "$@" --config \
        reference=ref.fa model="$data/ps" out=flow.bw shards=3 options="--window 64" threads=1 caduceus="$caduceus"
}
ok "three shards" flow
same "give the same bytes as one run" whole.bw flow.bw; same "and the same provenance" whole.bw.json flow.bw.json
rm flow.bw flow.bw.json flow.bw.parts/2.flow.bw; touch marker
ok "after a part is lost" flow
is "only this part is computed again" "$(cd flow.bw.parts && find . -type f -newer ../marker | sort | joined)" \
    "./2.flow.bw ./2.flow.bw.json "
same "and the merged file is the same" whole.bw flow.bw
finish
