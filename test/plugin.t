#!/bin/sh
# plugin.t - bcftools +caduceus writes the same bytes as `caduceus annotate`, reports errors, and does not disturb
# bcftools.
. "${srcdir:-.}/test/lib.sh"

so=$builddir/plugin/caduceus.so
why=
command -v bcftools >/dev/null || why="no bcftools"
[ "$why" ] || [ -e "$so" ] || why="no plugin"
[ "$why" ] || ! grep -q __asan_init "$caduceus" || why="built with a sanitizer"
[ "$why" ] || bcftools plugin -l >/dev/null 2>&1 || why="a bcftools without plugins"
if [ "$why" ]; then skip "bcftools +caduceus" "$why"; finish; exit; fi

export BCFTOOLS_PLUGINS="$builddir/plugin:" # the colon keeps bcftools' own
model=$data/ps
{ contig chr1 1500 1; contig chr2 700 2; } >ref.fa
# A record every 37 bases: every third one is a deletion, the others are substitutions.
awk '
    /^>/ { name = substr($1, 2); s[name] = ""; order[++k] = name; next } { s[name] = s[name] $0 }
    END {
        print "##fileformat=VCFv4.2\n##FILTER=<ID=PASS,Description=\"All filters passed\">"
        print "##INFO=<ID=DP,Number=1,Type=Integer,Description=\"d\">"
        print "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">"
        for (i = 1; i <= k; i++) print "##contig=<ID=" order[i] ",length=" length(s[order[i]]) ">"
        print "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1"
        for (i = 1; i <= k; i++) for (p = 3; p < length(s[order[i]]) - 20; p += 37) {
            b = substr(s[order[i]], p, 1); n++
            alt = b; for (q = p; alt == b; q++) alt = substr(s[order[i]], q, 1)
            if (n % 3 == 0) { b = substr(s[order[i]], p, n % 13 + 2); alt = substr(b, 1, 1) }
            if (n % 10 == 0) alt = alt ",<DEL>"
            print order[i] "\t" p "\tid" n "\t" b "\t" alt "\t" n "\tPASS\tDP=" n "\tGT\t0/1" } }' ref.fa >in.vcf
bcftools view --no-version in.vcf -Oz -o in.vcf.gz; bcftools index -t in.vcf.gz
bcftools view --no-version in.vcf -Ob -o in.bcf; bcftools index in.bcf
printf 'chr1\t0\t60\nchr1\t40\t300\nchr2\t99\t100\nchr2\t100\t400\n' >some.bed

ann() { "$caduceus" annotate --quiet --window 64 -m "$model" -T ref.fa "$@"; }
# plug GENERAL...: runs the plugin with these general options. $more holds further options of the plugin.
more=
plug() {
    # shellcheck disable=SC2086
    bcftools +caduceus "$@" -- --quiet --window 64 -m "$model" -T ref.fa $more
}
# like_annotate NAME: the plugin's output (file got) equals that of annotate (file want), and it printed no message.
like_annotate() {
    same "$1" want got
    is "$1: no message is printed" "$(cat got.err)" ""
}
# plugs NAME GENERAL...: plug prints the content of the file want, and no message.
# prints_want NAME COMMAND...: COMMAND prints the content of the file want, and no message.
plugs() { local name=$1; shift; plug "$@" >got 2>got.err; like_annotate "$name"; }
prints_want() { local name=$1; shift; "$@" >got 2>got.err; like_annotate "$name"; }
# with_model GENERAL...: runs the plugin with the model and the reference.
# viewed OPTION...: prints seven columns of the output of bcftools view.
with_model() { bcftools +caduceus "$@" -- --quiet --window 64 -T ref.fa -m "$model"; }
columns() { grep -v '^#' | cut -f 1-7; }
viewed() { bcftools view --no-version "$@" | columns; }

# ---- the output equals that of annotate ----
is "there are records" "$(grep -vc '^#' in.vcf)" 59
ann in.vcf >want; plugs "VCF" in.vcf
is "and they have scores" "$(grep -c 'CADUCEUS_LLR=' got) $(grep -c 'CADUCEUS_DPLL=' got)" "40 19"
for O in u b v z b1 z9; do
    for in in in.vcf in.vcf.gz in.bcf; do
        ann $in -O $O >want
        plugs "$in, -O $O" $in -O $O
    done
    plugs "standard input, -O $O" -O $O <in.bcf
    plugs "-, -O$O" -O$O - <in.vcf
    plug in.vcf -O $O -o out.any; cp out.any got; like_annotate "-O $O -o"
    plug in.vcf --output-type $O --output out.long; cp out.long got; like_annotate "--output-type $O --output"
    bcftools view --no-version in.vcf.gz | plug -O $O >got 2>got.err; like_annotate "a pipe, -O $O"
