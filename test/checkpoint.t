#!/bin/sh
# checkpoint.t - files that are damaged, contradictory or not checkpoints at all are refused; unusual checkpoints load
# (faults 32 to 42 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

py=$(any_python)
info() { "$caduceus" model info "$@"; }
verify() { "$caduceus" model verify "$@"; }
make() { "$py" "$checks/checkpoints.py" "$@"; }

# bad NAME REGEX WHAT: model info refuses the checkpoint bad/NAME, and the error names the file that is wrong.
bad() {
    error "$3" "$2" info -m "$dir/bad/$1"
    grep -Fq "/bad/$1/" "$dir/.err" || [ "$(wc -c <"$dir/.err")" -gt 2000 ] ||
        echo "$1: $(head -c 200 "$dir/.err")" >>"$dir/unnamed"
}

if [ -n "$py" ] && mkdir "$dir/bad" && "$py" "$srcdir/test/make-bad.py" "$data" "$dir/bad" >"$dir/cases"; then
    : >"$dir/unnamed"
    while IFS=$tab read -r name regex what; do
        if [ "$regex" = good ]; then ok "loads and verifies: $what" verify -m "$dir/bad/$name"
        else bad "$name" "$regex" "$what"; fi
    done <"$dir/cases"
    is "every message names the file by its path" "$(head -n 20 "$dir/unnamed")" ""

    # Fault 32: a header of more than 100 MB, in a file that is large enough.
    cp -r "$data/ps" "$dir/large"
    printf '\001\000\100\006\000\000\000\000{' >"$dir/large/model.safetensors"
    if truncate -s 200M "$dir/large/model.safetensors" 2>/dev/null; then
        error "a header above 100 MB is refused" 'header of 104857601 bytes' info -m "$dir/large"
    else skip "a header above 100 MB is refused" "no sparse files"; fi

    # Token ids beyond the embedding table must not be looked up.
    cp -r "$data/ps" "$dir/eleven"
    make eleven "$dir/eleven"
    rm -f "$dir/eleven/expected.safetensors"
    printf '>a\nACGTNNNNACGTACGT\n' >"$dir/n.fa"
    ok "a table of 11 rows has no N" info -m "$dir/eleven"
    like "N is absent from its tokens" 'N=-1 ' "$dir/.out"
    error "--n-token needs a row for N" 'has no N' "$caduceus" annotate -m "$dir/eleven" --n-token "$dir/n.fa"

    # Masked scores need a MASK token in the vocabulary.
    cp -r "$data/ps" "$dir/no-mask"
    printf '{"vocab": {"[PAD]": 4, "A": 7, "C": 8, "G": 9, "T": 10, "N": 11}}\n' >"$dir/no-mask/tokenizer.json"
    error "masked scores need a MASK token" 'no \[MASK\]' "$caduceus" annotate -m "$dir/no-mask" "$dir/n.fa"
    ok "unmasked scores do not need it" "$caduceus" annotate -m "$dir/no-mask" --mask none "$dir/n.fa"
    error "--sep needs a SEP token" 'no \[SEP\]' "$caduceus" annotate -m "$dir/no-mask" --mask none --sep "$dir/n.fa"

    # A sharded checkpoint gives the same results as a single file.
    "$caduceus" annotate --quiet -m "$data/ps" "$dir/n.fa" 2>&1 | grep -v '^##' >"$dir/whole.bed"
    "$caduceus" annotate --quiet -m "$dir/bad/shards" "$dir/n.fa" 2>&1 | grep -v '^##' >"$dir/shards.bed"
    same "shards give the same scores as a single file" "$dir/whole.bed" "$dir/shards.bed"
    ok "-m takes the index of shards" \
        verify -m "$dir/bad/shards/model.safetensors.index.json" "$data/ps/expected.safetensors"

    make shards "$data/ps" "$dir/small-shards"
    ok "shards whose first two bytes are those of a pickle" \
        verify -m "$dir/small-shards" "$data/ps/expected.safetensors"

    # Control characters of a tensor name must not reach the terminal.
    "$caduceus" model info -m "$dir/bad/extra-newline" 2>"$dir/.err"
    is "a line end in a name does not end the message's line" "$(wc -l <"$dir/.err" | tr -d ' ')" 1
else
    skip "damaged checkpoints are refused" "no python3"
fi

