#!/bin/sh
# process.t - signals, broken pipes, failing allocations, threads and usage (faults 45, 46, 47, 53, 55, 57, 58 of
# doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

model=$data/ps
{ contig chr1 900 1; contig chr2 500 2; } >ref.fa
awk 'BEGIN { for (i = 0; i < 20; i++) print "chr" i % 2 + 1 "\t" 20 * i "\t" 20 * i + 25 + i "\trow" i }' >in.bed
run() { "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa "$@"; }
run in.bed >plain.bed 2>err || echo "Bail out! $(cat err)"
olds="o.bed e.npy e.npy.json"

# ---- signals (45, 46) ----
# More bytes than a read buffer holds, so that the rows before it have been read.
awk 'BEGIN { for (i = 0; i < 20000; i++) print "# filler" }' >filler

# during SIGNAL STATUS: sends a signal to a run that waits for input with open outputs; the run must exit with STATUS.
during() {
    old $olds
    rm -f feed; mkfifo feed
    natural "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa - -o out/o.bed --embed out/e.npy \
        <feed 2>sig.err & pid=$!
    exec 7>feed
    cat in.bed filler >&7
    await 3 out
    is "$1: three temporaries are open" "$(ls -A out | grep -c 'tmp$')" 3
    kill -"$1" $pid
    { wait $pid; status=$?; } 2>/dev/null
    exec 7>&-
    is "$1 ends it with status $2" "$status" "$2"
    is "$1: no message is printed" "$(cat sig.err)" ""
}
if perl -e 1 2>/dev/null; then
    for s in INT=130 TERM=143 HUP=129; do
        during ${s%=*} ${s#*=}
        intact "${s%=*}: the old outputs are there, the temporary files are removed"
    done
    during KILL 137
    rm -f out/.*tmp
    intact "KILL: the old outputs are there"
    old $olds; rm out/*
    natural "$caduceus" annotate --quiet -m "$model" -T ref.fa - -o out/o.bed <feed & pid=$!
    exec 7>feed
    cat in.bed filler >&7
    await 1 out
    kill -KILL $pid; wait $pid
    exec 7>&-
    is "KILL: no output file appears" "$(ls out)" ""

    # A signal arrives during the computation.
    contig long 60000 3 >long.fa
    for s in INT=130 TERM=143; do
        old $olds
        natural "$caduceus" annotate --quiet -@ 2 -m "$model" --mask each long.fa -o out/o.bed --embed out/e.npy \
            </dev/null & pid=$!
        await 3 out
        sleep 0.2
        kill -"${s%=*}" $pid; wait $pid
        is "${s%=*} while it computes: status ${s#*=}" "$?" "${s#*=}"
        intact "${s%=*} while it computes: the old outputs are there"
    done

    # Signals that are ignored when the program starts stay ignored.
    rm -f feed; mkfifo feed
    (trap '' HUP INT; exec "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa - -o out/o.bed <feed) & pid=$!
    exec 7>feed
    cat in.bed filler >&7
    await 1 out
    kill -HUP $pid; kill -INT $pid
    exec 7>&-
    wait $pid
    is "under nohup the run continues" "$?" 0
    grep -v '^# filler' out/o.bed >went.bed
    same "and its output is complete" plain.bed went.bed
else
    skip "signals remove temporary files" "no perl"
fi

# ---- broken pipe (47) ----
awk 'BEGIN {
    for (i = 0; i < 200; i++) name = name "0123456789"
    for (i = 0; i < 400; i++) print "chr1\t" i "\t" i + 4 "\t" name }' >wide.bed
# The same with names that do not compress well.
awk 'BEGIN { s = 1; for (i = 0; i < 400; i++) {
    name = ""; for (k = 0; k < 300; k++) { s = s * 16807 % 2147483647; name = name s }
    print "chr1\t" i "\t" i + 4 "\t" name } }' >noise.bed
narrow() { "$caduceus" annotate --quiet --window 16 -m "$model" -T ref.fa "$@"; }
ok "the piped output is larger than a pipe" test "$(wc -c <wide.bed)" -gt 500000
perl -e 1 2>/dev/null && natural=natural || natural=
for suffix in bed bed.gz; do
    rm -f pipe; mkfifo pipe
    head -c 1 <pipe >/dev/null &
    set -- $natural "$caduceus" annotate --quiet --window 16 -m "$model" -T ref.fa
    if [ $suffix = bed ]; then ("$@" wide.bed >pipe 2>pipe.err)
    else ln -s pipe pipe.bed.gz; ("$@" noise.bed -o pipe.bed.gz 2>pipe.err); fi
    is "a broken pipe gives 141 ($suffix)" "$?" 141
    is "no message is printed" "$(cat pipe.err)" ""
    wait
done
{ narrow wide.bed 2>pipe.err; echo $? >status; } | head -n 1 >first
is "... | head -n 1 sees the first line" "$(cat first)" "$(head -n 1 plain.bed)"
is "and the exit status is 141" "$(cat status)" 141
{   sh -c 'trap "" PIPE; exec "$@"' - "$caduceus" annotate --quiet --window 16 -m "$model" -T ref.fa wide.bed 2>pipe.err
    echo $? >status; } | head -n 1 >first
is "also if SIGPIPE is ignored at the start" "$(cat status) $(cat pipe.err)" "141 "
old $olds
{ narrow wide.bed --embed out/e.npy 2>pipe.err; echo $? >status; } | head -n 1 >first
is "with an embedding file: 141" "$(cat status)" 141
intact "and the embedding file is unchanged"

# ---- allocations fail (53) ----
why=$(no_preload "$failing")
if [ "$why" ]; then skip "a failing allocation is an error" "$why"
else
    head -n 3 in.bed >few.bed
    printf 'chr2\n' >few.txt
    printf '>a\nACGTNACGTTGACGT\n>b\nGGT\n' >few.fa
    # failures NAME COMMAND...: runs the command for many n with a failing n-th allocation. Either the exit status is 0
    # and all outputs are complete, or it is 1 with one line of error and no output.
    failures() {
        what=$1; shift
        rm -f f.*; "$@" >f.out 2>/dev/null </dev/null; mkdir -p want; rm -f want/*; cp f.* want
        n=1 wrong= failed=0
        while [ $n -lt 40000 ]; do
            rm -f f.*
            env LD_PRELOAD="$failing" FAILMALLOC_AT=$n "$@" >f.out 2>err </dev/null; status=$?
            case $status in
            0)  cat f.* >got; cat want/f.* >wanted
                cmp -s got wanted || wrong="$wrong $n:output"
                [ $n -gt 400 ] && [ "$failed" -eq "$before" ] && [ $n -gt 8000 ] && break ;;
            1)  failed=$((failed + 1))
                [ "$(grep -cv ': warning: ' err)" -eq 1 ] && grep -q "^caduceus $2[ :]" err || wrong="$wrong $n:lines"
                case $what in
                *info*) ;;
                *) [ "$(ls f.*)" = f.out ] || wrong="$wrong $n:left($(ls f.* | joined))" ;;
                esac ;;
            *)  wrong="$wrong $n:status$status" ;;
            esac
            before=$failed
            if [ $n -lt 60 ]; then n=$((n + 1)); else n=$((n + n / 18)); fi
        done
        is "$what: every failing allocation is an error or nothing" "$wrong" ""
        if [ $failed -ge 25 ]; then pass "$what: $failed allocations did fail"
        else fail "$what: only $failed allocations did fail"; fi
    }
    failures "annotate" "$caduceus" annotate --quiet --window 96 -@ 1 -m "$model" -T ref.fa few.bed -o f.bed.gz \
        --embed f.npy
    failures "annotate of FASTA with 3 threads" "$caduceus" annotate --quiet --window 96 -@ 3 -m "$model" few.fa -o \
        f.bed --embed -
    awk -v OFS='\t' '{ print $1, $2, $3, NR % 2 ? "train" : "valid" }' few.bed >split.bed
    failures "eval with 2 threads" "$caduceus" eval --quiet --window 96 -@ 2 -m "$model" -T ref.fa -L split.bed \
        --markov 4 --sample 3 -o f.tsv
    failures "model info" "$caduceus" model info -m "$model"
fi

# ---- threads (57, 58) ----
for t in 1 2 7 0; do
    run -@ $t in.bed -o t.bed --embed t.npy
    run -@ $t - <in.bed >stdin.bed
    if [ $t = 1 ]; then
        mv t.bed one.bed; mv t.npy one.npy; mv t.npy.json one.json; mv stdin.bed one.stdin
    else
        same "-@ $t gives the rows of -@ 1" one.bed t.bed
        same "-@ $t gives the .npy of -@ 1" one.npy t.npy
        same "-@ $t gives the .json of -@ 1" one.json t.npy.json
        same "-@ $t gives the rows of -@ 1 from standard input" one.stdin stdin.bed
    fi
done
same "standard input gives the same bytes as a file" plain.bed one.stdin
awk 'BEGIN { print "chr1\t0\t900" }' >whole.bed
for t in 1 2 7; do run -@ $t --mask each whole.bed >whole.$t; done
same "-@ 2 gives the same for one long region" whole.1 whole.2
same "-@ 7 gives the same for one long region" whole.1 whole.7
for t in abc -1 '' 1x ' 1' 1.5 4097 99999999999999999999 18446744073709551617 0x2 1e1; do
    error "-@ '$t' is refused" '-@ ' run -@ "$t" in.bed
    error "--threads '$t' is refused" '-@ |--threads' run --threads "$t" in.bed
done
for o in '--window 0' '--window -5' '--window 1x' '--window 99999999999999999999' '--flank -1' '--flank x' \
    '--window 64 --flank 32' '--mask stride:0' '--mask stride:' '--mask stride:-3' '--mask stride:8x' '--mask all' \
    '--score pll,zebra' '--score none' '--pool mean' '--embed - --pool none' '--embed x.npy --pool sum' \
    '--in-format gff' '--verbosity x' '--verbosity -1'; do
    # shellcheck disable=SC2086
    error "$o is refused" 'annotate: ' "$caduceus" annotate --quiet -m "$model" -T ref.fa in.bed -o refused.bed $o
    is "and writes nothing" "$(ls | grep -E 'refused|x\.npy')" ""
done

# ---- devices (55) ----
for d in cuda cuda:0 cuda:99 gpu '' CPU cpux; do
    error "-d '$d' is an error" "(-d|device) $d" run -d "$d" in.bed
done
run -d cpu in.bed >cpu.bed; run -d auto in.bed >auto.bed
same "-d cpu" plain.bed cpu.bed
same "-d auto" plain.bed auto.bed
run --quiet -d cpu --precision bf16 -@ 1 in.bed >half.bed; run --quiet -d cpu --precision bf16 -@ 3 in.bed >half3.bed
same "--precision bf16: the same bytes with three threads" half.bed half3.bed
like "and the header says so" '^##caduceus_precision=bf16' half.bed
differ "but the values differ from fp32" half.bed cpu.bed
CADUCEUS_ISA=avx2 "$caduceus" annotate -d cpu -m "$data/ps" -T ref.fa --precision bf16x3 in.bed 2>note >two.bed
like "without matrix tiles, a note says that bf16x3 is fp32" 'note: computing on the CPU: .*no matrix tiles' note
like "and the header says what was asked for" '^##caduceus_precision=bf16x3' two.bed
for isa in amx-plain avx512bf16-plain; do
    CADUCEUS_ISA=$isa run --quiet -d cpu --precision bf16x3 -@ 1 in.bed >one.bed
    CADUCEUS_ISA=$isa run --quiet -d cpu --precision bf16x3 -@ 3 in.bed >three.bed
    same "$isa: the same bytes with three threads" one.bed three.bed
done
error "--precision fp16 is an error" '--precision fp16' run --precision fp16 in.bed

# ---- usage ----
usage() { # NAME STATUS STREAM COMMAND...: the command exits with STATUS and prints a usage to STREAM
    what=$1 want=$2 stream=$3; shift 3
    "$@" >usage.out 2>usage.err; status=$?
    is "$what: status $want" "$status" "$want"
    if [ "$stream" = out ]; then set -- usage.out usage.err; else set -- usage.err usage.out; fi
    like "$what: usage on std$stream" '^Usage: caduceus' "$1"
    is "$what: nothing on the other stream" "$(cat "$2")" ""
}
usage "caduceus --help" 0 out "$caduceus" --help
usage "caduceus help" 0 out "$caduceus" help
usage "annotate --help" 0 out "$caduceus" annotate --help
usage "model --help" 0 out "$caduceus" model --help
usage "model info --help" 0 out "$caduceus" model info --help
usage "model verify --help" 0 out "$caduceus" model verify --help
for command in annotate track embed pretrain finetune predict eval model bench merge 'model info' 'model pull' \
    'model list' 'model verify' 'model convert' 'model new'; do
    "$caduceus" $command --help >long 2>&1
    usage "$command -h" 0 out "$caduceus" $command -h
    same "$command -h is $command --help" long usage.out
    usage "help $command" 0 out "$caduceus" help $command
    same "help $command is $command --help" long usage.out
    like "$command --help ends with examples" "^  caduceus $command( |$)" usage.out
done
usage "caduceus -h" 0 out "$caduceus" -h
error "no command" '^caduceus help: name a command; `caduceus help` lists them' "$caduceus"
for command in annotate track embed pretrain finetune predict eval model bench merge; do
    error "$command alone" "no arguments; usage: caduceus $command .*--help" "$caduceus" $command
done
error "help for no command" 'anotate: no such command; did you mean annotate' "$caduceus" help anotate
error "help for no action" 'model pul: no such command; did you mean pull' "$caduceus" help model pul
error "an action of a command that has none" 'annotate has no actions' "$caduceus" help annotate bed
ok "version" "$caduceus" version
like "it names caduceus" '^caduceus [0-9]' .out
like "and htslib" 'htslib [0-9]' .out
error "an unknown command" 'no such command; `caduceus help` lists them' "$caduceus" frobnicate
error "a misspelt command" 'no such command; did you mean annotate' "$caduceus" anotate
error "letters that changed places" 'did you mean eval' "$caduceus" evla
error "a misspelt action" 'model inf: no such command; did you mean info' "$caduceus" model inf
error "an unknown long option" '--frobnicate: no such option; see --help' run --frobnicate in.bed
error "a misspelt option" '--regoin: no such option; did you mean --region' run --regoin=chr1 in.bed
error "an option with a word too many" 'did you mean --output\?' run --output-file x in.bed
error "an unknown short option" '-Z: no such option; see --help' run -Z in.bed
error "an unknown short option among others" '-Z: no such option' run -Zq 3 in.bed
error "an ambiguous option" '--s: ambiguous; it may be any of .*--score, .*--split' run --s pll in.bed
error "a value that is not wanted" '--clip takes no value' run --clip=3 in.bed
error "a value that is missing" '-T: its value is missing' "$caduceus" annotate in.bed -T
error "a long option's value that is missing" '--window: its value is missing' run in.bed --window
error "two inputs" 'expected one input, 2 given; in.bed looks like a BED: -L in.bed' run in.bed in.bed
error "a FASTA too many" '2 given; x.fa looks like a FASTA: -T x.fa' run x.fa in.bed
error "a region too many" '2 given; chr1:1,000-2,000 looks like a region: -r chr1' run in.bed chr1:1,000-2,000
error "a model too many" '2 given; hf:lab/dna looks like a model: -m hf:lab/dna' run in.bed hf:lab/dna
error "an output too many" '2 given; gone looks like a file to write: -o gone' run in.bed gone
error "a FASTA for eval" 'x.fa: no such argument; x.fa looks like a FASTA: -T x.fa' "$caduceus" eval x.fa
error "no input" 'expected one input, 0 given; - is standard input' run
error "an input that is missing" 'gone.bed: No such file' run gone.bed
for c in --help version; do
    error "$c to a full device" 'No space left' to_full "$caduceus" $c
done
error "annotate --help to a full device" 'No space left' to_full "$caduceus" annotate --help

finish
