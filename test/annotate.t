#!/bin/sh
# annotate.t - compares scores and embeddings with those of the float64 reference.
. "${srcdir:-.}/test/lib.sh"

{ contig one 1500 7; contig two 90 8; } >ref.fa
awk 'NR == 3 { gsub(/A/, "N") } NR == 6 { $0 = tolower($0) } { print }' ref.fa >mixed.fa
printf 'one\t300\t420\none\t0\t30\none\t1400\t1500\ntwo\t0\t90\none\t700\t700\none\t100\t103\n' >in.bed
py=$(python)

# compare NAME MODEL SCORES OPTION...: annotate and the reference give the same scores.
compare() {
    local name=$1 model=$2 scores=$3; shift 3
    if [ -z "$py" ]; then skip "$name" "no numpy"; return; fi
    "$py" "$reference" annotate -m "$model" -T mixed.fa --score "$scores" "$@" in.bed >want.tsv 2>want.err
    "$caduceus" annotate -m "$model" -T mixed.fa --score "$scores" --quiet "$@" in.bed 2>got.err | grep -v '^#' >got.tsv
    ok "$name" close_to got.tsv want.tsv 1e-5
    [ -s want.tsv ] || fail "$name: the reference gave nothing"
}

for model in ps ps-odd-depth ph ph-untied plant; do
    for mask in each stride:8 none; do
        compare "$model, $mask" "$data/$model" pll,entropy,ic,n --mask $mask --window 200
    done
done
compare "regions longer than the core are tiled about their middle" \
    "$data/ps" pll,entropy,n --mask stride:3 --window 64 --flank 11
compare "no flank, a core of even and odd length" "$data/ps" pll,n --mask stride:5 --window 33 --flank 0
compare "soft-masked bases are context only" "$data/ps" pll,n --mask stride:8 --window 128 --skip-soft-masked

# embed NAME POOL: annotate and the reference give the same embedding matrix.
embed() {
    if [ -z "$py" ]; then skip "$1" "no numpy"; return; fi
    "$py" "$reference" annotate -m "$data/ps" -T mixed.fa --window 100 --pool "$2" --embed want.npy in.bed >/dev/null
    "$caduceus" annotate -m "$data/ps" -T mixed.fa --window 100 --quiet --pool "$2" --embed got.npy in.bed >/dev/null
    check "$1" matrices.py like got.npy want.npy
}
embed "mean embeddings agree" mean
embed "max embeddings agree" max
embed "center embeddings agree" center

# --pool none writes one row for each base. The mean of these rows is the row that --pool mean writes.
if [ -n "$py" ]; then
    "$caduceus" annotate -m "$data/ps" -T mixed.fa --window 100 --quiet --pool none --embed rows.npy in.bed >/dev/null
    "$caduceus" annotate -m "$data/ps" -T mixed.fa --window 100 --quiet --pool mean --embed mean.npy in.bed >/dev/null
    check "unpooled rows average to the mean" matrices.py mean_of_rows rows.npy mean.npy
else skip "unpooled rows average to the mean" "no numpy"; fi

# Real data, if it is present.
z=$shared/data/human/chr20_1Mb_vg/z.fa
if [ -n "$py" ] && [ -f "$z" ]; then
    printf 'z\t99078\t99118\nz\t783824\t783860\n' >in.bed
    rm -f mixed.fa.fai; cp "$z" mixed.fa
    for mask in each stride:8 none; do
        compare "ps-d118-l4 on a human region, $mask" "$shared/golden/ps-d118-l4" pll,n --mask $mask --window 192
    done
    islands=$shared/data/bed/cpgIslands.z_chr20_1-2M.bed
    "$caduceus" annotate --quiet -T "$z" -m "$shared/golden/ps-fused-d16-l2" "$islands" >out.bed
    rows out.bed | cut -f 1-4 >rows
    same "17 CpG islands keep their order" rows "$islands"
else
    skip "human regions agree" "no numpy or no human data"
fi
finish
