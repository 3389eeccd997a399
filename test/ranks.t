#!/bin/sh
# ranks.t - training by several processes, with OpenMPI and MPICH: the same bytes as one process; faults of ranks.
. "${srcdir:-.}/test/lib.sh"
py=$(python)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none
unset OMPI_COMM_WORLD_SIZE PMI_SIZE PMIX_RANK SLURM_STEP_NUM_TASKS CADUCEUS_MPI_MODULE

{ contig one 30000 1; contig two 9000 2; } >g.fa
{ contig one 30000 3; contig two 9000 2; } >other.fa
tiny="pretrain -T g.fa --valid-fraction 0.1 --d-model 16 --n-layer 2 --seq-len 128 --valid-tokens 8192 --quiet -@ 1"
many="$tiny --batch-tokens 28672 --steps 3 --valid-every 2 --save-every 1" # seven packs a step
two='{"d_model": 16, "n_layer": 2, "vocab_size": 12, "rcps": true,
      "ssm_cfg": {"layer": "Mamba2", "headdim": 8, "d_state": 8}}'
echo "$two" >mamba2.json
awk 'BEGIN { print "sequence,label"; for (i = 0; i < 1500; i++) {
    s = ""; for (k = 0; k < 30; k++) s = s substr("ACGT", (i * 7 + k * k * (i % 5 + 1)) % 4 + 1, 1)
    print s "," i % 3 } }' >train.csv
logged() { rows "$1/log.tsv" | cut -f 1-6; }
alone() { "$caduceus" "$@"; }

# ---- without MPI ----
ok "a run by one process" alone $many -o one
logged one >one.log
ok "a launcher of one process needs no MPI" env OMPI_COMM_WORLD_SIZE=1 "$caduceus" $many -o single
same "its bytes" one/training.safetensors single/training.safetensors
error "a module that is not there is named" 'pretrain: .*/no/such.so' \
    env OMPI_COMM_WORLD_SIZE=2 CADUCEUS_MPI_MODULE=/no/such.so "$caduceus" $many -o bad
error "so are processes that srun does not join" 'srun has started 3 processes .* --mpi=' \
    env SLURM_STEP_NUM_TASKS=3 SLURM_PROCID=1 "$caduceus" $many -o bad
ok "these leave no folder" test ! -e bad

# ---- with each MPI ----
# ranks N ARGUMENT...: runs caduceus by N processes of the launcher $mpirun.
ranks() { local n=$1; shift; $mpirun -n "$n" "$caduceus" "$@"; }
# alike NAME N OPTION...: N processes write the bytes of the run above.
alike() {
    local name=$1 n=$2; shift 2
    rm -rf got; ranks "$n" $many -o got "$@" >.out 2>err || diag err
    same "$mpi: $name: the weights" one/model.safetensors got/model.safetensors
    same "$mpi: $name: the training state" one/training.safetensors got/training.safetensors
    prints "$mpi: $name: the log" one.log logged got
}
# refused NAME REGEX COMMAND...: one line of caduceus says why, whatever the launcher adds; all ranks end.
refused() {
    local name=$1 regex=$2; shift 2
    if "$@" >.out 2>.err; then fail "$mpi: $name"; return; fi
    grep '^caduceus ' .err >.lines
    is "$mpi: $name: one line" "$(wc -l <.lines | tr -d ' ')" 1
    like "$mpi: $name" "$regex" .lines
}
# pair ARGUMENT...: runs caduceus by two processes; rank 1 writes its process number to the file pid.
# shellcheck disable=SC2016
second='echo $$ >$0; exec "$@"'
pair() { $mpirun -n 1 "$caduceus" "$@" : -n 1 sh -c "$second" pid "$caduceus" "$@"; }
# wait_for FILE: waits until the file is there.
wait_for() { for _ in $(seq 300); do [ -s "$1" ] && return; sleep 0.1; done; }

