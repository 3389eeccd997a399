# gpu-lib.sh - functions for gpu-check and gpu-bench: steps with a time limit, each of which adds a row to a table.
# Sourced by them; SPDX-License-Identifier: MIT
# Before: here is the folder of the sourcing script, and `out` is the file for everything that programs print.
[ -e "$here/caduceus-cuda.so" ] || [ -d "$here/core" ] || here=$(cd "$here/.." && pwd) # a build tree
build=${builddir:-$here}
golden=$here/golden
[ -d "$golden" ] || golden=${CADUCEUS_SHARED:-$here/../shared}/golden
caduceus=${CADUCEUS:-$build/caduceus}
export CADUCEUS_CUDA_MODULE="${CADUCEUS_CUDA_MODULE:-$build/caduceus-cuda.so}" LC_ALL=C
now() { date +%s; }
# The second at which this command ends: 8 minutes from its start, or what the command that started it says.
end=${CADUCEUS_GPU_END:-$(($(now) + ${CADUCEUS_GPU_SECONDS:-480}))}
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
table=${CADUCEUS_GPU_TABLE:-$dir/table}
export CADUCEUS_GPU_END="$end" CADUCEUS_GPU_TABLE="$table"

# row NAME STATE DETAIL
row() {
    printf '%-44s %-8s %s\n' "$1" "$2" "$3" >>"$table"
    printf '%-44s %-8s %s\n' "$1" "$2" "$3"
}

# blas_folder: prints the folder of the cublasLt that the module needs. It lies beside the bundle, in a CUDA Toolkit,
# or in a Python package of NVIDIA. Prints nothing if the module finds it without help, fails if there is none.
blas_folder() {
    name=$(ldd "$CADUCEUS_CUDA_MODULE" 2>/dev/null | sed -n 's/^[ \t]*\(libcublasLt[^ ]*\) => not found.*/\1/p')
    [ -n "$name" ] || return 0
    for at in "$here/lib" /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 /usr/lib/*-linux-gnu \
        $(python3 -c 'import site, sys
for p in site.getsitepackages() + [site.getusersitepackages()] + sys.path: print(p)' 2>/dev/null |
            sed 's|$|/nvidia/*/lib|'); do
        [ ! -e "$at/$name" ] || { echo "$at"; return 0; }
    done
    echo "no $name" >&2
    return 1
}

# step SECONDS: sets the time limit of the commands that follow, which run by `ours` and `theirs`.
step() {
    until=$(($(now) + $1))
    [ "$until" -le "$end" ] || until=$end
}
limited() {
    left=$((until - $(now)))
    [ "$left" -gt 0 ] || { echo "no time left"; return 124; }
    timeout -k 5 "$left" "$@"
}
# ours COMMAND...: runs one of our programs with the libraries it needs; theirs: another program, without them.
ours() { limited env LD_LIBRARY_PATH="$here/lib${blas:+:$blas}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"; }
theirs() { limited "$@"; }

# try SECONDS NAME COMMAND...: runs a command and adds a row: ok, FAILED, or `late` if it ran out of time. The detail is
# the last line that it printed or, after a failure, the first that tells why. Its output goes to the file $out.
try() {
    step "$1"
    name=$2; shift 2
    if [ "$until" -le "$(($(now) + 2))" ]; then row "$name" late "no time left"; return 0; fi
    began=$(now)
    echo "== $name: $*" >>"$out"
    "$@" >"$dir/out" 2>&1
    status=$?
    cat "$dir/out" >>"$out"
    took="$(($(now) - began)) s"
    case $status in
    0) row "$name" ok "$(tail -n 1 "$dir/out" | cut -c 1-90) ($took)" ;;
    124 | 137) row "$name" late "stopped after $took" ;;
    *) row "$name" FAILED "$(grep -m 1 -E '^not ok|FAILED|: |error' "$dir/out" | cut -c 1-90) (exit $status, $took)" ;;
    esac
}

# tap PROGRAM ARGUMENT...: runs a program that prints TAP; its last line is the count of passed tests.
tap() {
    ours "$@" >"$dir/tap" 2>&1
    code=$?
    cat "$dir/tap"
    echo "$(grep -c '^ok' "$dir/tap") of $(grep -cE '^(not )?ok' "$dir/tap") tests pass"
    return $code
}

# begin: the first rows, common to both commands; call it once.
begin() {
    row "card" "" "$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1)"
    commit=$(cat "$here/COMMIT" 2>/dev/null || git -C "$here" rev-parse HEAD 2>/dev/null)
    row "commit, date" "" "$commit $(date -u +%Y-%m-%d)"
    if blas=$(blas_folder 2>"$dir/why"); then row "cublasLt" ok "${blas:-found by the module}"
    else row "cublasLt" FAILED "$(cat "$dir/why")"; fi
}
# finish: prints the table; the exit status is 0 if no row failed or was late.
finish() {
    echo; cat "$table"; cat "$table" >>"$out"
    if grep -qE '^.{44} (FAILED|late)' "$table"; then exit 1; fi
    exit 0
}