# ---- files cut short, while they are loaded (42) and before ----
cp -r "$data/ps" "$dir/cut"
size=$(wc -c <"$data/ps/model.safetensors")
n=0
wrong=
while [ $n -lt "$size" ]; do
    head -c $n "$data/ps/model.safetensors" >"$dir/cut/model.safetensors"
    "$caduceus" model info -m "$dir/cut" >"$dir/.out" 2>"$dir/.err"
    [ $? -eq 1 ] && [ "$(wc -l <"$dir/.err")" -eq 1 ] && [ ! -s "$dir/.out" ] || wrong="$wrong $n"
    n=$((n + n / 7 + 5))
done
head -c $((size - 1)) "$data/ps/model.safetensors" >"$dir/cut/model.safetensors"
is "cut at any length it is an error in one line" "$wrong" ""
error "cut by one byte it is an error" 'past the end.*complete' info -m "$dir/cut"
head -c 5000 "$data/ps/expected.safetensors" >"$dir/cut/expected.safetensors"
cp "$data/ps/model.safetensors" "$dir/cut/model.safetensors"
error "expected tensors cut short are an error" 'expected.safetensors.*(past the end|follow|cut short|span)' \
    verify -m "$dir/cut"

why=$(no_preload "$full")
if [ "$why" ]; then skip "a file that shrinks while it is read" "$why"
else
    for n in 0 8 16 2000 4000 6000 20000 40000 60000; do
        error "the weights end after $n bytes were read" 'model.safetensors: the file ends early' \
            failing_disk SHRINK=$n info -m "$data/ps"
    done
    ok "with the library that shrinks files, complete files load" failing_disk SHRINK=10000000 info -m "$data/ps"
fi

# ---- what -m may name ----
ok "-m takes a .safetensors file" verify -m "$data/ps/model.safetensors"
like "and finds the expected tensors beside the file" '^logits	' "$dir/.out"
(cd "$data/ps" && "$caduceus" model verify -m model.safetensors) >"$dir/.out" 2>"$dir/.err"
is "-m takes a bare file name" "$?" 0
(cd "$data/ps" && "$caduceus" model verify -m .) >"$dir/.out" 2>"$dir/.err"
is "-m takes a dot" "$?" 0
mkdir "$dir/empty" "$dir/config-only"
cp "$data/ps/config.json" "$dir/config-only"
cp "$data/ps/model.safetensors" "$dir/empty/alone.safetensors"
error "-m a folder without weights" 'holds neither model.safetensors nor' info -m "$dir/config-only"
error "-m a file without config.json beside it" 'config.json: No such file' info -m "$dir/empty/alone.safetensors"
error "-m a missing path" 'nowhere: No such file' info -m "$dir/nowhere"
error "-m a path below a file" 'Not a directory' info -m "$data/ps/config.json/x"
error "-m config.json" 'config.json: ' info -m "$data/ps/config.json"
error "-m a device" '/dev/' info -m /dev/null
error "-m without a value" '-m' info -m
ln -s nowhere "$dir/config-only/model.safetensors"
error "weights that are a dangling link" 'model.safetensors' info -m "$dir/config-only"
rm "$dir/config-only/model.safetensors"
mkfifo "$dir/config-only/model.safetensors"
error "weights that are a FIFO are an error" \
    'not a regular file' timeout 10 "$caduceus" model info -m "$dir/config-only"
CADUCEUS_MODEL=$dir/nowhere
export CADUCEUS_MODEL
error "\$CADUCEUS_MODEL is used" 'nowhere: No such file' info
ok "-m takes precedence over \$CADUCEUS_MODEL" info -m "$data/ps"
unset CADUCEUS_MODEL

if bound; then
    cp -r "$data/ps" "$dir/secret"
    chmod 000 "$dir/secret/model.safetensors"
    error "weights that may not be read" 'model.safetensors: Permission denied' \
        $as "$caduceus" model info -m "$dir/secret"
    chmod 000 "$dir/secret/config.json"
    error "a config.json that may not be read" 'config.json: Permission denied' \
        $as "$caduceus" model info -m "$dir/secret"
    rm -rf "$dir/secret"
else
    skip "weights that may not be read" "root cannot give up its rights"
fi

