#!/bin/sh
# properties.t - results do not depend on strand, batch, threads, tiles, or whether input is a file or a pipe.
. "${srcdir:-.}/test/lib.sh"

contig one 3000 11 >ref.fa
awk '/^>/ { print; next } { s = s $0 } END { n = split(s, b, ""); m["A"] = "T"; m["C"] = "G"; m["G"] = "C"; m["T"] = "A"
    for (i = n; i > 0; i--) { printf "%s", m[b[i]]; if ((n - i) % 60 == 59) print "" } print "" }' ref.fa >rc.fa
regions one 3000 25 >in.bed
awk '{ print $1 "\t" 3000 - $3 "\t" 3000 - $2 }' in.bed >rc.bed
run() { "$caduceus" annotate --quiet -m "$data/$model" "$@"; }

for model in ps ph ps-odd-depth ps-causal; do
    for mask in each stride:8 none; do
        run -T ref.fa --score pll,entropy,n --mask $mask --window 90 in.bed | rows - | cut -f 4- >fwd
        run -T rc.fa --score pll,entropy,n --mask $mask --window 90 rc.bed | rows - | cut -f 4- >rev
        ok "$model, $mask: the reverse complement scores alike" close_to rev fwd 1e-5
    done
    for pool in mean max center; do
        run -T ref.fa --score none --embed - --pool $pool --window 90 in.bed | rows - | cut -f 4 | tr ',' '\t' >fwd
        run -T rc.fa --score none --embed - --pool $pool --window 90 rc.bed | rows - | cut -f 4 | tr ',' '\t' >rev
        ok "$model: $pool embeddings of the reverse complement are alike" close_to rev fwd 1e-5
    done
done

model=ps
run -T ref.fa -@ 1 --window 200 --score pll,entropy,ic,n --embed one.npy in.bed >one.tsv
for t in 2 7; do
    run -T ref.fa -@ $t --window 200 --score pll,entropy,ic,n --embed t.npy in.bed >t.tsv
    same "-@ $t gives the same bytes as -@ 1" t.tsv one.tsv
    same "-@ $t gives the matrix of -@ 1" t.npy one.npy
done
run -T ref.fa --window 200 --score pll,entropy,ic,n --embed t.npy - <in.bed >t.tsv
same "standard input gives the same bytes as a file" t.tsv one.tsv

# The scores of a region do not depend on other rows.
every="--window 200 --score pll,entropy,ic,n"
while read -r line; do
    echo "$line" >row.bed
    run -T ref.fa $every row.bed | rows -
done <in.bed >alone.tsv
grep -v '^#' one.tsv >rows.tsv
same "rows computed alone and together are equal" alone.tsv rows.tsv
tac in.bed >back.bed
run -T ref.fa --window 200 --score pll,entropy,ic,n back.bed | rows - | tac >back.tsv
same "the order of the rows changes no row" back.tsv rows.tsv

# A tiled region gives the weighted mean of its tiles, which are computed here as separate regions.
printf 'one\t1000\t1180\n' >long.bed
run -T ref.fa --window 60 --flank 10 --score pll,n long.bed | rows - >whole
# A tile has 40 bases. 180 bases are one tile in the middle, one on either side, and 30 bases at each end.
printf 'one\t1000\t1030\none\t1030\t1070\none\t1070\t1110\none\t1110\t1150\none\t1150\t1180\n' >parts.bed
run -T ref.fa --window 60 --flank 10 --score pll,n parts.bed | rows - |
    awk '{ s += $4 * $5; n += $5 } END { printf "one\t1000\t1180\t%.6g\t%d\n", s / n, n }' >sum
ok "a tiled region equals its tiles together" close_to whole sum 1e-5

# One long window gives the same bytes with one thread and with several.
contig long 20000 3 >long.fa
run -@ 1 --mask none --window 20000 --flank 0 long.fa >one.tsv
run -@ 3 --mask none --window 20000 --flank 0 long.fa >team.tsv
same "a long window is the same on one thread and on a team" team.tsv one.tsv

# A FASTA record gets the same scores as a BED region that spans the contig.
printf 'one\t0\t3000\n' >all.bed
run -T ref.fa --window 3000 --flank 0 --mask none all.bed | rows - >a
run --window 3000 --flank 0 --mask none ref.fa | rows - >b
same "a FASTA record scores as the region that is its contig" a b
for isa in plain avx2; do
    CADUCEUS_ISA=$isa run -T ref.fa --window 200 --score pll,entropy,ic,n in.bed | rows - >isa.tsv
    ok "$isa kernels agree to float rounding" close_to isa.tsv rows.tsv 1e-5
done

# Peak memory does not grow with the number of regions.
py=$(python)
if ldd "$caduceus" 2>/dev/null | grep -q libasan; then py=; fi # keeps freed memory
if [ -n "$py" ]; then
    peak() { "$py" "$checks/peak.py" "$caduceus" annotate --quiet -@ 1 -m "$data/ps" "$@"; }
    contig long 30000 5 >long.fa
    awk 'BEGIN { for (i = 0; i < 12000; i++) print "long\t" i * 2 "\t" i * 2 + 40 }' >many.bed
    head -n 3000 many.bed >few.bed
    for set in few many; do peak -T long.fa --mask none --window 60 $set.bed >$set.kb; done
    ok "12,000 regions need no more memory than 3,000" test "$(cat many.kb)" -lt $(($(cat few.kb) + 6000))
    { echo ">gap"; { bases 100 4; printf '%0500d' 0 | tr 0 N; } | tr -d '\n'; echo; } >gap.fa
    awk 'BEGIN { print "gap\t0\t50"; for (i = 0; i < 150000; i++) print "gap\t200\t300" }' >many.bed
    peak -T gap.fa many.bed >many.kb
    ok "rows of N do not accumulate in memory behind one row" test "$(cat many.kb)" -lt $(($(cat few.kb) + 30000))
else skip "12,000 regions need no more memory than 3,000" "no python, or a sanitizer"; fi
finish
