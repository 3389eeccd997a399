#!/bin/sh
# pull.t - caduceus model pull and model list: downloads from a small hub server on this machine into the hub cache and
# runs with the downloaded model. Nothing is sent to other machines.
. "${srcdir:-.}/test/lib.sh"

unset HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH \
    HF_HUB_OFFLINE HF_HUB_DOWNLOAD_TIMEOUT SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE \
    http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
export HOME=$dir/home HF_ENDPOINT=http://127.0.0.1:9/none
mkdir home served cache models
cache=$HOME/.cache/huggingface/hub
py=$(any_python)
pull() { timeout 60 "$caduceus" model pull "$@"; }
list() { timeout 60 "$caduceus" model list "$@"; }

# ---- names and options ----

error "pull without a model" 'give one model' pull
error "two models" 'give one model' pull lab/dna lab/rna
for name in lab lab/dna/x ../dna lab/.. lab/a--b lab/dna@ lab/dna@../x lab/dna@/x '' 'lab/d a' .lab/dna; do
    error "pull '$name' is refused" '(expected hf:ORG/NAME|is given)' pull "$name"
done
error "a revision given twice" 'one too many' pull lab/dna@main --revision v1
error "a revision with .." 'expected hf:ORG/NAME' pull lab/dna --revision ../../x
error "--retries -1" 'retries' pull --retries -1 lab/dna
error "pull takes no -m" '-m: no such option' pull -m lab/dna
error "list takes no file" 'takes no file' list lab/dna
error "the address of a data set" 'expected the address of a model' pull https://huggingface.co/datasets/lab
error "a revision in an address and another" 'one too many' pull https://huggingface.co/lab/dna/tree/v1 --revision v2
error "-m hf: says how to get the model" 'not in the hub cache .*; run: caduceus model pull lab/dna@v1$' \
    timeout 60 "$caduceus" model info -m hf:lab/dna@v1
ok "an absent cache is an empty list" list
is "with its header alone" "$(wc -l <.out | tr -d ' ')" 1
is "model list writes nothing" "$(find home)" home

# ---- where the cache is (case 15) ----

place() { # FOLDER: makes a hub cache there, with a snapshot of the model lab/dna
    mkdir -p "$1/models--lab--dna/refs" "$1/models--lab--dna/snapshots/abc"
    printf abc >"$1/models--lab--dna/refs/main"
    cp "$data/ps/config.json" "$data/ps/model.safetensors" "$1/models--lab--dna/snapshots/abc"
}
found() { # NAME VARIABLE=VALUE...: model info finds lab/dna
    local name=$1; shift
    ok "found: $name" env "$@" timeout 60 "$caduceus" model info -m hf:lab/dna
}
place user/.cache/huggingface/hub
u=$dir/user
found "HOME" HOME="$u"
found "HOME with a slash" HOME="$u/"
found "XDG_CACHE_HOME" XDG_CACHE_HOME="$u/.cache"
found "~ in XDG_CACHE_HOME" HOME="$u" XDG_CACHE_HOME='~/.cache'
found "HF_HOME" HF_HOME="$u/.cache/huggingface"
found "HF_HOME before XDG_CACHE_HOME" HF_HOME="$u/.cache/huggingface" XDG_CACHE_HOME=/nowhere
found "~ in HF_HOME" HOME="$u" HF_HOME='~/.cache/huggingface'
found "variables in HF_HOME" HF_HOME='$U/.cache/${H}' U="$u" H=huggingface
found "HF_HUB_CACHE" HF_HUB_CACHE="$u/.cache/huggingface/hub" HF_HOME=/nowhere
found "~ in HF_HUB_CACHE" HOME="$u" HF_HUB_CACHE='~/.cache/huggingface/hub'
found "HUGGINGFACE_HUB_CACHE" HUGGINGFACE_HUB_CACHE="$u/.cache/huggingface/hub" HF_HOME=/nowhere
found "HF_HUB_CACHE before it" HF_HUB_CACHE="$u/.cache/huggingface/hub" HUGGINGFACE_HUB_CACHE=/nowhere
found "empty variables" HOME="$u" HF_HUB_CACHE= HUGGINGFACE_HUB_CACHE= HF_HOME= XDG_CACHE_HOME=
found "a relative folder" HF_HUB_CACHE=user/.cache/huggingface/hub
user=$(id -un) home=$(getent passwd "$(id -un)" 2>/dev/null | cut -d : -f 6)
if [ -n "$home" ]; then
    error "~USER is expanded" "\($home/no-such/models--lab--dna/" \
        env HF_HUB_CACHE="~$user/no-such" timeout 60 "$caduceus" model info -m hf:lab/dna
    error "without HOME the user's home folder is used" "\(${home%/}/no-such/models--lab--dna/" \
        env -u HOME HF_HUB_CACHE="~/no-such" timeout 60 "$caduceus" model info -m hf:lab/dna
