#!/bin/sh
# index.t - .bai, .csi, .tbi and .crai files that are damaged, hostile, stale, of another kind or of another file (like
# fault 23 of doc/faults.md).
# Tested: files cut at every byte; counts without data; impossible bin numbers; a bin of statistics without its two
# entries; chunks that are reversed or outside the file; depths that htslib computes wrongly; a .tbi for other columns;
# a list of names that is too short; .crai lines that are short, unsorted, of unknown contigs or lead to no container;
# an index that is not needed (VCF); regions beyond the range of an index kind; regions whose end is near 2^63.
. "${srcdir:-.}/test/lib.sh"

if ! command -v samtools >/dev/null || ! command -v bcftools >/dev/null; then
    skip "indexes" "no samtools or bcftools"; finish; exit
fi
annotate() { "$caduceus" annotate --quiet -m "$data/ps" --window 64 "$@"; }
loud() { "$caduceus" annotate -m "$data/ps" --window 64 "$@"; }
reads() { annotate --include 'mapq > 99' --no-PG -O sam "$@"; }
names() { grep -v '^[@#]' "${1:--}" | cut -f 1 | joined; }
small() { (sanitized || ulimit -v 2000000; "$@"); } # with limited memory
# le32 N...: prints little-endian 32-bit numbers.
le32() {
    for v in "$@"; do
        for shift in 0 8 16 24; do printf "\\$(printf %o $((v >> shift & 255)))"; done
    done
}
zeros() { head -c "$1" /dev/zero; }

{ contig chr1 3000 1; contig chr2 2000 2; } >ref.fa
awk -v OFS='\t' -v b="$(bases 50 3)" 'BEGIN {
    print "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:3000\n@SQ\tSN:chr2\tLN:2000\n@SQ\tSN:chr3\tLN:700000000"
    for (c = 1; c <= 3; c++) for (i = 0; i < 20; i++)
        print "c" c "_" i, 0, "chr" c, (c == 3 ? 100000 * i : 90 * i) + 1, 60, "50M", "*", 0, 0, b, "*"
    print "u", 4, "*", 0, 0, "*", "*", 0, 0, b, "*" }' >in.sam
samtools view --no-PG -b in.sam -o in.bam; samtools index in.bam; cp in.bam.bai good.bai
samtools index -c in.bam good.csi
samtools view --no-PG -C -O cram,no_ref=1,seqs_per_slice=7 in.sam -o in.cram; samtools index in.cram
gzip -dc in.cram.crai >good.crai
reads -r chr2:100-300 in.bam | names >want
is "a valid index" "$(cat want)" "c2_1 c2_2 c2_3 "

# ---- .bai: cuts and hostile numbers ----
# bai NAME REGEX: the present in.bam.bai is refused for every region.
bai() { error "$1" "in.bam.bai: .*($2).*samtools index" small reads -r chr2:100-300 in.bam -o kept.sam; }
size=$(wc -c <good.bai) refused=0 cuts=0
for cut in $(seq 0 5 $((size - 9))); do
    head -c "$cut" good.bai >in.bam.bai; cuts=$((cuts + 1))
    small reads -r chr2 in.bam >.out 2>.err; [ $? = 1 ] && grep -q 'in.bam.bai: ' .err && refused=$((refused + 1))
done
is "every cut is refused" $refused $cuts
head -c $((size - 8)) good.bai >in.bam.bai
agree "except for the last count, which may be missing" 'cat want' 'reads -r chr2:100-300 in.bam | names'
# made NUMBER...: writes in.bam.bai with these numbers after the magic.
made() { { printf 'BAI\1'; le32 "$@"; } >in.bam.bai; }
made 3; bai "no contigs" 'too early'
made 2147483647; bai "more contigs than the header has" 'does not belong.*more contigs'
made 3 2147483647; bai "bins without end" 'more bins'
made 3 1 4681 2147483647; bai "chunks without end" "more than an index"
made 3 1 4681 4294967295; bai "a negative number of chunks" 'negative'
made 3 1 37449 0; bai "a bin that cannot be" 'cannot be'
made 3 1 4294967295 0; bai "a bin of the greatest number" 'cannot be'
made 3 1 37450 1 0 0 0 0; bai "a bin of counts with one entry" 'two entries'
made 3 1 4681 1 0 9999 0 9999; bai "a chunk outside of the file" 'beyond the end'
made 3 1 4681 1 5 0 0 0; bai "a chunk that ends before it begins" 'before it begins'
made 3 1 4681 1 131072 0 131072 0; bai "a chunk within a block" 'where no block begins'
made 3 0 2147483647; bai "a linear index without end" 'more offsets'
made 3 0 4; bai "a linear index that is cut" 'too early'
{ cat good.bai; printf x; } >in.bam.bai; bai "bytes after the end" 'after its end'
{ printf 'BAI\1'; le32 3 1 4681 2000000; zeros 32000000; } | gzip >in.bam.bai
bai "chunks of two million, compressed" 'more than an index of this file'
printf 'BAI\2' >in.bam.bai; bai "another magic" 'BAI or CSI'
: >in.bam.bai; bai "an empty index" 'BAI or CSI'
{   printf '@HD\tVN:1.6\tSO:coordinate\n'; awk 'BEGIN { for (i = 0; i < 600; i++) print "@SQ\tSN:c" i "\tLN:9" }'
} | samtools view --no-PG -b - -o wide.bam
{ printf 'BAI\1'; le32 600; for i in $(seq 600); do le32 0 32769; zeros 262152; done; } | gzip -1 >wide.bam.bai
error "linear indexes of no genome, compressed" 'wide.bam.bai: .*more than an index of this file' \
    small reads -r c0 wide.bam
