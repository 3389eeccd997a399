#!/bin/sh
# cuda.t - the CUDA backend: loading its module, its kernels under the host shim, and its errors (faults 54, 55, 56).
# gpu-check runs the kernels on a GPU.
. "${srcdir:-.}/test/lib.sh"

shim=$builddir/.libs/caduceus-cuda-shim.so
real=$builddir/caduceus-cuda.so
model=$data/ps
contig one 3000 11 >ref.fa
regions one 3000 9 >in.bed
run() { "$caduceus" annotate -m "$model" -T ref.fa --window 200 --mask none "$@"; }
on() { CADUCEUS_CUDA_MODULE=$1; shift; "$@"; CADUCEUS_CUDA_MODULE=; } # MODULE COMMAND...
shimmed() { on "$shim" "$@"; }
run -d cpu --score pll,entropy,n in.bed >cpu.bed

# ---- modules that do not exist or do not belong to this program ----
error "no module: -d cuda is an error" 'device cuda: no CUDA module' run -d cuda in.bed
run -d auto in.bed --score pll,entropy,n >auto.bed 2>note
same "no module: -d auto computes on the CPU" auto.bed cpu.bed
is "without a word, as at every run" "$(cat note)" ""
run in.bed >auto.bed 2>note
is "without -d no message is printed" "$(cat note)" ""
on "$dir/none.so" error "a missing module is an error" 'none\.so' run -d cuda in.bed
echo text >text.so
on "$dir/text.so" error "a file that is not a module is an error" 'text\.so' run -d cuda in.bed
cc=$(command -v cc || command -v gcc)
if [ -n "$cc" ]; then
    echo 'int other(void) { return 0; }' | "$cc" -shared -fPIC -x c - -o other.so
    on "$dir/other.so" error "a library without the entry is an error" 'cad_module' run -d cuda in.bed
    echo 'int cad_module(void); int cad_module(void) { return -4; }' | "$cc" -shared -fPIC -x c - -o old.so
    on "$dir/old.so" error "a module of another version is an error" "another version's" run -d cuda in.bed
    on "$dir/old.so" run in.bed --score pll,entropy,n >auto.bed 2>note
    same "and auto computes on the CPU" auto.bed cpu.bed
    like "with a note" "note: computing on the CPU: .*another version's" note
    on "$dir/old.so" run in.bed --score pll,entropy,n -o auto.bed --shard 1/1 2>note
    is "one, also where the work is counted first" "$(grep -c 'computing on the CPU' note)" 1
else
    skip "modules of other versions are refused" "no compiler"
fi

# The shim of t_kinds has one more kind of layer.
kinds=$builddir/.libs/kinds-shim.so
if [ -e "$kinds" ]; then
    on "$kinds" error "a module with other kinds of layers is an error" \
        "device cuda: the CUDA module is another version's; install the one" run -d cuda in.bed
else
    skip "a module with other kinds of layers is an error" "not built"
fi

# ---- the module for GPUs ----
if [ -e "$real" ]; then
    if nvidia-smi >/dev/null 2>&1; then
        on "$real" ok "with a GPU, -d cuda runs" run --quiet -d cuda in.bed
    else
        on "$real" error "without a GPU, -d cuda is an error" 'device cuda: ' run -d cuda in.bed
        on "$real" run -d auto --score pll,entropy,n in.bed >auto.bed 2>note
        same "and auto computes on the CPU" auto.bed cpu.bed
        is "with one note" "$(grep -c 'note: computing on the CPU: ' note) $(wc -l <note)" "1 1"
        on "$real" run --quiet -d auto --score pll,entropy,n in.bed >auto.bed 2>note
        is "which --quiet leaves out" "$(cat note)" ""
    fi
else
    skip "the CUDA module loads" "no CUDA Toolkit when configured"
fi