else skip "~USER is expanded" "no getent"; fi
error "an unknown variable is not expanded" '\(\$NONE/~x/models--lab--dna/' \
    env HF_HUB_CACHE='$NONE/~x' timeout 60 "$caduceus" model info -m hf:lab/dna
error "a cache whose path is too long" 'too long' \
    env HF_HUB_CACHE="/$(bases 5000 1)" timeout 60 "$caduceus" model info -m hf:lab/dna
error "a cache that is a file" 'Not a directory' env HF_HUB_CACHE="$data/ps/config.json" "$caduceus" model list
shared_case=$shared/cases/15-hf-cache/cmd
if [ -f "$shared_case" ] && [ -d "$shared/golden/ps-fused-d16-l2" ]; then
    mkdir case && cp "$shared_case" case/cmd
    (CADUCEUS=$caduceus MODEL=$shared/golden/ps-fused-d16-l2 sh case/cmd) >case/out 2>&1
    is "every case is found" "$(grep -c ': model	Caduceus-PS' case/out) of $(lines <case/out)" "5 of 5"
else skip "case 15" "not there"; fi

# ---- the hub ----

why=
[ -n "$py" ] || why="no python3"
if pull lab/dna 2>&1 | grep -qE 'built without libcurl|libcurl is not installed'; then
    why="no libcurl"
    ok "a build without libcurl has the command" pull --help
    error "it prints an error that says so" 'libcurl' pull lab/dna
fi
if [ "$why" ]; then
    skip "pull from a hub" "$why"
    finish
    exit
fi

