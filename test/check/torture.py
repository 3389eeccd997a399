"""torture.py [--part P,...] [--job J,...] [--points N] [--seed S] BUILD SOURCE: injects faults into each command.

Each command runs a small job. Parts:
  alloc   each allocation fails, once            write, fsync, close, rename   each of these calls fails, once
  disk    the disk is full after n x 4 KB        kill    SIGKILL at a random moment
  int, term   SIGINT, SIGTERM at a random moment space   1 GB of address space
  tmp     TMPDIR is missing, or read-only        valgrind  under valgrind; only if named
Afterwards the outputs must be complete or absent, and the status must be 0, or 1 with one line of error and no
temporary file left. The same command, run again, must write the same bytes. --points: the maximum number of faults of
each part and job, spread evenly (default: all; 20 random moments). Prints a line of counts for each job and part, and
a line for each failure.
"""

import argparse
import gzip
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

CALLS = ("write", "fsync", "close", "rename")
PARTS = ("alloc", *CALLS, "disk", "kill", "int", "term", "space", "tmp")
MOMENTS = ("kill", "int", "term")
# Files that differ between runs, or that a stopped run may leave.
BEGUN = ("out/run/log.tsv", "out/run/training.safetensors")  # of a training that --resume continues
VOLATILE = ("log.tsv", "metrics.tsv", "training.safetensors", ".lock", ".incomplete")
GZIPPED = (".gz", ".bam", ".bcf", ".csi")
SECONDS = 120


class Job:
    def __init__(self, name, *argv, resume=(), env=None):
        self.name, self.argv, self.resume, self.env = name, argv, resume, env or {}


