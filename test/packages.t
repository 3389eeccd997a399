#!/bin/sh
# packages.t - the recipes of packages in debian/ and contrib/ can be parsed, and agree with configure.ac, quickstart
# and test/symbols. None is built here; contrib/fresh -p builds those of Debian.
. "${srcdir:-.}/test/lib.sh"
cd "$srcdir" || exit 1
control=debian/control conda=contrib/conda/meta.yaml docker=contrib/docker/Dockerfile
apptainer=contrib/apptainer/caduceus.def homebrew=contrib/homebrew/caduceus.rb

# ---- versions ----
version=$(sed -n 's/^AC_INIT(\[caduceus\], \[\(.*\)\])/\1/p' configure.ac)
ok "configure.ac has a version" test -n "$version"
is "version: debian/changelog" "$(sed -n '1s/.*(\(.*\)-[0-9]*).*/\1/p' debian/changelog | tr '~' -)" "$version"
is "version: conda" "$(sed -n 's/^{% set version = "\(.*\)" %}/\1/p' $conda)" "$version"
is "version: Homebrew" "$(sed -n 's/^  version "\(.*\)"/\1/p' $homebrew)" "$version"
like "Homebrew builds the tarball of this version" "/caduceus-$version\.tar\.gz" $homebrew

# ---- contrib/release, in a clone of its own ----
clone=$dir/clone
# refuses NAME REGEX: passes if `contrib/release --check` fails with a line that matches REGEX.
refuses() {
    if "$clone/contrib/release" --check >"$dir/said" 2>&1; then fail "$1"; else like "$1" "$2" "$dir/said"; fi
}
in_clone() { git -C "$clone" -c user.name=t -c user.email=t@example.org "$@"; }
set_version() { sed -i "s/^AC_INIT(.*/AC_INIT([caduceus], [$1])/" "$clone/configure.ac"; }
if command -v git >/dev/null; then
    mkdir -p "$clone/contrib" && cp contrib/release "$clone/contrib" && cp configure.ac NEWS "$clone"
    chmod -R u+w "$clone"; in_clone init -q .
    set_version 0.9.0-dev; refuses "release refuses a development version" 'release: configure.ac: version 0.9.0-dev is'
    set_version 0.9.0; refuses "release needs NEWS of the version" '^release: NEWS: the first line is'
    sed -i '1s/.*/caduceus 0.9.0, 2026-12-24/' "$clone/NEWS"
    refuses "release needs a clean clone" '^release: files have changed; commit them'
    in_clone add . && in_clone commit -qm ready
    ok "release finds nothing to say then" "$clone/contrib/release" --check
    in_clone tag v0.9.0
    refuses "release makes a tag once" '^release: the tag v0.9.0 exists'
else skip "release" "no git"; fi

# ---- dependencies ----
# listed VARIABLE...: prints the packages that quickstart has in these variables.
listed() { for v; do sed -n "s/^$v=\"\(\$$v \)*\(.*\)\"/\2/p" quickstart | tr ' ' '\n'; done | sort -u; }
# needed GREP-OPTION...: prints the packages to build with that debian/control has in lines which grep selects.
needed() { sed -n '/^Build-Depends/,/^$/s/^ //p' $control | grep "$@" | sed 's/[ ,(].*//' | sort -u; }
# names MODULE: prints the names of a module of pkg-config, or of a library without one, in Debian, conda and Homebrew.
names() {
    case $1 in
        cairo) echo libcairo2-dev cairo cairo ;;
        fftw3f) echo libfftw3-dev fftw fftw ;;
        htslib) echo libhts-dev htslib htslib ;;
        jansson) echo libjansson-dev jansson jansson ;;
        svm) echo libsvm-dev libsvm libsvm ;;
        libcurl) echo libcurl4-gnutls-dev libcurl curl ;;
        libzip) echo libzip-dev libzip libzip ;;
        nettle) echo nettle-dev nettle nettle ;;
        zlib) echo zlib1g-dev zlib zlib ;;
    esac
}
listed build deb >"$dir/build"
listed build deb tests >"$dir/all"
{ grep -o 'PKG_CHECK_MODULES(\[[A-Z]*\], \[[^]]*' configure.ac; grep -o 'AC_CHECK_LIB(\[[^]]*' configure.ac; } |
    sed 's/.*\[//; s/ >=//' | sort -u >"$dir/modules"
