#!/bin/sh
# style.t - the style of the source: C is formatted by clang-format, lines of scripts and tests have at most 120
# columns, and no shell test contains a Python program.
. "${srcdir:-.}/test/lib.sh"
cd "$srcdir" || exit 1

# wide FILE...: prints the position of each line of more than 120 columns.
wide() { awk 'length > 120 { print FILENAME ":" FNR }' "$@"; }
is "no line of a shell test is wider" "$(wide test/*.t test/*.sh)" ""
is "no line of another test program is wider" \
    "$(wide test/*.py test/check/* test/interop/* test/gpu-check test/make-fixtures)" ""
scripts=$(find bench contrib -type f ! -name '*.c' ! -name '*.o' ! -name '*.tsv' | grep -vE '/\.|/(products|scaling)$')
# shellcheck disable=SC2086
is "no line of another script is wider" "$(wide $scripts quickstart .ci/run)" ""

# A test may ask whether a module is installed: -c 'import NAME'.
python='(python3?"?|"\$(py|python)") (-( |$)|.*<<)|"\$(py|python)" -c|python3 -c'
found=$(grep -nE "$python" test/*.t | grep -vE "[-]c ('import [A-Za-z]+'|'')( |\$)|test/style.t:")
is "no Python program is inside a shell test" "$found" ""
for program in test/check/*.py test/interop/*.py; do
    is "$program says what it is for" "$(sed -n '1s/^"""\([a-z_-]*\.py\).*/\1/p' "$program")" "$(basename "$program")"
done

# An option that two of these commands have comes from a group in option_table.h; --sample of eval is a number, that of
# annotate a name.
twice=$(grep -ohE '(\{ |OPT_[A-Z]+\()"[A-Za-z-]+", [a-z]*' cmd/annotate/*.c cmd/embed.c cmd/track.c cmd/eval.c |
    grep -v '"sample"' | sort | uniq -d)
is "annotate, embed, track and eval declare no option twice" "$twice" ""

name="C is formatted"
version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
if [ -z "$version" ]; then skip "$name" "no clang-format"
elif [ "$version" -lt 14 ]; then skip "$name" "clang-format $version is older than 14"
else
    find core htslib-glue cmd plugin cuda test doc bench -name '*.[ch]' -o -name '*.cu' >"$dir/sources"
    xargs clang-format --dry-run -Werror <"$dir/sources" 2>&1 |
        sed -n 's/^\([^:]*\):.*error:.*/\1/p' | sort -u >"$dir/out"
    is "$name" "$(joined <"$dir/out")" ""
fi
finish
