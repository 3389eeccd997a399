#!/bin/sh
# undirected.t - layers without a direction: attention, MLPs, tables of k-mers, convolutions. Compares models of them
# with another implementation, and runs the commands with them; caduceus model new.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

{ contig one 1500 1; contig two 600 2; printf '>gap\n%sNNNNN%s\n' "$(bases 60 3)" "$(bases 50 4)"; } >g.fa
row 'one 0 1200 train' 'two 0 600 valid' >g.bed
row 'one 10 110' 'two 0 90' 'two 500 600' 'gap 0 115' >some.bed
window=100
tiny="--seq-len 150 --batch-tokens 600 --steps 6 --lr 0.02"
model='"d_model": 24, "vocab_size": 12, "layer_kinds": ["kmer", "mlp", "mlp"]'
large='"initializer_cfg": {"initializer_range": 0.4}' # initial values at which words matter
# trained NAME SWITCHES: trains the model NAME with these switches in its config.json.
trained() {
    echo "{$model, $2, $large}" >config.json
    ok "pretrain $1" "$caduceus" pretrain --quiet -T g.fa -L g.bed --config config.json $tiny -o "$1" -@ 1
}
# compare NAME: scores and embeddings of the model NAME are those of the other implementation.
compare() {
    [ -n "$py" ] || { skip "$1: scores and embeddings" "no python3 with numpy"; return; }
    "$py" "$checks/undirected.py" annotate -m "$1" -T g.fa --window $window --score pll,entropy,n --embed want.npy \
        some.bed >want.tsv 2>want.err || diag want.err
    ok "annotate $1" "$caduceus" annotate --quiet -m "$1" -T g.fa --window $window --score pll,entropy,n \
        --embed got.npy some.bed -o scored.tsv
    rows scored.tsv >got.tsv
    is "$1: the other implementation has all rows" "$(wc -l <want.tsv)" "$(wc -l <some.bed)"
    ok "$1: the scores are those of the other implementation" close_to got.tsv want.tsv 1e-5
    check "$1: the embeddings too" matrices.py close got.npy want.npy 5e-6
}
trained ps '"rcps": true, "n_layer": 3'
compare ps
trained even '"rcps": true, "n_layer": 4'
compare even
trained unfused '"n_layer": 3, "rcps": true, "fused_add_norm": false, "rms_norm": false, "kmer_cfg": {"k": 5}'
compare unfused
trained ph '"n_layer": 3, "mlp_cfg": {"d_inner": 37, "activation": "gelu_tanh", "bias": false}, "rms_norm": false'
compare ph

# ---- the checkpoint ----
ok "model info" "$caduceus" model info ps
like "says which model it is" '^model	layers of kmer, mlp, PS$' .out
ok "model verify" "$caduceus" model verify -m ps
like "the reverse complement gives the same bits" '^rc_equivariance	0	ok$' .out
ok "model convert" "$caduceus" model convert -m ps -o again
same "writes the same weights" ps/model.safetensors again/model.safetensors
like "config.json has the MLP's shape" '"mlp_cfg": ' again/config.json
is "and no shape of layers that the model lacks" "$(grep -c ssm_cfg again/config.json)" 0
ok "three threads, and layers run again" "$caduceus" pretrain --quiet -T g.fa -L g.bed --config ps/config.json $tiny \
    -o third -@ 3 --recompute
same "train the same weights" ps/model.safetensors third/model.safetensors

# ---- devices ----
export CADUCEUS_CUDA_MODULE=$builddir/.libs/caduceus-cuda-shim.so
run() { "$caduceus" annotate --quiet -m ps -T g.fa --window 100 some.bed "$@"; }
error "-d cuda is refused by name" 'device cuda: layers of the kind (mlp|kmer) run on the CPU only; use cpu' run -d cuda
ok "-d auto takes the CPU" run -d auto -o auto.tsv
ok "-d cpu" run -d cpu -o cpu.tsv
rows auto.tsv >a; rows cpu.tsv >b; same "and gives the same" a b
ok "bench" "$caduceus" bench -m ps -d cpu --rounds 1 --window 150
like "bench names their operations" 'kmer' .out
like "bench names those of the MLP" 'fc1' .out
echo "{$model, \"n_layer\": 3, \"mlp_cfg\": {\"activation\": \"relu\"}}" >config.json
error "an unknown activation is refused" '"activation" of mlp_cfg is neither "gelu" nor "gelu_tanh"' \
    "$caduceus" pretrain --quiet -T g.fa -L g.bed --config config.json $tiny -o none

