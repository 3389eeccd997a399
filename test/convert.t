#!/bin/sh
# convert.t - pretrain, finetune and convert write checkpoints that the published Python classes can load; adapters;
# a head with a bias.
. "${srcdir:-.}/test/lib.sh"

py=$(any_python)
[ -n "$py" ] || { skip "checkpoints in the format of Python" "no python3"; finish; exit; }
convert() { "$caduceus" model convert --quiet "$@"; }

# ---- tensor names in the checkpoints of each command ----
for model in "$data"/*/; do
    name=$(basename "$model")
    [ -e "$model/config.json" ] || continue
    convert -m "$model" -o "full-$name" && convert --bare -m "$model" -o "bare-$name"
    check "$name: the names of Python's classes" published.py "full-$name"
    check "$name: --bare, one of each pair" published.py "bare-$name" bare
    "$caduceus" model info "full-$name" | grep -v sha256 >full
    "$caduceus" model info "bare-$name" | grep -v sha256 >bare
    same "$name: the same model" full bare
done
check "the bundled model has the names of Python's classes" published.py "$srcdir/models/human-small"
{ contig one 3000 1; contig two 500 3; } >g.fa
ok "two steps of pretraining" "$caduceus" pretrain -T g.fa --seq-len 64 --batch-tokens 512 --steps 2 -@ 1 --quiet \
    --d-model 16 --n-layer 3 -o pre
check "pretrain writes the names of Python's classes" published.py pre
labelled() { # VALUE: 24 sequences with labels, awk's VALUE of y
    echo sequence,label
    for i in $(seq 24); do bases 40 $((i * 7919)); done | awk "{ y = NR % 2; print \$0 \",\" $1 }"
}
labelled y >classes.csv
labelled 'y * 3 + NR / 50' >numbers.csv
tune() { "$caduceus" finetune --quiet -@ 1 --epochs 1 --batch 8 -m "$data/ps" "$@"; }
ok "an epoch of classes" tune classes.csv -o classes
ok "an epoch of values" tune --task regress numbers.csv -o values
check "finetune writes the names of Python's classes" published.py classes

# ---- keys and files ----
cp -r "$data/ps" wild
check "a config.json with keys of others" wild-config.py make wild
echo licence >wild/LICENSE; echo hidden >wild/.gitattributes
for f in configuration_caduceus modeling_caduceus tok; do echo 'print()' >wild/$f.py; done
mkdir wild/folder
ok "the model is converted" convert -m wild -o kept
check "no key is lost or changed" wild-config.py compare wild kept
is "other files are copied, weights and hidden ones are not" "$(ls -A kept | joined)" \
    "LICENSE config.json configuration_caduceus.py model.safetensors modeling_caduceus.py tok.py tokenizer_config.json "
convert -m kept -o again
for f in config.json tokenizer_config.json model.safetensors; do
    same "$f: converted twice, the same" kept/$f again/$f
done
convert -m wild/model.safetensors -o alone
is "a weight file named alone brings no others" "$(ls -A alone | joined)" \
    "config.json model.safetensors tokenizer_config.json "
tune -m wild classes.csv -o tuned
rm wild/configuration_caduceus.py; convert -m wild -o pathless
like "classes whose files are not in the folder are the hub's" 'kuleshov-group/' pathless/config.json
like "a tuned model names the hub's classes, not files that it has not" 'kuleshov-group/' tuned/config.json
"$caduceus" model info --json "$data/cls-ps" | "$py" -m json.tool >info.json
like "model info --json" '"labels": 3' info.json

# ---- types ----
for t in F16 BF16; do
    ok "--dtype $t" convert --dtype $t -m "$data/ps" -o $t
    like "$t is the stored type" "^dtype$tab$t\$" "$("$caduceus" model info $t >out.$t; echo out.$t)"
    convert -m $t -o $t.wide && convert --dtype $t -m $t.wide -o $t.again
    same "$t to F32 and back" $t/model.safetensors $t.again/model.safetensors
    ok "$t: rounded, not far" "$caduceus" model verify --tolerance 0.05 -m $t "$data/ps/expected.safetensors"
done
error "an unknown type" 'dtype F8: expected F32, F16 or BF16' convert --dtype F8 -m "$data/ps" -o f8
is "no folder is left" "$(ls -d f8 2>/dev/null)" ""

# ---- cards ----
like "a card has the hub's front matter" '^library_name: transformers$' classes/README.md
like "and the metrics" '^\| accuracy \|' classes/README.md
like "of values: how to scale them" 'target_scale' values/README.md
echo mine >classes/README.md
tune classes.csv -o classes >/dev/null
is "a card that a user wrote stays" "$(cat classes/README.md)" mine

# ---- adapters ----
# rows NAME OPTION...: writes the embeddings of two regions to NAME.npy.
rows() { local out=$1; shift; rm -f "$out".npy*; "$caduceus" embed --quiet "$@" -T g.fa g.bed -o "$out.npy"; }
for kind in '' same rslora score; do
    for model in ps ps-odd-depth ph; do
        name="$model, ${kind:-each direction its own}"
        check "$name: an adapter" make-peft.py "$data/$model" lora merged $kind
        for how in "-m $data/$model --adapter lora" "-m lora"; do
            printf 'one\t10\t200\none\t300\t420\n' >g.bed
            rows got $how; rows want -m merged
            check "$name: is the merged model ($how)" close.py got.npy want.npy
        done
        ok "$name: --merge" convert --merge -m lora -o out
        check "$name: with the names of Python's classes" published.py out
        rows got -m lora; rows out -m out
        same "$name: and its values" got.npy out.npy
        rm -rf lora merged out
    done
done
check "an adapter, half of it" make-peft.py "$data/ps" half merged half
error "an adapter with an A but no B" 'of the adapter.s tensors for .* one is missing' "$caduceus" model info -m half
rm -rf merged; check "DoRA" make-peft.py "$data/ps" dora merged dora
rm -rf merged; check "an adapter of lm_head" make-peft.py "$data/ph" headed merged head
error "a head that changes without the embedding is refused" \
    'lm_head.lora_A.* tied to the embedding; train the adapter' "$caduceus" model info -m headed
error "DoRA is refused" 'use_dora.*only plain LoRA' "$caduceus" model info -m dora
rm -rf merged; check "an adapter" make-peft.py "$data/ps" lora merged
error "converting with an adapter needs --merge" 'has an adapter; --merge adds it' convert -m lora -o out
error "--merge without an adapter" 'there is no adapter' convert --merge -m "$data/ps" -o out
error "an adapter of another model" 'do not fit|is not part of the model|is missing' \
    "$caduceus" model info -m "$data/ps-bias" --adapter lora
sed 's/"base_model_name_or_path": "[^"]*"/"base_model_name_or_path": null/' lora/adapter_config.json >x
cp x lora/adapter_config.json
sed 's/"base_model_name_or_path": null/"base_model_name_or_path": "\/gone\/base"/' x >lora/adapter_config.json
error "an adapter whose model is not there" 'base model /gone/base is not there; give the model with -m' \
    "$caduceus" model info -m lora
cp x lora/adapter_config.json
error "an adapter that names no model" 'names no base model; give it with -m' "$caduceus" model info -m lora

# ---- a head with a bias ----
check "the head of the paper's training code" head-bias.py "$data/cls-ps" biased
predict() { "$caduceus" predict --quiet -m "$1" classes.csv -o "$2"; }
predict biased biased.tsv; predict "$data/cls-ps" plain.tsv
differ "the bias changes the predictions" biased.tsv plain.tsv
error "Python's classes have no bias" 'the head has a bias|classifier.s head has a bias' convert -m biased -o out
ok "--keep-bias" convert --keep-bias -m biased -o out
check "score.bias is written" published.py out
predict out out.tsv
agree "and predicts the same" 'grep -v "^##" out.tsv' 'grep -v "^##" biased.tsv'
check "the same bias for all classes" head-bias.py "$data/cls-ps" level 0.5
ok "the bias is dropped" convert -m level -o level.out
predict level level.tsv; predict level.out level.out.tsv
check "and the predictions are unchanged" close.py level.tsv level.out.tsv
convert --keep-bias -m level -o level.kept; convert -m level.kept -o level.again
ok "a bias that was kept and then dropped leaves no key" "$caduceus" model info level.again
ok "a newly trained head has no bias" tune -m level.kept classes.csv -o anew
is "a message says so" "$(grep -c score_bias anew/config.json)" 0

# ---- config.json of other models ----
# refused NAME REGEX KEY VALUE: config.json with this key and value is refused.
refused() {
    rm -rf other; cp -r "$data/ps" other
    check "$1" wild-config.py set other "$3" "$4"
    error "$1 is refused" "$2" "$caduceus" model info other
}
refused "an H-Net" 'arch_layout.*H-Net' arch_layout '["m4", ["T9"], "m4"]'
refused "a list of widths" 'd_model.*is a list' d_model '[16, 32]'
refused "an MLP" 'd_intermediate.*MLP' d_intermediate 64
refused "attention" 'attn_layer_idx.*attention' attn_layer_idx '[1]'
refused "an axial model" 'axial' model_type '"axial_caduceus"'
refused "a text for a switch" 'is the text "true,"; write true or false' bidirectional '"true,"'
refused "another kind of model" 'model_type. is .esm.' model_type '"esm"'

# ---- several models ----
cp -r "$data/ps" broken && : >broken/model.safetensors
"$caduceus" model verify --quiet "$data/ps" broken "$data/ph" >verified 2>err; status=$?
is "verify continues after a broken model" "$status $(tail -n 1 verified) $(wc -l <err)" "1 #verified${tab}2 of 3 1"
"$caduceus" model verify "$data/ps" absent >verified 2>err
is "and after a missing model" "$(tail -n 1 verified)" "#verified${tab}1 of 2"
"$caduceus" model verify -m "$data/torch/last.ckpt" >verified
like "expected.safetensors is beside any weight file" '^logits' verified
finish
