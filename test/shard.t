#!/bin/sh
# shard.t - merged shards give the same bytes as a run without shards (faults 43-52, 58 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

model=$data/ps
unset SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_MAX SLURM_ARRAY_TASK_STEP
{ contig chrZ 900 1; echo ">gap"; bases 200 6 | sed 's/./N/g'; contig chr2 300 2; contig one 1 3; } >ref.fa
awk 'BEGIN {
    print "# of regions"
    for (i = 0; i < 40; i++) {
        b = (i * 137) % 800 % 250; e = b + (i % 7 == 0 ? 0 : 3 * i % 49)
        print (i % 3 ? "chrZ" : "chr2") "\t" b "\t" e "\trow" i
        if (i == 20) print "# half way" }
    print "# the end" }' >in.bed
awk 'BEGIN { for (i = 0; i < 20; i++) {
    t = ""; for (k = 0; k < 5 + 11 * (i % 9); k++) t = t substr("ACGTNACGTC", (k * 7 + i * 3) % 10 + 1, 1)
    print ">r" i "\n" t } }' >in.fa
seq=$(grep -v '>' ref.fa | tr -d '\n')
at() { echo "$seq" | cut -c "$1"; }
other() { echo "$1" | tr ACGT CGTA; }
{   echo "##fileformat=VCFv4.2"; echo "##contig=<ID=chrZ,length=900>"
    echo '##INFO=<ID=X,Number=1,Type=Integer,Description="x">'
    row '#CHROM POS ID REF ALT QUAL FILTER INFO'
    for p in 3 40 40 40 41 90 200 200 300 451 600 700 700 700 700 899; do
        r=$(at $p); row "chrZ $p id$p $r $(other $r) . . X=$p"
    done
    row "chrZ 900 s $(at 900) <DEL> . . X=9"; } >in.vcf
{   row '@HD VN:1.6 SO:coordinate' '@SQ SN:chrZ LN:900'
    for p in 5 50 50 120 300 301 444 600 777 800; do
        s=$(at $p-$((p + 10 + p % 37))); row "q$p 0 chrZ $p 60 ${#s}M * 0 0 $s *"
    done; } >in.sam

