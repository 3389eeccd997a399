#!/bin/sh
# pictures.t - the pictures of mutate, depend and track: sizes, colours, the same bytes, and faults (13, 43, 48 of
# doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

py=$(any_python)
mutate() { "$caduceus" mutate --quiet -m "$data/ps" --window 64 "$@"; }
depend() { "$caduceus" depend --quiet -m "$data/ps" "$@"; }
track() { "$caduceus" track --quiet -m "$data/ps" --window 64 -T ref.fa "$@"; }
{ echo ">one"; echo "$(bases 60 3)NR$(bases 400 4)"; contig two 2600 7; } >ref.fa
if ! mutate -T ref.fa -r one:1-2 -o x.png 2>err; then
    like "a program without cairo says so" 'x.png: built without cairo, .* libcairo2-dev' err
    finish
    exit
fi
# picture NAME WANT WHAT FILE...: picture.py prints WANT.
picture() {
    local name=$1 want=$2; shift 2
    if [ "$py" ]; then is "$name" "$("$py" "$checks/picture.py" "$@" 2>&1)" "$want"
    else skip "$name" "no python3"; fi
}

# ---- mutate ----
ok "a picture of 90 bases, as .png, .svg and .pdf" \
    mutate -T ref.fa -r one:31-120 -o m.png -o m.svg -o m.pdf -o m.npy
picture "is 1000 pixels wide" "1000 302" size m.png
picture "blue is negative, red positive, the base itself white, N grey" "" mutations m.png m.npy
picture "the SVG is XML" "" xml m.svg
like "and as wide" '<svg [^>]*width="1000' m.svg
is "the PDF begins and ends as one" "$(head -c 5 m.pdf) $(tail -n 1 m.pdf)" "%PDF- %%EOF"
like "the provenance is beside it" '"options": "mutate mask=each window=64' m.png.json
mutate -T ref.fa -r one:31-120 -@ 3 -o again.png -o again.svg -o again.pdf
for f in png svg pdf; do same "$f: the same bytes with other threads" m.$f again.$f; done
mutate -T ref.fa -r one:31-120 -o - -o again.png >table; same "also beside a table" m.png again.png
is "which is written too" "$(rows table | lines)" 90
mutate -T ref.fa -r one:61-462 --mask stride:8 -o long.png
picture "402 bases have five lines" "1000 1038" size long.png
mutate -T ref.fa -r two --mask stride:8 -o longer.png
picture "2600 bases have one" "1000 302" size longer.png
mutate -T ref.fa -r one:61-62 -o none.png; picture "N alone has a picture" "1000 302" size none.png
"$caduceus" mutate --quiet -m "$data/cls-ps" -T ref.fa -r one:1-40 -o class.png -o class.npy
picture "a classifier" "" mutations class.png class.npy
(FONTCONFIG_FILE=/dev/null; export FONTCONFIG_FILE; mutate -T ref.fa -r one:31-60 -o plain.png 2>.err) || diag .err
picture "without fonts there is a picture too" "1000 302" size plain.png

# ---- depend ----
ok "a map of 40 bases" depend -T ref.fa -r one:31-70 -o d.png -o d.svg -o d.npy
picture "is 1000 pixels wide" "1000 1004" size d.png
picture "brighter is more, N is grey" "" dependence d.png d.npy
depend -T ref.fa -r one:31-70 -@ 3 -o again.png -o again.svg
for f in png svg; do same "$f: the same bytes with other threads" d.$f again.$f; done
depend -T ref.fa -r one:1-1 -o one.png; picture "one base has a map" "1000 1004" size one.png

# ---- track ----
ok "a picture of three scores" track -r one:31-120 --score pll,logo,logo_ref --png t.png
picture "has three panels" "1000 438" size t.png
is "nothing else is written" "$(ls t.*)" "$(printf 't.png\nt.png.json')"
track -r one:31-120 -o t.bedGraph --png t2.png; track -r one:31-120 >want
is "with -o the tracks are" "$(rows t.bedGraph | lines)" "$(rows want | lines)"
track -r two --score pll,entropy,logo --mask none --png t3.svg; picture "2600 bases" "" xml t3.svg
error "two regions" '2 regions; a picture shows one' track -r one:1-5,one:9-10 --png x.png
error "a shard" '.--png: --hub and --shard do not fit' track -r one --png x.png --shard 1/2
error "an index" 'name them with -o' track -r one --png x.png --write-index
error "a name that is no picture" 'expected a name in .png, .svg or .pdf' track -r one --png x.look

# ---- faults ----
error "mutate: two records" '2 regions; a picture shows one' mutate ref.fa -o x.png
error "mutate: a shard" 'x.png: a picture shows a whole region' mutate ref.fa -o x.png --shard 1/2
error "mutate: another kind of picture" 'x.jpg: jpg cannot be written' mutate -T ref.fa -r one -o x.jpg
error "no folder" 'none/x.png' depend -T ref.fa -r one:1-9 -o none/x.png
for f in png svg pdf; do
    error "$f: a full device" 'No space left' sh -c "'$caduceus' mutate --quiet -m '$data/ps' -T ref.fa -r one:1-9 \
        --window 64 -o full.$f -o x.tsv -o /dev/full"
    if [ -n "$(no_preload "$full")" ]; then skip "$f: a full disk" "$(no_preload "$full")"; continue; fi
    old x.$f
    error "$f: a full disk" 'No space left' failing_disk AFTER=300 mutate -T ref.fa -r one:1-9 -o out/x.$f
    intact "$f: the old picture stays"
done
is "no output is left by an error" "$(ls x.* full.* 2>/dev/null)" "$(printf 'x.png\nx.png.json')"
finish
