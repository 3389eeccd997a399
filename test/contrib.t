#!/bin/sh
# contrib.t - the Snakemake workflow: merging the shards gives the same bytes as one run without shards.
. "${srcdir:-.}/test/lib.sh"
if ! snakemake --version >/dev/null 2>&1; then skip "the Snakemake workflow" "no snakemake that runs"; finish; exit; fi

{ contig a 700 5; contig b 300 6; } >ref.fa
"$caduceus" track --quiet -m "$data/ps" -T ref.fa --window 64 -o whole.bw
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