mkdir models/ps models/ph models/both models/adapter models/none models/foreign models/bin
cp "$data"/ps/*.json "$data/ps/model.safetensors" models/ps
mkdir models/ps/onnx
for file in README.md modeling_caduceus.py .gitattributes onnx/model.onnx; do echo "$file" >"models/ps/$file"; done
cp "$data"/ph/*.json "$data/ph/model.safetensors" models/ph
cp "$data/ps/config.json" models/both
for file in model.safetensors.index.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors \
    model-x-of-y.safetensors pytorch_model.bin optimizer.bin; do echo "$file" >"models/both/$file"; done
for file in config.json pytorch_model.bin tokenizer.json; do echo "$file" >"models/bin/$file"; done
for file in adapter_config.json adapter_model.safetensors adapter_model.bin; do echo x >"models/adapter/$file"; done
echo '{}' >models/none/config.json
echo '{"model_type": "bert", "hidden_size": 8}' >models/foreign/config.json
cp "$data/ps/model.safetensors" models/foreign
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 3650 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 >/dev/null 2>&1 && cat key.pem cert.pem >served/cert.pem || rm -f cert.pem
"$py" "$srcdir/test/hub-server.py" "$dir/served" lab/dna:main,v2=models/ps lab/dna:v1,refs/pr/1=models/ph \
    lab/gated:main=models/ps lab/private:main=models/ps lab/both:main=models/both lab/bin:main=models/bin \
    lab/adapter:main=models/adapter lab/none:main=models/none lab/foreign:main=models/foreign 2>served.err &
server=$!
n=0; while [ ! -e served/ports ] && [ $n -lt 2000 ]; do sleep 0.05; n=$((n + 1)); done
if [ ! -e served/ports ]; then fail "the test's hub starts"; diag served.err; finish; exit; fi
read -r port cdn <served/ports
hub=http://127.0.0.1:$port
log=served/log
commit() { sed -n "s|^$1 ||p" served/commits; }   # ORG/NAME:REV
ps=$(commit lab/dna:main) ph=$(commit lab/dna:v1)
size=$(wc -c <models/ps/model.safetensors | tr -d ' ')
blob=$(sha256sum <models/ps/model.safetensors | cut -d ' ' -f 1)

# from MODE OPTION...: runs model pull from a hub that behaves as MODE says; see hub-server.py.
from() { local mode=$1; shift; env HF_ENDPOINT="$hub/$mode" timeout 60 "$caduceus" model pull "$@"; }
fresh() { rm -rf "$cache" "$HOME/.cache"; : >"$log"; }
asked() { awk -v name="$1" '$3 ~ name' "$log" | cut -d ' ' -f 4; }   # prints the ranges requested of a file
snapshot() { "$py" "$checks/snapshot.py" "$@"; }
tree() { (cd "$cache" && find . -type l -o -type f | sort); }
# whole NAME: the cache holds lab/dna in the layout of huggingface_hub, and nothing else.
whole() {
    is "$1: Python finds the snapshot" "$(snapshot lab/dna)" "$cache/models--lab--dna/snapshots/$ps"
    is "$1: nothing is left beside it" "$(find "$cache" -name '*.incomplete' -o -name '*.tmp')" ""
    cmp -s models/ps/model.safetensors "$cache/models--lab--dna/snapshots/$ps/model.safetensors" ||
        fail "$1: the weights are those of the hub"
}

fresh
ok "--dry-run" from plain --dry-run lab/dna
like "names the commit" "^commit	$ps\$" .out
like "names the weights and their size" '^model.safetensors	48 kB	48 kB to fetch$' .out
is "and no unnecessary file" "$(grep -cE 'README|modeling|gitattributes|onnx|expected' .out)" 0
is "it writes nothing" "$(find home)" home
is "and requests only the list" "$(cut -d ' ' -f 3 <"$log")" "/plain/api/models/lab/dna/revision/main?blobs=true"

fresh
ok "a fresh pull" from plain lab/dna
is "prints the folder" "$(cat .out)" "$cache/models--lab--dna/snapshots/$ps"
like "and a summary" 'lab/dna@main: 3 files, 49 kB, of which 49 kB were fetched' .err
whole "fresh"
ok "the address of its page names it" from plain https://huggingface.co/lab/dna
is "and the same folder" "$(cat .out)" "$cache/models--lab--dna/snapshots/$ps"
is "the snapshot has config, tokenizer and weights" \
    "$(ls -A "$cache/models--lab--dna/snapshots/$ps" | joined)" "config.json model.safetensors tokenizer_config.json "
is "the reference is the commit alone" "$(od -An -c "$cache/models--lab--dna/refs/main" | tr -d ' \n')" "$ps"
ok "blobs are named by SHA-256" test -f "$cache/models--lab--dna/blobs/$blob"
ok "locks are where huggingface_hub has them" test -f "$cache/.locks/models--lab--dna/$blob.lock"
: >"$log"
ok "a second pull" from plain lab/dna
is "requests only the list" "$(lines <"$log")" 1
like "and says so" 'of which 0 B were fetched' .err
ok "--dry-run then says" from plain lab/dna --dry-run
like "that all files are in the cache" '^model.safetensors	48 kB	in the cache$' .out
ok "--quiet" from plain --quiet lab/dna
is "prints no summary" "$(cat .err)" ""

# ---- offline ----

ok "what was pulled is found without a network" timeout 60 "$caduceus" model info -m hf:lab/dna
printf '>a\n%s\n' "$(bases 200 3)" >a.fa
"$caduceus" annotate --quiet -m hf:lab/dna a.fa 2>&1 | grep -v '^##' >pulled.bed
"$caduceus" annotate --quiet -m models/ps a.fa 2>&1 | grep -v '^##' >folder.bed
same "annotate -m hf: gives the scores of the folder" pulled.bed folder.bed
is "and no run but pull asks the hub" "$(lines <"$log")" 3
error "HF_HUB_OFFLINE" 'HF_HUB_OFFLINE is set' \
    env HF_HUB_OFFLINE=1 HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/dna

# ---- revisions ----

fresh
ok "@REV, a tag" from plain lab/dna@v1
is "is found by Python" "$(snapshot lab/dna v1)" "$cache/models--lab--dna/snapshots/$ph"
ok "@REV with a slash" from plain lab/dna@refs/pr/1
is "is found by Python, too" "$(snapshot lab/dna refs/pr/1)" "$cache/models--lab--dna/snapshots/$ph"
error "main is not there then" 'not in the hub cache' timeout 60 "$caduceus" model info -m hf:lab/dna
ok "@REV, a commit" from plain "lab/dna@$ps"
is "a commit needs no reference" "$(ls "$cache/models--lab--dna/refs" | joined)" "refs v1 "
is "it is found by Python" "$(snapshot lab/dna "$ps")" "$cache/models--lab--dna/snapshots/$ps"
ok "-m hf: takes a commit" timeout 60 "$caduceus" model info -m "hf:lab/dna@$ps"
ok "--revision" from plain lab/dna --revision v2
is "of the same commit fetches nothing anew" "$(asked model.safetensors | lines)" 2
error "no such revision" 'lab/dna@v9: no such revision' from plain lab/dna@v9
ok "-m hf: takes a tag" timeout 60 "$caduceus" model info -m hf:lab/dna@v1
like "and runs that model" '^model	Caduceus-Ph' .out

# ---- interrupted downloads are resumed ----

fresh
ok "cut at five places, it goes on by itself" from cut=100,9000,20000,30000,47615 --retries 1 lab/dna
is "from the byte at which it stopped" "$(asked model.safetensors | joined)" \
    "- bytes=100- bytes=9000- bytes=20000- bytes=30000- bytes=47615- "
whole "cut"
for at in 1 100 9000 30000 47615; do
    fresh
    error "cut after $at bytes, without retries" "model.safetensors: the connection was cut after $at of 47616 bytes" \
        from cut=$at --retries 0 lab/dna
    is "there is no snapshot yet" "$(snapshot lab/dna 2>&1 | grep -c 'no snapshot')" 1
    ok "the next run" from plain lab/dna
    is "continues at byte $at" "$(asked model.safetensors | joined)" "- bytes=$at- "
    whole "resumed at $at"
done
fresh
error "half of the file is in the cache" 'cut after' from cut=20000 --retries 0 lab/dna
ok "--dry-run" from plain --dry-run lab/dna
like "counts this half" '^model.safetensors	48 kB	28 kB to fetch$' .out
ok "a server that ignores Range" from norange lab/dna
whole "no ranges"
fresh
error "half of the file is in the cache again" 'cut after' from cut=20000 --retries 0 lab/dna
error "a part that was not requested" 'another part of the file' from part lab/dna
printf x | dd of="$cache/models--lab--dna/blobs/$blob.incomplete" bs=1 seek=50 conv=notrunc 2>/dev/null
ok "an earlier part with wrong bytes is fetched anew" from plain lab/dna
whole "wrong part"
fresh
mkdir -p "$cache/models--lab--dna/blobs"
head -c 90000 /dev/zero >"$cache/models--lab--dna/blobs/$blob.incomplete"
ok "a part that is too long is fetched again" from plain lab/dna
whole "long part"
fresh
mkdir -p "$cache/models--lab--dna/blobs"
cp models/ps/model.safetensors "$cache/models--lab--dna/blobs/$blob.incomplete"
ok "a complete part" from plain lab/dna
is "is not requested" "$(asked model.safetensors | lines)" 0
whole "whole part"
head -c 90 models/ps/model.safetensors >"$cache/models--lab--dna/blobs/$blob"
ok "a blob of the wrong size is fetched anew" from plain lab/dna
whole "wrong blob"

# ---- servers with faults ----

for mode in busy=2 gone=2 limit; do
    fresh
    ok "$mode: the request is repeated" from $mode lab/dna
    whole "$mode"
done
fresh
error "busy for too long" 'lab/dna@main: the server answers HTTP 503' from busy=9 --retries 1 lab/dna
is "after one more try" "$(lines <"$log")" 2
error "the server closes the connection" 'lab/dna@main: the connection was cut' from gone=9 --retries 1 lab/dna
error "the server limits requests" 'HTTP 429' from limit --retries 0 lab/dna@v1
error "the server stalls" 'model.safetensors: nothing came for 4 s after 23808 of 47616 bytes' \
    env HF_HUB_DOWNLOAD_TIMEOUT=4 HF_ENDPOINT="$hub/stall" timeout 60 "$caduceus" model pull --retries 0 lab/dna
error "an invalid timeout" 'HF_HUB_DOWNLOAD_TIMEOUT' \
    env HF_HUB_DOWNLOAD_TIMEOUT=x HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/dna
fresh
error "wrong bytes" "model.safetensors: the downloaded file has SHA-256 [0-9a-f]{64}, the hub lists $blob; it was" \
    from flip lab/dna
is "the file is not kept" "$(find "$cache" -name "$blob*" ! -name '*.lock')" ""
error "more bytes than the list says" 'sends more than the 47616 bytes' from more lab/dna
error "an HTML page in place of the list" 'answered with an HTML page' from html lab/dna
error "other JSON in place of the list" 'answered with something instead' from badjson lab/dna
error "an HTML page in place of a file" 'model.safetensors: the server sent an HTML page' from htmlfile lab/dna
error "a listed file is not there" '[a-z_.]*: the hub lists this file but does not have it' from missing lab/dna
error "redirects in a circle" 'redirects in a circle' from loop lab/dna
fresh
for name in ../x x/../../y /etc/x x//y a~0Ab a~1Bb . .. '' x/; do
    error "a file named '$name' is refused" 'leads out of its folder, or is none' from "hostile=$(echo "$name" |
        sed 's|/|~2F|g')" lab/dna
done
error "a list without hashes" 'has no hash of "[a-z_]*.json"' from nohash lab/dna
error "a list without sizes" 'has no size of "' from nosize lab/dna
error "a list without a commit" 'names no commit' from nocommit lab/dna
error "a list that names a file twice" 'names twice "' from twice lab/dna
error "no list" 'list of files is missing' from nolist lab/dna
is "nothing was fetched" "$(grep -c resolve "$log")" 0
is "nor written" "$(find home)" home

# ---- gated and private models ----

error "no such model" 'no such model, or a private one \(HTTP 401: Invalid username' from plain lab/absent
error "no such model, with a token" 'no such model at' \
    env HF_TOKEN=weak HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/absent
error "an invalid token" 'refuses the token .*HTTP 401: Invalid credentials' \
    env HF_TOKEN=bad HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/dna
error "a malformed token" 'HF_TOKEN: is not a token' \
    env HF_TOKEN="a${tab}b" HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/dna
error "a gated model" "the model is gated: .* ask for access at $hub/plain/lab/gated, then set .HF_TOKEN" \
    from plain lab/gated
error "a gated model, with a token without access" 'gated: .*the one given has no access yet' \
    env HF_TOKEN=weak HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/gated
ok "a gated model, with access" env HF_TOKEN=good HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/gated
ok "a private model" env HF_TOKEN=' good ' HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/private
fresh
mkdir -p "$HOME/.cache/huggingface"
printf 'good\n' >"$HOME/.cache/huggingface/token"
: >"$log"
ok "the token file; weights from a CDN" from cdn lab/private
is "the token is sent only to the hub" "$(cut -d ' ' -f 1,5 <"$log" | sort -u | joined)" "cdn - hub token "
is "the weights came from the CDN" "$(asked model.safetensors | lines) $(grep -c ^cdn "$log")" "2 1"
printf good >token
fresh
ok "HF_TOKEN_PATH" env HF_TOKEN_PATH="$dir/token" HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/private
fresh
ok "the CDN cuts and is resumed" from cdn+cut=9000,30000 --retries 1 lab/dna
whole "CDN"

# ---- networks ----

error "no server" 'lab/dna@main: no connection: .*check the network' \
    env HF_ENDPOINT=http://127.0.0.1:9/ timeout 60 "$caduceus" model pull lab/dna
label=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa # longer than the longest allowed name
error "no such host" 'Could not resolve host.*check the network' env HF_ENDPOINT=http://$label.invalid \
    timeout 60 "$caduceus" model pull lab/dna
error "no such proxy" 'the proxy fails: Could not resolve proxy' \
    env http_proxy=http://$label.invalid HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/dna
error "no TLS" 'TLS fails' env HF_ENDPOINT="https://127.0.0.1:$port/plain" timeout 60 "$caduceus" model pull lab/dna
if [ -e cert.pem ]; then
    secure=https://127.0.0.1:$(sed -n 2p served/ports)
    error "a certificate that is not trusted" 'TLS fails: .*name its own in .SSL_CERT_FILE' \
        env HF_ENDPOINT="$secure/plain" timeout 60 "$caduceus" model pull lab/dna
    error "a file that has no certificates" 'TLS fails: ' \
        env SSL_CERT_FILE="$dir/none.pem" HF_ENDPOINT="$secure/plain" timeout 60 "$caduceus" model pull lab/dna
    ok "SSL_CERT_FILE names one to trust" \
        env SSL_CERT_FILE="$dir/cert.pem" HF_ENDPOINT="$secure/plain" timeout 60 "$caduceus" model pull lab/dna
    error "a redirect from https to http is not followed" 'redirects to 127.0.0.1 without TLS' \
        env SSL_CERT_FILE="$dir/cert.pem" HF_ENDPOINT="$secure/plaintext" timeout 60 "$caduceus" model pull lab/dna
else skip "a certificate that is not trusted" "no openssl"; fi
error "an invalid endpoint" 'HF_ENDPOINT ftp://x: expected a URL' \
    env HF_ENDPOINT=ftp://x timeout 60 "$caduceus" model pull lab/dna
fresh
ok "through a proxy" env http_proxy="$hub" HF_ENDPOINT=http://hub.invalid/plain \
    timeout 60 "$caduceus" model pull lab/dna
is "all requests use the proxy" "$(cut -d ' ' -f 6 <"$log" | sort -u)" proxied
whole "proxy"
error "a proxy that asks for a password" 'the proxy refuses \(HTTP 407\); give user and password' \
    env http_proxy="$hub" HF_ENDPOINT=http://hub.invalid/proxy407 timeout 60 "$caduceus" model pull lab/dna

# ---- disks ----

why=$(no_preload "$full")
if [ "$why" ]; then skip "a full disk" "$why"
else
    fresh
    error "a disk that is full" 'model.safetensors: .*write failed: No space left on device; make room' \
        failing_disk AFTER=20000 env HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/dna
    is "no snapshot is there" "$(snapshot lab/dna 2>&1 | grep -c 'no snapshot')" 1
    ok "after space is freed" from plain lab/dna
    is "the download continues" "$(asked model.safetensors | sed 's/=[1-9][0-9]*/=N/' | joined)" "- bytes=N- "
    whole "full disk"
    for fault in FSYNC=1 CLOSE=1; do
        fresh
        error "a disk that fails, $fault" 'cannot write there' \
            failing_disk $fault env HF_ENDPOINT="$hub/plain" timeout 60 "$caduceus" model pull lab/dna
        is "no snapshot is there, $fault" "$(snapshot lab/dna 2>&1 | grep -c 'no snapshot')" 1
    done
