#!/bin/sh
# hostile.t - input with unusual or invalid positions, headers and names, and the advice in the error messages.
# Positions: POS 0 and the position of a mate in SAM, BAM, CRAM and through an index, with --context ref and seq;
# contigs that the header lacks; names of 1,023, 1,024 and 5,000 letters in @SQ, FASTA, BED, -r, --chr-alias, VCF and
# bigWig; a FASTA line of more than 2^31 letters.
# Headers: @PG lines that form a circle of one, two or three, in both orders, with repeated IDs, beside a valid chain;
# lines without tab, tag, ID, SN or LN, or with two of them; repeated @SQ and @RG; NULs in, between and after lines; VCF
# lines that htslib drops, changes or defines itself; no #CHROM line; the same in BCF; small files whose headers are of
# 270 MB: the text of a BAM, the name of a contig, a line of SAM and of VCF, the length of a BCF's header.
# Names: each URL scheme of htslib as input, reference, -L, -R, --chr-alias and output; dashes, blanks, ##idx##, quotes;
# contigs with commas, colons and braces.
# Advice: a VCF without its first line or with BED columns, headers of tables, row names, numbers with exponents,
# byte-order marks, carriage returns, GFF.
. "${srcdir:-.}/test/lib.sh"

annotate() { "$caduceus" annotate --quiet -m "$data/ps" --window 64 "$@"; }
loud() { "$caduceus" annotate -m "$data/ps" --window 64 "$@"; }
bed() { annotate -T ref.fa "$@"; }
reads() { annotate --no-PG -O sam "$@"; }
have() { command -v "$1" >/dev/null; }
{ contig chr1 2000 1; contig chr2 700 2; } >ref.fa
b=$(bases 50 3) letters=$(bases 5000 4)
row 'chr1 10 60' >in.bed
bed in.bed >want; rows want >want.rows

# ---- positions ----
one() { printf '@SQ\tSN:chr1\tLN:2000\n@SQ\tSN:chr2\tLN:700\n'; row "$@"; }
one "r 0 chr1 0 60 50M * 0 0 $b *" "s 0 chr1 1 60 50M chr2 0 0 $b *" "t 16 chr2 0 60 10M5N40M * 0 0 $b *" >zero.sam
for c in ref seq; do
    ok "POS 0, --context $c" loud -T ref.fa --context $c --no-PG -O sam zero.sam
    is "the records are unchanged" "$(grep -v '^@' .out | cut -f 1-11)" "$(grep -v '^@' zero.sam)"
    [ $c = seq ] || like "and are counted as not aligned" 'in all: 2 read.s. not aligned' .err
done
annotate --include 'mapq > 99' --no-PG zero.sam -o zero.bam
ok "POS 0 in BAM" annotate -T ref.fa --context ref --no-PG -O sam zero.bam
is "the records are unchanged" "$(grep -v '^@' .out | cut -f 1-11)" "$(grep -v '^@' zero.sam)"
# le32 N...: prints little-endian 32-bit numbers.
le32() {
    for v in "$@"; do
        for shift in 0 8 16 24; do printf "\\$(printf %o $((v >> shift & 255)))"; done
    done
}
# record TID POS MATE-TID MATE-POS: prints an uncompressed BAM of one read: 4 bases, CIGAR 4M.
record() {
    printf 'BAM\1'; le32 18; printf '@SQ\tSN:chr1\tLN:99\n'; le32 1 5; printf 'chr1\0'; le32 99
    le32 44 "$1" "$2" $((2 + (60 << 8))) 1 4 "$3" "$4" 0; printf 'r\0'; le32 64; printf '\022\110\50\50\50\50'
}
none=4294967295
if have bgzip; then
    record 0 5 $none $none | bgzip -c >r.bam; ok "a BAM of one record" reads r.bam
    for place in "0 4294967294 $none $none" "0 5 0 4294967294" "0 2147483648 0 5" "1 5 $none $none" "0 5 1 5" \
        "2147483647 5 $none $none" "4294967294 5 $none $none"; do
        # shellcheck disable=SC2086
        record $place | bgzip -c >r.bam
        error "a BAM record at $place" 'r.bam: .*(no contig of the header|damaged)' reads r.bam
    done
