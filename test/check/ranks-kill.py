"""ranks-kill.py - kills ranks of a training at random moments, and resumes it.

ranks-kill.py KILLS SEED COMMAND...: COMMAND is a launcher and caduceus pretrain with --resume. In each of KILLS runs a
random rank is killed at a random moment within RANKS_SECONDS seconds; then a last run must end by itself. Prints how
many runs a kill has ended."""
import os, random, signal, subprocess, sys, time


def ranks_of(job):
    """Process numbers of the ranks, by what their launcher has put into their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                words = f.read().split(b"\0")
            with open(f"/proc/{pid}/comm") as f:
                name = f.read().strip()
        except OSError:
            continue
        if name.endswith("caduceus") and f"RANKS_KILL={job}".encode() in words:
            found.append(int(pid))
    return found


def run(command, longest):
    """Runs the command; kills one rank after a random time of up to `longest` seconds; 0: none. Returns the status."""
    job = f"{os.getpid()}-{random.random()}"
    null = subprocess.DEVNULL
    child = subprocess.Popen(command, env=dict(os.environ, RANKS_KILL=job), stdout=null, stderr=null)
    if longest:
        try:
            child.wait(random.uniform(0, longest))
        except subprocess.TimeoutExpired:
            ranks = ranks_of(job)
            if ranks:
                os.kill(random.choice(ranks), signal.SIGKILL)
    status = child.wait(120)
    deadline = time.monotonic() + 20
    while ranks_of(job) and time.monotonic() < deadline:
        time.sleep(0.05)
    if ranks_of(job):
        sys.exit("a rank is left")
    return status


random.seed(int(sys.argv[2]))
ended, length = 0, float(os.environ.get("RANKS_SECONDS", "1.5"))
for _ in range(int(sys.argv[1])):
    ended += run(sys.argv[3:], length) != 0
status = run(sys.argv[3:], 0)
print(f"{ended} of {sys.argv[1]} runs were ended by a kill; the last one: {status}")
sys.exit(status != 0)
