#!/bin/sh
# bench.t - caduceus bench: the content of its table and its JSON. Times and speeds are not tested.
. "${srcdir:-.}/test/lib.sh"
model=$data/ps
py=$(any_python)

bench() { "$caduceus" bench -d cpu -@ 1 --rounds 1 "$@"; }

# json NAME EXPRESSION: the Python expression is true for bench.json. test/check/bench.py defines the names in it.
json() {
    if [ -z "$py" ]; then skip "$1" "no python3"
    elif "$py" "$checks/bench.py" "$2" 2>.err; then pass "$1"
    else fail "$1"; diag .err bench.json; fi
}

# ---- the table ----
ok "a model is measured" bench -m "$model" --window 40 --error-window 24
cp .out table
like "the processor and version come first" '^caduceus [0-9a-z.-]+, .+ CPUs; medians of 1 rounds$' table
like "the model is described" 'model 1: .*ps, Caduceus-PS, D 16, 2 layers, 10672 parameters' table
like "a cell has its numbers" \
    '^ +1 +40 +1 +1 +fp32 +[0-9.e+]+ +[0-9.e+]+ +[0-9.e+]+ +[0-9]+% +[0-9]+ +([0-9]+|-) +[0-9.]+e-0[5-9]  cpu ' table
is "there are three tables" "$(grep -cE '^ *(model|threads) ' table)" 4
for op in embed in conv scan out pool; do
    like "$op is an operation" "^ *model .* all .* $op " table
done
ok "--brief has one table" bench -m "$model" --window 40 --brief
is "without operations and peaks" "$(grep -c scan .out)" 0

# ---- JSON: every combination of the lists, in their order ----
bench --json -m "$model" -m "$data/ph" --window 30,7 --batch 1,3 -@ 1,0,2 --precision fp32 \
    --error-window 24 --rounds 2 >bench.json
json "it is JSON with its parts" 'parts_are_there()'
json "both models are there" '[m["kind"] for m in d["models"]] == ["Caduceus-PS", "Caduceus-Ph"]'
json "with their checksums" 'all(len(m["sha256"]) == 64 for m in d["models"])'
json "cells are all combinations" 'are((0, 1), (30, 7), (1, 3), (1, 1, 2))'
json "none is refused" 'not any("refused" in c for c in cells)'
json "their precision and device" 'each(lambda c: c["precision"] == "fp32" and c["device"].startswith("cpu "))'
json "speeds are in order" 'each(lambda c: in_order(c["tokens_per_second"]))'
json "memory is there" 'each(memory)'
json "operations are there" 'each(lambda c: set(c["operations"]) == {"embed", "in", "conv", "scan", "out", "pool"})'
json "and take time" 'each_operation(lambda name, o: positive(o["ns"]))'
json "those with a cost have floors" 'each_operation(floored)'
json "floors add up" 'each(floor_is_sum)'
json "errors are rounding" 'each(errors)'
json "peaks are of each number of threads" 'peaks((1, 2))'

# ---- floors (lower bounds of time), computed by hand for D 16, E 32, N 16, K 4, R 1, both directions ----
bench --json -m "$model" --window 20 --error-window 0 --peaks 1e9,1e3,1e6,1e9 >bench.json
json "in: 4 D E FLOP" 'close(floor("in"), 4 * 16 * 32)'
json "conv: 2 (2 K E + 2 (R + 2 N) E) FLOP, 2 E exponentials" \
    'close(floor("conv"), 2 * (2 * 4 * 32 + 2 * 33 * 32) + 2 * 32 * 1e3)'
json "scan: 2 (2 R E) FLOP, 2 E N updates, 3 E exponentials" \
    'close(floor("scan"), 4 * 32 + 2 * 512 * 1e6 + 96 * 1e3)'
json "out: 2 D E FLOP" 'close(floor("out"), 2 * 16 * 32)'
json "memory: 4 (3 D + 4 E) bytes" 'close(cells[0]["memory_ns"], 4 * (48 + 128))'
json "the peaks given are shown" 'd["peaks"] == [{"flop": 1e9, "updates": 1e3, "exps": 1e6, "bytes": 1e9}]'
json "no error was asked for" 'cells[0]["error"] == {"hidden": None, "logits": None}'
bench --json -m "$data/ph-untied" --window 20 --error-window 12 --peaks 1e9,1e3,1e6,1e9 >bench.json
json "two projections count twice" \
    'close(floor("in"), 2 * 4 * d["models"][0]["d_model"] * 2 * d["models"][0]["d_model"])'