cp good.csi in.bam.bai; agree "the name does not tell the kind" 'cat want' 'reads -r chr2:100-300 in.bam | names'
samtools view --no-PG -h in.sam | sed 's/chr3\([^:]*LN\)/chr9\1/; /^c3/d' | samtools view --no-PG -b - -o three.bam
{ printf '@SQ\tSN:a\tLN:99\n'; cat in.sam; } | samtools view --no-PG -b - -o other.bam 2>/dev/null
samtools index other.bam && cp other.bam.bai in.bam.bai
bai "the index of a file with more contigs" 'does not belong to in.bam'
is "no error has left an output" "$(ls kept.sam 2>&1 | grep -c 'No such')" 1

# ---- stale ----
cp good.bai in.bam.bai; touch -d '2001-01-01' in.bam.bai
ok "an index older than its file" loud --include 'mapq > 99' --no-PG -O sam -r chr2:100-300 in.bam
warned "gives a warning" 'in.bam.bai is older than in.bam; .*samtools index'
is "and the index is used" "$(names <.out)" "$(cat want)"
awk -v OFS='\t' '/^@/ { print; next } { $1 = $1 "_of_another_length_" NR * NR * NR; print }' in.sam |
    samtools view --no-PG -b - -o in.bam
awk -v OFS='\t' -v b="$(bases 900 8)" '/^@/ { print; next }
    { for (k = 0; k < 60; k++) print $1 "_" k, 4, "*", 0, 0, "*", "*", 0, 0, b, "*" }' in.sam | cut -f 1-11 >many.sam
samtools view --no-PG -b many.sam -o in.bam
reads -r chr2 in.bam >.out 2>.err
like "an index of another content" 'in.bam.bai' .err
samtools view --no-PG -b in.sam -o in.bam

# ---- .csi ----
rm in.bam.bai
# csi NAME REGEX NUMBER...: a .csi with these numbers after the magic is refused.
csi() {
    name=$1 regex=$2; shift 2
    { printf 'CSI\1'; le32 "$@"; } >in.bam.csi
    error ".csi: $name" "in.bam.csi: .*($regex)" small reads -r chr2 in.bam
}
csi "a depth that overflows" 'a depth' 14 10 0 3
csi "a depth of 4 billion" 'a depth' 14 4294967295 0 3
csi "bins of one base" 'a size' 0 5 0 3
csi "bins of 2^31 bases" 'a size' 31 1 0 3
csi "auxiliary data without end" "more than an index" 14 5 4294967295 3
csi "more contigs" 'more contigs' 14 5 0 4
csi "a bin of counts of one" 'two entries' 14 5 0 3 1 37450 0 0 1 0 0 0 0
csi "its offset" 'beyond the end' 14 5 0 3 1 4681 0 9999 0
gzip -c good.bai >in.bam.csi; rm -f in.bam.bai
agree "a .bai of that name, in gzip" 'cat want' 'reads -r chr2:100-300 in.bam | names'
cp good.csi in.bam.csi; agree ".csi" 'cat want' 'reads -r chr2:100-300 in.bam | names'
mv in.bam.csi in.csi; agree "in place of the suffix" 'cat want' 'reads -r chr2:100-300 in.bam | names'
rm in.csi; cp good.bai in.bai; agree ".bai in place of the suffix" 'cat want' 'reads -r chr2:100-300 in.bam | names'
rm in.bai; error "no index" 'in.bam: -r and -R need an index' reads -r chr2 in.bam
cp good.bai in.bam.bai

# ---- regions at and beyond the largest possible position ----
error "a region beyond what BAI can place" 'in.bam.bai: .*536870912.*chr3:600000000.*samtools index -c' \
    reads -r chr3:600000000 in.bam
