#!/bin/sh
# hyena.t - HyenaDNA: both published layouts, compared with another implementation in double precision; training; what
# is refused; caduceus model new hyena.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

{ contig one 97 1; contig two 60 2; printf '>gap\n%sNNNNN%s\n' "$(bases 40 3)" "$(bases 30 4)"; } >g.fa
printf '>base\nA\n>pair\nCG\n' >>g.fa
row 'one 0 97' 'one 10 20' 'one 96 97' 'two 0 60' 'gap 0 75' 'base 0 1' 'pair 0 2' >some.bed
{ contig long 4000 5; contig other 900 6; } >train.fa
row 'long 0 4000 train' 'other 0 900 valid' >train.bed
# Flanks of 96 bases are the rest of each contig.
annotate() { "$caduceus" annotate --quiet -T g.fa --window 202 --flank 96 --score pll,n "$@" some.bed; }

# ---- the published layouts ----
if [ -n "$py" ]; then
    ok "a random model in both layouts" "$py" "$checks/hyena.py" make made
    "$py" "$checks/hyena.py" score made/hf g.fa some.bed want.npy >want.tsv 2>want.err || diag want.err
    ok "annotate the layout of transformers" annotate -m made/hf --embed got.npy -o hf.tsv
    rows hf.tsv >got.tsv
    is "the other implementation has all rows" "$(wc -l <want.tsv)" "$(wc -l <some.bed)"
    ok "the scores are those of the other implementation" close_to got.tsv want.tsv 1e-5
    check "the embeddings too" matrices.py close got.npy want.npy 5e-6
    ok "four threads" annotate -m made/hf -@ 4 -o four.tsv
    rows four.tsv >four; same "give the same bytes" got.tsv four
    ok "--mask each" annotate -m made/hf --mask each -o each.tsv
    rows each.tsv >each; same "masks nothing" got.tsv each
    ok "model info" "$caduceus" model info made/hf
    like "says which model it is" 'n_layer=4 layers=hyena,mlp filter_order=16 max_seq_len=202' .out
    like "by its name" '^model	HyenaDNA$' .out
    like "and what it predicts" '^head	language model, next base$' .out
    like "and how long a sequence may be" '^window	202$' .out
    ok "model convert" "$caduceus" model convert -m made/hf -o again
    check "keeps the published names and values" hyena.py same made/hf/model.safetensors again/model.safetensors
    like "and the published keys" '"model_type": "hyenadna"' again/config.json
    like "with the published number of layers" '"n_layer": 2' again/config.json
    ok "annotate what was written" annotate -m again -o again.tsv
    rows again.tsv >again.rows; same "gives the same bytes" got.tsv again.rows
    annotate -m made/first -o first.tsv 2>first.err
    if grep -q 'without libzip' first.err; then skip "the layout of the first release" "built without libzip"
    else
        rows first.tsv >first.rows; same "the layout of the first release gives the same bytes" got.tsv first.rows
        ok "model convert" "$caduceus" model convert -m made/first -o second
        same "writes the names of transformers" second/model.safetensors again/model.safetensors
    fi
    error "a longer window" 'a window of 203 tokens: the model.s filters reach 202 \(max_seq_len of config.json\)' \
        "$caduceus" annotate --quiet -m made/hf -T g.fa --window 203 some.bed
    sed 's/"hyena_order": 2/"hyena_order": 3/' made/hf/config.json >again/config.json
    error "another order" 'config.json: "hyena_order" is 3; expected a whole number from 2 to 2' annotate -m again
else skip "the published layouts" "no python3 with numpy"; fi

# ---- configurations ----
layers='"d_model": 24, "n_layer": 2, "vocab_size": 12, "layer_kinds": ["hyena", "mlp"]'
tiny="--seq-len 100 --batch-tokens 800 --lr 0.01 --steps 8"
pretrain() { "$caduceus" pretrain --quiet -T train.fa -L train.bed "$@" $tiny; }
echo "{$layers}" >config.json
error "both directions" '"bidirectional" is true, but the model predicts the next base: set it to false' \
    pretrain --config config.json -o never