done
for suffix in vcf vcf.gz bcf; do
    ann in.vcf -o a.$suffix; plug in.vcf -o p.$suffix 2>got.err
    cp a.$suffix want; cp p.$suffix got; like_annotate "-o .$suffix"
done
ann in.bcf -Ov >want
plugs "without -O and -o it is VCF, as in bcftools" in.bcf
plug in.bcf -o got 2>got.err; like_annotate "also under a name that says nothing"
for t in 1 2 5; do plug in.vcf.gz --threads $t -Oz >got.$t; done
same "--threads 2 gives the same bytes as --threads 1" got.1 got.2
same "--threads 5 gives the same bytes as --threads 1" got.1 got.5
ann in.vcf --no-version >want; plugs "--no-version" --no-version in.vcf
is "no header line of bcftools' or ours" "$(grep -c -e bcftools_ -e '^##CADUCEUS' got)" 0
for in in in.vcf.gz in.bcf; do
    for o in '-r chr1:100-300' '-r chr1:114' '-r chr1:100-200,chr1:150-300,chr2' '-R some.bed' '-t chr1:100-300' \
        '-R some.bed -t chr1'; do
        # shellcheck disable=SC2086
        ann $in -Ov $o >want
        # shellcheck disable=SC2086
        plugs "$in $o" $in $o
        # shellcheck disable=SC2086
        viewed $in $o >want; prints "$in $o: the records of bcftools view" want reading got columns
    done
    for o in chr1:114 chr1:225,chr2:77,chr1:299-301; do
        viewed $in -r $o >want; plug $in -r $o 2>got.err | columns >got
        like_annotate "$in -r $o: the records of bcftools view"
        viewed $in -t $o >want; plug -t $o <$in 2>got.err | columns >got
        like_annotate "$in -t $o: the records of bcftools view"
    done
    ann $in -Ov -L some.bed >want
    plugs "$in -T FILE is annotate's -L" $in -T some.bed
    viewed $in -T some.bed >want; prints "$in -T FILE: the records of bcftools view" want reading got columns
    for o in regions=chr2 regions-file=some.bed targets=chr2:100-300; do
        case $o in regions=*) ours=-r ;; regions-file*) ours=-R ;; *) ours=-t ;; esac
        ann $in -Ov $ours "${o#*=}" >want
        plugs "$in --$o" $in --"$o"
    done
done
printf 'chr1\t1\t60\n' >from1.txt
error "a regions file that may count from 1" 'BED' plug in.bcf -R from1.txt
error "a targets file that may count from 1" 'BED' plug in.bcf -T from1.txt
ann in.vcf >want
for f in -f --fasta-ref --reference -T; do
    prints_want "$f after --" bcftools +caduceus in.vcf -- $f ref.fa -m "$model" --window 64 --quiet
done
rest="-m $model --window 64 --quiet"
prints_want "values in one word" bcftools +caduceus in.vcf -- -fref.fa -m"$model" --window=64 --quiet
prints_want "by its path" bcftools +"$so" in.vcf -- -f ref.fa $rest
prints_want "bcftools plugin caduceus" bcftools plugin caduceus in.vcf -- -f ref.fa $rest
prints_want "\$CADUCEUS_MODEL" \
    env CADUCEUS_MODEL="$model" bcftools +caduceus in.vcf -- -f ref.fa --window 64 --quiet
for o in '--score dist,cos,n' '--mask each' '--info-prefix X' '--check-ref w' '--flank 5' \
    '--pool-window 3 --score cos'; do
    more=$o
    # shellcheck disable=SC2086
    ann in.vcf $o >want
    plugs "$o after --" in.vcf
done
more=
for w in -W -Wcsi -W=csi --write-index --write-index=csi; do
    rm -f ix.*; plug in.vcf -Ob -o ix.bcf $w 2>got.err
    is "$w" "$(bcftools index -n ix.bcf 2>/dev/null) $(echo ix.*)" "59 ix.bcf ix.bcf.csi"
done
for w in -Wtbi -W=tbi --write-index=tbi; do
    rm -f ix.*; plug in.vcf -o ix.vcf.gz $w 2>got.err
    is "$w" "$(bcftools index -n ix.vcf.gz 2>/dev/null) $(echo ix.*)" "59 ix.vcf.gz ix.vcf.gz.tbi"
