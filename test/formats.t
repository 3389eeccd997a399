#!/bin/sh
# formats.t - other programs can read the output.
. "${srcdir:-.}/test/lib.sh"

contig one 2000 21 >ref.fa
printf 'one\t10\t60\ta\t5\t+\none\t100\t180\tb\t6\t-\none\t100\t100\tc\t0\t.\n' >in.bed
"$caduceus" annotate --quiet -m "$data/ps" -T ref.fa in.bed >out.bed
like "every column is named in the last header line" '^#chrom	start	end	name	score	strand	pll	n$' out.bed
is "the header is directly before the rows" \
    "$(grep -c '^#' out.bed)" "$(awk '!/^#/ { exit } { n++ } END { print n }' out.bed)"
grep -v '^#' out.bed | cut -f 1-6 >cols
same "input columns are unchanged" cols in.bed
for key in version model_sha256 contigs_sha256 options precision device; do
    like "provenance names $key" "^##caduceus_$key=.+" out.bed
done
like "the checksum is that of the weights" \
    "model_sha256=$(sha256sum <"$data/ps/model.safetensors" | cut -d ' ' -f 1)" out.bed
like "contigs_sha256 is the checksum of its contigs" \
    "contigs_sha256=$(cut -f 1,2 ref.fa.fai | sha256sum | cut -d ' ' -f 1)" out.bed
"$caduceus" annotate --quiet -m "$data/ps" -T ref.fa out.bed >again.bed
like "the output is valid input, its header extended" '^#chrom	start	end	name	score	strand	pll	n	pll	n$' again.bed
ok "and gives the same scores" awk -F '\t' '!/^#/ && ($7 != $9 || $8 != $10) { bad = 1 } END { exit bad }' again.bed

if command -v bedtools >/dev/null; then
    ok "bedtools sorts it" sh -c 'bedtools sort -i out.bed >sorted.bed && [ "$(wc -l <sorted.bed)" = 3 ]'
else skip "bedtools sorts it" "no bedtools"; fi
"$caduceus" annotate --quiet -m "$data/ps" -T ref.fa -o out.bed.gz in.bed
if command -v bgzip >/dev/null && command -v tabix >/dev/null; then
    bgzip -dc out.bed.gz >plain.bed
    same "bgzip reads .gz output" plain.bed out.bed
    ok "tabix indexes it" tabix -p bed out.bed.gz
    tabix out.bed.gz one:101-102 >hit
    is "and finds a row" "$(cut -f 4 hit)" "b"
    bgzip -c ref.fa >ref.fa.gz
    "$caduceus" annotate --quiet -m "$data/ps" -T ref.fa.gz in.bed >gz.bed
    same "a bgzip reference gives the same bytes" gz.bed out.bed
    bgzip -c in.bed >in.bed.gz
    "$caduceus" annotate --quiet -m "$data/ps" -T ref.fa in.bed.gz >gz.bed
    same "a bgzip BED gives the same bytes" gz.bed out.bed
else skip "bgzip and tabix read it" "no tabix"; fi
if command -v samtools >/dev/null; then
    mv ref.fa.fai ours.fai; samtools faidx ref.fa
    same "the index is samtools'" ours.fai ref.fa.fai
else skip "the index is samtools'" "no samtools"; fi

"$caduceus" annotate --quiet -m "$data/ps" -T ref.fa --embed e.npy -o e.bed in.bed
py=$(python)
check "numpy opens the matrix" matrices.py last_is_nan e.npy
check "the .json beside it is JSON" matrices.py provenance e.npy.json

"$caduceus" annotate --quiet -m "$data/ps" -T ref.fa --dry-run in.bed >dry
like "a dry run counts regions" '^regions	3$' dry
like "and windows" '^windows	2$' dry
like "and passes" '^passes	16$' dry
like "and tokens" "^tokens	$((8 * (60 + 128) + 8 * (180 - 0 + 128 - 0)))$" dry
"$caduceus" model info -m "$data/ps" >info
like "info counts parameters" '^parameters	[0-9]+$' info
like "info gives the checksum" "^sha256	$(sha256sum <"$data/ps/model.safetensors" | cut -d ' ' -f 1)$" info
finish
