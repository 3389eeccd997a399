#!/bin/sh
# depend.t - caduceus depend: values, blocks, formats, and faults (9, 13, 48 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

py=$(python)
depend() { "$caduceus" depend --quiet -m "$data/ps" "$@"; }
{ echo ">one"; echo "$(bases 60 3)NR$(bases 30 4 | tr ACGT acgt)$(bases 40 5)"; contig two 30 7; } >ref.fa

# ---- values ----
ok "a map" depend -T ref.fa -r one:41-70 -o a.tsv -o a.npy -o a.tsv.gz
is "a row and a column for each base" "$(rows a.tsv | awk '{ print NF }' | sort -u) $(rows a.tsv | lines)" "34 30"
like "columns are positions" '^#chrom	start	end	ref	41	42	.*	70$' a.tsv
rows a.tsv | awk '{ k = $5 == "."; if ($4 !~ /[NR]/ && $(4 + NR) != 0) print
    for (i = 5; i <= NF; i++) if (($4 ~ /[NR]/ || i == 25 || i == 26) != ($i == ".") ||
        ($i != "." && $i < 0)) print NR, i }' >bad
is "0 on the diagonal, nothing for N and other letters" "$(cat bad)" ""
gzip -dc a.tsv.gz >got; same "the compressed table" a.tsv got
like "the matrix has its provenance beside it" 'depend mask=none one:41-70 window=1-132' a.npy.json
if [ "$py" ]; then
    "$py" "$checks/npy.py" a.npy >got
    rows a.tsv | cut -f 5- | awk -v OFS=, '{ for (i = 1; i <= NF; i++) if ($i == ".") $i = "nan"; print }' >want
    same "the matrix has the values of the table" want got
else skip "the matrix has the values of the table" "no numpy"; fi
for m in ps ph; do
    "$caduceus" depend --quiet -m "$data/$m" -T ref.fa -r one:51-70 --flank 9 -o m.tsv
    check "against the float64 model, $m" dependence.py m.tsv "$data/$m" ref.fa one 50 70 9
done
depend -T ref.fa -r two -@ 5 -o t5.tsv; depend -T ref.fa -r two -@ 1 -o - >got
same "threads and standard output do not matter" t5.tsv got
{ echo ">two"; grep -A 2 '>two' ref.fa | sed 1d | tr -d '\n' | rev | tr ACGT TGCA; echo; } >rc.fa
depend rc.fa -o - | rows - | cut -f 5- | awk '{ line[NR] = $0 } END { for (i = NR; i; i--) { $0 = line[i]
    for (k = NF; k; k--) printf "%s%s", $k, (k > 1 ? "\t" : "\n") } }' >got
rows t5.tsv | cut -f 5- >want; ok "the reverse complement is mirrored" close_to want got 1e-4
is "--dry-run: 3n + 1 passes" "$(depend -T ref.fa -r one:1-20 --flank 5 --dry-run | head -n 4 | cut -f 2 | joined)" \
    "20 61 61 1525 "
shim=$builddir/.libs/caduceus-cuda-shim.so
if [ ! -e "$shim" ] || grep -q __asan_init "$shim"; then skip "the CUDA backend" "no shim, or with sanitizers"
else
    CADUCEUS_CUDA_MODULE=$shim depend -d cuda --precision fp32 -T ref.fa -r two -o gpu.tsv
    rows gpu.tsv >got; rows t5.tsv >want; ok "the CUDA backend gives the same values" close_to got want 2e-3
fi

# ---- models of known dependence ----
if [ "$py" ]; then
    "$py" "$checks/independent.py" "$data/ps" alone
    "$caduceus" depend --quiet -m alone -T ref.fa -r two -o alone.tsv --block >alone.bedpe
    is "if bases do not depend on each other, the map is 0" \
        "$(rows alone.tsv | cut -f 5- | tr '\t' '\n' | awk '$1 > 1e-6' | lines)" 0
    is "and has no blocks" "$(rows alone.bedpe | lines)" 0
else skip "independent bases" "no numpy"; fi

# A corpus of hairpins: four random bases, GAA, and the reverse complement of the four. A window holds one of them, and
# no window is read twice, since windows of later epochs begin elsewhere.
steps=300
awk -v n=$((steps * 200 + 200)) 'BEGIN { s = 9; print ">hairpins"
    for (i = 0; i < n; i++) { l = r = ""
        for (k = 0; k < 4; k++) { s = (s * 16807) % 2147483647; b = int(s / 65536) % 4 + 1
            l = l substr("ACGT", b, 1); r = substr("TGCA", b, 1) r }
        printf "%sGAA%s\n", l, r } }' >hairpins.fa
train() { "$caduceus" pretrain --quiet -T hairpins.fa --valid-fraction 0.001 --d-model 32 --n-layer 2 --seq-len 11 \
    --batch-tokens 2200 --steps $steps --lr 0.008 --weight-decay 0.01 --valid-every $steps -o hairpin; }
ok "train a model of hairpins" train
printf '>h\nGATCGAAGATC\n' >h.fa
"$caduceus" depend --quiet -m hairpin h.fa -o h.tsv --block >h.bedpe
# The row of each base of the stem has its largest value at the base that pairs with it.
rows h.tsv | awk 'NR < 5 || NR > 7 { k = 1; for (i = 2; i <= 11; i++) if ($(4 + i) > $(4 + k)) k = i
    printf "%d ", NR + k }' >sums
is "each base of the stem depends most on its partner: the antidiagonal" "$(cat sums)" "12 12 12 12 12 12 12 12 "
is "the strongest block is the stem" "$(rows h.bedpe | sed -n 1p | cut -f 1-7 | tr '\t' ' ')" "h 0 4 h 7 11 stem"
like "BEDPE names its columns" '^#chrom1	start1	end1	chrom2	start2	end2	name	score	strand1	strand2' h.bedpe
is "--block=N" "$("$caduceus" depend --quiet -m hairpin h.fa --block=1 | rows - | lines)" 1

# ---- faults ----
error "two regions" '2 regions; a map is of one' depend ref.fa -o x.tsv
error "no output" 'name the map with -o, or print blocks' depend -T ref.fa -r two
error "no region" 'give a region with -r' depend -T ref.fa -o x.npy
error "map and blocks on standard output" 'both standard output' depend -T ref.fa -r two -o - --block
error "a region longer than the window" 'one:1-132 has 132 bases, but a window has 100' \
    depend -T ref.fa -r one --window 100 -o x.npy
error "or its flanks" '30 bases and its flanks, but a window has 40' \
    depend -T ref.fa -r two --window 40 --flank 9 -o x.npy
error "a classifier" 'without a language-model head' \
    "$caduceus" depend --quiet -m "$data/cls-ps" -T ref.fa -r two -o x.npy
error "an output of another kind" 'x.vcf: vcf cannot be written' depend -T ref.fa -r two -o x.vcf
error "--shard" 'shard' depend -T ref.fa -r two -o x.npy --shard 1/2
cp ref.fa own.txt; error "the output is the input" 'is also an input' depend own.txt -r two -o own.txt
error "the contig is not there" 'three' depend -T ref.fa -r three -o x.npy
is "no output is left by an error" "$(ls x.* 2>/dev/null)" ""
finish
