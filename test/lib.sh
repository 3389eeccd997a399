# lib.sh - TAP in shell. A test sources it, calls its functions, ends with `finish`.
# Sourced by test/*.t; SPDX-License-Identifier: MIT

srcdir=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
builddir=${builddir:-$srcdir}
caduceus=${CADUCEUS:-$builddir/caduceus}
data=$srcdir/test/data
shared=${CADUCEUS_SHARED:-$srcdir/../shared}   # larger data, where present
reference=$srcdir/test/reference.py
export LC_ALL=C
unset CADUCEUS_MODEL CADUCEUS_ISA
export CADUCEUS_CUDA_MODULE=   # none; cuda.t names some
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

# ok NAME COMMAND...: the command exits 0.
ok() {
    local name=$1; shift
    if "$@" >"$dir/.out" 2>"$dir/.err"; then pass "$name"
    else fail "$name"; echo "# exit $?: $*"; diag "$dir/.out" "$dir/.err"; fi
}

# same NAME FILE FILE: equal bytes.
same() {
    if cmp -s "$2" "$3"; then pass "$1"
    else fail "$1"; diff "$2" "$3" | diag; fi
}

# is NAME GOT WANT: equal strings.
is() {
    if [ "$2" = "$3" ]; then pass "$1"
    else fail "$1"; echo "# got:  $2"; echo "# want: $3"; fi
}

# like NAME REGEX FILE: a line matches (extended).
like() {
    if grep -Eq -- "$2" "$3"; then pass "$1"
    else fail "$1"; echo "# no line like: $2"; diag "$3"; fi
}

# error NAME REGEX COMMAND...: exit status 1 and exactly one line on stderr, which
# begins "caduceus CMD: " and matches; warnings are not counted as that line.
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

# bases N SEED: N random bases on one line, the same on every machine.
bases() {
    awk -v n="$1" -v s="$2" 'BEGIN { for (i = 0; i < n; i++) { s = (s * 16807) % 2147483647; printf "%s", substr("ACGT", int(s / 65536) % 4 + 1, 1) } print "" }'
}

# contig NAME N SEED: a FASTA record in lines of 60.
contig() { echo ">$1"; bases "$2" "$3" | fold -w 60; }

# rows FILE: data rows without header lines.
rows() { grep -v '^#' "$1"; }

# python: the interpreter if it has numpy, else nothing.
python() { for p in /usr/bin/python3 python3; do "$p" -c 'import numpy' 2>/dev/null && { echo "$p"; return; }; done; }

# bound: sets $as to the words before a command that file modes are to bind. A user needs none; root gives up
# its right to override them and stays the owner of this test's files. False where it cannot.
bound() {
    as=; [ "$(id -u)" = 0 ] || return 0
    as='setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all'
    $as test -r "$data/ps/config.json" 2>/dev/null && $as "$caduceus" --help >/dev/null 2>&1
}

# unsupported MODEL: a Mamba-2 checkpoint (its mixers have no x_proj) that the program refuses.
unsupported() { ! grep -aq x_proj "$1/model.safetensors" && ! "$caduceus" model info -m "$1" >/dev/null 2>&1; }

# close_to FILE FILE TOLERANCE: the same table, numbers within a relative (or, below 1, absolute) tolerance.
close_to() {
    awk -v tol="$3" 'NR == FNR { a[FNR] = $0; n = FNR; next }
        { m = FNR; k = split(a[FNR], x, "\t"); if (split($0, y, "\t") != k) bad = 1
          for (i = 1; i <= k; i++) if (x[i] != y[i]) {
              d = x[i] - y[i]; if (d < 0) d = -d; s = y[i] < 0 ? -y[i] : y[i]; if (s < 1) s = 1
              if (x[i] == "." || y[i] == "." || x[i] == "" || !(d <= tol * s)) { print "# line " FNR ": " x[i] " against " y[i]; bad = 1 } } }
        END { exit bad || m != n }' "$1" "$2"
}
