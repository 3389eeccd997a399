#!/bin/sh
# mutate.t - caduceus mutate: values, formats, shards, classifiers and faults (9, 13, 15, 26, 48 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

py=$(python)
mutate() { "$caduceus" mutate --quiet -m "$data/ps" --window 64 "$@"; }
# Runs of equal bases at both ends, N, another letter, lower case, and contigs of a few bases.
{   echo ">one of them"; echo "GG$(bases 60 3)NNRN$(bases 30 4 | tr ACGT acgt)AAAAAA$(bases 40 5)CC" | fold -w 50
    printf '>two\nACGGT\n>gap\nNNN\n>single\nA\n'; } >ref.fa
samtools faidx ref.fa 2>/dev/null || { skip "mutate" "no samtools"; finish; exit; }

# ---- a language model ----
ok "all bases of all records" mutate ref.fa --deletions -o a.tsv -o a.vcf.gz -o a.npy
is "a row for each base" "$(rows a.tsv | lines)" "$(awk '{ n += $2 } END { print n }' ref.fa.fai)"
like "columns" '^#chrom	start	end	ref	llr_A	llr_C	llr_G	llr_T	dpll$' a.tsv
rows a.tsv | awk '{ printf "%s", $4 }' >letters
is "the bases, in upper case" "$(cat letters)" "$(grep -v '>' ref.fa | tr -d '\n' | tr acgt ACGT)"
rows a.tsv | awk '{ k = index("ACGT", $4); if (k ? $(4 + k) != 0 : $5 != "." || $9 != ".") print }' >bad
is "0 for the base itself, none for N and other letters" "$(cat bad)" ""
rows a.tsv | awk '$4 != "N" && $4 != "R" && $4 == b && $9 != v { print } { b = $4; v = $9 }' >bad
is "all deletions from a run of equal bases are equal" "$(cat bad)" ""
if [ "$py" ]; then
    "$py" "$checks/npy.py" a.npy >npy.csv
    rows a.tsv | cut -f 5-8 | sed 's/\(^\|	\)\.\(	\|$\)/\1nan\2/g; s/\(^\|	\)\.\(	\|$\)/\1nan\2/g' |
        tr '\t' ',' >want; same "the matrix has the values of the table" npy.csv want
else skip "the matrix has the values of the table" "no numpy"; fi
like "the matrix has its provenance beside it" 'mutate mask=each deletions=stride:8 window=64' a.npy.json
"$caduceus" mutate -m "$data/ps" --window 64 ref.fa -o odd.tsv 2>err
like "other letters are counted" 'in all: 1 letters other than ACGTN read as N' err
mutate ref.fa --deletions -@ 5 >got; same "threads and standard output do not matter" a.tsv got
for i in 1 2 3; do mutate ref.fa --deletions --shard $i/3 -o p$i.tsv -o p$i.vcf.gz -o p$i.npy; done
for f in tsv vcf.gz npy; do
    "$caduceus" merge -o m.$f p1.$f p2.$f p3.$f; same "shards: merged $f" m.$f a.$f
done
"$caduceus" mutate -m "$data/ps" --window 64 ref.fa --deletions --shard 2/3 -o p2.tsv -o p2.vcf.gz -o p2.npy 2>err
like "a shard that is there is not computed again" 'p2.npy exists already and is complete' err
mutate -T ref.fa -r one:100-120,two:2-3 --deletions --no-version | sed 1d >got
rows a.tsv | awk '($1 == "one" && $3 >= 100 && $3 <= 120) || ($1 == "two" && $3 >= 2 && $3 <= 3)' >want
same "a region gives the same values" got want
printf 'two\t1\t3\none\t99\t110\none\t105\t120\n' >some.bed
mutate -T ref.fa -L some.bed --deletions --no-version | sed 1d >got
same "-L too, in any order" got want
mutate ref.fa --skip-soft-masked >soft.tsv
is "--skip-soft-masked" "$(rows soft.tsv | awk '$5 != "."' | lines) $(rows a.tsv | awk '$5 != "."' | lines)" "116 146"
{ while read -r l; do case $l in '>'*) echo "$l" ;; *) echo "$l" | rev | tr ACGTacgtR TGCAtgcaY ;; esac; done
} <ref.fa >lines.fa
awk '/^>/ { if (n) print n s; n = $0 "\n"; s = ""; next } { s = $0 s } END { print n s }' lines.fa >rc.fa
# mirrored FILE: the table of the other strand, in the order of this one.
mirrored() {
    rows "$1" | awk -v OFS='\t' '{ c[NR] = $1; if (!($1 in n)) order[++k] = $1; n[$1]++; line[$1, n[$1]] = $0 }
        END { for (j = 1; j <= k; j++) for (i = n[order[j]]; i; i--) { $0 = line[order[j], i]
            print $1, n[order[j]] - i, n[order[j]] - i + 1, comp($4), $8, $7, $6, $5, $9 } }
        function comp(b) { return substr("TGCANYR", index("ACGTNRY", b), 1) }'
}
for how in "" "--mask stride:5 --flank 20"; do
    # shellcheck disable=SC2086
    { mutate ref.fa --deletions $how | rows - >fwd; mutate rc.fa --deletions $how >rev; }
    mirrored rev >got; ok "the reverse complement is mirrored $how" close_to fwd got 1e-4