# ---- the same kernels on the CPU, under the host shim ----
no_shim=
[ -e "$shim" ] || no_shim="the shim is not built"
[ -e "$shim" ] && grep -q __asan_init "$shim" && no_shim="built with sanitizers, which fibers confuse; t_ops runs it"
if [ -n "$no_shim" ]; then
    skip "the kernels run under the shim" "$no_shim"
    finish
    exit
fi
for kind in "$data"/*/; do
    for p in fp32 bf16x3 bf16; do
        shimmed ok "$(basename "$kind") verifies in $p" "$caduceus" model verify -d cuda --precision $p -m "$kind"
    done
done
if [ -d "$shared/golden" ]; then
    for kind in "$shared"/golden/*d16* "$shared"/golden/*d24* "$shared"/golden/*d32* \
        "$shared"/golden/pc2-*; do
        for p in fp32 bf16x3 bf16; do
            shimmed ok "golden $(basename "$kind") verifies in $p" \
                "$caduceus" model verify -d cuda --precision $p -m "$kind"
        done
    done
else
    skip "the golden checkpoints verify" "not present"
fi

gpu() { shimmed run --quiet -d cuda --precision fp32 --score pll,entropy,n "$@"; }
gpu in.bed >gpu.bed
rows gpu.bed >gpu.rows; rows cpu.bed >cpu.rows
ok "the CPU's scores and those of -d cuda agree" close_to gpu.rows cpu.rows 1e-5
head -n 2 in.bed >few.bed
gpu --mask each few.bed | rows - >gpu.rows1
run --quiet -d cpu --score pll,entropy,n --mask each few.bed | rows - >cpu.rows1
ok "and with masks" close_to gpu.rows1 cpu.rows1 1e-5
like "provenance names the device" '^##caduceus_device=cuda host shim' gpu.bed
like "and the precision" '^##caduceus_precision=fp32' gpu.bed
shimmed run --quiet in.bed >auto.bed
like "auto takes the device" '^##caduceus_device=cuda host shim' auto.bed
like "and bf16 by default" '^##caduceus_precision=bf16' auto.bed
shimmed run --quiet -d cuda:0 --precision bf16 in.bed >bf16.bed
same "cuda:0 is cuda, bf16 its default" bf16.bed auto.bed
rows bf16.bed | cut -f 4,5 >half.rows; run --quiet -d cpu in.bed | rows - | cut -f 4,5 >full.rows
ok "bf16 agrees within its precision" close_to half.rows full.rows 2e-2

# A result depends on its own sequence alone.
gpu -@ 7 in.bed >many.bed
same "-@ 7 gives the same bytes" many.bed gpu.bed
while read -r line; do echo "$line" >row.bed; gpu row.bed | rows -; done <in.bed >alone.rows
same "rows alone give the same bytes" alone.rows gpu.rows
for how in "mean" "max" "mean --layer 1" "max --layer 1"; do
    # shellcheck disable=SC2086
    shimmed run --quiet -d cuda --precision fp32 --score none --embed - --pool $how in.bed | rows - | cut -f 4 |
        tr ',' '\t' >gpu.embed
    # shellcheck disable=SC2086
    run -d cpu --quiet --score none --embed - --pool $how in.bed | rows - | cut -f 4 | tr ',' '\t' >cpu.embed
    ok "$how embeddings agree" close_to gpu.embed cpu.embed 1e-5
done

for seed in 1 2; do
    export CADUCEUS_SHIM_SEED=$seed
    gpu few.bed >seed.bed
    unset CADUCEUS_SHIM_SEED
    gpu few.bed >usual.bed
    same "another order of the threads ($seed) gives the same bytes" seed.bed usual.bed
done

# A CUDA graph is recorded once for batches of one shape: five packs of 12 windows on two lanes.
awk 'BEGIN { for (i = 0; i < 60; i++) print "one\t" 40 * i + 100 "\t" 40 * i + 300 }' >even.bed
gpu even.bed >eager.bed
CADUCEUS_CUDA_GRAPHS=1 gpu even.bed >graph.bed
same "recorded batches give the same bytes" graph.bed eager.bed
gpu --embed - --layer 1 even.bed >eager.bed
CADUCEUS_CUDA_GRAPHS=1 gpu --embed - --layer 1 even.bed >graph.bed
same "and with scores and embeddings of an inner layer" graph.bed eager.bed
gpu --mask each few.bed | rows - >eager.rows; CADUCEUS_CUDA_GRAPHS=1 gpu --mask each few.bed | rows - >graph.rows
same "and with masks" graph.rows eager.rows
CADUCEUS_CUDA_GRAPHS=1 gpu in.bed >graph.bed
same "and batches of one shape each" graph.bed gpu.bed
for n in 1 3; do # at least one of three or four launches replays a recorded graph
    export CADUCEUS_SHIM_GRAPH=$n CADUCEUS_CUDA_GRAPHS=1
    shimmed error "a fault in launch $n of recorded batches is an error" 'cuda host shim: .*illegal memory access' \
        run -d cuda --precision fp32 even.bed
    unset CADUCEUS_CUDA_GRAPHS
    shimmed ok "without recording there is no such fault" run --quiet -d cuda --precision fp32 even.bed
    unset CADUCEUS_SHIM_GRAPH
done
export CADUCEUS_SHIM_FAULT=60 CADUCEUS_CUDA_GRAPHS=1
shimmed error "a fault while recording is an error" 'illegal memory access' run -d cuda --precision fp32 even.bed
unset CADUCEUS_SHIM_FAULT CADUCEUS_CUDA_GRAPHS

# ---- Mamba-2 ----
cat >m2.json <<'END'
{"d_model": 24, "n_layer": 2, "vocab_size": 12, "rcps": true, "d_intermediate": 0, "pad_token_id": -100,
 "complement_map": {"0": 0, "7": 10, "8": 9, "9": 8, "10": 7},
 "ssm_cfg": {"layer": "Mamba2", "d_state": 20, "headdim": 12, "ngroups": 2}}
END
ok "a model of Mamba-2 layers" "$caduceus" pretrain --quiet -T ref.fa --config m2.json --seq-len 150 \
    --batch-tokens 600 --steps 2 --valid-fraction 0 -o m2
model=m2
run --quiet -d cpu --score pll,entropy,n in.bed | rows - >m2-cpu.rows
gpu in.bed >m2.bed
rows m2.bed >m2.rows
ok "Mamba-2: the CPU's scores and those of -d cuda agree" close_to m2.rows m2-cpu.rows 1e-5
while read -r line; do echo "$line" >row.bed; gpu row.bed | rows -; done <in.bed >alone.rows
same "Mamba-2: rows alone give the same bytes" alone.rows m2.rows
run --quiet -d cpu --score pll,entropy,n --mask each few.bed | rows - >m2-cpu.rows1
gpu --mask each few.bed | rows - >m2.rows1
ok "Mamba-2: and with masks" close_to m2.rows1 m2-cpu.rows1 1e-5
gpu even.bed >m2-eager.bed; CADUCEUS_CUDA_GRAPHS=1 gpu even.bed >m2-graph.bed
same "Mamba-2: recorded batches give the same bytes" m2-graph.bed m2-eager.bed
model=$data/ps

# ---- errors ----
shimmed error "a missing device index is an error" 'device cuda:1: there is 1 CUDA device' run -d cuda:1 in.bed
export CADUCEUS_SHIM_DEVICES=3
for d in cuda:0,2 cuda:all; do
    shimmed run --quiet --score pll,entropy,n -d $d --precision fp32 in.bed >several.bed
    same "$d gives the same bytes as one device" several.bed gpu.bed
done
shimmed error "a device of a list that is missing is an error" 'device cuda:1,3: there are 3 CUDA devices' \
    run -d cuda:1,3 in.bed
error "a device that is named twice is an error" 'cuda:1,1: expected' run -d cuda:1,1 in.bed
error "so is a list that ends with a comma" 'cuda:1,: expected' run -d cuda:1, in.bed
CADUCEUS_SHIM_MIXED=1 shimmed error "devices of two types are an error" 'devices 0 .* and 1 .*different results' \
    run -d cuda:all in.bed
shimmed error "training takes one device" 'device cuda:0,1: training computes on one device' \
    "$caduceus" pretrain -T ref.fa -o new --d-model 16 --n-layer 1 --seq-len 64 --steps 1 --valid-fraction 0.2 \
    -d cuda:0,1
export CADUCEUS_SHIM_DEVICES=0
shimmed error "no device is an error" 'device cuda: no CUDA-capable device' run -d cuda in.bed
shimmed run --score pll,entropy,n in.bed >auto.bed 2>note
same "auto without a device computes on the CPU" auto.bed cpu.bed
is "with one note" "$(grep -c 'note: computing on the CPU: no CUDA-capable device' note) $(wc -l <note)" "1 1"
shimmed run --quiet --precision bf16 in.bed >half.bed
run --quiet -d cpu --precision bf16 in.bed >half-cpu.bed
same "also in bf16, if requested" half.bed half-cpu.bed
unset CADUCEUS_SHIM_DEVICES
export CADUCEUS_SHIM_MEMORY=30000000 # too small for two lanes with packs of the usual size
gpu in.bed >less.bed
same "with less memory, smaller packs give the same bytes" less.bed gpu.bed
export CADUCEUS_SHIM_MEMORY=1000000
echo old >out.bed
shimmed error "too little memory is an error that says how much" 'out of memory on cuda.* GB' \
    run -d cuda in.bed -o out.bed
is "and leaves the old output" "$(cat out.bed)" old
export CADUCEUS_SHIM_MEMORY=1000
shimmed error "too little memory for the model is an error" 'out of memory' run -d cuda in.bed
unset CADUCEUS_SHIM_MEMORY
for n in 1 5 11; do
    export CADUCEUS_SHIM_FAULT=$n
    shimmed error "a fault in launch $n is an error" 'cuda host shim: .*illegal memory access' \
        run -d cuda in.bed -o out.bed
    is "and leaves the old output" "$(cat out.bed)" old
done
unset CADUCEUS_SHIM_FAULT

# ---- inside bcftools ----
so=$builddir/plugin/caduceus.so
if command -v bcftools >/dev/null 2>&1 && [ -e "$so" ] && ! grep -q __asan_init "$so"; then
    export BCFTOOLS_PLUGINS="$builddir/plugin:"
    {   printf '##fileformat=VCFv4.2\n##contig=<ID=one,length=3000>\n'
        row '#CHROM POS ID REF ALT QUAL FILTER INFO'
        bases 3000 11 | fold -w 1 | awk '$1 != "A" && NR % 500 == 7 { print "one\t" NR "\t.\t" $1 "\tA\t.\t.\t." }'
        } >in.vcf
    shimmed bcftools +caduceus in.vcf -- -T ref.fa -m "$model" --quiet -d cuda --precision fp32 |
        grep -v '^##' >plugin.vcf
    shimmed "$caduceus" annotate --quiet -T ref.fa -m "$model" -d cuda --precision fp32 in.vcf |
        grep -v '^##' >command.vcf
    same "the plugin loads the module too" plugin.vcf command.vcf
    is "and prints a message" "$(grep -c CADUCEUS_LLR plugin.vcf)" "$(grep -vc '^#' in.vcf)"
    bcftools +caduceus in.vcf -- -T ref.fa -m "$model" -d cuda >/dev/null 2>plugin.err
    is "without a module -d cuda is an error there" "$? $(grep -c 'no CUDA module' plugin.err)" "1 1"
else
    skip "the plugin loads the module too" "no bcftools or no plugin"
fi
finish
