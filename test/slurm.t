#!/bin/sh
# slurm.t - job arrays; failed, killed, preempted and requeued jobs; the Snakemake workflow: under a real Slurm of one
# node. Faults 45 and 46 of doc/faults.md.
. "${srcdir:-.}/test/lib.sh"
. "$srcdir/test/slurm-lib.sh"
why=$(no_slurm)
[ -n "$why" ] || slurm_start
if [ -n "$why" ]; then skip "Slurm" "$why"; finish; exit; fi

contig chrZ 150000 1 >ref.fa
awk 'BEGIN { for (i = 0; i < 60; i++) print "chrZ\t" i * 80 "\t" i * 80 + 200 "\trow" i }' >in.bed
mkdir a b
scored="-m $data/ps -T ref.fa --window 96"
recipe="-T ref.fa --d-model 16 --n-layer 2 --seq-len 64 --batch-tokens 4096 --steps 40 --save-every 100 --quiet"

# job NAME: writes standard input, the body of a job script, to NAME.sh.
job() { { echo '#!/bin/sh'; cat; } >"$1.sh"; }
submit() { sbatch --parsable --open-mode=append "$@"; }

# ---- the jobs, most of which begin together ----
stretch="-r chrZ:1-6000"
# Tasks 4 and 9 of the array read a file that is not there.
job track <<END
ref=ref.fa
case \$SLURM_ARRAY_TASK_ID in 4|9) ref=late.fa ;; esac
exec "$caduceus" track --quiet $scored $stretch -T \$ref -o 'a/part.{shard}.bw' \\
    --shard \$SLURM_ARRAY_TASK_ID/13
END
# Tasks 5 and 11 of the array compute for minutes, until they are requeued.
job rows <<END
case \$SLURM_ARRAY_TASK_ID.\$SLURM_RESTART_COUNT in 5.|11.) slow="--mask each --window 131072 --flank 60000" ;; esac
echo \$\$ >pid.\$SLURM_ARRAY_TASK_ID
exec "$caduceus" annotate --quiet $scored \$slow in.bed --shard slurm -o 'b/part.{shard}.bed'
END
# Two such jobs run one after the other, and each pauses after three steps. A requeued job does not.
job train <<END
steps() { grep -vcs '^#' trained/log.tsv; }
pause() { until [ "\$(steps)" -ge "\$1" ]; do sleep 0.02; done; kill -STOP \$\$; }
echo \$\$ >pid.train
[ -n "\$SLURM_RESTART_COUNT" ] || pause \$((\$(steps) + 3)) 2>/dev/null &
exec "$caduceus" pretrain $recipe -o trained --resume
END
tracks=$(submit --array=1-13 -o track.%a.log track.sh)
rows=$(submit --array=1-13 --requeue -o rows.%a.log rows.sh)
gaps=$(submit --array=4,9 -o gaps.%a.log rows.sh)
first=$(submit --dependency=singleton --signal=B:TERM@60 -o train.log train.sh)
second=$(submit --dependency=singleton --requeue -o train.log train.sh)
# The Snakemake workflow runs beside the tests. Its first job is killed and cannot tell Snakemake.
flow=$srcdir/contrib/snakemake
cat >once <<END
#!/bin/sh
! mkdir called 2>/dev/null || { scancel --signal=KILL \$SLURM_JOB_ID; sleep 60; }
exec "$caduceus" "\$@"
END
chmod +x once
if snakemake --version >/dev/null 2>&1; then
    CI=true HOME=$dir snakemake --profile "$flow/slurm" -s "$flow/Snakefile" --nolock --config reference=ref.fa \
        model="$data/ps" out=flow.bw shards=2 options="--window 96 $stretch" threads=1 caduceus="$dir/once" \
        >flow.log 2>&1 &
    snake=$!
fi
"$caduceus" track --quiet $scored $stretch -o whole.bw
"$caduceus" annotate --quiet $scored in.bed -o whole.bed
"$caduceus" pretrain $recipe -o want

# ---- two of thirteen tasks fail ----
until_ ended "$tracks"
is "two tasks of an array fail" "$(state "$tracks")" "COMPLETED FAILED "
is "each with one line" "$(cat track.*.log | wc -l)$(grep -l late.fa track.*.log | joined)" "2track.4.log track.9.log "
is "the others have written their parts" "$(ls -A a | grep -vc json)" 11
error "merge names the missing parts" '11 of 13 parts are given; missing: 4, 9$' \
    "$caduceus" merge -o merged.bw a/part.*.bw
cp ref.fa late.fa
tracks=$(submit --array=4,9 -o track.%a.log track.sh)