done
differ "stride:5 is another masking" fwd a.tsv
if [ "$py" ]; then
    for m in ps ph; do
        "$caduceus" mutate --quiet -m "$data/$m" ref.fa --mask stride:5 --window 60 --flank 15 -o s.tsv
        check "stride:5 against the float64 model, $m" mutations.py stride s.tsv stride:5 60 15 "$data/$m" ref.fa
    done
fi
is "--dry-run" "$(mutate ref.fa --dry-run | head -n 4 | cut -f 2 | joined)" "153 146 146 8846 "

shim=$builddir/.libs/caduceus-cuda-shim.so
if [ ! -e "$shim" ] || grep -q __asan_init "$shim"; then skip "the CUDA backend" "no shim, or with sanitizers"
else
    gpu() { CADUCEUS_CUDA_MODULE=$shim "$caduceus" mutate --quiet -d cuda --precision fp32 ref.fa "$@"; }
    gpu -m "$data/ps" --window 64 --deletions | rows - >got; rows a.tsv >want
    ok "the CUDA backend gives the same values" close_to got want 1e-4
    gpu -m "$data/cls-ps" -r one:1-40 | rows - >got
    "$caduceus" mutate --quiet -m "$data/cls-ps" ref.fa -r one:1-40 | rows - >want
    ok "and those of a classifier" close_to got want 1e-4
fi

# ---- against annotate, and against the float64 model ----
if command -v bcftools >/dev/null; then
    fields() { bcftools query -f '%CHROM %POS %REF %ALT %CADUCEUS_LLR %CADUCEUS_DPLL\n' "$@"; }
    for how in "" "--mask stride:3"; do
        # shellcheck disable=SC2086
        mutate ref.fa --deletions $how -o b.vcf
        # shellcheck disable=SC2086
        "$caduceus" annotate --quiet -m "$data/ps" -T ref.fa --window 64 b.vcf $how -o ann.vcf
        [ "$how" ] && keep='CADUCEUS_DPLL' || keep='CADUCEUS_LLR CADUCEUS_DPLL'
        for f in $keep; do bcftools query -f "%POS %REF %ALT %$f\n" b.vcf; done >got
        for f in $keep; do bcftools query -f "%POS %REF %ALT %$f\n" ann.vcf; done >want
        same "annotate prints the same numbers ($keep)" got want
    done
    ok "bcftools finds REF in the FASTA" bcftools norm -c e -f ref.fa a.vcf.gz -o normal.vcf
    is "all SNVs, and a deletion for each run" "$(bcftools view -H -v snps a.vcf.gz | lines) \
$(bcftools view -H -v indels a.vcf.gz | lines)" "438 $(rows a.tsv | awk '$9 == "." || $1 == "single" { b = ""; next }
        $1 != c { b = "" } $4 != b { n++ } { c = $1; b = $4 } END { print n }')"
    mutate ref.fa --deletions -o i.vcf.gz --write-index=tbi; same "--write-index changes no record" i.vcf.gz a.vcf.gz
    is "and the index finds records" "$(bcftools view -H -r two:2 i.vcf.gz | awk '$2 == 2' | lines)" 4
    is "they are sorted" "$(bcftools index -f a.vcf.gz 2>&1)" ""
    if [ "$py" ]; then
        bcftools view -H a.vcf.gz | awk 'NR % 7 == 1' >some; { bcftools view -h a.vcf.gz; cat some; } >some.vcf
        "$py" "$reference" variants "$data/ps" ref.fa some.vcf --window 64 --score llr,dpll | cut -f 1-6 >want
        fields some.vcf | tr ' ' '\t' >got
        ok "the float64 reference agrees" close_to got want 2e-4
    fi
