# slurm-lib.sh - starts a Slurm of one node for a test: munged, slurmctld and slurmd with a key, sockets, ports and
# folders of their own, so that a Slurm of the machine is not touched.
# Sourced by slurm.t, after lib.sh; SPDX-License-Identifier: MIT
PATH=$PATH:/usr/sbin:/sbin
slurm=$dir/slurm

# no_slurm: prints why no Slurm can be started; prints nothing if one can.
no_slurm() {
    local p
    for p in munged slurmctld slurmd sbatch perl; do
        command -v $p >/dev/null || { echo "no $p"; return; }
    done
    [ "$(id -u)" = 0 ] || { echo "not root"; return; }
    [ -r /proc/self/environ ] || echo "no /proc"
}

# free_ports N: prints N ports on which nothing listens.
free_ports() {
    perl -MIO::Socket::INET -e 'my @s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die }
        1 .. $ARGV[0]; print join(" ", map { $_->sockport } @s), "\n"' "$1"
}

# slurm_config CONTROLLER-PORT NODE-PORT: a configuration for Slurm 22.05 to 24.11. The node says that it has 64
# processors, so that all tasks of an array run together. Jobs in the partition `high` preempt those in `low`.
slurm_config() {
    local host
    host=$(uname -n | cut -d . -f 1)
    cat <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$1
SlurmdPort=$2
AuthInfo=socket=$slurm/munge.socket
SlurmUser=root
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=64 RealMemory=64000
PartitionName=low Nodes=$host Default=YES PriorityTier=1
PartitionName=high Nodes=$host PriorityTier=2 PreemptMode=OFF
END
}

# slurm_daemons: starts the three daemons, and waits until the node is idle. Fails after 15 seconds, or if the
# controller does not answer.
slurm_daemons() {
    local i=0 nodes
    munged --force --socket="$slurm/munge.socket" --key-file="$slurm/key" --log-file="$slurm/munged.log" \
        --pid-file="$slurm/munged.pid" --seed-file="$slurm/munged.seed" && slurmctld -c && slurmd || return
    until [ "$nodes" = idle ]; do
        i=$((i + 1)); [ $i -lt 150 ] || return
        sleep 0.1
        nodes=$(timeout 10 sinfo -h -o %T -p low) || return
    done
}

# slurm_start: starts Slurm and sets SLURM_CONF; tries again with other ports if somebody took one. On failure sets $why
# to the last error.
slurm_start() {
    local try
    for try in 1 2 3; do
        rm -rf "$slurm"; mkdir -m 755 "$slurm" "$slurm/state" "$slurm/spool"
        (umask 077; head -c 128 /dev/urandom >"$slurm/key")
        # shellcheck disable=SC2046
        slurm_config $(free_ports 2) >"$slurm/slurm.conf"
        # Slurm above 22.05 asks for cgroups otherwise.
        slurmd -V | grep -q ' 22\.' || echo CgroupPlugin=disabled >"$slurm/cgroup.conf"
        export SLURM_CONF="$slurm/slurm.conf"
        slurm_daemons >"$slurm/start.log" 2>&1 && return
        slurm_stop
        grep -q 'in use' "$slurm"/*.log || break
    done
    why="it did not start: $(grep -hi 'error\|fatal' "$slurm"/*.log | tail -n 1)"
}

# slurm_stop: ends all daemons, their jobs and whatever those started: every process with this SLURM_CONF.
slurm_stop() {
    local conf=$SLURM_CONF try p
    [ -n "$conf" ] || return 0
    unset SLURM_CONF
    for try in 1 2; do
        for p in $(grep -lzFx "SLURM_CONF=$conf" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3); do
            kill -KILL "$p" 2>/dev/null
        done
    done
}
unset SLURM_CONF
trap 'slurm_stop; rm -rf "$dir"' EXIT

# until_ COMMAND...: waits until the command succeeds; fails after 60 seconds.
until_() {
    local i=0
    until "$@" >/dev/null 2>&1; do
        i=$((i + 1)); [ $i -lt 1200 ] || { echo "# waited in vain: $*"; return 1; }
        sleep 0.05
    done
}

# state JOB: prints the states of a job or a task, each once, such as RUNNING. The controller remembers all jobs.
state() { scontrol -o show job "$1" | sed -n 's/.* JobState=\([A-Z_]*\) .*/\1/p' | sort -u | joined; }
# ended JOB: succeeds if no task of the job waits or runs.
ended() { ! state "$1" | grep -Eq 'PENDING|RUNNING|COMPLETING|CONFIGURING|SUSPENDED'; }
# requeued JOB: succeeds if the job waits to begin again.
requeued() { scontrol -o show job "$1" | grep 'JobState=PENDING' | grep -q ' Restarts=[1-9]'; }
# soon JOB: lets a requeued job begin in two seconds instead of two minutes. A node refuses a job that begins again in
# the second in which it was killed.
soon() { until_ scontrol update "JobId=$1" StartTime=now+2; }
