#!/bin/sh
# protocol.t - the layouts of published data sets, padding on the left, and caduceus protocol.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

# even N LENGTH SEED: as rich of lib.sh, with labels 0 and 1 in turns.
even() {
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
even 24 40 5 >rows
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

# ---- the benchmarks ----
protocol() { "$caduceus" protocol --quiet -@ 1 -m "$data/ps" --epochs 1 --seeds 2 --lr 1e-3,2e-2 --batch 8 "$@"; }
# parts FOLDER: writes sequences and labels of a made-up task: train.csv, dev.csv and test.csv.
parts() {
    mkdir -p "$1"
    for part in train:30:3 dev:12:4 test:17:8; do
        set -- "$1" $(echo $part | tr : ' ')
        { echo sequence,label; even $3 50 $4 | tr ' ' ,; } >"$1/$2.csv"
    done
}
# texts FOLDER: the same as folders of texts. fasta FOLDER: the same as FASTA.
texts() {
    for part in train test; do
        mkdir -p "$1/$part/low" "$1/$part/high"
        sed 1d "$1/$part.csv" | awk -F, -v to="$1/$part" '
            { f = sprintf("%s/%s/%d.txt", to, $2 ? "high" : "low", NR); printf "%s", $1 >f; close(f) }'
        rm "$1/$part.csv"
    done
}
fasta() {
    for part in train test; do
        sed 1d "$1/$part.csv" | awk -F, '{ print ">" NR "|" $2 "\n" $1 }' >"$1/$part.fna"
    done
}
parts gb/human_nontata_promoters; texts gb/human_nontata_promoters
mkdir -p gb/human_enhancers_cohn/train; cp places/?.csv* gb/human_enhancers_cohn/train
cp -r gb/human_enhancers_cohn/train gb/human_enhancers_cohn/test
for task in H3 promoter_tata splice_sites_all; do parts nt/$task; fasta nt/$task; rm nt/$task/*.csv; done
parts GUE/EMP/H4; gzip GUE/EMP/H4/*.csv; parts GUE/prom/prom_core_tata
ok "genomic-benchmarks" protocol genomic-benchmarks gb -T ref.fa -o gbs
ok "nucleotide-transformer" protocol nucleotide-transformer nt -o nts; cp .out printed.md
ok "gue" protocol gue GUE -o gues
is "each task with each setting and seed has a row" "$(rows gbs/runs.tsv | lines),$(rows nts/runs.tsv | lines)" 8,12
rows nts/table.tsv | cut -f 1,2 | tr '\t\n' ': ' >metrics
is "and its metric" "$(cat metrics)" "H3:mcc promoter_tata:f1 splice_sites_all:accuracy "
for name in gbs nts gues; do check "the tables of $name add up" protocol.py tables $name; done
same "the table is printed" nts/table.md printed.md
is "models are not kept" "$(find nts/runs -mindepth 1 -type d)" ""
like "a row has its provenance" '^##caduceus_options=.* pad=500' nts/runs/H3.lr0.02.batch8.seed2.tsv
# by_hand: the run of one row as a command of its own.
by_hand() {
    "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 1 --lr 2e-2 --batch 8 --seed 2 --pad 300 --metric f1 \
        --test nt/promoter_tata/test.fna nt/promoter_tata/train.fna -o hand | sed -n "s/^f1$tab//p"
}
rows nts/runs.tsv | awk '$1 == "promoter_tata" && $2 == 0.02 && $4 == 2 { print $8 }' >row
is "a run is finetune's" "$(by_hand)" "$(cat row)"
only() { protocol nucleotide-transformer nt --task H3 --seeds 1 --batch 8,16 "$@"; }
ok "--task, --seeds, --batch, --keep" only -o kept --keep
is "--keep" "$(ls -d kept/runs/*/model.safetensors | lines)" 4
cp kept/table.md before.md; rm kept/runs/H3.lr0.02.batch16.seed1.tsv
only -o kept --dry-run >todo; is "--dry-run lists what is left" "$(grep -c done todo),$(grep -c 'to do' todo)" 3,1
touch -d 2020-01-01 kept/runs/*.tsv
ok "goes on" only -o kept; same "with the same table" before.md kept/table.md
is "and trains only what is left" "$(find kept/runs -maxdepth 1 -name '*.tsv' -newermt 2021-01-01)" \
    kept/runs/H3.lr0.02.batch16.seed1.tsv
only -o shares --shard 2/3 >first; only -o shares --shard 1/3 >second
is "a shard prints no table while others are missing" "$(cat first second)" ""
ok "the last shard" only -o shares --shard 3/3; same "writes the same table" before.md shares/table.md
same "and the same rows" kept/runs.tsv shares/runs.tsv
error "other settings" 'H3.*tsv: has other settings .*epochs=1.*epochs=2.*choose another -o' only -o kept --epochs 2
error "--as-published is another setting" 'now .*as-published' only -o kept --as-published
ok "--as-published" protocol gue GUE --task EMP/H4 --seeds 1 --as-published -o quirks
like "its rows say so" 'as-published=47' quirks/runs/EMP_H4.lr0.02.batch8.seed1.tsv
error "--pool is another setting" 'now .*pool=attention' only -o kept --pool attention
error "an unknown pooling" '--pool sum: expected mean, max or attention' only -o bad --pool sum
ok "--pool attention" protocol gue GUE --task EMP/H4 --seeds 1 --pool attention -o attends
like "its rows say so, too" ' pool=attention ' attends/runs/EMP_H4.lr0.02.batch8.seed1.tsv
if [ -z "$(no_preload "$full")" ]; then
    interrupted TERM=4 "$caduceus" protocol --quiet -@ 1 -m "$data/ps" nucleotide-transformer nt --task H3 --seeds 1 \
        --epochs 3 --lr 1e-3,2e-2 --batch 8 -o stopped >/dev/null 2>.err; status=$?
    is "SIGTERM ends it" $status 143
    "$caduceus" protocol --quiet -@ 1 -m "$data/ps" nucleotide-transformer nt --task H3 --seeds 1 --epochs 3 \
        --lr 1e-3,2e-2 --batch 8 -o stopped >stopped.md; only --epochs 3 --batch 8 -o whole >whole.md
    same "and it goes on within the run" whole.md stopped.md
    same "with the same rows" whole/runs.tsv stopped/runs.tsv
fi
error "an unknown protocol" 'expected genomic-benchmarks, nucleotide' protocol imagenet nt -o bad
error "an unknown task" '--task H9: no task of nucleotide-tr' protocol nucleotide-transformer nt --task H9 -o bad
error "a task without data" 'nt/H4: not there' protocol nucleotide-transformer nt --task H4 -o bad
error "no data" 'places: has no folder of a task of gue, such as EMP/H3' protocol gue places -o bad
error "no reference" 'need a reference' protocol genomic-benchmarks gb --task human_enhancers_cohn -o bad
error "no output" 'name the folder' protocol gue GUE
error "no data given" 'expected a name and the data' protocol gue -o bad
error "a bad list" '--lr: expected a number|--lr x' protocol gue GUE --lr 1e-3,x -o bad
echo x >kept/runs/H3.lr0.001.batch8.seed1.tsv
error "a damaged row" 'batch8.seed1.tsv: not a row of caduceus protocol; remove it' only -o kept

# ---- labelled variants ----
{   printf '##fileformat=VCFv4.2\n##contig=<ID=1,length=960>\n'
    echo '##INFO=<ID=ACMG,Number=0,Type=Flag,Description="x">'
    for key in PATH Y; do echo "##INFO=<ID=$key,Number=A,Type=Integer,Description=\"x\">"; done
    printf '#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'; } >head.vcf
# made N: prints N records with scores, some of them equal, and labels that agree with them more often than not.
made() {
    awk -v OFS='\t' -v n="$1" 'function next_() { s = (s * 16807) % 2147483647; return int(s / 65536) }
        BEGIN { s = 7; for (i = 1; i <= n; i++) {
            llr = next_() % 60 / 10 - 4; y = next_() % 8 > llr + 4; c = next_() % 3
            mc = c ? c == 1 ? "syn" : "mis" : "a,b"
            print 1, i, ".", "A", "C", ".", ".", "PATH=" y ";" (y ? "ACMG;" : "") "MC=" mc \
                (i % 11 ? ";CADUCEUS_LLR=" llr : "") ";CLNSIG=" (y ? "Pathogenic" : "Benign") } }'
}
{ cat head.vcf; made 150; row '1 200 . A C,G . . PATH=1,0;MC=syn;CADUCEUS_LLR=-3,1' '1 201 . A C . . MC=syn'; } |
    gzip >made.vcf.gz
variants() { "$caduceus" protocol variants --quiet "$@"; }
ok "variants" variants made.vcf.gz --label PATH --by MC --resamples 200 --seed 5 -o areas; cp .out printed.md
check "areas and their intervals" protocol.py areas made.vcf.gz areas/table.tsv 200 5
same "the table is printed" printed.md areas/table.md
is "all, and each value" "$(rows areas/table.tsv | cut -f 1 | joined)" "all a,b mis syn "
for label in CLNSIG=Pathogenic ACMG; do
    variants made.vcf.gz --label $label -o other >/dev/null; rows other/table.tsv | cut -f 3 >got
    is "--label $label" "$(cat got)" "$(made 150 | grep LLR | grep -c PATH=1)"
done
"$caduceus" protocol variants --label PATH made.vcf.gz -o other >/dev/null 2>err
like "what is left out is counted" 'left out: 1 alleles without a label, 13 without a score' err
{ cat head.vcf; for i in 100 300 500 700; do
    base=$(tr -d '\n' <letters | cut -c $i)
    row "1 $i . $base $(echo $base | tr ACGT CGTA),$(echo $base | tr ACGT GTAC) . . Y=$((i % 400 > 200)),0"
done; } >in.vcf
ok "variants that are to be scored" variants -m "$data/ps" -T ref.fa in.vcf --label Y -o scores
"$caduceus" annotate --quiet -m "$data/ps" -T ref.fa in.vcf -o want.vcf.gz
agree "are scored by annotate" 'gzip -dc want.vcf.gz | grep -v "^##"' 'gzip -dc scores/scored.vcf.gz | grep -v "^##"'
variants want.vcf.gz --label Y -o again >/dev/null; same "or were" scores/table.tsv again/table.tsv
error "variants without a score" 'in.vcf: no allele with a label and a score .*8 without a score' \
    variants in.vcf --label Y -o bad
error "a label that is neither 0 nor 1" ':[0-9]*: the label is neither 0 nor 1' \
    variants made.vcf.gz --label MC -o bad
error "labels that do not fit ALT" ':10: Y has 3 values, and the record has 2 ALT' \
    eval 'sed "10s/Y=.*/Y=1,0,1/" in.vcf >three.vcf; variants three.vcf --label Y -o bad'
error "not a VCF" 'train.csv:1: not a VCF' variants train.csv --label Y -o bad
error "no label" 'name the INFO key' variants in.vcf -o bad
error "options of benchmarks" 'trains nothing' variants in.vcf --label Y --seeds 2 -o bad
error "--by of a benchmark" '--label and --by go with variants' protocol gue GUE --by MC -o bad
finish