# ---- attention ----
attention='"d_model": 24, "vocab_size": 12, "layer_kinds": ["kmer", "attention", "mlp"]'
model=$attention
trained full '"n_layer": 6, "attention_cfg": {"heads": 2}'
compare full
trained none '"n_layer": 3, "rcps": true, "attention_cfg": {"heads": 3, "head_dim": 32, "positions": "none"}'
compare none
trained graph '"n_layer": 6, "attention_cfg": {"heads": 2, "pattern": "graph"}'
compare graph
trained psgraph '"n_layer": 3, "rcps": true, "attention_cfg": {"heads": 1, "pattern": "graph"}'
compare psgraph
window=1300 # so many blocks that some are left out
row 'one 0 1300' >some.bed
trained blocks '"n_layer": 3, "rcps": true, "attention_cfg": {"heads": 2, "pattern": "blocks", "random": 2, "seed": 9}'
compare blocks
ok "threads, and layers run again" "$caduceus" pretrain --quiet -T g.fa -L g.bed --config blocks/config.json $tiny \
    -o fourth -@ 3 --recompute
same "train the same weights of attention" blocks/model.safetensors fourth/model.safetensors
for pair in '"heads": 0:"heads" is 0' '"head_dim": 24:"head_dim" is not a multiple of 16' \
    '"pattern": "x":"pattern" is neither "full", "blocks" nor "graph"' '"positions": 1:"positions" is neither'; do
    echo "{$model, \"n_layer\": 3, \"attention_cfg\": {${pair%:*}}}" >config.json
    error "refused: ${pair%:*}" "${pair##*:}" \
        "$caduceus" pretrain --quiet -T g.fa -L g.bed --config config.json $tiny -o never
done

# ---- architectures with a name ----
new() { "$caduceus" model new "$@"; }
for name in caduceus mamba transformer bigbird graph; do
    ok "model new $name" new $name --d-model 32 --n-layer 2 --length 300 -o new-$name
    ok "model info new-$name" "$caduceus" model info new-$name
    like "$name has windows of 300" '^window	300$' .out
    ok "$name can be trained" "$caduceus" pretrain --quiet -T g.fa -L g.bed -m new-$name $tiny -o trained-$name
done
ok "model info" "$caduceus" model info new-bigbird
like "bigbird's layers" 'n_layer=5 layers=kmer,attention,mlp k=3 heads=8 head_dim=16 pattern=blocks' .out
ok "the same seed" new bigbird --d-model 32 --n-layer 2 --length 300 -o twin
same "gives the same weights" new-bigbird/model.safetensors twin/model.safetensors
ok "another seed" new bigbird --d-model 32 --n-layer 2 --length 300 --seed 2 -o twin
differ "gives others" new-bigbird/model.safetensors twin/model.safetensors
ok "--rcps yes" new transformer --d-model 32 --n-layer 1 --rcps yes -o both
ok "model verify" "$caduceus" model verify -m both
like "the reverse complement of a transformer with --rcps gives the same bits" '^rc_equivariance	0	ok$' .out
error "another name" 'bert: expected one of caduceus, mamba, transformer, bigbird, graph' new bert -o fresh
error "no name" 'name one architecture' new -o fresh
error "no folder" '-o: give the folder' new mamba
for name in cnn hybrid; do
    ok "model new $name" new $name --d-model 32 --length 300 --rcps yes -o new-$name
    ok "model info new-$name" "$caduceus" model info new-$name
done
like "hybrid has no head yet" '^head	none: its layers pool rows$' .out
like "hybrid's layers" 'n_layer=10 layers=cnn,attention,mlp widths=3,6,12 channels=64 pool=4' .out
is "a refused model leaves no folder" "$(ls -d fresh 2>/dev/null)" ""

# ---- the next base ----
# In a repeat of 8 bases, each base follows from those before it, and also from those behind it on the other strand.
{ echo '>repeat'; for i in $(seq 40); do printf 'AACGTCTG'; done; echo; } >repeat.fa
row 'repeat 100 200' >repeat.bed
ok "Mamba learns a repeat" "$caduceus" pretrain --quiet -T repeat.fa -m new-mamba --seq-len 100 --batch-tokens 600 \
    --steps 60 --lr 0.02 --valid-fraction 0 -o repeated
like "its checkpoint says that it predicts the next base" '"caduceus_next": true' repeated/config.json
score() { "$caduceus" annotate --quiet -m repeated -T repeat.fa --window 160 --score pll "$@" repeat.bed; }
ok "annotate" score -o each.tsv --mask each
ok "the bases are predicted: the mean of log p is above -0.2" \
    awk '!/^#/ { if ($NF > -0.2 && $NF < 0) good++ } END { exit good != 1 }' each.tsv
