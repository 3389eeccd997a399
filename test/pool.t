#!/bin/sh
# pool.t - finetune --pool attention: training, checkpoints and predictions; gradients are tested by t_grad.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

rich 120 40 5 >rows
{ echo sequence,label; tr ' ' , <rows; } >train.csv
awk '{ print $1 "," ($2 ? "gc" (NR % 2 ? ";odd" : "") : NR % 2 ? "odd" : "") }' rows | sed '1i sequence,label' >sets.csv
awk '{ n = gsub(/[GC]/, "&", $1); print $1 "," n }' rows | sed '1i sequence,label' >values.csv
# plain OPTION...: finetune; pooled OPTION...: finetune --pool attention. A later -m is the one that counts.
plain() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 2 --batch 16 --lr 0.02 "$@"; }
pooled() { plain --pool attention "$@"; }
predict() { "$caduceus" predict --quiet --no-version "$@"; }

# ---- training and predicting ----
ok "--pool attention" pooled train.csv --log one.log -o one; cp .out one.out
like "the metrics are those of a model that has learnt" '^accuracy	(1|0\.9)' one.out
like "config.json says so" '"caduceus_pooling": "attention"' one/config.json
like "the provenance too" ' pool=attention ' one/metrics.tsv
like "the card says that Python lacks it" 'The head pools by attention' one/README.md
ok "model verify" "$caduceus" model verify -m one
"$caduceus" model info one >info; like "model info tells" '^pooling	attention$' info
ok "predict" predict -m one train.csv -o one.tsv --metrics metrics
check "PS: the classes are those of numpy" pooling.py one train.csv one.tsv
ok "Ph" pooled -m "$data/ph" train.csv -o ph
predict -m ph train.csv -o ph.tsv
check "Ph: the classes are those of numpy, of both strands" pooling.py ph train.csv ph.tsv
ok "sets of labels" pooled --task multilabel sets.csv -o sets
predict -m sets sets.csv -o sets.tsv; check "their probabilities are those of numpy" pooling.py sets sets.csv sets.tsv
ok "values" pooled --task regress values.csv -o values
predict -m values values.csv -o values.tsv; check "and so are values" pooling.py values values.csv values.tsv

# ---- the same bytes ----
pooled -@ 3 train.csv --log three.log -o three >three.out
pooled --recompute train.csv -o lean >lean.out
same "three threads train the same weights" one/model.safetensors three/model.safetensors
same "and log the same" one.log three.log
same "so do layers that run again" one/model.safetensors lean/model.safetensors
predict -m one train.csv -@ 3 -o three.tsv; same "three threads predict the same" one.tsv three.tsv
{ sed -n 1p train.csv; sed -n 7p train.csv; } >alone.csv; predict -m one alone.csv -o alone.tsv
is "a row alone is predicted as among others" "$(cut -f 2- alone.tsv | tail -n 1)" "$(cut -f 2- one.tsv | sed -n 7p)"
awk -F, -v OFS=, 'NR > 1 { q = ""; for (i = length($1); i; i--) q = q substr("TGCA", index("ACGT", substr($1, i, 1)), 1)
    $1 = q } { print }' train.csv >turned.csv
for model in one ph; do
    predict -m $model turned.csv -o turned.tsv
    same "$model: a reverse complement has the same bytes" $model.tsv turned.tsv
done
resumes "a training that is killed and resumed: the same files" pooled train.csv --epochs 3 --batch 40
resumes "of the head alone" pooled train.csv --freeze --epochs 3 --batch 40

# ---- beginning, and other poolings ----
pooled train.csv --lr 1e-9 --epochs 1 -o first >/dev/null; plain train.csv --lr 1e-9 --epochs 1 -o mean >/dev/null
predict -m first train.csv -o first.tsv; predict -m mean train.csv -o mean.tsv
ok "it begins as the mean" close_to first.tsv mean.tsv 1e-6
plain -m one train.csv --lr 1e-9 --epochs 1 -o back >/dev/null
like "and may become the mean again" '"caduceus_pooling": "mean"' back/config.json
is "without the tensor" "$(grep -ac pool.weight back/model.safetensors)" 0
pooled -m one train.csv --epochs 1 -o again >/dev/null
is "and may be trained again" "$(rows again/metrics.tsv | lines)" 1
pooled train.csv --from-scratch --epochs 1 -o scratch >/dev/null
ok "--from-scratch" predict -m scratch train.csv -o scratch.tsv
ok "another architecture" "$caduceus" model new graph --d-model 16 --n-layer 1 --length 50 -o graph
ok "--pool attention of a graph" pooled -m graph --from-scratch --epochs 1 train.csv -o nodes
ok "predict with it" predict -m nodes train.csv -o nodes.tsv

# ---- the head alone, and adapters ----
ok "--freeze" pooled train.csv --freeze --lr 0.03 -o frozen
check "trains pool.weight and score.weight, and nothing else" pooling.py same "$data/ps/model.safetensors" \
    frozen/model.safetensors
ok "--lora" pooled train.csv --lora 2:4 -o lora
is "keeps pool.weight with the adapters" \
    "$(grep -aoc '"base_model.model.pool.weight"' lora/adapter_model.safetensors)" 1
like "and names it" '"pool"' lora/adapter_config.json
ok "predict with the adapters" predict -m lora train.csv -o lora.tsv
ok "model convert --merge" "$caduceus" model convert --merge -m lora -o merged
predict -m merged train.csv -o merged.tsv; same "the merged model predicts the same" lora.tsv merged.tsv
check "the classes are those of numpy" pooling.py merged train.csv merged.tsv
ok "model convert" "$caduceus" model convert -m one -o copy
same "writes the same weights" one/model.safetensors copy/model.safetensors

# ---- errors ----
cp -r one wrong; sed 's/"attention"/"mean"/' one/config.json >wrong/config.json
error "a tensor that the configuration lacks" 'tensor pool.weight is not part of the model' predict -m wrong train.csv
cp -r mean lacks
# changed WORDS: writes lacks/config.json, with these in place of its pooling.
changed() { sed "s/\"caduceus_pooling\": \"mean\"/$1/" mean/config.json >lacks/config.json; }
changed '"caduceus_pooling": "attention"'
error "a tensor that is missing" 'tensor pool.weight \(16\) is missing' predict -m lacks train.csv
changed '"caduceus_pooling": "sum"'
error "an unknown pooling" '"caduceus_pooling" is neither "mean" nor "max" nor "attention"' predict -m lacks train.csv
changed '"caduceus_bin": 8, "caduceus_pooling": "attention"'
error "bins" '"caduceus_pooling" is "attention", with which bins do not go' predict -m lacks train.csv
error "a GPU is refused by name" 'device cuda: attention pooling runs on the CPU only; use cpu' \
    predict -m one -d cuda train.csv
error "for training too" 'device cuda: attention pooling runs on the CPU only; use cpu' pooled -d cuda train.csv -o gpu
predict -m one -d auto train.csv -o auto.tsv; same "-d auto takes the CPU" one.tsv auto.tsv
contig c 80 3 >g.fa; row 'c 0 40 a' 'c 40 80 b' >g.bed
error "bases are not pooled" '--pool does not go with --task bases' \
    pooled --task bases -T g.fa g.bed -o bases
for command in embed "annotate --score none --embed -"; do
    error "${command%% *} has no weights for it" '--pool attention: only a classifier has trained weights for it' \
        "$caduceus" $command -m one -T g.fa --pool attention g.bed -o x.npy
done
error "a word" '--pool sum: expected mean, max or attention' plain --pool sum train.csv -o never
finish