ok "configure.ac asks for libraries" test "$(lines <"$dir/modules")" -ge 6
while read -r module least; do
    # shellcheck disable=SC2046
    set -- $(names "$module")
    is "the names of $module are known" $# 3
    [ $# = 3 ] || continue
    ok "quickstart installs $1" grep -qx "$1" "$dir/build"
    ok "debian/control has $1 as configure.ac has it" grep -qx " $1${least:+ (>= $least)}," $control
    ok "conda has $2 as configure.ac has it" grep -qx "    - $2${least:+ >=$least}" $conda
    ok "Homebrew has $3" grep -qE "^  (depends_on|uses_from_macos) \"$3\"" $homebrew
done <"$dir/modules"
needed -v '<\|debhelper-compat' >"$dir/needed"
is "quickstart deb installs what debian/control builds with" "$(comm -23 "$dir/needed" "$dir/build")" ""
needed '<!nocheck>' >"$dir/needed"
ok "debian/control tests with packages" test -s "$dir/needed"
is "quickstart check installs what debian/control tests with" "$(comm -23 "$dir/needed" "$dir/all")" ""

# ---- Debian ----
so=$(awk -F: '/-version-info/ { split($1, a, "-version-info "); print a[2] - $3 }' Makefile.am)
symbols=debian/libcaduceus$so.symbols
is "the library's package is named by its soname" "$(head -n 1 $symbols)" \
    "libcaduceus.so.$so libcaduceus$so #MINVER#"
sed -n 's/^ \(cad_[a-z0-9_]*\)@Base .*/\1/p' $symbols >"$dir/listed"
grep '^cad_' test/symbols >"$dir/exported"
same "its symbols are those of test/symbols" "$dir/exported" "$dir/listed"
for package in $(sed -n 's/^Package: //p' $control); do
    ok "$package has files" test -s "debian/$package.install" -o -s "debian/$package.links"
done
for file in bash-completion/completions/caduceus zsh/site-functions/_caduceus man/man1/caduceus; do
    ok "the package caduceus has $file" grep -qF "usr/share/$file" debian/caduceus.install
done
if command -v dpkg-parsechangelog >/dev/null; then
    dpkg-parsechangelog -l debian/changelog >"$dir/parsed" 2>&1
    is "debian/changelog is parsed without a warning" "$(grep -c '^Source: caduceus' "$dir/parsed")$(grep -c warning \
        "$dir/parsed")" 10
else skip "debian/changelog is parsed without a warning" "no dpkg-parsechangelog"; fi
is "debian/copyright has the text of LICENSE" "$(sed -n '/^ Permission/,$p' debian/copyright | tr -d '. \n')" \
    "$(sed -n '/^Permission/,$p' LICENSE | tr -d '. \n')"

# ---- conda ----
py=$(any_python)
if "${py:-false}" -c 'import jinja2' 2>/dev/null && "$py" -c 'import yaml' 2>/dev/null; then
    "$py" test/check/conda-recipe.py $conda >"$dir/conda" 2>"$dir/err" || diag "$dir/err"
    is "the conda recipe is parsed" "$(joined <"$dir/conda")" "caduceus $(echo "$version" | tr - .) MIT "
else skip "the conda recipe is parsed" "no python3 with yaml and jinja2"; fi

# ---- containers ----
# joined_lines FILE: prints the lines without comments, continued ones as one.
joined_lines() { sed -e '/^ *#/d' "$1" | sed -e ':a' -e '/\\$/N; s/\\\n/ /; ta' | grep .; }
joined_lines $docker >"$dir/docker"
is "the Dockerfile has known instructions alone" "$(grep -vE \
    '^(FROM|RUN|COPY|WORKDIR|ENTRYPOINT|CMD) [^ ]' "$dir/docker")" ""
is "it begins with FROM" "$(sed -n '1s/ .*//p' "$dir/docker")" FROM
is "a stage is copied from only if it exists" "$(sed -n 's/^COPY --from=\([^ ]*\).*/\1/p' "$dir/docker" | sort -u)" \
    "$(sed -n 's/^FROM .* AS //p' "$dir/docker")"
sed -n 's/^RUN //p' "$dir/docker" >"$dir/docker.sh"
base=$(sed -n 's/^FROM \([^ ]*\).*/\1/p' "$dir/docker" | sort -u)
is "Docker and Apptainer have the same base" "$(sed -n 's/^From: //p' $apptainer)" "$base"
is "the definition has known sections alone" "$(grep '^%' $apptainer | joined)" "%files %post %runscript %test "
like "it is of an image of a registry" '^Bootstrap: docker$' $apptainer
for section in post runscript test; do
    awk -v wanted="%$section" '/^%/ { on = $0 == wanted; next } on' $apptainer >"$dir/$section.sh"
done
for recipe in $docker $apptainer; do
    like "$recipe builds with quickstart deb" '\./quickstart deb$' $recipe
done

# ---- shell and Ruby ----
for script in "$dir"/docker.sh "$dir"/post.sh "$dir"/runscript.sh "$dir"/test.sh contrib/conda/build.sh debian/tests/* \
    contrib/fresh quickstart; do
    case $script in */control) continue ;; esac
    name=$(basename "$script")
    ok "$name is read by the shell" test -s "$script" -a -z "$(sh -n "$script" 2>&1)"
    if ! command -v shellcheck >/dev/null; then skip "$name passes shellcheck" "no shellcheck"
    else ok "$name passes shellcheck" shellcheck -s bash -S warning "$script"; fi
done
if command -v ruby >/dev/null; then ok "the formula is read by Ruby" ruby -c $homebrew
else skip "the formula is read by Ruby" "no ruby"; fi
for recipe in $conda $docker $apptainer $homebrew; do
    like "$recipe says that it has not been built" '^# Not built by the project so far' $recipe
done
finish
