#!/bin/sh
# tutorial.t - the commands of doc/tutorial.md run, one after another, and draw their pictures.
. "${srcdir:-.}/test/lib.sh"

mkdir bin examples && ln -s "$caduceus" bin/caduceus && cp "$srcdir/examples/"*.* examples
export PATH="$PWD/bin:$PATH" CADUCEUS_MODEL=
model=$srcdir/models/human-small
awk '/^```sh/ { at = 1; next } /^```/ { at = 0 } at' "$srcdir/doc/tutorial.md" |
    sed "s|-m bundled|-m '$model'|" >commands
is "there are ten commands" "$(lines <commands)" 10
n=0
while IFS= read -r command; do
    n=$((n + 1)) tool=${command%% *}
    if command -v "$tool" >/dev/null; then ok "command $n runs: $tool" sh -c "$command"
    else skip "command $n runs: $tool" "no $tool"; fi
done <commands
for picture in regions track variants; do
    if command -v gnuplot >/dev/null && [ -s variants.tsv ]; then
        is "$picture.png is a picture" "$(head -c 4 $picture.png | tail -c 3)" PNG
    else skip "$picture.png is a picture" "no gnuplot or bcftools"; fi
    ok "the tutorial shows one like it" test -s "$srcdir/doc/tutorial-$picture.png"
done
like "regions.tsv begins with the names of its columns" '^chrom	start	end	name	score	strand	pll	n$' regions.tsv
like "the microsatellite is likely" '^chrE1	7380	7540	microsatellite	0	[.]	-0[.]' regions.tsv
finish