# ---- every kind of model against double precision, on each instruction set ----
for kind in "$data"/*/config.json; do
    kind=$(dirname "$kind")
    for isa in avx512 avx2 plain; do
        CADUCEUS_ISA=$isa bench --json -m "$kind" --window 9 --error-window 40 --peaks 1,1,1,1 >bench.json
        json "$(basename "$kind") on $isa agrees with double precision" 'each(agrees)'
    done
done

# ---- other models and batches ----
bench --json --brief --d-model 24 --n-layer 3 --rcps no --window 50,10 --batch-tokens 100 >bench.json
json "a random model is as asked for" \
    '[d["models"][0][k] for k in ("name", "kind", "d_model", "n_layer")] == ["random", "Caduceus-Ph", 24, 3]'
json "--batch-tokens fills batches" '[(c["window"], c["batch"]) for c in cells] == [(50, 2), (10, 10)]'
json "--brief leaves out operations and errors" \
    'not any(k in c for c in cells for k in ("operations", "error", "floor_ns")) and d["peaks"] == []'
echo '{"d_model": 16, "n_layer": 1, "vocab_size": 12, "rcps": false, "bidirectional": false}' >config.json
bench --json --config config.json --window 12 --error-window 12 >bench.json
json "--config gives the rest" 'd["models"][0]["n_layer"] == 1 and cells[0]["error"]["hidden"] < 2e-6'
bench --json -m "$data/cls-ps" --window 12 --error-window 12 >bench.json
json "a classifier has hidden states alone" 'cells[0]["error"]["hidden"] < 2e-6 and cells[0]["error"]["logits"] is None'

# ---- cells that cannot be computed ----
shim=$builddir/.libs/caduceus-cuda-shim.so
if [ -e "$shim" ]; then
    # on_shim MEMORY OPTION...: runs bench on the host shim, which simulates a GPU with MEMORY bytes.
    on_shim() {
        local memory=$1; shift
        env CADUCEUS_SHIM_MEMORY="$memory" CADUCEUS_CUDA_MODULE="$shim" "$caduceus" bench -d cuda -m "$model" "$@"
    }
    CADUCEUS_CUDA_MODULE=$shim "$caduceus" bench --json -d cuda -m "$model" --window 12 --rounds 1 \
        --precision bf16,fp32 --error-window 12 >bench.json
    json "a device is measured" '[c["precision"] for c in cells] == ["bf16", "fp32"]'
    json "with its operations" 'each_operation(lambda name, o: positive(o["ns"]))'
    json "without floors of its own" \
        'd["peaks"] == [] and each(lambda c: c["floor_ns"] is None and c["percent_of_floor"] is None)'
    json "with the error of its precision" \
        '1e-5 < cells[0]["error"]["hidden"] < 1e-2 and cells[1]["error"]["hidden"] < 2e-6'
    on_shim 30000000 --json --brief --window 12,1000000 --rounds 2 >bench.json
    json "a cell without memory says so, the other is measured" \
        '"out of memory" in cells[1]["refused"] and positive(cells[0]["tokens_per_second"]["median"])'
    on_shim 30000000 --brief --window 12,1000000 --rounds 1 >table
    like "the table shows the reason too" ' 1000000 .* refused: .*out of memory' table
    error "it is an error if no cell can be computed" 'bench: nothing was measured: .*out of memory' \
        on_shim 1000 --brief --window 12 --rounds 1
else
    skip "a device is measured" "the shim is not built"
fi
error "a device that does not exist is an error" 'nothing was measured: device cuda' \
    "$caduceus" bench -d cuda -m "$model" --brief

# ---- options ----
error "an unknown precision" '--precision fp16: expected fp32, bf16x3, bf16' bench -m "$model" --precision fp16
error "a precision twice" '--precision fp32,bf16,fp32: expected' bench -m "$model" --precision fp32,bf16,fp32
error "an empty value in a list" '--window : expected a whole number' bench -m "$model" --window 10,,20
error "a window of 0" '--window 0: expected' bench -m "$model" --window 0
error "a batch that is not a number" '--batch 2x: expected' bench -m "$model" --batch 1,2x
error "a list too long" '--batch: more than 64' bench -m "$model" --batch "$(yes 1 | head -n 65 | paste -sd,)"
error "two ways to fill batches" '--batch and --batch-tokens' bench -m "$model" --batch 2 --batch-tokens 10
error "a checkpoint and a random model" '-m gives the model' bench -m "$model" --d-model 16
error "peaks that are too few" '--peaks 1,2,3: expected four' bench -m "$model" --peaks 1,2,3
error "peaks that are too many" '--peaks 1,2,3,4,5: expected four' bench -m "$model" --peaks 1,2,3,4,5
error "peaks of 0" '--peaks 0: expected' bench -m "$model" --peaks 1,0,1,1
error "--brief with an option of the parts that it leaves out" \
    '--brief measures neither' bench -m "$model" --brief --peaks 1,2,3,4
error "no rounds" '--rounds 0: expected' bench -m "$model" --rounds 0
error "an argument that is not an option" 'looks like a model: -m ' bench "$model"
error "an unknown instruction set" 'CADUCEUS_ISA=sse9' \
    env CADUCEUS_ISA=sse9 "$caduceus" bench -d cpu -m "$model" --window 10 --brief
error "a configuration that is not JSON" 'none.json' bench --config none.json
error "too many cells" 'cells: expected at most 4096' \
    bench -m "$model" --window "$(yes 5 | head -n 64 | paste -sd,)" --batch "$(yes 1 | head -n 64 | paste -sd,)" -@ 1,2
"$caduceus" bench >/dev/null 2>&1; is "no argument at all is an error" $? 1
finish