else skip "positions in BAM" "no bgzip"; fi
for n in 1023 1024 1025 5000; do
    name=$(printf %.${n}s "$letters")
    { printf '@SQ\tSN:%s\tLN:2000\n@SQ\tSN:%sA\tLN:50\n' "$name" "$name"
      row "r 0 $name 5 60 50M = 100 0 $b *" "s 0 chr 0 0 * ${name}A 1 0 * *" | sed 's/\tchr\t/\t*\t/'; } >long.sam
    for f in sam bam; do
        annotate --include 'mapq > 99' --no-PG long.sam -o long.out.$f
        is "@SQ of $n letters, $f" "$(annotate --include 'mapq > 99' --no-PG -O sam long.out.$f | grep -v '^@')" \
            "$(grep -v '^@' long.sam)"
    done
    rm -f long.fa.fai; sed "s/^>chr1/>$name/" ref.fa >long.fa; row "$name 10 60" >long.bed
    is "FASTA, BED and -r, $n letters" \
        "$(annotate -T long.fa -r "$name:1-30" long.bed | rows - | cut -f 2-)" "$(cut -f 2- want.rows)"
    printf '%s\tchr1\n' "$name" >long.alias
    is "--chr-alias, $n letters" "$(bed --chr-alias long.alias long.bed | rows - | cut -f 2-)" "$(cut -f 2- want.rows)"
    { printf '##fileformat=VCFv4.2\n##contig=<ID=%s>\n' "$name"; row '#CHROM POS ID REF ALT QUAL FILTER INFO' \
        "$name 700 . N <DEL> . . ."; } >long.vcf
    ok "VCF, $n letters" annotate -T long.fa long.vcf
    "$caduceus" track --quiet -m "$data/ps" --window 64 -T long.fa -r "$name:1-30" -o long.bw >/dev/null 2>.err
    is "bigWig: written or refused, $n letters" "$? $([ -s .err ] && grep -c '^caduceus track: ' .err)" "1 1"
done
if have bgzip; then
    # a line of 2,200,000,000 letters, made of copies of one BGZF block
    { printf '>big\n' | bgzip -c | head -c -28; head -c 65280 /dev/zero | tr '\0' C | bgzip -c | head -c -28 >block
      awk 'BEGIN { for (i = 0; i < 12; i++) print "block" }' | xargs cat >blocks
      i=0; while [ $i -lt 2808 ]; do cat blocks; i=$((i + 1)); done; printf '\n' | bgzip -c; } >big.fa.gz
    printf 'big\t2199674880\t5\t2199674880\t2199674881\n' >big.fa.gz.fai
    "${python:=$(any_python)}" "$checks/gzi.py" big.fa.gz big.fa.gz.gzi
    row 'big 2199674700 2199674800' >big.bed
    ok "a FASTA line of more than 2^31 letters" annotate -T big.fa.gz big.bed
    is "can be read at its end" "$(rows .out | cut -f 5)" 100
    sed 's/2199674881/99999999999/' big.fa.gz.fai >x; mv x big.fa.gz.fai
    error "a width beyond 2^32" 'big.fa.gz.fai:1: malformed' annotate -T big.fa.gz big.bed
    rm -f big.fa.gz
else skip "a FASTA line of more than 2^31 letters" "no bgzip"; fi