for end in 536870912 536870913 2147483648 70368744177664 4611686018427387904 9223372036854775806; do
    is "a region that ends at $end" "$(reads -r "chr3:1-$end" in.bam | grep -c '^c3')" 20
    is "in CRAM" "$(reads -T ref.fa -r "chr3:1-$end" in.cram | grep -c '^c3')" 20
done
cp good.csi in.bam.csi
is "CSI: a region past its contig" "$(reads -r chr3:699999999-9223372036854775806 in.bam | grep -c '^c')" 0
rm in.bam.csi

# ---- .crai ----
# crai NAME REGEX: the present in.cram.crai is refused.
crai() { error ".crai: $1" "in.cram.crai:$2" small reads -r chr2 in.cram; }
cp good.crai in.cram.crai; reads -r chr2:100-300 in.cram | names >got; same ".crai as plain text" want got
awk 'NR == 2 { sub(/\t[0-9]*$/, "") } { print }' good.crai >in.cram.crai; crai "five numbers" '2: not six numbers'
awk 'NR == 2 { $0 = $0 "\t1" } { print }' good.crai >in.cram.crai; crai "seven" '2: not six numbers'
awk -v OFS='\t' 'NR == 1 { $2 = "x" } { print }' good.crai >in.cram.crai; crai "text" '1: not six numbers'
awk -v OFS='\t' 'NR == 1 { $5 = -1 } { print }' good.crai >in.cram.crai; crai "a negative number" '1: not six numbers'
awk -v OFS='\t' 'NR == 1 { $3 = 2147483647 } { print }' good.crai >in.cram.crai
crai "an end beyond 2^31" '1: not six numbers'
awk -v OFS='\t' 'NR == 1 { $1 = 2147483647 } { print }' good.crai >in.cram.crai
crai "contig 2^31" '1: a contig that the header lacks'
awk -v OFS='\t' 'NR == 1 { $1 = 3 } { print }' good.crai >in.cram.crai
crai "one contig more" '1: a contig that the header lacks'
awk -v OFS='\t' 'NR == 1 { $4 = 99999999 } { print }' good.crai >in.cram.crai
crai "outside of the file" '1: no container'
awk -v OFS='\t' 'NR == 1 { $4 = 0 } { print }' good.crai >in.cram.crai
crai "the beginning of the file" '1: no container'
awk -v OFS='\t' 'NR == 1 { $4++ } { print }' good.crai >in.cram.crai; crai "within a container" '1: no '
awk -v OFS='\t' 'NR == 1 { $6 = 2147483647 } { print }' good.crai >in.cram.crai
crai "a slice beyond its container" '1: no such slice'
{ cat good.crai; head -n 1 good.crai; } >in.cram.crai; crai "a contig that returns" "[0-9]*: a contig that was left"
awk '{ l[NR] = $0 } END { for (i = NR; i; i--) print l[i] }' good.crai >in.cram.crai
crai "backwards" '[0-9]*: .*sorted'
head -c 40 good.crai >in.cram.crai; crai "cut" '[0-9]*: (not six|.*cut short)'
printf '\0\0' >in.cram.crai; crai "binary" '1: binary data'
cuts=0 refused=0
for n in $(seq 0 $(($(wc -l <good.crai) - 2))); do # the last slice has two lines; one lost is not seen
    head -n "$n" good.crai | gzip >in.cram.crai; cuts=$((cuts + 1))
    reads -r chr2 in.cram >.out 2>.err
    [ $? = 1 ] && grep -q 'in.cram.crai:.*follow the last one listed' .err && refused=$((refused + 1))
done
is ".crai: every cut between containers is refused" "$refused" "$cuts"
head -n 1 good.crai | awk '{ for (i = 0; i < 1000000; i++) print }' | gzip >in.cram.crai
crai "a slice a million times" '2: a slice that stands before'
{ head -c 100000000 /dev/zero | tr '\0' 1; cat good.crai; } | gzip >in.cram.crai
crai "a line without end" '1: .*more than'
awk '{ sub(/\t/, "&0000000000") } { print }' good.crai >in.cram.crai; reads -r chr2:100-300 in.cram | names >got
same ".crai: numbers with zeros before them" want got
samtools view -H in.sam | samtools view --no-PG -C -O cram,no_ref=1 -o none.cram; samtools index none.cram
ok ".crai of a CRAM without reads" reads -r chr2 none.cram
marker=$(($(wc -c <in.cram) - 38)) # two end markers, as where files were joined
{ cat in.cram; tail -c +$((marker + 1)) in.cram; } >joined.cram; cp good.crai joined.cram.crai
reads -r chr2:100-300 joined.cram | names >got; same ".crai of a CRAM with two end markers" want got
for version in 2.1 3.0 3.1; do
    samtools view --no-PG -C -O cram,no_ref=1,seqs_per_slice=7,slices_per_container=2,version=$version in.sam -o v.cram
    samtools index v.cram; reads -r chr2:100-300 v.cram | names >got; same ".crai of CRAM $version" want got
    gzip -dc v.cram.crai | sed '$d' | sed '$d' >cut; mv cut v.cram.crai
    error ".crai of CRAM $version, cut" 'v.cram.crai:[0-9]*: (containers of|the slices up to)' reads -r chr2 v.cram