fi
fresh
if bound; then
    mkdir sealed; chmod 500 sealed
    error "a cache that cannot be written" 'sealed.*cannot write there: Permission denied' \
        env HF_HUB_CACHE="$dir/sealed/hub" HF_ENDPOINT="$hub/plain" $as timeout 60 "$caduceus" model pull lab/dna
else skip "a cache that cannot be written" "root cannot give up its rights"; fi

# ---- two downloads at the same time, and a signal ----

fresh
for i in 1 2 3; do from slow lab/dna >out.$i 2>err.$i & eval "p$i=$!"; done
bad=
for p in $p1 $p2 $p3; do wait "$p" || bad="$bad $p"; done
is "three processes at the same time succeed" \
    "$bad$(cat err.1 err.2 err.3 | grep -vE 'of which|waiting for another')" ""
is "each file is fetched once" "$(grep -c resolve "$log")" 3
whole "three at once"
if command -v flock >/dev/null; then
    fresh
    mkdir -p "$cache/.locks/models--lab--dna"
    rm -f release
    (flock 9; while [ ! -e release ]; do sleep 0.05; done) 9>"$cache/.locks/models--lab--dna/$blob.lock" & holder=$!
    n=0; while flock -n "$cache/.locks/models--lab--dna/$blob.lock" true && [ $n -lt 2000 ]; do n=$((n + 1)); done
    from plain lab/dna >out.1 2>err.1 & p1=$!
    n=0; while ! grep -q waiting err.1 && [ $n -lt 2000 ]; do sleep 0.05; n=$((n + 1)); done
    like "a blob that is locked is waited for" 'model.safetensors: waiting for another process that fetches it' err.1
    is "and not requested meanwhile" "$(asked model.safetensors | lines)" 0
    touch release
    wait $p1; is "then the file is fetched" $? 0
    wait $holder
    whole "waited for"
