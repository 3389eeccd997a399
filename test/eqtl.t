#!/bin/sh
# eqtl.t - caduceus protocol eqtl: embeddings of labelled variants, support vector machines, tables.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

# blocks: replaces A by G in every second line of 60 bases, and C by T in the others.
blocks() { awk '/>/ { k = 0; print; next } { if (k++ % 2) gsub("A", "G"); else gsub("C", "T"); print }'; }
{ contig one 9000 7; contig two 6000 8; } | blocks >ref.fa
# made: prints a table of variants. The label is 1 where there is more G than T, with some noise; the distance goes
# through all buckets; about half of the variants are listed for two tissues.
made() {
    awk -v OFS='\t' '
        function next_() { s = (s * 16807) % 2147483647; return int(s / 65536) }
        />/ { name = substr($1, 2); next } { seq[name] = seq[name] $0 }
        END {
            s = 11; print "chromosome", "position", "ref", "alt", "label", "tissue", "distance_to_nearest_tss", "split"
            for (k = 0; k < 2; k++) { name = k ? "two" : "one"
                for (p = 60; p < length(seq[name]) - 60; p += 28) {
                    ref = substr(seq[name], p, 1); alt = substr("CGTA", index("ACGT", ref), 1)
                    y = int((p - 1) / 60) % 2; if (next_() % 8 == 0) y = 1 - y
                    d = next_() % 30001; z = next_() % 3; if (z) d = z == 1 ? 30001 + 2 * d : 100001 + 30 * d
                    for (t = 0; t < 1 + next_() % 2; t++)
                        print name, p, ref, alt, y, substr("liver,brain,blood", 1 + 6 * (next_() % 3), 5), d,
                            (k && p > 2000 ? "test" : "train") } } }' ref.fa
}
made >eqtl.tsv
tr '\t' , <eqtl.tsv >eqtl.csv
{   echo '##fileformat=VCFv4.2'; echo '##contig=<ID=one>'; echo '##contig=<ID=two>'
    row '#CHROM POS ID REF ALT QUAL FILTER INFO'
    awk 'NR > 1 { set_ = $8 == "test" ? "held" : "x"
        print $1, $2, ".", $3, $4, ".", ".", "T=" $6 ";D=" $7 ";SET=" set_ ";CAUSAL=" ($5 ? "yes" : "no") }' eqtl.tsv |
        tr ' ' '\t'; } >eqtl.vcf
keys='--label CAUSAL=yes --tissue T --distance D --split SET=held'
eqtl() { "$caduceus" protocol eqtl --quiet -@ 2 -m "$data/ps" -T ref.fa --window 96 "$@"; }
few() { eqtl --rows 150 --seeds 2 --svm-c 1,10 "$@"; }

if eqtl eqtl.tsv -o any --dry-run 2>&1 | grep -q 'built without libsvm'; then
    error "a program without libsvm says so" 'eqtl: built without libsvm, .* libsvm-dev' eqtl eqtl.tsv -o bad
    finish; exit
fi

# ---- the whole experiment ----
few eqtl.tsv -o plan --dry-run >plan.txt
is "--dry-run counts" "$(sed -n 's/^\(variants\|parts\|parts_done\|window\)\t//p' plan.txt | joined)" "528 96 3 0 "
is "and writes nothing" "$(ls plan 2>/dev/null)" ""
ok "eqtl" few --as-published --keep eqtl.tsv -o out; cp .out printed.md
same "the table is printed" printed.md out/table.md
is "every run has a row" "$(rows out/runs.tsv | lines)" 24
both=$(for d in 0-30k 30-100k '>100k'; do printf '%s\tauroc\n%s\tauroc_as_published\n' $d $d; done)
is "every distance has both results" "$(rows out/table.tsv | cut -f 1,2)" "$both"
check "the tables add up" eqtl.py tables out
if [ -n "$py" ] && "$py" -c 'import sklearn' 2>/dev/null; then
    check "scaling, decision values and AUROC are those of scikit-learn" eqtl.py fits out eqtl.tsv 150
else skip "scikit-learn" "no python3 with sklearn"; fi
is "the SVM learns" "$(rows out/table.tsv | awk '$2 == "auroc" && $6 > 0.6' | lines)" 3
like "the settings are in the tables" '^##caduceus_options=.* rows=150 seeds=2 C=1,10 as-published$' out/table.tsv
"$caduceus" embed --quiet -m "$data/ps" -T ref.fa --window 96 --anchor 48 out/features/00001.vcf -o want.npy
same "the features are embed's" want.npy out/features/00001.npy
few eqtl.tsv -o validated >plain.md
is "without --as-published, that result is left out" "$(rows validated/table.tsv | cut -f 2 | sort -u)" auroc
rows out/table.tsv | awk '$2 == "auroc"' >want; rows validated/table.tsv >got
same "and the others are the same" want got