# ---- the hub cache ----
hub=$dir/hub/models--lab--dna
mkdir -p "$hub/refs" "$hub/snapshots/0123abc" "$hub/snapshots/fedc" "$hub/blobs"
printf 0123abc >"$hub/refs/main"
cp "$data/ps/model.safetensors" "$hub/blobs/ps"
ln -s ../../blobs/ps "$hub/snapshots/0123abc/model.safetensors"
cp "$data/ps/config.json" "$hub/snapshots/0123abc"
cp "$data/ph/config.json" "$data/ph/model.safetensors" "$hub/snapshots/fedc"
printf 'fedc\n' >"$hub/refs/v2"
HF_HUB_CACHE=$dir/hub
export HF_HUB_CACHE
ok "hf:ORG/NAME is found in the cache" info -m hf:lab/dna
like "at the revision main" '^model	Caduceus-PS' "$dir/.out"
ok "hf:ORG/NAME@REV by reference" info -m hf:lab/dna@v2
like "is that revision" '^model	Caduceus-Ph' "$dir/.out"
ok "hf:ORG/NAME@REV by hash" info -m hf:lab/dna@fedc
like "is that revision too" '^model	Caduceus-Ph' "$dir/.out"
ok "hf: verifies without expected tensors" verify -m hf:lab/dna
error "hf: a missing model" 'hf:lab/other: not in the hub cache' info -m hf:lab/other
error "an address of the hub is hf:" 'hf:lab/other: not in the hub cache' info -m https://huggingface.co/lab/other/
error "an address with a revision" 'hf:lab/dna@v3: not in the hub cache' info -m https://hf.co/lab/dna/tree/v3
error "an address of a file" 'hf:lab/dna@v3: not in' info -m https://huggingface.co/lab/dna/blob/v3/config.json?x
error "an address of a data set" 'expected the address of a model' info -m https://huggingface.co/datasets/lab
ok "an address is found in the cache" info -m https://huggingface.co/lab/dna/tree/v2
ok "so is one at the endpoint in use" env HF_ENDPOINT=http://here/hub/ "$caduceus" model info -m http://here/hub/lab/dna
error "ORG/NAME lacks its hf:" 'lab/dna: No such file .*; did you mean hf:lab/dna\?' info -m lab/dna
mkdir lab
error "not where there is a folder ORG" 'lab/dna: No such file or directory$' info -m lab/dna
rmdir lab
error "the variable is named in its error" '\$CADUCEUS_MODEL: none: No such file' \
    env CADUCEUS_MODEL=none "$caduceus" model info
ok "the bundled model by its name" info -m bundled
is "says nothing of being bundled" "$(cat .err)" ""
ok "also in the variable" env CADUCEUS_MODEL=bundled "$caduceus" model info
is "it says nothing either" "$(cat .err)" ""
ok "the bundled model by default" "$caduceus" model info
like "with a warning" 'warning: no -m given: using the bundled small model' .err
ok "the bundled model with --quiet" "$caduceus" model info --quiet
is "without one" "$(cat .err)" ""
error "hf: a missing revision" 'hf:lab/dna@v3: not in the hub cache' info -m hf:lab/dna@v3
for name in lab lab/dna/x lab/.. ../dna lab/dna@../x ''; do
    error "hf:$name is refused" "hf:.*(expected hf:ORG/NAME|not in the hub cache)" info -m "hf:$name"
done
error "hf: a long name" 'too long' info -m "hf:a/$(bases 600 1)"
rm "$hub/snapshots/fedc/model.safetensors"
error "hf: a snapshot without weights" 'holds neither' info -m hf:lab/dna@v2
unset HF_HUB_CACHE
mkdir "$dir/home" && mv "$dir/hub" "$dir/home/hub"
ok "HF_HOME/hub is searched" env HF_HOME="$dir/home" "$caduceus" model info -m hf:lab/dna

# ---- model info and verify ----
if [ -n "$py" ]; then
    make gradients "$dir"
    error "a gradient of another shape" \
        'thin.safetensors: grad.*norm.weight: the model has no such tensor of this shape' verify -m "$data/ps" \
        "$dir/thin.safetensors"
    error "labels of another shape" 'short.safetensors: .*labels' verify -m "$data/ps" "$dir/short.safetensors"