done

# ---- .tbi and .csi of VCF; .csi of BCF ----
{ printf '##fileformat=VCFv4.2\n##contig=<ID=chr1,length=3000>\n##contig=<ID=chr2,length=2000>\n'
  row '#CHROM POS ID REF ALT QUAL FILTER INFO'
  for p in 100 200 300; do row "chr1 $p . N <DEL> . . ."; done
  for p in 100 200 300; do row "chr2 $p . N <DEL> . . ."; done; } >in.vcf
bcftools view -O z in.vcf -o in.vcf.gz; bcftools index -t in.vcf.gz; cp in.vcf.gz.tbi good.tbi
bcftools view -O b in.vcf -o in.bcf; bcftools index in.bcf; cp in.bcf.csi good.bcf.csi
variants() { annotate -T ref.fa --score llr "$@"; }
places() { grep -v '^#' | cut -f 1,2 | tr '\t\n' ': '; }
is ".tbi" "$(variants -r chr2:150-400 in.vcf.gz | places)" "chr2:200 chr2:300 "
is ".csi of BCF" "$(variants -r chr2:150-400 in.bcf -O v | places)" "chr2:200 chr2:300 "
gzip -dc good.tbi >tbi
# tbi NAME REGEX: the present in.vcf.gz.tbi is refused.
tbi() { error ".tbi: $1" "in.vcf.gz.tbi: .*($2)" small variants -r chr2 in.vcf.gz; }
bytes() { dd bs=1 conv=notrunc "of=$1" "seek=$2" 2>/dev/null; } # FILE OFFSET: overwritten with standard input
bent() { cp tbi bent; le32 "$2" | bytes bent "$1"; cat bent; }  # OFFSET NUMBER: prints the .tbi with a changed number
bent 4 2147483647 >in.vcf.gz.tbi; tbi "contigs" 'names'
bent 8 0 >in.vcf.gz.tbi; tbi "made for another format" 'not made for VCF'
bent 12 9 >in.vcf.gz.tbi; tbi "another column of contigs" 'not made for VCF'
bent 16 4294967295 >in.vcf.gz.tbi; tbi "a column of positions that cannot be" 'not made for VCF'
bent 32 4294967295 >in.vcf.gz.tbi; tbi "names without end" "more than an index"
bent 32 5 >in.vcf.gz.tbi; tbi "a name that is cut" 'names'
head -c 100 good.tbi >in.vcf.gz.tbi; tbi "cut, in BGZF" 'too early|damaged'
head -c $(($(wc -c <good.tbi) - 28)) good.tbi >in.vcf.gz.tbi; tbi "without BGZF's end" 'end marker'
cat good.bai >in.vcf.gz.tbi; tbi "a .bai" 'TBI or CSI'
is "without -r the index is not read" "$(variants in.vcf.gz | places | wc -w)" 6
grep -v '^##contig' in.vcf >bare.vcf
bgzip -c bare.vcf >bare.vcf.gz; tabix -p vcf bare.vcf.gz
is "contigs that only the index names" "$(variants bare.vcf.gz | grep -c '^##contig')" 2
cp good.bai bare.vcf.gz.tbi
error "a damaged index is an error" 'contig "chr1" is not in the VCF header' small variants bare.vcf.gz
cp good.csi in.bcf.csi; error "BCF: the index of a BAM" 'in.bcf.csi: does not belong' small variants -r chr2 in.bcf
cp good.tbi in.bcf.csi; error "BCF: a .tbi" 'in.bcf.csi: not an index of the kind CSI' small variants -r chr2 in.bcf
cp good.bcf.csi in.bcf.csi; cp good.tbi in.vcf.gz.tbi

# ---- some of the mutations of test/mutate-index ----
CADUCEUS="$caduceus" srcdir="$srcdir" builddir="$builddir" sh "$srcdir/test/mutate-index" 8 3 >mutations 2>&1
is "mutations" "$(grep -c '^ok' mutations) $(grep -c '^not ok' mutations)" "$(grep -c '^ok .*SKIP' mutations |
    sed 's/1/1 0/; s/^0$/7 0/')"
grep '^#' mutations
finish
