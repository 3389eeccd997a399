# lib.sh - functions for tests in shell, which print TAP. A test sources this file and ends with `finish`. Numbers in
# parentheses in the headings of tests are rows of doc/faults.md.
# Sourced by test/*.t; SPDX-License-Identifier: MIT

srcdir=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
builddir=${builddir:-$srcdir}
caduceus=${CADUCEUS:-$builddir/caduceus}
data=$srcdir/test/data
shared=${CADUCEUS_SHARED:-$srcdir/../shared}   # folder of larger data; need not exist
reference=$srcdir/test/reference.py
checks=$srcdir/test/check                      # folder of Python programs that check results
full=$builddir/.libs/libfullfs.so              # a library for LD_PRELOAD: simulates full disks
failing=$builddir/.libs/libfailmalloc.so       # a library for LD_PRELOAD: makes allocations fail
tab=$(printf '\t')
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
unset CADUCEUS_MODEL CADUCEUS_ISA
export CADUCEUS_CUDA_MODULE=   # no CUDA module; cuda.t sets others
dir=$(mktemp -d "${TMPDIR:-/tmp}/caduceus-test.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
cd "$dir" || exit 1
tests=0

pass() { tests=$((tests + 1)); echo "ok $tests - $1"; }
fail() { tests=$((tests + 1)); echo "not ok $tests - $1"; }
skip() { tests=$((tests + 1)); echo "ok $tests - $1 # SKIP $2"; }
diag() { sed 's/^/# /' "$@" | head -n 20; }
finish() { echo "1..$tests"; }

# ok NAME COMMAND...: passes if the command exits 0.
ok() {
    local name=$1; shift
    if "$@" >"$dir/.out" 2>"$dir/.err"; then pass "$name"
    else fail "$name"; echo "# exit $?: $*"; diag "$dir/.out" "$dir/.err"; fi
}

# same NAME FILE FILE: passes if the two files have the same bytes.
same() {
    if cmp -s "$2" "$3"; then pass "$1"
    else fail "$1"; diff "$2" "$3" | diag; fi
}

# differ NAME FILE FILE: passes if both files exist and have different bytes.
differ() {
    cmp -s "$2" "$3"
    if [ $? = 1 ]; then pass "$1"; else fail "$1"; fi
}

# is NAME GOT WANT: passes if the two strings are equal.
is() {
    if [ "$2" = "$3" ]; then pass "$1"
    else fail "$1"; echo "# got:  $2"; echo "# want: $3"; fi
}

# like NAME REGEX FILE: passes if a line of the file matches the extended regular expression.
like() {
    if grep -Eq -- "$2" "$3"; then pass "$1"
    else fail "$1"; echo "# no line like: $2"; diag "$3"; fi
}

# error NAME REGEX COMMAND...: passes if the command exits 1 and prints exactly one line to standard error, not counting
# warnings, and this line begins with "caduceus CMD: " and matches REGEX.
error() {
    local name=$1 regex=$2 status; shift 2
    "$@" >"$dir/.out" 2>"$dir/.err"; status=$?
    grep -v ': warning: ' "$dir/.err" >"$dir/.lines"
    if [ $status -ne 1 ]; then fail "$name"; echo "# exit status $status, expected 1"; diag "$dir/.err"
    elif [ "$(wc -l <"$dir/.lines")" -ne 1 ]; then fail "$name"; echo "# not one line:"; diag "$dir/.err"
    elif ! grep -Eq '^caduceus [a-z]+( [a-z]+)?: ' "$dir/.lines"; then fail "$name"; diag "$dir/.lines"
    elif ! grep -Eq -- "$regex" "$dir/.lines"; then fail "$name"; echo "# no match for: $regex"; diag "$dir/.lines"
    else pass "$name"; fi
}

# prints NAME FILE COMMAND...: passes if the output of the command has the same bytes as FILE.
prints() {
    local name=$1 file=$2; shift 2
    "$@" >.got 2>.err || diag .err
    same "$name" "$file" .got
}

# agree NAME COMMAND COMMAND: passes if two command lines, each in quotes, print the same text and it is not empty.
agree() {
    eval "$2" >.want
    eval "$3" >.got
    if [ -s .want ]; then same "$1" .want .got
    else fail "$1"; echo "# nothing is printed by: $2"; fi
}

# ---- counting and joining lines of standard input ----
lines() { wc -l | tr -d ' '; }
joined() { tr '\n' ' '; }

# ---- redirections: arguments are FILE COMMAND... or COMMAND... ----
reading() { local file=$1; shift; "$@" <"$file"; }
piped() { local file=$1; shift; cat "$file" | "$@"; }
appending() { local file=$1; shift; "$@" >>"$file"; }
to_full() { "$@" >/dev/full; }
to_closed() { "$@" >&-; }

# ---- faults ----

# sanitized: succeeds if the command is built with a sanitizer, which does not work together with preloaded libraries.
sanitized() { ldd "$caduceus" 2>/dev/null | grep -q asan || grep -q __asan_init "$caduceus"; }

# no_preload LIBRARY: prints why the library cannot be preloaded; prints nothing if it can.
no_preload() {
    if [ ! -e "$1" ]; then echo "no $(basename "$1")"
    elif sanitized; then echo "built with a sanitizer"; fi
}

# failing_disk FAULT COMMAND...: runs a command on a simulated faulty disk. FAULT is AFTER=BYTES (the disk is full after
# that many bytes), FSYNC=1, CLOSE=1 or SHRINK=BYTES; see fullfs.c.
failing_disk() { (export LD_PRELOAD="$full" "FULLFS_$1"; shift; "$@"); }

# interrupted FAULT COMMAND...: runs a command that ends at a rename. FAULT is RENAME=N (kill -9) or TERM=N (SIGTERM).
interrupted() { (export FULLFS_NAMED=1; failing_disk "$@"); }

# resumes NAME COMMAND...: trains with -o whole; then with -o part, killed or ended by SIGTERM again and again while it
# saves files, and resumed. Passes if both folders are the same in the end, and print the same.
resumes() {
    local name=$1 fault status wrong= times=0; shift
    [ -z "$(no_preload "$full")" ] || { skip "$name" "$(no_preload "$full")"; return; }
    rm -rf whole part
    "$@" --save-every 1 -o whole >whole.out 2>.err || diag .err
    for fault in RENAME=4 TERM=3 RENAME=3 TERM=8 RENAME=6 TERM=4; do
        interrupted $fault "$@" --save-every 1 --resume -o part >part.out 2>.err; status=$?
        [ -e part/training.safetensors ] || break
        case $fault:$status in RENAME*:137|TERM*:143) times=$((times + 1)) ;; *) wrong="$wrong $fault:$status" ;; esac
    done 2>/dev/null
    if [ -e part/training.safetensors ]; then
        (cd / && "$caduceus" finetune --quiet --resume -o "$dir/part") >part.out 2>.err || diag .err
    fi
    if diff -r whole part >.out && cmp whole.out part.out >>.out && [ "$wrong" = "" ] && [ $times -ge 3 ]; then
        pass "$name"
    else fail "$name"; echo "# ended $times times;$wrong"; diag .out .err; fi
}

