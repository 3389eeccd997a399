#!/bin/sh
# values.t - no value is changed without a message. A value that htslib cannot store is an error, or a warning names it
# and a summary counts such values.
#
# Tested: VCF numbers in other notations, with blanks, beyond float32 and float64, with more than six digits, empty, in
# lists of a wrong length; repeated keys; SAM fields and tags of every type that hold text, blanks, hexadecimal numbers,
# signs, values that are too large, too many letters; letters of SEQ; the tag CG; in CRAM, every CIGAR operation, also
# twice in a row, with length 0 and past the end of the contig, and unaligned and unpaired reads; binary records written
# as text; parts that merge writes in another format.
. "${srcdir:-.}/test/lib.sh"

{ contig one 900 3; contig two 800 4; } >ref.fa
seq=$(grep -v '>' ref.fa | tr -d '\n')
at() { echo "$seq" | cut -c "$1"; }
annotate() { "$caduceus" annotate -m "$data/ps" --window 64 -T ref.fa --score n "$@"; }
# counts FILE: prints the four numbers of the closing summary: lost values, rounded numbers, reads with changed letters,
# reads changed by CRAM. Without a summary prints "0 0 0 0".
counts() {
    awk '/: in all: / { v = n("value"); r = n("number"); l = n("read.s. with letters"); c = n("read.s. that CRAM") }
        END { print v + 0, r + 0, l + 0, c + 0 }
        function n(what) { return match($0, "[0-9]+ " what) ? substr($0, RSTART) + 0 : 0 }' "$1"
}

# ---- VCF ----
ref=$(at 40); alt=$(echo "$ref" | tr ACGT CGTA)
{   printf '##fileformat=VCFv4.2\n##contig=<ID=one>\n##FILTER=<ID=q10,Description="x">\n'
    for t in 'A 1 Integer' 'L . Integer' 'F . Float' 'S 1 String' 'G 0 Flag' 'C 1 Character'; do
        set -- $t; printf '##INFO=<ID=%s,Number=%s,Type=%s,Description="x">\n' $1 $2 $3
    done
    for t in 'GT 1 String' 'DP 1 Integer' 'AD . Integer' 'GQ 1 Float' 'ST 1 String' 'CH 1 Character'; do
        set -- $t; printf '##FORMAT=<ID=%s,Number=%s,Type=%s,Description="x">\n' $1 $2 $3
    done
    row '#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT a b'; } >head.vcf
