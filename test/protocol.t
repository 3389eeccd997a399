#!/bin/sh
# protocol.t - the layouts of published data sets, padding on the left, and caduceus protocol.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

# rich N LENGTH SEED: prints N rows "sequence label". The label is 1 if there are more G and C than A and T.
rich() {
    awk -v n="$1" -v k="$2" -v s="$3" 'function next_() { s = (s * 16807) % 2147483647; return int(s / 65536) }
        BEGIN {
            for (i = 0; i < n; i++) {
                y = i % 2; q = ""
                for (j = 0; j < k; j++) {
                    x = next_() % 10
                    q = q (x < 7 ? substr(y ? "GC" : "AT", x % 2 + 1, 1) : substr("ACGT", x % 4 + 1, 1)) }
                print q, y } }'
}
# turned: prints the reverse complements of the first column of rows.
turned() {
    awk '{ q = ""; for (i = length($1); i; i--) q = q substr("TGCA", index("ACGT", substr($1, i, 1)), 1)
        print q, $2 }'
}
tune() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 1 --batch 8 --lr 0.02 "$@"; }
predict() { "$caduceus" predict --quiet "$@"; }
model() { rm -rf tuned; tune "$@" -o tuned >.printed 2>.err || diag .err; cp tuned/model.safetensors "$model"; }

# ---- layouts: classes in the order of their folders' names, 0 before 1 ----
rich 24 40 5 >rows
sort -s -k 2,2 rows >sorted
{ echo sequence,label; tr ' ' , <sorted; } >train.csv
awk '{ print ">s" NR "|" $2; print $1 }' sorted >train.fna
{ sed -n '1,12p' sorted; sed -n '13,$p' sorted | turned; } | cut -d ' ' -f 1 | tr -d '\n' | fold -w 60 >letters
{ echo ">1"; cat letters; echo; } >ref.fa
mkdir places texts texts/0 texts/1
for class in 0 1; do
    awk -v class=$class 'BEGIN { print "id,region,start,end,strand" } $2 == class {
        print NR ",chr1," 40 * (NR - 1) "," 40 * NR "," (class ? "-" : "+") }' sorted | gzip >places/$class.csv.gz
    awk -v class=$class '$2 == class { printf "%s", $1 >sprintf("texts/%s/%03d.txt", class, NR) }' sorted
done
echo x >places/metadata.yaml
model=want; model train.csv
for in in train.fna texts "-T ref.fa places"; do model=got; model $in; same "finetune $in" want got; done
tune train.csv -o one >/dev/null
predict -m one texts -o texts.tsv; predict -m one train.csv -o csv.tsv
agree "predict reads a folder of classes" 'rows csv.tsv' 'rows texts.tsv'
printf '>a label=1\n%s\n>b|1\n%s\n' "$(bases 40 3)" "$(bases 40 4)" >mixed.fa
error "NAME|LABEL and label= are the same" 'all rows have the label "1"' tune mixed.fa -o bad
error "intervals without a reference" 'need a reference: -T' tune places -o bad
error "a folder without classes" 'x: a folder without a CLASS.csv' eval 'mkdir x; tune x -o bad'
place() { printf 'id,region,start,end,strand\n%s\n' "$1" >places/0.csv; tune -T ref.fa places -o bad; }
gzip -dc places/0.csv.gz >0.csv; rm places/0.csv.gz
error "an interval beyond its contig" '0.csv:2: .*past the end of' place '0,chr1,0,5000,+'
error "an interval of an unknown contig" '0.csv:2: .*no contig "chr7"' place '0,chr7,0,40,+'
error "an interval that ends before it starts" '0.csv:2: start and end' place '0,1,50,40,+'
error "an unknown strand" '0.csv:2: the strand' place '0,1,0,40,x'
mv 0.csv places/0.csv

# ---- padding on the left ----
awk '{ n = 20 + NR; print substr($1, 1, n) "," $2 }' sorted | sed '1i sequence,label' >ragged.csv
awk -F, 'NR == 1 { print; next }
    { q = substr($1, 1, 32); while (length(q) < 32) q = "N" q; print q "," $2 }' ragged.csv >padded.csv
model=want; model padded.csv; model=got; model --pad 32 ragged.csv
same "--pad cuts on the right, and puts N on the left" want got
like "the model remembers it" '"caduceus_pad": 32' tuned/config.json
for name in ragged padded; do predict -m tuned $name.csv -o $name.tsv; done
agree "predict pads as well" 'rows padded.tsv' 'rows ragged.tsv'
tune -m "$data/ph" --pad 32 ragged.csv -o ph >/dev/null
{ echo sequence,label
    sed 1d ragged.csv | tr , ' ' | awk '{ print substr($1, 1, 32), $2 }' | turned | tr ' ' ,; } >turned.csv
predict -m ph ragged.csv -o one.tsv; predict -m ph turned.csv -o two.tsv
ok "Ph: padding comes first on both strands" close_to one.tsv two.tsv 2e-6
error "--pad and --crop" '--pad takes the place of' tune --pad 32 --crop ragged.csv -o bad
error "--pad and bases" '--pad does not go with --task bases' tune --task bases -T ref.fa --pad 8 x.bed -o bad

# ---- as published ----
tune --as-published --batch 7 --test train.csv train.csv -o published --json >published.json
predict -m published train.csv -o called.tsv
check "MCC and F1 are means over batches" protocol.py batches published.json called.tsv train.csv 7
tune --as-published --log log.tsv --test train.csv train.csv -o again >/dev/null
like "the schedule counts all rows" 'as-published=48' again/metrics.tsv
is "so it ends before the rate has fallen" "$(rows log.tsv | awk -F '\t' 'END { print ($3 > 0.01) }')" 1
finish
