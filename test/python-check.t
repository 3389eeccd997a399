#!/bin/sh
# python-check.t - checks the Python package with tools from a registry of packages: ruff, mypy, twine, auditwheel, a
# wheel in a virtual environment with the newest NumPy, scikit-learn and Jupyter. Skipped if they cannot be installed.
# `make python-check` runs it. CADUCEUS_PYTHON_CHECK is the folder of the virtual environments; the default is
# python-check in the build folder.
. "${srcdir:-.}/test/lib.sh"

environments=${CADUCEUS_PYTHON_CHECK:-$builddir/python-check}
why=$("$srcdir/python/tests/environments" "$environments") || {
    skip "the Python package with the newest packages" "${why:-no environment}"
    finish
    exit
}
environments=$(cd "$environments" && pwd)
tools=$environments/tools/bin newest=$environments/newest/bin
if sanitized; then
    skip "the Python package with the newest packages" "built with a sanitizer"
    finish
    exit
fi

# ---- the source ----
package="$srcdir/python/src $srcdir/python/tests $srcdir/python/setup.py $srcdir/python/caduceus_build.py"
# shellcheck disable=SC2086
ok "ruff finds nothing" "$tools/ruff" check --no-cache --config "$srcdir/python/pyproject.toml" \
    $package "$srcdir/examples/python"
# shellcheck disable=SC2086
ok "the source is formatted" "$tools/ruff" format --no-cache --check --config "$srcdir/python/pyproject.toml" \
    $package "$srcdir/examples/python"
ok "mypy --strict finds nothing" "$tools/mypy" --strict --cache-dir "$dir/mypy" \
    --config-file "$srcdir/python/pyproject.toml" "$srcdir/python/src/caduceus"

# ---- pip install ./python, against the build tree ----
cp -r "$srcdir/python" python
rm -rf python/build
chmod -R u+w python
ok "pip builds it in isolation" env PKG_CONFIG_PATH="$builddir" "$tools/pip" wheel -q --no-deps -w plain ./python
PKG_CONFIG_LIBDIR=/nonexistent "$tools/pip" wheel -q --no-deps -w none ./python >log 2>&1
like "without libcaduceus it says so" 'pkg-config does not find libcaduceus: install it' log

# ---- a wheel that stands alone ----
ok "a wheel is built" "$srcdir/python/wheel" "$builddir" "$tools" wheels
wheel=$(ls wheels/*.whl 2>/dev/null)
like "its name tells the C library" '-cp39-abi3-manylinux_2_[0-9]*_[a-z0-9_]*[.]whl$' "$dir/.out"
ok "twine finds nothing" "$tools/twine" check --strict "$wheel"
ok "a virtual environment without anything" "$tools/python" -m venv empty
ok "the wheel is installed there" empty/bin/pip install -q --disable-pip-version-check "$wheel"
ok "its libraries are the wheel's" empty/bin/python "$checks/python-wheel.py" "$data/ps"
ok "the command that it carries" empty/bin/caduceus annotate -m bundled "$srcdir/examples/example.fa" -o scored.bed

# ---- its tests, with the newest packages ----
"$newest/pip" install -q --disable-pip-version-check --no-deps --force-reinstall "$wheel" 2>&1 | diag
export CADUCEUS="$newest/caduceus" CADUCEUS_SHARED="$shared" MPLCONFIGDIR="$dir" MYPY_CACHE_DIR="$dir/mypy"
mkdir tests
for file in "$srcdir"/python/tests/test_*.py; do
    name=$(basename "$file")
    ok "pytest $name" "$newest/python" -m pytest -q -p no:cacheprovider --rootdir "$PWD" "$file"
    is "$name: no test is skipped" "$(grep -c skipped "$dir/.out")" 0
done
finish
