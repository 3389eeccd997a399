#!/bin/sh
# save.t - `model convert`: checkpoints that are written, and disks that are full
# (faults 43, 44, 48).
. "${srcdir:-.}/test/lib.sh"

python=$(command -v python3 || echo /usr/bin/python3)
full=$builddir/.libs/libfullfs.so
files="config.json model.safetensors tokenizer_config.json"

# ---- what is written is the model that was read ----
converts() { # NAME MODEL
    ok "$1 is converted" "$caduceus" model convert -m "$2" -o new
    is "$1: the files of a checkpoint" "$(ls -A new | tr '\n' ' ')" "$files "
    ok "$1: what was written verifies" "$caduceus" model verify -m new "$2/expected.safetensors"
    "$caduceus" model info -m "$2" | grep -vE '^(dtype|sha256)' >was
    "$caduceus" model info -m new | grep -vE '^(dtype|sha256)' >is
    same "$1: and is described as before" was is
    rm -rf new
}
for model in "$data"/*/; do converts "$(basename "$model")" "$model"; done
if [ -d "$shared/golden" ]; then
    for model in "$shared"/golden/*/; do
        unsupported "$model" && { skip "golden $(basename "$model") is converted" "Mamba-2 is not supported yet"; continue; }
        converts "golden $(basename "$model")" "$model"
    done
else skip "the large golden checkpoints are converted" "not present"; fi

# ---- a link's target is replaced, also one that is not there yet (60) ----
mkdir links; ln -s ../elsewhere.safetensors links/model.safetensors
ok "a dangling link is written through" "$caduceus" model convert -m "$data/ps" -o links
is "and stays" "$(readlink links/model.safetensors)$(test -f elsewhere.safetensors && echo ' there')" "../elsewhere.safetensors there"
rm -rf links elsewhere.safetensors

# ---- the files, read by others' rules ----
cat >read.py <<'PY'
import json, struct, sys

