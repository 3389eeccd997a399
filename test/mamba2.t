#!/bin/sh
# mamba2.t - every command with a model whose layers are Mamba-2, trained here.
. "${srcdir:-.}/test/lib.sh"

{ contig one 1500 1; contig two 600 2; } >g.fa
row 'one 0 1200 train' 'two 0 600 valid' >g.bed
cat >config.json <<'END'
{"d_model": 24, "n_layer": 3, "vocab_size": 12, "rcps": true, "d_intermediate": 0, "pad_token_id": -100,
 "complement_map": {"0": 0, "7": 10, "8": 9, "9": 8, "10": 7},
 "ssm_cfg": {"layer": "Mamba2", "d_state": 20, "headdim": 12, "ngroups": 2}}
END
tiny="--seq-len 150 --batch-tokens 600 --steps 4"
pretrain() { "$caduceus" pretrain --quiet -T g.fa -L g.bed --config config.json $tiny "$@"; }
ok "pretrain" pretrain -o model -@ 1
ok "pretrain, with three threads and layers run again" pretrain -o again -@ 3 --recompute
same "writes the same weights" model/model.safetensors again/model.safetensors
model() { local cmd=$1; shift; "$caduceus" "$cmd" --quiet -m model "$@"; }
# steady NAME COMMAND...: the command prints the same with one thread and with three, and something.
steady() {
    local name=$1; shift
    ok "$name" "$@" -@ 1; cp .out first
    prints "$name: the same with three threads" first "$@" -@ 3
    is "$name: prints something" "$([ -s first ] && echo yes)" yes
}

# ---- the checkpoint ----
ok "model info" "$caduceus" model info model
like "names the layers" '^model	Caduceus-PS, Mamba-2$' .out
like "and their shape" ' d_state=20 d_conv=4 d_inner=48 headdim=12 ngroups=2 ' .out
ok "model verify" "$caduceus" model verify -m model
like "the reverse complement gives the same bits" '^rc_equivariance	0	ok$' .out
ok "model convert" "$caduceus" model convert -m model -o half --dtype BF16
like "ssm_cfg is complete" '"A_init_range"' half/config.json
ok "model verify of that" "$caduceus" model verify -m half

# A config.json that does not name the kind: the tensors do. Its tokenizer has no length.
cp -r model silent; sed -i 's/"layer": "Mamba2",*//' silent/config.json
sed 's/"model_max_length": [0-9]*/"model_max_length": 1000000000000000019884624838656/' model/tokenizer_config.json \
    >silent/tokenizer_config.json
ok "the kind is told by the tensors" "$caduceus" model info silent
like "model info says so" '^model	Caduceus-PS, Mamba-2$' .out
like "the window is that of PlantCAD2" '^window	8192$' .out
ok "it is converted" "$caduceus" model convert -m silent -o spoken
same "to the same weights" model/model.safetensors spoken/model.safetensors
like "its ssm_cfg has what only Mamba-2 has" '"headdim": 12' spoken/config.json
is "and no key that Python's Mamba2 lacks" "$(grep -c '"layer' spoken/config.json)" 0
sed 's/"d_intermediate": 0/"d_intermediate": 48/' model/config.json >silent/config.json
error "an MLP is refused by name" '"d_intermediate" is not 0' "$caduceus" model info silent
# limit VALUE: writes silent/config.json with this dt_limit.
limit() { sed "s/\"headdim\"/\"dt_limit\": $1, &/" model/config.json >silent/config.json; }
limit '[0.0, Infinity]'
ok "dt_limit may have its default value, as Python writes it" "$caduceus" model info silent
for range in '[0.0, 0.1]' '[0.001, Infinity]'; do
    limit "$range"
    error "dt_limit $range is refused by name" '"dt_limit" is not \[0, Infinity\]' "$caduceus" model info silent
done
limit '["none", Infinity]'
error "dt_limit must be numbers" '"dt_limit" is not a list of two numbers' "$caduceus" model info silent
error "Mamba-1 tensors are asked for where config.json says Mamba-1" 'x_proj|in_proj' \
    sh -c "sed 's/\"Mamba2\"/\"Mamba1\"/' model/config.json >silent/config.json && '$caduceus' model info silent"

# ---- commands ----
printf 'one\t10\t200\tone\ntwo\t0\t600\twhole\n' >some.bed
steady "annotate: BED" model annotate --window 128 -T g.fa some.bed
steady "annotate: sequences" model annotate --window 128 g.fa
printf '##fileformat=VCFv4.2\n##contig=<ID=one,length=1500>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n' >some.vcf
for at in 100 333 1200; do
    base=$(sed 1d g.fa | tr -d '\n' | cut -c $at)
    printf 'one\t%s\t.\t%s\t%s\t.\t.\t.\n' $at "$base" "$([ "$base" = A ] && echo C || echo A)" >>some.vcf
done
steady "annotate: VCF" model annotate --window 128 --no-version -T g.fa some.vcf
if command -v samtools >/dev/null; then
    { printf '@SQ\tSN:one\tLN:1500\n'; printf 'read\t0\tone\t1\t60\t40M\t*\t0\t0\t%s\t*\n' "$(bases 40 5)"; } >some.sam
    samtools view -b --no-PG -o some.bam some.sam
    ok "annotate: BAM" model annotate --window 128 -o scored.bam some.bam
    like "the read has its score" 'yp:f:-?[0-9.]+' - <<END
$(samtools view scored.bam)
END
else skip "annotate: BAM" "no samtools"; fi
ok "track" model track --window 128 -T g.fa -L some.bed -o some.bw
ok "embed" model embed --window 128 -T g.fa -o some.npy some.bed
steady "mutate" model mutate --window 128 -T g.fa -r one:300-330 --deletions
steady "eval" model eval --window 128 -T g.fa -L g.bed
ok "bench" "$caduceus" bench -d cpu -@ 1 --rounds 1 -m model --window 96
like "bench has a line for the gate" 'gate' .out

{   echo sequence,label
    for i in 1 2 3 4 5 6 7 8; do printf '%s,%d\n' "$(bases 50 $i)" $((i % 2)); done; } >labels.csv
ok "finetune" model finetune labels.csv --epochs 1 --batch 4 -o tuned
ok "predict" "$caduceus" predict --quiet -m tuned labels.csv
is "predict prints a row for each sequence" "$(rows .out | awk -F '\t' '$NF + 0 == $NF' | lines)" 8
ok "depend" model depend --window 128 -T g.fa -r one:300-330 -o dependence.npy
ok "mutate, with the classifier" "$caduceus" mutate --quiet -m tuned -T g.fa -r one:300-330
ok "the classifier's layers are described" "$caduceus" model info tuned
like "as Mamba-2" '^model	Caduceus-PS, Mamba-2$' .out

export BCFTOOLS_PLUGINS="$builddir/plugin:"
if command -v bcftools >/dev/null && [ -e "$builddir/plugin/caduceus.so" ] && ! sanitized &&
    bcftools plugin -l >/dev/null 2>&1; then
    bcftools +caduceus some.vcf -- --quiet --window 128 -m model -T g.fa >plug.vcf 2>.err || diag .err
    model annotate --window 128 -T g.fa some.vcf | rows - >want
    rows plug.vcf >got
    same "the plugin writes the records of annotate" want got
else skip "the plugin" "no bcftools with plugins"; fi
finish
