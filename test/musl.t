#!/bin/sh
# musl.t - core, htslib-glue, the command and the plugin compile against musl, the C library of Alpine Linux, as C11 and
# without warnings. Nothing is linked: that needs libraries built for musl.
. "${srcdir:-.}/test/lib.sh"
cd "$srcdir" || exit 1
if ! command -v musl-gcc >/dev/null; then skip "C compiles against musl" "no musl-gcc"; finish; exit; fi

# musl-gcc does not look in /usr/include; the headers of the other libraries do not depend on the C library.
mkdir "$dir/include"
for header in jansson.h jansson_config.h nettle fftw3.h zip.h zipconf.h zlib.h zconf.h htslib curl cairo libsvm; do
    found=$(find /usr/include "/usr/include/$(cc -dumpmachine 2>/dev/null)" -maxdepth 1 -name $header 2>/dev/null)
    for h in $found; do ln -sf "$h" "$dir/include/$header"; done
done
isa=$(sed -n 's/^\(AMX\|AVX2\)_CFLAGS = //p' "$builddir/Makefile" | joined)
case $(musl-gcc -dumpmachine) in x86_64*) other=neon ;; *) other='avx2|avx512|avx512bf16|amx' isa= ;; esac

# compiled FOLDER: prints the warnings and errors of its files.
compiled() {
    # shellcheck disable=SC2046,SC2086
    musl-gcc -std=c11 -fsyntax-only -Wall -Wextra -Wshadow -Wstrict-prototypes $isa -include "$builddir/config.h" \
        -I core -I htslib-glue -I cmd -isystem "$dir/include" -isystem "$dir/include/cairo" \
        -DPKGLIBDIR='""' -DPKGMODELDIR='""' -DCAD_CURL \
        $(find "$1" -name '*.c' | grep -vE "/cpu/($other)\.c") 2>&1 | grep -E '(error|warning):' | head -n 5
}
for folder in core htslib-glue cmd plugin; do
    is "$folder compiles against musl" "$(compiled $folder)" ""
done
finish