first_of_all=openmpi
for mpi in openmpi mpich; do
    mpirun=mpirun.$mpi
    why=
    [ -e "$builddir/caduceus-$mpi.so" ] || why="its module is not built"
    command -v $mpirun >/dev/null || why="there is no $mpirun"
    [ -z "$why" ] || { skip "training by ranks of $mpi" "$why"; continue; }
    for n in 2 3; do alike "$n ranks" $n; done
    rm -rf got; ranks 3 ${many% --quiet*} --batch-tokens 28672 --steps 1 -o got >.out 2>err
    is "$mpi: only rank 0 talks" "$(grep -c '^caduceus pretrain: step 1 of 1' err)" 1
    refused "a rank with another genome" 'pretrain: rank 1 of 2 on [^ ]*: differs from rank 0: it has data=' \
        $mpirun -n 1 "$caduceus" $many -o part : -n 1 "$caduceus" $many -o part -T other.fa
    refused "a rank with another --save-every" 'rank 1 of 2 on [^ ]*: differs from rank 0: it has save_every=2' \
        $mpirun -n 1 "$caduceus" $many -o part : -n 1 "$caduceus" $many -o part --save-every 2
    refused "a model that is not there" 'pretrain: no: No such file' \
        ranks 3 pretrain -T g.fa -m no -o part
    refused "a genome that is not there" 'pretrain: no.fa: No such file' ranks 3 $many -T no.fa -o part
    is "$mpi: these leave at most an empty folder" "$(ls -A part 2>.err)" ""
    rm -rf part

    # a rank that does not answer, and a signal to one rank
    rm -f pid; pair $many --steps 100000 -o still --rank-timeout 1 >.out 2>err &
    wait_for still/log.tsv; kill -STOP "$(cat pid)"
    wait $! && fail "$mpi: a rank is silent, and the run goes on"
    like "$mpi: a rank that is silent" '^caduceus pretrain: rank 1 has not answered for [0-9]* s' err
    rm -rf pid still stopped; pair $many --steps 20 -o stopped >.out 2>err &
    wait_for stopped/log.tsv; kill -TERM "$(cat pid)"; kill -TERM "$(cat pid)" 2>/dev/null; wait $!
    if [ -e stopped/training.safetensors ]; then pass "$mpi: a signal to one rank stops all, which save"
    else fail "$mpi: a signal to one rank"; diag err; fi
    [ $mpi = $first_of_all ] || continue

    for n in 4 7; do alike "$n ranks" $n; done
    alike "two threads in each of two ranks" 2 -@ 2
    refused "a rank whose folder is another" 'it has folder=apart, and rank 0 has folder=part' \
        $mpirun -n 1 "$caduceus" $many -o part : -n 1 "$caduceus" $many -o apart
    refused "a process that does not train" 'OMPI_COMM_WORLD_SIZE is set, and MPI has not started within 11 s' \
        $mpirun -n 1 "$caduceus" $many -o part --rank-timeout 1 : -n 1 sleep 100
    ok "a dry run" ranks 3 $many --dry-run
    is "prints one plan" "$(grep -c '^steps' .out)" 1
    ok "the stopped run goes on with three ranks" ranks 3 $many --steps 20 -o stopped --resume
    ok "and one process makes as many steps" alone $many --steps 20 -o long
    same "which are the same" long/training.safetensors stopped/training.safetensors
    rm -rf long got; alone $many --config mamba2.json -o long; ranks 3 $many --config mamba2.json -o got >.out 2>err
    same "Mamba-2: three ranks" long/training.safetensors got/training.safetensors
    refused "another instruction set" 'rank 1 .*device=cpu-plain.*rank 0' \
        $mpirun -n 1 "$caduceus" $many -o part : -n 1 env CADUCEUS_ISA=plain "$caduceus" $many -o part
    mixed="$many -o part --mixed"
    ok "--mixed allows it" $mpirun -n 1 "$caduceus" $mixed : -n 1 env CADUCEUS_ISA=plain "$caduceus" $mixed
    rm -rf part
    # finetune
    tune="finetune -m $data/ps train.csv --epochs 2 --batch 600 --quiet -@ 1 --no-version"
    rm -rf long got; "$caduceus" $tune -o long --log long.tsv >long.out
    ranks 3 $tune -o got --log got.tsv >got.out 2>err
    same "finetune: three ranks" long/model.safetensors got/model.safetensors
    same "its metrics" long/metrics.tsv got/metrics.tsv
    same "its log" long.tsv got.tsv
    same "and what it prints" long.out got.out
    refused "more processes than windows" 'pretrain: 3 processes, and 2 windows in a step' \
        ranks 3 $many --batch-tokens 256 -o part
    refused "standard input" 'finetune: only one of several' ranks 2 finetune -m "$data/ps" - -o part <train.csv
    rm -rf got part; mkdir part; echo x >part/training.safetensors
    full=$builddir/.libs/libfullfs.so named=
    [ ! -e "$full" ] || named="env LD_PRELOAD=$full FULLFS_NAMED=1"
    refused "a damaged state" 'finetune: part/training.safetensors: not a' \
        $mpirun -n 2 $named "$caduceus" $tune -o part --log part.tsv --resume
    is "$mpi: no temporary file is left" "$(find . -name '.caduceus-*.tmp')" ""
    rm -rf got part
    kills() { RANKS_SECONDS=1 "$py" "$checks/ranks-kill.py" "$@" --resume; }
    ok "a kill of a rank of finetune" kills 1 2 $mpirun -n 2 "$caduceus" $tune -o got --save-every 1
    same "after which a run writes the same bytes" long/model.safetensors got/model.safetensors
    rm -rf got
    ok "three kills of a random rank of pretrain" kills 3 1 $mpirun -n 3 "$caduceus" $many -o got
    same "after which a run writes the same bytes" one/training.safetensors got/training.safetensors