def dna(n, seed):
    r = random.Random(seed)
    return "".join(r.choice("ACGT") for _ in range(n))


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def inputs(caduceus, data):
    """Makes the inputs in the current folder."""
    chr1, chr2 = dna(900, 1), dna(500, 2)
    write("ref.fa", f">chr1\n{chr1}\n>chr2\n{chr2}\n")
    write("in.bed", "chr1\t10\t60\ta\nchr2\t5\t40\tb\nchr1\t700\t800\tc\n")
    rows = (f"r{i}\t0\tchr1\t{i * 40 + 1}\t60\t30M\t*\t0\t0\t{chr1[i * 40:i * 40 + 30]}\t*\n" for i in range(5))
    write("in.sam", "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:900\n@SQ\tSN:chr2\tLN:500\n" + "".join(rows))
    rows = (f"chr1\t{i * 40 + 21}\t.\t{chr1[i * 40 + 20]}\t<DEL>,{'ACGT'['TGCA'.index(chr1[i * 40 + 20])]}\t.\t.\t.\n"
            for i in range(5))
    write("in.vcf", "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=900>\n"
          "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(rows))
    write("split.bed", "chr1\t0\t400\ttrain\nchr2\t0\t200\tvalid\n")
    write("train.csv", "sequence,label\n" + "".join(f"{dna(30, 10 + i)},{i % 2}\n" for i in range(24)))
    model = f"{data}/ps"
    quiet = ("--quiet", "-m", model, "--window", "64")
    setup = [["annotate", *quiet, "--no-PG", "in.sam", "-o", "in.bam"]]
    for k in "12":
        setup.append(["annotate", *quiet, "-T", "ref.fa", "--shard", f"{k}/2", "in.bed", "-o", f"p{k}.bed"])
        setup.append(["track", *quiet, "-T", "ref.fa", "-L", "in.bed", "--shard", f"{k}/2", "-o", f"p{k}.bw"])
        setup.append(["annotate", *quiet, "-T", "ref.fa", "--shard", f"{k}/2", "in.vcf", "-o", f"p{k}.bcf"])
    for argv in setup:
        subprocess.run([caduceus, *argv], check=True)
    return quiet


def jobs(quiet, data):
    small = ("--seed", "3", "-@", "1")
    pretrain = ("pretrain", "--quiet", "-m", f"{data}/ps-causal", "-T", "ref.fa", "--valid-fraction", "0.2",
                "--seq-len", "64", "--batch-tokens", "128", "--steps", "4", "--save-every", "1", "--valid-every", "2",
                "--valid-tokens", "64", *small, "-o", "out/run")
    return [
        Job("bed", "annotate", *quiet, "-@", "1", "-T", "ref.fa", "in.bed", "-o", "out/o.bed.gz", "--embed",
            "out/e.npy"),
        Job("bam", "annotate", *quiet, "-@", "2", "--no-PG", "--write-index", "in.bam", "-o", "out/o.bam"),
        Job("vcf", "annotate", *quiet, "-@", "1", "-T", "ref.fa", "--write-index", "in.vcf", "-o", "out/o.vcf.gz"),
        Job("bcf", "annotate", *quiet, "-@", "1", "-T", "ref.fa", "--write-index", "in.vcf", "-o", "out/o.bcf"),
        Job("merge-vcf", "merge", "p1.bcf", "p2.bcf", "-o", "out/whole.vcf"),
        Job("track", "track", *quiet, "-@", "1", "-T", "ref.fa", "-L", "in.bed", "-o", "out/o.bw"),
        Job("embed", "embed", *quiet, "-@", "1", "-T", "ref.fa", "in.bed", "-o", "out/e.npy"),
        Job("eval", "eval", *quiet, "-@", "1", "-T", "ref.fa", "-L", "split.bed", "-o", "out/eval.tsv"),
        Job("merge", "merge", "p1.bed", "p2.bed", "-o", "out/whole.bed"),
        Job("merge-bigwig", "merge", "p1.bw", "p2.bw", "-o", "out/whole.bw"),
        Job("pretrain", *pretrain, resume=("--resume",)),
        Job("finetune", "finetune", "--quiet", "-m", f"{data}/ps", "--epochs", "2", "--batch", "8", *small, "train.csv",
            "--save-every", "1", "-o", "out/run", resume=("--resume",)),
        Job("predict", "predict", "--quiet", "-@", "1", "-m", f"{data}/cls-ps", "train.csv", "-o", "out/p.tsv"),
        Job("convert", "model", "convert", "-m", f"{data}/ps", "-o", "out/run"),
        Job("pull", "model", "pull", "--quiet", "--retries", "0", "lab/dna"),
    ]


def hub(source, data):
    """Starts the hub server of the tests. Returns the process and the port."""
    os.makedirs("served")
    process = subprocess.Popen([sys.executable, f"{source}/test/hub-server.py", os.path.abspath("served"),
                                f"lab/dna:main={data}/ps"], stderr=subprocess.DEVNULL)
    for _ in range(400):
        if os.path.exists("served/ports"):
            break
        time.sleep(0.05)
    with open("served/ports", encoding="ascii") as f:
        return process, f.read().split()[0]


def contents(volatile=True):
    """Returns a dict {path: bytes} of all files in the folder out."""
    found = {}
    for folder, _, names in os.walk("out"):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.exists(path) and (volatile or not path.endswith(VOLATILE) and ".locks" not in path):
                with open(path, "rb") as f:
                    found[path] = f.read()
    return found


def unlike(path, a, b):
    """Returns whether two files differ. Compressed files are compared after decompression."""
    try:
        return a != b and (not path.endswith(GZIPPED) or gzip.decompress(a) != gzip.decompress(b))
    except (OSError, EOFError):
        return True


def is_temporary(path):
    name = os.path.basename(path)
    return name.startswith(".caduceus-") and name.endswith(".tmp")


class Torture:
    def __init__(self, args):
        self.args, self.failed = args, 0
        self.caduceus = os.path.join(args.build, "caduceus")
        self.preload = {"alloc": os.path.join(args.build, ".libs/libfailmalloc.so")}
        self.full = os.path.join(args.build, ".libs/libfullfs.so")

    def run(self, job, env=None, again=False, kill=None, limit=None, under=()):
        """Runs the job, with the command `under` before it. kill: (signal, seconds). Returns status and messages."""
        argv = [*under, self.caduceus, *job.argv, *(job.resume if again else ())]

        def before():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if limit:
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        process = subprocess.Popen(argv, env={**os.environ, **job.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=before)
        timer = threading.Timer(kill[1], process.send_signal, [kill[0]]) if kill else None
        if timer:
            timer.start()
        try:
            said = process.communicate(timeout=SECONDS)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            return "hangs", process.communicate()[1].decode(errors="replace")
        finally:
            if timer:
                timer.cancel()
        return process.returncode, said.decode(errors="replace")

    def fresh(self):
        shutil.rmtree("out", ignore_errors=True)
        os.mkdir("out")

    def wanted(self, job):
        """Returns the files of a run without faults, and its wall-clock time."""
        self.fresh()
        begin = time.monotonic()
        status, said = self.run(job)
        if status != 0 or not contents(False):
            sys.exit(f"# {job.name}: fails without a fault: {status} {said}")
        return contents(False), time.monotonic() - begin

    def counts(self, job):
        """Returns how often a run calls each function that can fail."""
        counts = {}
        for library, variable in ((self.preload["alloc"], "FAILMALLOC"), (self.full, "FULLFS")):
            self.fresh()
            path = os.path.abspath("count")
            self.run(job, {"LD_PRELOAD": library, f"{variable}_COUNT": path, "FAILMALLOC_AT": str(1 << 60)})
            with open(path, encoding="ascii") as f:
                counts.update((line.split()[0], int(line.split()[1])) for line in f)
        return counts

    def wrong(self, job, want, status, said, killed):
        """Returns a description of what is wrong after a run, or None."""
        have = contents()
        for path, data in have.items():
            if path in want and unlike(path, data, want[path]) and not (status != 0 and job.resume):
                return f"{path} is neither whole nor absent"
        if job.resume and "out/run/model.safetensors" in have:  # may be of an earlier step, but must be complete
            loads = subprocess.run([self.caduceus, "model", "verify", "-m", "out/run"], capture_output=True,
                                   check=False)
            if loads.returncode:
                return f"its checkpoint does not load: {loads.stderr}"
        if status == 0:
            missing = [path for path in want if path not in have]
            return f"success without {missing}" if missing else None
        if killed and status == -killed:
            left = [path for path in have if is_temporary(path)]
            return f"left {left}" if left and killed != signal.SIGKILL else None
        if status != 1:
            return f"status {status}: {said[-300:]}"
        # GnuTLS prints a line of its own when it is loaded without memory.
        lines = [line for line in said.splitlines() if ": warning: " not in line and "GnuTLS init" not in line]
        if len(lines) != 1 or not lines[0].startswith("caduceus "):
            return f"not one line of error: {said[-300:]!r}"
        left = [path for path in have if is_temporary(path)]
        return f"left {left}" if left else None

    def point(self, job, want, where, kill=None, **how):
        """Injects one fault. Returns False if something is wrong afterwards."""
        self.fresh()
        status, said = self.run(job, kill=kill, **how)
        wrong = self.wrong(job, want, status, said, kill and kill[0])
        if not wrong and status != 0:
            again, said = self.run(job, again=any(map(os.path.exists, BEGUN)))
            have = contents(False)
            if again != 0:
                wrong = f"cannot be run again: {said[-300:]}"
            elif any(have.get(path) != data for path, data in want.items()):
                wrong = f"{[path for path in want if have.get(path) != want[path]]} of the second run differ"
        if wrong:
            self.failed += 1
            print(f"# {job.name}, {where}: {wrong}", flush=True)
        return not wrong

    def spread(self, n):
        points = self.args.points
        return range(1, n + 1) if not points or n <= points else sorted({1 + i * n // points for i in range(points)})

    def points(self, part, job, counts, seconds, r):
        """Yields (description of the fault, arguments of point)."""
        if part == "alloc":
            for n in self.spread(counts["malloc"]):
                yield f"allocation {n}", {"env": {"LD_PRELOAD": self.preload["alloc"], "FAILMALLOC_AT": str(n)}}
        elif part in CALLS:
            for n in self.spread(counts[part]):
                yield f"{part} {n}", {"env": {"LD_PRELOAD": self.full, "FULLFS_FAIL": f"{part}:{n}"}}
        elif part == "disk":
            for n in self.spread(counts["bytes"] // 4096 + 1):
                yield f"{4096 * (n - 1)} bytes", {"env": {"LD_PRELOAD": self.full, "FULLFS_AFTER": str(4096 * (n - 1))}}
        elif part in MOMENTS:
            number = {"kill": signal.SIGKILL, "int": signal.SIGINT, "term": signal.SIGTERM}[part]
            for _ in range(self.args.points or 20):
                when = r.uniform(0, 1.05 * seconds)
                yield f"{part} after {when:.4f} s", {"kill": (number, when)}
        elif part == "valgrind":
            yield "valgrind", {"under": ("valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
                                         "--errors-for-leak-kinds=definite")}
        elif part == "space":
            yield "1 GB", {"limit": 1 << 30}
        else:
            yield "TMPDIR missing", {"env": {"TMPDIR": "/nowhere/at/all"}}
            os.makedirs("closed", exist_ok=True)
            os.chmod("closed", 0o555)
            yield "TMPDIR read-only", {"env": {"TMPDIR": os.path.abspath("closed")}}

    def torture(self, job, parts, seed):
        want, seconds = self.wanted(job)
        counts = self.counts(job) if set(parts) - {*MOMENTS, "space", "tmp", "valgrind"} else {}
        for part in parts:
            tried = passed = 0
            for where, how in self.points(part, job, counts, seconds, random.Random(f"{seed} {job.name} {part}")):
                tried += 1
                passed += self.point(job, want, where, **how)
            print(f"{job.name}\t{part}\t{tried} tried\t{passed} passed", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", default=",".join(PARTS))
    parser.add_argument("--job")
    parser.add_argument("--points", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("build")
    parser.add_argument("source")
    args = parser.parse_args()
    args.build, data = os.path.abspath(args.build), os.path.abspath(f"{args.source}/test/data")
    for name in ("HF_HOME", "HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "https_proxy", "CADUCEUS_MODEL"):
        os.environ.pop(name, None)
    if "valgrind" in args.part:
        os.environ["CADUCEUS_ISA"] = "avx2"  # valgrind does not support AVX-512
    work = tempfile.mkdtemp(prefix="caduceus-torture.")
    source = os.path.abspath(args.source)
    os.chdir(work)
    torture, server = Torture(args), None
    try:
        all_jobs = jobs(inputs(torture.caduceus, data), data)
        chosen = [j for j in all_jobs if not args.job or j.name in args.job.split(",")]
        if any(job.name == "pull" for job in chosen):
            server, port = hub(source, data)
        for job in chosen:
            if job.name == "pull":
                job.env = {"HF_ENDPOINT": f"http://127.0.0.1:{port}/plain", "HF_HOME": os.path.join(work, "out"),
                           "HOME": work}
            torture.torture(job, args.part.split(","), args.seed)
    finally:
        os.chdir("/")
        shutil.rmtree(work, ignore_errors=True)
        if server:
            server.terminate()
            server.wait()
    sys.exit(torture.failed > 0)


main()
