#!/bin/sh
# bases.t - finetune --task bases and predict: a class for each base; gradients are tested by t_grad.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

# Contigs of blocks: GC-rich blocks are islands. made NAME LENGTH SEED: prints a contig; its islands go to labels.bed.
made() {
    awk -v name="$1" -v n="$2" -v s="$3" 'function next_() { s = (s * 16807) % 2147483647; return int(s / 65536) }
        BEGIN {
            for (at = 0; at < n; at = end) {
                y = !y; end = at + 20 + next_() % 30; if (end > n) end = n
                if (y) print name "\t" at "\t" end "\tisland" >>"labels.bed"
                for (i = at; i < end; i++) {
                    x = next_() % 20
                    q = q (x < 17 ? substr(y ? "GC" : "AT", x % 2 + 1, 1) : substr("ACGT", x % 4 + 1, 1)) } }
            print ">" name "\n" q }'
}
: >labels.bed
printf 'one\t0\t40\ta\none\t50\t90\tb\n' >labels2.bed
{ made one 1200 5; made two 400 7; made three 400 9; made four 120 3; } >g.fa
bases() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --task bases -T g.fa --epochs 4 --batch 2 --lr 0.03 "$@"; }
split="--valid two --test three --window 150"
predict() { "$caduceus" predict --quiet --no-version "$@"; }

# ---- training ----
ok "finetune --task bases" bases labels.bed $split -o head; cp .out head.out
is "each class has a line" "$(sed -n '/^#class/,$p' head.out | cut -f 1,2 | tr '\t\n' ': ')" \
    "#class:bases background:$(awk '$1 == "three" { n -= $3 - $2 } END { print 400 + n }' labels.bed) island:$(
        awk '$1 == "three" { n += $3 - $2 } END { print n + 0 }' labels.bed) "
is "AUROC and AUPRC of islands" "$(sed -n '/^#class/,$p' head.out |
    awk '$1 == "island" { print ($6 > 0.95 && $7 > 0.9 ? "well" : $6 " " $7) }')" well
like "provenance" 'options=task=bases window=150 valid=two .* test=three' head/metrics.tsv
like "the head is of bases" '"caduceus_bin": 1' head/config.json
bases -@ 3 labels.bed $split -o three >three.out
same "three threads do not change the model" head/model.safetensors three/model.safetensors
same "nor the metrics" head.out three.out
sort -k 3,3nr labels.bed >unsorted.bed; bases unsorted.bed $split -o unsorted >unsorted.out
same "the order of the labels does not matter" head/model.safetensors unsorted/model.safetensors
bases labels.bed $split --class-weights balanced -o weighed >/dev/null
bases labels.bed $split --class-weights 1,3 -o more >/dev/null
differ "class weights" head/model.safetensors weighed/model.safetensors
differ "class weights by number" head/model.safetensors more/model.safetensors
ok "adapters" bases labels.bed $split --lora 2 -o adapter
bases labels.bed --window 150 --valid-fraction 0.2 -o drawn >drawn.out
like "held-out contigs are drawn" '^#rows.validation$' drawn.out
ok "JSON" bases labels.bed $split --json -o json; cp .out out.json
like "has the classes" '"by_class": \[' out.json
{ cat labels.bed; awk '$1 != "four" && $3 < 390 { print $1 "\t" $3 "\t" $3 + 3 "\tedge" }' labels.bed; } >some.bed
bases some.bed $split --ignore-unlabelled -o ignored >ignored.out
is "bases in no interval are left out" "$(sed -n '/^#class/,$p' ignored.out | cut -f 1 | joined)" "#class edge island "
resumes "a training that is killed and resumed" bases labels.bed $split --epochs 2 --batch 4 --rc-aug yes
bases labels.bed $split --dry-run >plan
is "a dry run counts windows" "$(grep -E '^(sequences|labels|longest)' plan | tr '\t\n' ': ')" \
    "sequences:9 labels:2 longest:150 "

