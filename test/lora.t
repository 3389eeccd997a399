#!/bin/sh
# lora.t - finetune --lora: adapters in peft's layout, used and merged; gradients are tested by t_lora.
. "${srcdir:-.}/test/lib.sh"
py=$(python)
awk 'function next_() { s = (s * 16807) % 2147483647; return int(s / 65536) }
    BEGIN { s = 5; print "sequence,label"
        for (i = 0; i < 120; i++) {
            y = next_() % 2; q = ""
            for (j = 0; j < 40; j++) { x = next_() % 10
                q = q (x < 7 ? substr(y ? "GC" : "AT", x % 2 + 1, 1) : substr("ACGT", x % 4 + 1, 1)) }
            print q "," y } }' >train.csv
finetune() { "$caduceus" finetune --quiet -@ 1 --epochs 2 --batch 16 --lr 0.03 "$@"; }
lora() { finetune -m "$data/ps" --lora 3:4 train.csv "$@"; }
predict() { "$caduceus" predict --quiet --no-version train.csv "$@"; }

# ---- training ----
ok "finetune --lora" lora -o one; cp .out one.out
is "its accuracy" "$(awk '$1 == "accuracy" { print ($2 > 0.9 ? "well" : $2) }' one.out)" well
is "it writes an adapter and no model" "$(ls one | joined)" \
    "README.md adapter_config.json adapter_model.safetensors config.json metrics.tsv tokenizer_config.json "
like "metrics.tsv says so" ' lora=3:4' one/metrics.tsv
lora -@ 3 -o three >three.out
for file in adapter_model.safetensors adapter_config.json config.json metrics.tsv; do
    same "three threads do not change $file" one/$file three/$file
done
same "nor the printed metrics" one.out three.out
lora --recompute -o again >again.out
same "nor do layers run again" one/adapter_model.safetensors again/adapter_model.safetensors
lora --seed 2 -o seed >/dev/null
differ "another seed, another adapter" one/adapter_model.safetensors seed/adapter_model.safetensors
resumes "a training that is killed and resumed" lora --epochs 3 --batch 40
lora --dry-run >plan; like "a dry run counts what is trained" "^trained${tab}[0-9]+$" plan

like "the card says how Python reads it" 'model convert --merge' one/README.md

# ---- the adapter is used ----
ok "predict with the adapter's folder" predict -m one -o one.tsv
ok "predict with the model and the adapter" predict -m "$data/ps" --adapter one -o two.tsv
same "they agree" one.tsv two.tsv
is "its classes" "$(head -n 1 one.tsv)" "row${tab}p_0${tab}p_1${tab}predicted"
predict -m one -o /dev/null --metrics m.tsv; grep -v '^#' m.tsv >got
is "its metrics are as good" "$(awk '$1 == "accuracy" { print ($2 > 0.9 ? "well" : $2) }' got)" well
ok "merged for good" "$caduceus" model convert --merge -m one -o merged
predict -m merged -o merged.tsv; same "the merged model predicts the same" one.tsv merged.tsv
"$caduceus" model info one >info; like "model info names the adapter" "^adapter${tab}.*one$" info
like "and the classes" "^labels${tab}2$" info
for model in ps ph; do
    finetune -m "$data/$model" --lora 2 --lora-targets in_proj,out_proj train.csv -o $model >/dev/null
    "$caduceus" model convert --merge -m $model -o $model.merged >/dev/null 2>&1
    if [ -n "$py" ]; then
        ok "$model: names and sums are those of peft" \
            "$py" "$checks/adapter.py" "$data/$model" $model $model.merged
    else skip "$model: names and sums are those of peft" "no python3"; fi
done
for name in pc2-d64-l2 ph-layernorm-untied-mul-d24-l2; do
    if [ -e "$shared/golden/$name" ]; then
        finetune -m "$shared/golden/$name" --lora 2 train.csv --epochs 1 -o $name >/dev/null
        "$caduceus" model convert --merge -m $name -o $name.merged >/dev/null 2>&1
        predict -m $name -o x.tsv; predict -m $name.merged -o y.tsv
        same "$name: merged and not, the same predictions" x.tsv y.tsv
    else skip "$name: merged and not, the same predictions" "not present"; fi
done
lora --window 5000 -o long >/dev/null; "$caduceus" model info long >info
like "a longer window is kept" "^max_length${tab}5000|^window${tab}5000|5000" info
finetune -m "$data/ps" --lora 2 --task regress train.csv -o values >/dev/null
"$caduceus" predict --quiet --no-version -m values train.csv -o v.tsv
is "a regression" "$(head -n 1 v.tsv)" "row${tab}label"

# ---- errors ----
error "a rank of 0" '--lora 0: expected .* 1 to 256' finetune -m "$data/ps" --lora 0 train.csv -o x
error "an alpha that is no number" '--lora R:ALPHA x: ' finetune -m "$data/ps" --lora 4:x train.csv -o x
error "an unknown projection" \
    'LoRA of k_proj: the model has no projection of that name' lora --lora-targets k_proj -o x
error "targets without --lora" '--lora-targets needs --lora' \
    finetune -m "$data/ps" --lora-targets in_proj train.csv -o x
error "--freeze" '--lora does not go with --freeze' lora --freeze -o x
error "--from-scratch" '--lora does not go with --from-scratch' lora --from-scratch -o x
error "on an adapter" 'has an adapter already; merge it with' finetune -m one --lora 2 train.csv -o x
finetune -m "$data/ps" train.csv --epochs 1 -o whole >/dev/null
error "into a folder with a whole model" 'whole: holds a whole model' lora -o whole
error "over the adapter's own folder" 'is (also )?an input|the same' finetune -m one train.csv -o one
is "no folder is left" "$(ls -d x 2>/dev/null)" ""
sed 's/"base_model_name_or_path": "[^"]*"/"base_model_name_or_path": "\/gone"/' one/adapter_config.json >x
cp x three/adapter_config.json
error "a base model that is gone" 'base model /gone is not there; give the model with -m' predict -m three -o x.tsv
ok "is given with -m" predict -m "$data/ps" --adapter three -o x.tsv
same "and predicts the same" x.tsv one.tsv
finish
