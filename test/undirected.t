#!/bin/sh
# undirected.t - layers without a direction: MLPs and tables of k-mers. Compares a model of them, trained here, with
# another implementation, and runs every command with it.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

{ contig one 1500 1; contig two 600 2; printf '>gap\n%sNNNNN%s\n' "$(bases 60 3)" "$(bases 50 4)"; } >g.fa
row 'one 0 1200 train' 'two 0 600 valid' >g.bed
row 'one 10 110' 'two 0 90' 'two 500 600' 'gap 0 115' >some.bed
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
    "$py" "$checks/undirected.py" annotate -m "$1" -T g.fa --window 100 --score pll,entropy,n --embed want.npy \
        some.bed >want.tsv 2>want.err || diag want.err
    ok "annotate $1" "$caduceus" annotate --quiet -m "$1" -T g.fa --window 100 --score pll,entropy,n --embed got.npy \
        some.bed -o scored.tsv
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
like "says which model it is" '^model	Caduceus-PS$' .out
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
finish
