#!/bin/sh
# torture.t - injects some of the faults of test/check/torture.py into every command; `make check-deep` injects all.
. "${srcdir:-.}/test/lib.sh"

py=$(any_python)
why=$(no_preload "$full")
if [ -z "$py" ] || [ "$why" ]; then
    skip "faults in every command" "${why:-no python3}"; finish; exit
fi
# faults NAME ARGUMENT...: runs torture.py, which injects the faults that ARGUMENT selects. Passes if the commands
# handle all of them.
faults() {
    local name=$1; shift
    if "$py" "$checks/torture.py" "$@" "$builddir" "$srcdir" >.out 2>.err && grep -q 'passed$' .out; then pass "$name"
    else fail "$name"; diag .err; fi
    sed 's/^\([^#]\)/# \1/' .out
}
faults "failing calls" --points 2 --part alloc,write,fsync,close,rename,disk
faults "little memory, no TMPDIR" --part space,tmp
faults "SIGKILL, SIGINT and SIGTERM" --points 2 --part kill,int,term
finish
