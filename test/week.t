#!/bin/sh
# week.t - a newcomer's week: ten jobs with the commands that a new user would type, on the files of examples/. Each
# must go through at the first try.
. "${srcdir:-.}/test/lib.sh"

cp "$srcdir/examples/"*.* .
export PATH="$PWD/bin:$PATH" CADUCEUS_MODEL="$data/ps"
mkdir bin && ln -s "$caduceus" bin/caduceus
have() { command -v "$1" >/dev/null; }
# job TEXT COMMANDS: the commands, as typed, exit 0. They are run by sh -e.
job() { ok "$1" sh -ec "$2"; }
# job_with TOOL TEXT COMMANDS: skipped where the tool is missing.
job_with() { if have "$1"; then job "$2" "$3"; else skip "$2" "no $1"; fi; }

# ---- 1: install without root ----
job "install into a folder of mine" "make -s -C '$builddir' install prefix='$PWD/local' >/dev/null
    local/bin/caduceus version && test -s local/share/man/man1/caduceus.1
    test -s local/share/man/man7/caduceus-scores.7"

# ---- 2: promoters and bedtools ----
job "score promoters" 'caduceus annotate -T example.fa regions.bed -o promoters.bed'
job_with bedtools "which of them overlap my genes" '
    printf "chrE1\t4000\t4100\tgene\n" >genes.bed
    bedtools intersect -u -a promoters.bed -b genes.bed | tee mine.bed | grep -q island'
job "the least likely first" '
    caduceus annotate --no-version -T example.fa regions.bed | tail -n +2 | sort -k7,7g | head -n 3'

# ---- 3: reads, coloured by likelihood ----
job_with samtools "tag reads from a pipe" '
    samtools view -b example.sam | caduceus annotate --color - -o tagged.bam --write-index
    samtools view tagged.bam | grep -q "yp:f:.*YC:Z:"'

# ---- 4: variants ----
job "score variants" 'caduceus annotate -T example.fa example.vcf -o scored.vcf.gz --write-index'
job_with bcftools "the twenty most unlikely" '
    bcftools query -f "%CADUCEUS_LLR\t%CHROM\t%POS\t%REF\t%ALT\n" scored.vcf.gz | sort -g | head -n 20 | grep -q chrE1'
job_with bcftools "filter" 'bcftools view -i "CADUCEUS_LLR<0" scored.vcf.gz | grep -c "^chr"'
if have bcftools && no_preload; then
    job "the same in the plugin" "
        export BCFTOOLS_PLUGINS='$builddir/plugin:'
        bcftools +caduceus example.vcf -Ov -o plugin.vcf -- -T example.fa
        bcftools query -f '%CADUCEUS_LLR\n' plugin.vcf >p
        bcftools query -f '%CADUCEUS_LLR\n' scored.vcf.gz >a; cmp a p"
else skip "the same in the plugin" "no bcftools that loads it"; fi

# ---- 5: a track and its hub ----
job "a track" 'caduceus track -T example.fa -r chrE1:4,000-5,000 -o pll.bw'
job "a hub to look at" '
    caduceus track -T example.fa -r chrE1:4,000-4,300 --hub hub --genome mine --email me@example.org
    test -s hub/index.html && test -s hub/hub.txt'

# ---- 6: embeddings, a classifier, fine-tuning ----
py=$(python)
if [ "$py" ]; then
    job "embeddings in numpy" "caduceus embed -T example.fa regions.bed -o regions.npy
        '$py' -c \"import numpy; x = numpy.load('regions.npy'); assert x.shape[1] == 16\""
else skip "embeddings in numpy" "no numpy"; fi
{   echo sequence,label
    for i in 1 2 3 4 5 6 7 8 9 10; do
        printf '%s,%s\n' "$(bases 60 $i)" "$([ $((i % 2)) = 1 ] && echo open || echo closed)"
    done; } >train.csv
job "fine-tune and predict" '
    caduceus finetune train.csv --epochs 1 -o classifier
    caduceus predict -m classifier train.csv | grep -q open'

# ---- 7: a model of my own, interrupted and resumed ----
small='--d-model 16 --n-layer 2 --seq-len 256 --batch-tokens 1024'
job "train, in two parts" "
    caduceus pretrain -T example.fa -o whole $small --steps 6
    caduceus pretrain -T example.fa -o halves $small --steps 6 --save-every 2 &
    job=\$!; while [ ! -e halves/training.safetensors ] && kill -0 \$job; do sleep 0.05; done; kill -INT \$job || true
    wait \$job || true
    caduceus pretrain -T example.fa -o halves $small --steps 6 --save-every 2 --resume
    cmp whole/model.safetensors halves/model.safetensors"

# ---- 8: a model by its name on the hub ----
mkdir -p home/hub/models--lab--dna/snapshots/abc home/hub/models--lab--dna/refs
cp "$data/ps/config.json" "$data/ps/model.safetensors" home/hub/models--lab--dna/snapshots/abc
printf abc >home/hub/models--lab--dna/refs/main
job "a model by its name" '
    export HF_HOME="$PWD/home"; caduceus model list | grep -q lab/dna
    caduceus annotate -m hf:lab/dna -T example.fa regions.bed'
HF_HOME="$PWD/home" error "a name without hf: asks" 'hf:lab/dna' caduceus annotate -m lab/dna -T example.fa regions.bed

# ---- 9: planning ----
job "how long would my exome take" 'caduceus annotate --dry-run -T example.fa example.vcf | grep -q seconds'
job "how long would a chromosome take" 'caduceus track --dry-run -T example.fa -r chrE1 | grep -q seconds'

# ---- 10: eight shares on Slurm, one of them again ----
job "eight array tasks and a merge" '
    task() { SLURM_ARRAY_TASK_ID=$1 sh -ec '"'"'
        caduceus annotate -T example.fa regions.bed --shard $SLURM_ARRAY_TASK_ID/8 -o "part.{shard}.bed"'"'"'; }
    for i in 1 2 3 4 5 6 7 8; do task $i; done
    rm part.*5*.bed; task 5
    caduceus merge -o merged.bed part.*.bed
    caduceus annotate -T example.fa regions.bed -o whole.bed; cmp merged.bed whole.bed'
finish
