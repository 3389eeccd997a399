#!/bin/sh
# abi.t - the library exports the functions that caduceus.h declares, and no others; the plugin and the CUDA module
# export only their entry points. If a function was added or removed, update test/symbols and -version-info.
. "${srcdir:-.}/test/lib.sh"
lib=$builddir/.libs/libcaduceus.so

sed -n 's/^.*CAD_API [^(]*[ *]\(cad_[a-z0-9_]*\)(.*/\1/p' "$srcdir/core/caduceus.h" | sort >declared
is "every declaration is found" "$(wc -l <declared)" "$(grep -c '^CAD_API' "$srcdir/core/caduceus.h")"
sed -n 's/^.*-version-info \([0-9:]*\).*/\1/p' "$srcdir/Makefile.am" >version
echo '#include "caduceus.h"' >alone.c
for language in "-std=c99 -x c" "-std=c++11 -x c++"; do
    if ! echo 'int main(void) { return 0; }' | ${CC:-cc} $language -fsyntax-only - 2>/dev/null; then
        skip "caduceus.h compiles by itself: $language" "no compiler for it"
    else
        ok "caduceus.h compiles by itself: $language" \
            ${CC:-cc} $language -Wall -Werror -fsyntax-only -I "$srcdir/core" alone.c
    fi
done
cat version declared >now
same "the list of functions in test/symbols is up to date" now "$srcdir/test/symbols"
# exports OBJECT: prints the names that an object exports, except those of compiler and linker, which begin with "_".
exports() { nm -D --defined-only "$1" | awk '$3 !~ /^_/ { print $3 }' | sort; }
if [ -f "$lib" ] && command -v nm >/dev/null; then
    exports "$lib" >exported
    same "it exports the functions that caduceus.h declares, and no others" exported declared
    is "its soname is -version-info's current minus age" "$(readelf -d "$lib" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" \
        "libcaduceus.so.$(awk -F: '{ print $1 - $3 }' version)"
else
    skip "what the library exports" "no shared library"
fi
# alone OBJECT NAMES: an object exports exactly these names and needs no function of the library from another file.
alone() {
    if [ -f "$1" ] && command -v nm >/dev/null; then
        is "$(basename "$1") exports its entry points only" "$(exports "$1" | tr '\n' ' ')" "$2 "
        is "and needs no library function from another file" "$(nm -D --undefined-only "$1" | grep -c ' cad_')" 0
    else skip "$(basename "$1") exports its entry points only" "not built"; fi
}
alone "$builddir/plugin/.libs/caduceus.so" "about run usage version"
alone "$builddir/caduceus-cuda.so" cad_module
alone "$builddir/.libs/caduceus-cuda-shim.so" cad_module
finish