for pair in '"emb_dim": 4:"emb_dim" is not an odd number' '"filter_order": 0:"filter_order" is 0' \
    '"short_filter_order": 4:"short_filter_order" is 4' '"modulate": false:"modulate" is false'; do
    echo "{$layers, \"bidirectional\": false, \"hyena_cfg\": {${pair%:*}}}" >config.json
    error "refused: ${pair%:*}" "${pair##*:}" pretrain --config config.json -o never
done
echo "{$layers, \"bidirectional\": false, \"hyena_cfg\": {\"max_seq_len\": 99}}" >config.json
error "windows longer than the filters" 'a window of 100 tokens: the model.s filters reach 99' \
    pretrain --config config.json -o never
echo "{$layers, \"bidirectional\": false}" >config.json
ok "a list of layers" pretrain --config config.json -o listed
like "has names of this project" 'backbone.layers.0.mixer.filter_fn.bias' listed/model.safetensors

echo "{${layers%]}, \"kmer\"], \"bidirectional\": false}" | sed 's/"n_layer": 2/"n_layer": 3/' >config.json
error "layers that read later bases" '"layer_kinds" has layers that read later bases, but the model predicts' \
    pretrain --config config.json -o never

# ---- training ----
ok "model new" "$caduceus" model new hyena --d-model 24 --length 128 -o new
like "writes HyenaDNA's config.json" '"model_type": "hyenadna"' new/config.json
like "whose filters have room for two special tokens" '"max_seq_len": 130' new/config.json
error "--rcps yes" '"rcps" is true, but the model predicts the next base' \
    "$caduceus" model new hyena --rcps yes -o never
ok "pretrain" pretrain -m new -o trained -@ 1
ok "three threads, and layers run again" pretrain -m new -o third -@ 3 --recompute
same "train the same weights" trained/model.safetensors third/model.safetensors
printf '>long\n%s\n' "$(for _ in $(seq 200); do printf ACGGTCATTC; done)" >repeats.fa
row 'long 0 1500 train' 'long 1500 2000 valid' >repeats.bed
ok "pretrain on repeats" "$caduceus" pretrain --quiet -T repeats.fa -L repeats.bed -m new --seq-len 100 \
    --batch-tokens 800 --lr 0.02 --steps 80 -o learnt
row 'long 1500 1600' >repeats.bed
pll() {
    "$caduceus" annotate --quiet -m "$1" -T repeats.fa --window 128 --score pll repeats.bed | awk '!/^#/ { print $4 }'
}
ok "predicts them: $(pll new) became $(pll learnt)" awk -v a="$(pll new)" -v b="$(pll learnt)" \
    'BEGIN { exit !(a < -1.2 && b > -0.7) }'
{
    echo sequence,label
    for i in 1 2 3 4 5 6 7 8; do echo "$(bases 60 "$i"),a"; echo "$(bases 60 "1$i" | tr AG CT),b"; done
} >labels.csv
ok "finetune" "$caduceus" finetune --quiet -m trained --epochs 2 --batch 4 labels.csv -o classifier
like "writes a classifier of HyenaDNA" 'HyenaDNAForSequenceClassification' classifier/config.json
ok "predict" "$caduceus" predict --quiet -m classifier labels.csv -o predicted.tsv
is "a row for each sequence" "$(rows predicted.tsv | wc -l)" "$(wc -l <labels.csv)"
ok "finetune --lora" "$caduceus" finetune --quiet -m trained --lora 2 --epochs 1 --batch 4 labels.csv -o lora
ok "predict with the adapter" "$caduceus" predict --quiet -m lora labels.csv -o adapted.tsv
ok "bench" "$caduceus" bench -m trained -d cpu --rounds 1 --window 100
like "names the convolution" 'hyena_conv' .out
finish