done
bcftools view in.vcf -Ou | plug -Ou | bcftools view --no-version - >got 2>got.err
is "in a pipe of bcftools" "$(grep -c 'CADUCEUS_LLR=' got) $(grep -c '^##bcftools_viewCommand' got)" "40 1"

# ---- errors ----
n=$(wc -c <in.bcf) m=$(wc -c <in.vcf.gz)
for k in $((n / 2)) $((n - 28)) $((n - 1)); do
    head -c "$k" in.bcf >cut.bcf
    error "BCF cut to $k of $n bytes" 'cut' plug cut.bcf -Ob -o cut.out
    error "the same from a pipe" 'standard input' plug -Ob -o cut.out <cut.bcf
done
for k in $((m / 2)) $((m - 28)) $((m - 1)); do
    head -c "$k" in.vcf.gz >cut.vcf.gz
    error "VCF.gz cut to $k of $m bytes" 'cut' plug cut.vcf.gz -o cut.out
    error "the same with threads" 'cut' plug --threads 3 cut.vcf.gz -o cut.out
done
is "nothing is written" "$(ls -A | grep -e cut.out -e 'tmp$')" ""
error "a full standard output" 'No space left' to_full with_model in.vcf
error "a full standard output, BCF" 'No space left' to_full with_model in.vcf -Ob
error "a closed standard output" 'standard output' to_closed with_model in.vcf
if [ -e "$full" ]; then
    echo old >o.bcf
    for k in 0 100 2000; do
        error "disk full after $k bytes" 'o.bcf: .*No space left' failing_disk AFTER=$k with_model in.vcf -Ob -o o.bcf
    done
    for w in FSYNC CLOSE; do error "$w fails" 'o.bcf: ' failing_disk $w=1 with_model in.vcf -Ob -o o.bcf; done
    is "the old file is unchanged" "$(cat o.bcf)$(ls -A | grep 'tmp$')" old
else skip "disk full" "no $(basename "$full")"; fi
sed 's/^chr2	3	/chr2	x	/' in.vcf >bad.vcf
error "a line that is not a record" 'bad.vcf:[0-9]+: POS "x"' plug bad.vcf -o bad.out
sed 's/^chr2	3	/chr9	3	/' in.vcf >bad.vcf
error "a contig that is not in the header" 'bad.vcf:[0-9]+: contig "chr9"' plug bad.vcf -o bad.out
error "a file that is missing" 'gone.vcf: No such file' plug gone.vcf
error "a reference that is missing" 'gone.fa' bcftools +caduceus in.vcf -- -T gone.fa -m "$model"
error "no reference" 'give -T' bcftools +caduceus in.vcf -- -m "$model"
error "no --" 'reference|-T' bcftools +caduceus in.vcf
error "a model that is missing" 'gone' bcftools +caduceus in.vcf -- -T ref.fa -m gone
error "BED" 'holds regions|does not fit|regions' bcftools +caduceus some.bed -- -T ref.fa -m "$model" --check-ref w
error "the output is the input" 'is also an input' plug in.bcf -Ob -o in.bcf
error "two inputs" 'after --' plug in.vcf in.bcf
error "an input after --" 'expected one input, 2 given' bcftools +caduceus in.vcf -- -T ref.fa -m "$model" in.bcf
for o in '-i QUAL>3' '-e QUAL>3' '--include QUAL>3'; do
    # shellcheck disable=SC2086
    error "$o" 'bcftools view' plug in.vcf $o
done
for o in -Q --frobnicate '-O x' '--threads x' '--threads -1' '-W=gzi' '-o'; do
    # shellcheck disable=SC2086
    error "$o before --" 'annotate: ' plug in.vcf $o
done
for o in -Q --frobnicate '--score zebra' '--window x' '--embed x' --clip; do
    more=$o; error "$o after --" 'annotate: ' plug in.vcf
done
more=

# ---- usage ----
bcftools +caduceus >out 2>err </dev/null; is "without arguments: status 1" "$?" 1
like "and usage on stderr" '^Usage: bcftools \+caduceus' err
is "and nothing else is printed" "$(cat out)" ""
for h in -h --help; do
    bcftools +caduceus $h >out 2>err </dev/null; is "$h: status 0" "$?" 0
    like "$h: usage on stdout" '^Usage: bcftools \+caduceus' out
    is "$h: nothing else is printed" "$(cat err)" ""
