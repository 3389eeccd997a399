#!/bin/sh
# browser.t - a hub's sessions, tracks and annotated regions in igv.js, in chromium.
#
# The folder CADUCEUS_IGV holds npm's package igv, as `./quickstart check` installs it.
# CADUCEUS_PICTURE=doc/igv.png test/browser.t renews the picture that README.md shows.
. "${srcdir:-.}/test/lib.sh"
igv=${CADUCEUS_IGV:-${XDG_CACHE_HOME:-${HOME-}/.cache}/caduceus}/node_modules/igv/dist
python=$(python)
if [ -z "$python" ]; then why="no python3 with numpy"
elif ! command -v chromium >/dev/null; then why="no chromium"
elif [ ! -e "$igv/igv.esm.min.js" ]; then why="no igv.js"
else why=; fi
if [ "$why" ]; then skip "igv.js shows what caduceus writes" "$why"; finish; exit; fi

# Where random bases end and a microsatellite begins.
cp "$srcdir/examples/example.fa" ref.fa
printf 'chrE1\t7340\t7396\nchrE1\t7402\t7470\n' >in.bed
run() { "$caduceus" "$@" --quiet -m "$srcdir/models/human-small" -T ref.fa --window 1024; }
run track -r chrE1:7001-8000 --decimals 5 --hub hub --genome demo --email me@example.org
run track -r chrE1:7001-8000 --decimals 5 --score pll,logo,logo_ref -O bedGraph -o want
run annotate in.bed -o hub/demo/regions.bed

cat >hub/demo/index.html <<'EOP'
<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><div id="igv"></div>
<script type="module">
import igv from "/igv/igv.esm.min.js"
const genome = { id: "demo", fastaURL: "/ref.fa", indexURL: "/ref.fa.fai" }

// Colours of more than a few pixels of what is drawn.
const colours = (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), count = {}
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255) count[data.slice(i, i + 3)] = (count[data.slice(i, i + 3)] ?? 0) + 1
    return Object.keys(count).filter(c => count[c] > 50)
}
const read = async (view) => {
    const { track } = view, features = await track.getFeatures("chrE1", 7350, 7450, .1)
    return { graph: track.graphType, colours: colours(view.viewports[0].canvas), features: features.map(f => [f.start, f.end, f.name ?? f.value, f.sequence]) }
}
const seen = async (browser) => {
    const all = {}
    for (const v of browser.trackViews) if (["wig", "annotation"].includes(v.track.type)) all[v.track.name] = await read(v)
    return all
}
const look = async (browser, session) => {
    await browser.loadSession({ url: session })
    await browser.search("chrE1:7351-7450")
    return seen(browser)
}
globalThis.answer = (async () => {
    const browser = await igv.createBrowser(document.querySelector("#igv"), { loadDefaultGenomes: false, genomeList: [genome], genome: "demo" })
    const xml = await look(browser, "igv_session.xml"), json = await look(browser, "igv.json")
    for (const base of "ACGT") await browser.loadTrack({ url: `${base}.bw`, name: base })
    const logo = await seen(browser)
    for (const base of "ACGT") browser.removeTrackByName(base)
    await browser.loadTrack({ url: "regions.bed", name: "regions: mean pll", displayMode: "EXPANDED", height: 42, color: "rgb(68,84,106)" })
    return { xml, json, logo, regions: (await seen(browser))["regions: mean pll"], letters: [..."ACGT"].map(base => browser.nucleotideColors[base].replace(/[^0-9,]/g, "")) }
})()
</script>
EOP
ok "igv.js opens in chromium" timeout -k 5 50 "$python" "$srcdir/test/browser.py" "$dir" "$igv" hub/demo/index.html seen.png
cp .out seen.json

cat >seen.py <<'EOP'
import json
import numpy as n
seen = json.load(open("seen.json"))

def same(track, name):
    """A value for each base in view, that of the bedGraph."""
    want = {i: float(v) for c, b, e, v in (l.split() for l in open(f"want.{name}.bedGraph") if l[0] != "#") for i in range(int(b), int(e))}
    got = {b: v for b, e, v, _ in track["features"] if e == b + 1}
    assert set(range(7350, 7450)) <= got.keys() and all(n.float32(got[i]) == n.float32(want[i]) for i in got), (name, got)

sequence = "".join(l.strip() for l in open("ref.fa").read().split(">")[1].splitlines()[1:])
EOP
check() { ok "$1" "$python" -c "from seen import *; $2"; }
check "igv.json: its tracks" 'assert list(seen["json"]) == ["Caduceus pll", "Caduceus logo_ref"]'
check "pll" 'same(seen["json"]["Caduceus pll"], "pll")'
check "logo_ref" 'same(seen["json"]["Caduceus logo_ref"], "logo_ref")'
check "logo_ref is drawn as the reference's letters" 't = seen["json"]["Caduceus logo_ref"]; f = t["features"]; top = max(v for _, _, v, _ in f); tall = {s.upper() for _, _, v, s in f if v > top / 3}; assert t["graph"] == "dynseq" and len(tall) > 1 and {seen["letters"]["ACGT".index(x)] for x in tall} <= set(t["colours"]) and all(s.upper() == sequence[b:e].upper() for b, e, _, s in f)'
check "the four tracks of the logo" '[same(seen["logo"][b], "logo." + b) for b in "ACGT"]'
check "igv_session.xml: its tracks" 'assert list(seen["xml"]) == ["Caduceus pll", "Caduceus logo_ref"]; same(seen["xml"]["Caduceus pll"], "pll"); same(seen["xml"]["Caduceus logo_ref"], "logo_ref")'
check "annotated regions" 'assert [f[:3] for f in seen["regions"]["features"]] == [[int(b), int(e), v] for c, b, e, v, _ in (l.split() for l in open("hub/demo/regions.bed") if l[0] != "#")]'
ok "a picture" test "$(head -c 4 seen.png | tail -c 3)" = PNG
[ -z "${CADUCEUS_PICTURE-}" ] || (cd "$OLDPWD" && cp "$dir/seen.png" "$CADUCEUS_PICTURE")
finish