# vcf QUAL INFO FORMAT A B: writes in.vcf with one record.
vcf() { { cat head.vcf; printf "one\t40\t.\t$ref\t$alt\t$1\t.\t$2\t$3\t$4\t$5\n"; } >in.vcf; }
# keeps NAME COLUMNS: annotate prints no message, and the columns QUAL, INFO, FORMAT, a and b of its output are COLUMNS
# (separated by blanks).
keeps() {
    local name=$1 want=$2; annotate in.vcf >out.vcf 2>err
    is "$name" "$(rows out.vcf | cut -f 6,8- | sed 's/;CADUCEUS_N=1//' | tr '\t' ' ')|$(cat err)" "$want|"
}
# loses NAME VALUES ROUNDED REGEX: the summary counts VALUES lost values and ROUNDED numbers, and a warning matches.
loses() {
    annotate in.vcf >out.vcf 2>err; is "$1: exit, values, rounded" "$? $(counts err)" "0 $2 $3 0 0"
    like "$1: with a warning" "warning: in.vcf:17: $4" err
}
vcf 29.0 'A=007;L=+5,;F=1.50,1e-5,nan,-0,.5,Inf;S=;G=1;C=AB' GT:DP:AD '0|1:3:1,2' '1/1'
keeps "numbers in another notation" '29 A=7;L=5,.;F=1.5,1e-05,nan,-0,0.5,inf;S;G=1;C=AB GT:DP:AD 0|1:3:1,2 1/1:.:.'
vcf . 'A=;;L=1,,2;UNKNOWN=x' GT:AD:ST:CH './.:.,.:a,b:xy' '.'
keeps "values that are missing" '. A=.;L=1,.,2;UNKNOWN=x GT:AD:ST:CH ./.:.,.:a,b:xy .:.:.:.'
vcf . 'A=1;A=2;S=x;S=y' DP:GT '3:0/1' '4:1/1'
keeps "INFO keys named twice" '. A=1;A=2;S=x;S=y DP:GT 3:0/1 4:1/1'
vcf . 'F=1e39' GT 0/1 0/1;              loses "beyond float32" 1 0 'INFO/F: "1e39" .*"inf"'
vcf . 'F=-1e400,1e-400,2' GT 0/1 0/1;   loses "beyond float64" 2 0 'INFO/F: "-1e400" .*"-inf"'
vcf . 'F=1e-46' GT 0/1 0/1;             loses "below float32" 1 0 'INFO/F: "1e-46" .*"0"'
vcf . 'F=0x10,2' GT 0/1 0/1;            loses "hexadecimal" 1 0 'INFO/F: "0x10"'
vcf . 'A= 12;L=1, 2,3 ' GT 0/1 0/1;     loses "blanks" 3 0 'INFO/A: " 12"'
vcf . 'L=2147483648,x,1.5,-2147483648' GT 0/1 0/1; loses "no 32-bit integers" 4 0 'INFO/L: "2147483648"'
vcf . 'F=12345678,0.123456789,3' GT 0/1 0/1;       loses "more than six digits" 0 2 'INFO/F: "12345678" .*1.23457e\+07'
vcf 123456789.12 'A=1' GT:GQ 0/1:0.12345678 0/1:9; loses "QUAL and FORMAT too" 0 2 'QUAL: "123456789.12"'
vcf . 'A=1' GT:DP 0/1:3 0/1:99999999999;           loses "samples" 1 0 'FORMAT/DP: "99999999999"'
vcf . 'A=1' GT:GQ:DP 0/1::3 0/1:9:3;               loses "an empty Float, which htslib reads as 0" 1 0 'FORMAT/GQ: ""'
for keys in GT:X:GT GT:GT DP:GT:GT; do
    vcf . A=1 $keys 0/1:9:0/1 0/1:1:0/1
    error "FORMAT $keys" 'in.vcf:17: (FORMAT names GT twice|malformed)' annotate in.vcf -o no.vcf
done
vcf . 'CADUCEUS_N=1;CADUCEUS_N=2' GT 0/1 0/1
error "a field of annotate twice" 'one:40: INFO names CADUCEUS_N twice' annotate in.vcf -o no.vcf
vcf . 'A=1;=5;L=2' GT 0/1 0/1
error "INFO without a key" 'in.vcf:17: INFO ' annotate in.vcf -o no.vcf
{ cat head.vcf; printf "one\t40\t.\t$ref\t$alt,\t.\t.\t.\tGT\t0/1\t0/1\n"; } >in.vcf
error "an empty allele" 'in.vcf:17: ALT "[ACGT]," would be written as' annotate in.vcf -o no.vcf
vcf . 'F=0.5,1e39;A= 3' GT 0/1 0/1
bgzip -c in.vcf >in.vcf.gz; tabix -p vcf in.vcf.gz
annotate -r one in.vcf.gz >out.vcf 2>err; is "through an index" "$? $(counts err)" "0 2 0 0 0"
annotate -O b -o out.bcf in.vcf 2>err; is "into BCF" "$? $(counts err)" "0 2 0 0 0"
is "no refused file is left" "$(ls no.* 2>/dev/null)" ""

