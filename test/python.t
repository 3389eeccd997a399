#!/bin/sh
# python.t - builds the Python package against the build tree and runs its tests under Debian's python3.
. "${srcdir:-.}/test/lib.sh"

# needs MODULE...: prints the packages that Debian's Python lacks of those of the modules.
python=/usr/bin/python3
needs() { "$python" "$checks/python-needs.py" "$@" 2>/dev/null || echo python3; }
missing=$(needs numpy cffi pytest setuptools)
[ -e "$builddir/.libs/libcaduceus.so" ] || missing="$missing libcaduceus.so"
sanitized && missing="$missing a build without sanitizers"

name="the Python package builds"
if [ -n "$missing" ]; then
    skip "$name" "missing: $missing"
    finish
    exit
fi
cp -r "$srcdir/python/src" "$srcdir"/python/*.* .
export PKG_CONFIG_PATH="$builddir"
ok "$name" env CFLAGS=-O0 "$python" setup.py -q build_py --build-lib site build_ext --build-lib site
mkdir -p site/caduceus/share/caduceus/models
cp -r "$srcdir/models/human-small" site/caduceus/share/caduceus/models
export PYTHONPATH="$PWD/site" CADUCEUS="$caduceus" CADUCEUS_SHARED="$shared" MPLCONFIGDIR="$PWD"
for file in "$srcdir"/python/tests/test_*.py; do
    case $file in
    *test_sklearn.py) missing=$(needs sklearn) ;;
    *test_examples.py) missing=$(needs matplotlib) ;;
    *) missing= ;;
    esac
    name="pytest $(basename "$file")"
    if [ -n "$missing" ]; then skip "$name" "missing: $missing"
    else ok "$name" "$python" -m pytest -q -p no:cacheprovider --rootdir "$PWD" "$file"; fi
done

# ---- doc/python.md, as a reader would type it ----
missing=$(needs sklearn)
if [ -n "$missing" ]; then skip "the code of doc/python.md runs" "missing: $missing"
else
    awk '/^```/ { on = /python/; next } on' "$srcdir/doc/python.md" >first.py
    cp -r "$srcdir/examples" examples; chmod -R u+w examples
    ok "the code of doc/python.md runs" env PATH="$(dirname "$caduceus"):$PATH" "$python" first.py
    like "and finds the repeats" '^accuracy (0\.[89]|1)' .out
    is "both classifiers find a new one" "$(grep -cx "\['repeat'\]" .out)" 2
    sed -n '/accuracy/d; s/^print(.*  # \([^:]*\).*/\1/p' first.py | while read -r line; do
        grep -qxF -e "$line" .out || echo "$line"
    done >absent
    is "and it prints what its comments say" "$(cat absent)" ""
    like "and scores the variants" "^chrE1 4199 C G -0.0244[0-9]* None None$" .out
fi
finish