def read(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head, data, at, out = json.loads(raw[8:8 + n].decode()), raw[8 + n:], 0, {}
    meta = head.pop("__metadata__")
    for name, t in head.items():
        a, b = t["data_offsets"]
        count = 1
        for d in t["shape"]: count *= d
        width = {"F32": 4, "I64": 8, "F16": 2, "BF16": 2}[t["dtype"]]
        if path == sys.argv[2] + "/model.safetensors":
            assert n % 8 == 0 and raw[8:9] == b"{", "header"
            assert a == at and b - a == count * width and a % width == 0, (name, a, at)
            assert t["dtype"] == ("I64" if name.endswith("complement_map") else "F32"), name
        at = b
        out[name] = t["dtype"], t["shape"], data[a:b]
    assert at == len(data) or path != sys.argv[2] + "/model.safetensors", "trailing bytes"
    return meta, out

was, new = read(sys.argv[1] + "/model.safetensors")[1], read(sys.argv[2] + "/model.safetensors")
assert new[0]["format"] == "pt" and all(isinstance(v, str) for v in new[0].values()), new[0]
assert len(sys.argv) < 4 or new[0]["status"] == sys.argv[3], new[0]
missing = [k for k in was if k not in new[1]]
assert all("mamba_rev" in k or k.startswith("lm_head") for k in missing), missing
assert all(was[k] == new[1][k] for k in was if k in new[1]), "values"
assert all("mamba_fwd" in k or "word_embeddings" in k for k in new[1] if k not in was), "names"
a, b = json.load(open(sys.argv[1] + "/config.json")), json.load(open(sys.argv[2] + "/config.json"))
for k in b:
    if k in a and k != "ssm_cfg" and k != "vocab_size": assert a[k] == b[k] and type(a[k]) == type(b[k]), (k, a[k], b[k])
for k, v in b["ssm_cfg"].items():
    if a["ssm_cfg"].get(k, v) != "auto": assert a["ssm_cfg"].get(k, v) == v, (k, v)
assert isinstance(json.load(open(sys.argv[2] + "/tokenizer_config.json"))["model_max_length"], int)
PY
if "$python" -c '' 2>/dev/null; then
    for model in ps cls-ps ps-odd-depth ph-untied plant cls-ph ps-bias; do
        "$python" - "$data/$model" prefixed <<'PY'
import json, os, re, struct, sys
os.makedirs(sys.argv[2], exist_ok=True)   # with the published prefix, which some fixtures lack
raw = open(sys.argv[1] + "/model.safetensors", "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
head = json.loads(raw[8:8 + n])
head = {re.sub(r"^(model\.)?(caduceus\.)?backbone", "caduceus.backbone", re.sub(r"^model\.", "", k)): v for k, v in head.items()}
head["__metadata__"] = {"format": "pt", "status": "a \"test\", µ"}
text = json.dumps(head).encode()
open(sys.argv[2] + "/model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + raw[8 + n:])
open(sys.argv[2] + "/config.json", "w").write(open(sys.argv[1] + "/config.json").read())
PY
        "$caduceus" model convert -m prefixed -o new
        ok "$model: names, values, offsets and metadata are as published" "$python" read.py prefixed new 'a "test", µ'
        rm -rf prefixed new
    done
else skip "names, values, offsets and metadata are as published" "no python3"; fi

# ---- the folder ----
mkdir plain && (umask 027; "$caduceus" model convert -m "$data/ps" -o plain/new)
is "new files follow the umask" "$(stat -c %a plain/new plain/new/* | tr '\n' ' ')" "750 640 640 640 "
chmod 600 plain/new/config.json
ok "a checkpoint is replaced" "$caduceus" model convert -m "$data/ps-ssm" -o plain/new/
is "and keeps its mode" "$(stat -c %a plain/new/* | tr '\n' ' ')" "600 640 640 "
ok "it is the other model" "$caduceus" model verify -m plain/new "$data/ps-ssm/expected.safetensors"
cksum plain/new/* >before
error "onto itself" 'is also an input' "$caduceus" model convert -m plain/new -o plain/new
ln -s new plain/link
error "onto itself, by another name" 'is also an input' "$caduceus" model convert -m plain/new/model.safetensors -o plain/link
error "a folder in no folder" 'no/new: cannot write there: No such file' "$caduceus" model convert -m "$data/ps" -o no/new
error "a file in its place" 'before: is there and is not a folder' "$caduceus" model convert -m "$data/ps" -o before
error "no folder" '-o: give the folder' "$caduceus" model convert -m "$data/ps"
error "an empty name" 'cannot write there' "$caduceus" model convert -m "$data/ps" -o ''
error "a model that is not there" 'gone' "$caduceus" model convert -m gone -o other
is "leaves no folder" "$(ls -d other 2>&1 | grep -c 'No such')" 1
error "-o belongs to convert" 'belongs to .model convert' "$caduceus" model info -m "$data/ps" -o new
echo '{}' >plain/new/tokenizer.json
error "a folder with another model's tokenizer" 'tokenizer.json: belongs to another model' "$caduceus" model convert -m "$data/ps" -o plain/new
rm plain/new/tokenizer.json
cksum plain/new/* >after
same "after all that the folder is as it was" before after
if bound; then
    mkdir shut && chmod 500 shut
    error "a folder that is read-only" 'cannot write there' $as "$caduceus" model convert -m "$data/ps" -o shut
    chmod 700 shut
else skip "a folder that is read-only" "root cannot give up its rights"; fi

# ---- disks ----
old() { rm -rf out; mkdir out; for f in $files; do echo "old $f" >out/$f; done; (cd out && cksum * && ls -A) >before; }
intact() { (cd out && cksum ./* | sed 's, \./, ,' && ls -A) >after; same "$1" before after; }
if [ -e "$full" ] && ! grep -q __asan_init "$caduceus"; then
    "$caduceus" model convert -m "$data/ps" -o whole
    weights=$(wc -c <whole/model.safetensors)
    all=$(cat whole/* | wc -c)
    for named in 0 1; do
        disk() { if [ $named = 1 ]; then env LD_PRELOAD="$full" FULLFS_NAMED=1 "$@"; else env LD_PRELOAD="$full" "$@"; fi; }
        for n in 0 5 8 1000 $((weights - 1)) "$weights" $((all - 1)); do
            old; error "disk full after $n bytes" 'out/[a-z_.]*: write failed: No space left' disk FULLFS_AFTER="$n" "$caduceus" model convert -m "$data/ps" -o out
            intact "the old checkpoint stays"
            error "the same without one" 'fresh/[a-z_.]*: write failed: No space left' disk FULLFS_AFTER="$n" "$caduceus" model convert -m "$data/ps" -o fresh
            is "and no folder" "$(ls -d fresh 2>&1 | grep -c 'No such')" 1
        done
        for when in FSYNC CLOSE; do
            old; error "$when fails" 'out/[a-z_.]*: write failed: (No space left|Input/output error)' disk FULLFS_$when=1 "$caduceus" model convert -m "$data/ps" -o out
            intact "the old checkpoint stays"
        done
        old; ok "a disk that is just large enough" disk FULLFS_AFTER="$all" "$caduceus" model convert -m "$data/ps" -o out
        for f in $files; do same "$f is whole" out/$f whole/$f; done
        is "and nothing else is there" "$(ls -A out | tr '\n' ' ')" "$files "
    done
else skip "disk full" "no libfullfs, or a sanitizer"; fi

finish