else skip "gradients of another shape" "no python"; fi
ok "model info" info -m "$data/cls-ps"
configuration="d_model=8 n_layer=2 d_state=16 d_conv=4 d_inner=16 dt_rank=1 norm=RMS fused_add_norm=yes"
for line in 'model	Caduceus-PS' 'head	classifier' 'labels	3' \
    "configuration	$configuration bidirectional=yes strategy=add tied=yes projection_bias=no" \
    'parameters	4592' 'window	512' 'vocabulary	table \(16 rows\)' \
    'tokens	A=7 C=8 G=9 T=10 N=11 MASK=3 PAD=4 SEP=1 UNK=6' 'dtype	F32'; do
    like "info prints $(echo "$line" | cut -f 1)" "^$line\$" "$dir/.out"
done
is "info prints the file's SHA-256" "$(sed -n 's/^sha256	//p' "$dir/.out")" \
    "$(sha256sum <"$data/cls-ps/model.safetensors" | cut -d ' ' -f 1)"
is "info prints two columns" "$(awk -F '\t' 'NF != 2' "$dir/.out")" ""
"$caduceus" model info "$data/cls-ps" >"$dir/plain" 2>&1
same "info takes the model without -m" "$dir/.out" "$dir/plain"
"$caduceus" model info -m "$data/plant" >"$dir/.out" 2>&1
like "info shows the plant vocabulary" '^tokens	A=3 C=4 G=5 T=6 N=-1 MASK=1 PAD=0 SEP=-1 UNK=2$' "$dir/.out"
"$caduceus" model info -m "$data/ph-bf16" >"$dir/.out" 2>&1
like "info shows the stored type" '^dtype	.*BF16' "$dir/.out"

ok "--tolerance is accepted" verify -m "$data/ps" --tolerance 1e-3
error "--tolerance 0 fails" 'above the tolerance' verify -m "$data/ps" --tolerance 0
like "and the rows say which tensor failed" '	FAILED$' "$dir/.out"
for x in x '' -1 nan inf 1e999 1e-6x '1 2'; do
    error "--tolerance '$x' is refused" '--tolerance' verify -m "$data/ps" --tolerance "$x"
done
error "--tolerance without a value" 'tolerance' verify -m "$data/ps" --tolerance
error "--tolerance does not fit info" 'tolerance' info -m "$data/ps" --tolerance 1
error "two expected files" 'one or the other' verify -m "$data/ps" a b
error "two models" 'one file at most' info "$data/ps" "$data/ph"
error "a missing expected file" 'nowhere: No such file' verify -m "$data/ps" "$dir/nowhere"
error "expected tensors of another model" 'does not fit|is not' verify -m "$data/ps" "$data/ph/expected.safetensors"
error "weights in place of expected tensors" 'has no input_ids' verify -m "$data/ps" "$data/ps/model.safetensors"
error "an unknown subcommand" 'model frobnicate: no such command; `caduceus help model`' "$caduceus" model frobnicate
error "an unknown option" '--frobnicate' info --frobnicate
error "results that cannot be written" 'No space left' to_full info -m "$data/ps"

# Files of expected tensors that are malformed.
if [ -n "$py" ]; then
    make expected "$dir" "$data"
    error "input_ids beyond the vocabulary" 'token 16 in input_ids' verify -m "$data/ps" "$dir/range.st"
    error "negative input_ids" 'token -1 in input_ids' verify -m "$data/ps" "$dir/negative.st"
    error "input_ids in one dimension" 'input_ids is not of shape' verify -m "$data/ps" "$dir/flat.st"
    error "input_ids of floats" 'input_ids is F32; expected I64' verify -m "$data/ps" "$dir/type.st"
    error "no tensor to compare" 'holds none of' verify -m "$data/ps" "$dir/nothing.st"
    error "an expected NaN is an error" 'above the tolerance' verify -m "$data/ps" "$dir/nan.st" --tolerance 1e9
    error "expected logits of another shape" 'logits does not fit' verify -m "$data/ps" "$dir/shape.st"
    error "expected logits of integers" 'logits is I64' verify -m "$data/ps" "$dir/kind.st"
    error "expected class logits for a model without" 'class_logits does not fit' verify -m "$data/ps" "$dir/scalar.st"
    error "a scalar for the logits of one label" 'class_logits does not fit' verify -m "$dir/one-label" "$dir/scalar.st"
    error "strands of different shapes" 'input_ids_rc is not of shape' verify -m "$data/cls-ps" "$dir/strands.st"
fi

finish