# ---- two of thirteen tasks are killed, and requeued ----
# writes TASK: succeeds if the task has a file of the folder b open.
writes() { [ -s "pid.$1" ] && ls -l "/proc/$(cat "pid.$1")/fd" | grep -q "$dir/b/"; }
until_ writes 5; until_ writes 11
scancel --signal=KILL "${rows}_5"
scancel --signal=TERM --batch "${rows}_11"
until_ ended "$rows"
is "a task killed by SIGKILL" "$(state "${rows}_5")" "CANCELLED "
is "a task killed by SIGTERM" "$(state "${rows}_11")" "FAILED "
is "neither leaves a part, or another file" "$(ls -A b | grep -v json | joined)" \
    "$(seq -f 'part.%02g-of-13.bed' 13 | grep -v '05-of\|11-of' | joined)"
error "merge names their parts" '11 of 13 parts are given; missing: 5, 11$' "$caduceus" merge -o merged.bed b/part.*.bed
scontrol requeue "${rows}_5,${rows}_11"
soon "${rows}_5"; soon "${rows}_11"
until_ ended "$gaps"
is "--shard slurm refuses a piece of an array" "$(cat gaps.4.log)" "caduceus annotate: --shard slurm: the array has 2 \
tasks, with gaps between them; for one of 8 shares write --shard \$SLURM_ARRAY_TASK_ID/8"

# ---- training ends at a signal, and another job goes on ----
# paused: succeeds if the training has stopped itself.
paused() { grep -q '^State:.*T' "/proc/$(cat pid.train)/status"; }
# told: succeeds if SIGTERM (bit 14) waits for the stopped training.
told() { grep -q '^ShdPnd:.*[4-7c-f]...$' "/proc/$(cat pid.train)/status"; }
# saved: succeeds if the checkpoint has the last step of the log, which is not the last of the run.
saved() { "$caduceus" model info trained | grep -q "^status.* $(rows trained/log.tsv | lines) of 40 steps"; }
until_ paused
scancel --signal=TERM --batch "$first"; until_ told; kill -CONT "$(cat pid.train)"
until_ ended "$first"
is "training ends at a signal" "$(state "$first")" "FAILED "
ok "after it has saved a checkpoint" saved
had=$(rows trained/log.tsv | lines)

# ---- the arrays are whole ----
until_ ended "$tracks"; until_ ended "$rows"
is "tasks that are submitted again complete" "$(state "$tracks")" "COMPLETED "
is "so do requeued ones" "$(state "$rows")" "COMPLETED "
ok "all parts of the track merge" "$caduceus" merge -o merged.bw a/part.*.bw
same "into the bytes of one run" whole.bw merged.bw; same "and its .json" whole.bw.json merged.bw.json
ok "all parts of the rows merge" "$caduceus" merge -o merged.bed b/part.*.bed
same "into the bytes of one run" whole.bed merged.bed

# ---- the Snakemake workflow ----
if [ -n "$snake" ]; then
    ok "the Snakemake workflow submits its jobs" wait "$snake"
    is "and again the one that was killed" "$(grep -c 'Trying to restart job' flow.log)" 1
    same "and gives the bytes of one run" whole.bw flow.bw
else skip "the Snakemake workflow" "no snakemake that runs"; fi

# ---- training is preempted by another job, and requeued ----
until_ paused
urgent=$(submit -p high --exclusive -o urgent.log --wrap true)
until_ requeued "$second"
ok "a preempted training saves a checkpoint" saved
ok "and has gone on from the one before" test "$(rows trained/log.tsv | lines)" -ge $((had + 3))
soon "$second"; until_ ended "$second"
is "it ends after it was requeued" "$(state "$second")" "COMPLETED "
for f in model training; do
    same "with the $f of a run that was not interrupted" want/$f.safetensors trained/$f.safetensors
done
for f in want trained; do rows $f/log.tsv | cut -f 1-6 >$f.log; done
same "and its log" want.log trained.log

# ---- srun starts two processes that train one model ----
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
few="pretrain $recipe --batch-tokens 16384 --steps 2" # four packs a step
"$caduceus" $few -o few
for way in pmix/openmpi pmi2/mpich; do
    if ! srun --mpi=list 2>&1 | grep -qw ${way%/*} || [ ! -e "$builddir/caduceus-${way#*/}.so" ]; then
        skip "srun --mpi=${way%/*}" "Slurm or the MPI module lacks it"; continue; fi
    ok "srun --mpi=${way%/*}" srun -n 2 --overcommit --mpi=${way%/*} "$caduceus" $few -o ${way%/*}
    same "writes the bytes of one process" few/training.safetensors ${way%/*}/training.safetensors
done
srun -n 2 --overcommit --mpi=none "$caduceus" $few -o none 2>err
like "without --mpi, it says what is missing" '^caduceus pretrain: srun has started 2 processes .*--mpi=' err
finish