# ---- SAM ----
if ! command -v samtools >/dev/null; then skip "reads" "no samtools"; finish; exit; fi
S=ACGTACGTAC; Q=IIIIIIIIII
# sam FIELD...: writes in.sam with one record of these 11 fields and tags. Escapes such as \t are expanded.
sam() { { row '@SQ SN:one LN:900' '@SQ SN:two LN:800'; printf '%b' "$1"; shift; printf '\t%b' "$@"; echo; } >in.sam; }
tag() { sam a 0 one 11 60 10M '*' 0 0 $S $Q "$@"; }
# kept NAME FIELDS: annotate prints no message and writes a record of FIELDS and the tag yn.
kept() {
    annotate --no-PG in.sam 2>err | tail -n 1 | sed "s/${tab}yn:i:[0-9]*//" >got
    is "$1" "$(tr '\t' ' ' <got)|$(cat err)" "$2|"
}
tag XX:f:1.50 XY:i:007 XI:I:5 XA:A:x XH:H:1AE3 XB:B:S,1,+2,65535 Xf:B:f,1e-5 XZ:Z: XZ:Z:b Xn:f:nan Xm:i:4294967295
kept "tags in another notation" "a 0 one 11 60 10M * 0 0 $S $Q XX:f:1.5 XY:i:7 XI:i:5 XA:A:x XH:H:1AE3 \
XB:B:S,1,2,65535 Xf:B:f,1e-05 XZ:Z: XZ:Z:b Xn:f:nan Xm:i:4294967295"
sam a 0x10 one 011 060 10M one 20 -05 NNACGTACGT $Q
kept "fields in another notation" "a 16 one 11 60 10M = 20 -5 NNACGTACGT $Q"
sam a 0 one 1 60 10S10N '*' 0 0 $S '*' CG:B:I,160 XX:i:1
kept "a CIGAR of more than 65,535 operations may stand in CG" "a 0 one 1 60 10S10N * 0 0 $S * CG:B:I,160 XX:i:1"
refused() { error "$1" "$2" annotate in.sam -o no.sam; }
for t in XX:f:abc XX:f:1.5x XX:f:0x10 'XX:f: 1' XX:i:5.5 XX:i:5x XX:i:5000000000 XX:i:-3000000000 XX:i:0x10 XX:A:xy \
    XX:c:5 XX:C:200 'XX;i:5' 'XX:i;5' XX:B:S,1,70000 XX:B:C,-1 XX:B:S,1,x XX:B:i,1.5 XX:B:S,1,,2 XX:B:S,1, XX:q:1; do
    tag "$t"; refused "the tag $t" 'in.sam:3: (read a: |not a SAM record)'
done
tag XX:f:1e39 XY:B:f,1,1e-46; annotate in.sam >out.sam 2>err
is "tags beyond float32" "$? $(counts err)" "0 2 0 0 0"
like "with a warning" 'in.sam:3: read a: XX "1e39" is beyond float32 and written as "inf"' err
tag XX:f:0.123456789; annotate in.sam >out.sam 2>err; is "more than six digits" "$? $(counts err)" "0 0 1 0 0"
for f in 65536 70000 0x10000 -1 '' 16x; do
    sam a "$f" one 11 60 10M '*' 0 0 $S $Q; refused "FLAG '$f'" 'in.sam:3: (read a: FLAG|not a SAM record)'
done
for f in 256 300 -1 '' 1e1; do
    sam a 0 one 11 "$f" 10M '*' 0 0 $S $Q; refused "MAPQ '$f'" 'in.sam:3: (read a: MAPQ|not a SAM record)'
done
for letters in acgtACGTAC AC.TACGTAC ACUTACGTAC AC-TACGT1C; do
    sam a 0 one 11 60 10M '*' 0 0 $letters $Q; annotate in.sam >out.sam 2>err
    is "SEQ $letters" "$? $(counts err)" "0 0 0 1 0"
    like "and a warning names the read" 'in.sam:3: read a: SEQ has ' err
done
bgzip -c in.sam >in.sam.gz; annotate in.sam.gz >out.sam 2>err; is "SEQ of a compressed SAM" "$(counts err)" "0 0 1 0"