else skip "a blob that is locked is waited for" "no flock"; fi
fresh
natural env HF_ENDPOINT="$hub/stall" timeout 60 "$caduceus" model pull lab/dna >out.1 2>err.1 & p1=$!
n=0
part=$cache/models--lab--dna/blobs/$blob.incomplete
while [ -z "$(find "$part" -size +23807c 2>/dev/null)" ] && [ $n -lt 2000 ]; do sleep 0.05; n=$((n + 1)); done
kill -INT $p1
wait $p1; is "SIGINT ends it" $? 130
ok "the next run" from plain lab/dna
is "continues" "$(asked model.safetensors | joined)" "- bytes=23808- "
whole "signal"

# ---- huggingface_hub itself, in $CADUCEUS_HUB_PYTHON or python3 ----

hub_py=${CADUCEUS_HUB_PYTHON:-$py}
if "$hub_py" -c 'import huggingface_hub' 2>/dev/null; then
    export HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1
    library() { env HF_ENDPOINT="$hub/plain" timeout 120 "$hub_py" "$checks/hub.py" "$@"; }
    for at in "main $ps" "v1 $ph" "$ps $ps"; do
        set -- $at
        fresh
        ok "huggingface_hub: pull $1" from plain "lab/dna@$1"
        ok "huggingface_hub finds the model" library find lab/dna "$1"
        is "in the same folder" "$(cat .out)" "$cache/models--lab--dna/snapshots/$2"
    done
    : >"$log"
    ok "and downloads only the missing files" library get lab/dna
    is "not the weights again" "$(grep -c 'GET.*/model.safetensors' "$log")" 0
    fresh
    ok "a model that huggingface_hub downloads" library get lab/dna
    : >"$log"
    ok "is not downloaded again" from plain lab/dna
    is "no file is requested" "$(grep -c resolve "$log")" 0
    whole "huggingface_hub's"
    ok "and the model runs" timeout 60 "$caduceus" model info -m hf:lab/dna