ok "--mask none" score -o none.tsv --mask none
rows each.tsv >a; rows none.tsv >b; same "nothing is masked, whatever --mask says" a b

# ---- a classifier from new weights, and the commands ----
{
    echo sequence,label
    for i in 1 2 3 4 5 6 7 8; do echo "$(bases 60 "$i"),a"; echo "$(bases 60 "1$i" | tr AG CT),b"; done
} >labels.csv
ok "finetune --from-scratch" "$caduceus" finetune --quiet -m new-bigbird --from-scratch --epochs 2 --batch 4 \
    labels.csv -o classifier
ok "finetune --lora" "$caduceus" finetune --quiet -m trained-bigbird --lora 2 --epochs 1 --batch 4 labels.csv -o lora
like "gives adapters to attention and MLPs" '"fc1"' lora/adapter_config.json
like "and to queries, keys and values" '"qkv_proj"' lora/adapter_config.json
error "a table of k-mers is no projection" 'LoRA of table: the model has no projection of that name; it has qkv_proj' \
    "$caduceus" finetune --quiet -m trained-bigbird --lora 2 --lora-targets table labels.csv -o never
ok "predict with the adapter" "$caduceus" predict --quiet -m lora labels.csv -o adapted.tsv
ok "predict" "$caduceus" predict --quiet -m classifier labels.csv -o predicted.tsv
is "a row for each sequence" "$(rows predicted.tsv | wc -l)" "$(wc -l <labels.csv)"

# ---- convolutions that pool rows ----
# Five sequences, of which one is shorter than a row and others end within a row.
row 'one 10 110' 'two 0 7' 'one 3 100' 'two 500 600' 'one 1 2' >whole.bed
# means NAME: the means of sequences are those of the other implementation.
means() {
    [ -n "$py" ] || { skip "$1: means" "no python3 with numpy"; return; }
    ok "embed $1" "$caduceus" embed --quiet -m "$1" -T g.fa --window 100 --flank 0 whole.bed -o got.npy
    ok "$1: the other implementation" "$py" "$checks/undirected.py" means "$1" g.fa whole.bed want.npy
    check "$1: the means are the same" matrices.py close got.npy want.npy 5e-6
}
tune() { "$caduceus" finetune --quiet --from-scratch --epochs 2 --batch 4 --lr 0.01 labels.csv "$@"; }
for name in cnn hybrid; do
    means new-$name
    ok "finetune $name" tune -m new-$name -o tuned-$name
    ok "three threads" tune -m new-$name -o again-$name -@ 3
    same "train the same weights of $name" tuned-$name/model.safetensors again-$name/model.safetensors
    means tuned-$name
    ok "predict" "$caduceus" predict --quiet -m tuned-$name labels.csv -o forth.tsv
    { head -n 1 labels.csv; tail -n +2 labels.csv | while IFS=, read -r s l; do
        echo "$(echo "$s" | rev | tr ACGT TGCA),$l"; done; } >turned.csv
    ok "predict reverse complements" "$caduceus" predict --quiet -m tuned-$name turned.csv -o back.tsv
    rows forth.tsv | cut -f2- >a
    rows back.tsv | cut -f2- >b
    same "they have the same classes and numbers" a b
done
ok "bench" "$caduceus" bench -m new-hybrid -d cpu --rounds 1 --window 150
like "bench names the operations of convolutions" 'pool_out' .out
no_bases='the model pools 16 bases into a row, so it has results for sequences and none for bases'
error "annotate is refused" "$no_bases" "$caduceus" annotate --quiet -m new-hybrid -T g.fa some.bed
error "track too" "$no_bases" "$caduceus" track --quiet -m new-hybrid -T g.fa -o never.bw
error "and the maximum of rows" "$no_bases" \
    "$caduceus" embed --quiet -m new-hybrid -T g.fa --pool max some.bed -o never.npy
error "and pretrain" 'new-hybrid: its layers pool rows, so that no base has logits' \
    "$caduceus" pretrain --quiet -T g.fa -L g.bed -m new-hybrid $tiny -o never
row 'one 0 10 gene' 'two 5 20 gene' >genes.bed
error "and a class for each base" "$no_bases" "$caduceus" finetune --quiet -m new-hybrid --task bases -T g.fa \
    --from-scratch genes.bed -o never
is "nothing was written" "$(ls -d never* 2>/dev/null)" ""

ok "track" "$caduceus" track --quiet -m trained-bigbird -T g.fa -o whole.bw
ok "embed" "$caduceus" embed --quiet -m trained-bigbird -T g.fa some.bed -o some.npy
finish