# ---- headers of reads ----
# sam NAME REGEX LINE...: a SAM of these header lines and one record is refused, with and without --no-PG. Blanks stand
# for tabs.
sam() {
    name=$1 regex=$2; shift 2
    { printf '@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:2000\n'; row "$@"; row "r 0 chr1 5 60 50M * 0 0 $b *"; } >h.sam
    for f in '' --no-PG; do error "$name $f" "h.sam:$regex" annotate $f h.sam -o kept.bam; done
}
sam "@RG without ID" '3: @RG without ID' '@RG SM:x'
sam "@PG without ID" '3: @PG without ID' '@PG PN:x'
sam "@PG with an empty ID" '3: @PG without ID' '@PG ID: PN:x'
sam "@PG with two" '3: @PG with two ID' '@PG ID:a ID:b'
sam "@SQ without SN" '3: @SQ without SN' '@SQ LN:9'
sam "@SQ with two" '3: @SQ with two SN' '@SQ SN:a SN:b LN:9'
sam "@SQ without LN" '3: @SQ without LN' '@SQ SN:a'
sam "@SQ of no length" '3: @SQ without LN, or' '@SQ SN:a LN:x'
sam "@SQ of a negative length" '3: @SQ without LN, or' '@SQ SN:a LN:-9'
sam "@SQ twice" '4: contig chr1 is there twice' '@SQ SN:x LN:1' '@SQ SN:chr1 LN:2000'
sam "@CO without tab" '3: no tab after @CO' '@CO'
sam "@PG without tag" '4: not TAG:VALUE: "words"' '@PG ID:x' '@PG words ID:y'
sam "an empty field" '3: not TAG:VALUE' '@PG ID:x  PN:y'
sam "a tab at the end" '3: not TAG:VALUE' '@PG ID:x '
sam "a line of another type" '3: not a header line' '@XY ID:x'
sam "@SQ without tabs" '3: no tab after @SQ' "@SQ_SN:x_LN:5"
{ printf '@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:2000\n@CO\ta\0b\n'; row "r 0 chr1 5 60 50M * 0 0 $b *"; } >h.sam
for f in '' --no-PG; do error "a NUL $f" 'h.sam:3: a NUL byte' annotate $f h.sam -o kept.bam; done
row "r 0 chr1 5 60 50M * 0 0 $b *" >h.sam
error "no @SQ lines, of --in-format" 'h.sam: .*no @SQ lines .*samtools view' annotate --in-format sam h.sam
{ printf '@CO\tx\n'; cat h.sam; } >h2.sam; error "no @SQ lines" 'h2.sam: .*no @SQ lines .*samtools view' reads h2.sam
row "r 4 * 0 0 * * 0 0 $b *" >h.sam; ok "no @SQ line is needed for reads without a position" reads --in-format sam h.sam
is "no output is left" "$(ls kept.bam 2>&1 | grep -c 'No such')" 1
# raw TEXT NAME...: writes raw.bam with this header text (a format of printf), contigs of 99 bases and no reads.
raw() {
    printf "$1" >text; shift # shellcheck disable=SC2059
    { printf 'BAM\1'; le32 "$(wc -c <text)"; cat text; le32 $#
      for c; do le32 $((${#c} + 1)); printf '%s\0' "$c"; le32 99; done; } | bgzip -c >raw.bam
}
if have bgzip; then
    raw '@SQ\tSN:a\tLN:99\n' a; ok "a BAM header" reads raw.bam
    raw '@SQ\tSN:a\tLN:99\n\0\0\0' a; ok "filled up with NULs" reads raw.bam
    raw '' a b; ok "without text" reads raw.bam
    raw '@CO\tx' a; ok "without a line end" reads raw.bam
    raw '@SQ\tSN:a\tLN:99\n@CO\tx\0y\n' a; error "a NUL in a line" 'raw.bam: header line 2: a NUL byte' reads raw.bam
    raw '@SQ\tSN:a\tLN:99\n\0@CO\ty\n' a; error "a NUL between lines" 'raw.bam: header line 2: a NUL byte' reads raw.bam
    raw '' a b a; error "a contig twice in the list" 'raw.bam: contig a is there twice' reads raw.bam
    raw '@SQ\tSN:a\tLN:99\n' a b; error "contigs without @SQ" 'raw.bam: its @SQ lines and its list' reads raw.bam
    raw '@SQ\tSN:a\tLN:99\n@SQ\tSN:b\tLN:99\n' b a; error "in another order" 'raw.bam: its @SQ lines and' reads raw.bam
    raw '@PG\tPN:x\n' a; error "a bad line" 'raw.bam: header line 1: @PG without ID' reads raw.bam
else skip "headers of BAM" "no bgzip"; fi
# circle NAME LINES...: these @PG lines form a circle, so adding another @PG is an error; with --no-PG there is none.
circle() {
    name=$1; shift
    { printf '@SQ\tSN:chr1\tLN:2000\n'; row "$@"; row "r 4 * 0 0 * * 0 0 $b *"; } >pg.sam
    for f in sam bam; do
        reads --include 'mapq > 99' pg.sam -O $f >pg.in.$f
        error "@PG circle, $name, $f" 'pg.in.[sb]am:.* form a circle.*--no-PG' annotate -O sam pg.in.$f
    done
}
circle "of one" '@PG ID:a PP:a'
circle "of two" '@PG ID:a PP:b' '@PG ID:b PP:a'
circle "of three" '@PG ID:a PP:b' '@PG ID:b PP:c' '@PG ID:c PP:a'
circle "after a line alone" '@PG ID:x' '@PG ID:a PP:b' '@PG ID:b PP:a'
circle "before a chain" '@PG ID:a PP:b' '@PG ID:b PP:a' '@PG ID:x' '@PG ID:y PP:x'
circle "of doubled IDs" '@PG ID:a' '@PG ID:a PP:a'
{ printf '@SQ\tSN:chr1\tLN:2000\n'; row '@PG ID:c PP:b' '@PG ID:b PP:a' '@PG ID:a PP:gone'; } >pg.sam
ok "a chain in reverse order is not a circle" annotate pg.sam
is "and a line is added at its end" "$(grep -c 'ID:caduceus.*PP:c' .out)" 1
{ printf '@SQ\tSN:chr1\tLN:2000\n'; row '@RG ID:a SM:x' '@RG ID:a SM:y' "r 4 * 0 0 * * 0 0 $b *"; } >rg.sam
ok "@RG twice" loud --no-PG rg.sam; warned "@RG twice" 'rg.sam:3: the ID a is there twice'
is "both lines are written" "$(grep '^@RG' .out)" "$(grep '^@RG' rg.sam)"

# ---- headers of variants ----
# vcf LINE...: writes h.vcf with these header lines.
vcf() {
    { echo '##fileformat=VCFv4.2'; echo '##contig=<ID=chr1>'; [ $# = 0 ] || printf '%s\n' "$@"
      row '#CHROM POS ID REF ALT QUAL FILTER INFO' 'chr1 700 . N <DEL> . . .'; } >h.vcf
}
# remark NAME REGEX LINE...: a VCF with these header lines gives exactly one warning.
remark() {
    name=$1 regex=$2; shift 2
    vcf "$@"; ok "$name" loud -T ref.fa h.vcf; warned "$name" "$regex"
}
vcf '##INFO=<ID=DP,Number=1,Type=Integer,Description="d, \"e\">">' '##x=y' '##FILTER=<ID=q,Description="d">'
ok "a valid header" loud -T ref.fa h.vcf; is "no message is printed" "$(cat .err)" ""
remark "a second ##INFO of one ID" 'h.vcf:4: .*not kept.*Number=1' \
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="a">' '##INFO=<ID=DP,Number=2,Type=Float,Description="b">'
like "is not in the output" 'Number=1,Type=Integer,Description="a"' .out
is "it is written once" "$(grep -c 'INFO=<ID=DP' .out)" 1
remark "a second ##contig" 'h.vcf:4: .*not kept.*length=7' '##contig=<ID=c,length=7>' '##contig=<ID=c,length=8>'
remark "a line that is no header line" 'h.vcf:3: .*dropped' '##INFO no key'
remark "a line that does not end" 'h.vcf:3: .*(dropped|not kept)' '##INFO=<ID=DP,Number=1,Type=Integer,Description="d"'
remark "junk after its end" 'h.vcf:3: .*(dropped|not kept)' '##INFO=<ID=DP,Number=1,Type=Integer,Description="d">junk'
remark "another Type" 'h.vcf: ##INFO DP has no Type' '##INFO=<ID=DP,Number=1,Type=Double,Description="d">'
remark "no Type" 'h.vcf: ##FORMAT DP has no Type' '##FORMAT=<ID=DP,Number=1,Description="d">'
remark "no Number" 'h.vcf: ##INFO DP has no Number' '##INFO=<ID=DP,Type=Integer,Description="d">'
vcf '##INFO=<ID=END,Number=1,Type=Integer,Description="d">'
for end in 699 1 700 750 .; do
    sed "s/\.$/END=$end/" h.vcf >end.vcf
    ok "END $end" loud -T ref.fa end.vcf
    case $end in
    699 | 1) warned "END $end" 'end.vcf:5: END .* lies before POS' ;;
    *) is "END $end: no message is printed" "$(cat .err)" "" ;;
    esac
    is "and END is unchanged" "$(grep -c "END=$end" .out)" 1
done
vcf '##INFO=<ID=DP,Number=1,Type=Integer,Description="d">' '##INFO=<ID=DP,Number=1,Type=Integer,Description="d">'
ok "the same line twice" loud -T ref.fa h.vcf; is "gives no message" "$(cat .err)" ""
vcf; grep -v '^#C' h.vcf >n.vcf
error "no line #CHROM" 'n.vcf:3: .*line #CHROM' bed n.vcf
head -n 2 n.vcf >e.vcf; error "no line #CHROM, nor records" 'e.vcf: its header is cut short.*#CHROM' bed e.vcf
sed 's/^#CHROM\t/#CHROM /' h.vcf >n.vcf
error "blanks in the line #CHROM" 'n.vcf: its header cannot be parsed' bed n.vcf
{ printf '##fileformat=VCFv4.2\n##x=a\0b\n'; tail -n 3 h.vcf; } >n.vcf
error "a NUL in the line #CHROM" 'n.vcf:2: a NUL byte' bed n.vcf
sed '/^#C/s/$/\tFORMAT\ta\ta/; /^chr/s/$/\tGT\t.\t./' h.vcf >n.vcf
error "a sample twice" 'n.vcf: its header cannot be parsed' bed n.vcf
if have bcftools; then
    vcf '##INFO=<ID=DP,Number=1,Type=Integer,Description="d">' '##x=y'
    annotate -T ref.fa h.vcf -o h.bcf 2>/dev/null
    ok "a valid header in BCF" loud -T ref.fa h.bcf -O v; is "no message is printed" "$(cat .err)" ""
    bgzip -dc h.bcf >h.raw
    printf '\0' | dd of=h.raw bs=1 seek=30 conv=notrunc 2>/dev/null; bgzip -c h.raw >n.bcf
    error "a NUL in a BCF's header" 'n.bcf: a NUL byte in its header' bed n.bcf
    { printf 'BCF\2\2'; le32 4294967295; echo '##fileformat=VCFv4.2'; } | bgzip -c >n.bcf
    error "a BCF header of 4 GB" 'n.bcf: its header is larger than 256 MB' bed n.bcf
    { printf 'BCF\2\2'; le32 4294967; echo '##fileformat=VCFv4.2'; } | bgzip -c >n.bcf
    error "a BCF header without end" 'n.bcf: its header is cut short' bed n.bcf
    { printf 'BCF\2\1'; le32 5; echo '####'; } | bgzip -c >n.bcf
    error "BCF 2.1" 'n.bcf: BCF of another version than 2.2' bed n.bcf
else skip "headers of BCF" "no bcftools"; fi
# Headers that are small when compressed. bomb FILE: writes standard input and 270 MB of the letter A to FILE.
if have bgzip; then
    head -c 270000000 /dev/zero | tr '\0' A | bgzip -c >letters.gz
    bomb() { { bgzip -c; cat letters.gz; } >"$1"; }
    { printf 'BAM\1'; le32 270000000; } | bomb n.bam
    error "a BAM whose header has a text of 270 MB" 'n.bam: its header is larger than 256 MB' reads n.bam
    { printf 'BAM\1'; le32 0 1 269000000; } | bomb n.bam
    error "a BAM with a name of 269 MB" 'n.bam: its header is larger than 256 MB' reads n.bam
    printf '@CO\t' | bomb n.sam.gz; error "a line of 270 MB in SAM" 'n.sam.gz: its header is larger' reads n.sam.gz
    printf '##fileformat=VCFv4.2\n##a=' | bomb n.vcf.gz
    error "a line of 270 MB in VCF" 'n.vcf.gz: its header is larger than 256 MB' bed n.vcf.gz
    rm letters.gz n.bam n.sam.gz n.vcf.gz
else skip "headers of 270 MB" "no bgzip"; fi

# ---- names are names ----
for name in mem:x data:x data:,x file:x s3:x gs:x http:x https:x ftp:x preload:x crypt4gh:x htsget:x '##idx##' \
    a##idx##b ' ' 'a b' -x -- -m "it's" '$x' 'a;b' '*' '%s%n' 'ä' x.bed,y; do
    cp in.bed "./$name"
    is "input $name" "$(bed -- "$name" | rows -)" "$(cat want.rows)"
    is "-L $name" "$(bed -L "$name" in.bed | rows -)" "$(cat want.rows)"
    is "-R $name" "$(bed -R "$name" in.bed | rows -)" "$(cat want.rows)"
    printf 'x\tchr1\n' >"./$name"; row 'x 10 60' >x.bed
    is "--chr-alias $name" "$(bed --chr-alias "$name" x.bed | rows - | cut -f 2-)" "$(cut -f 2- want.rows)"
    cp ref.fa "./$name"
    is "-T $name" "$(annotate -T "$name" in.bed | rows -)" "$(cat want.rows)"
    is "its index is beside it" "$(ls -- "./$name.fai")" "./$name.fai"
    bed -o "$name" in.bed; is "-o $name" "$(rows "./$name")" "$(cat want.rows)"
    rm -f -- "./$name" "./$name.fai"
done
for name in http://host/x.bed s3://b/x.bed ftp://h/x; do
    error "$name" 'no such file here; only local files are read' bed $name
done
error "a scheme without a file" 'mem:none: No such file' bed mem:none
if have samtools; then
    one "r 0 chr1 5 60 50M * 0 0 $b *" >in.sam
    samtools view -b --no-PG in.sam -o 'mem:r.bam' 2>/dev/null
    for name in mem:r data:r a##idx##r 'a b'; do
        samtools view -b --no-PG -o - in.sam >"$name.bam"; samtools index - "./x.bai" <"$name.bam" 2>/dev/null
        cat "$name.bam" >plain.bam; samtools index plain.bam; mv plain.bam.bai "./$name.bam.bai"
        is "$name.bam with -r" "$(reads -r chr1 "$name.bam" | grep -c '^r')" 1
        cp ref.fa "./$name.fa"
    done
    for name in mem:r data:r 'a b'; do
        ok "CRAM with -T $name.fa" annotate -T "$name.fa" in.sam -o "$name.cram"
        is "and read again" "$(reads -T "$name.fa" "$name.cram" | grep -c '^r')" 1
    done
    error "CRAM with a reference that htslib would split" 'a##idx##r.fa: .*rename it' \
        annotate -T 'a##idx##r.fa' in.sam -o x.cram
else skip "names of BAM and CRAM" "no samtools"; fi

# ---- names of contigs in -r ----
{ contig a 300 1; contig a,b 300 2; contig b 300 3; contig a:1-5 300 4; contig a:1 300 5; contig '{a}' 300 6
  contig 22 300 7; contig c,d:2,e 300 8; } >names.fa
grep '^>' names.fa | sed 's/^>//; s/$/\t10\t60/' >names.bed
# selected WANTED REGION...: -r with these regions selects the rows of the contigs WANTED.
selected() {
    wanted=$1 args=; shift
    for r; do args="$args -r '$r'"; done
    is "-r $*" "$(eval "annotate -T names.fa $args names.bed" | rows - | cut -f 1 | joined)" "$wanted"
}
selected "a " a
selected "a,b " a,b
selected "a b " a b
selected "a,b b " a,b,b
selected "a,b " a,b:1-20
selected "" a,b:1-5
selected "a:1-5 " a:1-5
selected "a " '{a}:1-20'
selected "{a} " '{a}'
selected "a:1 " '{a:1}:1-20'
selected "a:1 " a:1
selected "" a:1:1-5
selected "b {a} " '{a},{b}'
selected "a,b " '{a,b}:20-30'
selected "c,d:2,e " c,d:2,e
selected "c,d:2,e " c,d:2,e:1-20
selected "a c,d:2,e " c,d:2,e,a
selected "a 22 " '{a}:1-20,22'
selected "b " b:1-1,000
selected "b 22 " b:5-20,22
error "braces without an end" 'region \{a: ' annotate -T names.fa -r '{a' names.bed
error "thousands of two digits" 'region' annotate -T names.fa -r b:1-1,00 names.bed
row '{a,b}:11-60' 'a,b:11-60' '{a}:11-60' >names.list
is "lists of regions take braces" \
    "$(annotate -T names.fa --in-format regions names.list | rows - | cut -f 2 | sort -u | lines)" 2

# ---- advice ----
# advice NAME REGEX: advice.bed is refused with a message that matches.
advice() { error "$1" "advice.bed.*$2" bed advice.bed; }
unlike() { if grep -Eq -- "$2" "$3"; then fail "$1"; diag "$3"; else pass "$1"; fi; }
row '#CHROM POS ID REF ALT QUAL FILTER INFO' 'chr1 700 . A C . . .' >advice.bed
advice "a VCF without ##fileformat" '##fileformat'
row 'chr1 700 rs1 A C 50 PASS DP=3' >advice.bed; advice "a VCF without any header" '##fileformat'
unlike "is not GFF" GFF .lines
row 'chrom start end name score strand x y' 'chr1 10 60 a 0 + 1 2' >advice.bed
advice "eight names of columns" 'begins with #'
unlike "are not GFF" GFF .lines
{ echo '# x'; row 'chrom start end' 'chr1 10 60'; } >advice.bed
advice "names of columns in line 2" ':2: .*begins with #'
row 'chr1 src exon 11 60 . + . ID=x' >advice.bed; advice "GFF" 'GFF or GTF'
row 'chr1 1e+05 110000' >advice.bed; advice "a scientific start" 'write the number out'
row 'chr1 10 6e1' >advice.bed; advice "a scientific end" 'write the number out'
row 'chr1 10 60.0' >advice.bed; advice "a fraction" 'write the number out'
printf '\tchrom\tstart\tend\n0\tchr1\t10\t60\n' >advice.bed; advice "row names" 'the first column is empty'
printf '\357\273\277chr1\t10\t60\n' >advice.bed; advice "a byte-order mark" 'byte-order mark'
printf 'chr1\t10\t60\rchr1\t10\t60\r' >advice.bed; advice "carriage returns" 'carriage returns in place of line ends'
printf 'chr1\t10\t60\nchr1\t10\t60\rchr1\t10\t60\n' >advice.bed; advice "one of them" ':2: .*carriage returns'
printf '>a\rACGT\r>b\rACGT\r' >mac.fa
error "FASTA as input" 'mac.fa: carriage returns in place of line ends; .*tr' annotate mac.fa
printf '@a\rACGT\r+\rIIII\r' >mac.fq; error "FASTQ" 'mac.fq: carriage returns' annotate mac.fq
printf '>a\nACGT\n>b\rACGT\r>c\rACGT\n' >mac.fa; error "in one record" 'mac.fa:3: .*carriage returns' annotate mac.fa
printf '\357\273\277>a\nACGT\n' >bom.fa
error "FASTA with a byte-order mark" 'bom.fa: .*byte-order mark' annotate bom.fa
for f in bom mac; do
    printf 'chr1:11-60\n' >list; [ $f = bom ] && printf '\357\273\277chr1:11-60\n' >list
    [ $f = mac ] && printf 'chr1:11-60\rchr1:1-5\r' >list
    error "a list of regions, $f" '(byte-order|carriage)' bed --in-format regions list
done
printf '\357\273\277##fileformat=VCFv4.2\n' >bom.vcf
error "VCF with a byte-order mark" 'bom.vcf: .*byte-order mark' bed bom.vcf
printf '\357\273\277@HD\tVN:1.6\n' >bom.sam
error "SAM with a byte-order mark" 'bom.sam: .*byte-order mark' annotate bom.sam
tr '\n' '\r' <h.vcf >mac.vcf; error "VCF of carriage returns" 'mac.vcf:1: .*carriage returns' bed mac.vcf
one "r 4 * 0 0 * * 0 0 $b *" | tr '\n' '\r' >mac.sam
error "SAM of carriage returns" 'mac.sam:1: .*carriage returns' annotate mac.sam
finish