done

# ---- two machines, which are network namespaces, and a link that is cut ----
one=cad$$a; two=cad$$b
net() { # NAMESPACE ADDRESS
    ip -n "$1" addr add "$2/24" dev wire && ip -n "$1" link set lo up && ip -n "$1" link set wire up
}
machines() {
    ip netns add $one && ip netns add $two && ip link add wire netns $one type veth peer name wire netns $two &&
        net $one 10.77.0.1 && net $two 10.77.0.2
}
# living: prints how many ranks of the training in the folder "far" run.
living() { pgrep -fc "^$caduceus pretrain .* -o far"; }
why=
[ -e "$builddir/caduceus-openmpi.so" ] || why="the module for OpenMPI is not built"
command -v mpirun.openmpi >/dev/null || why="there is no mpirun.openmpi"
command -v ip >/dev/null && command -v pgrep >/dev/null || why="there is no ip or no pgrep"
trap 'ip netns del $one 2>/dev/null; ip netns del $two 2>/dev/null; rm -rf "$dir"' EXIT
[ -n "$why" ] || machines 2>err || why="no network namespaces: $(head -n 1 err)"
if [ -n "$why" ]; then skip "a link that is cut" "$why"
else
    printf '#!/bin/sh\nshift; exec ip netns exec %s sh -c "$*"\n' $two >agent; chmod +x agent
    ip netns exec $one mpirun.openmpi --mca plm_rsh_agent "$dir/agent" --mca btl tcp,self \
        --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 --host 10.77.0.1:1,10.77.0.2:1 \
        -n 2 "$caduceus" $many --steps 100000 --save-every 1000 --rank-timeout 2 -o far >.out 2>err &
    wait_for far/log.tsv
    is "two ranks on two machines" "$(living)" 2
    ip -n $one link set wire down
    for _ in $(seq 300); do [ "$(living)" != 0 ] || break; sleep 0.1; done
    is "both end when their link is cut" "$(living)" 0
    like "and say why" '^caduceus pretrain: .*rank [01] .*(has not answered for|cannot be reached)' err
    kill -9 $! 2>/dev/null; pkill -9 -f "orted .*$dir/agent" # mpirun itself may wait for the other machine
fi
finish