else skip "what is pulled is found by huggingface_hub, and the other way round" "no huggingface_hub"; fi

# ---- which files are downloaded ----

ok "shards, not pickles" from plain --dry-run lab/both
is "index and shards" "$(sed -n '4,$p' .out | cut -f 1 | sort | joined)" "config.json model-00001-of-00002.safetensors \
model-00002-of-00002.safetensors model.safetensors.index.json total "
ok "pickles where there is nothing else" from plain --dry-run lab/bin
is "with the tokenizer" "$(sed -n '4,$p' .out | cut -f 1 | sort | joined)" \
    "config.json pytorch_model.bin tokenizer.json total "
ok "an adapter" from plain --dry-run lab/adapter
is "is config and safetensors" "$(sed -n '4,$p' .out | cut -f 1 | sort | joined)" \
    "adapter_config.json adapter_model.safetensors total "
error "no weights" 'has no weights that caduceus reads' from plain lab/none
ok "a model that caduceus cannot run is downloaded" from plain lab/foreign
like "with a warning" 'warning: caduceus cannot run it: .*config.json: ' .err

# ---- model list ----

ok "a second revision" from plain lab/dna@v1
ok "a third model" from plain lab/bin
mkdir -p "$cache/models--lab--empty/refs" "$cache/datasets--lab--dna/snapshots/x"
echo x >"$cache/models--lab--file"
ok "model list" list
is "lists snapshots and nothing else" "$(sed 1d .out | cut -f 1 | joined)" \
    "lab/bin lab/dna lab/dna lab/empty lab/file lab/foreign "