# shares N SUFFIX COMMAND...: runs a command with -o part.SUFFIX for each of N shards, 1 to 9, and merges each kind of
# part into merged.KIND. KIND is the part's name without the number of the shard.
shares() {
    local n=$1 suffix=$2 i kind; shift 2
    rm -f part.* merged.*
    for i in $(seq "$n"); do "$@" --shard "$i/$n" -o "part.{shard}.$suffix" 2>.err || diag .err; done
    for kind in $(ls part.1-of-*"$suffix" | sed 's/^part[.]1-of-[0-9]*[.]//'); do
        "$caduceus" merge -o "merged.$kind" part.*-of-"$n.$kind" 2>.err || diag .err
    done
}

# old FILE...: creates the folder out with files of these names.
# intact NAME: passes if the folder out still has exactly these files with the same content.
old() {
    local file
    rm -rf out; mkdir out
    for file; do echo "old $file" >"out/$file"; done
    (cd out && cksum ./* && ls -A) >before
}
intact() { (cd out && cksum ./* && ls -A) >after; same "$1" before after; }

# await N FOLDER: waits until there are N temporary files in FOLDER, for at most five seconds.
await() {
    local i=0
    while [ "$(ls -A "$2" | grep -c 'tmp$')" -lt "$1" ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
}

# natural COMMAND...: runs a command with the default action for every signal. A shell would start a background job with
# SIGINT ignored.
natural() { exec perl -e '$SIG{$_} = "DEFAULT" for qw(INT QUIT PIPE TERM HUP); exec @ARGV or die' "$@"; }

# flip FILE OFFSET: inverts bit 0 of one byte.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    byte=$((byte % 2 ? byte - 1 : byte + 1))
    printf "\\$(printf %o "$byte")" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# ---- sequences and tables ----

# bases N SEED: prints N random bases on one line, the same on every machine.
bases() {
    awk -v n="$1" -v s="$2" 'BEGIN {
        for (i = 0; i < n; i++) { s = (s * 16807) % 2147483647; printf "%s", substr("ACGT", int(s / 65536) % 4 + 1, 1) }
        print "" }'
}

# regions CONTIG LENGTH N: prints N rows of a BED: random regions of up to 160 bases.
regions() {
    awk -v contig="$1" -v length_="$2" -v n="$3" 'BEGIN { s = 5; for (i = 0; i < n; i++) {
        s = (s * 16807) % 2147483647; b = s % (length_ - 100)
        s = (s * 16807) % 2147483647; e = b + 1 + s % 160
        print contig "\t" b "\t" (e > length_ ? length_ : e) } }'
}

# contig NAME N SEED: prints a FASTA record of N random bases in lines of 60.
contig() { echo ">$1"; bases "$2" "$3" | fold -w 60; }

# rows FILE: prints the data rows, without header lines.
rows() { grep -v '^#' "$1"; }

# row LINE...: prints these lines, with blanks replaced by tabs.
row() { printf '%s\n' "$@" | tr ' ' '\t'; }

# scores FILE: prints the last two columns of every row, pll and n.
scores() { rows "$1" | awk -F '\t' -v OFS='\t' '{ print $(NF - 1), $NF }'; }

# combined FILE: prints one row for all rows together: the mean of pll, weighted by n, and the sum of n.
combined() {
    scores "$1" | awk -v OFS='\t' '$2 { s += $1 * $2; n += $2 } END { if (n) print s / n, n; else print ".", 0 }'
}

# warned NAME REGEX: passes if annotate has printed exactly one warning to .err, which matches, and a closing summary.
warned() {
    is "$1: one warning" "$(grep -c ': warning: ' .err)" 1
    like "$1: says so" "$2" .err
    like "$1: is counted" '^caduceus annotate: in all: ' .err
}

# python: prints the path of a Python interpreter that has numpy; prints nothing if there is none.
# any_python: the same, but numpy is not needed.
python() {
    for p in /usr/bin/python3 python3; do
        "$p" -c 'import numpy' 2>/dev/null && { echo "$p"; return; }
    done
}
any_python() { command -v python3 || { [ ! -x /usr/bin/python3 ] || echo /usr/bin/python3; }; }

# check NAME PROGRAM ARGUMENT...: passes if a Python program of test/check exits 0; skipped without numpy.
check() {
    local name=$1 program=$2; shift 2
    if [ -n "$py" ]; then ok "$name" "$py" "$checks/$program" "$@"
    else skip "$name" "no python3 with numpy"; fi
}

# bound: sets $as to a command prefix that makes file permissions apply. It is empty for an ordinary user. For root it
# runs the command without the capability to override permissions. Fails if this is not possible.
bound() {
    as=; [ "$(id -u)" = 0 ] || return 0
    as='setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all'
    $as test -r "$data/ps/config.json" 2>/dev/null && $as "$caduceus" --help >/dev/null 2>&1
}

# mamba2 MODEL: succeeds if the checkpoint has Mamba-2 layers, that is, if its safetensors file has no x_proj.
mamba2() { [ -e "$1/model.safetensors" ] && ! grep -aq x_proj "$1/model.safetensors"; }

# close_to FILE FILE TOLERANCE: succeeds if two tables are equal. Numbers may differ by TOLERANCE: relative for values
# of 1 and above, absolute below 1.
close_to() {
    awk -v tol="$3" '
        NR == FNR { a[FNR] = $0; n = FNR; next }
        { m = FNR; k = split(a[FNR], x, "\t"); if (split($0, y, "\t") != k) bad = 1
          for (i = 1; i <= k; i++) if (x[i] != y[i] && !close_(x[i], y[i])) {
              print "# line " FNR ": " x[i] " against " y[i]; bad = 1 } }
        END { exit bad || m != n }
        function close_(a, b,  d, s) {
            d = a - b; if (d < 0) d = -d
            s = b < 0 ? -b : b; if (s < 1) s = 1
            return a != "." && b != "." && a != "" && b != "" && d <= tol * s }' "$1" "$2"
}

# can_read FOLDER: succeeds unless the folder's weights are a PyTorch file and the program was built without libzip.
can_read() {
    [ -e "$1/model.safetensors" ] || ! "$caduceus" model info -m "$1" 2>&1 | grep -q 'built without libzip'
}

# rich N LENGTH SEED: prints N rows "sequence label". The label is 1 if there are more G and C than A and T.
rich() {
    awk -v n="$1" -v k="$2" -v s="$3" 'function next_() { s = (s * 16807) % 2147483647; return int(s / 65536) }
        BEGIN {
            for (i = 0; i < n; i++) {
                y = next_() % 2; q = ""
                for (j = 0; j < k; j++) {
                    x = next_() % 10
                    q = q (x < 7 ? substr(y ? "GC" : "AT", x % 2 + 1, 1) : substr("ACGT", x % 4 + 1, 1)) }
                print q, y } }'
}