# ---- CRAM ----
# cram FIELD...: writes the record as CRAM, and the messages to the file err.
cram() { sam "$@"; annotate --no-PG in.sam -O cram -o out.cram 2>err; }
# held NAME REGEX: the summary counts one read, and the warning matches.
held() { is "CRAM: $1" "$? $(counts err)" "0 0 0 0 1"; like "CRAM: $1: with a warning" "read a: CRAM $2" err; }
cram a 0 one 11 60 4=2X4= '*' 0 0 $S $Q;   held "= and X" 'turns = and X'
cram a 0 one 11 60 5M5M '*' 0 0 $S $Q;     held "M after M" 'joins operations'
cram a 0 one 11 60 5M0I5M '*' 0 0 $S $Q;   held "an operation of no length" 'joins operations'
cram a 4 one 11 60 '*' '*' 0 0 $S $Q;      held "MAPQ of an unaligned read" 'drops MAPQ'
cram a 4 one 11 0 10M '*' 0 0 $S $Q;       held "CIGAR of an unaligned read" 'drops the CIGAR'
cram a 0 one 11 60 10M two 5 0 $S $Q;      held "RNEXT of an unpaired read" 'drops RNEXT'
cram a 65 one 11 60 2S3M1D2M3H two 5 0 ACGTACG IIIIIII
is "CRAM: an ordinary read" "$? $(counts err)" "0 0 0 0 0"
for c in 5M5B5M 10M1B; do
    sam a 0 one 11 60 $c '*' 0 0 $S $Q
    error "CRAM: CIGAR $c" 'in.sam: read a has an operation B in its CIGAR' annotate in.sam -O cram -o no.cram
done
sam a 0 one 895 60 10M '*' 0 0 $S $Q
error "CRAM: past the contig's end" 'read a reaches past the end of its contig one' annotate in.sam -O cram -o no.cram
sam a 0 one 11 60 10S '*' 0 0 $S $Q CG:B:I,96
error "a CIGAR in CG that does not fit SEQ" 'in.sam:3: read a: CIGAR' annotate in.sam -O cram -o no.cram

# Records of every kind are written as CRAM and read again. Every record that differs has been counted.
{   row '@SQ SN:one LN:900' '@SQ SN:two LN:800' '@RG ID:g'
    awk 'BEGIN { s = 11; OFS = "\t"; split("0 16 4 77 141 99 147 65 129 73 133 256 2048 512 69 12 1 2", flag, " ")
        for (i = 0; i < 600; i++) {
            cigar = q = t = ""; n = 1 + rnd(6)
            for (k = 0; k < n; k++) {
                op = substr("MMMMIDNP=X", 1 + rnd(10), 1); len = rnd(12) + (rnd(10) > 0); cigar = cigar len op
                if (op ~ /[MI=X]/) q += len
                if (op ~ /[MDN=X]/) t += len }
            if (rnd(4) == 0) { cigar = cigar "3S2H"; q += 3 }
            seq = qual = ""
            for (k = 0; k < q; k++) { seq = seq substr("ACGTACGTACGTNRYSWK=", 1 + rnd(19), 1); qual = qual "I" }
            if (seq == "" || rnd(20) == 0) seq = qual = "*"
            if (rnd(5) == 0) qual = "*"
            f = flag[1 + rnd(18)]; mapq = 60 * rnd(2); unaligned = int(f / 4) % 2
            if (unaligned && rnd(2)) cigar = "*"
            mate = rnd(3); tag = rnd(2) ? "\tXX:f:0.5\tRG:Z:g" : "\tXZ:Z:\tXB:B:c,-1,2"
            print "r" i, f, "one", 1 + rnd(800), mapq, cigar, mate == 0 ? "*" : mate == 1 ? "=" : "two", \
                mate ? 1 + rnd(700) : 0, mate ? rnd(500) - 250 : 0, seq, qual tag } }
        function rnd(n) { s = (s * 16807) % 2147483647; return int(s / 64) % n }'; } >many.sam
ok "many records into CRAM" annotate --exclude-flags 0 --require-flags 0x8000 --no-PG many.sam -O cram -o many.cram
samtools view -T ref.fa --input-fmt-option decode_md=0 many.cram >back.sam
grep -v '^@' many.sam >there.sam
paste there.sam back.sam | awk -F '\t' '{ n = NF / 2; bad = 0
    for (i = 1; i <= 11; i++) bad += $i != $(n + i)
    for (i = 12; i <= n; i++) { for (k = 12; k <= n && $i != $(n + k); k++); bad += k > n }
    changed += bad > 0 } END { print NR, changed }' >changed
