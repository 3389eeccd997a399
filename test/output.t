#!/bin/sh
# output.t - after an error of the disk or of the destination, an output is complete or absent (faults 43, 44, 48, 49
# and 60 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

py=$(any_python)
model=$data/ps
{ contig chr1 1500 1; contig chr2 700 2; } >ref.fa
awk 'BEGIN { for (i = 0; i < 24; i++) print "chr" i % 2 + 1 "\t" 25 * i "\t" 25 * i + 30 + i "\trow" i }' >in.bed
"$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa in.bed -o /dev/null 2>err || echo "Bail out! $(cat err)"

run() { "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa "$@"; }
# begin: creates old outputs, which a failing run must not change.
begin() { old o.bed o.bed.gz e.npy e.npy.json; }

# ---- contents ----
run in.bed >plain.bed 2>err
is "the reference run" "$?" 0
run in.bed -o file.bed
same "-o FILE has the same bytes as standard output" plain.bed file.bed
run in.bed -o - >dash.bed
same "-o - is standard output" plain.bed dash.bed
run in.bed -o z.bed.gz
ok ".bed.gz is valid gzip" gzip -t z.bed.gz
gzip -dc z.bed.gz >z.bed
same ".bed.gz holds the same bytes as standard output" plain.bed z.bed
is ".bed.gz ends with BGZF's end marker" "$(tail -c 28 z.bed.gz | od -An -v -tx1 | tr -d ' \n')" \
    1f8b08040000000000ff0600424302001b0003000000000000000000
is "there are as many data rows as in the input" "$(rows plain.bed | lines)" 24
run in.bed -o empty.bed.gz --embed empty.npy -r chr2:699-700
gzip -dc empty.bed.gz >empty.bed
is "a .bed.gz without rows has a header" "$(grep -c '^#chrom' empty.bed) $(rows empty.bed | lines)" "1 0"
is "and no other file appears" "$(ls -A | grep -c tmp)" 0

run in.bed -o e.bed --embed e.npy
rows plain.bed >plain.rows; rows e.bed >e.rows
same "an embedding file changes no row" plain.rows e.rows
run in.bed --embed - -o column.bed
if [ -n "$py" ]; then
    check ".npy has a header of numpy's, and valid JSON beside it" npy.py e.npy e.npy.json
    cp .out rows
    rows column.bed | awk -F '\t' '{ print $NF }' >wanted
    same ".npy has the rows of --embed -" rows wanted
    is "24 rows of 16" "$(awk -F , 'NF == 16' rows | lines)" 24
    check ".npy without rows" npy.py empty.npy empty.npy.json
    is "it has no rows" "$(lines <.out)" 0
    ok ".npy of all bases" run in.bed --score none --embed all.npy --pool none -o all.bed
    check "it is readable" npy.py all.npy all.npy.json
    is "and has one row per base" "$(lines <.out)" "$(awk '{ n += $3 - $2 } END { print n }' in.bed)"
    row 'chr1 5 5' | run - --embed nan.npy -o nan.bed
    check ".npy of an empty region" npy.py nan.npy
    is "the region has a row of NaN" "$(tr , '\n' <.out | sort -u)" nan
else
    skip ".npy has a header of numpy's" "no python3"
fi

# ---- file permissions ----
(umask 027; run in.bed -o mode.bed --embed mode.npy)
is "a new file follows the umask" "$(stat -c %a mode.bed mode.npy mode.npy.json | joined)" "640 640 640 "
chmod 604 mode.bed mode.npy
(umask 077; run in.bed -o mode.bed --embed mode.npy)
is "a file that is replaced keeps its mode" "$(stat -c %a mode.bed mode.npy | joined)" "604 604 "
rm -f hard && cp plain.bed hard-a && ln hard-a hard && echo old >hard-a && run in.bed -o hard
is "another hard link keeps the old contents" "$(cat hard-a)" old

# ---- the disk is full (43) ----
begin
row 'chr1 0 9' >row.bed
error "standard output is full" 'standard output: .*No space left' to_full run in.bed
error "one row to a full standard output" 'No space left' reading row.bed to_full run -
error "-o /dev/full" '/dev/full: .*No space left' run in.bed -o /dev/full
error "--embed /dev/full" '/dev/full: .*No space left' run in.bed --embed /dev/full -o out/o.bed
intact "a full device for embeddings leaves the rows' file alone"
error "-o /dev/full beside an embedding file" '/dev/full: .*No space left' run in.bed -o /dev/full --embed out/e.npy
intact "a full device for rows leaves the embedding's file alone"
ln -s /dev/full full.bed.gz
error ".bed.gz on a full device" 'No space left' run in.bed -o full.bed.gz

why=$(no_preload "$full")
if [ -z "$why" ]; then
    # on_disk NAME REGEX FAULT OPTION...: a run on a disk with this fault stops with an error, while old outputs exist.
    on_disk() {
        local name=$1 regex=$2 fault=$3; shift 3
        begin; error "$name" "$regex" failing_disk "$fault" run in.bed "$@"
    }
    bed=$(wc -c <plain.bed) ebed=$(wc -c <e.bed) gz=$(wc -c <z.bed.gz) npy=$(wc -c <e.npy)
    for n in 0 1 100 $((bed / 2)) $((bed - 1)); do
        on_disk "disk full after $n bytes of BED" 'out/o.bed: .*No space left' AFTER=$n -o out/o.bed
        intact "the old file is unchanged"
    done
    for n in 0 1 20 $((gz - 28)) $((gz - 1)); do
        on_disk "disk full after $n bytes of .bed.gz" 'out/o.bed.gz: .*No space left' AFTER=$n -o out/o.bed.gz
        intact "the old file is unchanged"
    done
    matrix="--score none --embed out/e.npy -o /dev/null"
    for n in 0 1 127 128 200 $((npy - 1)) $npy $((npy + 127)); do
        on_disk "disk full after $n bytes of .npy" 'out/e.npy: .*No space left' AFTER=$n $matrix
        intact "the old files are unchanged"
    done
    both=$((ebed + npy + 128 + $(wc -c <e.npy.json)))
    for n in $((both - 1)) $((both - ebed)) $((both - ebed - 1)); do
        on_disk "disk full after $n bytes of .npy, .json and BED" 'No space left' AFTER=$n --embed out/e.npy -o \
            out/o.bed
        intact "the old files are unchanged"
    done
    begin; ok "a disk that is just large enough" failing_disk AFTER=$both run in.bed --embed out/e.npy -o out/o.bed
    same "holds the complete result" e.bed out/o.bed
    mkfifo spool; cat spool >spooled &
    error "no room for the spool of a FIFO" 'No space left' \
        failing_disk AFTER=200 run in.bed --score none --embed spool -o /dev/null
    wait
    is "and the FIFO gets nothing" "$(wc -c <spooled | tr -d ' ')" 0
    # Fault 44: the disk reports the error only at fsync or close.
    for when in FSYNC=1 CLOSE=1; do
        for f in o.bed o.bed.gz; do
            on_disk "${when%=1} of $f fails" "out/$f: .*(No space left|Input/output error)" $when -o out/$f
            intact "the old file is unchanged"
        done
        on_disk "${when%=1} of .npy fails" 'out/e.npy.*: .*(No space left|Input/output error)' $when $matrix
        intact "the old files are unchanged"
    done
    rm -f out/*
    error "without an old file" 'No space left' failing_disk AFTER=9 run in.bed -o out/o.bed --embed out/e.npy
    is "no file is left" "$(ls -A out)" ""
else
    skip "a full disk leaves the old files" "$why"
fi
begin
old
awk 'BEGIN { for (i = 0; i < 400; i++) print "chr1\t" i "\t" i + 9 "\tname" i }' >many.bed
(trap '' XFSZ; ulimit -f 4; run many.bed -o out/o.bed) >.out 2>.err
is "a file size limit is an error" "$?" 1
like "with a message that says so" 'out/o.bed: .*File too large' .err
intact "and the old file is unchanged"

# ---- a wrong destination is reported before the model is read (48) ----
early() { # NAME REGEX ARGS: the error is reported, although the model does not exist either
    what=$1 regex=$2; shift 2
    error "$what" "$regex" "$caduceus" annotate --quiet -m "$dir/no-model" -T ref.fa in.bed "$@"
}
early "a missing folder" 'gone/o.bed: .*No such file' -o gone/o.bed
early "a missing folder for embeddings" 'gone/e.npy: .*No such file' -o /dev/null --embed gone/e.npy
early "a folder as output" 'out: is a folder' -o out
early "a folder as embeddings" 'out: is a folder' --embed out -o /dev/null
early "a file as folder" 'Not a directory' -o in.bed/o.bed
early "an output that ends in a slash" 'x/: ' -o x/
early "an empty name" 'annotate: ' -o ''
error "an empty name is an error before the model is read" 'cannot write|No such file|output' run in.bed -o ''
early "a name that is too long" 'too long' -o "$(bases 300 1)"
ln -s loop loop
early "a link to itself" 'loop: ' -o loop
ln -s gone/o.bed lost
early "a link into a missing folder" 'lost: .*No such file' -o lost
early "the input as output" 'in.bed: is also an input' -o in.bed
early "the input as output, by another name" 'is also an input' -o ./../"$(basename "$dir")"/in.bed
ln -s in.bed alias.bed
early "the input as output, by a link" 'is also an input' -o alias.bed
ln in.bed hard.bed
early "the input as output, by a hard link" 'is also an input' -o hard.bed
early "the reference as output" 'is also an input' -o ref.fa
early "the input as embeddings" 'is also an input' --embed in.bed -o /dev/null
cp in.bed t.npy.json
error "the input is the .json beside the embeddings" 'is also an input' run t.npy.json --embed t.npy -o /dev/null
same "and the input is unchanged" in.bed t.npy.json
cp -r "$model" own
error "the weights as output" 'is also an input' \
    "$caduceus" annotate --quiet -m own -T ref.fa in.bed -o own/model.safetensors
same "and the weights are unchanged" "$model/model.safetensors" own/model.safetensors
# Two outputs must not be the same file, whether or not it exists.
for pair in 'w.bed w.bed' 'w.bed ./w.bed' 'w.npy.json w.npy' 'link w.bed' 'out/../w.bed w.bed'; do
    rm -f w.* link; ln -s w.bed link
    error "one file for two outputs: ${pair% *} and ${pair#* }" 'two outputs|also' \
        run in.bed -o "${pair% *}" --embed "${pair#* }"
    is "nothing is written" "$(ls -A | grep '^w\.')" ""
done
is "no temporary file is left" "$(ls -A . out | grep -c 'tmp$')" 0

if bound; then
    mkdir shut; echo old >shut/o.bed; chmod 555 shut
    early_bound() { $as "$caduceus" annotate --quiet -m "$dir/no-model" -T ref.fa in.bed "$@"; }
    error "a read-only folder" 'shut/new.bed: .*Permission denied' early_bound -o shut/new.bed
    error "a file in a read-only folder" 'shut/o.bed: .*Permission denied' early_bound -o shut/o.bed
    mkdir open; echo old >open/o.bed; chmod 444 open/o.bed
    error "a read-only file" 'open/o.bed: .*Permission denied' early_bound -o open/o.bed
    is "the file keeps its content" "$(cat open/o.bed shut/o.bed | joined)" "old old "
    chmod 755 shut
else
    skip "a read-only folder" "root cannot give up its rights"
fi

# ---- two processes write the same output (49) ----
run in.bed --score n,ic -o other.bed
round=0 torn=
while [ $round -lt 12 ]; do
    run in.bed -@ 1 -o shared.bed & a=$!
    run in.bed -@ 1 --score n,ic -o shared.bed & b=$!
    wait $a || torn="$torn first:$?"
    wait $b || torn="$torn second:$?"
    cmp -s shared.bed plain.bed || cmp -s shared.bed other.bed || torn="$torn $round"
    round=$((round + 1))
done
is "of two processes that write one output, one result is complete" "$torn" ""
is "and no temporary file is left" "$(ls -A | grep -c 'tmp$')" 0

# ---- devices, FIFOs, links (60) ----
ok "-o /dev/null" run in.bed -o /dev/null
ok "--embed /dev/null" run in.bed --embed /dev/null -o beside.bed
is "has no .json beside it" "$(ls /dev/null.json 2>/dev/null)" ""
is "/dev/null is still a device" "$(test -c /dev/null && echo yes)" yes
for f in fifo fifo.gz; do
    mkfifo $f; cat $f >got & run in.bed -o $f; is "-o $f" "$?" 0; wait
    case $f in *.gz) gzip -dc got >got.bed ;; *) cp got got.bed ;; esac
    same "the FIFO gets all bytes" plain.bed got.bed
    is "and is still a FIFO" "$(test -p $f && echo yes)" yes
done
tail -c 28 got >eof; tail -c 28 z.bed.gz >eof2
same "and BGZF's end marker" eof eof2
mkfifo n; cat n >got.npy & run in.bed --embed n -o beside.bed; is "--embed to a FIFO" "$?" 0; wait
same "gets the .npy" e.npy got.npy
is "and no .json beside it" "$(ls n.json 2>/dev/null)" ""
run in.bed --embed /dev/stdout -o /dev/null | cat >piped.npy
same "--embed /dev/stdout" e.npy piped.npy
run in.bed -o /dev/stdout | cat >piped.bed
same "-o /dev/stdout" plain.bed piped.bed

mkdir far; echo old >far/target.bed; ln -s far/target.bed near; ln -s near nearer
run in.bed -o nearer
is "a symbolic link is kept" "$(readlink near) $(readlink nearer)" "far/target.bed near"
same "its target is replaced" plain.bed far/target.bed
ln -s far/new.bed dangling
run in.bed -o dangling
is "a dangling link is kept" "$(readlink dangling)" far/new.bed
same "its target is created" plain.bed far/new.bed
ln -s "$dir/far/abs.bed" absolute
run in.bed -o absolute
same "the target of an absolute link is created" plain.bed far/abs.bed
ln -s /dev/null void
ok "a link to a device" run in.bed -o void
is "is kept" "$(readlink void)" /dev/null
is "no temporary file is left there" "$(ls -A far | grep -c 'tmp$')" 0
name=$(bases 255 3)
ok "a file name of the maximum length" run in.bed -o "$name"

# ---- closed standard streams ----
run in.bed -o closed.bed <&- >&- 2>&-
is "without standard streams" "$?" 0
same "no message gets into the output" plain.bed closed.bed
awk 'BEGIN { print "chr1\t5\t5\tx" }' >zero.bed
"$caduceus" annotate -m "$model" -T ref.fa zero.bed -o quiet.bed 2>/dev/null
"$caduceus" annotate -m "$model" -T ref.fa zero.bed -o warned.bed <&- >&- 2>&-
same "nor a warning" quiet.bed warned.bed
error "a closed standard output" 'standard output: ' to_closed run in.bed

# ---- names of open descriptors, such as /dev/stdout, are written directly ----
echo before >log; run in.bed -o /dev/stdout >>log
is "-o /dev/stdout appends where the shell appends" \
    "$(head -n 1 log) $(sed 1d log | grep -vc "^#")" "before $(grep -vc "^#" plain.bed)"
{ echo before; run in.bed -o /dev/fd/1; echo after; } >log
is "-o /dev/fd/1 does not change other output" "$(head -n 1 log) $(tail -n 1 log)" "before after"
error "-m '' is an error" 'empty name' "$caduceus" annotate -m "" -T ref.fa in.bed

finish