# ---- predicting ----
ok "predict: BED" predict -m head g.fa -o all.bed
is "runs of islands" "$(cut -f 4 all.bed | sort -u)" island
awk '{ for (i = $2; i < $3; i++) print $1, i }' all.bed | sort >called
awk '{ for (i = $2; i < $3; i++) print $1, i }' labels.bed | sort >true
is "they overlap the labels" "$(comm -12 called true | awk -v n="$(lines <called)" -v t="$(lines <true)" \
    'END { print (NR / n > 0.85 && NR / t > 0.85 ? "well" : NR / n " " NR / t) }')" well
ok "predict: bedGraph" predict -m head g.fa -o p.bedGraph
is "a file for each class but the background" "$(ls p.*)" p.island.bedGraph
predict -m head g.fa -@ 3 -o q.bedGraph; same "three threads" p.island.bedGraph q.island.bedGraph
printf 'three\t100\t200\none\t500\t501\none\t10\t300\n' >some.regions.bed
predict -m head -T g.fa some.regions.bed -o r.bedGraph
awk -F '\t' -v OFS='\t' '{ for (i = $2; i < $3; i++) print $1, i, $4 }' p.island.bedGraph |
    awk '($1 == "three" && $2 >= 100 && $2 < 200) || ($1 == "one" && ($2 == 500 || ($2 >= 10 && $2 < 300)))' >want
awk -F '\t' -v OFS='\t' '{ for (i = $2; i < $3; i++) print $1, i, $4 }' r.island.bedGraph >got
same "regions get the values of the whole" got want
for n in 1 3 7; do
    shares $n bedGraph predict -m head g.fa; same "$n shards: bedGraph" p.island.bedGraph merged.island.bedGraph
done
"$caduceus" predict --quiet -m head g.fa -o named.bed
shares 3 bed "$caduceus" predict --quiet -m head g.fa; same "shards: BED, whole contigs" named.bed merged.bed
is "all of them have rows" "$(for i in 1 2 3; do rows part.$i-of-3.bed | lines; done | grep -vc '^0$')" 3
is "scores are at most 1000, in the next contig too" "$(rows named.bed | awk '$5 > 1000' | lines)" 0
shares 2 bed predict -m head -T g.fa some.regions.bed; predict -m head -T g.fa some.regions.bed -o r.bed
same "shards of regions, without provenance" r.bed merged.bed
cksum part.* >before; ok "a shard again" "$caduceus" predict --no-version -m head -T g.fa some.regions.bed \
    --shard 1/2 -o part.1-of-2.bed
like "is not computed" 'part.1-of-2.bed exists already and is complete; nothing to do' .err
cksum part.* >after; same "and not changed" before after
error "other regions" 'made otherwise|of shard|is shard' sh -c '
    "$0" predict --quiet --no-version -m head g.fa --shard 2/2 -o part.2-of-2.bed
    exec "$0" merge -o x.bed part.1-of-2.bed part.2-of-2.bed' "$caduceus"