is "as many records differ as were counted" "$(cat changed)" "600 $(counts .err | cut -d ' ' -f 4)"

# ---- binary records as text: float32 has up to nine digits, and htslib writes six ----
tag XX:f:0.123456789 XY:f:0.5 XB:B:f,1,123456789,0.1,3e-5 Xn:f:nan Xi:f:inf XZ:Z:0.123456789 yp:f:0.123456789
annotate in.sam -o in.bam 2>err
annotate in.bam -o out.sam 2>err; is "BAM as SAM" "$? $(counts err)" "0 0 3 0 0"
like "which is said" 'warning: in.bam: read a: XX 0.123456791 is rounded to 0.123457$' err
annotate --score pll in.bam -o out.sam 2>err
is "a tag that is replaced does not count" "$? $(counts err)" "0 0 2 0 0"
annotate in.bam -o out.bam 2>err; is "BAM as BAM" "$? $(counts err) $(lines <err)" "0 0 0 0 0 0"
vcf 0.123456789 'A=1;F=0.1,12345678,1e-30,.;L=123456789' GT:GQ:DP 0/1:0.123456789:3 '0/1:.:.'
annotate in.vcf -o in.bcf 2>err
annotate in.bcf -o out.vcf 2>err; is "BCF as VCF" "$? $(counts err)" "0 0 3 0 0"
like "which is said" 'warning: in.bcf: one:40: QUAL 0.123456791 is rounded to 0.123457$' err
annotate in.bcf -o out.bcf 2>err; is "BCF as BCF" "$? $(counts err) $(lines <err)" "0 0 0 0 0 0"
bcftools index in.bcf
annotate -r one in.bcf -o out.vcf 2>err; is "BCF as VCF, through an index" "$? $(counts err)" "0 0 3 0 0"

# ---- merge ----
parts() {
    local k in=$1; shift
    for k in 1 2; do annotate --shard $k/2 "$in" -o "part$k.$(echo "$in" | sed 's/.*[.]//')" 2>err || cat err; done
}
sam a 0 one 11 60 4=2X4= '*' 0 0 $S $Q XX:f:0.123456789; annotate --no-PG in.sam -o in.bam 2>err
parts in.bam
"$caduceus" merge -o whole.sam part1.bam part2.bam 2>err
is "merge: BAM as SAM" "$? $(counts err)" "0 0 1 0 0"
like "which is said" 'merge: warning: part..bam: read a: XX 0.123456791 is rounded to 0.123457$' err
"$caduceus" merge -T ref.fa -o whole.cram part1.bam part2.bam 2>err
is "merge: BAM as CRAM" "$? $(counts err)" "0 0 0 0 1"
like "which is said" 'merge: warning: read a: CRAM turns = and X' err
"$caduceus" merge -o whole.bam part1.bam part2.bam 2>err; is "merge: BAM as BAM" "$? $(cat err)" "0 "
sam a 0 one 11 60 5M5B5M '*' 0 0 $S $Q; annotate --no-PG in.sam -o in.bam 2>err
parts in.bam
error "merge: what CRAM cannot hold" 'part..bam: read a has an operation B' \
    "$caduceus" merge -T ref.fa -o no.cram part1.bam part2.bam
vcf . 'F=0.5,0.123456789' GT 0/1 0/1; annotate in.vcf -o in.bcf 2>err
parts in.bcf
"$caduceus" merge -o whole.vcf part1.bcf part2.bcf 2>err; is "merge: BCF as VCF" "$? $(counts err)" "0 0 1 0 0"
"$caduceus" merge -o whole.bcf part1.bcf part2.bcf 2>err; is "merge: BCF as BCF" "$? $(cat err)" "0 "
is "no refused read file is left" "$(ls no.* 2>/dev/null)" ""
finish