# ---- other inputs, threads ----
few -@ 1 eqtl.csv -o csv >csv.md; same "a CSV, and one thread" validated/runs.tsv csv/runs.tsv
ok "a VCF" few eqtl.vcf $keys -o vcf
agree "a VCF has the same rows" 'rows validated/runs.tsv' 'rows vcf/runs.tsv'
sed '2s/.*/##INFO=<ID=CAUSAL,Number=A,Type=String,Description="x">/; 40s/T=[a-z]*;//' eqtl.vcf >gap.vcf
"$caduceus" protocol eqtl -@ 1 -m "$data/ps" -T ref.fa --window 96 --rows 150 --seeds 1 --svm-c 1 $keys \
    gap.vcf -o gap >/dev/null 2>err
like "rows without a value are counted" 'left out: 1 rows without one of the values, 0 whose' err
ok "all rows, where there are fewer" few --rows 5000 eqtl.tsv -o out --as-published
rows out/runs.tsv | awk '$2 == "published" ? $5 == 5000 : $5 < 300' >right
is "they are all trained on, or drawn with replacement" "$(lines <right)" 24

# ---- going on ----
touch -d 2020-01-01 out/features/*; rm out/features/00001.npy
few --as-published eqtl.tsv -o out >again.md; same "goes on" printed.md again.md
is "and embeds only what is left" "$(find out/features -name '*.npy' -newermt 2021-01-01)" out/features/00001.npy
few --as-published --shard 2/2 eqtl.tsv -o shares >first; is "a shard prints no table" "$(cat first)" ""
few --as-published --shard 1/2 eqtl.tsv -o shares >second.md; same "the last shard writes it" printed.md second.md
error "other settings" 'recipe.txt: the features are of other settings .*window=96.*window=64' \
    few --window 64 eqtl.tsv -o out
sed 2,3d eqtl.tsv >fewer.tsv
error "other variants" 'features are of other settings' few fewer.tsv -o out
cp -r out mixed; sed -i 's/"precision": "fp32"/"precision": "bf16"/' mixed/features/00002.npy.json
error "parts of different precision" '00002.npy.json: precision is bf16, and fp32 in .*00000.npy.json' \
    few eqtl.tsv -o mixed
printf x >>out/features/00000.npy; few eqtl.tsv -o out >/dev/null; ok "a part of another size is computed again" \
    cmp out/features/00000.npy validated/features/00000.npy
dd if=/dev/zero of=out/features/00000.npy bs=1 count=20 conv=notrunc 2>/dev/null
error "a damaged part" '00000.npy: not a matrix of 256 rows and' few eqtl.tsv -o out

# ---- one class, no test rows ----
awk -F '\t' -v OFS='\t' 'NR > 1 { $5 = 1 } 1' eqtl.tsv >ones.tsv
ok "one label" few ones.tsv -o ones; like "is not defined" '^| 0-30k | [0-9]* | [0-9]* | not defined | |$' ones/table.md

# ---- errors ----
error "no reference" 'eqtl: give the reference with -T' "$caduceus" protocol eqtl eqtl.tsv -o bad
error "an option of benchmarks" '--batch, --from-scratch, --pool and --by do not fit' few --epochs 2 eqtl.tsv -o bad
error "an option of eqtl" '--rows and --svm-c go with eqtl' "$caduceus" protocol gue GUE --rows 7 -o bad
error "no column" 'eqtl.tsv:1: neither a VCF .* column "organ"; name it with --tissue' \
    few --tissue organ eqtl.tsv -o bad
error "no key" 'eqtl.vcf: no row with CAUSAL, organ, D and SET' \
    few $keys --tissue organ eqtl.vcf -o bad
# with N TEXT: makes bad.tsv, which has this text in column N of line 5.
with() { awk -F '\t' -v OFS='\t' -v n="$1" -v text="$2" 'NR == 5 { $n = text } 1' eqtl.tsv >bad.tsv; }
with 5 2; error "a label" 'bad.tsv:5: the label is neither 0 nor 1' few bad.tsv -o bad
with 2 x; error "a position" 'bad.tsv:5: the position is not a whole' few bad.tsv -o bad
with 7 far; error "a distance" 'bad.tsv:5: distance_to_nearest_tss is not a number' few bad.tsv -o bad
with 3 ACGTACGT; error "REF differs from the reference" 'REF' few bad.tsv -o bad
: >empty.tsv; error "an empty file" 'empty.tsv: ' few empty.tsv -o bad
finish