row=$(grep "$ps" .out)
timeout 60 "$caduceus" model info -m hf:lab/dna >info
is "a model that runs" "$(echo "$row" | cut -f 1-10,12)" \
    "$(row "lab/dna main $ps Caduceus-PS 16 2 512 $(sed -n 's/^parameters	//p' info) F32 49_kB ." | tr _ ' ')"
is "has its path" "$(echo "$row" | cut -f 11)" "$cache/models--lab--dna/snapshots/$ps"
like "another revision of it" "^lab/dna	v1	$ph	Caduceus-Ph	8	2	" .out
like "a model that cannot run has its reason" '^lab/foreign	main	[0-9a-f]{40}	(\.	){6}.*	config.json: ' .out
like "an incomplete model has its reason" \
    '^lab/empty	\.	\.	.*	not downloaded whole; run: caduceus model pull lab/empty$' .out
is "every row has twelve columns" "$(awk -F '\t' 'NF != 12' .out)" ""
is "and nothing is written" "$(cat .err)" ""
ok "model list --json" list --json
"$py" -m json.tool .out >/dev/null || fail "is JSON"
like "says which models run" '"runs": true' .out
like "and which do not" '"reason": "config.json: ' .out
is "there is one entry per snapshot" "$(grep -c '"model":' .out)" 6
error "a list that cannot be written" 'No space left' to_full list

kill $server 2>/dev/null
finish
