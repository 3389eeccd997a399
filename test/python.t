#!/bin/sh
# python.t - builds the Python package against the build tree and runs its tests under Debian's python3.
. "${srcdir:-.}/test/lib.sh"

# has MODULE...: succeeds if Debian's Python has all modules.
python=/usr/bin/python3
has() { for module; do "$python" -c "import $module" 2>/dev/null || return 1; done; }
missing=
for module in numpy cffi pytest setuptools; do has $module || missing="$missing python3-$module"; done
[ -e "$builddir/.libs/libcaduceus.so" ] || missing="$missing libcaduceus.so"
header=$("$python" "$checks/python-header.py" 2>/dev/null)
[ -e "$header" ] || missing="$missing python3-dev"
sanitized && missing="$missing a build without sanitizers"

name="the Python package builds"
if [ -n "$missing" ]; then
    skip "$name" "missing:$missing"
    finish
    exit
fi
cp -r "$srcdir/python/src" "$srcdir/python/setup.py" "$srcdir/python/caduceus_build.py" "$srcdir/python/pyproject.toml" \
    "$srcdir/python/README.md" .
export PKG_CONFIG_PATH="$builddir"
ok "$name" env CFLAGS=-O0 "$python" setup.py -q build_py --build-lib site build_ext --build-lib site
mkdir -p site/caduceus/share/caduceus/models
cp -r "$srcdir/models/human-small" site/caduceus/share/caduceus/models
export PYTHONPATH="$PWD/site" CADUCEUS="$caduceus" CADUCEUS_SHARED="$shared" MPLCONFIGDIR="$PWD"
for file in "$srcdir"/python/tests/test_*.py; do
    case $file in
    *test_sklearn.py) needs=sklearn ;;
    *test_examples.py) needs=matplotlib ;;
    *) needs=numpy ;;
    esac
    name="pytest $(basename "$file")"
    if has $needs; then ok "$name" "$python" -m pytest -q -p no:cacheprovider --rootdir "$PWD" "$file"
    else skip "$name" "no python3-$needs"; fi
done
finish