error "a shard on standard output" 'shard needs an output file' predict -m head g.fa --shard 1/2
"$caduceus" finetune --quiet -m "$data/ps" -T g.fa --epochs 1 --window 60 --crop --valid-fraction 0 labels2.bed -o row
error "a shard of rows" 'split the input instead' predict -m row -T g.fa labels.bed --shard 1/2 -o x.bed
predict -m adapter g.fa -o a.bed; is "an adapter's head predicts bases" "$(cut -f 4 a.bed | sort -u)" island
# the other strand: a contig within one core
sed -n '/^>four/,$p' g.fa >four.fa
{ echo ">four"; sed -n 2p four.fa | rev | tr ACGT TGCA; } >back.fa
predict -m head four.fa -o f.bedGraph; predict -m head back.fa -o b.bedGraph
awk '{ for (i = $2; i < $3; i++) print i, $4 }' f.island.bedGraph >f
awk '{ for (i = $2; i < $3; i++) print 119 - i, $4 }' b.island.bedGraph | sort -n >b
same "the reverse complement gives the same bases the same values" f b
{ echo ">n"; echo "ACGTNNNNACRT"; } >n.fa; predict -m head n.fa -o n.bedGraph
is "N and IUPAC letters have no value" "$(awk '{ n += $3 - $2 } END { print n }' n.island.bedGraph)" 7
"$caduceus" predict --quiet -m head four.fa -o v.bed
like "provenance of a prediction" '^##caduceus_options=predict bases window=512 flank=128$' v.bed
"$caduceus" predict --progress log -m head g.fa -o l.bed 2>log
is "the last line of progress counts the bases once" "$(grep -c 'predict: .*2,120 bases' log)" 1
ok "predict: bigWig" predict -m head g.fa -o p.bw
ok "it exists" test -s p.island.bw
if [ "$py" ] && "$py" "$checks/bigwig.py" usable 2>/dev/null; then
    check "its values are those of the bedGraph" bigwig.py whole p.island.bw p.island.bedGraph g.fa.fai
else skip "its values are those of the bedGraph" "no python3 with pyBigWig and numpy"; fi

# ---- errors ----
cp labels.bed bad.bed; printf 'one\t0\t5\tother\n' >>bad.bed
error "two classes at one base" "bad.bed:$(lines <bad.bed): base 1 of one is other here and island in an earlier row" \
    bases bad.bed $split -o x
printf 'one\t1190\t1201\tisland\n' >bad.bed
error "past the end of a contig" 'bad.bed:1: end 1201 is past the end of one' bases bad.bed $split -o x
printf 'chr7\t0\t5\tisland\n' >bad.bed
error "an unknown contig" 'bad.bed:1: contig "chr7" is not in g.fa' bases bad.bed $split -o x
printf 'one\t0\t5\n' >bad.bed; error "no class" 'bad.bed:1: no fourth column' bases bad.bed $split -o x
error "a single class" 'a single class, island' bases labels.bed $split --ignore-unlabelled -o x
error "a class that is not in training" 'class rare: no base of the training contigs is of it' \
    sh -c 'echo "two 0 1 rare" | tr " " "\t" >rare.bed
        exec "$0" finetune --quiet -m "$1" --task bases -T g.fa rare.bed --valid two -o x' "$caduceus" "$data/ps"
error "an unknown contig to hold out" '--valid chr7: no such contig in g.fa' bases labels.bed --valid chr7 -o x
error "a contig held out twice" '--test two: the contig is named twice' bases labels.bed --valid two --test two -o x
error "weights" '--class-weights 1: expected balanced, or 2 numbers' bases labels.bed $split --class-weights 1 -o x
error "without a reference" '--task bases: give the reference with -T' \
    "$caduceus" finetune -m "$data/ps" --task bases labels.bed -o x
error "--split-by" '--split-by row: expected contig' bases labels.bed --split-by row -o x
error "other tasks" 'go with --task bases' "$caduceus" finetune -m "$data/ps" --ignore-unlabelled labels.bed -o x
error "--pool" '--pool does not go with' bases labels.bed --pool max -o x
error "--metrics" 'finetune measures those of contigs' predict -m head g.fa --metrics m -o x.bed
error "mutate" 'mutate takes language models' "$caduceus" mutate -m head four.fa
error "an output of another kind" 'written as .bed, .bedGraph or .bw' predict -m head g.fa -o x.csv
error "a region past the end" 'a region ends at 401, past the end of two' \
    sh -c 'echo "two 0 401" | tr " " "\t" >past.bed; exec "$0" predict -m head -T g.fa past.bed -o x.bed' "$caduceus"
is "nothing is left" "$(ls -d x x.* 2>/dev/null)" ""
finish