A() { "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa "$@"; }
T() { "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa "$@"; }
N() { "$caduceus" annotate --quiet --window 96 -m "$model" "$@"; }
M() { "$caduceus" merge "$@"; }
loud_track() { "$caduceus" track --window 96 -m "$model" -T ref.fa "$@"; }
loud() { "$caduceus" annotate --window 96 -m "$model" -T ref.fa "$@"; }

# cut_run N SUFFIX COMMAND...: writes the shards p1 to pN and sets $parts to their names in another order.
cut_run() {
    local n=$1 suffix=$2 i; shift 2
    rm -f p[0-9]*; parts=
    for i in $(seq $n); do
        "$@" -@ $((i % 3 + 1)) --shard $i/$n -o p$i$suffix || return 1
        if [ $((i % 2)) = 0 ]; then parts="$parts p$i$suffix"; else parts="p$i$suffix $parts"; fi
    done
}
# whole NAME SUFFIX COMMAND...: 1, 4 and 13 merged shards give the same bytes as a run without shards.
whole() {
    local name=$1 suffix=$2 n; shift 2
    rm -f whole$suffix* got$suffix*
    "$@" -o whole$suffix || { fail "$name"; return; }
    for n in 1 4 13; do
        cut_run $n $suffix "$@" 2>err || { fail "$name in $n"; diag err; continue; }
        if ! M -o got$suffix $parts $with 2>err; then fail "$name in $n"; diag err; continue; fi
        same "$name in $n parts" whole$suffix got$suffix
        for x in .json .tbi; do [ ! -e whole$suffix$x ] || same "and its $x" whole$suffix$x got$suffix$x; done
    done
}
with=
whole BED .bed A in.bed
whole BED.gz .bed.gz A in.bed
whole FASTA .bed N in.fa
whole VCF .vcf A in.vcf
whole VCF.gz .vcf.gz A in.vcf -O z
whole BCF .bcf A in.vcf -O b
whole SAM .sam N --no-PG in.sam
whole BAM .bam N --no-PG -O BAM in.sam
with="-T ref.fa"; whole CRAM .cram A --no-PG -O CRAM in.sam; with=
whole "bigWig" .bw T
whole "bedGraph" .bedGraph T --decimals 1
whole "bedGraph.gz" .bedGraph.gz T --decimals 0
whole "bigWig of regions" .bw T -r chrZ:5-500,one

# several tracks
T --score pll,pA -o w
for i in 1 2 3; do T --score pll,pA --shard $i/3 -o s$i; done
for s in pll pA; do
    M -o m.$s.bw s3.$s.bw s1.$s.bw s2.$s.bw
    same "track $s of several" w.$s.bw m.$s.bw; same "and its .json" w.$s.bw.json m.$s.bw.json
done
error "parts of two tracks" 'made otherwise' M -o out.bw s1.pll.bw s2.pA.bw s3.pll.bw

# matrices
for how in mean none; do
    A in.bed --embed e.npy --pool $how -o e.bed
    for i in 1 2 3 4; do A in.bed --embed e$i.npy --pool $how --shard $i/4 -o e$i.bed; done
    M -o m.npy e2.npy e4.npy e1.npy e3.npy 2>err || diag err
    same "matrices, --pool $how" e.npy m.npy; same "and their .json" e.npy.json m.npy.json
    M -o m.bed e2.bed e4.bed e1.bed e3.bed; same "and the rows beside them" e.bed m.bed
    rm -f e*.npy* e*.bed* m.npy*
done

# ---- how the work is divided ----
awk 'BEGIN { for (i = 0; i < 40; i++) print "chrZ\t" i "\t" i + 1; for (i = 0; i < 10; i++) print "chrZ\t0\t800" }' \
    >heavy.bed
for i in 1 2; do A heavy.bed --shard $i/2 -o h$i.bed; done
ok "shards have equal work, not equal numbers of rows" test "$(rows h1.bed | wc -l)" -gt 40
is "all rows are written" "$(cat h1.bed h2.bed | grep -vc '^#')" 50
head -n 3 heavy.bed >three.bed
for i in 1 2 3 4 5 6 7; do A three.bed --shard $i/7 -o f$i.bed; done
A three.bed -o f.bed; M -o fm.bed f[1-7].bed; same "more shards than rows" f.bed fm.bed
cut_run 13 .vcf A in.vcf
for i in $(seq 13); do rows p$i.vcf | cut -f 2 | sort -u; done | sort | uniq -d >split
is "records at one POS stay together" "$(cat split)" ""

# ---- running a shard again ----
cut_run 3 .bed A in.bed
state() { stat -c '%n %i %Y' p*.bed | sort; }
state >before
for i in 1 2 3; do A in.bed --shard $i/3 -o p$i.bed; done; state >after
same "an existing part is not computed again" before after
loud in.bed --shard 1/3 -o p1.bed 2>err
like "and a message says so" 'nothing to do' err
cp p2.bed want; rm p2.bed; A in.bed --shard 2/3 -o p2.bed; same "a missing part is computed again" want p2.bed
rm p2.bed.json; ls -i p2.bed >before; A in.bed --shard 2/3 -o p2.bed; ls -i p2.bed >after
is "a part without .json is computed again" \
    "$(cmp -s before after && echo kept)$(test -e p2.bed.json && echo .json)" .json
# redone NAME COMMAND...: COMMAND replaces a shard that was written with other options, and merge refuses the new shard
# beside the others.
redone() {
    local name=$1; shift
    ls -i p2.bed >before; "$@" --shard 2/3 -o p2.bed; ls -i p2.bed >after
    is "a part with $name is computed again" "$(cmp -s before after && echo kept)" ""
    error "and it is refused beside the others" 'made otherwise|of shard|is shard' M -o out.bed p1.bed p2.bed p3.bed
    A in.bed --shard 2/3 -o p2.bed
}
redone "other options" A in.bed --score ic
redone "another window" A in.bed --window 64
redone "another model" A -m "$data/ps-bias" in.bed
sed 's/^A/C/' ref.fa >ref2.fa
redone "another reference" A -T ref2.fa in.bed
sed '$d' in.bed | sed '5d' >in2.bed
redone "other regions" A in2.bed
sed 's/row/name/' in.bed >in3.bed
redone "other names" A in3.bed
sed 's/^chrZ\(.*row2\)$/chr2\1/' in.bed >in4.bed
is "nothing else is written" "$(ls -A | grep -c 'tmp$')$(ls out.bed 2>/dev/null)" 0
sed 's/X=3$/X=5/' in.vcf >in2.vcf
A in.vcf --shard 1/2 -o v1.vcf; A in2.vcf --shard 1/2 -o v1.vcf
like "VCF: a part with other INFO is computed again" "X=5;" v1.vcf
sed 's/q5	/Q5	/' in.sam >in2.sam
N --no-PG in.sam --shard 1/2 -o r1.sam; N --no-PG in2.sam --shard 1/2 -o r1.sam
like "SAM: a part with another name is computed again" '^Q5' r1.sam

A in.bed --embed q.npy --shard 1/2 -o q.bed; cp q.npy want; rm q.npy
A in.bed --embed q.npy --shard 1/2 -o q.bed; same "a missing matrix is computed again" want q.npy
T -o g.bedGraph.gz --shard 1/2
rm -f g.bedGraph.gz.tbi
T -o g.bedGraph.gz --shard 1/2
ok "the index of a track is written again" test -s g.bedGraph.gz.tbi
T -o g -O bedGraph --shard 1/2; T -o g -O bw --shard 1/2; T -o g2.bw --shard 1/2
same "and a part in another format is computed again" g2.bw g
T -o g1.bw -r chrZ:1-300 --shard 1/2; T -o g2.bw -r chrZ:1-310 --shard 2/2
error "tracks of regions that differ within a tile" 'made otherwise' M -o out.bw g1.bw g2.bw

# ---- what merge refuses ----
error "a missing part" '2 of 3 parts are given; missing: 2$' M -o out.bed p1.bed p3.bed
error "one part alone" '1 of 3 parts are given; missing: 1-2$' M -o out.bed p3.bed
error "two parts, the last is missing" 'missing: 3$' M -o out.bed p2.bed p1.bed
A in.bed --shard 2/4 -o k4.bed
error "a part of another number" 'k4.bed: is shard 2 of 4, but p1.bed is one of 3' M -o out.bed p1.bed k4.bed p3.bed
rm k4.bed*
error "a part given twice" 'is shard 1, and so is' M -o out.bed p1.bed p3.bed p1.bed
error "a file that is not there" 'gone.bed' M -o out.bed p1.bed gone.bed p3.bed
A in.bed --embed k.npy --shard 2/3 -o k.bed
error "a part of another kind" 'p1.bed holds text, but k.npy a matrix' M -o out.bed p1.bed k.npy p3.bed
A in.vcf --shard 2/3 -o k.vcf
error "variants among rows" 'k.vcf holds variants, but p1.bed text' M -o out.bed k.vcf p1.bed p3.bed
error "a file without .json" 'in.bed.json|\.json' M -o out.bed in.bed
error "the output is a part" 'also an input' M -o p1.bed p1.bed p2.bed p3.bed
error "the output is a part's .json" 'also an input' M -o p1.bed.json p1.bed p2.bed p3.bed
error "no output" 'output with -o' M p1.bed p2.bed p3.bed
error "no parts" 'name the parts' M -o out.bed
error "standard input" 'standard input' M -o out.bed -
error "a missing folder" 'No such file' M -o gone/out.bed p1.bed p2.bed p3.bed
M -o - p1.bed p2.bed p3.bed >std 2>err; A in.bed -o want; same "standard output" want std
is "nothing is written" "$(ls out.bed* 2>/dev/null)" ""
A in.bed --shard 1/2 -o isa1.bed
(export CADUCEUS_ISA=plain; A in.bed --shard 2/2 -o isa2.bed)
error "parts of two instruction sets" 'isa2.bed: was made otherwise than isa1.bed: its device is "cpu plain", not' \
    M -o out.bed isa1.bed isa2.bed
rm isa[12].bed*
# damage NAME SUFFIX BYTES COMMAND...: merge refuses a shard that lacks its last BYTES bytes.
damage() {
    local name=$1 suffix=$2 cut=$3; shift 3
    cut_run 2 $suffix "$@"; head -c -$cut p1$suffix >x; cp x p1$suffix
    error "a $name cut short by $cut" 'p1|size' M -o out$suffix $with p1$suffix p2$suffix
    is "no file is left" "$(ls -A | grep '^out\|tmp$')" ""
}
for n in 1 28 60; do damage BED.gz .bed.gz $n A in.bed; done
for n in 28 40; do
    damage VCF.gz .vcf.gz $n A in.vcf -O z
    damage BCF .bcf $n A in.vcf -O b
    damage BAM .bam $n N --no-PG -O BAM in.sam
done
with="-T ref.fa"; damage CRAM .cram 38 A --no-PG -O CRAM in.sam; with=
cut_run 2 .bw T
size=$(($(wc -c <p1.bw)))
for n in 20 64 $((size / 8)) $((size / 2)); do
    head -c $n p1.bw >x
    cp p1.bw keep
    cp x p1.bw
    error "a bigWig of $n bytes" 'p1.bw' M -o out.bw p1.bw p2.bw
    cp keep p1.bw
done
# unsummed FILE: removes the checksum from FILE.json, so that the reader of the format must find the damage. Files from
# before version 0.2.0 have no checksum.
unsummed() { sed -i 's/"sha256": "[0-9a-f]*"/"sha256": ""/' "$1.json"; }
unsummed p1.bw
for at in 8 24 180 400 $((size / 4)); do
    cp keep p1.bw; printf '\377\377\377\377' | dd of=p1.bw bs=1 seek=$at conv=notrunc 2>/dev/null
    timeout 10 "$caduceus" merge -o out.bw p1.bw p2.bw >.out 2>.err; rc=$?
    ok "a bigWig damaged at $at does not crash" test $rc -le 1; rm -f out.bw*
done
cp keep p1.bw
ok "a part without a checksum is read" M -o out.bw p1.bw p2.bw; rm -f out.bw*
# number FILE OFFSET: prints the eight bytes at OFFSET as a number.
number() { od -An -tu8 -j "$2" -N 8 "$1" | tr -d ' '; }
root=$(($(number keep 24) + 48)); data=$(number keep 16)
flip p1.bw $((root + 2))
error "a bigWig whose index has a block less than its data" 'p1.bw: not a bigWig' M -o out.bw p1.bw p2.bw
cp keep p1.bw; flip p1.bw "$data"
error "or a block more" 'p1.bw: not a bigWig' M -o out.bw p1.bw p2.bw
cp keep p1.bw; printf '\000\000\377\377' | dd of=p1.bw bs=1 seek=$root conv=notrunc 2>/dev/null
for k in 0 1 2 3; do
    printf "$(printf '\\%03o' $((root & 255)) $((root >> 8 & 255)) $((root >> 16 & 255)) 0 0 0 0 0)" |
        dd of=p1.bw bs=1 seek=$((root + 4 + 24 * k + 16)) conv=notrunc 2>/dev/null
done
error "an index that leads back to itself" 'p1.bw' timeout 10 "$caduceus" merge -o out.bw p1.bw p2.bw
cp keep p1.bw
# flipped NAME SUFFIX COMMAND...: merge refuses a part in which one bit is inverted, because its checksum is wrong.
flipped() {
    local name=$1 suffix=$2 wrong= size k; shift 2
    cut_run 2 $suffix "$@"; cp p1$suffix keep; size=$(($(wc -c <keep)))
    for k in 0 9 $((size / 5)) $((size / 3)) $((size / 2)) $((size * 4 / 5)) $((size - 1)); do
        cp keep p1$suffix; flip p1$suffix $k
        M -o out$suffix $with p1$suffix p2$suffix >.out 2>.err && wrong="$wrong $k"
        grep -q "p1$suffix" .err || wrong="$wrong $k: $(cat .err)"
    done
    is "an inverted bit of a $name is found" "$wrong$(ls -A | grep '^out\|tmp$')" ""
    "$@" --shard 1/2 -o p1$suffix; same "and the shard is computed again" keep p1$suffix
    flip p1$suffix.json $(($(grep -b -o '"sha256": "' p1$suffix.json | cut -d : -f 1) + 12))
    error "an inverted bit of the checksum is found too" "p1$suffix: damaged" M -o out$suffix $with p1$suffix p2$suffix
}
flipped BED .bed A in.bed
flipped VCF .vcf A in.vcf
flipped BCF .bcf A in.vcf -O b
flipped SAM .sam N --no-PG in.sam
flipped BAM .bam N --no-PG -O BAM in.sam
with="-T ref.fa"; flipped CRAM .cram A --no-PG -O CRAM in.sam; with=
flipped bigWig .bw T
flipped bedGraph .bedGraph T --decimals 1
flipped bedGraph.gz .bedGraph.gz T
A in.bed --embed e1.npy --shard 1/2 -o e1.bed; A in.bed --embed e2.npy --shard 2/2 -o e2.bed
cp e1.npy saved; head -c -4 saved >e1.npy; error "a matrix cut short" 'e1.npy' M -o out.npy e1.npy e2.npy
head -c 50 saved >e1.npy; error "a matrix without its header" 'e1.npy' M -o out.npy e1.npy e2.npy
cp saved e1.npy; echo >>e1.npy; error "a matrix with additional bytes" 'e1.npy' M -o out.npy e1.npy e2.npy
: >e1.npy.json; error "an empty .json" 'e1.npy.json' M -o out.npy e1.npy e2.npy
is "nothing is written" "$(ls -A | grep '^out\|tmp$')" ""

# ---- parts and a run without shards have the same columns and headers ----
{ printf '# a comment\n#chrom start end name\n'; grep -v '^#' in.bed | cut -f 1-3; } >thin.bed
whole "a header that does not fit" .bed A thin.bed
awk '{ print } $4 == "row20" { print "##caduceus_y=1"; print "#x y z" }' in.bed >said.bed
whole "comments like ours" .bed A said.bed
is "no line is lost" "$(grep -c '^##caduceus_y=1$\|^#x y z$' got.bed)" 2
{ cat in.sam; printf 'odd\t0\tchrZ\t820\t60\t*\t*\t0\t0\tACGTACGT\t*\n'; } >odd.sam
whole "reads without CIGAR" .sam N odd.sam --no-PG
is "they stay aligned" "$(grep '^odd' got.sam | cut -f 2)" 0
awk -F'\t' -v OFS='\t' '/^[^#]/ && !n++ { $7 = "low"; $8 = $8 ";FOO=1" } 1' in.vcf >free.vcf
whole "tags that are not declared" .vcf A free.vcf
printf '@SQ\tSN:chrZ\tLN:900\n@SQ\tSN:none\tLN:900\n' >two.sam; grep '^q' in.sam | head -n 1 >>two.sam
for i in 1 2 3 4 5; do printf 'n%s\t0\tnone\t%s\t60\t8M\t*\t0\t0\tACGTACGT\t*\n' $i $i; done >>two.sam
whole "reads of which one part alone is scored" .sam A --context ref two.sam --no-PG

# ---- a part that was changed is refused ----
cut_run 2 .bed A in.bed; cp p1.bed p1.was
is "the checksum is that of the part" "$(sha256sum <p1.bed | cut -c 1-64)" \
    "$(sed -n 's/.*"sha256": "\(.*\)".*/\1/p' p1.bed.json)"
head -c -9 p1.was >p1.bed
error "a part cut short" 'p1.bed: damaged, or not the part of its .json' M -o out.bed p1.bed p2.bed
A in.bed --shard 1/2 -o p1.bed; same "is computed again" p1.was p1.bed
A in.bed -o p1.bed; A in.bed --shard 1/2 -o p1.bed
same "a part that a run without shards replaced is computed again" p1.was p1.bed
T --score pll,ic --shard 1/2 -o q; rm q.ic.bw; loud_track --score pll,ic --shard 1/2 -o q 2>err
is "no \"nothing to do\" message if one track is missing" "$(grep -c 'nothing to do' err)" 0
loud_track --score pll,ic --shard 1/2 -o q 2>err; is "one message if none is missing" "$(grep -c 'nothing to do' err)" 1
env -u CADUCEUS_MODEL "$caduceus" annotate --window 96 -T ref.fa in.bed --shard 1/2 -o d.bed 2>err
A --score none --embed e.npy in.bed --shard 2/2 -o e.bed
cp e.npy e.was
head -c -4 e.was >e.npy
A --score none --embed e.npy in.bed --shard 2/2 -o e.bed; same "a matrix cut short is computed again" e.was e.npy
is "one warning of the bundled model" "$(grep -c bundled err)" 1

# ---- Slurm ----
# slurm ID MIN MAX STEP OPTION...: runs annotate as task ID of a Slurm array.
slurm() {
    local array="SLURM_ARRAY_TASK_ID=$1 SLURM_ARRAY_TASK_MIN=$2 SLURM_ARRAY_TASK_MAX=$3 SLURM_ARRAY_TASK_STEP=$4"
    shift 4; rm -f sl.bed*
    env $array "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa in.bed "$@" -o sl.bed
}
cut_run 3 .bed A in.bed
slurm 0 0 2 1 --shard slurm; same "--shard slurm, from 0" p1.bed sl.bed
slurm 14 10 14 2 --shard slurm; same "with a step" p3.bed sl.bed
slurm 12 10 15 2 --shard slurm; same "with a step that does not end at the last" p2.bed sl.bed
rm -f sl.bed*; slurm 2 1 3 1 --quiet; same "the environment variables have no effect without the option" want sl.bed
error "a task that is not in the array" 'not one of the array' slurm 11 10 14 2 --shard slurm
error "no array" 'is missing' A in.bed --shard slurm -o sl.bed
error "one task that is run again" 'the array has one task.*write --shard \$SLURM_ARRAY_TASK_ID/8' \
    slurm 5 5 5 1 --shard slurm
gaps() (export SLURM_ARRAY_TASK_COUNT=2; slurm "$@" --shard slurm)
error "two tasks of five" 'has 2 tasks, with gaps' gaps 2 2 5 1
A in.bed --shard 2/3 -o p2.bed
error "two neighbours of three" 'makes this share 1 of 2, but \./p[123].bed is share [123] of 3.*TASK_ID/3' \
    slurm 2 2 3 1 --shard slurm
is "nothing is written" "$(ls sl.bed* 2>/dev/null)" ""
mkdir other; A in.bed --shard 1/2 -o other/part.bed
slurm 1 1 3 1 --shard slurm; same "another folder is no neighbour" p1.bed sl.bed; rm -r other
for s in 0/3 4/3 1 1/0 a/b 1/3x -1/3 /3 1/ ''; do
    error "--shard '$s'" 'expected I/N' A in.bed --shard "$s" -o sl.bed
done

# ---- names of parts ----
rm -f n.*; for i in 1 2 3; do A in.bed --shard $i/3 -o n.{shard}.bed; done
is "{shard} names the parts" "$(ls n.*.bed | joined)" "n.1-of-3.bed n.2-of-3.bed n.3-of-3.bed "
M -o got n.*.bed; same "they are one run" want got
A in.bed --shard 7/13 -o n.{shard}.bed; ok "with zeros, so that names sort" test -s n.07-of-13.bed
A in.bed --embed n.{shard}.npy --shard 2/3 -o n.{shard}.x.bed
ok "so is a matrix" test -s n.2-of-3.npy.json -a -s n.2-of-3.x.bed.json
"$caduceus" embed --quiet --window 96 -m "$model" -T ref.fa in.bed --shard 2/3 -o m.{shard}.npy
same "embed's too" n.2-of-3.npy m.2-of-3.npy; ok "with its names" test -s m.2-of-3.tsv.json
T --score pll,ic --shard 2/3 -o t.{shard}
is "and several tracks" "$(ls t.*.bw | joined)" "t.2-of-3.ic.bw t.2-of-3.pll.bw "
error "{shard} without --shard" '\{shard\} in a name needs --shard' A in.bed -o n.{shard}.bed
error "track too" '\{shard\} in a name needs --shard' T -o n.{shard}.bw

# ---- a share replaces no other share ----
cp p1.bed kept
error "a share where another is" 'p1.bed: holds share 1/3 of this run, and this is share 2/3; .*part.\{shard\}.bed' \
    A in.bed --shard 2/3 -o p1.bed
same "which stays" kept p1.bed
error "a share of another number" 'p1.bed: holds share 1/3 of this run, and this is share 1/4' \
    A in.bed --shard 1/4 -o p1.bed
error "a track" 't.2-of-3.pll.bw: holds share 2/3' T --score pll,ic --shard 1/3 -o t.2-of-3
error "a matrix under other rows" 'n.2-of-3.npy: holds share 2/3' \
    A in.bed --embed n.2-of-3.npy --shard 1/3 -o fresh.bed
A in.vcf --shard 1/3 -o v1.vcf; error "variants" 'v1.vcf: holds share 1/3' A in.vcf --shard 3/3 -o v1.vcf
A in.bed --score ic --shard 2/3 -o p1.bed; ok "a share of another run is replaced" grep -q '"2/3"' p1.bed.json
# Two shares of one name that start together: the one that ends first stays.
awk 'BEGIN { for (i = 0; i < 60; i++) print "chrZ\t0\t800" }' >late.bed
mkdir gate
late() {
    "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa --mask each late.bed --shard 2/2 -o gate/p.bed &
    await 2 gate; kill -STOP $!
    "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa --mask each late.bed --shard 1/2 -o gate/p.bed
    cp gate/p.bed first; kill -CONT $!; wait $!
}
error "a share that ends after another" 'gate/p.bed: holds share 1/2' late
same "the first stays" first gate/p.bed
is "and nothing else" "$(ls -A gate | joined)" "p.bed p.bed.json "

# ---- streams and signals ----
error "standard input with --shard" 'it must be a file' reading in.bed loud - --shard 1/2 -o x.bed
error "standard output with --shard" 'output' A in.bed --shard 1/2
error "track: standard output with --shard" 'output file' T --shard 1/2
rm -f k.bw*; contig long 400000 5 >long.fa
"$caduceus" track --quiet --mask each --window 4096 -m "$model" -T long.fa --shard 1/2 -o k.bw & pid=$!
await 1 .
kill -TERM $pid; wait $pid; is "a killed shard" $? 143
is "no file is left" "$(ls -A | grep '^k.bw\|tmp$')" ""
why=$(no_preload "$full")
if [ -z "$why" ]; then
    cut_run 2 .bw T
    for n in 0 300 $(($(wc -c <whole.bw) / 2)); do
        error "merge on a full disk after $n bytes" 'No space left' failing_disk AFTER=$n M -o out.bw p1.bw p2.bw
    done
    is "no file is left" "$(ls -A | grep '^out\|tmp$')" ""
else skip "merge on a full disk" "$why"; fi
# ---- parts with different headers, in which the same contig number is another contig ----
# part K: writes standard input to pK and its provenance file, as shard K of 2 would.
part() {
    cat >"p$1"
    printf '{"work": "w", "shard": "%s/2", "bytes": "%s", "sha256": "%s"}' "$1" "$(wc -c <"p$1" | tr -d ' ')" \
        "$(sha256sum "p$1" | cut -d ' ' -f 1)" >"p$1.json"
}
row '@SQ SN:c LN:99' 'r 0 c 1 9 4M * 0 0 ACGT *' | part 1
row '@SQ SN:c LN:99' 's 0 c 9 9 4M * 0 0 ACGT *' | part 2
ok "reads of one header" M -o out.sam p1 p2
row '@SQ SN:c LN:99' '@SQ SN:d LN:9' 's 0 d 1 9 4M * 0 0 ACGT *' | part 2
error "reads of more contigs" 'p2: other contigs' M -o none.sam p1 p2
row '@SQ SN:c LN:98' 's 0 c 1 9 4M * 0 0 ACGT *' | part 2
error "reads of a contig of another length" 'p2: other contigs' M -o none.sam p1 p2
# calls CONTIG NAME: prints a VCF.
calls() {
    printf '##fileformat=VCFv4.2\n##contig=<ID=%s>\n##INFO=<ID=%s,Number=1,Type=Integer,Description="d">\n' "$@"
    row '#CHROM POS ID REF ALT QUAL FILTER INFO' "$1 3 . G C . . $2=3"
}
calls c DP | part 1; calls c DP | part 2
ok "variants of one header" M -o out.vcf p1 p2
calls d DP | part 2; error "variants of another contig" 'p2: another header' M -o none.vcf p1 p2
calls c AB | part 2; error "variants with another INFO field" 'p2: another header' M -o none.vcf p1 p2
is "no file is left" "$(ls none.* 2>/dev/null)" ""
finish