else
    skip "against annotate" "no bcftools"
fi

# ---- classifiers ----
class() { "$caduceus" mutate --quiet -m "$data/cls-ph" "$@"; }
ok "a classifier" class -T ref.fa -r one:50-100 -o c.tsv -o c.vcf -o c.npy
like "columns" '^#chrom	start	end	ref	delta_A	delta_C	delta_G	delta_T	output$' c.tsv
is "one output for a region" "$(rows c.tsv | cut -f 9 | sort -u | lines)" 1
name=$(rows c.tsv | sed -n '1s/.*	//p')
class -T ref.fa -r one:50-100 --class "$name" --no-version | sed 1d >got; rows c.tsv >want
same "which --class names too" got want
rows c.tsv | awk '{ k = index("ACGT", $4); for (i = 1; i <= 4 && k; i++) if (i != k) print $1, $3, $4 }' >want
rows c.vcf | awk '{ print $1, $2, $4 }' >got; same "the VCF has each change" got want
is "and names the output" "$(rows c.vcf | sed 's/.*OUTPUT=//' | sort -u)" "${name#LABEL_}"
class -T ref.fa -r one:50-100 -@ 4 -o c4.tsv; same "threads do not matter" c4.tsv c.tsv
for i in 1 2; do class ref.fa --shard $i/2 -o q$i.tsv; done
class ref.fa -o q.tsv; "$caduceus" merge -o qm.tsv q1.tsv q2.tsv; same "shards hold whole regions" qm.tsv q.tsv
for m in cls-ps cls-ph; do
    "$caduceus" mutate --quiet -m "$data/$m" ref.fa --class 1 -o one.tsv
    check "$m against the float64 model" mutations.py classes one.tsv 1 "$data/$m" ref.fa
    "$caduceus" mutate --quiet -m "$data/$m" rc.fa --class 1 >rev; mirrored rev >got
    rows one.tsv >want; ok "$m: the reverse complement is mirrored" close_to want got 1e-5
done

# ---- faults ----
for f in x.bcf x.bed.npz x.csv; do error "an output $f" "$f: .* cannot be written" mutate ref.fa -o $f; done
error "no region" 'give regions with -r or -L' mutate -T ref.fa -o x.tsv
error "a FASTA twice" 'ref.fa: give the FASTA either alone' mutate -T ref.fa ref.fa -o x.tsv
error "standard input" 'standard input has no index' mutate - -o x.tsv
error "--mask none" 'visible says nothing' mutate ref.fa --mask none
error "another --mask: only what mutate takes" '--mask all: expected each or stride:K \(K from 1\)$' \
    mutate ref.fa --mask all
error "a contig that is not there" 'three' mutate -T ref.fa -r three:1-5
error "a BED row past the end" 'past the end|has 5 bases|ends' mutate -T ref.fa -r two:7-9
error "--class of a language model" 'without a classifier' mutate ref.fa --class 1
error "an unknown class" "no such output; the model's outputs are LABEL_0, LABEL_1" class ref.fa --class 9
error "--mask of a classifier" 'nothing is masked' class ref.fa --mask each
error "--deletions of a classifier" 'without dpll' class ref.fa --deletions
error "a region longer than the classifier's window" 'has 144 bases.*up to 100; .*--window' class ref.fa --window 100
cp ref.fa own.txt
error "the output is the input" 'is also an input' mutate own.txt -o own.txt
error "the same output twice" 'x.tsv' mutate ref.fa -o x.tsv -o x.tsv
error "five outputs" 'at most 4' mutate ref.fa -o 1.tsv -o 2.tsv -o 3.tsv -o 4.tsv -o 5.tsv
error "an index of a table" 'only a .vcf.gz has an index' mutate ref.fa -o x.tsv --write-index
error "an index of a plain VCF" 'x.vcf: .*only a .vcf.gz has an index' mutate ref.fa -o x.vcf --write-index
error "--shard on standard output" 'needs output files' mutate ref.fa --shard 1/2
is "no output is left by an error" "$(ls x.* 2>/dev/null)" ""
finish
