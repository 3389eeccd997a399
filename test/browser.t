#!/bin/sh
# browser.t - opens the sessions, tracks and annotated regions of a track hub in igv.js, in chromium.
#
# CADUCEUS_IGV names the folder of the npm package igv, which `./quickstart check` installs.
# CADUCEUS_PICTURE=doc/igv.png test/browser.t replaces the picture that README.md shows.
. "${srcdir:-.}/test/lib.sh"
igv=${CADUCEUS_IGV:-${XDG_CACHE_HOME:-${HOME-}/.cache}/caduceus}/node_modules/igv/dist
py=$(python)
if [ -z "$py" ]; then why="no python3 with numpy"
elif ! command -v chromium >/dev/null; then why="no chromium"
elif [ ! -e "$igv/igv.esm.min.js" ]; then why="no igv.js"
else why=; fi
if [ "$why" ]; then skip "igv.js shows what caduceus writes" "$why"; finish; exit; fi

# The regions are at the boundary between random bases and a microsatellite.
cp "$srcdir/examples/example.fa" ref.fa
printf 'chrE1\t7340\t7396\nchrE1\t7402\t7470\n' >in.bed
run() { "$caduceus" "$@" --quiet -m "$srcdir/models/human-small" -T ref.fa --window 1024; }
run track -r chrE1:7001-8000 --decimals 5 --hub hub --genome demo --email me@example.org
run track -r chrE1:7001-8000 --decimals 5 --score pll,logo,logo_ref -O bedGraph -o want
run annotate in.bed -o hub/demo/regions.bed

cp "$checks/browser.html" hub/demo/look.html
ok "igv.js opens in chromium" \
    timeout -k 5 50 "$py" "$srcdir/test/browser.py" "$dir" "$igv" hub/demo/look.html seen.png
cp .out seen.json

seen() { check "$1" seen.py "$2"; }
seen "igv.json: its tracks" tracks
seen "pll" pll
seen "logo_ref" logo_ref
seen "logo_ref is drawn as the reference's letters" letters
seen "the four tracks of the logo" logo
seen "igv_session.xml: its tracks" session
seen "annotated regions" regions
ok "a picture" test "$(head -c 4 seen.png | tail -c 3)" = PNG

# The page of the hub itself, over a reference that igv.js does not know by name.
cp "$igv/igv.min.js" hub
"$caduceus" annotate --quiet -m "$data/ps" -T ref.fa in.bed -o /dev/null # makes ref.fa.fai
sed -i 's|"genome": "demo"|"reference": { "id": "demo", "fastaURL": "/ref.fa", "indexURL": "/ref.fa.fai" }|' \
    hub/demo/igv.json
{   cat hub/index.html
    echo '<script>globalThis.answer = shown.then(b => [b.trackViews.map(v => v.track.name), b.currentLoci()])</script>'
} >hub/page.html
ok "index.html opens in chromium" \
    timeout -k 5 50 "$py" "$srcdir/test/browser.py" "$dir" "$igv" hub/page.html page.png
like "with the tracks" '"Caduceus pll", "Caduceus logo_ref"' .out
like "on the first region" 'chrE1:7,?001-8,?000' .out
[ -z "${CADUCEUS_PICTURE-}" ] || (cd "$OLDPWD" && cp "$dir/seen.png" "$CADUCEUS_PICTURE")
finish