done
# The scores that annotate lists for variants, before any line break of its usage: "of llr, dpll, n [llr,dpll]".
"$caduceus" annotate --help | tr -s ' \n' ' ' | sed 's/.*variants: \(of [^]]*]\).*/\1/' >want
bcftools +caduceus -h 2>&1 | sed -n 's/.*--score LIST *//p' >got
like "the usage of annotate lists scores of variants" '^of .*\[.+\]$' want
is "-h lists the same scores" "$(cat got)" "$(cat want)"
bcftools +caduceus -- --help >out 2>err; is "--help after --: status 0" "$?" 0
like "--help after --: annotate's own" 'check-ref' out

# ---- the plugin does not disturb bcftools ----
bcftools plugin -l >out 2>err; like "bcftools plugin -l lists it" '^caduceus$' out
n=$(BCFTOOLS_PLUGINS= bcftools plugin -l 2>/dev/null | grep -c '^[a-zA-Z]')
is "and the plugins of bcftools" "$(grep -v caduceus out | grep -c '^[a-zA-Z]')" "$n"
bcftools plugin -lv >out 2>err; like "bcftools plugin -lv describes it" '^Score variants with a Caduceus' out
is "and has no complaint about its version" "$(grep -i -A 3 caduceus err out | grep -ci -e 'version' -e 'not')" 0
plain() { env -u BCFTOOLS_PLUGINS bcftools "$@"; }
no_number() { sed 's/[0-9]* plugins/plugins/'; }
agree "bcftools without arguments is unchanged" 'plain 2>&1 | no_number' 'bcftools 2>&1 | no_number'
agree "bcftools view is unchanged" 'plain view in.bcf --no-version' 'bcftools view in.bcf --no-version'
if command -v nm >/dev/null; then
    is "the plugin uses the htslib of bcftools" \
        "$(nm -D --undefined-only "$so" | grep -c ' bcf_read$') $(ldd "$so" | grep -c libhts)" "1 0"
else skip "the plugin uses the htslib of bcftools" "no nm"; fi
# A signal arrives while the plugin waits for input.
if perl -e 1 2>/dev/null; then
    rm -f feed o.bcf; mkfifo feed
    natural bcftools +caduceus -Ob -o o.bcf -- --quiet --window 64 -T ref.fa -m "$model" <feed 2>sig.err & pid=$!
    exec 7>feed
    cat in.vcf >&7
    await 1 .
    kill -TERM $pid; { wait $pid; status=$?; } 2>/dev/null
    exec 7>&-
    is "TERM ends it with status 143 and no message" "$status $(cat sig.err)" "143 "
    is "and no file is left" "$(ls -A | grep -e '^o.bcf' -e 'tmp$')" ""
    {   (natural bcftools +caduceus in.vcf -- --quiet --window 64 -T ref.fa -m "$model" 2>pipe.err)
        echo $? >status; } | true
    is "a broken pipe gives 141" "$(cat status) $(cat pipe.err)" "141 "
fi

# ---- the installed plugin ----
install_() { (unset MAKEFLAGS MAKELEVEL MFLAGS; make -s -C "$builddir" install DESTDIR="$dir/root"); }
if [ -f "$builddir/Makefile" ] && install_ >make.log 2>&1; then
    installed=$(find "$dir/root" -name caduceus.so | head -n 1)
    is "one plugin is installed" "$(find "$dir/root" -name 'caduceus.so*' | lines)" 1
    export BCFTOOLS_PLUGINS="${installed%/*}:"
    ann in.vcf >want; plugs "the installed plugin" in.vcf
    bcftools +caduceus in.vcf -- -T ref.fa --window 64 --quiet >got 2>got.err
    is "it finds the installed bundled model" "$?" 0
    is "without a word, since it is --quiet" "$(cat got.err)" ""
    bcftools +caduceus in.vcf -- -T ref.fa --window 64 >got2 2>got.err
    is "else with one warning" "$(grep -c 'bundled small model' got.err) $(lines <got.err)" "1 1"
    bcftools +caduceus in.vcf -- -T ref.fa --window 64 -m bundled >got2 2>got.err
    is "and without one for -m bundled" "$(cat got.err)" ""
    paths=$(readelf -d "$installed" 2>/dev/null | grep -i -e rpath -e runpath)
    is "it does not refer to the build tree" "$paths" ""
else skip "the installed plugin" "no make install here"; fi
finish
